"""Convolutions. Kernels are tensors here, not parameters.

Each is the layer of that name for 1, 2 or 3 spatial axes. Source: keras.ops.nn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnet.core.compose import Bound, bind
from fnet.core.infer import infer
from fnet.core.room import of_step
from fnet.dtypes import factors, tensor
from fnet.layers import convolution, convolution_transpose, depthwise
from fnet.operations.rules import Operation, named, operation
from fnet.shapes import total
from fnet.types import Array, DataFormat, Shape, Spec

PerAxis = int | Sequence[int]

CONV = {1: convolution.conv1d, 2: convolution.conv2d, 3: convolution.conv3d}
CONV_TRANSPOSE = {
    1: convolution_transpose.conv1d_transpose,
    2: convolution_transpose.conv2d_transpose,
    3: convolution_transpose.conv3d_transpose,
}
DEPTHWISE = {1: depthwise.depthwise_conv1d, 2: depthwise.depthwise_conv2d}
SEPARABLE = {1: depthwise.separable_conv1d, 2: depthwise.separable_conv2d}


def of_rank(layers: dict[int, Callable[..., Any]], shape: Sequence[Any]) -> Callable[..., Any]:
    """The layer for as many spatial axes as a tensor of `shape` has."""
    rank = len(shape) - 2
    if rank not in layers:
        raise ValueError(f"expected {' or '.join(str(r + 2) for r in layers)} axes, got the shape {tuple(shape)}")
    return layers[rank]


def _channels(shape: Sequence[Any], data_format: str | None) -> Any:
    return shape[1] if data_format == "channels_first" else shape[-1]


def _inferred(step: Bound | None, inputs: Spec, filters: int | None, data_format: str | None) -> Any:
    """The Spec of what `step` gives, in the dtype of the inputs; spatial sizes are unknown without it, when the kernel
    has no known size."""
    if step is not None:
        return Spec(infer(step, inputs)[0].shape, inputs.dtype)
    spatial = (None,) * (len(inputs.shape) - 2)
    first = data_format == "channels_first"
    return Spec((inputs.shape[0], filters, *spatial) if first else (inputs.shape[0], *spatial, filters), inputs.dtype)


def _room(step: Bound | None, inputs: Spec) -> tuple[int, int]:
    """What the layer takes that an operation runs; nothing is known without its kernel."""
    return (0, 0) if step is None else of_step(step, inputs)


# --- one kernel -----------------------------------------------------------------------------------


def _convolution(name: str, text: str, layers: dict[int, Callable[..., Any]], sizes: Callable[..., Any]) -> Operation:
    """A convolution with one kernel; `sizes` tells the options and the filters that its shape stands for."""

    def step_of(
        inputs: Any, kernel: Any, strides: PerAxis, padding: str, data_format: str | None, dilation_rate: PerAxis
    ) -> Bound:
        options, _ = sizes(_channels(inputs.shape, data_format), kernel.shape)
        step = bind(of_rank(layers, inputs.shape), strides=strides, padding=padding, data_format=data_format)
        return bind(step, dilation_rate=dilation_rate, use_bias=False, **options)

    def rule(
        inputs: Spec, kernel: Spec, *, strides: PerAxis, padding: str, data_format: str | None, dilation_rate: PerAxis
    ) -> Any:
        _, filters = sizes(_channels(inputs.shape, data_format), kernel.shape)
        known = None not in kernel.shape
        step = step_of(inputs, kernel, strides, padding, data_format, dilation_rate) if known else None
        return _inferred(step, inputs, filters, data_format)

    def room(
        x: tuple[Spec, Spec], *, strides: PerAxis, padding: str, data_format: str | None, dilation_rate: PerAxis
    ) -> tuple[int, int]:
        known = None not in x[1].shape
        return _room(step_of(*x, strides, padding, data_format, dilation_rate) if known else None, x[0])

    def apply(
        inputs: Array,
        kernel: Array,
        *,
        strides: PerAxis = 1,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: PerAxis = 1,
    ) -> Array:
        (inputs, kernel), dtype = factors(inputs, kernel)
        step = step_of(inputs, kernel, strides, padding, data_format, dilation_rate)
        return tensor(step({"kernel": kernel}, inputs), dtype)

    return operation(rule, room=room)(named(name, text, apply))


def _conv_sizes(channels: int | None, kernel: Shape) -> tuple[dict[str, Any], int | None]:
    *window, inner, filters = kernel
    if inner is None:
        return {}, filters
    groups = (channels or inner) // inner
    return {"filters": filters, "kernel_size": tuple(window), "groups": groups}, filters


def _depthwise_sizes(channels: int | None, kernel: Shape) -> tuple[dict[str, Any], int | None]:
    *window, _, multiplier = kernel
    return {"kernel_size": tuple(window), "depth_multiplier": multiplier}, total((channels, multiplier))


conv: Operation = _convolution(
    "conv", "(batch, *spatial, in), (*window, in / groups, out) -> (batch, *spatial, out).", CONV, _conv_sizes
)
depthwise_conv: Operation = _convolution(
    "depthwise_conv",
    "(batch, *spatial, in), (*window, in, multiplier) -> (batch, *spatial, in * multiplier).",
    DEPTHWISE,
    _depthwise_sizes,
)

# --- the transpose, and two kernels ---------------------------------------------------------------


def _transpose_step(inputs: Shape, kernel: Shape, **options: Any) -> Bound:
    *window, filters, _ = kernel
    layer = of_rank(CONV_TRANSPOSE, inputs)
    return bind(layer, filters=filters, kernel_size=tuple(window), use_bias=False, **options)


def _conv_transpose_rule(
    inputs: Spec,
    kernel: Spec,
    *,
    strides: PerAxis,
    padding: str,
    output_padding: PerAxis | None,
    data_format: str | None,
    dilation_rate: PerAxis,
) -> Any:
    options = {"strides": strides, "padding": padding, "output_padding": output_padding}
    options |= {"data_format": data_format, "dilation_rate": dilation_rate}
    step = None if None in kernel.shape else _transpose_step(inputs.shape, kernel.shape, **options)
    return _inferred(step, inputs, kernel.shape[-2], data_format)


def _conv_transpose_room(
    x: tuple[Spec, Spec],
    *,
    strides: PerAxis,
    padding: str,
    output_padding: PerAxis | None,
    data_format: str | None,
    dilation_rate: PerAxis,
) -> tuple[int, int]:
    options = {"strides": strides, "padding": padding, "output_padding": output_padding}
    options |= {"data_format": data_format, "dilation_rate": dilation_rate}
    inputs, kernel = x
    return _room(None if None in kernel.shape else _transpose_step(inputs.shape, kernel.shape, **options), inputs)


@operation(_conv_transpose_rule, room=_conv_transpose_room)
def conv_transpose(
    inputs: Array,
    kernel: Array,
    *,
    strides: PerAxis = 1,
    padding: str = "valid",
    output_padding: PerAxis | None = None,
    data_format: DataFormat | None = None,
    dilation_rate: PerAxis = 1,
) -> Array:
    """(batch, *spatial, in), (*window, out, in) -> (batch, *larger, out): the gradient of a convolution."""
    (inputs, kernel), dtype = factors(inputs, kernel)
    step = _transpose_step(inputs.shape, kernel.shape, strides=strides, padding=padding, data_format=data_format)
    step = bind(step, output_padding=output_padding, dilation_rate=dilation_rate)
    return tensor(step({"kernel": kernel}, inputs), dtype)


def _separable_step(inputs: Shape, kernels: tuple[Shape, Shape], **options: Any) -> Bound:
    (*window, _, multiplier), filters = kernels[0], kernels[1][-1]
    step = bind(of_rank(SEPARABLE, inputs), filters=filters, kernel_size=tuple(window), use_bias=False)
    return bind(step, depth_multiplier=multiplier, **options)


def _separable_rule(
    inputs: Spec,
    depthwise_kernel: Spec,
    pointwise_kernel: Spec,
    *,
    strides: PerAxis,
    padding: str,
    data_format: str | None,
    dilation_rate: PerAxis,
) -> Any:
    options = {"strides": strides, "padding": padding, "data_format": data_format, "dilation_rate": dilation_rate}
    shapes = (depthwise_kernel.shape, pointwise_kernel.shape)
    step = None if None in shapes[0] else _separable_step(inputs.shape, shapes, **options)
    return _inferred(step, inputs, shapes[1][-1], data_format)


def _separable_room(
    x: tuple[Spec, Spec, Spec], *, strides: PerAxis, padding: str, data_format: str | None, dilation_rate: PerAxis
) -> tuple[int, int]:
    options = {"strides": strides, "padding": padding, "data_format": data_format, "dilation_rate": dilation_rate}
    shapes = (x[1].shape, x[2].shape)
    return _room(None if None in shapes[0] else _separable_step(x[0].shape, shapes, **options), x[0])


@operation(_separable_rule, room=_separable_room)
def separable_conv(
    inputs: Array,
    depthwise_kernel: Array,
    pointwise_kernel: Array,
    *,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: DataFormat | None = None,
    dilation_rate: PerAxis = 1,
) -> Array:
    """A depthwise convolution, then one with windows of size 1."""
    (inputs, depthwise_kernel, pointwise_kernel), dtype = factors(inputs, depthwise_kernel, pointwise_kernel)
    shapes = (depthwise_kernel.shape, pointwise_kernel.shape)
    step = _separable_step(inputs.shape, shapes, strides=strides, padding=padding, data_format=data_format)
    params = {"depthwise_kernel": depthwise_kernel, "pointwise_kernel": pointwise_kernel}
    return tensor(bind(step, dilation_rate=dilation_rate)(params, inputs), dtype)
