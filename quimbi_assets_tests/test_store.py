import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import closed_week
from quimbi_assets.store import Store, StorePlan


@pytest.mark.parametrize(
    ("now", "time_zone", "due"),
    [
        # The clocks of Berlin go back on 25 October 2026, those of New York on 1 November.
        ("2026-10-19T03:00Z", "Europe/Berlin", "2026-10-19T05:00+02:00"),
        ("2026-10-26T03:59Z", "Europe/Berlin", "2026-10-19T05:00+02:00"),
        ("2026-10-26T04:00Z", "Europe/Berlin", "2026-10-26T05:00+01:00"),
        ("2026-10-26T09:00Z", "America/New_York", "2026-10-26T05:00-04:00"),
        ("2026-11-02T09:59Z", "America/New_York", "2026-10-26T05:00-04:00"),
        ("2026-11-02T10:00Z", "America/New_York", "2026-11-02T05:00-05:00"),
        ("2026-11-02T10:00Z", "Asia/Kathmandu", "2026-11-02T05:00+05:45"),
    ],
)
def test_the_last_instant_by_the_stores_clock(now, time_zone, due):
    assert StorePlan().last_due(pd.Timestamp(now), time_zone) == pd.Timestamp(due)


def test_an_hour_that_does_not_exist_or_comes_twice():
    sundays = StorePlan(weekday="sunday", hour=2)
    assert sundays.last_due(pd.Timestamp("2026-03-29T12:00Z"), "Europe/Berlin") == pd.Timestamp("2026-03-29T01:00Z")
    assert sundays.last_due(pd.Timestamp("2026-10-25T12:00Z"), "Europe/Berlin") == pd.Timestamp("2026-10-25T00:00Z")


def test_refits_and_the_week_that_ended():
    firsts = [day for day in pd.date_range("2026-01-05", "2026-12-28", freq="7D") if StorePlan().refits_at(day)]
    assert [day.month for day in firsts] == list(range(1, 13))
    assert not StorePlan(refit="never").refits_at(pd.Timestamp("2026-11-02"))
    assert StorePlan(refit="weekly").refits_at(pd.Timestamp("2026-11-09"))
    wednesday = pd.Timestamp("2026-11-25 05:00", tz="America/New_York")
    assert closed_week(wednesday) == pd.Timestamp("2026-11-16")


@pytest.mark.parametrize(
    "given", [{"weekday": "noday"}, {"hour": 24}, {"refit": "daily"}, {"snapshot": "monthly"}, {"stale_after_days": 0}]
)
def test_what_cannot_be_says_what_can(given):
    with pytest.raises(BadInputError, match="cannot be used"):
        StorePlan(**given)


def test_a_plan_survives_being_written():
    plan = StorePlan(weekday="friday", hour=0, refit="never")
    assert StorePlan.from_json(plan.to_json()) == plan


def test_a_store_is_checked():
    assert Store(currency=" eur").checked().currency == "EUR"
    for store, message in ((Store(currency="euro"), "currency 'euro'"), (Store(time_zone="Mars"), "time zone 'Mars'")):
        with pytest.raises(BadInputError, match=message):
            store.checked()
