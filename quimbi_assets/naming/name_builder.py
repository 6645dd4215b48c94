"""How a segment's words become a name: length, levels ("most", "fairly") and ranges of values.

Belongs here: the shape of a name. Does not: which words are chosen (``rule_names``) or true (``descriptors``).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Axis
from quimbi_assets.naming.descriptors import Descriptor, slug
from quimbi_assets.naming.segment_statistics import described_features
from quimbi_assets.naming.values import format_number

# Assumption: under 0.3 standard deviations a segment is like everybody, and a word for it needs a "slightly".
SAYABLE = 0.3
LONGEST = 40
SUPERLATIVES = {
    "rare": "rarest", "low": "lowest", "high": "highest", "deep": "deepest", "few": "fewest", "new": "newest",
    "old": "oldest", "small": "smallest", "large": "largest", "big": "biggest", "broad": "broadest",
    "narrow": "narrowest", "wide": "widest", "steady": "steadiest", "loyal": "most_loyal", "light": "lightest",
    "heavy": "heaviest", "slowing": "fastest_slowing", "growing": "fastest_growing", "shrinking": "fastest_shrinking",
    "lapsed": "longest_lapsed",
}  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """A segment's name in the making: adjectives, the most telling first, before a noun (``people``).

    A ``fixed`` name stands whatever else there is; ``neutral`` is the adjective of a segment of which nothing can be
    said, ``level`` the degree of the first adjective, ``suffix`` a range or number after the noun.
    """

    row: int
    people: str
    descriptors: tuple[Descriptor, ...] = ()
    fixed: str = ""
    neutral: str = "typical"
    level: str = ""
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
        """Write the n most telling adjectives: a graded one first, the others as declared, so that they stay put."""
        graded = [_degree(t.word, self.level, t.z) for t in self.descriptors[: 1 if self.level else 0]]
        others = sorted(self.descriptors[len(graded) : n], key=lambda t: t.order)
        return [*graded, *(_degree(t.word, "", t.z) for t in others)]

    def admits(self, other: Descriptor) -> bool:
        """Whether a word can stand beside those already said, without repeating or contradicting them."""
        words = set(self.people.split("_")).union(*(t.word.split("_") for t in self.descriptors))
        clear = all(not (other.excludes & t.excludes) for t in self.descriptors)
        return clear and not words & set(other.word.split("_"))


def _cut(name: str, room: int) -> str:
    """Shorten a name to whole words that fit."""
    return name if len(name) <= room else name[: room + 1].rpartition("_")[0] or name[:room]


def _degree(word: str, level: str, z: float) -> str:
    """Put a degree before an adjective.

    >>> [_degree("rare", level, 1.0) for level in ("", "most", "very", "fairly")]
    ['rare', 'rarest', 'very_rare', 'fairly_rare']
    >>> _degree("frequent", "most", 1.0), _degree("low_price", "most", 1.0), _degree("rare", "", 0.1)
    ('most_frequent', 'lowest_price', 'slightly_rare')
    """
    if word.startswith("less_"):
        if level == "most":
            return "least_" + word.removeprefix("less_")
        return {"very": f"far_{word}", "fairly": f"slightly_{word}"}.get(level, word)
    if z < SAYABLE:
        return f"slightly_{word}"
    if level != "most":
        return f"{level}_{word}" if level else word
    head, _, rest = word.partition("_")
    return "_".join(filter(None, (SUPERLATIVES.get(head, f"most_{head}"), rest)))


def level_words(group: list[Draft]) -> list[Draft]:
    """Grade segments of the same adjectives by the one on which they differ most.

    "most" (or a superlative) is kept for a segment beyond which no sibling lies; otherwise the furthest of a group is
    "very". Groups too large to grade, or without a common adjective, are returned as they are.
    """
    shared = set.intersection(*({t.features for t in draft.descriptors} for draft in group))
    if not shared:
        return group

    def z_of(draft: Draft, key: tuple[str, ...]) -> float:
        return next(t.z for t in draft.descriptors if t.features == key)

    spread = {key: max(z_of(d, key) for d in group) - min(z_of(d, key) for d in group) for key in shared}
    key = max(sorted(spread), key=spread.__getitem__)
    ranked = sorted(group, key=lambda draft: -z_of(draft, key))
    is_extreme = next(t.is_extreme for t in ranked[0].descriptors if t.features == key)
    grades = {2: ["very", "fairly"], 3: ["very", "", "fairly"]}
    if is_extreme:
        grades = {2: ["most", "fairly"], 3: ["most", "", "fairly"], 4: ["most", "very", "", "fairly"]}
    if len(group) not in grades:
        return group
    lead = [
        replace(d, descriptors=tuple(sorted(d.descriptors, key=lambda t: t.features != key)), level=level)
        for d, level in zip(ranked, grades[len(group)], strict=True)
    ]
    return lead if len({draft.key for draft in lead}) == len(lead) else group


def value_range(draft: Draft, group: list[Draft], axis: Axis, description: pd.DataFrame) -> Draft:
    """Add the range of values that eight in ten members have on the feature on which a group differs most."""
    rows = [member.row for member in group]
    features = described_features(axis, description)
    z = description[[f"z:{f.name}" for f in features]].iloc[rows].fillna(0.0).to_numpy(dtype=float)
    feature = features[int(np.argmax(np.ptp(z, axis=0)))]
    low, high = (float(description[f"{q}:{feature.name}"].iloc[draft.row]) for q in ("q10", "q90"))
    factor, unit = (100, "percent") if feature.unit == "share" else (1, feature.unit)
    numbers = "_to_".join(dict.fromkeys(_spell(factor * value) for value in (low, high)))
    plain = "" if unit in ("money", "index") else f"_{slug(unit)}"
    whole = replace(draft, level="", suffix=numbers + plain)
    return whole if whole.fits else replace(whole, suffix=numbers)


def _spell(value: float) -> str:
    """Write a number so that it can stand in a name.

    >>> _spell(2.43), _spell(-1240)
    ('2_4', 'minus_1240')
    """
    text = format_number(value).replace(",", "")
    return ("minus_" if text.startswith("-") else "") + slug(text)
