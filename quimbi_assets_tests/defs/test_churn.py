"""Churn in the graph: a model in MLflow, scores in the profiles, blind as of the past, and reasons for young stores."""

import dagster as dg
import pandas as pd
import pytest

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.commands.showing import churn_of
from quimbi_assets.defs.partitions import CHURN_KEY
from quimbi_assets.instants import Instant
from quimbi_assets.profiles.stays import StayModel
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.mlflow.registry import CHURN
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.promotions import read_churn_fit
from quimbi_assets.resources.profiling import open_profiler
from quimbi_assets.resources.publishing import churn_model
from quimbi_assets.simulation import write_store

pytestmark = pytest.mark.xdist_group("churn")

AXES = ["purchase_value", "loyalty_trajectory"]
PRESENT = "2026-01-01"


def run(store_id, as_of=None, **options):
    run_store(store_id, RunOptions(axes=AXES, as_of=as_of, **options), Steps(None, store_id))


def published(database, store_id):
    columns = "customer_id, churn_risk_score, churn_drivers, model_versions, feature_vectors, interpretation"
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY customer_id", (store_id,)
        )
        return pd.DataFrame(cursor.fetchall(), columns=columns.split(", ")).set_index("customer_id")


def figures(database, store_id):
    return read_churn_fit(database, store_id).figures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("churn")
    write_store(700, path, seed=11)
    orders, items = (pd.read_parquet(path / f"{table}.parquet") for table in ("orders", "order_items"))
    dates = pd.to_datetime(orders["order_date"], utc=True)

    def part(name, kept):
        kept.to_parquet(path / f"{name}.parquet")
        items[items["order_id"].isin(kept["order_id"])].to_parquet(path / f"{name}_items.parquet")

    part("young", orders[(dates >= "2025-06-01") & (dates < "2025-06-22")])
    return path


@pytest.fixture(scope="module")
def whole(database, folder):
    load_store(database, "churn_whole", folder / "orders.parquet", folder / "order_items.parquet")
    run("churn_whole", PRESENT)
    return "churn_whole"


def test_every_profile_has_a_risk_its_drivers_and_the_version(database, whole):
    row = figures(database, whole)
    found = published(database, whole)
    assert found["churn_risk_score"].between(0, 1).all()
    assert found["churn_risk_score"].nunique() > 100
    for profile in found.iloc[::50].to_dict("records"):
        assert profile["churn_drivers"]["horizon_days"] == row["horizon_days"]
        assert profile["churn_drivers"]["reason"] is None
        assert 1 <= len(profile["churn_drivers"]["drivers"]) <= 3
        assert profile["model_versions"][CHURN] == row["model_version"]
        stored = profile["feature_vectors"]["loyalty_trajectory"]["churn_risk_score"]
        assert stored == pytest.approx(profile["churn_risk_score"], abs=1e-6)
        assert f"in the next {row['horizon_days']} days" in profile["interpretation"]
    assert "serves" in churn_of(whole) or "serve;" in churn_of(whole)


def stays_of(database, store_id):
    axes = database.query("SELECT stays FROM quimbi.axis_models WHERE store_id = %s AND k > 0", (store_id,))
    return [StayModel.from_json(stays) for stays in axes["stays"]]


def test_who_stays_in_a_segment_is_learnt_over_the_same_horizon(database, whole):
    days = figures(database, whole)["horizon_days"]
    learnt = stays_of(database, whole)
    assert {(stays.horizon_days, stays.reason) for stays in learnt} == {(days, None)}
    assert all(stays.n_customers > 100 and stays.calibration_error < 0.1 for stays in learnt)
    sentences = published(database, whole)["interpretation"]
    assert sentences.str.contains(f"% likely in {days} days too").any()


def test_mlflow_and_the_ui_hold_the_test_and_its_picture(database, whole):
    row = figures(database, whole)
    tracking = open_tracking()
    logged = tracking.client.get_run(row["mlflow_run_id"])
    assert logged.data.metrics["model.auc"] == pytest.approx(row["auc_of_chosen"])
    assert {"silence.auc", "base_rate.brier", "model.lift_top_decile", "auc_difference.low"} <= set(logged.data.metrics)
    assert logged.data.params["kind_served"] == row["serves"]
    files = {file.path for file in tracking.client.list_artifacts(row["mlflow_run_id"])}
    assert {"calibration.png", "calibration.csv"} <= files
    version = tracking.client.get_model_version_by_alias(f"{whole}.{CHURN}", "champion")
    assert version.tags["as_of"] == "2026-01-01 00:00:00"
    with open_instance() as instance:
        event = instance.get_latest_materialization_event(CHURN_KEY).asset_materialization
        check = dg.AssetCheckKey(CHURN_KEY, "risk_is_calibrated")
        assert instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert event.metadata["calibration"].value.startswith("![picture](data:image/png;base64,")


def test_from_python_one_customer_has_the_risk_of_the_batch(database, whole):
    found = published(database, whole)
    profiler, history = open_profiler(whole), parquet_tables().history(whole)
    for customer in found.index[::150]:
        own = history.of(pd.Index([customer])).frames()
        (alone,) = profiler.profile(own.orders, own.items, own.tickets)["churn_risk_score"]
        assert alone == found.loc[customer, "churn_risk_score"]


def test_a_young_store_has_profiles_and_a_reason(database, folder):
    load_store(database, "churn_young", folder / "young.parquet", folder / "young_items.parquet")
    run("churn_young", min_population=2)
    found = published(database, "churn_young")
    assert len(found)
    assert found["churn_risk_score"].isna().all()
    reasons = {drivers["reason"] for drivers in found["churn_drivers"]}
    assert len(reasons) == 1
    (reason,) = reasons
    assert "days of orders, fewer than the 70" in reason or "no customer has ordered twice" in reason
    assert not figures(database, "churn_young")
    assert churn_of("churn_young") == f"inactive: {reason}"
    profiler = open_profiler("churn_young")
    assert profiler.churn == reason
    assert {stays.reason for stays in stays_of(database, "churn_young")} == {reason}
    assert not found["interpretation"].str.contains("days too").any()


def test_no_model_of_a_later_time_serves_the_past(database, whole):
    assert isinstance(churn_model(database, open_tracking().registry, whole, Instant("2023-06-01")), str)
