"""Test: every number in an interpretation agrees with the data.

Belongs here: finding numbers and what they may be. Does not: whether words agree (``directions``).
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from quimbi_assets.naming.asking.brief import SHARES, AxisBrief
from quimbi_assets.naming.clock import clock_hour

# Assumption: two in a hundred is how people round; single digits may be rounded to whole ones, up to a fifth away.
CLOSE = 0.02
COARSE = 0.2
MINUTES = 20
NUMBER = re.compile(
    r"(?<![\w.,])(?P<currency>[£$€¥₹]?)(?P<number>\d[\d,]*(?:\.\d+)?)(?P<clock>:\d{2})?(?P<percent>\s?(?:%|percent\b))?"
    r"(?P<next>\s[a-z]+)?"
)
SPELLED = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundreds?|thousands?|dozens?|twice|thrice|doubled?|tripled?|half|halves|thirds?|quarters?|fifths?|tenths?)\b",
    re.IGNORECASE,
)
OF_ALL = re.compile(
    r"\b(typical|typically|average|overall|others?|every(one|body)|than|against|compared|versus|whole|all|usual|rest)\b",
    re.IGNORECASE,
)
Kind = Literal["percent", "money", "plain", "clock"]


@dataclass(frozen=True)
class Known:
    """A number the data hold: kind, value (percentages 0-100, hours 0-24), and whether it is the segment's own."""

    kind: Kind
    value: float
    is_own: bool


def wrong_numbers(brief: AxisBrief, row: int, text: str) -> list[str]:
    """List the numbers of a text that the data do not hold.

    Parameters
    ----------
    brief : AxisBrief
        What the text is about.
    row : int
        Position of the segment.
    text : str
        Interpretation.

    Returns
    -------
    list of str
        A reason for each; empty if all agree. A number only the average or typical customer has must stand in a
        sentence that compares. Numbers that stand in a feature's meaning ("the last 90 days") are no claim.
    """
    known = known_numbers(brief, row)
    meanings = " ".join([*(f.meaning for f in brief.features), *(s.meaning for s in brief.axis.structural)]).lower()
    reasons = [
        f"write numbers as digits, those of the data only, not {found.group().lower()!r}"
        for found in SPELLED.finditer(text)
        if not re.search(rf"\b{found.group().lower()}\b", meanings)
    ]
    for sentence in re.split(r"[.;](?!\d)", text):
        compares = OF_ALL.search(sentence) is not None
        for found in NUMBER.finditer(sentence):
            phrase = f"{found['number']}{found['next'] or ''}"
            if found["next"] and phrase in meanings:
                continue
            if not any(_agrees(found, one) for one in known if one.is_own or compares):
                reasons.append(f"the number {found['number'] + (found['clock'] or '')} is not in this segment's data")
    return reasons


def known_numbers(brief: AxisBrief, row: int) -> list[Known]:
    """List every number that may be said of a segment."""
    segment = brief.description.iloc[row]
    known = [
        Known("percent", float(segment["population_percentage"]), True),
        Known("plain", float(segment["customer_count"]), True),
    ]
    for feature in brief.features:
        if feature.name in (brief.clock or ()):
            continue
        kind: Kind = "percent" if feature.unit in SHARES else "money" if feature.unit == "money" else "plain"
        for stat in ("centre", "q10", "q50", "q90", "population", "population_q50"):
            value = float(segment[f"{stat}:{feature.name}"]) * (100.0 if kind == "percent" else 1.0)
            known.append(Known(kind, abs(value), not stat.startswith("population")))
    if brief.clock:
        for stat in ("centre", "population"):
            hour = clock_hour(*(float(segment[f"{stat}:{name}"]) for name in brief.clock))
            known.append(Known("clock", hour, stat == "centre"))
    return [one for one in known if np.isfinite(one.value)]


def _agrees(found: re.Match[str], known: Known) -> bool:
    """Whether a number as written is that value, of that kind."""
    if found["clock"]:
        hour = int(found["number"].replace(",", "")) + int(found["clock"][1:]) / 60
        apart = abs(hour - known.value) % 24
        return known.kind == "clock" and min(apart, 24 - apart) <= MINUTES / 60
    if bool(found["percent"]) != (known.kind == "percent") or (found["currency"] and known.kind != "money"):
        return False
    digits = found["number"].replace(",", "").rstrip(".")
    written = float(digits)
    step = 0.5 * 10.0 ** -len(digits.partition(".")[2])
    apart = abs(written - known.value)
    return apart <= max(CLOSE * known.value, min(step, COARSE * known.value)) + 1e-9
