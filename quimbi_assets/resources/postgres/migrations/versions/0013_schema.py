"""The schema of before the first release: ``0013_schema.sql``."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = None


def upgrade() -> None:
    """Create the tables, and the view on them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())
