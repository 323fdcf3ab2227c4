"""The errors of training. Messages about data name the split and the first bad rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class DataError(ValueError):
    """A data set cannot be trained on. The subclasses say why."""


class DataNotFound(DataError):
    """The files of a data set are not where they were looked for, or the hub cannot be reached."""


class EmptySplit(DataError):
    """A split has no rows; Keras would silently train or evaluate on nothing."""


class EmptyText(DataError):
    """Texts without a single token; a masked recurrent layer would see only padding."""


class LabelOutOfRange(DataError):
    """Labels that are not classes of the data set; Keras on JAX silently trains on them."""


class MalformedData(DataError):
    """Rows with wrong columns, shapes or dtypes, or images that cannot be decoded."""


class SplitOverlap(DataError):
    """The same text is in two splits, so that a test score would mean nothing."""


class TokenOutOfRange(DataError):
    """Token ids beyond the embedding table; TensorFlow fails on them late and JAX gives NaN."""


class TrainingDiverged(ArithmeticError):
    """The loss became NaN or infinite; the last checkpoint is from before that."""


class RunMismatch(ValueError):
    """The folder holds a run of another configuration or on other data."""


class RunLocked(RuntimeError):
    """Another process is training in the folder."""


def rows(indices: Sequence[int] | Any, shown: int = 5) -> str:
    """Row numbers for a message: `row 3`, `rows 1, 4, 9, ... (17 in all)`."""
    listed = ", ".join(str(int(i)) for i in indices[:shown])
    if len(indices) > shown:
        listed += f", ... ({len(indices)} in all)"
    return f"row{'s' if len(indices) > 1 else ''} {listed}"
