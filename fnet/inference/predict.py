"""`predict`: run a model on many rows, batch by batch, and check the inputs first."""

from __future__ import annotations

import operator
import weakref
from typing import Any

import numpy as np

from fnet import backend, tree
from fnet.backend import ops
from fnet.core import infer, parameters
from fnet.core.diagnosis import require_order
from fnet.errors import InvalidInput, InvalidParams
from fnet.inference.batches import Progress, Runner, Settings
from fnet.inference.device import require_values
from fnet.inference.in_predict import in_predict
from fnet.inference.optimized import Program, Remembered, optimized
from fnet.inference.prepared import prepared
from fnet.inference.rows import joined, own
from fnet.latest import Latest
from fnet.types import Params, Spec


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

    The values are those of Keras's `predict`; for integers into preprocessing layers see `fnet.in_predict`.
    x: an array, tensor, table or list, or a tuple, list or dict of them (strings too), rows first. Memory beyond the
    result does not grow with the number of rows. Several small batches run at a time, unless `progress` reports on
    each. Outputs without a row for each row of the input, such as sums over a batch, are concatenated, as in Keras.
    Layers with `stateful` start each batch from the state after the batch before; each call starts from zeros.
    progress: called with (rows done, rows in all).
    invalid: what happens to rows that have no answer (NaN or infinity, ids beyond a table, no text, a text without
    tokens): "raise" names the first in an InvalidInput; "mark" leaves them out and marks them in the outputs, with
    NaN in floats, -1 in integers (the largest number in unsigned ones), False and "", and an InvalidRows warning lists
    them.
    optimize: whether to run `fnet.optimize(model, params)`, made once, where all params are read-only. Params that
    can change always run in the model itself.
    workers: the most threads that share the rows of a batch; None: one for each processor that this process may use,
    by its affinity, the quota of its container, and OPENBLAS_NUM_THREADS or OMP_NUM_THREADS. The values are the same
    for any number.

    Raises InvalidInput for input that would silently give a wrong answer: rows as above, a missing batch axis, wrong
    shapes, inputs of different lengths; InvalidParams where params are missing (`fnet.check` compares all of them).
    """
    if invalid not in ("raise", "mark"):
        raise ValueError(f"invalid={invalid!r}: use 'raise' or 'mark'")
    size = _whole(batch_size)
    workers = None if workers is None else _whole(workers, "workers")
    kind: Any = None  # all that the decisions below depend on, except for the numbers
    if progress is None and invalid == "raise" and (x.__class__ is np.ndarray or ops.is_array(x)):
        kind = (x.__class__, x.shape, x.dtype, size, workers)
    place = (id(model), id(params), optimize, backend.name(), kind)
    if (outputs := _as_before(place, params, x)) is not None:
        return outputs
    require_order("predict(model, params, x)", model, params)
    settings = Settings(size, workers, invalid == "mark", progress is None)
    program = optimized(model, params, optimize)
    if (outputs := _as_with_such_params(place, program, x)) is not None:
        return outputs
    known = prepared(model, program.model)
    admitted = known.door.admit(x)
    require_values(admitted)
    admitted = ops.gathered(admitted)
    try:
        if (rows := known.door.rows(admitted)) == 0:
            return _no_rows(model, params, admitted)
        runner = Runner(known, program, settings, admitted, rows)
        answers = joined(runner.batches(progress), rows)
    except (KeyError, InvalidParams) as error:
        _require_fitting(model, params, admitted, error)
        raise
    runner.warn_of_marked()
    outputs = own(answers, [admitted, program.params]) if backend.name() == "numpy" else answers  # JAX's are read-only
    repeats = kind is not None and program.calls.most and admitted is x and outputs is answers
    if repeats and (again := runner.again()) is not None:
        program.calls.keep(kind, again)
    return outputs


_places: Latest[tuple[int, int, bool, str, Any], weakref.ref[Remembered]] = Latest(64)
"""{(ids of model and params, optimize, backend, kind of call): where the program of the last such call is kept}."""


def _as_before(place: tuple[int, int, bool, str, Any], params: Params, x: Any) -> Any:
    """The outputs, if there was such a call with the same params; None if not, or where a row has no answer.

    It runs few lines: after some 15 µs XLA's threads sleep, and what comes then takes three times as long.
    """
    reference = _places.get(place)
    remembered = None if reference is None else reference()
    again = None if remembered is None else remembered.program.calls.get(place[-1])
    if remembered is None or again is None:
        return None
    pending = None if again.begin is None else again.begin(x)  # what XLA computes, while the params are compared
    known = remembered.params_of(params)
    return None if known is None else again.outputs(known, x, pending)


def _as_with_such_params(place: tuple[int, int, bool, str, Any], program: Program, x: Any) -> Any:
    """The outputs, if there was such a call with params of the same arrays; None if not, or a row has no answer."""
    again = None if program.remembered is None else program.calls.get(place[-1])
    if program.remembered is None or again is None:
        return None
    _places.keep(place, weakref.ref(program.remembered))
    return again.outputs(program.params, x)


def _whole(number: Any, name: str = "batch_size") -> int:
    """A number of rows (or threads) as an int: anything that means a whole number of at least 1."""
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


def _require_fitting(model: Any, params: Params, x: Any, error: Exception) -> None:
    """Raise InvalidParams, as `fnet.check` does, where missing params are the cause of an error."""
    known = infer.input_spec(model) is not None
    lines = parameters.differences(model, params, *(() if known else (infer.spec(x),)))
    if lines:
        raise InvalidParams("these parameters do not fit the model:\n  " + "\n  ".join(lines)) from error


def _no_rows(model: Any, params: Params, x: Any) -> Any:
    """Zero rows in, zero rows out, with the right shapes and dtypes."""
    takes = tree.map(lambda spec: Spec((None, *(d or None for d in spec.shape[1:])), spec.dtype), infer.spec(x))
    outputs, _ = infer.infer(in_predict(model), takes)
    dtypes = {"string": "object", "bfloat16": "float32"}
    return tree.map(lambda s: np.empty((0, *(d or 0 for d in s.shape[1:])), dtypes.get(s.dtype, s.dtype)), outputs)
