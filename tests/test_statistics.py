"""The statistics of the studies, against scikit-learn, known values, and data made to differ or not."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from compare.studies import statistics


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
    assert [c.adjusted for c in statistics._holm(pairs)] == pytest.approx([0.03, 0.06, 0.06], rel=1e-9, abs=0)
    pairs = [statistics.Comparison("a", "b", 0, 0, 0, p) for p in (0.4, 1e-9, 0.7, 0.02)]
    assert [c.adjusted for c in statistics._holm(pairs)] == pytest.approx([0.8, 4e-9, 0.8, 0.06], rel=1e-9, abs=0)
    assert [c.p for c in statistics._holm(pairs)] == [0.4, 1e-9, 0.7, 0.02]


def test_a_verdict_needs_a_p_below_the_level_and_names_the_higher_mean():
    for difference, adjusted, verdict in (
        *((0.1, 0.0499, "a is better"), (-0.1, 0.0499, "b is better"), (0.1, 0.05, "no difference shown")),
        (0.1, float("nan"), "too few seeds"),
    ):
        assert statistics.Comparison("a", "b", difference, 0, 0, 0.01, adjusted).verdict == verdict


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


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_means_of_drawn_seeds_vary_as_the_mean_of_that_many_seeds_does(seeds):
    """Drawing as many as there are would give (n - 1) / n of the variance: half of it for two seeds."""
    scores = np.random.default_rng(0).standard_normal(seeds)
    drawn = statistics._mean_of_drawn_seeds(np.tile(scores, (100_000, 1)), np.random.default_rng(1))
    assert drawn.shape == (100_000,)
    assert drawn.mean() == pytest.approx(scores.mean(), abs=0.01)
    assert drawn.var() == pytest.approx(scores.var(ddof=1) / seeds, rel=0.02)


def test_every_resample_draws_its_own_rows_and_all_configurations_share_them():
    labels = np.arange(200) % 2
    half = np.where(np.arange(200) < 100, labels, 1 - labels)[None]
    drawn = statistics._resampled({"a": half, "b": half, "c": 1 - half}, labels, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn["a"], drawn["b"])
    assert drawn["a"].mean() == pytest.approx(0.5, abs=0.01)
    assert drawn["a"].std() == pytest.approx((0.25 / 200) ** 0.5, rel=0.1)
    assert np.corrcoef(drawn["a"][:, 0], drawn["c"][:, 0])[0, 1] < -0.9


def test_where_all_error_comes_from_seeds_it_is_welchs_test():
    first, second = np.array([0.71, 0.74, 0.68, 0.75]), np.array([0.62, 0.69, 0.60])
    error = (first.var(ddof=1) / 4 + second.var(ddof=1) / 3) ** 0.5
    difference = float(first.mean() - second.mean())
    pair = statistics._tested(("a", "b"), difference, error, (first, second))
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert pair.p == pytest.approx(welch.pvalue, rel=1e-9, abs=0)
    assert (pair.low, pair.high) == pytest.approx(tuple(welch.confidence_interval()), rel=1e-9)
    wide = statistics._tested(("a", "b"), difference, 2 * error, (first, second))
    assert 2 * 2 * stats.norm.sf(difference / error / 2) / 2 < wide.p < 2 * stats.t.sf(difference / error / 2, welch.df)
    assert statistics._tested(("a", "b"), 0.1, 0.0, (first, second)).p == 0.0
    assert statistics._tested(("a", "b"), 0.0, 0.0, (first, second)).p == 1.0


def test_one_seed_shows_nothing_and_missing_pairs_count_in_the_correction():
    labels = np.random.default_rng(1).integers(0, 3, 400)
    made = {
        "a": predictions(labels, 0.9, 5, 2),
        "b": predictions(labels, 0.6, 5, 3),
        "c": predictions(labels, 0.2, 1, 4),
    }
    found = {(c.first, c.second): c for c in statistics.compare(made, labels)}
    assert found["a", "b"].verdict == "a is better"
    assert found["a", "b"].adjusted == pytest.approx(3 * found["a", "b"].p, rel=1e-9, abs=0)
    assert found["a", "c"].verdict == "too few seeds"
    assert np.isnan([found["a", "c"].p, found["b", "c"].low]).all()


def test_identical_predictions_do_not_differ():
    labels = np.arange(30) % 3
    same = np.stack([labels, labels])
    (pair,) = statistics.compare({"a": same, "b": same}, labels)
    assert (pair.difference, pair.p, pair.verdict) == (0, 1, "no difference shown")
