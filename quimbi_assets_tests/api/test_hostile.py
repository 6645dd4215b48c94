"""Requests that nobody means well by, or that an odd id makes: each has a documented answer, and none is a fault."""

import base64
import json

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from quimbi_assets.api.app import create_app
from quimbi_assets.api.guard import MOST_BYTES
from quimbi_assets.api.routes import PROBLEMS
from quimbi_assets.resources.postgres.tables.tokens import create_token
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

ODD_IDS = ("a", "a/similar", "similar", "x/y z", "by-email", "50%", "?#&", "é" * 100)
LONG, LONGEST_PATH = "x" * 100_000, "x" * 60_000
BIG = "9" * 400


@pytest.fixture(scope="module")
def client(database):
    publish(database, "odd", len(ODD_IDS), customer_id=pa.array(ODD_IDS))
    administer(
        database, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES ('unrun', 'UTC') ON CONFLICT DO NOTHING"
    )
    app = create_app(database)
    yield TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    app.state.database.close()


@pytest.fixture(scope="module")
def ask(client, database):
    """Asks below a store with a token of it."""
    tokens = {store: create_token(database, store, ["read"], 1)[0] for store in ("odd", "unrun")}

    def asked(path, method="GET", store="odd", **options):
        headers = {"Authorization": f"Bearer {tokens[store]}", **options.pop("headers", {})}
        return client.request(method, f"/v1/stores/{store}{path}", headers=headers, **options)

    return asked


def written(customer_id):
    """An id as the address of it has it: no slash of its own is one."""
    return "".join(f"%{byte:02X}" for byte in customer_id.encode())


@pytest.mark.parametrize("customer_id", ODD_IDS)
def test_whoever_has_a_profile_can_be_asked_for_and_whom_they_are_like(ask, customer_id):
    profile = ask(f"/customers/{written(customer_id)}")
    assert (profile.status_code, profile.json()["customer_id"]) == (200, customer_id)
    alike = ask(f"/customers/{written(customer_id)}/similar", params={"limit": 2})
    assert (alike.status_code, alike.json()["customer_id"]) == (200, customer_id)


@pytest.mark.parametrize("path", ["/segments", "/trends", "/migrations", "/fallen-silent", "/customers", "/at-risk"])
def test_a_store_that_was_never_run_says_so(ask, path):
    answer = ask(path, store="unrun")
    assert answer.status_code == 422
    assert "yet; compute them: quimbi run --store-id unrun" in answer.json()["detail"]


def cursor(*content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def last_cursor(ask):
    return ask("/customers", params={"limit": 1}).json()["next_cursor"]


def damaged(text):
    """A cursor whose digest is good and whose place is not what it should be, in every way."""
    digest, value, customer_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    for places in (
        (digest, "NaN", customer_id), (digest, [value], customer_id), (digest, value, [customer_id]),
        (digest, {"$gt": 0}, customer_id), (digest, 1e308, customer_id), (digest, int(BIG), customer_id),
        (digest, value, "\0"), (digest, value, "\ud800"), (digest, value, None), (digest, True, customer_id),
        (digest, value), (digest, value, customer_id, 1), (digest,), (), (digest, value, "'; DROP TABLE x --"),
    ):  # fmt: skip
        yield cursor(*places)
    yield from ("", "=", "%", "é", "[" * 3_000, base64.urlsafe_b64encode(b"[" * 2_000).decode(), text[:-1], text * 2)
    yield base64.urlsafe_b64encode(b"\xff\xfe").decode()


def test_no_cursor_does_harm(ask):
    for text in damaged(last_cursor(ask)):
        for path in ("/customers", "/worth-saving", "/audiences/worth_saving"):
            answer = ask(path, params={"cursor": text, "limit": 1})
            assert answer.status_code in (200, 404, 422), (path, text, answer.text)


REQUESTS = [
    ("GET", f"/customers/{LONGEST_PATH}", {}),
    ("GET", f"/customers/{LONGEST_PATH}/similar", {}),
    ("GET", "/customers/%00", {}),
    ("GET", "/customers/a%00b/similar", {}),
    ("GET", "/customers/%ff%fe", {}),
    ("GET", "/customers/%ED%A0%80", {}),
    ("GET", "/customers//similar", {}),
    ("GET", "/customers/..%2f..%2fsouth", {}),
    ("GET", f"/customers?limit={BIG}", {}),
    ("GET", f"/customers?min_risk={BIG}", {}),
    ("GET", "/customers?min_risk=nan", {}),
    ("GET", "/customers?limit=-1", {}),
    ("GET", f"/customers?where=value%20%3E%20{BIG}", {}),
    ("GET", f"/customers?where={'(' * 5_000}", {}),
    ("GET", f"/customers?where={LONGEST_PATH}", {}),
    ("GET", "/customers?where=customer_id%20%3D%20'%00'", {}),
    ("GET", "/customers?limit=1&limit=2", {}),
    ("GET", f"/trends?weeks={BIG}", {}),
    ("GET", "/migrations?week=99999-99-99", {}),
    ("GET", "/migrations?week=0001-01-01", {}),
    ("GET", f"/audiences/{LONGEST_PATH}", {}),
    ("GET", "/audiences/%00", {}),
    ("POST", "/customers/by-email", {"content": b"email=a@b.c", "headers": {"Content-Type": "text/plain"}}),
    ("POST", "/customers/by-email", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/customers/by-email", {"content": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/customers/by-email", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}),
    ("POST", "/customers/by-email", {"content": b'{"email": "a\\u0000@b.c"}'}),
    ("POST", "/customers/by-email", {"content": b'{"email": "\\ud800@b.c"}'}),
    ("POST", "/customers/by-email", {"json": {"email": LONG}}),
    ("POST", "/customers/by-email", {"json": {"email_sha256": "0" * 63}}),
    ("POST", "/customers/by-email", {"json": []}),
    ("POST", "/customers/by-email", {}),
    ("POST", "/customers/by-email", {"content": b" " * (MOST_BYTES + 1)}),
    ("POST", "/customers/by-email", {"content": iter([b"{}"])}),
    ("POST", "/customers/by-email", {"content": b"a=1", "headers": {"Content-Type": "multipart/form-data"}}),
    ("POST", "/profiles", {"content": b'{"orders": [{"order_id": "1", "total_price": 1e400}]}'}),
    ("POST", "/profiles", {"content": b'{"orders": [{"total_price": NaN}]}'}),
    ("POST", "/profiles", {"json": {"orders": None}}),
    ("HEAD", "/customers", {}),
    ("OPTIONS", "/customers", {}),
    ("TRACE", "/customers", {}),
    ("PUT", "/customers", {}),
    ("DELETE", "/customers/a", {}),
    ("BREW", "/customers", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "options"), REQUESTS, ids=range(len(REQUESTS)))
def test_every_answer_is_a_documented_one(ask, method, path, options):
    answer = ask(path, method, **options)
    assert answer.status_code in {200, 405, *PROBLEMS} - {500}, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", (answer.status_code, answer.text[:200])
        assert len(answer.content) < 4_000
