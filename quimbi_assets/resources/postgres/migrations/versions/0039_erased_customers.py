"""Who was erased does not come back with the next file."""

from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Create the table; nobody was erased yet."""
    op.execute("""
        CREATE TABLE quimbi.erased_customers (
            store_id text NOT NULL,
            kind text NOT NULL,
            key_hash bytea NOT NULL,
            erased_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (store_id, kind, key_hash)
        );
        COMMENT ON TABLE quimbi.erased_customers IS
            'Keys of customers who were erased (quimbi erase), hashed: rows of files that name one are left out';
        COMMENT ON COLUMN quimbi.erased_customers.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.erased_customers.kind IS
            'What the key is: customer_id, email, helpdesk_id, or order_id of an order of theirs';
        COMMENT ON COLUMN quimbi.erased_customers.key_hash IS
            'HMAC of the key with the store''s secret, as in customer_identities';
        COMMENT ON COLUMN quimbi.erased_customers.erased_at IS 'When it was erased'
    """)
