"""The two servers and psql as a person meets them: started, asked, stopped."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from quimbi_assets.commands.services import _stop, serve_api
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import EVERY_STORE, client_command
from quimbi_assets_tests.administrator import administer

PASSWORD = "correct horse battery"
pytestmark = pytest.mark.xdist_group("graph")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def servers(two_stores, home, tmp_path):
    """``quimbi ui`` as a process, its home given relative to its working directory, its pages behind a password."""
    dagster, mlflow, pages = free_port(), free_port(), free_port()
    command = [sys.executable, "-m", "quimbi_assets.cli", "ui"]
    ports = ["--dagster-port", str(dagster), "--mlflow-port", str(mlflow), "--page-port", str(pages)]
    process = subprocess.Popen(
        [*command, *ports],
        cwd=home.parent,
        env={**os.environ, "QUIMBI_HOME": home.name, "QUIMBI_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process, dagster, mlflow, pages
    if process.poll() is None:
        process.kill()


def ask(url, payload=None, password=PASSWORD):
    data = None if payload is None else json.dumps(payload).encode()
    said = base64.b64encode(f"quimbi:{password}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {said}"}
    request = urllib.request.Request(url, data, headers)
    for _ in range(240):
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read().decode()
        except HTTPError as refused:
            return refused.code
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


def test_both_uis_show_the_stores_and_stop_on_a_signal(servers):
    process, dagster, mlflow, pages = servers
    node = '{assetNodeOrError(assetKey: {path: ["models", "purchase_value"]}) {... on AssetNode {partitionKeys}}}'
    answer = json.loads(ask(f"http://127.0.0.1:{dagster}/graphql", {"query": node}))
    assert set(answer["data"]["assetNodeOrError"]["partitionKeys"]) >= {"north", "south"}
    listed = ask(f"http://127.0.0.1:{mlflow}/ajax-api/2.0/mlflow/experiments/search", {"max_results": 50})
    assert {"quimbi/north", "quimbi/south"} <= {e["name"] for e in json.loads(listed)["experiments"]}
    assert "north" in ask(f"http://127.0.0.1:{pages}/")
    for port in (dagster, mlflow, pages):
        assert ask(f"http://127.0.0.1:{port}/", password="another one") == 401
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert f"http://127.0.0.1:{dagster}" in said
    assert f"http://127.0.0.1:{mlflow}" in said
    for port in (dagster, mlflow, pages):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


SERVER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(300)"])
print(child.pid, flush=True)
time.sleep(300)
"""
"""A server with a process of its own, as MLflow's, which it does not end where it is killed."""
KEEPING = """
import subprocess, sys, time
from quimbi_assets.commands import services
command = [sys.executable, "-S", "-c", sys.argv[1]]
server = subprocess.Popen(command, start_new_session=True)
with services._until_interrupted([server]):
    print("looked after", flush=True)
    time.sleep(300)
"""


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid):
    for _ in range(150):
        if not lives(pid):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc who lives")
def test_what_a_server_began_ends_with_it_were_it_killed():
    command = [sys.executable, "-S", "-c", SERVER]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True) as server:
        child = int(server.stdout.readline())
        server.kill()
        server.wait()
        assert lives(child)
        _stop([server])
    assert ends(child)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc who lives")
def test_servers_end_where_the_command_is_killed():
    command = [sys.executable, "-c", KEEPING, SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as keeping:
        (child,) = {keeping.stdout.readline().strip(), keeping.stdout.readline().strip()} - {"looked after"}
        assert lives(child)
        keeping.kill()
    assert ends(child)


def test_a_taken_port_is_named(quimbi):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = quimbi("ui", "--dagster-port", port)
    assert (code, out) == (2, "")
    assert f"port {port} is in use; choose another with --dagster-port" in err


def test_psql_opens_on_the_store_database_and_its_exit_code_is_the_command_s(database):
    ask_it = [sys.executable, "-m", "quimbi_assets.cli", "sql", "-c"]
    done = subprocess.run([*ask_it, "SELECT count(*) FROM stores"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "(1 row)" in done.stdout
    assert subprocess.run([*ask_it, "SELECT nothing"], capture_output=True, check=False).returncode == 1


def test_psql_reads_and_changes_nothing_unless_it_is_to(database):
    administer(database, "INSERT INTO quimbi.stores (store_id) VALUES ('psql')")
    command = [sys.executable, "-m", "quimbi_assets.cli", "sql", "-c", "DELETE FROM stores WHERE store_id = 'psql'"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, "permission denied" in refused.stderr) == (1, True)
    assert database.execute(EVERY_STORE, "SELECT count(*) FROM quimbi.stores WHERE store_id = 'psql'") == [(1,)]
    assert subprocess.run([*command, "--write", "--store-id", "psql"], capture_output=True, check=False).returncode == 0
    assert database.execute(EVERY_STORE, "SELECT count(*) FROM quimbi.stores WHERE store_id = 'psql'") == [(0,)]


def test_the_address_is_one_that_sqlalchemy_opens_to_read(quimbi, database):
    code, out, _ = quimbi("sql", "--url")
    assert code == 0
    with create_engine(out.strip()).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM quimbi.stores")) >= 0
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("DELETE FROM quimbi.stores"))
        connection.rollback()
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("SELECT payload FROM quimbi.export_outbox"))
    code, owner, _ = quimbi("sql", "--url", "--write")
    assert owner.strip() == database.url


def test_a_password_is_not_in_psql_s_command():
    address = "postgresql://ann:s%20ecret@db.example:5433/shop"
    program, environment = client_command("psql", address)
    assert "user=ann" in program[-1]
    assert not any("ecret" in word for word in program)
    assert environment["PGPASSWORD"] == "s ecret"


@pytest.mark.parametrize("name", ["https://shop.example", "shop.example:443", "*", ""])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(BadInputError, match="is no host name"):
        serve_api(free_port(), public=[name])
