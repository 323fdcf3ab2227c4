"""What the evidence allows to conclude: intervals over seeds, paired bootstrap over rows and seeds, Holm."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import stats

Array: TypeAlias = np.ndarray[Any, Any]

RESAMPLES = 4000
LEVEL = 0.05


@dataclass(frozen=True)
class Estimate:
    """Mean over seeds with its sample standard deviation and Student-t 95% interval (NaN for one seed)."""

    mean: float
    deviation: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Comparison:
    """`first` minus `second` in mean macro-F1: bootstrap 95% interval, two-sided p, and p after Holm."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    adjusted: float = math.nan

    @property
    def verdict(self) -> str:
        """What may be said at the 5% level."""
        if not self.adjusted < LEVEL:
            return "no difference shown"
        return f"{self.first if self.difference > 0 else self.second} is better"


def estimate(values: Sequence[float]) -> Estimate:
    """Mean, spread and interval of one number per seed."""
    array = np.asarray(values, float)
    mean, n = float(array.mean()), len(array)
    if n < 2:
        return Estimate(mean, math.nan, math.nan, math.nan, n)
    deviation = float(array.std(ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return Estimate(mean, deviation, mean - half, mean + half, n)


def macro_f1(labels: Array, predicted: Array, classes: int, weights: Array | None = None) -> float:
    """Macro-F1 of one prediction (rows,), rows counted `weights` times; a class never met counts as 0."""
    confusion = np.bincount(labels * classes + predicted, weights, classes * classes).reshape(classes, classes)
    totals = confusion.sum(0) + confusion.sum(1)
    return float(np.mean(2 * confusion.diagonal() / np.where(totals == 0, 1, totals)))


def compare(predictions: Mapping[str, Array], labels: Array, *, seed: int = 0) -> list[Comparison]:
    """All pairs of configurations, Holm-corrected together.

    predictions: {configuration: class numbers (seeds, rows)}; seeds of different configurations are paired by
    their order. Rows and seeds are both resampled, so that the interval covers new texts and new trainings.
    """
    classes = 1 + int(max(labels.max(), *(p.max() for p in predictions.values())))
    rng = np.random.default_rng(seed)
    pairs = [_compare(pair, predictions, labels, classes, rng) for pair in itertools.combinations(predictions, 2)]
    return _holm(pairs)


def _compare(
    pair: tuple[str, str], predictions: Mapping[str, Array], labels: Array, classes: int, rng: np.random.Generator
) -> Comparison:
    first, second = (predictions[name] for name in pair)
    seeds, rows = min(len(first), len(second)), len(labels)

    def difference(chosen: Array, weights: Array | None) -> float:
        gaps = {
            s: macro_f1(labels, first[s], classes, weights) - macro_f1(labels, second[s], classes, weights)
            for s in set(chosen.tolist())
        }
        return float(np.mean([gaps[s] for s in chosen.tolist()]))

    drawn = np.array(
        [
            difference(rng.integers(0, seeds, seeds), rng.multinomial(rows, np.full(rows, 1 / rows)).astype(float))
            for _ in range(RESAMPLES)
        ]
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = min(1.0, 2 * (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / (1 + RESAMPLES))
    return Comparison(*pair, difference(np.arange(seeds), None), float(low), float(high), float(p))


def _holm(pairs: Sequence[Comparison]) -> list[Comparison]:
    """The pairs with p adjusted by Holm's step-down method, in their order."""
    order = sorted(range(len(pairs)), key=lambda i: pairs[i].p)
    adjusted, largest = [0.0] * len(pairs), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(pairs) - rank) * pairs[i].p))
        adjusted[i] = largest
    return [
        Comparison(c.first, c.second, c.difference, c.low, c.high, c.p, a) for c, a in zip(pairs, adjusted, strict=True)
    ]
