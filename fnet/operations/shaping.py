"""Operations that move numbers without changing them: reshaping, transposing, joining, splitting, padding.

Source: keras.ops.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fnet.backend import ops, xp
from fnet.operations.dtypes import dtype_of, result_type, tensor
from fnet.operations.rules import (
    axes_of,
    broadcast_shapes,
    operation,
    positive,
    reduced_shape,
    same,
    shape_of,
    total,
    viewed,
)
from fnet.types import Array, Shape, Spec

Ints = int | Sequence[int]


def _ints(value: Ints) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


# --- one tensor -----------------------------------------------------------------------------------


def reshaped(shape: Shape, wanted: Sequence[int | None]) -> Shape:
    """`wanted` with its -1 (or None) replaced where the sizes tell; raises where they contradict each other."""
    sizes = [-1 if d is None else d for d in wanted]
    if sizes.count(-1) > 1:
        raise ValueError(f"only one size of a shape may be -1, got {tuple(wanted)}")
    known = math.prod(d for d in sizes if d != -1)
    count = total(shape)
    if count is None:
        return tuple(None if d == -1 else d for d in sizes)
    if -1 in sizes and known and count % known == 0:
        return tuple(count // known if d == -1 else d for d in sizes)
    if count != math.prod(sizes):
        raise ValueError(f"cannot reshape {shape}, {count} numbers, to {tuple(wanted)}")
    return tuple(sizes)


@operation(lambda x, *, newshape: Spec(reshaped(x.shape, _ints(newshape)), x.dtype))
def reshape(x: Array, *, newshape: Ints) -> Array:
    """`x` with the shape `newshape`, of which one size may be -1; the order of the numbers stays."""
    return xp.reshape(tensor(x), tuple(-1 if d is None else d for d in _ints(newshape)))


@operation(lambda x: Spec((total(x.shape),), x.dtype))
def ravel(x: Array) -> Array:
    """`x` in one dimension."""
    return xp.reshape(tensor(x), (-1,))


def _expand(x: Any, axis: Ints) -> Any:
    rank = len(x.shape) + len(_ints(axis))
    return xp.expand_dims(x, axes_of(_ints(axis), rank))


def _expand_rule(x: Spec, *, axis: Ints) -> Spec:
    new = axes_of(_ints(axis), len(x.shape) + len(_ints(axis)))
    sizes = iter(x.shape)
    return Spec(tuple(1 if i in new else next(sizes) for i in range(len(x.shape) + len(new))), x.dtype)


@operation(_expand_rule)
def expand_dims(x: Array, *, axis: Ints) -> Array:
    """`x` with a new axis of size 1 at each of `axis`."""
    return _expand(tensor(x), axis)


def _squeeze_rule(x: Spec, *, axis: Ints | None) -> Spec:
    if axis is None:
        return Spec(tuple(d for d in x.shape if d != 1), x.dtype)
    gone = axes_of(axis, len(x.shape))
    if any(x.shape[i] not in (1, None) for i in gone):
        raise ValueError(f"only axes of size 1 can be squeezed: axis={axis} of {x.shape}")
    return Spec(tuple(d for i, d in enumerate(x.shape) if i not in gone), x.dtype)


@operation(_squeeze_rule)
def squeeze(x: Array, *, axis: Ints | None = None) -> Array:
    """`x` without the axes `axis`, which have size 1 (None: all of size 1)."""
    return xp.squeeze(tensor(x), axis=None if axis is None else _ints(axis))


@operation(lambda x, *, axes: viewed(np.transpose, x, axes=axes))
def transpose(x: Array, *, axes: Sequence[int] | None = None) -> Array:
    """`x` with its axes in the order `axes` (None: reversed)."""
    return xp.transpose(tensor(x), None if axes is None else tuple(axes))


@operation(lambda x, *, axis1, axis2: viewed(np.swapaxes, x, axis1=axis1, axis2=axis2))
def swapaxes(x: Array, *, axis1: int, axis2: int) -> Array:
    """`x` with two axes exchanged."""
    return xp.swapaxes(tensor(x), axis1, axis2)


@operation(lambda x, *, source, destination: viewed(np.moveaxis, x, source=source, destination=destination))
def moveaxis(x: Array, *, source: Ints, destination: Ints) -> Array:
    """`x` with the axes `source` moved to the places `destination`."""
    return xp.moveaxis(tensor(x), _ints(source), _ints(destination))


def _broadcast_to_rule(x: Spec, *, shape: Sequence[int]) -> Spec:
    if broadcast_shapes(x.shape, tuple(shape)) != tuple(shape):
        raise ValueError(f"{x.shape} does not broadcast to {tuple(shape)}")
    return Spec(tuple(shape), x.dtype)


@operation(_broadcast_to_rule)
def broadcast_to(x: Array, *, shape: Sequence[int]) -> Array:
    """`x` repeated along axes of size 1 to `shape`."""
    return xp.broadcast_to(tensor(x), tuple(shape))


@operation(same)
def flip(x: Array, *, axis: Ints | None = None) -> Array:
    """`x` with the order along `axis` (None: all axes) reversed."""
    return xp.flip(tensor(x), axis=None if axis is None else _ints(axis))


@operation(same)
def flipud(x: Array) -> Array:
    """`x` with axis 0 reversed."""
    return xp.flip(tensor(x), axis=0)


@operation(same)
def fliplr(x: Array) -> Array:
    """`x` with axis 1 reversed."""
    return xp.flip(tensor(x), axis=1)


@operation(same)
def roll(x: Array, *, shift: Ints, axis: Ints | None = None) -> Array:
    """`x` moved by `shift` along `axis` (None: as one row); what leaves at one end enters at the other."""
    shifts = shift if isinstance(shift, int) else tuple(shift)
    return xp.roll(tensor(x), shifts, axis=axis if axis is None or isinstance(axis, int) else tuple(axis))


def _rot90_rule(array: Spec, *, k: int, axes: Sequence[int]) -> Spec:
    return viewed(np.rot90, array, k=k, axes=tuple(axes))


@operation(_rot90_rule)
def rot90(array: Array, *, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """`array` turned `k` times by 90 degrees in the plane of `axes`, from the first towards the second."""
    return xp.rot90(tensor(array), k, tuple(axes))


# --- joining --------------------------------------------------------------------------------------


def _together(xs: Sequence[Any]) -> list[Array]:
    dtype = result_type(*(dtype_of(x) for x in xs))
    return [tensor(x, dtype) for x in xs]


def _dtype(xs: Sequence[Any]) -> str:
    return result_type(*(dtype_of(x) if not isinstance(x, Spec) else x.dtype for x in xs))


def _joined(shapes: Sequence[Shape], axis: int) -> Shape:
    """The shape of tensors joined along `axis`."""
    first = shapes[0]
    axis = positive(axis, len(first))
    made: list[int | None] = []
    for i, sizes in enumerate(itertools.zip_longest(*shapes, fillvalue=-1)):
        known = {d for d in sizes if d is not None}
        if i == axis:
            made.append(None if None in sizes else sum(d for d in sizes if d is not None))
        elif len(known) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} differ outside of axis {axis}")
        else:
            made.append(known.pop() if known else None)
    return tuple(made)


@operation(lambda xs, *, axis: Spec(_joined([shape_of(x) for x in xs], axis), _dtype(xs)))
def concatenate(xs: Sequence[Array], *, axis: int = 0) -> Array:
    """The tensors of the list `xs` one after the other along `axis`, in their common dtype."""
    return xp.concatenate(_together(xs), axis=axis)


def _append_rule(x1: Spec, x2: Spec, *, axis: int | None) -> Spec:
    counts = (total(shape_of(x1)), total(shape_of(x2)))
    flat = None if None in counts else sum(c for c in counts if c is not None)
    return Spec((flat,) if axis is None else _joined([shape_of(x1), shape_of(x2)], axis), _dtype([x1, x2]))


@operation(_append_rule)
def append(x1: Array, x2: Array, *, axis: int | None = None) -> Array:
    """`x2` behind `x1` along `axis` (None: both in one dimension)."""
    arrays = _together([tensor(x1), tensor(x2)])
    return xp.concatenate([a.reshape(-1) for a in arrays] if axis is None else arrays, axis=axis or 0)


def stacked(xs: Sequence[Any], axis: int = 0) -> Array:
    """Tensors of one shape as one tensor with a new axis."""
    return xp.stack(_together(xs), axis=axis)


def _stack_rule(x: Sequence[Any], *, axis: int) -> Spec:
    shapes = [shape_of(a) for a in x]
    lifted = [(*s[:axis], 1, *s[axis:]) for s in shapes] if axis >= 0 else [_lifted(s, axis) for s in shapes]
    return Spec(_joined(lifted, axis), _dtype(x))


def _lifted(shape: Shape, axis: int) -> Shape:
    place = len(shape) + 1 + axis
    return (*shape[:place], 1, *shape[place:])


@operation(_stack_rule)
def stack(x: Sequence[Array], *, axis: int = 0) -> Array:
    """The tensors of the list `x`, all of one shape, along a new axis."""
    return stacked(x, axis)


@operation(lambda xs: Spec(_joined([shape_of(x) for x in xs], 0 if len(shape_of(xs[0])) == 1 else 1), _dtype(xs)))
def hstack(xs: Sequence[Array]) -> Array:
    """Tensors side by side: along axis 1, or 0 when they have one dimension."""
    arrays = _together(xs)
    return xp.concatenate(arrays, axis=0 if arrays[0].ndim == 1 else 1)


@operation(lambda xs: Spec(_joined([shape_of(x) for x in xs], 0), _dtype(xs)))
def vstack(xs: Sequence[Array]) -> Array:
    """Tensors along axis 0."""
    return xp.concatenate(_together(xs), axis=0)


def _deep(shape: Shape) -> Shape:
    return {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}.get(len(shape), shape)


@operation(lambda xs: Spec(_joined([_deep(shape_of(x)) for x in xs], 2), _dtype(xs)))
def dstack(xs: Sequence[Array]) -> Array:
    """Tensors along axis 2, missing axes added."""
    return xp.concatenate([xp.reshape(x, _deep(x.shape)) for x in _together(xs)], axis=2)


# --- splitting ------------------------------------------------------------------------------------


def _split_sizes(size: int | None, sections: Ints, even: bool) -> list[int | None]:
    """Sizes of the parts of an axis."""
    if not isinstance(sections, int):
        ends = [0, *sections, size]
        return [None if b is None else max(b - a, 0) for a, b in itertools.pairwise(ends)]  # type: ignore[operator]
    if not 1 <= sections <= 1 << 16:
        raise ValueError(f"cannot split into {sections} parts")
    if size is None:
        return [None] * sections
    if even and size % sections:
        raise ValueError(f"an axis of size {size} cannot be split into {sections} equal parts")
    return [size // sections + (i < size % sections) for i in range(sections)]


def _split_specs(x: Spec, sections: Ints, axis: int, even: bool = True) -> list[Spec]:
    axis = positive(axis, len(x.shape))
    sizes = _split_sizes(x.shape[axis], sections, even)
    return [Spec((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) for size in sizes]


def _split(x: Array, sections: Ints, axis: int) -> list[Array]:
    return list(xp.split(tensor(x), sections if isinstance(sections, int) else list(sections), axis=axis))


@operation(lambda x, *, indices_or_sections, axis: _split_specs(x, indices_or_sections, axis))
def split(x: Array, *, indices_or_sections: Ints, axis: int = 0) -> list[Array]:
    """`x` cut along `axis` into equal parts (a number), or before the indices given; a list."""
    return _split(x, indices_or_sections, axis)


@operation(lambda x, *, indices_or_sections, axis: _split_specs(x, indices_or_sections, axis, even=False))
def array_split(x: Array, *, indices_or_sections: int, axis: int = 0) -> list[Array]:
    """`x` cut along `axis` into parts that differ by at most 1 in size."""
    return list(xp.array_split(tensor(x), indices_or_sections, axis=axis))


@operation(lambda x, *, indices_or_sections: _split_specs(x, indices_or_sections, 0 if len(x.shape) == 1 else 1))
def hsplit(x: Array, *, indices_or_sections: Ints) -> list[Array]:
    """`x` cut along axis 1, or 0 when it has one dimension."""
    return _split(x, indices_or_sections, 0 if x.ndim == 1 else 1)


@operation(lambda x, *, indices_or_sections: _split_specs(x, indices_or_sections, 0))
def vsplit(x: Array, *, indices_or_sections: Ints) -> list[Array]:
    """`x` cut along axis 0."""
    return _split(x, indices_or_sections, 0)


@operation(lambda x, *, indices_or_sections: _split_specs(x, indices_or_sections, 2))
def dsplit(x: Array, *, indices_or_sections: Ints) -> list[Array]:
    """`x` cut along axis 2."""
    return _split(x, indices_or_sections, 2)


def _unstack_rule(x: Spec, *, num: int | None, axis: int) -> list[Spec]:
    size = x.shape[positive(axis, len(x.shape))]
    count = size if num is None else num
    if count is None or count > 1 << 16:
        raise ValueError(f"unstack along an axis of size {size}: how many tensors it gives is unknown; say num=")
    return [Spec(reduced_shape(x.shape, axis, False), x.dtype)] * count


@operation(_unstack_rule)
def unstack(x: Array, *, num: int | None = None, axis: int = 0) -> list[Array]:
    """The slices of `x` along `axis`, a list of `num`."""
    return list(xp.moveaxis(tensor(x), axis, 0))


# --- repeating and padding ------------------------------------------------------------------------


def _tile_rule(x: Spec, *, repeats: Ints) -> Spec:
    times = _ints(repeats)
    rank = max(len(times), len(x.shape))
    sizes = (1,) * (rank - len(x.shape)) + tuple(x.shape)
    counts = (1,) * (rank - len(times)) + times
    return Spec(tuple(None if d is None else d * n for d, n in zip(sizes, counts, strict=True)), x.dtype)


@operation(_tile_rule)
def tile(x: Array, *, repeats: Ints) -> Array:
    """`x` laid `repeats` times beside itself along the last axes."""
    return xp.tile(tensor(x), _ints(repeats))


def _repeat_rule(x: Spec, *, repeats: Ints, axis: int | None) -> Spec:
    flat = Spec((total(x.shape),), x.dtype) if axis is None else x
    place = positive(axis or 0, len(flat.shape))
    size, times = flat.shape[place], _ints(repeats)
    made = sum(times) if len(times) > 1 else None if size is None else size * times[0]
    return Spec((*flat.shape[:place], made, *flat.shape[place + 1 :]), x.dtype)


@operation(_repeat_rule)
def repeat(x: Array, *, repeats: Ints, axis: int | None = None) -> Array:
    """Each entry of `axis` (None: of the flat tensor) `repeats` times; one number, or one for each entry."""
    times = _ints(repeats)
    return xp.repeat(tensor(x), times[0] if len(times) == 1 else np.asarray(times), axis=axis)


def _pad_rule(x: Spec, *, pad_width: Any) -> Spec:
    pairs = _pad_pairs(pad_width, len(x.shape))
    return Spec(tuple(None if d is None else d + a + b for d, (a, b) in zip(x.shape, pairs, strict=True)), x.dtype)


def _pad_pairs(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    """(before, after) of every axis, from Keras's forms: n, (n,), ((before, after),), a pair for each axis."""
    widths = [(pad_width,)] if isinstance(pad_width, int) else [_ints(pair) for pair in pad_width]
    pairs = [pair * 2 if len(pair) == 1 else pair for pair in widths]
    pairs = pairs * rank if len(pairs) == 1 else pairs
    if len(pairs) != rank or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(f"pad_width={pad_width} for {rank} axes; give ((before, after), ...), one pair an axis")
    return [(pair[0], pair[1]) for pair in pairs]


@operation(_pad_rule)
def pad(x: Array, *, pad_width: Any, mode: str = "constant", constant_values: float | None = None) -> Array:
    """`x` with (before, after) more entries on every axis; `mode` "constant", "reflect" or "symmetric"."""
    pairs = _pad_pairs(pad_width, x.ndim)
    if mode == "constant":
        return xp.pad(tensor(x), pairs, constant_values=0 if constant_values is None else constant_values)
    return xp.pad(tensor(x), pairs, mode=mode)


# --- diagonals and triangles ----------------------------------------------------------------------


def _diagonal_rule(x: Spec, *, offset: int, axis1: int, axis2: int) -> Spec:
    return viewed(np.diagonal, x, offset=offset, axis1=axis1, axis2=axis2)


@operation(_diagonal_rule)
def diagonal(x: Array, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of the planes (axis1, axis2), as the last axis."""
    return xp.diagonal(tensor(x), offset=offset, axis1=axis1, axis2=axis2)


def _diag_rule(x: Spec, *, k: int) -> Spec:
    if len(x.shape) == 2:
        return viewed(np.diagonal, x, offset=k)
    size = None if x.shape[0] is None else x.shape[0] + abs(k)
    return Spec((size, size), x.dtype)


@operation(_diag_rule)
def diag(x: Array, *, k: int = 0) -> Array:
    """A matrix with `x` on diagonal `k`; or, of a matrix, that diagonal."""
    return xp.diag(tensor(x), k)


@operation(lambda x, *, k: _diag_rule(Spec((total(x.shape),), x.dtype), k=k))
def diagflat(x: Array, *, k: int = 0) -> Array:
    """A matrix with all numbers of `x` on diagonal `k`."""
    return xp.diag(tensor(x).reshape(-1), k)


@operation(same)
def tril(x: Array, *, k: int = 0) -> Array:
    """`x` with 0 above diagonal `k`."""
    return xp.tril(tensor(x), k)


@operation(same)
def triu(x: Array, *, k: int = 0) -> Array:
    """`x` with 0 below diagonal `k`."""
    return xp.triu(tensor(x), k)


# --- several tensors ------------------------------------------------------------------------------


def _meshgrid_rule(*x: Spec, indexing: str) -> list[Spec]:
    sizes = [total(shape_of(a)) for a in x]
    if indexing == "xy" and len(sizes) > 1:
        sizes[:2] = sizes[1::-1]
    return [Spec(tuple(sizes), a.dtype) for a in x]


@operation(_meshgrid_rule)
def meshgrid(*x: Array, indexing: str = "xy") -> list[Array]:
    """Coordinates of a grid: one tensor for each of `x`, all of the shape of the grid."""
    return list(xp.meshgrid(*(tensor(a).reshape(-1) for a in x), indexing=indexing))


# --- einops ---------------------------------------------------------------------------------------


def _groups(side: str) -> list[list[str]]:
    """ "b (h w) c" as [["b"], ["h", "w"], ["c"]]."""
    return [re.findall(r"\w+", group) for group in re.findall(r"\w+|\(.*?\)", side)]


def _axis_sizes(shape: Shape, pattern: str, lengths: Mapping[str, int]) -> dict[str, int | None]:
    sizes: dict[str, int | None] = dict(lengths)
    groups = _groups(pattern.split("->")[0])
    if len(groups) != len(shape):
        raise ValueError(f"the pattern {pattern!r} has {len(groups)} axes, the tensor {len(shape)}: {shape}")
    for group, size in zip(groups, shape, strict=True):
        missing = [name for name in group if name not in sizes]
        if len(missing) > 1:
            raise ValueError(f"the sizes of {', '.join(missing)} in {pattern!r} are unknown; give all but one")
        if missing:
            known = math.prod(sizes[name] or 0 for name in group if name in sizes)
            sizes[missing[0]] = None if size is None else size // known
    return sizes


def _rearrange_rule(tensor: Spec, *, pattern: str, axes_lengths: Mapping[str, int]) -> Spec:
    sizes = _axis_sizes(tensor.shape, pattern, axes_lengths)
    return Spec(tuple(total(tuple(sizes[n] for n in g)) for g in _groups(pattern.split("->")[1])), tensor.dtype)


@operation(_rearrange_rule)
def rearrange(tensor: Array, *, pattern: str, axes_lengths: Mapping[str, int] = {}) -> Array:
    """`tensor` as an einops pattern says: "b h (w p) -> b (h w) p", with `axes_lengths={"p": 2}`. Source: einops."""
    sizes = _axis_sizes(tensor.shape, pattern, axes_lengths)
    left, right = ([name for group in _groups(side) for name in group] for side in pattern.split("->"))
    split_up = xp.reshape(ops.asarray(tensor), tuple(sizes[name] for name in left))
    moved = xp.transpose(split_up, [left.index(name) for name in right])
    return xp.reshape(moved, tuple(math.prod(sizes[n] or 0 for n in g) for g in _groups(pattern.split("->")[1])))
