"""A helpdesk says itself that something has changed, and is pulled then."""

from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Make room for when it called."""
    op.execute("""
        ALTER TABLE quimbi.sources ADD COLUMN called_at timestamptz;
        COMMENT ON COLUMN quimbi.sources.called_at IS
            'When the source last said that something has changed and was not pulled since; NULL: it has not'
    """)
