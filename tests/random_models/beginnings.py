"""The beginnings of models: inputs of every kind, with the layers that take ids, texts and categories."""

from __future__ import annotations

from typing import Any

from tests.random_models.builder import SIZE, TIME, Builder

WORDS = ["alpha", "beta", "Ünder", "δελτα", "x"]
VECTOR = 5


def into_floats(b: Builder, x: Any) -> Any:
    """Integers into one of the layers that take integers in Keras."""
    kinds = ["Dense", "cast", "Rescaling", "EinsumDense"]
    kind = b.pick(kinds if len(x.shape) == 2 else [*kinds, "LSTM", "Bidirectional", "MultiHeadAttention", "pool"])
    if kind == "EinsumDense":
        return b.layers.EinsumDense("...x,xy->...y", 3)(x)
    if kind == "MultiHeadAttention":
        return b.layers.MultiHeadAttention(2, 3)(x, x)
    drawn = {
        "Dense": lambda: b.layers.Dense(4, activation=b.activation())(x),
        "cast": lambda: b.ops.cast(x, "float32") - 0.5,
        "Rescaling": lambda: b.layers.Rescaling(0.5)(x),
        "LSTM": lambda: b.layers.LSTM(3, return_sequences=b.flag())(x),
        "Bidirectional": lambda: b.layers.Bidirectional(b.layers.GRU(2))(x),
        "pool": lambda: b.layers.GlobalAveragePooling1D()(x),
    }
    return drawn[kind]()


def ids(b: Builder) -> Any:
    x = b.input((TIME,), "int32")
    if b.flag():
        return b.layers.Embedding(7, 4, mask_zero=b.flag())(x)
    key = ("embedding",)
    return b.shared.setdefault(key, b.layers.Embedding(7, 4, mask_zero=b.flag()))(x)


def sequence(b: Builder) -> Any:
    x = b.input((TIME, 4))
    return b.layers.Masking(0.0)(x) if b.flag() else x


def image(b: Builder) -> Any:
    return b.input((SIZE, SIZE, b.pick([2, 3])))


def video(b: Builder) -> Any:
    return b.input((3, 4, 4, 2))


def vector(b: Builder) -> Any:
    return b.input((VECTOR,))


def binned(b: Builder) -> Any:
    """Numbers put into bins."""
    x = b.input((VECTOR,))
    # Keras cannot count in 16 bits: TensorFlow's bincount has no such kernel.
    mode = b.pick(["int", "one_hot"] if b.narrow else ["int", "one_hot", "multi_hot", "count"])
    y = b.layers.Discretization([-0.5, 0.2, 1.0], output_mode=mode)(x)
    return b.layers.Embedding(4, 3)(y) if mode == "int" else into_floats(b, y)


def categories(b: Builder) -> Any:
    x = b.input((4,), "int32")
    return into_floats(b, b.layers.CategoryEncoding(7, output_mode=b.pick(["multi_hot", "one_hot", "count"]))(x))


def codes(b: Builder) -> Any:
    x = b.input((4,), "int32")
    y = b.layers.IntegerLookup(vocabulary=[1, 3, 5], num_oov_indices=b.pick([1, 2]))(x)
    return b.layers.Embedding(8, 3, mask_zero=b.flag())(y)


def words(b: Builder) -> Any:
    x = b.input((4,), "string")
    mode = b.pick(["int", "one_hot", "multi_hot", "hashing"])
    if mode == "hashing":
        return b.layers.Embedding(8, 3)(b.layers.Hashing(8)(x))
    y = b.layers.StringLookup(vocabulary=WORDS, output_mode=mode, mask_token=b.pick([None, ""]))(x)
    return b.layers.Embedding(8, 3, mask_zero=b.flag())(y) if mode == "int" else into_floats(b, y)


def text(b: Builder) -> Any:
    x = b.input((), "string")
    mode = b.pick(["int", "multi_hot", "count", "tf_idf"])
    weights = {"idf_weights": [0.5, 1.5, 0.3, 2.0, 1.0]} if mode == "tf_idf" else {}
    length = TIME if mode == "int" else None
    layer = b.layers.TextVectorization(
        vocabulary=WORDS, output_mode=mode, output_sequence_length=length, ngrams=b.pick([None, 2]), **weights
    )
    y = layer(x)
    return b.layers.Embedding(10, 3, mask_zero=b.flag())(y) if mode == "int" else into_floats(b, y)


BEGINNINGS = [ids, ids, sequence, sequence, image, image, video, vector, vector, binned, categories, codes, words, text]
