"""Everything on a store's rows is done by roles that see one store, or read all; nobody else does it."""

from alembic import op

from quimbi_assets.resources.postgres.migrations import ROLES

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Make the roles; what they may, and what binds them, follows every change of the schema."""
    op.execute(ROLES)
