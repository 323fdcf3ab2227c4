"""A list of layers that is one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnet.core import room
from fnet.core.compose import sequential
from fnet.core.infer import infer
from fnet.core.model import EMPTY, flow
from fnet.core.rules import layer
from fnet.types import Params, ParamTree


def _steps(layers: Sequence[Any]) -> dict[str, Any]:
    return {str(position): step for position, step in enumerate(layers)}


def _pipeline_rule(x: Any, *, layers: Sequence[Any]) -> tuple[Any, ParamTree]:
    params = {}
    for name, step in _steps(layers).items():
        x, needed = infer(step, x)
        if needed:
            params[name] = needed
    return x, params


def _room(x: Any, *, layers: Sequence[Any]) -> tuple[int, int]:
    return room.of_step(sequential(_steps(layers)), x)


@layer(shape=_pipeline_rule, room=_room, mask="own", children=lambda *, layers: _steps(layers))
def pipeline(params: Params, x: Any, *, layers: Sequence[Any]) -> Any:
    """`layers`, steps, one after the other.

    params: {"0": of the first, "1": ...}, without those that have none. Masks: as the steps hand them on.
    Source: keras.layers.Pipeline.

    >>> pipeline({}, np.array([1.0]), layers=(bind(rescaling, scale=2.0), bind(rescaling, scale=3.0)))
    array([6.])
    """
    for name, step in _steps(layers).items():
        x = flow(step, params.get(name, EMPTY), x)
    return x
