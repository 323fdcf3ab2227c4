"""Known ways to get recurrent layers wrong, dropout under an rng, and what is refused."""

import keras
import numpy as np
import pytest
from keras import layers

import fnet
from compare import yardstick
from fnet import Masked, bind, random
from fnet.backend import ops
from fnet.core.model import flow
from fnet.inference.rows import rows_independent
from params import from_keras
from tests import parity

X = np.random.default_rng(0).standard_normal((3, 6, 5)).astype("float32")
LAYERS = [
    bind(fnet.simple_rnn, units=4),
    bind(fnet.lstm, units=4),
    bind(fnet.gru, units=4),
    bind(fnet.gru, units=4, reset_after=False),
    bind(fnet.rnn, cell=(bind(fnet.lstm_cell, units=4), bind(fnet.gru_cell, units=4))),
    bind(fnet.bidirectional, layer=bind(fnet.lstm, units=4)),
]


@pytest.mark.parametrize("layer", [*LAYERS, bind(fnet.time_distributed, layer=bind(fnet.dense, units=2))], ids=repr)
def test_a_sequence_without_time_steps_is_refused(each_backend, layer):
    params = fnet.init(layer, 0, X.shape)
    with pytest.raises(fnet.InvalidInput, match="at least one time step"):
        layer(params, X[:, :0])


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_no_rows_give_no_rows(each_backend, layer):
    params = fnet.init(layer, 0, X.shape)
    run = fnet.jit(layer)
    assert run(params, X[:0]).shape == (0, *run(params, X).shape[1:])


@pytest.mark.parametrize("layer", [LAYERS[2], LAYERS[4]], ids=repr)
def test_initial_states_are_those_of_the_rows(each_backend, layer):
    """More of them would be rows that no sequence has; a state of one row is that of every row, as in Keras."""
    params = fnet.init(layer, 0, X.shape)
    states = [np.full((4, 4), 0.5, "float32")] * (1 if layer.function is fnet.gru else 3)
    for rows in (4, 2, 0):
        with pytest.raises(fnet.InvalidInput, match=rf"states of \(3, 4\); got one of \({rows}, 4\)"):
            layer(params, (X, *(state[:rows] for state in states)))
    y = layer(params, (X, *(state[:3] for state in states)))
    np.testing.assert_array_equal(layer(params, (X, *(state[:1] for state in states))), y)


@pytest.mark.parametrize("steps", [5, 1, 7])
def test_a_mask_has_every_time_step(each_backend, steps):
    mask = np.ones((3, steps), bool)
    with pytest.raises(fnet.InvalidInput, match=f"6 time steps, and a mask of {steps}"):
        LAYERS[2](fnet.init(LAYERS[2], 0, X.shape), {"sequences": X, "mask": mask})


@pytest.mark.parametrize("layer", LAYERS[:4], ids=repr)
def test_float64_stays_float64(layer):
    params = {key: value.astype("float64") for key, value in fnet.init(layer, 0, X.shape).items()}
    assert layer(params, X.astype("float64")).dtype == np.float64


def test_gates_lie_along_the_last_axis_in_the_order_i_f_c_o(each_backend):
    """With only the forget gate open an LSTM keeps its cell state; with only the output gate it shows it."""
    bias = np.repeat(np.array([-50.0, 50.0, 0.0, 50.0], "float32"), 2)
    params = {"kernel": np.zeros((5, 8), "float32"), "recurrent_kernel": np.zeros((2, 8), "float32"), "bias": bias}
    c = np.array([[0.5, -1.0]] * 3, "float32")
    y, h, end = fnet.lstm(params, (X, np.zeros_like(c), c), return_state=True)
    parity.assert_close(end, c)
    parity.assert_close(y, np.tanh(c))
    np.testing.assert_array_equal(np.asarray(h), np.asarray(y))


def test_gru_has_a_bias_row_for_the_input_and_one_for_the_state(each_backend):
    """Only the recurrent row goes through the reset gate, here closed."""
    bias = np.array([[-50.0, -50.0, 0.3], [0.0, 0.0, 5.0]], "float32")
    params = {"kernel": np.zeros((5, 3), "float32"), "recurrent_kernel": np.zeros((1, 3), "float32"), "bias": bias}
    parity.assert_close(fnet.gru(params, X), np.full((3, 1), np.tanh(0.3)))


def test_a_stack_needs_return_sequences():
    stack = fnet.sequential(bind(fnet.lstm, units=4), bind(fnet.lstm, units=2))
    with pytest.raises(fnet.InvalidInput, match="lacks return_sequences=True"):
        fnet.init(stack, 0, X.shape)
    params = fnet.init(fnet.sequential(bind(fnet.lstm, units=4, return_sequences=True), stack["lstm_1"]), 0, X.shape)
    with pytest.raises(fnet.InvalidInput, match="lacks return_sequences=True"):
        stack(params, X)
    with pytest.raises(fnet.InvalidInput, match="at each time step"):
        fnet.init(bind(fnet.gru, units=2), 0, (3, 6, 5, 4))


def by_hand(params, x, dropped, kept):
    """A SimpleRNN with the given dropout masks, one step at a time."""
    h = np.zeros((len(x), 4))
    for t in range(x.shape[1]):
        z = (x[:, t] * dropped) @ params["kernel"] + (h * kept) @ params["recurrent_kernel"] + params["bias"]
        h = np.tanh(z)
    return h


def test_dropout_draws_one_mask_for_the_whole_sequence(each_backend):
    layer = bind(fnet.simple_rnn, units=4, dropout=0.4, recurrent_dropout=0.25)
    params = fnet.init(layer, 0, X.shape)
    noisy = fnet.with_rng(layer, params, 7)
    masks = [
        np.asarray(random.bernoulli(random.fold_in(random.fold_in(noisy["rng"], which), 0), keep, shape)) / keep
        for which, keep, shape in ((0, 0.6, (3, 5)), (1, 0.75, (3, 4)))
    ]
    plain = {key: np.asarray(value) for key, value in params.items()}
    parity.assert_close(layer(noisy, X), by_hand(plain, X, *masks))
    assert np.abs(np.asarray(layer(noisy, X)) - np.asarray(layer(params, X))).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "alike"), [({}, True), ({"implementation": 1}, False), ({"recurrent_dropout": 0.5}, False)]
)
def test_gates_share_a_mask_or_have_their_own(options, alike):
    """Where the kernels of all gates are equal, and so are the masks, every gate is the sigmoid of one number."""
    layer = bind(fnet.lstm, units=4, dropout=0.5, return_state=True, **options)
    params = {key: np.zeros_like(value) for key, value in fnet.init(layer, 0, X.shape).items()}
    params["kernel"] = np.tile(np.random.default_rng(0).standard_normal((5, 4)).astype("float32"), 4)
    h, _, c = layer(fnet.with_rng(layer, params, 7), X[:, :1])
    o = h / np.tanh(c)
    assert (yardstick.error(c, o * np.tanh(np.log(o / (1 - o)))) < 1e-4) == alike


DROPPING = [
    bind(fnet.lstm, units=4, dropout=0.5),
    bind(fnet.gru, units=4, recurrent_dropout=0.5),
    bind(fnet.lstm, units=4, dropout=0.5, implementation=1),
    bind(fnet.gru, units=4, reset_after=False, dropout=0.3, recurrent_dropout=0.5),
    bind(fnet.rnn, cell=(bind(fnet.lstm_cell, units=4, dropout=0.5), bind(fnet.gru_cell, units=4))),
    bind(fnet.bidirectional, layer=bind(fnet.gru, units=4, dropout=0.5, return_sequences=True)),
]


@pytest.mark.parametrize("layer", DROPPING, ids=repr)
def test_dropout_acts_only_with_an_rng(layer):
    params = fnet.init(layer, 0, X.shape)
    noisy = fnet.with_rng(layer, params, 7)
    y = layer(noisy, X)
    assert np.abs(y - layer(params, X)).max() > 1e-3
    np.testing.assert_array_equal(y, layer(noisy, X))
    assert np.abs(y - layer(fnet.with_rng(layer, params, 8), X)).max() > 1e-3


@pytest.mark.parametrize(
    "layer", [*DROPPING[:2], *(pytest.param(layer, marks=pytest.mark.slow) for layer in DROPPING[2:])], ids=repr
)
def test_dropout_is_alike_on_both_backends(layer):
    """XLA takes a second to compile each draw."""
    noisy = fnet.with_rng(layer, fnet.init(layer, 0, X.shape), 7)
    y = layer(noisy, X)
    with fnet.backend.using("jax"):
        parity.assert_close(fnet.jit(layer)(noisy, X), y)


def test_the_mean_over_many_masks_is_near_the_undropped_projection():
    """Scaled by 1 / (1 - rate), so that a linear layer keeps its mean."""
    layer = bind(fnet.simple_rnn, units=4, activation="linear", dropout=0.5)
    params = fnet.init(layer, 0, X.shape)
    rows = np.repeat(X[:1], 20000, axis=0)
    mean = layer(fnet.with_rng(layer, params, 3), rows).mean(axis=0)
    np.testing.assert_allclose(mean, layer(params, X[:1])[0], atol=0.05)  # of 20,000 drawn masks


def test_cell_layers_agree_with_their_kernels(each_backend):
    """The fused NumPy kernels do what the cells do step by step."""
    kernels = set(ops.recurrences)
    assert kernels in (set(), {"simple_rnn", "lstm", "gru", "gru_reset_before"})
    for name, options in (("simple_rnn", {}), ("lstm", {}), ("gru", {}), ("gru", {"reset_after": False})):
        layer, cell = (
            bind(getattr(fnet, name), units=4, **options),
            bind(getattr(fnet, f"{name}_cell"), units=4, **options),
        )
        params = fnet.init(layer, 0, X.shape)
        states = [np.zeros((3, 4), "float32")] * (2 if name == "lstm" else 1)
        for t in range(X.shape[1]):
            y, states = cell(params, (X[:, t], states))
        parity.assert_close(layer(params, X), y)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LSTM(3, stateful=True),
        lambda: layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)], stateful=True, return_sequences=True),
        lambda: layers.Bidirectional(layers.GRU(3, stateful=True)),
        lambda: keras.Sequential([layers.Dense(4), keras.Sequential([layers.SimpleRNN(3, stateful=True)])]),
        lambda: layers.TimeDistributed(layers.Dense(3)),
    ],
)
def test_a_stateful_layer_keeps_its_states_from_one_time_to_the_next(make):
    x = keras.Input(batch_shape=(2, 3, 4, 5))
    keras_model = keras.Model(x, layers.TimeDistributed(make())(x))
    rng = np.random.default_rng(0)
    parity.fill(keras_model)
    values = rng.standard_normal((2, 3, 4, 5)).astype("float32")
    model, params = from_keras(keras_model)
    expected = np.asarray(keras_model(values))
    for name in ("numpy-readonly", "jax-jit"):
        with parity.mode(name) as run:
            parity.assert_close(run(model, params, values), expected)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda name=name, **o: bind(getattr(fnet, name), units=4, **o) for name in ("simple_rnn", "lstm", "gru")),
        lambda **o: bind(fnet.rnn, cell=LAYERS[4].options["cell"], **o),
        lambda **o: bind(fnet.bidirectional, layer=bind(fnet.gru, units=4, **o)),
    ],
    ids=["simple_rnn", "lstm", "gru", "rnn", "bidirectional"],
)
def test_time_major_layers_take_time_first(each_backend, make):
    """With masks, to the end, in pieces and in `predict`, whose rows they must not take apart."""
    flags = {"return_sequences": True, "return_state": True, "go_backwards": False}
    plain, turned = make(**flags), make(time_major=True, **flags)
    params = fnet.init(plain, 0, X.shape)
    mask = np.array([[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 1], [0] * 6], bool)
    expected, *states = flow(plain, params, Masked(X, mask))
    y, *ends = flow(turned, params, Masked(X.swapaxes(0, 1), mask.T))
    np.testing.assert_array_equal(np.asarray(y.values).swapaxes(0, 1), expected.values)
    np.testing.assert_array_equal(np.asarray(y.mask).T, mask)
    for one, other in zip(fnet.tree.leaves(ends), fnet.tree.leaves(states), strict=True):
        np.testing.assert_array_equal(one, other)
    assert fnet.infer(turned, fnet.Spec((6, 3, 5)))[0][0].shape == (6, 3, y.values.shape[-1])
    assert [rows_independent(step, fnet.Spec((None, 6, 5))) for step in (plain, turned)] == [True, False]


def test_time_major_layers_are_carried_from_piece_to_piece(each_backend):
    """A masked step at the beginning of a piece repeats the last output of the piece before."""
    layer = bind(fnet.lstm, units=4, time_major=True, return_sequences=True)
    mask = np.array([[1] * 6, [1, 1, 1, 1, 0, 1], [1, 1, 0, 1, 0, 0]], bool).T
    params, by_time = fnet.init(layer, 0, (6, 3, 5)), Masked(X.swapaxes(0, 1), mask)
    step, state = fnet.streaming(layer), fnet.initial_state(layer, (4, 3, 5))
    first, state = step(params, Masked(by_time.values[:4], mask[:4]), state)
    rest, _ = step(params, Masked(by_time.values[4:], mask[4:]), state)
    parity.assert_close(np.concatenate([first, rest]), layer(params, by_time))


def test_states_of_a_stack_are_dealt_out_in_order(each_backend):
    """Keras takes them flat, a list for each cell, or bare where a cell has one."""
    layer = bind(fnet.rnn, cell=(bind(fnet.gru_cell, units=4), bind(fnet.lstm_cell, units=2)))
    params = fnet.init(layer, 0, X.shape)
    g, h, c = (X[:, i, :n] for i, n in enumerate((4, 2, 2)))
    expected = layer(params, (X, [g], [h, c]))
    assert yardstick.error(layer(params, (X, [g * 0], [h, c])), expected) > 1e-3
    np.testing.assert_array_equal(layer(params, (X, g, [h, c])), expected)
    np.testing.assert_array_equal(layer(params, (X, g, h, c)), expected)
    for states, many in (((g, h), "few"), ((g, h, c, c), "many")):
        with pytest.raises(fnet.InvalidInput, match=f"got too {many}"):
            layer(params, (X, *states))


@pytest.mark.parametrize("rate", [1e-7, 1.0])
def test_a_dropout_of_everything_and_of_almost_nothing_drops_nothing_in_convolutional_recurrence(rate):
    """As in Keras, whose masks of rate 1 are left out."""
    step = bind(fnet.conv_lstm1d, filters=2, kernel_size=2, dropout=rate, recurrent_dropout=rate)
    params = fnet.init(step, 0, (None, 3, 5, 2))
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 2)).astype("float32")
    plain = bind(fnet.conv_lstm1d, filters=2, kernel_size=2)
    expected = plain({k: v for k, v in params.items() if k != "rng"}, x)
    np.testing.assert_allclose(step({**params, "rng": fnet.random.key(0)}, x), expected, atol=0 if rate == 1 else 1e-6)


def test_what_mixes_rows_runs_for_each_time_and_in_keras_2_once():
    in_turn, once = (
        fnet.time_distributed({}, X, layer=fnet.operations.flipud, masks=masks) for masks in ("keras3", "keras2")
    )
    np.testing.assert_array_equal(in_turn, X[::-1])
    np.testing.assert_array_equal(once, X[::-1, ::-1])
    over_rows = bind(fnet.softmax, axis=0)
    expected = np.stack([over_rows({}, step) for step in np.moveaxis(X, 1, 0)], axis=1)
    np.testing.assert_allclose(fnet.time_distributed({}, X, layer=over_rows), expected, atol=1e-7)


def test_a_sequence_alone_in_a_tuple_has_no_states():
    x = Masked(X, np.arange(6) < np.array([[6], [3], [4]]))
    for layer in LAYERS:
        params = fnet.init(layer, 0, X.shape)
        parity.assert_close(layer(params, (x,)), layer(params, x))


@pytest.mark.parametrize("inner", [fnet.lstm, fnet.gru])
def test_masks_travel_through_stateful_layers_as_through_others(inner):
    """A batch that begins a sequence gives what a call gives."""
    x = X.copy()
    x[0, 3:], x[1, :2], x[2, 4] = 0, 0, 0
    for keeps in (True, False):
        own = bind(inner, units=4, return_sequences=keeps, stateful=True)
        for first in (own, bind(fnet.bidirectional, layer=own)):
            last = [bind(fnet.gru, units=2)] * keeps
            model = fnet.sequential(bind(fnet.input_layer, shape=(3, 6, 5)), fnet.masking, first, *last)
            params = fnet.init(model, 0)
            parity.assert_close(fnet.predict(model, params, x, batch_size=3), model(params, x))


def test_a_cell_of_ones_own(each_backend):
    @fnet.layer(shape=lambda x: ((x, [x]), {}))
    def mean_cell(params, x):
        inputs, (state,) = x
        y = (inputs + state) / 2
        return y, [y]

    h = np.zeros((3, 5))
    for t in range(6):
        h = (X[:, t] + h) / 2
    parity.assert_close(fnet.rnn({}, X, cell=mean_cell), h.astype("float32"))


@pytest.mark.parametrize("call", [lambda step, params, x: step(params, x), fnet.predict], ids=["call", "predict"])
def test_each_time_of_a_stateful_layer_begins_with_the_states_of_the_one_before(call):
    inside = bind(fnet.lstm, units=3)
    step = bind(fnet.time_distributed, layer=bind(inside, stateful=True))
    model = fnet.sequential(t=step)
    params = fnet.init(model, 0, (2, 5, 4, 6))
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 6)).astype("float32")
    whole = bind(inside, return_sequences=True)(params["t"]["layer"], x.reshape(2, 20, 6))
    np.testing.assert_allclose(call(model, params, x), whole[:, 3::4], atol=1e-6)
