"""The state of each axis of a store: active or not, why, and the figures of its model."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

AXIS_MODELS = """
CREATE TABLE quimbi.axis_models (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    status text NOT NULL,
    reason text,
    k integer,
    silhouette double precision,
    stability_ari double precision,
    mlflow_run_id text,
    model_version text,
    as_of timestamptz,
    PRIMARY KEY (store_id, axis_name)
);
COMMENT ON TABLE quimbi.axis_models IS 'One row per store and axis: what the last run found';
COMMENT ON COLUMN quimbi.axis_models.status IS 'active, inactive or weak';
COMMENT ON COLUMN quimbi.axis_models.reason IS 'Why it is inactive or weak, in words';
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(AXIS_MODELS)


def downgrade() -> None:
    """Drop it with all it holds."""
    op.execute("DROP TABLE quimbi.axis_models")
