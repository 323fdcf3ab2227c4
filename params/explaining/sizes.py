"""The sizes of steps: parameters, floating-point operations and bytes for one row, and the peak of held outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.layer import bind
from fnet.core.model import Model
from fnet.core.room import width
from fnet.shapes import total
from params.explaining.record import sum_of

FREE = ("embedding", "flatten", "identity", "input_layer", "reshape")
"""Layers that compute nothing, in addition to dropouts."""


HEADS, KEY_SIZES = ("num_heads", "num_query_heads"), ("key_dim", "head_dim")
"""The options of attention for the number of heads, and for the size of a key."""

Rows = Mapping[str, infer.TracedStep]
"""{path: traced step}; the path of the whole model is ""."""


def by_path(steps: Sequence[infer.TracedStep]) -> dict[str, infer.TracedStep]:
    return {tree.path_name(step.path): step for step in steps}


def sizes(rows: Rows) -> dict[str, dict[str, int | None]]:
    """{path: {"params", "flops", "bytes"}} of the layers for one row of a batch; None where a size is unknown.

    Shared parameters are counted once, at the first layer.
    """
    counted, by_step = set[Any](), dict[str, dict[str, int | None]]()
    for path, row in rows.items():
        if not isinstance(row.step, Model):
            outputs = [spec for spec in tree.leaves(row.outputs) if spec is not None]
            shapes = [] if row.entry in counted else [param.shape for param in tree.leaves(row.params)]
            by_step[path] = {"params": sum_of(map(total, shapes)), "flops": _flops(row, outputs), "bytes": _bytes(row)}
            counted.add(row.entry)
    return by_step


def peak_memory(rows: Rows, path: str = "") -> int:
    """The most bytes of outputs that are held at once while the step at `path` runs, for one row of a batch.

    Its inputs are not counted; unknown sizes count as 0.
    """
    step = rows[path].step
    if not isinstance(step, Model):
        return 0 if bind(step).function.__name__ == "input_layer" else _bytes(rows[path]) or 0
    most, live = 0, dict[str, int]()
    for planned in step.plan:
        inner = f"{path}/{planned.name}" if path else planned.name
        during = peak_memory(rows, inner)
        most = max(most, sum(live.values()) + during)
        live[planned.name] = (_bytes(rows[inner]) or 0) if during else 0
        for name in planned.unread:
            live.pop(name, None)
    return most


def _bytes(row: infer.TracedStep) -> int | None:
    """The bytes of the output of a step for one row of a batch."""
    return sum_of(total((*spec.shape[1:], width(spec.dtype))) for spec in tree.leaves(row.outputs) if spec is not None)


def _flops(row: infer.TracedStep, outputs: list[Any]) -> int | None:
    """Operations for one row: two (a product and a sum) for each weight of a kernel at each place, and for attention.

    Layers without kernels have one for each number of their output.
    """
    name, options = bind(row.step).function.__name__, bind(row.step).all_options
    if name in FREE or "dropout" in name:
        return 0
    kernels = [
        (str(path[-1]), param)
        for path, param in tree.items(row.params)
        if len(param.shape) > 1 and "bias" not in str(path[-1])
    ]
    if not kernels:
        return sum_of(total(spec.shape[1:]) for spec in outputs)
    inputs = [spec.shape for spec in tree.leaves(row.inputs) if spec is not None]
    weights = sum_of(total(param.shape) for _, param in kernels)
    if any("recurrent" in kernel for kernel, _ in kernels):
        places = total(inputs[0][1:-1]) if "conv" not in name else None
    else:
        shape = inputs[0] if "transpose" in name else outputs[0].shape
        places = total(shape[2:] if options.get("data_format") == "channels_first" else shape[1:-1])
    if weights is None or places is None:
        return None
    scores = _attended(options, places, inputs) if name in ("multi_head_attention", "group_query_attention") else 0
    return None if scores is None else 2 * (weights * places + scores)


def _attended(options: dict[str, Any], places: int, inputs: list[Any]) -> int | None:
    """Products of queries with keys, and of weights with values."""
    steps = inputs[min(1, len(inputs) - 1)][1]
    heads, key = (next(int(options[name]) for name in names if name in options) for names in (HEADS, KEY_SIZES))
    return None if steps is None else heads * (key + int(options.get("value_dim") or key)) * places * int(steps)
