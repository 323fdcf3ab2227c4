"""The hash functions of TensorFlow's string ops, vectorised over many strings: FarmHash, SipHash, crosses.

All arithmetic is modulo 2**64 on uint64 arrays with one element for each string. NumPy on both backends.
Sources: Pike, FarmHash (`Fingerprint64`, which is farmhashna's `Hash64`), 2014; Aumasson and Bernstein,
"SipHash: a fast short-input PRF", 2012.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

Words: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
"""uint64[n]: one word for each of n strings."""

_K0 = np.uint64(0xC3A5C85C97CB3127)
_K1 = np.uint64(0xB492B66FBE98F273)
_K2 = np.uint64(0x9AE16A3B2F90404F)
_CROSS = np.uint64(0xC6A4A7935BD1E995)


class _Strings:
    """Strings joined end to end, to read little-endian words at a position of each."""

    def __init__(self, strings: Sequence[bytes]) -> None:
        self.lengths = np.array([len(s) for s in strings], np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)
        self.bytes = np.frombuffer(b"".join(strings) + bytes(8), np.uint8)

    def word(self, which: Any, position: Any, size: int = 8) -> Words:
        """`size` bytes from `position` on, of each string in `which`."""
        index = (self.starts[which] + position)[:, None] + np.arange(size)
        word = np.zeros((len(index), 8), np.uint8)
        word[:, :size] = self.bytes[index]
        words: Words = word.view("<u8").reshape(-1)
        return words


# --- FarmHash -------------------------------------------------------------------------------------


def farmhash64(strings: Sequence[bytes]) -> Words:
    """FarmHash's Fingerprint64 of each string; `tf.strings.to_hash_bucket_fast` takes it modulo the buckets."""
    text = _Strings(strings)
    result = np.full(len(strings), _K2)
    for low, high, function in _FARM:
        which = np.flatnonzero((text.lengths >= low) & (text.lengths <= high))
        if which.size:
            result[which] = function(text, which, text.lengths[which])
    blocks = np.where(text.lengths > 64, (text.lengths - 1) // 64, 0)
    for count in np.unique(blocks[blocks > 0]).tolist():
        which = np.flatnonzero(blocks == count)
        result[which] = _farm_long(text, which, text.lengths[which], count)
    return result


def _rotate(x: Words, bits: int) -> Words:
    return (x >> np.uint64(bits)) | (x << np.uint64(64 - bits))


def _mix(x: Words) -> Words:
    return x ^ (x >> np.uint64(47))


def _hash16(u: Words, v: Words, multiplier: Words) -> Words:
    """The 128 bits (u, v) hashed to 64."""
    a = _mix((u ^ v) * multiplier)
    return _mix((v ^ a) * multiplier) * multiplier


def _multiplier(n: Any) -> Words:
    multiplier: Words = _K2 + n.astype(np.uint64) * np.uint64(2)
    return multiplier


def _farm_1_to_3(text: _Strings, which: Any, n: Any) -> Words:
    first, middle, last = (text.word(which, p, 1) for p in (0, n >> 1, n - 1))
    y = first + (middle << np.uint64(8))
    z = n.astype(np.uint64) + (last << np.uint64(2))
    return _mix(y * _K2 ^ z * _K0) * _K2


def _farm_4_to_7(text: _Strings, which: Any, n: Any) -> Words:
    first, last = text.word(which, 0, 4), text.word(which, n - 4, 4)
    return _hash16(n.astype(np.uint64) + (first << np.uint64(3)), last, _multiplier(n))


def _farm_8_to_16(text: _Strings, which: Any, n: Any) -> Words:
    m, a, b = _multiplier(n), text.word(which, 0) + _K2, text.word(which, n - 8)
    c = _rotate(b, 37) * m + a
    return _hash16(c, (_rotate(a, 25) + b) * m, m)


def _farm_17_to_32(text: _Strings, which: Any, n: Any) -> Words:
    m, a, b = _multiplier(n), text.word(which, 0) * _K1, text.word(which, 8)
    c, d = text.word(which, n - 8) * m, text.word(which, n - 16) * _K2
    return _hash16(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, m)


def _farm_33_to_64(text: _Strings, which: Any, n: Any) -> Words:
    m, a, b = _multiplier(n), text.word(which, 0) * _K2, text.word(which, 8)
    c, d = text.word(which, n - 8) * m, text.word(which, n - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _hash16(y, a + _rotate(b + _K2, 18) + c, m)
    e, f = text.word(which, 16) * m, text.word(which, 24)
    g, h = (y + text.word(which, n - 32)) * m, (z + text.word(which, n - 24)) * m
    return _hash16(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, m)


_FARM: tuple[tuple[int, int, Callable[..., Words]], ...] = (
    (1, 3, _farm_1_to_3),
    (4, 7, _farm_4_to_7),
    (8, 16, _farm_8_to_16),
    (17, 32, _farm_17_to_32),
    (33, 64, _farm_33_to_64),
)


def _weak32(text: _Strings, which: Any, at: Any, a: Words, b: Words) -> tuple[Words, Words]:
    """32 bytes from `at` on and two seeds, weakly hashed to two words."""
    w, x, y, z = (text.word(which, at + shift) for shift in (0, 8, 16, 24))
    a = a + w
    b = _rotate(b + a + z, 21)
    c = a
    a = a + x + y
    return a + z, b + _rotate(a, 44) + c


def _farm_long(text: _Strings, which: Any, n: Any, blocks: int) -> Words:
    """More than 64 bytes: 56 bytes of state mixed with each 64-byte block, then with the last 64 bytes."""
    seed = np.full(len(which), 81, np.uint64)
    y = seed * _K1 + np.uint64(113)
    z = _mix(y * _K2 + np.uint64(113)) * _K2
    v = w = (np.zeros_like(seed), np.zeros_like(seed))
    x = seed * _K2 + text.word(which, 0)
    for at in range(0, 64 * blocks, 64):
        x, y, z, v, w = _farm_round(text, which, at, (x, y, z, v, w), np.full_like(seed, _K1), np.uint64(1))
    m = _K1 + ((z & np.uint64(0xFF)) << np.uint64(1))
    w0 = w[0] + ((n - 1) & 63).astype(np.uint64)
    v0 = v[0] + w0
    w0 = w0 + v0
    x, y, z, v, w = _farm_round(text, which, n - 64, (x, y, z, (v0, v[1]), (w0, w[1])), m, np.uint64(9))
    return _hash16(_hash16(v[0], w[0], m) + _mix(y) * _K0 + z, _hash16(v[1], w[1], m) + x, m)


def _farm_round(text: _Strings, which: Any, at: Any, state: Any, m: Words, nine: Any) -> Any:
    """The state mixed with one 64-byte block; the last round multiplies two words by nine."""
    x, y, z, v, w = state
    x = _rotate(x + y + v[0] + text.word(which, at + 8), 37) * m
    y = _rotate(y + v[1] + text.word(which, at + 48), 42) * m
    x = x ^ (w[1] * nine)
    y = y + v[0] * nine + text.word(which, at + 40)
    z = _rotate(z + w[0], 33) * m
    v = _weak32(text, which, at, v[1] * m, x + w[0])
    w = _weak32(text, which, at + 32, z + w[1], y + text.word(which, at + 16))
    return z, y, x, v, w


# --- SipHash --------------------------------------------------------------------------------------


def siphash64(strings: Sequence[bytes], key: Sequence[int]) -> Words:
    """SipHash-2-4 of each string under two key words: what `tf.strings.to_hash_bucket_strong` uses."""
    k0, k1 = (np.uint64(int(k) & 0xFFFFFFFFFFFFFFFF) for k in key)
    order = np.argsort([-len(s) for s in strings], kind="stable")
    text = _Strings([strings[i] for i in order])
    words = text.lengths // 8
    start = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    state = [np.full(len(order), np.uint64(c) ^ k) for c, k in zip(start, (k0, k1, k0, k1), strict=True)]
    for i in range(int(words.max(initial=0))):
        active = slice(0, int(np.searchsorted(-words, -i)))  # longest first: the strings with a word i
        _compress([v[active] for v in state], text.word(active, 8 * i), rounds=2)
    _compress(state, _sip_tail(text, words), rounds=2)
    state[2] ^= np.uint64(0xFF)
    _compress(state, np.zeros_like(state[0]), rounds=4)
    result = np.empty_like(state[0])
    result[order] = state[0] ^ state[1] ^ state[2] ^ state[3]
    return result


def _sip_tail(text: _Strings, words: Any) -> Words:
    """The last word: the bytes that are left (at most 7), and the length in the top byte."""
    left = (text.lengths - 8 * words).astype(np.uint64)
    tail: Words = text.word(slice(None), 8 * words) & ((np.uint64(1) << (np.uint64(8) * left)) - np.uint64(1))
    tail |= text.lengths.astype(np.uint64) << np.uint64(56)
    return tail


def _compress(state: list[Words], word: Words, rounds: int) -> None:
    """`rounds` SipRounds over the state with `word` mixed in; changes the arrays of `state`."""
    a, b, c, d = state
    d ^= word
    for _ in range(rounds):
        a += b
        c += d
        b[:] = _rotate(b, 51) ^ a
        d[:] = _rotate(d, 48) ^ c
        a[:] = _rotate(a, 32)
        c += b
        a += d
        b[:] = _rotate(b, 47) ^ c
        d[:] = _rotate(d, 43) ^ a
        c[:] = _rotate(c, 32)
    a ^= word


# --- crosses --------------------------------------------------------------------------------------


def cross64(columns: Sequence[Words]) -> Words:
    """One fingerprint for each row of several columns of fingerprints, as `tf.sparse.cross_hashed` makes it."""
    result = np.full(len(columns[0]), np.uint64(0xDECAFCAFFE))
    for column in columns:
        mixed = result ^ _CROSS ^ (_mix(column * _CROSS) * _CROSS)
        result = _mix(_mix(mixed * _CROSS) * _CROSS)
    return result
