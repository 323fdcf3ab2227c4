"""Keras beside fnet on one file and the same rows: when parity holds.

Parity holds when, for every backend: the predicted class is Keras's on every row (but for ties within float
error), macro-F1 is equal to four decimals, and every output and layer is within the yardstick
(`compare.yardstick`) of a float64 evaluation of the same Keras model.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compare import reference
from compare.measuring import LayerErrors, Measured, Rows, Run, Side, over
from compare.worker import head, run_worker

BACKENDS = ("numpy", "jax")
LAYER_ROWS = 32


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that was measured on one model file. `problems` is empty exactly when parity held."""

    title: str
    file: str
    rows: Rows
    policy: str
    allowed: float
    sides: tuple[Side, ...]
    layers: tuple[LayerErrors, ...]
    not_compared: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether parity held."""
        return not self.problems

    def summary(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {
            "model": self.file,
            "data": self.rows.name,
            "rows": len(self.rows),
            "held": self.held,
            "problems": list(self.problems),
            "allowed": self.allowed,
            "sides": {s.name: _side_summary(s) for s in self.sides},
            "layers": {layer.name: layer.errors | {"allowed": layer.allowed} for layer in self.layers},
            "layers_not_compared": list(self.not_compared),
        }


def _side_summary(side: Side) -> dict[str, Any]:
    return {
        "macro_f1": side.f1,
        "agreement": side.agreement,
        "ties": sum(d.tie for d in side.differing),
        "error": side.error,
        "max_abs_error": side.max_abs,
        "mean_abs_error": side.mean_abs,
        "predict_seconds": side.seconds,
        "load_seconds": side.load_seconds,
        "versions": side.versions,
    }


def compare(
    model_file: str | Path,
    rows: Rows,
    *,
    fnet_file: str | Path | None = None,
    backends: tuple[str, ...] = BACKENDS,
    batch_size: int = 32,
    layer_rows: int = LAYER_ROWS,
    title: str | None = None,
) -> Comparison:
    """Run a Keras model file in Keras, in float64 and in fnet on each backend, and measure the differences.

    fnet_file: what fnet loads instead, such as the .safetensors made from the Keras file.
    layer_rows: the number of first rows on which layers are compared one by one; 0 leaves that out.
    Raises WorkerFailed when fnet refuses the file or fails on it.
    """
    path = Path(model_file)
    # fnet first: what it refuses is known before Keras, the slow part, has started.
    ours = {f"fnet {b}": _fnet_run(Path(fnet_file or path), rows, b, batch_size, layer_rows) for b in backends}
    model, keras = _keras_run(path, rows, batch_size, layer_rows)
    with reference.float64(path) as wide:
        exact = _outputs(wide, rows, batch_size, layer_rows)
    measured = Measured(rows, exact.y, keras.y, reference.policy(model), reference.threshold(model))
    named = title or f"{path.resolve().parent.name}/{path.name}"
    return _compared(named, path.name, measured, {"Keras": keras, **ours}, exact.layers, reference.kinds(model))


def _compared(
    title: str,
    file: str,
    measured: Measured,
    runs: dict[str, Run],
    exact_layers: dict[str, list[Any]],
    kinds: dict[str, str],
) -> Comparison:
    """All differences between the runs, of which the first is Keras's."""
    sides = tuple(measured.side(name, run) for name, run in runs.items())
    table, missing = measured.layers({name: run.layers for name, run in runs.items()}, exact_layers, kinds)
    foreign = [f"{name} loaded {', '.join(run.foreign)}" for name, run in runs.items() if run.foreign]
    problems = [*foreign, *(p for side in sides[1:] for p in measured.problems(side, sides[0])), *over(table)]
    return Comparison(
        *(title, file, measured.rows, measured.policy, measured.allowed),
        *(sides, tuple(table), tuple(missing), tuple(problems)),
    )


def _fnet_run(model_file: Path, rows: Rows, backend: str, batch_size: int, layer_rows: int) -> Run:
    arrays, facts = run_worker(model_file, rows.x, backend, batch_size, layer_rows)
    return Run(
        _grouped(arrays, "output")[""],
        _grouped(arrays, "layer"),
        facts["predict_seconds"],
        facts["load_seconds"],
        facts["versions"],
        tuple(facts["foreign"]),
    )


def _grouped(arrays: dict[str, Any], kind: str) -> dict[str, list[Any]]:
    """{name: arrays in order} of the arrays called "kind name index"."""
    found: dict[str, list[Any]] = {}
    for key, value in arrays.items():
        if key.startswith(f"{kind} "):
            found.setdefault(key[len(kind) + 1 :].rpartition(" ")[0], []).append(value)
    return found


def _keras_run(path: Path, rows: Rows, batch_size: int, layer_rows: int) -> tuple[Any, Run]:
    """(Keras model, what it gave)."""
    import keras
    import tensorflow as tf

    started = time.perf_counter()
    model = reference.load(path)
    loaded = time.perf_counter() - started
    run = _outputs(model, rows, batch_size, layer_rows)
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    return model, replace(run, load_seconds=loaded, versions=versions)


def _outputs(model: Any, rows: Rows, batch_size: int, layer_rows: int) -> Run:
    """What a Keras model gives for all rows, and its layers for the first ones."""
    started = time.perf_counter()
    y = reference.outputs(model, rows.x, batch_size)
    seconds = time.perf_counter() - started
    return Run(y, reference.layer_outputs(model, head(rows.x, layer_rows)) if layer_rows else {}, seconds)
