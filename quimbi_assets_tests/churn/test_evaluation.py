"""A store's churn model from its orders: better than the recency baseline, blind to what comes, and never an error."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.churn.evaluation import (
    MOST_HOLD_OUTS,
    Evaluation,
    Figures,
    draw_calibration,
    put_together,
    train_churn,
)
from quimbi_assets.churn.examples import HoldOut, gather, hold_out
from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.churn.measures import Interval
from quimbi_assets.churn.model import RECENCY_BASELINE
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets_tests.churn.conftest import make_orders, past_of


@pytest.fixture(scope="module")
def fit(orders, end):
    return train_churn(past_of(orders, end))


def test_the_model_beats_days_since_the_last_order_where_rates_differ(fit):
    evaluation = fit.evaluation
    assert evaluation.difference.low > 0
    assert evaluation.model.brier < evaluation.baseline.brier < evaluation.base_brier
    assert evaluation.serves == evaluation.kind == fit.model.kind
    assert evaluation.weak_reason is None
    assert evaluation.model.auc.low < evaluation.model.auc.value < evaluation.model.auc.high


def test_no_outcome_of_training_reaches_into_a_hold_out_and_these_do_not_overlap(fit, end):
    horizon = pd.Timedelta(days=fit.evaluation.horizon_days)
    assert len(fit.evaluation.hold_outs) == MOST_HOLD_OUTS
    for i, each in enumerate(fit.evaluation.hold_outs):
        assert each.cut_off == end - (i + 1) * horizon
        assert max(each.training) + horizon <= each.cut_off
    assert len(fit.evaluation.hold_outs[0].training) > 1


def test_an_earlier_hold_out_is_what_a_test_at_its_end_would_have_been(orders, end, fit):
    h, second = fit.evaluation.horizon_days, fit.evaluation.hold_outs[1]
    until = end - pd.Timedelta(days=h)
    history = read_history(past_of(orders[orders["order_date"] < until], until))
    then = hold_out(history, history, until, h)
    assert (then.cut_off, then.kind, then.training) == (second.cut_off, second.kind, second.training)
    for one, other in ((then.risk, second.risk), (then.baseline, second.baseline), (then.truth, second.truth)):
        np.testing.assert_array_equal(one, other)


def test_what_is_learnt_before_the_test_does_not_change_with_the_test(orders, end, fit):
    cut_off, h = fit.evaluation.hold_outs[0].cut_off, fit.evaluation.horizon_days
    whole = gather(read_history(past_of(orders, end)), cut_off, h)
    then = gather(read_history(past_of(orders[orders["order_date"] < cut_off], cut_off)), cut_off, h)
    pd.testing.assert_frame_equal(whole.features, then.features, check_exact=True)
    assert (whole.away == then.away).all()
    assert (whole.drift is None) == (then.drift is None)
    assert (whole.drift.away == then.drift.away).all()


def test_as_of_the_past_is_blind_to_what_came_later(orders, end):
    past = end - pd.Timedelta(days=150)
    one, two = (train_churn(past_of(each, past)) for each in (orders, orders[orders["order_date"] < past]))
    seen = measure(read_history(past_of(orders, past)), past, one.model.horizon_days)
    np.testing.assert_array_equal(one.model.risk(seen), two.model.risk(seen))
    assert one.evaluation.model == two.evaluation.model


def test_same_orders_same_model_whatever_the_order_of_rows(orders, end, fit):
    again = train_churn(past_of(orders.sample(frac=1, random_state=5), end))
    seen = measure(read_history(past_of(orders, end)), end, fit.model.horizon_days)
    np.testing.assert_array_equal(again.model.risk(seen), fit.model.risk(seen))


def test_a_sample_is_enough(orders, end):
    some = train_churn(past_of(orders, end), most_customers=300)
    assert some.evaluation.n_customers > 300
    assert some.evaluation.model.auc.value > 0.6


def test_orders_at_random_are_called_weak(end):
    rng = np.random.default_rng(0)
    ids = [f"c{i:03d}" for i in rng.integers(0, 400, 3200)]
    dates = end - pd.to_timedelta(rng.uniform(0, 700, len(ids)), unit="D")
    orders = pd.DataFrame({"customer_id": ids, "order_date": dates.astype("datetime64[us]"), "total_price": 1.0})
    found = train_churn(past_of(orders, end)).evaluation
    assert found.served.auc.value < 0.6
    assert found.model.brier > found.base_brier - 0.005


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        (make_orders(1), "no customer has ordered twice|fewer than 25|only 0 customers"),
        (make_orders(300).drop_duplicates("customer_id"), "no customer has ordered twice"),
        (make_orders(300, days=21), "21 days of orders"),
        (make_orders(20), "fewer than 25"),
        (make_orders(50).iloc[:0], "no orders"),
        (make_orders(50).assign(customer_id=None), "no orders"),
    ],
    ids=["one customer", "everybody once", "three weeks", "twenty customers", "no orders", "guests only"],
)
def test_too_little_to_learn_from_is_said_and_no_crash(orders, why, end):
    with pytest.raises(InsufficientHistoryError, match=why):
        train_churn(past_of(orders, end))


def test_as_of_before_the_first_order(orders):
    with pytest.raises(InsufficientHistoryError, match="no orders before"):
        train_churn(past_of(orders, pd.Timestamp("2001-01-01")))


def test_unknown_prices_and_equal_instants_do_no_harm(orders, end):
    fit = train_churn(past_of(orders.assign(total_price=np.nan, order_date=orders["order_date"].dt.normalize()), end))
    seen = measure(read_history(past_of(orders.drop(columns="total_price"), end)), end, fit.model.horizon_days)
    assert np.isfinite(fit.model.risk(seen)).all()


def evaluation(difference, model_brier, baseline_brier):
    area = Interval(0.7, 0.65, 0.75)
    model, baseline = (Figures(area, value, 0.01, 1.5) for value in (model_brier, baseline_brier))
    span = Interval(difference, difference - 0.01, difference + 0.01)
    return Evaluation([made(0.2), made(0.4)], 28, model, baseline, 0.25, span)


def made(away, n=200):
    """A hold-out of n customers, all told a risk of 0.3, of whom a share stayed away: those who ordered longest ago."""
    days = np.arange(n, 0, -1.0)
    cut_off = pd.Timestamp("2025-01-01")
    return HoldOut(cut_off, "curves", days > n - away * n, np.full(n, 0.3), np.full(n, 0.3), days, away, [cut_off])


def test_hold_outs_are_put_together_by_hand():
    """In one season 10 points fewer stay away than was told, in the other 10 more: the risk is right over both."""
    found = put_together([made(0.2), made(0.4)], 28)
    assert found.model.calibration_error == pytest.approx(0.0)
    assert found.worst_calibration_error == pytest.approx(0.1)
    assert found.away_share == pytest.approx(0.3)
    assert (found.model.auc.value, found.baseline.auc.value) == (0.5, 1.0)
    assert found.difference.value == -0.5
    assert found.model.brier == pytest.approx(((0.2 * 0.49 + 0.8 * 0.09) + (0.4 * 0.49 + 0.6 * 0.09)) / 2)
    assert found.base_brier == pytest.approx((0.2 * 0.8 + 0.4 * 0.6) / 2)
    assert found.serves == RECENCY_BASELINE
    table = found.by_hold_out
    assert table["stayed_away"].tolist() == pytest.approx([0.2, 0.4])
    assert table["calibration_error"].tolist() == pytest.approx([0.1, 0.1])
    assert table["auc"].tolist() == [1.0, 1.0]


def test_the_baseline_serves_where_it_ranks_or_tells_better():
    assert evaluation(0.02, 0.18, 0.2).serves == "curves"
    assert evaluation(-0.001, 0.18, 0.2).serves == RECENCY_BASELINE
    assert evaluation(0.02, 0.21, 0.2).serves == RECENCY_BASELINE


def test_the_picture_is_a_picture_either_way():
    for found in (evaluation(0.02, 0.18, 0.2), evaluation(-0.02, 0.18, 0.2)):
        assert draw_calibration(found).startswith(b"\x89PNG")
