"""Convolutions with a different kernel at each position: locally_connected1d, locally_connected2d, of Keras 2.

Keras 2 kept the kernel in one of three forms, `implementation`; here all are converted to the first, a matrix for each
position, (places, taps * channels, filters). Source: keras.layers.LocallyConnected1D and 2D of Keras 2.
"""

from __future__ import annotations

from itertools import repeat
from math import prod
from typing import Literal

import numpy as np

from fnet.activation_functions import Activation, activate
from fnet.backend import xp
from fnet.core.infer import activation_child
from fnet.errors import InvalidInput
from fnet.layers.windows import (
    Sizes,
    Windows,
    from_channels_last,
    is_channels_first,
    over_axes,
    to_channels_last,
    windows,
)
from fnet.records import NamedTuple
from fnet.types import Array, DataFormat, Padding, Param, Params, ParamTree, PerAxis, Positive, Shape, Spec


class Taps(NamedTuple):
    """Which positions of the input each position of the output reads."""

    at: np.ndarray
    """(places, taps): positions in the flattened spatial axes; the last one is repeated where a window is cut short."""
    number: np.ndarray
    """(places, taps): the number of a tap among those of its window that exist."""
    counts: np.ndarray
    """(places,): how many taps exist."""
    there: np.ndarray
    """(places, taps), bool: whether the tap exists."""


def _spans(window: Windows, sizes: Sizes) -> list[tuple[np.ndarray, np.ndarray]]:
    """[(where it begins, how many places of the input it sees) of each window] for each axis.

    Padding "same" centres windows on their places, the odd one of even windows before: not TensorFlow's rule.
    """
    spans = []
    for size, count, width, stride in zip(sizes, window.outputs(sizes), window.taps, window.strides, strict=True):
        first = np.arange(count or 0) * stride - (width // 2 if window.padding == "same" else 0)
        start, end = np.maximum(first, 0), np.minimum(first + width, size)
        spans.append((start, end - start))
    return spans


def _taps(window: Windows, sizes: Sizes) -> Taps:
    at = number = np.zeros((1, 1), int)
    count, there = np.ones(1, int), np.ones((1, 1), bool)
    for size, (start, counts) in zip(sizes, _spans(window, sizes), strict=True):
        tap = np.arange(counts.max())
        inside = tap < counts[:, None]
        tap = np.minimum(tap, counts[:, None] - 1)
        shape = (len(at) * len(tap), -1)  # of this axis and those before it, crossed
        at = (at[:, None, :, None] * size + (start[:, None] + tap)[:, None]).reshape(shape)
        number = (number[:, None, :, None] * counts[:, None, None] + tap[:, None]).reshape(shape)
        there = (there[:, None, :, None] & inside[:, None]).reshape(shape)
        count = (count[:, None] * counts).reshape(-1)
    return Taps(at, number, count, there)


def _kernel_shape(window: Windows, shape: Shape, filters: int, implementation: int) -> Shape:
    """The shape of the kernel in the files of Keras, in each of its three forms."""
    spatial, channels = window.split(shape)
    sizes = tuple(size for size in spatial if size is not None)
    if len(sizes) < window.rank or channels is None:
        raise InvalidInput(f"{window.name} has a kernel for every place, so its sizes must be known; got {shape}")
    if implementation == 1:
        if window.padding == "same":
            raise ValueError(f"{window.name}: implementation=1 has padding='valid' only")
        return prod(size or 0 for size in window.outputs(sizes)), prod(window.taps) * channels, filters
    if implementation == 2:
        outputs = window.outputs(sizes)
        first = is_channels_first(window.data_format)
        return (channels, *sizes, filters, *outputs) if first else (*sizes, channels, *outputs, filters)
    seen = map(_seen, sizes, window.outputs(sizes), window.taps, window.strides, repeat(window.padding))
    return (prod(seen) * channels * filters,)


def _seen(size: int, count: int | None, width: int, stride: int, padding: str) -> int:
    """How many places of the input all windows along an axis see: the sum of what `_spans` counts."""
    count = count or 0
    left = width // 2 if padding == "same" else 0
    right = (count - 1) * stride - left + width - size
    return count * width - _series(left, stride, count) - _series(right, stride, count)


def _series(first: int, step: int, count: int) -> int:
    """first + (first - step) + ..., the positive ones, `count` at most."""
    n = max(0, min(count, -(-first // step)))
    return n * first - step * n * (n - 1) // 2


def _rule(
    rank: int,
    x: Spec,
    *,
    filters: int,
    kernel_size: PerAxis,
    strides: PerAxis,
    padding: str,
    data_format: str | None,
    activation: Activation,
    use_bias: bool,
    implementation: int,
) -> tuple[Spec, ParamTree]:
    window = windows("locally_connected{}d", rank, kernel_size, strides, padding, data_format)
    kernel = Param(_kernel_shape(window, x.shape, filters, implementation))
    outputs = window.outputs(window.split(x.shape)[0])
    y = Spec(window.join(x.shape[0], outputs, filters), x.dtype)
    bias = {"bias": Param((*outputs, filters), "zeros")} if use_bias else {}
    return y, {"kernel": kernel, **bias, **activation_child(activation, y)}


def _matrices(kernel: Array, taps: Taps, window: Windows, shape: Sizes, implementation: int) -> Array:
    """The kernel of any form as (places, taps, channels, filters), 0 where a window is cut short."""
    places, width = taps.at.shape
    sizes, channels = window.split_known(shape)
    first = is_channels_first(window.data_format)
    if implementation == 1:
        if first:
            return xp.swapaxes(kernel.reshape(places, channels, width, -1), 1, 2)
        return kernel.reshape(places, width, channels, -1)
    if implementation == 2:
        if first:
            kernel = xp.transpose(kernel.reshape(channels, prod(sizes), -1, places), (1, 0, 3, 2))
        else:
            kernel = kernel.reshape(prod(sizes), channels, places, -1)
        chosen = kernel[taps.at, :, np.arange(places)[:, None]]
    else:
        chosen = kernel[_numbers(taps, channels, kernel.shape[0], first)]
    return xp.where(taps.there[..., None, None], chosen, 0)


def _numbers(taps: Taps, channels: int, size: int, first: bool) -> np.ndarray:
    """(places, taps, channels, filters): where a flat kernel, ordered by output and then input, has each number."""
    seen = int(taps.counts.sum())
    filters = size // (channels * seen)
    count, before = (n[:, None, None, None] for n in (taps.counts, np.cumsum(taps.counts) - taps.counts))
    number, c, f = taps.number[..., None, None], np.arange(channels)[:, None], np.arange(filters)
    if first:
        return np.asarray(channels * (f * seen + before) + c * count + number)
    return np.asarray(channels * (filters * before + f * count + number) + c)


@over_axes("locally_connected{}d", _rule, mask="drop", floats=True)
def _locally_connected(
    rank: int,
    params: Params,
    x: Array,
    *,
    filters: Positive,
    kernel_size: PerAxis,
    strides: PerAxis = 1,
    padding: Padding = "valid",
    data_format: DataFormat | None = None,
    activation: Activation = None,
    use_bias: bool = True,
    implementation: Literal[1, 2, 3] = 1,
) -> Array:
    """The layers locally_connected1d and locally_connected2d."""
    window = windows("locally_connected{}d", rank, kernel_size, strides, padding, data_format)
    sizes, channels = window.split_known(x.shape)
    taps = _taps(window, sizes)
    kernel = _matrices(params["kernel"], taps, window, x.shape, implementation)
    kernel = kernel.reshape(len(taps.at), -1, kernel.shape[-1])  # (places, taps * channels, filters)
    x = to_channels_last(x, window.data_format).reshape(-1, prod(sizes), channels)
    seen = x[:, taps.at].reshape(-1, len(taps.at), kernel.shape[1])  # (batch, places, taps * channels)
    y = xp.swapaxes(xp.swapaxes(seen, 0, 1) @ kernel, 0, 1)  # (batch, places, filters)
    outputs = window.outputs(sizes)
    y = from_channels_last(y.reshape(-1, *outputs, kernel.shape[-1]), window.data_format)
    if use_bias:
        y = y + params["bias"].reshape(y.shape[1:])
    return activate(activation, params, y)


locally_connected1d = _locally_connected(
    1,
    """(batch, steps, in) -> (batch, new steps, filters): as conv1d, with another kernel for every new step.

    params: kernel, as `implementation` says: 1 (new steps, kernel_size * in, filters); 2 (steps, in, new steps,
    filters), 0 where nothing is seen; 3 only what 2 sees, as one row by new step, filter, step, channel. bias
    (new steps, filters) unless `use_bias=False`. padding: "valid", or (2 and 3) "same", which puts the odd one of the
    zeros before, unlike conv1d. data_format: with "channels_first" the kernel has its channels first too, and the bias
    is reshaped, not transposed, as Keras has it. Mask: dropped. Keras 3 has no such layer.
    Errors: InvalidInput where the number of steps is not known.

    >>> params = {"kernel": np.array([[[1.0], [1.0]], [[2.0], [0.0]]])}
    >>> x = np.array([[[1.0], [2.0], [3.0]]])
    >>> locally_connected1d(params, x, filters=1, kernel_size=2, use_bias=False)[0, :, 0]
    array([3., 4.])
    """,
)

locally_connected2d = _locally_connected(
    2,
    """(batch, height, width, in) -> (batch, new height, new width, filters): another kernel for every new place.

    params: kernel, as `implementation` says: 1 (new height * new width, kernel height * width * in, filters);
    2 (height, width, in, new height, new width, filters); 3 one row. bias (new height, new width, filters) unless
    `use_bias=False`. All else as locally_connected1d; Keras 3 has no such layer.

    >>> params = {"kernel": np.ones((4, 4, 5))}
    >>> locally_connected2d(params, np.ones((1, 3, 3, 1)), filters=5, kernel_size=2, use_bias=False).shape
    (1, 2, 2, 5)
    """,
)
