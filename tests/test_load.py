"""Models saved by Keras and loaded without it: graphs, sharing, masks, calls, policies, legacy files, refusals."""

import contextlib
import json
import re
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import chex
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import fnet
from fnet import tree
from params import CorruptFile, UnsupportedLayer, WeightsMismatch, from_keras, load_keras, load_weights
from params.table.catalogue import catalogue
from params.table.layers import FAMILIES, FOREIGN
from tests import hostile, parity
from tests.golden.archives import FOLDER, read
from tests.parity import fill

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras's save
    "ignore:.*mask attached to it:UserWarning",
    "ignore:When providing `inputs` as a dict:UserWarning",
)
GOLDEN = FOLDER / "keras-2.15.0.zip"
X = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
S = np.random.default_rng(1).standard_normal((3, 6, 4)).astype("float32")
IDS = np.random.default_rng(2).integers(0, 5, (3, 6)).astype("int32")
MASK = np.random.default_rng(3).random((3, 6)) > 0.4
IMAGES = np.random.default_rng(4).random((2, 8, 8, 3)).astype("float32")


def vector(name=None, **options):
    return keras.Input((4,), name=name, **options)


def sequence():
    return keras.Input((6, 4))


def nested_called_twice():
    i = vector()
    sub = keras.Model(i, layers.Dense(4, activation="tanh")(i))
    x = vector()
    return keras.Model(x, sub(sub(x))), X


def nested_second_call_only_in_the_outputs():
    i = vector()
    sub = keras.Model(i, layers.Dense(4)(i))
    x = vector()
    first = sub(x)
    return keras.Model(x, [sub(first), first]), X


def shared_inside_and_outside():
    shared = layers.Dense(4, name="shared")
    i = vector()
    sub = keras.Model(i, shared(i), name="sub")
    x = vector()
    return keras.Model(x, shared(sub(sub(x)))), X


def shared_by_a_sequential_and_two_functionals():
    shared = layers.Dense(4, name="d")
    i, j, x = vector(), vector(), vector()
    a = keras.Model(i, shared(i), name="A")
    b = keras.Model(j, layers.ReLU()(shared(j)), name="B")
    c = keras.Sequential([vector(), shared, layers.Dense(4)])
    return keras.Model(x, layers.Add()([a(x), b(x), c(x), shared(x)])), X


def calls_that_cross():
    a, b, c = layers.Dense(4), layers.Dense(4), layers.Dense(4)
    x = vector()
    y = a(b(x))
    return keras.Model(x, [c(y), c(a(b(y)))]), X


def duplicate_names_in_sibling_models():
    def sub(name):
        i = vector("in")
        h = layers.Dense(5, name="h")(i)
        return keras.Model(i, {"b": layers.Dense(2, name="o")(h), "a": h}, name=name)

    first, second, x = sub("first"), sub("second"), vector()
    y, z = first(x), second(x)
    return keras.Model([x], {"u": [y["b"], z["b"]], "t": y["a"]}), [X]


def dicts_and_nested_inputs():
    x = {"b": vector("b"), "a": [vector("a0"), vector("a1")]}
    return keras.Model(x, [x["b"] - x["a"][0] * 2, x["a"][1]]), {"b": X, "a": [X * 2, X * 3]}


def one_input_one_output_in_lists():
    x = vector()
    return keras.Model([x], [layers.Dense(2)(x)]), [X]


def optional_input():
    a, b = vector(), vector(optional=True)
    return keras.Model([a, b], layers.Dense(2)(a)), [X, None]


def sequential_without_input():
    model = keras.Sequential([layers.Dense(3, activation="relu"), layers.Dense(2)])
    model(X)
    return model, X


def sequentials_and_a_repeated_layer():
    i = vector()
    sub = keras.Model(i, layers.Dense(4)(i))
    return keras.Sequential([vector(), sub, layers.Dense(4), sub.layers[-1], layers.Dense(4)]), X


def arithmetic():
    x = vector()
    return keras.Model(x, 2.0 - (x * 3 + np.arange(4, dtype="float32")) / 2**2), X


def slices():
    x = sequence()
    return keras.Model(x, [x[:, 1:3], x[..., None, 0], x[:, -1], x[:, ::2, None]]), S


def operations():
    x = sequence()
    outputs = {
        "mean": ops.mean(x, axis=1),
        "einsum": ops.einsum("bij,bkj->bik", x, x),
        "einsum of one": ops.einsum("bij->jbi", x),
        "einsum by appearance": ops.einsum("zyx,wx", x, np.arange(20, dtype="float32").reshape(5, 4)),
        "where": ops.where(x > 0, x, 0.0),
        "split": ops.split(x, 2, axis=1)[1],
        "concatenate": ops.concatenate([x, x], axis=-1),
        "reshape": ops.reshape(x, (-1, 24)),
    }
    return keras.Model(x, outputs), S


def activations_as_layers():
    x, shared = vector(), layers.ReLU(max_value=1.0)
    y = layers.Dense(4, activation=layers.LeakyReLU(0.3))(layers.Dense(3, activation=layers.PReLU())(x))
    model = keras.Model(x, layers.Add()([shared(x), shared(y)]))
    model(X)
    return model, X


def initial_states():
    x = sequence()
    states = [layers.Dense(3)(x[:, 0]), layers.Dense(3)(x[:, 1])]
    return keras.Model(x, list(layers.LSTM(3, return_state=True)(x, initial_state=states))), S


def stacked_and_bidirectional():
    x = sequence()
    y = layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode="sum")(x)
    cells = layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2), layers.LSTMCell(2)])
    backward = layers.LSTM(3, go_backwards=True, activation="relu")
    z = layers.Bidirectional(layers.LSTM(3), backward_layer=backward)(y)
    return keras.Model(x, [z, layers.RNN(cells)(y)]), S


def model_in_time_distributed():
    i, x = vector(), sequence()
    sub = keras.Model(i, layers.Dense(2)(layers.Dense(3, activation="relu")(i)))
    return keras.Model(x, layers.TimeDistributed(sub)(x)), S


def masks_written_into_the_graph():
    x = sequence()
    return keras.Model(x, layers.LSTM(3)(layers.Masking()(x))), S * MASK[..., None]


def masks_of_embeddings_concatenated():
    a, b = keras.Input((6,), dtype="int32"), keras.Input((6,), dtype="int32")
    embedding = layers.Embedding(5, 4, mask_zero=True)
    y = layers.Concatenate()([embedding(a), embedding(b)])
    return keras.Model([a, b], layers.GRU(3)(layers.Dropout(0.2)(y))), [IDS, IDS[::-1].copy()]


def masks_that_travel():
    model = [
        keras.Input((6,), dtype="int32"),
        layers.Embedding(5, 4, mask_zero=True),
        layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True)),
        layers.GlobalAveragePooling1D(),
    ]
    return keras.Sequential(model), IDS


def masks_out_of_a_nested_model():
    i, x = keras.Input((6,), dtype="int32"), keras.Input((6,), dtype="int32")
    sub = keras.Model(i, layers.Dense(4)(layers.Embedding(5, 4, mask_zero=True)(i)))
    return keras.Model(x, layers.GRU(3)(sub(x))), IDS


def explicit_mask():
    x, mask = sequence(), keras.Input((6,), dtype="bool")
    return keras.Model([x, mask], layers.GRU(3)(x, mask=mask)), [S, MASK]


def attention():
    x, y = sequence(), keras.Input((5, 4))
    hidden = keras.Input((6, 6), dtype="bool")
    outputs = [
        layers.MultiHeadAttention(2, 3, value_dim=5)(x, y, key=y),
        *layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True, return_attention_scores=True),
        layers.MultiHeadAttention(2, 3)(x, x, attention_mask=hidden),
        layers.GroupQueryAttention(3, 4, 2)(x, y),
        layers.Attention(use_scale=True, score_mode="concat")([x, x], use_causal_mask=True),
    ]
    pairs = np.random.default_rng(6).random((3, 6, 6)) > 0.3
    return keras.Model([x, y, hidden], outputs), [S, S[:, :5] * 2, pairs]


def convolutions():
    x = keras.Input((8, 8, 3))
    y = layers.SpectralNormalization(layers.Conv2D(4, 3))(x)
    y = layers.BatchNormalization(scale=False)(layers.SeparableConv2D(4, 3)(y))
    return keras.Model(x, layers.GlobalAveragePooling2D()(y)), IMAGES


def statistics():
    given, adapted = layers.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 2, 1, 1]), layers.Normalization()
    adapted.adapt(X)
    bins = layers.Discretization(num_bins=3)
    bins.adapt(X)
    x = vector()
    return keras.Model(x, [given(x), adapted(x), bins(x)]), X


def pipeline():
    x = vector()
    steps = [layers.Rescaling(2.0), layers.Dense(5), layers.Dropout(0.5), layers.Dense(3)]
    return keras.Model(x, layers.Pipeline(steps)(x, training=False)), X


GRAPHS = [
    *(nested_called_twice, nested_second_call_only_in_the_outputs, shared_inside_and_outside),
    *(shared_by_a_sequential_and_two_functionals, calls_that_cross, duplicate_names_in_sibling_models),
    *(dicts_and_nested_inputs, one_input_one_output_in_lists, optional_input, sequential_without_input),
    *(sequentials_and_a_repeated_layer, arithmetic, slices, operations, activations_as_layers, initial_states),
    *(stacked_and_bidirectional, model_in_time_distributed, masks_written_into_the_graph),
    *(masks_of_embeddings_concatenated, masks_that_travel, masks_out_of_a_nested_model, explicit_mask),
    *(attention, convolutions, statistics, pipeline),
]


def assert_like_keras(model, params, keras_model, x):
    """Same structure, and every output within float32 rounding of Keras's."""
    ours, theirs = model(params, x), keras_model(x)
    pairs = zip(tree.items(ours), tree.items(theirs), strict=True)
    for (path, a), (keras_path, b) in pairs:
        assert path == keras_path
        parity.assert_close(a, b)
    assert type(ours) is type(theirs) or isinstance(theirs, tf.Tensor)
    assert not any(leaf.flags.writeable for leaf in tree.leaves(params))


@pytest.mark.parametrize("build", GRAPHS, ids=lambda build: build.__name__)
def test_graph_equals_keras(build, tmp_path):
    keras_model, x = build()
    if build is not statistics:
        fill(keras_model)
    keras_model.save(tmp_path / "model.keras")
    model, params = load_keras(tmp_path / "model.keras")
    assert_like_keras(model, params, keras_model, x)
    fnet.check(model, params)
    if keras_model.weights:
        keras_model.save_weights(tmp_path / "model.weights.h5")
        others = tree.map(lambda a: np.zeros_like(a) if a.dtype == "float32" else a, params)
        chex.assert_trees_all_equal(load_weights(tmp_path / "model.weights.h5", model, others), params)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(
    "build",
    [nested_called_twice, shared_inside_and_outside, calls_that_cross, arithmetic, stacked_and_bidirectional],
    ids=lambda build: build.__name__,
)
def test_every_container_gives_the_same_params(build, suffix, tmp_path):
    keras_model, x = build()
    fill(keras_model)
    keras_model.save(tmp_path / f"model.{suffix}")
    model, params = load_keras((tmp_path / f"model.{suffix}").read_bytes())
    assert_like_keras(model, params, keras_model, x)
    live_model, live = from_keras(keras_model)
    assert live_model == model
    chex.assert_trees_all_equal(params, live)


def test_hard_sigmoid_of_keras_2_is_another_function():
    model, _ = load_keras(read(GOLDEN, "rnn.h5"))
    assert model.steps[-1][1].options["activation"] == "hard_sigmoid_keras2"


def rewritten(path, config, arrays, version="2.1.0"):
    """A legacy file with another model config, Keras version and {last part of a weight name: array}."""
    with h5py.File(path, "r+") as file:
        names = []
        file["model_weights"].visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        for name in names:
            if name.split("/")[-1] in arrays:
                del file["model_weights"][name]
                file["model_weights"].create_dataset(name, data=arrays[name.split("/")[-1]])
        file.attrs["model_config"] = json.dumps(config)
        for holder in (file, file["model_weights"]):
            holder.attrs["keras_version"] = version


def test_a_sequential_of_keras_1(tmp_path):
    keras_model = keras.Sequential([vector(), layers.Dense(3, name="d")])
    keras_model.save(tmp_path / "model.h5")
    first = {"name": "d", "batch_input_shape": [None, 4], "units": 3, "activation": "hard_sigmoid", "trainable": True}
    config = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": first}]}
    rewritten(tmp_path / "model.h5", config, {})
    model, params = load_keras(tmp_path / "model.h5")
    assert model.names == ("d_input", "d")
    expected = np.clip(0.2 * keras_model(X).numpy() + 0.5, 0, 1)
    parity.assert_close(model(params, X), expected)


@pytest.mark.parametrize(("name", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_cudnn_layers_keep_their_gates_transposed(name, gates, tmp_path):
    keras_model = keras.Sequential([keras.Input((6, 4)), getattr(layers, name)(3, name="rnn")])
    fill(keras_model)
    keras_model.save(tmp_path / "model.h5")
    kernel, recurrent, bias = keras_model.get_weights()
    split = [np.split(a, gates, axis=1) for a in (kernel, recurrent)]
    arrays = {
        "kernel": np.concatenate([k.reshape(k.shape[::-1], order="F").T for k in split[0]], axis=1),
        "recurrent_kernel": np.concatenate([r.T for r in split[1]], axis=1),
        "bias": bias.reshape(-1) if gates == 3 else np.concatenate([bias * 0.25, bias * 0.75]),
    }
    cudnn = {"name": "rnn", "batch_input_shape": [None, 6, 4], "units": 3, "trainable": True}
    config = {"class_name": "Sequential", "config": [{"class_name": f"CuDNN{name}", "config": cudnn}]}
    rewritten(tmp_path / "model.h5", config, arrays)
    model, params = load_keras(tmp_path / "model.h5")
    parity.assert_close(model(params, S), keras_model(S))


def test_a_legacy_file_keeps_low_rank_updates_apart(tmp_path):
    x = keras.Input((4,))
    keras_model = keras.Model(x, layers.EinsumDense("ab,bcd->acd", (3, 2))(layers.Dense(4, name="d")(x)))
    ids = keras.Input((6,))
    table = keras.Model(ids, layers.Conv1D(3, 2)(layers.Embedding(5, 4)(ids)))
    for model, feed in ((keras_model, X), (table, IDS)):
        for one in model.layers[1:]:
            one.enable_lora(2, lora_alpha=3)
        fill(model)
        model.save(tmp_path / "model.h5")
        assert_like_keras(*load_keras(tmp_path / "model.h5"), model, feed)


def test_a_legacy_file_from_before_alpha_adds_low_rank_updates_as_they_are(tmp_path):
    keras_model = keras.Sequential([vector(), layers.Dense(3)])
    keras_model.layers[0].enable_lora(2)
    fill(keras_model)
    keras_model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        assert ', "lora_alpha": 2' in file.attrs["model_config"]
        file.attrs["model_config"] = file.attrs["model_config"].replace(', "lora_alpha": 2', "")
    assert_like_keras(*load_keras(tmp_path / "model.h5"), keras_model, X)


@pytest.mark.parametrize(("side", "shape"), [("a", (3, 2)), ("a", (4, 3)), ("b", (3, 3)), ("b", (2, 4))])
def test_low_rank_updates_that_do_not_fit_are_refused(side, shape, tmp_path):
    keras_model = keras.Sequential([vector(), layers.Dense(3, name="d")])
    keras_model.layers[0].enable_lora(2)
    keras_model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        group = file["model_weights/d"]
        (place,) = (name for name in group.attrs["weight_names"] if f"lora_kernel_{side}" in name)
        del group[place]
        group[place] = np.zeros(shape, "float32")
    shapes = {"a": (4, 2), "b": (2, 3), side: shape}
    message = re.escape(f"(4, 3) has a low-rank update {shapes['a']} times {shapes['b']}")
    with pytest.raises(WeightsMismatch, match=message):
        load_keras(tmp_path / "model.h5")


def test_low_rank_updates_under_a_policy_of_16_bits(tmp_path):
    """Keras stores their sum with the kernel as the layer computes it, and reads it back into float32."""
    keras_model = keras.Sequential([vector(), layers.Dense(3, dtype="mixed_float16")])
    keras_model.layers[0].enable_lora(2)
    fill(keras_model)
    keras_model.save(tmp_path / "model.keras")
    model, params = load_keras(tmp_path / "model.keras")
    assert next(iter(params.values()))["kernel"].dtype == "float32"
    parity.assert_close(model(params, X), keras.models.load_model(tmp_path / "model.keras")(X), "mixed_float16")


def test_a_legacy_file_calls_grouped_attention_by_its_class(tmp_path):
    x = sequence()
    keras_model = keras.Model(x, layers.GroupQueryAttention(2, 4, 2)(x, x))
    fill(keras_model)
    keras_model.save(tmp_path / "model.h5")
    assert_like_keras(*load_keras(tmp_path / "model.h5"), keras_model, S)


def test_sharded_weights(tmp_path):
    keras_model = keras.Sequential([keras.Input((5, 4)), layers.LSTM(40), layers.Dense(30)])
    keras_model.save_weights(tmp_path / "model.weights.json", max_shard_size=0.00003)
    model, params = from_keras(keras_model)
    loaded = load_weights(tmp_path / "model.weights.json", model, fnet.init(model, 0))
    chex.assert_trees_all_equal(params, loaded)
    first, *_ = sorted(tmp_path.glob("*.weights.h5"))
    first.write_bytes(first.read_bytes()[:-500])
    with pytest.raises(CorruptFile, match=f"^'model.weights.json': '{first.name}': "):
        load_weights(tmp_path / "model.weights.json", model, params)


def test_weights_go_around_the_constants_of_a_graph(tmp_path):
    x = keras.Input((3,))
    keras_model = keras.Model(x, layers.Dense(2)(x + np.arange(3, dtype="float32")))
    model, params = from_keras(keras_model)
    fill(keras_model)
    keras_model.save_weights(tmp_path / "model.weights.h5")
    loaded = load_weights(tmp_path / "model.weights.h5", model, params)
    assert_like_keras(model, loaded, keras_model, X[:, :3])


@pytest.mark.parametrize("suffix", ["weights.h5", "h5"])
def test_weights_go_to_the_layers_of_their_names(suffix, tmp_path):
    """Attention layers run in another order than Keras counts them."""
    x, y = sequence(), sequence()
    other = layers.Add()([y, layers.MultiHeadAttention(2, 3)(y, y)])
    inner = keras.Model(y, layers.Dense(4)(layers.Dense(4)(other)))
    own = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    seen = layers.Add()([y, layers.MultiHeadAttention(2, 3)(y, y)])
    keras_model = keras.Model([x, y], inner(layers.MultiHeadAttention(2, 3)(seen, own)))
    model, params = from_keras(keras_model)
    fill(keras_model)
    (keras_model.save if suffix == "h5" else keras_model.save_weights)(tmp_path / f"model.{suffix}")
    loaded = load_weights(tmp_path / f"model.{suffix}", model, params)
    assert_like_keras(model, loaded, keras_model, [S, S[::-1]])


def test_an_array_stands_for_an_option_too(tmp_path):
    x = keras.Input((4,))
    keras_model = keras.Model(x, keras.ops.digitize(x, np.array([-0.5, 0.0, 0.5])))
    keras_model.save(tmp_path / "model.keras")
    model, params = load_keras(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(params, X), keras_model(X))


def test_a_legacy_file_holds_a_spectrally_normalized_kernel_once(tmp_path):
    keras_model = keras.Sequential([vector(), layers.SpectralNormalization(layers.Dense(3)), layers.Dense(2)])
    fill(keras_model)
    keras_model.save(tmp_path / "model.h5")
    assert_like_keras(*load_keras(tmp_path / "model.h5"), keras_model, X)


def test_a_stateful_layer_called_twice_is_refused():
    x = keras.Input(batch_shape=(2, 6, 4))
    layer = layers.GRU(4, stateful=True, return_sequences=True, name="memory")
    with pytest.raises(UnsupportedLayer, match="GRU 'memory' is stateful and called several times"):
        from_keras(keras.Model(x, layer(layer(x))))


def test_options_of_the_wrong_type_are_refused(tmp_path):
    keras_model = keras.Sequential([vector(), layers.Dense(3, name="d")])
    keras_model.save(tmp_path / "model.h5")
    first = {"name": "d", "batch_input_shape": [None, 4], "units": "3", "trainable": True}
    config = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": first}]}
    rewritten(tmp_path / "model.h5", config, {})
    with pytest.raises(CorruptFile, match="Dense 'd' has the option 'units' = '3', of the wrong type or out of range"):
        load_keras(tmp_path / "model.h5")


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64"])
def test_dtype_policies(policy, tmp_path):
    x = vector(dtype="float32")
    y = layers.Dense(3, activation="relu", dtype=policy)(layers.Dense(3, dtype=policy)(x))
    keras_model = keras.Model(x, layers.Dense(2, dtype="float32")(y))
    fill(keras_model)
    model, params = from_keras(keras_model)
    parity.assert_close(model(params, X), keras_model(X), policy)
    stored = "float16" if policy == "float16" else "float64" if policy == "float64" else "float32"
    assert str(params["dense" if "dense" in params else next(iter(params))]["kernel"].dtype) in (stored, "float32")


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_layers_cast_inputs_and_operations_of_other_floats_to_their_own(dtype, tmp_path):
    x, z = vector("x", dtype=dtype), vector("z")
    y = layers.Concatenate()([layers.Dense(3)(x), layers.Dense(2)(ops.cast(z, dtype))])
    keras_model = keras.Model([x, z], [y, x + 1.0])
    fill(keras_model)
    keras_model.save(tmp_path / "model.keras")
    feed = [tf.cast(X, dtype).numpy(), X]
    model, params = load_keras(tmp_path / "model.keras")
    for ours, theirs in zip(model(params, feed), keras_model(feed), strict=True):
        assert ours.dtype == theirs.numpy().dtype
        parity.assert_close(ours, theirs, dtype)


def test_state_of_the_trainer_is_no_part_of_the_model(tmp_path):
    keras_model = keras.Sequential([vector(), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)])
    keras_model.compile("adam", "mse", metrics=["mae", keras.metrics.MeanSquaredError()])
    keras_model.fit(X, X[:, :2], verbose=0)
    for suffix in ("keras", "h5"):
        keras_model.save(tmp_path / f"model.{suffix}")
        model, params = load_keras(tmp_path / f"model.{suffix}")
        assert_like_keras(model, params, keras_model, X)


@pytest.mark.parametrize("wrapped", [False, True])
def test_state_of_the_trainer_of_a_model_inside_is_no_part_of_the_model(tmp_path, wrapped):
    """Keras keeps in the group of a model that was trained its optimizer and metrics, wherever that model is."""
    inner = keras.Sequential([vector(), layers.Dense(3), layers.BatchNormalization()])
    inner.compile("adam", "mse", metrics=["mae"])
    inner.optimizer.build(inner.trainable_variables)
    inside = [layers.RepeatVector(2), layers.TimeDistributed(inner)] if wrapped else [inner]
    keras_model = keras.Sequential([vector(), *inside, layers.Dense(2)])
    fill(keras_model)
    keras_model.save(tmp_path / "model.keras")
    keras_model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert ("layers/time_distributed/layer" if wrapped else "layers/sequential") + "/optimizer/vars/0" in file
    model, params = load_keras(tmp_path / "model.keras")
    assert_like_keras(model, params, keras_model, X)
    assert_like_keras(model, load_weights(tmp_path / "model.weights.h5", model, fnet.init(model, 0)), keras_model, X)


def test_load_weights_into_fresh_params(tmp_path):
    keras_model, x = stacked_and_bidirectional()
    fill(keras_model)
    keras_model.save_weights(tmp_path / "model.weights.h5")
    model, params = from_keras(keras_model)
    loaded = load_weights(tmp_path / "model.weights.h5", model, fnet.init(model, 0))
    chex.assert_trees_all_equal(params, loaded)
    assert_like_keras(model, loaded, keras_model, x)


def test_load_weights_refuses_another_architecture(tmp_path):
    keras.Sequential([vector(), layers.Dense(3)]).save_weights(tmp_path / "a.weights.h5")
    model = fnet.sequential(fnet.bind(fnet.input_layer, shape=(None, 4)), fnet.bind(fnet.dense, units=5))
    with pytest.raises(WeightsMismatch, match=r"must have the shape \[4, 5\]"):
        load_weights(tmp_path / "a.weights.h5", model, fnet.init(model, 0))
    deeper = fnet.sequential(*[step for _, step in model.steps], fnet.bind(fnet.dense, units=3))
    with pytest.raises(WeightsMismatch, match="missing: 'dense_1/kernel"):
        load_weights(tmp_path / "a.weights.h5", deeper, fnet.init(deeper, 0))


# --- training=True --------------------------------------------------------------------------------


def test_dropout_called_with_training_needs_a_key():
    x = vector()
    keras_model = keras.Model(x, layers.Dropout(0.5)(x, training=True))
    with pytest.raises(UnsupportedLayer, match="rng=0"):
        from_keras(keras_model, training="as written")
    model, params = from_keras(keras_model, training="as written", rng=0)
    y = model(params, np.ones((200, 4), "float32"))
    assert set(np.unique(y)) == {0.0, 2.0}


def test_augmentation_layers_are_called_with_training_by_default(tmp_path):
    x = keras.Input((8, 8, 3))
    inside = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.2)])
    keras_model = keras.Model(x, layers.Conv2D(2, 3)(inside(layers.RandomZoom(0.2)(layers.RandomContrast(0.3)(x)))))
    assert keras_model.get_config()["layers"][1]["inbound_nodes"][0]["kwargs"] == {"training": True}
    fill(keras_model)
    for suffix in ("keras", "h5"):
        keras_model.save(tmp_path / f"model.{suffix}")
        model, params = load_keras(tmp_path / f"model.{suffix}")
        parity.assert_close(model(params, IMAGES), keras_model(IMAGES, training=False))
    for written in (keras_model, keras.Model(x, inside(x)), keras.Sequential([x, inside])):
        with pytest.raises(UnsupportedLayer, match="it is by default"):  # a bare call augments
            from_keras(written, training="as written")


def test_a_nested_model_called_with_training_drops_inside():
    i, x = vector(), vector()
    sub = keras.Model(i, layers.Dropout(0.5)(i))
    model, params = from_keras(keras.Model(x, sub(x, training=True)), training="as written", rng=0)
    assert set(np.unique(model(params, np.ones((200, 4), "float32")))) == {0.0, 2.0}


@pytest.mark.parametrize("frozen", [False, True])
def test_batch_normalization_called_with_training_takes_the_statistics_of_the_batch(frozen, tmp_path):
    x = sequence()
    y = layers.BatchNormalization(trainable=not frozen)(layers.Masking()(x), training=True)
    image = layers.Reshape((3, 2, 4))(layers.Dense(4)(x))
    norm = layers.BatchNormalization(axis=1, trainable=not frozen)
    keras_model = keras.Model(x, [y, norm(image, training=True)])
    fill(keras_model)
    keras_model.save(tmp_path / "model.keras")
    masked = np.where(np.arange(6)[:, None] % 3, S, 0).astype("float32")
    model, params = load_keras(tmp_path / "model.keras", training="as written")
    assert_like_keras(model, params, keras_model, masked)


def test_batch_renormalization_called_with_training_is_refused():
    x = vector()
    with pytest.raises(UnsupportedLayer, match="BatchNormalization 'stats' was called with training=True"):
        from_keras(
            keras.Model(x, layers.BatchNormalization(name="stats", renorm=True)(x, training=True)),
            training="as written",
        )


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    ("shared", "why"),
    [
        (lambda: layers.LSTM(4, return_sequences=True, dropout=0.5, name="twice"), "shared by several calls"),
        (lambda: layers.BatchNormalization(name="twice"), "called several times"),
    ],
)
def test_a_layer_of_which_some_calls_are_with_training_is_refused(shared, why, first):
    shared = shared()
    x = keras.Input((6, 4))
    y = shared(shared(x, training=first), training=not first)
    with pytest.raises(UnsupportedLayer, match=f"'twice' is {why}"):
        from_keras(keras.Model(x, y), training="as written", rng=0)


# --- custom layers and refusals -------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Twice(layers.Layer):
    def __init__(self, factor=2.0, **options):
        super().__init__(**options)
        self.factor = factor

    def build(self, shape):
        self.shift = self.add_weight(shape=(shape[-1],), name="shift")

    def call(self, x):
        return x * self.factor + self.shift

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def _twice_rule(x):
    return x, {"shift": fnet.Param((x.shape[-1],))}


@fnet.layer(shape=_twice_rule)
def twice(params, x, *, factor=2.0):
    """x * factor + shift."""
    return x * factor + params["shift"]


def test_custom_layers():
    x = vector()
    keras_model = keras.Model(x, layers.Dense(2)(Twice(3.0)(x)))
    fill(keras_model)
    with pytest.raises(UnsupportedLayer, match=r"custom=\{'tests>Twice': my_layer\}"):
        from_keras(keras_model)
    model, params = from_keras(keras_model, custom={"tests>Twice": twice})
    assert_like_keras(model, params, keras_model, X)


def test_a_custom_layer_must_have_rules():
    x = vector()
    with pytest.raises(TypeError, match="is not a layer"):
        from_keras(keras.Model(x, Twice()(x)), custom={"tests>Twice": lambda params, x: x})


def test_masks_by_position():
    x, m = sequence(), keras.Input((6,), dtype="bool")
    y = layers.LSTM(4, return_sequences=True)(x, None, m)
    attended = layers.Attention()([y, x], [m, m])
    pooled = layers.GlobalAveragePooling1D()(y, m)
    soft = layers.Softmax()(layers.Dense(6)(pooled), m)
    keras_model = keras.Model([x, m], [pooled, attended, soft, layers.TimeDistributed(layers.Dense(2))(y, None, m)])
    fill(keras_model)
    assert_like_keras(*from_keras(keras_model), keras_model, [S, MASK])


def test_sparse_tensors_are_dense_arrays(tmp_path):
    x, ids = vector("x", sparse=True), keras.Input((5,), name="ids", dtype="int64")
    many_hot = layers.CategoryEncoding(5, "count", sparse=True)(ids)
    keras_model = keras.Model([x, ids], [layers.Dense(3)(x), many_hot])
    fill(keras_model)
    keras_model.save(tmp_path / "model.keras")
    feed = [np.where(X > 0, X, 0), IDS[:, :5].astype("int64")]
    dense, counts = keras_model([tf.sparse.from_dense(feed[0]), tf.constant(feed[1])])
    ours = load_keras(tmp_path / "model.keras")[0](from_keras(keras_model)[1], feed)
    parity.assert_close(ours[0], dense)
    np.testing.assert_array_equal(ours[1], tf.sparse.to_dense(counts))
    words = keras.Input((2,), dtype="string", sparse=True)
    with pytest.raises(UnsupportedLayer, match="sparse inputs and a Hashing"):
        from_keras(keras.Model(words, layers.Hashing(3)(words)))
    numbers = keras.Input((4,), dtype="int32", sparse=True)
    with pytest.raises(UnsupportedLayer, match="sparse inputs and a Bincount"):  # it counts no zeros there
        from_keras(keras.Model(numbers, ops.bincount(numbers, minlength=3)))


def test_an_input_may_be_one_number(tmp_path):
    x, factor = vector(), keras.Input(batch_shape=())
    keras.Model([x, factor], x * factor).save(tmp_path / "model.keras")
    model, params = load_keras(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(params, [X, np.float32(3)]), X * np.float32(3))
    with pytest.raises(fnet.InvalidInput):
        fnet.predict(model, params, [X, np.float32(3)])


def test_subclassed_models_are_refused_with_the_way_out():
    class Subclassed(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    keras_model = Subclassed()
    keras_model(X)
    with pytest.raises(UnsupportedLayer, match=r"subclassed model.*load_weights"):
        from_keras(keras_model)

    class WithTrainStep(keras.Model):
        def train_step(self, data):
            return {}

    x = vector()
    with pytest.raises(UnsupportedLayer, match=r"'WithTrainStep' is a subclass of Model around a graph.*=fnet:graph'"):
        from_keras(WithTrainStep(x, layers.Dense(2)(x)))
    graph = keras.Model(x, layers.Dense(2)(x))
    distiller = keras.distillation.Distiller(graph, graph, keras.distillation.LogitsDistillation())
    distiller(X)
    with pytest.raises(UnsupportedLayer, match=r"Distiller 'distiller' is not supported: .* its `student`; save that"):
        from_keras(distiller)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_whose_function_is_a_name_says_so(suffix, tmp_path):
    """Keras itself finds it only among `custom_objects`."""
    keras_model = keras.Sequential([vector(), layers.Lambda(keras.ops.square, output_shape=(4,), name="squared")])
    keras_model.save(path := str(tmp_path / f"model{suffix}"))
    with pytest.raises(
        UnsupportedLayer, match=r"its function 'square' is not in the file; give .* custom=\{'squared':"
    ):
        load_keras(path)
    model, params = load_keras(path, custom={"squared": fnet.operations.square})
    assert_like_keras(model, params, keras_model, X)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_operation_takes_the_place_of_a_lambda_with_code(suffix, tmp_path):
    """It counts among the layers of Keras, as the Lambda does: the file numbers the last after it."""
    x = vector()
    squared = layers.Lambda(lambda x: x * x, output_shape=(4,), name="squared")(x)
    mean = layers.Lambda(lambda x: keras.ops.mean(x, 1, keepdims=True), output_shape=(1,), name="mean")(squared)
    total = layers.Lambda(lambda pair: pair[0] + pair[1], output_shape=(4,), name="total")([squared, mean])
    keras_model = keras.Model(x, layers.Dense(2)(total))
    keras_model.save(path := str(tmp_path / f"model{suffix}"))
    mean = fnet.bind(fnet.operations.mean, axis=1, keepdims=True)
    own = {"squared": fnet.operations.square, "mean": mean, "total": fnet.add}
    model, params = load_keras(path, custom=own)
    assert_like_keras(model, params, keras_model, X)


class Trainer(keras.Model):
    def train_step(self, data):
        return {}


@keras.saving.register_keras_serializable("tests")
class Steps(keras.Sequential):
    pass


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_subclasses_around_a_graph_load_once_the_caller_says_that_they_compute_it(suffix, tmp_path):
    """At the root, where a GAN or a `train_step` puts them, inside a model and shared, and of Sequential."""
    x, y = vector(), vector()
    inner = Trainer(x, layers.Dense(4, activation="tanh")(Steps([layers.Dense(4), layers.Dense(4)])(x)), name="inner")
    minus = layers.Lambda(lambda x: -x, output_shape=(4,), name="minus")
    keras_model = Trainer(y, layers.Dense(2)(layers.Add()([minus(inner(y)), inner(inner(y))])))
    fill(keras_model)
    keras_model.save(path := str(tmp_path / f"model{suffix}"))
    own = {"minus": fnet.operations.negative}
    for custom, name in ((own, "Trainer"), ({**own, "Trainer": fnet.graph}, "tests>Steps")):
        with pytest.raises(UnsupportedLayer, match=rf"{name}' is a subclass of Model around a graph"):
            load_keras(path, custom=custom)
        assert any(name in why for why in fnet.explain(path, custom=custom).problems)
    custom = dict.fromkeys(("Trainer", "tests>Steps", "others>Unused"), fnet.graph) | own
    model, params = load_keras(path, custom=custom)
    assert_like_keras(model, params, keras_model, X)
    assert not fnet.explain(path, custom=custom).problems
    with pytest.raises(
        fnet.ModelFileError, match=r"custom\['Other'\] is fnet.graph, but no model of the file is of that"
    ):
        load_keras(path, custom={**custom, "Other": fnet.graph})


def test_a_class_without_a_graph_is_not_taken_for_one():
    keras_model = Twofold()
    keras_model(X)
    with pytest.raises(CorruptFile, match=r"custom\['tests>Twofold'\] is fnet.graph, but the file has no graph of Tw"):
        from_keras(keras_model, custom={"tests>Twofold": fnet.graph})


@keras.saving.register_keras_serializable("tests")
class Twofold(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.a, self.b = layers.Dense(4), layers.Dense(4)

    def call(self, x):
        return self.b(self.a(x))


@pytest.mark.parametrize("names", ["a", "ab"])
def test_a_function_for_a_whole_subclassed_model_uses_all_its_arrays_but_those_of_training(names):
    keras_model = Twofold()
    keras_model.compile("adam", "mse")
    keras_model(X)
    keras_model.optimizer.build(keras_model.trainable_variables)
    fill(keras_model)
    shapes = {"kernel": fnet.Param((4, 4)), "bias": fnet.Param((4,), "zeros")}

    @fnet.layer(shape=lambda x: (x, dict.fromkeys(names, shapes)))
    def whole(params, x):
        for name in names:
            x = fnet.dense(params[name], x, units=4)
        return x

    refused = contextlib.nullcontext() if names == "ab" else pytest.raises(WeightsMismatch, match="not used by the")
    with refused:
        model, params = from_keras(keras_model, custom={"tests>Twofold": whole})
        assert_like_keras(model, params, keras_model, X)


@pytest.mark.parametrize(("value", "got"), [
    (3, "int$"), ("m.keras", "str; load_keras reads a file"),
    (SimpleNamespace(save=print), "SimpleNamespace$"), (SimpleNamespace(get_config=dict), "SimpleNamespace$"),
])  # fmt: skip
def test_from_keras_takes_keras_models_only(value, got):
    with pytest.raises(TypeError, match=rf"takes a keras\.Model; got {got}"):
        from_keras(value)


def test_negative_variances_are_refused(tmp_path):
    keras_model = keras.Sequential([vector(), layers.BatchNormalization()])
    gamma, beta, mean, variance = keras_model.get_weights()
    keras_model.set_weights([gamma, beta, mean, -variance])
    with pytest.raises(WeightsMismatch, match="negative variance"):
        from_keras(keras_model)


# --- text -----------------------------------------------------------------------------------------


def text_model(**options):
    vectorize = layers.TextVectorization(**options)
    vectorize.adapt(["hello world", "bye world"])
    return vectorize


TEXTS = ["hello bye you", "World!"]


def test_text_model():
    vectorize = text_model(output_sequence_length=5)
    parts = [keras.Input((), dtype="string"), vectorize, layers.Embedding(10, 4, mask_zero=True)]
    keras_model = keras.Sequential([*parts, layers.GlobalAveragePooling1D()])
    model, params = from_keras(keras_model)
    parity.assert_close(model(params, TEXTS), keras_model(tf.constant(TEXTS)))


def test_tf_idf_weights_come_from_the_file():
    keras_model = keras.Sequential([keras.Input((), dtype="string"), text_model(output_mode="tf_idf")])
    model, params = from_keras(keras_model)
    parity.assert_close(model(params, TEXTS), keras_model(tf.constant(TEXTS)))


@pytest.mark.parametrize(
    ("layer", "tokens", "words"),
    [
        (layers.StringLookup, ["a", "b"], np.array([["a", "b", "q", "b"]], object)),
        (layers.IntegerLookup, [4, 7], np.array([[4, 7, 0, 7]])),
        (layers.TextVectorization, ["a", "b"], np.array([["a b q b"]], object)),
    ],
)
def test_tf_idf_weights_of_the_file_count_where_the_config_says_others(layer, tokens, words, tmp_path):
    """As when a vocabulary is set again: `.keras` holds the weights, legacy files of Keras 3 only the config."""
    lookup = layer(vocabulary=tokens, idf_weights=[1.0, 2.0], output_mode="tf_idf")
    dtype = "int64" if words.dtype == "int64" else "string"
    keras_model = keras.Sequential([keras.Input((words.shape[1],), dtype=dtype), lookup])
    lookup.set_vocabulary(tokens, [5.0, 7.0])
    for suffix, expected in (("keras", [6.0, 5.0, 14.0]), ("h5", [1.5, 1.0, 4.0])):
        keras_model.save(tmp_path / f"m.{suffix}")
        model, params = load_keras(tmp_path / f"m.{suffix}")
        np.testing.assert_array_equal(model(params, words)[0], expected)


def test_a_legacy_file_has_lost_its_vocabulary(tmp_path):
    vectorize = text_model(output_sequence_length=5)
    keras_model = keras.Sequential([keras.Input((), dtype="string"), vectorize, layers.Embedding(10, 4)])
    keras_model.save(tmp_path / "text.h5")
    with pytest.raises(UnsupportedLayer, match=r"has lost the vocabulary of 'text.*keras_v3.*vocabulary=\["):
        load_keras(tmp_path / "text.h5")
    model, params = load_keras(tmp_path / "text.h5", vocabulary=vectorize.get_vocabulary())
    parity.assert_close(model(params, TEXTS), keras_model(tf.constant(TEXTS)))
    named = load_keras(tmp_path / "text.h5", vocabulary={vectorize.name: vectorize.get_vocabulary()})[1]
    assert [path for path, _ in tree.items(named)] == [path for path, _ in tree.items(params)]
    keras_model.save(tmp_path / "text.keras")
    with pytest.raises(
        WeightsMismatch, match=f"vocabulary= is for layers that look up tokens; here: {vectorize.name}$"
    ):
        load_keras(tmp_path / "text.keras", vocabulary={"vectorise": ["a"]})
    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).save(tmp_path / "dense.keras")
    with pytest.raises(WeightsMismatch, match=r"look up tokens; here: none$"):
        load_keras(tmp_path / "dense.keras", vocabulary=["a"])


@pytest.mark.filterwarnings(r"ignore:(?s).*structure of `inputs` doesn't match:UserWarning")  # Keras's, of its own dict
def test_the_model_that_a_feature_space_gives(tmp_path):
    kinds = keras.utils.FeatureSpace
    space = kinds(
        {"x": "float", "n": kinds.float_discretized(3), "word": "string_categorical", "id": kinds.integer_hashed(5)},
        crosses=[kinds.cross(("word", "id"), 7)],
    )
    words = np.array([["a"], ["b"], ["a"], ["c"]])
    data = {"x": X[:, :1], "n": X[:, 1:2], "word": words[:3], "id": np.array([[3], [4], [5]])}
    space.adapt(tf.data.Dataset.from_tensor_slices(data).batch(3))
    space.save(tmp_path / "space.keras")
    with pytest.raises(UnsupportedLayer, match="save the model that `get_encoded_features` gives"):
        load_keras(tmp_path / "space.keras")
    keras_model = keras.Model(space.get_inputs(), layers.Dense(2)(space.get_encoded_features()))
    fill(keras_model)
    keras_model.save(tmp_path / "model.keras")
    expected = keras_model({key: tf.constant(data[key]) for key in sorted(data)})
    model, params = load_keras(tmp_path / "model.keras")
    parity.assert_close(model(params, data), expected)


# --- the table, the process -----------------------------------------------------------------------


def test_the_catalogue_names_every_public_layer_of_keras():
    abstract = {"Layer", "Wrapper", "InputSpec"}
    public = {getattr(keras.layers, n) for n in dir(keras.layers) if isinstance(getattr(keras.layers, n), type)}
    names = {keras.src.api_export.get_name_from_symbol(c).split(".")[-1] for c in public} - abstract
    listed = {name for names in FAMILIES.values() for name in names.split()}
    assert names - listed == set()
    assert names & FOREIGN == set()


def test_the_only_layers_refused_run_foreign_code():
    refused = {status.keras for status in catalogue() if not status.supported and status.family in FAMILIES}
    assert refused == {"Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"}


def test_loading_imports_neither_keras_nor_a_framework(tmp_path):
    file = zipfile.ZipFile(GOLDEN).extract("rnn.keras", tmp_path)
    code = (
        "import sys, numpy; known = {*sys.modules}; from params import load_keras; "
        f"model, params = load_keras({file!r}); model(params, [[1, 2, 0, 0, 0]]); "
        "heavy = {'keras', 'tensorflow', 'h5py', 'jax', 'tf_keras', 'pathlib', 'zipfile'} - known; "
        "print(sorted(heavy & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LOSSES = {
    "an operation": lambda x, t: ops.binary_crossentropy(t, ops.sigmoid(x)),
    "whatever it says": lambda x, t: ops.categorical_crossentropy(t, ops.softmax(x), from_logits=True),
    "an activation": lambda x, t: ops.binary_crossentropy(t, layers.Activation("sigmoid")(x)),
    "a layer": lambda x, t: ops.categorical_crossentropy(t, layers.Softmax()(x)),
    "classes": lambda x, t: ops.sparse_categorical_crossentropy(ops.argmax(t, -1), layers.Softmax()(x)),
    "the end of a layer": lambda x, t: ops.binary_crossentropy(t, layers.Dense(3, activation="sigmoid")(x)),
    "a mean": lambda x, t: keras.losses.binary_crossentropy(t, layers.Dense(3, activation="sigmoid")(x)),
    "a model": lambda x, t: ops.binary_crossentropy(
        t, keras.Sequential([keras.Input((3,)), layers.Dense(3, activation="sigmoid")])(x)
    ),
    "a graph": lambda x, t: ops.binary_crossentropy(
        t, keras.Model(i := keras.Input((3,)), layers.Dense(3, activation="sigmoid")(i))(x)
    ),
    "an input": lambda x, t: ops.categorical_crossentropy(t, x, from_logits=True),
    "probabilities": lambda x, t: ops.binary_crossentropy(t, ops.sigmoid(x) * 1),
}


@pytest.mark.filterwarnings("ignore:.*from_logits")
@pytest.mark.parametrize("name", LOSSES)
def test_losses_go_by_what_a_sigmoid_or_softmax_was_given_as_on_tensorflow(name):
    x, t = np.float32([[20, -20, 3], [-40, 1, 2]]), np.float32([[0, 1, 1], [1, 0, 0]])
    inputs = [keras.Input((3,)), keras.Input((3,))]
    keras_model = keras.Model(inputs, LOSSES[name](*inputs))
    keras_model.set_weights([np.eye(3), np.zeros(3)][: len(keras_model.weights)])
    model, params = load_keras(parity.saved(keras_model))
    parity.assert_close(model(params, [x, t]), keras_model([x, t]).numpy())


def test_a_loss_after_attention_that_deletes_masks_reads_what_its_sigmoid_was_given():
    """It was refused: the calls run in Keras's order then, and what the sigmoid was given came after the loss."""
    x, t = keras.Input((4, 3)), keras.Input((4, 3))
    masked = layers.Masking()(x)
    y = layers.Dense(3, activation="sigmoid")(layers.MultiHeadAttention(1, 2)(masked, masked))
    keras_model = keras.Model([x, t], ops.binary_crossentropy(t, y))
    model, params = load_keras(parity.saved(keras_model))
    arrays = [np.float32([[[1, 2, 3], [4, 5, 6], [0, 0, 0], [0, 0, 0]]]), np.ones((1, 4, 3), np.float32)]
    parity.assert_close(model(params, arrays), keras_model(arrays).numpy())


def test_layers_that_were_renamed_crosswise_get_their_own_arrays(tmp_path):
    """The names of the arrays are those of the other layer: they were swapped, an error of 0.6."""
    one, two = layers.Dense(4, name="one"), layers.Dense(4, name="two")
    inner = keras.Sequential([keras.Input((4,)), one, layers.ReLU(), two])
    keras_model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    one.name, two.name = "two", "one"
    keras_model.save(tmp_path / "model.h5")
    model, params = load_keras(tmp_path / "model.h5")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    parity.assert_close(model(params, x), keras_model(x).numpy())


def test_the_last_layers_of_a_frozen_model_that_train_again_keep_their_arrays(tmp_path):
    """Keras stores them first: the arrays came in that order, off by 1.4, as if layers had been renamed."""
    base = keras.Sequential([keras.Input((4,)), *(layers.Dense(4, "tanh", name=name) for name in "abcd")])
    keras_model = keras.Sequential([keras.Input((4,)), keras.Sequential([keras.Input((4,)), base]), layers.Dense(2)])
    base.trainable = False
    base.layers[-1].trainable = True
    keras_model.save(tmp_path / "model.h5")
    model, params = load_keras(tmp_path / "model.h5")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    parity.assert_close(model(params, x), keras_model(x).numpy())


def test_a_layer_of_two_nested_models_has_its_own_place_in_each():
    """Keras 2 writes its arrays in both. It was expected first in the second too, as if layers had been renamed."""

    def unit(name, **more):
        options = {"name": name, "trainable": True, "dtype": "float32", "units": 2, "use_bias": False}
        return {"class_name": "Dense", "config": options, **more}

    def nested(name, *steps):
        first = {"class_name": "InputLayer", "config": {"name": f"{name}_x", "batch_input_shape": [None, 2]}}
        return {"class_name": "Sequential", "config": {"name": name, "layers": [first, *steps]}}

    second = nested("second", unit("own"), unit("shared", shared_object_id=11))
    config = nested("model", nested("first", unit("shared")), second)
    a, b = np.float32([[1, 2], [3, 4]]), np.float32([[5, 6], [7, 9]])
    stored = [("first", ("shared/kernel:0", a)), ("second", ("own/kernel:0", b), ("shared/kernel:0", a))]
    model, params = load_keras(hostile.legacy(config, stored))
    x = np.float32([[1, -1], [2, 5]])
    np.testing.assert_allclose(model(params, x), x @ a @ b @ a)
