"""Functions that reduce axes, find positions, add up, sort and search.

`axis` is a number, several, or None for all; results keep the dtype of `x`: the mean of integers is an integer.
Source: TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnet import operations
from fnet.backend import ops, xp
from fnet.core.room import size as bytes_of
from fnet.dtypes import is_complex, is_float, tensor, together
from fnet.operations.elementwise import Kernel, kernel_of
from fnet.operations.reductions import instead_of_nan
from fnet.operations.rules import Operation, named
from fnet.shapes import joined, reduced_shape
from fnet.tf_functions.elementwise import quotient, squares, truediv_rule, truncated
from fnet.tf_functions.rules import (
    REAL,
    Sizes,
    as_spec,
    function,
    known,
    number,
    room_like,
    rule_of,
    same_in_keras,
    same_rule,
    zero_of,
)
from fnet.types import Array, Axis, Spec


def _reduction(
    name: str, text: str, reduce: Kernel, *names: str, dtype: str | None = None, real: bool = False
) -> Operation:
    """A function that reduces `axis`, by a function of `xp` or another; `dtype`: that of the result, if it differs.

    real: whether complex numbers give real ones.
    """

    def apply(input_tensor: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return kernel_of(reduce)(tensor(input_tensor), axis=axis, keepdims=keepdims)

    def rule(input_tensor: Any, *, axis: Axis, keepdims: bool) -> Spec:
        spec = as_spec(input_tensor)
        of_x = REAL.get(spec.dtype, spec.dtype) if real else spec.dtype
        return Spec(reduced_shape(spec.shape, axis, keepdims), dtype or of_x)

    return function(rule, f"math.{name}", *names)(named(name, text, apply))


def _sum(x: Array, **how: Any) -> Array:
    return xp.sum(x, dtype=x.dtype, **how)


def _prod(x: Array, **how: Any) -> Array:
    return xp.prod(x, dtype=x.dtype, **how)


def _mean(x: Array, **how: Any) -> Array:
    if is_float(x) or is_complex(x):
        return tensor(xp.mean(x, **how), x.dtype.name)
    added = xp.sum(x, **how)
    count = max(x.size // max(added.size, 1), 1)
    return ops.cast(truncated(added, count), x.dtype.name)


def _variance(x: Array, **how: Any) -> Array:
    return tensor(xp.var(x, **how), REAL.get(x.dtype.name, x.dtype.name))


def _most(name: str) -> Callable[..., Array]:
    """`xp.max` or `xp.min`, of nothing too."""

    def reduce(x: Array, **how: Any) -> Array:
        if x.size or x.dtype == bool:
            return getattr(xp, name)(x, **how)
        ends = (-math.inf, math.inf) if is_float(x) else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
        return getattr(xp, name)(x, **how, initial=ends[name == "min"])

    return reduce


reduce_sum = _reduction("reduce_sum", "The sum.", _sum, "keras.backend.sum")
reduce_prod = _reduction("reduce_prod", "The product.", _prod, "keras.backend.prod")
reduce_mean = _reduction("reduce_mean", "The mean.", _mean, "keras.backend.mean")
reduce_max = _reduction("reduce_max", "The largest; of nothing, the least there is.", _most("max"), "keras.backend.max")
reduce_min = _reduction("reduce_min", "The least; of nothing, the largest there is.", _most("min"), "keras.backend.min")
reduce_any = _reduction("reduce_any", "Whether any is true.", "any", dtype="bool")
reduce_all = _reduction("reduce_all", "Whether all are true.", "all", dtype="bool")
reduce_variance = _reduction(
    "reduce_variance", "The mean squared distance from the mean.", _variance, "keras.backend.var", real=True
)
reduce_std = _reduction(
    "reduce_std",
    "The square root of the variance.",
    lambda x, **how: xp.sqrt(_variance(x, **how)),
    "keras.backend.std",
    real=True,
)
reduce_logsumexp = _reduction(
    "reduce_logsumexp", "log(sum(exp(x))).", lambda x, **how: operations.logsumexp({}, x, **how)
)
reduce_euclidean_norm = _reduction(
    "reduce_euclidean_norm",
    "The square root of the sum of |x|^2, for integers without its fraction.",
    lambda x, **how: ops.cast(xp.sqrt(_sum(squares(x), **how)), x.dtype.name),
)


def _count_rule(x: Any, *, axis: Axis, keepdims: bool, dtype: str) -> Spec:
    return Spec(reduced_shape(as_spec(x).shape, axis, keepdims), dtype)


@function(_count_rule, "math.count_nonzero")
def count_nonzero(x: Array, *, axis: Axis = None, keepdims: bool = False, dtype: str = "int64") -> Array:
    """How many entries are not 0, or not the empty string."""
    return ops.cast(xp.sum(xp.not_equal(*together(x, zero_of(x))), axis=axis, keepdims=keepdims), dtype)


@function(lambda value: Spec((), "float32"), "math.zero_fraction")
def zero_fraction(value: Array) -> Array:
    """The share of zeros."""
    x = tensor(value)
    return ops.cast(xp.sum(xp.equal(x, 0)), "float32") / x.size


# --- positions ------------------------------------------------------------------------------------


def _position(name: str, text: str, nan: float) -> Operation:
    """A function that gives the position of one element along `axis`; `nan` is what NaN counts as."""

    def apply(x: Array, *, axis: int = 0, output_type: str = "int64") -> Array:
        return ops.cast(getattr(xp, name)(instead_of_nan(tensor(x), nan), axis=axis), output_type)

    def rule(x: Any, *, axis: int, output_type: str) -> Spec:
        return Spec(reduced_shape(as_spec(x).shape, axis, False), output_type)

    return function(rule, f"math.{name}")(named(name, text, apply))


argmax = _position("argmax", "Where the largest that is not NaN is first.", -math.inf)
argmin = _position("argmin", "Where the smallest that is not NaN is first.", math.inf)


# --- running sums ---------------------------------------------------------------------------------


def _running(name: str, text: str, start: float, run: Callable[..., Array] | None = None) -> Operation:
    def apply(x: Array, *, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
        x = xp.moveaxis(tensor(x), axis, 0)
        x = x[::-1] if reverse else x
        x = xp.concatenate([xp.full_like(x[:1], start), x[:-1]]) if exclusive else x
        y = (run or getattr(xp, name))(x, axis=0, dtype=x.dtype)
        return xp.moveaxis(y[::-1] if reverse else y, 0, axis)

    own = () if run else (f"keras.backend.{name}",)
    return function(same_rule, f"math.{name}", *own)(named(name, text, apply))


cumsum = _running("cumsum", "Running sums; `exclusive`: of what comes before.", 0)
cumprod = _running("cumprod", "Running products; `exclusive`: of what comes before.", 1)
cumulative_logsumexp = _running(
    "cumulative_logsumexp",
    "log of the running sums of exp(x); `exclusive`: of what comes before.",
    float("-inf"),
    lambda x, **how: xp.logaddexp.accumulate(x, **how),
)


# --- sorting and searching ------------------------------------------------------------------------


def _falling(x: Array) -> Array:
    """Numbers mapped so that their order is reversed."""
    return -x if is_float(x) else -ops.cast(x, "int64")


@function(same_rule, "sort")
def sort(values: Array, *, axis: int = -1, direction: str = "ASCENDING") -> Array:
    """`values` in order along `axis`, "ASCENDING" or "DESCENDING"."""
    y = xp.sort(tensor(values), axis=axis)
    return y if direction == "ASCENDING" else xp.flip(y, axis=axis)


@function(lambda values: Spec(as_spec(values).shape, "int32"), "argsort")
def argsort(values: Array, *, axis: int = -1, direction: str = "ASCENDING", stable: bool = False) -> Array:
    """int32 positions that sort `values` along `axis`; equal entries keep their order; `stable` has no effect."""
    x = tensor(values)
    return ops.cast(xp.argsort(x if direction == "ASCENDING" else _falling(x), axis=axis, stable=True), "int32")


def _top_rule(x: Any, k: Any = 1, *, sorted: bool) -> Any:  # noqa: A002 - TensorFlow's name
    if (count := known(k)) is not None:
        return rule_of(operations.top_k, x, k=count, sorted=sorted)
    shape = (*x.shape[:-1], None)
    return Spec(shape, x.dtype), Spec(shape, "int32")


@function(_top_rule, "math.top_k", sizes=("k",))
def top_k(x: Array, k: Sizes = 1, *, sorted: bool = True) -> tuple[Array, Array]:  # noqa: A002
    """(the k largest of the last axis, their int32 positions), the largest first; equal entries keep their order."""
    values, places = operations.top_k({}, x, k=number(k), sorted=sorted)
    return values, places


in_top_k = same_in_keras(operations.in_top_k, "targets predictions", "k", "math.in_top_k", alike=False)


def _searchsorted_room(x: Sequence[Any]) -> tuple[int, int]:
    """Memory for comparing each value with its whole row."""
    rows, values = map(as_spec, x)
    compared = bytes_of(Spec((*values.shape, rows.shape[-1])))
    return compared, compared


def _search_rule(sorted_sequence: Any, values: Any, *, out_type: str) -> Spec:
    rows, shape = as_spec(sorted_sequence).shape, as_spec(values).shape
    joined(rows[:-1], shape[:-1])
    return Spec(shape, out_type)


@function(_search_rule, "searchsorted", room=_searchsorted_room)
def searchsorted(sorted_sequence: Array, values: Array, *, side: str = "left", out_type: str = "int32") -> Array:
    """Positions at which `values` (..., m) go into the ascending rows of `sorted_sequence` (..., n).

    NaN goes to the side: first or last.
    """
    rows, x = tensor(sorted_sequence)[..., None, :], tensor(values)[..., None]
    return ops.cast(xp.sum(rows < x if side == "left" else ~(x < rows), axis=-1), out_type)


def _unique_rule(x: Spec, *, out_idx: str) -> tuple[Spec, Spec]:
    return Spec((None,), x.dtype), Spec(x.shape, out_idx)


@function(_unique_rule, "unique", room=room_like(operations.unique))
def unique(x: Array, *, out_idx: str = "int32") -> tuple[Array, Array]:
    """(unique entries of a vector in order of first occurrence, the position of each entry among them)."""
    values, inverse = operations.unique({}, tensor(x), sorted=False, return_inverse=True)
    return values, ops.cast(inverse, out_idx)


# --- segments -------------------------------------------------------------------------------------


def _segment_rule(data: Any, segment_ids: Any, num_segments: Any) -> Spec:
    ids = as_spec(segment_ids).shape
    joined(ids, data.shape[: len(ids)])
    return Spec((known(num_segments), *data.shape[len(ids) :]), data.dtype)


def _mean_rule(data: Any, segment_ids: Any, num_segments: Any) -> Spec:
    return Spec(_segment_rule(data, segment_ids, num_segments).shape, truediv_rule(data, data).dtype)


def _segments(
    name: str, reduce: Callable[[Array, Array, int], Array], rule: Callable[..., Spec] = _segment_rule
) -> Operation:
    def apply(data: Array, segment_ids: Array, num_segments: Sizes) -> Array:
        data, ids = tensor(data), tensor(segment_ids)
        rows = data.reshape((ids.size, *data.shape[ids.ndim :]))
        return reduce(rows, ids.reshape(-1), number(num_segments, each=math.prod(rows.shape[1:])))

    text = f"{name.rpartition('_')[2]} of the entries of `data` with the same id."
    return function(rule, f"math.{name}", sizes=("num_segments",))(named(name, text, apply))


def _by_id(operation: Operation) -> Callable[[Array, Array, int], Array]:
    return lambda rows, ids, count: operation({}, (rows, ids), num_segments=count)


_segment_sum = _by_id(operations.segment_sum)


def _sizes(rows: Array, ids: Array, count: int) -> Array:
    sizes = xp.maximum(ops.bincount(ids, count), 1).astype(rows.dtype)
    return sizes.reshape((count,) + (1,) * (rows.ndim - 1))


unsorted_segment_sum = _segments("unsorted_segment_sum", _segment_sum)
unsorted_segment_mean = _segments(
    "unsorted_segment_mean", lambda r, i, n: quotient(_segment_sum(r, i, n), _sizes(r, i, n)), _mean_rule
)
unsorted_segment_sqrt_n = _segments(
    "unsorted_segment_sqrt_n", lambda r, i, n: _segment_sum(r, i, n) / xp.sqrt(_sizes(r, i, n))
)
unsorted_segment_max = _segments("unsorted_segment_max", _by_id(operations.segment_max))
unsorted_segment_min = _segments("unsorted_segment_min", _by_id(operations.segment_min))
unsorted_segment_prod = _segments("unsorted_segment_prod", _by_id(operations.segment_prod))
