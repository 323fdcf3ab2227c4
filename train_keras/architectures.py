"""The options of the three families of models: a convolutional network, SimpleRNN and LSTM classifiers.

Nothing here imports Keras: `train_keras.models` builds the models.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

POOLINGS = ("max", "average")
HEADS = ("last", "pool", "attention")
CELLS = ("simple_rnn", "lstm")


def _positive(**values: int | tuple[int, ...]) -> None:
    for name, value in values.items():
        several = value if isinstance(value, tuple) else (value,)
        if not several or any(v < 1 for v in several):
            raise ValueError(f"{name} must be at least 1, got {value}")


def _fractions(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is a fraction from 0 up to, not including, 1; got {value}")


@dataclass(frozen=True)
class Cnn:
    """Convolution (same, relu) and pooling by 2, repeated; flatten; dense relu; dense softmax.

    filters, kernels: one entry for each block, or a single kernel size for all. dropout: before the last layer.
    Beyond the report's models: batch_norm: after each convolution, before its relu; global_pooling: the mean over the
    image instead of flatten and the dense layer; augment: the model flips and shifts training images at random;
    residual: `train_keras.models.residual`, with batch normalization and global pooling, and only the last dense layer.
    """

    kind: ClassVar[str] = "images"

    filters: tuple[int, ...] = (32, 64, 128)
    kernels: tuple[int, ...] = (3,)
    pooling: str = "max"
    dense: int = 128
    dropout: float = 0.0
    batch_norm: bool = False
    global_pooling: bool = False
    augment: bool = False
    residual: bool = False

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling {self.pooling!r}; use one of {', '.join(POOLINGS)}")
        if len(self.kernels) not in (1, len(self.filters)):
            raise ValueError(f"{len(self.filters)} filters need 1 or {len(self.filters)} kernels, got {self.kernels}")
        _positive(filters=self.filters, kernels=self.kernels, dense=self.dense)
        _fractions(dropout=self.dropout)
        if self.residual and not (self.batch_norm and self.global_pooling):
            raise ValueError("residual needs batch_norm and global_pooling")

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """(filters, kernel size) of each block."""
        kernels = self.kernels if len(self.kernels) > 1 else self.kernels * len(self.filters)
        return list(zip(self.filters, kernels, strict=True))


@dataclass(frozen=True)
class Recurrent:
    """TextVectorization, Embedding, `layers` recurrent layers (all but the last return sequences), softmax.

    tokens: size of the embedding table, and the most tokens of the vocabulary learnt from the training texts.
    length: tokens to which a text is cut or padded. dropout: before the last layer. inner_dropout: on the inputs
    inside every recurrent layer. mask_zero: whether padding is skipped. dropout_each: whether `dropout` follows every
    recurrent layer, not only the last. head: the output of the last recurrent layer: its final state ("last"), or all
    its outputs pooled over the text (mean and maximum: "pool"), or after self-attention ("attention").
    embedding_dropout: of whole dimensions of a text's embedding. ngrams: linear branches on the tf-idf of words and of
    character n-grams next to the recurrent one, all logits added; with `layers` 0 they are alone. These last three
    are beyond the report's models.
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
    dropout_each: bool = False

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"head {self.head!r}; use one of {', '.join(HEADS)}")
        if self.cell not in CELLS:
            raise ValueError(f"cell {self.cell!r}; use one of {', '.join(CELLS)}")
        sizes = {name: getattr(self, name) for name in ("layers", "units", "tokens", "length", "embedding")}
        _positive(**{name: size for name, size in sizes.items() if name != "layers" or not self.ngrams})
        if self.layers < 0:
            raise ValueError(f"layers must be at least 0, got {self.layers}")
        names = ("dropout", "inner_dropout", "embedding_dropout")
        _fractions(**{name: getattr(self, name) for name in names})


Options = Cnn | Recurrent

FAMILIES: dict[str, Options] = {
    "cnn": Cnn(),
    "rnn": Recurrent(cell="simple_rnn"),
    "lstm": Recurrent(cell="lstm", length=100, embedding=100, dropout=0.5, inner_dropout=0.3),
}
"""{family: its default options}."""


def options(family: str, **changed: Any) -> Options:
    """The options of a family, with some changed. Raises TypeError for an option that the family does not have."""
    defaults = FAMILIES[family]
    legal = [field.name for field in dataclasses.fields(defaults) if field.name != "cell"]
    wrong = [name for name in changed if name not in legal]
    if wrong:
        raise TypeError(f"{family} has no option {', '.join(wrong)}; it has {', '.join(legal)}")
    return dataclasses.replace(defaults, **changed)
