"""The estimator keeps scikit-learn's conventions, adds up, and finds planted curves."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from quimbi_assets.churn.additive import AdditiveLogistic


@parametrize_with_checks([AdditiveLogistic()])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3))
    y = rng.random(4000) < expit(2 * X[:, 0] ** 2 - 2)
    X[::5, 1] = np.nan
    return X, y


def test_a_bend_is_found_by_curves_and_not_by_lines(planted):
    X, y = planted
    curves, lines = (AdditiveLogistic(curved).fit(X[:3000], y[:3000]) for curved in (True, False))
    assert roc_auc_score(y[3000:], curves.decision_function(X[3000:])) > 0.75
    assert roc_auc_score(y[3000:], lines.decision_function(X[3000:])) < 0.6


def test_contributions_add_up_to_the_log_odds_and_unknown_terms_add_nothing(planted):
    X, y = planted
    model = AdditiveLogistic().fit(X, y)
    found = model.contributions(X)
    np.testing.assert_allclose(found.sum(axis=1) + model.intercept_, model.decision_function(X))
    assert (found[::5, 1] == 0).all()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)


def test_one_alone_is_one_in_a_crowd_to_the_last_bit(planted):
    X, y = planted
    model = AdditiveLogistic().fit(X, y)
    crowd = model.decision_function(X)
    for row in range(0, 4000, 397):
        assert model.decision_function(X[[row]])[0] == crowd[row]
