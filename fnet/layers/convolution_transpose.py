"""Transposed convolutions: conv1d_transpose, conv2d_transpose, conv3d_transpose.

The gradient of a convolution for its input: each input pixel is spread over the output by the kernel.
Source: keras.layers.Conv1DTranspose, Conv2DTranspose, Conv3DTranspose; output sizes as TensorFlow.
"""

from __future__ import annotations

import math

from fnet.activation_functions import Activation, activate
from fnet.backend import ops
from fnet.core.room import size
from fnet.errors import InvalidInput
from fnet.layers.basic import linear_params
from fnet.layers.convolution import convolution
from fnet.layers.windows import (
    Sizes,
    Windows,
    from_channels_last,
    per_axis,
    remembered,
    to_channels_last,
    transposed_size,
    windows,
)
from fnet.shapes import sized
from fnet.types import Array, DataFormat, Padding, Param, Params, ParamTree, PerAxis, Positive, Shape, Spec


def _geometry(window: Windows, sizes: Shape, output_padding: PerAxis | None) -> tuple[Shape, Sizes]:
    """(output sizes, crops) of all axes; an unknown size stays unknown."""
    name, strides = window.name, window.strides
    extra: tuple[int | None, ...] = (None,) * window.rank
    if output_padding is not None:
        extra = per_axis(output_padding, window.rank, "output_padding", least=0)
        if any(e >= s for e, s in zip(extra, strides, strict=True)):
            raise ValueError(f"{name}: output_padding {extra} must be smaller than strides {strides}")
    if 0 in sizes:
        raise InvalidInput(f"{name}: an empty spatial axis cannot be enlarged; got sizes {tuple(sizes)}")
    pairs = [
        transposed_size(1 if n is None else n, k, s, window.padding, e)
        for n, k, s, e in zip(sizes, window.extent, strides, extra, strict=True)
    ]
    outputs = tuple(None if n is None else pair[0] for n, pair in zip(sizes, pairs, strict=True))
    if 0 in outputs:
        raise InvalidInput(f"{name}: sizes {tuple(sizes)} with output_padding {extra} leave nothing: {outputs}")
    return outputs, tuple(crop for _, crop in pairs)


def _transpose_rule(
    window: Windows,
    x: Spec,
    *,
    filters: int | None,
    output_padding: PerAxis | None,
    activation: Activation,
    use_bias: bool,
) -> tuple[Spec, ParamTree]:
    sizes, channels = window.split(x.shape)
    output, _ = _geometry(window, sizes, output_padding)
    y = Spec(window.join(x.shape[0], output, filters), x.dtype)
    return y, linear_params({"kernel": Param((*window.taps, filters, channels))}, y, filters, use_bias, activation)


def _transpose_room(window: Windows, x: Spec, *, filters: int | None) -> tuple[int, int]:
    """Held twice: the output before cropping, or with strides of 1 the padded input; and the windows of one row of
    pixels at a time: with strides of 1 those that are read, otherwise those that are added up."""
    spatial, channels = window.split(x.shape)
    read = sized(spatial, 1)
    sizes = [(n - 1) * s + 2 * w for n, s, w in zip(read, window.strides, window.extent, strict=True)]
    adds = max(window.strides) > 1
    width = filters if adds else channels
    whole = 2 * size(Spec((x.shape[0], *sizes, width), x.dtype))
    rows, *row = read if adds else sizes
    copied = size(Spec((x.shape[0], *row, *window.taps, width), x.dtype))
    blocks = min(rows, 1 + rows * copied // BLOCK) if adds else 0
    return whole + copied, whole + rows * copied * (1 + adds) + blocks * math.prod(window.taps) * TAP


BLOCK = 1 << 20
"""About how many bytes of windows are added up at a time, in whole rows."""
TAP = 1 << 15
"""The overhead of adding up one tap of the window: about as long as writing this many bytes."""


@remembered
def _crop_and_sizes(
    window: Windows, shape: Sizes, kernel: Sizes, filters: int | None, output_padding: PerAxis | None
) -> tuple[Sizes, Sizes]:
    """(crop, output size) of each axis, checked against the shapes of input and kernel."""
    sizes, channels = window.split_known(shape)
    output, crop = _geometry(window.fitted(kernel, (filters, channels)), sizes, output_padding)
    return crop, tuple(size or 0 for size in output)


@convolution("conv{}d_transpose", _transpose_rule, _transpose_room)
def _conv_transpose(
    rank: int,
    params: Params,
    x: Array,
    *,
    filters: Positive | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: Padding = "valid",
    output_padding: PerAxis | None = None,
    data_format: DataFormat | None = None,
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Array:
    """The layers conv1d_transpose, conv2d_transpose, conv3d_transpose."""
    window = windows("conv{}d_transpose", rank, kernel_size, strides, padding, data_format, dilation_rate)
    kernel = params["kernel"]
    crop, sizes = _crop_and_sizes(window, x.shape, kernel.shape, filters, output_padding)
    bias = params["bias"] if use_bias else None
    x = to_channels_last(x, window.data_format)
    y = ops.conv_transpose(x, kernel, bias, strides=window.strides, dilation=window.dilation, crop=crop, sizes=sizes)
    return activate(activation, params, from_channels_last(y, window.data_format))


conv1d_transpose = _conv_transpose(
    1,
    """(batch, steps, in) -> (batch, new steps, filters): y = activation(transposed convolution + bias).

    params: kernel (kernel_size, filters, in), bias (filters,) unless `use_bias=False`. new steps, with the dilated
    kernel size k: "valid" (steps - 1) * strides + max(k, strides); "same" steps * strides; with
    `output_padding` p (smaller than strides) "valid" (steps - 1) * strides + k + p, "same"
    (steps - 1) * strides + k % 2 + p. Any stride goes with any dilation, which Keras refuses. Mask: dropped.
    Errors: InvalidInput, InvalidParams as conv1d.

    >>> conv1d_transpose({"kernel": np.ones((2, 1, 1))}, np.array([[[1.], [2.]]]), strides=2, use_bias=False)[0, :, 0]
    array([1., 1., 2., 2.])
    """,
)

conv2d_transpose = _conv_transpose(
    2,
    """(batch, height, width, in) -> (batch, new height, new width, filters), sizes as in conv1d_transpose.

    params: kernel (*kernel_size, filters, in), bias (filters,) unless `use_bias=False`. Mask: dropped.
    Errors: as conv1d_transpose.

    >>> conv2d_transpose({"kernel": np.ones((3, 3, 4, 2)), "bias": np.zeros(4)}, np.ones((1, 5, 5, 2)), strides=2).shape
    (1, 11, 11, 4)
    """,
)

conv3d_transpose = _conv_transpose(
    3,
    """(batch, depth, height, width, in) -> (batch, *new sizes, filters), sizes as in conv1d_transpose.

    params: kernel (*kernel_size, filters, in), bias (filters,) unless `use_bias=False`. Mask: dropped.
    Errors: as conv1d_transpose.

    >>> conv3d_transpose({"kernel": np.ones((2, 2, 2, 4, 1))}, np.ones((1, 2, 2, 2, 1)), use_bias=False).shape
    (1, 3, 3, 3, 4)
    """,
)
