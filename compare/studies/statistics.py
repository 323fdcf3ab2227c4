"""Statistics of the studies: means and differences with their errors over seeds and test rows, Holm's correction.

A score varies with the seed of the training, with the rows that happen to be in the test split, and with the
combination of both. Macro-F1 is linearised in the rows: each row has an influence on the score of each seed, and the
influences of a configuration are a table of seeds by rows. The variance of a mean over that table is

    rows / n + seeds / s + (seeds x rows) / (n s)

with the three components of a two-way analysis of variance. The variance of the row means over seeds contains the first
and the third, the variance of the seeds' scores the second and the third; the third is subtracted once, so that it
counts once. `compare.studies.simulation` checks the test on trainings whose difference is known.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import stats

Array: TypeAlias = np.ndarray[Any, Any]

LEVEL, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Estimate:
    """Mean over seeds, its sample standard deviation, Student-t 95% intervals (NaN for one seed).

    low, high: for new seeds on these test rows. wide_low, wide_high: for new seeds and new test rows.
    """

    mean: float
    deviation: float
    low: float
    high: float
    wide_low: float
    wide_high: float
    seeds: int


NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 0)
"""The estimate of a configuration without runs."""


@dataclass(frozen=True)
class Comparison:
    """`first` minus `second` in mean macro-F1: 95% interval, two-sided p, and p after Holm (NaN: not testable).

    detectable: the true difference that the test detects with a probability of 80%.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    detectable: float = math.nan
    adjusted: float = math.nan

    @property
    def better(self) -> str:
        """The one with the higher mean, significant or not."""
        return self.first if self.difference > 0 else self.second

    @property
    def verdict(self) -> str:
        """The conclusion at the 5% level."""
        if math.isnan(self.adjusted):
            return "too few seeds"
        if self.adjusted >= LEVEL:
            return "no difference shown"
        return f"{self.better} is better"


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of a configuration (seeds,), and the influence of every row on each of them (seeds, rows)."""

    scores: Array
    influence: Array

    @property
    def by_row(self) -> Array:
        """The influence of the rows on the mean over seeds, (rows,)."""
        return np.asarray(self.influence.mean(axis=0))

    @property
    def seeds(self) -> float:
        """The variance of the mean that new seeds bring on these rows (seeds, and seeds x rows)."""
        return float(np.var(self.scores, ddof=1)) / len(self.scores)

    @property
    def both(self) -> float:
        """The variance of the mean that comes from seeds x rows."""
        rest = self.influence - self.by_row
        seeds, rows = rest.shape
        return float(np.square(rest).sum()) / float((seeds - 1) * (rows - 1) * seeds * rows)


def scored(labels: Array, predictions: Array, classes: int) -> Scored:
    """Scores and influences of predictions (seeds, rows)."""
    scores = np.array([macro_f1(labels, predicted, classes) for predicted in predictions])
    return Scored(scores, np.stack([influence(labels, predicted, classes) for predicted in predictions]))


def macro_f1(labels: Array, predicted: Array, classes: int, weights: Array | None = None) -> float:
    """Macro-F1 of one prediction (rows,), rows counted `weights` times; the F1 of an absent class is 0."""
    confusion = np.bincount(labels * classes + predicted, weights, classes * classes).reshape(classes, classes)
    totals = confusion.sum(0) + confusion.sum(1)
    return float(np.mean(2 * confusion.diagonal() / np.where(totals == 0, 1, totals)))


def influence(labels: Array, predicted: Array, classes: int) -> Array:
    """By how much macro-F1 grows with the share of each row, (rows,); they sum to 0."""
    right = labels == predicted
    totals = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
    totals = np.where(totals == 0, 1, totals)
    f1 = 2 * np.bincount(labels[right], minlength=classes) / totals
    lost = (f1 / totals)[labels] + (f1 / totals)[predicted]
    return np.asarray(len(labels) / classes * (2 * right / totals[labels] - lost))


def estimate(values: Scored) -> Estimate:
    """Mean, spread and intervals of a configuration."""
    scores = values.scores
    mean, n = float(scores.mean()), len(scores)
    if n < 2:
        return dataclasses.replace(NOTHING, mean=mean, seeds=n)
    error, wide = math.sqrt(values.seeds), _error(values.by_row, [values])
    half = float(stats.t.ppf(0.975, n - 1)) * error
    # With few seeds Student's t is wide, but new rows as well as new seeds cannot make the interval narrower.
    far = max(half, float(stats.t.ppf(0.975, wide[1])) * wide[0])
    return Estimate(mean, float(scores.std(ddof=1)), mean - half, mean + half, mean - far, mean + far, n)


def compare(predictions: Mapping[str, Array], labels: Array) -> list[Comparison]:
    """All pairs of configurations, Holm-corrected together. predictions: {configuration: classes (seeds, rows)}.

    Configurations are paired by rows, which are the same for all; not by seeds, which mean nothing across
    configurations. With a single seed nothing can be tested: interval and p are NaN.
    """
    classes = 1 + int(max(labels.max(), *(p.max() for p in predictions.values())))
    all_scored = {name: scored(labels, given, classes) for name, given in predictions.items()}
    names = itertools.combinations(all_scored, 2)
    return holm([tested(pair, all_scored[pair[0]], all_scored[pair[1]]) for pair in names])


def tested(pair: tuple[str, str], first: Scored, second: Scored) -> Comparison:
    """The comparison of a pair, without Holm's correction."""
    difference = float(first.scores.mean() - second.scores.mean())
    if min(len(first.scores), len(second.scores)) < 2:
        return Comparison(*pair, difference, math.nan, math.nan, math.nan)
    error, freedom = _error(first.by_row - second.by_row, [first, second])
    if error == 0:
        return Comparison(*pair, difference, difference, difference, 1.0 if difference == 0 else 0.0, 0.0)
    edge = float(stats.t.ppf(1 - LEVEL / 2, freedom))
    p = 2 * float(stats.t.sf(abs(difference) / error, freedom))
    detectable = (edge + float(stats.t.ppf(POWER, freedom))) * error
    return Comparison(*pair, difference, difference - edge * error, difference + edge * error, p, detectable)


def _error(by_row: Array, parts: Sequence[Scored]) -> tuple[float, float]:
    """(standard error, Welch and Satterthwaite's degrees of freedom) of a mean or a difference of means.

    by_row: the influence of the rows on it. parts: the one or two configurations that it is made of.
    """
    rows = float(by_row.var(ddof=1)) / len(by_row)
    both = sum(part.both for part in parts)
    variance = max(rows + sum(part.seeds for part in parts) - both, both)  # an estimate, which may be too low
    uncertain = rows**2 / (len(by_row) - 1) + sum(part.seeds**2 / (len(part.scores) - 1) for part in parts)
    return math.sqrt(variance), variance**2 / uncertain if uncertain else math.inf


def holm(pairs: Sequence[Comparison]) -> list[Comparison]:
    """The pairs with p adjusted by Holm's step-down method, in their order."""
    known = [pair for pair in pairs if not math.isnan(pair.p)]
    adjusted, largest = dict.fromkeys(pairs, math.nan), 0.0
    for rank, pair in enumerate(sorted(known, key=lambda pair: pair.p)):
        # Pairs that cannot be tested yet count too: adding seeds must not revoke a verdict.
        largest = max(largest, min(1.0, (len(pairs) - rank) * pair.p))
        adjusted[pair] = largest
    return [dataclasses.replace(pair, adjusted=adjusted[pair]) for pair in pairs]
