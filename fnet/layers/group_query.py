"""Grouped-query attention: multi-head attention in which several query heads share a key and value head."""

from __future__ import annotations

from typing import Any

from fnet.core import room
from fnet.core.rules import layer
from fnet.errors import InvalidInput
from fnet.layers.dot_attention import after_dropout, by_dropout
from fnet.layers.multi_head import (
    HeadMasks,
    attention_weights,
    dense_params,
    heads_first,
    heads_last,
    heads_shapes,
    inputs_of,
    project_heads,
    project_inputs,
    require_masks,
    scores_of,
    widen_mask,
)
from fnet.masks import masked
from fnet.types import Array, Params, ParamTree, Positive, Rate


def _grouped_rule(
    x: Any,
    *,
    head_dim: int,
    num_query_heads: int,
    num_key_value_heads: int,
    use_bias: bool,
    use_gate: bool,
    return_attention_scores: bool,
    quantization: str | None,
) -> tuple[Any, ParamTree]:
    query, value, key = heads_shapes("group_query_attention", x)
    if any(len(spec.shape) != 3 for spec in (query, value, key)):
        raise InvalidInput(f"group_query_attention takes (batch, steps, features); got {query}, {value}, {key}")
    require_masks(x, query, value, num_query_heads)
    if num_query_heads % num_key_value_heads:
        raise ValueError(f"num_query_heads {num_query_heads} must be a multiple of {num_key_value_heads}")
    query_heads, key_heads = (num_query_heads, head_dim), (num_key_value_heads, head_dim)
    how = (use_bias, 2, quantization)
    gate = {"gate_dense": dense_params(query.shape[-1:], query_heads, *how)} if use_gate else {}
    params = {
        "query_dense": dense_params(query.shape[-1:], query_heads, *how),
        "key_dense": dense_params(key.shape[-1:], key_heads, *how),
        **gate,
        "value_dense": dense_params(value.shape[-1:], key_heads, *how),
        "output_dense": dense_params(query_heads, query.shape[-1:], *how),
    }
    return ((query, scores_of(query, key, num_query_heads)) if return_attention_scores else query), params


def _grouped_room(x: Any, *, num_query_heads: int, head_dim: int) -> tuple[int, int]:
    """The weights twice, and their products."""
    query, _, key = heads_shapes("group_query_attention", x)
    return room.of_products(scores_of(query, key, num_query_heads), head_dim)


@layer(shape=_grouped_rule, room=_grouped_room, mask="own", rng=by_dropout, floats=True)
def group_query_attention(
    params: Params,
    x: Any,
    *,
    head_dim: Positive | None = None,
    num_query_heads: Positive | None = None,
    num_key_value_heads: Positive | None = None,
    dropout: Rate = 0.0,
    use_bias: bool = True,
    sliding_window: Positive | None = None,
    use_gate: bool = False,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    quantization: str | None = None,
    masks: HeadMasks = "keras3",
) -> Any:
    """query (batch, t, dim), value (batch, s, dim_v)[, key (batch, s, dim_k)] -> (batch, t, dim).

    As `multi_head_attention`, but each key and value head serves num_query_heads / num_key_value_heads query heads.
    params: as there; kernels of key_dense and value_dense are (dim, num_key_value_heads, head_dim).
    Mask: as there, and an explicit query_mask counts too.
    Source: keras.layers.GroupQueryAttention (class GroupedQueryAttention); Ainslie et al. 2023.

    >>> import fnet
    >>> step = fnet.bind(group_query_attention, head_dim=3, num_query_heads=4, num_key_value_heads=2)
    >>> query = np.ones((1, 4, 5), "float32")
    >>> step(fnet.init(step, 0, (query.shape, query.shape)), (query, query)).shape
    (1, 4, 5)
    """
    query, value, key, query_mask, seen = inputs_of("group_query_attention", x, True, use_causal_mask, sliding_window)
    q, k, v = project_inputs(params, query, key, value, (num_query_heads, num_key_value_heads), quantization)
    q, k, v = (heads_first(a, (1,)) for a in (q, k, v))  # (batch, heads, time, head_dim)
    fused = dropout == 0 and not return_attention_scores and masks != "keras2"
    seen = widen_mask(seen, q, 1)
    weights, total = attention_weights(_by_group(q, k), k[:, :, None], _by_group_mask(seen, q, k), fused, masks)
    y = after_dropout(params, weights, dropout) @ v[:, :, None]
    y /= total
    y = heads_last(y.reshape(*q.shape[:-1], v.shape[-1]), (1,), q.shape[2:3])
    y = masked(project_heads(params, y, query, query.shape[-1:], use_gate, quantization), query_mask)
    return (y, masked((weights / total).reshape(*q.shape[:-1], k.shape[-2]), seen)) if return_attention_scores else y


def _by_group(q: Array, k: Array) -> Array:
    """(batch, query heads, t, size) -> (batch, key heads, query heads that share one, t, size)."""
    return q.reshape(q.shape[0], k.shape[1], q.shape[1] // k.shape[1], *q.shape[2:])


def _by_group_mask(mask: Array | None, q: Array, k: Array) -> Array | None:
    """A mask (batch, 1 or query heads, t, s) for the scores of `_by_group`."""
    if mask is None:
        return None
    if mask.shape[1] == 1:
        return mask[:, None]
    return mask.reshape(mask.shape[0], k.shape[1], q.shape[1] // k.shape[1], *mask.shape[2:])
