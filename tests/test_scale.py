"""A model beyond one process: `fnet.Predict` in datasets, Ray and Spark, and `FnetClassifier` in scikit-learn."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fnet
from fnet import bind, sequential
from fnet.sklearn import FnetClassifier

ROOT = Path(__file__).parent.parent
PAIR = ["pelayanannya ramah sekali", "kamarnya kotor"]
TEXTS = str(ROOT / "examples" / "models" / "nusax-lstm.safetensors")


@pytest.fixture
def numbers(tmp_path):
    """A file with labels and a scale, with a model on three numbers."""
    path = tmp_path / "m.safetensors"
    model = sequential(x=bind(fnet.input_layer, shape=(None, 3)), y=bind(fnet.dense, units=2, activation="softmax"))
    fnet.save(path, model, fnet.init(model, 0), labels=["no", "yes"], scale=0.5)
    return str(path)


# --- Predict ------------------------------------------------------------------------------------------------


def test_it_is_a_value_that_pickles_small_and_loads_when_it_is_used(numbers):
    predict = fnet.Predict(numbers, columns="x", scale=2)
    assert eval(repr(predict), {"Predict": fnet.Predict}) == predict
    assert pickle.loads(pickle.dumps(predict)) == predict
    assert len(pickle.dumps(predict)) < 400
    assert hash(predict) == hash(fnet.Predict(numbers, columns="x", scale=2))
    later = fnet.Predict(f"{numbers}.later")
    Path(f"{numbers}.later").write_bytes(b"")
    with pytest.raises(fnet.ModelFileError):
        later(np.ones((1, 3)))


def test_columns_become_rows_and_outputs_become_columns(numbers):
    x = np.arange(12.0).reshape(4, 3)
    model, params = fnet.load(numbers)
    expected = fnet.predict(model, params, x * 0.5)
    batches = {
        "x": {"x": x, "id": [7, 8, 9, 10]},
        "v": {"v": list(x)},
        ("a", "b", "c"): {"c": x[:, 2], "a": x[:, 0], "b": x[:, 1].tolist()},
        None: {"x": x.tolist(), "other": ["a"] * 4},
    }
    for columns, batch in batches.items():
        y = fnet.Predict(numbers, columns)(batch)
        assert list(y) == [*batch, "output", "label", "score"]
        np.testing.assert_array_equal(y["output"], expected)
        assert y["label"].tolist() == ["no" if a > b else "yes" for a, b in expected]
        np.testing.assert_array_equal(y["score"], expected.max(axis=1))
    np.testing.assert_array_equal(fnet.Predict(numbers)(x), expected)
    bare = fnet.Predict(numbers, "x", output="scores", labels=False, scale=1)({"x": x})
    assert list(bare) == ["x", "scores"]
    np.testing.assert_array_equal(bare["scores"], fnet.predict(model, params, x))


def test_only_scores_of_classes_with_names_get_a_label(tmp_path):
    x, path = fnet.bind(fnet.input_layer, shape=(None, 2)), tmp_path / "m.safetensors"
    images, ids = fnet.bind(fnet.reshape, target_shape=(1, 2)), fnet.bind(fnet.operations.cast, dtype="int32")
    for last, labels, named in (
        (fnet.identity, ["a", "b"], True), (fnet.identity, None, False), (images, ["a", "b"], False),
        (ids, ["a", "b"], False),
    ):  # fmt: skip
        fnet.save(path, fnet.sequential(x=x, y=last), {}, labels=labels)
        found = fnet.Predict(path, "x", output="y")({"x": np.float32([[1, 2]])})
        assert found.keys() == {"x", "y"} | ({"label", "score"} if named else set())


def test_labels_that_are_not_one_for_each_class(tmp_path):
    """Of a model that does not declare its inputs they are counted only when it runs."""
    weights = {"y": {"kernel": np.ones((2, 3), "float32"), "bias": np.zeros(3, "float32")}}
    fnet.save(tmp_path / "m.safetensors", fnet.sequential(y=fnet.dense), weights, labels=["a", "b"])
    with pytest.raises(ValueError, match="2 labels, but the model has 3 classes"):
        fnet.Predict(str(tmp_path / "m.safetensors"))({"x": np.ones((1, 2), "float32")})


@pytest.mark.parametrize(("activation", "middle"), [("linear", 0), ("sigmoid", 0.5)])
def test_a_single_score_is_that_of_the_second_class(tmp_path, activation, middle):
    unit = bind(fnet.dense, units=1, activation=activation)
    model = sequential(x=bind(fnet.input_layer, shape=(None, 1)), y=unit)
    params = {"x": {}, "y": {"kernel": np.ones((1, 1), "float32"), "bias": np.zeros(1, "float32")}}
    fnet.save(tmp_path / "m.safetensors", model, params, labels=["no", "yes"])
    y = fnet.Predict(str(tmp_path / "m.safetensors"))({"x": [[-1.0], [2.0]]})
    assert y["label"].tolist() == ["no", "yes"]
    (first, second), (low, high) = y["output"].ravel(), y["score"]
    assert low - middle == pytest.approx(middle - first)
    assert high == second


def test_numbers_are_scaled_and_an_offset_is_added(numbers):
    x = np.arange(12.0).reshape(4, 3)
    model, params = fnet.load(numbers)  # the file says scale=0.5
    for given, first in (({"offset": -1}, x * 0.5 - 1), ({"scale": 2, "offset": 3}, x * 2 + 3)):
        np.testing.assert_array_equal(fnet.Predict(numbers, **given)(x), fnet.predict(model, params, first))


def test_columns_of_a_batch_are_not_replaced(numbers):
    """The truth in datasets is often called label."""
    for taken, options in (("label", {}), ("output", {}), ("mine", {"output": "mine"})):
        with pytest.raises(fnet.InvalidInput, match=f"the batch already has {taken}, which would be replaced"):
            fnet.Predict(numbers, "x", **options)({"x": np.ones((1, 3)), taken: [1]})
    y = fnet.Predict(numbers, "x", labels=False)({"x": np.ones((1, 3)), "label": [1]})
    assert (list(y), y["label"]) == (["x", "label", "output"], [1])


def test_a_table_is_read_by_its_columns(numbers):
    pandas = pytest.importorskip("pandas")
    x = np.arange(6.0).reshape(2, 3)
    table = pandas.DataFrame({"id": ["p", "q"], "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
    y = fnet.Predict(numbers, ("a", "b", "c"))(table)
    assert list(y) == ["id", "a", "b", "c", "output", "label", "score"]
    np.testing.assert_array_equal(y["output"], fnet.Predict(numbers)(x))
    np.testing.assert_array_equal(fnet.Predict(numbers)(table[["a", "b", "c"]]), y["output"])


def test_rows_without_an_answer_are_marked_or_raise(numbers):
    x = [[1.0, 2, 3], [1.0, np.nan, 3]]
    y = fnet.Predict(numbers)({"x": x})
    assert np.isnan(y["output"]).any(axis=1).tolist() == np.isnan(y["score"]).tolist() == [False, True]
    assert y["label"][1] == ""
    with pytest.raises(fnet.InvalidInput, match="row 1"):
        fnet.Predict(numbers, invalid="raise")({"x": x})


@pytest.mark.parametrize("row", [[1, 2, 3], np.ones(3, "float32"), np.ones(3, "uint8")])
def test_a_row_that_is_none_is_marked_beside_arrays(numbers, row):
    expected = fnet.Predict(numbers)(np.stack([row]))[0]
    for rows in ([row, None], [None, row]):
        y = fnet.Predict(numbers)({"x": rows})["output"]
        np.testing.assert_allclose(y, [expected if row is not None else [np.nan] * 2 for row in rows], rtol=1e-6)


def test_several_inputs_and_outputs_go_by_their_names(tmp_path):
    nodes = {name: bind(fnet.input_layer, shape=(None, 1)) for name in ("a", "b")}
    nodes |= {"sum": (fnet.add, ["a", "b"]), "difference": (fnet.subtract, ["a", "b"])}
    model = fnet.graph(nodes, inputs=["a", "b"], outputs={"plus": "sum", "minus": "difference"})
    fnet.save(tmp_path / "m.safetensors", model, {})
    predict = fnet.Predict(str(tmp_path / "m.safetensors"))
    y = predict({"b": [[1.0]], "id": [3], "a": [[5.0]]})
    assert {key: np.asarray(value).ravel().tolist() for key, value in y.items()} == {
        "b": [1], "id": [3], "a": [5], "output_plus": [6], "output_minus": [4],
    }  # fmt: skip
    assert predict([np.ones((1, 1)), np.ones((1, 1))])["minus"].tolist() == [[0]]
    with pytest.raises(fnet.InvalidInput, match="the model takes columns a, b; got a, c"):
        predict({"a": [[1]], "c": [[1]]})


def test_what_it_cannot_read_is_said(numbers):
    with pytest.raises(fnet.InvalidInput, match="which of the columns a, b does the model read"):
        fnet.Predict(numbers)({"a": [1], "b": [2]})
    with pytest.raises(fnet.InvalidInput, match="no column c; the batch has a, b"):
        fnet.Predict(numbers, "c")({"a": [1], "b": [2]})
    with pytest.raises(fnet.InvalidInput, match="needs batched=True"):
        fnet.Predict(TEXTS)({"text": "one row"})
    with pytest.raises(TypeError, match="Predict takes the path of a model file; got a Bound: save it first"):
        fnet.Predict(bind(fnet.dense, units=2))
    with pytest.raises(ValueError, match="invalid='skip': use 'raise' or 'mark'"):
        fnet.Predict(numbers, invalid="skip")
    with pytest.raises(fnet.InvalidInput, match=r"the rows of a column have several shapes: \(2,\), \(3,\)"):
        fnet.Predict(numbers)({"x": [[1, 2, 3], [1, 2]]})
    with pytest.raises(fnet.InvalidInput, match=r"the columns have several shapes: \(1,\), \(2,\)"):
        fnet.Predict(numbers, ("a", "b", "c"))({"a": [1, 2], "b": [1], "c": [1, 2]})
    for columns in ((), 3, ("a", 3)):
        with pytest.raises(ValueError, match=r"columns=.*: use None, a name, or a tuple of names"):
            fnet.Predict(numbers, columns)
    for name, number in (("scale", float("nan")), ("offset", "1")):
        with pytest.raises(ValueError, match=f"{name} is a finite number, not"):
            fnet.Predict(numbers, **{name: number})
    assert fnet.Predict(Path(numbers)) == fnet.Predict(numbers)


def test_a_file_that_was_written_anew_is_loaded_anew(numbers):
    predict, x = fnet.Predict(numbers), np.ones((1, 3))
    before = predict(x)
    model, params = fnet.load(numbers)
    fnet.save(
        numbers, model, fnet.tree.map(lambda a: a + np.float32(np.arange(a.shape[-1])), params), labels=["a", "b"]
    )
    assert (predict(x) != before).any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, which other tests have imported
@pytest.mark.filterwarnings("ignore:Exception ignored in.*_at_fork:pytest.PytestUnraisableExceptionWarning")
def test_datasets_map_in_processes():
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"id": list(range(30)), "text": [*PAIR, None] * 10})
    mapped = rows.map(fnet.Predict(TEXTS), batched=True, batch_size=7, num_proc=2)
    assert mapped["id"] == list(range(30))
    assert list(mapped["label"]) == ["positive", "negative", ""] * 10


def parquet(folder, numbers):
    """Parquet files of a hundred rows each."""
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(exist_ok=True)
    for i in numbers:
        columns = {"id": list(range(100 * i, 100 * i + 100)), "text": PAIR * 50}
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{i}.parquet")


def run(*command):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_worker_niceness": "0"}  # not 15: soon on a busy machine, too
    done = subprocess.run(
        [sys.executable, *map(str, command)], env=env, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]


KILLED = """
import os, sys
import ray
from pathlib import Path
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig
import fnet

folder = Path(sys.argv[1])

class Killed:
    def __init__(self, predict):
        self.predict = predict

    def __call__(self, batch):
        killed = folder / "killed"
        if 150 in batch["id"] and not killed.exists():
            killed.write_text("")
            os._exit(9)  # the worker dies; Ray runs its batch on another
        return self.predict(batch)

ray.init(num_cpus=4, log_to_driver=False, include_dashboard=False)
context = DataContext.get_current()
context.checkpoint_config = CheckpointConfig("id", str(folder / "done"), delete_checkpoint_on_success=False)
rows = ray.data.read_parquet(str(folder / "in"))
rows.map_batches(Killed(fnet.Predict(sys.argv[2], "text")), batch_size=50).write_parquet(str(folder / "out"))
"""


@pytest.mark.slow
def test_ray_goes_on_after_a_killed_worker_and_computes_only_what_is_new(tmp_path):
    pytest.importorskip("ray")
    import pyarrow.parquet

    parquet(tmp_path / "in", range(3))
    (tmp_path / "killed.py").write_text(KILLED)
    run(tmp_path / "killed.py", tmp_path, TEXTS)
    assert (tmp_path / "killed").exists()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")}
    assert sorted(pyarrow.parquet.read_table(tmp_path / "out")["id"].to_pylist()) == list(range(300))
    parquet(tmp_path / "in", range(3, 6))
    command = [ROOT / "examples" / "ray_parquet.py", TEXTS, tmp_path / "in", tmp_path / "out", "--column", "text"]
    run(*command, "--checkpoint", tmp_path / "done", "--cpus", 4)
    table = pyarrow.parquet.read_table(tmp_path / "out").to_pydict()
    assert sorted(table["id"]) == list(range(600))
    assert all(
        label == ("negative" if i % 2 else "positive") for i, label in zip(table["id"], table["label"], strict=True)
    )
    assert {path: path.stat().st_mtime_ns for path in before} == before  # what was done was not done again


@pytest.mark.slow
def test_spark_adds_a_column(tmp_path):
    pytest.importorskip("pyspark")
    import pyarrow.parquet

    parquet(tmp_path / "in", range(6))
    run(ROOT / "examples" / "spark_parquet.py", TEXTS, tmp_path / "in", tmp_path / "out")
    table = pyarrow.parquet.read_table(tmp_path / "out").to_pydict()
    expected = fnet.Predict(TEXTS)(np.array(table["text"], object))
    np.testing.assert_allclose(table["output"], expected, atol=1e-6)
    assert len(table["id"]) == 600


# --- scikit-learn -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # check_estimator's own
@pytest.mark.parametrize("source", [None, (sequential(half=bind(fnet.rescaling, scale=0.5)), {})])
def test_the_estimator_keeps_the_rules_of_scikit_learn(source):
    from sklearn.utils.estimator_checks import check_estimator

    checks = check_estimator(FnetClassifier(source), on_fail=None)
    assert [check["check_name"] for check in checks if check["status"] == "failed"] == []
    assert len(checks) > 40


def test_a_trained_model_classifies_and_a_new_head_is_fitted_on_its_features():
    model = FnetClassifier.trained(TEXTS)
    assert model.predict(["pelayanannya ramah sekali", "kamarnya kotor"]).tolist() == ["positive", "negative"]
    np.testing.assert_allclose(model.predict_proba(["ramah"]), fnet.Predict(TEXTS)(["ramah"]), atol=1e-6)
    assert model.classes_.tolist() == fnet.load_info(TEXTS)["labels"]
    texts, classes = ["bagus sekali", "kotor", "ramah", "buruk"] * 2, ["good", "bad"] * 4
    head = FnetClassifier(TEXTS, at="pooled").fit(texts, classes)
    assert head.score(texts, classes) == 1
    assert head.head_.n_features_in_ == 256
    assert pickle.loads(pickle.dumps(head)).predict(["kotor"]).tolist() == ["bad"]
    with pytest.raises(ValueError, match="2 labels, but the model has 3 classes"):
        FnetClassifier.trained(TEXTS, labels=["a", "b"])


def test_a_classifier_scales_as_its_file_says(numbers):
    x = np.arange(12.0).reshape(4, 3)
    scores = fnet.Predict(numbers)(x)
    np.testing.assert_allclose(FnetClassifier.trained(numbers).predict_proba(x), scores, rtol=1e-6)
    head = FnetClassifier(numbers).fit(x, [0, 1, 0, 1])
    np.testing.assert_array_equal(head._features(x), scores)


@pytest.mark.parametrize(
    ("units", "activation", "expected"),
    [
        (2, "linear", [[0.75, 0.25]]),
        (2, "softmax", [[0.75, 0.25]]),
        (2, "log_softmax", [[0.75, 0.25]]),
        (2, "sparsemax", [[1, 0]]),
        (2, "sigmoid", [[0.6, 0.4]]),
        (2, "sparse_sigmoid", [[2 / 3, 1 / 3]]),
        (1, "linear", [[0.25, 0.75]]),
        (1, "sigmoid", [[0.25, 0.75]]),
        (1, "log_sigmoid", [[0.25, 0.75]]),
        (1, "tanh", [[0.310026, 0.689974]]),  # as logits, so that the class is 1 above 0
    ],
)
def test_scores_become_probabilities_whose_classes_are_those_of_fnet(units, activation, expected):
    model = sequential(
        x=bind(fnet.input_layer, shape=(None, 2)), d=bind(fnet.dense, units=units, activation=activation)
    )
    params = {"d": {"kernel": np.eye(2, units, dtype="float32"), "bias": np.zeros(units, "float32")}}
    classifier = FnetClassifier.trained((model, params))
    x = np.array([[np.log(3), 0]], "float32")
    np.testing.assert_allclose(classifier.predict_proba(x), expected, atol=1e-6)
    rows = np.array([[9, -8], [-800, 3], [-9, -9], [0.1, 0.3]], "float32")
    np.testing.assert_array_equal(classifier.predict(rows), fnet.classes(model, fnet.predict(model, params, rows)))


# --- JAX ----------------------------------------------------------------------------------------------------


def test_rows_and_kernels_are_spread_over_a_mesh():
    env = {**os.environ, "FNET_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, str(ROOT / "examples" / "mesh.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "rows over 8 devices: 8 shards of (8, 10)" in done.stdout
    assert "a kernel over 8 devices: 8 shards of (256, 16)" in done.stdout
    differences = [float(line.rpartition(" ")[2]) for line in done.stdout.splitlines() if "difference" in line]
    assert len(differences) == 2
    assert max(differences) < 1e-5
