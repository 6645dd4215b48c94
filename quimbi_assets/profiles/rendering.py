"""A profile as a person or a program reads it: lines of text, or one plain record.

Belongs here: ``quimbi profile`` and ``quimbi profile --json``. Does not: colours and tables of the terminal
(``cli``).
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from quimbi_assets.axes._axis import BOUGHT_ONCE, Axis
from quimbi_assets.marketing.affinity import LEVELS
from quimbi_assets.naming.rows import plain
from quimbi_assets.naming.values import clock_hour, clock_pairs, format_hour, format_money, format_percent, format_value
from quimbi_assets.texts import shown
from quimbi_assets.value.windows import USUAL_DAYS, YEAR_DAYS

JSON_COLUMNS = (
    "segment_memberships", "dominant_segments", "feature_vectors", "membership_strength", "stays", "stays_strength",
    "evidence", "churn_drivers", "affinities", "model_versions",
)  # fmt: skip
PROVISIONAL = " (provisional: few customers shape its segments)"
LIMITS = ("", "_low", "_high")
RATHER_NONE = 0.5
"""Orders expected in a year below which, without a date, none is likelier than one."""
SILENCE = "days_since_last_order"
MENTIONED = 0.1
"""Membership from which a second segment is worth a mention."""


@dataclass(frozen=True)
class Doubts:
    """How far axes can be trusted: why the weak ones are so, by axis and in one clause, and which are provisional."""

    weak: Mapping[str, str] = field(default_factory=dict)
    provisional: Collection[str] = ()
    clause: str = "this cannot be told from chance yet"


def profile_record(
    row: Mapping[str, Any],
    segments: Mapping[str, Mapping[str, str]] | None = None,
    archetypes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Turn a row of ``profile_customers``, or of the table ``customer_profiles``, into what ``json.dumps`` takes.

    Nested columns become dicts, instants ISO texts, undefined values None. With names of segments by axis and id, the
    key ``segments`` says by axis the ``id`` and ``name`` of the dominant one, the ``membership`` in it (0-1), the
    ``strength`` of this in words, the chance that the customer ``stays`` (0-1) and ``stays_strength``, the same in
    words (both None in profiles from before they were known); with names of archetypes by id, ``archetype`` says ``id``
    and ``name``.
    """
    record: dict[str, Any] = plain(dict(row))
    for column in JSON_COLUMNS:
        if isinstance(record.get(column), str):
            record[column] = json.loads(record[column])
    if segments is not None:
        record["segments"] = {
            axis: {
                "id": segment,
                "name": segments[axis][segment],
                "membership": record["segment_memberships"][axis][segment],
                "strength": record["membership_strength"][axis],
                **{name: (record.get(name) or {}).get(axis) for name in ("stays", "stays_strength")},
            }
            for axis, segment in record["dominant_segments"].items()
        }
    if archetypes is not None:
        record["archetype"] = {"id": record["archetype_id"], "name": archetypes.get(record["archetype_id"])}
    return record


def render_profile(
    row: Mapping[str, Any],
    axes: Mapping[str, Axis],
    segments: Mapping[str, Mapping[str, str]],
    currency: str = "",
    neighbours: Sequence[str] = (),
    doubts: Doubts | None = None,
    why: bool = False,
) -> str:
    """Write one profile, with names of segments by axis and id, as text.

    A heading, the interpretation, the customers most like this one (``neighbours``), and per axis where the customer
    belongs; with ``why`` also its question and the values behind it. Weak axes are one line, or opened by ``why``.
    Axes that cannot be judged yet are one list at the end: who bought once is told so once. The row may be what
    ``profile_record`` returned: then the archetype is called by its name.
    """
    doubts = doubts or Doubts()
    record = profile_record(row)
    name = record.get("archetype", {}).get("name")
    called = f" ({name})" if name else ""
    who = f"Customer {shown(record['customer_id'])} of store {record['store_id']}"
    lines = [f"{who}, archetype {record['archetype_id']}{called}", record["interpretation"]]
    lines += _risk(record)
    lines += _expected(record, currency, why)
    lines += [f"Buys most: {most}."] if (most := buys_most(record)) else []
    lines += [f"Most alike: customers {', '.join(map(shown, neighbours))}."] if neighbours else []
    known = [name for name in axes if name in record["segment_memberships"]]
    early = [name for name in known if record["evidence"][name] == "low"]
    judged = [name for name in known if name not in early]
    folded = [] if why else [name for name in judged if name in doubts.weak]
    for name in (name for name in judged if name not in folded):
        doubt = PROVISIONAL if name in doubts.provisional and name not in doubts.weak else ""
        place, title = _place(record, name, segments[name]), name.replace("_", " ")
        if not why:
            lines += [*([""] if name == judged[0] else []), f"{title}: {place}{doubt}"]
            continue
        reason = [f"  Weak: {doubts.clause}: {doubts.weak[name]}."] if name in doubts.weak else []
        lines += ["", f"{title} - {axes[name].question}{doubt}", *reason, f"  {place}"]
        lines += [f"    {line}" for line in _values(axes[name], record["feature_vectors"].get(name, {}), currency)]
    if folded:
        stated = ", ".join(name.replace("_", " ") for name in folded)
        lines.append(f"{doubts.clause[0].upper()}{doubts.clause[1:]}: {stated} (--why shows them).")
    lines += _early(record, {name: axes[name] for name in early}, segments)
    return "\n".join(lines)


def _early(record: Mapping[str, Any], axes: Mapping[str, Axis], segments: Mapping[str, Mapping[str, str]]) -> list[str]:
    """List axes that cannot be judged yet, without how likely it is to last; that they bought once is said once."""
    if not axes:
        return []
    lines = ["", "So far, on what cannot be judged yet:"]
    states = {
        name: state.meaning
        for name, axis in axes.items()
        for state in axis.structural
        if state in BOUGHT_ONCE and state.name == segments[name][record["dominant_segments"][name]]
    }
    if states:
        stated = ", ".join(name.replace("_", " ") for name in states)
        lines.append(f"  {min(states.values(), key=len)}: that is all to be said of {stated}")
    others = [name for name in axes if name not in states]
    return lines + [f"  {name.replace('_', ' ')}: {_places(record, name, segments[name])}" for name in others]


def _risk(record: Mapping[str, Any]) -> list[str]:
    """Say what the churn risk of the sentence rests on, or why there is none; nothing where it was never asked for."""
    known = record.get("churn_drivers")
    if not known:
        return []
    if record["churn_risk_score"] is None:
        return [f"Churn risk not known: {known['reason']}."]
    doubt = [f"That risk says little: it {known['reason']}."] if known["reason"] else []
    title, reasons = reasons_to_leave(record)
    return doubt + ([title, *(f"  {words}" for words in reasons)] if title else [])


def reasons_to_leave(record: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Say what raises a customer's risk beside customers who came again: a line, and the reasons, strongest first.

    Empty where there is no risk, or one that says little of anybody.

    >>> drivers = [{"effect": "raises", "words": "last order 90 days ago"}, {"effect": "lowers", "words": "9 orders"}]
    >>> reasons_to_leave({"churn_risk_score": 0.7, "churn_drivers": {"reason": None, "drivers": drivers}})
    ('What speaks for leaving, beside customers who came again:', ['last order 90 days ago'])
    >>> reasons_to_leave({"churn_risk_score": 0.1, "churn_drivers": {"reason": None, "drivers": drivers[1:]}})
    ('Nothing about them speaks for leaving more than of customers who came again.', [])
    """
    known = record.get("churn_drivers")
    if record.get("churn_risk_score") is None or not known or known.get("reason"):
        return "", []
    reasons = [one["words"] for one in known["drivers"] if one["effect"] == "raises"]
    if not reasons:
        return "Nothing about them speaks for leaving more than of customers who came again.", []
    return "What speaks for leaving, beside customers who came again:", reasons


def _expected(record: Mapping[str, Any], currency: str, why: bool) -> list[str]:
    """Say what is expected of the customer, or why nothing is foretold; nothing where it was never asked for."""
    reason = record.get("prediction_reason")
    if record.get("predicted_value_90d") is None:
        return [reason] if reason else []

    def within(days: int, period: str, orders: str = "", who: str = "") -> str:
        sums = [record[f"predicted_value_{days}d{end}"] for end in LIMITS]
        value, low, high = (format_money(one, currency) if one else "nothing" for one in sums)
        if not sums[-1]:
            return f"most likely nothing {period}" + (f" ({value} on average)" if sums[0] else "")
        return f"{orders}{value} {period} ({who}{low if low == high else f'{low} to {high}'})"

    n = record["predicted_orders_90d"]
    orders = "" if n is None else f"{n:.1f} orders and "
    parts = [within(USUAL_DAYS, "in 90 days", orders, "4 of 5 such customers: ")]
    if record["predicted_value_365d"] is not None:
        parts.append(within(YEAR_DAYS, "in a year"))
    due = record["expected_next_order_at"]
    if due:
        parts.append(f"next order about {pd.Timestamp(due):%-d %b %Y}")
    elif record["predicted_orders_365d"] is not None and record["predicted_orders_365d"] < RATHER_NONE:
        parts.append("rather none within a year")
    return [f"Expected: {', '.join(parts)}.", *([f"  {reason}"] if reason and why else [])]


def buys_most(record: Mapping[str, Any]) -> str:
    """Say what the customer buys more than the store's customers do; nothing where that is not shown."""
    lists = record.get("affinities") or {}
    parts: list[str] = []
    for level in (level for level in LEVELS if lists.get(level)):
        of_level, compared = (f"of {level} ", "") if parts else ("", " as often as the shop's customers")
        lifts = [one["lift"] for one in lists[level]]
        times = [f"{lift:.0f} times" if lift >= 1.95 else f"{lift:.1f} times" for lift in lifts]
        times[0] += compared
        parts.append(
            of_level
            + ", ".join(
                f"{shown(one.get('name') or one['id'])} ({n})" for one, n in zip(lists[level], times, strict=True)
            )
        )
    return "; ".join(parts)


def _place(record: Mapping[str, Any], axis: str, names: Mapping[str, str]) -> str:
    """Say which segment of an axis it is, which one comes next, and how likely it is to last."""
    strength, stays = ((record.get(name) or {}).get(axis) for name in ("stays_strength", "stays"))
    lasting = "" if stays is None else f" ({strength}: {format_percent(stays)} likely to stay)"
    return _places(record, axis, names) + lasting


def _places(record: Mapping[str, Any], axis: str, names: Mapping[str, str]) -> str:
    ranked = sorted(record["segment_memberships"][axis].items(), key=lambda item: -item[1])
    places = [
        f"{names[segment].replace('_', ' ')} {format_percent(share)}"
        for place, (segment, share) in enumerate(ranked[:2])
        if place == 0 or share >= MENTIONED
    ]
    return ", then ".join(places)


def _values(axis: Axis, values: Mapping[str, Any], currency: str) -> list[str]:
    """Write the defined features of an axis, one a line; a pair of clock coordinates as the time of day."""
    lines = []
    clock = next(iter(clock_pairs(list(values)).values()), ())
    angle = [values[name] for name in clock if values[name] is not None]
    if len(angle) == len(clock) > 0:
        lines.append(f"Average time of day: {format_hour(clock_hour(*angle))}")
    for feature in (one for one in axis.features if one.name not in clock):
        value = values.get(feature.name)
        if feature.name == SILENCE and value is not None:
            value = math.floor(value)  # as the sentence tells it: whole days that are over
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, int | float):
            value = format_value(feature, float(value), currency)
        if value is not None:
            lines.append(f"{feature.meaning}: {value}")
    return lines
