"""Constant arrays: memory that is written once and cannot be changed afterwards."""

from __future__ import annotations

import contextlib
import mmap
import threading
from typing import Any

import numpy as np

BLOCK = 32 << 20
"""Bytes of a block, unless fewer are needed."""
SMALL = 2 << 20
"""Smaller blocks do not benefit from pages of 2 MiB."""
_ALIGNED = 64


class _Block(mmap.mmap):
    """Memory of a `Constants`, which alone writes to it."""


class Constants:
    """Makes copies of bytes that cannot be changed.

    They share blocks in large pages, where the system has them: the first access to ordinary pages takes three times as
    long as the copy. Each copy begins at a cache line, which makes a product with few rows a fifth faster. A block is
    freed with the last copy in it.
    """

    def __init__(self, size: int) -> None:
        """size: about how many bytes will be copied at most."""
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
    """An array of the same numbers that cannot be changed: the array itself, or a copy."""
    return array if is_constant(array) else np.ndarray(array.shape, array.dtype, array.tobytes())


def is_constant(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array can never change: its memory is `bytes`, a read-only memory map, or made by `Constants`."""
    memory: Any = array
    while isinstance(memory, np.ndarray):
        memory = memory.base
    if isinstance(memory, memoryview):
        if isinstance(memory.obj, _Block):
            return memory.readonly
        memory = memory.obj
    return isinstance(memory, bytes) or (isinstance(memory, mmap.mmap) and memoryview(memory).readonly)
