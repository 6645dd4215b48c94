"""How clearly a customer belongs to one segment of an axis: strong, balanced or weak.

Belongs here: the rule of AXES.md. Does not: whether there is enough evidence for it, which is another
question.
"""

import numpy as np
from numpy.typing import NDArray

STRENGTHS = ("strong", "balanced", "weak")
STRONG, BALANCED, WEAK = range(3)


def strengths(memberships: NDArray[np.float64]) -> NDArray[np.int8]:
    """Classify rows of memberships.

    Parameters
    ----------
    memberships : ndarray, shape (n, k)
        0-1, rows sum to 1.

    Returns
    -------
    ndarray of int8, shape (n,)
        Position in ``STRENGTHS``: strong if the highest is above 0.7; balanced if the highest is above 0.4
        and the second above 0.3; else weak.

    Examples
    --------
    >>> rows = np.array([[0.786, 0.175, 0.039], [0.55, 0.4, 0.05], [0.5, 0.25, 0.25]])
    >>> [STRENGTHS[code] for code in strengths(rows)]
    ['strong', 'balanced', 'weak']
    """
    ordered = np.sort(memberships, axis=1)
    top = ordered[:, -1]
    second = ordered[:, -2] if ordered.shape[1] > 1 else np.zeros_like(top)
    balanced = np.where((top > 0.4) & (second > 0.3), BALANCED, WEAK)
    return np.where(top > 0.7, STRONG, balanced).astype(np.int8)
