"""What can be wrong with a model file. Nothing else escapes a loader, whatever the bytes.

Messages say the rule, what was found and where, what was expected and the likely fix, in at most about 400
characters; names that come from a file are shown with `quoted`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

LONGEST = 400


class ModelFileError(ValueError):
    """A model file cannot be loaded. The subclasses say why."""


class UnsafeFile(ModelFileError):
    """The file asks for something that data never does: code, a path, a link, an import."""


class CorruptFile(ModelFileError):
    """The file is broken: truncated, not the format it claims, inconsistent in itself."""


class UnsupportedLayer(ModelFileError):
    """A layer, operation or option that fnet does not reproduce exactly, and so refuses."""


class WeightsMismatch(ModelFileError):
    """The arrays in the file are not those of the model that the file describes."""


class LimitExceeded(ModelFileError):
    """The file declares more than the limits of the load allow."""


class WeightsWarning(UserWarning):
    """Something about the arrays of a file that the caller should know: what was left out, or cannot be told apart."""


def quoted(name: object, width: int = 80) -> str:
    """`name`, as a file gave it, made harmless for a message: repr, cut to `width`."""
    text = repr(name)
    return text if len(text) <= width else text[: width - 3] + "..."


def own_function(name: object) -> str:
    """How to give a function of one's own for a class or layer of this name."""
    text = quoted(name)
    return f"load_keras(..., custom={{{text}: my_layer}}), --custom {text[:-1]}=FILE.py:my_layer{text[-1]} in a shell"


DAMAGE = (MemoryError, RecursionError, struct.error, zlib.error, ArithmeticError, LookupError, ValueError)
"""What reading damaged bytes can raise: errors of the family above, and of Python itself."""


@contextmanager
def retold(kinds: tuple[type[Exception], ...], clear: Callable[[Exception], Exception]) -> Iterator[None]:
    """Errors of some kinds as what `clear` makes of them; those that it leaves go on as they are."""
    try:
        yield
    except kinds as error:
        if (clearer := clear(error)) is error:
            raise
        raise clearer from error


def reading(label: str) -> AbstractContextManager[None]:
    """What goes wrong inside names the file, and is of the family above."""
    return retold(DAMAGE, partial(in_file, label))


def in_file(label: str, error: Exception) -> ModelFileError:
    """An error of `DAMAGE` as one of the family that names the file."""
    if isinstance(error, ModelFileError):
        named = str(error).startswith(label)
        return error if named else type(error)(f"{label}: {error}"[:LONGEST])
    if isinstance(error, MemoryError | RecursionError):
        return LimitExceeded(f"{label}: reading it takes more memory than there is")
    ours = type(error) is ValueError  # which says what is wrong
    text = str(error) if ours else f"{type(error).__name__} where data was expected: {error}"
    return CorruptFile(f"{label}: {text}"[:LONGEST])
