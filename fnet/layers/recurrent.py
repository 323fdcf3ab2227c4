"""Recurrent layers: simple_rnn, lstm, gru, and the equations of one time step of each.

`fnet.layers.recurrence` runs a `StepInTime` of these over a sequence or, for plain cells, a kernel that does all steps.
The same steps as layers are in `fnet.layers.cells`; other cells and stacks of cells are in `fnet.layers.any_cell`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from fnet.activation_functions import Activation, activate
from fnet.backend import xp
from fnet.core.infer import activation_child
from fnet.core.model import EMPTY
from fnet.core.options import asking
from fnet.core.rules import layer
from fnet.errors import InvalidInput
from fnet.layers.recurrence import (
    SequenceOptions,
    StepInTime,
    around,
    dropout_masks,
    project,
    require_states,
    room_over_time,
    run_over_time,
    time_step,
)
from fnet.records import dataclass
from fnet.types import Array, Masks, Param, Params, ParamTree, Positive, Rate, Spec


@dataclass(frozen=True)
class _Cell:
    """The options that all cells share."""

    activation: Activation
    use_bias: bool
    dropout: float
    recurrent_dropout: float

    states: ClassVar[int] = 1

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """The output and states (batch, units) before the first step, in the dtype of the computation."""
        kernel = params["recurrent_kernel"]
        h = xp.zeros((xs.shape[1], kernel.shape[0]), xp.result_type(xs.dtype, kernel.dtype))
        return h, (h,) * self.states

    def _plain(self, params: Params) -> bool:
        """Whether there is no dropout, and the activations are those of the kernels."""
        drops_nothing = "rng" not in params or (self.dropout <= 0 and self.recurrent_dropout <= 0)
        return drops_nothing and self.activation == "tanh"


@dataclass(frozen=True)
class SimpleRNN(_Cell):
    """h' = activation(x @ kernel + bias + h @ recurrent_kernel)."""

    def fused(self, params: Params) -> str | None:
        """The kernel for plain cells."""
        return "simple_rnn" if self._plain(params) else None

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
            # Two sums of half the length: without gates, rounding errors grow with every step.
            y = activate(self.activation, params, z + (h[:, :half] @ first + h[:, half:] @ second))
            return y, (y,)

        return zs, step


@dataclass(frozen=True)
class _Gated(_Cell):
    """A cell with gates."""

    recurrent_activation: Activation
    implementation: int

    def _plain(self, params: Params) -> bool:
        return super()._plain(params) and self.recurrent_activation == "sigmoid"

    def masks(self, params: Params, which: int, like: Array, gates: int) -> list[Array] | None:
        """Dropout masks: one for each gate in Keras's implementation 1, else one for all. A rate of 1 drops nothing."""
        rate = self.recurrent_dropout if which else self.dropout
        separate = self.implementation == 1 or self.recurrent_dropout > 0
        return dropout_masks(params, which, rate if rate < 1 else 0.0, like, gates if separate else 1)


@dataclass(frozen=True)
class LSTM(_Gated):
    """c' = f c + i activation(z_c); h' = o activation(c'); gates in the order i, f, c, o along the last axis."""

    states: ClassVar[int] = 2

    def fused(self, params: Params) -> str | None:
        """The kernel for tanh cells with sigmoid gates."""
        return "lstm" if self._plain(params) else None

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The projected inputs (time, batch, 4 units), and the step."""
        kernel = params["recurrent_kernel"]
        zs = project(xs, params["kernel"], self.masks(params, 0, xs[0], 4))
        if self.use_bias:
            zs = zs + params["bias"]
        dropped = self.masks(params, 1, zs[0, :, : kernel.shape[0]], 4)

        def step(z: Array, states: Any) -> tuple[Array, Any]:
            h, c = states
            return lstm_step(self, params, z + project(h, kernel, dropped), c)

        return zs, step


def lstm_step(cell: Any, params: Params, z: Array, c: Array) -> tuple[Array, Any]:
    """(h', (h', c')) from the sums `z` of the gates i, f, c, o along the last axis."""
    i, f, g, o = xp.split(z, 4, axis=-1)
    c = gate(cell, params, f) * c + gate(cell, params, i) * activate(cell.activation, params, g)
    h = gate(cell, params, o) * activate(cell.activation, params, c)
    return h, (h, c)


@dataclass(frozen=True)
class GRU(_Gated):
    """h' = z h + (1 - z) activation(x_h + r (h @ R_h)); gates in the order z, r, h along the last axis.

    With `reset_after=False` the last product is (r h) @ R_h.
    """

    reset_after: bool

    def fused(self, params: Params) -> str | None:
        """The kernels for tanh cells with sigmoid gates."""
        return ("gru" if self.reset_after else "gru_reset_before") if self._plain(params) else None

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The projected inputs (time, batch, 3 units), and the step."""
        units = params["recurrent_kernel"].shape[0]
        bias, recurrent_bias = (params["bias"], None) if self.use_bias else (None, None)
        if self.use_bias and self.reset_after:
            bias, recurrent_bias = params["bias"]
        zs = project(xs, params["kernel"], self.masks(params, 0, xs[0], 3))
        if bias is not None:
            zs = zs + bias
        dropped = self.masks(params, 1, zs[0, :, :units], 3)
        inner = self._reset_after if self.reset_after else self._reset_before

        def step(z: Array, states: Any) -> tuple[Array, Any]:
            (h,) = states
            update, candidate = inner(params, z, h, recurrent_bias, dropped)
            h = update * h + (1 - update) * activate(self.activation, params, candidate)
            return h, (h,)

        return zs, step

    def _reset_after(self, params: Params, z: Array, h: Array, bias: Any, dropped: Any) -> tuple[Array, Array]:
        """(update gate, candidate before its activation)."""
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


def gate(cell: Any, params: Params, z: Array) -> Array:
    """The recurrent activation, whose own params (rare: a PReLU) are the entry "recurrent_activation"."""
    return activate(cell.recurrent_activation, {"activation": params.get("recurrent_activation", EMPTY)}, z)


# --- shape rules ----------------------------------------------------------------------------------


def cell_inputs(x: Any) -> tuple[Any, Any]:
    """(inputs, states) from `(inputs, states)` or {"inputs": ..., "states": ...}; a Spec has no states yet.

    Keras's SimpleRNNCell calls its inputs "sequence".
    """
    if isinstance(x, Mapping):
        return x["inputs"] if "inputs" in x else x["sequence"], x["states"]
    if isinstance(x, tuple | list):
        if len(x) != 2:
            raise InvalidInput(f"a cell takes (inputs, states), the states in a list; got {len(x)} values")
        return x[0], x[1]
    return x, None


def _cell_rule(
    x: Any, units: int, gates: int, bias: Param | None, activation: Activation, gate_by: Activation = None
) -> tuple[Any, ParamTree]:
    """Shape rule of a cell: (output, [h]), and kernel, recurrent_kernel, bias, and the params of its activations."""
    inputs, states = cell_inputs(x)
    if len(inputs.shape) != 2:
        raise InvalidInput(f"a recurrent cell takes (batch, features) at each time step; got {inputs}")
    y = Spec((inputs.shape[0], units), inputs.dtype)
    require_states(states, [y, y])
    return (y, [y]), {
        "kernel": Param((inputs.shape[-1], gates * (units or 0))),
        "recurrent_kernel": Param((units or 0, gates * (units or 0)), "orthogonal"),
        **({} if bias is None else {"bias": bias}),
        **activation_child(activation, y),
        **{f"recurrent_{key}": value for key, value in activation_child(gate_by, y).items()},
    }


def simple_rnn_cell_rule(x: Any, *, units: int, use_bias: bool, activation: Activation) -> tuple[Any, ParamTree]:
    """Shape rule of the cell: (output, [h])."""
    return _cell_rule(x, units, 1, Param((units,), "zeros") if use_bias else None, activation)


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
    bias = Param((4 * units,), "unit_forget" if unit_forget_bias else "zeros") if use_bias else None
    (y, _), params = _cell_rule(x, units, 4, bias, activation, recurrent_activation)
    return (y, [y, y]), params


def gru_cell_rule(
    x: Any, *, units: int, use_bias: bool, reset_after: bool, activation: Activation, recurrent_activation: Activation
) -> tuple[Any, ParamTree]:
    """Shape rule of the cell: (output, [h])."""
    bias = Param((2, 3 * units) if reset_after else (3 * units,), "zeros") if use_bias else None
    return _cell_rule(x, units, 3, bias, activation, recurrent_activation)


def by_dropouts(*, dropout: float, recurrent_dropout: float) -> bool:
    """Whether an `rng` would change the result."""
    return dropout > 0 or recurrent_dropout > 0


def _over_time(cell_rule: Callable[..., Any]) -> Callable[..., Any]:
    """The shape rule of a recurrent layer, from that of its cell; it takes the options of both."""

    def rule(
        x: Any, *, return_sequences: bool, return_state: bool, time_major: bool, **options: Any
    ) -> tuple[Any, ParamTree]:
        y, params = cell_rule(time_step(x, time_major), **options)
        return around(x, y, return_sequences=return_sequences, return_state=return_state), params

    return asking(rule, cell_rule)


def _recurrent(cell_rule: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    rule = _over_time(cell_rule)
    return layer(shape=rule, room=room_over_time(rule), mask="own", rng=by_dropouts, floats=True)


# --- the layers -----------------------------------------------------------------------------------


@_recurrent(simple_rnn_cell_rule)
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
    masks: Masks = "keras3",
    time_major: bool = False,
) -> Any:
    """(batch, time, in) -> (batch, units): h_t = activation(x_t @ kernel + bias + h_(t-1) @ recurrent_kernel).

    params: kernel (in, units), recurrent_kernel (units, units), bias (units,). The options, states, mask rule
    and errors are those of `lstm`, with one state h. Source: keras.layers.SimpleRNN.
    """
    return run_over_time(
        SimpleRNN(activation, use_bias, dropout, recurrent_dropout),
        params,
        x,
        SequenceOptions(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks, time_major),
    )


@_recurrent(lstm_cell_rule)
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
    masks: Masks = "keras3",
    time_major: bool = False,
    implementation: int = 2,
) -> Any:
    """(batch, time, in) -> (batch, units), the last output; (batch, time, units) with `return_sequences`.

        i, f, g, o = split(x_t @ kernel + h_(t-1) @ recurrent_kernel + bias, 4)
        c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)
        h_t = sigmoid(o) tanh(c_t)

    x: the sequence; or (sequence, h, c) with initial states; or a dict with the names of the Keras call,
    {"sequences": ..., "initial_state": [h, c], "mask": ...}. `return_state` returns (output, h, c).
    params: kernel (in, 4 units), recurrent_kernel (units, 4 units), bias (4 units,); gates i, f, c, o.
    `go_backwards` starts at the end and returns the outputs in that order. `stateful` changes nothing here: each call
    starts from zeros; `fnet.streaming` carries states. `unroll` matters in one case: with go_backwards and
    zero_output_for_mask Keras uses the mask in its original order.
    With `time_major`, of Keras 2, the sequence, its mask and output sequences are (time, batch, ...).
    `dropout` and `recurrent_dropout` act when params hold `rng`, with one mask for a whole sequence
    (`implementation=1`, or any recurrent dropout: one for each gate).
    Mask: a masked step keeps the states and repeats the previous output (zeros before the first valid step, zeros
    everywhere with `zero_output_for_mask`); passed on with `return_sequences`. With initial states only a mask under
    the key "mask" is applied: Keras 3 ignores one that the sequence carries, Keras 2 (masks="keras2") does not.
    Errors: InvalidInput for a sequence without time steps.
    Source: keras.layers.LSTM; Hochreiter and Schmidhuber 1997.

    >>> p = {"kernel": np.ones((3, 8)), "recurrent_kernel": np.zeros((2, 8)), "bias": np.zeros(8)}
    >>> lstm(p, np.zeros((1, 5, 3)))
    array([[0., 0.]])
    """
    return run_over_time(
        LSTM(activation, use_bias, dropout, recurrent_dropout, recurrent_activation, implementation),
        params,
        x,
        SequenceOptions(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks, time_major),
    )


@_recurrent(gru_cell_rule)
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
    masks: Masks = "keras3",
    time_major: bool = False,
    implementation: int = 2,
) -> Any:
    """(batch, time, in) -> (batch, units): h_t = z h_(t-1) + (1 - z) tanh(candidate).

        x_z, x_r, x_h = split(x_t @ kernel + bias[0], 3);  y_z, y_r, y_h = split(h @ recurrent_kernel + bias[1], 3)
        z = sigmoid(x_z + y_z);  candidate = x_h + sigmoid(x_r + y_r) y_h

    With `reset_after=False` (GRU version 1) y_h is (r h) @ the third part of recurrent_kernel, with a bias of one row.
    params: kernel (in, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or (3 units,) with
    `reset_after=False`; gates z, r, h. The other options, states, mask rule and errors are those of `lstm`,
    with one state h. Source: keras.layers.GRU; Cho et al. 2014.
    """
    return run_over_time(
        GRU(activation, use_bias, dropout, recurrent_dropout, recurrent_activation, implementation, reset_after),
        params,
        x,
        SequenceOptions(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks, time_major),
    )
