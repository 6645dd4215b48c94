"""The view of members holds nobody back whose trial was ended: they had stayed in its control group for ever."""

from alembic import op

revision = "0044"
down_revision = "0043"

MEMBERSHIP = """
    CREATE OR REPLACE VIEW quimbi.audience_membership AS
    SELECT event.ht_row_id, event.ht_audience_id, event.ht_timestamp, event.ht_event_type, treated.arm AS ht_split_group
    FROM (
        SELECT store_id, audience, customer_id AS ht_row_id, store_id || '.' || audience AS ht_audience_id,
            entered_at AS ht_timestamp, 'enter' AS ht_event_type
        FROM quimbi.audience_members AS member
        WHERE NOT EXISTS (
            SELECT FROM quimbi.customer_consent AS consent
            WHERE consent.store_id = member.store_id AND consent.customer_id = member.customer_id
                AND (consent.suppressed OR NOT consent.accepts_marketing))
        UNION ALL
        SELECT store_id, audience, customer_id, store_id || '.' || audience, left_at, 'exit'
        FROM quimbi.audience_members WHERE left_at IS NOT NULL
    ) AS event
    LEFT JOIN (
        SELECT store_id, subject, treatments.customer_id, treatments.arm
        FROM quimbi.treatments JOIN quimbi.trials USING (store_id, subject) WHERE trials.ended_at IS NULL
    ) AS treated ON treated.store_id = event.store_id
        AND treated.subject = 'audience/' || event.audience AND treated.customer_id = event.ht_row_id;
    COMMENT ON COLUMN quimbi.audience_membership.ht_split_group IS
        'control: not to be acted on; acted: to be acted on; NULL: in no trial, or in one that was ended'
"""


def upgrade() -> None:
    """Replace the view."""
    op.execute(MEMBERSHIP)
