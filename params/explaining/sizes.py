"""How large a step is: its parameters, the operations of one row, the bytes of what it gives; what is held at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.layer import bind
from fnet.core.model import Model
from fnet.core.room import width
from fnet.tree import Path
from params.explaining.record import total

FREE = ("embedding", "flatten", "identity", "input_layer", "reshape")
"""Layers that compute nothing, and dropouts."""


def sizes(row: infer.TracedStep, shared: bool) -> dict[str, int | None]:
    """{"params", "flops", "bytes"} of a step for one row of a batch; None where a size is not known.

    shared: the parameters are counted at another step.
    """
    outputs = [spec for spec in tree.leaves(row.outputs) if spec is not None]
    params = 0 if shared else total(_product(param.shape) for param in tree.leaves(row.params))
    return {"params": params, "flops": _flops(row, outputs), "bytes": _bytes(row)}


def held(rows: Mapping[Path, infer.TracedStep], path: Path = ()) -> int:
    """The most bytes of outputs that are held at once while the step at `path` runs, for one row of a batch.

    What it was given is not counted; sizes that are not known count as nothing. rows: {path: the step}, as `trace` sees
    them.
    """
    step = rows[path].step
    if not isinstance(step, Model):
        return 0 if bind(step).function.__name__ == "input_layer" else _bytes(rows[path]) or 0
    most, live = 0, dict[str, int]()
    for name, _, _, _, unread in step.plan:
        during = held(rows, (*path, name))
        most = max(most, sum(live.values()) + during)
        live[name] = (_bytes(rows[*path, name]) or 0) if during else 0
        for read in unread:
            live.pop(read, None)
    return most


def _bytes(row: infer.TracedStep) -> int | None:
    """What a step gives for one row of a batch."""
    return total(
        _product((*spec.shape[1:], width(spec.dtype))) for spec in tree.leaves(row.outputs) if spec is not None
    )


def _flops(row: infer.TracedStep, outputs: list[Any]) -> int | None:
    """A product and its sum are two: every weight of a kernel once at each place, and the products of attention. Of
    other layers, one for each number that they give."""
    name, options = bind(row.step).function.__name__, bind(row.step).all_options
    if name in FREE or "dropout" in name:
        return 0
    kernels = [
        (str(path[-1]), param)
        for path, param in tree.items(row.params)
        if len(param.shape) > 1 and "bias" not in str(path[-1])
    ]
    if not kernels:
        return total(_product(spec.shape[1:]) for spec in outputs)
    inputs = [spec.shape for spec in tree.leaves(row.inputs) if spec is not None]
    weights = total(_product(param.shape) for _, param in kernels)
    if any("recurrent" in kernel for kernel, _ in kernels):
        places = inputs[0][1] if "conv" not in name else None
    else:
        shape = inputs[0] if "transpose" in name else outputs[0].shape
        places = _product(shape[2:] if options.get("data_format") == "channels_first" else shape[1:-1])
    if weights is None or places is None:
        return None
    scores = _attended(options, places, inputs) if name == "multi_head_attention" else 0
    return None if scores is None else 2 * (weights * places + scores)


def _attended(options: dict[str, Any], places: int, inputs: list[Any]) -> int | None:
    """Products of queries with keys, and of weights with values."""
    steps = inputs[min(1, len(inputs) - 1)][1]
    width = int(options["key_dim"]) + int(options.get("value_dim") or options["key_dim"])
    return None if steps is None else int(options["num_heads"]) * width * places * int(steps)


def _product(shape: Sequence[int | None]) -> int | None:
    known = [size for size in shape if size is not None]
    return math.prod(known) if len(known) == len(shape) else None
