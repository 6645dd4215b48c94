"""Loads a store's files and says what was taken and what was refused.

Belongs here: ``quimbi load``. Does not: reading, validating or writing (``ingest``, ``resources.postgres.loading``).
"""

from pathlib import Path

from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.errors import BadInputError


def load_files(
    store_id: str,
    orders: Path | None,
    items: Path | None,
    tickets: Path | None,
    customers: Path | None,
    time_zone: str | None,
    currency: str | None,
) -> None:
    """Load files, make the store a partition, and report.

    Raises
    ------
    BadInputError
        If a file or an option cannot be used; nothing is loaded then.
    """
    files = (orders, items, tickets, customers)
    for path in files:
        if path is not None and not path.exists():
            raise BadInputError(f"no such file: {path}")
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.postgres.database import open_database
        from quimbi_assets.resources.postgres.loading import load_store

        database = open_database()
        report = load_store(database, store_id, *files, time_zone=time_zone, currency=currency, progress=progress.step)
    for line in report.lines():
        out.print(line, markup=False)
    if report.is_new and time_zone is None:
        out.print(
            "time zone: UTC, none being given; if it is not the shop's, its evenings are not its customers': "
            "load again with --time-zone, such as Europe/London",
            markup=False,
        )
    refused = sum(table.refused for table in report.tables)
    if refused:
        err.print(
            f"quimbi: {refused:,} rows were refused and kept with their reasons in quimbi.quarantined_rows "
            f"(store {store_id}); mend them in the file and load it again",
            markup=False,
        )
    out.print(f"next: quimbi run --store-id {store_id}", markup=False)
