"""Reductions over axes, the nan-ignoring ones, positions, running sums.

`axis` is a number, a sequence, or None for all axes; `keepdims` keeps them with size 1. Sums of small integers
and of bools are 32-bit, means of integers float32, positions int32. Source: keras.ops.
"""

# ruff: noqa: A001 - the operations and their arguments have Keras's names
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fnet.backend import xp
from fnet.dtypes import as_floats, counted, floating, is_float, result_type, tensor, without_bool
from fnet.operations.elementwise import Kernel, kernel_of
from fnet.operations.rules import Operation, named, operation, reduced
from fnet.shapes import axes_of, broadcast_shapes, joined, reduced_shape, total
from fnet.types import Array, Axis, Shape, Spec


def _reduction(name: str, text: str, reduce: Kernel) -> Operation:
    """An operation that reduces `axis`, by a function of `xp` or another."""

    def apply(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return kernel_of(reduce)(tensor(x), axis=axis, keepdims=keepdims)

    return operation(reduced)(named(name, text, apply))


def _sum(x: Array, **how: Any) -> Array:
    x = counted(x)
    return xp.sum(x, dtype=x.dtype, **how)


def _prod(x: Array, **how: Any) -> Array:
    x = counted(x)
    return xp.prod(x, dtype=x.dtype, **how)


def _mean(x: Array, **how: Any) -> Array:
    mean = xp.mean(tensor(x, result_type(x.dtype.name, "float32")), **how)
    return tensor(mean, x.dtype.name) if is_float(x) else mean


def _var(x: Array, **how: Any) -> Array:
    wide = tensor(x, result_type(x.dtype.name, "float32"))
    return tensor(xp.var(wide, **how), result_type(x.dtype.name, "float"))


def _logsumexp(x: Array, axis: Axis, keepdims: bool) -> Array:
    if x.size == 0:
        return xp.log(xp.sum(xp.exp(x), axis=axis, keepdims=keepdims))
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    y = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else xp.squeeze(y, axis=axes_of(axis, x.ndim))


sum = _reduction("sum", "The sum.", _sum)
mean = _reduction("mean", "The mean.", _mean)
var = _reduction("var", "The mean of the squared distances from the mean.", _var)
std = _reduction("std", "The square root of the variance.", lambda x, **how: xp.std(as_floats(x), **how))
any = _reduction("any", "Whether any is true.", lambda x, **how: xp.any(tensor(x, "bool"), **how))
all = _reduction("all", "Whether all are true.", lambda x, **how: xp.all(tensor(x, "bool"), **how))
amax = _reduction("amax", "The largest.", "max")
amin = _reduction("amin", "The smallest.", "min")
ptp = _reduction("ptp", "The largest minus the smallest.", lambda x, **how: xp.max(x, **how) - xp.min(x, **how))
logsumexp = _reduction("logsumexp", "log(sum(exp(x))), stably.", _logsumexp)


def _extreme(name: str, text: str) -> Operation:
    def apply(x: Array, *, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Array:
        x = tensor(x)
        start = {} if initial is None else {"initial": tensor(initial, x.dtype.name)}
        return getattr(xp, name)(x, axis=axis, keepdims=keepdims, **start)

    return operation(reduced)(named(name, text, apply))


max = _extreme("max", "The largest, at least `initial`.")
min = _extreme("min", "The smallest, at most `initial`.")


@operation(reduced)
def prod(x: Array, *, axis: Axis = None, keepdims: bool = False, dtype: str | None = None) -> Array:
    """The product. With `dtype`, Keras multiplies in the dtype of `x`; so does this."""
    x = tensor(x)
    if dtype is None:
        return _prod(tensor(x, result_type(x.dtype.name)), axis=axis, keepdims=keepdims)
    return xp.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


@operation(lambda x, *, axis: Spec(reduced_shape(x.shape, axis, False), "int32"))
def count_nonzero(x: Array, *, axis: Axis = None) -> Array:
    """How many entries are not 0."""
    return xp.sum(xp.not_equal(tensor(x), 0), axis=axis, dtype="int32")


def _average_rule(x: Spec, weights: Spec | None = None, *, axis: Axis) -> Shape:
    if weights is not None and axis is not None and len(weights.shape) != len(x.shape):
        joined(weights.shape, (x.shape[axis if isinstance(axis, int) else axis[0]],))
    elif weights is not None:
        broadcast_shapes(x.shape, weights.shape)
    return reduced_shape(x.shape, axis, False)


@operation(_average_rule)
def average(x: Array, weights: Array | None = None, *, axis: Axis = None) -> Array:
    """The mean, weighted by `weights`: of the shape of `x`, or one for each position of `axis`."""
    if weights is None:
        return xp.mean(as_floats(x), axis=axis)
    x, weights = floating(x, weights)
    if axis is not None and weights.ndim != x.ndim:
        moved = xp.moveaxis(x, int(axis) if not isinstance(axis, Sequence) else axis[0], -1)
        return moved @ weights / xp.sum(weights)
    return xp.sum(x * weights, axis=axis) / xp.sum(weights, axis=axis)


# --- ignoring NaN ---------------------------------------------------------------------------------


def instead_of_nan(x: Array, value: float) -> Array:
    """`x` with `value` in place of NaN."""
    return xp.where(xp.isnan(x), xp.full_like(x, value), x) if is_float(x) else x


def _ignoring_nan(reduce: Kernel, value: float, of_none: float | None = None) -> Callable[..., Array]:
    """`reduce` with `value` in place of NaN; where all are NaN the result is `of_none`, unless that is None."""

    def reduced(x: Array, *, axis: Any, keepdims: bool, **more: Any) -> Array:
        y = kernel_of(reduce)(instead_of_nan(x, value), axis=axis, keepdims=keepdims, **more)
        if of_none is None or not is_float(x):
            return y
        return xp.where(xp.all(xp.isnan(x), axis=axis, keepdims=keepdims), xp.full_like(y, of_none), y)

    return reduced


def _nanmean(x: Array, axis: Any, keepdims: bool) -> Array:
    if axis == ():
        return x
    x = as_floats(x)
    count = xp.sum(~xp.isnan(x), axis=axis, keepdims=keepdims).astype(x.dtype)
    return _sum(instead_of_nan(x, 0.0), axis=axis, keepdims=keepdims) / count


def _nanvar(x: Array, axis: Any, keepdims: bool) -> Array:
    x = as_floats(x)
    missing = xp.isnan(x)
    gap = xp.where(missing, 0.0, x - _nanmean(x, axis, True))  # NaN where the mean is infinite
    count = xp.sum(~missing, axis=axis, keepdims=keepdims).astype(x.dtype)
    return xp.sum(gap * gap, axis=axis, keepdims=keepdims) / count


nansum = _reduction("nansum", "The sum of what is not NaN.", _ignoring_nan(_sum, 0.0))
nanprod = _reduction("nanprod", "The product of what is not NaN.", _ignoring_nan(_prod, 1.0))
nanmax = _reduction("nanmax", "The largest of what is not NaN.", _ignoring_nan("max", -math.inf, math.nan))
nanmin = _reduction("nanmin", "The smallest of what is not NaN.", _ignoring_nan("min", math.inf, math.nan))
nanmean = _reduction("nanmean", "The mean of what is not NaN.", _nanmean)
nanvar = _reduction("nanvar", "The variance of what is not NaN.", _nanvar)
nanstd = _reduction("nanstd", "The standard deviation of what is not NaN.", lambda x, **how: xp.sqrt(_nanvar(x, **how)))


# --- positions ------------------------------------------------------------------------------------


def _position(name: str, text: str, search: Callable[..., Array]) -> Operation:
    """An operation that gives the int32 position of one element along `axis` (None: in the flat tensor).

    -0 is less than 0 unless `signed_zeros` is False, as in Keras before 3.9. NaN is skipped, as in Keras on TensorFlow
    (on JAX the first one is the largest and the smallest); 0 where all are NaN.
    """

    def apply(x: Array, *, axis: int | None = None, keepdims: bool = False, signed_zeros: bool = True) -> Array:
        return search(tensor(x), axis=axis, keepdims=keepdims, signed_zeros=signed_zeros)

    def rule(x: Spec, *, axis: int | None, keepdims: bool) -> Spec:
        return Spec(reduced_shape(x.shape, axis, keepdims), "int32")

    return operation(rule)(named(name, text, apply))


def _argmax(x: Array, *, signed_zeros: bool, **how: Any) -> Array:
    return xp.argmax(_ordered(instead_of_nan(x, -math.inf), signed_zeros), **how).astype("int32")


def _argmin(x: Array, *, signed_zeros: bool, **how: Any) -> Array:
    return xp.argmin(_ordered(instead_of_nan(x, math.inf), signed_zeros), **how).astype("int32")


def _ordered(x: Array, signed_zeros: bool) -> Array:
    """`x` with the next number below 0 in place of -0, as in Keras from 3.9 on."""
    if not (signed_zeros and is_float(x)):
        return x
    below = xp.asarray(-6e-8 if x.dtype.name == "float16" else -1.2e-38, x.dtype)
    return xp.where((x == 0) & (1 / x < 0), below, x)  # ONNX has no `signbit`


_nanargmax, _nanargmin = _ignoring_nan(_argmax, -math.inf, -1), _ignoring_nan(_argmin, math.inf, -1)

argmax = _position("argmax", "Where the largest is first.", _argmax)
argmin = _position("argmin", "Where the smallest is first.", _argmin)
nanargmax = _position("nanargmax", "Where the largest that is not NaN is first; -1 if all are NaN.", _nanargmax)
nanargmin = _position("nanargmin", "Where the smallest that is not NaN is first; -1 if all are NaN.", _nanargmin)


# --- running sums ---------------------------------------------------------------------------------


def _running(name: str, text: str, accumulate: str, nan: float | None = None) -> Operation:
    """An operation that accumulates along `axis` (None: over the flat tensor)."""

    def apply(x: Array, *, axis: int | None = None, dtype: str | None = None) -> Array:
        x = tensor(x)
        x = without_bool(tensor(x if nan is None else instead_of_nan(x, nan), dtype))
        return getattr(xp, accumulate)(x, axis=axis, dtype=x.dtype)

    def rule(x: Spec, *, axis: int | None) -> Shape:
        return (total(x.shape),) if axis is None else x.shape

    return operation(rule)(named(name, text, apply))


cumsum = _running("cumsum", "Running sums.", "cumsum")
cumprod = _running("cumprod", "Running products.", "cumprod")
nancumsum = _running(
    "nancumsum",
    "Running sums, NaN as 0; infinity stays, which is the largest float to Keras on TensorFlow.",
    "cumsum",
    0.0,
)
nancumprod = _running("nancumprod", "Running products, NaN as 1; infinity stays (see `nancumsum`).", "cumprod", 1.0)
