"""The fingerprint: a customer's distances to the centres of all segments of all active axes, as one vector.

How to read it: axes follow one another in the order of ``axis_order``, and within an axis its segments follow
in the model's order (``<axis>_1``, ``<axis>_2``, ...); position 0 is the distance to the first segment of the
first axis. Two customers are alike where the Euclidean distance of their fingerprints is small. Positions are
comparable between customers profiled by the same ``model_versions`` only.

Belongs here: order, layout, and the customers nearest by it. Does not: distances themselves (``scores``).
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.axes import AXES


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


def nearest_customers(profiles: pd.DataFrame, customer_ids: Sequence[str], n_neighbors: int = 5) -> pd.DataFrame:
    """Return for each customer asked for the nearest others, fewer than ``n_neighbors`` where the store has no more.

    Profiles, all by the same models, have ``customer_id`` and ``fingerprint``; a customer who is not among them is a
    KeyError. Rows: ``customer_id``, ``neighbour_id``, ``rank`` from 1, ``distance`` (Euclidean, between fingerprints,
    >= 0); of equally near ones the lower customer id comes first.

    >>> shop = pd.DataFrame({"customer_id": ["ann", "bob", "cem"], "fingerprint": [[0, 0], [3, 4], [0, 1]]})
    >>> nearest_customers(shop, ["ann"], 2)[["neighbour_id", "distance"]].values.tolist()
    [['cem', 1.0], ['bob', 5.0]]
    """
    from scipy.spatial.distance import cdist

    ordered = profiles.sort_values("customer_id", ignore_index=True)
    ids = ordered["customer_id"].astype(str).to_numpy()
    rows = pd.Index(ids).get_indexer(pd.Index(list(customer_ids), dtype="object"))
    if (rows < 0).any():
        unknown = [customer for customer, row in zip(customer_ids, rows, strict=True) if row < 0]
        raise KeyError(f"no profile of customer {', '.join(unknown)}")
    vectors = [np.asarray(vector, dtype=np.float64) for vector in ordered["fingerprint"]]
    if len({len(vector) for vector in vectors}) > 1:
        raise ValueError("fingerprints of different lengths are not comparable: they stem from different models")
    apart = cdist(np.array(vectors)[rows], vectors)
    apart[np.arange(len(rows)), rows] = np.inf  # not the customer, though somebody else may be exactly alike
    n_found = max(min(n_neighbors, len(ids) - 1), 0)
    near = np.argsort(np.round(apart, 9), axis=1, kind="stable")[:, :n_found]
    return pd.DataFrame(
        {
            "customer_id": np.repeat(ids[rows], n_found),
            "neighbour_id": ids[near].ravel(),
            "rank": np.tile(np.arange(1, n_found + 1), len(rows)),
            "distance": np.take_along_axis(apart, near, axis=1).ravel(),
        }
    )
