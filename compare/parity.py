"""Keras beside fnet on one file and the same rows: what is measured, and when parity holds.

Parity holds when, for every backend: the predicted class is Keras's on every row (but for ties within float
error), macro-F1 is equal to four decimals, and every output and layer is within the yardstick
(`compare.yardstick`) of a float64 evaluation of the same Keras model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from compare import reference, yardstick
from compare.worker import head

BACKENDS = ("numpy", "jax")
LAYER_ROWS = 32
ROOT = Path(__file__).resolve().parent.parent


class WorkerFailed(RuntimeError):
    """fnet's process ended with an error; the message holds its last lines."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What is compared on: inputs (one array, or a tuple), labels or None, class names, where from."""

    name: str
    x: Any
    y: Any = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x[0]) if isinstance(self.x, tuple) else len(self.x)


@dataclass(frozen=True)
class Differing:
    """A row on which fnet predicts another class than Keras; a tie where float64 cannot tell them apart."""

    row: int
    keras: int
    fnet: int
    margin: float
    tie: bool


@dataclass(frozen=True, eq=False)
class Side:
    """One implementation on all rows; errors are against the float64 evaluation."""

    name: str
    error: float
    max_abs: float
    mean_abs: float
    f1: float | None
    predicted: Any
    row_errors: Any
    seconds: float
    load_seconds: float
    differing: tuple[Differing, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def agreement(self) -> float:
        """The fraction of rows with Keras's class."""
        return 1 - len(self.differing) / max(1, len(self.predicted))


@dataclass(frozen=True)
class LayerErrors:
    """One layer: the error of each side, and the largest one that the yardstick allows fnet."""

    name: str
    kind: str
    shape: tuple[int, ...]
    errors: dict[str, float]
    allowed: float

    @property
    def held(self) -> bool:
        """Whether every backend is within the yardstick."""
        return all(error <= self.allowed for side, error in self.errors.items() if side != "Keras")


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
    path, few = Path(model_file), head(rows.x, layer_rows)
    # fnet first: what it refuses is known before Keras, the slow part, has started.
    work = {f"fnet {b}": run_worker(Path(fnet_file or path), rows, b, batch_size, layer_rows) for b in backends}
    started = time.perf_counter()
    model = reference.load(path)
    loaded = time.perf_counter()
    keras = reference.outputs(model, rows.x, batch_size)
    seconds = time.perf_counter() - loaded
    layers = {"Keras": reference.layer_outputs(model, few) if layer_rows else {}}
    with reference.float64(path) as wide:
        exact = reference.outputs(wide, rows.x, batch_size)
        exact_layers = reference.layer_outputs(wide, few) if layer_rows else {}
    measured = _Measured(rows, exact, keras, reference.policy(model), reference.threshold(model))
    sides = [measured.side("Keras", keras, seconds, loaded - started, _keras_versions())]
    foreign: list[str] = []
    for name, (arrays, facts) in work.items():
        given = _grouped(arrays, "output")[""]
        sides.append(measured.side(name, given, facts["predict_seconds"], facts["load_seconds"], facts["versions"]))
        layers[name] = _grouped(arrays, "layer")
        foreign += [f"{name} loaded {', '.join(facts['foreign'])}"] if facts["foreign"] else []
    table, missing = measured.layers(layers, exact_layers, reference.kinds(model))
    problems = [*foreign, *(p for side in sides[1:] for p in measured.problems(side, sides[0])), *_over(table)]
    return Comparison(
        title or f"{path.resolve().parent.name}/{path.name}",
        path.name,
        rows,
        measured.policy,
        measured.allowed,
        tuple(sides),
        tuple(table),
        tuple(missing),
        tuple(problems),
    )


class _Measured:
    """The float64 outputs and Keras's, against which every side is measured."""

    def __init__(self, rows: Rows, exact: list[Any], keras: list[Any], policy: str, threshold: float) -> None:
        self.rows, self.exact, self.policy, self.threshold = rows, exact, policy, threshold
        self.keras_classes = classes_of(keras[0], threshold)
        self.allowed = yardstick.allowed(worst(keras, exact), policy)

    def side(self, name: str, y: list[Any], seconds: float, load_seconds: float, versions: dict[str, str]) -> Side:
        """The measures of one implementation that gives `y`."""
        same = len(y) == len(self.exact) and all(a.shape == b.shape for a, b in zip(y, self.exact, strict=True))
        gaps = [np.abs(a.astype(np.float64) - b) for a, b in zip(y, self.exact, strict=True)] if same else []
        by_row = np.stack([gap.reshape(len(gap), -1).max(axis=1) for gap in gaps]).max(axis=0) if gaps else None
        predicted = classes_of(y[0], self.threshold) if same else None
        return Side(
            name,
            worst(y, self.exact),
            float(by_row.max()) if by_row is not None else float("inf"),
            float(np.mean(np.concatenate([gap.ravel() for gap in gaps]))) if gaps else float("inf"),
            _f1(self.rows.y, predicted),
            predicted if predicted is not None else np.full(len(self.rows), -1),
            by_row if by_row is not None else np.full(len(self.rows), np.inf),
            seconds,
            load_seconds,
            tuple(self._differing(predicted)) if predicted is not None else (),
            versions,
        )

    def _differing(self, predicted: Any) -> list[Differing]:
        exact = self.exact[0].reshape(len(self.rows), -1)
        scale = max(1.0, float(np.abs(exact).max(initial=0)))
        found = []
        for row in np.flatnonzero(predicted != self.keras_classes):
            ours, theirs = int(predicted[row]), int(self.keras_classes[row])
            if exact.shape[1] == 1:
                margin = abs(float(exact[row].item()) - self.threshold)
            else:
                margin = abs(float(exact[row, theirs] - exact[row, ours]))
            found.append(Differing(int(row), theirs, ours, margin, margin <= 2 * self.allowed * scale))
        return found

    def problems(self, side: Side, keras: Side) -> list[str]:
        """Why parity does not hold for a side; nothing where it does."""
        found = []
        if not side.error <= self.allowed:
            found.append(f"{side.name}: error {side.error:.3g} is over the allowed {self.allowed:.3g}")
        apart = [d for d in side.differing if not d.tie]
        if apart:
            shown = ", ".join(f"row {d.row}: {d.fnet} for {d.keras}" for d in apart[:5])
            found.append(f"{side.name}: another class than Keras on {len(apart)} rows ({shown})")
        only_ties = bool(side.differing) and not apart
        if side.f1 is not None and keras.f1 is not None and not only_ties and f"{side.f1:.4f}" != f"{keras.f1:.4f}":
            found.append(f"{side.name}: macro-F1 {side.f1:.4f}, Keras has {keras.f1:.4f}")
        return found

    def layers(
        self, given: dict[str, dict[str, list[Any]]], exact: dict[str, list[Any]], kinds: dict[str, str]
    ) -> tuple[list[LayerErrors], list[str]]:
        """(errors of the layers that every side has, names of those that some side has not)."""
        table, missing = [], []
        for name, values in exact.items():
            if not all(name in layers for layers in given.values()):
                missing.append(name)
                continue
            errors = {side: worst(layers[name], values) for side, layers in given.items()}
            allowed = yardstick.allowed(errors["Keras"], self.policy)
            table.append(LayerErrors(name, kinds.get(name, ""), values[0].shape[1:], errors, allowed))
        return table, missing


def _over(table: list[LayerErrors]) -> list[str]:
    """The first layer over the yardstick; those behind it mostly only pass the error on."""
    over = [layer for layer in table if not layer.held]
    if not over:
        return []
    errors = ", ".join(f"{side} {error:.3g}" for side, error in over[0].errors.items())
    return [f"layer {over[0].name}: over the allowed {over[0].allowed:.3g} ({errors}); {len(over)} layers in all"]


def worst(y: list[Any], exact: list[Any]) -> float:
    """The largest error of several arrays; inf where they do not match."""
    if len(y) != len(exact):
        return float("inf")
    return max((yardstick.error(a, b) for a, b in zip(y, exact, strict=True)), default=0.0)


def classes_of(y: Any, threshold: float) -> Any:
    """The predicted class of each row; rows of a single unit are class 1 above `threshold`."""
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    return (y[:, 0] > threshold).astype(np.int64) if y.shape[1] == 1 else y.argmax(axis=1)


def _f1(labels: Any, predicted: Any) -> float | None:
    if labels is None or predicted is None:
        return None
    return float(f1_score(labels, predicted, average="macro", zero_division=0))


def _keras_versions() -> dict[str, str]:
    import keras
    import tensorflow as tf

    return {"keras": keras.__version__, "tensorflow": tf.__version__}


def _grouped(arrays: dict[str, Any], kind: str) -> dict[str, list[Any]]:
    """{name: arrays in order} of the arrays called "kind name index"."""
    found: dict[str, list[Any]] = {}
    for key, value in arrays.items():
        if key.startswith(f"{kind} "):
            found.setdefault(key[len(kind) + 1 :].rpartition(" ")[0], []).append(value)
    return found


def run_worker(
    model_file: Path, rows: Rows, backend: str, batch_size: int = 32, layer_rows: int = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays, facts) of `compare.worker` in a fresh process with FNET_BACKEND set."""
    with tempfile.TemporaryDirectory(prefix="fnet-compare-") as name:
        folder = Path(name)
        named = {f"x{i}": a for i, a in enumerate(rows.x)} if isinstance(rows.x, tuple) else {"x": rows.x}
        plain = {key: a.astype(str) if a.dtype == object else a for key, a in named.items()}
        np.savez(folder / "inputs.npz", **plain)
        job = {"model": str(model_file.resolve()), "batch_size": batch_size, "layer_rows": layer_rows}
        job |= {key: str(folder / file) for key, file in FILES.items()}
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
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


FILES = {"inputs": "inputs.npz", "arrays": "arrays.npz", "facts": "facts.json"}
