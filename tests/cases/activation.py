"""Cases of fnet.layers.activation_layers."""

import fnet
from fnet.activation_functions import ACTIVATIONS
from tests.cases import Case

NAMES = sorted(set(ACTIVATIONS) - {"threshold", "hard_sigmoid_keras2"})
RELU = [
    {},
    {"max_value": 0.6},
    {"max_value": 1.0, "negative_slope": 0.3},
    {"max_value": 1.0, "negative_slope": 0.3, "threshold": 0.4},
    {"threshold": 0.5},
    {"negative_slope": 1.5},
    {"max_value": 0.0},
]

IDLE = {"linear": "gives its input back", 0.0: "gives zeros"}

CASES = [
    *(
        Case(fnet.activation, (3, 4), {"activation": name}, twin="Activation", idle=IDLE.get(name, ""))
        for name in NAMES
    ),
    Case(fnet.activation, (3, 5, 4), {"activation": "softmax"}, twin="Activation", mask=True),
    *(
        Case(fnet.relu, (3, 2, 4), options, twin="ReLU", idle=IDLE.get(options.get("max_value"), ""))
        for options in RELU
    ),
    Case(fnet.relu, (3, 2, 4), twin="ReLU", mask=True),
    Case(fnet.leaky_relu, (3, 5), twin="LeakyReLU"),
    Case(fnet.leaky_relu, (3, 2, 5), {"negative_slope": 0.0}, twin="LeakyReLU", mask=True),
    Case(fnet.leaky_relu, (3, 5), {"negative_slope": 2.0}, twin="LeakyReLU"),
    Case(fnet.elu, (3, 5), twin="ELU"),
    Case(fnet.elu, (3, 2, 5), {"alpha": 0.3}, twin="ELU", mask=True),
    Case(fnet.prelu, (3, 4, 5, 6), twin="PReLU"),
    Case(fnet.prelu, (3, 4, 5, 6), {"shared_axes": (1,)}, twin="PReLU"),
    Case(fnet.prelu, (3, 4, 5, 6), {"shared_axes": (1, 2)}, twin="PReLU"),
    Case(fnet.prelu, (3, 4, 5, 6), {"shared_axes": (1, 2, 3)}, twin="PReLU"),
    Case(fnet.prelu, (3, 4, 5), {"shared_axes": 1}, twin="PReLU", mask=True),
    Case(fnet.softmax, (3, 5), twin="Softmax"),
    Case(fnet.softmax, (3, 5), twin="Softmax", mask=True),
    Case(fnet.softmax, (3, 4, 5), {"axis": 1}, twin="Softmax"),
    Case(fnet.softmax, (3, 4, 5), {"axis": (1, 2)}, twin="Softmax"),
    Case(fnet.softmax, (3, 4, 5), {"axis": (1,)}, twin="Softmax"),
    Case(fnet.softmax, (4, 5), {"axis": None}, twin="Softmax", mask=True),
    Case(fnet.softmax, (3, 4, 4), {"axis": (-1, 1)}, twin="Softmax"),
]
