"""fnet's side, in a process of its own: one backend, no Keras.

`run_worker` starts the process, `python -m compare.worker job.json`, and reads what it wrote.
The job names the model file, the .npz with the input rows, and where to write the outputs (.npz) and the
facts (.json). FNET_BACKEND chooses the backend, as everywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compare import machine
from fnet.importing import ImportFailed, imported

FILES = {"inputs": "inputs.npz", "arrays": "arrays.npz", "facts": "facts.json"}

FOREIGN = ("keras", "tensorflow", "h5py")
"""Modules that fnet does not need; the facts list those that were imported, unless by the module of a custom layer."""


class WorkerFailed(RuntimeError):
    """fnet's process ended with an error; the message holds its last lines."""


# --- in the parent process ----------------------------------------------------------------------------


def run_worker(
    model_file: Path,
    x: Any,
    backend: str,
    batch_size: int = 32,
    layer_rows: int = 0,
    custom: dict[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays, facts) of `work` in a new process with FNET_BACKEND set. custom: {name in the file: `place`}."""
    with tempfile.TemporaryDirectory(prefix="fnet-compare-") as name:
        folder = Path(name)
        named = {f"x{i}": a for i, a in enumerate(x)} if isinstance(x, tuple) else {"x": x}
        plain = {key: a.astype(str) if a.dtype == object else a for key, a in named.items()}
        np.savez(folder / "inputs.npz", **plain)
        job = {"model": str(model_file.resolve()), "batch_size": batch_size, "layer_rows": layer_rows}
        job["custom"] = custom or {}
        job |= {key: str(folder / file) for key, file in FILES.items()}
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), *sys.path)))
        done = subprocess.run(
            [sys.executable, "-m", "compare.worker", str(folder / "job.json")],
            env={**os.environ, "FNET_BACKEND": backend, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise WorkerFailed(f"fnet {backend} failed on {model_file.name}:\n{done.stderr.strip()[-2000:]}")
        with np.load(folder / FILES["arrays"], allow_pickle=False) as arrays:
            return dict(arrays), json.loads((folder / FILES["facts"]).read_text("utf-8"))


def place(function: Callable[..., Any] | str) -> str:
    """ "module:name", or "file.py:name" for one of a script, by which another process can import a function.

    Raises ImportFailed for a function that is not at the top level of a module.
    """
    if isinstance(function, str):
        return function
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
    where = getattr(sys.modules.get("__main__"), "__file__", None) if module == "__main__" else module
    if not where or getattr(sys.modules.get(module), name, None) is not function:
        raise ImportFailed(
            f"{function!r} cannot be imported by the process that runs fnet: define it at the top of a module, "
            'or give "module:name" or "file.py:name"'
        )
    return f"{where}:{name}"


# --- in the process of its own ------------------------------------------------------------------------


def inputs(file: Path) -> Any:
    """The rows in a .npz: one array "x", or a tuple of "x0", "x1", ..."""
    with np.load(file, allow_pickle=False) as arrays:
        if "x" in arrays:
            return arrays["x"]
        return tuple(arrays[f"x{i}"] for i in range(len(arrays.files)))


def structured(inputs: Any, x: Any) -> Any:
    """`x`, one array or a tuple, in the structure of `inputs`, a tree with a leaf for each: dicts keep their order."""
    from fnet import tree

    arrays = iter(x if isinstance(x, tuple) else (x,))
    return tree.map(lambda _: next(arrays), inputs)


def head(x: Any, rows: int) -> Any:
    """The first rows of every input."""
    return tuple(a[:rows] for a in x) if isinstance(x, tuple) else x[:rows]


def _loaded(file: Path, custom: dict[str, Any]) -> Any:
    """(model, params) of a Keras file or of the safetensors store."""
    import params

    return (params.load if file.suffix == ".safetensors" else params.load_keras)(file, custom=custom)


def work(job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays by name, facts) of a job."""
    custom = {name: imported(where) for name, where in job["custom"].items()}
    brought = {name for name in FOREIGN if name in sys.modules}
    started = time.perf_counter()
    import fnet
    from fnet import backend, tree
    from fnet.core.compose import input_names
    from fnet.inference.labels import middle

    model, params = _loaded(Path(job["model"]), custom)
    loaded = time.perf_counter()
    rows, takes = inputs(Path(job["inputs"])), input_names(model)
    x = structured(takes, rows)
    y = fnet.predict(model, params, x, batch_size=job["batch_size"])
    done = time.perf_counter()
    arrays = {f"output {i}": leaf for i, leaf in enumerate(tree.leaves(y))}
    if job["layer_rows"]:
        for name, value in fnet.activations(model, params, structured(takes, head(rows, job["layer_rows"]))).items():
            listed = enumerate(tree.sorted_leaves(value))  # as Keras lists them
            arrays |= {f"layer {name} {i}": leaf for i, leaf in listed}
    facts = {
        "backend": backend.name(),
        "middle": middle(model),
        "load_seconds": loaded - started,
        "predict_seconds": done - loaded,
        "foreign": [name for name in FOREIGN if name in sys.modules and name not in brought],
        "versions": machine.versions(name for name in ("numpy", "jax") if name in sys.modules),
    }
    return arrays, facts


def main() -> int:
    """Do the job named on the command line; a refusal of fnet is one sentence on stderr."""
    from fnet import InvalidInput, MissingBackend
    from params import ModelFileError

    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        arrays, facts = work(job)
    except (InvalidInput, MissingBackend, ModelFileError, ImportFailed) as error:
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        sys.stderr.write(f"{type(error).__name__}: {error}{notes}\n")
        return 1
    np.savez(job["arrays"], **arrays)
    Path(job["facts"]).write_text(json.dumps(facts), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
