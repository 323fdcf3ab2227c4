"""Faults that random whole models have found: for each a small model next to Keras, saved and loaded."""

import keras
import numpy as np
import pytest

from params import CorruptFile, load_keras
from tests import hostile, parity, random_models
from tests.golden.archives import members

MODES = ["numpy-readonly", "jax-jit"]


def ids(rows=13):
    rng = np.random.default_rng(5)
    return (rng.integers(0, 7, (rows, 6)) * (rng.random((rows, 6)) < 0.7)).astype("int32")


def floats(*shape):
    return np.random.default_rng(6).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("layer", ["Attention", "AdditiveAttention"])
@pytest.mark.parametrize("hidden", [(True, False), (False, True), (True, True), (False, False)])
def test_none_among_explicit_masks_takes_off_the_mask_that_travels(layer, hidden):
    given = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(7, 4, mask_zero=True)(given)
    mask = keras.ops.greater(x[:, :, 0], 0.0)
    value = keras.layers.Dense(4)(x)
    read = [x, value, keras.layers.Dense(4)(x)][: 2 + hidden[0]]  # a key, which takes no mask, in half of the rows
    y = getattr(keras.layers, layer)()(read, mask=[mask if h else None for h in hidden])
    random_models.assert_parity(keras.Model(given, keras.layers.GRU(3)(y)), ids(), MODES)


@pytest.mark.parametrize("masked", [(), ("left",), ("left", "right")])
@pytest.mark.parametrize("structure", [dict, list])
def test_a_nested_model_of_several_inputs_takes_a_mask_for_each(masked, structure):
    given = keras.Input((6,), dtype="int32")
    parts = {}
    for name in ("left", "right"):
        parts[name] = keras.layers.Embedding(7, 4, mask_zero=name in masked)(given)
    inner = {name: keras.Input((6, 4), name=name) for name in parts}
    y = keras.layers.Add()([keras.layers.LSTM(3)(inner["left"]), keras.layers.SimpleRNN(3)(inner["right"])])
    if structure is dict:
        out = keras.Model(inner, y)({"right": parts["right"], "left": parts["left"]})
    else:
        out = keras.Model(list(inner.values()), y)(list(parts.values()))
    random_models.assert_parity(keras.Model(given, out), ids(), MODES)


def test_infinity_in_operations():
    given = keras.Input((5,))
    hidden = keras.ops.where(given > 0, given, -np.inf)
    largest = keras.ops.norm(given, ord=np.inf, axis=-1, keepdims=True)
    x = np.abs(floats(13, 5)) * np.array([1, -1, 1, -1, 1], "float32")
    random_models.assert_parity(keras.Model(given, [keras.ops.softmax(hidden), largest]), x, MODES)


def test_infinity_and_nan_as_options_of_layers_are_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.ReLU(6.0, name="capped")])
    data = parity.saved(model)
    for key, value, text, shown in (("negative_slope", 0.0, "Infinity", "inf"), ("max_value", 6.0, "NaN", "nan")):
        config = members(data)["config.json"].decode().replace(f'"{key}": {value}', f'"{key}": {text}')
        with pytest.raises(CorruptFile, match=f"'capped' has the option '{key}' = {shown}; it must be finite"):
            load_keras(hostile.changed_zip(data, config=config))


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_encodings_go_straight_into_layers(mode):
    given = keras.Input((4,), dtype="string")
    y = keras.layers.StringLookup(vocabulary=["a", "b", "c"], output_mode=mode)(given)
    y = keras.layers.Dense(3)(y) if mode != "one_hot" else keras.layers.Bidirectional(keras.layers.GRU(2))(y)
    x = np.random.default_rng(1).choice(["a", "b", "c", "d"], (13, 4))
    random_models.assert_parity(keras.Model(given, y), x, MODES)


def test_cells_of_a_16_bit_policy_keep_the_dtype_of_the_loop():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        given = keras.Input((5, 3))
        y = keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.SimpleRNNCell(2)])(given)
    finally:
        keras.config.set_dtype_policy("float32")
    random_models.assert_parity(keras.Model(given, y), floats(13, 5, 3), MODES)
