"""Locks for folders: one process at a time writes to them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from train_keras.errors import RunLocked

LOCK = "lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder; the system releases it when the process ends, however it ends. Raises RunLocked."""
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunLocked(f"another process trains in {folder}; wait for it, or use another folder") from None
    try:
        yield
    finally:
        lock.release()
