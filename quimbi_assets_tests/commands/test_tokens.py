"""``quimbi token``: made, shown once, listed, revoked."""

import json

import pytest

from quimbi_assets.resources.postgres.tables.tokens import find_token
from quimbi_assets_tests.administrator import administer


@pytest.fixture
def store(database):
    administer(database, "INSERT INTO quimbi.stores (store_id) VALUES ('with-tokens') ON CONFLICT DO NOTHING")
    return "with-tokens"


def test_a_token_is_made_listed_and_revoked(quimbi, database, store):
    code, out, _ = quimbi("token", "create", "--store-id", store, "--scopes", "read,write", "--days", "30", "--json")
    made = json.loads(out)
    assert (code, set(made)) == (0, {"token", "token_id", "store_id", "scopes", "expires_at"})
    known = find_token(database, made["token"])
    assert (known.token_id, known.store_id, known.scopes) == (made["token_id"], store, ("read", "write"))
    assert (known.expires_at - known.created_at).days in (29, 30)

    def listed():
        _, out, _ = quimbi("token", "list", "--json")
        assert made["token"] not in out
        return {one["token_id"]: one["state"] for one in json.loads(out)["tokens"]}

    assert listed()[made["token_id"]] == "valid"
    assert made["token_id"] in quimbi("token", "list")[1]
    assert quimbi("token", "revoke", made["token_id"])[0] == 0
    assert quimbi("token", "revoke", made["token_id"])[0] == 0
    assert listed()[made["token_id"]] == "revoked"
    assert find_token(database, made["token"]).state == "revoked"


def test_the_token_is_alone_on_stdout(quimbi, database, store):
    _, out, err = quimbi("token", "create", "--store-id", store)
    assert find_token(database, out.strip()).store_id == store
    assert out.strip() not in err
    assert "may do nothing" not in err
    code, _, err = quimbi("token", "create", "--store-id", store, "--scopes", "write", "--json")
    assert (code, "this token may do nothing" in err) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--store-id", "nowhere"),
        ("create", "--store-id", "with-tokens", "--scopes", "everything"),
        ("create", "--store-id", "with-tokens", "--scopes", ","),
        ("create", "--store-id", "with-tokens", "--days", "0"),
        ("revoke", "none-such"),
    ],
)
def test_what_cannot_be_is_said(quimbi, store, arguments):
    code, out, err = quimbi("token", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
