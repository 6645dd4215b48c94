"""What rules decided of each customer."""

from alembic import op

revision = "0034"
down_revision = "0033"

COLUMNS = {
    "store_id": ("text NOT NULL", "The store"),
    "customer_id": ("text NOT NULL", "The customer"),
    "rule": ("text NOT NULL", "The rule that chooses them, by its name in actions.yaml"),
    "place": ("integer NOT NULL", "Which of the store''s rules it is, in their order, from 1 on"),
    "queue": ("text", "Who answers their tickets; NULL, as in all below: a rule above says otherwise, or none does"),
    "assignee": ("text", "Who sees to them"),
    "priority": ("text", "low, normal, high or urgent"),
    "campaign": ("text", "The campaign they are for; NULL also of whoever may not be written to"),
    "message": ("text", "What to write or tell them, filled in; NULL also of whoever may not be written to"),
    "export": ("text", "The list they are for; NULL also of whoever may not be written to"),
    "as_of": ("timestamptz NOT NULL", "Instant of the profiles by which it was first decided as it is here"),
    "decided_at": ("timestamptz NOT NULL DEFAULT now()", "When that was"),
}


def upgrade() -> None:
    """Create the table."""
    declared = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    op.execute(f"CREATE TABLE quimbi.customer_actions ({declared}, PRIMARY KEY (store_id, customer_id, rule))")
    op.execute(
        "COMMENT ON TABLE quimbi.customer_actions IS 'What is to be done about each customer by which rule; whoever "
        "is in a rule''s control group has no row of it'"
    )
    for name, (_, words) in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN quimbi.customer_actions.{name} IS '{words}'")
