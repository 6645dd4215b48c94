"""The embedded server as a process: started and waited for, asked to end and waited for.

Belongs here: the process. Does not: who uses it and when it ends (``embedded``), its files (``files``).
Callers hold the home's exclusive lock.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psycopg2

from quimbi_assets.errors import DatabaseUnavailableError
from quimbi_assets.resources.postgres.server import files

START_TIMEOUT = 120.0
"""Seconds a start may take; recovery after a crash of a busy server is the slow case."""

SETTINGS = {
    "listen_addresses": "",  # a socket in a private directory only
    "max_connections": "200",  # Dagster's processes and MLflow each keep a pool
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",  # a bulk load of 1.5 M lines without forced checkpoints
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",  # /dev/shm is 64 MB in a container: parallel plans fail there
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def ensure_running(home: Path, lock: int) -> str:
    """Start the server unless it answers already; `lock` is the descriptor of the exclusive lock."""
    data = home / "postgres"
    files.initialise(data, lock)
    if files.postmaster_pid(data) is not None:
        sockets = files.recorded_socket_dir(data)
        if sockets is not None:
            url = _url(sockets)
            _wait_until_ready(url, home)
            return url
        stop(home)  # whoever started it was killed before it wrote where it listens
    return _start(home, data)


def _start(home: Path, data: Path) -> str:
    """Start the server, and again while backends of a killed one are still ending (they notice within moments)."""
    sockets = files.socket_dir(data)
    url, deadline = _url(sockets), time.monotonic() + 20
    while True:
        files.remove_leftovers(data, sockets)
        try:
            _launch(home, data, sockets)
            _wait_until_ready(url, home)
            return url
        except DatabaseUnavailableError as error:
            if "shared memory block" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _url(sockets: Path) -> str:
    return f"postgresql://postgres@/postgres?host={sockets}"


def _launch(home: Path, data: Path, sockets: Path) -> None:
    log = home / "postgres.log"
    if log.exists() and log.stat().st_size > 5_000_000:
        log.replace(home / "postgres.log.1")
    options = [f"--{name}={value}" for name, value in SETTINGS.items()]
    command = [str(files.binary("postgres")), "-D", str(data), "-k", f'"{sockets}"', *options]
    with log.open("a") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **files.detached(data)
        )
    deadline = time.monotonic() + 10
    while files.postmaster_pid(data) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    if process.poll() is not None:
        raise DatabaseUnavailableError(f"the embedded PostgreSQL did not start: {_last_words(log)} (see {log})")
    process.returncode = 0  # it outlives this object on purpose: no "still running" warning


def _wait_until_ready(url: str, home: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not answers(url):
        log = home / "postgres.log"
        if files.postmaster_pid(home / "postgres") is None:
            raise DatabaseUnavailableError(f"the embedded PostgreSQL ended while starting: {_last_words(log)} ({log})")
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(
                f"the embedded PostgreSQL does not answer after {START_TIMEOUT:.0f} s ({log})"
            )
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Tell whether a server accepts connections at `url`."""
    try:
        psycopg2.connect(url, connect_timeout=10).close()
    except psycopg2.OperationalError:
        return False
    return True


def stop(home: Path) -> None:
    """Ask for a fast shutdown, wait, insist; the caller holds the exclusive lock."""
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


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    telling = [line for line in lines[-20:] if "FATAL" in line or "ERROR" in line or "PANIC" in line]
    return (telling or lines or ["no message"])[-1].strip()
