"""Recurrent cells: one step in time as a layer `(params, (inputs, states)) -> (output, states)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fnet.activation_functions import Activation
from fnet.core.compose import layer
from fnet.core.infer import activation_child
from fnet.errors import InvalidInput
from fnet.layers.equations import GRU, LSTM, SimpleRNN
from fnet.layers.recurrence import as_tuples
from fnet.types import Array, Param, Params, ParamTree, Positive, Rate, Spec


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
    units: Positive | None = None,
    activation: Activation = "tanh",
    use_bias: bool = True,
    dropout: Rate = 0.0,
    recurrent_dropout: Rate = 0.0,
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
    units: Positive | None = None,
    activation: Activation = "tanh",
    recurrent_activation: Activation = "sigmoid",
    use_bias: bool = True,
    unit_forget_bias: bool = True,
    dropout: Rate = 0.0,
    recurrent_dropout: Rate = 0.0,
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
    units: Positive | None = None,
    activation: Activation = "tanh",
    recurrent_activation: Activation = "sigmoid",
    use_bias: bool = True,
    dropout: Rate = 0.0,
    recurrent_dropout: Rate = 0.0,
    reset_after: bool = True,
    implementation: int = 2,
) -> tuple[Array, list[Array]]:
    """(inputs (batch, in), [h (batch, units)]) -> (h', [h']): one step of `gru`, with its params.

    Mask: lost. Source: keras.layers.GRUCell.
    """
    cell = GRU(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, implementation, reset_after)
    return one_step(cell, params, x)
