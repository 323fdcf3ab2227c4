"""What the values in a config mean: what Python made of them in the Keras that wrote the file; and what is not read."""

import io

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import fnet
from params import UnsupportedLayer, WeightsMismatch, from_keras, load_keras
from tests import hostile

X = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")


@pytest.mark.parametrize("whole", [hostile.keras_zip, hostile.legacy], ids=["keras", "h5"])
def test_numbers_for_what_python_takes_them(whole):
    """Files of real programs say `"use_bias": 1`."""

    def given(**options):
        config = hostile.dense_config if whole is hostile.keras_zip else hostile.legacy_config
        return load_keras(whole(config(**options)))

    model, params = given(use_bias=1, units=2.0)
    np.testing.assert_array_equal(model(params, X), X @ hostile.KERNEL + hostile.BIAS)
    with pytest.raises(WeightsMismatch):  # the bias is there, but nobody wants it
        given(use_bias=0)
    with pytest.raises(fnet.ModelFileError):
        given(use_bias="yes")


@pytest.mark.parametrize(
    "zero", [np.zeros(1, "float32"), np.float32(0), tf.constant(0.0), tf.constant([0.0])], ids=repr
)
def test_options_that_are_arrays(zero):
    x = keras.Input((4, 3))
    y = layers.LSTM(2)(layers.Masking(zero)(x))
    keras_model = keras.Model(x, layers.Rescaling(zero + 2, zero)(layers.LeakyReLU(np.float32(0.25))(y)))
    values = X[None].repeat(2, 0) * np.array([1, 1, 0, 0], "float32")[:, None]
    model, params = from_keras(keras_model)
    np.testing.assert_allclose(model(params, values), keras_model(values), atol=1e-6)


FOREIGN = {"module": "my_package", "class_name": "Mine", "config": {"x": 1}, "registered_name": "my_package>Mine"}


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
    """A legacy file as Keras on Theano would have written it."""
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


@pytest.mark.parametrize(
    "step", [layers.Conv3D(2, (2, 3, 1), name="conv"), layers.ConvLSTM2D(2, (2, 3), name="conv")], ids=lambda s: type(s)
)
def test_kernels_over_time_and_space_from_theano_are_turned(step, tmp_path):
    keras_model, data = theano_file(tmp_path, [layers.Input((3, 4, 5, 2)), step], "conv")
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
