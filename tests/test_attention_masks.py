"""Masks that multi-head attention takes off its inputs, as Keras does: order of branches, nested models."""

import keras
import numpy as np
import pytest
from keras import layers

from params import load_keras
from params.convert.call_order import keras_order
from tests import parity

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras's save
    "ignore:.*mask attached to it:UserWarning",
)
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
