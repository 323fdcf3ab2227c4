"""NumPy: what layers need beyond the names that NumPy and jax.numpy share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fnet import tree
from fnet.backend import contraction
from fnet.backend.contraction import matmul
from fnet.backend.numpy_conv import conv, conv_transpose, finish, winograd
from fnet.backend.numpy_index import (
    digamma,
    dynamic_slice,
    dynamic_update_slice,
    erfinv,
    lgamma,
    lu,
    scatter,
    stop_gradient,
    take_axis,
    weighted_take,
)
from fnet.backend.numpy_pool import max_over, max_pool, sum_pool
from fnet.backend.numpy_recurrence import recurrences, recurrent_stack
from fnet.tree import flatten

xp = np
P = ParamSpec("P")
R = TypeVar("R")

# fmt: off
__all__ = [
    "affine", "ahead", "asarray", "at_once", "awaited", "bincount", "canonical", "cast", "center", "clip", "compiled",
    "conv", "conv_transpose", "digamma", "dynamic_slice", "dynamic_update_slice", "einsum", "elementwise", "erf",
    "erfc", "erfinv", "exactly", "exponentials", "finish", "flatten", "gathered", "is_array", "is_traced", "jit",
    "key_data", "lgamma", "lu", "matmul", "max_over", "max_pool", "mean", "mean_square", "native", "on_cpu", "opaque",
    "pad", "place_of", "recurrences", "recurrent_stack", "round_bfloat16", "scan", "scatter", "scores", "sigmoid",
    "stop_gradient", "sum_pool", "take", "take_axis", "tanh", "to_numpy", "total", "UNTRACEABLE", "weighted_take",
    "whole", "winograd",
]
# fmt: on


asarray: Callable[..., Any] = np.asarray
"""(x, dtype=None, *, copy=None) -> `x` as an array of this backend; strings stay NumPy arrays on both."""


def canonical(dtype: str) -> str:
    """The dtype that NumPy computes in where `dtype` is asked for: that one."""
    return dtype


def native(x: Any) -> Any:
    """`x`, an array or a tree of them, in native byte order: NumPy computes with any."""
    return x


whole = native
"""`native`, of integers that keep all bits, as they do here."""

gathered = native
"""`native`, of arrays that are not spread over devices."""

to_numpy: Callable[[Any], np.ndarray[Any, Any]] = np.asarray
"""x -> `x` as a NumPy array."""

awaited = to_numpy
"""`to_numpy` of what is computed at this moment, which nothing is here."""


def key_data(key: Any) -> Any:
    """The numbers of a key of randomness, which is what it is here."""
    return key


def is_array(x: Any) -> bool:
    """Whether `x` is an array that this backend computes with."""
    return isinstance(x, np.ndarray | np.generic)


def on_cpu() -> bool:
    """True: NumPy's arrays are in main memory."""
    return True


def is_traced(x: Any) -> bool:
    """False: NumPy knows all values."""
    return False


UNTRACEABLE: tuple[type[Exception], ...] = ()
"""NumPy knows all values."""


def jit(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` itself: NumPy has nothing to compile."""
    return f


def ahead(f: Callable[..., Any], *args: Any, convolves: bool = False) -> Callable[..., Any] | None:
    """`f` itself: NumPy has nothing to compile."""
    return f


def compiled(f: Callable[..., Any], *fixed: Any) -> Callable[..., Any]:
    """`f` with its first arguments fixed: NumPy has nothing to compile."""
    return functools.partial(f, *fixed)


def at_once(f: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """`f(*args, **options)`."""
    return f(*args, **options)


@np.errstate(all="ignore")
def exactly(f: Callable[P, R], /, *args: P.args, **options: P.kwargs) -> R:
    """`f(*args, **options)`: floating-point arithmetic as IEEE says (inf, NaN), without Python warnings.

    The arrays in `args` may be of any byte order.
    """
    return f(*args, **options)


def opaque(x: Any) -> Any:
    """`x` itself, rounded as it is: what XLA must be told, NumPy does."""
    return x


def round_bfloat16(x: Any) -> Any:
    """float32 rounded to the nearest bfloat16 (ties to even), still float32: NumPy has no bfloat16."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(x), rounded.view(np.float32), np.asarray(x, np.float32))


@np.errstate(all="ignore")
def cast(x: Any, dtype: str) -> Any:
    """`x` as `dtype`, infinite where it is too large; "bfloat16" gives float32 that holds bfloat16 values."""
    return round_bfloat16(x) if dtype == "bfloat16" else np.asarray(x).astype(dtype, copy=False)


def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int) -> tuple[Any, Any]:
    """`carry, y = f(carry, x)` over the leading axis of the trees in `xs`; ys stacked, as jax.lax.scan."""
    carry, ys = init, []
    for i in range(length):
        carry, y = f(carry, tree.map(lambda a: a[i], xs))  # noqa: B023 - called at once
        ys.append(y)
        if i == 0 and not any(leaf.size for leaf in tree.leaves((carry, y))):  # no rows: each step gives the same
            return carry, tree.map(lambda a: np.broadcast_to(a, (length, *a.shape)), y)
    return carry, tree.map(lambda *steps: np.stack(steps), *ys)


_ERF_P = (1.128379143519084, 0.18520832239976145, 0.050955695062380861, 0.0034082910107109506, 0.00022905065861350646)
_ERF_Q = (
    *(1.0, 0.49746925110067538, 0.11098505178285362, 0.014070470171167667, 0.0010179625278914885),
    *(0.000023547966471313185, -1.1791602954361697e-7),
)


def erf(x: Any) -> Any:
    """The error function, to 1e-7 in float32: x P(x^2) / Q(x^2), with the coefficients that XLA uses."""
    x = np.asarray(x)
    if x.dtype == np.float64:
        return np.vectorize(math.erf, otypes=[np.float64])(x)
    clipped = np.clip(x, -3.832506856900711, 3.832506856900711)
    square = clipped * clipped
    y = clipped * _horner(_ERF_P, square)
    y /= _horner(_ERF_Q, square)
    ends = square > 14.68  # the quotient stops half a unit before 1, which gelu would multiply by a large x
    return np.copysign(1, x, out=np.asarray(y), where=ends) if ends.any() else y


_ERFC = (
    *(0.0609235154, -0.320338943, 0.672674461, -0.667297477, 0.289587634, -0.134968394, 0.117288585),
    *(0.170506093, 0.247479251, 0.282053022, 0.28209598),
)
"""exp(x^2) erfc(x) / t for x > 0.5 as a polynomial of t = 1 / (1 + x / 2), highest power first: least squares."""


def erfc(x: Any) -> Any:
    """1 - erf(x), exact also where erf is nearly 1."""
    x = np.asarray(x)
    if x.dtype != np.float32:
        return np.vectorize(math.erfc, otypes=[np.float64])(x).astype(x.dtype)
    y = np.asarray(1 - erf(x))
    tail = x > 0.5
    if tail.any():
        z = x[tail]
        t = 1 / (1 + z / 2)
        y[tail] = np.exp(-z * z) * t * _horner(_ERFC[::-1], t)
    return y


BLOCK = 1 << 15
"""Entries that pass through a formula at a time, so that its temporaries stay in the cache."""


def elementwise(f: Callable[[Any], Any], x: Any) -> Any:
    """`f(x)` for an `f` of single entries that has many steps."""
    if x.size <= BLOCK or not x.flags.c_contiguous:
        return f(x)
    flat = x.reshape(-1)
    first = f(flat[:BLOCK])
    y = np.empty(flat.shape, first.dtype)
    y[:BLOCK] = first
    for start in range(BLOCK, flat.size, BLOCK):
        y[start : start + BLOCK] = f(flat[start : start + BLOCK])
    return y.reshape(x.shape)


ROW = 8192
"""Vectors of about this length run twice as fast through NumPy's broadcasting as those of some hundreds."""


def affine(x: Any, factor: Any, offset: Any) -> Any:
    """x * factor + offset. Vectors along the last axis are repeated, since NumPy is slow on short inner loops."""
    repeats = factor.ndim == 1 and x.flags.c_contiguous and x.size
    repeat = _divisor(x.size // x.shape[-1], ROW // x.shape[-1]) if repeats else 1
    if repeat == 1:
        y = x * factor
        y += offset
        return y
    y = x.reshape(-1, repeat * x.shape[-1]) * np.tile(factor, repeat)
    y += np.tile(offset, repeat)
    return y.reshape(x.shape)


@functools.lru_cache(maxsize=1024)
def _divisor(number: int, most: int) -> int:
    """The largest divisor of a number up to `most`, or 1."""
    return next((n for n in range(min(number, most), 1, -1) if number % n == 0), 1)


def clip(x: Any, low: float | None, high: float | None) -> Any:
    """`x` between `low` and `high` (None: no bound); NaN stays. Several times as fast as np.maximum with a number."""
    if x.dtype.kind != "f":
        x = x if low is None else np.maximum(x, low)
        return x if high is None else np.minimum(x, high)
    return x.clip(-np.inf if low is None else low, np.inf if high is None else high)


def _horner(coefficients: tuple[float, ...], x: Any) -> Any:
    y = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        y *= x
        y += c
    return y


def place_of(x: Any, bounds: Any) -> Any:
    """How many of the rising `bounds` are at most x; all of them for NaN."""
    return np.searchsorted(bounds, x, side="right")


def pad(x: Any, widths: Sequence[tuple[int, int]], value: float = 0) -> Any:
    """`x` with `value` so often before and after along each axis."""
    return np.pad(x, widths, constant_values=value)


def bincount(bins: Any, length: int, weights: Any = None) -> Any:
    """How often each of `length` bins occurs in `bins`, or the sum of its weights; negative bins are not counted."""
    inside = bins >= 0
    if not inside.all():
        bins, weights = bins[inside], None if weights is None else weights[inside]
    return np.bincount(
        bins.astype(np.intp, copy=False), weights, minlength=length
    )  # takes no int64 on 32-bit platforms


def take(table: Any, ids: Any) -> Any:
    """Rows of `table`; a negative id counts from the end, one that is too large is an IndexError."""
    return table[ids]


def einsum(equation: str, *operands: Any) -> Any:
    """`np.einsum`; axes that are summed together have one size. Two operands are one (batched) matrix product."""
    return contraction.einsum(equation, *operands)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), in place; where the exponential overflows the result is the right 0."""
    y = np.exp(-x)
    y += 1
    return 1 / y if y.ndim == 0 else np.divide(1, y, out=y)


tanh: Callable[[Any], Any] = np.tanh
"""x -> tanh(x)."""


def scores(q: Any, k: Any) -> Any:
    """q @ k^T, (..., t, d) and (..., s, d) -> (..., t, s), with t next to each other in memory: `softmax` is faster."""
    return np.swapaxes(k @ np.swapaxes(q, -1, -2), -1, -2)


def exponentials(x: Any, axis: Any, own: bool = False) -> tuple[Any, Any]:
    """(exp(x - max), its sum) over `axis` (an int, a tuple, or None for all): a softmax before the division.

    own: `x` may be written over.
    """
    if x.size == 0:
        return x.copy(), 1
    e = np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True), out=x if own else None)
    np.exp(e, out=e)
    return e, np.add.reduce(e, axis=axis, keepdims=True)


def total(x: Any, axis: int) -> Any:
    """The sum over one axis, kept with size 1."""
    return np.add.reduce(x, axis=axis, keepdims=True)


def mean(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean over `axes`, kept as axes of size 1; NaN of nothing, where `np.mean` warns."""
    return np.add.reduce(x, axis=axes, keepdims=True) / math.prod(x.shape[a] for a in axes)


def center(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """(x - mean, variance) over `axes`, kept as axes of size 1; exact also where mean >> deviation."""
    size, kept = _as_rows(x.shape, axes)
    if not size:
        c = x - mean(x, axes)
        c -= mean(c, axes)
        return c, mean(c * c, axes)
    x, weights, shape = x.reshape(-1, size), _even_weights(size, x.dtype), x.shape
    c = x - np.vecdot(x, weights)[:, None]
    c -= np.vecdot(c, weights)[:, None]  # what rounding left in the first mean
    return c.reshape(shape), (np.vecdot(c, c) / size).reshape(kept)


def mean_square(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean of x^2 over `axes`, kept as axes of size 1."""
    size, kept = _as_rows(x.shape, axes)
    if not size:
        return mean(x * x, axes)
    rows = x.reshape(-1, size)
    return (np.vecdot(rows, rows) / size).reshape(kept)


@functools.lru_cache(maxsize=16)
def _even_weights(n: int, dtype: Any) -> Any:
    """`n` times 1 / n."""
    return np.full(n, 1 / n, dtype)


@functools.lru_cache(maxsize=1024)
def _as_rows(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(n, shape of their sums) for `axes` that are the last ones, n entries, so that dot products sum them; else 0."""
    first = len(shape) - len(axes)
    trailing = sorted(a % len(shape) for a in axes) == list(range(first, len(shape)))
    return math.prod(shape[first:]) if trailing else 0, (*shape[:first], *(1 for _ in axes))
