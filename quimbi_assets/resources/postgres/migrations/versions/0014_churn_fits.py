"""What fits of the churn risk found moves from a Parquet file of one row into the schema."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute("""
        CREATE TABLE quimbi.churn_fits (
            store_id text NOT NULL,
            as_of timestamptz NOT NULL,
            status text NOT NULL CHECK (status IN ('active', 'weak', 'inactive')),
            reason text,
            figures jsonb NOT NULL,
            run_id text NOT NULL,
            fitted_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (store_id, as_of)
        );
        COMMENT ON TABLE quimbi.churn_fits IS 'What fits of the churn risk found, by the instant they were made as of';
        COMMENT ON COLUMN quimbi.churn_fits.as_of IS 'Where the data of the fit end, exclusive';
        COMMENT ON COLUMN quimbi.churn_fits.reason IS 'Why it is weak, or why there is no model';
        COMMENT ON COLUMN quimbi.churn_fits.figures IS
            'Which model serves, its test on windows unseen, MLflow''s run and version; empty where there is none';
        COMMENT ON COLUMN quimbi.churn_fits.run_id IS 'Dagster''s run'
    """)
