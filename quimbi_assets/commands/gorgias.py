"""What goes between a store and its helpdesk, Gorgias.

Belongs here: ``quimbi gorgias``. Does not: requests, what is read and stored (``resources.gorgias``).
"""

import os
import re
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables.sources import read_sources
from quimbi_assets.resources.postgres.tables.stores import read_store
from quimbi_assets.resources.postgres.tables.tokens import find_token

CARD_TOKEN, CALL_TOKEN = "GORGIAS_CARD_TOKEN", "GORGIAS_WEBHOOK_TOKEN"


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


def push(store_id: str, *, axes: list[str], control: float | None, send: bool) -> None:
    """Tell Gorgias of the customers who changed, or say who they are."""
    with steps(store_id) as progress:
        progress.step("starting the database")
        from quimbi_assets.resources.gorgias.pusher import push_fields

        database = open_database()
        progress.step("comparing")
        report = push_fields(database, store_id, axes, progress.step, control=control, send=send)
    for line in report.lines():
        out.print(line, markup=False)


def install(store_id: str, *, axes: list[str], card_url: str | None, webhook_url: str | None, dry_run: bool) -> None:
    """Make what Gorgias lacks, and show the rules to begin with."""
    from quimbi_assets.exports.gorgias import RULES
    from quimbi_assets.resources.gorgias import pusher

    database = open_database()
    read_store(database, store_id)
    card = _reached(database, store_id, "--card-url", card_url, CARD_TOKEN, "read", dry_run=dry_run)
    call = _reached(database, store_id, "--webhook-url", webhook_url, CALL_TOKEN, "notify", dry_run=dry_run)
    if call and not any(known.source.is_helpdesk and known.every for known in read_sources(database, store_id)):
        raise BadInputError(
            f"no tickets are pulled every hour or day yet: quimbi gorgias pull --store-id {store_id} --every day"
        )
    made = pusher.install(database, store_id, axes, card, call, err.print, dry_run=dry_run)
    out.print(f"{'would make' if dry_run else 'made'}: {', '.join(made) or 'nothing, all is there'}", markup=False)
    out.print(f"rules to begin with, in Gorgias under Settings > Rules:\n{RULES}", markup=False)


def _reached(
    database: Database, store_id: str, option: str, url: str | None, variable: str, scope: str, *, dry_run: bool
) -> tuple[str, str] | None:
    """Return the address and the token that Gorgias is to ask with; None without an address.

    One token may serve both. In a dry run, which sends none, there need not be one yet. BadInputError if it is not the
    store's, or may do less than it is for, or more than that: Gorgias alone would see that.
    """
    if url is None:
        return None
    text = os.environ.get(variable, "").strip()
    create = f"quimbi token create --store-id {store_id} --scopes {scope}"
    if dry_run and not text and _is_address(url):
        return url, f"${variable}"
    if not text or not _is_address(url):
        raise BadInputError(
            f"{option} is the address of `quimbi api`, https://..., and {variable} a token of the store that Gorgias "
            f"shows there: {create}"
        )
    token = find_token(database, text)
    if (
        token is None
        or token.store_id != store_id
        or token.state != "valid"
        or not (scope in token.scopes and set(token.scopes) <= {"read", "notify"})
    ):
        raise BadInputError(
            f"{variable} is no valid token of store {store_id} with the scope {scope}, or read and notify: {create}"
        )
    return url, text


def _is_address(url: str) -> bool:
    """Tell whether a path can be added to an address, and a token be sent there: no password, no question is in it."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s@?#]", url)
    except ValueError:
        return False


def uninstall(store_id: str, *, dry_run: bool) -> None:
    """Take away what ``install`` made."""
    from quimbi_assets.resources.gorgias import pusher

    database = open_database()
    read_store(database, store_id)
    gone = pusher.uninstall(database, store_id, err.print, dry_run=dry_run)
    done = "would take away" if dry_run else "took away"
    out.print(f"{done}: {', '.join(gone) or 'nothing, none is there'}", markup=False)


def support(store_id: str, axis: str, weeks: int) -> dict[str, Any]:
    """Return the structure of ``quimbi gorgias support --json``; days are the store's, the last one included."""
    from quimbi_assets.resources.postgres.tables.tickets import last_whole_week, read_support

    database = open_database()
    store, last_day = read_store(database, store_id), last_whole_week(database, store_id)
    if last_day is None:
        raise BadInputError(
            f"store {store_id} has no orders or no tickets to compare: quimbi load --tickets, or quimbi gorgias pull"
        )
    rows = [vars(one) for one in read_support(database, store, axis, weeks, last_day)]
    if not rows:
        raise BadInputError(f"store {store_id} has no groups of {axis}: give lifecycle, value_tier or an active axis")
    first_day = last_day - timedelta(days=7 * weeks - 1)
    window = {"first_day": first_day.isoformat(), "last_day": last_day.isoformat()}
    before = {"first_day_before": (first_day - timedelta(days=7 * weeks)).isoformat()}
    return {"store_id": store_id, "axis": axis, "weeks": weeks, **window, **before, "groups": rows}


def print_support(known: dict[str, Any]) -> None:
    """Print who wrote how much, and how they rated it."""
    first, last, before = (
        f"{date.fromisoformat(known[name]):%-d %b %Y}" for name in ("first_day", "last_day", "first_day_before")
    )
    span = "whole week" if known["weeks"] == 1 else f"{known['weeks']} whole weeks"
    head = f"the last {span}, {first} to {last}, by {known['axis']}, who wrote most first; "
    head += f"in brackets as long before, from {before}"
    out.print(head, markup=False)
    for row in known["groups"]:
        often, rating = row["tickets_per_100_orders"], row["mean_rating"]
        orders = "no orders" if often is None else f"{often:.1f}{_before(row, 'tickets_per_100_orders')} per 100 orders"
        rated = "no rating" if rating is None else f"rated {rating:.1f}{_before(row, 'mean_rating')} of 5"
        of = f" by {plural(row['ratings'], 'rating')}" if row["ratings"] else ""
        out.print(f"{row['name']:32} {plural(row['tickets'], 'ticket')}: {orders}, {rated}{of}", markup=False)


def _before(row: dict[str, Any], name: str) -> str:
    value = row[f"{name}_before"]
    return "" if value is None else f" ({value:.1f})"
