"""The three families of models as builders: a convolutional network, SimpleRNN and LSTM classifiers.

Saved models are complete: the CNN begins with Rescaling(1/255), so it takes raw pixels 0..255 (uint8 or
float32), and the text models begin with TextVectorization, so they take strings. Whoever loads such a file needs
no other number and no vocabulary. Every layer has a fixed name, the same in every process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from train_keras.errors import TokenOutOfRange, rows

POOLINGS = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
HEADS = ("last", "pool", "attention")
NGRAMS: dict[str, dict[str, Any]] = {"words": {}, "characters": {"split": "character", "ngrams": (3, 4, 5)}}
CELLS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM}


def _positive(**values: int | tuple[int, ...]) -> None:
    for name, value in values.items():
        several = value if isinstance(value, tuple) else (value,)
        if not several or any(v < 1 for v in several):
            raise ValueError(f"{name} must be at least 1, got {value}")


def _fractions(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is a fraction from 0 up to, not including, 1; got {value}")


def _head(dropout: float, classes: int) -> list[keras.Layer]:
    drop = [keras.layers.Dropout(dropout, name="dropout")] if dropout else []
    return [*drop, keras.layers.Dense(classes, activation="softmax", name="probabilities")]


@dataclass(frozen=True)
class Cnn:
    """Convolution (same, relu) and pooling by 2, repeated; flatten; dense relu; dense softmax.

    filters, kernels: one entry a block; a single kernel size serves all blocks. dropout: before the last layer.
    Beyond the report's models: depth: convolutions a block; batch_norm: after each of them, before its relu;
    global_pooling: the mean over the image instead of flatten and the dense layer; augment: training images are
    flipped and shifted at random.
    """

    kind: ClassVar[str] = "images"

    filters: tuple[int, ...] = (32, 64, 128)
    kernels: tuple[int, ...] = (3,)
    pooling: str = "max"
    dense: int = 128
    dropout: float = 0.0
    depth: int = 1
    batch_norm: bool = False
    global_pooling: bool = False
    augment: bool = False

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling {self.pooling!r}; use one of {', '.join(POOLINGS)}")
        if len(self.kernels) not in (1, len(self.filters)):
            raise ValueError(f"{len(self.filters)} filters need 1 or {len(self.filters)} kernels, got {self.kernels}")
        _positive(filters=self.filters, kernels=self.kernels, dense=self.dense, depth=self.depth)
        _fractions(dropout=self.dropout)

    def build(self, x: Any, classes: int) -> keras.Model:
        """The model for images shaped like `x` (n, height, width, channels)."""
        layers = keras.layers
        kernels = self.kernels * len(self.filters) if len(self.kernels) == 1 else self.kernels
        steps = [layers.Input(x.shape[1:], name="pixels"), layers.Rescaling(1 / 255, name="rescaling")]
        if self.augment:
            shift = layers.RandomTranslation(0.1, 0.1, fill_mode="reflect", name="shift")
            steps += [layers.RandomFlip("horizontal", name="flip"), shift]
        for i, (filters, kernel) in enumerate(zip(self.filters, kernels, strict=True), 1):
            for j in range(1, self.depth + 1):
                steps += self._convolution(filters, kernel, f"{i}" if self.depth == 1 else f"{i}_{j}")
            steps.append(POOLINGS[self.pooling](2, name=f"pool_{i}"))
        if self.global_pooling:
            steps.append(layers.GlobalAveragePooling2D(name="mean"))
        else:
            steps += [layers.Flatten(name="flatten"), layers.Dense(self.dense, activation="relu", name="dense")]
        return keras.Sequential([*steps, *_head(self.dropout, classes)], name="cnn")

    def _convolution(self, filters: int, kernel: int, number: str) -> list[keras.Layer]:
        layers = keras.layers
        if not self.batch_norm:
            return [layers.Conv2D(filters, kernel, padding="same", activation="relu", name=f"conv_{number}")]
        return [
            layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=f"conv_{number}"),
            layers.BatchNormalization(name=f"norm_{number}"),
            layers.Activation("relu", name=f"relu_{number}"),
        ]


@dataclass(frozen=True)
class Recurrent:
    """TextVectorization, Embedding, `layers` recurrent layers (all but the last give sequences), softmax.

    tokens: size of the embedding table, the vocabulary learnt from the training texts is cut to it.
    length: tokens a text is cut or padded to. dropout: before the last layer. inner_dropout: on the inputs
    inside every recurrent layer. mask_zero: whether padding is skipped. head: what the last recurrent layer
    hands on: its final state ("last"), or its outputs pooled over the text (mean and maximum: "pool"), or attended to
    by themselves first ("attention"). embedding_dropout: of whole dimensions of a text's embedding. ngrams: next to
    the recurrent branch linear ones on the tf-idf of words and of character n-grams, all logits added. These last
    three are beyond the report's models.
    """

    kind: ClassVar[str] = "texts"

    cell: str = "simple_rnn"
    layers: int = 2
    units: int = 64
    bidirectional: bool = True
    tokens: int = 10_000
    length: int = 64
    embedding: int = 128
    mask_zero: bool = True
    dropout: float = 0.2
    inner_dropout: float = 0.0
    head: str = "last"
    embedding_dropout: float = 0.0
    ngrams: bool = False

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"head {self.head!r}; use one of {', '.join(HEADS)}")
        if self.cell not in CELLS:
            raise ValueError(f"cell {self.cell!r}; use one of {', '.join(CELLS)}")
        sizes = {name: getattr(self, name) for name in ("layers", "units", "tokens", "length", "embedding")}
        _positive(**sizes)
        names = ("dropout", "inner_dropout", "embedding_dropout")
        _fractions(**{name: getattr(self, name) for name in names})

    def build(self, x: Sequence[str], classes: int) -> keras.Model:
        """The model, its vocabulary learnt from the texts `x`."""
        layers = keras.layers
        vectorize = layers.TextVectorization(
            max_tokens=self.tokens, output_sequence_length=self.length, name="text_vectorization"
        )
        vectorize.adapt(np.asarray(x, dtype=object))
        check_tokens(vectorize, x, self.tokens)
        table = layers.Embedding(self.tokens, self.embedding, mask_zero=self.mask_zero, name="embedding")
        text, steps = layers.Input((1,), dtype="string", name="text"), [vectorize, table]
        if self.embedding_dropout:
            steps.append(layers.SpatialDropout1D(self.embedding_dropout, name="embedding_dropout"))
        steps += [self._recurrent(i) for i in range(1, self.layers + 1)]
        if self.head == "last" and not self.ngrams:
            return keras.Sequential([text, *steps, *_head(self.dropout, classes)], name=self.cell)
        read = _through(steps, text)
        if self.head != "last":
            read = self._pooled(read)
        if not self.ngrams:
            return keras.Model(text, _through(_head(self.dropout, classes), read), name=self.cell)
        steps = [layers.Dropout(self.dropout, name="dropout"), layers.Dense(classes, name="read")]
        logits = [_through(steps, read), *(_linear(text, x, name, classes) for name in NGRAMS)]
        return keras.Model(
            text, layers.Softmax(name="probabilities")(layers.Add(name="logits")(logits)), name=self.cell
        )

    def _recurrent(self, i: int) -> keras.Layer:
        layer = CELLS[self.cell](
            self.units,
            return_sequences=i < self.layers or self.head != "last",
            dropout=self.inner_dropout,
            name=f"{self.cell}_{i}",
        )
        return keras.layers.Bidirectional(layer, name=f"bidirectional_{i}") if self.bidirectional else layer

    def _pooled(self, x: Any) -> Any:
        """The mean and the maximum of sequences over the text, (batch, 2 * channels)."""
        layers = keras.layers
        if self.head == "attention":
            attended = layers.MultiHeadAttention(2, self.units // 2, name="attention")(x, x)
            x = layers.LayerNormalization(name="norm")(layers.Add(name="residual")([x, attended]))
        mean, largest = layers.GlobalAveragePooling1D(name="mean")(x), layers.GlobalMaxPooling1D(name="largest")(x)
        return layers.Concatenate(name="pooled")([mean, largest])


def _through(steps: Sequence[keras.Layer], x: Any) -> Any:
    """What a chain of layers makes of x."""
    for layer in steps:
        x = layer(x)
    return x


def _linear(text: Any, known: Sequence[str], name: str, classes: int) -> Any:
    """Logits, linear in the tf-idf of a text's n-grams; their vocabulary is learnt from the texts `known`.

    Every text has tf-idf weights of the same Euclidean length, so that a long one is no surer than a short one.
    """
    layers = keras.layers
    weigh = layers.TextVectorization(20_000, output_mode="tf_idf", name=f"{name}_tf_idf", **NGRAMS[name])
    weigh.adapt(np.asarray(known, dtype=object))
    steps = [
        weigh,
        layers.UnitNormalization(name=f"{name}_unit"),
        layers.Rescaling(
            40.0, name=f"{name}_scale"
        ),  # for Adam, whose steps are of one size, small inputs learn slowly
        layers.Dropout(0.3, name=f"{name}_dropout"),
        layers.Dense(classes, use_bias=False, kernel_initializer="zeros", name=name),
    ]
    return _through(steps, text)


Options = Cnn | Recurrent

FAMILIES: dict[str, Options] = {
    "cnn": Cnn(),
    "rnn": Recurrent(cell="simple_rnn"),
    "lstm": Recurrent(cell="lstm", length=100, embedding=100, dropout=0.5, inner_dropout=0.3),
}
"""{family: its options by default}."""


def options(family: str, **changed: Any) -> Options:
    """The options of a family, with some changed. Raises TypeError for one that the family does not have."""
    defaults = FAMILIES[family]
    legal = [field.name for field in dataclasses.fields(defaults) if field.name != "cell"]
    wrong = [name for name in changed if name not in legal]
    if wrong:
        raise TypeError(f"{family} has no option {', '.join(wrong)}; it has {', '.join(legal)}")
    return dataclasses.replace(defaults, **changed)


def check_tokens(vectorize: Any, texts: Sequence[str], tokens: int) -> None:
    """Raise TokenOutOfRange where a text gives an id that an embedding table of `tokens` rows does not hold."""
    ids = np.asarray(vectorize(np.asarray(texts, dtype=object)))
    bad = np.flatnonzero((ids < 0).any(axis=1) | (ids >= tokens).any(axis=1))
    if len(bad):
        raise TokenOutOfRange(
            f"{rows(bad)}: token id {ids[bad[0]].max()}, but the embedding table has rows 0 to {tokens - 1}"
        )
