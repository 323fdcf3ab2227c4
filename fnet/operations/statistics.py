"""Order statistics, histograms, correlations, differences.

`axis` is a number, a sequence, or None for all axes; `keepdims` keeps them with size 1. Source: keras.ops.
"""

# ruff: noqa: A002 - the operations and their arguments have Keras's names
from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from fnet.backend import ops, xp
from fnet.core.room import copies, size
from fnet.dtypes import as_floats, is_bool, is_integral, result_type, strong, tensor
from fnet.errors import InvalidInput
from fnet.operations.rules import Operation, named, operation, reduced
from fnet.shapes import axes_of, broadcast_shapes, positive, reduced_shape, require_made, shape_of
from fnet.types import Array, Axis, Range, Shape, Spec

# --- order statistics -----------------------------------------------------------------------------


Method: TypeAlias = Literal["linear", "lower", "higher", "midpoint", "nearest"]
"""The value of a quantile between two entries."""


def _quantile_rule(x: Spec, q: Any = 0.5, *, axis: Axis, keepdims: bool) -> Shape:
    if isinstance(q, int | float) and not 0 <= q <= 100:
        raise ValueError(f"a quantile is between 0 and 1, a percentile between 0 and 100; got {q}")
    return (*shape_of(q), *reduced_shape(x.shape, axis, keepdims))


def _quantile(x: Array, q: Any, axis: Axis, method: Method, keepdims: bool, skips_nan: bool) -> Array:
    """The q-quantiles of floats `x`, axes of `q` first; positions in float64 where the backend has it.

    skips_nan: ignore NaN; otherwise a row with NaN gives NaN.
    """
    axes, q = axes_of(axis, x.ndim), tensor(q)
    others = tuple(i for i in range(x.ndim) if i not in axes)
    rows = xp.transpose(x, (*others, *axes)).reshape(
        (*(x.shape[i] for i in others), math.prod(x.shape[i] for i in axes))
    )
    missing = xp.isnan(rows)
    counts = xp.sum(~missing, axis=-1) if skips_nan else xp.full(rows.shape[:-1], rows.shape[-1])
    answered: Array = counts > 0 if skips_nan else ~missing.any(axis=-1)
    last = (counts - 1)[..., None]
    place = ops.asarray(last, "float64") * ops.asarray(q, "float64").reshape(-1)  # (*others, numbers of q)
    y = _between(xp.sort(rows, axis=-1), place, last, method)  # NaN is sorted last
    y = xp.where(answered[..., None], y, xp.full_like(y, float("nan"))).reshape((*counts.shape, *q.shape))
    y = xp.moveaxis(y, tuple(range(len(others), y.ndim)), tuple(range(q.ndim)))
    return y.reshape((*q.shape, *reduced_shape(x.shape, axes, True))) if keepdims else y


def _between(ranked: Array, place: Array, last: Array, method: Method) -> Array:
    """Values at fractional positions `place`, up to `last`, of the last axis; both differ from row to row."""

    def at(index: Array) -> Array:
        return xp.take_along_axis(ranked, xp.maximum(xp.minimum(index, last), 0).astype("int32"), axis=-1)

    if method == "nearest":
        return at(xp.round(place))
    if method != "linear":
        low, high = at(xp.floor(place)), at(xp.ceil(place))
        return 0.5 * (low + high) if method == "midpoint" else low if method == "lower" else high
    first = xp.maximum(xp.ceil(place) - 1, 0)  # the one before, not the same twice: 0 times infinity is NaN
    share = (place - first).astype(ranked.dtype)
    return at(first) * (1 - share) + at(first + 1) * share


def _quantiles(name: str, text: str, share: Callable[[Any], Any], skips_nan: bool = False) -> Operation:
    """An operation that gives quantiles; share: q -> numbers from 0 to 1."""

    def apply(x: Array, q: Array, *, axis: Axis = None, method: Method = "linear", keepdims: bool = False) -> Array:
        return _quantile(as_floats(x), share(q), axis, method, keepdims, skips_nan)

    return operation(_quantile_rule, room=copies(8))(named(name, text, apply))


def _median(name: str, text: str, skips_nan: bool = False) -> Operation:
    def apply(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return _quantile(as_floats(x), 0.5, axis, "linear", keepdims, skips_nan)

    return operation(reduced, room=copies(8))(named(name, text, apply))


def _hundredths(q: Any) -> Array:
    return tensor(q, "float32") / 100


quantile = _quantiles("quantile", "The q-quantiles; axes of `q` come first.", lambda q: q)
percentile = _quantiles("percentile", "The q / 100-quantiles.", _hundredths)
nanquantile = _quantiles("nanquantile", "The q-quantiles, ignoring NaN.", lambda q: tensor(q, "float32"), True)
nanpercentile = _quantiles("nanpercentile", "The q / 100-quantiles, ignoring NaN.", _hundredths, True)
median = _median("median", "The middle value, or the mean of the two in the middle.")
nanmedian = _median("nanmedian", "The median, ignoring NaN.", True)


# --- counting -------------------------------------------------------------------------------------


@operation(lambda x, *, bins: (Spec((bins,), x.dtype), Spec((bins + 1,), x.dtype)))
def histogram(x: Array, *, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Array, Array]:
    """(how many of `x` fall into each of `bins` equal intervals, their edges), in the dtype of `x`."""
    x = tensor(x).reshape(-1)
    low, high = (xp.min(x), xp.max(x)) if range is None else range
    edges = xp.linspace(low, high, bins + 1).astype(x.dtype)
    bin_of = xp.searchsorted(edges[1:-1], x, side="right").reshape(-1, 1)
    inside = (x >= low) & (x <= high)
    return ops.scatter(xp.zeros(bins, x.dtype), bin_of, inside.astype(x.dtype), "add"), edges


def _bincount_rule(x: Spec, *, weights: Any) -> Shape:
    return (*broadcast_shapes(x.shape, shape_of(weights)[-1:] if weights else ())[:-1], None)


def _bincount_room(x: Spec, *, minlength: int) -> tuple[int, int]:
    """Memory for comparing each number with each value that is counted; there may be more than `minlength`."""
    memory = size(Spec((*x.shape, max(minlength, 8)))) * 3 // 2
    return memory, memory


@operation(_bincount_rule, room=_bincount_room)
def bincount(
    x: Array,
    *,
    weights: Sequence[float] | None = None,
    minlength: Annotated[int, Range(0, 1 << 24)] = 0,
    sparse: bool = False,
) -> Array:
    """How often each of 0, 1, ... occurs in the last axis, or the sum of `weights` there.

    The length depends on the values, so not under jit. `sparse` is how Keras stores the result; here it is dense.
    """
    x = tensor(x)
    dtype = "int32" if weights is None else strong(x, weights)[1].dtype.name
    x = x if is_integral(x.dtype.name) else tensor(x, "int32")
    if x.size and int(xp.min(x)) < 0:
        raise InvalidInput(f"bincount counts 0, 1, ...; got {int(xp.min(x))}")
    length = builtins.max(int(xp.max(x)) + 1 if x.size else 0, minlength)
    require_made(x.size, length)
    hits = tensor(x[..., None] == xp.arange(length), dtype)
    if weights is not None:
        hits = hits * tensor(weights, dtype)[..., None]
    return xp.sum(hits, axis=-2, dtype=hits.dtype)


def _corrcoef_rule(x: Spec) -> Shape:
    if x.dtype in ("int64", "uint64"):
        raise ValueError(f"corrcoef of {x.dtype}, whose mean Keras rounds to an integer: cast it to float32 first")
    return x.shape[:-1] + x.shape[-2:-1]


@operation(_corrcoef_rule)
def corrcoef(x: Array) -> Array:
    """(variables, samples) -> (variables, variables): correlations."""
    x = as_floats(x)
    x = x - xp.mean(x, axis=-1, keepdims=True)
    covariance = x @ xp.swapaxes(x, -1, -2)  # times one less than the samples
    spread = xp.sqrt(xp.diagonal(covariance, axis1=-2, axis2=-1))
    return xp.clip(covariance / (spread[..., :, None] * spread[..., None, :]), -1, 1)


def _diff_rule(a: Spec, *, n: int, axis: int) -> Shape:
    if n < 0:
        raise ValueError(f"diff of the order {n}: it must be at least 0")
    axis = positive(axis, len(a.shape))
    return tuple(None if d is None else max(0, d - n) if i == axis else d for i, d in enumerate(a.shape))


@operation(_diff_rule, room=lambda a, *, n, axis: (0, min(n, a.shape[axis] or 1) * size(a)))
def diff(a: Array, *, n: int = 1, axis: int = -1) -> Array:
    """Differences between neighbours along `axis`, taken `n` times; of bools, whether they differ."""
    a = tensor(a)
    for _ in builtins.range(builtins.min(n, a.shape[axis])):
        if is_bool(a):
            first = xp.swapaxes(a, 0, axis)
            a = xp.swapaxes(first[1:] != first[:-1], 0, axis)
        else:
            a = xp.diff(a, axis=axis)
    return a


def _trapezoid_rule(y: Spec, *, positions: Sequence[float] | None, axis: int) -> Spec:
    size = y.shape[positive(axis, len(y.shape))]
    if positions is not None and size is not None and len(positions) not in (2, size):
        raise ValueError(f"trapezoid of {size} numbers at {len(positions)} positions")
    return Spec(tuple(reduced_shape(y.shape, axis, False)), result_type(y.dtype, "float"))


@operation(_trapezoid_rule)
def trapezoid(y: Array, *, positions: Sequence[float] | None = None, dx: float = 1.0, axis: int = -1) -> Array:
    """The area under `y` along `axis`, by trapezoids of width `dx` or between `positions` (Keras's `x`)."""
    y = xp.moveaxis(as_floats(y), axis, -1)
    places = None if positions is None else tensor(positions, y.dtype.name)
    width = dx if places is None else xp.diff(places if places.ndim == 1 else xp.moveaxis(places, axis, -1))
    return xp.sum(0.5 * (y[..., 1:] + y[..., :-1]) * width, axis=-1)
