"""Stages by a customer's waits beside the store's: by hand, as of any instant, and on planted lapses."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.churn.history import read_history
from quimbi_assets.history import History
from quimbi_assets.marketing.groups import fit_marketing, group_customers
from quimbi_assets.marketing.lifecycle import (
    ACTIVE,
    AT_RISK,
    LAPSED,
    LOST,
    NEW,
    SLOWING,
    LifecycleLimits,
    Waits,
    learn_limits,
    measure_waits,
)
from quimbi_assets.simulation import simulate_store

START = pd.Timestamp("2025-01-01")


def history_of(days: dict[str, list[float]], end: float) -> History:
    rows = [(customer, START + pd.Timedelta(days=day)) for customer, at in days.items() for day in at]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_date"])
    frame = frame.assign(order_id=[f"o{i}" for i in range(len(frame))], total_price=10.0)
    return History.from_frames(frame).until(START + pd.Timedelta(days=end))


@pytest.fixture(scope="module")
def simulated() -> History:
    made = simulate_store(800, seed=5)
    return History.from_frames(made.orders, made.order_items)


def test_orders_of_one_day_are_one_and_the_usual_wait_leans_on_the_stores():
    history = history_of({"ann": [0, 0.2, 10, 30], "bob": [5]}, end=40)
    waits = measure_waits(read_history(history), history.end)
    assert waits.n_ended.tolist() == [2, 0]
    np.testing.assert_allclose(waits.total, [30, 0])
    np.testing.assert_allclose(waits.silence, [10, 35])
    # Ann: 10 days of (30 + 15) / 3; Bob knows the store's wait alone.
    np.testing.assert_allclose(waits.in_usual_waits(15.0), [10 / 15, 35 / 15])


def test_each_limit_begins_its_stage():
    limits = LifecycleLimits(10.0, np.array([[2.0, 4.0, 6.0, 8.0]] * 4))
    silence = np.array([1.9, 1.9, 2.0, 4.0, 6.0, 8.0]) * 10.0
    waits = Waits(silence, np.zeros(6, dtype=np.intp), np.zeros(6))
    stages = limits.stages(waits, np.array([89.0, 90.0, 5.0, 90.0, 90.0, 90.0]))
    assert stages.tolist() == [NEW, ACTIVE, SLOWING, AT_RISK, LAPSED, LOST]


def test_waits_that_all_end_lose_nobody_and_waits_that_seldom_end_do():
    rng = np.random.default_rng(1)
    memoryless = {f"c{i}": np.cumsum(rng.exponential(20.0, 40)).tolist() for i in range(150)}
    history = history_of(memoryless, end=300)
    always = learn_limits(read_history(history), history.end)
    assert np.isinf(always.limits[:, 2:]).all()
    # Of exponential waits, four of five are over after 1.6 usual ones and nineteen of twenty after 3.
    np.testing.assert_allclose(always.limits[-1, :2], [1.6, 3.0], rtol=0.12)
    left = {customer: at[:3] for customer, at in memoryless.items()}
    history = history_of(memoryless | {f"{c}_left": at for c, at in left.items()}, end=300)
    some = learn_limits(read_history(history), history.end)
    assert np.isfinite(some.limits[1]).all()
    assert some.limits[1, 3] >= some.limits[1, 2] >= some.limits[1, 0]


def test_a_store_without_any_second_order_still_has_stages():
    history = history_of({f"c{i}": [i] for i in range(300)}, end=300)
    groups = group_customers(history, fit_marketing(history), pd.Index(history.customers.to_pandas()))
    by_age = pd.Series(groups.ids()["lifecycle"], groups.columns["days_since_last_order"].to_numpy()).sort_index()
    assert by_age.loc[:89].eq("new").all()
    assert by_age.loc[90:179].eq("active").all()
    assert by_age.loc[180:].isin(["slowing", "at risk", "lapsed", "lost"]).all()


def test_one_customer_alone_is_as_in_the_crowd_and_later_orders_change_nothing(simulated):
    at = simulated.end - pd.Timedelta(days=120)
    then = simulated.until(at)
    reference, everybody = fit_marketing(then), pd.Index(then.customers.to_pandas())
    crowd = group_customers(then, reference, everybody)
    for row in range(0, len(everybody), 97):
        alone = group_customers(then.of(everybody[[row]]), reference, everybody[[row]])
        assert alone.columns.to_pylist() == crowd.columns.slice(row, 1).to_pylist()
    frames = then.frames()
    blind = History(simulated.store, History.from_frames(frames.orders, frames.items).tables).until(at)
    assert group_customers(blind, fit_marketing(blind), everybody).columns.equals(crowd.columns)


def test_planted_lapses_are_called_so(simulated):
    """Of the simulated store: who has been silent for more than twice their waits, two of which or more are known."""
    customers = pd.Index(simulated.customers.to_pandas())
    groups = group_customers(simulated, fit_marketing(simulated), customers)
    waits = measure_waits(read_history(simulated), simulated.end)
    silent = (waits.n_ended >= 2) & (waits.silence > 2 * waits.total / np.maximum(waits.n_ended, 1))
    assert silent.sum() > 100
    assert (groups.codes["lifecycle"][silent] >= SLOWING).mean() >= 0.95
    in_rhythm = (waits.n_ended >= 2) & (waits.silence < waits.total / np.maximum(waits.n_ended, 1))
    assert (groups.codes["lifecycle"][in_rhythm] <= ACTIVE).mean() >= 0.9
