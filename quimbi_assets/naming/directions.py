"""Test: words for much and for little agree with the centres.

Belongs here: which words say which direction of which feature, and whether it is so. Does not: numbers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quimbi_assets.axes._axis import Feature
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.name_builder import SUPERLATIVES
from quimbi_assets.naming.values import mean_hour, part_of_day

TURNING = frozenset(
    re.findall("[a-z]+", "less least not never no without hardly seldom rarely fewer non fewest lowest")
)
"""Words before another that turn it round."""
EXTREME = {"most", "least", "highest", "lowest", "fewest", "top"}
SUPERLATIVE_OF = {most: word for word, most in SUPERLATIVES.items() if "_" not in most}
DAY_PARTS = ("morning", "afternoon", "evening", "night")


@dataclass(frozen=True)
class Claim:
    """A word of a text that says that a feature is high (side 1) or low (-1), perhaps the highest or lowest."""

    word: str
    feature: Feature
    side: int
    is_extreme: bool


def wrong_directions(brief: AxisBrief, row: int, text: str, *, is_name: bool) -> list[str]:
    """List the words of a name or an interpretation of the segment at ``row`` that the centres contradict, as reasons.

    A name's words must be so: not at the wrong end of the siblings, and on the right side of the average or the typical
    customer; superlatives at the very end. In a sentence, which also speaks of others, only a word that is wrong in
    both ways counts. A word that may stand for several features is wrong if it is so for all.
    """
    said = re.findall("[a-z]+", text.lower())
    tokens, superlative = [SUPERLATIVE_OF.get(t, t) for t in said], [t in SUPERLATIVE_OF for t in said]
    claims: dict[str, list[Claim]] = {}
    for claim in _claims(brief, tokens, superlative):
        claims.setdefault(claim.word, []).append(claim)
    reasons = [
        f"{word.replace('_', ' ')!r} does not agree with {_features(claimed)}"
        for word, claimed in claims.items()
        if all(_is_wrong(brief, row, claim, is_name) for claim in claimed)
    ]
    return reasons + (_wrong_hours(brief, row, tokens) if is_name else [])


def _claims(brief: AxisBrief, tokens: list[str], superlative: list[bool]) -> Iterator[Claim]:
    """Find what a text claims; the longest phrase at a place counts."""
    phrases = list(_phrases(brief))
    for start in range(len(tokens)):
        here = [p for p in phrases if tokens[start : start + len(p[0])] == list(p[0])]
        longest = max((len(words) for words, _, _ in here), default=0)
        inside = any(
            tokens[begin : begin + len(words)] == list(words) and begin + len(words) > start
            for words, _, _ in phrases
            for begin in range(max(0, start - len(words) + 1), start)
        )
        for words, feature, side in here:
            if len(words) < longest or inside:
                continue
            before = tokens[max(0, start - 2) : start]
            turned = any(token in TURNING for token in before)
            extreme = superlative[start] or any(token in EXTREME for token in tokens[max(0, start - 1) : start])
            yield Claim("_".join(words), feature, -side if turned else side, extreme)


def _phrases(brief: AxisBrief) -> Iterator[tuple[tuple[str, ...], Feature, int]]:
    for feature in brief.counted:
        low, high = feature.synonyms
        for side, words in ((-1, f"{feature.few} {low}"), (1, f"{feature.many} {high}")):
            for phrase in words.split():
                if phrase not in ("low", "high"):
                    yield tuple(phrase.split("_")), feature, side


def _is_wrong(brief: AxisBrief, row: int, claim: Claim, is_name: bool) -> bool:
    name, side = claim.feature.name, claim.side
    centres = side * brief.description[f"centre:{name}"].to_numpy(dtype=float)
    segment = brief.description.iloc[row]
    if np.isnan(centres[row]):
        return is_name
    last = bool(centres[row] <= np.nanmin(centres) and np.nanmin(centres) < np.nanmax(centres))
    ways = [
        side * (segment[f"{mine}:{name}"] - segment[f"{all_}:{name}"])
        for mine, all_ in (("centre", "population"), ("q50", "population_q50"))
    ]
    beyond = any(way > 0 for way in ways)
    if claim.feature.neutral is not None and any(
        side * (segment[f"{mine}:{name}"] - claim.feature.neutral) > 0 for mine in ("centre", "q50")
    ):
        beyond = True
    if not is_name:
        return last and not beyond
    first = bool(centres[row] >= np.nanmax(centres))
    return last or not beyond or (claim.is_extreme and not first)


def _wrong_hours(brief: AxisBrief, row: int, tokens: list[str]) -> list[str]:
    """Check a part of the day in a name against the segment's mean hour."""
    if not brief.clock:
        return []
    segment = brief.description.iloc[row]
    hour = mean_hour(segment, "centre", brief.clock)
    own = part_of_day(hour) if np.isfinite(hour) else "no part of the day"
    said = {part for part in DAY_PARTS if part in tokens}
    return [f"{part!r} does not agree with the time of day: {own}" for part in sorted(said - {own})]


def _features(claims: list[Claim]) -> str:
    return " or ".join(dict.fromkeys(claim.feature.name for claim in claims))
