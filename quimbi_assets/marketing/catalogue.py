"""The catalogue of actions: what to do about a group of customers, out of a file that people can edit.

Belongs here: reading and checking it, and the choice for a group or a segment. Does not: acting.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import BOUGHT_ONCE, ONE_TIME_BUYERS
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError
from quimbi_assets.marketing.groups import GROUPINGS
from quimbi_assets.naming.name_builder import declared_words, is_usual

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
STANDS_OUT = 0.5
"""Standard deviations from the store's average, from which a segment stands out in a feature."""


class Action(NamedTuple):
    """Something to do: an id to script against, and words."""

    id: str
    words: str


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str
    of: str
    do: str
    group: str | None = None
    words: tuple[str, ...] = ()
    feature: str | None = None
    side: Literal["high", "low"] | None = None


class Catalogue:
    """Chooses one action for a group."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries = entries

    @classmethod
    def read(cls, path: Path | None = None) -> "Catalogue":
        """Read a catalogue, the one that comes along by default; BadInputError names what is wrong and where."""
        path = path or CATALOGUE
        try:
            record = yaml.safe_load(path.read_text())
            entries = [_Entry.model_validate(entry) for entry in record["actions"]]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
            raise BadInputError(f"{path}: no list of actions: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise BadInputError(f"{path}: action {first['input']!r}: {place}: {first['msg']}") from error
        for entry in entries:
            _check(path, entry)
        return cls(entries)

    def of_group(self, grouping: str, group: str) -> Action | None:
        """Return the action for a group of a grouping; None if the catalogue has none."""
        fitting = (entry for entry in self._entries if entry.of == grouping and entry.group == group)
        return next((Action(entry.id, entry.do) for entry in fitting), None)

    def of_segments(
        self, model: AxisModel, shares: NDArray[np.float64], names: Sequence[str] = ()
    ) -> list[Action | None]:
        """Return the action for each segment of an axis, given the shares of customers, shape (k,), in the segments.

        It follows the words of a segment's name, if those are the axis's; else what stands out in the segment.
        """
        centres = np.asarray(model.cluster_centers_)
        distance = np.nan_to_num(centres - np.nan_to_num(shares @ np.nan_to_num(centres)))
        by_feature = [dict(zip(model.features_, row, strict=True)) for row in distance.tolist()]
        called = list(names) or [""] * len(by_feature)
        of_each = zip(model.structural_, called, by_feature, strict=True)
        return [self._of_segment(model.axis, *one) for one in of_each]

    def _of_bought_once(self, state: str) -> Action | None:
        is_so = state in {one.name for one in BOUGHT_ONCE}
        return self.of_group("purchase_frequency", ONE_TIME_BUYERS.name) if is_so else None

    def _of_segment(self, axis: str, state: str | None, name: str, distance: Mapping[str, float]) -> Action | None:
        entries = [entry for entry in self._entries if entry.of == axis]
        if state is not None and (action := self.of_group(axis, state) or self._of_bought_once(state)):
            return action
        words = set(declared_words(AXES[axis], name)) if axis in AXES else set()
        if any(entry.words for entry in entries) and (words or is_usual(axis, name)):
            entry = next((one for one in entries if words.intersection(one.words)), None)
        else:
            signed = [(_signed(entry, distance), entry) for entry in entries if entry.feature in distance and not state]
            far, entry = max(signed, key=lambda one: one[0], default=(0.0, None))
            entry = entry if far >= STANDS_OUT else None
        entry = entry or next((one for one in entries if not (one.feature or one.group or one.words)), None)
        return None if entry is None else Action(entry.id, entry.do)


def _signed(entry: _Entry, distance: Mapping[str, float]) -> float:
    return distance[str(entry.feature)] * (1 if entry.side == "high" else -1)


def _check(path: Path, entry: _Entry) -> None:
    known: dict[str, Any] = {**GROUPINGS, **{name: [s.name for s in axis.structural] for name, axis in AXES.items()}}
    if entry.of not in known:
        raise BadInputError(f"{path}: action {entry.id}: of: {entry.of} is neither {', '.join(GROUPINGS)} nor an axis")
    if entry.group is not None and entry.group not in known[entry.of]:
        raise BadInputError(f"{path}: action {entry.id}: {entry.of} has no group {entry.group}: {known[entry.of]}")
    declared = AXES[entry.of].clustering_features if entry.of in AXES else ()
    features, words = [f.name for f in declared], {word.text for f in declared for word in f.words}
    if strange := [word for word in entry.words if word not in words]:
        raise BadInputError(
            f"{path}: action {entry.id}: no segment of {entry.of} is called {strange[0]}: {', '.join(sorted(words))}"
        )
    if entry.feature is not None and (entry.feature not in features or entry.side is None):
        raise BadInputError(
            f"{path}: action {entry.id}: give a feature of {entry.of} ({', '.join(features)}) and a side, high or low"
        )
