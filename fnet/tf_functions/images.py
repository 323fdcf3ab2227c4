"""Functions of images (batch, height, width, channels), or of one image: sizes, margins, rotations, colours.

To compute colours, integers become floats in [0, 1] and integers again. Source: tf.image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnet import operations
from fnet.backend import ops, xp
from fnet.core.room import size as bytes_of
from fnet.dtypes import is_float, tensor
from fnet.layers import image
from fnet.operations.indexing import block, block_spec, from_front
from fnet.operations.rules import Operation, named
from fnet.shapes import joined
from fnet.tf_functions.rules import (
    Sizes,
    as_spec,
    function,
    ints,
    of_keras,
    room_of,
    same_in_keras,
    same_rule,
    sizes_of,
)
from fnet.types import Array, Shape, Spec

# --- sizes ----------------------------------------------------------------------------------------


def _sized(shape: Shape, height: int | None, width: int | None) -> Shape:
    """The shape of images with another size. Raises ValueError for a wrong number of axes or an empty image."""
    if len(shape) not in (3, 4) or any(n is not None and n < 1 for n in (height, width)):
        raise ValueError(f"images of {shape} in the size {(height, width)}: 3 axes are expected, or 4, and pixels")
    return (*shape[:-3], height, width, shape[-1])


def _aspect(shape: Shape, size: Sequence[int | None]) -> tuple[int | None, int | None]:
    """The largest size within `size` that has the aspect ratio of an image."""
    height, width, high, wide = shape[-3], shape[-2], size[0], size[1]
    if height is None or width is None or high is None or wide is None:
        return None, None
    scale = min(np.float32(high) / np.float32(height), np.float32(wide) / np.float32(width))
    return round(scale * np.float32(height)), round(scale * np.float32(width))


def _resize_rule(images: Any, size: Any, *, method: str, preserve_aspect_ratio: bool) -> Spec:
    spec, sizes = as_spec(images), sizes_of(size)
    if len(sizes) != 2:
        raise ValueError(f"images of the size {sizes}: two numbers are expected")
    high, wide = _aspect(spec.shape, sizes) if preserve_aspect_ratio else (sizes[0], sizes[1])
    return Spec(_sized(spec.shape, high, wide), spec.dtype if method == "nearest" else "float32")


def _resize_room(x: Sequence[Any], *, preserve_aspect_ratio: bool) -> tuple[int, int]:
    image, target = as_spec(x[0]), sizes_of(x[1])
    size = _aspect(image.shape, target) if preserve_aspect_ratio else target
    return (0, 0) if None in size else room_of(operations.resize, image, size=size)


@function(_resize_rule, "image.resize", sizes=("size",), room=_resize_room)
def resize(
    images: Array,
    size: Sizes,
    *,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Array:
    """Images of `size` (height, width); pixels are squares with their centres at halves.

    method: bilinear, bicubic, nearest, area, lanczos3, lanczos5, gaussian, mitchellcubic.
    """
    x = tensor(images)
    high, wide = ints(size, each=math.prod(x.shape[:-3] + x.shape[-1:]))
    if preserve_aspect_ratio:
        high, wide = (n or 0 for n in _aspect(x.shape, (high, wide)))
    y = image.resize(x, (high, wide), method, antialias)
    return y if method == "nearest" else tensor(y, "float32")


def _box_rule(image: Any, *offsets: Any, target_height: int, target_width: int) -> Spec:
    spec = as_spec(image)
    return Spec(_sized(spec.shape, target_height, target_width), spec.dtype)


def _window(rank: int, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any) -> Any:
    """(the first places, the sizes) of a window as a block; a size of -1 means up to the end."""
    whole = rank - 3
    return [0] * whole + [offset_height, offset_width, 0], [-1] * whole + [target_height, target_width, -1]


def _crop_rule(image: Any, *, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any) -> Spec:
    rank = len(_box_rule(image, target_height=target_height, target_width=target_width).shape)
    return block_spec(as_spec(image), *_window(rank, offset_height, offset_width, target_height, target_width))


@function(_crop_rule, "image.crop_to_bounding_box")
def crop_to_bounding_box(
    image: Array, *, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Array:
    """The window of the target size at the offsets."""
    x = tensor(image)
    return block(x, *_window(x.ndim, offset_height, offset_width, target_height, target_width))


@function(_box_rule, "image.pad_to_bounding_box")
def pad_to_bounding_box(
    image: Array, *, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Array:
    """The image at the offsets, with zeros around it, in the target size."""
    x = tensor(image)
    below, right = target_height - offset_height - x.shape[-3], target_width - offset_width - x.shape[-2]
    return xp.pad(x, [(0, 0)] * (x.ndim - 3) + [(offset_height, below), (offset_width, right), (0, 0)])


@function(_box_rule, "image.resize_with_crop_or_pad")
def resize_with_crop_or_pad(image: Array, *, target_height: int, target_width: int) -> Array:
    """The middle of the image in the target size, with zeros where the image is smaller."""
    x = tensor(image)
    for axis, size in ((x.ndim - 3, target_height), (x.ndim - 2, target_width)):
        spare = size - x.shape[axis]
        if spare < 0:
            x = x[(slice(None),) * axis + (slice(-spare // 2, -spare // 2 + size),)]
        else:
            x = xp.pad(x, [(spare // 2, spare - spare // 2) if i == axis else (0, 0) for i in range(x.ndim)])
    return x


def _pad_rule(image: Any, *, target_height: int, target_width: int, method: str) -> Spec:
    spec = as_spec(image)
    return Spec(_sized(spec.shape, target_height, target_width), spec.dtype if method == "nearest" else "float32")


def _pad_room(image: Any, *, target_height: int, target_width: int) -> tuple[int, int]:
    return room_of(operations.resize, image, size=(target_height, target_width))


@function(_pad_rule, "image.resize_with_pad", room=_pad_room)
def resize_with_pad(
    image: Array, *, target_height: int, target_width: int, method: str = "bilinear", antialias: bool = False
) -> Array:
    """The image resized to fit into the target with the same aspect ratio, zeros around it. method: as in `resize`."""
    x, target = tensor(image), np.array([target_height, target_width], "float32")
    size = np.array(x.shape[-3:-1], "float32")
    size = size / np.max(size / target)
    (high, wide), (top, left) = np.floor(size).astype(int), np.floor((target - size) / 2).clip(0).astype(int)
    y = resize({}, (x, [high, wide]), method=method, antialias=antialias)
    return pad_to_bounding_box(
        {}, y, offset_height=top, offset_width=left, target_height=target_height, target_width=target_width
    )


def _border(size: int, fraction: float) -> int:
    """How many pixels are cut off each end of an axis, so that its central fraction is left."""
    return int((size - size * fraction) / 2)


def _central_rule(image: Any, *, central_fraction: float) -> Spec:
    spec = as_spec(image)
    sizes = (None if n is None else n - 2 * _border(n, central_fraction) for n in spec.shape[-3:-1])
    return Spec(_sized(spec.shape, *sizes), spec.dtype)


@function(_central_rule, "image.central_crop")
def central_crop(image: Array, *, central_fraction: float) -> Array:
    """The middle of the image, with `central_fraction` of its height and width."""
    x = tensor(image)
    rows, columns = (slice(cut := _border(n, central_fraction), n - cut) for n in x.shape[-3:-1])
    return x[..., rows, columns, :]


def _crops_rule(image: Any, boxes: Any, box_indices: Any, crop_size: Any) -> Spec:
    joined(as_spec(box_indices).shape, as_spec(boxes).shape[:1])
    joined(as_spec(boxes).shape[1:], (4,))
    if len(as_spec(image).shape) != 4 or len(sizes_of(crop_size)) != 2:
        raise ValueError(f"boxes of {as_spec(image)} in the size {crop_size}: 4 axes and 2 numbers are expected")
    shape = (as_spec(boxes).shape[0], *sizes_of(crop_size), as_spec(image).shape[-1])
    return Spec(_sized(shape, shape[1], shape[2]), "float32")


def _crops_room(x: Sequence[Any]) -> tuple[int, int]:
    """The four pixels around each place, and their weighted sums."""
    crops = 8 * bytes_of(_crops_rule(*x))
    return crops, crops


@function(_crops_rule, "image.crop_and_resize", sizes=("crop_size",), room=_crops_room)
def crop_and_resize(
    image: Array,
    boxes: Array,
    box_indices: Array,
    crop_size: Sizes,
    *,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Array:
    """float32 (boxes, *crop_size, channels): each box (top, left, bottom, right; the last pixel is at 1) of its image,
    number `box_indices` of the batch, "bilinear" or "nearest"; `extrapolation_value` outside the image."""
    x, boxes = tensor(image, "float32"), tensor(boxes, "float32")
    number = from_front(box_indices, x.shape[0])[:, None, None]
    last_row, last_column = (size - 1 for size in x.shape[1:3])
    high, wide = ints(crop_size, each=boxes.shape[0] * x.shape[-1])
    down = _places(boxes[:, 0], boxes[:, 2], high, last_row)[:, :, None]  # (boxes, high, 1)
    across = _places(boxes[:, 1], boxes[:, 3], wide, last_column)[:, None, :]  # (boxes, 1, wide)
    inside = (down >= 0) & (down <= last_row) & (across >= 0) & (across <= last_column)

    def pixels(rows: Array, columns: Array) -> Array:
        rows, columns = xp.clip(rows, 0, last_row), xp.clip(columns, 0, last_column)
        return x[number, rows.astype("int32"), columns.astype("int32")]  # (boxes, high, wide, channels)

    if method == "nearest":
        y = pixels(xp.floor(down + 0.5), xp.floor(across + 0.5))
    else:
        top, left = xp.floor(down), xp.floor(across)
        below, right = (down - top)[..., None], (across - left)[..., None]
        upper, lower = (
            pixels(row, left) * (1 - right) + pixels(row, xp.ceil(across)) * right for row in (top, xp.ceil(down))
        )
        y = upper * (1 - below) + lower * below
    return xp.where(inside[..., None], y, tensor(extrapolation_value, "float32"))


def _places(start: Array, end: Array, count: int, last: int) -> Array:
    """(boxes, count): the coordinates of the pixels of a crop on an axis whose last pixel is at `last`."""
    if count == 1:
        return 0.5 * (start + end)[:, None] * last
    return start[:, None] * last + xp.arange(count, dtype="float32") * ((end - start) * (last / (count - 1)))[:, None]


# --- turns ----------------------------------------------------------------------------------------


@function(same_rule, "image.flip_left_right")
def flip_left_right(image: Array) -> Array:
    """The image mirrored left to right."""
    return xp.flip(tensor(image), axis=-2)


@function(same_rule, "image.flip_up_down")
def flip_up_down(image: Array) -> Array:
    """The image upside down."""
    return xp.flip(tensor(image), axis=-3)


@function(lambda image: Spec(_sized(image.shape, *image.shape[-2:-4:-1]), image.dtype), "image.transpose")
def transpose_image(image: Array) -> Array:
    """The image with rows and columns exchanged."""
    return xp.swapaxes(tensor(image), -3, -2)


def _rot90_rule(image: Any, *, k: int) -> Spec:
    sizes = image.shape[-3:-1]
    return Spec(_sized(image.shape, *(sizes[::-1] if k % 2 else sizes)), image.dtype)


@function(_rot90_rule, "image.rot90")
def rot90(image: Array, *, k: int = 1) -> Array:
    """The image rotated `k` times by 90 degrees, counterclockwise."""
    return xp.rot90(tensor(image), k, axes=(-3, -2))


# --- colours --------------------------------------------------------------------------------------


def _converted(x: Array, dtype: str, saturate: bool = False) -> Array:
    """Images in another dtype: floats are in [0, 1], integers in their whole range."""
    name = x.dtype.name
    if name == dtype:
        return x
    if "float" in name and "float" in dtype:
        return tensor(x, dtype)
    if "float" in dtype:
        return tensor(x, dtype) * (1.0 / np.iinfo(name).max)
    limits = np.iinfo(dtype)
    if "float" in name:
        scaled = x * (limits.max + 0.5)
        scaled = xp.clip(scaled, float(limits.min), float(limits.max)) if saturate else scaled
        return ops.cast(scaled, dtype)
    factor = (np.iinfo(name).max + 1) // (limits.max + 1)
    if factor > 0:
        return ops.cast(x // factor, dtype)
    return ops.cast(x, dtype) * ((limits.max + 1) // (np.iinfo(name).max + 1))


@function(lambda image, *, dtype: Spec(as_spec(image).shape, dtype), "image.convert_image_dtype")
def convert_image_dtype(image: Array, *, dtype: str, saturate: bool = False) -> Array:
    """Images in another dtype: floats are in [0, 1], integers in their whole range."""
    return _converted(tensor(image), dtype, saturate)


def _in_floats(compute: Callable[..., Array], image: Array, *args: Any, saturate: bool = True) -> Array:
    """`compute` on floats in [0, 1]; the result has the dtype of `image`."""
    x = tensor(image)
    wide = x if is_float(x) else _converted(x, "float32")
    return _converted(compute(wide, *args), x.dtype.name, saturate)


def _colours_rule(images: Any) -> Spec:
    joined(as_spec(images).shape[-1:], (3,))
    return same_rule(images)


def _matrix(name: str, text: str, rows: Sequence[Sequence[float]]) -> Operation:
    """A linear map of the colours, for floats."""

    def apply(images: Array) -> Array:
        x = tensor(images)
        return xp.matmul(x, tensor(rows, x.dtype.name))

    return function(_colours_rule, f"image.{name}")(named(name, text, apply))


_YIQ = ((0.299, 0.59590059, 0.2115), (0.587, -0.27455667, -0.52273617), (0.114, -0.32134392, 0.31119955))
_FROM_YIQ = ((1, 1, 1), (0.95598634, -0.27201283, -1.10674021), (0.6208248, -0.64720424, 1.70423049))
_YUV = ((0.299, -0.14714119, 0.61497538), (0.587, -0.28886916, -0.51496512), (0.114, 0.43601035, -0.10001026))
_FROM_YUV = ((1, 1, 1), (0, -0.394642334, 2.03206185), (1.13988303, -0.58062185, 0))

rgb_to_yiq = _matrix("rgb_to_yiq", "Red, green, blue -> YIQ.", _YIQ)
yiq_to_rgb = _matrix("yiq_to_rgb", "YIQ -> red, green, blue.", _FROM_YIQ)
rgb_to_yuv = _matrix("rgb_to_yuv", "Red, green, blue -> YUV.", _YUV)
yuv_to_rgb = _matrix("yuv_to_rgb", "YUV -> red, green, blue.", _FROM_YUV)


def _gray(x: Array) -> Array:
    return xp.matmul(x, tensor(np.asarray([[0.2989], [0.5870], [0.1140]]), x.dtype.name))


@function(lambda images: Spec((*_colours_rule(images).shape[:-1], 1), images.dtype), "image.rgb_to_grayscale")
def rgb_to_grayscale(images: Array) -> Array:
    """0.2989 red + 0.5870 green + 0.1140 blue, one channel."""
    return _in_floats(_gray, images, saturate=False)


@function(lambda images: Spec((*images.shape[:-1], 3), images.dtype), "image.grayscale_to_rgb")
def grayscale_to_rgb(images: Array) -> Array:
    """The one channel, three times."""
    return xp.repeat(tensor(images), 3, axis=-1)


def _on_colours(operation: Operation) -> Callable[[Array], Array]:
    def compute(x: Array) -> Array:
        return operation({}, x.reshape((1, 1, -1, 3))).reshape(x.shape)

    return compute


_to_hsv, _to_rgb = _on_colours(operations.rgb_to_hsv), _on_colours(operations.hsv_to_rgb)


@function(same_rule, "image.rgb_to_hsv")
def rgb_to_hsv(images: Array) -> Array:
    """Red, green, blue in [0, 1] -> hue, saturation, value in [0, 1]."""
    return _to_hsv(tensor(images))


@function(same_rule, "image.hsv_to_rgb")
def hsv_to_rgb(images: Array) -> Array:
    """Hue, saturation, value in [0, 1] -> red, green, blue in [0, 1]."""
    return _to_rgb(tensor(images))


@function(same_rule, "image.adjust_brightness")
def adjust_brightness(image: Array, *, delta: float) -> Array:
    """The image plus `delta`."""
    return _in_floats(lambda x: x + delta, image)


def _contrast(x: Array, factor: float) -> Array:
    mean = xp.mean(x, axis=(-3, -2), keepdims=True)
    return (x - mean) * factor + mean


@function(same_rule, "image.adjust_contrast")
def adjust_contrast(images: Array, *, contrast_factor: float) -> Array:
    """Distances from the mean of each channel of each image times `contrast_factor`."""
    return _in_floats(_contrast, images, contrast_factor)


@function(same_rule, "image.adjust_gamma")
def adjust_gamma(image: Array, *, gamma: float = 1, gain: float = 1) -> Array:
    """gain * image^gamma."""
    return _in_floats(lambda x: gain * xp.power(x, gamma), image)


def _saturation(x: Array, factor: float) -> Array:
    hsv = _to_hsv(x)
    return _to_rgb(xp.stack([hsv[..., 0], xp.clip(hsv[..., 1] * factor, 0, 1), hsv[..., 2]], axis=-1))


@function(same_rule, "image.adjust_saturation")
def adjust_saturation(image: Array, *, saturation_factor: float) -> Array:
    """The saturation times `saturation_factor`."""
    return _in_floats(_saturation, image, saturation_factor)


def _hue(x: Array, delta: float) -> Array:
    hue = xp.mod(_to_hsv(x)[..., 0] + delta, 1)
    low, high = xp.min(x, axis=-1, keepdims=True), xp.max(x, axis=-1, keepdims=True)
    return low + (high - low) * _to_rgb(xp.stack([hue, xp.ones_like(hue), xp.ones_like(hue)], axis=-1))


@function(same_rule, "image.adjust_hue")
def adjust_hue(image: Array, *, delta: float) -> Array:
    """The hue moved by `delta` of a full circle."""
    return _in_floats(_hue, image, delta)


@function(
    lambda image: Spec(image.shape, image.dtype if "float" in image.dtype else "float32"),
    "image.per_image_standardization",
)
def per_image_standardization(image: Array) -> Array:
    """(x - mean) / max(deviation, 1 / sqrt(number of pixels)) of each image."""
    x = tensor(image)
    x = x if is_float(x) else ops.cast(x, "float32")
    axes = (-3, -2, -1)
    deviation = xp.std(x, axis=axes, keepdims=True)
    return (x - xp.mean(x, axis=axes, keepdims=True)) / xp.maximum(deviation, 1 / math.sqrt(math.prod(x.shape[-3:])))


# --- windows --------------------------------------------------------------------------------------


@of_keras(operations.extract_patches, "image.extract_patches")
def extract_patches(images: Array, *, sizes: Any, strides: Any, rates: Any, padding: str) -> Any:
    """(batch, height, width, channels) -> (batch, rows, columns, patch): each window as a vector."""
    return images, {
        "size": tuple(sizes[1:3]),
        "strides": tuple(strides[1:3]),
        "dilation_rate": tuple(rates[1:3]) if max(rates[1:3]) > 1 else 1,
        "padding": padding.lower(),
        "data_format": "channels_last",
    }


sobel_edges = same_in_keras(operations.sobel_edges, "image", "", "image.sobel_edges")


@function(lambda image: (image, image), "image.image_gradients")
def image_gradients(image: Array) -> tuple[Array, Array]:
    """Differences to the next pixel (down, across), 0 at the end."""
    x = tensor(image)
    down = xp.pad(x[:, 1:] - x[:, :-1], [(0, 0), (0, 1), (0, 0), (0, 0)])
    return down, xp.pad(x[:, :, 1:] - x[:, :, :-1], [(0, 0), (0, 0), (0, 1), (0, 0)])


@function(lambda images: Spec(images.shape[:-3], images.dtype), "image.total_variation")
def total_variation(images: Array) -> Array:
    """The sum of |differences| between neighbouring pixels of each image."""
    x = tensor(images)
    down, across = xp.abs(x[..., 1:, :, :] - x[..., :-1, :, :]), xp.abs(x[..., 1:, :] - x[..., :-1, :])
    return xp.sum(down, axis=(-3, -2, -1)) + xp.sum(across, axis=(-3, -2, -1))
