"""Where masks are made, used and dropped, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fnet import tree
from fnet.core import infer
from fnet.core.layer import bind
from fnet.core.model import Model
from fnet.core.sources import resolve
from fnet.masks import Masked, handed_on
from fnet.shapes import sized
from params.convert.conversion import BROKEN


def trace_masks(model: Any, spec: Any, rows: Mapping[str, infer.TracedStep]) -> dict[str, str]:
    """{path: "made", "kept", "used" or "lost"} of the steps with a mask; "?" where it is unknown.

    Masks are passed through the model in no rows; only layers with mask="own" are run.
    """
    outcomes: dict[str, str] = {}

    def walk(step: Any, x: Any, path: tuple[str, ...]) -> Any:
        if isinstance(step, Model):
            return step.walk(x, lambda name, key, inner, read: walk(inner, read, (*path, name)), resolve)
        place = "/".join(path)
        bound = bind(step)
        declared = bound.rules
        y = tree.map(_no_rows, rows[place].outputs)
        before = _has_mask(x)
        if declared.mask == "own":
            try:
                y = step(tree.map(_zeros, rows[place].params), x)
            except BROKEN:
                outcomes[place] = "?"
                return y
        elif declared.keeps_mask(bound.options):
            y = handed_on(x, y, declared.mask)
        after = _has_mask(y)
        if before or after:
            gone = "used" if declared.mask == "own" else "lost"
            outcomes[place] = "made" if not before else "kept" if after else gone
        return y

    walk(model, tree.map(_no_rows, spec), ())
    return outcomes


def _has_mask(x: Any) -> bool:
    return any(isinstance(leaf, Masked) for leaf in tree.leaves([x]))


def _no_rows(spec: Any) -> Any:
    """An array of a Spec with 0 for its first unknown size, which is that of the rows: nothing is computed of it."""
    zeros = _zeros(spec)
    rows = next((axis for axis, size in enumerate(spec.shape) if size is None), 0)
    return zeros[(slice(None),) * rows + (slice(0),)] if spec.shape else zeros


def _zeros(spec: Any) -> Any:
    """An array of a Spec or Param that needs no memory, with 2 for unknown sizes."""
    dtype = {"string": "U1", "bfloat16": "float32"}.get(spec.dtype, spec.dtype)
    return np.broadcast_to(np.zeros((), dtype), sized(spec.shape, 2))
