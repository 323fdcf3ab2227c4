"""The yardstick: the one definition of "as exact as Keras" for every test and report.

With `reference` the same Keras model evaluated in float64 (every policy rewritten, same weights), fnet is right when
its error is at most twice Keras's own plus a floor that depends on the dtype policy. Errors are relative to what is
compared, each output and each layer by itself: a model with outputs near 1e-7 is judged as strictly as any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

FLOORS = {"float16": 2e-3, "bfloat16": 2e-2}
DEFAULT_FLOOR = 2e-6

LOUD = 1e-3
"""A larger error of Keras's float32 is not rounding: float64 computes another function there. An example is attention
with all keys masked: 1e9 is subtracted from every score, which float32 then forgets and float64 does not. Tests hold
fnet to Keras's float32 there; reports name the place, since twice a large error allows much.
"""


@dataclass(frozen=True)
class Judgement:
    """The errors of one array of fnet's and of Keras's, both against the reference."""

    error: float
    keras: float
    allowed: float

    @property
    def held(self) -> bool:
        """Whether the error of fnet is allowed."""
        return self.error <= self.allowed and self.error < float("inf")

    @property
    def strain(self) -> float:
        """The error as a fraction of what is allowed."""
        return self.error / self.allowed if self.error < float("inf") else float("inf")


def error(y: Any, reference: Any) -> float:
    """max|y - reference| / max|reference|, of the finite entries of the reference.

    y, reference: arrays of one shape. 0 where they are equal (or have no entries); 1 where the reference is all zero
    and y is not. inf where shapes differ, where NaN or infinity are not at the same places, and where both hold
    integers, booleans or strings that are not equal.
    """
    return _error(*_comparable(y, reference))


def allowed(keras_error: float, policy: str = "float32") -> float:
    """The largest error that fnet may have next to Keras's own under a dtype policy."""
    return 2 * keras_error + FLOORS.get(policy.removeprefix("mixed_"), DEFAULT_FLOOR)


def judge(y: Any, keras: Any, reference: Any, policy: str = "float32") -> Judgement:
    """Judge an array `y` of fnet's by Keras's under `policy` and by the float64 reference.

    Where Keras itself gives another integer than its float64 evaluation, or where its dtype cannot hold the value (it
    gives infinity, or its largest number), Keras's entry is as right as the reference's. All others are measured.
    """
    largest = _largest(keras)
    y, keras, reference = _comparable(y, keras, reference)
    if not y.shape == keras.shape == reference.shape:
        return Judgement(float("inf"), _error(keras, reference), allowed(0.0, policy))
    otherwise = ~_same(keras, reference)
    if _has_rounding(reference):
        with np.errstate(invalid="ignore"):
            otherwise &= ~(np.isfinite(keras) & (np.abs(reference) <= largest))
    own = _error(keras[~otherwise], reference[~otherwise])
    left = ~(otherwise & _same(y, keras))
    return Judgement(_error(y[left], reference[left]), own, allowed(own, policy))


def worst(judgements: list[Judgement]) -> Judgement:
    """The one of several judgements, at least one, with the largest `strain`."""
    return max(judgements, key=lambda judgement: judgement.strain)


def magnitude(reference: Any) -> float:
    """max|reference| of the finite entries; 0 for none, and for strings."""
    (values,) = _comparable(reference)
    return 0.0 if values.dtype.kind == "U" else float(np.abs(values[np.isfinite(values)]).max(initial=0))


def gaps(y: Any, reference: Any) -> Array:
    """|y - reference| of each entry in float64; 0 where both are NaN or the same infinity, 1 for another string."""
    y, reference = _comparable(y, reference)
    same = _same(y, reference)
    if y.dtype.kind == "U":
        return (~same).astype(np.float64)
    y, reference = (a.astype(np.result_type(a, np.float64)) for a in (y, reference))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.abs(y - reference))


def _error(y: Array, reference: Array) -> float:
    """`error` of arrays of one kind."""
    if y.shape != reference.shape:
        return float("inf")
    if not _has_rounding(reference):
        return 0.0 if np.array_equal(y, reference) else float("inf")
    finite = np.isfinite(reference)
    if not _same(y, reference)[~finite].all() or not np.isfinite(y[finite]).all():
        return float("inf")
    gap = float(np.abs(y[finite] - reference[finite]).max(initial=0))
    largest = magnitude(reference)
    return gap / largest if largest else float(gap > 0)


def _largest(y: Any) -> float:
    """The largest finite number of a dtype; of float64 for integers, and for bfloat16, which NumPy lacks."""
    dtype = np.asarray(y).dtype
    return float(np.finfo(dtype if dtype.kind in "fc" else np.float64).max)


def _has_rounding(a: Array) -> bool:
    """Whether values are subject to rounding: they are not integers, booleans or strings."""
    return a.dtype.kind in "fc"


def _same(a: Array, b: Array) -> Array:
    """Where two arrays are equal, NaN and NaN too."""
    return (a == b) | (a != a) & (b != b)  # type: ignore[no-any-return]  # arrays of any dtype compare to Any


def _comparable(*given: Any) -> tuple[Array, ...]:
    """The arrays as one kind: complex, float64 (bfloat16 too), integers and booleans as they are, or str."""
    arrays = tuple(np.asarray(a) for a in given)
    kinds = {a.dtype.kind for a in arrays}
    if kinds & set("OSU"):
        return tuple(np.array([_text(text) for text in a.ravel()], str).reshape(a.shape) for a in arrays)
    if kinds <= set("iub"):
        return arrays
    return tuple(a.astype(np.complex128 if "c" in kinds else np.float64) for a in arrays)


def _text(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
