"""What fits of the churn risk find is kept in the schema; it was in a Parquet file of one row, of the last fit."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table."""
    op.execute("""
        CREATE TABLE quimbi.churn_fits (
            store_id text NOT NULL,
            run_id text NOT NULL,
            as_of timestamptz NOT NULL,
            status text NOT NULL CHECK (status IN ('active', 'weak', 'inactive')),
            reason text,
            model_version text,
            figures jsonb NOT NULL,
            fitted_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (store_id, run_id),
            CHECK ((model_version IS NULL) = (status = 'inactive'))
        );
        COMMENT ON TABLE quimbi.churn_fits IS 'What each run''s fit of the churn risk found, be it published or not';
        COMMENT ON COLUMN quimbi.churn_fits.as_of IS 'Where the data of the fit end, exclusive';
        COMMENT ON COLUMN quimbi.churn_fits.reason IS 'Why it is weak, or why there is no model';
        COMMENT ON COLUMN quimbi.churn_fits.model_version IS
            'In MLflow; publications.model_versions -> churn_risk names the one that customer_profiles hold';
        COMMENT ON COLUMN quimbi.churn_fits.figures IS
            'Which model serves and its test on windows unseen; empty where there is none';
        COMMENT ON COLUMN quimbi.churn_fits.run_id IS 'Dagster''s run'
    """)
