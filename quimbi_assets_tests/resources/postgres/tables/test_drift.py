"""A week's alerts are read with the move that they are about; whom the store was told of is remembered."""

from datetime import timedelta

import pandas as pd

from quimbi_assets.resources.postgres.copy import copy_frame
from quimbi_assets.resources.postgres.tables.drift import mark_told, named_before, publish_notices, read_drift
from quimbi_assets.resources.postgres.tables.history import publish_week
from quimbi_assets_tests.resources.made_up import AS_OF, axis_state
from quimbi_assets_tests.resources.postgres.tables.test_publications import publish

WEEK = pd.Timestamp("2024-05-27").date()


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
    with database.transaction() as cursor:
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


def test_a_customer_counts_as_named_once_the_message_was_accepted(database):
    notices = pd.DataFrame({"customer_id": ["ann", "bob"], "alert": "newly_at_risk", "priority": 1.0})
    publish_notices(database, "told", WEEK, notices.assign(held_out=False, repeated=False, named=[True, False]))
    week_after = WEEK + timedelta(weeks=1)
    assert named_before(database, "told", week_after) == {}
    mark_told(database, "told", WEEK)
    assert named_before(database, "told", week_after) == {"ann": WEEK}
