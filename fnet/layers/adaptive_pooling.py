"""Pooling to a given output size: adaptive_average_pooling1d/2d/3d, adaptive_max_pooling1d/2d/3d.

Along an axis of n, output i of m covers the inputs from floor(i n / m) to ceil((i + 1) n / m): windows of one size
or of two neighbouring sizes, overlapping where m does not divide n, and repeating where m > n.
Source: keras.layers.AdaptiveAveragePooling1D and so on.
"""

from __future__ import annotations

import numpy as np

from fnet.backend import xp
from fnet.core.room import size
from fnet.errors import InvalidInput
from fnet.layers.windows import (
    from_channels_last,
    join_shape,
    over_axes,
    per_axis,
    split_shape,
    split_sizes,
    to_channels_last,
)
from fnet.shapes import sized
from fnet.types import Array, DataFormat, Params, ParamTree, PerAxis, Spec


def _adaptive_rule(
    rank: int, x: Spec, *, output_size: PerAxis | None, data_format: str | None
) -> tuple[Spec, ParamTree]:
    output = _output(rank, output_size)
    sizes, channels = split_shape(f"adaptive_pooling{rank}d", x.shape, rank, data_format)
    if 0 in sizes:
        raise InvalidInput(f"adaptive_pooling{rank}d has nothing to pool: the spatial axes are {tuple(sizes)}")
    return Spec(join_shape(x.shape[0], output, channels, data_format), x.dtype), {}


def _adaptive_room(rank: int, x: Spec, *, output_size: PerAxis | None, data_format: str | None) -> tuple[int, int]:
    """Axes are pooled one after the other, which holds intermediate results; each tap of a window is read."""
    spatial, channels = split_shape("adaptive_pooling", x.shape, rank, data_format)
    sizes, memory, work = list(sized(spatial, 1)), 0, 0
    for axis, count in enumerate(_output(rank, output_size)):
        taps, sizes[axis] = sizes[axis] // count + 2, count
        part = size(Spec((x.shape[0], *sizes, channels), x.dtype))
        memory, work = max(memory, 3 * part), work + taps * part
    return memory, work


def _output(rank: int, output_size: PerAxis | None) -> tuple[int, ...]:
    if output_size is None:
        raise ValueError(f"adaptive pooling needs output_size=, one int or {rank} of them")
    return per_axis(output_size, rank, "output_size")


def _pool(rank: int, average: bool, x: Array, output_size: PerAxis | None, data_format: str | None) -> Array:
    """One axis after the other, since windows are products of intervals."""
    output = _output(rank, output_size)
    split_sizes(f"adaptive_pooling{rank}d", x.shape, rank, data_format)
    y = to_channels_last(x, data_format)
    for axis, count in enumerate(output, start=1):
        y = _pool_axis(average, y, axis, count)
    return from_channels_last(y, data_format)


def _pool_axis(average: bool, x: Array, axis: int, count: int) -> Array:
    """Tap t of each window, or its last element again where the window has no tap t, which changes no maximum; for the
    mean a selection replaces it by 0, so that numbers outside a window, such as NaN, have no effect."""
    size, i = x.shape[axis], np.arange(count)
    first, last = i * size // count, -((-(i + 1) * size) // count) - 1  # both included
    sizes = (last - first + 1).reshape(count, *(1,) * (x.ndim - axis - 1))
    y = xp.take(x, first, axis=axis)
    for tap in range(1, int(sizes.max())):
        more = xp.take(x, np.minimum(first + tap, last), axis=axis)
        if average and tap >= sizes.min():
            more = xp.where(tap < sizes, more, xp.zeros_like(more))
        y = y + more if average else xp.maximum(y, more)
    return y / xp.asarray(sizes, dtype=y.dtype) if average else y


@over_axes("adaptive_average_pooling{}d", _adaptive_rule, _adaptive_room, mask="drop", floats=True)
def _average_pooling(
    rank: int, params: Params, x: Array, *, output_size: PerAxis | None = None, data_format: DataFormat | None = None
) -> Array:
    """The layers adaptive_average_pooling1d, 2d and 3d."""
    return _pool(rank, True, x, output_size, data_format)


adaptive_average_pooling1d = _average_pooling(
    1,
    """(batch, steps, channels) -> (batch, output_size, channels): means of windows that share out the steps.

    `output_size` (required) may be larger than the input: steps are then repeated. No params. Mask: dropped.
    data_format: "channels_last" (also None) or "channels_first".

    >>> adaptive_average_pooling1d({}, np.array([[[1.], [2.], [3.]]]), output_size=2)[0, :, 0]
    array([1.5, 2.5])
    """,
)

adaptive_average_pooling2d = _average_pooling(
    2, "(batch, height, width, channels) -> (batch, *output_size, channels), as adaptive_average_pooling1d."
)

adaptive_average_pooling3d = _average_pooling(
    3, "(batch, depth, height, width, channels) -> (batch, *output_size, channels), as adaptive_average_pooling1d."
)


@over_axes("adaptive_max_pooling{}d", _adaptive_rule, _adaptive_room, mask="drop")
def _max_pooling(
    rank: int, params: Params, x: Array, *, output_size: PerAxis | None = None, data_format: DataFormat | None = None
) -> Array:
    """The layers adaptive_max_pooling1d, 2d and 3d."""
    return _pool(rank, False, x, output_size, data_format)


adaptive_max_pooling1d = _max_pooling(
    1,
    """(batch, steps, channels) -> (batch, output_size, channels): maxima of windows that share out the steps.

    NaN propagates. Options and mask (dropped): as adaptive_average_pooling1d.
    """,
)

adaptive_max_pooling2d = _max_pooling(
    2, "(batch, height, width, channels) -> (batch, *output_size, channels), as adaptive_max_pooling1d."
)

adaptive_max_pooling3d = _max_pooling(
    3, "(batch, depth, height, width, channels) -> (batch, *output_size, channels), as adaptive_max_pooling1d."
)
