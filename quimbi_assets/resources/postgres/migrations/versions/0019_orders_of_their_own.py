"""What is foretold of orders and of a year may be NULL although spend of 90 days is not; the comments say so."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Say what NULL means now; what profiles hold stays until the next run."""
    op.execute("""
        COMMENT ON COLUMN quimbi.customer_profiles.expected_next_order_at IS
            'By when half of such customers order again; NULL: less than half do within a year, or orders not foretold';
        COMMENT ON COLUMN quimbi.customer_profiles.prediction_reason IS
            'Why nothing is foretold of the customer, or nothing of orders or of a year; NULL: all is, or never asked'
    """)
