"""A store's orders, sorted once, and its customers as of any instant: what was visible then, and who came back after.

Belongs here: measuring. Does not: which instants (``examples``), what a model makes of the numbers (``additive``).

The axes' extraction takes seconds a cut-off on a large store, and a model needs a dozen. These few features are sums
over sorted arrays: 0.01 s for 175,000 orders, and a customer's numbers are the same to the last bit whoever else is
there. Where an axis has the same name it means the same (a test holds them so).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.churn.measures import Array, Flags
from quimbi_assets.history import History as StoreHistory
from quimbi_assets.instants import microseconds as micros

DAY = 86_400_000_000
"""Microseconds."""
WINDOWS = {
    "orders_in_quarter_horizon": 0.25,
    "orders_in_half_horizon": 0.5,
    "orders_in_horizon": 1.0,
    "orders_in_two_horizons": 2.0,
}
"""Counts of orders in the last part of time, in horizons."""


@dataclass(frozen=True)
class History:
    """Orders of n customers (ids ascending), m in all, by customer and time.

    ``starts``, shape (n,), says where each customer's orders begin. The others have shape (m,): ``times`` in
    microseconds since 1970, naive UTC; ``values``, paid before refunds, NaN where not known; ``gap_days`` since the
    customer's order before, NaN for the first.
    """

    customers: pd.Index
    starts: NDArray[np.intp]
    times: NDArray[np.int64]
    values: Array
    gap_days: Array

    def days_of_history(self, until: pd.Timestamp) -> float:
        """Return days from the store's first order."""
        return float(micros(until) - self.times.min()) / DAY

    @property
    def first_order(self) -> pd.Timestamp:
        """Instant of the store's first order, naive UTC."""
        return pd.Timestamp(int(self.times.min()), unit="us")


def read_history(history: StoreHistory) -> History:
    """Read the visible orders of customers into arrays."""
    batches = list(history.events())
    if not sum(map(len, batches)):
        nobody, none = pd.Index([], dtype="str", name="customer_id"), np.zeros(0)
        return History(nobody, none.astype(np.intp), none.astype(np.int64), none, none)
    rows = pa.Table.from_batches(batches)
    encoded = rows["customer_id"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    times = rows["order_date"].cast(pa.int64()).to_numpy()
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    gaps = np.diff(times, prepend=times[:1]) / DAY
    gaps[starts] = np.nan
    ids = pd.Index(encoded.dictionary.to_pandas(), dtype="str", name="customer_id")
    return History(ids, starts, times, rows["total_price"].to_numpy(), gaps)


def measure(history: History, cut_off: pd.Timestamp, horizon_days: int) -> pd.DataFrame:
    """Measure everybody who had ordered before an instant (naive UTC, exclusive), on what was visible then.

    What the history has beyond the cut-off changes nothing; the horizon H is the unit of the windows. Shape (n_known,
    12), by ``customer_id``: ``n_orders`` >= 1; ``days_since_last_order``, ``tenure_days`` >= 0; the counts of
    :data:`WINDOWS`; ``avg_days_between_orders``, ``longest_gap_days``, ``last_gap_days`` >= 0, NaN with one order;
    ``gap_sd_days`` >= 0, NaN with fewer than three; ``avg_order_value``, paid, NaN where not known.
    """
    end, starts = micros(cut_off), history.starts
    if not len(starts):
        return pd.DataFrame(columns=["n_orders", *WINDOWS], index=history.customers, dtype=np.float64)
    n, visible = len(starts), history.times < end
    times, gap = history.times[visible], history.gap_days[visible]
    customer = np.repeat(np.arange(n), np.diff(np.append(starts, len(history.times))))[visible]

    def total(values: Array, of: NDArray[np.intp] = customer) -> Array:
        # Added up one after the other, so that neither other customers nor later orders change the last digit.
        return np.asarray(np.bincount(of, values, n), dtype=np.float64)

    n_orders = np.bincount(customer, minlength=n)
    last = starts + np.maximum(n_orders, 1) - 1
    paired = ~np.isnan(gap)
    n_gaps = np.where(n_orders > 1, n_orders - 1, np.nan)
    mean = total(gap[paired], customer[paired]) / n_gaps
    off = (gap[paired] - mean[customer[paired]]) ** 2
    longest = np.full(n, np.nan)
    np.fmax.at(longest, customer[paired], gap[paired])
    frame = pd.DataFrame(
        {
            "n_orders": n_orders.astype(np.float64),
            "days_since_last_order": (end - history.times[last]) / DAY,
            "tenure_days": (end - history.times[starts]) / DAY,
            **{
                name: total((times >= end - part * horizon_days * DAY).astype(np.float64))
                for name, part in WINDOWS.items()
            },
            "avg_days_between_orders": mean,
            "gap_sd_days": np.sqrt(total(off, customer[paired]) / np.where(n_gaps > 1, n_gaps - 1, np.nan)),
            "longest_gap_days": longest,
            "last_gap_days": np.where(n_orders > 1, history.gap_days[last], np.nan),
            "avg_order_value": total(history.values[visible]) / np.maximum(n_orders, 1),
        },
        index=history.customers,
    )
    return frame[n_orders > 0]


def stayed_away(history: History, cut_off: pd.Timestamp, horizon_days: int) -> Flags:
    """Return who of the customers known at a cut-off did not order in the H days from it on, shape (n_known,)."""
    begin, end = micros(cut_off), micros(cut_off) + horizon_days * DAY
    known = np.minimum.reduceat(history.times, history.starts) < begin
    within = (history.times >= begin) & (history.times < end)
    return ~np.logical_or.reduceat(within, history.starts)[known]
