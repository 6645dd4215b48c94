"""Files of a source as they came: what a later file says of an order counts, from one load to the next."""

import os

import pandas as pd
import pytest

from quimbi_assets.resources.postgres.pulling import Pull, pull
from quimbi_assets.resources.postgres.tables.sources import Source

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
    return {order: float(refund) for order, refund in database.execute(rows, (store_id,))}


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
    database.execute(
        "UPDATE quimbi.sources SET mark = (mark::jsonb - 'digests')::text WHERE store_id = %s", ("marked",)
    )
    touch(first)
    pull(database, "marked", drop.source, Pull())
    assert refunds(database, "marked") == {"o1": 11}
    touch(first)
    assert pull(database, "marked", drop.source, Pull()) is None
