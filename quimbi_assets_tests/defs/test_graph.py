"""The whole graph on real parts: what a store's data team would find after a run."""

import hashlib
import json
from dataclasses import replace

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from dagster._core.event_api import PartitionKeyFilter

from quimbi_assets.axes import AXES
from quimbi_assets.clustering import foresight
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.decisions import rename_segment
from quimbi_assets.commands.running import RunOptions, materialize, plan_store, run_store, store_lock
from quimbi_assets.commands.showing import profiles_of, segments_of
from quimbi_assets.definitions import defs
from quimbi_assets.defs.labels import TIERS
from quimbi_assets.defs.partitions import (
    ACTIONS_KEY,
    AXIS_STAGES,
    CHURN_KEY,
    HEALTH_KEY,
    HISTORY,
    ORDERS_KEY,
    PROFILES_KEY,
    REFERENCE_KEY,
    STORES,
    TICKETS_KEY,
    VALUE_KEY,
    axis_key,
)
from quimbi_assets.defs.sensors import failure_text
from quimbi_assets.errors import BadInputError, UnknownStoreError
from quimbi_assets.profiles.archetypes import archetype_id
from quimbi_assets.resources import profiling
from quimbi_assets.resources.dagster_instance import LOCATION, open_instance
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.mlflow.registry import registered_name
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.audiences import read_audiences
from quimbi_assets.resources.postgres.tables.publications import read_archetypes
from quimbi_assets.resources.profiling import open_profiler
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.administrator import administer, administering

pytestmark = pytest.mark.xdist_group("graph")


def rows(database, sql, *parameters):
    with administering(database) as cursor:
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


def test_archetypes_are_few_populous_and_hold_every_customer_once(database, two_stores):
    for store_id in two_stores:
        found = rows(
            database,
            "SELECT a.archetype_id, a.name, a.traits, a.customer_count, a.population_percentage, count(p.customer_id) "
            "FROM quimbi.archetypes a LEFT JOIN quimbi.customer_profiles p USING (store_id, archetype_id) "
            "WHERE a.store_id = %s AND a.valid_to IS NULL GROUP BY 1, 2, 3, 4, 5",
            store_id,
        )
        (profiled,) = rows(database, "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = %s", store_id)[0]
        assert 2 <= len(found) <= 250
        assert sum(held for *_, held in found) == profiled
        assert len({name for _, name, *_ in found}) == len(found)
        for archetype, name, traits, count, percentage, held in found:
            assert count == held >= 30
            assert percentage == pytest.approx(100 * count / profiled)
            assert archetype == archetype_id({axis: own["segment_id"] for axis, own in traits.items()})
            assert name
    with open_instance() as instance:
        check = dg.AssetCheckKey(PROFILES_KEY, "archetypes_few_populous_and_true")
        # Runs that other tests let fail have planned the check and never come to it.
        history = instance.event_log_storage.get_asset_check_execution_history(check, limit=20)
        evaluated = [record.event.asset_check_evaluation for record in history]
        assert [evaluation.passed for evaluation in evaluated if evaluation][:2] == [True, True]


def test_audiences_follow_the_profiles(database, two_stores):
    for store_id in two_stores:
        state = read_audiences(database, store_id)["worth_saving"]
        ((risky,),) = database.execute(
            EVERY_STORE,
            "SELECT count(*) FROM quimbi.customer_profiles "
            "WHERE store_id = %s AND churn_risk_score BETWEEN 0.4 AND 0.8 AND value_tier IN ('top', 'high', 'medium') "
            "AND lifecycle IN ('slowing', 'at risk', 'lapsed')",
            (store_id,),
        )
        assert state.customers == risky > 0


def test_the_ready_rules_send_planted_high_touch_customers_to_the_senior_queue(database, two_stores, tmp_path):
    write_store(600, tmp_path, seed=1)  # north once more, with what was planted
    planted = pq.read_table(tmp_path / "labels.parquet", columns=["customer_id", "support_history"]).to_pylist()
    states = {row["customer_id"]: row["support_history"] for row in planted if row["support_history"] is not None}
    needing = {customer for customer, state in states.items() if state != "served"}
    sent = "SELECT customer_id FROM quimbi.customer_actions WHERE store_id = 'north' AND queue = 'senior'"
    senior = {customer for (customer,) in administer(database, sent)} & set(states)
    assert len(needing) > 100
    assert len(needing & senior) >= 0.9 * max(len(needing), len(senior))


def test_actions_follow_the_profiles(database, two_stores):
    with open_instance() as instance:
        wanted = dg.AssetRecordsFilter(ACTIONS_KEY, asset_partitions=["south"])
        (made,) = instance.fetch_materializations(wanted, limit=1).records
        event = made.asset_materialization
        check = dg.AssetCheckKey(ACTIONS_KEY, "rules_can_fire")
        records = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
    evaluations = [record.event.asset_check_evaluation for record in records if record.event]
    assert next(one for one in evaluations if one.partition == "south").passed
    by_rule = "SELECT rule, count(*) FROM quimbi.customer_actions WHERE store_id = %s GROUP BY rule"
    acted = {rule: n for rule, n in event.metadata["by_rule"].value.items() if n}
    assert acted == dict(administer(database, by_rule, (event.partition,)))
    assert {"high_touch", "discount_hunters", "full_price_buyers"} <= set(acted)


def test_stores_do_not_mix(database, two_stores):
    north, south = (segments_of(store_id) for store_id in two_stores)
    assert north["axes"] != south["axes"]
    shared = profiles_of(database, "north", ["c0000001"])[0], profiles_of(database, "south", ["c0000001"])[0]
    assert shared[0]["feature_vectors"] != shared[1]["feature_vectors"]


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
    run_id = metadata["mlflow_run_id"].value
    assert metadata["silhouette_by_k"].value.endswith(f"/mlflow/runs/{run_id}/silhouette_by_k.png)")
    assert len(metadata["silhouette_by_k"].value) < 1000  # longer, the UI hides it behind a button
    artifacts = {file.path for file in open_tracking().client.list_artifacts(run_id)}
    assert {"silhouette_by_k.png", "centres.png"} <= artifacts
    assert "stays_calibration_error" in {row.data["figure"] for row in metadata["stays_in_segment"].records}
    with open_instance() as instance:
        segments = (
            instance.get_latest_materialization_event(axis_key("segments", "purchase_frequency"))
            .asset_materialization.metadata["segments"]
            .records
        )
        wanted = dg.AssetRecordsFilter(TICKETS_KEY, asset_partitions=["south"])
        tickets = instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
    assert sum(row.data["customers"] for row in segments) > 300
    n_writers = parquet_tables().history(tickets.partition).n_writers_without_order
    assert tickets.metadata["wrote_but_never_ordered"].value == n_writers


def test_mlflow_says_what_everything_is(two_stores):
    client = open_tracking().client
    experiment = client.get_experiment_by_name("quimbi/north")
    assert experiment.tags["store"] == "north"
    assert "Store **north**" in experiment.tags["mlflow.note.content"]
    (parent, *_) = client.search_runs([experiment.experiment_id], "metrics.axes_active > 1")
    assert parent.data.metrics["axes_active"] == len(AXES)
    assert parent.data.metrics["segments"] >= 2 * len(AXES)
    assert -1 <= parent.data.metrics["mean_silhouette"] <= 1
    for name, axis in AXES.items():
        model = client.get_registered_model(registered_name("north", name))
        assert axis.question in model.description
        assert {"store": "north", "axis": name, "status": "active"}.items() <= model.tags.items()
        assert set(model.aliases) == {"champion"}
        version = client.get_model_version_by_alias(model.name, "champion")
        assert version.tags["status"] == "active"
        assert "promoted" not in version.description  # it says what became of the fit, the tag what is so now
        assert version.description.startswith("Data up to 20")


def test_one_customer_alone_from_raw_orders_gets_the_profile_in_the_table(database, two_stores):
    profiler, history = open_profiler("north"), parquet_tables().history("north")
    for customer in history.customers.to_pylist()[:3]:
        own = history.of(pd.Index([customer])).frames()
        (row,) = profiler.profile(own.orders, own.items, own.tickets).to_dict("records")
        (stored,) = profiles_of(database, "north", [customer])
        for axis, scores in json.loads(row["segment_memberships"]).items():
            assert scores == pytest.approx(stored["segment_memberships"][axis], abs=1e-9)
        for same in ("archetype_id", "interpretation", "lifetime_value"):
            assert row[same] == stored[same]
        assert row["archetype"] == stored["archetype"]
        for axis, segment in stored["segments"].items():
            assert row["segments"][axis]["name"] == segment["name"]
            assert row["segments"][axis]["stays"] == pytest.approx(segment["stays"], abs=1e-3)
            assert row["segments"][axis]["stays_strength"] == segment["stays_strength"]


def test_a_profile_is_by_the_clock_and_currency_of_the_run_whatever_was_loaded_since(database, two_stores):
    before = open_profiler("north").store
    change = "UPDATE quimbi.stores SET time_zone = %s, currency = %s WHERE store_id = 'north'"
    with administering(database) as cursor:
        cursor.execute("SELECT time_zone, currency FROM quimbi.stores WHERE store_id = 'north'")
        recorded = cursor.fetchone()
        cursor.execute(change, ("Asia/Tokyo", "JPY"))
    try:
        assert open_profiler("north").store == before
    finally:
        with administering(database) as cursor:
            cursor.execute(change, recorded)


def test_nobody_is_profiled_with_features_of_a_run_that_did_not_end(two_stores, tmp_path, monkeypatch):
    other = parquet_tables(f"file://{tmp_path}")
    for key in (axis_key("features", name) for name in AXES):
        facts = parquet_tables().required(key, "north").facts
        other.write(
            key, "north", pd.DataFrame({"customer_id": ["c1"]}), replace(facts, at=facts.at + pd.Timedelta("7D"))
        )
    monkeypatch.setattr(profiling, "parquet_tables", lambda: other)
    with pytest.raises(BadInputError, match=r"did not end, profiles are as of .*: quimbi run --store-id north"):
        open_profiler("north")


def test_after_a_run_of_the_past_the_same_data_change_nothing_but_versions(database, two_stores, monkeypatch):
    customers = ["c0000001", "c0000002"]
    with pytest.raises(BadInputError, match=r"was computed as of .*, this run is as of .*; nothing new is published"):
        run_store("south", RunOptions(axes=["purchase_frequency"], as_of="2024-12-31"), Steps(None, "south"))
    segment = segments_of("south")["axes"][0]["segments"][0]["segment_id"]
    rename_segment("south", next(iter(AXES)), segment, "our_old_friends")  # the refused run left nothing behind
    before, profiles = segments_of("south"), profiles_of(database, "south", customers)
    assert before["axes"][0]["segments"][0]["segment_name"] == "our_old_friends"
    archetypes = read_archetypes(database, "south")
    assert profiles_of(database, "south", customers) == profiles
    with monkeypatch.context() as patch:
        patch.setattr(foresight, "SMALLEST_SHARE", 1.0)  # states foretell nothing, so that one is chance
        run_store("south", RunOptions(as_of="2024-12-31"), Steps(None, "south"))
    try:
        (latest,) = rows(database, "SELECT max(as_of) FROM quimbi.customer_profiles WHERE store_id = 'south'")[0]
        assert pd.Timestamp(latest) == pd.Timestamp("2024-12-31", tz="UTC")
        then = parquet_tables().table(axis_key("features", "purchase_frequency"), "south")
        assert min(then.read(["days_since_last_order"])["days_since_last_order"].to_pylist()) >= 0
        assert_shown_as_weak("south", "customer_maturity")
    finally:
        run_store("south", RunOptions(), Steps(None, "south"))
    after = segments_of("south")
    for one, two in zip(before["axes"], after["axes"], strict=True):
        assert one["mlflow_run_id"] != two["mlflow_run_id"]
        assert one["segments"] == two["segments"]
    for one, two in zip(profiles, profiles_of(database, "south", customers), strict=True):
        assert {k: v for k, v in one.items() if k != "model_versions"} == {
            k: v for k, v in two.items() if k != "model_versions"
        }
    kept = [column for column in archetypes if column != "valid_from"]
    pd.testing.assert_frame_equal(read_archetypes(database, "south")[kept], archetypes[kept])
    current = rows(
        database,
        "SELECT axis_name, count(*) FROM quimbi.dim_segment_master "
        "WHERE store_id = 'south' AND valid_to IS NULL GROUP BY axis_name",
    )
    assert dict(current) == {axis["axis"]: axis["k"] for axis in after["axes"]}
    named_by = "SELECT count(*), min(name_source) FROM quimbi.dim_segment_master WHERE segment_name = 'our_old_friends'"
    assert rows(database, named_by + " AND store_id = 'south'") == [(2, "person")]  # before the past and after it


def assert_shown_as_weak(store_id, name):
    (axis,) = [axis for axis in segments_of(store_id)["axes"] if axis["axis"] == name]
    assert axis["status"] == "weak"
    assert "really differ in" in axis["reason"]
    assert "mostly by how many orders they had placed" in axis["reason"]
    assert len(axis["segments"]) == axis["k"]
    with open_instance() as instance:
        check = dg.AssetCheckKey(axis_key("models", name), "real_differences")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        evaluation = record.event.asset_check_evaluation
        assert not evaluation.passed
        assert evaluation.severity == dg.AssetCheckSeverity.WARN
        assert "acceleration" in {row.data["feature"] for row in evaluation.metadata["figures"].records}
        metadata = instance.get_latest_materialization_event(axis_key("models", name)).asset_materialization.metadata
        assert metadata["status"].value == "weak"
        assert all(row.data["variance ratio"] > 0 for row in metadata["real_differences"].records)
    fit = metadata["mlflow_run_id"].value  # of this fit, whether or not it serves
    run = open_tracking().client.get_run(fit)
    assert run.data.tags["status"] == "weak"
    assert run.data.tags["reason"] == axis["reason"]
    assert {"variance_ratio.acceleration", "reliability.acceleration", "foresight_beyond"} <= set(run.data.metrics)


def test_one_axis_alone(database, two_stores):
    before = segments_of("north")["axes"]
    run_store("north", RunOptions(axes=["purchase_value"]), Steps(None, "north"))
    after = segments_of("north")["axes"]
    changed = [a["axis"] for a, b in zip(before, after, strict=True) if a["mlflow_run_id"] != b["mlflow_run_id"]]
    assert changed == ["purchase_value"]
    (profile,) = profiles_of(database, "north", ["c0000001"])
    assert set(profile["segment_memberships"]) == set(AXES)


def test_too_few_customers_is_bad_input_and_keeps_what_was_there(two_stores):
    before = segments_of("south")
    with pytest.raises(BadInputError, match=r"has \d+ customers .* fewer than 5000.*--min-population"):
        run_store("south", RunOptions(min_population=5000), Steps(None, "south"))
    assert segments_of("south") == before


def checks_of(store_id):
    """Return run and status of the last evaluation of every check of a store."""
    with open_instance() as instance:
        last = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [key for key in defs.resolve_asset_graph().asset_check_keys if key.asset_key != HEALTH_KEY],
            PartitionKeyFilter(key=store_id),
        )
    return {key: (record.run_id, record.status.value) for key, record in last.items()}


def test_a_failing_store_changes_no_check_of_another(two_stores):
    north, south = (checks_of(store_id) for store_id in two_stores)
    assert len(north) == len(south) > 80
    with pytest.raises(BadInputError, match="fewer than 5000"):
        run_store("south", RunOptions(min_population=5000), Steps(None, "south"))
    assert checks_of("north") == north
    after = checks_of("south")
    changed = [key for key in south if after[key] != south[key]]
    # Those of what was sent were evaluated anew; all others were to be, and the run failed before.
    assert {after[key][1] for key in changed if key.asset_key not in HISTORY} == {"PLANNED"}
    assert len(changed) == len(south)


def test_a_store_without_an_active_axis_says_why(database, tmp_path):
    orders = pd.DataFrame({"order_id": ["1", "2", "3"], "customer_id": ["a", "b", "a"], "total_price": 10.0})
    path = tmp_path / "orders.csv"
    orders.assign(order_date=["2024-01-01", "2024-02-01", "2024-03-01"]).to_csv(path, index=False)
    load_store(database, "handful", path)
    axes = ["purchase_frequency", "support_history"]
    with pytest.raises(dg.Failure, match="no axis is active for this store"):
        run_store("handful", RunOptions(min_population=2, axes=axes), Steps(None, "handful"))
    reasons = {axis["axis"]: axis["reason"] for axis in segments_of("handful")["axes"]}
    assert list(reasons) == axes
    assert reasons["purchase_frequency"].startswith("only 1 of 2 customers")
    assert reasons["support_history"] == "not recorded: support tickets"


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


def test_an_axis_depends_on_its_own_earlier_stages_only():
    graph = defs.resolve_asset_graph()
    for name in AXES:
        own = {stage: axis_key(stage, name) for stage in AXIS_STAGES}
        parents = {stage: graph.get(key).parent_keys for stage, key in own.items()}
        assert parents["features"] == {*HISTORY}
        assert parents["models"] == {*HISTORY, own["features"], REFERENCE_KEY}
        assert parents["memberships"] == {own["features"], own["models"]}
        assert parents["segments"] == {HISTORY[0], own["features"], own["memberships"]}
        assert set(own.values()) - {own["models"]} <= graph.get(PROFILES_KEY).parent_keys


def test_every_check_is_of_its_assets_partitions_and_says_what_to_do():
    graph = defs.resolve_asset_graph()
    assert len(graph.asset_check_keys) >= 86
    for key in graph.asset_check_keys:
        node = graph.get(key)
        assert node.partitions_def == graph.get(key.asset_key).partitions_def, key
        holds, _, remedy = (node.description or "").partition("**If it fails:** ")
        assert len(holds) > 20, key
        assert len(remedy) > 20, key


def test_assets_are_found_by_axis_domain_and_tier_and_say_their_columns():
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.tags["tier"] in TIERS
        assert node.code_version
    of_axis = {key for key in graph.materializable_asset_keys if graph.get(key).tags.get("axis") == "price_sensitivity"}
    assert of_axis == {axis_key(stage, "price_sensitivity") for stage in AXIS_STAGES}
    assert graph.get(axis_key("models", "support_history")).tags["domain"] == "support"
    for name, axis in AXES.items():
        schema = graph.get(axis_key("features", name)).metadata["dagster/column_schema"]
        assert [column.name for column in schema.columns] == ["customer_id", *(one.name for one in axis.features)]
        assert all(column.description for column in schema.columns[1:])


def test_what_a_run_leaves_says_its_columns(two_stores):
    graph = defs.resolve_asset_graph()
    with open_instance() as instance:
        for key in graph.materializable_asset_keys:
            event = instance.get_latest_materialization_event(key)
            if event is not None and key != HEALTH_KEY:  # which shows its table and stores none
                metadata = {**graph.get(key).metadata, **event.asset_materialization.metadata}
                assert "dagster/column_schema" in metadata, key
        of_model = graph.get(axis_key("models", "purchase_value")).metadata["dagster/column_schema"]
        stored = parquet_tables().required(axis_key("models", "purchase_value"), "north").schema.names
        assert [column.name for column in of_model.columns] == stored
        for key in (CHURN_KEY, VALUE_KEY):
            event = instance.get_latest_materialization_event(key).asset_materialization
            assert event.metadata["dagster/table_name"].value == "quimbi.forecast_fits"
        for key, name in ((PROFILES_KEY, "quimbi.customer_profiles"), (ORDERS_KEY, None)):
            event = instance.get_latest_materialization_event(key).asset_materialization
            columns = {column.name: column for column in event.metadata["dagster/column_schema"].schema.columns}
            assert columns["customer_id"].type in ("text", "string")
            assert sum(bool(column.description) for column in columns.values()) > len(columns) / 3
            if name:
                assert event.metadata["dagster/table_name"].value == name


def last_tags(instance, key, store_id):
    records = instance.fetch_materializations(dg.AssetRecordsFilter(key, asset_partitions=[store_id]), limit=1).records
    return records[0].event_log_entry.asset_materialization.tags


def test_reading_a_store_again_leaves_what_was_made_of_it_in_step(two_stores):
    with open_instance() as instance:
        before = last_tags(instance, ORDERS_KEY, "north")
        with store_lock("north", Steps(None, "north"), wait=True) as lock:
            run_id = materialize(lock, "north", "store", Steps(None, "north"), HISTORY)
        after = last_tags(instance, ORDERS_KEY, "north")
        assert after["dagster/data_version"] == before["dagster/data_version"]
        features = last_tags(instance, axis_key("features", "purchase_value"), "north")
        digest = hashlib.sha256(after["dagster/data_version"].encode()).hexdigest()  # of all partitions read: one
        assert features["dagster/input_data_version/raw/orders"] == digest
        # The command's run stands where the UI's do: on the timeline, by the same tags.
        run = instance.get_run_by_id(run_id)
    assert run.remote_job_origin.repository_origin.code_location_origin.location_name == LOCATION
    assert {"dagster/code_location", "quimbi/store", "dagster/partition"} <= set(run.tags)


def test_a_partition_that_nobody_loaded_is_refused_in_words(two_stores):
    with open_instance() as instance:
        instance.add_dynamic_partitions(str(STORES.name), ["ghost"])
        job = defs.resolve_job_def("store")
        result = job.execute_in_process(instance=instance, partition_key="ghost", raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            "run_failed", dagster_instance=instance, dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()  # fmt: skip
        text = failure_text(context)
        instance.delete_dynamic_partition(str(STORES.name), "ghost")
    assert "store ghost is not loaded; load it first: quimbi load --store-id ghost --orders FILE" in text


def test_every_asset_has_an_owner_a_group_and_a_description():
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.owners
        assert node.group_name == key.path[0]
        assert len(node.description or "") > 30
        assert node.kinds
