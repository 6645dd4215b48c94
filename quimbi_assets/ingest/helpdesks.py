"""Tickets as Zendesk and Intercom export them, brought into the form that a table of tickets has.

Belongs here: minutes to the first reply instead of its instant, seconds since 1970, lists in a cell. Does not: names of
columns (``tables``), which column is which (``columns``), Gorgias's own lists (``gorgias``).

References: support.zendesk.com, *Exporting data to a JSON, CSV, or XML file*; developers.zendesk.com, *Tickets* and
*Ticket Metrics*; developers.intercom.com, *The conversation model*.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from quimbi_assets.ingest import columns
from quimbi_assets.ingest.cells import parse_amounts
from quimbi_assets.ingest.dates import parse_dates
from quimbi_assets.ingest.files import Table
from quimbi_assets.ingest.tables import SUPPORT_TICKETS

MINUTES = ("metric_set_reply_time_in_minutes_calendar", "first_reply_time_in_minutes")
"""Zendesk's names, as exported, for what passed from writing to the first reply; hours of business are none."""
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
    names = columns.by_name(table.columns)
    minutes = next((names[name] for name in MINUTES if name in names), None)
    created = columns.candidates(table.columns, SUPPORT_TICKETS, table.chosen)["created_at"]
    answered = columns.candidates(table.columns, SUPPORT_TICKETS, table.chosen)["first_response_at"]
    is_intercom = names.keys() >= INTERCOM
    lists = [names[name] for name in LISTS if name in names]
    epochs = [names[name] for name in EPOCHS if name in names] if is_intercom else []
    contacts = names.get("contacts_contacts") if is_intercom else None
    has_minutes = bool(minutes and created and not answered)

    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        made: dict[str, pd.Series] = {name: frame[name].map(_joined).astype("str") for name in lists}
        made |= {name: _instants(frame[name]) for name in epochs}
        if contacts is not None:
            made[SHOPS_ID] = frame[contacts].map(_shops_id).astype("str")
        if has_minutes:
            written, _ = parse_dates(frame[created[0]], time_zone)
            made[REPLIED] = written + pd.to_timedelta(parse_amounts(frame[str(minutes)]), unit="min")
        return frame.assign(**made)

    more = [SHOPS_ID] * (contacts is not None) + [REPLIED] * has_minutes
    return replace(table.changed(changed, more)) if lists or epochs or more else table


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
