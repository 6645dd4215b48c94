"""The fingerprint: a customer's distances to the centres of all segments of all active axes, as one vector.

How to read it: axes follow one another in the order of ``axis_order``, and within an axis its segments follow
in the model's order (``<axis>_1``, ``<axis>_2``, ...); position 0 is the distance to the first segment of the
first axis. Two customers are alike where the Euclidean distance of their fingerprints is small. Positions are
comparable between customers profiled by the same ``model_versions`` only.

Belongs here: order, layout, and the customers nearest by it. Does not: distances themselves (``scores``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axes import AXES

ROUNDING = 2 * np.finfo(np.float32).eps
"""Of each term of a sum in single precision, by how much of it the sum can be wrong; twice what it is."""


def axis_order(names: Iterable[str]) -> list[str]:
    """Put axes in the one order used everywhere: that of the registry, then unknown ones alphabetically.

    >>> axis_order(["zeta", "return_behavior", "alpha", "purchase_value"])
    ['purchase_value', 'return_behavior', 'alpha', 'zeta']
    """
    known = {name: position for position, name in enumerate(AXES)}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))


def fingerprints(distances: Sequence[NDArray[np.float64]]) -> pa.ListArray:
    """Join distances of all axes, shapes (n, k_axis) in the order of ``axis_order``, into one vector a customer."""
    joined = np.hstack(distances).astype(np.float32)
    n, width = joined.shape
    return pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * np.int32(width), pa.array(joined.ravel()))


@dataclass(frozen=True)
class Neighbour:
    """A customer beside another: how far their fingerprints are apart, and how alike that is in this store."""

    customer_id: str
    distance: float
    """Euclidean, >= 0."""
    likeness: float
    """0-1: 1 where both are the same, 0 where they are no nearer than half of the store's customers are."""


class Fingerprints:
    """Fingerprints of a store's customers, all made by the same models, to search.

    Every one is compared, in single precision; whoever may be among the nearest, given by how much that can be wrong,
    once more in double: the answer is exact, and takes some 50 ms among a million (``benchmarks/similar.py``).
    """

    SAMPLED = 10_000
    """Customers, evenly spread, by whom the usual distance is told."""

    def __init__(self, customer_ids: pa.StringArray, vectors: NDArray[np.float32]) -> None:
        """``customer_ids``: n different ones; ``vectors``: shape (n, d), in the same order."""
        self.customer_ids, self.vectors = customer_ids, vectors
        self._norms = np.einsum("ij,ij->i", vectors, vectors)

    @property
    def nbytes(self) -> int:
        """Memory that is held."""
        return int(self.vectors.nbytes + self._norms.nbytes + self.customer_ids.nbytes)

    def nearest(self, customer_id: str, n_neighbors: int = 5) -> list[Neighbour]:
        """Return the customers nearest to one, fewer than ``n_neighbors`` where the store has no more.

        Of equally near ones the lower customer id comes first. KeyError if the customer has no fingerprint.

        >>> ids, vectors = pa.array(["ann", "bob", "cem"]), np.array([[0, 0], [3, 4], [0, 1]], dtype=np.float32)
        >>> [(one.customer_id, one.distance) for one in Fingerprints(ids, vectors).nearest("ann", 2)]
        [('cem', 1.0), ('bob', 5.0)]
        """
        row = pc.index(self.customer_ids, pa.scalar(customer_id, self.customer_ids.type)).as_py()
        if row < 0:
            raise KeyError(f"no profile of customer {customer_id}")
        n = min(n_neighbors, len(self.vectors) - 1)
        if n < 1:
            return []
        squares = self._norms + self._norms[row] - 2 * (self.vectors @ self.vectors[row])
        slack = ROUNDING * self.vectors.shape[1] * (self._norms + self._norms[row])
        limit = np.partition(np.delete(squares + slack, row), n - 1)[n - 1]
        rows = np.flatnonzero(squares - slack <= limit)
        rows = rows[rows != row]  # not the customer, though somebody else may be exactly alike
        sample = np.delete(squares, row)[:: max(len(squares) // self.SAMPLED, 1)]
        usual = float(np.sqrt(max(np.median(sample), 0)))
        apart = np.linalg.norm(self.vectors[rows].astype(np.float64) - self.vectors[row], axis=1)
        ids = self.customer_ids.take(pa.array(rows)).to_pylist()
        near = sorted(zip(np.round(apart, 9).tolist(), ids, strict=True))[:n]
        return [Neighbour(one, distance, 1 - min(distance / usual, 1) if usual else 1.0) for distance, one in near]
