"""Where a store's orders are pulled from, how often, and up to where that was done.

Belongs here: the table ``sources``. Does not: pulling (``pulling``). No secret is stored: an address has no
password, or is the name of an environment variable.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quimbi_assets.resources.postgres.database import EVERY_STORE, Database, Whose
from quimbi_assets.store import JsonRecord

EVERY = ("hour", "day")
HELPDESK_LAYOUT = "gorgias"


@dataclass(frozen=True)
class Source(JsonRecord):
    """A shop's database, or files, as a person gave them; other fields are options of ``quimbi load``."""

    address: str = ""
    """``postgresql://...`` without password, ``env:NAME`` of a variable that holds one, a path, pattern or address of
    files, or a helpdesk's account."""
    layout: str = "quimbi"
    """How tables hold orders; ``gorgias`` is no table but the helpdesk, which has tickets alone."""
    schema: str | None = None
    orders_query: str | None = None
    items_query: str | None = None
    items: str | None = None
    """Path or pattern of lines, where the address is one of orders."""
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def is_helpdesk(self) -> bool:
        """Whether tickets are pulled from it, not orders."""
        return self.layout == HELPDESK_LAYOUT

    @property
    def key(self) -> str:
        """What tells a store's sources apart."""
        return self.to_json()


@dataclass(frozen=True)
class KnownSource:
    """A source of a store, and what is known of it."""

    store_id: str
    source: Source
    every: str | None
    """``hour`` or ``day``; None: only when a person says so."""
    mark: str | None
    """Up to where it was loaded, as the puller wrote it; None: never."""
    looked_at: pd.Timestamp | None
    called_at: pd.Timestamp | None
    """When it last said that something has changed, and was not pulled since; None: it has not."""

    @property
    def is_pulled(self) -> bool:
        """Whether it is pulled unasked: again and again, or because it called."""
        return self.every is not None or self.called_at is not None


def read_sources(database: Database, whose: Whose) -> list[KnownSource]:
    """Return the sources of a store, or of `EVERY_STORE`, by store."""
    rows = database.execute(
        whose,
        """
        SELECT store_id, settings, every, mark, looked_at, called_at FROM quimbi.sources
        WHERE %(store)s::text IS NULL OR store_id = %(store)s ORDER BY store_id, source_md5
        """,
        {"store": None if whose is EVERY_STORE else whose},
    )
    return [
        KnownSource(store, _source(settings), every, mark, *(_utc(at) for at in instants))
        for store, settings, every, mark, *instants in rows
    ]


def _utc(at: Any) -> pd.Timestamp | None:
    return None if at is None else pd.Timestamp(at).tz_convert("UTC")


def find_source(database: Database, store_id: str, source: Source) -> KnownSource | None:
    """Return what is known of one source."""
    return next((known for known in read_sources(database, store_id) if known.source == source), None)


def keep_source(
    database: Database,
    store_id: str,
    source: Source,
    every: str | None,
    mark: str | None,
    *,
    called_at: pd.Timestamp | None = None,
    is_due: bool = True,
) -> None:
    """Note that a source was looked at just now, up to where, and how often it is to be (None: as before; or never).

    `called_at` is the call of the store's helpdesk that was waiting before it was looked at: it is answered, whatever
    the account was called then; a later one waits on. Not `is_due` is a look that a call alone asked for: the next one
    stays due when it was.
    """
    database.execute(
        store_id,
        """
        INSERT INTO quimbi.sources AS known (store_id, source_md5, settings, every, mark, looked_at)
        VALUES (%(store)s, md5(%(key)s), %(key)s::jsonb, nullif(%(every)s, 'never'), %(mark)s, now())
        ON CONFLICT (store_id, source_md5) DO UPDATE
        SET every = CASE WHEN %(every)s::text IS NULL THEN known.every ELSE EXCLUDED.every END,
            mark = EXCLUDED.mark, looked_at = CASE WHEN %(is_due)s THEN EXCLUDED.looked_at ELSE known.looked_at END
        """,
        {"store": store_id, "key": source.key, "every": every, "mark": mark, "is_due": is_due},
    )
    if called_at is not None:
        sql = "UPDATE quimbi.sources SET called_at = NULL WHERE store_id = %s AND called_at <= %s"
        database.execute(store_id, sql, (store_id, called_at))


def note_mark(cursor: Any, store_id: str, source: Source, mark: str) -> None:
    """Note, in the transaction that loads it, how far a pull is that goes on; when it was looked at stays open."""
    cursor.execute(
        """
        INSERT INTO quimbi.sources AS known (store_id, source_md5, settings, mark)
        VALUES (%(store)s, md5(%(key)s), %(key)s::jsonb, %(mark)s)
        ON CONFLICT (store_id, source_md5) DO UPDATE SET mark = EXCLUDED.mark
        """,
        {"store": store_id, "key": source.key, "mark": mark},
    )


def forget_tickets(cursor: Any, store_id: str, ticket_ids: Sequence[str]) -> None:
    """Take tickets out of what a pull that was cut off still had to read."""
    cursor.execute(
        """
        UPDATE quimbi.sources SET mark = jsonb_set(mark::jsonb, '{to_catch_up}',
            (mark::jsonb -> 'to_catch_up') - %(ids)s::text[])::text
        WHERE store_id = %(store)s AND CASE settings ->> 'layout'
            WHEN %(layout)s THEN mark::jsonb -> 'to_catch_up' ?| %(ids)s ELSE false END
        """,
        {"store": store_id, "layout": HELPDESK_LAYOUT, "ids": list(ticket_ids)},
    )


def note_call(database: Database, store_id: str) -> bool:
    """Note that a store's helpdesk says that something has changed; return whether it is pulled again and again."""
    sql = """
        UPDATE quimbi.sources SET called_at = now()
        WHERE store_id = %s AND settings ->> 'layout' = %s AND every IS NOT NULL RETURNING 1
    """
    return bool(database.execute(store_id, sql, (store_id, HELPDESK_LAYOUT)))


def _source(settings: Any) -> Source:
    source = Source.from_json(json.dumps(settings))
    return Source(**{**vars(source), "columns": tuple((str(c), str(n)) for c, n in source.columns)})
