"""The state of one conversion, and what all its parts share: typed errors and keys for random layers."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fnet
from fnet import random
from fnet.types import Array
from params.converted import Converted
from params.errors import CorruptFile, ModelFileError, UnsupportedLayer
from params.generations import Version
from params.objects import KerasObject

BROKEN = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError)
"""What shape rules and `bind` raise when a config asks for the impossible."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """The settings of one load, and the objects that became steps so far."""

    convert: Callable[[KerasObject, Conversion, bool | None], Converted]
    """Makes a step of any object; here, because models and layers hold others."""
    custom: Mapping[str, Callable[..., Any]]
    version: Version
    """Of the Keras that wrote the file."""
    legacy: bool
    """The format writes no modules."""
    mixed: bool
    """Some dtype policy is not float32, so every step says its own."""
    rng: Array | None
    bare: bool
    """The model computes what a bare `model(x)` of Keras gives, not what its `predict` gives."""
    numbers: Iterator[int] = field(default_factory=itertools.count)
    """Of the layers that get a key of their own."""
    made: dict[int, Converted] = field(default_factory=dict)
    """{id of the step: what it comes from}."""
    seen: set[str] = field(default_factory=set)
    """The dtypes that operations give."""
    around: bool | None = None
    """What the layer whose config is read was called with: the layers inside it are called with the same."""

    @property
    def keras2(self) -> bool:
        """The file is from Keras 2 or 1: `hard_sigmoid` means another function."""
        return self.version < (3, 0)

    def inner(self, source: KerasObject, training: bool | None = None) -> Converted:
        """An object inside another as a step; training: what the model around it was called with."""
        return self.convert(source, self, training)

    def rng_leaves(self, part: Converted, training: bool | None) -> dict[str, Any]:
        """The `rng` leaves of a layer called with training=True; none when it is not random."""
        if not training or part.source.is_model:
            return {}
        key = random.key(0) if self.rng is None else random.fold_in(self.rng, next(self.numbers))
        leaves = fnet.with_rng(part.step, {}, key)
        if leaves and self.rng is None:
            raise UnsupportedLayer(
                f"{part.source.label} was called with training=True, so this model is random also at inference; "
                "give the loader a key: load_keras(..., rng=0)"
            )
        return leaves


@contextlib.contextmanager
def named(source: KerasObject) -> Iterator[None]:
    """Errors of rules and options become typed ones that name the layer."""
    try:
        yield
    except ModelFileError:
        raise
    except BROKEN as error:
        text = f"{source.label}: {type(error).__name__}: {error}"
        raise CorruptFile(f"the config describes an impossible layer: {text[:300]}") from error
