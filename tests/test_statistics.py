"""The statistics of the studies, against scikit-learn, known values, and data made to differ or not."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from compare import statistics


def test_macro_f1_is_scikit_learns():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    weights = rng.integers(0, 3, 200).astype(float)
    for w in (None, weights):
        wanted = f1_score(labels, predicted, average="macro", sample_weight=w)
        assert statistics.macro_f1(labels, predicted, 4, w) == pytest.approx(wanted)


def test_interval_is_students():
    got = statistics.estimate([0.5, 0.6, 0.7])
    assert (got.mean, got.deviation) == pytest.approx((0.6, 0.1))
    assert (got.low, got.high) == pytest.approx((0.6 - 0.24841, 0.6 + 0.24841), abs=1e-4)
    assert np.isnan(statistics.estimate([0.5]).low)


def predictions(labels: np.ndarray, accuracy: float, seeds: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wrong = (labels + rng.integers(1, 3, (seeds, len(labels)))) % 3
    return np.where(rng.random((seeds, len(labels))) < accuracy, labels, wrong)


def test_a_difference_is_shown_where_there_is_one_and_not_where_there_is_none():
    labels = np.random.default_rng(1).integers(0, 3, 400)
    made = {
        "good": predictions(labels, 0.8, 5, 2),
        "same": predictions(labels, 0.8, 5, 3),
        "bad": predictions(labels, 0.6, 5, 4),
    }
    verdicts = {(c.first, c.second): c.verdict for c in statistics.compare(made, labels)}
    assert verdicts == {
        ("good", "same"): "no difference shown",
        ("good", "bad"): "good is better",
        ("same", "bad"): "same is better",
    }


def test_holm_is_step_down():
    pairs = [statistics.Comparison("a", "b", 0, 0, 0, p) for p in (0.01, 0.04, 0.03)]
    assert [c.adjusted for c in statistics._holm(pairs)] == pytest.approx([0.03, 0.06, 0.06])


def test_equal_configurations_with_noisy_seeds_are_rarely_called_different(monkeypatch):
    """A plain bootstrap of three seeds is wrong here in one case of four."""
    monkeypatch.setattr(statistics, "RESAMPLES", 100)
    rng, found = np.random.default_rng(3), 0
    for trial in range(60):
        labels = rng.integers(0, 3, 4000)
        made = {
            name: np.concatenate(
                [predictions(labels, 0.7 + 0.03 * rng.standard_normal(), 1, 10 * trial + s) for s in part]
            )
            for name, part in (("a", range(3)), ("b", range(3, 6)))
        }
        found += statistics.compare(made, labels)[0].p < 0.05
    assert found <= 6


def test_one_seed_shows_nothing_and_missing_pairs_count_in_the_correction():
    labels = np.random.default_rng(1).integers(0, 3, 400)
    made = {
        "a": predictions(labels, 0.9, 5, 2),
        "b": predictions(labels, 0.6, 5, 3),
        "c": predictions(labels, 0.2, 1, 4),
    }
    found = {(c.first, c.second): c for c in statistics.compare(made, labels)}
    assert found["a", "b"].verdict == "a is better"
    assert found["a", "b"].adjusted == pytest.approx(3 * found["a", "b"].p)
    assert found["a", "c"].verdict == "too few seeds"
    assert np.isnan([found["a", "c"].p, found["b", "c"].low]).all()


def test_identical_predictions_do_not_differ():
    labels = np.arange(30) % 3
    same = np.stack([labels, labels])
    (pair,) = statistics.compare({"a": same, "b": same}, labels)
    assert (pair.difference, pair.p, pair.verdict) == (0, 1, "no difference shown")
