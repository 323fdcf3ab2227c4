"""Files that earlier versions of Keras wrote (`golden/make_versions.py`), compared with their outputs then."""

import json
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fnet
from compare import yardstick
from fnet import backend
from params import UnsafeFile, UnsupportedLayer, load, load_keras, load_weights, save
from tests.golden.archives import FOLDER, named, npz, read
from tests.golden.table import table

ROOT = Path(__file__).parent.parent
ARCHIVES = sorted(FOLDER.glob("keras-*.zip"))
LOST = ("text", "adapted")
"""Models whose vocabularies are not in legacy files."""
TOKENS = ["", "[UNK]", "tiga", "dua", "satu", "lima", "empat"]


def entries(archive):
    """{name of a model: the suffixes of its files}."""
    found = {}
    for member in zipfile.ZipFile(archive).namelist():
        name, _, suffix = member.partition(".")
        if suffix != "npz":
            found.setdefault(name, []).append(suffix)
    return found


MODELS = [(archive, name) for archive in ARCHIVES for name in entries(archive)]
RIGHT = [(archive, name) for archive, name in MODELS if not name.startswith("refused")]
REFUSED = [(archive, name) for archive, name in MODELS if name.startswith("refused")]


def recorded(archive, name):
    """(inputs in the model's structure, outputs of the call, outputs of `predict`)."""
    record = npz(archive, name)
    inputs, called, predicted = (
        [record[f"{letter}{i}"] for i in range(sum(key.startswith(letter) for key in record))] for letter in "xyp"
    )
    return inputs if len(inputs) > 1 else inputs[0], called, predicted


def assert_as_then(given, expected, exact=None):
    """Assert equality within the floor of the yardstick, exact for texts and integers, and of dtypes (JAX: 32 bits).

    exact: gives the outputs in float64: where the floor is passed, Keras's own error counts.
    """
    for at, (ours, theirs) in enumerate(zip(fnet.tree.leaves(given), expected, strict=True)):
        if theirs.dtype.kind == "U":
            assert np.asarray(ours).astype(str).tolist() == theirs.tolist()
            continue
        wide = {"int64": "int32"}.get(theirs.dtype.name, theirs.dtype.name) if backend.name() == "jax" else ""
        assert ours.dtype in (theirs.dtype, wide)
        near = yardstick.error(ours, theirs) <= yardstick.allowed(0)
        assert near or (exact and yardstick.judge(np.asarray(ours), theirs, fnet.tree.leaves(exact())[at]).held)


def in_float64(model, params, x):
    """The outputs of a model of floats, evaluated by NumPy in float64."""
    with backend.using("numpy"):
        y = model(*(fnet.tree.map(lambda a: np.asarray(a, "float64"), t) for t in (params, x)))
    assert all(leaf.dtype == np.float64 for leaf in fnet.tree.leaves(y))
    return y


def equal_params(a, b):
    a, b = (dict(fnet.tree.items(params)) for params in (a, b))
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and a[k].tobytes() == b[k].tobytes() for k in a)


def models_of(archive, name):
    """(suffix, model, params) of each file of a model that is whole."""
    for suffix in entries(archive)[name]:
        if suffix == "weights.h5" or (suffix == "h5" and name in LOST):
            continue
        yield suffix, *load_keras(read(archive, f"{name}.{suffix}"))


@pytest.mark.parametrize(("archive", "name"), RIGHT, ids=named)
def test_files_of_earlier_versions_give_what_they_gave(archive, name):
    x, called, predicted = recorded(archive, name)
    for _, model, params in models_of(archive, name):
        assert_as_then(model(params, x), called)
        for size in (32, 3, 1):
            assert_as_then(fnet.predict(model, params, x, batch_size=size), predicted)


@pytest.mark.slow
@pytest.mark.parametrize(("archive", "name"), RIGHT, ids=named)
def test_files_of_earlier_versions_give_the_same_on_jax_and_from_the_store(archive, name, tmp_path, each_backend):
    x, called, predicted = recorded(archive, name)
    seen = []
    for suffix, model, params in models_of(archive, name):
        if any(model == other and equal_params(params, theirs) for other, theirs in seen):
            continue  # an equal function gives equal answers: compiling it again takes most of the time
        seen.append((model, params))
        path = tmp_path / f"{suffix}.safetensors"
        save(path, model, params)
        again, stored = load(path)
        exact = partial(in_float64, model, params, x)
        assert_as_then(again(stored, x), called, exact)
        assert_as_then(fnet.predict(again, stored, x, batch_size=3), predicted, exact)


@pytest.mark.parametrize(("archive", "name"), [(a, n) for a, n in RIGHT if "weights.h5" in entries(a)[n]], ids=named)
def test_weights_of_earlier_versions_fill_their_models(archive, name):
    x, called, _ = recorded(archive, name)
    weights = read(archive, f"{name}.weights.h5")
    for _, model, params in models_of(archive, name):
        empty = fnet.tree.map(lambda a: np.zeros_like(a) if a.dtype.kind == "f" else a, params)
        assert_as_then(model(load_weights(weights, model, empty), x), called)


@pytest.mark.parametrize(("archive", "name"), REFUSED, ids=named)
def test_what_cannot_be_right_is_refused_by_name_when_it_is_loaded(archive, name):
    for suffix in entries(archive)[name]:
        with pytest.raises((UnsupportedLayer, UnsafeFile)):
            load_keras(read(archive, f"{name}.{suffix}"))


@pytest.mark.parametrize("archive", [a for a, n in RIGHT if n == "text" and "h5" in entries(a)[n]], ids=named)
def test_legacy_text_models_have_lost_their_vocabulary(archive):
    with pytest.raises(UnsupportedLayer, match="has lost the vocabulary"):
        load_keras(read(archive, "text.h5"))
    model, params = load_keras(read(archive, "text.h5"), vocabulary=TOKENS)
    x, called, _ = recorded(archive, "text")
    assert_as_then(model(params, x), called)


def test_the_page_of_versions_is_about_these_archives():
    page = (ROOT / "docs" / "versions.md").read_text("utf-8")
    assert table() in page, "python -m tests.golden.table says what docs/versions.md should hold"


ALONE = """
import sys, json
for name in ("keras", "tf_keras", "tensorflow", "h5py"):
    sys.modules[name] = None
sys.path.insert(0, sys.argv[1])
from tests import test_versions as versions
done = 0
for archive, name in versions.RIGHT:
    x, called, _ = versions.recorded(archive, name)
    for suffix, model, params in versions.models_of(archive, name):
        versions.assert_as_then(model(params, x), called)
        done += 1
imported = [name for name in ("keras", "tensorflow", "h5py") if sys.modules.get(name)]
print(json.dumps({"files": done, "imported": imported}))
"""


def test_files_load_where_keras_tensorflow_and_h5py_cannot_be_imported():
    command = [sys.executable, "-c", ALONE, str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    said = json.loads(result.stdout)
    assert said["imported"] == []
    assert said["files"] > len(RIGHT)
