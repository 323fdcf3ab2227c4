# What type checkers read of `__init__.py`.
# isort: off
# fmt: off
from collections.abc import Callable

from fnet.layers.activation_layers import (
    activation as activation, elu as elu, leaky_relu as leaky_relu, prelu as prelu, relu as relu, softmax as
    softmax,
)
from fnet.layers.adaptive_pooling import (
    adaptive_average_pooling1d as adaptive_average_pooling1d, adaptive_average_pooling2d as
    adaptive_average_pooling2d, adaptive_average_pooling3d as adaptive_average_pooling3d,
    adaptive_max_pooling1d as adaptive_max_pooling1d, adaptive_max_pooling2d as adaptive_max_pooling2d,
    adaptive_max_pooling3d as adaptive_max_pooling3d,
)
from fnet.layers.any_cell import rnn as rnn, stacked_rnn_cells as stacked_rnn_cells
from fnet.layers.audio import mel_spectrogram as mel_spectrogram, stft_spectrogram as stft_spectrogram
from fnet.layers.augmentation import (
    aug_mix as aug_mix, cut_mix as cut_mix, equalization as equalization, max_num_bounding_boxes as
    max_num_bounding_boxes, mix_up as mix_up, rand_augment as rand_augment, random_brightness as
    random_brightness, random_color_degeneration as random_color_degeneration, random_color_jitter as
    random_color_jitter, random_contrast as random_contrast, random_elastic_transform as
    random_elastic_transform, random_erasing as random_erasing, random_flip as random_flip,
    random_gaussian_blur as random_gaussian_blur, random_grayscale as random_grayscale, random_hue as
    random_hue, random_invert as random_invert, random_perspective as random_perspective,
    random_posterization as random_posterization, random_rotation as random_rotation, random_saturation as
    random_saturation, random_sharpness as random_sharpness, random_shear as random_shear,
    random_translation as random_translation, random_zoom as random_zoom, solarization as solarization,
)
from fnet.layers.basic import (
    constant as constant, dense as dense, embedding as embedding, identity as identity, input_layer as
    input_layer, masking as masking,
)
from fnet.layers.cells import (
    gru_cell as gru_cell, lstm_cell as lstm_cell, simple_rnn_cell as simple_rnn_cell,
)
from fnet.layers.conv_recurrent import (
    conv_lstm1d as conv_lstm1d, conv_lstm2d as conv_lstm2d, conv_lstm3d as conv_lstm3d,
)
from fnet.layers.convolution import conv1d as conv1d, conv2d as conv2d, conv3d as conv3d
from fnet.layers.convolution_transpose import (
    conv1d_transpose as conv1d_transpose, conv2d_transpose as conv2d_transpose, conv3d_transpose as
    conv3d_transpose,
)
from fnet.layers.depthwise import (
    depthwise_conv1d as depthwise_conv1d, depthwise_conv2d as depthwise_conv2d, separable_conv1d as
    separable_conv1d, separable_conv2d as separable_conv2d,
)
from fnet.layers.dot_attention import additive_attention as additive_attention, attention as attention
from fnet.layers.einsum_layers import (
    einsum_dense as einsum_dense, reversible_embedding as reversible_embedding,
)
from fnet.layers.global_pooling import (
    global_average_pooling1d as global_average_pooling1d, global_average_pooling2d as
    global_average_pooling2d, global_average_pooling3d as global_average_pooling3d, global_max_pooling1d as
    global_max_pooling1d, global_max_pooling2d as global_max_pooling2d, global_max_pooling3d as
    global_max_pooling3d,
)
from fnet.layers.group_query import group_query_attention as group_query_attention
from fnet.layers.hashed import hashed_crossing as hashed_crossing, hashing as hashing
from fnet.layers.image import (
    auto_contrast as auto_contrast, center_crop as center_crop,
    contrast_limited_adaptive_histogram_equalization as contrast_limited_adaptive_histogram_equalization,
    random_crop as random_crop, resizing as resizing,
)
from fnet.layers.locally_connected import (
    locally_connected1d as locally_connected1d, locally_connected2d as locally_connected2d,
)
from fnet.layers.lookup import integer_lookup as integer_lookup, string_lookup as string_lookup
from fnet.layers.merging import (
    add as add, average as average, concatenate as concatenate, dot as dot, maximum as maximum, minimum as
    minimum, multiply as multiply, subtract as subtract,
)
from fnet.layers.multi_head import multi_head_attention as multi_head_attention
from fnet.layers.norms import (
    batch_normalization as batch_normalization, group_normalization as group_normalization,
    layer_normalization as layer_normalization, rms_normalization as rms_normalization,
    spectral_normalization as spectral_normalization, unit_normalization as unit_normalization,
)
from fnet.layers.numeric import (
    category_encoding as category_encoding, discretization as discretization, normalization as
    normalization, rescaling as rescaling,
)
from fnet.layers.pooled_convolution import pooled_conv2d as pooled_conv2d, winograd_conv2d as winograd_conv2d
from fnet.layers.pooling import (
    average_pooling1d as average_pooling1d, average_pooling2d as average_pooling2d, average_pooling3d as
    average_pooling3d, max_pooling1d as max_pooling1d, max_pooling2d as max_pooling2d, max_pooling3d as
    max_pooling3d,
)
from fnet.layers.preprocessing_pipeline import pipeline as pipeline
from fnet.layers.random_fourier import random_fourier_features as random_fourier_features
from fnet.layers.recurrent import gru as gru, lstm as lstm, simple_rnn as simple_rnn
from fnet.layers.recurrence_stack import recurrent_stack as recurrent_stack
from fnet.layers.regularization import (
    activity_regularization as activity_regularization, alpha_dropout as alpha_dropout, dropout as dropout,
    gaussian_dropout as gaussian_dropout, gaussian_noise as gaussian_noise, spatial_dropout1d as
    spatial_dropout1d, spatial_dropout2d as spatial_dropout2d, spatial_dropout3d as spatial_dropout3d,
)
from fnet.layers.reshaping import (
    cropping1d as cropping1d, cropping2d as cropping2d, cropping3d as cropping3d, flatten as flatten,
    permute as permute, repeat_vector as repeat_vector, reshape as reshape, zero_padding1d as
    zero_padding1d, zero_padding2d as zero_padding2d, zero_padding3d as zero_padding3d,
)
from fnet.layers.scaling import (
    custom_scale_layer as custom_scale_layer, layer_scale as layer_scale, stochastic_depth as
    stochastic_depth,
)
from fnet.layers.text import text_vectorization as text_vectorization
from fnet.layers.up_sampling import (
    up_sampling1d as up_sampling1d, up_sampling2d as up_sampling2d, up_sampling3d as up_sampling3d,
)
from fnet.layers.wrappers import bidirectional as bidirectional, time_distributed as time_distributed

FAMILIES: dict[str, str]
NAMES: list[str]

def own_name(function: Callable[..., object] | None) -> str: ...
