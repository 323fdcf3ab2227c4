"""Operations that sort and search: positions, largest values, membership, unique values.

Positions are int32. Where the size of a result depends on the values (unique), NumPy computes it; under
`jax.jit` it cannot be known, and JAX raises. Source: keras.ops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fnet.backend import ops, xp
from fnet.core import room
from fnet.dtypes import is_float, promoted, strong, tensor
from fnet.errors import InvalidInput
from fnet.operations.rules import operation
from fnet.shapes import fit, require_ascending, shape_of, sized, total
from fnet.types import Array, Spec


def _sorted_rule(x: Spec, *, axis: int | None) -> Spec:
    return Spec((total(x.shape),), x.dtype) if axis is None else x


@operation(_sorted_rule)
def sort(x: Array, *, axis: int | None = -1) -> Array:
    """`x` ascending along `axis` (None: flat), NaN last; Keras on TensorFlow sorts nothing past a NaN."""
    return xp.sort(tensor(x), axis=axis)


@operation(lambda x, *, axis: Spec((1,) if not x.shape else _sorted_rule(x, axis=axis).shape, "int32"))
def argsort(x: Array, *, axis: int | None = -1) -> Array:
    """int32 positions that sort `x` along `axis`; equal entries keep their order, NaN comes last (see `sort`)."""
    x = tensor(x)
    return xp.zeros(1, "int32") if not x.shape else xp.argsort(x, axis=axis, stable=True).astype("int32")


def _argpartition_room(x: Spec, *, kth: int, axis: int | None) -> tuple[int, int]:
    """Memory for comparing each of the smallest with each position."""
    there = room.numbers(x) if axis is None else sized(x.shape, 1)[axis]
    memory = 4 * room.size(x) + min(max(kth, 0) + 1, there) * room.numbers(x)
    return memory, memory


def _argpartition_rule(x: Spec, *, kth: int, axis: int | None) -> Spec:
    y = _sorted_rule(x, axis=axis)
    if None not in y.shape:
        swapped = list(sized(y.shape, 1))
        last = -1 if axis is None else axis
        swapped[last], swapped[-1] = swapped[-1], swapped[last]
        _smallest(swapped, kth)
    return Spec(y.shape, "int32")


def _smallest(shape: Sequence[int], kth: int) -> int:
    """How many smallest entries to find along the last axis. Raises InvalidInput where Keras writes outside `shape`."""
    count = min(max(kth, 0), shape[-1] - 1) + 1
    if any(taken > there for taken, there in zip((*shape[:-1], count, shape[-1])[1:], shape, strict=True)):
        raise InvalidInput(f"argpartition with kth={kth} reaches beyond {tuple(shape)}, as in Keras on TensorFlow")
    return count


@operation(_argpartition_rule, room=_argpartition_room, by_row=0)
def argpartition(x: Array, *, kth: int, axis: int | None = -1) -> Array:
    """int32 positions of the kth + 1 smallest along `axis` (None: flat), ascending, then of the others.

    As in Keras on TensorFlow, numbers are truncated to int32; the others are the largest, descending, after the
    smallest have been overwritten by zeros. That hits other rows in more than one dimension, and needs kth + 1 of them.
    """
    x = tensor(tensor(x), "int32")
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    x = xp.swapaxes(x, axis, -1)
    size = x.shape[-1]
    count = _smallest(x.shape, kth)
    smallest = _descending(-x)[..., :count]
    zeroed = (smallest[..., None] == xp.arange(size)).any(axis=0)  # (..., count, size) without the first axis
    zeroed = ops.pad(zeroed, [(0, there - taken) for taken, there in zip(zeroed.shape, x.shape, strict=True)])
    others = _descending(xp.where(zeroed, 0, x))[..., : size - count]
    return xp.swapaxes(xp.concatenate([smallest, others], axis=-1), axis, -1).astype("int32")


def _descending(x: Array) -> Array:
    """Positions of integers, largest first; equal ones keep their order."""
    return xp.argsort(~x, axis=-1, stable=True)


def _top_k_rule(x: Spec, *, k: int, sorted: bool) -> tuple[Spec, Spec]:  # noqa: A002 - Keras's name
    if x.shape[-1] is not None and x.shape[-1] < k:
        raise ValueError(f"top_k of {k} from an axis of size {x.shape[-1]}")
    if not sorted and k not in (1, x.shape[-1]):
        raise NotImplementedError(f"top_k of {k}, sorted=False: in the order of a heap of TensorFlow; take sorted=True")
    return Spec((*x.shape[:-1], k), x.dtype), Spec((*x.shape[:-1], k), "int32")


@operation(_top_k_rule)
def top_k(x: Array, *, k: int, sorted: bool = True) -> tuple[Array, Array]:  # noqa: A002 - Keras's name
    """(the k largest of the last axis, descending, their int32 positions); of equal entries the first.

    NaN is larger than all, as in Keras on JAX; on TensorFlow its place depends on those before it.
    sorted: False is refused where the order would differ: it is not documented.
    """
    x = tensor(x)
    _top_k_rule(x, k=k, sorted=sorted)
    order = xp.flip(x.shape[-1] - 1 - xp.argsort(xp.flip(x, -1), axis=-1, stable=True), -1)[..., :k]
    return xp.take_along_axis(x, order, axis=-1), order.astype("int32")


def _top_rule(targets: Any, predictions: Spec) -> Spec:
    return Spec((fit("rows, rows classes", shape_of(targets), predictions.shape)["rows"],), "bool")


@operation(_top_rule)
def in_top_k(targets: Array, predictions: Array, *, k: int) -> Array:
    """Whether fewer than `k` of `predictions` (batch, classes) exceed that of the class in `targets` (batch,); no for a
    class that is not there."""
    predictions, targets = tensor(predictions), tensor(targets)
    there = (targets >= 0) & (targets < predictions.shape[-1])
    mine = xp.take_along_axis(predictions, xp.where(there, targets, 0)[:, None].astype("int32"), axis=-1)
    return (xp.sum(predictions > mine, axis=-1) < k) & there & xp.isfinite(predictions).all(axis=-1)


def _search_rule(sorted_sequence: Any, values: Any) -> Spec:
    fit("n", shape_of(sorted_sequence))
    return Spec(shape_of(values), "int32")


@operation(_search_rule)
def searchsorted(sorted_sequence: Array, values: Array, *, side: Literal["left", "right"] = "left") -> Array:
    """int32 places where `values` go into the ascending `sorted_sequence` (n,); NaN is first, or last (`side`)."""
    sequence, values = promoted(tensor(sorted_sequence), tensor(values))
    places = xp.searchsorted(sequence, values, side=side).astype("int32")
    return xp.where(xp.isnan(values), 0, places) if side == "left" and is_float(values) else places


def _digitize_rule(x: Any, *, bins: Sequence[float]) -> Spec:
    require_ascending(bins, "bins")
    return Spec(x.shape, "int32")


@operation(_digitize_rule)
def digitize(x: Array, *, bins: Sequence[float]) -> Array:
    """int32 number of the interval between ascending `bins` into which `x` falls."""
    x = tensor(x)
    x = x if "float" in x.dtype.name else ops.cast(x, "float32")
    return xp.searchsorted(tensor(bins, x.dtype.name), x, side="right").astype("int32")


@operation(lambda x1, x2: Spec(x1.shape, "bool"))
def isin(x1: Array, x2: Array, *, assume_unique: bool = False, invert: bool = False) -> Array:
    """Whether each entry of `x1` is (`invert`: is not) in `x2`. `assume_unique` is a hint without effect."""
    x1, x2 = strong(x1, x2)
    member = xp.isin(x1, x2)
    return ~member if invert else member


def _unique_rule(
    x: Spec, *, return_index: bool, return_inverse: bool, return_counts: bool, axis: int | None, size: int | None
) -> Any:
    shape = (size,) if axis is None else tuple(size if i == axis % len(x.shape) else d for i, d in enumerate(x.shape))
    inverse = x.shape if axis is None else (x.shape[axis],)
    extra = [s for s, on in (((size,), return_index), (inverse, return_inverse), ((size,), return_counts)) if on]
    values = Spec(shape, x.dtype)
    return (values, *(Spec(tuple(s), "int32") for s in extra)) if extra else values


@operation(_unique_rule, room=room.copies(24), by_row=0)
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
    """The unique entries (of `axis`), and on request (first positions, inverse, counts) in int32.

    They are ascending, or in order of first occurrence (`sorted=False`). `size` cuts or pads them to a known number
    (values with `fill_value` or 0, positions with 1, counts with 0). No NaN equals another.
    """
    x = tensor(x)
    values, *rest = xp.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    index, inverse, counts = (r.astype("int32") for r in rest)
    inverse = inverse.reshape(x.shape) if axis is None else inverse.reshape(-1)
    if not sorted:
        order = xp.argsort(index)
        values, index, counts = xp.take(values, order, axis=axis or 0), index[order], counts[order]
        inverse = xp.argsort(order).astype("int32")[inverse]
    if size is not None:
        values = _resized(values, size, axis or 0, 0 if fill_value is None else fill_value)
        index, counts = _resized(index, size, 0, 1), _resized(counts, size, 0, 0)
    results = ((index, return_index), (inverse, return_inverse), (counts, return_counts))
    extra = [array for array, on in results if on]
    return (values, *extra) if extra else values


def _resized(x: Array, size: int, axis: int, fill: float) -> Array:
    x = xp.moveaxis(x, axis, 0)[:size]
    x = xp.pad(x, [(0, size - len(x))] + [(0, 0)] * (x.ndim - 1), constant_values=fill)
    return xp.moveaxis(x, 0, axis)


def _unravel_rule(indices: Spec, *, shape: Sequence[int]) -> tuple[Spec, ...]:
    if not shape or min(shape) < 1:
        raise ValueError(f"shape={tuple(shape)}; give sizes of 1 and more")
    return (indices,) * len(shape)


@operation(_unravel_rule)
def unravel_index(indices: Array, *, shape: Sequence[int]) -> tuple[Array, ...]:
    """Coordinates of the flat positions `indices` in a tensor of `shape`, one tensor for each axis.

    Unless `indices` has one axis, `shape` is reversed first, as in Keras on TensorFlow.
    """
    indices, coordinates = tensor(indices), []
    for size in tuple(shape)[:: -1 if indices.ndim == 1 else 1]:
        coordinates.append(indices % size)
        indices = indices // size
    return tuple(reversed(coordinates))
