"""Convolutions: conv1d, conv2d, conv3d. Transposed and depthwise ones have their own files.

Source: keras.layers.Conv1D, Conv2D, Conv3D. Arrays are correlated with the kernel (it is not mirrored).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from fnet.activation_functions import CLAMPS, Activation, activate
from fnet.backend import ops, xp
from fnet.core.room import size
from fnet.errors import InvalidInput
from fnet.layers.basic import linear_params
from fnet.layers.windows import Pads, Sizes, Windows, over_axes, remembered, windowed, windows
from fnet.shapes import sized
from fnet.types import Array, CausalPadding, DataFormat, Param, Params, ParamTree, PerAxis, Positive, Spec

P = ParamSpec("P")
R = TypeVar("R")


def _check_groups(name: str, groups: int, channels: int | None, filters: int | None) -> None:
    if groups < 1 or (channels or 0) % groups or (filters or 0) % groups:
        raise InvalidInput(
            f"{name}: groups must divide the channels and the filters; "
            f"got groups={groups}, {channels} channels, {filters} filters"
        )


def conv_rule(
    window: Windows,
    x: Spec,
    *,
    filters: int | None,
    groups: int,
    activation: Activation,
    use_bias: bool,
    batch_axes: int = 1,
) -> tuple[Spec, ParamTree]:
    """The shape rule of conv1d, conv2d and conv3d."""
    further, one = x.shape[: batch_axes - 1], x.shape[batch_axes - 1 :]
    sizes, channels = window.split(one)
    _check_groups(window.name, groups, channels, filters)
    y = Spec((*further, *window.join(one[0], window.outputs(sizes), filters)), x.dtype)
    inner = None if channels is None else channels // groups
    return y, linear_params({"kernel": Param((*window.taps, inner, filters))}, y, filters, use_bias, activation)


def padded_room(window: Windows, x: Spec) -> tuple[int, int]:
    """The room of a convolution that holds its padded input twice."""
    padded = 2 * size(window.padded(x))
    return padded, padded


def conv_room(window: Windows, x: Spec, *, batch_axes: int = 1) -> tuple[int, int]:
    """The room of a convolution that also copies its windows, one row at a time."""
    if batch_axes > 1:
        x = Spec((math.prod(sized(x.shape[:batch_axes], 1)), *x.shape[batch_axes:]), x.dtype)
    padded, _ = padded_room(window, x)
    spatial, channels = window.split(x.shape)
    rows, *row = sized(window.outputs(spatial), 1)
    copied = size(Spec((x.shape[0], *row, *window.taps, channels), x.dtype))
    return padded + copied, padded + rows * copied


def convolution(
    family: str, shape: Callable[..., tuple[Spec, ParamTree]], room: Callable[..., tuple[int, int]]
) -> Callable[[Callable[Concatenate[int, P], R]], Callable[[int, str], Callable[P, R]]]:
    """`over_axes` with rules that take the window."""
    return over_axes(family, windowed(family, shape), windowed(family, room), mask="drop", floats=True)


@remembered
def pads_of(window: Windows, shape: Sizes, kernel: Sizes, filters: int | None, groups: int) -> Pads:
    """The padding of each axis, everything checked against the shapes of input and kernel."""
    sizes, channels = window.split_known(shape)
    _check_groups(window.name, groups, channels, kernel[-1])
    return window.fitted(kernel, (channels // groups, filters)).pads(sizes)


@convolution("conv{}d", conv_rule, conv_room)
def _conv(
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
    groups: Positive = 1,
    activation: Activation = None,
    use_bias: bool = True,
    batch_axes: Positive = 1,
) -> Array:
    """The layers conv1d, conv2d, conv3d."""
    window = windows("conv{}d", rank, kernel_size, strides, padding, data_format, dilation_rate)
    kernel, batch = params["kernel"], x.shape[:batch_axes]
    if batch_axes > 1:
        x = x.reshape(math.prod(batch), *x.shape[batch_axes:])
    pads = pads_of(window, x.shape, kernel.shape, filters, groups)
    bias = params["bias"] if use_bias else None
    first = window.data_format == "channels_first"
    clamp = CLAMPS.get(activation)
    y = ops.conv(
        xp.moveaxis(x, 1, -1) if first else x,
        kernel,
        bias,
        strides=window.strides,
        padding=pads,
        dilation=window.dilation,
        groups=groups,
        clamp=clamp,
    )
    y = xp.moveaxis(y, -1, 1) if first else y
    y = y.reshape(*batch, *y.shape[1:]) if batch_axes > 1 else y
    return y if clamp else activate(activation, params, y)


conv1d = _conv(
    1,
    """(batch, steps, in) -> (batch, new steps, filters): y = activation(x * kernel + bias).

    params: kernel (kernel_size, in / groups, filters), bias (filters,) unless `use_bias=False`.
    padding: "valid"; "same" (TensorFlow's rule: ceil(steps / strides) steps, the odd zero at the end); "causal"
    (zeros in front only, so that no output sees a later input). data_format: "channels_last" (also None) or
    "channels_first", (batch, in, steps). batch_axes: how many come first, (batch, ..., steps, in); in files of Keras 2
    there may be more than one. Mask: dropped.
    Errors: InvalidInput when the kernel is larger than the input, or for another number of axes;
    InvalidParams when the kernel does not belong to the options or the input.

    >>> conv1d({"kernel": np.ones((2, 1, 1)), "bias": np.zeros(1)}, np.array([[[1.], [2.], [3.]]]))[0, :, 0]
    array([3., 5.])
    """,
)

conv2d = _conv(
    2,
    """(batch, height, width, in) -> (batch, new height, new width, filters): y = activation(x * kernel + bias).

    params: kernel (*kernel_size, in / groups, filters), bias (filters,) unless `use_bias=False`.
    padding: "valid", or "same" (TensorFlow's rule: ceil(size / stride) outputs; of an odd number of zeros the
    last goes below and to the right). data_format: "channels_last" (also None), or "channels_first",
    (batch, in, height, width). groups: filters f of group g see only the channels of group g.
    Mask: dropped. Errors: as conv1d.

    >>> conv2d({"kernel": np.ones((2, 2, 1, 1)), "bias": np.zeros(1)}, np.ones((1, 3, 3, 1))).shape
    (1, 2, 2, 1)
    """,
)

conv3d = _conv(
    3,
    """(batch, depth, height, width, in) -> (batch, *new sizes, filters): y = activation(x * kernel + bias).

    params: kernel (*kernel_size, in / groups, filters), bias (filters,) unless `use_bias=False`.
    Options, mask (dropped) and errors: as conv2d.

    >>> conv3d({"kernel": np.ones((1, 2, 2, 1, 4))}, np.ones((1, 3, 3, 3, 1)), use_bias=False).shape
    (1, 3, 2, 2, 4)
    """,
)
