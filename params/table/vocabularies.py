"""The vocabularies of lookups and text layers: from a config, an asset of the file, or the caller."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from fnet.layers import lookup
from fnet.layers.vocabulary import specials_of, vocabulary_params
from params.errors import CorruptFile, ModelFileError, UnsupportedLayer, WeightsMismatch, quoted
from params.table.entry import Vocabulary


def vocabulary(config: dict[str, Any], asset: Vocabulary | None, step: Any) -> dict[str, Any]:
    """The tokens of a lookup: from its file or the caller, or else its config."""
    name = quoted(config.get("name"))
    integers = step.function is lookup.integer_lookup
    tokens: Any = config.get("vocabulary") if asset is None else asset.tokens
    if isinstance(tokens, str) and asset is None:
        raise UnsupportedLayer(f"{name} names a vocabulary file, {quoted(tokens)}: not read")
    if tokens is None:
        raise UnsupportedLayer(
            f"the file has lost the vocabulary of {name} (a legacy .h5 cannot hold it, and Keras "
            "itself fails on such a model); save as .keras, or give the tokens: load_keras(..., vocabulary=[...])"
        )
    if asset is None and not isinstance(tokens, tuple | list):
        raise CorruptFile(f"the vocabulary of {name} is {quoted(tokens, 40)}, not a list of tokens")
    try:
        if asset is not None and asset.file is not None:
            lines = written_lines(asset.file, empty_word=specials_of(step).mask_token is None and not integers)
            tokens = _with_specials(map(int, lines) if integers else lines, step)
        weights = config.get("idf_weights")
        return vocabulary_params(step, tokens, weights if isinstance(weights, list) else None)
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, ModelFileError):
            raise
        place = quoted(asset.place) if asset is not None and asset.place else "its config"
        raise WeightsMismatch(f"the vocabulary of {name}, in {place}, is one that Keras refuses: {error}") from error


def written_lines(data: bytes, *, empty_word: bool) -> Iterator[str]:
    """The words of a `vocabulary.txt` as the Keras that wrote it had them: joined by the end of line of its system.

    Keras reads the file as lines of any kind, which moves the ids after a word with U+2028 or a carriage return in
    it; those of the model that was saved are given here. An empty last line is a word only where there can be an
    `empty_word`, once; else somebody's editor added it.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        why = "Keras on Windows writes the encoding of the system"
        raise ValueError(f"not UTF-8 ({error}); {why}: give vocabulary=[...]") from error
    ends = text.count("\n")
    windows = text.count("\r\n")
    if windows not in (0, ends):
        raise ValueError(f"{windows} of its {ends} lines end as on Windows, the others do not: give vocabulary=[...]")
    end = "\r\n" if windows else "\n"
    last = len(text.rstrip("\r\n" if windows else "\n"))
    empty = text.count(end, last)
    size = len(text) - empty * len(end)
    if empty_word and empty == 1 and size and not text.startswith(end) and end + end not in text[:size]:
        size += len(end)
    at = 0
    while (stop := text.find(end, at, size)) >= 0:
        yield text[at:stop]
        at = stop + len(end)
    yield text[at:size]


def _with_specials(tokens: Iterator[Any], step: Any) -> Iterator[Any]:
    """The tokens of a file, in which Keras writes the special ones first."""
    specials = specials_of(step).tokens
    first = list(islice(tokens, len(specials)))
    if first != specials:
        raise ValueError(f"it begins with {quoted(first, 60)}, not with the special tokens {quoted(specials, 60)}")
    return chain(first, tokens)


def idf_arrays(config: dict[str, Any]) -> tuple[str, ...]:
    """The arrays of a lookup: its idf weights, even where the config holds them as well."""
    return ("idf_weights",) if config.get("output_mode") in ("tf_idf", "tf-idf") else ()


def modern_mode(config: dict[str, Any]) -> dict[str, Any]:
    """Output modes by their present names."""
    old = {"binary": "multi_hot", "tf-idf": "tf_idf"}
    return {
        key: old.get(value, value) if key == "output_mode" and isinstance(value, str) else value
        for key, value in config.items()
    }
