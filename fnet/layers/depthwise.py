"""Depthwise and separable convolutions: depthwise_conv1d/2d, separable_conv1d/2d.

Source: keras.layers.DepthwiseConv1D/2D, SeparableConv1D/2D; Chollet 2017 (Xception).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fnet.activations import Activation, activate, activation_child
from fnet.backend import ops
from fnet.compose import layer
from fnet.layers.convolution import bias_param, check_kernel, check_padding, window_options
from fnet.layers.windows import (
    Pads,
    PerAxis,
    Sizes,
    dilated,
    from_channels_last,
    join_shape,
    output_sizes,
    remembered,
    split_shape,
    split_sizes,
    to_channels_last,
    window_padding,
)
from fnet.types import Array, Param, Params, ParamTree, Shape, Spec


def _rule_sizes(
    name: str,
    rank: int,
    x: Spec,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    data_format: str | None,
    dilation_rate: PerAxis,
) -> tuple[tuple[int, ...], Shape, int | None]:
    """(kernel size, output sizes, channels) for the shape rules."""
    check_padding(name, padding)
    kernel, steps, dilation = window_options(name, rank, kernel_size, strides, dilation_rate)
    sizes, channels = split_shape(name, x.shape, rank, data_format)
    return kernel, output_sizes(sizes, dilated(kernel, dilation), steps, padding), channels


@remembered
def _plan(
    name: str,
    shape: Sizes,
    kernel: Sizes,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    depth_multiplier: int | None,
    data_format: str | None,
    dilation_rate: PerAxis,
) -> tuple[Sizes, Pads, Sizes, int]:
    """(strides, padding, dilation, channels), checked against the shapes of input and kernel."""
    check_padding(name, padding)
    rank = int(name[-2])
    sizes, channels = split_sizes(name, shape, rank, data_format)
    window = check_kernel(name, kernel, rank, kernel_size, (channels, depth_multiplier))
    _, steps, dilation = window_options(name, rank, window, strides, dilation_rate)
    extent = dilated(window, dilation)
    output_sizes(sizes, extent, steps, padding)
    return steps, window_padding(sizes, extent, steps, padding), dilation, channels


def _depthwise(
    name: str,
    kernel: Array,
    bias: Array | None,
    x: Array,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    depth_multiplier: int | None,
    data_format: str | None,
    dilation_rate: PerAxis,
) -> Any:
    """Every channel with its own `depth_multiplier` windows; the result is channels last.

    kernel: (*kernel_size, channels, depth_multiplier). As a convolution with one group for each channel.
    """
    steps, pads, dilation, channels = _plan(
        *(name, x.shape, kernel.shape, kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate)
    )
    x, kernel = to_channels_last(x, data_format), kernel.reshape(*kernel.shape[:-2], 1, -1)
    return ops.conv(x, kernel, bias, strides=steps, padding=pads, dilation=dilation, groups=channels)


def _depthwise_rule(
    rank: int,
    x: Spec,
    *,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    depth_multiplier: int,
    data_format: str | None,
    dilation_rate: PerAxis,
    activation: Activation,
    use_bias: bool,
) -> tuple[Spec, ParamTree]:
    name = f"depthwise_conv{rank}d"
    options = (kernel_size, strides, padding, data_format, dilation_rate)
    kernel, output, channels = _rule_sizes(name, rank, x, *options)
    filters = None if channels is None else channels * depth_multiplier
    y = Spec(join_shape(x.shape[0], output, filters, data_format), x.dtype)
    return y, {
        "kernel": Param((*kernel, channels, depth_multiplier)),
        **bias_param(use_bias, filters),
        **activation_child(activation, y),
    }


@layer(shape=partial(_depthwise_rule, 1), mask="drop")
def depthwise_conv1d(
    params: Params,
    x: Array,
    *,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    depth_multiplier: int = 1,
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, steps, in) -> (batch, new steps, in * depth_multiplier): each channel by kernels of its own.

    params: kernel (kernel_size, in, depth_multiplier), bias (in * depth_multiplier,) unless `use_bias=False`.
    Output channel c * depth_multiplier + m is channel c by its kernel m. Other options, mask (dropped) and
    errors: as conv1d, without "causal". Source: keras.layers.DepthwiseConv1D.

    >>> depthwise_conv1d({"kernel": np.ones((3, 2, 4))}, np.ones((1, 5, 2)), depth_multiplier=4, use_bias=False).shape
    (1, 3, 8)
    """
    bias = params["bias"] if use_bias else None
    options = (kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate)
    y = _depthwise("depthwise_conv1d", params["kernel"], bias, x, *options)
    return activate(activation, params, from_channels_last(y, data_format))


@layer(shape=partial(_depthwise_rule, 2), mask="drop")
def depthwise_conv2d(
    params: Params,
    x: Array,
    *,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    depth_multiplier: int = 1,
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, height, width, in) -> (batch, new height, new width, in * depth_multiplier).

    params: kernel (*kernel_size, in, depth_multiplier), bias (in * depth_multiplier,) unless `use_bias=False`.
    Output channel c * depth_multiplier + m is channel c by its kernel m. Other options, mask (dropped) and
    errors: as conv2d; strides may differ between the axes, which TensorFlow cannot do.
    Source: keras.layers.DepthwiseConv2D.

    >>> depthwise_conv2d({"kernel": np.ones((3, 3, 2, 1))}, np.ones((1, 5, 5, 2)), use_bias=False).shape
    (1, 3, 3, 2)
    """
    bias = params["bias"] if use_bias else None
    options = (kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate)
    y = _depthwise("depthwise_conv2d", params["kernel"], bias, x, *options)
    return activate(activation, params, from_channels_last(y, data_format))


def _separable_rule(
    rank: int,
    x: Spec,
    *,
    filters: int | None,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    data_format: str | None,
    dilation_rate: PerAxis,
    depth_multiplier: int,
    activation: Activation,
    use_bias: bool,
) -> tuple[Spec, ParamTree]:
    name = f"separable_conv{rank}d"
    options = (kernel_size, strides, padding, data_format, dilation_rate)
    kernel, output, channels = _rule_sizes(name, rank, x, *options)
    inner = None if channels is None else channels * depth_multiplier
    y = Spec(join_shape(x.shape[0], output, filters, data_format), x.dtype)
    return y, {
        "depthwise_kernel": Param((*kernel, channels, depth_multiplier)),
        "pointwise_kernel": Param((*(1,) * rank, inner, filters)),
        **bias_param(use_bias, filters),
        **activation_child(activation, y),
    }


def _pointwise(name: str, params: Params, y: Array, filters: int | None, use_bias: bool) -> Any:
    """(..., in) -> (..., filters), channels last: a convolution with a window of one."""
    kernel = params["pointwise_kernel"]
    rank = int(name[-2])
    ones = check_kernel(name, kernel.shape, rank, 1, (y.shape[-1], filters))
    bias = params["bias"] if use_bias else None
    return ops.conv(y, kernel, bias, strides=ones, padding=((0, 0),) * rank, dilation=ones)


@layer(shape=partial(_separable_rule, 1), mask="drop")
def separable_conv1d(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    depth_multiplier: int = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, steps, in) -> (batch, new steps, filters): depthwise, then 1x1 convolution, bias, activation.

    params: depthwise_kernel (kernel_size, in, depth_multiplier), pointwise_kernel (1, in * depth_multiplier,
    filters), bias (filters,) unless `use_bias=False`. "causal", which Keras's documentation names and its code
    cannot run, is refused. Mask: dropped. Errors: as conv1d. Source: keras.layers.SeparableConv1D.
    """
    options = (kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate)
    y = _depthwise("separable_conv1d", params["depthwise_kernel"], None, x, *options)
    y = _pointwise("separable_conv1d", params, y, filters, use_bias)
    return activate(activation, params, from_channels_last(y, data_format))


@layer(shape=partial(_separable_rule, 2), mask="drop")
def separable_conv2d(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    depth_multiplier: int = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, height, width, in) -> (batch, new height, new width, filters): depthwise, then 1x1 convolution.

    params: depthwise_kernel (*kernel_size, in, depth_multiplier), pointwise_kernel (1, 1,
    in * depth_multiplier, filters), bias (filters,) unless `use_bias=False`. Mask: dropped. Errors: as conv2d.
    Source: keras.layers.SeparableConv2D.
    """
    options = (kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate)
    y = _depthwise("separable_conv2d", params["depthwise_kernel"], None, x, *options)
    y = _pointwise("separable_conv2d", params, y, filters, use_bias)
    return activate(activation, params, from_channels_last(y, data_format))
