"""Convolutions. Kernels are tensors here, not parameters.

Each is the layer of that name for 1, 2 or 3 spatial axes. Source: keras.ops.nn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from fnet import layers
from fnet.core.compose import Bound, bind
from fnet.core.infer import infer
from fnet.core.options import asking
from fnet.core.room import of_step
from fnet.dtypes import factors, tensor
from fnet.operations.rules import Operation, named, operation
from fnet.shapes import total
from fnet.types import Array, DataFormat, PerAxis, Shape, Spec

Layers: TypeAlias = Mapping[int, Callable[..., Any]]
"""{spatial axes: layer}."""

KernelOptions: TypeAlias = Callable[..., dict[str, Any]]
"""(channels of the inputs, *shapes of the kernels) -> the options that these shapes stand for."""


def over_axes(family: str) -> Layers:
    """The layers of a family, "conv{}d"."""
    names = {rank: family.format(rank) for rank in (1, 2, 3)}
    return {rank: getattr(layers, name) for rank, name in names.items() if name in layers.NAMES}


def of_rank(layers: Layers, shape: Sequence[Any]) -> Callable[..., Any]:
    """The layer for as many spatial axes as a tensor of `shape` has."""
    rank = len(shape) - 2
    if rank not in layers:
        raise ValueError(f"expected {' or '.join(str(r + 2) for r in layers)} axes, got the shape {tuple(shape)}")
    return layers[rank]


# --- an operation from the layer that it runs -----------------------------------------------------


def _channels(inputs: Any, data_format: str | None) -> int | None:
    channels: int | None = inputs.shape[1 if data_format == "channels_first" else -1]
    return channels


def _step(layers: Layers, options_of: KernelOptions, inputs: Any, kernels: Sequence[Any], given: Any) -> Bound:
    """The layer for inputs and kernels, arrays or Specs, of these shapes. given: the options of the operation."""
    options = options_of(_channels(inputs, given["data_format"]), *(kernel.shape for kernel in kernels))
    return bind(of_rank(layers, inputs.shape), use_bias=False, **options, **given)


def _run(layers: Layers, options_of: KernelOptions, inputs: Array, kernels: dict[str, Array], **given: Any) -> Array:
    """What the layer with these kernels gives, in the dtype of the product."""
    (inputs, *arrays), dtype = factors(inputs, *kernels.values())
    step = _step(layers, options_of, inputs, arrays, given)
    return tensor(step(dict(zip(kernels, arrays, strict=True)), inputs), dtype)


def _running(layers: Layers, options_of: KernelOptions) -> Callable[[Callable[..., Array]], Operation]:
    """Declare `f(inputs, *kernels, *, options)`, which runs one of `layers`, to be an operation."""

    def rule(inputs: Spec, *kernels: Spec, **given: Any) -> Spec:
        if None not in kernels[0].shape:
            return Spec(infer(_step(layers, options_of, inputs, kernels, given), inputs)[0].shape, inputs.dtype)
        channels = _channels(inputs, given["data_format"])
        options = options_of(channels, *(kernel.shape for kernel in kernels))
        filters = options["filters"] if "filters" in options else total((channels, options["depth_multiplier"]))
        spatial = (None,) * (len(inputs.shape) - 2)
        first = given["data_format"] == "channels_first"
        shape = (inputs.shape[0], filters, *spatial) if first else (inputs.shape[0], *spatial, filters)
        return Spec(shape, inputs.dtype)

    def room(x: Sequence[Spec], **given: Any) -> tuple[int, int]:
        """That of the layer; nothing is known without its kernel."""
        inputs, *kernels = x
        known = None not in kernels[0].shape
        return of_step(_step(layers, options_of, inputs, kernels, given), inputs) if known else (0, 0)

    return lambda f: operation(asking(rule, f), room=asking(room, f))(f)


# --- one kernel -----------------------------------------------------------------------------------


def _one_kernel(name: str, text: str, family: str, options_of: KernelOptions) -> Operation:
    layers = over_axes(family)

    def apply(
        inputs: Array,
        kernel: Array,
        *,
        strides: PerAxis = 1,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: PerAxis = 1,
    ) -> Array:
        given = {"strides": strides, "padding": padding, "data_format": data_format, "dilation_rate": dilation_rate}
        return _run(layers, options_of, inputs, {"kernel": kernel}, **given)

    return _running(layers, options_of)(named(name, text, apply))


def _conv_options(channels: int | None, kernel: Shape) -> dict[str, Any]:
    *window, inner, filters = kernel
    groups = 1 if inner is None else (channels or inner) // inner
    return {"filters": filters, "kernel_size": tuple(window), "groups": groups}


def _depthwise_options(channels: int | None, kernel: Shape) -> dict[str, Any]:
    *window, _, multiplier = kernel
    return {"kernel_size": tuple(window), "depth_multiplier": multiplier}


conv = _one_kernel(
    "conv", "(batch, *spatial, in), (*window, in / groups, out) -> (batch, *spatial, out).", "conv{}d", _conv_options
)
depthwise_conv = _one_kernel(
    "depthwise_conv",
    "(batch, *spatial, in), (*window, in, multiplier) -> (batch, *spatial, in * multiplier).",
    "depthwise_conv{}d",
    _depthwise_options,
)


# --- the transpose, and two kernels ---------------------------------------------------------------

CONV_TRANSPOSE, SEPARABLE = over_axes("conv{}d_transpose"), over_axes("separable_conv{}d")


def _transpose_options(channels: int | None, kernel: Shape) -> dict[str, Any]:
    *window, filters, _ = kernel
    return {"filters": filters, "kernel_size": tuple(window)}


@_running(CONV_TRANSPOSE, _transpose_options)
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
    given = {"strides": strides, "padding": padding, "data_format": data_format, "dilation_rate": dilation_rate}
    kernels = {"kernel": kernel}
    return _run(CONV_TRANSPOSE, _transpose_options, inputs, kernels, output_padding=output_padding, **given)


def _separable_options(channels: int | None, depthwise_kernel: Shape, pointwise_kernel: Shape) -> dict[str, Any]:
    options = _depthwise_options(channels, depthwise_kernel)
    return {**options, "filters": pointwise_kernel[-1]}


@_running(SEPARABLE, _separable_options)
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
    given = {"strides": strides, "padding": padding, "data_format": data_format, "dilation_rate": dilation_rate}
    kernels = {"depthwise_kernel": depthwise_kernel, "pointwise_kernel": pointwise_kernel}
    return _run(SEPARABLE, _separable_options, inputs, kernels, **given)
