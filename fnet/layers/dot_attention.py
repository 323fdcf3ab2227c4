"""Single-head attention: `attention` (Luong) and `additive_attention` (Bahdanau).

`x` is (query, value) or (query, value, key), or a dict with these keys; masks travel with query and value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fnet.backend import ops, xp
from fnet.core import room
from fnet.core.rules import Rounding, layer
from fnet.dtypes import factors, floating, floats_of, product_dtype, promoted, tensor
from fnet.errors import InvalidInput
from fnet.layers.regularization import drop
from fnet.masks import mask_of, masked, values_of
from fnet.shapes import broadcast_shapes, joined
from fnet.types import Array, Param, Params, ParamTree, Rate, Spec

SEQUENCES = ("query", "value", "key")


def named_inputs(name: str, x: Any, masks: Sequence[str] = ()) -> dict[str, Any]:
    """`x` of an attention layer as a dict: query, value, perhaps key, and explicit masks, whose names are `masks`."""
    inputs = dict(x) if isinstance(x, Mapping) else None
    if isinstance(x, tuple | list) and len(x) in (2, 3):
        inputs = dict(zip(SEQUENCES, x, strict=False))
    legal = (*SEQUENCES, *masks)
    if inputs is None or not {"query", "value"} <= set(inputs) <= set(legal):
        got = f"the keys {sorted(inputs)}" if inputs is not None else f"{type(x).__name__} {x!r:.60}"
        raise InvalidInput(
            f"{name} takes (query, value) or (query, value, key), or a dict with some of {', '.join(legal)}, "
            f"query and value among them; got {got}"
        )
    return {key: value for key, value in inputs.items() if value is not None}


def causal_mask(queries: int, keys: int) -> Array:
    """(queries, keys): True where key j is not later than query i."""
    return xp.arange(queries)[:, None] >= xp.arange(keys)


def shapes_of(name: str, x: Any, masks: Sequence[str] = (), *, vectors: bool = False) -> tuple[Spec, Spec, Spec]:
    """The Specs of query, value and key. vectors: each may be (batch, features)."""
    inputs = named_inputs(name, x, masks)
    query, value, key = inputs["query"], inputs["value"], inputs.get("key", inputs["value"])
    ranks = {len(spec.shape) for spec in (query, value, key)}
    if min(ranks) < 3 and not (vectors and ranks == {2}):
        raise InvalidInput(f"{name} takes (batch, steps, features); got {query}, {value}, {key}")
    return query, value, key


def _outputs(x: Any, name: str, return_attention_scores: bool, causal: bool, products: bool = False) -> Any:
    """What comes out; products: of query and key, which are summed otherwise and so broadcast."""
    query, value, key = shapes_of(name, x, vectors=not causal)
    joined(key.shape[-2:-1], value.shape[-2:-1])
    (joined if products else broadcast_shapes)(query.shape[-1:], key.shape[-1:])
    broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    dtype = floats_of(query).dtype
    y = Spec((*query.shape[:-1], value.shape[-1]), dtype)
    return (y, Spec((*query.shape[:-1], key.shape[-2]), dtype)) if return_attention_scores else y


def _attention_rule(
    x: Any, *, use_scale: bool, score_mode: str, return_attention_scores: bool, use_causal_mask: bool
) -> tuple[Any, ParamTree]:
    scale = {"scale": Param((), "ones")} if use_scale else {}
    concat = {"concat_score_weight": Param((), "ones")} if score_mode == "concat" else {}
    outputs = _outputs(x, "attention", return_attention_scores, use_causal_mask, score_mode == "dot")
    return outputs, {**scale, **concat}


def by_dropout(*, dropout: float) -> bool:
    return dropout > 0


def _of_tanh(*, use_scale: bool) -> str:
    """The dtype of tanh for integers: float32 under any policy, or that of a wider scale."""
    return "32 of integers" if use_scale else "of floats"


def _of_scores(*, use_scale: bool, score_mode: str) -> str | None:
    """The same for "concat" without a scale; a scale is applied before tanh."""
    return "32 of integers" if score_mode == "concat" and not use_scale else None


def _pairs_room(x: Any) -> tuple[int, int]:
    """The sum of each query and key."""
    query, _, key = shapes_of("additive_attention", x, vectors=True)
    pairs = Spec((*query.shape[:-1], *key.shape[-2:]), floats_of(query).dtype)
    return 2 * room.size(pairs), 2 * room.size(pairs)


def _attention_room(x: Any, *, score_mode: str) -> tuple[int, int]:
    """The weight of each query and key."""
    if score_mode == "concat":
        return _pairs_room(x)
    query, _, key = shapes_of("attention", x, vectors=True)
    return room.of_products(Spec((*query.shape[:-1], key.shape[-2]), floats_of(query).dtype), query.shape[-1] or 1)


@layer(
    shape=_attention_rule,
    room=_attention_room,
    mask="own",
    rng=by_dropout,
    by_row=3,
    rounding=Rounding(gives=_of_scores),
)
def attention(
    params: Params,
    x: Any,
    *,
    use_scale: bool = False,
    score_mode: Literal["dot", "concat"] = "dot",
    dropout: Rate = 0.0,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    hides_queries: bool = True,
) -> Any:
    """query (batch, tq, dim), value (batch, tv, dim_v)[, key (batch, tv, dim)] -> (batch, tq, dim_v).

    softmax(scores) @ value with scores = query @ key^T, or with score_mode "concat" the sum of tanh(query + key)
    times concat_score_weight; value serves as key where none is given. `return_attention_scores` adds the softmax,
    (batch, tq, tv). `use_causal_mask`: a query sees no later key. Where all are (batch, dim), the rows of the batch are
    the steps: each attends to all.
    params: scale () with `use_scale`, concat_score_weight () with "concat"; rng drops weights at `dropout`.
    Mask: that of value hides keys; where that of query is False the output is 0, but for hides_queries=False, as in
    some files of Keras before 3.11; the output carries it. Source: keras.layers.Attention.

    >>> attention({}, (np.zeros((1, 1, 2)), np.array([[[1.0, 3.0], [3.0, 5.0]]])))
    array([[[2., 4.]]])
    """
    if score_mode not in ("dot", "concat"):
        raise ValueError(f"score_mode is 'dot' or 'concat'; got {score_mode!r}")

    def scores(query: Array, key: Array) -> Array:
        if score_mode == "dot":
            arrays, _ = factors(query, xp.swapaxes(key, -1, -2))
            products = tensor(xp.matmul(*arrays), product_dtype(query, key))
            return _scaled(products, params) if use_scale else products
        pairs = _pairs(query, key)
        pairs = _scaled(pairs, params) if use_scale else pairs
        return params["concat_score_weight"] * xp.sum(xp.tanh(*floating(pairs)), axis=-1)

    inputs = named_inputs("attention", x)
    return _attend(params, inputs, scores, dropout, return_attention_scores, use_causal_mask, hides_queries)


def _additive_rule(
    x: Any, *, use_scale: bool, return_attention_scores: bool, use_causal_mask: bool
) -> tuple[Any, ParamTree]:
    query, _, _ = shapes_of("additive_attention", x, vectors=True)
    scale = {"scale": Param((query.shape[-1],))} if use_scale else {}
    return _outputs(x, "additive_attention", return_attention_scores, use_causal_mask), scale


@layer(shape=_additive_rule, room=_pairs_room, mask="own", rng=by_dropout, by_row=3, rounding=Rounding(gives=_of_tanh))
def additive_attention(
    params: Params,
    x: Any,
    *,
    use_scale: bool = True,
    dropout: Rate = 0.0,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    hides_queries: bool = True,
) -> Any:
    """query (batch, tq, dim), value (batch, tv, dim_v)[, key (batch, tv, dim)] -> (batch, tq, dim_v).

    As `attention`, with scores = sum(scale * tanh(query + key)).
    params: scale (dim,) with `use_scale`; rng drops weights at `dropout`. Mask: as `attention`.
    Source: keras.layers.AdditiveAttention; Bahdanau et al. 2015.

    >>> additive_attention({}, (np.zeros((1, 1, 2)), np.zeros((1, 3, 2))), use_scale=False)
    array([[[0., 0.]]])
    """

    def scores(query: Array, key: Array) -> Array:
        pairs = xp.tanh(*floating(_pairs(query, key)))
        if not use_scale:
            return xp.sum(pairs, axis=-1)
        if params["scale"].shape != query.shape[-1:]:
            raise ValueError("a scale of a different size, which would broadcast")
        return pairs @ xp.broadcast_to(params["scale"], pairs.shape[-1:])

    inputs = named_inputs("additive_attention", x)
    return _attend(params, inputs, scores, dropout, return_attention_scores, use_causal_mask, hides_queries)


def after_dropout(params: Params, weights: Array, dropout: float) -> Array:
    """The weights after dropout, if params hold `rng`."""
    return drop(params["rng"], weights, dropout) if dropout > 0 and "rng" in params else weights


def _pairs(query: Array, key: Array) -> Array:
    """(..., tq, dim), (..., tk, dim) -> (..., tq, tk, dim): the sum of each pair, which wraps around for bytes."""
    query, key = promoted(query, key)
    return query[..., :, None, :] + key[..., None, :, :]


def _scaled(scores: Array, params: Params) -> Array:
    scores, scale = promoted(scores, params["scale"])
    return scores * scale


def _attend(
    params: Params, inputs: Mapping[str, Any], scores: Any, dropout: float, with_scores: bool, causal: bool, hides: bool
) -> Any:
    """softmax of `scores(query, key)` @ value, with the masks of query and value."""
    query, value = values_of(inputs["query"]), values_of(inputs["value"])
    key = values_of(inputs.get("key", value))
    (logits,) = floating(scores(query, key))
    seen = _seen(mask_of(inputs["value"]), logits, causal)
    if seen is not None:
        # Subtracting, not replacing: with every key hidden, Keras's weights still follow the scores.
        logits = xp.where(seen, logits, logits - (65504.0 if logits.dtype == "float16" else 1e9))
    weights, total = ops.exponentials(logits, -1)
    weights, value = promoted(after_dropout(params, weights, dropout), value)
    y = weights @ value
    y /= total
    query_mask = mask_of(inputs["query"])
    y = xp.where(query_mask[..., None], y, 0) if hides and query_mask is not None else y
    y = masked(y, query_mask)
    return (y, weights / total) if with_scores else y


def _seen(mask: Array | None, logits: Array, causal: bool) -> Array | None:
    """Which of the logits (batch, tq, tv) are visible, by the mask (batch, tv) of the values and by causality."""
    ahead = causal_mask(logits.shape[-2], logits.shape[-1])[None] if causal else None
    if mask is None:
        return ahead
    mask = mask[..., None, :]
    return mask if ahead is None else xp.logical_and(mask, ahead)
