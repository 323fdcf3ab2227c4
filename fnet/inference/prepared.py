"""What `predict` knows about a model before it runs, remembered for later calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from fnet import backend, tree
from fnet.core import infer
from fnet.inference.compile import Compiled, jit_carried
from fnet.inference.door import Door
from fnet.inference.lengths import Lengths, lengths
from fnet.inference.rows import rows_independent
from fnet.inference.schedule import Cut, Schedule, Work, as_it_is, row_work, schedule
from fnet.latest import Latest
from fnet.layers.wrappers import carried
from fnet.types import Params, Spec

_prepared: Latest[tuple[int, int, str], Prepared] = Latest(8)
"""{(ids of the given model and of the one that runs, backend): its `Prepared`}."""


class Prepared(NamedTuple):
    """What `predict` knows about a model; its params come with each call."""

    original: Any
    """The model of the caller, kept alive so that its id stays unique."""
    model: Any
    """The model that runs."""
    door: Door
    run: Compiled
    advance: Callable[[Params, Any, Any], tuple[Any, Any]] | None
    """`carried`, for a model that hands states from batch to batch."""
    padded: bool
    """Whether batches are padded to a power of two with copies of their rows, so that XLA compiles few shapes."""
    lengths: Lengths | None
    """How rows are sorted by length, where they are independent and it pays."""
    rows_independent: bool
    """Whether the outputs of a row depend on that row alone."""
    works: Latest[Any, Work]
    """{shapes and dtypes of a row: its work}."""
    schedules: Latest[Any, Schedule]
    """{(workers, shapes and dtypes of a batch): its schedule}."""

    @property
    def cut(self) -> Cut:
        """How the rows of a part are shortened before they run."""
        return as_it_is if self.lengths is None or backend.name() == "numpy" else self.lengths.shrunk

    def schedule_of(self, batch: Any, rows: int, workers: int | None) -> Schedule:
        """The schedule of a batch: undivided where rows may depend on each other."""
        key = (workers, *((path, a.shape, a.dtype) for path, a in tree.items(batch)))
        return self.schedules.computed(key, lambda: schedule(rows, self.work_of(batch), workers))

    def work_of(self, batch: Any) -> Work:
        """The work of one row of a batch; none where rows may depend on each other."""
        if not self.rows_independent:
            return Work()
        key = tuple((path, a.shape[1:], a.dtype) for path, a in tree.items(batch))
        specs = tree.map(lambda a: Spec((None, *a.shape[1:]), a.dtype.name), batch)
        return self.works.computed(key, lambda: row_work(self.model, specs))


def prepared(original: Any, model: Any) -> Prepared:
    """The door of the given model, and the compiled model that runs."""
    key = (id(original), id(model), backend.name())
    return _prepared.computed(key, functools.partial(_prepare, original, model))


def _prepare(original: Any, model: Any) -> Prepared:
    compiled, advance = backend.name() != "numpy", None
    if infer.keeps_states(model):
        advance = jit_carried(model) if compiled else functools.partial(carried, model)
    separate = advance is None and rows_independent(original)
    return Prepared(
        original=original,
        model=model,
        door=Door(original),
        run=Compiled(model),
        advance=advance,
        padded=compiled and separate,
        lengths=lengths(model) if separate else None,
        rows_independent=rows_independent(model),
        works=Latest(64),
        schedules=Latest(64),
    )
