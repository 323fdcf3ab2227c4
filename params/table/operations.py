"""The conversion table of operations: what a class of `keras.ops` is in fnet.operations, and what is refused, why.

The name is enough: the class `LogSoftmax` is `operations.log_softmax`, and its arguments have the names of ours. What
differs is listed here.

In a functional model an operation on symbolic tensors is an entry next to the layers. Its config holds the
arguments of the constructor; those of the call are in the node. A literal among the latter that fnet has as an
option (the key of GetItem) becomes that option; tensors and other numbers flow, in the order of the call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fnet import operations
from fnet.core.rules import call_of
from params.file.keras_objects import above_one
from params.table.entry import Entry

MODULES = {
    "activations.activations": "mish relu",
    "ops.core": "cast convert_to_tensor saturate_cast scatter scatter_update slice slice_update stop_gradient unstack",
    "ops.einops": "rearrange",
    "ops.image": (
        "affine_transform crop_images extract_patches gaussian_blur hsv_to_rgb map_coordinates pad_images resize "
        "perspective_transform rgb_to_grayscale rgb_to_hsv ssim scale_and_translate sobel_edges"
    ),
    "ops.linalg": (
        "cholesky cholesky_inverse det eig eigh inv lstsq lu_factor matrix_rank norm pinv qr svd solve solve_triangular"
    ),
    "ops.math": (
        "cdist erf erfc erfinv extract_sequences fft fft2 ifft2 irfft istft in_top_k logdet logsumexp rfft rsqrt stft "
        "segment_max segment_min segment_prod segment_sum top_k view_as_complex view_as_real"
    ),
    "ops.nn": (
        "adaptive_average_pool adaptive_max_pool average_pool batch_norm binary_crossentropy ctc_decode ctc_loss "
        "categorical_crossentropy celu conv conv_transpose depth_to_space depthwise_conv dot_product_attention elu "
        "fold gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh layer_norm leaky_relu log_sigmoid log_softmax "
        "max_pool moments multi_hot normalize one_hot psnr polar rms_norm relu relu6 selu separable_conv sigmoid silu "
        "soft_shrink softmax softplus softsign space_to_depth sparse_categorical_crossentropy sparse_plus "
        "sparse_sigmoid sparsemax squareplus tanh_shrink threshold unfold"
    ),
    "quantizers.quantizers": "fake_quant_with_min_max_vars",
}
"""{module of Keras: our names of the operations there}; all others are in `ops.numpy`."""

SPELLED = {
    **{
        name: name.upper() for name in ("fft", "fft2", "ifft2", "irfft", "istft", "psnr", "rfft", "ssim", "stft", "svd")
    },
    "allclose": "AllClose",
    "cdist": "CDist",
    "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss",
    "hsv_to_rgb": "HSVToRGB",
    "isin": "IsIn",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV",
    "rms_norm": "RMSNorm",
    "searchsorted": "SearchSorted",
}
"""{our name: the class}, where capitals at the begin of each word do not make it."""

CALLED = {
    "digitize": ("x", "bins"),
    "get_item": ("x", "key"),
    "isclose": ("x1", "x2", "rtol", "atol", "equal_nan"),
    "pad": ("x", "constant_values"),
    "rearrange": ("tensor", "pattern", "**axes_lengths"),
    "scatter": ("indices", "values", "shape"),
    "slice": ("inputs", "start_indices", "shape"),
    "stop_gradient": ("variable",),
}
"""{our name: the arguments of the Keras call}, where they are not those of our function."""

CALLED_EARLIER = {"isclose": ("equal_nan",), "scatter": ("shape",), "slice": ("shape",)}
"""{our name: those that the call had in Keras 3.0 to 3.11; later they are options}."""

_FUNCTIONS = "it calls Python functions, which a model file cannot hold as data"
_SCAN = f"{_FUNCTIONS}; use a recurrent layer"

REFUSED_OPERATIONS = {
    "AssociativeScan": _SCAN,
    "Cond": f"{_FUNCTIONS}; use where(condition, a, b)",
    "ForiLoop": _SCAN,
    "Map": _SCAN,
    "Scan": _SCAN,
    "Switch": f"{_FUNCTIONS}; use where(condition, a, b)",
    "VectorizedMap": f"{_FUNCTIONS}; write the operation for the whole batch",
    "WhileLoop": _SCAN,
    "JVP": f"{_FUNCTIONS}; it belongs to training",
    "Function": "it is a graph within a graph that Keras does not save",
    "SegmentReduction": "it is the abstract base of SegmentSum and its like",
    "ElasticTransform": "it moves pixels at random, in training",
}
"""{class name: why fnet does not have it}."""

_PHASES = "took strides in each phase of the dilation by itself on TensorFlow"

CHANGED: dict[str, tuple[tuple[int, int], dict[str, Callable[[Any], bool]], str]] = {
    "DepthwiseConv": ((3, 15), {"strides": above_one, "dilation_rate": above_one}, _PHASES),
    "DotProductAttention": (
        (3, 7),
        {"is_causal": (False, True).__contains__},
        "squared the scores on TensorFlow, and scaled on JAX",
    ),
    "MapCoordinates": (
        (3, 12),
        {"fill_mode": ("constant", "reflect").__contains__},
        "filled otherwise beyond the edges",
    ),
    "SeparableConv": ((3, 15), {"strides": above_one, "dilation_rate": above_one}, _PHASES),
}
"""{class: (the first Keras that computes as fnet does, {option: whether those before it did not, of its value}, what
they did)}."""


def _class_name(name: str) -> str:
    return SPELLED.get(name) or "".join(word.capitalize() for word in name.split("_"))


def _listed() -> dict[tuple[str, str], str]:
    homes = {name: module for module, names in MODULES.items() for name in names.split()}
    names = {(f"keras.src.{homes.get(name, 'ops.numpy')}", _class_name(name)): name for name in operations.NAMES}
    return {**names, ("keras.src.activations.activations", "ReLU"): "relu"}


OPERATIONS = _listed()
"""{(module, class name): our name}."""
BY_CLASS = {class_name: (module, class_name) for module, class_name in OPERATIONS}
"""{class name: its key}: legacy files write no module."""


@functools.cache
def operation(module: str, class_name: str) -> Entry:
    """The entry of an operation. Raises KeyError for one that is not in the table."""
    name = OPERATIONS[module, class_name]
    layer = getattr(operations, name)
    names = call_of(layer).arguments
    any_number = names[0].startswith("*")
    return Entry(
        layer,
        {"einsum": _by_appearance, "quantile": _linear, "threshold": _threshold, "trapezoid": _positions}.get(name),
        arguments=CALLED.get(name, () if any_number else names),
        earlier=CALLED_EARLIER.get(name, ()),
        inputs=in_order(names) if len(names) > 1 or any_number else None,
        neutral=dict.fromkeys(("sparse", "ragged"), (False,)) if name == "convert_to_tensor" else {},
    )


def _by_appearance(config: dict[str, Any]) -> dict[str, Any]:
    """Without `->`, the axes of Keras's result are in order of appearance, not in alphabetical order."""
    left = config.get("subscripts")
    if not isinstance(left, str) or "->" in left:
        return config
    left = left.replace(" ", "")
    once = "".join(c for c in left if c.isalpha() and left.count(c) == 1)
    return {**config, "subscripts": f"{left}->{'...' * ('...' in left)}{once}"}


def _linear(config: dict[str, Any]) -> dict[str, Any]:
    """A quantile is interpolated, whatever the config says: so do Keras's graphs."""
    return {**config, "method": "linear"}


def _positions(config: dict[str, Any]) -> dict[str, Any]:
    return {"positions" if key == "x" else key: value for key, value in config.items()}


def _threshold(config: dict[str, Any]) -> dict[str, Any]:
    """Earlier versions (run: 3.10) wrote other names than those of today (run: 3.12)."""
    names = {"threshold_value": "threshold", "value": "default_value"}
    return {names.get(key, key): value for key, value in config.items()}


def in_order(names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """{name: argument} -> the tuple of the arguments of a call, with None for those left out before others."""

    def arrange(call: dict[str, Any]) -> tuple[Any, ...]:
        if names[0].startswith("*"):
            return tuple(call.values())
        values = list(call.values()) if set(call) - set(names) else [call.get(name) for name in names]
        filled = max((place for place, value in enumerate(values, 1) if value is not None), default=0)
        return tuple(values[:filled])

    return arrange
