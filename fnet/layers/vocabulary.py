"""Vocabularies: tables in the params, in the order of the ids, and the search for the id of a token.

Special tokens are included, as Keras's `get_vocabulary()` gives them. NumPy on both backends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice, repeat
from typing import Any

import numpy as np

from fnet import tree
from fnet.backend import ops
from fnet.constants import is_constant
from fnet.core.layer import bind
from fnet.errors import InvalidInput
from fnet.latest import Latest
from fnet.records import dataclass
from fnet.strings import NumpyArray, pack_strings, unpack_bytes
from fnet.types import Param, Params, ParamTree

MASKED = np.iinfo(np.int64).max
"""The id of the mask token where ids are encoded: no column has it."""

MOST_COLUMNS = 1 << 24
"""Columns of an encoding that a vocabulary is padded to."""

STRINGS: ParamTree = {
    "bytes": Param((None,), "zeros", "uint8", trainable=False),
    "offsets": Param((None,), "zeros", "int64", trainable=False),
}
"""Params of a packed table of strings."""


@dataclass(frozen=True)
class Specials:
    """Where the special tokens are: ids [mask,] oov..., then the tokens of the vocabulary."""

    mask_token: Any
    oov_token: Any
    num_oov_indices: int
    output_mode: str

    @property
    def oov_start(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def token_start(self) -> int:
        return self.oov_start + self.num_oov_indices

    @property
    def tokens(self) -> list[Any]:
        """The special tokens; None for unknown ones where `oov_token` is None: nothing reads them but `invert`."""
        return [self.mask_token] * self.oov_start + [self.oov_token] * self.num_oov_indices

    @property
    def masked(self) -> int:
        """The id that the mask token gets."""
        return 0 if self.output_mode == "int" else MASKED


def specials_of(step: Any) -> Specials:
    """The special tokens of a lookup layer or `text_vectorization`."""
    options = bind(step).all_options
    if "output_mode" not in options:
        raise TypeError(f"vocabulary_params takes a lookup layer or text_vectorization; got {step!r:.80}")
    return Specials(
        options.get("mask_token", ""),
        options.get("oov_token", "[UNK]"),
        options.get("num_oov_indices", 1),
        options["output_mode"],
    )


def vocabulary_params(step: Any, tokens: Iterable[Any], idf_weights: Sequence[float] | None = None) -> dict[str, Any]:
    """The params of a lookup layer or `text_vectorization` from its tokens, most frequent first.

    step: the (bound) layer. Special tokens are added in front unless they are there. idf_weights: one for each
    token, for `output_mode="tf_idf"`; special tokens get their mean, as in Keras.
    Raises ValueError for tokens that Keras refuses: none, one twice, more than max_tokens, the mask token among
    them; TypeError for a token of the wrong type.

    >>> params = vocabulary_params(string_lookup, ["cat", "dog"])
    >>> string_lookup(params, ["dog", "cow"])
    array([2, 0])
    """
    options, specials = bind(step).all_options, specials_of(step)
    strings = bind(step).function.__name__ != "integer_lookup"
    complete, listed = _legal(tokens, specials, str if strings else int, options)
    nothing = "" if strings else 0
    added = [] if complete else [nothing if token is None else token for token in specials.tokens]
    table: Any = added + listed
    params: dict[str, Any] = {"vocabulary": pack_strings(table) if strings else np.array(table, np.int64)}
    if options["output_mode"] == "tf_idf" and idf_weights is not None:
        weights = np.asarray(idf_weights, np.float32)
        if weights.shape != (len(listed),) or not np.isfinite(weights).all():
            raise ValueError(f"idf_weights are finite numbers, one for each of the {len(listed)} tokens")
        depth = options["max_tokens"] if options["pad_to_max_tokens"] else len(table)
        if depth > MOST_COLUMNS:
            raise ValueError(f"weights for {depth} columns; at most {MOST_COLUMNS} are filled up with zeros")
        back = max(0, depth - len(added) - len(weights))
        front = np.full(len(added), np.average(np.asarray(idf_weights, np.float64)))
        params["idf_weights"] = np.concatenate([front, weights, np.zeros(back)]).astype(np.float32)
    return params


def _legal(tokens: Iterable[Any], specials: Specials, kind: type, options: dict[str, Any]) -> tuple[bool, list[Any]]:
    """(whether the special tokens come first, all tokens), read one by one up to the first that Keras refuses."""
    waiting = (_of_kind(token, kind, number) for number, token in enumerate(tokens))
    listed = list(islice(waiting, specials.token_start))
    complete = listed == specials.tokens
    seen: set[Any] = set()
    for token in waiting if complete else chain(listed.copy(), waiting):
        if token in seen:
            raise ValueError(f"the token {token!r:.40} appears twice; each has one id")
        seen.add(token)
        if complete or len(seen) > specials.token_start:
            listed.append(token)
    if not seen:
        raise ValueError(f"no tokens but {listed!r:.60}" if listed else "no tokens")
    if specials.mask_token is not None and specials.mask_token in seen:
        raise ValueError(f"the mask token {specials.mask_token!r:.40} is among the tokens; its place is the first")
    if options.get("invert") and specials.oov_token in seen:
        raise ValueError(f"the token for unknown ones, {specials.oov_token!r:.40}, is among the tokens")
    size = specials.token_start + len(seen)
    if options["max_tokens"] is not None and size > options["max_tokens"]:
        raise ValueError(f"{size} tokens, special ones included, are more than max_tokens={options['max_tokens']}")
    return complete, listed


def _of_kind(token: Any, kind: type, number: int) -> Any:
    if kind is str and isinstance(token, bytes):
        return token.decode("utf-8", "surrogateescape")
    if kind is int and (isinstance(token, np.integer) or (isinstance(token, float) and token.is_integer())):
        return int(token)
    if not isinstance(token, kind) or isinstance(token, bool):
        raise TypeError(f"token {number} is {token!r:.40}, not a {kind.__name__}")
    return token


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Derived from a table: its tokens in the order of ids, and a function that finds ids."""

    tokens: Any
    find: Callable[[Any, int], NumpyArray]
    """(tokens, id of an unknown one) -> ids int64[n]"""


_derived: Latest[tuple[Any, ...], tuple[Any, Vocabulary]] = Latest(32)
"""{kind, special tokens and arrays of a table: (the arrays, so that their ids stay theirs; what is derived)}."""


def vocabulary_of(params: Params, specials: Specials, strings: bool, layer_name: str) -> Vocabulary:
    """The vocabulary of a params entry, derived once for each table.

    Tables are known by identity as long as they cannot change (those of files and of JAX), else by content.
    """
    table = params.get("vocabulary")
    arrays = [] if table is None else [table["bytes"], table["offsets"]] if strings else [table]
    key = (strings, specials, *(_identity(a) for a in arrays))
    known = _derived.find(key)
    if known is None:
        array = tree.map(ops.to_numpy, table)
        tokens: Any = [] if array is None else unpack_bytes(array) if strings else array
        if len(tokens) <= specials.token_start:
            raise InvalidInput(
                f"{layer_name} has no vocabulary: its params hold {len(tokens)} tokens; "
                "load a model that was adapted, or make them: fnet.vocabulary_params(step, tokens)"
            )
        known = _derived.keep(key, (arrays, _strings(tokens, specials) if strings else _numbers(tokens, specials)))
    return known[1]


def _identity(a: Any) -> Any:
    if isinstance(a, np.ndarray) and not is_constant(a):
        return a.tobytes()
    return id(a)


def _strings(tokens: list[bytes], specials: Specials) -> Vocabulary:
    ids = {token: i for i, token in enumerate(tokens) if i >= specials.token_start}
    if specials.mask_token is not None:
        ids[str(specials.mask_token).encode()] = specials.masked
    get = ids.get
    return Vocabulary(tokens, lambda keys, oov: np.fromiter(map(get, keys, repeat(oov)), np.int64, len(keys)))


def _numbers(tokens: NumpyArray, specials: Specials) -> Vocabulary:
    keys = tokens[specials.token_start :]
    ids = np.arange(specials.token_start, len(tokens))
    if specials.mask_token is not None:
        keep = keys != specials.mask_token
        keys = np.append(keys[keep], np.int64(specials.mask_token))
        ids = np.append(ids[keep], specials.masked)
    order = np.argsort(keys, kind="stable")
    keys, ids = keys[order], ids[order]

    def find(x: NumpyArray, oov: int) -> NumpyArray:
        place = np.minimum(np.searchsorted(keys, x), len(keys) - 1)
        return np.where(keys[place] == x, ids[place], oov)

    return Vocabulary(tokens, find)


def token_ids(
    vocabulary: Vocabulary, keys: Any, specials: Specials, name: str, buckets: Callable[[Any], NumpyArray] | None = None
) -> NumpyArray:
    """Ids int64[n] of flat keys; `buckets` spreads unknown ones over several oov ids."""
    count = specials.num_oov_indices
    ids = vocabulary.find(keys, specials.oov_start if count == 1 else -1)
    if count != 1:
        unknown = np.flatnonzero(ids == -1)
        if unknown.size and count == 0:
            raise InvalidInput(
                f"{name} has num_oov_indices=0, so every token must be in its vocabulary; "
                f"item {unknown[0]} is {keys[unknown[0]]!r:.60}"
            )
        if unknown.size and buckets is not None:
            ids[unknown] = buckets([keys[i] for i in unknown.tolist()]) + specials.oov_start
    return ids


def table_params(strings: bool, mode: str, depth: int | None) -> ParamTree:
    """The params of a lookup: its vocabulary, and idf weights for tf_idf."""
    vocabulary = STRINGS if strings else Param((None,), "zeros", "int64", trainable=False)
    idf = {"idf_weights": Param((depth,), "ones", trainable=False)} if mode == "tf_idf" else {}
    return {"vocabulary": vocabulary, **idf}
