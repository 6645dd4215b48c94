"""A helpdesk's tickets are pulled page by page: which of them were opened again, and who its customers are here."""

from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Make room for both."""
    op.execute("""
        CREATE TABLE quimbi.ticket_reopenings (
            store_id text NOT NULL,
            event_id text NOT NULL,
            ticket_id text NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (store_id, event_id)
        );
        CREATE INDEX ticket_reopenings_by_ticket ON quimbi.ticket_reopenings (store_id, ticket_id);
        COMMENT ON TABLE quimbi.ticket_reopenings IS
            'Each time that a ticket was opened again, by the helpdesk''s event, which counts once';
        COMMENT ON COLUMN quimbi.ticket_reopenings.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.ticket_reopenings.event_id IS 'The helpdesk''s number of the event';
        COMMENT ON COLUMN quimbi.ticket_reopenings.ticket_id IS 'The ticket, which need not be stored';
        COMMENT ON COLUMN quimbi.ticket_reopenings.at IS 'When it was opened again';

        CREATE TABLE quimbi.helpdesk_customers (
            store_id text NOT NULL,
            helpdesk_id text NOT NULL,
            customer_id text NOT NULL,
            looked_up_at timestamptz,
            PRIMARY KEY (store_id, helpdesk_id)
        );
        CREATE INDEX helpdesk_customers_by_customer ON quimbi.helpdesk_customers (store_id, customer_id);
        COMMENT ON TABLE quimbi.helpdesk_customers IS 'Who a helpdesk''s customers are among those of the orders';
        COMMENT ON COLUMN quimbi.helpdesk_customers.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.helpdesk_customers.helpdesk_id IS 'The helpdesk''s number of the customer';
        COMMENT ON COLUMN quimbi.helpdesk_customers.customer_id IS
            'The customer, as the store''s orders have them; email:... or helpdesk_id:... (a hash) while none is known';
        COMMENT ON COLUMN quimbi.helpdesk_customers.looked_up_at IS
            'When the helpdesk was asked for all keys of this one; NULL: it was not'
    """)
