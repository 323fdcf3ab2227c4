"""Multi-head attention.

`x` is (query, value) or (query, value, key), or a dict with these keys and, where wanted, explicit masks.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from fnet.activation_functions import sigmoid
from fnet.backend import ops, xp
from fnet.core import room
from fnet.core.rules import layer
from fnet.errors import InvalidInput
from fnet.layers import quantized
from fnet.layers.activation_layers import masked_softmax
from fnet.layers.dot_attention import after_dropout, by_dropout, causal_mask, named_inputs, shapes_of
from fnet.masks import mask_of, masked, values_of
from fnet.shapes import positive, stretched
from fnet.types import Array, Param, Params, ParamTree, Positive, Rate, Spec

HeadMasks: TypeAlias = Literal["keras2", "keras3.7", "keras3.8", "keras3.12", "keras3"]
"""Values of `masks` here: for Keras 2 from 2.10 on and 3.0 to 3.6; 3.7; 3.8 and 3.9; 3.10 to 3.12; later."""
MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")


def over_last_axes(
    params: Params, x: Array, outputs: Sequence[int | None], contracted: int = 1, quantization: str | None = None
) -> Array:
    """x (..., *in) times kernel (*in, *outputs) plus bias (*outputs), over the last `contracted` axes of x."""
    letters = string.ascii_letters
    lead, rest = letters[: x.ndim - contracted], letters[x.ndim - contracted :]
    inner, outer = rest[:contracted], rest[contracted : contracted + len(outputs)]
    equation = f"{lead}{inner},{inner}{outer}->{lead}{outer}"
    if quantization is None:
        y = ops.einsum(equation, x, params["kernel"])
    else:
        y = quantized.product(quantization, equation, params, x, (*x.shape[x.ndim - contracted :], *outputs))
    if "bias" in params:
        y += quantized.rounded(quantization, params["bias"])
    return y


def dense_params(
    inputs: Sequence[int | None], outputs: Sequence[int | None], use_bias: bool, lead: int, quantization: str | None
) -> dict[str, Param]:
    """The params of `over_last_axes` for an input with `lead` axes in front of `inputs`."""
    bias = {"bias": Param(tuple(outputs), "zeros")} if use_bias else {}
    kernel = (*inputs, *outputs)
    if quantization is None:
        return {"kernel": Param(kernel), **bias}
    return quantized.kernel_params(quantization, kernel, range(len(inputs)), (*(1,) * lead, *outputs), bias)


def _attention_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """The attention axes of an input of `rank`; None: all between batch and features. The last axis, of the features,
    is that of the heads in the projected input."""
    if axes is None:
        return tuple(range(1, rank - 1))
    chosen = tuple(positive(a, rank) for a in ((axes,) if isinstance(axes, int) else axes))
    if not chosen or len(set(chosen)) < len(chosen) or 0 in chosen:
        raise ValueError(f"attention_axes={axes}: give some of {list(range(1, rank))}, not the batch, each once")
    return chosen


def _output_sizes(output_shape: int | Sequence[int] | None, query: Any) -> tuple[int, ...]:
    if not output_shape:
        return (query.shape[-1],)
    return (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)


def heads_shapes(name: str, x: Any) -> tuple[Spec, Spec, Spec]:
    """The Specs of query, value and key."""
    query, value, key = shapes_of(name, x, MASKS)
    if value.shape[1:-1] != key.shape[1:-1]:
        raise InvalidInput(f"{name} takes value and key of equal sizes but the last; got {value} and {key}")
    return query, value, key


def require_masks(x: Any, query: Spec, value: Spec, heads: int) -> None:
    """Raise InvalidInput where an explicit mask does not broadcast to the steps that it hides, which all attend: an
    attention_mask is (batch, query, value), or (batch, heads, query, value)."""
    masks = named_inputs("attention", x, MASKS)
    steps, keys = query.shape[1:-1], value.shape[1:-1]
    hides = {"query_mask": steps, "value_mask": keys, "key_mask": keys, "attention_mask": (*steps, *keys)}
    for name in masks.keys() & hides.keys():
        mask, sizes = masks[name].shape, hides[name]
        if len(mask) > 1 + len(sizes):
            sizes = (heads, *sizes)
        stretched(mask[-len(sizes) :], sizes)


def _require_same(query: Any, value: Any, axes: Sequence[int]) -> None:
    """Raise InvalidInput where query and value have axes of different sizes over which nothing attends."""
    if len(query.shape) != len(value.shape):
        raise InvalidInput(f"query {query.shape} and value {value.shape} have different numbers of axes")
    apart = [(query.shape[a], value.shape[a]) for a in range(1, len(query.shape) - 1) if a not in axes]
    if any(None not in pair and len(set(pair)) > 1 for pair in apart):
        raise InvalidInput(
            f"query {query.shape} and value {value.shape} differ at an axis that is not in attention_axes={tuple(axes)}"
        )


def _multi_head_rule(
    x: Any,
    *,
    num_heads: int,
    key_dim: int,
    value_dim: int | None,
    use_bias: bool,
    output_shape: int | Sequence[int] | None,
    attention_axes: int | Sequence[int] | None,
    use_gate: bool,
    return_attention_scores: bool,
    quantization: str | None,
) -> tuple[Any, ParamTree]:
    query, value, key = heads_shapes("multi_head_attention", x)
    size = value_dim or key_dim
    axes = _attention_axes(attention_axes, len(query.shape))
    _require_same(query, value, axes)
    if axes == tuple(range(1, len(query.shape) - 1)):
        require_masks(x, query, value, num_heads)
    sizes = _output_sizes(output_shape, query)
    how = (use_bias, len(query.shape) - 1, quantization)
    gate = {"gate_dense": dense_params(query.shape[-1:], (num_heads, size), *how)} if use_gate else {}
    params = {
        "query_dense": dense_params(query.shape[-1:], (num_heads, key_dim), *how),
        "key_dense": dense_params(key.shape[-1:], (num_heads, key_dim), *how),
        **gate,
        "value_dense": dense_params(value.shape[-1:], (num_heads, size), *how),
        "output_dense": dense_params((num_heads, size), sizes, *how),
    }
    y = Spec((*query.shape[:-1], *sizes), query.dtype)
    if not return_attention_scores:
        return y, params
    return (y, scores_of(query, key, num_heads, axes)), params


def scores_of(query: Spec, key: Spec, num_heads: int, axes: Sequence[int] = (1,)) -> Spec:
    """The Spec of the weights of each query and key."""
    q, k = ((*spec.shape[:-1], num_heads) for spec in (query, key))
    return Spec(
        (*(d for a, d in enumerate(q) if a not in axes), *(q[a] for a in axes), *(k[a] for a in axes)), query.dtype
    )


def _multi_head_room(
    x: Any, *, num_heads: int, key_dim: int, attention_axes: int | Sequence[int] | None
) -> tuple[int, int]:
    """The weights twice, and their products."""
    query, _, key = heads_shapes("multi_head_attention", x)
    scores = scores_of(query, key, num_heads, _attention_axes(attention_axes, len(query.shape)))
    return room.of_products(scores, key_dim)


@layer(shape=_multi_head_rule, room=_multi_head_room, mask="own", rng=by_dropout, floats=True)
def multi_head_attention(
    params: Params,
    x: Any,
    *,
    num_heads: Positive | None = None,
    key_dim: Positive | None = None,
    value_dim: Positive | None = None,
    dropout: Rate = 0.0,
    use_bias: bool = True,
    output_shape: int | Sequence[int] | None = None,
    attention_axes: int | Sequence[int] | None = None,
    sliding_window: Positive | None = None,
    use_gate: bool = False,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    quantization: str | None = None,
    masks: HeadMasks = "keras3",
) -> Any:
    """query (batch, t, dim), value (batch, s, dim_v)[, key (batch, s, dim_k)] -> (batch, t, dim or output_shape).

    For each head softmax(query @ key^T / sqrt(key_dim)) @ value of the projected inputs; the heads, times a
    sigmoid gate of the query with `use_gate`, are projected to the output. Inputs may have more axes;
    `attention_axes`: the axes over which it attends (default: all between batch and features; -1: over the heads).
    For (batch, t, dim) without dropout and scores it is always t, except up to Keras 3.6.
    `sliding_window`: |t - s| < window only; `use_causal_mask`: s <= t only. `return_attention_scores` adds the
    softmax (batch, heads, t, s).
    params: query_dense, key_dense, value_dense and, with `use_gate`, gate_dense: kernel (dim, heads, size), bias
    (heads, size); output_dense: kernel (heads, value_dim, out), bias (out,); rng drops scores at `dropout`. With
    `quantization` ("int8", ...) each of these is as in `fnet.layers.quantized.kernel_params`.
    Mask: those of query, value and key, the explicit attention_mask (batch, t, s), value_mask, key_mask, and the
    causal one are combined; the output carries the query's, the scores the combined one. An explicit query_mask counts
    up to Keras 3.7 only.
    Where all is hidden, the weights are equal; with dropout, scores or more axes they are 0, as in Keras. Up to 3.9
    (masks="keras3.8") they are not 0 but those without the masks, up to 3.6 ("keras2") always.
    Up to 3.7 numbers in an attention_mask that is the only mask are weights, as in `softmax`.
    Source: keras.layers.MultiHeadAttention; Vaswani et al. 2017.

    >>> import fnet
    >>> step = fnet.bind(multi_head_attention, num_heads=2, key_dim=3)
    >>> query = np.ones((1, 4, 5), "float32")
    >>> step(fnet.init(step, 0, (query.shape, query.shape)), (query, query)).shape
    (1, 4, 5)
    """
    explicit = masks in ("keras2", "keras3.7")
    query, value, key, query_mask, seen = inputs_of(
        "multi_head_attention", x, explicit, use_causal_mask, sliding_window
    )
    fused = dropout == 0 and not return_attention_scores and query.ndim == 3 and masks != "keras2"
    axes = (1,) if fused else _attention_axes(attention_axes, query.ndim)
    _require_same(query, value, axes)
    q, k, v = project_inputs(params, query, key, value, (num_heads, num_heads), quantization)
    q_sizes, k_sizes = [tuple(a.shape[i] for i in axes) for a in (q, k)]
    q, k, v = (heads_first(a, axes) for a in (q, k, v))
    seen = widen_mask(seen, q, len(axes))
    weights, total = attention_weights(q, k, _flat(seen, q_sizes, k_sizes), fused, masks, len(axes) > 1)
    y = after_dropout(params, weights, dropout) @ v
    y /= total
    y = heads_last(y, axes, q_sizes)
    y = project_heads(params, y, query, _output_sizes(output_shape, query), use_gate, quantization)
    y = masked(y, query_mask)
    if not return_attention_scores:
        return y
    return y, masked((weights / total).reshape(*weights.shape[:-2], *q_sizes, *k_sizes), seen)


def inputs_of(
    name: str, x: Any, explicit: bool, causal: bool, window: int | None
) -> tuple[Array, Array, Array, Array | None, Array | None]:
    """(query, value, key, the mask that the query carries, all masks as one, see `merge_masks`) of layer `name`.

    explicit: whether a query_mask given by name replaces the one that the query carries. If so, an attention_mask that
    is the only mask keeps its numbers, by which a softmax weighs.
    """
    inputs = named_inputs(name, x, MASKS)
    query, value = values_of(inputs["query"]), values_of(inputs["value"])
    key = values_of(inputs.get("key", value))
    carried = mask_of(inputs["query"])
    named = values_of(inputs.get("query_mask")) if explicit else None
    query_mask = carried if named is None else named
    seen = merge_masks(inputs, query_mask, query, value, causal, window, numbers=explicit)
    return query, value, key, carried, seen


def project_inputs(
    params: Params,
    query: Array,
    key: Array,
    value: Array,
    heads: tuple[int | None, int | None],
    quantization: str | None,
) -> tuple[Array, Array, Array]:
    """q / sqrt(size), k, v (..., heads, size). heads: of q, and of k and v; None: as many as the kernels have."""
    if key.shape[1:-1] != value.shape[1:-1]:
        raise ValueError("key and value of different sizes, which would broadcast")
    asking = heads[0] or params["query_dense"]["kernel"].shape[1]
    answering = heads[1] or params["key_dense"]["kernel"].shape[1]
    q, k, v = (
        over_last_axes(params[f"{name}_dense"], a, (count, -1), quantization=quantization)
        for name, a, count in (("query", query, asking), ("key", key, answering), ("value", value, answering))
    )
    return q * (1 / math.sqrt(q.shape[-1])), k, v


def merge_masks(
    inputs: Mapping[str, Any],
    query_mask: Any,
    query: Array,
    value: Array,
    causal: bool,
    window: int | None,
    numbers: bool,
) -> Array | None:
    """All masks as one that broadcasts to (batch, t, s), or None: True is seen.

    numbers: whether an attention_mask that is the only one stays what it is.
    """
    masks = [] if query_mask is None else [query_mask[..., :, None]]
    for name in ("value", "key"):
        mask = values_of(inputs.get(f"{name}_mask"))
        mask = mask_of(inputs.get(name)) if mask is None else mask
        masks += [] if mask is None else [mask[..., None, :]]
    t, s = query.shape[1], value.shape[1]
    masks += [causal_mask(t, s)[None]] if causal else []
    masks += [] if window is None else [(abs(xp.arange(t)[:, None] - xp.arange(s)) < window)[None]]
    explicit = values_of(inputs.get("attention_mask"))
    if explicit is not None and numbers and not masks:
        return explicit
    masks += [] if explicit is None else [explicit]
    merged = None
    for mask in masks:
        mask = mask if mask.dtype == bool else mask != 0
        merged = mask if merged is None else xp.logical_and(merged, mask)
    return merged


def heads_first(x: Array, axes: Sequence[int]) -> Array:
    """(..., heads, size) -> (*batch, heads, prod(axes), size)."""
    last = x.ndim - 1
    batch = [a for a in range(last) if a not in axes]
    y = xp.transpose(x, (*batch, *axes, last))
    return y.reshape(*y.shape[: len(batch)], math.prod(x.shape[a] for a in axes), x.shape[-1])


def heads_last(y: Array, axes: Sequence[int], sizes: Sequence[int]) -> Array:
    """The inverse of `heads_first`, where the attention axes have `sizes`."""
    last = y.ndim + len(axes) - 2
    batch = [a for a in range(last) if a not in axes]
    y = y.reshape(*y.shape[:-2], *sizes, y.shape[-1])
    order = [*batch, *axes, last]
    return xp.transpose(y, [order.index(a) for a in range(last + 1)])


def widen_mask(mask: Array | None, q: Array, attended: int) -> Array | None:
    """The mask with axes of size 1 for what it lacks (heads) before its `attended` query and key axes."""
    if mask is None:
        return None
    split = mask.ndim - 2 * attended
    missing = q.ndim - 2 - split
    return mask.reshape(*mask.shape[:split], *(1,) * missing, *mask.shape[split:])


def _flat(mask: Array | None, q_sizes: Sequence[int], k_sizes: Sequence[int]) -> Array | None:
    """The mask with its query axes as one, and its key axes as one."""
    if mask is None or len(q_sizes) == 1:
        return mask
    lead = mask.shape[: mask.ndim - len(q_sizes) - len(k_sizes)]
    full = xp.broadcast_to(mask, (*lead, *q_sizes, *k_sizes))
    return full.reshape(*lead, math.prod(q_sizes), math.prod(k_sizes))


def attention_weights(
    q: Array, k: Array, mask: Array | None, fused: bool, masks: HeadMasks, several: bool = False
) -> tuple[Array, Any]:
    """softmax(q @ k^T) where `mask` is True, as (e, sum) of e / sum: what e is multiplied with has fewer numbers.

    Rows without any: equal weights when `fused`, else by `masks`, over a last axis that stands for `several`."""
    scores = ops.scores(q, k)
    if mask is not None and not fused:
        return masked_softmax(scores, mask, -1, masks, several), 1
    if mask is not None:
        scores = xp.where(mask, scores, -0.7 * float(xp.finfo(scores.dtype).max))
    return ops.exponentials(scores, -1, own=True)


def project_heads(
    params: Params, y: Array, query: Array, sizes: Sequence[int], use_gate: bool, quantization: str | None
) -> Array:
    """The heads (..., heads, size), times the sigmoid gate of the query with `use_gate`, as (..., *sizes)."""
    if use_gate:
        y = y * sigmoid(over_last_axes(params["gate_dense"], query, y.shape[-2:], quantization=quantization))
    return over_last_axes(params["output_dense"], y, sizes, 2, quantization)
