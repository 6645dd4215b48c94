"""Trials, and who was assigned to which arm of one: whether it helped is read from these and the orders since."""

from alembic import op

revision = "0035"
down_revision = "0034"

TABLES = {
    "trials": (
        "What is tried on customers, as it was when it began: an audience, an export, a rule or the weekly message",
        {
            "store_id": ("text NOT NULL", "The store"),
            "subject": ("text NOT NULL", "What is tried: audience/NAME, export/NAME, rule/NAME, alert/newly_at_risk"),
            "control": ("double precision NOT NULL", "Share, 0-1, of those who enter now that is never acted on"),
            "outcome": ("text NOT NULL", "What is compared: ordered, orders, spend, reopened or rating"),
            "window_days": ("integer NOT NULL", "Days from entry on in which the outcome counts"),
            "weeks": ("integer NOT NULL", "Weeks from the beginning on in which whoever enters counts"),
            "began_at": ("timestamptz NOT NULL DEFAULT now()", "When the first customers entered"),
            "ended_at": (
                "timestamptz",
                "When the control group was let in: later looks do not count; NULL: it was not",
            ),
        },
        "PRIMARY KEY (store_id, subject)",
    ),
    "treatments": (
        "Customers who entered a trial, each once, with the arm they are in from then on",
        {
            "store_id": ("text NOT NULL", "The store"),
            "subject": ("text NOT NULL", "The trial"),
            "customer_id": ("text NOT NULL", "The customer, as the store''s orders have them"),
            "arm": (
                "text NOT NULL CHECK (arm IN ('acted', 'control'))",
                "acted: to be acted on; control: never acted on",
            ),
            "entered_at": (
                "timestamptz NOT NULL DEFAULT now()",
                "When they would have been acted on for the first time",
            ),
            "acted_at": ("timestamptz", "When something was first sent or written of them; NULL: nothing was yet"),
            "expected_orders": ("double precision", "Orders foretold at entry for 90 days; NULL: not foretold"),
            "expected_spend": ("double precision", "Spend foretold at entry for 90 days; NULL: not foretold"),
        },
        "PRIMARY KEY (store_id, subject, customer_id)",
    ),
}
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
    LEFT JOIN quimbi.treatments AS treated ON treated.store_id = event.store_id
        AND treated.subject = 'audience/' || event.audience AND treated.customer_id = event.ht_row_id;
    COMMENT ON COLUMN quimbi.audience_membership.ht_split_group IS
        'control: not to be acted on; acted: to be acted on; NULL: in no trial'
"""


def upgrade() -> None:
    """Create the tables; the view says who is in which arm."""
    for table, (about, columns, key) in TABLES.items():
        declared = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
        op.execute(f"CREATE TABLE quimbi.{table} ({declared}, {key})")
        op.execute(f"COMMENT ON TABLE quimbi.{table} IS '{about}'")
        for name, (_, words) in columns.items():
            op.execute(f"COMMENT ON COLUMN quimbi.{table}.{name} IS '{words}'")
    op.execute(MEMBERSHIP)
