"""A week's alerts are read with the move that they are about; whom the store was told of is remembered."""

from datetime import timedelta

import pandas as pd
import pytest

from quimbi_assets.resources.postgres.copy import copy_frame
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.drift import (
    mark_told,
    named_before,
    publish_notices,
    read_alerts,
    read_drift,
)
from quimbi_assets.resources.postgres.tables.history import publish_drift, publish_week
from quimbi_assets.resources.postgres.tables.stores import write_store
from quimbi_assets.store import OrderPolicy, Store
from quimbi_assets.weekly.noise import NoiseThresholds
from quimbi_assets.weekly.silence import SilenceTest
from quimbi_assets_tests.administrator import administer, administering
from quimbi_assets_tests.resources.made_up import AS_OF, axis_state
from quimbi_assets_tests.resources.postgres.tables.test_publications import publish

WEEK = pd.Timestamp("2024-05-27").date()


@pytest.fixture
def loaded(database, tmp_path):
    """A store; its customers came back, or not, after the week."""
    statuses = {"paid": "paid", "unmarked": None, "cancelled": " Cancelled ", "test": "test", "100%": "100%"}
    ids = [f"{i}" for i in range(2 * len(statuses) + 1)]
    orders = pd.DataFrame({"order_id": ids, "customer_id": [*statuses, *statuses, "foreign"], "currency": "USD"})
    orders["order_date"] = ["2024-05-01"] * len(statuses) + ["2024-06-02"] * (len(statuses) + 1)
    orders["status"] = [None] * len(statuses) + [*statuses.values(), "paid"]
    orders.loc[orders["customer_id"] == "foreign", "currency"] = "CHF"
    orders.assign(total_price=10).to_csv(tmp_path / "orders.csv", index=False)
    load_store(database, "back", tmp_path / "orders.csv")
    return "back"


def test_who_bought_nothing_since_is_at_risk_whatever_was_dropped(database, loaded):
    ids = ["paid", "unmarked", "cancelled", "test", "100%", "foreign"]
    rows = pd.DataFrame({"customer_id": ids, "week": WEEK, "as_of": AS_OF, "archetype_id": "x"})
    nested = dict.fromkeys(("segment_memberships", "dominant_segments", "model_versions"), "{}")
    rows = rows.assign(**nested, lifetime_value=10.0, churn_risk_score=0.5)
    publish_week(database, loaded, WEEK, [rows])
    administer(database, "UPDATE quimbi.customer_history SET alert = 'newly_at_risk' WHERE store_id = %s", (loaded,))
    assert {one["customer_id"] for one in read_drift(database, loaded)["at_risk"]} == {"cancelled", "test", "foreign"}
    policy = OrderPolicy(dropped_statuses=("100%",)).to_json()
    administer(database, "UPDATE quimbi.stores SET order_policy = %s WHERE store_id = %s", (policy, loaded))
    assert {one["customer_id"] for one in read_drift(database, loaded)["at_risk"]} == {"100%", "foreign"}


def test_an_alert_names_the_farthest_move_of_its_cause_on_an_axis_that_is_not_weak(database):
    publish(database, "alerts", axes={"a": axis_state("1"), "b": axis_state("1", "weak")})
    customers = pd.DataFrame({"customer_id": ["ann", "bob"], "week": WEEK, "as_of": AS_OF, "archetype_id": "x"})
    nested = dict.fromkeys(("segment_memberships", "dominant_segments"), "{}")
    publish_week(
        database,
        "alerts",
        WEEK,
        [customers.assign(**nested, model_versions="{}", lifetime_value=[10.0, 20.0], churn_risk_score=0.5)],
    )
    moves = pd.DataFrame(
        [
            ("ann", "a", "acted", "a_1", "a_2", 0.6),
            ("ann", "b", "acted", "b_1", "b_2", 0.9),
            ("ann", "archetype", "acted", "x", "y", None),
            ("ann", "a", "model", "a_2", "a_1", None),
        ],
        columns=["customer_id", "axis_name", "cause", "from_segment", "to_segment", "drift"],
    )
    with administering(database) as cursor:
        write_store(cursor, Store("alerts"))
        rows = moves.assign(store_id="alerts", week=WEEK, from_week=WEEK, at=AS_OF)
        copy_frame(cursor, "quimbi.segment_migrations", rows)
        cursor.execute(
            "UPDATE quimbi.customer_history SET alert = CASE customer_id WHEN 'ann' THEN 'moved' ELSE 'newly_at_risk' "
            "END, alert_cause = CASE customer_id WHEN 'ann' THEN 'acted' ELSE 'silent' END WHERE store_id = 'alerts'"
        )
    silent, acted = read_drift(database, "alerts")["alerts"]
    named = ("customer_id", "axis", "from_segment", "from_name", "to_segment", "to_name")
    assert [acted[key] for key in named] == ["ann", "a", "a_1", "few", "a_2", "many"]
    assert [silent[key] for key in named] == ["bob", None, None, None, None, None]


@pytest.mark.parametrize("reason", ["silence foretells too little", None])
def test_why_nobody_is_newly_at_risk_is_kept_by_week(database, reason):
    noise, none = NoiseThresholds({}, 1.3, 0.5, 1, 1, SilenceTest(reason)), pd.DataFrame()
    publish_drift(database, "quiet", WEEK, [], none, none, noise)
    assert read_alerts(database, "quiet", WEEK)[-1] == reason
    assert read_alerts(database, "quiet", WEEK - timedelta(weeks=1))[-1] is None


def test_a_customer_counts_as_named_once_the_message_was_accepted(database):
    notices = pd.DataFrame({"customer_id": ["ann", "bob"], "alert": "newly_at_risk", "priority": 1.0})
    notices = notices.assign(held_out=False, repeated=False, named=[True, False])
    assert publish_notices(database, "told", WEEK, notices)
    week_after = WEEK + timedelta(weeks=1)
    assert named_before(database, "told", week_after) == {}
    mark_told(database, "told", WEEK, ["ann"], 0.0)
    assert named_before(database, "told", week_after) == {"ann": WEEK}
    assert not publish_notices(database, "told", WEEK, notices.assign(named=False))
    assert named_before(database, "told", week_after) == {"ann": WEEK}
