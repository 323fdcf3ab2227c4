"""`fnet predict`: a model on texts, images, tables or arrays."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from fnet import writing
from fnet.cli import inputs, outputs
from fnet.cli.common import (
    UsageError,
    add_model,
    check_labels,
    check_target,
    custom_files,
    exists,
    listed,
    load_model,
    log,
    read_labels,
)
from fnet.cli.image_files import IMAGES
from fnet.cli.journal import Entry, Journal
from fnet.cli.request import Batch
from fnet.core import infer
from fnet.core.diagnosis import FAILURES
from fnet.errors import no_answer

HELP = "predictions for texts, images, tables or arrays"
DESCRIPTION = """Run a model (.keras, .h5, .safetensors) on inputs, a batch at a time, and print one line for each row.
Rows without an answer (NaN, a missing text, ids beyond a table) are marked: `-` for the label, null for the outputs.

inputs: image files, or a folder of them and its subfolders; .csv and .tsv with a header, .jsonl, .parquet (pyarrow):
a column of texts, columns of numbers, or columns by the names of several inputs; .npy; .npz with an array for each
input by its name; .txt with a text on each line; - for standard input."""

EPILOG = """exit status: 0 if some row has an answer, 1 if none has or something failed, 2 for wrong usage, 130 after
Ctrl-C. A file of --output appears complete or not at all; until then FILE.part keeps each finished batch. After Ctrl-C
or a crash, the same command with --resume reuses what is still valid and computes the rest: changed rows, weights,
--scale or files of --custom are computed again. Without --resume it is refused while FILE.part is there.
Numbers have six decimals in txt, and all their digits in the other formats.

examples:
  fnet predict examples/models/nusax-lstm.safetensors --text 'pelayanannya ramah' 'makanan dingin' --top 2
  printf 'kamarnya bersih\\nmahal sekali\\n' | fnet predict examples/models/nusax-lstm.safetensors - --json
  fnet predict examples/models/cifar10-cnn.safetensors photos --resize --output classes.csv
  fnet predict examples/models/cifar10-cnn.safetensors photos --resize --output classes.csv --resume
  fnet predict cnn.keras photos --resize --scale 1/255 --json > predictions.jsonl
  fnet predict table.keras flats.csv --column rooms,area --keep id --format csv | head -3
  printf 'text,is\\npelayanannya ramah sekali,positive\\n' | fnet predict examples/models/nusax-lstm.safetensors - \
--stdin-format csv --truth is"""


MANY = 20
"""From this many scores on, a line is too long to read."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_model(command)
    inputs.add_arguments(command)
    command.add_argument("--labels", help="class names, comma-separated, or a file with one per line")
    command.add_argument("--batch-size", type=int, default=32, metavar="N", help="rows at a time (32)")
    command.add_argument("--top", type=int, metavar="K", help="the K best classes with their scores (1)")
    command.add_argument(
        "--invalid", choices=("mark", "raise"), default="mark", help="rows without an answer: mark them, or stop (mark)"
    )
    command.add_argument(
        "--truth",
        metavar="COLUMN",
        help="the column of the right class, its label or number (of images: folder), to count how many are right",
    )
    command.add_argument("--wrong", action="store_true", help="with --truth: only the rows with a wrong class")
    command.add_argument(
        "--keep", metavar="COLUMNS", default="", help="columns, comma-separated, to write next to the answers"
    )
    command.add_argument("--format", choices=("txt", "csv", "tsv", "jsonl"), help="the format to print (txt)")
    command.add_argument(
        "--json", action="store_const", dest="format", const="jsonl", help="one JSON object per line: --format jsonl"
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write here instead of printing, by suffix: .txt, .jsonl, .csv, .tsv, .parquet, .npy (the raw array)",
    )
    command.add_argument("--resume", action="store_true", help="continue an interrupted --output")


def run(args: argparse.Namespace) -> int:
    _check_inputs(args)
    form = _output_form(args)
    job = _Run(args, form)
    done = False
    try:
        _write(form, job)
        done = True
    finally:
        job.close(done)
    return job.finish()


def _write(form: str, run: _Run) -> None:
    """Print all answers as they come, or write them to the file of --output when they are complete."""
    output = run.args.output
    if output is None:
        for lines in outputs.printed(run.answers(), form, run.top, run.header):
            sys.stdout.writelines(lines)
            sys.stdout.flush()
    elif form in outputs.LINES:
        lines = chain.from_iterable(outputs.printed(run.answers(), form, run.top, run.header))
        writing.write(output, "".join(lines).encode(errors="backslashreplace"))
    elif form in outputs.TABLES:
        rows = list(outputs.columns(chain.from_iterable(run.answers()), run.top))
        writing.write(output, outputs.TABLES[form](rows, run.header))
    else:
        writing.write(output, outputs.npy([y for _, y in run.batches()]))


def _check_inputs(args: argparse.Namespace) -> None:
    """Raise UsageError for arguments about the rows that do not fit together."""
    files = [name for name in args.inputs if name == "-" or exists(name)]
    if args.text and files:
        raise UsageError(f"give either input files or --text: {files[0]} is a file; a text has a --text of its own")
    if not args.inputs and not args.text:
        raise UsageError("give either input files or --text")
    if args.batch_size < 1 or (args.top is not None and args.top < 1):
        raise UsageError("--batch-size and --top are at least 1")
    if args.wrong and args.truth is None:
        raise UsageError("--wrong needs the right classes: --truth COLUMN")
    if taken := set(listed(args.keep)) & {*outputs.OWN, outputs.TRUTH}:
        raise outputs.taken(taken.pop())
    if Path(args.model).suffix.lower() in {*IMAGES, *inputs.READERS}:
        raise UsageError(f"{args.model} is not a model file; the model comes first: fnet predict MODEL INPUT")


def _output_form(args: argparse.Namespace) -> str:
    """The format of the output. Raises UsageError for arguments about it that do not fit together."""
    if str(args.output) in ("-", "/dev/stdout"):
        args.output = None
    form = outputs.form(args.output, args.format)
    if form == ".parquet":
        outputs.parquet([], [])  # where a package for it is missing, that is said before the work is done
    if args.output is not None:
        check_target(args.output, args, inputs.files(args))
        if form == ".npy" and (args.wrong or args.keep):
            raise UsageError("a .npy holds the outputs of all rows and nothing else: leave --wrong and --keep out")
    elif args.resume:
        raise UsageError("--resume continues a file: give --output FILE")
    return form


class _Run:
    """A model on one source of rows."""

    def __init__(self, args: argparse.Namespace, form: str) -> None:
        import fnet

        self.args, self.form = args, form
        self.model, self.params, info = load_model(args)
        # states continue from batch to batch of one call
        size = sys.maxsize if infer.keeps_states(self.model) else args.batch_size
        kept = [*listed(args.keep), *([] if args.truth is None else [args.truth])]
        self.source = inputs.source(inputs.request(self.model, args, size, kept))
        self.scaling = inputs.scaling(self.model, args, info, self.source.pixels)
        self.labels = read_labels(args.labels) or info.get("labels")
        self.top = args.top or 1
        self._require_outputs()
        self.digits = 6 if form == ".txt" else None  # lines for people
        self.rows, self.judgeable, self.right, self.unanswered, self.why = 0, 0, 0, list[str](), ""
        self.header = list[str]()
        """The columns of a table, once the first batch is there."""
        code = [Path(file).read_bytes() for file in custom_files(args)]
        batch = args.batch_size if size == sys.maxsize else None  # at which states are carried over
        settings = self.scaling, args.invalid, fnet.backend.name(), fnet.__version__, code, batch
        self.journal = (
            None if args.output is None else Journal(args.output, args.resume, self.model, self.params, *settings)
        )

    def _require_outputs(self) -> None:
        """Raise UsageError, before the work, where the outputs are known not to fit the labels or a .npy."""
        spec = infer.input_spec(self.model)
        try:
            y = None if spec is None else infer.infer(self.model, spec)[0]
        except FAILURES:  # sizes are known when it runs
            return
        if self.form == ".npy" and isinstance(y, list | tuple | dict):
            raise UsageError(outputs.SEVERAL)
        if self.labels:
            check_labels(self.labels, y)

    def answers(self) -> Iterator[Iterator[outputs.Answer]]:
        """The answers of each batch."""
        from fnet.inference.labels import middle

        for_classes = self.args.labels or self.args.top or self.args.truth
        scores = (
            outputs.Scores(self.labels, middle(self.model), self.top, self.digits)
            if self.labels or for_classes
            else None
        )
        for (batch, marked), y in self.batches():
            if scores is not None and not isinstance(y, np.ndarray):
                if for_classes:
                    raise UsageError("--labels, --top and --truth need classes of one output; this model has several")
                scores = None
            first, printed = self.rows == len(batch.names), self.args.output is None and self.args.format is None
            many = isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] > MANY
            if first and printed and many and scores is None:
                log.info("a row is %d numbers: --top 5 prints the best classes, --labels names them", y.shape[1])
            classes = [] if scores is None else scores.classes(y)
            kept = self.columns(batch, classes)
            of_batch = outputs.answers(batch.names, y, marked, scores, kept, self.digits)
            if not self.header and self.form in outputs.TABLES:
                self.header += outputs.header(y, scores, kept, self.top)
            yield of_batch if self.args.truth is None else self.judged(of_batch, classes)

    def columns(self, batch: Batch, classes: list[str]) -> dict[str, list[Any]]:
        """The columns of a batch that go with its answers."""
        columns = {name: batch.kept[name] for name in listed(self.args.keep)}
        if self.args.truth is None:
            return columns
        return {**columns, outputs.TRUTH: [_class_of(cell, classes) for cell in batch.kept[self.args.truth]]}

    def judged(self, answers: Iterator[outputs.Answer], classes: list[str]) -> Iterator[outputs.Answer]:
        """The answers, counting right ones; with --wrong only the wrong ones."""
        for answer in answers:
            if answer.best is None:
                raise UsageError("--truth is for scores of classes, (rows, classes) of floats; this model gives others")
            truth = answer.kept[outputs.TRUTH]
            blank = not truth and self.args.invalid == "mark"
            if truth not in classes and not blank:
                known = "none of the labels " if self.labels else f"not a class number from 0 to {len(classes) - 1}"
                more = ", ".join(classes) if self.labels else HINT
                raise UsageError(f"--truth {self.args.truth}: {truth!r} is {known}{more}")
            self.judgeable += not blank and answer.is_right is not None
            self.right += answer.is_right is True
            if not (self.args.wrong and (answer.is_right or blank)):
                yield answer

    def batches(self) -> Iterator[tuple[tuple[Batch, set[int]], Any]]:
        """((rows, those without an answer), outputs) of each batch."""
        progress = _Progress(self.source.total, self.args)
        for batch in self.source.batches:
            rows = len(batch.names)
            y, marked = self.predict(batch.rows) if self.journal is None else self.kept(batch.rows, rows)
            self.unanswered += [str(self.rows + row) for row in sorted(marked)]
            self.rows += rows
            yield (batch, marked), y
            progress.show(self.rows)
        progress.end()

    def kept(self, x: Any, rows: int) -> tuple[Any, set[int]]:
        """`predict`, or the result for these rows from an interrupted run."""
        assert self.journal is not None
        key = self.journal.key(x)
        entry = self.journal.get(key, rows)
        if entry is None:
            y, marked = self.predict(x)
            entry = Entry(y, sorted(marked))
            self.journal.add(key, entry)
        return entry.outputs, set(entry.marked)

    def close(self, done: bool) -> None:
        """Log what was reused from an interrupted run, and what the next run can reuse from this one."""
        if self.journal is None:
            return
        self.journal.close(done)
        if self.journal.resumed:
            log.info("%d of %d rows are taken over from %s", self.journal.taken, self.rows, self.journal.path)
        if self.journal.path.exists():
            log.warning(
                "%d rows are kept in %s: the same command with --resume continues", self.rows, self.journal.path
            )

    def predict(self, x: Any) -> tuple[Any, set[int]]:
        """(outputs, rows without an answer) of one batch."""
        import fnet

        x = self.scaling(x)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", fnet.InvalidRows)
            try:
                size = self.args.batch_size
                y = fnet.predict(self.model, self.params, x, batch_size=size, invalid=self.args.invalid)
            except fnet.InvalidInput as error:
                if self.rows:
                    error.add_note(f"in the batch whose row 0 is row {self.rows} of all")
                raise
        marked = set[int]()
        for warning in caught:
            if isinstance(warning.message, fnet.InvalidRows):
                marked, why = set(warning.message.rows), warning.message.why
                self.why = self.why if self.unanswered else why
            else:
                log.warning("%s", warning.message)
        return y, marked

    def finish(self) -> int:
        """Log which rows have no answer; returns the exit status."""
        if self.unanswered:
            log.warning("%s", no_answer(self.unanswered, self.rows, self.why))
        answered = self.rows - len(self.unanswered)
        if self.args.truth is not None and self.judgeable < answered:
            log.warning("%d rows have no right class and are not counted", answered - self.judgeable)
        if self.judgeable:
            log.info("%d of %d rows are right: accuracy %.4f", self.right, self.judgeable, self.right / self.judgeable)
        return int(0 < self.rows == len(self.unanswered))


HINT = ": name the classes, --labels (Keras numbers folders by the alphabet)"


def _class_of(cell: Any, classes: list[str]) -> str:
    """The right class in a cell: a class, or that of a number if no class has that name; "" in an empty one."""
    text = "" if cell is None or cell != cell else str(cell)  # NaN is not itself
    by_number = text not in classes and text.isdecimal() and int(text) < len(classes)
    return classes[int(text)] if by_number else text


class _Progress:
    """Rows done, rows per second and the time left, shown on a terminal unless the answers are printed there."""

    def __init__(self, total: int | None, args: argparse.Namespace) -> None:
        answers_elsewhere = args.output is not None or not sys.stdout.isatty()
        self.shown = sys.stderr.isatty() and answers_elsewhere and not args.quiet
        self.total = total
        self.start = self.last = time.monotonic()

    def show(self, done: int) -> None:
        now = time.monotonic()
        if self.shown and now - self.last > 0.2:
            rate = done / (now - self.start)
            of, left = "", ""
            if self.total is not None:
                of, left = f" of {self.total:,}", f", {_duration((self.total - done) / rate)} left"
            print(f"\r{done:,}{of} rows, {rate:,.0f} rows/s{left}   ", end="", file=sys.stderr, flush=True)
            self.last = now

    def end(self) -> None:
        if self.last > self.start:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    """Like 45 s, 3:20 min or 2:05 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    whole, unit = (int(seconds), "min") if seconds < 3600 else (int(seconds / 60), "h")
    return f"{whole // 60}:{whole % 60:02} {unit}"
