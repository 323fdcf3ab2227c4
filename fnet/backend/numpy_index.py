"""NumPy: gathering, scattering, blocks at computed places, and functions that NumPy does not have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_BY = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def take_axis(x: Any, indices: Any, axis: int) -> Any:
    """Entries of `axis`; negative indices count from the end, one that is too large is an IndexError."""
    return np.take(x, indices, axis=axis)


def weighted_take(x: Any, axis: int, pixels: Any, weights: Any, lerp: bool) -> Any:
    """sum_k x[pixels[k]] * weights[k] along `axis`; `lerp`: of two, as a + (b - a) * weights[1].

    x: (..., n, ...) of floats. pixels: int64[k, out]. weights: [k, ...] of the rank of `x` after the first axis.
    One image at a time is resampled, in buffers that stay in the cache.
    """
    out = np.empty((*x.shape[:axis], pixels.shape[1], *x.shape[axis + 1 :]), x.dtype)
    if axis == 0:
        _one(x, 0, pixels, weights, lerp, out, np.empty_like(out))
        return out
    buffer = np.empty(out.shape[1:], x.dtype)
    for source, into in zip(x, out, strict=True):
        _one(source, axis - 1, pixels, weights[:, 0], lerp, into, buffer)
    return out


def _one(x: Any, axis: int, pixels: Any, weights: Any, lerp: bool, out: Any, buffer: Any) -> None:
    np.take(x, pixels[0], axis, out, "clip")
    if lerp:
        np.take(x, pixels[1], axis, buffer, "clip")
        buffer -= out
        buffer *= weights[1]
        out += buffer
        return
    out *= weights[0]
    for index, weight in zip(pixels[1:], weights[1:], strict=True):
        np.take(x, index, axis, buffer, "clip")
        buffer *= weight
        out += buffer


def scatter(x: Any, indices: Any, updates: Any, by: str) -> Any:
    """`x` with `updates` at `indices` (..., depth), put there ("set") or combined by "add", "max", "min", "mul"."""
    y = np.array(x)
    place = tuple(np.moveaxis(indices, -1, 0))
    if by == "set":
        y[place] = updates
    else:
        _BY[by].at(y, place, updates)
    return y


def dynamic_slice(x: Any, starts: Any, shape: Sequence[int]) -> Any:
    """The block of `shape` that begins at `starts`; an IndexError where it is not inside `x`."""
    ends = [int(start) + size for start, size in zip(starts, shape, strict=True)]
    if any(not size <= end <= there for size, end, there in zip(shape, ends, x.shape, strict=True)):
        raise IndexError(f"a block of {tuple(shape)} at {tuple(map(int, starts))} is not inside {x.shape}")
    return x[tuple(slice(end - size, end) for size, end in zip(shape, ends, strict=True))]


def dynamic_update_slice(x: Any, updates: Any, starts: Any) -> Any:
    """`x` with the block that begins at `starts`, or else at the next place inside `x`, replaced."""
    y = np.array(x)
    ends = [min(max(int(s), 0) + k, n) for s, k, n in zip(starts, updates.shape, x.shape, strict=True)]
    y[tuple(slice(end - k, end) for k, end in zip(updates.shape, ends, strict=True))] = updates
    return y


def stop_gradient(x: Any) -> Any:
    """`x` itself: NumPy has no gradients."""
    return x


_ERFINV_CENTER = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_ERFINV_TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def erfinv(x: Any) -> Any:
    """The inverse of erf: Giles' polynomials, then two Newton steps in float64. Source: Giles 2012."""
    exact = np.asarray(x, np.float64)
    w = -np.log1p(-exact * exact)
    y = exact * np.where(w < 5, np.polyval(_ERFINV_CENTER, w - 2.5), np.polyval(_ERFINV_TAIL, np.sqrt(w) - 3))
    error = np.vectorize(math.erf, otypes=[np.float64])
    for _ in range(2):
        y = y - (error(y) - exact) * (math.sqrt(math.pi) / 2) * np.exp(y * y)
    y = np.where(np.abs(exact) == 1, np.copysign(np.inf, exact), y)
    return y.astype(np.asarray(x).dtype)


def lgamma(x: Any) -> Any:
    """log|gamma(x)|, infinite at 0, -1, -2, ..."""
    x = np.asarray(x)
    return np.vectorize(_lgamma, otypes=[np.float64])(x).astype(x.dtype)


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):
        return math.inf


_DIGAMMA = (-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12, 0)
"""-B(2k) / 2k, the last first: digamma(x) = log(x) - 1 / 2x plus their sum over x^2k."""


def digamma(x: Any) -> Any:
    """The derivative of lgamma, NaN at 0, -1, -2, ...: reflected to x > 0, raised to x >= 8, then asymptotic."""
    exact = np.asarray(x, np.float64)
    below = exact <= 0
    z, y = np.where(below, 1 - exact, exact), np.zeros(exact.shape)
    for _ in range(8):
        low = z < 8
        y, z = np.where(low, y - 1 / z, y), np.where(low, z + 1, z)
    y = y + np.log(z) - 0.5 / z + np.polyval(_DIGAMMA, 1 / (z * z))
    whole = exact == np.floor(exact)
    y = np.where(below, np.where(whole, np.nan, y - np.pi / np.tan(np.pi * np.where(whole, 0.5, exact))), y)
    return y.astype(np.asarray(x).dtype)


def lu(x: Any) -> tuple[Any, Any]:
    """(L below and U on and above the diagonal, int32 row order) of matrices, by partial pivoting."""
    y = np.array(x)
    *batch, rows, columns = y.shape
    order = np.broadcast_to(np.arange(rows, dtype=np.int32), (*batch, rows)).copy()
    for k in range(min(rows, columns)):
        pivot = np.argmax(np.abs(y[..., k:, k]), axis=-1)[..., None] + k
        for a in (y, order[..., None]):
            upper = a[..., k : k + 1, :].copy()
            lower = np.take_along_axis(a, pivot[..., None], axis=-2)
            np.put_along_axis(a, pivot[..., None], upper, axis=-2)
            a[..., k : k + 1, :] = lower
        y[..., k + 1 :, k] /= y[..., k : k + 1, k]
        y[..., k + 1 :, k + 1 :] -= y[..., k + 1 :, k : k + 1] * y[..., k : k + 1, k + 1 :]
    return y, order
