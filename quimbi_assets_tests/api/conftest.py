"""The application on two stores that were run, and what a program with a token of one of them gets."""

import socket
import threading
import time
from contextlib import closing

import pytest
import uvicorn
from fastapi.testclient import TestClient

from quimbi_assets.api.app import create_app
from quimbi_assets.resources.postgres.tables.tokens import create_token, revoke_token
from quimbi_assets_tests.administrator import administer


@pytest.fixture(scope="session")
def app(two_stores, database):
    made = create_app(database)
    yield made
    made.state.database.close()


@pytest.fixture(scope="module")
def listening(database):
    """An application that really listens, and where."""
    app = create_app(database)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield app, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    app.state.database.close()


@pytest.fixture(scope="module")
def address(listening):
    """Where it listens."""
    return listening[1]


@pytest.fixture(scope="session")
def client(app):
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture(scope="session")
def token(database, two_stores):
    text, _ = create_token(database, "north", ["read"], 1)
    return text


@pytest.fixture(scope="session")
def headers(database, two_stores):
    """What a program sends with each kind of token."""
    texts = {}
    for kind, store, scopes in (
        ("good", "north", ["read"]),
        ("expired", "north", ["read"]),
        ("revoked", "north", ["read"]),
        ("other store's", "south", ["read", "notify", "write"]),
        ("scope", "north", ["write"]),
    ):
        texts[kind], token = create_token(database, store, scopes, 1)
        if kind == "expired":
            sql = "UPDATE quimbi.tokens SET expires_at = now() - interval '1 s' WHERE token_id = %s"
            administer(database, sql, (token.token_id,))
        if kind == "revoked":
            revoke_token(database, token.token_id)
    texts["wrong"] = texts["good"][:-2] + ("A_" if texts["good"][-2] != "A" else "B_")
    sent = {kind: {"Authorization": f"Bearer {text}"} for kind, text in texts.items()}
    return sent | {"none": {}, "no scheme": {"Authorization": texts["good"]}}


@pytest.fixture(scope="session")
def ask(client, token):
    """Asks for a path below the store north; returns the answer, which must be of that status."""

    def asked(path, status=200, method="GET", **options):
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.request(method, f"/v1/stores/north{path}", headers=headers, **options)
        assert answer.status_code == status, answer.text
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer.json()

    return asked
