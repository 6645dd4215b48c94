"""How much each segment writes to support, and how it rates it, week by week."""

from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Make the view; nothing is stored for it."""
    op.execute("""
        CREATE VIEW quimbi.support_by_segment AS
        WITH placed AS (
            SELECT profile.store_id, customer_id, place.key AS axis_name, place.value AS group_id, store.time_zone
            FROM quimbi.customer_profiles AS profile JOIN quimbi.stores AS store USING (store_id),
                jsonb_each_text(jsonb_strip_nulls(coalesce(dominant_segments, '{}')
                    || jsonb_build_object('lifecycle', lifecycle, 'value_tier', value_tier))) AS place
        ), happened AS (
            SELECT store_id, customer_id, order_date AS at, 1 AS orders, 0 AS tickets, NULL::float AS rating
            FROM quimbi.orders
            UNION ALL
            SELECT store_id, customer_id, created_at, 0, 1, satisfaction_score FROM quimbi.support_tickets
        )
        SELECT store_id, axis_name, group_id, date_trunc('week', at AT TIME ZONE time_zone)::date AS week,
            sum(orders) AS orders, sum(tickets) AS tickets, count(rating) AS ratings, avg(rating) AS mean_rating,
            100.0 * sum(tickets) / nullif(sum(orders), 0) AS tickets_per_100_orders
        FROM placed JOIN happened USING (store_id, customer_id) GROUP BY 1, 2, 3, 4;
        COMMENT ON VIEW quimbi.support_by_segment IS
            'Tickets, ratings and orders of each week by the segment, lifecycle stage and value tier of today';
        COMMENT ON COLUMN quimbi.support_by_segment.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.support_by_segment.axis_name IS 'An axis, lifecycle or value_tier';
        COMMENT ON COLUMN quimbi.support_by_segment.group_id IS 'The id of a segment, or the group in words';
        COMMENT ON COLUMN quimbi.support_by_segment.week IS 'Monday of the week, by the store''s clock';
        COMMENT ON COLUMN quimbi.support_by_segment.orders IS 'Orders of its customers in the week, as loaded';
        COMMENT ON COLUMN quimbi.support_by_segment.tickets IS 'Tickets of its customers that were written in the week';
        COMMENT ON COLUMN quimbi.support_by_segment.ratings IS 'Those of these tickets that were rated';
        COMMENT ON COLUMN quimbi.support_by_segment.mean_rating IS 'Mean of these ratings, 1 to 5; NULL: none';
        COMMENT ON COLUMN quimbi.support_by_segment.tickets_per_100_orders IS
            'Of the same week; NULL: no order in it'
    """)
