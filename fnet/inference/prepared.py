"""What `predict` knows about a model before it runs, remembered for later calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fnet import backend, tree
from fnet.core import infer
from fnet.inference.compile import Compiled, jit_carried
from fnet.inference.door import Door
from fnet.inference.lengths import Lengths, lengths
from fnet.inference.rows import rows_independent
from fnet.inference.schedule import Cut, Schedule, Work, as_it_is, row_work, schedule
from fnet.latest import Latest
from fnet.layers.wrappers import carried
from fnet.records import NamedTuple
from fnet.types import Params

_prepared: Latest[tuple[int, int, str], Prepared] = Latest(8)
"""{(ids of the given model and of the one that runs, backend): its `Prepared`}."""


class Prepared(NamedTuple):
    """What `predict` knows about a model; its params come with each call."""

    original: Any
    """The model of the caller, kept alive so that its id stays unique."""
    model: Any
    """The model that runs."""
    takes: Any
    """The Specs of the inputs that the model declares, or None."""
    door: Door
    run: Compiled
    advance: Callable[[Params, Any, Any], tuple[Any, Any]] | None
    """`carried`, for a model that hands states from batch to batch."""
    lengths: Lengths | None
    """How rows are sorted by length where they are independent, if it pays."""
    apart: Latest[Any, bool]
    """{shapes and dtypes of a row, where the model declares none: whether the outputs of a row depend on it alone}."""
    works: Latest[Any, Work]
    """{shapes and dtypes of a row: its work}."""
    schedules: Latest[Any, Schedule]
    """{(workers, shapes and dtypes of a batch): its schedule}."""

    def rows_apart(self, batch: Any) -> bool:
        """Whether the outputs of each row of such a batch depend on that row alone, and are not handed on as states."""
        if self.advance is not None:
            return False
        key, takes = ((), self.takes) if self.takes is not None else _of_rows(batch)
        return self.apart.computed(key, lambda: rows_independent(self.original, takes))

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
        if not self.rows_apart(batch):
            return Work()
        key, specs = _of_rows(batch)
        return self.works.computed(key, lambda: row_work(self.model, specs))


def _of_rows(batch: Any) -> tuple[Any, Any]:
    """(shapes and dtypes of a row of a batch, the Specs of a batch of any number of such rows)."""
    specs = tree.map(lambda a: replace(infer.spec(a), shape=(None, *a.shape[1:])), batch)
    return tuple(tree.items(specs)), specs


def prepared(original: Any, model: Any) -> Prepared:
    """The door of the given model, and the compiled model that runs."""
    key = (id(original), id(model), backend.name())
    return _prepared.computed(key, functools.partial(_prepare, original, model))


def _prepare(original: Any, model: Any) -> Prepared:
    compiled, advance = backend.name() != "numpy", None
    if infer.keeps_states(model):
        advance = jit_carried(model) if compiled else functools.partial(carried, model)
    return Prepared(
        original=original,
        model=model,
        takes=infer.input_spec(original),
        door=Door(original),
        run=Compiled(model),
        advance=advance,
        lengths=lengths(model) if advance is None else None,
        apart=Latest(64),
        works=Latest(64),
        schedules=Latest(64),
    )
