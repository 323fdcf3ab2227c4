"""What no config may hold anywhere, used or not: code, and classes to be imported from outside Keras.

Layers are looked up in the conversion table and refused there; this looks at all the rest of a config, such as
initializers, which inference never needs and so never reads.
"""

from __future__ import annotations

from typing import Any

from params.errors import UnsafeFile, quoted

TRAINING = ("compile_config", "training_config")
"""Parts that are never read; user functions are named there by honest files."""
ROLES = ("_initializer", "_regularizer", "_constraint")
"""Ends of the keys whose objects Keras itself would import and call."""


def screen(value: Any, key: str = "", layer: Any = None) -> None:
    """Raise UnsafeFile where a parsed config holds code or names something to import; `layer`: whose config it is."""
    if isinstance(value, list):
        if key == "activation":
            raise UnsafeFile("an activation holds code (a Lambda of Keras 2); code in files is never run")
        for item in value:
            screen(item, layer=layer)
    elif isinstance(value, dict):
        name, module = value.get("class_name"), value.get("module")
        if name == "__lambda__":
            raise UnsafeFile(
                f"{quoted(key)} of layer {quoted(layer)} holds code (a Lambda); code in files is never run: "
                "replace it by layers or keras.ops operations"
            )
        if key.endswith(ROLES) and module is not None and not _is_keras(module):
            raise UnsafeFile(f"{quoted(key)} would import {quoted(name)} from {quoted(module)}; nothing is imported")
        layer = value.get("name", layer)
        for inner, item in value.items():
            if inner not in TRAINING:
                screen(item, inner, layer)


def _is_keras(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras", "tensorflow")
