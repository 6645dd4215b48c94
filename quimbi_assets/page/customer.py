"""What the page of one customer says.

Belongs here: wording a profile's figures, and what the pages' wording shares: days, tiers. Does not: reading them
(``facts``), HTML (``render``), the store's page (``content``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from quimbi_assets.axes import AXES
from quimbi_assets.naming.values import format_money, format_percent, spoken
from quimbi_assets.page.facts import CustomerFacts
from quimbi_assets.profiles.rendering import buys_most, reasons_to_leave

TIER_MEANINGS = {
    "top": "the top tenth",
    "high": "rest of the top quarter",
    "medium": "rest of the upper half",
    "low": "lower half",
}


@dataclass(frozen=True)
class CustomerView:
    """Everything the page of one customer says."""

    store_id: str
    customer_id: str
    sentence: str
    figures: Sequence[tuple[str, str]]
    leaving: str
    """What the reasons to leave are held against, or that there is none; empty: not known."""
    reasons_to_leave: Sequence[str]
    axes: Sequence[tuple[str, str, str, str]]
    """Question, segment, how likely to last, share of membership."""
    weeks: Sequence[tuple[str, str, str, str]]
    as_of: str = ""
    """The day as of which it is said why; empty: nobody asked."""
    since: str = ""
    """What came of them in the last month; empty: nobody asked why."""
    reasons: Sequence["AxisReason"] = ()
    folded: Sequence[str] = ()
    """What is to be said of the other axes, in a sentence each."""


@dataclass(frozen=True)
class AxisReason:
    """Why a customer belongs where they do on an axis, and what would move them."""

    question: str
    place: str
    facts: Sequence[tuple[str, float]]
    """What decides, and its share, 0-100, of what speaks for the segment."""
    moves: Sequence[str]


def customer_view(facts: CustomerFacts) -> CustomerView:
    """Say what there is to say of a customer."""
    profile, currency = facts.profile, facts.currency
    figures = [
        ("Lifecycle", profile.get("lifecycle") or "not known yet"),
        ("Value", _tier_words(profile, currency)),
        ("Orders", _orders(profile, facts.time_zone)),
        ("Risk of leaving", _risk(profile)),
        *_to_come(profile, currency, facts.time_zone),
        ("Kind of customer", spoken((profile.get("archetype") or {}).get("name") or "none")),
    ]
    if most := buys_most(profile):
        figures.append(("Buys most", most))
    axes = [
        (AXES[axis].question, spoken(one["name"]), one["stays_strength"] or "", format_percent(one["membership"]))
        for axis, one in profile["segments"].items()
    ]
    weeks = [
        (
            f"{row['week']:%-d %b %Y}",
            row["lifecycle"] or "",
            "" if row["lifetime_value"] is None else format_money(row["lifetime_value"], currency),
            "" if row["churn_risk_score"] is None else format_percent(row["churn_risk_score"]),
        )
        for row in facts.weeks
    ]
    customer = str(profile["customer_id"])
    sentence = profile.get("interpretation") or ""
    view = CustomerView(facts.store_id, customer, sentence, figures, *reasons_to_leave(profile), axes, weeks)
    return view if facts.receipt is None else replace(view, **_why(facts.receipt, facts.time_zone))


def _why(receipt: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """Say what a receipt says; weak axes, and those that say no more than how few orders there are, in a sentence."""
    from quimbi_assets.explanation.words import (  # with what it explains: half the time of a page that asks for none
        moved_words,
        once_words,
        place_words,
        reasons_of,
        recorded_words,
        split_axes,
        weak_words,
        what_moves,
    )

    opened, once, weak = split_axes(receipt["axes"])
    reasons = [
        AxisReason(
            one["question"],
            _unbroken(place_words(one)),
            [(_unbroken(fact["words"]), round(100 * fact["share"], 1)) for fact in reasons_of(one)],
            [_unbroken(words) for words in (*moved_words(one, receipt["since"]["cause"]), *what_moves(one))],
        )
        for one in opened
    ]
    return {
        "as_of": written_day(datetime.fromisoformat(receipt["as_of"]), zone),
        "since": " ".join([receipt["since"]["words"], *recorded_words(receipt["recorded"])]),
        "reasons": reasons,
        "folded": [*once_words(once), *weak_words(weak)],
    }


def _unbroken(text: str) -> str:
    """Let no line begin with a percent sign; the first letter is a capital."""
    return f"{text[:1].upper()}{text[1:]}".replace(" %", "\N{NO-BREAK SPACE}%")


def _tier_words(profile: Mapping[str, Any], currency: str) -> str:
    value, tier = profile.get("lifetime_value"), profile.get("value_tier")
    spent = "not known" if value is None else format_money(value, currency)
    return spent if tier is None else f"{spent}, {TIER_MEANINGS[tier]}"


def _orders(profile: Mapping[str, Any], zone: str) -> str:
    n, last = profile.get("n_orders"), profile.get("last_order_at")
    if n is None or last is None:
        return "not known yet"
    return f"{n:,}, the last on {written_day(datetime.fromisoformat(str(last)), zone)}"


def _risk(profile: Mapping[str, Any]) -> str:
    risk, drivers = profile.get("churn_risk_score"), profile.get("churn_drivers") or {}
    if risk is None:
        return f"not known: {drivers.get('reason') or 'never asked for'}"
    return f"{format_percent(risk)} to stay away for {drivers.get('horizon_days')} days"


def _to_come(profile: Mapping[str, Any], currency: str, zone: str) -> list[tuple[str, str]]:
    """Say what is foretold, and of what is not nothing beside it; where nothing is, why."""
    parts = {
        "Next order": _due(profile, zone),
        "Next 90 days": _foretold(profile, currency, 90),
        "Next year": _foretold(profile, currency, 365),
    }
    known = [(name, words) for name, words in parts.items() if words]
    return known or [("What is to come", profile.get("prediction_reason") or "not known yet")]


def _due(profile: Mapping[str, Any], zone: str) -> str:
    due = profile.get("expected_next_order_at")
    if due:
        return f"about {written_day(datetime.fromisoformat(str(due)), zone)}"
    return "not expected within a year" if profile.get("predicted_orders_365d") is not None else ""


def _foretold(profile: Mapping[str, Any], currency: str, days: int) -> str:
    value = profile.get(f"predicted_value_{days}d")
    if value is None:
        return ""
    low, high = (profile.get(f"predicted_value_{days}d_{end}") for end in ("low", "high"))
    expected = format_money(value, currency)
    if low is None or high is None:
        return expected
    least = format_money(low, currency) if low else "nothing"
    return f"{expected} ({least} to {format_money(high, currency)})"


def written_day(instant: datetime, zone: str) -> str:
    """Write the day of an instant by the store's clock."""
    return f"{local_time(instant, zone):%-d %b %Y}"


def local_time(instant: datetime, zone: str) -> datetime:
    """Return an instant by the store's clock."""
    return instant.astimezone(ZoneInfo(zone))
