"""Customers known by hashes of their addresses: found by the address, shown by the hash, written to at the address."""

import csv
import hashlib
import io
import json

import anyio
import pandas as pd
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from mcp import Client

from quimbi_assets.api.app import create_app
from quimbi_assets.api.mcp_server import create_server
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.pages import read_customer_facts
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.identities import find_by_email
from quimbi_assets.resources.postgres.tables.similar import SimilarCustomers
from quimbi_assets.resources.postgres.tables.tokens import create_token
from quimbi_assets_tests.resources.published import publish

STORE = "by-address"
ADDRESSES = [f"c{number}@shop.example" for number in range(7)]
ASKED = " C2@Shop.example"
"""As somebody may type it."""


@pytest.fixture(scope="module")
def hashed(database, tmp_path_factory):
    """A store whose orders know customers by address alone, with profiles; the id of one of them."""
    orders = pd.DataFrame(
        {"order_id": range(14), "customer_id": ADDRESSES * 2, "order_date": "2025-01-01", "total_price": 9}
    )
    path = tmp_path_factory.mktemp("addresses") / "orders.csv"
    orders.to_csv(path, index=False)
    load_store(database, STORE, path)
    ids = [find_by_email(database, quimbi_home(), STORE, address, None) for address in ADDRESSES]
    assert all(one.startswith("email:") for one in ids)
    told = {"lifecycle": ["active"] * 7, "value_tier": ["top"] * 7, "churn_risk_score": [0.5] * 7}
    publish(database, STORE, 7, customer_id=pa.array(ids), **{name: pa.array(column) for name, column in told.items()})
    return ids[2]


@pytest.mark.parametrize(
    "command",
    [
        ("profile", "--customer-ids", ASKED, "--json"),
        ("profile", "--email", ASKED, "--json"),
        ("similar", "--customer-id", ASKED, "--json"),
        ("actions", "--customer-id", ASKED, "--json"),
    ],
    ids=" ".join,
)
def test_commands_find_an_address_and_show_the_hash(quimbi, hashed, command):
    name, *options = command
    code, out, err = quimbi(name, "--store-id", STORE, *options)
    assert (code, err) == (0, "")
    assert hashed in out
    assert "@" not in out


@pytest.mark.parametrize("option", ["--customer-id", "--email"])
def test_who_is_meant_by_an_address_is_given_out_and_erased(quimbi, hashed, option):
    code, out, _ = quimbi("export-customer", "--store-id", STORE, option, ASKED, "--out", "-")
    record = json.loads(out)
    assert code == 0
    assert hashed in record["known_as"]["customer_ids"]
    assert record["known_as"]["addresses"] == [ADDRESSES[2]]
    assert [row["email"] for row in record["tables"]["customer_addresses"]["rows"]] == [ADDRESSES[2]]
    code, out, _ = quimbi("erase", "--store-id", STORE, option, ASKED, "--dry-run")
    assert code == 0
    assert "quimbi.customer_addresses    1 row\n" in out


@pytest.mark.parametrize("command", [("customers", "--csv", "-"), ("export", "--format", "csv", "--out", "-")])
def test_lists_for_reading_have_the_address_beside_the_hash(quimbi, hashed, command):
    code, out, _ = quimbi(command[0], "--store-id", STORE, *command[1:])
    assert code == 0
    by_id = {row["customer_id"]: row["email"] for row in csv.DictReader(io.StringIO(out))}
    assert by_id[hashed] == ADDRESSES[2]
    assert sorted(by_id.values()) == ADDRESSES


def test_lists_for_services_have_who_may_be_written_to(quimbi, hashed, tmp_path):
    known = tmp_path / "customers.csv"
    known.write_text("email,accepts_marketing\n" + "".join(f"{one},yes\n" for one in ADDRESSES[:3]))
    code, _, err = quimbi("load", "--store-id", STORE, "--customers", known)
    assert code == 0, err
    code, _, err = quimbi("export", "--store-id", STORE, "--format", "meta", "--out", tmp_path / "meta.csv")
    assert code == 0, err
    with (tmp_path / "meta.csv").open() as file:
        sent = {row["email"] for row in csv.DictReader(file)}
    assert sent >= {hashlib.sha256(one.encode()).hexdigest() for one in ADDRESSES[:3]}
    code, out, err = quimbi("export", "--store-id", STORE, "--format", "klaviyo")
    assert code == 0, err
    assert "without" not in out
    assert '"email": "c' in out
    assert "external_id" not in out


def test_programs_find_an_address_and_are_told_the_hash(hashed, database):
    text, _ = create_token(database, STORE, ["read"], 1)
    app = create_app(database)
    client = TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {text}"})
    below = f"/v1/stores/{STORE}"
    for answer in (
        client.get(f"{below}/customers/{ADDRESSES[2]}"),
        client.get(f"{below}/customers/{ADDRESSES[2]}/similar"),
        client.get(f"{below}/customers/{ADDRESSES[2]}/actions"),
        client.post(f"{below}/customers/by-email", json={"email": ASKED}),
        client.post(f"{below}/route-ticket", json={"customer_id": ADDRESSES[2]}),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.json()["customer_id"] == hashed
        assert "@" not in answer.text
    page = client.get(f"/stores/{STORE}/customers.csv")
    assert hashed in page.text
    assert "@" not in page.text
    app.state.database.close()
    assert read_customer_facts(database, STORE, ADDRESSES[2]).profile["customer_id"] == hashed


def test_agents_find_an_address_and_are_told_the_hash(hashed, database):
    served = ServedDatabase.of(database)
    server = create_server(served, SimilarCustomers(database), STORE)

    async def converse():
        async with Client(server) as client:
            for tool in ("get_customer_profile", "similar_customers", "route_ticket"):
                result = await client.call_tool(tool, {"customer_id": ADDRESSES[2]})
                assert result.structured_content["customer_id"] == hashed, tool
                assert "@" not in result.content[0].text

    anyio.run(converse)
    served.close()
