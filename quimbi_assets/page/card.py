"""What somebody who answers a customer reads in three seconds: at most ten strings, the first ones first.

Belongs here: the words of a helpdesk's card. Does not: reading the figures (``resources.postgres.tables.fields``), a
customer's page (``customer``).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quimbi_assets.audiences.definitions import LEAST_IN_DOUBT
from quimbi_assets.naming.values import format_money, format_percent, plural
from quimbi_assets.page.customer import TIER_MEANINGS, local_time, written_day

BAD_RATING = 2
"""Of 5: a last rating up to this one comes before everything that is to be offered."""
FEWEST_ORDERS = 4
"""From which a usual wait is told, as on the page."""
MUCH = 2.0
"""Times the shop's share of refunds from which what is sent back is said first among what to do."""
UNKNOWN = {"known": "no"}
SET_BY_RULES = ("queue", "assignee", "priority", "campaign")
"""What the shop's rules decided of a customer and whoever answers has to know."""
OF_TOP = "Answer first and in person; one who may decide takes it, and says when it will be solved."
OF_STAGE = {
    "new": "Answer today and ask whether what they ordered arrived well: they have just begun.",
    "active": "Solve it in one reply; they come in their rhythm, no goodwill needed to keep them.",
    "slowing": "Solve it in one reply, and ask whether all was well with the last order.",
    "at risk": "Solve it in one reply, ask what they miss here, and note the answer in the ticket.",
    "lapsed": "Ask what kept them away, and note the reason in the ticket.",
    "lost": "Friendly and to the point; ask once what made them leave, no more.",
}
"""What whoever answers does, by value, then by lifecycle: no campaign, those are for marketing."""


def card_of(facts: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """Return the card of a customer: what, in words; what is not known is left out.

    `facts` are ``tables.fields.read_card``'s. Silence is counted to `as_of`, the profile's instant, as its lifecycle
    is: what was ordered since is not known. Where that is more than a day before `now`, with zone, the day is said.

    >>> from datetime import UTC
    >>> facts = dict.fromkeys(("lifecycle", "gap", "value", "rating", "returns", "shop_returns", "risk"))
    >>> facts |= dict.fromkeys(SET_BY_RULES) | {"queue": "senior"}
    >>> facts |= {"tier": "low", "orders": 6, "open_tickets": 2, "tickets": 3, "currency": "USD", "time_zone": "UTC"}
    >>> facts |= {"first": datetime(2024, 5, 2, tzinfo=UTC), "last": datetime(2024, 9, 1, tzinfo=UTC), "value": 145.0}
    >>> facts |= {"as_of": datetime(2024, 9, 10, tzinfo=UTC)}
    >>> card_of(facts, datetime(2024, 9, 11, tzinfo=UTC))["orders"]
    '6 orders, $145, since May 2024'
    >>> card_of(facts, datetime(2024, 9, 11, tzinfo=UTC))["silence"]
    'last order 9 days ago'
    >>> card_of(facts, datetime(2024, 11, 2, tzinfo=UTC))["silence"]
    'no order in the 9 days to 10 Sep 2024'
    """
    card = {
        "known": "yes",
        "who": _who(facts),
        "silence": _silence(facts, now),
        "orders": _orders(facts),
        "returns": _returns(facts),
        "support": _support(facts),
        "do": _todo(facts),
        "rules": ", ".join(f"{one} {facts[one]}" for one in SET_BY_RULES if facts[one]),
        "risk": "" if facts["risk"] is None else f"{format_percent(facts['risk'])} chance to stay away",
    }
    return {name: words for name, words in card.items() if words}


def _who(facts: Mapping[str, Any]) -> str:
    tier = f"{TIER_MEANINGS[facts['tier']]} in value" if facts["tier"] else ""
    rhythm = f"usually every {plural(round(facts['gap']), 'day')}" if _has_rhythm(facts) else ""
    return ", ".join(filter(None, (tier, rhythm)))


def _has_rhythm(facts: Mapping[str, Any]) -> bool:
    return facts["gap"] is not None and (facts["orders"] or 0) >= FEWEST_ORDERS and facts["gap"] >= 1


def _silence(facts: Mapping[str, Any], now: datetime) -> str:
    if facts["last"] is None:
        return ""
    today, known = (local_time(at, facts["time_zone"]).date() for at in (now, facts["as_of"]))
    stage = f": {facts['lifecycle']}" if facts["lifecycle"] else ""
    days = (facts["as_of"] - facts["last"]).days  # whole ones, as the profile has them
    if (today - known).days <= 1:
        return f"last order {plural(days, 'day')} ago{stage}"
    if not days:
        return f"last order on {written_day(facts['last'], facts['time_zone'])}{stage}"
    return f"no order in the {plural(days, 'day')} to {written_day(facts['as_of'], facts['time_zone'])}{stage}"


def _orders(facts: Mapping[str, Any]) -> str:
    if not facts["orders"] or facts["first"] is None:
        return ""
    spent = "" if facts["value"] is None else f", {format_money(facts['value'], facts['currency'] or '')}"
    since = local_time(facts["first"], facts["time_zone"])
    return f"{plural(facts['orders'], 'order')}{spent}, since {since:%b %Y}"


def _returns(facts: Mapping[str, Any]) -> str:
    if facts["returns"] is None:
        return ""
    shop = "" if facts["shop_returns"] is None else f" (shop {format_percent(facts['shop_returns'])})"
    return f"sends back {format_percent(facts['returns'])} of what they buy{shop}"


def _support(facts: Mapping[str, Any]) -> str:
    if not facts["tickets"]:
        return ""
    rating = "" if facts["rating"] is None else f", last rating {facts['rating']:.0f} of 5"
    if facts["open_tickets"] is None:  # no ticket of theirs has a status
        return f"{plural(facts['tickets'], 'ticket')}{rating}"
    open_ones = plural(facts["open_tickets"], "open ticket") if facts["open_tickets"] else "no open ticket"
    return f"{open_ones}, {facts['tickets']:,} in all{rating}"


def _todo(facts: Mapping[str, Any]) -> str:
    """Return the one thing for whoever answers to do: what went wrong comes first, then who they are."""
    if facts["rating"] is not None and facts["rating"] <= BAD_RATING:
        return "Put it right first, without asking twice; no offer before that."
    returns, shop = facts["returns"], facts["shop_returns"]
    if returns is not None and shop and returns > MUCH * shop and (facts["orders"] or 0) >= FEWEST_ORDERS:
        return "Ask what did not fit before sending a replacement: much comes back."
    stage = facts["lifecycle"] or ""
    if stage == "active" and facts["risk"] is not None and round(facts["risk"], 2) >= LEAST_IN_DOUBT:
        stage = "slowing"  # in their rhythm so far, and yet in doubt
    return OF_TOP if facts["tier"] == "top" else OF_STAGE.get(stage, "")
