"""A whole simulated store, in memory or on disk.

Belongs here: the two public functions and the files they write. Does not: drawing (``blocks``).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from quimbi_assets.simulation.blocks import Progress, draw_blocks
from quimbi_assets.simulation.clock import Clock
from quimbi_assets.simulation.helpdesk import TicketKeys, with_ticket_keys
from quimbi_assets.simulation.slow_down import MAX_SHARE, SlowDown
from quimbi_assets.simulation.tables import Block, plain_schema

BLOCKS_PER_ROW_GROUP = 8
"""Blocks written at once, about 200,000 orders and 500,000 lines."""


@dataclass(frozen=True)
class SimulatedStore:
    """A simulated store in memory.

    Parameters
    ----------
    orders, order_items, support_tickets : DataFrame
        The columns that `quimbi load` reads; times are UTC.
    labels : DataFrame of shape (n_customers, 11)
        ``customer_id``, ``archetype``, and per planted axis the customer's state (null where too few orders or
        tickets show it).
    customers : DataFrame, optional
        ``customer_id`` and ``email``, where tickets are keyed by something else than ``customer_id``.
    """

    orders: pd.DataFrame
    order_items: pd.DataFrame
    support_tickets: pd.DataFrame
    labels: pd.DataFrame
    customers: pd.DataFrame | None = None


TABLES = ("orders", "order_items", "support_tickets", "labels")
"""Names of the tables of every store, also of their files (``<name>.parquet``)."""


def simulate_store(
    n_customers: int,
    seed: int = 0,
    n_years: float = 3,
    progress: Progress | None = None,
    *,
    end_date: date | str = "2025-12-31",
    time_zone: str = "America/New_York",
    currency: str = "USD",
    slow_down_share: float = 0.0,
    slow_down_from: date | str | None = None,
    ticket_keys: TicketKeys = "customer_id",
) -> SimulatedStore:
    """Simulate a store in memory.

    Parameters
    ----------
    n_customers : int
        Identified customers, 1 to 9,999,999; guest orders come on top (about 1 % of orders).
    seed : int
        Same seed, same store. With another `n_customers`, the customers both have are the same.
    n_years : float
        Length of history in years, at least 2.
    progress : callable, optional
        Called as ``progress(done, total)`` in customers.
    end_date : date or str
        Last store-local day; nothing happens after it.
    time_zone : str
        IANA time zone that weekdays and hours are drawn in.
    currency : str
        Written on every order.
    slow_down_share : float
        Share of customers, 0 to 0.25, who slow down; twice as many are made to buy every few days
        (``slow_down``), and `labels` has ``slows_down`` and ``is_brisk``.
    slow_down_from : date or str, optional
        First store-local day of the slow-down.
    ticket_keys : str
        How tickets name their customer: ``customer_id``; ``email`` (they carry nothing else); ``helpdesk`` (an id of
        the helpdesk's own, and the e-mail). With the latter two there is a table ``customers``.

    Raises
    ------
    ValueError
        If `n_customers`, `n_years`, `end_date`, `time_zone`, `seed` or the slow-down is out of range.

    Examples
    --------
    >>> store = simulate_store(50, seed=1)
    >>> len(store.labels), store.orders["order_id"].is_unique
    (50, True)
    """
    clock = Clock.ending(end_date, n_years, time_zone)
    planted = _slow_down(clock, slow_down_share, slow_down_from)
    drawn = draw_blocks(n_customers, seed, clock, currency, progress, planted)
    blocks = [with_ticket_keys(block, ticket_keys) for block in drawn]
    return SimulatedStore(**{name: _frame(blocks, name) for name in blocks[0]})


def write_store(
    store: SimulatedStore | int,
    out_dir: str | Path,
    seed: int = 0,
    n_years: float = 3,
    progress: Progress | None = None,
    *,
    end_date: date | str = "2025-12-31",
    time_zone: str = "America/New_York",
    currency: str = "USD",
    slow_down_share: float = 0.0,
    slow_down_from: date | str | None = None,
    ticket_keys: TicketKeys = "customer_id",
) -> dict[str, int]:
    """Write a store as ``orders``, ``order_items``, ``support_tickets``, ``labels`` (and ``customers``) ``.parquet``.

    Parameters
    ----------
    store : SimulatedStore or int
        A store in memory, or a number of customers to simulate and write block by block in bounded memory.
    out_dir : str or Path
        Created if absent. Files of these names are replaced, each only once all are complete.
    seed, n_years, progress, end_date, time_zone, currency, slow_down_share, slow_down_from, ticket_keys
        As for `simulate_store`; not used for a store in memory.

    Returns
    -------
    dict of str to int
        Rows of each table.

    Raises
    ------
    ValueError
        As for `simulate_store`; nothing is written then.
    """
    if isinstance(store, SimulatedStore):
        frames = {name: getattr(store, name) for name in (*TABLES, "customers")}
        whole = {n: pa.Table.from_pandas(f, preserve_index=False) for n, f in frames.items() if f is not None}
        return _write_blocks(iter([whole]), Path(out_dir))
    clock = Clock.ending(end_date, n_years, time_zone)
    planted = _slow_down(clock, slow_down_share, slow_down_from)
    drawn = draw_blocks(store, seed, clock, currency, progress, planted)
    return _write_blocks((with_ticket_keys(block, ticket_keys) for block in drawn), Path(out_dir))


def _slow_down(clock: Clock, share: float, day: date | str | None) -> SlowDown | None:
    """Check what is to be planted; None where nothing is."""
    if not share and day is None:
        return None
    if not 0 < share <= MAX_SHARE or day is None:
        raise ValueError(f"a slow-down needs a share above 0, at most {MAX_SHARE}, and a date; got {share} and {day}")
    n = int((np.datetime64(str(day), "D") - clock.start).astype(int))
    if not 365 <= n < clock.n_days:
        raise ValueError(f"a slow-down must begin after the first year of the window and before its end, not on {day}")
    return SlowDown(share, float(clock.warp[n]))


def _frame(blocks: list[Block], name: str) -> pd.DataFrame:
    """Return one table of all blocks as a DataFrame with plain strings."""
    schema = plain_schema(blocks[0][name])
    return pa.concat_tables([block[name].cast(schema) for block in blocks]).to_pandas()


def _write_blocks(blocks: Iterator[Block], out_dir: Path) -> dict[str, int]:
    """Write blocks to ``*.parquet.partial`` and rename the files once all are complete; else remove them."""
    out_dir.mkdir(parents=True, exist_ok=True)
    writers: dict[str, pq.ParquetWriter] = {}
    n_rows: dict[str, int] = {}
    waiting: list[Block] = []

    def flush() -> None:
        for name in waiting[0] if waiting else ():
            table = pa.concat_tables([block[name] for block in waiting], promote_options="none")
            if name not in writers:
                path = out_dir / f"{name}.parquet.partial"
                writers[name] = pq.ParquetWriter(path, table.schema, store_schema=False, compression="zstd")
            writers[name].write_table(table, row_group_size=max(len(table), 1))
            n_rows[name] = n_rows.get(name, 0) + len(table)
        waiting.clear()

    try:
        for block in blocks:
            waiting.append(block)
            if len(waiting) == BLOCKS_PER_ROW_GROUP:
                flush()
        flush()
        for writer in writers.values():
            writer.close()
        for name in writers:
            os.replace(out_dir / f"{name}.parquet.partial", out_dir / f"{name}.parquet")
    finally:
        for name, writer in writers.items():
            writer.close()
            (out_dir / f"{name}.parquet.partial").unlink(missing_ok=True)
    return n_rows
