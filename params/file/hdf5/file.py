"""A whole HDF5 file, walked once and checked before anything in it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from fnet.types import Array
from params.errors import CorruptFile, LimitExceeded, ModelFileError, WeightsMismatch, quoted
from params.file.hdf5 import data, headers, links, types
from params.file.hdf5.buffer import Buffer
from params.file.hdf5.types import Attributes, Type

DEEPEST = 64
"""Nesting of groups."""
SMALL = 64 << 20
LARGEST_RATIO = 1000
"""Chunked arrays of more than SMALL bytes may be this many times as large as the file."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """What groups and arrays share: attributes, read when asked for."""

    path: str
    _attributes: Mapping[str, memoryview] = field(repr=False)
    _reader: Attributes = field(repr=False)

    def text(self, name: str) -> str | None:
        """A text attribute, or None."""
        if name not in self._attributes:
            return None
        shape, found = self._reader.texts(self._attributes[name])
        if len(found) != 1 or shape not in ((), (1,)):
            raise CorruptFile(f"attribute {quoted(name)} of {quoted(self.path)} is not one text")
        return found[0]

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
    """One array: what it is, and its bytes on demand."""

    shape: tuple[int, ...]
    type: Type
    _file: Buffer = field(repr=False)
    _storage: data.Storage = field(repr=False)
    _filters: tuple[int, ...] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Size in memory; bfloat16 is widened."""
        return prod(self.shape) * max(self.type.size, 4 if self.type.name == "bfloat16" else 0)

    def load(self) -> Array:
        """The values: a copy, C-contiguous, in the machine's byte order; bfloat16 as float32."""
        name = {"bfloat16": "u2", "bool": "u1"}.get(self.type.name, self.type.name)
        dtype = np.dtype(name).newbyteorder(self.type.order)  # type: ignore[arg-type]
        if self._storage.data is not None:
            found = np.frombuffer(self._storage.data, dtype).reshape(self.shape)
        else:
            found = data.read_chunks(self._file, self._storage, self._filters, self.shape, dtype)
        if self.type.name == "bfloat16":
            return (found.astype(np.uint32) << np.uint32(16)).view(np.float32)
        if self.type.name == "bool" and found.size and found.max() > 1:
            raise CorruptFile("a bool is neither 0 nor 1")
        return found.astype("bool" if self.type.name == "bool" else dtype.newbyteorder("="))


@dataclass(frozen=True, eq=False, slots=True)
class Group(Node):
    """A group and all below it."""

    groups: Mapping[str, Group]
    datasets: Mapping[str, Dataset]

    def walk(self) -> Iterator[Group]:
        """This group and all groups below."""
        yield self
        for group in self.groups.values():
            yield from group.walk()

    def find(self, path: str) -> Dataset | None:
        """The array at a path such as "dense/kernel:0", or None."""
        *parents, name = path.split("/")
        group: Group | None = self
        for parent in parents:
            group = group.groups.get(parent) if group else None
        return group.datasets.get(name) if group else None


def open_file(buffer: memoryview, *, total: int, steps: int, text: int) -> Group:
    """The root group of an HDF5 file whose structure has been checked throughout.

    total: bytes that all arrays may take in memory; steps: work on structure; text: bytes of attributes read.
    """
    walk = _Walk(Buffer(buffer, steps), text)
    root = walk.node("", headers.root_address(walk.file), 0)
    if not isinstance(root, Group):
        raise CorruptFile("the root of the HDF5 file is not a group")
    walk.check_ranges()
    if walk.total > total:
        raise LimitExceeded(f"its arrays take {walk.total} bytes in memory; `Limits.total` allows {total}")
    return root


class _Walk:
    """The state of one walk over a file."""

    def __init__(self, file: Buffer, text: int) -> None:
        self.file = file
        self.attributes = Attributes(file, text)
        self.total = 0
        self._packed = 0
        self._padding = 0
        self._ranges: list[tuple[int, int, str]] = []

    def node(self, path: str, address: int, depth: int) -> Group | Dataset:
        """The object at `address`, with all below it."""
        if depth > DEEPEST:
            raise LimitExceeded(f"groups are nested more than {DEEPEST} deep")
        found = headers.messages(self.file, address)
        attributes = self.attributes.parse(found)
        if not links.is_group(found):
            return self._dataset(path, found, attributes)
        groups, datasets = {}, {}
        for name, target in links.members(self.file, found).items():
            node = self.node(f"{path}/{name}" if path else name, target, depth + 1)
            if isinstance(node, Group):
                groups[name] = node
            else:
                datasets[name] = node
        return Group(path, attributes, self.attributes, groups, datasets)

    def _dataset(self, path: str, found: list[headers.Message], attributes: dict[str, memoryview]) -> Dataset:
        kind = headers.only(found, headers.DATATYPE, "datatype")
        space = headers.only(found, headers.DATASPACE, "dataspace")
        layout = headers.only(found, headers.LAYOUT, "data layout")
        if kind is None or space is None or layout is None:
            raise CorruptFile(f"{quoted(path)} is neither a group nor an array")
        try:
            return self._array(path, attributes, types.datatype(kind), types.dataspace(space), layout, found)
        except ModelFileError as error:
            raise type(error)(f"array {quoted(path)}: {error}") from error

    def _array(
        self, path: str, attributes: dict[str, memoryview], kind: Type, shape: tuple[int, ...] | None,
        layout: memoryview, found: list[headers.Message],
    ) -> Dataset:  # fmt: skip
        if shape is None:
            raise WeightsMismatch("it is a null array, without a shape")
        place = data.storage(self.file, layout, prod(shape) * kind.size)
        applied = data.filters(headers.only(found, headers.FILTERS, "filter"))
        if place.data is None:
            data.check_chunk(place.chunk, shape, kind.size)
            self._packed += prod(shape) * kind.size
            self._padding += data.unpacked(place.chunk, shape) - prod(shape) * kind.size
        elif applied:
            raise CorruptFile("an array has filters but no chunks")
        if place.range:
            self._ranges.append((*place.range, path))
        array = Dataset(path, attributes, self.attributes, shape, kind, self.file, place, applied)
        self.total += array.nbytes
        return array

    def check_ranges(self) -> None:
        """No two arrays may share bytes, and chunks may not unpack to more than deflate could have packed."""
        if self._packed > max(SMALL, LARGEST_RATIO * self.file.size):
            raise LimitExceeded(f"its chunked arrays would unpack from {self.file.size} to {self._packed} bytes")
        if self._padding > max(SMALL, 4 * self._packed):
            raise LimitExceeded(f"the chunks of its arrays hold {self._padding} bytes more than {self._packed} of data")
        end, before = 0, ""
        for start, stop, path in sorted(self._ranges):
            if start < end:
                raise CorruptFile(f"arrays {quoted(before)} and {quoted(path)} share bytes")
            end, before = stop, path
