"""What can truthfully be said of each segment in one word, and how much that word tells it from its siblings.

Belongs here: whether a word is true of a segment, by its figures and by how many share them, and the rule that lets it
be used at all. Does not: choosing among the words (``rule_names``), the words (each axis).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes._axis import Axis, Feature, Word
from quimbi_assets.naming.segment_statistics import QUANTILES, described_features
from quimbi_assets.naming.values import SKEWED, clock_pairs, format_value, mean_hour, part_of_day

# Assumption: a hundredth of a standard deviation is noise, and half of one a difference that people see.
NOISE = 0.01
BUCKET = 0.5
#: A word that is true only beside the others has to tell more than one that stands alone.
LESS = 0.7
# Assumption: three quarters of one are told apart even where the figures are near each other.
PLAIN = 0.75
# Assumption: $10.57 where the typical customer pays $11.09 is not a low price, whatever the logarithms' means say.
ALIKE = 0.1
#: Share of an axis's judged customers up to which a segment may be called heavy, premium and the like.
MINORITY = 1 / 3
#: The same for words that only compare ("bigger"): more than half of all cannot be beyond the others.
HALF = 0.5
DAY_PARTS = ("morning", "afternoon", "evening", "night")


@dataclass(frozen=True)
class Descriptor:
    """One word (an adjective, snake_case) about one segment.

    ``features``: the one it rests on, or the two of a clock angle; ``order``: position in the axis's declaration.
    ``excludes``: what must not stand beside it, that is, its own word and another of the same fact. In scaled units,
    ``z`` > 0 is the distance of the centre from the population, in the word's direction if it has one, ``contrast``
    that from the mean of the siblings' centres. ``is_figure``: true by its figure alone;
    ``is_comparison``: only because others are otherwise.
    """

    features: tuple[str, ...]
    word: str
    excludes: frozenset[str] = field(repr=False)
    z: float
    contrast: float
    order: int
    is_figure: bool = False
    is_comparison: bool = False


def segment_descriptors(axis: Axis, description: pd.DataFrame) -> list[list[Descriptor]]:
    """List what can be said of each of k segments, described by ``describe_segments``, the most telling first.

    Ordered by contrast in steps of half a scaled unit, then as declared, so that a small move of a centre seldom
    reorders them. A word for many (few) is offered only where mean, median and scaled centre all agree that the segment
    lies above (below) the population; on skewed features they can disagree, and then nothing is said.
    """
    features = described_features(axis, description)
    pairs = clock_pairs([feature.name for feature in features])
    clock = {name: pair for pair in pairs.values() for name in pair}
    descriptors: list[list[Descriptor]] = [[] for _ in range(len(description))]
    for order, feature in enumerate(features):
        if feature.name not in clock:
            offers = _of_number(axis, feature, description, order)
        elif feature.name == clock[feature.name][0]:
            offers = _of_clock(feature, description, order, clock[feature.name])
        else:
            continue
        for row, descriptor in offers:
            descriptors[row].append(descriptor)
    return [sorted(words, key=_telling) for words in descriptors]


def _telling(descriptor: Descriptor) -> tuple[float, bool, int]:
    weight = LESS if descriptor.is_comparison else 1.0
    return -round(weight * descriptor.contrast / BUCKET), descriptor.is_comparison, descriptor.order


def contrasts(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each centre from the mean of the others, shape (k,); z itself where it has no sibling.

    >>> contrasts(np.array([3.0, 1.0, -1.0]))
    array([ 3.,  0., -3.])
    """
    defined = ~np.isnan(z)
    others = defined.sum() - defined
    mean = (np.nansum(z) - np.nan_to_num(z)) / np.maximum(others, 1)
    return z - np.where(others > 0, mean, 0.0)


def _of_number(axis: Axis, feature: Feature, description: pd.DataFrame, order: int) -> Iterator[tuple[int, Descriptor]]:
    """Offer every segment the first of the feature's words that is true of it."""
    z = description[f"z:{feature.name}"].to_numpy(dtype=float)
    contrast, sides = contrasts(z), sides_of(feature, description)
    for row in np.flatnonzero(~np.isnan(z)).tolist():
        word = next(
            (w for w in feature.words if w.side in (0, sides[row]) and holds(axis, feature, w, description, row)), None
        )
        if word is not None:
            towards = word.side or float(np.sign(z[row])) or 1.0
            excludes = frozenset({word.text, feature.about or feature.name, *word.never_beside.split()})
            distances = float(towards * z[row]), float(towards * contrast[row])
            kind = not word.side, word.is_comparison
            yield row, Descriptor((feature.name,), word.text, excludes, *distances, order, *kind)


def sides_of(feature: Feature, description: pd.DataFrame) -> NDArray[np.int8]:
    """Tell where a segment clearly lies above (1) or below (-1) the population, shape (k,); else 0."""
    statistics = ("z", "centre", "population", "q50", "population_q50")
    z, centre, population, median, population_median = (
        description[f"{statistic}:{feature.name}"].to_numpy(dtype=float) for statistic in statistics
    )
    above, middle = np.sign(centre - population), np.sign(median - population_median)
    clear = (np.abs(z) > NOISE) & (np.sign(z) == above) & ((middle == above) | (middle == 0))
    clear &= ~(reads_alike(feature, description) & (np.abs(z) < BUCKET))
    clear &= ~(is_near(feature, description) & (np.abs(z) < PLAIN))
    return np.where(clear, above, 0).astype(np.int8)


def holds(axis: Axis, feature: Feature, word: Word, description: pd.DataFrame, row: int) -> bool:
    """Whether a word is true of a segment as far as its figures and its share of the judged customers go."""
    figure, usual = figure_of(feature, description, row), figure_of(feature, description, row, "population")
    if not word.low <= figure <= word.high or (word.side and not _is_beyond(word, figure, usual)):
        return False
    if not word.low <= float(description[f"q50:{feature.name}"].iloc[row]) <= word.high:
        return False
    ends = [float(description[f"{q}:{feature.name}"].iloc[row]) for q in ("q10", "q90")] if word.of_most else []
    if not all(word.low <= end <= word.high for end in ends):
        return False
    if word.of_half and not share_within(feature, word, description, row) > HALF:
        return False
    if word.untypical and word.low <= usual <= word.high:
        return False
    most = MINORITY if word.of_few else HALF if word.is_comparison else 1.0
    if not judged_share(description, row) <= most + 1e-9:
        return False
    others = ((axis.feature(name), low, high) for name, low, high in word.where if f"z:{name}" in description)
    return all(low <= figure_of(other, description, row) <= high for other, low, high in others)


def share_within(feature: Feature, word: Word, description: pd.DataFrame, row: int) -> float:
    """Return the share of a segment's members, 0-1, who are in a word's range, as its quantiles tell it."""
    quantiles = [float(description[f"{q}:{feature.name}"].iloc[row]) for q in QUANTILES]
    below, above = np.interp([word.low, word.high], quantiles, list(QUANTILES.values()), left=0.0, right=1.0)
    return float(above - below)


def _is_beyond(word: Word, figure: float, usual: float) -> bool:
    """Whether a figure is on the word's side of the typical customer's, and so many times as large, or as small."""
    if word.side * (figure - usual) < 0:
        return False
    return word.times == 1 or (figure >= word.times * usual if word.side > 0 else figure * word.times <= usual)


def figure_of(feature: Feature, description: pd.DataFrame, row: int, of: str = "") -> float:
    """Return the figure that sentences tell: the median of a skewed feature, the mean of another; NaN if undefined."""
    skewed = feature.transform in SKEWED
    statistic = ("population_q50" if skewed else "population") if of else ("q50" if skewed else "centre")
    return float(description[f"{statistic}:{feature.name}"].iloc[row])


def judged_share(description: pd.DataFrame, row: int) -> float:
    """Return a segment's share, 0-1, of the customers who are not in a declared state."""
    counts = description["customer_count"].to_numpy(dtype=float)
    judged = counts[description["structural"].isna().to_numpy()].sum()
    return float(counts[row] / judged) if judged else 0.0


def _of_clock(
    feature: Feature, description: pd.DataFrame, order: int, pair: tuple[str, str]
) -> Iterator[tuple[int, Descriptor]]:
    """Offer the part of the day, once for the pair, where a segment's differs from the population's."""
    z = description[[f"z:{n}" for n in pair]].to_numpy(dtype=float)
    contrast = np.hypot(*(contrasts(z[:, j]) for j in range(2)))
    hours = np.array([mean_hour(segment, "centre", pair) for _, segment in description.iterrows()])
    population = mean_hour(description.iloc[0], "population", pair)
    usual = part_of_day(population) if np.isfinite(population) else ""
    for row in np.flatnonzero(np.isfinite(hours)):
        word = part_of_day(hours[row])
        if word != usual and np.hypot(*z[row]) > NOISE:
            excludes = frozenset({word, feature.about or feature.name})
            yield int(row), Descriptor(pair, word, excludes, float(np.hypot(*z[row])), float(contrast[row]), order)


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


def slug(words: str) -> str:
    """Write words as snake_case.

    >>> slug("High-value  buyers!")
    'high_value_buyers'
    """
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
