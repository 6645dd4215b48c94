"""What a killed run leaves is cleared away by the next one of its store, and nothing else is."""

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from quimbi_assets.axis_table import TableFacts, written_in_parts
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.tables.history import publish_week
from quimbi_assets.resources.publishing import sweep

FEATURES, WEEKS = ("features", "purchase_value"), ("drift", "snapshots")
MONDAY, LATER = date(2025, 1, 6), date(2025, 1, 13)
FACTS = TableFacts(run_id="before")
FRAME = pd.DataFrame({"customer_id": ["a", "b"]})
DIES = """
import os, signal, sys
import pyarrow as pa
from quimbi_assets.axis_table import TableFacts, table_writer
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.parquet_io import parquet_tables
rows = pa.table({"customer_id": ["a"]})
place = parquet_tables().place(("features", "purchase_value"), sys.argv[1])
with open_tracking().run(sys.argv[1], "a run") as run, table_writer(place, rows.schema, TableFacts()) as write:
    write(rows)
    run.client.create_logged_model(run.experiment_id, "model", source_run_id=run.run_id)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(home, store_id):
    """Let a process of its own begin a table, an MLflow run and a model of a store, and kill itself."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "QUIMBI_HOME": str(home)}
    command = [sys.executable, "-c", DIES, store_id]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture
def tables(database):
    return parquet_tables()


def test_what_a_killed_process_left_is_cleared_away_once(home, database, tables):
    tracking = open_tracking()
    tables.write(FEATURES, "swept", FRAME, FACTS)
    tables.write(FEATURES, "swept_2", FRAME, FACTS)
    for store_id in ("swept", "swept_2"):
        killed(home, store_id)
    with tracking.run("swept", "one that ended"):
        pass
    assert sweep(database, tables, tracking, "swept") == (
        "cleared away what a run that was killed had left: 1 half-written table, 2 runs or models under way in MLflow"
    )
    assert sweep(database, tables, tracking, "swept") is None
    assert [path.name for path in tables.place(FEATURES, "swept").parent.glob("*swept*") if path.name[0] == "."] == [
        next(tables.leftovers("swept_2")).name
    ]
    assert tables.required(FEATURES, "swept").facts == FACTS
    experiment = tracking.experiment("swept")
    statuses = {run.info.run_name: run.info.status for run in tracking.client.search_runs([experiment])}
    assert statuses == {"a run": "KILLED", "one that ended": "FINISHED"}
    assert [str(model.status) for model in tracking.client.search_logged_models([experiment])] == ["FAILED"]
    assert sweep(database, tables, tracking, "swept_2") is not None


def test_tables_of_weeks_that_the_database_does_not_have_go(database, tables):
    rows = pd.DataFrame(
        {
            "customer_id": ["a"], "week": [MONDAY], "as_of": pd.Timestamp("2025-01-13", tz="UTC"), "archetype_id": None,
            "segment_memberships": "{}", "dominant_segments": "{}", "lifetime_value": 1.0, "churn_risk_score": None,
            "model_versions": "{}",
        }
    )  # fmt: skip
    publish_week(database, "swept_weeks", MONDAY, [rows])
    for week in (MONDAY, LATER):
        tables.write(WEEKS, "swept_weeks", FRAME, FACTS, week)
        tables.write(WEEKS, "another", FRAME, FACTS, week)
    assert sweep(database, tables, open_tracking(), "swept_weeks") == (
        "cleared away what a run that was killed had left: 1 table of weeks that are not kept"
    )
    assert tables.table(WEEKS, "swept_weeks", MONDAY) is not None
    assert tables.table(WEEKS, "swept_weeks", LATER) is None
    assert tables.table(WEEKS, "another", LATER) is not None


def test_a_table_that_was_on_its_way_out_when_the_next_had_not_come_goes_back(tables):
    place = tables.place(FEATURES, "swept_folder")
    with written_in_parts(place, FACTS) as folder:
        folder.mkdir(parents=True)
        FRAME.to_parquet(folder / "part-0.parquet")
    for leftover in ("1.ab.before", "1.cd.partial"):  # between the two renames
        (
            place.rename(str(place.with_name(f".{place.name}.{leftover}")))
            if place.exists()
            else place.with_name(f".{place.name}.{leftover}").mkdir()
        )
    assert tables.table(FEATURES, "swept_folder") is None
    assert tables.mend("swept_folder") == 2
    assert tables.required(FEATURES, "swept_folder").facts == FACTS
    assert list(tables.leftovers("swept_folder")) == []
