"""Batch normalization folded into the layer before it, and relu made the activation of that layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnet.backend import ops
from fnet.core.layer import Bound, bind
from fnet.layers.activation_layers import activation, relu
from fnet.layers.basic import dense
from fnet.layers.convolution import conv1d, conv2d, conv3d
from fnet.layers.convolution_transpose import conv1d_transpose, conv2d_transpose, conv3d_transpose
from fnet.layers.depthwise import depthwise_conv1d, depthwise_conv2d, separable_conv1d, separable_conv2d
from fnet.layers.norms import batch_factors, batch_normalization
from fnet.rewrites.places import each_pair, read_only
from fnet.types import Array, Params

KERNELS: dict[Callable[..., Any], tuple[str, tuple[int, ...]]] = {
    dense: ("kernel", (-1,)),
    **dict.fromkeys((conv1d, conv2d, conv3d), ("kernel", (-1,))),
    **dict.fromkeys((conv1d_transpose, conv2d_transpose, conv3d_transpose), ("kernel", (-2,))),
    **dict.fromkeys((depthwise_conv1d, depthwise_conv2d), ("kernel", (-2, -1))),
    **dict.fromkeys((separable_conv1d, separable_conv2d), ("pointwise_kernel", (-1,))),
}
"""{linear layer: (the kernel that makes its output channels, the axes of it that they are along)}."""


def _fold(step: Bound, params: Params, norm: Bound, moments: Params) -> tuple[Bound, Params] | None:
    """gamma * (x * kernel + bias - mean) / deviation + beta as x * kernel' + bias'."""
    if norm.function is not batch_normalization or norm.dtype is not None or not _is_linear(step):
        return None
    options, (name, axes) = norm.all_options, KERNELS[step.function]
    kernel, use_bias = params.get(name), step.all_options["use_bias"]
    if kernel is None or options["training"] or not _is_channel_axis(step, options["axis"], kernel.ndim):
        return None
    shape = [kernel.shape[a] if a in axes else 1 for a in range(-kernel.ndim, 0)]
    names = ["moving_mean", "moving_variance", *["gamma"] * options["scale"], *["beta"] * options["center"]]
    vectors = [*(moments.get(key) for key in names), *([params.get("bias")] if use_bias else [])]
    if any(v is None or (v.shape, v.dtype) != ((math.prod(shape),), kernel.dtype) for v in vectors):
        return None
    wide = {key: exact(moments[key]) for key in names}
    factor, offset = batch_factors(wide, options["epsilon"], options["center"], options["scale"], lambda v: v**0.5)
    bias = exact(params["bias"]) * factor + offset if use_bias else offset
    new = {name: exact(kernel) * factor.reshape(shape), "bias": bias}
    return bind(step, use_bias=True), {**params, **{key: as_value(a, kernel.dtype) for key, a in new.items()}}


def _relu(step: Bound, params: Params, after: Bound, _: Params) -> tuple[Bound, Params] | None:
    """A linear layer and the relu after it as one layer."""
    if not _is_linear(step) or after.dtype is not None or after.function not in (relu, activation):
        return None
    options = after.all_options
    name = options.get("activation")
    if after.function is relu and (options["negative_slope"], options["threshold"], options["masks"]) == (
        0,
        0,
        "keras3",
    ):
        name = {None: "relu", 6: "relu6"}.get(options["max_value"])
    return (bind(step, activation=name), params) if name in ("relu", "relu6") else None


fold_batch_normalization = each_pair(_fold)
fold_relu = each_pair(_relu)


def _is_linear(step: Bound) -> bool:
    """Whether a step is a layer of `KERNELS` that computes in float32, without activation."""
    if step.function not in KERNELS or step.dtype is not None:
        return False
    options = step.all_options
    return options["activation"] in (None, "linear") and options.get("quantization") is None


def _is_channel_axis(step: Bound, axis: int | Sequence[int], rank: int) -> bool:
    """Whether an axis of what `step` gives is that of its channels. rank: number of axes of the kernel."""
    if step.function is dense or not isinstance(axis, int):
        return axis == -1
    first = step.all_options["data_format"] == "channels_first"
    return axis % rank == (1 if first else rank - 1)


def exact(x: Array) -> Array:
    """A parameter in float64, on the host; a tracer of JAX as it is."""
    return x if ops.is_traced(x) else np.asarray(x, np.float64)


def as_value(x: Array, dtype: Any) -> Array:
    """A copy of `x` as `dtype`, which cannot change."""
    return read_only(x.astype(dtype))
