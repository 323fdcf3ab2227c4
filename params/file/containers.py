"""The containers of model files: a zip or a folder. Nothing is ever extracted to disk.

Each gives its parts by name; sizes are checked before bytes are read.
"""

from __future__ import annotations

import io
import itertools
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol

from fnet.records import NamedTuple, dataclass
from params.errors import CorruptFile, LimitExceeded, UnsafeFile, quoted
from params.file.model_file import Limits

if TYPE_CHECKING:
    from pathlib import Path

MAP_FROM = 32 << 20
"""Files of at least this many bytes are memory-mapped, smaller ones read."""
NEXT = 1 << 20
LARGEST_DIRECTORY = 1 << 20
"""Bytes of a zip's list of entries: about ten thousand of them."""
SMALL = 16 << 20
LARGEST_RATIO = 100
"""Members that unpack to more than SMALL bytes may do so by this factor; weights hardly deflate at all."""
VOCABULARY = "vocabulary.txt"
THREAD_FROM = 4 << 20
"""Bytes of a member whose checksum takes long enough for a thread of its own."""
STORED, DEFLATED = 0, 8
"""Compressions of zip members that are read."""
ENCRYPTED, PATCHED, UTF_8 = 0x1 | 0x40 | 0x2000, 0x20, 0x800
"""Flag bits of zip members; a patch holds what differs from an older file."""
END, WIDE_END, LOCATOR = struct.Struct("<12x2L2x"), struct.Struct("<40x2Q"), struct.Struct("<4xLQL")
"""Of the end of a zip: (size, place) of its list of entries, also in 64 bits; (disk, place, disks) of that wide end."""
ENTRY = struct.Struct("<6xBx2H4x3L3H4x2L")
"""An entry, see `_entries`."""
NEWEST = 63
"""Of the versions of the format, times ten, that `zipfile` reads, and so Keras."""
LONGEST_END, TOO_WIDE = END.size + (1 << 16), 0xFFFFFFFF
"""Bytes in which `zipfile` looks for the end; a number of an entry that has 64 bits and is elsewhere."""


class Container(Protocol):
    """What `read` asks of a container."""

    def names(self) -> list[str]:
        """The names of all parts."""

    def get(self, name: str, most: int) -> memoryview:
        """The bytes of a part of at most `most` bytes; KeyError where there is none."""


def content(path: str | os.PathLike[str], most: int) -> memoryview:
    """The bytes of a regular file, memory-mapped when it is large."""
    require_regular(path)
    with open(path, "rb") as file:
        return file_content(file, most)


def require_regular(path: str | os.PathLike[str]) -> None:
    """Raise CorruptFile for what is not a file: a named pipe would wait to be opened, a device may have no end."""
    if not os.path.isfile(path) and os.path.exists(path):
        raise CorruptFile("a folder, not a file" if os.path.isdir(path) else "neither a regular file nor a folder")


def file_content(file: BinaryIO, most: int) -> memoryview:
    """The bytes of an open file from its position on, memory-mapped when it is a large file on disk.

    Pipes, sockets and whatever else has a `read` are read to their end; devices, which have none, are refused.
    """
    if isinstance(file, io.TextIOBase):
        raise TypeError('a model file must be opened in binary mode, open(path, "rb")')
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

    path: str | os.PathLike[str]

    def names(self) -> list[str]:
        """The files at the top and below `assets`."""
        root = self._root()
        top = [entry.name for entry in root.iterdir() if entry.is_file()]
        below = [path.relative_to(root).as_posix() for path in (root / "assets").rglob(VOCABULARY)]
        return sorted(top + below)

    def get(self, name: str, most: int) -> memoryview:
        """The bytes of a file."""
        target = (self._root() / name).resolve()
        if not target.is_file():
            raise KeyError(name)
        if not any(target.is_relative_to(home) for home in self._homes()):
            raise UnsafeFile(f"{quoted(name)} is a link to a file outside the model's folder")
        return content(target, most)

    def _homes(self) -> list[Path]:
        """Where files may really be: the folder, or the blobs next to it in a cache of the Hub."""
        root = self._root().resolve()
        in_cache = root.parent.name == "snapshots"
        return [root, root.parent.parent / "blobs"] if in_cache else [root]

    def _root(self) -> Path:
        from pathlib import Path  # which takes as long to import as a small model to load

        return Path(self.path)


class Member(NamedTuple):
    """An entry of the central directory of a zip."""

    name: str
    stored_name: bytes
    version: int
    flags: int
    compression: int
    checksum: int
    packed: int
    size: int
    attributes: int
    header: int
    """The place of its local header, which its bytes follow."""


class Zip:
    """The members of a zip, all of which are checked first: plain names, no overlap."""

    def __init__(self, data: memoryview, limits: Limits, checks: list[Callable[[], None]]) -> None:
        """checks: `get` adds the checksums of large members, which threads compute; the caller runs each at the end."""
        self._data = data
        self._checks = checks
        self._members: dict[str, Member] = {}
        entries, end = _entries(data)
        for member in entries:
            _check_member(member)
            name = member.name.removesuffix("/")
            if name in self._members or f"{name}/" in self._members:
                raise UnsafeFile(f"two members of the zip are called {quoted(name)}")
            self._members[member.name] = member
        if 100 * len(self._members) > limits.steps:
            raise LimitExceeded(f"{len(self._members)} members in the zip, each a hundred of `Limits.steps`")
        self._starts = _starts(data[:end], entries)
        total = sum(member.size for member in entries)
        if total > limits.total:
            raise LimitExceeded(f"its members unpack to {total} bytes; `Limits.total` allows {limits.total}")

    def names(self) -> list[str]:
        """The names of all members."""
        return list(self._members)

    def get(self, name: str, most: int) -> memoryview:
        """The bytes of a member: in place where it is stored, unpacked where it is deflated."""
        info, start = self._members[name], self._starts[name]
        if info.size > most:
            raise LimitExceeded(f"{quoted(name)} has {info.size} bytes; {most} are allowed")
        if info.size > max(SMALL, LARGEST_RATIO * info.packed):
            raise LimitExceeded(f"{quoted(name)} is a zip bomb: {info.packed} bytes for {info.size}")
        stored = self._data[start : start + info.packed]
        try:
            member = stored if info.compression == STORED else memoryview(_inflate(stored, info.size))
        except zlib.error as error:
            raise CorruptFile(f"{quoted(name)} is damaged: {error}") from error

        def check() -> None:
            if len(member) != info.size or zlib.crc32(member) != info.checksum:
                raise CorruptFile(f"{quoted(name)} is damaged: its size or checksum is wrong")

        if len(member) < THREAD_FROM:
            check()
        else:
            from fnet.inference.schedule import started

            self._checks.append(started(check))
        return member


def _entries(data: memoryview) -> tuple[list[Member], int]:
    """(members, where the central directory begins), by the directory at the end of a zip, also of Zip64.

    Importing `zipfile` would take longer than loading most models.
    """
    tail = bytes(data[-LONGEST_END:])
    place = tail.rfind(b"PK\5\6")
    if not 0 <= place <= len(tail) - END.size:
        raise CorruptFile("not a complete zip: no list of entries at its end")
    stop = len(data) - len(tail) + place
    length, offset = END.unpack_from(data, stop)
    locator = stop - LOCATOR.size
    if locator >= WIDE_END.size and _signature(data, locator) == b"PK\6\7":
        stop = locator - WIDE_END.size
        length, offset = WIDE_END.unpack_from(data, stop)
        disk, wide, disks = LOCATOR.unpack_from(data, locator)
        if _signature(data, stop) != b"PK\6\6" or wide != offset + length or disk or disks > 1:
            raise CorruptFile("not a complete zip: its end of 64 bits is elsewhere, or on another disk")
    if length > LARGEST_DIRECTORY:
        raise LimitExceeded(f"a zip whose list of entries takes more than {LARGEST_DIRECTORY} bytes")
    first = at = stop - length
    members = []
    while 0 <= at <= stop - ENTRY.size and _signature(data, at) == b"PK\1\2":
        version, flags, compression, checksum, packed, size, *lengths, attributes, header = ENTRY.unpack_from(data, at)
        start, extra, comment, at = itertools.accumulate(lengths, initial=at + ENTRY.size)
        stored_name = bytes(data[start:extra])
        name = stored_name.decode("utf-8" if flags & UTF_8 or stored_name.isascii() else "cp437")
        size, packed, header = _wide(data[extra:comment], [size, packed, header])
        header += first - offset
        members.append(
            Member(name, stored_name, version, flags, compression, checksum, packed, size, attributes, header)
        )
    if at != stop:
        raise CorruptFile("not a complete zip: its list of entries is damaged")
    return members, first


def _signature(data: memoryview, at: int) -> bytes:
    return bytes(data[at : at + 4])


def _wide(extra: memoryview, numbers: list[int]) -> list[int]:
    """The numbers of an entry; those that do not fit into 32 bits are in its extra field (Zip64)."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if length > len(extra) - 4:
            raise CorruptFile("not a complete zip: an entry of its list is damaged")
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, 4))
            numbers = [next(wide, number) if number == TOO_WIDE else number for number in numbers]
        extra = extra[4 + length :]
    return numbers


def _check_member(member: Member) -> None:
    name = member.name
    parts = name.removesuffix("/").split("/")
    if "\\" in name or "\0" in name or ":" in name or not {"", ".", ".."}.isdisjoint(parts):
        raise UnsafeFile(f"{quoted(name)} is not a plain name of a zip's member")
    if member.version > NEWEST:
        raise UnsafeFile(f"member {quoted(name)} of the zip needs version {member.version / 10} of the format")
    if stat.S_ISLNK(member.attributes >> 16):
        raise UnsafeFile(f"member {quoted(name)} of the zip is a symbolic link")
    if member.flags & ENCRYPTED:
        raise UnsafeFile(f"member {quoted(name)} of the zip is encrypted")
    if member.flags & PATCHED:
        raise UnsafeFile(f"member {quoted(name)} of the zip is a patch of another file")
    if member.compression not in (STORED, DEFLATED):
        raise UnsafeFile(f"member {quoted(name)} of the zip uses compression {member.compression}; deflate is read")


def _starts(data: memoryview, members: list[Member]) -> dict[str, int]:
    """Where the bytes of each member begin; members may not overlap. data: all before the central directory."""
    starts, end = {}, 0
    for member in sorted(members, key=lambda member: member.header):
        at = member.header
        if at < end or at + 30 > len(data):
            raise UnsafeFile(f"member {quoted(member.name)} overlaps another, or the list of entries")
        signature, name, extra = struct.unpack_from("<4s22xHH", data, at)
        if signature != b"PK\3\4" or data[at + 30 : at + 30 + name] != member.stored_name:
            raise CorruptFile(f"member {quoted(member.name)} is not where the zip's list says")
        starts[member.name] = at + 30 + name + extra
        end = starts[member.name] + member.packed
        if end > len(data):
            raise CorruptFile(f"member {quoted(member.name)} reaches into the list of entries")
    return starts


def _inflate(stored: memoryview, size: int) -> bytes:
    """Unpack deflated bytes; at most one more than `size`, so that a wrong size shows."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    return decoder.decompress(stored, size + 1)


def plain_name(name: str) -> bool:
    """Whether `name` is the name of a file in the same folder."""
    return name not in ("", ".", "..") and {"/", "\\"}.isdisjoint(name)
