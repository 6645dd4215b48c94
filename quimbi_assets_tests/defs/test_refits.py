"""Refits through the real graph: what serves, what is held, what comes back."""

from contextlib import closing

import dagster as dg
import pandas as pd
import psycopg2
import pytest

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.decisions import promote_and_publish, promote_version, rename_segment
from quimbi_assets.commands.running import RunOptions, run_and_summarise, run_store
from quimbi_assets.commands.showing import segments_of
from quimbi_assets.definitions import build_defs
from quimbi_assets.defs.partitions import STORES, axis_key
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.promotions import read_promotions
from quimbi_assets.resources.postgres.tables.publications import read_held_reasons, read_publication
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.administrator import administering

pytestmark = pytest.mark.xdist_group("refits")

STORE, AXIS = "refitted", "purchase_value"
NEWEST_RUN = "SELECT run_id FROM quimbi.publications WHERE store_id = %s ORDER BY publication_id DESC LIMIT 1"


def rows(database, sql, *parameters):
    with administering(database) as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def run(**options):
    run_store(STORE, RunOptions(axes=[AXIS], **options), Steps(None, STORE))


def job(name):
    return build_defs().resolve_job_def(name)


def axis_now():
    (axis,) = [axis for axis in segments_of(STORE)["axes"] if axis["axis"] == AXIS]
    return axis


def names(axis):
    return {segment["segment_id"]: segment["segment_name"] for segment in axis["segments"]}


def last_check():
    with open_instance() as instance:
        check = dg.AssetCheckKey(axis_key("models", AXIS), "refit_promoted")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        return record.event.asset_check_evaluation


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Fits in this process, where limits can be set for a test."""
    monkeypatch.setattr("quimbi_assets.resources.workers.WORTH_PROCESSES", 10**9)


@pytest.fixture(scope="module")
def store(database, tmp_path_factory):
    """One axis of a small store, fitted once."""
    folder = tmp_path_factory.mktemp(STORE)
    write_store(400, folder, seed=5)
    load_store(database, STORE, folder / "orders.parquet", folder / "order_items.parquet")
    run()
    return database


def serving():
    return read_promotions(open_database(), STORE).serving()[AXIS]


def relations_of(database, version):
    sql = "SELECT relation FROM quimbi.segment_lineage WHERE store_id = %s AND model_version = %s"
    return {relation for (relation,) in rows(database, sql, STORE, version)}


def test_a_first_fit_serves_and_the_same_data_change_nothing(store):
    first = axis_now()
    assert last_check().passed
    assert relations_of(store, "1") == {"born"}
    run()
    assert axis_now()["segments"] == first["segments"]
    assert relations_of(store, "2") == {"kept"}
    assert serving() == "2"


def test_a_held_refit_leaves_the_champion_serving_and_says_why(store, monkeypatch, capsys):
    before, version = axis_now(), serving()
    with monkeypatch.context() as patch:
        patch.setattr("quimbi_assets.clustering.promotion.MAX_CHURN", 0.0)
        run_and_summarise(STORE, RunOptions(axes=[AXIS]))
    after = axis_now()
    assert serving() == version
    assert after["mlflow_run_id"] == before["mlflow_run_id"]
    assert names(after) == names(before)
    reason = read_held_reasons(open_database(), STORE)[AXIS]
    assert "of customers would change segment" in reason
    assert "refit held, the earlier model serves: " + reason in capsys.readouterr().out
    check = last_check()
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["reason"].value == reason
    client = open_tracking().client
    held = str(client.get_registered_model(f"{STORE}.{AXIS}").aliases["candidate"])
    assert held == str(int(version) + 1)
    found = client.get_model_version(f"{STORE}.{AXIS}", held)
    assert found.tags["promotion"] == f"held: {reason}"
    assert client.get_run(found.run_id).data.tags["promotion"] == "held"
    assert relations_of(store, held) == {"kept"}

    with monkeypatch.context() as patch:
        patch.setattr("quimbi_assets.clustering.promotion.MAX_CHURN", 0.0)
        run(promote=True)
    assert serving() != version
    assert AXIS not in read_held_reasons(open_database(), STORE)
    assert last_check().passed


def test_rolling_back_is_moving_an_alias_and_names_return(store, capsys):
    before = axis_now()
    run(max_k=2)
    assert axis_now()["k"] == 2
    assert last_check().passed
    two = serving()
    ids = {i for (i,) in rows(store, "SELECT segment_id FROM quimbi.segment_lineage WHERE store_id = %s", STORE)}
    promote_and_publish(STORE, AXIS, "1")
    assert serving() == "1"
    last = read_publication(open_database(), STORE)
    promote_and_publish(STORE, AXIS, "1")
    assert "it is what people see already" in capsys.readouterr().out
    assert read_publication(open_database(), STORE) == last
    ended = "UPDATE runs SET status = 'FAILURE' WHERE run_id = %s"  # after it had published, as by a kill
    ((run_id,),) = rows(store, NEWEST_RUN, STORE)
    with closing(psycopg2.connect(open_database().libpq_urls["dagster"])) as connection, connection:
        connection.cursor().execute(ended, (run_id,))
    promote_and_publish(STORE, AXIS, "1")
    assert "published: " in capsys.readouterr().out
    assert rows(store, NEWEST_RUN, STORE) != [(run_id,)]
    first = open_tracking().client.get_model_version(f"{STORE}.{AXIS}", "1")
    assert (axis_now()["mlflow_run_id"], axis_now()["k"]) == (first.run_id, before["k"])
    assert names(axis_now()) == names(before)
    profiled = rows(store, "SELECT model_versions FROM quimbi.customer_profiles WHERE store_id = %s", STORE)
    assert {versions[AXIS] for (versions,) in profiled} == {"1"}
    run()
    back = axis_now()
    assert names(back) == names(before)
    promote_version(STORE, AXIS, two)
    run(min_k=4)
    numbers = [int(i.rsplit("_", 1)[1]) for i in set(names(axis_now())) - ids]
    assert all(number > max(int(i.rsplit("_", 1)[1]) for i in ids) for number in numbers)


def test_promoting_what_is_not_there(store):
    with pytest.raises(BadInputError, match="no model version 999"):
        promote_version(STORE, AXIS, "999")
    with pytest.raises(BadInputError, match="unknown axis shoe_size"):
        promote_version(STORE, "shoe_size", "1")


def test_lineage_is_a_table_of_similarities(store):
    frame = pd.DataFrame(
        rows(
            store,
            "SELECT relation, score, segment_id, previous_segment_id FROM quimbi.segment_lineage WHERE store_id = %s",
            STORE,
        ),
        columns=["relation", "score", "segment_id", "previous"],
    )
    assert frame.loc[frame["relation"] == "kept", "score"].between(0.5, 1).all()
    same = frame["segment_id"] == frame["previous"]
    assert (same == frame["relation"].isin(["kept", "retired"])).all()


def test_segments_that_meet_no_limit_are_weak_and_say_which(store, monkeypatch):
    run(promote=True)
    assert axis_now()["status"] == "active"
    with monkeypatch.context() as patch:
        patch.setattr("quimbi_assets.clustering.selection.MIN_SILHOUETTE", 0.99)
        run(promote=True)
    axis = axis_now()
    assert axis["status"] == "weak"
    assert "no division into segments is balanced, separate and repeatable: silhouette 0." in axis["reason"]
    with open_instance() as instance:
        check = dg.AssetCheckKey(axis_key("models", AXIS), "real_differences")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert record.event.asset_check_evaluation.passed  # customers do differ


def test_a_store_of_which_some_axes_were_run_is_rescored_and_run_again(database, tmp_path):
    """Rescoring measures every axis; those without a model are in nobody's way."""
    write_store(400, tmp_path, seed=6)
    orders = pd.read_parquet(tmp_path / "orders.parquet")
    placed = pd.to_datetime(orders["order_date"], utc=True)
    is_later = placed >= placed.max() - pd.Timedelta(days=30)
    for part, rows in (("earlier", orders[~is_later]), ("later", orders[is_later])):
        rows.to_parquet(tmp_path / f"{part}.parquet")
    load_store(database, "partly", tmp_path / "earlier.parquet")
    with open_instance() as instance:
        instance.add_dynamic_partitions(str(STORES.name), ["partly"])
        refused = job("rescore").execute_in_process(instance=instance, partition_key="partly", raise_on_error=False)
        assert "store partly has no model of these axes yet: quimbi run" in str(
            refused.get_step_failure_events()[0].step_failure_data.error
        )
        run_store("partly", RunOptions(axes=[AXIS]), Steps(None, "partly"))
        assert job("rescore").execute_in_process(instance=instance, partition_key="partly").success
    first = read_publication(database, "partly")
    assert set(first.model_versions) >= {AXIS}
    load_store(database, "partly", tmp_path / "later.parquet")
    run_store("partly", RunOptions(axes=[AXIS]), Steps(None, "partly"))
    assert read_publication(database, "partly").as_of > first.as_of
    (axis,) = segments_of("partly")["axes"]
    segment = axis["segments"][0]["segment_id"]
    rename_segment("partly", AXIS, segment, "ours")
    assert segments_of("partly")["axes"][0]["segments"][0]["segment_name"] == "ours"


def test_an_axis_whose_tables_are_gone_is_not_dropped_from_what_is_published(database, tmp_path):
    """As after a restore of some files: it was fitted, and people see it."""
    write_store(400, tmp_path, seed=6)
    load_store(database, "torn", tmp_path / "orders.parquet")
    run_store("torn", RunOptions(axes=[AXIS, "price_sensitivity"]), Steps(None, "torn"))
    before = read_publication(database, "torn")
    assert set(before.model_versions) >= {AXIS, "price_sensitivity"}
    of_axis = next(one for one in segments_of("torn")["axes"] if one["axis"] == AXIS)
    for stage in ("memberships", "segments"):
        table = parquet_tables().place(axis_key(stage, "price_sensitivity"), "torn")
        elsewhere = table.rename(tmp_path / "elsewhere.parquet")
        with pytest.raises(BadInputError, match="computed of price_sensitivity is missing from the files"):
            rename_segment("torn", AXIS, of_axis["segments"][0]["segment_id"], "ours")
        assert read_publication(database, "torn") == before
        elsewhere.rename(table)
    parquet_tables().place(axis_key("models", "price_sensitivity"), "torn").unlink()
    with open_instance() as instance:
        refused = job("rescore").execute_in_process(instance=instance, partition_key="torn", raise_on_error=False)
    error = str(refused.get_step_failure_events()[0].step_failure_data.error)
    assert "models of price_sensitivity is missing from its files" in error
    assert "fit them anew: quimbi run --store-id torn" in error
    assert read_publication(database, "torn") == before
