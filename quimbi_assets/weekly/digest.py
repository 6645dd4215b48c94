"""A fingerprint of what a store had recorded of each customer as of an instant.

Belongs here: the digest. Does not: what follows from two of them (``causes``).

A snapshot keeps it, so that a later one can tell apart what the customer did since (the digest grew) and what the
store changed about the past (the digest of the same instant, computed from today's rows, is another one).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.ingest.keys import among

ORDER_COLUMNS = ("order_date", "order_date_local", "total_price", "discount_amount", "source")
LINE_COLUMNS = ("product_id", "category", "quantity", "price")
CENTS = 1e4
"""Refunds are compared to a hundredth of a cent: sums of binary fractions differ in their last digits."""


def customer_digests(orders: pd.DataFrame, items: pd.DataFrame, observation_end: pd.Timestamp) -> pd.Series:
    """Return a digest of every customer's visible orders, lines and refunds.

    Parameters
    ----------
    orders, items : DataFrame
        Canonical rows (``orders.schemas``); those at or after the instant, and refunds from then on, do not count.
    observation_end : Timestamp
        Naive UTC, exclusive.

    Returns
    -------
    Series of uint64
        By ``customer_id``, sorted; equal for equal rows in any order.

    Notes
    -----
    The sum, modulo 2^64, of pandas' hashes of a customer's rows. Refunds of an order that no dated line explains have
    no date of their own: they count as known from the order on, as in the features.
    """
    visible = orders[(orders["order_date"] < observation_end) & orders["customer_id"].notna()]
    lines = items[among(items["order_id"], visible["order_id"])]
    refund = lines["refund_amount"].fillna(0.0).to_numpy()
    later = (lines["refunded_at"] >= observation_end).to_numpy()
    shown = np.where(later, 0.0, refund)
    by_order = pd.DataFrame({"whole": refund, "shown": shown}).groupby(lines["order_id"].to_numpy()).sum()
    by_order = by_order.reindex(visible["order_id"]).fillna(0.0)
    hidden = (by_order["whole"] - by_order["shown"]).to_numpy()
    own = visible["refund_amount"].fillna(pd.Series(by_order["whole"].to_numpy(), index=visible.index)).to_numpy()
    order_hash = _hash(visible, ORDER_COLUMNS) + _mixed(np.round(np.maximum(own - hidden, 0.0) * CENTS) + 0.0)
    order_hash = _mix(order_hash ^ _texts(visible["order_id"]))
    line_hash = _hash(lines, LINE_COLUMNS) + _mixed(np.round(shown * CENTS) + 0.0)
    customer = pd.Series(visible["customer_id"].to_numpy(), index=visible["order_id"].to_numpy())
    who = np.concatenate([visible["customer_id"].astype(str), customer.reindex(lines["order_id"]).astype(str)])
    hashes = np.concatenate([order_hash, _mix(line_hash ^ _texts(lines["order_id"]))])
    return pd.Series(hashes).groupby(who).sum().rename_axis("customer_id").rename("digest").sort_index()


def _hash(frame: pd.DataFrame, columns: tuple[str, ...]) -> NDArray[np.uint64]:
    """Hash the columns that there are, shape (n,); a column wholly NULL counts as one that is not there."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for position, name in enumerate(columns):
        if name in frame and frame[name].notna().any():
            column = frame[name]
            is_text = not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column))
            hashed = _texts(column) if is_text else _mixed(_numbers(column))
            total += _mix(hashed + np.uint64(position + 1))
    return total


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.astype("datetime64[us]").astype("int64").to_numpy().astype(np.float64)
    return np.nan_to_num(column.to_numpy(dtype=np.float64, na_value=np.nan), nan=-1.0) + 0.0


def _texts(column: pd.Series) -> NDArray[np.uint64]:
    """Hash texts, each distinct one once."""
    codes, distinct = pd.factorize(column.astype("str"), use_na_sentinel=False)
    return pd.util.hash_array(np.asarray(distinct, dtype=object), categorize=False)[codes]


def _mixed(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    return _mix(np.ascontiguousarray(values).view(np.uint64))


def _mix(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all others (the finaliser of splitmix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
