"""Why a customer stands elsewhere than before: they acted, they fell silent, or the data were corrected.

Belongs here: telling the causes apart. Does not: the fourth one, a changed model: that is what the older side moves
when it is scored anew, and belongs to nobody's behaviour (``comparison``).
"""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Cause = Literal["acted", "silent", "corrected", "model"]
ACTED, SILENT, CORRECTED, MODEL = "acted", "silent", "corrected", "model"
NEW = "new"
"""Of a customer who was not there before: nothing to compare with."""


def causes(kept: pd.Series, recomputed: pd.Series, newer: pd.Series) -> NDArray[np.str_]:
    """Return the cause of whatever each customer moved between two instants.

    Parameters
    ----------
    kept : Series of uint64
        Digests as of the older instant, as they were then.
    recomputed : Series of uint64
        Digests as of the older instant, from today's rows.
    newer : Series of uint64 of length n
        Digests as of the newer instant; its customers are judged.

    Returns
    -------
    ndarray of str of shape (n,)
        ``new``: not known then, nor by today's rows. ``corrected``: what is recorded of them up to the older instant
        has changed since (also where they acted besides: what did what can then not be told). ``acted``: an order or
        a dated refund came in between. ``silent``: nothing did but time.

    Examples
    --------
    >>> digests = [pd.Series(d, dtype="uint64") for d in ({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 4},
    ...                                                   {"a": 1, "b": 5, "c": 4, "d": 6})]
    >>> causes(*digests).tolist()
    ['silent', 'acted', 'corrected', 'new']
    """
    # UInt64 before a missing customer turns the digests into floats, which would lose their last digits.
    old, again = (side.astype("UInt64").reindex(newer.index) for side in (kept, recomputed))
    known, known_now = old.notna().to_numpy(), again.notna().to_numpy()
    same_past = known & known_now & (old == again).fillna(value=False).to_numpy(dtype=bool)
    same = (again == newer.astype("UInt64")).fillna(value=False).to_numpy(dtype=bool)
    found = np.where(same_past, np.where(same, SILENT, ACTED), CORRECTED)
    return np.where(~known & ~known_now, NEW, found)
