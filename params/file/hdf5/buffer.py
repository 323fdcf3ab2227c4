"""Bytes with bounds, and a budget for the work that their structure may ask for."""

from __future__ import annotations

import functools
import struct

from params.errors import CorruptFile, LimitExceeded

UNDEFINED = 0xFFFFFFFFFFFFFFFF
"""The address of what is not stored."""


class Buffer:
    """The bytes of a file: every access is checked, every structure may be entered once."""

    def __init__(self, data: memoryview, steps: int) -> None:
        self.data = data
        self.size = len(data)
        self._steps = steps
        self._entered: set[int] = set()

    def step(self, count: int = 1) -> None:
        """Count work against the budget."""
        self._steps -= count
        if self._steps < 0:
            raise LimitExceeded("its structure takes more steps to read than `Limits.steps` allows")

    def enter(self, address: int, what: str) -> None:
        """Note a structure that belongs to one owner only, so that nothing is shared and nothing can loop."""
        self.step()
        if address in self._entered:
            raise CorruptFile(f"the {what} at byte {address} is used twice")
        self._entered.add(address)

    def take(self, at: int, count: int) -> memoryview:
        """`count` bytes from `at`."""
        if at + count > self.size:
            raise CorruptFile(f"the file ends before byte {at + count}, at {self.size}: truncated?")
        return self.data[at : at + count]

    def signature(self, at: int, signature: bytes) -> None:
        """Check that the structure at `at` begins as it should."""
        if bytes(self.take(at, len(signature))) != signature:
            raise CorruptFile(f"no {signature.decode()} structure at byte {at}")


def unpack(layout: str, data: memoryview, at: int = 0) -> tuple[int, ...]:
    """Little-endian integers at `at`, with the bounds checked."""
    form = _form(layout)
    if at + form.size > len(data):
        raise CorruptFile("a structure ends before its fields do")
    return form.unpack_from(data, at)


@functools.lru_cache(maxsize=256)
def _form(layout: str) -> struct.Struct:
    return struct.Struct("<" + layout)


def integer(data: memoryview, at: int, size: int) -> int:
    """An unsigned integer of `size` bytes."""
    if at + size > len(data):
        raise CorruptFile("a structure ends before its fields do")
    return int.from_bytes(data[at : at + size], "little")


def expect(found: int, wanted: int | tuple[int, ...], what: str) -> None:
    """Check a version or constant."""
    if found not in (wanted if isinstance(wanted, tuple) else (wanted,)):
        raise CorruptFile(f"{what} {found} is unknown")
