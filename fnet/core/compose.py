"""Composition: running steps one after the other (`sequential`) and as a graph of named nodes (`graph`).

Both make frozen records with the call of a layer, equal and hashable by value, so that everything nests. What a
layer is, and `bind`, are in `fnet.core.layer`; their names are here too.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from fnet.core.layer import Bound, Rules, bind, compute_dtype, in_floats, layer, name_of, option_names, rules
from fnet.core.sources import describe, feed, references, resolve
from fnet.errors import InvalidInput
from fnet.masks import strip
from fnet.tree import freeze
from fnet.types import Params

__all__ = [
    "EMPTY",
    "Bound",
    "Graph",
    "Node",
    "Rules",
    "Sequential",
    "Step",
    "Tap",
    "bind",
    "compute_dtype",
    "graph",
    "in_floats",
    "layer",
    "option_names",
    "rules",
    "run",
    "sequential",
]

Tap: TypeAlias = Callable[[str, Any], None]
"""Called with (path, value) for every step that a model runs."""

EMPTY: Params = {}


class Step(Protocol):
    """Anything that composes: a layer function, a bound layer, a model."""

    def __call__(self, params: Params, x: Any, /) -> Any: ...


# --- running one step -----------------------------------------------------------------------------


def run(step: Step, params: Params, x: Any, tap: Tap | None = None, path: str = "") -> Any:
    """`step(params, x)` with masks kept on the result, as combinators and wrapper layers need it."""
    return step.flow(params, x, tap, path) if isinstance(step, Sequential | Graph) else step(params, x)


def _run_named(name: str, step: Step, params: Params, x: Any, tap: Tap | None, path: str) -> Any:
    try:
        y = run(step, params, x, tap, f"{path}{name}/")
    except Exception as error:  # whatever it is, it goes on as it is, with a note of where it was raised
        label = name_of(step.function) if isinstance(step, Bound) else type(step).__name__
        label = step.__name__ if inspect.isfunction(step) else label
        error.add_note(f"in {path + name!r}: {label}() got {describe(x)}, params {describe(params)}")
        raise
    if tap is not None:
        tap(path + name, strip(y))
    return y


def _require_params(params: Any, x: Any) -> None:
    """The arguments of a model are (params, x)."""
    if not isinstance(params, Mapping):
        swapped = "; the order is model(params, x)" if isinstance(x, Mapping) else ""
        raise InvalidInput(f"a model takes (params, x): a dict of arrays first; got {describe(params)}{swapped}")


# --- sequential -----------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Sequential:
    """Steps one after the other; its params are a dict with the step names as keys. Made by `sequential`."""

    steps: tuple[tuple[str, Any], ...]

    def flow(self, params: Params, x: Any, tap: Tap | None = None, path: str = "") -> Any:
        """The result with its mask."""
        for name, step in self.steps:
            x = _run_named(name, step, params.get(name, EMPTY), x, tap, path)
        return x

    def __call__(self, params: Params, x: Any) -> Any:
        _require_params(params, x)
        return strip(self.flow(params, x))

    def __getitem__(self, key: str | int | slice) -> Any:
        """A step by name or position, or, for a slice of names or positions (stop excluded), a model.

        A step inside a nested model is named by its path, "block/conv".
        """
        if any(isinstance(k, str) and k not in self.names for k in _keys(key)):
            return _inside(self, key)
        if not isinstance(key, slice):
            return self.steps[self._position(key)][1]
        start, stop = (None if k is None else self._position(k) for k in (key.start, key.stop))
        return Sequential(self.steps[start : stop : key.step])

    def _position(self, key: str | int) -> int:
        names = self.names
        return names.index(key) if isinstance(key, str) else key

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps."""
        return tuple(name for name, _ in self.steps)

    def __repr__(self) -> str:
        if all(name.isidentifier() for name in self.names):
            return f"sequential({', '.join(f'{name}={name_of(step)}' for name, step in self.steps)})"
        return "sequential({" + ", ".join(f"{name!r}: {name_of(step)}" for name, step in self.steps) + "})"


def sequential(*steps: Any, **named: Any) -> Sequential:
    """Compose steps: `sequential(conv=bind(conv2d, padding="same"), pool=max_pooling2d)`.

    Takes steps by keyword; or positional ones, which get Keras-like names (`conv2d`, `conv2d_1`); or one
    mapping {name: step}, or one iterable of (name, step), for names that are no identifiers.
    Raises TypeError for a step that cannot be called and ValueError for a name used twice.
    """
    if len(steps) == 1 and isinstance(steps[0], Mapping):
        pairs = list(steps[0].items())
    elif len(steps) == 1 and not callable(steps[0]):
        pairs = [(name, step) for name, step in steps[0]]
    else:
        pairs = list(_numbered(steps))
    return Sequential(tuple(_checked([*pairs, *named.items()])))


def _numbered(steps: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for step in steps:
        function = step.function if isinstance(step, Bound) else step
        base = function.__name__ if inspect.isfunction(function) else type(step).__name__.lower()
        count = seen[base] = seen.get(base, -1) + 1
        yield (f"{base}_{count}" if count else base), step


def _checked(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    seen = set()
    for name, step in pairs:
        if not isinstance(name, str) or not callable(step):
            raise TypeError(f"a step is (name, callable); got ({name!r}, {step!r})")
        if name in seen:
            raise ValueError(f"two steps are named {name!r}; names are keys of the params, so each is used once")
        seen.add(name)
        yield name, step


# --- graph ----------------------------------------------------------------------------------------


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


@dataclass(frozen=True, repr=False)
class Graph:
    """Named nodes with named sources. Made by `graph`."""

    nodes: tuple[tuple[str, Node], ...]
    inputs: Any
    outputs: Any

    @functools.cached_property
    def _last_use(self) -> dict[str, tuple[str, ...]]:
        """{node: values that nobody reads after it}, so that memory is given back early."""
        last = {name: reader for reader, node in self.nodes for name in references(node.sources)}
        kept = set(references(self.outputs))
        dead: dict[str, tuple[str, ...]] = {}
        for name, reader in last.items():
            if name not in kept:
                dead[reader] = (*dead.get(reader, ()), name)
        return dead

    def flow(self, params: Params, x: Any, tap: Tap | None = None, path: str = "") -> Any:
        """The result with its masks."""
        values = feed(self.inputs, x)
        for name, node in self.nodes:
            entry = params.get(node.params or name, EMPTY)
            got = values[name] if node.sources is None else resolve(node.sources, values)
            values[name] = _run_named(name, node.step, entry, got, tap, path)
            for dead in self._last_use.get(name, ()):
                del values[dead]
        return resolve(self.outputs, values)

    def __call__(self, params: Params, x: Any) -> Any:
        _require_params(params, x)
        return strip(self.flow(params, x))

    def __getitem__(self, key: str | int | slice) -> Any:
        """The step of a node by name or position, or, for a slice (stop excluded), a model: see `fnet.cut`.

        A step inside a nested model is named by its path, "block/conv".
        """
        return self.nodes[key][1].step if isinstance(key, int) else _inside(self, key)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return tuple(name for name, _ in self.nodes)

    def __repr__(self) -> str:
        nodes = ", ".join(f"{name!r}: {node!r}" for name, node in self.nodes)
        return f"graph({{{nodes}}}, inputs={self.inputs!r}, outputs={self.outputs!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.nodes, self.inputs, self.outputs)


def _keys(key: Any) -> tuple[Any, ...]:
    return (key.start, key.stop) if isinstance(key, slice) else (key,)


def _inside(model: Any, key: Any) -> Any:
    """A step at a path, or the part of a model between two."""
    cutting = importlib.import_module("fnet.core.cutting")  # which knows of shapes, as composition does not
    if not isinstance(key, slice):
        return cutting.step_at(model, key)
    if key.step is not None:
        raise ValueError(f"a slice of a model has no step; got {key.step!r}")
    return cutting.between(model, key.start, key.stop)


def graph(nodes: Mapping[str, Any] = EMPTY, /, *, inputs: Any, outputs: Any, **named: Any) -> Graph:
    """Compose a DAG: `graph(inputs="x", h=(bind(dense, units=3), "x"), y=(add, ("h", "x")), outputs="y")`.

    A node is `(step, sources)` or `(step, sources, params name)`; nodes with one params name share weights.
    Sources, `inputs` and `outputs` are trees (tuples, lists, dicts) of node names; a source may also be
    `at(name, index)`, `masked_by(values, mask)`, or a number. A node given as a bare step under the name of
    an input processes what is fed there (as `input_layer` does).
    Raises ValueError for a source that no earlier node or input gives.
    """
    built = Graph(tuple(_checked_nodes({**nodes, **named})), freeze(inputs), freeze(outputs))
    known = set(references(built.inputs))
    for name, node in built.nodes:
        wanted = references(node.sources) if node.sources is not None else [name]
        _need(name, wanted, known)
        known.add(name)
    _need("outputs", references(built.outputs), known)
    return built


def _checked_nodes(nodes: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    for name, value in nodes.items():
        node = value if isinstance(value, Node) else Node(*value) if isinstance(value, tuple) else Node(value)
        if not callable(node.step):
            raise TypeError(f"node {name!r} is not (step, sources): {value!r}")
        yield name, Node(node.step, freeze(node.sources), node.params)


def _need(name: str, wanted: Iterable[str], known: set[str]) -> None:
    for source in wanted:
        if source not in known:
            raise ValueError(
                f"{name!r} reads {source!r}, which is neither an input nor an earlier node; "
                f"known here: {', '.join(sorted(known))}"
            )
