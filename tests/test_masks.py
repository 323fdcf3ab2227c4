"""Masks: Keras's rules as data, compared with the installed Keras, and masks in recurrent layers."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import fnet
from fnet import Masked, bind, tree
from fnet.core.rules import rules_of
from fnet.masks import mask_of, strip
from params.table.layers import FOREIGN, LAYERS
from tests import parity
from tests.cases import all_cases


@functools.cache
def keras_layers():
    """The Keras twins of the table of cases."""
    return [case.keras_layer(keras, "float32") for case in all_cases() if case.twin]


@pytest.mark.parametrize("name", sorted(set(LAYERS) - FOREIGN - {"InputLayer"}))
def test_the_mask_rules_are_those_of_the_installed_keras(name):
    cls = getattr(keras.layers, name)
    layer = min(keras_layers(), key=lambda layer: (type(layer) is not cls, not isinstance(layer, cls)))
    assert isinstance(layer, cls)
    own = type(layer).compute_mask is not keras.layers.Layer.compute_mask
    found = "drop" if not layer.supports_masking else "own" if own else "keep"
    declared = rules_of(LAYERS[name].layer).mask or "keep"
    # "own" is also how a layer reads a mask, or makes one on request; a Dot hands none on.
    assert declared in {found, "own"} or (name, declared) == ("Dot", "drop")


X = np.random.default_rng(0).standard_normal((5, 6, 3)).astype("float32")
MASKS = {
    "leading": [0, 0, 1, 1, 1, 1],
    "inner": [1, 1, 0, 0, 1, 1],
    "trailing": [1, 1, 1, 1, 0, 0],
    "holes": [0, 1, 0, 1, 0, 1],
    "none valid": [0, 0, 0, 0, 0, 0],
}
MASK = np.array(list(MASKS.values()), bool)
KINDS = [
    bind(fnet.simple_rnn, units=4),
    bind(fnet.lstm, units=4),
    bind(fnet.lstm, units=4, activation="softsign"),
    bind(fnet.gru, units=4),
    bind(fnet.gru, units=4, reset_after=False),
    bind(fnet.rnn, cell=(bind(fnet.lstm_cell, units=4), bind(fnet.gru_cell, units=4))),
]


def params_of(layer):
    """Params whose biases are not zero, so that a step over nothing would show."""
    made = fnet.init(layer, 0, X.shape)
    return tree.map(lambda a: a + np.float32(0.1), made)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("layer", KINDS, ids=repr)
def test_masked_steps_might_as_well_not_be_there(each_backend_slowly, layer, backwards):
    layer = bind(layer, go_backwards=backwards)
    params = params_of(layer)
    y = np.asarray(layer(params, Masked(X, MASK)))
    for row, mask in enumerate(MASK[:4]):
        alone = np.asarray(layer(params, X[row : row + 1, mask]))
        parity.assert_close(y[row], alone[0])
    np.testing.assert_array_equal(y[4], 0)


@pytest.mark.parametrize("layer", KINDS, ids=repr)
def test_a_masked_step_repeats_the_output_before_it(each_backend_slowly, layer):
    layer = bind(layer, return_sequences=True)
    y = layer(params_of(layer), Masked(X, MASK))
    assert mask_of(y) is not None
    np.testing.assert_array_equal(np.asarray(mask_of(y)), MASK)
    y = np.asarray(strip(y))
    for row, step in zip(*np.nonzero(~MASK), strict=True):
        np.testing.assert_array_equal(y[row, step], y[row, step - 1] if step else 0)
    zero = np.asarray(strip(bind(layer, zero_output_for_mask=True)(params_of(layer), Masked(X, MASK))))
    np.testing.assert_array_equal(zero, np.where(MASK[..., None], y, 0))


@pytest.mark.parametrize("layer", KINDS, ids=repr)
def test_both_halves_of_bidirectional_obey_the_mask(each_backend_slowly, layer):
    layer = bind(fnet.bidirectional, layer=layer)
    params = params_of(layer)
    y = np.asarray(layer(params, Masked(X, MASK)))
    for row, mask in enumerate(MASK[:4]):
        parity.assert_close(y[row], layer(params, X[row : row + 1, mask])[0])
    np.testing.assert_array_equal(y[4], 0)


def test_the_backward_half_gives_its_final_state_not_its_output_at_the_last_step(each_backend_slowly):
    layer = bind(fnet.bidirectional, layer=bind(fnet.lstm, units=4))
    params = params_of(layer)
    _, backward = np.split(np.asarray(layer(params, X)), 2, axis=1)
    alone = bind(fnet.lstm, units=4, go_backwards=True, return_sequences=True)
    outputs = np.asarray(strip(alone(params["backward_layer"], X)))
    parity.assert_close(backward, outputs[:, -1])
    assert np.abs(backward - outputs[:, 0]).max() > 1e-3


def test_a_stack_hands_the_mask_from_layer_to_layer(each_backend_slowly):
    model = fnet.sequential(
        embedding=bind(fnet.embedding, input_dim=5, output_dim=3, mask_zero=True),
        one=bind(fnet.bidirectional, layer=bind(fnet.lstm, units=4, return_sequences=True)),
        drop=bind(fnet.dense, units=4),
        two=bind(fnet.gru, units=4, return_sequences=True),
        three=bind(fnet.simple_rnn, units=2),
    )
    params = fnet.init(model, 0, fnet.Spec((5, 6), "int32"))
    ids = np.where(MASK, np.arange(1, 7) % 4 + 1, 0).astype("int32")
    y = np.asarray(model(params, ids))
    for row, mask in enumerate(MASK[:4]):
        parity.assert_close(y[row], model(params, ids[row : row + 1, mask])[0])
    np.testing.assert_array_equal(y[4], 0)


@pytest.mark.parametrize("step", [bind(fnet.simple_rnn, units=4), bind(fnet.lstm, units=4), bind(fnet.gru, units=4)])
def test_values_at_masked_steps_never_matter(each_backend_slowly, step):
    params = params_of(step)
    spoilt = np.where(MASK[..., None], X, np.float32(np.nan))
    y = np.asarray(step(params, Masked(spoilt, MASK)))
    parity.assert_close(y, step(params, Masked(X, MASK)))


@pytest.mark.parametrize("explicit", [False, True], ids=["travelling", "explicit"])
def test_with_initial_states_only_an_explicit_mask_is_applied(explicit):
    import keras
    import tensorflow as tf

    layer = keras.layers.LSTM(4, return_sequences=True)
    states = [np.full((5, 4), 0.5, "float32"), np.full((5, 4), -0.5, "float32")]
    x = tf.constant(X)
    if not explicit:
        keras.src.backend.set_keras_mask(x, tf.constant(MASK))
    theirs = layer(x, initial_state=states, **({"mask": MASK} if explicit else {}))
    params = dict(zip(("kernel", "recurrent_kernel", "bias"), layer.get_weights(), strict=True))
    step = bind(fnet.lstm, units=4, return_sequences=True)
    feed = {"sequences": X, "mask": MASK} if explicit else {"sequences": Masked(X, MASK)}
    for name in parity.FAST_MODES:
        with parity.mode(name) as run:
            y = run(step, params, {**feed, "initial_state": states})
            parity.assert_close(y, theirs)
            np.testing.assert_array_equal(np.asarray(mask_of(y)), np.asarray(theirs._keras_mask))


def test_time_distributed_gives_the_inner_layer_its_slice_of_the_mask(each_backend_slowly):
    import keras

    ids = np.array([[[1, 2, 0], [0, 0, 0]], [[3, 0, 1], [0, 4, 0]]], "int32")
    inputs = keras.Input((2, 3), dtype="int32")
    embedding, inner = keras.layers.Embedding(5, 3, mask_zero=True), keras.layers.LSTM(4)
    model = keras.Model(inputs, keras.layers.TimeDistributed(inner)(embedding(inputs)))
    ours = fnet.sequential(
        embedding=bind(fnet.embedding, input_dim=5, output_dim=3, mask_zero=True),
        each=bind(fnet.time_distributed, layer=bind(fnet.lstm, units=4)),
    )
    lstm = dict(zip(("kernel", "recurrent_kernel", "bias"), inner.get_weights(), strict=True))
    params = {"embedding": {"embeddings": embedding.get_weights()[0]}, "each": {"layer": lstm}}
    parity.assert_close(ours(params, ids), model(ids))


def test_masking_marks_and_clears_the_steps_of_its_value(each_backend_slowly):
    x = np.array([[[2.0, 2.0], [2.0, 1.0], [0.0, 0.0]]], "float32")
    y = fnet.masking({}, Masked(x, np.zeros((1, 3), bool)), mask_value=2.0)
    np.testing.assert_array_equal(np.asarray(y.mask), [[False, True, True]])
    np.testing.assert_array_equal(np.asarray(y.values), [[[0, 0], [2, 1], [0, 0]]])


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    """Twice each of its inputs, with Keras's default for masks."""

    supports_masking = True

    def call(self, x):
        return keras.tree.map_structure(lambda a: 2.0 * a, x)


@keras.saving.register_keras_serializable("tests")
class Difference(Doubled):
    def call(self, x):
        return x["q"] - x["p"]


@keras.saving.register_keras_serializable("tests")
class Turned(Doubled):
    """Its inputs the other way round, the first of them doubled."""

    def call(self, x):
        return x[1], 2.0 * x[0]


@pytest.mark.parametrize("hidden", [(0,), (1,), (0, 1)])
def test_an_output_that_is_an_input_keeps_the_mask_of_that(hidden):
    inputs = keras.Input((4, 3)), keras.Input((4, 3))
    values = [keras.layers.Masking()(x) if place in hidden else x for place, x in enumerate(inputs)]
    made = keras.Model(inputs, [keras.layers.SimpleRNN(2)(x) for x in Turned()(values)])
    own = fnet.layer(shape=lambda x: ((x[1], x[0]), {}), mask="keep")(lambda params, x: (x[1], 2 * x[0]))
    model, params = fnet.from_keras(made, custom={"tests>Turned": own})
    given = [np.where(np.arange(4)[:, None] < 2, X[:, :4], 0), np.where(np.arange(4)[:, None] < 3, X[:, 2:], 0)]
    for y, theirs in zip(model(params, given), made(given), strict=True):
        parity.assert_close(y, theirs)


@keras.saving.register_keras_serializable("tests")
class OfTwo(Doubled):
    def call(self, first, second):
        return 2.0 * first, 2.0 * second


@pytest.mark.parametrize("hidden", [(0,), (1,), (0, 1)])
def test_of_several_arguments_the_mask_of_the_first_is_handed_on(hidden, tmp_path):
    inputs = keras.Input((4, 3)), keras.Input((4, 3))
    values = [keras.layers.Masking()(x) if place in hidden else x for place, x in enumerate(inputs)]
    made = keras.Model(inputs, [keras.layers.SimpleRNN(2)(x) for x in OfTwo()(*values)])
    own = fnet.layer(shape=lambda x: (x, {}), mask="keep")(lambda params, x: (2 * x[0], 2 * x[1]))
    model, params = fnet.from_keras(made, custom={"tests>OfTwo": own})
    fnet.to_keras(model, params, tmp_path / "m.keras", custom={"tests>OfTwo": own})
    again = keras.models.load_model(tmp_path / "m.keras")
    given = [np.where(np.arange(4)[:, None] < 2, X[:, :4], 0), np.where(np.arange(4)[:, None] < 3, X[:, 2:], 0)]
    for y, written, theirs in zip(model(params, given), again(given), made(given), strict=True):
        parity.assert_close(y, theirs)
        parity.assert_close(written, theirs)


def test_an_option_masks_of_a_layer_of_ones_own_is_no_rule():
    inputs = keras.Input((4, 3)), keras.Input((4, 3))
    made = keras.Model(inputs, OfTwo()(keras.layers.Masking()(inputs[0]), inputs[1]))

    @fnet.layer(shape=lambda x: (x, {}), mask="keep")
    def doubled(params, x, *, masks="same"):
        return tuple({"same": 2, "first": 3}[masks] * values for values in x)

    x = X[:, :4]
    model, params = fnet.from_keras(made, custom={"tests>OfTwo": doubled})
    for y, theirs in zip(model(params, [x, x]), made([x, x]), strict=True):
        parity.assert_close(y, theirs)
    assert bind(doubled, masks="same").rules.mask == "keep"


@pytest.mark.parametrize("order", ["qp", "pq"])
@pytest.mark.parametrize("hidden", ["q", "p"])
def test_masks_of_dicts_are_handed_on_by_sorted_key(order, hidden):
    a, b = keras.Input((4, 3)), keras.Input((4, 3))
    values = {key: keras.layers.Masking()(a) if key == hidden else b for key in order}
    twice = Doubled()(values)
    ends = [keras.layers.SimpleRNN(2)(x) for x in (Difference()(values), twice["q"], twice["p"])]
    made = keras.Model([a, b], ends)
    own = {
        "tests>Doubled": fnet.layer(shape=lambda x: (x, {}), mask="keep")(
            lambda params, x: tree.map(lambda a: 2 * a, x)
        ),
        "tests>Difference": fnet.layer(shape=lambda x: (x["q"], {}), mask="keep")(lambda params, x: x["q"] - x["p"]),
    }
    model, params = fnet.from_keras(made, custom=own)
    given = [np.where(np.arange(4)[:, None] < 2, X[:, :4], 0), X[:, 2:]]
    for y, theirs in zip(model(params, given), made(given), strict=True):
        parity.assert_close(y, theirs)


def test_numbers_above_a_half_hide_nothing_in_a_softmax():
    mask = np.float32([[0.5, 0.51, 1, 0.49]])
    y = fnet.softmax({}, Masked(np.zeros((1, 4), "float32"), mask)).values
    np.testing.assert_allclose(y, keras.layers.Softmax()(np.zeros((1, 4), "float32"), mask=mask), atol=1e-7)


# --- which layers keep, drop and combine masks, on drawn shapes and masks -----------------------------

ONE = [
    (fnet.activation, "Activation", {"activation": "relu"}),
    (fnet.relu, "ReLU", {}),
    (fnet.leaky_relu, "LeakyReLU", {}),
    (fnet.elu, "ELU", {}),
    (fnet.unit_normalization, "UnitNormalization", {}),
    (fnet.dropout, "Dropout", {"rate": 0.5}),
    (fnet.spatial_dropout1d, "SpatialDropout1D", {"rate": 0.5}),
    (fnet.gaussian_noise, "GaussianNoise", {"stddev": 0.5}),
    (fnet.activity_regularization, "ActivityRegularization", {}),
    (fnet.flatten, "Flatten", {}),
    (fnet.permute, "Permute", {"dims": (2, 1)}),
    (fnet.reshape, "Reshape", {"target_shape": (-1,)}),
    (fnet.zero_padding1d, "ZeroPadding1D", {}),
    (fnet.up_sampling1d, "UpSampling1D", {}),
]
SEVERAL = [
    (fnet.add, "Add", {}),
    (fnet.average, "Average", {}),
    (fnet.multiply, "Multiply", {}),
    (fnet.maximum, "Maximum", {}),
    (fnet.minimum, "Minimum", {}),
    (fnet.concatenate, "Concatenate", {"axis": 1}),
    (fnet.concatenate, "Concatenate", {"axis": -1}),
    (fnet.attention, "Attention", {}),
    (fnet.additive_attention, "AdditiveAttention", {"use_scale": False}),
]
SHAPES = st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(1, 3))
EXAMPLES = settings(max_examples=15)


def _draw(seed, shape, count, masked):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype("float32") for _ in range(count)]
    masks = [rng.random(shape[:2]) < 0.5 if on else None for on in masked]
    return arrays, masks


def _in_keras(array, mask):
    tensor = tf.convert_to_tensor(array)
    if mask is not None:
        keras.src.backend.set_keras_mask(tensor, tf.convert_to_tensor(mask))
    return tensor


def _in_fnet(array, mask):
    return array if mask is None else Masked(array, mask)


def assert_same(ours, theirs):
    parity.assert_close(ours, theirs)
    mask, wanted = mask_of(ours), getattr(theirs, "_keras_mask", None)
    assert (mask is None) == (wanted is None), f"mask {mask}, Keras gives {wanted}"
    if wanted is not None:
        np.testing.assert_array_equal(mask, np.asarray(wanted))


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize(("layer", "twin", "options"), ONE, ids=lambda value: getattr(value, "__name__", None))
@EXAMPLES
@given(seed=st.integers(0, 99), shape=SHAPES, masked=st.booleans())
def test_layers_of_one_input(layer, twin, options, seed, shape, masked):
    (array,), (mask,) = _draw(seed, shape, 1, [masked])
    theirs = getattr(keras.layers, twin)(**options)(_in_keras(array, mask))
    assert_same(bind(layer, **options)({}, _in_fnet(array, mask)), theirs)


@pytest.mark.parametrize(("layer", "twin", "options"), SEVERAL, ids=lambda value: getattr(value, "__name__", None))
@EXAMPLES
@given(seed=st.integers(0, 99), shape=SHAPES, masked=st.lists(st.booleans(), min_size=2, max_size=3))
def test_layers_of_several_inputs(layer, twin, options, seed, shape, masked):
    arrays, masks = _draw(seed, shape, len(masked), masked)
    pairs = list(zip(arrays, masks, strict=True))
    theirs = getattr(keras.layers, twin)(**options)([_in_keras(*pair) for pair in pairs])
    assert_same(bind(layer, **options)({}, [_in_fnet(*pair) for pair in pairs]), theirs)
