"""Dtype policies of 16 bits: what they round, and what Keras keeps from rounding (`autocast=False`)."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from fnet import tree
from params import UnsupportedLayer, from_keras, load_keras
from tests import parity

POLICIES = ("mixed_float16", "mixed_bfloat16")


def under(policy, make, shape, dtype=None):
    keras.config.set_dtype_policy(policy)
    try:
        x = keras.Input(shape, dtype=dtype)
        return keras.Model(x, make()(x))
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", parity.MODES[1:3])
def test_ids_fed_as_floats_stay_what_they_are(policy, mode):
    """2049 is no float16, 257 no bfloat16."""
    keras_model = under(policy, lambda: layers.Embedding(3000, 2), (3,))
    table = np.random.default_rng(0).standard_normal((3000, 2))
    keras_model.set_weights([table])
    ids = np.array([[2049, 2051.9, 257]], "float32")
    model, params = from_keras(keras_model)
    with parity.mode(mode) as run:
        y = np.asarray(run(model, params, ids)).astype("float64")
    np.testing.assert_array_equal(y, np.asarray(keras_model(ids)).astype("float64"))
    parity.assert_close(y[0, 1], table[2051], policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", parity.MODES[1:3])
def test_moving_statistics_are_not_rounded(policy, mode):
    """1000.3 would become 1000.5 or 1000, and the result as wrong."""
    keras_model = under(policy, layers.BatchNormalization, (2,))
    statistics = {"moving_mean": [1000.3, 1000.3], "moving_variance": [1.0, 3.0], "gamma": [1, 2], "beta": [0, 1]}
    keras_model.layers[1].set_weights([np.array(statistics[weight.name]) for weight in keras_model.layers[1].weights])
    x = np.array([[1000, 992], [1008, 1016]], "float32")
    model, params = from_keras(keras_model)
    with parity.mode(mode) as run:
        y = np.asarray(run(model, params, x)).astype("float32")
    expected = np.asarray(keras_model(x)).astype("float32")
    parity.assert_close(y, expected, policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("make", [layers.LayerNormalization, lambda: layers.GroupNormalization(2)])
def test_normalization_takes_floats_as_they_come(policy, make):
    """Differences that 16 bits cannot hold: Keras rounds only the result."""
    keras_model = under(policy, make, (4,))
    x = np.array([[1000.1, 1000.2, 1000.3, 1000.5]], "float32")
    model, params = from_keras(keras_model)
    expected = np.asarray(keras_model(x)).astype("float32")
    assert np.ptp(expected) > 1
    parity.assert_close(model(params, x), expected, policy)


@pytest.mark.parametrize(("policy", "wanted"), [("mixed_float16", "float32"), ("float32", "float16")])
def test_a_reversed_embedding_gives_its_own_dtype(policy, wanted):
    table = layers.ReversibleEmbedding(7, 4, reverse_dtype=wanted, dtype=policy)
    x = keras.Input((3,), dtype="int32")
    keras_model = keras.Model(x, table(table(x), reverse=True))
    ids = np.array([[1, 2, 6]], "int32")
    model, params = from_keras(keras_model)
    y, expected = model(params, ids), keras_model(ids).numpy()
    assert y.dtype == expected.dtype == wanted
    parity.assert_close(y, expected, wanted)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's save
@pytest.mark.parametrize(("policy", "given"), [("float32", "float64"), ("mixed_float16", "float32")])
def test_a_reversed_embedding_does_not_round_its_inputs(policy, given, tmp_path):
    keras_model = under(
        policy, lambda: functools.partial(layers.ReversibleEmbedding(7, 4), reverse=True), (3, 4), given
    )
    keras_model.save(tmp_path / "model.keras")
    keras_model = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(given)
    model, params = load_keras(tmp_path / "model.keras")
    y, expected = model(params, x), keras_model(keras.ops.convert_to_tensor(x)).numpy()
    assert y.dtype == expected.dtype == given
    parity.assert_close(y, expected)


@pytest.mark.parametrize("policy", [*POLICIES, "float64"])
def test_the_weights_of_tf_idf_stay_float32(policy):
    options = {"vocabulary": ["a", "b", "c"], "idf_weights": [0.3, 1.7, 2.1001], "output_mode": "tf_idf"}
    keras_model = under(policy, lambda: layers.TextVectorization(**options), (), "string")
    texts = np.array(["a b b zz", "c c c a"])
    model, params = from_keras(keras_model)
    y, expected = model(params, texts), np.asarray(keras_model(keras.ops.convert_to_tensor(texts)))
    assert y.dtype == expected.dtype == "float32"
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_bins_are_of_floats_as_they_come(policy):
    """-0.52817178 would be rounded to below the boundary."""
    edge = np.float32([[-0.52817178, 0.0]])
    keras_model = under(policy, lambda: layers.Discretization([-0.52817178], output_mode="int", dtype=policy), (2,))
    model, params = from_keras(keras_model)
    np.testing.assert_array_equal(model(params, edge), np.asarray(keras_model(edge)))


def test_legacy_files_of_keras_3_keep_the_policy_of_batch_normalization(tmp_path):
    keras_model = under("float16", layers.BatchNormalization, (3,))
    keras_model.save(tmp_path / "m.h5")
    model, params = load_keras(tmp_path / "m.h5")
    assert {leaf.dtype.name for leaf in tree.leaves(params)} == {"float16"}
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("float16")
    np.testing.assert_allclose(model(params, x), np.asarray(keras_model(x)), atol=2e-3)


def test_a_wrapper_under_another_policy_than_the_layer_in_it_is_refused(tmp_path):
    wrapper = keras.layers.TimeDistributed(keras.layers.Dense(2), dtype="float64")
    keras.Sequential([keras.Input((3, 4)), wrapper]).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match="has the dtype policy float64, the layer in it, Dense"):
        load_keras(tmp_path / "m.keras")
