"""A segment in a sentence or two: what its customers do, in true numbers beside the average customer's.

Belongs here: sentences on segments. Does not: rounding and units (``values``), names (``rule_names``).
"""

import re

import pandas as pd

from quimbi_assets.axes._axis import Axis, Feature
from quimbi_assets.naming.values import (
    SKEWED,
    clock_pairs,
    format_hour,
    format_number,
    format_percent,
    format_value,
    mean_hour,
    singular,
)

FEWEST_FACTS = 2
MOST_FACTS = 3
SAME = "(as the "


def interpret(axis: Axis, description: pd.DataFrame, row: int, said: list[tuple[str, ...]], currency: str = "") -> str:
    """Write one segment's interpretation.

    Parameters
    ----------
    description : DataFrame, shape (k, n_statistics)
        From ``describe_segments``.
    said : list of tuple of str
        Features its name rests on; they are reported first, then those furthest from the population, up to
        three facts.

    Returns
    -------
    str
        Numbers stand in the description, rounded by ``format_value``: ``centre:`` beside ``population:``
        ("average"), or on skewed features ``q50:`` beside ``population_q50:`` ("typically"); hours of day are
        read from the pair of clock coordinates; then ``population_percentage`` and ``customer_count``.

    Notes
    -----
    For example: "Orders a month since the first order: typically 2.4 (typical customer: 0.8); days since the
    last order: typically 9 (typical 34). 31 % of customers (1,322)."
    """
    segment = description.iloc[row]
    facts: list[str] = []
    for key in _ranked_keys(axis, segment, said):
        if len(facts) < min(max(FEWEST_FACTS, len(said)), MOST_FACTS):
            fact = _fact(axis, segment, key, currency, is_first=not facts)
            facts += [text for text in fact if key in said or SAME not in text]
    share, count = segment["population_percentage"] / 100.0, int(segment["customer_count"])
    close = f"{format_percent(share)} of customers ({format_number(count)})." if count else "Nobody at present."
    body = "; ".join(facts)
    return " ".join(filter(None, [_state(axis, segment), f"{body}." if body else "", close]))


def _ranked_keys(axis: Axis, segment: pd.Series, said: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Order the features of a segment: those of its name, then by distance from the population."""
    names = [f.name for f in axis.clustering_features if pd.notna(segment.get(f"z:{f.name}"))]
    pairs = set(clock_pairs(names).values())
    paired = {name for pair in pairs for name in pair}
    keys = [*pairs, *((name,) for name in names if name not in paired)]
    rest = [key for key in keys if key not in said]
    return [
        *said,
        *sorted(rest, key=lambda key: (-max(abs(segment[f"z:{n}"]) for n in key), names.index(key[0]))),
    ]


def _state(axis: Axis, segment: pd.Series) -> str:
    """Return the declared state of a structural segment as a sentence."""
    for state in axis.structural:
        if state.name == segment["structural"]:
            return state.meaning[:1].upper() + state.meaning[1:] + "."
    return ""


def _fact(axis: Axis, segment: pd.Series, key: tuple[str, ...], currency: str, is_first: bool) -> list[str]:
    """Write one feature beside the population's; nothing for a clock angle that points nowhere."""
    customer = " customer:" if is_first else ""
    if len(key) == 2:
        hours = [mean_hour(segment, stat, key) for stat in ("centre", "population")]
        if pd.isna(hours[0]):
            return []
        other = f" (average{customer} {format_hour(hours[1])})" if pd.notna(hours[1]) else ""
        return [_opening("Average time of day", is_first) + f": {format_hour(hours[0])}{other}"]
    feature = axis.feature(key[0])
    skewed = feature.transform in SKEWED
    kind, lead = ("typical", "typically ") if skewed else ("average", "")
    stats = ("q50", "population_q50") if skewed else ("centre", "population")
    meaning = feature.meaning.rstrip(".")
    if feature.unit not in ("index", "slope"):
        meaning = re.sub(r"\s*\([^)]*\)", "", meaning)
    mine, all_ = (_quantity(feature, meaning, segment[f"{stat}:{feature.name}"], currency) for stat in stats)
    other = f"{SAME}{kind} customer)" if mine == all_ else f"({kind}{customer} {all_})"
    return [f"{_opening(meaning, is_first)}: {lead}{mine} {other}"]


def _quantity(feature: Feature, meaning: str, value: float, currency: str) -> str:
    """Write the value, without its unit where the meaning has named it."""
    text = format_value(feature, value, currency)
    named = feature.unit.split(" ")[0] in meaning.lower().split(" ")
    return text.removesuffix(f" {feature.unit}").removesuffix(f" {singular(feature.unit)}") if named else text


def _opening(meaning: str, is_first: bool) -> str:
    """Start a fact with a capital only at the head of the sentence."""
    return meaning if is_first else meaning[:1].lower() + meaning[1:]
