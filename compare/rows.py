"""The rows of the studies: JSON Lines, one finished run a line, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROWS, LABELS = "rows.jsonl", "labels.json"


def read(folder: Path) -> list[dict[str, Any]]:
    """All rows, in the order in which they were written; a line that a kill cut off is not there."""
    path = folder / ROWS
    if not path.exists():
        return []
    return [json.loads(line) for line in _whole(path.read_text("utf-8")).splitlines()]


def _whole(text: str) -> str:
    """Without what stands behind the last end of line."""
    return text[: text.rfind("\n") + 1]


def append(folder: Path, row: dict[str, Any]) -> None:
    """Add a row behind the last whole one. After a kill, or on a full disk, the old rows are all there."""
    path = folder / ROWS
    text = _whole(path.read_text("utf-8")) if path.exists() else ""
    write(path, text + json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n")


def write(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it."""
    part = path.with_name(f"part-{path.name}")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def keep_labels(folder: Path, data: str, labels: list[int]) -> None:
    """Keep the test labels of a data set once, for the statistics of the report."""
    path = folder / LABELS
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if data not in kept:
        write(path, json.dumps({**kept, data: digits(labels)}, indent=1) + "\n")


def digits(classes: Any) -> str:
    """Class numbers 0 to 9 as a string of digits."""
    return "".join(str(int(c)) for c in classes)
