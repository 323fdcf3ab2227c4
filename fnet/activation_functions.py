"""Keras's activation functions: pure `f(x) -> y` of the same shape and dtype, stable at the ends.

No formula here overflows into a wrong value: exponentials take non-positive arguments, or overflow to the
infinity whose reciprocal is the right 0. NaN propagates; where the limit at an infinity is undefined (softsign,
and gelu, silu, mish at -inf) the result is NaN, as in Keras. Source: keras.activations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeAlias

from fnet.backend import ops, xp
from fnet.types import Array, Axis, Params, Shape

Activation: TypeAlias = str | Callable[..., Any] | None
"""What layers take as `activation=`: a name, or a (bound) activation layer, whose params entry is "activation"."""


IN_LAYERS: dict[str, Callable[..., Array]] = {}
"""{name: the function that layers call, where warnings are off already}."""

P = ParamSpec("P")
Q = ParamSpec("Q")


def _silent(function: Callable[P, Array]) -> Callable[P, Array]:
    """`function` without NumPy's warnings: an exponential that overflows here gives the right limit."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Array:
        return ops.exactly(function, *args, **kwargs)

    IN_LAYERS[function.__name__] = function
    return call


def _pointwise(function: Callable[Concatenate[Array, Q], Array]) -> Callable[Concatenate[Array, Q], Array]:
    """`_silent` for an elementwise function with several steps, which NumPy runs in blocks."""

    @functools.wraps(function)
    def call(x: Array, /, *args: Q.args, **kwargs: Q.kwargs) -> Array:
        return ops.elementwise(lambda piece: function(piece, *args, **kwargs), x)

    return _silent(call)


def linear(x: Array) -> Array:
    """x."""
    return x


@_silent
def relu(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """x above `threshold` (at most `max_value`), negative_slope * (x - threshold) below; NaN stays."""
    if threshold != 0:
        return _relu_above(x, negative_slope, max_value, threshold)
    if negative_slope == 0:
        return ops.clip(x, 0, max_value)
    below = x * negative_slope
    y = xp.maximum(x, below) if 0 < negative_slope < 1 else xp.where(x > 0, x, below)
    return y if max_value is None else xp.minimum(y, max_value)


def _relu_above(x: Array, negative_slope: float, max_value: float | None, threshold: float) -> Array:
    above = xp.where(x <= threshold, xp.zeros_like(x), x)
    above = above if max_value is None else xp.clip(above, 0, max_value)
    return above if negative_slope == 0 else above - negative_slope * xp.maximum(threshold - x, 0)


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6)."""
    return relu(x, max_value=6)


def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """x above 0, negative_slope * x below."""
    return relu(x, negative_slope=negative_slope)


@_pointwise
def elu(x: Array, alpha: float = 1.0) -> Array:
    """x above 0, alpha * (exp(x) - 1) below. Source: Clevert et al. 2016."""
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


@_pointwise
def celu(x: Array, alpha: float = 1.0) -> Array:
    """x above 0, alpha * (exp(x / alpha) - 1) below. Source: Barron 2017."""
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0) / alpha)


@_pointwise
def selu(x: Array) -> Array:
    """scale * elu(x, alpha) with the self-normalising constants. Source: Klambauer et al. 2017."""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


@_silent
def exponential(x: Array) -> Array:
    """exp(x)."""
    return xp.exp(x)


@_pointwise
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return ops.sigmoid(x)


def tanh(x: Array) -> Array:
    """tanh(x)."""
    return ops.tanh(x)


@_pointwise
def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    # min(x, -x) is -|x| with the slope 0 at 0, so that the slope of the sum is 1/2 there
    return xp.maximum(x, 0) + xp.log1p(xp.exp(xp.minimum(x, -x)))


@_pointwise
def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + xp.abs(x))


@_pointwise
def log_sigmoid(x: Array) -> Array:
    """log(sigmoid(x))."""
    return -softplus(-x)


@_pointwise
def silu(x: Array) -> Array:
    """x * sigmoid(x), also called swish. Source: Ramachandran et al. 2017."""
    y = ops.sigmoid(x)
    y *= x
    return y


@_pointwise
def mish(x: Array) -> Array:
    """x * tanh(softplus(x)). Source: Misra 2019."""
    return x * xp.tanh(softplus(x))


@_pointwise
def gelu(x: Array, approximate: bool = False) -> Array:
    """x * Phi(x), exact by erf or `approximate` by tanh. Source: Hendrycks and Gimpel 2016."""
    if approximate:
        return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * ops.erfc(x * -math.sqrt(0.5))


def halved(shape: Shape, axis: int) -> Shape:
    """`shape` after a `glu`."""
    size = shape[axis]
    if size is not None and size % 2:
        raise ValueError(f"glu halves axis {axis}, whose size must be even; got shape {tuple(shape)}")
    return (*shape[:axis], None if size is None else size // 2, *shape[axis + 1 :])


@_silent
def glu(x: Array, axis: int = -1) -> Array:
    """The first half of `axis` times the sigmoid of the second. Source: Dauphin et al. 2017."""
    halved(x.shape, axis % x.ndim)
    value, gate = xp.split(x, 2, axis=axis)
    return value * sigmoid(gate)


@_pointwise
def hard_sigmoid(x: Array) -> Array:
    """min(max(x + 3, 0), 6) / 6: Keras 3's. Keras 1 and 2 meant `hard_sigmoid_keras2` by this name."""
    return ops.clip(x + 3, 0, 6) / 6


def hard_sigmoid_keras2(x: Array) -> Array:
    """min(max(0.2 x + 0.5, 0), 1): what Keras up to 2.15 calls hard_sigmoid."""
    return xp.clip(0.2 * x + 0.5, 0, 1)


@_pointwise
def hard_silu(x: Array) -> Array:
    """x * hard_sigmoid(x), also called hard_swish. Source: Howard et al. 2019."""
    return x * hard_sigmoid(x)


def hard_tanh(x: Array) -> Array:
    """min(max(x, -1), 1)."""
    return xp.clip(x, -1, 1)


@_pointwise
def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """x where |x| > threshold, else 0; NaN stays, which Keras makes 0, as with the threshold of `relu`."""
    return xp.where(xp.abs(x) <= threshold, xp.zeros_like(x), x)


@_pointwise
def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """x moved towards 0 by `threshold`, 0 between; NaN stays, which Keras makes 0."""
    return x - xp.clip(x, -threshold, threshold)


@_pointwise
def tanh_shrink(x: Array) -> Array:
    """x - tanh(x)."""
    return x - xp.tanh(x)


def threshold(x: Array, threshold: float, default_value: float) -> Array:
    """x above `threshold`, else `default_value`."""
    return xp.where(x > threshold, x, xp.full_like(x, default_value))


@_pointwise
def sparse_plus(x: Array) -> Array:
    """0 up to -1, (x + 1)^2 / 4 up to 1, then x."""
    return xp.where(x <= -1, xp.zeros_like(x), xp.where(x < 1, 0.25 * (x + 1) * (x + 1), x))


def sparse_sigmoid(x: Array) -> Array:
    """min(max((x + 1) / 2, 0), 1)."""
    return xp.clip(0.5 * (x + 1), 0, 1)


@_pointwise
def squareplus(x: Array, b: float = 4) -> Array:
    """(x + sqrt(x^2 + b)) / 2. Source: Barron 2021."""
    return (x + xp.sqrt(x * x + b)) / 2


@_silent
def softmax(x: Array, axis: Axis = -1) -> Array:
    """exp(x) normalised to sum 1 over `axis` (several axes, or None for all).

    A NaN or +inf makes the whole row NaN, as in IEEE arithmetic and in Keras with float64, float16 or `jit_compile`;
    Keras's float32 kernel on CPUs leaves 0 in some places of the row, depending on the processor.
    """
    y, total = ops.exponentials(x, tuple(axis) if isinstance(axis, Sequence) else axis)
    y /= total
    return y


@_silent
def log_softmax(x: Array, axis: Axis = -1) -> Array:
    """log(softmax(x)) over `axis` (several axes, or None for all)."""
    if x.size == 0:
        return x
    axes = tuple(axis) if isinstance(axis, Sequence) else axis
    shifted = x - xp.max(x, axis=axes, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axes, keepdims=True))


@_silent
def sparsemax(x: Array, axis: int = -1) -> Array:
    """max(x - tau, 0) with Keras's tau: (the sum of the *partial sums* of the k kept entries - 1) / k.

    That is the projection onto the simplex only where one entry is kept; the paper's tau uses the last partial sum.
    NaN stays at its place; in Keras infinity may come at others.
    Source: keras.activations.sparsemax, after Martins and Astudillo 2016.
    """
    falling = -xp.sort(-x, axis=axis)
    total = xp.cumsum(falling, axis=axis)
    sizes = [1] * x.ndim
    sizes[axis] = -1
    rank = xp.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(sizes)
    support = falling - (total - 1) / rank > 0
    inside = xp.sum(xp.where(support, total, xp.zeros_like(x)), axis=axis, keepdims=True)
    tau = (inside - 1) / xp.sum(support, axis=axis, keepdims=True).astype(x.dtype)
    return xp.maximum(x - tau, 0)


ACTIVATIONS: dict[str, Callable[..., Array]] = {
    f.__name__: f
    for f in (
        *(celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, leaky_relu, linear),
        *(log_sigmoid, log_softmax, mish, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus),
        *(softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, tanh, tanh_shrink, hard_sigmoid_keras2),
    )
} | {"swish": silu, "hard_swish": hard_silu, "threshold": threshold}
"""{name in Keras: function}; `threshold` needs arguments."""

IN_LAYERS.update({name: IN_LAYERS.get(function.__name__, function) for name, function in ACTIVATIONS.items()})


UNBOUNDED = (None, None)
CLAMPS: dict[Activation, tuple[float | None, float | None]] = {
    None: UNBOUNDED,
    "linear": UNBOUNDED,
    "relu": (0.0, None),
    "relu6": (0.0, 6.0),
}
"""{activation that at most clips, which backends fuse with the bias: (least, most)}."""


def activate(activation: Activation, params: Params, y: Array) -> Array:
    """Apply `activation` to `y`: a name in `ACTIVATIONS`, None, or a step with the params params["activation"]."""
    if activation is None or activation == "linear":
        return y
    if isinstance(activation, str):
        try:
            return IN_LAYERS[activation](y)
        except KeyError:
            raise ValueError(f"no activation {activation!r}; known: {', '.join(sorted(ACTIVATIONS))}") from None
    return activation(params.get("activation", {}), y)
