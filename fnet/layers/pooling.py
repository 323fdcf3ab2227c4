"""Pooling over windows: max_pooling1d/2d/3d, average_pooling1d/2d/3d.

Source: keras.layers.MaxPooling1D and so on. Unlike TensorFlow's, max pooling here lets NaN through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnet.backend import ops, xp
from fnet.core import room
from fnet.layers.windows import Pads, Sizes, Windows, counts_inside, over_axes, remembered, windows
from fnet.types import Array, DataFormat, Padding, Params, ParamTree, PerAxis, Spec


@remembered
def _windows(rank: int, pool_size: PerAxis, strides: PerAxis | None, padding: str, data_format: str | None) -> Windows:
    """Strides of None are the windows' sizes."""
    steps = pool_size if strides is None else strides
    return windows("pooling{}d", rank, pool_size, steps, padding, data_format, size_option="pool_size")


def _pool_rule(
    rank: int, x: Spec, *, pool_size: PerAxis, strides: PerAxis | None, padding: str, data_format: str | None
) -> tuple[Spec, ParamTree]:
    window = _windows(rank, pool_size, strides, padding, data_format)
    sizes, channels = window.split(x.shape)
    return Spec(window.join(x.shape[0], window.outputs(sizes), channels), x.dtype), {}


def _pool_room(
    rank: int, x: Spec, *, pool_size: PerAxis, strides: PerAxis | None, padding: str, data_format: str | None
) -> tuple[int, int]:
    """Each axis is read once for each tap of its windows."""
    y, _ = _pool_rule(rank, x, pool_size=pool_size, strides=strides, padding=padding, data_format=data_format)
    window = _windows(rank, pool_size, strides, padding, data_format)
    sizes, _ = window.split(x.shape)
    taps = sum(min(taps, size or 1) for taps, size in zip(window.taps, sizes, strict=True))
    return 0, taps * max(room.size(x), room.size(y))


@remembered
def _pads_and_counts(window: Windows, shape: Sizes) -> tuple[Sizes, Pads, np.ndarray]:
    """The size of the windows, the padding of each axis and how many inputs each window has, (*output, 1)."""
    sizes, _ = window.split_known(shape)
    pads = window.pads(sizes)
    if window.padding == "valid":
        return window.taps, pads, np.array(math.prod(window.taps))
    counts = np.ones(())
    axes = zip(sizes, window.taps, window.strides, pads, window.outputs(sizes), strict=True)
    for size, width, step, (before, _), number in axes:
        counts = counts[..., None] * counts_inside(size, width, step, before, number or 0)
    return window.taps, pads, counts[..., None]


def _pooling(family: str, average: bool, **rules: Any) -> Callable[[int, str], Callable[..., Array]]:
    """The layers of a family: maximum or average pooling over 1, 2 or 3 axes."""

    @over_axes(family, _pool_rule, _pool_room, mask="drop", **rules)
    def pool(
        rank: int,
        params: Params,
        x: Array,
        *,
        pool_size: PerAxis = 2,
        strides: PerAxis | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
    ) -> Array:
        window = _windows(rank, pool_size, strides, padding, data_format)
        taps, pads, counts = _pads_and_counts(window, x.shape)
        combine = ops.sum_pool if average else ops.max_pool
        first = window.data_format == "channels_first"
        y = combine(xp.moveaxis(x, 1, -1) if first else x, taps, window.strides, pads)
        if average:
            y = y / xp.asarray(counts, dtype=y.dtype)
        return xp.moveaxis(y, -1, 1) if first else y

    return pool


_max_pooling = _pooling("max_pooling{}d", False)
_average_pooling = _pooling("average_pooling{}d", True, floats=True)

max_pooling1d = _max_pooling(
    1,
    """(batch, steps, channels) -> (batch, new steps, channels): the maximum of each window.

    strides: None means pool_size. padding: "valid" (windows that fit) or "same" (ceil(steps / strides) windows;
    what lies outside never wins). data_format: "channels_last" (also None) or "channels_first".
    No params. NaN propagates (TensorFlow loses it). Mask: dropped. Errors: InvalidInput when the window is
    larger than the input.

    >>> max_pooling1d({}, np.array([[[1.], [3.], [2.], [0.]]]))[0, :, 0]
    array([3., 2.])
    """,
)

max_pooling2d = _max_pooling(
    2,
    """(batch, height, width, channels) -> (batch, new height, new width, channels): the maximum of each window.

    Options, mask (dropped) and errors: as max_pooling1d.

    >>> max_pooling2d({}, np.arange(16.).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """,
)

max_pooling3d = _max_pooling(
    3, "(batch, depth, height, width, channels) -> (batch, *new sizes, channels), as max_pooling1d."
)


average_pooling1d = _average_pooling(
    1,
    """(batch, steps, channels) -> (batch, new steps, channels): the mean of each window.

    With "same" padding only what lies inside the input is summed and counted. Options, mask (dropped) and
    errors: as max_pooling1d.

    >>> average_pooling1d({}, np.array([[[1.], [3.], [5.]]]), padding="same")[0, :, 0]
    array([2., 5.])
    """,
)

average_pooling2d = _average_pooling(
    2, "(batch, height, width, channels) -> (batch, new height, new width, channels), as average_pooling1d."
)

average_pooling3d = _average_pooling(
    3, "(batch, depth, height, width, channels) -> (batch, *new sizes, channels), as average_pooling1d."
)
