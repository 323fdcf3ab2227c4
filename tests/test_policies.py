"""Dtype policies of 16 bits: what they round, and what Keras keeps from rounding (`autocast=False`)."""

import functools
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import fnet
from fnet import tree
from params import UnsupportedLayer, from_keras, load_keras
from params.convert.models import convert
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
@pytest.mark.parametrize(
    ("policy", "given", "mode"),
    [
        ("float32", "float64", None),
        ("mixed_float16", "float32", None),
        ("float32", "float64", "int8"),
        ("mixed_float16", "float32", "int4"),
    ],
)
def test_a_reversed_embedding_does_not_round_its_inputs(policy, given, mode, tmp_path):
    def reversed_table():
        table = layers.ReversibleEmbedding(7, 4)
        table.build()
        if mode is not None:
            table.quantize(mode)
        return functools.partial(table, reverse=True)

    keras_model = under(policy, reversed_table, (3, 4), given)
    keras_model.save(tmp_path / "model.keras")
    keras_model = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(given)
    model, params = load_keras(tmp_path / "model.keras")
    y, expected = model(params, x), keras_model(keras.ops.convert_to_tensor(x)).numpy()
    assert y.dtype == expected.dtype == given
    parity.assert_close(y, expected, policy if mode else "float32")


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
    np.testing.assert_array_equal(fnet.predict(model, params, edge), keras_model.predict(edge, verbose=0))
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


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_counts_have_the_dtype_of_variables(policy, mode, tmp_path):
    """What Keras declares under a mixed policy is another one."""
    made = under(policy, lambda: layers.CategoryEncoding(5, output_mode=mode), (3,), "int32")
    ids = np.array([[1, 2, 2]], "int32")
    made.save(tmp_path / "m.keras")
    for model, params in (from_keras(made), load_keras(tmp_path / "m.keras")):
        expected = np.asarray(made(ids))
        y = np.asarray(model(params, ids))
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", parity.MODES[1:3])
def test_cells_of_16_bits_begin_with_zeros_of_their_own(policy, mode):
    def make():
        return layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)], return_sequences=True)

    keras_model = under(policy, make, (4, 3))

    def exact():
        wide = under("float64", make, (4, 3))
        wide.set_weights(keras_model.get_weights())
        return np.asarray(wide(x))

    model, params = from_keras(keras_model)
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    expected = np.asarray(keras_model(x)).astype("float16" if policy == "mixed_float16" else "float32")
    with parity.mode(mode) as run:
        parity.assert_parity(np.asarray(run(model, params, x)), expected, exact, policy)


@pytest.mark.parametrize("cell", ["lstm", "simple_rnn"])
def test_states_of_bfloat16_can_be_carried(cell):
    layer = fnet.bind(getattr(fnet, cell), units=3, dtype="mixed_bfloat16", return_sequences=True)
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    params = fnet.init(layer, 0, x.shape)
    step, state = fnet.streaming(layer), fnet.initial_state(layer, (2, 2, 3))
    first, state = step(params, x[:, :2], state)
    rest, _ = step(params, x[:, 2:], state)
    parity.assert_close(np.concatenate([first, rest], axis=1), layer(params, x), "bfloat16")


@pytest.mark.parametrize("cell", ["simple_rnn_cell", "lstm_cell", "gru_cell"])
def test_a_cell_computes_under_its_own_policy(cell):
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    wide, narrow = (
        fnet.bind(fnet.rnn, cell=fnet.bind(getattr(fnet, cell), units=3, dtype=d)) for d in (None, "float16")
    )
    params = fnet.init(wide, 0, x.shape)
    y = narrow(params, x)
    np.testing.assert_array_equal(y, y.astype("float16"))
    parity.assert_close(y, wide(params, x), "float16")


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "float64"])
@pytest.mark.parametrize("given", ["float64", "float32", "uint8"])
def test_a_random_crop_at_rest_casts_images_in_predict(policy, given):
    made = under(policy, lambda: layers.RandomCrop(3, 3), (4, 4, 3), given)
    images = (np.arange(96).reshape(2, 4, 4, 3) * (1 + 2**-20)).astype(given)
    model, params = from_keras(made)
    called, expected = (run(images, training=False).numpy() for run in (made, tf.function(made)))
    for y, of_keras in ((fnet.predict(model, params, images), expected), (model(params, images), called)):
        assert y.dtype == of_keras.dtype
        np.testing.assert_array_equal(y, of_keras)


@pytest.mark.parametrize("mode", parity.MODES[1:3])
def test_inputs_of_bfloat16_are_rounded(mode):
    """Keras gives that dtype to the inputs of a model inside TimeDistributed."""
    x = keras.Input((3,), dtype="bfloat16")
    made = keras.Model(x, layers.Dense(2, dtype="float32", kernel_initializer="ones")(x))
    values = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")
    model, params = from_keras(made)
    expected = np.asarray(made(keras.ops.cast(values, "bfloat16")))
    assert np.ptp(expected - np.asarray(made.layers[1](values))) > 1e-4
    with parity.mode(mode) as run:
        parity.assert_close(np.asarray(run(model, params, values)), expected)


@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_float16", "bfloat16", "int8_from_mixed_bfloat16"])
def test_the_shape_that_a_sequential_was_built_for_is_of_floats_of_its_first_layer(policy):
    model = keras.Sequential([keras.layers.Dense(2, dtype=policy)])
    model.build((None, 3))
    config = json.loads(model.to_json())
    config["config"]["layers"] = [x for x in config["config"]["layers"] if x["class_name"] != "InputLayer"]
    (takes,) = keras.models.model_from_json(json.dumps(config)).inputs
    assert fnet.explain(json.dumps(config).encode()).inputs == f"{takes.dtype}[None, 3]"


@pytest.mark.parametrize("policy", [*POLICIES, "bfloat16"])
@pytest.mark.parametrize("mode", parity.MODES[1:3])
def test_layers_of_a_model_in_a_wrapper_round_by_their_own_policies(policy, mode):
    """Neither moving statistics nor a kernel of float32 is rounded by the wrapper around their model."""

    def make():
        wide = layers.Dense(2, dtype="float32")
        return layers.TimeDistributed(keras.Sequential([keras.Input((3,)), layers.BatchNormalization(dtype=own), wide]))

    own = policy if policy in POLICIES else "float32"
    made = under(policy, make, (2, 3))
    norm, dense = made.layers[1].layer.layers
    norm.set_weights([np.ones(3), np.zeros(3), np.array([1000.3, 1000.3, 1000.3]), np.ones(3)])
    dense.set_weights([np.full((3, 2), 1 + 2**-12) * [[1, 1000], [1, -1], [1, 3]], np.zeros(2)])
    x = np.array([[[1000, 1008, 992], [1016, 1000, 1000]]], "float32")
    model, params = from_keras(made)
    with parity.mode(mode) as run:
        y = np.asarray(run(model, params, x))
    expected = np.asarray(made(x))
    assert y.dtype == expected.dtype == "float32"
    parity.assert_close(y, expected)


@pytest.mark.parametrize(
    ("own", "before", "after", "inside"),
    [
        ("mixed_float16", "mixed_float16", "float32", "mixed_float16"),
        ("float32", "float32", "float32", None),
        ("float32", "mixed_float16", "mixed_float16", "mixed_float16"),
        ("float64", "float32", "float32", "float32"),
        ("mixed_float16", "float32", "float32", "refused"),
        ("float32", "mixed_float16", "float32", "refused"),
    ],
)
def test_heads_before_keras_2_14_have_the_policy_of_the_other_layers(own, before, after, inside):
    x = keras.Input((4, 6))
    h = layers.Dense(6, dtype=before)(x)
    y = layers.Dense(2, dtype=after)(layers.MultiHeadAttention(2, 3, dtype=own, name="heads")(h, h))
    config, again = (json.loads(keras.Model(x, y).to_json()) for _ in range(2))
    if inside == "refused":
        with pytest.raises(UnsupportedLayer, match="the global one, which files"):
            convert(config, version=(2, 13))
    else:
        assert convert(config, version=(2, 13)).step["heads"].dtype == inside
    kept = convert(again, version=(2, 14)).step["heads"].dtype
    assert kept == (None if inside is None else own)


def test_layers_of_the_caller_are_among_the_others_that_tell_the_policy_of_heads():
    class Own(layers.Layer):
        def call(self, x):
            return x

    x = keras.Input((4, 6))
    h = Own(dtype="mixed_float16")(x)
    config = json.loads(keras.Model(x, layers.MultiHeadAttention(2, 3, dtype="mixed_float16")(h, h)).to_json())
    own = fnet.layer(shape=lambda x: (x, {}))(lambda params, x: x)
    convert(config, version=(2, 13), custom={"Own": own})


@pytest.mark.parametrize(
    ("own", "inside"), [("float64", "mixed_float16"), ("float16", "float32"), ("float32", "float64")]
)
def test_what_a_stack_of_cells_gives_has_the_policy_of_the_layer_around_it(own, inside):
    keras.utils.set_random_seed(1)  # of some weights Keras itself rounds further than the tolerance
    x = keras.Input((4, 3))
    cells = [layers.LSTMCell(2, dtype=inside), layers.GRUCell(3, dtype=inside)]
    made = keras.Model(x, layers.RNN(cells, return_sequences=True, dtype=own)(x))
    values = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    model, params = from_keras(made)
    y, expected = np.asarray(model(params, values)), np.asarray(made(values))
    assert y.dtype == expected.dtype
    parity.assert_close(y, expected, "float16")


def test_time_distributed_of_keras_2_leaves_a_layer_its_policy():
    """It calls the layer, which Keras 3 does not."""
    x = keras.Input((2, 3))
    made = keras.Model(x, layers.TimeDistributed(layers.Dense(2, dtype="float32"), dtype="float16")(x))
    config = json.loads(made.to_json())
    step = convert(config, version=(2, 15)).step
    values = np.random.default_rng(0).standard_normal((4, 2, 3)).astype("float32")
    params = fnet.init(step, 0, values.shape)
    y = np.asarray(step(params, values))
    (entry,) = params.values()
    rounded = values.astype("float16").astype("float32")
    np.testing.assert_array_equal(y, fnet.dense(entry["layer"], rounded))
    assert y.dtype == "float32"
    with pytest.raises(UnsupportedLayer, match="dtype policy float16, the layer in it"):
        from_keras(made)


def test_layers_cast_the_average_of_integers_to_their_own_dtype():
    x = keras.Input((3,), dtype="int32")
    mean = layers.Average()([x, x])
    readers = layers.ReLU(negative_slope=0.2), layers.LeakyReLU(), layers.Flatten()
    keras_model = keras.Model(x, [mean, keras.ops.multiply(mean, 2), *(layer(mean) for layer in readers)])
    model, params = from_keras(keras_model)
    ids = np.array([[1, -2, 4]], "int32")
    for ours, theirs in zip(model(params, ids), keras_model(ids), strict=True):
        assert ours.dtype == theirs.numpy().dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_a_policy_rounds_floats_that_come_in_and_not_what_is_made_of_integers(policy):
    """The mean of the integers is beyond float16."""
    x = keras.Input((4, 6), dtype="int32")
    slopes = layers.LeakyReLU(dtype=policy), layers.ReLU(negative_slope=0.3, dtype=policy)
    outputs = [layer(x) for layer in (*slopes, layers.Activation("leaky_relu", dtype=policy))]
    outputs += [layers.Average(dtype=policy)([x, x]), layers.GlobalAveragePooling1D(dtype=policy)(x)]
    outputs.append(layers.GlobalAveragePooling2D(dtype=policy)(layers.Reshape((4, 3, 2))(x)))
    outputs.append(layers.GlobalAveragePooling3D(dtype=policy)(layers.Reshape((4, 1, 3, 2))(x)))
    pair = [x, x[:, :, ::-1]]
    outputs += [layers.AdditiveAttention(use_scale=scaled, dtype=policy)(pair) for scaled in (True, False)]
    outputs.append(layers.Attention(score_mode="concat", dtype=policy)(pair))
    keras_model = keras.Model(x, outputs)
    model, params = from_keras(keras_model)
    ids = np.random.default_rng(0).integers(-3, 200_000, (2, 4, 6)).astype("int32")
    for ours, theirs in zip(model(params, ids), keras_model(ids), strict=True):
        assert ours.dtype == theirs.numpy().dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    declared = fnet.infer(model, fnet.Spec((None, 4, 6), "int32"))[0]
    assert [spec.dtype for spec in declared] == [y.dtype for y in model(params, ids)]


MAP = {"dense_a": "mixed_bfloat16", "dense_b": "mixed_float16"}


def mapped(default, policies, *made):
    policies = {key: keras.DTypePolicy(name) for key, name in policies.items()}
    policies = keras.dtype_policies.DTypePolicyMap(default, policies)
    x = y = keras.Input((3, 4))
    for make, name in made:
        y = make(dtype=policies, name=name)(y)
    return keras.Model(x, y)


def dense_layer(**kwargs):
    return layers.Dense(3, **kwargs)


def attention_layer(*, name, dtype):
    heads = layers.MultiHeadAttention(1, 2, name=name, dtype=dtype)
    return lambda x: heads(x, x)


@pytest.mark.parametrize("default", ["float32", None])
def test_a_map_of_policies_gives_each_layer_its_own(default, tmp_path):
    """Without a default Keras writes no names of policies, and computes in float32 itself when it reads the file."""
    made = [(dense_layer, "dense_a"), (dense_layer, "dense_b"), (dense_layer, "c")]
    mapped(default, MAP, *made).save(tmp_path / "m.keras")
    model, params = load_keras(tmp_path / "m.keras")
    policies = re.findall(r"dtype='(mixed\w+)'", repr(model))
    assert policies == (["mixed_bfloat16", "mixed_float16"] if default else [])
    x = np.random.default_rng(0).standard_normal((2, 3, 4), "float32")
    expected = np.asarray(keras.models.load_model(tmp_path / "m.keras")(x))
    parity.assert_close(model(params, x), expected, "mixed_bfloat16" if default else "float32")  # of the coarsest


@pytest.mark.parametrize(
    ("policies", "made", "message"),
    [
        ({"^d": "float16"}, (dense_layer, "dense"), "the key '\\^d', by which versions of Keras"),
        ({"b": "float16"}, (dense_layer, "dense_b"), "the key 'b', by which versions of Keras mean other layers"),
        ({"heads": "float16"}, (attention_layer, "heads"), "which the layers inside it read by other names"),
        ({"query": "float16"}, (attention_layer, "heads"), "'heads' has a DTypePolicyMap, which the layers inside"),
    ],
)
def test_a_map_of_policies_that_cannot_be_read_is_refused(policies, made, message, tmp_path):
    mapped("float32", policies, made).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match=message):
        load_keras(tmp_path / "m.keras")
