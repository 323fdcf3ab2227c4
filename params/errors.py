"""The errors of model files. A loader raises nothing else, whatever the bytes.

Messages give the rule, what was found and where, what was expected and the likely fix, in at most about 400 characters;
names from a file are shown with `quoted`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

LONGEST = 400


class ModelFileError(ValueError):
    """A model file cannot be loaded. The subclasses say why."""


class UnsafeFile(ModelFileError):
    """The file contains something that is not data: code, a path, a link, an import."""


class CorruptFile(ModelFileError):
    """The file is broken: truncated, of another format than it claims, or inconsistent."""


class UnsupportedLayer(ModelFileError):
    """A layer, operation or option that fnet cannot reproduce exactly."""


class WeightsMismatch(ModelFileError):
    """The arrays in the file are not those of the model that the file describes."""


class LimitExceeded(ModelFileError):
    """The file exceeds the limits of the load."""


class WeightsWarning(UserWarning):
    """Arrays of a file were left out, or could be confused with each other."""


def quoted(name: object, width: int = 80) -> str:
    """A name from a file, made harmless for a message: its repr, cut to `width`."""
    text = repr(name)
    return text if len(text) <= width else text[: width - 3] + "..."


def own_function(name: object, function: str = "my_layer", place: str = "FILE.py:my_layer") -> str:
    """For messages: how to pass a function of one's own for a class or layer of this name."""
    text = quoted(name)
    return f"load_keras(..., custom={{{text}: {function}}}), --custom {text[:-1]}={place}{text[-1]} in a shell"


def around_graph(class_name: str) -> str:
    """The message for a subclass of Model of which a file has the graph."""
    return (
        f"{quoted(class_name)} is a subclass of Model around a graph, and may compute something other than the graph "
        "says. If it does not, as one with a train_step of its own, say so: "
        f"{own_function(class_name, 'fnet.graph', 'fnet:graph')}"
    )


DAMAGE = (MemoryError, RecursionError, struct.error, zlib.error, ArithmeticError, LookupError, ValueError)
"""What reading damaged bytes can raise: ModelFileErrors, and errors of Python itself."""


class Retold(AbstractContextManager[None]):
    """Errors of these kinds in a `with` block are replaced by the result of `clear`, which may be the error itself."""

    def __init__(self, kinds: tuple[type[Exception], ...], clear: Callable[[Exception], Exception]) -> None:
        self._kinds, self._clear = kinds, clear

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, *place: object) -> None:
        if isinstance(error, self._kinds) and (clearer := self._clear(error)) is not error:
            raise clearer from error


def reading(label: str) -> AbstractContextManager[None]:
    """Errors of `DAMAGE` in a `with` block become ModelFileErrors that name the file."""
    return Retold(DAMAGE, partial(in_file, label))


def in_file(label: str, error: Exception) -> ModelFileError:
    """An error of `DAMAGE` as a ModelFileError that names the file."""
    if isinstance(error, ModelFileError):
        named = str(error).startswith(label)
        return error if named else type(error)(f"{label}: {error}"[:LONGEST])
    if isinstance(error, MemoryError | RecursionError):
        return LimitExceeded(f"{label}: reading it takes more memory than there is")
    ours = type(error) is ValueError  # which says what is wrong
    text = str(error) if ours else f"{type(error).__name__} where data was expected: {error}"
    return CorruptFile(f"{label}: {text}"[:LONGEST])
