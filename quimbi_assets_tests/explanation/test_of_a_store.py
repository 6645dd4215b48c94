"""Receipts of a store that was run and watched by weekly snapshots: they say what these recorded, and can be checked.

The store is run as of 30 days after the end of a week of which there is a snapshot, so that "a month before" is that.
"""

import json
from datetime import date

import pandas as pd
import pytest
from dagster import AssetKey

from quimbi_assets.axes import Features, measure
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.over_time import snapshot_week
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.errors import NeverRunError
from quimbi_assets.explanation.decision import decide
from quimbi_assets.explanation.words import receipt_lines
from quimbi_assets.profiles.scores import score_features
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.served import read_recorded
from quimbi_assets.resources.profiling import open_profiler
from quimbi_assets.simulation import write_store
from quimbi_assets.weekly.causes import customer_digests
from quimbi_assets_tests.administrator import administer

pytestmark = pytest.mark.xdist_group("receipts")

STORE, ZONE = "receipts", "America/New_York"
AXES = ["purchase_frequency", "purchase_value", "loyalty_trajectory"]
MONTH_BEFORE, CORRECTED = date(2025, 8, 18), date(2025, 9, 15)
ENDED, AS_OF = pd.Timestamp("2025-08-25 04:00"), pd.Timestamp("2025-09-24 04:00")


@pytest.fixture(scope="module")
def store(database, tmp_path_factory):
    """A store that was run, with weeks before and after orders of every fifth customer were made ten times as dear."""
    folder = tmp_path_factory.mktemp(STORE)
    write_store(300, folder, seed=6, end_date="2025-10-31")
    orders, items = (folder / name for name in ("orders.parquet", "order_items.parquet"))
    load_store(database, STORE, orders, items, time_zone=ZONE)
    run_store(STORE, RunOptions(axes=AXES, as_of=f"{AS_OF.isoformat()}Z"), Steps(None, STORE))
    for week in (MONTH_BEFORE, CORRECTED - pd.Timedelta(days=7)):
        snapshot_week(STORE, week, Steps(None, STORE))
    rows = pd.read_parquet(orders)
    ids = sorted(rows["customer_id"].dropna().unique())[::5]
    is_old = rows["customer_id"].isin(ids) & (pd.to_datetime(rows["order_date"], utc=True) < ENDED.tz_localize("UTC"))
    rows.loc[is_old, "total_price"] *= 10
    rows.to_parquet(folder / "corrected.parquet")
    load_store(database, STORE, folder / "corrected.parquet", items, time_zone=ZONE)
    snapshot_week(STORE, CORRECTED, Steps(None, STORE))
    run_store(STORE, RunOptions(axes=AXES, as_of=f"{AS_OF.isoformat()}Z"), Steps(None, STORE))
    return STORE


@pytest.fixture(scope="module")
def explained(store, database):
    """The receipts of every tenth customer of the week of a month before, and the profiler."""
    profiler = open_profiler(store)
    sql = "SELECT customer_id FROM quimbi.customer_history WHERE store_id = %s AND week = %s ORDER BY 1"
    customers = [customer for (customer,) in administer(database, sql, (store, MONTH_BEFORE))][::10]
    return profiler, {one: profiler.explain(one, read_recorded(database, store, one)) for one in customers}


def test_where_they_were_and_why_they_moved(explained):
    """A month before by the models of now, and the cause by the orders that came since, both read anew."""
    profiler, receipts = explained
    history = parquet_tables().history(STORE)
    before = segments_of(profiler, history.until(ENDED))
    now = segments_of(profiler, history.until(AS_OF))
    orders = history.until(AS_OF).frames().orders.set_index("customer_id")["order_date"]
    causes = set()
    for customer, receipt in receipts.items():
        assert pd.Timestamp(receipt["since"]["at"]) == ENDED.tz_localize("UTC")
        n_since = int((orders.loc[[customer]] >= ENDED).sum())
        assert receipt["since"]["orders"] == n_since
        causes.add(receipt["since"]["cause"])
        if n_since:
            assert receipt["since"]["cause"] == "acted"
        text = "\n".join(receipt_lines(receipt, why=True))
        for one in receipt["axes"]:
            was, stands = before[one["axis"]][customer], now[one["axis"]][customer]
            assert (one["before"]["id"], one["segment"]["id"]) == (was, stands)
            assert one["moved"] == (was != stands)
        assert ("A month before they were" in text) == any(one["moved"] for one in receipt["axes"])
    assert causes == {"acted", "silent"}
    assert any(one["moved"] for receipt in receipts.values() for one in receipt["axes"])


def segments_of(profiler, history):
    """Return everybody's segments by axis as of a history's end, measured and scored the ordinary way."""
    measured = measure(history, profiler.models, recorded=profiler.recorded, reference=profiler.reference)
    scores = score_features(Features(measured), profiler.models)
    return {axis: dict(zip(one.customers, one.dominant_ids, strict=True)) for axis, one in scores.items()}


def test_moves_that_a_correction_made_are_told_as_such(store, explained, database):
    """Of whom a snapshot recorded one, and of nobody else."""
    sql = (
        "SELECT customer_id, axis_name FROM quimbi.segment_migrations "
        "WHERE store_id = %s AND week = %s AND cause = 'corrected' ORDER BY 1, 2"
    )
    moved = [(one, axis) for one, axis in administer(database, sql, (store, CORRECTED)) if axis in AXES]
    assert moved
    _, receipts = explained
    told = {(one, row["axis"]) for one, receipt in receipts.items() for row in receipt["recorded"]}
    assert told == {(one, axis) for one, axis in moved if one in receipts}
    assert told
    for receipt in receipts.values():
        text = "\n".join(receipt_lines(receipt))
        assert ("a correction of the data placed them" in text) == bool(receipt["recorded"])
        assert all(row["week"] == CORRECTED.isoformat() for row in receipt["recorded"])


def test_stored_models_and_stored_features_give_it_again(store, explained):
    """By the versions that stand on it, from MLflow and the tables of features, through JSON, and nothing else."""
    _, receipts = explained
    tables = parquet_tables()
    stored = {axis: tables.required(AssetKey(["features", axis]), store).read().to_pandas() for axis in AXES}
    rows = {axis: table.set_index("customer_id") for axis, table in stored.items()}
    for customer, receipt in json.loads(json.dumps(receipts)).items():
        loaded = open_tracking().registry.load_versions(store, receipt["versions"]["models"])
        assert set(loaded) == {one["axis"] for one in receipt["axes"]} == set(AXES)
        for one in receipt["axes"]:
            again = decide(loaded[one["axis"]].model, dict(rows[one["axis"]].loc[customer]))
            assert (again.segment, again.neighbour) == (one["segment"]["id"], one["neighbour"]["id"])
            assert again.margin == pytest.approx(one["margin"], rel=1e-12)
            assert {share.feature: share.pull for share in again.shares} == pytest.approx(
                {share["feature"]: share["pull"] for share in one["shares"]}, rel=1e-9, abs=1e-12
            )
        digests = customer_digests(tables.history(store).until(AS_OF).of([customer])).iloc[0]
        assert receipt["versions"]["data"] == "-".join(f"{int(digest):016x}" for digest in digests)
        assert receipt["versions"]["code"]


def test_a_store_never_run_is_told_so(database):
    with pytest.raises(NeverRunError, match="compute them: quimbi run --store-id receipts_never_run"):
        read_recorded(database, "receipts_never_run", "nobody")
