"""Elementwise operations that give bools or work on bits: comparisons, tests, logic, shifts.

Comparisons bring both sides to one dtype first; tests of floats are False for integers. Source: keras.ops.
"""

from __future__ import annotations

from typing import Any

from fnet.backend import xp
from fnet.dtypes import INTEGERS, bounds, dtype_of, is_bool, is_complex, is_float, promoted, strong, tensor
from fnet.operations.elementwise import Kernel, binary, kernel_of, unary
from fnet.operations.rules import Operation, broadcast, named, operation
from fnet.types import Array


def _truth(*xs: Any) -> list[Array]:
    return [tensor(x, "bool") for x in xs]


# --- comparisons and logic ------------------------------------------------------------------------


def _never(x: Array, test: str) -> Array:
    """A test of floats, False for everything else."""
    return kernel_of(test)(x) if is_float(x) or is_complex(x) else xp.zeros(x.shape, bool)


def _signbit(x: Array) -> Array:
    return xp.signbit(x) if is_float(x) else xp.zeros(x.shape, bool) if is_bool(x) else x < 0


def _sides(x1: Any, x2: Any) -> list[Array]:
    """Both as arrays of one dtype, which compare as `x1` and `x2` do.

    A Python integer gets the dtype of the integers next to it. Where it does not fit, all of them are on one side of
    it, as zeros are of 1 or -1. Keras compares in int64, which JAX does not have.
    """
    for x, number in ((x1, x2), (x2, x1)):
        if type(number) is int and dtype_of(x) in (*INTEGERS, "bool"):
            y = tensor(x)
            low, high = bounds(y.dtype.name)
            pair = [xp.zeros(y.shape, "int32"), tensor(1 if number > 0 else -1)]
            if low <= number <= high:
                pair = [y, tensor(number, y.dtype.name)]
            return pair if x is x1 else pair[::-1]
    return strong(x1, x2)


equal = binary("equal", "x1 == x2.", "equal", _sides)
not_equal = binary("not_equal", "x1 != x2.", "not_equal", _sides)
greater = binary("greater", "x1 > x2.", "greater", _sides)
greater_equal = binary("greater_equal", "x1 >= x2.", "greater_equal", _sides)
less = binary("less", "x1 < x2.", "less", _sides)
less_equal = binary("less_equal", "x1 <= x2.", "less_equal", _sides)
logical_and = binary("logical_and", "x1 and x2, as truth values.", "logical_and", _truth)
logical_or = binary("logical_or", "x1 or x2, as truth values.", "logical_or", _truth)
logical_xor = binary("logical_xor", "Either x1 or x2, as truth values.", "logical_xor", _truth)
logical_not = unary("logical_not", "not x, as a truth value.", "logical_not", lambda x: tensor(x, "bool"))
isnan = unary("isnan", "Whether x is NaN.", lambda x: _never(x, "isnan"))
isinf = unary("isinf", "Whether x is infinite.", lambda x: _never(x, "isinf"))
isposinf = unary("isposinf", "Whether x is +infinity.", lambda x: _never(x, "isposinf"))
isneginf = unary("isneginf", "Whether x is -infinity.", lambda x: _never(x, "isneginf"))
isfinite = unary("isfinite", "Whether x is neither NaN nor infinite.", "isfinite")
signbit = unary("signbit", "Whether the sign bit is set.", _signbit)


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


@operation(lambda x1, x2: broadcast(x1, x2)[:0])
def allclose(x1: Array, x2: Array, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether all of `x1` is close to `x2`; infinities must be equal."""
    x1, x2 = strong(x1, x2)
    finite = xp.isfinite(x1) & xp.isfinite(x2)
    close = xp.where(finite, _close(x1, x2, rtol, atol, False), x1 == x2)
    return xp.all(close | (xp.isnan(x1) & xp.isnan(x2)) if equal_nan else close)


# --- bits -----------------------------------------------------------------------------------------


def _bits(name: str, text: str, kernel: Kernel) -> Operation:
    """An operation on the bits of two integer tensors; Keras calls them x and y."""

    def apply(x: Array, y: Array) -> Array:
        return kernel_of(kernel)(*(promoted(x, y) if isinstance(y, int) else strong(x, y)))

    return operation(broadcast)(named(name, text, apply))


def _shifted(kernel: str) -> Kernel:
    """The kernel of a shift by 0 bits to all but one, the bounds of TensorFlow."""
    return lambda x, y: kernel_of(kernel)(x, xp.clip(tensor(y, x.dtype.name), 0, 8 * x.dtype.itemsize - 1))


bitwise_and = _bits("bitwise_and", "The bits that both have.", "bitwise_and")
bitwise_or = _bits("bitwise_or", "The bits that either has.", "bitwise_or")
bitwise_xor = _bits("bitwise_xor", "The bits that exactly one has.", "bitwise_xor")
bitwise_left_shift = _bits("bitwise_left_shift", "x * 2^y.", _shifted("left_shift"))
bitwise_right_shift = _bits("bitwise_right_shift", "floor(x / 2^y).", _shifted("right_shift"))
left_shift = _bits("left_shift", "x * 2^y.", _shifted("left_shift"))
right_shift = _bits("right_shift", "floor(x / 2^y).", _shifted("right_shift"))
bitwise_not = unary("bitwise_not", "Every bit flipped.", "invert")
bitwise_invert = unary("bitwise_invert", "Every bit flipped.", "invert")
