"""The errors that fnet raises on purpose. `params` adds its own family for model files."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Iterator, Sequence

OBEYED = "[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
"""Control characters, line ends and changes of the writing direction, which terminals execute."""


def printable(text: str) -> str:
    """A name from a file, for messages: control characters become Python's escapes."""
    return re.sub(OBEYED, lambda match: repr(match[0])[1:-1], text)


class InvalidInput(ValueError):
    """An input does not fit the model: structure, shape, dtype, range, NaN."""


IN_32_BITS = " (JAX computes in 32 bits: set JAX_ENABLE_X64=1 for 64, or give floats)"
"""Follows the dtype in messages about integers that do not fit in 32 bits."""


class OutOfMemory(InvalidInput, MemoryError):
    """A step of a model needs more memory than there is; smaller batches need less."""


class InvalidRows(UserWarning):
    """Some rows have no answer, and are marked in the outputs; rows: their numbers, why: what the first has."""

    def __init__(self, message: str, rows: Sequence[int] = (), why: str = "") -> None:
        super().__init__(message)
        self.rows, self.why = rows, why


class InvalidParams(ValueError):
    """A parameter tree does not fit the model: leaves are missing, extra, or of the wrong shape."""


class MissingBackend(ImportError):
    """The selected backend is unknown, or its package is not installed."""


class MissingExtra(ImportError):
    """A package that only a part of fnet needs is not installed; the message names the extra that brings it."""


EXTRAS = {
    "images": ("PIL",),
    "parquet": ("pyarrow",),
    "jax": ("jax", "jaxlib"),
    "onnx": ("jax2onnx", "onnxruntime", "onnx", "jax", "jaxlib"),
    "keras": ("keras", "tensorflow", "datasets", "sklearn", "jinja2", "rich", "PIL"),
    "sklearn": ("sklearn",),
    "completion": ("shtab",),
}
"""{extra: the packages that it brings}."""

OURS = ("fnet", "params", "compare", "train_keras")
"""The packages of this project; a wheel carries the others inside the first."""


@contextlib.contextmanager
def needing(extra: str, what: str, error_type: type[ImportError] = MissingExtra) -> Iterator[None]:
    """For `with`, or as a decorator: `what` needs packages of an extra; an error says so where one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS[extra]:
            raise
        raise error_type(
            f"{what} needs {package}, which is not installed: pip install 'fnet-layers[{extra}]'"
        ) from error


class ExportError(ValueError):
    """A model cannot be exported: the target lacks something, or computes other values. Nothing was written."""


def warn(message: Warning | str, category: type[Warning] = UserWarning) -> None:
    """A warning at the line that called us, however deep below it this is."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def require_count(arrays: Sequence[object], count: int) -> None:
    """Refuse too few or too many arrays for the inputs of an exported program."""
    if len(arrays) != count:
        raise InvalidInput(f"the program takes {count} array(s), one for each input, in order; got {len(arrays)}")


def no_answer(names: Sequence[object], rows: int, why: str) -> str:
    """The message of a warning about rows without an answer; why: what the first has."""
    shown = ", ".join(map(str, names[:10])) + ", ..." * (len(names) > 10)
    return f"no answer for {len(names)} of {rows} rows, which are marked: {shown}" + (
        why and f"; row {names[0]} has {why}"
    )
