"""What is done to the numbers of rows before a model sees them: pixels of 0 to 255 become what it was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from fnet import tree

ARITHMETIC = {"add", "bias_add", "divide", "multiply", "subtract", "true_divide", "truediv"}


class Scaling(NamedTuple):
    """scale * x + offset in float32, of what is not None; texts stay as they are."""

    scale: float | None
    offset: float | None

    def __call__(self, x: Any) -> Any:
        return x if self == (None, None) else tree.map(self._scaled, x)

    def _scaled(self, a: Any) -> Any:
        a = np.asarray(a)
        if a.dtype.kind in "USO":
            return a
        scale, offset = (1.0 if self.scale is None else self.scale), self.offset or 0.0
        return a.astype(np.float32) * np.float32(scale) + np.float32(offset)


def scales(functions: Iterable[tuple[str, bool]]) -> bool:
    """Whether one of these layers, (function, whether it has weights) in order, scales what a model is given.

    Files in which Keras's `preprocess_input` was called have arithmetic before the first layer with weights.
    """
    functions = list(functions)
    before = {name for name, _ in takewhile(lambda function: not function[1], functions)}
    return bool(ARITHMETIC & before) or not {"rescaling", "normalization"}.isdisjoint(name for name, _ in functions)
