"""The other sides of a comparison: programs of other runtimes, and functions of the user's, on the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compare import machine, worker
from compare.measuring import Rows, Run
from fnet import tree
from fnet.export import load_onnx, load_stablehlo
from fnet.importing import imported

PROGRAMS = {".onnx": ("onnxruntime",), ".stablehlo": ("jax", "jaxlib")}
"""What runs the files with this suffix."""

KERAS = (".keras", ".h5", ".hdf5")
MODELS = (*KERAS, ".safetensors")
"""What fnet itself loads."""


def is_file(place: str | Path) -> bool:
    """Whether a place is a file that can be run; else it is "module:function"."""
    return Path(place).suffix in (*PROGRAMS, *MODELS)


def run(place: str, rows: Rows, batch_size: int) -> Run:
    """What an ONNX or StableHLO file, or the function at "module:function", gives for all rows.

    A function takes an array (rows, ...) for each input and gives an array, or several, for the outputs.
    Raises WorkerFailed where it raises, ImportFailed where there is no such function.
    """
    suffix = Path(place).suffix
    started = time.perf_counter()
    call = _program(place) if suffix in PROGRAMS else imported(place)
    loaded = time.perf_counter()
    arrays = rows.x if isinstance(rows.x, tuple) else (rows.x,)
    parts = []
    for start in range(0, len(rows), batch_size):
        try:
            y = call(*(array[start : start + batch_size] for array in arrays))
        except Exception as error:  # whatever the other side raises: it is not ours
            raise worker.WorkerFailed(f"{place} failed: {type(error).__name__}: {error}"[:2000]) from error
        parts.append([np.asarray(leaf) for leaf in tree.leaves(y)])
    joined = [np.concatenate(leaves) for leaves in zip(*parts, strict=True)]
    versions = machine.versions(PROGRAMS.get(suffix, ()))
    return Run(joined, {}, time.perf_counter() - loaded, loaded - started, versions)


def _program(place: str) -> Callable[..., Any]:
    """The function in an ONNX or StableHLO file."""
    try:
        return (load_onnx if place.endswith(".onnx") else load_stablehlo)(place)
    except ImportError:
        raise
    except Exception as error:  # of the library that reads it
        raise worker.WorkerFailed(f"{place} cannot be read: {type(error).__name__}: {error}"[:2000]) from error
