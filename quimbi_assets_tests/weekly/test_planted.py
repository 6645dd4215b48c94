"""Stores whose truth is known: a planted slow-down, a week of silence, retraining, and a store made by chance."""

import numpy as np
import pandas as pd
import pytest
from quimbi_assets_tests.weekly.conftest import Weeks, fitted

from quimbi_assets.axes import extract_features
from quimbi_assets.ingest.policy import apply_policy
from quimbi_assets.profiles.scores import score_axis
from quimbi_assets.simulation import simulate_store
from quimbi_assets.weekly.comparison import SETTLED, measure_drift, settle, settle_before
from quimbi_assets.weekly.floors import learn_floors
from quimbi_assets.weekly.sides import Side

ZONE = "America/New_York"
AXES = ["purchase_frequency", "purchase_value", "loyalty_trajectory", "customer_maturity", "return_behavior"]


def mondays(first, n):
    days = pd.date_range(first, periods=n, freq="7D")
    return [day.tz_localize(ZONE).tz_convert("UTC").tz_localize(None) for day in days]


def canonical(store):
    return apply_policy(store.orders, store.order_items, time_zone=ZONE)[:2]


@pytest.fixture(scope="module")
def slowing():
    """A store of which a tenth slows down on 1 September, watched for ten weeks before and two after."""
    store = simulate_store(2_000, seed=11, slow_down_share=0.1, slow_down_from="2025-09-01")
    weeks = mondays("2025-06-23", 13)
    orders, items = canonical(store)
    watched = Weeks(orders, items, *fitted(orders, items, weeks[0], AXES))
    return store.labels.set_index("customer_id"), [watched.next(week) for week in weeks]


def test_a_slow_down_is_found_within_two_weeks_and_hardly_anybody_else(slowing):
    labels, found = slowing
    alerts = pd.concat([week.week["alert"].notna() for week in found[-2:]], axis=1).fillna(value=False).any(axis=1)
    truth = labels.reindex(alerts.index)
    assert alerts[truth["slows_down"]].mean() >= 0.8
    assert alerts[~truth["slows_down"]].mean() <= 0.05
    assert alerts[truth["is_brisk"] & ~truth["slows_down"]].mean() <= 0.05


def test_before_it_alerts_are_rare(slowing):
    rates = [week.week["alert"].notna().mean() for week in slowing[1][1:-2]]
    assert max(rates) <= 0.015
    silent = [
        week.moves.loc[week.moves["cause"] == "silent", "customer_id"].nunique() / len(week.week)
        for week in slowing[1][1:-2]
    ]
    assert max(silent) <= 0.01


@pytest.mark.parametrize("weeks_before", [1, 6])
def test_seven_days_without_any_order_move_hardly_anybody(weeks_before):
    store = simulate_store(2_000, seed=3)
    weeks = mondays("2025-08-04", weeks_before + 2)
    orders, items = canonical(store)
    # Nor is anything sent back: that would be the customers' doing.
    orders = orders[orders["order_date"] < weeks[-2]].assign(refund_amount=0.0)
    items = items.assign(refund_amount=0.0, refunded_at=pd.NaT)
    watched = Weeks(orders, items, *fitted(orders, items, weeks[0], AXES))
    silent = [watched.next(week) for week in weeks][-1]
    assert (silent.week["cause"] == "silent").all()
    assert silent.moves["customer_id"].nunique() <= 0.01 * len(silent.week)
    assert silent.week["alert"].notna().mean() <= 0.01


def test_retraining_alone_moves_nobody_by_behaviour():
    store = simulate_store(1_000, seed=4)
    orders, items = canonical(store)
    now, earlier = mondays("2025-03-03", 1)[0], mondays("2024-09-02", 1)[0]
    old, reference = fitted(orders, items, earlier, AXES)
    new, _ = fitted(orders, items, now, AXES, seed=7)
    features = extract_features(orders, items, axes=AXES, observation_end=now, reference=reference)
    sides = [Side({a: score_axis(m[a], features[a]) for a in features}) for m in (old, new)]
    own = {SETTLED + a: np.array(s.segment_ids, dtype=object)[s.dominant] for a, s in sides[0].scores.items()}
    own = pd.DataFrame(own, index=sides[0].customers)
    week = measure_drift(sides[1], sides[1]).assign(cause="silent", surprise_before=9.0, surprise=9.0, fallen=True)
    assert (week.filter(like="drift:").to_numpy() == 0).all()
    floors = learn_floors([week], AXES)
    _, moves = settle(sides[1], week, settle_before(sides[1], None, own), floors)
    assert set(moves["cause"]) <= {"model"}
    assert len(moves)
