"""A receipt in words and figures of the shop: as a record for programs, as lines for people.

Belongs here: which features are told and how, changes as sentences. Does not: computing any of it (``receipt``).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import BOUGHT_ONCE, Axis, Feature, Structural
from quimbi_assets.explanation.changes import KINDS, MOST, Change, Past
from quimbi_assets.explanation.decision import FeatureShare
from quimbi_assets.explanation.receipt import AxisReceipt, Receipt
from quimbi_assets.explanation.search import MONTHLY, SILENCES, WEEKLY, Move
from quimbi_assets.naming.sentences import written
from quimbi_assets.naming.values import (
    clock_hour,
    clock_pairs,
    format_hour,
    format_money,
    format_percent,
    format_value,
    plural,
    spoken,
)
from quimbi_assets.texts import shown

MOST_FEATURES = 3
TELLING = 0.1
"""Share of all that speaks for a segment from which a feature is told."""
SPACING = {WEEKLY: "one a week", MONTHLY: "one a month"}
NOTHING = f"nothing they could do would move them, of all that was tried: up to {MOST} more orders of a kind"
NOR_SILENCE = f", or no order for up to {SILENCES[-1]} days"
NEARER = " comes nearer to their segment than to the next"
CAUSES = {"acted": "by what they did since", "silent": "by time alone", "new": "since they came"}
MADE = {"model": "a new model", "corrected": "a correction of the data"}


@dataclass(frozen=True)
class Shown:
    """What words need beside the receipt: names of segments by axis and id, the currency, axes that are weak."""

    names: Mapping[str, Mapping[str, str]]
    currency: str = ""
    weak: frozenset[str] = frozenset()
    recorded: Sequence[Mapping[str, Any]] = ()
    """Moves of the last weeks that the models or the data made, as snapshots recorded them: ``week``, ``axis``,
    ``from``, ``to``, ``cause``."""
    versions: Mapping[str, str] = field(default_factory=dict)
    code_version: str = ""


def receipt_record(receipt: Receipt, past: Past, shown: Shown) -> dict[str, Any]:
    """Return a receipt as what ``json.dumps`` takes: by axis where, why, before, and what would move them.

    ``past`` are the rows that the receipt was made of.
    """
    since = receipt.since
    return {
        "store_id": past.history.store.store_id,
        "customer_id": receipt.customer_id,
        "as_of": _iso(receipt.as_of),
        "versions": {
            "models": {one.axis: shown.versions.get(one.axis, "") for one in receipt.axes},
            "data": receipt.data_version,
            "code": shown.code_version,
        },
        "since": {
            "at": _iso(since.at), "cause": since.cause, "orders": since.orders, "spent": round(since.spent, 2),
            "tickets": since.tickets, "words": _since_words(receipt, past, shown.currency),
        },
        "recorded": [dict(one) for one in shown.recorded],
        "axes": [_axis_record(one, past, shown) for one in receipt.axes],
    }  # fmt: skip


def _axis_record(one: AxisReceipt, past: Past, shown: Shown) -> dict[str, Any]:
    names, decision, axis = shown.names[one.axis], one.decision, AXES[one.axis]
    state = _state(axis, decision.state)
    before = one.before
    moved = before is not None and before.segment != decision.segment
    return {
        "axis": one.axis,
        "question": axis.question,
        "weak": one.axis in shown.weak,
        "segment": _place(decision.segment, names, decision.memberships),
        "neighbour": _place(decision.neighbour, names, decision.memberships),
        "state": None if state is None else state.meaning,
        "bought_once": state in BOUGHT_ONCE,
        "margin": decision.margin,
        "because": _because(axis, one, shown.currency),
        "shares": [vars(share) for share in decision.shares],
        "before": None if before is None else _place(before.segment, names, before.memberships),
        "moved": moved,
        "change": _move_record(one.moves.change, past, names, shown.currency),
        "waiting": _move_record(one.moves.waiting, past, names, shown.currency),
        "attainable": one.moves.change is not None,
        "beyond": _beyond_record(one.moves.beyond, past, names, shown.currency),
    }


def _beyond_record(move: Move | None, past: Past, names: Mapping[str, str], currency: str) -> dict[str, Any] | None:
    """Return a change that would move a customer, of more than nearly all do, with the reason as its words."""
    record = _move_record(move, past, names, currency)
    if move is None or record is None:
        return None
    if past.usual_times is not None and past.usual_worth is not None and not past.is_usual_worth(move.change):
        times, worth = f"{past.usual_times:.2g} times", format_money(past.usual_worth, currency)
        why = f"95 of 100 orders cost at most {times} their customer's middle one here, of theirs {worth}"
        words = f"{record['words']}, which is out of reach: {why}"
        return record | {"usual_most": past.usual_most(move.change), "usual_worth": past.usual_worth, "words": words}
    what = {"orders": "order", "returned": "order sent back", "tickets": "request to support"}
    counted = what[KINDS[move.change.kind].counted]
    most = past.usual_most(move.change) or 0
    several = {"order": "orders", "order sent back": "orders sent back", "request to support": "requests to support"}
    had = plural(most, counted, several[counted])
    why = f"95 of 100 who have any have at most {had} in {move.change.days} days here"
    return record | {
        "usual_most": most, "usual_worth": None, "words": f"{record['words']}, which is out of reach: {why}",
    }  # fmt: skip


def _place(segment: str, names: Mapping[str, str], memberships: Mapping[str, float]) -> dict[str, Any]:
    return {"id": segment, "name": names.get(segment, segment), "membership": memberships[segment]}


def _state(axis: Axis, name: str | None) -> Structural | None:
    return next((state for state in axis.structural if state.name == name), None)


def _move_record(move: Move | None, past: Past, names: Mapping[str, str], currency: str) -> dict[str, Any] | None:
    if move is None:
        return None
    change = move.change
    by, to = _local(past, change.days) - timedelta(days=1), names.get(move.segment, move.segment)
    return {
        "kind": change.kind or "waiting",
        "number": change.n,
        "every_days": change.every,
        "by": by.date().isoformat(),
        "dates": [day.isoformat() for day in past.dates(change)],
        "order_total": past.order_total(change),
        "to": {"id": move.segment, "name": to},
        "words": f"{change_words(change, past, currency)} would move them to {spoken(to)}",
    }


def change_words(change: Change, past: Past, currency: str = "") -> str:
    """Say a change as something a customer does: ``"2 more orders at the weekend, one a week, by 9 Jan 2026"``."""
    by = f"{_local(past, change.days) - timedelta(days=1):%-d %b %Y}"
    if not change.kind:
        return f"{change.days:,} more {'day' if change.days == 1 else 'days'} without an order, until {by},"
    kind = KINDS[change.kind]
    total = past.order_total(change)
    worth = "" if total is None else f" ({format_money(total, currency)}{' each' if change.n > 1 else ''})"
    spaced = f", {SPACING[change.every]}," if change.n > 1 else "," if kind.ticket is not None else ""
    return f"{change.n} more {kind.one if change.n == 1 else kind.many}{worth}{spaced} by {by}"


def _local(past: Past, days: int) -> Any:
    end = past.history.end.tz_localize("UTC").tz_convert(past.history.store.time_zone)
    return end + timedelta(days=days)


def _iso(at: Any) -> str:
    return str(at.tz_localize("UTC").isoformat())


def _because(axis: Axis, one: AxisReceipt, currency: str) -> list[dict[str, Any]]:
    """Return the two or three features that decide, in words, each with its share of what speaks for the segment."""
    decision = one.decision
    declared = {feature.name: feature for feature in axis.features}
    shares = [share for share in decision.shares if share.feature in declared]
    clock = {name: pair for pair in clock_pairs([share.feature for share in shares]).values() for name in pair}
    joined: dict[tuple[str, ...], list[FeatureShare]] = defaultdict(list)
    for share in shares:
        joined[clock.get(share.feature, (share.feature,))].append(share)
    for_it = sum(max(sum(part.pull for part in parts), 0.0) for parts in joined.values())
    facts: list[dict[str, Any]] = []
    for key, parts in sorted(joined.items(), key=lambda item: -sum(part.pull for part in item[1])):
        weight = sum(part.pull for part in parts) / for_it if for_it > 0 else 0.0
        if weight >= TELLING and len(facts) < MOST_FEATURES:
            facts.append({"features": list(key), "share": weight, "words": _feature_words(declared, parts, currency)})
    return facts


def _feature_words(declared: Mapping[str, Feature], parts: Sequence[FeatureShare], currency: str) -> str:
    """Say a feature's value beside the middles of the two segments; one without a figure by which it is nearer to."""
    feature = declared[parts[0].feature]
    value, here, there = parts[0].value, parts[0].here, parts[0].there
    called = feature.meaning.partition(" (")[0]
    lead = _raised(called) if called.lower().startswith("how ") else f"The {_lowered(called)}"
    if value is None:
        return f"{lead} is not known yet and counts as average, which is nearer to their segment than to the next"
    if len(parts) == 2:
        by_name = {part.feature.rpartition("_")[2]: part for part in parts}
        hours = [
            _hour(getattr(by_name["sin"], place), getattr(by_name["cos"], place))
            for place in ("value", "here", "there")
        ]
        return f"They order at about {hours[0]}{_beside(hours[1:])}" if all(hours) else f"The time of day{NEARER}"
    figures = [_figure(feature, one, currency) for one in (value, here, there)]
    if figures[0]:
        less, _, more = feature.tells.partition("|")
        clause = (more if more and value > 0 else less).format(figures[0])
        beside = [_changed(feature, text, one) for text, one in zip(figures[1:], (here, there), strict=True)]
        return f"They {clause}{_beside(beside)}" if clause else f"{lead}: {figures[0]}{_beside(beside)}"
    word = next(
        (word for word in feature.words if word.tells and word.low <= value <= word.high and not word.where), None
    )
    bounded = word is not None and (math.isfinite(word.low) or math.isfinite(word.high))
    return f"They {word.tells}" if word is not None and bounded else f"{lead}{NEARER}"


def _beside(figures: Sequence[str]) -> str:
    """Return the figures of the two segments, in brackets; nothing where they read the same or one cannot be told."""
    here, there = figures
    return f" (their segment {here}, the next {there})" if here and there and here != there else ""


def _changed(feature: Feature, text: str, value: float) -> str:
    """Add to a change which way it goes."""
    return f"{text} {'more' if value > 0 else 'less'}" if text and "|" in feature.tells else text


def _figure(feature: Feature, value: float, currency: str) -> str:
    """Write a value as sentences tell it; nothing of an index."""
    if feature.tells or feature.unit == "index":
        return written(feature, value, currency)
    return format_value(feature, value, currency)


def _hour(sine: float | None, cosine: float | None) -> str:
    hour = math.nan if sine is None or cosine is None else clock_hour(sine, cosine)
    return "" if math.isnan(hour) else format_hour(hour)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _since_words(receipt: Receipt, past: Past, currency: str) -> str:
    since = receipt.since
    day = f"{_local(past, 0) - (receipt.as_of - since.at):%-d %b %Y}"
    did = [plural(since.orders, "order")] if since.orders else []
    did += [plural(since.tickets, "request to support", "requests to support")] if since.tickets else []
    money = f", {format_money(since.spent, currency)} in all" if since.spent else ""
    if since.cause == "new":
        return f"They are new since {day}: {' and '.join(did)}{money}."
    if since.cause == "silent":
        has_tickets = any(column.startswith("tickets.") for column in past.recorded)
        return f"Since {day} no order of theirs is recorded{', and no request to support' if has_tickets else ''}."
    return f"Since {day} they acted: {' and '.join(did) or 'something they had bought was refunded'}{money}."


def receipt_lines(record: Mapping[str, Any], doubt: str = "", *, why: bool = False) -> list[str]:
    """Write a receipt's record as text; with ``why`` also weak axes, and what each feature adds to the decision."""
    opened, once, weak = (record["axes"], [], []) if why else split_axes(record["axes"])
    lines = [f"Customer {shown(record['customer_id'])} of store {record['store_id']}, as of {record['as_of'][:10]}"]
    lines += [record["since"]["words"], *recorded_words(record["recorded"])]
    for one in opened:
        lines += ["", f"{spoken(one['axis'])}: {place_words(one)}"]
        facts = [f"{fact['words']}." for fact in reasons_of(one)]
        lines += [f"  {words}" for words in (*facts, *moved_words(one, record["since"]["cause"]), *what_moves(one))]
        lines += _pulls(one) if why else []
    lines += ["", *once_words(once)] if once else []
    lines += ["", *(f"{words[:-1]} (--why shows them)." for words in weak_words(weak, doubt))] if weak else []
    if why:
        versions = record["versions"]
        models = ", ".join(f"{axis} {version}" for axis, version in versions["models"].items())
        lines += ["", f"Models: {models}; data {versions['data']}; code {versions['code']}."]
    return lines


Axes = Sequence[Mapping[str, Any]]


def split_axes(axes: Axes) -> tuple[Axes, Axes, Axes]:
    """Return the axes worth a paragraph each; those that say no more than how few orders there are; the weak ones."""
    once = [one for one in axes if one["bought_once"]]
    weak = [one for one in axes if one["weak"] and not one["bought_once"]]
    return [one for one in axes if one not in once and one not in weak], once, weak


def place_words(one: Mapping[str, Any]) -> str:
    """Say where a customer belongs on an axis, and which segment comes next."""
    places = [
        f"{spoken(part['name'])} {format_percent(part['membership'])}" for part in (one["segment"], one["neighbour"])
    ]
    doubt = " (weak: it cannot be told from chance)" if one["weak"] else ""
    return f"{places[0]}, next {places[1]}{doubt}"


def reasons_of(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return why a customer is in the segment of an axis: ``words``, and ``share`` of what speaks for it, 0-1."""
    if one["state"]:
        return [{"words": f"They {one['state']}", "share": 1.0}]
    return [{"words": fact["words"], "share": fact["share"]} for fact in one["because"]]


def moved_words(one: Mapping[str, Any], cause: str) -> list[str]:
    """Say where a customer was a month before, if that was elsewhere, and why they moved."""
    before = one["before"]
    if not one["moved"]:
        return []
    share = format_percent(before["membership"])
    return [f"A month before they were {spoken(before['name'])} ({share}); they moved {CAUSES[cause]}."]


def recorded_words(recorded: Axes) -> list[str]:
    """Say which moves of late a new model or corrected data made."""
    return [
        f"In the week of {move['week']} {MADE[move['cause']]} placed them as {spoken(move['to'])} instead of "
        f"{spoken(move['from'])} ({spoken(move['axis'])})."
        for move in recorded
    ]


def once_words(axes: Axes) -> list[str]:
    """Say once that few orders are all there is to say on some axes, and what would begin to tell more."""
    if not axes:
        return []
    lines = [f"They {axes[0]['state'].partition(',')[0]}: that is all to be said of {_listed(axes)}."]
    by_change: dict[str, list[str]] = defaultdict(list)
    for one in (one for one in axes if one["change"]):
        to = f"{spoken(one['change']['to']['name'])} ({spoken(one['axis'])})"
        by_change[one["change"]["words"].partition(" would ")[0]].append(to)
    return lines + [f"{words} would move them to {', '.join(to)}." for words, to in by_change.items()]


def weak_words(axes: Axes, doubt: str = "this cannot be told from chance yet") -> list[str]:
    """Say which axes are weak."""
    return [f"{_raised(doubt)}: {_listed(axes)}."] if axes else []


def _pulls(one: Mapping[str, Any]) -> list[str]:
    """Write what each feature adds to the decision, to a thousandth; nothing of one that adds none."""
    return [
        f"    {share['feature']}: {_plain(share['value'])} (here {_plain(share['here'])}, "
        f"next {_plain(share['there'])}), pull {share['pull']:+.3f} of {one['margin']:.3f}"
        for share in one["shares"]
        if round(share["pull"], 3)
    ]


def what_moves(one: Mapping[str, Any]) -> list[str]:
    """Return what would move a customer on an axis, or that nothing that was tried would."""
    moves = [
        (one["change"] or one.get("beyond") or {"words": NOTHING + NOR_SILENCE * (not one["waiting"])})["words"],
        *([one["waiting"]["words"]] if one["waiting"] else []),
    ]
    return [f"{_raised(words)}." for words in moves]


def _raised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


def _listed(axes: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(spoken(one["axis"]) for one in axes)
