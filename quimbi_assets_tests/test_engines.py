"""Ctrl-C while DuckDB computes is Ctrl-C; engines share a database, but neither tables nor another's file system."""

import os
import signal
import subprocess
import sys
import tempfile
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace
from typing import ClassVar
from unittest.mock import Mock

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

from quimbi_assets.engines import DuckEngine, _database, _shared_database
from quimbi_assets.history import History

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
    _database(1, os.getpid())
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
after = megabytes()
try:
    with DuckEngine() as engine:
        engine.materialise("t", "SELECT range AS a, repeat('x', 50) || range AS b FROM range(3000000)")
        raise GeneratorExit
except GeneratorExit:
    print(held - before, after - before, megabytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the process's memory is read where Linux says it")
def test_memory_of_a_closed_engine_is_given_back():
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, timeout=60, check=True)
    held, left, left_after_an_error = map(float, done.stdout.split())
    assert left < held / 4
    assert left_after_an_error < held / 4


class Account(MemoryFileSystem):
    """Files that only one account sees, as in an object store that asks for credentials."""

    protocol = ("quimbitest", "quimbitests")
    accounts: ClassVar = {"a": {}, "b": {}}

    def __init__(self, account: str, **more):
        super().__init__(**more)
        self.store, self.pseudo_dirs = self.accounts[account], [""]


@pytest.fixture
def remote_histories(monkeypatch):
    """Histories that rest in two accounts of one object store, in files too large to be kept in memory."""
    monkeypatch.setattr("quimbi_assets.engines.small_table", lambda _: None)
    register_implementation("quimbitest", Account, clobber=True)

    def history(account: str, n_orders: int) -> History:
        days = pd.date_range("2025-01-01", periods=n_orders, freq="D")
        ids = [f"{account}{i}" for i in range(n_orders)]
        frame = pd.DataFrame({"order_id": ids, "customer_id": ids, "order_date": days, "total_price": 1.0})
        memory, places = History.from_frames(frame), {}
        for name, table in memory.tables.items():
            places[name] = UPath(f"quimbitest://bucket/{name}.parquet", account=account)
            with places[name].open("wb") as file:
                pq.write_table(table, file)
        return History(memory.store, places)

    return {account: history(account, n_orders) for account, n_orders in (("a", 3), ("b", 5))}


@pytest.mark.filterwarnings("ignore:UPath 'quimbitest' filesystem")
def test_files_are_read_with_their_own_credentials(remote_histories):
    orders = "SELECT count(*) AS n FROM raw_orders LEFT JOIN raw_items USING (order_id)"
    with remote_histories["a"].open() as a, remote_histories["b"].open() as b:
        assert [engine.arrow(orders)["n"].to_pylist() for engine in (a, b, a)] == [[3], [5], [3]]


@pytest.mark.filterwarnings("ignore:UPath 'quimbitest' filesystem")
def test_threads_read_files_of_one_kind_at_once(remote_histories):
    asked = list(remote_histories.values()) * 10
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda history: replace(history).n_customers, asked)) == [3, 5] * 10


def test_engines_that_begin_at_once_share_a_database(monkeypatch):
    opened = []
    _shared_database.cache_clear()
    duckdb_connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda **how: opened.append(1) or duckdb_connect(**how))
    together = Barrier(4)

    def ask(_):
        together.wait()
        with DuckEngine(1) as engine:
            return engine.arrow("SELECT 1 AS a")["a"].to_pylist()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [[1]] * 4
    assert len(opened) == 1


def test_after_a_fatal_error_the_next_engine_has_another_database():
    with DuckEngine() as engine:
        broken = engine._database
        engine._database = SimpleNamespace(cursor=Mock(side_effect=duckdb.FatalException("no more")))
    with DuckEngine() as engine:
        assert engine._database is not broken
        assert engine.arrow("SELECT 1 AS a")["a"].to_pylist() == [1]


@pytest.fixture
def faulty(monkeypatch):
    """One query meets a fault of DuckDB's own, as 2.0.0 had it; what the process keeps of that is undone."""
    monkeypatch.setattr("quimbi_assets.engines._one_thread", Event())
    met = []

    def meet(engine, sql):
        if not met:
            met.append(sql)
            raise duckdb.InternalException("INTERNAL Error: dict-surviving cache")
        return arrow(engine, sql)

    arrow = DuckEngine.arrow
    monkeypatch.setattr(DuckEngine, "arrow", meet)
    yield
    _shared_database.cache_clear()


def test_after_a_fault_of_duckdb_a_process_computes_on_one_thread_of_another_database(faulty):
    threads = "SELECT current_setting('threads') AS n"
    with DuckEngine(2) as before:
        with pytest.raises(duckdb.InternalException), DuckEngine(2) as duck:
            duck.arrow(threads)
        with DuckEngine(2) as after, DuckEngine() as any_number:
            assert after._database is not before._database
            assert [engine.arrow(threads)["n"].to_pylist() for engine in (after, any_number)] == [[1], [1]]


def test_a_closed_engine_keeps_nothing():
    with DuckEngine(1) as duck:
        duck.view("given", pa.table({"value": [1, 2]}))
        duck.materialise("doubled", "SELECT 2 * value AS value FROM given")
    closed = weakref.ref(duck)
    del duck
    assert closed() is None
