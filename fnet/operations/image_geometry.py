"""Operations that sample images at fractional coordinates: affine and perspective transforms, scaling, maps.

Images are (batch, height, width, channels), or with `data_format="channels_first"` (batch, channels, height,
width); one image has no batch axis. Source: keras.ops.image.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from fnet.backend import ops, xp
from fnet.core.room import copies, size, work_of_products
from fnet.dtypes import as_floats, floating, is_float, result_type, tensor
from fnet.operations.images import on_last, same_images
from fnet.operations.rules import operation
from fnet.resampling import KERNELS
from fnet.shapes import axes_of, joined, shape_of, sized, stretched
from fnet.types import Array, DataFormat, Spec


def _reflected(at: Array, size: int) -> Array:
    turned = at - 2 * size * xp.floor(at / (2 * size))
    return xp.clip(xp.where(turned >= size, 2 * size - turned - 1, turned), 0, size - 1)


def _wrapped(at: Array, size: int) -> Array:
    span = max(size - 1, 1)
    below = at + size * (xp.floor(-at / span) + 1)
    above = at - size * xp.floor(at / span)
    return xp.clip(xp.where(at < 0, below, xp.where(at > size - 1, above, at)), 0, size - 1)


def _placed(at: Array, size: int, fill_mode: str) -> Array:
    """Coordinates, those outside the image moved inside unless `fill_mode` is "constant"."""
    if fill_mode == "reflect":
        return _reflected(at, size)
    if fill_mode == "wrap":
        return _wrapped(at, size)
    return xp.clip(at, 0, size - 1) if fill_mode == "nearest" else at


def _pixels(images: Array, rows: Array, columns: Array, fill_value: float) -> Array:
    """images[n, rows[n], columns[n]], or `fill_value` outside the image."""
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
    wide = result_type(x.dtype.name, "float32")
    corners = ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1))
    a, b, c, d = (tensor(_pixels(x, *corner, fill_value), wide) for corner in corners)
    above, below = (1 - side) * a + side * b, (1 - side) * c + side * d
    return ((1 - low) * above + low * below).astype(x.dtype)


def _affine_rule(images: Spec, transform: Any) -> Spec:
    stretched(shape_of(transform), (*same_images(images).shape[:-3], 8))
    return images


@operation(_affine_rule, room=copies(9), by_row=4)
def affine_transform(
    images: Array,
    transform: Array,
    *,
    interpolation: Literal["nearest", "bilinear"] = "bilinear",
    fill_mode: Literal["constant", "nearest", "reflect", "wrap"] = "constant",
    fill_value: float = 0,
    data_format: DataFormat | None = None,
) -> Array:
    """Images rotated, moved, scaled, sheared by 8 numbers (one set, or one for each image), from output to input.

    fill_mode: what is outside the image: "constant", "nearest", "reflect" or "wrap".
    """
    rows = xp.atleast_2d(tensor(transform))
    return on_last(lambda x: _projected(x, rows, interpolation, fill_mode, fill_value), images, data_format)


@operation(same_images, room=copies(9), by_row=4)
def perspective_transform(
    images: Array,
    start_points: Array,
    end_points: Array,
    *,
    interpolation: Literal["nearest", "bilinear"] = "bilinear",
    fill_value: float = 0,
    data_format: DataFormat | None = None,
) -> Array:
    """Images warped so that the four corners `start_points` (4, 2), or (batch, 4, 2), move to `end_points`."""
    start, end = (tensor(p, "float32").reshape((-1, 4, 2)) for p in (start_points, end_points))
    ones, zeros = xp.ones_like(end[..., :1]), xp.zeros_like(end)
    point = xp.concatenate([end, ones], axis=-1)  # (batch, 4, 3)
    nothing = xp.concatenate([zeros, 0 * ones], axis=-1)
    across = xp.concatenate([point, nothing, -start[..., :1] * end], axis=-1)
    down = xp.concatenate([nothing, point, -start[..., 1:] * end], axis=-1)
    equations = xp.stack([across, down], axis=2).reshape((-1, 8, 8))
    factors = xp.linalg.solve(equations, start.reshape((-1, 8, 1)))[..., 0]
    return on_last(lambda x: _projected(x, factors, interpolation, "constant", fill_value), images, data_format)


def _map_rule(inputs: Spec, coordinates: Any) -> Spec:
    if coordinates.shape[0] not in (None, len(inputs.shape)):
        raise ValueError(f"coordinates of {coordinates.shape[0]} axes; the input has {len(inputs.shape)}")
    return Spec(tuple(coordinates.shape[1:]), inputs.dtype)


def _inside(index: Array, size: int, fill_mode: str) -> tuple[Array, Array]:
    """(index moved into the axis, whether it has a value), by Keras's rules for integers."""
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


def _map_room(x: tuple[Any, Any]) -> tuple[int, int]:
    """Around each place are two pixels for each axis; their corners are computed one after the other."""
    axes, *places = sized(x[1].shape, 1)
    memory = (8 + 4 * axes) * size(Spec(tuple(places)))
    return memory, 2**axes * (memory + (1 << 16))


@operation(_map_rule, room=_map_room)
def map_coordinates(
    inputs: Array,
    coordinates: Array,
    *,
    order: Literal[0, 1],
    fill_mode: Literal["constant", "nearest", "wrap", "mirror", "reflect"] = "constant",
    fill_value: float = 0,
) -> Array:
    """`inputs` at fractional `coordinates` (axes, ...): the nearest (order 0) or interpolated linearly (order 1)."""
    inputs, coordinates = tensor(inputs), as_floats(coordinates)
    ends = []
    for at, width in zip(coordinates, inputs.shape, strict=True):
        low = xp.floor(at) if order else xp.round(at)
        pairs = [(low, 1 - (at - low)), (low + 1, at - low)] if order else [(low, xp.ones_like(at))]
        ends.append([(*_inside(index.astype("int32"), width, fill_mode), weight) for index, weight in pairs])
    total = xp.zeros(coordinates.shape[1:], coordinates.dtype)
    for corner in itertools.product(*ends):
        indices, valid, weights = zip(*corner, strict=True)
        pixels = inputs[indices].astype(coordinates.dtype)
        pixels = xp.where(functools.reduce(operator.and_, valid), pixels, xp.full_like(pixels, fill_value))
        total = total + pixels * functools.reduce(operator.mul, weights)
    return ops.cast(total if is_float(inputs) else xp.round(total), inputs.dtype.name)


# --- scaling --------------------------------------------------------------------------------------


METHODS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "bilinear"),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), "bicubic"),
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}
"""{method: its kernel in `fnet.resampling`}."""


def _shares(sizes: tuple[int, int], scale: Array, shift: Array, method: str, antialias: bool) -> Array:
    """(input size, output size): the weight of each input pixel in each output pixel of one axis."""
    inverse = 1 / scale
    at = (xp.arange(sizes[1]).astype(scale.dtype) + 0.5) * inverse - shift * inverse - 0.5
    distance = xp.abs(at[None, :] - xp.arange(sizes[0]).astype(scale.dtype)[:, None])
    kernel, _ = KERNELS[METHODS[method]]
    weights = kernel(xp, distance / (xp.maximum(inverse, 1) if antialias else 1))
    sums = xp.sum(weights, axis=0, keepdims=True)
    known = xp.abs(sums) > 1000 * float(np.finfo("float32").eps)
    weights = xp.where(known, weights / xp.where(known, sums, xp.ones_like(sums)), xp.zeros_like(weights))
    return xp.where((at >= -0.5) & (at <= sizes[0] - 0.5), weights, xp.zeros_like(weights))


def _translate_rule(
    images: Spec, output_shape: Sequence[int], scale: Any, translation: Any, *, spatial_dims: Sequence[int], method: str
) -> Spec:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    sizes = list(images.shape)
    axes = axes_of(spatial_dims, len(sizes))
    for numbers in (scale, translation):
        joined(shape_of(numbers), (len(axes),))
    for axis in axes:
        sizes[axis] = output_shape[axis]
    return Spec(tuple(sizes), images.dtype)


def _translate_room(x: Sequence[Any], *, spatial_dims: Sequence[int]) -> tuple[int, int]:
    """The weights of input pixels in output pixels and the image, axis by axis."""
    shape, memory, work = list(x[0].shape), 0, 0
    for axis in axes_of(spatial_dims, len(shape)):
        width = shape[axis] or 1
        shape[axis] = int(x[1][axis])
        between, shares = Spec(tuple(shape)), Spec((width, shape[axis]))
        memory = max(memory, 2 * size(between) + 6 * size(shares))
        work += 8 * size(shares) + work_of_products(between, width)[1]
    return memory, work


@operation(_translate_rule, room=_translate_room)
def scale_and_translate(
    images: Array,
    output_shape: Sequence[int],
    scale: Array,
    translation: Array,
    *,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Array:
    """`images` stretched by `scale`, then moved by `translation`, one number for each of the axes `spatial_dims`.

    Output pixel i is at (i + 0.5 - translation) / scale - 0.5; outside the image everything is 0. `method`: "linear",
    "cubic", "lanczos3", "lanczos5". `antialias` widens the kernel when an axis shrinks. The result has the dtype of
    `images`; integers are rounded, and stay between the smallest and the largest.
    """
    images = tensor(images)
    scale, translation = floating(scale, translation)
    y = as_floats(images)
    for number, axis in enumerate(axes_of(spatial_dims, images.ndim)):
        sizes = (images.shape[axis], int(output_shape[axis]))
        shares = _shares(sizes, scale[number], translation[number], method, antialias)
        y = xp.moveaxis(xp.tensordot(y, shares.astype(y.dtype), axes=(axis, 0)), -1, axis)
    return y if is_float(images) else xp.clip(xp.round(y), xp.min(images), xp.max(images)).astype(images.dtype)
