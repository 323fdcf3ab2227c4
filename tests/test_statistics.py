"""The statistics of the studies, against scikit-learn, known values, and data made to differ or not."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from compare.studies import simulation, statistics


def test_macro_f1_is_scikit_learns():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    weights = rng.integers(0, 3, 200).astype(float)
    for w in (None, weights):
        wanted = f1_score(labels, predicted, average="macro", sample_weight=w)
        assert statistics.macro_f1(labels, predicted, 4, w) == pytest.approx(wanted)


def scored(scores, rows=50):
    """Scores with rows without influence."""
    return statistics.Scored(np.array(scores), np.zeros((len(scores), rows)))


def test_interval_is_students():
    got = statistics.estimate(scored([0.5, 0.6, 0.7]))
    assert (got.mean, got.deviation) == pytest.approx((0.6, 0.1))
    assert (got.low, got.high) == pytest.approx((0.6 - 0.24841, 0.6 + 0.24841), abs=1e-4)
    assert (got.wide_low, got.wide_high) == pytest.approx((got.low, got.high))  # the rows bring nothing here
    assert np.isnan(statistics.estimate(scored([0.5])).low)
    same = statistics._error(np.arange(50.0), [scored([0.5, 0.5])])
    assert same == pytest.approx((np.arange(50).std(ddof=1) / 50**0.5, 49))


def test_an_influence_is_the_derivative_of_macro_f1_by_the_weight_of_a_row():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 60), rng.integers(0, 3, 60)  # one class is never predicted
    got = statistics.influence(labels, predicted, 4)
    base = statistics.macro_f1(labels, predicted, 4)
    for row in range(60):
        weights = np.ones(60)
        weights[row] += 1e-6
        assert got[row] == pytest.approx(
            60 * (statistics.macro_f1(labels, predicted, 4, weights) - base) / 1e-6, abs=1e-3
        )
    assert got.sum() == pytest.approx(0, abs=1e-9)


def test_the_error_of_a_mean_is_that_of_new_seeds_and_new_rows():
    """Trainings are drawn many times from known components; the spread of the means is what one table estimates."""
    rng, means, errors = np.random.default_rng(0), [], []
    for _ in range(400):
        table = rng.normal(0, 1, 80) + rng.normal(0, 0.2, (4, 1)) + rng.normal(0, 1.5, (4, 80))
        values = statistics.Scored(table.mean(1), table - table.mean(1, keepdims=True))
        means.append(table.mean())
        errors.append(statistics._error(values.by_row, [values])[0] ** 2)
    assert np.mean(errors) == pytest.approx(np.var(means), rel=0.15)
    assert np.var(means) == pytest.approx(1 / 80 + 0.04 / 4 + 2.25 / 320, rel=0.15)


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
    assert [c.adjusted for c in statistics.holm(pairs)] == pytest.approx([0.03, 0.06, 0.06], rel=1e-9, abs=0)
    pairs = [statistics.Comparison("a", "b", 0, 0, 0, p) for p in (0.4, 1e-9, 0.7, 0.02)]
    assert [c.adjusted for c in statistics.holm(pairs)] == pytest.approx([0.8, 4e-9, 0.8, 0.06], rel=1e-9, abs=0)
    assert [c.p for c in statistics.holm(pairs)] == [0.4, 1e-9, 0.7, 0.02]


def test_a_verdict_needs_a_p_below_the_level_and_names_the_higher_mean():
    for difference, adjusted, verdict in (
        *((0.1, 0.0499, "a is better"), (-0.1, 0.0499, "b is better"), (0.1, 0.05, "no difference shown")),
        (0.1, float("nan"), "too few seeds"),
    ):
        assert statistics.Comparison("a", "b", difference, 0, 0, 0.01, 0.1, adjusted).verdict == verdict


@pytest.mark.parametrize("setting", simulation.SETTINGS[1:], ids=lambda setting: setting.name)
def test_the_test_is_wrong_as_often_as_it_says(setting):
    """Fewer trials than the committed simulation has, and wider limits: three standard errors around 0.03 to 0.07."""
    found = simulation.simulate(setting, 300, seed=1)
    assert 0.0 < found["type I error"] < 0.11
    assert found["power"] > 0.5


def test_the_committed_simulation_shows_a_type_i_error_near_its_level():
    found = json.loads((Path(__file__).parent.parent / "docs" / "results" / "simulation.json").read_text("utf-8"))
    assert [setting["name"] for setting in found] == [setting.name for setting in simulation.SETTINGS]
    assert all(0.03 <= setting["type I error"] <= 0.07 and setting["trials"] >= 2000 for setting in found)
    assert all(setting["power"] > 0.75 for setting in found if setting["true difference"] > setting["detectable"])


def test_where_all_error_comes_from_seeds_it_is_welchs_test():
    first, second = np.array([0.71, 0.74, 0.68, 0.75]), np.array([0.62, 0.69, 0.60])
    pair = statistics.tested(("a", "b"), scored(first), scored(second))
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert pair.p == pytest.approx(welch.pvalue, rel=1e-9, abs=0)
    assert (pair.low, pair.high) == pytest.approx(tuple(welch.confidence_interval()), rel=1e-9)
    error = (pair.high - pair.difference) / stats.t.ppf(0.975, welch.df)
    assert pair.detectable == pytest.approx(
        error * (stats.t.ppf(0.975, welch.df) + stats.t.ppf(0.8, welch.df)), rel=1e-9
    )
    assert statistics.tested(("a", "b"), scored([0.6, 0.6]), scored([0.5, 0.5])).p == 0.0
    assert statistics.tested(("a", "b"), scored([0.5, 0.5]), scored([0.5, 0.5])).p == 1.0


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
