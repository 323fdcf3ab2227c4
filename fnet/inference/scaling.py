"""What is done to the numbers of rows before a model sees them: pixels of 0 to 255 become what it was trained on."""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from typing import Any

import numpy as np

from fnet import tree
from fnet.core import infer
from fnet.errors import InvalidInput
from fnet.records import NamedTuple

ARITHMETIC = {"add", "bias_add", "divide", "multiply", "subtract", "true_divide", "truediv"}


class Scaling(NamedTuple):
    """scale * x + offset, of what is not None, in float32, or float64 where float32 would round x; texts stay."""

    scale: float | None
    offset: float | None

    def __call__(self, x: Any) -> Any:
        return tree.map(self._scaled, x) if self.changes else x

    @property
    def changes(self) -> bool:
        """Whether this does anything."""
        return self.scale not in (None, 1) or self.offset not in (None, 0)

    def of(self, model: Any) -> Scaling:
        """This, for a model. Raises InvalidInput where the model would cut what it gives to whole numbers."""
        whole = all(float(number or 0).is_integer() for number in self)
        cut = {spec.dtype for spec in tree.leaves(infer.input_spec(model)) if "int" in getattr(spec, "dtype", "")}
        if cut and not whole:
            raise InvalidInput(
                f"the model takes {', '.join(sorted(cut))}, whole numbers: scale {self.scale} and offset {self.offset} "
                "would be cut to such; leave them out"
            )
        return self

    def _scaled(self, a: Any) -> Any:
        a = np.asarray(a)
        if a.dtype == object and not any(isinstance(value, str | bytes) for value in a.flat):
            with suppress(TypeError, ValueError):  # which the model tells better
                a = a.astype(np.float64)  # numbers, and None, which is NaN
        if a.dtype.kind in "USOmM":
            return a
        scale, offset = (1.0 if self.scale is None else self.scale), self.offset or 0.0
        dtype = np.result_type(a, np.float32).type
        return a.astype(dtype) * dtype(scale) + dtype(offset)


def scales(model: Any, first: bool = False) -> bool:
    """Whether a model scales what it is given. first: whether it does so before a layer with filters or units.

    Files in which Keras's `preprocess_input` was called have arithmetic before such a layer.
    """
    layers = infer.layers_in(model)
    before = {
        step.function.__name__ for step in takewhile(lambda s: {"filters", "units"}.isdisjoint(s.all_options), layers)
    }
    names = before if first else {step.function.__name__ for step in layers}
    return bool(ARITHMETIC & before) or not {"rescaling", "normalization"}.isdisjoint(names)
