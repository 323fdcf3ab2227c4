"""The weights of recurrent cells as the kernels read them: gates along the first axis, signs of sigmoids folded in.

A sigmoid is 1 / (1 + exp(-x)), exact however far a gate is closed, where 1 + tanh cancels; what comes in is -x. Written
with the methods that arrays of NumPy and JAX share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fnet.records import dataclass


@dataclass(frozen=True)
class Gates:
    """What a kernel makes of the gates of a cell."""

    order: tuple[int, ...]
    """Keras's positions of the gates in the kernel's order."""
    signs: tuple[float, ...]
    """By what each gate's kernels and biases are multiplied."""


CELLS = {
    "simple_rnn": Gates((0,), (1.0,)),
    "lstm": Gates((0, 1, 3, 2), (-1.0, -1.0, -1.0, 1.0)),
    "gru": Gates((0, 1, 2), (-1.0, -1.0, 1.0)),
    "gru_reset_before": Gates((0, 1, 2), (-1.0, -1.0, 1.0)),
}
"""LSTM: i, f, o, c. GRU: z, r, h."""


def laid_out(cell: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The params of one cell with gates first.

    {"kernel": (gates, in, units), "recurrent_kernel": (gates, units, units), "bias": (gates, 1, units),
    "candidate_bias": (1, units)}, the last two where the cell has them.
    """
    gates = CELLS[cell]
    weights = {name: _by_gate(params[name], gates) for name in ("kernel", "recurrent_kernel")}
    if "bias" not in params:
        return weights
    bias = params["bias"]
    if cell != "gru":
        return {**weights, "bias": _by_gate(bias[None], gates)}
    own, recurrent = (_by_gate(part[None], gates) for part in bias)
    outside = np.array([1, 1, 0], own.dtype)[:, None, None]  # the recurrent bias of h is inside of the reset gate
    return {**weights, "bias": own + recurrent * outside, "candidate_bias": recurrent[2]}


def _by_gate(kernel: Any, gates: Gates) -> Any:
    """(in, gates * units) -> (gates, in, units), in the kernel's order, each gate times its sign."""
    parts = kernel.reshape(kernel.shape[0], len(gates.order), -1).swapaxes(0, 1)
    return parts[np.array(gates.order)] * np.array(gates.signs, kernel.dtype)[:, None, None]
