"""`fnet.optimize` remembered, for the very arrays that it was done for."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnet import backend, rewrites, tree
from fnet.inference.device import is_value, on_device
from fnet.types import Params

_LIMIT = 8
"""How many models are remembered."""

_known: dict[Any, _Known] = {}
"""{(backend, id of the model, whether optimised, names and ids of the params): what came of them}, the oldest first."""


@dataclass(frozen=True)
class _Place:
    """A leaf of the optimised params that is a leaf of the given ones: its number among them."""

    number: int


@dataclass(frozen=True)
class _Known:
    """What `optimize` gave. It keeps the model alive, and no array that was given: it goes when the first of them does.

    params: the optimised params, with a `_Place` for each array that was given; ids: of those arrays.
    """

    given: Any
    model: Any
    params: Params
    ids: frozenset[int]
    watched: list[Any]


def optimized(model: Any, params: Params, optimize: bool = True) -> tuple[Any, Params]:
    """(model, params) to run: optimised if asked for, the params on the device.

    It is done once for arrays that cannot change; where any can, the model stays as it is.
    """
    leaves: list[Any] = []
    key = (backend.name(), id(model), optimize, *_signature(params, leaves))
    written = {id(leaf) for leaf in leaves if isinstance(leaf, np.ndarray) and not is_value(leaf)}
    if written:
        for other in [k for k, known in _known.items() if not written.isdisjoint(known.ids)]:
            _known.pop(other, None)
        return model, tree.map(on_device, params)
    known = _known.get(key)
    if known is None:
        made, new = rewrites.optimize(model, params) if optimize else (model, params)
        numbers = {id(leaf): _Place(number) for number, leaf in enumerate(leaves)}
        new = tree.map(lambda leaf: numbers.get(id(leaf), leaf), tree.map(on_device, new))
        known = _known[key] = _Known(
            model, made, new, frozenset(map(id, leaves)), [_watch(leaf, key) for leaf in leaves]
        )
        if len(_known) > _LIMIT:
            _known.pop(next(iter(_known)), None)
    return known.model, tree.map(lambda leaf: leaves[leaf.number] if isinstance(leaf, _Place) else leaf, known.params)


def _signature(params: Any, leaves: list[Any]) -> list[Any]:
    """Names and ids that tell a tree of params from any other that is alive; its leaves are added to `leaves`."""
    names: list[Any] = []
    for name, item in params.items() if isinstance(params, Mapping) else enumerate(params):
        names.append(name)
        if isinstance(item, Mapping | list | tuple):
            names += [_Place, *_signature(item, leaves), _Place]
        elif item is not None:
            leaves.append(item)
            names.append(id(item))
    return names


def _watch(leaf: Any, key: Any) -> Any:
    """A weak reference to an array, with which the entry goes; what is no array is kept."""
    is_watched = hasattr(leaf, "__array__") and not isinstance(leaf, np.generic)
    return weakref.ref(leaf, lambda _: _known.pop(key, None)) if is_watched else leaf
