"""Prints customers whom a filter chooses, or who are like one, and the audiences of a store; writes or sends lists.

Belongs here: laying the lists out, ``quimbi export``. Does not: the filter (``audiences``), queries, files and services
(``resources``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from quimbi_assets.audiences.definitions import FORMATS, NAME, ExportTarget
from quimbi_assets.audiences.fields import GROUPINGS
from quimbi_assets.audiences.filters import Query, order_by, usual_sort
from quimbi_assets.commands.console import err, out, print_json, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.naming.values import format_money, plural
from quimbi_assets.resources.audiences import audiences_now, choice_of
from quimbi_assets.resources.export_targets import export, without_addresses, written
from quimbi_assets.resources.exports import write_rows
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables.customers import (
    Chosen,
    lacks_groupings,
    read_chosen,
    read_vocabulary,
    stream_profiles,
    why_nobody,
)
from quimbi_assets.resources.postgres.tables.stores import store_currency
from quimbi_assets.store import zone
from quimbi_assets.texts import shown

HEADERS = {
    "customer_id": "customer", "lifecycle": "lifecycle", "value_tier": "tier", "value": "spent", "orders": "orders",
    "last_order_at": "last order", "risk": "risk", "predicted_value_90d": "next 90 days", "archetype": "archetype",
}  # fmt: skip
NUMBERS = ("value", "orders", "risk", "predicted_value_90d")
MONEY = ("value", "predicted_value_90d")
INDENT = 2
LIKENESS = "Alike: 100 % is the same on every axis, 0 % no nearer than half of the customers are."


@dataclass(frozen=True)
class ListOptions:
    """Whom to list: by which field sorted, how many."""

    where: str | None = None
    audience: str | None = None
    sort: str | None = None
    limit: int = 20
    csv: Path | None = None
    """Where to write all of them, instead of showing the first."""


def list_customers(store_id: str, options: ListOptions, *, as_json: bool) -> None:
    """Print how many customers are chosen, what they spent, and the first of them."""
    database = open_database()
    with database.snapshot(store_id) as now:
        vocabulary = read_vocabulary(now, store_id)
        query, audience = choice_of(store_id, vocabulary, options.where, options.audience)
        sort = options.sort or (audience.sort if audience else None)
        if options.csv is not None:
            order = order_by(sort, vocabulary) if sort else None
            rows = stream_profiles(database, store_id, query, vocabulary, order, with_addresses=True)
            n_rows = write_rows(options.csv, rows, "csv")
            if not n_rows:
                _say_why_nobody(now, store_id, query)
            for line in (written(n_rows, "customer", options.csv), *without_addresses(now, store_id)):
                err.print(line, markup=False)
            return None
        chosen = read_chosen(now, store_id, query, vocabulary, sort or usual_sort(query), options.limit)
        currency = store_currency(now, store_id) or ""
        if not chosen.customers:
            _say_why_nobody(now, store_id, query)
    if as_json:
        return print_json({"store_id": store_id, "where": query.text or None, **vars(chosen)})
    if audience is not None:
        out.print(f"{audience.name}: {query.text}", markup=False)
        if audience.about:
            out.print(audience.about, markup=False, style="dim")
    return _print_list(chosen, currency, zone(vocabulary.time_zone))


def _say_why_nobody(now: Database, store_id: str, query: Query) -> None:
    """Say why a filter chooses nobody, where that can be known."""
    why = why_nobody(now, store_id, query)
    if any(name in query.text for name in GROUPINGS) and lacks_groupings(now, store_id):
        why = f"the profiles are from before {', '.join(GROUPINGS)} were known: quimbi run --store-id {store_id}"
    if why is not None:
        err.print(f"nobody: {why}", markup=False)


def list_similar(store_id: str, customer_id: str, limit: int, *, as_json: bool) -> None:
    """Print the customers most like one, how alike they are, and where they differ."""
    from quimbi_assets.resources.postgres.tables.identities import customer_called
    from quimbi_assets.resources.postgres.tables.similar import SimilarCustomers

    database = open_database()
    with database.snapshot(store_id) as now:
        customer_id = customer_called(now, store_id, customer_id)
    answer = SimilarCustomers(database).find(partial(database.snapshot, store_id), store_id, customer_id, limit)
    if as_json:
        customers = [vars(one) for one in answer.customers]
        return print_json({"store_id": store_id, **vars(answer), "customers": customers})
    out.print(f"Customer {shown(customer_id)}: {_words(answer.segments.values())}", markup=False)
    if not answer.customers:
        return out.print("There is nobody else.")
    clock, currency = zone(read_vocabulary(database, store_id).time_zone), store_currency(database, store_id) or ""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("alike", justify="right")
    headers = {name: HEADERS[name] for name in HEADERS if name not in ("predicted_value_90d", "archetype")}
    for name, header in headers.items():
        table.add_column(header, justify="right" if name in NUMBERS else "left", no_wrap=True)
    table.add_column("otherwise")
    for one in answer.customers:
        cells = [_cell(name, getattr(one, name), clock, currency) for name in headers]
        other = _words(one.other_segments.values()) or f"the same on all {len(one.shared_axes)} axes"
        table.add_row(*(Text(cell) for cell in (f"{100 * one.likeness:.0f} %", *cells, other)))
    out.print(table, soft_wrap=False)
    return out.print(LIKENESS, style="dim")


def _words(names: Iterable[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def audiences_of(store_id: str) -> list[dict[str, Any]]:
    """Return the structure of ``quimbi audiences --json``."""
    with open_database().snapshot(store_id) as now:
        return audiences_now(now, store_id)


def print_audiences(rows: list[dict[str, Any]]) -> None:
    """Print audiences, each with its filter below."""
    for row in rows:
        size = row["problem"] or _size(row["customers"], row["value"], row["currency"])
        moved = "not renewed yet: quimbi run" if row["entered"] is None else f"+{row['entered']:,} -{row['left']:,}"
        since = "" if row["refreshed_at"] is None else f" on {_day(row['refreshed_at'])}"
        out.print(f"[bold cyan]{row['audience']}[/bold cyan]  {size}  ({moved}{since})")
        text = "\n".join(part for part in (row["about"], row["where"]) if part)
        out.print(Padding(Text(text, style="dim"), (0, 0, 0, INDENT)), soft_wrap=False)


def _print_list(chosen: Chosen, currency: str, clock: tzinfo) -> None:
    shown = len(chosen.rows)
    first = "" if shown == chosen.customers else f"; the first {shown}:" if shown else ""
    out.print(f"{_size(chosen.customers, chosen.value, currency)}{first}", markup=False)
    if not chosen.rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, header in HEADERS.items():
        table.add_column(header, justify="right" if name in NUMBERS else "left", no_wrap=name != "archetype")
    for row in chosen.rows:
        table.add_row(*(Text(_cell(name, row[name], clock, currency)) for name in HEADERS))
    out.print(table, soft_wrap=False)


def _size(customers: int, value: float | None, currency: str) -> str:
    worth = "" if value is None else f", who spent {format_money(value, currency)}"
    return f"{plural(customers, 'customer')}{worth}"


def _cell(name: str, value: Any, clock: tzinfo, currency: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return _day(value.astimezone(clock))
    if name == "risk":
        return f"{100 * value:.0f} %"
    if name in MONEY:
        return format_money(value, currency)
    return shown(str(value)) if name == "customer_id" else shown(str(value).replace("_", " "))


def _day(at: datetime) -> str:
    return f"{at:%d %b %Y}".lstrip("0")


def list_named(name: str | None, options: Mapping[str, Any]) -> str:
    """Return what a list is called: what its trial goes by; BadInputError of a name that cannot be one."""
    if name is None:
        return str(options["form"])
    if options["audience"] is not None:
        raise BadInputError("--name is of a list by a filter: an audience's control group goes by the audience's name")
    if NAME.fullmatch(name) is None or name in FORMATS:
        raise BadInputError(f"--name {name}: small letters, digits and _, a letter first, and no format's name")
    return name


def entered_on(text: str | None, options: Mapping[str, Any]) -> datetime | None:
    """Return since when a list for reading counts as acted on, None: from now on; BadInputError of another time."""
    from quimbi_assets.ingest.dates import EARLIEST, TOO_EARLY  # imports pandas, as the next
    from quimbi_assets.instants import to_instant, zoned

    if text is None:
        return None
    entered_at = zoned(to_instant(text, "--entered"))
    if options["form"] not in ("csv", "parquet") or options["audience"] is not None:
        raise BadInputError("--entered is of csv and parquet by a filter: what is sent is sent now")
    if entered_at > datetime.now(UTC):
        raise BadInputError(f"--entered {text} is yet to come")
    if entered_at < EARLIEST:
        raise BadInputError(f"--entered {text} {TOO_EARLY}")
    return entered_at


def export_customers(store_id: str, target: ExportTarget, *, contactable: bool) -> None:
    """Write or send a list as the command asks for it; what is said of a file stands beside it, on stderr."""
    is_sent = target.form == "klaviyo"
    if not is_sent and (target.send or target.axes is not None):
        raise BadInputError(f"--send and --axes are for --format klaviyo: --format {target.form} writes a file")
    if target.send and target.out is not None:
        raise BadInputError("--send sends, --out writes what would be sent: give one of them")
    if not is_sent and target.out is None:
        raise BadInputError(f"--out is missing: name a file, or - for standard output (--format {target.form})")
    with steps(target.form) as progress:
        summary = export(open_database(), store_id, target, progress.step, contactable)
    for line in (*summary.lines, *summary.named):
        (out if is_sent and target.out is None else err).print(line, markup=False)
