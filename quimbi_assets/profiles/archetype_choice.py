"""Which combinations of segments are kept as archetypes: as many as carry people, on the axes that tell most.

Over all active axes nearly every customer is a combination of their own (measured: 1,979 combinations of 4,266
customers), and moving them to the few common ones would misplace most. So axes are taken in one after another, as long
as the archetypes stay few, populous and true; ``docs/adr/0007-archetypes.md`` has the figures.

Belongs here: the choice, and its bounds. Does not: assigning customers (``archetypes``), names (``archetype_rows``).
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quimbi_assets.engines import cores
from quimbi_assets.profiles.archetypes import ArchetypeSet, combination_codes, log_memberships, nearest
from quimbi_assets.profiles.fingerprint import axis_order
from quimbi_assets.profiles.scores import AxisScores

Array = NDArray[np.float64]
Positions = NDArray[np.intp]

MOST_ARCHETYPES = 250
FEWEST_CUSTOMERS = 30
FEWEST_SHARE = 0.001
MOST_LOSS = 0.2
"""Part of the median product of top memberships that moving rare combinations may cost."""
# Assumption: a new archetype enters a quarter above the floor and one that was kept before leaves below the floor only;
# the axes stay while they tell at least nine tenths of what the best choice of this week would.
ENTRY = 1.25
LOYALTY = 0.9


@dataclass(frozen=True)
class ArchetypeChoice:
    """The kept archetypes, who is of which (``position``, shape (n,)), how many of each, and whether the bounds hold.

    ``retained``: median product of memberships in the archetype's segments, over the same with everybody in their own
    combination; at most 1. ``information``: bits the archetype tells about the segments of all eligible axes.
    ``held``: by archetype, of each eligible axis the segment, as (axis, id), that most of its customers are dominant
    in, and the share, 0-1, of them: where a rare combination joined, a trait need not be true of everybody.
    """

    kept: ArchetypeSet
    position: Positions
    counts: Positions
    floor: int
    retained: float
    information: float
    held: tuple[Mapping[tuple[str, str], float], ...]

    def of_everybody(self, counts: Mapping[str, int]) -> "ArchetypeChoice":
        """Return the same choice with the customers of each archetype, by its id, in the whole store."""
        return replace(self, counts=np.array([counts.get(i, 0) for i in self.kept.ids()], dtype=np.intp))

    @property
    def within_bounds(self) -> bool:
        """Whether archetypes are few, each at or above its floor, and true to their customers."""
        alone = len(self.counts) == 1
        populous = alone or bool(self.counts.min() >= self.floor)
        return len(self.counts) <= MOST_ARCHETYPES and populous and self.retained >= 1 - MOST_LOSS


def population_floor(n: int) -> int:
    """Return the fewest customers that make an archetype of a store with ``n`` customers.

    >>> population_floor(4_266), population_floor(94_686)
    (30, 95)
    """
    return max(FEWEST_CUSTOMERS, int(np.ceil(FEWEST_SHARE * n)))


def choose_archetypes(
    scores: Mapping[str, AxisScores], previous: ArchetypeSet | None = None, eligible: Iterable[str] | None = None
) -> ArchetypeChoice:
    """Choose the archetypes of a store, within their bounds; one archetype of all where no combination is.

    The scores are of the active axes, all of the same customers; the ``eligible`` axes may shape archetypes, such as
    those whose segments are not weak (all by default, and where fewer than two are). What was kept until now,
    ``previous``, changes only where it must.

    Notes
    -----
    Greedy: of the axes that keep the bounds, the one whose archetypes share most information with the segments of
    all eligible axes (mutual information, corrected for small counts) comes next, until none adds any. An axis that
    another one implies is thereby left out: it is known already.
    """
    eligible = set(scores if eligible is None else eligible)
    names = [axis for axis in scores if axis in eligible]
    population = _Population({axis: scores[axis] for axis in (names if len(names) > 1 else scores)})
    best = population.undivided()
    with ThreadPoolExecutor(cores()) as pool:
        while grown := population.grown(best, pool):
            candidate = max(grown, key=lambda choice: choice.information)
            if candidate.information <= best.information:
                break
            best = candidate
    # Chosen as if for the first time, then compared with what there was: the axes do not change for a trifle.
    if previous is None or not set(previous.axes) <= set(population.axes):
        return population.with_held(best)
    same = population.choice(previous.axes, previous)
    stay = same is not None and same.within_bounds and same.information >= LOYALTY * best.information
    return population.with_held(same if stay and same is not None else best)


class _Population:
    """The customers of a store on several axes."""

    def __init__(self, scores: Mapping[str, AxisScores]) -> None:
        self.scores = scores
        self.axes = list(scores)
        self.dominant = {axis: score.dominant for axis, score in scores.items()}
        self.logs = {axis: log_memberships(score) for axis, score in scores.items()}
        self.n = len(next(iter(self.dominant.values())))
        self.floor = population_floor(self.n)

    def undivided(self) -> ArchetypeChoice:
        """Return one archetype for all."""
        everybody, counts = np.zeros(self.n, dtype=np.intp), np.array([self.n])
        return ArchetypeChoice(ArchetypeSet((), ((),)), everybody, counts, self.floor, 1.0, 0.0, ())

    def grown(self, base: ArchetypeChoice, pool: Executor) -> list[ArchetypeChoice]:
        """Return, axis by axis, the archetypes over one more axis that keep the bounds."""
        more = [axis for axis in self.axes if axis not in base.kept.axes]
        choices = pool.map(lambda axis: self.choice((*base.kept.axes, axis)), more)
        return [choice for choice in choices if choice is not None and choice.within_bounds]

    def choice(self, axes: Sequence[str], previous: ArchetypeSet | None = None) -> ArchetypeChoice | None:
        """Keep the combinations over some axes that carry people; None if none does."""
        if not axes:
            return self.undivided()
        axes = axis_order(axes)
        sizes = [len(self.scores[axis].segment_ids) for axis in axes]
        combination = combination_codes([self.dominant[axis] for axis in axes], sizes)
        _, first, counts = np.unique(combination, return_index=True, return_counts=True)
        codes = np.column_stack([self.dominant[axis][first] for axis in axes])
        known = set() if previous is None else set(previous.segments)
        was = np.array([row in known for row in self._segments(axes, codes)], dtype=bool)
        candidates = np.flatnonzero(was | (counts >= (self.floor if previous is None else ENTRY * self.floor)))
        largest = np.argsort(-counts[candidates] * np.where(was[candidates], ENTRY, 1), kind="stable")
        codes = codes[candidates[largest[:MOST_ARCHETYPES]]]
        # In the order of their ids, which does not depend on the model's: of equally near ones the first is taken.
        ids = self._segments(axes, codes)
        codes = codes[sorted(range(len(ids)), key=ids.__getitem__)]
        return self._populated(tuple(axes), codes) if len(codes) else None

    def _segments(self, axes: Sequence[str], codes: Positions) -> list[tuple[str, ...]]:
        ids = [self.scores[axis].segment_ids for axis in axes]
        return [tuple(of_axis[i] for of_axis, i in zip(ids, row, strict=True)) for row in codes.tolist()]

    def _populated(self, axes: tuple[str, ...], codes: Positions) -> ArchetypeChoice:
        """Assign everybody; while an archetype is below the floor, its smallest gives its customers to the others."""
        logs = [self.logs[axis] for axis in axes]
        position, best = nearest(logs, codes, self.n)
        while (counts := np.bincount(position, minlength=len(codes))).min() < self.floor and len(codes) > 1:
            smallest = int(np.argmin(counts))
            codes = np.delete(codes, smallest, axis=0)
            moved = position == smallest
            position = position - (position > smallest)
            position[moved], best[moved] = nearest([log[moved] for log in logs], codes, int(moved.sum()))
        before = np.sum([log.max(axis=1) for log in logs], axis=0)
        retained = float(np.median(np.exp(best)) / np.median(np.exp(before)))
        information = sum(shared_bits(position, self.dominant[axis]) for axis in self.axes)
        archetypes = ArchetypeSet(axes, tuple(self._segments(axes, codes)))
        return ArchetypeChoice(archetypes, position, counts, self.floor, retained, information, ())

    def with_held(self, choice: ArchetypeChoice) -> ArchetypeChoice:
        """Add to a choice which segments its archetypes' customers are dominant in."""
        n = len(choice.counts)
        held: list[dict[tuple[str, str], float]] = [{} for _ in range(n)]
        for axis in self.axes:
            ids = self.scores[axis].segment_ids
            code = choice.position * len(ids) + self.dominant[axis]
            shares = np.bincount(code, minlength=n * len(ids)).reshape(n, -1) / choice.counts[:, None]
            for of_one, row in zip(held, shares, strict=True):
                of_one[axis, ids[int(np.argmax(row))]] = float(row.max())
        return replace(choice, held=tuple(held))


def shared_bits(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Return the mutual information in bits of two groupings of n customers, 1 or more, numbered from 0.

    About 0 (also just below) for independent groupings, the entropy of a grouping for itself.

    Notes
    -----
    ``sum p_ij log2(p_ij / (p_i p_j))``, less its expected excess in a small sample,
    ``(r - 1)(c - 1) / (2 n ln 2)`` for r and c groups that occur.

    References
    ----------
    G. Miller, Note on the bias of information estimates (1955).

    >>> same = np.repeat([0, 1], 5_000)
    >>> round(shared_bits(same, same), 3)
    1.0
    """
    table = np.bincount(one * (other.max() + 1) + other, minlength=(one.max() + 1) * (other.max() + 1))
    shares = table.reshape(one.max() + 1, -1) / len(one)
    rows, columns = shares.sum(axis=1, keepdims=True), shares.sum(axis=0, keepdims=True)
    seen = shares > 0
    bits = np.sum(shares[seen] * np.log2(shares[seen] / (rows @ columns)[seen]))
    excess = (np.count_nonzero(rows) - 1) * (np.count_nonzero(columns) - 1) / (2 * len(one) * np.log(2))
    return float(bits - excess)
