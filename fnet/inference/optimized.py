"""`fnet.optimize` remembered, for the very arrays that it was done for."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnet import backend, rewrites, tree
from fnet.inference.device import is_value
from fnet.types import Params

_LIMIT = 8
"""How many models are remembered."""

_known: dict[Any, _Known] = {}
"""{(backend, id of the model, params' places and ids): what came of them}, the oldest first."""


@dataclass(frozen=True)
class _Place:
    """A leaf of the optimised params that is a leaf of the given ones: its number among them."""

    number: int


@dataclass(frozen=True)
class _Known:
    """What `optimize` gave. It keeps the model alive, and no array that was given: it goes when the first of them does.

    params: the optimised params, with a `_Place` for each array that was given.
    """

    given: Any
    model: Any
    params: Params
    watched: list[Any]


def optimized(model: Any, params: Params) -> tuple[Any, Params]:
    """`fnet.optimize(model, params)`, done once for arrays that cannot change; others may, so they stay as they are."""
    items = list(tree.items(params))
    leaves = [leaf for _, leaf in items]
    if any(isinstance(leaf, np.ndarray) and not is_value(leaf) for leaf in leaves):
        return model, params
    key = (backend.name(), id(model), tuple((path, id(leaf)) for path, leaf in items))
    known = _known.get(key)
    if known is None:
        made, new = rewrites.optimize(model, params)
        numbers = {id(leaf): _Place(number) for number, leaf in enumerate(leaves)}
        new = tree.map(lambda leaf: numbers.get(id(leaf), leaf), new)
        known = _known[key] = _Known(model, made, new, [_watch(leaf, key) for leaf in leaves])
        if len(_known) > _LIMIT:
            _known.pop(next(iter(_known)), None)
    return known.model, tree.map(lambda leaf: leaves[leaf.number] if isinstance(leaf, _Place) else leaf, known.params)


def _watch(leaf: Any, key: Any) -> Any:
    """A weak reference to an array, with which the entry goes; what is no array is kept."""
    is_watched = hasattr(leaf, "__array__") and not isinstance(leaf, np.generic)
    return weakref.ref(leaf, lambda _: _known.pop(key, None)) if is_watched else leaf
