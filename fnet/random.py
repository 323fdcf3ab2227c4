"""A counter-based random generator (Threefry-2x32): same key, same bits, on both backends.

A key is uint32[2]. NumPy draws wherever the numbers of the key are known, also for JAX, which would compile each step
of it for each shape. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet.backend import ops, xp
from fnet.errors import InvalidInput
from fnet.types import Array

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def arrays_for(rng: Array) -> Any:
    """What draws from a key: NumPy, or the backend where the key is traced."""
    return xp if ops.is_traced(rng) else np


def key(seed: int | np.integer[Any]) -> Array:
    """uint32[2] from an integer seed. Raises InvalidInput for one of more than 64 bits."""
    seed = int(seed)
    if not -(1 << 63) <= seed < 1 << 64:
        raise InvalidInput(f"a seed has at most 64 bits; got {hex(seed):.40}")
    return ops.asarray(np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF], "uint32"))


def as_key(key_or_seed: Array | int | np.integer[Any]) -> Array:
    """uint32[2] from a key (on JAX also a typed one) or a seed of up to 64 bits. Raises InvalidInput for all else."""
    if isinstance(key_or_seed, int | np.integer):
        return key(key_or_seed)
    key_or_seed = ops.key_data(key_or_seed)
    dtype = getattr(getattr(key_or_seed, "dtype", None), "name", None)
    if dtype != "uint32" or key_or_seed.shape != (2,):
        shown = repr(key_or_seed) if dtype is None else f"{dtype}{list(key_or_seed.shape)}"
        raise InvalidInput(
            f"a key is an int or uint32[2]; got {shown:.60} (of a key of jax.random.key: jax.random.key_data(key))"
        )
    return key_or_seed


def fold_in(rng: Array, number: int | np.integer[Any] | Array) -> Array:
    """A new key from a key and a whole number, which JAX may trace: different numbers give independent keys."""
    traced = ops.is_traced(number)
    word: Any = number if traced else np.array(operator.index(number) & 0xFFFFFFFF)
    words = _threefry(rng, word.astype("uint32").reshape(1), np.ones(1, "uint32"))
    return ops.asarray((xp if traced else arrays_for(rng)).concatenate(words))


def split(rng: Array, count: int = 2) -> list[Array]:
    """`count` independent keys."""
    return [fold_in(rng, i) for i in range(count)]


def bits(rng: Array, shape: Sequence[int]) -> Array:
    """Uniform uint32 of `shape`."""
    return ops.asarray(_bits(rng, shape))


def uniform(rng: Array, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Array:
    """float32 in [low, high)."""
    return ops.asarray(_uniform(rng, shape) * (high - low) + low)


def normal(rng: Array, shape: Sequence[int]) -> Array:
    """Standard normal float32 (Box-Muller)."""
    first, second = split(rng)
    arrays = arrays_for(rng)
    radius = arrays.sqrt(-2.0 * arrays.log(1.0 - _uniform(first, shape)))
    return ops.asarray(radius * arrays.cos(2.0 * math.pi * _uniform(second, shape)))


def bernoulli(rng: Array, probability: float, shape: Sequence[int]) -> Array:
    """bool, True with `probability`."""
    return uniform(rng, shape) < probability


def _bits(rng: Array, shape: Sequence[int]) -> Any:
    size = math.prod(shape)
    counters = arrays_for(rng).arange((size + 1) // 2, dtype="uint32")
    words = _threefry(rng, counters, counters * 0)
    return arrays_for(rng).concatenate(words)[:size].reshape(tuple(shape))


def _uniform(rng: Array, shape: Sequence[int]) -> Any:
    """float32 in [0, 1)."""
    return (_bits(rng, shape) >> 8).astype("float32") * (1.0 / (1 << 24))


def _threefry(rng: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
    """The block function: 20 rounds on the counter words x0, x1 (uint32 arrays of one shape)."""
    rng = as_key(rng)
    rng = rng if ops.is_traced(rng) else ops.to_numpy(rng)
    k0, k1 = rng[0:1], rng[1:2]
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for distance in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << distance) | (x1 >> (32 - distance))) ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1
