"""The card that a helpdesk asks for: of the token's store, in ten strings at most, by the address of who writes."""

import json
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from quimbi_assets.api.app import create_app
from quimbi_assets.resources.postgres.tables.identities import OrderAddresses, store_secret
from quimbi_assets.resources.postgres.tables.tokens import create_token
from quimbi_assets_tests.administrator import administering
from quimbi_assets_tests.resources.published import publish

FEATURES = {"return_behavior": {"refund_rate": 0.22}}


@pytest.fixture(scope="module")
def card(database, home):
    """Asks for the card of an address, with a token of a store of three customers; returns the answer."""
    publish(
        database, "carded", 3, lifecycle=pa.array(["lapsed"] * 3), value_tier=pa.array(["low"] * 3),
        n_orders=pa.array([6, 6, 6]), churn_risk_score=pa.array([0.5, 0.5, 0.5]),
        first_order_at=pa.array([datetime(2024, 5, 2, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        last_order_at=pa.array([datetime(2024, 5, 20, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        feature_vectors=pa.array([json.dumps(FEATURES)] * 3), lifetime_value=pa.array([145.0] * 3),
        usual_days=pa.array([27.4] * 3),
    )  # fmt: skip
    tickets = [("t1", 5, "closed", 4), ("t2", 2, "open", 2), ("t3", 1, "pending", None)]
    with administering(database) as cursor:
        cursor.execute("CREATE TEMP TABLE shared (key_hash bytea) ON COMMIT DROP")
        addresses = OrderAddresses(cursor, store_secret(home, "carded"))
        rows = pd.DataFrame({"email": ["Ann@Example.com", "jürg+shop@example.com"], "who": ["c0001", "c0002"]})
        rows["at"] = pd.Timestamp("2024", tz="UTC")
        addresses.add(rows["email"], rows["who"], rows["at"])
        addresses.learn("carded")
        cursor.executemany(
            "INSERT INTO quimbi.support_tickets (store_id, ticket_id, customer_id, created_at, status, "
            "satisfaction_score, subject) "
            "VALUES ('carded', %s, 'c0001', now() - %s * interval '1 day', %s, %s, 'words')",
            tickets,
        )
    token, _ = create_token(database, "carded", ["read"], 1)
    app = create_app(database)
    client = TestClient(app, base_url="http://127.0.0.1")

    def ask(email=None, token=token):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return client.get("/v1/gorgias/card", params={} if email is None else {"email": email}, headers=headers)

    ask.raw = lambda query: client.get(f"/v1/gorgias/card?{query}", headers={"Authorization": f"Bearer {token}"})

    yield ask
    app.state.database.close()


def test_what_an_agent_reads(card):
    assert card(" ann@example.com").json() == {
        "known": "yes",
        "who": "lower half in value, usually every 27 days",
        "silence": "no order in the 12 days to 1 Jun 2024: lapsed",
        "orders": "6 orders, €145, since May 2024",
        "returns": "sends back 22 % of what they buy",  # the store has no segments of that axis to compare with
        "support": "2 open tickets, 3 in all, last rating 2 of 5",
        "do": "Put it right first, without asking twice; no offer before that.",
        "risk": "50 % chance to stay away",
    }


def test_whom_nobody_knows(card):
    for address in (
        "",
        " ",
        "a" * 400,
        "nobody@example.com",
        "no address",
        "a\ud800@example.com".encode("utf-8", "replace").decode(),
    ):
        answer = card(address)
        assert (answer.status_code, answer.json()) == (200, {"known": "no"})


def test_an_address_as_a_helpdesk_puts_it_into_the_address(card):
    """A + as it is, which is read as a blank; & ends it; letters of two signs are those of one."""
    for query in ("email=jürg+shop@example.com", "email=jürg%2Bshop@example.com", "email=ju\u0308rg+shop@example.com"):
        assert card.raw(query).json()["known"] == "yes", query
    answer = card.raw("email=o&k@x.example")
    assert (answer.status_code, answer.json()) == (200, {"known": "no"})


def test_who_may_ask(card, database):
    assert card("ann@example.com", token=None).status_code == 401
    publish(database, "carded-other")
    other, _ = create_token(database, "carded-other", ["read"], 1)
    assert card("ann@example.com", token=other).json() == {"known": "no"}
    assert card().status_code == 422
