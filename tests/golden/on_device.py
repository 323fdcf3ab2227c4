"""The golden files on another machine: `FNET_BACKEND=jax python -m tests.golden.on_device [--whole] [NAME ...]`.

Runs `predict`; with --whole also the call, `predict` in batches of 3 and 1, the model from the store and its weights
alone. Needs neither Keras nor TensorFlow: the outputs of the Keras that wrote a model are in its archive. Prints errors
over the floor of the yardstick, and the number of models.
"""

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

import fnet
from compare import yardstick
from params import load_keras, load_weights

SUFFIXES = ("keras", "h5")
OF_ARCHIVE = ("text", "adapted")
"""Models whose vocabularies are not in `.h5` files."""


def models(archive):
    """(name, {suffix: bytes} of its files, recorded arrays) of each model of an archive with a whole model file."""
    members = zipfile.ZipFile(archive)
    files = {}
    for member in members.namelist():
        name, _, suffix = member.partition(".")
        files.setdefault(name, {})[suffix] = members.read(member)
    for name, by_suffix in files.items():
        whole = [suffix for suffix in SUFFIXES if suffix in by_suffix and not (suffix == "h5" and name in OF_ARCHIVE)]
        if whole and not name.startswith("refused"):
            yield f"{archive.stem} {name}.{whole[0]}", by_suffix, whole[0], np.load(io.BytesIO(by_suffix["npz"]))


def recorded(arrays, letter):
    return [arrays[f"{letter}{i}"] for i in range(sum(key.startswith(letter) for key in arrays))]


def ways(files, suffix, arrays, whole):
    """(name, output, recorded output) of each way to run a model; of all ways if `whole`."""
    model, params = load_keras(files[suffix])
    x, called, predicted = (recorded(arrays, letter) for letter in "xyp")
    x = x if len(x) > 1 else x[0]
    yield "predict", fnet.predict(model, params, x), predicted
    if not whole:
        return
    yield "call", model(params, x), called
    for size in (3, 1):
        yield f"predict by {size}", fnet.predict(model, params, x, batch_size=size), predicted
    with tempfile.TemporaryDirectory() as folder:
        fnet.save(Path(folder) / "m.safetensors", model, params)
        again, stored = fnet.load(Path(folder) / "m.safetensors")
    yield "store", again(stored, x), called
    if "weights.h5" in files:
        empty = fnet.tree.map(lambda a: np.zeros_like(a) if a.dtype.kind == "f" else a, params)
        yield "load_weights", model(load_weights(files["weights.h5"], model, empty), x), called


def error_of(given, expected):
    """The largest error, relative to the largest value of its output; texts are equal, or it is infinite."""
    errors = [
        yardstick.error(np.asarray(ours).astype(theirs.dtype), theirs)
        for ours, theirs in zip(fnet.tree.leaves(given), expected, strict=True)
    ]
    return max(errors, default=0.0)


def main(names):
    if fnet.backend.name() == "jax":
        import jax

        print(jax.devices(), jax.__version__)
    whole = "--whole" in names
    names = [name for name in names if name != "--whole"]
    count, over, worst = 0, 0, 0.0
    for archive in sorted(Path(__file__).parent.glob("keras-*.zip")):
        if names and not any(name in archive.stem for name in names):
            continue
        for name, files, suffix, arrays in models(archive):
            errors = {"model": 0.0}
            try:
                for way, given, expected in ways(files, suffix, arrays, whole):
                    errors[way] = error_of(given, expected)
            except Exception as failure:  # any error on this device is a finding
                errors[f"{type(failure).__name__}: {str(failure)[:200]}"] = np.inf
            count, worst = count + 1, max(worst, *errors.values())
            wrong = {way: float(f"{error:.2g}") for way, error in errors.items() if error > yardstick.allowed(0)}
            if wrong:
                over += 1
                print(f"{name}: {wrong}", flush=True)
        print(f"{archive.stem}: {count} models so far", file=sys.stderr)
    print(f"{count} models, {over} over {yardstick.allowed(0):.0e}, the largest error {worst:.2g}")


if __name__ == "__main__":
    main(sys.argv[1:])
