"""Tickets of other helpdesks as they export them, without a word about columns."""

import json
from pathlib import Path

import pandas as pd
import pytest

from quimbi_assets.analysis import open_store
from quimbi_assets.errors import BadInputError, MissingColumnsError

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


@pytest.mark.parametrize("written", [int, str, lambda number: str(number) if number % 2 else number])
def test_an_answer_of_zendesk_s_with_its_users_finds_their_customers(tmp_path, written):
    """As asked with ``include=users``: tickets name their requester by number, users say the addresses."""
    tickets = [json.loads(line) for line in (EXPORTS / "zendesk_tickets.json").read_text().splitlines() if line]
    users = [one.pop("requester") for one in tickets]
    tickets = [one | {"requester_id": user["id"]} for one, user in zip(tickets, users, strict=True)]
    answer = tmp_path / "zd.json"
    users = [user | {"id": written(user["id"])} for user in users]
    answer.write_text(json.dumps({"tickets": tickets, "users": users, "count": 2, "next_page": None}))
    store = open_store(orders=EXPORTS / "shopify_orders.csv", tickets=answer, time_zone="Europe/London")
    rows = store.history.tables["raw_tickets"].to_pandas().set_index("ticket_id").sort_index()
    assert rows["customer_id"].to_list() == ["ann@example.com", "ben@example.com"]


def test_intercom_s_unrated_and_the_store_s_own_messages(tmp_path):
    """No rating is an empty object; conversations that the store began are no customer's question."""
    asked, other = json.loads((EXPORTS / "intercom_conversations.json").read_text())
    rows = [one | {"conversation_rating": {}} for one in (asked, other)]
    agent = {"type": "admin", "id": "s1", "email": "sam@shop.example"}
    for n, how in enumerate(("admin_initiated", "automated", "campaigns_initiated", "operator_initiated")):
        source = asked["source"] | {"delivered_as": how}
        source |= {"author": agent} if how != "operator_initiated" else {}
        rows.append(rows[0] | {"id": str(600 + n), "source": source})
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps(rows))
    store = open_store(orders=EXPORTS / "shopify_orders.csv", tickets=path, time_zone="Europe/London")
    assert store.refused["support_tickets"].empty
    tickets = store.history.tables["raw_tickets"].to_pandas().set_index("ticket_id").sort_index()
    assert tickets.index.to_list() == ["501", "502", "603"]
    assert tickets["satisfaction_score"].isna().all()


def test_an_id_that_no_number_holds_is_refused(tmp_path):
    """Of 400 digits: DuckDB has infinity for it, and would for another."""
    rows = [
        {"id": one, "created_at": "2025-04-03T09:00:00Z", "email": "ann@example.com"} for one in (int("7" * 400), 1)
    ]
    path = tmp_path / "tickets.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(BadInputError, match="id holds ids above 2\\^53 as floating-point numbers"):
        open_store(orders=EXPORTS / "shopify_orders.csv", tickets=path)


@pytest.mark.parametrize("source", [None, {}, {"author": None}, {"type": "conversation"}])
def test_intercom_s_conversations_without_an_author_are_their_contacts(tmp_path, source):
    """By the shop's ids of them; where it gave none the file is refused for that."""
    rows = [one | {"source": source} for one in json.loads((EXPORTS / "intercom_conversations.json").read_text())]
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(MissingColumnsError, match="no column customer_id"):
        open_store(orders=EXPORTS / "shopify_orders.csv", tickets=path)
    contacts = {"contacts": {"contacts": [{"id": "aa1", "external_id": "ann@example.com"}]}}
    path.write_text(json.dumps([one | contacts for one in rows]))
    tickets = open_store(orders=EXPORTS / "shopify_orders.csv", tickets=path).history.tables["raw_tickets"]
    assert tickets["customer_id"].to_pylist() == ["ann@example.com"] * 2


@pytest.mark.parametrize("at", [93415500000000, -93415500000000, -100000000000])
def test_a_time_that_no_calendar_has_is_refused_in_its_row(tmp_path, at):
    asked, other = json.loads((EXPORTS / "intercom_conversations.json").read_text())
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([asked | {"created_at": at}, other]))
    store = open_store(orders=EXPORTS / "shopify_orders.csv", tickets=path, time_zone="Europe/London")
    (refused,) = store.refused["support_tickets"]["reason"]
    assert refused.startswith(("created_at is not a date", "created_at lies before 1980"))
    assert store.history.tables["raw_tickets"].to_pandas()["ticket_id"].to_list() == ["502"]


@pytest.mark.parametrize("at", ["2025-04-03T09:00:00Z", 1743670800, "1743670800", "1743670800.0", "soon", True])
@pytest.mark.parametrize("others", [int, str])
def test_instants_are_read_cell_by_cell(tmp_path, at, others):
    """In seconds since 1970, as numbers or text, or written out; what is neither is refused alone."""
    asked, other = json.loads((EXPORTS / "intercom_conversations.json").read_text())
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([asked | {"created_at": at}, other | {"created_at": others(other["created_at"])}]))
    store = open_store(orders=EXPORTS / "shopify_orders.csv", tickets=path, time_zone="Europe/London")
    created = store.history.tables["raw_tickets"].to_pandas().set_index("ticket_id")["created_at"]
    is_none = at in ("soon", True)
    assert created.drop("502").to_dict() == ({} if is_none else {"501": pd.Timestamp("2025-04-03 09:00")})
    assert store.refused["support_tickets"]["reason"].str[:24].to_list() == ["created_at is not a date"] * is_none


@pytest.mark.parametrize("waited", ["1e12", "-1e12", "inf", "soon"])
def test_a_wait_that_is_no_time_is_refused_in_its_row(tmp_path, waited):
    rows = pd.read_csv(EXPORTS / "zendesk_tickets.csv", dtype="str")
    rows.loc[rows["Id"] == "501", "First reply time in minutes"] = waited
    path = tmp_path / "tickets.csv"
    rows.to_csv(path, index=False)
    store = open_store(orders=EXPORTS / "shopify_orders.csv", tickets=path, time_zone="Europe/London")
    (refused,) = store.refused["support_tickets"]["reason"]
    assert refused.startswith("first_response_at is not a date")
    assert store.history.tables["raw_tickets"].to_pandas()["ticket_id"].to_list() == ["502"]
