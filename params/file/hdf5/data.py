"""Where the bytes of an array are, and how to get them: contiguous, compact or chunked, with filters."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from fnet.types import Array
from params.errors import CorruptFile, LimitExceeded, ModelFileError, UnsafeFile, WeightsMismatch
from params.file.hdf5.buffer import UNDEFINED, Buffer, expect, integer, unpack

COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = range(4)
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
FILTERS_READ = (DEFLATE, SHUFFLE, FLETCHER32)
SMALL_CHUNK = 1 << 20
"""Chunks up to this size may be larger than the array that they hold; h5py pads small arrays so."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What a layout message says. data: the bytes themselves where they are at hand (not chunked)."""

    data: memoryview | None = None
    range: tuple[int, int] | None = None
    chunk: tuple[int, ...] = ()
    address: int = 0
    index: int = 0
    single: tuple[int, int] = (0, 0)
    """Size and filter mask of an array that is one filtered chunk."""


def storage(file: Buffer, layout: memoryview, size: int) -> Storage:
    """The storage of an array of `size` bytes. Raises for virtual, missing and short storage."""
    version, kind = unpack("BB", layout)
    expect(version, (3, 4), "data layout version")
    if kind == VIRTUAL:
        raise UnsafeFile("an array is virtual: its bytes are said to be in other datasets or files")
    if kind == COMPACT:
        (stored,) = unpack("H", layout, 2)
        data = layout[4 : 4 + stored]
        _same_size(len(data), size)
        return Storage(data)
    if kind == CONTIGUOUS:
        address, stored = unpack("QQ", layout, 2)
        if size and address == UNDEFINED:
            raise WeightsMismatch("never written: the file holds no bytes for it")
        if size == 0:
            return Storage(layout[:0])
        _same_size(stored, size)
        return Storage(file.take(address, size), (address, address + size))
    expect(kind, CHUNKED, "data layout class")
    return _chunked_v3(layout) if version == 3 else _chunked_v4(layout)


def _same_size(stored: int, size: int) -> None:
    if stored != size:
        raise CorruptFile(f"its shape and type need {size} bytes, {stored} are stored")


def _chunked_v3(layout: memoryview) -> Storage:
    rank, address = unpack("BQ", layout, 2)
    return Storage(chunk=unpack(f"{rank}I", layout, 11), address=address)


def _chunked_v4(layout: memoryview) -> Storage:
    """Only the one-chunk index; the others are written for `libver="latest"` alone."""
    flags, rank, width = unpack("BBB", layout, 2)
    chunk = tuple(integer(layout, 5 + i * width, width) for i in range(rank))
    at = 5 + rank * width
    (index,) = unpack("B", layout, at)
    if index != 1:
        raise ModelFileError(f"chunk index {index} is not read; save again with h5py's default settings")
    single = (0, 0)
    if flags & 2:
        single, at = unpack("QI", layout, at + 1), at + 12  # type: ignore[assignment]
    return Storage(chunk=chunk, address=unpack("Q", layout, at + 1)[0], index=1, single=single)


def filters(data: memoryview | None) -> tuple[int, ...]:
    """The filters of an array in the order of writing; all others are refused, as they are programs."""
    if data is None:
        return ()
    version, count = unpack("BB", data)
    expect(version, (1, 2), "filter pipeline version")
    at, found = 8 if version == 1 else 2, []
    for _ in range(count):
        (number,) = unpack("H", data, at)
        if number not in FILTERS_READ or number in found:
            raise UnsafeFile(f"HDF5 filter {number}; only deflate, shuffle and fletcher32 are read, each once")
        found.append(number)
        named = version == 1
        name = unpack("H", data, at + 2)[0] if named else 0
        values = unpack("H", data, at + (6 if named else 4))[0]
        at += (8 + (name + 7) // 8 * 8 if named else 6) + 4 * (values + (values % 2 if named else 0))
    return tuple(found)


def check_chunk(chunk: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> None:
    """Refuse a chunk that does not fit its array, above all one far larger than it."""
    if len(chunk) != len(shape) + 1 or chunk[-1] != itemsize or 0 in chunk:
        raise CorruptFile(f"chunks of {chunk} for an array of {shape}")
    if prod(chunk) > max(4 * prod(shape) * itemsize, SMALL_CHUNK):
        raise LimitExceeded(f"a chunk of {prod(chunk)} bytes for an array of {prod(shape) * itemsize}")


def unpacked(chunk: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """The bytes of all chunks of an array, whole ones: what reading it unpacks."""
    return prod(-(-full // part) for full, part in zip(shape, chunk, strict=False)) * prod(chunk)


def read_chunks(
    file: Buffer,
    place: Storage,
    applied: tuple[int, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
) -> Array:
    """The array put together from its chunks; every element must come from one."""
    whole = np.empty(shape, dtype)
    chunk, size = place.chunk[:-1], prod(place.chunk)
    if place.address == UNDEFINED and whole.size:
        raise WeightsMismatch("never written: the file holds no bytes for it")
    wanted = prod(-(-full // part) for full, part in zip(shape, chunk, strict=True))
    seen: set[tuple[int, ...]] = set()
    for corner, start, stored, mask in _chunks(file, place, size) if wanted else ():
        if corner in seen or any(c % p or c >= s for c, p, s in zip(corner, chunk, shape, strict=True)):
            raise CorruptFile(f"a chunk at {corner} is there twice or outside the array")
        seen.add(corner)
        data = _unfilter(file.take(start, stored), applied, mask, size, dtype.itemsize)
        part = np.frombuffer(data, dtype).reshape(chunk)
        inside = tuple(slice(c, min(c + p, s)) for c, p, s in zip(corner, chunk, shape, strict=True))
        whole[inside] = part[tuple(slice(0, s.stop - s.start) for s in inside)]
    if len(seen) != wanted:
        raise WeightsMismatch(f"{wanted - len(seen)} of its {wanted} chunks were never written")
    return whole


Chunk = tuple[tuple[int, ...], int, int, int]
"""Corner in the array, address, stored size, mask of skipped filters."""


def _chunks(file: Buffer, place: Storage, size: int) -> Iterator[Chunk]:
    if place.index == 1:
        stored, mask = place.single
        yield (0,) * (len(place.chunk) - 1), place.address, stored or size, mask
    else:
        yield from _chunk_nodes(file, place.address, len(place.chunk), set())


def _chunk_nodes(file: Buffer, address: int, rank: int, entered: set[int], above: int | None = None) -> Iterator[Chunk]:
    """Chunks below a version 1 B-tree node of type 1; `above` is the level of the node that named it."""
    file.step()
    file.signature(address, b"TREE")
    kind, level, count = unpack("BBH", file.take(address, 8), 4)
    expect(kind, 1, "type of an array's B-tree:")
    if address in entered or (above is not None and level != above - 1):
        raise CorruptFile("the B-tree of an array's chunks is not a tree")
    entered.add(address)
    key = 8 + 8 * rank
    node = file.take(address + 24, count * (key + 8) + key)
    for i in range(count):
        stored, mask, *corner, _, child = unpack(f"II{rank}QQ", node, i * (key + 8))
        if level:
            yield from _chunk_nodes(file, child, rank, entered, level)
        else:
            file.step()
            yield tuple(corner), child, stored, mask


def _unfilter(data: memoryview, applied: tuple[int, ...], mask: int, size: int, itemsize: int) -> memoryview | bytes:
    """The bytes of a chunk before the filters."""
    for position in reversed(range(len(applied))):
        if mask >> position & 1:
            continue
        if applied[position] == DEFLATE:
            data = memoryview(_inflate(data, size + 4))
        elif applied[position] == FLETCHER32:
            data = _fletcher32(data)
        elif itemsize > 1:
            data = memoryview(np.frombuffer(data, np.uint8).reshape(itemsize, -1).T.tobytes())
    if len(data) != size:
        raise CorruptFile(f"a chunk of {len(data)} bytes, {size} were expected")
    return data


def _inflate(data: memoryview, most: int) -> bytes:
    """Deflated bytes, at most `most`."""
    decoder = zlib.decompressobj()
    found = decoder.decompress(data, most)
    if not decoder.eof and (decoder.unconsumed_tail or len(found) == most):
        raise LimitExceeded("a chunk unpacks to more than its size")
    if not decoder.eof:
        raise CorruptFile("a compressed chunk has no end")
    return found


def _fletcher32(data: memoryview) -> memoryview:
    """The data without the checksum at its end, which must be right."""
    if len(data) < 4:
        raise CorruptFile("a chunk is too short for its checksum")
    body, (stored,) = data[:-4], unpack("I", data, len(data) - 4)
    words = np.frombuffer(bytes(body) + b"\0" * (len(body) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64)
    first = int(words.sum()) % 65535
    second = int((words * weights % 65535).sum()) % 65535
    if ((stored & 0xFFFF) % 65535, (stored >> 16) % 65535) != (first, second):
        raise CorruptFile("the checksum of a chunk is wrong")
    return body
