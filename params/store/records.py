"""Models as JSON: records (`bind`, `sequential`, `graph`) and back, through a closed dictionary of layers.

Numbers, texts, booleans and null stand for themselves and lists for lists; everything else is an object with one
key that says what it is: {"tuple": [...]}, {"dict": [[key, value], ...]}, {"text": "..."} for bytes, {"layer":
"flatten"} for a bare function, {"bind": ["dense", [[option, value], ...], policy]}, {"sequential": [[name, step],
...]}, {"graph": [nodes, inputs, outputs]}. Nothing in a file is looked up anywhere but in these dictionaries.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import fnet
from fnet.activation_functions import ACTIVATIONS
from fnet.core.compose import Graph, Sequential, graph, sequential
from fnet.core.layer import Bound, bind
from fnet.core.model import Node
from fnet.core.rules import Rules, own_layers
from fnet.core.sources import Ref, masked_by
from fnet.tree import FrozenDict, FrozenList, FrozenSlice, freeze
from params.errors import CorruptFile, ModelFileError, UnsupportedLayer, quoted

Layers = Mapping[str, Callable[..., Any]]

NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def known_layers(custom: Layers | None = None, text: str | None = None) -> dict[str, Callable[..., Any]]:
    """{name in a file: function}: fnet's layers, its operations and functions of TensorFlow, and `custom`.

    text: the JSON to be read, so that only functions that it names are imported; None: all.
    """
    named = None if text is None else set(re.findall(r'"((?:operations\.|tf_functions\.)?\w+)"', text))
    functions: dict[str, Callable[..., Any]] = {}
    for prefix, module in _families(named):
        public = {name: prefix + name for name in module.__all__ if named is None or prefix + name in named}
        functions.update({full: getattr(module, name) for name, full in public.items()})
    functions.update({f"custom.{name}": function for name, function in own_layers(custom).items()})
    return {name: function for name, function in functions.items() if name.startswith("custom.") or _is_layer(function)}


def _families(named: set[str] | None) -> Iterator[tuple[str, Any]]:
    """(prefix of the names in files, module) of the functions, where `named` has one of them; None: of all."""
    yield "", fnet.layers
    if named is None or any(name.startswith("operations.") for name in named):
        from fnet import operations

        yield "operations.", operations
    if named is None or any(name.startswith("tf_functions.") for name in named):
        from fnet import tf_functions

        yield "tf_functions.", tf_functions


def _is_layer(value: Any) -> bool:
    return inspect.isfunction(value) and isinstance(vars(value).get("rules"), Rules)


# --- to JSON --------------------------------------------------------------------------------------------------


def encode(value: Any, names: Mapping[Callable[..., Any], str]) -> Any:
    """The JSON form of a record or of any value in one. names: {function: name in the file}."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    for kind, write in WRITERS.items():
        if isinstance(value, kind):
            return write(value, names)
    if value is Ellipsis:
        return {"ellipsis": []}
    if inspect.isfunction(value):
        return {"layer": names[value]} if value in names else _activation(value)
    raise TypeError(f"a {type(value).__name__} in a model cannot be saved: {value!r:.100}")


def _activation(value: Callable[..., Any]) -> dict[str, Any]:
    for name, function in ACTIVATIONS.items():
        if function is value:
            return {"activation": name}
    raise _own(value)


def _own(value: Callable[..., Any]) -> TypeError:
    return TypeError(
        f"{value.__name__} is not a public layer of fnet; a layer of your own is saved by its name: "
        f"save(..., custom={{{value.__name__!r}: {value.__name__}}}), and load(..., custom=...) gives it back"
    )


def _function_name(value: Callable[..., Any], names: Mapping[Callable[..., Any], str]) -> str:
    if value not in names:
        raise _own(value)
    return names[value]


def _pairs(value: Any, names: Mapping[Callable[..., Any], str]) -> list[Any]:
    return [[encode(key, names), encode(item, names)] for key, item in value.items()]


def _all(value: Any, names: Mapping[Callable[..., Any], str]) -> list[Any]:
    return [encode(item, names) for item in value]


def _graph(value: Graph, names: Mapping[Callable[..., Any], str]) -> dict[str, Any]:
    nodes = [[name, *_all((n.step, n.sources, n.params), names)] for name, n in value.nodes]
    return {"graph": [nodes, encode(value.inputs, names), encode(value.outputs, names)]}


WRITERS: dict[type, Callable[[Any, Mapping[Callable[..., Any], str]], Any]] = {
    Bound: lambda v, names: {"bind": [_function_name(v.function, names), _pairs(v.options, names), v.dtype]},
    Sequential: lambda v, names: {"sequential": [[name, encode(step, names)] for name, step in v.steps]},
    Graph: _graph,
    Ref: lambda v, names: {"at": [v.node, *v.path]},
    masked_by: lambda v, names: {"masked_by": _all((v.values, v.mask), names)},
    slice: lambda v, names: {"slice": _all((v.start, v.stop, v.step), names)},
    FrozenSlice: lambda v, names: {"slice": _all((v.start, v.stop, v.step), names)},
    bytes: lambda v, names: {"text": v.decode()},
    FrozenList: _all,
    tuple: lambda v, names: {"tuple": _all(v, names)},
    Mapping: lambda v, names: {"dict": _pairs(v, names)},
    list: _all,
}
"""{type: how it is written}; a subclass comes before its base."""


# --- from JSON ------------------------------------------------------------------------------------------------


def decode(data: Any, layers: Layers) -> Any:
    """The value that `encode` wrote. Raises CorruptFile for anything it cannot have written."""
    if isinstance(data, list):
        return FrozenList(decode(item, layers) for item in data)
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise CorruptFile(f"a value of the model has the keys {quoted(list(data))}; exactly one was expected")
    ((kind, parts),) = data.items()
    if kind not in READERS:
        raise CorruptFile(f"{quoted(kind)} is not a kind of value in a model")
    try:
        return READERS[kind](parts, layers)
    except ModelFileError:
        raise
    except (TypeError, LookupError, ValueError) as error:
        raise CorruptFile(f"a {kind} of the model cannot be made: {error}") from error


def _decode_all(parts: Any, layers: Layers, count: int | None = None) -> list[Any]:
    return [decode(item, layers) for item in _list(parts, count)]


def _decode_pairs(parts: Any, layers: Layers) -> dict[Any, Any]:
    pairs = [_decode_all(pair, layers, 2) for pair in _list(parts)]
    items = dict(pairs)
    if len(items) != len(pairs):
        raise CorruptFile("a dict of the model has a key twice")
    return items


def _list(parts: Any, count: int | None = None) -> list[Any]:
    if not isinstance(parts, list) or (count is not None and len(parts) != count):
        raise CorruptFile(f"{quoted(parts)} is not the list that a value of the model needs")
    return parts


def _of(table: Mapping[str, Any], name: Any, what: str) -> Any:
    if not isinstance(name, str) or name not in table:
        raise CorruptFile(f"{quoted(name)} is no {what} in a model")
    return table[name]


def _layer(name: Any, layers: Layers) -> Callable[..., Any]:
    if not isinstance(name, str) or name not in layers:
        raise UnsupportedLayer(_unknown(name))
    return layers[name]


def _decode_bind(parts: Any, layers: Layers) -> Bound:
    name, options, policy = _list(parts, 3)
    named = _decode_pairs(options, layers)
    if wrong := [key for key in named if not isinstance(key, str)]:
        raise CorruptFile(f"{quoted(wrong[0])} is not the name of an option")
    bound = bind(_layer(name, layers), **named)
    return bound if policy is None else bind(bound, dtype=policy)


def _unknown(name: Any) -> str:
    if isinstance(name, str) and name.startswith("custom."):
        own = name.removeprefix("custom.")
        return (
            f"the model has the custom layer {quoted(own)}: give its function, load(path, custom={{{quoted(own)}: "
            f"my_layer}}), --custom {quoted(f'{own}=FILE.py:my_layer')} in a shell"
        )
    return f"{quoted(name)} is not a layer of this fnet; was the file written by a newer one?"


def _decode_sequential(parts: Any, layers: Layers) -> Any:
    return sequential([(name, decode(step, layers)) for name, step in (_list(pair, 2) for pair in _list(parts))])


def _decode_graph(parts: Any, layers: Layers) -> Any:
    nodes, inputs, outputs = _list(parts, 3)
    by_name = {}
    for name, step, sources, entry in (_list(node, 4) for node in _list(nodes)):
        if not isinstance(name, str) or name in by_name or not (entry is None or isinstance(entry, str)):
            raise CorruptFile(f"{quoted(name)} cannot be the name of a node, or appears twice")
        by_name[name] = Node(decode(step, layers), decode(sources, layers), entry)
    return graph(by_name, inputs=decode(inputs, layers), outputs=decode(outputs, layers))


def _decode_at(parts: Any, layers: Layers) -> Ref:
    node, *path = _list(parts) or [None]
    if not isinstance(node, str) or not all(isinstance(key, int | str) for key in path):
        raise CorruptFile(f"{quoted(parts)} is not an element of a node")
    return Ref(node, tuple(path))


def _decode_text(text: Any, layers: Layers) -> bytes:
    if not isinstance(text, str):
        raise CorruptFile(f"{quoted(text)} is no text in a model")
    return text.encode()


READERS: dict[str, Callable[[Any, Layers], Any]] = {
    "layer": _layer,
    "bind": _decode_bind,
    "activation": lambda parts, layers: _of(ACTIVATIONS, parts, "activation"),
    "sequential": _decode_sequential,
    "graph": _decode_graph,
    "at": _decode_at,
    "masked_by": lambda parts, layers: masked_by(*_decode_all(parts, layers, 2)),
    "slice": lambda parts, layers: FrozenSlice(*_decode_all(parts, layers, 3)),
    "tuple": lambda parts, layers: tuple(_decode_all(parts, layers)),
    "dict": lambda parts, layers: FrozenDict(freeze(_decode_pairs(parts, layers))),
    "float": lambda parts, layers: _of(NONFINITE, parts, "float"),
    "ellipsis": lambda parts, layers: Ellipsis,
    "text": _decode_text,
}
"""{kind: how it is read}."""
