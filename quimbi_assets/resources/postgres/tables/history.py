"""The tables of snapshots: ``customer_history``, ``segment_migrations``, ``drift_floors``, ``population_drift``.

Belongs here: their SQL. Does not: what is in them (``weekly.rows``).
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd

from quimbi_assets.instants import Instant, two_years_before
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.resources.postgres.copy import copy_frame, merge, staging
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database, lock

if TYPE_CHECKING:
    from quimbi_assets.weekly.noise import NoiseThresholds

WRITTEN = (
    "as_of", "archetype_id", "segment_memberships", "dominant_segments", "lifetime_value", "churn_risk_score",
    "model_versions", *GROUPINGS,
)  # fmt: skip


def publish_week(database: Database, store_id: str, week: date, parts: Iterable[pd.DataFrame]) -> int:
    """Make these the rows of a week, in one transaction; return how many are new, changed or gone.

    Parts are taken one after the other. What is known of the week's drift stays beside rows that stay.
    """
    with database.transaction(store_id) as cursor:
        lock(cursor, f"customer_history:{store_id}")
        cursor.execute(
            "SELECT EXISTS (SELECT FROM quimbi.customer_history WHERE store_id=%s AND week=%s)", (store_id, week)
        )
        if not cursor.fetchone()[0]:
            n_rows = 0
            for rows in parts:
                copy_frame(cursor, "quimbi.customer_history", rows.assign(store_id=store_id))
                n_rows += len(rows)
            return n_rows
        staged = _staged(cursor, ("customer_id", "week", *WRITTEN), parts)
        cursor.execute(
            f"DELETE FROM quimbi.customer_history stored WHERE store_id = %s AND week = %s AND NOT EXISTS "
            f"(SELECT FROM {staged} sent WHERE sent.customer_id = stored.customer_id)",
            (store_id, week),
        )
        gone = cursor.rowcount
        return int(gone + sum(merge(cursor, "customer_history", ("customer_id", "week"), WRITTEN, store_id, staged)))


def publish_drift(
    database: Database,
    store_id: str,
    week: date,
    customers: Iterable[pd.DataFrame],
    migrations: pd.DataFrame,
    population: pd.DataFrame,
    thresholds: "NoiseThresholds | None",
) -> None:
    """Make what a week's comparison with the one before found that of the week, in one transaction.

    Rows are those of ``weekly.rows``, of customers some at a time; no thresholds: there was nothing to compare with.
    """
    with database.transaction(store_id) as cursor:
        lock(cursor, f"customer_history:{store_id}")
        columns = ("customer_id", "drift", "alert", "alert_cause")
        staged = _staged(cursor, columns, customers)
        cursor.execute(
            f"UPDATE quimbi.customer_history stored SET drift = sent.drift, alert = sent.alert, "
            f"alert_cause = sent.alert_cause FROM {staged} sent "
            "WHERE stored.store_id = %s AND stored.week = %s AND stored.customer_id = sent.customer_id "
            "AND (stored.drift, stored.alert, stored.alert_cause) "
            "IS DISTINCT FROM (sent.drift, sent.alert, sent.alert_cause)",
            (store_id, week),
        )
        for table, rows in (("segment_migrations", migrations), ("population_drift", population)):
            cursor.execute(f"DELETE FROM quimbi.{table} WHERE store_id = %s AND week = %s", (store_id, week))
            copy_frame(cursor, f"quimbi.{table}", rows.assign(store_id=store_id, week=week))
        cursor.execute("DELETE FROM quimbi.drift_floors WHERE store_id = %s AND week = %s", (store_id, week))
        if thresholds is not None:
            lead, noise, silence = json.dumps(dict(thresholds.lead)), thresholds, thresholds.silence.to_json()
            cursor.execute(
                "INSERT INTO quimbi.drift_floors VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (store_id, week, lead, noise.surprisal, noise.acted, noise.n_weeks, noise.n_quiet, silence),
            )


def drop_weeks(database: Database, store_id: str, weeks: Sequence[date], *, moves_before: date) -> None:
    """Delete customers and thresholds of some weeks, and migrations and notices of all weeks before one.

    The population's figures name nobody and stay.
    """
    with database.transaction(store_id) as cursor:
        lock(cursor, f"customer_history:{store_id}")
        for table in ("customer_history", "drift_floors"):
            cursor.execute(
                f"DELETE FROM quimbi.{table} WHERE store_id = %s AND week = ANY(%s)", (store_id, list(weeks))
            )
        for table in ("segment_migrations", "alert_notices"):
            cursor.execute(f"DELETE FROM quimbi.{table} WHERE store_id = %s AND week < %s", (store_id, moves_before))


def read_weeks(database: Database, store_id: str) -> list[date]:
    """Return the weeks of which there is a snapshot, oldest first."""
    # A loose index scan: as many steps as weeks, however many customers there are.
    sql = """
        WITH RECURSIVE kept AS (
            (SELECT week FROM quimbi.customer_history WHERE store_id = %(s)s ORDER BY week LIMIT 1)
            UNION ALL
            SELECT (SELECT h.week FROM quimbi.customer_history h WHERE h.store_id = %(s)s AND h.week > kept.week
                    ORDER BY h.week LIMIT 1) FROM kept WHERE kept.week IS NOT NULL
        ) SELECT week FROM kept WHERE week IS NOT NULL
    """
    return [week for (week,) in database.execute(store_id, sql, {"s": store_id})]


def first_week(database: Database) -> date:
    """Return the first week that can be asked for: two years back from today and from each store's newest order.

    A store that closed years ago has its two years too; what was recorded of earlier weeks stays in reach.
    """
    rows = database.execute(
        EVERY_STORE,
        """
        SELECT (SELECT max(order_date) FROM quimbi.orders o WHERE o.store_id = s.store_id),
            (SELECT week FROM quimbi.customer_history h WHERE h.store_id = s.store_id ORDER BY week LIMIT 1)
        FROM quimbi.stores s
        """,
    )
    starts = [two_years_before(newest.date()) for newest, _ in rows if newest is not None]
    recorded: list[date] = [week for _, week in rows if week is not None]
    return min([two_years_before(date.today()), *starts, *recorded])


def read_versions(database: Database, store_id: str, week: date) -> dict[str, str] | None:
    """Return which model versions scored a week, by axis; None if there is no snapshot of it."""
    sql = "SELECT model_versions FROM quimbi.customer_history WHERE store_id = %s AND week = %s LIMIT 1"
    return next((versions for (versions,) in database.execute(store_id, sql, (store_id, week))), None)


def read_shares(database: Database, store_id: str, week: date) -> pd.DataFrame:
    """Return ``week``, ``axis_name``, ``segment_id``, ``segment_name``, ``share`` over the half year up to a week."""
    return database.query(
        store_id,
        "WITH names AS (SELECT DISTINCT ON (axis_name, segment_id) axis_name, segment_id, segment_name "
        "FROM quimbi.dim_segment_master WHERE store_id = %(s)s "
        "ORDER BY axis_name, segment_id, valid_to DESC NULLS FIRST, valid_from DESC) "
        "SELECT week, axis_name, name AS segment_id, coalesce(segment_name, name) AS segment_name, value AS share "
        "FROM quimbi.population_drift p LEFT JOIN names USING (axis_name) "
        "WHERE store_id = %(s)s AND figure = 'segment_share' AND week <= %(w)s AND week > %(w)s - 7 * 26 "
        "AND (segment_id = name OR segment_id IS NULL) ORDER BY week, axis_name, name",
        {"s": store_id, "w": week},
    )


def read_shares_at(database: Database, store_id: str, at: Instant) -> dict[tuple[str, str], float]:
    """Return by axis and segment the share of customers, 0-1, by the snapshot nearest to an instant.

    Empty if there is none that ended within half a week of it.
    """
    rows = database.execute(
        store_id,
        "SELECT axis_name, name, value FROM quimbi.population_drift WHERE store_id = %(s)s "
        "AND figure = 'segment_share' AND week = (SELECT week FROM quimbi.population_drift WHERE store_id = %(s)s "
        "AND figure = 'segment_share' AND abs(week + 7 - %(at)s::date) < 4 "
        "ORDER BY abs(week + 7 - %(at)s::date), week LIMIT 1)",
        {"s": store_id, "at": at},
    )
    return {(axis, segment): share for axis, segment, share in rows}


def _staged(cursor: Any, columns: Sequence[str], parts: Iterable[pd.DataFrame]) -> str:
    """Copy frames into a temporary table with those columns of ``customer_history``; return its name."""
    name = staging(cursor, "sent", "customer_history", columns)
    for rows in parts:
        copy_frame(cursor, name, rows[list(columns)])
    cursor.execute(f"ANALYZE {name}")
    return name
