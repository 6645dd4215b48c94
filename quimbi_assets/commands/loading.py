"""Loads a store's files and says what was taken and what was refused.

Belongs here: ``quimbi load``. Does not: reading, validating or writing (``ingest``, ``resources.postgres.loading``).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.home import directory

if TYPE_CHECKING:
    from quimbi_assets.resources.postgres.load_report import LoadReport


def load_files(
    store_id: str,
    orders: Path | None,
    items: Path | None,
    tickets: Path | None,
    customers: Path | None,
    products: Path | None,
    columns: str | None,
    time_zone: str | None,
    currency: str | None,
) -> None:
    """Load files, make the store a partition, and report."""
    files = (orders, items, tickets, customers, products)
    named = columns_named(columns)
    for path in files:
        if path is not None and not path.exists():
            raise BadInputError(f"no such file: {path}")
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.postgres.database import open_database
        from quimbi_assets.resources.postgres.loading import load_store

        database = open_database()
        report = load_store(
            database, store_id, *files, columns=named, time_zone=time_zone, currency=currency, progress=progress.step
        )
    print_report(report, time_zone_given=time_zone is not None)


def print_report(report: "LoadReport", *, time_zone_given: bool) -> None:
    """Print what a load did, and what there is to do next."""
    store_id = report.store.store_id
    for line in report.lines():
        out.print(line, markup=False)
    if report.is_new and not time_zone_given:
        example = f" {report.likely_zone}" if report.likely_zone else ", such as Europe/London"
        out.print(
            "time zone: UTC, none being given; if it is not the shop's, its evenings are not its customers': "
            f"load again with --time-zone{example}",
            markup=False,
        )
    if refused := sum(table.refused for table in report.tables):
        err.print(
            f"quimbi: {refused:,} row{'' if refused == 1 else 's'} refused and kept with the reason: "
            f"quimbi refused --store-id {store_id}; mend them in the file and load it again",
            markup=False,
        )
    out.print(f"next: quimbi run --store-id {store_id}", markup=False)


def columns_named(text: str | None) -> dict[str, str]:
    """Return what ``--columns`` says: column → the file's.

    >>> columns_named("order_id=Invoice, total_price=Sum total")
    {'order_id': 'Invoice', 'total_price': 'Sum total'}
    """
    parts = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    if wrong := [column for column, _, name in parts if not column.strip() or name.strip() in ("", "?")]:
        raise BadInputError(
            f"--columns {wrong[0].strip()}: say which of the file's columns it is: order_id=Invoice,customer_id=Buyer"
        )
    return {column.strip(): name.strip() for column, _, name in parts}


def simulate_files(
    n_customers: int, out_dir: Path, seed: int, slow_down_share: float = 0.0, slow_down_from: str | None = None
) -> None:
    """Simulate a store into ``out_dir``."""
    from quimbi_assets.simulation import write_store

    if seed < 0:
        raise BadInputError(f"--seed {seed}: use 0 or more")
    folder = directory(out_dir.expanduser().absolute())
    with steps("simulating") as progress:
        try:
            counts = write_store(
                n_customers,
                folder,
                seed=seed,
                progress=lambda done, total: progress.step(f"{done:,} customers", done / total),
                slow_down_share=slow_down_share,
                slow_down_from=slow_down_from,
            )
        except ValueError as error:
            raise BadInputError(str(error)) from error
    for name, rows in counts.items():
        out.print(f"{folder / name}.parquet  {rows:,} rows", markup=False)
