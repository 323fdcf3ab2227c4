"""Models of which Keras's `predict` and a bare `model(x)` differ, with the outputs of both: predict-<version>.zip.

Flags in calls, and states that go from batch to batch. With the argument `integers`: preprocessing layers of Keras 3 on
integers, in integers-<version>.zip. Run it with the Python of an environment with the TensorFlow or Keras in question,
as `python tests/golden/make_predict.py`; it writes next to itself. Here: 2.9.0, 2.15.1, 3.0.5 (with TensorFlow 2.15)
and 3.15.1; of integers 3.0.5, 3.3.3, 3.6.0, 3.10.0, 3.12.4 and 3.15.1.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1")

import numpy as np
import tensorflow as tf

try:
    import keras

    if not keras.__version__.startswith("3"):
        keras = tf.keras
except ImportError:
    keras = tf.keras

L = keras.layers
VERSION = getattr(keras, "__version__", tf.__version__)
RNG = np.random.default_rng(0)
BATCH = 3
FLAG = {None: {}, True: {"training": True}, False: {"training": False}}
X = {
    2: RNG.standard_normal((9, 4)).astype("float32"),
    3: RNG.standard_normal((9, 4, 3)).astype("float32"),
    4: RNG.random((9, 6, 6, 3)).astype("float32"),
}
X[3][:, :2][RNG.random((9, 2)) < 0.5] = 0  # for Masking


def model_of(shape, *steps, batch=None):
    """The model of steps (layer, flag)."""
    x = y = keras.Input(shape, batch_size=batch)
    for layer, flag in steps:
        y = layer(y, **FLAG[flag])
    return keras.Model(x, y)


def inner(flag=None):
    """A model of two batch normalizations, the first called with `flag`."""
    return model_of((4,), (L.BatchNormalization(), flag), (L.Dense(4), None), (L.BatchNormalization(), None))


def frozen_model():
    sub = inner()
    sub.trainable = False
    return model_of((4,), (sub, True))


def shared(*flags):
    x, layer = keras.Input((4,)), L.BatchNormalization()
    return keras.Model(x, L.Concatenate()([layer(x, **FLAG[flag]) for flag in flags]))


def models_called_twice(*flags):
    x, sub = keras.Input((4,)), inner()
    return keras.Model(x, L.Add()([sub(x, **FLAG[flag]) for flag in flags]))


def after_each_other(*flags):
    """A chain of normalizations; for a flag "-" a dropout, which Keras 3 calls with training=False by default."""
    steps = [(L.Dropout(0.5), None) if flag == "-" else (L.BatchNormalization(), flag) for flag in flags]
    return model_of((4,), *steps)


def branches():
    """In a bare call of Keras 3 the branch that runs first determines what the other computes."""
    x = keras.Input((4,))
    left = L.BatchNormalization()(L.Dense(4)(x), training=True)
    return keras.Model(x, L.Concatenate()([L.BatchNormalization()(x), left, L.BatchNormalization()(L.Dense(3)(x))]))


def stateful(*layers):
    return model_of((4, 3), *((layer, None) for layer in layers), batch=BATCH)


def sequential(*layers, flag=None):
    return model_of((4,), (keras.Sequential([keras.Input((4,)), *layers]), flag))


FLAGS = {
    "bn-T": lambda: model_of((4,), (L.BatchNormalization(), True)),
    "bn-F": lambda: model_of((4,), (L.BatchNormalization(), False)),
    "frozen-T": lambda: model_of((4,), (L.BatchNormalization(trainable=False), True)),
    "frozen-model-T": frozen_model,
    "masked-T": lambda: model_of((4, 3), (L.Masking(), None), (L.BatchNormalization(), True)),
    "shared-TT": lambda: shared(True, True),
    "shared-TF": lambda: shared(True, False),
    "chain-Tn": lambda: after_each_other(True, None),
    "chain-Tdn": lambda: after_each_other(True, "-", None),
    "chain-nTFn": lambda: after_each_other(None, True, False, None),
    "branches": branches,
    **{f"nested-{a}-{b}": (lambda a=a, b=b: model_of((4,), (inner(b), a))) for a in FLAG for b in FLAG},
    "deep-n-T": lambda: model_of((4,), (model_of((4,), (inner(), True)), None), (L.BatchNormalization(), None)),
    "deep-T-F": lambda: model_of((4,), (model_of((4,), (inner(), False)), True)),
    "deep-F-T": lambda: model_of((4,), (model_of((4,), (inner(), True)), False)),
    "twice-Tn": lambda: models_called_twice(True, None),
    "twice-TT": lambda: models_called_twice(True, True),
    "sequential-T": lambda: sequential(L.Dense(4), L.BatchNormalization(), flag=True),
    "sequential-inner-T": lambda: sequential(model_of((4,), (L.BatchNormalization(), True)), L.BatchNormalization()),
    "distributed-T": lambda: model_of((4, 3), (L.TimeDistributed(L.BatchNormalization()), True)),
    "harmless-T": lambda: model_of((4, 3), (L.LSTM(3, return_sequences=True), True), (L.Dense(2), None)),
    "dropout-T": lambda: model_of((4,), (L.Dropout(0.5), True)),
    "dropout-n": lambda: model_of((4,), (L.Dropout(0.5), None)),
    "dropout-model-T": lambda: model_of((4,), (model_of((4,), (L.Dropout(0.5), None)), True)),
    "dropout-sequential-T": lambda: sequential(L.Dropout(0.5), flag=True),
    "noise-T": lambda: model_of((4,), (L.GaussianNoise(0.5), True)),
    "lstm-T": lambda: model_of((4, 3), (L.LSTM(3, dropout=0.5), True)),
    "bidirectional-T": lambda: model_of((4, 3), (L.Bidirectional(L.LSTM(3, dropout=0.5)), True)),
    "distributed-dropout-T": lambda: model_of((4, 3), (L.TimeDistributed(L.Dropout(0.5)), True)),
    "flip-T": lambda: model_of((6, 6, 3), (L.RandomFlip(), True)),
    "flip-n": lambda: model_of((6, 6, 3), (L.RandomFlip(), None)),
    "flip-model-T": lambda: model_of((6, 6, 3), (model_of((6, 6, 3), (L.RandomFlip(), None)), True)),
}
STATES = {
    "stateful-two": lambda: stateful(L.LSTM(4, stateful=True, return_sequences=True), L.GRU(3, stateful=True)),
    "stateful-one": lambda: stateful(L.LSTM(4, return_sequences=True), L.SimpleRNN(3, stateful=True)),
    "stateful-masked": lambda: stateful(L.Masking(), L.LSTM(4, stateful=True, return_sequences=True)),
    "stateful-both-ways": lambda: stateful(L.Bidirectional(L.GRU(4, stateful=True))),
    "stateful-backwards": lambda: stateful(L.GRU(4, stateful=True, go_backwards=True, return_sequences=True)),
    "stateful-cells": lambda: stateful(L.RNN([L.LSTMCell(3), L.GRUCell(2)], stateful=True)),
    "stateful-nested": lambda: stateful(stateful(L.LSTM(4, stateful=True)), L.Dense(2)),
}


PIXELS = (X[4] * 255).astype("uint8")


def cast_first(x, *layers):
    """(model, x) of preprocessing layers in a row, whose input has the dtype of `x`."""
    start = y = keras.Input(x.shape[1:], dtype=x.dtype.name)
    for layer in layers:
        y = layer(y)
    return keras.Model(start, y), x


def halved(x, layer):
    """(model, x) of a layer and half of its output, rounded down, which depends on its dtype."""
    model, _ = cast_first(x, layer)
    return keras.Model(model.input, keras.ops.sum(model.output // 2, axis=1)), x


def inside(x, layer):
    """(model, x) of a layer before a nested model that takes bytes."""
    start, given = keras.Input(x.shape[1:], dtype="uint8"), keras.Input((3, 4, 3), dtype="uint8")
    return keras.Model(start, keras.Model(given, given + 1)(layer(start))), x


BRIGHT = {"RandomBrightness": (0.1,), "RandomFlip": (), "MixUp": (), "RandomCrop": (3, 4), "CenterCrop": (3, 4)}
TILED = "ContrastLimitedAdaptiveHistogramEqualization"
VIDEO = np.stack([PIXELS, PIXELS[::-1]], 1)
INTEGERS = {
    **{
        f"resizing-{x.dtype}-{how}": (lambda x=x, how=how: cast_first(x, L.Resizing(3, 4, interpolation=how)))
        for x in (PIXELS, PIXELS.astype("int32") - 100)
        for how in ("bilinear", "nearest", "bicubic")
    },
    "resizing-mixed": lambda: cast_first(PIXELS, L.Resizing(3, 4, dtype="mixed_float16")),
    "resizing-bytes": lambda: cast_first(PIXELS, L.Resizing(3, 4, dtype="uint8")),
    "resizing-bool": lambda: cast_first(PIXELS > 100, L.Resizing(3, 4)),
    "resizing-inside": lambda: inside(PIXELS, L.Resizing(3, 4)),
    "resizing-distributed": lambda: cast_first(VIDEO, L.TimeDistributed(L.Resizing(3, 4))),
    "resizing-model-distributed": lambda: cast_first(VIDEO, L.TimeDistributed(cast_first(PIXELS, L.Resizing(3, 4))[0])),
    "pipeline": lambda: cast_first(PIXELS, L.Pipeline([L.Resizing(3, 4), L.Rescaling(0.5)])),
    "tiled": lambda: cast_first(PIXELS, getattr(L, TILED)(tile_grid_size=(2, 2))),
    **{f"halved-{name}": (lambda n=name, a=args: halved(PIXELS, getattr(L, n)(*a))) for name, args in BRIGHT.items()},
    **{
        f"categories-{policy}": (
            lambda p=policy: cast_first((abs(X[2]) * 1500).astype("int32"), L.CategoryEncoding(4096, dtype=p))
        )
        for policy in ("float32", "mixed_float16", "mixed_bfloat16", "int32")
    },
    **{
        f"bins-{policy}": (lambda p=policy: cast_first(X[2], L.Discretization([-0.5, 0.25, 1.0, 1.25], dtype=p)))
        for policy in (None, "float32", "int64")
    },
}
"""{name: () -> (model, x)}; raises where there is no such layer yet, or it cannot be in a model."""


def write_integers(folder, archive) -> None:
    for name, make in INTEGERS.items():
        keras.backend.clear_session()
        try:
            model, x = make()
        except (AttributeError, NotImplementedError):
            continue
        outputs = {"x": x, "predict": model.predict(x, batch_size=BATCH, verbose=0)}
        with contextlib.suppress(tf.errors.InvalidArgumentError):  # for booleans
            outputs["call"] = np.asarray(model(x, training=False))
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", **outputs)
        for kind in ("keras", "npz"):
            archive.write(folder / f"{name}.{kind}", f"{name}.{kind}")


def filled(model):
    """The model with other weights than the initial ones; variances stay positive."""
    values = [RNG.standard_normal(w.shape).astype("float32") for w in model.weights]
    names = [getattr(w, "path", w.name) for w in model.weights]
    old = model.get_weights()
    kept = [v if o.dtype.kind == "f" else o for v, o in zip(values, old)]
    model.set_weights([abs(v) + 0.5 if "variance" in n else v for n, v in zip(names, kept)])
    return model


def main() -> None:
    kind = "integers" if "integers" in sys.argv[1:] else "predict"
    target = Path(__file__).parent / f"{kind}-{VERSION}.zip"
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        if kind == "integers":
            write_integers(Path(folder), archive)
        for name, make in {**FLAGS, **STATES}.items() if kind == "predict" else ():
            keras.backend.clear_session()
            model = filled(make())
            path = Path(folder) / f"{name}.{'keras' if VERSION.startswith('3') else 'h5'}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.save(path)
            archive.write(path, path.name)
            x = X[len(model.input_shape)]
            fresh = model.get_weights()
            outputs = {"x": x, "predict": model.predict(x, batch_size=BATCH, verbose=0)}
            model.set_weights(fresh)  # training=True has moved the statistics
            if name not in STATES:
                outputs["call"] = np.asarray(model(x))
                model.set_weights(fresh)
                outputs["inference"] = np.asarray(model(x, training=False))
            np.savez(path.with_suffix(".npz"), **outputs)
            archive.write(path.with_suffix(".npz"), f"{name}.npz")
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
