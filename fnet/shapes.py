"""Arithmetic of shapes with unknown sizes, for shape rules: axes, broadcasting, reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet import tree
from fnet.errors import InvalidInput
from fnet.types import Shape, Spec

MOST_ROWS = 1 << 24
"""Limit of indices from files into an axis of unknown size."""
MOST_MADE = 1 << 28
"""The most entries of an array whose sizes are numbers in the input of a model."""


def sized(shape: Shape, unknown: int) -> tuple[int, ...]:
    """`shape` with None replaced."""
    return tuple(unknown if d is None else d for d in shape)


def shape_of(x: Any) -> Shape:
    """The shape of a Spec, an array, a number or nested lists."""
    shape: Shape = x.shape if hasattr(x, "shape") else np.shape(x)
    return shape


def fits(shape: Shape, pattern: Shape) -> bool:
    """Whether `shape` fits `pattern`; None is any size."""
    return len(shape) == len(pattern) and all(
        None in (size, expected) or size == expected for size, expected in zip(shape, pattern, strict=True)
    )


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape to which shapes broadcast; an unknown size next to a known one above 1 becomes that."""
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    return tuple(_stretched(sizes, shapes) for sizes in zip(*padded, strict=True))


def _stretched(sizes: tuple[int | None, ...], shapes: tuple[Shape, ...]) -> int | None:
    large = {d for d in sizes if d not in (None, 1)}
    if len(large) > 1:
        raise InvalidInput(f"shapes {', '.join(map(str, shapes))} do not broadcast: sizes must be equal or 1")
    if large:
        return large.pop()
    return None if None in sizes else 1


def stretched(shape: Shape, target: Sequence[int | None]) -> Shape:
    """`target`, to which `shape` broadcasts. Raises InvalidInput where it does not."""
    if not fits(broadcast_shapes(shape, tuple(target)), tuple(target)):
        raise InvalidInput(f"{shape} does not broadcast to {tuple(target)}")
    return tuple(target)


def joined(*shapes: Sequence[int | None]) -> Shape:
    """The shape that several partly known shapes share. Raises InvalidInput where they differ."""
    if len({*map(len, shapes)}) > 1 or any(len({*sizes} - {None}) > 1 for sizes in zip(*shapes, strict=True)):
        raise InvalidInput(f"shapes {', '.join(map(str, shapes))} differ")
    return tuple(next((d for d in sizes if d is not None), None) for sizes in zip(*shapes, strict=True))


def fit(axes: str, *shapes: Shape) -> dict[str, int | None]:
    """{name: size} of shapes with named axes, as in "... m n, ... n k": axes with one name have one size; "..." is any
    number of leading axes. Raises InvalidInput."""
    sizes: dict[str, int | None] = {}
    for pattern, shape in zip(axes.split(","), shapes, strict=True):
        names = pattern.split()
        any_before = names[0] == "..."
        names = names[any_before:]
        known = shape[len(shape) - len(names) :]
        if len(shape) < len(names) or (len(shape) > len(names) and not any_before):
            raise InvalidInput(f"shapes {', '.join(map(str, shapes))} where {axes} are expected")
        for name, size in zip(names, known, strict=True):
            (sizes[name],) = joined((sizes.get(name),), (size,))
    return sizes


def require_places(indices: Any, *sizes: int | None) -> None:
    """Raise ValueError for known numbers among `indices` that are outside of axes of `sizes`, each in turn."""
    if isinstance(indices, Spec):
        numbers: Sequence[int | None] = indices.value or ()
    elif isinstance(indices, list | tuple) and any(isinstance(leaf, Spec) for leaf in tree.leaves(indices)):
        return
    else:
        numbers = np.asarray(indices).reshape(-1).tolist()
    for place, number in enumerate(numbers):
        size = sizes[place % len(sizes)]
        there = MOST_ROWS if size is None else size
        if number is not None and not -there <= number < there:
            raise ValueError(f"index {number} of {size or 'any number of'} entries")


def require_made(*sizes: int) -> None:
    """Raises InvalidInput for sizes that are made of numbers when a model runs, and that no array should have."""
    if min(sizes, default=0) < 0 or math.prod(sizes) > MOST_MADE:
        raise InvalidInput(f"numbers ask for an array of the sizes {sizes}: at least 0 and at most {MOST_MADE} entries")


def steps_between(first: float, last: float, step: float) -> int:
    """How many numbers there are from `first` on, `step` apart, before `last`. Raises InvalidInput for a step of 0."""
    if step == 0:
        raise InvalidInput(f"numbers from {first} to {last} in steps of 0 never end")
    return max(0, math.ceil((last - first) / step))


def require_ascending(numbers: Any, name: str) -> None:
    """Raise InvalidInput where the ends of bins do not ascend: a search among them is undefined."""
    ends = np.asarray(numbers)
    if ends.ndim != 1 or not bool(np.all(ends[1:] >= ends[:-1])):
        raise InvalidInput(f"{name} must ascend; got {numbers!r:.60}")


def require_kept(y: Any, x: Any, name: str) -> None:
    """Raise InvalidInput where the numbers of a layer have broadcast its input `x` to a larger `y`."""
    if y.shape != x.shape:
        raise InvalidInput(f"{name} got {x.shape}, over which its numbers broadcast to {y.shape}: they are for others")


def require_numbers(x: Spec) -> None:
    """Raise InvalidInput for booleans and strings, with which TensorFlow does not compute."""
    if x.dtype in ("bool", "string"):
        kind = "booleans" if x.dtype == "bool" else "strings"
        raise InvalidInput(f"numbers are expected, not {kind}; got {x}: cast them first")


def positive(axis: int, rank: int) -> int:
    """`axis` counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} does not exist in {rank} dimensions")
    return axis % rank


def axes_of(axis: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """The axes that a reduction over `axis` takes, counted from the front."""
    if axis is None:
        return tuple(range(rank))
    axes = tuple(positive(a, rank) for a in ([axis] if isinstance(axis, int) else axis))
    if len(set(axes)) != len(axes):
        raise ValueError(f"the axes {axis!r} name one of {rank} dimensions twice")
    return axes


def reduced_shape(shape: Shape, axis: int | Sequence[int] | None, keepdims: bool) -> Shape:
    """`shape` without `axis`, or with 1 there."""
    removed = axes_of(axis, len(shape))
    if keepdims:
        return tuple(1 if i in removed else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in removed)


def total(shape: Shape) -> int | None:
    """The number of elements, None when a size is unknown."""
    return None if None in shape else math.prod(d for d in shape if d is not None)


def reshaped(shape: Shape, target: Sequence[int | None]) -> Shape:
    """`target` with its one unknown size (-1 or None) computed from `shape`, if that is known.

    Raises InvalidInput where several are unknown, or where the numbers of elements differ.
    """
    sizes = tuple(None if d == -1 else d for d in target)
    if sizes.count(None) > 1:
        raise InvalidInput(f"only one size of a shape may be -1, got {tuple(target)}")
    count, rest = total(shape), math.prod(d for d in sizes if d is not None)
    if count is None and None not in sizes and (rest == 0 or rest % math.prod(d for d in shape if d is not None)):
        raise InvalidInput(f"cannot reshape {tuple(shape)} to {tuple(target)}, whatever the open sizes are")
    if count is None:
        return sizes
    if rest == 0 or count % rest if None in sizes else rest != count:
        raise InvalidInput(f"cannot reshape {tuple(shape)}, {count} numbers, to {tuple(target)}")
    return tuple(count // rest if d is None else d for d in sizes)
