"""Functions of neural networks: softmax, normalization, losses, convolution, pooling.

Kernels are tensors here. `data_format` is TensorFlow's: "NHWC" and its like, channels first where it begins "NC".
Source: TensorFlow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fnet import operations
from fnet.activation_functions import ACTIVATIONS
from fnet.backend import xp
from fnet.core.options import asking, option_names
from fnet.core.room import size as bytes_of
from fnet.dtypes import bounds, is_float, tensor, together
from fnet.layers.windows import same_padding, window_padding
from fnet.operations.rules import Operation, borrowing, named
from fnet.shapes import broadcast_shapes, fit, joined, reduced_shape, require_made
from fnet.tf_functions.rules import (
    Sizes,
    as_spec,
    dtype_like,
    function,
    ints,
    of_keras,
    room_of,
    rule_of,
    same_in_keras,
    same_rule,
    sizes_of,
)
from fnet.types import Array, Range, Spec

Padding = str | Sequence[Sequence[int]]


_SOFTMAX = ("nn.softmax", "math.softmax", "keras.activations.softmax", "keras.backend.softmax")
softmax = same_in_keras(operations.softmax, "logits", "axis", *_SOFTMAX)
log_softmax = same_in_keras(operations.log_softmax, "logits", "axis", "nn.log_softmax", "math.log_softmax")


# --- normalization --------------------------------------------------------------------------------


moments = same_in_keras(operations.moments, "x", "axes keepdims", "nn.moments")


def _broadcast_rule(x: Any, *rest: Any) -> Spec:
    shapes = [as_spec(item).shape for item in (x, *rest) if item is not None]
    return Spec(broadcast_shapes(*shapes), dtype_like(x, *rest))


@function(_broadcast_rule, "nn.batch_normalization")
def batch_normalization(
    x: Array,
    mean: Array,
    variance: Array,
    offset: Array | None = None,
    scale: Array | None = None,
    variance_epsilon: float = 0.0,
) -> Array:
    """(x - mean) / sqrt(variance + variance_epsilon) * scale + offset, of tensors that broadcast."""
    x, mean, variance, epsilon = together(x, mean, variance, variance_epsilon)
    factor = 1 / xp.sqrt(variance + epsilon)
    factor = factor if scale is None else factor * tensor(scale, x.dtype.name)
    shift = -mean * factor if offset is None else tensor(offset, x.dtype.name) - mean * factor
    return x * factor + shift


def _order(data_format: str | None) -> str:
    """The Keras name of a `data_format` of TensorFlow."""
    return "channels_first" if _first(data_format) else "channels_last"


def _first(data_format: str | None) -> bool:
    return (data_format or "").startswith("NC")


def _bias_rule(value: Any, bias: Any, *, data_format: str) -> Spec:
    shape = as_spec(value).shape
    fit("... c, c", shape[:2] if _first(data_format) else shape, as_spec(bias).shape)
    return same_rule(value)


@function(_bias_rule, "nn.bias_add", "keras.backend.bias_add")
def bias_add(value: Array, bias: Array, *, data_format: str = "NHWC") -> Array:
    """`value` plus one number for each channel."""
    x, bias = together(value, bias)
    sizes = [1] * x.ndim
    sizes[1 if _first(data_format) else -1] = -1
    return x + bias.reshape(sizes)


def _neighbours_room(x: Any, *, depth_radius: int) -> tuple[int, int]:
    """Two padded arrays of squares; each neighbouring channel is added to the whole."""
    wide = 2 * bytes_of(Spec((*x.shape[:-1], (x.shape[-1] or 1) + 2 * depth_radius)))
    return wide, wide + (2 * depth_radius + 1) * bytes_of(x)


@function(same_rule, "nn.local_response_normalization", room=_neighbours_room)
def local_response_normalization(
    x: Array, *, depth_radius: Annotated[int, Range(0)] = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> Array:
    """x / (bias + alpha * sum of x^2 over the `depth_radius` channels on both sides)^beta."""
    x = tensor(x)
    wide = xp.pad(x * x, [(0, 0)] * (x.ndim - 1) + [(depth_radius, depth_radius)])
    windows = [wide[..., i : i + x.shape[-1]] for i in range(2 * depth_radius + 1)]
    return x / xp.power(bias + alpha * sum(windows), beta)


# --- losses ---------------------------------------------------------------------------------------


@function(lambda t: Spec((), as_spec(t).dtype), "nn.l2_loss")
def l2_loss(t: Array) -> Array:
    """Half of the sum of squares."""
    t = tensor(t)
    return xp.sum(t * t) / 2


@function(_broadcast_rule, "nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(labels: Array, logits: Array) -> Array:
    """-labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits))."""
    z, x = together(labels, logits)
    return xp.maximum(x, 0) - x * z + xp.log1p(xp.exp(-xp.abs(x)))


@function(_broadcast_rule, "nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(labels: Array, logits: Array, pos_weight: Array) -> Array:
    """-pos_weight * labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits))."""
    z, x, weight = together(labels, logits, pos_weight)
    return (1 - z) * x + (1 + (weight - 1) * z) * (xp.log1p(xp.exp(-xp.abs(x))) + xp.maximum(-x, 0))


def _entropy_rule(labels: Any, logits: Any, *, axis: int) -> Spec:
    shape = broadcast_shapes(as_spec(labels).shape, as_spec(logits).shape)
    return Spec(reduced_shape(shape, axis, False), dtype_like(logits))


@function(_entropy_rule, "nn.softmax_cross_entropy_with_logits", "compat.v1.nn.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy_with_logits(labels: Array, logits: Array, *, axis: int = -1) -> Array:
    """-sum(labels * log_softmax(logits)) over `axis`."""
    logits, labels = together(logits, labels)
    return -xp.sum(labels * ACTIVATIONS["log_softmax"](logits, axis), axis=axis)


@of_keras(operations.sparse_categorical_crossentropy, "nn.sparse_softmax_cross_entropy_with_logits", alike=False)
def sparse_softmax_cross_entropy_with_logits(labels: Array, logits: Array) -> Any:
    """-log_softmax(logits) at the class `labels`, classes in the last axis."""
    return (labels, logits), {"from_logits": True}


EPSILON = 1e-7
"""keras.config.epsilon(), which keeps logarithms finite."""


@function(_broadcast_rule, "keras.backend.binary_crossentropy")
def binary_crossentropy(target: Array, output: Array, *, from_logits: bool = False) -> Array:
    """-(target * log(output) + (1 - target) * log(1 - output)), of probabilities or `from_logits`."""
    target, output = together(target, output)
    if from_logits:
        return sigmoid_cross_entropy_with_logits({}, (target, output))
    output = xp.clip(output, EPSILON, 1 - EPSILON)
    return -(target * xp.log(output + EPSILON) + (1 - target) * xp.log(1 - output + EPSILON))


def _crossentropy(operation: Operation) -> Operation:
    name = f"keras.backend.{operation.__name__}"
    return same_in_keras(operation, "target output", "from_logits axis", name, alike=False)


categorical_crossentropy = _crossentropy(operations.categorical_crossentropy)
sparse_categorical_crossentropy = _crossentropy(operations.sparse_categorical_crossentropy)


# --- convolution ----------------------------------------------------------------------------------


def spatial(value: Any, rank: int, data_format: str | None) -> tuple[int, ...]:
    """One number for each spatial axis, from a single number, one for each spatial axis, or one for each axis."""
    values = [value] if isinstance(value, int) else list(value if value is not None else [1])
    if len(values) == rank + 2:
        values = values[2:] if _first(data_format) else values[1:-1]
    return tuple(values * rank if len(values) == 1 else values)


def _how(rank: int, *, strides: Any, padding: Padding, data_format: str | None, dilations: Any) -> dict[str, Any]:
    """The options of a convolution in Keras's form."""
    return {
        "strides": spatial(strides, rank, data_format),
        "padding": _after_margins(padding),
        "dilation_rate": spatial(dilations, rank, data_format),
        "data_format": _order(data_format),
    }


def _after_margins(padding: Padding) -> str:
    """The padding of the layer: "valid" for a list of pairs, which are padded before."""
    return padding.lower() if isinstance(padding, str) else "valid"


def _padded(x: Any, padding: Padding, fill: float = 0.0) -> Any:
    """An array, or its Spec, with margins where `padding` lists them."""
    if isinstance(padding, str):
        return x
    if isinstance(x, Spec):
        sizes = (None if d is None else d + a + b for d, (a, b) in zip(x.shape, padding, strict=True))
        return Spec(tuple(sizes), x.dtype)
    return xp.pad(x, [(a, b) for a, b in padding], constant_values=fill)


def _convolution(name: str, operation: Operation, *names: str) -> Operation:
    """A convolution with one kernel."""

    def apply(
        x: Array,
        filters: Array,
        *,
        strides: Any = None,
        padding: Padding = "VALID",
        data_format: str | None = None,
        dilations: Any = None,
    ) -> Any:
        how = _how(len(x.shape) - 2, strides=strides, padding=padding, data_format=data_format, dilations=dilations)
        return (_padded(x, padding), filters), how

    return of_keras(operation, *names)(named(name, operation.__doc__ or name, apply))


conv = _convolution(
    "conv", operations.conv, "nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.convolution", "nn.atrous_conv2d"
)
depthwise_conv2d = _convolution(
    "depthwise_conv2d", operations.depthwise_conv, "nn.depthwise_conv2d", "compat.v1.nn.depthwise_conv2d_native"
)


@of_keras(operations.separable_conv, "nn.separable_conv2d")
def separable_conv2d(
    x: Array,
    depthwise_filter: Array,
    pointwise_filter: Array,
    *,
    strides: Any = None,
    padding: str = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
) -> Any:
    """A depthwise convolution, then one with windows of size 1."""
    how = _how(2, strides=strides, padding=padding, data_format=data_format, dilations=dilations)
    return (x, depthwise_filter, pointwise_filter), how


def _uncut(x: Spec, filters: Any, strides: Any, data_format: str | None, dilations: Any) -> tuple[Spec, dict[str, Any]]:
    """The output of the convolution before it is cut, and its options."""
    how = _how(len(x.shape) - 2, strides=strides, padding="valid", data_format=data_format, dilations=dilations)
    return rule_of(operations.conv_transpose, (x, as_spec(filters)), output_padding=None, **how), how


def _transpose_rule(
    x: Any, filters: Any, output_shape: Any, *, strides: Any, data_format: str | None, dilations: Any
) -> Spec:
    spec, sizes = as_spec(x), sizes_of(output_shape)
    _uncut(spec, filters, strides, data_format, dilations)
    if len(sizes) == len(spec.shape):
        return Spec((spec.shape[0] if sizes[0] is None else sizes[0], *sizes[1:]), spec.dtype)
    depth = as_spec(filters).shape[-2]
    return Spec((spec.shape[0], depth, *sizes) if _first(data_format) else (spec.shape[0], *sizes, depth), spec.dtype)


def _transpose_room(x: Sequence[Any], *, strides: Any, data_format: str | None, dilations: Any) -> tuple[int, int]:
    """The room of the convolution, and of its output before it is cut."""
    whole, how = _uncut(as_spec(x[0]), x[1], strides, data_format, dilations)
    memory, work = room_of(operations.conv_transpose, (as_spec(x[0]), as_spec(x[1])), **how)
    return memory + bytes_of(whole), work + bytes_of(whole)


@function(
    _transpose_rule,
    "nn.conv1d_transpose",
    "nn.conv2d_transpose",
    "nn.conv3d_transpose",
    sizes=("output_shape",),
    room=_transpose_room,
)
def conv_transpose(
    x: Array,
    filters: Array,
    output_shape: Sizes,
    *,
    strides: Any = None,
    padding: str = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
) -> Array:
    """(batch, *spatial, in), (*window, out, in) -> `output_shape`: the gradient of a convolution."""
    x, kernel = together(x, filters)
    rank = x.ndim - 2
    how = _how(rank, strides=strides, padding="valid", data_format=data_format, dilations=dilations)
    x = xp.moveaxis(x, 1, -1) if _first(data_format) else x
    sizes = spatial(ints(output_shape), rank, data_format)
    require_made(*sizes)
    full = operations.conv_transpose({}, (x, kernel), **{**how, "data_format": "channels_last"})
    each = zip(sizes, kernel.shape, how["strides"], how["dilation_rate"], strict=False)
    for axis, (size, window, step, gap) in enumerate(each, start=1):
        before = same_padding(size, gap * (window - 1) + 1, step)[0] if padding.upper() == "SAME" else 0
        full = _window(full, axis, before, size)
    return xp.moveaxis(full, -1, 1) if _first(data_format) else full


def _window(x: Array, axis: int, start: int, size: int) -> Array:
    """`size` entries of an axis from `start`, with zeros where it is too short."""
    missing = max(start + size - x.shape[axis], 0)
    x = xp.pad(x, [(0, missing if i == axis else 0) for i in range(x.ndim)]) if missing else x
    return x[(slice(None),) * axis + (slice(start, start + size),)]


# --- pooling --------------------------------------------------------------------------------------


def _pooling(name: str, operation: Operation, *names: str) -> Operation:
    def apply(
        x: Array, *, ksize: Any, strides: Any = None, padding: Padding = "VALID", data_format: str | None = None
    ) -> Any:
        window = spatial(ksize, len(x.shape) - 2, data_format)
        return _padded(x, padding, float("-inf")), {
            "pool_size": window,
            "strides": window if strides is None else spatial(strides, len(window), data_format),
            "padding": _after_margins(padding),
            "data_format": _order(data_format),
        }

    return of_keras(operation, *names)(named(name, operation.__doc__ or name, apply))


max_pool = _pooling("max_pool", operations.max_pool, "nn.max_pool", "nn.max_pool1d", "nn.max_pool2d", "nn.max_pool3d")
avg_pool = _pooling(
    "avg_pool", operations.average_pool, "nn.avg_pool", "nn.avg_pool1d", "nn.avg_pool2d", "nn.avg_pool3d"
)


def _meant(
    *,
    ksize: Any,
    pooling_type: Literal["MAX", "AVG"],
    strides: Any = None,
    padding: Literal["SAME", "VALID"] = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
) -> tuple[Operation, dict[str, Any]]:
    """The pooling of these options of `pool`, and its own; strides are 1 unless they are given."""
    if any(step != 1 for step in spatial(dilations, 1, None)):
        raise NotImplementedError(f"pool with dilations={dilations!r:.60}")
    how = {"ksize": ksize, "strides": 1 if strides is None else strides, "padding": padding, "data_format": data_format}
    return max_pool if pooling_type == "MAX" else avg_pool, how


def _pool_rule(x: Any, **arguments: Any) -> Spec:
    operation, how = _meant(**arguments)
    return rule_of(operation, as_spec(x), **how)


def _pool_room(x: Any, **arguments: Any) -> tuple[int, int]:
    operation, how = _meant(**arguments)
    return room_of(operation, x, **how)


def _pool(x: Array, **arguments: Any) -> Array:
    operation, how = _meant(**arguments)
    return operation({}, x, **how)


pool = function(asking(_pool_rule, _meant), "nn.pool", room=asking(_pool_room, _meant))(
    named(
        "pool",
        "The largest, or the mean, of each window; padding is not counted.",
        borrowing(_pool, ["x"], _meant, *option_names(_meant)),
    )
)


def _argmax_rule(
    input: Any,  # noqa: A002
    *,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str,
    output_dtype: str,
) -> tuple[Spec, Spec]:
    if _first(data_format):
        raise NotImplementedError(f"max_pool_with_argmax with data_format={data_format!r}")
    how = {"pool_size": spatial(ksize, 2, None), "strides": spatial(strides, 2, None), "padding": padding.lower()}
    y = rule_of(operations.max_pool, as_spec(input), **how, data_format="channels_last")
    return y, Spec(y.shape, output_dtype)


def _argmax_room(input: Any, **arguments: Any) -> tuple[int, int]:  # noqa: A002
    """All windows, as values and as positions."""
    values, _ = _argmax_rule(input, **arguments)
    each = math.prod(spatial(arguments["ksize"], 2, None)) * bytes_of(values)
    return 5 * each, 5 * each


@function(_argmax_rule, "nn.max_pool_with_argmax", room=asking(_argmax_room, _argmax_rule))
def max_pool_with_argmax(
    input: Array,  # noqa: A002
    *,
    ksize: Any,
    strides: Any,
    padding: Literal["SAME", "VALID"],
    data_format: str = "NHWC",
    output_dtype: str = "int64",
    include_batch_in_index: bool = False,
) -> tuple[Array, Array]:
    """(the largest of each window, its place in the flat image, or in the flat batch)."""
    x = tensor(input)
    rows, height, width, channels = x.shape
    window, steps = spatial(ksize, 2, None), spatial(strides, 2, None)
    pads = window_padding((height, width), window, steps, padding.lower())
    place = xp.arange((rows if include_batch_in_index else 1) * height * width * channels)
    place = xp.broadcast_to(place.reshape(-1, height, width, channels), x.shape)
    low = -math.inf if is_float(x) else bounds(x.dtype.name)[0]
    ends = [n + before + after - k + 1 for n, (before, after), k in zip((height, width), pads, window, strict=True)]

    def parts(a: Array, fill: float) -> Array:
        """(windows, ...): each entry of all windows."""
        a = xp.pad(a, [(0, 0), *pads, (0, 0)], constant_values=fill)
        cut = [
            a[:, i : i + ends[0] : steps[0], j : j + ends[1] : steps[1]]
            for i, j in itertools.product(*map(range, window))
        ]
        return xp.stack(cut)

    values = parts(x, low)
    first = xp.argmax(values, axis=0)[None]
    y, at = (xp.take_along_axis(a, first, axis=0)[0] for a in (values, parts(place, 0)))
    return y, tensor(at, output_dtype)


# --- blocks ---------------------------------------------------------------------------------------


def _blocks(name: str, operation: Operation) -> Operation:
    def apply(x: Array, *, block_size: int, data_format: str = "NHWC") -> Any:
        return x, {"block_size": block_size, "data_format": _order(data_format)}

    return of_keras(operation, f"nn.{name}")(named(name, operation.__doc__ or name, apply))


depth_to_space = _blocks("depth_to_space", operations.depth_to_space)
space_to_depth = _blocks("space_to_depth", operations.space_to_depth)


# --- quantization ---------------------------------------------------------------------------------


def _fake_quant(name: str, axis: int | None, *names: str) -> Operation:
    def apply(
        inputs: Array,
        min: Array = -6.0,  # noqa: A002
        max: Array = 6.0,  # noqa: A002
        *,
        num_bits: Annotated[int, Range(2, 16)] = 8,
        narrow_range: bool = False,
    ) -> Array:
        how = {"num_bits": num_bits, "narrow_range": narrow_range, "axis": axis}
        return operations.fake_quant_with_min_max_vars({}, (inputs, min, max), **how)

    def rule(inputs: Any, min: Any = 0.0, max: Any = 0.0) -> Spec:  # noqa: A002
        channel = as_spec(inputs).shape[-1:] if axis else ()
        for end in (min, max):
            joined(channel, as_spec(end).shape)
        return same_rule(inputs)

    text = operations.fake_quant_with_min_max_vars.__doc__ or name
    return function(rule, *(f"quantization.{n}" for n in names))(named(name, text, apply))


fake_quant = _fake_quant("fake_quant", None, "fake_quant_with_min_max_args", "fake_quant_with_min_max_vars")
fake_quant_per_channel = _fake_quant("fake_quant_per_channel", -1, "fake_quant_with_min_max_vars_per_channel")
