"""Customers at past instants and what they did next: windows of H days, one after the other, up to now.

Belongs here: how long windows are, and measuring them. Does not: what is learnt from them (``model``), which are for
the test (``evaluation``).

Windows do not overlap, and customers are measured at their borders: what came after one border is what was recent at
the next, so that each instant is asked about once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

import pandas as pd

from quimbi_assets.churn.measures import Array
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History

USUAL_DAYS = 90
YEAR_DAYS = 365
LEAST_DAYS = 28
PARTS_OF_HISTORY = 3
"""Windows that the history must hold: one to test on, one to learn from, one before them."""
LEAST_BEFORE = 0.5
"""Windows of orders before the first one: of less nothing is known of how often customers order."""
FEWEST = 25
"""Customers who must have spent anything in a window."""


@dataclass(frozen=True)
class Window:
    """What was known of n customers at ``start`` (naive UTC) and what came of them in the window from then on.

    ``features`` are as ``History.spending`` returns them; ``orders`` and ``spend``, net of the refunds known at the
    window's end, shape (n,).
    """

    start: pd.Timestamp
    features: pd.DataFrame
    orders: Array
    spend: Array

    @classmethod
    def between(cls, start: pd.Timestamp, known: pd.DataFrame, later: pd.DataFrame) -> "Window":
        """Return the window at whose end its days are the recent ones that customers were measured with."""
        came = later[["recent_orders", "recent_spend"]].reindex(known.index).to_numpy()
        return cls(start, known, came[:, 0], came[:, 1])

    def of(self, customers: pd.Index) -> "Window":
        """Return the window of those of these customers whom it knows."""
        rows = self.features.index.get_indexer(customers)
        rows = rows[rows >= 0]
        return Window(self.start, self.features.iloc[rows], self.orders[rows], self.spend[rows])


def window_days(history: History) -> int:
    """Choose how long windows are: 90 days, in short histories a third of them in whole weeks.

    Raises ``InsufficientHistoryError`` if that is less than four weeks.
    """
    days = (history.end - history.span[0]) / pd.Timedelta(days=1)
    needed = PARTS_OF_HISTORY * LEAST_DAYS
    if days < needed:
        raise InsufficientHistoryError(f"{days:.0f} days of orders, fewer than the {needed} that foretelling takes")
    return USUAL_DAYS if days >= PARTS_OF_HISTORY * USUAL_DAYS else int(days / PARTS_OF_HISTORY // 7 * 7)


def measured_borders(history: History, days: int, most: int) -> list[tuple[pd.Timestamp, pd.DataFrame]]:
    """Measure a bounded number of customers at the end and at the starts of the last windows, latest first.

    There is no border with less history before it than half a window.
    """
    apart, first = pd.Timedelta(days=days), history.span[0]
    borders = [history.end - i * apart for i in range(most + 1)]
    reach = [at for at in borders if at - first >= LEAST_BEFORE * apart]
    return [(at, history.until(at).spending(days)) for at in reach]


def windows_between(borders: Sequence[tuple[pd.Timestamp, pd.DataFrame]]) -> list[Window]:
    """Return the windows between borders, latest first, until one in which too few customers spent anything."""
    windows = (Window.between(start, known, later) for (_, later), (start, known) in pairwise(borders))
    return list(takewhile(lambda window: (window.spend > 0).sum() >= FEWEST, windows))
