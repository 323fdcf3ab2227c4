"""Keras next to fnet on one file and the same rows: when parity holds.

Parity holds when, for every backend: every output and layer is within the yardstick (`compare.yardstick`) of a float64
evaluation of the same Keras model, the predicted class is Keras's on every row, and macro-F1 is equal to four decimals.
A tie counts as the same class: two scores that lie no farther apart than the yardstick allows.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compare import others, reference, worker, yardstick
from compare.measuring import Errors, Measured, Rows, Run, Side, over_layers, over_outputs
from fnet.backend import BACKENDS

log = logging.getLogger("compare")

LAYER_ROWS = 32


@dataclass(frozen=True, eq=False)
class Comparison:
    """The results for one model file. `problems` is empty exactly when parity held."""

    title: str
    file: str
    rows: Rows
    policy: str
    sides: tuple[Side, ...]
    outputs: tuple[Errors, ...]
    layers: tuple[Errors, ...]
    not_compared: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Whether parity held."""
        return not self.problems

    @property
    def allowed(self) -> float:
        """The smallest error limit of all outputs."""
        return min(line.allowed for line in self.outputs)

    @property
    def notes(self) -> tuple[str, ...]:
        """Outputs and layers for which parity says little, because Keras's float32 is far from its float64."""
        loud = [line for line in (*self.outputs, *self.layers) if line.errors["Keras"] > yardstick.LOUD]
        note = "{}: Keras in float32 is itself {:.2g} from float64, so that fnet may be {:.2g} off"
        lines = (note.format(line.name, line.errors["Keras"], line.allowed) for line in loud)
        return tuple(lines) if self.policy == "float32" else ()

    def summary(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {
            "model": self.file,
            "data": self.rows.name,
            "rows": len(self.rows),
            "held": self.held,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "floor": yardstick.allowed(0.0, self.policy),
            "allowed": self.allowed,
            "sides": {s.name: _side_summary(s, self.sides[0]) for s in self.sides},
            "outputs": {line.name: _errors_summary(line) for line in self.outputs},
            "layers": {line.name: _errors_summary(line) for line in self.layers},
            "layers_not_compared": list(self.not_compared),
        }


def _errors_summary(line: Errors) -> dict[str, float | None]:
    numbers = line.errors | {"allowed": line.allowed, "magnitude": line.magnitude}
    return {name: _finite(value) for name, value in numbers.items()}


def _finite(value: float) -> float | None:
    """None in place of NaN and infinity, which JSON does not have."""
    return value if math.isfinite(value) else None


def _side_summary(side: Side, keras: Side) -> dict[str, Any]:
    return {
        "macro_f1": side.f1,
        "agreement": side.agreement,
        "ties": sum(d.tie for d in side.differing),
        "error": _finite(side.error),
        "max_abs_error": _finite(side.max_abs),
        "mean_abs_error": _finite(side.mean_abs),
        "mean_ratio": side.mean_ratio(keras),
        "predict_seconds": side.seconds,
        "load_seconds": side.load_seconds,
        "versions": side.versions,
    }


def installed() -> tuple[str, ...]:
    """The backends of fnet that can run here; a missing one is logged."""
    if importlib.util.find_spec("jax") is not None:
        return BACKENDS
    log.warning("jax is not installed, so fnet is compared on NumPy alone: pip install 'fnet-layers[jax]'")
    return ("numpy",)


def compare(
    model_file: str | Path,
    rows: Rows,
    *,
    fnet_file: str | Path | None = None,
    other_sides: Sequence[str] = (),
    backends: tuple[str, ...] | None = None,
    batch_size: int = 32,
    layer_rows: int = LAYER_ROWS,
    title: str | None = None,
    custom: Mapping[str, Callable[..., Any] | str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Comparison:
    """Run a Keras model file in Keras, in float64 and in fnet on each backend, and measure the differences.

    backends: those of fnet; None: all that are installed.
    fnet_file: a file for fnet to load instead, such as the .safetensors made from the Keras file.
    other_sides: what else to measure: .onnx and .stablehlo files, files that fnet loads, "module:function".
    layer_rows: on how many rows layers are compared one by one; 0: none.
    custom: {"package>Name": layer} as in `load_keras`, for layers of your own. fnet runs in separate processes, which
    import the layers: each is at the top of a module, or of a script with `if __name__ == "__main__":`; or it is given
    as "module:name" or "file.py:name".
    custom_objects: the same layers for Keras, {"package>Name": class}; registered classes need no entry.
    Raises WorkerFailed when fnet refuses the file or fails on it, ImportFailed where a custom layer cannot be imported.
    """
    path = Path(model_file)
    places = {name: worker.place(function) for name, function in (custom or {}).items()}
    job = _Job(rows, batch_size, layer_rows, places, custom_objects)
    # fnet first: what it refuses is known before Keras, the slow part, has started.
    ours = {f"fnet {b}": job.in_fnet(Path(fnet_file or path), b) for b in backends or installed()}
    ours |= {place: job.elsewhere(place) for place in other_sides}
    model, keras = job.in_keras(path)
    with reference.float64(path, custom_objects) as wide:
        exact = job.of_keras_model(wide)
    middle = next(iter(ours.values())).middle
    measured = Measured(rows, exact.y, keras.y, reference.policy(model), middle)
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
    outputs = measured.outputs(runs)
    layers, missing = measured.layers(
        {name: run.layers for name, run in runs.items() if run.layers}, exact_layers, kinds
    )
    foreign = [f"{name} loaded {', '.join(run.foreign)}" for name, run in runs.items() if run.foreign]
    classes = [problem for side in sides[1:] for problem in measured.problems(side, sides[0])]
    problems = [*foreign, *over_outputs(outputs), *classes, *over_layers(layers)]
    return Comparison(
        title,
        file,
        measured.rows,
        measured.policy,
        sides=sides,
        outputs=tuple(outputs),
        layers=tuple(layers),
        not_compared=tuple(missing),
        problems=tuple(problems),
    )


@dataclass(frozen=True, eq=False)
class _Job:
    """What every implementation has to run."""

    rows: Rows
    batch_size: int
    layer_rows: int
    custom: dict[str, str]
    custom_objects: Mapping[str, Any] | None

    def elsewhere(self, place: str) -> Run:
        """The results of another side; those of fnet on NumPy for a file that it loads."""
        if Path(place).suffix in others.MODELS:
            return self.in_fnet(Path(place), "numpy")
        return others.run(place, self.rows, self.batch_size)

    def in_fnet(self, file: Path, backend: str) -> Run:
        """The results of fnet, in a separate process."""
        arrays, facts = worker.run_worker(file, self.rows.x, backend, self.batch_size, self.layer_rows, self.custom)
        return Run(
            _grouped(arrays, "output")[""],
            _grouped(arrays, "layer"),
            seconds=facts["predict_seconds"],
            load_seconds=facts["load_seconds"],
            versions=facts["versions"],
            foreign=tuple(facts["foreign"]),
            middle=facts["middle"],
        )

    def in_keras(self, path: Path) -> tuple[Any, Run]:
        """(Keras model, its results)."""
        import keras
        import tensorflow as tf

        started = time.perf_counter()
        model = reference.load(path, self.custom_objects)
        loaded = time.perf_counter() - started
        versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
        return model, replace(self.of_keras_model(model), load_seconds=loaded, versions=versions)

    def of_keras_model(self, model: Any) -> Run:
        """The results of a Keras model for all rows, those of its layers for the first rows."""
        started = time.perf_counter()
        y = reference.outputs(model, self.rows.x, self.batch_size)
        seconds = time.perf_counter() - started
        layers = reference.layer_outputs(model, worker.head(self.rows.x, self.layer_rows)) if self.layer_rows else {}
        return Run(y, layers, seconds)


def _grouped(arrays: dict[str, Any], kind: str) -> dict[str, list[Any]]:
    """{name: arrays in order} of the arrays called "kind name index"."""
    values: dict[str, list[Any]] = {}
    for key, value in arrays.items():
        if key.startswith(f"{kind} "):
            values.setdefault(key[len(kind) + 1 :].rpartition(" ")[0], []).append(value)
    return values
