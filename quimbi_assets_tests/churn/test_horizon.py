"""The horizon comes from the store's own gaps, within bounds, and says why where there is none."""

import pandas as pd
import pytest

from quimbi_assets.churn.history import read_history
from quimbi_assets.churn.horizon import choose_horizon
from quimbi_assets.errors import InsufficientHistoryError


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
    assert choose_horizon(read_history(orders, end + pd.Timedelta(days=1)), end) == horizon


def test_three_weeks_are_too_few():
    orders, end = store(2, 21)
    with pytest.raises(InsufficientHistoryError, match="21 days of orders, fewer than the 70"):
        choose_horizon(read_history(orders, end + pd.Timedelta(days=1)), end)


def test_nobody_came_back():
    orders = pd.DataFrame({"customer_id": ["a", "b"], "order_date": pd.to_datetime(["2024-01-01", "2024-06-01"])})
    with pytest.raises(InsufficientHistoryError, match="no customer has ordered twice"):
        choose_horizon(read_history(orders, pd.Timestamp("2025-01-01")), pd.Timestamp("2025-01-01"))
