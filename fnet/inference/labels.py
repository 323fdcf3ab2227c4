"""What scores mean: class numbers, and the middle between two classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from fnet.activation_functions import ACTIVATIONS
from fnet.backend import ops
from fnet.core.diagnosis import require_order
from fnet.core.layer import bind, name_of
from fnet.core.model import Model
from fnet.core.sources import Ref, at, describe, mapped
from fnet.errors import InvalidInput
from fnet.inference.door import REARRANGING
from fnet.tree import Path
from fnet.types import Array

WITHIN = REARRANGING | {
    *("split", "array_split", "dsplit", "hsplit", "vsplit", "unstack", "meshgrid", "take", "take_along_axis", "gather"),
    *("gather_nd", "boolean_mask", "get_item", "getitem", "slice", "strided_slice", "slice_update", "diagonal"),
    *("diag_part", "top_k", "cast", "convert_to_tensor", "clip", "clip_by_value", "center_crop", "crop_images"),
    *("central_crop", "crop_to_bounding_box", "extract_sequences", "average", "mean", "nanmean", "reduce_mean"),
    *("maximum", "fmax", "max", "amax", "nanmax", "reduce_max", "minimum", "fmin", "min", "amin", "nanmin"),
    *("reduce_min", "median", "nanmedian", "quantile", "nanquantile", "percentile", "nanpercentile"),
    *("max_pool", "average_pool", "avg_pool", "pool", "adaptive_max_pool", "adaptive_average_pool"),
    *(f"{kind}_pooling{rank}d" for kind in ("average", "max", "global_average", "global_max") for rank in (1, 2, 3)),
    *(f"adaptive_{kind}_pooling{rank}d" for kind in ("average", "max") for rank in (1, 2, 3)),
    *(f"cropping{rank}d" for rank in (1, 2, 3)),
}
"""Names of functions whose outputs lie between the values that they read, or are clipped, which no middle notices."""

PROBABILITIES = ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "sparse_sigmoid", "softmax", "sparsemax")
"""The activations that give probabilities."""


def classes(model: Any, y: Array, *, invalid: str = "raise") -> np.ndarray[Any, Any]:
    """Scores (rows, k) -> class numbers (rows,): the class with the largest score, the first of equal ones.

    A single unit gives class 1 above the middle of its range, which its activation tells: 0.5 after a sigmoid, 0
    after anything that gives logits. A row with a NaN score has no class: InvalidInput, or -1 with invalid="mark".
    """
    require_order("classes(model, y)", model)
    if invalid not in ("raise", "mark"):
        raise ValueError(f"invalid={invalid!r}: use 'raise' or 'mark'")
    several = isinstance(y, list | tuple) and len({getattr(output, "shape", None) for output in y}) > 1
    scores, y = y, np.empty(()) if several else ops.to_numpy(y)
    if y.dtype.kind in "OSU" or not y.ndim or (y.shape[-1] == 1 and y.size != len(y)) or 0 in y.shape[1:]:
        raise InvalidInput(f"classes takes (model, y): scores (rows, k) from predict; got {describe(scores):.200}")
    none = np.isnan(y)
    if none.any() and invalid != "mark":
        raise InvalidInput(f"row {int(np.argwhere(none)[0][0])} has NaN scores, so no class")
    if y.ndim == 1 or y.shape[-1] == 1:
        return np.where(none.reshape(len(y)), -1, y.reshape(len(y)) > middle(model)).astype(np.int64)
    return np.asarray(np.where(none.any(axis=-1), -1, y.argmax(axis=-1)))


def require_labels(labels: Sequence[Any], scores: Any) -> None:
    """Raise ValueError unless there is a label for each class of scores, an array or a Spec (rows, k): k, or two for a
    single unit. Outputs of another form may have any labels."""
    shape = getattr(scores, "shape", ())
    units = {1: 1, 2: shape[-1]}.get(len(shape)) if shape and "float" in str(scores.dtype) else None
    if units is not None and len(labels) != (count := max(2, units)):
        raise ValueError(f"{len(labels)} labels, but the model has {count} classes")


def final_activation(model: Any) -> str:
    """The name of the activation that the (first) output of a model went through; "linear" when none did.

    What only moves, selects or averages values comes after it: reshaping, pooling, a mean of several models.
    """
    return _one(_activations(model, [()])) or "linear"


def _one(found: set[str | None]) -> str | None:
    return found.pop() if len(found) == 1 else "linear"


def _activations(step: Any, paths: Collection[Path]) -> set[str | None]:
    """The activations of what a step gives, of a model at `paths`; None for what has the range of its input."""
    if isinstance(step, Model):
        return _arriving(step, paths)
    bound = bind(step)
    name = name_of(bound.function).rpartition(".")[2]
    inner = bound.all_options.get("activation", bound.all_options.get("layer", name))
    if not isinstance(inner, str):
        return {_one(_activations(inner, [()]))} if callable(inner) else {"linear"}
    if inner in WITHIN or (inner, name) == ("linear", "activation"):
        return {None}
    return {inner if inner in ACTIVATIONS else "linear"}


def _arriving(model: Model, paths: Collection[Path]) -> set[str | None]:
    """`_activations` of the outputs of a model at `paths`, the first at each: those of all values in them."""
    reads, found = defaultdict[str, set[Path]](set), set[str | None]()

    def read(refs: Iterable[Ref]) -> None:
        for ref in refs:
            reads[ref.node].add(ref.path)

    for path in paths:
        read(_read(model.outputs, path)[:1])
    for name, node in reversed(model.nodes):
        if name in reads:
            own = _activations(node.step, reads.pop(name))
            if None in own and node.sources is not None:
                own.remove(None)
                read(_read(node.sources))
            found |= own
    if reads or not found:  # an input
        found.add(None)
    return found


def _read(sources: Any, path: Path = ()) -> list[Ref]:
    """What a tree of sources reads for its element at `path`."""
    while path and not isinstance(sources, str | Ref):
        sources, path = sources[path[0]], path[1:]
    found: list[Ref] = []
    mapped(lambda source: found.append(at(source, *path)), sources)
    return found


def middle(model: Any) -> float:
    """Where a single unit is between its two classes: 0.5 after a sigmoid, log(0.5) after its logarithm, 0 after
    anything that gives logits."""
    activation = final_activation(model)
    return 0.5 if activation in PROBABILITIES else float(np.log(0.5)) if activation == "log_sigmoid" else 0.0
