"""Archetypes say which data they are made from, so that a run as of the past can go on from those of its time."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

AS_OF = """
ALTER TABLE quimbi.archetypes ADD COLUMN as_of timestamptz;
COMMENT ON COLUMN quimbi.archetypes.as_of IS
    'Where the data end that they are made from, exclusive; NULL: made before this was recorded';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(AS_OF)


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE quimbi.archetypes DROP COLUMN as_of")
