"""The activation functions of `fnet.activation_functions` as operations; their further arguments are options.

Source: keras.ops.nn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fnet.activation_functions import ACTIVATIONS, halved
from fnet.dtypes import as_floats, tensor
from fnet.operations.rules import Operation, borrowing, like, named, operation, same
from fnet.shapes import positive
from fnet.types import Array, Spec


def _activation(
    name: str, rule: Callable[..., Any] = same, prepare: Callable[[Any], Array] = tensor, **defaults: Any
) -> Operation:
    """The activation function `name` as an operation; `prepare` casts its input. defaults: where Keras's differ."""
    compute = ACTIVATIONS[name]

    def apply(x: Array, **options: Any) -> Array:
        return compute(prepare(x), **{**defaults, **options})

    options = list(inspect.signature(compute).parameters)[1:]
    function = borrowing(apply, ["x"], compute, *options, **defaults)
    return operation(rule)(named(name, str(compute.__doc__), function))


celu = _activation("celu")
elu = _activation("elu")
gelu = _activation("gelu", approximate=True)
glu = _activation("glu", lambda x, *, axis: Spec(halved(x.shape, positive(axis, len(x.shape))), x.dtype))
hard_shrink = _activation("hard_shrink")
hard_sigmoid = _activation("hard_sigmoid")
hard_silu = _activation("hard_silu")
hard_tanh = _activation("hard_tanh")
leaky_relu = _activation("leaky_relu", like, as_floats)
log_sigmoid = _activation("log_sigmoid")
log_softmax = _activation("log_softmax")
mish = _activation("mish")
relu = _activation("relu")
relu6 = _activation("relu6")
selu = _activation("selu")
sigmoid = _activation("sigmoid")
silu = _activation("silu")
soft_shrink = _activation("soft_shrink")
softmax = _activation("softmax")
softplus = _activation("softplus")
softsign = _activation("softsign")
sparse_plus = _activation("sparse_plus")
sparse_sigmoid = _activation("sparse_sigmoid")
sparsemax = _activation("sparsemax")
squareplus = _activation("squareplus")
tanh_shrink = _activation("tanh_shrink")
threshold = _activation("threshold")
