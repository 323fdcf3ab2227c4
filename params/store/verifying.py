"""`verify`: whether a model file is whole, and whether the model still gives the outputs that were saved with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fnet import tree
from fnet.errors import printable
from fnet.records import dataclass
from fnet.types import Params
from fnet.writing import is_saved
from params.errors import ModelFileError, UnsupportedLayer, quoted, reading
from params.file.containers import content, require_regular
from params.file.model_file import Limits, allowed
from params.loading import load_keras
from params.store import selftest
from params.store.records import Layers
from params.store.saving import DEFAULT, load, selftest_of

BLOCK = 1 << 20


@dataclass(frozen=True)
class Verification:
    """The result of `verify`; `str()` is a page of text, `as_dict()` is JSON."""

    file: str
    bytes: int
    sha256: str
    """Of the file; of an unzipped `.keras`, of its files with their names, in order."""
    arrays: int
    """How many arrays are in the params."""
    self_test: str
    """"holds", "fails", "none" for a file without a self-test, or "not run" where the file could not be read."""
    difference: float | None
    """The largest of the self-test, relative to the largest value of its output."""
    problems: tuple[str, ...]
    """What is wrong with the file, or why it cannot be checked; empty if it is whole."""
    unusual: tuple[str, ...]
    """Remarks on the numbers that are worth a look."""
    unchecked: bool = False
    """Whether fnet does not support the model of the file, so that its numbers could not be checked."""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {"holds": self.holds, **asdict(self)}

    def __str__(self) -> str:
        return "\n".join(_page(self))


def verify(path: str | os.PathLike[str], *, custom: Layers | None = None, limits: Limits | None = None) -> Verification:
    """Check all of a model file: checksums, shapes, dtypes, numbers; then run its self-test, if it has one.

    A `.safetensors` from `save(..., selftest=True)` or `fnet convert` has one: the outputs of the model for generated
    rows. custom, limits: as in `load` and `load_keras`. Raises OSError where there is no file.
    """
    path = Path(path)
    if not path.is_dir():
        with reading(quoted(path.name)):
            require_regular(path)
    size, digest = _digest(path)
    stored = is_saved(path)
    problems, difference, outcome, unchecked = list[str](), None, "none", False
    params: Params = {}
    try:
        model, params = (load if stored else load_keras)(path, custom=custom, limits=limits)
        limits = allowed(limits, DEFAULT)
        kept = selftest_of(content(path, limits.total), limits) if stored else None
        if kept is not None:
            with reading(quoted(path.name)):
                difference, problems = selftest.check(model, params, kept)
            outcome = "fails" if problems else "holds"
    except ModelFileError as error:
        problems, outcome, unchecked = [str(error)], "not run", isinstance(error, UnsupportedLayer)
    arrays = len(tree.leaves(params))
    unusual = tuple(_unusual(params))
    return Verification(path.name, size, digest, arrays, outcome, difference, tuple(problems), unusual, unchecked)


def _digest(path: Path) -> tuple[int, str]:
    """(bytes, SHA-256) of a file, or of the files of a folder with their names."""
    digest, size = hashlib.sha256(), 0
    folder = path.is_dir()
    for file in sorted(item for item in path.rglob("*") if item.is_file()) if folder else [path]:
        if folder:
            digest.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as opened:
            while block := opened.read(BLOCK):
                digest.update(block)
                size += len(block)
    return size, digest.hexdigest()


def _unusual(params: Params) -> Iterator[str]:
    """Signs of failed or missing training in the numbers: each kind once, with the names of its arrays."""
    oddities: dict[str, list[str]] = {}
    for path, leaf in tree.items(params):
        array = np.asarray(leaf)
        if array.dtype.kind == "f" and array.size > 1 and (what := _oddity(path, array, params)):
            oddities.setdefault(what, []).append(tree.path_name(path))
    for what, names in oddities.items():
        yield f"{what}: {', '.join(names[:5])}" + f" and {len(names) - 5} more" * (len(names) > 5)


def _oddity(path: tree.Path, array: np.ndarray[Any, Any], params: Params) -> str:
    """What is odd about the numbers of one array, or ""."""
    if path[-1] == "moving_variance":
        mean = tree.get(params, path[:-1]).get("moving_mean")
        if (array == 1).all() and mean is not None and not np.asarray(mean).any():
            return "moving statistics are as before any training"
        return "channels that never changed in training (their variance is 0)" if (array == 0).any() else ""
    if np.abs(array).max() > 1e4:
        return "values beyond 10,000"
    if array.ndim > 1 and array.min() == array.max():
        return "the same number everywhere (was the layer trained, were its weights loaded?)"
    if array.ndim > 1 and not array.reshape(-1, array.shape[-1]).any(axis=0).all():
        return "columns of zeros, which give the bias alone"
    return ""


def _page(report: Verification) -> Iterator[str]:
    read = report.self_test != "not run"
    yield f"{printable(report.file)}: {report.bytes:,} bytes" + f", {report.arrays:,} arrays" * read
    yield f"sha256 {report.sha256}"
    if report.difference is not None:
        yield f"self-test {report.self_test}: largest difference {report.difference:.2g} of the largest value"
    else:
        yield f"self-test: {'the file carries none' if read else 'not run'}"
    for title, texts in (("wrong", report.problems), ("worth a look", report.unusual)):
        if texts:
            yield f"\n{title}:"
            yield from (f"- {text}" for text in texts)
    if report.holds:
        yield "\nThe file is whole."
    else:
        yield f"\n{'The file cannot be checked.' if report.unchecked else 'The file is not to be trusted.'}"
