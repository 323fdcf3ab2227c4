"""What every model is: named steps that run in an order, called as one layer. `fnet.core.compose` makes them.

A model declares how its steps follow each other, in its `nodes`. `flow` runs them; tracing shapes and carrying states
are visits on `walk`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from fnet import tree
from fnet.backend import ops
from fnet.core.diagnosis import diagnosed
from fnet.core.layer import Bound, name_of
from fnet.core.rules import rules_of
from fnet.core.sources import describe, references, resolve
from fnet.dtypes import WIDE
from fnet.errors import InvalidInput
from fnet.masks import strip
from fnet.records import NamedTuple, dataclass
from fnet.shapes import fits
from fnet.types import Params

EMPTY: Params = {}

IN_KERAS = {
    "layers": "model.names", "get_layer": "model[name]", "summary": "fnet.summary(model)", "weights": "params",
    "get_weights": "params", "save": "fnet.save(path, model, params)", "input_shape": "fnet.summary(model)",
    "output_shape": "fnet.summary(model)", "output": "fnet.cut(model, outputs=name)", "to_json": "repr(model)",
}  # fmt: skip
"""{attribute of Keras's models: what it is here}."""

Tap: TypeAlias = Callable[[str, Any], None]
"""Called with (path, value) for every step that a model runs."""

Visit: TypeAlias = Callable[[str, str, Any, Any], Any]
"""(name, params key, step, its input) -> its output."""

Resolve: TypeAlias = Callable[[Any, Mapping[str, Any]], Any]
"""(sources, {name: value}) -> the input that they describe."""


class Step(Protocol):
    """Anything that composes: a layer function, a bound layer, a model."""

    def __call__(self, params: Params, x: Any, /) -> Any: ...


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


class PlannedStep(NamedTuple):
    """One step of a model, with all that running it needs."""

    name: str
    key: str
    """The key of its params."""
    step: Any
    run: Any
    """The step, a layer function as a `Bound`."""
    sources: Any
    unread: tuple[str, ...]
    """Names of the values that no later step reads."""


class Model:
    """A composition of steps: `(params, x) -> y`, its params a dict with an entry for each step."""

    linear: ClassVar[bool]
    """Whether each step reads the output of the one before it."""
    nodes: Any
    """Pairs (name, `Node`) in execution order; nodes with the same params key share weights."""
    inputs: Any
    """The tree of input names, the keys of what `feed` returns."""
    outputs: Any
    """The tree of sources that make up the output."""

    def feed(self, x: Any) -> dict[str, Any]:
        """The input `x` as {name: value}."""
        raise NotImplementedError

    def as_graph(self) -> Any:
        """The same steps as a graph with the same names."""
        raise NotImplementedError

    @functools.cached_property
    def entries(self) -> tuple[tuple[str, str, Any], ...]:
        """(name, params key, step) in execution order."""
        return tuple((name, node.params or name, node.step) for name, node in self.nodes)

    @functools.cached_property
    def plan(self) -> tuple[PlannedStep, ...]:
        """The steps in execution order."""
        last = {read: name for name, node in self.nodes for read in references(node.sources)}
        for read in references(self.outputs):
            last.pop(read, None)
        unread: dict[str, tuple[str, ...]] = {}
        for read, reader in last.items():
            unread[reader] = (*unread.get(reader, ()), read)
        return tuple(
            PlannedStep(
                name,
                node.params or name,
                node.step,
                run=_bound(node.step) if type(node.step) is FunctionType else node.step,
                sources=name if node.sources is None else node.sources,
                unread=unread.get(name, ()),
            )
            for name, node in self.nodes
        )

    def walk(self, x: Any, visit: Visit, resolve: Resolve = resolve) -> Any:
        """The outputs of the model for the input `x`, where `visit` gives the output of each step."""
        values = self.feed(x)
        for name, key, step, _, sources, unread in self.plan:
            x = values[sources] if type(sources) is str else resolve(sources, values)
            values[name] = visit(name, key, step, x)
            for read in unread:
                del values[read]
        return resolve(self.outputs, values)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps."""
        return tuple(name for name, _ in self.nodes)

    def __call__(self, params: Params, x: Any) -> Any:
        return strip(run(self, params, x))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"a model has no {name!r}: functions take it, such as fnet.predict(model, params, x)"
                + (f"; use {IN_KERAS[name]}" if name in IN_KERAS else "; a step is model[name]")
            )


def run(step: Step, params: Params, x: Any, tap: Tap | None = None) -> Any:
    """`step(params, x)`, with the masks still on the result, as wrapper layers need it.

    Raises InvalidInput for params that are not a dict, as when the arguments are swapped.
    """
    if not isinstance(params, dict | Mapping):  # the second alone takes ten times as long to tell
        swapped = "; the order is model(params, x)" if isinstance(x, Mapping) else ""
        raise InvalidInput(f"a model takes (params, x): a dict of arrays first; got {describe(params)}{swapped}")
    try:
        return ops.exactly(flow, step, params, x, tap)
    except InvalidInput as error:
        takes = tree.leaves(input_spec(step))
        shapes_of_x = [tuple(getattr(leaf, "shape", ())) for leaf in tree.leaves(strip(x))]
        if len(takes) == len(shapes_of_x) and not all(
            fits(shape, spec.shape) for shape, spec in zip(shapes_of_x, takes, strict=True)
        ):
            shapes = (", ".join(map(str, each)) for each in ([spec.shape for spec in takes], shapes_of_x))
            error.add_note("the model takes {}; got {}".format(*shapes))
        raise


def input_spec(step: Any) -> Any:
    """The Spec tree of the input as a step declares it (a model by its `input_layer` steps), or None."""
    if isinstance(step, Model):
        first = {name: node.step for name, node in step.nodes if node.sources is None}
        takes = {name: input_spec(first[name]) if name in first else None for name in references(step.inputs)}
        return None if None in takes.values() else resolve(step.inputs, takes)
    rule = getattr(getattr(step, "function", step), "rules", None) and rules_of(step).entrance.takes
    if not rule:
        return None
    bound = step if isinstance(step, Bound) else _bound(step)
    if bound.misfit is not None:
        raise ValueError(f"{name_of(bound.function)}: {bound.misfit}")
    return bound.fill(rule)()


def flow(step: Step, params: Params, x: Any, tap: Tap | None = None, path: str = "") -> Any:
    """`run` inside a model or a wrapper layer, where warnings are off and arrays are of native byte order."""
    if isinstance(step, FunctionType):
        step = _bound(step)
    if isinstance(step, Bound):
        return step.by_rules(params, x)
    if not isinstance(step, Model):
        return step(params, x)

    values = step.feed(x)
    for name, key, _, inner, sources, unread in step.plan:
        entry = params.get(key, EMPTY)
        x = values[sources] if type(sources) is str else resolve(sources, values)
        try:
            if type(inner) is not Bound:
                y = flow(inner, entry, x, tap, f"{path}{name}/")
            elif getattr(x, "dtype", None) in WIDE:
                y = inner.on_floats(entry, x)
            else:
                y = inner.by_rules(entry, x)
        except Exception as error:
            clear = _clear(error, path + name, inner, entry, x)
            if clear is error:
                raise
            raise clear from error
        if tap is not None:
            tap(path + name, strip(y))
        values[name] = y
        for read in unread:
            del values[read]
    return resolve(step.outputs, values)


def _clear(error: Exception, path: str, step: Step, params: Params, x: Any) -> Exception:
    """The error of a step, or a clearer one where options, params or input are the cause, with a note of its place."""
    clear = error
    if isinstance(step, Bound):
        declared = getattr(step.function, "rules", None)
        clear = diagnosed(step.function, declared, step.all_options if declared else EMPTY, params, x, error)
    label = name_of(step.function) if isinstance(step, Bound) else type(step).__name__
    clear.add_note(f"in {path!r}: {label}() got {describe(x)}, params {describe(params)}")
    return clear


_bound = functools.lru_cache(maxsize=256)(Bound)
"""A layer without options as a step."""
