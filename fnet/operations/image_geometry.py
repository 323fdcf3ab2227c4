"""Operations that take images apart at fractional places: affine and perspective maps, coordinates.

Images are (batch, height, width, channels), or with `data_format="channels_first"` (batch, channels, height,
width); one image has no batch axis. Source: keras.ops.image.
"""

from __future__ import annotations

import functools
import itertools
import operator
from typing import Any

from fnet.backend import ops, xp
from fnet.operations.dtypes import floating, is_float, tensor
from fnet.operations.images import on_last
from fnet.operations.rules import operation, same
from fnet.types import Array, Spec


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
    return on_last(lambda x: _projected(x, rows, interpolation, fill_mode, fill_value), images, data_format)


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
    return on_last(lambda x: _projected(x, found, interpolation, "constant", fill_value), images, data_format)


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
