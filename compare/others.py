"""The other sides of a comparison: programs for other runtimes, and functions of the user, on the same rows."""

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
"""{suffix of a file: the packages that run it}."""

KERAS = (".keras", ".h5", ".hdf5")
MODELS = (*KERAS, ".safetensors")
"""Suffixes of the files that fnet itself loads."""


def is_file(place: str | Path) -> bool:
    """Whether a place is a file to run; otherwise it is "module:function"."""
    return Path(place).suffix in (*PROGRAMS, *MODELS)


def run(place: str, rows: Rows, batch_size: int) -> Run:
    """Run an ONNX or StableHLO file, or the function at "module:function", on all rows.

    A function takes an array (rows, ...) for each input and returns one or several arrays, the outputs.
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
        except Exception as error:  # the other side is not our code, and may raise anything
            raise worker.WorkerFailed(f"{place} failed: {type(error).__name__}: {error}"[:2000]) from error
        parts.append([np.asarray(leaf) for leaf in tree.leaves(y)])
    joined = [np.concatenate(leaves) for leaves in zip(*parts, strict=True)]
    versions = machine.versions(PROGRAMS.get(suffix, ()))
    return Run(joined, {}, time.perf_counter() - loaded, loaded - started, versions)


def _program(place: str) -> Callable[..., Any]:
    """The program in an ONNX or StableHLO file, as a function."""
    try:
        return (load_onnx if place.endswith(".onnx") else load_stablehlo)(place)
    except ImportError:
        raise
    except Exception as error:  # the library that reads the file may raise anything
        raise worker.WorkerFailed(f"{place} cannot be read: {type(error).__name__}: {error}"[:2000]) from error
