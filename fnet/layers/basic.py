"""Layers at the base of every model: input, dense, embedding, identity, masking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnet.activation_functions import CLAMPS, Activation, activate
from fnet.backend import ops, xp
from fnet.core import infer
from fnet.core.infer import activation_child
from fnet.core.rules import Entrance, Rounding, layer
from fnet.core.sources import only_item
from fnet.dtypes import promoted, result_type
from fnet.errors import InvalidInput
from fnet.layers import quantized
from fnet.masks import Masked, strip, values_of
from fnet.strings import string_array
from fnet.types import Array, Masks, Param, Params, ParamTree, Positive, Spec


@layer(shape=infer.identity, mask="own")
def identity(params: Params, x: Any, *, masks: Masks = "keras3") -> Any:
    """`x` itself, any shape. Mask: kept; lost with masks="keras2". Source: keras.layers.Identity."""
    return strip(x) if masks == "keras2" else x


def _input_rule(x: Spec, *, shape: Sequence[int | None], dtype: str) -> tuple[Spec, ParamTree]:
    sizes = x.shape if len(x.shape) == len(shape) else shape
    return Spec(tuple(b if a is None else a for a, b in zip(sizes, shape, strict=True)), dtype), {}


def _taken(*, shape: Sequence[int | None], dtype: str) -> Spec:
    return Spec(tuple(shape), dtype)


@layer(shape=_input_rule, mask="own", entrance=Entrance(takes=_taken))
def input_layer(
    params: Params,
    x: Any,
    *,
    shape: Sequence[int | None],
    dtype: str = "float32",
    optional: bool = False,
    masks: Masks = "keras3",
) -> Any:
    """An input of a model: `x` as an array of `dtype`, any shape that fits `shape` (batch axis included).

    As in Keras, a trailing axis of size 1 is added or dropped if `x` then has the expected rank.
    It may be the only item of a list, tuple or dict. An `optional` input may be None.
    Mask: kept; with masks="keras2" only where `x` is neither cast nor reshaped.
    Errors: InvalidInput for None, several arrays, or another number of axes. Source: keras.layers.InputLayer.
    """
    if isinstance(x, list | tuple | dict):
        x = only_item(x, shape)
        x = x if isinstance(x, Masked) else strip(x)
    if isinstance(x, Masked):
        y = input_layer({}, x.values, shape=shape, dtype=dtype, optional=optional)
        unchanged = ops.is_array(x.values) and (x.values.dtype, x.values.ndim) == (y.dtype, y.ndim)
        return y if masks == "keras2" and not unchanged else Masked(y, x.mask)
    if x is None and optional:
        return None
    if x is None:
        raise InvalidInput("None for an input that is not optional")
    if dtype == "bfloat16":
        x = ops.cast(ops.asarray(x), dtype)
    else:
        x = string_array(x) if dtype == "string" else ops.asarray(x, dtype)
    if x.ndim == len(shape) + 1 and x.shape[-1] == 1:
        return x[..., 0]
    if x.ndim == len(shape) - 1 and shape[-1] == 1:
        return x[..., None]
    if x.ndim != len(shape):
        raise InvalidInput(f"an input of shape {x.shape}; expected {tuple(shape)}, None being any size (first: batch)")
    return x


def linear_params(
    kernels: ParamTree, y: Spec, units: int | None, use_bias: bool, activation: Activation
) -> dict[str, Any]:
    """The params of a layer that gives `y`: its kernels, a bias of `units`, and those of its activation."""
    bias = {"bias": Param((units,), "zeros")} if use_bias else {}
    return {**kernels, **bias, **activation_child(activation, y)}


def _dense_rule(
    x: Spec, *, units: int, use_bias: bool, activation: Activation, quantization: str | None
) -> tuple[Spec, ParamTree]:
    y, kernel = Spec((*x.shape[:-1], units), x.dtype), (x.shape[-1], units)
    if quantization is None:
        return y, linear_params({"kernel": Param(kernel)}, y, units, use_bias, activation)
    bias = linear_params({}, y, units, use_bias, None)
    params = quantized.kernel_params(quantization, kernel, (0,), (units,), bias)
    return y, {**params, **activation_child(activation, y)}


@layer(shape=_dense_rule, floats=True)
def dense(
    params: Params,
    x: Array,
    *,
    units: Positive | None = None,
    activation: Activation = "linear",
    use_bias: bool = True,
    quantization: str | None = None,
) -> Array:
    """(..., in) -> (..., units): y = activation(x @ kernel + bias).

    params: kernel (in, units), bias (units,) unless `use_bias=False`; with `quantization` ("int8", ...) those of
    `fnet.layers.quantized.kernel_params`. Mask: kept. Source: keras.layers.Dense.

    >>> dense({"kernel": np.ones((3, 2)), "bias": np.zeros(2)}, np.ones((1, 3)))
    array([[3., 3.]])
    """
    y = ops.matmul(x, params["kernel"]) if quantization is None else quantized.matmul(quantization, params, x)
    bias = params["bias"] if use_bias else None
    if quantization is not None:
        bias = quantized.rounded(quantization, bias)
    clamp = CLAMPS.get(activation)
    if bias is not None or clamp:
        y = ops.finish(y, bias, clamp)
    return y if clamp else activate(activation, params, y)


def _embedding_rule(x: Spec, *, input_dim: int, output_dim: int, quantization: str | None) -> tuple[Spec, ParamTree]:
    y = Spec((*x.shape, output_dim))
    if quantization is not None:
        return y, quantized.table_params(quantization, input_dim, output_dim)
    return y, {"embeddings": Param((input_dim, output_dim), "uniform")}


def _ids_door(ids: Array, *, input_dim: int | None) -> tuple[Array, Callable[[Any], str]]:
    """Token ids must be whole numbers from 0 to input_dim - 1."""
    wrong = ids < 0 if ids.dtype.kind in "biu" else (ids < 0) | (ids != xp.floor(ids))
    if input_dim is not None:
        wrong = wrong | (ids >= input_dim)
    count = "" if input_dim is None else f" {input_dim}"
    return wrong, lambda id_: f"id {id_}, which is none of the{count} rows of the embedding (whole numbers from 0),"


@layer(shape=_embedding_rule, mask="own", entrance=Entrance(faults=_ids_door), rounding=Rounding(keeps=("inputs",)))
def embedding(
    params: Params,
    x: Array,
    *,
    input_dim: Positive | None = None,
    output_dim: Positive | None = None,
    mask_zero: bool = False,
    quantization: str | None = None,
    clips: bool = False,
) -> Any:
    """(...) of ids -> (..., output_dim): row `id` of the table for each id; float ids are truncated.

    clips: whether, as in Keras before 3.3, a negative id is 0 and one beyond the table the last.
    params: embeddings (input_dim, output_dim), with `quantization` those of `fnet.layers.quantized.table_params`.
    Mask: `x != 0` when `mask_zero`, else none.
    Errors: on NumPy an id >= input_dim is InvalidInput; on JAX, which cannot raise, its row is NaN.
    Source: keras.layers.Embedding.
    """
    ids = ops.asarray(x.values if isinstance(x, Masked) else x)
    whole = ids if ids.dtype.char in "lqLQI" else ids.astype("int32")  # 64 bits stay: 2**32 + 1 is not row 1
    if quantization is None:
        rows = ops.take(params["embeddings"], xp.clip(whole, 0, len(params["embeddings"]) - 1) if clips else whole)
    else:
        rows = quantized.lookup(quantization, params, whole, output_dim)
    return Masked(rows, xp.not_equal(ids, 0)) if mask_zero else rows


@layer(shape=lambda x: (Spec(x.shape, result_type(x.dtype, "int")), {}), mask="own")
def masking(params: Params, x: Any, *, mask_value: float = 0.0) -> Masked:
    """(batch, time, features) with a mask: False, and all zero, where all features equal `mask_value`.

    Mask: its own; one that arrives is replaced. Source: keras.layers.Masking.

    >>> masking({}, np.array([[[1.0, 0.0], [0.0, 0.0]]])).mask
    array([[ True, False]])
    """
    values = values_of(x)
    mask = xp.any(xp.not_equal(values, mask_value), axis=-1)
    return Masked(xp.where(mask[..., None], *promoted(values, 0)), mask)


def _constant_rule(x: Any, *, shape: Sequence[int], dtype: str) -> tuple[Spec, ParamTree]:
    return Spec(tuple(shape), dtype), {"value": Param(tuple(shape), "zeros", dtype, trainable=False)}


@layer(shape=_constant_rule, mask="drop")
def constant(params: Params, x: Any, *, shape: Sequence[int], dtype: str = "float32") -> Array:
    """An array in a graph, which does not depend on `x`; its node has the empty tuple of sources.

    params: value, of `shape` and `dtype`. Mask: none. Source: arrays in the calls of a Keras functional model.
    """
    return params["value"]
