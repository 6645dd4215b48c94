"""Customers are found by the SHA-256 of their address too, as advertisers and helpdesks hash it.

Addresses from before get it when a file that holds them is loaded again.
"""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add the column."""
    op.execute("""
        ALTER TABLE quimbi.customer_identities ADD sha256_hash bytea;
        CREATE INDEX customer_identities_by_sha256 ON quimbi.customer_identities (store_id, sha256_hash)
            WHERE sha256_hash IS NOT NULL;
        COMMENT ON COLUMN quimbi.customer_identities.sha256_hash IS
            'HMAC of the SHA-256 of an e-mail, by which it is found whoever hashed it; NULL: another kind of key, or '
            'not loaded since this is kept'
    """)
