"""What programs ask for one thing at a time: rows as plain values, few of them, no frame between.

Belongs here: such queries. Does not: the shape of answers (``api``), customers by a filter (``customers``).
"""

from datetime import datetime
from typing import Any

from quimbi_assets.errors import NeverRunError, UnknownCustomerError
from quimbi_assets.resources.postgres.database import Database

PROFILE = """
    SELECT profile.store_id, customer_id, profile.as_of, interpretation, profile.archetype_id, lifecycle, value_tier,
        rfm_group, n_orders, first_order_at, last_order_at, days_since_last_order, lifetime_value, churn_risk_score,
        churn_drivers, expected_next_order_at, prediction_reason, affinities, segment_memberships, dominant_segments,
        membership_strength, stays, stays_strength, evidence, model_versions,
        predicted_orders_90d, predicted_orders_90d_low, predicted_orders_90d_high,
        predicted_value_90d, predicted_value_90d_low, predicted_value_90d_high,
        predicted_orders_365d, predicted_orders_365d_low, predicted_orders_365d_high,
        predicted_value_365d, predicted_value_365d_low, predicted_value_365d_high, {details} AS feature_vectors,
        archetype.name AS archetype_name, coalesce(store.currency, (
            SELECT mode() WITHIN GROUP (ORDER BY currency) FROM quimbi.orders AS placed
            WHERE placed.store_id = profile.store_id AND placed.customer_id = profile.customer_id)) AS currency
    FROM quimbi.customer_profiles AS profile
    LEFT JOIN quimbi.stores AS store ON store.store_id = profile.store_id
    LEFT JOIN quimbi.archetypes AS archetype ON archetype.store_id = profile.store_id
        AND archetype.archetype_id = profile.archetype_id AND archetype.valid_to IS NULL
    WHERE profile.store_id = %s AND customer_id = %s
"""
NAMES = """
    SELECT segment.axis_name, segment_id, segment_name, status FROM quimbi.dim_segment_master AS segment
    LEFT JOIN quimbi.axis_models AS axis ON axis.store_id = segment.store_id AND axis.axis_name = segment.axis_name
    WHERE segment.store_id = %s AND valid_to IS NULL ORDER BY segment.axis_name, segment_id
"""
AXES = """
    SELECT axis_name AS axis, status, reason, k, silhouette, halves_ari, customers_fitted FROM quimbi.axis_models
    WHERE store_id = %s
"""
SEGMENTS = """
    SELECT segment.axis_name AS axis, segment_id, segment_name, interpretation, customer_count, population_percentage,
        stability, share_of_revenue, value_per_customer, predicted_value_90d, action, valid_from
    FROM quimbi.dim_segment_master AS segment
    LEFT JOIN quimbi.group_figures AS figures ON figures.store_id = segment.store_id
        AND figures.axis_name = segment.axis_name AND figures.group_id = segment.segment_id
    WHERE segment.store_id = %s AND valid_to IS NULL ORDER BY customer_count DESC, segment_id
"""
VERSIONS = """
    SELECT axis_name AS axis, segment_id, segment_name, interpretation, customer_count, population_percentage,
        model_version, valid_from, valid_to
    FROM quimbi.dim_segment_master WHERE store_id = %s AND valid_to IS NOT NULL AND valid_to > valid_from
    ORDER BY valid_from DESC
"""
STORE = """
    SELECT store_id, time_zone, coalesce(currency, (
            SELECT mode() WITHIN GROUP (ORDER BY placed.currency)
            FROM (SELECT currency FROM quimbi.orders WHERE orders.store_id = store.store_id LIMIT 1000) AS placed
        )) AS currency,
        (SELECT count(*) FROM quimbi.customer_profiles AS profile WHERE profile.store_id = store.store_id) AS customers,
        last.as_of, last.published_at
    FROM quimbi.stores AS store LEFT JOIN LATERAL (
        SELECT as_of, published_at FROM quimbi.publications AS publication
        WHERE publication.store_id = store.store_id ORDER BY publication_id DESC LIMIT 1
    ) AS last ON true WHERE store_id = %s
"""
INSTANT = "SELECT as_of FROM quimbi.publications WHERE store_id = %s ORDER BY publication_id DESC LIMIT 1"
GROUPS = """
    SELECT figures.axis_name AS axis, group_id AS id, coalesce(segment_name, group_id) AS name, customers,
        share_of_customers, share_of_revenue, customers_4w_ago, customers_13w_ago
    FROM quimbi.group_figures AS figures
    LEFT JOIN quimbi.dim_segment_master AS segment ON segment.store_id = figures.store_id
        AND segment.axis_name = figures.axis_name AND segment_id = group_id AND valid_to IS NULL
    WHERE figures.store_id = %(store)s AND figures.axis_name = coalesce(%(axis)s, figures.axis_name)
    ORDER BY figures.axis_name, customers DESC, group_id
"""
SHARES = """
    SELECT axis_name AS axis, week, jsonb_object_agg(name, value) AS shares FROM quimbi.population_drift
    WHERE store_id = %(store)s AND figure = 'segment_share' AND axis_name = coalesce(%(axis)s, axis_name)
        AND week > (SELECT max(week) FROM quimbi.population_drift WHERE store_id = %(store)s) - 7 * %(weeks)s
    GROUP BY axis_name, week ORDER BY axis_name, week
"""
RECORDED = """
    SELECT move.week, move.axis_name AS axis, coalesce(old.segment_name, from_segment) AS "from",
        coalesce(new.segment_name, to_segment) AS "to", cause
    FROM quimbi.segment_migrations AS move
    LEFT JOIN quimbi.dim_segment_master AS old ON old.store_id = move.store_id AND old.axis_name = move.axis_name
        AND old.segment_id = from_segment AND old.valid_to IS NULL
    LEFT JOIN quimbi.dim_segment_master AS new ON new.store_id = move.store_id AND new.axis_name = move.axis_name
        AND new.segment_id = to_segment AND new.valid_to IS NULL
    WHERE move.store_id = %(store)s AND customer_id = %(customer)s AND cause IN ('model', 'corrected')
        AND move.week > (SELECT max(as_of) FROM quimbi.publications WHERE store_id = %(store)s)::date - 35
        AND EXISTS (SELECT FROM quimbi.axis_models AS axis WHERE axis.store_id = move.store_id
            AND axis.axis_name = move.axis_name)
    ORDER BY move.week, move.axis_name
"""
"""Moves of a customer in the last five weeks that they had no part in."""
KNOWN = """
    SELECT EXISTS (SELECT FROM quimbi.publications WHERE store_id = %(store)s),
        EXISTS (SELECT FROM quimbi.customer_profiles WHERE store_id = %(store)s AND customer_id = %(customer)s)
"""
MEMBERS = """
    SELECT customer_id, entered_at FROM quimbi.audience_members
    WHERE store_id = %(store)s AND audience = %(audience)s AND left_at IS NULL
        AND (%(after)s::text IS NULL OR customer_id > %(after)s) ORDER BY customer_id LIMIT %(limit)s
"""


def records(database: Database, store_id: str, sql: str, parameters: Any) -> list[dict[str, Any]]:
    """Return a query's rows, each its values by column."""
    with database.transaction(store_id) as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read_profile(database: Database, store_id: str, customer_id: str, *, details: bool) -> dict[str, Any] | None:
    """Return a customer's row of ``customer_profiles`` with the archetype's name and the store's currency, or None.

    ``feature_vectors`` are null unless details are asked for.
    """
    sql = PROFILE.format(details="feature_vectors" if details else "NULL")
    return next(iter(records(database, store_id, sql, (store_id, customer_id))), None)


def read_names(database: Database, store_id: str) -> tuple[dict[str, dict[str, str]], dict[str, str | None]]:
    """Return the names of segments today by axis and id, and the status of each axis that has any."""
    names: dict[str, dict[str, str]] = {}
    statuses = {}
    for axis, segment, name, status in database.execute(store_id, NAMES, (store_id,)):
        names.setdefault(axis, {})[segment] = name
        statuses[axis] = status
    return names, statuses


def read_instant(database: Database, store_id: str) -> datetime | None:
    """Return as of when a store's results are; None before its first run, UnknownStoreError if there is no store."""
    rows = database.execute(store_id, INSTANT, (store_id,))
    if not rows:
        from quimbi_assets.resources.postgres.tables.stores import read_store  # imports pandas, 0.3 s

        read_store(database, store_id)
    return rows[0][0] if rows else None


def read_served_store(database: Database, store_id: str) -> dict[str, Any]:
    """Return a store as it is served; UnknownStoreError if there is none."""
    rows = records(database, store_id, STORE, (store_id,))
    if not rows:
        from quimbi_assets.resources.postgres.tables.stores import read_store

        read_store(database, store_id)
    return rows[0]


def read_recorded(database: Database, store_id: str, customer_id: str) -> list[dict[str, Any]]:
    """Return moves of a customer that a new model or corrected data made of late.

    ``week`` (ISO), ``axis``, ``from``, ``to`` (names) and ``cause``. UnknownCustomerError if there is no such customer,
    NeverRunError if the store has none at all.
    """
    asked = {"store": store_id, "customer": customer_id}
    ((is_run, is_known),) = database.execute(store_id, KNOWN, asked)
    if not is_run:
        raise NeverRunError(store_id, "profiles")
    if not is_known:
        raise UnknownCustomerError(f"store {store_id} has no profile of customer {customer_id}")
    return [{**row, "week": row["week"].isoformat()} for row in records(database, store_id, RECORDED, asked)]
