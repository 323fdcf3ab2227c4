"""Cases of fnet.layers.recurrent, cells, conv_recurrent and wrappers: every option, masked and not."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import Any

import numpy as np

import fnet
from fnet import Sequential, bind
from fnet.core.layer import Bound
from tests.cases import Case

CLASSES = {
    "simple_rnn": "SimpleRNN",
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn": "RNN",
    "simple_rnn_cell": "SimpleRNNCell",
    "lstm_cell": "LSTMCell",
    "gru_cell": "GRUCell",
    "stacked_rnn_cells": "StackedRNNCells",
    "bidirectional": "Bidirectional",
    "time_distributed": "TimeDistributed",
    "conv_lstm1d": "ConvLSTM1D",
    "conv_lstm2d": "ConvLSTM2D",
    "conv_lstm3d": "ConvLSTM3D",
    "dense": "Dense",
    "conv2d": "Conv2D",
    "embedding": "Embedding",
    "masking": "Masking",
    "max_pooling2d": "MaxPooling2D",
}


def twin(keras: Any, step: Any) -> Any:
    """The Keras layer of a step, steps inside its options included."""
    if isinstance(step, Sequential):
        return keras.Sequential([twin(keras, inner) for _, inner in step.steps])
    if isinstance(step, tuple | list):
        return [twin(keras, inner) for inner in step]
    if not isinstance(step, Bound):
        return step
    options = {key: twin(keras, value) for key, value in step.options.items()}
    return getattr(keras.layers, CLASSES[step.function.__name__])(**options)


def row(function: Any, shapes: Any, mask: bool = False, idle: str = "", **options: Any) -> Case:
    """A case; its twin is made from its options."""
    step = bind(function, **options)
    label = f"{step!r}-{shapes}{'-masked' if mask else ''}".replace("bind(", "").replace(", ", ",")
    return Case(function, shapes, options, twin=functools.partial(_twin, step), mask=mask, label=label, idle=idle)


def _twin(step: Any, keras: Any) -> Any:
    return twin(keras, step)


X = (4, 6, 5)
BOTH = (False, True)

FLAGS = [
    {},
    {"return_sequences": True},
    {"return_sequences": True, "return_state": True},
    {"return_state": True, "go_backwards": True},
    {"return_sequences": True, "go_backwards": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"zero_output_for_mask": True, "go_backwards": True, "return_state": True},
    {"return_sequences": True, "zero_output_for_mask": True, "go_backwards": True},
    {"return_sequences": True, "unroll": True},
    {"return_sequences": True, "zero_output_for_mask": True, "go_backwards": True, "unroll": True},
    {"zero_output_for_mask": True, "go_backwards": True, "unroll": True, "return_state": True},
]
KINDS = {
    fnet.simple_rnn: [{}, {"use_bias": False}, {"activation": "relu"}, {"dropout": 0.3, "recurrent_dropout": 0.2}],
    fnet.lstm: [
        {},
        {"use_bias": False},
        {"unit_forget_bias": False, "dropout": 0.5, "recurrent_activation": "hard_sigmoid"},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"activation": "linear", "recurrent_activation": "tanh", "recurrent_dropout": 0.5},
    ],
    fnet.gru: [
        {},
        {"use_bias": False},
        {"reset_after": False},
        {"reset_after": False, "use_bias": False, "recurrent_activation": "hard_sigmoid"},
        {"activation": "softsign", "recurrent_activation": "hard_sigmoid", "dropout": 0.5},
        {"activation": "relu", "recurrent_activation": "sigmoid", "reset_after": False, "recurrent_dropout": 0.5},
        {"activation": "relu", "use_bias": False},
    ],
}

LAYERS = [
    *(row(function, X, mask, units=4, **flags) for function, flags, mask in itertools.product(KINDS, FLAGS, BOTH)),
    *(
        row(function, X, mask, units=3, return_sequences=True, **options)
        for function, variants in KINDS.items()
        for options, mask in itertools.product(variants[1:], BOTH)
    ),
    row(fnet.gru, X, True, units=4, reset_after=False, return_state=True, go_backwards=True),
    row(fnet.lstm, (2, 1, 5), True, units=2),
    row(fnet.lstm, (1, 7, 1), units=2, return_sequences=True),
    # Saved without a mask these would need a fixed batch size; test_streaming loads such a model.
    *(row(function, X, True, units=4, stateful=True, return_sequences=True) for function in KINDS),
]

UNREAD = "a mask that travels is not read where states come in"

STATES = [
    *(
        row(fnet.lstm, {"sequences": X, "initial_state": ((4, 4), (4, 4))}, mask, UNREAD, units=4, **flags)
        for flags, mask in itertools.product(FLAGS[:5], BOTH)
    ),
    *(
        row(function, {"sequences": X, "initial_state": states}, mask, units=4, return_sequences=True)
        for function, states, mask in itertools.product((fnet.gru, fnet.simple_rnn), ((4, 4), ((4, 4),)), BOTH)
    ),
    row(
        fnet.rnn,
        {"sequences": X, "initial_state": (((4, 4), (4, 4)), ((4, 2),))},
        cell=(bind(fnet.lstm_cell, units=4), bind(fnet.gru_cell, units=2)),
        return_state=True,
    ),
    row(
        fnet.bidirectional,
        {"sequences": X, "initial_state": ((4, 4),) * 4},
        layer=bind(fnet.lstm, units=4, return_sequences=True, return_state=True),
    ),
    row(
        fnet.bidirectional,
        {"sequences": X, "initial_state": ((4, 4),) * 2},
        True,
        layer=bind(fnet.gru, units=4, return_sequences=True),
        merge_mode="ave",
    ),
]

CELL = {
    "simple": bind(fnet.simple_rnn_cell, units=4),
    "lstm": bind(fnet.lstm_cell, units=3),
    "gru": bind(fnet.gru_cell, units=2, reset_after=False),
    "gru_after": bind(fnet.gru_cell, units=5, activation="relu"),
}
CELLS = [
    row(fnet.simple_rnn_cell, {"sequence": (3, 5), "states": ((3, 4),)}, units=4),
    row(fnet.simple_rnn_cell, {"sequence": (3, 5), "states": (3, 4)}, units=4, activation="relu", use_bias=False),
    row(fnet.lstm_cell, {"inputs": (3, 5), "states": ((3, 4), (3, 4))}, units=4),
    row(fnet.lstm_cell, {"inputs": (3, 5), "states": ((3, 4), (3, 4))}, units=4, recurrent_activation="hard_sigmoid"),
    row(fnet.lstm_cell, {"inputs": (3, 5), "states": ((3, 4), (3, 4))}, units=4, activation="relu", use_bias=False),
    row(fnet.lstm_cell, {"inputs": (3, 5), "states": ((3, 4), (3, 4))}, units=4, unit_forget_bias=False),
    row(fnet.gru_cell, {"inputs": (3, 5), "states": ((3, 4),)}, units=4),
    row(
        fnet.gru_cell,
        {"inputs": (3, 5), "states": ((3, 4),)},
        units=4,
        activation="softsign",
        recurrent_activation="hard_sigmoid",
    ),
    row(fnet.gru_cell, {"inputs": (3, 5), "states": ((3, 4),)}, units=4, reset_after=False, use_bias=False),
    row(
        fnet.stacked_rnn_cells,
        {"inputs": (3, 5), "states": (((3, 3), (3, 3)), ((3, 2),))},
        cells=(CELL["lstm"], CELL["gru"]),
    ),
    row(
        fnet.stacked_rnn_cells,
        {"inputs": (3, 5), "states": (((3, 2),), ((3, 4),))},
        cells=(CELL["gru"], CELL["simple"]),
    ),
    *(row(fnet.rnn, X, mask, cell=cell, **FLAGS[2]) for cell, mask in itertools.product(CELL.values(), BOTH)),
    *(
        row(fnet.rnn, X, mask, cell=(CELL["lstm"], CELL["gru"], CELL["simple"], CELL["lstm"]), **flags)
        for flags, mask in itertools.product((FLAGS[0], FLAGS[2], FLAGS[3], FLAGS[7]), BOTH)
    ),
    row(fnet.rnn, X, cell=bind(fnet.stacked_rnn_cells, cells=(CELL["gru_after"],)), return_state=True),
    row(
        fnet.rnn,
        X,
        cell=(CELL["gru"], bind(fnet.stacked_rnn_cells, cells=(CELL["lstm"], CELL["gru"]))),
        return_sequences=True,
    ),
]

BIDIRECTIONAL = [
    *(
        row(fnet.bidirectional, X, mask, layer=bind(function, units=4, **flags), merge_mode=mode)
        for function, flags, mode, mask in itertools.product(
            (fnet.lstm,), FLAGS[:3], ("concat", "sum", "ave", "mul", None), BOTH
        )
    ),
    *(
        row(fnet.bidirectional, X, mask, layer=bind(function, units=4, return_sequences=sequences))
        for function, sequences, mask in itertools.product((fnet.simple_rnn, fnet.gru), BOTH, BOTH)
    ),
    row(fnet.bidirectional, X, True, layer=bind(fnet.gru, units=4, return_state=True), merge_mode="sum"),
    row(fnet.bidirectional, X, True, layer=bind(fnet.lstm, units=4, return_sequences=True, unroll=True)),
    row(
        fnet.bidirectional,
        X,
        True,
        layer=bind(fnet.lstm, units=4, return_sequences=True),
        backward_layer=bind(fnet.gru, units=3, return_sequences=True, go_backwards=True, activation="relu"),
    ),
    row(
        fnet.bidirectional,
        X,
        layer=bind(fnet.lstm, units=3, go_backwards=True),
        backward_layer=bind(fnet.simple_rnn, units=3),
        merge_mode="mul",
    ),
    row(fnet.bidirectional, X, True, layer=bind(fnet.rnn, cell=(CELL["lstm"], CELL["gru"]), return_sequences=True)),
    row(
        fnet.bidirectional,
        (2, 4, 6, 6, 2),
        layer=bind(fnet.conv_lstm2d, filters=2, kernel_size=3, return_sequences=True),
        merge_mode=None,
    ),
]

DISTRIBUTED = [
    row(fnet.time_distributed, X, mask, layer=bind(fnet.dense, units=4, activation="relu")) for mask in BOTH
] + [
    row(fnet.time_distributed, (2, 3, 6, 6, 2), layer=bind(fnet.conv2d, filters=3, kernel_size=3, padding="same")),
    row(fnet.time_distributed, (2, 3, 6, 6, 2), layer=bind(fnet.max_pooling2d)),
    row(fnet.time_distributed, (2, 3, 4, 5), layer=bind(fnet.lstm, units=4)),
    row(fnet.time_distributed, (2, 3, 4, 5), layer=bind(fnet.gru, units=4, return_sequences=True)),
    row(
        fnet.time_distributed,
        (2, 3, 4, 5),
        layer=bind(fnet.bidirectional, layer=bind(fnet.lstm, units=4, return_sequences=True)),
    ),
    row(fnet.time_distributed, (2, 3, 4, 5), layer=bind(fnet.time_distributed, layer=bind(fnet.dense, units=2))),
    row(
        fnet.time_distributed,
        (2, 3, 6, 6, 2),
        layer=fnet.sequential(bind(fnet.conv2d, filters=3, kernel_size=3), bind(fnet.max_pooling2d)),
    ),
    row(fnet.time_distributed, (2, 3, 4, 5), layer=fnet.sequential(bind(fnet.masking), bind(fnet.lstm, units=3))),
]


def stack(shape: Any, *layers: Any, mask: bool = False, table: bool = True, idle: str = "", **more: Any) -> Case:
    """A case of a recurrent stack; its twin is the layers one after the other."""
    plain = fnet.sequential(*layers)
    options = {"layers": layers, **({} if table else {"table": False})}
    label = f"stack({plain!r},{table})-{shape}{'-masked' if mask else ''}".replace("bind(", "").replace(", ", ",")
    twin = functools.partial(_twin, plain)
    return Case(fnet.recurrent_stack, shape, options, twin=twin, mask=mask, label=label, plain=plain, idle=idle, **more)


def both(function: Any, units: int, sequences: bool = True, **options: Any) -> Bound:
    return bind(fnet.bidirectional, layer=bind(function, units=units, return_sequences=sequences, **options))


def one(function: Any, units: int, sequences: bool = True, **options: Any) -> Bound:
    return bind(function, units=units, return_sequences=sequences, **options)


LOOKUP = bind(fnet.embedding, input_dim=7, output_dim=5, mask_zero=True)
UNMASKED = bind(fnet.embedding, input_dim=7, output_dim=5)
IDS = {"dtype": "int32", "high": 7}
STACKS = [
    stack((4, 6), LOOKUP, both(fnet.lstm, 4), both(fnet.lstm, 3, False), **IDS),
    stack((4, 6), LOOKUP, both(fnet.gru, 4), one(fnet.gru, 3), **IDS),
    stack((4, 6), LOOKUP, one(fnet.simple_rnn, 4), both(fnet.simple_rnn, 3), **IDS),
    stack((4, 6), UNMASKED, one(fnet.gru, 4, False, reset_after=False), **IDS),
    *(
        stack(X, both(f, 4), one(f, 3), both(f, 2, False), mask=mask)
        for f, mask in itertools.product((fnet.simple_rnn, fnet.lstm, fnet.gru), BOTH)
    ),
    *(
        stack(X, one(f, 4, use_bias=False), both(g, 3, False, use_bias=False), mask=mask)
        for f, g, mask in ((fnet.lstm, fnet.gru, True), (fnet.gru, fnet.lstm, False), (fnet.lstm, fnet.lstm, True))
    ),
    stack(X, both(fnet.gru, 4, reset_after=False, dropout=0.5), mask=True),
    stack((1, 6), LOOKUP, both(fnet.lstm, 4, False), **IDS),
]

IMAGES = {1: (4, 4, 7, 3), 2: (4, 4, 6, 5, 2), 3: (4, 4, 5, 4, 6, 2)}
CONV = {1: fnet.conv_lstm1d, 2: fnet.conv_lstm2d, 3: fnet.conv_lstm3d}
FIRST = {1: (4, 4, 3, 7), 2: (4, 4, 2, 6, 5), 3: (4, 4, 2, 5, 4, 6)}


def channels_first(function: Any, shape: Any, mask: bool, **options: Any) -> Case:
    """A case whose Keras layer is between two transpositions: its convolutions on the CPU take only channels last."""
    rank = len(shape) - 3
    there, back = (1, *range(3, rank + 3), 2), (1, rank + 2, *range(2, rank + 2))

    def twin(keras: Any) -> Any:
        layers = keras.layers
        return keras.Sequential(
            [keeping(keras, there), getattr(layers, CLASSES[function.__name__])(**options), keeping(keras, back)]
        )

    made = row(function, shape, mask, data_format="channels_first", **options)
    return replace(made, twin=twin)


def keeping(keras: Any, dims: Any) -> Any:
    """A transposition that passes the mask on."""
    layer = keras.layers.Permute(dims)
    layer.supports_masking = True
    return layer


CONVOLUTIONAL = [
    *(
        row(CONV[rank], IMAGES[rank], mask, filters=2, kernel_size=3, **flags)
        for rank, flags, mask in itertools.product(CONV, (FLAGS[0], FLAGS[2], FLAGS[4]), BOTH)
    ),
    *(
        row(CONV[rank], IMAGES[rank], True, filters=2, kernel_size=2, padding="same", return_sequences=True, **options)
        for rank, options in itertools.product(
            CONV,
            (
                {"strides": 2},
                {"dilation_rate": 2, "use_bias": False},
                {"activation": "relu", "recurrent_activation": "hard_sigmoid", "zero_output_for_mask": True},
            ),
        )
    ),
    row(
        fnet.conv_lstm2d, IMAGES[2], filters=2, kernel_size=(3, 2), strides=(1, 2), unit_forget_bias=False, dropout=0.5
    ),
    row(fnet.conv_lstm2d, IMAGES[2], filters=2, kernel_size=(2, 3), dilation_rate=(2, 1), recurrent_dropout=0.5),
    row(
        fnet.conv_lstm2d,
        {"sequences": IMAGES[2], "initial_state": ((4, 4, 3, 2), (4, 4, 3, 2))},
        filters=2,
        kernel_size=3,
        return_state=True,
    ),
    row(fnet.conv_lstm1d, IMAGES[1], True, filters=2, kernel_size=2, unit_forget_bias=False, go_backwards=True),
    row(fnet.conv_lstm3d, IMAGES[3], True, filters=2, kernel_size=2, unit_forget_bias=False),
    *(
        channels_first(CONV[rank], shape, mask, filters=2, kernel_size=2, return_sequences=True, strides=2)
        for (rank, shape), mask in itertools.product(FIRST.items(), BOTH)
    ),
]

PADDED = np.random.default_rng(0).standard_normal(X).astype("float32")
PADDED[0, 4:], PADDED[1, 0], PADDED[2, 3], PADDED[3, :3], PADDED[1, 1, :2] = 0.0, 2.0, 0.0, 2.0, 0.0
"""Steps of zeros, steps of twos, and a step with both zeros and other numbers."""

CASES = [
    *LAYERS,
    *STATES,
    *CELLS,
    *BIDIRECTIONAL,
    *STACKS,
    *DISTRIBUTED,
    *CONVOLUTIONAL,
    *(
        replace(row(fnet.masking, X, mask, "puts its own mask in place" * mask, **options), feed=PADDED)
        for options in ({}, {"mask_value": 2.0})
        for mask in BOTH
    ),
]
