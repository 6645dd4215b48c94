"""What is cheap and what is luxury, fitted on the visible orders of a whole store."""

import pandas as pd
import pytest

from quimbi_assets.axes import StoreReference, fit_reference
from quimbi_assets.history import History

END = pd.Timestamp("2025-02-01")


def fitted(store, end=END):
    return fit_reference(History.from_frames(*store.frames()).until(end))


@pytest.mark.parametrize(
    ("prices", "cheap"),
    [
        ([5.0] + [10.0] * 9, 9.5),  # 10 % quantile: nine tenths of the way from 5 to 10
        ([10.0] * 10, None),  # never cheaper than usual
        ([5.0] + [10.0] * 8, None),  # too short a history
        ([5.0] + [10.0] * 8 + [0.0], None),  # a gift is no price
    ],
)
def test_cheapest_decile(store, prices, cheap):
    for day, price in enumerate(prices):
        store.order(day, 10.0, store.line("a", price))
    assert fitted(store).product_prices.to_dict("records") == (
        [] if cheap is None else [{"product_id": "a", "cheap_price": pytest.approx(cheap)}]
    )


def test_luxury_is_the_80th_percentile_of_the_category(store):
    store.order(0, 10.0, *[store.line("a", price, category="toys") for price in (1.0, 2.0, 3.0, 4.0, 5.0)])
    found = fitted(store).category_prices.to_dict("records")
    assert found == [{"category": "toys", "luxury_price": pytest.approx(4.2)}]


def test_usual_gap_and_blindness_to_the_future(store):
    store.order(0).order(4).order(14).order(20, customer="bob").order(500).order(501)
    assert fitted(store).median_gap_days == 7  # gaps of 4 and 10 days; those of days 500 and 501 lie ahead


def test_nothing_to_fit_on(store):
    reference = fitted(store.order(0))
    assert reference.median_gap_days is None
    assert reference.product_prices.empty
    assert reference.category_prices.empty


def test_round_trip_through_one_table(simulated):
    again = StoreReference.from_frame(simulated.reference.to_frame())
    pd.testing.assert_frame_equal(again.product_prices, simulated.reference.product_prices)
    pd.testing.assert_frame_equal(again.category_prices, simulated.reference.category_prices)
    assert again.median_gap_days == simulated.reference.median_gap_days


def test_numeric_product_ids_and_aware_dates(store):
    for day in range(10):
        store.order(day, 10.0, store.line(7, 5.0 + day))
    orders, items = store.frames()
    orders["order_date"] = orders["order_date"].dt.tz_localize("UTC")
    reference = fit_reference(History.from_frames(orders, items).until(END))
    assert reference.tables()["product_prices"].to_pylist()[0]["product_id"] == "7"
