"""What is foretold, in the graph: models in MLflow, profiles, one customer alone, and reasons for young stores.

Of churn risk and of value to come.
"""

from dataclasses import replace

import dagster as dg
import pandas as pd
import pytest

from quimbi_assets.commands import showing
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.commands.showing import churn_of, value_of
from quimbi_assets.defs.partitions import CHURN_KEY, VALUE_KEY
from quimbi_assets.instants import Instant
from quimbi_assets.profiles.stays import StayModel
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.mlflow.registry import CHURN, VALUE
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.promotions import read_fit
from quimbi_assets.resources.profiling import open_profiler
from quimbi_assets.resources.publishing import forecast_model
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.administrator import administer

pytestmark = pytest.mark.xdist_group("churn")

AXES = ["purchase_value", "loyalty_trajectory"]
PRESENT = "2026-01-01"


def run(store_id, as_of=None, **options):
    run_store(store_id, RunOptions(axes=AXES, as_of=as_of, **options), Steps(None, store_id))


def published(database, store_id):
    columns = "customer_id, churn_risk_score, churn_drivers, model_versions, feature_vectors, interpretation"
    with database.transaction(store_id) as cursor:
        cursor.execute(
            f"SELECT {columns} FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY customer_id", (store_id,)
        )
        return pd.DataFrame(cursor.fetchall(), columns=columns.split(", ")).set_index("customer_id")


def figures(database, store_id):
    return read_fit(database, store_id, CHURN).figures


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
    axes = database.query(store_id, "SELECT stays FROM quimbi.axis_models WHERE store_id = %s AND k > 0", (store_id,))
    return [StayModel.from_json(stays) for stays in axes["stays"]]


def test_who_stays_in_a_segment_is_learnt_over_the_same_horizon(database, whole):
    days = figures(database, whole)["horizon_days"]
    learnt = stays_of(database, whole)
    assert {(stays.horizon_days, stays.reason) for stays in learnt} == {(days, None)}
    assert all(stays.n_customers > 100 and stays.calibration_error < 0.1 for stays in learnt)


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
    assert event.metadata["calibration"].value.endswith("/calibration.png)")


def test_from_python_one_customer_has_the_risk_of_the_batch(database, whole):
    found = published(database, whole)
    profiler, history = open_profiler(whole), parquet_tables().history(whole)
    for customer in found.index[::150]:
        own = history.of(pd.Index([customer])).frames()
        (alone,) = profiler.profile(own.orders, own.items, own.tickets)["churn_risk_score"]
        assert alone == found.loc[customer, "churn_risk_score"]


FORETOLD = "predicted_orders_90d, predicted_value_90d, predicted_value_90d_low, predicted_value_90d_high, \
predicted_value_365d, expected_next_order_at, prediction_reason, model_versions"


def foretold(database, store_id):
    sql = f"SELECT customer_id, {FORETOLD} FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY customer_id"
    return database.query(store_id, sql, (store_id,)).set_index("customer_id")


def test_every_profile_has_its_value_to_come_and_the_version(database, whole):
    fit, found = read_fit(database, whole, VALUE), foretold(database, whole)
    assert fit.status == "active"
    without = fit.figures["not_foretold"] or ""
    assert set(found["prediction_reason"].fillna("")) == {without}
    assert (found["predicted_value_365d"].isna() == ("The year ahead is not foretold" in without)).all()
    assert (found["predicted_value_90d_low"] <= found["predicted_value_90d_high"]).all()
    assert found["predicted_value_90d"].nunique() > 100
    assert (found["predicted_orders_90d"].isna() == ("Orders are not foretold" in without)).all()
    dated = found["expected_next_order_at"].notna().mean()
    assert dated == 0 if "Orders are not foretold" in without else 0.1 < dated < 1
    assert (found["expected_next_order_at"].dropna() > pd.Timestamp(PRESENT, tz="UTC")).all()
    assert {versions[VALUE] for versions in found["model_versions"]} == {fit.model_version}
    assert "days, unseen, spend was missed by" in value_of(whole)
    assert value_of(whole).endswith(f". {without}" if without else "of what came")
    view = "SELECT sum(predicted_value_90d) FROM quimbi.customer_profiles_named WHERE store_id = %s"
    assert administer(database, view, (whole,))[0][0] == pytest.approx(found["predicted_value_90d"].sum())


def test_risk_and_what_is_foretold_agree_of_everybody(database, whole):
    found, days = foretold(database, whole), figures(database, whole)["horizon_days"]
    risk = published(database, whole)["churn_risk_score"]
    assert days >= 90
    assert (risk > 0.1).mean() > 0.2
    assert (found["predicted_value_90d_low"][risk > 0.1] == 0).all()
    due = found["expected_next_order_at"].dropna()
    ends = pd.Timestamp(PRESENT, tz="UTC") + pd.Timedelta(days=days)
    assert ((due <= ends) == (risk[due.index] <= 0.5))[due != ends].all()


def test_it_is_said_how_many_days_were_tested(database, whole, monkeypatch):
    fit = read_fit(database, whole, VALUE)
    short = replace(fit, figures={**fit.figures, "horizon_days": 56})
    monkeypatch.setattr(showing, "_served_fit", lambda *_: short)
    assert "56 days (90 are shown: 56 were tested), unseen" in value_of(whole)


def test_mlflow_and_the_ui_hold_the_test_of_value_and_its_picture(database, whole):
    row, tracking = read_fit(database, whole, VALUE).figures, open_tracking()
    logged = tracking.client.get_run(row["mlflow_run_id"])
    assert logged.data.metrics["model.error"] == pytest.approx(row["error"])
    files = {file.path for file in tracking.client.list_artifacts(row["mlflow_run_id"])}
    assert {"calibration.png", "test_windows.csv"} <= files
    version = tracking.client.get_model_version_by_alias(f"{whole}.{VALUE}", "champion")
    assert version.tags["as_of"] == "2026-01-01 00:00:00"
    with open_instance() as instance:
        event = instance.get_latest_materialization_event(VALUE_KEY).asset_materialization
        check = dg.AssetCheckKey(VALUE_KEY, "value_is_in_level")
        assert instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert event.metadata["calibration"].value.endswith("/calibration.png)")


def test_from_python_one_customer_is_foretold_what_the_batch_is(database, whole):
    found = foretold(database, whole)
    profiler, history = open_profiler(whole), parquet_tables().history(whole)
    for customer in found.index[::150]:
        own = history.of(pd.Index([customer])).frames()
        (alone,) = profiler.profile(own.orders, own.items, own.tickets).to_dict("records")
        for name in FORETOLD.split(", ")[:-2]:
            stored = found.loc[customer, name]
            assert alone[name] == stored or (pd.isna(alone[name]) and pd.isna(stored)), name


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
    assert profiler.forecasts[CHURN] == reason
    assert {stays.reason for stays in stays_of(database, "churn_young")} == {reason}
    assert not found["interpretation"].str.contains("days too").any()


def test_no_model_of_a_later_time_serves_the_past(database, whole):
    assert isinstance(forecast_model(database, open_tracking().registry, whole, CHURN, Instant("2023-06-01")), str)


def test_a_young_stores_profiles_say_why_nothing_is_foretold(database, folder):
    found = foretold(database, "churn_young")
    assert found["predicted_value_90d"].isna().all()
    (reason,) = set(found["prediction_reason"])
    assert "days of orders, fewer than the 84" in reason
    assert f"Nothing is foretold, because {value_of('churn_young').removeprefix('inactive: ')}." == reason
