"""What can truthfully be said of each segment in one word, and how much that word tells it from its siblings.

Belongs here: the rule that lets a word be used at all. Does not: choosing among the words (``naming``).
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Axis, Feature
from quimbi_assets.naming.clock import clock_hour, clock_pairs, part_of_day, segment_hours
from quimbi_assets.naming.truth import both_words, is_near, reads_alike, slug, true_word

# Assumption: a hundredth of a standard deviation is noise, and half of one a difference that people see.
NOISE = 0.01
BUCKET = 0.5
#: A word that is true only beside the others has to tell more than one that stands alone.
LESS = 0.7


@dataclass(frozen=True)
class Trait:
    """One word about one segment.

    Parameters
    ----------
    features : tuple of str
        Feature it rests on, or the two of a clock angle.
    word : str
        Adjective, snake_case.
    excludes : frozenset of str
        Words that must not stand beside it: its own, its opposite, its synonyms.
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


def segment_traits(axis: Axis, description: pd.DataFrame) -> list[list[Trait]]:
    """List what can be said of every segment, the most telling first.

    Parameters
    ----------
    axis : Axis
        Supplies the words.
    description : DataFrame, shape (k, n_statistics)
        From ``describe_segments``.

    Returns
    -------
    list of k lists of Trait
        Ordered by contrast in steps of half a scaled unit, then as declared, so that a small move of a centre
        seldom reorders them.

    Notes
    -----
    A word for many (few) is offered only where mean, median and scaled centre all agree that the segment lies
    above (below) the population; on skewed features they can disagree, and then nothing is said. Where a word
    is true only beside the others (see ``truth``), its opposite is said with "less".
    """
    names = _features(axis, description)
    pairs = clock_pairs(names)
    on_clock = {name for pair in pairs.values() for name in pair}
    traits: list[list[Trait]] = [[] for _ in range(len(description))]
    for order, name in enumerate(names):
        found = (
            _number_traits(axis.feature(name), description, order, pairs)
            if name not in on_clock
            else _clock_traits(axis, name, description, order, pairs)
        )
        for row, trait in found:
            traits[row].append(trait)
    return [sorted(own, key=_telling) for own in traits]


def _telling(trait: Trait) -> tuple[float, int]:
    weight = LESS if trait.word.startswith("less_") else 1.0
    return -round(weight * trait.contrast / BUCKET), trait.order


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


def _number_traits(
    feature: Feature, description: pd.DataFrame, order: int, pairs: dict[str, tuple[str, str]]
) -> list[tuple[int, Trait]]:
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
    excludes = frozenset(words) | {stem for stem in pairs if feature.name.startswith(f"{stem}_")}
    found = []
    for row in np.flatnonzero(agree):
        side = int(above[row])
        extreme = bool(side * centre[row] >= np.nanmax(side * centre) and side * z[row] >= np.nanmax(side * z))
        deviation = abs(centre[row] - description[f"population:{feature.name}"].iloc[row]) / abs(z[row])
        word = true_word(feature, side, float(centre[row]), float(deviation))
        trait = Trait((feature.name,), word, excludes, side * z[row], side * contrast[row], extreme, order)
        found.append((int(row), trait))
    return found


def _clock_traits(
    axis: Axis, name: str, description: pd.DataFrame, order: int, pairs: dict[str, tuple[str, str]]
) -> list[tuple[int, Trait]]:
    """Offer the part of the day, once for the pair, where a segment's differs from the population's."""
    stem, pair = next((stem, pair) for stem, pair in pairs.items() if name in pair)
    if name != pair[0]:
        return []
    z = description[[f"z:{n}" for n in pair]].to_numpy(dtype=float)
    contrast = np.hypot(*(contrasts(z[:, j]) for j in range(2)))
    hours = segment_hours(description, pair).to_numpy()
    population = clock_hour(*(float(description[f"population:{n}"].iloc[0]) for n in pair))
    usual = part_of_day(population) if np.isfinite(population) else ""
    found = []
    for row in np.flatnonzero(np.isfinite(hours)):
        word = part_of_day(hours[row])
        if word != usual and np.hypot(*z[row]) > NOISE:
            excludes = frozenset({word, stem, *(slug(w) for n in pair for w in _both(axis.feature(n)))})
            trait = Trait(pair, word, excludes, float(np.hypot(*z[row])), float(contrast[row]), False, order)
            found.append((int(row), trait))
    return found


def _both(feature: Feature) -> tuple[str, str]:
    return feature.few, feature.many
