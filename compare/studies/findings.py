"""What the rows of the studies say: each study with its configurations, comparisons and the claim it tests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from compare.studies import statistics
from compare.studies.statistics import Comparison, Estimate
from train_keras import data
from train_keras.config import Config
from train_keras.studies import SEEDS, STUDIES, Study, run_name

Row = dict[str, Any]


class ReportError(ValueError):
    """The rows of a results folder do not belong together."""


@dataclass(frozen=True)
class Claim:
    """One conclusion of the report as a statement that a comparison can hold or contradict."""

    text: str
    better: str
    worse: str


_TEXT = {
    "layers": ("More {cell} layers do better", "3 x 64", "1 x 64"),
    "cells": ("More cells in a {cell} layer do better", "2 x 128", "2 x 32"),
    "direction": ("A bidirectional {cell} does better than one that reads forward only", "bi", "uni"),
}

CLAIMS: dict[str, Claim] = {
    "cnn.layers": Claim("More convolution layers do better", "4 layers", "2 layers"),
    "cnn.filters": Claim("More filters do better", "64-128-256", "16-32-64"),
    "cnn.kernels": Claim("Larger kernels do better", "7-5-3", "3-3-3"),
    "cnn.pooling": Claim("Maximum pooling does better than average pooling", "max", "average"),
    **{
        f"{family}.{topic}": Claim(text.format(cell=cell), better, worse)
        for family, cell in (("rnn", "SimpleRNN"), ("lstm", "LSTM"))
        for topic, (text, better, worse) in _TEXT.items()
    },
}
"""{study without its arm: claim}: the ten, reconstructed from what the studies vary."""

REPORTED = {
    ("cnn", "base"): (0.7238, 0.7388, 0.7123, 0.6912),
    ("rnn", "base"): (0.5768, 0.5532, 0.5942),
    ("lstm", "base"): (0.5062, 0.5210, 0.4580),
    ("cnn", "best"): (0.7388,),
    ("rnn", "best"): (0.5942,),
    ("lstm", "best"): (0.5769,),
}
"""Macro-F1 in the report: its repeats of each family's base configuration, and its best of each family."""

BASES = {
    "cnn": ("cnn.pooling", "max"),
    "rnn": ("rnn.direction.reported", "bi"),
    "lstm": ("lstm.direction.reported", "bi"),
}
"""{family: the study and the label that name its base configuration}."""

TARGETS = (
    ("best grid CNN", ("cnn",), False, 0.72),
    ("designed CNN", ("cnn",), True, 0.80),
    ("best recurrent grid configuration", ("rnn", "lstm"), False, 0.74),
    ("designed text model", ("rnn", "lstm"), True, 0.77),
)
"""(what, families, whether designed by us, the mean macro-F1 on test that was aimed at)."""

WHY = {
    (
        "best recurrent grid configuration",
        "nusax",
    ): "Cross-validation on the training and validation rows promised 0.73 for "
    "these settings, and nothing tried there promised more; nothing was changed after the test scores were seen."
}
"""{(what, data set): why its figure was missed, as far as known}."""

CLASSES = {
    "cifar10": data.CIFAR10_CLASSES,
    "nusax": data.NUSAX_CLASSES,
    "reviews": data.NUSAX_CLASSES,
    "digits": tuple("0123456789"),
}
"""{data set: names of its classes}."""


@dataclass(frozen=True, eq=False)
class Variant:
    """A configuration in a study and its finished runs, by seed."""

    label: str
    config: Config
    rows: tuple[Row, ...]

    @property
    def wanted(self) -> int:
        """How many seeds the study asks for."""
        return SEEDS[self.config.family]

    @property
    def seeds(self) -> str:
        """`3`, or `2 of 3` where runs are missing."""
        return str(len(self.rows)) if len(self.rows) >= self.wanted else f"{len(self.rows)} of {self.wanted}"

    @property
    def scores(self) -> tuple[float, ...]:
        """Macro-F1 on test, one a seed."""
        return tuple(float(row["test"]["macro_f1"]) for row in self.rows)

    @property
    def test(self) -> Estimate:
        """Macro-F1 on test over seeds."""
        return self._estimate([float(row["test"]["macro_f1"]) for row in self.rows])

    @property
    def valid(self) -> Estimate:
        """Macro-F1 on validation of the kept weights over seeds: what choices are made by."""
        return self._estimate([float(row["valid"]["macro_f1"]) for row in self.rows])

    @property
    def predicted(self) -> Any:
        """The predicted classes on test, (seeds, rows)."""
        return np.array([[int(c) for c in row["test"]["predicted"]] for row in self.rows])

    @property
    def base(self) -> bool:
        """Whether this is the configuration that the report repeated."""
        study, label = BASES[self.config.family]
        return study in STUDIES and run_name(self.config) == run_name(STUDIES[study].variants[label])

    @property
    def reported(self) -> tuple[float, ...]:
        """The report's own scores for this configuration, as far as they are known."""
        return REPORTED[self.config.family, "base"] if self.base else ()

    @staticmethod
    def _estimate(values: list[float]) -> Estimate:
        return statistics.estimate(values) if values else Estimate(math.nan, math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, eq=False)
class Finding:
    """A study with what its runs gave; `labels` are the test labels of its data, None without rows."""

    study: Study
    variants: tuple[Variant, ...]
    labels: Any

    @property
    def data(self) -> str | None:
        """The name of the data set."""
        return next((row["data"] for variant in self.variants for row in variant.rows), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes."""
        return CLASSES[self.data] if self.data else ()

    @property
    def done(self) -> int:
        """How many runs are finished, of `wanted`."""
        return sum(min(len(v.rows), v.wanted) for v in self.variants)

    @property
    def wanted(self) -> int:
        """How many runs the study asks for."""
        return sum(v.wanted for v in self.variants)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All pairs of configurations that have runs, Holm-corrected together."""
        present = {v.label: v.predicted for v in self.variants if v.rows}
        return tuple(statistics.compare(present, self.labels)) if len(present) > 1 else ()

    @property
    def topic(self) -> str:
        """The study's name without its arm: the two arms of a text study test one claim."""
        return self.study.name.removesuffix(f".{self.study.arm}")

    @property
    def claim(self) -> Claim | None:
        """The conclusion that this study tests."""
        return CLAIMS.get(self.topic)

    @property
    def tested(self) -> Comparison | None:
        """The comparison that decides about the claim."""
        if self.claim is None:
            return None
        ends = {self.claim.better, self.claim.worse}
        return next((c for c in self.comparisons if {c.first, c.second} == ends), None)

    @property
    def verdict(self) -> str:
        """On the claim: holds, not shown, contradicted, or not yet decided (runs are missing)."""
        claim, tested = self.claim, self.tested
        complete = self.done == self.wanted
        if claim is None or tested is None or math.isnan(tested.adjusted) or not complete:
            return "not yet decided"
        if tested.adjusted >= statistics.LEVEL:
            return "not shown"
        return "holds" if tested.better == claim.better else "contradicted"


def collect(rows: list[Row], labels: dict[str, str]) -> list[Finding]:
    """Every study with its rows. labels: {data set: test labels as digits}.

    Raises ReportError for rows of several data sets of one kind, or without their labels.
    """
    named = {row["run"]: row for row in rows}
    known = {name: np.array([int(c) for c in digits]) for name, digits in labels.items()}
    for families in (("cnn",), ("rnn", "lstm")):
        sets = {(row["data"], row["data_sha256"]) for row in rows if row["family"] in families}
        if len(sets) > 1:
            told = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(sets))
            raise ReportError(f"rows on several data sets do not compare: {told}; keep each in a folder of its own")
        missing = [name for name, _ in sets if name not in known]
        if missing:
            raise ReportError(f"labels.json has no test labels of {', '.join(missing)}")
    found = []
    for study in STUDIES.values():
        variants = tuple(Variant(label, config, _of(config, named)) for label, config in study.variants.items())
        data_name = next((row["data"] for v in variants for row in v.rows), None)
        found.append(Finding(study, variants, known.get(data_name) if data_name else None))
    return found


def _of(config: Config, named: dict[str, Row]) -> tuple[Row, ...]:
    """The rows of a configuration by seed, also of seeds beyond those asked for."""
    most = 1 + max((row["seed"] for row in named.values()), default=-1)
    names = (run_name(dataclasses.replace(config, seed=seed)) for seed in range(most))
    return tuple(named[name] for name in names if name in named)


def candidates(findings: Sequence[Finding], families: tuple[str, ...], designed: bool) -> list[tuple[Finding, Variant]]:
    """The configurations of some families that have runs: those of the grids, or those designed by us."""
    return [
        (finding, variant)
        for finding in findings
        for variant in finding.variants
        if variant.config.family in families and variant.rows and designed is (variant.label == "designed")
    ]


def best(findings: Sequence[Finding], families: tuple[str, ...], designed: bool) -> tuple[Finding, Variant] | None:
    """The configuration with the highest mean macro-F1 on validation; the test split chooses nothing."""
    return max(candidates(findings, families, designed), key=lambda pair: pair[1].valid.mean, default=None)
