"""What is in the orders: lines, prices, discounts and refunds.

Belongs here: everything a line of an order holds, and the totals of orders that follow from it. Money is counted in
whole cents throughout, so totals reconcile exactly. Does not: which product a line is (``choices``),
order times (``orders``).
"""

from dataclasses import dataclass

import numpy as np

from quimbi_assets.simulation.archetypes import GROWTH_ORDERS, GROWTH_UNITS, RETURNED_LINES
from quimbi_assets.simulation.catalogue import Catalogue
from quimbi_assets.simulation.choices import choose_products
from quimbi_assets.simulation.clock import DAY_US
from quimbi_assets.simulation.customers import Customers
from quimbi_assets.simulation.orders import Orders

LINES_UP_TO = np.array([0.08, 0.55, 0.88, 0.98])
"""Share of orders with at most one, two, three and four lines; the rest has five."""


@dataclass(frozen=True)
class Baskets:
    """Order lines of one block (shape (n_lines,)) and what orders come to (shape (n_orders,)), money in cents.

    Parameters
    ----------
    order : ndarray of int
        Row in the block's `Orders`.
    line_no : ndarray of int
        From 1.
    product, quantity, price : ndarray of int
        Product, units, unit price.
    refund : ndarray of int
        Money given back on the line, 0 if none.
    refunded_us : ndarray of int
        Microseconds since 1970, UTC; meaningless where `refund` is 0.
    order_gross, order_discount, order_refund : ndarray of int
        Sum of ``quantity * price``, what was taken off it, and what was given back.
    """

    order: np.ndarray
    line_no: np.ndarray
    product: np.ndarray
    quantity: np.ndarray
    price: np.ndarray
    refund: np.ndarray
    refunded_us: np.ndarray
    order_gross: np.ndarray
    order_discount: np.ndarray
    order_refund: np.ndarray


def fill_baskets(
    rng: np.random.Generator, customers: Customers, orders: Orders, catalogue: Catalogue, end_us: int
) -> Baskets:
    """Draw the lines of all orders.

    Parameters
    ----------
    rng : numpy.random.Generator
    customers : Customers
    orders : Orders
    catalogue : Catalogue
    end_us : int
        End of the window, exclusive: refunds that would come later have not happened.
    """
    n_lines = 1 + np.searchsorted(LINES_UP_TO, rng.random(len(orders)), side="right")
    # Who means to send something back orders more to choose from; one line of one would void the whole order.
    n_lines = np.where(orders.is_returned, np.maximum(n_lines, 3), n_lines)
    first = np.cumsum(n_lines) - n_lines
    order = np.repeat(np.arange(len(orders)), n_lines)
    line_no = np.arange(len(order)) - first[order] + 1
    product = choose_products(rng, customers, orders, catalogue, order, line_no)
    quantity = _draw_quantities(rng, customers, orders, order)
    price = catalogue.price_cents[product, orders.day[order] // 7]
    order_gross = np.add.reduceat(quantity * price, first)
    order_discount = np.rint(order_gross * orders.discount_rate).astype(np.int64)
    refund, refunded_us = _draw_refunds(
        rng,
        customers,
        orders,
        order,
        line_no,
        n_lines,
        quantity * price,
        order_discount / order_gross,
        end_us,
    )
    return Baskets(
        order=order,
        line_no=line_no,
        product=product,
        quantity=quantity,
        price=price,
        refund=refund,
        refunded_us=refunded_us,
        order_gross=order_gross,
        order_discount=order_discount,
        order_refund=np.add.reduceat(refund, first),
    )


def _draw_quantities(rng: np.random.Generator, customers: Customers, orders: Orders, order: np.ndarray) -> np.ndarray:
    """Return units per line: mostly one, now and then up to six, and more and more for the growing."""
    draw = rng.random(len(order))
    bulk = 4 + (draw * 1000).astype(np.int64) % 3
    units = np.select([draw < 0.92, draw < 0.975, draw < 0.99], [1, 2, 3], bulk)
    run = np.minimum(orders.index // GROWTH_ORDERS, GROWTH_UNITS.shape[1] - 1)
    return units * GROWTH_UNITS[customers.states["purchase_value"][orders.customer], run][order]


def _draw_refunds(
    rng: np.random.Generator,
    customers: Customers,
    orders: Orders,
    order: np.ndarray,
    line_no: np.ndarray,
    n_lines: np.ndarray,
    line_gross: np.ndarray,
    discount_share: np.ndarray,
    end_us: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return refund (cents) and refund time (microseconds UTC) of every line.

    Notes
    -----
    A line's refund is its gross value less the order's share of discount, rounded down: the refunds of an order
    never exceed what was paid for it. They come 3 to 28 days after the order.
    """
    state = customers.states["return_behavior"][orders.customer]
    chosen = 1 + (rng.random(len(orders)) * n_lines).astype(np.int64)
    further = rng.random(len(order)) < RETURNED_LINES[state][order]
    delay_us = (rng.uniform(3, 28, len(orders)) * DAY_US).astype(np.int64) // 1_000_000 * 1_000_000
    refunded_us = orders.utc_us + delay_us
    goes_back = (orders.is_returned & (refunded_us < end_us))[order] & ((line_no == chosen[order]) | further)
    value = np.floor(line_gross * (1 - discount_share[order]) + 1e-9).astype(np.int64)
    return np.where(goes_back, value, 0), refunded_us[order]
