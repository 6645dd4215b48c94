"""Stores have a plan of what is done unasked, and say when their rows last changed."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PLAN = """
ALTER TABLE quimbi.stores ADD COLUMN plan jsonb, ADD COLUMN changed_at timestamptz;
COMMENT ON COLUMN quimbi.stores.plan IS 'What is done unasked, and when; NULL: the default plan';
COMMENT ON COLUMN quimbi.stores.changed_at IS
    'When a load last changed a row of the store; NULL: not since this is recorded';
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(PLAN)


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE quimbi.stores DROP COLUMN plan, DROP COLUMN changed_at")
