"""What every model is: named steps that run in an order, called as one layer. `fnet.core.compose` makes them.

A model says how its steps follow each other once, in `walk`; running it, tracing shapes through it and carrying
states through it are visits on that walk.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, ClassVar, Protocol, TypeAlias

from fnet import tree
from fnet.backend import ops
from fnet.core.explaining import explained
from fnet.core.layer import Bound, name_of
from fnet.core.rules import rules
from fnet.core.sources import describe, resolve
from fnet.dtypes import WIDE
from fnet.errors import InvalidInput
from fnet.masks import strip
from fnet.records import dataclass
from fnet.shapes import fits
from fnet.types import Params

EMPTY: Params = {}

Tap: TypeAlias = Callable[[str, Any], None]
"""Called with (path, value) for every step that a model runs."""

Visit: TypeAlias = Callable[[str, str, Any, Any], Any]
"""(name, key of the params, step, what it reads) -> what it gives."""

Resolve: TypeAlias = Callable[[Any, Mapping[str, Any]], Any]
"""(sources, {name: value}) -> what is read."""


class Step(Protocol):
    """Anything that composes: a layer function, a bound layer, a model."""

    def __call__(self, params: Params, x: Any, /) -> Any: ...


class Model(ABC):
    """A composition of steps: `(params, x) -> y`, its params a dict with an entry for each step."""

    linear: ClassVar[bool]
    """Whether each step reads what the one before it gives."""

    @property
    @abstractmethod
    def entries(self) -> tuple[tuple[str, str, Any], ...]:
        """(name, key of the params, step) in the order in which they run; steps of one key share weights."""

    @property
    @abstractmethod
    def last_use(self) -> Mapping[str, tuple[str, ...]]:
        """{step: the values that nobody reads after it}, so that memory is given back early."""

    @abstractmethod
    def walk(self, x: Any, visit: Visit, resolve: Resolve = resolve) -> Any:
        """Visit the steps in their order, fed with `x` and with what visits gave; what the outputs are."""

    @abstractmethod
    def inputs_by(self, of: Callable[[Any], Any]) -> Any:
        """What `of` says of the steps that the inputs are fed to, in the structure of the inputs; None: nothing."""

    @abstractmethod
    def as_graph(self) -> Any:
        """The same steps as a graph with the same names."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps."""
        return tuple(name for name, _, _ in self.entries)

    def __call__(self, params: Params, x: Any) -> Any:
        return strip(run(self, params, x))


@dataclass(frozen=True, repr=False)
class Node:
    """A step in a graph: what it runs, its sources, and the params entry (None: its own name)."""

    step: Any
    sources: Any = None
    params: str | None = None

    def __repr__(self) -> str:
        parts = [name_of(self.step), *([repr(self.sources)] if self.sources is not None or self.params else [])]
        parts += [repr(self.params)] if self.params else []
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def run(step: Step, params: Params, x: Any, tap: Tap | None = None) -> Any:
    """`step(params, x)` with the masks of the result, as wrappers around layers need it.

    Raises InvalidInput for params that are no dict, as when the arguments are swapped.
    """
    if not isinstance(params, Mapping):
        swapped = "; the order is model(params, x)" if isinstance(x, Mapping) else ""
        raise InvalidInput(f"a model takes (params, x): a dict of arrays first; got {describe(params)}{swapped}")
    try:
        return ops.exactly(flow, step, ops.native(params), ops.native(x), tap)
    except InvalidInput as error:
        takes = tree.leaves(input_spec(step))
        given = [tuple(getattr(leaf, "shape", ())) for leaf in tree.leaves(strip(x))]
        if len(takes) == len(given) and not all(
            fits(have, spec.shape) for have, spec in zip(given, takes, strict=True)
        ):
            shapes = (", ".join(map(str, each)) for each in ([spec.shape for spec in takes], given))
            error.add_note("the model takes {}; got {}".format(*shapes))
        raise


def input_spec(step: Any) -> Any:
    """The Spec tree that a step itself says it takes (the `input_layer` steps of a model), or None."""
    if isinstance(step, Model):
        return step.inputs_by(input_spec)
    rule = getattr(getattr(step, "function", step), "rules", None) and rules(step).entrance.takes
    return (step if isinstance(step, Bound) else _bound(step)).fill(rule)() if rule else None


def flow(step: Step, params: Params, x: Any, tap: Tap | None = None, path: str = "") -> Any:
    """`run` inside a model or a wrapper layer, where warnings are off and arrays are of native byte order."""
    if isinstance(step, FunctionType):
        step = _bound(step)
    if isinstance(step, Bound):
        return step.by_rules(params, x)
    if not isinstance(step, Model):
        return step(params, x)

    def visit(name: str, key: str, step: Any, x: Any) -> Any:
        entry = params.get(key, EMPTY)
        if type(step) is FunctionType:
            step = _bound(step)
        try:
            if type(step) is not Bound:
                y = flow(step, entry, x, tap, f"{path}{name}/")
            elif getattr(x, "dtype", None) in WIDE:
                y = step.on_floats(entry, x)
            else:
                y = step.by_rules(entry, x)
        except Exception as error:  # whatever it is, it goes on, with a note of where it was raised
            _tell(error, path + name, step, entry, x)
            raise
        if tap is not None:
            tap(path + name, strip(y))
        return y

    return step.walk(x, visit)


def _tell(error: Exception, path: str, step: Step, params: Params, x: Any) -> None:
    """Note on an error of a step where it was raised. Raises a clearer one where params or input are its cause."""
    clear = error
    if isinstance(step, Bound):
        declared = getattr(step.function, "rules", None)
        clear = explained(step.function, declared, step.all_options if declared else EMPTY, params, x, error)
    label = name_of(step.function) if isinstance(step, Bound) else type(step).__name__
    clear.add_note(f"in {path!r}: {label}() got {describe(x)}, params {describe(params)}")
    if clear is not error:
        raise clear from error


_bound = functools.lru_cache(maxsize=256)(Bound)
"""A layer without options as a step."""
