"""What can truthfully be said of each segment in one word, and how much that word tells it from its siblings.

Belongs here: the rule that lets a word be used at all. Does not: choosing among the words (``rule_names``).
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Axis, Feature
from quimbi_assets.naming.values import clock_pairs, mean_hour, part_of_day
from quimbi_assets.naming.word_rules import both_words, is_near, reads_alike, slug, true_word

# Assumption: a hundredth of a standard deviation is noise, and half of one a difference that people see.
NOISE = 0.01
BUCKET = 0.5
#: A word that is true only beside the others has to tell more than one that stands alone.
LESS = 0.7


@dataclass(frozen=True)
class Descriptor:
    """One word about one segment.

    Parameters
    ----------
    features : tuple of str
        Feature it rests on, or the two of a clock angle.
    word : str
        Adjective, snake_case.
    excludes : frozenset of str
        What must not stand beside it: its own word, its opposite, another of the same fact.
    z : float
        Distance of the centre from the population in the word's direction, in scaled units, > 0.
    contrast : float
        Distance from the mean of the siblings' centres in the word's direction, in scaled units.
    is_extreme : bool
        Whether no sibling's centre lies further in that direction.
    order : int
        Position of the feature in the axis's declaration.
    """

    features: tuple[str, ...]
    word: str
    excludes: frozenset[str] = field(repr=False)
    z: float
    contrast: float
    is_extreme: bool
    order: int


def segment_descriptors(axis: Axis, description: pd.DataFrame) -> list[list[Descriptor]]:
    """List what can be said of every segment, the most telling first.

    Parameters
    ----------
    description : DataFrame, shape (k, n_statistics)
        From ``describe_segments``.

    Returns
    -------
    list of k lists of Descriptor
        Ordered by contrast in steps of half a scaled unit, then as declared, so that a small move of a centre
        seldom reorders them.

    Notes
    -----
    A word for many (few) is offered only where mean, median and scaled centre all agree that the segment lies
    above (below) the population; on skewed features they can disagree, and then nothing is said. Where a word
    is true only beside the others (see ``word_rules``), its opposite is said with "less".
    """
    names = _features(axis, description)
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


def _features(axis: Axis, description: pd.DataFrame) -> list[str]:
    return [f.name for f in axis.clustering_features if f"z:{f.name}" in description]


def contrasts(z: np.ndarray) -> np.ndarray:
    """Distance of each centre from the mean of the others, shape (k,); z itself where it has no sibling.

    Examples
    --------
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
    z = description[f"z:{feature.name}"].to_numpy(dtype=float)
    centre = description[f"centre:{feature.name}"].to_numpy(dtype=float)
    above = np.sign(centre - description[f"population:{feature.name}"].to_numpy(dtype=float))
    middle = np.sign(
        description[f"q50:{feature.name}"].to_numpy(dtype=float)
        - description[f"population_q50:{feature.name}"].to_numpy(dtype=float)
    )
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
        deviation = abs(centre[row] - description[f"population:{feature.name}"].iloc[row]) / abs(z[row])
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
