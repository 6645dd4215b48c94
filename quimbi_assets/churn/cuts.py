"""Past instants at which history is cut, so that no outcome reaches into the time a model is tested on.

Belongs here: their choice. Does not: what is measured at one (``history``).
"""

import pandas as pd

MOST_CUTS = 6


def training_cuts(first_order: pd.Timestamp, outcomes_known: pd.Timestamp, horizon_days: int) -> list[pd.Timestamp]:
    """Return instants whose outcomes are known by ``outcomes_known``, the latest first.

    Parameters
    ----------
    first_order : Timestamp
        Of the store, naive UTC.
    outcomes_known : Timestamp
        Where the last outcome may end, exclusive.
    horizon_days : int
        H: days after a cut whose orders count.

    Returns
    -------
    list of Timestamp
        At most 6, half a horizon apart, each with half a horizon of orders before it or more; none where the history
        is too short.

    Examples
    --------
    >>> cuts = training_cuts(pd.Timestamp("2024-01-01"), pd.Timestamp("2024-06-29"), 60)
    >>> [f"{cut:%m-%d}" for cut in cuts]
    ['04-30', '03-31', '03-01', '01-31']
    """
    half = pd.Timedelta(days=horizon_days) / 2
    cuts = [outcomes_known - (i + 2) * half for i in range(MOST_CUTS)]
    return [cut for cut in cuts if cut - first_order >= half]
