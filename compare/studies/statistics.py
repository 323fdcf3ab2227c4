"""What the evidence allows to conclude: intervals over seeds, paired bootstrap over rows and seeds, Holm."""

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

RESAMPLES = 2000
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
    """`first` minus `second` in mean macro-F1: 95% interval, two-sided p, and p after Holm (NaN: not testable)."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    adjusted: float = math.nan

    @property
    def better(self) -> str:
        """The one with the higher mean, whether or not that is shown."""
        return self.first if self.difference > 0 else self.second

    @property
    def verdict(self) -> str:
        """What may be said at the 5% level."""
        if math.isnan(self.adjusted):
            return "too few seeds"
        if self.adjusted >= LEVEL:
            return "no difference shown"
        return f"{self.better} is better"


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
    return _f1_of(np.bincount(labels * classes + predicted, weights, classes * classes), classes)


def _f1_of(counts: Array, classes: int) -> float:
    confusion = counts.reshape(classes, classes)
    totals = confusion.sum(0) + confusion.sum(1)
    return float(np.mean(2 * confusion.diagonal() / np.where(totals == 0, 1, totals)))


def compare(predictions: Mapping[str, Array], labels: Array, *, seed: int = 0) -> list[Comparison]:
    """All pairs of configurations, Holm-corrected together.

    predictions: {configuration: class numbers (seeds, rows)}. Rows and seeds are both resampled, so that the
    error covers new texts and new trainings. The drawn rows are the same for all configurations (which pairs
    them); seeds are drawn for each on its own, because a seed means nothing across configurations.

    A bootstrap of three seeds alone is far too sure of itself: it finds one difference in four between equal
    configurations. So one seed fewer than there are is drawn, which makes the variance unbiased (McCarthy and
    Snowden 1985), and the bootstrap's standard error is held against Student's t with Welch and Satterthwaite's
    degrees of freedom. Where a configuration has one seed nothing follows: interval and p are NaN.
    """
    classes = 1 + int(max(labels.max(), *(p.max() for p in predictions.values())))
    rng = np.random.default_rng(seed)
    exact = {name: np.array([macro_f1(labels, p, classes) for p in given]) for name, given in predictions.items()}
    drawn = _resampled(predictions, labels, classes, rng)
    means = {name: _mean_of_drawn_seeds(scores, rng) for name, scores in drawn.items()}
    pairs = []
    for first, second in itertools.combinations(predictions, 2):
        difference = float(exact[first].mean() - exact[second].mean())
        error = float((means[first] - means[second]).std(ddof=1))
        both = (exact[first], exact[second])
        pairs.append(_tested((first, second), difference, error, both))
    return _holm(pairs)


def _resampled(
    predictions: Mapping[str, Array], labels: Array, classes: int, rng: np.random.Generator
) -> dict[str, Array]:
    """{configuration: macro-F1 (RESAMPLES, seeds)}, every prediction on the same drawn rows."""
    scores = {name: np.empty((RESAMPLES, len(given))) for name, given in predictions.items()}
    for i in range(RESAMPLES):
        rows = rng.integers(0, len(labels), len(labels))
        true = labels[rows] * classes
        for name, given in predictions.items():
            for s, predicted in enumerate(given):
                scores[name][i, s] = _f1_of(np.bincount(true + predicted[rows], minlength=classes**2), classes)
    return scores


def _mean_of_drawn_seeds(scores: Array, rng: np.random.Generator) -> Array:
    """(RESAMPLES,): for every resample the mean over n - 1 of the n seeds, drawn with replacement."""
    count = scores.shape[1]
    chosen = rng.integers(0, count, (len(scores), max(1, count - 1)))
    return np.asarray(np.take_along_axis(scores, chosen, axis=1).mean(axis=1))


def _tested(pair: tuple[str, str], difference: float, error: float, scores: tuple[Array, Array]) -> Comparison:
    """The comparison of a pair from its standard error and the scores of both (seeds,)."""
    if min(map(len, scores)) < 2:
        return Comparison(*pair, difference, math.nan, math.nan, math.nan)
    if error == 0:
        return Comparison(*pair, difference, difference, difference, 1.0 if difference == 0 else 0.0)
    # Only the part of the error that comes from seeds is estimated from few numbers.
    parts = [float(s.var(ddof=1)) / len(s) for s in scores]
    uncertain = sum(part**2 / (len(s) - 1) for part, s in zip(parts, scores, strict=True))
    freedom = max(error**2, sum(parts)) ** 2 / uncertain if uncertain else math.inf
    half = float(stats.t.ppf(0.975, freedom)) * error
    p = 2 * float(stats.t.sf(abs(difference) / error, freedom))
    return Comparison(*pair, difference, difference - half, difference + half, p)


def _holm(pairs: Sequence[Comparison]) -> list[Comparison]:
    """The pairs with p adjusted by Holm's step-down method, in their order."""
    known = [pair for pair in pairs if not math.isnan(pair.p)]
    adjusted, largest = dict.fromkeys(pairs, math.nan), 0.0
    for rank, pair in enumerate(sorted(known, key=lambda pair: pair.p)):
        # Pairs that cannot be tested yet count: adding seeds must not take a verdict back.
        largest = max(largest, min(1.0, (len(pairs) - rank) * pair.p))
        adjusted[pair] = largest
    return [dataclasses.replace(pair, adjusted=adjusted[pair]) for pair in pairs]
