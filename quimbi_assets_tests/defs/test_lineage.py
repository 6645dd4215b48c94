"""Dagster's lineage is the truth: an asset reads no table that is not among its declared deps."""

import dagster as dg
import pytest

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import materialize, store_lock
from quimbi_assets.definitions import defs
from quimbi_assets.defs.partitions import store_week_key
from quimbi_assets.instants import parse_week
from quimbi_assets.resources.parquet_io import ParquetTables, parquet_tables
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.simulation import write_store

pytestmark = pytest.mark.xdist_group("lineage")

STORE = "lineage"
WEEKS = ("2025-10-27", "2025-11-03", "2025-11-10")
JOBS = {"store": (None,), "rescore": (None,), "backtest": (None,), "week": WEEKS}


class RecordingTables(ParquetTables):
    """Tables that note which asset's were read."""

    def __init__(self) -> None:
        super().__init__(parquet_tables().base)
        self.read: set[dg.AssetKey] = set()

    def table(self, key, store_id, week=None):
        self.read.add(key)
        return super().table(key, store_id, week)


@pytest.fixture(scope="module")
def store(database, tmp_path_factory):
    folder = tmp_path_factory.mktemp(STORE)
    write_store(300, folder, seed=4)
    files = (folder / f"{name}.parquet" for name in ("orders", "order_items", "support_tickets"))
    load_store(database, STORE, *files, time_zone="America/New_York")


def steps_of(job):
    """The assets of a job, step by step in an order in which they can run."""
    graph, wanted = defs.resolve_asset_graph(), defs.resolve_job_def(job).asset_layer.executable_asset_keys
    seen: list[frozenset[dg.AssetKey]] = []
    for key in graph.toposorted_asset_keys:
        together = frozenset(graph.get(key).execution_set_asset_keys) & wanted
        step = frozenset(k for k in wanted if graph.get(k).assets_def.node_def == graph.get(key).assets_def.node_def)
        if key in wanted and (together | step) not in seen:
            seen.append(together | step)
    return seen


def test_every_table_an_asset_reads_is_among_its_deps(store, monkeypatch):
    tables, graph, progress = RecordingTables(), defs.resolve_asset_graph(), Steps(None, STORE)
    monkeypatch.setattr("quimbi_assets.definitions.parquet_tables", lambda: tables)
    undeclared: dict[str, set[str]] = {}
    looked_at = 0
    for job, weeks in JOBS.items():
        for week in weeks:
            partition = None if week is None else store_week_key(STORE, parse_week(week))
            for step in steps_of(job):
                tables.read.clear()
                with store_lock(STORE, progress, wait=True) as lock:
                    materialize(lock, STORE, job, progress, sorted(step), partition=partition)
                declared = step.union(*(graph.get(key).parent_keys for key in step))
                looked_at += len(tables.read)
                if extra := tables.read - declared:
                    name = ", ".join(sorted(key.to_user_string() for key in step))[:60]
                    undeclared.setdefault(name, set()).update(key.to_user_string() for key in extra)
    assert undeclared == {}
    assert looked_at > 50
