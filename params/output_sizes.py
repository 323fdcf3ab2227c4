"""Checks of a loaded model before it runs: memory and work for one row of a batch, and tensors that fit together."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fnet import tree
from fnet.backend import ops
from fnet.core import infer, room
from fnet.core.diagnosis import FAILURES
from fnet.core.layer import Bound
from fnet.inference.rows import rows_stay
from fnet.shapes import sized
from fnet.types import Param, Shape, Spec
from params.errors import CorruptFile, LimitExceeded, quoted
from params.file.model_file import Limits

MOST_AXES = 64
"""The most axes of a NumPy array."""

GROWTH = 256
"""Bytes that each byte of the input and of the file adds to `Limits.outputs`."""

WORK = 32
"""How many bytes may be written for each that may be held."""

SMALL = 1 << 20
"""The most bytes that a step may hold and write to be run by `require_fit`; all such steps together: MOST."""
MOST = 32 * SMALL
TRIED = 1 << 16
"""The overhead of running a step, as the number of bytes that are written in the same time."""

MOST_SIZES = 16
"""The most batch sizes for which `require_fit` runs a step."""

OPEN = (64, 256, 1024)
"""Sizes to try for unknown ones; the first that all layers accept is used."""


def require_room(steps: list[infer.TracedStep], limits: Limits, stored: int | None = None) -> None:
    """Raise LimitExceeded for a model that exceeds `Limits.outputs` for one row of a batch, or the axes of arrays.

    steps: its trace. stored: the size of its file; params count at most as much, since zeros compress well. None:
    params count fully.
    """
    gives = [[spec.shape for spec in room.arrays(traced.outputs)] for traced in steps]
    for traced, shapes in zip(steps, gives, strict=True):
        if (axes := max(map(len, shapes), default=0)) > MOST_AXES:
            raise LimitExceeded(f"step {_path(traced)} gives {axes} axes; {MOST_AXES} are possible")
    if any(map(_is_open, steps, gives)):
        steps = _closed(steps)
    params = room.size(infer.params_of(steps))
    given = room.size(steps[-1].inputs) + (params if stored is None else min(params, stored))
    allowed, needed = limits.outputs + GROWTH * given, room.of_trace(steps)
    _require(needed.largest, "holds", needed.held, allowed)
    _require(needed.busiest, "writes", needed.work, WORK * allowed)


def require_fit(steps: list[infer.TracedStep]) -> None:
    """Raise CorruptFile for an operation, or a layer on several tensors, that its inputs do not fit.

    Shape rules do not find all of these, so small steps are run. Some depend on numbers or batch sizes, so a step that
    fails is run again with others before it is refused.
    """
    left = MOST
    for traced in steps:
        specs = room.arrays(traced.inputs)
        if not _can_be_tried(traced.step, specs, room.arrays(traced.outputs)):
            continue
        given = room.of_trace([traced])
        taken = given.held + given.work
        left -= taken + TRIED
        if taken <= SMALL and left > 0:
            sizes = {1, 2, *(n for spec in specs for n in spec.shape if n and n * taken < MOST)}
            tries = (_failure(traced, size, number) for size in sorted(sizes)[:MOST_SIZES] for number in (1, 0))
            if (failure := next(tries)) and all(tries):
                raise CorruptFile(f"step {_path(traced)} cannot be computed: {failure}")


def _can_be_tried(step: Any, given: list[Any], made: list[Any]) -> bool:
    """Whether a step can be run on any numbers, and its inputs may not fit together."""
    if not isinstance(step, Bound) or step.rules.entrance.host or not step.function.__module__.startswith("fnet."):
        return False
    call = step.rules.call
    if len(given) < 2 if call is None else call.reads_values:
        return False
    if any(None in spec.shape[1:] for spec in given):
        return False
    return all(spec.shape[:1] != (None,) for spec in given) or (
        rows_stay(step) and all(len(spec.shape) >= (step.rules.by_row or 0) for spec in made)
    )


def _failure(traced: infer.TracedStep, batch: int, number: int) -> Exception | None:
    """The error of a step on tensors filled with a number, or None.

    Floats are powers of 1/2: square matrices of them are positive definite, which some operations need.
    """

    def full(leaf: Any) -> Any:
        if not isinstance(leaf, Spec | Param):
            return leaf
        dtype = {"string": "U1", "bfloat16": "float32"}.get(leaf.dtype, leaf.dtype)
        shape = sized(leaf.shape, batch)
        if "float" not in dtype:
            return np.full(shape, number, dtype)
        numbers = np.arange(prod(shape[-2:])) % ((1, *shape)[-1] + 1)
        return np.broadcast_to((0.5**numbers).reshape(shape[-2:]), shape).astype(dtype)

    try:
        ops.rehearse(traced.step, tree.map(full, traced.params), tree.map(full, traced.inputs))
    except FAILURES as error:
        return None if isinstance(error.__cause__, np.linalg.LinAlgError) else error  # singular by these numbers
    return None


def _require(traced: infer.TracedStep, does: str, needed: int, allowed: int) -> None:
    """Raise LimitExceeded where `needed` exceeds `allowed` bytes, most of them in the step `traced`."""
    if needed > allowed:
        raise LimitExceeded(
            f"step {_path(traced)} gives {quoted(traced.outputs, 120)}: for one row the model {does} {needed >> 20:,} "
            f"MiB, and `Limits.outputs`, its file and the row allow {allowed >> 20:,}; for a file that you trust, give "
            "limits with larger outputs"
        )


def _path(traced: infer.TracedStep) -> str:
    return quoted(tree.path_name(traced.path))


def _is_open(traced: infer.TracedStep, shapes: list[Shape]) -> bool:
    """Whether output sizes other than that of the batch are unknown. shapes: of the outputs."""
    own = traced.step.rules if isinstance(traced.step, Bound) else None
    begin = 0 if own is not None and own.call is not None and not own.by_row else 1
    return any(None in shape[begin:] for shape in shapes)


def _sized(spec: Any, size: int) -> Any:
    """A Spec for one row, with `size` for other unknown sizes."""
    if not isinstance(spec, Spec):
        return spec
    return replace(spec, shape=sized(spec.shape[:1], 1) + sized(spec.shape[1:], size))


def _closed(steps: list[infer.TracedStep]) -> list[infer.TracedStep]:
    """The trace of the model with sizes in place of unknown ones."""
    for size in OPEN:
        try:
            return infer.trace(steps[-1].step, tree.map(lambda spec, size=size: _sized(spec, size), steps[-1].inputs))
        except FAILURES:
            continue
    return steps
