"""Names asked of Claude, with their tests and cost; names set by people; where each published name came from."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAMING = """
CREATE TABLE quimbi.segment_naming (
    store_id text NOT NULL,
    digest text NOT NULL,
    axis_name text NOT NULL,
    model text NOT NULL,
    prompt_version text NOT NULL,
    answers jsonb NOT NULL,
    checks jsonb NOT NULL,
    failure text,
    calls integer NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cost_usd double precision,
    run_id text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, digest)
);
COMMENT ON TABLE quimbi.segment_naming IS 'What Claude answered about the segments of axes; once a description';
COMMENT ON COLUMN quimbi.segment_naming.digest IS
    'SHA-256 of axis, meanings, rounded numbers, segment ids, model and prompt version';
COMMENT ON COLUMN quimbi.segment_naming.answers IS '{segment_id: {name, interpretation}}, those that passed every test';
COMMENT ON COLUMN quimbi.segment_naming.checks IS 'Every test: [{segment_id, round, check, passed, reason}]';
COMMENT ON COLUMN quimbi.segment_naming.failure IS 'Why a request had no usable answer; then it is asked again';
COMMENT ON COLUMN quimbi.segment_naming.cost_usd IS 'At list prices; NULL: prices of the model are not known';
CREATE TABLE quimbi.segment_renames (
    store_id text NOT NULL,
    axis_name text NOT NULL,
    segment_id text NOT NULL,
    segment_name text NOT NULL CHECK (segment_name ~ '^[a-z][a-z0-9_]{2,39}$'),
    named_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, axis_name, segment_id)
);
COMMENT ON TABLE quimbi.segment_renames IS 'Names that people set (quimbi rename); nothing overwrites them';
ALTER TABLE quimbi.dim_segment_master
    ADD COLUMN name_source text NOT NULL DEFAULT 'rules' CHECK (name_source IN ('claude', 'rules', 'person')),
    ADD COLUMN text_source text NOT NULL DEFAULT 'rules' CHECK (text_source IN ('claude', 'rules'));
COMMENT ON COLUMN quimbi.dim_segment_master.name_source IS 'Who gave the name: claude, rules or person';
COMMENT ON COLUMN quimbi.dim_segment_master.text_source IS 'Who wrote the interpretation: claude or rules';
"""


def upgrade() -> None:
    """Create the tables and add the columns."""
    op.execute(NAMING)


def downgrade() -> None:
    """Drop them with all they hold."""
    op.execute(
        "DROP TABLE quimbi.segment_naming; DROP TABLE quimbi.segment_renames; "
        "ALTER TABLE quimbi.dim_segment_master DROP COLUMN name_source, DROP COLUMN text_source"
    )
