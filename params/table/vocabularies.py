"""The vocabularies of lookups and text layers: from a config, an asset of the file, or the caller."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from fnet.layers import own_name
from params.errors import CorruptFile, ModelFileError, UnsupportedLayer, WeightsMismatch, quoted
from params.table.entry import Vocabulary


def vocabulary(config: dict[str, Any], asset: Vocabulary | None, step: Any) -> dict[str, Any]:
    """The params of a lookup's vocabulary, from its file or the caller (`asset`), or else from its config."""
    from fnet.layers.vocabulary import specials_of, vocabulary_params  # few models have one

    name, integers = quoted(config.get("name")), own_name(step.function) == "integer_lookup"
    tokens: Any = config.get("vocabulary") if asset is None else asset.tokens
    if isinstance(tokens, str) and asset is None:
        raise UnsupportedLayer(f"{name} names a vocabulary file, {quoted(tokens)}: not read")
    if tokens is None:
        raise UnsupportedLayer(
            f"the file has lost the vocabulary of {name} (HDF5 cannot hold it, and Keras itself fails on such a "
            'model); save as .keras (in Keras 2.12 with save_format="keras_v3", as it writes HDF5 under that name '
            "without), or give the tokens: load_keras(..., vocabulary=[...])"
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
        raise WeightsMismatch(f"the vocabulary of {name}, in {place}, is refused by Keras: {error}") from error


def written_lines(data: bytes, *, empty_word: bool) -> Iterator[str]:
    """The words of a `vocabulary.txt` as in the Keras that wrote it: joined by the line ending of its system.

    Keras reads the file with any kind of line ending, which shifts the ids after a word that contains U+2028 or a
    carriage return; here ids are those of the saved model. An empty last line is a word only if an `empty_word` is
    possible, and only once; otherwise an editor added it.
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
    """The tokens of a file after a check that the special ones come first, as Keras writes them."""
    from fnet.layers.vocabulary import specials_of

    specials = specials_of(step).tokens
    first = list(islice(tokens, len(specials)))
    if first != specials:
        raise ValueError(f"it begins with {quoted(first, 60)}, not with the special tokens {quoted(specials, 60)}")
    return chain(first, tokens)


def idf_arrays(config: dict[str, Any]) -> tuple[str, ...]:
    """The arrays of a lookup: its idf weights, even if they are also in the config."""
    return ("idf_weights",) if config.get("output_mode") in ("tf_idf", "tf-idf") else ()


def modern_mode(config: dict[str, Any]) -> dict[str, Any]:
    """The config with today's names of output modes."""
    old = {"binary": "multi_hot", "tf-idf": "tf_idf"}
    return {
        key: old.get(value, value) if key == "output_mode" and isinstance(value, str) else value
        for key, value in config.items()
    }
