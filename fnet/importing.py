"""Imports functions of the user that a command line names. Nothing in a model file is imported."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class ImportFailed(ValueError):
    """A function that cannot be imported."""


def imported(place: str) -> Any:
    """The object at "module:name" or "file.py:name". Raises ImportFailed if there is none."""
    module, _, name = place.rpartition(":")
    try:
        return getattr(_module(module), name)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        raise ImportFailed(f"cannot import {place!r}: {error}; give module:name or file.py:name") from error


def named(pairs: Iterable[str], option: str) -> dict[str, str]:
    """{name: place} of "name=place" pairs of an option. Raises ImportFailed for another form."""
    places = {name: place for name, _, place in (text.partition("=") for text in pairs)}
    if not all(name and place for name, place in places.items()):
        raise ImportFailed(f"{option} takes NAME=PLACE, such as 'my>Shifted=pure.py:shifted'; got {' '.join(pairs)!r}")
    return places


def file_of(module: str) -> str | None:
    """The file with the code of a module; None where there is none. Nothing is run but packages around the module."""
    if module.endswith(".py"):
        return module if os.path.isfile(module) else None  # noqa: PTH113 - Path raises for long names
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec is not None and spec.has_location else None


@functools.cache
def _module(name: str) -> Any:
    """A module, or a file as a module, which runs once."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(Path(name).stem, name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
