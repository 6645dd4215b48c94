"""The embedded server under Ctrl-C, SIGKILL, crashes and company: real processes, really killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg2
import pytest

from quimbi_assets.errors import DatabaseUnavailableError
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.server.embedded import start_server
from quimbi_assets.resources.postgres.server.files import postmaster_pid, recorded_socket_dir
from quimbi_assets_tests.administrator import administering
from quimbi_assets_tests.resources.postgres.stopping import stop_server

pytestmark = pytest.mark.xdist_group("robustness")

USER = """
import sys
from pathlib import Path
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database

def ask():
    with database.transaction(EVERY_STORE) as cursor:
        cursor.execute("SELECT count(*) FROM quimbi.stores")
        print("stores", cursor.fetchone()[0], flush=True)

database = open_database(Path(sys.argv[1]))
ask()
for line in sys.stdin:
    ask()
"""
"""Opens the database, asks it a question, and one more for every line on stdin; ends with stdin."""
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""Whatever the tests were started by: a shell's background job would be deaf to it."""


@pytest.fixture
def fresh():
    """A home without a server yet; whatever runs in it is stopped."""
    path = Path(tempfile.mkdtemp(prefix="quimbi-test-"))
    yield path
    stop_server(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(fresh):
    """Start a process that uses the fresh home's database."""
    started = []

    def run(wait=True, home=fresh):
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment.pop("XDG_RUNTIME_DIR", None)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", HEARS_CTRL_C + USER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # a process group of its own, as a terminal gives it
        )
        started.append(process)
        if wait:
            assert process.stdout.readline() == "stores 0\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def end(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    return out


def ask(process):
    process.stdin.write("again\n")
    process.stdin.flush()
    return process.stdout.readline()


def running(home):
    return postmaster_pid(home / "postgres")


def test_processes_starting_at_once_share_one_server(start, fresh):
    processes = [start(wait=False) for _ in range(4)]
    assert [end(process) for process in processes] == ["stores 0\n"] * 4
    assert running(fresh) is None


def test_why_it_does_not_start_is_said_and_not_what_was_wrong_before(start, fresh):
    end(start())
    with (fresh / "postgres.log").open("a") as log:
        log.write("FATAL:  terminating connection due to administrator command\n")
    (fresh / "postgres" / "postgresql.conf").unlink()
    with pytest.raises(DatabaseUnavailableError, match=r"could not access .*postgresql\.conf"):
        start_server(fresh)


def test_one_ends_while_another_works(start, fresh):
    first, second = start(), start()
    server = running(fresh)
    end(first)
    assert running(fresh) == server
    assert ask(second) == "stores 0\n"
    end(second)
    assert running(fresh) is None


def test_killed_process_neither_stops_nor_leaks_the_server(start, fresh):
    killed, other = start(), start()
    killed.kill()
    killed.wait()
    assert ask(other) == "stores 0\n"
    other.kill()
    other.wait()
    assert running(fresh) is not None
    end(start())
    assert running(fresh) is None


def test_ctrl_c_does_not_reach_the_server(start, fresh):
    starter, other = start(), start()
    connection = psycopg2.connect(start_server(fresh))
    os.killpg(starter.pid, signal.SIGINT)
    starter.communicate(timeout=60)
    assert starter.returncode != 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    connection.close()
    assert ask(other) == "stores 0\n"


@pytest.mark.parametrize(
    ("how", "seconds"),
    [(signal.SIGKILL, 0.1), (signal.SIGINT, 0.25), (signal.SIGKILL, 0.4), (signal.SIGINT, 0.6), (signal.SIGKILL, 0.6)],
)
def test_interrupted_first_start_leaves_it_usable(start, fresh, how, seconds):
    interrupted = start(wait=False)
    time.sleep(seconds)
    os.killpg(interrupted.pid, how)
    interrupted.communicate(timeout=60)
    end(start())
    assert running(fresh) is None
    assert not list(fresh.glob("postgres.init-*"))


def test_crashed_server_restarts_with_its_data(fresh):
    database = open_database(fresh)
    with administering(database) as cursor:
        cursor.execute("INSERT INTO quimbi.stores (store_id) VALUES ('kept')")
    crashed = running(fresh)
    os.kill(crashed, signal.SIGKILL)
    with administering(open_database(fresh)) as cursor:
        cursor.execute("SELECT store_id FROM quimbi.stores")
        assert cursor.fetchall() == [("kept",)]
    assert running(fresh) != crashed


def test_crash_under_a_busy_backend(fresh):
    database = open_database(fresh)
    busy = psycopg2.connect(database.libpq_url, async_=False)
    with busy.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE held AS SELECT generate_series(1, 100000)")
    os.kill(running(fresh), signal.SIGKILL)
    with administering(open_database(fresh)) as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    busy.close()


def test_pid_file_naming_another_process(start, fresh):
    end(start())
    (fresh / "postgres" / "postmaster.pid").write_text(
        f"{os.getpid()}\n{fresh}/postgres\n1700000000\n5432\n{fresh}/postgres\n\n  1 1\nready   \n"
    )
    end(start())
    assert running(fresh) is None


@pytest.mark.parametrize("name", ["a b", "x" * 120, "ünï 'quoted', $HOME \"and\" `more`"])
def test_awkward_home(start, fresh, name):
    home = fresh / name
    home.mkdir()
    end(start(home=home))
    assert running(home) is None


def test_directory_that_is_no_database_is_named(fresh):
    (fresh / "postgres").mkdir()
    with pytest.raises(DatabaseUnavailableError, match="move it away"):
        open_database(fresh)


def test_other_version_is_named(fresh):
    (fresh / "postgres").mkdir()
    (fresh / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseUnavailableError, match="PostgreSQL 16"):
        open_database(fresh)


def test_stop_is_idempotent_and_the_next_open_starts_again(fresh):
    open_database(fresh)
    stop_server(fresh)
    stop_server(fresh)
    assert running(fresh) is None
    open_database(fresh)
    assert running(fresh) is not None


def test_socket_outside_a_long_home_leaves_nothing_behind(fresh):
    home = fresh / ("x" * 120)
    home.mkdir()
    open_database(home)
    sockets = recorded_socket_dir(home / "postgres")
    assert sockets.parent == Path(tempfile.gettempdir())
    stop_server(home)
    assert not sockets.exists()
