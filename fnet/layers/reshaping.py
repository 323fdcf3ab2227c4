"""Reshaping layers: flatten, reshape, permute, repeat, crop, pad with zeros. All of them drop masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fnet.backend import ops, xp
from fnet.core.rules import layer
from fnet.errors import InvalidInput
from fnet.layers.windows import over_axes, spatial_axes
from fnet.shapes import reshaped, total
from fnet.types import Array, DataFormat, Natural, Params, ParamTree, Shape, Spec

Pair = tuple[int, int]


@layer(shape=lambda x: (Spec((x.shape[0], total(x.shape[1:])), x.dtype), {}), mask="drop")
def flatten(params: Params, x: Array, *, data_format: DataFormat = "channels_last") -> Array:
    """(batch, ...) -> (batch, n); with "channels_first", in the order that "channels_last" would have given.

    Source: keras.layers.Flatten.

    >>> flatten({}, np.ones((2, 3, 4))).shape
    (2, 12)
    """
    if data_format == "channels_first" and x.ndim > 1:
        x = xp.moveaxis(x, 1, -1)
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def _target(shape: Shape, target_shape: Sequence[int | None]) -> Shape:
    """`target_shape` with its one unknown (-1 or None) from the sizes of `shape` (both without batch axis)."""
    if any(d is not None and d < -1 for d in target_shape):
        raise InvalidInput(f"reshape to {tuple(target_shape)}: a size is at least 0, or -1 or None for what is left")
    return reshaped(shape, target_shape)


def _reshape_rule(x: Spec, *, target_shape: Sequence[int | None]) -> tuple[Spec, ParamTree]:
    return Spec((x.shape[0], *_target(x.shape[1:], target_shape)), x.dtype), {}


@layer(shape=_reshape_rule, mask="drop")
def reshape(params: Params, x: Array, *, target_shape: Sequence[int | None]) -> Array:
    """(batch, ...) -> (batch, *target_shape); one size may be -1 or None: it follows from the others.

    Errors: InvalidInput where the sizes do not agree. Source: keras.layers.Reshape.

    >>> reshape({}, np.ones((2, 6)), target_shape=(-1, 2)).shape
    (2, 3, 2)
    """
    return x.reshape((x.shape[0], *_target(x.shape[1:], target_shape)))


def _permute_rule(x: Spec, *, dims: Sequence[int]) -> tuple[Spec, ParamTree]:
    if sorted(dims) != list(range(1, len(x.shape))):
        raise InvalidInput(f"permute takes each of the axes 1 to {len(x.shape) - 1} once; got dims={tuple(dims)}")
    return Spec((x.shape[0], *(x.shape[d] for d in dims)), x.dtype), {}


@layer(shape=_permute_rule, mask="drop")
def permute(params: Params, x: Array, *, dims: Sequence[int]) -> Array:
    """(batch, ...) -> (batch, ...) with the axes in the order `dims`, counted from 1. Source: keras.layers.Permute.

    >>> permute({}, np.ones((2, 3, 4)), dims=(2, 1)).shape
    (2, 4, 3)
    """
    return x.transpose(0, *dims)


def _repeat_vector_rule(x: Spec, *, n: int) -> tuple[Spec, ParamTree]:
    if len(x.shape) != 2:
        raise ValueError(f"repeat_vector takes (batch, features); got {x}")
    return Spec((x.shape[0], n, x.shape[1]), x.dtype), {}


@layer(shape=_repeat_vector_rule, mask="drop")
def repeat_vector(params: Params, x: Array, *, n: Natural) -> Array:
    """(batch, features) -> (batch, n, features): the same row `n` times. Source: keras.layers.RepeatVector.

    >>> repeat_vector({}, np.ones((2, 3)), n=4).shape
    (2, 4, 3)
    """
    if x.ndim != 2:
        raise InvalidInput(f"repeat_vector takes (batch, features); got shape {x.shape}")
    return x[:, None, :].repeat(n, axis=1)


# --- cropping and padding -------------------------------------------------------------------------


def pairs(amount: Any, rank: int) -> tuple[Pair, ...]:
    """(before, after) for each of `rank` axes, from a number, (a, b, ...) or ((a, b), ...) as Keras takes them."""
    if rank == 1 and not isinstance(amount, int):
        amount = (amount,)
    both = ((amount, amount),) * rank if isinstance(amount, int) else tuple(map(_pair, amount))
    if len(both) != rank:
        raise ValueError(f"expected a number or {rank} entries, one for each axis; got {amount!r}")
    if min(map(min, both)) < 0:
        raise ValueError(f"what is cropped or padded is at least 0; got {amount!r}")
    return both


def _pair(amount: Any) -> Pair:
    match (amount, amount) if isinstance(amount, int) else amount:
        case [int(first), int(last)]:
            return int(first), int(last)
    raise ValueError(f"expected a number or two, before and after; got {amount!r}")


def _resized(x: Spec, change: Mapping[int, int]) -> tuple[Spec, ParamTree]:
    """The rule of a layer that changes the sizes of axes by so much."""
    shape = list(x.shape)
    for axis, by in change.items():
        size = shape[axis]
        shape[axis] = None if size is None else size + by
    return Spec(tuple(shape), x.dtype), {}


def _cut(rank: int, x: Array | Spec, cropping: Any, data_format: str | None) -> dict[int, Pair]:
    """{axis: (before, after)} of what is taken off. Raises InvalidInput where nothing is left."""
    axes = spatial_axes(f"cropping{rank}d", x.shape, rank, data_format)
    cut = dict(zip(axes, pairs(cropping, rank), strict=True))
    for axis, pair in cut.items():
        if (size := x.shape[axis]) is not None and sum(pair) >= size:
            raise InvalidInput(f"cropping takes {sum(pair)} off axis {axis}, which has size {size}")
    return cut


def _crop(x: Array, cropping: Any, rank: int, data_format: str | None = None) -> Array:
    kept: list[slice] = [slice(None)] * x.ndim
    for axis, (before, after) in _cut(rank, x, cropping, data_format).items():
        kept[axis] = slice(before, x.shape[axis] - after)
    return x[tuple(kept)]


def _cropping_rule(rank: int, x: Spec, *, cropping: Any, data_format: str | None) -> tuple[Spec, ParamTree]:
    return _resized(x, {axis: -sum(pair) for axis, pair in _cut(rank, x, cropping, data_format).items()})


@layer(shape=lambda x, *, cropping: _cropping_rule(1, x, cropping=cropping, data_format=None), mask="drop")
def cropping1d(params: Params, x: Array, *, cropping: int | Sequence[int] = (1, 1)) -> Array:
    """(batch, time, channels) -> fewer steps: `cropping` (before, after) taken off. Source: keras.layers.Cropping1D.

    >>> cropping1d({}, np.ones((2, 5, 3)), cropping=(1, 2)).shape
    (2, 2, 3)
    """
    return _crop(x, cropping, 1)


@layer(shape=partial(_cropping_rule, 2), mask="drop")
def cropping2d(
    params: Params, x: Array, *, cropping: Any = ((0, 0), (0, 0)), data_format: DataFormat | None = "channels_last"
) -> Array:
    """(batch, height, width, channels) -> smaller: `cropping` ((top, bottom), (left, right)), (a, b) or a number.

    Source: keras.layers.Cropping2D.

    >>> cropping2d({}, np.ones((2, 5, 5, 3)), cropping=((1, 0), 2)).shape
    (2, 4, 1, 3)
    """
    return _crop(x, cropping, 2, data_format)


@layer(shape=partial(_cropping_rule, 3), mask="drop")
def cropping3d(
    params: Params,
    x: Array,
    *,
    cropping: Any = ((1, 1), (1, 1), (1, 1)),
    data_format: DataFormat | None = "channels_last",
) -> Array:
    """(batch, d1, d2, d3, channels) -> smaller, as `cropping2d` with a third axis. Source: keras.layers.Cropping3D.

    >>> cropping3d({}, np.ones((2, 5, 5, 5, 3))).shape
    (2, 3, 3, 3, 3)
    """
    return _crop(x, cropping, 3, data_format)


def _padding_rule(rank: int, x: Spec, *, padding: Any, data_format: str | None) -> tuple[Spec, ParamTree]:
    axes = spatial_axes(f"zero_padding{rank}d", x.shape, rank, data_format)
    return _resized(x, dict(zip(axes, map(sum, pairs(padding, rank)), strict=True)))


@over_axes("zero_padding{}d", _padding_rule, mask="drop")
def _zero_padding(
    rank: int,
    params: Params,
    x: Array,
    *,
    padding: int | Sequence[Any] = 1,
    data_format: DataFormat | None = "channels_last",
) -> Array:
    """The layers zero_padding1d, zero_padding2d and zero_padding3d."""
    widths = [(0, 0)] * x.ndim
    axes = spatial_axes(f"zero_padding{rank}d", x.shape, rank, data_format)
    for axis, each in zip(axes, pairs(padding, rank), strict=True):
        widths[axis] = each
    return ops.pad(x, widths)


zero_padding1d = _zero_padding(
    1,
    """(batch, time, channels) -> more steps: `padding` zeros before and after, a number or a pair.

    >>> zero_padding1d({}, np.ones((1, 2, 1)), padding=(1, 0))[0, :, 0]
    array([0., 1., 1.])
    """,
)

zero_padding2d = _zero_padding(
    2,
    """(batch, height, width, channels) -> larger: `padding` ((top, bottom), (left, right)), (a, b) or a number.

    >>> zero_padding2d({}, np.ones((2, 5, 5, 3)), padding=((1, 0), 2)).shape
    (2, 6, 9, 3)
    """,
)

zero_padding3d = _zero_padding(
    3,
    """(batch, d1, d2, d3, channels) -> larger, as `zero_padding2d` with a third axis.

    >>> zero_padding3d({}, np.ones((2, 5, 5, 5, 3)), padding=1).shape
    (2, 7, 7, 7, 3)
    """,
)
