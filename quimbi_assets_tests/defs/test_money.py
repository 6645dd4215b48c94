"""A run goes no further where money is lost on its way; where it is not, the checks say what the policy took."""

import dagster as dg
import pytest
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.event_api import PartitionKeyFilter

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.defs.partitions import ORDERS_KEY, axis_key
from quimbi_assets.history import History
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.reading import CanonicalRows
from quimbi_assets.simulation import write_store

SPEND = axis_key("features", "purchase_value")
OPTIONS = RunOptions(axes=["purchase_value"], min_population=10)


@pytest.fixture(scope="module")
def store(database, tmp_path_factory):
    """Sixty simulated customers and what of their orders is none."""
    folder = tmp_path_factory.mktemp("books")
    write_store(60, folder, seed=5)
    load_store(database, "books", folder / "orders.parquet", folder / "order_items.parquet", currency="USD")
    return "books"


def check(key, name, store_id):
    with open_instance() as instance:
        last = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(key, name)], PartitionKeyFilter(key=store_id)
        )
    (record,) = last.values()
    return record.event.asset_check_evaluation


def table(evaluation, name):
    return [record.data for record in evaluation.metadata[name].records]


def test_an_order_lost_on_its_way_ends_the_run_before_anything_is_measured(store, database, monkeypatch):
    batches = CanonicalRows.batches

    def without_the_last(rows, name):
        *all_before, last = batches(rows, name) if name == "raw_orders" else (*batches(rows, name), None)
        yield from all_before
        if last is not None:
            yield last.slice(0, len(last) - 1)

    monkeypatch.setattr(CanonicalRows, "batches", without_the_last)
    with pytest.raises(DagsterAssetCheckFailedError, match="money_reconciles"):
        run_store(store, OPTIONS, Steps(None, store))
    found = check(ORDERS_KEY, "money_reconciles", store)
    assert not found.passed
    lost = {row["measure"]: row["difference"] for row in table(found, "differences")}
    assert lost["orders"] == 1
    assert lost["paid"] > 0
    assert database.execute(store, "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = %s", (store,)) == [
        (0,)
    ]


def test_features_that_are_not_the_orders_totals_end_the_run(store, database, monkeypatch):
    monkeypatch.setattr(History, "totals", dict.fromkeys(("orders", "spend", "refunds"), 1.0))
    with pytest.raises(DagsterAssetCheckFailedError, match="totals_reconcile"):
        run_store(store, OPTIONS, Steps(None, store))
    assert not check(SPEND, "totals_reconcile", store).passed
    assert database.execute(store, "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = %s", (store,)) == [
        (0,)
    ]


def test_what_the_policy_left_out_is_told_by_month_and_rule(store, database):
    run_store(store, OPTIONS, Steps(None, store))
    books, totals = check(ORDERS_KEY, "money_reconciles", store), check(SPEND, "totals_reconcile", store)
    assert (books.passed, totals.passed) == (True, True)
    cancelled = [row for row in table(books, "left_out") if row["rule"] == "status cancelled"]
    question = "SELECT count(*) FROM quimbi.orders WHERE store_id = %s AND status = 'cancelled'"
    assert sum(row["orders"] for row in cancelled) == database.execute(store, question, (store,))[0][0] > 0
    assert len(cancelled) == len({row["month"] for row in cancelled}) > 1
    assert {row["total of"] for row in table(totals, "by_total")} == {"customers", "orders", "spend"}
