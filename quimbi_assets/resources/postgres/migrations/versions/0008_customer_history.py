"""Weekly snapshots of every customer, what changed between them and why, and how the population drifts."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CUSTOMER_HISTORY = """
CREATE TABLE quimbi.customer_history (
    store_id text NOT NULL,
    customer_id text NOT NULL,
    week date NOT NULL,
    as_of timestamptz NOT NULL,
    archetype_id text,
    segment_memberships jsonb NOT NULL,
    dominant_segments jsonb NOT NULL,
    lifetime_value double precision,
    churn_risk_score double precision,
    model_versions jsonb NOT NULL,
    drift jsonb,
    alert text CHECK (alert IN ('newly_at_risk', 'moved')),
    alert_cause text CHECK (alert_cause IN ('acted', 'silent')),
    PRIMARY KEY (store_id, week, customer_id)
);
CREATE INDEX customer_history_by_customer ON quimbi.customer_history (store_id, customer_id);
COMMENT ON TABLE quimbi.customer_history IS 'Who each customer was at the end of each week, by the models of then';
COMMENT ON COLUMN quimbi.customer_history.week IS 'The Monday that opens the week';
COMMENT ON COLUMN quimbi.customer_history.as_of IS 'Where the week ends by the store''s clock, exclusive';
COMMENT ON COLUMN quimbi.customer_history.drift IS
    '{axis: {drift, velocity_per_day, acceleration, severity, cause}} since the snapshot before; NULL: none before';
COMMENT ON COLUMN quimbi.customer_history.alert IS 'newly_at_risk or moved; NULL for most';
COMMENT ON COLUMN quimbi.customer_history.alert_cause IS 'silent or acted: what the alert is about';
"""

SEGMENT_MIGRATIONS = """
CREATE TABLE quimbi.segment_migrations (
    store_id text NOT NULL,
    week date NOT NULL,
    customer_id text NOT NULL,
    axis_name text NOT NULL,
    cause text NOT NULL CHECK (cause IN ('acted', 'silent', 'model', 'corrected')),
    from_segment text NOT NULL,
    to_segment text NOT NULL,
    from_week date NOT NULL,
    at timestamptz NOT NULL,
    drift double precision,
    severity text,
    PRIMARY KEY (store_id, week, customer_id, axis_name, cause)
);
CREATE INDEX segment_migrations_by_customer ON quimbi.segment_migrations (store_id, customer_id);
COMMENT ON TABLE quimbi.segment_migrations IS 'Every change of segment that is more than noise, and its cause';
COMMENT ON COLUMN quimbi.segment_migrations.axis_name IS 'An axis, or archetype';
COMMENT ON COLUMN quimbi.segment_migrations.from_week IS 'Week of the snapshot it is compared with';
"""

DRIFT_FLOORS = """
CREATE TABLE quimbi.drift_floors (
    store_id text NOT NULL,
    week date NOT NULL,
    lead jsonb NOT NULL,
    silence double precision NOT NULL,
    acted double precision NOT NULL,
    n_weeks integer NOT NULL,
    n_quiet bigint NOT NULL,
    PRIMARY KEY (store_id, week)
);
COMMENT ON TABLE quimbi.drift_floors IS 'What counted as noise in each week, learnt from the weeks before it';
COMMENT ON COLUMN quimbi.drift_floors.lead IS '{axis: by how much another segment must outweigh the settled one}';
COMMENT ON COLUMN quimbi.drift_floors.silence IS
    '-log10 of the probability of so long a silence from which a customer has fallen silent';
COMMENT ON COLUMN quimbi.drift_floors.acted IS 'Drift from which what an order did is an alert';
COMMENT ON COLUMN quimbi.drift_floors.n_quiet IS 'Customers'' weeks without anything new among those learnt from';
"""

POPULATION_DRIFT = """
CREATE TABLE quimbi.population_drift (
    store_id text NOT NULL,
    week date NOT NULL,
    axis_name text NOT NULL,
    figure text NOT NULL CHECK (figure IN ('feature_psi', 'segment_psi', 'segment_share')),
    name text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (store_id, week, axis_name, figure, name)
);
COMMENT ON TABLE quimbi.population_drift IS 'All customers of a week against those that the models were fitted on';
COMMENT ON COLUMN quimbi.population_drift.name IS 'The feature, the segment, or the axis itself';
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in (CUSTOMER_HISTORY, SEGMENT_MIGRATIONS, DRIFT_FLOORS, POPULATION_DRIFT):
        op.execute(statement)


def downgrade() -> None:
    """Drop them with all they hold."""
    names = ("customer_history", "segment_migrations", "drift_floors", "population_drift")
    op.execute("DROP TABLE " + ", ".join(f"quimbi.{name}" for name in names))
