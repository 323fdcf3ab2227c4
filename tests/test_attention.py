"""What multi-head attention does to masks around it, and dropout inside attention."""

import keras
import numpy as np
import pytest

import fnet
from fnet import bind
from tests import parity

IDS = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 0, 0], [0, 6, 0, 2, 0]], "int32")
ATTENTION = {"num_heads": 2, "key_dim": 3}


def _transformer_of_keras():
    keras.utils.set_random_seed(3)
    ids = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(7, 4, mask_zero=True, name="embed")(ids)
    x = keras.layers.Dropout(0.1)(x)
    for block in "ab":
        attended = keras.layers.MultiHeadAttention(**ATTENTION, name=f"attend_{block}")(x, x)
        x = keras.layers.LayerNormalization(name=f"norm_{block}")(keras.layers.Add()([x, attended]))
    return keras.Model(ids, x)


def _transformer_of_fnet():
    step = bind(fnet.multi_head_attention, **ATTENTION)
    nodes = {"embed": (bind(fnet.embedding, mask_zero=True), "ids"), "drop": (bind(fnet.dropout, rate=0.1), "embed")}
    x = "drop"
    for block in "ab":
        nodes[f"attend_{block}"] = (step, (x, x))
        nodes[f"add_{block}"] = (fnet.add, (fnet.masked_by(x, None), f"attend_{block}"))  # what Keras does to x
        nodes[f"norm_{block}"] = (fnet.layer_normalization, f"add_{block}")
        x = f"norm_{block}"
    return fnet.graph(nodes, inputs="ids", outputs=x)


def _params_of(model):
    def dense(layer):
        return {"kernel": layer.kernel.numpy(), "bias": layer.bias.numpy()}

    params = {"embed": {"embeddings": model.get_layer("embed").embeddings.numpy()}}
    for block in "ab":
        layer, norm = model.get_layer(f"attend_{block}"), model.get_layer(f"norm_{block}")
        names = ("query_dense", "key_dense", "value_dense", "output_dense")
        params[f"attend_{block}"] = {name: dense(getattr(layer, name)) for name in names}
        params[f"norm_{block}"] = {"gamma": norm.gamma.numpy(), "beta": norm.beta.numpy()}
    return params


def test_second_block_sees_no_mask_because_keras_deletes_it_in_the_first(each_backend):
    theirs = _transformer_of_keras()
    ours, params = _transformer_of_fnet(), _params_of(theirs)
    parity.assert_close(ours(params, IDS), theirs.predict(IDS, verbose=0))


@pytest.mark.parametrize(
    "step",
    [
        bind(fnet.attention, dropout=0.5),
        bind(fnet.additive_attention, dropout=0.5),
        bind(fnet.multi_head_attention, **ATTENTION, dropout=0.5),
        bind(fnet.group_query_attention, head_dim=3, num_query_heads=4, num_key_value_heads=2, dropout=0.5),
    ],
    ids=lambda step: step.function.__name__,
)
def test_weights_drop_under_an_rng_only(step, each_backend):
    x = (np.ones((2, 3, 4), "float32"),) * 2
    params = fnet.init(step, 0, (x[0].shape, x[1].shape))
    noisy = fnet.with_rng(step, params, 1)
    assert "rng" in noisy
    run = fnet.jit(step)
    np.testing.assert_array_equal(run(params, x), run(params, x))
    assert not np.allclose(run(params, x), run(noisy, x))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((1, 2, 3)), "takes (query, value)"),
        ({"query": np.ones((1, 2, 3))}, "query and value among them"),
        ({"query": np.ones((1, 2, 3)), "value": np.ones((1, 2, 3)), "mask": None}, "the keys"),
    ],
)
def test_wrong_inputs_are_named(x, message):
    with pytest.raises(fnet.InvalidInput) as raised:
        fnet.attention({}, x)
    assert message in str(raised.value)


def _weights(mask, step=None, **options):
    """The weights of attention of four places over each other under an attention_mask."""
    step = step or bind(fnet.multi_head_attention, **ATTENTION)
    step = bind(step, return_attention_scores=True, **options)
    shape = (1, 2, 2, 4) if "attention_axes" in options else (1, 4, 4)
    query = np.random.default_rng(0).standard_normal(shape, "float32")
    params = fnet.init(step, 0, (query.shape, query.shape))
    return np.asarray(step(params, {"query": query, "value": query, "attention_mask": mask})[1].values)


@pytest.mark.parametrize(
    ("masks", "as_hidden"), [("keras2", True), ("keras3.7", True), ("keras3.8", False), ("keras3.12", False)]
)
def test_a_fraction_in_a_mask_weighs_to_keras_3_7_and_is_seen_later(masks, as_hidden, each_backend):
    mask = np.ones((1, 4, 4), "float32")
    mask[0, :, 1] = 0.75
    np.testing.assert_array_equal(
        _weights(mask, masks=masks), _weights(mask == 1 if as_hidden else mask > 0, masks=masks)
    )
    both = _weights(mask, masks=masks, use_causal_mask=True)  # next to another mask it is one of bool
    np.testing.assert_array_equal(both, _weights(mask > 0, masks=masks, use_causal_mask=True))


def test_a_fraction_in_a_mask_of_grouped_queries_weighs_the_result_to_keras_3_12(each_backend):
    step = bind(fnet.group_query_attention, head_dim=3, num_query_heads=4, num_key_value_heads=2)
    mask = np.ones((1, 4, 4), "float32")
    mask[0, :, 1] = 0.25
    plain = _weights(mask == 1, step)
    np.testing.assert_array_equal(_weights(mask, step), plain)
    np.testing.assert_array_equal(_weights(mask, step, masks="keras2"), _weights(mask == 1, step, masks="keras2"))
    mask[0, :, 1] = 1 + 2**-23  # above 1 it adds to the score, -1e9 (1 - mask) = 119
    np.testing.assert_allclose(_weights(mask, step, masks="keras3.12")[..., 1], 1 + 2**-23, rtol=1e-6)


def test_where_all_is_hidden_over_two_axes_each_weight_is_1_to_keras_3_9(each_backend):
    """Recorded with Keras 2.15 and 3.6: the logarithm of the sum is lost next to -1e9."""
    mask = np.zeros((1, 2, 2, 2, 2), bool)
    for masks, weight in (("keras2", 1.0), ("keras3.8", 1.0), ("keras3.12", 0.0), ("keras3", 0.0)):
        np.testing.assert_array_equal(_weights(mask, masks=masks, attention_axes=(1, 2)), weight)
    x = fnet.masks.Masked(np.ones((1, 2, 2), "float32"), mask[0, :1, 0])
    for masks, weight in (("keras2", 1.0), ("keras3.12", 0.0)):
        np.testing.assert_array_equal(fnet.softmax({}, x, axis=(1, 2), masks=masks).values, weight)
