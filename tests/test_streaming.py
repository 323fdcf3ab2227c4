"""Sequences in pieces: two halves with carried state equal one pass, for every recurrent layer."""

import pickle

import numpy as np
import pytest

import fnet
from fnet import Masked, at, bind, tree
from fnet.inference.stream import Streaming, initial_state, streaming
from fnet.masks import strip
from params import load_keras
from tests.parity import assert_close

X = np.random.default_rng(0).standard_normal((3, 8, 5)).astype("float32")
MASK = np.random.default_rng(1).random((3, 8)) < 0.6
MASK[0, :5], MASK[1, 3:6], MASK[2] = False, False, False
IMAGES = np.random.default_rng(2).standard_normal((3, 8, 6, 6, 2)).astype("float32")
CELLS = (bind(fnet.lstm_cell, units=3), bind(fnet.gru_cell, units=2), bind(fnet.simple_rnn_cell, units=4))
LAYERS = [
    bind(fnet.simple_rnn, units=4),
    bind(fnet.simple_rnn, units=4, activation="relu", return_sequences=True),
    bind(fnet.lstm, units=4, return_sequences=True),
    bind(fnet.lstm, units=4, return_sequences=True, return_state=True, activation="softsign"),
    bind(fnet.lstm, units=4, zero_output_for_mask=True, return_sequences=True),
    bind(fnet.gru, units=4, return_sequences=True),
    bind(fnet.gru, units=4, reset_after=False, return_state=True),
    bind(fnet.rnn, cell=CELLS[1], return_sequences=True),
    bind(fnet.rnn, cell=CELLS, return_sequences=True, return_state=True),
    bind(fnet.conv_lstm2d, filters=2, kernel_size=3, return_sequences=True),
    bind(fnet.conv_lstm1d, filters=2, kernel_size=3, data_format="channels_last", return_state=True),
]


def sequences(layer):
    return {"conv_lstm2d": IMAGES, "conv_lstm1d": IMAGES[..., 0, :]}.get(layer.function.__name__, X)


def piece(x, masked, start, stop):
    return Masked(x[:, start:stop], MASK[:, start:stop]) if masked else x[:, start:stop]


def joined(pieces, layer):
    """The outputs of the pieces put together as the whole sequence would give them."""
    options = bind(layer).all_options
    outputs = [strip(y)[0] if options["return_state"] else strip(y) for y in pieces]
    y = np.concatenate(outputs, axis=1) if options["return_sequences"] else outputs[-1]
    return (y, *strip(pieces[-1])[1:]) if options["return_state"] else y


def test_an_optimized_model_is_not_streamed():
    """Its recurrent layers run as one, which keeps no states: every piece would start from zeros."""
    model = fnet.sequential(l=bind(fnet.lstm, units=4, return_sequences=True), d=bind(fnet.dense, units=2))
    fast, _ = fnet.optimize(model, fnet.init(model, 0, X.shape))
    with pytest.raises(ValueError, match="stream the model given to `optimize`"):
        streaming(fnet.sequential(fast))


@pytest.mark.parametrize("made", ["list", "states", "name", "part", "rows", "text", "array"])
def test_what_is_no_state_of_the_model_is_refused(made):
    """A name of no step and a part of a state were taken without a word, as zeros."""
    layer = bind(fnet.gru, units=4, return_sequences=True)
    model = fnet.sequential(a=layer, inner=fnet.sequential(b=layer))
    params = fnet.init(model, 0, X.shape)
    step, good = streaming(model), initial_state(model, X.shape)
    wrong = {
        "list": {**good, "a": good["a"]["states"]},
        "states": {**good, "inner": {"b": {"states": good["a"]["states"]}}},
        "name": {**good, "c": good["a"]},
        "part": {"a": good["a"]},
        "rows": initial_state(model, (5, *X.shape[1:])),
        "text": "abc",
        "array": X,
    }
    assert step(params, X, {})[0].shape == step(params, X, good)[0].shape == (3, 8, 4)
    with pytest.raises(fnet.InvalidInput, match=r"no state of this model|state of another model|states of"):
        step(params, X, wrong[made])


@pytest.mark.parametrize("size", ["3", 2.5, -1])
def test_the_size_of_a_batch_is_a_whole_number(size):
    with pytest.raises(fnet.InvalidInput, match="batch_size is a number of sequences"):
        initial_state(LAYERS[0], (None, 8, 5), batch_size=size)


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_pieces_equal_one_pass(each_backend_slowly, layer, masked):
    x = sequences(layer)
    params = fnet.init(layer, 0, x.shape)
    step, state, pieces = streaming(layer), None, []
    for start, stop in ((0, 4), (4, 5), (5, 8)):
        y, state = step(params, piece(x, masked, start, stop), state)
        pieces.append(y)
    assert_close(joined(pieces, layer), layer(params, piece(x, masked, 0, 8)))


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_initial_state_is_what_a_first_piece_starts_from(each_backend_slowly, layer):
    x = sequences(layer)
    params = fnet.init(layer, 0, x.shape)
    zero = initial_state(layer, (3, None, *x.shape[2:]))
    from_zero, after = streaming(layer)(params, x[:, :4], zero)
    from_none, _ = streaming(layer)(params, x[:, :4])
    assert_close(from_zero, from_none)
    assert [a.shape for a in tree.leaves(after)] == [z.shape for z in tree.leaves(zero)]
    assert [path for path, _ in tree.items(after)] == [path for path, _ in tree.items(zero)]


def text_model():
    inner = fnet.sequential(bind(fnet.lstm, units=4, return_sequences=True), bind(fnet.dense, units=3))
    return fnet.sequential(
        ids=bind(fnet.input_layer, shape=(None, None), dtype="int32"),
        embedding=bind(fnet.embedding, input_dim=9, output_dim=5, mask_zero=True),
        inner=inner,
        gru=bind(fnet.gru, units=4, stateful=True),
        head=bind(fnet.dense, units=2, activation="softmax"),
    )


def test_what_went_before_takes_the_dtype_of_what_goes_on(each_backend):
    before = np.full((3, 4), 0.5)
    for layer in (
        bind(fnet.lstm, units=4, return_sequences=True),
        bind(fnet.lstm, units=4, return_sequences=True, activation="softsign"),
    ):
        y = strip(layer(fnet.init(layer, 0, X.shape), {"sequences": X, "mask": MASK, "previous_output": before}))
        assert (y.dtype, y[0, 0].tolist()) == ("float32", [0.5] * 4)


def test_a_nested_model_with_masks_streams(each_backend_slowly):
    model = text_model()
    ids = np.random.default_rng(3).integers(0, 4, (3, 8)).astype("int32")
    ids[2] = 0
    params = fnet.init(model, 0)
    step = streaming(model)
    _, state = step(params, ids[:, :3], initial_state(model, batch_size=3))
    y, _ = step(params, ids[:, 3:], state)
    assert_close(y, model(params, ids))
    assert set(state) == {"inner", "gru"}


def test_a_graph_with_a_shared_layer_keeps_a_state_for_each_call(each_backend_slowly):
    shared = bind(fnet.lstm, units=3, return_sequences=True, return_state=True)
    model = fnet.graph(
        inputs=("a", "b"),
        first=(shared, "a", "lstm"),
        second=(shared, "b", "lstm"),
        last=(bind(fnet.gru, units=2, return_sequences=True), at("second", 0)),
        outputs={"a": at("first", 0), "b": "last"},
    )
    params = fnet.init(model, 0, (3, None, 5), (3, None, 5))
    whole = model(params, (X, X[::-1]))
    step, state = streaming(model), initial_state(model, (3, None, 5), (3, None, 5))
    pieces = []
    for start, stop in ((0, 5), (5, 8)):
        y, state = step(params, (X[:, start:stop], X[::-1, start:stop]), state)
        pieces.append(y)
    assert set(state) == {"first", "second", "last"}
    assert_close({key: np.concatenate([p[key] for p in pieces], axis=1) for key in whole}, whole)


def test_layers_that_read_backwards_take_the_last_piece_first(each_backend_slowly):
    layer = bind(fnet.gru, units=4, go_backwards=True)
    params = fnet.init(layer, 0, X.shape)
    step = streaming(layer)
    _, state = step(params, X[:, 4:])
    y, _ = step(params, X[:, :4], state)
    assert_close(y, layer(params, X))


def test_a_wired_initial_state_is_taken_at_each_piece():
    model = fnet.graph(inputs=("x", "h"), y=(bind(fnet.gru, units=5, return_sequences=True), ("x", "h")), outputs="y")
    params = fnet.init(model, 0, (3, None, 5), (3, 5))
    h = np.ones((3, 5), "float32")
    y, state = streaming(model)(params, (X, h))
    assert_close(y, model(params, (X, h)))
    assert state == {}
    assert initial_state(model, (3, None, 5), (3, 5)) == {}


def test_the_step_runs_under_jit_and_scan():
    import jax

    model = fnet.sequential(lstm=bind(fnet.lstm, units=4, return_sequences=True), dense=bind(fnet.dense, units=2))
    with fnet.backend.using("jax"):
        params = fnet.init(model, 0, X.shape)
        step = streaming(model)

        def one(state, x):
            y, state = step(params, x, state)
            return state, y

        pieces = X.reshape(3, 4, 2, 5).swapaxes(0, 1)
        _, ys = jax.jit(lambda s, p: jax.lax.scan(one, s, p))(initial_state(model, X.shape), pieces)
        assert_close(np.asarray(ys).swapaxes(0, 1).reshape(3, 8, 2), model(params, X))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's save
def test_a_saved_stateful_model_equals_its_stream(tmp_path):
    import keras

    lstm, gru = keras.layers.LSTM(4, stateful=True, return_sequences=True), keras.layers.GRU(3, stateful=True)
    theirs = keras.Sequential([keras.Input((4, 5), batch_size=3), lstm, gru])
    theirs.save(tmp_path / "stateful.keras")
    model, params = load_keras(tmp_path / "stateful.keras")
    step, state = streaming(model), None
    for start, stop in ((0, 4), (4, 8)):
        y, state = step(params, X[:, start:stop], state)
        assert_close(y, np.asarray(theirs(X[:, start:stop])))
    theirs.layers[0].reset_state()
    theirs.layers[1].reset_state()
    assert_close(model(params, X[:, :4]), np.asarray(theirs(X[:, :4])))


@pytest.mark.parametrize(
    "model",
    [
        bind(fnet.bidirectional, layer=bind(fnet.lstm, units=2)),
        fnet.sequential(bind(fnet.lstm, units=2, return_sequences=True), bind(fnet.lstm, units=2, go_backwards=True)),
    ],
    ids=["bidirectional", "both ways"],
)
def test_models_that_read_both_ways_are_refused(model):
    with pytest.raises(ValueError, match="both directions"):
        streaming(model)


def test_unknown_sizes_are_asked_for():
    with pytest.raises(ValueError, match="batch_size="):
        initial_state(bind(fnet.lstm, units=2), (None, None, 5))
    with pytest.raises(fnet.InvalidInput, match="give the input shape"):
        initial_state(bind(fnet.lstm, units=2))


def test_a_streaming_step_is_a_value():
    step = streaming(text_model())
    assert pickle.loads(pickle.dumps(step)) == step
    assert hash(step) == hash(Streaming(text_model()))
