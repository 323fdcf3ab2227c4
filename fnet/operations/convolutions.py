"""Convolutions. Kernels are tensors here, not parameters.

Each is the layer of that name for 1, 2 or 3 spatial axes. Source: keras.ops.nn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from fnet import layers
from fnet.core.infer import infer
from fnet.core.layer import Bound, bind
from fnet.core.options import asking
from fnet.core.room import of_step
from fnet.dtypes import factors, tensor
from fnet.layers.windows import join_shape
from fnet.operations.rules import Operation, borrowing, named, operation
from fnet.shapes import fits, total
from fnet.types import Array, Shape, Spec

Layers: TypeAlias = Mapping[int, Callable[..., Any]]
"""{spatial axes: layer}."""

KernelOptions: TypeAlias = Callable[..., dict[str, Any]]
"""(channels of the inputs, *shapes of the kernels) -> the options that follow from these shapes."""


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


OPTIONS = ("strides", "padding", "data_format", "dilation_rate")
"""The options of all convolutions, as of their layers."""


def _channels(inputs: Any, data_format: str | None) -> int | None:
    channels: int | None = inputs.shape[1 if data_format == "channels_first" else -1]
    return channels


def _convolution(
    name: str, text: str, family: str, options_of: KernelOptions, kernels: Sequence[str] = ("kernel",), *more: str
) -> Operation:
    """The layers of a family, without a bias, as an operation. kernels: the names of their params.

    more: further options of this operation.
    """
    layers = over_axes(family)

    def step(inputs: Any, arrays: Sequence[Any], chosen: Mapping[str, Any]) -> Bound:
        """The layer for inputs and kernels, arrays or Specs, of these shapes."""
        options = options_of(_channels(inputs, chosen.get("data_format")), *(kernel.shape for kernel in arrays))
        return bind(of_rank(layers, inputs.shape), use_bias=False, **options, **chosen)

    def apply(inputs: Array, *arrays: Array, **chosen: Any) -> Array:
        (x, *weights), dtype = factors(inputs, *arrays)
        return tensor(step(x, weights, chosen)(dict(zip(kernels, weights, strict=True)), x), dtype)

    def rule(inputs: Spec, *arrays: Spec, **chosen: Any) -> Spec:
        if None not in arrays[0].shape:
            y, params = infer(step(inputs, arrays, chosen), inputs)
            for param, kernel in zip(params.values(), arrays, strict=True):
                if not fits(kernel.shape, param.shape):
                    raise ValueError(f"{inputs} takes a kernel of {param.shape}; got {kernel.shape}")
            return Spec(y.shape, inputs.dtype)
        channels = _channels(inputs, chosen["data_format"])
        options = options_of(channels, *(kernel.shape for kernel in arrays))
        filters = options["filters"] if "filters" in options else total((channels, options["depth_multiplier"]))
        spatial = (None,) * (len(inputs.shape) - 2)
        return Spec(join_shape(inputs.shape[0], spatial, filters, chosen["data_format"]), inputs.dtype)

    def room(x: Sequence[Spec], **chosen: Any) -> tuple[int, int]:
        """The room of the layer; nothing if the kernel is unknown."""
        inputs, *arrays = x
        return (0, 0) if None in arrays[0].shape else of_step(step(inputs, arrays, chosen), inputs)

    function = borrowing(apply, ["inputs", *kernels], layers[2], *OPTIONS, *more)
    return operation(asking(rule, function), room=asking(room, function))(named(name, text, function))


def _conv_options(channels: int | None, kernel: Shape) -> dict[str, Any]:
    *window, inner, filters = kernel
    groups = 1 if inner is None else (channels or inner) // inner
    return {"filters": filters, "kernel_size": tuple(window), "groups": groups}


def _depthwise_options(channels: int | None, kernel: Shape) -> dict[str, Any]:
    *window, _, multiplier = kernel
    return {"kernel_size": tuple(window), "depth_multiplier": multiplier}


def _transpose_options(channels: int | None, kernel: Shape) -> dict[str, Any]:
    *window, filters, _ = kernel
    return {"filters": filters, "kernel_size": tuple(window)}


def _separable_options(channels: int | None, depthwise_kernel: Shape, pointwise_kernel: Shape) -> dict[str, Any]:
    return {**_depthwise_options(channels, depthwise_kernel), "filters": pointwise_kernel[-1]}


conv = _convolution(
    "conv", "(batch, *spatial, in), (*window, in / groups, out) -> (batch, *spatial, out).", "conv{}d", _conv_options
)
conv_transpose = _convolution(
    "conv_transpose",
    "(batch, *spatial, in), (*window, out, in) -> (batch, *larger, out): the gradient of a convolution.",
    "conv{}d_transpose",
    _transpose_options,
    ("kernel",),
    "output_padding",
)
depthwise_conv = _convolution(
    "depthwise_conv",
    "(batch, *spatial, in), (*window, in, multiplier) -> (batch, *spatial, in * multiplier).",
    "depthwise_conv{}d",
    _depthwise_options,
)
separable_conv = _convolution(
    "separable_conv",
    "A depthwise convolution, then one with windows of size 1.",
    "separable_conv{}d",
    _separable_options,
    ("depthwise_kernel", "pointwise_kernel"),
)
