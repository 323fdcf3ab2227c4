"""Writes the files of this folder with Keras 2: `pip install tensorflow tf_keras`, then `python make.py`.

Made with tf_keras 2.21.0 (which writes "keras_version": "2.21.0"). Each model is saved as `.h5` and `.keras`, with
random inputs x0, x1, ... and what Keras 2 gave for them, y0, y1, ..., in the `.npz`.
"""

from pathlib import Path

import numpy as np
import tf_keras as keras
from tf_keras import layers

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


def save(name, model, *inputs):
    values = [(weight.name, draw(*weight.shape) * 0.5) for weight in model.weights]
    model.set_weights([abs(value) + 0.5 if "variance" in name else value for name, value in values])
    outputs = model(list(inputs) if len(inputs) > 1 else inputs[0])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
    np.savez(HERE / f"{name}.npz", **arrays)
    model.save(HERE / f"{name}.h5")
    model.save(HERE / f"{name}.keras")


def cnn():
    return keras.Sequential(
        [
            layers.Conv2D(4, 3, padding="same", input_shape=(8, 8, 3)),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.1),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3),
            layers.ReLU(max_value=6),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )


def rnn():
    return keras.Sequential(
        [
            layers.Embedding(6, 4, mask_zero=True, input_length=5),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid")),
            layers.GRU(3),
            layers.Dense(2, activation="hard_sigmoid"),
        ]
    )


def twins():
    """A nested model called several times, with a frozen layer in it, and a shared layer."""
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    inner = layers.Input((4,))
    normalize = layers.BatchNormalization(name="bn")
    sub = keras.Model(inner, normalize(layers.Dense(4, activation="relu", name="inner")(inner)), name="sub")
    shared = layers.Dense(4, name="shared")
    u = sub(sub(a))
    v = shared(sub(b))
    w = shared(u)
    normalize.trainable = False
    joined = layers.Concatenate(axis=-1)([v, w, a])
    return keras.Model([a, b], [layers.Dense(2, name="out1")(joined), layers.Add(name="sum")([v, w])], name="twins")


def states():
    sequence, h, c = layers.Input((5, 4)), layers.Input((3,)), layers.Input((3,))
    y, h_end, c_end = layers.LSTM(3, return_sequences=True, return_state=True)(sequence, initial_state=[h, c])
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(y, y))
    head = [layers.Dense(3, input_shape=(3,), activation="swish"), layers.Dense(3)]
    y = keras.Sequential(head, name="inner_seq")(layers.GlobalAveragePooling1D()(y))
    return keras.Model([sequence, h, c], [y, h_end, c_end])


save("cnn", cnn(), draw(2, 8, 8, 3))
save("rnn", rnn(), np.array([[1, 2, 3, 0, 0], [4, 0, 5, 1, 0]], "int32"))
save("graph", twins(), draw(3, 4), draw(3, 4))
save("states", states(), draw(2, 5, 4), draw(2, 3), draw(2, 3))
