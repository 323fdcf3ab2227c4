"""The weights of recurrent cells as the kernels read them: gates along the first axis, halves of sigmoids folded in.

A sigmoid is 0.5 tanh(x / 2) + 0.5, so that all gates take one call of tanh; the halves are powers of two and round
nothing. Written with the methods that arrays of NumPy and JAX share.
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
    inputs: tuple[float, ...]
    """By what each gate's input kernel and bias are multiplied."""
    states: tuple[float, ...]
    """By what each gate's recurrent kernel is multiplied."""
    doubled: bool = False
    """Whether the kernel keeps 2 h."""


CELLS = {
    "simple_rnn": Gates((0,), (1.0,), (1.0,)),
    "lstm": Gates((0, 1, 3, 2), (0.5, 0.5, 0.5, 1.0), (0.25, 0.25, 0.25, 0.5), doubled=True),
    "gru": Gates((0, 1, 2), (0.5, 0.5, 1.0), (0.5, 0.5, 0.5)),
    "gru_reset_before": Gates((0, 1, 2), (0.5, 0.5, 1.0), (0.5, 0.5, 0.5)),
}
"""LSTM: i, f, o, c. GRU: z, r, h, where the recurrent kernel of h is halved since 1 + tanh is twice a sigmoid."""


def laid_out(cell: str, params: Mapping[str, Any], halved: bool = False) -> dict[str, Any]:
    """The params of one cell with gates first.

    {"kernel": (gates, in, units), "recurrent_kernel": (gates, units, units), "bias": (gates, 1, units),
    "candidate_bias": (1, units)}, the last two where the cell has them. halved: its inputs come doubled.
    """
    gates = CELLS[cell]
    kernel = _by_gate(params["kernel"], gates.order, gates.inputs)
    weights = {
        "kernel": kernel * kernel.dtype.type(0.5) if halved else kernel,
        "recurrent_kernel": _by_gate(params["recurrent_kernel"], gates.order, gates.states),
    }
    if "bias" not in params:
        return weights
    bias = params["bias"]
    if cell != "gru":
        return {**weights, "bias": _by_gate(bias[None], gates.order, gates.inputs)}
    own, recurrent = (_by_gate(part[None], gates.order, gates.inputs) for part in bias)
    outside = np.array([1, 1, 0], own.dtype)[:, None, None]  # the recurrent bias of h is inside of the reset gate
    return {**weights, "bias": own + recurrent * outside, "candidate_bias": recurrent[2] * own.dtype.type(0.5)}


def _by_gate(kernel: Any, order: tuple[int, ...], factors: tuple[float, ...]) -> Any:
    """(in, gates * units) -> (gates, in, units), in a new order, each gate times its factor."""
    gates = kernel.reshape(kernel.shape[0], len(order), -1).swapaxes(0, 1)
    return gates[np.array(order)] * np.array(factors, kernel.dtype)[:, None, None]
