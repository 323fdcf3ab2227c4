"""`fnet.optimize` remembered, for the very arrays that it was done for."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fnet import backend, rewrites, tree
from fnet.backend import ops
from fnet.inference.compile import Compiled, may_be_constants
from fnet.inference.device import is_fixed, is_value, on_device, twin
from fnet.records import dataclass
from fnet.types import Params

_LIMIT = 8
"""How many models are remembered."""

_known: dict[Any, _Known] = {}
"""{(backend, id of the model, whether optimised, structure and ids of the params): what came of them}, oldest first."""


class Program(NamedTuple):
    """A model and params to run."""

    model: Any
    params: Params
    run: Compiled | None
    """It with these params as a part of what is compiled, where that is faster."""
    calls: dict[Any, Any]
    """What `predict` remembers of calls with these params, by what kind of call it was."""


class _Place(int):
    """A leaf of the optimised params that is a leaf of the given ones: its number among them."""


@dataclass(frozen=True)
class _Known:
    """What `optimize` gave. It keeps the model alive, and no array that was given: it goes when the first of them does.

    made: with twins of the arrays that were given or, where one has none, a `_Place`; places: whether there are any;
    ids: of those arrays; open: the numbers of those that their owner could make writable again.
    """

    given: Any
    made: Program
    places: bool
    ids: frozenset[int]
    open: list[int]
    watched: list[Any]

    def program(self, leaves: list[Any]) -> Program:
        """It with the arrays that were given."""
        return self.made._replace(params=_filled(self.made.params, leaves)) if self.places else self.made


def optimized(model: Any, params: Params, optimize: bool = True) -> Program:
    """The program to run: optimised if asked for, the params on the device.

    It is made once for arrays that cannot change; where any can, the model stays as it is.
    """
    kind = (backend.name(), id(model), optimize)
    leaves, structure = ops.flatten(params)
    if any(issubclass(each, Mapping) for each in {*map(type, leaves)}):  # of a kind that JAX takes for a leaf
        leaves, structure = tree.flatten(params)
    known = _known.get(key := (*kind, structure, *map(id, leaves)))
    if known is not None and all(map(is_value, map(leaves.__getitem__, known.open))):
        return known.program(leaves)
    written = {id(leaf) for leaf in leaves if isinstance(leaf, np.ndarray) and not is_value(leaf)}
    if written:
        for other in [k for k, known in _known.items() if not written.isdisjoint(known.ids)]:
            _known.pop(other, None)
        return Program(model, tree.map(on_device, params), None, {})
    made, new = rewrites.optimize(model, params) if optimize else (model, params)
    may_open = [number for number, leaf in enumerate(leaves) if not is_fixed(leaf)]
    stand_ins = {id(leaf): _stand_in(leaf, number) for number, leaf in enumerate(leaves)}
    new = tree.map(lambda leaf: stand_ins.get(id(leaf), leaf), tree.map(on_device, new))
    watched, places = [_watch(leaf, key) for leaf in leaves], any(isinstance(leaf, _Place) for leaf in tree.leaves(new))
    made = Program(made, new, Compiled(made, new) if may_be_constants(params, new) else None, {})
    known = _known[key] = _Known(model, made, places, frozenset(map(id, leaves)), may_open, watched)
    if len(_known) > _LIMIT:
        _known.pop(next(iter(_known)), None)
    return known.program(leaves)


def _stand_in(leaf: Any, number: int) -> Any:
    """What is kept in place of an array that was given."""
    return twin(leaf) if isinstance(leaf, np.ndarray) and leaf.size and is_fixed(leaf) else _Place(number)


def _filled(item: Any, leaves: list[Any]) -> Any:
    """A tree of params with the arrays that were given at their places."""
    if item.__class__ is dict:
        return {key: _filled(part, leaves) for key, part in item.items()}
    if item.__class__ is np.ndarray:
        return item
    return tree.map(lambda part: leaves[part] if part.__class__ is _Place else part, item)


def _watch(leaf: Any, key: Any) -> Any:
    """A weak reference to an array, with which the entry goes; what is no array is kept."""
    is_watched = hasattr(leaf, "__array__") and not isinstance(leaf, np.generic)
    return weakref.ref(leaf, lambda _: _known.pop(key, None)) if is_watched else leaf
