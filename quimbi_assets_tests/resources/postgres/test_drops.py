"""Files of a source as they came: what a later file says of an order counts, from one load to the next."""

import os

import pandas as pd
import pytest

from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.pulling import Pull, pull
from quimbi_assets.resources.postgres.tables.sources import Source
from quimbi_assets_tests.administrator import administer

NOON = "2025-01-05T12:00:00Z"


@pytest.fixture
def drop(tmp_path):
    """A function that writes a file of orders, each (id, refund), into a folder; the folder's pattern."""

    def write(name, *orders):
        frame = pd.DataFrame(orders, columns=["order_id", "refund_amount"]).assign(
            customer_id="ann", order_date=NOON, total_price=20
        )
        frame.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    write.source = Source(str(tmp_path / "*.csv"))
    return write


def refunds(database, store_id):
    rows = "SELECT order_id, refund_amount FROM quimbi.orders WHERE store_id = %s ORDER BY order_id"
    return {order: float(refund) for order, refund in database.execute(store_id, rows, (store_id,))}


def touch(path):
    at = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(at, at))


def test_a_new_time_of_change_alone_is_no_change(database, drop):
    first = drop("01.csv", ("o1", 0), ("o2", 0))
    drop("02.csv", ("o1", 11))
    pull(database, "touched", drop.source, Pull())
    assert refunds(database, "touched") == {"o1": 11, "o2": 0}
    touch(first)
    assert pull(database, "touched", drop.source, Pull()) is None
    assert refunds(database, "touched") == {"o1": 11, "o2": 0}


def test_a_file_that_changed_does_not_undo_later_ones(database, drop):
    drop("01.csv", ("o1", 0), ("o2", 0))
    drop("02.csv", ("o1", 11))
    pull(database, "changed", drop.source, Pull())
    drop("01.csv", ("o1", 0), ("o2", 3))
    pull(database, "changed", drop.source, Pull())
    assert refunds(database, "changed") == {"o1": 11, "o2": 3}
    drop("00.csv", ("o1", 5), ("o3", 5))  # late, and old
    pull(database, "changed", drop.source, Pull())
    assert refunds(database, "changed") == {"o1": 11, "o2": 3, "o3": 5}


def test_a_file_that_was_loaded_by_a_version_without_digests_does_not_undo_later_ones(database, drop):
    first = drop("01.csv", ("o1", 0))
    drop("02.csv", ("o1", 11))
    pull(database, "marked", drop.source, Pull())
    administer(
        database, "UPDATE quimbi.sources SET mark = (mark::jsonb - 'digests')::text WHERE store_id = %s", ("marked",)
    )
    touch(first)
    pull(database, "marked", drop.source, Pull())
    assert refunds(database, "marked") == {"o1": 11}
    touch(first)
    assert pull(database, "marked", drop.source, Pull()) is None


@pytest.fixture
def drop_lines(tmp_path):
    """A function that writes a file of lines, each (order_id, Artikel), into a folder beside the orders'."""
    (tmp_path / "lines").mkdir()

    def write(name, *lines):
        frame = pd.DataFrame(lines, columns=["order_id", "Artikel"]).assign(quantity=1, unit_price=20)
        frame.to_csv(tmp_path / "lines" / name, index=False)

    columns = (("order_items.product_id", "Artikel"),)
    write.source = Source(str(tmp_path / "*.csv"), items=str(tmp_path / "lines" / "*.csv"), columns=columns)
    return write


def test_files_of_lines_are_read_again_only_if_some_came_before_their_order(database, drop, drop_lines):
    def read():
        report = pull(database, "lines", drop_lines.source, Pull())
        return {table.table: table.read for table in report.tables}

    drop("01.csv", ("o1", 0))
    drop_lines("01.csv", ("o1", "mug"), ("o1", "cup"))
    assert read() == {"orders": 1, "order_items": 2}
    drop("02.csv", ("o2", 0))
    assert read() == {"orders": 1}
    drop_lines("02.csv", ("o2", "mug"), ("o3", "mug"))
    assert read() == {"order_items": 2}
    drop("03.csv", ("o3", 0))
    assert read() == {"orders": 1, "order_items": 4}  # the line of o3 was there already
    drop("04.csv", ("o4", 0))
    assert read() == {"orders": 1}
    stored = database.execute(
        EVERY_STORE, "SELECT order_id, count(*) FROM quimbi.order_items WHERE store_id = 'lines' GROUP BY 1"
    )
    assert dict(stored) == {"o1": 2, "o2": 1, "o3": 1}


def test_lines_in_a_file_of_orders_are_not_taken_where_there_are_files_of_lines(database, drop, drop_lines):
    drop("01.csv", ("o1", 0))
    drop_lines("01.csv", ("o1", "mug"))
    pull(database, "both", drop_lines.source, Pull())
    path = drop("02.csv", ("o2", 0))
    pd.read_csv(path).assign(product_id="cup", quantity=1, unit_price=20).to_csv(path, index=False)
    pull(database, "both", drop_lines.source, Pull())
    assert refunds(database, "both") == {"o1": 0, "o2": 0}
    stored = database.execute(
        EVERY_STORE, "SELECT order_id, product_id FROM quimbi.order_items WHERE store_id = 'both'"
    )
    assert list(stored) == [("o1", "mug")]
