"""The asset of actions: what it says of a store's rules, and that a wrong file harms nobody."""

import dagster as dg
import pyarrow as pa
import pytest

from quimbi_assets.defs.actions import customer_actions
from quimbi_assets.defs.partitions import ACTIONS_KEY, STORES
from quimbi_assets.resources.dagster_resources import Progress
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

COUNT = "SELECT count(*) FROM quimbi.customer_actions WHERE store_id = 'acted'"
RULES = """
rules:
  good: {when: orders >= 3, queue: senior, control: 0}
  late: {when: orders >= 1, queue: later, control: 0}
"""


@pytest.fixture
def decided(database, home):
    """Materializes the asset of a store of three customers with these rules; returns facts, if any, and the check."""
    publish(database, "acted", 3, n_orders=pa.array([1, 3, 4]))

    def run(text):
        (home / "actions.yaml").write_text(text)
        with dg.instance_for_test() as instance:
            instance.add_dynamic_partitions(str(STORES.name), ["acted"])
            resources = {"database": database, "progress": Progress()}
            result = dg.materialize([customer_actions], instance=instance, partition_key="acted", resources=resources)
        assert result.success
        (check,) = result.get_asset_check_evaluations()
        events = result.asset_materializations_for_node("actions__customer_actions")
        return [event.metadata for event in events], check

    yield run
    (home / "actions.yaml").unlink()


def test_what_was_decided_is_told(database, decided):
    (facts,), check = decided(RULES)
    assert check.passed
    assert check.asset_key == ACTIONS_KEY
    assert facts["by_rule"].value == {"good": 2, "late": 1}
    assert facts["conflicts"].value == ["queue: good is heard before late for 2 customers"]
    assert (facts["dagster/row_count"].value, administer(database, COUNT)) == (3, [(3,)])


def test_what_cannot_fire_fails_the_check_and_others_are_decided(database, decided):
    (facts,), check = decided(RULES + "  never: {when: value > 2 and value < 1, queue: x}\n")
    assert not check.passed
    assert "rule never can never fire" in str(check.metadata["problems"].value)
    assert (facts["by_rule"].value["good"], administer(database, COUNT)) == (2, [(3,)])


def test_a_file_that_cannot_be_read_leaves_what_was_decided(database, decided):
    decided(RULES)
    events, check = decided("rules: 3")
    assert (events, check.passed, administer(database, COUNT)) == ([], False, [(3,)])
    assert "actions.yaml, line 1, column 8" in str(check.metadata["problems"].value)
