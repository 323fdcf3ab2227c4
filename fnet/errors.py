"""The errors that fnet raises on purpose. `params` adds its own family for model files."""

from __future__ import annotations

import re
from collections.abc import Sequence

OBEYED = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a terminal does not show but obeys: controls, ends of lines, directions of writing."""


def printable(text: str) -> str:
    """A name of a file's, for people to read: what a terminal would obey as Python's escapes."""
    return OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


class InvalidInput(ValueError):
    """A value handed to a model is not what the model takes: structure, shape, dtype, range, NaN."""


class OutOfMemory(InvalidInput, MemoryError):
    """A step of a model takes more memory for an input than there is; smaller batches take less."""


class InvalidRows(UserWarning):
    """Some rows have no answer, and are marked in the outputs; `rows` are their numbers."""

    def __init__(self, message: str, rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.rows = rows


class InvalidParams(ValueError):
    """A parameter tree does not have the shape of the model: leaves missing, extra or mis-shaped."""


class MissingBackend(ImportError):
    """The backend asked for is unknown, or its package is not installed."""


class ExportError(ValueError):
    """A model cannot be exported: the other side lacks something, or computes something else. Nothing was written."""


def unanswered(names: Sequence[object], rows: int) -> str:
    """What a warning says of rows without an answer."""
    shown = ", ".join(map(str, names[:10])) + ", ..." * (len(names) > 10)
    return f"no answer for {len(names)} of {rows} rows, which are marked: {shown}"
