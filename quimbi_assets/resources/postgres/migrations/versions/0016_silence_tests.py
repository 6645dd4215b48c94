"""Whether silence tells anything in a store is kept beside what counted as noise in the week."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column."""
    op.execute("""
        ALTER TABLE quimbi.drift_floors ADD COLUMN silence_test jsonb;
        COMMENT ON COLUMN quimbi.drift_floors.silence_test IS
            'What being silent foretold on the store''s past; reason: why nobody is newly at risk. NULL: not asked then'
    """)
