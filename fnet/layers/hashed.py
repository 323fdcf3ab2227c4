"""Hashing layers: strings and integers into a fixed number of bins, with TensorFlow's hash functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet.backend import ops
from fnet.core.room import arrays, numbers
from fnet.core.rules import Entrance, layer
from fnet.errors import InvalidInput
from fnet.hashes import cross64, farmhash64
from fnet.layers.encoding import Salt, encode, hash_buckets, lookup_spec
from fnet.shapes import fits
from fnet.strings import NumpyArray, is_strings, utf8
from fnet.types import Array, OutputMode, Params, ParamTree, Positive, Spec


def _dtype(output_mode: str, dtype: str | None) -> str:
    if dtype == "string":
        raise ValueError("bins are numbers, not of the dtype 'string'")
    return dtype or ("int64" if output_mode == "int" else "float32")


def _hashing_rule(
    x: Spec, *, num_bins: int, mask_value: str | int | None, output_mode: str, dtype: str | None
) -> tuple[Spec, ParamTree]:
    if isinstance(mask_value, str) and x.dtype != "string":
        raise InvalidInput(f"hashing has the text {mask_value!r:.40} as its mask_value, and takes {x}")
    kind = _dtype(output_mode, dtype)
    return lookup_spec(x.shape, output_mode, num_bins, (kind, kind)), {}


def _room(x: Any) -> tuple[int, int]:
    """A text in Python for each value, and its hash."""
    count = sum(map(numbers, arrays(x)))
    return 100 * count, 2500 * count


@layer(shape=_hashing_rule, room=_room, mask="drop", entrance=Entrance(host=True))
def hashing(
    params: Params,
    x: Any,
    *,
    num_bins: Positive,
    mask_value: str | int | None = None,
    salt: Salt = None,
    output_mode: OutputMode = "int",
    dtype: str | None = None,
) -> Array:
    """Strings or integers (...) -> bins int64 (...), or one_hot, multi_hot, count over bins (float32).

    bin = FarmHash64 (SipHash-2-4 under `salt`, one or two integers) modulo num_bins; integers are hashed as decimal
    digits, floats are truncated first. `mask_value` has bin 0 for itself. No params. Mask: dropped. Runs in NumPy.
    Errors: InvalidInput for a string that is missing. Source: keras.layers.Hashing.

    >>> hashing({}, ["A", "B", "hello"], num_bins=7)
    array([3, 6, 5])
    """
    keys, shape, masked = _keys(x, mask_value)
    reserved = int(mask_value is not None and num_bins > 1)
    bins = hash_buckets(keys, num_bins - reserved, salt) + reserved
    if reserved:
        bins = np.where(masked, 0, bins)
    return encode(bins.reshape(shape), output_mode, num_bins, _dtype(output_mode, dtype))


def _keys(x: Any, mask_value: Any) -> tuple[list[bytes], tuple[int, ...], Any]:
    """(bytes to hash, shape, which of them equal the mask value)."""
    if is_strings(x):
        keys, shape = utf8(x, "hashing")
        mask = None if mask_value is None else str(mask_value).encode()
        return keys, shape, np.fromiter((key == mask for key in keys), bool, len(keys))
    values = ops.to_numpy(x)
    masked = np.equal(values.ravel(), mask_value) if mask_value is not None else np.zeros(values.size, bool)
    if values.dtype.kind == "b":
        return [b"true" if v else b"false" for v in values.ravel().tolist()], values.shape, masked
    return [b"%d" % v for v in values.ravel().astype(np.int64).tolist()], values.shape, masked


def _crossing_rule(x: Sequence[Spec], *, num_bins: int, output_mode: str, dtype: str | None) -> tuple[Spec, ParamTree]:
    if len(x) < 2 or not all(fits(column.shape, x[0].shape) for column in x):
        raise InvalidInput(f"hashed_crossing takes two or more columns of one shape; got {list(x)}")
    kind = _dtype(output_mode, dtype)
    return lookup_spec(x[0].shape, output_mode, num_bins, (kind, kind)), {}


@layer(shape=_crossing_rule, room=_room, mask="drop", entrance=Entrance(host=True))
def hashed_crossing(
    params: Params, x: Sequence[Any], *, num_bins: Positive, output_mode: OutputMode = "int", dtype: str | None = None
) -> Array:
    """Two or more columns of one shape, (), (batch,) or (batch, 1), -> the bin of each row's combination.

    x: a tuple of columns, strings or integers. bin = a fingerprint of the columns' fingerprints (FarmHash64 of a
    string, an integer itself) modulo num_bins. No params. Mask: dropped. Runs in NumPy.
    Errors: InvalidInput for columns of different shapes or of floats. Source: keras.layers.HashedCrossing.
    """
    columns = [_column(column) for column in x]
    shapes = {shape for _, shape in columns}
    if len(columns) < 2 or len(shapes) > 1:
        raise InvalidInput(f"hashed_crossing takes two or more columns of one shape; got shapes {sorted(shapes)}")
    words = cross64([fingerprints for fingerprints, _ in columns]) % np.uint64(num_bins)
    bins = words.astype(np.int64).reshape(shapes.pop())
    return encode(bins, output_mode, num_bins, _dtype(output_mode, dtype))


def _column(x: Any) -> tuple[NumpyArray, tuple[int, ...]]:
    if is_strings(x):
        keys, shape = utf8(x, "hashed_crossing")
        return farmhash64(keys), shape
    values = ops.to_numpy(x)
    if values.dtype.kind not in "iub":
        raise InvalidInput(f"hashed_crossing takes strings or integers; got {values.dtype}{list(values.shape)}")
    return values.ravel().astype(np.int64).astype(np.uint64), values.shape
