"""Checks of labels, texts and images. Every error names its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from train_keras.errors import EmptyText, LabelOutOfRange, MalformedData, rows

_PUNCTUATION = re.compile(r"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")


def check_labels(labels: Any, classes: int, where: str = "labels") -> None:
    """Raise LabelOutOfRange unless `labels` are integers (n,) from 0 to `classes` - 1."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise LabelOutOfRange(
            f"{where}: labels must be integers of shape (rows,), got {labels.dtype}{list(labels.shape)}"
        )
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(bad):
        raise LabelOutOfRange(
            f"{where}, {rows(bad)}: label {labels[bad[0]]} is none of the {classes} classes 0 to {classes - 1}"
        )


def check_texts(texts: Sequence[Any], where: str = "texts") -> None:
    """Raise EmptyText for texts without a token, MalformedData for values that are not strings."""
    wrong = [i for i, text in enumerate(texts) if not isinstance(text, str)]
    if wrong:
        raise MalformedData(f"{where}, {rows(wrong)}: a text must be a string, got {texts[wrong[0]]!r:.60}")
    empty = [i for i, text in enumerate(texts) if not _PUNCTUATION.sub("", text).split()]
    if empty:
        raise EmptyText(f"{where}, {rows(empty)}: no token in {texts[empty[0]]!r:.60}")


def check_images(x: Any, shape: tuple[int, ...], where: str) -> None:
    """Raise MalformedData unless `x` is images of uint8, each of `shape`."""
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != shape:
        got = f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else type(x).__name__
        raise MalformedData(f"{where}: images must be uint8[n, {', '.join(map(str, shape))}], got {got}")
