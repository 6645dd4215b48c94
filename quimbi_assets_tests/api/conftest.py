"""The application on two stores that were run, and what a program with a token of one of them gets."""

import pytest
from fastapi.testclient import TestClient

from quimbi_assets.api.app import create_app
from quimbi_assets.resources.postgres.tables.tokens import create_token


@pytest.fixture(scope="session")
def app(two_stores, database):
    made = create_app(database)
    yield made
    made.state.database.close()


@pytest.fixture(scope="session")
def client(app):
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture(scope="session")
def token(database, two_stores):
    text, _ = create_token(database, "north", ["read"], 1)
    return text


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
