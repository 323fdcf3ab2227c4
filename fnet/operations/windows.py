"""Pooling, and the rearranging of windows and blocks.

Each pooling is the layer of that name for 1, 2 or 3 spatial axes. Source: keras.ops.nn.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

from fnet.backend import xp
from fnet.core.infer import infer
from fnet.core.layer import Bound, bind
from fnet.core.options import asking
from fnet.core.room import of_step, size
from fnet.dtypes import tensor
from fnet.layers.windows import from_channels_last, join_shape, per_axis, to_channels_last
from fnet.operations.convolutions import of_rank, over_axes
from fnet.operations.rules import Operation, borrowing, named, operation
from fnet.shapes import fits, sized, total
from fnet.types import Array, DataFormat, PerAxis, Spec

# --- pooling --------------------------------------------------------------------------------------


def _pooling(name: str, text: str, family: str, size: str, *options: str) -> Operation:
    """The layers of a family as an operation. size: the option for the size of the window, here without a default."""
    layers = over_axes(family)

    def apply(inputs: Array, **chosen: Any) -> Array:
        return of_rank(layers, inputs.shape)({}, inputs, **chosen)

    def step(inputs: Spec, chosen: dict[str, Any]) -> Bound:
        return bind(of_rank(layers, inputs.shape), **chosen)

    def rule(inputs: Spec, **chosen: Any) -> Any:
        return infer(step(inputs, chosen), inputs)[0]

    def room(inputs: Spec, **chosen: Any) -> tuple[int, int]:
        return of_step(step(inputs, chosen), inputs)

    function = borrowing(apply, ["inputs"], layers[2], size, *options, **{size: inspect.Parameter.empty})
    return operation(asking(rule, function), room=asking(room, function))(named(name, text, function))


POOLING, ADAPTIVE = ("pool_size", "strides", "padding", "data_format"), ("output_size", "data_format")
max_pool = _pooling("max_pool", "The largest in each window.", "max_pooling{}d", *POOLING)
average_pool = _pooling("average_pool", "The mean of each window, padding not counted.", "average_pooling{}d", *POOLING)
adaptive_max_pool = _pooling(
    "adaptive_max_pool", "The largest in each of output_size parts.", "adaptive_max_pooling{}d", *ADAPTIVE
)
adaptive_average_pool = _pooling(
    "adaptive_average_pool", "The mean of each of output_size parts.", "adaptive_average_pooling{}d", *ADAPTIVE
)


# --- windows and blocks ---------------------------------------------------------------------------


def _pair(value: PerAxis) -> tuple[int, int]:
    height, width = per_axis(value, 2, "each option of a window", least=0)
    return height, width


def _grid(size: PerAxis, kernel: PerAxis, dilation: PerAxis, padding: PerAxis, stride: PerAxis) -> tuple[int, int]:
    """How many windows fit along each axis."""
    options = zip(*map(_pair, (size, kernel, dilation, padding, stride)), strict=True)
    rows, columns = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in options)
    return rows, columns


def _with_padding(x: Spec, size: PerAxis, padding: PerAxis) -> Spec:
    """(batch, channels, height, width) with height and width `size`, padded."""
    sizes = (n + 2 * p for n, p in zip(_pair(size), _pair(padding), strict=True))
    return Spec((*x.shape[:2], *sizes), x.dtype)


def _unfold_room(x: Spec, *, padding: PerAxis) -> tuple[int, int]:
    height, width = sized(x.shape[2:], 1)
    memory = size(_with_padding(x, (height, width), padding))
    return memory, memory


def _unfold_rule(x: Spec, *, kernel_size: PerAxis, dilation: PerAxis, padding: PerAxis, stride: PerAxis) -> Spec:
    batch, channels, height, width = x.shape
    kernel = _pair(kernel_size)
    deep = None if channels is None else channels * kernel[0] * kernel[1]
    if height is None or width is None:
        return Spec((batch, deep, None), x.dtype)
    rows, columns = _grid((height, width), kernel_size, dilation, padding, stride)
    return Spec((batch, deep, rows * columns), x.dtype)


@operation(_unfold_rule, room=_unfold_room)
def unfold(
    x: Array, *, kernel_size: PerAxis, dilation: PerAxis = 1, padding: PerAxis = 0, stride: PerAxis = 1
) -> Array:
    """(batch, channels, height, width) -> (batch, channels * kernel area, windows): each window as a column."""
    x = tensor(x)
    rows, columns = _grid(x.shape[2:], kernel_size, dilation, padding, stride)
    (above, left), (down, right) = _pair(padding), _pair(stride)
    x = xp.pad(x, ((0, 0), (0, 0), (above, above), (left, left)))
    taps = [
        x[:, :, i : i + down * (rows - 1) + 1 : down, j : j + right * (columns - 1) + 1 : right]
        for i, j in _taps(kernel_size, dilation)
    ]
    return xp.stack(taps, axis=2).reshape(x.shape[0], x.shape[1] * len(taps), rows * columns)


def _taps(kernel_size: PerAxis, dilation: PerAxis) -> list[tuple[int, int]]:
    (height, width), (down, right) = _pair(kernel_size), _pair(dilation)
    return [(i * down, j * right) for i in range(height) for j in range(width)]


def _fold_rule(
    x: Spec, *, output_size: PerAxis, kernel_size: PerAxis, dilation: PerAxis, padding: PerAxis, stride: PerAxis
) -> Spec:
    batch, deep, count = x.shape
    taps = math.prod(_pair(kernel_size))
    rows, columns = _grid(output_size, kernel_size, dilation, padding, stride)
    if (deep or 0) % taps or not fits((count,), (rows * columns,)) or min(rows, columns) < 1:
        raise ValueError(f"fold of {x}: {rows} x {columns} windows of {taps} numbers a channel are needed")
    return Spec((batch, None if deep is None else deep // taps, *_pair(output_size)), x.dtype)


def _fold_room(
    x: Spec, *, output_size: PerAxis, kernel_size: PerAxis, dilation: PerAxis, padding: PerAxis, stride: PerAxis
) -> tuple[int, int]:
    """Each number of a window is spread by the stride and added to the whole image."""
    grid = _grid(output_size, kernel_size, dilation, padding, stride)
    taps = math.prod(_pair(kernel_size))
    channels = Spec((x.shape[0], (x.shape[1] or taps) // taps), x.dtype)
    memory = 3 * size(_with_padding(channels, output_size, padding)) + 2 * size(channels) * math.prod(
        n * step for n, step in zip(grid, _pair(stride), strict=True)
    )
    return memory, taps * memory


@operation(_fold_rule, room=_fold_room)
def fold(
    x: Array,
    *,
    output_size: PerAxis,
    kernel_size: PerAxis,
    dilation: PerAxis = 1,
    padding: PerAxis = 0,
    stride: PerAxis = 1,
) -> Array:
    """The transpose of unfold: overlapping windows add up."""
    x = tensor(x)
    (height, width), (above, left), (down, right) = _pair(output_size), _pair(padding), _pair(stride)
    rows, columns = _grid(output_size, kernel_size, dilation, padding, stride)
    taps = _taps(kernel_size, dilation)
    parts = x.reshape(x.shape[0], x.shape[1] // len(taps), len(taps), rows, columns)
    full = (height + 2 * above, width + 2 * left)
    y = xp.zeros((*parts.shape[:2], *full), x.dtype)
    for number, (i, j) in enumerate(taps):
        spread = _spread(parts[:, :, number], down, right)
        after = (full[0] - i - spread.shape[2], full[1] - j - spread.shape[3])
        y = y + xp.pad(spread, ((0, 0), (0, 0), (i, after[0]), (j, after[1])))
    return y[:, :, above : above + height, left : left + width]


def _spread(x: Array, down: int, right: int) -> Array:
    """(batch, channels, rows, columns) with zeros in between, in steps of (down, right)."""
    batch, channels, rows, columns = x.shape
    wide = xp.pad(x[:, :, :, None, :, None], ((0, 0),) * 3 + ((0, down - 1), (0, 0), (0, right - 1)))
    wide = wide.reshape(batch, channels, rows * down, columns * right)
    return wide[:, :, : (rows - 1) * down + 1, : (columns - 1) * right + 1]


def _blocks_rule(x: Spec, block_size: int, data_format: str, *, grows: bool) -> Spec:
    """The Spec of images whose blocks become channels, or channels blocks (`grows`)."""
    if len(x.shape) != 4:
        raise ValueError(f"a batch of images is needed; got {x}")
    order = (0, 2, 3, 1) if data_format == "channels_first" else (0, 1, 2, 3)
    batch, height, width, channels = (x.shape[i] for i in order)
    area = block_size * block_size
    cut = {channels: area} if grows else {height: block_size, width: block_size}
    if any(size is not None and size % by for size, by in cut.items()):
        raise ValueError(f"blocks of {block_size} by {block_size} do not divide {x}")
    if grows:
        height, width = total((height, block_size)), total((width, block_size))
        channels = None if channels is None else channels // area
    else:
        height, width = (None if d is None else d // block_size for d in (height, width))
        channels = total((channels, area))
    return Spec(join_shape(batch, (height, width), channels, data_format), x.dtype)


@operation(lambda x, *, block_size, data_format: _blocks_rule(x, block_size, data_format, grows=True))
def depth_to_space(x: Array, *, block_size: int, data_format: DataFormat = "channels_last") -> Array:
    """Channels become blocks of `block_size` x `block_size` pixels."""
    x = to_channels_last(tensor(x), data_format)
    n, h, w, c = x.shape
    b = block_size
    y = x.reshape(n, h, w, b, b, c // (b * b)).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * b, w * b, c // (b * b))
    return from_channels_last(y, data_format)


@operation(lambda x, *, block_size, data_format: _blocks_rule(x, block_size, data_format, grows=False))
def space_to_depth(x: Array, *, block_size: int, data_format: DataFormat = "channels_last") -> Array:
    """Blocks of `block_size` x `block_size` pixels become channels."""
    x = to_channels_last(tensor(x), data_format)
    n, h, w, c = x.shape
    b = block_size
    y = x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // b, w // b, c * b * b)
    return from_channels_last(y, data_format)
