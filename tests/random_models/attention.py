"""Attention steps, with masks of their inputs and masks that the graph computes."""

from __future__ import annotations

from typing import Any

from tests.random_models.builder import Builder


def multi_head(b: Builder, x: Any) -> Any:
    layer = b.layers.MultiHeadAttention(
        2, 3, value_dim=b.pick([3, 4]), use_bias=b.flag(), output_shape=b.pick([None, 5])
    )
    options: dict[str, Any] = {"use_causal_mask": b.flag()}
    if not b.narrow and b.flag():
        options["attention_mask"] = b.ops.greater(x[:, :, 0], -0.4)[:, None, :]
    value = b.pick([x, b.layers.Dense(3)(x)])
    if b.flag():
        y, scores = layer(x, value, return_attention_scores=True, **options)
        b.extras.append(scores)
        return y
    return layer(x, value, **options)


def masked_multi_head(b: Builder, x: Any) -> Any:
    """Multi-head attention with query and value masks as arguments."""
    if b.narrow:
        return multi_head(b, x)
    mask = b.ops.greater(x[:, :, 0], -0.4)
    options = b.pick([{"query_mask": mask}, {"value_mask": mask}, {"query_mask": mask, "value_mask": mask}])
    return b.layers.MultiHeadAttention(2, 3)(x, x, **options)


def group_query(b: Builder, x: Any) -> Any:
    layer = b.layers.GroupQueryAttention(2, b.pick([4, 2]), b.pick([1, 2]), use_bias=b.flag())
    return layer(x, b.pick([x, b.layers.Dense(x.shape[-1])(x)]), use_causal_mask=b.flag())


def dot_product(b: Builder, x: Any) -> Any:
    layer = b.layers.Attention(use_scale=b.flag(), score_mode=b.pick(["dot", "concat"]))
    value = b.layers.Dense(x.shape[-1])(x)
    return layer(b.pick([[x, x], [x, value], [x, value, value]]), use_causal_mask=b.flag())


def additive(b: Builder, x: Any) -> Any:
    layer = b.layers.AdditiveAttention(use_scale=b.flag())
    if b.narrow or b.flag():
        return layer([x, x])
    mask = b.ops.greater(x[:, :, 0], -0.4)
    return layer([x, b.layers.Dense(x.shape[-1])(x)], mask=b.pick([[None, mask], [mask, mask], [mask, None]]))


def block(b: Builder, x: Any) -> Any:
    """A transformer block."""
    layers, width = b.layers, x.shape[-1]
    x = layers.Add()([x, layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=b.flag())])
    x = layers.LayerNormalization(epsilon=1e-3)(x)
    return layers.Add()([x, layers.Dense(width)(layers.Dense(6, activation=b.activation())(x))])


STEPS = [multi_head, masked_multi_head, group_query, dot_product, additive, block]
