"""What each customer buys more than the store's customers do.

Profiles of before have NULL until they are published again.
"""

from alembic import op

revision = "0024"
down_revision = "0023"

TABLES = """
    ALTER TABLE quimbi.customer_profiles ADD affinities jsonb;
    COMMENT ON COLUMN quimbi.customer_profiles.affinities IS
        '{categories: [{id, orders, share, lift}], products, reason}: what they buy more than others do; null where '
        'that tells a next order no better than bestsellers or what was bought last, see its reason; NULL: '
        'made before this was known';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(TABLES)
