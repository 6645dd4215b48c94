"""Tickets as Zendesk and Intercom export them, brought into the form that a table of tickets has.

Belongs here: time to the first reply instead of its instant, seconds since 1970, lists in a cell, a clock in a column's
name. Does not: names of columns (``tables``), which column is which (``columns``), Gorgias's own lists (``gorgias``).

References: support.zendesk.com, *Exporting data to a JSON, CSV, or XML file*; developers.zendesk.com, *Tickets* and
*Ticket Metrics*; developers.intercom.com, *The conversation model*; intercom.com/help, *Reporting metrics &
attributes*.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import columns
from quimbi_assets.ingest.cells import parse_amounts
from quimbi_assets.ingest.dates import parse_dates
from quimbi_assets.ingest.files import Table
from quimbi_assets.ingest.tables import SUPPORT_TICKETS
from quimbi_assets.store import zone

WAITS: Mapping[str, Literal["min", "s"]] = {
    "metric_set_reply_time_in_minutes_calendar": "min",
    "first_reply_time_in_minutes": "min",
    "first_response_time_seconds": "s",
}
"""Names, as exported, for what passed from writing to the first reply, and its unit; hours of business are none."""
CLOCKED = re.compile(r"(?P<name>.+ at) \((?P<zone>[\w+-]+(?:/[\w+-]+)*)\)", re.ASCII)
"""How Intercom calls a column of instants: ``Conversation started at (America/New_York)``, by that clock."""
INTERCOM = frozenset({"source_author_id", "created_at", "state"})
"""Columns that together only conversations of Intercom's have."""
EPOCHS = ("created_at", "statistics_first_admin_reply_at", "statistics_last_close_at")
"""Intercom's instants, in seconds since 1970."""
LISTS = ("tags", "tags_tags")
SHOPS_ID, REPLIED = "customer_external_id", "first_response_at"
"""Columns that are made, where the file has none of the name."""


def tickets_shaped(table: Table, time_zone: str) -> Table:
    """Return a table of tickets whose cells are what their columns say; others as they are.

    A reply's instant is worked out from dates that are in `time_zone` where they have no offset.
    """
    table = _by_their_clocks(table)
    names = columns.by_name(table.columns)
    wait = next((name for name in WAITS if name in names), None)
    created = columns.candidates(table.columns, SUPPORT_TICKETS, table.chosen)["created_at"]
    answered = columns.candidates(table.columns, SUPPORT_TICKETS, table.chosen)["first_response_at"]
    is_intercom = names.keys() >= INTERCOM
    lists = [names[name] for name in LISTS if name in names]
    epochs = [names[name] for name in EPOCHS if name in names] if is_intercom else []
    contacts = names.get("contacts_contacts") if is_intercom else None

    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        made: dict[str, pd.Series] = {name: frame[name].map(_joined).astype("str") for name in lists}
        made |= {name: _instants(frame[name]) for name in epochs}
        if contacts is not None:
            made[SHOPS_ID] = frame[contacts].map(_shops_id).astype("str")
        if wait and is_waited:
            written, _ = parse_dates(frame[created[0]], time_zone)
            made[REPLIED] = written + pd.to_timedelta(parse_amounts(frame[names[wait]]), unit=WAITS[wait])
        return frame.assign(**made)

    is_waited = bool(wait and created and not answered)
    more = [SHOPS_ID] * (contacts is not None) + [REPLIED] * is_waited
    return replace(table.changed(changed, more)) if lists or epochs or more else table


def _by_their_clocks(table: Table) -> Table:
    """Return a table with the columns whose names say by which clock they are again, in UTC and called without it."""
    clocked = {name: match for name in table.columns if (match := CLOCKED.fullmatch(name)) and _is_zone(match["zone"])}

    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{match["name"]: _in_utc(frame[name], match["zone"]) for name, match in clocked.items()})

    return table.changed(changed, [match["name"] for match in clocked.values()]) if clocked else table


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except BadInputError:
        return False
    return True


def _in_utc(values: pd.Series, time_zone: str) -> pd.Series:
    """Return dates by a clock as text with an offset; what is none is left for whoever reads dates to refuse."""
    read, _ = parse_dates(values, time_zone)
    texts: pd.Series = read.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00").astype("str")
    return texts.where(read.notna(), values)


def _instants(seconds: pd.Series) -> pd.Series:
    """Return seconds since 1970 as instants; what is none is left for whoever reads dates to refuse."""
    if not pd.api.types.is_numeric_dtype(seconds.dtype):
        return seconds
    return pd.to_datetime(seconds, unit="s", utc=True).astype("datetime64[us, UTC]")


def _items(cell: Any) -> Iterable[Any]:
    return () if cell is None or isinstance(cell, str | float) else cell


def _joined(cell: Any) -> str | None:
    if isinstance(cell, str):
        return cell
    words = [one.get("name") if isinstance(one, dict) else one for one in _items(cell)]
    return ", ".join(str(word) for word in words if word is not None) or None


def _shops_id(cell: Any) -> str | None:
    ids = [one.get("external_id") for one in _items(cell) if isinstance(one, dict)]
    return next((str(one) for one in ids if one), None)
