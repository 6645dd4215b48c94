"""Loads a store's files and says what was taken and what was refused.

Belongs here: ``quimbi load``. Does not: reading, validating or writing (``ingest``, ``resources.postgres.loading``).
"""

from pathlib import Path

from quimbi_assets.commands.console import err, out, steps


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
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.postgres.database import open_database
        from quimbi_assets.resources.postgres.loading import load_store

        report = load_store(
            open_database(),
            store_id,
            orders,
            items,
            tickets,
            customers,
            time_zone=time_zone,
            currency=currency,
            progress=progress.step,
        )
    for line in report.lines():
        out.print(line, markup=False)
    refused = sum(table.refused for table in report.tables)
    if refused:
        err.print(
            f"quimbi: {refused:,} rows were refused and kept with their reasons in quimbi.quarantined_rows "
            f"(store {store_id}); mend them in the file and load it again",
            markup=False,
        )
    out.print(f"next: quimbi run --store-id {store_id}", markup=False)
