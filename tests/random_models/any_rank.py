"""Steps for tensors of any rank: activations, normalization, dense, branches, operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.random_models.builder import Builder


def activation(b: Builder, x: Any) -> Any:
    layers = b.layers
    # Keras passes a mask (batch, time) to Softmax, which refuses it for (batch, time, features). In a nested model
    # the mask comes with the call.
    free = b.depth == 0 and b.keras.src.backend.get_keras_mask(x) is None
    softmax = [lambda: layers.Softmax(b.pick([-1, 1]))] if free else []
    drawn = b.pick(
        [
            lambda: layers.Activation(b.activation()),
            lambda: layers.LeakyReLU(b.pick([0.1, 0.3])),
            lambda: layers.ELU(b.pick([1.0, 0.4])),
            lambda: layers.ReLU(b.pick([None, 1.5]), negative_slope=b.pick([0.0, 0.2]), threshold=0.0),
            lambda: layers.PReLU(shared_axes=b.pick([None, [1]])),
            *softmax,
        ]
    )
    return drawn()(x)


def normalization(b: Builder, x: Any) -> Any:
    layers, channels = b.layers, x.shape[-1]
    groups = [n for n in (1, 2, channels) if channels % n == 0]
    drawn = b.pick(
        [
            lambda: layers.BatchNormalization(axis=b.pick([-1, 1]), center=b.flag(), scale=b.flag()),
            lambda: layers.LayerNormalization(axis=b.pick([-1, 1]), center=b.flag(), scale=b.flag()),
            lambda: layers.UnitNormalization(axis=b.pick([-1, 1])),
            lambda: layers.RMSNormalization(),
            lambda: layers.GroupNormalization(b.pick(groups)) if len(x.shape) > 2 else layers.RMSNormalization(),
            lambda: layers.SpectralNormalization(layers.Dense(3)),
            lambda: layers.Normalization(mean=0.3, variance=2.0, invert=b.flag()),
        ]
    )
    return drawn()(x)


def dense(b: Builder, x: Any) -> Any:
    own = b.pick([None, None, None, "float16", "mixed_bfloat16", "float64"]) if b.narrow else None
    return b.layers.Dense(b.pick([3, 4]), activation=b.activation(), use_bias=b.flag(), dtype=own)(x)


def einsum_dense(b: Builder, x: Any) -> Any:
    axes = "bcdef"[: len(x.shape) - 2]
    shape = (*x.shape[1:-1], b.pick([2, 4]))
    equation = f"a{axes}x,xy->a{axes}y"
    return b.layers.EinsumDense(equation, shape, bias_axes=b.pick([None, "y"]), activation=b.activation())(x)


def residual(b: Builder, x: Any) -> Any:
    kind = b.pick(["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"])
    other = b.pick([b.layers.Dense(x.shape[-1]), b.layers.Dense(1), b.layers.Activation("tanh")])(x)
    return getattr(b.layers, kind)()([x, other] if b.flag() else [other, x])


def branch(b: Builder, x: Any) -> Any:
    parts = [b.layers.Dense(2)(x), b.layers.Activation(b.activation())(x)]
    return b.layers.Concatenate()(parts if b.flag() else [*parts, parts[0]])


def unchanged(b: Builder, x: Any) -> Any:
    """Layers with little or no effect at inference."""
    layers = b.layers
    drawn = b.pick(
        [
            lambda: layers.Dropout(0.5),
            lambda: layers.GaussianNoise(0.1),
            lambda: layers.GaussianDropout(0.1),
            lambda: layers.AlphaDropout(0.1),
            lambda: layers.ActivityRegularization(0.1),
            lambda: layers.Identity(),
            lambda: layers.Rescaling(b.pick([0.5, 1 / 3]), offset=b.pick([0.0, -1.0])),
        ]
    )
    return drawn()(x)


def shared(b: Builder, x: Any) -> Any:
    """A dense layer that is called twice here, and again wherever the width is the same."""
    layer = b.shared.setdefault(("dense", x.shape[-1]), b.layers.Dense(x.shape[-1], activation="tanh"))
    return b.layers.Subtract()([layer(x), layer(b.layers.Activation("relu")(x))])


def arithmetic(b: Builder, x: Any) -> Any:
    """Operators and elementwise operations."""
    ops, channels = b.ops, x.shape[-1]
    constant = np.linspace(-1, 1, channels, dtype="float32")
    drawn = [
        lambda: x * 2.0 + 1.0,
        lambda: 1.0 - x,
        lambda: x / 3.0,
        lambda: -x + constant,
        lambda: x * constant,
        lambda: abs(x),
        lambda: ops.tanh(x) ** 2,
        lambda: ops.maximum(x, 0.1),
        lambda: ops.minimum(0.5, x),
        lambda: ops.clip(x, -1.0, 1.0),
        lambda: ops.where(x > 0, x, 0.1 * x),
        lambda: ops.sqrt(ops.square(x) + 1.0),
        lambda: ops.log1p(ops.abs(x)),
        lambda: ops.exp(-ops.abs(x)),
        lambda: ops.relu(x) - ops.sigmoid(x),
        lambda: ops.gelu(x, approximate=False),
        lambda: x / (1.0 + ops.abs(x)),
    ]
    return b.pick(drawn)()


def reduction(b: Builder, x: Any) -> Any:
    """Reductions that keep the rank."""
    ops, axis = b.ops, b.pick([-1, 1])
    drawn = [
        lambda: x - ops.mean(x, axis=axis, keepdims=True),
        lambda: x - ops.max(x, axis=axis, keepdims=True),
        lambda: x + ops.min(x, axis=1, keepdims=True),
        lambda: ops.sum(x, axis=axis, keepdims=True) * x,
        lambda: ops.logsumexp(x, axis=axis, keepdims=True) + x,
        lambda: ops.cumsum(x, axis=1),
        lambda: ops.softmax(x, axis=axis),
        lambda: x + ops.std(x, axis=-1, keepdims=True),
        lambda: x / (1.0 + ops.norm(x, ord=b.pick([1, 2, np.inf]), axis=-1, keepdims=True)),
        lambda: ops.softmax(ops.where(x >= ops.max(x, axis=-1, keepdims=True), x, -np.inf), axis=-1),
    ]
    return b.pick(drawn[:-1] if b.narrow else drawn)()


def shaping(b: Builder, x: Any) -> Any:
    """Operations that slice, join and transpose."""
    ops, rank = b.ops, len(x.shape)
    drawn = [
        lambda: x[..., ::-1],
        lambda: x[:, :2],
        lambda: x[..., :2],
        lambda: x[:, 1:] if x.shape[1] > 1 else x,
        lambda: ops.concatenate([x, -x], axis=-1),
        lambda: ops.flip(x, axis=1),
        lambda: ops.roll(x, 1, axis=1),
        lambda: ops.transpose(x, (0, *range(rank - 1, 0, -1))),
        lambda: ops.squeeze(ops.expand_dims(x, 1), axis=1),
        lambda: sum(ops.split(x, x.shape[-1], axis=-1)[:2]),
        lambda: ops.pad(x, [[0, 0], [1, 0], *[[0, 0]] * (rank - 2)]),
        lambda: ops.repeat(x, 2, axis=1),
        lambda: ops.take(x, [0, -1], axis=1),
        lambda: ops.reshape(x, (-1, *x.shape[1:])),
        lambda: ops.stack([x, x * 0.5], axis=-1)[..., 1],
        lambda: ops.tile(x, (1, 2, *[1] * (rank - 2))),
        lambda: ops.swapaxes(x, 1, -1),
    ]
    return b.pick(drawn)()


STEPS = [
    activation,
    normalization,
    dense,
    einsum_dense,
    residual,
    branch,
    unchanged,
    shared,
    arithmetic,
    reduction,
    shaping,
]
