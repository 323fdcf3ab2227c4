"""Convolutions that `fnet.optimize` makes: pooled before bias and activation, and in Winograd's form."""

from __future__ import annotations

from fnet.activation_functions import CLAMPS, Activation, activate
from fnet.backend import ops
from fnet.core.rules import layer
from fnet.errors import InvalidParams
from fnet.layers.basic import linear_params
from fnet.layers.convolution import conv_room, conv_rule, pads_of
from fnet.layers.windows import Sizes, output_sizes, per_axis, windows
from fnet.types import Array, Padding, Param, Params, ParamTree, PerAxis, Positive, Spec


def _pooled(x: Spec, pool: Sizes) -> Spec:
    n, *sizes, filters = x.shape
    return Spec((n, *output_sizes(tuple(sizes), pool, pool, "valid"), filters), x.dtype)


def _pooled_rule(
    x: Spec,
    *,
    filters: int | None,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    dilation_rate: PerAxis,
    activation: Activation,
    use_bias: bool,
    pool_size: PerAxis,
) -> tuple[Spec, ParamTree]:
    window = windows("pooled_conv2d", 2, kernel_size, strides, padding, None, dilation_rate)
    y, params = conv_rule(window, x, filters=filters, groups=1, activation=activation, use_bias=use_bias)
    return _pooled(y, per_axis(pool_size, 2, "pool_size")), params


def _pooled_room(
    x: Spec, *, kernel_size: PerAxis | None, strides: PerAxis, padding: str, dilation_rate: PerAxis
) -> tuple[int, int]:
    return conv_room(windows("pooled_conv2d", 2, kernel_size, strides, padding, None, dilation_rate), x)


@layer(shape=_pooled_rule, room=_pooled_room, mask="drop", floats=True)
def pooled_conv2d(
    params: Params,
    x: Array,
    *,
    filters: Positive | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
    pool_size: PerAxis = 2,
) -> Array:
    """(batch, height, width, in) -> (batch, pooled height, pooled width, filters): conv2d, max pooling, activation.

    y = activation(max over windows of (x * kernel) + bias), with adjacent windows of `pool_size`. For a non-decreasing
    activation, such as linear, relu and relu6, it equals the pooling of conv2d. Options and params as conv2d.
    Mask: dropped. Errors: as conv2d.

    >>> pooled_conv2d({"kernel": np.ones((2, 2, 1, 1)), "bias": np.zeros(1)}, np.ones((1, 5, 5, 1))).shape
    (1, 2, 2, 1)
    """
    window = windows("pooled_conv2d", 2, kernel_size, strides, padding, None, dilation_rate)
    pool = per_axis(pool_size, 2, "pool_size")
    pads = pads_of(window, x.shape, params["kernel"].shape, filters, 1)
    y = ops.conv(x, params["kernel"], strides=window.strides, padding=pads, dilation=window.dilation)
    y = ops.max_pool(y, pool, pool, ((0, 0), (0, 0)))
    clamp = CLAMPS.get(activation)
    y = ops.finish(y, params["bias"] if use_bias else None, clamp)
    return y if clamp else activate(activation, params, y)


def _winograd_rule(
    x: Spec, *, filters: int | None, padding: str, activation: Activation, use_bias: bool, tile: int, pool: int
) -> tuple[Spec, ParamTree]:
    window = windows("winograd_conv2d", 2, 3, 1, padding, None)
    sizes, channels = window.split(x.shape)
    y = _pooled(Spec((x.shape[0], *window.outputs(sizes), filters), x.dtype), (pool, pool))
    kernel = Param(((tile + 2) ** 2, channels, filters))
    return y, linear_params({"kernel": kernel}, y, filters, use_bias, activation)


@layer(shape=_winograd_rule, mask="drop", floats=True)
def winograd_conv2d(
    params: Params,
    x: Array,
    *,
    filters: Positive | None = None,
    padding: Padding = "valid",
    activation: Activation = None,
    use_bias: bool = True,
    tile: Positive = 2,
    pool: Positive = 1,
) -> Array:
    """(batch, height, width, in) -> (batch, new height, new width, filters): conv2d with a window of 3, strides of 1.

    Computed in tiles of `tile` x `tile` outputs (2 or 4) with 2.25 or 4 times fewer products; a NaN or infinity
    shows in its whole tile. pool=2 takes the maxima of 2x2 windows, as pooled_conv2d does.
    params: kernel ((tile + 2)^2, in, filters), made from that of conv2d by `fnet.backend.winograd.of_kernel`; bias
    (filters,) unless `use_bias=False`. Mask: dropped. Errors: InvalidParams for another kernel. Source: Lavin and
    Gray 2016, Fast Algorithms for Convolutional Neural Networks.

    >>> winograd_conv2d({"kernel": np.ones((16, 1, 4))}, np.ones((1, 6, 6, 1)), use_bias=False, pool=2).shape
    (1, 2, 2, 4)
    """
    kernel = params["kernel"]
    expected = ((tile + 2) ** 2, x.shape[-1], filters or kernel.shape[-1])
    if kernel.shape != expected:
        raise InvalidParams(f"winograd_conv2d: these options need a kernel of {expected}; got {kernel.shape}")
    window = windows("winograd_conv2d", 2, 3, 1, padding, None)
    pads = pads_of(window, x.shape, (3, 3, *kernel.shape[1:]), filters, 1)
    clamp = CLAMPS.get(activation)
    y = ops.winograd(x, kernel, params["bias"] if use_bias else None, padding=pads, pool=pool, clamp=clamp)
    return y if clamp else activate(activation, params, y)
