"""What is measured on one implementation against the float64 evaluation of the same Keras model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from compare import yardstick


@dataclass(frozen=True, eq=False)
class Rows:
    """What is compared on: inputs (one array, or a tuple), labels or None, class names, where from."""

    name: str
    x: Any
    y: Any = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x[0]) if isinstance(self.x, tuple) else len(self.x)


@dataclass(frozen=True, eq=False)
class Run:
    """What one implementation gave: outputs, {layer: outputs}, how long it took, what it ran on.

    foreign: what it loaded that it should do without.
    """

    y: list[Any]
    layers: dict[str, list[Any]] = field(default_factory=dict)
    seconds: float = 0.0
    load_seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()


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


class Measured:
    """The float64 outputs and Keras's, against which every side is measured."""

    def __init__(self, rows: Rows, exact: list[Any], keras: list[Any], policy: str, threshold: float) -> None:
        self.rows, self.exact, self.policy, self.threshold = rows, exact, policy, threshold
        self.keras_classes = classes_of(keras[0], threshold)
        self.allowed = yardstick.allowed(worst(keras, exact), policy)

    def side(self, name: str, run: Run) -> Side:
        """The measures of one implementation."""
        y = run.y
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
            run.seconds,
            run.load_seconds,
            tuple(self._differing(predicted)) if predicted is not None else (),
            run.versions,
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


def over(table: list[LayerErrors]) -> list[str]:
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
