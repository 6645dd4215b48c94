"""Of customers whose ids are hashes of their addresses the addresses are kept, in one table that alone has to go."""

from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Create the table; loads fill it."""
    op.execute("""
        CREATE TABLE quimbi.customer_addresses (
            store_id text NOT NULL,
            customer_id text NOT NULL,
            email text NOT NULL,
            PRIMARY KEY (store_id, customer_id)
        );
        COMMENT ON TABLE quimbi.customer_addresses IS
            'E-mail addresses of customers whom orders know by nothing else: for lists that go to them, and no program';
        COMMENT ON COLUMN quimbi.customer_addresses.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.customer_addresses.customer_id IS
            'The customer: email: and half of the address''s keyed hash';
        COMMENT ON COLUMN quimbi.customer_addresses.email IS 'The address, case-folded'
    """)
