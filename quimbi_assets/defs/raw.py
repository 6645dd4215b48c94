"""Stage 1: what a store sent, as one partition: its orders, lines and tickets after the order policy.

Belongs here: streaming the store's rows out of the database into the canonical dataset, and what people read about it.
Does not: the policy itself (``ingest.policy``), loading (``quimbi load``, ``sources``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from quimbi_assets.axis_table import TableFacts
from quimbi_assets.defs.events import SHOWN, Rule, SchemaCheck, StageEvent, facts
from quimbi_assets.defs.labels import code_version, data_version, table_metadata
from quimbi_assets.defs.partitions import (
    HELPDESK_KEY,
    HISTORY,
    ITEMS_KEY,
    ORDERS_KEY,
    OWNERS,
    SOURCE_KEY,
    STORES,
    TICKETS_KEY,
)
from quimbi_assets.defs.runs import retried
from quimbi_assets.history import History
from quimbi_assets.ingest.canonical import CANONICAL, arrow_schema, canonical_schema
from quimbi_assets.ingest.ledger import Books, canonical_sums
from quimbi_assets.ingest.policy import Report, dropped_line
from quimbi_assets.resources.dagster_resources import Listener, StoreDatabase, Tables, imports_beside
from quimbi_assets.resources.parquet_io import RAW
from quimbi_assets.resources.postgres.reading import canonical_rows
from quimbi_assets.resources.workers import warm_up

CHECK = Rule(
    "canonical_schema",
    "Every row has the canonical columns, of their types and within their ranges.",
    "`first_cases` are the rows: mend them where they come from and load them again (`quimbi load`; `quimbi refused` "
    "shows what was refused at the door). Profiles of this run rest on them as they are.",
)

MONEY = Rule(
    "money_reconciles",
    "In every month the orders that count, what was paid, the discounts, the refunds and the lines are those in the "
    "database, less exactly what the order policy leaves out.",
    "nothing of this run is computed, and people see the profiles of before. `differences` names the months and by how "
    "much, `left_out` what each rule took (`quimbi policy` too). A row was lost or counted twice on its way out of the "
    "database: run again; if it stays, report it.",
    blocks=True,
)

_TABLES = {"raw_orders": "orders", "raw_items": "order_items", "raw_tickets": "support_tickets"}
"""Where the rows of each come from."""


def _spec(key: dg.AssetKey, description: str) -> dg.AssetSpec:
    kinds = {"postgres", "duckdb"}
    return dg.AssetSpec(
        key,
        deps=[SOURCE_KEY, HELPDESK_KEY] if key == TICKETS_KEY else [SOURCE_KEY],
        description=description,
        group_name="raw",
        owners=OWNERS,
        kinds=kinds,
        partitions_def=STORES,
    )


@dg.multi_asset(
    name="raw",
    specs=[
        _spec(
            ORDERS_KEY,
            "Orders that count as purchases: test, cancelled and draft orders, guests, other currencies and gift "
            "cards are left out by the store's order policy; times are naive UTC and store-local.",
        ),
        _spec(ITEMS_KEY, "Lines of those orders, with refunds and when they happened."),
        _spec(TICKETS_KEY, "Support tickets as the store sent them; an empty table where it sent none."),
    ],
    check_specs=[*(CHECK.spec(key) for key in HISTORY), MONEY.spec(ORDERS_KEY)],
)
@retried
def raw(
    context: dg.AssetExecutionContext, tables: Tables, database: StoreDatabase, progress: Listener
) -> Iterator[StageEvent]:
    """Stream the partition's store into its canonical dataset; while the database answers, what comes later starts."""
    progress.step("reading orders", 0.02)
    store_id = context.partition_key
    with imports_beside():
        with canonical_rows(database, store_id, warm_up) as rows:
            table_facts = TableFacts(run_id=context.run_id, store=rows.store, changed_at=rows.changed_at)
            checks = {name: _write(tables, store_id, name, rows.batches(name), table_facts) for name in RAW}
            changed_at, ledger = rows.changed_at, rows.ledger()
        if line := dropped_line(rows.report):
            progress.warn(line)
        history = tables.history(store_id)
        with history.open() as engine:
            books = Books(ledger, canonical_sums(engine))
        figures: dict[str, dict[str, Any]] = {
            "raw_orders": {**_of_orders(history, rows.report), "not_recorded": _absent(history, "raw_orders")},
            "raw_items": {"products": history.n_products, "not_recorded": _absent(history, "raw_items")},
            "raw_tickets": {"wrote_but_never_ordered": history.n_writers_without_order},
        }
    for name, parts in RAW.items():
        key = dg.AssetKey(parts)
        metadata = facts(checks[name].n_rows, **figures[name])
        metadata |= table_metadata(database, _TABLES[name], arrow_schema(name))
        # A load that changes nothing is no change: what is made of the store stays in step with it.
        version = data_version(changed_at, checks[name].n_rows, code_version())
        yield dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=version)
        yield checks[name].result(key, CHECK)
    yield _reconciled(books)


def _reconciled(books: Books) -> dg.AssetCheckResult:
    """Report whether the canonical tables are what the database holds, less what the policy leaves out."""
    differences, left_out = books.differences, books.left_out.assign(month=lambda rows: rows["month"].astype(str))
    by_month = books.months.assign(month=lambda rows: rows["month"].astype(str))
    return MONEY.result(
        ORDERS_KEY,
        differences.empty,
        months=by_month["month"].nunique(),
        differences=None if differences.empty else differences.head(SHOWN).astype({"month": str}),
        left_out=None if left_out.empty else left_out,
        by_month=by_month[by_month["measure"].isin(("orders", "paid", "discount", "refunds"))],
    )


def _write(
    tables: Tables, store_id: str, name: str, batches: Iterator[pa.RecordBatch], table_facts: TableFacts
) -> SchemaCheck:
    """Write one canonical table as it streams by, looking at every batch."""
    check = SchemaCheck(canonical_schema(name))

    def looked_at() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            check.look_at(batch.to_pandas())
            yield batch

    tables.write(RAW[name], store_id, looked_at(), table_facts, schema=arrow_schema(name))
    return check


def _of_orders(history: History, report: Report) -> dict[str, Any]:
    first, last = history.span
    return {
        "customers": history.n_customers,
        "first_order": str(first),
        "last_order": str(last),
        "time_zone": history.store.time_zone,
        "currency": history.store.currency or "not recorded",
        "order_policy": pd.DataFrame({"what": list(report), "rows": list(report.values())}),
    }


def _absent(history: History, name: str) -> str:
    known = {column.partition(".")[2] for column in history.recorded if f"raw_{column}".startswith(f"{name}.")}
    return ", ".join(column for column in CANONICAL[name] if column not in {*known, "customer_id"}) or "nothing"
