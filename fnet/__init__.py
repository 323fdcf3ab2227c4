"""fnet: Keras models as pure functions.

Every layer is a pure `apply(params, x)`; `bind`, `sequential` and `graph` compose them; NumPy or JAX runs them.

>>> import fnet
>>> model, params = fnet.load_keras("cnn.keras")  # doctest: +SKIP
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet import starting  # noqa: F401 - before what takes time to import

# isort: split
from fnet import activation_functions, random
from fnet.core.compose import Bound, Graph, Sequential, bind, graph, layer, run, sequential
from fnet.core.cutting import cut, pruned
from fnet.core.infer import activations, infer, summary, trace
from fnet.core.parameters import check, init, merge, partition, with_rng
from fnet.core.sources import at, masked_by
from fnet.errors import InvalidInput, InvalidParams, InvalidRows, MissingBackend
from fnet.inference.compile import compile, jit  # noqa: A004 - the field's words
from fnet.inference.labels import classes
from fnet.inference.predict import predict
from fnet.inference.stream import initial_state, streaming
from fnet.layers.activation_layers import activation, elu, leaky_relu, prelu, relu, softmax
from fnet.layers.adaptive_pooling import (
    adaptive_average_pooling1d,
    adaptive_average_pooling2d,
    adaptive_average_pooling3d,
    adaptive_max_pooling1d,
    adaptive_max_pooling2d,
    adaptive_max_pooling3d,
)
from fnet.layers.any_cell import rnn, stacked_rnn_cells
from fnet.layers.audio import mel_spectrogram, stft_spectrogram
from fnet.layers.augmentation import (
    aug_mix,
    cut_mix,
    equalization,
    max_num_bounding_boxes,
    mix_up,
    rand_augment,
    random_brightness,
    random_color_degeneration,
    random_color_jitter,
    random_contrast,
    random_elastic_transform,
    random_erasing,
    random_flip,
    random_gaussian_blur,
    random_grayscale,
    random_hue,
    random_invert,
    random_perspective,
    random_posterization,
    random_rotation,
    random_saturation,
    random_sharpness,
    random_shear,
    random_translation,
    random_zoom,
    solarization,
)
from fnet.layers.basic import constant, dense, embedding, identity, input_layer, masking
from fnet.layers.cells import gru_cell, lstm_cell, simple_rnn_cell
from fnet.layers.conv_recurrent import conv_lstm1d, conv_lstm2d, conv_lstm3d
from fnet.layers.convolution import conv1d, conv2d, conv3d
from fnet.layers.convolution_transpose import conv1d_transpose, conv2d_transpose, conv3d_transpose
from fnet.layers.depthwise import depthwise_conv1d, depthwise_conv2d, separable_conv1d, separable_conv2d
from fnet.layers.dot_attention import additive_attention, attention
from fnet.layers.einsum_layers import einsum_dense, reversible_embedding
from fnet.layers.global_pooling import (
    global_average_pooling1d,
    global_average_pooling2d,
    global_average_pooling3d,
    global_max_pooling1d,
    global_max_pooling2d,
    global_max_pooling3d,
)
from fnet.layers.group_query import group_query_attention
from fnet.layers.hashed import hashed_crossing, hashing
from fnet.layers.image import (
    auto_contrast,
    center_crop,
    contrast_limited_adaptive_histogram_equalization,
    random_crop,
    resizing,
)
from fnet.layers.locally_connected import locally_connected1d, locally_connected2d
from fnet.layers.lookup import integer_lookup, string_lookup
from fnet.layers.merging import add, average, concatenate, dot, maximum, minimum, multiply, subtract
from fnet.layers.multi_head import multi_head_attention
from fnet.layers.norms import (
    batch_normalization,
    group_normalization,
    layer_normalization,
    rms_normalization,
    spectral_normalization,
    unit_normalization,
)
from fnet.layers.numeric import category_encoding, discretization, normalization, rescaling
from fnet.layers.pooling import (
    average_pooling1d,
    average_pooling2d,
    average_pooling3d,
    max_pooling1d,
    max_pooling2d,
    max_pooling3d,
)
from fnet.layers.preprocessing_pipeline import pipeline
from fnet.layers.random_fourier import random_fourier_features
from fnet.layers.recurrent import gru, lstm, simple_rnn
from fnet.layers.recurrent_stack import recurrent_stack
from fnet.layers.regularization import (
    activity_regularization,
    alpha_dropout,
    dropout,
    gaussian_dropout,
    gaussian_noise,
    spatial_dropout1d,
    spatial_dropout2d,
    spatial_dropout3d,
)
from fnet.layers.reshaping import (
    cropping1d,
    cropping2d,
    cropping3d,
    flatten,
    permute,
    repeat_vector,
    reshape,
    zero_padding1d,
    zero_padding2d,
    zero_padding3d,
)
from fnet.layers.scaling import custom_scale_layer, layer_scale, stochastic_depth
from fnet.layers.text import text_vectorization
from fnet.layers.up_sampling import up_sampling1d, up_sampling2d, up_sampling3d
from fnet.layers.vocabulary import vocabulary_params
from fnet.layers.wrappers import bidirectional, time_distributed
from fnet.masks import Masked
from fnet.rewrites import optimize
from fnet.strings import pack_strings, unpack_strings
from fnet.types import Param, Spec

if TYPE_CHECKING:
    from params import (
        CorruptFile,
        LimitExceeded,
        Limits,
        ModelFileError,
        UnsafeFile,
        UnsupportedLayer,
        WeightsMismatch,
        WeightsWarning,
        from_keras,
        load,
        load_info,
        load_keras,
        load_weights,
        save,
    )

    __version__: str

# One line or more a family, so that families grow side by side.
# fmt: off
__all__ = [
    "Bound", "Graph", "Masked", "Param", "Sequential", "Spec", "at", "bind", "graph", "layer", "masked_by", "run",
    "sequential",
    "activations", "check", "cut", "infer", "init", "merge", "partition", "pruned", "summary", "trace", "with_rng",
    "classes", "compile", "jit", "optimize", "predict",
    "initial_state", "streaming",
    "from_keras", "load", "load_info", "load_keras", "load_weights", "save", "Limits",
    "CorruptFile", "LimitExceeded", "ModelFileError", "UnsafeFile", "UnsupportedLayer", "WeightsMismatch",
    "WeightsWarning",
    "InvalidInput", "InvalidParams", "InvalidRows", "MissingBackend", "activation_functions", "random",
    # layers: recurrent
    "bidirectional", "conv_lstm1d", "conv_lstm2d", "conv_lstm3d", "gru", "gru_cell",
    "lstm", "lstm_cell", "recurrent_stack", "rnn", "simple_rnn", "simple_rnn_cell",
    "stacked_rnn_cells", "time_distributed",
    # layers: core
    "constant", "dense", "embedding", "identity", "input_layer", "masking",
    # layers: convolution
    "conv1d", "conv1d_transpose", "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose",
    "depthwise_conv1d", "depthwise_conv2d", "locally_connected1d", "locally_connected2d", "separable_conv1d",
    "separable_conv2d",
    # layers: preprocessing
    "auto_contrast", "category_encoding", "center_crop", "contrast_limited_adaptive_histogram_equalization",
    "discretization", "hashed_crossing", "hashing", "integer_lookup", "mel_spectrogram", "normalization", "pipeline",
    "rescaling", "resizing", "stft_spectrogram", "string_lookup", "text_vectorization",
    "pack_strings", "unpack_strings", "vocabulary_params",
    # layers: pooling
    "adaptive_average_pooling1d", "adaptive_average_pooling2d", "adaptive_average_pooling3d",
    "adaptive_max_pooling1d", "adaptive_max_pooling2d", "adaptive_max_pooling3d",
    "average_pooling1d", "average_pooling2d", "average_pooling3d",
    "global_average_pooling1d", "global_average_pooling2d", "global_average_pooling3d",
    "global_max_pooling1d", "global_max_pooling2d", "global_max_pooling3d",
    "max_pooling1d", "max_pooling2d", "max_pooling3d",
    # layers: activation
    "activation", "elu", "leaky_relu", "prelu", "relu", "softmax",
    # layers: attention
    "additive_attention", "attention",
    # layers: augmentation
    "aug_mix", "cut_mix", "equalization", "max_num_bounding_boxes", "mix_up", "rand_augment", "random_brightness",
    "random_color_degeneration", "random_color_jitter", "random_contrast", "random_crop",
    "random_elastic_transform", "random_erasing", "random_flip", "random_gaussian_blur", "random_grayscale",
    "random_hue", "random_invert", "random_perspective", "random_posterization", "random_rotation",
    "random_saturation", "random_sharpness", "random_shear", "random_translation", "random_zoom", "solarization",
    # layers: einsum
    "einsum_dense", "random_fourier_features", "reversible_embedding",
    # layers: merging
    "add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
    # layers: multi_head_attention
    "group_query_attention", "multi_head_attention",
    # layers: normalization
    "batch_normalization", "group_normalization", "layer_normalization", "rms_normalization",
    "spectral_normalization", "unit_normalization",
    # layers: regularization
    "activity_regularization", "alpha_dropout", "dropout", "gaussian_dropout", "gaussian_noise",
    "spatial_dropout1d", "spatial_dropout2d", "spatial_dropout3d",
    # layers: reshaping
    "cropping1d", "cropping2d", "cropping3d", "flatten", "permute", "repeat_vector", "reshape", "zero_padding1d",
    "zero_padding2d", "zero_padding3d",
    # layers: scaling
    "custom_scale_layer", "layer_scale", "stochastic_depth",
    # layers: up_sampling
    "up_sampling1d", "up_sampling2d", "up_sampling3d",
]

_OF_FILES = {
    "CorruptFile", "LimitExceeded", "Limits", "ModelFileError", "UnsafeFile", "UnsupportedLayer", "WeightsMismatch",
    "WeightsWarning",
    "from_keras", "load", "load_info", "load_keras", "load_weights", "save",
}
"""What reads and writes files, imported when it is first used: a model written by hand needs none of it."""
# fmt: on


def _params() -> Any:
    """The package `params`, which in a checkout any other module of that name can hide. Raises ImportError then."""
    import params

    home = Path(__file__).parent
    if Path(params.__file__ or "").parent not in (home / "params", home.parent / "params"):
        raise ImportError(
            f"fnet's own package `params` ({home.parent / 'params'}) is hidden by another module of that name, "
            f"{params.__file__ or list(params.__path__)}; rename that one, or install fnet as a wheel, which has "
            "it inside: pip install fnet-layers",
            name="params",
            path=params.__file__,
        )
    return params


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = importlib.import_module("importlib.metadata").version("fnet-layers")
    elif name in _OF_FILES:
        value = getattr(_params(), name)
    else:
        raise AttributeError(f"module 'fnet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_FILES, "__version__"})
