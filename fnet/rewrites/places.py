"""Where in a model a rewrite applies: at a single step, or at two steps of which only the second reads the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from fnet.core.compose import Graph, Sequential
from fnet.core.layer import Bound, bind
from fnet.core.model import EMPTY, Node
from fnet.core.sources import references
from fnet.types import Array, Params

Rewrite: TypeAlias = Callable[[Any, Params], tuple[Any, Params]]
"""(model, params) -> (model, params)."""

StepRule: TypeAlias = Callable[[Bound, Params], tuple[Bound, Params] | None]
"""(step, its params) -> their replacement, or None."""

PairRule: TypeAlias = Callable[[Bound, Params, Bound, Params], tuple[Bound, Params] | None]
"""(step, its params, the step that reads it, its params) -> the replacement of both, or None."""


def each_step(rule: StepRule) -> Rewrite:
    """The rewrite that applies `rule` to every layer of a model with one input array, at any depth."""

    def rewrite(model: Any, params: Params) -> tuple[Any, Params]:
        if not isinstance(model, Sequential | Graph):
            return rule(bind(model), params) or (model, params)
        return _rebuilt(model, params, rewrite)

    return rewrite


def each_pair(rule: PairRule) -> Rewrite:
    """The rewrite that applies `rule` to every two layers of which only the second reads the first.

    The replacement has the name of the second layer, as it has the same output.
    """

    def rewrite(model: Any, params: Params) -> tuple[Any, Params]:
        if not isinstance(model, Sequential | Graph):
            return model, params
        model, params = _rebuilt(model, params, rewrite)
        merge = _merged_sequential if isinstance(model, Sequential) else _merged_graph
        return merge(model, params, rule)

    return rewrite


def _rebuilt(model: Any, params: Params, rewrite: Rewrite) -> tuple[Any, Params]:
    """A model with `rewrite` applied to each of its steps.

    Left out are layers that share params with another one, and those that read several values, such as a recurrent
    layer with its states.
    """
    steps: dict[str, Any] = {}
    changed: dict[str, Params] = {}
    owned, several = _owned(model), _reading_several(model)
    for name, entry, step in model.entries:
        steps[name] = step
        if entry in owned and name not in several:
            steps[name], new = rewrite(step, params.get(entry, EMPTY))
            if new is not params.get(entry, EMPTY):
                changed[entry] = new
    params = {**params, **changed} if changed else params
    if isinstance(model, Sequential):
        return Sequential(tuple(steps.items())), params
    nodes = tuple((name, Node(steps[name], node.sources, node.params)) for name, node in model.nodes)
    return Graph(nodes, model.inputs, model.outputs), params


def _merged_sequential(model: Sequential, params: Params, rule: PairRule) -> tuple[Any, Params]:
    built: list[tuple[str, Any]] = []
    for name, step in model.steps:
        if built and (merged := _merged_step(rule, built[-1], (name, step), params)) is not None:
            (before, _), step = built.pop(), merged[0]
            params = _replaced(params, before, name, merged[1])
        built.append((name, step))
    return Sequential(tuple(built)), params


def _merged_graph(model: Graph, params: Params, rule: PairRule) -> tuple[Any, Params]:
    readers = Counter(name for _, node in model.nodes for name in references(node.sources))
    readers.update(references(model.outputs))
    owned = _owned(model)
    built: dict[str, Node] = {}
    for name, node in model.nodes:
        before = built.get(node.sources) if isinstance(node.sources, str) else None
        if before is not None and before.sources is not None and readers[node.sources] == 1:
            first, second = before.params or node.sources, node.params or name
            merged = _merged_step(rule, (first, before.step), (second, node.step), params)
            if merged is not None and {first, second} <= owned:
                del built[node.sources]
                node = Node(merged[0], before.sources, node.params)
                params = _replaced(params, first, second, merged[1])
        built[name] = node
    return Graph(tuple(built.items()), model.inputs, model.outputs), params


def _merged_step(
    rule: PairRule, first: tuple[str, Any], second: tuple[str, Any], params: Params
) -> tuple[Bound, Params] | None:
    """The result of `rule` for two (params name, step); None where the second loses the mask that the first keeps."""
    if any(isinstance(step, Sequential | Graph) for _, step in (first, second)):
        return None
    (a, before), (b, after) = ((params.get(name, EMPTY), bind(step)) for name, step in (first, second))
    return None if after.options.get("masks") == "drop" else rule(before, a, after, b)


def read_only(x: Array) -> Array:
    """The new array `x` itself, made read-only on NumPy; JAX's always are."""
    if isinstance(x, np.ndarray):
        x.flags.writeable = False
    return x


def _replaced(params: Params, old: str, name: str, entry: Params) -> Params:
    return {**{key: value for key, value in params.items() if key != old}, name: entry}


def _reading_several(model: Any) -> set[str]:
    """The layers of a graph that read a tuple, list or dict of values."""
    nodes = model.nodes if isinstance(model, Graph) else ()
    several = {name: node.step for name, node in nodes if isinstance(node.sources, tuple | list | Mapping)}
    return {name for name, step in several.items() if not isinstance(step, Sequential | Graph)}


def _owned(model: Any) -> set[str]:
    """The params entries that only one step reads."""
    counts = Counter(entry for _, entry, _ in model.entries)
    return {entry for entry, count in counts.items() if count == 1}
