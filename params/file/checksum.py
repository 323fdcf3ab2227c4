"""Bob Jenkins's lookup3 (2006, public domain), the checksum of HDF5's newer structures."""

from __future__ import annotations

import struct
from collections.abc import Iterator

WORD = 0xFFFFFFFF
WORDS = struct.Struct("<3I")


def _turned(x: int, by: int) -> int:
    return ((x << by) | (x >> (32 - by))) & WORD


def checksum(data: bytes | memoryview) -> int:
    """The checksum of some bytes, 32 bits."""
    a = b = c = (0xDEADBEEF + len(data)) & WORD
    if not len(data):
        return c
    whole = (len(data) - 1) // 12 * 12
    blocks: Iterator[tuple[int, int, int]] = WORDS.iter_unpack(data[:whole])
    for x, y, z in blocks:
        a, b, c = (a + x) & WORD, (b + y) & WORD, (c + z) & WORD
        a = (a - c) & WORD ^ ((c << 4) | (c >> 28)) & WORD
        c = (c + b) & WORD
        b = (b - a) & WORD ^ ((a << 6) | (a >> 26)) & WORD
        a = (a + c) & WORD
        c = (c - b) & WORD ^ ((b << 8) | (b >> 24)) & WORD
        b = (b + a) & WORD
        a = (a - c) & WORD ^ ((c << 16) | (c >> 16)) & WORD
        c = (c + b) & WORD
        b = (b - a) & WORD ^ ((a << 19) | (a >> 13)) & WORD
        a = (a + c) & WORD
        c = (c - b) & WORD ^ ((b << 4) | (b >> 28)) & WORD
        b = (b + a) & WORD
    last: tuple[int, int, int] = WORDS.unpack(bytes(data[whole:]).ljust(12, b"\0"))
    a, b, c = (a + last[0]) & WORD, (b + last[1]) & WORD, (c + last[2]) & WORD
    target, source, other = c, b, a
    for by in (14, 11, 25, 16, 4, 14, 24):
        target = ((target ^ source) - _turned(source, by)) & WORD
        target, source, other = other, target, source
    return source
