"""Pooling over windows: max_pooling1d/2d/3d, average_pooling1d/2d/3d.

Source: keras.layers.MaxPooling1D and so on. Unlike TensorFlow's, max pooling here lets NaN through.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from fnet.backend import ops, xp
from fnet.compose import layer
from fnet.layers.convolution import check_padding
from fnet.layers.windows import (
    Pads,
    PerAxis,
    Sizes,
    counts_inside,
    from_channels_last,
    join_shape,
    output_sizes,
    per_axis,
    remembered,
    split_shape,
    split_sizes,
    to_channels_last,
    window_padding,
)
from fnet.types import Array, Params, ParamTree, Spec


def _options(rank: int, pool_size: PerAxis, strides: PerAxis | None, padding: str) -> tuple[Sizes, Sizes]:
    """(window, strides) for each axis; strides of None are those of the window."""
    check_padding(f"pooling{rank}d", padding)
    window = per_axis(pool_size, rank, "pool_size")
    return window, window if strides is None else per_axis(strides, rank, "strides")


def _pool_rule(
    rank: int, x: Spec, *, pool_size: PerAxis, strides: PerAxis | None, padding: str, data_format: str | None
) -> tuple[Spec, ParamTree]:
    window, steps = _options(rank, pool_size, strides, padding)
    sizes, channels = split_shape(f"pooling{rank}d", x.shape, rank, data_format)
    output = output_sizes(sizes, window, steps, padding)
    return Spec(join_shape(x.shape[0], output, channels, data_format), x.dtype), {}


@remembered
def _plan(
    rank: int, shape: Sizes, pool_size: PerAxis, strides: PerAxis | None, padding: str, data_format: str | None
) -> tuple[Sizes, Sizes, Pads, np.ndarray]:
    """(window, strides, padding) of each axis and how many inputs each window has, (*output, 1)."""
    window, steps = _options(rank, pool_size, strides, padding)
    sizes, _ = split_sizes(f"pooling{rank}d", shape, rank, data_format)
    output = output_sizes(sizes, window, steps, padding)
    pads = window_padding(sizes, window, steps, padding)
    counts = np.ones(())
    for size, width, step, (before, _), number in zip(sizes, window, steps, pads, output, strict=True):
        counts = counts[..., None] * counts_inside(size, width, step, before, number or 0)
    return window, steps, pads, counts[..., None] if padding == "same" else np.array(math.prod(window))


def _pool(
    rank: int,
    average: bool,
    x: Array,
    pool_size: PerAxis,
    strides: PerAxis | None,
    padding: str,
    data_format: str | None,
) -> Array:
    """What all six layers do."""
    window, steps, pads, counts = _plan(rank, x.shape, pool_size, strides, padding, data_format)
    pool = ops.sum_pool if average else ops.max_pool
    y = pool(to_channels_last(x, data_format), window, steps, pads)
    if average:
        y = y / xp.asarray(counts, dtype=y.dtype)
    return from_channels_last(y, data_format)


@layer(shape=partial(_pool_rule, 1), mask="drop")
def max_pooling1d(
    params: Params,
    x: Array,
    *,
    pool_size: PerAxis = 2,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """(batch, steps, channels) -> (batch, new steps, channels): the maximum of each window.

    strides: None means pool_size. padding: "valid" (windows that fit) or "same" (ceil(steps / strides) windows;
    what lies outside never wins). data_format: "channels_last" (also None) or "channels_first".
    No params. NaN propagates (TensorFlow loses it). Mask: dropped. Errors: InvalidInput when the window is
    larger than the input. Source: keras.layers.MaxPooling1D.

    >>> max_pooling1d({}, np.array([[[1.], [3.], [2.], [0.]]]))[0, :, 0]
    array([3., 2.])
    """
    return _pool(1, False, x, pool_size, strides, padding, data_format)


@layer(shape=partial(_pool_rule, 2), mask="drop")
def max_pooling2d(
    params: Params,
    x: Array,
    *,
    pool_size: PerAxis = 2,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """(batch, height, width, channels) -> (batch, new height, new width, channels): the maximum of each window.

    Options, mask (dropped) and errors: as max_pooling1d. Source: keras.layers.MaxPooling2D.

    >>> max_pooling2d({}, np.arange(16.).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _pool(2, False, x, pool_size, strides, padding, data_format)


@layer(shape=partial(_pool_rule, 3), mask="drop")
def max_pooling3d(
    params: Params,
    x: Array,
    *,
    pool_size: PerAxis = 2,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """(batch, depth, height, width, channels) -> (batch, *new sizes, channels): the maximum of each window.

    Options, mask (dropped) and errors: as max_pooling1d. Source: keras.layers.MaxPooling3D.
    """
    return _pool(3, False, x, pool_size, strides, padding, data_format)


@layer(shape=partial(_pool_rule, 1), mask="drop")
def average_pooling1d(
    params: Params,
    x: Array,
    *,
    pool_size: PerAxis = 2,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """(batch, steps, channels) -> (batch, new steps, channels): the mean of each window.

    With "same" padding only what lies inside the input is summed and counted. Options, mask (dropped) and
    errors: as max_pooling1d. Source: keras.layers.AveragePooling1D.

    >>> average_pooling1d({}, np.array([[[1.], [3.], [5.]]]), padding="same")[0, :, 0]
    array([2., 5.])
    """
    return _pool(1, True, x, pool_size, strides, padding, data_format)


@layer(shape=partial(_pool_rule, 2), mask="drop")
def average_pooling2d(
    params: Params,
    x: Array,
    *,
    pool_size: PerAxis = 2,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """(batch, height, width, channels) -> (batch, new height, new width, channels): the mean of each window.

    With "same" padding only what lies inside the input is summed and counted. Options, mask (dropped) and
    errors: as max_pooling1d. Source: keras.layers.AveragePooling2D.
    """
    return _pool(2, True, x, pool_size, strides, padding, data_format)


@layer(shape=partial(_pool_rule, 3), mask="drop")
def average_pooling3d(
    params: Params,
    x: Array,
    *,
    pool_size: PerAxis = 2,
    strides: PerAxis | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """(batch, depth, height, width, channels) -> (batch, *new sizes, channels): the mean of each window.

    With "same" padding only what lies inside the input is summed and counted. Options, mask (dropped) and
    errors: as max_pooling1d. Source: keras.layers.AveragePooling3D.
    """
    return _pool(3, True, x, pool_size, strides, padding, data_format)
