"""Text to ids: equal to TensorFlow's on adversarial and real strings; clear errors."""

import csv
import os
import time
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import bind, tf_functions
from fnet.backend import using
from tests import parity

ADVERSARIAL = [
    "",
    " ",
    "ÀÉÎ àéî ß İ ı Σ",  # Python's lower() would change the capitals
    "“quotes” ‘single’ „low“ «guillemets» — dash … ellipsis",  # no ASCII punctuation
    "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~' all of it",
    "no\u00a0break\u3000ideographic\u2003em",  # white space that TensorFlow does not split at
    "line\u2028separator para\u2029graph next\u0085line",
    "tab\tand\r\nCRLF\vvertical\fform",
    "emoji 😀 👩‍👩‍👧 🇮🇩 x",
    "nul\0inside and at the end\0",
    "\ufeffbom",
    "ﬁ ligature e\u0301 combining",
    "it's don't-stop a_b c\\d",
    "x" * 500,
    "ＦＵＬＬ width",
]

SENTENCES = [
    "Kue-kue yang disajikan bikin saya bernostalgia. Harganya juga murah!",
    "Pelayanannya lambat, makanannya dingin; saya tidak akan kembali.",
    "Tempatnya nyaman dan bersih, cocok untuk keluarga.",
    "Aplikasi ini sering error setelah di-update :( tolong diperbaiki",
    "Nikmati cicilan 0% hingga 12 bulan untuk pemesanan tiket pesawat!",
    "Filmnya bagus sekali, aktingnya luar biasa.",
    "Sudah dua minggu paket saya belum sampai juga...",
    "Rasa kopinya biasa saja, tetapi suasananya enak",
]


def real_texts():
    """All sentences of NusaX where FNET_DATA has them, else made-up Indonesian ones."""
    folder = Path(os.environ.get("FNET_DATA", "missing")) / "nusax"
    files = [folder / f"{split}.csv" for split in ("train", "valid", "test")]
    if not all(file.exists() for file in files):
        return SENTENCES
    texts = []
    for file in files:
        with file.open(encoding="utf-8", newline="") as lines:
            texts += [row["text"] for row in csv.DictReader(lines)]
    return texts


def both(texts, vocabulary, **options):
    """(ids of fnet, ids of TensorFlow) for the same vocabulary."""
    import keras

    theirs = keras.layers.TextVectorization(vocabulary=vocabulary, **options)(np.array(texts, object))
    step = bind(fnet.text_vectorization, **options)
    return step(fnet.vocabulary_params(step, vocabulary), texts), np.asarray(theirs)


def adapted(texts, **options):
    """The tokens that Keras learns from texts, without special ones."""
    import keras

    layer = keras.layers.TextVectorization(**options)
    layer.adapt(np.array(texts, object))
    return layer.get_vocabulary(include_special_tokens=False)


@pytest.mark.parametrize("split", ["whitespace", "character"])
@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", None])
def test_adversarial_ids_are_tensorflows(standardize, split):
    tokens = adapted(ADVERSARIAL, standardize=standardize, split=split)
    ours, theirs = both(ADVERSARIAL, tokens[::2], standardize=standardize, split=split)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype
    assert (ours > 1).any()


@pytest.mark.parametrize(("ngrams", "length"), [(None, 100), (2, None), ((1, 3), 20)])
def test_ids_of_all_real_texts_are_tensorflows(ngrams, length):
    texts = real_texts()
    tokens = adapted(texts, ngrams=ngrams, max_tokens=5000)
    ours, theirs = both(texts, tokens, ngrams=ngrams, output_sequence_length=length)
    np.testing.assert_array_equal(ours, theirs)


def test_malformed_utf8_characters_are_tensorflows():
    texts = [b"\xff\xfea, b", b"\xc3(a)", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80a", b"\xe2\x28\xa1", b"\xf0\x9f\x98a"]
    for split in ("whitespace", "character"):
        ours, theirs = both(texts, ["a", "b", "\ufffd"], split=split)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("form", [list, np.array, lambda t: np.array(t, object), lambda t: np.array(t).astype("S")])
def test_strings_may_come_in_any_form(form):
    texts = ["a b", "b zz", "a"]
    params = fnet.vocabulary_params(fnet.text_vectorization, ["a", "b"])
    expected = [[2, 3], [3, 1], [2, 0]]
    for shape in ((3,), (3, 1)):
        x = form(np.reshape(texts, shape).tolist())
        np.testing.assert_array_equal(fnet.text_vectorization(params, x), expected)


def test_one_string_and_no_strings():
    params = fnet.vocabulary_params(fnet.text_vectorization, ["a", "b"])
    np.testing.assert_array_equal(fnet.text_vectorization(params, "b a c"), [3, 2, 1])
    assert fnet.text_vectorization(params, np.array([], str)).shape == (0, 0)
    assert fnet.text_vectorization(params, np.array([], str), output_sequence_length=3).shape == (0, 3)
    assert fnet.text_vectorization(params, ["", " "]).shape == (2, 0)


def test_a_missing_vocabulary_is_said():
    empty = fnet.init(fnet.text_vectorization, 0, (None,))
    for params in ({}, empty, {"vocabulary": fnet.pack_strings(["", "[UNK]"])}):
        with pytest.raises(fnet.InvalidInput, match="has no vocabulary"):
            fnet.text_vectorization(params, ["a"])


@pytest.mark.parametrize("bad", [["a", None], ["a", float("nan")], [1.5, 2.5], np.array([1, 2]), ["a", "\ud800"]])
def test_what_is_no_string_is_named(bad):
    params = fnet.vocabulary_params(fnet.text_vectorization, ["a"])
    with pytest.raises(fnet.InvalidInput, match="text_vectorization"):
        fnet.text_vectorization(params, bad)


def test_texts_of_the_wrong_rank_are_refused():
    params = fnet.vocabulary_params(fnet.text_vectorization, ["a"])
    with pytest.raises(fnet.InvalidInput, match=r"\(batch,\) or \(batch, 1\)"):
        fnet.text_vectorization(params, [["a", "b"]])


def test_unknown_tokens_without_an_oov_id_are_named():
    step = bind(fnet.string_lookup, num_oov_indices=0)
    with pytest.raises(fnet.InvalidInput, match="cow"):
        step(fnet.vocabulary_params(step, ["cat"]), ["cat", "cow"])


def test_tables_follow_their_content():
    """Tables that can be written to are never taken from memory when they have changed."""
    params = fnet.vocabulary_params(fnet.string_lookup, ["a", "b"])
    mutable = {"vocabulary": {key: np.array(value) for key, value in params["vocabulary"].items()}}
    assert fnet.string_lookup(mutable, ["b"]).tolist() == [2]
    mutable["vocabulary"]["bytes"][-1] = ord("z")
    assert fnet.string_lookup(mutable, ["b"]).tolist() == [0]
    assert fnet.string_lookup(params, ["b"]).tolist() == [2]


def test_strings_pack_and_unpack():
    strings = ["", "a", "é😀", "", "x\0y\n"]
    packed = fnet.pack_strings(strings)
    assert (packed["bytes"].dtype, packed["offsets"].dtype) == (np.uint8, np.int64)
    assert fnet.unpack_strings(packed) == strings
    assert fnet.unpack_strings(fnet.pack_strings([])) == []
    assert fnet.unpack_strings(fnet.pack_strings([b"\xff"])) == ["\udcff"]


def text_model():
    """A sequential text model and its params."""
    model = fnet.sequential(
        text=bind(fnet.text_vectorization, output_sequence_length=4),
        embedding=bind(fnet.embedding, input_dim=4, output_dim=3),
        head=bind(fnet.dense, units=2, activation="softmax"),
    )
    params = fnet.init(model, 0, (None,))
    return model, {**params, "text": fnet.vocabulary_params(model["text"], ["a", "b"])}


def test_a_text_model_runs_on_both_backends_and_says_how_to_jit_it():
    import jax

    model, params = text_model()
    texts = ["a b", "c", "b b b b b"]
    expected = model(params, texts)
    with using("jax"):
        ids = model["text"](params["text"], texts)
        forms = (model(params, texts), fnet.jit(model)(params, texts), fnet.predict(model, params, texts))
        for y in (*forms, jax.jit(model["embedding":])(params, ids)):
            parity.assert_close(y, expected)
        with pytest.raises(TypeError, match=r'fnet\.jit\(model\).*model\["embedding":\]'):
            jax.jit(lambda p: model(p, texts))(params)


@pytest.mark.parametrize(("x", "ids"), [
    (np.float32([1.9, 2.0, 7, -1.2]), [1, 2, 0, 0]), (np.array([True, False]), [1, 0]),
    (np.uint8([1, 2, 3]), [1, 2, 0]),
])  # fmt: skip
def test_a_lookup_of_integers_takes_the_whole_part_of_any_number(x, ids):
    """As in Keras."""
    params = fnet.vocabulary_params(fnet.integer_lookup, [1, 2])
    np.testing.assert_array_equal(fnet.integer_lookup(params, x), ids)


def test_lookups_keep_64_bits_on_both_backends(each_backend):
    model = fnet.sequential(ids=bind(fnet.input_layer, shape=(None,), dtype="int64"), lookup=fnet.integer_lookup)
    params = {"lookup": fnet.vocabulary_params(fnet.integer_lookup, [7, 2**40 + 7])}
    x = np.array([7, 2**40 + 7, 2**40, 2**32 + 7])
    for run in (lambda x: model(params, x), lambda x: fnet.jit(model)(params, x), fnet.compile(model, params)):
        assert np.asarray(run(x)).tolist() == [1, 2, 0, 0]


def test_strings_are_moved_on_both_backends(each_backend, tmp_path):
    """No device holds them: what moves them runs in NumPy, at load too, where small steps are tried."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    texts = np.array([["a", "bb", ""], ["bb", "c", "a"]])
    x = keras.Input((3,), dtype="string")
    column = ops.expand_dims(x, -1)
    moved = [
        *(ops.concatenate([x, x[:, :1]], axis=1), ops.stack([x[:, 0], x[:, 2]], axis=1), ops.split(x, 3, axis=1)[2]),
        *(ops.transpose(column, (0, 2, 1)), ops.swapaxes(column, 1, 2), ops.squeeze(x[:, 1:2], 1), ops.flip(x, 1)),
        *(ops.take(x, [2, 0], axis=1), ops.repeat(x, 2, axis=1), ops.tile(x, (1, 2)), ops.unstack(x, axis=1)[1]),
        *(ops.reshape(x, (-1, 3, 1)), layers.Concatenate()([x, x]), layers.Permute((2, 1))(column)),
    ]
    keras_model = keras.Model(x, [layers.StringLookup(vocabulary=["a", "bb"])(y) for y in moved])
    keras_model.save(tmp_path / "model.keras")
    model, params = fnet.load_keras(tmp_path / "model.keras")
    for ys in (model(params, texts), fnet.predict(model, params, texts, batch_size=1)):
        for y, expected in zip(ys, keras_model(tf.constant(texts)), strict=True):
            np.testing.assert_array_equal(y, expected)
    for function, expected in ((tf_functions.concat, [*"ab", "", *"ab", ""]), (tf_functions.gather, [*"ba"])):
        given = ([texts[:1]] * 2,) if function is tf_functions.concat else ((texts, [1, 0]),)
        y = function({}, *given, axis=1)[0]
        assert [text[:1] for text in y.tolist()] == expected


def test_strings_out_of_a_model(each_backend):
    step = bind(fnet.string_lookup, invert=True)
    model = fnet.graph(inputs="ids", words=(step, "ids"), outputs="words")
    params = {"words": fnet.vocabulary_params(step, ["cat", "dog"])}
    for run in (model, fnet.jit(model)):
        assert run(params, np.array([[2, 0, 9]])).tolist() == [["dog", "[UNK]", "[UNK]"]]


@pytest.mark.parametrize("texts", [["a b"], ["a b\0", "b"]])
def test_lists_of_strings_into_graphs_and_predict(texts, each_backend):
    step = bind(fnet.text_vectorization, output_sequence_length=2)
    model = fnet.graph(
        {"x": bind(fnet.input_layer, shape=(None, 1), dtype="string"), "ids": (step, "x")}, inputs="x", outputs="ids"
    )
    params = {"ids": fnet.vocabulary_params(step, ["a", "b"])}
    expected = [[2, 3]] if len(texts) == 1 else [[2, 1], [3, 0]]  # "b\0" is no "b"
    for got in (model(params, texts), fnet.predict(model, params, texts)):
        assert np.asarray(got).tolist() == expected


def test_one_input_may_come_in_a_list_or_dict_but_not_as_a_single_value(each_backend):
    step = bind(fnet.text_vectorization, output_sequence_length=2)
    inputs = bind(fnet.input_layer, shape=(None, 1), dtype="string")
    model = fnet.graph({"x": inputs, "ids": (step, "x")}, inputs="x", outputs="ids")
    params = {"ids": fnet.vocabulary_params(step, ["a", "b"])}
    texts = np.array(["a b", "b"])
    for x in (texts, [texts], (texts,), {"x": texts}, ["a b", "b"], [["a b"], ["b"]]):
        for got in (model(params, x), fnet.predict(model, params, x)):
            assert np.asarray(got).tolist() == [[2, 3], [3, 0]]
    with pytest.raises(fnet.InvalidInput, match="put it in a list"):
        fnet.predict(model, params, "a b")
    with pytest.raises(fnet.InvalidInput, match="2 arrays for one input"):
        fnet.predict(model, params, [texts[:, None], texts[:, None]])


@pytest.mark.parametrize("encoding", ["multi_hot", "count"])
def test_counts_make_no_float64(encoding):
    """Keras counts in int64; NumPy would make float64 of int64 and float32."""
    step = bind(fnet.string_lookup, output_mode=encoding, vocabulary_size=3)
    model = fnet.graph(
        {
            "counts": (step, "words"),
            "both": (fnet.concatenate, ("counts", "numbers")),
            "y": (bind(fnet.dense, units=2), "both"),
            "z": (bind(fnet.dense, units=2), "counts"),
        },
        inputs=("words", "numbers"),
        outputs=("y", "z"),
    )
    params = fnet.init(model, 0, fnet.Spec((None, 2), "string"), (None, 1))
    params = {**params, "counts": fnet.vocabulary_params(step, ["a", "b"])}
    y, z = model(params, (np.array([["a", "c"]]), np.ones((1, 1), "float32")))
    assert (y.dtype, z.dtype) == (np.float32, np.float32)


def test_texts_are_put_side_by_side_along_any_axis():
    both = bind(fnet.concatenate, axis=1)({}, (np.full((1, 1, 2), "a"), np.full((1, 2, 2), "b")))
    assert both.tolist() == [[["a", "a"], ["b", "b"], ["b", "b"]]]


def test_old_and_unknown_output_modes():
    with pytest.raises(ValueError, match="int, one_hot, multi_hot, count, tf_idf"):
        fnet.hashing({}, ["a"], num_bins=3, output_mode="binary")


def test_ten_thousand_sentences_take_well_under_a_second():
    texts = (SENTENCES * 1250)[:10_000]
    step = bind(fnet.text_vectorization, output_sequence_length=50)
    params = fnet.vocabulary_params(step, adapted(SENTENCES))
    step(params, texts[:10])
    best = min(timed(lambda: step(params, texts)) for _ in range(3))
    assert best < 0.5, f"{best:.2f} s"


def timed(f):
    """Processor time, so that other processes do not count."""
    start = time.process_time()
    f()
    return time.process_time() - start


def lookup_then_numbers():
    """Strings, two steps of numbers, and hashes of those: as a sequence and as a graph with a second output."""
    look, hashed = bind(fnet.string_lookup), bind(fnet.hashing, num_bins=5)
    one, two = bind(fnet.rescaling, scale=3.0), bind(fnet.rescaling, scale=2.0, offset=1.0)
    nodes = {"ids": (look, "words"), "one": (one, "ids"), "two": (two, "one"), "hash": (hashed, "two")}
    twice = {**nodes, "sum": (fnet.add, ("hash", "hash")), "out": (one, "sum")}
    return [
        (fnet.sequential(ids=look, one=one, two=two, hash=hashed), [[3, 3, 4], [3, 3, 3]]),
        (fnet.graph(twice, inputs="words", outputs=("out", "one")), [[18, 18, 24], [18, 18, 18]]),
    ]


@pytest.mark.parametrize(("model", "expected"), lookup_then_numbers(), ids=["sequence", "graph"])
def test_numbers_between_two_layers_that_run_in_numpy(model, expected, each_backend):
    params = {"ids": fnet.vocabulary_params(bind(fnet.string_lookup), ["a", "b"])}
    words = np.array([["a", "b", "x"], ["b", "a", "a"]])
    for run in (model, fnet.jit(model), lambda params, x: fnet.predict(model, params, x)):
        first = fnet.tree.leaves(run(params, words))[0]
        np.testing.assert_array_equal(np.asarray(first), expected)


@pytest.mark.parametrize("layer", [fnet.string_lookup, fnet.integer_lookup, fnet.text_vectorization])
def test_shape_rules_know_the_width_of_counts_from_the_size_of_the_vocabulary(layer):
    options = {"output_mode": "multi_hot", "vocabulary_size": 7}
    spec = fnet.Spec((None, 1), "int64" if layer is fnet.integer_lookup else "string")
    assert fnet.infer(bind(layer, **options), spec)[0].shape == (None, 7)
    wide = {"max_tokens": 9, "pad_to_max_tokens": True}
    assert fnet.infer(bind(layer, **options, **wide), spec)[0].shape == (None, 9)
    assert fnet.infer(bind(layer, output_mode="multi_hot", max_tokens=9), spec)[0].shape == (None, None)


def test_strings_that_no_layer_reads_go_through_a_model(each_backend):
    """Next to those that become numbers; side by side, turned and repeated on the way."""
    model = fnet.graph(
        inputs=["a", "b"],
        a=bind(fnet.input_layer, shape=(None, 2), dtype="string"),
        b=bind(fnet.input_layer, shape=(None, 1), dtype="string"),
        both=(fnet.concatenate, ["b", "a"]),
        ids=(bind(fnet.string_lookup), "both"),
        doubled=(bind(fnet.rescaling, scale=2.0), "ids"),
        again=(bind(fnet.repeat_vector, n=2), "a"),
        turned=(bind(fnet.permute, dims=(2, 1)), "again"),
        outputs=["doubled", "both", "b", "turned"],
    )
    params = {"ids": fnet.vocabulary_params(bind(fnet.string_lookup), ["x", "yy"])}
    rows = [np.array([["x", "?"], ["yy", "yy"]]), np.array([["yy"], ["longer"]])]
    for run in (model, lambda params, x: fnet.predict(model, params, x, batch_size=1)):
        doubled, both, b, turned = run(params, rows)
        np.testing.assert_array_equal(doubled, [[4, 2, 0], [0, 4, 4]])
        np.testing.assert_array_equal(both, [["yy", "x", "?"], ["longer", "yy", "yy"]])
        np.testing.assert_array_equal(b, rows[1])
        np.testing.assert_array_equal(turned, [[["x", "x"], ["?", "?"]], [["yy", "yy"], ["yy", "yy"]]])


def test_strings_are_no_numbers_to_put_next_to():
    specs = fnet.Spec((None, 2), "string"), fnet.Spec((None, 2))
    with pytest.raises(ValueError, match="numbers are expected, not strings"):
        fnet.infer(fnet.concatenate, specs)
