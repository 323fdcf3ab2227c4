"""What no config may hold anywhere, used or not: code, and classes to be imported from outside Keras.

Layers are looked up in the conversion table and refused there; this looks at all the rest of a config, such as
initializers, which inference never needs and so never reads.
"""

from __future__ import annotations

from typing import Any

from params.errors import LimitExceeded, UnsafeFile, quoted
from params.source import Limits

ROLES = ("_initializer", "_regularizer", "_constraint")
"""Ends of the keys whose objects Keras itself would import and call."""
LISTS = ("layers", "inbound_nodes")
"""Keys of the lists whose items each cost a conversion."""


def screen(value: Any, limits: Limits) -> None:
    """Raise UnsafeFile where a parsed config holds code or names something to import, and LimitExceeded where it
    has too many layers."""
    left = limits.layers
    waiting: list[tuple[Any, str, Any]] = [(value, "", None)]
    while waiting:
        item, key, layer = waiting.pop()
        if isinstance(item, list):
            if key == "activation":
                raise UnsafeFile("an activation holds code (a Lambda of Keras 2); code in files is never run")
            if key in LISTS:
                left -= len(item)
            waiting += [(inner, "", layer) for inner in item if isinstance(inner, list | dict)]
        elif isinstance(item, dict):
            _screen_object(item, key, layer)
            layer = item.get("name", layer)
            waiting += [(inner, name, layer) for name, inner in item.items() if isinstance(inner, list | dict)]
        if left < 0:
            raise LimitExceeded(f"more than the {limits.layers} layers and calls that `Limits.layers` allows")


def _screen_object(item: dict[str, Any], key: str, layer: Any) -> None:
    """The object at `key` of a layer's config."""
    name, module = item.get("class_name"), item.get("module")
    if name == "__lambda__":
        raise UnsafeFile(
            f"{quoted(key)} of layer {quoted(layer)} holds code (a Lambda); code in files is never run: "
            "replace it by layers or keras.ops operations"
        )
    if key.endswith(ROLES) and module is not None and not _is_keras(module):
        raise UnsafeFile(f"{quoted(key)} would import {quoted(name)} from {quoted(module)}; nothing is imported")


def _is_keras(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras", "tensorflow")
