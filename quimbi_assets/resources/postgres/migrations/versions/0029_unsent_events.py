"""Entries and exits that no webhook took, in their order: a message of some hundred is not a scan of the audience."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add an index of each."""
    op.execute("""
        CREATE INDEX audience_members_entered ON quimbi.audience_members (store_id, audience, entered_at, customer_id)
            WHERE NOT entry_sent;
        CREATE INDEX audience_members_left ON quimbi.audience_members (store_id, audience, left_at, customer_id)
            WHERE NOT exit_sent AND left_at IS NOT NULL
    """)
