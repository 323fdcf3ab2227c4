"""THE conversion table: Keras class -> fnet layer, its options from the config, its arrays in file order.

By default a config key that is an option of the fnet layer is passed on under its own name; keys that matter
in training only are ignored; any other key must hold a value that changes nothing, else the layer is refused.
The order of a layer's arrays is the order of the params in its shape rule; nested dicts are sub-groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fnet


@dataclass(frozen=True)
class Entry:
    """One row: how a Keras class becomes an fnet layer.

    layer: the fnet layer function. options: config -> changed config, for what does not map key by key
    (after nested objects were converted; None: as it is). ignored: config keys that never matter at
    inference. neutral: {config key without an fnet option: the values that change nothing}. groups: {params
    key: sub-group of the file}, where they differ; "" is the layer's own arrays (an LSTM keeps them in "cell").
    limits: what is refused, in words, for the table that users read.
    """

    layer: Callable[..., Any]
    options: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ignored: frozenset[str] = frozenset()
    neutral: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    limits: str = ""


CORE = {
    "InputLayer": Entry(fnet.input_layer),
    "Dense": Entry(fnet.dense),
    "Embedding": Entry(fnet.embedding),
    "Identity": Entry(fnet.identity),
}

LAYERS: dict[str, Entry] = {**CORE}
"""{Keras class name: entry}."""
