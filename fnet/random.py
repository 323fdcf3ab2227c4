"""A counter-based random generator (Threefry-2x32) written in `xp`: same key, same bits, on both backends.

A key is uint32[2]. Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fnet.backend import ops, xp
from fnet.errors import InvalidInput
from fnet.types import Array

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def key(seed: int) -> Array:
    """uint32[2] from an integer seed."""
    return ops.asarray([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF], "uint32")


def as_key(key_or_seed: Array | int) -> Array:
    """uint32[2] from a key (on JAX also a typed one) or a seed. Raises InvalidInput for any other array."""
    if isinstance(key_or_seed, int):
        return key(key_or_seed)
    key_or_seed = ops.key_data(key_or_seed)
    if getattr(key_or_seed, "shape", None) != (2,):
        shown = f"{key_or_seed.dtype}{list(key_or_seed.shape)}" if hasattr(key_or_seed, "shape") else repr(key_or_seed)
        raise InvalidInput(
            f"a key is an int or uint32[2]; got {shown} (of a key of jax.random.key: jax.random.key_data(key))"
        )
    return key_or_seed


def fold_in(rng: Array, number: int) -> Array:
    """A new key from a key and a number: different numbers give independent keys."""
    return xp.concatenate(_threefry(rng, ops.asarray([number & 0xFFFFFFFF], "uint32"), ops.asarray([1], "uint32")))


def split(rng: Array, count: int = 2) -> list[Array]:
    """`count` independent keys."""
    return [fold_in(rng, i) for i in range(count)]


def bits(rng: Array, shape: Sequence[int]) -> Array:
    """Uniform uint32 of `shape`."""
    size = math.prod(shape)
    half = (size + 1) // 2
    counters = xp.arange(half, dtype="uint32")
    words = _threefry(rng, counters, xp.zeros_like(counters))
    return xp.concatenate(words)[:size].reshape(tuple(shape))


def uniform(rng: Array, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Array:
    """float32 in [low, high)."""
    unit = (bits(rng, shape) >> 8).astype("float32") * (1.0 / (1 << 24))
    return unit * (high - low) + low


def normal(rng: Array, shape: Sequence[int]) -> Array:
    """Standard normal float32 (Box-Muller)."""
    first, second = split(rng)
    radius = xp.sqrt(-2.0 * xp.log(1.0 - uniform(first, shape)))
    return radius * xp.cos(2.0 * math.pi * uniform(second, shape))


def bernoulli(rng: Array, probability: float, shape: Sequence[int]) -> Array:
    """bool, True with `probability`."""
    return uniform(rng, shape) < probability


def _threefry(rng: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
    """The block function: 20 rounds on the counter words x0, x1 (uint32 arrays of one shape)."""
    k0, k1 = rng[0:1], rng[1:2]
    schedule = (k0, k1, k0 ^ k1 ^ ops.asarray([0x1BD11BDA], "uint32"))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for distance in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << distance) | (x1 >> (32 - distance))) ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + ops.asarray([group + 1], "uint32")
    return x0, x1
