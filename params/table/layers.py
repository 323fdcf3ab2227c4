"""THE conversion table of layers: Keras class -> fnet layer (see `params.table.entry` for what a row says).

By default a config key that is an option of the fnet layer is passed on under its own name (lists as tuples);
keys that matter in training only are left out; any other key must be null or hold a value that changes nothing,
else the layer is refused. The order of a layer's arrays is the order of the params in its shape rule.
"""

from __future__ import annotations

from typing import Any

import fnet
from fnet.layers import (
    activation_layers,
    any_cell,
    augmentation,
    cells,
    conv_recurrent,
    dot_attention,
    einsum_layers,
    merging,
    multi_head,
    norms,
    recurrent,
    regularization,
    reshaping,
    scaling,
    up_sampling,
    wrappers,
)
from fnet.layers.basic import masking
from params.table.entry import DENSE, IGNORED, Assets, Entry
from params.table.preprocessing import AUGMENTATION, PREPROCESSING

__all__ = ["IGNORED", "LAYERS", "Assets", "Entry"]


def _input(config: dict[str, Any]) -> dict[str, Any]:
    """Any batch size: Keras, too, does not hold callers to the one that is written down."""
    return {**config, "shape": (None, *config["batch_shape"][1:])}


CORE = {
    "InputLayer": Entry(
        fnet.input_layer, _input, neutral=DENSE, limits="sparse tensors come as dense arrays; no ragged inputs"
    ),
    "Dense": Entry(fnet.dense),
    "EinsumDense": Entry(einsum_layers.einsum_dense),
    "Embedding": Entry(fnet.embedding),
    "ReversibleEmbedding": Entry(einsum_layers.reversible_embedding, arguments=("inputs", "reverse")),
    "Identity": Entry(fnet.identity),
    "Masking": Entry(masking),
}

ACTIVATION = {
    "Activation": Entry(activation_layers.activation),
    "ELU": Entry(activation_layers.elu),
    "LeakyReLU": Entry(activation_layers.leaky_relu),
    "PReLU": Entry(activation_layers.prelu),
    "ReLU": Entry(activation_layers.relu),
    "Softmax": Entry(activation_layers.softmax),
}

_MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")
_FLASH = frozenset({"flash_attention"})
_QUERIES = ("query", "value", "key", *_MASKS, "return_attention_scores", "use_causal_mask")


def _queries(given: dict[str, Any]) -> Any:
    """(query, value[, key]), or with explicit masks a dict by the names of the Keras call."""
    return given if set(given) & set(_MASKS) else tuple(given[key] for key in _QUERIES if key in given)


_PRIVATE = {f"{name}_dense": f"_{name}_dense" for name in ("query", "key", "value", "gate", "output")}

ATTENTION = {
    "AdditiveAttention": Entry(dot_attention.additive_attention),
    "Attention": Entry(dot_attention.attention),
    "GroupQueryAttention": Entry(
        fnet.group_query_attention,
        groups=_PRIVATE,
        arguments=_QUERIES,
        inputs=_queries,
        ignored=_FLASH,
    ),
    "MultiHeadAttention": Entry(multi_head.multi_head_attention, arguments=_QUERIES, inputs=_queries, ignored=_FLASH),
}

# Keras 2 wrote `groups` into the configs of layers that have none.
_UNGROUPED: dict[str, tuple[Any, ...]] = {"groups": (1,)}

CONVOLUTION = {
    "Conv1D": Entry(fnet.conv1d),
    "Conv2D": Entry(fnet.conv2d),
    "Conv3D": Entry(fnet.conv3d),
    "Conv1DTranspose": Entry(fnet.conv1d_transpose, neutral=_UNGROUPED),
    "Conv2DTranspose": Entry(fnet.conv2d_transpose, neutral=_UNGROUPED),
    "Conv3DTranspose": Entry(fnet.conv3d_transpose, neutral=_UNGROUPED),
    "DepthwiseConv1D": Entry(fnet.depthwise_conv1d, neutral=_UNGROUPED),
    "DepthwiseConv2D": Entry(fnet.depthwise_conv2d, neutral=_UNGROUPED),
    "SeparableConv1D": Entry(fnet.separable_conv1d, neutral=_UNGROUPED),
    "SeparableConv2D": Entry(fnet.separable_conv2d, neutral=_UNGROUPED),
}

POOLING = {
    "AdaptiveAveragePooling1D": Entry(fnet.adaptive_average_pooling1d),
    "AdaptiveAveragePooling2D": Entry(fnet.adaptive_average_pooling2d),
    "AdaptiveAveragePooling3D": Entry(fnet.adaptive_average_pooling3d),
    "AdaptiveMaxPooling1D": Entry(fnet.adaptive_max_pooling1d),
    "AdaptiveMaxPooling2D": Entry(fnet.adaptive_max_pooling2d),
    "AdaptiveMaxPooling3D": Entry(fnet.adaptive_max_pooling3d),
    "AveragePooling1D": Entry(fnet.average_pooling1d),
    "AveragePooling2D": Entry(fnet.average_pooling2d),
    "AveragePooling3D": Entry(fnet.average_pooling3d),
    "GlobalAveragePooling1D": Entry(fnet.global_average_pooling1d),
    "GlobalAveragePooling2D": Entry(fnet.global_average_pooling2d),
    "GlobalAveragePooling3D": Entry(fnet.global_average_pooling3d),
    "GlobalMaxPooling1D": Entry(fnet.global_max_pooling1d),
    "GlobalMaxPooling2D": Entry(fnet.global_max_pooling2d),
    "GlobalMaxPooling3D": Entry(fnet.global_max_pooling3d),
    "MaxPooling1D": Entry(fnet.max_pooling1d),
    "MaxPooling2D": Entry(fnet.max_pooling2d),
    "MaxPooling3D": Entry(fnet.max_pooling3d),
}

MERGING = {
    "Add": Entry(merging.add),
    "Average": Entry(merging.average),
    "Concatenate": Entry(merging.concatenate),
    "Dot": Entry(merging.dot),
    "Maximum": Entry(merging.maximum),
    "Minimum": Entry(merging.minimum),
    "Multiply": Entry(merging.multiply),
    "Subtract": Entry(merging.subtract),
}

_MOMENTS = frozenset({"momentum", "synchronized", "renorm_clipping", "renorm_momentum"})

NORMALIZATION = {
    "BatchNormalization": Entry(norms.batch_normalization, ignored=_MOMENTS),
    "GroupNormalization": Entry(norms.group_normalization),
    "LayerNormalization": Entry(norms.layer_normalization),
    "RMSNormalization": Entry(norms.rms_normalization),
    "SpectralNormalization": Entry(norms.spectral_normalization, arrays=lambda config: ("kernel", "vector_u")),
    "UnitNormalization": Entry(norms.unit_normalization),
}


def _sequences(given: dict[str, Any]) -> Any:
    """(sequence, *states), or with an explicit mask a dict by the names of the Keras call."""
    if set(given) == {"sequences"}:
        return given["sequences"]
    if isinstance(given["sequences"], list):  # Keras 2 wrote the states next to the sequence
        first, *beside = given["sequences"]
        given = {**given, "sequences": first, **({"initial_state": beside} if beside else {})}
    states = given.get("initial_state")
    if "mask" in given or not isinstance(states, list):
        return given
    return (given["sequences"], *states)


def _recurrent(layer: Any, **groups: str) -> Entry:
    arguments = ("sequences", "initial_state", "mask")
    return Entry(layer, groups=groups, arguments=arguments, inputs=_sequences, neutral={"implementation": (0, 1, 2)})


# Keras meets the attributes `activation` and `recurrent_activation` of a layer before its cell.
_CELL = {"": "cell", "activation": "activation", "recurrent_activation": "recurrent_activation"}

RECURRENT = {
    "Bidirectional": _recurrent(wrappers.bidirectional),
    "ConvLSTM1D": _recurrent(conv_recurrent.conv_lstm1d, **_CELL),
    "ConvLSTM2D": _recurrent(conv_recurrent.conv_lstm2d, **_CELL),
    "ConvLSTM3D": _recurrent(conv_recurrent.conv_lstm3d, **_CELL),
    "GRU": _recurrent(recurrent.gru, **_CELL),
    "GRUCell": Entry(cells.gru_cell, arguments=("inputs", "states")),
    "LSTM": _recurrent(recurrent.lstm, **_CELL),
    "LSTMCell": Entry(cells.lstm_cell, arguments=("inputs", "states")),
    "RNN": _recurrent(any_cell.rnn),
    "SimpleRNN": _recurrent(recurrent.simple_rnn, **_CELL),
    "SimpleRNNCell": Entry(cells.simple_rnn_cell, arguments=("sequence", "states")),
    "StackedRNNCells": Entry(any_cell.stacked_rnn_cells, arguments=("inputs", "states")),
    "TimeDistributed": Entry(wrappers.time_distributed),
}

REGULARIZATION = {
    "ActivityRegularization": Entry(regularization.activity_regularization, ignored=frozenset({"l1", "l2"})),
    "AlphaDropout": Entry(regularization.alpha_dropout),
    "Dropout": Entry(regularization.dropout),
    "GaussianDropout": Entry(regularization.gaussian_dropout),
    "GaussianNoise": Entry(regularization.gaussian_noise),
    "SpatialDropout1D": Entry(regularization.spatial_dropout1d),
    "SpatialDropout2D": Entry(regularization.spatial_dropout2d),
    "SpatialDropout3D": Entry(regularization.spatial_dropout3d),
}

RESHAPING = {
    "Cropping1D": Entry(reshaping.cropping1d),
    "Cropping2D": Entry(reshaping.cropping2d),
    "Cropping3D": Entry(reshaping.cropping3d),
    "Flatten": Entry(reshaping.flatten),
    "Permute": Entry(reshaping.permute),
    "RepeatVector": Entry(reshaping.repeat_vector),
    "Reshape": Entry(reshaping.reshape),
    "UpSampling1D": Entry(up_sampling.up_sampling1d),
    "UpSampling2D": Entry(up_sampling.up_sampling2d),
    "UpSampling3D": Entry(up_sampling.up_sampling3d),
    "ZeroPadding1D": Entry(reshaping.zero_padding1d),
    "ZeroPadding2D": Entry(reshaping.zero_padding2d),
    "ZeroPadding3D": Entry(reshaping.zero_padding3d),
}


APPLICATIONS = {
    "CustomScaleLayer": Entry(scaling.custom_scale_layer, module="keras.src.applications.inception_resnet_v2"),
    "LayerScale": Entry(
        scaling.layer_scale, ignored=frozenset({"init_values"}), module="keras.src.applications.convnext"
    ),
    "StochasticDepth": Entry(scaling.stochastic_depth, module="keras.src.applications.convnext"),
}

_PASSED = "the identity at inference"

KERAS_2 = {
    "RandomHeight": Entry(augmentation.random_zoom, ignored=frozenset({"*"}), limits=_PASSED),
    "RandomWidth": Entry(augmentation.random_zoom, ignored=frozenset({"*"}), limits=_PASSED),
    "LocallyConnected1D": Entry(fnet.locally_connected1d),
    "LocallyConnected2D": Entry(fnet.locally_connected2d),
    "RandomFourierFeatures": Entry(fnet.random_fourier_features, ignored=frozenset({"scale"})),
}
"""Layers that only Keras 2 had, beside those that `params.convert.legacy_config` renames."""

_SPACE = "keras.src.layers.preprocessing.feature_space"

FEATURE_SPACE = {
    "TFDConcat": Entry(merging.concatenate, module=_SPACE),
    "TFDIdentity": Entry(fnet.identity, module=_SPACE),
}
"""What `FeatureSpace.get_encoded_features` puts into a model beside public layers."""

LAYERS: dict[str, Entry] = {
    **CORE,
    **ACTIVATION,
    **ATTENTION,
    **CONVOLUTION,
    **POOLING,
    **MERGING,
    **NORMALIZATION,
    **RECURRENT,
    **REGULARIZATION,
    **RESHAPING,
    **PREPROCESSING,
    **AUGMENTATION,
    **APPLICATIONS,
    **FEATURE_SPACE,
    **KERAS_2,
}
"""{Keras class name: entry}."""
