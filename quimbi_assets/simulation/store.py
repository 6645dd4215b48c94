"""A whole simulated store, drawn block by block, in memory or on disk.

Belongs here: the two public functions, the files they write, and putting the pieces of a block together. Does not:
drawing any of them.

Customers are drawn in blocks of fixed size, each from its own seed. A store is therefore the same however it is
written, and a smaller store of the same seed is the beginning of a larger one.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from quimbi_assets.simulation import tables
from quimbi_assets.simulation.baskets import fill_baskets
from quimbi_assets.simulation.catalogue import Catalogue, build_catalogue
from quimbi_assets.simulation.clock import Clock
from quimbi_assets.simulation.customers import MAX_SHARE, SlowDown, draw_customers, plant_slow_down
from quimbi_assets.simulation.effects import Effect
from quimbi_assets.simulation.orders import draw_orders
from quimbi_assets.simulation.tables import Block
from quimbi_assets.simulation.tickets import draw_tickets

BLOCK_CUSTOMERS = 4096
"""Customers drawn together. Part of what a seed means: changing it changes every simulated store."""
NUMBERS_PER_BLOCK = 1_000_000  # order numbers reserved for a block, more than it can use
MAX_CUSTOMERS = 9_999_999  # customer ids have seven digits

PLANTED = 1  # stream, beside a block's own, of what is planted on request
SUPPORT = 2  # stream of its tickets: whatever they come to hold, orders stay what they are

Progress = Callable[[int, int], None]
"""Called with customers done and customers wanted."""

BLOCKS_PER_ROW_GROUP = 8  # blocks written at once, about 200,000 orders and 500,000 lines


@dataclass(frozen=True)
class SimulatedStore:
    """A simulated store in memory: tables with the columns that `quimbi load` reads, times in UTC, and the truth.

    ``labels``, shape (n_customers, 11): ``customer_id``, ``archetype``, and per planted axis the customer's state (null
    where too few orders or tickets show it).
    """

    orders: pd.DataFrame
    order_items: pd.DataFrame
    support_tickets: pd.DataFrame
    labels: pd.DataFrame


class StoreOptions(TypedDict, total=False):
    """What may be asked of a simulated store; see `simulate_store`."""

    seed: int
    progress: Progress | None
    end_date: date | str
    time_zone: str
    slow_down_share: float
    slow_down_from: date | str | None
    effect: Effect | None


def simulate_store(n_customers: int, **options: Unpack[StoreOptions]) -> SimulatedStore:
    """Simulate a store in memory; a ValueError if the number of customers or an option is out of range.

    ``n_customers`` are identified ones, 1 to 9,999,999; guest orders come on top (about 1 % of orders). The same
    ``seed`` (0) gives the same store; with another number of customers, those that both have are the same. Three years
    end with the store-local day ``end_date`` (2025-12-31). Weekdays and hours are those of the IANA ``time_zone``
    (America/New_York). ``progress(done, total)`` is called in customers. ``slow_down_share`` (0 to 0.25) of customers
    slow down from the store-local day ``slow_down_from`` on: twice as many are made to buy every few days
    (``customers``), and ``labels`` has ``slows_down`` and ``is_brisk``. An ``effect`` of acting on customers adds
    orders of theirs (``effects``), and ``labels`` has ``acted_on``.

    >>> store = simulate_store(50, seed=1)
    >>> len(store.labels), store.orders["order_id"].is_unique
    (50, True)
    """
    blocks = list(_draw_blocks(n_customers, **options))
    return SimulatedStore(**{name: _frame(blocks, name) for name in blocks[0]})


def write_store(n_customers: int, out_dir: str | Path, **options: Unpack[StoreOptions]) -> dict[str, int]:
    """Write a store as ``orders``, ``order_items``, ``support_tickets`` and ``labels`` ``.parquet``.

    It is drawn and written block by block, in bounded memory, with the options of `simulate_store`. Files of these
    names are replaced, each only once all are complete; where an option is refused nothing is written. Returned are
    the rows of each table.
    """
    blocks, folder = _draw_blocks(n_customers, **options), Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, pq.ParquetWriter] = {}
    n_rows: dict[str, int] = {}
    waiting: list[Block] = []

    def flush() -> None:
        for name in waiting[0] if waiting else ():
            table = pa.concat_tables([block[name] for block in waiting], promote_options="none")
            if name not in writers:
                path = folder / f"{name}.parquet.partial"
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
            os.replace(folder / f"{name}.parquet.partial", folder / f"{name}.parquet")
    finally:
        for name, writer in writers.items():
            writer.close()
            (folder / f"{name}.parquet.partial").unlink(missing_ok=True)
    return n_rows


def _draw_blocks(
    n_customers: int,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    end_date: date | str = "2025-12-31",
    time_zone: str = "America/New_York",
    slow_down_share: float = 0.0,
    slow_down_from: date | str | None = None,
    effect: Effect | None = None,
) -> Iterator[Block]:
    """Check the arguments and return the store's blocks, drawn one by one."""
    clock = Clock.ending(end_date, time_zone)
    slow_down = _slow_down(clock, slow_down_share, slow_down_from)
    if not 1 <= n_customers <= MAX_CUSTOMERS:
        raise ValueError(f"the number of customers must be from 1 to {MAX_CUSTOMERS:,}, not {n_customers}")
    if seed < 0:
        raise ValueError(f"the seed must be 0 or more, not {seed}")
    catalogue = build_catalogue(_generator(seed, 0), clock.n_days)

    def drawn() -> Iterator[Block]:
        for first in range(0, n_customers, BLOCK_CUSTOMERS):
            block = _draw_block(seed, first // BLOCK_CUSTOMERS, n_customers, clock, catalogue, slow_down)
            yield block if effect is None else effect.planted(block, seed + first)
            if progress is not None:
                progress(min(first + BLOCK_CUSTOMERS, n_customers), n_customers)

    return drawn()


def _draw_block(
    seed: int, block: int, last_number: int, clock: Clock, catalogue: Catalogue, slow_down: SlowDown | None
) -> Block:
    """Draw one block and drop the customers numbered above `last_number`."""
    rng = _generator(seed, 1 + block)
    customers = draw_customers(rng, block * BLOCK_CUSTOMERS + 1, BLOCK_CUSTOMERS, clock.n_days)
    if slow_down is not None:
        customers = plant_slow_down(_generator(seed, 1 + block, PLANTED), customers, slow_down, clock.n_days)
    orders = draw_orders(rng, customers, clock)
    baskets = fill_baskets(rng, customers, orders, catalogue, clock.end_us)
    tickets = draw_tickets(_generator(seed, 1 + block, SUPPORT), customers, orders, clock)
    order_number = np.empty(len(orders), dtype=np.int64)
    order_number[np.argsort(orders.utc_us, kind="stable")] = np.arange(len(orders))
    order_number += block * NUMBERS_PER_BLOCK
    ticket_number = block * NUMBERS_PER_BLOCK + np.arange(len(tickets))
    drawn = {
        "orders": tables.orders_table(order_number, customers, orders, baskets),
        "order_items": tables.items_table(order_number, baskets, catalogue),
        "support_tickets": tables.tickets_table(ticket_number, customers, tickets, clock.end_us),
        "labels": tables.labels_table(customers, orders, tickets, slow_down is not None),
    }
    wanted = customers.number <= last_number
    if wanted.all():
        return drawn
    rows = {
        "orders": wanted[orders.customer],
        "order_items": wanted[orders.customer[baskets.order]],
        "support_tickets": wanted[tickets.customer],
        "labels": wanted[~customers.is_guest],
    }
    return {name: table.filter(pa.array(rows[name])) for name, table in drawn.items()}


def _generator(seed: int, *stream: int) -> np.random.Generator:
    """Return the generator of one independent stream of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=stream))


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
    """Return one table of all blocks as a DataFrame, with plain strings for dictionaries."""
    fields = blocks[0][name].schema
    schema = pa.schema([(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in fields])
    frame: pd.DataFrame = pa.concat_tables([block[name].cast(schema) for block in blocks]).to_pandas()
    return frame
