"""What multi-head attention does to masks around it, and dropout inside attention."""

import keras
import numpy as np
import pytest

import fnet
from fnet import bind
from tests import parity

IDS = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 0, 0], [0, 6, 0, 2, 0]], "int32")
ATTENTION = {"num_heads": 2, "key_dim": 3}
NORM = {"epsilon": 1e-3}


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
