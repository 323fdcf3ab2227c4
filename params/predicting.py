"""`Predict`: a model file as a function of batches, for `datasets`, Ray Data, Spark and process pools."""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fnet
from fnet import tree
from fnet.core import infer, sources
from fnet.core.compose import input_names
from fnet.inference import arrays
from fnet.inference.labels import middle, require_labels
from fnet.inference.scaling import Scaling
from fnet.records import dataclass
from fnet.writing import is_saved
from params.loading import load_keras
from params.store.saving import finite, load, load_info

_lock = threading.Lock()
"""A model is loaded by one thread; the others wait for it."""


@dataclass(frozen=True)
class Predict:
    """A model file as a function of batches. It pickles as this call; each process loads the file on first use.

    path: a `.keras`, `.h5` or `.safetensors` file that every worker can read.
    columns: the columns that the model reads: one with texts, or with an array for each row; or several with numbers,
    one a feature. None: a column for each input, by its name, or the only column.
    output: the name of the new column with the output; outputs with names get `output_name`.
    labels: whether to add "label" and "score" of the best class, where a `.safetensors` has labels. Columns of a batch
    are never replaced: InvalidInput where one of these names is taken.
    batch_size, invalid: as in `fnet.predict`; rows without an answer are marked unless invalid="raise".
    scale, offset: numbers are multiplied by `scale` (None: that in the `.safetensors`), then `offset` is added.

    predict(batch) -> the batch with new columns, for a mapping {column: values} or, with `columns`, a DataFrame;
    predict(x) -> the outputs, for an array or a list of arrays, one for each input.
    """

    path: str
    columns: str | tuple[str, ...] | None = None
    output: str = "output"
    labels: bool = True
    batch_size: int = 256
    invalid: str = "mark"
    scale: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"Predict takes the path of a model file; got a {type(self.path).__name__}: save it first")
        if self.invalid not in ("raise", "mark"):
            raise ValueError(f"invalid={self.invalid!r}: use 'raise' or 'mark'")
        if self.columns is not None and not _names(self.columns):
            raise ValueError(f"columns={self.columns!r}: use None, a name, or a tuple of names")
        for name, number in (("scale", self.scale), ("offset", self.offset)):
            object.__setattr__(self, name, finite(name, number))
        object.__setattr__(self, "path", os.fspath(self.path))

    def __call__(self, batch: Any) -> Any:
        status = Path(self.path).stat()
        with _lock:
            model = _load(self.path, (status.st_mtime_ns, status.st_size))  # which change when a file is rewritten
        if self.columns is not None and arrays.is_table(batch):
            batch = arrays.columns(batch)
        if not isinstance(batch, Mapping):
            return self._run(model, batch)
        columns = dict(batch.items())
        y = self._run(model, self._rows(model, columns))
        if isinstance(y, np.ndarray):
            new = {self.output: y, **(_best(model, y) if self.labels else {})}
        else:
            new = {"_".join(map(str, (self.output, *path))): leaf for path, leaf in tree.items(y)}
        if taken := sorted(new.keys() & columns.keys()):
            raise fnet.InvalidInput(
                f"the batch already has {', '.join(taken)}, which would be replaced: rename it there, or name the "
                "outputs with output= and leave label and score out with labels=False"
            )
        return {**columns, **new}

    def _run(self, model: _Model, x: Any) -> Any:
        x = Scaling(model.scale if self.scale is None else self.scale, self.offset).of(model.model)(x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fnet.InvalidRows)  # rows are marked
            return fnet.predict(model.model, model.params, x, batch_size=self.batch_size, invalid=self.invalid)

    def _rows(self, model: _Model, columns: dict[str, Any]) -> Any:
        """The input of the model, from the columns of a batch."""
        names = (self.columns,) if isinstance(self.columns, str) else self.columns
        if names is None:
            names = tuple(model.inputs) if set(model.inputs) <= set(columns) else tuple(columns)
            if len(model.inputs) > 1 and set(names) != set(model.inputs):
                raise fnet.InvalidInput(f"the model takes columns {', '.join(model.inputs)}; got {', '.join(columns)}")
            if len(model.inputs) == 1 and len(names) > 1:
                raise fnet.InvalidInput(f"which of the columns {', '.join(columns)} does the model read? Give columns=")
        if missing := [name for name in names if name not in columns]:
            raise fnet.InvalidInput(f"no column {', '.join(missing)}; the batch has {', '.join(columns)}")
        if len(model.inputs) > 1:
            return {key: _array(columns[name]) for key, name in zip(model.inputs, names, strict=True)}
        parts = [_array(columns[name]) for name in names]
        return parts[0] if len(parts) == 1 else _stacked(parts, "columns", -1)


@dataclass(frozen=True)
class _Model:
    """A loaded file."""

    model: Any
    params: Any
    labels: list[str] | None
    scale: float | None
    inputs: tuple[str, ...]


@functools.lru_cache(maxsize=4)
def _load(path: str, stamp: tuple[int, int]) -> _Model:
    stored = is_saved(path)
    model, params = load(path) if stored else load_keras(path)
    info = load_info(path) if stored else {}
    spec = infer.input_spec(model)
    inputs = ("x",) if spec is None else tuple(sources.feed(input_names(model), spec))
    return _Model(model, params, info.get("labels"), info.get("scale"), inputs)


def _names(columns: Any) -> bool:
    """Whether these are names of columns: one, or several."""
    names = (columns,) if isinstance(columns, str) else columns
    return isinstance(names, tuple | list) and bool(names) and all(isinstance(name, str) for name in names)


def _array(values: Any) -> Any:
    """A column as an array: texts, numbers, or an array for each row."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise fnet.InvalidInput("a batch has a list for each column: datasets.map needs batched=True")
    try:
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
    except ValueError:  # rows of several shapes, or None next to arrays
        array = np.fromiter(values, object, len(values))
    first = next((row for row in array if row is not None), None) if array.dtype == object else None
    if first is None or isinstance(first, str | bytes):
        return array
    form = np.asarray(first)
    number = form.dtype.kind == "f" or form.dtype.itemsize < 4  # NaN next to larger integers would round them
    empty = np.full(form.shape, np.nan if number and form.ndim else None)
    return _stacked([empty if row is None else np.asarray(row) for row in array], "rows of a column", 0)


def _stacked(parts: list[Any], name: str, axis: int) -> Any:
    if len(shapes := {part.shape for part in parts}) > 1:
        raise fnet.InvalidInput(f"the {name} have several shapes: {', '.join(map(str, sorted(shapes)))}")
    return np.stack(parts, axis)


def _best(model: _Model, y: Any) -> dict[str, Any]:
    """The columns of the best class of each row, where the file has labels; "" and NaN for a row without an answer."""
    if model.labels is None or y.ndim != 2 or y.dtype.kind != "f":
        return {}
    require_labels(model.labels, y)
    scores = np.concatenate([2 * middle(model.model) - y, y], axis=1) if y.shape[1] == 1 else y
    marked = np.isnan(scores).any(axis=1)
    best = np.where(marked, 0, np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1))
    names = np.where(marked, "", np.array(model.labels)[best])
    return {"label": names, "score": scores[np.arange(len(y)), best]}
