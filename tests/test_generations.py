"""The meaning of configs of earlier versions of Keras: files of this Keras with the version changed."""

import contextlib
import io
import itertools
import json
from itertools import pairwise

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

import fnet
from fnet.core import infer
from params import ModelFileError, UnsupportedLayer, WeightsMismatch, from_keras, load_keras, load_weights
from params.convert import generations
from params.convert.generations import options_of_age, policy_of_result
from tests import hostile, parity
from tests.golden.archives import FOLDER, config_in, members, read

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 3, 5)).astype("float32")


def of_an_earlier_keras(keras_model, version, **options):
    """A file that claims this version, with the last layer's options changed."""
    keras_model.set_weights([RNG.standard_normal(weight.shape) for weight in keras_model.get_weights()])
    data = parity.saved(keras_model)
    config = config_in(data)
    config["config"]["layers"][-1]["config"] |= options
    return hostile.changed_zip(data, config=config, metadata={"keras_version": version})


@pytest.mark.parametrize(
    ("version", "written", "axes"),
    [("3.11.3", [-3], 2), ("3.11.3", [-4, -3], (1, 2)), ("3.6.0", [-2], -1), ("3.9.2", -3, 2), ("3.12.0", [-2], 2)],
)
def test_negative_axes_of_attention_count_the_heads_to_3_11(version, written, axes):
    x = keras.Input(X.shape[1:])
    keras_model = keras.Model(x, layers.MultiHeadAttention(2, 3, attention_axes=axes)(x, x))
    model, params = load_keras(of_an_earlier_keras(keras_model, version, attention_axes=written))
    np.testing.assert_allclose(model(params, X), keras_model(X), atol=1e-5)


@pytest.mark.parametrize("version", ["3.11.3", "3.15.1"])
def test_attention_over_one_axis_is_over_time_whatever_its_axes(version):
    x = keras.Input(X.shape[2:])
    keras_model = keras.Model(x, layers.MultiHeadAttention(2, 3, attention_axes=-1)(x, x))
    model, params = load_keras(
        of_an_earlier_keras(keras_model, version, attention_axes=[-2 if "11" in version else -1])
    )
    np.testing.assert_allclose(model(params, X[0]), keras_model(X[0]), atol=1e-5)


def test_shapes_of_slices_are_arguments_of_the_call_to_3_11():
    x = keras.Input(X.shape[1:])
    keras_model = keras.Model(x, ops.slice(x, (0, 1, 0, 2), (2, 2, 3, 3)))
    data = of_an_earlier_keras(keras_model, "3.10.0")
    config = config_in(data)
    operation = config["config"]["layers"][-1]
    operation["inbound_nodes"][0]["args"].append(operation["config"].pop("shape"))
    model, params = load_keras(hostile.changed_zip(data, config=config))
    np.testing.assert_array_equal(model(params, X), X[:2, 1:3, :, 2:])


def test_scores_of_attention_over_the_heads():
    x = keras.Input(X.shape[1:])
    keras_model = keras.Model(x, layers.MultiHeadAttention(2, 3, attention_axes=-1)(x, x, return_attention_scores=True))
    model, params = from_keras(keras_model)
    for given, expected in zip(model(params, X), keras_model(X), strict=True):
        np.testing.assert_allclose(given, expected, atol=1e-6)
    assert [spec.shape for spec in fnet.infer(model, fnet.Spec(X.shape))[0]] == [X.shape, (2, 4, 3, 2, 2)]


@pytest.mark.parametrize("version", ["3.6.0", "3.13.2"])
def test_parameters_of_layer_normalization_are_in_the_order_of_its_axes_to_3_13(version):
    x = keras.Input(X.shape[1:])
    keras_model = keras.Model(x, layers.LayerNormalization(axis=(1, 3))(x))
    data = of_an_earlier_keras(keras_model, version, axis=[-1, 1])
    weights = io.BytesIO(members(data)["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        arrays = file["layers/layer_normalization/vars"]
        for number in ("0", "1"):
            flat = arrays[number][...].reshape(5, 4)
            del arrays[number]
            arrays[number] = flat
    model, params = load_keras(hostile.changed_zip(data, weights=weights.getvalue()))
    np.testing.assert_allclose(model(params, X), keras_model(X), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "before", "first"),
    [
        (lambda x: ops.dot_product_attention(x, x, x), "3.6.0", "3.7.0"),
        (lambda x: ops.image.map_coordinates(x, ops.stack([x[0, 0, 0]] * 4), 1), "3.11.3", "3.12.0"),
        (
            lambda x: ops.depthwise_conv(x, ops.swapaxes(x[:2, :2], 2, 3), strides=2, dilation_rate=(2, 1)),
            "3.14.1",
            "3.15.0",
        ),
    ],
    ids=["dot_product_attention", "map_coordinates", "depthwise_conv"],
)
def test_operations_that_computed_otherwise_are_refused_by_name(call, before, first):
    x = keras.Input(batch_shape=X.shape)
    keras_model = keras.Model(x, call(x))
    model, params = load_keras(of_an_earlier_keras(keras_model, first))
    np.testing.assert_allclose(model(params, X), keras_model(X), atol=1e-6)
    data = of_an_earlier_keras(keras_model, before)
    config = config_in(data)
    for name in ("is_causal", "fill_mode"):  # which earlier versions left out where they were the defaults
        config["config"]["layers"][-1]["config"].pop(name, None)
    with pytest.raises(UnsupportedLayer, match=f"supported in files of Keras before {first[:-2]}"):
        load_keras(hostile.changed_zip(data, config=config))


def test_indices_and_integers_of_operations_in_files_of_keras_3_0():
    x = keras.Input(X.shape[1:])
    model, params = load_keras(of_an_earlier_keras(keras.Model(x, ops.take(x, -1, axis=1)), "3.2.1"))
    np.testing.assert_array_equal(model(params, X), X[:, 0])
    named = {"threshold_value": 0.5, "value": -2.0}  # as 3.10 wrote what is "threshold" and "default_value"
    model, params = load_keras(of_an_earlier_keras(keras.Model(x, ops.threshold(x, 9.0, 9.0)), "3.10.0", **named))
    np.testing.assert_array_equal(model(params, X), np.where(X > 0.5, X, np.float32(-2)))
    images = np.array([[[[0], [3]], [[0], [3]]]], "uint8")
    x = keras.Input((2, 2, 1), dtype="uint8")
    for version, expected in (("3.5.0", [0, 0, 1, 2, 3]), ("3.6.0", [0, 0, 2, 3, 3])):
        model, params = load_keras(of_an_earlier_keras(keras.Model(x, ops.image.resize(x, (2, 5))), version))
        assert model(params, images)[0, 0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("layer", "version", "seen"),
    [
        (lambda: layers.Dense(4, dtype="mixed_float16"), "3.0.5", "float16"),
        (lambda: layers.MultiHeadAttention(2, 3, dtype="mixed_float16"), "3.4.1", "float16"),
        (lambda: layers.Dense(4, dtype="mixed_float16"), "3.5.0", "float32"),
        (lambda: layers.LayerNormalization(dtype="mixed_float16"), "3.3.3", "float32"),
        (lambda: keras.Sequential([layers.Dense(4, dtype="mixed_float16")]), "3.3.3", "float32"),
    ],
)
def test_a_layer_that_casts_an_input_did_so_for_all_to_3_4(layer, version, seen):
    """Seen in 3.0.5 and 3.3.3, and in the code of 3.4.1: what else reads the input gets what that layer got."""

    def built(dtype):
        x, made = keras.Input((5, 4), dtype=dtype), layer()
        return keras.Model(x, [made(x, x) if isinstance(made, layers.MultiHeadAttention) else made(x), x * 2.0 + x])

    data = parity.saved(built("float32"))
    model, params = load_keras(hostile.changed_zip(data, metadata={"keras_version": version}))
    x = RNG.standard_normal((3, 5, 4)).astype("float32")
    y, expected = model(params, x)[1], built(seen)(x.astype(seen))[1]
    assert y.dtype == seen
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("last", [layers.Identity, lambda: layers.LSTM(3)])
def test_ids_beyond_the_table_were_the_nearest_in_files_of_keras_3_0_to_3_2(last):
    x = keras.Input((4,), dtype="int32")
    keras_model = keras.Model(x, last()(layers.Embedding(5, 2)(x)))
    ids = np.array([[-1, 2, -5, 3]])
    for version, nearest in (("3.2.1", [[0, 2, 0, 3]]), ("3.3.0", [[4, 2, 0, 3]])):  # as 3.0.5 and 3.3.3 gave
        model, params = load_keras(of_an_earlier_keras(keras_model, version))
        for run, arrays in ((model, params), fnet.optimize(model, params)):
            np.testing.assert_allclose(run(arrays, ids), keras_model(np.array(nearest)), atol=1e-6)


SMALL = np.array([[[100, 2], [3, 100]]], "int8")
PIXELS, UP = [[[[0], [3]]]], layers.UpSampling2D((1, 2), interpolation="bilinear")
ZEROS = np.array([[-0.0, 0.0, -0.0]], "float32")
LOGITS = np.log(np.array([[[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.3, 0.1, 0.6]]], "float32"))
FOUR = np.array([[1, 2, 3], [4, 0, 6]], "float32")
MASK = np.array([[0.5, 0, 0.25]], "float32")


@pytest.mark.parametrize(
    ("version", "call", "x", "expected", "dtype"),
    [
        ("3.5.0", layers.UnitNormalization(), [[3e-8, 4e-8]], [[0.03, 0.04]], "float32"),
        ("3.6.0", layers.UnitNormalization(), [[3e-8, 4e-8]], [[0.6, 0.8]], "float32"),
        ("3.6.0", layers.GroupNormalization(1, center=False, scale=False), [[7, 1]], [[0, 0]], "float32"),
        ("3.7.0", layers.GroupNormalization(1, center=False, scale=False), [[7, 1]], [[0, 0]], "int32"),
        ("3.15.0", layers.GroupNormalization(1, center=False, scale=False), [[7, 1]], [[0, 0]], "float32"),
        ("3.3.3", layers.Discretization([1], output_mode="one_hot"), [[0.0]], [[[1, 0]]], "float32"),
        ("3.4.0", layers.Discretization([1], output_mode="one_hot"), [[0.0]], [[1, 0]], "float32"),
        ("3.5.0", UP, PIXELS, [[[[0], [0], [2], [3]]]], "int32"),
        ("3.6.0", UP, PIXELS, [[[[0], [1], [2], [3]]]], "int32"),
        ("3.8.0", lambda x: ops.argmax(x, 1), ZEROS, [0], "int32"),
        ("3.9.0", lambda x: ops.argmax(x, 1), ZEROS, [1], "int32"),
        ("3.8.0", lambda x: ops.argmin(x[:, 1:], 1), ZEROS, [0], "int32"),
        ("3.9.0", lambda x: ops.argmin(x[:, 1:], 1), ZEROS, [1], "int32"),
        ("3.2.1", lambda x: ops.trace(x, 0, 1, 2), SMALL, [200], "int32"),
        ("3.3.3", lambda x: ops.trace(x, 0, 1, 2), SMALL, [-56], "int32"),
        ("3.2.1", lambda x: ops.trace(x, 0, 1, 2), SMALL.astype("uint8"), [200], "int32"),
        ("3.12.0", lambda x: ops.trace(x, 0, 1, 2), SMALL.astype("uint8"), [200], "uint32"),
        ("3.12.0", lambda x: ops.correlate(x[0], x[1, :2], "full"), FOUR, [4, 8, 12, 0], "float32"),
        ("3.13.0", lambda x: ops.correlate(x[0], x[1, :2], "full"), FOUR, [0, 4, 8, 12], "float32"),
        ("3.12.0", lambda x: ops.correlate(x[0, :2], x[1], "full"), FOUR, [6, 12, 4, 8], "float32"),
        ("3.13.0", lambda x: ops.correlate(x[0, :2], x[1], "full"), FOUR, [6, 12, 4, 8], "float32"),
        ("3.12.0", lambda x: ops.correlate(x[0, :2], x[1], "same"), FOUR, [12, 4], "float32"),
        ("3.12.0", lambda x: ops.correlate(x[0], x[1]), FOUR, 22, "float32"),
        ("3.13.0", lambda x: ops.correlate(x[0], x[1]), FOUR, [22], "float32"),
        ("3.3.3", lambda x: ops.normalize(x, (0, 1)), [[3.0, 0.0], [0.0, 4.0]], [[0.75, 0], [0, 1]], "float32"),
        ("3.6.0", lambda x: ops.normalize(x, (0, 1)), [[3.0, 0.0], [0.0, 4.0]], [[0.6, 0], [0, 0.8]], "float32"),
        ("3.0.5", lambda x: ops.normalize(x, 1, 1), [[3.0, -1.0]], [[0.75, -0.25]], "float32"),
        ("3.3.3", ops.image.rgb_to_grayscale, np.full((1, 1, 3), 233, "uint8"), [[[233]]], "uint8"),
        ("3.4.0", ops.image.rgb_to_grayscale, np.full((1, 1, 3), 233, "uint8"), [[[232]]], "uint8"),
    ],
)
def test_what_other_versions_of_keras_3_gave(version, call, x, expected, dtype):
    x = np.asarray(x, getattr(x, "dtype", np.asarray(x).dtype.name.replace("64", "32")))
    place = keras.Input(batch_shape=x.shape, dtype=x.dtype.name)
    data = of_an_earlier_keras(keras.Model(place, call(place)), version)
    model, params = load_keras(data)
    y = model(params, x)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert (y.dtype, y.shape) == (dtype, fnet.infer(model, fnet.Spec(x.shape, x.dtype.name))[0].shape)


def test_what_calls_of_other_versions_of_keras_3_gave():
    x, values = keras.Input((3, 2)), np.arange(6, dtype="float32").reshape(1, 3, 2)
    pooled = (("3.14.0", [[4 / 3, 7 / 3]]), ("3.15.0", [[2, 3]]))
    for (version, expected), given in itertools.product(pooled, (MASK, np.array([[2, 0, 1]], "int32"))):
        mask = keras.Input((3,), dtype=given.dtype.name)
        keras_model = keras.Model([x, mask], layers.GlobalAveragePooling1D()(x, mask=mask))
        data = of_an_earlier_keras(keras_model, version)
        model, params = load_keras(data)
        np.testing.assert_allclose(model(params, (values, given)), expected, rtol=1e-6)
    logits, lengths = keras.Input((3, 3)), keras.Input((), dtype="int32")
    for version, expected in (("3.3.3", [1, 0, -1]), ("3.4.0", [1, 2, -1])):
        keras_model = keras.Model([logits, lengths], ops.ctc_decode(logits, lengths, "beam_search")[0])
        data = of_an_earlier_keras(keras_model, version)
        model, params = load_keras(data)
        assert model(params, (LOGITS, np.array([3], "int32")))[0, 0].tolist() == expected


def test_up_sampling_of_channels_first_before_3_2_is_refused():
    x = keras.Input((2, 3, 3))
    call = layers.UpSampling2D(data_format="channels_first", interpolation="bilinear")
    data = of_an_earlier_keras(keras.Model(x, call(x)), "3.1.1")
    with pytest.raises(UnsupportedLayer, match="took the sizes of other axes"):
        load_keras(data)


def test_isclose_was_called_with_all_its_arguments_to_3_10():
    x = keras.Input((2,))
    data = of_an_earlier_keras(keras.Model(x, ops.isclose(x, 1.0)), "3.10.0")
    config = config_in(data)
    operation = config["config"]["layers"][-1]
    operation["config"].pop("equal_nan", None)
    operation["inbound_nodes"][0]["args"] += [True]
    model, params = load_keras(hostile.changed_zip(data, config=config))
    assert model(params, np.float32([[1, np.nan]])).tolist() == [[True, False]]
    assert "equal_nan=True" in repr(model)


def test_einsum_without_a_named_result_was_in_the_order_of_the_alphabet_in_3_0():
    """So TensorFlow has it; later Kerases rename the letters by appearance first (read: 3.1.1; run: 3.15.1)."""
    x = keras.Input((3, 4))
    data = keras.Model(x, ops.einsum("zyx,wx", x, np.ones((5, 4), "float32")))
    for version, shape in (("3.0.5", (5, 3, 2)), ("3.1.1", (2, 3, 5))):
        model, params = load_keras(of_an_earlier_keras(data, version))
        assert model(params, np.ones((2, 3, 4), "float32")).shape == shape


def test_dtypes_of_linspace_and_the_order_of_top_k(tmp_path):
    x = keras.Input(X.shape[1:])
    for version, is_class, dtype in (
        ("3.2.1", True, "float64"),
        ("3.2.1", False, "float32"),
        ("3.3.0", True, "float32"),
    ):
        y = [ops.linspace(x, x + 1, 3), ops.logspace(x, x + 1, 3), ops.linspace(x, x, 3, dtype="float16")]
        data = of_an_earlier_keras(keras.Model(x, y), version)
        config = config_in(data)
        for layer in config["config"]["layers"]:
            if is_class and layer["class_name"] in ("Linspace", "Logspace") and not layer["config"]["dtype"]:
                del layer["config"]["dtype"]
        model, params = load_keras(hostile.changed_zip(data, config=config))
        assert [a.dtype for a in model(params, X)] == [dtype, dtype, "float16"]
    assert options_of_age("ops.TopK", {}, (3, 10)) == {"sorted": False}
    assert options_of_age("ops.TopK", {}, (3, 11)) == options_of_age("ops.TopK", {"sorted": True}, (3, 10)) == {}
    for k in (2, 1):
        keras_model = keras.Model(x, ops.top_k(x, k, sorted=False)[0])
        keras_model.save(tmp_path / "m.keras")
        with pytest.raises(UnsupportedLayer, match="sorted=False") if k > 1 else contextlib.nullcontext():
            model, params = load_keras(tmp_path / "m.keras")
            np.testing.assert_array_equal(model(params, X), keras_model(X))


@pytest.mark.parametrize(
    ("name", "interpolation", "version", "policy"),
    [
        ("Normalization", None, (2, 4), "float32"),
        ("Normalization", None, (2, 5), "float16"),
        ("Resizing", "bilinear", (2, 7), "float32"),
        ("Resizing", "bilinear", (2, 8), "float16"),
        ("Resizing", "nearest", (2, 7), "float16"),
        ("RandomCrop", None, (3, 7), "float16"),
        ("RandomCrop", None, (3, 8), None),
        ("CategoryEncoding", None, (2, 15), "mixed_float16"),
        ("CategoryEncoding", None, (3, 0), "float32"),
    ],
)
def test_the_policies_by_which_results_are_rounded_at_each_age(name, interpolation, version, policy):
    declared = "mixed_float16" if name == "CategoryEncoding" else "float16"
    assert policy_of_result(name, {"interpolation": interpolation}, declared, version) == policy


INTEGERS = np.array([[[1, 2], [2, 4], [4, 9]], [[7, 1], [0, 0], [1, -3]]], "int32")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_means_of_integers_are_integers_in_files_of_keras_2(rank):
    values = INTEGERS.reshape(2, 3, *(1,) * (rank - 1), 2)
    model, params = hostile.of_keras_2(f"GlobalAveragePooling{rank}D", {}, (), values.shape[1:], "int32")
    y = model(params, values)
    assert y.dtype == "int32"
    assert y.tolist() == [[2, 5], [2, 0]]  # as TensorFlow 2.12 gave


@pytest.mark.parametrize(("kind", "expected"), [("bilinear", [0, 0.75, 2.25, 3]), ("nearest", [0, 0, 3, 3])])
def test_up_sampling_of_integers_in_files_of_keras_2(kind, expected):
    options = {"size": [1, 2], "interpolation": kind}
    model, params = hostile.of_keras_2("UpSampling2D", options, (), (1, 2, 1), "int32")
    y = model(params, np.array(PIXELS, "int32"))
    assert (y.dtype, y.ravel().tolist()) == ("int32" if kind == "nearest" else "float32", expected)  # as 2.15 gave


@pytest.mark.parametrize(
    ("name", "options"),
    [("AddLoss", {"unconditional": False}), ("AddMetric", {"aggregation": "mean", "metric_name": "kl"})],
)
def test_losses_and_metrics_inside_models_of_keras_2_are_the_identity(name, options):
    model, params = hostile.of_keras_2(name, options, shape=X.shape[1:])
    np.testing.assert_array_equal(model(params, X), X)


@pytest.mark.parametrize(
    "inner", [lambda: layers.GRU(3, stateful=True), lambda: keras.Sequential([layers.LSTM(2, stateful=True)])]
)
def test_stateful_layers_on_each_time_step_are_refused_in_files_of_keras_2(inner):
    x = keras.Input(batch_shape=(2, 4, 3, 2))
    keras_model = keras.Model(x, layers.TimeDistributed(inner())(x))
    load_keras(of_an_earlier_keras(keras_model, "3.15.0"))
    with pytest.raises(UnsupportedLayer, match="which Keras 2 runs once too often"):
        load_keras(of_an_earlier_keras(keras_model, "2.15.0"))


def test_spectral_normalization_of_integers_in_files_of_keras_2():
    dense = {"class_name": "Dense", "config": {"name": "dense", "trainable": True, "dtype": "float32", "units": 3}}
    kernel, bias, u = (np.linspace(0.1, 0.9, n, dtype="float32") for n in (6, 3, 3))
    arrays = [("kernel", kernel.reshape(2, 3)), ("bias", bias), ("vector_u", u[None])]
    model, params = hostile.of_keras_2("SpectralNormalization", {"layer": dense}, arrays, (3, 2), "int32")
    np.testing.assert_allclose(model(params, INTEGERS)[0, 0], [1.36, 2.24, 3.12], rtol=1e-6)  # as TensorFlow 2.15 gave


@pytest.mark.parametrize(("version", "kept"), [("3.10.0", False), ("3.11.0", True)])
def test_layer_normalization_of_integers_gives_floats_to_3_10(version, kept):
    x = keras.Input((3, 2), dtype="int32")
    keras_model = keras.Model(x, layers.LayerNormalization()(x))
    model, params = load_keras(of_an_earlier_keras(keras_model, version))
    expected = layers.LayerNormalization.call(keras_model.layers[-1], INTEGERS.astype("float32"))
    np.testing.assert_allclose(model(params, INTEGERS), np.trunc(expected) if kept else expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "int64", "mixed_float16"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda dtype: layers.CategoryEncoding(5, output_mode="count", dtype=dtype),
        lambda dtype: layers.Discretization([1.0, 3.0], output_mode="one_hot", dtype=dtype.removeprefix("mixed_")),
        lambda dtype: layers.Hashing(4, output_mode="one_hot", dtype=dtype),
        lambda dtype: layers.IntegerLookup(vocabulary=[1, 2], output_mode="multi_hot", dtype=dtype),
    ],
    ids=["CategoryEncoding", "Discretization", "Hashing", "IntegerLookup"],
)
def test_encodings_have_the_dtype_of_their_layer(layer, dtype):
    x = keras.Input((3,), dtype="int32")
    keras_model = keras.Model(x, layer(dtype)(x))
    model, params = from_keras(keras_model)
    ids = np.array([[1, 2, 2], [4, 0, 1]], "int32")
    y = model(params, ids)
    assert y.dtype == keras_model(ids).numpy().dtype
    np.testing.assert_array_equal(y, keras_model(ids))
    assert infer.infer(model, fnet.Spec((None, 3), "int32"))[0].dtype == y.dtype


def test_hashes_of_keras_2_have_the_compute_dtype():
    assert options_of_age("Hashing", {"dtype": "mixed_float16"}, (2, 15)) == {"dtype": "float16"}
    assert options_of_age("HashedCrossing", {"dtype": "bfloat16"}, (2, 15)) == {"dtype": "float32"}
    assert options_of_age("Hashing", {"dtype": "int32"}, (3, 15)) == {}


def test_a_spectral_normalization_whose_vectors_are_not_in_the_file(tmp_path):
    keras_model = keras.Sequential([keras.Input((2,)), layers.SpectralNormalization(layers.Dense(3), name="norm")])
    keras_model.save(tmp_path / "m.h5")
    keras_model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        group = file["model_weights/norm"]
        names = list(group.attrs["weight_names"])
        (vector,) = [name for name in names if "vector_u" in name]
        group.attrs["weight_names"] = [name for name in names if name != vector]
        del group[vector]
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        own = file["layers/spectral_normalization/vars"]
        (number,) = [key for key in own if own[key].shape == (1, 3)]
        del own[number]
    model, params = load_keras(tmp_path / "m.h5")
    assert not params["norm"]["vector_u"].any()
    again = load_weights(tmp_path / "m.weights.h5", model, fnet.tree.map(np.zeros_like, params))
    for given in (params, again):
        np.testing.assert_allclose(model(given, X[0, 0, :, :2]), keras_model(X[0, 0, :, :2]), atol=1e-6)


CHANGES = {
    (2, 4): "UpSampling2D",
    (2, 6): "ReLU",
    (2, 7): "RandomCrop",
    (2, 8): "CategoryEncoding CenterCrop Discretization Hashing RandomBrightness RandomContrast RandomFlip RandomHeight"
    " RandomRotation RandomTranslation RandomWidth RandomZoom Resizing",
    (2, 9): "RandomHeight RandomWidth",
    (2, 10): "RandomHeight RandomWidth",
    (2, 12): "BatchNormalization RandomHeight RandomWidth",
    (2, 14): "Softmax",
    (3, 0): "Add Average Bidirectional CategoryEncoding Concatenate ConvLSTM1D ConvLSTM2D ConvLSTM3D Discretization"
    " Embedding GRU GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D HashedCrossing Identity"
    " IntegerLookup LSTM Maximum Minimum Multiply Normalization RNN ReLU Rescaling Resizing SimpleRNN"
    " SpectralNormalization StringLookup Subtract TextVectorization TimeDistributed UpSampling2D",
    (3, 1): "ops.Einsum ops.Normalize",
    (3, 3): "Embedding ops.Linspace ops.Logspace ops.Take ops.Trace",
    (3, 4): "Add Average CategoryEncoding Concatenate Discretization Maximum Minimum Multiply Subtract ops.CTCDecode"
    " ops.RGBToGrayscale",
    (3, 6): "RandomBrightness RandomContrast RandomCrop Resizing UnitNormalization UpSampling2D ops.Normalize"
    " ops.Resize",
    (3, 7): "GroupNormalization GroupQueryAttention MultiHeadAttention",
    (3, 8): "GroupQueryAttention MultiHeadAttention RandomCrop",
    (3, 9): "ops.Argmax ops.Argmin",
    (3, 10): "GroupQueryAttention MultiHeadAttention Softmax",
    (3, 11): "LayerNormalization ops.TopK",
    (3, 12): "Discretization GroupQueryAttention MultiHeadAttention ops.Trace",
    (3, 13): "GroupQueryAttention MultiHeadAttention Softmax ops.Correlate",
    (3, 14): "LayerNormalization",
    (3, 15): "GroupNormalization",
}
"""{version of Keras: the classes that compute differently from it on}, as in docs/generations.md."""
TELLING = {
    **{key: {"dtype": "int32", "output_mode": "count"} for key in ("CategoryEncoding", "Discretization")},
    **{key: {"attention_axes": [-1]} for key in ("GroupQueryAttention", "MultiHeadAttention")},
    "HashedCrossing": {"dtype": "mixed_float16"},
    "Hashing": {"dtype": "mixed_bfloat16"},
    "LayerNormalization": {"axis": [2, 1]},
    "ReLU": {"negative_slope": 0.5, "max_value": 4.0},
    "Resizing": {"interpolation": "nearest"},
    "Softmax": {"axis": None},
    "UpSampling2D": {"interpolation": "bilinear"},
    "ops.CTCDecode": {"strategy": "beam_search"},
    "ops.Einsum": {"subscripts": "ab,bc"},
    "ops.Normalize": {"axis": [1, 2]},
}
"""{class: options that make every change visible}."""


def test_layers_change_at_the_versions_at_which_those_of_keras_did():
    versions = [(major, minor) for major in (2, 3) for minor in range(16)]
    changes: dict = {}
    for name in generations.BEFORE:
        ages = [options_of_age(name, TELLING.get(name, {}), version) for version in versions]
        for version, (before, after) in zip(versions[1:], pairwise(ages), strict=True):
            if before != after:
                changes.setdefault(version, set()).add(name)
    assert changes == {version: set(names.split()) for version, names in CHANGES.items()}
    assert generations.HEADS_SEE_MASKS == (2, 10)
    assert generations.HEADS_HAVE_POLICIES == (2, 14)
    assert generations.MERGES_SEE_MASKS == (3, 4)
    assert generations.HEADS_DELETE_MASKS == (3, 8)
    assert generations.CALLS_HAND_MASKS_ON == (3, 11)


CHANGING = {
    ("keras-2.12.0", "images.keras"): [7, 8, 9, 10, 12],
    ("masks-2.12.0", "multi_head.h5"): [10],
    ("masks-3.15.1", "transformer.keras"): [3, 4, 7, 8, 10, 11, 13, 15],
    ("masks-3.15.1", "attention_with_explicit_masks.keras"): [3, 4, 11],
    ("masks-3.15.1", "averages.keras"): [3, 15],
    ("keras-3.15.1", "deferred.keras"): [6, 7, 15],
    ("keras-3.15.1", "numbers.keras"): [4, 12],
    ("keras-3.12.4", "four_bits.keras"): [3, 4, 14],
}
"""{(archive, file): the minor versions, from 2.4 or 3.0 on, at which it is another model or no longer refused}."""


def in_the_name_of(data, major, minor):
    """A file that says it was written by another version of Keras."""
    if data[:2] == b"PK":
        return hostile.changed_zip(data, metadata={"keras_version": f"{major}.{minor}.0"})
    return data.replace(b"2.12.0", b"2.%02d.0" % minor)


def of_keras_before_3_3(keras_model, number, version):
    """The model as such a Keras wrote it. number: the number of a call that a layer reads -> the number written."""
    data = parity.saved(keras_model)
    config = config_in(data)

    def written(value):
        if isinstance(value, list):
            return [written(item) for item in value]
        if not isinstance(value, dict):
            return value
        changed = {key: written(item) for key, item in value.items()}
        if "keras_history" in changed:
            name, call, index = changed["keras_history"]
            changed["keras_history"] = [name, call if name.startswith("input") else number(call), index]
        return changed

    for layer in config["config"]["layers"]:
        layer["inbound_nodes"] = written(layer["inbound_nodes"])
    return hostile.changed_zip(data, config=config, metadata={"keras_version": version})


def twice(ends):
    """(model that calls one layer twice, its input). ends: what of the two calls is given."""
    x, shared = keras.Input((4,)), layers.Dense(4, activation="tanh")
    first = shared(x)
    second = shared(layers.Dense(4)(first))
    keras_model = keras.Model(x, ends(first, second))
    return keras_model, RNG.standard_normal((3, 4)).astype("float32")


@pytest.mark.parametrize("version", ["3.0.5", "3.1.1"])
@pytest.mark.parametrize("outside", [0, 1, 3])
@pytest.mark.parametrize(
    "ends",
    [lambda first, second: second, lambda first, second: layers.Subtract()([first, second])],
    ids=["an output", "read by a layer"],
)
def test_keras_before_3_2_numbers_calls_as_the_program_has_them(version, outside, ends):
    """Layers of a model that were called outside it: Keras refused its own files, or read other calls (off by 0.3)."""
    keras_model, x = twice(ends)
    model, params = load_keras(of_keras_before_3_3(keras_model, lambda call: call + outside, version))
    parity.assert_close(model(params, x), keras_model(x).numpy())


def test_keras_3_2_has_lost_which_call_is_read():
    """It wrote 0 for each; what it loads itself is another model, off by 1."""
    keras_model, x = twice(lambda first, second: second)
    model, params = load_keras(of_keras_before_3_3(keras_model, lambda call: 0, "3.2.1"))
    parity.assert_close(model(params, x), keras_model(x).numpy())
    data = of_keras_before_3_3(
        twice(lambda first, second: layers.Subtract()([first, second]))[0], lambda call: 0, "3.2.1"
    )
    with pytest.raises(UnsupportedLayer, match="is called 2 times, and Keras before"):
        load_keras(data)
    explained = fnet.explain(data)
    assert len(explained.steps) > 2
    assert len([why for why in explained.problems if "is called 2 times, and Keras before" in why]) == 1
    config = {**config_in(data), "keras_version": None}
    with pytest.raises(UnsupportedLayer, match="does not write which call"):
        load_keras(json.dumps(config).encode(), weights=data)


@pytest.mark.parametrize("place", CHANGING, ids="-".join)
def test_files_change_their_meaning_at_the_versions_at_which_keras_did(place):
    archive, name = place
    data, major = read(FOLDER / f"{archive}.zip", name), int(archive.partition("-")[2][0])
    changes, before = [], None
    for minor in range(4 if major == 2 else 0, 16):
        try:
            model = load_keras(in_the_name_of(data, major, minor))[0]
        except ModelFileError as error:
            model = str(error)
        if before not in (None, model):
            changes.append(minor)
        before = model
    assert changes == CHANGING[place]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (None, (0, 0)),
        ("2.1.6-tf", (2, 1)),
        ("2.2.4", (2, 2)),
        ("2.2.4-tf", (2, 4)),
        ("2.3.0-tf", (2, 4)),
        ("2.3.1", (2, 3)),
        ("2.15.0", (2, 15)),
        ("3.12.0.dev2025", (3, 12)),
        ("nightly", generations.NEWEST),
    ],
)
def test_the_keras_inside_tensorflow_was_ahead_of_its_number(text, version):
    assert generations.version_of(text) == version


def test_a_vector_of_that_name_in_a_layer_of_ones_own_must_be_in_the_file(tmp_path):
    keras_model = keras.Sequential([keras.Input((2,)), layers.Dense(3, use_bias=False, name="mine")])

    @fnet.layer(shape=lambda x: (x, {"kernel": fnet.Param((2, 3)), "vector_u": fnet.Param((3,))}))
    def mine(params, x):
        return x @ params["kernel"] * params["vector_u"]

    for name in ("m.h5", "m.keras"):
        keras_model.save(tmp_path / name)
        with pytest.raises(WeightsMismatch, match=r"vector_u|2 arrays, but the file stores 1"):
            load_keras(tmp_path / name, custom={"mine": mine})
