"""Activation functions as operations, with their options.

Source: keras.ops.nn; the functions are those of fnet.activation_functions.
"""

from __future__ import annotations

from fnet.activation_functions import ACTIVATIONS, halved
from fnet.backend import xp
from fnet.dtypes import floating, tensor
from fnet.operations.rules import Operation, like, named, operation, same
from fnet.shapes import positive
from fnet.types import Array, Axis, Spec


def _activation(name: str) -> Operation:
    """The activation function `name` as an operation without options."""
    compute = ACTIVATIONS[name]

    def apply(x: Array) -> Array:
        return compute(tensor(x))

    return operation(same)(named(name, compute.__doc__ or name, apply))


relu6 = _activation("relu6")
sigmoid = _activation("sigmoid")
softplus = _activation("softplus")
softsign = _activation("softsign")
silu = _activation("silu")
log_sigmoid = _activation("log_sigmoid")
mish = _activation("mish")
hard_sigmoid = _activation("hard_sigmoid")
hard_silu = _activation("hard_silu")
hard_tanh = _activation("hard_tanh")
selu = _activation("selu")
tanh_shrink = _activation("tanh_shrink")
sparse_plus = _activation("sparse_plus")
sparse_sigmoid = _activation("sparse_sigmoid")


@operation(same)
def relu(x: Array, *, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """x above `threshold` (at most `max_value`), negative_slope * (x - threshold) below."""
    return ACTIVATIONS["relu"](tensor(x), negative_slope, max_value, threshold)


@operation(like)
def leaky_relu(x: Array, *, negative_slope: float = 0.2) -> Array:
    """x above 0, negative_slope * x below; integers become floats."""
    return ACTIVATIONS["leaky_relu"](floating(x)[0], negative_slope)


@operation(same)
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """x above 0, alpha * (exp(x) - 1) below."""
    return ACTIVATIONS["elu"](tensor(x), alpha)


@operation(same)
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    """x above 0, alpha * (exp(x / alpha) - 1) below."""
    return ACTIVATIONS["celu"](tensor(x), alpha)


@operation(same)
def gelu(x: Array, *, approximate: bool = True) -> Array:
    """x * Phi(x), by tanh unless `approximate=False`."""
    return ACTIVATIONS["gelu"](tensor(x), approximate)


@operation(same)
def squareplus(x: Array, *, b: float = 4) -> Array:
    """(x + sqrt(x^2 + b)) / 2."""
    return ACTIVATIONS["squareplus"](tensor(x), b)


@operation(same)
def hard_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """x where |x| > threshold, else 0."""
    return ACTIVATIONS["hard_shrink"](tensor(x), threshold)


@operation(same)
def soft_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """x moved towards 0 by `threshold`."""
    return ACTIVATIONS["soft_shrink"](tensor(x), threshold)


@operation(same)
def threshold(x: Array, *, threshold: float, default_value: float) -> Array:
    """x above `threshold`, else `default_value`."""
    return ACTIVATIONS["threshold"](tensor(x), threshold, default_value)


@operation(same)
def softmax(x: Array, *, axis: Axis = -1) -> Array:
    """exp(x) normalised to sum 1 over `axis` (several, or None for all)."""
    return ACTIVATIONS["softmax"](tensor(x), axis)


@operation(same)
def log_softmax(x: Array, *, axis: Axis = -1) -> Array:
    """log(softmax(x)) over `axis` (several, or None for all)."""
    x = tensor(x)
    if isinstance(axis, int) or x.size == 0:
        return ACTIVATIONS["log_softmax"](x, axis)
    axes = None if axis is None else tuple(axis)
    shifted = x - xp.max(x, axis=axes, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axes, keepdims=True))


@operation(same)
def sparsemax(x: Array, *, axis: int = -1) -> Array:
    """The projection onto the simplex along `axis`."""
    return ACTIVATIONS["sparsemax"](tensor(x), axis)


def _glu_rule(x: Spec, *, axis: int) -> Spec:
    return Spec(halved(x.shape, positive(axis, len(x.shape))), x.dtype)


@operation(_glu_rule)
def glu(x: Array, *, axis: int = -1) -> Array:
    """The first half of `axis` times the sigmoid of the second."""
    return ACTIVATIONS["glu"](tensor(x), axis)
