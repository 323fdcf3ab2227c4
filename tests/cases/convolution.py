"""Cases of convolutions: plain, transposed, depthwise, separable.

Layers that Keras cannot run on TensorFlow's CPU build have a twin that computes the same in another way: channels_first
convolutions between two transpositions, dilated transposed ones with zeros between the taps of the kernel.
"""

import itertools
from functools import partial

import numpy as np

import fnet
from tests.cases import Case


def channels_first_twin(cls, keras, **options):
    """The channels_last Keras layer between two Permute layers."""
    rank = 2 if "2D" in cls else 3 if "3D" in cls else 1
    spatial = tuple(range(2, rank + 2))
    conv = getattr(keras.layers, cls)(**{**options, "data_format": "channels_last"})
    first, last = keras.layers.Permute((*spatial, 1)), keras.layers.Permute((rank + 1, *range(1, rank + 1)))
    return keras.Sequential([first, conv, last])


def dilated_transpose_twin(cls, keras, **options):
    """A transposed Keras layer with dilation 1 and a kernel that has zeros between its taps."""
    rate = options.pop("dilation_rate")
    base = getattr(keras.layers, cls)

    class Dilated(base):
        def call(self, x):
            kernel = self.kernel
            sizes = [(k - 1) * r + 1 for k, r in zip(kernel.shape, rate, strict=False)]
            taps = np.stack(
                np.meshgrid(*[np.arange(k) * r for k, r in zip(kernel.shape, rate, strict=False)], indexing="ij"),
                axis=-1,
            )
            wide = keras.ops.scatter(
                taps.reshape(-1, len(rate)),
                keras.ops.reshape(kernel, (-1, *kernel.shape[-2:])),
                (*sizes, *kernel.shape[-2:]),
            )
            y = keras.ops.conv_transpose(
                x, wide, strides=self.strides, padding=self.padding, output_padding=self.output_padding
            )
            return y + self.bias

    return Dilated(**options)


def causal_twin(cls, keras, **options):
    """The Keras layer after a layer for the zeros of padding="causal", which Keras 3 does not support here."""
    zeros = options.get("dilation_rate", 1) * (options["kernel_size"] - 1)
    conv = getattr(keras.layers, cls)(**{**options, "padding": "valid"})
    return keras.Sequential([keras.layers.ZeroPadding1D((zeros, 0)), conv])


def batches_twin(cls, keras, *, batch_axes, **options):
    """The Keras layer at each place of the second batch axis: Keras 3 takes one such axis."""
    return keras.layers.TimeDistributed(getattr(keras.layers, cls)(**options))


def local_twin(cls, keras, **options):
    """A convolution with a different kernel at each position, computed one by one: Keras 3 has no such layer."""
    size, filters, rank = options["kernel_size"], options["filters"], int(cls[-2])
    full = options.get("implementation", 1) == 2

    class Local(keras.layers.Layer):
        def build(self, shape):
            self.places = [range(n - size + 1) for n in shape[1:-1]]
            outputs = tuple(map(len, self.places))
            seen = size**rank * shape[-1]
            kernel = (*shape[1:], *outputs, filters) if full else (int(np.prod(outputs)), seen, filters)
            self.kernel = self.add_weight(shape=kernel)
            self.bias = self.add_weight(shape=(*outputs, filters))

        def call(self, x):
            outputs = []
            for number, place in enumerate(itertools.product(*self.places)):
                window = tuple(slice(at, at + size) for at in place)
                kernel = self.kernel[(*window, slice(None), *place)] if full else self.kernel[number]
                seen = keras.ops.reshape(x[(slice(None), *window)], (-1, int(np.prod(kernel.shape[:-1]))))
                outputs.append(seen @ keras.ops.reshape(kernel, (-1, filters)) + self.bias[place])
            y = keras.ops.stack(outputs, axis=1)
            return keras.ops.reshape(y, (-1, *map(len, self.places), filters))

    return Local()


def rows(layer, cls, shape, *options, twin=None, **more):
    """A case for each dict of options."""
    return [Case(layer, shape, o, twin=cls if twin is None else partial(twin, cls, **o), **more) for o in options]


FIRST = {"data_format": "channels_first"}
FURTHER = {"filters": 4, "kernel_size": 2, "batch_axes": 2}

PLAIN = [
    *rows(fnet.conv1d, "Conv1D", (2, 3, 6, 4), FURTHER | {"padding": "same", "groups": 2}, twin=batches_twin),
    *rows(fnet.conv2d, "Conv2D", (2, 3, 6, 5, 3), FURTHER | {"strides": 2, "activation": "relu"}, twin=batches_twin),
    *rows(fnet.conv3d, "Conv3D", (2, 3, 4, 5, 3, 2), FURTHER, twin=batches_twin),
    *rows(
        fnet.conv1d,
        "Conv1D",
        (2, 11, 4),
        {"filters": 1, "kernel_size": 3},
        {"filters": 2, "kernel_size": 1, "padding": "same"},
        {"filters": 2, "kernel_size": 1, "padding": "same", "strides": 2},
        {"filters": 3, "kernel_size": 4, "padding": "causal", "dilation_rate": 2},
        {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 2},
        {"filters": 3, "kernel_size": 4, "padding": "same", "strides": 3, "activation": "relu"},
        {"filters": 4, "kernel_size": 2, "padding": "same", "dilation_rate": 3, "groups": 2},
        {"filters": 8, "kernel_size": 3, "groups": 4, "use_bias": False},
        {"filters": 3, "kernel_size": 2, "activation": "softmax"},
    ),
    *rows(
        fnet.conv2d,
        "Conv2D",
        (2, 9, 8, 3),
        {"filters": 4, "kernel_size": (3, 3)},
        {"filters": 4, "kernel_size": 3, "use_bias": False},
        {"filters": 4, "kernel_size": (2, 4), "strides": (2, 3), "padding": "same"},
        {"filters": 4, "kernel_size": (2, 4), "padding": "same", "dilation_rate": (2, 3)},
        {"filters": 4, "kernel_size": (2, 3), "dilation_rate": (3, 2)},
        {"filters": 6, "kernel_size": 3, "groups": 3, "strides": 2, "padding": "same"},
        {"filters": 9, "kernel_size": 3, "groups": 3, "padding": "same", "activation": "gelu"},
        {"filters": 5, "kernel_size": 1, "activation": "silu"},
        {"filters": 5, "kernel_size": 1, "strides": 2},
        {"filters": 5, "kernel_size": 1, "strides": (1, 3), "padding": "same"},
        {"filters": 5, "kernel_size": (9, 8), "activation": "tanh"},
        {"filters": 3, "kernel_size": 3, "strides": 4, "padding": "same"},
        {"filters": 3, "kernel_size": (1, 7), "padding": "same"},
    ),
    *rows(fnet.conv2d, "Conv2D", (2, 5, 6, 6), {"filters": 9, "kernel_size": 3, "groups": 3, "padding": "same"}),
    *rows(fnet.conv2d, "Conv2D", (2, 9, 7, 8), {"filters": 8, "kernel_size": 7, "groups": 8, "padding": "same"}),
    *rows(
        fnet.conv3d,
        "Conv3D",
        (2, 5, 6, 7, 2),
        {"filters": 4, "kernel_size": (2, 3, 3)},
        {"filters": 4, "kernel_size": (1, 2, 4), "strides": (2, 2, 3), "padding": "same"},
        {"filters": 4, "kernel_size": (1, 2, 4), "dilation_rate": (2, 2, 3), "padding": "same"},
        {"filters": 4, "kernel_size": 2, "groups": 2, "activation": "relu"},
        {"filters": 3, "kernel_size": 1, "use_bias": False},
    ),
]

CHANNELS_FIRST = [
    *rows(
        fnet.conv1d,
        "Conv1D",
        (2, 4, 11),
        {"filters": 3, "kernel_size": 4, "padding": "same", "strides": 3, **FIRST},
        {"filters": 3, "kernel_size": 4, "padding": "causal", "dilation_rate": 2, **FIRST},
        twin=channels_first_twin,
    ),
    *rows(
        fnet.conv2d,
        "Conv2D",
        (2, 3, 9, 8),
        {"filters": 4, "kernel_size": (2, 4), "strides": (2, 3), "padding": "same", **FIRST},
        {"filters": 6, "kernel_size": 3, "groups": 3, "activation": "relu", **FIRST},
        {"filters": 4, "kernel_size": 1, **FIRST},
        twin=channels_first_twin,
    ),
    # After a channels_first convolution Keras's softmax normalises over the width.
    *rows(
        fnet.conv2d,
        "Conv2D",
        (2, 3, 4, 5),
        {"filters": 2, "kernel_size": 1, "activation": "softmax", "groups": 1, **FIRST},
        twin=lambda cls, keras, **o: keras.Sequential(
            [channels_first_twin(cls, keras, **{**o, "activation": None}), keras.layers.Softmax(axis=-1)]
        ),
    ),
    *rows(
        fnet.conv3d,
        "Conv3D",
        (2, 2, 5, 6, 7),
        {"filters": 3, "kernel_size": (2, 3, 3), "strides": 2, "padding": "same", **FIRST},
    ),
]

TRANSPOSED = [
    *rows(
        fnet.conv1d_transpose,
        "Conv1DTranspose",
        (2, 7, 3),
        *[
            {"filters": 2, "kernel_size": k, "padding": p, "strides": s, "use_bias": k != 3}
            for k in (1, 3, 5)
            for p in ("valid", "same")
            for s in (1, 2)
        ],
        {"filters": 2, "kernel_size": 2, "strides": 5},
        {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 1},
        {"filters": 2, "kernel_size": 3, "strides": 3, "output_padding": 2, "activation": "relu"},
    ),
    *rows(
        fnet.conv2d_transpose,
        "Conv2DTranspose",
        (2, 4, 5, 3),
        {"filters": 2, "kernel_size": (5, 3)},
        {"filters": 2, "kernel_size": (5, 3), "padding": "same"},
        {"filters": 4, "kernel_size": 5, "strides": (2, 3), "padding": "same"},
        {"filters": 4, "kernel_size": 5, "strides": (2, 3)},
        {"filters": 4, "kernel_size": (2, 4), "strides": 2, "padding": "same"},
        {"filters": 4, "kernel_size": 2, "strides": 3, "padding": "same"},
        {"filters": 4, "kernel_size": 2, "strides": 3},
        {"filters": 4, "kernel_size": 2, "strides": 2, "activation": "relu"},
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
        {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 2},
        {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1},
        {"filters": 4, "kernel_size": 3, "strides": (3, 2), "output_padding": (2, 0), "use_bias": False},
    ),
    *rows(
        fnet.conv3d_transpose,
        "Conv3DTranspose",
        (2, 3, 4, 2, 3),
        {"filters": 2, "kernel_size": 3},
        {"filters": 2, "kernel_size": 3, "padding": "same"},
        {"filters": 2, "kernel_size": 2, "strides": 2},
        {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"},
        {"filters": 2, "kernel_size": (1, 2, 4), "strides": (1, 3, 2), "padding": "same", "activation": "tanh"},
        {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1, "use_bias": False},
    ),
    *rows(
        fnet.conv1d_transpose,
        "Conv1DTranspose",
        (2, 3, 7),
        {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same", **FIRST},
        twin=channels_first_twin,
    ),
    *rows(
        fnet.conv2d_transpose,
        "Conv2DTranspose",
        (2, 3, 4, 5),
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1, **FIRST},
        twin=channels_first_twin,
    ),
    *rows(
        fnet.conv3d_transpose,
        "Conv3DTranspose",
        (2, 3, 2, 3, 4),
        {"filters": 2, "kernel_size": 3, "strides": 2, **FIRST},
        twin=channels_first_twin,
    ),
    *rows(
        fnet.conv1d_transpose,
        "Conv1DTranspose",
        (2, 5, 3),
        {"filters": 2, "kernel_size": 3, "dilation_rate": (2,), "padding": "same"},
        twin=dilated_transpose_twin,
    ),
    *rows(
        fnet.conv2d_transpose,
        "Conv2DTranspose",
        (2, 4, 5, 3),
        {"filters": 2, "kernel_size": 3, "dilation_rate": (2, 2)},
        {"filters": 2, "kernel_size": 3, "dilation_rate": (2, 2), "padding": "same"},
        {"filters": 2, "kernel_size": (2, 3), "dilation_rate": (3, 2), "padding": "same"},
        {"filters": 2, "kernel_size": 2, "strides": 2, "dilation_rate": (2, 3), "padding": "same"},
        {"filters": 2, "kernel_size": 2, "strides": (3, 2), "dilation_rate": (2, 3)},
        twin=dilated_transpose_twin,
    ),
    *rows(
        fnet.conv3d_transpose,
        "Conv3DTranspose",
        (2, 3, 4, 2, 3),
        {"filters": 2, "kernel_size": 2, "dilation_rate": (2, 1, 3)},
        twin=dilated_transpose_twin,
    ),
]

DEPTHWISE = [
    *rows(
        fnet.depthwise_conv1d,
        "DepthwiseConv1D",
        (2, 9, 3),
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 2, "use_bias": False},
        {"kernel_size": 4, "depth_multiplier": 3, "padding": "same", "strides": 2, "activation": "relu"},
        {"kernel_size": 2, "dilation_rate": 3},
        {"kernel_size": 2, "dilation_rate": 2, "strides": 2, "padding": "same"},
        {"kernel_size": 2, "dilation_rate": 2, "strides": 3},
    ),
    *rows(
        fnet.depthwise_conv2d,
        "DepthwiseConv2D",
        (2, 7, 8, 3),
        {"kernel_size": (3, 3)},
        {"kernel_size": (1, 2)},
        {"kernel_size": 3, "padding": "same", "strides": 2},
        {"kernel_size": (4, 2), "padding": "same", "use_bias": False, "activation": "relu6"},
        {"kernel_size": 3, "depth_multiplier": 2, "dilation_rate": 2},
        {"kernel_size": 3, "depth_multiplier": 4, "padding": "same"},
        {"kernel_size": 2, "dilation_rate": (2, 3), "strides": 2, "padding": "same"},
        {"kernel_size": 2, "dilation_rate": 2, "strides": (2, 3)},
    ),
    *rows(fnet.depthwise_conv2d, "DepthwiseConv2D", (1, 5, 4, 260), {"kernel_size": 3, "padding": "same"}),
    *rows(fnet.depthwise_conv2d, "DepthwiseConv2D", (1, 3, 50, 100), {"kernel_size": 3, "padding": "same"}),
    *rows(
        fnet.depthwise_conv1d,
        "DepthwiseConv1D",
        (2, 3, 9),
        {"kernel_size": 4, "padding": "same", "depth_multiplier": 2, **FIRST},
    ),
    *rows(
        fnet.depthwise_conv2d,
        "DepthwiseConv2D",
        (2, 3, 7, 8),
        {"kernel_size": (4, 2), "padding": "same", "strides": 2, **FIRST},
    ),
    *rows(
        fnet.separable_conv1d,
        "SeparableConv1D",
        (2, 9, 3),
        {"filters": 4, "kernel_size": 3},
        {"filters": 4, "kernel_size": 4, "padding": "same", "strides": 2, "depth_multiplier": 2},
        {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "use_bias": False, "activation": "relu"},
    ),
    *rows(
        fnet.separable_conv1d,
        "SeparableConv1D",
        (2, 9, 3),
        {"filters": 4, "kernel_size": 3, "padding": "causal"},
        {"filters": 4, "kernel_size": 4, "padding": "causal", "dilation_rate": 2, "depth_multiplier": 2},
        twin=causal_twin,
    ),
    *rows(
        fnet.separable_conv2d,
        "SeparableConv2D",
        (2, 7, 8, 3),
        {"filters": 3, "kernel_size": (3, 3)},
        {"filters": 4, "kernel_size": (2, 4), "padding": "same", "strides": 2, "activation": "relu"},
        {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "dilation_rate": 2, "use_bias": False},
        {"filters": 4, "kernel_size": 3, "strides": 2, "dilation_rate": 2, "padding": "same"},
    ),
    *rows(fnet.separable_conv1d, "SeparableConv1D", (2, 3, 9), {"filters": 4, "kernel_size": 3, **FIRST}),
    *rows(
        fnet.separable_conv2d,
        "SeparableConv2D",
        (2, 3, 7, 8),
        {"filters": 4, "kernel_size": 3, "padding": "same", "depth_multiplier": 2, **FIRST},
    ),
]

LOCAL = [
    *rows(
        fnet.locally_connected1d,
        "LocallyConnected1D",
        (2, 5, 3),
        {"filters": 4, "kernel_size": 3},
        {"filters": 4, "kernel_size": 2, "implementation": 2},
        twin=local_twin,
    ),
    *rows(
        fnet.locally_connected2d,
        "LocallyConnected2D",
        (2, 4, 5, 3),
        {"filters": 2, "kernel_size": 3},
        {"filters": 2, "kernel_size": 2, "implementation": 2},
        twin=local_twin,
    ),
]
"""Cases of locally connected layers; further options are in golden files of Keras 2 (`tests/golden/models.py`)."""


def optimised(layer, shape, conv, sizes=None, **more):
    """A case of the layer that `fnet.optimize` makes of a conv2d and the max pooling after it, which are the twin."""
    steps = [
        fnet.bind(fnet.conv2d, **conv),
        *([] if sizes is None else [fnet.bind(fnet.max_pooling2d, pool_size=sizes)]),
    ]
    options = {**conv, "padding": conv.get("padding", "valid"), "use_bias": conv.get("use_bias", True), **more}
    options.setdefault("activation", None)

    def twin(keras):
        layers = [keras.layers.Conv2D(**conv), *([] if sizes is None else [keras.layers.MaxPooling2D(sizes)])]
        return keras.Sequential(layers)

    label = f"{layer.__name__}({options},{sizes})-{shape}".replace(" ", "")
    return Case(layer, shape, options, twin=twin, plain=fnet.sequential(*steps), label=label)


def pooled(shape, pool, **conv):
    return optimised(
        fnet.pooled_conv2d, shape, conv, pool, strides=conv.get("strides", 1),
        dilation_rate=conv.get("dilation_rate", 1), pool_size=pool,
    )  # fmt: skip


def winograd(shape, pool=None, tile=4, **conv):
    case = optimised(fnet.winograd_conv2d, shape, {"kernel_size": 3, **conv}, pool, tile=tile, pool=pool or 1)
    del case.options["kernel_size"]
    return case


OPTIMISED = [
    pooled((2, 9, 8, 3), 2, filters=4, kernel_size=3, activation="relu"),
    pooled((2, 9, 8, 3), (2, 3), filters=4, kernel_size=(2, 3), padding="same", strides=(1, 2), use_bias=False),
    pooled((2, 12, 11, 3), 2, filters=4, kernel_size=3, dilation_rate=2, activation="relu6"),
    winograd((2, 8, 8, 16), filters=16, padding="same", activation="relu"),
    winograd((2, 9, 6, 16), filters=17, use_bias=False),
    winograd((2, 11, 9, 16), 2, filters=16, padding="same", activation="relu6"),
    winograd((1, 7, 10, 65), 2, tile=2, filters=16),
    winograd((1, 5, 5, 65), tile=2, filters=16, padding="same"),
    winograd((1, 4, 5, 16), filters=257),
]
"""Cases of layers that Keras does not have."""

CASES = [*PLAIN, *CHANNELS_FIRST, *TRANSPOSED, *DEPTHWISE, *LOCAL, *OPTIMISED]
