"""Speed by number of rows (1 to 100,000), steps (10 to 1,000) and pixels (32 to 512), and of two more kinds of model.

python benchmarks/sizes.py [--quick] [--only 'rows*'] [--contenders 'fnet*,onnx*'] [--json FILE] [--busy]
"""

from __future__ import annotations

from functools import partial
from typing import Any

import harness
from harness import Cell
from models import floats


def table() -> Any:
    """16 numbers, two dense layers of 64, one score."""
    from keras import Sequential, layers

    hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
    return Sequential([layers.Input((16,)), *hidden, layers.Dense(1, activation="sigmoid")])


def sequence(length: int) -> Any:
    """An LSTM of 64 units over steps of 16 numbers."""
    from keras import Sequential, layers

    return Sequential([layers.Input((length, 16)), layers.LSTM(64), layers.Dense(1)])


def picture(size: int) -> Any:
    """3x3 convolutions of 16, 32 and 64 filters with strides of 2, batch normalization and relu; a global mean."""
    from keras import Sequential, layers

    blocks = [
        layer
        for filters in (16, 32, 64)
        for layer in (
            layers.Conv2D(filters, 3, 2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        )
    ]
    return Sequential([layers.Input((size, size, 3)), *blocks, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def conv_lstm() -> Any:
    """8 frames of 32x32, a ConvLSTM of 16 filters, one map."""
    from keras import Sequential, layers

    cell = layers.ConvLSTM2D(16, 3, padding="same")
    return Sequential([layers.Input((8, 32, 32, 1)), cell, layers.Conv2D(1, 1, activation="sigmoid")])


def u_net() -> Any:
    """64x64x3: two levels down (16, 32 filters), 64 at the bottom, two up with skips."""
    import keras
    from keras import layers

    def block(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    image = layers.Input((64, 64, 3))
    first = block(image, 16)
    second = block(layers.MaxPooling2D()(first), 32)
    x = block(layers.MaxPooling2D()(second), 64)
    for filters, skip in ((32, second), (16, first)):
        x = layers.Concatenate()([layers.Conv2DTranspose(filters, 2, 2)(x), skip])
        x = block(x, filters)
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x))


def _numbers(*shape: int) -> Any:
    """n -> (n, *shape)."""
    return partial(_rows, shape)


def _rows(shape: tuple[int, ...], n: int) -> Any:
    return floats(*shape, n=n)


CELLS = [
    *(Cell(f"rows {n}", table, _numbers(16), n, n == 1000, min(n, 1024)) for n in (1, 100, 1000, 100_000)),
    Cell("rows 10000 by 32", table, _numbers(16), 10_000, batch=32),
    *(Cell(f"steps {n}", partial(sequence, n), _numbers(n, 16), 8, n == 100) for n in (10, 100, 1000)),
    Cell("steps 100 by 32", partial(sequence, 100), _numbers(100, 16), 1024, batch=32),
    *(Cell(f"pixels {n}", partial(picture, n), _numbers(n, n, 3), 1, n == 128) for n in (32, 128, 512)),
    *(Cell(f"conv_lstm {n}", conv_lstm, _numbers(8, 32, 32, 1), n) for n in (1, 8)),
    *(Cell(f"u_net {n}", u_net, _numbers(64, 64, 3), n, n == 1) for n in (1, 8)),
]

if __name__ == "__main__":
    harness.main(CELLS, __doc__)
