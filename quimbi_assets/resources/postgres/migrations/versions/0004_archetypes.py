"""Archetypes: the combinations of segments that carry people, with name, traits and size."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ARCHETYPES = """
CREATE TABLE quimbi.archetypes (
    store_id text NOT NULL,
    archetype_id text NOT NULL,
    name text NOT NULL,
    traits jsonb NOT NULL,
    customer_count bigint NOT NULL,
    population_percentage double precision NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    PRIMARY KEY (store_id, archetype_id, valid_from)
);
COMMENT ON TABLE quimbi.archetypes IS
    'Kept archetypes of each store; current ones have valid_to NULL. Every customer is of exactly one';
COMMENT ON COLUMN quimbi.archetypes.archetype_id IS 'Stable hash of the segment ids in traits';
COMMENT ON COLUMN quimbi.archetypes.traits IS '{axis: {segment_id, segment_name}}, the axes that make archetypes';
COMMENT ON COLUMN quimbi.archetypes.population_percentage IS '0 to 100';
COMMENT ON COLUMN quimbi.customer_profiles.archetype_id IS
    'The kept archetype nearest to the customer; see archetypes';
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(ARCHETYPES)


def downgrade() -> None:
    """Drop it with all it holds."""
    op.execute("DROP TABLE quimbi.archetypes")
    op.execute("COMMENT ON COLUMN quimbi.customer_profiles.archetype_id IS 'Stable hash of the dominant segment ids'")
