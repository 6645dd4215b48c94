"""Archetypes: customers who are alike on several axes at once.

Level 1 is the dominant segment of each axis (the column ``dominant_segments``); level 2 a combination of dominant
segments that carries people, under one id; level 3 the fingerprint (``fingerprint``), which no longer rounds to
segments.

Belongs here: the id of a combination, and which of the kept combinations a customer belongs to. Does not: which
combinations are kept (``archetype_choice``), their names (``archetype_rows``).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quimbi_assets.profiles.scores import AxisScores

ID_BYTES = 6
TINY = 1e-300
"""Least membership that is told from none: keeps its logarithm finite."""
MOST_ROWS = 2_048
"""Customers compared with all archetypes at a time."""


def archetype_id(dominant: Mapping[str, str]) -> str:
    """Return the id of one combination of dominant segments, segment id by axis in any order.

    ``a`` and 12 hexadecimal digits: BLAKE2b of the sorted ``axis=segment_id`` lines. The same combination has the same
    id in every run and on every machine.

    >>> archetype_id({"value": "value_2", "frequency": "frequency_1"})
    'a9fcf72922324'
    """
    pairs = "\n".join(sorted(f"{axis}={segment}" for axis, segment in dominant.items()))
    return "a" + hashlib.blake2b(pairs.encode(), digest_size=ID_BYTES).hexdigest()


@dataclass(frozen=True)
class ArchetypeSet:
    """The combinations of segments that are kept as archetypes: one or more, each one segment id an axis, no two alike.

    Without axes, all customers are of one archetype.
    """

    axes: tuple[str, ...]
    segments: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Refuse what is no set of combinations over the axes."""
        if not self.segments or any(len(row) != len(self.axes) for row in self.segments):
            raise ValueError("every archetype names one segment of each of its axes")
        if len(set(self.segments)) < len(self.segments):
            raise ValueError("two archetypes are the same combination")

    def traits(self) -> list[dict[str, str]]:
        """Return the segment id by axis of every archetype."""
        return [dict(zip(self.axes, row, strict=True)) for row in self.segments]

    def ids(self) -> list[str]:
        """Return the id of every archetype."""
        return [archetype_id(traits) for traits in self.traits()]

    def assign(self, scores: Mapping[str, AxisScores]) -> NDArray[np.intp]:
        """Return the archetype of every customer, as position in ``segments``, shape (n,).

        An axis of the set that was not scored is not looked at; a segment that the scores do not have is a ValueError.

        Notes
        -----
        The distance of a customer to an archetype is ``sum_axes log(m_top / m_archetype)``: 0 for their own
        combination, and the more an axis adds the surer they are of another segment. The nearest archetype is
        the one with the highest product of memberships; of equals, the first.
        """
        known = [axis for axis in self.axes if axis in scores]
        places = {axis: {segment: i for i, segment in enumerate(scores[axis].segment_ids)} for axis in known}
        columns = [self.axes.index(axis) for axis in known]
        unknown = {row[j] for row in self.segments for j in columns if row[j] not in places[self.axes[j]]}
        if unknown:
            raise ValueError(f"archetypes name segments that no model has: {', '.join(sorted(unknown))}")
        codes = np.array([[places[self.axes[j]][row[j]] for j in columns] for row in self.segments], dtype=np.intp)
        n = len(next(iter(scores.values())).customers)
        return nearest([log_memberships(scores[axis]) for axis in known], codes, n)[0]

    def ids_of(self, scores: Mapping[str, AxisScores]) -> NDArray[np.object_]:
        """Return the archetype id of every customer, shape (n,)."""
        return np.array(self.ids(), dtype=object)[self.assign(scores)]


def log_memberships(scores: AxisScores) -> NDArray[np.float64]:
    """Return the logarithms of memberships, shape (n, k), finite and at most 0."""
    return np.asarray(np.log(np.maximum(scores.memberships, TINY)), dtype=np.float64)


def nearest(
    logs: Sequence[NDArray[np.float64]], codes: NDArray[np.intp], n: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return for each customer the combination with the highest product of memberships, and its logarithm.

    ``logs``: logarithms of memberships by axis, shapes (n, k_axis); ``codes``, shape (n_combinations, n_axes): position
    of the segment on each axis, one combination or more. Without axes everybody is of the first.

    Notes
    -----
    Axis by axis rather than as a matrix product: a customer's result then does not depend, even in its last bit, on
    who else is scored with them.
    """
    position, best = np.zeros(n, dtype=np.intp), np.zeros(n)
    for start in range(0, n if logs else 0, MOST_ROWS):
        rows = slice(start, min(start + MOST_ROWS, n))
        # Combinations by customers: every addition runs along memory, in blocks that fit a cache (half the time).
        total = np.zeros((len(codes), rows.stop - start))
        for j, log in enumerate(logs):
            total += np.ascontiguousarray(log[rows].T)[codes[:, j]]
        position[rows] = np.argmax(total, axis=0)
        best[rows] = total[position[rows], np.arange(total.shape[1])]
    return position, best


def combination_codes(dominant: Sequence[NDArray[np.intp]], sizes: Sequence[int]) -> NDArray[np.intp]:
    """Number the combinations of positions on several axes: equal customers get equal numbers, shape (n,)."""
    code = np.zeros(len(dominant[0]), dtype=np.intp)
    for positions, size in zip(dominant, sizes, strict=True):
        # Renumbered after every axis, so that no number of axes can overflow.
        code = np.unique(code * size + positions, return_inverse=True)[1]
    return code
