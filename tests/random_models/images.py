"""Steps for (batch, height, width, channels) and (batch, depth, height, width, channels)."""

from __future__ import annotations

from typing import Any

from tests.random_models.builder import SIZE, Builder, size


def conv(b: Builder, x: Any) -> Any:
    dilation = b.pick([1, 1, 2])
    strides = 1 if dilation > 1 else b.pick([1, 2])
    padding = b.padding(x, (3, 5)) if dilation > 1 else b.padding(x)
    groups = b.pick([1, 2]) if x.shape[-1] % 2 == 0 else 1
    return b.layers.Conv2D(
        4, (2, 3), strides, padding, dilation_rate=dilation, groups=groups, activation=b.activation()
    )(x)


def other_conv(b: Builder, x: Any) -> Any:
    layers, strides = b.layers, b.pick([1, 2])
    drawn = [
        lambda: layers.DepthwiseConv2D(2, strides, b.padding(x, (2, 2)), depth_multiplier=b.pick([1, 2])),
        lambda: layers.SeparableConv2D(3, 2, strides, b.padding(x, (2, 2)), depth_multiplier=b.pick([1, 2])),
        lambda: layers.Conv2DTranspose(3, (2, 3), strides, b.pick(["same", "valid"])),
    ]
    return b.pick(drawn[:2] if max(x.shape[1:3]) > SIZE else drawn)()(x)


def pool(b: Builder, x: Any) -> Any:
    layers, strides = b.layers, b.pick([1, 2])
    drawn = [
        lambda: layers.MaxPooling2D((2, 3), strides, b.padding(x)),
        lambda: layers.AveragePooling2D((2, 3), strides, b.padding(x)),
        lambda: layers.AdaptiveAveragePooling2D(b.pick([2, (2, 3)])),
        lambda: layers.AdaptiveMaxPooling2D(2),
        lambda: layers.GlobalAveragePooling2D(keepdims=b.flag()),
        lambda: layers.GlobalMaxPooling2D(),
    ]
    return b.pick(drawn)()(x)


def resize(b: Builder, x: Any) -> Any:
    layers = b.layers
    drawn = [
        lambda: layers.ZeroPadding2D(((1, 0), (0, 2))),
        lambda: layers.Cropping2D(((1, 0), (0, 1)) if size(x) > 1 else 0),
        lambda: layers.CenterCrop(*b.pick([(2, 3), (4, 4)])) if size(x) > 3 else layers.Identity(),
        lambda: layers.Resizing(3, 5, interpolation=b.pick(["nearest", "bilinear"])),
        lambda: layers.UpSampling2D(2, interpolation=b.pick(["nearest", "bilinear"])),
        lambda: layers.Permute((2, 1, 3)),
        lambda: layers.SpatialDropout2D(0.3),
    ]
    return b.pick(drawn)()(x)


def flatten(b: Builder, x: Any) -> Any:
    return b.pick([b.layers.Reshape((-1, x.shape[-1])), b.layers.Flatten()])(x)


def over_time(b: Builder, x: Any) -> Any:
    """Rows as steps of time."""
    layers, padding = b.layers, b.pick(["same", "valid"]) if x.shape[2] > 1 else "same"
    drawn = [
        lambda: layers.ConvLSTM1D(3, 2, padding=padding, return_sequences=b.flag(), go_backwards=b.flag()),
        lambda: layers.TimeDistributed(layers.Conv1D(3, 2, padding="same", activation=b.activation())),
        lambda: layers.TimeDistributed(layers.LSTM(3)),
        lambda: layers.TimeDistributed(layers.Flatten()),
    ]
    return b.pick(drawn)()(x)


def attend(b: Builder, x: Any) -> Any:
    """Attention over rows, columns or both."""
    return b.layers.MultiHeadAttention(1, 2, attention_axes=b.pick([1, 2, (1, 2)]))(x, x)


# --- (batch, depth, height, width, channels) ---


def video_layer(b: Builder, x: Any) -> Any:
    layers, padding = b.layers, b.padding(x, (2, 2, 2))
    # TensorFlow has no float64 kernels for 3D pooling on CPUs, so those layers would have no reference.
    drawn = [
        lambda: layers.Conv3D(3, 2, b.pick([1, 2]), padding, activation=b.activation()),
        lambda: layers.Conv3DTranspose(2, 2, 1, "same"),
        lambda: layers.ConvLSTM2D(2, 2, padding="same", return_sequences=b.flag()),
        lambda: layers.TimeDistributed(layers.Conv2D(3, 2, padding="same")),
        lambda: layers.GlobalAveragePooling3D(),
        lambda: layers.UpSampling3D((1, 2, 1)),
        lambda: layers.ZeroPadding3D((1, 0, 1)),
        lambda: layers.Cropping3D(((1, 0), 0, 0)) if x.shape[1] > 1 else layers.Identity(),
        lambda: layers.Reshape((-1, *x.shape[3:])),
        lambda: layers.TimeDistributed(layers.GlobalMaxPooling2D()),
    ]
    return b.pick(drawn)()(x)


STEPS = [conv, conv, other_conv, pool, resize, flatten, over_time, attend]
VIDEO_STEPS = [video_layer]
