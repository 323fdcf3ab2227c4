"""Keras's default initializers, by name: (key, shape) -> float32 array."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fnet import random
from fnet.types import Array


def _fans(shape: Sequence[int]) -> tuple[float, float]:
    """(fan in, fan out) as Keras computes them: a kernel is (*receptive field, in, out)."""
    if len(shape) < 2:
        fan = float(shape[0]) if shape else 1.0
        return fan, fan
    field = math.prod(shape[:-2])
    return float(field * shape[-2]), float(field * shape[-1])


def glorot_uniform(key: Array, shape: Sequence[int]) -> Array:
    """Uniform in +-sqrt(6 / (fan in + fan out)). Source: Glorot and Bengio 2010."""
    limit = math.sqrt(6.0 / max(1.0, sum(_fans(shape))))
    return random.uniform(key, shape, -limit, limit)


def orthogonal(key: Array, shape: Sequence[int]) -> Array:
    """Orthonormal rows or columns of the matrix (prod(shape[:-1]), shape[-1]). Source: Saxe et al. 2014."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    normal = random.normal(key, (max(rows, columns), min(rows, columns)))
    arrays = random.arrays_for(key)
    q, r = arrays.linalg.qr(normal)
    q = q * arrays.sign(arrays.diagonal(r))
    return (q if rows >= columns else q.T).reshape(tuple(shape))


def uniform(key: Array, shape: Sequence[int]) -> Array:
    """Uniform in +-0.05, Keras's default for embeddings."""
    return random.uniform(key, shape, -0.05, 0.05)


def zeros(key: Array, shape: Sequence[int]) -> Array:
    """All zero."""
    return random.arrays_for(key).zeros(tuple(shape), "float32")


def ones(key: Array, shape: Sequence[int]) -> Array:
    """All one."""
    return random.arrays_for(key).ones(tuple(shape), "float32")


def unit_forget(key: Array, shape: Sequence[int]) -> Array:
    """Bias of an LSTM (..., 4 units; gates i, f, c, o): one for the forget gate, else zero."""
    units = shape[-1] // 4
    return ones(key, shape) * (np.arange(shape[-1]) // units == 1)


INITIALIZERS: dict[str, Callable[[Array, Sequence[int]], Array]] = {
    f.__name__: f for f in (glorot_uniform, orthogonal, uniform, zeros, ones, unit_forget)
}
