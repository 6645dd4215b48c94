from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.weekly.noise import learn_acted, learn_lead, learn_surprisal, weeks_to_learn_from
from quimbi_assets.weekly.silence import LOOK_BACK_DAYS, closed_days, lapsed, surprisal

OPEN = np.zeros(LOOK_BACK_DAYS, dtype=bool)
"""The store was open on every day."""


def customers(**columns):
    n = max(np.size(values) for values in columns.values())
    usual = {"n_orders": 20, "days_since_last_order": 5.0, "avg_days_between_orders": 5.0, "purchase_consistency": 0.8}
    return pd.DataFrame({k: np.broadcast_to(v, n) for k, v in (usual | columns).items()})


def test_random_orders_by_hand():
    # Gaps as variable as their mean are exponential: three mean gaps of silence have probability exp(-3).
    found = surprisal(customers(days_since_last_order=15.0, purchase_consistency=0.5), OPEN)
    assert found == pytest.approx([3 / np.log(10)])


def test_a_longer_silence_surprises_more_and_a_regular_customer_s_most():
    found = surprisal(customers(days_since_last_order=[1.0, 5.0, 10.0, 20.0]), OPEN)
    assert (np.diff(found) > 0).all()
    regular, irregular = surprisal(customers(days_since_last_order=15.0, purchase_consistency=[0.9, 0.5]), OPEN)
    assert regular > irregular


def test_without_four_orders_there_is_no_rhythm():
    found = surprisal(customers(n_orders=[1, 2, 3, 4], days_since_last_order=900.0), OPEN)
    assert (found[:3] == 0).all()
    assert found[3] > 1.3
    undefined = customers(avg_days_between_orders=np.nan, purchase_consistency=np.nan, days_since_last_order=900.0)
    assert surprisal(undefined, OPEN).tolist() == [0]


def orders(days_ago, per_day=20):
    return np.bincount(np.asarray(days_ago, dtype=int), minlength=LOOK_BACK_DAYS) * per_day


def test_a_week_without_any_order_in_a_busy_store_is_a_closure():
    closed = closed_days(orders(np.arange(7, 90)))
    assert closed[:7].all()
    assert not closed[7:].any()
    silent = customers(days_since_last_order=[9.0, 16.0])
    assert surprisal(silent, closed) == pytest.approx(surprisal(customers(days_since_last_order=[2.0, 9.0]), OPEN))


def test_sundays_and_quiet_stores_are_no_closures():
    assert not closed_days(orders([day for day in range(90) if day % 7])).any()
    assert not closed_days(orders(np.arange(0, 90, 6), per_day=1)).any()
    assert not closed_days(orders([], per_day=1)).any()


def test_once_lapsed_a_customer_is_so_until_they_act():
    cause = np.array(["silent", "silent", "silent", "acted", "corrected"])
    before = np.array([False, False, True, True, False])
    surprisals, nobody = np.array([1.0, 2.0, 1.0, 0.0, 9.0]), np.zeros(5, dtype=bool)
    assert lapsed(cause, nobody, surprisals, before, 1.5).tolist() == [False, True, True, False, False]


def test_a_ticket_neither_ends_a_lapse_nor_is_it_silence():
    cause, wrote = np.array(["acted", "acted", "silent"]), np.array([True, True, False])
    assert lapsed(cause, wrote, np.full(3, 9.0), np.array([True, False, False]), 1.5).tolist() == [True, False, True]


N = 1000


@dataclass
class Week:
    """A week in which all customers are alike but in what is given."""

    cause: np.ndarray
    surprisal_before: np.ndarray
    surprisal: np.ndarray
    acted_score: np.ndarray
    drift: dict = field(default_factory=dict)

    def drift_on(self, axis):
        return self.drift.get(axis)


def week(cause="silent", drift=0.0, before=0.0, now=0.0, score=0.0):
    numbers = (np.broadcast_to(np.asarray(value, dtype=float), N) for value in (before, now, score))
    return Week(np.full(N, cause), *numbers, {"a": np.broadcast_to(np.asarray(drift, dtype=float), N)})


def test_the_lead_is_what_silence_alone_moves_ninety_nine_of_a_hundred():
    quiet, loud = week(drift=np.linspace(0, 0.2, N)), week(cause="acted", drift=1.0)
    assert learn_lead([quiet, loud], "a") == pytest.approx(0.198, abs=1e-3)
    assert learn_lead([loud], "a") == learn_lead([quiet], "never_seen") == 0.02
    assert learn_lead([week(drift=0.9), week(drift=np.nan)], "a") == 0.5


def test_at_most_half_a_percent_lapse_in_an_ordinary_week():
    surprisals = np.linspace(0, 5, N)
    level = learn_surprisal([week(now=surprisals)] * 5)
    assert (surprisals > level).mean() <= 0.005
    assert (surprisals > level - 0.1).mean() > 0.005


def test_who_was_above_before_does_not_come_to_exceed_a_level():
    assert learn_surprisal([week(before=2.0, now=5.0)]) == pytest.approx(1.3)
    assert learn_surprisal([week(before=0.0, now=5.0)]) == pytest.approx(5.0)


def test_one_extraordinary_week_does_not_raise_the_level():
    ordinary, extraordinary = week(now=0.5), week(now=5.0)
    assert learn_surprisal([ordinary] * 4 + [extraordinary] * 2) == 1.3
    assert learn_surprisal([extraordinary] * 4 + [ordinary]) == pytest.approx(5.0)


def test_an_alert_is_about_a_significant_move_at_least():
    assert learn_acted([week(score=0.3)]) == 0.5
    assert learn_acted([week(score=np.linspace(0, 1, N))]) == pytest.approx(0.9975, abs=1e-3)
    assert learn_acted([week(cause="new", score=0.9)]) == 0.5


def test_this_week_teaches_only_while_there_are_few_others():
    assert len(weeks_to_learn_from([week()] * 3, week())) == 4
    assert len(weeks_to_learn_from([week()] * 4, week())) == 4
