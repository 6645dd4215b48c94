"""Changes of checks, told once a day: against a webhook on localhost that also fails."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.utils import make_new_run_id

from quimbi_assets.defs import digest
from quimbi_assets.defs.digest import Told, checks_changed
from quimbi_assets.defs.partitions import STORES, axis_key, store_week_key
from quimbi_assets.resources.slack import Slack

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:  # one log of all runs, as on PostgreSQL
        made.add_dynamic_partitions(str(STORES.name), ["north", "south"])
        yield made


@pytest.fixture
def evaluate(instance):
    """Records the result of a check of a store's axis, perhaps of a week."""

    def record(store_id, axis, name, passed, severity=WARN, week=None):
        partition = store_id if week is None else str(store_week_key(store_id, week))
        evaluation = dg.AssetCheckEvaluation(
            asset_key=axis_key("models", axis), check_name=name, passed=passed, severity=severity, partition=partition
        )
        event = DagsterEvent(
            DagsterEventType.ASSET_CHECK_EVALUATION.value, job_name="store", event_specific_data=evaluation
        )
        instance.report_dagster_event(event, run_id=make_new_run_id())

    return record


@pytest.fixture
def tick(instance, channel, monkeypatch):
    """Evaluates the sensor on a day of November; gives the new cursor and what was sent."""
    url, _, received = channel
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)

    def look(cursor, day=2, hour=7):
        class Clock:
            @staticmethod
            def now(zone):
                return datetime(2026, 11, day, hour, tzinfo=UTC)

        monkeypatch.setattr(digest, "datetime", Clock)
        received.clear()
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"slack": Slack()}) as context:
            checks_changed.evaluate_tick(context)
            return context.cursor, [message["text"] for message in received]

    return look


def test_what_stays_as_it_is_is_told_once(evaluate, tick):
    for axis in ("price", "gaps"):
        evaluate("north", axis, "real_differences", False)
    evaluate("north", "price", "no_giant_segment", False, ERROR)
    evaluate("south", "price", "real_differences", True)
    evaluate("gone", "price", "real_differences", False)
    cursor, early = tick(None, hour=5)
    assert early == []
    cursor, (text,) = tick(cursor)
    assert text.splitlines()[1:-1] == [
        "*<http://127.0.0.1:8000/stores/north|north>* fails: no_giant_segment (price); "
        "warns: real_differences (gaps, price)"
    ]
    evaluate("north", "price", "real_differences", False)  # as before
    evaluate("south", "gaps", "real_differences", False)
    cursor, same_day = tick(cursor, hour=23)
    assert same_day == []
    evaluate("north", "gaps", "real_differences", True)
    cursor, (text,) = tick(cursor, day=3)
    assert text.splitlines()[1:-1] == [
        "*<http://127.0.0.1:8000/stores/north|north>* well again: real_differences (gaps)",
        "*<http://127.0.0.1:8000/stores/south|south>* warns: real_differences (gaps)",
    ]
    _, nothing = tick(cursor, day=4)
    assert nothing == []


def test_an_older_week_made_again_says_nothing_of_now(evaluate, tick):
    first, second = date(2026, 10, 19), date(2026, 10, 26)
    evaluate("north", "price", "complete", False, week=first)
    evaluate("north", "price", "complete", False, week=second)
    evaluate("south", "price", "complete", True, week=second)
    cursor, (text,) = tick(None)
    assert text.splitlines()[1:-1] == ["*<http://127.0.0.1:8000/stores/north|north>* warns: complete (price)"]
    evaluate("north", "price", "complete", True, week=first)
    evaluate("south", "price", "complete", False, week=first)
    cursor, nothing = tick(cursor, day=3)
    assert nothing == []
    evaluate("north", "price", "complete", True, week=second)
    _, (text,) = tick(cursor, day=4)
    assert text.splitlines()[1:-1] == ["*<http://127.0.0.1:8000/stores/north|north>* well again: complete (price)"]


def test_a_message_that_was_not_sent_is_sent_later(evaluate, tick, channel):
    _, statuses, _ = channel
    evaluate("north", "price", "real_differences", False)
    statuses[:] = [404]
    cursor, tries = tick(None)
    assert len(tries) == 1
    assert Told.from_json(cursor).day == ""
    statuses[:] = [200]
    cursor, again = tick(cursor)
    assert again == tries
    _, nothing = tick(cursor)
    assert nothing == []


def test_a_long_history_is_looked_at_in_parts(evaluate, tick, monkeypatch):
    monkeypatch.setattr(digest, "MOST_EVENTS", 2)
    for passed in (False, True, False, True, False):
        evaluate("north", "price", "real_differences", passed)
    cursor, texts = None, []
    for _ in range(3):
        assert texts == []
        cursor, texts = tick(cursor)
    assert "*<http://127.0.0.1:8000/stores/north|north>* warns: real_differences (price)" in texts[0]
