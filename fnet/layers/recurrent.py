"""Recurrent layers: simple_rnn, lstm, gru. Any other cell, and stacks of cells, run in `fnet.layers.any_cell`."""

from __future__ import annotations

from typing import Any

from fnet.activation_functions import Activation
from fnet.core.compose import layer
from fnet.layers.cells import drops, gru_cell_rule, lstm_cell_rule, simple_rnn_cell_rule
from fnet.layers.equations import GRU, LSTM, SimpleRNN
from fnet.layers.recurrence import Over, around, run, time_step
from fnet.types import Params, ParamTree, Positive, Rate


def _simple_rnn_rule(
    x: Any,
    *,
    units: int,
    use_bias: bool,
    activation: Activation,
    return_sequences: bool,
    return_state: bool,
    masks: str,
    time_major: bool,
) -> tuple[Any, ParamTree]:
    y, params = simple_rnn_cell_rule(time_step(x, time_major), units=units, use_bias=use_bias, activation=activation)
    return around(x, y, return_sequences=return_sequences, return_state=return_state, masks=masks), params


@layer(shape=_simple_rnn_rule, mask="own", rng=drops, floats=True)
def simple_rnn(
    params: Params,
    x: Any,
    *,
    units: Positive | None = None,
    activation: Activation = "tanh",
    use_bias: bool = True,
    dropout: Rate = 0.0,
    recurrent_dropout: Rate = 0.0,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
    masks: str = "keras3",
    time_major: bool = False,
) -> Any:
    """(batch, time, in) -> (batch, units): h_t = activation(x_t @ kernel + bias + h_(t-1) @ recurrent_kernel).

    params: kernel (in, units), recurrent_kernel (units, units), bias (units,). The options, states, mask rule
    and errors are those of `lstm`, with one state h. Source: keras.layers.SimpleRNN.
    """
    return run(
        SimpleRNN(activation, use_bias, dropout, recurrent_dropout),
        params,
        x,
        Over(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks, time_major),
    )


def _lstm_rule(
    x: Any,
    *,
    units: int,
    use_bias: bool,
    unit_forget_bias: bool,
    activation: Activation,
    recurrent_activation: Activation,
    return_sequences: bool,
    return_state: bool,
    masks: str,
    time_major: bool,
) -> tuple[Any, ParamTree]:
    y, params = lstm_cell_rule(
        time_step(x, time_major),
        units=units,
        use_bias=use_bias,
        unit_forget_bias=unit_forget_bias,
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    return around(x, y, return_sequences=return_sequences, return_state=return_state, masks=masks), params


@layer(shape=_lstm_rule, mask="own", rng=drops, floats=True)
def lstm(
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
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
    masks: str = "keras3",
    time_major: bool = False,
    implementation: int = 2,
) -> Any:
    """(batch, time, in) -> (batch, units), the last output; (batch, time, units) with `return_sequences`.

        i, f, g, o = split(x_t @ kernel + h_(t-1) @ recurrent_kernel + bias, 4)
        c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)
        h_t = sigmoid(o) tanh(c_t)

    x: the sequence; or (sequence, h, c) to start from states; or a dict with the names of the Keras call,
    {"sequences": ..., "initial_state": [h, c], "mask": ...}. `return_state` gives (output, h, c).
    params: kernel (in, 4 units), recurrent_kernel (units, 4 units), bias (4 units,); gates i, f, c, o.
    `go_backwards` reads from the end and leaves the outputs in the order of reading. `stateful` changes
    nothing here: each call starts from zero; `fnet.streaming` carries states. `unroll` matters in one corner:
    with go_backwards and zero_output_for_mask Keras zeroes by the mask in its original order.
    With `time_major`, of Keras 2, the sequence, its mask and the sequences that come out are (time, batch, ...).
    `dropout` and `recurrent_dropout` act when params hold `rng`, one mask for a whole sequence
    (`implementation=1`, or any recurrent dropout: one for each gate).
    Mask: a masked step keeps the states and repeats the output before it, zeros before the first valid step,
    zeros everywhere with `zero_output_for_mask`; handed on with `return_sequences`. With initial states, only a
    mask under the key "mask" is applied: Keras leaves one that travels with the sequence aside, but not Keras 2
    (masks="keras2").
    Errors: InvalidInput for a sequence without time steps.
    Source: keras.layers.LSTM; Hochreiter and Schmidhuber 1997.

    >>> p = {"kernel": np.ones((3, 8)), "recurrent_kernel": np.zeros((2, 8)), "bias": np.zeros(8)}
    >>> lstm(p, np.zeros((1, 5, 3)))
    array([[0., 0.]])
    """
    return run(
        LSTM(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, implementation),
        params,
        x,
        Over(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks, time_major),
    )


def _gru_rule(
    x: Any,
    *,
    units: int,
    use_bias: bool,
    reset_after: bool,
    activation: Activation,
    recurrent_activation: Activation,
    return_sequences: bool,
    return_state: bool,
    masks: str,
    time_major: bool,
) -> tuple[Any, ParamTree]:
    y, params = gru_cell_rule(
        time_step(x, time_major),
        units=units,
        use_bias=use_bias,
        reset_after=reset_after,
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    return around(x, y, return_sequences=return_sequences, return_state=return_state, masks=masks), params


@layer(shape=_gru_rule, mask="own", rng=drops, floats=True)
def gru(
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
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
    masks: str = "keras3",
    time_major: bool = False,
    implementation: int = 2,
) -> Any:
    """(batch, time, in) -> (batch, units): h_t = z h_(t-1) + (1 - z) tanh(candidate).

        x_z, x_r, x_h = split(x_t @ kernel + bias[0], 3);  y_z, y_r, y_h = split(h @ recurrent_kernel + bias[1], 3)
        z = sigmoid(x_z + y_z);  candidate = x_h + sigmoid(x_r + y_r) y_h

    With `reset_after=False` (GRU version 1) y_h is (r h) @ recurrent_kernel's third part, and the bias is one row.
    params: kernel (in, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or (3 units,) with
    `reset_after=False`; gates z, r, h. The other options, states, mask rule and errors are those of `lstm`,
    with one state h. Source: keras.layers.GRU; Cho et al. 2014.
    """
    return run(
        GRU(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, implementation, reset_after),
        params,
        x,
        Over(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks, time_major),
    )
