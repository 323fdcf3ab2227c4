"""Vocabularies: tables in the params, in the order of the ids, and how the id of a token is found in them.

Special tokens are included, as Keras's `get_vocabulary()` gives them. NumPy on both backends.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from fnet.backend import ops
from fnet.compose import bind
from fnet.errors import InvalidInput
from fnet.modelling import resolved_options
from fnet.strings import NumpyArray, pack_strings, unpack_bytes
from fnet.types import Param, Params, ParamTree

MASKED = np.iinfo(np.int64).max
"""The id of the mask token where ids are encoded: no column has it."""

STRINGS: ParamTree = {
    "bytes": Param((None,), "zeros", "uint8", trainable=False),
    "offsets": Param((None,), "zeros", "int64", trainable=False),
}
"""Params of a packed table of strings."""


@dataclass(frozen=True)
class Specials:
    """Where the special tokens stand: ids [mask,] oov..., then the tokens of the vocabulary."""

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
        return [self.mask_token] * self.oov_start + [self.oov_token] * self.num_oov_indices

    @property
    def masked(self) -> int:
        """The id that the mask token gets."""
        return 0 if self.output_mode == "int" else MASKED


def vocabulary_params(step: Any, tokens: Iterable[Any], idf_weights: Sequence[float] | None = None) -> dict[str, Any]:
    """The params of a lookup layer or `text_vectorization` from its tokens, most frequent first.

    step: the (bound) layer. Special tokens are added in front unless they are there. idf_weights: one for each
    token, for `output_mode="tf_idf"`; special tokens get their mean, as in Keras.

    >>> params = vocabulary_params(string_lookup, ["cat", "dog"])
    >>> string_lookup(params, ["dog", "cow"])
    array([2, 0])
    """
    options = resolved_options(step)
    specials = Specials(
        options.get("mask_token", ""),
        options.get("oov_token", "[UNK]"),
        options.get("num_oov_indices", 1),
        options["output_mode"],
    )
    listed = list(tokens)
    start = specials.token_start
    added = [] if listed[:start] == specials.tokens else specials.tokens
    table: Any = added + listed
    strings = bind(step).function.__name__ != "integer_lookup"
    params: dict[str, Any] = {"vocabulary": pack_strings(table) if strings else np.array(table, np.int64)}
    if options["output_mode"] == "tf_idf" and idf_weights is not None:
        weights = np.asarray(idf_weights, np.float32)
        depth = options["max_tokens"] if options["pad_to_max_tokens"] else len(table)
        back = max(0, depth - len(added) - len(weights))
        front = np.full(len(added), np.average(np.asarray(idf_weights, np.float64)))
        params["idf_weights"] = np.concatenate([front, weights, np.zeros(back)]).astype(np.float32)
    return params


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What is derived from a table: its tokens in the order of ids, and how to find the id of one."""

    tokens: Any
    find: Callable[[Any, int], NumpyArray]
    """(tokens, id of an unknown one) -> ids int64[n]"""


_derived: OrderedDict[tuple[Any, ...], tuple[Any, Vocabulary]] = OrderedDict()
_DERIVED_KEPT = 32


def vocabulary_of(params: Params, specials: Specials, strings: bool, layer_name: str) -> Vocabulary:
    """The vocabulary of a params entry, derived once for each table.

    Tables are known by identity as long as they cannot change (read-only and JAX arrays), else by content.
    """
    found = params.get("vocabulary")
    arrays = [] if found is None else [found["bytes"], found["offsets"]] if strings else [found]
    key = (strings, specials, *(_identity(a) for a in arrays))
    if key not in _derived:
        tokens: Any = _table(found) if strings else _integers(found)
        if len(tokens) <= specials.token_start:
            raise InvalidInput(
                f"{layer_name} has no vocabulary: its params hold {len(tokens)} tokens; "
                "load a model that was adapted, or make them: fnet.vocabulary_params(step, tokens)"
            )
        _derived[key] = (arrays, _strings(tokens, specials) if strings else _numbers(tokens, specials))
        while len(_derived) > _DERIVED_KEPT:
            _derived.popitem(last=False)
    _derived.move_to_end(key)
    return _derived[key][1]


def _identity(a: Any) -> Any:
    if isinstance(a, np.ndarray) and a.flags.writeable:
        return a.tobytes()
    return id(a)


def _table(table: Any) -> list[bytes]:
    return [] if table is None else unpack_bytes({key: ops.to_numpy(array) for key, array in table.items()})


def _integers(table: Any) -> NumpyArray:
    return np.zeros(0, np.int64) if table is None else ops.to_numpy(table).astype(np.int64)


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
