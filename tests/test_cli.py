"""The command line, on real model files: what it prints, what it writes, its exit status."""

import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import cli, importing, starting
from fnet.cli import doctor, main, outputs
from tests import parity
from tests.golden.archives import golden

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model for images (8x8 grey, 3 classes) and one for texts, and inputs for both."""
    import keras
    from PIL import Image

    where = tmp_path_factory.mktemp("cli")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation="softmax", name="dense")]
    )
    image.save(where / "image.keras")
    words = layers.TextVectorization(vocabulary=["baik", "buruk"], output_sequence_length=4)
    text = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            words,
            layers.Embedding(5, 2, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    text.save(where / "text.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype("uint8")
    np.save(where / "pixels.npy", pixels)
    Image.fromarray(pixels[0, ..., 0]).save(where / "one.png")
    Image.fromarray(np.zeros((4, 6), "uint8")).save(where / "small.png")
    (where / "texts.csv").write_text("id,text\n1,baik sekali\n2,buruk\n", "utf-8")
    (where / "numbers.csv").write_text("a,b\n1,x\n", "utf-8")
    (where / "numberless.csv").write_text("1,2\n3,4\n", "utf-8")
    (where / "numbered.csv").write_text("a,2\n3,4\n", "utf-8")
    (where / "semicolons.csv").write_text("id;name\n1;baik\n", "utf-8")
    (where / "latin.csv").write_bytes(b"text\ncaf\xe9\n")
    (where / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n", "utf-8")
    np.save(where / "single.npy", np.float32(1))
    (where / "texts.txt").write_text("baik\nburuk\n", "utf-8")
    (where / "labels.txt").write_text("nol\nsatu\ndua\n", "utf-8")
    return where


def run(capsys, *arguments: object) -> tuple[int, str]:
    status = main([str(a) for a in arguments])
    return status, capsys.readouterr().out


def test_predict_arrays_images_and_texts(folder, capsys):
    status, out = run(capsys, "predict", folder / "image.keras", folder / "pixels.npy", "--scale", "1/255", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [row["input"] for row in rows] == list("01234")
    assert sum(rows[0]["output"]) == pytest.approx(1, abs=1e-5)

    labels = ("--labels", folder / "labels.txt", "--scale", "1/255")
    _, out = run(capsys, "predict", folder / "image.keras", folder / "one.png", "--json", *labels)
    row = json.loads(out)
    assert row["output"] == pytest.approx(rows[0]["output"], abs=1e-6)
    assert row["label"] == ["nol", "satu", "dua"][int(np.argmax(row["output"]))]

    outputs = []
    together, apart = ["--text", "baik sekali", "buruk"], ["--text", "baik sekali", "--text", "buruk"]
    labels = ("--labels", "negatif,positif")
    for source in (together, apart, [folder / "texts.csv"]):
        outputs.append(run(capsys, "predict", folder / "text.keras", *source, *labels)[1])
        outputs.append(run(capsys, "predict", folder / "text.keras", *labels, *source)[1])
    outputs.append(run(capsys, "predict", *together[:2], folder / "text.keras", together[2], *labels)[1])
    assert set(outputs) == {outputs[0]}
    assert [line.split("\t")[2] for line in outputs[0].splitlines()] == ["baik sekali", "buruk"]


def test_one_probability_is_shown_for_the_label_beside_it(folder, capsys):
    _, out = run(capsys, "predict", folder / "text.keras", "--text", "baik")
    probability = json.loads(out.split("\t")[0])[0]
    _, out = run(capsys, "predict", folder / "text.keras", "--text", "baik", "--labels", "negatif,positif")
    label, shown, _ = out.split("\t")
    assert label == ("positif" if probability > 0.5 else "negatif")
    assert float(shown) == pytest.approx(max(probability, 1 - probability), abs=1e-4)


def test_no_texts_give_no_lines(folder, capsys, tmp_path):
    (tmp_path / "none.txt").write_text("")
    assert run(capsys, "predict", folder / "text.keras", tmp_path / "none.txt") == (0, "")


@pytest.mark.parametrize("locale", [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_texts_are_utf_8_whatever_the_locale_is(folder, locale):
    environment = {**os.environ, "PYTHONCOERCECLOCALE": "0", **locale}
    command = [sys.executable, "-m", "fnet", "predict", folder / "text.keras"]
    asked = [*command, "--text", "café 日本"]
    root, text = Path(__file__).parent.parent, "café 日本".encode()
    piped = '"café 日本"\n"\\ud800"\n'.encode()
    assert subprocess.check_output(asked, env=environment, cwd=root).endswith(b"\t" + text + b"\n")
    out = subprocess.check_output([*command, "-", "--stdin-format", "jsonl"], input=piped, env=environment, cwd=root)
    assert out.endswith(b"\t" + text + b"\nnull\t\\ud800\n")


def test_a_reader_who_leaves_early_is_no_error():
    command = [sys.executable, "-m", "fnet", "layers", "--json"]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == ""


def test_predict_takes_several_inputs_by_name(capsys, tmp_path):
    import keras

    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    keras.Model([a, b], {"sum": keras.layers.Dense(1)(a), "b": b}).save(tmp_path / "two.keras")
    arrays = {"b": np.arange(8.0).reshape(4, 2), "a": np.ones((4, 3))}
    np.savez(tmp_path / "two.npz", **arrays)
    status, out = run(capsys, "predict", tmp_path / "two.keras", tmp_path / "two.npz", "--scale", "1/2", "--json")
    assert status == 0
    assert [json.loads(line)["output"]["b"] for line in out.splitlines()] == (arrays["b"] / 2).tolist()
    assert run(capsys, "predict", tmp_path / "two.keras", tmp_path / "two.npz", "--labels", "x,y")[0] == 2


def test_predict_writes_whole_files(folder, capsys, tmp_path):
    for name in ("out.npy", "out.txt"):
        status, out = run(capsys, "predict", folder / "image.keras", folder / "pixels.npy", "--output", tmp_path / name)
        assert (status, out) == (0, "")
    assert np.load(tmp_path / "out.npy").shape == (5, 3)
    assert len((tmp_path / "out.txt").read_text("utf-8").splitlines()) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npy", "out.txt"]


def test_numbers_that_would_be_scaled_twice_are_told(tmp_path, caplog):
    file, rows = tmp_path / "scaling.safetensors", tmp_path / "rows.npy"
    model = fnet.sequential(
        fnet.bind(fnet.input_layer, shape=(None, 4)), fnet.bind(fnet.rescaling, scale=1 / 255), fnet.flatten
    )
    fnet.save(file, model, {})
    np.save(rows, np.ones((2, 4), np.float32))
    told = "the model begins with a Rescaling or Normalization layer, or arithmetic like it, and --scale"
    for scaling, expected in {("--scale", "1/255"): True, ("--offset", "-1"): True, ("--scale", "1"): False}.items():
        caplog.clear()
        assert main(["predict", str(file), str(rows), *scaling]) == 0
        assert (told in caplog.text) == expected


CUSTOM = """
import fnet

@fnet.layer(shape=lambda x, *, factor=2.0: (x, {"offset": fnet.Param(x.shape[-1:], "zeros")}))
def shifted(params, x, *, factor=2.0):
    return factor * x + params["offset"]
"""


def test_a_warning_is_a_line_without_its_place_in_the_code(monkeypatch, capsys, caplog):
    monkeypatch.setattr(doctor, "run", lambda args: warnings.warn("look twice", stacklevel=1) or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["doctor"]) == 0
    assert (caplog.messages, capsys.readouterr().err) == (["look twice"], "")


def test_a_layer_of_ones_own_is_imported_where_custom_names_it_and_nowhere_else(tmp_path, capsys, caplog):
    (tmp_path / "pure.py").write_text(CUSTOM)
    place = f"my>Shifted={tmp_path}/pure.py:shifted"
    layer = {"class_name": "Shifted", "registered_name": "my>Shifted", "module": "pure", "config": {"name": "shifted"}}
    takes = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3], "name": "x", "dtype": "float32"}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [takes, layer]}}
    (tmp_path / "m.json").write_text(json.dumps(config))
    assert run(capsys, "explain", tmp_path / "m.json")[0] == 1
    assert run(capsys, "explain", tmp_path / "m.json", "--custom", place)[0] == 0
    assert run(capsys, "plot", tmp_path / "m.json", "--custom", place, "--output", "-")[0] == 0

    model = fnet.sequential(x=fnet.bind(fnet.input_layer, shape=(None, 3)), own=importing.imported(place[11:]))
    file, rows = tmp_path / "m.safetensors", tmp_path / "x.npy"
    fnet.save(file, model, {"own": {"offset": np.ones(3, "f")}}, custom={"my>Shifted": model.steps[1][1]})
    np.save(rows, np.ones((1, 3), "f"))
    for command in (["predict", file, rows], ["verify", file], ["summary", file], ["activations", file, rows]):
        assert run(capsys, *command)[0] == 1
        assert run(capsys, *command, "--custom", place)[0] == 0
    assert (
        run(capsys, "predict", file, rows, "--custom", place, "--json")[1]
        == '{"input": "0", "output": [3.0, 3.0, 3.0]}\n'
    )
    assert run(capsys, "export", file, tmp_path / "m.keras", "--custom", place)[0] == 0
    assert run(capsys, "convert", tmp_path / "m.keras", file, "--custom", place)[0] == 0
    plain = f"{place.rpartition(':')[0]}:fnet"  # what the file itself imports
    for wrong, said in (
        (f"{place}x", "cannot import"),
        ("my>Shifted", "takes NAME=PLACE"),
        (plain, "give a function declared with @fnet.layer"),
        (f"{plain}.bind", "cannot import"),
    ):
        assert run(capsys, "predict", file, rows, "--custom", wrong)[0] == 2
        assert said in caplog.text


def test_convert_keeps_labels_and_scale(folder, capsys, tmp_path):
    made = tmp_path / "image.safetensors"
    labels = ("--labels", "nol,satu,dua", "--scale", "1/255")
    assert run(capsys, "convert", folder / "image.keras", made, *labels)[0] == 0
    _, direct = run(capsys, "predict", folder / "image.keras", folder / "one.png", *labels)
    _, stored = run(capsys, "predict", made, folder / "one.png")
    assert stored == direct
    whole = tmp_path / "whole.keras"
    assert run(capsys, "export", made, whole)[0] == 0
    _, exported = run(capsys, "predict", whole, folder / "one.png", *labels[:2])
    assert exported == direct


def test_summary_and_layers(folder, capsys):
    _, out = run(capsys, "summary", folder / "image.keras")
    assert "total params: 195" in out
    _, out = run(capsys, "summary", folder / "image.keras", "--json")
    assert json.loads(out)["steps"][-1]["step"] == "dense"
    _, out = run(capsys, "layers", "lambda")
    assert "refused" in out
    _, out = run(capsys, "layers", "conv2dtranspose", "--json")
    assert json.loads(out)[0]["fnet"] == "conv2d_transpose"
    assert run(capsys, "layers", "nosuchlayer")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["predict", "image.keras"], 2, "give either input files or --text"),
        (["predict", "text.keras", "--text", "baik", "texts.csv"], 2, "input files or --text: texts.csv is a file"),
        (["predict", "image.keras", "small.png"], 2, "small.png is 6x4, the model takes 8x8; add --resize"),
        (
            ["predict", "image.keras", "numbers.csv"],
            2,
            "row 0: every column must hold numbers for this model (b: could not",
        ),
        (
            ["predict", "text.keras", "texts.csv", "--column", "teks"],
            2,
            "texts.csv has no column teks; it has id, text",
        ),
        (["predict", "text.keras", "semicolons.csv", "--column", ""], 2, "has the columns id, name; name the text"),
        (["predict", "text.keras", "latin.csv"], 1, "invalid continuation byte; save it as UTF-8"),
        (["predict", "text.keras", "--text", "caf\udce9"], 2, "--text 'caf\\udce9' is not in UTF-8"),
        (["predict", "image.keras", "pixels.npy", "--labels", "a,b"], 2, "2 labels, but the model has 3 classes"),
        (["convert", "image.keras", "out.safetensors", "--labels", "a,b"], 2, "2 labels, but the model has 3 classes"),
        (["predict", "image.keras", "single.npy"], 1, "input 'x' has shape ()"),
        (["predict", "image.keras", "numberless.csv"], 2, "begins with numbers, which would be lost"),
        (["predict", "image.keras", "numbered.csv"], 1, "input 'x' has shape (1, 2)"),
        (["predict", "image.keras", "ragged.csv", "--invalid", "raise"], 2, "row 1 has 3 fields, the header names 2"),
        (["layers", "nosuchlayer"], 1, "no layer or operation of Keras has 'nosuchlayer' in its name"),
        (["predict", "image.keras", "pixels.npy", "--output", "no/out.npy"], 2, "no folder no to write it to"),
        (["predict", "missing.keras", "pixels.npy"], 1, "missing.keras: No such file or directory"),
        (["predict", "imag.keras", "pixels.npy"], 1, "imag.keras: No such file or directory; is image.keras meant?"),
        (["explain", "image.h5"], 1, "; is image.keras meant?"),
        (["explain", "C:\\models\\image.keras"], 1, "; is image.keras meant?"),
        (["explain", "https://example.org/image.keras"], 1, "No such file or directory; fetch it first"),
        (["predict", "image.keras", "https://example.org/a.png"], 1, "No such file or directory; fetch it first"),
        (["predict", "image.keras", "in/oen.png"], 1, "in/oen.png: No such file or directory"),
        (["predict", "image.keras", "./oen.png"], 1, "; is one.png meant?"),
        (["predict", "text.keras", "text.csv"], 1, "; is texts.csv meant?"),
        (["predict", "image.keras", "pixels.npy", "--labels", "label"], 2, "; is labels.txt meant?; give a file"),
        (["predict", "pixels.npy", "image.keras"], 2, "pixels.npy is not a model file; the model comes first"),
        (["predict", "labels.txt", "pixels.npy"], 2, "labels.txt is not a model file; the model comes first"),
        (["convert", "image.keras", "out.h5"], 2, "ends in .safetensors"),
        (["plot", "image.keras", "--depth", "-1", "--output", "-"], 2, "--depth is at least 0"),
        (["export", "image.keras", "out.safetensors"], 2, "say which with --to (fnet convert writes .safetensors)"),
    ],
)
def test_errors_are_one_line_and_a_status(folder, monkeypatch, caplog, arguments, status, message):
    monkeypatch.chdir(folder)
    with caplog.at_level(logging.ERROR, "fnet"):
        assert main(arguments) == status
    assert message in caplog.text


def test_the_command_runs_on_both_backends(folder):
    outputs = []
    for backend in ("numpy", "jax"):
        done = subprocess.run(
            [sys.executable, "-m", "fnet", "predict", str(folder / "text.keras"), "-", "--json"],
            input="baik\nburuk\n",
            capture_output=True,
            text=True,
            check=True,
            env={"FNET_BACKEND": backend, "PATH": "", "JAX_PLATFORMS": "cpu"},
            cwd=Path(__file__).parent.parent,
        )
        outputs.append([json.loads(line)["output"][0] for line in done.stdout.splitlines()])
    parity.assert_close(outputs[0], outputs[1])


@pytest.mark.parametrize("words", [["m.keras", "x.png"], ["-q", "m.keras"]])
def test_a_command_that_was_forgotten_is_told(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "a command comes first: fnet predict m.keras, or explain" in capsys.readouterr().err


def test_a_terminal_obeys_no_name_of_a_file(tmp_path, capsys):
    """For a missing file, a whole one, and one too many."""
    hostile = tmp_path / "a\x1b[31mb.keras"
    said = subprocess.run(
        [sys.executable, "-m", "fnet", "explain", hostile], capture_output=True, text=True, check=False, cwd=ROOT
    ).stderr
    assert "a\\x1b[31mb.keras: No such file" in said
    assert "\x1b" not in said
    hostile.write_bytes(golden("cnn.keras"))
    assert main(["verify", str(hostile)]) == 0
    with pytest.raises(SystemExit):
        main(["verify", str(hostile), str(hostile)])
    said = "".join(capsys.readouterr())
    assert said.count("a\\x1b[31mb.keras") == 2
    assert "\x1b" not in said


def test_wrong_usage_is_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["predict", "model.keras", "--nonsense"])
    assert caught.value.code == 2
    assert "--nonsense" in capsys.readouterr().err


def test_the_page_of_layers_is_what_the_command_prints(capsys):
    page = Path(__file__).parent.parent / "docs" / "layers.md"
    assert page.read_text("utf-8") == run(capsys, "layers", "--markdown")[1], "fnet layers --markdown > docs/layers.md"


NEEDING = {
    "fnet.to_onnx(model, params, 'a.onnx', (None, 3))": "to_onnx needs jax [onnx]",
    "fnet.load_onnx('a.onnx')": "load_onnx needs onnxruntime [onnx]",
    "fnet.to_stablehlo(model, params, 'a.stablehlo', (None, 3))": "to_stablehlo needs jax [jax]",
    "fnet.load_stablehlo(b'')": "load_stablehlo needs jax [jax]",
    "importlib.import_module('fnet.sklearn')": "fnet.sklearn needs sklearn [sklearn]",
    "fnet.predict(model, params, Table())": "a table of the type __main__.Table needs pyarrow [parquet]",
    "main(['completion', 'bash'])": "fnet completion needs shtab [completion]",
    "main(['demo'])": "fnet demo needs tensorflow [keras]",
    "main(['study', 'list'])": "fnet study needs rich [keras]",
    "main(['predict', CNN, 'a.png'])": "an image file needs PIL [images]",
    "main(['predict', LSTM, 'a.parquet'])": "a Parquet file needs pyarrow [parquet]",
    "main(['predict', LSTM, '--text', 'a', '--output', 'b.parquet'])": "a Parquet file needs pyarrow [parquet]",
    "main(['export', CNN, 'a.onnx'])": "to_onnx needs jax [onnx]",
    "fnet.backend.using('jax').__enter__()": "FNET_BACKEND=jax needs jax [jax]",
}
"""{call: what it needs, and the extra that brings it}."""

WITHOUT = """
import importlib, json, logging, sys
import fnet, fnet.backend
from fnet.cli import doctor, main, outputs

calls, CNN, LSTM = json.load(sys.stdin)
for packages in fnet.errors.EXTRAS.values():
    sys.modules.update(dict.fromkeys(packages))  # as if none were installed
model = fnet.sequential(scores=fnet.bind(fnet.dense, units=2))
params = fnet.init(model, 0, (None, 3))

class Table:
    __dataframe__ = __arrow_c_stream__ = None

for call in calls:
    try:
        said = eval(call)
    except (fnet.MissingExtra, fnet.MissingBackend) as error:
        said = f"fnet: {error}"
    print(said, file=sys.stderr) if said != 1 else None
"""


def test_a_package_that_is_not_installed_is_named_with_the_extra_that_brings_it(tmp_path):
    for name in ("a.png", "a.parquet"):
        (tmp_path / name).touch()
    models = [str(ROOT / "examples" / "models" / f"{name}.safetensors") for name in ("cifar10-cnn", "nusax-lstm")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        input=json.dumps([list(NEEDING), *models]),
        env={**os.environ, "PYTHONPATH": str(ROOT), "FNET_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    end = ", which is not installed: pip install 'fnet-layers["
    assert done.stderr.splitlines() == [f"fnet: {said.replace(' [', end)}'" for said in NEEDING.values()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "a.png"]


def test_another_package_that_is_not_installed_is_a_fault(monkeypatch):
    with pytest.raises(ModuleNotFoundError, match="gone"), fnet.errors.needing("onnx", "to_onnx"):
        raise ModuleNotFoundError("gone", name="my_module")


def test_rows_without_an_answer_are_marked_and_the_rest_goes_on(folder, capsys, caplog, tmp_path):
    texts = ["--text", "baik", "--text", "", "--text", "buruk"]
    status, out = run(capsys, "predict", folder / "text.keras", *texts, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [row["input"] for row in rows] == ["baik", "", "buruk"]
    assert [row["output"] is None for row in rows] == [False, True, False]
    assert "no answer for 1 of 3 rows, which are marked: 1" in caplog.text
    _, out = run(capsys, "predict", folder / "text.keras", *texts, "--labels", "negatif,positif")
    assert out.splitlines()[1] == "-\t-\t"
    assert run(capsys, "predict", folder / "text.keras", "--text", "")[0] == 1
    pixels = np.load(folder / "pixels.npy").astype("float32")
    pixels[2, 3] = np.nan
    np.save(tmp_path / "nan.npy", pixels)
    assert run(capsys, "predict", folder / "image.keras", tmp_path / "nan.npy", "--output", tmp_path / "y.npy")[0] == 0
    assert np.isnan(np.load(tmp_path / "y.npy")).any(axis=1).tolist() == [False, False, True, False, False]


def test_completion_knows_commands_options_and_files(capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for word in ("predict", "--resume", "compare", "--inputs"):
        assert word in script
    tab = "COMP_WORDS=(fnet predict --res); COMP_CWORD=2; _shtab_fnet fnet --res predict; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", f"{script}\n{tab}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--resize", "--resume"]


def test_doctor_says_what_holds_the_machine_back(monkeypatch, capsys, tmp_path):
    from fnet.cli import doctor
    from fnet.inference import processors

    def found(**changes):
        for name, value in changes.items():
            monkeypatch.setattr(processors, name, lambda value=value: value)
        main(["doctor", "--json"])
        return {line["what"]: line for line in json.loads(capsys.readouterr().out)}

    for name in doctor.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 4)
    fine = found(allowed=4, count=4, settable=True)
    assert not fine["processors"]["hinders"]
    assert not fine["threads"]["hinders"]
    assert not found(allowed=4, count=2)["threads"]["hinders"]  # the host process says so, not a variable
    assert found(allowed=2, count=2)["processors"]["found"] == "2 of 4"
    assert found(allowed=2, count=2)["processors"]["hinders"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    bound = found(allowed=4, count=1)["threads"]
    assert (bound["found"], bound["remedy"]) == (
        "predict uses 1, OMP_NUM_THREADS=1", "unset OMP_NUM_THREADS to use all 4"
    )  # fmt: skip
    assert "cannot be set" in found(settable=False, count=1)["threads"]["remedy"]
    assert main(["doctor"]) == 0
    assert "1 thing (!) holds this machine back." in capsys.readouterr().out
    monkeypatch.setitem(doctor.OPTIONAL, "no_such_package", ("extra", "wonders"))
    assert found()["no_such_package"]["remedy"] == "for wonders: pip install 'fnet-layers[extra]'"
    (tmp_path / "cpuinfo").write_text("flags\t\t: sse avx fma\n")
    assert doctor._missing_instructions(tmp_path / "cpuinfo") == "AVX2"
    assert doctor._missing_instructions(tmp_path / "none") == ""


def test_commands_of_a_folder_that_is_not_installed(tmp_path):
    numpy = Path(np.__file__).parent
    for package in (ROOT / "fnet", ROOT / "params", numpy, numpy.with_name("numpy.libs")):
        (tmp_path / package.name).symlink_to(package)
    command = [sys.executable, "-S", "-m", "fnet", "--version"]  # -S: no site-packages
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said == f"fnet {fnet.__version__}\n"


@pytest.mark.parametrize(
    ("program", "command", "expected"),
    [
        ("/usr/bin/fnet", ["fnet", "load"], True),
        (r"C:\tools\fnet.exe", ["fnet.exe"], True),
        ("-m", ["python", "-m", "fnet"], True),
        ("-m", ["python", "-m", "pytest"], False),
        ("/home/fnet/app.py", ["python", "app.py", "fnet"], False),
        ("fnet.py", ["python", "fnet.py"], False),
    ],
)
@pytest.mark.usefixtures("interruptible")
def test_only_the_command_ends_on_ctrl_c_while_it_starts(program, command, expected, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [program, *command[1:]])
    monkeypatch.setattr(sys, "orig_argv", command)
    before = signal.getsignal(signal.SIGINT)
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(starting.begin).result()
        assert signal.getsignal(signal.SIGINT) is before  # Python lets the main thread alone set it
        starting.begin()
        assert signal.getsignal(signal.SIGINT) is (signal.SIG_DFL if expected else before)
        starting.over()
        assert signal.getsignal(signal.SIGINT) is (signal.default_int_handler if expected else before)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what it runs in the background
        starting.begin()
        starting.over()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    if expected:
        with pytest.raises(SystemExit) as caught:
            starting.refuse(ValueError("no such backend"))
        assert caught.value.code == 2
    else:
        starting.refuse(ValueError("no such backend"))
    assert capsys.readouterr().err == ("fnet: no such backend\n" if expected else "")


def test_an_error_of_the_system_that_names_no_file_is_its_reason_alone():
    assert cli._said(FileNotFoundError(2, "No such file")) == "No such file"
    assert cli._said(FileNotFoundError(2, "No such file", "/no/where.keras")) == "/no/where.keras: No such file"


def test_what_is_no_score_has_no_classes_and_one_unit_tells_two():
    for y in (np.zeros((2, 3, 4), "float32"), np.zeros((2, 3), int), {"a": np.zeros((2, 3))}):
        assert outputs.Scores(None, 0.5, 1).best(y) is None
    [first, second] = outputs.Scores(["no", "yes"], 0.5, 2).best(np.float32([[0.75], [0.25]]))
    assert first == [("yes", 0.75), ("no", 0.25)]
    assert second == [("no", 0.75), ("yes", 0.25)]
