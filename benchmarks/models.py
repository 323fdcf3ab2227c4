"""Whole models: a CNN, bidirectional SimpleRNN, LSTM and GRU on real and on full rows, an MLP, a small transformer.

    python benchmarks/models.py [--quick] [--only 'lstm*'] [--contenders 'fnet*,onnx*'] [--json FILE] [--before DIR]

Real rows are token ids of the lengths in token_lengths.txt, the texts of a test split of reviews (23 tokens in the
mean), padded to 100; full rows have no padding.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import harness
import numpy as np
from harness import Cell

LENGTHS = Path(__file__).with_name("token_lengths.txt")
LENGTH, TOKENS = 100, 5000


def cnn() -> Any:
    """32x32x3: three 3x3 convolutions (32, 64, 128), each with max pooling; dense 128, dense 10."""
    from keras import Sequential, layers

    blocks = [
        layer
        for filters in (32, 64, 128)
        for layer in (layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D())
    ]
    head = [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]
    return Sequential([layers.Input((32, 32, 3)), *blocks, *head])


def recurrent(cell: str, embedding: int) -> Any:
    """An embedding that masks padding, two bidirectional layers of 64 units, softmax."""
    from keras import Sequential, layers

    def both(**options: Any) -> Any:
        return layers.Bidirectional(getattr(layers, cell)(64, **options))

    table = layers.Embedding(TOKENS, embedding, mask_zero=True)
    steps = [table, both(return_sequences=True), both(), layers.Dense(3, activation="softmax")]
    return Sequential([layers.Input((LENGTH,), dtype="int32"), *steps])


def mlp() -> Any:
    """784, 256, 10."""
    from keras import Sequential, layers

    return Sequential(
        [layers.Input((784,)), layers.Dense(256, activation="relu"), layers.Dense(10, activation="softmax")]
    )


def transformer() -> Any:
    """128 tokens, two blocks of attention (4 heads) and a dense layer of 128, 64 wide."""
    import keras
    from keras import layers

    ids = layers.Input((128,), dtype="int32")
    x = layers.Embedding(TOKENS, 64)(ids)
    for _ in range(2):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 16)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(64)(layers.Dense(128, activation="relu")(x)))
    return keras.Model(ids, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def floats(*shape: int, n: int) -> Any:
    """Random rows from 0 to 1, float32."""
    return np.random.default_rng(0).random((n, *shape), dtype=np.float32)


def full(n: int, length: int = LENGTH) -> Any:
    """Token ids without padding, (n, length) int32."""
    return np.random.default_rng(0).integers(1, TOKENS, (n, length), dtype=np.int32)


def real(n: int) -> Any:
    """Token ids of the lengths of real texts, padded with 0 at the end, (n, LENGTH) int32."""
    lengths = np.resize(np.array(LENGTHS.read_text("utf-8").split(), int), n)
    return full(n) * (np.arange(LENGTH) < lengths[:, None])


def images(n: int) -> Any:
    """(n, 32, 32, 3)."""
    return floats(32, 32, 3, n=n)


def vectors(n: int) -> Any:
    """(n, 784)."""
    return floats(784, n=n)


rnn, lstm, gru = partial(recurrent, "SimpleRNN", 128), partial(recurrent, "LSTM", 100), partial(recurrent, "GRU", 100)
COUNTS = (1, 32, 256)
CELLS = [
    *(Cell(f"cnn {n}", cnn, images, n, quick=n < 256) for n in COUNTS),
    *(
        Cell(f"{name} {kind} {n}", build, rows, n, quick=n == 32 and name != "gru")
        for name, build in (("rnn", rnn), ("lstm", lstm), ("gru", gru))
        for kind, rows in (("real", real), ("full", full))
        for n in COUNTS
    ),
    *(Cell(f"{name} real 1024 by 32", build, real, 1024, batch=32) for name, build in (("rnn", rnn), ("lstm", lstm))),
    *(Cell(f"mlp {n}", mlp, vectors, n, quick=n == 1) for n in (1, 32)),
    *(Cell(f"transformer {n}", transformer, partial(full, length=128), n, quick=n == 1) for n in (1, 32)),
]

if __name__ == "__main__":
    harness.main(CELLS, __doc__)
