"""The customers most like a customer: nearest by fingerprint.

Belongs here: searching. Does not: what a fingerprint holds (``fingerprint``).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def nearest_customers(profiles: pd.DataFrame, customer_ids: Sequence[str], n_neighbors: int = 5) -> pd.DataFrame:
    """Return for each customer asked for the nearest others.

    Parameters
    ----------
    profiles : DataFrame of n rows
        ``customer_id`` and ``fingerprint`` of everybody who may be a neighbour, all by the same models.
    customer_ids : sequence of m str
        Customers asked for, among those rows.
    n_neighbors : int
        Neighbours of each, at least 1; fewer where the store has no more others.

    Returns
    -------
    DataFrame of at most m x n_neighbors rows
        ``customer_id``, ``neighbour_id``, ``rank`` from 1, ``distance`` (Euclidean, between fingerprints, >= 0).
        Of equally near ones the lower customer id comes first.

    Raises
    ------
    KeyError
        If a customer is not among the rows.
    ValueError
        If fingerprints differ in length.

    Examples
    --------
    >>> shop = pd.DataFrame({"customer_id": ["ann", "bob", "cem"], "fingerprint": [[0, 0], [3, 4], [0, 1]]})
    >>> nearest_customers(shop, ["ann"], 2)[["neighbour_id", "distance"]].values.tolist()
    [['cem', 1.0], ['bob', 5.0]]
    """
    from sklearn.neighbors import NearestNeighbors

    ordered = profiles.sort_values("customer_id", ignore_index=True)
    ids = ordered["customer_id"].astype(str).to_numpy()
    rows = pd.Index(ids).get_indexer(pd.Index(list(customer_ids), dtype="object"))
    if (rows < 0).any():
        unknown = [customer for customer, row in zip(customer_ids, rows, strict=True) if row < 0]
        raise KeyError(f"no profile of customer {', '.join(unknown)}")
    vectors = _matrix(ordered["fingerprint"])
    n_found = min(n_neighbors, len(ids) - 1)
    if n_found < 1 or not len(rows):
        return pd.DataFrame({"customer_id": [], "neighbour_id": [], "rank": [], "distance": []})
    search = NearestNeighbors(n_neighbors=n_found + 1, algorithm="brute").fit(vectors)
    distances, found = search.kneighbors(vectors[rows])
    # The customer is taken out by position, not as the first hit: somebody else may be exactly alike.
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True
    order = np.lexsort((found, np.round(distances, 9), own))[:, :n_found]
    near = np.take_along_axis(found, order, axis=1)
    return pd.DataFrame(
        {
            "customer_id": np.repeat(ids[rows], n_found),
            "neighbour_id": ids[near].ravel(),
            "rank": np.tile(np.arange(1, n_found + 1), len(rows)),
            "distance": np.take_along_axis(distances, order, axis=1).ravel(),
        }
    )


def _matrix(fingerprints: pd.Series) -> np.ndarray:
    """Stack fingerprints, shape (n, length)."""
    vectors = [np.asarray(vector, dtype=np.float64) for vector in fingerprints]
    if len({len(vector) for vector in vectors}) > 1:
        raise ValueError("fingerprints of different lengths are not comparable: they stem from different models")
    return np.vstack(vectors) if vectors else np.empty((0, 0))
