"""What was published, run by run, and which model version was chosen to serve, by whom and why."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

PUBLICATIONS = """
CREATE TABLE quimbi.publications (
    store_id text NOT NULL,
    publication_id bigint NOT NULL,
    run_id text NOT NULL,
    as_of timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    model_versions jsonb NOT NULL,
    PRIMARY KEY (store_id, publication_id)
);
COMMENT ON TABLE quimbi.publications IS
    'Every time a store''s result appeared, as one transaction; the last one is what the other tables hold';
COMMENT ON COLUMN quimbi.publications.publication_id IS 'Counts a store''s publications, from 1';
COMMENT ON COLUMN quimbi.publications.run_id IS 'Dagster''s run';
COMMENT ON COLUMN quimbi.publications.model_versions IS
    '{axis: version}, and churn_risk: the models that all of its profiles were made with';
"""

PROMOTIONS = """
CREATE TABLE quimbi.promotions (
    store_id text NOT NULL,
    promotion_id bigint GENERATED ALWAYS AS IDENTITY,
    axis_name text NOT NULL,
    model_version text NOT NULL,
    data_end timestamptz NOT NULL,
    reason text NOT NULL,
    by_hand boolean NOT NULL DEFAULT false,
    for_past boolean NOT NULL DEFAULT false,
    decided_at timestamptz NOT NULL DEFAULT now(),
    publication_id bigint,
    echoed_at timestamptz,
    PRIMARY KEY (store_id, promotion_id),
    CHECK (NOT (for_past AND publication_id IS NOT NULL))
);
COMMENT ON TABLE quimbi.promotions IS
    'Model versions chosen to serve, in order: the last one published of an axis (or churn_risk) serves';
COMMENT ON COLUMN quimbi.promotions.data_end IS 'Where the data of the version end, exclusive';
COMMENT ON COLUMN quimbi.promotions.by_hand IS 'Chosen by a person (quimbi promote): refits go on from it';
COMMENT ON COLUMN quimbi.promotions.for_past IS 'Scores snapshots of its time only, and never serves';
COMMENT ON COLUMN quimbi.promotions.publication_id IS 'The first publication made with it; NULL: not published yet';
COMMENT ON COLUMN quimbi.promotions.echoed_at IS 'When MLflow''s tags and aliases followed; NULL: not yet';
CREATE INDEX dim_segment_master_current ON quimbi.dim_segment_master (store_id, axis_name) WHERE valid_to IS NULL;
CREATE INDEX archetypes_current ON quimbi.archetypes (store_id, archetype_id) WHERE valid_to IS NULL;
"""

BEFORE = """
INSERT INTO quimbi.publications (store_id, publication_id, run_id, as_of, model_versions)
SELECT store_id, 1, 'before publications', max(as_of), (
    SELECT model_versions FROM quimbi.customer_profiles AS profile WHERE profile.store_id = axes.store_id LIMIT 1
)
FROM quimbi.axis_models AS axes
WHERE EXISTS (
    SELECT FROM quimbi.customer_profiles AS profile
    WHERE profile.store_id = axes.store_id AND profile.model_versions IS NOT NULL
)
GROUP BY store_id HAVING max(as_of) IS NOT NULL;
INSERT INTO quimbi.promotions (store_id, axis_name, model_version, data_end, reason, publication_id, echoed_at)
SELECT store_id, axis_name, model_version, as_of, 'serves since before publications', 1, now()
FROM quimbi.axis_models WHERE model_version IS NOT NULL AND as_of IS NOT NULL
UNION ALL
SELECT store_id, 'churn_risk', model_versions ->> 'churn_risk', as_of, 'serves since before publications', 1, now()
FROM quimbi.publications WHERE model_versions ? 'churn_risk';
"""
"""What homes of before hold: they go on from the models that their tables name."""


def upgrade() -> None:
    """Create the tables, and note in them what is there."""
    for statement in (PUBLICATIONS, PROMOTIONS, BEFORE):
        op.execute(statement)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(
        "DROP TABLE quimbi.publications; DROP TABLE quimbi.promotions; "
        "DROP INDEX quimbi.dim_segment_master_current; DROP INDEX quimbi.archetypes_current"
    )
