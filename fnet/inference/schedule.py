"""How a batch is split into parts that fit the cache, for threads to run, where its rows are independent."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import math
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from fnet import backend, tree
from fnet.backend import ops
from fnet.core import infer, room
from fnet.core.layer import bind
from fnet.core.model import Model
from fnet.inference import processors
from fnet.inference.compile import Compiled
from fnet.inference.rows import taken
from fnet.layers import own_name
from fnet.layers.basic import embedding
from fnet.records import NamedTuple
from fnet.rewrites import is_recurrent
from fnet.types import Param, Params

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Cut: TypeAlias = Callable[[Any], Any]
T = TypeVar("T")
U = TypeVar("U")

PART = {"numpy": 12_000_000, "jax": 320_000_000}
"""Work of one part, as `Work.amount` counts it: little enough to stay in the cache. On NumPy much enough that threads,
of which one at a time runs Python, seldom wait for each other; on JAX much enough to pay for XLA's work on the kernels
in every call."""

TWO = {"numpy": 2_700_000, "jax": 225_000_000}
"""With more work, two parts are faster than one."""

HELD = 32 << 20
"""The most bytes of batches that run together."""

TABLES = ("table", "embeddings")
"""Params of a recurrent stack that are looked up, not multiplied: a step reads one row."""

SMALL = 30_000_000
"""Up to so much work one thread is faster than several, which wait for each other."""


LOOP = {"numpy": 64, "jax": 16}
"""The fewest rows of a part where a layer loops over time steps: a step of fewer rows costs nearly as much."""

LOOP_PART = 12_500_000
"""The least work for which a part with such a loop is worth its thread on JAX, however few its rows are."""

LOOP_STEP = 1_500_000
"""The least work of a step for which a part is worth its thread on NumPy: threads wait for their turn in each step."""


class Work(NamedTuple):
    """The approximate number of multiplications of a row; 0 where it is not known before the model runs."""

    row: float = 0.0
    parallel: float = 0.0
    """Those that do not wait for others: in recurrent layers, those of one time step."""
    loops: bool = False
    """Whether a layer loops over time steps."""
    memory: int = 0
    """The peak memory of a row, in bytes."""
    step: float = 0.0
    """The mean work of a layer, as in `fnet.core.room`."""

    @property
    def amount(self) -> float:
        """The work that decides on parts: on NumPy that of one layer, on JAX that of all."""
        return self.step if backend.name() == "numpy" else self.row


def row_work(model: Any, specs: Any) -> Work:
    """The work of a row: the entries of each kernel times the places where it is used. specs: of a batch."""
    try:
        seen = infer.trace(model, specs)
        works, needed = [_step_work(traced) for traced in seen], room.of_trace(seen)
    except (ValueError, TypeError, LookupError):
        return Work()
    layers = sum(not isinstance(traced.step, Model) for traced in seen)
    return Work(
        row=sum(work.row for work in works),
        parallel=max(work.parallel for work in works),
        loops=any(work.loops for work in works),
        memory=needed.memory,
        step=needed.work / max(1, layers),
    )


def _step_work(traced: infer.TracedStep) -> Work:
    if isinstance(traced.step, Model) or bind(traced.step).function is embedding:
        return Work()
    params = {path: p.shape for path, p in tree.items(traced.params) if isinstance(p, Param) and len(p.shape) > 1}
    kernels = sum(math.prod(d or 1 for d in shape) for path, shape in params.items() if path[-1] not in TABLES)
    bound = bind(traced.step)
    if is_recurrent(bound):
        return Work(_steps(traced) * kernels, kernels, loops=True)
    places = max((math.prod(d or 1 for d in s.shape[1:-1]) for s in tree.leaves(traced.outputs)), default=1)
    last_alone = "conv_lstm" in bound.function.__name__ and not bound.options.get("return_sequences")
    row = parallel = places * kernels
    if own_name(bound.function) == "winograd_conv2d":  # products of a row for each tile: BLAS threads do not share them
        parallel *= (bound.all_options["pool"] / bound.all_options["tile"]) ** 2
    return Work(row * (_steps(traced) if last_alone else 1), parallel)


def _steps(traced: infer.TracedStep) -> int:
    return tree.leaves(traced.inputs)[0].shape[1] or 1


def rows_at_once(batch_size: int, work: Work) -> int:
    """How many rows run at a time, in whole batches: several where they are little work and hold at most `HELD`."""
    if not work.amount:
        return batch_size
    rows = HELD / max(1, work.memory)
    rows = rows if work.loops else min(rows, 2 * PART[backend.name()] / work.amount)
    return batch_size * max(1, int(rows / batch_size))


def parts(rows: int, work: Work) -> list[slice]:
    """The rows of a batch in 1, 2, 4, ... even parts, which depend on the work of one row alone."""
    if work.loops:
        most = rows // LOOP[backend.name()]
        if backend.name() == "numpy":
            most = int(min(most, rows * work.parallel / LOOP_STEP))
        else:
            most = int(min(rows * work.row / LOOP_PART, max(2, most)))
        number = 1 << max(1, most).bit_length() - 1  # the largest power of two up to `most`
    else:
        total = rows * work.amount
        least = 2 if total > TWO[backend.name()] else 1
        wanted = min(rows, max(least, total / PART[backend.name()]))
        number = 1 << round(math.log2(wanted))  # the nearest power of two
    number = number if number <= rows else number // 2
    edges = [rows * i // number for i in range(number + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


class Schedule(NamedTuple):
    """How batches of one kind run."""

    slices: list[slice]
    """The parts, for threads; one where rows may depend on each other."""
    small: bool
    """Whether one BLAS thread is best for an undivided batch."""
    halves: bool = False
    """Whether to halve the parts where, after `cut`, the last is at most half as large as the first."""

    def run(self, model: Compiled, params: Params, batch: Any, workers: int | None, cut: Cut) -> Any:
        """`model(params, batch)`, in threads with one BLAS thread each where there are several parts.

        workers: how many threads; None: one for each processor of this process. cut: applied to each part first.
        """
        if len(self.slices) > 1:
            pieces = _pieces(batch, self.slices, cut)
            if self.halves and 2 * _size(pieces[-1]) <= _size(pieces[0]):
                pieces = _pieces(batch, _in_two(self.slices), cut)
            run = model.for_threads(params, pieces)
            if run is not None:
                with processors.one_blas_thread:
                    done = in_threads(run, pieces, min(workers or processors.count(), len(pieces)))
                if _of_rows(done, pieces):
                    return tree.map(lambda *arrays: np.concatenate(arrays), *done)
        if not self.small:
            return model(params, cut(batch))
        with processors.one_blas_thread:
            return model(params, cut(batch))


def as_it_is(part: Any) -> Any:
    """The `Cut` that changes nothing."""
    return part


def schedule(rows: int, work: Work, workers: int | None) -> Schedule:
    """The schedule of a batch of `rows` rows, by the work of one."""
    small = backend.name() == "numpy" and (work.parallel * rows <= SMALL or workers == 1)
    slices = parts(rows, work) if ops.on_cpu() else [slice(0, rows)]
    halves = work.loops and backend.name() == "jax" and len(slices) == 2 and rows * work.row >= 4 * LOOP_PART
    return Schedule(slices, small, halves and rows >= 2 * LOOP["jax"])


def _pieces(batch: Any, slices: list[slice], cut: Cut) -> list[Any]:
    return [cut(taken(batch, part)) for part in slices]


def _size(piece: Any) -> int:
    return sum(a.size for a in tree.leaves(piece))


def _in_two(slices: list[slice]) -> list[slice]:
    """Each slice in two even ones."""
    edges = [edge for part in slices for edge in (part.start, (part.start + part.stop) // 2)]
    return [slice(start, stop) for start, stop in itertools.pairwise([*edges, slices[-1].stop])]


def _of_rows(done: list[Any], pieces: list[Any]) -> bool:
    """Whether every output has a row for each row of its part, and the same shape in all parts."""
    shapes = [[a.shape for a in tree.leaves(y)] for y in done]
    sizes = [len(tree.leaves(piece)[0]) for piece in pieces]
    return all(
        shape[:1] == (size,) and shape[1:] == first[1:]
        for each, size in zip(shapes, sizes, strict=True)
        for shape, first in zip(each, shapes[0], strict=True)
    )


def in_threads(function: Callable[[T], U], items: list[T], workers: int) -> list[U]:
    """`[function(item) for item in items]` by this thread and `workers` - 1 others.

    This thread works too, so it never waits for a thread that has not begun.
    """
    results: dict[int, U] = {}
    todo = deque(enumerate(items))

    def drain() -> None:
        while todo:
            try:
                i, item = todo.popleft()
            except IndexError:
                return
            results[i] = function(item)

    helpers: list[Future[None]] = []
    try:
        with contextlib.suppress(RuntimeError):  # no thread can be started: this one does the work
            helpers += (_pool().submit(contextvars.copy_context().run, drain) for _ in range(workers - 1))
        drain()
    finally:
        todo.clear()
        errors = [helper.exception() for helper in helpers if not helper.cancel()]  # waits for what has begun
    for error in filter(None, errors):
        raise error
    # Where no thread could be started, the task is still in the pool's queue, and an older thread may have an item.
    return [results[i] if i in results else function(item) for i, item in enumerate(items)]


def started(work: Callable[[], T]) -> Callable[[], T]:
    """A function that returns `work()`, which a thread starts meanwhile; where none has, the caller runs it."""
    with contextlib.suppress(RuntimeError):  # no thread can be started
        task = _pool().submit(work)
        return lambda: work() if task.cancel() else task.result()
    return work


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """The thread pool; a forked process makes its own."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=64, thread_name_prefix="fnet")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
