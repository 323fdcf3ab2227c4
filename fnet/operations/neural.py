"""Operations of neural networks: normalizations, losses, attention.

Source: keras.ops.nn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from fnet.activation_functions import ACTIVATIONS
from fnet.backend import ops, xp
from fnet.core.room import of_products
from fnet.dtypes import as_floats, is_float, result_type, strong, tensor
from fnet.errors import InvalidInput
from fnet.operations.indexing import from_front
from fnet.operations.linear_algebra import norm_of
from fnet.operations.rules import operation, same
from fnet.shapes import axes_of, broadcast_shapes, fit, joined, positive, reduced_shape, shape_of, stretched, total
from fnet.types import Array, Axis, Positive, Range, Spec

EPSILON = 1e-7
"""keras.config.epsilon()."""
FLOAT16_LARGEST = 65504.0


# --- normalizations -------------------------------------------------------------------------------


def _moments_rule(x: Spec, *, axes: Axis, keepdims: bool) -> tuple[Spec, Spec]:
    y = Spec(reduced_shape(x.shape, axes, keepdims), x.dtype)
    return y, y


@operation(_moments_rule)
def moments(x: Array, *, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> tuple[Array, Array]:
    """(mean, variance) over `axes`; those of integers lose their fractions, those of 16-bit floats are limited to the
    range of float16.

    `synchronized` is about replicas in training and has no effect here.
    """
    x = tensor(x)
    wide = tensor(x, result_type(x.dtype.name, "float32"))
    mean = xp.mean(wide, axis=axes, keepdims=True)
    mean = mean if is_float(x) else xp.trunc(mean)
    variance = xp.mean(xp.square(wide - mean), axis=axes, keepdims=keepdims)
    mean = mean.reshape(variance.shape)
    if x.dtype.name in ("float16", "bfloat16"):
        mean, variance = (xp.clip(y, -FLOAT16_LARGEST, FLOAT16_LARGEST) for y in (mean, variance))
    return tensor(mean, x.dtype.name), tensor(variance, x.dtype.name)


def _along_rule(x: Spec, *vectors: Any, axis: int | None) -> Spec:
    """Of operations that take a number, or one for each position of `axis`."""
    size = 1 if axis is None else x.shape[positive(axis, len(x.shape))]
    for count in (total(shape_of(v)) for v in vectors if v is not None):
        if count != 1:
            joined((size,), (count,))
    return x


@operation(_along_rule)
def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    offset: Array | None = None,
    scale: Array | None = None,
    *,
    axis: int,
    epsilon: float = 1e-3,
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, of vectors along `axis`."""
    x = tensor(x)
    sizes = [1] * x.ndim
    sizes[axis] = -1
    mean, variance = (tensor(v).reshape(sizes) for v in (mean, variance))
    factor = 1 / xp.sqrt(variance + epsilon)
    if scale is not None:
        factor = factor * tensor(scale).reshape(sizes)
    shift = -mean * factor
    if offset is not None:
        shift = shift + tensor(offset).reshape(sizes)
    return x * tensor(factor, x.dtype.name) + tensor(shift, x.dtype.name)


def _layer_norm_rule(x: Spec, *vectors: Any, axis: Axis) -> Spec:
    size = total(tuple(x.shape[a] for a in axes_of([] if axis is None else axis, len(x.shape))))
    for vector in vectors:
        if vector is not None:
            joined((size,), (total(shape_of(vector)),))
    return x


@operation(_layer_norm_rule)
def layer_norm(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    axis: Axis = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over `axis`; `rms_scaling`: no mean, no beta."""
    original = tensor(x)
    x = tensor(original, result_type(original.dtype.name, "float32"))
    axes = tuple(sorted(positive(a, x.ndim) for a in ([axis] if isinstance(axis, int) else axis or [])))
    sizes = [d if i in axes else 1 for i, d in enumerate(x.shape)]
    factor = 1 / xp.sqrt(xp.var(x, axis=axes, keepdims=True) + (EPSILON if epsilon is None else epsilon))
    y = x * factor if rms_scaling else (x - xp.mean(x, axis=axes, keepdims=True)) * factor
    if gamma is not None:
        y = y * tensor(gamma, x.dtype.name).reshape(sizes)
    if beta is not None and not rms_scaling:
        y = y + tensor(beta, x.dtype.name).reshape(sizes)
    return tensor(y, original.dtype.name)


def _scaled_rule(x: Spec, scale: Any = None) -> Spec:
    stretched(shape_of(scale), x.shape)
    return x


@operation(_scaled_rule)
def rms_norm(x: Array, scale: Array | None = None, *, axis: Axis = -1, epsilon: float | None = None) -> Array:
    """x / sqrt(mean(x^2) + epsilon) * scale over `axis`."""
    original = tensor(x)
    x = tensor(original, result_type(original.dtype.name, "float32"))
    square = xp.mean(x * x, axis=axis, keepdims=True)
    y = x * (1 / xp.sqrt(square + (EPSILON if epsilon is None else epsilon)))
    return tensor(y if scale is None else y * tensor(scale, x.dtype.name), original.dtype.name)


@operation(same)
def normalize(
    x: Array, *, axis: Axis = -1, order: Positive = 2, epsilon: float | None = None, spectral: bool = False
) -> Array:
    """x / max(norm of `order` over `axis`, epsilon).

    spectral: over two axes order 2 is the largest singular value, as in Keras before 3.6.
    """
    x = as_floats(x)
    least = EPSILON if epsilon is None else epsilon
    if order == 2 and not spectral:
        return x * xp.minimum(1 / xp.sqrt(xp.sum(x * x, axis=axis, keepdims=True)), 1 / least)
    length = norm_of(x, order, axis if isinstance(axis, Sequence) else (axis,), True).astype(x.dtype)
    return x / xp.maximum(length, least)


# --- losses ---------------------------------------------------------------------------------------


def _clipped(output: Array) -> Array:
    return xp.clip(output, EPSILON, 1 - EPSILON)


def _loss_rule(target: Any, output: Spec, *, axis: int) -> Spec:
    joined(shape_of(target), output.shape)
    return Spec(reduced_shape(output.shape, axis, False), output.dtype)


@operation(lambda target, output: Spec(joined(shape_of(target), output.shape), output.dtype))
def binary_crossentropy(target: Array, output: Array, *, from_logits: bool = False) -> Array:
    """-(target * log(output) + (1 - target) * log(1 - output)), of probabilities or `from_logits`."""
    output = tensor(output)
    target = tensor(target, output.dtype.name)
    if from_logits:
        return xp.maximum(output, 0) - output * target + xp.log1p(xp.exp(-xp.abs(output)))
    output = _clipped(output)
    return -(target * xp.log(output) + (1 - target) * xp.log(1 - output))


@operation(_loss_rule)
def categorical_crossentropy(target: Array, output: Array, *, from_logits: bool = False, axis: int = -1) -> Array:
    """-sum(target * log(output)) over the classes in `axis`."""
    output = tensor(output)
    target = tensor(target, output.dtype.name)
    if from_logits:
        return -xp.sum(target * ACTIVATIONS["log_softmax"](output, axis), axis=axis)
    output = _clipped(output / xp.sum(output, axis=axis, keepdims=True))
    return -xp.sum(target * xp.log(output), axis=axis)


def _sparse_rule(target: Any, output: Spec) -> Spec:
    ids = shape_of(target)
    one = len(ids) == len(output.shape) and ids[-1] == 1
    return Spec(joined(ids[:-1] if one else ids, output.shape[:-1]), output.dtype)


@operation(_sparse_rule)
def sparse_categorical_crossentropy(
    target: Array, output: Array, *, from_logits: bool = False, axis: int = -1
) -> Array:
    """-log(output at the class `target`), classes in the last axis.

    Another class raises InvalidInput on NumPy and gives NaN on JAX.
    """
    output, target = tensor(output), ops.cast(tensor(target), "int32")
    if axis not in (-1, output.ndim - 1):
        raise ValueError(f"sparse_categorical_crossentropy needs the classes in the last axis, got axis={axis}")
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = target[..., 0]
    logs = ACTIVATIONS["log_softmax"](output if from_logits else xp.log(_clipped(output)), -1)
    return -xp.take_along_axis(logs, from_front(target, logs.shape[-1])[..., None], axis=-1)[..., 0]


@operation(lambda x1, x2: Spec(joined(x1.shape, x2.shape)[:0], result_type(x1.dtype, "float")))
def psnr(x1: Array, x2: Array, *, max_val: float) -> Array:
    """The peak signal-to-noise ratio in dB: 20 log10(max_val) - 10 log10(mean((x1 - x2)^2)); the mean of integers loses
    its fraction."""
    x1, x2 = tensor(x1), tensor(x2)
    dtype = result_type(x1.dtype.name, "float")
    error = tensor(xp.mean((x1 - x2) * (x1 - x2)), dtype)
    return 20 * math.log10(max_val) - 10 * xp.log10(error if is_float(x1) else xp.floor(error))


# --- attention ------------------------------------------------------------------------------------


def _attention_rule(query: Spec, key: Spec, value: Spec, bias: Any = None, mask: Any = None, *rest: Any) -> Spec:
    axes = fit("batch queries heads width, b keys groups width, c keys groups w", query.shape, key.shape, value.shape)
    batch, queries, heads, keys, groups = (axes[name] for name in ("batch", "queries", "heads", "keys", "groups"))
    if heads is not None and groups is not None and (groups == 0 or heads % groups):
        raise InvalidInput(f"{heads} heads of queries for {groups} of keys: a multiple of these is expected")
    for item in (bias, mask):
        if item is not None:
            broadcast_shapes((batch, heads, queries, keys), shape_of(item))
    return Spec((*query.shape[:-1], value.shape[-1]), result_type(query.dtype, key.dtype, value.dtype))


def _hidden(logits: Array, mask: Array | None, is_causal: bool) -> Array:
    """`logits` (..., T, S), very negative where `mask` is False or, if `is_causal`, the key is later than the query."""
    seen = None if mask is None else tensor(mask, "bool")
    if is_causal:
        causal = xp.tril(xp.ones(logits.shape[-2:], bool))[None, None]
        seen = causal if seen is None else seen & causal
    lowest = -45850.0 if logits.dtype.name == "float16" else -2.372671e38
    return logits if seen is None else xp.where(seen, logits, xp.full_like(logits, lowest))


def _attention_room(x: Sequence[Any]) -> tuple[int, int]:
    """The scores of all pairs, of each head."""
    query, key = x[0].shape, x[1].shape
    return of_products(Spec((query[0], query[2], query[1], key[1]), x[0].dtype), query[3] or 1)


@operation(_attention_rule, room=_attention_room)
def dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    scale: float | None = None,
    *,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Array:
    """(batch, T, heads, dim), twice (batch, S, heads, dim) -> (batch, T, heads, dim): attention of each head.

    Fewer key heads are repeated. `mask` is True where a key may be seen. `attn_logits_soft_cap`, which TensorFlow
    ignores, and `flash_attention`, a way to compute, have no effect.
    """
    query, key, value = strong(query, key, value)
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = xp.repeat(key, groups, axis=2), xp.repeat(value, groups, axis=2)
    factor = 1 / math.sqrt(key.shape[-1]) if scale is None else scale
    logits = xp.einsum("btnh,bsnh->bnts", query, key, optimize=True) * factor
    if bias is not None:
        logits = logits + tensor(bias, logits.dtype.name)
    logits = _hidden(logits, mask, is_causal)
    shares = ACTIVATIONS["softmax"](tensor(logits, result_type(logits.dtype.name, "float32")))
    return xp.einsum("bnts,bsnh->btnh", tensor(shares, key.dtype.name), value, optimize=True)


# --- quantization ---------------------------------------------------------------------------------


def _nudged(low: Array, high: Array, least: int, most: int) -> tuple[Array, Array, Array]:
    """(lowest, highest, step) of the grid nearest to [low, high] that contains 0."""
    step = (high - low) / (most - least)
    zero = least - low / xp.where(step == 0, xp.ones_like(step), step)
    zero = xp.clip(xp.floor(zero + 0.5), least, most)
    return (least - zero) * step, (most - zero) * step, step


@operation(_along_rule)
def fake_quant_with_min_max_vars(
    inputs: Array,
    min_vals: Array,
    max_vals: Array,
    *,
    num_bits: Annotated[int, Range(2, 16)] = 8,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Array:
    """`inputs` on the grid of 2^num_bits numbers (`narrow_range`: one less) from `min_vals` to `max_vals`.

    These are one number each, or one for each position of `axis`. The grid is moved to contain 0; an empty range gives
    zeros. Computed in float32, as in TensorFlow. Source: keras.quantizers.fake_quant_with_min_max_vars.
    """
    x = tensor(inputs)
    sizes = () if axis is None else tuple(-1 if i == axis % x.ndim else 1 for i in range(x.ndim))
    low, high = (tensor(v, "float32").reshape(sizes) for v in (min_vals, max_vals))
    lowest, highest, step = _nudged(low, high, int(narrow_range), 2**num_bits - 1)
    inverse = 1 / xp.where(step == 0, xp.ones_like(step), step)
    above = xp.clip(tensor(x, "float32"), lowest, highest) - lowest
    level = xp.floor(above * inverse - xp.floor(0.5 - lowest * inverse) + 0.5)
    return tensor(level * step, x.dtype.name)
