"""Strings as numbers: packed tables for the params tree, and the UTF-8 bytes of inputs.

NumPy on both backends: strings never reach an accelerator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from fnet.errors import InvalidInput
from fnet.types import Array

NumpyArray = np.ndarray[Any, Any]


def pack_strings(strings: Iterable[str | bytes]) -> dict[str, NumpyArray]:
    """Strings as two read-only arrays: bytes uint8[n], all UTF-8 bytes in a row, and offsets int64[m + 1].

    String i is bytes[offsets[i]:offsets[i + 1]]. Such a table passes through jit, `jax.tree` and safetensors.

    >>> pack_strings(["a", "é"])
    {'bytes': array([ 97, 195, 169], dtype=uint8), 'offsets': array([0, 1, 3])}
    """
    encoded = [_encoded(s) for s in strings]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(s) for s in encoded], out=offsets[1:])
    offsets.flags.writeable = False
    return {"bytes": np.frombuffer(b"".join(encoded), np.uint8), "offsets": offsets}


def _encoded(string: Any) -> bytes:
    if isinstance(string, str):
        return string.encode("utf-8", "surrogateescape")
    if not isinstance(string, bytes):
        raise TypeError(f"{string!r:.40} is a {type(string).__name__}, not a string")
    return string


def unpack_strings(table: Mapping[str, Array]) -> list[str]:
    """The strings of a packed table; the inverse of `pack_strings`."""
    return [s.decode("utf-8", "surrogateescape") for s in unpack_bytes(table)]


def unpack_bytes(table: Mapping[str, Array]) -> list[bytes]:
    """The strings of a packed table as UTF-8 bytes."""
    joined = np.asarray(table["bytes"]).astype(np.uint8, copy=False).tobytes()
    ends = np.asarray(table["offsets"])
    if not ends.size and not joined:
        return []
    if ends.ndim != 1 or not ends.size or ends[0] != 0 or ends[-1] != len(joined) or (np.diff(ends) < 0).any():
        raise ValueError(f"a packed table whose offsets do not cut its {len(joined)} bytes into strings")
    offsets = ends.tolist()
    return [joined[start:stop] for start, stop in pairwise(offsets)]


def first_of(x: Any) -> Any:
    """The first item of (nested) lists, at most 64 deep: a list may hold itself."""
    for _ in range(64):
        if not isinstance(x, list | tuple) or not x:
            break
        x = x[0]
    return x


def is_strings(x: Any) -> bool:
    """Whether `x` holds strings: a string, an array of them, or (nested) lists whose first item is one."""
    x = first_of(x)
    kind = getattr(getattr(x, "dtype", None), "kind", "")
    return isinstance(x, str | bytes) or kind in ("S", "U", "O")


def string_array(x: Any) -> NumpyArray:
    """`x` as a NumPy array of strings; lists become object arrays, which keep NUL bytes at the end of a string."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "SUO":
        return x
    try:
        return np.asarray(x, object) if isinstance(x, list | tuple | str | bytes) else np.asarray(x)
    except ValueError as error:
        raise InvalidInput("strings come as an array or a list, all rows of one length") from error


def utf8(x: Any, layer: str) -> tuple[list[bytes], tuple[int, ...]]:
    """(the strings of `x` in C order as UTF-8 bytes, the shape of `x`).

    x: NumPy array of str, bytes or objects, or (nested) lists of strings, or one string.
    Raises InvalidInput for anything that is not a string, naming its position.
    """
    array = string_array(x)
    if array.dtype.kind not in "SUO" and array.size:
        raise InvalidInput(f"{layer} takes strings; got {array.dtype}{list(array.shape)}")
    items = array.ravel().tolist()
    if array.dtype.kind == "S":
        return items, array.shape
    try:
        return [s.encode() for s in items], array.shape
    except (AttributeError, UnicodeEncodeError):
        return [_one(s, i, layer) for i, s in enumerate(items)], array.shape


def as_texts(texts: list[bytes], shape: tuple[int, ...]) -> NumpyArray:
    """UTF-8 bytes, the inverse of `utf8`, as an object array of str; those that are not UTF-8 stay bytes."""
    y = np.empty(len(texts), object)
    y[:] = [_decoded(text) for text in texts]
    return y.reshape(shape)


def _decoded(text: bytes) -> str | bytes:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def _one(item: Any, position: int, layer: str) -> bytes:
    if isinstance(item, bytes):
        return item
    if not isinstance(item, str):
        raise InvalidInput(
            f"{layer} takes strings; item {position} is {item!r:.40} of type {type(item).__name__}; "
            "replace missing texts by empty strings"
        )
    try:
        return item.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{layer}: item {position} is not valid Unicode (a lone surrogate): {error}") from error
