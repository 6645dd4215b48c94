"""How far two halves of a store's customers agree on an axis, and how many customers shaped it."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add both; the next run of a store fills them."""
    op.execute("""
        ALTER TABLE quimbi.axis_models ADD COLUMN halves_ari double precision, ADD COLUMN customers_fitted integer;
        COMMENT ON COLUMN quimbi.axis_models.halves_ari IS
            'How alike segments found in each of two halves of the customers place people: 1 always, about 0 by chance';
        COMMENT ON COLUMN quimbi.axis_models.stability_ari IS
            'Agreement of bootstrap refits with the number of segments held, which a fit must pass';
        COMMENT ON COLUMN quimbi.axis_models.customers_fitted IS
            'Customers that shaped the segments and that no state places; fewer than 400 make them provisional'
    """)
