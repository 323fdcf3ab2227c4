"""A writer of HDF5 files: nested groups of arrays, with texts as attributes. The same tree gives the same bytes.

Every HDF5 library since 1.0 reads these files: superblock 0, symbol-table groups, object headers 1, contiguous arrays.
An object is written after everything in it, so that every address is known when it is needed. Source: HDF5 File Format
Specification 3.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeAlias

import numpy as np

from fnet.records import dataclass

Array: TypeAlias = "np.ndarray[Any, Any]"

UNDEFINED = 0xFFFFFFFFFFFFFFFF
SYMBOLS, CHILDREN = 8, 32
"""The most entries of a symbol node, and of a node of the B-tree above."""

DATASPACE, DATATYPE, FILL, LAYOUT, ATTRIBUTE, SYMBOL_TABLE = 0x01, 0x03, 0x05, 0x08, 0x0C, 0x11
HEADER = 96
"""The size of the superblock."""
COLLECTION = 4096
"""The least size of a collection of the global heap."""
FLOATS = {2: (15, 10, 5, 10, 15), 4: (31, 23, 8, 23, 127), 8: (63, 52, 11, 52, 1023)}
"""{size: sign bit, place and size of the exponent, size of the mantissa, bias of the exponent}."""


@dataclass(frozen=True)
class Group:
    """A group: its members by name, and its attributes, which are texts."""

    members: dict[str, Group | Array] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    described: dict[str, dict[str, str]] = field(default_factory=dict)
    """{name of an array: its attributes}."""


def write(root: Group) -> bytes:
    """The bytes of a file with the root group `root`. Arrays hold bool, integers, floats, or two opaque bytes ("V2").

    Raises TypeError for an array of another dtype, ValueError for a name that HDF5 cannot hold.
    """
    file = _File(_texts(root))
    tree, heap, header = file.group(root)
    entry = struct.pack("<QQIIQQ", 0, header, 1, 0, tree, heap)
    versions = struct.pack("<8B", 0, 0, 0, 0, 0, 8, 8, 0)
    sizes = struct.pack("<HHI", SYMBOLS // 2, CHILDREN // 2, 0)
    ends = struct.pack("<4Q", 0, UNDEFINED, file.size, UNDEFINED)
    return b"".join([b"\x89HDF\r\n\x1a\n", versions, sizes, ends, entry, *file.parts])


class _File:
    """The bytes after the superblock; the address of each structure is a multiple of eight."""

    def __init__(self, texts: Iterable[str]) -> None:
        """texts: those of all attributes."""
        self.parts: list[bytes | memoryview] = []
        self.size = HEADER
        self.places = {"": bytes(16)}
        """{text: where it is in the global heap}."""
        for part in _parts(sorted(set(texts) - {""}), 0xFFFF):
            self.heap({text: text.encode() for text in part})

    def put(self, data: bytes | memoryview) -> int:
        """Append a structure and return its address."""
        address = self.size
        self.parts += [data, bytes(-len(data) % 8)]
        self.size += len(data) + -len(data) % 8
        return address

    def heap(self, texts: Mapping[str, bytes]) -> None:
        """Append a collection of the global heap."""
        address = self.size
        self.places |= {
            text: struct.pack("<IQI", len(data), address, i) for i, (text, data) in enumerate(texts.items(), 1)
        }
        objects = b"".join(
            struct.pack("<HHIQ", i, 0, 0, len(data)) + _padded(data) for i, data in enumerate(texts.values(), 1)
        )
        free = max(COLLECTION - 16 - len(objects), 16)
        head = b"GCOL" + struct.pack("<B3xQ", 1, 16 + len(objects) + free)
        self.put(head + objects + struct.pack("<HHIQ", 0, 0, 0, free).ljust(free, b"\0"))

    def group(self, group: Group) -> tuple[int, int, int]:
        """Append a group; the addresses of its B-tree, heap and header."""
        names, places = bytearray(8), dict[str, int]()
        for name in sorted(group.members, key=_text):
            places[name] = len(names)
            names += _padded(_text(name) + b"\0")
        entries = []
        for name, offset in places.items():
            member = group.members[name]
            if isinstance(member, Group):
                tree, heap, header = self.group(member)
                entries.append((offset, struct.pack("<QQIIQQ", offset, header, 1, 0, tree, heap)))
            else:
                header = self.array(member, group.described.get(name, {}))
                entries.append((offset, struct.pack("<QQ24x", offset, header)))
        data = self.put(bytes(names))
        heap = self.put(b"HEAP" + struct.pack("<B3xQQQ", 0, len(names), 1, data))  # 1: nothing in it is free
        tree = self.tree(entries)
        messages = [(SYMBOL_TABLE, struct.pack("<QQ", tree, heap)), *self.attributes(group.attributes)]
        return tree, heap, self.put(_header(messages))

    def tree(self, entries: Sequence[tuple[int, bytes]]) -> int:
        """Append the B-tree of a group and return its address. entries: (offset of the name, symbol), by name."""
        nodes = [
            (part[-1][0], self.put(b"SNOD" + struct.pack("<BxH", 1, len(part)) + symbols.ljust(40 * SYMBOLS, b"\0")))
            for part in _parts(entries, SYMBOLS)
            for symbols in [b"".join(symbol for _, symbol in part)]
        ]
        level = 0
        while level == 0 or len(nodes) > 1:
            least, above = 0, []
            parts = list(_parts(nodes, CHILDREN)) or [[]]
            addresses = [self.size + i * _node_size() for i in range(len(parts))]
            for i, part in enumerate(parts):
                left = addresses[i - 1] if i else UNDEFINED
                right = addresses[i + 1] if i + 1 < len(parts) else UNDEFINED
                keys = [least, *(key for key, _ in part)]
                least = keys[-1]
                pairs = b"".join(struct.pack("<QQ", key, node) for key, (_, node) in zip(keys, part, strict=False))
                body = pairs + struct.pack("<Q", least)
                head = b"TREE" + struct.pack("<BBHQQ", 0, level, len(part), left, right)
                above.append((least, self.put((head + body).ljust(_node_size(), b"\0"))))
            nodes, level = above, level + 1
        return nodes[0][1]

    def array(self, array: Array, attributes: Mapping[str, str]) -> int:
        """Append an array and return the address of its header."""
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        data = plain.reshape(-1).view(np.uint8).data if plain.size else b""
        address = self.put(data) if plain.size else UNDEFINED
        messages = [
            (DATASPACE, _dataspace(array.shape)),
            (DATATYPE, _datatype(array.dtype)),
            (FILL, struct.pack("<BBBBI", 2, 2, 2, 1, 0)),
            (LAYOUT, struct.pack("<BBQQ", 3, 1, address, plain.nbytes)),
        ]
        return self.put(_header([*messages, *self.attributes(attributes)]))

    def attributes(self, attributes: Mapping[str, str]) -> Iterator[tuple[int, bytes]]:
        """Messages of attributes, each a text of variable length, which h5py gives as str and not as bytes: Keras looks
        for the str "bfloat16"."""
        kind = struct.pack("<BBBBI", 0x19, 1, 1, 0, 16) + _datatype(np.dtype("uint8"))  # 1, 1: a text, in UTF-8
        for name, text in attributes.items():
            key, space = name.encode() + b"\0", _dataspace(())
            sizes = struct.pack("<BxHHH", 1, len(key), len(kind), len(space))
            yield ATTRIBUTE, sizes + _padded(key) + _padded(kind) + _padded(space) + self.places[text]


def _texts(group: Group) -> Iterator[str]:
    """The texts of all attributes in a group."""
    yield from group.attributes.values()
    for attributes in group.described.values():
        yield from attributes.values()
    for member in group.members.values():
        if isinstance(member, Group):
            yield from _texts(member)


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))


def _node_size() -> int:
    """The bytes of a node of a B-tree: its head, and keys around its children."""
    return 24 + 8 * (2 * CHILDREN + 1)


def _text(name: str) -> bytes:
    if not name or "/" in name or "\0" in name or name == ".":
        raise ValueError(f"{name!r} cannot be a name in an HDF5 file")
    return name.encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _header(messages: Sequence[tuple[int, bytes]]) -> bytes:
    """An object header with these messages."""
    body = b"".join(
        struct.pack("<HHB3x", kind, len(padded), 0) + padded for kind, data in messages for padded in [_padded(data)]
    )
    return struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body


def _dataspace(shape: Sequence[int]) -> bytes:
    return struct.pack("<BBB5x", 1, len(shape), 0) + b"".join(struct.pack("<Q", size) for size in shape)


def _datatype(dtype: np.dtype[Any]) -> bytes:
    size = dtype.itemsize
    if dtype.kind == "f" and size in FLOATS:
        sign, place, exponent, mantissa, bias = FLOATS[size]
        numbers = struct.pack("<HHBBBBI", 0, 8 * size, place, exponent, 0, mantissa, bias)
        return struct.pack("<BBBBI", 0x11, 0x20, sign, 0, size) + numbers
    if dtype.kind in "iu" and size <= 8:
        return struct.pack("<BBBBIHH", 0x10, 0x08 if dtype.kind == "i" else 0, 0, 0, size, 0, 8 * size)
    if dtype.kind == "b":  # as in h5py: an enumeration of 8 bits
        names = _padded(b"FALSE\0") + _padded(b"TRUE\0")
        return struct.pack("<BBBBI", 0x18, 2, 0, 0, 1) + _datatype(np.dtype("int8")) + names + b"\0\1"
    if dtype == np.dtype("V2"):
        return struct.pack("<BBBBI", 0x15, 0, 0, 0, 2)
    raise TypeError(f"an array of {dtype} cannot be written; bool, integers and floats can")
