"""Which stores there are, and which rows were refused."""

import csv
import json

import pytest

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


def test_stores_say_what_there_is_to_do(quimbi, two_stores, bad):
    code, out, _ = quimbi("stores")
    assert code == 0
    states = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert states[bad].endswith("never run")
    assert states["north"].endswith("up to date")
    code, out, _ = quimbi("stores", "--json")
    shops = {shop["store_id"]: shop for shop in json.loads(out)["stores"]}
    assert shops[bad]["customers"] == 2
    assert shops[bad]["last_order"].startswith("2025-01-08")
    assert shops["north"]["last_run"] is not None
