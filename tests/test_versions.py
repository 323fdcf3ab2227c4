"""Files that earlier versions of Keras wrote (`golden/make_versions.py`), beside what they gave then."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from params import UnsupportedLayer, load_keras, load_weights
from tests import parity

ARCHIVES = sorted((Path(__file__).parent / "golden").glob("keras-*.zip"))
FILES = [(archive, name) for archive in ARCHIVES for name in zipfile.ZipFile(archive).namelist()]
MODELS = [(a, n) for a, n in FILES if n.endswith((".keras", ".h5")) and "weights" not in n and n != "text.h5"]


def read(archive, name):
    return zipfile.ZipFile(archive).read(name)


def assert_as_then(model, params, archive, name):
    arrays = np.load(io.BytesIO(read(archive, f"{name}.npz")))
    inputs = [arrays[key] for key in sorted(arrays) if key.startswith("x")]
    expected = [arrays[key] for key in sorted(arrays) if key.startswith("y")]
    y = model(params, inputs if len(inputs) > 1 else inputs[0])
    for ours, theirs in zip(y if isinstance(y, list) else [y], expected, strict=True):
        assert ours.dtype == theirs.dtype
        parity.assert_close(ours, theirs)


@pytest.mark.parametrize(("archive", "name"), MODELS, ids=lambda value: getattr(value, "stem", value))
def test_models_of_earlier_versions(archive, name, each_backend):
    assert_as_then(*load_keras(read(archive, name)), archive, name.partition(".")[0])


@pytest.mark.parametrize(
    ("archive", "name"),
    [(a, n.partition(".")[0]) for a, n in MODELS if n.endswith(".keras")],
    ids=lambda value: getattr(value, "stem", value),
)
def test_weights_of_earlier_versions_into_their_models(archive, name):
    model, params = load_keras(read(archive, f"{name}.keras"))
    assert_as_then(model, load_weights(read(archive, f"{name}.weights.h5"), model, params), archive, name)


@pytest.mark.parametrize("archive", [a for a, n in FILES if n == "text.h5"], ids=lambda archive: archive.stem)
def test_legacy_text_models_have_lost_their_vocabulary(archive):
    with pytest.raises(UnsupportedLayer, match="has lost the vocabulary"):
        load_keras(read(archive, "text.h5"))
    tokens = ["", "[UNK]", "tiga", "dua", "satu", "lima", "empat"]
    assert_as_then(*load_keras(read(archive, "text.h5"), vocabulary=tokens), archive, "text")
