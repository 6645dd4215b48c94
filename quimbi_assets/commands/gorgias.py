"""What goes between a store and its helpdesk, Gorgias.

Belongs here: ``quimbi gorgias``. Does not: requests, what is read and stored (``resources.gorgias``).
"""

from quimbi_assets.commands.console import out, steps
from quimbi_assets.resources.postgres.database import open_database


def pull(store_id: str, *, every: str | None, look_up: int, full: bool, dry_run: bool) -> None:
    """Store what is new of a store's tickets, or say what one page of them would be, and report."""
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.gorgias.puller import pull_tickets, show_pull

        database = open_database()
        progress.step("reading tickets")
        if dry_run:
            report = show_pull(database, store_id, progress.step)
        else:
            report = pull_tickets(database, store_id, progress.step, every=every, look_up=look_up, full=full)
    for line in report.lines():
        out.print(line, markup=False)
    if every in ("hour", "day") and not dry_run:
        out.print(f"pulled every {every} while `quimbi ui` runs and the schedule `pulls` is on", markup=False)
    if any(report.written.values()) and not dry_run:
        out.print(f"next: quimbi run --store-id {store_id}", markup=False)
