"""Every table, view and column says what it holds, for whoever reads them with psql, Metabase or the docs.

The view ``customer_segments_wide`` is made when all versions have been applied (``migrations.show_axes``).
"""

from alembic import op

revision = "0027"
down_revision = "0026"

SAME = {
    "store_id": "The store",
    "customer_id": "The customer, as the store's orders have them",
    "axis_name": "The axis",
    "week": "The Monday that opens the week",
    "model_version": "Version of the model, as MLflow counts those of one registered model",
    "mlflow_run_id": "The fit's run in MLflow; NULL: nothing was fitted",
    "run_id": "Dagster's run",
    "valid_from": "From when the row holds",
    "valid_to": "Until when it held; NULL: it is the current one",
    "model_versions": "{axis: version}: the models that it was made with",
    "churn_risk_score": "Probability, 0-1, of no order in the days that count as staying away; NULL: not known",
    "lifetime_value": "What the customer spent so far, net of refunds, in the store's currency",
    "archetype_id": "The archetype nearest to the customer; see archetypes",
    "dominant_segments": "{axis: segment}: the segment of each axis that the customer belongs to most",
    "segment_memberships": "{axis: {segment: score}}; scores of an axis sum to 1",
    "segment_id": "The segment; ids outlive refits and new names",
    "as_of": "Where the data end that this rests on, exclusive",
}
"""What columns of these names hold, in every table that says nothing else of them."""
TABLES = {
    "alembic_version": {"": "Which version of the schema this is", "version_num": "Number of the last change applied"},
    "alert_notices": {"alert": "newly_at_risk or moved", "named": "Whether the message of the week was to name them"},
    "archetypes": {"name": "In words, out of the names of its segments", "customer_count": "Customers nearest to it"},
    "axis_models": {
        "k": "Number of segments, those of a state included; NULL: inactive",
        "silhouette": "How much closer customers are to their own segment than to the next one, -1 to 1",
    },
    "customer_identities": {"first_seen": "When a file first held it"},
    "customer_profiles": {
        "interpretation": "Who the customer is, in a sentence",
        "as_of": "The instant that all of the profile speaks of, exclusive",
    },
    "customer_profiles_named": {
        "archetype_name": "Its name today",
        "segment_memberships": "{axis: {name today: score}}; scores of an axis sum to 1",
        "dominant_segments": "{axis: name today} of the segment that the customer belongs to most",
        "membership_strength": "{axis: strong | balanced | weak}: how clear the memberships are",
        "stays": "{axis: chance, 0-1, to be in the same segment one horizon on}",
        "stays_strength": "{axis: strong | balanced | weak}: that chance in words",
        "predicted_orders_90d": "Orders of the 90 days from as_of on, expected on average; NULL: not foretold",
        "predicted_value_90d": "Spend of these 90 days, net of refunds, expected on average; NULL: not foretold",
        "predicted_value_365d": "Spend of the 365 days from as_of on, expected on average; NULL: not foretold",
        "expected_next_order_at": "By when half of such customers order again; NULL: not in a year, or not foretold",
        "as_of": "The instant that all of the profile speaks of, exclusive",
    },
    "dim_segment_master": {
        "segment_name": "Its name, in snake_case, unique in its axis",
        "interpretation": "What the segment is like: sentences of numbers",
        "cluster_center": "{feature: mean of its customers}, in the features' own units",
        "scaler_params": "{feature: {transform, winsor_low, winsor_high, mean, scale, ...}}: how values are scaled",
        "customer_count": "Customers whose dominant segment it is",
        "stability": "How well bootstrap refits find it again: mean Jaccard overlap, 0-1; 1 for a state",
    },
    "drift_floors": {"n_weeks": "Weeks before that it was learnt from"},
    "forecast_fits": {
        "status": "active, weak (a simpler figure does as well) or inactive",
        "fitted_at": "When it was fitted",
    },
    "order_items": {
        "order_id": "The order it is a line of",
        "line_no": "Its place in the order, from 1",
        "product_id": "SKU or whatever names the product",
        "category": "The product's category; NULL: not recorded (products may say it)",
        "product_type": "A finer kind than the category; NULL: not recorded",
        "quantity": "Pieces, or whatever the price is of",
        "refund_amount": "Refunded of this line, in its order's currency; NULL in every row: not recorded",
        "refunded_at": "When it was refunded; NULL: not, or not recorded",
    },
    "orders": {
        "order_id": "The order, as the store names it",
        "order_date": "When it was placed",
        "source": "The channel it came by (web, pos ...); NULL: not recorded",
        "status": "paid, refunded, cancelled ..., as the store says; NULL: not recorded",
        "currency": "ISO 4217; NULL: the store's",
        "refund_amount": "Refunded of the whole order; NULL in every row: not recorded",
    },
    "population_drift": {
        "figure": "feature_psi, segment_psi (population stability index), or segment_share",
        "value": "The index, from 0 (as at the fit; from 0.25 on, large), or the share, 0-1",
    },
    "promotions": {
        "promotion_id": "Counts promotions, in order",
        "axis_name": "The axis, or churn_risk or value_to_come",
        "reason": "Why it was chosen, in words",
        "decided_at": "When it was chosen",
    },
    "publications": {"published_at": "When it appeared"},
    "quarantined_rows": {
        "table": "The table that it was to go into",
        "reason": "Why it was refused, in words",
        "row": "{column: text}, as the file had it",
    },
    "segment_lineage": {"relation": "kept, split, merged, born or retired", "at": "When this was recorded"},
    "segment_migrations": {
        "cause": "acted (order, refund, ticket), silent (only time passed), model (it changed), corrected (the past)",
        "from_segment": "Id of the segment, or name of the group, before",
        "to_segment": "Id of the segment, or name of the group, after",
        "at": "Where the week ends by the store's clock",
        "drift": "How far the memberships moved under one model, 0-1; NULL: not of an axis",
        "severity": "The drift in words: stable, minor, moderate, significant or major; NULL: not of an axis",
    },
    "segment_naming": {
        "model": "Claude's model",
        "prompt_version": "Version of what it was asked",
        "calls": "Requests made",
        "input_tokens": "Tokens sent, those of the cache not counted",
        "output_tokens": "Tokens answered",
        "cache_write_tokens": "Tokens sent that were put into the cache",
        "cache_read_tokens": "Tokens read from the cache",
        "asked_at": "When it was asked",
    },
    "segment_renames": {"segment_name": "The name that a person set", "named_at": "When they did"},
    "stores": {"business_hours": "{opens, closes}: hours of the store's clock, Monday to Friday; NULL: 9 to 17"},
    "support_tickets": {
        "": "Support tickets as validation accepted them; customers are found by customer_identities",
        "ticket_id": "The ticket, as the help desk names it",
        "customer_id": "The customer, as the orders have them; of who never ordered another key, hashed if an address",
        "created_at": "When it was opened",
        "channel": "email, chat ...; NULL: not recorded",
        "status": "open, closed ...; NULL: not recorded",
        "priority": "As the help desk says; NULL: not recorded",
        "subject": "Its subject line; NULL: not recorded",
        "first_response_at": "When it was first answered; NULL: not yet, or not recorded",
        "resolved_at": "When it was resolved; NULL: not yet, or not recorded",
        "reopen_count": "How often it was opened again; NULL: not recorded",
    },
}
"""What tables ("") and their columns hold, where nothing was said of it before."""
SILENT = """
    SELECT class.relname, attribute.attname FROM pg_attribute AS attribute
    JOIN pg_class AS class ON class.oid = attribute.attrelid
    WHERE class.relnamespace = 'quimbi'::regnamespace AND class.relkind IN ('r', 'v') AND attribute.attnum > 0
        AND NOT attribute.attisdropped AND col_description(class.oid, attribute.attnum) IS NULL
"""


def upgrade() -> None:
    """Comment on what has no comment: by the table's words, else by those that go for every column of the name."""
    for table, texts in TABLES.items():
        if "" in texts:
            op.execute(f"COMMENT ON TABLE quimbi.{table} IS {_quoted(texts[''])}")
    for table, column in op.get_bind().exec_driver_sql(SILENT).all():
        text = TABLES.get(table, {}).get(column) or SAME.get(column)
        if text:
            op.execute(f'COMMENT ON COLUMN quimbi."{table}"."{column}" IS {_quoted(text)}')


def _quoted(text: str) -> str:
    # Alembic takes a string for SQLAlchemy's text, in which a colon before a word is a parameter.
    return "'" + text.replace("'", "''").replace(":", r"\:") + "'"
