"""Profiles hold the wait that a customer's silence is measured in, which was only said in their words."""

from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Add the column; the next run of a store fills it."""
    op.execute("""
        ALTER TABLE quimbi.customer_profiles ADD usual_days double precision;
        COMMENT ON COLUMN quimbi.customer_profiles.usual_days IS
            'Usual wait for the next order in days, by which lifecycle goes: of the customer''s own and the store''s'
    """)
