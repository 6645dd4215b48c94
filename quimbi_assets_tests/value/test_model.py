"""What is foretold: right in level and interval where customers are as the models say, alone as in a crowd, by hand."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.churn.model import Risk
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History
from quimbi_assets.value.model import COVERAGE, ValueModel, interval_curve, limits, mix
from quimbi_assets.value.windows import measured_borders, window_days, windows_between
from quimbi_assets_tests.churn.conftest import END, make_orders, past_of


@pytest.fixture(scope="module")
def fitted():
    history = past_of(make_orders(1500, seed=3))
    borders = measured_borders(history, 90, 5)
    return ValueModel(90).fit(borders[1][1], windows_between(borders)[1:]), windows_between(borders)[0]


def test_orders_and_spend_of_a_store_without_seasons_are_foretold(fitted):
    model, window = fitted
    orders, spend = model.foretell(window.features, 90)
    assert orders.mean.sum() == pytest.approx(window.orders.sum(), rel=0.15)
    assert spend.mean.sum() == pytest.approx(window.spend.sum(), rel=0.15)
    for forecast, came in ((orders, window.orders), (spend, window.spend)):
        inside = (forecast.low <= came) & (came <= forecast.high)
        assert COVERAGE - 0.03 <= inside.mean() <= 0.97
        assert (forecast.low <= forecast.high).all()
    assert (orders.high % 1 == 0).all()


def test_customers_without_any_price_have_no_paid_order_and_shape_the_rest():
    orders = make_orders(300, seed=3)
    orders.loc[orders["customer_id"].eq("c0000"), "total_price"] = np.nan
    borders = measured_borders(past_of(orders), 90, 3)
    assert (borders[0][1].loc["c0000", ["n_paid_orders", "spent"]] == 0).all()
    model = ValueModel(90).fit(borders[1][1], windows_between(borders)[1:])
    assert np.isfinite([*model.spend_weights_, *model.order_weights_]).all()


def test_half_order_by_the_date(fitted):
    model, window = fitted
    days = model.days_until_order(window.features)
    by_then = days <= 90
    assert by_then.sum() > 100
    half = np.isclose(days, 90, atol=25)
    assert (window.orders[half] > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert np.isnan(days).any()
    assert np.nanmax(days) <= 365


def test_a_year_is_more_than_a_quarter_and_less_than_four(fitted):
    model, window = fitted
    quarter, year = (model.foretell(window.features, days)[1].mean for days in (90, 365))
    assert (year >= quarter).all()
    assert (year < 365 / 90 * quarter).all()
    assert (year > quarter).mean() > 0.9


def test_one_alone_is_one_in_a_crowd_and_unknown_ones_have_nothing(fitted):
    model, window = fitted
    crowd = np.column_stack([part for one in model.foretell(window.features, 90) for part in vars(one).values()])
    for row in range(0, len(crowd), 211):
        alone = model.foretell(window.features.iloc[[row]], 90)
        np.testing.assert_array_equal([part[0] for one in alone for part in vars(one).values()], crowd[row])
    stranger = window.features.iloc[:1].reindex(["nobody"])
    assert np.isnan(model.predict(stranger)).all()
    assert np.isnan(model.days_until_order(stranger)).all()


@pytest.mark.parametrize("risk_days", [28, 90, 140])
def test_what_is_foretold_agrees_with_the_risk_beside_it(fitted, risk_days):
    model, window = fitted
    X = window.features
    chance = np.random.default_rng(0).uniform(0.0, 1.0, len(X)).round(6)
    chance[:20], chance[20:22] = np.nan, (0, 1)
    risk = Risk(chance, risk_days)
    orders, spend = model.foretell(X, 90, risk)
    without = [part for one in model.foretell(X, 90) for part in vars(one).values()]
    for part, before in zip([*vars(orders).values(), *vars(spend).values()], without, strict=True):
        np.testing.assert_array_equal(part[:20], before[:20])  # nothing is known of them
    if risk_days <= 90:
        assert (orders.mean.round(4) >= 1 - chance)[20:].all()
    if risk_days >= 90:
        assert (spend.low[chance > 0.1] == 0).all()
        assert (spend.high[chance >= 0.9] == 0).all()
    raised = orders.mean > without[0]
    assert raised.any() == (risk_days <= 90)
    assert ((spend.mean > without[3]) == raised).all()
    assert (spend.low <= spend.high).all()
    due = model.days_until_order(X, risk)
    assert (due[chance <= 0.5] <= risk_days).all()
    assert not (due[chance > 0.5] < risk_days).any()
    np.testing.assert_array_equal(due[:20], model.days_until_order(X)[:20])
    assert not np.isin(due, [risk_days]).any()  # nobody's date is merely where the risk's days end
    alone = model.foretell(X.iloc[[333]], 90, Risk(chance[[333]], risk_days))
    assert [one.mean[0] for one in alone] == [orders.mean[333], spend.mean[333]]


def test_what_was_recent_counts_as_much_as_it_foretold():
    expected, recent = np.array([1.0, 2.0, 3.0]), np.array([3.0, 0.0, 0.0])
    np.testing.assert_allclose(mix(expected, recent, 2 * expected), [2, 0], atol=1e-3)
    np.testing.assert_allclose(mix(expected, recent, recent + expected), [1, 1], atol=1e-3)
    np.testing.assert_allclose(mix(expected, np.zeros(3), expected), [1, 0])


def test_the_interval_by_hand():
    """Fifty who order once and spend 0 to 2 times their mean; fifty of ten orders, 0.9 to 1.1 times."""
    orders = np.repeat([1.0, 10.0], 50)
    curve = interval_curve(orders, np.concatenate([np.linspace(0, 2, 50), np.linspace(0.9, 1.1, 50)]))
    middle = limits(curve, np.array([0.5, 10.0, 100.0]))
    np.testing.assert_allclose(middle.T, [[0.2, 1.8], [0.92, 1.08], [0.92, 1.08]], atol=0.02)


def test_windows_are_counted_by_hand():
    """Weeks 0 to 11: ann orders in each, bob in the first four; a refund counts from when it was given."""
    end = pd.Timestamp("2025-03-26")
    days = [("ann", 7 * week) for week in range(12)] + [("bob", 7 * week) for week in range(4)]
    orders = pd.DataFrame(days, columns=["customer_id", "day"])
    orders["order_date"] = end - pd.Timedelta(days=84) + pd.to_timedelta(orders.pop("day"), unit="D")
    orders = orders.assign(order_id=[str(i) for i in range(16)], total_price=10.0)
    items = pd.DataFrame({"order_id": ["0"], "product_id": ["p"], "quantity": 1, "price": 10.0})
    items = items.assign(refund_amount=4.0, refunded_at=end - pd.Timedelta(days=40))
    history = History.from_frames(orders, items).until(end)
    assert window_days(history) == 28
    (_, now), (start, then), _ = measured_borders(history, 28, 2)
    assert start == end - pd.Timedelta(days=28)
    assert then["spent"].tolist() == [76.0, 40.0]
    assert measured_borders(history, 28, 2)[2][1]["spent"].tolist() == [40.0, 40.0]
    assert now["recent_orders"].tolist() == [4, 0]
    assert now["n_orders"].tolist() == [12, 4]
    assert now["days_since_last_order"].tolist() == [7, 63]
    assert now["tenure_days"].tolist() == [84, 84]


def test_short_histories_have_short_windows():
    for days, window in ((730, 90), (270, 90), (200, 63), (100, 28)):
        orders = pd.DataFrame({"customer_id": ["a"], "order_date": [END - pd.Timedelta(days=days)]})
        assert window_days(past_of(orders)) == window
    with pytest.raises(InsufficientHistoryError, match="60 days of orders, fewer than the 84"):
        window_days(past_of(orders.assign(order_date=END - pd.Timedelta(days=60))))
