"""The layers, one family a file; each is imported when its first layer is used.

Every layer is a pure function `(params, x, *, options) -> y`; `fnet.bind` fixes its options.
"""

import sys
from collections.abc import Callable

from fnet.lazy import lazily

FAMILIES = {
    "activation_layers": "activation elu leaky_relu prelu relu softmax",
    "adaptive_pooling": (
        "adaptive_average_pooling1d adaptive_average_pooling2d adaptive_average_pooling3d adaptive_max_pooling1d "
        "adaptive_max_pooling2d adaptive_max_pooling3d"
    ),
    "any_cell": "rnn stacked_rnn_cells",
    "audio": "mel_spectrogram stft_spectrogram",
    "augmentation": (
        "aug_mix cut_mix equalization max_num_bounding_boxes mix_up rand_augment random_brightness "
        "random_color_degeneration random_color_jitter random_contrast random_elastic_transform random_erasing "
        "random_flip random_gaussian_blur random_grayscale random_hue random_invert random_perspective "
        "random_posterization random_rotation random_saturation random_sharpness random_shear random_translation "
        "random_zoom solarization"
    ),
    "basic": "constant dense embedding identity input_layer masking",
    "cells": "gru_cell lstm_cell simple_rnn_cell",
    "conv_recurrent": "conv_lstm1d conv_lstm2d conv_lstm3d",
    "convolution": "conv1d conv2d conv3d",
    "convolution_transpose": "conv1d_transpose conv2d_transpose conv3d_transpose",
    "depthwise": "depthwise_conv1d depthwise_conv2d separable_conv1d separable_conv2d",
    "dot_attention": "additive_attention attention",
    "einsum_layers": "einsum_dense reversible_embedding",
    "global_pooling": (
        "global_average_pooling1d global_average_pooling2d global_average_pooling3d global_max_pooling1d "
        "global_max_pooling2d global_max_pooling3d"
    ),
    "group_query": "group_query_attention",
    "hashed": "hashed_crossing hashing",
    "image": "auto_contrast center_crop contrast_limited_adaptive_histogram_equalization random_crop resizing",
    "locally_connected": "locally_connected1d locally_connected2d",
    "lookup": "integer_lookup string_lookup",
    "merging": "add average concatenate dot maximum minimum multiply subtract",
    "multi_head": "multi_head_attention",
    "norms": (
        "batch_normalization group_normalization layer_normalization rms_normalization spectral_normalization "
        "unit_normalization"
    ),
    "numeric": "category_encoding discretization normalization rescaling",
    "pooled_convolution": "pooled_conv2d winograd_conv2d",
    "pooling": "average_pooling1d average_pooling2d average_pooling3d max_pooling1d max_pooling2d max_pooling3d",
    "preprocessing_pipeline": "pipeline",
    "random_fourier": "random_fourier_features",
    "recurrent": "gru lstm simple_rnn",
    "recurrence_stack": "recurrent_stack",
    "regularization": (
        "activity_regularization alpha_dropout dropout gaussian_dropout gaussian_noise spatial_dropout1d "
        "spatial_dropout2d spatial_dropout3d"
    ),
    "reshaping": (
        "cropping1d cropping2d cropping3d flatten permute repeat_vector reshape zero_padding1d zero_padding2d "
        "zero_padding3d"
    ),
    "scaling": "custom_scale_layer layer_scale stochastic_depth",
    "text": "text_vectorization",
    "up_sampling": "up_sampling1d up_sampling2d up_sampling3d",
    "wrappers": "bidirectional time_distributed",
}
"""{file: its layers}."""

NAMES = [name for names in FAMILIES.values() for name in names.split()]

__all__ = NAMES
_NAMES = frozenset(NAMES)
__getattr__, __dir__ = lazily(__name__, FAMILIES)


def own_name(function: Callable[..., object] | None) -> str:
    """The name of one of these layers, "" for a function of a user. To compare it, no layer need be imported."""
    name = getattr(function, "__name__", "")
    return name if name in _NAMES and getattr(sys.modules[__name__], name) is function else ""
