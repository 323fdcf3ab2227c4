"""A scale folded into the layer after it, batch normalization into the one before it, and relu as its activation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnet.backend import ops
from fnet.core.layer import Bound, bind
from fnet.layers import own_name
from fnet.rewrites.places import each_pair, read_only
from fnet.types import Array, Params

KERNELS: dict[str, tuple[str, tuple[int, ...]]] = {
    **dict.fromkeys(("dense", "conv1d", "conv2d", "conv3d"), ("kernel", (-1,))),
    **dict.fromkeys(("conv1d_transpose", "conv2d_transpose", "conv3d_transpose"), ("kernel", (-2,))),
    **dict.fromkeys(("depthwise_conv1d", "depthwise_conv2d"), ("kernel", (-2, -1))),
    **dict.fromkeys(("separable_conv1d", "separable_conv2d"), ("pointwise_kernel", (-1,))),
}
"""{linear layer: (the kernel of its output channels, the axes of these in it)}."""

LARGEST_SCALE = 1 << 16
"""The largest scale to fold, and its inverse the smallest, so that kernels stay far from the limits of floats."""


def _fold(step: Bound, params: Params, norm: Bound, moments: Params) -> tuple[Bound, Params] | None:
    """gamma * (x * kernel + bias - mean) / deviation + beta as x * kernel' + bias'."""
    if own_name(norm.function) != "batch_normalization" or norm.dtype is not None or not _is_linear(step):
        return None
    from fnet.layers.norms import batch_factors  # few models have one

    options, (name, axes) = norm.all_options, KERNELS[own_name(step.function)]
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
    kind = own_name(after.function)
    if not _is_linear(step) or after.dtype is not None or kind not in ("relu", "activation"):
        return None
    options = after.all_options
    name = options.get("activation")
    if kind == "relu" and (options["negative_slope"], options["threshold"], options["masks"]) == (0, 0, "keras3"):
        name = {None: "relu", 6: "relu6"}.get(options["max_value"])
    return (bind(step, activation=name), params) if name in ("relu", "relu6") else None


def _scale(step: Bound, _: Params, after: Bound, params: Params) -> tuple[Bound, Params] | None:
    """(x * scale) * kernel as x * (scale * kernel). An offset is not folded: digits would cancel in the sum."""
    if own_name(step.function) != "rescaling" or step.dtype is not None or not _has_kernel(after):
        return None
    options, name = step.all_options, KERNELS[own_name(after.function)][0]
    scale, kernel = options["scale"], params.get(name)
    plain = isinstance(scale, int | float) and options["offset"] == 0 and options["masks"] == "keras3"
    if not plain or not 1 / LARGEST_SCALE <= abs(scale) <= LARGEST_SCALE or kernel is None or kernel.dtype != "float32":
        return None
    return after, {**params, name: as_value(exact(kernel) * scale, kernel.dtype)}


fold_scale = each_pair(_scale)
fold_batch_normalization = each_pair(_fold)
fold_relu = each_pair(_relu)


def _has_kernel(step: Bound) -> bool:
    """Whether a step is a layer of `KERNELS` that computes in float32."""
    return own_name(step.function) in KERNELS and step.dtype is None and step.all_options.get("quantization") is None


def _is_linear(step: Bound) -> bool:
    """Whether a step has a kernel and no activation."""
    return _has_kernel(step) and step.all_options["activation"] in (None, "linear")


def _is_channel_axis(step: Bound, axis: int | Sequence[int], rank: int) -> bool:
    """Whether an axis of the output of `step` is its channel axis. rank: number of axes of the kernel."""
    if own_name(step.function) == "dense" or not isinstance(axis, int):
        return axis == -1
    first = step.all_options["data_format"] == "channels_first"
    further: int = step.all_options.get("batch_axes", 1) - 1
    return axis % (rank + further) == further + (1 if first else rank - 1)


def exact(x: Array) -> Array:
    """A parameter in float64, on the host; a tracer of JAX as it is."""
    return x if ops.is_traced(x) else np.asarray(x, np.float64)


def as_value(x: Array, dtype: Any) -> Array:
    """A copy of `x` as `dtype`, which cannot change."""
    return read_only(x.astype(dtype))
