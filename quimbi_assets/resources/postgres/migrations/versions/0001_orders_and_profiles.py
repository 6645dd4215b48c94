"""What comes in (orders, lines, tickets, stores, quarantine) and what people query (segments, profiles).

No foreign keys between them: a bulk load checks references set-wise before it writes (1.47 M lines; a constraint
would check them one by one), and a store's tables are replaced independently.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STORES = """
CREATE TABLE quimbi.stores (
    store_id text PRIMARY KEY,
    time_zone text NOT NULL DEFAULT 'UTC',
    currency text,
    business_hours jsonb,
    order_policy jsonb
);
COMMENT ON TABLE quimbi.stores IS 'One row a store: how its orders are to be read';
COMMENT ON COLUMN quimbi.stores.time_zone IS 'IANA name; local clock features use it';
COMMENT ON COLUMN quimbi.stores.currency IS 'ISO 4217; NULL: the currency most orders are in';
COMMENT ON COLUMN quimbi.stores.order_policy IS 'Which orders count as purchases; NULL: the default policy';
"""

ORDERS = """
CREATE TABLE quimbi.orders (
    store_id text NOT NULL,
    order_id text NOT NULL,
    customer_id text,
    order_date timestamptz NOT NULL,
    total_price double precision NOT NULL,
    discount_amount double precision,
    source text,
    status text,
    currency text,
    refund_amount double precision,
    PRIMARY KEY (store_id, order_id)
);
CREATE INDEX orders_by_customer ON quimbi.orders (store_id, customer_id);
COMMENT ON TABLE quimbi.orders IS
    'Orders as the store sent them and validation accepted them, before the order policy';
COMMENT ON COLUMN quimbi.orders.customer_id IS 'NULL: a guest';
COMMENT ON COLUMN quimbi.orders.total_price IS
    'What the customer paid for the order: net of discounts, gross of refunds';
COMMENT ON COLUMN quimbi.orders.discount_amount IS 'NULL in every row: not recorded by this store';
"""

ORDER_ITEMS = """
CREATE TABLE quimbi.order_items (
    store_id text NOT NULL,
    order_id text NOT NULL,
    line_no integer NOT NULL,
    product_id text NOT NULL,
    category text,
    product_type text,
    quantity double precision NOT NULL,
    price double precision NOT NULL,
    refund_amount double precision,
    refunded_at timestamptz,
    PRIMARY KEY (store_id, order_id, line_no)
);
COMMENT ON TABLE quimbi.order_items IS
    'Lines of orders; every line belongs to an order of the same store';
COMMENT ON COLUMN quimbi.order_items.price IS 'Unit price';
"""

SUPPORT_TICKETS = """
CREATE TABLE quimbi.support_tickets (
    store_id text NOT NULL,
    ticket_id text NOT NULL,
    customer_id text,
    created_at timestamptz NOT NULL,
    channel text,
    status text,
    priority text,
    subject text,
    tags text,
    first_response_at timestamptz,
    resolved_at timestamptz,
    satisfaction_score double precision,
    reopen_count double precision,
    PRIMARY KEY (store_id, ticket_id)
);
CREATE INDEX support_tickets_by_customer ON quimbi.support_tickets (store_id, customer_id);
COMMENT ON COLUMN quimbi.support_tickets.satisfaction_score IS '1 (bad) to 5 (good)';
COMMENT ON COLUMN quimbi.support_tickets.tags IS 'Comma-separated';
"""

QUARANTINED_ROWS = """
CREATE TABLE quimbi.quarantined_rows (
    store_id text NOT NULL,
    "table" text NOT NULL,
    row_md5 text NOT NULL,
    reason text NOT NULL,
    "row" jsonb NOT NULL,
    occurrences integer NOT NULL DEFAULT 1,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, "table", row_md5, reason)
);
COMMENT ON TABLE quimbi.quarantined_rows IS 'Rows that were refused, as the file had them, and why';
COMMENT ON COLUMN quimbi.quarantined_rows.row_md5 IS
    'Of the row as text: loading the same file again adds nothing';
COMMENT ON COLUMN quimbi.quarantined_rows.occurrences IS 'Times one file held this very row';
COMMENT ON COLUMN quimbi.quarantined_rows.seen_at IS 'When it was first refused';
"""

DIM_SEGMENT_MASTER = """
CREATE TABLE quimbi.dim_segment_master (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    segment_id text NOT NULL,
    segment_name text NOT NULL,
    interpretation text,
    cluster_center jsonb,
    scaler_params jsonb,
    population_percentage double precision,
    customer_count bigint,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    model_version text,
    stability double precision,
    PRIMARY KEY (store_id, axis_name, segment_id, valid_from)
);
COMMENT ON TABLE quimbi.dim_segment_master IS
    'Named segments of each axis; current ones have valid_to NULL';
COMMENT ON COLUMN quimbi.dim_segment_master.population_percentage IS '0 to 100';
"""

CUSTOMER_PROFILES = """
CREATE TABLE quimbi.customer_profiles (
    store_id text NOT NULL,
    customer_id text NOT NULL,
    archetype_id text,
    segment_memberships jsonb,
    dominant_segments jsonb,
    feature_vectors jsonb,
    membership_strength jsonb,
    evidence jsonb,
    fingerprint real[],
    lifetime_value double precision,
    churn_risk_score double precision,
    interpretation text,
    model_versions jsonb,
    as_of timestamptz,
    PRIMARY KEY (store_id, customer_id)
);
CREATE INDEX customer_profiles_by_archetype ON quimbi.customer_profiles (store_id, archetype_id);
COMMENT ON TABLE quimbi.customer_profiles IS 'Who each customer is, as of one instant';
COMMENT ON COLUMN quimbi.customer_profiles.archetype_id IS 'Stable hash of the dominant segment ids';
COMMENT ON COLUMN quimbi.customer_profiles.segment_memberships IS
    '{axis: {segment: score}}; scores of an axis sum to 1';
COMMENT ON COLUMN quimbi.customer_profiles.dominant_segments IS '{axis: segment}';
COMMENT ON COLUMN quimbi.customer_profiles.feature_vectors IS '{axis: {feature: value}}';
COMMENT ON COLUMN quimbi.customer_profiles.membership_strength IS '{axis: strong | balanced | weak}';
COMMENT ON COLUMN quimbi.customer_profiles.evidence IS '{axis: ok | low}';
COMMENT ON COLUMN quimbi.customer_profiles.fingerprint IS
    'Distances to all segment centres, axes and segments in order';
COMMENT ON COLUMN quimbi.customer_profiles.lifetime_value IS 'Net of refunds, in the store''s currency';
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in (
        STORES,
        ORDERS,
        ORDER_ITEMS,
        SUPPORT_TICKETS,
        QUARANTINED_ROWS,
        DIM_SEGMENT_MASTER,
        CUSTOMER_PROFILES,
    ):
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables with all they hold."""
    tables = ["stores", "orders", "order_items", "support_tickets", "quarantined_rows"]
    tables += ["dim_segment_master", "customer_profiles"]
    op.execute("DROP TABLE " + ", ".join(f"quimbi.{table}" for table in tables))
