"""Recurrent models as `fnet.optimize` makes them: values and gradients stay, on both backends, whatever the batch."""

import numpy as np
import pytest

import fnet
from fnet import (
    Masked,
    backend,
    bidirectional,
    bind,
    dense,
    dropout,
    embedding,
    graph,
    gru,
    input_layer,
    lstm,
    masking,
    sequential,
    simple_rnn,
    tree,
)
from fnet.backend import numpy_recurrence
from fnet.constants import constant
from fnet.errors import InvalidInput
from fnet.inference import schedule
from fnet.inference.batches import Runner
from fnet.inference.lengths import batch_sizes, lengths
from tests import parity

TOKENS, TIME = 11, 7


def both(function, sequences, **options):
    return bind(bidirectional, layer=bind(function, units=4, return_sequences=sequences, **options))


def saved(step):
    """A bidirectional layer as Keras saves it: with a layer for each direction."""
    layer = bind(step.options["layer"], zero_output_for_mask=True)
    return bind(bidirectional, layer=layer, backward_layer=bind(layer, go_backwards=True))


def classifier(function, **options):
    return sequential(
        ids=bind(embedding, input_dim=TOKENS, output_dim=6, mask_zero=True),
        rest=bind(dropout, rate=0.5),
        first=saved(both(function, True, **options)),
        second=both(function, False, **options),
        scores=bind(dense, units=3),
    )


def drawn(model, shape=(None, TIME)):
    rng = np.random.default_rng(0)
    return tree.map(lambda a: constant(rng.standard_normal(a.shape).astype(a.dtype) * 0.6), fnet.init(model, 0, shape))


def ids(rows=9):
    """Rows of all lengths, with a hole, padded before, empty, full."""
    x = np.random.default_rng(1).integers(1, TOKENS, (rows, TIME))
    x[np.arange(TIME) >= np.arange(rows)[:, None] % (TIME + 1)] = 0
    x[5, 2] = x[6, :3] = 0
    x[7] = 3
    return x


KINDS = [(simple_rnn, {}), (lstm, {}), (gru, {}), (gru, {"reset_after": False}), (lstm, {"use_bias": False})]


@pytest.mark.parametrize(("function", "options"), KINDS)
def test_an_embedding_and_the_layers_after_it_become_one_that_gives_the_same(function, options):
    model = classifier(function, **options)
    params, x = drawn(model), ids()
    expected = fnet.predict(model, params, x, optimize=False)
    for limit, names in ((64 << 20, {"table"}), (0, {"embeddings"})):
        fast, values = fnet.optimize(model, params, table_bytes=limit)
        assert fast.names == ("second", "scores")
        assert names <= set(values["second"])
        fnet.check(fast, values, (None, TIME))
        for rows in (x, x[:1], x[7:8], x[4:7], x[:, :1], x[:0]):
            parity.assert_close(fast(values, rows), model(params, rows))
        with fnet.backend.using("jax"):
            parity.assert_close(fnet.jit(fast)(values, x), expected)
    parity.assert_close(fnet.predict(model, params, x, batch_size=2), expected)


@pytest.mark.parametrize("mask_zero", [True, False])
def test_all_outputs_of_a_stack_are_those_of_its_layer(each_backend, mask_zero):
    lookup = bind(embedding, input_dim=TOKENS, output_dim=3, mask_zero=mask_zero)
    for last in (bind(simple_rnn, units=2, return_sequences=True), saved(both(simple_rnn, True))):
        model = sequential(e=lookup, y=last)
        params, x = drawn(model), ids()
        fast, values = fnet.optimize(model, params)
        assert fast.names == ("y",)
        parity.assert_close(fast(values, x), model(params, x))


def test_a_mask_of_a_stack_may_be_of_integers_and_have_an_axis_more(each_backend):
    model = sequential(a=both(simple_rnn, True), y=both(simple_rnn, False))
    params, x = drawn(model, (None, TIME, 2)), np.ones((9, TIME, 2), "float32")
    fast, values = fnet.optimize(model, params)
    assert fast.names == ("y",)
    there = ids() > 0
    y = fast(values, Masked(x, there[..., None].astype("int32")))
    parity.assert_close(y, model(params, Masked(x, there)))


def test_what_gates_let_through_that_are_nearly_closed_is_exact(each_backend):
    """By biases alone: for the LSTM those of i and o, for the GRU that of r, whose other bias is 1."""
    low, zero = np.array([-5, -12, -20, -30], "float32"), np.zeros(4, "float32")
    gate = 1 / (1 + np.exp(-low.astype("float64")))
    kernels = {"kernel": np.zeros((2, 16), "float32"), "recurrent_kernel": np.zeros((4, 16), "float32")}
    narrow = {name: kernel[:, :12] for name, kernel in kernels.items()}
    two = np.stack([np.concatenate([zero - 50, low, zero]), np.concatenate([zero, zero, zero + 1])])
    for function, params, expected in (
        (lstm, {**kernels, "bias": np.concatenate([low, zero, zero + 1, low])}, gate * np.tanh(gate * np.tanh(1))),
        (gru, {**narrow, "bias": two}, np.tanh(gate)),
        (lstm, {**kernels, "bias": np.concatenate([zero - 120] * 4)}, 0 * gate),
    ):
        layer = bind(function, units=4)
        for model, given in ((layer, params), fnet.optimize(layer, params)):
            y = np.asarray(model(given, np.ones((1, 1, 2), "float32")))[0]
            np.testing.assert_allclose(y, expected, rtol=3e-6)


def test_gradients_through_a_stack_are_those_of_its_layers():
    import jax

    model = classifier(lstm)
    params, x = drawn(model), ids()

    def loss(params, rewrite):
        run, values = rewrite(model, params)
        return (run(values, x) ** 2).sum()

    with fnet.backend.using("jax"):
        plain, fast = (
            jax.jit(jax.grad(loss), static_argnums=1)(params, rewrite)
            for rewrite in (lambda model, params: (model, params), fnet.optimize)
        )
    parity.assert_close(fast, plain)


def test_an_id_beyond_the_table_is_an_error_and_a_negative_one_counts_from_the_end():
    model = sequential(ids=bind(embedding, input_dim=TOKENS, output_dim=6), last=bind(lstm, units=4))
    params, x = drawn(model), ids()
    fast, values = fnet.optimize(model, params)
    x[0, 0] = -1
    np.testing.assert_array_equal(fast(values, x), model(params, x))
    for wrong in (TOKENS, -TOKENS - 1):
        x[0, 0] = wrong
        with pytest.raises(InvalidInput, match="picks what is not there"):
            fast(values, x)


LEFT_ALONE = {
    "other activation": bind(lstm, units=4, activation="relu"),
    "other gates": bind(gru, units=4, recurrent_activation="hard_sigmoid"),
    "backwards": bind(lstm, units=4, go_backwards=True),
    "states": bind(lstm, units=4, return_state=True),
    "stateful": bind(lstm, units=4, stateful=True),
    "zeros": bind(lstm, units=4, zero_output_for_mask=True),
    "policy": bind(lstm, units=4, dtype="mixed_float16"),
    "sum": bind(bidirectional, layer=bind(lstm, units=4), merge_mode="sum"),
    "two layers": bind(
        bidirectional, layer=bind(lstm, units=4), backward_layer=bind(lstm, units=4, go_backwards=True, use_bias=False)
    ),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_does_more_than_a_stack_can_is_left_alone(name):
    model = sequential(layer=LEFT_ALONE[name])
    assert fnet.optimize(model, drawn(model, (None, TIME, 3)))[0] == model


@pytest.mark.parametrize("sources", [{"sequences": "x", "mask": "mask"}, ("x", "state", "state")])
def test_a_layer_that_is_given_its_mask_or_states_is_left_alone(sources):
    inputs = {
        "x": bind(fnet.input_layer, shape=(None, 5, 3)),
        "mask": bind(fnet.input_layer, shape=(None, 5), dtype="bool"),
        "state": bind(fnet.input_layer, shape=(None, 4)),
    }
    model = fnet.graph({**inputs, "y": (bind(lstm, units=4), sources)}, inputs=list(inputs), outputs="y")
    params = drawn(model, fnet.core.infer.input_spec(model))
    assert fnet.optimize(model, params)[0] == model
    x = [np.ones((2, 5, 3), "float32"), np.ones((2, 5), bool), np.ones((2, 4), "float32")]
    np.testing.assert_array_equal(fnet.predict(model, params, x), model(params, x))


def test_steps_that_no_row_has_are_left_out_before_rows_are_packed(monkeypatch):
    model = classifier(lstm)
    params, x = drawn(model), np.zeros((5, TIME), int)
    x[:, 1:4] = ids()[7, 1:4]
    expected = model(params, x)
    monkeypatch.setattr(numpy_recurrence, "Packed", None)
    with backend.using("numpy"):
        stack, laid_out = fnet.optimize(model, params)
        parity.assert_close(stack(laid_out, x), expected)


def test_ids_that_are_not_in_a_table_of_products_are_refused():
    table = np.arange(10, dtype="float32").reshape(1, 1, 5, 2)
    assert numpy_recurrence._looked_up(table, np.int32([[4, -1, 0]])).tolist() == [[[[8, 9], [8, 9], [0, 1]]]]
    for outside in (5, -6):
        with pytest.raises(IndexError, match="none of the 5 rows"):
            numpy_recurrence._looked_up(table, np.int32([[outside, 0, 1]]))


def test_dropout_with_an_rng_is_left_alone():
    model = classifier(gru, dropout=0.5)
    params = fnet.with_rng(model, drawn(model), 3)
    fast, values = fnet.optimize(model, params)
    assert fast == model
    np.testing.assert_array_equal(fast(values, ids()), model(params, ids()))


def test_a_stack_of_what_is_no_stack_is_refused(each_backend):
    with pytest.raises(ValueError, match="cannot hold"):
        fnet.init(bind(fnet.recurrent_stack, layers=(bind(lstm, units=4), bind(lstm, units=4))), 0, (None, TIME, 3))
    stack = bind(fnet.recurrent_stack, layers=(bind(lstm, units=4),))
    params = fnet.init(stack, 0, (None, TIME, 3))
    with pytest.raises(fnet.InvalidInput, match="sequences"):
        stack(params, np.zeros((2, 3), "float32"))
    with pytest.raises(fnet.InvalidInput, match="at least one time step"):
        stack(params, np.zeros((2, 0, 3), "float32"))
    with pytest.raises(fnet.InvalidInput, match="at least one time step"):
        fnet.infer(stack, fnet.Spec((2, 0, 3)))
    of_ids = bind(fnet.recurrent_stack, layers=(bind(fnet.embedding, input_dim=5, output_dim=3), bind(lstm, units=4)))
    params = fnet.init(of_ids, 0, (None, TIME))
    for shape, message in (((2, 3, 1), "ids"), ((2, 0), "at least one time step")):
        with pytest.raises(fnet.InvalidInput, match=message):
            of_ids(params, np.zeros(shape, "int32"))


# --- rows by length -------------------------------------------------------------------------------


def test_predict_takes_rows_by_length_and_gives_them_in_their_order(each_backend):
    model = classifier(lstm)
    params, x, done = drawn(model), ids(200), []
    with fnet.backend.using("numpy"):
        expected = model(params, x)
    y = fnet.predict(model, params, x, batch_size=8, progress=lambda rows, all_rows: done.append((rows, all_rows)))
    parity.assert_close(y, expected)
    assert done[-1] == (200, 200)
    assert done == sorted(set(done))
    np.testing.assert_array_equal(y, fnet.predict(model, params, x, batch_size=8, progress=lambda *_: None))
    parity.assert_close(fnet.predict(model, params, x, batch_size=8), expected)  # in larger parts
    parity.assert_close(fnet.predict(model, params, x, batch_size=8, optimize=False), expected)


def test_no_batch_has_more_places_than_full_rows_would_fill(monkeypatch):
    model, places = classifier(lstm), []
    params, x = drawn(model), np.tile(ids(8), (40, 1))
    outputs = Runner.outputs
    monkeypatch.setattr(schedule, "HELD", 0)  # small batches do not run together

    def counted(self, batch, size):
        places.append(size * int(np.count_nonzero(batch, axis=1).max()))
        return outputs(self, batch, size)

    monkeypatch.setattr(Runner, "outputs", counted)
    fnet.predict(model, params, x, batch_size=8)
    assert max(places) <= 8 * TIME
    assert len(places) < len(x) / 8


def test_what_is_wrong_with_a_row_is_told_by_its_place():
    model = classifier(lstm)
    params, x = drawn(model), ids()
    x[3, 1] = TOKENS
    with pytest.raises(fnet.InvalidInput, match="row 3 has id 11"):
        fnet.predict(model, params, x, batch_size=2)
    with pytest.warns(fnet.InvalidRows, match="1 of 9 rows"):
        y = fnet.predict(model, params, x, batch_size=2, invalid="mark")
    good = np.arange(9) != 3
    parity.assert_close(y[good], model(params, x[good]))


def test_by_what_rows_differ_in_length():
    lookup = bind(embedding, input_dim=TOKENS, output_dim=6, mask_zero=True)
    first, last = bind(gru, units=4, return_sequences=True), bind(gru, units=4)
    nodes = {"x": bind(input_layer, shape=(None, TIME)), "e": (lookup, "x"), "y": (last, "e")}
    for model, shrinks in (
        (sequential(x=bind(input_layer, shape=(None, TIME)), e=lookup, y=last), True),
        (sequential(e=lookup, y=first), False),
        (graph(nodes, inputs="x", outputs="y"), True),
        (sequential(inner=sequential(e=lookup), y=last), False),
        (sequential(m=bind(masking, mask_value=-1.0), y=last), False),
    ):
        shape = (None, TIME, 3) if "m" in model.names else (None, TIME)
        by = lengths(fnet.optimize(model, drawn(model, shape))[0])
        assert by.shrinks == shrinks
    np.testing.assert_array_equal(by.of(np.array([[[-1.0, -1.0], [-1.0, 0.0]]])), [1])
    both_read = graph({**nodes, "z": (lookup, "x")}, inputs="x", outputs=("y", "z"))
    unmasked = sequential(e=bind(embedding, input_dim=TOKENS, output_dim=6), y=last)
    for model in (both_read, unmasked, sequential(e=lookup, y=bind(dense, units=2)), sequential(y=last)):
        assert lengths(model) is None


def test_rows_lose_the_steps_that_they_do_not_have():
    by = lengths(fnet.optimize(classifier(lstm), drawn(classifier(lstm)))[0])
    x = np.zeros((3, 40), int)
    x[0, :9], x[1, 20:25], x[2, [3, 39]] = 1, 2, [3, 4]
    y = by.shrunk({"x": x})["x"]
    assert y.shape == (3, 12)
    for row, short in zip(x, y, strict=True):
        np.testing.assert_array_equal(short[short != 0], row[row != 0])
    assert [by.shrunk(np.ones((1, n), int)).shape[1] for n in (3, 8, 13, 33)] == [3, 8, 13, 33]
    assert by.shrunk(np.zeros((2, 40), int)).shape == (2, 8)


def test_short_rows_make_large_batches_of_no_more_places():
    shares = np.array([1.0] * 10 + [0.5] * 40 + [0.01] * 300)
    assert batch_sizes(350, 10, shares) == [10, 20, 20, 128, 128, 44]
    assert batch_sizes(25, 10) == [10, 10, 5]
    assert batch_sizes(3, 10, np.zeros(3)) == [3]
