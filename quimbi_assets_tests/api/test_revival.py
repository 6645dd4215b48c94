"""The embedded server killed under the application: started again by the next question, or a clear answer why not."""

import os
import signal
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from quimbi_assets.api.app import create_app
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
from quimbi_assets.resources.postgres.server import files
from quimbi_assets.resources.postgres.tables.tokens import create_token
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.postgres.stopping import stop_server


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield tmp_path
    stop_server(tmp_path)


def kill(database, data: Path):
    """Kill the server, and wait for its connections' processes, which answer a little longer than it lives."""
    pid = files.postmaster_pid(data)
    connections = [one for (one,) in database.execute(EVERY_STORE, "SELECT pid FROM pg_stat_activity")]
    os.kill(pid, signal.SIGKILL)
    while files.postmaster_pid(data) is not None or any(map(runs, connections)):
        time.sleep(0.01)
    return pid


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie, where /proc says so."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def test_a_killed_server_is_started_again_by_whoever_asks(home):
    database, data = open_database(home), home / "postgres"
    administer(database, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES ('shop', 'UTC')")
    token, _ = create_token(database, "shop", ["read"], 1)
    app = create_app(database)
    client = TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"})
    for path in ("/", "/v1/stores", "/healthz", "/mlflow/axes/purchase_value?store=shop"):
        before = client.get(path).status_code
        killed = kill(database, data)
        assert client.get(path).status_code == before, path
        assert files.postmaster_pid(data) not in (None, killed)
    kill(database, data)
    data.rename(home / "postgres.away")
    data.mkdir()
    answers = {path: client.get(path) for path in ("/", "/v1/stores", "/healthz")}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 503)
    assert answers["/"].headers["content-type"].startswith("text/html")
    assert "is no PostgreSQL data directory" in answers["/v1/stores"].json()["detail"]
    assert all(int(answers[path].headers["retry-after"]) > 0 for path in answers)
    data.rmdir()
    (home / "postgres.away").rename(data)
    assert client.get("/v1/stores").status_code == 200
    app.state.database.close()
