"""Whether pages ask for the password, and nothing else does."""

import base64

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.login import LEAST_CHARACTERS, Login, password

WORDS = "pässword of the shop"


async def echo(scope, receive, send):
    """Answer everything."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return await send({"type": "websocket.close", "code": 1000})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    return await send({"type": "http.response.body", "body": b"in"})


def basic(user, words):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{words}".encode()).decode()}


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("QUIMBI_PASSWORD", WORDS)
    return TestClient(Login(echo, open_to=("/v1",)))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("quimbi", "another"),
        basic("quimbi", WORDS + " "),
        basic("quimbi", ""),
        basic("ann", WORDS),
        {"Authorization": basic("quimbi", WORDS)["Authorization"].replace("Basic", "Bearer")},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic é".encode("latin-1")},
    ],
)
def test_who_does_not_say_it_is_kept_out(client, headers):
    answer = client.get("/stores/mine", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"][:20]) == (401, 'Basic realm="quimbi"')
    assert WORDS not in answer.text
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/graphql", headers=headers):
        pass
    assert closed.value.code == 1008


def test_who_says_it_is_let_in(client):
    assert client.get("/stores/mine", headers=basic("quimbi", WORDS)).text == "in"
    with client.websocket_connect("/graphql", headers=basic("quimbi", WORDS)):
        pass


def test_programs_are_asked_for_a_token_instead(client):
    assert client.get("/v1").text == client.get("/v1/stores").text == "in"
    assert client.get("/v12").status_code == client.get("/stores/v1/").status_code == 401


def test_without_one_nobody_is_asked_and_a_short_one_is_refused(monkeypatch):
    monkeypatch.delenv("QUIMBI_PASSWORD", raising=False)
    assert TestClient(Login(echo)).get("/").text == "in"
    for short in ("", "x" * (LEAST_CHARACTERS - 1)):
        monkeypatch.setenv("QUIMBI_PASSWORD", short)
        with pytest.raises(BadInputError, match=r"fewer than 12 characters"):
            password()


def test_the_pages_ask_and_the_programs_do_not(monkeypatch, database):
    from quimbi_assets.api.app import create_app

    monkeypatch.setenv("QUIMBI_PASSWORD", WORDS)
    client = TestClient(create_app(database), base_url="http://127.0.0.1")
    assert client.get("/").status_code == 401
    assert client.get("/mlflow/axes/purchase_value?store=x").status_code == 401
    assert client.get("/", headers=basic("quimbi", WORDS)).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/v1/stores").headers["WWW-Authenticate"].startswith("Bearer")
