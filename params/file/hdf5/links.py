"""The members of a group: symbol tables, link messages, and dense storage (fractal heap and version 2 B-tree)."""

from __future__ import annotations

from collections.abc import Iterator

from params.errors import CorruptFile, UnsafeFile, quoted
from params.file.hdf5.buffer import UNDEFINED, Buffer, expect, integer, unpack
from params.file.hdf5.headers import LINK, LINK_INFO, SYMBOL_TABLE, Message
from params.file.hdf5.heap import dense_objects

SOFT = 2
"""Cache type of a symbol-table entry that is a soft link."""
LINKS_BY_NAME = 5
"""Type of the version 2 B-tree that lists the links of a dense group."""


def members(file: Buffer, found: list[Message]) -> dict[str, int]:
    """{name: address of the object} of a group, hard links only."""
    links: dict[str, int] = {}
    for name, address in _links(file, found):
        if name in links:
            raise CorruptFile(f"a group has two members called {quoted(name)}")
        if not name or "/" in name or name == ".":
            raise CorruptFile(f"{quoted(name)} cannot be the name of a group's member")
        links[name] = address
    return links


def is_group(found: list[Message]) -> bool:
    """Whether an object with these messages is a group."""
    return any(message.kind in (SYMBOL_TABLE, LINK_INFO, LINK) for message in found)


def _links(file: Buffer, found: list[Message]) -> Iterator[tuple[str, int]]:
    for message in found:
        if message.kind == SYMBOL_TABLE:
            tree, heap = unpack("QQ", message.data)
            yield from _symbols(file, tree, _local_heap(file, heap))
        elif message.kind == LINK:
            yield link(message.data)
        elif message.kind == LINK_INFO:
            version, flags = unpack("BB", message.data)
            expect(version, 0, "link info version")
            heap, tree = unpack("QQ", message.data, 10 if flags & 1 else 2)
            if heap != UNDEFINED:
                yield from map(link, dense_objects(file, heap, tree, LINKS_BY_NAME, 4))


def link(data: memoryview) -> tuple[str, int]:
    """(name, address) of a link message; UnsafeFile for anything but a hard link."""
    version, flags = unpack("BB", data)
    expect(version, 1, "link message version")
    at, kind = 2, 0
    if flags & 8:
        kind, at = unpack("B", data, at)[0], at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    length = integer(data, at, width)
    at += width
    if at + length > len(data):
        raise CorruptFile("a link's name reaches past the link")
    name = str(data[at : at + length], "utf-8")
    if kind != 0:
        _refuse(name)
    return name, unpack("Q", data, at + length)[0]


def _refuse(name: str) -> None:
    raise UnsafeFile(f"{quoted(name)} is a soft or external link; only objects of the file itself are read")


def _local_heap(file: Buffer, address: int) -> memoryview:
    file.enter(address, "local heap")
    file.signature(address, b"HEAP")
    size, _, segment = unpack("QQQ", file.take(address, 32), 8)
    return file.take(segment, size)


def _symbols(file: Buffer, address: int, names: memoryview, above: int | None = None) -> Iterator[tuple[str, int]]:
    """Links below a version 1 B-tree node of type 0; `above` is the level of the node that named it."""
    file.enter(address, "B-tree node")
    file.signature(address, b"TREE")
    kind, level, count = unpack("BBH", file.take(address, 8), 4)
    expect(kind, 0, "type of a group's B-tree:")
    if above is not None and level != above - 1:
        raise CorruptFile("the levels of a group's B-tree do not fit")
    node = file.take(address + 24, 8 + 16 * count)
    for i in range(count):
        (child,) = unpack("Q", node, 8 + 16 * i)
        yield from _symbols(file, child, names, level) if level else _symbol_node(file, child, names)


def _symbol_node(file: Buffer, address: int, names: memoryview) -> Iterator[tuple[str, int]]:
    file.enter(address, "symbol table node")
    file.signature(address, b"SNOD")
    (count,) = unpack("H", file.take(address, 8), 6)
    file.step(count)
    entries = file.take(address + 8, 40 * count)
    for i in range(count):
        offset, target, cache = unpack("QQI", entries, 40 * i)
        name = _text(names, offset)
        if cache == SOFT:
            _refuse(name)
        yield name, target


def _text(names: memoryview, offset: int, longest: int = 4096) -> str:
    """The null-terminated UTF-8 text at `offset`."""
    if offset >= len(names):
        raise CorruptFile("a name lies outside its heap")
    text, end, _ = bytes(names[offset : offset + longest]).partition(b"\0")
    if not end:
        raise CorruptFile("a name in a heap has no end")
    return str(text, "utf-8")
