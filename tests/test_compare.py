"""Keras next to fnet: the reference in float64, the measures, the verdict, the report, the command line."""

import argparse
import dataclasses
import hashlib
import importlib
import json
import re
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import fnet
from compare import certificate, cli, demo, measuring, others, parity, pictures, reference, report, worker, yardstick
from compare.studies import study
from fnet import cli as fnet_cli
from fnet.importing import ImportFailed
from tests.hostile import dense_config, keras_zip
from tests.parity import assert_parity
from train_keras import architectures
from train_keras import cli as train_cli
from train_keras.data import LANGUAGES

F32_MAX = float(np.finfo("float32").max)
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and TensorFlow warn on their own account


def small(units=3, activation="softmax", **options):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((6,), name="numbers"),
        keras.layers.Dense(5, activation="relu", name="hidden", **options),
        keras.layers.Dense(units, activation=activation, name="out", **options),
    ]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with model.keras; wrong.keras with one weight changed; inputs and labels that the model gets right."""
    made = tmp_path_factory.mktemp("compare")
    model = small()
    model.save(made / "model.keras")
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    np.save(made / "x.npy", x)
    np.save(made / "y.npy", np.asarray(model(x)).argmax(axis=1))
    hidden = model.get_layer("hidden")
    kernel, bias = hidden.get_weights()
    kernel[0, 0] += 0.5
    hidden.set_weights([kernel, bias])
    model.save(made / "wrong.keras")
    return made


@pytest.fixture(scope="module")
def rows(folder):
    return measuring.Rows("toy", np.load(folder / "x.npy"), np.load(folder / "y.npy"), ("a", "<b>", "c"))


@pytest.fixture(scope="module")
def good(folder, rows):
    return parity.compare(folder / "model.keras", rows, title="<script>alert(1)</script>")


@pytest.fixture(scope="module")
def bad(folder, rows):
    return parity.compare(folder / "model.keras", rows, fnet_file=folder / "wrong.keras", backends=("numpy",))


def arguments(folder, *more):
    return [str(folder / "model.keras"), "--inputs", str(folder / "x.npy"), "--labels", str(folder / "y.npy"), *more]


def compared(words):
    return fnet_cli.main(["compare", *words])


def test_parity_holds_on_both_backends_at_every_layer(good):
    assert good.problems == ()
    assert [side.name for side in good.sides] == ["Keras", "fnet numpy", "fnet jax"]
    assert [layer.name for layer in good.layers] == ["hidden", "out"]
    assert good.not_compared == ()
    for side in good.sides:
        assert side.f1 == 1.0
        assert side.agreement == 1.0
        assert 0 < side.error < yardstick.DEFAULT_FLOOR


def test_each_backend_says_what_it_ran_on_and_loads_nothing_foreign(good, folder, rows):
    versions = {side.name: sorted(side.versions) for side in good.sides}
    assert versions == {"Keras": ["keras", "tensorflow"], "fnet numpy": ["numpy"], "fnet jax": ["jax", "numpy"]}
    _, facts = worker.run_worker(folder / "model.keras", rows.x, "numpy")
    assert facts["foreign"] == []
    assert facts["backend"] == "numpy"


def test_a_legacy_file_is_compared_too(folder, rows):
    reference.load(folder / "model.keras").save(folder / "model.h5")
    found = parity.compare(folder / "model.h5", rows, backends=("numpy",))
    assert found.problems == ()
    assert [layer.name for layer in found.layers] == ["hidden", "out"]


def test_a_report_says_where_float32_is_far_from_float64(folder, capsys, caplog):
    x = keras.Input((4, 6))
    hidden = keras.ops.not_equal(x[..., 0], x[..., 0])  # no key is shown
    y = keras.layers.Attention(name="attend")([x, x], mask=[None, hidden])
    keras.Model(x, keras.layers.Flatten(name="flat")(y)).save(folder / "hidden.keras")
    np.save(folder / "sequences.npy", np.random.default_rng(0).standard_normal((5, 4, 6)).astype(np.float32))
    given = ["--inputs", str(folder / "sequences.npy"), "--backends", "numpy"]
    compared([str(folder / "hidden.keras"), *given])
    assert "attend: Keras in float32 is itself" in capsys.readouterr().out


def test_several_inputs_and_outputs_and_nested_models(folder, caplog):
    a, b = keras.Input((6,), name="a"), keras.Input((2,), name="b")
    inner = small(units=2, activation="tanh")
    x = keras.Input((2,))
    named = keras.Model(x, {"b": keras.layers.Rescaling(2.0)(x), "a": keras.layers.Rescaling(3.0)(x)}, name="named")
    y = keras.layers.Add(name="sum")([inner(a), named(b)["b"]])
    keras.Model([a, b], [keras.layers.Softmax(name="soft")(y), y]).save(folder / "two.keras")
    rng = np.random.default_rng(1)
    x = {"x0": rng.standard_normal((9, 6)), "x1": rng.standard_normal((9, 2))}
    np.savez(folder / "two.npz", **{name: value.astype(np.float32) for name, value in x.items()})
    inputs = ["--inputs", str(folder / "two.npz"), "--backends", "numpy"]
    assert compared([str(folder / "two.keras"), *inputs]) == 0
    np.savez(folder / "two.npz", b=x["x1"].astype(np.float32), a=x["x0"].astype(np.float32))  # as `predict` takes them
    assert compared([str(folder / "two.keras"), *inputs]) == 0
    with pytest.raises(cli.UsageError, match="takes 2 arrays, a data set has one"):
        cli.data_rows(folder / "two.keras", "embedded", "test")
    np.savez(folder / "two.npz", b=x["x1"], c=x["x0"])
    assert compared([str(folder / "two.keras"), *inputs]) == 2
    assert "two.npz has b, c; the model takes a, b" in caplog.text


@pytest.mark.slow
def test_inputs_and_outputs_with_names_are_compared_by_their_names(tmp_path):
    z, a = keras.Input((4,), name="z"), keras.Input((4,), name="a")
    d = keras.layers.Dense(3, name="d")(z)
    outputs = {"q": keras.layers.Subtract(name="s")([d, keras.layers.Dense(3, name="e")(a)]), "b": d}
    keras.Model({"z": z, "a": a}, outputs).save(tmp_path / "named.keras")
    model, params = fnet.load_keras(tmp_path / "named.keras")
    x = dict(zip("az", np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32), strict=True))
    fnet.to_stablehlo(model, params, tmp_path / "named.stablehlo")
    np.savez(tmp_path / "x.npz", **x)
    given = ["--inputs", str(tmp_path / "x.npz"), "--with", str(tmp_path / "named.stablehlo")]
    assert compared([str(tmp_path / "named.keras"), *given]) == 0


def test_a_data_set_of_other_sizes_than_the_model_takes_is_refused(tmp_path):
    for channels in (1, 3):
        keras.Sequential([keras.Input((8, 8, channels)), keras.layers.Flatten()]).save(tmp_path / f"{channels}.keras")
    assert cli.data_rows(tmp_path / "1.keras", "embedded", "test").x.shape[1:] == (8, 8, 1)
    with pytest.raises(cli.UsageError, match=re.escape("3.keras takes (8, 8, 3), digits has (8, 8, 1); use another")):
        cli.data_rows(tmp_path / "3.keras", "embedded", "test")


def test_labels_of_images_are_none_of_pixels(tmp_path):
    images = keras.Input((8, 8, 1))
    for name, layer in (("pixels", keras.layers.Dense(2)), ("rows", keras.layers.Flatten())):
        keras.Model(images, layer(images)).save(tmp_path / f"{name}.keras")
    assert cli.data_rows(tmp_path / "pixels.keras", "embedded", "test").y is None
    assert cli.data_rows(tmp_path / "rows.keras", "embedded", "test").y is not None


def test_only_what_is_installed_is_compared(monkeypatch, caplog):
    assert parity.installed() == parity.BACKENDS
    monkeypatch.setattr(parity.importlib.util, "find_spec", lambda name: None)
    assert parity.installed() == ("numpy",)
    assert "jax is not installed, so fnet is compared on NumPy alone" in caplog.text


def test_a_changed_weight_is_found_and_its_layer_named(bad):
    assert not bad.held
    text = "\n".join(bad.problems)
    assert re.search(r"fnet numpy: error .* is over the allowed", text)
    assert re.search(r"another class than Keras on \d+ rows \(row \d+: \d for \d", text)
    assert re.search(r"macro-F1 0\.\d+, Keras has 1\.0000", text)
    assert "layer hidden: over the allowed" in text


def test_the_command_line_says_parity_by_its_exit_status(folder, capsys, caplog):
    assert compared(arguments(folder, "--backends", "numpy", "--json", "--rows", "20")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["held"] is True
    assert told["rows"] == 20
    assert told["sides"]["fnet numpy"]["macro_f1"] == told["sides"]["Keras"]["macro_f1"]
    assert {*told["layers"]["hidden"]} == {"fnet numpy", "Keras", "allowed", "magnitude"}
    page = folder / "report.html"
    wrong = ["--fnet", str(folder / "wrong.keras"), "--backends", "numpy", "--report", str(page)]
    assert compared(arguments(folder, *wrong)) == 1
    assert "parity does NOT hold" in capsys.readouterr().out
    assert "Parity does not hold" in page.read_text("utf-8")


def test_a_file_that_fnet_refuses_is_no_parity(folder, capsys, caplog):
    keras.Sequential([keras.Input((6,)), keras.layers.Lambda(lambda x: x)]).save(folder / "code.keras")
    assert compared(arguments(folder, "--backends", "numpy", "--fnet", str(folder / "code.keras"))) == 1
    assert "fnet numpy failed on code.keras:\n" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("scale", [1e-7, 1e-30, 1e7])
def test_a_model_with_flipped_signs_is_another_one_whatever_the_size_of_its_outputs(scale, folder, capsys, caplog):
    model = small(units=5, activation=None)
    out = model.get_layer("out")
    kernel, bias = out.get_weights()
    for name, sign in (("tiny", 1), ("flipped", -1)):
        out.set_weights([kernel * scale * sign, bias])
        model.save(folder / f"{name}.keras")
    given = ["--inputs", str(folder / "x.npy"), "--rows", "5", "--backends", "numpy"]
    assert compared([str(folder / "tiny.keras"), *given]) == 0
    assert "parity holds" in capsys.readouterr().out
    assert compared([str(folder / "tiny.keras"), "--fnet", str(folder / "flipped.keras"), *given]) == 1
    told = capsys.readouterr().out
    assert "parity does NOT hold" in told
    assert "error 2 is over the allowed" in told
    assert "another class than Keras on 5 rows" in told


PURE = """
import fnet

@fnet.layer(shape=lambda x, *, factor: (x, {"offset": fnet.Param(x.shape[-1:], "zeros")}))
def shifted(params, x, *, factor):
    return factor * x + params["offset"]

@fnet.layer(shape=lambda x, *, factor: (x, {"offset": fnet.Param(x.shape[-1:], "zeros")}))
def shifted_otherwise(params, x, *, factor):
    return factor * (x + params["offset"])
"""
TWIN = """
import keras

class Shifted(keras.layers.Layer):
    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def build(self, shape):
        self.offset = self.add_weight(shape=shape[-1:], initializer="ones", name="offset")

    def call(self, x):
        return self.factor * x + self.offset

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
"""


@pytest.fixture
def with_custom(tmp_path, monkeypatch):
    """A folder with a file that holds a custom layer, the layer for Keras and for fnet, and rows."""
    for name, text in (("pure_shifted", PURE), ("keras_shifted", TWIN)):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    keras_shifted = importlib.import_module("keras_shifted")
    keras.Sequential([keras.Input((6,)), keras.layers.Dense(3), keras_shifted.Shifted(2.5)]).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((9, 6)).astype(np.float32))
    yield tmp_path
    for name in ("pure_shifted", "keras_shifted"):
        sys.modules.pop(name, None)


def test_files_with_custom_layers_are_compared_with_the_functions_that_take_their_place(with_custom):
    pure, twin = (importlib.import_module(name) for name in ("pure_shifted", "keras_shifted"))
    rows = measuring.Rows("toy", np.load(with_custom / "x.npy"))
    objects = {"Shifted": twin.Shifted}
    for function, held in ((pure.shifted, True), (pure.shifted_otherwise, False)):
        given = {"custom": {"Shifted": function}, "custom_objects": objects, "backends": ("numpy",)}
        found = parity.compare(with_custom / "m.keras", rows, **given)
        assert found.held is held
        assert [layer.kind for layer in found.layers] == ["Dense", "Shifted"]


def test_the_command_line_takes_custom_layers_by_file_or_module(with_custom, capsys, caplog):
    def run(pure, twin):
        named = ["--custom", f"Shifted={pure}", "--custom-object", f"Shifted={twin}"]
        given = [str(with_custom / "m.keras"), "--inputs", str(with_custom / "x.npy"), "--backends", "numpy"]
        return compared([*given, *named])

    twin = f"{with_custom / 'keras_shifted.py'}:Shifted"
    assert run(f"{with_custom / 'pure_shifted.py'}:shifted", twin) == 0
    assert run("pure_shifted:shifted_otherwise", "keras_shifted:Shifted") == 1
    assert "parity does NOT hold" in capsys.readouterr().out
    assert run("pure_shifted:shifted", "builtins:print") == 1
    assert f"Keras {keras.__version__} cannot load {with_custom / 'm.keras'}: " in caplog.text
    assert run("pure_shifted:gone", twin) == 1
    assert "ImportFailed: cannot import 'pure_shifted:gone'" in caplog.text
    assert run("pure_shifted:shifted", "nowhere:Shifted") == 2
    assert "cannot import 'nowhere:Shifted'" in caplog.text
    assert run("", twin) == 2
    assert "--custom takes NAME=PLACE" in caplog.text


@pytest.mark.parametrize("target", ["pure_shifted.py", "keras_shifted.py", "other_shifted.py"])
def test_neither_report_nor_certificate_overwrites_code_of_the_user(with_custom, target, caplog):
    (with_custom / "other_shifted.py").write_text(PURE)
    code = ["--custom", "Shifted=pure_shifted:shifted", "--with", f"{with_custom / 'other_shifted.py'}:shifted"]
    code += ["--custom-object", f"Shifted={with_custom / 'keras_shifted.py'}:Shifted"]
    for option in ("--report", "--certificate"):
        assert compared([str(with_custom / "m.keras"), *code, option, str(with_custom / target)]) == 2
        assert "a file that is read, or not a regular file" in caplog.text
        caplog.clear()
    assert (with_custom / target).read_text() == (TWIN if target == "keras_shifted.py" else PURE)


def test_a_custom_layer_that_no_other_process_finds_is_refused_at_once(folder, rows):
    with pytest.raises(ImportFailed, match="define it at the top of a module"):
        parity.compare(folder / "model.keras", rows, custom={"my>Layer": lambda params, x: x})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--backends", "torch"], "--backends takes numpy, jax; got 'torch'"),
        (["--rows", "0"], "must be at least 1"),
    ],
)
def test_arguments_that_do_not_fit(folder, more, message, caplog):
    assert compared(arguments(folder, *more)) == 2
    assert message in caplog.text


def other_side(x):
    """The model of `small` in NumPy; `wrong_side` is off by 1e-3."""
    import fnet

    model, params = fnet.load_keras(other_side.file)
    return model(params, x)


def wrong_side(x):
    return other_side(x) + np.float32(1e-3)


def test_a_function_and_files_on_the_other_side_and_the_certificate(folder, tmp_path, caplog, monkeypatch, capsys):
    monkeypatch.setattr(other_side, "file", folder / "model.keras", raising=False)
    monkeypatch.setattr(others, "imported", lambda place: globals()[place.partition(":")[2]])
    sides = ["--with", "mine:other_side", "--with", str(folder / "model.keras")]
    file = tmp_path / "parity.json"
    options = ["--backends", "numpy", "--json", "--certificate", str(file)]
    begun = time.perf_counter()
    assert compared(arguments(folder, *options, *sides)) == 0
    took = time.perf_counter() - begun
    made = json.loads(file.read_text("utf-8"))
    assert made["verdict"] == "parity holds"
    for side in made["comparison"]["sides"].values():
        assert side["load_seconds"] >= 0 < side["predict_seconds"]
        assert side["load_seconds"] + side["predict_seconds"] < took
    digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    assert [each["sha256"] for each in made["files"]] == [digest, digest]
    x = np.load(folder / "x.npy")
    assert made["inputs"] == [
        {"dtype": "float32", "shape": [50, 6], "sha256": hashlib.sha256(b"float32[50, 6]" + x.tobytes()).hexdigest()}
    ]
    assert made["versions"]["keras"] == keras.__version__
    assert set(made["comparison"]["layers"]) == {"hidden", "out"}
    assert made["comparison"]["floor"] == 2e-6
    assert made["comparison"]["sides"]["mine:other_side"]["error"] < 1e-6
    assert compared(arguments(folder, *options, "--with", "mine:wrong_side")) == 1
    made = json.loads(file.read_text("utf-8"))
    assert made["verdict"] == "parity does not hold"
    assert made["comparison"]["problems"][0].startswith("mine:wrong_side: error 0.001")
    assert capsys.readouterr().out.count('"held"') == 2


@pytest.mark.parametrize(
    ("other", "status", "message"),
    [
        ("no.onnx", 1, "no file no.onnx"),
        ("model.tflite", 2, "--with model.tflite: give a file (.onnx, "),
        ("no_such_module:f", 1, "cannot import 'no_such_module:f'"),
        ("math:sqrt", 1, "math:sqrt failed: TypeError"),
    ],
)
def test_other_sides_that_cannot_be_run(other, status, message, folder, caplog):
    assert compared(arguments(folder, "--backends", "numpy", "--with", other)) == status
    assert message in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "stablehlo"])
def test_what_is_exported_is_compared_with_keras(kind, folder, tmp_path):
    pytest.importorskip({"onnx": "jax2onnx", "stablehlo": "jax"}[kind])
    file = tmp_path / f"model.{kind}"
    assert fnet_cli.main(["export", str(folder / "model.keras"), str(file)]) == 0
    certificate = tmp_path / "parity.json"
    options = ["--backends", "numpy", "--with", str(file), "--certificate", str(certificate)]
    assert compared(arguments(folder, *options)) == 0
    made = json.loads(certificate.read_text("utf-8"))
    assert [each["name"] for each in made["files"]] == ["model.keras", file.name]
    assert made["comparison"]["sides"][str(file)]["error"] <= made["comparison"]["allowed"]


def test_texts_are_digested_as_utf8():
    rows = np.array([["ä", "b"]], object)
    wanted = hashlib.sha256("string[1, 2]ä\0b\0".encode()).hexdigest()
    assert certificate._inputs(rows) == {"dtype": "string", "shape": [1, 2], "sha256": wanted}
    assert certificate._inputs(rows.astype(str)) == certificate._inputs(rows)


def test_a_store_of_fnet_is_no_file_of_keras(tmp_path, caplog):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    assert compared([str(file)]) == 2
    assert f"{file} is not a file of Keras: give a .keras, .h5, .hdf5 file, and --fnet {file}" in caplog.text


def test_what_can_be_told_without_keras_is_told_before_it_is_imported(folder):
    model = f"compare {folder / 'model.keras'}"
    commands = {
        f"{model} --inputs missing.npy": 1,
        f"{model} --report {folder / 'model.keras'}": 2,
        f"{model} --certificate {folder}": 2,
        f"{model} --backends torch": 2,
        "train --family cnn --epochs 0": 2,
        f"train --family cnn --data {folder / 'none'}": 1,
        f"demo --out {folder / 'model.keras'}": 1,
        f"study report --results {folder}": 2,
    }
    code = (
        "import sys; from fnet.cli import main; print([main(a.split()) for a in sys.argv[1:]], 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *commands], capture_output=True, text=True, check=True)
    assert done.stdout == f"{list(commands.values())} False\n", done.stderr


def test_labels_need_inputs_and_as_many_rows(folder, caplog):
    assert compared([str(folder / "model.keras"), "--labels", str(folder / "y.npy")]) == 2
    assert "--labels belongs to --inputs" in caplog.text
    assert compared([str(folder / "model.keras"), "--inputs", str(folder / "rows.csv")]) == 2
    assert "rows.csv: inputs are arrays of NumPy, .npy or .npz" in caplog.text
    for number, shape in enumerate(((3,), (), (0,)), 1):
        np.save(folder / "short.npy", np.zeros(shape, np.int64))
        inputs = ["--inputs", str(folder / "x.npy"), "--labels", str(folder / "short.npy")]
        assert compared([str(folder / "model.keras"), *inputs]) == 2
        assert caplog.text.count("same number of rows") == number


@pytest.mark.parametrize(("labels", "said"), [
    (np.float32([0, 0.5, 1]), "labels are numbers of classes, 0, 1, ...; got float32[3]"),
    (np.array(["a", "b", "c"]), "<U1[3]"), (np.int32(3), "got the shapes (3, 2), ()"),
], ids=["fractions", "texts", "number"])  # fmt: skip
def test_labels_that_are_no_class_numbers_are_told_before_the_work(labels, said, tmp_path):
    np.savez(tmp_path / "x.npz", np.ones((3, 2)))
    np.save(tmp_path / "y.npy", labels)
    args = argparse.Namespace(model=None, inputs=tmp_path / "x.npz", labels=tmp_path / "y.npy")
    with pytest.raises(cli.UsageError, match=re.escape(said)):
        cli._own(args, {})


def test_a_file_without_arrays_is_told(tmp_path):
    np.savez(tmp_path / "x.npz")
    with pytest.raises(cli.UsageError, match=r"x\.npz has no arrays$"):
        cli._own(argparse.Namespace(model=None, inputs=tmp_path / "x.npz", labels=None), {})


def test_class_numbers_are_read_as_people_save_them(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    args = argparse.Namespace(model=None, inputs=tmp_path / "x.npy", labels=tmp_path / "y.npy")
    for labels in (np.float32([0, 2, 1]), np.int8([[0], [2], [1]]), np.uint8([[0, 1], [2, 0], [1, 1]])):
        np.save(tmp_path / "y.npy", labels)
        y = cli._own(args, {})[1]
        assert (y.dtype, y.tolist()) == (int, labels.tolist())


def test_data_that_do_not_fit_the_model(folder, caplog, monkeypatch):
    monkeypatch.setenv("FNET_DATA", "embedded")
    assert compared([str(folder / "model.keras")]) == 2
    assert "model.keras takes (6,), digits has (8, 8, 1)" in caplog.text


# --- the report ------------------------------------------------------------------------------------


def test_the_report_is_one_page_that_escapes_and_fetches_nothing(good, bad, tmp_path):
    page = report.write_report([good, bad], tmp_path / "deep" / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>" not in page
    links = set(re.findall(r"(?:src|href)=\"([^\"]*)\"", page))
    assert "data:," in links
    assert all(link.startswith(("data:", "#")) for link in links), links
    assert "url(http" not in page
    assert page.count("<svg") == 6
    assert "prefers-color-scheme: dark" in page
    assert "Parity does not hold for every model" in page
    assert "layer hidden: over the allowed" in page


def test_the_marks_of_a_picture_hold_the_errors_and_lie_in_their_order(good):
    drawn = pictures.layer_errors(good)
    marks = re.findall(r'data-layer="(.*?)" data-side="(.*?)" data-error="(.*?)"', drawn)
    assert marks == [
        (layer.name, side, f"{error:.7g}") for layer in good.layers for side, error in layer.errors.items()
    ]
    shown = re.findall(r'data-side="(.*?)" data-counts="(.*?)"', pictures.row_errors(good))
    assert [side for side, _ in shown] == [side.name for side in good.sides]
    for (_, counts), side in zip(shown, good.sides, strict=True):
        assert sum(map(int, counts.split(","))) == len(side.row_errors)


def test_each_of_many_sides_is_drawn_in_a_look_of_its_own(good):
    sides = [dataclasses.replace(good.sides[-1], name=f"side {i}") for i in range(7)]
    layers = [dataclasses.replace(layer, errors={s.name: 1e-7 for s in sides}) for layer in good.layers]
    many = dataclasses.replace(good, sides=tuple(sides), layers=tuple(layers))
    assert len({pictures.look(i) for i in range(7)}) == 7
    for drawn in (pictures.layer_errors(many), pictures.row_errors(many)):
        assert [f'data-side="{side.name}"' in drawn for side in sides] == [True] * 7
        assert [f">{side.name}</text>" in drawn for side in sides] == [True] * 7


@pytest.mark.parametrize("letters", [3, 14, 30, 60])
def test_names_in_a_legend_do_not_reach_into_each_other(letters):
    places = pictures._places(["x" * letters] * 7, 20, 270)
    assert len(set(places)) == 7
    assert not [
        (x, y)
        for x, y in places
        for other, line in places
        if line == y and x < other < x + 20 + pictures.LETTER * letters
    ]


def test_a_logarithmic_axis_has_a_tenth_of_an_error_as_far_to_the_left_as_ten_times_it_to_the_right():
    axis = pictures.Axis(2e-9, 3e-5)
    assert (axis.low, axis.high) == (-9, -4)
    assert axis.at(1e-6) - axis.at(1e-7) == pytest.approx(axis.at(1e-5) - axis.at(1e-6))
    assert axis.at(1e-12) == axis.left
    assert axis.at(1.0) == axis.at(1e-4)


def test_the_terminal_shows_names_as_they_are(good, bad):
    """Square brackets were markup, or an error, and terminals obeyed what stood in names of files."""
    from rich.console import Console

    odd = "a[/red]\x1b[31m\n\u202e"
    sides = (good.sides[0], *(dataclasses.replace(side, name=odd) for side in good.sides[1:]))
    layers = tuple(dataclasses.replace(line, name=odd, errors={"Keras": 1e-8, odd: 1e-7}) for line in good.layers)
    hostile = dataclasses.replace(
        good, title=odd, file=odd, sides=sides, layers=layers, not_compared=(odd, "hidden"), problems=(odd,)
    )
    for comparison in (good, bad, hostile):
        console = Console(record=True, width=120, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
        report.print_comparison(comparison, console)
        text = console.export_text()
        assert "hidden" in text
        assert ("parity holds" in text) is comparison.held
    assert text.count(r"a[/red]\x1b[31m\n\u202e") == 4 + len(good.layers) + len(sides) - 1
    assert not {*text} & {*"\x1b\u202e"}
    console = Console(record=True, width=120, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    report.print_comparison(dataclasses.replace(good, layers=()), console)
    assert "parity holds" in console.export_text()


# --- the reference ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *(("model.keras", "float32"), ("model.keras", "mixed_float16"), ("model.keras", "bfloat16")),
        *(("model.h5", "float32"), ("model.h5", "mixed_float16")),  # Keras cannot read its own bfloat16 .h5
    ],
)
def test_the_reference_is_the_same_model_in_float64(name, policy, tmp_path):
    model = small(dtype=policy)
    model.save(tmp_path / name)
    x = np.random.default_rng(0).standard_normal((4, 6))
    with reference.float64(tmp_path / name) as wide:
        (y,) = reference.outputs(wide, x, 3)
        assert {w.dtype for w in wide.weights} == {"float64"}
    assert y.dtype == np.float64
    hidden, out = ([np.asarray(w, np.float64) for w in layer.weights] for layer in model.layers)
    logits = np.maximum(x @ hidden[0] + hidden[1], 0) @ out[0] + out[1]
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(y, exact / exact.sum(axis=1, keepdims=True), rtol=1e-12)
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert reference.policy(model) == policy.removeprefix("mixed_")


def test_the_float64_reference_keeps_the_vocabulary(tmp_path):
    vectorize = keras.layers.TextVectorization(vocabulary=["enak", "buruk"], output_sequence_length=3)
    table = keras.layers.Embedding(4, 2, mask_zero=True)
    layers = [keras.Input((1,), dtype="string"), vectorize, table, keras.layers.SimpleRNN(2)]
    keras.Sequential(layers).save(tmp_path / "text.keras")
    x = np.array(["enak", "buruk enak", "lain"], object)
    (narrow,) = reference.outputs(reference.load(tmp_path / "text.keras"), x, 2)
    with reference.float64(tmp_path / "text.keras") as wide:
        (y,) = reference.outputs(wide, x, 2)
        assert list(reference.layer_outputs(wide, x)) == [layer.name for layer in wide.layers]
    assert y.dtype == np.float64
    assert yardstick.error(narrow, y) < yardstick.DEFAULT_FLOOR


def test_only_narrow_floats_are_widened():
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    config = {"dtype": "float32", "name": "float32", "ids": {"dtype": "int32"}, "layers": [{"dtype": policy}]}
    wide = {"dtype": "float64", "name": "float32", "ids": {"dtype": "int32"}, "layers": [{"dtype": "float64"}]}
    assert reference.widened(config) == wide


# --- the measures ----------------------------------------------------------------------------------


def test_a_tie_within_float_error_is_a_tie_and_not_a_difference():
    exact = [np.array([[0.5, 0.5 + 1e-7], [0.9, 0.1], [0.2, 0.8]])]
    theirs = [exact[0].astype(np.float32)]
    swapped = theirs[0].copy()
    swapped[0] = swapped[0, ::-1]
    rows = measuring.Rows("toy", np.zeros((3, 1)), np.array([1, 0, 1]), ("a", "b"))
    measured = measuring.Measured(rows, exact, theirs, "float32", 0.0)
    keras_side = measured.side("Keras", measuring.Run(theirs))
    tied = measured.side("fnet", measuring.Run([swapped]))
    assert [(d.row, d.tie) for d in tied.differing] == [(0, True)]
    assert measured.problems(tied, keras_side) == []
    assert report.agreement(tied) == "2/3 (1 tie)"
    swapped[1] = swapped[1, ::-1]
    apart = measured.side("fnet", measuring.Run([swapped]))
    assert [(d.row, d.tie) for d in apart.differing] == [(0, True), (1, False)]
    assert len(measured.problems(apart, keras_side)) == 2
    assert measuring.over_outputs(measured.outputs({"Keras": measuring.Run(theirs), "fnet": measuring.Run([swapped])}))


def test_a_tie_is_relative_to_the_scores_and_no_wider_than_the_yardstick():
    rows = measuring.Rows("toy", np.zeros((2, 1)))
    for scale in (1e-7, 1.0, 1e7):
        exact = np.array([[1.0, 1.0], [-1.0, 0.5]]) * scale
        for margin, tie in ((1.5e-6, True), (2.5e-6, False), (1e-3, False)):
            exact[0, 1] = scale * (1 - margin)
            measured = measuring.Measured(rows, [exact], [exact], "float32", 0.0)
            swapped = np.array([exact[0, ::-1], exact[1]])
            found = measured.side("fnet", measuring.Run([swapped]))
            assert [(d.row, d.tie) for d in found.differing] == [(0, tie)]
            right = measuring.Measured(rows, [exact], [swapped], "float32", 0.0).side("fnet", measuring.Run([exact]))
            for side in (found, right):  # whoever is right
                np.testing.assert_allclose(side.differing[0].margin, scale * margin)
            assert bool(measured.problems(found, measured.side("Keras", measuring.Run([exact])))) is not tie
            assert found.agreement == 0.5


def test_outputs_of_another_shape_are_a_problem_not_a_crash():
    rows = measuring.Rows("toy", np.zeros((2, 1)))
    y = [np.zeros((2, 3), np.float32)]
    measured = measuring.Measured(rows, [y[0].astype(float)], y, "float32", 0.0)
    runs = {"Keras": measuring.Run(y), "fnet": measuring.Run([np.zeros((2, 4), np.float32)])}
    wrong = measured.side("fnet", runs["fnet"])
    assert wrong.error == float("inf")
    assert wrong.agreement == 0
    assert measuring.over_outputs(measured.outputs(runs)) == ["fnet: error inf is over the allowed 2e-06"]
    assert len(measuring.over_outputs(measured.outputs({**runs, "fnet": measuring.Run([])}))) == 1


def test_every_output_is_judged_by_itself():
    rows = measuring.Rows("toy", np.zeros((2, 1)))
    exact = [np.array([[1.0], [2.0]]), np.array([[1e-7], [2e-7]])]
    keras32 = [exact[0] + 0.1, exact[1]]
    ours = [exact[0] + 0.15, exact[1] + 1e-9]
    measured = measuring.Measured(rows, exact, keras32, "float32", 0.0)
    table = measured.outputs({"Keras": measuring.Run(keras32), "fnet": measuring.Run(ours)})
    assert measuring.over_outputs(table) == ["fnet: error of output 1 0.005 is over the allowed 2e-06"]
    assert [line.magnitude for line in table] == [2.0, 2e-7]


@pytest.mark.parametrize(
    ("y", "threshold", "classes"),
    [
        ([[0.4], [0.6]], 0.5, [0, 1]),
        ([[-0.4], [0.6]], 0.0, [0, 1]),
        ([0.2, 0.7], 0.5, [0, 1]),
        ([[0.1, 0.9], [0.6, 0.4]], 0.5, [1, 0]),
        ([[[[0.1, 0.9]], [[0.6, 0.4]]], [[[0.1, 0.9]], [[0.4, 0.6]]]], 0.5, [1, 0, 1, 1]),
        ([[[0.4], [0.6]], [[0.7], [0.2]]], 0.5, [0, 1, 1, 0]),
    ],
)
def test_the_predicted_class(y, threshold, classes):
    np.testing.assert_array_equal(measuring.classes_of(y, threshold), classes)


def test_every_pixel_has_a_class():
    """One class of all pixels of a row was compared, with which labels of pixels could not be."""
    exact = np.random.default_rng(0).standard_normal((3, 4, 5, 2))
    labels = exact.argmax(axis=-1)
    measured = measuring.Measured(measuring.Rows("toy", np.zeros((3, 1)), labels), [exact], [exact], "float32", 0.0)
    ours = exact.copy()
    ours[1, 2, 3] = ours[1, 2, 3, ::-1]
    found = measured.side("fnet", measuring.Run([ours]))
    assert [(d.row, d.tie) for d in found.differing] == [(1, False)]
    assert report.agreement(found) == "59/60"
    assert found.f1 < measured.side("Keras", measuring.Run([exact])).f1 == 1
    problems = measured.problems(found, measured.side("Keras", measuring.Run([exact])))
    assert problems[0].startswith("fnet: another class than Keras on 1 pixels or steps (row 1: ")
    with pytest.raises(ValueError, match=r"^3 labels, but the model predicts 60 classes$"):
        measuring.Measured(measuring.Rows("toy", np.zeros((3, 1)), np.zeros(3)), [exact], [exact], "float32", 0.0)


def test_a_model_that_keras_cannot_load_is_not_blamed_on_the_inputs(tmp_path, caplog):
    (tmp_path / "broken.keras").write_bytes(b"PK")
    np.savez(tmp_path / "x.npz", a=np.zeros((1, 2)), b=np.zeros((1, 2)))
    assert compared([str(tmp_path / "broken.keras"), "--inputs", str(tmp_path / "x.npz")]) == 1
    assert "broken.keras" in caplog.text
    assert "x.npz" not in caplog.text


def test_a_single_unit_is_cut_in_the_middle_of_its_activation_also_behind_other_layers(tmp_path):
    """Cut at 0, every probability would be of class 1, and of the same class as any other."""
    x = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    for name, sign in (("right", 1), ("wrong", -1)):
        unit = keras.layers.Dense(1, "sigmoid")
        model = keras.Sequential([keras.Input((6,)), unit, keras.layers.Flatten()])
        unit.set_weights([sign * np.ones((6, 1)), -sign * np.median(x.sum(1))[None]])
        model.save(tmp_path / f"{name}.keras")
    found = parity.compare(
        tmp_path / "right.keras",
        measuring.Rows("toy", x),
        fnet_file=tmp_path / "wrong.keras",
        backends=("numpy",),
        layer_rows=0,
    )
    assert np.bincount(found.sides[0].predicted).tolist() == [20, 20]
    assert found.sides[1].agreement == 0


@pytest.mark.parametrize(
    ("y", "exact", "error"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([1e-7, 2e-7], [1e-7, 2.5e-7], 0.2),
        ([0.1], [0.2], 0.5),
        ([-1e-7], [1e-7], 2),
        ([0.0, 1e-9], [0.0, 0.0], 1),
        ([0.0], [0.0], 0),
        ([np.nan, 1], [np.nan, 1], 0),
        ([1, 1], [np.nan, 1], np.inf),
        ([np.nan, 1], [0, 1], np.inf),
        ([np.inf, 1], [1, 1], np.inf),
        ([np.inf], [-np.inf], np.inf),
        ([1.0], [[1.0]], np.inf),
        ([], [], 0),
        ([1 + 1j], [1 + 0.9j], 0.1 / abs(1 + 0.9j)),
        ([1000000, 2], [1000000, 2], 0),
        ([1000000, 2], [1000001, 2], np.inf),
        ([True], [False], np.inf),
        (["a", "ä"], [b"a", "ä".encode()], 0),
        (["a"], ["b"], np.inf),
    ],
)
def test_the_yardstick(y, exact, error):
    np.testing.assert_allclose(yardstick.error(y, exact), error)


@pytest.mark.parametrize(
    ("y", "exact", "gaps"),
    [
        ([1.0, np.nan, np.inf, -np.inf], [1.5, np.nan, np.inf, np.inf], [0.5, 0, 0, np.inf]),
        (np.array([200, 3], "uint8"), np.array([100, 5], "uint8"), [100, 2]),
        (["a", "b"], [b"a", b"c"], [0, 1]),
    ],
)
def test_how_far_each_entry_is_off(y, exact, gaps):
    np.testing.assert_array_equal(yardstick.gaps(y, exact), gaps)


@pytest.mark.parametrize(
    ("y", "keras32", "exact", "held"),
    [
        ([1e-7], [1e-7], [1e-7], True),
        ([-1e-7], [1e-7], [1e-7], False),
        ([1.000003], [1.0], [1.0], False),
        ([1.000003], [1.000001], [1.0], True),  # twice Keras's own, and the floor
        ([3], [3], [3], True),
        ([4], [3], [4], True),  # Keras rounds to the other side in float32: either is right
        ([3], [3], [4], True),
        ([5], [3], [4], False),
        ([5, 2], [3, 1], [4, 1], False),
        ([np.inf], [np.inf], [1e39], True),  # float32 overflows
        ([np.nan], [np.inf], [1e39], False),
        ([F32_MAX, 1.0], [F32_MAX, 1.0], [1e308, 1.0], True),  # the most that float32 holds
        ([0.0, 1.0], [F32_MAX, 1.0], [1e308, 1.0], False),
        ([F32_MAX, 1.1], [F32_MAX, 1.0], [1e308, 1.0], False),
        ([np.inf, 1.00001], [np.inf, 1.0], [1e39, 1.0], False),  # what overflows says nothing of the magnitude
        ([np.inf], [1.0], [1.0], False),
        ([np.nan], [1.0], [1.0], False),
        ([1.0], [np.nan], [np.nan], False),
        ([[1.0]], [1.0], [1.0], False),
    ],
)
def test_an_array_is_judged_beside_kerass(y, keras32, exact, held):
    dtype = "float32" if isinstance(y[0], float) else None
    assert yardstick.judge(np.array(y, dtype), np.array(keras32, dtype), exact).held is held


def test_where_float64_is_another_function_the_harness_holds_fnet_to_float32():
    theirs, exact = np.array([1.0, 2.0], "float32"), np.array([1.5, 2.0])
    assert_parity(theirs + np.float32(1e-6), theirs, lambda: pytest.fail("what is near Keras's float32 is held"))
    assert_parity(exact.astype("float32"), theirs, lambda: exact)
    with pytest.raises(AssertionError):
        assert_parity(theirs + np.float32([0.1, 0]), theirs, exact)  # within twice Keras's own error of 0.25


def test_what_the_yardstick_allows():
    np.testing.assert_allclose(yardstick.allowed(1e-6), 4e-6)
    np.testing.assert_allclose(yardstick.allowed(0, "mixed_float16"), 2e-3)
    np.testing.assert_allclose(yardstick.allowed(0, "bfloat16"), 2e-2)


@pytest.mark.slow
def test_the_demo_trains_compares_and_reports(tmp_path, capsys):
    assert fnet_cli.main(["demo", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.count("parity holds") == 3
    assert (tmp_path / "report.html").read_text("utf-8").count("<h2>") == 3
    assert all((tmp_path / family / "model.keras").exists() for family in demo.MODELS)


@pytest.mark.parametrize("change", [
    {"class_name": "Functional", "config": {"name": "f", "\x1b[31m": "x" * 3000}}, {"class_name": "\x1b[31m" * 200},
], ids=["KeyError", "TypeError"])  # fmt: skip
def test_whatever_keras_raises_for_a_file_is_told_in_one_line(change, tmp_path):
    """A KeyError of Keras was a traceback, and what it says was printed raw, the whole config in it."""
    path = tmp_path / "m.keras"
    path.write_bytes(keras_zip({**dense_config(), **change}))
    with pytest.raises(ValueError, match=r"^Keras [\d.]+ cannot load .*m\.keras: \w+Error: ") as caught:
        cli.data_rows(path, "unused", "test")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


def options_of_commands():
    """(command, its option as argparse has it)."""
    made = {}
    for name, module in {"compare": cli, "train": train_cli, "demo": demo, "study": study}.items():
        module.add_arguments(made.setdefault(name, argparse.ArgumentParser(name)))
    parsers = [fnet_cli.parser(), *made.values()]
    while parsers:
        parser = parsers.pop()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            else:
                yield parser.prog, action


def told_defaults():
    """(command, option, what its help has in brackets at the end, its default) of options that have one."""
    for command, action in options_of_commands():
        if action.default not in (None, [], "", False, argparse.SUPPRESS):
            told = re.search(r"\((%\(default\)s|[^()]*)\)$", action.help or "")
            yield command, action.dest, told and told[1], action.default


CHOICES = {
    "completion shell": "bash zsh fish tcsh powershell", "export to": "keras onnx stablehlo",
    "predict format": "txt csv tsv jsonl", "predict invalid": "mark raise",
    **dict.fromkeys(("activations stdin_format", "predict stdin_format"), "txt csv tsv jsonl"),
    **dict.fromkeys(("activations decimal", "predict decimal"), ". ,"),
    "compare split": "test valid train", "train family": "cnn rnn lstm", "train recipe": "adam one-cycle",
    "train pooling": "max average", "train head": "last pool attention",
    **dict.fromkeys(("compare language", "report language", "run language", "train language"), " ".join(LANGUAGES)),
}  # fmt: skip


def test_the_choices_of_commands_are_those_that_are_promised():
    found = {(name.split()[-1], a.dest): a.choices for name, a in options_of_commands() if a.choices}
    assert {" ".join(key): " ".join(choices) for key, choices in found.items()} == CHOICES
    assert len(LANGUAGES) == 12


def test_the_default_that_help_tells_is_the_one_that_counts():
    found = list(told_defaults())
    assert {("predict", "batch_size"), ("train", "learning_rate"), ("compare", "layer_rows"), ("demo", "out")} <= {
        (name.split()[-1], option) for name, option, *_ in found
    }
    assert [row for row in found if row[2] not in ("%(default)s", str(row[3]))] == []


@pytest.mark.parametrize("family", architectures.FAMILIES)
def test_the_options_of_a_family_are_those_that_help_tells(family):
    defaults = architectures.options(family)
    for name, settings in train_cli.FAMILY_OPTIONS.items():
        text = settings["help"]
        if ":" in text and family not in text.partition(":")[0]:
            assert not hasattr(defaults, name)
            continue
        told = re.search(r"\(([^()]*)\)$", text)[1]
        own = dict(re.findall(r"(cnn|rnn|lstm) ([0-9.]+)", told)).get(family, told)
        value = getattr(defaults, name)
        value = ("no", "yes")[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
        assert own == " ".join(map(str, value if isinstance(value, tuple) else (value,))), name
