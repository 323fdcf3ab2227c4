"""What conversion makes of an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from params.file.keras_objects import KerasObject
from params.table.entry import Entry


@dataclass(frozen=True, slots=True)
class Effects:
    """What a model does to arrays that others hold as well (see `params.convert.mask_effects`)."""

    lost: frozenset[str] = frozenset()
    """The inputs whose masks it takes off; "" is the one of a sequential model."""
    same: Mapping[int, str] = field(default_factory=dict)
    """{number of an output: the input that comes out as it went in}."""


@dataclass(eq=False, slots=True)
class Converted:
    """An object and the step it became."""

    source: KerasObject
    step: Any
    entry: Entry | None = None
    parts: dict[str, Converted] = field(default_factory=dict)
    """{params key: what the layer or model is made of}."""
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{params key: params that the config itself holds}: constants of a graph, rng of calls with training=True."""
    operation: bool = False
    """An operation on tensors: no layer, so Keras does not list it among the layers of its model."""
    effects: Effects = field(default_factory=Effects)
