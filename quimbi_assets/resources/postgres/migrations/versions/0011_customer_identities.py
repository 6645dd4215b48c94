"""Which keys are one person's: e-mail addresses and a helpdesk's ids, so that tickets find their customer."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

IDENTITIES = """
CREATE TABLE quimbi.customer_identities (
    store_id text NOT NULL,
    kind text NOT NULL,
    key_hash bytea NOT NULL,
    customer_id text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, kind, key_hash)
);
CREATE INDEX customer_identities_by_customer ON quimbi.customer_identities (store_id, customer_id);
COMMENT ON TABLE quimbi.customer_identities IS 'Other keys of customers, by which tickets find them';
COMMENT ON COLUMN quimbi.customer_identities.kind IS 'email, customer_id (the shop''s own), helpdesk_id';
COMMENT ON COLUMN quimbi.customer_identities.key_hash IS
    'HMAC-SHA256 of the key (e-mails without surrounding space, case-folded); its secret is not in the database';
COMMENT ON COLUMN quimbi.customer_identities.customer_id IS 'As the store''s orders have it';
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(IDENTITIES)


def downgrade() -> None:
    """Drop it with all it holds."""
    op.execute("DROP TABLE quimbi.customer_identities")
