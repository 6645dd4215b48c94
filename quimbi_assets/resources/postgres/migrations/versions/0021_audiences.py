"""Audiences with those who entered and left them, who may be written to, and what was sent where.

A store from before has no row in any of these tables until it is run, loaded or sent.
"""

from alembic import op

revision = "0021"
down_revision = "0020"

TABLES = {
    "customer_consent": (
        "Who may be written to, as lists of customers said last; no row: nothing was said",
        {
            "store_id": ("text NOT NULL", "The store"),
            "customer_id": ("text NOT NULL", "The customer, as orders know them"),
            "accepts_marketing": ("boolean", "Whether they agreed to marketing; NULL: nothing was said"),
            "suppressed": ("boolean", "Whether nothing may be sent to them, whatever they agreed to; NULL: not said"),
            "recorded_at": ("timestamptz NOT NULL DEFAULT now()", "When a list last said so"),
        },
        "PRIMARY KEY (store_id, customer_id)",
    ),
    "audiences": (
        "Audiences of each store as they were last brought up to date",
        {
            "store_id": ("text NOT NULL", "The store"),
            "audience": ("text NOT NULL", "Its name"),
            "filter": ("text NOT NULL", "Who is in it, in the filter language"),
            "customers": ("bigint NOT NULL", "Customers in it"),
            "value": ("double precision", "What they spent in all, net of refunds; NULL: nobody''s spend is known"),
            "entered": ("bigint NOT NULL", "Customers who came in then"),
            "left_it": ("bigint NOT NULL", "Customers who went out then"),
            "as_of": ("timestamptz", "Instant of the profiles it was made from"),
            "refreshed_at": ("timestamptz NOT NULL", "When it was brought up to date"),
        },
        "PRIMARY KEY (store_id, audience)",
    ),
    "audience_members": (
        "Each stay of a customer in an audience; left_at NULL: still in it",
        {
            "store_id": ("text NOT NULL", "The store"),
            "audience": ("text NOT NULL", "The audience"),
            "customer_id": ("text NOT NULL", "The customer"),
            "entered_at": ("timestamptz NOT NULL", "When they were first seen to be in it"),
            "left_at": ("timestamptz", "When they were first seen to be out of it again"),
            "entry_sent": ("boolean NOT NULL DEFAULT false", "Whether the audience''s webhook took note of the entry"),
            "exit_sent": ("boolean NOT NULL DEFAULT false", "Whether the audience''s webhook took note of the exit"),
        },
        "PRIMARY KEY (store_id, audience, customer_id, entered_at)",
    ),
    "export_profiles": (
        "What a service was last sent of each customer, so that only changes are sent",
        {
            "store_id": ("text NOT NULL", "The store"),
            "target": ("text NOT NULL", "Where to: a service, and the audience or filter if not everybody"),
            "customer_id": ("text NOT NULL", "The customer"),
            "digest": ("text NOT NULL", "MD5 of how the service knows them and of what was sent, changes left out"),
            "state": ("jsonb NOT NULL", "{property: {id, name, previous, changed_at}} as sent"),
            "job_id": ("bigint NOT NULL", "The job it was last sent by"),
            "refused": ("text", "Why the service refused it; NULL: it took it"),
            "sent_at": ("timestamptz NOT NULL DEFAULT now()", "When the job that sent it was done"),
        },
        "PRIMARY KEY (store_id, target, customer_id)",
    ),
    "export_jobs": (
        "Journal of what is sent: a job is written down before it is sent, and again when the service took it",
        {
            "job_id": ("bigint GENERATED ALWAYS AS IDENTITY", "Number of the job"),
            "store_id": ("text NOT NULL", "The store"),
            "target": ("text NOT NULL", "Where to, as in export_profiles"),
            "state": (
                "text NOT NULL CHECK (state IN ('planned', 'sending', 'accepted', 'done'))",
                "sending: it may have arrived; accepted: the service works on it; done: it said what became of it",
            ),
            "customers": ("bigint NOT NULL", "Customers in it"),
            "remote_id": ("text", "The service''s number of the job; NULL: it has not taken it yet"),
            "refused": ("bigint", "Customers whom the service refused; NULL: not done"),
            "planned_at": ("timestamptz NOT NULL DEFAULT now()", "When it was planned"),
            "sent_at": ("timestamptz", "When it was last begun to be sent"),
            "done_at": ("timestamptz", "When the service had done it"),
        },
        "PRIMARY KEY (store_id, job_id)",
    ),
    "export_outbox": (
        "Customers of jobs that are not done, with what is sent of each",
        {
            "store_id": ("text NOT NULL", "The store"),
            "job_id": ("bigint NOT NULL", "The job"),
            "customer_id": ("text NOT NULL", "The customer"),
            "digest": ("text NOT NULL", "As in export_profiles"),
            "state": ("jsonb NOT NULL", "As in export_profiles"),
            "payload": ("text NOT NULL", "What is sent, as the service takes it"),
        },
        "PRIMARY KEY (store_id, job_id, customer_id)",
    ),
}
MEMBERSHIP = """
    CREATE VIEW quimbi.audience_membership AS
    SELECT customer_id AS ht_row_id, store_id || '.' || audience AS ht_audience_id, at AS ht_timestamp,
        event_type AS ht_event_type, NULL::text AS ht_split_group
    FROM quimbi.audience_members CROSS JOIN LATERAL (VALUES ('enter', entered_at), ('exit', left_at))
        AS event (event_type, at)
    WHERE at IS NOT NULL;
    COMMENT ON VIEW quimbi.audience_membership IS
        'Entries into audiences and exits, in the five columns that reverse-ETL tools read';
    COMMENT ON COLUMN quimbi.audience_membership.ht_row_id IS 'The customer';
    COMMENT ON COLUMN quimbi.audience_membership.ht_audience_id IS 'The store and the audience: store.audience';
    COMMENT ON COLUMN quimbi.audience_membership.ht_timestamp IS 'When it was seen';
    COMMENT ON COLUMN quimbi.audience_membership.ht_event_type IS 'enter or exit';
    COMMENT ON COLUMN quimbi.audience_membership.ht_split_group IS 'Always NULL: nobody is held out';
"""


def upgrade() -> None:
    """Create the tables and the view."""
    for table, (about, columns, key) in TABLES.items():
        declared = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
        op.execute(f"CREATE TABLE quimbi.{table} ({declared}, {key})")
        op.execute(f"COMMENT ON TABLE quimbi.{table} IS '{about}'")
        for name, (_, words) in columns.items():
            op.execute(f"COMMENT ON COLUMN quimbi.{table}.{name} IS '{words}'")
    op.execute(
        "CREATE INDEX audience_members_now ON quimbi.audience_members (store_id, audience) WHERE left_at IS NULL;"
        "CREATE INDEX export_jobs_open ON quimbi.export_jobs (store_id, target) WHERE state <> 'done'"
    )
    op.execute(MEMBERSHIP)
