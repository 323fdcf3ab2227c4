"""The equations of SimpleRNN, LSTM and GRU: one step in time, for the layers in `cells` and in `recurrent`.

Each is what `fnet.layers.recurrence` sweeps over a sequence: its zero states, its fused kernel if any, its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fnet.activation_functions import Activation, activate
from fnet.backend import xp
from fnet.core.compose import EMPTY
from fnet.layers.recurrence import StepInTime, dropout_masks, project
from fnet.types import Array, Params


@dataclass(frozen=True)
class SimpleRNN:
    """h' = activation(x @ kernel + bias + h @ recurrent_kernel)."""

    activation: Activation
    use_bias: bool
    dropout: float
    recurrent_dropout: float

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """The zero output and state (batch, units)."""
        h = zero_state(params, xs)
        return h, (h,)

    def fused(self, params: Params) -> str | None:
        """The kernel for plain tanh cells."""
        return "simple_rnn" if self.activation == "tanh" and _still(params, self) else None

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The projected inputs (time, batch, units), and the step."""
        kernel = params["recurrent_kernel"]
        zs = project(xs, params["kernel"], dropout_masks(params, 0, self.dropout, xs[0], 1))
        if self.use_bias:
            zs = zs + params["bias"]
        dropped = dropout_masks(params, 1, self.recurrent_dropout, zs[0], 1)
        half = kernel.shape[0] // 2
        first, second = kernel[:half], kernel[half:]

        def step(z: Array, states: Any) -> tuple[Array, Any]:
            h = states[0] if dropped is None else states[0] * dropped[0]
            # Two sums of half the length: without gates, every step multiplies the rounding of those before.
            y = activate(self.activation, params, z + (h[:, :half] @ first + h[:, half:] @ second))
            return y, (y,)

        return zs, step


@dataclass(frozen=True)
class LSTM:
    """c' = f c + i activation(z_c); h' = o activation(c'); gates in the order i, f, c, o along the last axis."""

    activation: Activation
    recurrent_activation: Activation
    use_bias: bool
    dropout: float
    recurrent_dropout: float
    implementation: int

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """The zero output and states h, c (batch, units)."""
        h = zero_state(params, xs)
        return h, (h, h)

    def fused(self, params: Params) -> str | None:
        """The kernel for tanh cells with sigmoid gates."""
        usual = (self.activation, self.recurrent_activation) == ("tanh", "sigmoid")
        return "lstm" if usual and _still(params, self) else None

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The projected inputs (time, batch, 4 units), and the step."""
        kernel = params["recurrent_kernel"]
        zs = project(xs, params["kernel"], gate_masks(self, params, 0, xs[0], 4))
        if self.use_bias:
            zs = zs + params["bias"]
        dropped = gate_masks(self, params, 1, zs[0, :, : kernel.shape[0]], 4)

        def step(z: Array, states: Any) -> tuple[Array, Any]:
            h, c = states
            return lstm_step(self, params, z + project(h, kernel, dropped), c, axis=-1)

        return zs, step


def lstm_step(cell: Any, params: Params, z: Array, c: Array, axis: int) -> tuple[Array, Any]:
    """(h', (h', c')) from the summed gate inputs `z`, whose gates i, f, c, o lie along `axis`."""
    i, f, g, o = xp.split(z, 4, axis=axis)
    c = gate(cell, params, f) * c + gate(cell, params, i) * activate(cell.activation, params, g)
    h = gate(cell, params, o) * activate(cell.activation, params, c)
    return h, (h, c)


@dataclass(frozen=True)
class GRU:
    """h' = z h + (1 - z) activation(x_h + r (h @ R_h)); gates in the order z, r, h along the last axis.

    With `reset_after=False` the last product is (r h) @ R_h.
    """

    activation: Activation
    recurrent_activation: Activation
    use_bias: bool
    dropout: float
    recurrent_dropout: float
    implementation: int
    reset_after: bool

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """The zero output and state (batch, units)."""
        h = zero_state(params, xs)
        return h, (h,)

    def fused(self, params: Params) -> str | None:
        """The kernels for tanh cells with sigmoid gates."""
        usual = (self.activation, self.recurrent_activation) == ("tanh", "sigmoid")
        return ("gru" if self.reset_after else "gru_reset_before") if usual and _still(params, self) else None

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The projected inputs (time, batch, 3 units), and the step."""
        units = params["recurrent_kernel"].shape[0]
        bias, recurrent_bias = (params["bias"], None) if self.use_bias else (None, None)
        if self.use_bias and self.reset_after:
            bias, recurrent_bias = params["bias"]
        zs = project(xs, params["kernel"], gate_masks(self, params, 0, xs[0], 3))
        if bias is not None:
            zs = zs + bias
        dropped = gate_masks(self, params, 1, zs[0, :, :units], 3)
        inner = self._reset_after if self.reset_after else self._reset_before

        def step(z: Array, states: Any) -> tuple[Array, Any]:
            (h,) = states
            update, candidate = inner(params, z, h, recurrent_bias, dropped)
            h = update * h + (1 - update) * activate(self.activation, params, candidate)
            return h, (h,)

        return zs, step

    def _reset_after(self, params: Params, z: Array, h: Array, bias: Any, dropped: Any) -> tuple[Array, Array]:
        """(update gate, what the candidate's activation takes)."""
        y = project(h, params["recurrent_kernel"], dropped)
        if bias is not None:
            y = y + bias
        (z_z, z_r, z_h), (y_z, y_r, y_h) = xp.split(z, 3, axis=-1), xp.split(y, 3, axis=-1)
        return gate(self, params, z_z + y_z), z_h + gate(self, params, z_r + y_r) * y_h

    def _reset_before(self, params: Params, z: Array, h: Array, bias: Any, dropped: Any) -> tuple[Array, Array]:
        units = h.shape[-1]
        kernel = params["recurrent_kernel"]
        first, last = (None, None) if dropped is None else (dropped[:2], dropped[2:])
        y = gate(self, params, z[:, : 2 * units] + project(h, kernel[:, : 2 * units], first))
        reset = y[:, units:] * h
        return y[:, :units], z[:, 2 * units :] + project(reset, kernel[:, 2 * units :], last)


def zero_state(params: Params, xs: Array) -> Array:
    """Zeros (batch, units) of the dtype that the cell computes in."""
    kernel = params["recurrent_kernel"]
    return xp.zeros((xs.shape[1], kernel.shape[0]), xp.result_type(xs.dtype, kernel.dtype))


def gate(cell: Any, params: Params, z: Array) -> Array:
    """The recurrent activation, whose own params (rare: a PReLU) are the entry "recurrent_activation"."""
    return activate(cell.recurrent_activation, {"activation": params.get("recurrent_activation", EMPTY)}, z)


def gate_masks(cell: Any, params: Params, which: int, like: Array, gates: int) -> list[Array] | None:
    """Dropout masks of a gated cell: one for each gate in Keras's implementation 1, else one for all.

    A rate of 1 drops nothing, as in Keras.
    """
    rate = cell.recurrent_dropout if which else cell.dropout
    separate = cell.implementation == 1 or cell.recurrent_dropout > 0
    return dropout_masks(params, which, rate if rate < 1 else 0.0, like, gates if separate else 1)


def _still(params: Params, cell: Any) -> bool:
    """Whether nothing is dropped."""
    return "rng" not in params or (cell.dropout <= 0 and cell.recurrent_dropout <= 0)
