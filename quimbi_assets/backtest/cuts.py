"""Past instants at which history is cut.

Belongs here: their choice. Does not: anything that is computed at one.
"""

import pandas as pd

HORIZON_DAYS = 90
MOST_CUTS = 3
SHORTEST_HISTORY_DAYS = 90


def cut_instants(
    first_order: pd.Timestamp,
    observation_end: pd.Timestamp,
    horizon_days: int = HORIZON_DAYS,
    most_cuts: int = MOST_CUTS,
) -> list[pd.Timestamp]:
    """Return the latest instants whose outcomes are over and do not overlap.

    Parameters
    ----------
    first_order, observation_end : Timestamp
        Naive UTC; the history between them is known.
    horizon_days : int
        Days after a cut whose outcomes count, at least 1.
    most_cuts : int
        Cuts at most.

    Returns
    -------
    list of Timestamp
        Ascending, each with 90 days of history or more; none where the history is too short.

    Examples
    --------
    >>> year = cut_instants(pd.Timestamp("2024-01-01"), pd.Timestamp("2024-12-31"))
    >>> [f"{cut:%Y-%m-%d}" for cut in year]
    ['2024-04-05', '2024-07-04', '2024-10-02']
    """
    earliest = first_order + pd.Timedelta(days=SHORTEST_HISTORY_DAYS)
    cuts = [observation_end - pd.Timedelta(days=horizon_days * (i + 1)) for i in range(most_cuts)]
    return [cut for cut in reversed(cuts) if cut >= earliest]
