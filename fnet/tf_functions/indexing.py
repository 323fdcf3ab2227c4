"""Functions that read and write by index: slices, gathering, scattering, choosing, one-hot vectors.

Where the size of a result depends on values (a mask as a key), NumPy computes it; under `jax.jit` it cannot be known,
and JAX raises. Source: TensorFlow.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet.backend import ops, xp
from fnet.dtypes import is_integral, together
from fnet.dtypes import tensor as as_tensor
from fnet.operations.indexing import block, block_spec, from_front, require_both, scattered
from fnet.operations.rules import Operation, named
from fnet.shapes import broadcast_shapes, fit, joined, positive, require_places, shape_of
from fnet.tf_functions.rules import Sizes, as_spec, dtype_like, function, ints, known, number, sizes_of, zero_of
from fnet.types import Array, Shape, Spec

UNKNOWN = "unknown"
"""A bound of a slice that is unknown to shape rules."""

# --- slices ---------------------------------------------------------------------------------------


def _full(key: Any, rank: int) -> list[Any]:
    """A key of `__getitem__` as one part for each axis and each new axis, without Ellipsis."""
    parts = list(key) if isinstance(key, list | tuple) else [key]
    taken = sum(len(shape_of(p)) if _is_mask(p) else p is not None and p is not Ellipsis for p in parts)
    if taken > rank:
        raise ValueError(f"an index of {taken} axes of an array that has {rank}")
    rest = [builtins.slice(None)] * (rank - taken)
    place = next((i for i, p in enumerate(parts) if p is Ellipsis), len(parts))
    return [*parts[:place], *rest, *parts[place + 1 :]]


def _is_mask(part: Any) -> bool:
    return hasattr(part, "dtype") and str(part.dtype) == "bool"


def with_slices(slice_spec: Any) -> Any:
    """A key with slices in place of the dicts that files have."""
    if isinstance(slice_spec, dict):
        if slice_spec.keys() != {"start", "stop", "step"}:
            raise ValueError(f"{slice_spec!r:.60} is not a slice")
        return builtins.slice(slice_spec["start"], slice_spec["stop"], slice_spec["step"])
    return [with_slices(p) for p in slice_spec] if isinstance(slice_spec, list | tuple) else slice_spec


def _bound(value: Any) -> Any:
    if value is None:
        return None
    size = known(value)
    return UNKNOWN if size is None else size


def _length(size: int | None, part: builtins.slice) -> int | None:
    """How many entries of an axis a slice takes."""
    bounds = [_bound(b) for b in (part.start, part.stop, part.step)]
    return None if size is None or UNKNOWN in bounds else len(range(*builtins.slice(*bounds).indices(size)))


def _key_shape(shape: Shape, key: Any) -> Shape:
    new_shape: list[int | None] = []
    sizes = iter(shape)
    for part in _full(key, len(shape)):
        if part is None:
            new_shape.append(1)
        elif isinstance(part, builtins.slice):
            new_shape.append(_length(next(sizes), part))
        elif _is_mask(part):
            _ = [next(sizes) for _ in shape_of(part)]
            new_shape.append(None)
        else:
            require_places([known(part)], next(sizes))
    return tuple(new_shape)


def _getitem_rule(tensor: Any, slice_spec: Any = None, *, key: Any) -> Spec:
    spec = as_spec(tensor)
    return Spec(_key_shape(spec.shape, key if slice_spec is None else with_slices(slice_spec)), spec.dtype)


@function(_getitem_rule, "__operators__.getitem", sizes=("slice_spec",))
def getitem(tensor: Array, slice_spec: Any = None, *, key: Any = ()) -> Array:
    """`tensor[key]`: numbers, slices, None (a new axis), Ellipsis, a mask; a key with tensors is `slice_spec`."""
    x = as_tensor(tensor)
    if slice_spec is None:
        return x[tuple(key) if isinstance(key, list | tuple) else key]
    parts = _full(with_slices(slice_spec), x.ndim)
    return x[tuple(_numbers(part) if isinstance(part, builtins.slice) else part for part in parts)]


def _numbers(part: builtins.slice) -> builtins.slice:
    """A slice whose ends and step may be tensors, with numbers."""
    return builtins.slice(*(None if b is None else number(b) for b in (part.start, part.stop, part.step)))


def _bits(mask: int, i: int) -> bool:
    return bool(mask >> i & 1)


def _strided_key(
    begin: Sequence[Any], end: Sequence[Any], strides: Sequence[Any], masks: tuple[int, int, int, int, int]
) -> list[Any]:
    """The key for the bounds of tf.strided_slice and its masks (begin, end, ellipsis, new axis, shrink)."""
    key: list[Any] = []
    for i, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        if _bits(masks[2], i):
            key.append(Ellipsis)
        elif _bits(masks[3], i):
            key.append(None)
        elif _bits(masks[4], i):
            key.append(first)
        else:
            key.append(
                builtins.slice(None if _bits(masks[0], i) else first, None if _bits(masks[1], i) else last, step)
            )
    return key


def _strided_rule(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    *,
    begin_mask: int,
    end_mask: int,
    ellipsis_mask: int,
    new_axis_mask: int,
    shrink_axis_mask: int,
) -> Spec:
    spec = as_spec(input_)
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    first, last = ([Spec((), "int32") if n is None else n for n in sizes_of(b)] for b in (begin, end))
    steps = [1] * len(first) if strides is None else sizes_of(strides)
    return Spec(_key_shape(spec.shape, _strided_key(first, last, steps, masks)), spec.dtype)


@function(_strided_rule, "strided_slice", sizes=("begin", "end", "strides"))
def strided_slice(
    input_: Array,
    begin: Sizes,
    end: Sizes,
    strides: Sizes = None,
    *,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Array:
    """`input_[begin : end : strides]` of the first axes; a mask with bit i set means that bound i is not used."""
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    first = ints(begin)
    key = _strided_key(first, ints(end), [1] * len(first) if strides is None else ints(strides), masks)
    return as_tensor(input_)[tuple(key)]


def _slice_rule(input_: Any, begin: Any, size: Any) -> Spec:
    return block_spec(as_spec(input_), sizes_of(begin), sizes_of(size))


@function(_slice_rule, "slice", sizes=("begin", "size"))
def slice(input_: Array, begin: Sizes, size: Sizes) -> Array:  # noqa: A001 - TensorFlow's name
    """The block of `size` that begins at `begin`; a size of -1 means up to the end."""
    return block(as_tensor(input_), ints(begin), ints(size))


def _mask_rule(tensor: Any, mask: Any, *, axis: int | None) -> Spec:
    shape, place = as_spec(tensor).shape, axis or 0
    joined(shape[place:][: len(as_spec(mask).shape)], as_spec(mask).shape)
    return Spec((*shape[:place], None, *shape[place + len(as_spec(mask).shape) :]), as_spec(tensor).dtype)


@function(_mask_rule, "boolean_mask")
def boolean_mask(tensor: Array, mask: Array, *, axis: int | None = None) -> Array:
    """The entries of the axes from `axis` where `mask` is True, in one axis."""
    return as_tensor(tensor)[(builtins.slice(None),) * (axis or 0) + (as_tensor(mask, "bool"),)]


# --- gathering ------------------------------------------------------------------------------------


def _indices(x: Any) -> Spec:
    """The Spec of indices. Raises ValueError unless they are integers."""
    spec = as_spec(x)
    if not is_integral(spec.dtype):
        raise ValueError(f"indices are integers, not {spec.dtype}")
    return spec


def _gather_places(params: Shape, indices: Shape, axis: int | None, batch_dims: int) -> tuple[int, int]:
    shared = batch_dims + (len(indices) if batch_dims < 0 else 0)
    at = positive(shared if axis is None else axis, len(params))
    most = min(len(indices), at)
    if not 0 <= shared <= most:
        raise ValueError(f"batch_dims={batch_dims}: {params} at {indices} along axis {at} share at most {most} axes")
    joined(params[:shared], indices[:shared])
    return at, shared


def _gather_rule(params: Any, indices: Any, *, axis: int | None, batch_dims: int) -> Spec:
    table, places = as_spec(params), _indices(indices)
    at, batch = _gather_places(table.shape, places.shape, axis, batch_dims)
    require_places(indices, table.shape[at])
    return Spec((*table.shape[:at], *places.shape[batch:], *table.shape[at + 1 :]), table.dtype)


@function(_gather_rule, "gather", "keras.backend.gather", "nn.embedding_lookup")
def gather(params: Array, indices: Array, *, axis: int | None = None, batch_dims: int = 0) -> Array:
    """Entries of `axis` of `params` at `indices`, whose first `batch_dims` axes are shared with `params`.

    An index that is not there, also a negative one, raises InvalidInput on NumPy and gives NaN on JAX.
    """
    table, places = as_tensor(params), as_tensor(indices)
    at, batch = _gather_places(table.shape, places.shape, axis, batch_dims)
    places = from_front(places, table.shape[at])
    if batch == 0:
        return ops.take_axis(table, places, at)
    lead, between, after = table.shape[:batch], table.shape[batch:at], table.shape[at + 1 :]
    flat = table.reshape((math.prod(lead), math.prod(between), table.shape[at], math.prod(after)))
    rows = places.reshape((math.prod(lead), 1, math.prod(places.shape[batch:]), 1))
    shape = (flat.shape[0], flat.shape[1], rows.shape[2], flat.shape[3])
    y = xp.take_along_axis(flat, xp.broadcast_to(rows, shape), axis=2)
    return y.reshape((*lead, *between, *places.shape[batch:], *after))


def _gather_nd_rule(params: Any, indices: Any, *, batch_dims: int) -> Spec:
    table = as_spec(params)
    joined(table.shape[:batch_dims], _indices(indices).shape[:batch_dims])
    places, rest = _places_in(table.shape[batch_dims:], indices)
    return Spec((*places, *rest), table.dtype)


def _places_in(shape: Shape, indices: Any) -> tuple[Shape, Shape]:
    """(shape of the positions, shape of the entry at each) for `indices` (..., depth) into an array of `shape`."""
    places = _indices(indices).shape
    depth = places[-1] if places else None
    if depth is None or depth > len(shape):
        raise ValueError(f"indices of shape {places} into {shape}: the last axis names a place in it, of known length")
    require_places(indices, *shape[:depth] or (None,))
    return places[:-1], shape[depth:]


@function(_gather_nd_rule, "gather_nd")
def gather_nd(params: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    """Entries (or blocks) of `params` at the positions in the last axis of `indices` (..., depth)."""
    table, places = as_tensor(params), as_tensor(indices)
    key = list(xp.moveaxis(from_front(places, *table.shape[batch_dims:][: places.shape[-1]]), -1, 0))
    rank = places.ndim - 1
    grid = [np.arange(places.shape[i]).reshape([-1 if j == i else 1 for j in range(rank)]) for i in range(batch_dims)]
    return table[(*grid, *key)]


# --- scattering -----------------------------------------------------------------------------------


def _scattered(shape: Shape, indices: Any, updates: Any) -> Shape:
    """`shape`. Raises ValueError unless `updates` at `indices` fit into it."""
    places, rest = _places_in(shape, indices)
    joined((*places, *rest), as_spec(updates).shape)
    return shape


def _scatter_nd_rule(indices: Any, updates: Any, shape: Any) -> Spec:
    return Spec(_scattered(sizes_of(shape), indices, updates), as_spec(updates).dtype)


@function(_scatter_nd_rule, "scatter_nd", sizes=("shape",))
def scatter_nd(indices: Array, updates: Array, shape: Sizes) -> Array:
    """Zeros of `shape` with `updates` added at `indices` (..., depth); updates at equal indices add up."""
    updates, zero = together(updates, zero_of(updates))
    return scattered(xp.full(tuple(ints(shape, each=1)), zero, updates.dtype), indices, updates, "add")


def _scatter(name: str, text: str, by: str) -> Operation:
    def apply(tensor: Array, indices: Array, updates: Array) -> Array:
        x, updates = together(tensor, updates)
        return scattered(x, indices, -updates if name.endswith("sub") else updates, by)

    def rule(tensor: Any, indices: Any, updates: Any) -> Spec:
        return Spec(_scattered(as_spec(tensor).shape, indices, updates), as_spec(tensor).dtype)

    return function(rule, name)(named(name, text, apply))


tensor_scatter_nd_update = _scatter("tensor_scatter_nd_update", "`tensor` with `updates` at `indices`.", "set")
tensor_scatter_nd_add = _scatter("tensor_scatter_nd_add", "`tensor` with `updates` added at `indices`.", "add")
tensor_scatter_nd_sub = _scatter("tensor_scatter_nd_sub", "`tensor` with `updates` subtracted at `indices`.", "add")
tensor_scatter_nd_max = _scatter("tensor_scatter_nd_max", "`tensor` with the larger at `indices`.", "max")
tensor_scatter_nd_min = _scatter("tensor_scatter_nd_min", "`tensor` with the smaller at `indices`.", "min")


# --- choosing -------------------------------------------------------------------------------------


def _where_rule(condition: Any, x: Any = None, y: Any = None) -> Spec:
    if x is None and y is None:
        fit("... any", as_spec(condition).shape)
        return Spec((None, len(as_spec(condition).shape)), "int64")
    require_both(x, y)
    return Spec(broadcast_shapes(*(as_spec(a).shape for a in (condition, x, y))), dtype_like(x, y))


@function(_where_rule, "where")
def where(condition: Array, x: Array | None = None, y: Array | None = None) -> Array:
    """`x` where `condition`, else `y`; without them the int64 indices (n, axes) where `condition` holds."""
    condition = as_tensor(condition, "bool")
    if x is None and y is None:
        return ops.cast(xp.stack(xp.nonzero(condition), axis=-1), "int64")  # 32 bits in WebAssembly
    require_both(x, y)
    return xp.where(condition, *together(x, y))


def _hot_rule(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, *, axis: int, dtype: str | None
) -> Spec:
    shape = as_spec(indices).shape
    place = axis if axis >= 0 else len(shape)
    chosen = [v for v in (on_value, off_value) if v is not None]
    return Spec((*shape[:place], known(depth), *shape[place:]), dtype or (dtype_like(*chosen) if chosen else "float32"))


@function(_hot_rule, "one_hot", "keras.backend.one_hot", sizes=("depth",))
def one_hot(
    indices: Array,
    depth: Sizes,
    on_value: Any = None,
    off_value: Any = None,
    *,
    axis: int = -1,
    dtype: str | None = None,
) -> Array:
    """Each id as a vector on a new axis: `on_value` (1) at the position of the id, else `off_value` (0)."""
    ids = as_tensor(indices)
    place = axis if axis >= 0 else ids.ndim
    chosen = [v for v in (on_value, off_value) if v is not None]
    name = dtype or (together(*chosen)[0].dtype.name if chosen else "float32")
    on, off = (as_tensor(d if v is None else v, name) for v, d in ((on_value, 1), (off_value, 0)))
    steps = xp.arange(number(depth, each=ids.size)).reshape(-1, *(1,) * (ids.ndim - place))
    return xp.where(xp.expand_dims(ids, place) == steps, on, off)
