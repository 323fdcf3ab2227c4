"""Pooling in NumPy: axis by axis, one tap of the window at a time, without padding anything. Channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Sizes = tuple[int, ...]
Pads = Sequence[tuple[int, int]]


def max_pool(x: Any, window: Sizes, strides: Sizes, padding: Pads) -> Any:
    """(n, *spatial, c) -> (n, *output, c): the maximum of each window; padding never wins, NaN always does."""
    return _pool(np.maximum, np.asarray(x), window, strides, padding)


def sum_pool(x: Any, window: Sizes, strides: Sizes, padding: Pads) -> Any:
    """(n, *spatial, c) -> (n, *output, c): the sum of each window, padding counting as 0."""
    return _pool(np.add, np.asarray(x), window, strides, padding)


def _pool(combine: np.ufunc, x: Any, window: Sizes, strides: Sizes, padding: Pads) -> Any:
    for axis, (size, stride, pads) in enumerate(zip(window, strides, padding, strict=True), start=1):
        x = _pool_axis(combine, x, axis, size, stride, pads)
    return x


def _pool_axis(combine: np.ufunc, x: Any, axis: int, window: int, stride: int, pads: tuple[int, int]) -> Any:
    """Windows along one axis. The tap at the first real element lies inside the input for every window, so it
    starts the result; each other tap is combined into the windows for which it lies inside."""
    size, before = x.shape[axis], pads[0]
    count = (size + sum(pads) - window) // stride + 1
    y = _tap(x, axis, 0, stride, count)
    owned = False
    for shift in (t - before for t in range(window) if t != before):
        first = max(0, -(shift // stride))
        last = min(count - 1, (size - 1 - shift) // stride)
        if last < first:
            continue
        source = _tap(x, axis, first * stride + shift, stride, last - first + 1)
        if not owned and last - first + 1 == count:
            y, owned = combine(y, source), True
            continue
        if not owned:
            y, owned = y.copy(), True
        target = y[(slice(None),) * axis + (slice(first, last + 1),)]
        combine(target, source, out=target)
    return y


def _tap(x: Any, axis: int, start: int, stride: int, count: int) -> Any:
    """`count` elements of an axis from `start` on, `stride` apart."""
    return x[(slice(None),) * axis + (slice(start, start + (count - 1) * stride + 1, stride),)]


def max_over(x: Any, axes: Sizes, keepdims: bool = False) -> Any:
    """The maximum over axes; NaN wins."""
    return np.max(x, axis=axes, keepdims=keepdims)
