"""Lists of products say what lines do not: the category and the type of what was bought."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make room for them; stores show what they showed until a list is loaded."""
    op.execute("""
        CREATE TABLE quimbi.products (
            store_id text NOT NULL,
            product_id text NOT NULL,
            category text,
            product_type text,
            PRIMARY KEY (store_id, product_id)
        );
        COMMENT ON TABLE quimbi.products IS
            'What lists of products say (quimbi load --products), for lines that do not say it themselves';
        COMMENT ON COLUMN quimbi.products.store_id IS 'The store';
        COMMENT ON COLUMN quimbi.products.product_id IS
            'A key by which lines may know the product: its SKU, id, handle or name; one row for each';
        COMMENT ON COLUMN quimbi.products.category IS 'As the list has it; NULL: it says none';
        COMMENT ON COLUMN quimbi.products.product_type IS 'As the list has it; NULL: it says none'
    """)
