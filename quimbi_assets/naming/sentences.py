"""A segment in two or three short sentences: what its customers do, in figures that mean something to a shopkeeper.

Belongs here: which facts are told, and a figure as a clause after "They": percent, days, money, times; beside the
typical customer's. Does not: names (``rule_names``), rounding and units (``values``). An index or a deviation is never
told: it stands in the table.
"""

import math
from collections.abc import Sequence

import pandas as pd

from quimbi_assets.axes._axis import Axis, Feature
from quimbi_assets.naming import values
from quimbi_assets.naming.descriptors import NOISE, Descriptor, figure_of
from quimbi_assets.naming.values import SKEWED

MOST_FACTS = 2
#: Scaled distance from the population from which a figure is worth a sentence beside one that is there.
TELLING = 0.3
# Assumption: a choice of more things than this is no choice between things.
LARGEST_CHOICE = 100
#: Days from which nobody speaks of parts of one.
WHOLE_DAYS_FROM = 2
#: Pace from which "less often" would say too little.
SO_GOOD_AS_ALL = 0.9


def interpret(
    axis: Axis, description: pd.DataFrame, row: int, words: Sequence[Descriptor] = (), currency: str = ""
) -> str:
    """Write one segment's interpretation, for example:

    "They have spent $3,490 in all (typical customer $207) and spend $437 an order ($34.09). They are 25 % of customers
    (737)."

    What its name rests on (``words``) is told, else what lies furthest from the population, up to two facts, one of
    them with a figure; a declared state is all there is to say of who is in it. Every sentence has a subject.
    """
    segment = description.iloc[row]
    state = next((s.meaning for s in axis.structural if s.name == segment["structural"]), "")
    clauses = [state] if state else _clauses(axis, description, row, words, currency)
    share, count = segment["population_percentage"] / 100.0, int(segment["customer_count"])
    size = f"They are {values.format_percent(share)} of customers ({count:,})." if count else "Nobody is so at present."
    return f"They {' and '.join(clauses)}. {size}" if clauses else size


def _clauses(axis: Axis, description: pd.DataFrame, row: int, words: Sequence[Descriptor], currency: str) -> list[str]:
    """Return what is told: of the words, then, until a figure is told, of the features that lie furthest out."""
    clauses: list[str] = []
    named = [(word.features, word.word) for word in words]
    facts = {axis.feature(word.features[0]).about for word in words} - {""}
    further = ((name, z) for name, z in _furthest(axis, description, row) if axis.feature(name).about not in facts)
    rest = [((name,), z) for name, z in further if (name,) not in dict(named)]
    has_figure = False
    for features, word in [*named, *((key, "") for key, z in rest if z >= TELLING or not named)]:
        if len(clauses) == MOST_FACTS or (has_figure and not word):
            break
        is_first = not any(" customer " in one for one in clauses)
        if clause := _clause(axis, description, row, features, word, currency, is_first=is_first):
            clauses.append(clause)
            has_figure |= any(sign.isdigit() for sign in clause)
    return clauses


def _furthest(axis: Axis, description: pd.DataFrame, row: int) -> list[tuple[str, float]]:
    """Return the features whose figures can be told and how far they lie from the population, the furthest first."""
    segment = description.iloc[row]
    z = {f.name: abs(segment.get(f"z:{f.name}", math.nan)) for f in axis.clustering_features if f.tells}
    return sorted(((name, one) for name, one in z.items() if one > NOISE), key=lambda item: -item[1])


def _clause(
    axis: Axis, description: pd.DataFrame, row: int, features: tuple[str, ...], word: str, currency: str, is_first: bool
) -> str:
    """Tell one fact; nothing where there is nothing to tell."""
    if len(features) == 2:
        return f"order at about {values.format_hour(values.mean_hour(description.iloc[row], 'centre', features))}"
    feature = axis.feature(features[0])
    instead = next((w.tells for w in feature.words if w.text == word), "")
    if instead:
        return instead
    if feature.told_by and f"z:{feature.told_by}" in description:
        other = axis.feature(feature.told_by)
        feature = other if math.isfinite(figure_of(other, description, row)) else feature
    mine, usual = (figure_of(feature, description, row, of) for of in ("", "population"))
    text, all_ = (written(feature, one, currency) for one in (mine, usual))
    less, _, more = feature.tells.partition("|")
    is_usual = text == all_
    if not text or (is_usual and not word):
        return ""
    clause = (more if more and mine > 0 else less).format(text)
    kind = "typical" if feature.transform in SKEWED else "average"
    all_ = all_.removesuffix(f" {feature.unit}").removesuffix(f" {values.singular(feature.unit)}")
    beside = "" if more or not all_ or is_usual else f" ({f'{kind} customer {all_}' if is_first else all_})"
    return clause + beside


def written(feature: Feature, value: float, currency: str = "") -> str:
    """Write a feature's value as sentences tell it; empty where it cannot be told.

    >>> growth = Feature("value_trend", "index", "Trend", tells="spend {} less|spend {} more", figure="growth")
    >>> written(growth, 0.2)
    '22 %'
    >>> written(Feature("spread", "index", "An index", tells=""), 0.2)
    ''
    """
    if not feature.tells or value is None or not math.isfinite(value):
        return ""
    match feature.figure:
        case "number":
            return values.format_number(value)
        case "in_ten":
            return values.format_number(10 * value)
        case "growth":
            return values.format_percent(abs(math.expm1(value)))
        case "change":
            return values.format_percent(abs(value))
        case "pace":
            return values.format_percent(abs((1 + value) / (1 - value) - 1)) if -SO_GOOD_AS_ALL < value < 1 else ""
        case "times":
            return f"{values.format_number(value)} times" if value >= 1 else ""
        case "choice":
            return values.format_number(round(1 / value)) if value * LARGEST_CHOICE >= 1 else ""
    is_days = feature.unit == "days" and value >= WHOLE_DAYS_FROM
    return values.format_value(feature, round(value) if is_days else value, currency)
