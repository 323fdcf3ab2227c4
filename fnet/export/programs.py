"""`to_onnx` and `to_stablehlo`: a model with its params as one program, compared with fnet before it is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fnet import backend, tree, writing
from fnet.core import infer, parameters
from fnet.core.compose import input_names
from fnet.core.sources import references
from fnet.errors import ExportError, InvalidInput, needing, require_count
from fnet.export.exactness import Verdict, drawn, verdicts
from fnet.inference.arrays import array
from fnet.inference.in_predict import in_predict
from fnet.inference.string_split import has_host
from fnet.types import Params, Spec

OPSET = 21
ROWS = (1, 3)
"""The sizes of the batches that are compared."""


@needing("onnx", "to_onnx")
def to_onnx(
    model: Any, params: Params, path: str | os.PathLike[str], *input_shapes: Any, opset: int = OPSET
) -> list[Verdict]:
    """Write a model with its params as an ONNX file; the number of rows is free. Returns a verdict for each output.

    Inputs have the names of the model's, outputs are in the order of their leaves. Needs jax, jax2onnx and
    onnxruntime, neither Keras nor TensorFlow.
    Raises fnet.ExportError for a model that takes strings or cannot be converted, or whose program differs from the
    model in ONNX Runtime; nothing is written then.
    """
    writing.require_format(path, ".onnx")
    from fnet.backend import jax_lowering

    convert = partial(jax_lowering.onnx, opset=opset)
    return _write(model, params, path, input_shapes, convert, load_onnx)


@needing("jax", "to_stablehlo")
def to_stablehlo(model: Any, params: Params, path: str | os.PathLike[str], *input_shapes: Any) -> list[Verdict]:
    """Write a model with its params as StableHLO of `jax.export`, for CPU, CUDA and TPU; the number of rows is free.

    `load_stablehlo` reads it as a function. The errors are those of `to_onnx`. Needs jax.
    """
    writing.require_format(path, ".stablehlo")
    from fnet.backend import jax_lowering

    return _write(
        model, params, path, input_shapes, lambda f, specs, _: jax_lowering.stablehlo(f, specs), load_stablehlo
    )


@needing("jax", "load_stablehlo")
def load_stablehlo(source: bytes | str | os.PathLike[str]) -> Callable[..., list[Any]]:
    """The function in a file of `to_stablehlo`: one array for each input, in order -> the leaves of the outputs.

    Arrays are cast as by `load_onnx`, and the errors are the same; those of JAX stay on their device, cast unseen.
    """
    from fnet.backend import jax_lowering

    with _reading():
        dtypes, run = jax_lowering.called(source if isinstance(source, bytes) else Path(source).read_bytes())
    return _taking(dtypes, run)


@needing("onnx", "load_onnx")
def load_onnx(source: bytes | str | os.PathLike[str]) -> Callable[..., list[Any]]:
    """The function in an ONNX file, in ONNX Runtime on a CPU: one array for each input, in order -> the outputs.

    Arrays are cast to the dtypes that the file takes; the function raises fnet.InvalidInput for numbers that are others
    then: integers keep no fractions, and those of 32 bits none beyond.
    Raises fnet.InvalidInput for what is not such a file, OSError where there is none.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    with _reading():
        if not isinstance(source, bytes):
            Path(source).stat()  # ONNX Runtime has an error of its own for a missing file
        program = source if isinstance(source, bytes) else os.fspath(source)
        session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
    takes = {item.name: _DTYPES.get(item.type, item.type[len("tensor(") : -1]) for item in session.get_inputs()}

    def run(*arrays: Any) -> list[Any]:
        return list(session.run(None, dict(zip(takes, arrays, strict=True))))

    called = _taking([*takes.values()], run)
    return lambda *arrays: called(*map(_off_device, arrays))


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """The libraries that read programs may raise anything: here, InvalidInput."""
    try:
        yield
    except (OSError, TypeError, ImportError):
        raise
    except Exception as error:
        raise InvalidInput(f"the program cannot be read: {type(error).__name__}: {error}"[:400]) from error


def _taking(dtypes: Sequence[str], run: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """`run`, which takes arrays of these dtypes, for arrays of any."""

    def call(*arrays: Any) -> list[Any]:
        require_count(arrays, len(dtypes))
        return run(*map(_cast, arrays, dtypes))

    return call


def _is_jax(x: Any) -> bool:
    return type(x).__module__.startswith("jax")


def _off_device(x: Any) -> Any:
    """An array of JAX as NumPy's."""
    return np.asarray(x) if _is_jax(x) else x


def _cast(x: Any, dtype: str) -> Any:
    """`x` in the dtype of an input. Raises InvalidInput for numbers that an input of integers does not hold."""
    if _is_jax(x):  # it stays on its device, and may be traced: its values are not looked at
        return x.astype(dtype)
    given = array(x)
    try:
        with np.errstate(all="ignore"):
            cast = given.astype(dtype) if given.dtype != dtype else given
    except ValueError as error:
        raise InvalidInput(f"the program takes {dtype}: {error}") from error
    if cast.dtype.kind in "iub" and not np.array_equal(cast, given):
        at = tuple(np.argwhere(cast != given)[0].tolist())
        raise InvalidInput(f"the program takes {dtype}, which does not hold {given[at]} at {at}")
    return cast


_DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(string)": "object"}
"""{name in ONNX Runtime: dtype of NumPy}, where they differ."""


def flat(model: Any, params: Params, takes: Any) -> tuple[Callable[..., Any], list[Spec], list[str]]:
    """(function from one array for each input to the list of outputs, specs of the inputs, names of the inputs)."""
    specs, names = tree.leaves(takes), references(input_names(model))
    if len(names) != len(specs):
        names = [f"x{i}" for i in range(len(specs))]

    def f(*arrays: Any) -> list[Any]:
        left = iter(arrays)
        return tree.leaves(model(params, tree.map(lambda spec: next(left), takes)))

    return f, specs, names


def _write(
    model: Any,
    params: Params,
    path: str | os.PathLike[str],
    input_shapes: tuple[Any, ...],
    convert: Callable[[Callable[..., Any], Sequence[Spec], Sequence[str]], bytes],
    load: Callable[[bytes], Callable[..., list[Any]]],
) -> list[Verdict]:
    parameters.check(model, params, *input_shapes)
    if has_host(model):
        raise ExportError(
            "the model takes strings or looks up tokens, which no array program does: export what comes after them, "
            'part = model["embedding":] or fnet.cut(model, inputs=("age", "lookup")), with fnet.pruned(part, params) '
            'and, where it has no input layer, what it takes: fnet.Spec((None, 100), "int32")'
        )
    model, takes = in_predict(model), infer.inputs_of(model, input_shapes)
    f, specs, names = flat(model, params, takes)
    try:
        with backend.using("jax"):
            program = convert(f, specs, names)
    except ImportError:
        raise
    except Exception as error:  # converters are not our code, and may raise anything
        why = f"it cannot be converted: {type(error).__name__}: {error}"
        if any(None in spec.shape[1:] for spec in specs):
            why = f"{why.splitlines()[0]}; sizes are free here: give them, (None, 100, 3), or in a shell --size 100"
        raise ExportError(why[:400]) from error
    batches = [_compared(model, params, drawn(takes, rows), program, load) for rows in ROWS]
    writing.write(path, program)
    return [verdict for of_batch in batches for verdict in of_batch]


def _compared(
    model: Any, params: Params, x: Any, program: bytes, load: Callable[[bytes], Callable[..., list[Any]]]
) -> list[Verdict]:
    """The verdicts of one batch. Raises ExportError where one does not hold."""
    try:
        found = [np.asarray(y) for y in load(program)(*tree.leaves(x))]
    except ImportError:
        raise
    except Exception as error:
        raise ExportError(f"the program does not run: {type(error).__name__}: {error}"[:400]) from error
    with backend.using("numpy"):
        of_batch = verdicts(model, params, x, found)
    for number, verdict in enumerate(of_batch):
        if not verdict.holds:
            raise ExportError(
                f"output {number} of the program is off by {verdict.error:.1e} of the largest value, where "
                f"{verdict.allowed:.1e} is allowed: nothing was written"
            )
    return of_batch
