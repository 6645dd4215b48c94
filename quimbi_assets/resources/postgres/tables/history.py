"""The tables of snapshots: ``customer_history``, ``segment_migrations``, ``drift_floors``, ``population_drift``.

Belongs here: their SQL. Does not: what is in them (``drift``).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from quimbi_assets.resources.postgres.copy import copy_frame, lock
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.weekly.floors import Floors

TABLES = ("customer_history", "segment_migrations", "drift_floors", "population_drift")
WRITTEN = (
    "as_of",
    "archetype_id",
    "segment_memberships",
    "dominant_segments",
    "lifetime_value",
    "churn_risk_score",
    "model_versions",
)
MIGRATION_COLUMNS = (
    "customer_id",
    "axis_name",
    "cause",
    "from_segment",
    "to_segment",
    "from_week",
    "at",
    "drift",
    "severity",
)


@dataclass(frozen=True)
class WeekDrift:
    """What a week's comparison with the one before found.

    Parameters
    ----------
    customers : DataFrame
        ``customer_id``, ``drift`` (JSON text), ``alert``, ``alert_cause``.
    migrations : DataFrame
        ``MIGRATION_COLUMNS``.
    floors : Floors
        What counted as noise.
    population : DataFrame
        ``axis_name``, ``figure``, ``name``, ``value``.
    """

    customers: pd.DataFrame
    migrations: pd.DataFrame
    floors: Floors | None
    population: pd.DataFrame


def publish_week(database: Database, store_id: str, week: date, rows: pd.DataFrame) -> int:
    """Make these the rows of a week, in one transaction; return how many are new, changed or gone.

    What is known of the week's drift stays beside rows that stay.
    """
    with database.transaction() as cursor:
        lock(cursor, f"customer_history:{store_id}")
        cursor.execute(
            "SELECT EXISTS (SELECT FROM quimbi.customer_history WHERE store_id=%s AND week=%s)", (store_id, week)
        )
        if not cursor.fetchone()[0]:
            copy_frame(cursor, "quimbi.customer_history", rows.assign(store_id=store_id))
            return len(rows)
        staged = _staged(cursor, "customer_history", rows)
        cursor.execute(
            f"DELETE FROM quimbi.customer_history stored WHERE store_id = %s AND week = %s AND NOT EXISTS "
            f"(SELECT FROM {staged} sent WHERE sent.customer_id = stored.customer_id)",
            (store_id, week),
        )
        gone = cursor.rowcount
        columns, ours = ", ".join(WRITTEN), ", ".join(f"stored.{c}" for c in WRITTEN)
        theirs = ", ".join(f"EXCLUDED.{c}" for c in WRITTEN)
        cursor.execute(
            f"INSERT INTO quimbi.customer_history AS stored (store_id, customer_id, week, {columns}) "
            f"SELECT %s, customer_id, week, {columns} FROM {staged} "
            f"ON CONFLICT (store_id, week, customer_id) DO UPDATE SET ({columns}) = ROW({theirs}) "
            f"WHERE ({ours}) IS DISTINCT FROM ({theirs})",
            (store_id,),
        )
        return int(gone + cursor.rowcount)


def publish_drift(database: Database, store_id: str, week: date, found: WeekDrift) -> None:
    """Make these the findings of a week, in one transaction."""
    with database.transaction() as cursor:
        lock(cursor, f"customer_history:{store_id}")
        staged = _staged(cursor, "customer_history", found.customers)
        cursor.execute(
            f"UPDATE quimbi.customer_history stored SET drift = sent.drift, alert = sent.alert, "
            f"alert_cause = sent.alert_cause FROM {staged} sent "
            "WHERE stored.store_id = %s AND stored.week = %s AND stored.customer_id = sent.customer_id "
            "AND (stored.drift, stored.alert, stored.alert_cause) "
            "IS DISTINCT FROM (sent.drift, sent.alert, sent.alert_cause)",
            (store_id, week),
        )
        for table, rows in (("segment_migrations", found.migrations), ("population_drift", found.population)):
            cursor.execute(f"DELETE FROM quimbi.{table} WHERE store_id = %s AND week = %s", (store_id, week))
            copy_frame(cursor, f"quimbi.{table}", rows.assign(store_id=store_id, week=week))
        cursor.execute("DELETE FROM quimbi.drift_floors WHERE store_id = %s AND week = %s", (store_id, week))
        floors = found.floors
        if floors is not None:
            cursor.execute(
                "INSERT INTO quimbi.drift_floors VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    store_id,
                    week,
                    json.dumps(dict(floors.lead)),
                    floors.silence,
                    floors.acted,
                    floors.n_weeks,
                    floors.n_quiet,
                ),
            )


def drop_weeks(database: Database, store_id: str, weeks: Sequence[date]) -> None:
    """Delete everything that is known of some weeks, but migrations: these are few, and history."""
    with database.transaction() as cursor:
        lock(cursor, f"customer_history:{store_id}")
        for table in ("customer_history", "drift_floors"):
            cursor.execute(
                f"DELETE FROM quimbi.{table} WHERE store_id = %s AND week = ANY(%s)", (store_id, list(weeks))
            )


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
    return [row[0] for row in _fetch(database, sql, {"s": store_id})]


def read_versions(database: Database, store_id: str, week: date) -> dict[str, str] | None:
    """Return which model versions scored a week, by axis; None if there is no snapshot of it."""
    sql = "SELECT model_versions FROM quimbi.customer_history WHERE store_id = %s AND week = %s LIMIT 1"
    rows = _fetch(database, sql, (store_id, week))
    return dict(rows[0][0]) if rows else None


def read_standing(database: Database, store_id: str, week: date) -> pd.DataFrame:
    """Return ``customer_id``, ``dominant_segments`` (dict) and ``archetype_id`` of a week's customers."""
    sql = (
        "SELECT customer_id, dominant_segments, archetype_id FROM quimbi.customer_history "
        "WHERE store_id = %s AND week = %s"
    )
    return pd.DataFrame(
        _fetch(database, sql, (store_id, week)), columns=["customer_id", "dominant_segments", "archetype_id"]
    )


def read_shares(database: Database, store_id: str, week: date) -> pd.DataFrame:
    """Return ``week``, ``axis_name``, ``segment_id``, ``segment_name``, ``share`` over the half year up to a week."""
    return read_frame(
        database,
        "WITH names AS (SELECT DISTINCT ON (axis_name, segment_id) axis_name, segment_id, segment_name "
        "FROM quimbi.dim_segment_master WHERE store_id = %(s)s "
        "ORDER BY axis_name, segment_id, valid_to DESC NULLS FIRST, valid_from DESC) "
        "SELECT week, axis_name, name AS segment_id, coalesce(segment_name, name) AS segment_name, value AS share "
        "FROM quimbi.population_drift p LEFT JOIN names USING (axis_name) "
        "WHERE store_id = %(s)s AND figure = 'segment_share' AND week <= %(w)s AND week > %(w)s - 7 * 26 "
        "AND (segment_id = name OR segment_id IS NULL) ORDER BY week, axis_name, name",
        {"s": store_id, "w": week},
    )


def read_frame(database: Database, sql: str, parameters: Any) -> pd.DataFrame:
    """Return the rows of a query, columns as the query names them."""
    with database.transaction() as cursor:
        cursor.execute(sql, parameters)
        return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


def _staged(cursor: Any, table: str, frame: pd.DataFrame) -> str:
    """Copy `frame` into a temporary table with those columns of `table`, gone at commit; return its name."""
    listed = ", ".join(frame.columns)
    cursor.execute(f"CREATE TEMP TABLE sent ON COMMIT DROP AS SELECT {listed} FROM quimbi.{table} WITH NO DATA")
    copy_frame(cursor, "sent", frame)
    cursor.execute("ANALYZE sent")
    return "sent"


def _fetch(database: Database, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    with database.transaction() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
