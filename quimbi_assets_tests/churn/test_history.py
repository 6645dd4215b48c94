"""What a customer looked like at an instant: hand-worked numbers, blindness to what came later, alone as in a crowd."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import extract_features
from quimbi_assets.churn.history import WINDOWS, measure, read_history, stayed_away
from quimbi_assets_tests.churn.conftest import past_of

CUT = pd.Timestamp("2025-03-01")


def small():
    days = {"ann": (100, 60, 40), "bob": (10,), "cat": (-5,)}
    rows = [(who, CUT - pd.Timedelta(days=ago), 10.0 * ago) for who, agos in days.items() for ago in agos]
    return pd.DataFrame(rows, columns=["customer_id", "order_date", "total_price"])


def test_numbers_worked_out_by_hand():
    found = measure(read_history(past_of(small(), pd.Timestamp("2026-01-01"))), CUT, 80)
    assert found.index.tolist() == ["ann", "bob"]
    ann = found.loc["ann"]
    assert (ann["n_orders"], ann["days_since_last_order"], ann["tenure_days"]) == (3, 40, 100)
    assert (ann["avg_days_between_orders"], ann["longest_gap_days"], ann["last_gap_days"]) == (30, 40, 20)
    assert ann["gap_sd_days"] == pytest.approx(np.std([40, 20], ddof=1))
    assert [ann[name] for name in WINDOWS] == [0, 1, 2, 3]
    assert ann["avg_order_value"] == pytest.approx(2000 / 3)
    bob = found.loc["bob"]
    assert bob[["avg_days_between_orders", "gap_sd_days", "longest_gap_days", "last_gap_days"]].isna().all()
    assert bob["n_orders"] == 1


def test_who_stayed_away_is_counted_from_the_cut_on_to_the_horizon():
    orders = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "b", "c", "c", "d"],
            "order_date": [
                *(CUT - pd.Timedelta(days=1), CUT),  # at the cut itself: in the window
                *(CUT - pd.Timedelta(days=1), CUT + pd.Timedelta(days=30)),  # at its end: not any more
                *(CUT - pd.Timedelta(days=1), CUT + pd.Timedelta(days=30) - pd.Timedelta(seconds=1)),
                CUT + pd.Timedelta(days=1),  # not known at the cut
            ],
            "total_price": 1.0,
        }
    )
    history = read_history(past_of(orders, pd.Timestamp("2026-01-01")))
    assert stayed_away(history, CUT, 30).tolist() == [False, True, False]


def test_later_orders_change_nothing(orders, end):
    cut = end - pd.Timedelta(days=200)
    whole = measure(read_history(past_of(orders, end)), cut, 56)
    then = measure(read_history(past_of(orders[orders["order_date"] < cut], end)), cut, 56)
    pd.testing.assert_frame_equal(whole, then, check_exact=True)


def test_one_alone_is_one_in_a_crowd_and_the_order_of_rows_does_not_matter(orders, end):
    crowd = measure(read_history(past_of(orders.sample(frac=1, random_state=1), end)), end, 56)
    for customer in crowd.index[::97]:
        own = orders[orders["customer_id"] == customer]
        alone = measure(read_history(past_of(own, end)), end, 56)
        pd.testing.assert_frame_equal(alone, crowd.loc[[customer]], check_exact=True)


def test_names_shared_with_the_axes_mean_the_same(orders, end):
    found = measure(read_history(past_of(orders, end)), end, 56)
    axes = extract_features(orders, axes=["purchase_frequency"], observation_end=end)["purchase_frequency"]
    for name in ("days_since_last_order", "avg_days_between_orders", "n_orders"):
        np.testing.assert_allclose(found[name], axes.loc[found.index, name], rtol=1e-9, atol=1e-9)


def test_a_sample_keeps_whole_customers_and_is_the_same_every_time(orders, end):
    past = past_of(orders, end)
    some = read_history(past.sample(50, seed=3))
    assert len(some.customers) == 50
    assert some.customers.equals(read_history(past.sample(50, seed=3)).customers)
    pd.testing.assert_frame_equal(measure(some, end, 56), measure(read_history(past), end, 56).loc[some.customers])


def test_no_orders_no_customers(end):
    none = pd.DataFrame({"customer_id": pd.Series(dtype="str"), "order_date": pd.Series(dtype="datetime64[us]")})
    assert len(measure(read_history(past_of(none, end)), end, 28)) == 0
