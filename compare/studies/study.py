"""`fnet study`: run the studies, each finished run with its parity as one row, and report on the rows."""

from __future__ import annotations

import argparse
import datetime
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compare import machine
from compare.studies import rows as store

if TYPE_CHECKING:
    from compare.parity import Comparison
    from train_keras.data import Data
    from train_keras.studies import Run, Study

log = logging.getLogger("compare.studies")

DESCRIPTION = """The studies of the report: hyperparameters of a CNN on CIFAR-10, of SimpleRNN and LSTM on NusaX.

A run that was killed is taken up again by the same command; finished runs are rows in RESULTS/rows.jsonl and
are not repeated. Every trained file goes through parity with Keras, on NumPy and JAX, before its row is written."""

EPILOG = """examples:
  fnet study list
  fnet study run cnn.filters --seeds 3 --data DIR      # rows, trained files: runs/results
  fnet study run all --data DIR
  fnet study report --data DIR                         # pages in runs/results, next to the rows

on several machines: run different studies on each, with --results FOLDER; copy the folders together, then
  fnet study merge FOLDER
after a change of fnet: hold the trained files against Keras once more
  fnet study compare all --data DIR"""


ACTIONS = {
    "list": ("the studies, and how many of their runs are done", "fnet study list"),
    "run": (
        "train, compare and record what is not recorded yet",
        "fnet study run cnn.filters --seeds 3 --data DIR",
    ),
    "compare": (
        "compare the trained files of finished runs with Keras again",
        "fnet study compare cnn.filters --data DIR --results runs/results",
    ),
    "report": ("the pages, figures and tables from the rows", "fnet study report --data DIR"),
    "merge": (
        "add the rows of another results folder, such as another machine's",
        "fnet study merge other-machine/results",
    ),
}
"""{action: (what it does, an example)}."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the studies to a parser."""
    from train_keras.cli import add_data_arguments

    kind = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog, parser.formatter_class = DESCRIPTION, EPILOG, kind
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    of = {}
    for name, (words, example) in ACTIONS.items():
        said = words[0].upper() + words[1:] + "."
        of[name] = actions.add_parser(
            name, help=words, description=said, epilog=f"example: {example}", formatter_class=kind
        )
    of["run"].add_argument("--later", action="store_true", help="leave the parity with Keras to `fnet study compare`")
    of["compare"].add_argument("--missing", action="store_true", help="only those that were not compared yet")
    for action in (of["run"], of["compare"]):
        action.add_argument("names", nargs="+", metavar="STUDY", help="names from `fnet study list`, or all")
        action.add_argument("--seeds", type=_positive, metavar="N", help="seeds a configuration (3, 5 or 10: see list)")
        action.add_argument("--runs", type=Path, metavar="DIR", help="trained files (RESULTS/runs)")
        action.add_argument("--threads", type=_positive, metavar="N", help="threads for TensorFlow (all cores)")
    of["report"].add_argument("--html", type=Path, metavar="FILE", help="the page (default: RESULTS/report.html)")
    of["merge"].add_argument("folder", type=Path, metavar="FOLDER", help="a results folder of `fnet study run`")
    for name in ("run", "compare", "report"):
        add_data_arguments(of[name])
    for action in of.values():
        action.add_argument(
            "--results", type=Path, default=Path("runs/results"), metavar="DIR", help="rows and report (%(default)s)"
        )


def _positive(text: str) -> int:
    """A positive integer from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Do what was asked: 0 done, 1 a run failed or parity did not hold, 2 wrong usage, 130 stopped."""
    try:
        actions = {"list": _list, "run": _run, "compare": _run, "report": _report, "merge": _merge}
        return actions[args.action](args)
    except store.RowsError as error:
        log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        log.error("stopped. What is finished is in %s: run this again to go on", args.results)
        return 130


def _report(args: argparse.Namespace) -> int:
    if not (args.results / store.ROWS).exists():
        log.error("no %s in %s: --results is the folder of `fnet study run`", store.ROWS, args.results)
        return 2
    from compare.studies import publish
    from compare.studies.findings import ReportError

    try:
        written = publish.write(args.results, args.html, args.data, args.cache, args.language)
    except (ReportError, OSError) as error:
        log.error("%s", error)
        return 1
    log.warning("wrote %s and %d files in %s", written[0], len(written) - 1, args.results)
    return 0


def _merge(args: argparse.Namespace) -> int:
    from train_keras.errors import RunLocked
    from train_keras.locks import locked

    if not (args.folder / store.ROWS).exists():
        raise store.RowsError(f"{args.folder} holds no {store.ROWS}")
    args.results.mkdir(parents=True, exist_ok=True)
    try:
        with locked(args.results):
            added, later, there = store.merge(args.results, args.folder)
    except (RunLocked, OSError) as error:
        log.error("%s: %s", type(error).__name__, error)
        return 1
    told = "%s: %d rows added, %d were there already, %d of them compared later in %s"
    log.warning(told, args.results, added, later + there, later, args.folder)
    return 0


def _list(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from train_keras.studies import STUDIES, runs

    done = {row["run"] for row in store.read(args.results)}
    table = Table("study", "question", "configurations", "runs done")
    for study in STUDIES.values():
        wanted = [r.name for r in runs([study])]
        table.add_row(study.name, study.question, ", ".join(study.variants), f"{len(done & set(wanted))}/{len(wanted)}")
    Console().print(table)
    return 0


def _chosen(names: list[str]) -> list[Study]:
    from train_keras.studies import STUDIES

    unknown = [name for name in names if name != "all" and name not in STUDIES]
    if unknown:
        raise ValueError(f"no study {', '.join(unknown)}; there are all, {', '.join(STUDIES)}")
    return list(STUDIES.values()) if "all" in names else [STUDIES[name] for name in names]


def _run(args: argparse.Namespace) -> int:
    from compare.worker import WorkerFailed
    from train_keras import data
    from train_keras.errors import DataError, RunLocked, RunMismatch, TrainingDiverged
    from train_keras.locks import locked
    from train_keras.quiet import import_keras
    from train_keras.studies import runs

    try:
        wanted = runs(_chosen(args.names), args.seeds)
    except ValueError as error:
        log.error("%s", error)
        return 2
    args.runs = args.runs or args.results / "runs"
    try:
        for kind in sorted({item.config.options.kind for item in wanted}):
            data.load(kind, args.data, args.cache, args.language)
        import_keras(args.threads)  # takes seconds: after all checks that do not need it
        args.results.mkdir(parents=True, exist_ok=True)
        with locked(args.results):
            return _run_all(wanted, args) if args.action == "run" else _compare_all(wanted, args)
    except OSError as error:
        log.error("%s. What is finished is in %s; free space, or mend it, and run this again", error, args.results)
    except (DataError, RunLocked, RunMismatch, TrainingDiverged, WorkerFailed) as error:
        log.error("%s: %s", type(error).__name__, error)
    return 1


def _run_all(wanted: list[Run], args: argparse.Namespace) -> int:
    from train_keras import data

    finished = store.read(args.results)
    done = {row["run"] for row in finished}
    missing = [r for r in wanted if r.name not in done]
    log.warning("%d of %d runs are done already", len(wanted) - len(missing), len(wanted))
    failed = 0
    with _Progress(len(wanted), len(wanted) - len(missing)) as progress:
        for item in missing:
            progress.start(item.name)
            loaded = data.load(item.config.options.kind, args.data, args.cache, args.language)
            _same_data(finished, item, loaded, args.results)
            row = finish(item, loaded, args.runs / item.name, progress.step, later=args.later)
            store.keep_labels(args.results, loaded.name, list(loaded.test.y))
            store.append(args.results, row)
            found = row["parity"] or {"held": True, "problems": []}
            failed += not found["held"]
            progress.finish(f"{item.name}: test macro-F1 {row['test']['macro_f1']:.4f}", found["problems"])
    return 1 if failed else 0


def _compare_all(wanted: list[Run], args: argparse.Namespace) -> int:
    """Compare the files of finished runs again: their rows get the new parity and keep everything else."""
    from train_keras import data
    from train_keras.run_folder import MODEL

    finished = store.read(args.results)
    rows = {row["run"]: row for row in finished}
    if args.missing:
        wanted = [r for r in wanted if r.name in rows and rows[r.name]["parity"] is None]
    here = [r for r in wanted if r.name in rows and (args.runs / r.name / MODEL).exists()]
    log.warning("%d of %d runs are finished and have their file in %s", len(here), len(wanted), args.runs)
    failed = 0
    with _Progress(len(here), 0) as progress:
        for item in here:
            progress.start(item.name)
            loaded = data.load(item.config.options.kind, args.data, args.cache, args.language)
            _same_data(finished, item, loaded, args.results)
            row, found = rows[item.name], _held_against_keras(args.runs / item.name / MODEL, loaded)
            store.replace(args.results, {**row, "parity": _parity(found, row)})
            failed += not found.held
            progress.finish(f"{item.name}: compared", list(found.problems))
    return 1 if failed or len(here) < len(wanted) else 0


def _same_data(finished: list[dict[str, Any]], item: Run, loaded: Data, results: Path) -> None:
    """Raise RunMismatch where the folder has rows of these models on other data, which cannot be compared."""
    from train_keras.architectures import FAMILIES
    from train_keras.errors import RunMismatch

    for row in finished:
        same_kind = FAMILIES[row["family"]].kind == item.config.options.kind
        if same_kind and row["data_sha256"] != loaded.fingerprint:
            raise RunMismatch(
                f"{results} holds rows on other data ({row['data']}, {row['source']}) than {loaded.name}, "
                f"{loaded.source}; use another --results, or the same --data"
            )


def finish(item: Run, data: Data, folder: Path, on_step: Any = None, *, later: bool = False) -> dict[str, Any]:
    """Train (or resume) a run, score it on the whole test split, compare it with Keras there, and return its row.

    later: leave out the comparison; the row then has None for parity.
    """
    import keras

    import params
    from train_keras import train
    from train_keras.code import code
    from train_keras.run_folder import identity

    result = train.train(item.config, data, folder, on_step=on_step)
    model, weights = params.load_keras(result.model_file)
    params.save(folder / "model.safetensors", model, weights, labels=list(data.classes))
    probabilities = train.probabilities(keras.saving.load_model(result.model_file), data.test.x)
    best = result.history[result.best_epoch - 1]
    row = {
        "run": item.name,
        "family": item.config.family,
        **identity(item.config, data),
        "source": data.source,
        "finished": _now(),
        "machine": machine.describe(),
        "code": code(),
        "seconds": round(sum(epoch["seconds"] for epoch in result.history), 1),
        "best_epoch": result.best_epoch,
        "history": result.history,
        "valid": {key.removeprefix("val_"): value for key, value in best.items() if key.startswith("val_")} or None,
        "test": _tested(probabilities, data),
        "parity": None,
    }
    return row if later else row | {"parity": _parity(_held_against_keras(result.model_file, data), row)}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _tested(probabilities: Any, data: Data) -> dict[str, Any]:
    """Macro-F1, the class of each row, and for texts the probabilities, which ensembles need."""
    from train_keras.train import scores

    kept = store.packed(probabilities) if data.kind == "texts" else None
    found = scores(probabilities, data.test.y)["macro_f1"]
    return {"macro_f1": found, "predicted": store.digits(probabilities.argmax(axis=1)), "probabilities": kept}


def _held_against_keras(model_file: Path, data: Data) -> Comparison:
    """Keras next to fnet on the whole test split."""
    from compare import parity
    from compare.measuring import Rows

    x = data.test.x.astype("float32") if data.kind == "images" else data.test.x
    rows = Rows(f"{data.name} test", x, data.test.y, data.classes)
    return parity.compare(model_file, rows, batch_size=200, layer_rows=8)  # all batches are full: one trace


def _parity(found: Comparison, row: dict[str, Any]) -> dict[str, Any]:
    """The part of a comparison for a row. Raises RowsError where the file does not predict the classes in `row`."""
    if store.digits(found.sides[0].predicted) != row["test"]["predicted"]:
        raise store.RowsError(f"{row['run']}: the file predicts other classes than its row holds: another training?")
    return _without_layers(found.summary()) | {"compared": _now()}


def _without_layers(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with only the layer that is nearest to its limit, or farthest over it."""
    layers = summary.pop("layers")
    worst = max(layers, key=lambda name: _strain(layers[name]), default=None)
    return summary | {"worst_layer": None if worst is None else {"name": worst, **layers[worst]}}


def _strain(line: dict[str, Any]) -> float:
    """The largest error of fnet divided by the allowed one."""
    ours = [value for name, value in line.items() if name.startswith("fnet")]
    return float("inf") if None in ours else max(ours) / line["allowed"]


class _Progress:
    """Two bars, all runs and this run, with the time left."""

    def __init__(self, total: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Progress(*columns, console=Console(stderr=True))
        self.all = self.bars.add_task("all runs", total=total, completed=done)
        self.one = self.bars.add_task("starting", total=None)

    def __enter__(self) -> _Progress:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def start(self, name: str) -> None:
        """A run begins."""
        self.bars.reset(self.one, description=name[:60], total=None)

    def step(self, step: Any) -> None:
        """A batch is done."""
        done = (step.epoch - 1) * step.batches + step.batch
        self.bars.update(self.one, total=step.epochs * step.batches, completed=done)

    def finish(self, line: str, problems: list[str]) -> None:
        """A run is done: one line, and the reasons if parity did not hold."""
        self.bars.advance(self.all)
        self.bars.console.print(line, highlight=False)
        for problem in problems:
            self.bars.console.print(f"  parity does not hold: {problem}", highlight=False, style="bold")
