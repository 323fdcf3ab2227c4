"""A model file as a picture, from its config alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from fnet.pictures.layout import TooLarge
from fnet.pictures.plot import Picture, plot
from fnet.writing import is_saved
from params.errors import LimitExceeded, Retold, UnsupportedLayer, quoted, reading
from params.explaining.explanation import opened
from params.explaining.stored import open_stored
from params.file.model_file import Limits
from params.file.reading import Source
from params.store.saving import as_file_errors


def picture(
    source: Source,
    *,
    depth: int | None = None,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    limits: Limits | None = None,
) -> Picture:
    """The model in a file, drawn as by `fnet.plot`, with refused layers in red; no weights are read.

    depth: as in `fnet.plot`. custom, limits: as in `load_keras`. Raises ModelFileError where no model can be made of
    the file, even with stand-ins for refused layers, and where it is too large to draw.
    """
    if is_saved(source):
        name, model, _ = open_stored(source, custom, limits)
        with reading(quoted(name)), as_file_errors(), drawing(quoted(name)):
            return plot(model, depth=depth)
    with opened(source, custom, limits) as (file, refused):
        if refused.converted is None:
            raise UnsupportedLayer(f"{file.label} cannot be drawn: {'; '.join(refused.all)}"[:600])
        classes = {path: f"{refused.objects[path].class_name}: {why}" for path, why in refused.of_layers.items()}
        shapes = () if refused.spec is None else (refused.spec,)
        with drawing(file.label):
            return plot(refused.converted.step, None, *shapes, depth=depth, refused=classes, unsized=refused.guessed)


def drawing(label: str) -> AbstractContextManager[None]:
    """The error about a model that is too large to draw becomes one of the file."""
    return Retold((TooLarge,), lambda error: LimitExceeded(f"{label} cannot be drawn: {error}"))
