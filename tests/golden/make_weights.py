"""Writes `weights-VERSION.zip` next to itself: files of Keras 2 whose weights are found by other rules than today's.

Each case is `name.keras`, `name.weights.h5` and `name.h5` where this version can write it, and `name.npz` with inputs
x0, ... and outputs y0, ...  Run it with the Python where that TensorFlow is installed; the files here are
from tensorflow-cpu 2.12.1, 2.13.1, 2.14.1 and 2.15.1.
"""

import tempfile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

keras = tf.keras
layers = keras.layers
cudnn = tf.compat.v1.keras.layers
RNG = np.random.default_rng(0)
WORDS = np.array(["satu dua tiga", "dua tiga empat lima", "dua"])


def draw(*shape):
    return RNG.standard_normal(shape).astype("float32")


def repeated():
    """Many layers of one class, with weights and without, some of them in nested models; trained, so compiled."""
    plain = keras.Sequential([layers.ReLU(), layers.Dropout(0.2)])
    head = keras.Sequential([layers.Dense(4), layers.BatchNormalization(), layers.Dense(4, "tanh"), layers.Dense(4)])
    steps = [layers.Dense(4), layers.Dense(4), plain, layers.BatchNormalization(), head, layers.PReLU()]
    model = keras.Sequential(
        [layers.Input((4,)), *steps, layers.Dense(4), layers.BatchNormalization(), layers.Dense(2)]
    )
    model.compile("adam", keras.losses.MeanSquaredError(), metrics=[keras.metrics.MeanAbsoluteError()])
    model.fit(draw(4, 4), draw(4, 2), verbose=0)
    return model, [draw(3, 4)]


def branches():
    """Layers that were made in another order than that of `model.layers`, a shared one, a model called twice."""
    x, y, inner = layers.Input((4,)), layers.Input((4,)), layers.Input((4,))
    last, shared = layers.Dense(4, name="last"), layers.Dense(4, name="shared")
    sub = keras.Model(inner, layers.Add()([layers.Dense(4)(layers.Dense(4, "tanh")(inner)), layers.Dense(4)(inner)]))
    a = layers.Dense(4)(shared(x))
    b = sub(layers.Dense(4)(shared(sub(y))))
    return keras.Model([x, y], layers.Multiply()([last(layers.Add()([b, a])), layers.Dense(4)(y)])), [
        draw(3, 4),
        draw(3, 4),
    ]


def levels():
    """Layers that are used inside a nested model and outside."""
    x, inner = layers.Input((4,)), layers.Input((4,))
    dense, normalize = layers.Dense(4), layers.BatchNormalization()
    sub = keras.Model(inner, layers.Dense(4)(normalize(dense(inner))))
    y = layers.Dense(4)(dense(sub(dense(layers.Dense(4)(x)))))
    return keras.Model(x, layers.Dense(2)(normalize(sub(y)))), [draw(3, 4)]


def wrapped():
    """Wrappers, cells and attention, each several times."""
    x = layers.Input((5, 4))
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    y = layers.RNN(
        [layers.LSTMCell(3), layers.LSTMCell(3), layers.GRUCell(3), layers.LSTMCell(3)], return_sequences=True
    )(y)
    y = layers.TimeDistributed(keras.Sequential([layers.Dense(3), layers.Dense(3), layers.Dense(3)]))(y)
    y = layers.MultiHeadAttention(2, 3)(y, layers.MultiHeadAttention(1, 3)(y, y))
    y = layers.TimeDistributed(layers.Dense(3))(layers.SimpleRNN(3, return_sequences=True)(y))
    y = layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True))(y)
    return keras.Model(x, layers.Dense(2)(y)), [draw(2, 5, 4)]


def lookups():
    """Vocabularies and statistics that were adapted."""
    x, number, values = layers.Input((1,), dtype="string"), layers.Input((2,), dtype="int64"), layers.Input((3,))
    words = layers.TextVectorization(output_sequence_length=4)
    words.adapt(WORDS)
    counted = layers.TextVectorization(output_mode="tf_idf", max_tokens=8, pad_to_max_tokens=True)
    counted.adapt(WORDS)
    whole, ids = layers.StringLookup(output_mode="one_hot", num_oov_indices=2), layers.IntegerLookup()
    whole.adapt(WORDS)
    ids.adapt(np.array([[3, 7, 7, 9]]))
    bins, scaled, given = (
        layers.Discretization(num_bins=4),
        layers.Normalization(),
        layers.Normalization(mean=1.0, variance=4.0),
    )
    bins.adapt(draw(40, 3))
    scaled.adapt(draw(40, 3))
    nested = keras.Sequential([layers.Input((1,), dtype="string"), words, layers.Embedding(9, 2), layers.Flatten()])
    parts = [nested(x), counted(x), whole(x), layers.Flatten()(layers.Embedding(9, 2)(ids(number)))]
    parts += [layers.Flatten()(layers.Embedding(5, 2)(bins(values))), scaled(values), given(values)]
    inputs = [np.array([["dua satu"], ["dua"], ["x tiga, lima"]]), np.array([[3, 9], [7, 7], [1, 3]]), draw(3, 3)]
    return keras.Model([x, number, values], layers.Dense(2)(layers.Dense(3)(layers.Concatenate()(parts)))), inputs


def on_cudnn(lstm, gru):
    x, inner = layers.Input((5, 3)), layers.Input((5, 4))
    sub = keras.Model(
        inner, lstm(3, return_sequences=True)(gru(4, return_sequences=True)(layers.LayerNormalization()(inner)))
    )
    y = sub(layers.Bidirectional(gru(4, return_sequences=True), merge_mode="sum")(lstm(3, return_sequences=True)(x)))
    y = keras.Sequential([layers.Input((5, 3)), layers.Bidirectional(lstm(2, return_sequences=True))])(y)
    return keras.Model(x, layers.TimeDistributed(lstm(2))(layers.Reshape((5, 2, 2))(y)))


def fast():
    """CuDNN layers, saved on a machine that cannot run them; the outputs come from equivalent layers for CPUs."""
    return on_cudnn(cudnn.CuDNNLSTM, cudnn.CuDNNGRU), [draw(2, 5, 3)]


@keras.utils.register_keras_serializable("tests")
class Block(layers.Layer):
    """A layer that holds others: as attributes, in a list, in a dict, in a model; with two weights of one shape."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.units = units
        self.first = layers.Dense(units)
        self.rest = [layers.Dense(units, "tanh"), layers.Dense(units)]
        self.heads = {"left": layers.Dense(units), "right": layers.Dense(units)}
        self.body = keras.Sequential([layers.Dense(units), layers.ReLU(), layers.Dense(units), layers.Dense(units)])

    def build(self, shape):
        self.offset = self.add_weight("offset", (shape[-1],))
        self.gain = self.add_weight("gain", (shape[-1],))
        super().build(shape)

    def call(self, x):
        x = self.first(x * self.gain + self.offset)
        for layer in self.rest:
            x = layer(x)
        return self.body(self.heads["left"](x) * self.heads["right"](x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def blocks():
    x = layers.Input((4,))
    return keras.Model(x, layers.Dense(2)(Block()(Block()(layers.Dense(4)(x))))), [draw(3, 4)]


def lambdas():
    """Functions, which no file should hold: one at the top, two of one name in nested models, two as activations."""
    x = layers.Input((4,))
    subs = [
        keras.Sequential([layers.Dense(4), layers.Lambda(lambda v, k: v * k, arguments={"k": k}, name="scale")])
        for k in (2.0, 3.0)
    ]
    y = layers.Lambda(lambda v: v + 1.0, name="plus")(layers.Dense(4, activation=halved)(x))
    y = layers.Dense(4, kernel_regularizer=foreign, activation=own)(y)
    return keras.Model(x, layers.Add()([sub(y) for sub in subs])), [draw(3, 4)]


def halved(x):
    return x / 2.0


@keras.utils.register_keras_serializable("tests")
def own(x):
    return x - 1.0


def foreign(w):
    return 0.0


def save(folder, name, model, inputs, runs=None):
    runs = runs or model
    if name != "lookups":
        values = [(w.name, draw(*w.shape) * 0.5) for w in model.weights]
        model.set_weights([abs(value) + 0.5 if "variance" in name else value for name, value in values])
    if runs is not model:
        model.save_weights(folder / "twin.h5")
        runs.load_weights(folder / "twin.h5")
        (folder / "twin.h5").unlink()
    tensors = [tf.constant(x) for x in inputs]
    y = runs(tensors if len(tensors) > 1 else tensors[0], training=False)
    np.savez(folder / f"{name}.npz", **{f"x{i}": x for i, x in enumerate(inputs)}, y0=np.asarray(y))
    whole = partial(model.save, save_format="keras_v3")  # without it 2.12 writes an .h5
    for write, suffix in ((whole, "keras"), (model.save, "h5"), (model.save_weights, "weights.h5")):
        file = folder / f"{name}.{suffix}"
        if name == "levels" and (suffix == "h5" or tf.__version__.startswith("2.12")):
            continue  # what these write there has lost calls, and they cannot read it themselves
        try:
            write(file)
        except (NotImplementedError, ValueError) as error:  # this version cannot write the file
            print(tf.__version__, file.name, str(error)[:80])
            file.unlink(missing_ok=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for build in (repeated, branches, levels, wrapped, lookups, fast, blocks, lambdas):
            keras.backend.clear_session()
            model, inputs = build()
            keras.backend.clear_session()
            save(
                Path(scratch),
                build.__name__,
                model,
                inputs,
                on_cudnn(layers.LSTM, layers.GRU) if build is fast else None,
            )
        with zipfile.ZipFile(
            Path(__file__).with_name(f"weights-{tf.__version__}.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as made:
            for file in sorted(Path(scratch).iterdir()):
                made.write(file, file.name)
