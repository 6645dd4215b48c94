"""One seeded order of customers, from which every sample is a prefix.

Belongs here: which customers a bounded fit looks at. A customer's place depends on their id and the seed
alone, so the same customers are drawn whatever the order of the rows, and a growing store keeps its sample.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def customer_order(customer_ids: pd.Index, seed: int) -> NDArray[np.intp]:
    """Order customers by a hash of their id: positions into ``customer_ids``, shape (n,).

    A different seed gives an unrelated order; equal ids keep their relative order.

    Notes
    -----
    pandas' 64-bit hash of the id (SipHash for text), mixed with the seed by the finaliser of splitmix64.

    References
    ----------
    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.

    >>> ids = pd.Index(["a", "b", "c"])
    >>> list(ids[customer_order(ids, 0)]) == list(ids[::-1][customer_order(ids[::-1], 0)])
    True
    """
    hashes = pd.util.hash_pandas_object(customer_ids, index=False).to_numpy(np.uint64)
    seeded = hashes ^ (np.array([seed], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.argsort(mixed(seeded.astype(np.uint64)), kind="stable")


def mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all others (the finaliser of splitmix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def sample_places(customer_ids: pd.Index, most: int, seed: int) -> NDArray[np.intp]:
    """Return the places of the customers that a sample of at most so many draws, ascending."""
    return np.sort(customer_order(customer_ids, seed)[:most])
