"""`verify`: digests, the self-test of a store, and numbers that are worth a look."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import bind, sequential
from fnet.cli import main
from params.errors import CorruptFile
from params.store import selftest, verifying
from tests.golden.archives import golden

ROOT = Path(__file__).parent.parent


@pytest.fixture
def cnn(tmp_path):
    path = tmp_path / "cnn.keras"
    path.write_bytes(golden(path.name))
    return path


@pytest.fixture
def stored(cnn):
    path = cnn.with_suffix(".safetensors")
    assert main(["convert", str(cnn), str(path), "-q"]) == 0
    return path


def test_a_converted_file_carries_a_self_test_that_holds_on_both_backends(stored, each_backend):
    found = fnet.verify(stored)
    assert found.holds
    assert (found.self_test, found.problems) == ("holds", ())
    assert found.difference < 1e-5
    assert found.sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()


def test_other_numbers_than_when_it_was_saved_fail(stored, monkeypatch):
    monkeypatch.setattr(selftest, "run", lambda *args, run=selftest.run: run(*args) * np.float32(1.001))
    found = fnet.verify(stored)
    assert (found.holds, found.self_test) == (False, "fails")
    assert "output differs by 0.001 of its largest value; 0.0001 is allowed" in found.problems


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-4), ("float16", 5e-3), ("bfloat16", 5e-2)])
def test_an_output_may_differ_by_what_its_dtype_allows(dtype, allowed):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 4)), d=bind(fnet.dense, units=3, dtype=dtype))
    params = fnet.init(model, 0)
    kept = selftest.record(model, params)
    values = kept["outputs"]["output"]["values"]
    largest = max(map(abs, values))
    for share in (0.9, 1.1):
        other = [values[0] + share * allowed * largest, *values[1:]]
        told = selftest.check(model, params, {**kept, "outputs": {"output": {"shape": [2, 3], "values": other}}})
        assert bool(told[1]) is (share > 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda test: test.pop("size"),
        lambda test: test.update(size=5),
        lambda test: test.update(outputs={}),
        lambda test: test["outputs"]["output"].update(shape=[2, 4]),
        lambda test: test["outputs"]["output"].update(values=["a"] * 6),
        lambda test: test["outputs"]["output"].update(values=[[0.0] * 6]),
    ],
)
def test_a_self_test_that_nobody_wrote_is_corrupt(change):
    model = sequential(x=bind(fnet.input_layer, shape=(None, 4)), d=bind(fnet.dense, units=3))
    params = fnet.init(model, 0)
    kept = selftest.record(model, params)
    assert selftest.check(model, params, kept) == (0, [])
    change(kept)
    with pytest.raises(CorruptFile, match="the self-test"):
        selftest.check(model, params, kept)


def test_models_of_texts_ids_and_several_outputs_are_tested_too():
    model = fnet.graph(
        {
            "ids": bind(fnet.input_layer, shape=(None, None), dtype="int32"),
            "e": (bind(fnet.embedding, input_dim=5, output_dim=3), "ids"),
            "shape": (bind(fnet.operations.argmax, axis=-1), "e"),
        },
        inputs="ids",
        outputs={"vectors": "e", "best": "shape"},
    )
    params = fnet.init(model, 0)
    kept = selftest.record(model, params)
    assert (kept["size"], kept["below"]) == (16, 2)  # the table has five rows
    assert selftest.check(model, params, kept) == (0, [])
    with pytest.raises(CorruptFile, match="the self-test does not run: "):
        selftest.check(model, params, {**kept, "below": 100})
    kept["outputs"]["best"]["values"][3] += 1
    assert selftest.check(model, params, kept)[1] == ["best is not what it was: 1 of 32 values differ"]
    kept = selftest.record(*fnet.load(ROOT / "examples" / "models" / "nusax-lstm.safetensors"))
    assert np.ptp(kept["outputs"]["output"]["values"]) > 0.01


def test_ids_that_are_declared_as_floats_are_ids():
    """As Keras declares them where `Input((None,))` comes before an Embedding."""
    takes = bind(fnet.input_layer, shape=(None, None))
    model = sequential(x=takes, e=bind(fnet.embedding, input_dim=50, output_dim=3, mask_zero=True))
    params = fnet.init(model, 0)
    kept = selftest.record(model, params)
    assert (kept["below"], kept["ids"]) == (10, True)
    assert selftest.check(model, params, kept) == (0, [])
    for other in (False, 1.5, None):
        with pytest.raises(CorruptFile, match="the self-test"):
            selftest.check(model, params, {**kept, "ids": other})


def test_a_model_without_an_answer_has_no_self_test():
    takes = bind(fnet.input_layer, shape=(None, 4))
    assert selftest.record(sequential(x=takes, y=bind(fnet.operations.log)), {}) is None
    assert selftest.record(sequential(d=bind(fnet.dense, units=2)), {"d": {}}) is None
    nodes = {"x": takes, "a": (fnet.relu, "x"), "b": (bind(fnet.operations.log), "x")}
    assert selftest.record(fnet.graph(nodes, inputs="x", outputs=["a", "b"]), {}) is None
    both = fnet.graph(nodes, inputs="x", outputs={"a": "a", "x": "x"})
    kept = selftest.record(both, {})
    kept["outputs"]["a"]["values"][0] += 3
    assert selftest.check(both, {}, kept)[0] > 0.5  # of the output that differs most


def test_damage_is_told_and_the_status_is_1(stored, cnn, capsys):
    assert main(["verify", str(cnn)]) == 0
    assert "self-test: the file carries none" in capsys.readouterr().out
    data = bytearray(stored.read_bytes())
    data[-9] ^= 1
    stored.write_bytes(data)
    assert main(["verify", str(stored), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["holds"], found["self_test"]) == (False, "not run")
    assert "checksum is wrong" in found["problems"][0]
    assert main(["verify", str(stored)]) == 1
    shown = capsys.readouterr().out
    assert "self-test: not run" in shown
    assert " arrays" not in shown
    assert main(["verify", str(stored)]) == 1
    assert capsys.readouterr().out.endswith("\nThe file is not to be trusted.\n")
    assert main(["verify", str(cnn.parent / "none.keras")]) == 1


def test_weights_without_a_model_are_not_called_broken(cnn, capsys):
    weights = cnn.parent / "cnn.weights.h5"
    weights.write_bytes(zipfile.ZipFile(cnn).read("model.weights.h5"))
    assert main(["verify", str(weights)]) == 1
    out = capsys.readouterr().out
    assert "holds weights but no model: give its config" in out
    assert out.endswith("\nThe file cannot be checked.\n")
    assert fnet.verify(weights).unchecked


def test_numbers_that_are_worth_a_look(tmp_path):
    takes = bind(fnet.input_layer, shape=(None, 4))
    layers = {name: bind(fnet.dense, units=3) for name in ("zeros", "dead", "large", "sound")}
    model = sequential(x=takes, **layers, **dict.fromkeys(("norm", "flat", "moved"), fnet.batch_normalization))
    params = fnet.tree.map(np.array, fnet.init(model, 0))
    params["zeros"]["kernel"][:] = 0
    params["dead"]["kernel"][:, 1] = 0
    params["large"]["kernel"][0, 0] = 2e4
    params["flat"]["moving_variance"][1] = 0
    params["moved"]["moving_mean"][1] = 1
    fnet.save(tmp_path / "m.safetensors", model, params)
    assert set(fnet.verify(tmp_path / "m.safetensors").unusual) == {
        "the same number everywhere (was the layer trained, were its weights loaded?): zeros/kernel",
        "columns of zeros, which give the bias alone: dead/kernel",
        "values beyond 10,000: large/kernel",
        "moving statistics are as before any training: norm/moving_variance",
        "channels that never changed in training (their variance is 0): flat/moving_variance",
    }


@pytest.mark.parametrize(("count", "end"), [(5, "3/k, 4/k"), (6, "4/k and 1 more")])
def test_five_arrays_are_named(count, end):
    (told,) = verifying._unusual({str(n): {"k": np.zeros((2, 2))} for n in range(count)})
    assert told.endswith(end)


def test_a_folder_is_digested_with_the_names_of_its_files(tmp_path, cnn):
    folder = tmp_path / "m.keras"
    zipfile.ZipFile(cnn).extractall(folder)
    first = fnet.verify(folder)
    assert first.holds
    digests = {first.sha256}
    for name, other in (("config.json", "a.json"), ("a.json", "inside/a.json")):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / name).rename(folder / other)
        digests.add(fnet.verify(folder).sha256)
    assert len(digests) == 3
