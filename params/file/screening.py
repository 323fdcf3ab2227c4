"""What no config may hold anywhere, used or not: code.

Layers are looked up in the conversion table and refused there; this looks at all the rest of a config. What training
alone reads is not looked at: nothing is ever imported, and inference never needs it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from params.errors import UnsafeFile, quoted
from params.file.keras_objects import NESTED, TRAINING_ONLY


def screen(value: Any, replaced: Container[str] = ()) -> None:
    """Raise UnsafeFile where a parsed config holds code.

    replaced: names of layers, classes and functions that the caller has given functions for; what is written there
    does not matter.
    """
    waiting: list[tuple[Any, str, Any]] = [(value, "", None)]
    while waiting:
        item, key, layer = waiting.pop()
        if isinstance(item, list):
            if key == "activation":
                raise UnsafeFile(f"the activation of layer {quoted(layer)} holds code (a lambda); {_way_out(layer)}")
            waiting += [(inner, "", layer) for inner in item if inner.__class__ in NESTED]
        elif isinstance(item, dict) and not (replaced and _is_replaced(item, replaced)):
            if item.get("class_name") == "__lambda__":
                raise UnsafeFile(f"{quoted(key)} of layer {quoted(layer)} holds code (a Lambda); {_way_out(layer)}")
            layer = item.get("name", layer)
            waiting += [
                (inner, name, layer)
                for name, inner in item.items()
                if inner.__class__ in NESTED and not name.endswith(TRAINING_ONLY)
            ]


def _is_replaced(item: dict[str, Any], replaced: Container[str]) -> bool:
    config = item.get("config")
    names = (config.get("name") if isinstance(config, dict) else None, item.get("registered_name"))
    return any(isinstance(name, str) and name in replaced for name in names)


def _way_out(layer: Any) -> str:
    return (
        "code in files is never run: replace it by layers or keras.ops operations, or give a function for the layer, "
        f"load_keras(..., custom={{{quoted(layer)}: my_layer}})"
    )
