"""What a week's comparison found, read back for people, and whom the store was told of.

Belongs here: its queries, the table ``alert_notices``. Does not: writing findings (``history``), who is named
(``weekly.notifications``), layout (``commands.over_time``).
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from quimbi_assets.audiences.filters import EVERYBODY
from quimbi_assets.ingest.policy import judged_orders_sql
from quimbi_assets.lift.assignment import MOST_CONTROL, Trial
from quimbi_assets.resources.postgres.copy import copy_frame
from quimbi_assets.resources.postgres.database import Database, lock
from quimbi_assets.resources.postgres.tables.history import read_weeks
from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency
from quimbi_assets.resources.postgres.tables.treatments import Group, enter, mark_acted
from quimbi_assets.weekly.drift import LARGE
from quimbi_assets.weekly.notifications import SUBJECT

NOTICE_COLUMNS = ["customer_id", "alert", "priority", "held_out", "repeated", "named"]
NAMED_WEEKS = 104
"""For so long whoever is named counts: of ten a week one is held out."""
SILENT_WEEKS = 8
"""How far the list of customers who fell silent reaches back."""
HEAD = """
    SELECT as_of, count(*) AS customers FROM quimbi.customer_history
    WHERE store_id = %(s)s AND week = %(w)s GROUP BY as_of
"""
CAUSES_OF_MOVES = """
    SELECT cause, count(*) AS customers FROM (
        SELECT (SELECT value ->> 'cause' FROM jsonb_each(drift) LIMIT 1) AS cause FROM quimbi.customer_history
        WHERE store_id = %(s)s AND week = %(w)s AND drift IS NOT NULL
    ) moved WHERE cause IS NOT NULL GROUP BY cause ORDER BY cause
"""
NAMES = """
    WITH names AS (
        SELECT DISTINCT ON (axis_name, id) axis_name, id, name FROM (
            SELECT axis_name, segment_id AS id, segment_name AS name, valid_to, valid_from
            FROM quimbi.dim_segment_master WHERE store_id = %(s)s
            UNION ALL SELECT 'archetype', archetype_id, name, valid_to, valid_from
            FROM quimbi.archetypes WHERE store_id = %(s)s
        ) every ORDER BY axis_name, id, valid_to DESC NULLS FIRST, valid_from DESC
    )
"""
FLOWS = f"""{NAMES}
    SELECT m.axis_name AS axis, from_segment, f.name AS from_name, to_segment, t.name AS to_name, cause,
           count(*) AS customers, max(from_week) AS from_week
    FROM quimbi.segment_migrations m
    LEFT JOIN names f ON f.axis_name = m.axis_name AND f.id = m.from_segment
    LEFT JOIN names t ON t.axis_name = m.axis_name AND t.id = m.to_segment
    WHERE store_id = %(s)s AND week = %(w)s
    GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY m.axis_name IN ('archetype', 'value_tier', 'rfm_group'), customers DESC, 1, 2, 4, 6
"""
ALERTS = f"""{NAMES}
    SELECT h.customer_id, alert, alert_cause AS cause, lifetime_value, churn_risk_score,
           moved.axis_name AS axis, from_segment, f.name AS from_name, to_segment, t.name AS to_name
    FROM quimbi.customer_history h
    LEFT JOIN LATERAL (
        SELECT m.axis_name, m.from_segment, m.to_segment FROM quimbi.segment_migrations m
        LEFT JOIN quimbi.axis_models a ON a.store_id = m.store_id AND a.axis_name = m.axis_name
        WHERE m.store_id = h.store_id AND m.week = h.week AND m.customer_id = h.customer_id AND m.cause = h.alert_cause
          AND m.axis_name NOT IN ('archetype', 'lifecycle', 'value_tier', 'rfm_group')
        ORDER BY coalesce(a.status, '') = 'weak', m.drift DESC NULLS LAST, m.axis_name LIMIT 1
    ) moved ON true
    LEFT JOIN names f ON f.axis_name = moved.axis_name AND f.id = moved.from_segment
    LEFT JOIN names t ON t.axis_name = moved.axis_name AND t.id = moved.to_segment
    WHERE h.store_id = %(s)s AND h.week = %(w)s AND alert IS NOT NULL
    ORDER BY alert = 'moved', coalesce(churn_risk_score, 1) * lifetime_value DESC NULLS LAST, h.customer_id
"""
"""Alerted customers, each with the farthest migration of the alert's cause, on an axis that is not weak where there is
one."""
SILENT = """
    WITH stored_orders AS (SELECT * FROM quimbi.orders WHERE store_id = %(s)s)
    SELECT h.week, h.customer_id, h.lifetime_value, coalesce(now.churn_risk_score, h.churn_risk_score) AS risk,
           coalesce(now.churn_risk_score, h.churn_risk_score, 1) * h.lifetime_value AS priority,
           count(*) OVER () AS customers
    FROM quimbi.customer_history h
    LEFT JOIN quimbi.customer_history now
        ON now.store_id = h.store_id AND now.customer_id = h.customer_id AND now.week = %(w)s
    WHERE h.store_id = %(s)s AND h.alert = 'newly_at_risk' AND h.week <= %(w)s AND h.week > %(w)s - 7 * %(n)s
      AND NOT EXISTS (
          SELECT FROM (JUDGED) o WHERE o.customer_id = h.customer_id AND o.order_date >= h.as_of AND reason IS NULL
      )
    ORDER BY h.week DESC, priority DESC NULLS LAST, h.customer_id LIMIT %(limit)s
"""
"""Customers who fell silent in the last weeks and have bought nothing since: newest first, risk times value."""
POPULATION = """
    SELECT axis_name AS axis, figure, name, value FROM quimbi.population_drift
    WHERE store_id = %(s)s AND week = %(w)s AND figure <> 'segment_share' ORDER BY axis_name, value DESC, name
"""
LATER_MODELS = """
    SELECT DISTINCT axis_name AS axis FROM quimbi.promotions p JOIN (
        SELECT model_versions, as_of FROM quimbi.customer_history WHERE store_id = %(s)s AND week = %(w)s LIMIT 1
    ) scored ON scored.model_versions ->> p.axis_name = p.model_version
    WHERE p.store_id = %(s)s AND p.data_end > scored.as_of ORDER BY axis_name
"""
"""Axes of a week that was before their first model, which scored it all the same."""
FLOORS = """
    SELECT lead, silence, acted, n_weeks, n_quiet, silence_test FROM quimbi.drift_floors
    WHERE store_id = %(s)s AND week = %(w)s
"""


def read_drift(database: Database, store_id: str, week: date | None = None) -> dict[str, Any] | None:
    """Return what is known of a week, by default the newest; None if there is no snapshot of it."""
    weeks = read_weeks(database, store_id)
    week = week or (weeks[-1] if weeks else None)
    if week not in weeks or week is None:
        return None
    asked = {"s": store_id, "w": week}
    head = database.query(store_id, HEAD, asked).iloc[0]
    population, floors = database.query(store_id, POPULATION, asked), database.query(store_id, FLOORS, asked)
    psi = population[population["figure"] == "feature_psi"]
    sizes = population[population["figure"] == "segment_psi"]
    causes = database.query(store_id, CAUSES_OF_MOVES, asked)
    earlier = [other for other in weeks if other < week]
    return {
        "store_id": store_id,
        "week": week.isoformat(),
        "as_of": head["as_of"].isoformat(),
        "compared_with": earlier[-1].isoformat() if earlier and len(floors) else None,
        "customers": int(head["customers"]),
        "causes": dict(zip(causes["cause"], map(int, causes["customers"]), strict=True)),
        "migrations": _records(database.query(store_id, FLOWS, asked)),
        "alerts": _records(database.query(store_id, ALERTS, asked)),
        "at_risk": _silent(database, store_id, week, None)[1],
        "floors": _records(floors)[0] if len(floors) else None,
        "feature_psi": _records(psi[["axis", "name", "value"]]),
        "segment_psi": dict(zip(sizes["axis"], map(float, sizes["value"]), strict=True)),
        "large_psi": LARGE,
        "later_models": list(database.query(store_id, LATER_MODELS, asked)["axis"]),
    }


def read_moves(database: Database, store_id: str, week: date) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return of how many customers anything changed in a week, by cause, and who moved from where to where."""
    asked = {"s": store_id, "w": week}
    return dict(database.execute(store_id, CAUSES_OF_MOVES, asked)), _records(database.query(store_id, FLOWS, asked))


def read_silent(
    database: Database, store_id: str, limit: int
) -> tuple[date | None, str | None, int, list[dict[str, Any]]]:
    """Return the newest week, why nobody counts as fallen silent, how many did within eight weeks, and the first.

    All have stayed away since. The week is None, and there is nobody, before the first snapshot.
    """
    week = next(iter(read_weeks(database, store_id)[-1:]), None)
    if week is None:
        return None, None, 0, []
    tests = database.execute(store_id, FLOORS, {"s": store_id, "w": week})
    reason = next(((test or {}).get("reason") for *_, test in tests), None)
    return week, reason, *_silent(database, store_id, week, limit)


def _silent(database: Database, store_id: str, week: date, limit: int | None) -> tuple[int, list[dict[str, Any]]]:
    policy, currency = read_store(database, store_id).policy, store_currency(database, store_id)
    judged = judged_orders_sql(policy, policy.currency or currency).replace("%", "%%")
    asked = {"s": store_id, "w": week, "n": SILENT_WEEKS, "limit": limit}
    rows = database.query(store_id, SILENT.replace("JUDGED", judged), asked)
    return int(rows["customers"].max()) if len(rows) else 0, _records(rows.drop(columns="customers"))


def read_alerts(database: Database, store_id: str, week: date) -> tuple[pd.DataFrame, list[dict[str, Any]], str | None]:
    """Return a week's alerted customers (``customer_id``, ``alert``, value, risk), and its migrations by size.

    Last, why nobody is newly at risk, whoever falls silent; None where silence tells, or was not asked.
    """
    asked = {"s": store_id, "w": week}
    reasons = [(test or {}).get("reason") for test in database.query(store_id, FLOORS, asked)["silence_test"]]
    return (
        database.query(store_id, ALERTS, asked),
        _records(database.query(store_id, FLOWS, asked)),
        next(iter(reasons), None),
    )


def publish_notices(database: Database, store_id: str, week: date, notices: pd.DataFrame) -> bool:
    """Replace a week's notices, unless the store was told of that week; return whether it was not."""
    notices = notices[NOTICE_COLUMNS].assign(store_id=store_id, week=str(week))
    of_week = "FROM quimbi.alert_notices WHERE store_id = %s AND week = %s"
    with database.transaction(store_id) as cursor:
        lock(cursor, f"notices:{store_id}")
        cursor.execute(f"SELECT {of_week} AND told_at IS NOT NULL LIMIT 1", (store_id, week))
        if cursor.fetchone() is not None:
            return False
        cursor.execute(f"DELETE {of_week}", (store_id, week))
        copy_frame(cursor, "quimbi.alert_notices", notices)
    return True


def named_before(database: Database, store_id: str, week: date) -> dict[str, date]:
    """Return the last week before this one in whose message, which was accepted, each customer was named."""
    rows = database.execute(
        store_id,
        "SELECT customer_id, max(week) FROM quimbi.alert_notices "
        "WHERE store_id = %s AND week < %s AND told_at IS NOT NULL GROUP BY customer_id",
        (store_id, week),
    )
    return dict(rows)


def mark_told(database: Database, store_id: str, week: date, tried: Sequence[str], share: float) -> None:
    """Note that the message of that week was accepted, and whom naming is tried on, a share of them held out."""
    sql = "UPDATE quimbi.alert_notices SET told_at = now() WHERE store_id = %s AND week = %s AND named"
    with database.transaction(store_id) as cursor:
        cursor.execute(sql, (store_id, week))
        if not 0 < share <= MOST_CONTROL:
            return
        asked = {"store": store_id, "tried": list(tried)}
        among = "customer_id = ANY(%(tried)s)"
        chosen = f"FROM quimbi.customer_profiles AS profile WHERE profile.store_id = %(store)s AND profile.{among}"
        enter(cursor, store_id, Group(SUBJECT, Trial(share, weeks=NAMED_WEEKS), EVERYBODY), chosen, asked)
        mark_acted(cursor, store_id, SUBJECT, f"AND {among}", asked)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [
        {str(k): v.isoformat() if isinstance(v, date) else v for k, v in row.items()}
        for row in plain.to_dict("records")
    ]
