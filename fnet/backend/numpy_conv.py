"""Convolution in NumPy: windows are gathered into cache-sized blocks of rows and multiplied by BLAS.

All arrays are channels last. `benchmarks/layers.py` measures these kernels next to TensorFlow's and says
what else was tried.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fnet.backend.contraction import matmul
from fnet.backend.winograd import on_tiles

BLOCK_BYTES = 3 << 19
"""Gathered windows are made in blocks of this size: they stay in the cache, and memory stays bounded."""
ALL = [(slice(None), slice(None))]
"""The one block where everything fits."""
ROW_ELEMENTS = 8192
"""Depthwise: neighbouring pixels are merged into vectors of about this length, the longest that pays."""
FEW_CHANNELS = 256
"""Depthwise: with at least so many channels one pixel is a vector long enough."""

FINISH_ROW = 2048
"""A bias is added to rows of about this length, the shortest that NumPy is fast on."""
FEW = 1 << 15
"""Up to so many entries it is added as it is: repeating it takes longer."""
SHORT = 1 << 10
"""Up to so many entries `maximum` is faster than `clip`, which begins later."""
TILES = 128
"""Winograd: tiles that are transformed at a time, so that they stay in the cache."""

Sizes = tuple[int, ...]
Clamp = tuple[float | None, float | None]
UNBOUNDED: Clamp = (None, None)


def conv(
    x: Any,
    kernel: Any,
    bias: Any = None,
    *,
    strides: Sizes,
    padding: Sequence[tuple[int, int]],
    dilation: Sizes,
    groups: int = 1,
    clamp: Clamp | None = None,
) -> Any:
    """(n, *spatial, c), (*window, c / groups, f) -> (n, *output, f): correlation, plus bias (f,) if given.

    clamp: (least, most) of the result.
    """
    if x.dtype != kernel.dtype:
        x, kernel = _same_dtype(x, kernel)
    if x.dtype.kind == "V":  # bfloat16, of which NumPy has no fast products
        wide = (a if a is None else a.astype(np.float32) for a in (x, kernel, bias))
        options: Any = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups, "clamp": clamp}
        return conv(*wide, **options).astype(x.dtype)
    x = _pad(x, padding)
    if groups > 1 and kernel.shape[-2] == 1 and kernel.shape[-1] <= 2 * groups:
        return finish(_depthwise_conv(x, kernel, strides, dilation), bias, clamp)
    # Unlike as_strided, np.ndarray is fast, and checks that the view stays inside the buffer.
    shape, steps = _windows(x.shape, x.strides, kernel.shape[:-2], strides, dilation)
    windows = np.ndarray(shape, x.dtype, x, 0, steps)
    if groups > 1:
        return finish(_grouped_conv(windows, kernel, groups), bias, clamp)
    rank, filters = kernel.ndim - 2, kernel.shape[-1]
    output, taps = windows.shape[1 : rank + 1], math.prod(kernel.shape[:-1])
    matrix = kernel.reshape(taps, filters)
    y = np.empty((len(x), *output, filters), x.dtype)
    for images, rows in _blocks(len(x), output[0], math.prod(output[1:]) * taps * x.itemsize):
        block = y[images, rows].reshape(-1, filters)
        matmul(windows[images, rows].reshape(-1, taps), matrix, out=block)
        finish(block, bias, clamp)
    return y


def finish(y: Any, bias: Any, clamp: Clamp | None) -> Any:
    """y + bias (f,), clamped, in the place of `y` (..., f)."""
    if bias is not None and (y.size <= FEW or not y.flags.c_contiguous):
        y += bias
    elif bias is not None:
        filters = y.shape[-1]
        repeat = max(1, FINISH_ROW // filters)
        rows = y.reshape(-1, filters)
        whole = len(rows) // repeat * repeat
        if whole:
            rows[:whole].reshape(-1, repeat * filters)[...] += np.tile(bias, repeat)
        rows[whole:] += bias
    low, high = clamp or UNBOUNDED
    if low is not None and high is None and y.size <= SHORT:
        return np.maximum(y, low, out=y)
    if low is not None or high is not None:
        y.clip(-np.inf if low is None else low, np.inf if high is None else high, out=y)
    return y


def _same_dtype(x: Any, kernel: Any) -> tuple[Any, Any]:
    """Both as floats of one dtype; integers take the dtype of the kernel."""
    x, kernel = np.asarray(x), np.asarray(kernel)
    dtype = np.result_type(x, kernel) if x.dtype.kind == "f" else kernel.dtype
    return x.astype(dtype, copy=False), kernel.astype(dtype, copy=False)


def _pad(x: Any, padding: Sequence[tuple[int, int]]) -> Any:
    """`x` with zeros around its spatial axes (cropped where negative), contiguous. np.pad is slower."""
    if not any(map(any, padding)):
        return np.ascontiguousarray(x)
    sizes, source, target = [], [slice(None)], [slice(None)]
    for n, (before, after) in zip(x.shape[1:-1], padding, strict=True):
        size = n + before + after
        sizes.append(size)
        source.append(slice(max(-before, 0), n + min(after, 0)))
        target.append(slice(max(before, 0), size - max(after, 0)))
    y = np.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    y[tuple(target)] = x[tuple(source)]
    return y


@functools.lru_cache(maxsize=1024)
def _windows(shape: Sizes, steps: Sizes, window: Sizes, strides: Sizes, dilation: Sizes) -> tuple[Sizes, Sizes]:
    """(shape, bytes from one element to the next) of a view (n, *output, *window, c), from those of its array."""
    axes = zip(shape[1:-1], window, strides, dilation, strict=True)
    output = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in axes]
    apart = [step * s for step, s in zip(steps[1:-1], strides, strict=True)]
    taps = [step * d for step, d in zip(steps[1:-1], dilation, strict=True)]
    return (shape[0], *output, *window, shape[-1]), (steps[0], *apart, *taps, steps[-1])


def _blocks(count: int, rows: int, row_bytes: int) -> list[tuple[slice, slice]]:
    """(images, rows) of even blocks of at most BLOCK_BYTES: several whole images, or some rows of one."""
    if count * rows * row_bytes <= BLOCK_BYTES:
        return ALL
    fit = max(1, BLOCK_BYTES // max(row_bytes, 1))
    if fit >= rows:
        step = _even(count, fit // max(rows, 1))
        return [(slice(i, i + step), slice(None)) for i in range(0, count, step)]
    step = _even(rows, fit)
    return [(slice(i, i + 1), slice(r, r + step)) for i in range(count) for r in range(0, rows, step)]


def _even(count: int, fit: int) -> int:
    """The size of as few blocks of at most `fit` as hold `count`, about equally large."""
    return max(1, -(-count // max(1, -(-count // fit))))


def _grouped_conv(windows: Any, kernel: Any, groups: int) -> Any:
    """Windows times kernel, as in `conv`, with a stack of matrix products, one a group."""
    rank, inner, filters = kernel.ndim - 2, kernel.shape[-2], kernel.shape[-1]
    output, taps = windows.shape[1 : rank + 1], math.prod(kernel.shape[:-1])
    matrices = np.moveaxis(kernel.reshape(taps, groups, filters // groups), 1, 0)
    windows = np.moveaxis(windows.reshape(*windows.shape[:-1], groups, inner, copy=False), -2, 0)
    y = np.empty((windows.shape[1], *output, filters), kernel.dtype)
    row_bytes = math.prod(output[1:]) * taps * groups * kernel.itemsize
    for images, rows in _blocks(len(y), output[0], row_bytes):
        products = windows[:, images, rows].reshape(groups, -1, taps) @ matrices
        block = y[images, rows].reshape(-1, groups, filters // groups)
        block[...] = np.moveaxis(products, 0, 1)
    return y


def _depthwise_conv(x: Any, kernel: Any, strides: Sizes, dilation: Sizes) -> Any:
    """Each channel with windows of its own: einsum multiplies and adds along vectors of pixels x channels.

    With stride 1 along the last spatial axis, as many neighbouring pixels as fit are one vector: for every tap of the
    window the pixels of a row are contiguous in memory. So the view of windows does without its last output axis, and
    its last axis is pixels * channels.
    """
    filters = kernel.shape[-1]
    if filters != x.shape[-1]:
        x = np.repeat(x, filters // x.shape[-1], axis=-1)
    kernel = kernel[..., 0, :]
    shape, steps = _windows(x.shape, x.strides, kernel.shape[:-1], strides, dilation)
    if filters >= FEW_CHANNELS or strides[-1] != 1:
        return _multiply_windows(np.ndarray(shape, x.dtype, x, 0, steps), kernel)
    rank, width = len(strides), shape[len(strides)]
    step, steps = max(1, min(width, ROW_ELEMENTS // filters)), (*steps[:rank], *steps[rank + 1 :])
    y = np.empty((*shape[:rank], width * filters), x.dtype)
    for start in range(0, width, step):
        pixels = min(step, width - start)
        taps = (*kernel.shape[:-1], pixels * filters)
        part = np.ndarray((*shape[:rank], *taps), x.dtype, x, start * filters * x.itemsize, steps)
        tiled = np.repeat(kernel[..., None, :], pixels, axis=-2).reshape(taps)
        _multiply_windows(part, tiled, y[..., start * filters : (start + pixels) * filters])
    return y.reshape(*shape[: rank + 1], filters)


def _multiply_windows(windows: Any, kernel: Any, out: Any = None) -> Any:
    """(n, *output, *window, c) times (*window, c), summed over the window."""
    kept, taps = windows.ndim - kernel.ndim, kernel.ndim - 1
    axes = [*range(kept + taps), 25]
    return np.einsum(windows, axes, kernel, [*range(kept, kept + taps), 25], [*range(kept), 25], out=out)


def conv_transpose(
    x: Any, kernel: Any, bias: Any = None, *, strides: Sizes, dilation: Sizes, crop: Sizes, sizes: Sizes
) -> Any:
    """(n, *spatial, c), (*window, f, c) -> (n, *sizes, f): the gradient of `conv` for its input, plus bias.

    crop: how much of the start of each axis is cut off.
    """
    x, kernel = _same_dtype(x, kernel)
    if max(strides) == 1:
        return _as_forward_conv(x, kernel, bias, dilation, crop, sizes)
    window, filters = kernel.shape[:-2], kernel.shape[-2]
    matrix = kernel.reshape(-1, x.shape[-1]).T
    y = np.zeros((len(x), *sizes, filters), x.dtype)
    if bias is not None:
        y += bias
    x = np.ascontiguousarray(x)
    for images, rows in _blocks(len(x), x.shape[1], math.prod(x.shape[2:-1]) * matrix.shape[1] * x.itemsize):
        part = x[images, rows]
        products = (part.reshape(-1, x.shape[-1]) @ matrix).reshape(*part.shape[:-1], *window, filters)
        above = (rows.start or 0) * strides[0]
        _scatter(products, y[images], strides, dilation, (crop[0] - above, *crop[1:]))
    return y


def _scatter(products: Any, y: Any, strides: Sizes, dilation: Sizes, crop: Sizes) -> None:
    """Add products (n, *spatial, *window, f) to the places of `y` (n, *sizes, f) that each tap belongs to."""
    rank = len(strides)
    spatial, window, sizes = products.shape[1 : rank + 1], products.shape[rank + 1 : -1], y.shape[1:-1]
    for tap in np.ndindex(window):
        source, target = [], []
        for i in range(rank):
            shift = tap[i] * dilation[i] - crop[i]
            first = max(0, -(shift // strides[i]))
            last = min(spatial[i] - 1, (sizes[i] - 1 - shift) // strides[i])
            source.append(slice(first, max(last + 1, first)))
            place = first * strides[i] + shift
            target.append(slice(place, place + max(last + 1 - first, 0) * strides[i], strides[i]))
        y[(slice(None), *target)] += products[(slice(None), *source, *tap)]


def _as_forward_conv(x: Any, kernel: Any, bias: Any, dilation: Sizes, crop: Sizes, sizes: Sizes) -> Any:
    """Stride 1: the convolution with the mirrored kernel."""
    padding = []
    for n, k, d, cut, size in zip(x.shape[1:-1], kernel.shape, dilation, crop, sizes, strict=False):
        before = (k - 1) * d - cut
        padding.append((before, size + (k - 1) * d - n - before))
    mirrored = np.flip(kernel, axis=tuple(range(kernel.ndim - 2))).swapaxes(-1, -2)
    return conv(x, mirrored, bias, strides=(1,) * len(sizes), padding=padding, dilation=dilation)


def winograd(
    x: Any,
    kernel: Any,
    bias: Any = None,
    *,
    padding: Sequence[tuple[int, int]],
    pool: int = 1,
    clamp: Clamp | None = None,
) -> Any:
    """(n, h, w, c), kernel ((m + 2)^2, c, f) of `winograd.of_kernel` -> (n, h', w', f): a 3x3 correlation, plus bias.

    pool: 2 for the maxima of 2x2 windows of it, taken before bias and clamp, which is the same.
    """
    m, filters = math.isqrt(len(kernel)) - 2, kernel.shape[-1]
    sizes = [n + sum(pads) - 2 for n, pads in zip(x.shape[1:3], padding, strict=True)]
    down, across = (-(-n // m) for n in sizes)
    ends = [
        (before, t * m + 2 - n - before)
        for (before, _), t, n in zip(padding, (down, across), x.shape[1:3], strict=True)
    ]
    x = _pad(x, ends)
    s = x.strides
    shape = (m + 2, m + 2, len(x), down, across, x.shape[-1])
    tiles = np.ndarray(shape, x.dtype, x, 0, (s[1], s[2], s[0], s[1] * m, s[2] * m, s[3]))
    kept = m // pool
    y = np.empty((len(x), down, kept, across, kept, filters), x.dtype)
    for images, rows in _tile_blocks(len(x), down, across):
        part = _winograd_tiles(tiles[:, :, images, rows], kernel, m, pool)
        y[images, rows] = finish(part, bias, clamp).transpose(2, 3, 0, 4, 1, 5)
    return y.reshape(len(x), down * kept, across * kept, filters)[:, : sizes[0] // pool, : sizes[1] // pool]


def _winograd_tiles(tiles: Any, kernel: Any, m: int, pool: int) -> Any:
    """(a, a, n, rows, columns, c) -> (m / pool, m / pool, n, rows, columns, f)."""
    inputs, output = on_tiles(m)
    a, n, c = len(inputs), tiles.shape[2:5], tiles.shape[-1]
    values = _on_both_axes(inputs, tiles.reshape(a, a, -1)).reshape(a * a, -1, c) @ kernel
    y = _on_both_axes(output, values.reshape(a, a, -1)).reshape(m, m, *n, kernel.shape[-1])
    if pool == 1:
        return y
    first = np.maximum(y[::2], y[1::2])
    return np.maximum(first[:, ::2], first[:, 1::2])


def _on_both_axes(matrix: Any, x: Any) -> Any:
    """(m, a), (a, a, n) -> (m, m, n): the matrix times each of the first two axes, as stacks of small products."""
    return matrix @ (matrix @ x.swapaxes(0, 1)).swapaxes(0, 1)


def _tile_blocks(count: int, rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """(images, rows of tiles) of blocks of about `TILES` tiles."""
    images, step = max(1, TILES // (rows * columns)), min(rows, max(1, TILES // columns))
    for image in range(0, count, images):
        yield from ((slice(image, image + images), slice(r, r + step)) for r in range(0, rows, step))
