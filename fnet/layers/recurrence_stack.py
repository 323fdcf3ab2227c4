"""`recurrent_stack`: stacked recurrent layers, with the embedding before them, as one layer (see `fnet.optimize`)."""

from __future__ import annotations

import functools
from typing import Any

from fnet.backend import ops, xp
from fnet.backend.gates import CELLS
from fnet.core import infer
from fnet.core.compose import sequential
from fnet.core.layer import bind, brief
from fnet.core.rules import layer
from fnet.errors import InvalidInput
from fnet.layers.basic import embedding
from fnet.layers.recurrent import gru, lstm, simple_rnn
from fnet.layers.wrappers import bidirectional, halves
from fnet.masks import masked, parted
from fnet.records import NamedTuple
from fnet.types import Param, Params, ParamTree

CELL = {simple_rnn: "simple_rnn", lstm: "lstm", gru: "gru"}


class Part(NamedTuple):
    """A recurrent layer of a stack."""

    cell: str
    ways: int
    units: int
    use_bias: bool
    return_sequences: bool


@functools.lru_cache(maxsize=1024)
def part(step: Any) -> Part | None:
    """A layer as a part of a stack; None for one that cannot be in it."""
    bound = bind(step)
    options = bound.all_options
    if bound.dtype is not None:
        return None
    if bound.function is bidirectional:
        forward, backward = halves(options["layer"], options["backward_layer"])
        alike = bind(backward, go_backwards=False) == bind(forward, go_backwards=False)
        one = part(bind(forward, zero_output_for_mask=False)) if alike and options["merge_mode"] == "concat" else None
        return None if one is None else one._replace(ways=2)
    plain = {
        **dict.fromkeys(("return_state", "go_backwards", "stateful", "time_major", "zero_output_for_mask"), False),
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
    }
    if bound.function not in CELL or options["units"] is None or any(options.get(k, v) != v for k, v in plain.items()):
        return None
    cell = CELL[bound.function] + ("" if options.get("reset_after", True) else "_reset_before")
    return Part(cell, 1, options["units"], options["use_bias"], options["return_sequences"])


def is_lookup(step: Any) -> bool:
    """Whether a layer is an embedding with which a stack may begin."""
    bound = bind(step)
    return bound.function is embedding and bound.dtype is None and "quantization" not in bound.options


@functools.lru_cache(maxsize=1024)
def parts(layers: Any) -> tuple[dict[str, Any], tuple[Part, ...]]:
    """(options of the embedding, empty without one; the recurrent layers). Raises ValueError for other layers."""
    ids = bind(layers[0]).all_options if is_lookup(layers[0]) else {}
    parts = tuple(p for p in map(part, layers[1 if ids else 0 :]) if p is not None)
    if not parts or len(parts) + bool(ids) < len(layers) or not all(p.return_sequences for p in parts[:-1]):
        raise ValueError(f"a recurrent stack cannot hold {brief(layers, 200)}; use fnet.sequential")
    return ids, parts


def _stack_rule(x: Any, *, layers: Any, table: bool) -> tuple[Any, ParamTree]:
    ids, recurrent = parts(tuple(layers))
    _require_rank(x.shape, bool(ids))
    features = ids["output_dim"] if ids else x.shape[-1]
    params: dict[str, Any] = {}
    if ids and table:
        first = recurrent[0]
        params["table"] = Param((len(CELLS[first.cell].order), first.ways, ids["input_dim"], first.units), "uniform")
    elif ids:
        params["embeddings"] = Param((ids["input_dim"], features), "uniform")
    for number, (cell, ways, units, use_bias, _) in enumerate(recurrent):
        gates = len(CELLS[cell].order)
        entry = {"kernel": Param((gates, ways, features, units))} if number or "table" not in params else {}
        entry["recurrent_kernel"] = Param((gates, ways, units, units))
        if use_bias and (number or "table" not in params):
            entry["bias"] = Param((gates, ways, 1, units), "zeros")
        if use_bias and cell == "gru":
            entry["candidate_bias"] = Param((ways, 1, units), "zeros")
        params[f"layer_{number}"], features = entry, ways * units
    return infer.infer(sequential(*layers), x)[0], params


def _require_rank(shape: Any, ids: bool) -> None:
    if len(shape) != (2 if ids else 3):
        form = "ids (batch, time)" if ids else "sequences (batch, time, features)"
        raise InvalidInput(f"this recurrent stack takes {form}; got shape {tuple(shape)}")
    if shape[1] == 0:
        raise InvalidInput(f"a recurrent layer needs at least one time step; got shape {tuple(shape)}")


@layer(shape=_stack_rule, mask="own", floats=True)
def recurrent_stack(params: Params, x: Any, *, layers: Any, table: bool = True) -> Any:
    """Stacked recurrent layers, computed as one: (batch, time, in) -> (batch, features).

    layers: the layers in order: `bind(lstm, ...)`, `bind(gru, ...)`, `bind(simple_rnn, ...)` or
    `bind(bidirectional, layer=...)` of one, with Keras's default activations, all but the last with
    return_sequences=True. The first may be `bind(embedding, ...)`; then x are ids (batch, time), and with `table` the
    product of each embedding with the first kernel is looked up instead of computed.
    params: {"table": (gates, ways, input_dim, units)} or {"embeddings": ...}, and for each recurrent layer
    {"layer_0": {"kernel": (gates, ways, in, units), "recurrent_kernel": (gates, ways, units, units), "bias": (gates,
    ways, 1, units), "candidate_bias": (ways, 1, units)}}: ways are the directions, gates are in the order of
    `fnet.backend.gates`, which also says what is multiplied into them.
    Mask: as in the layers, one after the other. Errors: those of the layers; ValueError for other layers.
    Source: none; the layers that it holds.
    """
    ids, recurrent = parts(tuple(layers))
    values, mask = parted(x)
    values = ops.asarray(values)
    _require_rank(values.shape, bool(ids))
    if ids:
        mask = xp.not_equal(values, 0) if ids["mask_zero"] else None
        values = values if values.dtype.char in "lqLQI" else values.astype("int32")  # as in `embedding`
        values = xp.clip(values, 0, ids["input_dim"] - 1) if ids["clips"] else values
    elif mask is not None:
        mask = ops.asarray(mask).astype(bool).reshape(values.shape[:2])
    keep = recurrent[-1].return_sequences
    y = ops.recurrent_stack([(p.cell, p.ways) for p in recurrent], params, values, mask, keep)
    return masked(y, mask) if keep else y
