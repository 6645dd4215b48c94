"""A list brought to Klaviyo: whatever happens in between, nobody is left out and nothing is sent twice.

Belongs here: the order of steps, going on where a process was killed. Does not: requests (``client``), the journal and
who is sent what (``postgres.tables.outbox``).

A request that was cut may have arrived: before it is repeated, Klaviyo is asked for its latest jobs, and one that holds
the same profiles is taken for it. Where Klaviyo does not say, the request is repeated: an import only sets what is.
"""

import hashlib
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quimbi_assets.audiences.filters import Query
from quimbi_assets.errors import BadInputError, ServiceUnavailableError
from quimbi_assets.exports import klaviyo as shapes
from quimbi_assets.exports.klaviyo import Limits
from quimbi_assets.resources.advertisers import JOINED, MAY
from quimbi_assets.resources.contacts import take_contacts
from quimbi_assets.resources.exports import sink
from quimbi_assets.resources.klaviyo.client import (
    MOST_TRIES,
    NEXT,
    Client,
    MayHaveArrivedError,
    RefusedRequestError,
    Say,
    open_client,
)
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables import outbox
from quimbi_assets.resources.postgres.tables.changes import Changes, plan_changes
from quimbi_assets.resources.postgres.tables.customers import CHOSEN
from quimbi_assets.resources.postgres.tables.outbox import Job
from quimbi_assets.resources.postgres.tables.treatments import Group, enter

CLOCKS_DIFFER = timedelta(minutes=5)
LONGEST_WAIT = 10.0
"""Seconds between two questions whether a job is done."""
SHOWN = 10
"""Refused customers that are named."""
ABOUT_PROFILES = (400, 413, 422)
"""Statuses of requests that are refused for what is in them."""


@dataclass(frozen=True)
class Selection:
    """Who is sent, and what is told of them."""

    query: Query
    names: Mapping[str, Mapping[str, str]]
    """Names of segments by id, of the axes that are told."""
    audience: str | None = None
    contacts: Path | None = None
    group: Group | None = None
    """How it is tried: its control group is told of as if the filter did not choose it."""

    @property
    def target(self) -> str:
        """What the same list is known by: the service, and the audience or filter if it is not everybody."""
        if self.audience is not None:
            return f"klaviyo/{self.audience}"
        text = self.query.text
        return f"klaviyo/{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:12]}" if text else "klaviyo"


@dataclass
class Outcome:
    """What became of what was sent."""

    customers: int = 0
    """Whom Klaviyo took."""
    requests: int = 0


@dataclass(frozen=True)
class Report:
    """What there is to send, or was sent."""

    changes: Changes
    open_jobs: int
    """Requests of an earlier process that were not done before this one began."""
    outcome: Outcome | None = None
    """None where nothing was sent."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Customers whom Klaviyo refused when they were last sent, and why."""
    controls: int = 0
    """Customers left out, being the control group."""

    def lines(self) -> list[str]:
        """Say what was sent, or what would be, without naming anybody."""
        changes, lines = self.changes, []
        if self.outcome is None:
            size = f"profiles that changed: {changes.customers:,} (for the first time: {changes.new:,}), "
            size += f"requests: {changes.jobs:,}, {changes.bytes / 1e6:.1f} MB"
            lines.append(f"dry run, nothing was sent; {size if changes.customers else 'nothing has changed'}")
            if self.open_jobs:
                lines.append(
                    f"requests that an earlier --send did not finish, and --send goes on with: {self.open_jobs:,}"
                )
        elif not changes.customers and not self.open_jobs:
            lines.append("nothing has changed since the last time; no request was made")
        else:
            lines.append(f"profiles taken: {self.outcome.customers:,}; requests sent: {self.outcome.requests:,}")
        if changes.without_address:
            lines.append(
                f"known here by the shop's id alone (external_id): {changes.without_address:,} of them; whom Klaviyo "
                "does not know by it, it creates, and bills; --contacts F joins their e-mails"
            )
        if self.refused:
            lines.append(f"refused by Klaviyo, and not sent again until they change: {len(self.refused):,}")
        return lines

    def named(self) -> list[str]:
        """Say what would be sent of the first customer, and who was refused: addresses may be in it."""
        example = self.changes.example if self.outcome is None else None
        first = [] if example is None else [f"the first: {example}"]
        return first + [f"refused: {customer}: {reason}" for customer, reason in self.refused[:SHOWN]]


def show_changes(
    database: Database, store_id: str, selection: Selection, limits: Limits, path: Path | None = None
) -> Report:
    """Find what would be sent, and write it to a file, if wanted, a profile a line; the database stays as it is."""
    jobs = outbox.open_jobs(database, store_id, selection.target)
    with database.transaction(store_id) as cursor:
        changes, controls = _plan(cursor, database, store_id, selection, limits)
        if path is not None:
            with sink(path) as file:
                outbox.write_planned(cursor, store_id, selection.target, file)
        cursor.connection.rollback()
    return Report(changes, len(jobs), None, outbox.read_refused(database, store_id, selection.target), controls)


def send_changes(
    database: Database, store_id: str, selection: Selection, limits: Limits, say: Say, pause: float = 1.0
) -> Report:
    """Finish what an earlier process began, then send whoever is not as Klaviyo was last told, and wait for the end.

    BadInputError if Klaviyo refuses the key or a request, ServiceUnavailableError if it does not answer; what was sent
    by then is written down.
    """
    target, client = selection.target, open_client(limits, say, pause)
    with closing(client), outbox.only_sender(database, store_id, target):
        subject = None if selection.group is None else selection.group.subject
        sender = _Sender(database, store_id, target, client, say, subject)
        jobs = outbox.open_jobs(database, store_id, target)
        if jobs:
            say(f"going on with the requests of before: {len(jobs)}")
        sender.finish_open()
        with database.transaction(store_id) as cursor:
            changes, controls = _plan(cursor, database, store_id, selection, limits)
        sender.finish_open()
    return Report(changes, len(jobs), sender.outcome, outbox.read_refused(database, store_id, target), controls)


def _plan(cursor: Any, database: Database, store_id: str, selection: Selection, limits: Limits) -> tuple[Changes, int]:
    """Plan jobs out of one state of the database, in a transaction that begins here; return the controls beside."""
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("SET LOCAL TIME ZONE 'UTC'")
    take_contacts(cursor, database, store_id, selection.contacts)
    query, controls, group = selection.query, 0, selection.group
    if group is not None:
        chosen = CHOSEN.format(condition=f"({query.condition}) AND {MAY}", joined=JOINED)
        controls = enter(cursor, store_id, group, chosen, {"store": store_id, **query.parameters})
        query = group.acted(store_id)
    changes = plan_changes(cursor, store_id, selection.target, query, selection.names, selection.audience, limits)
    return changes, controls


class _Sender:
    """Brings the jobs of one target to their end."""

    def __init__(
        self, database: Database, store_id: str, target: str, client: Client, say: Say, subject: str | None
    ) -> None:
        self._database, self._store_id, self._target, self._subject = database, store_id, target, subject
        self._client, self._say, self.outcome = client, say, Outcome()

    def finish_open(self) -> None:
        """Send what is planned, find what may have arrived, wait for what is on its way."""
        while jobs := self._open_jobs():
            for job in jobs:
                if job.state != "accepted":
                    self._send(job)
            for job in self._open_jobs():
                if job.state == "accepted":
                    self._await(job)

    def _open_jobs(self) -> list[Job]:
        return outbox.open_jobs(self._database, self._store_id, self._target)

    def _note(self, job: Job, state: str, remote_id: str | None = None) -> None:
        outbox.note_state(self._database, self._store_id, job.job_id, state, remote_id)

    def _finish(self, job: Job, refused: Mapping[str, str]) -> None:
        outbox.finish_job(self._database, self._store_id, self._target, job.job_id, refused, self._subject)

    def _send(self, job: Job) -> None:
        """Send a job until Klaviyo takes it, or says that it will not."""
        for number in range(MOST_TRIES):
            if (job.state == "sending" or number) and self._find(job.job_id):
                return
            left = outbox.drop_blocked(self._database, self._store_id, job.job_id)
            if not left:
                return
            payloads, customers = outbox.read_payloads(self._database, self._store_id, job.job_id)
            self._note(job, "sending")
            try:
                remote_id = self._client.start_import(shapes.import_body(payloads))
            except MayHaveArrivedError as error:
                self._say(f"{error}; asking whether it arrived")
                time.sleep(self._client.pause * 2**number)
                continue
            except RefusedRequestError as error:
                self._refused(job, customers, error)
                return
            except (BadInputError, ServiceUnavailableError):
                self._note(job, "planned")
                raise
            self.outcome.requests += 1
            self._note(job, "accepted", remote_id)
            self._say(f"request {job.job_id}: {left:,} profiles")
            return
        raise ServiceUnavailableError(f"Klaviyo did not take request {job.job_id} ({MOST_TRIES} tries); {NEXT}")

    def _find(self, job_id: int) -> bool:
        """Look among Klaviyo's latest jobs for one that a cut request began; note it if it is there."""
        job = outbox.read_job(self._database, self._store_id, job_id)
        known, sent_at = outbox.remote_jobs(self._database, self._store_id), job.sent_at or datetime.now(UTC)
        try:
            for other in self._client.latest_jobs():
                facts, remote_id = other.get("attributes") or {}, str(other.get("id"))
                began = _instant(facts.get("created_at"), sent_at)
                if began < sent_at - CLOCKS_DIFFER:
                    break
                is_another = remote_id in known and abs(began - known[remote_id]) <= CLOCKS_DIFFER
                of_its_size = facts.get("total_count") in (None, job.customers)
                if not is_another and of_its_size and self._holds(remote_id, job_id):
                    self._note(job, "accepted", remote_id)
                    self._say(f"request {job_id} had arrived")
                    return True
        except RefusedRequestError as error:
            self._say(
                f"Klaviyo does not say which requests arrived ({error.reason}); sending again, which sets the same"
            )
        return False

    def _holds(self, remote_id: str, job_id: int) -> bool:
        """Whether a job of Klaviyo's holds the profiles of one of ours."""
        if self._completed(remote_id)["status"] == shapes.CANCELLED:
            return False
        _, customers = outbox.read_payloads(self._database, self._store_id, job_id)
        emails = outbox.read_emails(self._database, self._store_id, job_id)
        ours = {customer.lower() for customer in customers} | set(emails)
        theirs = shapes.identifiers(self._client.first_profiles(remote_id))
        return bool(theirs) and theirs <= ours

    def _await(self, job: Job) -> None:
        """Wait until Klaviyo has done a job, and write down what became of it."""
        remote_id = str(job.remote_id)
        facts = self._completed(remote_id)
        if facts["status"] == shapes.CANCELLED:
            self._say(f"Klaviyo cancelled request {job.job_id}; sending it again")
            self._note(job, "planned")
            return
        refused: dict[str, str] = {}
        if facts.get("failed_count"):
            _, customers = outbox.read_payloads(self._database, self._store_id, job.job_id)
            emails = outbox.read_emails(self._database, self._store_id, job.job_id)
            refused = shapes.refusals(self._client.errors(remote_id), customers, emails)
        self._finish(job, refused)
        self.outcome.customers += job.customers - len(refused)

    def _completed(self, remote_id: str) -> dict[str, Any]:
        """Wait until Klaviyo has done a job; return its attributes."""
        seconds = self._client.pause
        while True:
            facts = self._client.job(remote_id)
            if facts.get("status") in (shapes.FINAL, shapes.CANCELLED):
                return facts
            time.sleep(seconds)
            seconds = min(seconds * 1.5, LONGEST_WAIT)

    def _refused(self, job: Job, customers: list[str], error: RefusedRequestError) -> None:
        """Find whom a refused request is about: halve it until one is left."""
        if error.status not in ABOUT_PROFILES:
            self._note(job, "planned")
            raise error
        if len(customers) > 1:
            outbox.split_job(self._database, self._store_id, self._target, job.job_id)
        else:
            self._finish(job, {customers[0]: error.reason})


def _instant(text: Any, otherwise: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return otherwise
    return at if at.tzinfo else at.replace(tzinfo=otherwise.tzinfo)
