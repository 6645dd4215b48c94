"""Ctrl-C while DuckDB computes is Ctrl-C; engines share a database, but neither tables nor another's file system."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

from quimbi_assets.engines import DuckEngine, _database

SCRIPT = """
import threading, signal, os, time
from quimbi_assets.engines import DuckEngine
threading.Thread(target=lambda: (time.sleep(1), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
try:
    with DuckEngine(1) as duck:
        duck.arrow("SELECT count(*) FROM range(3000000) a, range(3000000) b WHERE a.range * b.range % 7 = 3")
except KeyboardInterrupt:
    raise SystemExit(42)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_what_a_killed_process_spilled_is_removed_by_the_next(tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here = f"quimbi-spill-{os.uname().nodename}-"
    kept = {f"{here}{os.getpid()}", f"quimbi-spill-elsewhere-{ended.pid}"}
    for name in (*kept, f"{here}{ended.pid}"):
        (tmp_path / name).mkdir()
    _database.__wrapped__(1, os.getpid())
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_an_interrupted_query_is_a_keyboard_interrupt():
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert done.returncode == 42, done.stderr


def test_an_engine_does_not_see_the_tables_of_another():
    with DuckEngine() as one, DuckEngine() as another:
        one.view("t", pa.table({"a": [1]}))
        one.materialise("kept", "SELECT 2 AS a")
        another.view("t", pa.table({"a": [3]}))
        assert one.arrow("SELECT t.a + kept.a AS a FROM t, kept")["a"].to_pylist() == [3]
        assert another.arrow("SELECT a FROM t")["a"].to_pylist() == [3]
        with pytest.raises(Exception, match="kept"):
            another.arrow("SELECT a FROM kept")


RESIDENT = """
from pathlib import Path
from quimbi_assets.engines import DuckEngine

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

with DuckEngine() as engine:
    engine.materialise("t", "SELECT range AS a FROM range(10)")
before = megabytes()
with DuckEngine() as engine:
    engine.materialise("t", "SELECT range AS a, repeat('x', 50) || range AS b FROM range(3000000)")
    held = megabytes()
print(held - before, megabytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the process's memory is read where Linux says it")
def test_memory_of_a_closed_engine_is_given_back():
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, timeout=60, check=True)
    held, left = map(float, done.stdout.split())
    assert left < held / 4


class Account(MemoryFileSystem):
    """Files that only one account sees, as in an object store that asks for credentials."""

    protocol = ("quimbitest", "quimbitests")
    accounts: ClassVar = {"a": {}, "b": {}}

    def __init__(self, account: str, **more):
        super().__init__(**more)
        self.store, self.pseudo_dirs = self.accounts[account], [""]


@pytest.mark.filterwarnings("ignore:UPath 'quimbitest' filesystem")
def test_a_file_is_read_with_its_own_credentials(monkeypatch):
    monkeypatch.setattr("quimbi_assets.engines.small_table", lambda _: None)
    register_implementation("quimbitest", Account, clobber=True)
    places = [UPath("quimbitest://bucket/t.parquet", account=name) for name in "ab"]
    for value, place in enumerate(places):
        with place.open("wb") as file:
            pq.write_table(pa.table({"v": [value]}), file)
    for value, place in [*enumerate(places), *enumerate(places)]:
        with DuckEngine() as engine:
            engine.view("t", place)
            assert engine.arrow("SELECT v FROM t")["v"].to_pylist() == [value]
