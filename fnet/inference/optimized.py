"""`optimized`: the result of `fnet.optimize`, remembered for the same arrays."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from fnet import backend, rewrites, tree
from fnet.backend import ops
from fnet.core.diagnosis import require_arrays
from fnet.inference.compile import Compiled, may_be_constants
from fnet.inference.device import is_value, on_device, require_values, twin
from fnet.inference.in_predict import in_predict
from fnet.inference.string_split import split_numbers
from fnet.latest import Latest
from fnet.records import NamedTuple, dataclass
from fnet.types import Params

_programs: Latest[Any, Remembered] = Latest(8)
"""{(backend, id of the model, whether optimised, structure and ids of the params): the program}."""

_CALLS = 64
"""How many kinds of calls a program remembers."""


class Program(NamedTuple):
    """A model and params to run."""

    model: Any
    params: Params
    run: Compiled | None
    """The model compiled with these params as constants, where that is faster."""
    calls: Latest[Any, Any]
    """{kind of call: `Again`} for `predict`; always empty where params can change."""
    host: Any = None
    """The layers in front of the model that turn texts into numbers, or None."""
    remembered: Remembered | None = None
    """Where it is kept for the next call, if it is."""


class _Place(int):
    """Replaces a leaf of the optimised params that is one of the given arrays, by its index."""


@dataclass(frozen=True)
class Remembered:
    """A program for the next call with the same arrays.

    It keeps the model alive, so that its id stays unique, and none of the given arrays: the params of the program hold
    twins of them or, where there can be none, a `_Place`. When one of the arrays is collected, it is forgotten.

    structure, watched: of the given params; each of `watched` gives a leaf, or None once that is collected.
    """

    key: Any
    given_model: Any
    program: Program
    has_places: bool
    structure: Any
    watched: list[Callable[[], Any]]

    def filled(self, leaves: list[Any]) -> Program:
        """The program with the given arrays."""
        params = _filled(self.program.params, leaves) if self.has_places else self.program.params
        return self.program._replace(params=params, remembered=self)

    def params_of(self, params: Params) -> Params | None:
        """The params of the program for these, None where they are others than those that it was made of."""
        leaves, structure = ops.flatten(params)
        if structure != self.structure or not all(map(operator.is_, leaves, map(operator.call, self.watched))):
            return None
        _programs.find(self.key)  # now the most recently used
        return _filled(self.program.params, leaves) if self.has_places else self.program.params


def optimized(model: Any, params: Params, optimize: bool = True) -> Program:
    """The program to run: optimised if `optimize`, the params on the device.

    It is made once for arrays that cannot change; where one can, the model stays as it is.
    """
    leaves, structure = ops.flatten(params)
    if any(map(tree.container, {*map(type, leaves)})):
        leaves, structure = tree.flatten(params)
    key = (backend.name(), id(model), optimize, structure, *map(id, leaves))
    remembered = _programs.find(key)
    if remembered is not None:
        return remembered.filled(leaves)
    if not {*map(type, leaves)}.isdisjoint((int, float)):
        require_arrays(params)
    if not all(map(is_value, leaves)):
        require_values(new := tree.map(on_device, params))
        return Program(in_predict(model), new, None, Latest(0))
    program = _program(model, params, leaves, optimize)
    watched = [_watch(leaf, key) for leaf in leaves]
    has_places = any(isinstance(leaf, _Place) for leaf in tree.leaves(program.params))
    return _programs.keep(key, Remembered(key, model, program, has_places, structure, watched)).filled(leaves)


def _program(model: Any, params: Params, leaves: list[Any], optimize: bool) -> Program:
    """The program for these params, with stand-ins for the given arrays that are still in it."""
    model = in_predict(model)
    faster, new = rewrites.optimize(model, params) if optimize else (model, params)
    host, faster = split_numbers(faster)
    stand_ins = {id(leaf): _stand_in(leaf, number) for number, leaf in enumerate(leaves)}
    require_values(new := tree.map(on_device, new))
    new = tree.map(lambda leaf: stand_ins.get(id(leaf), leaf), new)
    run = Compiled(faster, new) if may_be_constants(params, new) else None
    return Program(faster, new, run, Latest(_CALLS), host)


def _stand_in(leaf: Any, number: int) -> Any:
    """What replaces a given array in memory."""
    return twin(leaf) if isinstance(leaf, np.ndarray) and leaf.size else _Place(number)


def _filled(item: Any, leaves: list[Any]) -> Any:
    """A tree of params with the given arrays in place of every `_Place`."""
    if item.__class__ is dict:
        return {key: _filled(part, leaves) for key, part in item.items()}
    if item.__class__ is np.ndarray:
        return item
    return tree.map(lambda part: leaves[part] if part.__class__ is _Place else part, item)


def _watch(leaf: Any, key: Any) -> Callable[[], Any]:
    """A weak reference to an array that forgets its program with it; anything else is kept."""
    is_watched = hasattr(leaf, "__array__") and not isinstance(leaf, np.generic)
    return weakref.ref(leaf, lambda _: _programs.pop(key, None)) if is_watched else lambda: leaf
