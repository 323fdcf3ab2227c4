"""Depthwise and separable convolutions: depthwise_conv1d/2d, separable_conv1d/2d.

Source: keras.layers.DepthwiseConv1D/2D, SeparableConv1D/2D; Chollet 2017 (Xception).
"""

from __future__ import annotations

from fnet.activation_functions import CLAMPS, Activation, activate
from fnet.backend import ops, xp
from fnet.layers.basic import linear_params
from fnet.layers.convolution import convolution, padded_room
from fnet.layers.windows import Pads, Sizes, Windows, remembered, windows
from fnet.types import Array, CausalPadding, DataFormat, Padding, Param, Params, ParamTree, PerAxis, Positive, Spec


@remembered
def _pads(window: Windows, shape: Sizes, kernel: Sizes, depth_multiplier: int | None) -> tuple[Pads, int]:
    """(padding of each axis, channels), checked against the shapes of input and kernel."""
    sizes, channels = window.split_known(shape)
    return window.fitted(kernel, (channels, depth_multiplier)).pads(sizes), channels


def _by_channel(
    window: Windows,
    kernel: Array,
    bias: Array | None,
    x: Array,
    depth_multiplier: int | None,
    clamp: tuple[float | None, float | None] | None = None,
) -> Array:
    """Each channel with its own `depth_multiplier` kernels; the result is channels last, clamped to (least, most).

    kernel: (*kernel_size, channels, depth_multiplier). It is a convolution with one group for each channel.
    """
    pads, channels = _pads(window, x.shape, kernel.shape, depth_multiplier)
    return ops.conv(
        xp.moveaxis(x, 1, -1) if window.data_format == "channels_first" else x,
        kernel.reshape(*kernel.shape[:-2], 1, -1),
        bias,
        strides=window.strides,
        padding=pads,
        dilation=window.dilation,
        groups=channels,
        clamp=clamp,
    )


def _depthwise_rule(
    window: Windows, x: Spec, *, depth_multiplier: int, activation: Activation, use_bias: bool
) -> tuple[Spec, ParamTree]:
    sizes, channels = window.split(x.shape)
    filters = None if channels is None else channels * depth_multiplier
    y = Spec(window.join(x.shape[0], window.outputs(sizes), filters), x.dtype)
    kernel = Param((*window.taps, channels, depth_multiplier))
    return y, linear_params({"kernel": kernel}, y, filters, use_bias, activation)


@convolution("depthwise_conv{}d", _depthwise_rule, padded_room)
def _depthwise(
    rank: int,
    params: Params,
    x: Array,
    *,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: Padding = "valid",
    depth_multiplier: Positive = 1,
    data_format: DataFormat | None = None,
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Array:
    """The layers depthwise_conv1d and depthwise_conv2d."""
    window = windows("depthwise_conv{}d", rank, kernel_size, strides, padding, data_format, dilation_rate)
    clamp = CLAMPS.get(activation)
    y = _by_channel(window, params["kernel"], params["bias"] if use_bias else None, x, depth_multiplier, clamp)
    y = xp.moveaxis(y, -1, 1) if window.data_format == "channels_first" else y
    return y if clamp else activate(activation, params, y)


depthwise_conv1d = _depthwise(
    1,
    """(batch, steps, in) -> (batch, new steps, in * depth_multiplier): each channel with its own kernels.

    params: kernel (kernel_size, in, depth_multiplier), bias (in * depth_multiplier,) unless `use_bias=False`.
    Output channel c * depth_multiplier + m is channel c by its kernel m. Other options, mask (dropped) and
    errors: as conv1d, without "causal".

    >>> depthwise_conv1d({"kernel": np.ones((3, 2, 4))}, np.ones((1, 5, 2)), depth_multiplier=4, use_bias=False).shape
    (1, 3, 8)
    """,
)

depthwise_conv2d = _depthwise(
    2,
    """(batch, height, width, in) -> (batch, new height, new width, in * depth_multiplier).

    params: kernel (*kernel_size, in, depth_multiplier), bias (in * depth_multiplier,) unless `use_bias=False`.
    Output channel c * depth_multiplier + m is channel c by its kernel m. Other options, mask (dropped) and
    errors: as conv2d; strides may differ between the axes, which TensorFlow cannot do.

    >>> depthwise_conv2d({"kernel": np.ones((3, 3, 2, 1))}, np.ones((1, 5, 5, 2)), use_bias=False).shape
    (1, 3, 3, 2)
    """,
)


def _separable_rule(
    window: Windows, x: Spec, *, filters: int | None, depth_multiplier: int, activation: Activation, use_bias: bool
) -> tuple[Spec, ParamTree]:
    sizes, channels = window.split(x.shape)
    inner = None if channels is None else channels * depth_multiplier
    y = Spec(window.join(x.shape[0], window.outputs(sizes), filters), x.dtype)
    kernels = {
        "depthwise_kernel": Param((*window.taps, channels, depth_multiplier)),
        "pointwise_kernel": Param((*(1,) * window.rank, inner, filters)),
    }
    return y, linear_params(kernels, y, filters, use_bias, activation)


@remembered
def _ones(window: Windows, kernel: Sizes, channels: int, filters: int | None) -> Sizes:
    """1 for each axis, checked to be the size of a pointwise kernel of this shape."""
    return window._replace(size=(1,) * window.rank).fitted(kernel, (channels, filters)).taps


@convolution("separable_conv{}d", _separable_rule, padded_room)
def _separable(
    rank: int,
    params: Params,
    x: Array,
    *,
    filters: Positive | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: CausalPadding = "valid",
    data_format: DataFormat | None = None,
    dilation_rate: PerAxis = 1,
    depth_multiplier: Positive = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Array:
    """The layers separable_conv1d and separable_conv2d."""
    window = windows("separable_conv{}d", rank, kernel_size, strides, padding, data_format, dilation_rate)
    y = _by_channel(window, params["depthwise_kernel"], None, x, depth_multiplier)
    kernel, bias = params["pointwise_kernel"], params["bias"] if use_bias else None
    ones = _ones(window, kernel.shape, y.shape[-1], filters)
    y = ops.conv(y, kernel, bias, strides=ones, padding=((0, 0),) * window.rank, dilation=ones)
    return activate(activation, params, xp.moveaxis(y, -1, 1) if window.data_format == "channels_first" else y)


separable_conv1d = _separable(
    1,
    """(batch, steps, in) -> (batch, new steps, filters): depthwise, then 1x1 convolution, bias, activation.

    params: depthwise_kernel (kernel_size, in, depth_multiplier), pointwise_kernel (1, in * depth_multiplier,
    filters), bias (filters,) unless `use_bias=False`. padding: as conv1d; "causal", which Keras 3 documents and cannot
    run, is what Keras 2 computes. Mask: dropped. Errors: as conv1d.
    """,
)

separable_conv2d = _separable(
    2,
    """(batch, height, width, in) -> (batch, new height, new width, filters): depthwise, then 1x1 convolution.

    params: depthwise_kernel (*kernel_size, in, depth_multiplier), pointwise_kernel (1, 1,
    in * depth_multiplier, filters), bias (filters,) unless `use_bias=False`. Mask: dropped. Errors: as conv2d.
    """,
)
