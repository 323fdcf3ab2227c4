"""Heaps: the global heap of variable-length strings, and the fractal heap of dense groups and attributes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from params.errors import CorruptFile
from params.file.hdf5.buffer import UNDEFINED, Buffer, expect, integer, unpack

MANAGED, HUGE = 0x00, 0x10
"""First byte of the id of an object in a fractal heap: inside its blocks, or in a place of its own."""
HUGE_BY_NUMBER = 1
"""Type of the version 2 B-tree that lists huge objects."""


class GlobalHeaps:
    """The collections of the global heap, each parsed once."""

    def __init__(self, file: Buffer) -> None:
        self._file = file
        self._known: dict[int, dict[int, memoryview]] = {}

    def get(self, address: int, index: int) -> memoryview:
        """Object `index` of the collection at `address`."""
        if address not in self._known:
            self._known[address] = dict(self._objects(address))
        if index not in self._known[address]:
            raise CorruptFile(f"the global heap at byte {address} has no object {index}")
        return self._known[address][index]

    def _objects(self, address: int) -> Iterator[tuple[int, memoryview]]:
        file = self._file
        file.enter(address, "global heap")
        file.signature(address, b"GCOL")
        (size,) = unpack("Q", file.take(address, 16), 8)
        heap, at = file.take(address, size), 16
        while at + 16 <= size:
            file.step()
            index, _, _, length = unpack("HHIQ", heap, at)
            if index == 0:  # what is left is free
                return
            if at + 16 + length > size:
                raise CorruptFile(f"an object reaches past the end of the global heap at byte {address}")
            yield index, heap[at + 16 : at + 16 + length]
            at += 16 + (length + 7) // 8 * 8


def dense_objects(file: Buffer, heap: int, tree: int, kind: int, skip: int) -> Iterator[memoryview]:
    """Every object that a version 2 B-tree of type `kind` names in a fractal heap.

    skip: bytes of a record before the heap id.
    """
    store = _fractal_heap(file, heap)
    for record in _records(file, tree, kind):
        file.step()
        yield store.get(record[skip : skip + store.id_length])


@dataclass(frozen=True, slots=True)
class _FractalHeap:
    """The blocks of a heap's own address space in order, as (offset, size, bytes), and what is too large for them."""

    blocks: list[tuple[int, int, memoryview]]
    huge: dict[int, memoryview]
    id_length: int
    offset_width: int
    length_width: int

    def get(self, heap_id: memoryview) -> memoryview:
        """The object with this id."""
        kind = integer(heap_id, 0, 1)
        expect(kind, (MANAGED, HUGE), "kind of an object in a fractal heap:")
        if kind == HUGE:
            return self.huge[integer(heap_id, 1, min(self.id_length - 1, 8))]
        offset = integer(heap_id, 1, self.offset_width)
        length = integer(heap_id, 1 + self.offset_width, self.length_width)
        place = bisect_right(self.blocks, offset, key=itemgetter(0)) - 1
        start, size, data = self.blocks[place] if place >= 0 else (0, 0, heap_id)
        if offset + length <= start + size:
            return data[offset - start : offset - start + length]
        raise CorruptFile("an object lies outside its fractal heap")


def _fractal_heap(file: Buffer, address: int) -> _FractalHeap:
    file.enter(address, "fractal heap")
    file.signature(address, b"FRHP")
    head = file.take(address, 146)
    version, id_length, filters, _, largest = unpack("BHHBI", head, 4)
    expect(version, 0, "fractal heap version")
    expect(filters, 0, "length of the filters of a fractal heap:")
    (listed,) = unpack("Q", head, 22)
    huge = dict(_huge(file, listed)) if listed != UNDEFINED else {}
    width, start, direct, bits, _, root, rows = unpack("HQQHHQH", head, 110)
    if not (0 < width <= 64 and 64 <= start <= direct <= 1 << 26 and 8 <= bits <= 64 and rows <= 64):
        raise CorruptFile("the sizes of a fractal heap make no sense")
    offset_width = (bits + 7) // 8
    length_width = min(((direct - 1).bit_length() + 7) // 8, (max(largest, 1).bit_length() - 1) // 8 + 1)
    shape = _Shape(width, start, direct, offset_width)
    blocks: list[tuple[int, int, memoryview]] = []
    if root != UNDEFINED:
        blocks.extend(_blocks(file, shape, root, 0, rows) if rows else [_direct(file, shape, root, 0, start)])
    return _FractalHeap(blocks, huge, id_length, offset_width, length_width)


def _huge(file: Buffer, tree: int) -> Iterator[tuple[int, memoryview]]:
    for record in _records(file, tree, HUGE_BY_NUMBER):
        address, length, number = unpack("QQQ", record)
        yield number, file.take(address, length)


@dataclass(frozen=True, slots=True)
class _Shape:
    """The doubling table of a fractal heap: rows of `width` blocks, the first two of `start` bytes."""

    width: int
    start: int
    direct: int
    offset_width: int


def _direct(file: Buffer, shape: _Shape, address: int, offset: int, size: int) -> tuple[int, int, memoryview]:
    file.enter(address, "fractal heap block")
    file.signature(address, b"FHDB")
    return offset, size, file.take(address, size)


def _blocks(file: Buffer, shape: _Shape, address: int, offset: int, rows: int) -> Iterator[tuple[int, int, memoryview]]:
    """The direct blocks below an indirect block of `rows` rows."""
    file.enter(address, "fractal heap block")
    file.signature(address, b"FHIB")
    children = file.take(address + 13 + shape.offset_width, rows * shape.width * 8)
    for number in range(rows * shape.width):
        size = shape.start << max(0, number // shape.width - 1)
        (child,) = unpack("Q", children, 8 * number)
        if child != UNDEFINED:
            if size <= shape.direct:
                yield _direct(file, shape, child, offset, size)
            else:
                inner = (size // (shape.start * shape.width)).bit_length()
                yield from _blocks(file, shape, child, offset, inner)
        offset += size


def _records(file: Buffer, address: int, kind: int) -> Iterator[memoryview]:
    """The records of a version 2 B-tree, in order."""
    file.enter(address, "B-tree")
    file.signature(address, b"BTHD")
    version, found, node, size, depth, _, _, root, count = unpack("BBIHHBBQH", file.take(address, 38), 4)
    expect(version, 0, "B-tree version")
    expect(found, kind, "B-tree type")
    if not (0 < size < node - 26 and depth <= 8):
        raise CorruptFile("the sizes of a B-tree make no sense")
    if root != UNDEFINED:
        yield from _node(file, _Levels(node, size, depth), root, count, depth)


class _Levels:
    """How long the pointers in the nodes of a version 2 B-tree are, by level."""

    def __init__(self, node: int, record: int, depth: int) -> None:
        self.record = record
        most = (node - 10) // record
        self.count_width = (most.bit_length() - 1) // 8 + 1
        self.total_widths = [0]
        total = most
        for _ in range(depth):
            pointer = 8 + self.count_width + self.total_widths[-1]
            here = (node - 10 - pointer) // (record + pointer)
            total = (here + 1) * total + here
            self.total_widths.append((max(total, 1).bit_length() - 1) // 8 + 1)


def _node(file: Buffer, levels: _Levels, address: int, count: int, level: int) -> Iterator[memoryview]:
    file.enter(address, "B-tree node")
    file.signature(address, b"BTIN" if level else b"BTLF")
    records = file.take(address + 6, count * levels.record)
    if level:
        pointer = 8 + levels.count_width + levels.total_widths[level - 1]
        pointers = file.take(address + 6 + len(records), (count + 1) * pointer)
        for i in range(count + 1):
            (child,) = unpack("Q", pointers, i * pointer)
            inner = integer(pointers, i * pointer + 8, levels.count_width)
            yield from _node(file, levels, child, inner, level - 1)
    for i in range(count):
        yield records[i * levels.record : (i + 1) * levels.record]
