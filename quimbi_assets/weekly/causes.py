"""Why a customer stands elsewhere than before: they acted, they fell silent, or the data were corrected.

Belongs here: a digest of what a store had recorded of each customer as of an instant, and what follows from two of
them. Does not: the fourth cause, a changed model: that is what the older snapshot moves when it is scored anew, and
belongs to nobody's behaviour (``compare``).

A snapshot keeps the digests, so that a later one can tell apart what the customer did since (the digest grew) and what
the store changed about the past (the digest of the same instant, computed from today's rows, is another one).
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.history import History

ACTED, SILENT, CORRECTED, MODEL = "acted", "silent", "corrected", "model"
NEW = "new"
"""Of a customer who was not there before: nothing to compare with."""
ORDER_COLUMNS = ("order_date", "order_date_local", "total_price", "discount_amount", "source")
LINE_COLUMNS = ("product_id", "category", "quantity", "price")
CENTS = 1e4
"""Refunds are compared to a hundredth of a cent: sums of binary fractions differ in their last digits."""


def causes(then: pd.Series, recomputed: pd.Series, newer: pd.Series) -> NDArray[np.str_]:
    """Return the cause of whatever each customer moved between two instants, shape (n,).

    Digests as of the older instant, as they were ``then`` and ``recomputed`` from today's rows, and of n customers as
    of the ``newer`` one. ``new``: not known then, nor by today's rows. ``corrected``: what is recorded of them up to
    the older instant has changed since (also where they acted besides: what did what can then not be told). ``acted``:
    an order or a dated refund came in between. ``silent``: nothing did but time.

    >>> digests = [pd.Series(d, dtype="uint64") for d in ({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 4},
    ...                                                   {"a": 1, "b": 5, "c": 4, "d": 6})]
    >>> causes(*digests).tolist()
    ['silent', 'acted', 'corrected', 'new']
    """
    # UInt64 before a missing customer turns the digests into floats, which would lose their last digits.
    old, again = (side.astype("UInt64").reindex(newer.index) for side in (then, recomputed))
    known, known_now = old.notna().to_numpy(), again.notna().to_numpy()
    same_past = known & known_now & (old == again).fillna(value=False).to_numpy(dtype=bool)
    same = (again == newer.astype("UInt64")).fillna(value=False).to_numpy(dtype=bool)
    cause = np.where(same_past, np.where(same, SILENT, ACTED), CORRECTED)
    return np.where(~known & ~known_now, NEW, cause)


def customer_digests(history: History) -> pd.Series:
    """Return a digest (uint64) of every customer's visible orders, lines and refunds, sorted by ``customer_id``.

    Of a bounded number of customers; equal for equal rows in any order, whoever else is there: the sum, modulo 2^64, of
    hashes of a customer's rows. A value that is not recorded contributes nothing.
    """
    orders, lines = history.visible("orders"), history.visible("items")
    hashes = np.concatenate(
        [_hash(orders, ORDER_COLUMNS, orders["refund"]), _hash(lines, LINE_COLUMNS, lines["refund_amount"])]
    )
    owners = pa.chunked_array([*orders["customer_id"].chunks, *lines["customer_id"].chunks], pa.string())
    encoded = owners.combine_chunks().dictionary_encode()
    digests = np.zeros(len(encoded.dictionary), dtype=np.uint64)
    np.add.at(digests, encoded.indices.to_numpy(), hashes)
    customers = pd.Index(encoded.dictionary.to_pandas(), dtype="str", name="customer_id")
    return pd.Series(digests, customers, name="digest").sort_index()


def _hash(rows: pa.Table, columns: tuple[str, ...], refund: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Hash each row's order, refund and those of its columns that are not NULL; shape (n,)."""
    total = _mixed(np.round(refund.fill_null(0.0).to_numpy() * CENTS) + 0.0)
    for position, name in enumerate(columns):
        column = rows[name]
        hashed = _texts(column) if pa.types.is_string(column.type) else _mixed(_numbers(column))
        total += np.where(column.is_valid().to_numpy(), _mix(hashed + np.uint64(position + 1)), np.uint64(0))
    return _mix(total ^ _texts(rows["order_id"]))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return np.asarray(numbers.fill_null(0).to_numpy(), dtype=np.float64) + 0.0


def _texts(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Hash texts, each distinct one once."""
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_pandas().to_numpy(dtype=object)
    return np.asarray(pd.util.hash_array(distinct, categorize=False)[encoded.indices.to_numpy()])


def _mixed(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    return _mix(np.ascontiguousarray(values).view(np.uint64))


def _mix(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all others (the finaliser of splitmix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
