"""Operations on images (batch, height, width, channels), or one image without the batch axis.

`data_format="channels_first"` puts the channels before height and width. Source: keras.ops.image.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from fnet.backend import ops, xp
from fnet.layers.convolution import conv2d, conv3d
from fnet.layers.depthwise import depthwise_conv2d
from fnet.layers.image import resizing
from fnet.operations.dtypes import floating, is_float, tensor
from fnet.operations.rules import operation, same
from fnet.types import Array, Shape, Spec


def _first(data_format: str | None) -> bool:
    return data_format == "channels_first"


def _axes(rank: int, data_format: str | None) -> tuple[int, int, int]:
    """The axes of height, width and channels."""
    return (rank - 2, rank - 1, rank - 3) if _first(data_format) else (rank - 3, rank - 2, rank - 1)


def _on_last(compute: Callable[[Array], Array], images: Array, data_format: str | None) -> Array:
    """`compute` on a batch with the channels last, whatever `images` is; the result as `images` was."""
    x = tensor(images)
    single = x.ndim == 3
    x = x[None] if single else x
    y = compute(xp.moveaxis(x, 1, -1) if _first(data_format) else x)
    y = xp.moveaxis(y, 3, 1) if _first(data_format) else y
    return y[0] if single else y


# --- sizes ----------------------------------------------------------------------------------------


def _spans(size: int | None, before: int | None, after: int | None, target: int | None, sign: int) -> tuple[int, int]:
    """(before, after) of one axis: one of them may follow from the target size; `sign` 1 pads, -1 crops."""
    if size is None and None in (before, after):
        raise ValueError("an image of unknown size needs both margins, not a target size")
    room = 0 if size is None or target is None else (target - size) * sign
    before = room - (after or 0) if before is None else before
    after = room - before if after is None else after
    if before < 0 or after < 0:
        raise ValueError(f"margins of an image must not be negative; got {before} before and {after} after")
    return before, after


def _resized(shape: Shape, sizes: tuple[int | None, int | None], data_format: str | None) -> Shape:
    made = list(shape)
    for axis, size in zip(_axes(len(shape), data_format), sizes, strict=False):
        made[axis] = size
    return tuple(made)


def _crop_rule(
    images: Spec,
    *,
    top_cropping: int | None,
    left_cropping: int | None,
    bottom_cropping: int | None,
    right_cropping: int | None,
    target_height: int | None,
    target_width: int | None,
    data_format: str | None,
) -> Spec:
    height, width, _ = (images.shape[a] for a in _axes(len(images.shape), data_format))
    rows = _spans(height, top_cropping, bottom_cropping, target_height, -1)
    columns = _spans(width, left_cropping, right_cropping, target_width, -1)
    sizes = (None if height is None else height - sum(rows), None if width is None else width - sum(columns))
    return Spec(_resized(images.shape, sizes, data_format), images.dtype)


@operation(_crop_rule)
def crop_images(
    images: Array,
    *,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Array:
    """`images` without margins; of margin, margin and target size of each axis two are given."""
    images = tensor(images)
    rows, columns, _ = _axes(images.ndim, data_format)
    key = [slice(None)] * images.ndim
    for axis, before, after, target in (
        (rows, top_cropping, bottom_cropping, target_height),
        (columns, left_cropping, right_cropping, target_width),
    ):
        size = images.shape[axis]
        start, end = _spans(size, before, after, target, -1)
        key[axis] = slice(start, size - end)
    return images[tuple(key)]


def _pad_rule(
    images: Spec,
    *,
    top_padding: int | None,
    left_padding: int | None,
    bottom_padding: int | None,
    right_padding: int | None,
    target_height: int | None,
    target_width: int | None,
    data_format: str | None,
) -> Spec:
    height, width, _ = (images.shape[a] for a in _axes(len(images.shape), data_format))
    rows = _spans(height, top_padding, bottom_padding, target_height, 1)
    columns = _spans(width, left_padding, right_padding, target_width, 1)
    sizes = (None if height is None else height + sum(rows), None if width is None else width + sum(columns))
    return Spec(_resized(images.shape, sizes, data_format), images.dtype)


@operation(_pad_rule)
def pad_images(
    images: Array,
    *,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Array:
    """`images` with zeros around; of margin, margin and target size of each axis two are given."""
    images = tensor(images)
    rows, columns, _ = _axes(images.ndim, data_format)
    widths = [(0, 0)] * images.ndim
    widths[rows] = _spans(images.shape[rows], top_padding, bottom_padding, target_height, 1)
    widths[columns] = _spans(images.shape[columns], left_padding, right_padding, target_width, 1)
    return xp.pad(images, widths)


def _resize_rule(images: Spec, *, size: Sequence[int], data_format: str | None) -> Spec:
    return Spec(_resized(images.shape, (size[0], size[1]), data_format), images.dtype)


@operation(_resize_rule)
def resize(
    images: Array,
    *,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Array:
    """Images of `size` (height, width), of the same dtype; see the layer `resizing`."""
    return resizing(
        {},
        tensor(images),
        height=size[0],
        width=size[1],
        interpolation=interpolation,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        pad_to_aspect_ratio=pad_to_aspect_ratio,
        fill_mode=fill_mode,
        fill_value=fill_value,
        antialias=antialias,
        data_format=data_format,
    )


# --- colours --------------------------------------------------------------------------------------


def _gray_rule(images: Spec, *, data_format: str | None) -> Spec:
    axis = _axes(len(images.shape), data_format)[2]
    return Spec((*images.shape[:axis], 1, *images.shape[axis + 1 :]), images.dtype)


@operation(_gray_rule)
def rgb_to_grayscale(images: Array, *, data_format: str | None = None) -> Array:
    """0.2989 red + 0.5870 green + 0.1140 blue, one channel; images of one channel as they are."""
    images = tensor(images)
    axis = _axes(images.ndim, data_format)[2]
    if images.shape[axis] == 1:
        return images
    x = xp.moveaxis(floating(images)[0], axis, -1)
    y = x[..., 0] * 0.2989 + x[..., 1] * 0.5870 + x[..., 2] * 0.1140
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


@operation(same)
def rgb_to_hsv(images: Array, *, data_format: str | None = None) -> Array:
    """Red, green, blue in [0, 1] -> hue, saturation, value in [0, 1]."""
    return _on_last(_rgb_to_hsv, images, data_format)


def _hsv_to_rgb(x: Array) -> Array:
    hue, saturation, value = x[..., 0] * 6, x[..., 1], x[..., 2]
    shares = (xp.abs(hue - 3) - 1, 2 - xp.abs(hue - 2), 2 - xp.abs(hue - 4))
    parts = [(xp.clip(share, 0, 1) - 1) * saturation + 1 for share in shares]
    return xp.stack([part * value for part in parts], axis=-1)


@operation(same)
def hsv_to_rgb(images: Array, *, data_format: str | None = None) -> Array:
    """Hue, saturation, value in [0, 1] -> red, green, blue in [0, 1]."""
    return _on_last(_hsv_to_rgb, images, data_format)


# --- filters --------------------------------------------------------------------------------------


def _gaussian(size: int, sigma: float, dtype: str) -> Array:
    x = (xp.arange(size) - (size - 1) / 2) / sigma
    bell = xp.exp(-0.5 * x * x)
    return tensor(bell / xp.sum(bell), dtype)


@operation(same)
def gaussian_blur(
    images: Array,
    *,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Array:
    """Each channel averaged with Gaussian weights; zeros lie around the image."""

    def blur(x: Array) -> Array:
        across, down = (_gaussian(k, s, x.dtype.name) for k, s in zip(kernel_size, sigma, strict=True))
        weights = (down[:, None] * across[None, :]).reshape((kernel_size[0], kernel_size[1], 1, 1))
        kernel = xp.repeat(weights, x.shape[-1], axis=2)
        return depthwise_conv2d({"depthwise_kernel": kernel, "kernel": kernel}, x, padding="same", use_bias=False)

    return _on_last(blur, images, data_format)


@operation(lambda images: Spec((*images.shape, 2), images.dtype))
def sobel_edges(images: Array, *, data_format: str | None = None) -> Array:
    """(batch, ...) -> (batch, ..., 2): the Sobel derivatives (down, across) of each channel; edges are reflected."""
    x = tensor(images)
    x = xp.moveaxis(x, 1, -1) if _first(data_format) else x
    height, width = x.shape[1:3]
    x = xp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    rows = x[:, :, :width] + 2 * x[:, :, 1 : width + 1] + x[:, :, 2:]
    columns = x[:, :height] + 2 * x[:, 1 : height + 1] + x[:, 2:]
    y = xp.stack([rows[:, 2:] - rows[:, :-2], columns[:, :, 2:] - columns[:, :, :-2]], axis=-1)
    return xp.moveaxis(y, 3, 1) if _first(data_format) else y


def _patch_options(
    size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: str | None
) -> dict[str, Any]:
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    return {
        "kernel_size": sizes,
        "strides": strides or sizes,
        "dilation_rate": dilation_rate,
        "padding": padding,
        "data_format": data_format,
        "use_bias": False,
    }


def _patches_rule(
    images: Spec, *, size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: str | None
) -> Spec:
    from fnet.compose import bind
    from fnet.modelling import infer

    options = _patch_options(size, strides, dilation_rate, padding, data_format)
    rank = len(options["kernel_size"])
    batch = images if len(images.shape) == rank + 2 else Spec((1, *images.shape), images.dtype)
    channels = batch.shape[1 if _first(data_format) else -1] or 1
    filters = functools.reduce(operator.mul, options["kernel_size"], channels)
    made = infer(bind(conv3d if rank == 3 else conv2d, filters=filters, **options), batch)[0]
    return Spec(made.shape[len(batch.shape) - len(images.shape) :], images.dtype)


@operation(_patches_rule)
def extract_patches(
    images: Array,
    *,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """Images -> for each window of `size` (2 or 3 axes) all its numbers as channels."""
    x = tensor(images)
    options = _patch_options(size, strides, dilation_rate, padding, data_format)
    sizes = options["kernel_size"]
    single = x.ndim == len(sizes) + 1
    x = x[None] if single else x
    channels = x.shape[1 if _first(data_format) else -1]
    depth = functools.reduce(operator.mul, sizes, channels)
    kernel = xp.eye(depth, dtype=x.dtype).reshape((*sizes, channels, depth))
    y = (conv3d if len(sizes) == 3 else conv2d)({"kernel": kernel}, x, **options)
    return y[0] if single else y


def _ssim_rule(image1: Spec, image2: Spec) -> Spec:
    return Spec(image1.shape[:-3], image1.dtype)


@operation(_ssim_rule)
def ssim(
    image1: Array,
    image2: Array,
    *,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Array:
    """The structural similarity of two images, 1 when equal. Source: Wang et al. 2004."""
    dtype = tensor(image1).dtype
    a, b = (xp.moveaxis(x, -3, -1) if _first(data_format) else x for x in floating(image1, image2))
    a, b = (xp.moveaxis(x, -1, -3).reshape((-1, *x.shape[-3:-1], 1)) for x in (a, b))
    bell = _gaussian(filter_size, filter_sigma, a.dtype.name)
    kernel = (bell[:, None] * bell[None, :])[:, :, None, None]

    def mean(x: Array) -> Array:
        return conv2d({"kernel": kernel}, x, use_bias=False)

    mean_a, mean_b = mean(a), mean(b)
    spread = mean(a * a) - mean_a * mean_a + mean(b * b) - mean_b * mean_b
    joint = mean(a * b) - mean_a * mean_b
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    similar = (2 * mean_a * mean_b + c1) * (2 * joint + c2)
    similar = similar / ((mean_a * mean_a + mean_b * mean_b + c1) * (spread + c2))
    batch = tensor(image1).shape[:-3]
    return xp.mean(xp.mean(similar, axis=(1, 2, 3)).reshape((*batch, -1)), axis=-1).astype(dtype)


# --- geometry -------------------------------------------------------------------------------------


def _reflected(at: Array, size: int) -> Array:
    turned = at - 2 * size * xp.floor(at / (2 * size))
    return xp.clip(xp.where(turned >= size, 2 * size - turned - 1, turned), 0, size - 1)


def _wrapped(at: Array, size: int) -> Array:
    span = max(size - 1, 1)
    below = at + size * (xp.floor(-at / span) + 1)
    above = at - size * xp.floor(at / span)
    return xp.clip(xp.where(at < 0, below, xp.where(at > size - 1, above, at)), 0, size - 1)


def _placed(at: Array, size: int, fill_mode: str) -> Array:
    """Coordinates outside of the image brought inside, unless they are filled."""
    if fill_mode == "reflect":
        return _reflected(at, size)
    if fill_mode == "wrap":
        return _wrapped(at, size)
    return xp.clip(at, 0, size - 1) if fill_mode == "nearest" else at


def _pixels(images: Array, rows: Array, columns: Array, fill_value: float) -> Array:
    """images[n, rows[n], columns[n]], `fill_value` outside."""
    height, width = images.shape[1:3]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    i = xp.clip(rows, 0, height - 1).astype("int32")
    j = xp.clip(columns, 0, width - 1).astype("int32")
    batch = xp.arange(images.shape[0])[:, None, None]
    return xp.where(inside[..., None], images[batch, i, j], xp.asarray(fill_value, images.dtype))


def _projected(x: Array, transform: Array, interpolation: str, fill_mode: str, fill_value: float) -> Array:
    """Output pixel (x, y) from the input at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1."""
    height, width = x.shape[1:3]
    transform = xp.broadcast_to(tensor(transform, "float32"), (x.shape[0], 8))
    a0, a1, a2, b0, b1, b2, c0, c1 = (transform[:, i, None, None] for i in range(8))
    down = xp.arange(height, dtype="float32")[None, :, None]
    across = xp.arange(width, dtype="float32")[None, None, :]
    k = c0 * across + c1 * down + 1
    columns = _placed((a0 * across + a1 * down + a2) / k, width, fill_mode)
    rows = _placed((b0 * across + b1 * down + b2) / k, height, fill_mode)
    if interpolation == "nearest":
        return _pixels(x, xp.round(rows), xp.round(columns), fill_value)
    top, left = xp.floor(rows), xp.floor(columns)
    low, side = (rows - top)[..., None], (columns - left)[..., None]
    above = (1 - side) * _pixels(x, top, left, fill_value) + side * _pixels(x, top, left + 1, fill_value)
    below = (1 - side) * _pixels(x, top + 1, left, fill_value) + side * _pixels(x, top + 1, left + 1, fill_value)
    return ((1 - low) * above + low * below).astype(x.dtype)


@operation(same)
def affine_transform(
    images: Array,
    transform: Array,
    *,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Array:
    """Images turned, moved, scaled, sheared by 8 numbers (one set, or one an image), from output to input.

    fill_mode: what lies outside: "constant", "nearest", "reflect" or "wrap".
    """
    rows = xp.atleast_2d(tensor(transform))
    return _on_last(lambda x: _projected(x, rows, interpolation, fill_mode, fill_value), images, data_format)


@operation(same)
def perspective_transform(
    images: Array,
    start_points: Array,
    end_points: Array,
    *,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Array:
    """Images moved so that the four corners `start_points` (4, 2), or (batch, 4, 2), come to `end_points`."""
    start, end = (tensor(p, "float32").reshape((-1, 4, 2)) for p in (start_points, end_points))
    ones, zeros = xp.ones_like(end[..., :1]), xp.zeros_like(end)
    point = xp.concatenate([end, ones], axis=-1)  # (batch, 4, 3)
    nothing = xp.concatenate([zeros, 0 * ones], axis=-1)
    across = xp.concatenate([point, nothing, -start[..., :1] * end], axis=-1)
    down = xp.concatenate([nothing, point, -start[..., 1:] * end], axis=-1)
    equations = xp.stack([across, down], axis=2).reshape((-1, 8, 8))
    found = xp.linalg.solve(equations, start.reshape((-1, 8, 1)))[..., 0]
    return _on_last(lambda x: _projected(x, found, interpolation, "constant", fill_value), images, data_format)


def _map_rule(inputs: Spec, coordinates: Any) -> Spec:
    return Spec(tuple(coordinates.shape[1:]), inputs.dtype)


def _inside(index: Array, size: int, fill_mode: str) -> tuple[Array, Array]:
    """(an index within the axis, whether it was one), by Keras's rules for whole numbers."""
    if fill_mode == "constant":
        return xp.clip(index, 0, size - 1), (index >= 0) & (index < size)
    always = xp.ones(index.shape, bool)
    if fill_mode == "nearest":
        return xp.clip(index, 0, size - 1), always
    if fill_mode == "wrap":
        return index % size, always
    folded = xp.abs(index) % (2 * size)
    beyond = 2 * size - folded - (fill_mode == "reflect")
    return xp.where(folded < size, folded, beyond), always


@operation(_map_rule)
def map_coordinates(
    inputs: Array, coordinates: Array, *, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Array:
    """`inputs` at fractional `coordinates` (axes, ...): the nearest (order 0) or linearly between (order 1)."""
    inputs, coordinates = tensor(inputs), floating(coordinates)[0]
    ends = []
    for at, size in zip(coordinates, inputs.shape, strict=True):
        low = xp.floor(at) if order else xp.round(at)
        pairs = [(low, 1 - (at - low)), (low + 1, at - low)] if order else [(low, xp.ones_like(at))]
        ends.append([(*_inside(index.astype("int32"), size, fill_mode), weight) for index, weight in pairs])
    total = xp.zeros(coordinates.shape[1:], coordinates.dtype)
    for corner in itertools.product(*ends):
        indices, valid, weights = zip(*corner, strict=True)
        found = inputs[indices].astype(coordinates.dtype)
        found = xp.where(functools.reduce(operator.and_, valid), found, xp.full_like(found, fill_value))
        total = total + found * functools.reduce(operator.mul, weights)
    return ops.cast(total if is_float(inputs) else xp.round(total), inputs.dtype.name)
