"""Whom the store was told of, by week.

Belongs here: the table ``alert_notices``. Does not: who is named (``weekly.notifications``), alerts (``history``).
"""

from datetime import date

import pandas as pd

from quimbi_assets.resources.postgres import copy as bulk
from quimbi_assets.resources.postgres.database import Database

COLUMNS = ["customer_id", "alert", "priority", "held_out", "repeated", "named"]


def publish_notices(database: Database, store_id: str, week: date, notices: pd.DataFrame) -> None:
    """Replace a week's notices, which nobody was told of yet."""
    with database.transaction() as cursor:
        bulk.lock(cursor, f"notices:{store_id}")
        cursor.execute("DELETE FROM quimbi.alert_notices WHERE store_id = %s AND week = %s", (store_id, week))
        bulk.copy_frame(cursor, "quimbi.alert_notices", notices[COLUMNS].assign(store_id=store_id, week=str(week)))


def named_before(database: Database, store_id: str, week: date) -> dict[str, date]:
    """Return the last week before this one in which each customer was named to the store."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT customer_id, max(week) FROM quimbi.alert_notices "
            "WHERE store_id = %s AND week < %s AND named GROUP BY customer_id",
            (store_id, week),
        )
        return dict(cursor.fetchall())


def was_told(database: Database, store_id: str, week: date) -> bool:
    """Whether the message of that week was sent."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM quimbi.alert_notices "
            "WHERE store_id = %s AND week = %s AND told_at IS NOT NULL)",
            (store_id, week),
        )
        return bool(cursor.fetchone()[0])


def mark_told(database: Database, store_id: str, week: date) -> None:
    """Note that the message of that week was accepted."""
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE quimbi.alert_notices SET told_at = now() WHERE store_id = %s AND week = %s AND named",
            (store_id, week),
        )
