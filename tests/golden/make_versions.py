"""Writes `keras-VERSION.zip` next to itself: files of the Keras that runs this, with inputs and outputs.

Run it with the Python of each version, in a separate virtual environment; with names of models it adds only those:

    tensorflow-cpu==2.9.3, 2.10.1 (Python 3.10), 2.12.1, 2.13.1, 2.14.1, 2.15.1 (3.11)     Keras of the same number
    tensorflow-cpu==2.3.4, 2.4.4 (3.8); tensorflow==1.15.5, 2.1.4 (3.7)                    with protobuf<3.21, h5py<3
    keras==2.2.4 with tensorflow==1.13.2 (3.7)
    tensorflow-cpu==2.16.2 with tf-keras==2.16.0, and so on to 2.20
    pip install --no-deps keras==3.0.5, 3.3.3, 3.6.0 with TensorFlow 2.15.1; 3.10.0, 3.15.1 with 2.21.0; 3.12.4,
    3.13.0 with 2.20.0 (four_bits, four_bits_of_attention alone)

In an archive NAME.keras, NAME.h5 and NAME.weights.h5 hold one model, NAME.npz its inputs x0, ..., the outputs of a
call, y0, ..., and those of `predict`, p0, ... . fnet must refuse models whose names begin with "refused".
"""

import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from models import MODELS
from recording import NUMBER, VERSION, called, keras, numbered, predicted, redraw

KEPT = (
    "numbers",
    "words",
    "categories",
    "text",
    "texts",
    "adapted",
    "bins",
    "bins_as_vectors",
    "teachable",
    "four_bits",
    "four_bits_of_attention",
)
"""Models that keep their weights, as they are adapted or quantized."""
KERAS_ALONE = ("four_bits_of_attention",)
"""Models that no version can read from `.h5`."""
WITH_WEIGHTS = ("cnn", "rnn", "cells", "twins", "states", "deferred", "many", "thrice", "text")
"""Models whose weights are also written separately."""


def name_of_archive():
    if keras.__name__.startswith(("tensorflow", "tensorflow_core")) or "tensorflow" in keras.__name__:
        import tensorflow as tf

        return f"keras-{VERSION}-tf{tf.__version__}.zip"
    return f"keras-{VERSION}.zip"


def save(folder, name, model, inputs):
    called(model, inputs)
    if name not in KEPT:
        redraw(model)
    found = dict(
        numbered("x", inputs), **numbered("y", called(model, inputs)), **numbered("p", predicted(model, inputs))
    )
    np.savez(str(folder / f"{name}.npz"), **found)
    for suffix in ("keras",) if name in KERAS_ALONE else ("keras", "h5") if NUMBER >= (2, 12) else ("h5",):
        write(model.save, folder / f"{name}.{suffix}")
    if name in WITH_WEIGHTS:
        write(model.save_weights, folder / f"{name}.weights.h5")


def write(method, file):
    try:
        method(str(file))
    except Exception as error:  # this version cannot write the file
        print("not written:", file.name, type(error).__name__, str(error)[:100])
        if file.exists():
            file.unlink()


def main(only=()):
    target = Path(__file__).resolve().with_name(name_of_archive())
    with tempfile.TemporaryDirectory() as scratch:
        for build in MODELS:
            if only and build.__name__ not in only:
                continue
            try:
                model, inputs = build() or (None, None)
                if model is not None:
                    save(Path(scratch), build.__name__, model, inputs)
            except Exception as error:  # this version does not have it
                print("not made:", build.__name__, type(error).__name__, str(error)[:200])
        with zipfile.ZipFile(str(target), "a" if only else "w", zipfile.ZIP_LZMA) as made:
            for file in sorted(Path(scratch).iterdir()):
                made.write(str(file), file.name)
    print(target.name, target.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
