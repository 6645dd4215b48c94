"""Erases a person, gives out what is held of one, checks receipts.

Belongs here: ``quimbi erase`` and ``quimbi export-customer``. Does not: where data rest, how they go
(``resources``).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quimbi_assets.commands.console import err, out, print_json, steps
from quimbi_assets.commands.running import store_lock
from quimbi_assets.errors import BadInputError
from quimbi_assets.naming.values import plural
from quimbi_assets.resources import erasure
from quimbi_assets.resources.exports import STDOUT, sink
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.stores import require_any_row


def erase_customer(
    store_id: str | None, customer_id: str | None, email: str | None, *, dry_run: bool, wait: bool
) -> dict[str, Any]:
    """Erase a person and return the receipt, or for a dry run what it would say."""
    if store_id is None:
        raise BadInputError("--store-id is missing: say of which store, or --verify FILE for a receipt")
    tables, home = parquet_tables(), quimbi_home()
    if dry_run:
        database = open_database()
        require_any_row(database, store_id)
        return erasure.dry_run(database, tables, home, erasure.person_of(database, home, store_id, customer_id, email))
    with steps(store_id) as progress, store_lock(store_id, progress, wait=wait, require=require_any_row) as run_lock:
        database = run_lock.guarded(open_database())
        person = erasure.person_of(database, home, store_id, customer_id, email, to_erase=True)
        return erasure.erase(database, tables, home, person, progress.step)


def verify_receipt(path: Path) -> None:
    """Print that a receipt is as it was signed; BadInputError if not."""
    receipt = erasure.verify(path, quimbi_home())
    left = sum(one["left"] for one in receipt["tables"].values())
    out.print(
        f"{path}: signed by this home for store {receipt['store_id']}, {receipt['ended_at']}; "
        f"{plural(left, 'row')} left then",
        markup=False,
    )


def print_receipt(receipt: Mapping[str, Any]) -> None:
    """Print what was removed, or would be, place by place, and what is out of reach."""
    done = "receipt" in receipt
    is_again = done and receipt["what"].endswith(erasure.AGAIN)
    for table, counts in receipt["tables"].items():
        if counts["removed"] or counts.get("left"):
            left = f", {counts['left']:,} left" if counts.get("left") else ""
            out.print(f"{table:28} {plural(counts['removed'], 'row')}{left}", markup=False)
    n_files = len(receipt["files"])
    out.print(f"{'Parquet':28} {plural(sum(receipt['files'].values()), 'row')} of {plural(n_files, 'file')}")
    for path, n in (receipt["logs"] | {f"dagster.{name}": n for name, n in receipt["dagster"].items()}).items():
        out.print(f"{path:28} {n:,} times named", markup=False)
    for what in receipt["not_reached"]:
        out.print(f"not reached: {what}", markup=False)
    if done:
        store_id = receipt["store_id"]
        if is_again:
            out.print(receipt["what"], markup=False)
        out.print(f"receipt: {receipt['receipt']} (quimbi erase --verify FILE checks it)", markup=False)
        if receipt["tables"]["quimbi.orders"]["removed"] or receipt["files"] or is_again:
            out.print(f"next: quimbi run --store-id {store_id}, for texts and trends without them", markup=False)
    else:
        out.print("dry run: nothing was erased")


def export_customer(store_id: str, customer_id: str | None, email: str | None, path: Path) -> None:
    """Write all that is held of a person as JSON; ``-`` is standard output."""
    database, home = open_database(), quimbi_home()
    require_any_row(database, store_id)
    person = erasure.person_of(database, home, store_id, customer_id, email)
    record = erasure.everything_of(database, parquet_tables(), person)
    if path == STDOUT:
        return print_json(record)
    with sink(path) as file:
        file.write(json.dumps(record, ensure_ascii=False, indent=2, allow_nan=False, default=str).encode())
    n_rows = sum(len(place["rows"]) for place in record["tables"].values())
    return err.print(f"{plural(n_rows, 'row')} of {plural(len(record['tables']), 'table')} in {path}", markup=False)
