"""The rows of the studies: JSON Lines, one finished run a line, written whole or not at all."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from fnet import writing

ROWS, LABELS = "rows.jsonl", "labels.json"


class RowsError(ValueError):
    """The rows are not as they were written."""


def read(folder: Path) -> list[dict[str, Any]]:
    """All rows in the order of writing, without a last line that a kill cut off.

    Raises RowsError for a line that is not a JSON object, or a run that appears twice.
    """
    path = folder / ROWS
    if not path.exists():
        return []
    rows = [
        _row(line, f"{path}, line {i}") for i, line in enumerate(_whole(path.read_text("utf-8")).split("\n")[:-1], 1)
    ]
    runs = [row["run"] for row in rows]
    twice = sorted({run for run in runs if runs.count(run) > 1})
    if twice:
        raise RowsError(f"{path}: {', '.join(twice)} {'is' if len(twice) == 1 else 'are'} there more than once")
    return rows


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RowsError(f"{where}: no JSON: {error}") from error
    if not isinstance(row, dict) or "run" not in row:
        raise RowsError(f"{where}: no row of a run")
    return row


def _whole(text: str) -> str:
    """The complete lines of a text."""
    return text[: text.rfind("\n") + 1]


def append(folder: Path, row: dict[str, Any]) -> None:
    """Add a row after the last whole one. After a kill, or on a full disk, the old rows are all there."""
    path = folder / ROWS
    text = _whole(path.read_text("utf-8")) if path.exists() else ""
    writing.write(path, (text + _line(row)).encode())


def replace(folder: Path, row: dict[str, Any]) -> None:
    """Replace the row of the same run."""
    lines = (_line(row if old["run"] == row["run"] else old) for old in read(folder))
    writing.write(folder / ROWS, "".join(lines).encode())


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n"


def merge(folder: Path, other: Path) -> tuple[int, int, int]:
    """Add the rows of another folder, such as another machine's: (rows added, rows replaced, rows left out).

    The row of a run that is already there stays, unless the other folder has the same training with a later comparison
    with Keras, which replaces it.

    Raises RowsError, and changes nothing, where the two hold results on different data, or different test labels.
    """
    mine, theirs = read(folder), read(other)
    sources = {(row["data"], row["data_sha256"]) for row in (*mine, *theirs)}
    if len(sources) > len({data for data, _ in sources}):
        raise RowsError(f"{folder} and {other} hold rows on different data of one name; they do not compare")
    kept, given = labels_of(folder), labels_of(other)
    if any(kept[data] != given[data] for data in kept.keys() & given.keys()):
        raise RowsError(f"{folder} and {other} hold different test labels of one data set")
    rows = {row["run"]: row for row in mine}
    later = [row for row in theirs if row["run"] in rows and _compared_later(row, rows[row["run"]])]
    rows = {row["run"]: row for row in theirs} | rows | {row["run"]: row for row in later}
    added = len(rows) - len(mine)
    order = dict.fromkeys(row["run"] for row in (*mine, *theirs))
    _write_labels(folder, {**given, **kept})
    writing.write(folder / ROWS, "".join(_line(rows[run]) for run in order).encode())
    return added, len(later), len(theirs) - added - len(later)


def _compared_later(row: dict[str, Any], than: dict[str, Any]) -> bool:
    """Whether two rows are of the same training, and `row` has the later comparison of its file."""

    def when(parity: dict[str, Any] | None) -> tuple[bool, str]:
        return parity is not None, (parity or {}).get("compared", "")  # the first rows do not say when

    return {**row, "parity": None} == {**than, "parity": None} and when(row["parity"]) > when(than["parity"])


def keep_labels(folder: Path, data: str, labels: list[int]) -> None:
    """Keep the test labels of a data set, once, for the statistics of the report."""
    kept = labels_of(folder)
    if data not in kept:
        _write_labels(folder, {**kept, data: digits(labels)})


def _write_labels(folder: Path, labels: dict[str, str]) -> None:
    writing.write(folder / LABELS, (json.dumps(labels, indent=1) + "\n").encode())


def labels_of(folder: Path) -> dict[str, str]:
    """{data set: its test labels as digits}, as far as they are kept."""
    path = folder / LABELS
    found: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def packed(probabilities: Any) -> str:
    """Probabilities (rows, classes) as base64 of 16-bit fractions of one."""
    return base64.b64encode(np.round(np.asarray(probabilities) * 65535).astype("<u2").tobytes()).decode()


def unpacked(text: str, rows: int) -> Any:
    """The probabilities in `packed` text, (rows, classes) float64."""
    return np.frombuffer(base64.b64decode(text), "<u2").reshape(rows, -1) / 65535


def digits(classes: Any) -> str:
    """Class numbers 0 to 9 as a string of digits."""
    return "".join(str(int(c)) for c in classes)
