"""Reductions over axes, the nan-ignoring ones, running sums, order statistics and histograms.

`axis` is a number, a sequence, or None for all axes; `keepdims` leaves size 1 there. Sums of small integers
and of truth values are 32-bit, means of integers float32, positions int32. Source: keras.ops.
"""

# ruff: noqa: A001, A002 - the operations and their arguments have Keras's names
from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

from fnet.backend import ops, xp
from fnet.operations.dtypes import (
    counted,
    floating,
    is_bool,
    is_float,
    result_type,
    strong,
    tensor,
    without_bool,
)
from fnet.operations.rules import (
    Operation,
    axes_of,
    named,
    operation,
    positive,
    reduced,
    reduced_shape,
    shape_of,
    total,
)
from fnet.types import Array, Shape, Spec

Axis = int | Sequence[int] | None


def _axis(axis: Axis) -> Any:
    return tuple(axis) if isinstance(axis, Sequence) else axis


def _reduction(name: str, text: str, reduce: Callable[..., Array]) -> Operation:
    """An operation that reduces `axis`."""

    def apply(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return reduce(tensor(x), _axis(axis), keepdims)

    return operation(reduced)(named(name, text, apply))


def _sum(x: Array, axis: Any, keepdims: bool) -> Array:
    x = counted(x)
    return xp.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _prod(x: Array, axis: Any, keepdims: bool) -> Array:
    x = counted(x)
    return xp.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def _mean(x: Array, axis: Any, keepdims: bool) -> Array:
    dtype = x.dtype.name
    mean = xp.mean(tensor(x, result_type(dtype, "float32")), axis=axis, keepdims=keepdims)
    return mean if not is_float(x) else tensor(mean, dtype)


def _var(x: Array, axis: Any, keepdims: bool) -> Array:
    wide = tensor(x, result_type(x.dtype.name, "float32"))
    return tensor(xp.var(wide, axis=axis, keepdims=keepdims), result_type(x.dtype.name, "float"))


def _std(x: Array, axis: Any, keepdims: bool) -> Array:
    return xp.std(floating(x)[0], axis=axis, keepdims=keepdims)


def _any(x: Array, axis: Any, keepdims: bool) -> Array:
    return xp.any(tensor(x, "bool"), axis=axis, keepdims=keepdims)


def _all(x: Array, axis: Any, keepdims: bool) -> Array:
    return xp.all(tensor(x, "bool"), axis=axis, keepdims=keepdims)


def _max(x: Array, axis: Any, keepdims: bool) -> Array:
    return xp.max(x, axis=axis, keepdims=keepdims)


def _min(x: Array, axis: Any, keepdims: bool) -> Array:
    return xp.min(x, axis=axis, keepdims=keepdims)


def _ptp(x: Array, axis: Any, keepdims: bool) -> Array:
    return _max(x, axis, keepdims) - _min(x, axis, keepdims)


def _logsumexp(x: Array, axis: Any, keepdims: bool) -> Array:
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    y = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else xp.squeeze(y, axis=axes_of(axis, x.ndim))


sum = _reduction("sum", "The sum.", _sum)
mean = _reduction("mean", "The mean.", _mean)
var = _reduction("var", "The mean of the squared distances from the mean.", _var)
std = _reduction("std", "The square root of the variance.", _std)
any = _reduction("any", "Whether any is true.", _any)
all = _reduction("all", "Whether all are true.", _all)
amax = _reduction("amax", "The largest.", _max)
amin = _reduction("amin", "The smallest.", _min)
ptp = _reduction("ptp", "The largest minus the smallest.", _ptp)
logsumexp = _reduction("logsumexp", "log(sum(exp(x))), stably.", _logsumexp)


@operation(reduced)
def max(x: Array, *, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Array:
    """The largest, at least `initial`."""
    x = tensor(x)
    y = _max(x, _axis(axis), keepdims)
    return y if initial is None else xp.maximum(y, tensor(initial, x.dtype.name))


@operation(reduced)
def min(x: Array, *, axis: Axis = None, keepdims: bool = False, initial: float | None = None) -> Array:
    """The smallest, at most `initial`."""
    x = tensor(x)
    y = _min(x, _axis(axis), keepdims)
    return y if initial is None else xp.minimum(y, tensor(initial, x.dtype.name))


@operation(reduced)
def prod(x: Array, *, axis: Axis = None, keepdims: bool = False, dtype: str | None = None) -> Array:
    """The product. With `dtype`, Keras multiplies in the dtype of `x`; so does this."""
    x = tensor(x)
    if dtype is None:
        return _prod(x, _axis(axis), keepdims)
    return xp.prod(x, axis=_axis(axis), keepdims=keepdims, dtype=x.dtype)


@operation(lambda x, *, axis: Spec(reduced_shape(x.shape, axis, False), "int32"))
def count_nonzero(x: Array, *, axis: Axis = None) -> Array:
    """How many are not 0."""
    return xp.sum(xp.not_equal(tensor(x), 0), axis=_axis(axis), dtype="int32")


def _average_rule(x: Spec, weights: Spec | None = None, *, axis: Axis) -> Shape:
    return reduced_shape(x.shape, axis, False)


@operation(_average_rule)
def average(x: Array, weights: Array | None = None, *, axis: Axis = None) -> Array:
    """The mean, weighted by `weights`: of the shape of `x`, or one for each position of `axis`."""
    if weights is None:
        return xp.mean(floating(x)[0], axis=_axis(axis))
    x, weights = floating(x, weights)
    if axis is not None and weights.ndim != x.ndim:
        moved = xp.moveaxis(x, int(axis) if not isinstance(axis, Sequence) else axis[0], -1)
        return moved @ weights / xp.sum(weights)
    return xp.sum(x * weights, axis=_axis(axis)) / xp.sum(weights, axis=_axis(axis))


# --- ignoring NaN ---------------------------------------------------------------------------------


def _instead(x: Array, value: float) -> Array:
    """`x` with `value` in place of NaN."""
    return xp.where(xp.isnan(x), xp.full_like(x, value), x) if is_float(x) else x


def _unless_all_nan(x: Array, y: Array, axis: Any, keepdims: bool) -> Array:
    if not is_float(x):
        return y
    return xp.where(xp.all(xp.isnan(x), axis=axis, keepdims=keepdims), xp.full_like(y, float("nan")), y)


def _nansum(x: Array, axis: Any, keepdims: bool) -> Array:
    return _sum(_instead(x, 0.0), axis, keepdims)


def _nanprod(x: Array, axis: Any, keepdims: bool) -> Array:
    return _prod(_instead(x, 1.0), axis, keepdims)


def _nanmax(x: Array, axis: Any, keepdims: bool) -> Array:
    return _unless_all_nan(x, _max(_instead(x, -float("inf")), axis, keepdims), axis, keepdims)


def _nanmin(x: Array, axis: Any, keepdims: bool) -> Array:
    return _unless_all_nan(x, _min(_instead(x, float("inf")), axis, keepdims), axis, keepdims)


def _nanmean(x: Array, axis: Any, keepdims: bool) -> Array:
    if axis == ():
        return x
    x = floating(x)[0]
    count = xp.sum(~xp.isnan(x), axis=axis, keepdims=keepdims).astype(x.dtype)
    return _nansum(x, axis, keepdims) / count


def _nanvar(x: Array, axis: Any, keepdims: bool) -> Array:
    x = floating(x)[0]
    gap = _instead(x - _nanmean(x, axis, True), 0.0)
    count = xp.sum(~xp.isnan(x), axis=axis, keepdims=keepdims).astype(x.dtype)
    return xp.sum(gap * gap, axis=axis, keepdims=keepdims) / count


def _nanstd(x: Array, axis: Any, keepdims: bool) -> Array:
    return xp.sqrt(_nanvar(x, axis, keepdims))


nansum = _reduction("nansum", "The sum of what is not NaN.", _nansum)
nanprod = _reduction("nanprod", "The product of what is not NaN.", _nanprod)
nanmax = _reduction("nanmax", "The largest of what is not NaN.", _nanmax)
nanmin = _reduction("nanmin", "The smallest of what is not NaN.", _nanmin)
nanmean = _reduction("nanmean", "The mean of what is not NaN.", _nanmean)
nanvar = _reduction("nanvar", "The variance of what is not NaN.", _nanvar)
nanstd = _reduction("nanstd", "The standard deviation of what is not NaN.", _nanstd)

# --- positions ------------------------------------------------------------------------------------


def _position(name: str, text: str, search: Callable[..., Array]) -> Operation:
    """An operation that gives the int32 position of one element along `axis` (None: in the flat tensor)."""

    def apply(x: Array, *, axis: int | None = None, keepdims: bool = False) -> Array:
        return search(tensor(x), axis, keepdims)

    def rule(x: Spec, *, axis: int | None, keepdims: bool) -> Spec:
        return Spec(reduced_shape(x.shape, axis, keepdims), "int32")

    return operation(rule)(named(name, text, apply))


def _argmax(x: Array, axis: int | None, keepdims: bool) -> Array:
    return xp.argmax(x, axis=axis, keepdims=keepdims).astype("int32")


def _argmin(x: Array, axis: int | None, keepdims: bool) -> Array:
    return xp.argmin(x, axis=axis, keepdims=keepdims).astype("int32")


def _nanargmax(x: Array, axis: int | None, keepdims: bool) -> Array:
    found = _argmax(_instead(x, -float("inf")), axis, keepdims)
    return _minus_one_if_all_nan(x, found, axis, keepdims)


def _nanargmin(x: Array, axis: int | None, keepdims: bool) -> Array:
    found = _argmin(_instead(x, float("inf")), axis, keepdims)
    return _minus_one_if_all_nan(x, found, axis, keepdims)


def _minus_one_if_all_nan(x: Array, found: Array, axis: int | None, keepdims: bool) -> Array:
    if not is_float(x):
        return found
    return xp.where(xp.all(xp.isnan(x), axis=axis, keepdims=keepdims), xp.full_like(found, -1), found)


argmax = _position("argmax", "Where the largest stands first.", _argmax)
argmin = _position("argmin", "Where the smallest stands first.", _argmin)
nanargmax = _position("nanargmax", "Where the largest that is not NaN stands first; -1 if all are NaN.", _nanargmax)
nanargmin = _position("nanargmin", "Where the smallest that is not NaN stands first; -1 if all are NaN.", _nanargmin)

# --- running sums ---------------------------------------------------------------------------------


def _running(name: str, text: str, accumulate: str, nan: float | None = None) -> Operation:
    """An operation that accumulates along `axis` (None: over the flat tensor)."""

    def apply(x: Array, *, axis: int | None = None, dtype: str | None = None) -> Array:
        x = tensor(x)
        x = without_bool(tensor(x if nan is None else _instead(x, nan), dtype))
        return getattr(xp, accumulate)(x, axis=axis, dtype=x.dtype)

    def rule(x: Spec, *, axis: int | None) -> Shape:
        return (total(x.shape),) if axis is None else x.shape

    return operation(rule)(named(name, text, apply))


cumsum = _running("cumsum", "Running sums.", "cumsum")
cumprod = _running("cumprod", "Running products.", "cumprod")
nancumsum = _running("nancumsum", "Running sums, NaN as 0.", "cumsum", 0.0)
nancumprod = _running("nancumprod", "Running products, NaN as 1.", "cumprod", 1.0)

# --- order statistics -----------------------------------------------------------------------------


def _quantile_rule(x: Spec, q: Any = 0.5, *, axis: Axis, keepdims: bool) -> Shape:
    return (*shape_of(q), *reduced_shape(x.shape, axis, keepdims))


def _quantile(x: Array, q: Any, axis: Axis, method: str, keepdims: bool) -> Array:
    """The q-quantiles of floats `x`, axes of `q` first; positions in float64 where there is one."""
    axes = axes_of(axis, x.ndim)
    others = tuple(i for i in range(x.ndim) if i not in axes)
    flat = xp.transpose(x, (*others, *axes)).reshape((*(x.shape[i] for i in others), -1))
    ranked = xp.sort(flat, axis=-1)
    q = tensor(q)
    place = (flat.shape[-1] - 1) * ops.wide(q)  # (*q)
    y = _between(ranked, place, method)  # (*others, *q)
    missing = xp.isnan(flat).any(axis=-1).reshape((*flat.shape[:-1], *(1,) * q.ndim))
    y = xp.where(missing, xp.full_like(y, float("nan")), y)
    y = xp.moveaxis(y, tuple(range(len(others), y.ndim)), tuple(range(q.ndim)))
    return y.reshape((*q.shape, *reduced_shape(x.shape, axes, True))) if keepdims else y


def _between(ranked: Array, place: Array, method: str) -> Array:
    """Values at fractional positions of the last axis of `ranked`."""
    last = ranked.shape[-1] - 1
    low = xp.clip(xp.floor(place), 0, last).astype("int32")
    high = xp.clip(xp.ceil(place), 0, last).astype("int32")
    if method in ("lower", "higher", "nearest"):
        index = {"lower": low, "higher": high, "nearest": xp.clip(xp.round(place), 0, last).astype("int32")}
        return xp.take(ranked, index[method], axis=-1)
    if method == "midpoint":
        return 0.5 * (xp.take(ranked, low, axis=-1) + xp.take(ranked, high, axis=-1))
    share = (place - low).astype(ranked.dtype)
    return xp.take(ranked, low, axis=-1) * (1 - share) + xp.take(ranked, high, axis=-1) * share


@operation(_quantile_rule)
def quantile(x: Array, q: Array, *, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Array:
    """The q-quantiles, `method` "linear", "lower", "higher", "midpoint" or "nearest"; axes of `q` come first."""
    return _quantile(floating(x)[0], q, axis, method, keepdims)


@operation(_quantile_rule)
def percentile(x: Array, q: Array, *, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Array:
    """The q / 100-quantiles."""
    return _quantile(floating(x)[0], tensor(q, "float32") / 100, axis, method, keepdims)


@operation(reduced)
def median(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The middle value, or the mean of the two in the middle."""
    return _quantile(floating(x)[0], 0.5, axis, "linear", keepdims)


def _nanquantile(x: Array, q: Any, axis: Axis, method: str, keepdims: bool) -> Array:
    """Quantiles of what is not NaN: the rows differ in length, so positions do as well."""
    axes = axes_of(axis, x.ndim)
    others = tuple(i for i in range(x.ndim) if i not in axes)
    flat = xp.transpose(x, (*others, *axes)).reshape((*(x.shape[i] for i in others), -1))
    ranked = xp.sort(flat, axis=-1)  # NaN last
    q = tensor(q, "float32")
    count = xp.sum(~xp.isnan(flat), axis=-1)  # (*others)
    place = ops.wide(count - 1).reshape((*count.shape, *(1,) * q.ndim)) * ops.wide(q)
    y = _between_rows(ranked, place.reshape((*count.shape, -1)), method).reshape((*count.shape, *q.shape))
    empty = (count == 0).reshape((*count.shape, *(1,) * q.ndim))
    y = xp.where(empty, xp.full_like(y, float("nan")), y)
    y = xp.moveaxis(y, tuple(range(len(others), y.ndim)), tuple(range(q.ndim)))
    return y.reshape((*q.shape, *reduced_shape(x.shape, axes, True))) if keepdims else y


def _between_rows(ranked: Array, place: Array, method: str) -> Array:
    """Values at fractional positions, different ones in every row."""
    last = ranked.shape[-1] - 1

    def at(index: Array) -> Array:
        return xp.take_along_axis(ranked, xp.clip(index, 0, last).astype("int32"), axis=-1)

    low, high = at(xp.floor(place)), at(xp.ceil(place))
    if method in ("lower", "higher"):
        return low if method == "lower" else high
    if method == "nearest":
        return at(xp.round(place))
    share = (place - xp.floor(place)).astype(ranked.dtype)
    return 0.5 * (low + high) if method == "midpoint" else low * (1 - share) + high * share


@operation(_quantile_rule)
def nanquantile(x: Array, q: Array, *, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Array:
    """The q-quantiles of what is not NaN."""
    return _nanquantile(floating(x)[0], q, axis, method, keepdims)


@operation(_quantile_rule)
def nanpercentile(x: Array, q: Array, *, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Array:
    """The q / 100-quantiles of what is not NaN."""
    return _nanquantile(floating(x)[0], tensor(q, "float32") / 100, axis, method, keepdims)


@operation(reduced)
def nanmedian(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The median of what is not NaN."""
    return _nanquantile(floating(x)[0], 0.5, axis, "linear", keepdims)


# --- counting -------------------------------------------------------------------------------------


def _histogram_rule(x: Spec, *, bins: int) -> tuple[Spec, Spec]:
    return Spec((bins,), x.dtype), Spec((bins + 1,), x.dtype)


@operation(_histogram_rule)
def histogram(x: Array, *, bins: int = 10, range: Sequence[float] | None = None) -> tuple[Array, Array]:
    """(how many of `x` fall into each of `bins` equal intervals, their edges), in the dtype of `x`."""
    x = tensor(x).reshape(-1)
    low, high = (xp.min(x), xp.max(x)) if range is None else range
    edges = xp.linspace(low, high, bins + 1).astype(x.dtype)
    bin_of = xp.searchsorted(edges[1:-1], x, side="right")
    inside = (x >= low) & (x <= high)
    return ops.segment_sum(inside.astype(x.dtype), bin_of, bins), edges


def _bincount_rule(x: Spec, *, weights: Any) -> Shape:
    return (*x.shape[:-1], None)


@operation(_bincount_rule)
def bincount(x: Array, *, weights: Sequence[float] | None = None, minlength: int = 0, sparse: bool = False) -> Array:
    """How often each of 0, 1, ... occurs in the last axis, or the sum of `weights` there.

    The length depends on the values, so not under jit. `sparse=True` is refused.
    """
    if sparse:
        raise ValueError("bincount(sparse=True) gives a sparse tensor, which fnet does not have")
    x = tensor(x)
    dtype = "int32" if weights is None else strong(x, weights)[1].dtype.name
    length = builtins.max(int(xp.max(x)) + 1 if x.size else 0, minlength)
    hits = tensor(x[..., None] == xp.arange(length), dtype)
    if weights is not None:
        hits = hits * tensor(weights, dtype)[..., None]
    return xp.sum(hits, axis=-2, dtype=hits.dtype)


def _corrcoef_rule(x: Spec) -> Shape:
    return x.shape[:-1] + x.shape[-2:-1]


@operation(_corrcoef_rule)
def corrcoef(x: Array) -> Array:
    """(variables, samples) -> (variables, variables): correlations."""
    x = floating(x)[0]
    x = x - xp.mean(x, axis=-1, keepdims=True)
    covariance = x @ xp.swapaxes(x, -1, -2) / (x.shape[-1] - 1)
    spread = xp.sqrt(xp.diagonal(covariance, axis1=-2, axis2=-1))
    return xp.clip(covariance / (spread[..., :, None] * spread[..., None, :]), -1, 1)


def _diff_rule(a: Spec, *, n: int, axis: int) -> Shape:
    axis = positive(axis, len(a.shape))
    return tuple(None if d is None else d - n if i == axis else d for i, d in enumerate(a.shape))


@operation(_diff_rule)
def diff(a: Array, *, n: int = 1, axis: int = -1) -> Array:
    """`n` times the difference between neighbours along `axis`; of truth values, whether they differ."""
    a = tensor(a)
    for _ in builtins.range(n):
        if is_bool(a):
            first = xp.swapaxes(a, 0, axis)
            a = xp.swapaxes(first[1:] != first[:-1], 0, axis)
        else:
            a = xp.diff(a, axis=axis)
    return a


@operation(lambda y, *, axis: reduced_shape(y.shape, axis, False))
def trapezoid(y: Array, *, positions: Sequence[float] | None = None, dx: float = 1.0, axis: int = -1) -> Array:
    """The area under `y` along `axis`, by trapezoids of width `dx` or between `positions` (Keras's `x`)."""
    y = xp.moveaxis(floating(y)[0], axis, -1)
    width = dx if positions is None else xp.diff(tensor(positions, y.dtype.name))
    return xp.sum(0.5 * (y[..., 1:] + y[..., :-1]) * width, axis=-1)
