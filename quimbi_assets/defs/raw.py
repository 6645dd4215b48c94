"""Stage 1: what a store sent, as one partition: its orders, lines and tickets after the order policy.

Belongs here: streaming the store's rows out of the database into the canonical dataset, and what people read about it.
Does not: the policy itself (``ingest.policy``), loading files (``quimbi load``).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from quimbi_assets.axis_table import AxisTable, TableFacts
from quimbi_assets.defs.checks import SchemaCheck
from quimbi_assets.defs.metadata import StageEvent, facts
from quimbi_assets.defs.partitions import ITEMS_KEY, ORDERS_KEY, OWNERS, STORES, TICKETS_KEY
from quimbi_assets.defs.retries import retried
from quimbi_assets.engines import DuckEngine
from quimbi_assets.history import History
from quimbi_assets.ingest.canonical import CANONICAL, arrow_schema, canonical_schema
from quimbi_assets.ingest.policy import SORTED, Report, apply_policy, common_currency
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import RAW, ParquetTables
from quimbi_assets.resources.postgres import reading
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.postgres.tables.stores import read_store
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.workers import warm_up
from quimbi_assets.store import Store

CHECK = "canonical_schema"


def _spec(key: dg.AssetKey, description: str) -> dg.AssetSpec:
    kinds = {"postgres", "duckdb"}
    return dg.AssetSpec(
        key, description=description, group_name="raw", owners=OWNERS, kinds=kinds, partitions_def=STORES
    )


@dg.multi_asset(
    name="raw_orders",
    specs=[
        _spec(
            ORDERS_KEY,
            "Orders that count as purchases: test, cancelled and draft orders, guests, other currencies and gift "
            "cards are left out by the store's order policy; times are naive UTC and store-local.",
        ),
        _spec(ITEMS_KEY, "Lines of those orders, with refunds and when they happened."),
    ],
    check_specs=[dg.AssetCheckSpec(CHECK, asset=ORDERS_KEY), dg.AssetCheckSpec(CHECK, asset=ITEMS_KEY)],
)
@retried
def raw_orders(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[ParquetTables],
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[StageEvent]:
    """Stream the partition's store into its canonical dataset; while the database answers, what comes later starts."""
    progress.step("reading orders", 0.02)
    store_id, database = context.partition_key, store.database()
    settings = read_store(database, store_id)
    tracking.begin_imports()
    with DuckEngine() as engine:
        with reading.stored_orders(database, store_id, settings.time_zone) as rows:
            engine.take("stored_orders", rows)
        warm_up(int(engine.arrow("SELECT count(DISTINCT customer_id) AS n FROM stored_orders")["n"][0].as_py()))
        with reading.stored_items(database, store_id) as rows:
            engine.take("stored_items", rows)
        settings = replace(settings, currency=settings.currency or common_currency(engine))
        report = apply_policy(engine, settings.policy, settings.currency)
        said = TableFacts(run_id=context.run_id, store=settings)
        checks = {name: _write(tables, store_id, name, engine.batches(sql), said) for name, sql in SORTED.items()}
    places = {name: tables.place(RAW[name], store_id) for name in SORTED}
    history = History(settings, {**places, "raw_tickets": arrow_schema("raw_tickets").empty_table()})
    said_of: dict[str, dict[str, Any]] = {
        "raw_orders": _of_orders(history, settings, report),
        "raw_items": {"products": history.n_products},
    }
    for name, figures in said_of.items():
        metadata = facts(checks[name].n_rows, **figures, not_recorded=_absent(history, name))
        yield dg.MaterializeResult(asset_key=RAW[name], metadata=metadata)
        yield checks[name].result(RAW[name], CHECK)


def _write(
    tables: ParquetTables, store_id: str, name: str, batches: Iterator[pa.RecordBatch], said: TableFacts
) -> SchemaCheck:
    """Write one canonical table as it streams by, looking at every batch."""
    check = SchemaCheck(canonical_schema(name))

    def looked_at() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            check.look_at(batch.to_pandas())
            yield batch

    tables.write(RAW[name], store_id, looked_at(), said, schema=arrow_schema(name))
    return check


def _of_orders(history: History, settings: Store, report: Report) -> dict[str, Any]:
    first, last = history.span
    return {
        "customers": len(history.population),
        "first_order": str(first),
        "last_order": str(last),
        "time_zone": settings.time_zone,
        "currency": settings.currency or "not recorded",
        "order_policy": pd.DataFrame({"what": list(report), "rows": list(report.values())}),
    }


def _absent(history: History, name: str) -> str:
    known = {column.partition(".")[2] for column in history.recorded if f"raw_{column}".startswith(f"{name}.")}
    return ", ".join(column for column in CANONICAL[name] if column not in {*known, "customer_id"}) or "nothing"


@dg.asset(
    key=TICKETS_KEY,
    partitions_def=STORES,
    group_name="raw",
    owners=OWNERS,
    kinds={"postgres", "duckdb"},
    check_specs=[dg.AssetCheckSpec(CHECK, asset=TICKETS_KEY)],
    description="Support tickets as the store sent them; an empty table where it sent none.",
)
@retried
def support_tickets(
    context: dg.AssetExecutionContext, tables: dg.ResourceParam[ParquetTables], store: StoreDatabase
) -> Iterator[StageEvent]:
    """Stream the partition's tickets."""
    store_id, database = context.partition_key, store.database()
    settings = read_store(database, store_id)
    with reading.stored_tickets(database, store_id, settings.time_zone) as rows:
        check = _write(tables, store_id, "raw_tickets", iter(rows), TableFacts(run_id=context.run_id, store=settings))
    found = AxisTable(tables.place(TICKETS_KEY, store_id))
    yield dg.MaterializeResult(asset_key=TICKETS_KEY, metadata=facts(found.n_rows))
    yield check.result(TICKETS_KEY, CHECK)
