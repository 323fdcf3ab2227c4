"""Models cut at named steps: `cut`, slices of models, and the params that a part of a model reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.compose import EMPTY, Graph, Node, Sequential, bind, rules
from fnet.core.sources import Ref, at, masked_by, references
from fnet.tree import freeze
from fnet.types import Params, Spec

OWN = ""
"""Stands for what a model itself gives, among the values that are wanted of it."""


def cut(model: Any, *, inputs: Any = None, outputs: Any = None) -> Any:
    """The part of a model between named steps, as a model; what it does not need is left out.

    inputs: steps whose values are given instead of computed; None: the inputs of the model. outputs: steps whose
    values are wanted; None: the outputs of the model. Both are a name, or a tuple, list or dict of names; a step of
    a nested model is named by its path, "block/conv", as in `fnet.activations`.

    The params of the whole model serve as they are; `pruned` gives those that are read. Steps keep their names.
    Where the model says what it takes, so does the part. A mask does not pass a cut: give `Masked(values, mask)`.
    `model["a":"b"]` says the same by what steps read: from what `a` reads to what `b` reads, so that, as in every
    slice, `a` is in it and `b` is not.

    Raises KeyError for a name that the model does not have; ValueError where the outputs also need what comes before
    the cut, or need nothing of what is given.

    >>> import fnet
    >>> model = fnet.sequential(a=fnet.bind(fnet.dense, units=3), b=fnet.flatten, c=fnet.bind(fnet.dense, units=2))
    >>> fnet.cut(model, inputs="a", outputs="c").names
    ('b', 'c')
    """
    _require_model(model)
    given = list(dict.fromkeys(tree.leaves(inputs)))
    wanted = [OWN] if outputs is None else tree.leaves(outputs)
    if isinstance(model, Sequential) and (row := _row(model, inputs, outputs)):
        return Sequential(row)
    part = _part(_as_graph(model), given, wanted)
    ends = iter(part.outputs)
    made = next(ends) if outputs is None else tree.map(lambda _: next(ends), outputs)
    taken = part.inputs if inputs is None else freeze(inputs)
    return Graph((*_input_layers(model, given), *part.nodes), taken, freeze(made))


def between(model: Any, start: str | int | None, stop: str | int | None) -> Any:
    """`model[start:stop]`: from what `start` reads to what `stop` reads; None: an end of the model."""
    given: list[str] = []
    if start is not None and (read := _read_by(model, start)) is not None:
        given = list(dict.fromkeys(name for name in references(read)))
        if not given:
            raise ValueError(f"{start!r} reads nothing, so no model can begin with it")
    whole = _as_graph(model)
    if stop is None:
        part = _part(whole, given, [OWN])
        outputs = part.outputs[0]
    else:
        read = _read_by(model, stop)
        if read is None:
            raise ValueError(f"{stop!r} is an input, so no model can end before it")
        leaves = _leaves(read)
        names = [leaf if isinstance(leaf, str) else leaf.node for leaf in leaves]
        part = _part(whole, given, names)
        ends = {leaf: _beneath(end, leaf) for leaf, end in zip(leaves, part.outputs, strict=True)}
        outputs = _mapped(read, ends)
    inputs = part.inputs if not given else given[0] if len(given) == 1 else tuple(given)
    return Graph((*_input_layers(model, given), *part.nodes), inputs, freeze(outputs))


def pruned(model: Any, params: Params) -> Params:
    """The entries of `params` that a model reads: those of a part, out of those of the whole.

    Layers keep all of theirs. What is missing stays missing (`fnet.check` tells).
    """
    if not isinstance(model, Sequential | Graph):
        return params
    kept: dict[str, Any] = {}
    for key, step in _entries(model):
        if key in params:
            kept[key] = _joined(kept.get(key, EMPTY), pruned(step, params[key]))
    return kept


def step_at(model: Any, path: str) -> Any:
    """The step at a path such as "block/conv"."""
    name, rest = _split(model, path)
    step = dict(_steps(model))[name]
    return step if rest is None else step_at(step, rest)


# --- names ------------------------------------------------------------------------------------------


def _require_model(model: Any) -> None:
    if not isinstance(model, Sequential | Graph):
        raise TypeError(f"only models have named steps to cut at; got {model!r:.80}")


def _steps(model: Any) -> list[tuple[str, Any]]:
    return list(model.steps) if isinstance(model, Sequential) else [(name, node.step) for name, node in model.nodes]


def _split(model: Any, path: str) -> tuple[str, str | None]:
    """("block", "conv") of "block/conv"; names of steps may themselves contain a "/"."""
    steps = dict(_steps(model))
    names = {*steps, *(references(model.inputs) if isinstance(model, Graph) else ())}
    if path in names:
        return path, None
    for name, step in steps.items():
        if isinstance(path, str) and path.startswith(f"{name}/"):
            if not isinstance(step, Sequential | Graph):
                raise KeyError(f"{name!r} is a layer and has no steps inside, so there is no {path!r}")
            rest = path.removeprefix(f"{name}/")
            _split(step, rest)
            return name, rest
    raise KeyError(f"no step {path!r}; the steps are {', '.join(steps)}")


def _as_graph(model: Any) -> Graph:
    """A sequential model as a graph with the same names."""
    _require_model(model)
    if isinstance(model, Graph):
        return model
    names = model.names
    if not names:
        raise ValueError("a model without steps has nothing to cut")
    first = model.steps[0][1]
    takes = not isinstance(first, Sequential | Graph) and infer.input_spec(first) is not None
    begin = names[0] if takes else next(name for name in ("input", "input_of_model") if name not in names)
    read = [None if takes else begin, *names]
    nodes = tuple((name, Node(step, source)) for (name, step), source in zip(model.steps, read, strict=False))
    return Graph(nodes, begin, names[-1])


def _row(model: Sequential, inputs: Any, outputs: Any) -> tuple[tuple[str, Any], ...]:
    """The steps of a sequential model after `inputs` up to `outputs`, where those are steps of its own."""
    if not all(end is None or end in model.names for end in (inputs, outputs) if not isinstance(end, dict | list)):
        return ()
    if isinstance(inputs, dict | list | tuple) or isinstance(outputs, dict | list | tuple):
        return ()
    first = 0 if inputs is None else model.names.index(inputs) + 1
    return model.steps[first : None if outputs is None else model.names.index(outputs) + 1]


def _read_by(model: Any, step: str | int) -> Any:
    """The sources of a step, its names as paths from `model`; None for an input."""
    whole = _as_graph(model)
    name, rest = _split(whole, whole.names[step] if isinstance(step, int) else step)
    nodes = dict(whole.nodes)
    if rest is None:
        return nodes[name].sources if name in nodes else None
    inside = _read_by(nodes[name].step, rest)
    return None if inside is None else _mapped(inside, lambda leaf: _within(name, leaf))


def _within(name: str, leaf: Any) -> Any:
    return f"{name}/{leaf}" if isinstance(leaf, str) else Ref(f"{name}/{leaf.node}", leaf.path)


# --- trees of sources -------------------------------------------------------------------------------


def _leaves(sources: Any) -> list[Any]:
    """The names and elements in a tree of sources."""
    found: dict[Any, None] = {}
    _mapped(sources, lambda leaf: found.setdefault(leaf))
    return list(found)


def _mapped(sources: Any, function: Any) -> Any:
    """`function` (or the mapping) on every name and element in a tree of sources; constants stay."""
    if isinstance(sources, str | Ref):
        return function[sources] if isinstance(function, Mapping) else function(sources)
    if isinstance(sources, masked_by):
        return masked_by(_mapped(sources.values, function), _mapped(sources.mask, function))
    if isinstance(sources, Mapping):
        return {key: _mapped(item, function) for key, item in sources.items()}
    if isinstance(sources, tree.FrozenList):
        return [_mapped(item, function) for item in sources]
    return tuple(_mapped(item, function) for item in sources) if isinstance(sources, tuple) else sources


def _beneath(end: Any, leaf: Any) -> Any:
    """The element that `leaf` names of what is now at `end`."""
    if isinstance(leaf, str):
        return end
    return at(end, *leaf.path) if isinstance(end, str) else at(end.node, *end.path, *leaf.path)


# --- parts ------------------------------------------------------------------------------------------


@dataclass
class _Cut:
    """What is given and wanted of a graph, by node."""

    graph: Graph
    fed: dict[str, list[str | None]] = field(default_factory=dict)
    """{node: what of it is given: None for its value, or paths inside it}."""
    asked: dict[str, list[str | None]] = field(default_factory=dict)
    """{node: what of it is wanted}."""

    def ask(self, name: str, rest: str | None = None) -> None:
        """Want a value, and with it what it is computed from."""
        waiting = [(name, rest)]
        nodes = dict(self.graph.nodes)
        while waiting:
            name, rest = waiting.pop()
            new = name not in self.asked
            wanted = self.asked.setdefault(name, [])
            if rest not in wanted:
                wanted.append(rest)
            if new and name not in self.fed and name in nodes:
                waiting += [(source, None) for source in references(nodes[name].sources)]

    def is_changed(self, name: str) -> bool:
        """Whether a node's step is a part of what it was, and gives a tuple of what is wanted of it."""
        inside = [rest for rest in (*self.fed.get(name, ()), *self.asked[name]) if rest is not None]
        return bool(inside)

    def source(self, name: str, rest: str | None = None) -> str | Ref:
        """Where a value is in the part."""
        return at(name, self.asked[name].index(rest)) if self.is_changed(name) else name

    def leaf(self, leaf: str | Ref) -> str | Ref:
        """A source of the whole as one of the part."""
        name = leaf if isinstance(leaf, str) else leaf.node
        found: str | Ref = _beneath(self.source(name), leaf)
        return found

    def node(self, name: str, node: Node) -> Node:
        """A node of the whole as one of the part."""
        if not self.is_changed(name):
            return replace(node, sources=freeze(_mapped(node.sources, self.leaf)))
        inside = [rest for rest in self.fed.get(name, ()) if rest is not None]
        wanted = [OWN if rest is None else rest for rest in self.asked[name]]
        part = _part(_as_graph(node.step), inside, wanted)
        step = Graph(part.nodes, tuple(inside) if inside else part.inputs, part.outputs)
        sources = tuple(f"{name}/{rest}" for rest in inside) if inside else _mapped(node.sources, self.leaf)
        return Node(step, freeze(sources), node.params)


def _part(graph: Graph, given: list[str], wanted: list[str]) -> Graph:
    """What leads from the given steps, or without any from the inputs, to the wanted ones; a tuple of these."""
    found = _Cut(graph)
    for path in given:
        name, rest = _split(graph, path)
        found.fed.setdefault(name, []).append(rest)
    places = [None if path == OWN else _split(graph, path) for path in wanted]
    for place in places:
        for name, rest in [(name, None) for name in references(graph.outputs)] if place is None else [place]:
            found.ask(name, rest)
    _require_reached(found, given)
    reached = [name for name in references(graph.inputs) if name in found.asked and name not in found.fed]
    if given and reached:
        raise ValueError(_also_needs(found, given, reached))
    nodes = []
    for name, node in graph.nodes:
        if name in found.asked and None not in found.fed.get(name, ()):
            nodes.append((name, found.node(name, node)))
    ends = tuple(_mapped(graph.outputs, found.leaf) if place is None else found.source(*place) for place in places)
    return Graph(tuple(nodes), tuple(given) if given else _only(graph.inputs, set(reached)), freeze(ends))


def _require_reached(found: _Cut, given: list[str]) -> None:
    unread = [path for path in given if _split(found.graph, path)[0] not in found.asked]
    if unread:
        raise ValueError(f"the outputs need nothing of what {', '.join(map(repr, unread))} gives")


def _also_needs(found: _Cut, given: list[str], reached: list[str]) -> str:
    """The message where what comes before the cut is read past it."""
    start = next((name for name in found.asked if _is_read_late(found, name, reached)), reached[0])
    more = ", ".join(map(repr, [*given, reached[0]]))
    return (
        f"the outputs need more than {', '.join(map(repr, given))}: {start!r} reads the input {reached[0]!r} around "
        f"the cut. Give what comes around it as well, cut(model, inputs=({more}), ...), or cut where everything passes"
    )


def _is_read_late(found: _Cut, name: str, reached: list[str]) -> bool:
    node = dict(found.graph.nodes).get(name)
    return node is not None and bool(set(references(node.sources)) & set(reached))


def _only(inputs: Any, reached: set[str]) -> Any:
    """The structure of the inputs with those that are reached; a single one bare."""
    if isinstance(inputs, str):
        return inputs
    if isinstance(inputs, Mapping):
        return freeze({key: _only(item, reached) for key, item in inputs.items() if reached & set(references(item))})
    kept = [_only(item, reached) for item in inputs if reached & set(references(item))]
    if len(kept) == 1 and len(inputs) > 1:
        return kept[0]
    return freeze(kept) if isinstance(inputs, tree.FrozenList) else tuple(kept)


def _input_layers(model: Any, given: list[str]) -> Iterable[tuple[str, Node]]:
    """Input layers for what is given, where the model says what it takes."""
    takes = infer.input_spec(model) if given else None
    if takes is None:
        return
    input_layer = _first_of_inputs(model)
    rows = {"/".join(map(str, row.path)): row.outputs for row in infer.trace(model, takes)}
    for path in given:
        if isinstance(spec := rows.get(path), Spec):
            yield path, Node(bind(input_layer, shape=spec.shape, dtype=spec.dtype))


def _first_of_inputs(model: Any) -> Any:
    """The function of the first step that says what a model takes."""
    steps = [step for _, step in _steps(model)]
    own = next((s for s in steps if not isinstance(s, Sequential | Graph) and rules(s).takes is not None), None)
    return _first_of_inputs(steps[0]) if own is None else bind(own).function


# --- params -----------------------------------------------------------------------------------------


def _entries(model: Any) -> list[tuple[str, Any]]:
    if isinstance(model, Sequential):
        return list(model.steps)
    return [(node.params or name, node.step) for name, node in model.nodes]


def _joined(a: Any, b: Any) -> Any:
    """Two parts of one params entry together."""
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return b
    return {**a, **{key: _joined(a[key], item) if key in a else item for key, item in b.items()}}
