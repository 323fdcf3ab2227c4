"""The differences between one implementation and the float64 evaluation of the same Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from compare import yardstick


@dataclass(frozen=True, eq=False)
class Rows:
    """The data of a comparison: inputs (one array, or a tuple), labels or None, class names."""

    name: str
    x: Any
    y: Any = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x[0]) if isinstance(self.x, tuple) else len(self.x)


@dataclass(frozen=True, eq=False)
class Run:
    """The results of one implementation: outputs, {layer: outputs}, times, versions.

    foreign: the packages that it loaded and should do without. middle: where a single unit is between two classes.
    """

    y: list[Any]
    layers: dict[str, list[Any]] = field(default_factory=dict)
    seconds: float = 0.0
    load_seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    middle: float = 0.0


@dataclass(frozen=True)
class Differing:
    """A row, or a pixel or step of one, with another predicted class than Keras's; a tie where float64 does not decide
    between the two."""

    row: int
    keras: int
    fnet: int
    margin: float
    tie: bool


@dataclass(frozen=True, eq=False)
class Side:
    """The measures of one implementation on all rows; errors are against the float64 evaluation.

    error: the largest relative error of an output (`compare.yardstick`). max_abs, mean_abs: over all entries.
    predicted: the class of every row, or of every pixel or step of one. agreement: the fraction with Keras's class.
    """

    name: str
    error: float
    predicted: Any
    row_errors: Any
    seconds: float
    load_seconds: float
    versions: dict[str, str]
    max_abs: float = np.inf
    mean_abs: float = np.inf
    f1: float | None = None
    agreement: float = 0.0
    differing: tuple[Differing, ...] = ()

    def mean_ratio(self, keras: Side) -> float | None:
        """The mean error as a multiple of Keras's; None where Keras has none, or this side cannot be measured."""
        return self.mean_abs / keras.mean_abs if keras.mean_abs > 0 and np.isfinite(self.mean_abs) else None


@dataclass(frozen=True)
class Errors:
    """One output or layer: the error of each side, the largest error that the yardstick allows, max|reference|."""

    name: str
    kind: str
    shape: tuple[int, ...]
    errors: dict[str, float]
    allowed: float
    magnitude: float

    @property
    def over(self) -> tuple[str, ...]:
        """The backends over the yardstick."""
        return tuple(side for side, e in self.errors.items() if side != "Keras" and not e <= self.allowed)

    @property
    def held(self) -> bool:
        """Whether every backend is within the yardstick."""
        return not self.over


class Measured:
    """The float64 outputs and Keras's, against which every side is measured."""

    def __init__(self, rows: Rows, exact: list[Any], keras: list[Any], policy: str, threshold: float) -> None:
        self.rows, self.exact, self.keras, self.policy, self.threshold = rows, exact, keras, policy, threshold
        self.keras_classes = classes_of(keras[0], threshold)
        if rows.y is not None and np.size(rows.y) != len(self.keras_classes):
            raise ValueError(f"{np.size(rows.y)} labels, but the model predicts {len(self.keras_classes)} classes")

    def side(self, name: str, run: Run) -> Side:
        """The measures of one implementation; where outputs have other shapes its errors are infinite."""
        error, nothing = (
            max(line.errors[name] for line in self.outputs({name: run})),
            np.full_like(self.keras_classes, -1),
        )
        side = Side(name, error, nothing, np.full(len(self.rows), np.inf), run.seconds, run.load_seconds, run.versions)
        if [array.shape for array in run.y] != [array.shape for array in self.exact]:
            return side
        gaps = [yardstick.gaps(*pair) for pair in zip(run.y, self.exact, strict=True)]
        by_row = np.stack([gap.reshape(len(gap), -1).max(axis=1) for gap in gaps]).max(axis=0)
        predicted, labels = classes_of(run.y[0], self.threshold), self.rows.y
        return replace(
            side,
            max_abs=float(by_row.max()),
            mean_abs=float(np.mean(np.concatenate([gap.ravel() for gap in gaps]))),
            f1=None
            if labels is None
            else float(f1_score(np.ravel(labels), predicted, average="macro", zero_division=0)),
            predicted=predicted,
            agreement=float(np.mean(predicted == self.keras_classes)),
            row_errors=by_row,
            differing=tuple(self._differing(predicted)),
        )

    def _differing(self, predicted: Any) -> list[Differing]:
        exact = scores_of(self.exact[0])
        allowed = yardstick.judge(self.keras[0], self.keras[0], self.exact[0], self.policy).allowed
        within = allowed * yardstick.magnitude(exact)
        rows = []
        for place in np.flatnonzero(predicted != self.keras_classes):
            ours, theirs = int(predicted[place]), int(self.keras_classes[place])
            if exact.shape[1] == 1:
                margin = abs(float(exact[place].item()) - self.threshold)
            else:
                margin = abs(float(exact[place, theirs] - exact[place, ours]))
            row = int(place) * len(self.rows) // len(predicted)
            rows.append(Differing(row, theirs, ours, margin, margin <= within))
        return rows

    def problems(self, side: Side, keras: Side) -> list[str]:
        """Why parity fails because of predicted classes; empty where it does not."""
        lines = []
        apart = [d for d in side.differing if not d.tie]
        if apart:
            shown = ", ".join(f"row {d.row}: {d.fnet} for {d.keras}" for d in apart[:5])
            what = "rows" if len(side.predicted) == len(self.rows) else "pixels or steps"
            lines.append(f"{side.name}: another class than Keras on {len(apart)} {what} ({shown})")
        if apart and side.f1 is not None and keras.f1 is not None and f"{side.f1:.4f}" != f"{keras.f1:.4f}":
            lines.append(f"{side.name}: macro-F1 {side.f1:.4f}, Keras has {keras.f1:.4f}")
        return lines

    def outputs(self, runs: dict[str, Run]) -> list[Errors]:
        """The errors of every output."""
        return self._errors("output", "", {side: run.y for side, run in runs.items()}, self.keras, self.exact)

    def layers(
        self, given: dict[str, dict[str, list[Any]]], exact: dict[str, list[Any]], kinds: dict[str, str]
    ) -> tuple[list[Errors], list[str]]:
        """(errors of the layers that every side has, names of those that some side lacks)."""
        table, missing = [], []
        for name, values in exact.items():
            if not all(name in layers for layers in given.values()):
                missing.append(name)
                continue
            every = {side: layers[name] for side, layers in given.items()}
            table += self._errors(name, kinds.get(name, ""), every, given["Keras"][name], values)
        return table, missing

    def _errors(
        self, name: str, kind: str, given: dict[str, list[Any]], keras: list[Any], exact: list[Any]
    ) -> list[Errors]:
        """One line for each array of an output or a layer."""
        lines = []
        for i, (theirs, reference) in enumerate(zip(keras, exact, strict=True)):
            allowed = yardstick.judge(theirs, theirs, reference, self.policy).allowed
            errors = {
                side: yardstick.judge(y[i], theirs, reference, self.policy).error if len(y) == len(exact) else np.inf
                for side, y in given.items()
            }
            which = name if len(exact) == 1 else f"{name} {i}"
            lines.append(Errors(which, kind, reference.shape[1:], errors, allowed, yardstick.magnitude(reference)))
        return lines


def over_outputs(table: Sequence[Errors]) -> list[str]:
    """Every side whose error is over the yardstick at an output."""
    lines = []
    for line in table:
        what = "error" if len(table) == 1 else f"error of {line.name}"
        lines += [
            f"{side}: {what} {line.errors[side]:.3g} is over the allowed {line.allowed:.3g}" for side in line.over
        ]
    return lines


def over_layers(table: Sequence[Errors]) -> list[str]:
    """The first layer over the yardstick; those after it mostly only pass the error on."""
    over = [layer for layer in table if not layer.held]
    if not over:
        return []
    errors = ", ".join(f"{side} {error:.3g}" for side, error in over[0].errors.items())
    return [f"layer {over[0].name}: over the allowed {over[0].allowed:.3g} ({errors}); {len(over)} layers in all"]


def classes_of(y: Any, threshold: float) -> Any:
    """The predicted class of each row, pixel or step; a single unit is 1 above `threshold`. Strings have none: 0."""
    y = scores_of(y)
    if y.dtype.kind in "OSU":
        return np.zeros(len(y), np.int64)
    return (y[:, 0] > threshold).astype(np.int64) if y.shape[1] == 1 else y.argmax(axis=1)


def scores_of(y: Any) -> Any:
    """An output as (n, k): k scores for each row, or for each pixel or step of the rows."""
    y = np.asarray(y)
    return y.reshape(-1, y.shape[-1] if y.ndim > 1 else 1)
