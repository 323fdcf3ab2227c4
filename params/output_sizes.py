"""Checks of a loaded model before it runs: memory and work for one row of a batch."""

from __future__ import annotations

from dataclasses import replace

from fnet import tree
from fnet.core import infer, room
from fnet.core.diagnosis import FAILURES
from fnet.core.layer import Bound
from fnet.errors import OutOfMemory
from fnet.shapes import sized
from fnet.types import Shape, Spec
from params.errors import LimitExceeded, quoted
from params.file.model_file import Limits

GROWTH = 256
"""Bytes that each byte of the input and of the file adds to `Limits.outputs`."""

WORK = 32
"""How many bytes may be written for each that may be held."""

OPEN = (64, 256, 1024)
"""Sizes to try for unknown ones; the first that all layers accept is used."""


def require_room(steps: list[infer.TracedStep], limits: Limits, stored: int | None = None) -> None:
    """Raise LimitExceeded for a model that exceeds `Limits.outputs` for one row of a batch.

    steps: its trace. stored: the size of its file; params count at most as much, since zeros compress well. None:
    params count fully.
    """
    gives = [[spec.shape for spec in room.arrays(traced.outputs)] for traced in steps]
    if any(map(_is_open, steps, gives)):
        steps = _closed(steps)
    params = room.size(infer.params_of(steps))
    bytes_of_file = room.size(steps[-1].inputs) + (params if stored is None else min(params, stored))
    allowed, needed = limits.outputs + GROWTH * bytes_of_file, room.of_trace(steps)
    _require(needed.largest, "holds", needed.memory, allowed)
    _require(needed.busiest, "writes", needed.work, WORK * allowed)


def _require(traced: infer.TracedStep, does: str, needed: int, allowed: int) -> None:
    """Raise LimitExceeded where `needed` exceeds `allowed` bytes, most of them in the step `traced`."""
    if needed > allowed:
        much = f"{needed >> 20:,} MiB" if needed < 1 << 90 else f"over 2**{needed.bit_length() - 1} bytes"
        raise LimitExceeded(
            f"step {quoted(tree.path_name(traced.path))} gives {quoted(traced.outputs, 120)}: for one row the model "
            f"{does} {much}, and `Limits.outputs`, its file and the row allow {allowed >> 20:,}; for a file that you "
            "trust, give limits with larger outputs"
        )


def _is_open(traced: infer.TracedStep, shapes: list[Shape]) -> bool:
    """Whether output sizes other than that of the batch are unknown. shapes: of the outputs."""
    own = traced.step.rules if isinstance(traced.step, Bound) else None
    begin = 0 if own is not None and own.call is not None and not own.by_row else 1
    return any(None in shape[begin:] for shape in shapes)


def _sized(spec: Spec, size: int) -> Spec:
    """A Spec for one row, with `size` for other unknown sizes."""
    return replace(spec, shape=sized(spec.shape[:1], 1) + sized(spec.shape[1:], size))


def _closed(steps: list[infer.TracedStep]) -> list[infer.TracedStep]:
    """The trace of the model with sizes in place of unknown ones."""
    for size in OPEN:
        try:
            return infer.trace(steps[-1].step, tree.map(lambda spec, size=size: _sized(spec, size), steps[-1].inputs))
        except OutOfMemory as error:
            raise LimitExceeded(str(error)) from error
        except FAILURES:
            continue
    return steps
