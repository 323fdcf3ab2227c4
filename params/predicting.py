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
from fnet.inference.labels import middle
from fnet.inference.scaling import Scaling
from fnet.records import dataclass
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
    labels: whether to add "label" and "score" of the best class, where a `.safetensors` has labels.
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
        finite("scale", self.scale)
        finite("offset", self.offset)
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
            return {**columns, self.output: y, **(_best(model, y) if self.labels else {})}
        return {**columns, **{"_".join(map(str, (self.output, *path))): leaf for path, leaf in tree.items(y)}}

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
                raise fnet.InvalidInput(
                    f"the model takes the columns {', '.join(model.inputs)}; got {', '.join(columns)}"
                )
            if len(model.inputs) == 1 and len(names) > 1:
                raise fnet.InvalidInput(f"which of the columns {', '.join(columns)} does the model read? Give columns=")
        if missing := [name for name in names if name not in columns]:
            raise fnet.InvalidInput(f"no column {', '.join(missing)}; the batch has {', '.join(columns)}")
        if len(model.inputs) > 1:
            return {key: _array(columns[name]) for key, name in zip(model.inputs, names, strict=True)}
        parts = [_array(columns[name]) for name in names]
        return parts[0] if len(parts) == 1 else np.stack(parts, axis=-1)


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
    stored = path.endswith(".safetensors")
    model, params = load(path) if stored else load_keras(path)
    info = load_info(path) if stored else {}
    spec = infer.input_spec(model)
    inputs = ("x",) if spec is None else tuple(sources.feed(input_names(model), spec))
    return _Model(model, params, info.get("labels"), info.get("scale"), inputs)


def _array(values: Any) -> Any:
    """A column as an array: texts, numbers, or an array for each row."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise fnet.InvalidInput("a batch has a list for each column: datasets.map needs batched=True")
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.dtype == object and len(array) and not isinstance(array[0], str | bytes | type(None)):
        return np.stack([np.asarray(row) for row in array])
    return array


def _best(model: _Model, y: Any) -> dict[str, Any]:
    """The columns of the best class of each row, where the file has labels; "" and NaN for a row without an answer."""
    if model.labels is None or y.ndim != 2 or y.dtype.kind != "f":
        return {}
    scores = np.concatenate([2 * middle(model.model) - y, y], axis=1) if y.shape[1] == 1 else y
    marked = np.isnan(scores).any(axis=1)
    best = np.where(marked, 0, np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1))
    names = np.where(marked, "", np.array(model.labels)[best])
    return {"label": names, "score": scores[np.arange(len(y)), best]}
