"""The horizon comes from the store's own gaps, or says why there is none; cut-offs end in time."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.churn.examples import choose_horizon, rolling_cut_offs
from quimbi_assets.churn.history import read_history
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets_tests.churn.conftest import past_of


def store(gap_days, n_days):
    end = pd.Timestamp("2025-01-01")
    days = list(range(n_days, -1, -gap_days))
    return pd.DataFrame({"customer_id": "a", "order_date": [end - pd.Timedelta(days=d) for d in days]}), end


@pytest.mark.parametrize(
    ("gap", "days", "horizon"),
    [
        (50, 1000, 49),  # nine gaps in ten are at most 50 days: whole weeks
        (3, 1000, 28),  # not under a month of weeks
        (300, 3000, 182),  # not over half a year
        (50, 100, 14),  # a fifth of a short history, in weeks
    ],
)
def test_horizon(gap, days, horizon):
    orders, end = store(gap, days)
    assert choose_horizon(read_history(past_of(orders, end + pd.Timedelta(days=1))), end) == horizon


def test_three_weeks_are_too_few():
    orders, end = store(2, 21)
    with pytest.raises(InsufficientHistoryError, match="21 days of orders, fewer than the 70"):
        choose_horizon(read_history(past_of(orders, end + pd.Timedelta(days=1))), end)


def test_nobody_came_back():
    orders = pd.DataFrame({"customer_id": ["a", "b"], "order_date": pd.to_datetime(["2024-01-01", "2024-06-01"])})
    with pytest.raises(InsufficientHistoryError, match="no customer has ordered twice"):
        choose_horizon(read_history(past_of(orders)), pd.Timestamp("2025-01-01"))


def test_cut_offs_are_half_a_horizon_apart_and_end_in_time():
    half = {"apart_days": 30, "most": 6, "least_history_days": 30}
    start, end = pd.Timestamp("2024-01-01"), pd.Timestamp("2025-01-01")
    cut_offs = rolling_cut_offs(start, end, 60, **half)
    assert len(cut_offs) == 6
    assert set(np.diff(cut_offs)) == {pd.Timedelta(days=-30)}
    assert cut_offs[0] == end - pd.Timedelta(days=60)
    assert rolling_cut_offs(start, pd.Timestamp("2024-02-01"), 60, **half) == []


def test_cut_offs_a_horizon_apart_leave_history_and_do_not_overlap():
    start = pd.Timestamp("2025-01-01")
    whole = {"apart_days": 90, "most": 3, "least_history_days": 90}
    assert rolling_cut_offs(start, start + pd.Timedelta(days=179), 90, **whole) == []
    assert rolling_cut_offs(start, start + pd.Timedelta(days=180), 90, **whole) == [start + pd.Timedelta(days=90)]
