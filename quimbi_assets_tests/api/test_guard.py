"""Who is let through: every route with every kind of token, by every name of the server."""

import pytest
from fastapi.testclient import TestClient

from quimbi_assets.api import answers
from quimbi_assets.api.app import HEADERS, create_app
from quimbi_assets.api.guard import AGENTS
from quimbi_assets.api.routes import router
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables.tokens import create_token, list_tokens

pytestmark = pytest.mark.xdist_group("graph")
OPEN = {"/healthz", "/openapi.json", "/", "/stores/{store_id}", "/stores/{store_id}/customers.csv",
        "/stores/{store_id}/customers/{customer_id:path}",
        "/mlflow/axes/{axis_name}", "/mlflow/runs/{run_id}", "/mlflow/runs/{run_id}/{picture}"}  # fmt: skip
"""Routes without a token: whether it lives, what there is, and the pages for who sits at this machine."""
STATUS = {
    "none": 401,
    "wrong": 401,
    "no scheme": 401,
    "expired": 401,
    "revoked": 401,
    "other store's": 404,
    "scope": 403,
}
WHERE = {"store_id": "north", "customer_id": "c0000001", "audience": "cooling", "axis": "purchase_value", "path": "x"}
ROUTES = [(method, route.path) for route in router.routes for method in sorted(route.methods)]


def flat(routes):
    """All routes, those of included routers and mounted applications too."""
    for route in routes:
        inner = getattr(route, "original_router", route)
        yield from [route] if inner is route else flat(inner.routes)


def test_no_route_is_open_but_those_that_are_known_to_be(app):
    paths = {route.path for route in flat(app.routes)}
    assert {path for path in paths if not path.startswith("/v1/")} == OPEN | {AGENTS}
    assert {path for _, path in ROUTES} == {path for path in paths if path.startswith("/v1/")}


@pytest.mark.parametrize("kind", STATUS)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_other_token_opens_any_route(client, headers, method, path, kind):
    asked = path.replace(":path", "").format(**WHERE)
    card = path == "/v1/gorgias/card"
    parameters = {"email": "nobody@example.com"} if card else {}
    answer = client.request(method, asked, headers=headers[kind], params=parameters)
    is_of_token = kind == "other store's" and path in ("/v1/stores", "/v1/gorgias/card")  # a call's is: 404, too
    expected = 200 if is_of_token else STATUS[kind]
    assert answer.status_code == expected, answer.text
    if expected == 200:
        listed = answer.json()
        assert listed == {"known": "no"} if card else [one["store_id"] for one in listed["items"]] == ["south"]
        return
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert answer.headers.get("www-authenticate", "").startswith("Bearer") == (expected in (401, 403))
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_an_unknown_store_and_another_one_s_are_told_apart_by_nothing(client, headers):
    texts = [client.get(f"/v1/stores/{store}/axes", headers=headers["good"]).text for store in ("south", "nowhere")]
    assert texts[0].replace("south", "nowhere") == texts[1]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/stores/north/secrets", 404),
        ("GET", "/v1/stores/north", 404),
        ("POST", "/v1/stores", 405),
        ("DELETE", "/v1/stores/north/customers/1", 405),
        ("GET", "/v1/stores/north/customers/a%00b", 404),
        ("GET", "/v1/stores/north/customers?where=%00", 404),
    ],
)
def test_what_there_is_not_is_said_as_json(client, headers, method, path, status):
    answer = client.request(method, path, headers=headers["good"])
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_a_body_is_not_read_without_end(client, headers):
    far = "/v1/stores/north/axes"
    for more in ({"Content-Length": "5000000"}, {"Transfer-Encoding": "chunked"}):
        assert client.request("GET", far, headers=headers["good"] | more).status_code == 413
    assert client.request("GET", far, headers=headers["none"] | {"Content-Length": "5000000"}).status_code == 401


def test_what_fails_has_the_headers_of_every_answer(app, headers, monkeypatch):
    def fail(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(answers, "list_axes", fail)
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    answer = client.get("/v1/stores/north/axes", headers=headers["good"])
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "private, no-store")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "secret" not in answer.text


def test_only_a_hash_of_a_token_is_kept_and_that_it_was_used(database, client):
    token, made = create_token(database, "north", ["read"], 1)
    text = database.execute(EVERY_STORE, "SELECT string_agg(t::text, ' ') FROM quimbi.tokens AS t")[0][0]
    assert token not in text
    assert token.removeprefix("quimbi_") not in text
    assert _last_used(database, made.token_id) is None
    client.get("/v1/stores", headers={"Authorization": f"Bearer {token}"})
    assert _last_used(database, made.token_id) is not None


def _last_used(database, token_id):
    return {one.token_id: one.last_used_at for one in list_tokens(database)}[token_id]


def test_by_a_public_name_programs_are_answered_and_pages_are_not_there(database, headers):
    app = create_app(database, ["Shop.example"])
    at = TestClient(app, base_url="https://shop.example:8443")
    assert at.get("/v1/stores", headers=headers["good"]).status_code == 200
    assert at.get("/stores/north").status_code == 404
    assert at.get("/stores/north", headers={"Host": "127.0.0.1"}).status_code == 404
    assert at.get("/v1/stores", headers={"Host": "evil.example", **headers["good"]}).status_code == 400
    app.state.database.close()
