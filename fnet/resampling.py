"""Resizing images along one axis: which pixels each output pixel reads, with which weights, as TensorFlow does.

Positions and weights depend on sizes only, so they are NumPy constants, in float32 as in TensorFlow's kernels (its
bicubic reads the cubic from a table of 1024 steps). Applying them is a few gathers on either backend.
Source: tensorflow/core/kernels/image: resize_*_op.cc, scale_and_translate_op.cc.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fnet.backend import ops, xp
from fnet.types import Array

F32 = np.float32
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Taps: TypeAlias = tuple[Any, Floats]
"""(pixels int64[taps, out], weights float32[taps, out])."""

_TABLE_STEPS = 1024


def resample(x: Array, axis: int, size: int, interpolation: str, antialias: bool) -> Array:
    """`x` with `size` pixels along `axis`; floats in, floats out ("nearest" takes any dtype)."""
    if interpolation == "nearest":
        return xp.take(x, _nearest(x.shape[axis], size), axis=axis, mode="clip")
    pixels, weights = taps(x.shape[axis], size, interpolation, antialias)
    weights = weights.astype(x.dtype).reshape(-1, *(size if a == axis % x.ndim else 1 for a in range(x.ndim)))
    return ops.weighted_take(x, axis, pixels, weights, interpolation == "bilinear" and not antialias)


@functools.lru_cache(maxsize=256)
def taps(size: int, count: int, interpolation: str, antialias: bool) -> Taps:
    """The pixels and weights for `size` -> `count` pixels.

    Raises ValueError for an unknown interpolation, naming the known ones.
    """
    if interpolation not in _PLAIN:
        require_interpolation(interpolation)
    if interpolation not in _PLAIN or (antialias and interpolation != "area"):
        return _spans(size, count, *KERNELS[interpolation], antialias)
    return _PLAIN[interpolation](size, count)


def require_interpolation(interpolation: str) -> None:
    """Raise ValueError for an unknown interpolation, naming the known ones."""
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"no interpolation {interpolation!r}; known: {', '.join(INTERPOLATIONS)}")


def _numbers(count: int) -> Floats:
    return np.arange(count, dtype=F32)


def _centers(size: int, count: int) -> Floats:
    """The centre of each output pixel, in input pixels."""
    return (_numbers(count) + F32(0.5)) * (F32(size) / F32(count))


def _nearest(size: int, count: int) -> Any:
    return np.minimum(np.floor(_centers(size, count)).astype(np.int64), size - 1)


def _bilinear(size: int, count: int) -> Taps:
    at = _centers(size, count) - F32(0.5)
    floor = np.floor(at)
    low = np.maximum(floor.astype(np.int64), 0)
    high = np.minimum(np.ceil(at).astype(np.int64), size - 1)
    share = at - floor
    return np.stack([low, high]), np.stack([F32(1) - share, share])


def _bilinear_from_corners(size: int, count: int) -> Taps:
    """Bilinear as in TensorFlow 1: pixels are points, the first of the output is at the first of the input."""
    at = _numbers(count) * (F32(size) / F32(count))
    floor = np.floor(at)
    low = floor.astype(np.int64)
    return np.stack([low, np.minimum(low + 1, size - 1)]), np.stack([F32(1) - (at - floor), at - floor])


def _bicubic(size: int, count: int) -> Taps:
    """Keys's cubic (a = -1/2) from a table; pixels outside the image have weight 0, the others sum to 1."""
    at = _centers(size, count) - F32(0.5)
    floor = np.floor(at)
    near, far = _cubic_table()
    step = np.rint((at - floor) * F32(_TABLE_STEPS)).astype(np.int64)
    back = _TABLE_STEPS - step
    pixels = floor.astype(np.int64) + np.arange(-1, 3)[:, None]
    weights = np.stack([far[step], near[step], near[back], far[back]])
    bounded = np.clip(pixels, 0, size - 1)
    return bounded, _normalised(np.where(bounded == pixels, weights, F32(0)))


@functools.lru_cache(maxsize=1)
def _cubic_table() -> tuple[Floats, Floats]:
    """Keys's cubic at 0..1 and at 1..2, in 1024 steps."""
    a = -0.5
    x = (np.arange(_TABLE_STEPS + 1) / _TABLE_STEPS).astype(F32).astype(np.float64)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1.0
    return near.astype(F32), (((a * x - 5 * a) * x + 8 * a) * x - 4 * a).astype(F32)


def _normalised(weights: Floats) -> Floats:
    """Weights that sum to 1 for each output pixel; weights whose sum is 0 stay as they are."""
    total = weights.sum(0, dtype=F32)
    safe = np.abs(total) >= F32(1000) * np.finfo(F32).tiny
    return weights * np.where(safe, F32(1) / np.where(safe, total, F32(1)), F32(1))


def _area(size: int, count: int) -> Taps:
    """The mean over the part of the input that an output pixel covers."""
    scale = F32(size) / F32(count)
    edges = _numbers(count + 1) * scale
    start, stop = edges[:-1], edges[1:]
    first = np.floor(start).astype(np.int64)
    most = int((np.ceil(stop).astype(np.int64) - first).max())
    pixels = first + np.arange(most)[:, None]
    left, right = pixels.astype(F32), pixels.astype(F32) + F32(1)
    covered = np.clip(np.minimum(right, stop) - np.maximum(left, start), F32(0), F32(1))
    covered = np.where((left < start) & (right > stop), scale, covered)  # an output pixel inside one input pixel
    return np.minimum(pixels, size - 1), (covered / scale).astype(F32)


def _spans(size: int, count: int, kernel: Kernel, radius: float, antialias: bool) -> Taps:
    """A kernel around each output pixel; with `antialias` widened by the factor of shrinking."""
    scale = F32(count) / F32(size)
    inverse = F32(1.0 / float(scale))
    widened = max(inverse, F32(1)) if antialias else F32(1)
    at = (_numbers(count) + F32(0.5)) * inverse
    reach = F32(radius) * widened
    first = np.clip(np.ceil(at - reach - F32(0.5)).astype(np.int64), 0, size - 1)
    last = np.clip(np.floor(at + reach - F32(0.5)).astype(np.int64), 0, size - 1)
    pixels = first + np.arange(int((last - first).max()) + 1)[:, None]
    weights = kernel(np, np.abs((pixels.astype(F32) + F32(0.5) - at) / widened))
    inside = (pixels <= last) & (at >= 0) & (at <= size)
    return np.minimum(pixels, last), _normalised(np.where(inside, weights, F32(0)))


def _keys_cubic(m: Any, x: Array) -> Array:
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return m.where(x >= 2, m.zeros_like(x), m.where(x >= 1, far, near))


def _lanczos(m: Any, x: Array, radius: float) -> Array:
    """sinc(x) sinc(x / radius) within the radius."""
    angle = math.pi * m.maximum(x, 1e-3)
    wave = radius * m.sin(angle) * m.sin(angle / radius) / (angle * angle)
    return m.where(x > radius, m.zeros_like(x), m.where(x > 1e-3, wave, m.ones_like(x)))


def _mitchell_cubic(m: Any, x: Array) -> Array:
    near = (7 / 6 * x - 2) * x * x + 8 / 9
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return m.where(x >= 2, m.zeros_like(x), m.where(x >= 1, far, near))


def _gaussian(m: Any, x: Array) -> Array:
    """exp(-2 x^2): a deviation of a third of the radius."""
    return m.where(x >= 1.5, m.zeros_like(x), m.exp(-2 * x * x))


_PLAIN: dict[str, Callable[[int, int], Taps]] = {
    "bilinear": _bilinear,
    "bilinear from corners": _bilinear_from_corners,
    "bicubic": _bicubic,
    "area": _area,
}
"""{interpolation with a special kernel in TensorFlow, without antialiasing: its taps}."""

Kernel: TypeAlias = Callable[[Any, Any], Any]
"""(numpy or jax.numpy, distances from the pixel, at least 0) -> the weight of the pixel."""

KERNELS: dict[str, tuple[Kernel, float]] = {
    "bilinear": (lambda m, x: m.maximum(1 - x, 0), 1.0),
    "bicubic": (_keys_cubic, 2.0),
    "lanczos3": (functools.partial(_lanczos, radius=3.0), 3.0),
    "lanczos5": (functools.partial(_lanczos, radius=5.0), 5.0),
    "gaussian": (_gaussian, 1.5),
    "mitchellcubic": (_mitchell_cubic, 2.0),
}
"""{interpolation with a kernel that can be widened: (kernel, radius)}."""

INTERPOLATIONS = ("nearest", *KERNELS, "area")

BLURRING = ("gaussian", "mitchellcubic")
"""Interpolations that change even an image of the right size."""
