"""Operations on windows of images: blur, edges, patches, similarity.

Images are (batch, height, width, channels), or with `data_format="channels_first"` (batch, channels, height,
width); one image has no batch axis. Source: keras.ops.image.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fnet.backend import xp
from fnet.core.infer import infer
from fnet.core.layer import Bound, bind
from fnet.core.options import asking
from fnet.core.room import of_step, size
from fnet.dtypes import floating, tensor
from fnet.layers.convolution import conv2d, conv3d
from fnet.layers.depthwise import depthwise_conv2d
from fnet.layers.windows import is_channels_first, to_channels_last
from fnet.operations.images import on_last, same_images
from fnet.operations.rules import operation
from fnet.shapes import joined, sized, total
from fnet.types import Array, DataFormat, Positive, Spec


def _gaussian(size: int, sigma: float, dtype: str) -> Array:
    x = (xp.arange(size) - (size - 1) / 2) / sigma
    bell = xp.exp(-0.5 * x * x)
    return tensor(bell / xp.sum(bell), dtype)


def _batch_of(images: Spec, axes: int = 4) -> Spec:
    """One image as a batch of one."""
    return images if len(images.shape) == axes else Spec((1, *images.shape), images.dtype)


def _channels_axis(data_format: str | None) -> int:
    """The axis of the channels in a batch."""
    return 1 if is_channels_first(data_format) else -1


def _blur_room(images: Spec, *, kernel_size: Sequence[int], data_format: str | None) -> tuple[int, int]:
    batch = _batch_of(images)
    blur = bind(depthwise_conv2d, kernel_size=tuple(kernel_size), padding="same", use_bias=False)
    memory, work = of_step(bind(blur, data_format=data_format), batch)
    kernel = size(Spec((*kernel_size, batch.shape[_channels_axis(data_format)])))
    return memory + 3 * kernel, work + 3 * kernel


@operation(same_images, room=_blur_room, by_row=4)
def gaussian_blur(
    images: Array,
    *,
    kernel_size: tuple[Positive, Positive] = (3, 3),
    sigma: tuple[float, float] = (1.0, 1.0),
    data_format: DataFormat | None = None,
) -> Array:
    """Each channel averaged with Gaussian weights; the image is padded with zeros."""

    def blur(x: Array) -> Array:
        across, down = (_gaussian(k, s, x.dtype.name) for k, s in zip(kernel_size, sigma, strict=True))
        weights = (down[:, None] * across[None, :]).reshape((kernel_size[0], kernel_size[1], 1, 1))
        kernel = xp.repeat(weights, x.shape[-1], axis=2)
        return depthwise_conv2d({"kernel": kernel}, x, padding="same", use_bias=False)

    return on_last(blur, images, data_format)


def _edges_rule(images: Spec) -> Spec:
    if len(images.shape) != 4:
        raise ValueError(f"sobel_edges takes a batch of images; got {images}")
    return Spec((*images.shape, 2), images.dtype)


@operation(_edges_rule)
def sobel_edges(images: Array, *, data_format: DataFormat | None = None) -> Array:
    """(batch, ...) -> (batch, ..., 2): the Sobel derivatives (down, across) of each channel; edges are reflected."""
    x = to_channels_last(tensor(images), data_format)
    height, width = x.shape[1:3]
    x = xp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    rows = x[:, :, :width] + 2 * x[:, :, 1 : width + 1] + x[:, :, 2:]
    columns = x[:, :height] + 2 * x[:, 1 : height + 1] + x[:, 2:]
    y = xp.stack([rows[:, 2:] - rows[:, :-2], columns[:, :, 2:] - columns[:, :, :-2]], axis=-1)
    return xp.moveaxis(y, 3, 1) if is_channels_first(data_format) else y


def _patch_options(
    *, size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: str | None
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


def _patches_step(images: Spec, options: dict[str, Any]) -> tuple[Bound, Spec]:
    """The convolution that extracts patches, and the Spec of its input."""
    rank = len(options["kernel_size"])
    batch = _batch_of(images, rank + 2)
    channels = batch.shape[_channels_axis(options["data_format"])]
    filters = functools.reduce(operator.mul, options["kernel_size"], channels or 1)
    return bind(conv3d if rank == 3 else conv2d, filters=filters, **options), batch


def _patches_rule(images: Spec, **options: Any) -> Spec:
    step, batch = _patches_step(images, _patch_options(**options))
    sizes = list(infer(step, batch)[0].shape)
    axis = _channels_axis(options["data_format"])
    sizes[axis] = None if batch.shape[axis] is None else sizes[axis]
    return Spec(tuple(sizes[len(batch.shape) - len(images.shape) :]), images.dtype)


def _patches_room(images: Spec, **options: Any) -> tuple[int, int]:
    step, batch = _patches_step(images, _patch_options(**options))
    memory, work = of_step(step, batch)
    kernel = 4 * step.own_options["filters"] ** 2
    return memory + kernel, work + kernel


@operation(asking(_patches_rule, _patch_options), room=asking(_patches_room, _patch_options))
def extract_patches(
    images: Array,
    *,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: DataFormat | None = None,
) -> Array:
    """Images -> windows of `size` (2 or 3 axes), all numbers of a window as channels."""
    x = tensor(images)
    options = _patch_options(
        size=size, strides=strides, dilation_rate=dilation_rate, padding=padding, data_format=data_format
    )
    sizes = options["kernel_size"]
    single = x.ndim == len(sizes) + 1
    x = x[None] if single else x
    channels = x.shape[_channels_axis(data_format)]
    depth = functools.reduce(operator.mul, sizes, channels)
    kernel = xp.eye(depth, dtype=x.dtype).reshape((*sizes, channels, depth))
    y = (conv3d if len(sizes) == 3 else conv2d)({"kernel": kernel}, x, **options)
    return y[0] if single else y


def _ssim_step(image1: Spec, filter_size: int, data_format: str | None) -> tuple[Bound, Spec]:
    """The convolution that averages each channel, and the Spec of its input."""
    *batch, height, width, channels = image1.shape
    if is_channels_first(data_format):
        channels, height, width = height, width, channels
    single = Spec((total(sized((*batch, channels), 1)), height, width, 1))
    return bind(conv2d, filters=1, kernel_size=filter_size, use_bias=False), single


def _ssim_rule(image1: Spec, image2: Spec, *, filter_size: int, data_format: str | None) -> Spec:
    image1 = replace(image1, shape=joined(image1.shape, image2.shape))
    infer(*_ssim_step(image1, filter_size, data_format))
    return Spec(image1.shape[:-3], image1.dtype)


def _ssim_room(x: tuple[Spec, Spec], *, filter_size: int, data_format: str | None) -> tuple[int, int]:
    """Six averages of each channel; the kernel is computed in 64 bits."""
    memory, work = of_step(*_ssim_step(x[0], filter_size, data_format))
    kernel = 3 * size(Spec((filter_size, filter_size)))
    return 6 * memory + kernel, 6 * work + kernel


@operation(_ssim_rule, room=_ssim_room)
def ssim(
    image1: Array,
    image2: Array,
    *,
    max_val: float = 1.0,
    filter_size: Positive = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: DataFormat | None = None,
) -> Array:
    """The structural similarity of two images, 1 when equal. Source: Wang et al. 2004."""
    dtype = tensor(image1).dtype
    a, b = (xp.moveaxis(x, -3, -1) if is_channels_first(data_format) else x for x in floating(image1, image2))
    a, b = (xp.moveaxis(x, -1, -3).reshape((-1, *x.shape[-3:-1], 1)) for x in (a, b))
    bell = _gaussian(filter_size, filter_sigma, a.dtype.name)
    kernel = (bell[:, None] * bell[None, :])[:, :, None, None]

    def mean(x: Array) -> Array:
        return conv2d({"kernel": kernel}, x, use_bias=False)

    mean_a, mean_b = mean(a), mean(b)
    # squares of large means would hide the differences
    a, b = (x - xp.mean(x, axis=(1, 2), keepdims=True) for x in (a, b))
    off_a, off_b = mean(a), mean(b)
    spread = mean(a * a) - off_a * off_a + mean(b * b) - off_b * off_b
    joint = mean(a * b) - off_a * off_b
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    similar = (2 * mean_a * mean_b + c1) * (2 * joint + c2)
    similar = similar / ((mean_a * mean_a + mean_b * mean_b + c1) * (spread + c2))
    batch = tensor(image1).shape[:-3]
    return xp.mean(xp.mean(similar, axis=(1, 2, 3)).reshape((*batch, -1)), axis=-1).astype(dtype)
