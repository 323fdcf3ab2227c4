"""What `predict` and a bare call give where they differ in Keras: flags in calls, states that go from batch to batch.

The numbers are those of the Keras that wrote each file (`golden/make_predict.py`).
"""

import functools

import numpy as np
import pytest

import fnet
from compare import yardstick
from fnet import bind
from params import UnsupportedLayer, from_keras, load_keras
from tests.golden import archives

ARCHIVES = sorted(archives.FOLDER.glob("predict-*.zip"))
NAMES = archives.files("predict-*.zip")
BATCH = 3
RANDOM = ("dropout", "noise", "lstm", "bidirectional", "distributed-dropout")
MOVED = ("shared-TF", "twice-Tn", "twice-TF")
"""Keras moves the statistics with one call and reads them in the next."""
MOVED_3 = ("shared-TF", "twice-TF")
"""In Keras 3 a flag goes on to the next call that has none."""
AUGMENTED = ("flip-T", "flip-model-T")


def files(start=""):
    found = [(a, n) for a, n in NAMES if n.startswith(start)]
    return pytest.mark.parametrize(("archive", "name"), found, ids=[f"{a.stem}-{n}" for a, n in found])


def read(archive, name):
    """(the file, its arrays, whether Keras 2 wrote it)."""
    arrays = archives.npz(archive, name.rpartition(".")[0])
    return archives.read(archive, name), dict(arrays), archive.stem.startswith("predict-2")


def assert_close(y, expected):
    assert y.shape == expected.shape
    assert yardstick.error(y, expected) < 1e-5  # Keras's own float32, which batch statistics amplify


@files()
def test_predict_gives_what_predict_of_the_writer_gives(archive, name):
    file, arrays, keras2 = read(archive, name)
    stem = name.rpartition(".")[0]
    obeyed = keras2 and stem.endswith("-T") and stem.startswith(RANDOM)
    if keras2 and (stem in MOVED or stem in AUGMENTED or stem == "distributed-T"):
        with pytest.raises(UnsupportedLayer, match="training=True"):
            load_keras(file)
    elif obeyed:
        with pytest.raises(UnsupportedLayer, match="rng=0"):
            load_keras(file)
        model, params = load_keras(file, rng=0)
        assert yardstick.error(model(params, arrays["x"]), arrays["inference"]) > 0.05
    else:
        model, params = load_keras(file)
        assert_close(fnet.predict(model, params, arrays["x"], batch_size=BATCH), arrays["predict"])
        if "inference" in arrays:
            assert_close(model(params, arrays["x"]), arrays["inference"])


@files()
def test_as_written_gives_what_a_bare_call_of_the_writer_gives(archive, name):
    file, arrays, keras2 = read(archive, name)
    stem = name.rpartition(".")[0]
    if "call" not in arrays:
        return
    if stem.startswith(RANDOM) and stem.endswith("-T"):
        with pytest.raises(UnsupportedLayer, match="rng=0"):
            load_keras(file, training="as written")
        model, params = load_keras(file, training="as written", rng=0)
        assert yardstick.error(model(params, arrays["x"]), arrays["inference"]) > 0.05
        return
    if stem in (MOVED if keras2 else MOVED_3) or stem.startswith("flip") or stem == "distributed-T":
        with pytest.raises(UnsupportedLayer, match="training=True"):
            load_keras(file, training="as written")
        return
    model, params = load_keras(file, training="as written")
    assert_close(model(params, arrays["x"]), arrays["call"])


INTEGERS = archives.files("integers-*.zip")


@pytest.mark.parametrize(("archive", "name"), INTEGERS, ids=[f"{a.stem}-{n}" for a, n in INTEGERS])
def test_preprocessing_layers_cast_in_predict_of_keras_3(archive, name, each_backend_slowly):
    """On TensorFlow; a call takes integers as they are."""
    file, arrays, _ = read(archive, name)
    half = "-mixed" in name and not name.startswith("categories")
    model, params = load_keras(file)
    in_batches = functools.partial(fnet.predict, batch_size=BATCH)
    runs = {
        "predict": [in_batches, lambda model, params, x: fnet.compile(model, params, optimize=False)(x)],
        "call": [lambda model, params, x: model(params, x)],
    }
    for kind, run in ((kind, run) for kind, several in runs.items() if kind in arrays for run in several):
        y = np.asarray(run(model, params, arrays["x"]))
        assert half or y.dtype.kind == arrays[kind].dtype.kind
        assert y.shape == arrays[kind].shape
        assert yardstick.error(y, arrays[kind]) <= (2e-3 if half else 2e-6)


def test_the_archives_of_integers_hold_what_they_are_for():
    """Layers whose `predict` gives other numbers, or another dtype; the ones that do not."""
    for archive in {a for a, _ in INTEGERS}:
        differ = set()
        for name in (n for a, n in INTEGERS if a == archive):
            _, arrays, _ = read(archive, name)
            same = "call" in arrays and arrays["call"].dtype == arrays["predict"].dtype
            if not same or yardstick.error(arrays["call"], arrays["predict"]) > 1e-4:
                differ.add(name.rpartition(".")[0])
        assert differ >= {"resizing-uint8-bilinear", "resizing-bool", "categories-mixed_float16", "bins-int64"}
        assert not differ & {"resizing-distributed", "resizing-bytes", "halved-CenterCrop", "categories-int32"}


def test_the_model_that_predict_runs_is_a_rewrite_of_any_model(tmp_path):
    """Nested, shared, from the store, cut, with params that can change; itself where nothing differs."""
    inner = fnet.sequential(small=bind(fnet.resizing, height=4, width=3), contrast=fnet.random_contrast)
    inner = fnet.sequential(inner=inner, norm=fnet.batch_normalization)
    model = fnet.sequential(bytes=bind(fnet.input_layer, shape=(None, 6, 6, 2), dtype="uint8"), one=inner, two=inner)
    x = np.random.default_rng(0).integers(0, 256, (6, 6, 6, 2)).astype("uint8")
    params = fnet.init(model, 0)
    assert "integers" not in repr(model)
    assert fnet.in_predict(model) is fnet.in_predict(model) != model
    assert fnet.in_predict(in_floats := fnet.in_predict(model)) is in_floats
    y = model(params, x)
    expected = fnet.in_predict(model)(params, x)
    assert 1e-3 < yardstick.error(y, expected) < 0.05
    fnet.save(tmp_path / "m.safetensors", model, params)
    frozen = fnet.load(tmp_path / "m.safetensors")
    assert frozen[0] == model
    for optimize in (True, False):
        assert_close(fnet.predict(model, params, x, optimize=optimize), expected)
        assert_close(fnet.predict(*frozen, x, optimize=optimize), expected)
        assert_close(fnet.compile(model, params, optimize=optimize)(x), expected)
    assert fnet.predict(model["one":"two"], params, x).dtype == "float32" != inner["inner"]({}, x).dtype
    assert fnet.predict(inner["inner"], {}, x[:0]).dtype == "float32"


def test_the_archives_hold_what_they_are_for():
    assert {a.stem.split("-")[1][0] for a in ARCHIVES} == {"2", "3"}
    for archive in ARCHIVES:
        _, arrays, keras2 = read(archive, next(n for a, n in NAMES if a == archive and n.startswith("bn-T.")))
        called = arrays["inference"] if keras2 else arrays["call"]  # Keras 2 obeys the flag there, too
        assert (yardstick.error(called, arrays["inference"]) > 0.1) != keras2
        assert (yardstick.error(arrays["predict"], arrays["inference"]) > 0.1) == keras2


def test_training_is_none_or_as_written():
    with pytest.raises(ValueError, match="as written"):
        load_keras(read(*NAMES[0])[0], training=True)


@files("stateful")
def test_states_go_from_batch_to_batch(archive, name, each_backend_slowly):
    file, arrays, _ = read(archive, name)
    model, params = load_keras(file)
    for _ in range(2):  # each call of predict begins with zeros
        assert_close(fnet.predict(model, params, arrays["x"], batch_size=BATCH), arrays["predict"])
    alone = [np.asarray(model(params, arrays["x"][at : at + BATCH])) for at in range(0, 9, BATCH)]
    assert yardstick.error(np.concatenate(alone), arrays["predict"]) > 0.05
    assert_close(fnet.predict(model, params, arrays["x"][:BATCH]), alone[0])


def test_a_stateful_model_needs_whole_batches():
    model = fnet.sequential(bind(fnet.lstm, units=2, stateful=True))
    x = np.ones((8, 3, 2), "float32")
    params = fnet.init(model, 0, x.shape)
    with pytest.raises(fnet.InvalidInput, match=r"Give batch_size=2.*fnet\.streaming"):
        fnet.predict(model, params, x, batch_size=3)
    assert fnet.predict(model, params, x, batch_size=4).shape == (8, 2)
    with pytest.raises(fnet.InvalidInput, match="row 5 has NaN"):
        fnet.predict(model, params, np.where(np.arange(8)[:, None, None] == 5, np.nan, x), invalid="mark", batch_size=4)


def test_a_live_model_is_taken_as_its_file(monkeypatch):
    keras = pytest.importorskip("keras")
    x = keras.Input((4,))
    live = keras.Model(x, keras.layers.Dropout(0.5)(x, training=True))
    ones = np.ones((200, 4), "float32")
    np.testing.assert_array_equal(fnet.predict(*from_keras(live), ones), ones)
    assert set(np.unique(fnet.predict(*from_keras(live, training="as written", rng=0), ones))) == {0.0, 2.0}


def test_a_layer_that_is_called_often_is_changed_once_for_predict():
    """A normalization with 3,000 means that was called 6,000 times took half a minute."""
    contrast = bind(fnet.random_contrast)
    long = bind(fnet.normalization, mean=(0.5,) * 3, variance=(2.0,) * 3)
    nodes = {"a": (contrast, "x"), "b": (contrast, "a"), "c": (long, "b"), "d": (long, "c")}
    changed = dict(fnet.in_predict(fnet.graph(nodes, inputs="x", outputs="d")).nodes)
    assert changed["a"].step is changed["b"].step
    assert changed["a"].step == bind(contrast, casts=True)
    assert changed["c"].step is long
