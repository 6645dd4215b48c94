"""Which of all stores need a look: told by what was loaded, published and run, on real databases."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import NAMESPACE_OID, uuid5

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType

from quimbi_assets.commands.shops import print_stores, stores_known
from quimbi_assets.defs import health
from quimbi_assets.defs.health import CHECKS, stores_health, stores_looked_at
from quimbi_assets.defs.partitions import HEALTH_KEY, SNAPSHOTS_KEY, STORE_TAG, axis_key, store_week_key
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.postgres.tables import stores as plans
from quimbi_assets.resources.postgres.tables.shops import NewestOrders, list_shops, shops_health
from quimbi_assets.store import StorePlan
from quimbi_assets_tests.administrator import administer

pytestmark = pytest.mark.xdist_group("automation")

AGE = {
    "health-fine": 8,
    "health-failed": 1,
    "health-mended": 1,
    "health-old": 10,
    "health-held": 1,
    "health-checks": 1,
    "health-vain": 1,
}
"""Days since the newest order."""
TODAY = str(datetime.now(UTC).date())
FAILED_CHECKS = "failed checks: drift/snapshots scored_all, models/price no_giant_segment"
PROBLEMS = {
    "health-failed": f"last week run failed {TODAY}",
    "health-old": "old: orders",
    "health-held": "refit held: price",
    "health-checks": FAILED_CHECKS,
    "health-vain": f"last store run failed {TODAY}",
}
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
EVALUATIONS = (
    (axis_key("models", "price"), "no_giant_segment", True, ERROR, "before", None),
    (axis_key("models", "price"), "of_an_older_release", False, ERROR, "before", None),
    (axis_key("models", "price"), "no_giant_segment", False, ERROR, "last", None),
    (axis_key("models", "price"), "real_differences", False, WARN, "last", None),
    (axis_key("models", "gaps"), "no_giant_segment", False, ERROR, "before", None),
    (axis_key("models", "gaps"), "no_giant_segment", True, ERROR, "last", None),
    (SNAPSHOTS_KEY, "scored_all", False, ERROR, "of november", date(2026, 11, 2)),
    (SNAPSHOTS_KEY, "scored_all", True, ERROR, "of october, made again", date(2026, 10, 5)),
)
"""Of one store, oldest first: asset, check, whether it passed, how severe it is, run, week."""


def make(database, store_id, days):
    """A store with one order so many days ago, published just now."""
    database.execute(store_id, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES (%s, 'UTC')", (store_id,))
    database.execute(
        store_id,
        "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
        "VALUES (%s, '1', 'ann', now() - make_interval(days => %s), 10)",
        (store_id, days),
    )
    database.execute(
        store_id,
        "INSERT INTO quimbi.publications (store_id, publication_id, run_id, as_of, model_versions) "
        "VALUES (%s, 1, 'run', now(), '{}')",
        (store_id,),
    )


def ran(instance, store_id, job, status):
    tags = {STORE_TAG: store_id}
    instance.add_run(dg.DagsterRun(job_name=job, tags=tags, status=dg.DagsterRunStatus(status)))


def evaluated(instance, store_id, asset_key, check_name, passed, severity, run_id, week):
    partition = store_id if week is None else str(store_week_key(store_id, week))
    evaluation = dg.AssetCheckEvaluation(
        asset_key=asset_key, check_name=check_name, passed=passed, severity=severity, partition=partition
    )
    kind = DagsterEventType.ASSET_CHECK_EVALUATION.value
    event = DagsterEvent(kind, job_name="store", event_specific_data=evaluation)
    instance.report_dagster_event(event, run_id=str(uuid5(NAMESPACE_OID, run_id)))


@pytest.fixture(scope="module")
def shops(database):
    """Stores of which five need a look."""
    for store_id, days in AGE.items():
        make(database, store_id, days)
    administer(database, "DELETE FROM quimbi.publications WHERE store_id = 'health-vain'")
    administer(
        database,
        "INSERT INTO quimbi.axis_models (store_id, axis_name, status, held_reason) "
        "VALUES ('health-held', 'price', 'active', 'it moves many'), ('health-fine', 'price', 'weak', NULL)",
    )
    with open_instance() as instance:
        for job, status in (("week", "FAILURE"), ("store", "FAILURE"), ("store", "CANCELED"), ("rescore", "SUCCESS")):
            ran(instance, "health-failed", job, status)
        for status in ("FAILURE", "SUCCESS"):
            ran(instance, "health-mended", "week", status)
        ran(instance, "health-vain", "store", "FAILURE")
        for evaluation in EVALUATIONS:
            evaluated(instance, "health-checks", *evaluation)
    return database


def test_exactly_the_broken_ones_need_a_look(shops):
    state = {shop.store_id: shop for shop in list_shops(shops) if shop.store_id in AGE}
    problems = {store_id: shop.problems().partition(" (")[0] for store_id, shop in state.items() if shop.problems()}
    assert problems == PROBLEMS
    assert state["health-fine"].weak == ("price",)
    mends = {store_id: state[store_id].mend() for store_id in problems}
    assert mends.pop("health-held").startswith("quimbi run --store-id health-held --axes price --promote")
    assert mends.pop("health-old").startswith("quimbi load --store-id health-old with newer orders")
    assert mends == {store_id: f"quimbi run --store-id {store_id}" for store_id in mends}
    few = replace(state["health-fine"], met=0.2)
    assert few.mend() == "quimbi load --store-id health-fine --customers F, a list with their addresses"
    assert state["health-checks"].warned_checks == ("models/price real_differences",)
    vain = state["health-vain"]
    assert (vain.last_run, vain.ran(), vain.state) == (None, f"failed {TODAY}", "no run went well yet")
    plans.write_plan(shops, "health-old", StorePlan(stale_after_days=11))
    (old,) = [shop for shop in list_shops(shops) if shop.store_id == "health-old"]
    assert old.problems() == ""
    plans.write_plan(shops, "health-old", StorePlan())


def test_the_asset_has_a_row_a_store_and_its_checks_name_them(shops):
    result = dg.materialize([stores_health])
    (made,) = result.get_asset_materialization_events()
    rows = {record.data["store"]: record.data for record in made.materialization.metadata["by_store"].records}
    told = {store_id: rows[store_id]["needs a look"].partition(" (")[0] for store_id in AGE}
    assert told == {store_id: PROBLEMS.get(store_id, "no") for store_id in AGE}
    evaluations = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert {name for name, one in evaluations.items() if not one.passed} == {rule.name for rule in CHECKS}
    failing = evaluations["no_store_fails"].metadata["by_store"].records
    assert {"store": "health-failed", "what": "week"} in [record.data for record in failing]
    (broken,) = evaluations["no_check_fails"].metadata["by_store"].records
    assert broken.data == {"store": "health-checks", "what": FAILED_CHECKS.partition(": ")[2]}


def test_the_command_says_the_same(shops, capsys):
    known = stores_known()
    told = {shop["store_id"]: shop["problems"].partition(" (")[0] for shop in known["stores"]}
    print_stores(known)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["health-fine"].endswith("  nothing")
    assert "refit held: price" in lines["health-held"]
    assert f"  failed {TODAY}  " in lines["health-vain"]
    assert "never" not in lines["health-vain"]
    assert {store_id: told[store_id] for store_id in AGE} == {store_id: PROBLEMS.get(store_id, "") for store_id in AGE}


def test_it_is_renewed_where_runs_changed_it_and_every_hour(shops, tmp_path, monkeypatch):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def look(cursor):
            with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
                return stores_looked_at.evaluate_tick(context)

        def report(looked):
            for event in looked.asset_events:
                instance.report_runless_asset_event(event)

        first = look(None)
        report(first)
        assert [type(event).__name__ for event in first.asset_events] == ["AssetMaterialization"] + [
            "AssetCheckEvaluation"
        ] * len(CHECKS)
        assert first.asset_events[0].asset_key == HEALTH_KEY
        assert "no run ended" in look(first.cursor).skip_message
        ran(instance, "health-fine", "store", "SUCCESS")
        second = look(first.cursor)
        assert (second.asset_events, float(second.cursor) > float(first.cursor)) == ([], True)  # nothing changed
        make(shops, "health-new", 1)
        changed = look(first.cursor)
        assert {type(event).__name__ for event in changed.asset_events} == {
            "AssetMaterialization",
            "AssetCheckEvaluation",
        }
        report(changed)
        assert look(changed.cursor).asset_events == []
        monkeypatch.setattr(health, "RENEWED_SECONDS", 0)
        assert look(changed.cursor).asset_events


def test_orders_are_looked_at_again_where_they_changed(shops):
    newest = NewestOrders()

    def last_order():
        return {shop.store_id: shop.last_order for shop in shops_health(shops, newest)}["health-fine"]

    administer(shops, "UPDATE quimbi.stores SET changed_at = now() WHERE store_id = 'health-fine'")
    before = last_order()
    administer(
        shops, "UPDATE quimbi.orders SET order_date = order_date + interval '1 h' WHERE store_id = 'health-fine'"
    )
    assert last_order() == before
    administer(shops, "UPDATE quimbi.stores SET changed_at = clock_timestamp() WHERE store_id = 'health-fine'")
    assert last_order() > before
