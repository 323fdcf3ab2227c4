"""Masks travel with their values, as `Masked`; a whole model returns plain arrays."""

from __future__ import annotations

from typing import Any

from fnet import tree
from fnet.records import dataclass


@dataclass(frozen=True, eq=False)
class Masked:
    """`values` (batch, time, ...) with `mask` (batch, time) of bool: False marks steps to be ignored."""

    values: Any
    mask: Any


def values_of(x: Any) -> Any:
    """`x` without its mask."""
    return x.values if isinstance(x, Masked) else x


def mask_of(x: Any) -> Any:
    """The mask that `x` carries, or None."""
    return x.mask if isinstance(x, Masked) else None


def parted(x: Any) -> tuple[Any, Any]:
    """(`x` without its mask, the mask or None)."""
    return (x.values, x.mask) if isinstance(x, Masked) else (x, None)


def masked(values: Any, mask: Any) -> Any:
    """`values` carrying `mask`; plain when there is none."""
    return values if mask is None else Masked(values, mask)


def strip(x: Any) -> Any:
    """`x`, any tree, with every mask taken off."""
    if isinstance(x, Masked):
        return x.values
    return tree.map(values_of, x) if isinstance(x, tuple | list | dict) else x


def handed_on(x: Any, y: Any, rule: str | None = None) -> Any:
    """`y` with the masks of `x`, as Keras does by default: an output that is one of the inputs keeps the mask of that,
    each other takes that of the input in its place, dicts by sorted key. Of several arguments (rule "first") only the
    inputs in the first have places, by the rule "same" none. By the rule "place", that of Keras 2, outputs keep masks
    only where all have one, or no input is in their place; there a tuple is several arguments."""
    if isinstance(x, Masked) and not isinstance(y, tuple | list | dict):
        return Masked(y, x.mask) if rule != "same" or y is x.values else y
    inputs = tree.sorted_leaves(x)
    first = rule == "first" or (rule == "place" and type(x) is tuple)
    masks = map(mask_of, () if rule == "same" else tree.sorted_leaves(x[0]) if first else inputs)
    own = {id(leaf.values): leaf.mask for leaf in inputs if isinstance(leaf, Masked)}
    keeps = rule != "place" or all(id(leaf) in own for leaf in tree.leaves(y))

    def given(y: Any) -> Any:
        if isinstance(y, dict):
            by_key = {key: given(y[key]) for key in sorted(y)}
            return {key: by_key[key] for key in y}
        if isinstance(y, tuple | list):
            return tree.alike(y, map(given, y))
        mask = next(masks, own.get(id(y)))
        return masked(y, own.get(id(y), mask) if keeps else mask)

    return given(y)
