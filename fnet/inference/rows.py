"""Rows of a batch: whether they are independent in a model, and how the outputs of batches are joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fnet import tree
from fnet.core import infer, room
from fnet.core.diagnosis import FAILURES
from fnet.errors import InvalidInput
from fnet.layers.wrappers import by_row, mixes_rows, works_along
from fnet.types import Array

ROWS = 1_000_003
"""A number of rows that is the size of nothing else in a model."""


def rows_independent(model: Any, takes: Any) -> bool:
    """Whether the outputs of each row depend on that row alone, so that a batch may be padded with other rows.

    takes: the Specs of the inputs, rows first.
    False where this is unknown, as of some operations (reshapes, products) and of custom layers.
    """
    return not mixes_rows(model) and _rows_lead(model, takes)


def _rows_lead(model: Any, takes: Any) -> bool:
    """Whether every output has a row for each row of the input: an operation may take an image without a batch axis."""
    of_rows = tree.map(lambda spec: replace(spec, shape=(ROWS, *spec.shape[1:])), takes)
    try:
        seen = infer.trace(model, of_rows)
    except FAILURES:
        return False
    return all(map(_keeps_rows, seen))


def _keeps_rows(traced: infer.TracedStep) -> bool:
    """Whether the rows of the inputs of a step, if it has some, are those of its outputs, and it works along no axis
    that is theirs: -1 of one number a row."""
    inputs, outputs = ([spec.shape for spec in room.arrays(specs)] for specs in (traced.inputs, traced.outputs))
    if not any(shape[:1] == (ROWS,) for shape in inputs):
        return True
    least = by_row(traced.step) or 0
    if any(shape[:1] != (ROWS,) or ROWS in shape[1:] or len(shape) < least for shape in outputs):
        return False
    of_inputs, of_outputs = sorted(map(len, inputs)), sorted(map(len, outputs))
    ranks = of_outputs if of_outputs[-1:] > of_inputs[-1:] else of_inputs  # an axis of `stack` is one of its output
    return not works_along(traced.step, -ranks[0])


# --- rows without an answer -----------------------------------------------------------------------


def taken(batch: Any, rows: Any) -> Any:
    """Some rows of a batch, by a slice, their indices, or a bool for each."""
    return tree.map(lambda a: a[rows], batch)


def neutral(batch: Any) -> Any:
    """A batch of one row of zeros or empty texts, for a batch without any good row."""
    return tree.map(lambda a: np.full((1, *a.shape[1:]), "" if a.dtype.kind in "OSU" else 0, a.dtype), batch)


def unanswered(y: Any, size: int) -> np.ndarray[Any, Any]:
    """bool (size,): the rows of which some output is NaN as a whole."""
    empty = np.zeros(size, bool)
    for a in tree.leaves(y):
        if a.dtype.kind == "f" and a.shape[:1] == (size,) and a.size:
            empty |= np.isnan(a.reshape(size, -1)).all(axis=1)
    return empty


def spread(y: Any, bad: Array, empty: Array) -> tuple[Any, np.ndarray[Any, Any]]:
    """(outputs with a row for each of `bad`, marked rows). `y` has the other rows, of which `empty` are marked too.

    Outputs without a row for each input row stay as they are.
    """
    marked = bad.copy()
    marked[~bad] = empty[: (~bad).sum()]

    def full(a: Array) -> Array:
        if a.shape[:1] != empty.shape:
            return a
        filled = np.full((len(bad), *a.shape[1:]), _mark(a.dtype), a.dtype)
        filled[~marked] = a[: (~bad).sum()][~empty[: (~bad).sum()]]
        return filled

    return tree.map(full, y), marked


def _mark(dtype: np.dtype[Any]) -> Any:
    """The value that marks a row without an answer."""
    if dtype.kind in "fc":
        return np.nan
    return {"i": -1, "u": np.iinfo(dtype).max if dtype.kind == "u" else 0}.get(dtype.kind, "")  # as a bool, False


# --- batches --------------------------------------------------------------------------------------


def joined(batches: Iterator[tuple[Any, int, Any]], rows: int) -> Any:
    """(rows, their count, outputs) of every batch -> the outputs in the order of the rows, as in Keras's `predict`.

    rows: a slice, or indices.

    Raises InvalidInput for outputs whose shapes differ beyond the first axis.
    """
    places, size, y = next(batches)
    if size == rows and isinstance(places, slice):
        return y
    outputs = tree.map(lambda a: _Output(a, places, size, rows), y)
    for places, size, y in batches:
        tree.map(lambda output, a, at=places, n=size: output.add(a, at, n), outputs, y)
    return tree.map(lambda output: output.value(), outputs)


def own(y: Any, given: Any) -> Any:
    """NumPy arrays that a model gives, copied where their memory is constant, or that of another one or of an array in
    `given`: what `predict` gives is the caller's to keep and to change. `y` itself where there is nothing to copy."""
    owners = {id(_owner(leaf)) for leaf in tree.flatten(given)[0]}
    copies = 0

    def kept(a: Array) -> Array:
        nonlocal copies
        owner = _owner(a)
        if owner.base is None and id(owner) not in owners:
            owners.add(id(owner))
            return a
        copies += 1
        return a.copy()

    owned = tree.map(kept, y)
    return owned if copies else y


def _owner(a: Any) -> Any:
    """The array whose memory `a` is a view of, itself if of none."""
    while isinstance(getattr(a, "base", None), np.ndarray):
        a = a.base
    return a


class _Output:
    """One output over all batches: written in place while it has a row for each input row, else concatenated."""

    def __init__(self, y: Array, places: Any, size: int, rows: int) -> None:
        self.array = np.empty((rows, *y.shape[1:]), y.dtype) if y.shape[:1] == (size,) else None
        self.parts: list[Array] = []
        self.add(y, places, size)

    def add(self, y: Array, places: Any, size: int) -> None:
        """The output of these `size` rows."""
        y = np.atleast_1d(y)
        like = self.array if self.array is not None else self.parts[0] if self.parts else y
        if y.shape[1:] != like.shape[1:]:
            raise InvalidInput(
                f"outputs of different batches cannot be stacked: {like.shape[1:]} and then {y.shape[1:]}; "
                "pad the inputs to one length, or raise batch_size to the number of rows"
            )
        if self.array is not None and len(y) != size:  # batches before had as many by chance
            self.parts, self.array = [self.array[: places.start]], None
        if self.array is None:
            self.parts.append(y)
        else:
            self.array[places] = y

    def value(self) -> Array:
        """All of it."""
        return np.concatenate(self.parts) if self.array is None else self.array
