"""A live Keras model to (model, params), by way of a `.keras` file in memory: one path for both."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fnet.types import Array
from params.file.model_file import Limits
from params.loading import load_keras


def from_keras(
    model: Any,
    *,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    vocabulary: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    limits: Limits | None = None,
    rng: Array | int | None = None,
    training: str | None = None,
) -> tuple[Any, dict[str, Any]]:
    """(model, params) of a live `keras.Model`; the arguments are those of `load_keras`.

    The model is saved to a temporary file and loaded from there, so that a live model and its file cannot differ.
    Raises TypeError for what is no Keras model, and ModelFileError as `load_keras`.
    """
    if not callable(getattr(model, "save", None)) or not hasattr(model, "get_config"):
        raise TypeError(f"from_keras takes a keras.Model; got {type(model).__name__}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy, for how Keras makes arrays
            model.save(path)
        return load_keras(path, custom=custom, vocabulary=vocabulary, limits=limits, rng=rng, training=training)
