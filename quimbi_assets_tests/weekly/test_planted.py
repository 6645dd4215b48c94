"""Stores whose truth is known: a planted slow-down, a week of silence, retraining."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.history import History
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.simulation import simulate_store
from quimbi_assets.store import Store
from quimbi_assets_tests.weekly.conftest import Weeks, fitted

ZONE = "America/New_York"
AXES = ["purchase_frequency", "purchase_value", "loyalty_trajectory", "customer_maturity", "return_behavior"]


def mondays(first, n):
    days = pd.date_range(first, periods=n, freq="7D")
    return [day.tz_localize(ZONE).tz_convert("UTC").tz_localize(None) for day in days]


def past(store, orders=None, items=None):
    """The history of a simulated store's paid orders."""
    orders = store.orders if orders is None else orders
    paid = orders[orders["status"] == "paid"]
    return History.from_frames(paid, store.order_items if items is None else items, None, Store(time_zone=ZONE))


@pytest.fixture(scope="module")
def slowing(tmp_path_factory):
    """A store of which a tenth slows down on 1 September, watched for ten weeks before and two after."""
    store = simulate_store(2_000, seed=11, slow_down_share=0.1, slow_down_from="2025-09-01")
    weeks, history = mondays("2025-06-23", 13), past(store)
    watched = Weeks(history, fitted(history.until(weeks[0]), AXES), tmp_path_factory.mktemp("slowing"))
    return store.labels.set_index("customer_id"), [watched.next(week) for week in weeks]


def alerted(found):
    return pd.Series(pd.notna(found.alert), found.movement.customers)


def by_axes(found):
    """Migrations but those between groups, which rules make of time that passes too."""
    return found.moves[~found.moves["axis_name"].isin(GROUPINGS)]


def test_a_slow_down_is_found_within_two_weeks_and_hardly_anybody_else(slowing):
    labels, found = slowing
    alerts = pd.concat([alerted(week) for week in found[-2:]], axis=1).fillna(value=False).any(axis=1)
    truth = labels.reindex(alerts.index)
    assert alerts[truth["slows_down"]].mean() >= 0.8
    assert alerts[~truth["slows_down"]].mean() <= 0.05
    assert alerts[truth["is_brisk"] & ~truth["slows_down"]].mean() <= 0.05


def test_before_it_alerts_are_rare(slowing):
    before = slowing[1][1:-2]
    assert max(alerted(week).mean() for week in before) <= 0.015
    silent = [by_axes(week).loc[week.moves["cause"] == "silent", "customer_id"].nunique() for week in before]
    assert max(np.array(silent) / [len(week.movement.customers) for week in before]) <= 0.01


def test_acceleration_is_known_from_the_eighth_comparison_on(slowing):
    known = [np.isfinite(week.acceleration["purchase_frequency"]).any() for week in slowing[1][1:]]
    assert known == [False] * 7 + [True] * 5


@pytest.mark.parametrize("weeks_before", [1, 6])
def test_seven_days_without_any_order_move_hardly_anybody(weeks_before, tmp_path):
    store = simulate_store(2_000, seed=3)
    weeks = mondays("2025-08-04", weeks_before + 2)
    # Nor is anything sent back: that would be the customers' doing.
    dates = store.orders["order_date"].dt.tz_convert("UTC").dt.tz_localize(None)
    orders = store.orders[dates < weeks[-2]].assign(refund_amount=0.0)
    history = past(store, orders, store.order_items.assign(refund_amount=0.0, refunded_at=pd.NaT))
    watched = Weeks(history, fitted(history.until(weeks[0]), AXES), tmp_path)
    silent = [watched.next(week) for week in weeks][-1]
    n = len(silent.movement.customers)
    assert (silent.movement.cause == "silent").all()
    assert by_axes(silent)["customer_id"].nunique() <= 0.01 * n
    assert alerted(silent).mean() <= 0.01


def test_retraining_alone_moves_nobody_by_behaviour(tmp_path):
    history = past(simulate_store(1_000, seed=4))
    earlier, week = mondays("2024-09-02", 1)[0], mondays("2025-03-03", 1)[0]
    old, new = fitted(history.until(earlier), AXES), fitted(history.until(week), AXES, seed=7)
    watched = Weeks(history, old, tmp_path)
    watched.next(week)
    found = watched.next(week + pd.Timedelta(seconds=1), replace(new, versions=dict.fromkeys(new.models, "2")))
    assert set(found.movement.cause) == {"silent"}
    assert max(drift.max() for drift in found.movement.drift.values()) < 1e-3  # under one model
    assert set(found.moves["cause"]) == {"model"}
    assert pd.isna(found.alert).all()
