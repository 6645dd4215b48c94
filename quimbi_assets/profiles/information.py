"""How much one grouping of customers tells about another.

Belongs here: mutual information. Does not: what the groupings are.
"""

import numpy as np
from numpy.typing import NDArray


def shared_bits(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Return the mutual information of two groupings.

    Parameters
    ----------
    one, other : ndarray of int, shape (n,)
        Group of every customer, from 0; n at least 1.

    Returns
    -------
    float
        Bits; about 0 (also just below) for independent groupings, the entropy of a grouping for itself.

    Notes
    -----
    ``sum p_ij log2(p_ij / (p_i p_j))``, less its expected excess in a small sample,
    ``(r - 1)(c - 1) / (2 n ln 2)`` for r and c groups that occur.

    References
    ----------
    G. Miller, Note on the bias of information estimates (1955).

    Examples
    --------
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
