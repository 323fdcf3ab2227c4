"""Operations that pick and place: slicing, gathering, scattering, choosing, sorting, searching, new tensors.

Where the result's size depends on the values (nonzero, unique, a truth-valued key) NumPy computes it; under
`jax.jit` it cannot be known, and JAX says so. Source: keras.ops.
"""

# ruff: noqa: A001 - the operations have Keras's names
from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet.backend import ops, xp
from fnet.operations.dtypes import dtype_of, floating, promoted, result_type, strong, tensor
from fnet.operations.rules import (
    LIMIT,
    broadcast,
    broadcast_shapes,
    evaluated,
    operation,
    positive,
    reduced_shape,
    same,
    shape_of,
    total,
    viewed,
)
from fnet.types import Array, Shape, Spec

# --- slices ---------------------------------------------------------------------------------------


def _key(key: Any) -> Any:
    """The key as NumPy takes it: a list of parts (as files write tuples) is a tuple."""
    return tuple(key) if isinstance(key, list | tuple) else key


def _get_item_rule(x: Spec, index: Any = None, *, key: Any) -> Any:
    if index is None:
        return viewed(lambda a: a[_key(key)], x)
    flat = [i for i in (index if isinstance(index, list | tuple) else [index]) if isinstance(i, Spec)]
    if any(i.dtype == "bool" for i in flat):
        return Spec((None, *x.shape[max(len(i.shape) for i in flat) :]), x.dtype)
    picked = [d for i in flat for d in i.shape]
    if (total(tuple(3 if d is None else d for d in (*x.shape, *picked))) or 0) > LIMIT and not _plain(index):
        raise ValueError(f"cannot infer the shape of an index into so large a tensor: {x}")
    if _plain(index):
        return Spec((*index.shape, *x.shape[1:]), x.dtype)
    return evaluated(_picked, (x, index), {})


def _plain(index: Any) -> bool:
    return isinstance(index, Spec)


def _picked(x: Array, index: Any) -> Array:
    parts = index if isinstance(index, list | tuple) else [index]
    arrays = tuple(tensor(p) if hasattr(p, "dtype") or isinstance(p, list) else p for p in parts)
    return tensor(x)[arrays if isinstance(index, list | tuple) else arrays[0]]


@operation(_get_item_rule)
def get_item(x: Array, index: Any = None, *, key: Any = ()) -> Array:
    """`x[key]`: integers, slices, None (a new axis), Ellipsis; a key that holds tensors is given as `index`."""
    return tensor(x)[_key(key)] if index is None else _picked(x, index)


def _slice_rule(inputs: Spec, start_indices: Any, *, shape: Sequence[int]) -> Spec:
    starts = start_indices if isinstance(start_indices, list | tuple) else [None] * len(shape)
    sizes: list[int | None] = []
    for size, start, wanted in zip(inputs.shape, starts, shape, strict=True):
        rest = size - start if isinstance(size, int) and isinstance(start, int) else None
        sizes.append(rest if wanted == -1 else wanted)
    return Spec(tuple(sizes), inputs.dtype)


@operation(_slice_rule)
def slice(inputs: Array, start_indices: Any, *, shape: Sequence[int]) -> Array:
    """The block of `shape` that begins at `start_indices`; -1 is all that follows."""
    inputs = tensor(inputs)
    starts = start_indices if isinstance(start_indices, list | tuple) else tensor(start_indices)
    if -1 in shape:
        return inputs[
            tuple(builtins.slice(int(s), None if n == -1 else int(s) + n) for s, n in zip(starts, shape, strict=True))
        ]
    return ops.dynamic_slice(inputs, starts, tuple(shape))


@operation(same)
def slice_update(inputs: Array, start_indices: Any, updates: Array) -> Array:
    """`inputs` with the block that begins at `start_indices` replaced by `updates`."""
    inputs = tensor(inputs)
    return ops.dynamic_update_slice(inputs, tensor(updates, inputs.dtype.name), start_indices)


# --- gathering ------------------------------------------------------------------------------------


def _take_rule(x: Spec, indices: Any, *, axis: int | None) -> Spec:
    if axis is None:
        return Spec(tuple(shape_of(indices)), x.dtype)
    axis = positive(axis, len(x.shape))
    return Spec((*x.shape[:axis], *shape_of(indices), *x.shape[axis + 1 :]), x.dtype)


@operation(_take_rule)
def take(x: Array, indices: Array, *, axis: int | None = None) -> Array:
    """Entries of `axis` (None: of the flat tensor) at `indices`; negative ones count from the end."""
    x, indices = tensor(x), tensor(indices)
    return ops.take(x.reshape(-1), indices) if axis is None else ops.take_axis(x, indices, axis)


def _take_along_rule(x: Spec, indices: Any, *, axis: int | None) -> Spec:
    found = shape_of(indices)
    if axis is None:
        return Spec(tuple(found), x.dtype)
    axis = positive(axis, len(x.shape))
    spread = broadcast_shapes((*x.shape[:axis], 1, *x.shape[axis + 1 :]), (*found[:axis], 1, *found[axis + 1 :]))
    return Spec((*spread[:axis], found[axis], *spread[axis + 1 :]), x.dtype)


@operation(_take_along_rule)
def take_along_axis(x: Array, indices: Array, *, axis: int | None = None) -> Array:
    """Entry `indices[..., i, ...]` of each row of `x` along `axis` (None: of the flat tensor)."""
    x, indices = tensor(x), tensor(indices)
    if axis is None:
        return xp.take(x.reshape(-1), indices)
    shape = _take_along_rule(Spec((*x.shape[:axis], 1, *x.shape[axis:][1:])), Spec(indices.shape), axis=axis).shape
    axis = positive(axis, x.ndim)
    x = xp.broadcast_to(x, (*shape[:axis], x.shape[axis], *shape[axis + 1 :]))
    return xp.take_along_axis(x, xp.broadcast_to(indices, shape), axis=axis)


# --- scattering -----------------------------------------------------------------------------------


@operation(lambda indices, values, *, shape: Spec(tuple(shape), values.dtype))
def scatter(indices: Array, values: Array, *, shape: Sequence[int]) -> Array:
    """Zeros of `shape` with `values` added at `indices` (..., depth): equal indices add up."""
    values, indices = tensor(values), tensor(indices)
    return ops.scatter(xp.zeros(tuple(shape), values.dtype), indices, values, "add")


@operation(same)
def scatter_update(inputs: Array, indices: Array, updates: Array, *, reduction: str | None = None) -> Array:
    """`inputs` with `updates` at `indices` (n, depth): put there, or by "add", "max", "min", "mul"."""
    inputs = tensor(inputs)
    return ops.scatter(inputs, tensor(indices), tensor(updates, inputs.dtype.name), reduction or "set")


# --- choosing -------------------------------------------------------------------------------------


def _where_rule(condition: Spec, x1: Any = None, x2: Any = None) -> Any:
    if x1 is None:
        return [Spec((None,), "int32")] * len(condition.shape)
    return broadcast(condition, x1, x2)


@operation(_where_rule)
def where(condition: Array, x1: Array | None = None, x2: Array | None = None) -> Array:
    """`x1` where `condition`, else `x2`, in their common dtype; without them, where `condition` is true (a list)."""
    condition = tensor(condition, "bool")
    if x1 is None or x2 is None:
        return [i.astype("int32") for i in xp.nonzero(condition)]
    x1, x2 = (tensor(x, result_type(dtype_of(x1), dtype_of(x2))) for x in (x1, x2))
    return xp.where(condition, x1, x2)


def _select_rule(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Shape:
    return broadcast(*condlist, *choicelist, default)


@operation(_select_rule)
def select(condlist: Sequence[Array], choicelist: Sequence[Array], default: Any = 0) -> Array:
    """The entry of the first of `choicelist` whose condition holds, else `default`."""
    *choices, result = promoted(*choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = xp.where(tensor(condition, "bool"), choice, result)
    return result


@operation(lambda x: [Spec((None,), "int32")] * len(x.shape))
def nonzero(x: Array) -> list[Array]:
    """Indices of what is not 0, one tensor for each axis. Their number depends on the values."""
    return [i.astype("int32") for i in xp.nonzero(tensor(x))]


# --- sorting and searching ------------------------------------------------------------------------


def _sorted_rule(x: Spec, *, axis: int | None) -> Spec:
    return Spec((total(x.shape),), x.dtype) if axis is None else x


@operation(_sorted_rule)
def sort(x: Array, *, axis: int | None = -1) -> Array:
    """`x` ascending along `axis` (None: flat)."""
    return xp.sort(tensor(x), axis=axis)


@operation(lambda x, *, axis: Spec((1,) if not x.shape else _sorted_rule(x, axis=axis).shape, "int32"))
def argsort(x: Array, *, axis: int | None = -1) -> Array:
    """int32 positions that sort `x` along `axis`; equal entries keep their order."""
    x = tensor(x)
    return xp.zeros(1, "int32") if not x.shape else xp.argsort(x, axis=axis, stable=True).astype("int32")


@operation(lambda x, *, axis: Spec(_sorted_rule(x, axis=axis).shape, "int32"))
def argpartition(x: Array, *, kth: int, axis: int | None = -1) -> Array:
    """int32 positions of the kth + 1 smallest along `axis`, ascending, then of the others.

    As in Keras on TensorFlow the numbers are truncated to int32 first. The order of the others is ours.
    """
    return xp.argsort(tensor(tensor(x), "int32"), axis=axis, stable=True).astype("int32")


def _top_k_rule(x: Spec, *, k: int) -> tuple[Spec, Spec]:
    if x.shape[-1] is not None and x.shape[-1] < k:
        raise ValueError(f"top_k of {k} from an axis of size {x.shape[-1]}")
    return Spec((*x.shape[:-1], k), x.dtype), Spec((*x.shape[:-1], k), "int32")


@operation(_top_k_rule)
def top_k(x: Array, *, k: int, sorted: bool = True) -> tuple[Array, Array]:  # noqa: A002 - Keras's name
    """(the k largest of the last axis, descending, their int32 positions); of equal ones the first."""
    x = tensor(x)
    order = xp.flip(x.shape[-1] - 1 - xp.argsort(xp.flip(x, -1), axis=-1, stable=True), -1)[..., :k]
    return xp.take_along_axis(x, order, axis=-1), order.astype("int32")


@operation(lambda targets, predictions: Spec(targets.shape, "bool"))
def in_top_k(targets: Array, predictions: Array, *, k: int) -> Array:
    """Whether fewer than `k` of `predictions` (batch, classes) exceed that of the class in `targets` (batch,)."""
    predictions, targets = tensor(predictions), tensor(targets)
    mine = xp.take_along_axis(predictions, targets[:, None].astype("int32"), axis=-1)
    finite = xp.isfinite(predictions).all(axis=-1)
    return (xp.sum(predictions > mine, axis=-1) < k) & finite


@operation(lambda sorted_sequence, values: Spec(shape_of(values), "int32"))
def searchsorted(sorted_sequence: Array, values: Array, *, side: str = "left") -> Array:
    """int32 places where `values` go into the ascending `sorted_sequence` (n,)."""
    sequence, values = promoted(tensor(sorted_sequence), tensor(values))
    return xp.searchsorted(sequence, values, side=side).astype("int32")


@operation(lambda x: Spec(x.shape, "int32"))
def digitize(x: Array, *, bins: Sequence[float]) -> Array:
    """int32 number of the interval between ascending `bins` into which `x` falls."""
    x = tensor(x)
    x = x if "float" in x.dtype.name else ops.cast(x, "float32")
    return xp.searchsorted(tensor(bins, x.dtype.name), x, side="right").astype("int32")


@operation(lambda x1, x2: Spec(x1.shape, "bool"))
def isin(x1: Array, x2: Array, *, assume_unique: bool = False, invert: bool = False) -> Array:
    """Whether each of `x1` is (`invert`: is not) among `x2`. `assume_unique` is a hint that changes nothing."""
    x1, x2 = strong(x1, x2)
    found = xp.isin(x1, x2)
    return ~found if invert else found


def _unique_rule(
    x: Spec, *, return_index: bool, return_inverse: bool, return_counts: bool, axis: int | None, size: int | None
) -> Any:
    shape = (size,) if axis is None else tuple(size if i == axis % len(x.shape) else d for i, d in enumerate(x.shape))
    inverse = x.shape if axis is None else (x.shape[axis],)
    extra = [
        s for s, wanted in (((size,), return_index), (inverse, return_inverse), ((size,), return_counts)) if wanted
    ]
    values = Spec(shape, x.dtype)
    return (values, *(Spec(tuple(s), "int32") for s in extra)) if extra else values


@operation(_unique_rule)
def unique(
    x: Array,
    *,
    sorted: bool = True,  # noqa: A002 - Keras's name
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: float | None = None,
) -> Any:
    """The different entries (of `axis`), ascending, and on request (first positions, inverse, counts) in int32.

    `size` cuts or fills (values with `fill_value` or 0, positions with 1, counts with 0) to a known number.
    `sorted=False` is refused: that order is TensorFlow's own.
    """
    if not sorted:
        raise ValueError("unique(sorted=False) has an order that only TensorFlow knows; use sorted=True")
    x = tensor(x)
    values, *rest = xp.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    index, inverse, counts = (r.astype("int32") for r in rest)
    inverse = inverse.reshape(x.shape) if axis is None else inverse.reshape(-1)
    if size is not None:
        values = _resized(values, size, axis or 0, 0 if fill_value is None else fill_value)
        index, counts = _resized(index, size, 0, 1), _resized(counts, size, 0, 0)
    wanted = ((index, return_index), (inverse, return_inverse), (counts, return_counts))
    extra = [array for array, asked in wanted if asked]
    return (values, *extra) if extra else values


def _resized(x: Array, size: int, axis: int, fill: float) -> Array:
    x = xp.moveaxis(x, axis, 0)[:size]
    x = xp.pad(x, [(0, size - len(x))] + [(0, 0)] * (x.ndim - 1), constant_values=fill)
    return xp.moveaxis(x, 0, axis)


def _unravel_rule(indices: Spec, *, shape: Sequence[int]) -> tuple[Spec, ...]:
    return (indices,) * len(shape)


@operation(_unravel_rule)
def unravel_index(indices: Array, *, shape: Sequence[int]) -> tuple[Array, ...]:
    """Coordinates in a tensor of `shape` of flat positions `indices`, one tensor for each axis."""
    indices, coordinates = tensor(indices), []
    for size in reversed(tuple(shape)):
        coordinates.append(indices % size)
        indices = indices // size
    return tuple(reversed(coordinates))


# --- classes --------------------------------------------------------------------------------------


def _one_hot_rule(x: Spec, *, num_classes: int, axis: int, dtype: str | None) -> Spec:
    place = axis if axis >= 0 else len(x.shape) + 1 + axis
    return Spec((*x.shape[:place], num_classes, *x.shape[place:]), dtype or "float32")


def _hot(x: Array, num_classes: int, axis: int, dtype: str | None) -> Array:
    x = ops.cast(tensor(x), "int32")
    place = axis if axis >= 0 else x.ndim + 1 + axis
    steps = xp.arange(num_classes).reshape(-1, *(1,) * (x.ndim - place))
    return ops.cast(xp.expand_dims(x, place) == steps, dtype or "float32")


def _dense_only(sparse: bool) -> None:
    if sparse:
        raise ValueError("sparse=True gives a sparse tensor, which fnet does not have; use sparse=False")


@operation(_one_hot_rule)
def one_hot(x: Array, *, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False) -> Array:
    """1 at the place that each id names, on a new axis; ids outside of 0 ... num_classes - 1 give zeros."""
    _dense_only(sparse)
    return _hot(x, num_classes, axis, dtype)


def _multi_hot_rule(inputs: Spec, *, num_classes: int, axis: int, dtype: str | None) -> Spec:
    hot = _one_hot_rule(inputs, num_classes=num_classes, axis=axis, dtype=dtype)
    return Spec(reduced_shape(hot.shape, 1 if len(inputs.shape) > 1 else 0, False), hot.dtype)


@operation(_multi_hot_rule)
def multi_hot(
    inputs: Array, *, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False
) -> Array:
    """1 at every place that one of the ids of a row names."""
    _dense_only(sparse)
    return xp.max(_hot(inputs, num_classes, axis, dtype), axis=1 if tensor(inputs).ndim > 1 else 0)


# --- new tensors ----------------------------------------------------------------------------------


@operation(lambda x, *, dtype: Spec(x.shape, dtype or x.dtype))
def zeros_like(x: Array, *, dtype: str | None = None) -> Array:
    """Zeros of the shape of `x`."""
    return xp.zeros_like(tensor(x), dtype=dtype)


@operation(lambda x, *, dtype: Spec(x.shape, dtype or x.dtype))
def ones_like(x: Array, *, dtype: str | None = None) -> Array:
    """Ones of the shape of `x`."""
    return xp.ones_like(tensor(x), dtype=dtype)


@operation(lambda x, *, dtype: Spec(x.shape, dtype or x.dtype))
def empty_like(x: Array, *, dtype: str | None = None) -> Array:
    """Zeros of the shape of `x`: Keras promises nothing about the values, TensorFlow gives these."""
    return xp.zeros_like(tensor(x), dtype=dtype)


@operation(lambda x, fill_value, *, dtype: Spec(x.shape, dtype or x.dtype))
def full_like(x: Array, fill_value: Any, *, dtype: str | None = None) -> Array:
    """`fill_value` in the shape of `x`."""
    x = tensor(x)
    return xp.broadcast_to(tensor(fill_value, dtype or x.dtype.name), x.shape)


@operation(lambda fill_value, *, shape, dtype: Spec(tuple(shape), dtype or "float32"))
def full(fill_value: Any, *, shape: Sequence[int], dtype: str | None = None) -> Array:
    """`fill_value` in `shape`."""
    return xp.broadcast_to(tensor(fill_value, dtype or "float32"), tuple(shape))


def _arange_rule(start: Any, stop: Any = None, step: Any = None, *, dtype: str | None) -> Spec:
    return Spec((None,), dtype or result_type(*(_promotion_name(v) for v in (start, stop, step) if v is not None)))


def _promotion_name(value: Any) -> str:
    return value.dtype if isinstance(value, Spec) else dtype_of(value)


@operation(_arange_rule)
def arange(start: Any, stop: Any = None, step: Any = None, *, dtype: str | None = None) -> Array:
    """start, start + step, ... below stop (or 0, 1, ... below start). The length depends on the values."""
    dtype = dtype or result_type(*(dtype_of(v) for v in (start, stop, step) if v is not None))
    start, stop = (0, start) if stop is None else (start, stop)
    first, last, width = (ops.concrete(v) for v in (start, stop, 1 if step is None else step))
    return ops.cast(xp.arange(first, last, width), dtype)


def _linspace_rule(start: Any, stop: Any, *, num: int, axis: int, dtype: str | None, retstep: bool) -> Any:
    spread = broadcast(start, stop)
    place = axis if axis >= 0 else len(spread) + 1 + axis
    name = dtype or result_type(_promotion_name(start), _promotion_name(stop), "float")
    made = Spec((*spread[:place], num, *spread[place:]), name)
    return (made, Spec(spread, name)) if retstep else made


@operation(_linspace_rule)
def linspace(
    start: Array,
    stop: Array,
    *,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Any:
    """`num` equally spaced numbers from `start` to `stop` on a new axis, and with `retstep` their distance."""
    start, stop = floating(start, stop)
    step = (stop - start) / max(num - 1 if endpoint else num, 1)
    made = xp.linspace(start, stop, num, endpoint=endpoint, axis=axis).astype(start.dtype)
    whole = dtype is not None and "int" in dtype
    made = made if dtype is None else ops.cast(xp.floor(made) if whole else made, dtype)
    return (made, step) if retstep else made


def _logspace_rule(start: Any, stop: Any, *, num: int, axis: int, dtype: str | None) -> Spec:
    made: Spec = _linspace_rule(start, stop, num=num, axis=axis, dtype=dtype, retstep=False)
    return made


def _geomspace_rule(start: Any, stop: Any, *, num: int, axis: int, dtype: str | None) -> Spec:
    return _logspace_rule(start, stop, num=num, axis=axis, dtype=dtype or "float32")


def _logspace(start: Array, stop: Array, num: int, endpoint: bool, base: float, axis: int) -> Array:
    exponents = xp.linspace(start, stop, num, endpoint=endpoint, axis=axis).astype(start.dtype)
    return xp.power(tensor(base, start.dtype.name), exponents)


@operation(_logspace_rule)
def logspace(
    start: Array,
    stop: Array,
    *,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: str | None = None,
    axis: int = 0,
) -> Array:
    """`base` to the power of `num` equally spaced exponents from `start` to `stop`."""
    start, stop = floating(start, stop)
    made = _logspace(start, stop, num, endpoint, base, axis)
    return made if dtype is None else ops.cast(made, dtype)


@operation(_geomspace_rule)
def geomspace(
    start: Array,
    stop: Array,
    *,
    num: int = 50,
    endpoint: bool = True,
    dtype: str | None = None,
    axis: int = 0,
) -> Array:
    """`num` numbers of equal ratio from `start` to `stop`, which have one sign."""
    start, stop = (tensor(v, dtype or "float32") for v in (start, stop))
    first, last = (xp.log(xp.abs(v)) / math.log(10) for v in (start, stop))
    return _logspace(first, last, num, endpoint, 10.0, axis) * xp.expand_dims(xp.sign(start), axis)


@operation(lambda x: Spec((), "int32"))
def ndim(x: Array) -> Array:
    """The number of axes."""
    return xp.asarray(tensor(x).ndim, "int32")


@operation(lambda x: Spec((), "int32"))
def size(x: Array) -> Array:
    """The number of entries."""
    return xp.asarray(math.prod(tensor(x).shape), "int32")


def _view_rule(x: Spec, *, dtype: str | None) -> Spec:
    if dtype is None:
        return x
    old, new = np.dtype(x.dtype).itemsize, np.dtype(dtype).itemsize
    last = x.shape[-1] if x.shape else None
    return Spec((*x.shape[:-1], None if last is None else last * old // new) if x.shape else (), dtype)


@operation(_view_rule)
def view(x: Array, *, dtype: str | None = None) -> Array:
    """The bytes of `x` read as `dtype`; the last axis grows or shrinks when the widths differ."""
    x = tensor(x)
    return x if dtype is None else x.reshape(-1).reshape(x.shape).view(dtype)


def _vander_rule(x: Spec, *, N: int | None) -> Spec:  # noqa: N803 - Keras's name
    return Spec((*x.shape, x.shape[0] if N is None else N), x.dtype)


@operation(_vander_rule)
def vander(x: Array, *, N: int | None = None, increasing: bool = False) -> Array:  # noqa: N803 - Keras's name
    """(n,) -> (n, N): the powers of each number, falling unless `increasing`."""
    x = tensor(x)
    count = x.shape[0] if N is None else N
    powers = xp.arange(count) if increasing else xp.arange(count - 1, -1, -1)
    wide = result_type(x.dtype.name, "float32")
    return tensor(xp.power(tensor(x, wide)[:, None], tensor(powers, wide)), x.dtype.name)
