"""What a customer's churn risk rests on, beside the score."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CHURN_DRIVERS = """
ALTER TABLE quimbi.customer_profiles ADD COLUMN churn_drivers jsonb;
COMMENT ON COLUMN quimbi.customer_profiles.churn_drivers IS
    '{horizon_days, drivers: [{fact, effect: raises | lowers, log_odds, words}], reason}: strongest first, at most '
    'three; reason: why there is no churn_risk_score, or why it says little';
COMMENT ON COLUMN quimbi.customer_profiles.churn_risk_score IS
    'Probability, 0-1, of no order in the horizon_days of churn_drivers; NULL: see its reason';
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(CHURN_DRIVERS)


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE quimbi.customer_profiles DROP COLUMN churn_drivers")
    op.execute("COMMENT ON COLUMN quimbi.customer_profiles.churn_risk_score IS NULL")
