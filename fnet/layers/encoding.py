"""Ids of categories as one-hot, multi-hot, counts or tf-idf, and hash buckets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from fnet.backend import numpy_backend
from fnet.core.rules import Rounding
from fnet.errors import InvalidInput
from fnet.hashes import farmhash64, siphash64
from fnet.strings import NumpyArray
from fnet.types import Array, Params, Spec

Salt = int | tuple[int, int] | None
Size = TypeVar("Size", int, int | None)
MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
"""The output modes; tf_idf is for layers with a vocabulary."""


def hash_buckets(strings: Sequence[bytes], buckets: int, salt: Salt) -> NumpyArray:
    """Bucket int64[n] of each string: FarmHash, or SipHash under a salt of one or two words."""
    key = (salt, salt) if isinstance(salt, int) else salt
    words = farmhash64(strings) if key is None else siphash64(strings, key)
    return (words % np.uint64(buckets)).astype(np.int64)


def encode(ids: Array, mode: str, depth: int, dtype: Any, weights: Array = None, backend: Any = numpy_backend) -> Array:
    """Ids in the form of `mode`: "int", "one_hot", "multi_hot" or "count" over `depth` columns.

    one_hot: (..., n) -> (..., n, depth), a last axis of size 1 is dropped first. multi_hot, count: (n,) ->
    (depth,), (batch, n, ...) -> (batch, ..., depth). Ids outside 0..depth-1 have no column. weights: how much each id
    counts, of the shape of `ids`. backend: the operations to count with; NumPy's for layers that run there.
    """
    if mode == "int":
        return ids.astype(dtype)
    if mode not in MODES:
        raise ValueError(f"output_mode {mode!r}; use one of {', '.join(MODES)}")
    if mode == "one_hot":
        ids = ids[..., 0] if ids.ndim > 1 and ids.shape[-1] == 1 else ids
        return (ids.reshape(*(ids.shape or (1,)), 1) == np.arange(depth)).astype(dtype)
    ids, weights = (None if a is None else _samples_last(a) for a in (ids, weights))
    if not all(isinstance(size, int) for size in ids.shape):  # of a program for any number of rows
        return _counted(ids, mode, depth, dtype, weights)
    rows = np.repeat(np.arange(math.prod(ids.shape[:-1])), ids.shape[-1])
    flat = None if weights is None else weights.reshape(-1)
    return count_rows(rows, ids.reshape(-1), ids.shape[:-1], mode, depth, dtype, flat, backend)


def _counted(ids: Array, mode: str, depth: int, dtype: Any, weights: Array) -> Array:
    """`count_rows` of ids (..., n), each compared with each column."""
    there = ids[..., None] == np.arange(depth)
    counts = (there if weights is None else there * weights[..., None]).sum(-2)
    return (counts > 0 if mode == "multi_hot" else counts).astype(dtype)


def _samples_last(a: Array) -> Array:
    """(batch, n, ...) -> (batch, ..., n): ids that are counted together are in the last axis."""
    a = a.reshape(1) if a.ndim == 0 else a
    return a.transpose(0, *range(2, a.ndim), 1) if a.ndim > 2 else a


def count_rows(
    rows: NumpyArray,
    ids: Array,
    shape: tuple[int, ...],
    mode: str,
    depth: int,
    dtype: Any,
    weights: Array = None,
    backend: Any = numpy_backend,
) -> Array:
    """(*shape, depth): how often (multi_hot: whether) each id occurs in each row; rows, ids: one entry per token."""
    size = math.prod(shape) * depth
    inside = (ids >= 0) & (ids < depth)
    bins = (rows * depth + ids + 1) * inside - 1  # -1 where there is no column
    counts = backend.bincount(bins, size, weights)
    return (counts > 0 if mode == "multi_hot" else counts).astype(dtype).reshape(*shape, depth)


TOKENS = Rounding(keeps=("inputs", "params"), gives=lambda: "float32")
"""The rounding of token layers under any dtype policy: in Keras tf-idf weights and their outputs are float32."""


def weigh(params: Params, counted: Callable[[str], NumpyArray], mode: str) -> NumpyArray:
    """The encoding of a mode, `counted(mode)`; tf_idf is the count of each token times its idf weight."""
    if mode != "tf_idf":
        return counted(mode)
    if "idf_weights" not in params:
        raise InvalidInput("output_mode='tf_idf' needs params['idf_weights'], one weight for each column")
    weighted: NumpyArray = counted("count").astype(np.float32) * np.asarray(params["idf_weights"])
    return weighted


def lookup_spec(shape: tuple[int | None, ...], mode: str, depth: int | None, dtypes: tuple[str, str]) -> Spec:
    """The Spec of `encode`; dtypes: of ids, of encodings."""
    if mode == "int":
        return Spec(shape, dtypes[0])
    if mode == "one_hot":
        return Spec((*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth), dtypes[1])
    return Spec((*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,), dtypes[1])


def depth_of(max_tokens: int | None, pad_to_max_tokens: bool, size: Size) -> int | Size:
    """Columns of an encoding: the size of the vocabulary, or `max_tokens` when padded to it."""
    return max_tokens if pad_to_max_tokens and max_tokens else size
