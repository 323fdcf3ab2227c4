"""Operations on images (batch, height, width, channels), or one image without the batch axis: sizes and colours.

`data_format="channels_first"` puts the channels before height and width. Source: keras.ops.image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from fnet.backend import ops, xp
from fnet.core.layer import bind
from fnet.core.options import asking
from fnet.core.room import of_step
from fnet.dtypes import as_floats, bounds, tensor
from fnet.layers.image import height_and_width, resizing
from fnet.layers.windows import from_channels_last, is_channels_first, to_channels_last
from fnet.operations.rules import Operation, operation
from fnet.types import Array, DataFormat, Positive, Shape, Spec


def image_axes(rank: int, data_format: str | None) -> tuple[int, int, int]:
    """The axes of height, width and channels. Raises ValueError for images of neither 3 nor 4 axes."""
    return *height_and_width(rank, data_format), rank - 3 if is_channels_first(data_format) else rank - 1


def same_images(images: Spec, *rest: Any) -> Spec:
    """The shape rule of operations that keep the shape and dtype of images."""
    height_and_width(len(images.shape), None)
    return images


def on_last(compute: Callable[[Array], Array], images: Array, data_format: str | None) -> Array:
    """`compute` on `images` as a batch with channels last; the result in the layout of `images`."""
    x = tensor(images)
    single = x.ndim == 3
    x = x[None] if single else x
    y = from_channels_last(compute(to_channels_last(x, data_format)), data_format)
    return y[0] if single else y


# --- sizes ----------------------------------------------------------------------------------------


def _spans(size: int | None, before: int | None, after: int | None, target: int | None, sign: int) -> tuple[int, int]:
    """(before, after) of one axis: one of them may follow from the target size; `sign` 1 pads, -1 crops."""
    room = (before or 0) + (after or 0) if size is None or target is None else (target - size) * sign
    before = room - (after or 0) if before is None else before
    after = room - before if after is None else after
    if before < 0 or after < 0:
        raise ValueError(f"margins of an image must not be negative; got {before} before and {after} after")
    return before, after


def _resized(shape: Shape, sizes: tuple[int | None, int | None], data_format: str | None) -> Shape:
    new_shape = list(shape)
    for axis, size in zip(image_axes(len(shape), data_format), sizes, strict=False):
        new_shape[axis] = size
    return tuple(new_shape)


Edge = tuple[int | None, int | None, int | None]
"""(before, after, target size) of one axis."""


def _margins(shape: Shape, data_format: str | None, rows: Edge, columns: Edge, sign: int) -> dict[int, tuple[int, int]]:
    """{axis: (before, after)} of height and width."""
    height, width, _ = image_axes(len(shape), data_format)
    return {axis: _spans(shape[axis], *edge, sign) for axis, edge in ((height, rows), (width, columns))}


def _by_margins(word: str, sign: int) -> Callable[[Callable[..., Array]], Operation]:
    """Make an operation of a function with the options `top_cropping`, or `top_padding`, and so on.

    sign: see `_spans`.
    """

    def rule(images: Spec, *, data_format: str | None, target_height: Any, target_width: Any, **widths: Any) -> Spec:
        """An unknown size becomes the target size; the margins then follow from the image."""
        sizes = list(images.shape)
        rows = (widths[f"top_{word}"], widths[f"bottom_{word}"], target_height)
        columns = (widths[f"left_{word}"], widths[f"right_{word}"], target_width)
        margins = _margins(images.shape, data_format, rows, columns, sign)
        for (axis, both), target in zip(margins.items(), (target_height, target_width), strict=True):
            size = sizes[axis]
            sizes[axis] = target if size is None else size + sign * sum(both)
        return Spec(tuple(sizes), images.dtype)

    return lambda f: operation(asking(rule, f))(f)


@_by_margins("cropping", -1)
def crop_images(
    images: Array,
    *,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: DataFormat | None = None,
) -> Array:
    """`images` without margins; for each axis two of (margin before, margin after, target size) are given."""
    images = tensor(images)
    rows, columns = (top_cropping, bottom_cropping, target_height), (left_cropping, right_cropping, target_width)
    key = [slice(None)] * images.ndim
    for axis, (before, after) in _margins(images.shape, data_format, rows, columns, -1).items():
        key[axis] = slice(before, images.shape[axis] - after)
    return images[tuple(key)]


@_by_margins("padding", 1)
def pad_images(
    images: Array,
    *,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: DataFormat | None = None,
) -> Array:
    """`images` with zeros around; for each axis two of (margin before, margin after, target size) are given."""
    images = tensor(images)
    rows, columns = (top_padding, bottom_padding, target_height), (left_padding, right_padding, target_width)
    margins = _margins(images.shape, data_format, rows, columns, 1)
    return xp.pad(images, [margins.get(axis, (0, 0)) for axis in range(images.ndim)])


def _resize_rule(images: Spec, *, size: Sequence[int], data_format: str | None) -> Spec:
    return Spec(_resized(images.shape, (size[0], size[1]), data_format), images.dtype)


def _resize_room(
    images: Spec, *, size: Sequence[int], crop_to_aspect_ratio: bool, pad_to_aspect_ratio: bool, data_format: str | None
) -> tuple[int, int]:
    options = {"crop_to_aspect_ratio": crop_to_aspect_ratio, "pad_to_aspect_ratio": pad_to_aspect_ratio}
    return of_step(bind(resizing, height=size[0], width=size[1], data_format=data_format, **options), images)


@operation(_resize_rule, room=_resize_room)
def resize(
    images: Array,
    *,
    size: tuple[Positive, Positive],
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"] = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: Literal["constant"] = "constant",
    fill_value: float = 0.0,
    data_format: DataFormat | None = None,
    rounds_integers: bool = True,
) -> Array:
    """Images of `size` (height, width), of the same dtype; see the layer `resizing`."""
    height, width = size
    return resizing(
        {},
        tensor(images),
        height=height,
        width=width,
        interpolation=interpolation,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        pad_to_aspect_ratio=pad_to_aspect_ratio,
        fill_mode=fill_mode,
        fill_value=fill_value,
        antialias=antialias,
        data_format=data_format,
        rounds_integers=rounds_integers,
    )


# --- colours --------------------------------------------------------------------------------------


def _colours(images: Spec, data_format: str | None, legal: tuple[int | None, ...]) -> int:
    """The axis of the colours. Raises ValueError unless its size is in `legal`."""
    axis = image_axes(len(images.shape), data_format)[2]
    if images.shape[axis] not in legal:
        raise ValueError(f"red, green and blue are needed in axis {axis}; got {images}")
    return axis


def _colour_rule(images: Spec, *, data_format: str | None) -> Spec:
    _colours(images, data_format, (None, 3))
    return images


def _gray_rule(images: Spec, *, data_format: str | None) -> Spec:
    axis = _colours(images, data_format, (None, 1, 3))
    return Spec((*images.shape[:axis], 1, *images.shape[axis + 1 :]), images.dtype)


@operation(_gray_rule)
def rgb_to_grayscale(images: Array, *, data_format: DataFormat | None = None, scales_integers: bool = False) -> Array:
    """0.2989 red + 0.5870 green + 0.1140 blue, one channel; images of one channel as they are.

    Results of integers lose their fractions; with `scales_integers`, as in Keras 3.3, integers are first scaled to
    [0, 1] and then back as in TensorFlow, to a range that is half a step longer.
    """
    images = tensor(images)
    axis = image_axes(images.ndim, data_format)[2]
    if images.shape[axis] == 1:
        return images
    x = xp.moveaxis(as_floats(images), axis, -1)
    top = bounds(images.dtype.name)[1] if scales_integers and images.dtype.kind in "iu" else None
    x = x if top is None else x * ops.asarray(1 / top, x.dtype)
    y = x[..., 0] * 0.2989 + x[..., 1] * 0.5870 + x[..., 2] * 0.1140
    y = y if top is None else y * (top + 0.5)
    return xp.expand_dims(y, axis).astype(images.dtype)


def _rgb_to_hsv(x: Array) -> Array:
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    value = xp.maximum(xp.maximum(red, green), blue)
    span = value - xp.minimum(xp.minimum(red, green), blue)
    zero, one = xp.zeros_like(value), xp.ones_like(value)
    saturation = xp.where(value > 0, span / xp.where(value > 0, value, one), zero)
    sixth = 1 / (6 * xp.where(span > 0, span, one))
    hue = xp.where(
        red == value,
        sixth * (green - blue),
        xp.where(green == value, sixth * (blue - red) + 2 / 6, sixth * (red - green) + 4 / 6),
    )
    hue = xp.where(span > 0, xp.where(hue < 0, hue + 1, hue), zero)
    return xp.stack([hue, saturation, value], axis=-1)


@operation(_colour_rule, by_row=4)
def rgb_to_hsv(images: Array, *, data_format: DataFormat | None = None) -> Array:
    """Red, green, blue in [0, 1] -> hue, saturation, value in [0, 1]."""
    return on_last(_rgb_to_hsv, images, data_format)


def _hsv_to_rgb(x: Array) -> Array:
    hue, saturation, value = x[..., 0] * 6, x[..., 1], x[..., 2]
    shares = (xp.abs(hue - 3) - 1, 2 - xp.abs(hue - 2), 2 - xp.abs(hue - 4))
    parts = [(xp.clip(share, 0, 1) - 1) * saturation + 1 for share in shares]
    return xp.stack([part * value for part in parts], axis=-1)


@operation(_colour_rule, by_row=4)
def hsv_to_rgb(images: Array, *, data_format: DataFormat | None = None) -> Array:
    """Hue, saturation, value in [0, 1] -> red, green, blue in [0, 1]."""
    return on_last(_hsv_to_rgb, images, data_format)
