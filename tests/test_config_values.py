"""The meaning of values in a config, which is that in Python in the Keras that wrote the file; and unread ones."""

import io
import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import fnet
from params import UnsupportedLayer, WeightsMismatch, from_keras, load_keras
from params.convert.legacy_config import modern
from params.convert.models import convert
from tests import hostile, parity

X = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")


@pytest.mark.parametrize("whole", [hostile.keras_zip, hostile.legacy], ids=["keras", "h5"])
def test_numbers_for_what_python_takes_them(whole):
    """Files of real programs say `"use_bias": 1`, those of Keras 2 `"units": 2.0`, of which Keras 3 makes no layer."""

    def given(**options):
        config = hostile.dense_config if whole is hostile.keras_zip else hostile.legacy_config
        return load_keras(whole(config(**options)))

    if whole is hostile.keras_zip:
        with pytest.raises(fnet.ModelFileError, match="of the wrong type"):
            given(units=2.0)
    model, params = given(use_bias=1, units=2 if whole is hostile.keras_zip else 2.0)
    np.testing.assert_array_equal(model(params, X), X @ hostile.KERNEL + hostile.BIAS)
    with pytest.raises(WeightsMismatch):  # the bias is there, but nobody wants it
        given(use_bias=0)
    with pytest.raises(fnet.ModelFileError):
        given(use_bias=[1])


@pytest.mark.parametrize(
    "layer",
    [
        layers.MaxPooling2D([2.0, 2.0]),
        layers.AveragePooling2D(3, strides=(1, 2.0), padding="same"),
        layers.Conv2D(2, 3, strides=[2.0, 1.0]),
        layers.DepthwiseConv2D(3, strides=[2.0, 2.0]),
        layers.Conv2D(2, 3, dilation_rate=[2.0, 1.0]),
        layers.Reshape([8 / 2, 64]),
        layers.ZeroPadding2D(True),
        layers.Cropping2D([[True, 2], [False, True]]),
        layers.Softmax(axis=None),
    ],
)
def test_lists_may_hold_whole_floats_and_flags(layer, tmp_path):
    """As TensorFlow takes them; a single float, and floats where a layer computes sizes from them, it refuses."""
    keras_model = keras.Sequential([keras.Input((8, 8, 4)), layer])
    keras_model.save(tmp_path / "m.keras")
    model, params = load_keras(tmp_path / "m.keras")
    x = np.random.default_rng(0).standard_normal((3, 8, 8, 4)).astype("float32")
    parity.assert_close(fnet.predict(model, params, x), keras_model(x))


def test_true_is_the_number_1():
    """Keras writes what it was given, and takes it again."""
    x = keras.Input((3,))
    keras_model = keras.Model(x, layers.Rescaling(True, 0.5)(layers.Dropout(True)(layers.ReLU(negative_slope=True)(x))))
    model, params = from_keras(keras_model)
    np.testing.assert_allclose(model(params, X), keras_model(X), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((layers.Dense, {"units": 2, "use_bias": value}) for value in (None, "", "False")),
        (layers.Dense, {"units": True}),
        (layers.Conv1D, {"filters": True, "kernel_size": True, "strides": True}),
        (layers.MaxPooling1D, {"strides": True}),
        (layers.LSTM, {"units": 2, "go_backwards": None, "return_sequences": "yes"}),
        (layers.GlobalAveragePooling1D, {"keepdims": None}),
        *((kind, {"epsilon": None}) for kind in (layers.LayerNormalization, layers.RMSNormalization)),
    ],
)
def test_what_python_takes_for_true_or_false_or_1(kind, options, tmp_path):
    keras_model = keras.Sequential([keras.Input((5, 3)), kind(**options)])
    for variable in keras_model.weights:
        variable.assign(np.linspace(-1, 1, variable.shape.num_elements()).reshape(variable.shape))
    keras_model.save(tmp_path / "m.keras")
    model, params = load_keras(tmp_path / "m.keras")
    x = np.random.default_rng(0).standard_normal((3, 5, 3)).astype("float32") * 1e-3  # so that an epsilon matters
    parity.assert_close(fnet.predict(model, params, x), keras_model(x))


def test_flags_in_calls_may_be_numbers():
    x = keras.Input((4, 3))
    y = layers.Attention()([x, x], use_causal_mask=1)
    keras_model = keras.Model(x, [y, keras.ops.sum(y, axis=1, keepdims=1), keras.ops.sum(y, axis=1, keepdims=0)])
    model, params = from_keras(keras_model)
    values = np.random.default_rng(1).standard_normal((2, 4, 3)).astype("float32")
    for ours, theirs in zip(model(params, values), keras_model(values), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("zeros", [np.zeros, tf.zeros])
def test_options_that_are_arrays(zeros, shape):
    zero = zeros(shape, "float32")
    x = keras.Input((4, 3))
    y = layers.LSTM(2)(layers.Masking(zero)(x))
    keras_model = keras.Model(x, layers.Rescaling(zero + 2, zero)(layers.LeakyReLU(np.float32(0.25))(y)))
    values = X[None].repeat(2, 0) * np.array([1, 1, 0, 0], "float32")[:, None]
    model, params = from_keras(keras_model)
    np.testing.assert_allclose(model(params, values), keras_model(values), atol=1e-6)


def test_options_that_are_bytes_are_text():
    x = keras.Input((3,), dtype="string")
    keras_model = keras.Model(x, layers.Hashing(5, mask_value=b"b")(x))
    model, params = from_keras(keras_model)
    texts = np.array([["a", "b", "c"]])
    np.testing.assert_array_equal(model(params, texts), keras_model(tf.constant(texts)))


def test_layers_that_differ_in_their_names_alone_are_one_step():
    """A deep model has its layers many times; a value of another type is another, whatever Python's `==` says."""
    dense = [layers.Dense(3, name=name, trainable=name != "d") for name in "abcd"]
    config = json.loads(keras.Sequential([keras.Input((3,)), *dense]).to_json())
    steps = dict(convert(config).step.steps)
    assert steps["a"] is steps["b"] is steps["c"] is not steps["d"]
    third = config["config"]["layers"][3]["config"]
    third["units"] = 3.0
    with pytest.raises(fnet.ModelFileError, match=r"'c'.*of the wrong type"):
        convert(config)
    third |= {"units": 3, "activation": "relu"}
    steps = dict(convert(config).step.steps)
    assert steps["a"] is steps["b"] is not steps["c"]
    assert steps["c"].options["activation"] == "relu"


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_nan_and_infinity_are_arguments_of_operations(tmp_path, suffix):
    x = keras.Input((3,))
    hidden = np.array([0, -np.inf, np.nan], "float32")
    y = [keras.ops.where(x > 0, x, np.nan), keras.ops.full_like(x, np.inf), keras.ops.multiply(x, np.nan), x + hidden]
    keras_model = keras.Model(x, y)
    keras_model.save(tmp_path / f"model.{suffix}")
    model, params = load_keras(tmp_path / f"model.{suffix}")
    fnet.save(tmp_path / "model.safetensors", model, params)
    for again in (model, params), fnet.load(tmp_path / "model.safetensors"):
        for ours, theirs in zip(again[0](again[1], X), keras_model(X), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_nan_and_infinity_are_no_options_of_layers(number):
    config = json.dumps(hostile.dense_config(units="this")).replace('"this"', number)
    with pytest.raises(fnet.ModelFileError, match="must be finite"):
        load_keras(hostile.keras_zip(config))


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        ((3,), [layers.ReLU(max_value=float("inf"), negative_slope=0.5)]),
        ((1, 0, 3), [layers.LayerNormalization()]),
        (
            (0, 3),
            [layers.Dense(4), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2, bias_initializer="ones")],
        ),
    ],
)
def test_extremes_that_keras_runs(tmp_path, shape, made):
    """A largest value of infinity is none; an input may hold no numbers."""
    keras_model = keras.Sequential([keras.Input(shape), *made])
    keras_model.save(tmp_path / "model.keras")
    model, params = load_keras(tmp_path / "model.keras")
    x = np.resize(X, (4, *shape)) * 9
    for y in (model(params, x), fnet.predict(model, params, x, batch_size=3)):
        np.testing.assert_allclose(y, keras_model(x), rtol=1e-6, strict=True)


MINE = {"dtype": {"class_name": "MyPolicy", "config": {}}}
FOREIGN = {"module": "my_package", "class_name": "Mine", "config": MINE, "registered_name": "my_package>Mine"}


@pytest.mark.parametrize("key", ["kernel_initializer", "kernel_regularizer", "bias_constraint"])
@pytest.mark.parametrize("value", [FOREIGN, hostile.lambda_value()], ids=["foreign", "lambda"])
def test_what_training_alone_reads_is_not_read(key, value):
    hostile.MARKER.unlink(missing_ok=True)
    for data in (
        hostile.keras_zip(hostile.dense_config(**{key: value})),
        hostile.legacy(hostile.legacy_config(**{key: value})),
        hostile.keras_zip(hostile.dense_config(**{key: {"module": "os", "class_name": "system", "config": {}}})),
    ):
        model, params = load_keras(data)
        np.testing.assert_array_equal(model(params, X), X @ hostile.KERNEL + hostile.BIAS)
    assert not hostile.MARKER.exists()


def function(module, name, registered=None):
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered}


@fnet.layer(shape=lambda x: (x, {}))
def negated(params, x):
    return -x


def test_a_function_is_keras_s_where_its_module_is():
    for activation in (function("builtins", "relu", "function"), function("keras.activations", "relu"), "relu"):
        model, params = load_keras(hostile.keras_zip(hostile.dense_config(activation=activation)))
        np.testing.assert_array_equal(model(params, X), np.maximum(X @ hostile.KERNEL + hostile.BIAS, 0))
    for activation, name in (
        (function("os", "relu"), "relu"),
        (function("my_package", "relu", "my_package>relu"), "my_package>relu"),
        (function("builtins", "my_package>relu", "function"), "my_package>relu"),
        (function("builtins", "relu", "my_package>relu"), "my_package>relu"),
    ):
        data = hostile.keras_zip(hostile.dense_config(activation=activation))
        with pytest.raises(UnsupportedLayer, match=f"custom={{'{name}': my_activation}}"):
            load_keras(data)
        model, params = load_keras(data, custom={name: negated})
        np.testing.assert_array_equal(model(params, X), -(X @ hostile.KERNEL + hostile.BIAS))


# --- Theano ---------------------------------------------------------------------------------------


def on_theano(data, *turned):
    """A legacy file as if written by Keras on Theano."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        for holder in (file, file["model_weights"]):
            holder.attrs["backend"] = b"theano"
            holder.attrs["keras_version"] = b"2.1.6"
        del file.attrs["model_config"]
        for layer in turned:
            file["model_weights"][layer].visititems(turn)
    return buffer.getvalue()


def turn(name, kernel):
    if name.endswith("kernel"):
        kernel[...] = np.flip(kernel[...], range(kernel.ndim - 2))


def theano_file(tmp_path, steps, *turned):
    keras_model = keras.Sequential(steps)
    rng = np.random.default_rng(1)
    keras_model.set_weights([rng.standard_normal(w.shape) for w in keras_model.weights])
    keras_model.save(tmp_path / "model.h5")
    return keras_model, on_theano((tmp_path / "model.h5").read_bytes(), *turned)


def test_kernels_from_theano_are_turned(tmp_path):
    steps = [layers.Input((6, 6, 2)), layers.Conv2D(3, (3, 2), name="conv"), layers.Conv2DTranspose(2, 3, name="up")]
    steps += [layers.Reshape((7, 12)), layers.TimeDistributed(layers.Dense(4)), layers.Conv1D(3, 3, name="line")]
    keras_model, data = theano_file(tmp_path, steps, "conv", "up", "line")
    model, params = from_keras(keras_model)
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 2)).astype("float32")
    empty = fnet.tree.map(lambda leaf: leaf * 0, params)
    np.testing.assert_allclose(model(fnet.load_weights(data, model, empty), x), keras_model(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("layer", "size"), [(layers.Conv3D, (2, 3, 1)), (layers.ConvLSTM2D, (2, 3))])
def test_kernels_over_time_and_space_from_theano_are_turned(layer, size, tmp_path):
    keras_model, data = theano_file(tmp_path, [layers.Input((3, 4, 5, 2)), layer(2, size, name="conv")], "conv")
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 2)).astype("float32")
    model, params = from_keras(keras_model)
    np.testing.assert_allclose(model(fnet.load_weights(data, model, params), x), keras_model(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [layers.DepthwiseConv2D, layers.SeparableConv2D])
def test_kernels_from_theano_that_keras_forgets_are_refused(layer, tmp_path):
    options = {} if layer is layers.DepthwiseConv2D else {"filters": 3}
    keras_model, data = theano_file(tmp_path, [layers.Input((6, 6, 2)), layer(kernel_size=2, name="conv", **options)])
    with pytest.raises(UnsupportedLayer, match=r"'conv'.* Theano.*reverse the spatial axes"):
        fnet.load_weights(data, *from_keras(keras_model))
    keras_model, data = theano_file(tmp_path, [layers.Input((6, 6, 2)), layer(kernel_size=1, name="conv", **options)])
    fnet.load_weights(data, *from_keras(keras_model))


OLD_NAMES = {
    "BatchNormalizationV1": ("batch_normalization", "gamma", "beta", "moving_mean", "moving_variance"),
    "BatchNormalizationV2": ("batch_normalization", "gamma", "beta", "moving_mean", "moving_variance"),
    "SyncBatchNormalization": ("batch_normalization", "gamma", "beta", "moving_mean", "moving_variance"),
    "LayerNormalizationV2": ("layer_normalization", "gamma", "beta"),
}


@pytest.mark.parametrize("old", OLD_NAMES)
def test_layers_by_the_names_that_keras_2_gave_them(old):
    function, *names = OLD_NAMES[old]
    config = {"name": "n", "trainable": True, "batch_input_shape": [None, 3], "dtype": "float32", "axis": [-1]}
    config["axis"] = [1] if function == "layer_normalization" else -1
    layers = [{"class_name": old, "config": {**config, "epsilon": 0.1}}]
    values = np.float32([[2, 3, 4], [0, 1, -1], [5, 6, 7], [0.3, 1, 2]])[: len(names)]
    arrays = [(f"n/{name}:0", value) for name, value in zip(names, values, strict=True)]
    whole = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    model, params = load_keras(hostile.legacy(whole, [("n", *arrays)]))
    x = np.float32([[1, 2, 4]])
    y = fnet.bind(getattr(fnet, function), epsilon=0.1)(dict(zip(names, values, strict=True)), x)
    np.testing.assert_array_equal(model(params, x), y)


def test_a_model_of_keras_2_is_a_graph_under_the_name_model():
    layers = [
        {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
         "config": {"name": "x", "batch_input_shape": [None, 3], "dtype": "float32", "sparse": False}},
        {"class_name": "Dense", "name": "dense", "inbound_nodes": [[["x", 0, 0, {}]]],
         "config": {"name": "dense", "units": 2, "activation": "linear", "use_bias": True, "dtype": "float32"}},
    ]  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["dense", 0, 0]]}
    model, params = load_keras(hostile.legacy({"class_name": "Model", "config": config}))
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(model(params, x), x @ hostile.KERNEL + hostile.BIAS)


SEQUENCE = np.random.default_rng(1).standard_normal((2, 5, 3)).astype("float32")


def gates(units, biases, count=3):
    """Arrays of a GRU, or LSTM, of numbers that are all different."""
    rng = np.random.default_rng(2)
    sizes = {"kernel": (3, count * units), "recurrent_kernel": (units, count * units), "bias": biases}
    return {name: rng.standard_normal(size).astype("float32") for name, size in sizes.items()}


GRU = {"units": 2, "recurrent_activation": "sigmoid"}
OLD_OPTIONS = {
    "theta": ("ThresholdedReLU", {"theta": 0.5}, {}, X, np.where(X > 0.5, X, 0)),
    "theta as it was unless said": ("ThresholdedReLU", {}, {}, 2 * X, np.where(2 * X > 1, 2 * X, 0)),
    "alpha": ("LeakyReLU", {"alpha": 0.25}, {}, X, np.where(X > 0, X, X / 4)),
    "a GRU that resets before, as it was unless said": (
        "GRU", GRU, (arrays := gates(2, (6,))), SEQUENCE, fnet.gru(arrays, SEQUENCE, units=2, reset_after=False)),
    "a GRU of TensorFlow 2": (
        "GRUV2", GRU | {"reset_after": True}, (both := gates(2, (2, 6))), SEQUENCE, fnet.gru(both, SEQUENCE, units=2)),
    "an LSTM of TensorFlow 2": (
        "LSTMV2", GRU, (four := gates(2, (8,), 4)), SEQUENCE, fnet.lstm(four, SEQUENCE, units=2)),
    "time first": (
        "LSTM", GRU | {"time_major": True, "return_sequences": True}, four, SEQUENCE,
        fnet.lstm(four, SEQUENCE, units=2, time_major=True, return_sequences=True)),
    "a cell that resets before, as it was unless said": (
        "RNN", {"cell": {"class_name": "GRUCell", "config": {"name": "c", "trainable": True, **GRU}}},
        arrays, SEQUENCE, fnet.gru(arrays, SEQUENCE, units=2, reset_after=False)),
    "one axis in a list": (
        "BatchNormalization", {"axis": [1], "epsilon": 0.0, "fused": True, "renorm": False},
        (statistics := {
         "gamma": np.float32([1, 2, 3]), "beta": np.float32([0, 1, 2]), "moving_mean": np.float32([1, 0, 1]),
         "moving_variance": np.float32([4, 1, 16])}),
        X, (normalized := (X - [1, 0, 1]) / [2, 1, 4] * [1, 2, 3] + [0, 1, 2])),
    "renormalization": (
        "BatchNormalization", {"axis": [1], "epsilon": 0.0, "renorm": True}, statistics | {
            "moving_stddev": np.float32([2, 2, 2]), "renorm_mean": np.float32([3, 3, 3]),
            "renorm_stddev": np.float32([4, 4, 4])}, X, normalized),
    "virtual batches, which counted an axis more": (
        "BatchNormalization", {"axis": [2], "epsilon": 0.0, "virtual_batch_size": 2},
        {name: array.reshape(1, 1, 3) for name, array in statistics.items()}, X, normalized),
    "boundaries from the data that a file sums up": (
        "Discretization", {"bin_boundaries": None, "num_bins": 2, "dtype": "int64"},
        {"summary": np.float32([[0, 1, 2, 3], [1, 1, 1, 1]])}, 3 * X, np.where(3 * X < 1, 0, 1)),
    **{f"a rate {rate!r}": ("Dropout", {"rate": rate}, {}, X, X) for rate in (None, "0.5", ".5")},
    "noise of nothing": ("GaussianNoise", {"stddev": None}, {}, X, X),
    "a form of noise that is not read": ("SpatialDropout1D", {"rate": 0.5, "noise_shape": 3}, {}, SEQUENCE, SEQUENCE),
    "an interpolation in capitals": (
        "Resizing", {"height": 1, "width": 3, "interpolation": "NEAREST"}, {}, SEQUENCE[..., None],
        SEQUENCE[:, 2:3, :, None]),
    "a flag for one group": (
        "DepthwiseConv1D", {"kernel_size": 1, "groups": True, "use_bias": False},
        {"depthwise_kernel": np.float32([[[1], [2], [3]]])}, SEQUENCE, SEQUENCE * [1, 2, 3]),
    "softmax over all": ("Softmax", {"axis": None}, {}, X, np.exp(X) / np.exp(X).sum()),
    "more batch axes than one": (
        "Conv1D", {"filters": 2, "kernel_size": 2}, (conv := {
            "kernel": np.arange(12, dtype="float32").reshape(2, 3, 2), "bias": np.float32([1, 2])}),
        (FURTHER := np.stack([SEQUENCE, 2 * SEQUENCE], 1)),
        np.stack([fnet.conv1d(conv, x, filters=2, kernel_size=2) for x in (SEQUENCE, 2 * SEQUENCE)], 1)),
}  # fmt: skip


STATES = [[[0.0, 1.0]] * 2, [[2.0, 3.0]] * 2]


@pytest.mark.parametrize("wired", [0, 1, 2])
def test_states_in_a_call_of_keras_2_are_the_tensors_after_the_sequence_or_numbers(wired):
    """It wrote numbers without marking where one ends and the next begins. wired: how many states are inputs."""
    states = [*np.float32(STATES)][: wired or 2]
    feed = [SEQUENCE, *states[:wired]]
    read = [[f"x{n}", 0, 0, {}] for n in range(len(feed))]
    layers = [
        {"class_name": "InputLayer", "name": f"x{n}", "inbound_nodes": [],
         "config": {"batch_input_shape": [None, *x.shape[1:]], "dtype": "float32", "name": f"x{n}"}}
        for n, x in enumerate(feed)
    ]  # fmt: skip
    layers.append({
        "class_name": "SimpleRNN" if wired == 1 else "LSTM", "name": "n",
        "config": {"name": "n", "units": 2, "trainable": True},
        "inbound_nodes": [read if wired else [["x0", 0, 0, {"initial_state": STATES}]]],
    })  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [r[:3] for r in read], "output_layers": [["n", 0, 0]]}
    arrays = [
        (f"n/{name}:0", array) for name, array in gates(2, (2 if wired == 1 else 8,), 1 if wired == 1 else 4).items()
    ]
    model, params = load_keras(hostile.legacy({"class_name": "Functional", "config": config}, [("n", *arrays)]))
    given = {"sequences": SEQUENCE, "initial_state": tuple(states)}
    layer = fnet.simple_rnn if wired == 1 else fnet.lstm
    y = layer(params["n"], given, units=2)
    np.testing.assert_array_equal(model(params, feed if wired else SEQUENCE), y)
    assert np.abs(y - layer(params["n"], SEQUENCE, units=2)).max() > 1e-3


def test_means_that_keras_2_weighs_by_a_mask_are_refused():
    layers = [
        {"class_name": "InputLayer", "name": name, "inbound_nodes": [],
         "config": {"batch_input_shape": [None, *shape], "dtype": dtype, "name": name}}
        for name, shape, dtype in (("x", (5, 4), "float32"), ("m", (5,), "bool"))
    ]  # fmt: skip
    layers.append({
        "class_name": "GroupNormalization", "name": "n", "config": {"name": "n", "trainable": True, "groups": 2},
        "inbound_nodes": [[["x", 0, 0, {"mask": ["m", 0, 0]}]]],
    })  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0], ["m", 0, 0]]}
    config["output_layers"] = [["n", 0, 0]]
    arrays = [("n/gamma:0", np.ones(4, "f4")), ("n/beta:0", np.zeros(4, "f4"))]
    data = hostile.legacy({"class_name": "Functional", "config": config}, [("n", *arrays)])
    with pytest.raises(fnet.ModelFileError, match="'n' was called with a mask, by which Keras 2 weighs its means"):
        load_keras(data)


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_causal_attention_of_keras_2_was_an_option(name):
    for causal in (True, False):
        config = modern({"class_name": name, "config": {"name": "a", "trainable": True, "causal": causal}})["config"]
        assert config.get("use_causal_mask", False) is causal


@pytest.mark.parametrize("name", OLD_OPTIONS)
def test_options_that_keras_2_had_mean_what_they_meant(name):
    class_name, options, arrays, x, expected = OLD_OPTIONS[name]
    model, params = hostile.of_keras_2(class_name, options, list(arrays.items()), x.shape[1:])
    parity.assert_close(model(params, x), np.asarray(expected))


@pytest.mark.parametrize("rate", ["half", "-0.5", "1e-1", []])
def test_a_rate_that_says_no_number_is_refused(rate):
    with pytest.raises(fnet.ModelFileError, match="Dropout 'n' has the option 'rate'"):
        hostile.of_keras_2("Dropout", {"rate": rate})


def test_convolutions_of_keras_2_in_wrappers_and_in_graphs_take_more_batch_axes():
    _, options, arrays, x, expected = OLD_OPTIONS["more batch axes than one"]
    inner = {"class_name": "Conv1D", "config": {"name": "n", "trainable": True, **options}}
    model, params = hostile.of_keras_2("TimeDistributed", {"layer": inner}, list(arrays.items()), (3, *x.shape[1:]))
    y = model(params, np.stack([x] * 3, 1))
    parity.assert_close(y, np.stack([expected] * 3, 1))
    layers = [
        {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
         "config": {"batch_input_shape": [None, *x.shape[1:]], "dtype": "float32", "name": "x"}},
        {**inner, "name": "n", "inbound_nodes": [[["x", 0, 0, {}]]]},
    ]  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["n", 0, 0]]}
    stored = [("n", *((f"n/{name}:0", array) for name, array in arrays.items()))]
    model, params = load_keras(hostile.legacy({"class_name": "Functional", "config": config}, stored))
    parity.assert_close(model(params, x), expected)


IGNORED_OPTIONS = (
    *("input_length", "query_shape", "key_shape", "value_shape", "input_dtype", "renorm_clipping", "renorm_momentum"),
    "experimental_autocast",
)


@pytest.mark.parametrize("key", IGNORED_OPTIONS)
def test_keys_of_keras_2_that_change_nothing_may_say_anything(key):
    model, params = hostile.of_keras_2("ReLU", {key: "anything"})
    np.testing.assert_array_equal(model(params, X), np.maximum(X, 0))


DROPPED_OPTIONS = {
    **dict.fromkeys(("time_major", "dynamic", "renorm", "ragged", "sparse", "causal", "unit_norm"), (False,)),
    "softmax_robust_masking": (False,),
    "fused": (True, False),
}


@pytest.mark.parametrize("key", DROPPED_OPTIONS)
def test_an_option_that_keras_3_dropped_is_its_neutral_value_or_refused_by_name(key):
    for value in DROPPED_OPTIONS[key]:
        model, params = hostile.of_keras_2("ReLU", {key: value})
        np.testing.assert_array_equal(model(params, X), np.maximum(X, 0))
    with pytest.raises(UnsupportedLayer, match=f"ReLU 'n' has the option '{key}' = 'other'"):
        hostile.of_keras_2("ReLU", {key: "other"})


UNKNOWN = "SequenceFeatures DenseFeatures LSTMV1 GRUV1 CategoryCrossing Highway MaxoutDense DeviceWrapper"


@pytest.mark.parametrize("name", UNKNOWN.split())
def test_a_layer_that_keras_3_has_not_is_refused_by_name(name):
    with pytest.raises(UnsupportedLayer, match=f"{name} 'n'"):
        hostile.of_keras_2(name, {"units": 2})


OWN = dict.fromkeys(("Highway", "DenseFeatures"), "a layer of Keras that fnet does not have")


@pytest.mark.parametrize("name", ["MyLayer", "QDense", "HConv2D", "my_package>Scale", *OWN])
def test_only_what_was_in_keras_2_is_called_a_layer_of_keras(name):
    """Legacy files have no modules: what is not known is of a package, or of the user."""
    kind = OWN.get(name, "a custom layer")
    with pytest.raises(
        UnsupportedLayer, match=rf"'n' is {kind}.*: give its pure function, .*custom={{'{name}': my_layer"
    ):
        hostile.of_keras_2(name, {"units": 2})


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_groups_of_a_transposed_convolution_are_refused(rank):
    with pytest.raises(UnsupportedLayer, match=f"Conv{rank}DTranspose 'n' with groups=2"):
        hostile.of_keras_2(
            f"Conv{rank}DTranspose", {"filters": 2, "kernel_size": 2, "groups": 2}, (), (6,) * rank + (4,)
        )


@pytest.mark.parametrize("value", [None, {"class_name": "function", "config": "linear", "registered_name": "linear"}])
def test_an_activation_may_be_nothing(value):
    model, params = load_keras(hostile.legacy(hostile.legacy_config(activation=value)))
    np.testing.assert_array_equal(model(params, X), X @ hostile.KERNEL + hostile.BIAS)


@pytest.mark.parametrize("value", [{}, {"a": 1}, 3, "threshold", "hard_sigmoid_keras2"])
def test_what_is_no_activation_is_refused_by_name(value):
    with pytest.raises(UnsupportedLayer, match="Dense 'dense' has"):
        load_keras(hostile.legacy(hostile.legacy_config(activation=value)))
