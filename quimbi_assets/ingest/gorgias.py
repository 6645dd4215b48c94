"""What Gorgias lists becomes rows: tickets, who answered first, what was opened again, how it was rated.

Belongs here: shapes of its REST API, what of it is no customer's question. Does not: requests (``resources.gorgias``),
storing, whose a ticket is (``resources.postgres.tables.tickets``).

References: developers.gorgias.com, *List tickets*, *List messages*, *List events*, *List surveys*. Its instants come
with and without microseconds and offset; those without are UTC.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from quimbi_assets.ingest.tables import LONGEST_ID

Listed = Sequence[Mapping[str, Any]]
"""Objects of one page."""

REOPENED = "ticket-reopened"
"""Type of the events that are counted."""
PRIORITIES = {"critical": "urgent"}
"""Of Gorgias's words those that others write otherwise."""
SPAM, TRASH, BY_STORE = "left out: spam", "left out: in the trash", "left out: the store wrote first"
UNREADABLE = "left out: created_datetime is missing or cannot be read"
LONGEST_TEXT = 2_000
"""Characters of a subject, or of all tags, that are stored."""
TICKET = ("ticket_id", "created_at", "channel", "status", "priority", "subject", "tags", "resolved_at")
"""Columns of ``support_tickets`` that a listed ticket tells."""
WRITER = ("helpdesk_id", "email", "shop_id")
"""Keys of who wrote: Gorgias's, the address, and the shop's own where Gorgias knows it."""


def ticket_rows(listed: Listed) -> pd.DataFrame:
    """Return tickets as rows: :data:`TICKET`, :data:`WRITER` and ``left_out``, (n, 12), each ticket once.

    ``left_out`` says why a row is no question of a customer's, NULL for those that are. A ticket that waits for its
    customer, since an agent wrote last, is ``pending``.
    """
    facts = [_ticket(one) for one in listed if one.get("id") is not None]
    rows = pd.DataFrame(facts, columns=[*TICKET, *WRITER, "left_out", "wrote", "received"], dtype="str")
    rows = rows.drop_duplicates("ticket_id", keep="first").reset_index(drop=True)
    for name in ("created_at", "resolved_at", "wrote", "received"):
        rows[name] = instants(rows[name])
    last, received = (rows[name].dt.floor("s") for name in ("wrote", "received"))  # one may come without microseconds
    is_answered = rows["status"].eq("open") & (last > received)
    rows["status"] = rows["status"].mask(is_answered, "pending")
    rows["resolved_at"] = rows["resolved_at"].where(rows["status"].eq("closed"))
    rows["left_out"] = rows["left_out"].mask(rows["created_at"].isna() & rows["left_out"].isna(), UNREADABLE)
    return rows.drop(columns=["wrote", "received"])


def _ticket(one: Mapping[str, Any]) -> dict[str, str | None]:
    customer = one.get("customer") or {}
    why = SPAM if one.get("spam") else TRASH if one.get("trashed_datetime") else None
    priority = _text(one.get("priority"))
    return {
        "ticket_id": _id(one.get("id")),
        "created_at": _text(one.get("created_datetime")),
        "channel": _text(one.get("channel")),
        "status": _text(one.get("status")),
        "priority": PRIORITIES.get(priority or "", priority),
        "subject": _text(one.get("subject")),
        "tags": _text(", ".join(str(tag.get("name") or "").replace(",", " ") for tag in one.get("tags") or ())),
        "resolved_at": _text(one.get("closed_datetime")),
        **writer(customer),
        "left_out": why or (BY_STORE if one.get("from_agent") else None),
        "wrote": _text(one.get("last_message_datetime")),
        "received": _text(one.get("last_received_message_datetime")),
    }


def writer(customer: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the keys of a customer, as a ticket or a single answer has them.

    >>> writer({"id": 5, "email": "ann@example.com", "integrations": {"9": {"customer": {"id": 77}}}})
    {'helpdesk_id': '5', 'email': 'ann@example.com', 'shop_id': '77'}
    """
    integrations = customer.get("integrations") or {}
    data = integrations.values() if isinstance(integrations, Mapping) else integrations
    shops = [(one.get("customer") or {}).get("id") for one in data if isinstance(one, Mapping)]
    shop_id = next((one for one in shops if one), None) or customer.get("external_id")
    return {"helpdesk_id": _id(customer.get("id")), "email": _text(customer.get("email")), "shop_id": _id(shop_id)}


def other_addresses(customer: Mapping[str, Any]) -> list[str]:
    """Return all addresses of a customer, as a single answer has them."""
    channels = [one for one in customer.get("channels") or () if one.get("type") == "email"]
    addresses = [_text(customer.get("email")), *(_text(one.get("address")) for one in channels)]
    return [address for address in dict.fromkeys(addresses) if address]


def first_responses(listed: Listed) -> pd.DataFrame:
    """Return ``ticket_id, at`` of an agent's first public message in each ticket of a page; rules do not count."""
    rows = [
        (_id(one.get("ticket_id")), _text(one.get("sent_datetime") or one.get("created_datetime")))
        for one in listed
        if one.get("from_agent") and one.get("public") is not False and one.get("channel") != "internal-note"
        if one.get("rule_id") is None and one.get("via") != "rule"
    ]
    return _dated(rows, ["ticket_id", "at"]).sort_values("at", kind="stable").drop_duplicates("ticket_id")


def reopenings(listed: Listed) -> pd.DataFrame:
    """Return ``event_id, ticket_id, at`` of each time that a ticket was opened again."""
    rows = [
        (_id(one.get("id")), _id(one.get("object_id")), _text(one.get("created_datetime")))
        for one in listed
        if one.get("type") == REOPENED
    ]
    return _dated(rows, ["event_id", "ticket_id", "at"])


def ratings(listed: Listed) -> pd.DataFrame:
    """Return ``ticket_id, score`` (1 to 5) of surveys that were answered."""
    rows = [
        (_id(one.get("ticket_id")), float(one["score"]))
        for one in listed
        if one.get("ticket_id") is not None and one.get("score") in (1, 2, 3, 4, 5)
    ]
    return pd.DataFrame(rows, columns=["ticket_id", "score"]).drop_duplicates("ticket_id")


def instants(texts: pd.Series) -> pd.Series:
    """Return instants, NaT where there is none that can be read: (n,) UTC.

    >>> instants(pd.Series(["2026-01-02T03:04:05.678901+02:00", "2026-01-02T03:04:05", "soon"], dtype="str")).tolist()
    [Timestamp('2026-01-02 01:04:05.678901+0000', tz='UTC'), Timestamp('2026-01-02 03:04:05+0000', tz='UTC'), NaT]
    """
    read = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    return read.astype("datetime64[us, UTC]")


def instant(text: Any) -> pd.Timestamp | None:
    """Return one instant, None where it cannot be read."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return pd.Timestamp(at if at.tzinfo else at.replace(tzinfo=UTC)).tz_convert("UTC")


def _dated(rows: Iterable[tuple[str | None, ...]], names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=names, dtype="str")
    frame["at"] = instants(frame["at"])
    return frame.dropna().drop_duplicates(names[0] if len(names) == 3 else names).reset_index(drop=True)


def _id(value: Any) -> str | None:
    text = _text(value)
    return None if text is None or len(text) > LONGEST_ID else text


def _text(value: Any) -> str | None:
    """Return what PostgreSQL can store of a value, None of nothing."""
    if value is None:
        return None
    text = str(value).encode("utf-8", "replace").decode().replace("\0", "").strip()
    return text[:LONGEST_TEXT] or None
