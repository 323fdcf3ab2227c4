"""Recurrent steps: layers, bidirectional ones, cells, stacks, states passed from an encoder to a decoder."""

from __future__ import annotations

from typing import Any

from tests.random_models.builder import Builder

UNITS = [3, 4]


def make(b: Builder, sequences: bool, plain: bool = False, kind: str | None = None, **options: Any) -> Any:
    """A recurrent layer; `plain` leaves out options that Bidirectional sets."""
    kind = kind or b.pick(["SimpleRNN", "LSTM", "GRU"])
    options.setdefault("units", b.pick(UNITS))
    if kind == "GRU":
        options["reset_after"] = b.flag()
    if kind != "SimpleRNN" and b.flag():
        options["recurrent_activation"] = "hard_sigmoid"
    if not plain:
        options |= {"go_backwards": b.flag(), "unroll": b.number(0, 5) == 5}
    drawn = {"use_bias": b.flag(), "activation": b.pick(["tanh", "tanh", "relu"])}
    if sequences and not plain:
        drawn["zero_output_for_mask"] = b.flag()
    return getattr(b.layers, kind)(return_sequences=sequences, dropout=b.pick([0.0, 0.2]), **drawn, **options)


def recurrent(b: Builder, x: Any) -> Any:
    return make(b, b.flag())(x)


def shared(b: Builder, x: Any) -> Any:
    """One recurrent layer wherever the width is the same."""
    key = ("recurrent", x.shape[-1])
    if key not in b.shared:
        b.shared[key] = make(b, True)
    layer = b.shared[key]
    return b.layers.Concatenate()([layer(x), layer(b.layers.Activation("tanh")(x))])


def bidirectional(b: Builder, x: Any) -> Any:
    merge = b.pick(["concat", "sum", "mul", "ave", None])
    y = b.layers.Bidirectional(make(b, b.flag(), plain=True), merge_mode=merge)(x)
    return b.layers.Concatenate()(y) if merge is None else y


def with_states(b: Builder, x: Any) -> Any:
    """The states as further outputs."""
    y, *states = make(b, b.flag(), return_state=True)(x)
    b.extras += states
    return y


def encoder_decoder(b: Builder, x: Any) -> Any:
    """The states of one layer are the initial states of another."""
    kind, units = b.pick(["SimpleRNN", "LSTM", "GRU"]), b.pick(UNITS)
    _, *states = make(b, False, kind=kind, units=units, return_state=True)(x)
    decoder = make(b, True, kind=kind, units=units)
    target = b.pick([x, b.layers.Dense(3)(x)])
    return decoder(target, initial_state=states if len(states) > 1 or b.flag() else states[0])


def bidirectional_states(b: Builder, x: Any) -> Any:
    y, *states = b.layers.Bidirectional(make(b, True, plain=True, return_state=True))(x)
    b.extras.append(b.layers.Concatenate()(states))
    return y


def cells(b: Builder, x: Any) -> Any:
    """RNN around cells."""
    layers = b.layers
    drawn = [
        lambda: layers.LSTMCell(b.pick(UNITS)),
        lambda: layers.GRUCell(b.pick(UNITS), reset_after=b.flag()),
        lambda: layers.SimpleRNNCell(b.pick(UNITS), activation="relu"),
    ]
    made = [b.pick(drawn)() for _ in range(b.number(1, 3))]
    cell = b.pick([made, layers.StackedRNNCells(made)]) if len(made) > 1 else made[0]
    return layers.RNN(cell, return_sequences=b.flag(), go_backwards=b.flag())(x)


def explicitly_masked(b: Builder, x: Any) -> Any:
    """A mask that the graph itself computes."""
    if b.narrow:
        return recurrent(b, x)
    mask = b.ops.greater(x[:, :, 0], -0.4)
    return make(b, b.flag())(x, mask=mask)


STEPS = [recurrent, shared, bidirectional, with_states, encoder_decoder, bidirectional_states, cells, explicitly_masked]
