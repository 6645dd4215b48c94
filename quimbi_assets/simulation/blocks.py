"""A store drawn block by block: seeds, blocks of customers, and what belongs to which.

Belongs here: putting the pieces of one block together. Does not: what to do with blocks (``store``).

Customers are drawn in blocks of fixed size, each from its own seed. A store is therefore the same however it is
written, and a smaller store of the same seed is the beginning of a larger one.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from quimbi_assets.simulation.baskets import fill_baskets
from quimbi_assets.simulation.catalogue import Catalogue, build_catalogue
from quimbi_assets.simulation.clock import Clock
from quimbi_assets.simulation.customers import draw_customers
from quimbi_assets.simulation.orders import draw_orders
from quimbi_assets.simulation.slow_down import SlowDown, plant_slow_down
from quimbi_assets.simulation.tables import Block, items_table, labels_table, orders_table, tickets_table
from quimbi_assets.simulation.tickets import draw_tickets

BLOCK_CUSTOMERS = 4096
"""Customers drawn together. Part of what a seed means: changing it changes every simulated store."""
NUMBERS_PER_BLOCK = 1_000_000
"""Order numbers reserved for a block, more than it can use."""
MAX_CUSTOMERS = 9_999_999
"""Customer ids have seven digits."""

PLANTED = 1
"""Stream, beside a block's own, of what is planted on request."""
SUPPORT = 2
"""Stream of its tickets: whatever they come to hold, orders stay what they are."""

Progress = Callable[[int, int], None]
"""Called with customers done and customers wanted."""


def draw_blocks(
    n_customers: int,
    seed: int,
    clock: Clock,
    currency: str,
    progress: Progress | None,
    slow_down: SlowDown | None = None,
) -> Iterator[Block]:
    """Check the arguments and return the store's blocks, drawn one by one."""
    if not 1 <= n_customers <= MAX_CUSTOMERS:
        raise ValueError(f"the number of customers must be from 1 to {MAX_CUSTOMERS:,}, not {n_customers}")
    if seed < 0:
        raise ValueError(f"the seed must be 0 or more, not {seed}")
    catalogue = build_catalogue(_generator(seed, 0), clock.n_days)

    def drawn() -> Iterator[Block]:
        for first in range(0, n_customers, BLOCK_CUSTOMERS):
            yield _draw_block(seed, first // BLOCK_CUSTOMERS, n_customers, clock, catalogue, currency, slow_down)
            if progress is not None:
                progress(min(first + BLOCK_CUSTOMERS, n_customers), n_customers)

    return drawn()


def _draw_block(
    seed: int,
    block: int,
    last_number: int,
    clock: Clock,
    catalogue: Catalogue,
    currency: str,
    slow_down: SlowDown | None,
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
    tables = {
        "orders": orders_table(order_number, customers, orders, baskets, currency),
        "order_items": items_table(order_number, baskets, catalogue),
        "support_tickets": tickets_table(ticket_number, customers, tickets, clock.end_us),
        "labels": labels_table(customers, orders, tickets, slow_down is not None),
    }
    wanted = customers.number <= last_number
    if wanted.all():
        return tables
    rows = {
        "orders": wanted[orders.customer],
        "order_items": wanted[orders.customer[baskets.order]],
        "support_tickets": wanted[tickets.customer],
        "labels": wanted[~customers.is_guest],
    }
    return {name: table.filter(pa.array(rows[name])) for name, table in tables.items()}


def _generator(seed: int, *stream: int) -> np.random.Generator:
    """Return the generator of one independent stream of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=stream))
