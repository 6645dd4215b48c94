"""Which stores there are, and which rows were refused."""

import csv
import json
import re

import pytest

from quimbi_assets.resources.postgres.tables.shops import OrderCounts, list_shops
from quimbi_assets_tests.administrator import administer

BAD = """order_id,customer_id,order_date,total_price
1,ann,2025-01-05,10
2,ann,someday,10
3,=cmd(),2025-01-06,x
4,ann,2025-01-07,10
5,ben,2025-01-07,10
6,ben,never,10
7,ben,2025-01-08,10
"""


@pytest.fixture
def bad(quimbi, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(BAD)
    assert quimbi("load", "--store-id", "refusing", "--orders", path)[0] == 0
    return "refusing"


def test_refused_rows_are_shown_by_reason_and_written(quimbi, bad, tmp_path):
    path = tmp_path / "refused.csv"
    code, out, _ = quimbi("refused", "--store-id", bad, "--csv", path)
    assert code == 0
    assert "orders: 2 refused: order_date is not a date" in out
    assert '"order_date": "someday"' in out or '"order_date": "never"' in out
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert sorted(row["order_id"] for row in rows) == ["2", "3", "6"]
    assert [row["customer_id"] for row in rows if row["order_id"] == "3"] == ["'=cmd()"]  # opened, it computes nothing
    code, out, _ = quimbi("refused", "--store-id", bad, "--json")
    assert json.loads(out)["refused"] == 3


def test_a_file_refused_whole_is_shown_though_there_is_no_store(quimbi, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("order_id,customer_id,order_date,total_price\n1,ann,soon,1\n")
    assert quimbi("load", "--store-id", "nothing-good", "--orders", path)[0] == 2
    code, out, _ = quimbi("refused", "--store-id", "nothing-good")
    assert (code, out.count("refused: order_date is not a date")) == (0, 1)
    code, out, err = quimbi("refused", "--store-id", "never-loaded")
    assert (code, out) == (2, "")
    assert "unknown store" in err


def test_stores_say_what_there_is_to_do(quimbi, bad, tmp_path, database):
    path = tmp_path / "orders.csv"

    def state():
        code, out, _ = quimbi("stores")
        assert code == 0
        line = next(line for line in out.splitlines() if line.startswith(bad))
        return re.split(" {2,}", line)[-2]

    assert state() == "never run"
    publication = "INSERT INTO quimbi.publications (store_id, publication_id, run_id, as_of, model_versions) "
    administer(database, publication + "VALUES (%s, 1, 'run', now(), '{}')", (bad,))
    assert state() == "up to date"
    consent = tmp_path / "customers.csv"
    consent.write_text("customer_id,email,suppressed\nann,ann@example.com,yes\n")
    assert quimbi("load", "--store-id", bad, "--customers", consent)[0] == 0
    assert state() == "up to date"  # who may be written to is no order
    counts = OrderCounts()

    def n_orders():
        return {shop.store_id: shop.orders for shop in list_shops(database, counts)}[bad]

    before = n_orders()
    assert n_orders() == before
    path.write_text(BAD + "8,ben,2025-01-09,10\n")
    quimbi("load", "--store-id", bad, "--from", path, "--every", "day")
    assert state() == "orders changed since the last run, pulled every day"
    assert n_orders() == before + 1
    _, out, _ = quimbi("stores", "--json")
    (shop,) = [shop for shop in json.loads(out)["stores"] if shop["store_id"] == bad]
    assert (shop["customers"], shop["last_order"][:10], shop["sources"][0]["every"]) == (2, "2025-01-09", "day")
