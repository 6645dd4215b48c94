"""The whole graph on real parts: what a store's data team would find after a run."""

import json
from itertools import pairwise

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES, extract_features
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import RunOptions, plan_store, run_store
from quimbi_assets.commands.showing import profiles_of, segments_of
from quimbi_assets.defs.partitions import AXIS_STAGES, PROFILES_KEY, axis_key
from quimbi_assets.orders.errors import BadInputError
from quimbi_assets.profiles.profiler import Profiler
from quimbi_assets.resources.frames import frame_io_manager
from quimbi_assets.resources.instance import open_instance
from quimbi_assets.resources.model_tracking import MlflowTracking
from quimbi_assets.resources.stores import UnknownStoreError

pytestmark = pytest.mark.xdist_group("graph")


def rows(database, sql, *parameters):
    with database.transaction() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def test_every_axis_is_active_and_every_customer_profiled(database, two_stores):
    for store_id in two_stores:
        found = segments_of(store_id)
        assert [axis["axis"] for axis in found["axes"]] == list(AXES)
        assert {axis["status"] for axis in found["axes"]} == {"active"}
        (profiles,) = rows(database, "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = %s", store_id)[0]
        (buyers,) = rows(
            database,
            "SELECT count(DISTINCT customer_id) FROM quimbi.orders WHERE store_id = %s AND status = 'paid'",
            store_id,
        )[0]
        assert profiles == buyers
        for axis in found["axes"]:
            assert sum(s["customer_count"] for s in axis["segments"]) == profiles
            names = [s["segment_name"] for s in axis["segments"]]
            assert len(set(names)) == len(names) == axis["k"]


def test_memberships_in_the_table_sum_to_one(database, two_stores):
    for memberships, dominant in rows(
        database,
        "SELECT segment_memberships, dominant_segments FROM quimbi.customer_profiles WHERE store_id = %s",
        two_stores[0],
    ):
        assert set(memberships) == set(AXES)
        for axis, scores in memberships.items():
            assert abs(sum(scores.values()) - 1) < 1e-9
            assert dominant[axis] in scores
            assert scores[dominant[axis]] == max(scores.values())


def test_stores_do_not_mix(database, two_stores):
    north, south = (segments_of(store_id) for store_id in two_stores)
    assert north["axes"] != south["axes"]
    shared = profiles_of("north", ["c0000001"])[0], profiles_of("south", ["c0000001"])[0]
    assert shared[0]["feature_vectors"] != shared[1]["feature_vectors"]


def test_a_second_run_with_the_same_data_changes_nothing_but_versions(database, two_stores):
    before = segments_of("south")
    profiles = profiles_of("south", ["c0000001", "c0000002"])
    run_store("south", RunOptions(), Steps(None, "south"))
    after = segments_of("south")
    for one, two in zip(before["axes"], after["axes"], strict=True):
        assert one["mlflow_run_id"] != two["mlflow_run_id"]
        assert one["segments"] == two["segments"]
    for one, two in zip(profiles, profiles_of("south", ["c0000001", "c0000002"]), strict=True):
        assert {k: v for k, v in one.items() if k != "model_versions"} == {
            k: v for k, v in two.items() if k != "model_versions"
        }
    current = rows(
        database,
        "SELECT axis_name, count(*) FROM quimbi.dim_segment_master "
        "WHERE store_id = 'south' AND valid_to IS NULL GROUP BY axis_name",
    )
    assert dict(current) == {axis["axis"]: axis["k"] for axis in after["axes"]}


def test_checks_were_recorded_and_passed(two_stores):
    with open_instance() as instance:
        key = axis_key("memberships", "purchase_value")
        check = dg.AssetCheckKey(key, "memberships_sum_to_1")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        assert record.event.asset_check_evaluation.passed
        event = instance.get_latest_materialization_event(PROFILES_KEY)
        assert "dagster/row_count" in event.asset_materialization.metadata
        assert set(two_stores) <= set(instance.get_dynamic_partitions("stores"))


def test_the_ui_finds_pictures_tables_and_the_mlflow_run(two_stores):
    with open_instance() as instance:
        metadata = instance.get_latest_materialization_event(
            axis_key("models", "purchase_frequency")
        ).asset_materialization.metadata
    assert metadata["silhouette_by_k"].value.startswith("![picture](data:image/png;base64,")
    assert metadata["mlflow_run"].value.startswith("http://")
    with open_instance() as instance:
        segments = (
            instance.get_latest_materialization_event(axis_key("segments", "purchase_frequency"))
            .asset_materialization.metadata["segments"]
            .value
        )
    assert "| segment |" in segments


def test_scoring_in_python_gives_what_the_table_holds(database, two_stores):
    store_id = two_stores[0]
    frames = frame_io_manager()
    orders = frames.read(dg.AssetKey(["raw", "orders"]), store_id)
    items = frames.read(dg.AssetKey(["raw", "order_items"]), store_id)
    champions = MlflowTracking().champions(store_id, AXES)
    features = {name: frames.read(axis_key("features", name), store_id) for name in AXES}
    segments = {name: frames.read(axis_key("segments", name), store_id) for name in AXES}
    profiler = Profiler(
        {name: loaded.model for name, loaded in champions.items()},
        segments,
        {name: loaded.version for name, loaded in champions.items()},
        store_id=store_id,
        as_of=pd.Timestamp(features["purchase_value"].attrs["observation_end"]).to_pydatetime(),
        currency=orders.attrs["currency"],
    )
    customer = orders["customer_id"].iloc[0]
    own = orders[orders["customer_id"] == customer]
    from quimbi_assets.axes import StoreReference

    alone = extract_features(
        own,
        items[items["order_id"].isin(own["order_id"])],
        observation_end=features["purchase_value"].attrs["observation_end"],
        recorded=frozenset(features["purchase_value"].attrs["recorded"]),
        reference=StoreReference.from_frame(frames.read(axis_key("features", "store_reference"), store_id)),
    )
    row = profiler.profile(alone).iloc[0]
    (stored,) = profiles_of(store_id, [customer])
    for axis, scores in json.loads(row["segment_memberships"]).items():
        assert scores == pytest.approx(stored["segment_memberships"][axis], abs=1e-9)
    assert row["archetype_id"] == stored["archetype_id"]


def test_a_run_as_of_the_past_is_blind_to_later_rows(database, two_stores):
    before = profiles_of("south", ["c0000001"])
    run_store("south", RunOptions(as_of="2024-12-31"), Steps(None, "south"))
    try:
        (latest,) = rows(database, "SELECT max(as_of) FROM quimbi.customer_profiles WHERE store_id = 'south'")[0]
        assert pd.Timestamp(latest) == pd.Timestamp("2024-12-31", tz="UTC")
        then = frame_io_manager().read(axis_key("features", "purchase_frequency"), "south")
        assert then["days_since_last_order"].min() >= 0
        assert_shown_as_weak("south", "customer_maturity")  # too little has happened yet
    finally:
        run_store("south", RunOptions(), Steps(None, "south"))
    after = profiles_of("south", ["c0000001"])
    assert before[0]["feature_vectors"] == after[0]["feature_vectors"]


def assert_shown_as_weak(store_id, name):
    (axis,) = [axis for axis in segments_of(store_id)["axes"] if axis["axis"] == name]
    assert axis["status"] == "weak"
    assert "really differ in" in axis["reason"]
    assert len(axis["segments"]) == axis["k"]
    with open_instance() as instance:
        check = dg.AssetCheckKey(axis_key("models", name), "real_differences")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        evaluation = record.event.asset_check_evaluation
        assert not evaluation.passed
        assert evaluation.severity == dg.AssetCheckSeverity.WARN
        assert "| acceleration |" in evaluation.metadata["figures"].value
        metadata = instance.get_latest_materialization_event(axis_key("models", name)).asset_materialization.metadata
        assert metadata["status"].value == "weak"
        assert "variance ratio" in metadata["real_differences"].value
    run = MlflowTracking().tracking().client.get_run(axis["mlflow_run_id"])
    assert run.data.tags["status"] == "weak"
    assert run.data.tags["reason"] == axis["reason"]
    assert {"variance_ratio.acceleration", "reliability.acceleration"} <= set(run.data.metrics)


def test_one_axis_alone(database, two_stores):
    before = segments_of("north")["axes"]
    run_store("north", RunOptions(axes=["purchase_value"]), Steps(None, "north"))
    after = segments_of("north")["axes"]
    changed = [a["axis"] for a, b in zip(before, after, strict=True) if a["mlflow_run_id"] != b["mlflow_run_id"]]
    assert changed == ["purchase_value"]
    (profile,) = profiles_of("north", ["c0000001"])
    assert set(profile["segment_memberships"]) == set(AXES)


def test_too_few_customers_is_bad_input_and_keeps_what_was_there(two_stores):
    before = segments_of("south")
    with pytest.raises(BadInputError, match=r"has \d+ customers .* fewer than 5000.*--min-population"):
        run_store("south", RunOptions(min_population=5000), Steps(None, "south"))
    assert segments_of("south") == before


def test_unknown_store_and_axis(two_stores):
    with pytest.raises(UnknownStoreError, match="nowhere"):
        run_store("nowhere", RunOptions(), Steps(None, "nowhere"))
    with pytest.raises(BadInputError, match=r"unknown axis shoe_size; there are: .*purchase_value"):
        run_store("south", RunOptions(axes=["shoe_size"]), Steps(None, "south"))


def test_a_plan_computes_nothing(database, two_stores):
    runs = "SELECT count(*) FROM quimbi.dim_segment_master"
    before = rows(database, runs)
    plan = plan_store("north", RunOptions())
    assert plan["customers"] > 500
    assert set(plan["axes"].values()) == {"active"}
    assert rows(database, runs) == before


def test_stages_depend_on_each_other_axis_by_axis():
    from quimbi_assets.definitions import defs

    graph = defs.resolve_asset_graph()
    for name in AXES:
        for earlier, later in pairwise(AXIS_STAGES):
            assert axis_key(earlier, name) in graph.get(axis_key(later, name)).parent_keys
    assert np.all([graph.get(key).owners for key in graph.materializable_asset_keys])
