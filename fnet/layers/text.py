"""Text to token ids, exactly as TensorFlow's string ops do it, in NumPy and plain Python bytes."""

from __future__ import annotations

import string
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, TypeAlias

import numpy as np

from fnet.core.rules import Entrance, layer
from fnet.errors import InvalidInput
from fnet.layers.encoding import TOKENS, count_rows, depth_of, encode, lookup_spec, weigh
from fnet.layers.vocabulary import Specials, table_params, token_ids, vocabulary_of
from fnet.strings import NumpyArray, utf8
from fnet.types import Array, OutputMode, Params, ParamTree, Positive, Shape, Spec, Tokens

_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_PUNCTUATION = string.punctuation.encode()

STANDARDIZE: dict[str | None, tuple[bytes | None, bytes]] = {
    "lower_and_strip_punctuation": (_LOWER, _PUNCTUATION),
    "lower": (_LOWER, b""),
    "strip_punctuation": (None, _PUNCTUATION),
    None: (None, b""),
}
"""{mode: arguments of `bytes.translate`}. TensorFlow changes ASCII letters and removes ASCII punctuation only."""


Standardize: TypeAlias = Literal["lower_and_strip_punctuation", "lower", "strip_punctuation"]


def _text_rule(
    x: Spec,
    *,
    max_tokens: int | None,
    split: str | None,
    ngrams: int | Sequence[int] | None,
    output_mode: str,
    output_sequence_length: int | None,
    pad_to_max_tokens: bool,
    vocabulary_size: int | None,
    encoding_dtype: str,
) -> tuple[Spec, ParamTree]:
    if split:
        _require_one_text(x.shape)
    depth = depth_of(max_tokens, pad_to_max_tokens, vocabulary_size)
    shape = x.shape[:-1] if split and len(x.shape) > 1 else x.shape
    length = None if split or ngrams is not None else shape[-1]
    tokens = (*(shape if split else shape[:-1]), output_sequence_length or length)
    kinds = ("int64", "float32" if output_mode == "tf_idf" else encoding_dtype)
    return lookup_spec(tokens, output_mode, depth, kinds), table_params(True, output_mode, depth)


@layer(shape=_text_rule, mask="drop", entrance=Entrance(host=True), rounding=TOKENS)
def text_vectorization(
    params: Params,
    x: Any,
    *,
    max_tokens: Tokens | None = None,
    standardize: Standardize | None = "lower_and_strip_punctuation",
    split: Literal["whitespace", "character"] | None = "whitespace",
    ngrams: Positive | Sequence[Positive] | None = None,
    output_mode: OutputMode = "int",
    output_sequence_length: int | None = None,
    pad_to_max_tokens: bool = False,
    vocabulary_size: int | None = None,
    encoding_dtype: str = "int64",
) -> Array:
    """Texts (batch,) or (batch, 1) -> token ids int64 (batch, length), or multi_hot, count, tf_idf (batch, columns).

    Texts are standardized (ASCII letters lower-cased, ASCII punctuation removed), split ("whitespace": at ASCII
    white space; "character"; None: (..., n) are tokens), joined to `ngrams` (2 means (1, 2)), looked up: 0 is
    padding, 1 is unknown, then the vocabulary. Rows are padded to the longest, or to `output_sequence_length`.
    Encodings have a column for each id but the padding, or `max_tokens` ones with `pad_to_max_tokens`, and are
    `encoding_dtype` (float32 in Keras 2), tf_idf float32.

    x: str, bytes or object array, or a list of strings. params: vocabulary, a packed table with "" and "[UNK]" in
    front (`fnet.vocabulary_params`), idf_weights (columns,) for tf_idf. Mask: dropped. Runs in NumPy.
    Errors: InvalidInput for a missing vocabulary, what is not a string, texts of the wrong rank.
    Source: keras.layers.TextVectorization.
    """
    specials = Specials("", "[UNK]", 1, output_mode)
    vocabulary = vocabulary_of(params, specials, True, "text_vectorization")
    rows, shape = _tokens(x, standardize, split, ngrams)
    flat = list(chain.from_iterable(rows))
    ids = token_ids(vocabulary, flat, specials, "text_vectorization")
    depth = depth_of(max_tokens, pad_to_max_tokens, len(vocabulary.tokens))
    lengths = np.fromiter(map(len, rows), np.intp, len(rows))  # `np.repeat` takes no int64 on 32-bit platforms
    if output_mode == "int":
        return _pad(ids, lengths, shape, output_sequence_length)
    if output_mode == "one_hot":
        return encode(_dense(ids, lengths, shape, split), "one_hot", depth, encoding_dtype)
    owners = np.repeat(np.arange(len(rows)), lengths)
    return weigh(params, lambda mode: count_rows(owners, ids, shape, mode, depth, encoding_dtype), output_mode)


def _tokens(
    x: Any, standardize: str | None, split: str | None, ngrams: int | Sequence[int] | None
) -> tuple[list[list[bytes]], tuple[int, ...]]:
    """(the tokens of each row, the shape of the rows)."""
    texts, shape = utf8(x, "text_vectorization")
    table, deleted = STANDARDIZE[standardize]
    if table or deleted:
        texts = [text.translate(table, deleted) for text in texts]
    if split is None:
        width = shape[-1] if shape else 1
        rows = [texts[i : i + width] for i in range(0, len(texts), width)] if width else []
        shape = shape[:-1]
    else:
        _require_one_text(shape)
        shape = shape[:-1] if len(shape) > 1 else shape
        rows = [text.split() for text in texts] if split == "whitespace" else [_characters(text) for text in texts]
    if ngrams is not None:
        longest = max(map(len, rows), default=0)
        widths = range(1, min(ngrams, longest) + 1) if isinstance(ngrams, int) else ngrams
        rows = [[gram for n in widths for gram in _grams(row, n)] for row in rows]
    return rows, shape


def _require_one_text(shape: Shape) -> None:
    if len(shape) > 1 and shape[-1] not in (None, 1):
        raise InvalidInput(f"text_vectorization splits texts (batch,) or (batch, 1); got shape {shape}")


def _characters(text: bytes) -> list[bytes]:
    """The characters of a text; each malformed part is one U+FFFD."""
    return [c.encode() for c in text.decode("utf-8", "replace")]


def _grams(tokens: list[bytes], n: int) -> list[bytes]:
    """Every `n` neighbours, joined by a space."""
    return tokens if n == 1 else [b" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def _pad(ids: NumpyArray, lengths: NumpyArray, shape: tuple[int, ...], length: int | None = None) -> NumpyArray:
    """(*shape, length): flat ids in rows of their lengths, cut or filled up with 0."""
    size = int(lengths.max(initial=0)) if length is None else length
    columns = np.arange(ids.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    padded = np.zeros((len(lengths), size), np.int64)
    inside = columns < size
    padded[np.repeat(np.arange(len(lengths)), lengths)[inside], columns[inside]] = ids[inside]
    return padded.reshape(*shape, size)


def _dense(ids: NumpyArray, lengths: NumpyArray, shape: tuple[int, ...], split: str | None) -> NumpyArray:
    """Ids of rows that have one length: only such can be one-hot encoded into an array."""
    if split is not None and lengths.size and lengths.min() != lengths.max():
        raise InvalidInput("output_mode='one_hot' needs texts with one number of tokens: the result is one array")
    return _pad(ids, lengths, shape)
