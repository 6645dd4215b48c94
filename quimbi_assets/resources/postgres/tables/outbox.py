"""The journal of what is sent to services, and what each was last sent: ``export_profiles``, ``export_jobs``,
``export_outbox``.

Belongs here: their SQL. Does not: who is to be sent what (``changes``), sending (``resources.klaviyo``).

A job is written down whole before it is sent; what was sent of its customers is written down in one transaction when
the service has done it. Killed in between, the journal says how far it came.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from quimbi_assets.errors import StoreBusyError
from quimbi_assets.exports.klaviyo import NOTHING
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.run_lock import lasting_session
from quimbi_assets.resources.postgres.tables.consent import CONTACTABLE
from quimbi_assets.resources.postgres.tables.treatments import mark_acted

JOB_COLUMNS = "job_id, state, customers, remote_id, sent_at"


@dataclass(frozen=True)
class Job:
    """A job that is not done."""

    job_id: int
    state: str
    customers: int
    remote_id: str | None
    sent_at: datetime | None


@contextmanager
def only_sender(database: Database, store_id: str, target: str, what: str = "sent") -> Iterator[None]:
    """Hold the right to send to a target for as long as the block runs; StoreBusyError if somebody else does.

    The same right is that to pull from it; `what` is the word for what is done.
    """
    with closing(lasting_session(database)) as connection, connection.cursor() as cursor:
        name = f"quimbi:export:{store_id}:{target}"
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))
        if not cursor.fetchone()[0]:
            raise StoreBusyError(f"{target} of store {store_id} is being {what} by another process: wait for it")
        yield


def open_jobs(database: Database, store_id: str, target: str) -> list[Job]:
    """Return the jobs of a target that are not done, oldest first."""
    sql = (
        f"SELECT {JOB_COLUMNS} FROM quimbi.export_jobs "
        "WHERE store_id = %s AND target = %s AND state <> 'done' ORDER BY job_id"
    )
    return [Job(*row) for row in database.execute(store_id, sql, (store_id, target))]


def drop_blocked(database: Database, store_id: str, job_id: int) -> int:
    """Take those who may not be written to any more out of a job that was not sent; return how many are left.

    That a customer is nothing any more may be told of everybody. Of an empty job nothing is left in the journal.
    """
    may = CONTACTABLE.replace("profile.", "box.")
    tells = "EXISTS (SELECT FROM jsonb_each(state) AS fact WHERE fact.value ->> 'id' <> %s)"
    with database.transaction(store_id) as cursor:
        key = (store_id, job_id)
        cursor.execute(
            f"DELETE FROM quimbi.export_outbox AS box WHERE store_id = %s AND job_id = %s AND NOT ({may}) AND {tells}",
            (*key, NOTHING),
        )
        cursor.execute("SELECT count(*) FROM quimbi.export_outbox WHERE store_id = %s AND job_id = %s", key)
        (left,) = cursor.fetchone()
        if left:
            cursor.execute(
                "UPDATE quimbi.export_jobs SET customers = %s WHERE store_id = %s AND job_id = %s", (left, *key)
            )
        else:
            cursor.execute("DELETE FROM quimbi.export_jobs WHERE store_id = %s AND job_id = %s", key)
    return int(left)


def note_state(database: Database, store_id: str, job_id: int, state: str, remote_id: str | None = None) -> None:
    """Write down how far a job came."""
    sent = ", sent_at = clock_timestamp()" if state == "sending" else ""
    database.execute(
        store_id,
        f"UPDATE quimbi.export_jobs SET state = %s, remote_id = %s{sent} WHERE store_id = %s AND job_id = %s",
        (state, remote_id, store_id, job_id),
    )


def read_job(database: Database, store_id: str, job_id: int) -> Job:
    """Return a job as it is now."""
    sql = f"SELECT {JOB_COLUMNS} FROM quimbi.export_jobs WHERE store_id = %s AND job_id = %s"
    (row,) = database.execute(store_id, sql, (store_id, job_id))
    return Job(*row)


def read_payloads(database: Database, store_id: str, job_id: int) -> tuple[str, list[str]]:
    """Return the payloads of a job, joined by commas, and its customers, both by id."""
    sql = (
        "SELECT coalesce(string_agg(payload, ',' ORDER BY customer_id), ''), "
        "coalesce(array_agg(customer_id ORDER BY customer_id), '{}') "
        "FROM quimbi.export_outbox WHERE store_id = %s AND job_id = %s"
    )
    ((payloads, customers),) = database.execute(store_id, sql, (store_id, job_id))
    return payloads, customers


def write_planned(cursor: Any, store_id: str, target: str, file: IO[bytes]) -> None:
    """Write what a target's jobs that this transaction planned would send, a profile a line, as JSON."""
    question = cursor.mogrify(
        "SELECT payload FROM quimbi.export_outbox JOIN quimbi.export_jobs USING (store_id, job_id) "
        "WHERE store_id = %s AND target = %s AND planned_at = transaction_timestamp() ORDER BY job_id, customer_id",
        (store_id, target),
    ).decode()
    # Neither character is ever in JSON as it is: nothing is quoted.
    cursor.copy_expert(f"COPY ({question}) TO STDOUT (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')", file)


def read_emails(database: Database, store_id: str, job_id: int) -> dict[str, str]:
    """Return whose each address of a job is, by the address."""
    sql = (
        "SELECT payload::jsonb -> 'attributes' ->> 'email', customer_id FROM quimbi.export_outbox "
        "WHERE store_id = %s AND job_id = %s AND payload::jsonb -> 'attributes' ? 'email'"
    )
    return {email.lower(): customer for email, customer in database.execute(store_id, sql, (store_id, job_id))}


def remote_jobs(database: Database, store_id: str) -> dict[str, datetime]:
    """Return when the jobs were sent that a service has taken, by its number of them."""
    sql = (
        "SELECT remote_id, sent_at FROM quimbi.export_jobs "
        "WHERE store_id = %s AND remote_id IS NOT NULL AND sent_at IS NOT NULL ORDER BY sent_at"
    )
    return dict(database.execute(store_id, sql, (store_id,)))


def split_job(database: Database, store_id: str, target: str, job_id: int) -> None:
    """Make two jobs of one: half of its customers go to a new job, so that what the service refuses is found."""
    with database.transaction(store_id) as cursor:
        cursor.execute(
            "WITH half AS (SELECT customer_id FROM quimbi.export_outbox "
            "WHERE store_id = %(store)s AND job_id = %(job)s ORDER BY customer_id "
            "LIMIT (SELECT count(*) / 2 FROM quimbi.export_outbox "
            "WHERE store_id = %(store)s AND job_id = %(job)s)), "
            "new AS (INSERT INTO quimbi.export_jobs (store_id, target, state, customers) "
            "SELECT %(store)s, %(target)s, 'planned', count(*) FROM half RETURNING job_id, customers), "
            "moved AS (UPDATE quimbi.export_outbox AS box SET job_id = new.job_id FROM new, half "
            "WHERE box.store_id = %(store)s AND box.job_id = %(job)s AND box.customer_id = half.customer_id) "
            "UPDATE quimbi.export_jobs AS job SET state = 'planned', customers = job.customers - new.customers "
            "FROM new WHERE job.store_id = %(store)s AND job.job_id = %(job)s",
            {"store": store_id, "target": target, "job": job_id},
        )


def finish_job(
    database: Database, store_id: str, target: str, job_id: int, refused: Mapping[str, str], subject: str | None = None
) -> None:
    """Write down that a job is done, what was thereby sent of each customer, and why some were refused.

    Of a trial, its ``subject``, also that its customers were acted on.
    """
    parameters = {"store": store_id, "target": target, "job": job_id, "n": len(refused)}
    with database.transaction(store_id) as cursor:
        cursor.execute(
            "INSERT INTO quimbi.export_profiles (store_id, target, customer_id, digest, state, job_id, refused) "
            "SELECT store_id, %(target)s, customer_id, digest, state, job_id, %(refused)s::jsonb ->> customer_id "
            "FROM quimbi.export_outbox WHERE store_id = %(store)s AND job_id = %(job)s "
            "ON CONFLICT (store_id, target, customer_id) DO UPDATE SET digest = EXCLUDED.digest, "
            "state = EXCLUDED.state, job_id = EXCLUDED.job_id, refused = EXCLUDED.refused, sent_at = now()",
            parameters | {"refused": json.dumps(dict(refused))},
        )
        if subject is not None:
            among = "AND customer_id IN (SELECT customer_id FROM quimbi.export_outbox WHERE store_id = %(store)s "
            among += "AND job_id = %(job)s) AND NOT customer_id = ANY(%(without)s)"
            mark_acted(cursor, store_id, subject, among, {**parameters, "without": list(refused)})
        cursor.execute("DELETE FROM quimbi.export_outbox WHERE store_id = %(store)s AND job_id = %(job)s", parameters)
        cursor.execute(
            "UPDATE quimbi.export_jobs SET state = 'done', done_at = clock_timestamp(), refused = %(n)s "
            "WHERE store_id = %(store)s AND job_id = %(job)s",
            parameters,
        )


def read_refused(database: Database, store_id: str, target: str) -> list[tuple[str, str]]:
    """Return the customers whom a service refused when they were last sent, with its reasons, by id."""
    sql = (
        "SELECT customer_id, refused FROM quimbi.export_profiles "
        "WHERE store_id = %s AND target = %s AND refused IS NOT NULL ORDER BY customer_id"
    )
    return [(customer, reason) for customer, reason in database.execute(store_id, sql, (store_id, target))]
