import pandas as pd
import pytest

from quimbi_assets.axes import StoreReference

AXIS = "value_sophistication"
REFERENCE = StoreReference(
    pd.DataFrame({"product_id": ["a", "b"], "cheap_price": [10.0, 30.0]}),
    pd.DataFrame({"category": ["toys"], "luxury_price": [20.0]}),
)


def test_by_hand(store):
    store.order(0, 30.0, store.line("a", 10.0, quantity=3, category="toys"))
    row = store.order(1, 10.0, store.line("b", 40.0, category="toys")).measure(AXIS, 10, reference=REFERENCE)
    # (3·10 + 40) / 4 units; sd of ln 10 and ln 40 = ln 4 / sqrt 2; a at its cheapest, b not; b above 20.
    # Orders 30 and 10: mean 20, sd 14.1421.
    assert row["avg_item_price"] == 17.5
    assert row["price_dispersion"] == pytest.approx(0.980258, abs=1e-6)
    assert (row["discount_hunt_score"], row["luxury_item_rate"]) == (0.5, 0.5)
    assert row["spend_consistency"] == pytest.approx(1 / 1.707107, abs=1e-6)
    assert row["big_splurge_rate"] is None


def test_without_a_reference_nothing_is_cheap_or_luxury(store):
    row = store.order(0, 10.0, store.line(category="toys")).measure(AXIS, 10)
    assert (row["discount_hunt_score"], row["luxury_item_rate"]) == (None, None)


def test_where_products_repeat_too_little_the_discount_decides(store):
    lines = [store.line("a", 10.0), store.line("x"), store.line("y")]
    row = store.order(0, 75.0, *lines, discount_amount=25.0).measure(AXIS, 10, reference=REFERENCE)
    assert row["discount_hunt_score"] == 0.25  # one judged line of three is too few


def test_gifts_and_lines_of_no_units_have_no_price(store):
    row = store.order(0, 10.0, store.line(price=0.0), store.line(quantity=0), store.line(price=7.0)).measure(AXIS, 10)
    assert (row["avg_item_price"], row["price_dispersion"]) == (7, None)


def test_splurges(store):
    row = store.order(0, 10.0, store.line()).order(1, 10.0).order(2, 30.0).measure(AXIS, 10)
    assert row["big_splurge_rate"] == pytest.approx(1 / 3)  # 30 is more than twice the median of 10
