"""An axis's segments as a language model is told of them: meanings, units and rounded numbers, all of our own making.

Belongs here: what leaves the house, and its digest. Does not: the text around it (``asking``). Never a customer id, a
store's name, or a word from the store's files: product titles and categories are a way in for injected instructions.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Axis, Feature
from quimbi_assets.naming.descriptors import MINORITY, judged_share
from quimbi_assets.naming.segment_statistics import described_features
from quimbi_assets.naming.values import clock_pairs, format_hour, mean_hour

STATISTICS = {
    "mean": "centre",
    "median": "q50",
    "lowest_tenth_below": "q10",
    "highest_tenth_above": "q90",
    "average_customer": "population",
    "typical_customer": "population_q50",
}
"""What each feature is told by, and where ``describe_segments`` has it."""


@dataclass(frozen=True)
class AxisBrief:
    """One axis and its k segments, ready to be told.

    ``description`` (from ``describe_segments``) and ``rule_made`` (from ``name_segments``) have a row a segment, in one
    order. ``fixed`` names stay: declared for a state, set by a person, or kept. A ``currency`` that is no ISO code is
    not told.
    """

    axis: Axis
    description: pd.DataFrame = field(repr=False)
    rule_made: pd.DataFrame = field(repr=False)
    currency: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Segment ids, in order."""
        return [str(segment) for segment in self.description["segment_id"]]

    @property
    def declared(self) -> dict[str, str]:
        """Declared name by id of the segments that are a state."""
        return {s: n for s, n in zip(self.ids, self.description["structural"], strict=True) if isinstance(n, str)}

    @property
    def labels(self) -> dict[str, str]:
        """Letter by segment id: what segments are called while they have no name."""
        return dict(zip(self.ids, ascii_uppercase, strict=False))

    @property
    def features(self) -> list[Feature]:
        """Clustering features that are described, clock coordinates among them."""
        return described_features(self.axis, self.description)

    @property
    def clock(self) -> tuple[str, str] | None:
        """Names of the clock angle's sine and cosine; they are told as a time of day."""
        return next(iter(clock_pairs([f.name for f in self.features]).values()), None)

    @property
    def counted(self) -> list[Feature]:
        """The other described features, which are told by numbers."""
        return [f for f in self.features if f.name not in (self.clock or ())]

    def facts(self) -> dict[str, Any]:
        """Return everything that is told of the axis, JSON-able, rounded."""
        distances = self._distances()
        return {
            "axis": self.axis.name,
            "question": self.axis.question,
            "customers_are_called": self.axis.people,
            "currency": self.currency if re.fullmatch("[A-Z]{3}", self.currency) else None,
            "features": [
                {"feature": f.name, "meaning": f.meaning, "unit": "%" if f.unit == "share" else f.unit}
                for f in self.counted
            ],
            "segments": [
                {"segment": label, **self.segment_facts(row), "distance_to": distances[row]}
                for row, label in enumerate(self.labels.values())
            ],
        }

    def segment_facts(self, row: int) -> dict[str, Any]:
        """Return the numbers of one segment, with its state where it is declared by one."""
        segment, k = self.description.iloc[row], len(self.description)
        scale = {f.name: 100.0 if f.unit == "share" else 1.0 for f in self.counted}
        numbers: dict[str, dict[str, Any]] = {
            f.name: {name: rounded(scale[f.name] * segment[f"{stat}:{f.name}"]) for name, stat in STATISTICS.items()}
            | {"rank": f"{segment[f'rank:{f.name}']:.0f} of {k}" if pd.notna(segment[f"rank:{f.name}"]) else None}
            for f in self.counted
        }
        states = [s.meaning for s in self.axis.structural if s.name == segment["structural"]]
        return {
            "share_percent": rounded(segment["population_percentage"]),
            "is_minority": judged_share(self.description, row) <= MINORITY,
            **({"time_of_day": self._hours(segment)} if self.clock else {}),
            **({"all_of_them": states[0]} if states else {}),
            "numbers": numbers,
        }

    def digest(self, model: str, prompt_version: str) -> str:
        """Return the SHA-256 of all that is told, with segment ids, model and prompt version; names do not count."""
        contents = {"facts": self.facts(), "ids": self.ids, "model": model, "prompt": prompt_version}
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()

    def _hours(self, segment: pd.Series) -> dict[str, str | None]:
        points = (("segment", "centre"), ("average_customer", "population"))
        hours = {who: mean_hour(segment, stat, self.clock or ()) for who, stat in points}
        return {who: format_hour(hour) if np.isfinite(hour) else None for who, hour in hours.items()}

    def _distances(self) -> list[dict[str, float | None]]:
        """Distance of every two centres in scaled units, by letter."""
        z = self.description[[f"z:{f.name}" for f in self.features]].to_numpy(dtype=float)
        between = np.sqrt(np.nansum((z[:, None, :] - z[None, :, :]) ** 2, axis=2))
        letters = list(self.labels.values())
        return [
            {other: rounded(d, 2) for j, (other, d) in enumerate(zip(letters, row, strict=True)) if j != i}
            for i, row in enumerate(between)
        ]


def rounded(value: float, digits: int = 3) -> float | None:
    """Round to significant digits; None for what is undefined.

    >>> rounded(0.031249), rounded(1234.5), rounded(float("nan"))
    (0.0312, 1230.0, None)
    """
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None
