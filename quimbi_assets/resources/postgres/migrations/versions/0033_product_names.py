"""What products are called, where lines know them by a code."""

from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Make room for them; a product is its code until a file of lines that names it is loaded."""
    op.execute("""
        CREATE TABLE quimbi.product_names (
            store_id text NOT NULL,
            product_id text NOT NULL,
            product_name text NOT NULL,
            PRIMARY KEY (store_id, product_id)
        );
        COMMENT ON TABLE quimbi.product_names IS
            'What lines call the products that they know by a code; people are shown it beside the code';
        COMMENT ON COLUMN quimbi.product_names.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.product_names.product_id IS 'The code, as order_items has it';
        COMMENT ON COLUMN quimbi.product_names.product_name IS
            'The name on most of the lines with that code of the file loaded last'
    """)
