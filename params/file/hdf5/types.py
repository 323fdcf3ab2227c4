"""Datatypes, dataspaces, and attributes: what the bytes of arrays and of small values mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from params.errors import CorruptFile, LimitExceeded, quoted
from params.file.hdf5.buffer import UNDEFINED, Buffer, expect, unpack
from params.file.hdf5.headers import ATTRIBUTE, ATTRIBUTE_INFO, Message
from params.file.hdf5.heap import GlobalHeaps, dense_objects

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


@dataclass(frozen=True, slots=True)
class Type:
    """A datatype. name: "float32", "int8", "bool", "bfloat16", "string", "text", or what it is, unreadable here."""

    name: str
    size: int
    order: str = "<"
    readable: bool = True


def datatype(data: memoryview) -> Type:
    """The type that a datatype message describes."""
    head, size = unpack("II", data)
    kind, bits = head & 15, head >> 8
    name = CLASSES[kind] if kind < len(CLASSES) else f"class {kind}"
    unknown = Type(name, size, readable=False)
    order = ">" if bits & 1 else "<"
    if kind == 0:
        offset, precision = unpack("HH", data, 8)
        plain = size in (1, 2, 4, 8) and offset == 0 and precision == 8 * size
        return Type(f"{'' if bits & 8 else 'u'}int{8 * size}", size, order) if plain else unknown
    if kind == 1:
        offset, precision, *layout, bias = unpack("HHBBBBI", data, 8)
        found = FLOATS.get((size, *layout, bias))
        plain = offset == 0 and precision == 8 * size and bits & 0x70 == 0x20 and bits >> 8 & 255 == 8 * size - 1
        return Type(found, size, order) if found and plain else unknown
    if kind == 3:
        return Type("string", size)
    if kind == 5 and size == 2:
        return Type("bfloat16", 2)
    if kind == 8:
        return Type("bool", 1) if _is_bool(data, size, bits & 0xFFFF) else unknown
    if kind == 9 and bits & 15 == 1 and size == 16:
        return Type("text", 16)
    return unknown


def _is_bool(data: memoryview, size: int, count: int) -> bool:
    """Whether an enum is the one by which h5py stores bool: {FALSE: 0, TRUE: 1} on one byte."""
    members = bytes(data[20:])
    padded = b"FALSE\0\0\0TRUE\0\0\0\0\0\1", b"FALSE\0TRUE\0\0\1"
    return size == 1 and count == 2 and members.startswith(padded)


def dataspace(data: memoryview) -> tuple[int, ...] | None:
    """The shape that a dataspace message describes; None for the null space, which holds nothing."""
    version, rank, _, kind = unpack("BBBB", data)
    expect(version, (1, 2), "dataspace version")
    if version == 2 and kind == 2:
        return None
    if rank > 32:
        raise CorruptFile(f"an array of rank {rank}; HDF5 allows 32")
    return unpack(f"{rank}Q", data, 8 if version == 1 else 4)


class Attributes:
    """The attributes of objects, read on demand; text is counted against the file's size and a cap."""

    def __init__(self, file: Buffer, text: int) -> None:
        self._file = file
        self._heaps = GlobalHeaps(file)
        self._text = text

    def parse(self, found: list[Message]) -> dict[str, memoryview]:
        """{name: attribute message} of an object."""
        attributes: dict[str, memoryview] = {}
        for data in self._messages(found):
            name = str(_fields(data)[0], "utf-8")
            if name in attributes:
                raise CorruptFile(f"an object has two attributes called {quoted(name)}")
            attributes[name] = data
        return attributes

    def _messages(self, found: list[Message]) -> Iterator[memoryview]:
        for message in found:
            if message.kind == ATTRIBUTE:
                yield message.data
            elif message.kind == ATTRIBUTE_INFO:
                version, flags = unpack("BB", message.data)
                expect(version, 0, "attribute info version")
                heap, tree = unpack("QQ", message.data, 4 if flags & 1 else 2)
                if heap != UNDEFINED:
                    yield from dense_objects(self._file, heap, tree, ATTRIBUTES_BY_NAME, 0)

    def texts(self, data: memoryview) -> tuple[tuple[int, ...], list[str]]:
        """(shape, texts) of an attribute; anything without elements is an empty list."""
        name, type_message, shape, values = _fields(data)
        kind, count = datatype(type_message), 0 if shape is None else prod(shape)
        if shape is None or count == 0:
            return (0,), []
        if kind.name not in ("string", "text"):
            raise CorruptFile(f"attribute {quoted(str(name, 'utf-8'))} is {kind.name}; text was expected")
        if kind.size * count > len(values):
            raise CorruptFile(f"attribute {quoted(str(name, 'utf-8'))} holds less than it declares")
        self._file.step(count)
        read = self._variable if kind.name == "text" else self._fixed
        return shape, [read(values[i * kind.size : (i + 1) * kind.size]) for i in range(count)]

    def _fixed(self, value: memoryview) -> str:
        return self._decode(value)

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
        return str(value, "utf-8").rstrip("\0")


def _fields(data: memoryview) -> tuple[bytes, memoryview, tuple[int, ...] | None, memoryview]:
    """(name, datatype, shape, values) of an attribute message; shape None: it holds nothing."""
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
    text = bytes(parts[0]).partition(b"\0")[0]
    return text, parts[1], dataspace(parts[2]), data[at:]
