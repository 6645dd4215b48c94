"""Shows which stores there are, which of their rows were refused, and which of their orders are left out.

Belongs here: ``quimbi stores``, ``quimbi refused``, ``quimbi policy``. Does not: loading (``loading``), what a run
found (``showing``).
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from quimbi_assets.commands.console import out
from quimbi_assets.naming.values import format_money, plural
from quimbi_assets.resources.exports import write_rows
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database, open_database
from quimbi_assets.resources.postgres.tables.shops import list_shops, refused_counts
from quimbi_assets.resources.postgres.tables.sources import read_sources

LONGEST_EXAMPLE = 160
"""Characters of a refused row that are shown."""
ROWS_AT_ONCE = 10_000


def stores_known() -> dict[str, Any]:
    """Return the structure of ``quimbi stores --json``."""
    database = open_database()
    sources: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for known in read_sources(database, EVERY_STORE):
        one = {"address": known.source.address, "every": known.every, "looked_at": known.looked_at}
        sources[known.store_id].append(_plain(one))
    return {
        "stores": [
            {**_plain(asdict(shop)), "ran": shop.ran(), "problems": shop.problems(), "sources": sources[shop.store_id]}
            for shop in list_shops(database)
        ]
    }


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in record.items()}


def print_stores(known: dict[str, Any]) -> None:
    """Print stores as a table."""
    if not known["stores"]:
        out.print("no store yet; next: quimbi load --store-id NAME --orders FILE", markup=False)
        return
    rows = [
        (
            shop["store_id"],
            f"{shop['customers']:,}",
            f"{shop['orders']:,}",
            (shop["last_order"] or "never")[:10],
            shop["ran"],
            shop["state"] + "".join(f", pulled every {one['every']}" for one in shop["sources"] if one["every"]),
            shop["problems"] or "nothing",
        )
        for shop in known["stores"]
    ]
    heads = ("store", "customers", "orders", "last order", "last run", "state", "needs a look")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        aligned = [
            f"{v:>{w}}" if n in (1, 2) else f"{v:<{w}}" for n, (v, w) in enumerate(zip(row, widths, strict=True))
        ]
        out.print("  ".join(aligned).rstrip(), markup=False)


def refused_rows(store_id: str, path: Path | None) -> dict[str, Any]:
    """Return the structure of ``quimbi refused --json``; with a path, write the rows there too."""
    database = open_database()
    counts = refused_counts(database, store_id)
    written = None if path is None else _write_refused(database, store_id, path)
    reasons = [
        {"table": row["table"], "reason": row["reason"], "rows": int(row["n"]), "example": json.loads(row["example"])}
        for row in counts.to_dict("records")
    ]
    return {"store_id": store_id, "refused": sum(row["rows"] for row in reasons), "reasons": reasons, "csv": written}


def print_refused(refused: dict[str, Any]) -> None:
    """Print refused rows by reason, each with an example."""
    if not refused["reasons"]:
        out.print(f"no row of store {refused['store_id']} was ever refused", markup=False)
    for row in refused["reasons"]:
        example = json.dumps(row["example"], ensure_ascii=False)
        shown = example if len(example) <= LONGEST_EXAMPLE else example[:LONGEST_EXAMPLE] + " ..."
        out.print(f"{row['table']}: {row['rows']:,} refused: {row['reason']}", markup=False)
        out.print(f"  {shown}", markup=False)
    if refused["csv"]:
        out.print(f"{refused['csv']}  {refused['refused']:,} rows; mend them and load the file", markup=False)


def print_policy(effects: dict[str, Any]) -> None:
    """Print what is stored, what each rule leaves out and what counts, then whom each opposite puts elsewhere."""
    currency, rules = effects["currency"] or "", effects["rules"]
    if not rules:
        all_count = f"all {plural(effects['stored']['orders'], 'stored order')} count"
        return out.print(f"store {effects['store_id']}: its order policy leaves nothing out; {all_count}", markup=False)
    out.print(f"store {effects['store_id']}: what its order policy leaves out", markup=False)
    named = [("stored", effects["stored"]), *((row["rule"], row) for row in rules), ("counted", effects["counted"])]
    width = max(len(name) for name, _ in named)
    heads = ("orders", "customers", "paid", "discounts", "refunds")
    out.print("  ".join(["".ljust(width), *(f"{head:>12}" for head in heads)]), markup=False)
    for name, row in named:
        customers = f"{row['customers']:,}" if "customers" in row else ""
        money = [format_money(row[of], currency) for of in ("paid", "discount", "refunds")]
        cells = [f"{row['orders']:,}", customers, *money]
        out.print("  ".join([name.ljust(width), *(f"{cell:>12}" for cell in cells)]), markup=False)
    if effects["not_scored"]:
        out.print(f"who would stand elsewhere is not known: {effects['not_scored']}", markup=False)
    for row in rules:
        if row["opposite"] is not None:
            out.print(_elsewhere(row["rule"], row["opposite"]), markup=False)
    return None


def _elsewhere(rule: str, moved: dict[str, Any]) -> str:
    by_axis = sorted(((n, axis) for axis, n in moved["by_axis"].items() if n), reverse=True)
    listed = ", ".join(f"{axis} {n:,}" for n, axis in by_axis)
    new = f"; {plural(moved['new'], 'customer')} would be new" if moved["new"] else ""
    if not moved["any_axis"]:
        return f"if {rule} counted: nobody in another segment{new}"
    return f"if {rule} counted: {plural(moved['any_axis'], 'customer')} in another segment ({listed}){new}"


def _write_refused(database: Database, store_id: str, path: Path) -> str:
    """Write refused rows as a CSV file: table, reason, times seen, then the columns of the rows themselves."""
    with database.snapshot(store_id) as now:
        names = [str(name) for name in now.query(store_id, _COLUMNS, (store_id,))["name"]]
        with now.transaction(store_id) as cursor:
            cursor.execute(_ROWS, (store_id,))
            write_rows(path, _as_tables(cursor, names), "csv")
    return str(path)


_COLUMNS = """
    SELECT DISTINCT jsonb_object_keys("row") AS name FROM quimbi.quarantined_rows WHERE store_id = %s ORDER BY 1
"""
_ROWS = """
    SELECT "table", reason, occurrences, "row" FROM quimbi.quarantined_rows WHERE store_id = %s
    ORDER BY "table", reason, row_md5
"""


def _as_tables(cursor: Any, names: list[str]) -> Iterator[pa.Table]:
    texts = [f"row.{name}" if name in ("table", "reason", "times") else name for name in names]
    schema = pa.schema([*((name, pa.string()) for name in ("table", "reason")), ("times", pa.int64())])
    schema = pa.schema([*schema, *(pa.field(name, pa.string()) for name in texts)])
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        tables, reasons, times, cells = zip(*rows, strict=True)
        columns = [tables, reasons, times, *([_text(row.get(name)) for row in cells] for name in names)]
        yield pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
