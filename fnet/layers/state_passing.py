"""States that go from one call of a model to its next, as values, through models of any depth.

`advance` runs a step from the states of the call before. What to do with a layer is the caller's matter: pieces of
sequences (`fnet.streaming`) carry more than the layers that Keras calls stateful (`time_distributed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from fnet.core.compose import EMPTY, Graph, Sequential, run
from fnet.core.sources import feed, resolve
from fnet.types import Params

State: TypeAlias = Mapping[str, Any]
Advance: TypeAlias = Callable[[Any, Params, Any, Any], tuple[Any, Any]]
"""(step, params, x, state) -> (output with masks, state)."""
Ways: TypeAlias = Callable[[Any], Advance | None]
"""How a layer advances; None for one that has no state."""


def advance(step: Any, params: Params, x: Any, state: Any, ways: Ways) -> tuple[Any, Any]:
    """(output with masks, state after) of any step; the state is empty where nothing is carried."""
    if isinstance(step, Sequential):
        return _sequential(step, params, x, state, ways)
    if isinstance(step, Graph):
        return _graph(step, params, x, state, ways)
    way = ways(step)
    return (run(step, params, x), {}) if way is None else way(step, params, x, state)


def _sequential(model: Sequential, params: Params, x: Any, state: State, ways: Ways) -> tuple[Any, dict[str, Any]]:
    after: dict[str, Any] = {}
    for name, step in model.steps:
        x, end = advance(step, params.get(name, EMPTY), x, state.get(name, EMPTY), ways)
        if end:
            after[name] = end
    return x, after


def _graph(model: Graph, params: Params, x: Any, state: State, ways: Ways) -> tuple[Any, dict[str, Any]]:
    """Nodes that share weights have states of their own, so the state is kept by node name."""
    values, after = feed(model.inputs, x), {}
    for name, node in model.nodes:
        got = values[name] if node.sources is None else resolve(node.sources, values)
        entry = params.get(node.params or name, EMPTY)
        values[name], end = advance(node.step, entry, got, state.get(name, EMPTY), ways)
        if end:
            after[name] = end
    return resolve(model.outputs, values), after
