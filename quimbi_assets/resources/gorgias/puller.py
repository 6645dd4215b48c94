"""A helpdesk's tickets brought here: whatever happens in between, each is stored once and none is missed.

Belongs here: what is read in which order, going on where a process was killed. Does not: requests (``client``), shapes
(``ingest.gorgias``), storing (``postgres.tables.tickets``).

The first pull walks each list in the order of creation, which nothing changes: a page and the place of the next one are
one transaction. Later ones walk from what changed last down to what was known before. Pages shift meanwhile, since what
changes moves to the top: what a walk misses by that has changed since it began, so walks follow one another, each down
to a little before where the one before began, until nothing has changed since, or the first page says it all.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from quimbi_assets.errors import BadInputError, ServiceUnavailableError
from quimbi_assets.ingest import gorgias as shapes
from quimbi_assets.resources.gorgias.client import PERIOD, Client, Say, StaleCursorError, account_of
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.database import Database, lock
from quimbi_assets.resources.postgres.tables import identities, tickets
from quimbi_assets.resources.postgres.tables.outbox import only_sender
from quimbi_assets.resources.postgres.tables.shops import FEW_MET
from quimbi_assets.resources.postgres.tables.sources import (
    HELPDESK_LAYOUT,
    Source,
    keep_source,
    note_mark,
    read_sources,
)
from quimbi_assets.resources.postgres.tables.stores import note_change, read_store
from quimbi_assets.resources.postgres.tables.tickets import Meeting, Written

OVERLAP = pd.Timedelta(minutes=10)
"""Read again before what is known: clocks differ, and what was written late has an earlier instant."""
BETWEEN_WALKS = pd.Timedelta(minutes=1)
"""The same for a walk that follows another at once: the next pull, which begins before the first one's newest, reads
what was written late."""
SURVEY_DAYS = 60
"""A survey is answered within these, and no list says which were."""
SURVEYS_EVERY = pd.Timedelta(hours=20)
"""How often those days are read again."""
MOST_WALKS = 10
SAID_EVERY = 20
"""Pages between two lines that say how far it is."""


class Stream(NamedTuple):
    """A list of Gorgias's."""

    path: str
    changed: str
    """The field by which later walks go."""
    write: Callable[[Any, str, list[Any], bytes], Written]
    query: Mapping[str, str] = {}

    def order(self, column: str, way: str) -> dict[str, str]:
        """Return the query for a walk by a column, ``asc`` or ``desc``."""
        return {**self.query, "order_by": f"{column}:{way}"}


STREAMS: Mapping[str, Stream] = {
    "tickets": Stream(
        "/tickets",
        "updated_datetime",
        lambda cursor, store, rows, secret: tickets.write_tickets(cursor, store, shapes.ticket_rows(rows), secret),
    ),
    "messages": Stream(
        "/messages",
        "created_datetime",
        lambda cursor, store, rows, _: tickets.write_responses(cursor, store, shapes.first_responses(rows)),
    ),
    "events": Stream(
        "/events",
        "created_datetime",
        lambda cursor, store, rows, _: tickets.write_reopenings(cursor, store, shapes.reopenings(rows)),
        {"types[]": shapes.REOPENED},
    ),
    "surveys": Stream(
        "/satisfaction-surveys",
        "created_datetime",
        lambda cursor, store, rows, _: tickets.write_ratings(cursor, store, shapes.ratings(rows)),
    ),
}
"""In the order in which they are read: messages, events and surveys are about tickets."""


@dataclass
class Mark:
    """How far a store is pulled."""

    known: str | None = None
    """Everything that changed by this instant of Gorgias's is stored; None: the first pull is not done."""
    newest: str | None = None
    """What had changed last when the last walk began; ``known`` is of the first of a pull, for what is written late."""
    began: str | None = None
    """What had changed last when the first pull began."""
    places: dict[str, str] = field(default_factory=dict)
    """Of lists that the first pull is in the middle of, the cursor of the next page."""
    done: list[str] = field(default_factory=list)
    """Lists that the first pull has read."""
    surveys_at: str | None = None
    """When the days of late answers were last read."""
    to_catch_up: list[str] = field(default_factory=list)
    """Tickets that were stored long after they were written, so that what is in them is still to be read."""
    is_news: bool = False
    """Whether anything was stored that no run of the store was told of."""
    share: float | None = None
    """Of the tickets that belong to a customer with orders, when last counted."""

    @classmethod
    def from_json(cls, text: str | None) -> "Mark":
        """Return what ``to_json`` wrote."""
        return cls(**json.loads(text)) if text else cls()

    def to_json(self) -> str:
        """Return the mark as text."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class PullReport:
    """What a pull did."""

    account: str
    is_dry: bool
    written: dict[str, Written]
    """By list."""
    left_out: dict[str, int]
    """Tickets by why, of all pulls."""
    meeting: Meeting
    looked_up: tuple[int, int]
    """Writers who were asked for one by one, and those who turned out to be customers."""
    calls: int

    def lines(self) -> list[str]:
        """Say it in words, naming nobody."""
        new = self.written["tickets"]
        head = "dry run, nothing was stored; of the tickets that changed last: " if self.is_dry else ""
        lines = [
            f"{self.account}: {head}{new.new:,} new, {new.changed:,} changed"
            + (f", {new.removed:,} removed" if new.removed else "")
            + f"; {self.calls:,} calls"
        ]
        if not self.is_dry:
            others = {"messages": "first answers", "events": "reopenings", "surveys": "ratings"}
            lines.append(", ".join(f"{text} {self.written[name].changed:,}" for name, text in others.items()))
        if self.left_out:
            lines.append("left out: " + ", ".join(f"{n:,} {why}" for why, n in self.left_out.items()))
        lines.append(self.meeting.line())
        if self.looked_up[0]:
            lines.append(
                f"asked for one by one: {self.looked_up[0]:,} writers, customers among them {self.looked_up[1]:,}"
            )
        if self.meeting.share is not None and self.meeting.share < FEW_MET:
            lines.append(
                "fewer than half: load orders or a list of customers that hold e-mails (quimbi load --customers F), or "
                "ask Gorgias for the keys of writers one by one (--look-up N)"
            )
        return lines


def pull_tickets(
    database: Database,
    store_id: str,
    say: Say = lambda _: None,
    *,
    every: str | None = None,
    look_up: int = 0,
    full: bool = False,
    is_due: bool = True,
    period: float = PERIOD,
    pause: float = 1.0,
) -> PullReport:
    """Store what is new of a store's tickets; go on where an earlier pull was cut off.

    `look_up` writers who meet no order are asked for one by one. `full` reads everything again. One that is not due
    answers a call of the helpdesk's: customers are scored anew after the next that is. BadInputError if
    the environment names no account, or Gorgias refuses it; ServiceUnavailableError if it does not answer;
    StoreBusyError while another process pulls. What was read by then is stored.
    """
    read_store(database, store_id)
    account = account_of(database, store_id)
    source = Source(account.name, HELPDESK_LAYOUT)
    client = Client(account, say, period, pause)
    with closing(client), only_sender(database, store_id, account.name, "pulled"):
        sources = read_sources(database, store_id)
        known = next((one for one in sources if one.source == source), None)
        called_at = max((one.called_at for one in sources if one.called_at is not None), default=None)
        mark = Mark.from_json(known.mark if known else None)
        mark = Mark(is_news=mark.is_news, share=mark.share) if full else mark
        puller = _Puller(database, store_id, source, client, mark, say)
        puller.run()
        looked_up = puller.look_up(look_up)
        meeting, left_out = puller.finish(is_due=is_due)
        keep_source(database, store_id, source, every, puller.mark.to_json(), called_at=called_at, is_due=is_due)
    return PullReport(account.name, False, puller.written, left_out, meeting, looked_up, client.n_calls)


def show_pull(database: Database, store_id: str, say: Say = lambda _: None, period: float = PERIOD) -> PullReport:
    """Read the tickets that changed last, one page, and say what they would be; the database stays as it is."""
    read_store(database, store_id)
    account, stream = account_of(database, store_id), STREAMS["tickets"]
    with closing(Client(account, say, period)) as client, database.transaction(store_id) as cursor:
        rows, _ = next(client.pages(stream.path, stream.order(stream.changed, "desc")))
        before = tickets.count_left_out(cursor, store_id)
        secret = identities.known_secret(database.home or quimbi_home(), store_id)
        written = dict.fromkeys(STREAMS, Written()) | {"tickets": stream.write(cursor, store_id, rows, secret)}
        left_out = {why: n - before.get(why, 0) for why, n in tickets.count_left_out(cursor, store_id).items()}
        meeting = tickets.count_meetings(cursor, store_id)
        cursor.connection.rollback()
        left_out = {why: n for why, n in left_out.items() if n > 0}
        return PullReport(account.name, True, written, left_out, meeting, (0, 0), client.n_calls)


class _Puller:
    """One pull of one store."""

    def __init__(self, database: Database, store_id: str, source: Source, client: Client, mark: Mark, say: Say) -> None:
        self._database, self._store_id, self._source = database, store_id, source
        self._client, self._say, self.mark = client, say, mark
        self.written = dict.fromkeys(STREAMS, Written())
        self._now = pd.Timestamp.now("UTC")
        self._home = database.home or quimbi_home()
        with database.transaction(store_id) as cursor:
            lock(cursor, f"load:{store_id}")
            self._secret = identities.store_secret(self._home, store_id)
            identities.learn_customers_that_are_addresses(cursor, store_id, self._secret)

    def run(self) -> None:
        """Read what there is: all of it the first time, then what has changed, until nothing has since a walk began."""
        self._walk()
        self._catch_up()

    def _walk(self) -> None:
        before = self.mark.newest or self.mark.known
        if self.mark.known is None:
            self._walk_all()
        if self.mark.known is None:
            return  # no ticket yet, so nothing about any
        since = pd.Timestamp(self.mark.known) - OVERLAP
        for number in range(MOST_WALKS):
            newest, n_pages = self._walk_changes(since)
            self.mark.newest = newest or self.mark.newest
            if number == 0:
                self.mark.known = newest or self.mark.known
            self._note()
            if n_pages <= 1 or newest == before:
                return
            before, since = newest, since if newest is None else pd.Timestamp(newest) - BETWEEN_WALKS

    def _walk_all(self) -> None:
        """Read each list from its beginning, or from where an earlier pull came to."""
        if self.mark.began is None:
            tickets_listed = STREAMS["tickets"]
            first = self._client.pages("/tickets", tickets_listed.order(tickets_listed.changed, "desc"))
            rows, _ = next(first)
            if not rows:
                return
            self.mark.began, self.mark.done = _newest(rows, tickets_listed.changed) or self._now.isoformat(), []
        for name in STREAMS:
            if name not in self.mark.done:
                self._walk_list(name)
        self.mark.known, self.mark.began, self.mark.done = self.mark.began, None, []

    def _walk_list(self, name: str) -> None:
        stream = STREAMS[name]
        query = stream.order("created_datetime", "asc")

        def walk() -> None:
            place = self.mark.places.get(name)
            if name == "surveys" and place is None:
                self.mark.surveys_at = self._now.isoformat()
            for number, (rows, following) in enumerate(self._client.pages(stream.path, query, place), start=1):
                if following:
                    self.mark.places[name] = following
                else:
                    self.mark.places.pop(name, None)
                    self.mark.done.append(name)
                self._store(name, rows)
                if number % SAID_EVERY == 0:
                    self._say(f"{name}: {number:,} pages")

        self._again(name, walk)

    def _walk_changes(self, since: pd.Timestamp) -> tuple[str | None, int]:
        """Read what has changed since an instant; return the newest change, and how many pages of tickets that took."""
        newest, n_pages = self._walk_down("tickets", since)
        self._walk_down("messages", since)
        self._walk_down("events", since)
        now = self._now
        surveys_at = now if self.mark.surveys_at is None else pd.Timestamp(self.mark.surveys_at)
        if self.mark.surveys_at and abs(now - surveys_at) < SURVEYS_EVERY:  # a clock may have been set back since
            self._walk_down("surveys", since)
        else:
            self._walk_down("surveys", min(since, min(now, surveys_at) - pd.Timedelta(days=SURVEY_DAYS)))
            self.mark.surveys_at = now.isoformat()
        return newest, n_pages

    def _walk_down(self, name: str, since: pd.Timestamp) -> tuple[str | None, int]:
        """Read a list from what changed last; return the newest change but of times to come, and how many pages."""
        stream, newest, n_pages = STREAMS[name], None, 0

        def walk() -> None:
            nonlocal newest, n_pages
            for rows, _ in self._client.pages(stream.path, stream.order(stream.changed, "desc")):
                n_pages += 1
                newest = newest or _newest(rows, stream.changed)
                self._store(name, rows, since)
                oldest = shapes.instant(rows[-1].get(stream.changed)) if rows else None
                if oldest is not None and oldest < since:
                    return

        self._again(name, walk)
        return newest, n_pages

    def _again(self, name: str, walk: Callable[[], None]) -> None:
        """Walk a list, and where Gorgias does not know its own cursor any more once again."""
        for _ in range(2):
            try:
                return walk()
            except StaleCursorError as error:
                self._say(f"{error}; reading {name} from the beginning")
                self.mark.places.pop(name, None)
        raise BadInputError(f"Gorgias refuses its own cursors in {STREAMS[name].path}: try again later")

    def _catch_up(self) -> None:
        """Read what was written in tickets while they were left out: one was taken for spam, say, and is none.

        One that is not stored any more, whose customer was erased, or that is spam again, is not asked for.
        """
        while self.mark.to_catch_up:
            ticket_id, *others = self.mark.to_catch_up
            with self._database.transaction(self._store_id) as cursor:
                if not tickets.is_stored(cursor, self._store_id, ticket_id):
                    self.mark.to_catch_up = others
                    note_mark(cursor, self._store_id, self._source, self.mark.to_json())
                    continue
            try:
                ticket = self._client.ticket(ticket_id) or {}
            except (
                ServiceUnavailableError,
                BadInputError,
            ) as error:  # of this ticket perhaps: the next pull begins with the others
                self.mark.to_catch_up = [*others, ticket_id]
                self._say(f"{len(others) + 1:,} tickets that were left out once are still to be read: {error}")
                self._note()
                return
            messages, survey = ticket.get("messages"), ticket.get("satisfaction_survey")
            self._store("messages", messages if isinstance(messages, list) else [])
            self.mark.to_catch_up = others
            self._store("surveys", [{"ticket_id": ticket_id, **survey}] if isinstance(survey, dict) else [])

    def _store(self, name: str, rows: list[Any], since: pd.Timestamp | None = None) -> None:
        """Store a page, and how far it is, in one transaction; what is new and older than `since` is to catch up."""
        with self._database.transaction(self._store_id) as cursor:
            lock(cursor, f"load:{self._store_id}")
            written = STREAMS[name].write(cursor, self._store_id, rows, self._secret)
            self.written[name] += written
            self.mark.is_news = self.mark.is_news or bool(written)
            if since is not None:
                self.mark.to_catch_up += _written_before(since, rows, written.new_ids)
            note_mark(cursor, self._store_id, self._source, self.mark.to_json())

    def _note(self) -> None:
        with self._database.transaction(self._store_id) as cursor:
            note_mark(cursor, self._store_id, self._source, self.mark.to_json())

    def look_up(self, most: int) -> tuple[int, int]:
        """Ask for the keys of writers who meet no order; return how many were asked for, and how many are customers."""
        with self._database.transaction(self._store_id) as cursor:
            ids = tickets.unknown_writers(cursor, self._store_id, most) if most else []
        n_met = 0
        for helpdesk_id in ids:
            customer = self._client.customer(helpdesk_id) or {}
            keys = shapes.writer(customer)
            known_as = [one for one in dict.fromkeys([helpdesk_id, keys["helpdesk_id"]]) if one]
            with self._database.transaction(self._store_id) as cursor:
                addresses = shapes.other_addresses(customer)
                n_met += tickets.learn_writer(
                    cursor, self._store_id, known_as, keys["shop_id"], addresses, self._secret
                )
        return len(ids), n_met

    def finish(self, *, is_due: bool) -> tuple[Meeting, dict[str, int]]:
        """Give tickets the customers who are known by now; note, if it is due, that the store changed, if it has."""
        with self._database.transaction(self._store_id) as cursor:
            lock(cursor, f"load:{self._store_id}")
            self.mark.is_news |= tickets.adopt_writers(cursor, self._store_id, self._home) > 0
            meeting = tickets.count_meetings(cursor, self._store_id)
            left_out = tickets.count_left_out(cursor, self._store_id)
            if self.mark.is_news and is_due:
                note_change(cursor, self._store_id)
                self.mark.is_news = False
            self.mark.share = meeting.share
            note_mark(cursor, self._store_id, self._source, self.mark.to_json())
        return meeting, left_out


def _newest(rows: list[Any], column: str) -> str | None:
    """Return the latest instant of a page as text, of those to come none: by a ticket of 2099 nothing changed since."""
    now = pd.Timestamp.now("UTC")
    instants = [at for at in (shapes.instant(row.get(column)) for row in rows) if at is not None and at <= now]
    return max(instants).isoformat() if instants else None


def _written_before(since: pd.Timestamp, rows: list[Any], new_ids: Iterable[str]) -> list[str]:
    """Return those of new tickets that are older than an instant."""
    created = {str(row.get("id")).strip(): shapes.instant(row.get("created_datetime")) for row in rows}
    return [one for one in new_ids if (at := created.get(one)) is not None and at < since]
