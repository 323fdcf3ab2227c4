"""What can be wrong with a model file. Nothing else escapes a loader, whatever the bytes.

Messages say the rule, what was found and where, what was expected and the likely fix, in at most about 400
characters; names that come from a file are shown with `quoted`.
"""

from __future__ import annotations


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


def quoted(name: object, width: int = 80) -> str:
    """`name`, as a file gave it, made harmless for a message: repr, cut to `width`."""
    text = repr(name)
    return text if len(text) <= width else text[: width - 3] + "..."
