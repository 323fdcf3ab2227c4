"""The batches of one call of `predict`: how rows are sorted, how batches run, and which rows have no answer."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeAlias

import numpy as np

from fnet import backend, tree
from fnet.backend import ops
from fnet.core.model import EMPTY
from fnet.errors import InvalidInput, InvalidRows, no_answer, warn
from fnet.inference.door import Fault
from fnet.inference.lengths import CHUNK, batch_sizes
from fnet.inference.optimized import Program
from fnet.inference.prepared import Prepared
from fnet.inference.rows import neutral, spread, taken, unanswered
from fnet.inference.schedule import as_it_is, rows_at_once
from fnet.records import NamedTuple
from fnet.strings import is_strings
from fnet.types import Params

Progress: TypeAlias = Callable[[int, int], None]


ALONE = 2_000_000
"""Up to so many multiplications in a layer XLA seldom uses a second thread, which would miss the processor that looks
whether the first is done."""


class Again(NamedTuple):
    """A remembered kind of call, of one batch; it holds no params."""

    run: Callable[[Params, Any], Any]
    sound: Callable[[Any], Any] | None
    faults: Callable[[Any], list[Fault]]
    begin: Callable[[Any], Any] | None
    """Starts XLA without a look at values or params; None where that is not possible."""
    read: Callable[[Any], np.ndarray[Any, Any]]
    """Waits for an output: looks for it if it is due soon."""

    def outputs(self, params: Params, x: Any, pending: Any = None) -> Any:
        """The outputs, those of `begin` if it was called; None where a row has no answer."""
        y = self.begin(x) if self.begin is not None and pending is None else pending
        if (self.sound is None or not self.sound(x)) and self.faults(x):  # while XLA computes
            return None
        return tree.map(self.read, self.run(params, x) if y is None else y)


class Settings(NamedTuple):
    """How a call runs its rows."""

    batch_size: int
    workers: int | None
    """The most threads; None: as many as processors."""
    marks: bool
    """Whether rows without an answer are marked in the outputs, not refused."""
    several: bool = True
    """Whether several small batches may run at once."""


class Runner:
    """Runs the `rows` rows of `x` batch by batch; a stateful model hands its states from one to the next."""

    def __init__(self, prepared: Prepared, program: Program, settings: Settings, x: Any, rows: int) -> None:
        if prepared.advance is not None:
            _require_whole_batches(rows, settings.batch_size)
        self.prepared, self.settings, self.params = prepared, settings, program.params
        self.x, self.rows = x, rows
        self.run, self.host = program.run or prepared.run, program.host
        self.draws = any(path[-1] == "rng" for path, _ in tree.items(program.params))
        apart = not self.draws and prepared.rows_apart(x)  # random numbers depend on how many are drawn
        self.padded = apart and backend.name() != "numpy"
        """Whether batches are padded to a power of two with copies of their rows, so that XLA compiles few shapes."""
        self.lengths = prepared.lengths if apart else None
        self.most = settings.batch_size
        """Rows of a batch."""
        self.plain = not self.draws and self.host is None and prepared.advance is None
        """Whether batches are numbers that go through the model and nothing else: no draws, no texts, no states."""
        if rows > self.most and settings.several and self.plain:
            self.most = rows_at_once(self.most, prepared.work_of(x))
        self.state: Any = EMPTY
        self.marked: list[int] = []
        """The rows without an answer in the batches so far."""
        self.whys: dict[int, str] = {}
        """{the first of them in a batch: what it has}."""

    def outputs(self, batch: Any, size: int) -> Any:
        """The outputs of a batch as NumPy arrays."""
        batch = self.numbers(batch)
        if self.prepared.advance is not None:
            y, self.state = self.prepared.advance(self.params, batch, self.state)
            return tree.map(ops.to_numpy, y)
        filled = self._filled(size)
        if filled != size:
            batch = taken(batch, np.arange(filled) % size)
        y = self.run(self.params, batch) if self.draws else self._in_parts(batch, filled)
        return tree.map(lambda a: ops.to_numpy(a)[:size], y) if filled != size else tree.map(ops.to_numpy, y)

    def numbers(self, batch: Any) -> Any:
        """A batch as the compiled model takes it: texts as numbers."""
        return batch if self.host is None else tree.map(ops.to_numpy, self.host(self.params, batch))

    def _filled(self, size: int) -> int:
        """How many rows a batch of `size` is filled up to."""
        return min(self.most, 1 << (size - 1).bit_length()) if self.padded else size

    def _in_parts(self, batch: Any, rows: int) -> Any:
        """The outputs of a batch, which may run in parts."""
        workers = self.settings.workers
        cut = self.prepared.cut if self.lengths is not None else as_it_is
        return self.prepared.schedule_of(batch, rows, workers).run(self.run, self.params, batch, workers, cut)

    def again(self) -> Again | None:
        """How a call with other numbers goes; None where it would not be one batch that goes the way of this one."""
        whole = self.rows <= self.most and self.rows == self._filled(self.rows)
        sorts = self.rows > 1 and self.lengths is not None
        if not (self.plain and whole) or sorts or self.x.dtype.kind not in "biuf":
            return None
        model, workers, cut, door = self.run, self.settings.workers, self.prepared.cut, self.prepared.door
        run = self.prepared.schedule_of(self.x, self.rows, workers).run

        def go(params: Params, x: Any) -> Any:
            return run(model, params, x, workers, cut)

        begin = model.ahead(self.x)
        if begin is not None and cut is not as_it_is:
            begin = functools.partial(go, EMPTY)
        alone = self.rows * self.prepared.work_of(self.x).parallel <= ALONE
        return Again(go, door.soundness(self.x), door.faults, begin, ops.awaited if alone else ops.to_numpy)

    def batches(self, progress: Progress | None) -> Iterator[tuple[Any, int, Any]]:
        """(rows, their count, outputs) of every batch; the rows are a slice or, sorted by length, their indices."""
        order, sizes = self._by_length()
        for start, size in zip(itertools.accumulate(sizes, initial=0), sizes, strict=False):
            numbers: Any = range(start, start + size) if order is None else order[start : start + size]
            places = slice(start, start + size) if order is None else numbers
            batch = taken(self.x, places)
            checked = order is not None and not self.settings.marks
            y = self._checked(batch, numbers) if checked else self._answers(batch, numbers)
            if progress is not None:
                progress(start + size, self.rows)
            yield places, size, y

    def warn_of_marked(self) -> None:
        """Warn of the rows that are marked in the outputs, if there are some."""
        if self.marked:
            marked = sorted(self.marked)
            why = self.whys[marked[0]]
            warn(InvalidRows(no_answer(marked, self.rows, why), marked, why))

    def _by_length(self) -> tuple[Any, list[int]]:
        """(indices of the rows, longest first, or None for the given order; the sizes of the batches).

        Raises InvalidInput where rows are sorted, one has no answer, and it is not to be marked.
        """
        if self.lengths is None or self.rows == 1:
            return None, batch_sizes(self.rows, self.most)
        counts = []
        for start in range(0, self.rows, CHUNK):
            chunk = taken(self.x, slice(start, start + CHUNK))
            faults = self.prepared.door.faults(chunk)
            if faults and not self.settings.marks:
                _refuse(faults[0], start)
            bad = _bad(faults, min(CHUNK, self.rows - start))
            (values,) = tree.leaves(self.numbers(taken(chunk, ~bad) if faults else chunk))
            counts.append(np.zeros(len(bad), int))
            counts[-1][~bad] = self.lengths.of(values)
        steps = np.concatenate(counts)
        order = np.argsort(-steps, kind="stable")
        shares = steps[order] / values.shape[1] if backend.name() == "numpy" and self.lengths.shrinks else None
        return order, batch_sizes(self.rows, self.most, shares)

    def _answers(self, batch: Any, numbers: Any) -> Any:
        """The outputs of the rows with these indices; a row without an answer is marked, or refused."""
        size, marks = len(numbers), self.settings.marks
        faults = self.prepared.door.faults(batch)
        if faults and (not marks or self.prepared.advance is not None):  # states are those of all rows
            _refuse(faults[0], numbers[0])
        bad = _bad(faults, size)
        if not bad.any():
            y, kept = self.outputs(batch, size), size
        else:
            kept = max(size - int(bad.sum()), 1)
            y = self.outputs(neutral(batch) if bad.all() else taken(batch, ~bad), kept)
        empty = unanswered(y, kept)
        if marks and (bad.any() or empty.any()):
            y, bad = spread(y, bad, empty)
            marked = np.asarray(numbers)[bad]
            self.marked += marked.tolist()
            self.whys[int(marked.min())] = _why(faults, np.flatnonzero(bad)[marked.argmin()])
        else:
            _require_tokens(batch, empty, numbers)
        return y

    def _checked(self, batch: Any, numbers: Any) -> Any:
        """The outputs of the rows with these indices, in which `Door.faults` has found nothing."""
        y = self.outputs(batch, len(numbers))
        if self.host is not None:
            _require_tokens(batch, unanswered(y, len(numbers)), numbers)
        return y


def _require_whole_batches(rows: int, batch_size: int) -> None:
    """Refuse batches of different sizes: a stateful model continues, row by row, from the batch before."""
    if rows > batch_size and rows % batch_size:
        divisors = [n for n in range(1, batch_size + 1) if rows % n == 0]
        raise InvalidInput(
            "a stateful model continues from the states of the previous batch, so all batches have the same size; "
            f"{rows} rows do not make batches of {batch_size}. Give batch_size={divisors[-1]} if that is what the rows "
            "mean, leave some rows out, or carry the states yourself: fnet.streaming"
        )


def _bad(faults: list[Fault], size: int) -> Any:
    """bool (size,): the rows with a fault."""
    return np.any([fault.rows for fault in faults], axis=0) if faults else np.zeros(size, bool)


def _why(faults: list[Fault], row: int) -> str:
    """What a row without an answer has."""
    fault = next((fault for fault in faults if fault.rows[row]), None)
    return "an output that is NaN" if fault is None else f"{fault.say(row)} in input {fault.name!r}"


def _require_tokens(batch: Any, empty: Any, numbers: Any) -> None:
    """Refuse texts without tokens, for which a model gives NaN. numbers: the indices of the rows."""
    if empty.any() and any(map(is_strings, tree.leaves(batch))):
        raise InvalidInput(
            f"row {numbers[int(empty.argmax())]} has a text without tokens, for which the model gives NaN; leave "
            'it out, or use invalid="mark"'
        )


def _refuse(fault: Fault, start: int) -> NoReturn:
    """start: the number of the first row of the batch."""
    row = int(fault.rows.argmax())
    raise InvalidInput(f"input {fault.name!r}, row {start + row} has {fault.say(row)}")
