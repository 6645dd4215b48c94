"""Addresses that may not be written to, by their keyed hash, whoever has them: a bounce list names no customers."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add the table; what lists said before is known of customers only, until they are loaded again."""
    op.execute("""
        CREATE TABLE quimbi.suppressed_keys (
            store_id text NOT NULL,
            key_hash bytea NOT NULL,
            PRIMARY KEY (store_id, key_hash)
        );
        COMMENT ON TABLE quimbi.suppressed_keys IS
            'Keys (addresses) that lists of customers called suppressed, whether a customer has them or not';
        COMMENT ON COLUMN quimbi.suppressed_keys.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.suppressed_keys.key_hash IS 'HMAC of the key, as in customer_identities'
    """)
