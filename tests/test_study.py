"""`fnet study`: rows that a kill cannot spoil, runs that resume, what is refused, and the report in a browser."""

import dataclasses
import errno
import functools
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from compare import parity
from compare.studies import baselines, choices, document, evidence, findings, overview, pages, publish, statistics
from compare.studies import rows as store
from tests import tiny_studies
from train_keras import data, locks, studies
from train_keras.settings import SETTINGS

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras and TensorFlow warn on their own account

ROOT = Path(__file__).parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def tiny(monkeypatch):
    """The small studies in place of the real ones, parity on NumPy only."""
    install_tiny(monkeypatch)


def install_tiny(patch):
    tiny_studies.install(patch.setitem, patch.delitem)
    patch.setattr(parity, "compare", functools.partial(parity.compare, backends=("numpy",)))
    patch.delenv("FNET_DATA", raising=False)


def study(folder, *arguments):
    where = ["--results", str(folder / "results")]
    where += ["--runs", str(folder / "runs")] if arguments[0] in ("run", "compare") else []
    return tiny_studies.main([*arguments, *where])


# --- the rows --------------------------------------------------------------------------------------


def test_a_line_that_a_kill_cut_off_is_not_there_and_the_next_row_stands_whole(tmp_path):
    store.append(tmp_path, {"run": "a", "x": 1.5})
    with (tmp_path / store.ROWS).open("a") as file:
        file.write('{"run": "b", "x"')
    assert store.read(tmp_path) == [{"run": "a", "x": 1.5}]
    store.append(tmp_path, {"run": "c"})
    assert [row["run"] for row in store.read(tmp_path)] == ["a", "c"]
    assert (tmp_path / store.ROWS).read_text().count("\n") == 2


def row_on(run, sha="1"):
    return {"run": run, "data": "reviews", "data_sha256": sha, "parity": None}


def test_two_machines_rows_become_one_folder(tiny, tmp_path, caplog):
    here, there = tmp_path / "results", tmp_path / "there"
    for folder, runs in ((here, "ab"), (there, "bc")):
        folder.mkdir()
        for run in runs:
            store.append(folder, row_on(run) | {"seconds": len(folder.name)})
    store.keep_labels(there, "reviews", [0, 1])
    assert study(tmp_path, "merge", str(there)) == 0
    assert "1 rows added, 1 were there already" in caplog.text
    assert [(row["run"], row["seconds"]) for row in store.read(here)] == [("a", 7), ("b", 7), ("c", 5)]
    assert store.labels_of(here) == {"reviews": "01"}
    assert study(tmp_path, "merge", str(there)) == 0
    assert len(store.read(here)) == 3


def test_a_row_that_was_compared_later_takes_the_place_of_the_one_before(tiny, tmp_path, caplog):
    """Of one training only: another training of the same run does not."""
    here, there = tmp_path / "results", tmp_path / "there"
    held = [None, {"held": True}, {"held": True, "compared": "2026-01-02"}, {"held": False, "compared": "2026-01-03"}]
    runs = {"waits": (0, 1), "old": (1, 2), "later": (2, 3), "earlier": (3, 2), "kept": (1, 0)}
    for folder, side in ((here, 0), (there, 1)):
        folder.mkdir()
        for run, parities in runs.items():
            store.append(folder, row_on(run) | {"seconds": 1, "parity": held[parities[side]]})
        store.append(folder, row_on("trained twice") | {"seconds": side, "parity": held[side]})
    assert study(tmp_path, "merge", str(there)) == 0
    assert f"0 rows added, 6 were there already, 3 of them compared later in {there}" in caplog.text
    found = {row["run"]: held.index(row["parity"]) for row in store.read(here)}
    assert found == {"waits": 1, "old": 2, "later": 3, "earlier": 3, "kept": 1, "trained twice": 0}


def test_rows_that_do_not_compare_are_not_merged(tiny, tmp_path, caplog):
    here, there = tmp_path / "results", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        store.append(folder, row_on(folder.name, sha=folder.name))
    assert study(tmp_path, "merge", str(there)) == 1
    assert "rows on different data" in caplog.text
    assert study(tmp_path, "merge", str(tmp_path / "none")) == 1
    assert "holds no rows.jsonl" in caplog.text
    with locks.locked(here):
        assert study(tmp_path, "merge", str(there)) == 1
    assert "another process" in caplog.text
    (there / store.ROWS).write_text("")
    for folder, label in ((here, 0), (there, 1)):
        store.keep_labels(folder, "reviews", [label])
    assert study(tmp_path, "merge", str(there)) == 1
    assert "different test labels" in caplog.text
    assert len(store.read(here)) == 1


def test_a_row_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    store.append(tmp_path, {"run": "a"})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.append(tmp_path, {"run": "b"})
    assert store.read(tmp_path) == [{"run": "a"}]
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.append(tmp_path, {"run": "b", "x": float("nan")})
    assert store.read(tmp_path) == [{"run": "a"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"run": "a"}\nbroken\n', "line 2: no JSON"),
        ('{"run": "a"}\n[1]\n', "line 2: no row of a run"),
        ('{"run": "a"}\n{"run": "a"}\n', "a is there more than once"),
    ],
)
def test_rows_that_are_not_as_they_were_written(tmp_path, text, message, caplog):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / store.ROWS).write_text(text)
    with pytest.raises(store.RowsError, match=message):
        store.read(tmp_path / "results")
    assert study(tmp_path, "report") == 1
    assert message in caplog.text


# --- runs ------------------------------------------------------------------------------------------


def test_the_table_shares_configurations_and_asks_for_enough_seeds():
    arms = [("cnn", "reported"), ("rnn", "reported"), ("rnn", "printed"), ("lstm", "reported"), ("lstm", "proper")]
    counts = [len({r.name.rpartition("_")[0] for r in studies.runs(_of(*arm))}) for arm in arms]
    assert counts == [8, 6, 6, 6, 6]
    assert [len(studies.runs(_of(*arm))) for arm in arms] == [8 * 3, 6 * 5, 6 * 5, 6 * 5, 6 * 10]
    assert len(studies.runs(_of("rnn", "proper"), seeds=2)) == 6 * 2
    assert len(studies.runs(_of("rnn", "printed") + _of("lstm", "proper"))) == 6 * 5 + 6 * 10  # each its own seeds


def _of(family, arm):
    return [s for s in studies.STUDIES.values() if s.family == family and s.arm == arm]


def test_the_reported_arms_are_the_reports():
    """One direction in the studies of layers and cells, Dropout after every layer, the notebook's settings."""
    for family, notebook in (
        ("rnn", {"length": 100, "embedding": 128, "mask_zero": True, "inner_dropout": 0.2, "dropout": 0.3}),
        ("lstm", {"length": 100, "embedding": 100, "mask_zero": True, "inner_dropout": 0.3, "dropout": 0.5}),
    ):
        for study in _of(family, "reported"):
            for label, config in study.variants.items():
                options = dataclasses.asdict(config.options)
                assert {key: options[key] for key in notebook} == notebook
                assert options["bidirectional"] is (label == "bi")
                assert options["dropout_each"] is True
                assert (config.rows, config.patience, config.learning_rate) == ("report", None, 1e-3)
                assert (config.epochs, config.batch_size) == {"rnn": (15, 64), "lstm": (3, 32)}[family]
    printed = studies.STUDIES["rnn.layers.printed"].variants["2 x 64"].options
    assert (printed.length, printed.mask_zero, printed.inner_dropout, printed.dropout) == (64, False, 0.0, 0.2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the two runs of a small study, trained and compared."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        install_tiny(patch)
        assert study(folder, "run", "rnn.direction.reported", "--seeds", "1") == 0
    return folder


def test_a_study_runs_is_not_repeated_and_reports(tiny, finished, tmp_path, caplog, capsys):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    rows = store.read(tmp_path / "results")
    assert sorted(row["bidirectional"] for row in (r["options"] for r in rows)) == [False, True]
    for row in rows:
        assert row["parity"]["held"] is True
        assert row["parity"]["sides"]["fnet numpy"]["agreement"] == 1.0
        assert len(row["test"]["predicted"]) == len(data.load("texts", "embedded").test)
        best = row["history"][row["best_epoch"] - 1]
        assert row["valid"] == {name: best[f"val_{name}"] for name in ("loss", "accuracy", "macro_f1")}
        folder = tmp_path / "runs" / row["run"]
        assert (folder / "model.keras").exists()
        assert (folder / "model.safetensors").exists()
    caplog.clear()
    assert study(tmp_path, "run", "rnn.direction.reported", "--seeds", "1") == 0
    assert "2 of 2 runs are done already" in caplog.text
    assert store.read(tmp_path / "results") == rows
    assert study(tmp_path, "list") == 0
    assert "2/10" in capsys.readouterr().out
    assert study(tmp_path, "report") == 0
    assert "1 of 5" in (tmp_path / "results" / "rnn.direction.md").read_text("utf-8")


def test_the_files_of_finished_runs_are_compared_again(tiny, finished, tmp_path, caplog):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    rows = store.read(tmp_path / "results")
    spoilt = {**rows[0], "parity": {"held": False}}
    store.replace(tmp_path / "results", spoilt)
    assert store.read(tmp_path / "results") == [spoilt, rows[1]]
    assert study(tmp_path, "compare", "rnn.direction.reported", "--seeds", "1") == 0
    again = store.read(tmp_path / "results")
    assert [row["history"] for row in again] == [row["history"] for row in rows]
    assert again[0]["parity"]["sides"]["fnet numpy"]["error"] == rows[0]["parity"]["sides"]["fnet numpy"]["error"]
    other, model = (tmp_path / "runs" / row["run"] / "model.keras" for row in rows)
    other.write_bytes(model.read_bytes())
    assert study(tmp_path, "compare", "rnn.direction.reported", "--seeds", "1") == 1
    assert "predicts other classes than its row" in caplog.text
    assert store.read(tmp_path / "results") == again
    other.unlink()
    assert study(tmp_path, "compare", "rnn.direction.reported", "--seeds", "1") == 1
    assert "1 of 2 runs are finished and have their file" in caplog.text


def test_a_layer_with_errors_that_are_no_numbers_is_the_worst():
    from compare.studies import study

    near, far, unknown = ({"fnet numpy": 1.0, "fnet jax": jax, "allowed": 2.0} for jax in (1.5, 3.0, None))
    for layers, worst in (({"a": near, "b": far}, "b"), ({"a": far, "b": unknown, "c": near}, "b")):
        assert study._without_layers({"rows": 3, "layers": layers}) == {
            "rows": 3, "worst_layer": {"name": worst, **layers[worst]}
        }  # fmt: skip
    assert study._without_layers({"layers": {}}) == {"worst_layer": None}


def test_a_second_process_in_one_folder_is_refused(tiny, tmp_path, caplog):
    (tmp_path / "results").mkdir()
    with locks.locked(tmp_path / "results"):
        assert study(tmp_path, "run", "all") == 1
    assert "another process" in caplog.text
    assert store.read(tmp_path / "results") == []


def test_a_full_disk_is_told_and_the_finished_training_is_not_repeated(tiny, tmp_path, monkeypatch, caplog):
    arguments = ("run", "cnn.pooling", "--seeds", "1")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store, "append", full)
        assert study(tmp_path, *arguments) == 1
    assert "No space left on device" in caplog.text
    assert "run this again" in caplog.text
    (model,) = (tmp_path / "runs").glob("*/model.keras")
    written = model.stat().st_mtime_ns
    assert study(tmp_path, *arguments) == 0
    assert model.stat().st_mtime_ns == written
    assert len(store.read(tmp_path / "results")) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"DataNotFound: no .*train\.csv"),
        (b"id,text\n1,enak\n", r"MalformedData: nusax, train split: no column label"),
        (
            b"id,text,label\n1,enak,baik\n",
            r"LabelOutOfRange: .*train.*row 0: label 'baik' is no class; use negative, neut",
        ),
        (b"id,text,label\n", r"EmptySplit: .*train.csv: no rows below the header"),
        (b"id,text,label\n1,caf\xe9,neutral\n", r"MalformedData: .*train.csv, line 2: byte 0xe9 is no UTF-8"),
    ],
)
def test_a_bad_data_set_is_refused_in_our_words(tiny, tmp_path, content, message, caplog):
    (tmp_path / "nusax").mkdir()
    for split in ("train", "valid", "test") if content else ():
        (tmp_path / "nusax" / f"{split}.csv").write_bytes(content)
    assert study(tmp_path, "run", "rnn.direction.reported", "--data", str(tmp_path)) == 1
    assert re.search(message, caplog.text)


def test_a_cut_parquet_file_is_refused_in_our_words(tiny, tmp_path, caplog):
    (tmp_path / "cifar10").mkdir()
    for split in ("train", "test"):
        (tmp_path / "cifar10" / f"{split}-00000-of-00001.parquet").write_bytes(b"PAR1" + bytes(100))
    assert study(tmp_path, "run", "cnn.pooling", "--data", str(tmp_path)) == 1
    assert "is no whole Parquet file: it does not begin and end with PAR1. Fetch it again" in caplog.text


def test_a_mistyped_folder_is_not_made(tiny, tmp_path, caplog):
    assert study(tmp_path, "report") == 2
    assert f"no rows.jsonl in {tmp_path / 'results'}" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--seeds", "--threads"])
def test_numbers_start_at_one(tiny, tmp_path, option, capsys):
    with pytest.raises(SystemExit, match="2"):
        study(tmp_path, "run", "all", option, "0")
    assert f"{option}: must be a whole number from 1 on, got '0'" in capsys.readouterr().err


def test_a_stop_says_where_what_is_finished_lies(tiny, tmp_path, monkeypatch, caplog):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "read", stopped)
    assert study(tmp_path, "list") == 130
    assert f"stopped. What is finished is in {tmp_path / 'results'}: run this again to go on" in caplog.text


def test_all_that_a_run_writes_is_in_the_folder_asked_for(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "rnn.direction.reported", "--seeds", "1", "--later", "--results", str(tmp_path / "here")]
    assert tiny_studies.main(arguments) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    (first, _) = store.read(tmp_path / "here")
    assert first["parity"] is None
    assert store.unpacked(first["test"]["probabilities"], len(first["test"]["predicted"])).sum(1) == pytest.approx(
        1, abs=1e-4
    )
    assert tiny_studies.main(["compare", "all", "--missing", "--seeds", "1", "--results", str(tmp_path / "here")]) == 0
    assert all(row["parity"]["held"] for row in store.read(tmp_path / "here"))


def test_the_list_needs_no_tensorflow():
    code = "import sys; from fnet.cli import main; main(['study', 'list']); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "False"
    assert "cnn.layers" in done.stdout


def test_what_is_asked_for_has_to_be_there(tiny, tmp_path, caplog):
    assert study(tmp_path, "run", "cnn.colours") == 2
    assert "no study cnn.colours; there are all, cnn.pooling" in caplog.text


def test_every_action_says_what_it_does(tmp_path, capsys):
    with pytest.raises(SystemExit):
        study(tmp_path, "merge", "--help")
    told = capsys.readouterr().out
    assert "\n\nAdd the rows of another results folder, such as another machine's.\n\n" in told
    assert told.endswith("\n\nexample: fnet study merge other-machine/results\n")


def test_rows_on_other_data_are_refused(tiny, tmp_path, made, caplog):
    rows = store.read(made)
    (tmp_path / "results").mkdir()
    store.append(tmp_path / "results", rows[0] | {"data_sha256": "0", "data": "cifar10"})
    assert study(tmp_path, "run", "cnn.pooling", "--seeds", "9") == 1
    assert "holds rows on other data (cifar10" in caplog.text
    store.append(tmp_path / "results", rows[1])
    assert study(tmp_path, "report") == 1
    assert "rows on several data sets do not compare" in caplog.text


def comparable(folder):
    """The rows without what the clock decides, by run."""
    found = {}
    for row in store.read(folder / "results"):
        history = [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in row["history"]]
        sides = {n: (s["macro_f1"], s["agreement"], s["error"]) for n, s in row["parity"]["sides"].items()}
        kept = {k: v for k, v in row.items() if k not in ("finished", "seconds", "parity")}
        found[row["run"]] = kept | {"history": history, "sides": sides}
    return found


def start(folder):
    command = [sys.executable, "-m", "tests.tiny_studies", "run", "rnn.direction.reported", "--seeds", "1"]
    where = [f"--results={folder / 'results'}", f"--runs={folder / 'runs'}", "--threads=1", "--data=embedded"]
    return subprocess.Popen([*command, *where], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def kill_when(process, there):
    """kill -9 as soon as `there()`, which has to come before the process ends."""
    while not there():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_killed_and_resumed_gives_the_rows_of_an_uninterrupted_study(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        (folder / "results").mkdir(parents=True)
    process = start(broken)
    kill_when(process, lambda: any(broken.glob("runs/*/epoch-0001.keras")))
    assert store.read(broken / "results") == []
    process = start(broken)
    second = start(broken)
    assert second.wait(timeout=300) == 1 or process.wait(timeout=300) == 1  # whoever came second
    process, told = (process, second) if process.poll() is None else (second, process)
    assert "another process" in told.communicate()[1]
    kill_when(process, lambda: store.read(broken / "results"))
    rows = (broken / "results" / store.ROWS).read_text()
    assert start(broken).communicate()[0] is None
    assert (broken / "results" / store.ROWS).read_text().startswith(rows)
    assert start(whole).communicate()[0] is None
    assert len(comparable(whole)) == 2
    assert comparable(broken) == comparable(whole)


# --- the report ------------------------------------------------------------------------------------


def made_row(run, loaded, rng, quality):
    """A row like those of `finish`, with invented numbers."""
    y, classes = loaded.test.y, len(loaded.classes)
    right = rng.random(len(y)) < quality
    predicted = np.where(right, y, (y + rng.integers(1, classes, len(y))) % classes)
    f1 = float(f1_score(y, predicted, average="macro"))
    history = [
        {"epoch": e, "seconds": 1.5, "val_macro_f1": float(rng.random())}
        | {key: float(2 / e + rng.random()) for key in ("loss", "val_loss")}
        for e in (1, 2, 3)
    ]
    side = {"macro_f1": f1, "agreement": 1.0, "ties": 0, "error": 3e-7, "max_abs_error": 3e-7, "mean_ratio": 1.0}
    side |= {"predict_seconds": 0.1, "load_seconds": 0.1, "versions": {"numpy": "2"}}
    held = {
        "held": True,
        "problems": [],
        "floor": 2e-6,
        "allowed": 2.6e-6,
        "rows": len(y),
        "sides": {"Keras": side, "fnet numpy": side},
    }
    config = json.loads(json.dumps(dataclasses.asdict(run.config)))
    about = {
        "data": loaded.name,
        "data_sha256": loaded.fingerprint,
        "source": loaded.source,
        "keras": "3",
        "tensorflow": "2",
    }
    about |= {"machine": "made up", "finished": "2026-01-02T03:04:05+00:00", "seconds": 3.0, "best_epoch": 2}
    about["code"] = "made up"
    tested = {"macro_f1": f1, "predicted": store.digits(predicted), "probabilities": None}
    scores = {"valid": {"macro_f1": quality}, "test": tested}
    return {"run": run.name, **config, **about, "history": history, **scores, "parity": held}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A results folder of invented rows: average pooling much worse than maximum; one seed of the text runs missing."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        tiny_studies.install(patch.setitem, patch.delitem)
        rng = np.random.default_rng(0)
        for run in studies.runs(list(studies.STUDIES.values()))[:-1]:
            loaded = data.load(run.config.options.kind, "embedded")
            pooling = getattr(run.config.options, "pooling", "")
            store.append(folder, made_row(run, loaded, rng, 0.5 if pooling == "average" else 0.8))
            store.keep_labels(folder, loaded.name, list(loaded.test.y))
        publish.write(folder, None, "embedded")
    return folder


def test_a_page_on_parity_before_any_run_is_compared_says_so():
    assert document.Verdict("No run is compared yet.") in evidence.parity_page([]).blocks


def test_missing_runs_are_shown_and_verdicts_come_from_the_comparisons(made):
    pages = {path.stem: path.read_text("utf-8") for path in made.glob("*.md")}
    assert "15 of 16 runs are finished; the rest is shown as missing" in pages["README"]
    assert "4 of 5" in pages["rnn.direction"]
    assert "Not yet decided: 9 of 10 runs are finished" in pages["rnn.direction"]
    assert "Shown to be better: max over average." in pages["cnn.pooling"]
    assert "Of 2 conclusions, as the report trained: 1 contradicted, 1 not yet decided." in pages["README"]
    assert "single run, original images" in pages["cnn.pooling"]
    assert "Parity holds for all 15 runs" in pages["parity"]
    assert baselines.CHOSEN in pages["README"]
    texts = data.load("texts", "embedded").test.x
    assert any(document.escaped(text) in pages["errors"] for text in texts)
    assert (made / "figures" / "errors-digits-rows.svg").read_text("utf-8").count("data:image/png;base64,") == 15
    links = re.findall(r"\]\(([^)]+)\)", "".join(pages.values()))
    assert [link for link in links if not (made / link).exists()] == []


def test_the_text_of_the_errors_is_left_out_without_the_data(made, tmp_path, tiny, caplog):
    shutil.copytree(made, tmp_path / "results")
    publish.write(tmp_path / "results", tmp_path / "page.html", str(tmp_path))
    assert "the data of reviews is not here (--data DIR): the page on errors shows none of its texts" in caplog.text
    errors = (tmp_path / "results" / "errors.md").read_text("utf-8")
    assert "Rows are numbered from 0" in errors
    assert "| text |" not in errors
    assert baselines.CHOSEN in (tmp_path / "page.html").read_text("utf-8")  # kept in the folder


def test_a_report_on_no_rows_says_so(tiny, tmp_path):
    page, *_ = publish.write(tmp_path / "results")
    text = page.read_text("utf-8")
    assert "0 of 16 runs are finished" in text
    assert "No run is finished yet." in text


def test_a_target_is_reached_so_far_until_all_runs_are_finished(tiny, made):
    rows, labels = store.read(made), store.labels_of(made)
    first = next(row for row in rows if row["options"].get("pooling") == "max")
    for given, outcome in ((rows, "reached"), ([row for row in rows if row is not first], "reached so far")):
        assert overview._targets(findings.collect(given, labels)).rows[0][2] == outcome


def test_a_claim_is_contradicted_or_not_shown(tiny, made):
    rows, labels = store.read(made), store.labels_of(made)
    swap = {"max": "average", "average": "max"}
    names = {r.name: r for r in studies.runs([studies.STUDIES["cnn.pooling"]])}
    turned = []
    for row in (r for r in rows if r["family"] == "cnn"):
        options = dataclasses.replace(names[row["run"]].config.options, pooling=swap[row["options"]["pooling"]])
        turned.append(row | {"run": studies.run_name(dataclasses.replace(names[row["run"]].config, options=options))})
    same = [row | {"test": rows[0]["test"]} for row in turned]
    for changed, verdict in (
        (rows, "contradicted"),
        (turned, "holds"),
        (same, "not shown"),
        (same[1:], "not yet decided"),
    ):
        (found,) = (j for j in findings.judge(findings.collect(changed, labels), "reported") if j.claim.number == "2d")
        assert found.verdict == verdict


def pair(p, difference):
    return statistics.Comparison("a", "b", difference, -1, 1, p, 0.1, p)


@pytest.mark.parametrize(
    ("denied", "p", "difference", "verdict"),
    [
        (False, 0.01, 0.1, "holds"),
        (False, 0.01, -0.1, "contradicted"),
        (False, 0.5, 0.1, "not shown"),
        (True, 0.01, 0.1, "contradicted"),
        (True, 0.01, -0.1, "holds"),
        (True, 0.5, 0.1, "not contradicted"),
        (True, float("nan"), 0.1, "not yet decided"),
    ],
)
def test_a_part_of_a_claim_is_judged_by_its_comparison(denied, p, difference, verdict):
    part = findings.Part("s", "a", "b", denied)
    assert findings.Judged(part, pair(p, difference), True).verdict == verdict
    assert findings.Judged(part, pair(p, difference), False).verdict == "not yet decided"
    assert findings.Judged(part, None, True).verdict == "not yet decided"


def test_a_claim_is_what_its_parts_are():
    held, against, hidden = (0.01, 0.1), (0.01, -0.1), (0.5, 0.1)
    part = findings.Part("s", "a", "b")
    for given, verdict in (
        ((held, held), "holds"),
        ((held, hidden), "holds in part"),
        ((hidden, hidden), "not shown"),
        ((held, against), "contradicted"),
    ):
        parts = tuple(findings.Judged(part, pair(*numbers), True) for numbers in given)
        assert findings.Judgement(findings.CLAIMS[0], studies.STUDIES["cnn.layers"], parts).verdict == verdict


def test_the_ten_claims_and_the_reports_scores_name_configurations_of_the_studies():
    assert [claim.number for claim in findings.CLAIMS] == ["2a", "2b", "2c", "2d", "3a", "3b", "3c", "4a", "4b", "4c"]
    assert len({claim.parts[0].study for claim in findings.CLAIMS}) == 10
    for item in studies.STUDIES.values():
        for claim in findings.CLAIMS:
            for part in claim.parts:
                if part.study == item.name.removesuffix(f".{item.arm}"):
                    assert {part.better, part.worse} <= set(item.variants)
    for name, scores in findings.REPORTED.items():
        assert set(scores) == set(studies.STUDIES[name].variants)
        assert studies.STUDIES[name].arm == "reported"


def test_the_baselines_are_measured_once_and_again_for_other_data(tmp_path, monkeypatch):
    loaded = data.load("texts", "embedded")
    first = baselines.keep(tmp_path, loaded)
    assert 0 < first["scores"]["majority class"] < first["scores"][baselines.CHOSEN] <= 1
    best = max(first["validation"].values())
    assert first["validation"][baselines.CHOSEN] == best
    assert len(first["scores"]) == 2 + 3 * 2
    monkeypatch.setattr(baselines, "measure", lambda _: pytest.fail("measured again"))
    assert baselines.keep(tmp_path, loaded) == first == baselines.kept(tmp_path)["reviews"]


def test_the_speed_page_shows_what_benchmarks_wrote(tmp_path):
    assert "make bench" in document.markdown(evidence.speed_page(tmp_path))
    cells = [
        {"cell": "cnn|1", "best ms": {"fnet numpy": 0.25, "tensorflow": 0.5}, "ratio": {"peer / fnet numpy": 2.0}},
        {"cell": "rnn 1", "best ms": {"fnet numpy": 1.0}, "ratio": {}},
    ]
    result = {"machine": "2 cores", "versions": {"numpy": "2.4"}, "cells": cells}
    (tmp_path / "speed-models.json").write_text(json.dumps(result))
    text = document.markdown(evidence.speed_page(tmp_path))
    assert "| cnn\\|1 | 0.25 | 0.5 | 2 |" in text
    assert "| rnn 1 | 1 | – | – |" in text
    assert "2 cores; numpy 2.4" in text


# --- the pages on choices and parity ----------------------------------------------------------------


def tuned(setting, repeat, averages):
    epochs = [{"macro_f1": f1, "loss": 1 - f1} for f1 in averages]
    last = [{"macro_f1": f1 - 0.01, "loss": 1.0} for f1 in averages]
    return {"setting": setting, "family": "lstm", "repeat": repeat, "scores": {"average": epochs, "last": last}}


def test_a_setting_is_scored_at_the_epoch_that_is_best_over_all_repeats():
    rows = [tuned("a", 0, [0.5, 0.9, 0.6]), tuned("a", 1, [0.5, 0.5, 0.7]), tuned("b", 0, [0.72, 0.6, 0.5])]
    first, second = choices.scored(rows)
    assert (first.label, first.repeats, first.epoch) == ("b", 1, 1)
    assert (second.label, second.repeats, second.epoch) == ("a", 2, 2)
    assert (second.macro_f1, second.loss, second.last) == pytest.approx((0.7, 0.3, 0.69))
    assert second.error == pytest.approx(0.2)
    assert f"{len(SETTINGS)} of {len(SETTINGS)} settings have fewer than 5 repeats so far" in document.markdown(
        choices.page(rows)
    )


def parity_row(**sides):
    """A row of `rows.jsonl` as far as the page on parity reads it."""
    keras = {"macro_f1": 0.5, "error": 1e-6, "mean_ratio": 1.0, "agreement": 1.0, "ties": 0}
    numbers = {"Keras": keras, **{name: {**keras, **side} for name, side in sides.items()}}
    parity_of = {"rows": 200, "sides": numbers, "allowed": 4e-6, "held": True, "problems": [], "floor": 2e-6}
    return {"run": "r", "seed": 3, "parity": parity_of}


def test_a_line_of_the_page_on_parity_shows_the_worse_backend_and_seed():
    one, two = {"mean_ratio": 0.5}, {"error": 3e-6, "mean_ratio": 3.0, "agreement": 0.99, "ties": 2}
    rows = [parity_row(numpy=one, jax=two), parity_row(numpy=one | {"ties": 1}, jax=one)]
    line = evidence._parity_line("2 x 64", [row["parity"] for row in rows])
    assert line[:4] == ("2 x 64", "holds", "3.00 0.50", "0.75 0.25")
    assert [float(cell) for cell in line[4:7]] == pytest.approx([3e-6, 1e-6, 4e-6])
    assert line[7:] == ("3", "198 of 200")
    broken = parity_row(numpy={"error": None, "mean_ratio": None})["parity"] | {"held": False}
    unknown = evidence._parity_line("a", [broken, rows[1]["parity"]])
    assert unknown[1:5] == ("does not hold", "– 0.50", "– 0.25", "–")


def figures(page):
    return dict(re.findall(r'<figure class="chart-figure" id="figure-([^"]+)">(.*?)</figure>', page, re.DOTALL))


def numbers(figure, name):
    return sorted(float(v) for v in re.findall(rf' data-{name}="([^"]+)"', figure))


def test_charts_and_tables_hold_the_numbers_of_the_rows(made):
    page, rows = (made / "report.html").read_text("utf-8"), store.read(made)
    drawn = figures(page)
    for name, family in (("cnn.pooling", "cnn"), ("rnn.direction", "rnn")):
        mine = [row for row in rows if row["family"] == family]
        scores = sorted(row["test"]["macro_f1"] for row in mine)
        assert numbers(drawn[f"{name}-scores"], "score") == pytest.approx(scores, rel=1e-6)
        by_config = {}
        for row in mine:
            by_config.setdefault(row["run"].rpartition("_")[0], []).append(row["history"][-1])
        ends = sorted(
            round(np.mean([e[key] for e in found]), 6) for found in by_config.values() for key in pages.CURVES
        )
        lasts = numbers(drawn[f"{name}-curves"], "last")
        assert lasts == pytest.approx(ends, abs=1e-6)
    scores = {p: [r["test"]["macro_f1"] for r in rows if r["options"].get("pooling") == p] for p in ("max", "average")}
    means = sorted(np.mean(values) for values in scores.values())
    assert numbers(drawn["cnn.pooling-scores"], "mean") == pytest.approx(means, rel=1e-6)
    assert numbers(drawn["overview-images"], "mean") == pytest.approx(means[-1:], rel=1e-6)
    assert numbers(drawn["overview-images"], "score") == pytest.approx(sorted(scores["max"]), rel=1e-6)
    cells = [html.unescape(c) for c in re.findall(r"<td[^>]*>([^<]*)</td>", page)]
    assert {f"{mean:.4f}" for mean in means} <= set(cells)


# --- in a browser ----------------------------------------------------------------------------------

browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: install the Debian package of that name")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"),
)


def chromium(page, folder, *flags):
    """(stdout, lines of the console) of headless Chromium on a file."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@browser
def test_the_page_renders_as_it_was_written(made, tmp_path):
    dom, console = chromium(made / "report.html", tmp_path, "--dump-dom")
    assert console == []
    page = (made / "report.html").read_text("utf-8")
    assert figures(dom).keys() == figures(page).keys()
    assert numbers(dom, "score") == numbers(page, "score")


PROBE = """<script>
const boxes = q => [...document.querySelectorAll(q)].map(e => e.getBoundingClientRect())
parent.postMessage(JSON.stringify({
  wide: document.documentElement.scrollWidth, window: innerWidth,
  charts: boxes('svg').filter(r => r.width > 100 && r.height > 60).length,
  told: Math.max(...[...document.querySelectorAll('th')]
    .filter(e => /^(verdict|outcome|test|mean|its macro-F1 on test)$/.test(e.textContent.trim()))
    .map(e => e.getBoundingClientRect().right)),
  letters: Math.min(...boxes('svg text').map(r => r.height).filter(h => h > 0)),
  paper: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.querySelector('svg text')).fill
}), '*')</script>"""


# A window of headless Chromium is at least 500 wide, a frame is as wide as it is told.
FRAME = """<!doctype html><meta name="color-scheme" content="light dark"><title></title>
<script>addEventListener('message', e => document.title = e.data)</script>
<iframe src="probe.html" style="width: {}px; height: 900px; border: 0; color-scheme: light dark"></iframe>"""


@browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_and_a_laptop_in_light_and_dark(made, tmp_path, width, dark):
    page = tmp_path / "probe.html"
    text = (made / "report.html").read_text("utf-8")
    page.write_text(text.replace("</body>", f"{PROBE}</body>"), "utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(width), "utf-8")
    flags = [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=3000"]
    dom, console = chromium(tmp_path / "frame.html", tmp_path, *flags, "--dump-dom")
    assert console == []
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom)[1]))
    assert found["wide"] <= found["window"] == width
    assert 100 < found["told"] <= width  # scores and verdicts are in sight, without scrolling a table
    assert found["charts"] == text.count("<svg")
    assert found["letters"] > 10
    assert (sum(map(int, re.findall(r"\d+", found["paper"]))) < 380) is dark
    assert (sum(map(int, re.findall(r"\d+", found["ink"]))) > 380) is dark


@browser
@pytest.mark.slow
def test_the_published_page_prints_on_less_than_thirty_sheets(tmp_path):
    printed = tmp_path / "report.pdf"
    chromium(ROOT / "docs" / "results" / "report.html", tmp_path, f"--print-to-pdf={printed}")
    assert 10 < len(re.findall(rb"/Type ?/Page\b", printed.read_bytes())) < 30


@browser
@pytest.mark.slow
def test_axe_finds_nothing(made, tmp_path):
    axe = pytest.importorskip("axe_core_python")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text("utf-8").replace("</script", "<\\/script")
    run = "axe.run().then(r => document.title = JSON.stringify(r.violations.map(v => v.id)))"
    page = (made / "report.html").read_text("utf-8")
    published = (ROOT / "docs" / "results" / "report.html").read_text("utf-8")

    def violations(text):
        probe = tmp_path / "probe.html"
        probe.write_text(text.replace("</body>", f"<script>{script}</script><script>{run}</script></body>"), "utf-8")
        dom, _ = chromium(probe, tmp_path, "--virtual-time-budget=60000", "--dump-dom")
        return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom)[1]))

    assert violations(page) == violations(published) == []
    assert "html-has-lang" in violations(page.replace('lang="en"', ""))  # it looks


@browser
def test_a_figure_of_the_markdown_is_a_picture_of_its_own(made, tmp_path):
    shot = tmp_path / "shot.png"
    figure = made / "figures" / "cnn.pooling-curves.svg"
    _, console = chromium(figure, tmp_path, f"--screenshot={shot}", "--window-size=640,300")
    assert console == []
    from PIL import Image

    with Image.open(shot) as image:
        colours = image.convert("RGB").getcolors(1 << 20)
    assert (0x00, 0x72, 0xB2) in {colour for _, colour in colours}  # the training line


def test_every_arm_says_how_it_trained_and_what_it_cannot_say():
    arms = {study.arm for study in studies.STUDIES.values()}
    assert set(pages.TRAINED) == arms
    assert set(pages.LIMITS) == {"cnn", *arms}
