"""What a helpdesk's card says of one customer, read at once.

Belongs here: the query. Does not: the words (``quimbi_assets.page.card``), who has an address (``identities``).
"""

from typing import Any

from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.served import records

CARD = """
    SELECT profile.value_tier AS tier, profile.lifecycle, profile.n_orders AS orders, profile.lifetime_value AS value,
        profile.first_order_at AS first, profile.last_order_at AS last, profile.churn_risk_score AS risk,
        (feature_vectors #>> '{purchase_frequency,avg_days_between_orders}')::float AS gap,
        (feature_vectors #>> '{return_behavior,refund_rate}')::float AS returns,
        (SELECT sum((cluster_center ->> 'refund_rate')::float * customer_count) / nullif(sum(customer_count), 0)
         FROM quimbi.dim_segment_master AS segment WHERE segment.store_id = profile.store_id
            AND axis_name = 'return_behavior' AND valid_to IS NULL AND cluster_center ->> 'refund_rate' IS NOT NULL
        ) AS shop_returns,
        coalesce(of_tier.action, of_stage.action) AS todo,
        coalesce(store.currency, (SELECT mode() WITHIN GROUP (ORDER BY currency) FROM quimbi.orders AS placed
            WHERE placed.store_id = profile.store_id AND placed.customer_id = profile.customer_id)) AS currency,
        store.time_zone, ticket.*
    FROM quimbi.customer_profiles AS profile
    JOIN quimbi.stores AS store ON store.store_id = profile.store_id
    LEFT JOIN quimbi.group_figures AS of_stage ON of_stage.store_id = profile.store_id
        AND of_stage.axis_name = 'lifecycle' AND of_stage.group_id = profile.lifecycle
    LEFT JOIN quimbi.group_figures AS of_tier ON of_tier.store_id = profile.store_id
        AND of_tier.axis_name = 'value_tier' AND of_tier.group_id = profile.value_tier AND profile.value_tier = 'top'
    CROSS JOIN LATERAL (
        SELECT count(*) AS tickets,
            count(*) FILTER (WHERE lower(status) NOT IN ('closed', 'solved', 'resolved')) AS open_tickets,
            (array_agg(satisfaction_score ORDER BY created_at DESC) FILTER (WHERE satisfaction_score IS NOT NULL))[1]
                AS rating
        FROM quimbi.support_tickets AS t WHERE t.store_id = profile.store_id AND t.customer_id = profile.customer_id
    ) AS ticket
    WHERE profile.store_id = %s AND profile.customer_id = %s
"""
"""The shop's share of refunds is the mean of its customers', out of the segments of the axis that measures it."""


def read_card(database: Database, store_id: str, customer_id: str) -> dict[str, Any] | None:
    """Return what is known of a customer; None if there is no profile."""
    return next(iter(records(database, CARD, (store_id, customer_id))), None)
