"""The smallest change that moves a customer to another segment of an axis, among orders and tickets that may come.

Belongs here: which changes are tried, in which order, and what counts as moved. Does not: what a change does to the
data (``changes``), features and distances, which are measured and scored as everybody's are.

A change moves a customer if the segment nearest to them afterwards is another one than now, and would be the one of now
on the same day without it. Fewer orders are a smaller change; then what lies nearer to how they buy
(``changes.RELEVANT``), then what is done sooner. What leads away from what a segment is named for, beside the same day
without it, is not told as the way there, though other features outweigh it: weekdays make nobody a weekend shopper.
Where time alone moves them that is said besides.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import Features, measure
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.scaling import clean
from quimbi_assets.explanation.changes import RELEVANT, Change, Past
from quimbi_assets.history import History
from quimbi_assets.naming.descriptors import NOISE
from quimbi_assets.naming.values import clock_pairs
from quimbi_assets.profiles.scores import AxisScores, score_features

WEEKLY, MONTHLY = 7, 30
NUMBERS: Mapping[int, tuple[int, ...]] = {WEEKLY: (1, 2, 3, 5, 8, 12), MONTHLY: (2, 4, 6)}
"""How many orders are tried first, by the days between them; what lies between is tried where it may be smaller."""
SILENCES = (7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)
"""Days without an order that are tried; the days between where it may be fewer."""


HORIZONS = sorted({n * every for every, numbers in NUMBERS.items() for n in range(1, max(numbers) + 1)})
"""Days of all changes: within which customers of a store are counted."""
USUAL_SHARE = 0.95
"""Of those who do any of it, how many do no more: more than that is not told as something to do."""


@dataclass(frozen=True)
class Scored:
    """Features and scores, by some models, of the histories that changes make, these in their order."""

    changes: Sequence[Change]
    features: Mapping[str, pd.DataFrame]
    scores: Mapping[str, AxisScores]
    models: Mapping[str, AxisModel]

    def segments(self, axis: str) -> NDArray[np.intp]:
        """Return the position of the segment that each change leads to, shape (n,); -1 where there is no order yet."""
        placed = np.full(len(self.changes), -1, dtype=np.intp)
        placed[self.scores[axis].customers.astype(int)] = self.scores[axis].dominant
        return placed

    def apart(self, axis: str) -> NDArray[np.float64]:
        """Return how far each change leaves them from each segment by what names it, scaled units, shape (n, k).

        NaN where there is no order yet.
        """
        model = self.models[axis]
        values = self.features[axis][model.features_].to_numpy(dtype=np.float64, na_value=np.nan)
        scaled, centers = model.scaled(clean(values)), model.cluster_centers_
        distances = np.full((len(self.changes), len(centers)), np.nan)
        for segment in range(len(centers)):
            names = naming_features(model, segment)
            away = scaled[:, names] - centers[segment, names]
            distances[self.scores[axis].customers.astype(int), segment] = np.linalg.norm(away, axis=1)
        return distances


@dataclass(frozen=True)
class Move:
    """What moves a customer on an axis: the change, and the id of the segment it leads to."""

    change: Change
    segment: str


@dataclass(frozen=True)
class AxisMoves:
    """The smallest change by what a customer can do, and the shortest silence, that move them; None: nothing tried.

    ``beyond``: the smallest that would, of more than nearly all customers do in that time, where none is smaller.
    """

    change: Move | None
    waiting: Move | None
    beyond: Move | None = None


def naming_features(model: AxisModel, segment: int) -> list[int]:
    """Return the columns of the feature, or clock angle, that tells a segment best from the others that no state makes.

    So rules name it (``naming.rule_names``).
    """
    others = [place for place in range(len(model.segment_ids_)) if place != segment]
    siblings = [place for place in others if model.structural_[place] is None] or others
    contrast = model.cluster_centers_[segment] - model.cluster_centers_[siblings].mean(axis=0)
    features = list(model.features_)
    pairs = [[features.index(name) for name in pair] for pair in clock_pairs(features).values()]
    alone = [[place] for place in range(len(features)) if not any(place in pair for pair in pairs)]
    return max([*alone, *pairs], key=lambda columns: float(np.linalg.norm(contrast[columns])))


def score_history(
    history: History, models: Mapping[str, AxisModel], past: Past
) -> tuple[Features, dict[str, AxisScores]]:
    """Measure and score the customers of a small history as everybody is."""
    features = Features(measure(history, models, recorded=past.recorded, reference=past.reference))
    return features, score_features(features, models)


def score_changes(past: Past, models: Mapping[str, AxisModel], changes: Sequence[Change]) -> Scored:
    """Measure and score what changes make of a customer, all at once."""
    return Scored(changes, *score_history(past.with_changes(changes), models, past), models)


def tried_changes(past: Past, axes: Sequence[str]) -> list[Change]:
    """Return what is tried first: the present, silences as long as any change takes, and orders of every kind."""
    orders = [
        Change.of(kind.name, n, every)
        for kind in past.possible(axes)
        for every, numbers in NUMBERS.items()
        for n in sorted({min(n, past.most(kind)) for n in numbers})
        if n >= numbers[0]
    ]
    days = sorted({0, *SILENCES, *(change.days for change in orders)})
    return [*map(Change.waiting, days), *orders]


def smallest_moves(
    past: Past, models: Mapping[str, AxisModel], axes: Sequence[str], scored: Scored
) -> dict[str, AxisMoves]:
    """Return by axis what moves a customer, given the scores of ``tried_changes``.

    Where fewer orders or days may do than were tried, those are tried too.
    """
    moves = {axis: first_moves(axis, models[axis], scored, past) for axis in axes}
    more = finer_changes(moves, scored)
    if not more:
        return moves
    again = {axis: models[axis] for axis in more}
    finer = score_changes(past, again, with_silences(more))
    return moves | {
        axis: smaller(axis, moves[axis], first_moves(axis, model, finer, past)) for axis, model in again.items()
    }


def finer_changes(moves: Mapping[str, AxisMoves], scored: Scored) -> dict[str, list[Change]]:
    """Return by axis what may be smaller than the moves and was not tried; axes of which there is nothing left out."""
    numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
    for change in scored.changes:
        numbers[change.kind, change.every].append(change.n)
    more = {axis: [*_fewer(axis, one, scored, numbers), *_sooner(one, scored)] for axis, one in moves.items()}
    return {axis: changes for axis, changes in more.items() if changes}


def with_silences(more: Mapping[str, Sequence[Change]]) -> list[Change]:
    """Return the changes of all axes, each once, after the present and the silences that they are compared with."""
    changes = [change for some in more.values() for change in some]
    silent = [Change.waiting(days) for days in sorted({0, *(change.days for change in changes)})]
    return list(dict.fromkeys([*silent, *changes]))


def first_moves(axis: str, model: AxisModel, scored: Scored, past: Past) -> AxisMoves:
    """Return the smallest of the changes that were scored; more than nearly all do counts as beyond reach."""
    now = _silent(axis, scored)
    present, ids = now[0], model.segment_ids_
    waits = sorted(days for days, segment in now.items() if days > 0 and segment != present)
    acts = [(_size(axis, change), change, segment) for change, segment in _moving(axis, scored, now)]
    acts.sort(key=lambda act: act[0])
    first = next((act for act in acts if past.is_attainable(act[1])), None)
    return AxisMoves(
        None if first is None else Move(first[1], ids[first[2]]),
        Move(Change.waiting(waits[0]), ids[now[waits[0]]]) if waits else None,
        Move(acts[0][1], ids[acts[0][2]]) if acts and first is None else None,
    )


def _silent(axis: str, scored: Scored) -> dict[int, np.intp]:
    """Return the position of a customer's segment by days without an order."""
    pairs = zip(scored.changes, scored.segments(axis), strict=True)
    return {change.days: segment for change, segment in pairs if not change.kind}


def _moving(axis: str, scored: Scored, now: Mapping[int, np.intp]) -> list[tuple[Change, np.intp]]:
    """Return the changes that bear on an axis and move the customer, by what names where they lead, and where to."""
    relevant, apart = RELEVANT.get(axis, ("again",)), scored.apart(axis)
    silent = {change.days: place for place, change in enumerate(scored.changes) if not change.kind}
    return [
        (change, segment)
        for place, (change, segment) in enumerate(zip(scored.changes, scored.segments(axis), strict=True))
        if change.kind in relevant and segment != now[0] and now[change.days] == now[0]
        if apart[place, segment] <= apart[silent[change.days], segment] + NOISE
    ]


def _size(axis: str, change: Change) -> tuple[int, int, int]:
    return change.n, RELEVANT.get(axis, ("again",)).index(change.kind), change.days


def _fewer(
    axis: str, moves: AxisMoves, scored: Scored, numbers: Mapping[tuple[str, int], Sequence[int]]
) -> list[Change]:
    """Return what is smaller than the change that moves them, of each kind between one that does and the one before."""
    act = moves.change or moves.beyond
    if act is None:
        return []
    least: dict[tuple[str, int], int] = {}
    for change, _ in _moving(axis, scored, _silent(axis, scored)):
        series = change.kind, change.every
        least[series] = min(change.n, least.get(series, change.n))
    between = [
        Change.of(kind, n, every)
        for (kind, every), most in least.items()
        for n in _gap([int(every != WEEKLY), *numbers[kind, every]], most)
    ]
    smallest = _size(axis, act.change)
    return [change for change in between if _size(axis, change) < smallest]


def _sooner(moves: AxisMoves, scored: Scored) -> list[Change]:
    """Return the silences shorter than the one that moves them, down to the next that was tried."""
    if moves.waiting is None:
        return []
    tried = sorted({max(change.days, 0) for change in scored.changes if not change.kind})
    return [Change.waiting(days) for days in _gap(tried, moves.waiting.change.days)]


def _gap(tried: Sequence[int], number: int) -> range:
    """Return the numbers between one and the last tried before it.

    >>> list(_gap([0, 6, 8, 10], 10)), list(_gap([0, 1, 2], 2))
    ([9], [])
    """
    before = next(low for low, high in pairwise(sorted(tried)) if high == number)
    return range(before + 1, number)


def smaller(axis: str, one: AxisMoves, other: AxisMoves) -> AxisMoves:
    """Return the smaller change and the shorter silence of two searches."""
    acts = [move for move in (one.change, other.change) if move is not None]
    waits = [move for move in (one.waiting, other.waiting) if move is not None]
    far = [move for move in (one.beyond, other.beyond) if move is not None and not acts]
    return AxisMoves(
        min(acts, key=lambda move: _size(axis, move.change), default=None),
        min(waits, key=lambda move: move.change.days, default=None),
        min(far, key=lambda move: _size(axis, move.change), default=None),
    )
