"""What is in the orders: lines, prices, discounts and refunds.

Belongs here: everything a line of an order holds (its product is a favourite bought again and again, or bought once),
and the totals of orders that follow from it. Money is counted in whole cents throughout, so totals reconcile exactly.
Does not: order times (``orders``).
"""

from dataclasses import dataclass

import numpy as np

from quimbi_assets.simulation.archetypes import GROWTH_ORDERS, GROWTH_UNITS, RETURNED_LINES, TIER, Floats, Ints
from quimbi_assets.simulation.catalogue import Catalogue
from quimbi_assets.simulation.clock import DAY_US
from quimbi_assets.simulation.customers import Customers, phase
from quimbi_assets.simulation.orders import Orders, times_before

LINES_UP_TO = np.array([0.08, 0.55, 0.88, 0.98])
"""Share of orders with at most one, two, three and four lines; the rest has five."""
N_FAVOURITES = 5
N_HOMES = 3  # categories that the focused (the first two) and the selective (all) keep to
HOME_SHARES = np.array([[0.8, 0.2, 0.0], [0.34, 0.33, 0.33]])
"""Share of lines in each of them, for the focused and the selective; favourites come on top."""
FAVOURITE_HOMES = np.array([[0, 0, 0, 0, 1], [0, 1, 2, 0, 1], [0, 1, 2, 0, 1]])
"""Which of them each of the five favourites is from, by category_exploration."""
FAVOURITE_RATE = np.array([0.995, 0.4, 0.0])
"""Share of lines taken by favourites, by repurchase_behavior; the rest is never bought twice."""
FIRST_FAVOURITE_RATE = 0.95  # share of orders of the habitual that start with their first favourite
N_ROTATING = 4  # favourites of the rotating


@dataclass(frozen=True)
class Baskets:
    """Order lines of one block (shape (n_lines,)) and what orders come to (shape (n_orders,)), money in cents."""

    order: Ints  # row in the block's `Orders`
    line_no: Ints  # from 1
    product: Ints
    quantity: Ints
    price: Ints  # of a unit
    refund: Ints  # given back on the line, 0 if nothing
    refunded_us: Ints  # microseconds since 1970, UTC; meaningless where `refund` is 0
    order_gross: Ints  # sum of ``quantity * price``
    order_discount: Ints  # taken off it
    order_refund: Ints  # given back


def fill_baskets(
    rng: np.random.Generator, customers: Customers, orders: Orders, catalogue: Catalogue, end_us: int
) -> Baskets:
    """Draw the lines of all orders; refunds that would come at or after `end_us` have not happened."""
    n_lines = 1 + np.searchsorted(LINES_UP_TO, rng.random(len(orders)), side="right")
    # Who means to send something back orders more to choose from; one line of one would void the whole order.
    n_lines = np.where(orders.is_returned, np.maximum(n_lines, 3), n_lines)
    first = np.cumsum(n_lines) - n_lines
    order = np.repeat(np.arange(len(orders)), n_lines)
    line_no = np.arange(len(order)) - first[order] + 1
    product = _choose_products(rng, customers, orders, catalogue, order, line_no)
    quantity = _draw_quantities(rng, customers, orders, order)
    price = catalogue.price_cents[product, orders.day[order] // 7]
    order_gross = np.add.reduceat(quantity * price, first)
    order_discount = np.rint(order_gross * orders.discount_rate).astype(np.int64)
    refund, refunded_us = _draw_refunds(
        rng, customers, orders, order, line_no, n_lines, quantity * price, order_discount / order_gross, end_us
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


def _choose_products(
    rng: np.random.Generator, customers: Customers, orders: Orders, catalogue: Catalogue, order: Ints, line_no: Ints
) -> Ints:
    """Return the product of every line, shape (n_lines,).

    Favourites by ``repurchase_behavior``; other lines from the categories of ``category_exploration``, each time a
    product not bought that way before.
    """
    homes = _home_categories(rng, catalogue, len(customers))
    customer = orders.customer[order]
    line = np.arange(len(order)) - np.searchsorted(customer, np.arange(len(customers)))[customer]
    habit = customers.states["repurchase_behavior"][customer]
    category = _choose_categories(customers, catalogue, homes, customer, line)
    novelty = catalogue.draw_product(
        category,
        TIER[customers.states["purchase_value"]][customer],
        phase(customers, "product", customer, category),
        times_before(customer * len(catalogue.category_popularity) + category),
    )
    starts = (rng.random(len(orders)) < FIRST_FAVOURITE_RATE)[order] & (line_no == 1)
    turn = 1 + (orders.index[order] + line_no) % (N_FAVOURITES - 1)
    rotation = phase(customers, "rotation", customer, line)
    slot = np.where(habit == 0, np.where(starts, 0, turn), (rotation / FAVOURITE_RATE[1] * N_ROTATING).astype(np.int64))
    is_favourite = np.where(habit == 0, rng.random(len(order)), rotation) < FAVOURITE_RATE[habit]
    favourites = _favourite_products(customers, catalogue, homes)
    return np.where(is_favourite, favourites[np.minimum(slot, N_FAVOURITES - 1), customer], novelty)


def _home_categories(rng: np.random.Generator, catalogue: Catalogue, n: int) -> Ints:
    """Return different categories for every customer, shape (N_HOMES, n)."""
    n_categories = len(catalogue.category_popularity)
    steps = rng.integers(1, (n_categories - 1) // (N_HOMES - 1) + 1, (N_HOMES, n))
    steps[0] = catalogue.draw_category(rng.random(n))
    return np.cumsum(steps, axis=0) % n_categories


def _choose_categories(customers: Customers, catalogue: Catalogue, homes: Ints, customer: Ints, line: Ints) -> Ints:
    """Return the category of every line that is no favourite, shape (n_lines,)."""
    position = phase(customers, "category", customer, line)
    breadth = customers.states["category_exploration"][customer]
    bounds = np.cumsum(HOME_SHARES, axis=1)[np.minimum(breadth, 1), : N_HOMES - 1]
    home = (position[:, None] >= bounds).sum(axis=1)
    return np.where(breadth == 2, catalogue.draw_category(position), homes[home, customer])


def _favourite_products(customers: Customers, catalogue: Catalogue, homes: Ints) -> Ints:
    """Return every customer's favourites, all different, shape (n_favourites, n_customers)."""
    everyone = np.arange(len(customers))
    tier = TIER[customers.states["purchase_value"]]
    of_favourite = FAVOURITE_HOMES[customers.states["category_exploration"]].T
    return np.stack(
        [
            catalogue.draw_product(
                homes[home, everyone],
                tier,
                phase(customers, "favourite", everyone, home),
                np.full(len(customers), slot),
            )
            for slot, home in enumerate(of_favourite)
        ]
    )


def _draw_quantities(rng: np.random.Generator, customers: Customers, orders: Orders, order: Ints) -> Ints:
    """Return units per line: mostly one, now and then up to six, and more and more for the growing."""
    draw = rng.random(len(order))
    bulk = 4 + (draw * 1000).astype(np.int64) % 3
    units = np.select([draw < 0.92, draw < 0.975, draw < 0.99], [1, 2, 3], bulk)
    run = np.minimum(orders.index // GROWTH_ORDERS, GROWTH_UNITS.shape[1] - 1)
    growth: Ints = GROWTH_UNITS[customers.states["purchase_value"][orders.customer], run]
    return units * growth[order]


def _draw_refunds(
    rng: np.random.Generator,
    customers: Customers,
    orders: Orders,
    order: Ints,
    line_no: Ints,
    n_lines: Ints,
    line_gross: Ints,
    discount_share: Floats,
    end_us: int,
) -> tuple[Ints, Ints]:
    """Return refund (cents) and refund time (microseconds UTC) of every line.

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
