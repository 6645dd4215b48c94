"""Publishes the made-up store, its profiles changed as a test wants them."""

import pandas as pd

from quimbi_assets.resources.postgres.tables.promotions import Choice, choose_versions
from quimbi_assets.resources.postgres.tables.publications import publish_run
from quimbi_assets_tests.resources.made_up import profiles, publication

VERSIONS = {"a": "1", "b": "1", "churn_risk": "1"}


def publish(database, store_id, n=3, **columns):
    """Publish n customers of ``few``, with these columns (Arrow arrays) instead of, or beside, the made-up ones."""
    choices = {axis: Choice(version, pd.Timestamp("2024-06-01"), "passed") for axis, version in VERSIONS.items()}
    database.execute(
        store_id,
        "INSERT INTO quimbi.stores (store_id, time_zone, currency) VALUES (%s, 'UTC', 'EUR') ON CONFLICT DO NOTHING",
        (store_id,),
    )
    choose_versions(database, store_id, choices)
    rows = profiles(n, VERSIONS)
    for name, values in columns.items():
        rows = rows.drop_columns([name]) if name in rows.column_names else rows
        rows = rows.append_column(name, values)
    publish_run(database, publication(store_id, VERSIONS, [rows]))
