"""Targets of a project's file as assets: written where they belong, and a failure that fails no run."""

import dagster as dg
import pyarrow as pa
import pytest

from quimbi_assets.audiences.definitions import ExportTarget
from quimbi_assets.defs import audiences
from quimbi_assets.defs.exports import CHECK, export_asset, export_key
from quimbi_assets.defs.partitions import STORES
from quimbi_assets.resources.dagster_resources import Progress
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish


@pytest.fixture
def brought(database, monkeypatch):
    """Materializes a target for a store; returns the run's result."""
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)

    def materialize(target, **columns):
        publish(database, "targets", 3, lifecycle=pa.array(["active"] * 3), **columns)
        with dg.instance_for_test() as instance:
            instance.add_dynamic_partitions(str(STORES.name), ["targets"])
            resources = {"database": database, "progress": Progress()}
            return dg.materialize(
                [export_asset(target)], instance=instance, partition_key="targets", resources=resources
            )

    return materialize


def materialized(result):
    return [event.asset_key for event in result.get_asset_materialization_events()]


def test_a_file_below_the_home(brought, home):
    result = brought(ExportTarget("rich", "csv", where="value > 0", out="lists/{store}.csv"))
    assert materialized(result) == [export_key("rich")]
    text = (home / "lists" / "targets.csv").read_text()
    assert [f"c000{i}" in text for i in range(3)] == [False, False, True]


def test_what_cannot_be_sent_fails_its_check_alone(brought):
    result = brought(ExportTarget("klaviyo", "klaviyo", send=True))
    assert result.success
    assert materialized(result) == []
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (CHECK.name, False)
    assert "KLAVIYO_API_KEY is not set" in str(check.metadata["problem"].value)


def test_nobody_is_named_in_what_a_dry_run_leaves(brought, database):
    administer(
        database,
        "INSERT INTO quimbi.export_profiles (store_id, target, customer_id, digest, state, job_id, refused) "
        "VALUES ('targets', 'klaviyo', 'bo@example.com', '', '{}', 1, 'bo@example.com is no address')",
    )
    customers = pa.array(["ann@example.com", "bo@example.com", "c1"])
    result = brought(ExportTarget("shown", "klaviyo"), customer_id=customers)
    (event,) = result.get_asset_materialization_events()
    report = event.materialization.metadata["report"].value
    assert "profiles that changed: 3" in report
    assert "refused by Klaviyo, and not sent again until they change: 1" in report
    assert "@example" not in "".join(map(str, result.all_events))


def test_a_list_of_another_store(brought):
    result = brought(ExportTarget("other", "csv", out="x.csv", stores=("another",)))
    assert (materialized(result), [check.passed for check in result.get_asset_check_evaluations()]) == ([], [True])


def test_an_audience_that_the_store_does_not_understand_fails_its_check(database, home):
    publish(database, "targets", 3, lifecycle=pa.array(["active"] * 3))
    path, key = home / "audiences.yaml", audiences.audience_key("cooling")
    path.write_text("audiences: {cooling: {where: \"purchase_value in ('nobody')\"}}\n")
    try:
        with dg.instance_for_test() as instance:
            instance.add_dynamic_partitions(str(STORES.name), ["targets"])
            resources = {"database": database, "progress": Progress()}
            result = dg.materialize(
                [audiences.audiences], instance=instance, partition_key="targets", resources=resources
            )
    finally:
        path.unlink()
    assert result.success
    checks = {check.asset_key: check for check in result.get_asset_check_evaluations()}
    assert [asset for asset, check in checks.items() if not check.passed] == [key]
    assert "audience cooling: " in str(checks[key].metadata["problem"].value)
    assert key not in materialized(result)
    assert set(checks) - {key} == set(materialized(result))


def test_a_file_that_is_wrong_leaves_the_standing_audiences(home):
    path = home / "audiences.yaml"
    try:
        path.write_text("audiences: 3\n")
        assert "worth_saving" in audiences._known().audiences
    finally:
        path.unlink()
