import numpy as np
import pandas as pd
import pytest

from quimbi_assets.weekly.inactivity import LOOK_BACK_DAYS, closed_days, lapsed, surprisal


def customers(**columns):
    n = max(np.size(values) for values in columns.values())
    usual = {"n_orders": 20, "days_since_last_order": 5.0, "avg_days_between_orders": 5.0, "purchase_consistency": 0.8}
    return pd.DataFrame({k: np.broadcast_to(v, n) for k, v in (usual | columns).items()})


def test_random_orders_by_hand():
    # Gaps as variable as their mean are exponential: three mean gaps of silence have probability exp(-3).
    found = surprisal(customers(days_since_last_order=15.0, purchase_consistency=0.5))
    assert found == pytest.approx([3 / np.log(10)])


def test_a_longer_silence_surprises_more_and_a_regular_customer_s_most():
    found = surprisal(customers(days_since_last_order=[1.0, 5.0, 10.0, 20.0]))
    assert (np.diff(found) > 0).all()
    regular, irregular = surprisal(customers(days_since_last_order=15.0, purchase_consistency=[0.9, 0.5]))
    assert regular > irregular


def test_without_four_orders_there_is_no_rhythm():
    found = surprisal(customers(n_orders=[1, 2, 3, 4], days_since_last_order=900.0))
    assert (found[:3] == 0).all()
    assert found[3] > 1.3
    undefined = customers(avg_days_between_orders=np.nan, purchase_consistency=np.nan, days_since_last_order=900.0)
    assert surprisal(undefined).tolist() == [0]


def orders(days_ago, per_day=20):
    return np.bincount(np.asarray(days_ago, dtype=int), minlength=LOOK_BACK_DAYS) * per_day


def test_a_week_without_any_order_in_a_busy_store_is_a_closure():
    closed = closed_days(orders(np.arange(7, 90)))
    assert closed[:7].all()
    assert not closed[7:].any()
    silent = customers(days_since_last_order=[9.0, 16.0])
    assert surprisal(silent, closed) == pytest.approx(surprisal(customers(days_since_last_order=[2.0, 9.0])))


def test_sundays_and_quiet_stores_are_no_closures():
    assert not closed_days(orders([day for day in range(90) if day % 7])).any()
    assert not closed_days(orders(np.arange(0, 90, 6), per_day=1)).any()
    assert not closed_days(orders([], per_day=1)).any()


def test_once_lapsed_a_customer_is_so_until_they_act():
    cause = np.array(["silent", "silent", "silent", "acted", "corrected"])
    before = np.array([False, False, True, True, False])
    found = lapsed(cause, np.array([1.0, 2.0, 1.0, 0.0, 9.0]), before, 1.5)
    assert found.tolist() == [False, True, True, False, False]
