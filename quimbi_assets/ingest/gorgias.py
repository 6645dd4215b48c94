"""What Gorgias lists becomes rows: tickets, who answered first, what was opened again, how it was rated.

Belongs here: shapes of its REST API, what of it is no customer's question. Does not: requests (``resources.gorgias``),
storing, whose a ticket is (``resources.postgres.tables.tickets``).

What is no object, text or number where one is documented counts as absent: no answer of Gorgias's raises an error here.

References: developers.gorgias.com, *List tickets*, *List messages*, *List events*, *List surveys*. Its instants come
with and without microseconds and offset; those without are UTC.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from quimbi_assets.ingest.dates import EARLIEST
from quimbi_assets.ingest.tables import LONGEST_ID

Listed = Sequence[Mapping[str, Any]]
"""Objects of one page."""

REOPENED = "ticket-reopened"
"""Type of the events that are counted."""
PRIORITIES = {"critical": "urgent"}
"""Of Gorgias's words those that others write otherwise."""
SPAM, TRASH, BY_STORE = "left out: spam", "left out: in the trash", "left out: the store wrote first"
UNREADABLE = "left out: id or created_datetime is missing or cannot be read"
LATEST = pd.Timestamp("9999-01-01", tz="UTC")
"""Up to here a year has four digits in every time zone."""
LONGEST_TEXT = 2_000
"""Characters of a subject, or of all tags, that are stored."""
TICKET = ("ticket_id", "created_at", "channel", "status", "priority", "subject", "tags", "resolved_at")
"""Columns of ``support_tickets`` that a listed ticket tells."""
WRITER = ("helpdesk_id", "email", "shop_id")
"""Keys of who wrote: Gorgias's, the address, and the shop's own where Gorgias knows it."""


def ticket_rows(listed: Listed) -> pd.DataFrame:
    """Return tickets as rows: :data:`TICKET`, :data:`WRITER` and ``left_out``, (n, 12), each ticket once.

    ``left_out`` says why a row is no question of a customer's, NULL for those that are. A ticket that waits for its
    customer, since an agent wrote last, is ``pending``. One whose id cannot be read is left out under a hash of it.
    """
    facts = [_ticket(one) for one in _objects(listed)]
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
    ticket_id = _id(one.get("id"))
    why = SPAM if one.get("spam") else TRASH if one.get("trashed_datetime") else None
    priority = _text(one.get("priority"))
    return {
        "ticket_id": ticket_id or "unreadable:" + hashlib.sha256(repr(one.get("id")).encode()).hexdigest()[:32],
        "created_at": _text(one.get("created_datetime")),
        "channel": _text(one.get("channel")),
        "status": _text(one.get("status")),
        "priority": PRIORITIES.get(priority or "", priority),
        "subject": _text(one.get("subject")),
        "tags": _tags(one.get("tags")),
        "resolved_at": _text(one.get("closed_datetime")),
        **writer(_object(one.get("customer"))),
        "left_out": why or (BY_STORE if one.get("from_agent") else None if ticket_id else UNREADABLE),
        "wrote": _text(one.get("last_message_datetime")),
        "received": _text(one.get("last_received_message_datetime")),
    }


def _tags(tags: Any) -> str | None:
    """Return names, each of an object or a text, with commas between them."""
    listed = tags if isinstance(tags, list) else []
    names = [_text(tag.get("name") if isinstance(tag, Mapping) else tag) for tag in listed]
    return _text(", ".join(name.replace(",", " ") for name in names if name))


def writer(customer: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the keys of a customer, as a ticket or a single answer has them.

    >>> writer({"id": 5, "email": "ann@example.com", "integrations": {"9": {"customer": {"id": 77}}}})
    {'helpdesk_id': '5', 'email': 'ann@example.com', 'shop_id': '77'}
    """
    integrations = customer.get("integrations")
    shops = _objects(list(integrations.values()) if isinstance(integrations, Mapping) else integrations)
    ids = [*(_object(one.get("customer")).get("id") for one in shops), customer.get("external_id")]
    shop_id = next((known for known in (_id(one) for one in ids if one) if known), None)
    return {"helpdesk_id": _id(customer.get("id")), "email": _text(customer.get("email")), "shop_id": shop_id}


def other_addresses(customer: Mapping[str, Any]) -> list[str]:
    """Return all addresses of a customer, as a single answer has them."""
    channels = [one for one in _objects(customer.get("channels")) if one.get("type") == "email"]
    addresses = [_text(customer.get("email")), *(_text(one.get("address")) for one in channels)]
    return [address for address in dict.fromkeys(addresses) if address]


def first_responses(listed: Listed) -> pd.DataFrame:
    """Return ``ticket_id, at`` of an agent's first public message in each ticket of a page; rules do not count."""
    rows = [
        (_id(one.get("ticket_id")), _text(one.get("sent_datetime")) or _text(one.get("created_datetime")))
        for one in _objects(listed)
        if one.get("from_agent") and one.get("public") is not False and one.get("channel") != "internal-note"
        if one.get("rule_id") is None and one.get("via") != "rule"
    ]
    return _dated(rows, ["ticket_id", "at"]).sort_values("at", kind="stable").drop_duplicates("ticket_id")


def reopenings(listed: Listed) -> pd.DataFrame:
    """Return ``event_id, ticket_id, at`` of each time that a ticket was opened again."""
    rows = [
        (_id(one.get("id")), _id(one.get("object_id")), _text(one.get("created_datetime")))
        for one in _objects(listed)
        if one.get("type") == REOPENED
    ]
    return _dated(rows, ["event_id", "ticket_id", "at"])


def ratings(listed: Listed) -> pd.DataFrame:
    """Return ``ticket_id, score`` (1 to 5) of surveys that were answered."""
    rows = [
        (ticket_id, float(one["score"]))
        for one in _objects(listed)
        if (ticket_id := _id(one.get("ticket_id"))) and one.get("score") in (1, 2, 3, 4, 5) and one["score"] is not True
    ]
    return pd.DataFrame(rows, columns=["ticket_id", "score"]).drop_duplicates("ticket_id")


def instants(texts: pd.Series) -> pd.Series:
    """Return instants, NaT where there is none that can be read from 1980 to :data:`LATEST`: (n,) UTC.

    >>> instants(pd.Series(["2026-01-02T03:04:05.678901+02:00", "2026-01-02T03:04:05", "soon"], dtype="str")).tolist()
    [Timestamp('2026-01-02 01:04:05.678901+0000', tz='UTC'), Timestamp('2026-01-02 03:04:05+0000', tz='UTC'), NaT]
    """
    is_date = texts.str.match(r"\d{4}-\d{2}-\d{2}").fillna(value=False).astype(bool)  # "now" would be read, too
    read = pd.to_datetime(texts.where(is_date), format="ISO8601", utc=True, errors="coerce").astype(
        "datetime64[us, UTC]"
    )
    return read.where((read >= EARLIEST) & (read < LATEST))


def instant(text: Any) -> pd.Timestamp | None:
    """Return one instant, None where it cannot be read from 1980 to :data:`LATEST`."""
    try:
        at = datetime.fromisoformat(str(text))
        read = pd.Timestamp((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError):
        return None
    return read if EARLIEST <= read < LATEST else None


def _dated(rows: Iterable[tuple[str | None, ...]], names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=names, dtype="str")
    frame["at"] = instants(frame["at"])
    return frame.dropna().drop_duplicates(names[0] if len(names) == 3 else names).reset_index(drop=True)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _id(value: Any) -> str | None:
    text = _text(value)
    is_whole = isinstance(value, str | int | float) and text == str(value).strip()
    return text if is_whole and text is not None and len(text) <= LONGEST_ID else None


def _text(value: Any) -> str | None:
    """Return what PostgreSQL can store of a text or a number, None of anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).encode("utf-8", "replace").decode().replace("\0", "").strip()
    return text[:LONGEST_TEXT] or None
