"""How much a model may ask for, told before anything runs: memory and work for one row of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fnet import tree
from fnet.core import infer, room
from fnet.core.explaining import FAILURES
from fnet.core.layer import Bound
from fnet.shapes import sized
from fnet.types import Shape, Spec
from params.errors import LimitExceeded, quoted
from params.file.model_file import Limits

MOST_AXES = 64
"""Of an array of NumPy."""

GROWTH = 256
"""A byte that is fed to a model, or of its file, may ask for as many bytes more than `Limits.outputs`."""

WORK = 24
"""As many bytes may be written for each that may be held."""

OPEN = (64, 256, 1024)
"""Sizes for which a model with open ones is looked at: the first that all its layers take."""


def require_room(rows: list[infer.Row], limits: Limits, stored: int | None = None) -> None:
    """Refuse a model that asks for more than `Limits.outputs` allows for one row of a batch, or gives more axes than
    arrays have. rows: what `trace` saw of it. stored: the bytes of its file, of which params may be zeros that were
    compressed; None where params are as large as they say.

    Raises LimitExceeded.
    """
    gives = [[spec.shape for spec in room.arrays(row.outputs)] for row in rows]
    for row, shapes in zip(rows, gives, strict=True):
        if (axes := max(map(len, shapes), default=0)) > MOST_AXES:
            raise LimitExceeded(f"step {_path(row)} gives {axes} axes; {MOST_AXES} are possible")
    if any(map(_is_open, rows, gives)):
        rows = _closed(rows)
    params = room.size(infer.params_of(rows))
    given = room.size(rows[-1].inputs) + (params if stored is None else min(params, stored))
    allowed, needed = limits.outputs + GROWTH * given, room.of_rows(rows)
    _require(needed.largest, "holds", needed.held, allowed)
    _require(needed.busiest, "writes", needed.work, WORK * allowed)


def _require(row: infer.Row, does: str, needed: int, allowed: int) -> None:
    """Refuse what takes more bytes than are allowed; `row` is where the most of them are."""
    if needed > allowed:
        raise LimitExceeded(
            f"step {_path(row)} gives {quoted(row.outputs, 120)}: for one row the model {does} {needed >> 20:,} MiB, "
            f"and `Limits.outputs`, its file and the row allow {allowed >> 20:,}; for a file that you trust, give "
            "limits with larger outputs"
        )


def _path(row: infer.Row) -> str:
    return quoted("/".join(map(str, row.path)))


def _is_open(row: infer.Row, shapes: list[Shape]) -> bool:
    """Whether sizes other than that of the batch, or what an operation makes of the batch, are not known. shapes: of
    what the step gives."""
    own = row.step.rules if isinstance(row.step, Bound) else None
    begin = 0 if own is not None and own.call is not None and not own.by_row else 1
    return any(None in shape[begin:] for shape in shapes)


def _sized(spec: Any, size: int) -> Any:
    """A Spec of one row, with `size` for the other open sizes."""
    if not isinstance(spec, Spec):
        return spec
    return replace(spec, shape=sized(spec.shape[:1], 1) + sized(spec.shape[1:], size))


def _closed(rows: list[infer.Row]) -> list[infer.Row]:
    """What `trace` sees of the model for sizes in place of open ones."""
    for size in OPEN:
        try:
            return infer.trace(rows[-1].step, tree.map(lambda spec, size=size: _sized(spec, size), rows[-1].inputs))
        except FAILURES:
            continue
    return rows
