"""Operations that read and write by index: slicing, gathering, scattering, choosing.

Where the size of the result depends on the values (nonzero, a boolean key), NumPy computes it; under `jax.jit` it
cannot be known, and JAX raises. Source: keras.ops.
"""

# ruff: noqa: A001 - the operations have Keras's names
from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fnet.backend import ops, xp
from fnet.core.rules import Call
from fnet.dtypes import dtype_of, is_integral, result_type, tensor
from fnet.errors import InvalidInput
from fnet.operations.rules import LIMIT, broadcast, evaluated, operation, viewed
from fnet.shapes import MOST_ROWS, broadcast_shapes, fits, joined, positive, require_places, shape_of, sized, total
from fnet.types import Array, Spec

READS = Call(reads_values=True)
"""For operations whose shape rules read the values of known indices."""

# --- slices ---------------------------------------------------------------------------------------


def _key(key: Any) -> Any:
    """The key for NumPy: a list of parts, as files write tuples, as a tuple."""
    return tuple(key) if isinstance(key, list | tuple) else key


def _get_item_rule(x: Spec, index: Any = None, *, key: Any) -> Any:
    if index is None:
        return viewed(lambda a: a[_key(key)], x)
    if isinstance(index, Spec):
        chosen, axes = ((None,), len(index.shape)) if index.dtype == "bool" else (index.shape, 1)
        return Spec((*chosen, *x.shape[axes:]), x.dtype)
    index = [part for i in index for part in _places(i)]
    picked = [d for i in index if isinstance(i, Spec) for d in i.shape]
    if math.prod(sized((*x.shape, *picked), 3)) > LIMIT:
        raise ValueError(f"cannot infer the shape of an index into so large a tensor: {x}")
    return evaluated(_of_first, (x, index), {})


def _places(index: Any) -> list[Any]:
    """A part of an index; a mask as where it is true: a number for each of its axes, of any count."""
    is_mask = isinstance(index, Spec) and index.dtype == "bool"
    return [Spec((None,), "int32")] * len(index.shape) if is_mask else [index]


def _of_first(x: Array, index: list[Any]) -> Array:
    """`_picked` with tensors that pick the first entries, which are there in most axes."""
    return _picked(x, [i * 0 if hasattr(i, "dtype") else i for i in index])


def _picked(x: Array, index: Any) -> Array:
    parts = index if isinstance(index, list | tuple) else [index]
    arrays = tuple(tensor(p) if hasattr(p, "dtype") or isinstance(p, list) else p for p in parts)
    return tensor(x)[arrays if isinstance(index, list | tuple) else arrays[0]]


@operation(_get_item_rule)
def get_item(x: Array, index: Any = None, *, key: Any = ()) -> Array:
    """`x[key]`: integers, slices, None (a new axis), Ellipsis; a key that holds tensors is given as `index`."""
    return tensor(x)[_key(key)] if index is None else _picked(x, index)


def _slice_rule(inputs: Spec, start_indices: Any, *, shape: Sequence[int]) -> Spec:
    if isinstance(start_indices, Spec):
        joined(start_indices.shape, (len(shape),))
    starts = start_indices if isinstance(start_indices, list | tuple) else [None] * len(shape)
    if not len(inputs.shape) == len(starts) == len(shape):
        raise ValueError(f"{len(starts)} start indices and a block of {len(shape)} axes for {inputs}")
    return block_spec(inputs, [start if isinstance(start, int) else None for start in starts], shape)


@operation(_slice_rule)
def slice(inputs: Array, start_indices: Any, *, shape: Sequence[int]) -> Array:
    """The block of `shape` that begins at `start_indices`; a size of -1 means up to the end.

    Raises InvalidInput where it is not inside `inputs`; under `jax.jit` the next one inside is taken.
    """
    inputs = tensor(inputs)
    starts = start_indices if isinstance(start_indices, list | tuple) else tensor(start_indices)
    if -1 in shape or all(isinstance(start, int) for start in starts):
        return block(inputs, [int(start) for start in starts], shape)
    return ops.dynamic_slice(inputs, starts, tuple(shape))


def block_spec(x: Spec, starts: Sequence[int | None], shape: Sequence[int | None]) -> Spec:
    """The Spec of `block`; None is a number that is not known. Raises ValueError if it is not inside."""
    sizes: list[int | None] = []
    for there, start, n in zip(x.shape, starts, shape, strict=True):
        rest = None if there is None or start is None else there - start
        if (start or 0) < 0 or (rest is not None and rest < max(n or 0, 0)):
            raise ValueError(f"a block of {tuple(shape)} at {tuple(starts)} is not inside {x}")
        sizes.append(rest if n == -1 else n)
    return Spec(tuple(sizes), x.dtype)


def block(x: Array, starts: Sequence[int], shape: Sequence[int]) -> Array:
    """The block of `shape` at `starts`; a size of -1 means up to the end. Raises InvalidInput if it is not inside."""
    ends = [there if n == -1 else start + n for start, n, there in zip(starts, shape, x.shape, strict=True)]
    if any(not 0 <= start <= end <= there for start, end, there in zip(starts, ends, x.shape, strict=True)):
        raise InvalidInput(f"a block of {tuple(shape)} at {tuple(starts)} is not inside {tuple(x.shape)}")
    return x[tuple(map(builtins.slice, starts, ends))]


def _update_rule(inputs: Spec, start_indices: Any, updates: Any) -> Spec:
    if isinstance(start_indices, list | tuple) and any(n is None or shape_of(n) for n in start_indices):
        raise ValueError(f"start indices are numbers; got {start_indices}")
    if isinstance(start_indices, list | tuple) and not len(start_indices) == len(shape_of(updates)) == len(
        inputs.shape
    ):
        raise ValueError(f"{len(start_indices)} start indices, {len(shape_of(updates))} axes of updates for {inputs}")
    sizes = zip(sized(inputs.shape, MOST_ROWS), sized(shape_of(updates), 0), strict=False)
    if any(new > size for size, new in sizes):
        raise ValueError(f"updates of the shape {shape_of(updates)} are not inside {inputs}")
    return inputs


@operation(_update_rule)
def slice_update(inputs: Array, start_indices: Any, updates: Array) -> Array:
    """`inputs` with the block that begins at `start_indices` replaced by `updates`."""
    inputs = tensor(inputs)
    return ops.dynamic_update_slice(inputs, tensor(updates, inputs.dtype.name), start_indices)


# --- gathering ------------------------------------------------------------------------------------


def _take_rule(x: Spec, indices: Any, *, axis: int | None, clips: bool) -> Spec:
    size = total(x.shape) if axis is None else x.shape[positive(axis, len(x.shape))]
    if not clips:
        require_places(indices, size)
    if not is_integral(kind := dtype_of(indices)) and kind != "int":
        raise ValueError(f"indices are whole numbers, not {kind}")
    if axis is None:
        return Spec(tuple(shape_of(indices)), x.dtype)
    axis = positive(axis, len(x.shape))
    return Spec((*x.shape[:axis], *shape_of(indices), *x.shape[axis + 1 :]), x.dtype)


@operation(_take_rule, call=READS)
def take(x: Array, indices: Array, *, axis: int | None = None, clips: bool = False) -> Array:
    """Entries of `axis` (None: of the flat tensor) at `indices`; negative indices count from the end. With `clips`, as
    in Keras before 3.3, negative indices mean the first entry, and indices beyond the end the last."""
    x, indices = tensor(x), tensor(indices)
    indices = xp.clip(indices, 0, (x.size if axis is None else x.shape[axis]) - 1) if clips else indices
    return ops.take(x.reshape(-1), indices) if axis is None else ops.take_axis(x, indices, axis)


def _take_along_rule(x: Spec, indices: Any, *, axis: int | None) -> Spec:
    sizes = shape_of(indices)
    if axis is None:
        return Spec(tuple(sizes), x.dtype)
    axis = positive(axis, len(x.shape))
    require_places(indices, x.shape[axis])
    joined((None,) * len(x.shape), sizes)
    spread = broadcast_shapes((*x.shape[:axis], 1, *x.shape[axis + 1 :]), (*sizes[:axis], 1, *sizes[axis + 1 :]))
    return Spec((*spread[:axis], sizes[axis], *spread[axis + 1 :]), x.dtype)


@operation(_take_along_rule, call=READS)
def take_along_axis(x: Array, indices: Array, *, axis: int | None = None) -> Array:
    """Entry `indices[..., i, ...]` of each row of `x` along `axis` (None: of the flat tensor); floats are truncated."""
    x, indices = tensor(x), tensor(indices)
    indices = indices if indices.dtype.kind in "iu" else ops.cast(indices, "int32")
    if axis is None:
        return xp.take(x.reshape(-1), indices)
    axis = positive(axis, x.ndim)
    shape: Any = _take_along_rule(x, Spec(indices.shape), axis=axis).shape
    x = xp.broadcast_to(x, (*shape[:axis], x.shape[axis], *shape[axis + 1 :]))
    return xp.take_along_axis(x, xp.broadcast_to(indices, shape), axis=axis)


# --- scattering -----------------------------------------------------------------------------------


def from_front(indices: Any, *sizes: int) -> Array:
    """Indices into axes of `sizes`, each in turn, negative ones moved beyond the end: TensorFlow has nothing there."""
    indices = tensor(indices)
    past_the_end = np.asarray(sizes[0] if len(sizes) == 1 else sizes, "int32")
    return xp.where(indices < 0, past_the_end, indices) if indices.dtype.kind == "i" else indices


def scattered(x: Array, indices: Any, updates: Array, by: str) -> Array:
    """`x` with `updates` at `indices` (..., depth), put there ("set") or combined by "add", "max", "min", "mul"."""
    depth = shape_of(indices)[-1]
    return ops.scatter(x, from_front(indices, *x.shape[:depth]), updates, by)


@operation(lambda at, values, *, shape: _scatter_rule(Spec(tuple(shape), dtype_of(values)), at, values), call=READS)
def scatter(indices: Array, values: Array, *, shape: Sequence[int]) -> Array:
    """Zeros of `shape` with `values` added at `indices` (..., depth); values at equal indices add up.

    A negative index is no place, as in Keras on TensorFlow (on JAX it counts from the end): InvalidInput on NumPy, and
    on JAX, as for one beyond the end, its values are left out.
    """
    values = tensor(values)
    return scattered(xp.zeros(tuple(shape), values.dtype), indices, values, "add")


def _scatter_rule(inputs: Spec, indices: Any, updates: Any) -> Spec:
    places, rank = shape_of(indices), len(inputs.shape)
    depth = places[-1] or 0 if places else rank + 1  # 0 where it is unknown: any number of axes
    if depth > rank:
        raise ValueError(f"indices of the shape {places} for {inputs}; each names a place by up to as many as its axes")
    require_places(indices, *inputs.shape[:depth] or (None,))
    there = (*places[:-1], *inputs.shape[depth:]) if depth else (None,) * len(shape_of(updates))
    if len(shape_of(updates)) > len(there) or not fits(broadcast_shapes(there, shape_of(updates)), there):
        raise ValueError(f"updates of the shape {shape_of(updates)} for indices of the shape {places} into {inputs}")
    return Spec(inputs.shape, inputs.dtype)


@operation(_scatter_rule, call=READS)
def scatter_update(
    inputs: Array, indices: Array, updates: Array, *, reduction: Literal["add", "max", "min", "mul"] | None = None
) -> Array:
    """`inputs` with `updates` at `indices` (n, depth): replaced, or combined by "add", "max", "min" or "mul".

    Negative indices are as in `scatter`.
    """
    inputs = tensor(inputs)
    return scattered(inputs, indices, tensor(updates, inputs.dtype.name), reduction or "set")


# --- choosing -------------------------------------------------------------------------------------


def require_both(x1: Any, x2: Any) -> None:
    """Raise InvalidInput where only one of two values to choose from is given."""
    if x1 is None or x2 is None:
        raise InvalidInput("where takes a condition and two values to choose from, or a condition alone; got one value")


def _where_rule(condition: Spec, x1: Any = None, x2: Any = None) -> Any:
    if x1 is None and x2 is None:
        return [Spec((None,), "int32")] * len(condition.shape)
    require_both(x1, x2)
    return broadcast(condition, x1, x2)


@operation(_where_rule)
def where(condition: Array, x1: Array | None = None, x2: Array | None = None) -> Array:
    """`x1` where `condition`, else `x2`, in their common dtype; without them, the indices where `condition` holds."""
    condition = tensor(condition, "bool")
    if x1 is None and x2 is None:
        return [i.astype("int32") for i in xp.nonzero(condition)]
    require_both(x1, x2)
    x1, x2 = (tensor(x, result_type(dtype_of(x1), dtype_of(x2))) for x in (x1, x2))
    return xp.where(condition, x1, x2)


@operation(lambda condlist, choicelist, default=0: broadcast(*condlist, *choicelist, default))
def select(condlist: Sequence[Array], choicelist: Sequence[Array], default: Any = 0) -> Array:
    """The entry of the first of `choicelist` whose condition holds, else `default`.

    As in TensorFlow's NumPy a float among integers gives float64, an integer among bools int64.
    """
    kinds = {dtype_of(value) for value in (*choicelist, default)}
    dtype = result_type(*(kinds - {"int", "float"}))
    if "float" in kinds and is_integral(dtype):
        dtype = "float64"
    elif "int" in kinds and dtype == "bool":
        dtype = "int64"
    *choices, result = (tensor(value, dtype) for value in (*choicelist, default))
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = xp.where(tensor(condition, "bool"), choice, result)
    return result


@operation(lambda x: [Spec((None,), "int32")] * len(x.shape))
def nonzero(x: Array) -> list[Array]:
    """The indices of entries that are not 0, one tensor for each axis. Their number depends on the values."""
    return [i.astype("int32") for i in xp.nonzero(tensor(x))]
