"""Statistics of a risk against counting, resampling and numbers worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from quimbi_assets.churn.measures import auc, auc_difference, brier, calibration_bins, calibration_error, lift


def sample(n=400, seed=0):
    rng = np.random.default_rng(seed)
    risk = rng.uniform(0, 1, n)
    return rng.random(n) < risk, risk, np.clip(risk + rng.normal(0, 0.4, n), 0, 1)


def test_auc_is_that_of_scikit_learn_with_ties_too():
    truth, risk, _ = sample()
    assert auc(truth, risk).value == pytest.approx(roc_auc_score(truth, risk))
    assert auc(truth, risk.round(1)).value == pytest.approx(roc_auc_score(truth, risk.round(1)))
    assert brier(truth, risk) == pytest.approx(brier_score_loss(truth, risk))


def test_intervals_are_as_wide_as_resampling_says():
    truth, risk, other = sample()
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(600):
        rows = rng.integers(0, len(truth), len(truth))
        drawn.append([roc_auc_score(truth[rows], r[rows]) for r in (risk, other)])
    spread = np.std(drawn, axis=0)
    alone, both = auc(truth, risk), auc_difference(truth, risk, other)
    assert (alone.high - alone.low) / 3.92 == pytest.approx(spread[0], rel=0.15)
    assert (both.high - both.low) / 3.92 == pytest.approx(np.std(np.diff(drawn, axis=1)), rel=0.15)
    assert both.value == pytest.approx(roc_auc_score(truth, risk) - roc_auc_score(truth, other))


def test_a_risk_differs_from_itself_by_nothing():
    truth, risk, _ = sample()
    same = auc_difference(truth, risk, risk)
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_calibration_by_hand():
    truth = np.array([True] * 3 + [False] * 7 + [True] * 8 + [False] * 2)
    risk = np.repeat([0.2, 0.9], 10)
    np.testing.assert_allclose(calibration_bins(truth, risk), [[0.2, 0.3, 10], [0.9, 0.8, 10]])
    assert calibration_error(truth, risk) == pytest.approx(0.1)


def test_lift_of_the_riskiest_tenth_counts_ties_in_part():
    truth = np.array([True] * 2 + [False] * 18)
    assert lift(truth, np.linspace(1, 0, 20)) == pytest.approx(10)
    assert lift(truth, np.ones(20)) == pytest.approx(1)


def test_one_outcome_alone_has_no_area():
    with pytest.raises(ValueError, match="both outcomes"):
        auc(np.ones(5, dtype=bool), np.arange(5.0))
