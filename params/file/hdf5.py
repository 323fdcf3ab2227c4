"""A reader of HDF5 files that trusts nothing in them: `open_file` walks the whole structure before any use.

It is pure Python because crafted files crash the HDF5 C library, and the process with it. It is our own because only a
parser sees what is refused here: links, external bytes, shared or cyclic structure, amplified work.
It reads what h5py writes by default and under `libver` "v108" and "latest": superblocks 0 to 3, object headers 1
and 2, symbol-table, compact and dense groups and attributes, contiguous, compact and chunked arrays, deflate,
shuffle and fletcher32. Source: HDF5 File Format Specification 3.0.

At an address is an object header, which is a list of messages. They describe a group with its members, or an array
with its type, its shape and the place of its bytes; both have attributes. Large groups and attributes are in heaps,
listed by B-trees. This module goes from the bottom up: bytes, object headers, heaps, groups, types and attributes,
numbers, the whole file.
"""

from __future__ import annotations

import functools
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from operator import itemgetter
from typing import TypeAlias

import numpy as np

from fnet.constants import Constants
from fnet.records import NamedTuple, dataclass
from fnet.types import Array
from params.errors import CorruptFile, LimitExceeded, ModelFileError, UnsafeFile, WeightsMismatch, quoted
from params.file.checksum import checksum

# --- bytes --------------------------------------------------------------------------------------------

UNDEFINED = 0xFFFFFFFFFFFFFFFF
"""The address of anything that is not stored."""


class Buffer:
    """The bytes of a file: every access is checked, every structure can be entered only once."""

    def __init__(self, data: memoryview, steps: int) -> None:
        self.data = data
        self.size = len(data)
        self.constants = Constants(len(data))
        self._steps = steps
        self._entered: set[int] = set()
        self.owners: dict[int, int] = {}
        """{node of a B-tree of chunks: the root of that tree}."""

    def step(self, count: int = 1) -> None:
        """Count work against the budget."""
        self._steps -= count
        if self._steps < 0:
            raise LimitExceeded("its structure takes more steps to read than `Limits.steps` allows")

    def keep(self, name: str) -> None:
        """Count a name or path that stays in memory: many may be read from the same bytes."""
        self.step(len(name) // 16)

    def enter(self, address: int, what: str, signature: bytes = b"") -> None:
        """Note a structure that belongs to one owner only, so that nothing is shared and nothing can loop."""
        self.step()
        if address in self._entered:
            raise CorruptFile(f"the {what} at byte {address} is used twice")
        self._entered.add(address)
        if signature:
            self.signature(address, signature)

    def take(self, at: int, count: int) -> memoryview:
        """`count` bytes from `at`."""
        if at + count > self.size:
            raise CorruptFile(f"the file ends before byte {at + count}, at {self.size}: truncated?")
        return self.data[at : at + count]

    def guarded(self, at: int, count: int) -> memoryview:
        """`count` bytes from `at`, checked against the checksum after them."""
        if count < 4:
            raise CorruptFile(f"the structure at byte {at} is too short for its signature")
        block = self.take(at, count + 4)
        self.step(count // 12)
        check_sum(block[:count], integer(block, count, 4), at)
        return block[:count]

    def signature(self, at: int, signature: bytes) -> None:
        """Check the signature of the structure at `at`."""
        if bytes(self.take(at, len(signature))) != signature:
            raise CorruptFile(f"no {signature.decode()} structure at byte {at}")


def check_sum(data: bytes | memoryview, stored: int, at: int) -> None:
    """Raise CorruptFile unless `stored` is the checksum of the structure at `at`."""
    if checksum(data) != stored:
        raise CorruptFile(f"the structure at byte {at} is damaged: its checksum is wrong")


def unpack(layout: str, data: bytes | memoryview, at: int = 0) -> tuple[int, ...]:
    """Little-endian integers at `at`, with the bounds checked."""
    try:
        return _unpacker(layout)(data, at)
    except struct.error as error:
        raise CorruptFile("a structure ends before its fields do") from error


@functools.cache
def _unpacker(layout: str) -> Callable[..., tuple[int, ...]]:
    return struct.Struct(f"<{layout}").unpack_from


def utf8(data: bytes | memoryview, what: str) -> str:
    """Bytes as text."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"{what} is not UTF-8 text: {quoted(bytes(data[:80]))}") from error


def integer(data: memoryview, at: int, size: int) -> int:
    """An unsigned integer of `size` bytes."""
    if at + size > len(data):
        raise CorruptFile("a structure ends before its fields do")
    return int.from_bytes(data[at : at + size], "little")


def expect(number: int, known: int | tuple[int, ...], what: str) -> None:
    """Check a version or constant."""
    if number not in (known if isinstance(known, tuple) else (known,)):
        raise CorruptFile(f"{what} {number} is unknown")


# --- object headers -----------------------------------------------------------------------------------

SIGNATURE = b"\x89HDF\r\n\x1a\n"

NIL, DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES = 0x00, 0x01, 0x02, 0x03, 0x06, 0x07
LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x08, 0x0B, 0x0C, 0x10, 0x11, 0x15


Header: TypeAlias = dict[int, list[memoryview]]
"""The messages of an object header: {type: the data of each message of that type}."""

Message: TypeAlias = tuple[int, memoryview]
"""The type of a header message and its data."""


def root_address(file: Buffer) -> int:
    """Where the root group's object header is."""
    if bytes(file.take(0, 8)) != SIGNATURE:
        raise CorruptFile("not an HDF5 file: it does not begin with the HDF5 signature")
    head = file.take(0, min(96, file.size))
    (version,) = unpack("B", head, 8)
    expect(version, (0, 1, 2, 3), "HDF5 superblock version")
    sizes = unpack("BB", head, 13 if version < 2 else 9)
    if sizes != (8, 8):
        raise CorruptFile(f"HDF5 addresses of {sizes} bytes; 8 is what h5py writes")
    if version < 2:
        if 0 in unpack("HH", head, 16):
            raise CorruptFile("an HDF5 file whose B-trees have no room for entries")
        base, _, end, _, _, root = unpack("6Q", head, 24 + 4 * version)
    else:
        base, _, end, root = unpack("4Q", file.guarded(0, 44), 12)
    if base != 0:
        raise CorruptFile("an HDF5 file inside another file is not read")
    if end > file.size:
        raise CorruptFile(f"truncated: {end} bytes were written, {file.size} are there")
    return root


def messages(file: Buffer, address: int) -> Header:
    """The messages of the object header at `address`, which may be read once only."""
    file.enter(address, "object")
    version = file.take(address, 1)[0]
    header: Header = {}
    for kind, data in _messages_v1(file, address) if version == 1 else _messages_v2(file, address):
        header.setdefault(kind, []).append(data)
    if EXTERNAL_FILES in header:
        raise UnsafeFile("an array's bytes are in another file (HDF5 external storage)")
    return header


_PREFIX = struct.Struct("<HHB3x")
"""The prefix of a message: its type, length and flags."""


def _messages_v1(file: Buffer, address: int) -> Iterator[Message]:
    _, _, count, _, size = unpack("BBHII", file.take(address, 12))
    file.step(count)
    blocks = [file.take(address + 16, size)]
    for block in blocks:
        at, end = 0, len(block)
        while count > 0 and at + 8 <= end:
            kind, length, flags = _PREFIX.unpack_from(block, at)
            data = _message(kind, flags, block, at + 8, length)
            at += 8 + length
            count -= 1
            if kind == CONTINUATION:
                start, length = unpack("QQ", data)
                file.enter(start, "header continuation")
                blocks.append(file.take(start, length))
            elif kind != NIL:
                yield kind, data


def _messages_v2(file: Buffer, address: int) -> Iterator[Message]:
    file.signature(address, b"OHDR")
    version, flags = unpack("BB", file.take(address + 4, 2))
    expect(version, 2, "object header version")
    at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = integer(file.take(at, width), 0, width)
    start = at + width - address
    blocks = [file.guarded(address, start + size)[start:]]
    prefix = 6 if flags & 4 else 4
    for block in blocks:
        at = 0
        while at + prefix <= len(block):
            kind, length, message_flags = unpack("BHB", block, at)
            file.step()
            data = _message(kind, message_flags, block, at + prefix, length)
            at += prefix + length
            if kind == CONTINUATION:
                start, length = unpack("QQ", data)
                file.enter(start, "header continuation", b"OCHK")
                blocks.append(file.guarded(start, length - 4)[4:])
            elif kind != NIL:
                yield kind, data


def _message(kind: int, flags: int, block: memoryview, at: int, length: int) -> memoryview:
    if at + length > len(block):
        raise CorruptFile("a header message reaches past the end of its header")
    if flags & 2 and kind != NIL:
        raise CorruptFile("a header message is shared between objects, which h5py does for named types only")
    return block[at : at + length]


def only(header: Header, kind: int, what: str) -> memoryview | None:
    """The data of the single message of a kind, or None."""
    data, *more = header.get(kind, (None,))
    if more:
        raise CorruptFile(f"an object has {1 + len(more)} {what} messages")
    return data


# --- heaps --------------------------------------------------------------------------------------------

MANAGED, HUGE = 0x00, 0x10
"""First byte of the id of an object in a fractal heap: inside the heap's blocks, or outside."""
GUARDED = 0x02
"""Flag of a fractal heap whose direct blocks have checksums."""
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
        file.enter(address, "global heap", b"GCOL")
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


def dense(
    file: Buffer, header: Header, info: int, places: tuple[int, int], kind: int, skip: int
) -> Iterator[memoryview]:
    """The links or attributes of an object in a fractal heap, listed by a version 2 B-tree of type `kind`.

    info: the type of the message with the addresses of both. places: offsets of the addresses in it, without an order
    of creation and with one. skip: bytes before the heap id in a record of the tree.
    """
    for data in header.get(info, ()):
        version, flags = unpack("BB", data)
        expect(version, 0, "version of the message about a heap:")
        heap, tree = unpack("QQ", data, places[flags & 1])
        if heap != UNDEFINED:
            store = _fractal_heap(file, heap)
            for record in _records(file, tree, kind):
                file.step()
                yield store.get(record[skip : skip + store.id_length])


@dataclass(frozen=True, slots=True)
class _FractalHeap:
    """The blocks of a heap's own address space in order, as (offset, size, bytes), and objects too large for them."""

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
    file.enter(address, "fractal heap", b"FRHP")
    head = file.guarded(address, 142)
    version, id_length, filters, flags, largest = unpack("BHHBI", head, 4)
    expect(version, 0, "fractal heap version")
    expect(filters, 0, "length of the filters of a fractal heap:")
    (listed,) = unpack("Q", head, 22)
    huge = dict(_huge(file, listed)) if listed != UNDEFINED else {}
    width, start, direct, bits, _, root, rows = unpack("HQQHHQH", head, 110)
    if not (0 < width <= 64 and 64 <= start <= direct <= 1 << 26 and 8 <= bits <= 64 and rows <= 64):
        raise CorruptFile("the sizes of a fractal heap make no sense")
    offset_width = (bits + 7) // 8
    length_width = min(((direct - 1).bit_length() + 7) // 8, (max(largest, 1).bit_length() - 1) // 8 + 1)
    shape = _Shape(width, start, direct, offset_width, bool(flags & GUARDED))
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
    guarded: bool


def _direct(file: Buffer, shape: _Shape, address: int, offset: int, size: int) -> tuple[int, int, memoryview]:
    file.enter(address, "fractal heap block", b"FHDB")
    block = file.take(address, size)
    if shape.guarded:
        file.step(size // 12)
        at = 13 + shape.offset_width
        check_sum(bytes(block[:at]) + bytes(4) + bytes(block[at + 4 :]), integer(block, at, 4), address)
    return offset, size, block


def _blocks(file: Buffer, shape: _Shape, address: int, offset: int, rows: int) -> Iterator[tuple[int, int, memoryview]]:
    """The direct blocks below an indirect block of `rows` rows."""
    file.enter(address, "fractal heap block", b"FHIB")
    head = 13 + shape.offset_width
    children = file.guarded(address, head + rows * shape.width * 8)[head:]
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
    file.enter(address, "B-tree", b"BTHD")
    version, stored, node, size, depth, _, _, root, count = unpack("BBIHHBBQH", file.guarded(address, 34), 4)
    expect(version, 0, "B-tree version")
    expect(stored, kind, "B-tree type")
    if not (0 < size < node - 26 and depth <= 8):
        raise CorruptFile("the sizes of a B-tree make no sense")
    if root != UNDEFINED:
        yield from _node(file, _Levels(node, size, depth), root, count, depth)


class _Levels:
    """Widths of the fields of a pointer in the nodes of a version 2 B-tree, by level."""

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
    file.enter(address, "B-tree node", b"BTIN" if level else b"BTLF")
    pointer = 8 + levels.count_width + levels.total_widths[level - 1] if level else 0
    size = 6 + count * levels.record
    node = file.guarded(address, size + (count + 1) * pointer)
    records, pointers = node[6:size], node[size:]
    if level:
        for i in range(count + 1):
            (child,) = unpack("Q", pointers, i * pointer)
            inner = integer(pointers, i * pointer + 8, levels.count_width)
            yield from _node(file, levels, child, inner, level - 1)
    for i in range(count):
        yield records[i * levels.record : (i + 1) * levels.record]


# --- groups -------------------------------------------------------------------------------------------

SOFT = 2
"""Cache type of a symbol-table entry that is a soft link."""
LINKS_BY_NAME = 5
"""Type of the version 2 B-tree that lists the links of a dense group."""


def members(file: Buffer, header: Header) -> dict[str, int]:
    """{name: address of the object} of a group, hard links only."""
    links: dict[str, int] = {}
    for name, address in _links(file, header):
        file.keep(name)
        if name in links:
            raise CorruptFile(f"a group has two members called {quoted(name)}")
        if not name or "/" in name or name == ".":
            raise CorruptFile(f"{quoted(name)} cannot be the name of a group's member")
        links[name] = address
    return links


def _links(file: Buffer, header: Header) -> Iterator[tuple[str, int]]:
    for data in header.get(SYMBOL_TABLE, ()):
        tree, heap = unpack("QQ", data)
        for name, target in _symbols(file, tree, _local_heap(file, heap)):
            yield utf8(name, "a name in a heap"), target
    yield from map(link, header.get(LINK, ()))
    yield from map(link, dense(file, header, LINK_INFO, (2, 10), LINKS_BY_NAME, 4))


def link(data: memoryview) -> tuple[str, int]:
    """(name, address) of a link message; UnsafeFile for anything but a hard link."""
    version, flags = unpack("BB", data)
    expect(version, 1, "link message version")
    at, kind = 2, 0
    if flags & 8:
        kind, at = integer(data, at, 1), at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    length = integer(data, at, width)
    at += width
    if at + length > len(data):
        raise CorruptFile("a link's name reaches past the link")
    name = utf8(data[at : at + length], "the name of a link")
    if kind != 0:
        _refuse(name)
    return name, integer(data, at + length, 8)


def _refuse(name: str) -> None:
    raise UnsafeFile(f"{quoted(name)} is a soft or external link; only objects of the file itself are read")


LAST_FREE = 1
"""Marks the end of a local heap's list of free spaces."""


def _local_heap(file: Buffer, address: int) -> bytes:
    file.enter(address, "local heap", b"HEAP")
    size, free, segment = unpack("QQQ", file.take(address, 32), 8)
    file.step(size // 64)
    heap = file.take(segment, size)
    while free != LAST_FREE:
        file.step()
        if free + 16 > size or unpack("QQ", heap, free)[1] == 0:
            raise CorruptFile("the free space of a local heap makes no sense")
        (free,) = unpack("Q", heap, free)
    return bytes(heap)


def _symbols(file: Buffer, address: int, names: bytes, above: int | None = None) -> Iterator[tuple[bytes, int]]:
    """Links below a version 1 B-tree node of type 0; `above`: the level of its parent."""
    file.enter(address, "B-tree node", b"TREE")
    kind, level, count = unpack("BBH", file.take(address, 8), 4)
    expect(kind, 0, "type of a group's B-tree:")
    if above is not None and level != above - 1:
        raise CorruptFile("the levels of a group's B-tree do not fit")
    node = file.take(address + 24, 8 + 16 * count)
    for i in range(count):
        least, child, most = unpack("QQQ", node, 16 * i)
        after, last = _text(names, least), _text(names, most)
        for name, target in _symbols(file, child, names, level) if level else _symbol_node(file, child, names):
            if not after < name <= last:
                raise CorruptFile(f"{quoted(name)} is not where the B-tree of its group says: names ascend there")
            yield name, target


_SYMBOL = struct.Struct("<QQI20x")
"""An entry of a symbol table: offset of its name, address of its object, type of what is cached of it."""


def _symbol_node(file: Buffer, address: int, names: bytes) -> Iterator[tuple[bytes, int]]:
    file.enter(address, "symbol table node", b"SNOD")
    (count,) = unpack("H", file.take(address, 8), 6)
    file.step(count)
    entries = file.take(address + 8, 40 * count)
    for offset, target, cache in _SYMBOL.iter_unpack(entries):
        name = _text(names, offset)
        if cache == SOFT:
            _refuse(utf8(name, "the name of a link"))
        expect(cache, (0, 1), "kind of a symbol table entry:")
        yield name, target


def _text(names: bytes, offset: int, longest: int = 4096) -> bytes:
    """The null-terminated text at `offset`."""
    if offset >= len(names):
        raise CorruptFile("a name lies outside its heap")
    end = names.find(0, offset, offset + longest)
    if end < 0:
        raise CorruptFile("a name in a heap has no end")
    return names[offset:end]


# --- types, shapes, attributes ------------------------------------------------------------------------

ATTRIBUTES_BY_NAME = 8
"""Type of the version 2 B-tree that lists dense attributes."""

CLASSES = (
    "integer", "float", "time", "string", "bit field", "opaque", "compound (complex)", "reference", "enum",
    "variable-length", "array",
)  # fmt: skip

FLOATS: dict[tuple[int, ...], str] = {
    (2, 10, 5, 0, 10, 15): "float16",
    (4, 23, 8, 0, 23, 127): "float32",
    (8, 52, 11, 0, 52, 1023): "float64",
    (2, 7, 8, 0, 7, 127): "bfloat16",
}
"""(size, exponent position and size, mantissa position and size, bias) of the floats that are read."""


MOST_AXES = 32


@dataclass(frozen=True, slots=True)
class Type:
    """A datatype. name: "float32", "int8", "bool", "bfloat16", "string", "text", or that of an unreadable type."""

    name: str
    size: int
    order: str = "<"
    readable: bool = True


def datatype(data: memoryview) -> Type:
    """The type in a datatype message; its first 64 bytes decide. Cached: most arrays of a file have the same type."""
    return _datatype(bytes(data[:64]))


@functools.lru_cache(maxsize=64)
def _datatype(data: bytes) -> Type:
    head, size = unpack("II", data)
    kind, bits = head & 15, head >> 8
    name = CLASSES[kind] if kind < len(CLASSES) else f"class {kind}"
    unknown = Type(f"unusual {name}" if kind in (0, 1) else name, size, readable=False)
    order = ">" if bits & 1 else "<"
    if kind == 0:
        offset, precision = unpack("HH", data, 8)
        plain = size in (1, 2, 4, 8) and offset == 0 and precision == 8 * size
        return Type(f"{'' if bits & 8 else 'u'}int{8 * size}", size, order) if plain else unknown
    if kind == 1:
        offset, precision, *layout, bias = unpack("HHBBBBI", data, 8)
        float_type = FLOATS.get((size, *layout, bias))
        plain = offset == 0 and precision == 8 * size and bits & 0x70 == 0x20 and bits >> 8 & 255 == 8 * size - 1
        return Type(float_type, size, order) if float_type and plain else unknown
    if kind == 5 and size == 2:
        return Type("bfloat16", 2)
    if kind == 8:
        return Type("bool", 1) if _is_bool(data, size, bits & 0xFFFF) else unknown
    if kind == 9 and bits & 15 == 1 and size == 16:
        return Type("text", 16)
    return unknown


def _is_bool(data: bytes, size: int, count: int) -> bool:
    """Whether an enum is h5py's bool: {FALSE: 0, TRUE: 1} in one byte."""
    members = data[20:]
    padded = b"FALSE\0\0\0TRUE\0\0\0\0\0\1", b"FALSE\0TRUE\0\0\1"
    return size == 1 and count == 2 and members.startswith(padded)


def dataspace(data: memoryview) -> tuple[int, ...] | None:
    """The shape in a dataspace message; None for the null space, which holds nothing."""
    return _dataspace(bytes(data[: 8 + 8 * MOST_AXES]))


@functools.lru_cache(maxsize=64)
def _dataspace(data: bytes) -> tuple[int, ...] | None:
    version, rank, _, kind = unpack("BBBB", data)
    expect(version, (1, 2), "dataspace version")
    if version == 2 and kind == 2:
        return None
    if rank > MOST_AXES:
        raise CorruptFile(f"an array of rank {rank}; HDF5 allows {MOST_AXES}")
    return unpack(f"{rank}Q", data, 8 if version == 1 else 4)


class Attribute(NamedTuple):
    """One attribute. shape: None for the null space."""

    name: str
    type: memoryview
    """The datatype message."""
    shape: tuple[int, ...] | None
    values: memoryview


class Attributes:
    """The attributes of objects, read on demand. text: the most bytes of text to decode."""

    def __init__(self, file: Buffer, text: int) -> None:
        self._file = file
        self._heaps = GlobalHeaps(file)
        self._text = text

    def parse(self, header: Header) -> dict[str, Attribute]:
        """{name: attribute} of an object."""
        attributes: dict[str, Attribute] = {}
        listed = dense(self._file, header, ATTRIBUTE_INFO, (2, 4), ATTRIBUTES_BY_NAME, 0)
        for attribute in map(_attribute, chain(header.get(ATTRIBUTE, ()), listed)):
            self._file.keep(attribute.name)
            if attribute.name in attributes:
                raise CorruptFile(f"an object has two attributes called {quoted(attribute.name)}")
            attributes[attribute.name] = attribute
        return attributes

    def texts(self, attribute: Attribute) -> tuple[tuple[int, ...], list[str]]:
        """(shape, texts) of an attribute; anything without elements is an empty list."""
        name, type_message, shape, values = attribute
        kind, count = datatype(type_message), 0 if shape is None else prod(shape)
        if shape is None or count == 0:
            return (0,), []
        if kind.name not in ("string", "text"):
            raise CorruptFile(f"attribute {quoted(name)} is {kind.name}; text was expected")
        if kind.size * count > len(values):
            raise CorruptFile(f"attribute {quoted(name)} holds less than it declares")
        self._file.step(count)
        read = self._variable if kind.name == "text" else self._decode
        return shape, [read(values[i * kind.size : (i + 1) * kind.size]) for i in range(count)]

    def _variable(self, value: memoryview) -> str:
        length, address, index = unpack("IQI", value)
        if length == 0:
            return ""
        stored = self._heaps.get(address, index)
        if length > len(stored):
            raise CorruptFile("a text is longer than what is stored of it")
        return self._decode(stored[:length])

    def _decode(self, value: memoryview) -> str:
        self._text -= len(value)
        if self._text < 0:
            raise LimitExceeded("its attributes hold more text than any model needs")
        return utf8(value, "an attribute").rstrip("\0")


def _attribute(data: memoryview) -> Attribute:
    """The attribute in an attribute message."""
    version, flags, name, kind, space = unpack("BBHHH", data)
    expect(version, (1, 2, 3), "attribute version")
    if version > 1 and flags & 3:
        raise CorruptFile("an attribute of a named type, which h5py writes on request only")
    at, parts = 9 if version == 3 else 8, []
    for size in (name, kind, space):
        if at + size > len(data):
            raise CorruptFile("an attribute ends before its fields do")
        parts.append(data[at : at + size])
        at += (size + 7) // 8 * 8 if version == 1 else size
    text = utf8(bytes(parts[0]).partition(b"\0")[0], "the name of an attribute")
    return Attribute(text, parts[1], dataspace(parts[2]), data[at:])


# --- numbers ------------------------------------------------------------------------------------------

COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = range(4)
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
CHUNK_STEPS = 8
FILTERS_READ = (DEFLATE, SHUFFLE, FLETCHER32)
SMALL_CHUNK = 1 << 20
"""Chunks up to this size may be larger than their array, since h5py pads small arrays."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a layout message puts an array. data: its bytes, unless it is chunked."""

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
    if version == 4:
        return _chunked_v4(layout)
    rank, address = unpack("BQ", layout, 2)
    return Storage(chunk=unpack(f"{rank}I", layout, 11), address=address)


def _same_size(stored: int, size: int) -> None:
    if stored != size:
        raise CorruptFile(f"its shape and type need {size} bytes, {stored} are stored")


def _chunked_v4(layout: memoryview) -> Storage:
    """A layout message of version 4 with the one-chunk index; only `libver="latest"` writes others."""
    flags, rank, width = unpack("BBB", layout, 2)
    chunk = tuple(integer(layout, 5 + i * width, width) for i in range(rank))
    at = 5 + rank * width
    (index,) = unpack("B", layout, at)
    if index != 1:
        raise ModelFileError(f"chunk index {index} is not read; save again with h5py's default settings")
    single = (0, 0)
    if flags & 2:
        single, at = unpack("QI", layout, at + 1), at + 12  # type: ignore[assignment]
    return Storage(chunk=chunk, address=integer(layout, at + 1, 8), index=1, single=single)


def filters(data: memoryview | None, itemsize: int) -> tuple[int, ...]:
    """The filters of an array in the order of writing; unknown ones are refused: they are code."""
    if data is None:
        return ()
    version, count = unpack("BB", data)
    expect(version, (1, 2), "filter pipeline version")
    at, pipeline = 8 if version == 1 else 2, []
    for _ in range(count):
        (number,) = unpack("H", data, at)
        if number not in FILTERS_READ or number in pipeline:
            raise UnsafeFile(f"HDF5 filter {number}; only deflate, shuffle and fletcher32 are read, each once")
        pipeline.append(number)
        named = version == 1
        name = integer(data, at + 2, 2) if named else 0
        values = integer(data, at + (6 if named else 4), 2)
        at += 8 + (name + 7) // 8 * 8 if named else 6
        if number == SHUFFLE and values and integer(data, at, 4) != itemsize:
            raise CorruptFile(f"values of {itemsize} bytes, shuffled as others")
        at += 4 * (values + (values % 2 if named else 0))
    return tuple(pipeline)


def check_chunk(chunk: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> None:
    """Refuse a chunk that does not fit its array, or is far larger."""
    if len(chunk) != len(shape) + 1 or chunk[-1] != itemsize or 0 in chunk:
        raise CorruptFile(f"chunks of {chunk} for an array of {shape}")
    if prod(chunk) > max(4 * prod(shape) * itemsize, SMALL_CHUNK):
        raise LimitExceeded(f"a chunk of {prod(chunk)} bytes for an array of {prod(shape) * itemsize}")


def _count(chunk: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """How many chunks an array has."""
    return prod(-(-full // part) for full, part in zip(shape, chunk, strict=False))


def read_chunks(
    file: Buffer, place: Storage, applied: tuple[int, ...], shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> Array:
    """The array, put together from its chunks, which must cover it."""
    whole = np.empty(shape, dtype)
    chunk, size = place.chunk[:-1], prod(place.chunk)
    if place.address == UNDEFINED and whole.size:
        raise WeightsMismatch("never written: the file holds no bytes for it")
    count = _count(chunk, shape)
    seen: set[tuple[int, ...]] = set()
    for corner, start, stored, mask in _chunks(file, place, size) if count else ():
        if stored > 2 * size + 64:  # no filter writes as much, and reading it takes time
            raise CorruptFile(f"a chunk of {size} bytes is stored in {stored}")
        if corner in seen or any(c % p or c >= s for c, p, s in zip(corner, chunk, shape, strict=True)):
            raise CorruptFile(f"a chunk at {corner} appears twice or outside the array")
        seen.add(corner)
        data = _unfilter(file.take(start, stored), applied, mask, size, dtype.itemsize)
        part = np.frombuffer(data, dtype).reshape(chunk)
        inside = tuple(slice(c, min(c + p, s)) for c, p, s in zip(corner, chunk, shape, strict=True))
        whole[inside] = part[tuple(slice(0, s.stop - s.start) for s in inside)]
    if len(seen) != count:
        raise WeightsMismatch(f"{count - len(seen)} of its {count} chunks were never written")
    return whole


Chunk = tuple[tuple[int, ...], int, int, int]
"""Corner in the array, address, stored size, mask of skipped filters."""


def _chunks(file: Buffer, place: Storage, size: int) -> Iterator[Chunk]:
    if place.index == 1:
        stored, mask = place.single
        yield (0,) * (len(place.chunk) - 1), place.address, stored or size, mask
    else:
        yield from _chunk_nodes(file, place.address, len(place.chunk), place.address, set())


def _chunk_nodes(
    file: Buffer, address: int, rank: int, root: int, entered: set[int], above: int | None = None
) -> Iterator[Chunk]:
    """Chunks below a version 1 B-tree node of type 1; `above`: the level of its parent."""
    file.step()
    file.signature(address, b"TREE")
    kind, level, count = unpack("BBH", file.take(address, 8), 4)
    expect(kind, 1, "type of an array's B-tree:")
    alone = file.owners.setdefault(address, root) == root and address not in entered
    if not alone or (above is not None and level != above - 1):
        raise CorruptFile("the B-tree of an array's chunks is not a tree")
    entered.add(address)
    key = 8 + 8 * rank
    node = file.take(address + 24, count * (key + 8) + key)
    for i in range(count):
        stored, mask, *corner, inner, child = unpack(f"II{rank}QQ", node, i * (key + 8))
        if inner:
            raise CorruptFile("a chunk begins inside a value")
        if level:
            yield from _chunk_nodes(file, child, rank, root, entered, level)
        else:
            file.step(CHUNK_STEPS)
            yield tuple(corner), child, stored, mask


def _unfilter(data: memoryview, applied: tuple[int, ...], mask: int, size: int, itemsize: int) -> memoryview | bytes:
    """The bytes of a chunk, its filters undone."""
    for position in reversed(range(len(applied))):
        if mask >> position & 1:
            continue
        if applied[position] == DEFLATE:
            data = memoryview(_inflate(data, size + 4))
        elif applied[position] == FLETCHER32:
            data = _fletcher32(data)
        elif itemsize > 1:
            whole = len(data) - len(data) % itemsize  # what is left over stays as it is
            values = np.frombuffer(data[:whole], np.uint8).reshape(itemsize, -1).T.tobytes()
            data = memoryview(values + bytes(data[whole:]))
    if len(data) != size:
        raise CorruptFile(f"a chunk of {len(data)} bytes, {size} were expected")
    return data


def _inflate(data: memoryview, most: int) -> bytes:
    """Deflated bytes, at most `most`."""
    decoder = zlib.decompressobj()
    inflated = decoder.decompress(data, most)
    if not decoder.eof and (decoder.unconsumed_tail or len(inflated) == most):
        raise LimitExceeded("a chunk unpacks to more than its size")
    if not decoder.eof:
        raise CorruptFile("a compressed chunk has no end")
    return inflated


def _fletcher32(data: memoryview) -> memoryview:
    """The data without the checksum at its end, which is checked."""
    if len(data) < 4:
        raise CorruptFile("a chunk is too short for its checksum")
    body, (stored,) = data[:-4], unpack("I", data, len(data) - 4)
    words = np.frombuffer(bytes(body) + b"\0" * (len(body) % 2), ">u2")
    first = second = 0
    for at in range(0, len(words), 1 << 16):
        sums = words[at : at + (1 << 16)].cumsum(dtype=np.int64)
        second = (second + len(sums) * first + sums.sum()) % 65535  # each time: an int64 would overflow
        first = (first + sums[-1]) % 65535
    if ((stored & 0xFFFF) - first) % 65535 or ((stored >> 16) - second) % 65535:
        raise CorruptFile("the checksum of a chunk is wrong")
    return body


# --- the whole file -----------------------------------------------------------------------------------

DEEPEST = 64
"""Nesting of groups."""
OBJECT_STEPS = 16
SMALL = 64 << 20
LARGEST_RATIO = 100
"""If all chunks unpack to more than SMALL bytes, then to at most this many times the size of the file."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """A group or an array: its path and its attributes, which are read on demand."""

    path: str
    _attributes: Mapping[str, Attribute]
    _reader: Attributes

    def text(self, name: str) -> str | None:
        """A text attribute, or None."""
        if name not in self._attributes:
            return None
        match self._reader.texts(self._attributes[name]):
            case ((() | (1,)), [text]):
                return text
        raise CorruptFile(f"attribute {quoted(name)} of {quoted(self.path)} is not one text")

    def texts(self, name: str) -> list[str] | None:
        """A list of texts, also where Keras split it over `name0`, `name1`, ...; or None."""
        if name in self._attributes:
            return self._reader.texts(self._attributes[name])[1]
        parts: list[list[str]] = []
        while f"{name}{len(parts)}" in self._attributes:
            parts.append(self._reader.texts(self._attributes[f"{name}{len(parts)}"])[1])
        return [text for part in parts for text in part] if parts else None


@dataclass(frozen=True, eq=False, slots=True)
class Dataset(Node):
    """One array: shape and type, and its values on demand."""

    shape: tuple[int, ...]
    type: Type
    _file: Buffer
    _storage: Storage
    _filters: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size in memory; bfloat16 is widened."""
        return prod(self.shape) * max(self.type.size, 4 if self.type.name == "bfloat16" else 0)

    def load(self) -> Array:
        """The values: a copy, C-contiguous, in the machine's byte order; bfloat16 as float32.

        Unless it is chunked or converted, its memory can never be made writable.
        """
        dtype = _dtype(self.type.name, self.type.order)
        if self._storage.data is not None:
            array = np.frombuffer(self._file.constants.copy(self._storage.data), dtype).reshape(self.shape)
        else:
            array = read_chunks(self._file, self._storage, self._filters, self.shape, dtype)
        if self.type.name == "bfloat16":
            return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if self.type.name == "bool" and array.size and array.max() > 1:
            raise CorruptFile("a bool is neither 0 nor 1")
        return array.astype("bool" if self.type.name == "bool" else dtype.newbyteorder("="), copy=False)


@functools.lru_cache(maxsize=64)
def _dtype(name: str, order: str) -> np.dtype[np.generic]:
    """The dtype of the stored bytes."""
    return np.dtype({"bfloat16": "u2", "bool": "u1"}.get(name, name)).newbyteorder(order)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False, slots=True)
class Group(Node):
    """A group and everything below it."""

    groups: Mapping[str, Group]
    datasets: Mapping[str, Dataset]

    def walk(self) -> list[Group]:
        """This group and all groups below."""
        return [self, *(inner for group in self.groups.values() for inner in group.walk())]

    def below(self, names: Sequence[str]) -> Group | None:
        """The group below this one that a path of names leads to, or None."""
        group: Group | None = self
        for name in names:
            group = group.groups.get(name) if group else None
        return group

    def find(self, path: str) -> Dataset | None:
        """The array at a path such as "dense/kernel:0", or None."""
        *parents, name = path.split("/")
        group = self.below(parents)
        return group.datasets.get(name) if group else None


def open_file(buffer: memoryview, *, total: int, steps: int, text: int, stored: int) -> Group:
    """The root group of an HDF5 file whose structure has been checked throughout.

    Limits: `total` bytes of all arrays in memory, `steps` of work on structure, `text` bytes of attributes. stored: the
    size of the file, or of a zip around it.
    """
    walk = _Walk(Buffer(buffer, steps), text)
    root = walk.node("", root_address(walk.file), 0)
    if not isinstance(root, Group):
        raise CorruptFile("the root of the HDF5 file is not a group")
    walk.check_ranges(stored)
    if walk.total > total:
        raise LimitExceeded(f"its arrays take {walk.total} bytes in memory; `Limits.total` allows {total}")
    return root


class _Walk:
    """The state of one walk over a file."""

    def __init__(self, file: Buffer, text: int) -> None:
        self.file = file
        self.attributes = Attributes(file, text)
        self.total = 0
        self._unpacked = 0
        self._ranges: list[tuple[int, int, str]] = []

    def node(self, path: str, address: int, depth: int) -> Group | Dataset:
        """The object at `address`, with everything below it."""
        if depth > DEEPEST:
            raise LimitExceeded(f"groups are nested more than {DEEPEST} deep")
        self.file.step(OBJECT_STEPS)
        self.file.keep(path)
        header = messages(self.file, address)
        attributes = self.attributes.parse(header)
        if header.keys().isdisjoint((SYMBOL_TABLE, LINK_INFO, LINK)):  # it is not a group
            return self._dataset(path, header, attributes)
        groups, datasets = {}, {}
        for name, target in members(self.file, header).items():
            node = self.node(f"{path}/{name}" if path else name, target, depth + 1)
            if isinstance(node, Group):
                groups[name] = node
            else:
                datasets[name] = node
        return Group(path, attributes, self.attributes, groups, datasets)

    def _dataset(self, path: str, header: Header, attributes: dict[str, Attribute]) -> Dataset:
        kind = only(header, DATATYPE, "datatype")
        space = only(header, DATASPACE, "dataspace")
        layout = only(header, LAYOUT, "data layout")
        if kind is None or space is None or layout is None:
            raise CorruptFile(f"{quoted(path)} is neither a group nor an array")
        try:
            return self._array(path, attributes, datatype(kind), dataspace(space), layout, header)
        except ModelFileError as error:
            raise type(error)(f"array {quoted(path)}: {error}") from error

    def _array(
        self, path: str, attributes: dict[str, Attribute], kind: Type, shape: tuple[int, ...] | None,
        layout: memoryview, header: Header,
    ) -> Dataset:  # fmt: skip
        if shape is None:
            raise WeightsMismatch("it is a null array, without a shape")
        place = storage(self.file, layout, prod(shape) * kind.size)
        applied = filters(only(header, FILTERS, "filter"), kind.size)
        if place.data is None:
            check_chunk(place.chunk, shape, kind.size)
            self._unpacked += _count(place.chunk, shape) * prod(place.chunk)  # padding included
            if place.address != UNDEFINED:
                self.file.enter(place.address, "chunk or B-tree of chunks")
        elif applied:
            raise CorruptFile("an array has filters but no chunks")
        if place.range:
            self._ranges.append((*place.range, path))
        array = Dataset(path, attributes, self.attributes, shape, kind, self.file, place, applied)
        self.total += array.nbytes
        return array

    def check_ranges(self, stored: int) -> None:
        """No two arrays may share bytes, and chunks may not unpack to far more than is stored."""
        if self._unpacked > max(SMALL, LARGEST_RATIO * stored):
            raise LimitExceeded(f"the chunks of its arrays would unpack from {stored} to {self._unpacked} bytes")
        end, before = 0, ""
        for start, stop, path in sorted(self._ranges):
            if start < end:
                raise CorruptFile(f"arrays {quoted(before)} and {quoted(path)} share bytes")
            end, before = stop, path
