"""Steps for (batch, time, features): convolution, pooling, wrappers, shapes."""

from __future__ import annotations

from typing import Any

from tests.random_models import attention, recurrence
from tests.random_models.builder import Builder


def conv(b: Builder, x: Any) -> Any:
    kernel, dilation = b.pick([1, 2, 3]), b.pick([1, 2])
    padding = b.pick(["same", "causal", "valid"]) if x.shape[1] > (kernel - 1) * dilation else "same"
    strides = 1 if dilation > 1 else b.pick([1, 2])
    return b.layers.Conv1D(
        4, kernel, strides=strides, padding=padding, dilation_rate=dilation, activation=b.activation()
    )(x)


def other_conv(b: Builder, x: Any) -> Any:
    layers, padding = b.layers, b.padding(x, (3,))
    drawn = [
        lambda: layers.SeparableConv1D(4, 3, padding=padding, depth_multiplier=b.pick([1, 2])),
        lambda: layers.DepthwiseConv1D(3, padding=padding, strides=b.pick([1, 2]), depth_multiplier=b.pick([1, 2])),
        lambda: layers.Conv1DTranspose(3, b.pick([2, 3]), strides=b.pick([1, 2]), padding=padding),
    ]
    return b.pick(drawn)()(x)


def pool(b: Builder, x: Any) -> Any:
    layers = b.layers
    drawn = [
        lambda: layers.GlobalAveragePooling1D(keepdims=b.flag()),
        lambda: layers.GlobalMaxPooling1D(),
        lambda: layers.MaxPooling1D(2, strides=b.pick([1, 2]), padding="same"),
        lambda: layers.AveragePooling1D(2, strides=b.pick([1, 2]), padding="same"),
        lambda: layers.AdaptiveAveragePooling1D(b.pick([2, 3])),
        lambda: layers.AdaptiveMaxPooling1D(b.pick([2, 3])),
    ]
    return b.pick(drawn)()(x)


def resize(b: Builder, x: Any) -> Any:
    layers, steps = b.layers, x.shape[1]
    drawn = [
        lambda: layers.UpSampling1D(2),
        lambda: layers.ZeroPadding1D(b.pick([1, (0, 2)])),
        lambda: layers.Cropping1D((1, 0) if steps > 1 else 0),
        lambda: layers.Permute((2, 1)),
        lambda: layers.SpatialDropout1D(0.5),
    ]
    return b.pick(drawn)()(x)


def flatten(b: Builder, x: Any) -> Any:
    return b.layers.Flatten()(x)


def distributed(b: Builder, x: Any) -> Any:
    layers, model = b.layers, b.keras.Sequential
    inner = b.keras.Input(x.shape[2:])
    drawn = [
        lambda: layers.Dense(3, activation=b.activation()),
        lambda: layers.LayerNormalization(),
        lambda: model([b.keras.Input(x.shape[2:]), layers.Dense(3), layers.Activation("tanh")]),
        lambda: b.keras.Model(inner, layers.Add()([layers.Dense(x.shape[-1])(inner), inner])),
    ]
    return layers.TimeDistributed(b.pick(drawn)())(x)


def last_step(b: Builder, x: Any) -> Any:
    """One time step, or a summary of all."""
    ops = b.ops
    drawn = [
        lambda: x[:, -1],
        lambda: x[:, 0, :],
        lambda: ops.mean(x, axis=1),
        lambda: ops.max(x, axis=1),
        lambda: ops.sum(x, axis=(1,)),
        lambda: ops.einsum("bti,btj->bij", x, x),
        lambda: ops.matmul(x, ops.transpose(x, (0, 2, 1))),
        lambda: b.layers.Dot(axes=(2, 2))([x, x]),
        lambda: ops.expand_dims(x, -1),
    ]
    return b.pick(drawn)()


STEPS = [
    conv,
    other_conv,
    pool,
    resize,
    flatten,
    distributed,
    last_step,
    *recurrence.STEPS,
    *recurrence.STEPS,
    *attention.STEPS,
]
