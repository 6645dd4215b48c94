"""One embedded PostgreSQL a session (and pytest-xdist worker), stopped and removed at its end.

Tests share its tables: each uses store ids of its own.
"""

import gc
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import psycopg2
import pytest

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.resources.postgres.database import Database, administration, open_database
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.spark import has_java
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.administrator import digest_of
from quimbi_assets_tests.messages_api import MessagesApi
from quimbi_assets_tests.resources.postgres.stopping import stop_server

LONGEST_FIRST = (
    "hostile",  # once its store could not be made after many other tests; why is not known
    "graph",
    "spark",
    "docs",
    "naming",
    "robustness",
    "axes",
    "weekly",
    "snapshots",
    "resources/postgres",
    "refits",
    "resources",
    "churn",
    "clustering",
    ".",
    "as-of",
    "automation",
    "lineage",
    "backtest",
)
"""Groups of tests that begin first, so that no worker is left with a long one while the others have ended."""
os.environ.setdefault("QUIMBI_FIRST_WEEK", "1996-12-30")  # weeks of these tests, whenever they are run
NO_SPARK = "Spark needs Java 17 or newer and pyspark: apt-get install default-jre-headless, make setup"

gc.set_threshold(50_000)
"""Objects after which garbage is looked for, as in the command (``cli``): at Python's 700 a tenth of a run's time went
into looking through modules that all stay."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Tests of one folder share fixtures, so one worker runs them all, unless they name a group of their own."""
    # A check of scikit-learn's that always skips itself: no estimator here claims to take other arrays than numpy's.
    items[:] = [item for item in items if "check_array_api_input" not in item.name]
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    groups = {}
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        groups[item] = mark.args[0] if mark else _group(item.path)
        if mark is None:
            item.add_marker(pytest.mark.xdist_group(groups[item]))
    items.sort(key=lambda item: place.get(groups[item], len(place)))


def _group(path: Path) -> str:
    """Return the folder of a test's file, and for the examples in a module the module's folder."""
    tests = Path(__file__).parent
    return str(path.parent.relative_to(tests if path.is_relative_to(tests) else tests.parent))


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A fresh QUIMBI_HOME, exported for subprocesses too; DATABASE_URL unset."""
    path = Path(tempfile.mkdtemp(prefix="quimbi-test-")) / "home"
    path.mkdir()
    before = {name: os.environ.get(name) for name in ("QUIMBI_HOME", "DATABASE_URL")}
    os.environ["QUIMBI_HOME"] = str(path)
    os.environ.pop("DATABASE_URL", None)
    yield path
    stop_server(path)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    shutil.rmtree(path.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def database(home: Path) -> Database:
    """The database of that home, migrated; it waits for no disk, since it does not outlive the tests."""
    opened = open_database(home)
    with closing(psycopg2.connect(administration(opened, opened.libpq_url))) as connection:
        connection.autocommit = True  # ALTER SYSTEM runs in no transaction
        with connection.cursor() as cursor:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                cursor.execute(f"ALTER SYSTEM SET {setting} = off")
            cursor.execute("SELECT pg_reload_conf()")
    return opened


@pytest.fixture(scope="session")
def can_spark() -> None:
    """What Spark needs is there; else the tests are skipped, and the last lines of the report say so."""
    if find_spec("pyspark") is None or not has_java():
        pytest.skip(NO_SPARK)


@pytest.fixture(scope="session")
def spark_session(can_spark):
    """Spark on this machine, one a test process; tests that use it belong to the xdist group ``spark``."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        # The tests end before a better compiler pays.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.ui.showConsoleProgress": "false",
        # Several files a table, however few its rows; to plan anew between stages takes longer than these stages.
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.adaptive.enabled": "false",
        # Not UTC on purpose: the engine must not read clock times in the session's zone.
        "spark.sql.session.timeZone": "America/New_York",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    yield session
    session.stop()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """Say loudly what a machine without Java leaves untested."""
    without = [report for report in terminalreporter.stats.get("skipped", ()) if NO_SPARK in str(report.longrepr)]
    if without:
        terminalreporter.section(f"NOT RUN: Spark, {len(without)} tests", sep="!", red=True, bold=True)
        terminalreporter.line(NO_SPARK)


@pytest.fixture(scope="session", autouse=True)
def no_key() -> Iterator[None]:
    """No test asks the real service, whatever the shell's environment holds."""
    names = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "QUIMBI_NAMING_MODEL")
    names += ("KLAVIYO_API_KEY", "KLAVIYO_BASE_URL", "QUIMBI_WEBHOOK_SECRET")
    names += ("GORGIAS_DOMAIN", "GORGIAS_EMAIL", "GORGIAS_API_KEY", "GORGIAS_BASE_URL")
    before = {name: os.environ.pop(name, None) for name in names}
    yield
    os.environ.update({name: value for name, value in before.items() if value is not None})


@pytest.fixture
def messages_api(monkeypatch) -> Iterator[MessagesApi]:
    """A local Messages API, which the environment points to."""
    api = MessagesApi()
    with api.serving() as address:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", address)
        yield api


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real stores kept beside the repository; tests that use them are skipped where they are absent."""
    path = Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no shared data beside the repository")
    return path


def _load(database, folder: Path, store_id: str, n_customers: int, seed: int) -> None:
    write_store(n_customers, folder, seed=seed)
    load_store(
        database,
        store_id,
        folder / "orders.parquet",
        folder / "order_items.parquet",
        folder / "support_tickets.parquet",
        time_zone="America/New_York",
    )


@pytest.fixture(scope="session")
def north_beside_south(database, tmp_path_factory):
    """Digests of all rows of the store north, which is loaded and run, before and after south is."""
    digests = []
    for store_id, n_customers, seed in (("north", 600, 1), ("south", 400, 2)):
        _load(database, tmp_path_factory.mktemp(store_id), store_id, n_customers, seed)
        run_store(store_id, RunOptions(), Steps(None, store_id))
        digests.append(digest_of(database, "north"))
    return digests


@pytest.fixture(scope="session")
def two_stores(north_beside_south):
    """Store ids of two loaded and run stores."""
    return "north", "south"


@pytest.fixture
def channel():
    """A webhook that answers with the statuses it is given, the last one for ever; keeps what it was sent.

    A status may come with the ``Retry-After`` that is answered.
    """
    statuses, received = [200], []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            status, wish = status if isinstance(status, tuple) else (status, "0")
            body = b"ok"
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", wish)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/services/secret", statuses, received
    server.shutdown()
    thread.join()
    server.server_close()
