"""Recurrent layers: simple_rnn, lstm, gru, and rnn around any cell or stack of cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fnet import modelling, tree
from fnet.activations import Activation
from fnet.backend import xp
from fnet.compose import EMPTY, Bound, Sequential, layer, sequential
from fnet.compose import run as run_step
from fnet.layers import cells as _cells
from fnet.layers.cells import GRU, LSTM, SimpleRNN, cell_inputs, drops
from fnet.layers.recurrence import Over, Stack, StepInTime, around, as_tuples, run, time_step
from fnet.masking import strip
from fnet.types import Array, Params, ParamTree, Spec

Cells: TypeAlias = "Mapping[str, Any] | list[Any] | tuple[Any, ...]"


def _simple_rnn_rule(
    x: Any, *, units: int, use_bias: bool, activation: Activation, return_sequences: bool, return_state: bool
) -> tuple[Any, ParamTree]:
    y, params = _cells.simple_rnn_cell_rule(time_step(x), units=units, use_bias=use_bias, activation=activation)
    return around(x, y, return_sequences=return_sequences, return_state=return_state), params


@layer(shape=_simple_rnn_rule, mask="own", rng=drops, floats=True)
def simple_rnn(
    params: Params,
    x: Any,
    *,
    units: int | None = None,
    activation: Activation = "tanh",
    use_bias: bool = True,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
) -> Any:
    """(batch, time, in) -> (batch, units): h_t = activation(x_t @ kernel + bias + h_(t-1) @ recurrent_kernel).

    params: kernel (in, units), recurrent_kernel (units, units), bias (units,). The options, states, mask rule
    and errors are those of `lstm`, with one state h. Source: keras.layers.SimpleRNN.
    """
    return run(
        SimpleRNN(activation, use_bias, dropout, recurrent_dropout),
        params,
        x,
        Over(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask),
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
) -> tuple[Any, ParamTree]:
    y, params = _cells.lstm_cell_rule(
        time_step(x),
        units=units,
        use_bias=use_bias,
        unit_forget_bias=unit_forget_bias,
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    return around(x, y, return_sequences=return_sequences, return_state=return_state), params


@layer(shape=_lstm_rule, mask="own", rng=drops, floats=True)
def lstm(
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
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
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
    `dropout` and `recurrent_dropout` act when params hold `rng`, one mask for a whole sequence
    (`implementation=1`, or any recurrent dropout: one for each gate).
    Mask: a masked step keeps the states and repeats the output before it, zeros before the first valid step,
    zeros everywhere with `zero_output_for_mask`; handed on with `return_sequences`. With initial states, only a
    mask under the key "mask" is applied: Keras leaves one that travels with the sequence aside.
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
        Over(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask),
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
) -> tuple[Any, ParamTree]:
    y, params = _cells.gru_cell_rule(
        time_step(x),
        units=units,
        use_bias=use_bias,
        reset_after=reset_after,
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    return around(x, y, return_sequences=return_sequences, return_state=return_state), params


@layer(shape=_gru_rule, mask="own", rng=drops, floats=True)
def gru(
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
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
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
        Over(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask),
    )


# --- any cell -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Custom:
    """Any step `(params, (inputs, states)) -> (output, states)` as a cell."""

    step: Any

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """Zeros of the shapes that the step's rule tells."""
        made = tree.map(
            lambda spec: xp.zeros(spec.shape, spec.dtype),
            modelling.infer(self.step, Spec(tuple(xs.shape[1:]), str(xs.dtype)))[0],
        )
        return made[0], as_tuples(made[1])

    def fused(self, params: Params) -> str | None:
        """No kernel knows it."""
        return None

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The inputs as they are, and the step."""

        def step(x: Array, states: Any) -> tuple[Array, Any]:
            y, states = strip(run_step(self.step, params, (x, as_lists_of(states))))
            return y, as_tuples(states)

        return xs, step


def as_lists_of(states: Any) -> Any:
    """States as Keras hands them to a cell: a list."""
    return [as_lists_of(state) for state in states] if isinstance(states, tuple) else states


def _cell(step: Any) -> Any:
    """The mathematics of a cell layer; a stack becomes one sweep for each of its cells."""
    function = step.function if isinstance(step, Bound) else step
    known = {_cells.simple_rnn_cell: SimpleRNN, _cells.lstm_cell: LSTM, _cells.gru_cell: GRU}
    if isinstance(step, Bound) and step.dtype is not None:
        return Custom(step)
    if function is stacked_rnn_cells:
        options = modelling.resolved_options(step)
        return Stack(tuple((name, _cell(cell)) for name, cell in _named(options["cells"]).steps))
    if function not in known:
        return Custom(step)
    options = modelling.resolved_options(step)
    kind: Any = known[function]
    return kind(**{name: options[name] for name in kind.__dataclass_fields__})


def _named(cells: Cells) -> Sequential:
    """The cells with the names of their params entries: Keras-like ones, unless a mapping gives them."""
    return sequential(cells) if isinstance(cells, Mapping) else sequential(*cells)


def _stacked_rule(x: Any, *, cells: Cells) -> tuple[Any, ParamTree]:
    y, _ = cell_inputs(x)
    states, params = [], {}
    for name, cell in _named(cells).steps:
        (y, state), params[name] = modelling.infer(cell, y)
        states.append(state)
    return (y, states), {"cells": params}


def _stacked_children(*, cells: Cells) -> dict[str, Any]:
    return {"cells": _named(cells)}


@layer(shape=_stacked_rule, mask="drop", children=_stacked_children)
def stacked_rnn_cells(params: Params, x: Any, *, cells: Cells) -> tuple[Array, list[Any]]:
    """(inputs, [states of each cell]) -> (output, states): each cell takes the output of the one below.

    cells: cell layers, or {name: cell}. params: {"cells": {"lstm_cell": ..., "lstm_cell_1": ...}}.
    Mask: lost. Source: keras.layers.StackedRNNCells.
    """
    y, states = cell_inputs(x)
    ends = []
    for (name, cell), state in zip(_named(cells).steps, states, strict=True):
        y, end = strip(run_step(cell, params["cells"].get(name, EMPTY), (y, state)))
        ends.append(end)
    return y, ends


def _one(cell: Any) -> Any:
    """The cell of an rnn: a list of cells is a stack."""
    return Bound(stacked_rnn_cells, tree.freeze({"cells": cell})) if isinstance(cell, list | tuple) else cell


def _rnn_rule(x: Any, *, cell: Any, return_sequences: bool, return_state: bool) -> tuple[Any, ParamTree]:
    y, params = modelling.infer(_one(cell), time_step(x))
    return around(x, y, return_sequences=return_sequences, return_state=return_state), {"cell": params}


def _rnn_children(*, cell: Any) -> dict[str, Any]:
    return {"cell": _one(cell)}


@layer(shape=_rnn_rule, mask="own", children=_rnn_children, floats=True)
def rnn(
    params: Params,
    x: Any,
    *,
    cell: Any,
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
) -> Any:
    """(batch, time, ...) -> (batch, ...): a cell, or a list of cells on top of each other, over a sequence.

    cell: a layer `(params, (inputs, states)) -> (output, states)`, such as `bind(lstm_cell, units=4)`, or a
    list of them. params: {"cell": ...}. The other options, states, mask rule and errors are those of `lstm`;
    the states of a stack are one list for each cell. Source: keras.layers.RNN.
    """
    return run(
        _cell(_one(cell)),
        params.get("cell", EMPTY),
        x,
        Over(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask),
    )
