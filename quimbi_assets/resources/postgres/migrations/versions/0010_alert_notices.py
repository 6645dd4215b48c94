"""Whom the store was told of in each week, and whom not, so that what acting brings can be measured."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NOTICES = """
CREATE TABLE quimbi.alert_notices (
    store_id text NOT NULL,
    week date NOT NULL,
    customer_id text NOT NULL,
    alert text NOT NULL,
    priority double precision NOT NULL,
    held_out boolean NOT NULL,
    repeated boolean NOT NULL,
    named boolean NOT NULL,
    told_at timestamptz,
    PRIMARY KEY (store_id, week, customer_id)
);
COMMENT ON TABLE quimbi.alert_notices IS 'Alerted customers by week: named to the store, or why not';
COMMENT ON COLUMN quimbi.alert_notices.priority IS 'Risk times lifetime value; value where the risk is not known';
COMMENT ON COLUMN quimbi.alert_notices.held_out IS 'Of the share that is never named, to compare with';
COMMENT ON COLUMN quimbi.alert_notices.repeated IS 'Named already within the weeks that the store''s plan says';
COMMENT ON COLUMN quimbi.alert_notices.told_at IS 'When the message that names the customer was accepted; NULL: not';
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(NOTICES)


def downgrade() -> None:
    """Drop it with all it holds."""
    op.execute("DROP TABLE quimbi.alert_notices")
