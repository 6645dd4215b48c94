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
from quimbi_assets.ingest.canonical import CANONICAL
from quimbi_assets.sampling import mixed

ACTED, SILENT, CORRECTED, MODEL = "acted", "silent", "corrected", "model"
NEW = "new"
"""Of a customer who was not there before: nothing to compare with."""
DIGESTS = ("digest", "dated_ticket_digest", "undated_ticket_digest")
"""Columns of digests: of orders, lines and refunds; of tickets (0: none); of what tickets tell without a date."""
ORDER_COLUMNS = ("order_date", "order_date_local", "total_price", "discount_amount", "source")
LINE_COLUMNS = ("product_id", "category", "quantity", "price")
UNDATED_COLUMNS = ("satisfaction_score", "reopen_count")
TICKET_COLUMNS = tuple(c for c in CANONICAL["raw_tickets"] if c not in ("ticket_id", "customer_id", *UNDATED_COLUMNS))
CENTS = 1e4
"""Refunds are compared to a hundredth of a cent: sums of binary fractions differ in their last digits."""


def causes(
    then: pd.DataFrame, recomputed: pd.DataFrame, newer: pd.DataFrame
) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Return the cause of whatever each customer moved between two instants, and who acted by tickets alone; (n,).

    Digests (columns of ``DIGESTS``) as of the older instant, as they were ``then`` and ``recomputed`` from today's
    rows, and of n customers as of the ``newer`` one. ``new``: not known then, nor by today's rows. ``corrected``: what
    is recorded of them up to the older instant has changed since (also where they acted besides: what did what can then
    not be told). ``acted``: an order, a dated refund or a ticket came in between, or what became of a ticket.
    A rating or a reopening, which carry no instant, came when they were first seen. ``silent``: nothing did but time.

    Notes
    -----
    Snapshots taken before digests of tickets were kept have none: their tickets were then what today's rows say.

    >>> then, recomputed = {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 4}
    >>> newer = {"a": 1, "b": 5, "c": 4, "d": 6}
    >>> digests = [pd.DataFrame({"digest": side}, dtype="uint64") for side in (then, recomputed, newer)]
    >>> causes(*digests)[0].tolist()
    ['silent', 'acted', 'corrected', 'new']
    """
    old, again, now = (_beside(side, newer.index) for side in (then, recomputed, newer))
    known, known_now = (side["digest"].notna().to_numpy() for side in (old, again))
    same_past = known & known_now & ~_differ(old, again)[:, :-1].any(axis=1)
    since = _differ(again, now)
    has_acted = since.any(axis=1) | _differ(old, now)[:, -1]
    cause = np.where(same_past, np.where(has_acted, ACTED, SILENT), CORRECTED)
    cause = np.where(~known & ~known_now, NEW, cause)
    return cause, (cause == ACTED) & ~since[:, 0]


def _beside(digests: pd.DataFrame, customers: pd.Index) -> pd.DataFrame:
    """Return the digests of these customers, NA where not known.

    UInt64 before a missing customer turns the digests into floats, which would lose their last digits.
    """
    return digests.reindex(columns=list(DIGESTS)).astype("UInt64").reindex(customers)


def _differ(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which digests are known on both sides, and not the same; shape (n, 3)."""
    return np.asarray(one.ne(other).fillna(value=False).to_numpy(dtype=bool))


def customer_digests(history: History) -> pd.DataFrame:
    """Return digests (``DIGESTS``, uint64) of what is visible of every customer who ordered, by ``customer_id``.

    Of a bounded number of customers; equal for equal rows in any order, whoever else is there: the sum, modulo 2^64, of
    hashes of a customer's rows. A value that is not recorded contributes nothing.
    """
    orders, lines, tickets = (history.visible(name) for name in ("orders", "items", "tickets"))
    of_orders = _summed(
        [orders["customer_id"], lines["customer_id"]],
        [
            _hash(orders, "order_id", ORDER_COLUMNS, orders["refund"]),
            _hash(lines, "order_id", LINE_COLUMNS, lines["refund_amount"]),
        ],
    )
    hashes = (_hash(tickets, "ticket_id", columns) for columns in (TICKET_COLUMNS, UNDATED_COLUMNS))
    sums = [of_orders, *(_summed([tickets["customer_id"]], [of_rows]) for of_rows in hashes)]
    columns = [one.reindex(of_orders.index, fill_value=np.uint64(0)) for one in sums]
    return pd.DataFrame(dict(zip(DIGESTS, columns, strict=True)))


def _summed(owners: list[pa.ChunkedArray], hashes: list[NDArray[np.uint64]]) -> pd.Series:
    """Add up the hashes of each customer's rows, by customer."""
    chunks = [chunk for column in owners for chunk in column.chunks]
    encoded = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
    digests = np.zeros(len(encoded.dictionary), dtype=np.uint64)
    np.add.at(digests, encoded.indices.to_numpy(), np.concatenate(hashes))
    return pd.Series(digests, pd.Index(encoded.dictionary.to_pandas(), dtype="str", name="customer_id")).sort_index()


def _hash(
    rows: pa.Table, key: str, columns: tuple[str, ...], refund: pa.ChunkedArray | None = None
) -> NDArray[np.uint64]:
    """Hash each row's key, refund and those of its columns that are not NULL; shape (n,)."""
    cents = np.zeros(len(rows)) if refund is None else np.round(refund.fill_null(0.0).to_numpy() * CENTS) + 0.0
    total = _bits(cents)
    for position, name in enumerate(columns):
        column = rows[name]
        hashed = _texts(column) if pa.types.is_string(column.type) else _bits(_numbers(column))
        total += np.where(column.is_valid().to_numpy(), mixed(hashed + np.uint64(position + 1)), np.uint64(0))
    return mixed(total ^ _texts(rows[key]))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    return np.asarray(numbers.fill_null(0).to_numpy(), dtype=np.float64) + 0.0


def _texts(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Hash texts, each distinct one once."""
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_pandas().to_numpy(dtype=object)
    return np.asarray(pd.util.hash_array(distinct, categorize=False)[encoded.indices.to_numpy()])


def _bits(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    return mixed(np.ascontiguousarray(values).view(np.uint64))
