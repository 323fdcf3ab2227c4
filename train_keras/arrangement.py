"""Which rows of a data set are for training, and which for scoring the epochs. The test split is for neither."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import train_test_split

if TYPE_CHECKING:
    from train_keras.data import Data, Split

ARRANGEMENTS = {
    "official": "the training split trains, the validation split scores the epochs",
    "report": "80% of the training split, drawn at random, train; the rest of it scores the epochs",
    "all": "training and validation split train, nothing scores the epochs",
}
"""{name: its meaning}."""


def arranged(data: Data, rows: str) -> tuple[Split, Split | None]:
    """(rows to train on, rows to score the epochs on, or None). "report" draws them like the report's notebook."""
    if rows == "official":
        return data.train, data.valid
    if rows == "all":
        return both(data), None
    kept, held = train_test_split(np.arange(len(data.train)), test_size=0.2, random_state=42)
    return _taken(data.train, kept), _taken(data.train, held)


def both(data: Data) -> Split:
    """The rows of the training split, then those of the validation split."""
    joined = {a: np.concatenate([getattr(data.train, a), getattr(data.valid, a)]) for a in ("x", "y")}
    return dataclasses.replace(data.train, **joined)


def _taken(split: Split, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Split:
    return dataclasses.replace(split, x=split.x[rows], y=split.y[rows])
