"""Convolutions: conv1d, conv2d, conv3d. Transposed and depthwise ones have files of their own.

Source: keras.layers.Conv1D, Conv2D, Conv3D. Arrays are correlated with the kernel (it is not mirrored).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fnet.activations import Activation, activate, activation_child
from fnet.backend import ops
from fnet.compose import layer
from fnet.errors import InvalidInput, InvalidParams
from fnet.layers.windows import (
    Pads,
    PerAxis,
    Sizes,
    dilated,
    from_channels_last,
    join_shape,
    output_sizes,
    per_axis,
    remembered,
    split_shape,
    split_sizes,
    to_channels_last,
    window_padding,
)
from fnet.types import Array, Param, Params, ParamTree, Shape, Spec


def window_options(
    name: str, rank: int, kernel_size: PerAxis | None, strides: PerAxis, dilation_rate: PerAxis
) -> tuple[Sizes, Sizes, Sizes]:
    """(kernel size, strides, dilation) for each axis; the kernel size is what a shape rule cannot do without."""
    if kernel_size is None:
        raise ValueError(f"{name}: the shape rule needs kernel_size=, as in bind({name}, kernel_size=3)")
    return (
        per_axis(kernel_size, rank, "kernel_size"),
        per_axis(strides, rank, "strides"),
        per_axis(dilation_rate, rank, "dilation_rate"),
    )


def check_kernel(name: str, shape: Sizes, rank: int, kernel_size: PerAxis | None, tail: Shape) -> Sizes:
    """The spatial sizes of a kernel of `shape`, which must be (*kernel_size, *tail); None fits any size.

    Raises InvalidParams otherwise: the arrays and the options (or the input) do not belong together.
    """
    sizes = (None,) * rank if kernel_size is None else per_axis(kernel_size, rank, "kernel_size")
    wanted = (*sizes, *tail)
    if len(shape) != len(wanted) or any(w not in (None, d) for w, d in zip(wanted, shape, strict=True)):
        expected = ", ".join("any" if w is None else str(w) for w in wanted)
        raise InvalidParams(f"{name}: this input and these options need a kernel of ({expected}); got {shape}")
    return shape[:rank]


def bias_param(use_bias: bool, filters: int | None) -> ParamTree:
    """{"bias": ...} or nothing."""
    return {"bias": Param((filters,), "zeros")} if use_bias else {}


def check_padding(name: str, padding: str, causal: bool = False) -> None:
    """Raise ValueError for a padding that layer `name` does not have."""
    legal = ("valid", "same", "causal") if causal else ("valid", "same")
    if padding not in legal:
        raise ValueError(f"{name}: padding must be one of {', '.join(map(repr, legal))}; got {padding!r}")


def _check_groups(name: str, groups: int, channels: int | None, filters: int | None) -> None:
    if groups < 1 or (channels or 0) % groups or (filters or 0) % groups:
        raise InvalidInput(
            f"{name}: groups must divide the channels and the filters; "
            f"got groups={groups}, {channels} channels, {filters} filters"
        )


def _conv_rule(
    rank: int,
    x: Spec,
    *,
    filters: int | None,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    data_format: str | None,
    dilation_rate: PerAxis,
    groups: int,
    activation: Activation,
    use_bias: bool,
) -> tuple[Spec, ParamTree]:
    name = f"conv{rank}d"
    check_padding(name, padding, causal=rank == 1)
    kernel, steps, dilation = window_options(name, rank, kernel_size, strides, dilation_rate)
    sizes, channels = split_shape(name, x.shape, rank, data_format)
    _check_groups(name, groups, channels, filters)
    output = output_sizes(sizes, dilated(kernel, dilation), steps, padding)
    y = Spec(join_shape(x.shape[0], output, filters, data_format), x.dtype)
    inner = None if channels is None else channels // groups
    return y, {
        "kernel": Param((*kernel, inner, filters)),
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
    data_format: str | None,
    dilation_rate: PerAxis,
    groups: int,
) -> tuple[Sizes, Pads, Sizes]:
    """(strides, padding, dilation) of each axis, everything checked against the shapes of input and kernel."""
    name = f"conv{rank}d"
    check_padding(name, padding, causal=rank == 1)
    sizes, channels = split_sizes(name, shape, rank, data_format)
    _check_groups(name, groups, channels, kernel[-1])
    window = check_kernel(name, kernel, rank, kernel_size, (channels // groups, filters))
    _, steps, dilation = window_options(name, rank, window, strides, dilation_rate)
    extent = dilated(window, dilation)
    output_sizes(sizes, extent, steps, padding)
    return steps, window_padding(sizes, extent, steps, padding), dilation


def _conv(
    rank: int,
    params: Params,
    x: Array,
    filters: int | None,
    kernel_size: PerAxis | None,
    strides: PerAxis,
    padding: str,
    data_format: str | None,
    dilation_rate: PerAxis,
    groups: int,
    activation: Activation,
    use_bias: bool,
) -> Any:
    """What conv1d, conv2d and conv3d do."""
    kernel = params["kernel"]
    steps, pads, dilation = _plan(
        *(rank, x.shape, kernel.shape, filters, kernel_size, strides, padding, data_format, dilation_rate, groups)
    )
    bias = params["bias"] if use_bias else None
    x = to_channels_last(x, data_format)
    y = ops.conv(x, kernel, bias, strides=steps, padding=pads, dilation=dilation, groups=groups)
    return activate(activation, params, from_channels_last(y, data_format))


@layer(shape=partial(_conv_rule, 1), mask="drop")
def conv1d(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, steps, in) -> (batch, new steps, filters): y = activation(x * kernel + bias).

    params: kernel (kernel_size, in / groups, filters), bias (filters,) unless `use_bias=False`.
    padding: "valid"; "same" (TensorFlow's rule: ceil(steps / strides) steps, the odd zero at the end); "causal"
    (zeros in front only, so that no output sees a later input). data_format: "channels_last" (also None) or
    "channels_first", (batch, in, steps). Mask: dropped.
    Errors: InvalidInput when the kernel is larger than the input, or for another number of axes;
    InvalidParams when the kernel does not belong to the options or the input. Source: keras.layers.Conv1D.

    >>> conv1d({"kernel": np.ones((2, 1, 1)), "bias": np.zeros(1)}, np.array([[[1.], [2.], [3.]]]))[0, :, 0]
    array([3., 5.])
    """
    return _conv(
        *(1, params, x, filters, kernel_size, strides, padding, data_format),
        *(dilation_rate, groups, activation, use_bias),
    )


@layer(shape=partial(_conv_rule, 2), mask="drop")
def conv2d(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, height, width, in) -> (batch, new height, new width, filters): y = activation(x * kernel + bias).

    params: kernel (*kernel_size, in / groups, filters), bias (filters,) unless `use_bias=False`.
    padding: "valid", or "same" (TensorFlow's rule: ceil(size / stride) outputs; of an odd number of zeros the
    last goes below and to the right). data_format: "channels_last" (also None), or "channels_first",
    (batch, in, height, width). groups: filters f of group g see only the channels of group g.
    Mask: dropped. Errors: as conv1d. Source: keras.layers.Conv2D.

    >>> conv2d({"kernel": np.ones((2, 2, 1, 1)), "bias": np.zeros(1)}, np.ones((1, 3, 3, 1))).shape
    (1, 2, 2, 1)
    """
    return _conv(
        *(2, params, x, filters, kernel_size, strides, padding, data_format),
        *(dilation_rate, groups, activation, use_bias),
    )


@layer(shape=partial(_conv_rule, 3), mask="drop")
def conv3d(
    params: Params,
    x: Array,
    *,
    filters: int | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    activation: Activation = None,
    use_bias: bool = True,
) -> Any:
    """(batch, depth, height, width, in) -> (batch, *new sizes, filters): y = activation(x * kernel + bias).

    params: kernel (*kernel_size, in / groups, filters), bias (filters,) unless `use_bias=False`.
    Options, mask (dropped) and errors: as conv2d. Source: keras.layers.Conv3D.

    >>> conv3d({"kernel": np.ones((1, 2, 2, 1, 4))}, np.ones((1, 3, 3, 3, 1)), use_bias=False).shape
    (1, 3, 2, 2, 4)
    """
    return _conv(
        *(3, params, x, filters, kernel_size, strides, padding, data_format),
        *(dilation_rate, groups, activation, use_bias),
    )
