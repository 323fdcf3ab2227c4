"""Functions of one number or of two that broadcast: arithmetic, comparisons, logic, bits, activations.

All tensors have the same dtype, and numbers take it: nothing is promoted. Source of names and dtype rules: TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fnet import operations
from fnet.activation_functions import ACTIVATIONS
from fnet.backend import ops, xp
from fnet.core.room import copies
from fnet.dtypes import is_complex, is_float, is_integral, saturated, tensor, together
from fnet.operations.elementwise import Kernel, kernel_of
from fnet.operations.rules import Operation, broadcast, named
from fnet.shapes import broadcast_shapes, joined, shape_of
from fnet.tf_functions.rules import REAL, as_spec, dtype_like, function, same_rule
from fnet.types import Array, Spec


def unary(name: str, text: str, kernel: Kernel, *names: str, dtype: str | None = None, more: int = 0) -> Operation:
    """A function of one tensor; `dtype`: that of the result, if it differs. more: arrays of its size in memory."""

    def apply(x: Array) -> Array:
        return kernel_of(kernel)(tensor(x))

    def rule(x: Any) -> Spec:
        return Spec(shape_of(x), dtype or as_spec(x).dtype)

    return function(rule, *names, rows=True, room=copies(more))(named(name, text, apply))


def _keras(operation: Operation) -> Callable[..., Array]:
    return lambda *xs: operation({}, xs if len(xs) > 1 else xs[0])


def _broadcast(x: Any, y: Any) -> Any:
    return broadcast_shapes(shape_of(x), shape_of(y))


def binary(name: str, text: str, kernel: Kernel, *names: str, dtype: str | None = None) -> Operation:
    """A function of two tensors or numbers that broadcast; `dtype`: that of the result, if it differs."""

    def apply(x: Array, y: Array) -> Array:
        return kernel_of(kernel)(*together(x, y))

    def rule(x: Any, y: Any) -> Spec:
        return Spec(_broadcast(x, y), dtype or dtype_like(x, y))

    return function(rule, *names)(named(name, text, apply))


# --- one number -----------------------------------------------------------------------------------


def _real_of(x: Any) -> Spec:
    spec = as_spec(x)
    return Spec(spec.shape, REAL.get(spec.dtype, spec.dtype))


@function(_real_of, "math.abs", rows=True)
def absolute(x: Array) -> Array:
    """|x|; a float for complex numbers."""
    return xp.abs(tensor(x))


@function(_real_of, "math.real", rows=True, same=True)
def real(x: Array) -> Array:
    """The real part."""
    x = tensor(x)
    return xp.real(x) if is_complex(x) else x


@function(same_rule, "math.conj", rows=True, same=True)
def conj(x: Array) -> Array:
    """The complex conjugate."""
    x = tensor(x)
    return xp.conj(x) if is_complex(x) else x


@function(_real_of, "math.imag", rows=True)
def imag(x: Array) -> Array:
    """The imaginary part."""
    x = tensor(x)
    return xp.imag(x) if is_complex(x) else xp.zeros_like(x)


@function(_real_of, "math.angle", rows=True)
def angle(x: Array) -> Array:
    """The argument of a complex number; 0 or pi for a real one."""
    x = tensor(x)
    return xp.angle(x) if is_complex(x) else xp.where(x < 0, xp.full_like(x, math.pi), xp.zeros_like(x))


def _ndtri(x: Array) -> Array:
    return math.sqrt(2) * ops.erfinv(2 * x - 1)


negative = unary("negative", "-x.", "negative", "math.negative")
sign = unary("sign", "-1, 0 or 1.", _keras(operations.sign), "math.sign")
square = unary("square", "x^2.", "square", "math.square")
sqrt = unary("sqrt", "The square root.", "sqrt", "math.sqrt")
rsqrt = unary("rsqrt", "1 / sqrt(x).", lambda x: 1 / xp.sqrt(x), "math.rsqrt")
reciprocal = unary("reciprocal", "1 / x.", _keras(operations.reciprocal), "math.reciprocal")
exp = unary("exp", "e to the power x.", "exp", "math.exp", "keras.activations.exponential")
expm1 = unary("expm1", "exp(x) - 1.", "expm1", "math.expm1")
log = unary("log", "The natural logarithm.", "log", "math.log")
log1p = unary("log1p", "log(1 + x).", "log1p", "math.log1p")
sin = unary("sin", "The sine.", "sin", "math.sin")
cos = unary("cos", "The cosine.", "cos", "math.cos")
tan = unary("tan", "The tangent.", "tan", "math.tan")
asin = unary("asin", "The inverse sine.", "arcsin", "math.asin")
acos = unary("acos", "The inverse cosine.", "arccos", "math.acos")
atan = unary("atan", "The inverse tangent.", "arctan", "math.atan")
sinh = unary("sinh", "The hyperbolic sine.", "sinh", "math.sinh")
cosh = unary("cosh", "The hyperbolic cosine.", "cosh", "math.cosh")
tanh = unary("tanh", "The hyperbolic tangent.", "tanh", "math.tanh", "nn.tanh")
asinh = unary("asinh", "The inverse hyperbolic sine.", "arcsinh", "math.asinh")
acosh = unary("acosh", "The inverse hyperbolic cosine.", "arccosh", "math.acosh")
atanh = unary("atanh", "The inverse hyperbolic tangent.", "arctanh", "math.atanh")
floor = unary("floor", "The largest whole number not above x.", "floor", "math.floor")
ceil = unary("ceil", "The smallest whole number not below x.", "ceil", "math.ceil")
rint = unary("rint", "The nearest whole number, halves to even.", "rint", "math.rint")
round_half_to_even = unary(
    "round_half_to_even",
    "The nearest whole number, halves to even.",
    lambda x: xp.round(x) if is_float(x) else x,
    "math.round",
)
erf = unary("erf", "The error function.", "erf", "math.erf")
erfc = unary("erfc", "1 - erf(x).", "erfc", "math.erfc")
erfinv = unary("erfinv", "The inverse of the error function.", "erfinv", "math.erfinv", more=20)
ndtri = unary("ndtri", "The quantiles of the normal distribution.", _ndtri, "math.ndtri", more=20)
erfcinv = unary("erfcinv", "The inverse of erfc.", lambda x: -_ndtri(0.5 * x) * math.sqrt(0.5), "math.erfcinv", more=20)
bessel_i0 = unary(
    "bessel_i0",
    "The modified Bessel function of order 0.",
    lambda x: xp.i0(x).astype(x.dtype),
    "math.bessel_i0",
    "math.special.bessel_i0",
    more=8,
)
lgamma = unary("lgamma", "The logarithm of |gamma(x)|.", "lgamma", "math.lgamma", more=8)
digamma = unary("digamma", "The derivative of lgamma.", "digamma", "math.digamma", more=20)
logical_not = unary("logical_not", "not x.", "logical_not", "math.logical_not")
invert = unary("invert", "Every bit flipped.", "invert", "bitwise.invert")
is_nan = unary("is_nan", "Whether x is NaN.", "isnan", "math.is_nan", dtype="bool")
is_inf = unary("is_inf", "Whether x is infinite.", "isinf", "math.is_inf", dtype="bool")
is_finite = unary("is_finite", "Whether x is neither NaN nor infinite.", "isfinite", "math.is_finite", dtype="bool")


# --- activations ----------------------------------------------------------------------------------


def _activation(name: str, *names: str) -> Operation:
    compute = ACTIVATIONS[name]
    return unary(name.removesuffix("_keras2"), compute.__doc__ or name, lambda x: compute(x), *names)


sigmoid = _activation("sigmoid", "math.sigmoid", "nn.sigmoid", "keras.activations.sigmoid")
log_sigmoid = _activation("log_sigmoid", "math.log_sigmoid")
softplus = _activation("softplus", "math.softplus", "nn.softplus", "keras.activations.softplus")
softsign = _activation("softsign", "nn.softsign", "keras.activations.softsign")
relu6 = _activation("relu6", "nn.relu6")
selu = _activation("selu", "nn.selu", "keras.activations.selu")
mish = _activation("mish", "keras.activations.mish")
hard_sigmoid = _activation("hard_sigmoid_keras2", "keras.backend.hard_sigmoid", "keras.activations.hard_sigmoid")


@function(same_rule, "nn.relu", rows=True)
def relu(features: Array) -> Array:
    """max(x, 0)."""
    return xp.maximum(tensor(features), 0)


@function(same_rule, "nn.elu", "keras.activations.elu", "keras.backend.elu", rows=True)
def elu(features: Array, *, alpha: float = 1.0) -> Array:
    """x above 0, alpha * (exp(x) - 1) below."""
    return ACTIVATIONS["elu"](tensor(features), alpha)


def _leaky_rule(x: Any, *, alpha: float = 1.0, negative_slope: float = 0.0) -> Spec:
    """Integers become floats where there is a slope."""
    spec = same_rule(x)
    return Spec(spec.shape, "float32") if is_integral(spec.dtype) and (alpha or negative_slope) else spec


@function(lambda features: _leaky_rule(features), "nn.leaky_relu", rows=True)
def leaky_relu(features: Array, *, alpha: float = 0.2) -> Array:
    """x above 0, alpha * x below."""
    x = tensor(features)
    x = x if is_float(x) else ops.cast(x, "float32")
    return ACTIVATIONS["leaky_relu"](x, alpha)


@function(same_rule, "nn.gelu", rows=True)
def gelu(features: Array, *, approximate: bool = False) -> Array:
    """x * Phi(x), exact unless `approximate`."""
    return ACTIVATIONS["gelu"](tensor(features), approximate)


@function(same_rule, "nn.silu", "nn.swish", "keras.activations.swish", rows=True)
def silu(features: Array, *, beta: float = 1.0) -> Array:
    """x * sigmoid(beta * x)."""
    x = tensor(features)
    return ACTIVATIONS["silu"](x) if beta == 1 else x * ACTIVATIONS["sigmoid"](beta * x)


@function(_leaky_rule, "keras.activations.relu", "keras.backend.relu", rows=True)
def relu_with_limits(
    x: Array, *, alpha: float = 0.0, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """x above `threshold` (at most `max_value`), alpha * (x - threshold) below."""
    return ACTIVATIONS["relu"](tensor(x), alpha or negative_slope, max_value, threshold)


def _crelu_rule(features: Any, *, axis: int) -> Spec:
    shape = list(features.shape)
    shape[axis] = None if shape[axis] is None else 2 * shape[axis]
    return Spec(tuple(shape), features.dtype)


@function(_crelu_rule, "nn.crelu")
def crelu(features: Array, *, axis: int = -1) -> Array:
    """relu of x and of -x, one after the other along `axis`."""
    x = tensor(features)
    return xp.maximum(xp.concatenate([x, -x], axis=axis), 0)


# --- two numbers ----------------------------------------------------------------------------------

_QUOTIENTS = {
    **dict.fromkeys(("int8", "int16", "uint8", "uint16"), "float32"),
    **dict.fromkeys(("int32", "int64", "uint32", "uint64"), "float64"),
}
"""{integer dtype: the dtype of its quotients}."""


def truediv_rule(x: Any, y: Any) -> Spec:
    dtype = dtype_like(x, y)
    return Spec(_broadcast(x, y), _QUOTIENTS.get(dtype, dtype))


def squares(x: Array) -> Array:
    """|x|^2, in the dtype of `x`."""
    return x * xp.conj(x) if is_complex(x) else x * x


@function(truediv_rule, "math.truediv", "math.divide")
def truediv(x: Array, y: Array) -> Array:
    """x / y; float64 for integers of 32 bits and more, float32 for smaller ones."""
    return quotient(*together(x, y))


@function(truediv_rule, "math.divide_no_nan")
def divide_no_nan(x: Array, y: Array) -> Array:
    """x / y as `truediv` has it, 0 where y is 0."""
    x, y = together(x, y)
    return _unless_zero(y, quotient(x, y))


def quotient(x: Array, y: Array) -> Array:
    """x / y of one dtype, as `truediv` has it."""
    dtype = _QUOTIENTS.get(x.dtype.name, x.dtype.name)
    return xp.true_divide(tensor(x, dtype), tensor(y, dtype))


def _floordiv(x: Array, y: Array) -> Array:
    return xp.floor(xp.true_divide(x, y)) if is_float(x) else xp.floor_divide(x, y)


def truncated(x: Array, y: Any) -> Array:
    """x / y without its fraction."""
    return xp.trunc(xp.true_divide(x, y)) if is_float(x) else xp.floor_divide(x - xp.fmod(x, y), y)


def _div(x: Array, y: Array) -> Array:
    return xp.true_divide(x, y) if is_float(x) else _floordiv(x, y)


def _unless_zero(by: Array, y: Array) -> Array:
    return xp.where(by == 0, xp.zeros_like(y), y)


add = binary("add", "x + y.", "add", "math.add", "__operators__.add")
subtract = binary("subtract", "x - y.", "subtract", "math.subtract")
multiply = binary("multiply", "x * y.", "multiply", "math.multiply", "math.scalar_mul")
realdiv = binary("realdiv", "x / y of floats.", "true_divide", "realdiv")
div = binary("div", "x / y of floats, floor(x / y) of integers.", _div, "compat.v1.div")
floordiv = binary("floordiv", "floor(x / y).", _floordiv, "math.floordiv", "compat.v1.floor_div")
floormod = binary("floormod", "x - y * floor(x / y), of the sign of y.", "mod", "math.floormod")
truncatediv = binary("truncatediv", "x / y without its fraction.", truncated, "truncatediv")
truncatemod = binary("truncatemod", "What truncatediv leaves, of the sign of x.", "fmod", "truncatemod")
reciprocal_no_nan = unary(
    "reciprocal_no_nan",
    "1 / x, 0 where x is 0.",
    lambda x: _unless_zero(x, xp.true_divide(xp.ones_like(x), x)),
    "math.reciprocal_no_nan",
)
multiply_no_nan = binary(
    "multiply_no_nan", "x * y, 0 where y is 0.", lambda x, y: _unless_zero(y, x * y), "math.multiply_no_nan"
)
power = binary("power", "x to the power y.", "power", "math.pow")
maximum = binary("maximum", "The larger of x and y.", "maximum", "math.maximum")
minimum = binary("minimum", "The smaller of x and y.", "minimum", "math.minimum")
squared_difference = binary("squared_difference", "|x - y|^2.", lambda x, y: squares(x - y), "math.squared_difference")
xdivy = binary("xdivy", "x / y, 0 where x is 0.", lambda x, y: _unless_zero(x, xp.true_divide(x, y)), "math.xdivy")
xlogy = binary("xlogy", "x log(y), 0 where x is 0.", lambda x, y: _unless_zero(x, x * xp.log(y)), "math.xlogy")
xlog1py = binary(
    "xlog1py", "x log(1 + y), 0 where x is 0.", lambda x, y: _unless_zero(x, x * xp.log1p(y)), "math.xlog1py"
)
nextafter = binary("nextafter", "The float next to x1 towards x2.", "nextafter", "math.nextafter")
equal = binary("equal", "x == y.", "equal", "math.equal", dtype="bool")
not_equal = binary("not_equal", "x != y.", "not_equal", "math.not_equal", dtype="bool")
greater = binary("greater", "x > y.", "greater", "math.greater", dtype="bool")
greater_equal = binary("greater_equal", "x >= y.", "greater_equal", "math.greater_equal", dtype="bool")
less = binary("less", "x < y.", "less", "math.less", dtype="bool")
less_equal = binary("less_equal", "x <= y.", "less_equal", "math.less_equal", dtype="bool")
logical_and = binary("logical_and", "x and y.", "logical_and", "math.logical_and", dtype="bool")
logical_or = binary("logical_or", "x or y.", "logical_or", "math.logical_or", dtype="bool")
logical_xor = binary("logical_xor", "Either x or y.", "logical_xor", "math.logical_xor", dtype="bool")
bitwise_and = binary("bitwise_and", "The bits that both have.", "bitwise_and", "bitwise.bitwise_and")
bitwise_or = binary("bitwise_or", "The bits that either has.", "bitwise_or", "bitwise.bitwise_or")
bitwise_xor = binary("bitwise_xor", "The bits that exactly one has.", "bitwise_xor", "bitwise.bitwise_xor")
left_shift = binary("left_shift", "x * 2^y.", _keras(operations.left_shift), "bitwise.left_shift")
right_shift = binary("right_shift", "floor(x / 2^y).", _keras(operations.right_shift), "bitwise.right_shift")


@function(lambda x, y: Spec(_broadcast(x, y), "bool"), "math.approximate_equal")
def approximate_equal(x: Array, y: Array, *, tolerance: float = 1e-5) -> Array:
    """Whether |x - y| < tolerance."""
    x, y = together(x, y)
    return xp.abs(x - y) < tolerance


@function(lambda y, x: Spec(_broadcast(y, x), dtype_like(y, x)), "math.atan2")
def atan2(y: Array, x: Array) -> Array:
    """The angle of the point (x, y)."""
    return xp.arctan2(*together(y, x))


def _complex_rule(real: Any, imag: Any) -> Spec:
    dtype = dtype_like(real, imag)
    return Spec(_broadcast(real, imag), "complex128" if dtype == "float64" else "complex64")


@function(_complex_rule, "dtypes.complex")
def complex_number(real: Array, imag: Array) -> Array:
    """real + i imag."""
    real, imag = together(real, imag)
    return tensor(real + 1j * imag, "complex128" if real.dtype.name == "float64" else "complex64")


# --- with limits, and several tensors -------------------------------------------------------------


def _clip_rule(t: Any, clip_value_min: Any, clip_value_max: Any) -> Spec:
    return Spec(broadcast(t, clip_value_min, clip_value_max), as_spec(t).dtype)


@function(_clip_rule, "clip_by_value", "keras.backend.clip")
def clip_by_value(t: Array, clip_value_min: Array, clip_value_max: Array) -> Array:
    """`t` limited to [clip_value_min, clip_value_max]."""
    t, low, high = together(t, clip_value_min, clip_value_max)
    return xp.maximum(xp.minimum(t, high), low)


def _sum_rule(inputs: Sequence[Any]) -> Spec:
    return Spec(broadcast_shapes(*(as_spec(x).shape for x in inputs)), dtype_like(*inputs))


@function(_sum_rule, "math.add_n", "math.accumulate_n", same=True)
def add_n(inputs: Sequence[Array]) -> Array:
    """The sum of the tensors of a list."""
    first, *rest = together(*inputs)
    for x in rest:
        first = first + x
    return first


@function(lambda coeffs, x: _sum_rule(coeffs if len(coeffs) == 1 else [*coeffs, x]), "math.polyval", sizes=("coeffs",))
def polyval(coeffs: Sequence[Array], x: Array) -> Array:
    """The polynomial of `x` with the coefficients `coeffs`, the highest power first."""
    *coeffs, x = together(*coeffs, x)
    y = coeffs[0] if coeffs else xp.zeros_like(x)
    for c in coeffs[1:]:
        y = c + y * x
    return y


@function(lambda x, *, dtype: Spec(as_spec(x).shape, dtype), "cast", "keras.backend.cast", rows=True, same=True)
def cast(x: Array, *, dtype: str) -> Array:
    """`x` as `dtype`; floats lose their fraction when they become integers."""
    return tensor(tensor(x), dtype)


def _cast_to(name: str, dtype: str) -> Operation:
    def apply(x: Array) -> Array:
        return tensor(tensor(x), dtype)

    rule = function(lambda x: Spec(as_spec(x).shape, dtype), f"compat.v1.{name}", rows=True, same=True)
    return rule(named(name, f"`x` as {dtype}.", apply))


to_float, to_double = _cast_to("to_float", "float32"), _cast_to("to_double", "float64")
to_int32, to_int64 = _cast_to("to_int32", "int32"), _cast_to("to_int64", "int64")


@function(lambda value, *, dtype: Spec(as_spec(value).shape, dtype), "dtypes.saturate_cast", rows=True)
def saturate_cast(value: Array, *, dtype: str) -> Array:
    """`value` as `dtype`, values outside its range moved to the nearest end."""
    return saturated(tensor(value), dtype, inside=True)


def _cast_rule(x: Any, *, dtype: str | None) -> Spec:
    spec = as_spec(x)
    return Spec(spec.shape, dtype or spec.dtype)


@function(_cast_rule, "convert_to_tensor", "compat.v1.convert_to_tensor", rows=True, same=True)
def convert_to_tensor(value: Array, *, dtype: str | None = None) -> Array:
    """`value` as a tensor."""
    return tensor(value, dtype)


identity = unary("identity", "x itself.", lambda x: x, "identity", "grad_pass_through", "debugging.check_numerics")
stop_gradient = unary("stop_gradient", "x, a constant for gradients.", "stop_gradient", "stop_gradient")


@function(lambda x, *, shape: Spec(joined(x.shape, shape), x.dtype), "ensure_shape", rows=True)
def ensure_shape(x: Array, *, shape: Sequence[int | None]) -> Array:
    """`x`, whose shape must fit `shape`."""
    fits = len(shape) == x.ndim and all(a in (None, b) for a, b in zip(shape, x.shape, strict=True))
    if not fits:
        raise ValueError(f"a tensor of shape {x.shape}; ensure_shape wants {tuple(shape)}")
    return x
