import pandas as pd
import pytest

from quimbi_assets.commands.demo import CURRENCY, TIME_ZONE, completejourney_store
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS
from quimbi_assets_tests.ingest.prepared import prepare_table

NOW = pd.Timestamp("2024-06-01", tz="UTC")


@pytest.fixture(scope="module")
def store():
    return completejourney_store()


def test_size_is_the_data_sets(store):
    orders, items = store
    assert len(orders) == orders["order_id"].nunique() == 155_848
    assert orders["customer_id"].nunique() == 2_469
    assert len(items) == 1_469_307


def test_money_adds_up(store):
    orders, items = store
    sold = (items["price"] * items["quantity"]).sum()
    assert orders["total_price"].sum() == pytest.approx(sold, rel=0.01)  # less the shop's coupons
    assert (orders["total_price"] >= 0).all()
    assert 0.1 < orders["discount_amount"].sum() / sold < 0.3


def test_only_the_lines_without_quantity_are_refused(store):
    orders, items = store
    accepted = prepare_table(ORDERS, orders, TIME_ZONE, NOW, CURRENCY)
    lines = prepare_table(ORDER_ITEMS, items, TIME_ZONE, NOW, CURRENCY, accepted.accepted["order_id"])
    assert accepted.refused.empty
    assert set(lines.refused["reason"]) == {"quantity is not above 0"}
    assert len(lines.refused) == int((items["quantity"] == 0).sum()) > 0


def test_people_shop_by_day(store):
    orders, _ = store
    hour = orders["order_date"].dt.tz_convert(TIME_ZONE).dt.hour
    assert hour.between(8, 22).mean() > 0.9
