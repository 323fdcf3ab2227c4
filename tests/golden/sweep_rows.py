"""The rows of the sweep, for every layer class of any Keras.

A row says the shapes (without batch), the options always given, and the values of each other option. A lambda
among the values makes what needs the Keras at hand.
"""

import functools

from recording import keras

L = keras.layers
BATCH = 4
BOTH = (False, True)
ACTIVATIONS = (
    *(None, "relu", "tanh", "sigmoid", "hard_sigmoid", "softmax", "elu", "selu", "softplus", "softsign", "swish"),
    *("silu", "gelu", "exponential", "linear", "mish", "relu6", "leaky_relu", "log_softmax", "celu", "glu"),
    *("hard_swish", "hard_silu", "hard_tanh", "log_sigmoid", "soft_shrink", "hard_shrink", "sparse_plus"),
    *("sparse_sigmoid", "squareplus", "tanh_shrink", "sparsemax", "threshold"),
)
FEW = (None, "relu", "softmax", "hard_sigmoid", "swish")
REGULARIZERS = {"kernel_regularizer": ("l2",), "kernel_constraint": ("max_norm",), "bias_initializer": ("ones",)}


class Row:
    def __init__(self, shapes, always=(), feed="float", call=None, batch=None, redraws=True, policies=True, **options):
        self.shapes = shapes if isinstance(shapes, list) else [shapes]
        self.always = dict(always)
        self.feed, self.call, self.batch, self.redraws, self.policies = feed, call, batch, redraws, policies
        self.options = options


table = functools.partial(Row, redraws=False, policies=False)
"""A row of a layer whose numbers are in a table, whatever the dtype policy."""


def layer_class(name):
    """The class of this Keras, or None."""
    place = L
    for part in name.split("."):
        place = getattr(place, part, None)
    return place


def made(value):
    """Lambdas among the values make what needs the Keras at hand, anew for each layer."""
    return value() if callable(value) and getattr(value, "__name__", "") == "<lambda>" else value


LEAKY, FUNCTION, TANH = (lambda: L.LeakyReLU(0.2), lambda: keras.activations.relu, lambda: keras.activations.tanh)


def conv(rank, size=6, **options):
    """(shape, options). Filters are to be no size of an axis: with data_format="channels_first" Keras 3 on TensorFlow
    would then add the bias along that axis."""
    shape = (size,) * rank + (4,)
    some = {1: (1, 2, 3), 2: (1, 2, (2, 1), 3), 3: (1, 2, (2, 1, 2))}[rank]
    sizes = {1: (1, 2, 4), 2: (1, (2, 3), 4), 3: (1, (2, 1, 3))}[rank]
    base = dict(
        kernel_size=sizes,
        strides=some,
        padding=("valid", "same"),
        use_bias=BOTH,
        activation=(*FEW, LEAKY, FUNCTION),
        dilation_rate=(1, 2, 3),
        data_format=(None, "channels_last", "channels_first"),
        **REGULARIZERS,
    )
    base.update(options)
    return shape, {key: value for key, value in base.items() if value}


def conv_row(rank, always, **options):
    shape, options = conv(rank, **options)
    return Row(shape, always, **options)


def pool_row(rank):
    return Row(
        (7,) * rank + (3,),
        pool_size={1: (2, 1, 3), 2: (2, (3, 2), 1), 3: (2, (1, 2, 3))}[rank],
        strides=(None, 1, 2, 3, 4),
        padding=("valid", "same"),
        data_format=(None, "channels_last", "channels_first"),
    )


def global_row(rank):
    return Row((4,) * rank + (3,), keepdims=BOTH, data_format=(None, "channels_last", "channels_first"))


RECURRENT = dict(
    activation=(*FEW, LEAKY, TANH),
    recurrent_activation=(*FEW, LEAKY),
    use_bias=BOTH,
    return_sequences=BOTH,
    return_state=BOTH,
    go_backwards=BOTH,
    unroll=BOTH,
    implementation=(0, 1, 2),
    unit_forget_bias=BOTH,
    reset_after=BOTH,
    time_major=BOTH,
    dropout=(0.3,),
    recurrent_dropout=(0.3,),
    zero_output_for_mask=BOTH,
    use_cudnn=("auto", False),
    **REGULARIZERS,
)


def states(layer, count, size):
    """The layer called with initial states, and with the states as inputs of the model."""

    def call(inputs):
        return layer(inputs[0], initial_state=inputs[1:] if count > 1 else inputs[1])

    return call


def masked(layer):
    return lambda inputs: layer(L.Masking()(inputs[0]))


def recurrent_rows(count, size=3):
    shape = (5, 4)
    small = {k: v for k, v in RECURRENT.items() if "regul" not in k and "constr" not in k and "init" not in k}
    return [
        Row(shape, {"units": size}, **RECURRENT),
        Row([shape] + [(size,)] * count, {"units": size}, call=lambda layer: states(layer, count, size), **small),
        Row(shape, {"units": size}, feed="gaps", call=masked, **small),
        Row(shape, {"units": size, "stateful": True}, batch=BATCH, **small),
    ]


def conv_lstm_rows(rank):
    shape, options = conv(rank, size=5, strides=(1, 2), dilation_rate=(1, 2), kernel_size=(1, 3))
    options.update(
        recurrent_activation=(*FEW,),
        return_sequences=BOTH,
        return_state=BOTH,
        go_backwards=BOTH,
        stateful=(),
        dropout=(0.2,),
        unit_forget_bias=BOTH,
    )
    options = {key: value for key, value in options.items() if value}
    always = {"filters": 2, "kernel_size": 2}
    return [Row((3, *shape), always, **options), Row((3, *shape), always, feed="gaps", call=masked, **options)]


def cells():
    kinds = ("SimpleRNNCell", "LSTMCell", "GRUCell")
    found = [
        (lambda kind=kind, o=o: getattr(L, kind)(3, **o))
        for kind in kinds
        for o in ({}, {"use_bias": False}, {"dropout": 0.3})
    ]
    found += [
        lambda: L.GRUCell(3, reset_after=False),
        lambda: L.LSTMCell(3, recurrent_activation="hard_sigmoid", implementation=1),
    ]
    found += [
        lambda: L.StackedRNNCells([L.LSTMCell(3), L.GRUCell(2), L.SimpleRNNCell(4)]),
        lambda: [L.GRUCell(3), L.GRUCell(3), L.GRUCell(3)],
        lambda: L.StackedRNNCells([L.LSTMCell(2), L.LSTMCell(3)], reverse_state_order=True),
        lambda: L.StackedRNNCells([L.StackedRNNCells([L.GRUCell(2), L.LSTMCell(3)]), L.SimpleRNNCell(2)]),
    ]
    return tuple(found)


def inner_layers():
    return (
        lambda: L.LSTM(3),
        lambda: L.LSTM(3, return_sequences=True),
        lambda: L.GRU(3, return_sequences=True),
        lambda: L.SimpleRNN(2),
        lambda: L.GRU(3, return_state=True),
        lambda: L.LSTM(3, return_state=True, return_sequences=True),
        lambda: L.LSTM(3, go_backwards=True),
        lambda: L.RNN(L.LSTMCell(3)),
        lambda: L.RNN([L.GRUCell(2), L.LSTMCell(3)], return_sequences=True),
    )


def wrapped_any():
    return (
        lambda: L.Dense(3),
        lambda: L.Conv1D(2, 2),
        lambda: L.LSTM(3),
        lambda: L.BatchNormalization(),
        lambda: L.Flatten(),
        lambda: keras.Sequential([L.Dense(3, activation="relu"), L.Dense(2)]),
        lambda: L.TimeDistributed(L.Dense(2)),
        lambda: L.Bidirectional(L.GRU(2)),
        lambda: L.Activation("softmax"),
        lambda: L.Dropout(0.5),
        lambda: L.LayerNormalization(),
        lambda: L.GlobalMaxPooling1D(),
        lambda: _model(),
    )


def _model():
    x = L.Input((4, 3))
    return keras.Model(x, L.Dense(2)(L.LSTM(3)(x)))


def vocab(kind):
    words = ["tiga", "dua", "satu", "lima", "empat"]
    return words if kind == "text" else [3, 12, 7, -4, 90]


LOOKUP = {
    "output_mode": ("int", "one_hot", "multi_hot", "count", "binary"),
    "pad_to_max_tokens": BOTH,
    "max_tokens": (None, 9, 12),
    "num_oov_indices": (0, 1, 3),
}

NORMS = dict(center=BOTH, scale=BOTH, epsilon=(1e-3, 0.1), beta_initializer=("ones",), gamma_regularizer=("l2",))

ROWS = {
    # --- core ---
    "Dense": [
        Row((5,), {"units": 3}, activation=(*ACTIVATIONS, LEAKY, FUNCTION), use_bias=BOTH, **REGULARIZERS),
        Row((4, 5), {"units": 1}),
        Row((2, 3, 4), {"units": 2}, activation=("softmax",)),
    ],
    "EinsumDense": [
        Row((5,), {"equation": "ab,bc->ac", "output_shape": 3}, bias_axes=("c",), activation=FEW),
        Row((4, 5), {"equation": "abc,cd->abd", "output_shape": (None, 3)}, bias_axes=("d", "bd")),
        Row((4, 5), {"equation": "...x,xy->...y", "output_shape": 3}, bias_axes=("y",)),
        Row((4, 5), {"equation": "abc,cde->abde", "output_shape": (4, 2, 3)}, bias_axes=("de", "e")),
    ],
    "Embedding": [
        Row(
            (6,),
            {"input_dim": 10, "output_dim": 3},
            feed="int",
            mask_zero=BOTH,
            input_length=(6,),
            embeddings_regularizer=("l2",),
        ),
        Row((2, 3), {"input_dim": 10, "output_dim": 1}, feed="int"),
    ],
    "ReversibleEmbedding": [
        Row((6,), {"input_dim": 10, "output_dim": 3}, feed="int", tie_weights=BOTH, mask_zero=BOTH)
    ],
    "Identity": [Row((3,))],
    "Masking": [Row((5, 3), feed="gaps", mask_value=(0.0, 1.0, 1))],
    "Activation": [Row((4, 6), {"activation": "relu"}, activation=(*ACTIVATIONS[1:], LEAKY, FUNCTION))],
    "ActivityRegularization": [Row((3,), l1=(0.1,), l2=(0.1,))],
    "Lambda": [],
    # --- activation ---
    "ELU": [Row((4,), alpha=(1.0, 0.3, 2))],
    "LeakyReLU": [Row((4,), alpha=(0.3, 0.1, 0, 1), negative_slope=(0.0, 0.2))],
    "PReLU": [
        Row((4, 3), shared_axes=(None, [1], [2], [1, 2]), alpha_initializer=("ones",)),
        Row((4, 3, 2), shared_axes=([1, 2], (1,))),
    ],
    "ReLU": [Row((4,), max_value=(None, 1.0, 6, 0), negative_slope=(0.0, 0.2, 1), threshold=(0.0, 0.5, 1))],
    "ThresholdedReLU": [Row((6,), theta=(1.0, 0.0, 0.5, 2))],
    "Softmax": [Row((4, 3), axis=(-1, 1, 2, [1, 2]))],
    # --- attention ---
    "Attention": [
        Row([(5, 4), (6, 4)], use_scale=BOTH, score_mode=("dot", "concat"), dropout=(0.0, 0.3), causal=BOTH),
        Row([(5, 4), (6, 4), (6, 4)], use_scale=BOTH, score_mode=("dot", "concat"), causal=BOTH),
        Row([(5, 4), (6, 4)], call=lambda layer: lambda i: layer(i, return_attention_scores=True), use_scale=BOTH),
        Row([(6, 4), (6, 4)], call=lambda layer: lambda i: layer(i, use_causal_mask=True), use_scale=BOTH),
    ],
    "AdditiveAttention": [
        Row([(5, 4), (6, 4)], use_scale=BOTH, dropout=(0.3,), causal=BOTH),
        Row([(5, 4), (6, 4), (6, 4)], use_scale=BOTH),
    ],
    "MultiHeadAttention": [
        Row(
            [(5, 4), (6, 3)],
            {"num_heads": 2, "key_dim": 3},
            call=lambda layer: lambda i: layer(*i),
            value_dim=(None, 2),
            dropout=(0.2,),
            use_bias=BOTH,
            output_shape=(None, 5, (2, 3)),
            flash_attention=(None, False),
            use_gate=BOTH,
            kernel_initializer=("he_normal",),
            kernel_regularizer=("l2",),
        ),
        Row(
            [(5, 4), (6, 3), (6, 2)],
            {"num_heads": 2, "key_dim": 3},
            call=lambda layer: lambda i: layer(i[0], i[1], i[2]),
            use_bias=BOTH,
        ),
        Row(
            [(5, 4)],
            {"num_heads": 1, "key_dim": 2},
            call=lambda layer: lambda i: layer(i[0], i[0], return_attention_scores=True),
            use_bias=BOTH,
            value_dim=(1,),
        ),
        Row(
            [(5, 4)],
            {"num_heads": 1, "key_dim": 2},
            call=lambda layer: lambda i: layer(i[0], i[0], use_causal_mask=True),
            use_bias=BOTH,
        ),
        Row(
            [(2, 3, 4)],
            {"num_heads": 2, "key_dim": 2},
            call=lambda layer: lambda i: layer(i[0], i[0]),
            attention_axes=((1, 2), (2,), 1, None),
            output_shape=(3,),
        ),
    ],
    "GroupQueryAttention": [
        Row(
            [(5, 4), (6, 3)],
            {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
            call=lambda layer: lambda i: layer(*i),
            use_bias=BOTH,
            dropout=(0.1,),
            use_gate=BOTH,
        )
    ],
    # --- convolution ---
    "Conv1D": [conv_row(1, {"filters": 4, "kernel_size": 2}, padding=("valid", "same", "causal"), groups=(1, 2, 4))],
    "Conv2D": [conv_row(2, {"filters": 8, "kernel_size": 2}, groups=(1, 2, 4))],
    "Conv3D": [conv_row(3, {"filters": 2, "kernel_size": 2}, size=4, groups=(1, 2))],
    "Conv1DTranspose": [conv_row(1, {"filters": 3, "kernel_size": 2}, output_padding=(None, 0, 1))],
    "Conv2DTranspose": [
        conv_row(2, {"filters": 3, "kernel_size": 2}, output_padding=(None, 0, 1, (1, 0)), groups=(2,))
    ],
    "Conv3DTranspose": [conv_row(3, {"filters": 2, "kernel_size": 2}, size=3, output_padding=(None, 0, 1))],
    "DepthwiseConv1D": [conv_row(1, {"kernel_size": 2}, depth_multiplier=(1, 3))],
    "DepthwiseConv2D": [conv_row(2, {"kernel_size": 2}, depth_multiplier=(1, 3))],
    "SeparableConv1D": [
        conv_row(1, {"filters": 3, "kernel_size": 2}, depth_multiplier=(1, 2), padding=("valid", "same", "causal"))
    ],
    "SeparableConv2D": [conv_row(2, {"filters": 3, "kernel_size": 2}, depth_multiplier=(1, 2))],
    "LocallyConnected1D": [conv_row(1, {"filters": 3, "kernel_size": 2}, dilation_rate=(), implementation=(1, 2, 3))],
    "LocallyConnected2D": [
        conv_row(2, {"filters": 3, "kernel_size": 2}, dilation_rate=(), size=5, implementation=(1, 2, 3))
    ],
    # --- pooling ---
    **{f"{kind}Pooling{rank}D": [pool_row(rank)] for kind in ("Max", "Average") for rank in (1, 2, 3)},
    **{f"Global{kind}Pooling{rank}D": [global_row(rank)] for kind in ("Max", "Average") for rank in (1, 2, 3)},
    **{
        f"Adaptive{kind}Pooling{rank}D": [
            Row((7,) * rank + (2,), {"output_size": 3}, output_size=(1, 7, 2), data_format=(None, "channels_first"))
        ]
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
    },
    # --- merging ---
    **{
        name: [Row([(3, 4)] * 2), Row([(3, 4), (1, 4), (3, 1)]), Row([(4,)] * 3), Row([(4,), (3, 4)])]
        for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
    },
    "Concatenate": [
        Row([(3, 4), (3, 4), (3, 4)], axis=(-1, 1, 2, -2)),
        Row([(3, 4), (2, 4)], {"axis": 1}),
        Row([(3, 2), (3, 4)]),
    ],
    "Dot": [
        Row([(3, 4), (3, 4)], {"axes": 1}, axes=(2, (1, 1), -1, (2, 2)), normalize=BOTH),
        Row([(4,), (4,)], {"axes": 1}, axes=(-1,), normalize=BOTH),
        Row([(3, 4), (4,)], {"axes": (2, 1)}, normalize=BOTH),
        Row([(3, 4), (5, 3)], {"axes": (1, 2)}),
    ],
    # --- normalization ---
    "BatchNormalization": [
        Row(
            (3, 4),
            axis=(-1, 1, 2, [2], [1]),
            momentum=(0.5,),
            renorm=BOTH,
            renorm_clipping=(None, {"rmin": 0.3, "rmax": 3.0, "dmax": 1.0}),
            renorm_momentum=(0.5,),
            fused=(None, False),
            trainable=BOTH,
            synchronized=BOTH,
            **NORMS,
        ),
        Row((4, 4, 3), axis=(-1, 1, 3, [3], [1, 3]), fused=(None, True, False), renorm=BOTH, center=BOTH, scale=BOTH),
        Row((4, 4, 3), {"virtual_batch_size": 2}, batch=BATCH, center=BOTH),
        Row((3,), call=lambda layer: lambda i: layer(i[0], training=True), center=BOTH, trainable=BOTH, renorm=BOTH),
        Row((3,), call=lambda layer: lambda i: layer(i[0], training=False), center=BOTH, trainable=BOTH),
    ],
    "GroupNormalization": [
        Row((4, 6), {"groups": 3}, groups=(1, 2, 6, -1), axis=(-1, 1, 2), **NORMS),
        Row((3, 3, 4), {"groups": 2}, axis=(1, 3, -1, -2)),
    ],
    "LayerNormalization": [
        Row((3, 4), axis=(-1, 1, 2, [1, 2], (1,)), rms_scaling=BOTH, **NORMS),
        Row((2, 3, 4), axis=(-2, [1, 3], [2, 3]), center=BOTH),
    ],
    "RMSNormalization": [Row((3, 4), axis=(-1, 1, [1, 2]), epsilon=(0.1,))],
    "UnitNormalization": [Row((3, 4), axis=(-1, 1, [1, 2]))],
    "SpectralNormalization": [
        Row((4,), {"layer": lambda: L.Dense(3)}, power_iterations=(1, 3)),
        Row((5, 5, 2), {"layer": lambda: L.Conv2D(3, 2)}),
    ],
    # --- recurrent ---
    "SimpleRNN": recurrent_rows(1),
    "GRU": recurrent_rows(1),
    "LSTM": recurrent_rows(2),
    "CuDNNLSTM": [Row((5, 4), {"units": 3}, return_sequences=BOTH, return_state=BOTH, go_backwards=BOTH)],
    "RNN": [
        Row(
            (5, 4),
            {"cell": lambda: L.LSTMCell(3)},
            cell=cells(),
            return_sequences=BOTH,
            return_state=BOTH,
            go_backwards=BOTH,
            unroll=BOTH,
            time_major=BOTH,
            zero_output_for_mask=BOTH,
        ),
        Row(
            (5, 4),
            {"cell": lambda: L.GRUCell(3)},
            feed="gaps",
            call=masked,
            cell=cells(),
            return_sequences=BOTH,
            return_state=BOTH,
            go_backwards=BOTH,
            zero_output_for_mask=BOTH,
        ),
        Row(
            [(5, 4), (3,), (3,)],
            {"cell": lambda: L.LSTMCell(3)},
            call=lambda layer: states(layer, 2, 3),
            return_sequences=BOTH,
            return_state=BOTH,
        ),
    ],
    "SimpleRNNCell": [
        Row([(4,), (3,)], {"units": 3}, call=lambda layer: lambda i: layer(i[0], [i[1]]), activation=FEW, use_bias=BOTH)
    ],
    "GRUCell": [
        Row(
            [(4,), (3,)],
            {"units": 3},
            call=lambda layer: lambda i: layer(i[0], [i[1]]),
            activation=FEW,
            recurrent_activation=FEW,
            reset_after=BOTH,
            implementation=(1, 2),
            use_bias=BOTH,
        )
    ],
    "LSTMCell": [
        Row(
            [(4,), (3,), (3,)],
            {"units": 3},
            call=lambda layer: lambda i: layer(i[0], [i[1], i[2]]),
            activation=FEW,
            implementation=(1, 2),
            use_bias=BOTH,
        )
    ],
    "StackedRNNCells": [],
    "Bidirectional": [
        Row(
            (5, 4),
            {"layer": lambda: L.LSTM(3)},
            layer=inner_layers(),
            merge_mode=("concat", "sum", "mul", "ave", None),
            backward_layer=(
                lambda: L.GRU(3, go_backwards=True),
                lambda: L.LSTM(3, go_backwards=True, activation="relu"),
            ),
        ),
        Row(
            (5, 4),
            {"layer": lambda: L.LSTM(3)},
            feed="gaps",
            call=masked,
            layer=inner_layers(),
            merge_mode=("sum", "mul", "ave", None),
        ),
        Row(
            [(5, 4)] + [(3,)] * 4,
            {"layer": lambda: L.LSTM(3)},
            call=lambda layer: states(layer, 4, 3),
            merge_mode=("sum", "ave"),
        ),
    ],
    "TimeDistributed": [Row((2, 4, 3), {"layer": lambda: L.Dense(3)}, layer=wrapped_any())],
    "ConvLSTM1D": conv_lstm_rows(1),
    "ConvLSTM2D": conv_lstm_rows(2),
    "ConvLSTM3D": conv_lstm_rows(3)[:1],
    # --- regularization ---
    "AlphaDropout": [Row((3,), {"rate": 0.3}, rate=(0.0,), noise_shape=((1, 3), (None, 1)))],
    "Dropout": [Row((4, 3), {"rate": 0.3}, rate=(0.0, 0, 1.0), noise_shape=((None, 1, 3), (4, 1, 3)))],
    "GaussianDropout": [Row((3,), {"rate": 0.3})],
    "GaussianNoise": [Row((3,), {"stddev": 0.3})],
    "SpatialDropout1D": [Row((4, 3), {"rate": 0.3})],
    "SpatialDropout2D": [Row((4, 4, 3), {"rate": 0.3}, data_format=("channels_first",))],
    "SpatialDropout3D": [Row((4, 4, 4, 3), {"rate": 0.3}, data_format=("channels_first",))],
    # --- reshaping ---
    "Cropping1D": [Row((6, 3), cropping=((1, 1), 1, 2, (0, 2), (3, 0)))],
    "Cropping2D": [
        Row(
            (6, 6, 3),
            {"cropping": 1},
            cropping=(0, 2, (1, 2), ((0, 1), (2, 0)), 3),
            data_format=(None, "channels_first"),
        )
    ],
    "Cropping3D": [
        Row((5, 5, 5, 3), cropping=(0, 1, 2, (1, 0, 2), ((0, 1), (2, 0), (1, 1))), data_format=("channels_first",))
    ],
    "Flatten": [Row((3, 4)), Row((2, 3, 4), data_format=(None, "channels_last", "channels_first")), Row(()), Row((3,))],
    "Permute": [Row((2, 3, 4), {"dims": (2, 1, 3)}, dims=((3, 1, 2), (1, 2, 3)))],
    "RepeatVector": [Row((3,), {"n": 2}, n=(1, 5))],
    "Reshape": [Row((6, 4), {"target_shape": (3, 8)}, target_shape=((24,), (-1,), (2, -1, 4), (4, 6), (24, 1)))],
    "UpSampling1D": [Row((4, 3), size=(1, 2, 3))],
    "UpSampling2D": [
        Row(
            (4, 5, 3),
            size=(1, 2, (3, 2)),
            interpolation=(
                "nearest",
                "bilinear",
                "bicubic",
                "lanczos3",
                "lanczos5",
                "area",
                "gaussian",
                "mitchellcubic",
            ),
            data_format=(None, "channels_first"),
        )
    ],
    "UpSampling3D": [Row((2, 3, 4, 2), size=(1, 2, (3, 2, 1)), data_format=("channels_first",))],
    "ZeroPadding1D": [Row((4, 3), padding=(0, 1, 3, (2, 0)), data_format=("channels_first",))],
    "ZeroPadding2D": [Row((4, 4, 3), padding=(0, 1, (2, 1), ((1, 0), (0, 2))), data_format=(None, "channels_first"))],
    "ZeroPadding3D": [
        Row((3, 3, 3, 2), padding=(0, 2, (2, 1, 0), ((1, 0), (0, 2), (1, 1))), data_format=("channels_first",))
    ],
    # --- preprocessing ---
    "Rescaling": [
        Row((4, 3), {"scale": 1 / 255.0}, scale=(2, -1), offset=(0.0, 1, -0.5)),
        Row((4, 4, 3), {"scale": [0.5, 1.0, 2.0]}, offset=([1.0, 0.0, 2.0],)),
        Row((4, 3), {"scale": 0.1}, feed="bytes"),
        Row((4, 3), {"scale": 0.1}, feed="int"),
    ],
    "Resizing": [
        Row(
            shape,
            {"height": 5, "width": 3},
            feed=feed,
            height=(8, 1, 12),
            width=(10, 2),
            interpolation=(
                "bilinear",
                "nearest",
                "bicubic",
                "area",
                "lanczos3",
                "lanczos5",
                "gaussian",
                "mitchellcubic",
            ),
            crop_to_aspect_ratio=BOTH,
            pad_to_aspect_ratio=BOTH,
            antialias=BOTH,
            fill_value=(1.0,),
            data_format=("channels_first",),
        )
        for shape, feed in (((8, 6, 3), "image"), ((5, 9, 1), "image"), ((8, 6, 3), "bytes"))
    ],
    "CenterCrop": [
        Row(
            (7, 8, 3),
            {"height": 4, "width": 5},
            feed="image",
            height=(7, 9, 3, 1),
            width=(8, 10, 2),
            data_format=("channels_first",),
        ),
        Row((7, 8, 3), {"height": 4, "width": 5}, feed="bytes", height=(9,)),
    ],
    "Normalization": [
        Row((4, 3), {"mean": 1.5, "variance": 2.0}, axis=(None,), invert=BOTH),
        Row((4, 3), {"mean": [1.0, 2.0, -1.0], "variance": [1.0, 0.5, 2.0]}, axis=(-1, 2), invert=BOTH),
        Row((4, 3), {"mean": [1.0, 2.0, -1.0, 0.0], "variance": [1.0, 0.5, 2.0, 0.0], "axis": 1}, invert=BOTH),
        Row((4, 3), feed="adapt", redraws=False, axis=(-1, 1, None, (1, 2), 2), invert=BOTH),
    ],
    "CategoryEncoding": [
        Row((1,), {"num_tokens": 10}, feed="int", output_mode=("multi_hot", "one_hot", "count", "binary")),
        Row((5,), {"num_tokens": 10}, feed="int", output_mode=("multi_hot", "count", "one_hot")),
        Row(
            [(5,), (5,)],
            {"num_tokens": 10, "output_mode": "count"},
            feed="weights",
            call=lambda layer: lambda i: layer(i[0], count_weights=i[1]),
        ),
    ],
    "Discretization": [
        Row((3,), {"bin_boundaries": [-0.5, 0.0, 0.7]}, output_mode=("int", "one_hot", "multi_hot", "count")),
        Row((1,), {"bin_boundaries": [-0.5, 0.0, 0.7]}, output_mode=("int", "one_hot", "multi_hot", "count")),
        Row((3,), {"num_bins": 4}, feed="adapt", redraws=False, output_mode=("int", "multi_hot")),
    ],
    "Hashing": [
        Row(
            shape,
            {"num_bins": 7},
            feed=feed,
            policies=False,
            salt=(None, 5, [3, 4]),
            mask_value=("", 1),
            output_mode=("int", "one_hot", "multi_hot", "count"),
        )
        for shape, feed in (((3,), "words"), ((3,), "int"), ((1,), "words"))
    ],
    "HashedCrossing": [
        Row([(1,), (1,)], {"num_bins": 7}, feed=feed, policies=False, output_mode=("int", "one_hot"))
        for feed in ("words", "int")
    ],
    "CategoryCrossing": [Row([(1,), (1,)], feed="words", policies=False, depth=(1, 2), separator=("-",))],
    "StringLookup": [
        table(
            (5,),
            {"vocabulary": vocab("text")},
            feed="words",
            mask_token=(None, ""),
            oov_token=("[UNK]", "dua"),
            encoding=("utf-8",),
            idf_weights=(),
            **LOOKUP,
        ),
        table((1,), {"vocabulary": vocab("text")}, feed="words", **LOOKUP),
        table(
            (5,),
            {"vocabulary": vocab("text"), "output_mode": "tf_idf", "idf_weights": [0.5, 1.0, 1.5, 2.0, 2.5]},
            feed="words",
            num_oov_indices=(1, 2),
            pad_to_max_tokens=BOTH,
            max_tokens=(9,),
        ),
        table((5,), {"vocabulary": vocab("text"), "invert": True}, feed="ids", mask_token=(None, "")),
        table((5,), feed="adapt_words", output_mode=("int", "tf_idf", "count"), max_tokens=(4,)),
    ],
    "IntegerLookup": [
        table(
            (5,),
            {"vocabulary": vocab("int")},
            feed="int",
            mask_token=(None, 0, -9),
            oov_token=(-1, -5),
            vocabulary_dtype=("int32",),
            **LOOKUP,
        ),
        table((1,), {"vocabulary": vocab("int")}, feed="int", **LOOKUP),
        table(
            (5,),
            {"vocabulary": vocab("int"), "output_mode": "tf_idf", "idf_weights": [0.5, 1.0, 1.5, 2.0, 2.5]},
            feed="int",
            num_oov_indices=(1, 2),
            pad_to_max_tokens=BOTH,
            max_tokens=(9,),
        ),
        table((5,), {"vocabulary": vocab("int"), "invert": True}, feed="ids", mask_token=(None,)),
        table((5,), feed="adapt_int", output_mode=("int", "tf_idf", "count"), max_tokens=(4,)),
    ],
    "TextVectorization": [
        table(
            shape,
            always,
            feed="texts",
            standardize=(None, "lower_and_strip_punctuation", "lower", "strip_punctuation"),
            split=("whitespace", "character", None),
            ngrams=(None, 2, (1, 3)),
            output_mode=("int", "multi_hot", "count"),
            output_sequence_length=(None, 1, 9),
            pad_to_max_tokens=BOTH,
            max_tokens=(9,),
        )
        for shape in ((1,), ())
        for always in ({"vocabulary": vocab("text")}, {})
    ]
    + [table((1,), {"output_mode": "tf_idf"}, feed="texts", ngrams=(2,), pad_to_max_tokens=BOTH, max_tokens=(9, 30))],
    # --- augmentation: what they do at inference ---
    "RandomBrightness": [
        Row((6, 7, 3), {"factor": 0.2}, feed="image", value_range=((0, 255),)),
        Row((6, 7, 3), {"factor": 0.2}, feed="bytes"),
    ],
    "RandomContrast": [Row((6, 7, 3), {"factor": 0.2}, feed=feed) for feed in ("image", "bytes")],
    "RandomCrop": [
        Row(
            (6, 9, 3),
            {"height": 4, "width": 5},
            feed=feed,
            height=(6, 8, 12, 1, 3),
            width=(9, 4, 14, 2),
            data_format=("channels_first",),
        )
        for feed in ("image", "bytes")
    ],
    "RandomFlip": [Row((6, 7, 3), feed=feed, mode=("horizontal", "vertical")) for feed in ("image", "bytes")],
    "RandomHeight": [
        Row((6, 7, 3), {"factor": 0.2}, feed=feed, interpolation=("nearest",)) for feed in ("image", "bytes")
    ],
    "RandomWidth": [Row((6, 7, 3), {"factor": 0.2}, feed="image", interpolation=("nearest",))],
    "RandomRotation": [
        Row(
            (6, 7, 3),
            {"factor": 0.2},
            feed="image",
            fill_mode=("constant", "reflect", "wrap", "nearest"),
            interpolation=("nearest",),
        )
    ],
    "RandomTranslation": [
        Row((6, 7, 3), {"height_factor": 0.2, "width_factor": 0.2}, feed="image", fill_mode=("constant",))
    ],
    "RandomZoom": [
        Row((6, 7, 3), {"height_factor": 0.2}, feed=feed, fill_mode=("constant",)) for feed in ("image", "bytes")
    ],
    **{
        name: [
            Row((6, 7, 3), always, feed=feed, data_format=("channels_first",), value_range=((0, 1),))
            for feed in ("image", "bytes")
        ]
        for name, always in {
            "AugMix": {},
            "AutoContrast": {},
            "Equalization": {},
            "RandAugment": {},
            "Solarization": {},
            "RandomShear": {"x_factor": 0.2},
            "RandomErasing": {},
            "RandomColorDegeneration": {"factor": 0.3},
            "RandomColorJitter": {"brightness_factor": 0.2},
            "RandomElasticTransform": {},
            "RandomGaussianBlur": {},
            "RandomGrayscale": {},
            "RandomHue": {"factor": 0.2},
            "RandomInvert": {},
            "RandomPerspective": {},
            "RandomPosterization": {"factor": 3},
            "RandomSaturation": {"factor": 0.2},
            "RandomSharpness": {"factor": 0.2},
            "ContrastLimitedAdaptiveHistogramEqualization": {},
            "CutMix": {},
            "MixUp": {},
        }.items()
    },
    "MelSpectrogram": [
        Row(
            (400,),
            {"fft_length": 64, "sequence_stride": 32, "num_mel_bins": 8},
            mag_exp=(1.0,),
            power_to_db=BOTH,
            window=("hamming", None),
        )
    ],
    "STFTSpectrogram": [
        Row(
            (200, 2),
            {"frame_length": 32, "frame_step": 16, "fft_length": 64},
            mode=("log", "magnitude", "psd", "real", "imag", "angle", "stft"),
            window=("hamming", None),
            expand_dims=BOTH,
            padding=("valid", "same"),
            scaling=("density", "spectrum"),
        )
    ],
    "Pipeline": [Row((6, 7, 3), {"layers": lambda: [L.Rescaling(0.5), L.RandomFlip()]}, feed="image")],
    "MaxNumBoundingBoxes": [],
    # --- once experimental ---
    "experimental.SyncBatchNormalization": [Row((3, 4), axis=(-1, 1, [2]), center=BOTH)],
    "experimental.RandomFourierFeatures": [
        Row((5,), {"output_dim": 4}, kernel_initializer=("gaussian", "laplacian"), scale=(None, 2.0), trainable=BOTH)
    ],
    "experimental.EinsumDense": [Row((5,), {"equation": "ab,bc->ac", "output_shape": 3}, bias_axes=("c",))],
    **{
        f"experimental.preprocessing.{name}": None
        for name in (
            *("Rescaling", "Resizing", "CenterCrop", "Normalization", "CategoryEncoding", "Discretization", "Hashing"),
            *("HashedCrossing", "CategoryCrossing", "StringLookup", "IntegerLookup", "TextVectorization"),
            *("RandomContrast", "RandomCrop", "RandomFlip", "RandomHeight", "RandomWidth", "RandomRotation"),
            *("RandomTranslation", "RandomZoom"),
        )
    },
}
for name in [name for name, rows in ROWS.items() if rows is None]:
    ROWS[name] = ROWS[name.rpartition(".")[2]]
