"""Vocabularies give the ids of the Keras that wrote them, whatever its system; those that Keras refuses are refused."""

import contextlib
import tracemalloc
import zipfile

import numpy as np
import pytest

import fnet
from fnet.layers import vocabulary
from params import ModelFileError, load_keras
from params.assign.options_from_arrays import boundaries
from params.errors import UnsupportedLayer, WeightsMismatch
from params.file.model_file import StoredArray
from params.table.entry import MOST_BINS
from params.table.vocabularies import written_lines
from tests.hostile import entry, h5, input_entry, keras_zip, sequential_config

FOLDERS = {
    "StringLookup": "string_lookup",
    "IntegerLookup": "integer_lookup",
    "TextVectorization": "text_vectorization",
}
NO_WEIGHTS = h5(lambda file: file.create_group("layers"))


def model_file(class_name, data=None, **options):
    """A `.keras` with one lookup layer and the bytes of its `vocabulary.txt`."""
    dtype = "int64" if class_name == "IntegerLookup" or options.get("invert") else "string"
    config = sequential_config(input_entry(1, dtype=dtype), entry(class_name, "look", **options))
    members = [] if data is None else [(f"assets/layers/{FOLDERS[class_name]}/vocabulary.txt", data)]
    return keras_zip(config, NO_WEIGHTS, members=members, method=zipfile.ZIP_DEFLATED)


def ids(data, *words):
    model, params = load_keras(data)
    kind = object if isinstance(words[0], str) else np.int64
    return model(params, np.array([[word] for word in words], kind))[:, 0].tolist()


TOKENS = {
    "plain": ["[UNK]", "cat", "dog", "a b"],
    "accents": ["[UNK]", "é", "猫", "\N{GRINNING FACE}"],
    "separators": ["[UNK]", "line\u2028separator", "next\u0085line", "form\x0cfeed", "file\x1cseparator", "after"],
    "carriage_return": ["[UNK]", "mac\rline", "after"],
    "empty_word_inside": ["[UNK]", "", "after"],
    "empty_word_last": ["[UNK]", "cat", ""],
    "spaces": ["[UNK]", " ", "  ", "\t"],
}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("name", TOKENS)
def test_the_ids_are_those_of_the_model_that_was_saved(name, end):
    """Keras writes its tokens in text mode: joined by the end of line of the system."""
    tokens = TOKENS[name]
    data = model_file("StringLookup", end.join(tokens).encode())
    assert ids(data, *tokens[1:], "elsewhere") == [*range(1, len(tokens)), 0]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("more", [0, 1, 3])
def test_an_end_of_line_that_an_editor_added_is_no_word(end, more):
    data = model_file("TextVectorization", (end.join(["", "[UNK]", "cat", "dog"]) + more * end).encode())
    model, params = load_keras(data)
    assert model(params, np.array([["dog cat bird"]], object)).tolist() == [[3, 2, 1]]
    data = model_file("IntegerLookup", (end.join(["-1", "40", "50"]) + more * end).encode())
    assert ids(data, 50, 40, 60) == [2, 1, 0]


REFUSED = {
    "mixed_ends": b"[UNK]\r\ncat\ndog",
    "empty": b"",
    "only_special": b"[UNK]",
    "only_special_and_ends": b"[UNK]\n\n\n",
    "twice": b"[UNK]\ncat\ndog\ncat",
    "special_missing": b"cat\ndog",
    "special_moved": b"cat\n[UNK]\ndog",
    "byte_order_mark": "\ufeff[UNK]\ncat".encode(),
    "utf16": "[UNK]\ncat".encode("utf-16"),
    "code_page": "[UNK]\ncafé".encode("cp1252"),
    "nul_bytes": bytes(100),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_vocabulary_is_refused(name):
    with pytest.raises(WeightsMismatch, match=r"the vocabulary of 'look', in 'layers/string_lookup/vocabulary\.txt'"):
        load_keras(model_file("StringLookup", REFUSED[name]))


LISTS = {
    "empty": ("StringLookup", {"vocabulary": []}, "no tokens"),
    "file": ("StringLookup", {"vocabulary": "words.txt"}, "names a vocabulary file, 'words.txt': not read"),
    "twice": ("StringLookup", {"vocabulary": ["a", "b", "a"]}, "'a' appears twice"),
    "special_twice": ("StringLookup", {"vocabulary": ["[UNK]", "a", "[UNK]", "[UNK]"]}, "twice"),
    "only_special": ("StringLookup", {"vocabulary": ["[UNK]"]}, r"no tokens but \['\[UNK\]'\]"),
    "too_long": ("StringLookup", {"vocabulary": ["a", "b"], "max_tokens": 2}, "more than max_tokens=2"),
    "mask_moved": ("StringLookup", {"vocabulary": ["a", "m"], "mask_token": "m"}, "mask token 'm' is among"),
    "mask_without_oov": ("StringLookup", {"vocabulary": ["m", "a"], "mask_token": "m"}, "mask token"),
    "oov_moved": ("StringLookup", {"vocabulary": ["a", "[UNK]"], "invert": True}, "among the tokens"),
    "number": ("StringLookup", {"vocabulary": ["a", 1]}, "token 1 is 1, not a str"),
    "huge_number": ("StringLookup", {"vocabulary": [10**9]}, "not a str"),
    "null": ("StringLookup", {"vocabulary": [None]}, "not a str"),
    "list": ("StringLookup", {"vocabulary": [["a"]]}, "not a str"),
    "text": ("IntegerLookup", {"vocabulary": ["1"]}, "not a int"),
    "fraction": ("IntegerLookup", {"vocabulary": [1.5]}, "not a int"),
    "boolean": ("IntegerLookup", {"vocabulary": [True]}, "not a int"),
    "integers_twice": ("IntegerLookup", {"vocabulary": [4, 5, 4]}, "4 appears twice"),
    "beyond_64_bits": ("IntegerLookup", {"vocabulary": [2**63]}, "the vocabulary of"),
    "weights_short": (
        "StringLookup", {"vocabulary": ["a", "b"], "output_mode": "tf_idf", "idf_weights": [1.0]}, "one for each of"),
    "words_of_text_twice": ("TextVectorization", {"vocabulary": ["a", "b", "a"]}, "twice"),
    "text_mask_moved": ("TextVectorization", {"vocabulary": ["a", ""]}, "mask token ''"),
    "oov_huge": ("StringLookup", {"vocabulary": ["a"], "num_oov_indices": 10**9}, "num_oov_indices"),
    "oov_negative": ("StringLookup", {"vocabulary": ["a"], "num_oov_indices": -1}, "num_oov_indices"),
    "oov_method": ("StringLookup", {"vocabulary": ["a"], "oov_method": "x"}, "must be 'floormod' or 'farmhash'"),
    "salt_for_none": ("IntegerLookup", {"vocabulary": [1], "oov_method": "floormod", "salt": 3}, "has a salt"),
    "dtype": ("IntegerLookup", {"vocabulary": [1], "vocabulary_dtype": "int32"}, "must be 'int64'"),
    "mask_float": ("IntegerLookup", {"vocabulary": [1], "mask_token": 0.0}, "mask_token"),
    "ngrams": ("TextVectorization", {"vocabulary": ["a"], "ngrams": [0]}, "ngrams"),
    "max_tokens_small": ("StringLookup", {"vocabulary": ["a"], "max_tokens": 1}, "max_tokens"),
}  # fmt: skip


def test_as_many_weights_are_filled_up_as_is_said(monkeypatch):
    monkeypatch.setattr(vocabulary, "MOST_COLUMNS", 3)
    most, more = (
        fnet.bind(fnet.string_lookup, output_mode="tf_idf", max_tokens=n, pad_to_max_tokens=True) for n in (3, 4)
    )
    np.testing.assert_array_equal(fnet.vocabulary_params(most, ["a"], [2.0])["idf_weights"], [2, 2, 0])
    with pytest.raises(ValueError, match="weights for 4 columns; at most 3 are filled up"):
        fnet.vocabulary_params(more, ["a"], [2.0])


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_keras_refuses_is_refused(name):
    class_name, options, message = LISTS[name]
    with pytest.raises(ModelFileError, match=message):
        load_keras(model_file(class_name, **options))


def test_words_are_read_one_by_one_up_to_the_first_that_keras_refuses():
    words = iter(["a", "b", "a", *"cde"])
    with pytest.raises(ValueError, match=r"'a'.* twice"):
        fnet.vocabulary_params(fnet.string_lookup, words)
    assert [*words] == [*"cde"]
    data = b"ab\n" * 100_000
    tracemalloc.start()
    try:
        assert next(written_lines(data, empty_word=False)) == "ab"
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data)
    finally:
        tracemalloc.stop()


def test_special_tokens_may_be_left_out_of_a_list():
    listed = ids(model_file("StringLookup", vocabulary=["[UNK]", "a"]), "a", "b")
    assert listed == ids(model_file("StringLookup", vocabulary=["a"]), "a", "b") == [1, 0]
    assert ids(model_file("StringLookup", vocabulary=["a", "[UNK]"]), "[UNK]") == [2]  # as Keras has it


def test_users_are_told_of_a_word_that_is_there_twice():
    with pytest.raises(ValueError, match="twice"):
        fnet.vocabulary_params(fnet.string_lookup, ["cat", "dog", "cat"])
    with pytest.raises(TypeError, match="token 0 is 3, not a str"):
        fnet.vocabulary_params(fnet.string_lookup, [3])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LISTS if name not in ("number", "oov_huge", "only_special", "list")])
def test_keras_refuses_these_lists(name):
    import keras

    class_name, options, _ = LISTS[name]
    with pytest.raises((ValueError, TypeError, OverflowError)):
        getattr(keras.layers, class_name)(**options)(np.array([["a"]]))


@pytest.mark.parametrize(("class_name", "tokens"), [("StringLookup", ["cat", "dog"]), ("IntegerLookup", [7, 8])])
@pytest.mark.parametrize("mode", ["int", "count"])
def test_no_token_for_unknown_ones(class_name, tokens, mode):
    """Only `invert` reads it."""
    how = {"vocabulary": tokens, "oov_token": None, "output_mode": mode}
    model, params = load_keras(model_file(class_name, **how))
    words = np.array([[*tokens, tokens[0] * 3]], object if class_name == "StringLookup" else np.int64)
    expected = {"int": [[1, 2, 0]], "count": [[1.0, 1.0, 1.0]]}[mode]
    assert np.asarray(model["look"](params["look"], words)).tolist() == expected
    with pytest.raises(ModelFileError, match="unknown ids need an oov_token"):
        load_keras(model_file(class_name, **how, invert=True))


def test_whole_floats_are_integers():
    """As a column of a table with missing values holds them; Keras 2 writes them as it was given them."""
    assert ids(model_file("IntegerLookup", vocabulary=[3.0, 5.0]), 5, 3, 4) == [2, 1, 0]
    with pytest.raises(WeightsMismatch, match="not a int"):
        load_keras(model_file("IntegerLookup", vocabulary=[3.5]))


@pytest.mark.parametrize("key", ["standardize", "split"])
def test_texts_prepared_by_a_function_of_the_user(key):
    """As in many tutorials. The file has the name of the function alone."""
    function = {"module": "builtins", "class_name": "function", "config": "halves", "registered_name": "function"}
    data = model_file("TextVectorization", vocabulary=["", "[UNK]", "cat"], **{key: function})
    with pytest.raises(UnsupportedLayer, match=rf"your function 'halves' as '{key}'.*custom=\{{'look': my_layer\}}"):
        load_keras(data)
    own = fnet.layer(shape=lambda x: (x, {}))(lambda params, x: x[:, :1])
    assert load_keras(data, custom={"look": own})[0]({}, np.array([["a", "b"]], object)).tolist() == [["a"]]


@pytest.mark.parametrize("row", [(0, 0), (np.nan, 1), (np.inf, np.inf), (-1, 1), (3e38, 3e38)])
@pytest.mark.parametrize("which", [0, 1])
def test_a_summary_of_strange_numbers_is_refused_or_gives_numbers_without_a_warning(row, which):
    summary = np.float32([[0, 1], [1, 1]])
    summary[which] = row
    array = StoredArray("layers/d/vars/0", summary.shape, "float32", summary.copy)
    with contextlib.suppress(WeightsMismatch):
        assert np.isfinite(boundaries(array, 2)).all()


def test_the_number_of_bins_that_a_summary_gives_is_bounded():
    array = StoredArray("layers/d/vars/0", (2, 3), "float32", lambda: np.float32([[0, 1, 2], [1, 1, 1]]))
    assert [boundaries(array, bins) for bins in (1, MOST_BINS)] == [(), (0, 1)]
    for bins in (0, MOST_BINS + 1, 2.0, True, None):
        with pytest.raises(WeightsMismatch, match=f"'layers/d/vars/0': {bins} bins"):
            boundaries(array, bins)


@pytest.mark.parametrize("changed", ["other", "column", "rows"])
def test_weights_of_tf_idf_and_their_copy_are_equal(changed):
    """Keras writes those of a TextVectorization twice."""
    first, second = np.float32([1, 2, 3]), {"other": [1, 2, 4], "column": [1, 2], "rows": [[1, 2, 3]]}[changed]
    config = sequential_config(
        input_entry(1, dtype="string"), entry("TextVectorization", "look", vocabulary=["a", "b"], output_mode="tf_idf")
    )

    def write(copy):
        def arrays(file):
            home = file.create_group("layers/text_vectorization")
            home["vars/idf_weights"], home["_lookup_layer/vars/idf_weights"] = first, np.float32(copy)

        return keras_zip(config, h5(arrays))

    model, params = load_keras(write(first))
    np.testing.assert_array_equal(model(params, np.array([["b"]], object)), [[0, 0, 3]])
    with pytest.raises(WeightsMismatch, match=r"vars/idf_weights' and its copy '.*_lookup_layer.*' differ"):
        load_keras(write(second))
