"""Cases of fnet.layers.dot_attention and fnet.layers.multi_head."""

import itertools

import numpy as np

import fnet
from tests.cases import Case

TWO = ((3, 4, 5), (3, 6, 5))
THREE = ((3, 4, 5), (3, 6, 2), (3, 6, 5))
VECTORS = ((4, 5), (4, 3), (4, 5))
SELF = {"query": (3, 6, 4), "value": (3, 6, 4)}
CROSS = {"query": (3, 4, 5), "value": (3, 6, 2), "key": (3, 6, 3)}
IMAGE = {"query": (2, 3, 4, 5), "value": (2, 3, 4, 5)}
SCORES = {"return_attention_scores": True}
CAUSAL = {"use_causal_mask": True}
MASKS = [("query",), ("value",), ("key",), ("query", "value", "key")]


def _seen(*shape):
    seen = np.random.default_rng(5).random(shape) < 0.6
    seen[0, 0] = False
    return seen


def _single(layer, twin, shapes, options=None, call=None, mask=False):
    options, call = options or {}, call or {}
    idle = "the mask of the keys is not read" if mask == (2,) else ""
    return Case(layer, shapes, {**options, **call}, twin=twin, twin_options=options, call=call, mask=mask, idle=idle)


def _heads(shapes, options=None, call=None, mask=False, extra=None):
    options, call = {"num_heads": 2, "key_dim": 3, **(options or {})}, call or {}
    made = Case(fnet.multi_head_attention, shapes, {**options, **call}, twin="MultiHeadAttention")
    return _with(made, options, call, mask, extra)


def _groups(shapes, options=None, call=None, mask=False, extra=None):
    options = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, **(options or {})}
    call = call or {}
    made = Case(fnet.group_query_attention, shapes, {**options, **call}, twin="GroupQueryAttention")
    return _with(made, options, call, mask, extra)


def _with(case, options, call, mask, extra):
    from dataclasses import replace

    return replace(case, twin_options=options, call=call, mask=mask, extra=extra or {})


SINGLE = [(fnet.attention, "Attention"), (fnet.additive_attention, "AdditiveAttention")]
GATED = {"use_gate": True}

CASES = [
    *(_single(layer, twin, shapes) for layer, twin in SINGLE for shapes in (TWO, THREE, VECTORS)),
    *(_single(layer, twin, THREE, {"use_scale": on}) for layer, twin in SINGLE for on in (True, False)),
    *(
        _single(layer, twin, THREE, call=call)
        for layer, twin in SINGLE
        for call in (SCORES, CAUSAL, {**SCORES, **CAUSAL})
    ),
    *(
        _single(layer, twin, THREE, {"dropout": 0.3}, call, mask)
        for layer, twin in SINGLE
        for call, mask in itertools.product(({}, CAUSAL, SCORES), [(0,), (1,), (2,), (0, 1, 2)])
    ),
    *(_single(fnet.attention, "Attention", shapes, {"score_mode": "concat"}) for shapes in (THREE, VECTORS)),
    _single(fnet.attention, "Attention", THREE, {"score_mode": "concat", "use_scale": True}, CAUSAL, (0, 1)),
    *(_heads(shapes, {"num_heads": n, "key_dim": n}) for shapes in (SELF, CROSS) for n in (1, 2, 3)),
    *(_heads(CROSS, {"value_dim": size, "use_bias": bias}) for size in (2, 5) for bias in (True, False)),
    *(_heads(CROSS, {"output_shape": made}) for made in (7, (2, 3))),
    *(_heads(CROSS, {"value_dim": 5, **GATED}, call) for call in ({}, SCORES)),
    *(_heads(SELF, {"sliding_window": 2}, call) for call in ({}, CAUSAL, SCORES)),
    *(_heads(SELF, {"dropout": rate}, call) for rate in (0.0, 0.3) for call in (CAUSAL, SCORES, {**CAUSAL, **SCORES})),
    *(_heads(CROSS, {"dropout": rate}, mask=mask) for rate in (0.0, 0.3) for mask in MASKS),
    *(_heads(CROSS, {"num_heads": 3}, call, MASKS[-1]) for call in (CAUSAL, SCORES)),
    *(_heads(CROSS, call=call, extra={"attention_mask": _seen(3, 4, 6)}) for call in ({}, CAUSAL, SCORES)),
    _heads(CROSS, mask=MASKS[-1], extra={"attention_mask": _seen(3, 4, 6)}),
    _heads(CROSS, extra={"attention_mask": _seen(3, 1, 6).astype("float32")}),
    _heads(CROSS, extra={"query_mask": _seen(3, 4)}),
    _heads(SELF, extra={"value_mask": _seen(3, 6), "key_mask": _seen(3, 6)[::-1].copy()}),
    *(
        _heads(IMAGE, {"attention_axes": axes, "value_dim": 2}, call)
        for axes, call in itertools.product((None, 1, (2,), (1, 2), (-2,), (2, 1)), ({}, SCORES))
    ),
    _heads(IMAGE, {"attention_axes": (1,)}, CAUSAL),
    _heads(IMAGE, {"attention_axes": (1,)}, mask=("query", "value")),
    _heads(IMAGE, {"attention_axes": (1, 2)}, SCORES, extra={"attention_mask": _seen(2, 3, 4, 3, 4)}),
    *(
        _groups(shapes, {"num_query_heads": q, "num_key_value_heads": kv})
        for shapes, (q, kv) in itertools.product((SELF, CROSS), ((6, 2), (4, 4), (4, 1)))
    ),
    *(_groups(CROSS, {**GATED, "use_bias": bias}) for bias in (True, False)),
    *(_groups(SELF, {"sliding_window": 2}, call) for call in ({}, CAUSAL, SCORES)),
    *(_groups(SELF, {"dropout": rate}, call) for rate in (0.0, 0.3) for call in (CAUSAL, SCORES, {**CAUSAL, **SCORES})),
    *(_groups(CROSS, {"dropout": rate}, mask=mask) for rate in (0.0, 0.3) for mask in MASKS),
    _groups(CROSS, extra={"query_mask": _seen(3, 4)}),
    _groups(CROSS, extra={"attention_mask": _seen(3, 4, 6)}),
    _groups(CROSS, mask=MASKS[-1], extra={"attention_mask": _seen(3, 4, 6)}),
    _groups(CROSS, extra={"attention_mask": _seen(3, 1, 4, 6)}),
]
