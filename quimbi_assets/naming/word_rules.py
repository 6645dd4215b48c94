"""Which word a feature's value deserves: its own, the opposite with "less", or one for the end of the range.

Belongs here: whether a word is true of a centre. Does not: how much it tells, choosing (``descriptors``).
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
#: How near the low end of a feature's range its word for the end is said.
NEAR_THE_END = 0.1


def true_word(feature: Feature, side: int, centre: float, deviation: float) -> str:
    """Return the word for a segment that lies above (side 1) or below (-1) the population.

    The declared word if it is true as it stands, else its opposite with "less_". ``centre`` is the segment's mean,
    ``deviation`` one standard deviation there, in original units.
    """
    if side < 0 and feature.at_end and feature.low is not None and centre <= feature.low + NEAR_THE_END:
        return feature.at_end
    if feature.unmoved and abs(centre - (feature.neutral or 0.0)) <= feature.unmoved[0]:
        return slug(feature.unmoved[1])
    word, opposite = both_words(feature) if side < 0 else both_words(feature)[::-1]
    return word if _holds(feature, side, centre, STILL * deviation) else f"less_{opposite}"


def both_words(feature: Feature) -> tuple[str, str]:
    """Return the words for few and many, snake_case."""
    return _word(feature, feature.few), _word(feature, feature.many)


def reads_alike(feature: Feature, description: pd.DataFrame) -> np.ndarray:
    """Tell where a skewed feature's median, which the sentence says, reads like the population's; shape (k,)."""
    if feature.transform not in SKEWED:
        return np.zeros(len(description), dtype=bool)
    stats = (description[f"{stat}:{feature.name}"] for stat in ("q50", "population_q50"))
    here, all_ = ([format_value(feature, value) for value in values] for values in stats)
    return np.array([a == b for a, b in zip(here, all_, strict=True)])


def is_near(feature: Feature, description: pd.DataFrame) -> np.ndarray:
    """Tell where the median of an amount or a count is within a tenth of the population's; shape (k,).

    Only where values have a zero to be a tenth of: not trends, shares or indices.
    """
    if feature.transform not in SKEWED or feature.low != 0 or feature.neutral is not None:
        return np.zeros(len(description), dtype=bool)
    here, all_ = (description[f"{stat}:{feature.name}"].to_numpy(dtype=float) for stat in ("q50", "population_q50"))
    return np.asarray((all_ > 0) & (np.abs(here - all_) < ALIKE * all_))


def _holds(feature: Feature, side: int, centre: float, still: float) -> bool:
    """Whether a word is true as it stands, and not only beside the others.

    A trend must have the word's sign (shrinking less than others is not growing) and not stand still, and a share of
    which a word says that it is small (or the whole) must not be the larger (or the smaller) half.
    """
    if feature.neutral is not None:
        return bool(side * (centre - feature.neutral) > still)
    if feature.low is None or feature.low < 0:
        return bool(np.sign(centre) == side)
    if side > 0 and feature.of_most:
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
