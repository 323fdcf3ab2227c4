"""`meaning`: what a model computes, as a value to compare. Names of nodes do not matter, those of params do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fnet.core.layer import Bound, bind
from fnet.core.model import Model
from fnet.core.sources import Ref, masked_by, references
from fnet.inference.in_predict import in_predict
from fnet.layers.basic import constant, input_layer
from fnet.types import Params
from params.store.keras_config import require_entry


def meaning(step: Any, params: Params) -> Any:
    """A value that is equal for two steps that compute the same from the same params."""
    if not isinstance(step, Model):
        bound = in_predict(bind(step))  # a file cannot tell a call from `predict`
        options = {key: _option(item) for key, item in bound.all_options.items()}
        options.pop("vocabulary_size", None)
        if bound.function is input_layer:
            options["shape"] = (None, *options["shape"][1:])  # callers may give any number of rows
        return bound.function, options, None if bound.dtype == "float32" else bound.dtype
    whole = step.as_graph()
    called: dict[str, int] = {}
    names: dict[str, Any] = {name: ("input", name) for name in references(whole.inputs)}
    nodes: dict[Any, Any] = {}
    for name, node in whole.nodes:
        key = node.params or name
        if not isinstance(node.step, Model) and bind(node.step).function is constant:
            value = np.asarray(params[key]["value"])
            names[name] = ("constant", str(value.dtype), value.shape, value.tobytes())
            continue
        number = called[key] = called.get(key, -1) + 1
        sources = () if node.sources is None else _sources(node.sources, names)
        names[name] = (key, number)
        nodes[names[name]] = (meaning(node.step, params.get(key, {})), _arranged(node.step, sources))
    return nodes, _only(_sources(whole.inputs, names)), _only(_sources(whole.outputs, names))


def _only(ends: Any) -> Any:
    """A single input or output instead of a tuple of one, as in Keras."""
    return ends[0] if isinstance(ends, tuple) and len(ends) == 1 else ends


def _option(value: Any) -> Any:
    """A value of an option."""
    if isinstance(value, Bound | Model) or (callable(value) and hasattr(value, "rules")):
        return meaning(value, {})
    if isinstance(value, Mapping):
        return {key: _option(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(map(_option, value))
    return value


def _sources(sources: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(sources, str):
        return names[sources]
    if isinstance(sources, Ref):
        return (names[sources.node], sources.path) if sources.path else names[sources.node]
    if isinstance(sources, masked_by):
        return "masked", _sources(sources.values, names), _sources(sources.mask, names)
    if isinstance(sources, Mapping):
        return {key: _sources(item, names) for key, item in sources.items()}
    if isinstance(sources, tuple | list):
        return tuple(_sources(item, names) for item in sources)
    return sources


def _arranged(step: Any, sources: Any) -> Any:
    """The sources of a layer, those given by name in the order of its Keras call."""
    if isinstance(step, Model) or not isinstance(sources, dict):
        return sources
    entry = require_entry(bind(step))
    if not sources.keys() <= set(entry.arguments):
        return sources
    if sources.keys() == {"sequences", "mask"}:
        return "masked", sources["sequences"], sources["mask"]
    if entry.inputs is None:
        return tuple(sources[key] for key in entry.arguments if key in sources)
    listed = {key: list(item) if key == "initial_state" else item for key, item in sources.items()}
    return entry.inputs({key: listed[key] for key in entry.arguments if key in listed})


def difference(ours: Any, read: Any) -> str | None:
    """Where two meanings differ first, in words."""
    if ours == read:
        return None
    if not (isinstance(ours, tuple) and isinstance(read, tuple) and isinstance(ours[0], dict)):
        return f"{ours!r:.150} became {read!r:.150}"
    for key in [*ours[0], *read[0]]:
        mine, other = ours[0].get(key, (None, None)), read[0].get(key, (None, None))
        if mine != other:
            reads = mine[0] == other[0]  # the same layer, which reads something else
            return f"at {key!r}: {(mine[1] if reads else mine)!r:.200} became {(other[1] if reads else other)!r:.200}"
    return f"its inputs and outputs, {ours[1:]!r:.150}, became {read[1:]!r:.150}"
