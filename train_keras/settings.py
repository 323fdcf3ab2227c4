"""The settings that cross-validation compares: {label: configuration}; `train_keras.studies` uses those it chose."""

from __future__ import annotations

import dataclasses
from typing import Any

from train_keras import architectures
from train_keras.config import Config

BASE: dict[str, Any] = {"tokens": 5000, "length": 64, "embedding": 128, "inner_dropout": 0.0, "dropout": 0.5}
"""Tables of 5,000 rows hold every word of the texts; 4 of the 600 are longer than 64."""


def setting(
    family: str,
    rate: float,
    epochs: int,
    *,
    embedding_dropout: float = 0.5,
    average: float = 0.98,
    batch: int = 25,
    **more: Any,
) -> Config:
    """A setting on the 600 rows, with the average of the weights over about 50 steps."""
    options = architectures.options(family, **{**BASE, "embedding_dropout": embedding_dropout, **more})
    return Config(family, options, epochs, batch, rate, rows="all", average=average)


DESIGNED: dict[str, Any] = {"layers": 1, "head": "pool", "ngrams": True}

SETTINGS: dict[str, Config] = {
    "lstm, rate 0.003": setting("lstm", 0.003, 10),
    "lstm, rate 0.002": setting("lstm", 0.002, 12),
    "rnn, rate 0.003": setting("rnn", 0.003, 12),
    "rnn, rate 0.001": setting("rnn", 0.001, 12),
    "rnn, rate 0.001, no embedding dropout": setting("rnn", 0.001, 12, embedding_dropout=0.0),
    "rnn, rate 0.0003": setting("rnn", 0.0003, 20),
    "n-grams, rate 0.001": setting("lstm", 0.001, 20, layers=0, head="pool", ngrams=True),
    "n-grams, rate 0.003": setting("lstm", 0.003, 12, layers=0, head="pool", ngrams=True),
    "lstm beside n-grams, rate 0.001": setting("lstm", 0.001, 20, **DESIGNED),
    "lstm beside n-grams, rate 0.002": setting("lstm", 0.002, 12, **DESIGNED),
    "lstm pooled, rate 0.002": setting("lstm", 0.002, 12, layers=1, head="pool"),
    "rnn beside n-grams, rate 0.001": setting("rnn", 0.001, 20, **DESIGNED),
    "rnn pooled, rate 0.001": setting("rnn", 0.001, 20, layers=1, head="pool"),
}
"""Recurrent layers alone are the grid's base, 2 x 64 in both directions."""

CHOSEN_OVER = {
    "lstm, rate 0.003": 3,
    "rnn, rate 0.001": 4,
    "rnn, rate 0.0003": 4,
    "n-grams, rate 0.001": 4,
    "n-grams, rate 0.003": 4,
    "lstm beside n-grams, rate 0.001": 4,
    "lstm beside n-grams, rate 0.002": 3,
    "lstm pooled, rate 0.002": 3,
}
"""{label: how many repeats of cross-validation there were when the choices below were made}; others came later."""

CHOSEN = {"lstm": ("lstm, rate 0.003", 6), "rnn": ("rnn, rate 0.0003", 19)}
"""{cell: (setting, epochs)} of the arm "proper": the best of docs/results/tuning.jsonl."""

PARTS = {
    "n-grams": ("n-grams, rate 0.001", 10),
    "LSTM, pooled": ("lstm pooled, rate 0.002", 6),
    "LSTM beside n-grams": ("lstm beside n-grams, rate 0.001", 4),
}
"""{label of a part of the designed text model, or of the whole: (setting, its best number of epochs)}."""


def taken(label: str, epochs: int) -> Config:
    """A setting with the number of epochs that was chosen for it."""
    return dataclasses.replace(SETTINGS[label], epochs=epochs)


def proper(family: str, **changed: Any) -> Config:
    """A configuration of the grid with the setting that was chosen for its cell."""
    base = taken(*CHOSEN[family])
    return dataclasses.replace(base, options=dataclasses.replace(base.options, **changed))
