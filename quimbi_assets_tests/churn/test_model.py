"""A churn model: calibrated on the latest, every kind, follows drift, alone as in a crowd."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.churn.additive import FACTS, RECENCY
from quimbi_assets.churn.examples import gather
from quimbi_assets.churn.history import WINDOWS, read_history
from quimbi_assets.churn.model import FEW, KINDS, RECENCY_BASELINE, ChurnModel, Drift, fit_recency_baseline
from quimbi_assets_tests.churn.conftest import past_of

H = 56
COLUMNS = [
    *("n_orders", "days_since_last_order", "tenure_days", *WINDOWS, "avg_days_between_orders", "gap_sd_days"),
    *("longest_gap_days", "last_gap_days", "avg_order_value"),
]


@pytest.fixture(scope="module")
def examples(orders, end):
    return gather(read_history(past_of(orders, end)), end, H)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_risk_of_the_latest_is_what_happened_to_them(kind, examples):
    model = ChurnModel(kind, H).fit(examples.features, examples.away, examples.latest)
    risk = model.risk(examples.features)
    assert risk.min() >= 0.0001
    assert risk.max() <= 0.9999
    assert risk[examples.latest].mean() == pytest.approx(examples.away[examples.latest].mean(), abs=0.01)
    alone = [model.risk(examples.features.iloc[[row]])[0] for row in range(0, len(risk), 301)]
    assert alone == risk[::301].tolist()
    assert model.contributions(examples.features).shape == (len(risk), len(FACTS))


def test_the_recency_baseline_ranks_by_days_and_has_one_driver(examples):
    model = ChurnModel(RECENCY_BASELINE, H).fit(examples.features, examples.away, examples.latest)
    days = examples.features["days_since_last_order"].to_numpy()
    assert (np.diff(model.risk(examples.features)[np.argsort(days)]) >= 0).all()
    others = [i for i, fact in enumerate(FACTS) if fact != RECENCY]
    assert (model.contributions(examples.features)[:, others] == 0).all()


def test_the_curve_of_the_baseline_rises():
    rng = np.random.default_rng(0)
    days = rng.exponential(40, 3000)
    at, risk = fit_recency_baseline(days, rng.random(3000) < 1 - np.exp(-days / 30))
    assert (np.diff(at) > 0).all()
    assert (np.diff(risk) > 0).all()
    assert np.interp(30, at, risk) == pytest.approx(1 - np.exp(-1), abs=0.07)


def test_a_season_moves_the_level_as_the_year_before_says(examples):
    plain = ChurnModel("lines", H).fit(examples.features, examples.away, examples.latest)
    then, before = examples.features[examples.latest], examples.features[examples.latest]
    rng = np.random.default_rng(0)
    risk = plain.risk(then)
    quiet = rng.random(len(risk)) < risk
    both, newest = pd.concat([then, before]), np.arange(2 * len(risk)) < len(risk)
    season = Drift(both, np.append(quiet | (rng.random(len(risk)) < 0.3), quiet), newest, ~newest)
    moved = ChurnModel("lines", H).fit(examples.features, examples.away, examples.latest, season)
    assert moved.drift_ > 0.3
    assert moved.risk(then).mean() > risk.mean() + 0.03
    unmoved = Drift(both, np.append(quiet, quiet), newest, ~newest)
    same = ChurnModel("lines", H).fit(examples.features, examples.away, examples.latest, unmoved)
    assert same.drift_ == 0


@pytest.mark.parametrize("kind", ["lines", "curves"])
def test_few_customers_are_not_told_risks_bolder_than_come_true(kind):
    """Terms that say nothing: whoever foretells from them is as far from the truth as bold."""
    rng = np.random.default_rng(0)
    n = np.repeat(np.arange(120.0), 4)
    features = pd.DataFrame({name: rng.exponential(30, len(n)) for name in COLUMNS}, index=pd.Index(n.astype(str)))
    away = np.repeat(rng.random(120) < 0.5, 4)
    bold, few = (fitted_with(few, kind, features, away).risk(features).std() for few in (0, FEW))
    assert few < bold / 2
    shuffled = rng.permutation(len(n))
    again = fitted_with(FEW, kind, features.iloc[shuffled], away[shuffled]).risk(features)
    assert again == pytest.approx(fitted_with(FEW, kind, features, away).risk(features), abs=1e-9)


def fitted_with(few, kind, features, away):
    with patch("quimbi_assets.churn.model.FEW", few):
        return ChurnModel(kind, H).fit(features, away)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown kind 'magic'"):
        ChurnModel("magic").fit(pd.DataFrame({"days_since_last_order": [1.0]}), np.array([True]))
