"""THE table: one row (or more) a layer, by family. A layer without a row does not exist.

`tests/test_cases.py` runs every row on NumPy, NumPy with read-only arrays, JAX eager and JAX jit, compares
it with its Keras twin at the yardstick, pickles it and evaluates its repr.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fnet import bind


@dataclass(frozen=True)
class Case:
    """One row.

    layer: the fnet layer function. options: its options, which are also those of the Keras twin unless
    `twin` is given. shapes: one shape, or a tuple/dict of shapes, batch axis included. twin: the name of a
    class in keras.layers, or a function of the keras module that returns the Keras layer. dtype: of the
    inputs ("float32", or "int32" ids below `high`). mask: put a mask (batch, time) with leading, inner,
    trailing and all-masked rows on the first input. call: keyword arguments of the Keras call.
    """

    layer: Callable[..., Any]
    shapes: Any
    options: dict[str, Any] = field(default_factory=dict)
    twin: str | Callable[[Any], Any] = ""
    twin_options: dict[str, Any] | None = None
    dtype: str = "float32"
    high: int = 10
    mask: bool = False
    call: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def step(self):
        return bind(self.layer, **self.options)

    @property
    def id(self) -> str:
        options = ",".join(f"{k}={v!r:.30}" for k, v in self.options.items())
        return self.label or f"{self.layer.__name__}({options})-{self.shapes}{'-masked' if self.mask else ''}"

    def keras_layer(self, keras: Any, dtype: str) -> Any:
        """The Keras twin under a dtype policy."""
        keras.config.set_dtype_policy(dtype)
        try:
            if callable(self.twin):
                return self.twin(keras)
            cls = getattr(keras.layers, self.twin)
            return cls(**(self.options if self.twin_options is None else self.twin_options))
        finally:
            keras.config.set_dtype_policy("float32")

    def inputs(self, seed: int = 0) -> Any:
        """Random inputs: a tree of arrays of the shapes of this case."""
        return _draw(self.shapes, np.random.default_rng(seed), self.dtype, self.high)

    def first_mask(self) -> np.ndarray | None:
        """(batch, time) with leading, inner and trailing False and, from batch 2 on, an all-False row."""
        if not self.mask:
            return None
        shape = self.shapes
        while not isinstance(shape[0], int):
            shape = shape[0]
        mask = np.random.default_rng(7).random(shape[:2]) < 0.6
        mask[0, 0], mask[0, -1], mask[-1] = False, False, False
        return mask


def _draw(shapes: Any, rng: np.random.Generator, dtype: str, high: int) -> Any:
    if isinstance(shapes, dict):
        return {key: _draw(item, rng, dtype, high) for key, item in shapes.items()}
    if isinstance(shapes, tuple) and shapes and not isinstance(shapes[0], int):
        return tuple(_draw(item, rng, dtype, high) for item in shapes)
    if dtype.startswith("int"):
        return rng.integers(0, high, shapes).astype(dtype)
    return rng.standard_normal(shapes).astype(dtype)


def all_cases() -> list[Case]:
    """Every row of every family."""
    from tests.cases import core

    families = [core]
    return [case for family in families for case in family.CASES]
