"""Recurrent cells: one step in time as a layer `(params, (inputs, states)) -> (output, states)`.

`SimpleRNN`, `LSTM` and `GRU` are the mathematics, used by the cells here and by the layers in `recurrent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fnet.activations import Activation, activate, activation_child
from fnet.backend import xp
from fnet.compose import EMPTY, layer
from fnet.errors import InvalidInput
from fnet.layers.recurrence import StepInTime, as_tuples, dropout_masks, project
from fnet.types import Array, Param, Params, ParamTree, Spec


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


# --- cells as layers ------------------------------------------------------------------------------


def cell_inputs(x: Any) -> tuple[Any, Any]:
    """(inputs, states) from `(inputs, states)` or {"inputs": ..., "states": ...}; a Spec has no states yet.

    Keras's SimpleRNNCell calls its inputs "sequence".
    """
    if isinstance(x, Mapping):
        return x["inputs"] if "inputs" in x else x["sequence"], x["states"]
    if isinstance(x, tuple | list):
        inputs, states = x
        return inputs, states
    return x, None


def one_step(cell: Any, params: Params, x: Any) -> tuple[Array, list[Array]]:
    """A cell for one time step: (output, states)."""
    inputs, states = cell_inputs(x)
    zs, step = cell.begin(params, inputs[None])
    y, states = step(zs[0], as_tuples(states) if isinstance(states, tuple | list) else (states,))
    return y, list(states)


def gated_params(
    features: int | None, y: Spec, gates: int, bias: Param | None, activation: Activation, gate_by: Activation
) -> ParamTree:
    """kernel, recurrent_kernel, bias of a cell, and what its activations own."""
    units = y.shape[-1] or 0
    own = activation_child(activation, y)
    gate_own = {f"recurrent_{key}": value for key, value in activation_child(gate_by, y).items()}
    return {
        "kernel": Param((features, gates * units)),
        "recurrent_kernel": Param((units, gates * units), "orthogonal"),
        **({} if bias is None else {"bias": bias}),
        **own,
        **gate_own,
    }


def _state(inputs: Spec, units: int) -> Spec:
    if len(inputs.shape) != 2:
        raise InvalidInput(f"a recurrent cell takes (batch, features) at each time step; got {inputs}")
    return Spec((inputs.shape[0], units), inputs.dtype)


def simple_rnn_cell_rule(x: Any, *, units: int, use_bias: bool, activation: Activation) -> tuple[Any, ParamTree]:
    """Shape rule of the cell: (output, [h])."""
    inputs, _ = cell_inputs(x)
    y, bias = _state(inputs, units), Param((units,), "zeros") if use_bias else None
    return (y, [y]), gated_params(inputs.shape[-1], y, 1, bias, activation, None)


def lstm_cell_rule(
    x: Any,
    *,
    units: int,
    use_bias: bool,
    unit_forget_bias: bool,
    activation: Activation,
    recurrent_activation: Activation,
) -> tuple[Any, ParamTree]:
    """Shape rule of the cell: (output, [h, c])."""
    inputs, _ = cell_inputs(x)
    y = _state(inputs, units)
    bias = Param((4 * units,), "unit_forget" if unit_forget_bias else "zeros") if use_bias else None
    return (y, [y, y]), gated_params(inputs.shape[-1], y, 4, bias, activation, recurrent_activation)


def gru_cell_rule(
    x: Any, *, units: int, use_bias: bool, reset_after: bool, activation: Activation, recurrent_activation: Activation
) -> tuple[Any, ParamTree]:
    """Shape rule of the cell: (output, [h])."""
    inputs, _ = cell_inputs(x)
    y = _state(inputs, units)
    bias = Param((2, 3 * units) if reset_after else (3 * units,), "zeros") if use_bias else None
    return (y, [y]), gated_params(inputs.shape[-1], y, 3, bias, activation, recurrent_activation)


def drops(*, dropout: float, recurrent_dropout: float) -> bool:
    """Whether an `rng` would change anything."""
    return dropout > 0 or recurrent_dropout > 0


@layer(shape=simple_rnn_cell_rule, mask="drop", rng=drops, floats=True)
def simple_rnn_cell(
    params: Params,
    x: Any,
    *,
    units: int | None = None,
    activation: Activation = "tanh",
    use_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
) -> tuple[Array, list[Array]]:
    """(inputs (batch, in), [h (batch, units)]) -> (h', [h']): one step of `simple_rnn`, with its params.

    Mask: lost. Source: keras.layers.SimpleRNNCell.
    """
    return one_step(SimpleRNN(activation, use_bias, dropout, recurrent_dropout), params, x)


@layer(shape=lstm_cell_rule, mask="drop", rng=drops, floats=True)
def lstm_cell(
    params: Params,
    x: Any,
    *,
    units: int | None = None,
    activation: Activation = "tanh",
    recurrent_activation: Activation = "sigmoid",
    use_bias: bool = True,
    unit_forget_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    implementation: int = 2,
) -> tuple[Array, list[Array]]:
    """(inputs (batch, in), [h, c (batch, units)]) -> (h', [h', c']): one step of `lstm`, with its params.

    Mask: lost. Source: keras.layers.LSTMCell.
    """
    cell = LSTM(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, implementation)
    return one_step(cell, params, x)


@layer(shape=gru_cell_rule, mask="drop", rng=drops, floats=True)
def gru_cell(
    params: Params,
    x: Any,
    *,
    units: int | None = None,
    activation: Activation = "tanh",
    recurrent_activation: Activation = "sigmoid",
    use_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    reset_after: bool = True,
    implementation: int = 2,
) -> tuple[Array, list[Array]]:
    """(inputs (batch, in), [h (batch, units)]) -> (h', [h']): one step of `gru`, with its params.

    Mask: lost. Source: keras.layers.GRUCell.
    """
    cell = GRU(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, implementation, reset_after)
    return one_step(cell, params, x)
