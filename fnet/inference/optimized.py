"""`fnet.optimize` remembered, for the very arrays that it was done for."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from fnet import backend, rewrites, tree
from fnet.backend import ops
from fnet.inference.compile import Compiled, may_be_constants
from fnet.inference.device import is_value, on_device, twin
from fnet.inference.in_predict import in_predict
from fnet.inference.string_split import split_numbers
from fnet.latest import Latest
from fnet.records import dataclass
from fnet.types import Params

_programs: Latest[Any, _Remembered] = Latest(8)
"""{(backend, id of the model, whether optimised, structure and ids of the params): the program}."""

_CALLS = 64
"""Of how many kinds of calls a program remembers how they go."""


class Program(NamedTuple):
    """A model and params to run."""

    model: Any
    params: Params
    run: Compiled | None
    """It with these params as a part of what is compiled, where that is faster."""
    calls: Latest[Any, Any]
    """What `predict` remembers of calls with these params, by the kind of call; nothing where they can change."""
    host: Any = None
    """What makes, with the same params, the numbers that the model takes of the texts that are given."""


class _Place(int):
    """In place of a leaf of the optimised params that is one of the arrays given: its number among them."""


@dataclass(frozen=True)
class _Remembered:
    """A program for the next call with the same arrays.

    It keeps the model alive, so that its id stays its own, and none of the arrays that were given: in the params of the
    program are twins of them or, for one that can have none, a `_Place`. When one of the arrays goes, it is forgotten.

    watched: weak references to them.
    """

    given_model: Any
    program: Program
    has_places: bool
    watched: list[Any]

    def filled(self, leaves: list[Any]) -> Program:
        """The program with the arrays that were given."""
        return self.program._replace(params=_filled(self.program.params, leaves)) if self.has_places else self.program


def optimized(model: Any, params: Params, optimize: bool = True) -> Program:
    """The program to run: optimised if asked for, the params on the device.

    It is made once for arrays that cannot change; where any can, the model stays as it is.
    """
    leaves, structure = ops.flatten(params)
    key = (backend.name(), id(model), optimize, structure, *map(id, leaves))
    remembered = _programs.find(key)
    if remembered is not None:
        return remembered.filled(leaves)
    if not all(map(is_value, leaves)):
        return Program(in_predict(model), tree.map(on_device, params), None, Latest(0))
    program = _program(model, params, leaves, optimize)
    return _remember(key, model, program, leaves).filled(leaves)


def _program(model: Any, params: Params, leaves: list[Any], optimize: bool) -> Program:
    """The program for params of these leaves, with stand-ins for those that are in it as they were given."""
    model = in_predict(model)
    faster, new = rewrites.optimize(model, params) if optimize else (model, params)
    host, faster = split_numbers(faster)
    stand_ins = {id(leaf): _stand_in(leaf, number) for number, leaf in enumerate(leaves)}
    new = tree.map(lambda leaf: stand_ins.get(id(leaf), leaf), tree.map(on_device, new))
    run = Compiled(faster, new) if may_be_constants(params, new) else None
    return Program(faster, new, run, Latest(_CALLS), host)


def _stand_in(leaf: Any, number: int) -> Any:
    """What is kept in place of an array that was given."""
    return twin(leaf) if isinstance(leaf, np.ndarray) and leaf.size else _Place(number)


def _remember(key: Any, model: Any, program: Program, leaves: list[Any]) -> _Remembered:
    """Keep a program for the next call."""
    has_places = any(isinstance(leaf, _Place) for leaf in tree.leaves(program.params))
    watched = [_watch(leaf, key) for leaf in leaves]
    return _programs.keep(key, _Remembered(model, program, has_places, watched))


def _filled(item: Any, leaves: list[Any]) -> Any:
    """A tree of params with the arrays that were given at their places."""
    if item.__class__ is dict:
        return {key: _filled(part, leaves) for key, part in item.items()}
    if item.__class__ is np.ndarray:
        return item
    return tree.map(lambda part: leaves[part] if part.__class__ is _Place else part, item)


def _watch(leaf: Any, key: Any) -> Any:
    """A weak reference to an array, with which its program goes; what is no array is kept."""
    is_watched = hasattr(leaf, "__array__") and not isinstance(leaf, np.generic)
    return weakref.ref(leaf, lambda _: _programs.pop(key, None)) if is_watched else leaf
