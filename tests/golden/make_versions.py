"""Writes `keras-VERSION.zip` beside itself: files of an old Keras, with inputs x0, ... and what it gave, y0, ...

The files here are from Keras 2.12.0 (`pip install tensorflow==2.12.1`), 2.15.0 (tensorflow==2.15.1), and with the
latter's TensorFlow 3.0.5, 3.5.0 (`pip install --no-deps keras==3.5.0`, and optree, rich, namex, ml_dtypes); 3.10.0 with
TensorFlow 2.21. Run it with the Python where that version is installed.
"""

import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

RNG = np.random.default_rng(0)
KERAS_2 = keras.__version__.startswith("2")


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


def cnn():
    steps = [
        layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.1),
        layers.MaxPooling2D(),
        layers.DepthwiseConv2D(3),
        layers.ReLU(max_value=6),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(3, activation="softmax"),
    ]
    return keras.Sequential([layers.Input((8, 8, 3)), *steps]), [draw(2, 8, 8, 3)]


def rnn():
    steps = [
        layers.Embedding(6, 4, mask_zero=True),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid")),
        layers.GRU(3),
        layers.Dense(2, activation="hard_sigmoid"),
    ]
    ids = np.array([[1, 2, 3, 0, 0], [4, 0, 5, 1, 0]], "int32")
    return keras.Sequential([layers.Input((5,), dtype="int32"), *steps]), [ids]


def cells():
    x = layers.Input((5, 4))
    y = layers.RNN([layers.LSTMCell(3), layers.GRUCell(4, reset_after=False)], return_sequences=True)(
        layers.Masking()(x)
    )
    y = layers.TimeDistributed(layers.Dense(3, activation="tanh"))(y)
    back = layers.SimpleRNN(3, go_backwards=True, activation="relu")
    y = layers.Bidirectional(layers.SimpleRNN(3), merge_mode="sum", backward_layer=back)(y)
    return keras.Model(x, y), [draw(2, 5, 4)]


def twins():
    """A nested model called several times, with a frozen layer in it, and a shared layer."""
    a, b, inner = layers.Input((4,), name="a"), layers.Input((4,), name="b"), layers.Input((4,))
    normalize = layers.BatchNormalization(name="bn")
    sub = keras.Model(inner, normalize(layers.Dense(4, activation="relu", name="inner")(inner)), name="sub")
    shared = layers.Dense(4, name="shared")
    u = sub(sub(a))
    v = shared(sub(b))
    w = shared(u)
    normalize.trainable = False
    joined = layers.Concatenate(axis=-1)([v, w, a])
    outputs = [layers.Dense(2, name="out1")(joined), layers.Add(name="sum")([v, w])]
    return keras.Model([a, b], outputs), [draw(3, 4), draw(3, 4)]


def states():
    sequence, h, c = layers.Input((5, 4)), layers.Input((3,)), layers.Input((3,))
    y, h_end, c_end = layers.LSTM(3, return_sequences=True, return_state=True)(sequence, initial_state=[h, c])
    y = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(y, y))
    head = [layers.Input((3,)), layers.Dense(3, activation="swish"), layers.Dense(3)]
    y = keras.Sequential(head, name="head")(layers.GlobalAveragePooling1D()(y))
    return keras.Model([sequence, h, c], [y, h_end, c_end]), [draw(2, 5, 4), draw(2, 3), draw(2, 3)]


def deferred():
    """A Sequential model that learnt its input shape from a call."""
    steps = [
        layers.Dense(3),
        layers.Activation("gelu"),
        layers.GroupNormalization(3),
        layers.UnitNormalization(),
        layers.Reshape((3, 1)),
        layers.Conv1D(2, 2, padding="causal"),
        layers.Flatten(),
        layers.Dense(1, activation="exponential"),
    ]
    return keras.Sequential(steps), [draw(2, 4)]


def text():
    vectorize = layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    vectorize.adapt(np.array(["satu dua tiga", "dua tiga empat lima"]))
    x = layers.Input((1,), dtype="string")
    y = layers.SimpleRNN(3)(layers.Embedding(20, 3, mask_zero=True)(vectorize(x)))
    return keras.Model(x, layers.Dense(2)(y)), [np.array([["dua satu"], ["tiga, x lima empat dua"]])]


def save(folder, name, model, inputs):
    tensors = [tf.constant(x) for x in inputs]
    model(tensors if len(tensors) > 1 else tensors[0])
    if name != "text":
        values = [(weight.name, draw(*weight.shape) * 0.5) for weight in model.weights]
        model.set_weights([abs(value) + 0.5 if "variance" in name else value for name, value in values])
    outputs = model(tensors if len(tensors) > 1 else tensors[0])
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
    np.savez(folder / f"{name}.npz", **arrays)
    for write, suffix in ((model.save, "keras"), (model.save, "h5"), (model.save_weights, "weights.h5")):
        file = folder / f"{name}.{suffix}"
        try:
            write(file)
        except (NotImplementedError, ValueError) as error:  # what this version cannot write itself
            print(keras.__version__, file.name, error)
            file.unlink(missing_ok=True)


with tempfile.TemporaryDirectory() as scratch:
    for build in (cnn, rnn, cells, twins, states, deferred, text):
        save(Path(scratch), build.__name__, *build())
    with zipfile.ZipFile(
        Path(__file__).with_name(f"keras-{keras.__version__}.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9
    ) as made:
        for file in sorted(Path(scratch).iterdir()):
            made.write(file, file.name)
