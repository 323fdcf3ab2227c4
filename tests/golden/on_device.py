"""The golden files on another machine: `FNET_BACKEND=jax python -m tests.golden.on_device [NAME ...]` on a GPU, say.

Needs neither Keras nor TensorFlow: what each model gave where it was written is in its archive. Prints the models whose
error is over the floor of the yardstick, and how many there were.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

import fnet
from compare import yardstick
from params import load_keras

SUFFIXES = ("keras", "h5")
OF_ARCHIVE = ("text", "adapted")
"""Models whose vocabularies are not in `.h5` files."""


def models(archive):
    """(name, bytes of a file, its recorded arrays) of each model of an archive that a file holds whole."""
    members = zipfile.ZipFile(archive)
    for name in sorted({member.partition(".")[0] for member in members.namelist()}):
        if name.startswith("refused"):
            continue
        for suffix in SUFFIXES:
            if f"{name}.{suffix}" in members.namelist() and not (suffix == "h5" and name in OF_ARCHIVE):
                arrays = np.load(io.BytesIO(members.read(f"{name}.npz")))
                yield f"{archive.stem} {name}.{suffix}", members.read(f"{name}.{suffix}"), arrays
                break


def inputs(arrays, letter):
    return [arrays[f"{letter}{i}"] for i in range(sum(key.startswith(letter) for key in arrays))]


def error_of(data, arrays):
    """The largest error of what `predict` gives, relative to the largest value of its output."""
    model, params = load_keras(data)
    x = inputs(arrays, "x")
    y = fnet.predict(model, params, x if len(x) > 1 else x[0])
    errors = [
        yardstick.error(ours, theirs)
        for ours, theirs in zip(fnet.tree.leaves(y), inputs(arrays, "p"), strict=True)
        if theirs.dtype.kind in "fiu"
    ]
    return max(errors, default=0.0)


def main(names):
    if fnet.backend.name() == "jax":
        import jax

        print(jax.devices(), jax.__version__)
    count, over, worst = 0, 0, 0.0
    for archive in sorted(Path(__file__).parent.glob("keras-*.zip")):
        if names and not any(name in archive.stem for name in names):
            continue
        for name, data, arrays in models(archive):
            try:
                error = error_of(data, arrays)
            except Exception as failure:  # whatever a model raises on this device is what is looked for
                print(f"{name}: {type(failure).__name__}: {str(failure)[:200]}")
                error = np.inf
            count, worst = count + 1, max(worst, error)
            if error > yardstick.allowed(0):
                over += 1
                print(f"{name}: {error:.2g}", flush=True)
    print(f"{count} models, {over} over {yardstick.allowed(0):.0e}, the largest error {worst:.2g}")


if __name__ == "__main__":
    main(sys.argv[1:])
