"""The processors that this process may use, and the threads of the BLAS that NumPy calls."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

_CGROUPS = "/sys/fs/cgroup"

_lock = threading.Lock()
_inside = 0
"""How many calls run now with one BLAS thread; the first sets it, the last puts back what was there before."""
_before = 1


def count() -> int:
    """How many processors this process may use: by its affinity, the quota of its container, and BLAS's threads.

    BLAS's number is that of `OPENBLAS_NUM_THREADS` or `OMP_NUM_THREADS`, or what the host has set. 1 where the BLAS
    is none whose threads can be set.
    """
    blas = _blas()
    if blas is None:
        return 1
    with _lock:
        threads = _before if _inside else blas[0]()
    return max(1, min(allowed(), threads))


def settable() -> bool:
    """Whether the threads of NumPy's BLAS can be set, so that rows can be shared out to threads."""
    return _blas() is not None


class _OneBlasThread:
    """BLAS with one thread while the last of these is left, whatever thread enters it; then as before."""

    def __enter__(self) -> None:
        global _inside, _before
        blas = _blas()
        if blas is None:
            return
        with _lock:
            if not _inside:
                _before = blas[0]()
                if _before != 1:
                    blas[1](1)
            _inside += 1

    def __exit__(self, *error: object) -> None:
        global _inside
        blas = _blas()
        if blas is None:
            return
        with _lock:
            _inside -= 1
            if not _inside and _before != 1:
                blas[1](_before)


one_blas_thread = _OneBlasThread()
"""The one that all enter; a context of contextlib would take three times as long."""


@functools.cache
def _blas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """(get, set) of the number of threads of the OpenBLAS that is loaded, or None."""
    for path in _libraries():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
            get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            put = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            if get is not None and put is not None:
                return get, put
    return None


def _libraries() -> list[str]:
    """Files that may be the OpenBLAS of NumPy: those of its wheels, and on Linux what the process has mapped."""
    home, wheels = os.path.dirname(np.__file__), list[str]()
    for folder in (os.path.join(os.path.dirname(home), "numpy.libs"), os.path.join(home, ".dylibs")):
        with contextlib.suppress(OSError):
            wheels += [os.path.join(folder, name) for name in os.listdir(folder) if "openblas" in name]
    maps = _read("/proc/self/maps").splitlines()
    mapped = {line[line.index("/") :] for line in maps if "blas" in line and "/" in line}
    return [*wheels, *sorted(mapped)]


@functools.cache
def allowed() -> int:
    """Processors by affinity and quota; the quota of a container changes rarely, so it is read once."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(affinity or 1, _quota())


def _quota() -> int:
    """Processors that the control groups of this process grant, rounded up; many where there is no limit."""
    granted = [1 << 20]
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        for part in ("", *_above(place)):
            folder = os.path.join(_CGROUPS, controllers, part)
            limit = _read(os.path.join(folder, "cpu.max")) or " ".join(
                _read(os.path.join(folder, f"cpu.cfs_{name}_us")) for name in ("quota", "period")
            )
            numbers = limit.split()
            if len(numbers) == 2 and numbers[0].isdecimal() and numbers[1].isdecimal():
                granted.append(math.ceil(int(numbers[0]) / int(numbers[1])))
    return min(granted)


def _above(place: str) -> list[str]:
    """ "/a/b" -> ["a", "a/b"]."""
    parts = [part for part in place.split("/") if part]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _forked() -> None:
    """In the child of a fork nobody else is inside."""
    global _lock, _inside
    _lock = threading.Lock()
    if _inside and (blas := _blas()) is not None:
        blas[1](_before)
    _inside = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
