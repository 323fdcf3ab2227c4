"""What a model asks for, told before it runs: memory and work for one row of a batch, and tensors that fit."""

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
"""Of an array of NumPy."""

GROWTH = 256
"""A byte that is fed to a model, or of its file, may ask for as many bytes more than `Limits.outputs`."""

WORK = 32
"""As many bytes may be written for each that may be held."""

SMALL = 1 << 20
"""Bytes that a step which is tried may hold and write. All steps together may write MOST of them."""
MOST = 32 * SMALL
TRIED = 1 << 16
"""A step that is tried takes as long as writing this many bytes, about, whatever it computes."""

MOST_SIZES = 16
"""Of batches for which a step is tried."""

OPEN = (64, 256, 1024)
"""Sizes for which a model with open ones is looked at: the first that all its layers take."""


def require_room(steps: list[infer.TracedStep], limits: Limits, stored: int | None = None) -> None:
    """Refuse a model that asks for more than `Limits.outputs` allows for one row of a batch, or gives more axes than
    arrays have. steps: what `trace` saw of it. stored: the bytes of its file, of which params may be zeros that were
    compressed; None where params are as large as they say.

    Raises LimitExceeded.
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
    """Refuse an operation, or a layer of several tensors, that these do not fit, as rules of shapes do not all tell:
    where it is small it is run. Numbers decide in some and sizes of a batch in others, so it is run again with other
    ones before it is refused.

    Raises CorruptFile.
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
    """Whether tensors may misfit a step that any numbers can be given to, for a batch of any size or of a known one."""
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
    """What a step raises whose tensors are full of a number, None where nothing is.

    Floats are powers of 1/2: a square matrix of them is positive definite, as some operations need it.
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
    """Refuse what takes more bytes than are allowed; `traced` is where the most of them are."""
    if needed > allowed:
        raise LimitExceeded(
            f"step {_path(traced)} gives {quoted(traced.outputs, 120)}: for one row the model {does} {needed >> 20:,} "
            f"MiB, and `Limits.outputs`, its file and the row allow {allowed >> 20:,}; for a file that you trust, give "
            "limits with larger outputs"
        )


def _path(traced: infer.TracedStep) -> str:
    return quoted("/".join(map(str, traced.path)))


def _is_open(traced: infer.TracedStep, shapes: list[Shape]) -> bool:
    """Whether sizes other than that of the batch, or what an operation makes of the batch, are not known. shapes: of
    what the step gives."""
    own = traced.step.rules if isinstance(traced.step, Bound) else None
    begin = 0 if own is not None and own.call is not None and not own.by_row else 1
    return any(None in shape[begin:] for shape in shapes)


def _sized(spec: Any, size: int) -> Any:
    """A Spec of one row, with `size` for the other open sizes."""
    if not isinstance(spec, Spec):
        return spec
    return replace(spec, shape=sized(spec.shape[:1], 1) + sized(spec.shape[1:], size))


def _closed(steps: list[infer.TracedStep]) -> list[infer.TracedStep]:
    """What `trace` sees of the model for sizes in place of open ones."""
    for size in OPEN:
        try:
            return infer.trace(steps[-1].step, tree.map(lambda spec, size=size: _sized(spec, size), steps[-1].inputs))
        except FAILURES:
            continue
    return steps
