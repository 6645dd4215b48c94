"""What is published: only what beats both figures, blind to what comes, and a reason wherever nothing is."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.value import evaluation
from quimbi_assets.value.evaluation import (
    MODEL,
    NAIVE,
    RECENT,
    Evaluation,
    HoldOut,
    Outcome,
    certainty,
    concordance,
    draw_calibration,
    train_value,
)
from quimbi_assets_tests.churn.conftest import make_orders, past_of


@pytest.fixture(scope="module")
def fit(orders, end):
    return train_value(past_of(orders, end))


def test_value_is_foretold_where_rates_differ_and_customers_leave(fit):
    assert fit.evaluation.weak_reason is None
    assert fit.evaluation.weak_parts == fit.model.weak_parts_ == {}
    model = fit.evaluation.figures[MODEL]
    assert model.error < min(fit.evaluation.figures[way].error for way in (RECENT, NAIVE))
    assert 0.75 < model.total < 1.33
    assert 0.75 < fit.evaluation.covered < 0.97
    assert fit.model.weak_reason_ is None


def test_hold_outs_follow_each_other_and_the_year_is_one(fit, end):
    starts = [each.start for each in fit.evaluation.hold_outs]
    assert starts == [end - pd.Timedelta(days=90 * i) for i in (1, 2, 3)]
    assert fit.evaluation.year.start == end - pd.Timedelta(days=365)
    assert fit.evaluation.by_hold_out["days"].tolist() == [90, 90, 90, 365]


def test_what_was_foretold_does_not_change_with_what_came(orders, end, fit):
    first = fit.evaluation.hold_outs[0]
    later = orders["order_date"] >= first.start
    fewer = train_value(past_of(orders[~later | (np.arange(len(orders)) % 2 == 0)], end)).evaluation.hold_outs[0]
    for one, other in ((fewer.spend, first.spend), (fewer.orders, first.orders)):
        np.testing.assert_array_equal(one.by_way[MODEL], other.by_way[MODEL])
    assert fewer.spend.came.sum() < first.spend.came.sum()


def test_as_of_the_past_is_blind_and_rows_may_come_in_any_order(orders, end):
    past = end - pd.Timedelta(days=150)
    shuffled = orders[orders["order_date"] < past].sample(frac=1, random_state=5)
    one, two = (train_value(past_of(each, past)) for each in (orders, shuffled))
    seen = past_of(orders, past).spending(90)
    np.testing.assert_array_equal(one.model.predict(seen), two.model.predict(seen))
    assert one.evaluation.figures == two.evaluation.figures


def test_orders_at_random_are_not_foretold(end):
    rng = np.random.default_rng(0)
    ids = [f"c{i:03d}" for i in rng.integers(0, 400, 3200)]
    dates = end - pd.to_timedelta(rng.uniform(0, 700, len(ids)), unit="D")
    prices = rng.lognormal(3, 0.5, len(ids))
    orders = pd.DataFrame({"customer_id": ids, "order_date": dates.astype("datetime64[us]"), "total_price": prices})
    fit = train_value(past_of(orders, end))
    assert fit.evaluation.weak_reason == "who will spend more than others cannot be told from the store's past"
    assert fit.model.weak_reason_ == fit.evaluation.weak_reason


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        (make_orders(300, days=60), "days of orders, fewer than the 84"),
        (make_orders(20), "fewer than 25 of the customers known before 2024-10-03 spent anything in the 90 days"),
        (make_orders(200).assign(total_price=np.nan), "fewer than 25 of the customers known before 2024-10-03 spent"),
        (make_orders(50).iloc[:0], "no orders"),
        (make_orders(50).assign(customer_id=None), "no orders"),
    ],
    ids=["two months", "twenty customers", "no prices", "no orders", "guests only"],
)
def test_too_little_to_learn_from_is_said_and_no_crash(orders, why, end):
    with pytest.raises(InsufficientHistoryError, match=why):
        train_value(past_of(orders, end))


def test_a_store_where_everybody_bought_once_is_not_foretold(end):
    with pytest.raises(InsufficientHistoryError):
        train_value(past_of(make_orders(600).drop_duplicates("customer_id"), end))


def test_a_year_that_could_not_be_tested_is_not_foretold(orders, end):
    short = train_value(past_of(orders[orders["order_date"] >= end - pd.Timedelta(days=450)], end))
    assert short.model.weak_reason_ is None
    (reason,) = short.model.weak_parts_.values()
    assert reason == "it was not tested (449 days of orders, fewer than the 500 that it takes)"
    before = make_orders(80, days=300, end=end - pd.Timedelta(days=366))
    new = make_orders(400, days=364, seed=1)
    gone = train_value(
        past_of(
            pd.concat([before, new.assign(customer_id="x" + new["customer_id"], order_id="x" + new["order_id"])]), end
        )
    )
    assert gone.evaluation.weak_parts["a year"] == (
        "it was not tested (fewer than 25 of the customers known before 2024-01-02 spent anything in the 365 days "
        "from then on)"
    )


def test_of_heavy_customers_fewer_are_looked_at(orders, end, monkeypatch):
    monkeypatch.setattr(evaluation, "MOST_ROWS", len(orders) // 2)
    fewer = train_value(past_of(orders, end)).evaluation.hold_outs[0].spend.came
    known = orders[orders["order_date"] < end - pd.Timedelta(days=90)]["customer_id"].nunique()
    assert 0.4 * known < len(fewer) < 0.6 * known


def made(model, recent, naive, days=90):
    spend = np.arange(200.0)
    ways = {MODEL: model * spend, RECENT: recent * spend[::-1], NAIVE: naive * spend**0.9}
    well = {MODEL: spend, RECENT: 0 * spend, NAIVE: 0 * spend}
    return Outcome(spend, ways, spend > 20), Outcome(spend, well, spend > 20)


def held_out(spend, orders, days=90):
    return HoldOut(pd.Timestamp("2025-01-01"), days, spend, orders)


def test_one_figure_that_is_not_beaten_is_enough():
    def weak(*levels):
        return Evaluation([held_out(*made(*levels))], "too short").weak_reason

    assert "their average order at their rate was no farther off" in weak(0.9, 1.0, 1.6)
    assert "what they spent in the last 90 days was no farther off" in weak(0.1, 0.5, 0.8)
    assert "ranked customers as well (100 % of pairs, this 100 %)" in weak(0.95, 1.0, 0.9)
    assert Evaluation([held_out(*made(1, 1, 1))], "too short").covered == pytest.approx(0.895)


def test_orders_and_a_year_are_judged_each_for_itself():
    bad, good = made(0.1, 0.5, 0.8)
    assert Evaluation([held_out(good, good)], held_out(good, good, 365)).weak_parts == {}
    orders = Evaluation([held_out(good, bad)], held_out(good, good, 365))
    assert orders.weak_reason is None
    assert list(orders.weak_parts) == ["orders"]
    assert orders.weak_parts["orders"].startswith(
        "on past windows how often they ordered in the last 90 days was no farther off ("
    )
    year = Evaluation([held_out(good, good)], held_out(bad, bad, 365)).weak_parts
    assert list(year) == ["a year"]
    assert "spent in the last 365 days" in year["a year"]
    assert list(Evaluation([held_out(good, good)], held_out(good, bad, 365)).weak_parts) == ["orders of a year"]
    assert Evaluation([held_out(good, good)], "why").weak_parts == {"a year": "it was not tested (why)"}
    chance = Outcome(good.came, good.by_way | {MODEL: np.full(200, good.came.mean())}, good.is_within)
    assert "who will order more than others" in Evaluation([held_out(good, chance)], "why").weak_parts["orders"]


def test_concordance_gains_nothing_by_ties():
    came = np.array([0.0, 0.0, 0.0, 5.0, 9.0])
    assert concordance(came, came) == pytest.approx(1)
    assert concordance(-came, came) == pytest.approx(0)
    assert concordance(np.zeros(5), came) == 0.5
    assert concordance(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), came) == pytest.approx(1)
    assert concordance(np.array([0.0, 0.0, 0.0, 0.0, 5.0]), came) == pytest.approx(0.5 + 0.5 * 4 / 7)
    assert certainty(np.zeros(5), came) == 0
    assert certainty(np.arange(99.0), np.arange(99.0)) > 10


def test_the_picture_is_a_picture(fit):
    assert draw_calibration(fit.evaluation).startswith(b"\x89PNG")
