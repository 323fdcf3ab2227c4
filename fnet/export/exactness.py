"""How far two forms of a model may differ: the yardstick, with the model in float64 as the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import fnet
from fnet import tree
from fnet.backend import ops
from fnet.core.compose import with_each
from fnet.core.model import Model
from fnet.core.rules import rules_of
from fnet.records import dataclass
from fnet.tree import FrozenDict
from fnet.types import Params

FLOOR = 2e-6
"""The error that is allowed, relative to the largest value, on top of twice the error of fnet in float32."""


@dataclass(frozen=True)
class Verdict:
    """The errors of an output, each relative to the largest value of the reference."""

    error: float
    own: float
    """The error of fnet on NumPy in float32."""

    @property
    def allowed(self) -> float:
        """The largest allowed error."""
        return 2 * self.own + FLOOR

    @property
    def holds(self) -> bool:
        """Whether the error is allowed."""
        return self.error <= self.allowed


def in_float64(step: Any) -> Any:
    """A step that computes in float64, whatever its dtype policy; operations compute in the dtype of their inputs."""
    bound = with_each(step, in_float64)
    if isinstance(step, Model):
        return bound
    options = dict(bound.options)
    if bound.function is fnet.input_layer and options.get("dtype", "float32") == "float32":
        return replace(bound, options=FrozenDict({**options, "dtype": "float64"}))
    layer = rules_of(bound).call is None and bound.function is not fnet.input_layer
    if layer and options.get("reverse_dtype") is not None:
        options["reverse_dtype"] = "float64"
    return replace(bound, options=FrozenDict(options), dtype="float64" if layer else None)


def wide(leaf: Any) -> Any:
    """An array in float64, if it is of float32."""
    array = ops.to_numpy(leaf)
    return array.astype(np.float64) if array.dtype == np.float32 else array


def verdicts(model: Any, params: Params, x: Any, outputs: Any) -> list[Verdict]:
    """The verdicts on the outputs `outputs` of another form of the model for `x`. Runs on NumPy."""
    exact = tree.leaves(in_float64(model)(tree.map(wide, params), tree.map(wide, x)))
    own = tree.leaves(model(params, x))
    return [Verdict(_error(z, e), _error(y, e)) for z, y, e in zip(tree.leaves(outputs), own, exact, strict=True)]


def _error(y: Any, exact: Any) -> float:
    """max|y - exact| / max|exact|; 1 where only `exact` is all zero; infinite where shapes, texts or integers vary."""
    y, exact = np.asarray(y), np.asarray(exact)
    if y.shape != exact.shape:
        return float("inf")
    if exact.dtype.kind not in "fc":
        return 0.0 if np.array_equal(y, exact) else float("inf")
    with np.errstate(invalid="ignore"):
        apart = np.abs(y.astype(exact.dtype) - exact)
    same = (y == exact) | (np.isnan(y) & np.isnan(exact))
    largest = float(np.max(np.abs(exact), initial=0.0, where=np.isfinite(exact)))
    gap = float(np.max(apart, initial=0.0, where=~same))
    return gap / largest if largest else float(gap != 0)


def drawn(takes: Any, rows: int) -> Any:
    """Inputs for the Spec tree `takes`, the same at each call; integers are 0 or 1, free sizes 4."""
    rng = np.random.default_rng(rows)

    def one(spec: Any) -> Any:
        shape = tuple((4 if axis else rows) if d is None else d for axis, d in enumerate(spec.shape))
        if spec.dtype.startswith(("int", "uint", "bool")):
            return rng.integers(0, 2, shape).astype(spec.dtype)
        return rng.standard_normal(shape).astype("float32" if spec.dtype == "bfloat16" else spec.dtype)

    return tree.map(one, takes)
