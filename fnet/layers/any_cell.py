"""`rnn` with any cell, and `stacked_rnn_cells`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

from fnet import tree
from fnet.core import infer
from fnet.core.compose import Sequential, sequential
from fnet.core.layer import Bound, bind
from fnet.core.model import EMPTY, flow
from fnet.core.rules import layer
from fnet.dtypes import name_of
from fnet.layers.cells import gru_cell, lstm_cell, simple_rnn_cell
from fnet.layers.recurrence import (
    SequenceOptions,
    Stack,
    StepInTime,
    around,
    as_lists,
    as_tuples,
    require_states,
    room_over_time,
    run_over_time,
    time_step,
    zeros,
)
from fnet.layers.recurrent import GRU, LSTM, SimpleRNN, cell_inputs
from fnet.masks import strip
from fnet.records import dataclass
from fnet.types import Array, Masks, Params, ParamTree, Spec

Cells: TypeAlias = "Mapping[str, Any] | list[Any] | tuple[Any, ...]"


@dataclass(frozen=True)
class Custom:
    """Any step `(params, (inputs, states)) -> (output, states)` as a cell."""

    step: Any

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """Zeros of the shapes that the step's shape rule gives."""
        y, states = infer.infer(self.step, Spec(tuple(xs.shape[1:]), name_of(xs.dtype)))[0]
        return zeros(y), as_tuples(tree.map(zeros, states))

    def fused(self, params: Params) -> str | None:
        """No kernel knows it."""
        return None

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The inputs as they are, and the step."""

        def step(x: Array, states: Any) -> tuple[Array, Any]:
            y, states = strip(flow(self.step, params, (x, as_lists(states))))
            return y, as_tuples(states)

        return xs, step


def _cell(step: Any) -> Any:
    """The `Cell` of a cell layer; a stack becomes a `Stack`."""
    kinds: dict[Any, Any] = {simple_rnn_cell: SimpleRNN, lstm_cell: LSTM, gru_cell: GRU}
    bound = bind(step)
    if bound.dtype is None and bound.function is stacked_rnn_cells:
        return Stack(tuple((name, _cell(cell)) for name, cell in _named(bound.all_options["cells"]).steps))
    if bound.dtype is not None or bound.function not in kinds:
        return Custom(step)
    kind = kinds[bound.function]
    return kind(**{field.name: bound.all_options[field.name] for field in fields(kind)})


def _named(cells: Cells) -> Sequential:
    """The cells by their params keys: Keras-like names, unless a mapping gives them."""
    if not cells:
        raise ValueError("a stack of no cells")
    return sequential(cells) if isinstance(cells, Mapping) else sequential(*cells)


def _stacked_rule(x: Any, *, cells: Cells) -> tuple[Any, ParamTree]:
    y, initial = cell_inputs(x)
    states, params = [], {}
    for name, cell in _named(cells).steps:
        (y, state), params[name] = infer.infer(cell, y)
        states.append(state)
    require_states(initial, states)
    return (y, states), {"cells": params}


@layer(shape=_stacked_rule, mask="drop", children=lambda *, cells: {"cells": _named(cells)})
def stacked_rnn_cells(params: Params, x: Any, *, cells: Cells) -> tuple[Array, list[Any]]:
    """(inputs, [states of each cell]) -> (output, states): each cell takes the output of the one below.

    cells: cell layers, or {name: cell}. params: {"cells": {"lstm_cell": ..., "lstm_cell_1": ...}}.
    Mask: dropped. Source: keras.layers.StackedRNNCells.
    """
    y, states = cell_inputs(x)
    ends = []
    for (name, cell), state in zip(_named(cells).steps, states, strict=True):
        y, end = strip(flow(cell, params["cells"].get(name, EMPTY), (y, state)))
        ends.append(end)
    return y, ends


def _one(cell: Any) -> Any:
    """The cell of an rnn: a list of cells is a stack."""
    return Bound(stacked_rnn_cells, tree.freeze({"cells": cell})) if isinstance(cell, list | tuple) else cell


def _rnn_rule(
    x: Any, *, cell: Any, return_sequences: bool, return_state: bool, time_major: bool
) -> tuple[Any, ParamTree]:
    y, params = infer.infer(_one(cell), time_step(x, time_major))
    return around(x, y, return_sequences=return_sequences, return_state=return_state), {"cell": params}


def _rnn_children(*, cell: Any) -> dict[str, Any]:
    return {"cell": _one(cell)}


@layer(shape=_rnn_rule, room=room_over_time(_rnn_rule), mask="own", children=_rnn_children, floats=True)
def rnn(
    params: Params,
    x: Any,
    *,
    cell: Callable[..., Any] | Sequence[Callable[..., Any]],
    return_sequences: bool = False,
    return_state: bool = False,
    go_backwards: bool = False,
    stateful: bool = False,
    unroll: bool = False,
    zero_output_for_mask: bool = False,
    masks: Masks = "keras3",
    time_major: bool = False,
) -> Any:
    """(batch, time, ...) -> (batch, ...): a cell, or a list of stacked cells, over a sequence.

    cell: a layer `(params, (inputs, states)) -> (output, states)`, such as `bind(lstm_cell, units=4)`, or a
    list of them. params: {"cell": ...}. The other options, states, mask rule and errors are those of `lstm`;
    the states of a stack are one list for each cell. Source: keras.layers.RNN.
    """
    return run_over_time(
        _cell(_one(cell)),
        params.get("cell", EMPTY),
        x,
        SequenceOptions(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks, time_major),
    )
