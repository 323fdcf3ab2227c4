"""The safetensors format: the length of a header, the header as JSON, the bytes of the tensors without gaps.

Reading is as strict as the format's own library, and stricter about JSON; arrays share the memory of the file's bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from fnet.constants import constant
from fnet.types import Array
from fnet.writing import BEGIN
from params.errors import CorruptFile, LimitExceeded, quoted
from params.file.foreign_files import HEAD, stranger
from params.file.model_file import Limits
from params.file.strict_json import parse_object

DTYPES = {
    "F16": "float16", "F32": "float32", "F64": "float64", "BF16": "uint16", "BOOL": "bool",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
}  # fmt: skip
"""{safetensors name: NumPy dtype of the stored bytes}."""
METADATA = "__metadata__"
"""The key of the header that is not an array."""
NAMES = {**{dtype: name for name, dtype in DTYPES.items()}, "uint16": "U16", "bfloat16": "BF16"}
MOST_AXES = 32
"""The most axes of arrays of NumPy 1, and of those that JAX takes from NumPy."""


def write(arrays: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file of C-contiguous little-endian arrays; the order of the arrays does not matter."""
    header: dict[str, Any] = {METADATA: metadata}
    parts, end = [], 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name)):
        array = arrays[name]
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": NAMES[array.dtype.name], "shape": array.shape, "data_offsets": (begin, end)}
        parts.append(array.tobytes())
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # aligns the arrays
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def read(data: memoryview, limits: Limits) -> tuple[dict[str, str], dict[str, Any], memoryview]:
    """(metadata, {name: entry of the header}, the bytes of all tensors).

    Raises CorruptFile where there is no complete header, LimitExceeded where it is too large.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        what = "" if bytes(data[5:10]) == BEGIN else f": {stranger(bytes(data[:HEAD]))}"
        raise CorruptFile(f"not a complete .safetensors file{what}")
    header = parse_object(data[8 : 8 + size], "the header", limits)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise CorruptFile(f"the metadata are {quoted(metadata)}, not texts by name")
    return metadata, header, data[8 + size :]


def tensors(header: Mapping[str, Any], data: memoryview) -> Iterator[tuple[str, memoryview, Array]]:
    """(name, bytes, array) of every tensor. The arrays are read-only and share memory with the bytes; bfloat16, which
    NumPy lacks, is widened to float32.

    Raises CorruptFile where the tensors do not fill the file one after the other, LimitExceeded for too many axes.
    """
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    at = 0
    for name, (dtype, shape, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != at or end - begin != prod(shape) * dtype.itemsize:
            raise CorruptFile(f"not a valid .safetensors file: the bytes {begin} to {end} of tensor {quoted(name)}")
        at = end
    if at != len(data):
        raise CorruptFile(f"not a valid .safetensors file: {at} bytes of tensors, {len(data)} are there")
    for name, (dtype, shape, begin, end) in entries.items():
        yield name, data[begin:end], _array(data[begin:end], dtype, shape, header[name]["dtype"])


def _entry(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """(dtype of the stored bytes, shape, begin, end) of a tensor."""
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)], **rest} if (
            not rest and all(type(size) is int and size >= 0 for size in (*shape, begin, end))
        ):
            pass
        case _:
            raise CorruptFile(f"not a valid .safetensors file: tensor {quoted(name)} is {quoted(entry)}")
    if dtype not in DTYPES:
        raise CorruptFile(f"a tensor of {quoted(dtype)}")
    if len(shape) > MOST_AXES:
        raise LimitExceeded(f"a tensor of rank {len(shape)}; {MOST_AXES} is the most")
    return np.dtype(DTYPES[dtype]).newbyteorder("<"), tuple(shape), begin, end


def _array(data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> Array:
    array = np.require(np.frombuffer(data, dtype).reshape(shape), requirements="A")
    if name == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise CorruptFile("a bool is neither 0 nor 1")
    if name == "BF16":
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return constant(array)
