"""Models cut at named steps: `cut`, slices of models, and the params that a part of a model reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any

from fnet import tree
from fnet.core import infer
from fnet.core.diagnosis import require_order
from fnet.core.layer import bind, brief, steps_like
from fnet.core.model import EMPTY, Model, Node
from fnet.core.rules import rules_of
from fnet.core.sources import Ref, at, mapped, references
from fnet.records import dataclass
from fnet.tree import freeze
from fnet.types import Params, Spec

OWN = ""
"""Stands for the output of a model itself where names of steps are asked for."""


def cut(model: Any, *, inputs: Any = None, outputs: Any = None) -> Any:
    """The part of a model between named steps, as a model; what it does not need is left out.

    inputs: steps whose outputs are given instead of computed; None: the inputs of the model. outputs: steps whose
    outputs the part returns; None: the outputs of the model. Both are a name, or a tuple, list or dict of names; a
    step of a nested model is named by its path, "block/conv", as in `fnet.activations`.

    The part takes the params of the whole model; `pruned` selects those that it reads. Steps keep their names.
    If the model declares its inputs, so does the part. Masks do not cross a cut: give `Masked(values, mask)`.
    `model["a":"b"]` cuts at the inputs of steps: from the input of `a` to the input of `b`, so that, as in every
    slice, `a` is included and `b` is not.

    Raises KeyError for an unknown name; ValueError where the outputs also depend on steps before the cut, or do not
    depend on a step in `inputs`.

    >>> import fnet
    >>> model = fnet.sequential(a=fnet.bind(fnet.dense, units=3), b=fnet.flatten, c=fnet.bind(fnet.dense, units=2))
    >>> fnet.cut(model, inputs="a", outputs="c").names
    ('b', 'c')
    """
    if not isinstance(model, Model):
        raise TypeError(f"only models have named steps to cut at; got {brief(model, 80)}")
    starts = list(dict.fromkeys(tree.leaves(inputs)))
    ends = [OWN] if outputs is None else tree.leaves(outputs)
    if model.linear and (row := _row(model, inputs, outputs)) is not None:
        return row
    part = _part(model.as_graph(), starts, ends)
    values = iter(part.outputs)
    structure = next(values) if outputs is None else tree.map(lambda _: next(values), outputs)
    reads = part.inputs if inputs is None else freeze(inputs)
    return replace(part, nodes=(*_input_layers(model, starts), *part.nodes), inputs=reads, outputs=freeze(structure))


def part(model: Any, key: str | int | slice) -> Any:
    """`model[key]`: the step at a path, or, for a slice, the part from the input of `start` to the input of `stop`."""
    if not isinstance(key, slice):
        return _step_at(model, key)
    if key.step is not None:
        raise ValueError(f"a slice of a model has no step; got {key.step!r}")
    return _between(model, key.start, key.stop)


def placed(pairs: tuple[tuple[str, Any], ...], place: int) -> Any:
    """The value at a position among (name, value) pairs. Raises IndexError past the end, which ends a loop."""
    try:
        return pairs[place][1]
    except IndexError:
        raise IndexError(f"no step {place}; the model has {len(pairs)}, from 0") from None


def _between(model: Any, start: str | int | None, stop: str | int | None) -> Any:
    """The part from the input of one step to that of another; None: from the beginning, or to the end."""
    starts: list[str] = []
    if start is not None and (read := _read_by(model, start)) is not None:
        starts = list(dict.fromkeys(name for name in references(read)))
        if not starts:
            raise ValueError(f"{start!r} reads nothing, so no model can begin with it")
    whole = model.as_graph()
    if stop is None:
        part = _part(whole, starts, [OWN])
        outputs = part.outputs[0]
    else:
        read = _read_by(model, stop)
        if read is None:
            raise ValueError(f"{stop!r} is an input, so no model can end before it")
        leaves = _leaves(read)
        names = [at(leaf).node for leaf in leaves]
        part = _part(whole, starts, names)
        ends = {leaf: _beneath(end, leaf) for leaf, end in zip(leaves, part.outputs, strict=True)}
        outputs = mapped(ends.__getitem__, read)
    inputs = part.inputs if not starts else starts[0] if len(starts) == 1 else tuple(starts)
    return replace(part, nodes=(*_input_layers(model, starts), *part.nodes), inputs=inputs, outputs=freeze(outputs))


def pruned(model: Any, params: Params) -> Params:
    """The entries of `params` that a model reads, for a part that was cut out of a larger model.

    Missing entries stay missing; `fnet.check` lists them. A step that the cut turned into an input reads nothing.
    """
    require_order("pruned(model, params)", model, params)
    if not isinstance(model, Model):
        return params
    entries: dict[str, Any] = {}
    for _, key, step in model.entries:
        if key in params and (isinstance(step, Model) or rules_of(step).entrance.takes is None):
            entries[key] = _joined(entries.get(key, EMPTY), pruned(step, params[key]))
    return entries


def _step_at(model: Any, path: Any) -> Any:
    """The step at a path such as "block/conv"."""
    name, rest = _split(model, path)
    step = _steps(model)[name]
    return step if rest is None else _step_at(step, rest)


# --- names ------------------------------------------------------------------------------------------


def _steps(model: Any) -> dict[str, Any]:
    return {name: step for name, _, step in model.entries}


def _split(model: Any, path: str) -> tuple[str, str | None]:
    """("block", "conv") of "block/conv"; names of steps may themselves contain a "/"."""
    steps = _steps(model)
    names = {*steps, *(() if model.linear else references(model.inputs))}
    if path in names:
        return path, None
    for name, step in steps.items():
        if isinstance(path, str) and path.startswith(f"{name}/"):
            if not isinstance(step, Model):
                raise KeyError(f"{name!r} is a layer and has no steps inside, so there is no {path!r}")
            return name, path.removeprefix(f"{name}/")
    raise KeyError(f"no step {path!r}; {steps_like(str(path), steps)}")


def _row(model: Any, inputs: Any, outputs: Any) -> Any:
    """The steps of a sequential model after `inputs` up to `outputs`; None where those are inside nested models."""
    if not all(end is None or (isinstance(end, str) and end in model.names) for end in (inputs, outputs)):
        return None
    first = 0 if inputs is None else model.names.index(inputs) + 1
    steps = model.steps[first : None if outputs is None else model.names.index(outputs) + 1]
    declared = [(name, node.step) for name, node in _input_layers(model, tree.leaves(inputs))]
    return replace(model, steps=(*declared, *steps)) if steps else None


def _read_by(model: Any, step: str | int) -> Any:
    """The sources of a step, with names as paths from `model`; None for an input."""
    whole = model.as_graph()
    name, rest = _split(whole, whole.names[step] if isinstance(step, int) else step)
    nodes = dict(whole.nodes)
    if rest is None:
        return nodes[name].sources if name in nodes else None
    inside = _read_by(nodes[name].step, rest)
    return None if inside is None else mapped(lambda leaf: _within(name, leaf), inside)


def _within(name: str, leaf: Any) -> Any:
    return f"{name}/{leaf}" if isinstance(leaf, str) else Ref(f"{name}/{leaf.node}", leaf.path)


# --- trees of sources -------------------------------------------------------------------------------


def _leaves(sources: Any) -> list[Any]:
    """The names and elements in a tree of sources."""
    leaves: dict[Any, None] = {}
    mapped(leaves.setdefault, sources)
    return list(leaves)


def _beneath(end: Any, leaf: Any) -> Any:
    """The source for the element `leaf` of a value that is now at `end`."""
    return end if isinstance(leaf, str) else at(end, *leaf.path)


# --- parts ------------------------------------------------------------------------------------------


@dataclass
class _Cut:
    """Which values of a graph are given and which are needed, by node."""

    graph: Any
    fed: dict[str, list[str | None]] = field(default_factory=dict)
    """{node: the given values: None for its output, or paths of steps inside it}."""
    needed: dict[str, list[str | None]] = field(default_factory=dict)
    """{node: the needed values, in the same form}."""

    def ask(self, name: str, rest: str | None) -> None:
        """Add a needed value, and all that it is computed from."""
        waiting = [(name, rest)]
        nodes = dict(self.graph.nodes)
        while waiting:
            name, rest = waiting.pop()
            new = name not in self.needed
            paths = self.needed.setdefault(name, [])
            if rest not in paths:
                paths.append(rest)
            if new and name not in self.fed and name in nodes:
                waiting += [(source, None) for source in references(nodes[name].sources)]

    def is_changed(self, name: str) -> bool:
        """Whether a node's step is itself cut, and returns a tuple of the needed values."""
        return any(rest is not None for rest in (*self.fed.get(name, ()), *self.needed[name]))

    def source(self, name: str, rest: str | None = None) -> str | Ref:
        """The source of a value in the part."""
        return at(name, self.needed[name].index(rest)) if self.is_changed(name) else name

    def leaf(self, leaf: str | Ref) -> str | Ref:
        """A source in the whole graph as one in the part."""
        source: str | Ref = _beneath(self.source(at(leaf).node), leaf)
        return source

    def node(self, name: str, node: Node) -> Node:
        """A node of the whole graph as one of the part."""
        if not self.is_changed(name):
            return replace(node, sources=freeze(mapped(self.leaf, node.sources)))
        inside = [rest for rest in self.fed.get(name, ()) if rest is not None]
        paths = [OWN if rest is None else rest for rest in self.needed[name]]
        part = _part(node.step.as_graph(), inside, paths)
        step = replace(part, inputs=tuple(inside)) if inside else part
        sources = tuple(f"{name}/{rest}" for rest in inside) if inside else mapped(self.leaf, node.sources)
        return Node(step, freeze(sources), node.params)


def _part(graph: Any, starts: list[str], ends: list[str]) -> Any:
    """The graph from the steps `starts` (without any: from the inputs) to a tuple of the steps `ends`."""
    cut = _Cut(graph)
    for path in starts:
        name, rest = _split(graph, path)
        cut.fed.setdefault(name, []).append(rest)
    places = [None if path == OWN else _split(graph, path) for path in ends]
    for place in places:
        for name, rest in [(name, None) for name in references(graph.outputs)] if place is None else [place]:
            cut.ask(name, rest)
    _require_reached(cut, starts)
    reached = [name for name in references(graph.inputs) if name in cut.needed and name not in cut.fed]
    if starts and reached:
        raise ValueError(_also_needs(cut, starts, reached))
    nodes = []
    for name, node in graph.nodes:
        if name in cut.needed and None not in cut.fed.get(name, ()):
            nodes.append((name, cut.node(name, node)))
    sources = tuple(mapped(cut.leaf, graph.outputs) if place is None else cut.source(*place) for place in places)
    inputs = tuple(starts) if starts else _only(graph.inputs, set(reached))
    return replace(graph, nodes=tuple(nodes), inputs=inputs, outputs=freeze(sources))


def _require_reached(cut: _Cut, starts: list[str]) -> None:
    unread = [path for path in starts if _split(cut.graph, path)[0] not in cut.needed]
    if unread:
        raise ValueError(f"the outputs need nothing of what {', '.join(map(repr, unread))} gives")


def _also_needs(cut: _Cut, starts: list[str], reached: list[str]) -> str:
    """The message where a step after the cut also reads something before it."""
    start = next((name for name in cut.needed if _is_read_late(cut, name, reached)), reached[0])
    more = ", ".join(map(repr, [*starts, reached[0]]))
    return (
        f"the outputs need more than {', '.join(map(repr, starts))}: {start!r} reads the input {reached[0]!r} around "
        f"the cut. Give what comes around it as well, cut(model, inputs=({more}), ...), or cut where everything passes"
    )


def _is_read_late(cut: _Cut, name: str, reached: list[str]) -> bool:
    node = dict(cut.graph.nodes).get(name)
    return node is not None and bool(set(references(node.sources)) & set(reached))


def _only(inputs: Any, reached: set[str]) -> Any:
    """The structure of the inputs, reduced to the reached ones; a single one stands alone."""
    if isinstance(inputs, str):
        return inputs
    if isinstance(inputs, Mapping):
        return freeze({key: _only(item, reached) for key, item in inputs.items() if reached & set(references(item))})
    parts = [_only(item, reached) for item in inputs if reached & set(references(item))]
    if len(parts) == 1 and len(inputs) > 1:
        return parts[0]
    return freeze(parts) if isinstance(inputs, tree.FrozenList) else tuple(parts)


def _input_layers(model: Any, starts: list[str]) -> Iterable[tuple[str, Node]]:
    """Input layers for the given values, where the model declares its inputs."""
    takes = infer.input_spec(model) if starts else None
    if takes is None:
        return
    input_layer = _first_of_inputs(model)
    rows = {tree.path_name(row.path): row.outputs for row in infer.trace(model, takes)}
    for path in starts:
        if isinstance(spec := rows.get(path), Spec):
            yield path, Node(bind(input_layer, shape=spec.shape, dtype=spec.dtype))


def _first_of_inputs(model: Any) -> Any:
    """The function of the first step that declares an input: `input_layer`."""
    steps = list(_steps(model).values())
    own = next((s for s in steps if not isinstance(s, Model) and rules_of(s).entrance.takes is not None), None)
    return _first_of_inputs(steps[0]) if own is None else bind(own).function


# --- params -----------------------------------------------------------------------------------------


def _joined(a: Any, b: Any) -> Any:
    """Two parts of one params entry, merged."""
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return b
    return {**a, **{key: _joined(a[key], item) if key in a else item for key, item in b.items()}}
