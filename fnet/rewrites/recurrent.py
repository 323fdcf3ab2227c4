"""Consecutive recurrent layers, and the embedding before them, as one `recurrent_stack`."""

from __future__ import annotations

from fnet import tree
from fnet.backend import xp
from fnet.backend.gates import laid_out
from fnet.core.layer import Bound, bind
from fnet.core.model import EMPTY
from fnet.layers.recurrence_stack import Part, is_lookup, part, parts, recurrent_stack
from fnet.layers.regularization import dropout, gaussian_dropout, gaussian_noise, spatial_dropout1d
from fnet.rewrites.places import Rewrite, each_pair, each_step, read_only
from fnet.types import Params

IDLE = (dropout, gaussian_dropout, gaussian_noise, spatial_dropout1d)
"""Layers without effect when there is no rng."""


def _lay_out(step: Bound, params: Params) -> tuple[Bound, Params] | None:
    """A recurrent layer as a stack of one."""
    one = part(step)
    if one is None or any(path[-1] == "rng" for path, _ in tree.items(params)):
        return None
    ways = [params] if one.ways == 1 else [params.get(name, EMPTY) for name in ("forward_layer", "backward_layer")]
    if not all({"kernel", "recurrent_kernel"} <= set(way) and one.use_bias == ("bias" in way) for way in ways):
        return None
    laid = [laid_out(one.cell, way) for way in ways]
    entry = {name: xp.stack([way[name] for way in laid], axis=-3) for name in laid[0]}
    return bind(recurrent_stack, layers=(step,)), {"layer_0": tree.map(read_only, entry)}


def _skip(step: Bound, params: Params, after: Bound, after_params: Params) -> tuple[Bound, Params] | None:
    """An embedding or a stack without the dropout after it."""
    begins = step.function is recurrent_stack or is_lookup(step)
    return (step, params) if begins and after.function in IDLE and after.dtype is None and not after_params else None


def _join(step: Bound, params: Params, after: Bound, stack: Params) -> tuple[Bound, Params] | None:
    """Two stacks as one."""
    if step.function is not recurrent_stack or after.function is not recurrent_stack:
        return None
    below, above = (bound.all_options["layers"] for bound in (step, after))
    recurrent: tuple[Part, ...] = parts(below)[1]
    if not recurrent[-1].return_sequences or is_lookup(above[0]):
        return None
    entries = [stack[f"layer_{number}"] for number in range(len(above))]
    new = {f"layer_{number}": entry for number, entry in enumerate(entries, len(recurrent))}
    return bind(step, layers=(*below, *above)), {**params, **new}


def look_up_projected(table_bytes: int) -> Rewrite:
    """The rewrite of an embedding into the stack after it: multiplied by the stack's first kernel if the product takes
    at most `table_bytes`, otherwise as it is."""

    def rule(step: Bound, params: Params, after: Bound, stack: Params) -> tuple[Bound, Params] | None:
        if not is_lookup(step) or after.function is not recurrent_stack or "embeddings" not in params:
            return None
        embeddings, first, layers = params["embeddings"], stack["layer_0"], after.all_options["layers"]
        if "kernel" not in first:
            return None
        gates, ways, _, units = first["kernel"].shape
        if gates * ways * len(embeddings) * units * embeddings.dtype.itemsize > table_bytes:
            return bind(after, layers=(step, *layers), table=False), {"embeddings": embeddings, **stack}
        table = embeddings @ first["kernel"]
        table = table + first["bias"] if "bias" in first else table
        left = {name: value for name, value in first.items() if name not in ("kernel", "bias")}
        return bind(after, layers=(step, *layers)), {"table": read_only(table), **stack, "layer_0": left}

    return each_pair(rule)


def of_recurrent(table_bytes: int) -> tuple[Rewrite, ...]:
    """The rewrites of models with recurrent layers, in this order."""
    return each_step(_lay_out), each_pair(_skip), each_pair(_join), look_up_projected(table_bytes)
