"""The view of who entered and left audiences hands out nobody who may not be written to; who reads sees no address.

Nothing has to be made anew: the view says so at once. Whoever may not be written to and is in an audience leaves it at
its next renewal.
"""

from alembic import op

revision = "0025"
down_revision = "0024"

MEMBERSHIP = """
    CREATE OR REPLACE VIEW quimbi.audience_membership AS
    SELECT customer_id AS ht_row_id, store_id || '.' || audience AS ht_audience_id, entered_at AS ht_timestamp,
        'enter' AS ht_event_type, NULL::text AS ht_split_group
    FROM quimbi.audience_members AS member
    WHERE NOT EXISTS (
        SELECT FROM quimbi.customer_consent AS consent
        WHERE consent.store_id = member.store_id AND consent.customer_id = member.customer_id
            AND (consent.suppressed OR NOT consent.accepts_marketing))
    UNION ALL
    SELECT customer_id, store_id || '.' || audience, left_at, 'exit', NULL
    FROM quimbi.audience_members WHERE left_at IS NOT NULL;
    COMMENT ON VIEW quimbi.audience_membership IS
        'Entries of customers who may be written to, and exits, in the five columns that reverse-ETL tools read';
    COMMENT ON COLUMN quimbi.audience_members.left_at IS
        'When they were first seen to be out of it again, or not to be written to any more'
"""
UNREAD = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'quimbi_reader') THEN
            REVOKE SELECT ON quimbi.export_outbox FROM quimbi_reader;
        END IF;
    END $$
"""


def upgrade() -> None:
    """Replace the view, and take the outbox from who only reads."""
    op.execute(MEMBERSHIP)
    op.execute(UNREAD)
