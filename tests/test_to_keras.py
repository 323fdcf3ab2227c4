"""`to_keras`: our loader and Keras itself read back the same model, and a model that no file can hold is refused."""

import io
import json
import re
import zipfile

import h5py
import numpy as np
import pytest

import fnet
from fnet import ExportError, bind, operations, tf_functions, tree
from fnet.core.sources import masked_by
from fnet.layers.wrappers import mixes_rows
from fnet.rewrites.folding import KERNELS
from params import load_keras
from params.file.hdf5 import open_file
from params.store import hdf5_writer
from params.store.keras_config import NOT_READ, UNREAD
from params.store.keras_file import keras_bytes
from params.store.meaning import difference, meaning
from params.store.spelling import CLASSES
from tests import parity
from tests.cases import all_cases, marked_cases
from tests.exported import model_of
from tests.golden.archives import named
from tests.test_operations import CASES as OPERATIONS
from tests.test_operations import SAVED, groups, saved_model
from tests.test_saved_cases import CASES, HIDDEN, keras_model_of, with_hidden_steps
from tests.test_versions import RIGHT, assert_as_then, models_of, recorded

# --- HDF5 -------------------------------------------------------------------------------------------------------

DTYPES = ("float16", "float32", "float64", "int8", "int16", "int64", "uint8", "uint32", "bool")


def drawn_tree():
    """Groups of more members than one symbol node, and than one node of a B-tree, holds."""
    rng = np.random.default_rng(0)
    arrays = {f"a{i}": rng.integers(0, 2, (i % 4, 3)).astype(DTYPES[i % len(DTYPES)]) for i in range(300)}
    arrays |= {"scalar": np.float32(3).reshape(()), "bits": np.array([1, 2, 3], "<u2").view("V2")}
    inner = {f"g{i}": hdf5_writer.Group({str(j): np.arange(j) for j in range(i)}) for i in range(20)}
    described = {"bits": {"dtype": "bfloat16"}}
    return hdf5_writer.Group(
        {
            "many": hdf5_writer.Group(arrays, {"name": "é", "none": "", "long": "n" * 70_000}, described),
            "empty": hdf5_writer.Group(),
            **inner,
        }
    )


def test_hdf5_files_are_read_by_the_library_and_by_our_reader():
    root = drawn_tree()
    data = hdf5_writer.write(root)
    assert data == hdf5_writer.write(drawn_tree())
    ours = open_file(memoryview(data), total=1 << 30, steps=1 << 20, text=1 << 20, stored=len(data))
    with h5py.File(io.BytesIO(data)) as theirs:
        assert theirs["many"].attrs["name"] == ours.groups["many"].text("name") == "é"
        assert theirs["many/bits"].attrs["dtype"] == "bfloat16"  # a str, not bytes: Keras compares it with one
        assert theirs["many"].attrs["none"] == ours.groups["many"].text("none") == ""
        assert theirs["many"].attrs["long"] == ours.groups["many"].text("long") == "n" * 70_000
        assert set(theirs["many"]) == set(root.members["many"].members)
        assert list(theirs["g15"]) == sorted(map(str, range(15)))
        for name, array in root.members["many"].members.items():
            assert theirs["many"][name].dtype == array.dtype
            assert theirs["many"][name][()].tobytes() == array.tobytes()
            if name != "bits":
                assert ours.find(f"many/{name}").load().tobytes() == array.tobytes()


@pytest.mark.parametrize("name", ["a/b", "", ".", "a\0"])
def test_names_that_hdf5_cannot_hold_are_refused(name):
    with pytest.raises(ValueError, match="cannot be a name"):
        hdf5_writer.write(hdf5_writer.Group({name: hdf5_writer.Group()}))


def test_arrays_of_other_dtypes_are_refused():
    with pytest.raises(TypeError, match="complex64 cannot be written"):
        hdf5_writer.write(hdf5_writer.Group({"a": np.zeros(1, "complex64")}))


# --- a model there and back -------------------------------------------------------------------------------------


def is_written(case):
    """Whether a file of Keras 3 can express the case."""
    trains = bool({"training", "virtual_batch_size"} & set(case.options))
    one = case.layer is fnet.add and len(case.shapes) == 1
    trains |= case.layer is fnet.separable_conv1d and case.options.get("padding") == "causal"
    trains |= case.layer is fnet.batch_normalization and isinstance(case.options.get("axis"), tuple)
    both = all(np.max(case.options.get(name, 1)) > 1 for name in ("strides", "dilation_rate"))
    earlier = bool({"batch_axes", "half_pixels"} & set(case.options))  # what Keras 2 computed
    return case.layer in CLASSES and not (trains or one or both or earlier)


WRITTEN = [case for case in all_cases() if is_written(case)]


@pytest.mark.parametrize("case", marked_cases(WRITTEN), ids=lambda case: case.id)
def test_what_is_written_is_read_as_the_same_model(case):
    model, params, takes = model_of(case)
    shapes = takes if isinstance(takes, tuple) else (takes,)
    data = keras_bytes(model, params, *shapes)
    read, arrays = load_keras(data)
    assert set(dict(tree.items(arrays))) == set(dict(tree.items(params)))
    for path, leaf in tree.items(params):
        np.testing.assert_array_equal(tree.get(arrays, path), leaf)
    x = case.inputs()
    for ours, theirs in zip(tree.leaves(model(params, x)), tree.leaves(read(arrays, x)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def small():
    model = fnet.sequential(hidden=bind(fnet.dense, activation="relu", units=3), scores=bind(fnet.dense, units=2))
    return model, fnet.init(model, 0, (None, 4))


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model, params = small()
    for name in ("a.keras", "b.keras"):
        fnet.to_keras(model, params, tmp_path / name, (None, 4))
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_sizes_that_only_the_params_tell_are_written():
    def made(dense_of, conv):
        inside = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 3, 2)), d=dense_of(4))
        layers = {
            "rows": bind(fnet.time_distributed, layer=inside),
            "of": bind(fnet.time_distributed, layer=dense_of(3)),
        }
        return fnet.sequential(conv=conv, **layers, flat=fnet.flatten, scores=dense_of(2))

    model = made(lambda units: bind(fnet.dense, units=units), bind(fnet.conv2d, kernel_size=3, filters=2))
    params = fnet.init(model, 0, (None, 5, 5, 1))
    bare = made(lambda units: bind(fnet.dense), bind(fnet.conv2d, kernel_size=3))
    read, _ = load_keras(keras_bytes(bare, params, (None, 5, 5, 1)))
    for name in ("conv", "rows", "of", "scores"):
        assert read[name] == model[name]


def test_a_sequential_in_a_wrapper_need_not_say_what_it_takes():
    inside = fnet.sequential(d=bind(fnet.dense, units=2), e=bind(fnet.dense, units=3))
    model = fnet.sequential(each=bind(fnet.time_distributed, layer=inside))
    read, _ = load_keras(keras_bytes(model, fnet.init(model, 0, (None, 4, 3)), (None, 4, 3)))
    assert read["each"] == model["each"]


@pytest.mark.parametrize("bias", [{}, {"use_bias": False}], ids=str)
@pytest.mark.parametrize("name", [name for name in KERNELS if not name.startswith("depthwise")])
def test_the_size_of_a_kernel_is_written_where_no_option_says_it(name, bias):
    rank = sum(int(letter) for letter in name if letter.isdigit())
    given = {**bias, **({"kernel_size": 2} if rank else {})}
    sized = {"filters" if rank else "units": 3}
    whole, bare = (fnet.sequential(y=bind(getattr(fnet, name), **given, **more)) for more in (sized, {}))
    shape = (None, *(5,) * rank, 4)
    params = fnet.init(whole, 0, shape)
    read, _ = load_keras(keras_bytes(bare, params, shape))
    assert read["y"] == whole["y"]


def test_sizes_of_a_table_are_written_and_options_of_a_layer_of_ones_own_are_left_alone():
    @fnet.layer(shape=lambda x, *, units: (x, {"kernel": fnet.Param(x.shape[-1:])}))
    def own(params, x, *, units=None):
        return x * params["kernel"]

    whole = fnet.sequential(x=bind(fnet.embedding, input_dim=5, output_dim=3), own=own)
    params = fnet.init(whole, 0, (None, 4))
    bare, custom = fnet.sequential(x=fnet.embedding, own=own), {"mine>Own": own}
    read, _ = load_keras(keras_bytes(bare, params, (None, 4), custom=custom), custom=custom)
    assert (read["x"], read["own"]) == (whole["x"], bind(own))


def test_the_size_of_a_vocabulary_is_that_of_its_tokens():
    step = bind(fnet.string_lookup, output_mode="one_hot", vocabulary_size=3)
    model = fnet.sequential(x=bind(fnet.input_layer, shape=(None, 1), dtype="string"), y=step)
    params = {"y": fnet.vocabulary_params(step, ["a", "b"])}
    read, arrays = fnet.load_keras(keras_bytes(model, params))
    np.testing.assert_array_equal(read(arrays, [["b"]]), model(params, [["b"]]))


def test_graphs_with_shared_layers_constants_and_masks():
    nodes = {
        "ids": bind(fnet.input_layer, shape=(None, 6), dtype="int32"),
        "x": bind(fnet.input_layer, shape=(None, 6, 3)),
        "embedding": (bind(fnet.embedding, input_dim=5, output_dim=3, mask_zero=True), "ids"),
        "twice": (operations.multiply, ("x", 2.0)),
        "first": (bind(fnet.lstm, units=2, return_sequences=True, return_state=True), "embedding", "rnn"),
        "again": (bind(fnet.lstm, units=2, return_sequences=True, return_state=True), "twice", "rnn"),
        "known": (operations.greater, ("ids", 1)),
        "last": (bind(fnet.gru, units=2), masked_by(fnet.at("first", 0), "known")),
        "sum": (fnet.add, ("last", fnet.at("again", 1))),
        "second": (fnet.attention, (masked_by("twice", None), masked_by("x", "known"))),
        "both": (fnet.attention, (masked_by("x", "known"), masked_by("twice", "known"))),
        "query": (fnet.attention, (masked_by("x", "known"), "twice")),
    }
    outputs = {"sum": "sum", "states": "again", **{name: name for name in ("second", "both", "query")}}
    model = fnet.graph(nodes, inputs={"ids": "ids", "x": "x"}, outputs=outputs)
    params = fnet.init(model, 0)
    read, arrays = load_keras(keras_bytes(model, params))
    x = {"ids": np.array([[1, 2, 0, 3, 0, 0]], "int32"), "x": np.arange(18, dtype="float32").reshape(1, 6, 3) / 9}
    for ours, theirs in zip(tree.leaves(model(params, x)), tree.leaves(read(arrays, x)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)  # bytes in a file lie as they do, which BLAS can tell
    assert isinstance(read(arrays, x)["states"], list | tuple)


def test_keras_reads_a_graph_inside_a_graph_that_is_called_twice_and_ends_it(tmp_path):
    import keras

    inner = fnet.graph(
        {"a": bind(fnet.input_layer, shape=(None, 3)), "d": (bind(fnet.dense, units=3), "a")}, inputs="a", outputs="d"
    )
    nodes = {"x": bind(fnet.input_layer, shape=(None, 3)), "one": (inner, "x", "g"), "two": (inner, "one", "g")}
    model = fnet.graph(nodes, inputs="x", outputs={"one": "one", "two": "two"})
    params, x = fnet.init(model, 0), np.arange(6, dtype="float32").reshape(2, 3)
    (tmp_path / "m.keras").write_bytes(keras_bytes(model, params))
    theirs = keras.saving.load_model(tmp_path / "m.keras")(x)
    for name, ours in model(params, x).items():
        np.testing.assert_allclose(theirs[name], ours, rtol=1e-5)


@pytest.mark.parametrize("names", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_keras_reads_the_weights_of_outputs_in_any_order(names, tmp_path):
    """Keras sorts outputs by their names and lists their layers so; its files number the weights in this order."""
    import keras

    heads = {name: (bind(fnet.dense, units=3), "x") for name in "bca"}
    model = fnet.graph(
        {"x": bind(fnet.input_layer, shape=(None, 3)), **heads}, inputs="x", outputs={n: n for n in names}
    )
    params, x = fnet.init(model, 0), np.arange(6, dtype="float32").reshape(2, 3)
    (tmp_path / "m.keras").write_bytes(keras_bytes(model, params))
    theirs = keras.saving.load_model(tmp_path / "m.keras")(x)
    for name, ours in model(params, x).items():
        np.testing.assert_allclose(theirs[name], ours, rtol=1e-5)


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16", "float16", "mixed_float16", "float64"])
def test_keras_reads_params_of_each_dtype(policy, tmp_path):
    import keras

    layers = [keras.layers.Dense(3, dtype=policy), keras.layers.LayerNormalization(dtype=policy)]
    keras_model = keras.Sequential([keras.Input((2,)), *layers])
    keras_model.save(tmp_path / "theirs.keras")
    fnet.to_keras(*load_keras(tmp_path / "theirs.keras"), tmp_path / "ours.keras")
    given = keras.saving.load_model(tmp_path / "ours.keras")
    for ours, theirs in zip(given.weights, keras_model.weights, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(keras.ops.cast(ours, "float64"), keras.ops.cast(theirs, "float64"))


def test_arguments_that_keras_calls_otherwise_are_written():
    nodes = {
        "x": bind(fnet.input_layer, shape=(None, 4, 3)),
        "apart": (bind(operations.rearrange, pattern="b (a c) d -> b a c d", axes_lengths={"a": 2}), "x"),
        "area": (bind(operations.trapezoid, positions=(0.0, 1.0, 3.0)), "x"),
    }
    model = fnet.graph(nodes, inputs="x", outputs=["apart", "area"])
    data = keras_bytes(model, {})
    layers = json.loads(zipfile.ZipFile(io.BytesIO(data)).read("config.json"))["config"]["layers"]
    assert [set(layer["config"]) for layer in layers[1:]] == [{"name"}, {"name", "x"}]
    read, _ = load_keras(data)
    x = np.arange(24.0, dtype="float32").reshape(2, 4, 3)
    for ours, theirs in zip(model({}, x), read({}, x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_layer_of_ones_own_is_written_under_its_registered_name():
    @fnet.layer(shape=lambda x, *, factor: (x, {"offset": fnet.Param(x.shape[-1:], "zeros")}))
    def shifted(params, x, *, factor):
        return factor * x + params["offset"]

    model = fnet.sequential(own=bind(shifted, factor=2.0))
    params = fnet.init(model, 0, (None, 4))
    custom = {"my_package>Shifted": shifted}
    read, _ = load_keras(keras_bytes(model, params, (None, 4), custom=custom), custom=custom)
    assert read["own"] == model["own"]
    with pytest.raises(ExportError, match="give its Keras name, custom="):
        keras_bytes(model, params, (None, 4))


def test_a_layer_of_ones_own_with_the_name_of_another_is_not_that_one():
    @fnet.layer(shape=lambda x: (x, {}))
    def dense(params, x):
        return x + x.sum(axis=0)

    assert mixes_rows(dense)
    with pytest.raises(ExportError, match="dense is a layer of your own: give its Keras name"):
        keras_bytes(fnet.sequential(dense), {}, (None, 4))


def residual_of_attention():
    """Keras takes the mask off what attention reads, so the sum has none there, but has one here."""
    return fnet.graph(
        ids=bind(fnet.input_layer, shape=(None, 6), dtype="int32"),
        embedding=(bind(fnet.embedding, input_dim=5, output_dim=4, mask_zero=True), "ids"),
        attention=(bind(fnet.multi_head_attention, num_heads=1, key_dim=2), ("embedding", "embedding")),
        sum=(fnet.add, ("embedding", "attention")),
        last=(bind(fnet.lstm, units=2), "embedding"),
        inputs="ids",
        outputs=("sum", "last"),
    )


REFUSED = {
    "masks of Keras 2": (
        lambda: fnet.graph(
            x=bind(fnet.input_layer, shape=(None, 4), dtype="int32"),
            h=bind(fnet.input_layer, shape=(None, 3)),
            words=(bind(fnet.embedding, input_dim=5, output_dim=2, mask_zero=True), "x"),
            last=(bind(fnet.gru, units=3, masks="keras2"), ("words", "h")),
            inputs=("x", "h"),
            outputs="last",
        ),
        None,
        "gru has the option masks='keras2', which no file of Keras 3 can say",
    ),
    "masks of Keras 2 and one given by name": (
        lambda: fnet.graph(
            x=bind(fnet.input_layer, shape=(None, 4, 3)),
            mask=bind(fnet.input_layer, shape=(None, 4, 4), dtype="bool"),
            y=(
                bind(fnet.multi_head_attention, num_heads=1, key_dim=2, masks="keras2"),
                {"query": "x", "value": "x", "attention_mask": "mask"},
            ),
            inputs=("x", "mask"),
            outputs="y",
        ),
        None,
        "multi_head_attention has the option masks='keras2', which no file of Keras 3 can say",
    ),
    "hard_sigmoid of Keras 2": (
        lambda: fnet.sequential(d=bind(fnet.dense, units=2, activation="hard_sigmoid_keras2")),
        (None, 3),
        "the function of that name in Keras 2",
    ),
    "what optimize makes": (
        lambda: fnet.sequential(d=bind(fnet.layers.pooled_conv2d, kernel_size=3, filters=2)),
        (None, 6, 6, 1),
        "Keras 3 has no layer pooled_conv2d: if fnet.optimize made it",
    ),
    "training": (
        lambda: fnet.sequential(b=bind(fnet.batch_normalization, training=True)),
        (None, 3),
        "Keras's predict never trains",
    ),
    "a model inside a layer that does not say what it takes": (
        lambda: fnet.sequential(
            each=bind(
                fnet.time_distributed,
                layer=fnet.graph(d=(bind(fnet.dense, units=2), "x"), inputs="x", outputs="d"),
            )
        ),
        (None, 4, 3),
        "inside a layer does not say what it takes: give it an input_layer",
    ),
    "functions of TensorFlow": (
        lambda: fnet.graph(y=(tf_functions.absolute, "x"), inputs="x", outputs="y"),
        (None, 3),
        "is a function of TensorFlow",
    ),
    "one entry, two layers": (
        lambda: fnet.graph(
            a=(bind(fnet.dense, units=3), "x", "w"),
            b=(bind(fnet.dense, units=3, activation="relu"), "a", "w"),
            inputs="x",
            outputs="b",
        ),
        (None, 3),
        "'b' and 'a' share the params 'w' and are not one layer",
    ),
    "a mask that Keras applies and fnet does not": (
        lambda: fnet.graph(
            {
                "x": bind(fnet.input_layer, shape=(None, 4, 3)),
                "mask": bind(fnet.input_layer, shape=(None, 4), dtype="bool"),
                "state": bind(fnet.input_layer, shape=(None, 2)),
                "y": (bind(fnet.gru, units=2), (masked_by("x", "mask"), "state")),
            },
            inputs=("x", "mask", "state"),
            outputs="y",
        ),
        None,
        "Keras would read another model: at ('y', 0)",
    ),
    "masks that Keras takes off": (residual_of_attention, None, "Keras would read another model: at"),
    "float16 without a policy": (
        lambda: fnet.sequential(d=bind(fnet.dense, units=2)),
        fnet.Spec((None, 3), "float16"),
        "takes float16 and has no dtype policy",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_file_can_say_is_refused_and_nothing_is_written(name, tmp_path):
    make, takes, message = REFUSED[name]
    model, shapes = make(), () if takes is None else (takes,)
    params = fnet.init(model, 0, *shapes)
    with pytest.raises(ExportError, match=re.escape(message)):
        fnet.to_keras(model, params, tmp_path / "x.keras", *shapes)
    assert not list(tmp_path.iterdir())


def old_text_model():
    """A BiLSTM on texts, as loaded from a `.keras` of Keras 2."""
    inner = bind(fnet.lstm, units=3, masks="keras2")
    return fnet.sequential(
        x=bind(fnet.input_layer, shape=(None, 1), dtype="string"),
        ids=bind(fnet.text_vectorization, output_sequence_length=4, encoding_dtype="float32"),
        words=bind(fnet.embedding, input_dim=5, output_dim=2, mask_zero=True),
        both=bind(fnet.bidirectional, layer=inner, masks="keras2"),
    )


def test_rules_of_another_keras_that_change_nothing_are_not_written():
    model = old_text_model()
    tokens = fnet.strings.pack_strings(["", "[UNK]", "satu", "dua", "tiga"])
    params = {**fnet.init(model["words":], 0, fnet.Spec((None, 4), "int64")), "ids": {"vocabulary": tokens}}
    read, arrays = load_keras(keras_bytes(model, params))
    assert "keras2" not in repr(read)
    texts = np.array([["satu dua"], ["tiga"], [""]], object)
    np.testing.assert_array_equal(read(arrays, texts), model(params, texts))


def test_a_model_that_keeps_states_is_written_for_batches_of_one_size():
    model = fnet.sequential(rnn=bind(fnet.simple_rnn, units=2, stateful=True))
    params = fnet.init(model, 0, (4, 3, 5))
    with pytest.raises(ExportError, match="give the shape of a batch"):
        keras_bytes(model, params, (None, 3, 5))
    read, arrays = load_keras(keras_bytes(model, params, (4, 3, 5)))
    with pytest.raises(ExportError, match="give the shape of a batch"):
        keras_bytes(read, arrays)
    assert keras_bytes(read, arrays, (4, 3, 5)) == keras_bytes(model, params, (4, 3, 5))


def test_keys_of_randomness_and_wrong_params_are_refused():
    model, params = small()
    with pytest.raises(ExportError, match="keys of randomness"):
        keras_bytes(model, {**params, "hidden": {**params["hidden"], "rng": np.zeros(2, "uint32")}}, (None, 4))
    with pytest.raises(fnet.InvalidParams, match="missing"):
        keras_bytes(model, {}, (None, 4))


def test_the_weight_of_unknown_tokens_is_that_of_the_params(tmp_path):
    """A config holds none, so Keras would take the mean of the others: the array beside it counts."""
    import keras
    import tensorflow as tf

    model = fnet.sequential(
        x=bind(fnet.input_layer, shape=(None,), dtype="string"), ids=bind(fnet.text_vectorization, output_mode="tf_idf")
    )
    params = {"ids": fnet.vocabulary_params(model["ids"], ["a", "b"], [0.5, 2.5])}
    np.testing.assert_array_equal(params["ids"]["idf_weights"], np.float32([1.5, 0.5, 2.5]))
    params["ids"]["idf_weights"] = np.float32([1.75, 0.5, 2.5])
    fnet.to_keras(model, params, tmp_path / "m.keras")
    read, arrays = load_keras(tmp_path / "m.keras")
    np.testing.assert_array_equal(arrays["ids"]["idf_weights"], params["ids"]["idf_weights"])
    texts = np.array(["a c c", "b"])
    theirs = np.asarray(keras.models.load_model(tmp_path / "m.keras")(tf.constant(texts)))
    np.testing.assert_array_equal(read(arrays, texts), theirs)
    np.testing.assert_array_equal(theirs[:, 0], np.float32([3.5, 0]))


def test_meanings_tell_models_apart():
    model, params = small()
    other = fnet.sequential(hidden=bind(fnet.dense, units=3), scores=bind(fnet.dense, units=2))
    assert meaning(model, params) == meaning(model.as_graph(), params) != meaning(other, params)


# --- Keras itself -----------------------------------------------------------------------------------------------


def again(keras, model, params, path, *shapes):
    """The Keras model from a file of `to_keras`; the file that Keras then saves has the same weights, bit by bit."""
    fnet.to_keras(model, params, path / "ours.keras", *shapes)
    theirs = keras.saving.load_model(path / "ours.keras")
    theirs.save(path / "again.keras")
    _, arrays = load_keras(path / "again.keras")
    back = dict(tree.items(arrays))
    for place, leaf in tree.items(params):
        if place[-1] not in ("bytes", "offsets", "value"):
            np.testing.assert_array_equal(back[place], leaf)
    return theirs


def outputs_of(keras, model, x):
    """The outputs of a Keras model at inference."""
    import tensorflow as tf

    feed = tree.map(lambda a: tf.constant(a.astype(object) if a.dtype.kind in "US" else a), x)
    return [np.asarray(y) for y in keras.tree.flatten(model(feed, training=False))]


@pytest.mark.parametrize("name", [name for name in UNREAD if name.startswith("random_")])
def test_an_augmentation_is_written_as_one_that_changes_nothing(name):
    import keras

    step = getattr(fnet, name)
    data = keras_bytes(fnet.sequential(y=step), {}, (None, 4, 4, 3))
    written = json.loads(zipfile.ZipFile(io.BytesIO(data)).read("config.json"))["config"]["layers"][-1]
    x = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(keras.saving.deserialize_keras_object(written)(x, training=True), x, atol=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict:UserWarning")
@pytest.mark.filterwarnings("ignore:You passed .rms_scaling=True:UserWarning")
@pytest.mark.parametrize("case", [case for case in CASES if is_written(case)], ids=lambda case: case.id)
def test_keras_loads_every_row_to_the_same_outputs(case, tmp_path):
    import keras

    x = with_hidden_steps(case, tree.map(np.asarray, case.inputs()), HIDDEN)
    layer, first = keras_model_of(case, x)
    layer.set_weights(parity.random_weights(layer))
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()  # computes with the weights that were there before, until it is told
    first.save(tmp_path / "first.keras")
    model, params = load_keras(tmp_path / "first.keras")
    feed = list(x) if isinstance(x, tuple) else x
    expected = outputs_of(keras, first, feed)
    shapes = [x.shape] if getattr(layer, "stateful", False) else []  # fnet forgets the batch size of a file
    written = again(keras, model, params, tmp_path, *shapes)
    for ours, theirs in zip(outputs_of(keras, written, feed), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("numbers", groups([n for n in SAVED if not OPERATIONS[n].id.startswith(NOT_READ)], 50))
def test_keras_loads_operations_to_the_same_outputs(numbers, tmp_path):
    import keras

    _, arrays, expected = saved_model(numbers, tmp_path / "operations.keras")
    model, params = load_keras(tmp_path / "operations.keras")
    shapes = [fnet.Spec(a.shape, a.dtype.name) for a in arrays]
    fnet.to_keras(model, params, tmp_path / "ours.keras", *shapes)
    given = keras.saving.load_model(tmp_path / "ours.keras")(arrays if len(arrays) > 1 else arrays[0])
    for ours, theirs in zip(keras.tree.flatten(given), keras.tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


GOLDEN_3 = [(archive, name) for archive, name in RIGHT if archive.stem.startswith(("keras-3", "keras-2.15"))]


@pytest.mark.slow
@pytest.mark.parametrize(("archive", "name"), GOLDEN_3, ids=named)
def test_keras_loads_golden_files_to_what_they_gave(archive, name, tmp_path):
    import keras

    x, _, expected = recorded(archive, name)
    for _, model, params in models_of(archive, name):
        if archive.stem != "keras-3.15.1" and (why := refusal(model, params)) is not None:
            said = ("no file of Keras 3 can say", "read another model", "does not have", "has no layer", "cannot name")
            assert any(words in why for words in said)
            continue
        assert_as_then(outputs_of(keras, again(keras, model, params, tmp_path), x), expected)


def refusal(model, params):
    """Why a model cannot be written, or None."""
    try:
        keras_bytes(model, params)
    except ExportError as error:
        return str(error)
    return None


def sums_of_masked(keras):
    """Two sequences with masks of their own, added and concatenated: Keras adds operations for the masks on loading."""
    one, two = keras.Input((6, 3), name="one"), keras.Input((6, 3), name="two")
    first, second = keras.layers.Masking()(one), keras.layers.Masking()(two)
    both = keras.layers.Concatenate()([keras.layers.Add()([first, second]), first])
    return keras.Model([one, two], keras.layers.LSTM(4)(both))


def joined_in_time(keras):
    """Masks concatenated along time, between layers of weights."""
    one, two = keras.Input((6, 3), name="one"), keras.Input((6, 3), name="two")
    runs = [keras.layers.GRU(3, return_sequences=True)(keras.layers.Masking()(x)) for x in (one, two)]
    return keras.Model([one, two], keras.layers.GRU(2)(keras.layers.Concatenate(axis=1)(runs)))


def masked_in_a_nested_model(keras):
    """The mask is made inside a nested model, which is used twice, and another one reads it."""
    inner = keras.Input((6, 3))
    block = keras.Model(inner, keras.layers.Dense(3)(keras.layers.Masking()(inner)), name="block")
    head = keras.Sequential([keras.Input((6, 3)), keras.layers.LSTM(4), keras.layers.Dense(2)], name="head")
    one, two = keras.Input((6, 3), name="one"), keras.Input((6, 3), name="two")
    return keras.Model([one, two], head(keras.layers.Maximum()([block(one), block(two)])))


def one_of_two_masked(keras):
    """An addition of which one term alone has a mask, then attention by that of the other."""
    one, two = keras.Input((6, 3), name="one"), keras.Input((6, 3), name="two")
    masked = keras.layers.Masking()(one)
    mixed = keras.layers.Add()([masked, two])
    heads = keras.layers.MultiHeadAttention(2, 3)(mixed, masked)
    return keras.Model([one, two], keras.layers.GlobalAveragePooling1D()(keras.layers.Add()([heads, masked])))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("make", [sums_of_masked, joined_in_time, masked_in_a_nested_model, one_of_two_masked])
def test_masks_that_merge_go_back_to_keras(make, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    first = make(keras)
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype("float32")
    x[0, :, 4:] = 0
    x[1, 1:4, :2] = x[1, :, 5:] = 0
    first.save(tmp_path / "first.keras")
    model, params = load_keras(tmp_path / "first.keras")
    expected = outputs_of(keras, first, list(x))
    unmasked = outputs_of(keras, first, list(np.where(x == 0, np.float32(1e-30), x)))
    assert abs(expected[0] - unmasked[0]).max() > 1e-3  # the masks count
    (ours,) = outputs_of(keras, again(keras, model, params, tmp_path), list(x))
    np.testing.assert_array_equal(ours, expected[0])
    np.testing.assert_allclose(fnet.predict(model, params, tuple(x)), expected[0], atol=2e-6)


THREE, TANH = bind(fnet.dense, units=3), bind(fnet.dense, units=3, activation="tanh")


def of_nodes(a=(THREE, "x"), b=(THREE, "a"), y=(fnet.subtract, ["a", "b"]), outputs="y"):
    return fnet.graph({"a": a, "b": b, "y": y}, inputs="x", outputs=outputs)


def with_constant(values):
    model = fnet.graph({"c": (fnet.constant, ()), "y": (fnet.add, ["x", "c"])}, inputs="x", outputs="y")
    return meaning(model, {"c": {"value": np.array(values)}})


MEANINGS = [
    (meaning(model, {}), place)
    for model, place in (
        (of_nodes(), ""),
        (of_nodes(a=(TANH, "x")), "at ('a', 0): "),
        (
            fnet.graph(
                {"b": (THREE, "x"), "a": (THREE, "b"), "y": (fnet.subtract, ["a", "b"])}, inputs="x", outputs="y"
            ),
            "at ('a', 0): ('input', 'x') became ('b', 0)",
        ),
        (of_nodes(b=(THREE, "a", "a")), "at ('b', 0): "),
        (of_nodes(y=(fnet.subtract, ["b", "a"])), "at ('y', 0): (('a', 0), ('b', 0)) became (('b', 0), ('a', 0))"),
        (of_nodes(y=(fnet.subtract, masked_by(["a", "b"], "x"))), "at ('y', 0): "),
        (of_nodes(outputs=["y", "a"]), "its inputs and outputs, "),
    )
] + [(with_constant(values), "at ") for values in ([1.0], [2.0], [[1.0]], [1])]


@pytest.mark.parametrize("number", range(len(MEANINGS)))
def test_models_that_differ_have_other_meanings(number):
    """What is written is held against what is read, which no test of right writing could tell from no check at all."""
    for other, (read, place) in enumerate(MEANINGS):
        told = difference(MEANINGS[number][0], read)
        assert (told is None) == (number == other), (number, other)
        assert number or told is None or other > 6 or told.startswith(place), told
