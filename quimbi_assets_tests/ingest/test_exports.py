"""Exports of shop systems as they are sent, a fixture each (``exports/README.md``), without a word about columns."""

from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

from quimbi_assets.analysis import open_store
from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.files import open_table
from quimbi_assets.ingest.shapes import shaped

EXPORTS = Path(__file__).parent / "exports"


def history(name, time_zone="Europe/London"):
    store = open_store(orders=EXPORTS / name, time_zone=time_zone)
    tables = {table: store.history.tables[table] for table in ("raw_orders", "raw_items")}
    assert all(refused.empty for refused in store.refused.values()), store.refused
    orders, lines = (table.to_pandas() for table in tables.values())
    return orders.sort_values("order_date"), lines.sort_values(["order_id", "line_no"])


# Ann's order: paid, discount, when; Ben's: paid, refund.
WITH_LINES = {
    "shopify_orders.csv": ("ann@example.com", 35.0, 5.0, "2025-04-02 18:30", 10.0),
    "woocommerce_lines.csv": ("ann@example.com", 35.0, 5.0, "2025-04-02 18:30", 10.0),
    "woocommerce_orders.csv": ("ann@example.com", 35.0, 5.0, "2025-04-02 18:30", 10.0),
    "woocommerce_orders_json.csv": ("ann@example.com", 35.0, 5.0, "2025-04-02 18:30", 10.0),
    "woocommerce_advanced_export.csv": ("ann@example.com", 35.0, 5.0, "2025-04-02 18:30", 10.0),
    "bigcommerce_orders.csv": ("ann@example.com", 40.0, None, "2025-04-02 18:30", 10.0),
    "square_items.csv": ("ANN", 35.0, 5.0, "2025-04-02 18:30", 10.0),
    "amazon_orders.txt": ("a1@marketplace.amazon.co.uk", 35.0, 5.0, "2025-04-02 18:30", None),
    "amazon_shipments.txt": ("a1@marketplace.amazon.co.uk", 35.0, 5.0, "2025-04-02 18:30", None),
    "invoice_lines.csv": ("17850", 40.0, None, "2010-12-01 08:26", 10.0),
}
WITHOUT_LINES = {
    "woocommerce_analytics.csv": ("Ann Lee", 35.0, None, "2025-04-02 18:30", None),
    "square_transactions.csv": ("ANN", 35.0, 5.0, "2025-04-02 18:30", 10.0),
    "magento_orders.csv": ("ann@example.com", 35.0, None, "2025-04-02 18:30", 10.0),
}


def known(value):
    return None if pd.isna(value) else value


@pytest.mark.parametrize("name", WITH_LINES | WITHOUT_LINES)
def test_orders_are_read_as_they_were(name):
    customer, paid, discount, at, refund = (WITH_LINES | WITHOUT_LINES)[name]
    orders, _ = history(name)
    assert len(orders) == 2  # the cancelled one and guests are left out
    first, second = orders.to_dict("records")
    assert (first["customer_id"], first["total_price"], known(first["discount_amount"])) == (customer, paid, discount)
    assert first["order_date"] == pd.Timestamp(at)
    assert second["total_price"] == 10
    assert known(second["refund_amount"]) == refund


@pytest.mark.parametrize("name", WITH_LINES)
def test_lines_are_read_as_they_were(name):
    _, lines = history(name)
    assert lines["quantity"].tolist() == [2, 1, 1]
    assert lines["price"].tolist() == [10, 20, 10]
    products = lines["product_id"].tolist()
    assert products[0] == products[2] == "MUG-B"
    assert products[1].upper().startswith("PLATE")  # by its name where it has no SKU


def test_lines_in_a_cell_that_was_cut_off_are_refused_and_the_orders_are_there():
    orders = pd.read_csv(EXPORTS / "woocommerce_orders_json.csv", dtype=str)
    orders.loc[0, "line_items"] = orders.loc[0, "line_items"][:300]  # as a spreadsheet cuts long cells
    store = open_store(orders=orders, time_zone="Europe/London")
    assert len(store.history.tables["raw_orders"]) == 2
    assert len(store.refused["order_items"]) == 1


def test_orders_without_lines_are_told_apart():
    assert all(history(name)[1].empty for name in WITHOUT_LINES)


def test_credit_notes_are_refunds_of_what_was_bought():
    store = open_store(orders=EXPORTS / "invoice_lines.csv", time_zone="Europe/London")
    lines = store.history.tables["raw_items"].to_pandas().set_index(["order_id", "product_id"]).sort_index()
    refunds = lines["refund_amount"].to_dict()
    assert refunds[("536366", "MUG-B")] == 10  # the product that the customer bought last
    assert refunds[("536365", "MUG-B")] == 5  # a discount, never bought: the dearest line of the last order
    assert refunds[("536365", "PLATE")] == 0  # what was sent back before any purchase is of an order not in the file
    assert lines.loc[("536366", "MUG-B"), "refunded_at"] == pd.Timestamp("2010-12-20 09:41")
    assert "2 lines that take something back became refunds of what was bought; 1 worth 10.00 met nobody" in repr(store)


def test_an_export_that_names_no_customer_is_told_with_the_one_that_does():
    all_orders = "amazon-order-id purchase-date last-updated-date order-status sku asin quantity currency item-price"
    cut = "order-id order-item-id purchase-date payments-date sku quantity-purchased currency item-price"
    for header in (all_orders, all_orders.replace("quantity", "quantity-purchased"), cut):  # by market
        names = header.split()
        with pytest.raises(BadInputError, match=r"Amazon.* names no buyer: download, .* New Orders .* buyer-email$"):
            open_store(orders=pd.DataFrame([["1"] * len(names)], columns=names))


def test_a_file_of_lines_is_not_asked_for_totals():
    lines = pd.DataFrame(
        [["1", "x", "2025-01-05", "mug", 1, 2.0]], columns=["invoice", "who", "date", "sku", "qty", "price"]
    )
    with pytest.raises(BadInputError, match="has no column customer_id:"):
        open_store(orders=lines)


@pytest.mark.parametrize("priced", [True, False])
def test_an_amount_that_differs_between_lines_is_no_orders_total(priced):
    lines = pd.DataFrame(
        {
            "Invoice": ["1", "1", "2", "2", "3"],
            "Client ID": ["ann", "ann", "ben", "ben", "ann"],
            "Date": "2025-01-05",
            "SKU": ["mug", "pot", "mug", "pot", "mug"],
            "Qty": [2, 1, 1, 2, 1],
            "Amount": [20.0, 15.0, 10.0, 30.0, 10.0],
        }
    )
    store = open_store(orders=lines.assign(**{"Unit price": [10.0, 15.0, 10.0, 15.0, 10.0]}) if priced else lines)
    orders = store.history.tables["raw_orders"].to_pandas()
    assert orders.set_index("order_id")["total_price"].to_dict() == {"1": 35, "2": 40, "3": 10}
    assert sorted(store.history.tables["raw_items"].to_pandas()["price"]) == [10, 10, 10, 15, 15]


def test_an_orders_refund_on_each_of_its_lines_is_counted_once():
    flat = pd.DataFrame(
        {
            "Order Number": ["1", "1", "1", "2", "3", "3"],
            "Customer": ["ann", "ann", "ann", "ben", "cat", "cat"],
            "Order Date": "2025-01-05",
            "Order Total": [30.0, 30.0, 30.0, 10.0, 25.0, 25.0],
            "Refund Amount": [30.0, 30.0, 30.0, 10.0, 0.0, 0.0],
            "SKU": ["mug", "cup", "pot", "mug", "mug", "pot"],
            "Quantity": 1,
            "Price": [10.0, 8.0, 12.0, 10.0, 10.0, 15.0],
        }
    )
    store = open_store(orders=flat, items=flat)  # as one who does not know that one file will do
    assert store.history.tables["raw_orders"].to_pandas().set_index("order_id")["refund_amount"].to_dict() == {
        "1": 30,
        "2": 10,
        "3": 0,
    }
    assert store.history.tables["raw_items"].to_pandas()["refund_amount"].isna().all()


def test_in_a_notebook_columns_are_named_and_products_bring_categories():
    orders = pd.read_csv(EXPORTS / "shopify_orders.csv").rename(columns={"Email": "Buyer"})
    products = EXPORTS / "shopify_products.csv"
    store = open_store(orders=orders, products=products, columns={"customer_id": "Buyer"})
    assert store.history.tables["raw_items"].to_pandas()["product_type"].tolist() == ["Mugs", "Plates", "Mugs"]
    with pytest.raises(BadInputError, match="no table has a column Nix"):
        open_store(orders=orders, columns={"customer_id": "Nix"})


def test_customers_who_are_a_word_are_counted_in_files_of_lines_too(tmp_path):
    text = (EXPORTS / "invoice_lines.csv").read_text().replace("20.00,,United", "20.00,null,United")
    (tmp_path / "lines.csv").write_text(text)
    with ExitStack() as opened:
        orders, lines, _ = shaped(opened.enter_context(open_table(tmp_path / "lines.csv")), "UTC", opened)
        for table in (orders, lines):
            first, *_ = table.chunks(None)
            assert first.words == {"CustomerID": 1}
