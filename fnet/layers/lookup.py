"""Lookup layers: tokens to ids (or one-hot, multi-hot, counts, tf-idf) by a vocabulary, and back.

They run in NumPy on both backends, in front of the jitted part.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np

from fnet.backend import ops
from fnet.core.rules import Entrance, layer
from fnet.errors import InvalidInput
from fnet.layers.encoding import TOKENS, Salt, depth_of, encode, hash_buckets, lookup_spec, weigh
from fnet.layers.vocabulary import Specials, table_params, token_ids, vocabulary_of
from fnet.strings import NumpyArray, utf8
from fnet.types import Array, Buckets, OutputMode, Params, ParamTree, Spec, Tokens


def _rule(
    strings: bool,
    x: Spec,
    *,
    max_tokens: int | None,
    oov_token: str | int | None,
    output_mode: str,
    pad_to_max_tokens: bool,
    invert: bool,
    vocabulary_size: int | None,
    encoding_dtype: str,
) -> tuple[Spec, ParamTree]:
    """The shape rule of a table of strings, or of integers."""
    if strings and invert and x.dtype == "string":
        raise ValueError("with invert=True string_lookup takes ids, not strings")
    if invert and oov_token is None:
        raise ValueError("with invert=True unknown ids need an oov_token")
    depth = depth_of(max_tokens, pad_to_max_tokens, vocabulary_size)
    ids = "string" if strings and invert else "int64"
    kinds = (ids, "float32" if output_mode == "tf_idf" else encoding_dtype)
    return lookup_spec(x.shape, output_mode, depth, kinds), table_params(strings, output_mode, depth)


@layer(shape=partial(_rule, True), mask="drop", entrance=Entrance(host=True), rounding=TOKENS)
def string_lookup(
    params: Params,
    x: Any,
    *,
    max_tokens: Tokens | None = None,
    num_oov_indices: Buckets = 1,
    mask_token: str | None = None,
    oov_token: str | None = "[UNK]",
    invert: bool = False,
    output_mode: OutputMode = "int",
    pad_to_max_tokens: bool = False,
    salt: Salt = None,
    vocabulary_size: int | None = None,
    encoding_dtype: str = "int64",
) -> Array:
    """Strings (...) -> ids int64 (...), or encodings of them (`output_mode`); `invert`: ids -> strings.

    Ids: [the mask token: 0,] `num_oov_indices` for unknown tokens, then the vocabulary. Several oov ids share the
    unknown tokens by FarmHash, or SipHash under `salt`. Encodings (one_hot, multi_hot, count: of the
    `encoding_dtype`, float32 in Keras 2; tf_idf: float32) have a column for each id but the mask's, or `max_tokens`
    columns with `pad_to_max_tokens`.

    params: vocabulary, a packed table with special tokens (`vocabulary_params`), idf_weights (columns,) for
    tf_idf. Mask: dropped. Runs in NumPy. Errors: InvalidInput for a missing vocabulary, what is not a string, an
    unknown token with num_oov_indices=0. `oov_token` matters with `invert` alone. Source: keras.layers.StringLookup.
    """
    specials = Specials(mask_token, oov_token, num_oov_indices, output_mode)
    vocabulary = vocabulary_of(params, specials, True, "string_lookup")
    if invert:
        texts = [token.decode("utf-8", "surrogateescape") for token in vocabulary.tokens]
        return _inverse(np.array([*texts, oov_token], object), ops.to_numpy(x))
    keys, shape = utf8(x, "string_lookup")
    ids = token_ids(vocabulary, keys, specials, "string_lookup", lambda k: hash_buckets(k, num_oov_indices, salt))
    depth = depth_of(max_tokens, pad_to_max_tokens, len(vocabulary.tokens))
    ids = ids.reshape(shape)
    return weigh(params, lambda mode: encode(ids, mode, depth, _dtype(mode, encoding_dtype)), output_mode)


def _inverse(tokens: NumpyArray, ids: NumpyArray) -> NumpyArray:
    """The token of each id; the last of `tokens` for an id that there is not."""
    last = len(tokens) - 1
    return tokens[np.where((ids >= 0) & (ids < last), ids, last).astype(np.int64)]


def _dtype(mode: str, encoding_dtype: str) -> str:
    return "int64" if mode == "int" else encoding_dtype


@layer(shape=partial(_rule, False), mask="drop", entrance=Entrance(host=True), rounding=TOKENS)
def integer_lookup(
    params: Params,
    x: Any,
    *,
    max_tokens: Tokens | None = None,
    num_oov_indices: Buckets = 1,
    mask_token: int | None = None,
    oov_token: int | None = -1,
    invert: bool = False,
    output_mode: OutputMode = "int",
    pad_to_max_tokens: bool = False,
    oov_method: Literal["floormod", "farmhash"] = "floormod",
    salt: Salt = None,
    vocabulary_size: int | None = None,
    encoding_dtype: str = "int64",
) -> Array:
    """Integers (...) -> ids int64 (...), or encodings of them; `invert`: ids -> integers. As `string_lookup`.

    Several oov ids share the unknown integers by x mod num_oov_indices, or by a hash of their decimal digits with
    `oov_method="farmhash"`. Integers keep all 64 bits on both backends, so this runs in NumPy.

    params: vocabulary int64[size], special tokens included, idf_weights (columns,) for tf_idf. Mask: dropped.
    Source: keras.layers.IntegerLookup.
    """
    specials = Specials(mask_token, oov_token, num_oov_indices, output_mode)
    vocabulary = vocabulary_of(params, specials, False, "integer_lookup")
    values = ops.to_numpy(x)
    if values.dtype.kind not in "iufb":
        raise InvalidInput(f"integer_lookup takes integers; got {values.dtype}{list(values.shape)}")
    values = values.astype(np.int64)
    if invert:
        return _inverse(np.append(vocabulary.tokens, np.int64(oov_token or 0)), values)

    def buckets(keys: list[int]) -> NumpyArray:
        if oov_method == "floormod":
            return np.mod(np.array(keys, np.int64), num_oov_indices)
        return hash_buckets([b"%d" % key for key in keys], num_oov_indices, salt)

    ids = token_ids(vocabulary, values.ravel(), specials, "integer_lookup", buckets).reshape(values.shape)
    depth = depth_of(max_tokens, pad_to_max_tokens, len(vocabulary.tokens))
    return weigh(params, lambda mode: encode(ids, mode, depth, _dtype(mode, encoding_dtype)), output_mode)
