"""What can truthfully be said of each segment in one word, and how much that word tells it from its siblings.

Belongs here: whether a word is true of a centre (as it stands, the opposite with "less", or one for the end of the
range), and the rule that lets it be used at all. Does not: choosing among the words (``rule_names``).
"""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes._axis import Axis, Feature
from quimbi_assets.naming.segment_statistics import described_features
from quimbi_assets.naming.values import SKEWED, clock_pairs, format_value, mean_hour, part_of_day

# Assumption: a hundredth of a standard deviation is noise, and half of one a difference that people see.
NOISE = 0.01
BUCKET = 0.5
#: A word that is true only beside the others has to tell more than one that stands alone.
LESS = 0.7
# Assumption: a trend within a tenth of a standard deviation of standing still is neither up nor down.
STILL = 0.1
# Assumption: $10.57 where the typical customer pays $11.09 is not a low price, whatever the logarithms' means say.
ALIKE = 0.1
#: How near the low end of a feature's range its word for the end is said.
NEAR_THE_END = 0.1


@dataclass(frozen=True)
class Descriptor:
    """One word (an adjective, snake_case) about one segment.

    ``features``: the one it rests on, or the two of a clock angle; ``order``: position in the axis's declaration.
    ``excludes``: what must not stand beside it, that is, its own word, its opposite, another of the same fact. In the
    word's direction and scaled units, ``z`` > 0 is the distance of the centre from the population, ``contrast`` that
    from the mean of the siblings' centres; ``is_extreme``: no sibling lies further.
    """

    features: tuple[str, ...]
    word: str
    excludes: frozenset[str] = field(repr=False)
    z: float
    contrast: float
    is_extreme: bool
    order: int


def segment_descriptors(axis: Axis, description: pd.DataFrame) -> list[list[Descriptor]]:
    """List what can be said of each of k segments, described by ``describe_segments``, the most telling first.

    Ordered by contrast in steps of half a scaled unit, then as declared, so that a small move of a centre seldom
    reorders them. A word for many (few) is offered only where mean, median and scaled centre all agree that the segment
    lies above (below) the population; on skewed features they can disagree, and then nothing is said.
    """
    names = [feature.name for feature in described_features(axis, description)]
    pairs = clock_pairs(names)
    on_clock = {name for pair in pairs.values() for name in pair}
    descriptors: list[list[Descriptor]] = [[] for _ in range(len(description))]
    for order, name in enumerate(names):
        offers = (
            _of_number(axis.feature(name), description, order, pairs)
            if name not in on_clock
            else _of_clock(axis, name, description, order, pairs)
        )
        for row, descriptor in offers:
            descriptors[row].append(descriptor)
    return [sorted(words, key=_telling) for words in descriptors]


def _telling(descriptor: Descriptor) -> tuple[float, int]:
    weight = LESS if descriptor.word.startswith("less_") else 1.0
    return -round(weight * descriptor.contrast / BUCKET), descriptor.order


def contrasts(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each centre from the mean of the others, shape (k,); z itself where it has no sibling.

    >>> contrasts(np.array([3.0, 1.0, -1.0]))
    array([ 3.,  0., -3.])
    """
    defined = ~np.isnan(z)
    others = defined.sum() - defined
    mean = (np.nansum(z) - np.nan_to_num(z)) / np.maximum(others, 1)
    return z - np.where(others > 0, mean, 0.0)


def _of_number(
    feature: Feature, description: pd.DataFrame, order: int, pairs: dict[str, tuple[str, str]]
) -> list[tuple[int, Descriptor]]:
    """Offer the feature's word for few or many to every segment it is true of."""
    statistics = ("z", "centre", "population", "q50", "population_q50")
    z, centre, population, median, population_median = (
        description[f"{statistic}:{feature.name}"].to_numpy(dtype=float) for statistic in statistics
    )
    above, middle = np.sign(centre - population), np.sign(median - population_median)
    agree = (np.abs(z) > NOISE) & (np.sign(z) == above) & ((middle == above) | (middle == 0))
    agree &= ~(reads_alike(feature, description) & (np.abs(z) < BUCKET))
    agree &= ~is_near(feature, description)
    contrast = contrasts(z)
    words = both_words(feature) + ((slug(feature.unmoved[1]),) if feature.unmoved else ())
    stems = {stem for stem in pairs if feature.name.startswith(f"{stem}_")}
    excludes = frozenset({*words, *stems, *([feature.fact] if feature.fact else [])})
    offers = []
    for row in np.flatnonzero(agree):
        side = int(above[row])
        extreme = bool(side * centre[row] >= np.nanmax(side * centre) and side * z[row] >= np.nanmax(side * z))
        deviation = abs(centre[row] - population[row]) / abs(z[row])
        word = true_word(feature, side, float(centre[row]), float(deviation))
        descriptor = Descriptor((feature.name,), word, excludes, side * z[row], side * contrast[row], extreme, order)
        offers.append((int(row), descriptor))
    return offers


def _of_clock(
    axis: Axis, name: str, description: pd.DataFrame, order: int, pairs: dict[str, tuple[str, str]]
) -> list[tuple[int, Descriptor]]:
    """Offer the part of the day, once for the pair, where a segment's differs from the population's."""
    stem, pair = next((stem, pair) for stem, pair in pairs.items() if name in pair)
    if name != pair[0]:
        return []
    z = description[[f"z:{n}" for n in pair]].to_numpy(dtype=float)
    contrast = np.hypot(*(contrasts(z[:, j]) for j in range(2)))
    hours = np.array([mean_hour(segment, "centre", pair) for _, segment in description.iterrows()])
    population = mean_hour(description.iloc[0], "population", pair)
    usual = part_of_day(population) if np.isfinite(population) else ""
    offers = []
    for row in np.flatnonzero(np.isfinite(hours)):
        word = part_of_day(hours[row])
        if word != usual and np.hypot(*z[row]) > NOISE:
            words = (w for feature in map(axis.feature, pair) for w in (feature.few, feature.many))
            excludes = frozenset({word, stem, *map(slug, words)})
            descriptor = Descriptor(pair, word, excludes, float(np.hypot(*z[row])), float(contrast[row]), False, order)
            offers.append((int(row), descriptor))
    return offers


def true_word(feature: Feature, side: int, centre: float, deviation: float) -> str:
    """Return the word for a segment that lies above (side 1) or below (-1) the population.

    The declared word if it is true as it stands, else its opposite with "less_". In original units, ``centre`` is the
    segment's mean, ``deviation`` one standard deviation there.
    """
    if side < 0 and feature.at_end and feature.low is not None and centre <= feature.low + NEAR_THE_END:
        return feature.at_end
    if feature.unmoved and abs(centre - (feature.neutral or 0.0)) <= feature.unmoved[0]:
        return slug(feature.unmoved[1])
    word, opposite = both_words(feature) if side < 0 else both_words(feature)[::-1]
    return word if _holds(feature, side, centre, STILL * deviation) else f"less_{opposite}"


def both_words(feature: Feature) -> tuple[str, str]:
    """Return the words for few and many, snake_case; a bare "low" or "high" with the feature it is about."""
    about = re.sub("^(avg|n)_|_(days|per_month|ratio|rate|share|pct|index)$", "", feature.name)
    few, many = (f"{word} {about}" if word in ("low", "high") else word for word in (feature.few, feature.many))
    return slug(few), slug(many)


def reads_alike(feature: Feature, description: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell where a skewed feature's median, which the sentence says, reads like the population's; shape (k,)."""
    if feature.transform not in SKEWED:
        return np.zeros(len(description), dtype=bool)
    stats = (description[f"{stat}:{feature.name}"] for stat in ("q50", "population_q50"))
    here, all_ = ([format_value(feature, value) for value in values] for values in stats)
    return np.array([a == b for a, b in zip(here, all_, strict=True)])


def is_near(feature: Feature, description: pd.DataFrame) -> NDArray[np.bool_]:
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


def slug(words: str) -> str:
    """Write words as snake_case.

    >>> slug("High-value  buyers!")
    'high_value_buyers'
    """
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
