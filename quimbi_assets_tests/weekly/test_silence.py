"""A silence is worth an alert where those before it were followed by nothing."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.history import History
from quimbi_assets.weekly.silence import compare_silent, judge_silence

FIRST, DAYS = pd.Timestamp("2024-01-01"), 300


def shop(leaves, days=DAYS, n=300, seed=0):
    """Customers who order every ten days or so at random; a share of them stops for good on some day."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(n), days // 2)
    at = rng.exponential(rng.uniform(5, 15, n)[ids]).reshape(n, -1).cumsum(axis=1)
    last = np.where(rng.random(n) < leaves, rng.uniform(0, days, n), days)
    told = (at < last[:, None]).ravel()
    dates = FIRST + pd.to_timedelta(at.ravel()[told], unit="D")
    names = np.char.add("c", ids[told].astype(str))
    return pd.DataFrame(
        {"order_id": np.arange(told.sum()), "customer_id": names, "order_date": dates, "total_price": 1.0}
    )


def test_silence_tells_where_customers_leave_and_nothing_where_all_go_on():
    leaving, staying = (judge_silence(History.from_frames(shop(share))) for share in (0.5, 0.0))
    assert leaving.reason is None
    assert leaving.gap > 0.3
    assert leaving.p_value == pytest.approx(1 / 2000)
    assert "silence foretells too little here" in staying.reason
    assert "alerts take 5 points and p <= 0.01" in staying.reason
    assert staying.n_silent > 20
    assert abs(staying.gap) < 0.05


def test_a_test_as_of_the_past_is_blind_to_what_came_later_and_the_same_again():
    orders = shop(0.5)
    end = FIRST + pd.Timedelta(days=200)
    then = judge_silence(History.from_frames(orders).until(end))
    alone = judge_silence(History.from_frames(orders[orders["order_date"] < end]).until(end))
    assert then.to_json() == alone.to_json() == judge_silence(History.from_frames(orders).until(end)).to_json()
    assert then.horizon_days == 28
    assert then != judge_silence(History.from_frames(orders))


@pytest.mark.parametrize(
    ("store", "why"),
    [
        ({"days": 60}, "60 days of orders, fewer than the 70"),
        ({"n": 8}, "customers had been unusually silent 28 days ago or earlier, fewer than 20"),
    ],
)
def test_what_cannot_be_tested_yet_alerts_nobody_and_says_why(store, why):
    found = judge_silence(History.from_frames(shop(0.5, **store)))
    assert why in found.reason
    assert found.gap is None


def test_what_orders_and_tenure_explain_is_no_news():
    # Silent are mostly those of the second cell, who stay away whether silent or not.
    seen = pd.DataFrame({"cell": np.repeat([0, 1], 200), "silent": np.arange(400) % 10 < np.repeat([1, 9], 200)})
    seen["away"] = seen["cell"] == 1
    assert seen["silent"][seen["away"]].mean() > 8 * seen["silent"][~seen["away"]].mean()
    found = compare_silent(seen, 28)
    assert (found.gap, found.p_value) == (0, 1)
    assert found.reason is not None
