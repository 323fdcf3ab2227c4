"""Convolutional LSTMs over sequences of signals, images or volumes: conv_lstm1d, conv_lstm2d, conv_lstm3d.

Source: Shi et al. 2015.
"""

from __future__ import annotations

import math
from typing import Any

from fnet.activation_functions import Activation
from fnet.backend import ops, xp
from fnet.core.infer import activation_child
from fnet.core.room import PRODUCTS, numbers
from fnet.layers.convolution import conv_room, padded_room
from fnet.layers.recurrence import (
    SequenceOptions,
    StepInTime,
    around,
    dropout_masks,
    room_over_time,
    run_over_time,
    sequence_spec,
    time_step,
)
from fnet.layers.recurrent import by_dropouts, lstm_step
from fnet.layers.windows import Windows, from_channels_last, over_axes, to_channels_last, windowed, windows
from fnet.records import dataclass
from fnet.types import Array, DataFormat, Masks, Padding, Param, Params, ParamTree, PerAxis, Positive, Rate, Spec


@dataclass(frozen=True)
class ConvLSTM:
    """The LSTM cell with convolutions for matrix products; states have the layout of the data."""

    window: Windows
    filters: int | None
    activation: Activation
    recurrent_activation: Activation
    use_bias: bool
    dropout: float
    recurrent_dropout: float

    def fused(self, params: Params) -> str | None:
        """No kernel: the convolutions take the time."""
        return None

    def zeros(self, params: Params, xs: Array) -> tuple[Array, Any]:
        """The zero output and states h, c."""
        kernel, (_, *step) = params["kernel"], xs.shape
        sizes, channels = self.window.split(tuple(step))
        output = self._fitted(kernel, channels).outputs(sizes)
        shape: Any = self.window.join(step[0], output, params["recurrent_kernel"].shape[-2])
        h = xp.zeros(shape, xp.result_type(xs.dtype, kernel.dtype))
        return h, (h, h)

    def begin(self, params: Params, xs: Array) -> tuple[Array, StepInTime]:
        """The convolved inputs (time, batch, *output, 4 filters), and the step."""
        time, batch, *_ = xs.shape
        kernel, bias = params["kernel"], params["bias"] if self.use_bias else None
        _, channels = self.window.split(xs.shape[1:])
        window, flat = self._fitted(kernel, channels), xs.reshape(time * batch, *xs.shape[2:])
        zs = _conv(window, flat, kernel, bias, self._masks(params, 0, self.dropout, xs[0]))
        h = xp.zeros(self.zeros(params, xs)[0].shape, zs.dtype)
        dropped = self._masks(params, 1, self.recurrent_dropout, h)
        recurrent = params["recurrent_kernel"]
        inner = _of_state(window)._replace(size=recurrent.shape[: window.rank])

        def step(z: Array, states: Any) -> tuple[Array, Any]:
            h, c = states
            z = z + _conv(inner, h, recurrent, None, dropped)
            y, ends = lstm_step(self, params, z, to_channels_last(c, window.data_format))
            back = [from_channels_last(a, window.data_format) for a in (y, *ends)]
            return back[0], (back[1], back[2])

        return zs.reshape(time, batch, *zs.shape[1:]), step

    def _fitted(self, kernel: Array, channels: int | None) -> Windows:
        return self.window.fitted(kernel.shape, (channels, None if self.filters is None else 4 * self.filters))

    def _masks(self, params: Params, which: int, rate: float, like: Array) -> list[Array] | None:
        """One dropout mask for each gate; a rate of 1 drops nothing, as in Keras."""
        return dropout_masks(params, which, rate if rate < 1 else 0.0, like, 4)


def _conv(window: Windows, x: Array, kernel: Array, bias: Any, dropped: list[Array] | None) -> Array:
    """(n, ...) in the layout of the data -> (n, *output, 4 filters)."""
    if dropped is not None:
        gates = xp.split(kernel, 4, axis=-1)
        repeated = [xp.concatenate([mask] * (len(x) // len(mask))) for mask in dropped]
        parts = [_conv(window, x * mask, gate, None, None) for mask, gate in zip(repeated, gates, strict=True)]
        y = xp.concatenate(parts, axis=-1)
        return y if bias is None else y + bias
    x = to_channels_last(x, window.data_format)
    pads = window.pads(tuple(x.shape[1:-1]))
    return ops.conv(x, kernel, bias, strides=window.strides, padding=pads, dilation=window.dilation)


def _rule(
    window: Windows,
    x: Any,
    *,
    filters: int,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    unit_forget_bias: bool,
    return_sequences: bool,
    return_state: bool,
) -> tuple[Any, ParamTree]:
    inputs = time_step(x)
    sizes, channels = window.split(inputs.shape)
    y = Spec(window.join(inputs.shape[0], window.outputs(sizes), filters), inputs.dtype)
    bias = {"bias": Param((4 * filters,), "unit_forget" if unit_forget_bias else "zeros")} if use_bias else {}
    gate_own = {f"recurrent_{key}": value for key, value in activation_child(recurrent_activation, y).items()}
    outputs = around(x, (y, [y, y]), return_sequences=return_sequences, return_state=return_state)
    return outputs, {
        "kernel": Param((*window.taps, channels, 4 * filters)),
        "recurrent_kernel": Param((*window.taps, filters, 4 * filters), "orthogonal"),
        **bias,
        **activation_child(activation, y),
        **gate_own,
    }


def _room(window: Windows, x: Any, *, filters: int) -> tuple[int, int]:
    """All time steps with padding; in each the windows of the inputs and of the state, and the products of both."""
    inputs, time = time_step(x), sequence_spec(x).shape[1] or 1
    sizes, channels = window.split(inputs.shape)
    state = Spec(window.join(inputs.shape[0], window.outputs(sizes), filters), inputs.dtype)
    padded, _ = padded_room(window, inputs)
    memory, work = map(sum, zip(conv_room(window, inputs), conv_room(_of_state(window), state), strict=True))
    products = 4 * numbers(state) * math.prod(window.taps) * ((channels or 1) + filters)
    return (time - 1) * padded + memory, time * (work + products // PRODUCTS)


def _of_state(window: Windows) -> Windows:
    """The windows of the convolution of the state, which keeps its sizes."""
    ones = (1,) * window.rank
    return window._replace(strides=ones, padding="same", dilation=ones)


_shape = windowed("conv_lstm{}d", _rule)
_room_over_time = room_over_time(_shape, windowed("conv_lstm{}d", _room))


@over_axes("conv_lstm{}d", _shape, _room_over_time, mask="own", rng=by_dropouts, floats=True)
def _conv_lstm(
    rank: int,
    params: Params,
    x: Any,
    *,
    filters: Positive | None = None,
    kernel_size: PerAxis | None = None,
    strides: PerAxis = 1,
    padding: Padding = "valid",
    data_format: DataFormat | None = None,
    dilation_rate: PerAxis = 1,
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
) -> Any:
    """The layers conv_lstm1d, conv_lstm2d, conv_lstm3d."""
    window = windows("conv_lstm{}d", rank, kernel_size, strides, padding, data_format, dilation_rate)
    return run_over_time(
        ConvLSTM(window, filters, activation, recurrent_activation, use_bias, dropout, recurrent_dropout),
        params,
        x,
        SequenceOptions(return_sequences, return_state, go_backwards, unroll, zero_output_for_mask, masks),
    )


conv_lstm1d = _conv_lstm(
    1,
    """(batch, time, steps, in) -> (batch, new steps, filters): `lstm` with convolutions.

        i, f, g, o = split(conv(x_t, kernel) + conv(h_(t-1), recurrent_kernel) + bias, 4)

    The input's convolution obeys `strides`, `padding` and `dilation_rate`; that of the state keeps its size
    ("same", stride 1). With "channels_first" the channels come after the time axis, in the states too.
    params: kernel (*kernel_size, in, 4 filters), recurrent_kernel (*kernel_size, filters, 4 filters), bias
    (4 filters,); gates i, f, c, o. The other options, states, mask rule and errors are those of `lstm`; a mask of
    places, (batch, time, steps), hides each by itself; dropout draws one mask for each gate.
    """,
)

conv_lstm2d = _conv_lstm(
    2, "(batch, time, height, width, in) -> (batch, new height, new width, filters), as conv_lstm1d."
)

conv_lstm3d = _conv_lstm(3, "(batch, time, *volume, in) -> (batch, *new volume, filters), as conv_lstm1d.")
