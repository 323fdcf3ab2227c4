"""Operations that join tensors, split them, or arrange their axes by a pattern.

Joined tensors are cast to their common dtype. Source: keras.ops.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fnet.backend import xp
from fnet.dtypes import dtype_of, result_type, tensor
from fnet.operations.rules import operation
from fnet.operations.shaping import Ints
from fnet.shapes import positive, reduced_shape, shape_of, total
from fnet.strings import is_strings
from fnet.types import Array, Shape, Spec

# --- joining --------------------------------------------------------------------------------------


def _together(xs: Sequence[Any]) -> list[Array]:
    if is_strings(xs):
        return list(xs)
    dtype = result_type(*(dtype_of(x) for x in xs))
    return [tensor(x, dtype) for x in xs]


def _dtype(xs: Sequence[Any]) -> str:
    names = [dtype_of(x) for x in xs]
    return "string" if set(names) == {"string"} else result_type(*names)


def _joined(shapes: Sequence[Shape], axis: int) -> Shape:
    """The shape of tensors joined along `axis`."""
    first = shapes[0]
    axis = positive(axis, len(first))
    if any(len(shape) != len(first) for shape in shapes):
        raise ValueError(f"shapes {', '.join(map(str, shapes))} have different numbers of axes")
    sizes_out: list[int | None] = []
    for i, sizes in enumerate(zip(*shapes, strict=True)):
        known = {d for d in sizes if d is not None}
        if i == axis:
            sizes_out.append(None if None in sizes else sum(d for d in sizes if d is not None))
        elif len(known) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} differ outside of axis {axis}")
        else:
            sizes_out.append(known.pop() if known else None)
    return tuple(sizes_out)


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
    """`x2` after `x1` along `axis` (None: both flat)."""
    arrays = _together([tensor(x1), tensor(x2)])
    return xp.concatenate([a.reshape(-1) for a in arrays] if axis is None else arrays, axis=axis or 0)


def stacked(xs: Sequence[Any], axis: int = 0) -> Array:
    """Tensors of one shape as one tensor with a new axis."""
    return xp.stack(_together(xs), axis=axis)


def _stack_rule(x: Sequence[Any], *, axis: int) -> Spec:
    shapes = [shape_of(a) for a in x]
    places = [axis if axis >= 0 else len(shape) + 1 + axis for shape in shapes]
    lifted = [(*shape[:place], 1, *shape[place:]) for shape, place in zip(shapes, places, strict=True)]
    return Spec(_joined(lifted, axis), _dtype(x))


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


def _deep(shape: Any) -> Any:
    return {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}.get(len(shape), shape)


@operation(lambda xs: Spec(_joined([_deep(shape_of(x)) for x in xs], 2), _dtype(xs)))
def dstack(xs: Sequence[Array]) -> Array:
    """Tensors along axis 2; missing axes are added."""
    return xp.concatenate([xp.reshape(x, _deep(x.shape)) for x in _together(xs)], axis=2)


# --- several tensors ------------------------------------------------------------------------------


def _meshgrid_rule(*x: Spec, indexing: str) -> list[Spec]:
    sizes = [total(shape_of(a)) for a in x]
    if indexing == "xy" and len(sizes) > 1:
        sizes[:2] = sizes[1::-1]
    return [Spec(tuple(sizes), a.dtype) for a in x]


@operation(_meshgrid_rule)
def meshgrid(*x: Array, indexing: Literal["xy", "ij"] = "xy") -> list[Array]:
    """Coordinates of a grid: one tensor for each of `x`, all of the shape of the grid."""
    return list(xp.meshgrid(*(tensor(a).reshape(-1) for a in x), indexing=indexing))


# --- splitting ------------------------------------------------------------------------------------


def _split_sizes(size: int | None, sections: Ints, even: bool) -> list[int | None]:
    """Sizes of the parts of an axis."""
    if not isinstance(sections, int):
        ends = [0, *sections, size]
        known = ends if size is not None else ends[:-1]
        if known != sorted(known):  # type: ignore[type-var]
            raise ValueError(f"an axis of size {size} cannot be split at {list(sections)}")
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
    if count is None:
        raise NotImplementedError("unstack along an axis of unknown size: the number of tensors is unknown; give num=")
    if count > 1 << 16 or size not in (None, count):
        raise ValueError(f"unstack into {count} tensors along an axis of size {size}")
    return [Spec(reduced_shape(x.shape, axis, False), x.dtype)] * count


@operation(_unstack_rule)
def unstack(x: Array, *, num: int | None = None, axis: int = 0) -> list[Array]:
    """The slices of `x` along `axis`, a list of `num`."""
    x = tensor(x)
    _unstack_rule(x, num=num, axis=axis)
    return list(xp.moveaxis(x, axis, 0))


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
        known = math.prod(sizes[name] or 0 for name in group if name in sizes)
        if size is not None and (size % known if missing else size != known):
            raise ValueError(f"{' '.join(group)} of {pattern!r} cannot be {size}: {dict(lengths)}")
        if missing:
            sizes[missing[0]] = None if size is None else size // known
    return sizes


def _rearrange_rule(tensor: Spec, *, pattern: str, axes_lengths: Mapping[str, int]) -> Spec:
    sizes = _axis_sizes(tensor.shape, pattern, axes_lengths)
    return Spec(tuple(total(tuple(sizes[n] for n in g)) for g in _groups(pattern.split("->")[1])), tensor.dtype)


@operation(_rearrange_rule)
def rearrange(tensor: Array, *, pattern: str, axes_lengths: Mapping[str, int] = {}) -> Array:
    """`tensor` as an einops pattern says: "b h (w p) -> b (h w) p", with `axes_lengths={"p": 2}`. Source: einops."""
    sizes: dict[str, Any] = dict(_axis_sizes(tensor.shape, pattern, axes_lengths))
    left, right = ([name for group in _groups(side) for name in group] for side in pattern.split("->"))
    split_up = xp.reshape(tensor, tuple(sizes[name] for name in left))
    moved = xp.transpose(split_up, [left.index(name) for name in right])
    return xp.reshape(moved, tuple(math.prod(sizes[n] for n in g) for g in _groups(pattern.split("->")[1])))
