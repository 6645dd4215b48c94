"""Profiles hold what a customer is expected to order and spend; what fits found of it stands with those of churn risk.

Profiles of before have NULL in all of these columns, ``prediction_reason`` too, until they are published again.
"""

import re

from alembic import op

revision = "0017"
down_revision = "0016"

WHAT = {"orders": "Orders", "value": "Spend, net of refunds, in the store''s currency,"}
LIMITS = {"": "expected on average", "_low": "lower limit: of ten such customers, one has less",
          "_high": "upper limit: of ten such customers, one has more"}  # fmt: skip
NUMBERS = {
    f"predicted_{what}_{days}d{limit}": f"{words} of the {days} days from as_of on, {meaning}; NULL: not foretold"
    for days in (90, 365)
    for what, words in WHAT.items()
    for limit, meaning in LIMITS.items()
}
NAMED = ("predicted_orders_90d", "predicted_value_90d", "predicted_value_365d", "expected_next_order_at")
"""What the view by names shows."""


def upgrade() -> None:
    """Add the columns; name the table by what it holds now."""
    op.execute("ALTER TABLE quimbi.customer_profiles " + ", ".join(f"ADD {name} double precision" for name in NUMBERS))
    for name, words in NUMBERS.items():
        op.execute(f"COMMENT ON COLUMN quimbi.customer_profiles.{name} IS '{words}'")
    op.execute("""
        ALTER TABLE quimbi.customer_profiles ADD expected_next_order_at timestamptz, ADD prediction_reason text;
        COMMENT ON COLUMN quimbi.customer_profiles.expected_next_order_at IS
            'By when half of such customers order again; NULL: less than half do within a year, or nothing is foretold';
        COMMENT ON COLUMN quimbi.customer_profiles.prediction_reason IS
            'Why nothing is foretold of the customer, or nothing of a year; NULL: all is, or it was not asked for';
        ALTER TABLE quimbi.churn_fits RENAME TO forecast_fits;
        ALTER TABLE quimbi.forecast_fits ADD forecast text NOT NULL DEFAULT 'churn_risk'
            CHECK (forecast IN ('churn_risk', 'value_to_come'));
        ALTER TABLE quimbi.forecast_fits ALTER forecast DROP DEFAULT;
        ALTER TABLE quimbi.forecast_fits DROP CONSTRAINT churn_fits_pkey,
            ADD CONSTRAINT forecast_fits_pkey PRIMARY KEY (store_id, run_id, forecast);
        COMMENT ON TABLE quimbi.forecast_fits IS
            'What each run''s fits of churn risk and value to come found, be they published or not';
        COMMENT ON COLUMN quimbi.forecast_fits.forecast IS 'What is foretold: churn_risk or value_to_come';
        COMMENT ON COLUMN quimbi.forecast_fits.model_version IS
            'In MLflow; publications.model_versions names, by forecast, the one that customer_profiles hold';
        COMMENT ON COLUMN quimbi.forecast_fits.figures IS
            'What its test on windows unseen found, and which model of the churn risk serves; empty where there is none'
    """)
    view = "quimbi.customer_profiles_named"
    definition = op.get_bind().exec_driver_sql(f"SELECT pg_get_viewdef('{view}'::regclass)").scalar_one()
    columns, rest = re.split(r"\s+FROM", definition, maxsplit=1)
    op.execute(
        f"CREATE OR REPLACE VIEW {view} AS {columns}, {', '.join(f'profile.{name}' for name in NAMED)} FROM{rest}"
    )
