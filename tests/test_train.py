"""Training: the result does not depend on interruptions, and nothing is trained on bad data."""

import dataclasses
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from train_keras import architectures, arrangement, cli, data, locks, models, settings, train, tuning, whole
from train_keras.data import Data, Split
from train_keras.errors import LabelOutOfRange, RunLocked, RunMismatch, TokenOutOfRange, TrainingDiverged

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and TensorFlow warn on their own account

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def digits():
    whole = data.load("images", "embedded")
    parts = {name: Split(split.x[:40], split.y[:40]) for name, split in whole.splits.items()}
    return Data("digits", "images", whole.classes, **parts, source="test")


@pytest.fixture(scope="module")
def reviews():
    whole = data.load("texts", "embedded")
    parts = {name: Split(split.x[:24], split.y[:24]) for name, split in whole.splits.items()}
    return Data("reviews", "texts", whole.classes, **parts, source="test")


def config(epochs=3, patience=None, seed=0, **options):
    chosen = architectures.options("cnn", **{"filters": (2,), "dense": 4, "dropout": 0.5, **options})
    return train.Config("cnn", chosen, epochs, batch_size=16, seed=seed, patience=patience, decay=True)


def weights(folder):
    return keras.saving.load_model(Path(folder) / "model.keras").get_weights()


def without_time(history):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


def assert_same_run(a, b):
    assert without_time(a.history) == without_time(b.history)
    assert a.best_epoch == b.best_epoch
    for x, y in zip(weights(a.folder), weights(b.folder), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(autouse=True)
def every_epoch_written(monkeypatch):
    """Write a checkpoint after every epoch, as in a long training."""
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", -1.0)


class Killed(BaseException):
    """Stands for kill -9: nothing in the trainer catches it."""


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    return train.train(config(), digits, tmp_path_factory.mktemp("whole"))


def test_a_run_is_the_same_twice_and_another_with_another_seed(uninterrupted, digits, tmp_path):
    assert_same_run(uninterrupted, train.train(config(), digits, tmp_path / "same"))
    begun = time.monotonic()
    other = train.train(config(seed=1), digits, tmp_path / "other")
    assert all(record["seconds"] > 0 for record in other.history)
    assert sum(record["seconds"] for record in other.history) < time.monotonic() - begun
    assert without_time(other.history) != without_time(uninterrupted.history)


def test_a_finished_run_holds_its_model_and_history_and_nothing_else(uninterrupted, digits):
    files = sorted(p.name for p in uninterrupted.folder.iterdir())
    assert [f for f in files if f != "lock"] == ["history.json", "model.keras", "state.json"]
    written = json.loads((uninterrupted.folder / "history.json").read_text())
    assert written["history"] == uninterrupted.history
    assert written["run"]["data_sha256"] == digits.fingerprint
    before = (uninterrupted.folder / "model.keras").stat().st_mtime_ns
    assert_same_run(train.train(config(), digits, uninterrupted.folder), uninterrupted)
    assert (uninterrupted.folder / "model.keras").stat().st_mtime_ns == before


def test_interrupted_within_an_epoch_and_between_epochs(uninterrupted, digits, tmp_path):
    def in_epoch_two(step):
        if (step.epoch, step.batch) == (2, 2):
            raise Killed

    def after_epoch_two(record):
        if record["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        train.train(config(), digits, tmp_path, on_step=in_epoch_two)
    with pytest.raises(Killed):
        train.train(config(), digits, tmp_path, on_epoch=after_epoch_two)
    epochs, losses = [], []
    resumed = train.train(
        config(),
        digits,
        tmp_path,
        on_step=lambda step: losses.append(step.loss),
        on_epoch=lambda record: epochs.append(record["epoch"]),
    )
    assert epochs == [3]
    assert resumed.history[-1]["loss"] == pytest.approx(np.average(losses, weights=(16, 16, 8)))
    assert resumed.history[-1]["accuracy"] * 40 == pytest.approx(round(resumed.history[-1]["accuracy"] * 40))
    assert_same_run(resumed, uninterrupted)


@pytest.mark.slow
def test_interrupted_before_and_after_every_file_written(uninterrupted, digits, tmp_path, monkeypatch):
    commit, died = whole.commit, 0

    def dying(when):
        def replaced(part, path):
            if when == "after":
                commit(part, path)
            raise Killed

        return replaced

    for when in ("before", "after") * 9:
        monkeypatch.setattr(whole, "commit", dying(when))
        try:
            train.train(config(), digits, tmp_path)
            break
        except Killed:
            died += 1
    assert died == 2 * 9  # a checkpoint and a state in each of 3 epochs; model, history, state at the end
    monkeypatch.setattr(whole, "commit", commit)
    assert_same_run(train.train(config(), digits, tmp_path), uninterrupted)


KILLED = """
import os, signal, sys
from train_keras import cli, whole
commit = whole.commit
def until_the_first_checkpoint(part, path):
    commit(part, path)
    if path.name.startswith("epoch-"):
        os.kill(os.getpid(), signal.SIGKILL)
whole.commit = until_the_first_checkpoint
cli.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_with_signal_9_and_run_again(tmp_path):
    options = ["--family", "lstm", "--epochs", "4", "--units", "4"]
    options += ["--embedding", "4", "--tokens", "50", "--length", "8", "--patience", "4"]  # a checkpoint an epoch
    options += ["--threads", "1", "--json", "--out"]
    command = [sys.executable, "-m", "train_keras", *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FNET_DATA": "embedded"}
    through = subprocess.run([*command, str(tmp_path / "whole")], env=env, check=True, capture_output=True)
    killed = subprocess.run([sys.executable, "-c", KILLED, *options, str(tmp_path / "killed")], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [file.name for file in (tmp_path / "killed").glob("epoch-*")] == ["epoch-0001.keras"]
    assert not (tmp_path / "killed" / "model.keras").exists()
    again = subprocess.run([*command, str(tmp_path / "killed")], env=env, check=True, capture_output=True)
    histories = [without_time(json.loads(run.stdout)["history"]) for run in (through, again)]
    assert histories[0] == histories[1]
    for x, y in zip(weights(tmp_path / "whole"), weights(tmp_path / "killed"), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("losses", "patience", "best", "stopped"),
    [
        ([3, 2, 1], None, 3, False),
        ([3, 1, 2], None, 3, False),
        ([3, 1, 2], 2, 2, False),
        ([3, 1, 2, 1], 2, 2, True),
        ([1, 2], 1, 1, True),
        ([], 1, None, False),
    ],
)
def test_early_stopping_is_a_function_of_the_history(losses, patience, best, stopped):
    chosen, history = config(patience=patience), [{"val_loss": loss} for loss in losses]
    assert chosen.stops_after(history) is stopped
    if losses:
        assert chosen.best_epoch(history) == best


def test_the_best_epochs_weights_are_kept(digits, tmp_path):
    fast = train.Config("cnn", config().options, 12, batch_size=16, learning_rate=0.5, patience=2)
    result = train.train(fast, digits, tmp_path)
    losses = [record["val_loss"] for record in result.history]
    assert result.best_epoch == losses.index(min(losses)) + 1 < len(losses)
    again = train.evaluate(keras.saving.load_model(result.model_file), digits.valid)
    np.testing.assert_allclose(again["loss"], min(losses), rtol=1e-6)


def test_text_models_take_strings(reviews, tmp_path):
    small = architectures.options("rnn", units=3, layers=1, tokens=40, length=6, embedding=4)
    result = train.train(train.Config("rnn", small, 1), reviews, tmp_path)
    model = keras.saving.load_model(result.model_file)
    assert train.probabilities(model, reviews.test.x).shape == (24, 3)


BUILT = {
    "convolutional": (
        {"filters": (2, 4), "kernels": (5, 3), "dense": 6, "dropout": 0.25, "pooling": "average"},
        {
            "rescaling": {"scale": 1 / 255, "offset": 0.0},
            "conv_1": {"filters": 2, "kernel_size": (5, 5), "padding": "same", "activation": "relu"},
            "pool_1": {"pool_size": (2, 2)},
            "conv_2": {"filters": 4, "kernel_size": (3, 3), "padding": "same", "activation": "relu"},
            "pool_2": {"pool_size": (2, 2)},
            "flatten": {},
            "dense": {"units": 6, "activation": "relu"},
            "dropout": {"rate": 0.25},
            "probabilities": {"units": 3, "activation": "softmax"},
        },
    ),
    "normalized": (
        {"filters": (2,), "batch_norm": True, "global_pooling": True},
        {
            "rescaling": {},
            "conv_1": {"filters": 2, "kernel_size": (3, 3), "padding": "same", "use_bias": False},
            "norm_1": {},
            "relu_1": {"activation": "relu"},
            "pool_1": {"pool_size": (2, 2)},
            "mean": {},
            "probabilities": {"units": 3, "activation": "softmax"},
        },
    ),
    "n-grams": (
        {"layers": 0, "ngrams": True},
        {
            "words_tf_idf": {"output_mode": "tf_idf", "max_tokens": 20_000, "split": "whitespace", "ngrams": None},
            "words_unit": {},
            "words_scale": {"scale": 40.0},
            "words_dropout": {"rate": 0.3},
            "words": {"units": 3, "use_bias": False},
            "characters_tf_idf": {"max_tokens": 20_000, "split": "character", "ngrams": (3, 4, 5)},
            "characters_unit": {},
            "characters_scale": {"scale": 40.0},
            "characters_dropout": {"rate": 0.3},
            "characters": {"units": 3, "use_bias": False},
            "logits": {},
            "probabilities": {},
        },
    ),
}
"""{model: (its options, {layer: what its config says})}."""


@pytest.mark.parametrize("name", BUILT)
def test_a_model_has_the_layers_that_its_options_say(name, reviews, digits):
    options, expected = BUILT[name]
    of = reviews if "ngrams" in options else digits
    model = models.build(architectures.options("rnn" if of is reviews else "cnn", **options), of.train.x, 3)
    configs = {layer.name: layer.get_config() for layer in model.layers if layer.name not in ("text", "pixels")}
    assert set(configs) == set(expected)
    for layer, said in expected.items():
        assert {key: configs[layer][key] for key in said} == said, layer


@pytest.mark.slow
def test_an_interrupted_text_model_with_every_branch_is_the_same(reviews, tmp_path):
    small = {"units": 3, "layers": 1, "tokens": 40, "length": 6, "embedding": 4, "embedding_dropout": 0.5}
    options = architectures.options("lstm", head="pool", ngrams=True, **small)
    chosen = train.Config("lstm", options, 2, batch_size=8, learning_rate=3e-3, patience=1)
    whole = train.train(chosen, reviews, tmp_path / "whole")
    assert {"words_tf_idf", "characters_tf_idf", "embedding_dropout"} <= {
        layer.name for layer in keras.saving.load_model(whole.model_file).layers
    }

    def behind_epoch_one(record):
        raise Killed

    with pytest.raises(Killed):
        train.train(chosen, reviews, tmp_path / "broken", on_epoch=behind_epoch_one)
    train.forget()
    assert_same_run(train.train(chosen, reviews, tmp_path / "broken"), whole)


def test_folds_score_every_row_once_and_leave_the_test_split_alone():
    whole = data.load("texts", "embedded")
    x = np.concatenate([whole.train.x, whole.valid.x])
    scored = []
    for fold, rows in tuning.folds(whole, 3, repeat=0):
        assert list(fold.valid.x) == list(x[rows])
        assert sorted([*fold.train.x, *fold.valid.x]) == sorted(x)
        scored += list(rows)
    assert sorted(scored) == list(range(len(x)))


def test_the_rows_that_train_are_the_reports_the_official_or_all():
    whole = data.load("texts", "embedded")
    train_rows, held = arrangement.arranged(whole, "report")
    assert len(train_rows) == 4 * len(held)
    assert sorted([*train_rows.x, *held.x]) == sorted(whole.train.x)
    first, second = train_test_split(list(whole.train.x), test_size=0.2, random_state=42)
    assert (list(train_rows.x), list(held.x)) == (first, second)
    assert arrangement.arranged(whole, "official") == (whole.train, whole.valid)
    everything, nothing = arrangement.arranged(whole, "all")
    assert nothing is None
    assert list(everything.x) == [*whole.train.x, *whole.valid.x]


def test_the_kept_weights_are_the_moving_average(digits, tmp_path):
    """One step has no past: its average is its weights; of two steps it is between them."""
    chosen = dataclasses.replace(config(), epochs=2, batch_size=len(digits.train), decay=False, average=0.75)
    result = train.train(chosen, digits, tmp_path / "kept")
    last = train.train(dataclasses.replace(chosen, average=None), digits, tmp_path / "last")
    one = train.train(dataclasses.replace(chosen, average=None, epochs=1), digits, tmp_path / "one")
    kept, final, first = (keras.saving.load_model(r.model_file).get_weights() for r in (result, last, one))
    for k, f, o in zip(kept, final, first, strict=True):
        if k.dtype.kind == "f":
            np.testing.assert_allclose(k, 0.75 * o + 0.25 * f, rtol=1e-4, atol=1e-6)
    model = keras.saving.load_model(result.model_file)
    again = train.evaluate(model, digits.valid)
    assert again["loss"] == pytest.approx(result.history[-1]["val_loss"], rel=1e-5)


def test_one_cycle_interrupted_is_the_same_and_moves_the_images(digits, tmp_path, monkeypatch):
    searched = architectures.options("cnn", filters=(4, 6), batch_norm=True, global_pooling=True, residual=True)
    chosen = train.Config("cnn", searched, 2, batch_size=16, learning_rate=0.1, recipe="one-cycle")
    rate = train._optimizer(chosen, 100)._learning_rate
    assert [float(rate(step)) for step in (0, 10, 20, 60, 100)] == pytest.approx([0, 0.05, 0.1, 0.05, 0], abs=1e-6)

    def after_one(record):
        if record["epoch"] == 1:
            raise Killed

    with pytest.raises(Killed):
        train.train(chosen, digits, tmp_path / "killed", on_epoch=after_one)
    resumed, whole = (train.train(chosen, digits, tmp_path / name) for name in ("killed", "whole"))
    assert_same_run(resumed, whole)
    monkeypatch.setattr(train, "moved", lambda images, _: images)
    assert train.train(chosen, digits, tmp_path / "still").history[0]["loss"] != whole.history[0]["loss"]


def test_images_are_moved_by_whole_pixels_and_mirrored():
    image = np.arange(12 * 10 * 2, dtype=np.uint8).reshape(1, 12, 10, 2)
    given = train.moved(np.repeat(image, 400, 0), np.random.default_rng(0))
    padded = np.pad(image[0], ((4, 4), (4, 4), (0, 0)), mode="reflect")
    windows = [padded[i : i + 12, j : j + 10] for i in range(9) for j in range(9)]
    known = {w.tobytes() for window in windows for w in (window, window[:, ::-1])}
    found = {one.tobytes() for one in given}
    assert found <= known
    assert len(found) > 130  # of 162
    assert given.dtype == np.uint8


def test_all_rows_leave_none_to_stop_by():
    with pytest.raises(ValueError, match="leave out patience"):
        dataclasses.replace(config(), rows="all", patience=2)


def test_a_residual_network_begins_with_half_the_filters_of_its_first_block():
    chosen = architectures.options("cnn", filters=(6, 8), batch_norm=True, global_pooling=True, residual=True)
    model = models.residual(chosen, (8, 8, 1), 3)
    assert [one.filters for one in model.layers if isinstance(one, keras.layers.Conv2D)][:2] == [3, 6]


def test_images_begin_as_numbers_from_0_to_1_and_move_if_told():
    searched = architectures.options("cnn", filters=(4,), batch_norm=True, global_pooling=True, residual=True)
    moving = architectures.options("cnn", filters=(4,), augment=True)
    for build, options in ((models.residual, searched), (models.cnn, moving)):
        model = build(options, (8, 8, 1), 3)
        np.testing.assert_allclose(model.get_layer("rescaling")(np.float32([0, 51, 255])), [0, 0.2, 1], rtol=1e-6)
    assert [type(one).__name__ for one in model.layers[:3]] == ["Rescaling", "RandomFlip", "RandomTranslation"]
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 1)).astype("float32")
    assert np.ptp(np.stack([model(image, training=True) for _ in range(9)]), axis=0).max() > 1e-3


def test_a_bar_counts_the_batches_of_all_epochs():
    bar = cli.Bar(shown=False)
    bar.step(train.Step(epoch=2, epochs=3, batch=4, batches=5, loss=0.5))
    (task,) = bar.progress.tasks
    assert (task.description, task.completed, task.total) == ("epoch 2/3  loss 0.5000", 9, 15)


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    there, flush = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: there.append((tmp_path / "a").exists()) or flush(number))
    with whole.whole(tmp_path / "a") as part:
        part.write_text("x")
    assert there == [False]
    assert (tmp_path / "a").read_text() == "x"


def test_pooled_texts_are_the_mean_and_the_maximum_of_their_tokens():
    x, ids = np.float32([[[1, -3], [2, -4], [9, 9]], [[5, 5]] * 3]), np.int32([[4, 2, 0], [0, 0, 0]])
    pooled = models._pooled(architectures.options("rnn", head="pool"), x, ids)
    np.testing.assert_allclose(pooled, [[1.5, -3.5, 2, -3], [0, 0, 0, 0]])


def test_pooled_texts_take_no_notice_of_padding_and_empty_ones_have_an_answer(reviews):
    small = {"units": 3, "layers": 1, "tokens": 90, "embedding": 4, "head": "pool"}
    models_of = [models.build(architectures.options("lstm", length=n, **small), reviews.train.x, 3) for n in (30, 60)]
    models_of[1].set_weights(models_of[0].get_weights())
    short, long = (train.probabilities(m, np.array([*reviews.test.x, ""], object)) for m in models_of)
    np.testing.assert_allclose(short, long, rtol=1e-5, atol=1e-6)
    assert np.isfinite(short).all()


@pytest.mark.slow
def test_cross_validation_gives_scores(reviews, monkeypatch):
    small = architectures.options("rnn", units=3, layers=1, tokens=40, length=6, embedding=4)
    found = tuning.score(train.Config("rnn", small, 1, batch_size=16), reviews, parts=3, repeat=0)
    assert list(found) == ["last"]
    assert [set(epoch) for epoch in found["last"]] == [{"loss", "accuracy", "macro_f1"}]
    averaged = train.Config("rnn", small, 2, batch_size=16, average=0.9)
    epochs, one = [], train.train_epoch
    with monkeypatch.context() as patch:
        patch.setattr(train, "train_epoch", lambda *given: (epochs.append(given[3]), one(*given))[1])
        found = tuning.score(averaged, reviews, parts=3, repeat=0)
    assert epochs == [1, 2] * 3  # as in `train`, whose order of rows follows from them
    assert {name: len(epochs) for name, epochs in found.items()} == {"last": 2, "average": 2}
    begun = time.monotonic()
    row = tuning.row("tiny", averaged, reviews, parts=3, repeat=1)
    assert 0 < row["seconds"] < time.monotonic() - begun + 0.1
    assert (row["setting"], row["repeat"], row["average"], row["scores"].keys()) == ("tiny", 1, 0.9, found.keys())
    assert json.loads(json.dumps(row)) == row
    several = tuning.row("tiny", averaged, reviews, parts=3, repeat=1, members=2)
    assert several["setting"] == "2 x tiny"
    assert several["scores"]["last"][1]["loss"] != row["scores"]["last"][1]["loss"]
    again = tuning.score(averaged, reviews, parts=3, repeat=1)
    assert again == row["scores"]


def test_rows_of_settings_that_are_there_are_not_scored_again(tmp_path, monkeypatch):
    scored = []

    def row(label, config, loaded, parts, repeat, members):
        scored.append((label, parts, repeat, members))
        scores = {kept: [{"macro_f1": 0.5}] for kept in tuning.WEIGHTS}
        return {"setting": tuning.named(label, members), "repeat": repeat, "scores": scores, "seconds": 0.0}

    monkeypatch.setattr(tuning, "import_keras", lambda threads: None)
    monkeypatch.setattr(data, "load", lambda kind, where: None)
    monkeypatch.setattr(tuning, "row", row)
    first, second, *_ = settings.SETTINGS
    rows = ["--rows", str(tmp_path / "rows.jsonl")]
    assert tuning.main([first, *rows, "--repeats", "2", "--folds", "3"]) == 0
    assert tuning.main([first, second, *rows, "--repeats", "2"]) == 0
    assert tuning.main([first, *rows, "--repeats", "1", "--members", "2"]) == 0
    assert scored == [*((first, 3, n, 1) for n in (0, 1)), *((second, 5, n, 1) for n in (0, 1)), (first, 5, 0, 2)]
    assert [found["setting"] for found in tuning.done(tmp_path / "rows.jsonl")][-1] == f"2 x {first}"
    with pytest.raises(SystemExit, match="2"):
        tuning.main(["no setting", *rows])


def test_bad_labels_train_nothing(digits, tmp_path):
    bad = Split(digits.train.x, np.full(len(digits.train), 99))
    wrong = Data("digits", "images", digits.classes, bad, digits.valid, digits.test, source="test")
    with pytest.raises(LabelOutOfRange, match=r"train split.*label 99"):
        train.train(config(), wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_with_another_run_is_refused(uninterrupted, digits):
    with pytest.raises(RunMismatch, match="seed was 0, now 5"):
        train.train(config(seed=5), digits, uninterrupted.folder)


def test_two_at_once_in_one_folder_are_refused(digits, tmp_path):
    with locks.locked(tmp_path), pytest.raises(RunLocked, match="another process trains"):
        train.train(config(), digits, tmp_path)


def test_a_loss_that_is_no_number_stops_with_the_batch(digits, tmp_path):
    wild = train.Config("cnn", config().options, 3, batch_size=16, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match=r"at epoch \d, batch \d of 3"):
        train.train(wild, digits, tmp_path)


def test_a_family_takes_its_own_kind_of_data(reviews, tmp_path):
    with pytest.raises(ValueError, match="cnn takes images; reviews holds texts"):
        train.train(config(), reviews, tmp_path)


def test_token_ids_beyond_the_table_are_refused():
    vectorize = keras.layers.TextVectorization(vocabulary=["satu", "dua", "tiga"])
    models.check_tokens(vectorize, ["satu dua tiga"], 5)
    with pytest.raises(TokenOutOfRange, match="row 1: token id 4, but the embedding table has rows 0 to 3"):
        models.check_tokens(vectorize, ["satu", "dua tiga"], 4)


@pytest.mark.parametrize(
    ("family", "changed", "message"),
    [
        ("cnn", {"pooling": "median"}, "pooling 'median'; use one of max, average"),
        ("lstm", {"head": "first"}, "head 'first'; use one of last, pool, attention"),
        ("cnn", {"filters": (8, 8), "kernels": (3, 3, 3)}, "2 filters need 1 or 2 kernels"),
        ("cnn", {"dense": 0}, "dense must be at least 1"),
        ("cnn", {"residual": True, "batch_norm": True}, "residual needs batch_norm and global_pooling"),
        ("cnn", {"residual": True, "global_pooling": True}, "residual needs batch_norm and global_pooling"),
        *(("cnn", {name: (0,)}, f"{name} must be at least 1") for name in ("filters", "kernels")),
        *(
            ("rnn", {name: 0}, f"{name} must be at least 1")
            for name in ("units", "layers", "tokens", "length", "embedding")
        ),
        ("rnn", {"layers": -1, "ngrams": True}, "layers must be at least 0"),
        *(
            ("lstm", {name: value}, f"^{name} is a fraction")
            for name in ("dropout", "inner_dropout", "embedding_dropout")
            for value in (1.0, -0.1)
        ),
        ("cnn", {"dropout": 1.0}, "dropout is a fraction"),
    ],
)
def test_options_that_make_no_model(family, changed, message):
    with pytest.raises(ValueError, match=message):
        architectures.options(family, **changed)


def test_an_option_of_another_family_is_refused():
    with pytest.raises(TypeError, match="rnn has no option filters; it has layers, units"):
        architectures.options("rnn", filters=(3,))
    with pytest.raises(ValueError, match="cell 'gru'; use one of simple_rnn, lstm"):
        architectures.Recurrent(cell="gru")


@pytest.mark.parametrize(
    "changed",
    [
        *({name: 0} for name in ("epochs", "batch_size", "patience", "learning_rate")),
        {"learning_rate": float("nan")},
        {"seed": -1},
    ],
)
def test_a_configuration_that_trains_nothing_is_refused(changed):
    with pytest.raises(ValueError, match="must be"):
        train.Config(**{"family": "cnn", "options": config().options, "epochs": 1, **changed})


@pytest.mark.parametrize(
    ("family", "changed", "message"),
    [
        ("cnn", {"rows": "some"}, "rows 'some'; use one of official, report, all"),
        ("cnn", {"recipe": "sgd"}, "recipe 'sgd'; use one of adam, one-cycle"),
        *(("cnn", {"average": n}, f"average is a momentum between 0 and 1, got {n}") for n in (0.0, 1.0)),
        ("cnn", {"recipe": "one-cycle", "decay": True}, "a falling rate of its own"),
        ("rnn", {"recipe": "one-cycle"}, "'one-cycle' is for images"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(family, changed, message):
    with pytest.raises(ValueError, match=message):
        train.Config(family, architectures.options(family), 1, **changed)


@pytest.mark.parametrize("family", ["cnn", "rnn", "lstm"])
def test_every_layer_has_a_fixed_name(family, digits, reviews):
    chosen = architectures.options(family)
    x = digits.train.x if chosen.kind == "images" else reviews.train.x
    first, second = (models.build(chosen, x, 3) for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "No space left on device, in .*What was written last is kept",
        ),
        (KeyboardInterrupt(), 130, "run this again to go on"),
    ],
)
def test_a_full_disk_and_a_stop_are_told_and_lose_nothing(error, status, message, monkeypatch, tmp_path, caplog):
    def fail(part, path):
        raise error

    command = ["--family", "cnn", "--data", "embedded", "--epochs", "1", "--filters", "1", "--batch-size", "600"]
    with monkeypatch.context() as patched:
        patched.setattr(whole, "commit", fail)
        assert cli.main([*command, "--out", str(tmp_path), "--json"]) == status
    assert re.search(message, caplog.text)
    assert cli.main([*command, "--out", str(tmp_path), "--json"]) == 0


def test_every_option_of_a_model_has_its_argument():
    fields = {f.name for options in architectures.FAMILIES.values() for f in dataclasses.fields(options)}
    assert fields - {"cell"} == set(cli.FAMILY_OPTIONS)


def test_the_command_line_tells_wrong_arguments_from_failures(caplog, tmp_path):
    assert cli.main(["--family", "rnn", "--filters", "3"]) == 2
    assert "rnn has no option filters" in caplog.text
    assert cli.main(["--family", "cnn", "--epochs", "0"]) == 2
    assert cli.main(["--family", "cnn", "--data", str(tmp_path / "none")]) == 1
    assert "DataNotFound" in caplog.text
    with pytest.raises(SystemExit, match="2"):
        cli.main(["--family", "tree"])
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
