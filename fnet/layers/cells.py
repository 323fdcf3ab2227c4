"""Recurrent cells: one step in time as a layer `(params, (inputs, states)) -> (output, states)`."""

from __future__ import annotations

from typing import Any

from fnet.activation_functions import Activation
from fnet.core.rules import layer
from fnet.layers.recurrence import as_tuples
from fnet.layers.recurrent import (
    GRU,
    LSTM,
    SimpleRNN,
    by_dropouts,
    cell_inputs,
    gru_cell_rule,
    lstm_cell_rule,
    simple_rnn_cell_rule,
)
from fnet.types import Array, Params, Positive, Rate


def one_step(cell: Any, params: Params, x: Any) -> tuple[Array, list[Array]]:
    """A cell for one time step: (output, states)."""
    inputs, states = cell_inputs(x)
    zs, step = cell.begin(params, inputs[None])
    y, states = step(zs[0], as_tuples(states) if isinstance(states, tuple | list) else (states,))
    return y, list(states)


@layer(shape=simple_rnn_cell_rule, mask="drop", rng=by_dropouts, floats=True)
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

    Mask: dropped. Source: keras.layers.SimpleRNNCell.
    """
    return one_step(SimpleRNN(activation, use_bias, dropout, recurrent_dropout), params, x)


@layer(shape=lstm_cell_rule, mask="drop", rng=by_dropouts, floats=True)
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

    Mask: dropped. Source: keras.layers.LSTMCell.
    """
    cell = LSTM(activation, use_bias, dropout, recurrent_dropout, recurrent_activation, implementation)
    return one_step(cell, params, x)


@layer(shape=gru_cell_rule, mask="drop", rng=by_dropouts, floats=True)
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

    Mask: dropped. Source: keras.layers.GRUCell.
    """
    cell = GRU(activation, use_bias, dropout, recurrent_dropout, recurrent_activation, implementation, reset_after)
    return one_step(cell, params, x)
