"""Where the parts of a model file are: a zip, a folder, a single HDF5 file. Nothing is ever extracted.

Each container gives parts by fixed names and the vocabulary files; sizes are checked before bytes are read.
"""

from __future__ import annotations

import io
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol

from fnet.records import dataclass
from params.errors import CorruptFile, LimitExceeded, UnsafeFile, quoted
from params.file.model_file import Limits

if TYPE_CHECKING:
    import zipfile

MAP_FROM = 32 << 20
"""Files of at least this many bytes are memory-mapped, smaller ones read."""
NEXT = 1 << 20
LARGEST_DIRECTORY = 1 << 20
"""Bytes of a zip's list of entries: about ten thousand of them."""
SMALL = 16 << 20
LARGEST_RATIO = 200
"""Members that unpack to more than SMALL bytes may do so by this factor; weights hardly deflate at all."""
VOCABULARY = "vocabulary.txt"
THREAD_FROM = 4 << 20
"""Bytes of a member whose checksum takes long enough for a thread of its own."""
STORED, DEFLATED = 0, 8
"""Compressions of zip members that are read."""
ENCRYPTED = 0x1 | 0x40 | 0x2000
"""Flag bits of encrypted zip members."""


class Container(Protocol):
    """What `read` asks of a container."""

    def names(self) -> list[str]:
        """The names of all parts."""

    def get(self, name: str, most: int) -> memoryview:
        """The bytes of a part of at most `most` bytes; KeyError where there is none."""


def content(path: Path, most: int) -> memoryview:
    """The bytes of a regular file, memory-mapped when it is large."""
    with path.open("rb") as file:
        return file_content(file, most)


def file_content(file: BinaryIO, most: int) -> memoryview:
    """The bytes of an open file from its position on, memory-mapped when it is a large file on disk.

    Pipes, sockets and whatever else has a `read` are read to their end; devices, which have none, are refused.
    """
    if not isinstance(getattr(file, "raw", file), io.FileIO):
        return _read(file, most)  # a GzipFile has a fileno() too: of what is compressed
    status = os.fstat(file.fileno())
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        raise CorruptFile("a device, not a regular file")
    if status.st_size > most:
        raise LimitExceeded(f"{status.st_size} bytes; `Limits.total` allows {most}")
    if status.st_size >= MAP_FROM and file.tell() == 0:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return _read(file, most, status.st_size + 1)


def _read(file: BinaryIO, most: int, block: int = MAP_FROM) -> memoryview:
    """All bytes up to the end; one `read` of a pipe or socket may give fewer than asked for.

    block: how many to ask for first. Later reads ask for less, as what is asked for is allocated also at the end.
    """
    parts: list[bytes] = []
    left = most + 1
    while left:
        data = file.read(min(left, block))
        if not isinstance(data, bytes):
            raise TypeError(f"a model file must be opened in binary mode; reading it gave {type(data).__name__}")
        if not data:
            return memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        parts.append(data)
        left, block = left - len(data), NEXT
    raise LimitExceeded(f"more than the {most} bytes that `Limits.total` allows")


@dataclass(frozen=True, slots=True)
class Folder:
    """The parts of a `.keras` as files of a folder (`zipped=False`, and on the Hugging Face Hub)."""

    root: Path

    def names(self) -> list[str]:
        """The files at the top and below `assets`."""
        top = [entry.name for entry in self.root.iterdir() if entry.is_file()]
        below = [path.relative_to(self.root).as_posix() for path in (self.root / "assets").rglob(VOCABULARY)]
        return sorted(top + below)

    def get(self, name: str, most: int) -> memoryview:
        """The bytes of a file."""
        path = self.root / name
        target = path.resolve()
        if not target.is_file():
            raise KeyError(name)
        if not any(target.is_relative_to(home) for home in self._homes()):
            raise UnsafeFile(f"{quoted(name)} is a link to a file outside the model's folder")
        return content(target, most)

    def _homes(self) -> list[Path]:
        """Where files may really be: the folder, or the blobs next to it in a cache of the Hub."""
        root = self.root.resolve()
        in_cache = root.parent.name == "snapshots"
        return [root, root.parent.parent / "blobs"] if in_cache else [root]


class _Bounded(io.RawIOBase):
    """A window on bytes for `zipfile`, which reads a zip's whole list of entries at once."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data = data
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data)}[whence]
        if base + offset < 0:
            raise ValueError("a zip's list of entries lies before its begin")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        most = len(self._data) - self._at if count < 0 else count
        if most > LARGEST_DIRECTORY:
            raise LimitExceeded(f"a zip whose list of entries takes more than {LARGEST_DIRECTORY} bytes")
        data = bytes(self._data[self._at : self._at + most])
        self._at += len(data)
        return data


class Zip:
    """The members of a zip, after a look at all of them: plain names, no overlap, no trick."""

    def __init__(self, data: memoryview, limits: Limits, checks: list[Callable[[], None]]) -> None:
        """checks: gets those of large members, which threads have begun; each is to be called before all is done."""
        self._data = data
        self._checks = checks
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in _entries(data):
            _check_member(info)
            if info.filename in self._members:
                raise UnsafeFile(f"two members of the zip are called {quoted(info.filename)}")
            self._members[info.filename] = info
        if len(self._members) > limits.steps:
            raise LimitExceeded(f"{len(self._members)} members in the zip")
        self._starts = _starts(data, list(self._members.values()))
        total = sum(info.file_size for info in self._members.values())
        if total > limits.total:
            raise LimitExceeded(f"its members unpack to {total} bytes; `Limits.total` allows {limits.total}")

    def names(self) -> list[str]:
        """The names of all members."""
        return list(self._members)

    def get(self, name: str, most: int) -> memoryview:
        """The bytes of a member: in place where it is stored, unpacked where it is deflated."""
        info, start = self._members[name], self._starts[name]
        if info.file_size > most:
            raise LimitExceeded(f"{quoted(name)} has {info.file_size} bytes; {most} are allowed")
        if info.file_size > max(SMALL, LARGEST_RATIO * info.compress_size):
            raise LimitExceeded(f"{quoted(name)} is a zip bomb: {info.compress_size} bytes for {info.file_size}")
        stored = self._data[start : start + info.compress_size]
        try:
            member = stored if info.compress_type == STORED else memoryview(_inflate(stored, info.file_size))
        except zlib.error as error:
            raise CorruptFile(f"{quoted(name)} is damaged: {error}") from error

        def check() -> None:
            if len(member) != info.file_size or zlib.crc32(member) != info.CRC:
                raise CorruptFile(f"{quoted(name)} is damaged: its size or checksum is wrong")

        if len(member) < THREAD_FROM:
            check()
        else:
            from fnet.inference.schedule import begun

            self._checks.append(begun(check))
        return member


def _entries(data: memoryview) -> list[zipfile.ZipInfo]:
    import zipfile

    try:
        with zipfile.ZipFile(_Bounded(data)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OverflowError) as error:
        if isinstance(error, LimitExceeded):
            raise
        raise CorruptFile(f"not a complete zip: {error}") from error


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    if "\\" in name or "\0" in name or ":" in name or not {"", ".", ".."}.isdisjoint(parts):
        raise UnsafeFile(f"{quoted(name)} is no plain name of a zip's member")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UnsafeFile(f"member {quoted(name)} of the zip is a symbolic link")
    if info.flag_bits & ENCRYPTED:
        raise UnsafeFile(f"member {quoted(name)} of the zip is encrypted")
    if info.compress_type not in (STORED, DEFLATED):
        raise UnsafeFile(f"member {quoted(name)} of the zip uses compression {info.compress_type}; deflate is read")


def _starts(data: memoryview, members: list[zipfile.ZipInfo]) -> dict[str, int]:
    """Where the bytes of each member begin. No two members may share any."""
    starts, end = {}, 0
    for info in sorted(members, key=lambda info: info.header_offset):
        at = info.header_offset
        if at < end or at + 30 > len(data):
            raise UnsafeFile(f"member {quoted(info.filename)} overlaps another, or the end of the file")
        signature, name, extra = struct.unpack_from("<4s22xHH", data, at)
        stored_name = bytes(data[at + 30 : at + 30 + name])
        if signature != b"PK\3\4" or stored_name not in (
            info.orig_filename.encode(),
            info.orig_filename.encode("cp437", "replace"),
        ):
            raise CorruptFile(f"member {quoted(info.filename)} is not where the zip's list says")
        starts[info.filename] = at + 30 + name + extra
        end = starts[info.filename] + info.compress_size
        if end > len(data):
            raise CorruptFile(f"member {quoted(info.filename)} reaches past the end of the file")
    return starts


def _inflate(stored: memoryview, size: int) -> bytes:
    """Deflated bytes; one more than `size` at most, so that a lie shows."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    return decoder.decompress(stored, size + 1)


def plain_name(name: str) -> bool:
    """Whether `name` is the name of a file in the same folder."""
    return name not in ("", ".", "..") and PurePosixPath(name).name == name and "\\" not in name
