"""How a segment's words become a name: their order, its length, and ranges of values.

Belongs here: the shape of a name. Does not: which words are chosen (``rule_names``) or true (``descriptors``).
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import Axis
from quimbi_assets.naming.descriptors import DAY_PARTS, Descriptor, slug
from quimbi_assets.naming.segment_statistics import described_features
from quimbi_assets.naming.values import format_number

# Assumption: under 0.3 standard deviations a segment is like everybody, and a word for it says little.
SAYABLE = 0.3
LONGEST = 40


@dataclass(frozen=True)
class Draft:
    """A segment's name in the making: adjectives, the most telling first, before a noun (``people``).

    A ``fixed`` name stands whatever else there is; ``neutral`` is the adjective of a segment of which nothing can be
    said, ``suffix`` a range or number after the noun.
    """

    row: int
    people: str
    descriptors: tuple[Descriptor, ...] = ()
    fixed: str = ""
    neutral: str = "middling"
    suffix: str = ""

    @property
    def fits(self) -> bool:
        """Whether the noun before the suffix stands in the name uncut."""
        return f"_{self.people}_{self.suffix}" in self.name

    @property
    def key(self) -> str:
        """What must be unique: the name's words, in whatever order."""
        return " ".join(sorted(self.name.split("_")))

    @property
    def name(self) -> str:
        """The name, of as many leading adjectives as fit into 40 characters."""
        tail = f"_{self.suffix}" if self.suffix else ""
        room = LONGEST - len(tail)
        if self.fixed:
            return _cut(self.fixed, room) + tail
        for n in range(len(self.descriptors), 0, -1):
            name = "_".join([*self._adjectives(n), self.people])
            if len(name) <= room:
                return name + tail
        return _cut("_".join([*(self._adjectives(1) or [self.neutral]), self.people]), room) + tail

    def _adjectives(self, n: int) -> list[str]:
        """Write the n most telling adjectives in the order they are declared in, so that they stay put."""
        return [t.word for t in sorted(self.descriptors[:n], key=lambda t: t.order)]

    def admits(self, other: Descriptor) -> bool:
        """Whether a word can stand beside those already said, without repeating or contradicting them."""
        words = set(self.people.split("_")).union(*(t.word.split("_") for t in self.descriptors))
        clear = all(not (other.excludes & t.excludes) for t in self.descriptors)
        return clear and not words & set(other.word.split("_"))


def is_from_rules(axis: Axis, name: str) -> bool:
    """Whether rules of today could have made a name: of the axis's words, before its noun, with or without figures.

    >>> from quimbi_assets.axes import AXES
    >>> [is_from_rules(AXES["purchase_value"], f"{word}_spenders") for word in ("heavy_big_order", "typical")]
    [True, False]
    """
    return re.fullmatch(rf"(?:(?:{_adjectives(axis)})_)+{slug(axis.people)}(?:_\w*\d\w*)?", name) is not None


def is_usual(axis_name: str, name: str) -> bool:
    """Whether a name says of an axis's segment only that nothing stands out.

    >>> is_usual("purchase_value", "mid_range_spenders"), is_usual("purchase_value", "heavy_spenders")
    (True, False)
    """
    return axis_name in AXES and name.startswith(f"{slug(AXES[axis_name].usual)}_")


def adjectives_of(axis: Axis, name: str) -> list[str]:
    """Return the words that a rule-made name is made of, without its noun; of another name what stands between ``_``.

    >>> from quimbi_assets.axes import AXES
    >>> [adjectives_of(AXES["purchase_value"], f"{words}_spenders") for words in ("heavy_big_order", "sunny_side")]
    [['heavy', 'big_order'], ['sunny', 'side']]
    """
    adjectives = name.removesuffix(f"_{slug(axis.people)}")
    return re.findall(rf"(?:{_adjectives(axis)}|[^_]+)(?=_|$)", adjectives)


def declared_words(axis: Axis, name: str) -> list[str]:
    """Return the words of a segment's name that its axis declares.

    >>> from quimbi_assets.axes import AXES
    >>> [declared_words(AXES["purchase_value"], name) for name in ("heavy_big_order_spenders", "our_friends")]
    [['heavy', 'big_order'], []]
    """
    words = {word.text for feature in axis.clustering_features for word in feature.words}
    return [word for word in adjectives_of(axis, name) if word in {*words, *DAY_PARTS}]


def _adjectives(axis: Axis) -> str:
    """All words that rules may say on an axis, longest first, as a regular expression."""
    words = {word.text for feature in axis.clustering_features for word in feature.words}
    return "|".join(sorted({*words, *DAY_PARTS, slug(axis.usual)}, key=lambda word: (-len(word), word)))


def _cut(name: str, room: int) -> str:
    """Shorten a name to whole words that fit."""
    return name if len(name) <= room else name[: room + 1].rpartition("_")[0] or name[:room]


def value_range(draft: Draft, group: list[Draft], axis: Axis, description: pd.DataFrame) -> Draft:
    """Add the range of values that eight in ten members have on the feature on which a group differs most.

    Of features whose values mean something to a reader: an index is none.
    """
    rows = [member.row for member in group]
    features = [f for f in described_features(axis, description) if f.unit != "index"]
    if not features:
        return draft
    z = description[[f"z:{f.name}" for f in features]].iloc[rows].fillna(0.0).to_numpy(dtype=float)
    feature = features[int(np.argmax(np.ptp(z, axis=0)))]
    low, high = (float(description[f"{q}:{feature.name}"].iloc[draft.row]) for q in ("q10", "q90"))
    factor, unit = (100, "percent") if feature.unit == "share" else (1, feature.unit)
    numbers = "_to_".join(dict.fromkeys(_spell(factor * value) for value in (low, high)))
    plain = "" if unit == "money" else f"_{slug(unit)}"
    whole = replace(draft, suffix=numbers + plain)
    return whole if whole.fits else replace(whole, suffix=numbers)


def _spell(value: float) -> str:
    """Write a number so that it can stand in a name.

    >>> _spell(2.43), _spell(-1240)
    ('2_4', 'minus_1240')
    """
    text = format_number(value).replace(",", "")
    return ("minus_" if text.startswith("-") else "") + slug(text)
