"""What goes between a store and its helpdesk, Gorgias.

Belongs here: ``quimbi gorgias``. Does not: requests, what is read and stored (``resources.gorgias``).
"""

import os

from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.stores import read_store

CARD_TOKEN = "GORGIAS_CARD_TOKEN"


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


def push(store_id: str, *, axes: list[str], send: bool) -> None:
    """Tell Gorgias of the customers who changed, or say who they are."""
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.gorgias.pusher import push_fields

        database = open_database()
        progress.step("comparing")
        report = push_fields(database, store_id, axes, progress.step, send=send)
    for line in report.lines():
        out.print(line, markup=False)


def install(store_id: str, *, axes: list[str], card_url: str | None, dry_run: bool) -> None:
    """Make what Gorgias lacks, and show the rules to begin with."""
    from quimbi_assets.exports.gorgias import RULES
    from quimbi_assets.resources.gorgias import pusher

    token = os.environ.get(CARD_TOKEN, "").strip()
    if card_url is not None and (not token or not card_url.startswith("https://")):
        raise BadInputError(
            f"--card-url is the address of `quimbi api`, https://..., and {CARD_TOKEN} a token of the store that "
            "Gorgias asks with: quimbi token create --store-id S"
        )
    read_store(open_database(), store_id)
    card = None if card_url is None else (card_url, token)
    made = pusher.install(store_id, axes, card, err.print, dry_run=dry_run)
    out.print(f"{'would make' if dry_run else 'made'}: {', '.join(made) or 'nothing, all is there'}", markup=False)
    out.print(f"rules to begin with, in Gorgias under Settings > Rules:\n{RULES}", markup=False)


def uninstall(store_id: str, *, dry_run: bool) -> None:
    """Take away what ``install`` made."""
    from quimbi_assets.resources.gorgias import pusher

    gone = pusher.uninstall(store_id, err.print, dry_run=dry_run)
    done = "would take away" if dry_run else "took away"
    out.print(f"{done}: {', '.join(gone) or 'nothing, none is there'}", markup=False)
