"""Elementwise operations: arithmetic, functions of one number, comparisons, logic, bits.

Each is made from one line: its name, its text and the function of arrays that computes it. Operations of two
tensors broadcast. Source of names and dtype rules: keras.ops on TensorFlow.
"""

# ruff: noqa: A001 - the operations have Keras's names
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fnet.backend import ops, xp
from fnet.operations.dtypes import (
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
from fnet.types import Array

Kernel = str | Callable[..., Any]
"""The name of a function of `xp`, looked up at the call, or a function."""


def _kernel(kernel: Kernel) -> Callable[..., Any]:
    return getattr(xp, kernel) if isinstance(kernel, str) else kernel


def _unary(name: str, text: str, kernel: Kernel, prepare: Callable[[Any], Array] = tensor) -> Operation:
    """An operation of one tensor of any shape; `prepare` casts it."""

    def apply(x: Array) -> Array:
        return _kernel(kernel)(prepare(x))

    return operation(like)(named(name, text, apply))


def _binary(name: str, text: str, kernel: Kernel, prepare: Callable[..., list[Any]] = promoted) -> Operation:
    """An operation of two tensors or numbers that broadcast; `prepare` brings them to one dtype."""

    def apply(x1: Array, x2: Array) -> Array:
        return _kernel(kernel)(*prepare(x1, x2))

    return operation(broadcast)(named(name, text, apply))


def _bits(name: str, text: str, kernel: Kernel) -> Operation:
    """An operation on the bits of two integer tensors; Keras calls them x and y."""

    def apply(x: Array, y: Array) -> Array:
        return _kernel(kernel)(*(promoted(x, y) if isinstance(y, int) else strong(x, y)))

    return operation(broadcast)(named(name, text, apply))


def _float(x: Any) -> Array:
    return floating(x)[0]


def _float64_of_int64(*xs: Any) -> list[Array]:
    """As floats; int64 gives float64, a rule of a few functions of Keras."""
    arrays = strong(*xs)
    return [tensor(a, "float64") for a in arrays] if arrays[0].dtype.name == "int64" else floating(*arrays)


def _truth(*xs: Any) -> list[Array]:
    return [tensor(x, "bool") for x in xs]


def _counts(*xs: Any) -> list[Array]:
    return [without_bool(x) for x in strong(*xs)]


# --- arithmetic -----------------------------------------------------------------------------------


def _divide_no_nan(x1: Any, x2: Any) -> Array:
    quotient = xp.true_divide(x1, x2)
    return xp.where(xp.equal(x2, 0), xp.zeros_like(quotient), quotient)


def _fmod(x1: Array, x2: Array) -> Array:
    return xp.sign(x1) * xp.mod(xp.abs(x1), xp.abs(x2))


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


def _logaddexp2(x1: Array, x2: Array) -> Array:
    return _logaddexp(x1, x2, math.log(2))


def _heaviside(x1: Array, x2: Array) -> Array:
    return xp.where(x1 < 0, xp.zeros_like(x1), xp.where(x1 > 0, xp.ones_like(x1), x2))


def _ldexp(x1: Array, x2: Array) -> Array:
    return xp.where(xp.isinf(x1) | (x1 == 0), x1, x1 * xp.power(2.0, x2).astype(x1.dtype))


add = _binary("add", "x1 + x2.", "add")
subtract = _binary("subtract", "x1 - x2.", "subtract")
multiply = _binary("multiply", "x1 * x2.", "multiply")


def _dividends(x1: Any, x2: Any) -> list[Any]:
    """Floats of one dtype, Python numbers weak."""
    kinds = dtype_of(x1) + dtype_of(x2)
    return promoted(x1, x2) if "float" in kinds or "complex" in kinds else floating(x1, x2)


divide = _binary("divide", "x1 / x2, always of floats.", "true_divide", _dividends)
true_divide = _binary("true_divide", "x1 / x2, always of floats.", "true_divide", _dividends)
divide_no_nan = _binary("divide_no_nan", "x1 / x2, 0 where x2 is 0.", _divide_no_nan, _dividends)
floor_divide = _binary("floor_divide", "floor(x1 / x2).", _floor_divide)
mod = _binary("mod", "x1 - x2 * floor(x1 / x2), of the sign of x2.", "mod", _counts)
fmod = _binary("fmod", "sign(x1) * (|x1| mod |x2|).", _fmod, _counts)
power = _binary("power", "x1 to the power x2.", "power")
maximum = _binary("maximum", "The larger of x1 and x2; NaN wins.", "maximum")
minimum = _binary("minimum", "The smaller of x1 and x2; NaN wins.", "minimum")
fmax = _binary("fmax", "The larger of x1 and x2; NaN loses.", "fmax")
fmin = _binary("fmin", "The smaller of x1 and x2; NaN loses.", "fmin")
arctan2 = _binary("arctan2", "The angle of the point (x2, x1).", "arctan2", floating)
hypot = _binary("hypot", "sqrt(x1^2 + x2^2) without overflow.", _hypot, _float64_of_int64)
heaviside = _binary("heaviside", "0 below 0, x2 at 0, 1 above.", _heaviside, _float64_of_int64)
logaddexp = _binary("logaddexp", "log(exp(x1) + exp(x2)).", _logaddexp, floating)
logaddexp2 = _binary("logaddexp2", "log2(2^x1 + 2^x2).", _logaddexp2, floating)
ldexp = _binary("ldexp", "x1 * 2^x2 for integers x2.", _ldexp, floating)
nextafter = _binary("nextafter", "The float next to x1 towards x2.", "nextafter", floating)
gcd = _binary("gcd", "The greatest common divisor of integers.", "gcd", strong)
lcm = _binary("lcm", "The least common multiple of integers.", "lcm", strong)

# --- functions of one number ----------------------------------------------------------------------


def _magnitude(x: Array) -> Array:
    return x if is_bool(x) else xp.abs(x)


def _cbrt(x: Array) -> Array:
    return xp.sign(x) * xp.power(xp.abs(x), 1 / 3)


def _sinc(x: Array) -> Array:
    y = math.pi * xp.where(x == 0, xp.ones_like(x), x)
    return xp.where(x == 0, xp.ones_like(x), xp.sin(y) / y)


def _trunc(x: Array) -> Array:
    return xp.trunc(x) if is_float(x) else x


def _sign(x: Array) -> Array:
    if is_complex(x):
        return xp.where(x == 0, xp.zeros_like(x), x / xp.abs(x))
    return xp.sign(x)


def _reciprocal(x: Array) -> Array:
    return 1 / x if is_float(x) or is_complex(x) else xp.floor_divide(xp.ones_like(x), x)


def _rsqrt(x: Array) -> Array:
    return 1 / xp.sqrt(x)


def _erfc(x: Array) -> Array:
    return ops.erfc(x)


def _erf(x: Array) -> Array:
    return ops.erf(x)


def _erfinv(x: Array) -> Array:
    return ops.erfinv(x)


def _i0(x: Array) -> Array:
    return xp.i0(x).astype(x.dtype)


def _signbit(x: Array) -> Array:
    return xp.signbit(x) if is_float(x) else xp.zeros(x.shape, bool) if is_bool(x) else x < 0


absolute = _unary("absolute", "|x|.", _magnitude)
abs = _unary("abs", "|x|.", _magnitude)
fabs = _unary("fabs", "|x| as a float.", "abs", _float)
negative = _unary("negative", "-x.", "negative")
sign = _unary("sign", "-1, 0 or 1.", _sign)
square = _unary("square", "x^2.", "square", lambda x: without_bool(tensor(x)))
sqrt = _unary("sqrt", "The square root.", "sqrt", _float)
rsqrt = _unary("rsqrt", "1 / sqrt(x).", _rsqrt)
cbrt = _unary("cbrt", "The cube root.", _cbrt, lambda x: _float64_of_int64(x)[0])
reciprocal = _unary("reciprocal", "1 / x.", _reciprocal)
exp = _unary("exp", "e to the power x.", "exp", _float)
exp2 = _unary("exp2", "2 to the power x.", "exp2", _float)
expm1 = _unary("expm1", "exp(x) - 1.", "expm1", _float)
log = _unary("log", "The natural logarithm.", "log", _float)
log2 = _unary("log2", "The logarithm to base 2.", "log2", _float)
log10 = _unary("log10", "The logarithm to base 10.", "log10", _float)
log1p = _unary("log1p", "log(1 + x).", "log1p", _float)
sin = _unary("sin", "The sine.", "sin", _float)
cos = _unary("cos", "The cosine.", "cos", _float)
tan = _unary("tan", "The tangent.", "tan", _float)
arcsin = _unary("arcsin", "The inverse sine.", "arcsin", _float)
arccos = _unary("arccos", "The inverse cosine.", "arccos", _float)
arctan = _unary("arctan", "The inverse tangent.", "arctan", _float)
sinh = _unary("sinh", "The hyperbolic sine.", "sinh", _float)
cosh = _unary("cosh", "The hyperbolic cosine.", "cosh", _float)
tanh = _unary("tanh", "The hyperbolic tangent.", "tanh", _float)
arcsinh = _unary("arcsinh", "The inverse hyperbolic sine.", "arcsinh", _float)
arccosh = _unary("arccosh", "The inverse hyperbolic cosine.", "arccosh", _float)
arctanh = _unary("arctanh", "The inverse hyperbolic tangent.", "arctanh", _float)
sinc = _unary("sinc", "sin(pi x) / (pi x), 1 at 0.", _sinc, _float)
deg2rad = _unary("deg2rad", "Degrees to radians.", lambda x: x * (math.pi / 180), lambda x: _float64_of_int64(x)[0])
rad2deg = _unary("rad2deg", "Radians to degrees.", lambda x: x * (180 / math.pi), lambda x: _float64_of_int64(x)[0])
floor = _unary("floor", "The largest whole number not above x.", "floor", _float)
ceil = _unary("ceil", "The smallest whole number not below x.", "ceil", _float)
trunc = _unary("trunc", "x without its fraction.", _trunc)
erf = _unary("erf", "The error function.", _erf)
erfc = _unary("erfc", "1 - erf(x).", _erfc)
erfinv = _unary("erfinv", "The inverse of the error function.", _erfinv)
i0 = _unary("i0", "The modified Bessel function of order 0.", _i0, lambda x: _float64_of_int64(x)[0])
copy = _unary("copy", "x itself: arrays are values here.", lambda x: x)
stop_gradient = _unary("stop_gradient", "x, a constant for gradients.", lambda x: ops.stop_gradient(x))

# --- complex numbers ------------------------------------------------------------------------------


def _imag(x: Array) -> Array:
    return xp.imag(x) if is_complex(x) else xp.zeros_like(x)


def _isreal(x: Array) -> Array:
    return xp.imag(x) == 0 if is_complex(x) else xp.ones(x.shape, bool)


real = _unary("real", "The real part.", "real")
imag = _unary("imag", "The imaginary part.", _imag)
conj = _unary("conj", "The complex conjugate.", "conj")
conjugate = _unary("conjugate", "The complex conjugate.", "conj")
angle = _unary("angle", "The argument of a complex number; 0 or pi for a real one.", "angle", _float)
isreal = _unary("isreal", "Whether the imaginary part is 0.", _isreal)

# --- comparisons and logic ------------------------------------------------------------------------


def _never(x: Array, test: str) -> Array:
    """A test of floats, False for everything else."""
    return getattr(xp, test)(x) if is_float(x) or is_complex(x) else xp.zeros(x.shape, bool)


equal = _binary("equal", "x1 == x2.", "equal", strong)
not_equal = _binary("not_equal", "x1 != x2.", "not_equal", strong)
greater = _binary("greater", "x1 > x2.", "greater", strong)
greater_equal = _binary("greater_equal", "x1 >= x2.", "greater_equal", strong)
less = _binary("less", "x1 < x2.", "less", strong)
less_equal = _binary("less_equal", "x1 <= x2.", "less_equal", strong)
logical_and = _binary("logical_and", "x1 and x2, as truth values.", "logical_and", _truth)
logical_or = _binary("logical_or", "x1 or x2, as truth values.", "logical_or", _truth)
logical_xor = _binary("logical_xor", "Either x1 or x2, as truth values.", "logical_xor", _truth)
logical_not = _unary("logical_not", "not x, as a truth value.", "logical_not", lambda x: tensor(x, "bool"))
isnan = _unary("isnan", "Whether x is NaN.", lambda x: _never(x, "isnan"))
isinf = _unary("isinf", "Whether x is infinite.", lambda x: _never(x, "isinf"))
isposinf = _unary("isposinf", "Whether x is +infinity.", lambda x: _never(x, "isposinf"))
isneginf = _unary("isneginf", "Whether x is -infinity.", lambda x: _never(x, "isneginf"))
isfinite = _unary("isfinite", "Whether x is neither NaN nor infinite.", "isfinite")
signbit = _unary("signbit", "Whether the sign bit is set.", _signbit)

# --- bits -----------------------------------------------------------------------------------------

bitwise_and = _bits("bitwise_and", "The bits that both have.", "bitwise_and")
bitwise_or = _bits("bitwise_or", "The bits that either has.", "bitwise_or")
bitwise_xor = _bits("bitwise_xor", "The bits that exactly one has.", "bitwise_xor")
bitwise_left_shift = _bits("bitwise_left_shift", "x * 2^y.", "left_shift")
bitwise_right_shift = _bits("bitwise_right_shift", "floor(x / 2^y).", "right_shift")
left_shift = _bits("left_shift", "x * 2^y.", "left_shift")
right_shift = _bits("right_shift", "floor(x / 2^y).", "right_shift")
bitwise_not = _unary("bitwise_not", "Every bit flipped.", "invert")
bitwise_invert = _unary("bitwise_invert", "Every bit flipped.", "invert")

# --- with options ---------------------------------------------------------------------------------


@operation(like)
def cast(x: Array, *, dtype: str) -> Array:
    """`x` as `dtype`; floats lose their fraction when they become integers."""
    return ops.cast(tensor(x), dtype)


@operation(like)
def saturate_cast(x: Array, *, dtype: str) -> Array:
    """`x` as `dtype`, values outside its range moved to the nearest end."""
    x = tensor(x)
    x = without_bool(x)
    wanted, given = bounds(dtype), bounds(x.dtype.name)
    low, high = max(wanted[0], given[0]), min(wanted[1], given[1])
    return ops.cast(xp.clip(x, *(map(float, (low, high)) if is_float(x) else (low, high))), dtype)


@operation(like)
def round(x: Array, *, decimals: int = 0) -> Array:
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
    """`x` moved into [x_min, x_max]; truth values become int32."""
    return xp.clip(without_bool(tensor(x)), x_min, x_max)


@operation(like)
def nan_to_num(x: Array, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Array:
    """`x` with NaN and the infinities replaced, the latter by the largest floats unless told otherwise."""
    x = tensor(x)
    if not is_float(x):
        return x
    low, high = bounds(x.dtype.name)
    x = xp.where(xp.isnan(x), xp.full_like(x, nan), x)
    x = xp.where(xp.isposinf(x), xp.full_like(x, high if posinf is None else posinf), x)
    return xp.where(xp.isneginf(x), xp.full_like(x, low if neginf is None else neginf), x)


def _close(x1: Array, x2: Array, rtol: float, atol: float, equal_nan: bool) -> Array:
    x1, x2 = strong(x1, x2)
    if not is_float(x1):
        return xp.equal(x1, x2)
    near = xp.abs(x1 - x2) <= atol + rtol * xp.abs(x2)
    return near | (xp.isnan(x1) & xp.isnan(x2)) if equal_nan else near


@operation(broadcast)
def isclose(x1: Array, x2: Array, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether |x1 - x2| <= atol + rtol |x2|."""
    return _close(x1, x2, rtol, atol, equal_nan)


@operation(lambda x1, x2: ())
def allclose(x1: Array, x2: Array, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether all of `x1` is close to `x2`; infinities must be equal."""
    x1, x2 = strong(x1, x2)
    finite = xp.isfinite(x1) & xp.isfinite(x2)
    close = xp.where(finite, _close(x1, x2, rtol, atol, False), x1 == x2)
    return xp.all(close | (xp.isnan(x1) & xp.isnan(x2)) if equal_nan else close)


@operation(lambda x, *, dtype: x.shape)
def convert_to_tensor(x: Array, *, dtype: str | None = None) -> Array:
    """`x` as an array of `dtype`."""
    return tensor(x, dtype)


@operation(like)
def array(x: Array, *, dtype: str | None = None) -> Array:
    """`x` as an array of `dtype`."""
    return tensor(x, dtype)
