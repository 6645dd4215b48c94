"""The same customers at two instants, a horizon apart: what they were then, what they are now, what they did between.

Belongs here: drawing them, and measuring both instants alike. Does not: which horizon (``churn.examples``), what
follows from it: whether an axis foretells anything (``abstention``), who stays in a segment (``profiles.stays``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.axes import Features, StoreReference, measure
from quimbi_assets.clustering.scaling import Array
from quimbi_assets.history import SECONDS_PER_DAY, History
from quimbi_assets.instants import Instant

MOST_CUSTOMERS = 5_000
MOST_ROWS = 500_000
"""Orders and lines of these customers together, by the cut-off; measuring them at both instants takes 1 to 3 s."""


@dataclass(frozen=True)
class Transition:
    """A bounded sample of n customers, ids ascending, who had ordered by ``cut_off``, H days before the history's end.

    ``before`` and ``after`` hold by axis the features (a row a customer, in one order everywhere) as of the cut-off and
    as of the end, against one reference; axes that a store's columns leave inactive are left out. ``n_orders``, shape
    (n,), at least 1, and ``tenure_days``, at least 0, are as of the cut-off; ``bought``, shape (n,), says who ordered
    in the H days from it on.
    """

    cut_off: Instant
    horizon_days: int
    before: Mapping[str, pd.DataFrame]
    after: Mapping[str, pd.DataFrame]
    n_orders: NDArray[np.int64]
    tenure_days: Array
    bought: NDArray[np.bool_]


def measure_transition(
    history: History,
    axes: Iterable[str] | None,
    horizon_days: int,
    *,
    recorded: frozenset[str] | None = None,
    reference: StoreReference | None = None,
    random_state: int = 0,
) -> Transition:
    """Measure customers as of H days before a history's end, and as of its end.

    Nothing from the cut-off on is seen in what is measured before it. ``recorded`` and ``reference`` are as for
    ``measure``. The customers are the first in the seeded order of those known at the cut-off.
    """
    cut_off, end = history.end - pd.Timedelta(days=horizon_days), history.end
    known = history.until(cut_off).sample(MOST_CUSTOMERS, random_state, MOST_ROWS)
    theirs, names = known.until(end).in_memory(), None if axes is None else list(axes)
    columns = history.recorded if recorded is None else recorded
    before, after = (
        Features(measure(theirs.until(instant), names, recorded=columns, reference=reference))
        for instant in (cut_off, end)
    )
    return Transition(cut_off, horizon_days, before, after, *orders_around(theirs, cut_off))


def orders_around(history: History, cut_off: Instant) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
    """Return, by customer id, orders before an instant, days since the first, and whether one came from then on.

    Shape (n,) each, of a bounded number of customers; 0 orders and 0 days of who came only then.
    """
    orders = pa.Table.from_batches(list(history.events()))
    customers, code = np.unique(orders["customer_id"].to_numpy(), return_inverse=True)
    dates = orders["order_date"].to_numpy().astype("datetime64[us]")
    is_before = dates < np.datetime64(cut_off, "us")
    first = np.full(len(customers), np.datetime64(cut_off, "us"))
    np.minimum.at(first, code, dates)
    tenure_days = (np.datetime64(cut_off, "us") - first) / np.timedelta64(SECONDS_PER_DAY, "s")
    n_orders = np.bincount(code[is_before], minlength=len(customers))
    return n_orders, tenure_days, np.bincount(code[~is_before], minlength=len(customers)) > 0
