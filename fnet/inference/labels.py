"""What scores mean: class numbers, and the middle between two classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnet.backend import ops
from fnet.core.compose import Graph, Sequential
from fnet.core.diagnosis import require_order
from fnet.core.layer import bind
from fnet.core.sources import describe, references
from fnet.errors import InvalidInput
from fnet.types import Array


def classes(model: Any, y: Array, *, invalid: str = "raise") -> np.ndarray[Any, Any]:
    """Scores (rows, k) -> class numbers (rows,): the class with the largest score, the first of equal ones.

    A single unit gives class 1 above the middle of its range, which its activation tells: 0.5 after a sigmoid, 0
    after anything that gives logits. A row with a NaN score has no class: InvalidInput, or -1 with invalid="mark".
    """
    require_order("classes(model, y)", model)
    if invalid not in ("raise", "mark"):
        raise ValueError(f"invalid={invalid!r}: use 'raise' or 'mark'")
    scores, y = y, ops.to_numpy(y)
    if y.dtype.kind in "OSU" or not y.ndim or (y.shape[-1] == 1 and y.size != len(y)):
        raise InvalidInput(
            f"classes takes (model, y): scores (rows, k), what predict gives; got {describe(scores):.200}"
        )
    none = np.isnan(y)
    if none.any() and invalid != "mark":
        raise InvalidInput(f"row {int(np.argwhere(none)[0][0])} has NaN scores, so no class")
    if y.ndim == 1 or y.shape[-1] == 1:
        return np.where(none.reshape(len(y)), -1, y.reshape(len(y)) > middle(model)).astype(np.int64)
    return np.asarray(np.where(none.any(axis=-1), -1, y.argmax(axis=-1)))


def final_activation(model: Any) -> str:
    """The name of the activation that the (first) output of a model went through; "linear" when none did."""
    if isinstance(model, Sequential):
        return final_activation(model.steps[-1][1]) if model.steps else "linear"
    if isinstance(model, Graph):
        return final_activation(dict(model.nodes)[references(model.outputs)[0]].step)
    bound = bind(model)
    named = bound.all_options.get("activation", bound.function.__name__)
    return named if isinstance(named, str) else "linear"


def middle(model: Any) -> float:
    """Where a single unit is between its two classes: 0.5 after a sigmoid, 0 after anything that gives logits."""
    probabilities = ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "sparse_sigmoid")
    return 0.5 if final_activation(model) in probabilities else 0.0
