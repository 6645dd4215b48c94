"""Customers a horizon before the history's end, and at its end: both measured as if alone, nothing seen early."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import Features, fit_reference, measure
from quimbi_assets.clustering import transition
from quimbi_assets.clustering.transition import measure_transition
from quimbi_assets.history import History
from quimbi_assets.pipeline import last_transition
from quimbi_assets.simulation import simulate_store

AXES = ["customer_maturity", "return_behavior", "value_sophistication"]
DAYS = 60


@pytest.fixture(scope="module")
def history():
    drawn = simulate_store(150, seed=5)
    return History.from_frames(drawn.orders, drawn.order_items)


@pytest.fixture(scope="module")
def measured(history):
    return measure_transition(history, AXES, DAYS, recorded=history.recorded, reference=fit_reference(history))


def test_either_instant_is_measured_as_it_was(history, measured):
    recorded, reference = history.recorded, fit_reference(history)
    for instant, frames in ((measured.cut_off, measured.before), (history.end, measured.after)):
        whole = Features(measure(history.until(instant), AXES, recorded=recorded, reference=reference))
        for axis in AXES:
            pd.testing.assert_frame_equal(frames[axis], whole[axis].loc[frames[axis].index])
    known = history.until(measured.cut_off).customers.to_pylist()
    assert list(measured.before["customer_maturity"].index) == known
    assert list(measured.after["customer_maturity"].index) == known


def test_orders_then_and_since_are_counted(history, measured):
    orders = history.frames().orders
    orders["customer_id"] = orders["customer_id"].astype("str")
    customers = measured.before["customer_maturity"].index
    early = orders[orders["order_date"] < measured.cut_off]
    assert (early["customer_id"].value_counts().reindex(customers) == measured.n_orders).all()
    since = orders.loc[orders["order_date"] >= measured.cut_off, "customer_id"].unique()
    assert (customers.isin(since) == measured.bought).all()
    assert 0 < measured.bought.mean() < 1
    first = early.groupby("customer_id")["order_date"].min().reindex(customers)
    np.testing.assert_allclose((measured.cut_off - first) / pd.Timedelta(days=1), measured.tenure_days, atol=1e-4)


def test_of_many_customers_the_first_in_the_seeded_order_are_measured(history, measured, monkeypatch):
    monkeypatch.setattr(transition, "MOST_CUSTOMERS", 20)
    few = measure_transition(history, AXES, DAYS, recorded=history.recorded, reference=fit_reference(history))
    customers = few.before["return_behavior"].index
    assert list(customers) == history.until(few.cut_off).sample(20, 0).customers.to_pylist()
    pd.testing.assert_frame_equal(few.after["return_behavior"], measured.after["return_behavior"].loc[customers])


def test_the_last_transition_is_a_horizon_long_or_says_why_there_is_none(history):
    recorded, reference = history.recorded, fit_reference(history)
    last = last_transition(history, AXES[:1], recorded, reference)
    assert last.horizon_days % 7 == 0
    assert last.cut_off == history.end - pd.Timedelta(days=last.horizon_days)
    young = history.until(history.span[0] + pd.Timedelta(days=40))
    assert "cannot be learnt" in last_transition(young, AXES[:1], recorded, reference)
