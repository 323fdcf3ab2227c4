"""Composition: steps one after the other (`sequential`) and as a graph of named nodes (`graph`).

Both make frozen records that are called like a layer, equal and hashable by value, so that everything nests.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fnet.core import cutting, infer
from fnet.core.layer import Bound, bind, brief, name_of, written
from fnet.core.model import EMPTY, Model, Node
from fnet.core.sources import feed, references
from fnet.records import dataclass
from fnet.tree import FrozenDict, FrozenList, freeze


@dataclass(frozen=True, repr=False)
class Sequential(Model):
    """Steps one after the other; its params are a dict with the step names as keys. Made by `sequential`."""

    linear = True
    _repr_html_ = infer.html
    steps: tuple[tuple[str, Any], ...]

    @functools.cached_property
    def nodes(self) -> tuple[tuple[str, Node], ...]:
        """The first step reads the input, every other one the output of the step before it."""
        read = [None, *(name for name, _ in self.steps)]
        return tuple((name, Node(step, source)) for (name, step), source in zip(self.steps, read, strict=False))

    @functools.cached_property
    def inputs(self) -> str:
        """The first step."""
        return self.steps[0][0] if self.steps else ""

    @functools.cached_property
    def outputs(self) -> str:
        """The last step."""
        return self.steps[-1][0] if self.steps else ""

    def feed(self, x: Any) -> dict[str, Any]:
        """The first step gets the input as it is."""
        return {self.inputs: x}

    def __reduce__(self) -> tuple[Any, ...]:
        return Sequential, (self.steps,)

    def as_graph(self) -> Graph:
        """The same model as a graph, with a new input node unless the first step declares what it takes."""
        names = self.names
        if not names:
            raise ValueError("a model without steps has nothing to cut")
        first = self.steps[0][1]
        takes = not isinstance(first, Model) and infer.input_spec(first) is not None
        begin = names[0] if takes else "input"
        while not takes and begin in names:
            begin += "_of_model"
        nodes = self.nodes if takes else ((names[0], Node(first, begin)), *self.nodes[1:])
        return Graph(nodes, begin, names[-1])

    def __getitem__(self, key: str | int | slice) -> Any:
        """A step by name or position, or, for a slice of names or positions (stop excluded), a model.

        A step inside a nested model is named by its path, "block/conv". Raises KeyError for an unknown name,
        IndexError for an unknown position, and ValueError for a slice that ends before it begins.
        """
        place: dict[Any, Any] = {name: i for i, name in enumerate(self.names)}
        ends = (key.start, key.stop) if isinstance(key, slice) else (key,)
        if any(isinstance(end, str) and end not in place for end in ends) or key is None:
            return cutting.part(self, key)
        if not isinstance(key, slice):
            return cutting.placed(self.steps, place.get(key, key))
        start, stop = (place.get(end, end) for end in ends)
        if key.start in place and key.stop in place and stop < start:
            raise ValueError(f"{key.stop!r} comes before {key.start!r}, so no model goes from this one to that one")
        return Sequential(self.steps[start : stop : key.step])

    def __repr__(self) -> str:
        if all(name.isidentifier() for name in self.names):
            return written("sequential", [f"{name}={name_of(step)}" for name, step in self.steps])
        return written("sequential", [f"{name!r}: {name_of(step)}" for name, step in self.steps], ("({", "})"))


def sequential(*steps: Any, **named: Any) -> Sequential:
    """Compose steps: `sequential(conv=bind(conv2d, padding="same"), pool=max_pooling2d)`.

    Takes steps by keyword; or positional ones, which get Keras-like names (`conv2d`, `conv2d_1`); or one
    mapping {name: step}, or one iterable of (name, step), for names that are not identifiers.
    Raises TypeError for a step that cannot be called and ValueError for a name used twice.
    """
    if len(steps) == 1 and isinstance(steps[0], Mapping):
        pairs = list(steps[0].items())
    elif len(steps) == 1 and not callable(steps[0]):
        pairs = list(map(_pair, steps[0] if isinstance(steps[0], Iterable) else steps))
    else:
        pairs = list(_numbered(steps))
    return Sequential(tuple(_checked([*pairs, *named.items()])))


def _pair(item: Any) -> tuple[str, Any]:
    if not isinstance(item, list | tuple) or len(item) != 2:
        hint = "; layers in a list: sequential(*layers)" if callable(item) else ""
        raise TypeError(f"sequential takes layers, or pairs of a name and a layer; got {item!r:.80}{hint}")
    return item[0], item[1]


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
            raise TypeError(f"a step is (name, callable); got ({name!r}, {brief(step)})")
        if name in seen:
            raise ValueError(f"two steps are named {name!r}; names are keys of the params, so each is used once")
        seen.add(name)
        yield name, step


@dataclass(frozen=True, repr=False)
class Graph(Model):
    """Named nodes with named sources. Made by `graph`."""

    linear = False
    _repr_html_ = infer.html
    nodes: tuple[tuple[str, Node], ...]
    inputs: Any
    outputs: Any

    def feed(self, x: Any) -> dict[str, Any]:
        """{input: value}: see `fnet.core.sources.feed`."""
        return feed(self.inputs, x)

    def as_graph(self) -> Graph:
        """Itself."""
        return self

    def __getitem__(self, key: str | int | slice) -> Any:
        """The step of a node by name or position, or, for a slice (stop excluded), a model: see `fnet.cut`.

        A step inside a nested model is named by its path, "block/conv".
        """
        return cutting.placed(self.nodes, key).step if isinstance(key, int) else cutting.part(self, key)

    def __repr__(self) -> str:
        nodes = written("", [f"{name!r}: {node!r}" for name, node in self.nodes], "{}")
        return written("graph", [nodes, f"inputs={self.inputs!r}", f"outputs={self.outputs!r}"])

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.nodes, self.inputs, self.outputs)


def with_each(step: Any, change: Callable[[Any], Any]) -> Any:
    """A model, or a layer that holds others, with `change` applied to each step directly in it."""
    if isinstance(step, Sequential):
        return Sequential(tuple((name, change(inner)) for name, inner in step.steps))
    if isinstance(step, Graph):
        nodes = ((name, replace(node, step=change(node.step))) for name, node in step.nodes)
        return Graph(tuple(nodes), step.inputs, step.outputs)
    bound = bind(step)
    return replace(bound, options=FrozenDict({key: _with_each(item, change) for key, item in bound.options.items()}))


def _with_each(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value of an option, with `change` applied to the steps in it."""
    if isinstance(value, Bound | Model):
        return change(value)
    return type(value)([_with_each(item, change) for item in value]) if type(value) in (tuple, FrozenList) else value


def input_names(step: Any) -> Any:
    """The tree of the input names of a step: those of a graph, "x" for anything else."""
    return step.inputs if isinstance(step, Graph) else "x"


def graph(nodes: Mapping[str, Any] = EMPTY, /, *, inputs: Any, outputs: Any, **named: Any) -> Graph:
    """Compose a DAG: `graph(inputs="x", h=(bind(dense, units=3), "x"), y=(add, ("h", "x")), outputs="y")`.

    A node is `(step, sources)` or `(step, sources, params name)`; nodes with the same params name share weights.
    Sources, `inputs` and `outputs` are trees (tuples, lists, dicts) of node names; a source may also be
    `at(name, index)`, `masked_by(values, mask)`, or a number. A bare step under the name of an input processes that
    input (as `input_layer` does).
    Raises ValueError for a source that is neither an input nor an earlier node, for an input that has sources or is
    processed after a node that reads it, and for a name used twice.
    """
    if twice := nodes.keys() & named.keys():
        raise ValueError(f"two nodes are named {min(twice)!r}")
    built = Graph(tuple(_checked_nodes({**nodes, **named})), freeze(inputs), freeze(outputs))
    fed = frozenset(references(built.inputs))
    if len(fed) < len(references(built.inputs)):
        raise ValueError(f"each input is named once; got {built.inputs!r:.80}")
    names, read = set(fed), set[str]()
    for name, node in built.nodes:
        if name in fed and node.sources is not None:
            raise ValueError(f"{name!r} is an input of the graph, and a node that reads {node.sources!r:.80}")
        if name in read:
            raise ValueError(f"the step of the input {name!r} comes after a node that reads the input; put it first")
        sources = references(node.sources) if node.sources is not None else [name]
        _require_known(name, sources, names)
        names.add(name)
        read.update(sources)
    _require_known("outputs", references(built.outputs), names)
    return built


def _checked_nodes(nodes: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    for name, value in nodes.items():
        node = value if isinstance(value, Node) else Node(*value) if isinstance(value, tuple) else Node(value)
        if not callable(node.step):
            raise TypeError(f"node {name!r} is not (step, sources): {value!r}")
        yield name, Node(node.step, freeze(node.sources), node.params)


def _require_known(reader: str, sources: Iterable[str], names: set[str]) -> None:
    for source in sources:
        if source not in names:
            raise ValueError(
                f"{reader!r} reads {source!r}, which is neither an input nor an earlier node; "
                f"known here: {', '.join(sorted(names))}"
            )
