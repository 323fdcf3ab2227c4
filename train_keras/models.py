"""Builders of the three families of models: a convolutional network, SimpleRNN and LSTM classifiers.

Saved models are complete: the CNN begins with Rescaling(1/255), so it takes raw pixels 0..255 (uint8 or
float32), and the text models begin with TextVectorization, so they take strings: no scaling and no vocabulary is needed
besides the file. Every layer has a fixed name, the same in every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from train_keras.architectures import Cnn, Options, Recurrent
from train_keras.errors import TokenOutOfRange, rows

POOLINGS = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
NGRAMS: dict[str, dict[str, Any]] = {"words": {}, "characters": {"split": "character", "ngrams": (3, 4, 5)}}
CELLS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM}


def _head(dropout: float, classes: int) -> list[keras.Layer]:
    drop = [keras.layers.Dropout(dropout, name="dropout")] if dropout else []
    return [*drop, keras.layers.Dense(classes, activation="softmax", name="probabilities")]


def build(options: Options, x: Any, classes: int) -> keras.Model:
    """The model for images shaped like `x` (n, height, width, channels), or with a vocabulary of the texts `x`."""
    if isinstance(options, Recurrent):
        return recurrent(options, x, classes)
    return (residual if options.residual else cnn)(options, x.shape[1:], classes)


def cnn(options: Cnn, shape: tuple[int, ...], classes: int) -> keras.Model:
    """A convolutional network for images of a shape (height, width, channels)."""
    layers = keras.layers
    steps = [layers.Input(shape, name="pixels"), layers.Rescaling(1 / 255, name="rescaling")]
    if options.augment:
        shift = layers.RandomTranslation(0.1, 0.1, fill_mode="reflect", name="shift")
        steps += [layers.RandomFlip("horizontal", name="flip"), shift]
    for i, (filters, kernel) in enumerate(options.blocks, 1):
        pool = POOLINGS[options.pooling](2, name=f"pool_{i}")
        steps += [*_convolution(filters, kernel, i, normed=options.batch_norm), pool]
    if options.global_pooling:
        steps.append(layers.GlobalAveragePooling2D(name="mean"))
    else:
        steps += [layers.Flatten(name="flatten"), layers.Dense(options.dense, activation="relu", name="dense")]
    return keras.Sequential([*steps, *_head(options.dropout, classes)], name="cnn")


def residual(options: Cnn, shape: tuple[int, ...], classes: int) -> keras.Model:
    """A convolution with half the first block's filters; blocks that pool before they normalize; global max pooling.

    After the first block and the last one there are two more convolutions next to a shortcut.
    """
    layers, blocks = keras.layers, options.blocks
    pixels = layers.Input(shape, name="pixels")
    first = _convolution(max(1, blocks[0][0] // 2), blocks[0][1], 0)
    x = _through([layers.Rescaling(1 / 255, name="rescaling"), *first], pixels)
    for i, (filters, kernel) in enumerate(blocks, 1):
        x = _through(_convolution(filters, kernel, i, POOLINGS[options.pooling](2, name=f"pool_{i}")), x)
        if i in (1, len(blocks)):
            beside = [layer for j in "ab" for layer in _convolution(filters, kernel, f"{i}{j}")]
            x = layers.Add(name=f"add_{i}")([x, _through(beside, x)])
    x = layers.GlobalMaxPooling2D(name="largest")(x)
    return keras.Model(pixels, _through(_head(options.dropout, classes), x), name="residual")


def _convolution(
    filters: int, kernel: int, number: int | str, pool: keras.Layer | None = None, *, normed: bool = True
) -> list[keras.Layer]:
    """Convolution, optional pooling, batch normalization, relu; if not normed, only convolution and relu."""
    layers = keras.layers
    if not normed:
        return [layers.Conv2D(filters, kernel, padding="same", activation="relu", name=f"conv_{number}")]
    return [
        layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=f"conv_{number}"),
        *([pool] if pool else []),
        layers.BatchNormalization(name=f"norm_{number}"),
        layers.Activation("relu", name=f"relu_{number}"),
    ]


def recurrent(options: Recurrent, x: Sequence[str], classes: int) -> keras.Model:
    """A classifier of texts; its vocabulary is learnt from the texts `x`."""
    layers = keras.layers
    text = layers.Input((), dtype="string", name="text")
    if not options.layers:
        return _added(options, [], text, x, classes)
    vectorize = layers.TextVectorization(
        max_tokens=options.tokens, output_sequence_length=options.length, name="text_vectorization"
    )
    vectorize.adapt(x)
    check_tokens(vectorize, x, options.tokens)
    if options.head == "last" and not options.ngrams:
        steps = [text, vectorize, *_reading(options), *_head(options.dropout, classes)]
        return keras.Sequential(steps, name=options.cell)
    ids = vectorize(text)
    read = _through(_reading(options), ids)
    if options.head != "last":
        read = _pooled(options, read, ids)
    if not options.ngrams:
        return keras.Model(text, _through(_head(options.dropout, classes), read), name=options.cell)
    steps = [layers.Dropout(options.dropout, name="dropout"), layers.Dense(classes, name="read")]
    return _added(options, [_through(steps, read)], text, x, classes)


def _added(options: Recurrent, logits: list[Any], text: Any, x: Sequence[str], classes: int) -> keras.Model:
    """The model that adds the logits of the n-gram branches to `logits`."""
    layers = keras.layers
    logits = [*logits, *(_linear(text, x, name, classes) for name in NGRAMS)]
    y = layers.Softmax(name="probabilities")(layers.Add(name="logits")(logits))
    return keras.Model(text, y, name=options.cell if options.layers else "ngrams")


def _reading(options: Recurrent) -> list[keras.Layer]:
    """The layers from token ids to the output of the last recurrent layer."""
    layers = keras.layers
    steps = [layers.Embedding(options.tokens, options.embedding, mask_zero=options.mask_zero, name="embedding")]
    if options.embedding_dropout:
        steps.append(layers.SpatialDropout1D(options.embedding_dropout, name="embedding_dropout"))
    for i in range(1, options.layers + 1):
        steps.append(_recurrent(options, i))
        if options.dropout_each and i < options.layers:
            steps.append(layers.Dropout(options.dropout, name=f"dropout_{i}"))
    return steps


def _recurrent(options: Recurrent, i: int) -> keras.Layer:
    layer = CELLS[options.cell](
        options.units,
        return_sequences=i < options.layers or options.head != "last",
        dropout=options.inner_dropout,
        name=f"{options.cell}_{i}",
    )
    return keras.layers.Bidirectional(layer, name=f"bidirectional_{i}") if options.bidirectional else layer


def _pooled(options: Recurrent, x: Any, ids: Any) -> Any:
    """The mean and the maximum of sequences over the tokens of the text, (batch, 2 * channels).

    Padding is in neither, and both are finite for a text without tokens. Keras's pooling layers include padding in the
    maximum, and divide by zero tokens.
    """
    layers, ops = keras.layers, keras.ops
    if options.head == "attention":
        attended = layers.MultiHeadAttention(2, options.units // 2, name="attention")(x, x)
        x = layers.LayerNormalization(name="norm")(layers.Add(name="residual")([x, attended]))
    there = ops.expand_dims(ops.cast(ops.not_equal(ids, 0), "float32"), -1)
    mean = ops.sum(x * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0)
    largest = ops.max(x - 1e4 * (1.0 - there), axis=1) * ops.max(there, axis=1)
    return layers.Concatenate(name="pooled")([mean, largest])


def _through(steps: Sequence[keras.Layer], x: Any) -> Any:
    """The output of a chain of layers for x."""
    for layer in steps:
        x = layer(x)
    return x


def _linear(text: Any, known: Sequence[str], name: str, classes: int) -> Any:
    """Logits, linear in the tf-idf of a text's n-grams; their vocabulary is learnt from the texts `known`.

    The tf-idf weights of every text have the same Euclidean norm, so that longer texts do not get larger logits.
    """
    layers = keras.layers
    weigh = layers.TextVectorization(20_000, output_mode="tf_idf", name=f"{name}_tf_idf", **NGRAMS[name])
    weigh.adapt(known)
    steps = [
        weigh,
        layers.UnitNormalization(name=f"{name}_unit"),
        layers.Rescaling(
            40.0, name=f"{name}_scale"
        ),  # Adam takes steps of the same size for all weights, so small inputs would learn slowly
        layers.Dropout(0.3, name=f"{name}_dropout"),
        layers.Dense(classes, use_bias=False, kernel_initializer="zeros", name=name),
    ]
    return _through(steps, text)


def check_tokens(vectorize: Any, texts: Sequence[str], tokens: int) -> None:
    """Raise TokenOutOfRange if a text has an id beyond an embedding table of `tokens` rows."""
    ids = np.asarray(vectorize(np.asarray(texts, dtype=object)))
    bad = np.flatnonzero((ids < 0).any(axis=1) | (ids >= tokens).any(axis=1))
    if len(bad):
        raise TokenOutOfRange(
            f"{rows(bad)}: token id {ids[bad[0]].max()}, but the embedding table has rows 0 to {tokens - 1}"
        )
