"""Running a model: `jit`, `compile`, and `predict` for many rows, which checks what comes in at the door."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fnet import backend, modelling, tree
from fnet.backend import ops
from fnet.compose import Bound, Graph, Sequential, rules
from fnet.errors import InvalidInput
from fnet.hosting import split_host
from fnet.rows import apart, joined
from fnet.sources import Ref, describe, feed, only_item, references
from fnet.strings import is_strings, string_array
from fnet.types import Array, Params, Spec

Run: TypeAlias = Callable[[Any], Any]
Progress: TypeAlias = Callable[[int, int], None]


def jit(model: Any) -> Callable[[Params, Any], Any]:
    """`model` compiled by XLA on JAX, itself on NumPy: `(params, x) -> y` with the same results.

    Equal models share one compilation. A model that begins with strings runs that part in NumPy first.
    """
    return model if backend.name() == "numpy" else _jit(model)


@functools.lru_cache(maxsize=64)
def _jit(model: Any) -> Callable[[Params, Any], Any]:
    host, numeric = split_host(model)
    if host is not None and not numeric.names:
        run: Callable[[Params, Any], Any] = model  # all of it runs in NumPy, and may give strings
        return run
    traced = ops.jit(numeric)
    if host is None:
        return traced
    return lambda params, x: traced(params, host(params, x))


def compile(model: Any, params: Params) -> Run:  # noqa: A001 - the field's word
    """`f(x)`: the model with these parameters fixed, prepared once to be called often.

    What XLA cannot compile, because sizes in it depend on values (`bincount`, say), runs operation by operation.
    """
    if backend.name() == "numpy":
        return functools.partial(model, params)
    return _Compiled(model, tree.map(_on_device, params))


class _Compiled:
    """A model with its params: under jit, unless that turns out not to be possible."""

    def __init__(self, model: Any, params: Params) -> None:
        self.model, self.params, self.run = model, params, _jit(model)

    def __call__(self, x: Any) -> Any:
        try:
            return self.run(self.params, x)
        except ops.UNTRACEABLE:
            if self.run is self.model:
                raise
        self.run = self.model
        return self.model(self.params, x)


def _on_device(leaf: Any) -> Any:
    return ops.asarray(leaf)


class _Prepared(NamedTuple):
    """What `predict` knows about a model with its params, which are kept alive so that their ids stay theirs."""

    model: Any
    params: Params
    door: Door
    run: Run
    padded: bool
    """Whether batches are filled up to a power of two, with rows of their own, so that XLA compiles few shapes."""


_prepared: OrderedDict[tuple[str, int, int], _Prepared] = OrderedDict()
_PREPARED_KEPT = 8


def _prepare(model: Any, params: Params) -> _Prepared:
    """Door and compiled model, remembered for these very objects if their arrays are read-only, so cannot change."""
    if not all(_is_value(leaf) for leaf in tree.leaves(params)):
        return _made(model, params)
    key = (backend.name(), id(model), id(params))
    if key not in _prepared:
        _prepared[key] = _made(model, params)
        while len(_prepared) > _PREPARED_KEPT:
            _prepared.popitem(last=False)
    _prepared.move_to_end(key)
    return _prepared[key]


def _made(model: Any, params: Params) -> _Prepared:
    return _Prepared(model, params, Door(model), compile(model, params), backend.name() == "jax" and apart(model))


def _is_value(leaf: Any) -> bool:
    return not isinstance(leaf, np.ndarray) or not leaf.flags.writeable


def predict(model: Any, params: Params, x: Any, *, batch_size: int = 32, progress: Progress | None = None) -> Any:
    """The model on any number of rows, `batch_size` at a time: NumPy arrays in the model's output structure.

    x: an array, or a tuple, list or dict of arrays (strings too), rows first. Memory beyond the result does
    not grow with the number of rows. Outputs without a row for each of the input, such as sums over a batch, stand
    one batch behind the other, as in Keras. progress: called with (rows done, rows in all).

    Raises InvalidInput for what would give a wrong answer silently: NaN or infinity, ids beyond a table, a
    missing batch axis, wrong shapes, inputs of different lengths; the message names the row.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is the number of rows at a time, at least 1; got {batch_size}")
    prepared = _prepare(model, params)
    x = prepared.door.admit(x)
    rows = prepared.door.rows(x)
    if rows == 0:
        return _no_rows(model, params, x)
    return joined(_batches(prepared, x, rows, batch_size, progress), rows)


def _batches(
    prepared: _Prepared, x: Any, rows: int, batch_size: int, progress: Progress | None
) -> Iterator[tuple[int, int, Any]]:
    """(first row, rows, outputs) of every batch."""
    for start in range(0, rows, batch_size):
        batch = tree.map(lambda a: a[start : start + batch_size], x)  # noqa: B023 - called at once
        prepared.door.check(batch, start)
        size = min(batch_size, rows - start)
        wanted = min(batch_size, 1 << (size - 1).bit_length()) if prepared.padded else size
        if wanted == size:
            y = tree.map(ops.to_numpy, prepared.run(batch))
        else:
            y = prepared.run(tree.map(lambda a: a[np.arange(wanted) % size], batch))  # noqa: B023 - called at once
            y = tree.map(lambda a: ops.to_numpy(a)[:size], y)  # noqa: B023 - called at once
        yield start, size, y
        if progress is not None:
            progress(start + size, rows)


def _no_rows(model: Any, params: Params, x: Any) -> Any:
    """Zero rows in, zero rows out, with the right shapes and dtypes."""
    outputs, _ = modelling.infer(model, modelling.input_spec(model) or modelling.spec(x))
    return tree.map(lambda s: np.empty((0, *(d or 0 for d in s.shape[1:])), s.dtype), outputs)


class Door:
    """What stands between the outside and a model: structure, shapes, finite numbers, ids within tables."""

    def __init__(self, model: Any) -> None:
        self.specs = _input_specs(model)
        self.checks = list(_door_checks(model))
        self.inputs = model.inputs if isinstance(model, Graph) else "x"

    def admit(self, x: Any) -> Any:
        """`x` with lists of numbers or strings as arrays; shapes checked."""
        alone = self.specs.get(self.inputs) if isinstance(self.inputs, str) else None
        if isinstance(alone, Spec):
            x = only_item(x, alone.shape)
        x = _arrays(x, single=isinstance(self.inputs, str))
        for name, value in feed(self.inputs, x).items():
            if value is not None and self.specs.get(name) is not None:
                _check_kind(name, value, self.specs[name])
                _check_shape(name, value, self.specs[name])
        return x

    @staticmethod
    def rows(x: Any) -> int:
        """The number of rows that all inputs share."""
        leaves = tree.leaves(x)
        if not all(leaf.shape for leaf in leaves):
            raise InvalidInput(f"a single value where rows are wanted; put it in a list: got {describe(x)}")
        counts = {len(leaf) for leaf in leaves}
        if len(counts) != 1:
            raise InvalidInput(f"all inputs need the same number of rows; got {describe(x)}")
        return counts.pop()

    def check(self, batch: Any, start: int) -> None:
        """Raise InvalidInput, naming the row (from `start`), for values that must not come in."""
        values = feed(self.inputs, batch)
        for name, value in values.items():
            if value is not None and value.dtype.kind == "f" and not np.isfinite(value).all():
                bad = np.argwhere(~np.isfinite(value))[0]
                what = "NaN" if np.isnan(value[tuple(bad)]) else "infinity"
                raise InvalidInput(f"input {name!r}, row {start + int(bad[0])} has {what} at {_position(bad)}")
        for name, check in self.checks:
            if values.get(name) is None:
                continue
            try:
                check(values[name])
            except InvalidInput as error:
                error.add_note(f"in input {name!r}, rows counted from {start}")
                raise


def _position(index: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in index[1:])


def _arrays(x: Any, single: bool) -> Any:
    """Arrays from what users write. For one input a list of numbers, strings or rows is the array itself."""
    if isinstance(x, Mapping):
        return {key: _arrays(value, single) for key, value in x.items()}
    if isinstance(x, tuple | list) and not (single and not any(hasattr(item, "shape") for item in x)):
        return type(x)(_arrays(item, True) for item in x)
    if x is None or hasattr(x, "shape"):
        return x
    if is_strings(x):
        return string_array(x)
    try:
        return np.asarray(x)
    except ValueError as error:
        raise InvalidInput("rows of different lengths: pad them to one, or give one at a time") from error


def _check_kind(name: str, value: Any, wanted: Spec) -> None:
    """Numbers where numbers are wanted: NumPy would cast dates, drop imaginary parts, and make NaN of None."""
    kind = getattr(value.dtype, "kind", "")
    if wanted.dtype == "string" or kind not in "cmMOSTU" or (kind == "c" and wanted.dtype.startswith("complex")):
        return
    strings = kind in "STU" or (kind == "O" and isinstance(next(iter(value.flat), None), str | bytes))
    what = "strings" if strings else f"{value.dtype} values"
    hint = "; if they are numbers: x.astype('float32')" if kind == "O" and not strings else ""
    raise InvalidInput(f"input {name!r} holds {what}, the model takes {wanted.dtype}{list(wanted.shape)}{hint}")


def _check_shape(name: str, value: Any, wanted: Spec) -> None:
    shape = tuple(value.shape)
    if wanted.dtype == "string":
        return
    if _fits(shape, wanted.shape) or _fits(shape[:-1], wanted.shape) or _fits((*shape, 1), wanted.shape):
        return
    hint = "; add a batch axis: x[None]" if _fits((None, *shape), wanted.shape) else ""
    raise InvalidInput(f"input {name!r} has shape {shape}, the model takes {wanted.shape}{hint}")


def _fits(shape: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        w is None or d is None or d == w for d, w in zip(shape, wanted, strict=True)
    )


def _input_specs(model: Any) -> dict[str, Spec]:
    found = modelling.input_spec(model)
    if found is None:
        return {}
    return feed(model.inputs, found) if isinstance(model, Graph) else {"x": found}


def _door_checks(model: Any) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """(input name, check) for every layer with a door rule that reads an input directly."""
    if isinstance(model, Graph):
        yield from _graph_checks(model)
    elif isinstance(model, Sequential):
        step = next((s for _, s in model.steps if not _passes_on(s)), None)
        if step is not None:
            yield from _door_checks(step)
    elif (door := rules(model).door) is not None:
        yield "x", modelling.with_options(door, model)


def _graph_checks(model: Graph) -> Iterator[tuple[str, Callable[[Any], None]]]:
    for _, node in model.nodes:
        sources = node.sources.node if isinstance(node.sources, Ref) else node.sources
        if isinstance(sources, str) and sources in references(model.inputs):
            for name, check in _door_checks(node.step):
                if name == "x":
                    yield sources, check


def _passes_on(step: Any) -> bool:
    return not isinstance(step, Sequential | Graph) and rules(step).passes_on


def classes(model: Any, y: Array) -> np.ndarray[Any, Any]:
    """Scores (rows, k) -> class numbers (rows,): the largest score, or, for a single unit, above the middle.

    The middle of a single unit is that of `middle`. Raises InvalidInput where a score is NaN: there is no class then.
    """
    y = ops.to_numpy(y)
    if np.isnan(y).any():
        raise InvalidInput(f"row {int(np.argwhere(np.isnan(y))[0][0])} has NaN scores, so no class")
    if y.ndim == 1 or y.shape[-1] == 1:
        return np.asarray(y.reshape(len(y)) > middle(model), np.int64)
    return np.asarray(y.argmax(axis=-1))


def final_activation(model: Any) -> str:
    """The name of the activation that the (first) output of a model went through; "linear" when none did."""
    if isinstance(model, Sequential):
        return final_activation(model.steps[-1][1]) if model.steps else "linear"
    if isinstance(model, Graph):
        return final_activation(dict(model.nodes)[references(model.outputs)[0]].step)
    options = modelling.resolved_options(model)
    function = model.function if isinstance(model, Bound) else model
    named = options.get("activation", function.__name__)
    return named if isinstance(named, str) else "linear"


def middle(model: Any) -> float:
    """Where a single unit is between its two classes: 0.5 behind a sigmoid, 0 behind anything that gives logits."""
    probabilities = ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "sparse_sigmoid")
    return 0.5 if final_activation(model) in probabilities else 0.0
