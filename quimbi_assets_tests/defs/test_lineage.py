"""Dagster's lineage is the truth: an asset reads no table that is not among its declared deps."""

from collections import defaultdict

import dagster as dg
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.axis_table import ACTIVE, WEAK
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import materialize, store_lock
from quimbi_assets.definitions import defs
from quimbi_assets.defs.partitions import HEALTH_KEY, REFERENCE_KEY, axis_key, store_week_key
from quimbi_assets.instants import parse_week
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.mlflow.registry import CHURN, VALUE, model_description
from quimbi_assets.resources.parquet_io import ParquetTables, parquet_tables
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.simulation import write_store

pytestmark = pytest.mark.xdist_group("lineage")

STORE = "lineage"
WATCHED = {"purchase_value", "category_exploration", "support_history"}
"""Axes of orders, of their lines and of tickets; the others take the same way."""
WEEKS = ("2025-10-27", "2025-11-03", "2025-11-10")
JOBS = {"store": (None,), "rescore": (None,), "backtest": (None,), "week": WEEKS}


class RecordingTables(ParquetTables):
    """Tables that note which asset's were read, and by which assets."""

    def __init__(self) -> None:
        super().__init__(parquet_tables().base)
        self.read: dict[frozenset[dg.AssetKey], set[dg.AssetKey]] = defaultdict(set)

    def table(self, key, store_id, week=None):
        step = dg.AssetExecutionContext.get()
        self.read[frozenset(step.assets_def.keys)].add(key if isinstance(key, dg.AssetKey) else dg.AssetKey(key))
        return super().table(key, store_id, week)


@pytest.fixture(scope="module")
def store(database, tmp_path_factory):
    folder = tmp_path_factory.mktemp(STORE)
    write_store(300, folder, seed=4)
    files = (folder / f"{name}.parquet" for name in ("orders", "order_items", "support_tickets"))
    load_store(database, STORE, *files, time_zone="America/New_York")


def selection_of(job):
    """The assets of a job, those of other axes left out."""
    keys = defs.resolve_job_def(job).asset_layer.executable_asset_keys
    return sorted(key for key in keys if key.path[-1] not in AXES.keys() - WATCHED)


@pytest.fixture(scope="module")
def tables(store):
    """The tables of a store through all of whose jobs it went."""
    tables, progress = RecordingTables(), Steps(None, STORE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quimbi_assets.definitions.parquet_tables", lambda: tables)
        patch.setattr("quimbi_assets.backtest.evaluation.evaluate_cut_off", lambda *_, **__: ([], {}))
        for job, weeks in JOBS.items():
            for week in weeks:
                partition = None if week is None else store_week_key(STORE, parse_week(week))
                with store_lock(STORE, progress, wait=True) as lock:
                    materialize(lock, STORE, job, progress, selection_of(job), partition=partition)
    return tables


def test_every_table_an_asset_reads_is_among_its_deps(tables):
    graph = defs.resolve_asset_graph()
    undeclared = {}
    for step, read in tables.read.items():
        # A run of some axes looks whether the features of those it leaves out are of the same instant.
        left_out = {axis_key("features", axis) for axis in AXES} if REFERENCE_KEY in step else set()
        declared = step.union(left_out, *(graph.get(key).parent_keys for key in step))
        if extra := read - declared:
            name = ", ".join(sorted(key.to_user_string() for key in step))[:60]
            undeclared[name] = {key.to_user_string() for key in extra}
    assert undeclared == {}
    assert sum(map(len, tables.read.values())) > 25


def test_what_every_job_leaves_says_its_columns(tables):
    graph = defs.resolve_asset_graph()
    with open_instance() as instance:
        for key in {key for job in JOBS for key in selection_of(job)} - {HEALTH_KEY}:
            made = instance.get_latest_materialization_event(key)
            if made is not None:
                metadata = {**graph.get(key).metadata, **made.asset_materialization.metadata}
                assert "dagster/column_schema" in metadata, key


def test_every_run_in_mlflow_says_what_it_is(tables):
    client = open_tracking().client
    experiment = client.get_experiment_by_name(f"quimbi/{STORE}")
    runs = client.search_runs([experiment.experiment_id], max_results=1_000)
    undescribed = [run.info.run_name for run in runs if len(run.data.tags.get("mlflow.note.content", "")) < 40]
    assert undescribed == []
    assert {run.data.tags["store"] for run in runs} == {STORE}
    notes = {run.data.tags.get("kind", run.data.tags.get("axis")): run.data.tags["mlflow.note.content"] for run in runs}
    assert {"churn", "value", "drift", "backtest", *WATCHED} <= notes.keys()
    assert "week of 2025-" in notes["drift"]
    for kind, forecast in (("churn", CHURN), ("value", VALUE)):
        (run, *_) = [run for run in runs if run.data.tags.get("kind") == kind]
        assert run.data.tags["mlflow.note.content"] == model_description(STORE, forecast)
        assert run.data.tags["status"] in (ACTIVE, WEAK)
        assert (run.data.tags["status"] == WEAK) == ("reason" in run.data.tags)
