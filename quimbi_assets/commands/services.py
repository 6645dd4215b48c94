"""Serves what people look at a store with: its page, Dagster, MLflow, and psql on its database.

Belongs here: starting, watching and ending these programs. Does not: what they show.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import quote, urlencode

from quimbi_assets.commands.console import err, out
from quimbi_assets.errors import BadInputError, UnknownStoreError
from quimbi_assets.resources.home import directory, pages_noted, quimbi_home
from quimbi_assets.resources.postgres.access import READ_ONLY, allow_reading
from quimbi_assets.resources.postgres.database import Database, client_command, open_database
from quimbi_assets.resources.postgres.migrations import WORKER

HOST = "127.0.0.1"
READY_SECONDS = 120
STOPPING_SECONDS = 20.0
_KEEPER = """
import os, signal, sys, time
sys.stdin.read()
for number in (signal.SIGINT, signal.SIGKILL):
    for group in map(int, sys.argv[2:]):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            pass
    time.sleep(float(sys.argv[1]))
"""
"""What a process does that ends groups of others once the one that began it has, killed or not: its input ends then."""
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def serve_api(port: int, host: str = HOST, public: Sequence[str] = ()) -> None:
    """Serve the pages of stores, and ``/v1`` for programs, until interrupted.

    With public names there are no pages, since these have no login. BadInputError where it should listen to others
    without any such name.
    """
    import uvicorn

    from quimbi_assets.api.app import create_app

    if host not in (HOST, "::1", "localhost") and not public:
        raise BadInputError(f"--host {host} lets others in: say by which name they ask, --public shop.example")
    for name in public:
        if not HOST_NAME.fullmatch(name):
            raise BadInputError(f"--public {name!r} is no host name: write shop.example, without https:// and port")
    _refuse_used({"--port": port})
    app = create_app(open_database(), public)
    address = f"http://{host}:{port}"
    # Noted for links that runs of the command write meanwhile; those for programs alone are nowhere to send people.
    with nullcontext() if public else pages_noted(address):
        pages = "" if public else f"pages     {address}\n"
        out.print(f"{pages}programs  {address}/v1   (Ctrl-C stops)", markup=False)
        uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False)


def serve_agent(store_id: str) -> None:
    """Serve a store's tools to the agent that started this process, on standard input and output, until it ends.

    Nothing else is written there. BadInputError if there is no such store, or it was not run yet.
    """
    from quimbi_assets.api.mcp_server import create_server
    from quimbi_assets.resources.postgres.access import ServedDatabase
    from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
    from quimbi_assets.resources.postgres.tables.similar import SimilarCustomers

    database = open_database()
    try:
        read_vocabulary(database, store_id)
    except UnknownStoreError as error:
        where = "DATABASE_URL" if database.home is None else f"QUIMBI_HOME {database.home}"
        raise UnknownStoreError(f"{error}; looked in {where}") from error
    create_server(ServedDatabase.of(database), SimilarCustomers(database), store_id).run("stdio")


def serve(dagster_port: int, mlflow_port: int, page_port: int, *, automate: bool = False) -> None:
    """Serve pages and both UIs until interrupted; ``automate``: with all schedules and sensors switched on."""
    from quimbi_assets.resources.login import USER, password

    behind = [] if password() is None else ["--app-name", "quimbi"]  # `resources.login.mlflow_pages`
    _refuse_used({"--dagster-port": dagster_port, "--mlflow-port": mlflow_port, "--page-port": page_port})
    # Started in the background of a script, a process inherits "ignore" for Ctrl-C; a supervisor sends SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    err.print("starting the database, Dagster and MLflow ...")
    from quimbi_assets.instants import FIRST_WEEK_VARIABLE
    from quimbi_assets.resources.dagster_instance import dagster_home
    from quimbi_assets.resources.dagster_resources import open_tracking
    from quimbi_assets.resources.postgres.tables.history import first_week

    mlflow_command, mlflow_env = open_tracking().serve_command(HOST, mlflow_port)
    environment = {**os.environ, "DAGSTER_HOME": str(dagster_home()), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    environment["PYTHONWARNINGS"] = "ignore"
    environment |= {"QUIMBI_AUTOMATE": "1"} if automate else {}
    environment.setdefault(FIRST_WEEK_VARIABLE, str(first_week(open_database())))
    # The servers work in a folder of their own; a home relative to this one would become another.
    environment["QUIMBI_HOME"] = str(quimbi_home())
    # Behind a proxy they go by other addresses, which somebody has set then.
    environment.setdefault("QUIMBI_DAGSTER_UI", f"http://{HOST}:{dagster_port}")
    environment.setdefault("QUIMBI_MLFLOW_UI", f"http://{HOST}:{mlflow_port}")
    environment.setdefault("QUIMBI_PAGES_UI", f"http://{HOST}:{page_port}")
    dagster = [sys.executable, "-m", "quimbi_assets.commands.dagster_server", HOST, str(dagster_port)]
    home = dagster_home()
    servers = [
        _start("dagster", dagster, environment, home),
        _start("mlflow", [*mlflow_command, *behind], {**environment, **mlflow_env}, home),
        _start(
            "pages", [sys.executable, "-m", "quimbi_assets.cli", "api", "--port", str(page_port)], environment, home
        ),
    ]
    with _until_interrupted(servers):
        _announce(servers, {"pages": page_port, "Dagster": dagster_port, "MLflow": mlflow_port})
        if behind:
            out.print(f"All ask for the password, of user {USER}.")
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        err.print("one of the servers ended; stopping the others")


def print_url(*, write: bool, store_id: str | None) -> None:
    """Print the address of the store database as SQLAlchemy takes it: to read, or as ``_session`` says."""
    database = open_database()
    options, joined = _session(database, store_id, write=write), "&" if "?" in database.url else "?"
    options = f"{joined}{urlencode({'options': options}, quote_via=quote)}" if options else ""
    out.print(f"{database.url}{options}", markup=False)


def _session(database: Database, store_id: str | None, *, write: bool) -> str:
    """Return the session's options: to read all stores, to write one's rows, or to be the owner, who sees no row."""
    if not write:
        allow_reading(database)
        return READ_ONLY
    if store_id is None:
        return ""
    from quimbi_assets.resources.postgres.tables.stores import read_store

    read_store(database, store_id)
    return f"-c role={WORKER} -c quimbi.store_id={store_id}"


def open_psql(command: str | None, *, write: bool, store_id: str | None) -> int:
    """Run the embedded server's psql on the store database until it ends, and return its exit code.

    The server lives for as long: an address taken from ``print_url`` answers in other programs meanwhile.
    """
    database = open_database()
    session = f"-c search_path=quimbi,public {_session(database, store_id, write=write)}".rstrip()
    program, environment = client_command("psql", database.libpq_url, session)
    options = ["--quiet", *([] if command is None else ["--command", command])]
    with subprocess.Popen([*program, *options], env={**os.environ, **environment}) as psql:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends a query of psql's, not the session
        return psql.wait()


def _start(name: str, command: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C reaches it only through ``_stop``; log beside it."""
    with _log(name).open("ab") as log:
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def _log(name: str) -> Path:
    return directory(quimbi_home() / "logs") / f"{name}.log"


def _refuse_used(ports: Mapping[str, int]) -> None:
    """Refuse, as bad input, ports that somebody listens on; they go by the options that set them."""
    for flag, port in ports.items():
        if _open(port):
            raise BadInputError(f"port {port} is in use; choose another with {flag}")


def _announce(servers: list[subprocess.Popen[bytes]], waiting: dict[str, int]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while waiting and time.monotonic() < deadline and all(server.poll() is None for server in servers):
        for name, port in list(waiting.items()):
            if _open(port):
                out.print(f"{name:8} http://{HOST}:{port}")
                del waiting[name]
        time.sleep(0.2)
    for name in waiting:
        err.print(f"{name} does not answer; see {_log(name.lower())}", markup=False)
    out.print(f"Ctrl-C stops all. Logs: {_log('dagster').parent}", markup=False)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def _until_interrupted(servers: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """End servers with the block, with Ctrl-C, and with this process were it killed: their ports would stay in use."""
    command = [sys.executable, "-S", "-c", _KEEPER, "5", *(str(server.pid) for server in servers)]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    except KeyboardInterrupt:
        err.print("stopping")
    finally:
        keeper.kill()
        _stop(servers)


def _stop(servers: list[subprocess.Popen[bytes]]) -> None:
    """End servers and whatever they began, which stays and keeps a port where a server was killed."""
    for number in (signal.SIGINT, signal.SIGKILL):
        left, deadline = _signal(servers, number), time.monotonic() + STOPPING_SECONDS
        while left and time.monotonic() < deadline:
            time.sleep(0.1)
            left = _signal(left, 0)


def _signal(servers: list[subprocess.Popen[bytes]], number: int) -> list[subprocess.Popen[bytes]]:
    """Send a signal to servers and whatever they began; return those of which there was anything left."""
    left = []
    for server in servers:
        server.poll()  # who has ended and was not asked for still counts
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, number)
            left.append(server)
    return left
