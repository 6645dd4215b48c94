"""Lifecycle, value tier and RFM group of every customer, and what each group is worth.

Profiles and weeks from before have NULL in these columns, and ``group_figures`` no row, until they are made again.
"""

from alembic import op

revision = "0022"
down_revision = "0021"

GROUPS = {
    "lifecycle": "new, active, slowing, at risk, lapsed or lost, by the waits of the customer and of the store",
    "value_tier": "top (the tenth that spent most), high (the quarter), medium (the upper half) or low, net of refunds",
    "rfm_group": "One of the usual ten groups by recency, frequency and spend",
}

TABLES = """
    ALTER TABLE quimbi.customer_profiles ADD n_orders bigint, ADD first_order_at timestamptz,
        ADD last_order_at timestamptz, ADD days_since_last_order double precision;
    COMMENT ON COLUMN quimbi.customer_profiles.n_orders IS 'Orders by as_of';
    COMMENT ON COLUMN quimbi.customer_profiles.first_order_at IS 'Instant of the first order';
    COMMENT ON COLUMN quimbi.customer_profiles.last_order_at IS 'Instant of the last order by as_of';
    COMMENT ON COLUMN quimbi.customer_profiles.days_since_last_order IS 'Days from last_order_at to as_of';
    ALTER TABLE quimbi.publications ADD marketing jsonb;
    COMMENT ON COLUMN quimbi.publications.marketing IS
        'What lifecycle, value tier and RFM group are measured against; NULL: published before there were any';
    COMMENT ON COLUMN quimbi.segment_migrations.axis_name IS
        'An axis, archetype, lifecycle, value_tier or rfm_group';
    CREATE TABLE quimbi.group_figures (
        store_id text NOT NULL,
        axis_name text NOT NULL,
        group_id text NOT NULL,
        customers bigint NOT NULL,
        share_of_customers double precision NOT NULL,
        revenue double precision NOT NULL,
        share_of_revenue double precision NOT NULL,
        orders_per_customer double precision,
        value_per_customer double precision,
        predicted_value_90d double precision,
        lifecycle jsonb NOT NULL,
        customers_4w_ago bigint,
        customers_13w_ago bigint,
        action_id text,
        action text,
        PRIMARY KEY (store_id, axis_name, group_id)
    );
    COMMENT ON TABLE quimbi.group_figures IS
        'What each segment, lifecycle stage, value tier and RFM group is worth, as of the last publication';
    COMMENT ON COLUMN quimbi.group_figures.store_id IS 'The store';
    COMMENT ON COLUMN quimbi.group_figures.axis_name IS 'An axis, lifecycle, value_tier or rfm_group';
    COMMENT ON COLUMN quimbi.group_figures.group_id IS 'The id of a segment, or the group in words';
    COMMENT ON COLUMN quimbi.group_figures.customers IS 'Customers whose dominant segment or group it is';
    COMMENT ON COLUMN quimbi.group_figures.share_of_customers IS 'Of all customers, 0-1';
    COMMENT ON COLUMN quimbi.group_figures.revenue IS 'What they spent in all, net of refunds, store''s currency';
    COMMENT ON COLUMN quimbi.group_figures.share_of_revenue IS 'Of the revenue of all customers, 0-1';
    COMMENT ON COLUMN quimbi.group_figures.orders_per_customer IS 'Mean; NULL: nobody is in it';
    COMMENT ON COLUMN quimbi.group_figures.value_per_customer IS 'Mean net spend; NULL: nobody is in it';
    COMMENT ON COLUMN quimbi.group_figures.predicted_value_90d IS
        'Spend expected of all of them in the 90 days from then on; NULL: not foretold';
    COMMENT ON COLUMN quimbi.group_figures.lifecycle IS '{stage: customers} of those in it';
    COMMENT ON COLUMN quimbi.group_figures.customers_4w_ago IS
        'Customers in it four weeks before, by the rules or the snapshot of then; NULL: not known';
    COMMENT ON COLUMN quimbi.group_figures.customers_13w_ago IS
        'Customers in it thirteen weeks before, by the rules or the snapshot of then; NULL: not known';
    COMMENT ON COLUMN quimbi.group_figures.action_id IS 'The action of the catalogue, to script against';
    COMMENT ON COLUMN quimbi.group_figures.action IS 'What to do about them, in words'
"""


def upgrade() -> None:
    """Add the columns and the table."""
    for table in ("customer_profiles", "customer_history"):
        op.execute(f"ALTER TABLE quimbi.{table} ADD lifecycle text, ADD value_tier text, ADD rfm_group text")
        for name, words in GROUPS.items():
            op.execute(f"COMMENT ON COLUMN quimbi.{table}.{name} IS '{words}; NULL: made before this was known'")
    op.execute(TABLES)
