"""The helpdesk's card: six facts in words, the one thing to do, and nothing where nothing is known."""

from datetime import UTC, datetime

import pytest

from quimbi_assets.marketing.groups import GROUPINGS
from quimbi_assets.page.card import OF_STAGE, OF_TOP, card_of

NOW = datetime(2025, 12, 23, tzinfo=UTC)
FACTS = {
    "tier": "low", "lifecycle": "lapsed", "orders": 6, "value": 145.2, "first": datetime(2024, 5, 2, tzinfo=UTC),
    "last": datetime(2024, 9, 1, 3, tzinfo=UTC), "risk": 0.91, "gap": 27.2, "returns": 0.22, "shop_returns": 0.05,
    "currency": "USD", "time_zone": "America/New_York", "tickets": 3, "as_of": NOW,
    "open_tickets": 2, "rating": 2.0, "queue": "senior", "assignee": None, "priority": "high", "campaign": None,
}  # fmt: skip


def test_what_is_read_in_three_seconds():
    assert card_of(FACTS, NOW) == {
        "known": "yes",
        "who": "lower half in value, usually every 27 days",
        "silence": "last order 477 days ago: lapsed",  # whole days, as profiles have them
        "orders": "6 orders, $145, since May 2024",
        "returns": "sends back 22 % of what they buy (shop 5 %)",
        "support": "2 open tickets, 3 in all, last rating 2 of 5",
        "do": "Put it right first, without asking twice; no offer before that.",
        "rules": "queue senior, priority high",
        "risk": "91 % chance to stay away",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rating": 5.0}, "Ask what did not fit before sending a replacement: much comes back."),
        ({"rating": None, "returns": 0.06}, OF_STAGE["lapsed"]),
        ({"rating": 5.0, "orders": 2}, OF_STAGE["lapsed"]),
        ({"rating": None, "returns": 0.06, "lifecycle": "active", "risk": 0.39}, OF_STAGE["active"]),
        ({"rating": None, "returns": 0.06, "lifecycle": "active", "risk": 0.397}, OF_STAGE["slowing"]),
        ({"rating": None, "returns": 0.06, "lifecycle": "active", "risk": None}, OF_STAGE["active"]),
        ({"rating": 5.0, "shop_returns": None, "tier": "top"}, OF_TOP),
    ],
)
def test_what_went_wrong_comes_before_offers(changes, words):
    assert card_of(FACTS | changes, NOW)["do"] == words


def test_every_stage_has_something_to_do():
    assert set(OF_STAGE) == set(GROUPINGS["lifecycle"])


def test_silence_is_counted_to_the_profile_as_the_lifecycle_is():
    later, days = datetime(2026, 3, 1, tzinfo=UTC), FACTS["last"].replace(day=3)
    assert card_of(FACTS, later)["silence"] == "no order in the 477 days to 22 Dec 2025: lapsed"
    assert card_of(FACTS | {"last": NOW}, later)["silence"] == "last order on 22 Dec 2025: lapsed"
    assert card_of(FACTS | {"as_of": days}, days)["silence"] == "last order 2 days ago: lapsed"


def test_no_ticket_is_said_to_be_closed_where_no_status_is_known():
    assert card_of(FACTS | {"open_tickets": None}, NOW)["support"] == "3 tickets, last rating 2 of 5"
    assert card_of(FACTS | {"open_tickets": 0}, NOW)["support"].startswith("no open ticket, 3 in all")


def test_what_is_not_known_is_left_out():
    nothing = dict.fromkeys(FACTS) | {"time_zone": "UTC", "tickets": 0, "open_tickets": 0}
    assert card_of(nothing, NOW) == {"known": "yes"}
    assert "usually" not in card_of(FACTS | {"orders": 3}, NOW)["who"]  # two gaps are no rhythm
    assert card_of(FACTS | {"open_tickets": 0, "rating": None}, NOW)["support"] == "no open ticket, 3 in all"
