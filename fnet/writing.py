"""Atomic writes: the only place where the project overwrites files of users.

A file is written under a temporary name next to its target, flushed, read back, then moved into place. Owner, mode and
links of an older file stay; only regular files are replaced. Temporary files of killed processes are removed by the
next write to the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NO_LOCKS = ("win32", "wasi")
"""Platforms without `flock`, and where folders cannot be flushed."""
if sys.platform not in NO_LOCKS:
    import fcntl

PREFIX, SUFFIX = ".fnet-", ".tmp"
"""Around the name of a temporary file, which is short whatever the name of the target."""
BLOCK = 1 << 20


FORMATS = {
    ".safetensors": "fnet.save writes it",
    ".keras": "fnet.to_keras writes it",
    ".h5": "Keras writes it, from the .keras of fnet.to_keras",
    ".onnx": "fnet.to_onnx writes it",
    ".stablehlo": "fnet.to_stablehlo writes it",
}
"""{suffix of a format of models: what writes it}."""
BEGIN = b'\0\0\0{"'
"""Bytes 5 to 9 of a `.safetensors`, whose header is shorter than a terabyte."""


def is_saved(source: Any) -> bool:
    """Whether a path is that of a `.safetensors`, by its name or by how the file begins, or bytes begin so: with the
    length of a header, eight bytes, and the header, an object."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[5:10]) == BEGIN
    path = Path(source if isinstance(source, str | os.PathLike) else "")
    if path.suffix.lower() == ".safetensors" or not path.is_file():
        return path.suffix.lower() == ".safetensors"
    with path.open("rb") as file:
        return file.read(10)[5:] == BEGIN


def require_format(path: str | os.PathLike[str], own: str) -> None:
    """Raise ValueError for a file name of another model format."""
    suffix = Path(path).suffix.lower()
    if suffix in FORMATS and suffix != own:
        raise ValueError(
            f"{FORMATS[own].removesuffix('it')}a {own} file, and {suffix} is another format: {FORMATS[suffix]}"
        )


def write(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write `data` to `path`, completely or not at all; the file survives a power cut.

    A link is followed. An older file keeps its owner and mode; one with several hard links, or of another owner, is
    overwritten in place once all bytes are on the disk. Raises OSError, which names `path`: not a regular file, no
    permission, a full disk.
    """
    target = Path(os.path.realpath(path))
    with naming(path):
        status = target.stat() if target.exists() else None
        if status is not None:
            _check_target(target, status)
        _clean(target.parent)
        with _temporary(target.parent, 0o666 if status is None else 0o600) as (number, temporary):
            _fill(number, memoryview(data))
            _check(temporary, memoryview(data))
            if status is None or _takes_over(number, status):
                temporary.replace(target)
            else:
                _overwrite(target, memoryview(data))
        _flush_folder(target.parent)


def lock(number: int) -> bool:
    """Lock an open file until it is closed; False if another process has. True where there are no locks."""
    if sys.platform not in NO_LOCKS:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # file systems without locks
    return True


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the operating system in a `with` block name the file of the user, not the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _check_target(target: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file, so not written over", str(target))
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


@contextlib.contextmanager
def _temporary(folder: Path, mode: int) -> Iterator[tuple[int, Path]]:
    """(descriptor, path) of a new temporary file, locked until the block ends; removed unless it was moved away."""
    path = folder / f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}"
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        if sys.platform not in NO_LOCKS:
            with contextlib.suppress(OSError):  # file systems without locks
                fcntl.flock(number, fcntl.LOCK_EX)
        yield number, path
    finally:
        try:
            os.close(number)
        finally:
            path.unlink(missing_ok=True)


def _clean(folder: Path) -> None:
    """Remove temporary files that no process has locked: killed processes left them."""
    if sys.platform in NO_LOCKS:
        return
    for path in folder.glob(f"{PREFIX}{'[0-9a-f]' * 16}{SUFFIX}"):
        with contextlib.suppress(OSError):
            number = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(number).st_size or _is_old(number):
                    path.unlink()
            finally:
                os.close(number)


def _is_old(number: int) -> bool:
    """Whether an empty file is old: a new one may be about to be locked."""
    import time

    return time.time() - os.fstat(number).st_mtime > 60


def _fill(number: int, data: memoryview) -> None:
    left = data.cast("B")
    while left:
        left = left[os.write(number, left[:BLOCK]) :]
    os.fsync(number)


def _check(path: Path, data: memoryview) -> None:
    """Compare a file with `data`."""
    expected = data.cast("B")
    with path.open("rb") as file:
        at = 0
        while block := file.read(BLOCK):
            if block != expected[at : at + len(block)]:
                break
            at += len(block)
    if at != len(expected):
        raise OSError(errno.EIO, "what was written does not read back; is the disk failing?", str(path))


def _takes_over(number: int, status: os.stat_result) -> bool:
    """Give the new file the owner and mode of the old one; whether that was possible."""
    if os.name != "posix":
        return True
    own = os.fstat(number)
    if status.st_nlink > 1:
        return False
    try:
        if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(number, status.st_uid, status.st_gid)
    except PermissionError:
        return False
    os.fchmod(number, stat.S_IMODE(status.st_mode))
    return True


def _overwrite(target: Path, data: memoryview) -> None:
    """Write `data` into the file itself; its old content is restored on failure."""
    before = target.read_bytes()
    number = os.open(target, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        try:
            _refill(number, data)
        except BaseException:
            _refill(number, memoryview(before))
            raise
    finally:
        os.close(number)


def _refill(number: int, data: memoryview) -> None:
    os.lseek(number, 0, os.SEEK_SET)
    os.ftruncate(number, 0)
    _fill(number, data)


def _flush_folder(folder: Path) -> None:
    """Make a move durable, on systems where a folder can be opened and flushed."""
    if os.name != "posix" or sys.platform in NO_LOCKS:
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
