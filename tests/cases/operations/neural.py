"""Rows of activations, normalizations, losses, attention, convolutions and pooling."""

from __future__ import annotations

from fnet import operations as o
from tests.cases.operations.row import A, M, OpCase, rows

ACTIVATIONS = (
    *(o.relu6, o.sigmoid, o.softplus, o.softsign, o.silu, o.log_sigmoid, o.hard_sigmoid, o.hard_silu, o.mish),
    *(o.hard_tanh, o.selu, o.tanh_shrink, o.sparse_plus, o.sparse_sigmoid, o.relu, o.leaky_relu, o.elu, o.celu),
    *(o.gelu, o.squareplus, o.hard_shrink, o.soft_shrink, o.softmax, o.log_softmax, o.sparsemax),
)

NEURAL = [
    *rows(ACTIVATIONS, A((3, 6), scale=3.0)),
    *rows((o.relu,), A((3, 6), scale=3.0), negative_slope=0.1, max_value=2.0, threshold=0.5),
    *rows((o.leaky_relu,), A((3, 6)), negative_slope=0.4),
    *rows((o.leaky_relu,), A((3, 6), "int32")),
    *rows((o.elu, o.celu), A((3, 6)), alpha=0.7),
    *rows((o.gelu,), A((3, 6)), approximate=False),
    *rows((o.squareplus,), A((3, 6)), b=3),
    *rows((o.hard_shrink, o.soft_shrink), A((3, 6)), threshold=0.31),
    *rows((o.threshold,), A((3, 6)), threshold=0.2, default_value=-1.0),
    *rows((o.softmax, o.log_softmax), A((3, 4, 2)), axis=1),
    *rows((o.softmax, o.log_softmax), A((3, 4, 2)), axis=None),
    *rows((o.glu,), A((3, 6)), axis=-1),
    *rows((o.moments,), A((3, 4, 2)), axes=(0, 2), keepdims=True),
    *rows((o.moments,), A((3, 4), "float16"), axes=(1,)),
    *rows((o.moments,), A((3, 4), "float16", scale=300.0), axes=(1,)),
    *rows((o.moments,), A((3, 4), scale=4000.0), axes=(1,)),
    *rows((o.moments,), A((3, 4), "int32"), axes=(1,)),
    *rows((o.batch_norm,), A((2, 3, 4)), A((3,)), A((3,), center=2.0, scale=0.1), A((3,)), A((3,)), axis=1),
    *rows((o.batch_norm,), A((2, 3, 4)), A((4,)), A((4,), center=2.0, scale=0.1), axis=-1, epsilon=0.1),
    *rows((o.batch_norm,), A((2, 3), "int8"), A((3,), center=3.0), A((3,), center=0.1, scale=0.01), axis=-1),
    *rows((o.layer_norm,), A((2, 3, 4)), A((4,)), A((4,))),
    *rows((o.rms_norm,), A((2, 3, 4)), A((4,))),
    *rows((o.rms_norm,), A((2, 3, 4)), None),
    *rows((o.rms_norm,), A((2, 3, 4)), axis=(1, 2), epsilon=0.1),
    *rows((o.normalize,), A((2, 3, 4))),
    *rows((o.normalize,), A((2, 3, 4)), axis=1, order=3),
    *rows((o.layer_norm, o.rms_norm), A((2, 3, 4), scale=3e-4)),
    *rows((o.normalize,), A((2, 3, 4), scale=3e-8)),
    *rows((o.binary_crossentropy,), A((2, 3), center=0.5, scale=0.1), A((2, 3), center=0.5, scale=0.1)),
    *rows((o.binary_crossentropy,), A((2, 3), center=0.5, scale=0.1), A((2, 3), scale=3.0), from_logits=True),
    *rows((o.categorical_crossentropy,), A((2, 3), center=0.5, scale=0.1), A((2, 3), center=0.5, scale=0.1)),
    *rows((o.categorical_crossentropy,), A((2, 3), center=0.5, scale=0.1), M, from_logits=True),
    *rows((o.sparse_categorical_crossentropy,), A((2,), "int32", 0, 3), A((2, 3), center=0.5, scale=0.1)),
    *rows((o.sparse_categorical_crossentropy,), A((2, 1), "int32", 0, 3), M, from_logits=True),
    *rows((o.sparse_categorical_crossentropy,), A((2,), "int32", 0, 3), A((2, 3), scale=3.0)),
    *[
        OpCase(
            o.fake_quant_with_min_max_vars,
            (A((4, 6), scale=3.0), low, high),
            options,
            idle="" if high else "gives zeros",
        )
        for low, high in ((-2.0, 3.0), (1.0, 4.0), (-5.0, -1.0), (0.0, 0.0))
        for options in ({}, {"num_bits": 4}, {"num_bits": 3, "narrow_range": True})
    ],
    *rows(
        (o.fake_quant_with_min_max_vars,), A((4, 3, 2)), A((3,), center=-2.0), A((3,), center=3.0), axis=1, num_bits=4
    ),
    *rows((o.fake_quant_with_min_max_vars,), A((4, 3), "float16"), A((3,), center=-2.0), A((3,), center=3.0), axis=-1),
    *[
        OpCase(o.ctc_decode, (A((3, 9, 5), scale=2.0), A((3,), "int32", 1, 10)), options)
        for options in (
            *({}, {"merge_repeated": False, "mask_index": -1}, {"mask_index": None}, {"mask_index": 2}),
            {"strategy": "beam_search", "beam_width": 7, "top_paths": 3},
            {"strategy": "beam_search", "beam_width": 50, "top_paths": 2, "mask_index": 2},
            {"strategy": "beam_search", "beam_width": 1, "mask_index": None},
        )
    ],
    *[
        OpCase(
            o.ctc_loss,
            (
                *(A((4, 3), "int32", low, high), A((4, 9, 5), scale=2.0)),
                *(A((4,), "int32", fewest, 4), A((4,), "int32", 7, 10)),
            ),
            options,
        )
        for low, high, fewest, options in ((1, 5, 1, {}), (1, 3, 0, {}), (0, 4, 1, {"mask_index": 4}))
    ],
    *rows((o.psnr,), M, M, max_val=2.0),
    *rows((o.dot_product_attention,), A((2, 3, 4, 5)), A((2, 6, 4, 5)), A((2, 6, 4, 5))),
    *rows((o.dot_product_attention,), A((2, 4, 4, 5)), A((2, 6, 2, 5)), A((2, 6, 2, 5)), is_causal=True),
    *rows(
        (o.dot_product_attention,),
        A((2, 3, 4, 5)),
        A((2, 6, 4, 5)),
        A((2, 6, 4, 5)),
        A((2, 4, 3, 6)),
        A((2, 1, 3, 6), "bool"),
        0.3,
        is_causal=True,
    ),
]

WINDOWS = [
    *rows((o.conv,), A((2, 9, 4)), A((3, 4, 5)), strides=2, padding="same"),
    *rows((o.conv,), A((2, 9, 8, 4)), A((3, 2, 2, 6)), strides=(1, 2)),
    *rows((o.conv,), A((2, 4, 9, 8)), A((3, 2, 4, 6)), data_format="channels_first", padding="same"),
    *rows((o.conv,), A((2, 9, 8, 4)), A((3, 3, 4, 6)), dilation_rate=2),
    *rows((o.conv,), A((2, 9, 8, 4), "int32"), A((3, 3, 4, 6), "int32")),
    *rows((o.conv,), A((2, 4, 5, 3, 2)), A((2, 3, 2, 2, 3)), strides=(1, 2, 1)),
    *rows((o.conv_transpose,), A((2, 5, 6, 3)), A((3, 3, 4, 3)), strides=2, padding="same"),
    *rows((o.conv_transpose,), A((2, 2, 3, 2, 3)), A((2, 3, 2, 4, 3)), strides=2),
    *rows((o.conv_transpose,), A((2, 5, 3)), A((3, 4, 3)), strides=2, output_padding=1),
    *rows((o.conv_transpose,), A((2, 3, 5, 6)), A((3, 2, 4, 3)), strides=(2, 1), data_format="channels_first"),
    *rows((o.depthwise_conv,), A((2, 9, 8, 4)), A((3, 3, 4, 2)), padding="same"),
    *rows((o.depthwise_conv,), A((2, 9, 4)), A((3, 4, 1)), strides=2),
    *rows((o.separable_conv,), A((2, 9, 8, 4)), A((3, 3, 4, 2)), A((1, 1, 8, 5)), strides=(2, 2)),
    *rows((o.separable_conv,), A((2, 9, 4)), A((3, 4, 2)), A((1, 8, 5)), strides=2),
    *rows((o.max_pool, o.average_pool), A((2, 7, 8, 3)), pool_size=(3, 2), strides=2, padding="same"),
    *rows((o.max_pool, o.average_pool), A((2, 7, 3)), pool_size=2),
    *rows((o.max_pool, o.average_pool), A((2, 3, 7, 8)), pool_size=2, data_format="channels_first"),
    *rows((o.max_pool, o.average_pool), A((2, 5, 6, 4, 3)), pool_size=2, strides=1),
    *rows((o.adaptive_max_pool, o.adaptive_average_pool), A((2, 5, 6, 4, 3)), output_size=(2, 3, 2)),
    *rows((o.adaptive_max_pool, o.adaptive_average_pool), A((2, 7, 8, 3)), output_size=(3, 5)),
    *rows((o.unfold,), A((2, 3, 7, 8)), kernel_size=(3, 2), dilation=(1, 2), padding=1, stride=2),
    *rows((o.fold,), A((2, 12, 20)), output_size=(5, 6), kernel_size=2),
    *rows((o.fold,), A((2, 18, 12)), output_size=(5, 6), kernel_size=3, padding=1, stride=(2, 1), dilation=(1, 2)),
    *rows((o.depth_to_space,), A((2, 3, 4, 8)), block_size=2),
    *rows((o.space_to_depth,), A((2, 4, 6, 3)), block_size=2),
    *rows((o.depth_to_space,), A((2, 8, 3, 4)), block_size=2, data_format="channels_first"),
    *rows((o.space_to_depth,), A((2, 3, 4, 6)), block_size=2, data_format="channels_first"),
]
