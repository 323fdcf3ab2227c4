"""Memory that is filled once: numbers that nobody can change."""

from __future__ import annotations

import contextlib
import mmap
import threading
from typing import Any

import numpy as np

BLOCK = 32 << 20
"""Bytes of a block, as far as that many are needed."""
SMALL = 2 << 20
"""Blocks of fewer bytes have no use for pages of 2 MiB."""
_ALIGNED = 64


class _Block(mmap.mmap):
    """Memory of a `Constants`, which alone writes to it."""


class Constants:
    """Copies of bytes that nobody can change.

    They share blocks in large pages, where the system has them: of ordinary ones the first touch takes three times as
    long as the copy. In a block each begins where a line of the cache does: a product with few rows takes a fifth less
    time so. A block goes when the last copy in it does.
    """

    def __init__(self, size: int) -> None:
        """size: how many bytes will be copied, at most about."""
        self._lock = threading.Lock()
        self._left = size if hasattr(mmap, "MADV_HUGEPAGE") else 0
        self._block: memoryview = memoryview(b"")

    def copy(self, data: memoryview) -> memoryview:
        """A copy of `data`, read-only."""
        if not data:
            return memoryview(b"")
        with self._lock:
            if len(data) > len(self._block):
                if self._left < min(len(data), SMALL):
                    return memoryview(bytes(data))
                size = max(len(data), min(BLOCK, self._left))
                self._left -= size
                self._block = _new(size)
            room, self._block = self._block[: len(data)], self._block[-(-len(data) // _ALIGNED) * _ALIGNED :]
        room[:] = data
        return room.toreadonly()


def _new(size: int) -> memoryview:
    block = _Block(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if size >= SMALL:
        with contextlib.suppress(OSError):  # a system without large pages
            block.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(block)


def constant(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same numbers where nobody can change them: the array itself, or a copy."""
    return array if is_constant(array) else np.ndarray(array.shape, array.dtype, array.tobytes())


def is_constant(array: np.ndarray[Any, Any]) -> bool:
    """Whether nobody can ever change an array: below it lie bytes, a file that is mapped to be read, or a copy."""
    memory: Any = array
    while isinstance(memory, np.ndarray):
        memory = memory.base
    if isinstance(memory, memoryview):
        if isinstance(memory.obj, _Block):
            return memory.readonly
        memory = memory.obj
    return isinstance(memory, bytes) or (isinstance(memory, mmap.mmap) and memoryview(memory).readonly)
