"""Transposed convolutions: conv1d_transpose, conv2d_transpose, conv3d_transpose.

The gradient of a convolution for its input: each input pixel is spread over the output by the kernel.
Source: keras.layers.Conv1DTranspose, Conv2DTranspose, Conv3DTranspose; output sizes as TensorFlow.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fnet.activations import Activation, activate, activation_child
from fnet.backend import ops
from fnet.compose import layer
from fnet.errors import InvalidInput
from fnet.layers.convolution import bias_param, check_kernel, check_padding, window_options
from fnet.layers.windows import (
    PerAxis,
    Sizes,
    dilated,
    from_channels_last,
    join_shape,
    per_axis,
    remembered,
    split_shape,
    split_sizes,
    to_channels_last,
    transposed_size,
)
from fnet.types import Array, Param, Params, ParamTree, Shape, Spec


def _geometry(
    name: str, sizes: Shape, window: Sizes, strides: Sizes, padding: str, output_padding: PerAxis | None
) -> tuple[Shape, Sizes]:
    """(output sizes, crops) of all axes; `window` is dilated, an unknown size stays unknown."""
    check_padding(name, padding)
    rank = len(sizes)
    extra: tuple[int | None, ...] = (None,) * rank
    if output_padding is not None:
        extra = per_axis(output_padding, rank, "output_padding", least=0)
        if any(e >= s for e, s in zip(extra, strides, strict=True)):
            raise ValueError(f"{name}: output_padding {extra} must be smaller than strides {strides}")
    if 0 in sizes:
        raise InvalidInput(f"{name}: an empty spatial axis cannot be enlarged; got sizes {tuple(sizes)}")
    pairs = [
        transposed_size(1 if n is None else n, k, s, padding, e)
        for n, k, s, e in zip(sizes, window, strides, extra, strict=True)
    ]
    outputs = tuple(None if n is None else pair[0] for n, pair in zip(sizes, pairs, strict=True))
    if 0 in outputs:
        raise InvalidInput(f"{name}: sizes {tuple(sizes)} with output_padding {extra} leave nothing: {outputs}")
    return outputs, tuple(crop for _, crop in pairs)


def _transpose_rule(
    rank: int,
    x: Spec,
    *,
    filters: int | None,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    output_padding: PerAxis | None,
    data_format: str | None,
    dilation_rate: PerAxis,
    activation: Activation,
    use_bias: bool,
) -> tuple[Spec, ParamTree]:
    name = f"conv{rank}d_transpose"
    kernel, steps, dilation = window_options(name, rank, kernel_size, strides, dilation_rate)
    sizes, channels = split_shape(name, x.shape, rank, data_format)
    output, _ = _geometry(name, sizes, dilated(kernel, dilation), steps, padding, output_padding)
    y = Spec(join_shape(x.shape[0], output, filters, data_format), x.dtype)
    return y, {
        "kernel": Param((*kernel, filters, channels)),
        **bias_param(use_bias, filters),
        **activation_child(activation, y),
    }


@remembered
def _plan(
    rank: int,
    shape: Sizes,
    kernel: Sizes,
    filters: int | None,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    output_padding: PerAxis | None,
    data_format: str | None,
    dilation_rate: PerAxis,
) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """(strides, dilation, crop, output size) of each axis, checked against the shapes of input and kernel."""
    name = f"conv{rank}d_transpose"
    sizes, channels = split_sizes(name, shape, rank, data_format)
    window = check_kernel(name, kernel, rank, kernel_size, (filters, channels))
    _, steps, dilation = window_options(name, rank, window, strides, dilation_rate)
    output, crop = _geometry(name, sizes, dilated(window, dilation), steps, padding, output_padding)
    return steps, dilation, crop, tuple(size or 0 for size in output)


def _conv_transpose(
    rank: int,
    params: Params,
    x: Array,
    filters: int | None,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    output_padding: PerAxis | None,
    data_format: str | None,
    dilation_rate: PerAxis,
    activation: Activation,
    use_bias: bool,
) -> Any:
    """What conv1d_transpose, conv2d_transpose and conv3d_transpose do."""
    kernel = params["kernel"]
    steps, dilation, crop, sizes = _plan(
        *(rank, x.shape, kernel.shape, filters, kernel_size, strides, padding),
        *(output_padding, data_format, dilation_rate),
    )
    bias = params["bias"] if use_bias else None
    x = to_channels_last(x, data_format)
    y = ops.conv_transpose(x, kernel, bias, strides=steps, dilation=dilation, crop=crop, sizes=sizes)
    return activate(activation, params, from_channels_last(y, data_format))


@layer(shape=partial(_transpose_rule, 1), mask="drop")
def conv1d_transpose(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    output_padding: PerAxis | None = None,
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, steps, in) -> (batch, new steps, filters): y = activation(transposed convolution + bias).

    params: kernel (kernel_size, filters, in), bias (filters,) unless `use_bias=False`. new steps, with the dilated
    kernel size k: "valid" (steps - 1) * strides + max(k, strides); "same" steps * strides; with
    `output_padding` p (smaller than strides) "valid" (steps - 1) * strides + k + p, "same"
    (steps - 1) * strides + k % 2 + p. Any stride goes with any dilation, which Keras refuses. Mask: dropped.
    Errors: InvalidInput, InvalidParams as conv1d. Source: keras.layers.Conv1DTranspose.

    >>> conv1d_transpose({"kernel": np.ones((2, 1, 1))}, np.array([[[1.], [2.]]]), strides=2, use_bias=False)[0, :, 0]
    array([1., 1., 2., 2.])
    """
    return _conv_transpose(
        *(1, params, x, filters, kernel_size, strides, padding, output_padding),
        *(data_format, dilation_rate, activation, use_bias),
    )


@layer(shape=partial(_transpose_rule, 2), mask="drop")
def conv2d_transpose(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    output_padding: PerAxis | None = None,
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, height, width, in) -> (batch, new height, new width, filters), sizes as in conv1d_transpose.

    params: kernel (*kernel_size, filters, in), bias (filters,) unless `use_bias=False`. Mask: dropped.
    Errors: as conv1d_transpose. Source: keras.layers.Conv2DTranspose.

    >>> conv2d_transpose({"kernel": np.ones((3, 3, 4, 2)), "bias": np.zeros(4)}, np.ones((1, 5, 5, 2)), strides=2).shape
    (1, 11, 11, 4)
    """
    return _conv_transpose(
        *(2, params, x, filters, kernel_size, strides, padding, output_padding),
        *(data_format, dilation_rate, activation, use_bias),
    )


@layer(shape=partial(_transpose_rule, 3), mask="drop")
def conv3d_transpose(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    output_padding: PerAxis | None = None,
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, depth, height, width, in) -> (batch, *new sizes, filters), sizes as in conv1d_transpose.

    params: kernel (*kernel_size, filters, in), bias (filters,) unless `use_bias=False`. Mask: dropped.
    Errors: as conv1d_transpose. Source: keras.layers.Conv3DTranspose.

    >>> conv3d_transpose({"kernel": np.ones((2, 2, 2, 4, 1))}, np.ones((1, 2, 2, 2, 1)), use_bias=False).shape
    (1, 3, 3, 3, 4)
    """
    return _conv_transpose(
        *(3, params, x, filters, kernel_size, strides, padding, output_padding),
        *(data_format, dilation_rate, activation, use_bias),
    )
