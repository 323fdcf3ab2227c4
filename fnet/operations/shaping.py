"""Operations that move the numbers of one tensor: reshaping, transposing, repeating, padding, diagonals.

Source: keras.ops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fnet.backend import xp
from fnet.dtypes import tensor
from fnet.operations.rules import operation, same, viewed
from fnet.shapes import axes_of, positive, reshaped, stretched, total
from fnet.types import Array, Spec

Ints = int | Sequence[int]


def as_ints(value: Ints) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    if any(isinstance(n, bool | float) for n in values):
        raise ValueError(f"{value} is not a whole number")
    return values


# --- one tensor -----------------------------------------------------------------------------------


@operation(lambda x, *, newshape: Spec(reshaped(x.shape, as_ints(newshape)), x.dtype))
def reshape(x: Array, *, newshape: Ints) -> Array:
    """`x` with the shape `newshape`, of which one size may be -1; the order of the numbers stays."""
    return xp.reshape(tensor(x), tuple(-1 if d is None else d for d in as_ints(newshape)))


@operation(lambda x: Spec((total(x.shape),), x.dtype))
def ravel(x: Array) -> Array:
    """`x` in one dimension."""
    return xp.reshape(tensor(x), (-1,))


def _expand(x: Any, axis: Ints) -> Any:
    rank = len(x.shape) + len(as_ints(axis))
    return xp.expand_dims(x, axes_of(as_ints(axis), rank))


def _expand_rule(x: Spec, *, axis: Ints) -> Spec:
    new = axes_of(as_ints(axis), len(x.shape) + len(as_ints(axis)))
    sizes = iter(x.shape)
    return Spec(tuple(1 if i in new else next(sizes) for i in range(len(x.shape) + len(new))), x.dtype)


@operation(_expand_rule)
def expand_dims(x: Array, *, axis: Ints) -> Array:
    """`x` with a new axis of size 1 at each of `axis`."""
    return _expand(tensor(x), axis)


def _squeeze_rule(x: Spec, *, axis: Ints | None) -> Spec:
    if axis is None:
        return Spec(tuple(d for d in x.shape if d != 1), x.dtype)
    removed = axes_of(axis, len(x.shape))
    if any(x.shape[i] not in (1, None) for i in removed):
        raise ValueError(f"only axes of size 1 can be squeezed: axis={axis} of {x.shape}")
    return Spec(tuple(d for i, d in enumerate(x.shape) if i not in removed), x.dtype)


@operation(_squeeze_rule)
def squeeze(x: Array, *, axis: Ints | None = None) -> Array:
    """`x` without the axes `axis`, which have size 1 (None: all of size 1)."""
    return xp.squeeze(tensor(x), axis=None if axis is None else as_ints(axis))


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
    return xp.moveaxis(tensor(x), as_ints(source), as_ints(destination))


@operation(lambda x, *, shape: Spec(stretched(x.shape, shape), x.dtype))
def broadcast_to(x: Array, *, shape: Sequence[int]) -> Array:
    """`x` repeated along axes of size 1 to `shape`."""
    return xp.broadcast_to(tensor(x), tuple(shape))


@operation(same)
def flip(x: Array, *, axis: Ints | None = None) -> Array:
    """`x` with the order along `axis` (None: all axes) reversed."""
    return xp.flip(tensor(x), axis=None if axis is None else as_ints(axis))


@operation(same, by_row=0)
def flipud(x: Array) -> Array:
    """`x` with axis 0 reversed."""
    return xp.flip(tensor(x), axis=0)


def _of_matrices(x: Spec) -> Spec:
    if len(x.shape) < 2:
        raise ValueError(f"matrices are needed in the last two axes; got {x}")
    return x


@operation(_of_matrices, by_row=2)
def fliplr(x: Array) -> Array:
    """`x` with axis 1 reversed."""
    return xp.flip(tensor(x), axis=1)


@operation(same)
def roll(x: Array, *, shift: Ints, axis: Ints | None = None) -> Array:
    """`x` moved by `shift` along `axis` (None: of the flat tensor); entries beyond one end come in at the other."""
    shifts = shift if isinstance(shift, int) else tuple(shift)
    return xp.roll(tensor(x), shifts, axis=axis if axis is None or isinstance(axis, int) else tuple(axis))


@operation(lambda array, *, k, axes: viewed(np.rot90, array, k=k, axes=tuple(axes)))
def rot90(array: Array, *, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """`array` rotated `k` times by 90 degrees in the plane of `axes`, from the first towards the second.

    As in Keras on TensorFlow, the first quarter of a half turn is reshaped to the sides of `array`, which moves the
    entries where the sides differ.
    """
    if k % 4 != 2:
        return xp.rot90(tensor(array), k, (axes[0], axes[1]))
    y = moved = xp.moveaxis(tensor(array), tuple(axes), (-2, -1))
    for _ in range(2):
        y = xp.rot90(y, axes=(-2, -1)).reshape(moved.shape)
    return xp.moveaxis(y, (-2, -1), tuple(axes))


# --- repeating and padding ------------------------------------------------------------------------


def _tile_rule(x: Spec, *, repeats: Ints) -> Spec:
    times = as_ints(repeats)
    rank = max(len(times), len(x.shape))
    sizes = (1,) * (rank - len(x.shape)) + tuple(x.shape)
    counts = (1,) * (rank - len(times)) + times
    return Spec(tuple(None if d is None else d * n for d, n in zip(sizes, counts, strict=True)), x.dtype)


@operation(_tile_rule)
def tile(x: Array, *, repeats: Ints) -> Array:
    """`x` repeated `repeats` times along the last axes."""
    return xp.tile(tensor(x), as_ints(repeats))


def _repeat_rule(x: Spec, *, repeats: Ints, axis: int | None) -> Spec:
    flat = Spec((total(x.shape),), x.dtype) if axis is None else x
    place = positive(axis or 0, len(flat.shape))
    size, times = flat.shape[place], as_ints(repeats)
    if len(times) > 1 and size not in (None, len(times)):
        raise ValueError(f"{len(times)} repeats for {size} entries")
    length = sum(times) if len(times) > 1 else None if size is None else size * times[0]
    return Spec((*flat.shape[:place], length, *flat.shape[place + 1 :]), x.dtype)


@operation(_repeat_rule)
def repeat(x: Array, *, repeats: Ints, axis: int | None = None) -> Array:
    """Each entry of `axis` (None: of the flat tensor) `repeats` times; one number, or one for each entry."""
    times = as_ints(repeats)
    return xp.repeat(tensor(x), times[0] if len(times) == 1 else np.asarray(times), axis=axis)


def _pad_rule(x: Spec, *, pad_width: Any) -> Spec:
    pairs = _pad_pairs(pad_width, len(x.shape))
    return Spec(tuple(None if d is None else d + a + b for d, (a, b) in zip(x.shape, pairs, strict=True)), x.dtype)


def _pad_pairs(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    """(before, after) of every axis, from Keras's forms: n, (n,), ((before, after),), a pair for each axis."""
    widths = [(pad_width,)] if isinstance(pad_width, int) else [as_ints(pair) for pair in pad_width]
    pairs = [pair * 2 if len(pair) == 1 else pair for pair in widths]
    pairs = pairs * rank if len(pairs) == 1 else pairs
    if len(pairs) != rank or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(f"pad_width={pad_width} for {rank} axes; give ((before, after), ...), one pair an axis")
    return [(pair[0], pair[1]) for pair in pairs]


@operation(_pad_rule)
def pad(
    x: Array,
    *,
    pad_width: Any,
    mode: Literal["constant", "reflect", "symmetric"] = "constant",
    constant_values: float | None = None,
) -> Array:
    """`x` with (before, after) more entries on every axis; `mode` "constant", "reflect" or "symmetric"."""
    pairs = _pad_pairs(pad_width, x.ndim)
    if mode == "constant":
        x = tensor(x)
        return xp.pad(x, pairs, constant_values=tensor(constant_values or 0, x.dtype.name))
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
        return _diagonal_rule(x, offset=k, axis1=0, axis2=1)
    if len(x.shape) != 1:
        raise ValueError(f"diag takes a vector or a matrix; got {x}")
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


@operation(_of_matrices, by_row=3)
def tril(x: Array, *, k: int = 0) -> Array:
    """`x` with 0 above diagonal `k`."""
    return xp.tril(tensor(x), k)


@operation(_of_matrices, by_row=3)
def triu(x: Array, *, k: int = 0) -> Array:
    """`x` with 0 below diagonal `k`."""
    return xp.triu(tensor(x), k)
