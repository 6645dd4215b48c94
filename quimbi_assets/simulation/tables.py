"""Blocks of drawn arrays as Arrow tables: column names, types, ids and labels.

Belongs here: the shape of the tables. Does not: any drawing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.simulation.archetypes import ARCHETYPES, MIN_ORDERS, MIN_TICKETS, STATES, Flags, Ints
from quimbi_assets.simulation.baskets import Baskets
from quimbi_assets.simulation.catalogue import CATEGORIES, PRODUCT_TYPES, Catalogue
from quimbi_assets.simulation.customers import Customers
from quimbi_assets.simulation.orders import SOURCES, STATUSES, Orders
from quimbi_assets.simulation.tickets import CHANNELS, PRIORITIES, TICKET_STATUSES, TOPICS, Tickets

UTC = pa.timestamp("us", tz="UTC")
CURRENCY = "USD"
Block = dict[str, pa.Table]
"""The tables of one block of customers, by name."""


def number_ids(prefix: str, numbers: Ints, width: int) -> pa.StringArray:
    """Return ids of a letter and `width` digits; numbers from 0 to ``10**width - 1``.

    >>> number_ids("c", np.array([1, 27415]), 7).to_pylist()
    ['c0000001', 'c0027415']
    """
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def orders_table(order_number: Ints, customers: Customers, orders: Orders, baskets: Baskets) -> pa.Table:
    """Return the orders of a block, one row an order, numbered in the store; guests have no customer id."""
    customer_id = number_ids("c", customers.number[orders.customer], 7)
    is_guest = pa.array(customers.is_guest[orders.customer])
    return pa.table(
        {
            "order_id": number_ids("o", order_number, 10),
            "customer_id": pc.if_else(is_guest, pa.scalar(None, pa.string()), customer_id),
            "order_date": pa.array(orders.utc_us).cast(UTC),
            "total_price": _money(baskets.order_gross - baskets.order_discount),
            "discount_amount": _money(baskets.order_discount),
            "source": _named(orders.source, SOURCES),
            "status": _named(orders.status, STATUSES),
            "currency": _named(np.zeros_like(orders.status), (CURRENCY,)),
            "refund_amount": _money(baskets.order_refund),
        }
    )


def items_table(order_number: Ints, baskets: Baskets, catalogue: Catalogue) -> pa.Table:
    """Return the order lines of a block; lines never sent back have ``refund_amount`` 0 and no ``refunded_at``."""
    products = number_ids("p", np.arange(len(catalogue.product_type)) + 1, 5)
    return pa.table(
        {
            "order_id": number_ids("o", order_number[baskets.order], 10),
            "line_no": pa.array(baskets.line_no.astype(np.int32)),
            "product_id": pa.DictionaryArray.from_arrays(baskets.product.astype(np.int32), products),
            "category": _named(catalogue.category_of(baskets.product), tuple(CATEGORIES)),
            "product_type": _named(catalogue.product_type[baskets.product], PRODUCT_TYPES),
            "quantity": pa.array(baskets.quantity.astype(np.int32)),
            "price": _money(baskets.price),
            "refund_amount": _money(baskets.refund),
            "refunded_at": pa.array(baskets.refunded_us, mask=baskets.refund == 0).cast(UTC),
        }
    )


def tickets_table(ticket_number: Ints, customers: Customers, tickets: Tickets, end_us: int) -> pa.Table:
    """Return the tickets of a block; what lies at or after `end_us` has not happened and is null."""
    subjects = [subject for subject, _ in TOPICS.values()]
    tags = [tag for _, tag in TOPICS.values()]
    unrated = tickets.satisfaction == 0
    return pa.table(
        {
            "ticket_id": number_ids("t", ticket_number, 10),
            "customer_id": number_ids("c", customers.number[tickets.customer], 7),
            "created_at": pa.array(tickets.created_us).cast(UTC),
            "channel": _named(tickets.channel, CHANNELS),
            "status": _named(tickets.status, TICKET_STATUSES),
            "priority": _named(tickets.priority, PRIORITIES),
            "subject": _named(tickets.topic, subjects),
            "tags": _named(tickets.topic, tags, ~tickets.is_tagged),
            "first_response_at": _until(tickets.first_response_us, end_us),
            "resolved_at": _until(tickets.resolved_us, end_us),
            "satisfaction_score": pa.array(tickets.satisfaction.astype(np.int32), mask=unrated),
            "reopen_count": pa.array(tickets.reopen_count.astype(np.int32)),
        }
    )


def labels_table(customers: Customers, orders: Orders, tickets: Tickets, with_rhythm: bool = False) -> pa.Table:
    """Return the planted truth of a block: one row an identified customer.

    With a planted slow-down there are ``slows_down`` and ``is_brisk``, whether they bought every few days before.
    A state is null where the customer has too few valid orders (tickets, for ``support_history``) to show it.
    """
    known = np.flatnonzero(~customers.is_guest)
    n_orders = np.bincount(orders.customer[orders.status == 0], minlength=len(customers))[known]
    n_tickets = np.bincount(tickets.customer, minlength=len(customers))[known]
    columns: dict[str, Any] = {
        "customer_id": number_ids("c", customers.number[known], 7),
        "archetype": _named(customers.archetype[known], [a.name for a in ARCHETYPES]),
    }
    for axis, names in STATES.items():
        hidden = n_orders < MIN_ORDERS[axis]
        if axis == "support_history":
            hidden = n_tickets < MIN_TICKETS
        columns[axis] = _named(customers.states[axis][known], names, hidden)
    if with_rhythm:
        columns["slows_down"] = pa.array(np.isfinite(customers.slows_on[known]))
        columns["is_brisk"] = pa.array(customers.is_brisk[known])
    return pa.table(columns)


def _money(cents: Ints) -> pa.Array:
    """Return cents as an amount of money (float64)."""
    return pa.array(cents / 100.0)


def _named(codes: Ints, names: Sequence[str], hidden: Flags | None = None) -> pa.DictionaryArray:
    """Return codes as their names; null where `hidden`."""
    indices = pa.array(codes.astype(np.int8), mask=hidden)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(names)))


def _until(instant_us: Ints, end_us: int) -> pa.Array:
    """Return UTC times, null from `end_us` on."""
    return pa.array(instant_us, mask=instant_us >= end_us).cast(UTC)
