"""What goes between a store and its helpdesk, Gorgias.

Belongs here: ``quimbi gorgias``. Does not: requests, what is read and stored (``resources.gorgias``).
"""

import os
from typing import Any

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


def support(store_id: str, axis: str, weeks: int) -> dict[str, Any]:
    """Return the structure of ``quimbi gorgias support --json``."""
    from quimbi_assets.resources.postgres.tables.tickets import read_support

    database = open_database()
    read_store(database, store_id)
    rows = [vars(one) for one in read_support(database, store_id, axis, weeks)]
    if not rows:
        raise BadInputError(f"store {store_id} has no groups of {axis}: give lifecycle, value_tier or an active axis")
    return {"store_id": store_id, "axis": axis, "weeks": weeks, "groups": rows}


def print_support(known: dict[str, Any]) -> None:
    """Print who wrote how much, and how they rated it."""
    out.print(f"the last {known['weeks']} weeks by {known['axis']}, who wrote most first", markup=False)
    for row in known["groups"]:
        often = "no orders" if row["orders"] == 0 else f"{row['tickets_per_100_orders']:.1f} tickets per 100 orders"
        rated = (
            "no rating" if row["ratings"] == 0 else f"rated {row['mean_rating']:.1f} of 5 ({row['ratings']:,} ratings)"
        )
        out.print(f"{row['name']:32} {often}, {rated}; {row['tickets']:,} tickets", markup=False)
