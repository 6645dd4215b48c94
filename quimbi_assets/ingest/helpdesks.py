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

WAITS: Mapping[str, tuple[str, Literal["min", "s"]]] = {
    "metric_set_reply_time_in_minutes_calendar": ("first_response_at", "min"),
    "first_reply_time_in_minutes": ("first_response_at", "min"),
    "first_response_time_seconds": ("first_response_at", "s"),
    "time_to_close_seconds": ("resolved_at", "s"),
}
"""Names, as exported, for what passed from writing to an instant, which that is, and the unit; hours of business are
none."""
LONGEST_WAIT = pd.Timedelta(days=36_525)
"""A century: whoever waited longer waited for a mistake of the export's."""
CLOCKED = re.compile(r"(?P<name>.+ at) \((?P<zone>[\w+-]+(?:/[\w+-]+)*)\)", re.ASCII)
"""How Intercom calls a column of instants: ``Conversation started at (America/New_York)``, by that clock."""
INTERCOM = tuple(frozenset({"created_at", "state", whose}) for whose in ("source_author_id", "contacts_contacts"))
"""Columns that together only conversations of Intercom's have; where none of them has an author, they have contacts."""
EPOCHS = ("created_at", "statistics_first_admin_reply_at", "statistics_last_close_at")
"""Intercom's instants, in seconds since 1970."""
SECONDS = r"\d{9,}(?:\.\d+)?"
"""Such instants as text; eight digits are a day."""
LISTS = ("tags", "tags_tags")
SHOPS_ID = "customer_external_id"
"""A column that is made, where the file has none of the name, as instants are (:data:`WAITS`)."""
STARTED = ("source_delivered_as", "delivered_as", "started_by")
BY_STORE = frozenset({"admin_initiated", "automated", "campaigns_initiated", "admin", "teammate"})
"""Intercom's columns for who began a conversation, and what they hold where the store did: a message of a teammate's, a
series, a campaign. Assumption: ``operator_initiated``, a bot's greeting, is kept, since a customer answered it."""


def tickets_shaped(table: Table, time_zone: str) -> Table:
    """Return a table of tickets whose cells are what their columns say; others as they are.

    An instant is worked out of a wait from dates that are in `time_zone` where they have no offset.
    """
    table = _by_their_clocks(table)
    names = columns.by_name(table.columns)
    possible = columns.candidates(table.columns, SUPPORT_TICKETS, table.chosen)
    created, waits = possible["created_at"], _waits(names, possible)
    is_intercom = any(marks <= names.keys() for marks in INTERCOM)
    lists = [names[name] for name in LISTS if name in names]
    epochs = [names[name] for name in EPOCHS if name in names] if is_intercom else []
    contacts = names.get("contacts_contacts") if is_intercom else None

    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        made: dict[str, pd.Series] = {name: frame[name].map(_joined).astype("str") for name in lists}
        made |= {name: _instants(frame[name]) for name in epochs}
        if contacts is not None:
            made[SHOPS_ID] = frame[contacts].map(_shops_id).astype("str")
        if waits:
            written, _ = parse_dates(frame[created[0]], time_zone)
            for instant, (wait, unit) in waits.items():
                made[instant] = _after(written, frame[wait], unit)
        return frame.assign(**made)

    more = [*([SHOPS_ID] if contacts is not None else []), *waits]
    used = {*(wait for wait, _ in waits.values()), *(names[name] for name in STARTED if name in names)}
    table = replace(table, used=table.used | used)
    return table.changed(changed, more) if lists or epochs or more else table


def _after(written: pd.Series, waits: pd.Series, unit: Literal["min", "s"]) -> pd.Series:
    """Return instants some time after others; a wait that is no time is left for whoever reads dates to refuse."""
    amounts = parse_amounts(waits)
    after = written + pd.to_timedelta(amounts.where(amounts.abs() <= LONGEST_WAIT / pd.Timedelta(1, unit)), unit=unit)
    is_none = after.isna() & waits.notna() & written.notna()
    return after.astype("object").mask(is_none, waits.astype("str")) if is_none.any() else after


def _waits(names: Mapping[str, str], possible: Mapping[str, list[str]]) -> dict[str, tuple[str, Literal["min", "s"]]]:
    """Return the instants that only a wait tells, each with the file's column of it and the unit."""
    waits: dict[str, tuple[str, Literal["min", "s"]]] = {}
    for name, (instant, unit) in WAITS.items():
        if name in names and possible["created_at"] and not possible[instant]:
            waits.setdefault(instant, (names[name], unit))
    return waits


def begun_by_store(frame: pd.DataFrame) -> pd.Series:
    """Tell of each row of Intercom's whether the store wrote first: (n,) bool, wholly false of others' rows.

    >>> begun_by_store(pd.DataFrame({"source.delivered_as": ["automated", "customer_initiated", None]})).tolist()
    [True, False, False]
    """
    names = columns.by_name(frame.columns)
    begun = pd.Series(False, index=frame.index)
    for name in (names[name] for name in STARTED if name in names):
        begun |= frame[name].astype("str").str.strip().str.lower().isin(BY_STORE)
    return begun


def _by_their_clocks(table: Table) -> Table:
    """Return a table with the columns whose names say by which clock they are again, in UTC and called without it."""
    meant = {spelling for spellings in SUPPORT_TICKETS.aliases.values() for spelling in spellings}
    clocked = {
        name: match
        for name in table.columns
        if (match := CLOCKED.fullmatch(name)) and _is_zone(match["zone"]) and columns.normalised(match["name"]) in meant
    }

    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{match["name"]: _in_utc(frame[name], match["zone"]) for name, match in clocked.items()})

    table = replace(table, used=table.used | clocked.keys())
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


def _instants(cells: pd.Series) -> pd.Series:
    """Return seconds since 1970, numbers or text, as instants; other cells are left for whoever reads dates."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return cells
    if pd.api.types.is_numeric_dtype(cells.dtype):
        seconds = cells.astype("float64")
    else:  # DuckDB has numbers of which some are below nought as decimals
        cells = cells.astype("str").str.strip()
        seconds = pd.to_numeric(cells.where(cells.str.fullmatch(SECONDS))).astype("float64")
    read = pd.to_datetime(seconds, unit="s", utc=True, errors="coerce").astype("datetime64[us, UTC]")
    return read if read.notna().equals(cells.notna()) else read.astype("object").where(read.notna(), cells)


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
