"""Image layers that act at inference: resizing, cropping, contrast. All of them drop masks.

Images are (batch, height, width, channels) or (height, width, channels), or the same with channels first.
Numbers are those of Keras on TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from fnet.backend import ops, xp
from fnet.core import room
from fnet.core.rules import layer
from fnet.dtypes import require_no_strings, saturated
from fnet.layers.numeric import float_rule, floats
from fnet.resampling import BLURRING, require_interpolation, resample
from fnet.shapes import require_numbers
from fnet.types import Array, DataFormat, Params, ParamTree, Positive, Spec

CHANNELS_LAST = "channels_last"


def height_and_width(rank: int, data_format: str | None) -> tuple[int, int]:
    """The axes of height and width. ValueError unless an array of `rank` axes is an image or a batch of images."""
    if rank not in (3, 4):
        raise ValueError(f"images have 3 axes, or 4 with that of the batch; got {rank}")
    return (rank - 2, rank - 1) if data_format == "channels_first" else (rank - 3, rank - 2)


def resize(
    images: Array,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    data_format: str | None = CHANNELS_LAST,
) -> Array:
    """Images resized to (height, width) = `size`, as floats; "nearest" keeps any dtype.

    Images of that size are returned as they are, unless the kernel blurs.

    interpolation: one of `fnet.resampling.INTERPOLATIONS`. antialias widens the kernels when shrinking.
    Source: tf.image.resize.
    """
    axes = height_and_width(images.ndim, data_format)
    same = all(images.shape[axis] == target for axis, target in zip(axes, size, strict=True))
    if same and interpolation not in BLURRING:
        return images
    x = images if interpolation == "nearest" else floats(images)
    order = [*zip(axes, size, strict=True)]
    if interpolation == "bilinear" and not antialias:
        order.reverse()  # TensorFlow's kernel goes along the width first: integers then round the same way
    for axis, target in order:
        x = resample(x, axis, target, interpolation, antialias)
    return x


def _aspect(sizes: Sequence[int], size: tuple[int, int]) -> tuple[int, int]:
    """(height for the width, width for the height) of `sizes` with the aspect ratio of `size`, as float32 has them."""
    return (
        int(np.float32(sizes[1] * size[0]) / np.float32(size[1])),
        int(np.float32(sizes[0] * size[1]) / np.float32(size[0])),
    )


def _window(x: Array, axis: int, start: int, count: int) -> Array:
    return x[(slice(None),) * axis + (slice(start, start + count),)]


def _middle(x: Array, size: Sequence[int], data_format: str | None) -> Array:
    """The window of (height, width) = `size` in the middle."""
    for axis, count in zip(height_and_width(x.ndim, data_format), size, strict=True):
        x = _window(x, axis, (x.shape[axis] - count) // 2, count)
    return x


def _crop_to_aspect(x: Array, size: tuple[int, int], data_format: str | None) -> Array:
    """The largest middle window with the aspect ratio of `size`."""
    sizes = tuple(x.shape[axis] for axis in height_and_width(x.ndim, data_format))
    return _middle(x, [max(min(pair), 1) for pair in zip(sizes, _aspect(sizes, size), strict=True)], data_format)


def _pad_to_aspect(x: Array, size: tuple[int, int], data_format: str | None, fill_value: float) -> Array:
    """`fill_value` on both sides of the short axis, for the aspect ratio of `size`."""
    axes = height_and_width(x.ndim, data_format)
    sizes = tuple(x.shape[axis] for axis in axes)
    widths = [(0, 0)] * x.ndim
    for axis, present, fits in zip(axes, sizes, _aspect(sizes, size), strict=True):
        widths[axis] = ((max(present, fits) - present) // 2,) * 2
    return ops.pad(x, widths, fill_value)


def _sized_rule(x: Spec, *, height: int, width: int, data_format: str | None) -> tuple[Spec, ParamTree]:
    shape = list(x.shape)
    for axis, size in zip(height_and_width(len(shape), data_format), (height, width), strict=True):
        shape[axis] = size
    return Spec(tuple(shape), x.dtype), {}


def _resizing_rule(
    x: Spec, *, height: int, width: int, interpolation: str, data_format: str | None, keeps_integers: bool | None
) -> tuple[Spec, ParamTree]:
    require_interpolation(interpolation)
    x = x if _kept(x, keeps_integers) else float_rule(x)[0]
    require_numbers(x)
    return _sized_rule(x, height=height, width=width, data_format=data_format)


def _kept(x: Array | Spec, keeps_integers: bool | None) -> bool:
    """Whether integers stay integers; a call of Keras takes no booleans, its `predict` does."""
    return keeps_integers is not False and (keeps_integers or getattr(x, "dtype", None) != "bool")


def _resizing_room(
    x: Spec, *, height: int, width: int, crop_to_aspect_ratio: bool, pad_to_aspect_ratio: bool, data_format: str | None
) -> tuple[int, int]:
    """The padded image, then one axis is resized after the other."""
    axes, size = [axis % len(x.shape) for axis in height_and_width(len(x.shape), data_format)], (height, width)
    shape, padded = list(x.shape), 0
    if pad_to_aspect_ratio and not crop_to_aspect_ratio:
        sizes = (shape[axes[0]] or 1, shape[axes[1]] or 1)
        for axis, *pair in zip(axes, sizes, _aspect(sizes, size), strict=True):
            shape[axis] = max(pair)
        padded = room.size(Spec(tuple(shape)))
    parts = [Spec((*shape[:axis], resized, *shape[axis + 1 :])) for axis, resized in zip(axes, size, strict=True)]
    memory = padded + 3 * max(map(room.size, parts))
    return memory, memory


@layer(shape=_resizing_rule, room=_resizing_room, mask="drop", in_predict={"keeps_integers": False})
def resizing(
    params: Params,
    x: Array,
    *,
    height: Positive,
    width: Positive,
    interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: Literal["constant"] = "constant",
    fill_value: float = 0.0,
    antialias: bool = False,
    data_format: DataFormat | None = CHANNELS_LAST,
    keeps_integers: bool | None = None,
    rounds_integers: bool = True,
) -> Array:
    """Images -> images of (height, width), of the same dtype: integers are rounded and kept within their range.

    keeps_integers: where it is False (as in Keras 2), integers become float32; None, as in Keras 3: in `predict`
    alone. rounds_integers: where it is False (as before Keras 3.6), their fractions are cut off.
    interpolation: nearest, bilinear, bicubic, lanczos3, lanczos5, gaussian, mitchellcubic, area. The
    aspect ratio is kept by cropping, or by padding with `fill_value` (`fill_mode` is "constant"). No params.
    Mask: dropped. Source: keras.layers.Resizing.

    >>> resizing({}, np.ones((1, 4, 6, 3)), height=2, width=3).shape
    (1, 2, 3, 3)
    """
    if fill_mode != "constant":
        raise ValueError(f"fill_mode {fill_mode!r}: only 'constant' is known")
    x = images = ops.asarray(x) if _kept(x, keeps_integers) else floats(x)
    if crop_to_aspect_ratio:
        images = _crop_to_aspect(images, (height, width), data_format)
    elif pad_to_aspect_ratio:
        images = _pad_to_aspect(images, (height, width), data_format, fill_value)
    y = resize(images, (height, width), interpolation, antialias, data_format)
    if x.dtype.kind not in "iu":
        return y if y.dtype == x.dtype else y.astype(x.dtype)
    return saturated(xp.round(y) if rounds_integers else xp.trunc(y), x.dtype.name, inside=True)


def _center_rule(x: Spec, *, height: int, width: int, data_format: str | None, casts: bool) -> tuple[Spec, ParamTree]:
    return _sized_rule(float_rule(x)[0] if casts else x, height=height, width=width, data_format=data_format)


@layer(shape=_center_rule, mask="drop")
def center_crop(
    params: Params,
    x: Array,
    *,
    height: Positive,
    width: Positive,
    data_format: DataFormat | None = CHANNELS_LAST,
    casts: bool = True,
) -> Array:
    """Images -> floats (height, width) from their middle; an image that is smaller is enlarged to cover it first.

    Enlarging (bilinear) starts from the largest middle window with the wanted aspect ratio. casts: integers become
    float32 (not so before Keras 2.8). No params. Mask: dropped. Source: keras.layers.CenterCrop.
    """
    x = floats(x) if casts else ops.asarray(x)
    axes, size = height_and_width(x.ndim, data_format), (height, width)
    if any(x.shape[axis] < target for axis, target in zip(axes, size, strict=True)):
        return resize(_crop_to_aspect(x, size, data_format), size, data_format=data_format)
    return _middle(x, size, data_format)


def _random_crop_rule(
    x: Spec, *, height: int, width: int, data_format: str | None, inference: str, casts: bool | None, input_dtype: str
) -> tuple[Spec, ParamTree]:
    if inference == "keep":
        require_no_strings(x)
        return Spec(x.shape, input_dtype) if casts else x, {}
    return _sized_rule(float_rule(x)[0], height=height, width=width, data_format=data_format)


@layer(shape=_random_crop_rule, mask="drop", in_predict={"casts": True})
def random_crop(
    params: Params,
    x: Array,
    *,
    height: Positive,
    width: Positive,
    data_format: DataFormat | None = CHANNELS_LAST,
    inference: Literal["keep", "window", "cover", "short side"] = "keep",
    casts: bool | None = None,
    input_dtype: str = "float32",
) -> Array:
    """Images -> what Keras's RandomCrop gives at inference, where it never crops at random; versions differ.

    inference: "keep" (the images themselves: since Keras 3.8), or floats of (height, width): "window" (3.6, 3.7: a
    window that begins where the largest one of this aspect ratio would, enlarged where the image ends before it),
    "cover" (2.7 to 3.5: the largest middle window of this aspect ratio, resized), "short side" (before: the whole
    image resized until it just covers, then its middle). casts: images that are kept become
    `input_dtype`; None, as in Keras 3: in `predict` alone.
    No params. Mask: dropped. Source: keras.layers.RandomCrop.
    """
    if inference == "keep":
        return ops.cast(x, input_dtype) if casts else x
    return _AT_INFERENCE[inference](x, (height, width), data_format)


def _window_at_corner(x: Array, size: tuple[int, int], data_format: str | None) -> Array:
    axes = height_and_width(x.ndim, data_format)
    sizes = tuple(x.shape[axis] for axis in axes)
    largest = (int(float(sizes[1] * size[0]) / size[1]), int(float(sizes[0] * size[1]) / size[0]))
    for axis, present, fits, target in zip(axes, sizes, largest, size, strict=True):
        x = _window(x, axis, (present - max(min(present, fits), 1)) // 2, target)
    return resize(floats(x), size, data_format=data_format)


def _short_side(x: Array, size: tuple[int, int], data_format: str | None) -> Array:
    height, width = (x.shape[axis] for axis in height_and_width(x.ndim, data_format))
    taller = height / width > size[0] / size[1]
    whole = (int(size[1] * height / width), size[1]) if taller else (size[0], int(size[0] * width / height))
    return _middle(resize(floats(x), whole, data_format=data_format), size, data_format)


_AT_INFERENCE: dict[str, Callable[[Array, tuple[int, int], str | None], Array]] = {
    "window": _window_at_corner,
    "cover": lambda x, size, data_format: resize(
        _crop_to_aspect(floats(x), size, data_format), size, data_format=data_format
    ),
    "short side": _short_side,
}


def _ranged(x: Array, source: Sequence[float], target: Sequence[float]) -> Array:
    """Values of the range `source` moved to the range `target`."""
    if tuple(source) == tuple(target):
        return x
    unit = (x - float(source[0])) / (float(source[1]) - float(source[0]))
    return unit * (float(target[1]) - float(target[0])) + float(target[0])


def _contrast_rule(x: Spec) -> tuple[Spec, ParamTree]:
    height_and_width(len(x.shape), CHANNELS_LAST)
    return float_rule(x)


@layer(shape=_contrast_rule, mask="drop", by_row=4)
def auto_contrast(params: Params, x: Array, *, value_range: tuple[float, float] = (0, 255)) -> Array:
    """Images -> floats: each channel of each image stretched to the whole `value_range`; flat ones stay.

    No params. Mask: dropped. Source: keras.layers.AutoContrast.
    """
    images = floats(x if x.ndim == 4 else x[None])
    wide = _ranged(images, sorted(value_range), (0, 255))
    low, high = xp.min(wide, axis=(1, 2), keepdims=True), xp.max(wide, axis=(1, 2), keepdims=True)
    scale = 255.0 / (high - low)
    y = _ranged(xp.clip(wide * scale - low * scale, 0.0, 255.0), (0, 255), sorted(value_range))
    y = xp.where(xp.isnan(y), images, y)
    return y if x.ndim == 4 else y[0]


def _same_rule(x: Spec, *, data_format: str | None, casts: bool | None) -> tuple[Spec, ParamTree]:
    height_and_width(len(x.shape), data_format)
    require_no_strings(x)
    return float_rule(x) if casts else (x, {})


def _clahe_room(x: Spec, *, tile_grid_size: tuple[int, int], data_format: str | None) -> tuple[int, int]:
    """A map of 256 numbers for each tile, and the images as whole tiles."""
    axes = [axis % len(x.shape) for axis in height_and_width(len(x.shape), data_format)]
    padded, tiled = list(x.shape), list(x.shape)
    for axis, tiles in zip(axes, tile_grid_size, strict=True):
        padded[axis], tiled[axis] = -(-(x.shape[axis] or 1) // tiles) * tiles, tiles + 2
    memory = 8 * room.size(Spec(tuple(padded))) + 8 * 256 * room.size(Spec(tuple(tiled)))
    return memory, memory


@layer(shape=_same_rule, room=_clahe_room, mask="drop", by_row=4, in_predict={"casts": True})
def contrast_limited_adaptive_histogram_equalization(
    params: Params,
    x: Array,
    *,
    value_range: tuple[float, float] = (0, 255),
    clip_limit: float = 4.0,
    tile_grid_size: tuple[Positive, Positive] = (8, 8),
    data_format: DataFormat | None = CHANNELS_LAST,
    casts: bool | None = None,
) -> Array:
    """Images -> images with the histogram of each tile equalised, blended between tiles; computed in float32.

    A bin holds at most `clip_limit` times the mean; what is cut is spread evenly (0: no limit). casts: of integers,
    too, floats come; None, as in Keras 3: in `predict` alone. No params. Mask: dropped.
    Source: keras.layers.ContrastLimitedAdaptiveHistogramEqualization; Pizer et al. 1987.
    """
    first = data_format == "channels_first"
    x = floats(x) if casts else ops.asarray(x)
    images = x if x.ndim == 4 else x[None]
    images = xp.moveaxis(images, 1, -1) if first else images
    wide = _ranged(images.astype("float32"), value_range, (0, 255))
    y = _ranged(_clahe(wide, clip_limit, tuple(tile_grid_size)), (0, 255), value_range).astype(x.dtype)
    y = xp.moveaxis(y, -1, 1) if first else y
    return y if x.ndim == 4 else y[0]


def _clahe(images: Array, clip_limit: float, grid: tuple[int, ...]) -> Array:
    """(batch, height, width, channels) in 0..255, equalised."""
    batch, height, width, channels = images.shape
    tile = tuple(-(-size // tiles) for size, tiles in zip((height, width), grid, strict=True))
    extra = [(0, tile[i] * grid[i] - images.shape[1 + i]) for i in (0, 1)]
    padded = xp.pad(images, [(0, 0), *extra, (0, 0)], mode="symmetric") if any(e[1] for e in extra) else images
    pixels = xp.clip(padded, 0, 255).astype("int32")
    # (batch, rows of tiles, columns of tiles, channels, 256): the equalising map of each tile
    maps = _tile_maps(pixels, grid, tile, clip_limit)
    maps = xp.pad(maps, [(0, 0), (1, 1), (1, 1), (0, 0), (0, 0)], mode="edge")
    maps = maps.reshape(batch, math.prod(maps.shape[1:]))
    (y0, y1, wy), (x0, x1, wx) = (_blend(tile[i], grid[i]) for i in (0, 1))
    row, column = (grid[1] + 2) * channels * 256, channels * 256
    base = np.arange(channels) * 256 + pixels

    def mapped(y: Array, x: Array) -> Array:
        places = base + y[:, None, None] * row + x[:, None] * column
        values = xp.take_along_axis(maps, places.reshape(batch, math.prod(places.shape[1:])), axis=1)
        return values.reshape(places.shape)

    wy, wx = wy[:, None, None], wx[:, None]
    top = _mixed(mapped(y0, x0), mapped(y0, x1), wx)
    bottom = _mixed(mapped(y1, x0), mapped(y1, x1), wx)
    return _mixed(top, bottom, wy)[:, :height, :width]


def _mixed(a: Array, b: Array, share: Array) -> Array:
    return ops.opaque(a * (1 - share)) + ops.opaque(b * share)


def _tile_maps(pixels: Array, grid: tuple[int, ...], tile: tuple[int, ...], clip_limit: float) -> Array:
    """(batch, *grid, channels, 256): the cumulative histogram of each tile, scaled to 0..255."""
    batch, channels, area = pixels.shape[0], pixels.shape[-1], tile[0] * tile[1]
    tiles = pixels.reshape(batch, grid[0], tile[0], grid[1], tile[1], channels).transpose(0, 1, 3, 5, 2, 4)
    tiles = tiles.reshape(-1, area)
    bins = tiles + xp.arange(tiles.shape[0], dtype="int32")[:, None] * 256
    counts = ops.bincount(bins.reshape(-1), 256 * tiles.shape[0]).astype("float32").reshape(-1, 256)
    if clip_limit > 0:
        clipped = xp.clip(counts, 0, clip_limit * area / 256.0)
        counts = clipped + xp.sum(counts - clipped, axis=-1, keepdims=True) / 256.0
    total = xp.cumsum(counts, axis=-1)
    least = xp.min(total, axis=-1, keepdims=True)
    rest = xp.where(area == least, 1, area - least)
    rest = ops.opaque(xp.broadcast_to(rest, total.shape))  # truncated integers must not hang on a reciprocal
    maps = xp.clip((total - least) * 255.0 / rest, 0, 255)
    return maps.reshape(batch, *grid, channels, 256)


def _blend(tile: int, tiles: int) -> tuple[Array, Array, Array]:
    """For each pixel of an axis: the tiles before and after it (1 is the first), and the share of the second."""
    at = (np.arange(tile * tiles, dtype=np.float32) - np.float32(tile / 2)) / np.float32(tile) + np.float32(1)
    before = np.floor(at)
    first, second = (np.clip(b, 0, tiles + 1).astype(np.int32) for b in (before, before + 1))
    return first, second, at - before
