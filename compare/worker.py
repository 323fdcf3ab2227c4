"""fnet's side, in a process of its own: one backend, no Keras. `python -m compare.worker job.json`.

The job names the model file, the .npz with the input rows, and where to write the outputs (.npz) and the
facts (.json). FNET_BACKEND chooses the backend, as everywhere.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

FOREIGN = ("keras", "tensorflow", "h5py")
"""What fnet does without; the facts list those that got loaded all the same."""


def inputs(file: Path) -> Any:
    """The rows in a .npz: one array "x", or a tuple of "x0", "x1", ..."""
    with np.load(file, allow_pickle=False) as arrays:
        if "x" in arrays:
            return arrays["x"]
        return tuple(arrays[f"x{i}"] for i in range(len(arrays.files)))


def head(x: Any, rows: int) -> Any:
    """The first rows of every input."""
    return tuple(a[:rows] for a in x) if isinstance(x, tuple) else x[:rows]


def _loaded(file: Path) -> Any:
    """(model, params) of a Keras file or of the safetensors store."""
    import params

    return params.load(file) if file.suffix == ".safetensors" else params.load_keras(file)


def work(job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays by name, facts) of a job."""
    started = time.perf_counter()
    import fnet
    from fnet import backend, tree

    model, params = _loaded(Path(job["model"]))
    loaded = time.perf_counter()
    x = inputs(Path(job["inputs"]))
    y = fnet.predict(model, params, x, batch_size=job["batch_size"])
    done = time.perf_counter()
    arrays = {f"output {i}": np.asarray(leaf) for i, leaf in enumerate(tree.leaves(y))}
    if job["layer_rows"]:
        for name, value in fnet.activations(model, params, head(x, job["layer_rows"])).items():
            arrays |= {f"layer {name} {i}": np.asarray(leaf) for i, leaf in enumerate(tree.leaves(value))}
    facts = {
        "backend": backend.name(),
        "load_seconds": loaded - started,
        "predict_seconds": done - loaded,
        "foreign": [name for name in FOREIGN if name in sys.modules],
        "versions": {name: metadata.version(name) for name in ("numpy", "jax") if name in sys.modules},
    }
    return arrays, facts


def main() -> int:
    """Do the job named on the command line; what fnet refuses is one sentence on stderr."""
    from fnet import InvalidInput, MissingBackend
    from params import ModelFileError

    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        arrays, facts = work(job)
    except (InvalidInput, MissingBackend, ModelFileError) as error:
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        sys.stderr.write(f"{type(error).__name__}: {error}{notes}\n")
        return 1
    np.savez(job["arrays"], **arrays)
    Path(job["facts"]).write_text(json.dumps(facts), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
