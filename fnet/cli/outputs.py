"""The answers of `fnet predict`, one for each row, and the formats in which they are written."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from fnet import tree
from fnet.cli.common import UsageError, check_labels
from fnet.errors import needing, printable
from fnet.records import NamedTuple


class Answer(NamedTuple):
    """The answer of the model for one row."""

    name: str
    best: list[tuple[str, float]] | None
    """(label, score) of the best classes; None for outputs without labels, empty for a row without an answer."""
    values: Any
    """The outputs; None for a row without an answer."""
    kept: dict[str, Any]
    """{column: cell} of the input that goes with the answer; "truth" is the right class."""

    @property
    def is_right(self) -> bool | None:
        """Whether the best class is the right one; None for a row without an answer."""
        return self.best[0][0] == self.kept[TRUTH] if self.best else None


TRUTH = "truth"
"""The column of the right class, whatever its name in the input."""
OWN = ("input", "label", "score", "output")
"""The columns of the outputs."""


def answers(
    names: list[str],
    y: Any,
    unanswered: set[int],
    scores: Scores | None,
    kept: dict[str, list[Any]],
    digits: int | None = None,
) -> Iterator[Answer]:
    """An answer for each row of a batch; digits: the decimals of its numbers, or None for all."""
    if any(a.shape[:1] != (len(names),) for a in tree.leaves(y)):
        raise UsageError("the model does not give one answer for each row; fnet.predict in Python gives what it gives")
    best = None if scores is None else scores.best(y)
    for row, name in enumerate(names):
        cells = {column: of[row] for column, of in kept.items()}
        if row in unanswered:
            yield Answer(name, None if best is None else [], None, cells)
        else:
            values = tree.map(lambda a: _plain(a[row], digits), y)  # noqa: B023 - called at once
            yield Answer(name, None if best is None else best[row], values, cells)


def _plain(a: Any, digits: int | None) -> Any:
    """Python numbers and texts; None for NaN and infinity, which JSON lacks."""
    if a.dtype.kind != "f":
        return tree.map(lambda item: item.decode() if isinstance(item, bytes) else item, a.tolist())
    values = _decimals(a, digits).tolist()
    if np.isfinite(a).all():
        return values
    return tree.map(lambda value: value if math.isfinite(value) else None, values)


def _decimals(a: Any, digits: int | None) -> Any:
    """Floats as float64 with so many decimals; None: as few as tell them from others of their dtype, 0.1 as 0.1."""
    return a.astype(str).astype(float) if digits is None else np.round(a.astype(float), digits)


class Scores:
    """The best classes of each row."""

    def __init__(self, labels: list[str] | None, middle: float, top: int, digits: int | None = None) -> None:
        self.labels, self.middle, self.top, self.digits = labels, middle, top, digits

    def classes(self, y: Any) -> list[str]:
        """The labels, or the numbers of the classes."""
        return self.labels or list(map(str, range(max(2, math.prod(y.shape[1:])))))

    def best(self, y: Any) -> list[list[tuple[str, float]]] | None:
        """[(label, score), ...] of each row, the best first; None for outputs that are not class scores."""
        if not isinstance(y, np.ndarray) or y.ndim > 2 or y.dtype.kind != "f":
            return None
        if self.labels:
            check_labels(self.labels, y)
        scores = y.reshape(len(y), -1)
        if scores.shape[1] == 1:  # one unit: a probability or a logit of the second of two classes
            scores = np.concatenate([2 * self.middle - scores, scores], 1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.top]
        names, scores = self.classes(y), _decimals(scores, self.digits)
        return [
            [] if np.isnan(row).any() else [(names[i], float(row[i])) for i in chosen]
            for row, chosen in zip(scores, order, strict=True)
        ]


# --- forms --------------------------------------------------------------------------------------------------


def text(batch: Iterator[Answer], top: int) -> Iterator[str]:
    """Tab-separated lines: labels with their scores, or the outputs; columns that are kept; the input last."""
    for answer in batch:
        cells = (*answer.kept.values(), answer.name)
        last = [printable(re.sub(r"[\t\r\n]", " ", str(_written(cell)))) for cell in cells]
        if answer.best is None:
            first = [json.dumps(answer.values)]
        else:
            first = [f"{printable(label)}\t{score:.4f}" for label, score in answer.best] or ["-\t-"] * top
        yield "\t".join([*first, *last]) + "\n"


def json_lines(batch: Iterator[Answer], top: int) -> Iterator[str]:
    """A JSON object for each row."""
    for answer in batch:
        value: dict[str, Any] = {"input": answer.name, **{key: _written(cell) for key, cell in answer.kept.items()}}
        if answer.best is not None:
            value["label"] = answer.best[0][0] if answer.best else None
            if top > 1:
                _add(value, "top", [{"label": label, "score": score} for label, score in answer.best])
        yield json.dumps({**value, "output": answer.values}, ensure_ascii=False) + "\n"


def columns(batch: Iterator[Answer], top: int) -> Iterator[dict[str, Any]]:
    """{column: cell} of each row; a row without an answer has no output columns."""
    for answer in batch:
        row: dict[str, Any] = {"input": answer.name, **answer.kept}
        for place, (label, score) in enumerate(answer.best or (), 1):
            end = f"_{place}" if top > 1 else ""
            _add(row, f"label{end}", label)
            _add(row, f"score{end}", score)
        for path, value in tree.items({"output": answer.values}):
            _add(row, "_".join(map(str, path)), value)
        yield row


def _written(cell: Any) -> Any:
    """A cell as JSON and CSV have it: times, Decimals and bytes as texts, NaN and infinity as nothing."""
    if isinstance(cell, dict | list):
        return tree.map(_written, cell)
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, bytes):
        return cell.decode(errors="backslashreplace")
    return cell if isinstance(cell, str | int | None) else str(cell)


def _add(row: dict[str, Any], name: str, cell: Any) -> None:
    """Add a cell to a row. Raises UsageError where it has one of that name."""
    if name in row:
        raise taken(name)
    row[name] = cell


def taken(name: str) -> UsageError:
    """The error for two columns of one name."""
    return UsageError(f"--keep {name}: the outputs have a column of that name")


def header(y: Any, scores: Scores | None, kept: Iterable[str], top: int) -> list[str]:
    """The columns of a table of such outputs, even if no row has an answer."""
    one = tree.map(lambda a: np.zeros((1, *a.shape[1:]), a.dtype), y)
    answer = answers([""], one, set(), scores, {column: [""] for column in kept})
    return list(next(columns(answer, top)))


def _names(rows: list[dict[str, Any]], header: list[str]) -> list[str]:
    """The columns of a table: those of its header, then further ones of single rows."""
    return list(dict.fromkeys(chain(header, *rows))) or ["input"]


def delimited(rows: list[dict[str, Any]], header: list[str], delimiter: str, goes_on: bool = False) -> str:
    """Rows as CSV or TSV; goes_on: without a header, as they follow other rows."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _names(rows, header), delimiter=delimiter, lineterminator="\n")
    if not goes_on:
        writer.writeheader()
    writer.writerows({name: _written(cell) for name, cell in row.items()} for row in rows)
    return file.getvalue()


@needing("parquet", "a Parquet file")
def parquet(rows: list[dict[str, Any]], header: list[str]) -> bytes:
    """A table as Parquet."""
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()

    def column(cells: list[Any]) -> Any:
        try:
            return pyarrow.array(cells)
        except (ValueError, TypeError, OverflowError):  # of several types, or texts that are none: all as texts
            texts = [None if cell is None else str(_written(cell)) for cell in cells]
            return pyarrow.array([text and text.encode(errors="backslashreplace").decode() for text in texts])

    cells = {name: column([row.get(name) for row in rows]) for name in _names(rows, header)}
    pyarrow.parquet.write_table(pyarrow.table(cells), buffer)
    return buffer.getvalue()


SEVERAL = "a model with several outputs does not fit into one .npy file; use .jsonl"


def npy(parts: list[Any]) -> bytes:
    """The raw outputs as one array."""
    if not parts:
        raise UsageError("there are no rows, so no array to write")
    if not all(isinstance(part, np.ndarray) for part in parts):
        raise UsageError(SEVERAL)
    if len({part.shape[1:] for part in parts}) > 1:
        raise UsageError("the outputs of the batches have several shapes and do not fit into one .npy; use .jsonl")
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(parts))
    return buffer.getvalue()


LINES: dict[str, Callable[[Iterator[Answer], int], Iterator[str]]] = {".txt": text, ".jsonl": json_lines}
TABLES: dict[str, Callable[[list[dict[str, Any]], list[str]], bytes]] = {
    ".csv": lambda rows, header: delimited(rows, header, ",").encode(errors="backslashreplace"),
    ".tsv": lambda rows, header: delimited(rows, header, "\t").encode(errors="backslashreplace"),
    ".parquet": parquet,
}


def printed(batches: Iterable[Iterator[Answer]], form: str, top: int, header: list[str]) -> Iterator[Iterable[str]]:
    """The lines of each batch as soon as it is computed. header: of a table, known after the first batch."""
    if form in LINES:
        yield from (LINES[form](batch, top) for batch in batches)
        return
    delimiter, goes_on = "," if form == ".csv" else "\t", False
    for batch in batches:
        rows = list(columns(batch, top))
        if strange := set().union(*rows) - set(header):
            raise UsageError(
                f"a row has more outputs than the first ({min(strange)}): --format jsonl, or a file, --output"
            )
        yield [delimited(rows, header, delimiter, goes_on)]
        goes_on = True
    if not goes_on:
        yield [delimited([], header, delimiter)]


def form(output: Path | None, name: str | None) -> str:
    """The format as a suffix, from --format or the file. Raises UsageError for an unknown one."""
    suffix = "" if output is None else output.suffix.lower()
    if name is not None:
        if suffix not in ("", ".txt", f".{name}") and (name, suffix) != ("jsonl", ".json"):
            raise UsageError(f"{output}: --format {name} writes .{name}; leave it out, or give a file of that name")
        return f".{name}"
    suffix = suffix or ".txt"
    if suffix not in {*LINES, *TABLES, ".npy"}:
        hint = "; .jsonl has one JSON object a line" if suffix == ".json" else ""
        raise UsageError(f"{output}: write to {', '.join(sorted([*LINES, *TABLES, '.npy']))}{hint}")
    return suffix
