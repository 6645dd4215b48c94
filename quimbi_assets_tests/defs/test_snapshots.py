"""Weekly snapshots through the real graph: point in time, made again, backfilled, thinned, before the first models.

What holds of any week (planted changes, corrections, retraining) is tested where it is pure: ``tests/weekly``.
"""

import json
from datetime import date, timedelta

import dagster as dg
import pandas as pd
import pytest

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.over_time import drift_of, snapshot_week
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.definitions import build_defs
from quimbi_assets.defs.partitions import MIGRATIONS_KEY, NOTICES_KEY, SNAPSHOTS_KEY, STORES, store_week_key
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import two_years_before
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.home import store_page
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.promotions import read_promotions
from quimbi_assets.simulation import write_store
from quimbi_assets.weekly.notifications import SUBJECT
from quimbi_assets_tests.administrator import administering

pytestmark = pytest.mark.xdist_group("snapshots")

STORE, ZONE = "weekly", "America/New_York"
AXES = ["purchase_frequency", "purchase_value", "loyalty_trajectory"]
FIRST = date(2025, 9, 1)
"""The week that begins where the data of the models end."""
PAST = date(2025, 8, 18)
HISTORY = "customer_history"


def weeks(n, first=FIRST):
    return [first + timedelta(days=7 * i) for i in range(n)]


def table(database, name, store_id, week=None):
    sql = f"SELECT to_jsonb(t) - 'store_id' FROM quimbi.{name} t WHERE store_id = %s"
    with database.transaction(store_id) as cursor:
        cursor.execute(sql + (" AND week = %s" if week else ""), (store_id, week) if week else (store_id,))
        return sorted(json.dumps(row, sort_keys=True) for (row,) in cursor.fetchall())


def run(store_id, as_of=None, **options):
    run_store(store_id, RunOptions(axes=AXES, as_of=as_of, **options), Steps(None, store_id))


def snapshot(store_id, week):
    snapshot_week(store_id, week, Steps(None, store_id))


def backfill(store_id, chosen):
    """Materialize weeks in one run, with the tags that Dagster's backfill daemon gives such a run."""
    first, last = (store_week_key(store_id, week) for week in (chosen[0], chosen[-1]))
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    with open_instance() as instance:
        return build_defs().resolve_job_def("week").execute_in_process(instance=instance, tags=tags)


@pytest.fixture(scope="module")
def store(database, tmp_path_factory):
    """A store fitted as of 1 September, watched for the weeks after it; its files."""
    folder = tmp_path_factory.mktemp(STORE)
    write_store(500, folder, seed=6, end_date="2025-10-31")
    load_store(database, STORE, folder / "orders.parquet", folder / "order_items.parquet", time_zone=ZONE)
    run(STORE, as_of="2025-09-01T04:00Z")
    for week in weeks(3):
        snapshot(STORE, week)
    return folder


def load_part(database, folder, name, keep):
    """Load those of the store's orders that ``keep`` says."""
    orders = pd.read_parquet(folder / "orders.parquet")
    orders = keep(orders)
    items = pd.read_parquet(folder / "order_items.parquet")
    orders.to_parquet(folder / f"{name}.parquet")
    items[items["order_id"].isin(orders["order_id"])].to_parquet(folder / f"{name}_items.parquet")
    load_store(database, name, folder / f"{name}.parquet", folder / f"{name}_items.parquet", time_zone=ZONE)


def test_rows_are_of_every_customer_at_the_end_of_the_week(store, database):
    rows = [json.loads(row) for row in table(database, HISTORY, STORE, FIRST)]
    end = pd.Timestamp("2025-09-08 04:00")
    known = parquet_tables().history(STORE).until(end).customers.to_pylist()
    assert {row["customer_id"] for row in rows} == set(known)
    for row in rows:
        assert pd.Timestamp(row["as_of"]) == end.tz_localize("UTC")
        assert set(row["model_versions"]) == {*AXES, "churn_risk"}
        assert set(row["dominant_segments"]) == set(AXES)
        assert 0 <= row["churn_risk_score"] <= 1
        assert row["lifetime_value"] >= 0
        for axis, memberships in row["segment_memberships"].items():
            assert sum(memberships.values()) == pytest.approx(1, abs=1e-9)
            assert row["dominant_segments"][axis] in memberships
    assert any(row["archetype_id"] for row in rows)


def test_drift_says_how_far_how_fast_and_why(store, database):
    rows = [json.loads(row) for row in table(database, HISTORY, STORE, weeks(3)[-1])]
    moved = [row["drift"]["purchase_frequency"] for row in rows if row["drift"]]
    assert set(moved[0]) == {"drift", "velocity_per_day", "acceleration", "severity", "cause"}
    assert {found["cause"] for found in moved} == {"acted", "silent"}
    assert all(found["velocity_per_day"] == pytest.approx(found["drift"] / 7, abs=1e-6) for found in moved)
    found = drift_of(STORE)
    assert found["week"] == weeks(3)[-1].isoformat()
    assert found["compared_with"] == weeks(3)[-2].isoformat()
    assert set(found["causes"]) == {"acted", "silent"}
    assert all(flow["cause"] in ("acted", "silent") for flow in found["migrations"] if flow["axis"] not in GROUPINGS)
    stages = {(flow["to_segment"], flow["cause"]) for flow in found["migrations"] if flow["axis"] == "lifecycle"}
    assert ("slowing", "silent") in stages
    assert ("active", "acted") in stages
    assert all(alert["cause"] in ("acted", "silent") for alert in found["alerts"])
    moved = [alert for alert in found["alerts"] if alert["alert"] == "moved"]
    assert all(alert["axis"] in AXES and alert["from_name"] and alert["to_name"] for alert in moved)
    assert found["floors"]["silence"] >= 1.3
    assert found["floors"]["silence_test"]["n_silent"] > 0


def test_a_week_made_again_changes_no_row(store, database):
    names = (HISTORY, "segment_migrations", "drift_floors", "population_drift")
    before = {name: table(database, name, STORE) for name in names}
    snapshot(STORE, weeks(3)[1])
    backfill(STORE, weeks(3))
    assert {name: table(database, name, STORE) for name in names} == before


def test_a_week_whose_comparison_was_killed_is_compared_before_the_next(store, database):
    _, before, last = weeks(3)
    made, tables = table(database, HISTORY, STORE, last), parquet_tables()
    compared = repr(tables.table(MIGRATIONS_KEY, STORE, before).read().to_pylist())
    tables.place(MIGRATIONS_KEY, STORE, before).unlink()
    snapshot(STORE, last)
    assert table(database, HISTORY, STORE, last) == made
    assert repr(tables.table(MIGRATIONS_KEY, STORE, before).read().to_pylist()) == compared


def test_a_backfill_is_one_run_and_the_same_as_week_by_week_and_blind_to_what_came_later(store, database):
    name, end = "weekly_backfilled", pd.Timestamp("2025-09-22 04:00", tz="UTC")
    load_part(database, store, name, lambda orders: orders[pd.to_datetime(orders["order_date"], utc=True) < end])
    run(name, as_of="2025-09-01T04:00Z")
    with open_instance() as instance:
        instance.add_dynamic_partitions(str(STORES.name), [name])
    result = backfill(name, weeks(3))
    assert result.success
    evaluations = result.get_asset_check_evaluations()
    assert all(one.target_materialization_data for one in evaluations)
    weekly = sorted(str(store_week_key(name, week)) for week in weeks(3))
    for key in (SNAPSHOTS_KEY, MIGRATIONS_KEY):
        assert sorted(str(one.partition) for one in evaluations if one.asset_key == key) == weekly
    assert table(database, HISTORY, name) == table(database, HISTORY, STORE)
    for found in ("segment_migrations", "drift_floors"):
        assert table(database, found, name) == table(database, found, STORE)
    with open_instance() as instance:
        for key in (SNAPSHOTS_KEY, MIGRATIONS_KEY):
            made = instance.get_materialized_partitions(key)
            assert {store_week_key(name, week) for week in weeks(3)} <= set(made)


def test_before_the_first_models_these_score_and_nothing_else_changes(store, database):
    """The first drift of a store that was just fitted: what customers did, and no segment that became another."""
    registry = open_tracking().registry
    before, segments = read_promotions(database, STORE), table(database, "axis_models", STORE)
    serving = before.serving()
    first, second = PAST, PAST + timedelta(days=7)
    for week in (first, second):
        snapshot(STORE, week)
    rows = [json.loads(row) for row in table(database, HISTORY, STORE, first)]
    assert all(row["model_versions"][axis] == serving[axis] for row in rows for axis in AXES)
    assert any(row["archetype_id"] for row in rows)
    versions = {row["model_versions"]["churn_risk"] for row in rows}  # a forecast of then, by what was known then
    (churn,) = registry.load_versions(STORE, {"churn_risk": versions.pop()}).values()
    assert churn.data_end == pd.Timestamp("2025-08-25 04:00")
    now = read_promotions(database, STORE)
    assert (now.serving(), now.present()) == (serving, before.present())
    assert {row.axis for row in now.rows if row.for_past} == {"churn_risk"}
    assert table(database, "axis_models", STORE) == segments
    found = drift_of(STORE, second)
    assert found["compared_with"] == first.isoformat()
    assert found["migrations"]
    by_axes = [flow for flow in found["migrations"] if flow["axis"] not in GROUPINGS]  # whose measure is a week's own
    assert {flow["cause"] for flow in by_axes} <= {"acted", "silent"}
    assert sorted(AXES) == drift_of(STORE, first)["later_models"]
    assert found["later_models"] == []  # the week that ended as the models' data did
    made = table(database, HISTORY, STORE, first)
    snapshot(STORE, first)
    assert table(database, HISTORY, STORE, first) == made


PLANT_MOVE = """
    INSERT INTO quimbi.segment_migrations (store_id, week, customer_id, axis_name, cause, from_segment, to_segment,
        from_week, at) VALUES (%s, %s, 'moved', 'purchase_value', 'acted', 'a', 'b', %s, now())
"""
PLANT_NOTICE = """
    INSERT INTO quimbi.alert_notices (store_id, week, customer_id, alert, priority, held_out, repeated, named)
    VALUES (%s, %s, 'moved', 'moved', 1, false, false, true)
"""


def test_old_weeks_are_thinned_rows_and_files(store, database):
    config = {"ops": {"drift__snapshots": {"config": {"keep_weekly_weeks": 2}}}}
    last = weeks(5)[-1]
    before, at = two_years_before(last) - timedelta(days=1), two_years_before(last)
    with administering(database) as cursor:
        for week in (before, at):
            cursor.execute(PLANT_MOVE, (STORE, week, week))
            cursor.execute(PLANT_NOTICE, (STORE, week))
    with open_instance() as instance:
        build_defs().resolve_job_def("week").execute_in_process(
            instance=instance, partition_key=store_week_key(STORE, last), run_config=config
        )
    with administering(database) as cursor:
        cursor.execute("SELECT DISTINCT week FROM quimbi.customer_history WHERE store_id = %s ORDER BY 1", (STORE,))
        kept = [week for (week,) in cursor.fetchall()]
        for name in ("segment_migrations", "alert_notices"):
            planted = f"SELECT week FROM quimbi.{name} WHERE store_id = %s AND customer_id = 'moved'"
            cursor.execute(planted, (STORE,))
            assert cursor.fetchall() == [(at,)], name
    assert kept == [PAST, FIRST, last]
    tables = parquet_tables()
    assert tables.table(SNAPSHOTS_KEY, STORE, weeks(3)[1]) is None
    assert tables.table(MIGRATIONS_KEY, STORE, weeks(3)[1]) is None
    assert tables.table(SNAPSHOTS_KEY, STORE, FIRST) is not None


def test_the_ui_has_pictures_and_the_check(store):
    with open_instance() as instance:
        event = instance.get_latest_materialization_event(MIGRATIONS_KEY)
        metadata = event.asset_materialization.metadata
        assert metadata["segment_shares_over_weeks"].value.endswith("/segment_shares_over_weeks.png)")
        assert metadata["mlflow_run"].value == f"http://127.0.0.1:8000/mlflow/runs/{metadata['mlflow_run_id'].value}"
        check = dg.AssetCheckKey(MIGRATIONS_KEY, "population_as_at_the_fit")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
        assert record.event.asset_check_evaluation.severity == dg.AssetCheckSeverity.WARN


def plant_trials(database):
    """One that goes on, one that was ended some days ago, one ended and one over long ago."""
    with administering(database) as cursor:
        for name, began, ended in (
            ("going on", 60, None), ("ended lately", 60, 20), ("ended long ago", 400, 390), ("over", 400, None)
        ):  # fmt: skip
            cursor.execute(
                "INSERT INTO quimbi.trials (store_id, subject, control, outcome, window_days, weeks, began_at, "
                "ended_at) VALUES (%s, %s, 0.1, 'ordered', 30, 26, now() - %s * interval '1 day', "
                "now() - %s * interval '1 day')",
                (STORE, f"export/trial-{name}", began, ended),
            )


def test_the_store_is_told_of_its_last_week_once(store, database, channel, monkeypatch):
    url, statuses, received = channel
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
    last = weeks(5)[-1]

    def notify():
        with open_instance() as instance:
            job = build_defs().resolve_job_def("week")
            key = store_week_key(STORE, last)
            result = job.execute_in_process(instance=instance, partition_key=key, asset_selection=[NOTICES_KEY])
            assert result.success
            (event,) = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=NOTICES_KEY, asset_partitions=[key]), limit=1
            ).records
        rows = [json.loads(row) for row in table(database, "alert_notices", STORE, last)]
        return event.asset_materialization.metadata, rows

    with administering(database) as cursor:
        cursor.execute(
            "UPDATE quimbi.customer_history SET alert = 'newly_at_risk', alert_cause = 'silent' "
            "WHERE store_id = %s AND week = %s AND customer_id IN "
            "(SELECT customer_id FROM quimbi.customer_history WHERE store_id = %s AND week = %s LIMIT 60)",
            (STORE, last, STORE, last),
        )
    metadata, rows = notify()
    assert metadata["slack"].value == "not sent: a week of the past"
    assert not received
    named = [row["customer_id"] for row in rows if row["named"]]
    assert len(named) == 10
    assert any(row["held_out"] for row in rows)
    assert not any(row["held_out"] and row["named"] for row in rows)
    monkeypatch.setattr("quimbi_assets.defs.notifications.closed_week", lambda instant: pd.Timestamp(last))
    plant_trials(database)
    statuses[:] = [404]
    metadata, rows = notify()  # Slack is away: the run goes on, and the week can be told later
    assert metadata["slack"].value == "not sent: Slack answered 404"
    statuses[:] = [200]
    received.clear()
    metadata, rows = notify()
    assert metadata["slack"].value == "sent"
    (message,) = received
    assert all(f"  `{customer}`: " in message["text"] for customer in named)
    assert message["text"].endswith(f"<{store_page(STORE)}|the store's page>")
    told = [line.partition(":")[0].strip() for line in message["text"].splitlines() if "trial-" in line]
    assert told == ["export/trial-ended lately", "export/trial-going on"]
    assert {row["customer_id"] for row in rows if row["told_at"]} == set(named)
    entered = database.execute(
        EVERY_STORE,
        "SELECT customer_id, arm FROM quimbi.treatments WHERE store_id = %s AND subject = %s",
        (STORE, SUBJECT),
    )
    held = {row["customer_id"] for row in rows if row["held_out"]}
    assert {who for who, arm in entered if arm == "acted"} == set(named)
    assert {who for who, arm in entered if arm == "control"} == held & {who for who, _ in entered} != set()
    assert not any(f"  `{customer}`: " in message["text"] for customer in held)
    metadata, _ = notify()
    assert metadata["slack"].value == "not sent: this week was told already"
    assert len(received) == 1


def test_bad_weeks_are_bad_input(store, database):
    with pytest.raises(BadInputError, match="not over yet"):
        snapshot(STORE, date(2100, 1, 4))
    with pytest.raises(BadInputError, match="customers by the end of week"):
        snapshot(STORE, date(2010, 1, 4))
    load_part(database, store, "weekly_never_run", lambda orders: orders)
    with pytest.raises(BadInputError, match="no models yet"):
        snapshot("weekly_never_run", FIRST)
