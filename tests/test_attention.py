"""Attention: masks that it takes off its inputs, as Keras does (order of branches, nested models); dropout, weights."""

import keras
import numpy as np
import pytest
from keras import layers

import fnet
from fnet import bind
from params import load_keras
from params.convert.call_order import keras_order
from tests import parity

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras's save
    "ignore:.*mask attached to it:UserWarning",
)

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
    """The attention weights of four positions over each other, with an attention_mask."""
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


# --- what others read of the same array ---------------------------------------------------------------

S = np.random.default_rng(1).standard_normal((3, 6, 4)).astype("float32")
S[:, 4:] = S[1, 2:] = 0


def pool(x):
    return layers.GlobalAveragePooling1D()(x)


def attention(x, y=None):
    return layers.MultiHeadAttention(2, 3)(x, x if y is None else y)


def masked_input():
    x = keras.Input((6, 4))
    return x, layers.Masking()(x)


SIBLINGS = {
    "in order": lambda m, a, b: [a, b],
    "reversed": lambda m, a, b: [b, a],
    "pooled": lambda m, a, b: [pool(a), pool(b)],
    "the masked one between": lambda m, a, b: [pool(a), pool(m), pool(b)],
    "dict": lambda m, a, b: {"b": pool(a), "a": pool(b)},
    "of other depths": lambda m, a, b: [layers.ReLU()(a), b],
    "merged": lambda m, a, b: pool(layers.Add()([b, a])),
    "residual": lambda m, a, b: pool(layers.Add()([m, a])),
    "concatenated": lambda m, a, b: pool(layers.Concatenate()([b, m, a])),
}


def plain(x):
    return attention(x)


def behind_dropout(x):
    return attention(*[layers.Dropout(0.3)(x)] * 2)


def behind_dense(x):
    return attention(*[layers.Dense(4)(x)] * 2)


def with_residual(x):
    return layers.Add()([x, attention(x)])


def two_deep(x):
    return nested(plain)(x)


def in_a_sequential(x):
    return keras.Sequential([keras.Input((6, 4)), layers.Dropout(0.2), nested(plain)])(x)


def in_a_plain_sequential(x):
    return keras.Sequential([keras.Input((6, 4)), layers.Dropout(0.2)])(x)


def nested(inside):
    x = keras.Input((6, 4))
    return keras.Model(x, inside(x))


INSIDE = [plain, behind_dropout, behind_dense, with_residual, two_deep, in_a_sequential, in_a_plain_sequential]
OUTSIDE = {
    "residual": lambda m, sub: pool(layers.Add()([m, sub(m)])),
    "pooled": lambda m, sub: [pool(sub(m)), pool(m)],
    "twice": lambda m, sub: pool(layers.Concatenate()([sub(m), sub(m), m])),
}


def assert_like_keras(keras_model, path):
    keras_model.save(path)
    model, params = load_keras(path)
    parity.assert_close(model(params, S), keras_model(S))


@pytest.mark.parametrize("use", SIBLINGS)
def test_siblings_on_one_masked_tensor(use, tmp_path, each_backend):
    x, m = masked_input()
    keras_model = keras.Model(x, SIBLINGS[use](m, attention(m), attention(m)))
    assert_like_keras(keras_model, tmp_path / "m.keras")


@pytest.mark.parametrize("use", OUTSIDE)
@pytest.mark.parametrize("inside", INSIDE, ids=lambda inside: inside.__name__)
def test_a_nested_model_takes_masks_off_outside(inside, use, tmp_path, each_backend):
    x, m = masked_input()
    assert_like_keras(keras.Model(x, OUTSIDE[use](m, nested(inside))), tmp_path / "m.keras")


def test_the_order_is_that_of_keras():
    x = keras.Input((4,))
    shared = layers.Dense(4)
    a, b, c = layers.Dense(4)(x), shared(x), layers.Dense(4)(shared(layers.ReLU()(x)))
    model = keras.Model(x, [a, layers.Add()([b, c]), layers.ReLU()(a), b])
    names, parents, layer = {}, {}, {}
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            names[node] = f"{node.operation.name}/{node.operation._inbound_nodes.index(node)}"
            layer[names[node]] = node.operation.name
    for node, name in names.items():
        parents[name] = [names[parent] for parent in node.parent_nodes]
    histories = [output._keras_history for output in model.outputs]
    ends = [names[h.operation._inbound_nodes[h.node_index]] for h in histories]
    ran = [
        names[node] for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]
    ]
    assert keras_order(ends, parents, layer) == ran


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_half_floats_by_hand_of_a_row_whose_keys_are_all_hidden(name, each_backend):
    """Under a policy floats of 16 bits are widened first."""
    layer = getattr(layers, name)(dtype="float16", use_scale=False)
    query, value = np.random.default_rng(0).normal(size=(2, 2, 3, 4)).astype("float16")
    mask = np.array([[True, False, True], [False, False, False]])
    step = bind(fnet.attention if name == "Attention" else fnet.additive_attention, use_scale=False)
    y = step({}, (query, fnet.Masked(value, mask)))
    assert y.dtype == "float16"
    np.testing.assert_allclose(np.asarray(y), layer([query, value], mask=[None, mask]), atol=2e-3)


@pytest.mark.parametrize("size", [1, 3])
def test_a_scale_that_would_broadcast_is_refused(size, each_backend):
    x, params = np.ones((1, 2, 4), "float32"), {"scale": np.ones(size, "float32")}
    with pytest.raises(fnet.InvalidInput, match=rf"would need a scale of \(4,\), and it has \({size},\)"):
        fnet.additive_attention(params, (x, x))
