"""Recurrent models as `fnet.optimize` makes them: values and gradients stay, on both backends, whatever the batch."""

import numpy as np
import pytest

import fnet
from fnet import bidirectional, bind, dense, dropout, embedding, gru, lstm, sequential, simple_rnn, tree
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
    params = tree.map(lambda a: rng.standard_normal(a.shape).astype(a.dtype) * 0.6, fnet.init(model, 0, shape))
    for leaf in tree.leaves(params):
        leaf.flags.writeable = False
    return params


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
        with pytest.raises(IndexError):
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


def test_dropout_with_an_rng_is_left_alone():
    model = classifier(gru, dropout=0.5)
    params = fnet.with_rng(model, drawn(model), 3)
    fast, values = fnet.optimize(model, params)
    assert fast == model
    np.testing.assert_array_equal(fast(values, ids()), model(params, ids()))


def test_a_stack_of_what_is_no_stack_is_refused():
    with pytest.raises(ValueError, match="cannot hold"):
        fnet.init(bind(fnet.recurrent_stack, layers=(bind(lstm, units=4), bind(lstm, units=4))), 0, (None, TIME, 3))
    stack = bind(fnet.recurrent_stack, layers=(bind(lstm, units=4),))
    params = fnet.init(stack, 0, (None, TIME, 3))
    with pytest.raises(fnet.InvalidInput, match="sequences"):
        stack(params, np.zeros((2, 3), "float32"))
    with pytest.raises(fnet.InvalidInput, match="at least one time step"):
        stack(params, np.zeros((2, 0, 3), "float32"))
