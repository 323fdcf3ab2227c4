"""States that are passed from one call of a model to the next, as values, at any depth.

`advance` runs a step from the states of the previous call. The caller decides which layers have states: with pieces of
sequences (`fnet.streaming`) more of them do than Keras's stateful layers (`time_distributed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from fnet.core.model import EMPTY, Model, flow
from fnet.types import Params

State: TypeAlias = Mapping[str, Any]
Advance: TypeAlias = Callable[[Any, Params, Any, Any], tuple[Any, Any]]
"""(step, params, x, state) -> (output with masks, state)."""
Ways: TypeAlias = Callable[[Any], Advance | None]
"""How a layer advances; None for one that has no state."""


def advance(step: Any, params: Params, x: Any, state: Any, ways: Ways) -> tuple[Any, Any]:
    """(output with masks, next state) of any step; the state is empty where no layer has one.

    The state has the names of the steps as keys, since steps that share weights do not share states.
    """
    if not isinstance(step, Model):
        way = ways(step)
        return (flow(step, params, x), {}) if way is None else way(step, params, x, state)
    after: dict[str, Any] = {}

    def visit(name: str, key: str, step: Any, x: Any) -> Any:
        y, end = advance(step, params.get(key, EMPTY), x, state.get(name, EMPTY), ways)
        if end:
            after[name] = end
        return y

    return step.walk(x, visit), after
