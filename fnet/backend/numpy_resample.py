"""Resampling along an axis for NumPy: one image at a time, in buffers that stay in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np


def weighted_take(x: Any, axis: int, pixels: Any, weights: Any, lerp: bool) -> Any:
    """sum_k x[pixels[k]] * weights[k] along `axis`; `lerp`: of two, as a + (b - a) * weights[1].

    x: (..., n, ...) of floats. pixels: int64[k, out]. weights: [k, ...] of the rank of `x` after the first axis.
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
