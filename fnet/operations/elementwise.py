"""Elementwise operations: arithmetic and functions of one number.

Each is defined in one line: its name, its docstring and the function of arrays that computes it. Operations of two
tensors broadcast. Source of names and dtype rules: keras.ops on TensorFlow.
"""

# ruff: noqa: A001 - the operations have Keras's names
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from fnet.backend import ops, xp
from fnet.core.room import copies
from fnet.dtypes import (
    as_floats,
    bounds,
    dtype_of,
    floating,
    is_bool,
    is_complex,
    is_float,
    promoted,
    strong,
    tensor,
    without_bool,
)
from fnet.operations.rules import Operation, broadcast, like, named, operation
from fnet.types import Array, Range

Kernel = str | Callable[..., Any]
"""A function, or the name of one in `xp` or else `ops`, which is looked up at the call."""


def kernel_of(kernel: Kernel) -> Callable[..., Any]:
    """The function of a kernel."""
    if not isinstance(kernel, str):
        return kernel
    function: Callable[..., Any] = getattr(xp if hasattr(xp, kernel) else ops, kernel)
    return function


def unary(name: str, text: str, kernel: Kernel, prepare: Callable[[Any], Array] = tensor, more: int = 0) -> Operation:
    """An operation of one tensor of any shape; `prepare` casts it. more: further arrays of its size in memory."""

    def apply(x: Array) -> Array:
        return kernel_of(kernel)(prepare(x))

    return operation(like, room=copies(more))(named(name, text, apply))


def binary(name: str, text: str, kernel: Kernel, prepare: Callable[..., list[Any]] = promoted) -> Operation:
    """An operation of two tensors or numbers that broadcast; `prepare` brings them to one dtype."""

    def apply(x1: Array, x2: Array) -> Array:
        return kernel_of(kernel)(*prepare(x1, x2))

    return operation(broadcast)(named(name, text, apply))


def _float64_of_int64(*xs: Any) -> list[Array]:
    """Tensors as floats; int64 becomes float64, as in a few functions of Keras."""
    arrays = strong(*xs)
    return [tensor(a, "float64") for a in arrays] if arrays[0].dtype.name == "int64" else floating(*arrays)


def _wide(x: Any) -> Array:
    return _float64_of_int64(x)[0]


def _counts(*xs: Any) -> list[Array]:
    return [without_bool(x) for x in strong(*xs)]


# --- arithmetic -----------------------------------------------------------------------------------


def _divide_no_nan(x1: Any, x2: Any) -> Array:
    quotient = xp.true_divide(x1, x2)
    return xp.where(xp.equal(x2, 0), xp.zeros_like(quotient), quotient)


def _floor_divide(x1: Any, x2: Any) -> Array:
    """floor(x1 / x2): NumPy corrects the quotient of floats by its remainder, TensorFlow does not."""
    if "float" in dtype_of(x1) + dtype_of(x2):
        return xp.floor(xp.true_divide(x1, x2))
    return xp.floor_divide(x1, x2)


def _hypot(x1: Array, x2: Array) -> Array:
    x1, x2 = xp.abs(x1), xp.abs(x2)
    large, small = xp.maximum(x1, x2), xp.minimum(x1, x2)
    ratio = _divide_no_nan(small, large)
    return large * xp.sqrt(1 + ratio * ratio)


def _logaddexp(x1: Array, x2: Array, unit: float = 1.0) -> Array:
    gap = x1 - x2
    y = xp.maximum(x1, x2) + xp.log1p(xp.exp(-xp.abs(gap) * unit)) / unit
    return xp.where(xp.isnan(gap), x1 + x2, y)


def _heaviside(x1: Array, x2: Array) -> Array:
    return xp.where(x1 < 0, xp.zeros_like(x1), xp.where(x1 > 0, xp.ones_like(x1), x2))


def _ldexp(x1: Array, x2: Array) -> Array:
    return xp.where(xp.isinf(x1) | (x1 == 0), x1, x1 * xp.power(2.0, x2).astype(x1.dtype))


add = binary("add", "x1 + x2.", "add")
subtract = binary("subtract", "x1 - x2.", "subtract")
multiply = binary("multiply", "x1 * x2.", "multiply")


def _dividends(x1: Any, x2: Any) -> list[Any]:
    """Floats of one dtype, Python numbers weak."""
    kinds = dtype_of(x1) + dtype_of(x2)
    return promoted(x1, x2) if "float" in kinds or "complex" in kinds else floating(x1, x2)


divide = binary("divide", "x1 / x2, always of floats.", "true_divide", _dividends)
true_divide = binary("true_divide", "x1 / x2, always of floats.", "true_divide", _dividends)
divide_no_nan = binary("divide_no_nan", "x1 / x2, 0 where x2 is 0.", _divide_no_nan, _dividends)
floor_divide = binary("floor_divide", "floor(x1 / x2).", _floor_divide)
mod = binary("mod", "x1 - x2 * floor(x1 / x2), of the sign of x2.", "mod", _counts)
fmod = binary("fmod", "sign(x1) * (|x1| mod |x2|).", lambda a, b: xp.sign(a) * xp.mod(xp.abs(a), xp.abs(b)), _counts)
power = binary("power", "x1 to the power x2.", "power")
maximum = binary("maximum", "The larger of x1 and x2; NaN wins.", "maximum")
minimum = binary("minimum", "The smaller of x1 and x2; NaN wins.", "minimum")
fmax = binary("fmax", "The larger of x1 and x2; NaN loses.", "fmax")
fmin = binary("fmin", "The smaller of x1 and x2; NaN loses.", "fmin")
arctan2 = binary("arctan2", "The angle of the point (x2, x1).", "arctan2", floating)
hypot = binary("hypot", "sqrt(x1^2 + x2^2) without overflow.", _hypot, _float64_of_int64)
heaviside = binary("heaviside", "0 below 0, x2 at 0, 1 above.", _heaviside, _float64_of_int64)
logaddexp = binary("logaddexp", "log(exp(x1) + exp(x2)).", _logaddexp, floating)
logaddexp2 = binary("logaddexp2", "log2(2^x1 + 2^x2).", lambda a, b: _logaddexp(a, b, math.log(2)), floating)
ldexp = binary("ldexp", "x1 * 2^x2 for integers x2.", _ldexp, floating)
nextafter = binary("nextafter", "The float next to x1 towards x2.", "nextafter", floating)
gcd = binary("gcd", "The greatest common divisor of integers.", "gcd", strong)
lcm = binary("lcm", "The least common multiple of integers.", "lcm", strong)


# --- functions of one number ----------------------------------------------------------------------


def _magnitude(x: Array) -> Array:
    return x if is_bool(x) else xp.abs(x)


def _sinc(x: Array) -> Array:
    y = math.pi * xp.where(x == 0, xp.ones_like(x), x)
    return xp.where(x == 0, xp.ones_like(x), xp.sin(y) / y)


def _sign(x: Array) -> Array:
    if is_complex(x):
        return xp.where(x == 0, xp.zeros_like(x), x / xp.abs(x))
    return xp.sign(x)


def _reciprocal(x: Array) -> Array:
    return 1 / x if is_float(x) or is_complex(x) else xp.floor_divide(xp.ones_like(x), x)


absolute = unary("absolute", "|x|.", _magnitude)
abs = unary("abs", "|x|.", _magnitude)
fabs = unary("fabs", "|x| as a float.", "abs", as_floats)
negative = unary("negative", "-x.", "negative")
sign = unary("sign", "-1, 0 or 1.", _sign)
square = unary("square", "x^2.", "square", lambda x: without_bool(tensor(x)))
sqrt = unary("sqrt", "The square root.", "sqrt", as_floats)
rsqrt = unary("rsqrt", "1 / sqrt(x).", lambda x: 1 / xp.sqrt(x))
cbrt = unary("cbrt", "The cube root.", lambda x: xp.sign(x) * xp.power(xp.abs(x), 1 / 3), _wide)
reciprocal = unary("reciprocal", "1 / x.", _reciprocal)
exp = unary("exp", "e to the power x.", "exp", as_floats)
exp2 = unary("exp2", "2 to the power x.", "exp2", as_floats)
expm1 = unary("expm1", "exp(x) - 1.", "expm1", as_floats)
log = unary("log", "The natural logarithm.", "log", as_floats)
log2 = unary("log2", "The logarithm to base 2.", "log2", as_floats)
log10 = unary("log10", "The logarithm to base 10.", "log10", as_floats)
log1p = unary("log1p", "log(1 + x).", "log1p", as_floats)
sin = unary("sin", "The sine.", "sin", as_floats)
cos = unary("cos", "The cosine.", "cos", as_floats)
tan = unary("tan", "The tangent.", "tan", as_floats)
arcsin = unary("arcsin", "The inverse sine.", "arcsin", as_floats)
arccos = unary("arccos", "The inverse cosine.", "arccos", as_floats)
arctan = unary("arctan", "The inverse tangent.", "arctan", as_floats)
sinh = unary("sinh", "The hyperbolic sine.", "sinh", as_floats)
cosh = unary("cosh", "The hyperbolic cosine.", "cosh", as_floats)
tanh = unary("tanh", "The hyperbolic tangent.", "tanh", as_floats)
arcsinh = unary("arcsinh", "The inverse hyperbolic sine.", "arcsinh", as_floats)
arccosh = unary("arccosh", "The inverse hyperbolic cosine.", "arccosh", as_floats)
arctanh = unary("arctanh", "The inverse hyperbolic tangent.", "arctanh", as_floats)
sinc = unary("sinc", "sin(pi x) / (pi x), 1 at 0.", _sinc, as_floats)
deg2rad = unary("deg2rad", "Degrees to radians.", lambda x: x * (math.pi / 180), _wide)
rad2deg = unary("rad2deg", "Radians to degrees.", lambda x: x * (180 / math.pi), _wide)
floor = unary("floor", "The largest whole number not above x.", "floor", as_floats)
ceil = unary("ceil", "The smallest whole number not below x.", "ceil", as_floats)
trunc = unary("trunc", "x without its fraction.", lambda x: xp.trunc(x) if is_float(x) else x)
erf = unary("erf", "The error function.", "erf")
erfc = unary("erfc", "1 - erf(x).", "erfc")
erfinv = unary("erfinv", "The inverse of the error function.", "erfinv", more=20)
i0 = unary("i0", "The modified Bessel function of order 0.", "i0", _wide, more=8)
copy = unary("copy", "x itself: arrays are values here.", lambda x: x)
stop_gradient = unary("stop_gradient", "x, a constant for gradients.", "stop_gradient")


# --- complex numbers ------------------------------------------------------------------------------


real = unary("real", "The real part.", "real")
imag = unary("imag", "The imaginary part.", lambda x: xp.imag(x) if is_complex(x) else xp.zeros_like(x))
conj = unary("conj", "The complex conjugate.", "conj")
conjugate = unary("conjugate", "The complex conjugate.", "conj")
angle = unary("angle", "The argument of a complex number; 0 or pi for a real one.", "angle", as_floats)
isreal = unary("isreal", "Whether the imaginary part is 0.", lambda x: xp.equal(xp.imag(x), 0))


# --- with options ---------------------------------------------------------------------------------


@operation(like)
def round(x: Array, *, decimals: Annotated[int, Range(-308, 308)] = 0) -> Array:
    """`x` rounded to `decimals`, halves to even."""
    x = tensor(x)
    if not is_float(x) and decimals >= 0:
        return x
    factor = 10.0**decimals
    wide = x if is_float(x) else ops.cast(x, "float32")
    rounded = xp.round(wide) if decimals == 0 else xp.round(wide * factor) / factor
    return rounded.astype(x.dtype)


@operation(like)
def clip(x: Array, *, x_min: float, x_max: float) -> Array:
    """`x` limited to [x_min, x_max], to x_min where that is larger than x_max; bools become int32."""
    x = without_bool(tensor(x))
    low, high = (tensor(limit, x.dtype.name) for limit in (x_min, x_max))
    return xp.maximum(xp.minimum(x, high), low)


@operation(like)
def nan_to_num(x: Array, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Array:
    """`x` with NaN and infinities replaced, the latter by the largest floats unless `posinf` or `neginf` is given."""
    x = tensor(x)
    if not is_float(x):
        return x
    low, high = bounds(x.dtype.name)
    x = xp.where(xp.isnan(x), xp.full_like(x, nan), x)
    x = xp.where(xp.isposinf(x), xp.full_like(x, high if posinf is None else posinf), x)
    return xp.where(xp.isneginf(x), xp.full_like(x, low if neginf is None else neginf), x)
