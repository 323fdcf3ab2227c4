"""`fnet predict`: a model on texts, images, CSV rows or arrays."""

from __future__ import annotations

import argparse
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fnet import writing
from fnet.cli.common import UsageError, check_labels, check_target, load_model, number, read_labels
from fnet.cli.inputs import read_inputs

log = logging.getLogger("fnet")


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "predict",
        help="predictions for texts, images, CSV rows or arrays",
        description="Run a model (.keras, .h5, .safetensors) on inputs and print one line for each row. Rows without "
        "an answer (an empty text, NaN, ids beyond a table) are marked: `-` for the label, null for the scores. "
        "Exit status: 0 where some row has an answer, 1 where none has.",
        epilog="examples:  fnet predict cnn.keras cat.png --scale 1/255 --labels cat,dog\n"
        "           fnet predict sentiment.safetensors --text 'pelayanannya ramah' 'makanan dingin'\n"
        "           fnet predict model.keras rows.csv --json > predictions.jsonl",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("model", help="model file, or directory of an unzipped .keras")
    command.add_argument(
        "inputs",
        nargs="*",
        help=".npy, .npz (an array for each input of the model, by its name), .csv, .txt (a text a line), image files, "
        "or - for texts on standard input",
    )
    command.add_argument(
        "--text", action="append", default=[], help="a text to classify, and more where inputs stand; may be repeated"
    )
    command.add_argument("--column", help="CSV column that holds the text (default: text, or the only column)")
    command.add_argument("--labels", help="class names, comma-separated, or a file with one a line")
    command.add_argument("--scale", type=number, help="multiply numbers by this first, as 1/255 for pixels")
    command.add_argument("--resize", action="store_true", help="resize images to what the model takes")
    command.add_argument("--batch-size", type=int, default=32, metavar="N", help="rows at a time (default 32)")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.add_argument("--output", type=Path, help="write here (.npy: the raw array) instead of printing")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import fnet

    files = [name for name in args.inputs if name == "-" or Path(name).exists()] if args.text else args.inputs
    if bool(files) == bool(args.text):
        raise UsageError("give either input files or --text")
    if args.output is not None:
        check_target(args.output, args.model, *args.inputs)
    model, weights, info = load_model(args.model)
    spec = fnet.core.infer.input_spec(model)
    x, names = read_inputs(args, spec)
    scale = args.scale if args.scale is not None else info.get("scale")
    if scale is not None:
        x = fnet.tree.map(lambda a: a if a.dtype.kind in "USO" else a.astype(np.float32) * np.float32(scale), x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", fnet.InvalidRows)
        progress = _progress(len(names))
        y = fnet.predict(model, weights, x, batch_size=args.batch_size, progress=progress, invalid="mark")
    marks = [warning.message for warning in caught if isinstance(warning.message, fnet.InvalidRows)]
    unanswered = {row for mark in marks for row in mark.rows}
    for warning in caught:
        log.warning("%s", warning.message)
    status = int(bool(names) and len(unanswered) == len(names))
    labels = read_labels(args.labels) or info.get("labels")
    if args.labels and not isinstance(y, np.ndarray):
        raise UsageError("--labels names the classes of one output; this model has several")
    if args.output is not None and args.output.suffix == ".npy":
        _write_npy(args.output, y)
        return status
    text = "".join(f"{line}\n" for line in _lines(names, y, model, labels, args.json, unanswered))
    if args.output is None:
        print(text, end="")
    else:
        writing.write(args.output, text.encode())
    return status


def _write_npy(path: Path, y: Any) -> None:
    if not isinstance(y, np.ndarray):
        raise UsageError("a model with several outputs does not fit into one .npy file; use --json")
    buffer = io.BytesIO()
    np.save(buffer, y)
    writing.write(path, buffer.getbuffer())


def _progress(rows: int) -> Any:
    """A progress bar on a terminal, for work that is long enough, when rich is there."""
    if rows < 1000 or not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        return None
    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("predicting", total=rows)
    bar.start()

    def advance(done: int, total: int) -> None:
        bar.update(task, completed=done)
        if done == total:
            bar.stop()

    return advance


def _lines(
    names: list[str], y: Any, model: Any, labels: list[str] | None, as_json: bool, unanswered: set[int]
) -> Iterator[str]:
    import fnet

    chosen = fnet.classes(model, y, invalid="mark") if labels and isinstance(y, np.ndarray) and y.ndim <= 2 else None
    if chosen is not None and labels is not None:
        check_labels(labels, y.shape)
    one_probability = chosen is not None and y.size == len(y) and fnet.inference.labels.middle(model) == 0.5
    for i, name in enumerate(names):
        if i in unanswered:
            nothing = {"input": name, **({"label": None} if labels else {}), "output": None}
            yield json.dumps(nothing) if as_json else f"-\t-\t{name}" if labels else f"null\t{name}"
            continue
        values = fnet.tree.map(lambda a: np.round(a[i].astype(float), 6).tolist(), y)  # noqa: B023 - called at once
        label = labels[chosen[i]] if chosen is not None and labels is not None else None
        if as_json:
            yield json.dumps({"input": name, **({"label": label} if label else {}), "output": values})
        elif label is not None:
            score = np.max(values)
            if one_probability and chosen is not None and chosen[i] == 0:  # it is that of the other label
                score = 1 - score
            yield f"{label}\t{score:.4f}\t{name}"
        else:
            yield f"{json.dumps(values)}\t{name}"
