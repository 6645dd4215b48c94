"""What became of each segment at every refit, and why a refit does not serve."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SEGMENT_LINEAGE = """
CREATE TABLE quimbi.segment_lineage (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    model_version text NOT NULL,
    line integer NOT NULL,
    segment_id text NOT NULL,
    previous_segment_id text,
    relation text NOT NULL CHECK (relation IN ('kept', 'split', 'merged', 'born', 'retired')),
    score double precision,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, axis_name, model_version, line)
);
COMMENT ON TABLE quimbi.segment_lineage IS
    'Per registered version, served or not: what became of the segments of the champion of then';
COMMENT ON COLUMN quimbi.segment_lineage.previous_segment_id IS
    'Segment of the champion it comes from; NULL for a segment that was born, itself for a retired one';
COMMENT ON COLUMN quimbi.segment_lineage.score IS 'Similarity of the two, 0-1; NULL in the first model of an axis';
COMMENT ON COLUMN quimbi.segment_lineage.line IS 'Position in the lineage of the version, from 1';
ALTER TABLE quimbi.axis_models ADD COLUMN held_reason text;
COMMENT ON COLUMN quimbi.axis_models.held_reason IS
    'Why the last fit does not serve, the model named here being the one before; NULL: the last fit serves';
"""


def upgrade() -> None:
    """Create the table, and the column beside an axis's figures."""
    op.execute(SEGMENT_LINEAGE)


def downgrade() -> None:
    """Drop both with all they hold."""
    op.execute("DROP TABLE quimbi.segment_lineage; ALTER TABLE quimbi.axis_models DROP COLUMN held_reason")
