"""Tickets of other helpdesks as they export them, without a word about columns."""

from pathlib import Path

import pandas as pd
import pytest

from quimbi_assets.analysis import open_store

EXPORTS = Path(__file__).parent / "exports"
CHANNELS = {
    "zendesk_tickets.csv": "Mail",
    "zendesk_tickets.json": "email",
    "intercom_conversations.json": "email",
    "intercom_conversations.csv": "Email",
}
LISTED_WITHOUT = {"intercom_conversations.csv": {"reopen_count"}}
"""What an export does not say."""


@pytest.mark.parametrize("name", CHANNELS)
def test_tickets_are_read_as_they_were(name):
    store = open_store(
        orders=EXPORTS / "shopify_orders.csv", tickets=EXPORTS / name, time_zone="Europe/London"
    )  # by the shop's clock, an hour ahead of UTC in April
    assert store.refused["support_tickets"].empty, store.refused["support_tickets"]
    rows = store.history.tables["raw_tickets"].to_pandas().set_index("ticket_id").sort_index()
    first, second = rows.loc["501"], rows.loc["502"]
    assert (first["customer_id"], second["customer_id"]) == ("ann@example.com", "ben@example.com")
    assert first["created_at"] == pd.Timestamp("2025-04-03 09:00")
    assert first["first_response_at"] == pd.Timestamp("2025-04-03 10:30")
    assert first["resolved_at"] == pd.Timestamp("2025-04-03 13:00")
    assert first["satisfaction_score"] == 5
    if "reopen_count" not in LISTED_WITHOUT.get(name, ()):
        assert (first["reopen_count"], second["reopen_count"]) == (1, 0)
    assert second[["first_response_at", "resolved_at", "satisfaction_score"]].isna().all()
    assert (first["subject"], first["channel"]) == ("Where is my order?", CHANNELS[name])
    assert first["tags"].replace(",", "") == "late refund"
    assert "ignored" not in repr(store)
