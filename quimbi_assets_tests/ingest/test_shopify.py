"""A Shopify order export and the Admin API's names; line exports under the project's own."""

import pandas as pd
import pytest

from quimbi_assets.ingest.files import open_table
from quimbi_assets.ingest.policy import purchases
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS
from quimbi_assets.store import Store
from quimbi_assets_tests.ingest.prepared import prepare_table

NOW = pd.Timestamp("2024-06-01", tz="UTC")

HEADER = "Name,Email,Financial Status,Paid at,Currency,Subtotal,Total,Discount Amount,Created at,Lineitem quantity,"
HEADER += "Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Refunded Amount,Id,Source"

PAID = "2024-01-05 10:00:00 -0500"
LATER = "2024-02-05 10:00:00 -0500"
LAST = "2024-02-06 10:00:00 -0500"

EXPORT = f"""{HEADER}
#1001,a@x.com,paid,{PAID},USD,30.00,35.00,5.00,{PAID},2,Mug,10.00,MUG-1,,0.00,501,web
#1001,a@x.com,,,,,,,{PAID},1,Plate,15.00,,,,,
#1002,b@x.com,refunded,{LATER},USD,10.00,10.00,0.00,{LATER},1,Mug,10.00,MUG-1,,10.00,502,pos
#1003,b@x.com,voided,,USD,10.00,10.00,0.00,{LAST},1,Mug,10.00,MUG-1,{LAST},0.00,503,web
"""


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "orders_export.csv"
    path.write_text(EXPORT)
    with open_table(path) as table:
        (chunk,) = table.chunks(None)
    return chunk.frame


def test_one_order_whatever_its_lines(export):
    prepared = prepare_table(ORDERS, export, "UTC", NOW)
    orders = prepared.accepted.set_index("order_id")
    assert orders.index.tolist() == ["#1001", "#1002", "#1003"]
    assert orders["total_price"].tolist() == [35.0, 10.0, 10.0]  # the order's, not its lines' 35.00 or 10.00 a line
    assert orders["discount_amount"].tolist() == [5.0, 0.0, 0.0]
    assert orders["refund_amount"].tolist() == [0.0, 10.0, 0.0]
    assert orders["source"].tolist() == ["web", "pos", "web"]
    assert orders["status"].tolist() == ["paid", "refunded", "cancelled"]
    assert orders["order_date"].iloc[0] == pd.Timestamp("2024-01-05 15:00", tz="UTC")
    assert prepared.refused.empty
    assert prepared.ignored_columns == []


def test_lines_of_the_same_file(export):
    known = prepare_table(ORDERS, export, "UTC", NOW).accepted["order_id"]
    lines = prepare_table(ORDER_ITEMS, export, "UTC", NOW, known_orders=known).accepted
    assert lines["order_id"].tolist() == ["#1001", "#1001", "#1002", "#1003"]
    assert lines["line_no"].tolist() == [1, 2, 1, 1]
    assert lines["product_id"].tolist() == ["MUG-1", "Plate", "MUG-1", "MUG-1"]  # no SKU: the name
    assert lines["refund_amount"].isna().all()  # the export's refund is the order's


def test_through_the_policy(export):
    prepared = prepare_table(ORDERS, export, "UTC", NOW)
    lines = prepare_table(ORDER_ITEMS, export, "UTC", NOW, known_orders=prepared.accepted["order_id"])
    tables, report = purchases(prepared.accepted, lines.accepted, None, Store(time_zone="America/New_York"))
    orders = tables["raw_orders"].to_pandas().sort_values("order_id")
    assert orders["order_id"].tolist() == ["#1001", "#1002"]
    assert orders["order_date_local"].dt.hour.tolist() == [10, 10]
    assert len(tables["raw_items"]) == 3
    assert report["orders dropped: status cancelled"] == 1


def test_an_order_without_its_first_row_is_refused_once(export):
    prepared = prepare_table(ORDERS, export.iloc[1:], "UTC", NOW)
    assert prepared.refused["reason"].tolist() == ["total_price is missing"]
    assert len(prepared.accepted) == 2


@pytest.mark.parametrize("order_fields", ["on every row", "on the first row"])
def test_a_line_export_with_the_projects_own_names(order_fields):
    frame = pd.DataFrame(
        {
            "order_id": ["1", "1", "2"],
            "customer_id": ["ann", "ann", "ben"],
            "order_date": "2024-01-05",
            "total_price": [30.0, 30.0, 10.0],
            "product_id": ["mug", "mug", "mug"],
            "category": "cups",
            "quantity": [1, 2, 1],
            "price": 10.0,
            "refund_amount": [0.0, 10.0, 0.0],
            "refunded_at": [None, "2024-01-09", None],
            "shelf": "A",
        }
    )
    if order_fields == "on the first row":
        frame.loc[1, ["customer_id", "order_date", "total_price"]] = None
    orders = prepare_table(ORDERS, frame, "UTC", NOW)
    assert orders.accepted["total_price"].tolist() == [30.0, 10.0]
    assert (len(orders.refused), orders.notes, orders.ignored_columns) == (0, [], ["shelf"])
    lines = prepare_table(ORDER_ITEMS, frame, "UTC", NOW, known_orders=["1", "2"])
    assert lines.accepted["line_no"].tolist() == [1, 2, 1]
    assert lines.accepted["refund_amount"].tolist() == [0.0, 10.0, 0.0]
    assert (len(lines.refused), lines.ignored_columns) == (0, ["shelf"])


def test_admin_api_names():
    frame = pd.DataFrame(
        {
            "id": [501, 502, 503, 504],
            "name": ["#1001", "#1002", "#1003", "#1004"],
            "customer.id": [7, 8, 9, 9],
            "created_at": ["2024-01-05T10:00:00-05:00"] * 4,
            "total_price": ["35.00", "10.00", "10.00", "1.00"],
            "total_discounts": ["5.00", "0.00", "0.00", "0.00"],
            "financial_status": ["paid", "paid", "voided", "paid"],
            "cancelled_at": [None, "2024-01-06T10:00:00-05:00", None, "2024-01-06T10:00:00-05:00"],
            "test": [False, False, False, True],
            "source_name": ["web", "pos", "web", "web"],
            "currency": ["USD"] * 4,
        }
    )
    prepared = prepare_table(ORDERS, frame, "UTC", NOW)
    orders = prepared.accepted
    assert orders["order_id"].tolist() == ["501", "502", "503", "504"]
    assert orders["customer_id"].tolist() == ["7", "8", "9", "9"]
    assert orders["status"].tolist() == ["paid", "cancelled", "voided", "test"]
    assert prepared.ignored_columns == ["name"]
