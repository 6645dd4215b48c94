"""Which word a feature's value deserves: its own, the opposite with "less", or one for the end of the range.

Belongs here: whether a word is true of a centre. Does not: how much it tells (``traits``), choosing (``naming``).
"""

import re

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Feature
from quimbi_assets.naming.values import SKEWED, format_value

# Assumption: a trend within a tenth of a standard deviation of standing still is neither up nor down.
STILL = 0.1
# Assumption: $10.57 where the typical customer pays $11.09 is not a low price, whatever the logarithms' means say.
ALIKE = 0.1
#: Words for a value at the very end of a feature's range, where the word for little would say too little.
AT_THE_END = {"acceleration": "stopped"}
NEAR_THE_END = 0.1
#: Words for a large share that are said of most of the whole only: 20 % at full price is not a full-price buyer.
OF_MOST = ("full_price",)
SAME_FACT = (
    {"orders_per_month", "avg_days_between_orders"},
    {"repeat_rate", "repeat_order_ratio", "loyalty_index"},
    {"channel_web", "channel_pos", "channel_draft_order"},
    {"refund_rate", "items_returned_pct", "return_order_ratio", "returns_per_month"},
    {"discount_rate", "discount_depth", "full_price_value_share"},
    {"unique_categories", "category_diversity"},
)
"""Features of one fact seen from several sides: a name says one of them."""


def same_fact(one: str, other: str) -> bool:
    """Whether two features show one fact."""
    return any(one in fact and other in fact for fact in SAME_FACT)


def true_word(feature: Feature, side: int, centre: float, deviation: float) -> str:
    """Return the word for a segment that lies above (side 1) or below (-1) the population.

    Parameters
    ----------
    feature : Feature
        Declares the words.
    side : int
        1 or -1.
    centre : float
        The segment's mean, in shop units.
    deviation : float
        One standard deviation there, in shop units.

    Returns
    -------
    str
        The declared word if it is true as it stands, else its opposite with "less_".
    """
    if side < 0 and feature.low is not None and centre <= feature.low + NEAR_THE_END and feature.name in AT_THE_END:
        return AT_THE_END[feature.name]
    if feature.unmoved and abs(centre - (feature.neutral or 0.0)) <= feature.unmoved[0]:
        return slug(feature.unmoved[1])
    own, opposite = both_words(feature) if side < 0 else both_words(feature)[::-1]
    return own if _holds(feature, side, centre, STILL * deviation) else f"less_{opposite}"


def both_words(feature: Feature) -> tuple[str, str]:
    """Return the words for few and many, snake_case."""
    return _word(feature, feature.few), _word(feature, feature.many)


def reads_alike(feature: Feature, description: pd.DataFrame) -> np.ndarray:
    """Tell where a skewed feature's median, which the sentence says, reads like everybody's; shape (k,)."""
    if feature.transform not in SKEWED:
        return np.zeros(len(description), dtype=bool)
    stats = (description[f"{stat}:{feature.name}"] for stat in ("q50", "population_q50"))
    own, all_ = ([format_value(feature, value) for value in values] for values in stats)
    return np.array([a == b for a, b in zip(own, all_, strict=True)])


def is_near(feature: Feature, description: pd.DataFrame) -> np.ndarray:
    """Tell where the median of an amount or a count is within a tenth of everybody's; shape (k,).

    Only where values have a zero to be a tenth of: not trends, shares or indices.
    """
    if feature.transform not in SKEWED or feature.low != 0 or feature.neutral is not None:
        return np.zeros(len(description), dtype=bool)
    own, all_ = (description[f"{stat}:{feature.name}"].to_numpy(dtype=float) for stat in ("q50", "population_q50"))
    return (all_ > 0) & (np.abs(own - all_) < ALIKE * all_)


def _holds(feature: Feature, side: int, centre: float, still: float) -> bool:
    """Whether a word is true as it stands, and not only beside the others.

    A trend must have the word's sign (shrinking less than others is not growing) and not stand still, and a share of
    which a word says that it is small (or the whole) must not be the larger (or the smaller) half.
    """
    if feature.neutral is not None:
        return bool(side * (centre - feature.neutral) > still)
    if feature.low is None or feature.low < 0:
        return bool(np.sign(centre) == side)
    if feature.unit == "share" and side > 0 and feature.many in OF_MOST:
        return centre > 0.5
    return not (feature.unit == "share" and side < 0 and centre > 0.5)


def _word(feature: Feature, word: str) -> str:
    """Return the declared adjective, or for a bare "low" or "high" the feature it is about as well."""
    if word not in ("low", "high"):
        return slug(word)
    return slug(f"{word} {re.sub('^(avg|n)_|_(days|per_month|ratio|rate|share|pct|index)$', '', feature.name)}")


def slug(words: str) -> str:
    """Write words as snake_case.

    Examples
    --------
    >>> slug("High-value  buyers!")
    'high_value_buyers'
    """
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
