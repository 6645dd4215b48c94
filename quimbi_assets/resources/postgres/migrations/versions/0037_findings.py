"""What trials showed is stored for the page and programs, and what rules ask of a profile stays in its row."""

from alembic import op

revision = "0037"
down_revision = "0036"

ASKED = ("dominant_segments", "stays", "stays_strength", "evidence")
"""Small, and asked together: moved out of the row, each is fetched by itself, 7 us a customer."""


def upgrade() -> None:
    """Add the columns; rows that are written from now on have the small ones inside."""
    op.execute("ALTER TABLE quimbi.trials ADD finding jsonb, ADD computed_at timestamptz")
    op.execute(
        "COMMENT ON COLUMN quimbi.trials.finding IS 'What it showed by computed_at: verdict, arms, difference, "
        "interval, the least that would be seen; NULL: not computed yet'"
    )
    op.execute("COMMENT ON COLUMN quimbi.trials.computed_at IS 'When the finding was computed'")
    for column in ASKED:
        op.execute(f"ALTER TABLE quimbi.customer_profiles ALTER {column} SET STORAGE MAIN")
