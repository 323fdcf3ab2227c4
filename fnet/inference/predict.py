"""`predict`: a model on many rows, batch after batch, with what comes in checked at the door."""

from __future__ import annotations

import functools
import itertools
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np

from fnet import backend, tree
from fnet.backend import ops
from fnet.core import infer, parameters
from fnet.core.compose import EMPTY
from fnet.errors import InvalidInput, InvalidParams, InvalidRows
from fnet.inference.compile import Compiled, jit_carried
from fnet.inference.door import Door, Fault
from fnet.inference.lengths import CHUNK, Lengths, batch_sizes, lengths
from fnet.inference.optimized import Program, optimized
from fnet.inference.rows import joined, left_out, neutral, rows_independent, spread, unanswered
from fnet.inference.schedule import Cut, Schedule, Work, as_it_is, row_work, schedule
from fnet.layers.wrappers import carried, keeps_states
from fnet.strings import is_strings
from fnet.types import Params, Spec

Progress: TypeAlias = Callable[[int, int], None]


class _Prepared(NamedTuple):
    """What `predict` knows about a model; its params come with each call."""

    door: Door
    model: Any
    """What runs."""
    run: Compiled
    advance: Callable[[Params, Any, Any], tuple[Any, Any]] | None
    """`carried`, for a model whose states go from batch to batch."""
    padded: bool
    """Whether batches are filled up to a power of two, with rows of their own, so that XLA compiles few shapes."""
    lengths: Lengths | None
    """By what rows are sorted, where they do not reach each other and it pays."""
    rows_independent: bool
    """Whether no row can reach another."""
    schedules: dict[Any, Schedule]
    """{shapes and dtypes of a batch, workers: how it goes through the model}."""

    @property
    def cut(self) -> Cut:
        """What is cut off the rows of a part before they go through the model."""
        return as_it_is if self.lengths is None or backend.name() == "numpy" else self.lengths.shrunk

    def schedule_of(self, batch: Any, rows: int, workers: int | None) -> Schedule:
        """How a batch goes through the model: in one piece where rows can reach each other."""
        key = (workers, *((path, a.shape, a.dtype) for path, a in tree.items(batch)))
        made = self.schedules.get(key)
        if made is None:
            specs = tree.map(lambda a: Spec((None, *a.shape[1:]), a.dtype.name), batch)
            work = row_work(self.model, specs) if self.rows_independent else Work()
            made = self.schedules[key] = schedule(rows, work, workers)
            if len(self.schedules) > 64:
                self.schedules.clear()
        return made


class _Same:
    """A key for this very object, which it keeps alive."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


@functools.lru_cache(maxsize=8)
def _prepare(given: _Same, runs: _Same, name: str) -> _Prepared:
    """The door of the model that was given and the one that runs, compiled, remembered for both and the backend."""
    model, compiled = runs.value, name != "numpy"
    advance = None
    if keeps_states(model):
        advance = jit_carried(model) if compiled else functools.partial(carried, model)
    door = Door(given.value)
    separate = advance is None and rows_independent(given.value)
    by = lengths(model) if separate else None
    return _Prepared(door, model, Compiled(model), advance, compiled and separate, by, rows_independent(model), {})


def predict(
    model: Any,
    params: Params,
    x: Any,
    *,
    batch_size: int = 32,
    progress: Progress | None = None,
    invalid: str = "raise",
    optimize: bool = True,
    workers: int | None = None,
) -> Any:
    """The model on any number of rows, `batch_size` at a time: NumPy arrays in the model's output structure.

    x: an array, tensor, table or list, or a tuple, list or dict of them (strings too), rows first. Memory beyond the
    result does not grow with the number of rows. Outputs without a row for each of the input, such as sums over a
    batch, come one batch after the other, as in Keras. Layers with `stateful` go on, in each batch, from where the
    one before ended; each call begins with zeros. progress: called with (rows done, rows in all).
    invalid: what happens to rows that have no answer (NaN or infinity, ids beyond a table, no text, a text without
    tokens): "raise" names the first in an InvalidInput; "mark" leaves them out and marks them in the outputs, with
    NaN in floats, -1 in integers (the largest in unsigned ones), False and "", and an InvalidRows warning says which.
    optimize: whether what runs is `fnet.optimize(model, params)`, which is done once for arrays that are read-only;
    without, and for arrays that can change, it is the model itself.
    workers: the most threads that share the rows of a batch; None for as many as there are processors for
    this process, by its affinity, the quota of its container, and OPENBLAS_NUM_THREADS or OMP_NUM_THREADS. The values
    are the same for any number.

    Raises InvalidInput for what would give a wrong answer without a word: rows as above, a missing batch axis, wrong
    shapes, inputs of different lengths; InvalidParams where the params are not those of the model.
    """
    _require_order(model, params)
    if invalid not in ("raise", "mark"):
        raise ValueError(f"invalid={invalid!r}: use 'raise' or 'mark'")
    size = _whole(batch_size)
    workers = None if workers is None else _whole(workers, "workers")
    program = optimized(model, params, optimize)
    kind = _kind(x, size, workers) if invalid == "raise" and progress is None else None
    again = program.calls.get(kind)
    if again is not None and not again.prepared.door.faults(x, 0):
        return again(program.params, x)
    prepared = _prepare(_Same(model), _Same(program.model), backend.name())
    given, x = x, prepared.door.admit(x)
    rows = prepared.door.rows(x)
    try:
        if rows == 0:
            return _no_rows(model, params, x)
        if prepared.advance is not None:
            _require_whole_batches(rows, size)
        call = _Call(prepared, program, invalid == "mark", size, workers)
        outputs = joined(call.batches(x, rows, progress), rows)
    except (KeyError, InvalidParams) as error:
        _require_fitting(model, params, x, error)
        raise
    if call.marked:
        warnings.warn(InvalidRows(_said(call.marked, rows), call.marked), stacklevel=2)
    if kind is not None and given is x and (again := call.again(x, rows)) is not None:
        program.calls[kind] = again
    return outputs


def _kind(x: Any, batch_size: int, workers: int | None) -> Any:
    """What all that `predict` decides for an array depends on, except for its numbers; None for what is no array."""
    is_array = x.__class__ is np.ndarray or ops.is_array(x)
    return (x.__class__, x.shape, x.dtype, batch_size, workers) if is_array else None


class _Again(NamedTuple):
    """A call of a kind that there was before, with the same params."""

    run: Compiled
    prepared: _Prepared
    schedule: Schedule
    workers: int | None

    def __call__(self, params: Params, x: Any) -> Any:
        y = self.schedule.run(self.run, params, x, self.workers, self.prepared.cut)
        return tree.map(ops.to_numpy, y)


class _Call:
    """One call of `predict`: batch after batch."""

    def __init__(self, prepared: _Prepared, program: Program, mark: bool, batch_size: int, workers: int | None) -> None:
        self.prepared, self.params, self.mark, self.batch_size = prepared, program.params, mark, batch_size
        self.run = program.run or prepared.run
        self.workers = workers
        self.drawn = any(path[-1] == "rng" for path, _ in tree.items(program.params))
        self.padded = prepared.padded and not self.drawn  # how many bits are drawn shows in each of them
        self.lengths = prepared.lengths if not mark and not self.drawn else None
        self.state: Any = EMPTY
        self.marked: list[int] = []

    def batches(self, x: Any, rows: int, progress: Progress | None) -> Iterator[tuple[Any, int, Any]]:
        """(rows of every batch, their number, outputs): the rows are a slice, or, sorted by length, their numbers."""
        order, sizes = self.by_length(x, rows)
        for start, size in zip(itertools.accumulate(sizes, initial=0), sizes, strict=False):
            places = slice(start, start + size) if order is None else order[start : start + size]
            batch = tree.map(lambda a: a[places], x)  # noqa: B023 - called at once
            y = self.batch(batch, start, size) if order is None else self.outputs(batch, size)
            if progress is not None:
                progress(start + size, rows)
            yield places, size, y

    def by_length(self, x: Any, rows: int) -> tuple[Any, list[int]]:
        """(the rows, the longest first, all of them checked; None to take them as they come; the sizes of batches)."""
        if self.lengths is None or rows == 1:
            return None, batch_sizes(rows, self.batch_size)
        for start in range(0, rows, CHUNK):
            for fault in self.prepared.door.faults(tree.map(lambda a: a[start : start + CHUNK], x), start):  # noqa: B023
                _refuse(fault)
        (values,) = tree.leaves(x)
        steps = self.lengths.of(values)
        order = np.argsort(-steps, kind="stable")
        if backend.name() != "numpy" or not self.lengths.shrinks:
            return order, batch_sizes(rows, self.batch_size)
        return order, batch_sizes(rows, self.batch_size, steps[order] / values.shape[1])

    def batch(self, batch: Any, start: int, size: int) -> Any:
        """The outputs of one batch, with its rows without an answer marked."""
        bad = np.zeros(size, bool)
        for fault in self.prepared.door.faults(batch, start):
            if not self.mark or self.prepared.advance is not None:  # states are those of all rows
                _refuse(fault)
            bad |= fault.rows
        if not bad.any():
            y, kept = self.outputs(batch, size), size
        else:
            kept = max(size - int(bad.sum()), 1)
            y = self.outputs(neutral(batch) if bad.all() else left_out(batch, bad), kept)
        empty = unanswered(y, kept)
        if self.mark and (bad.any() or empty.any()):
            y, bad = spread(y, bad, empty)
            self.marked += [start + int(row) for row in np.flatnonzero(bad)]
        elif empty.any() and any(map(is_strings, tree.leaves(batch))):
            raise InvalidInput(
                f"row {start + int(empty.argmax())} has a text without tokens, for which the model gives NaN; leave "
                'it out, or use invalid="mark"'
            )
        return y

    def outputs(self, batch: Any, size: int) -> Any:
        """The outputs of a batch as NumPy arrays."""
        if self.prepared.advance is not None:
            y, self.state = self.prepared.advance(self.params, batch, self.state)
            return tree.map(ops.to_numpy, y)
        filled = self.filled(size)
        if filled != size:
            batch = tree.map(lambda a: a[np.arange(filled) % size], batch)
        y = self.run(self.params, batch) if self.drawn else self.in_parts(batch, filled)
        return tree.map(lambda a: ops.to_numpy(a)[:size], y) if filled != size else tree.map(ops.to_numpy, y)

    def filled(self, size: int) -> int:
        """How many rows a batch of `size` is filled up to."""
        return min(self.batch_size, 1 << (size - 1).bit_length()) if self.padded else size

    def in_parts(self, batch: Any, rows: int) -> Any:
        """The outputs of a batch, which may go through the model in parts."""
        made = self.prepared.schedule_of(batch, rows, self.workers)
        cut = self.prepared.cut if self.lengths is not None else as_it_is
        return made.run(self.run, self.params, batch, self.workers, cut)

    def again(self, x: Any, rows: int) -> _Again | None:
        """How a call with other numbers goes; None where it would not be one batch that goes the way of this one."""
        if self.drawn or self.prepared.advance is not None or x.dtype.kind not in "biuf":
            return None
        whole = rows <= self.batch_size and rows == self.filled(rows)
        if not whole or (rows > 1 and self.lengths is not None):
            return None
        return _Again(self.run, self.prepared, self.prepared.schedule_of(x, rows, self.workers), self.workers)


def _refuse(fault: Fault) -> NoReturn:
    raise InvalidInput(fault.say(int(fault.rows.argmax())))


def _require_order(model: Any, params: Any) -> None:
    """The arguments are (model, params, x)."""
    if callable(params) and isinstance(model, Mapping):
        raise InvalidInput("the order is predict(model, params, x); got the params first, then the model")
    if not callable(model) or not isinstance(params, dict | Mapping):
        raise InvalidInput(
            f"predict takes (model, params, x): a model and a dict of arrays; got a {type(model).__name__} and a "
            f"{type(params).__name__}"
        )


def _whole(number: Any, name: str = "batch_size") -> int:
    """A number of rows (or threads) as an int: whatever means a whole number of at least 1."""
    what = {"batch_size": "the number of rows at a time", "workers": "the number of threads"}[name]
    if number.__class__ is int and number > 0:
        return number
    text = isinstance(number, str) and number.strip().isdecimal()
    try:
        exact = isinstance(number, float | np.floating) and float(number).is_integer()
        size = int(number) if text or exact else operator.index(number)
    except TypeError as error:
        raise InvalidInput(
            f"{name} is {what}, an int of at least 1; got {number!r:.40} of the type {type(number).__name__}"
        ) from error
    if size < 1:
        raise InvalidInput(f"{name} is {what}, at least 1; got {number}")
    return size


def _require_whole_batches(rows: int, batch_size: int) -> None:
    """A stateful model goes on, row by row, from the batch before, so every batch needs the same rows."""
    if rows > batch_size and rows % batch_size:
        divisors = [n for n in range(1, batch_size + 1) if rows % n == 0]
        raise InvalidInput(
            f"a stateful model goes on from the states of the batch before, so all batches have one size; {rows} rows "
            f"do not make batches of {batch_size}. Give batch_size={divisors[-1]} if that is what the rows mean, cut "
            "the rows, or carry the states yourself: fnet.streaming"
        )


def _require_fitting(model: Any, params: Params, x: Any, error: Exception) -> None:
    """Raise InvalidParams, as `fnet.check` says it, where params that are missing are the cause of an error."""
    known = infer.input_spec(model) is not None
    lines = parameters.differences(model, params, *(() if known else (infer.spec(x),)))
    if lines:
        raise InvalidParams("these parameters do not fit the model:\n  " + "\n  ".join(lines)) from error


def _said(marked: list[int], rows: int) -> str:
    shown = ", ".join(map(str, marked[:10])) + (", ..." if len(marked) > 10 else "")
    return f"{len(marked)} of {rows} rows have no answer and are marked: rows {shown}"


def _no_rows(model: Any, params: Params, x: Any) -> Any:
    """Zero rows in, zero rows out, with the right shapes and dtypes."""
    outputs, _ = infer.infer(model, infer.input_spec(model) or infer.spec(x))
    return tree.map(lambda s: np.empty((0, *(d or 0 for d in s.shape[1:])), s.dtype), outputs)
