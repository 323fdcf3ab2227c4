"""The yardstick: the one definition of "as exact as Keras" for every test and report.

With `reference` the same Keras model evaluated in float64, fnet is right when its error is at most twice
Keras's own float32 error plus a floor that depends on the dtype policy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FLOORS = {"float16": 2e-3, "bfloat16": 2e-2}
DEFAULT_FLOOR = 1e-6


def error(y: Any, reference: Any) -> float:
    """max|y - reference| / max(1, max|reference|); NaN and infinity must stand at the same places.

    y, reference: arrays of one shape. Returns inf where shapes or non-finite entries differ, 0 for no entries.
    """
    y, reference = np.asarray(y, np.float64), np.asarray(reference, np.float64)
    if y.shape != reference.shape:
        return float("inf")
    finite = np.isfinite(reference)
    if not np.array_equal(y[~finite], reference[~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    gap = np.abs(y[finite] - reference[finite]).max()
    return float("inf") if np.isnan(gap) else float(gap / max(1.0, np.abs(reference[finite]).max()))


def allowed(keras_error: float, policy: str = "float32") -> float:
    """The largest error that fnet may have beside Keras's own under a dtype policy."""
    return 2 * keras_error + FLOORS.get(policy.removeprefix("mixed_"), DEFAULT_FLOOR)
