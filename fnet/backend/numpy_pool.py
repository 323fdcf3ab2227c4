"""Pooling in NumPy: axis by axis, one tap of the window at a time, without padding anything. Channels last."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

Sizes = tuple[int, ...]
Pads = Sequence[tuple[int, int]]


def _pool(combine: np.ufunc, x: Any, window: Sizes, strides: Sizes, padding: Pads) -> Any:
    """Along one axis after the other. The tap at the first real element lies inside the input for every window, so it
    starts the result; each other tap is combined into the windows for which it lies inside."""
    for axis, (size, stride, pads) in enumerate(zip(window, strides, padding, strict=True), start=1):
        start, taps = _taps(x.shape[axis], size, stride, pads)
        before = (slice(None),) * axis
        y, owned = x[(*before, start)], False
        for source, target in taps:
            if target is None and not owned:
                y, owned = combine(y, x[(*before, source)]), True
                continue
            if not owned:
                y, owned = y.copy(), True
            part = y if target is None else y[(*before, target)]
            combine(part, x[(*before, source)], out=part)
        x = y
    return x


max_pool = functools.partial(_pool, np.maximum)
"""(n, *spatial, c) -> (n, *output, c): the maximum of each window; padding never wins, NaN always does."""

sum_pool = functools.partial(_pool, np.add)
"""(n, *spatial, c) -> (n, *output, c): the sum of each window, padding counting as 0."""


@functools.lru_cache(maxsize=1024)
def _taps(size: int, window: int, stride: int, pads: tuple[int, int]) -> tuple[slice, list[tuple[slice, slice | None]]]:
    """(elements at the first real tap, [(elements at another tap, the windows that they belong to; None: all)])."""
    count = (size + sum(pads) - window) // stride + 1
    taps: list[tuple[slice, slice | None]] = []
    for shift in range(max(-pads[0], (1 - count) * stride), min(window - pads[0], size)):
        first = max(0, -(shift // stride))
        last = min(count - 1, (size - 1 - shift) // stride)
        if shift and first <= last:
            whole = last - first + 1 == count
            taps.append(
                (_spaced(first * stride + shift, stride, last - first + 1), None if whole else slice(first, last + 1))
            )
    return _spaced(0, stride, count), taps


def _spaced(start: int, stride: int, count: int) -> slice:
    """`count` elements from `start` on, `stride` apart."""
    return slice(start, start + (count - 1) * stride + 1, stride)


def max_over(x: Any, axes: Sizes, keepdims: bool) -> Any:
    """The maximum over axes; NaN wins."""
    return np.max(x, axis=axes, keepdims=keepdims)
