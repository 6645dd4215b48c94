"""Which product a line is: favourites bought again and again, and things bought once.

Belongs here: how ``category_exploration`` and ``repurchase_behavior`` turn into products. Does not: units, prices
and refunds (``baskets``).
"""

import numpy as np

from quimbi_assets.simulation.archetypes import TIER
from quimbi_assets.simulation.catalogue import Catalogue
from quimbi_assets.simulation.customers import Customers, phase
from quimbi_assets.simulation.orders import Orders, position_in_run

N_FAVOURITES = 5
N_HOMES = 3
"""Categories that the focused (the first two) and the selective (all) keep to."""
HOME_SHARES = np.array([[0.8, 0.2, 0.0], [0.34, 0.33, 0.33]])
"""Share of lines in each of them, for the focused and the selective; favourites come on top."""
FAVOURITE_HOMES = np.array([[0, 0, 0, 0, 1], [0, 1, 2, 0, 1], [0, 1, 2, 0, 1]])
"""Which of them each of the five favourites is from, by category_exploration."""
FAVOURITE_RATE = np.array([0.995, 0.4, 0.0])
"""Share of lines taken by favourites, by repurchase_behavior; the rest is never bought twice."""
FIRST_FAVOURITE_RATE = 0.95
"""Share of orders of the habitual that start with their first favourite."""
N_ROTATING = 4
"""Favourites of the rotating."""


def choose_products(
    rng: np.random.Generator,
    customers: Customers,
    orders: Orders,
    catalogue: Catalogue,
    order: np.ndarray,
    line_no: np.ndarray,
) -> np.ndarray:
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
        _times_before(customer * len(catalogue.category_popularity) + category),
    )
    starts = (rng.random(len(orders)) < FIRST_FAVOURITE_RATE)[order] & (line_no == 1)
    turn = 1 + (orders.index[order] + line_no) % (N_FAVOURITES - 1)
    rotation = phase(customers, "rotation", customer, line)
    slot = np.where(habit == 0, np.where(starts, 0, turn), (rotation / FAVOURITE_RATE[1] * N_ROTATING).astype(np.int64))
    is_favourite = np.where(habit == 0, rng.random(len(order)), rotation) < FAVOURITE_RATE[habit]
    favourites = _favourite_products(customers, catalogue, homes)
    return np.where(is_favourite, favourites[np.minimum(slot, N_FAVOURITES - 1), customer], novelty)


def _home_categories(rng: np.random.Generator, catalogue: Catalogue, n: int) -> np.ndarray:
    """Return different categories for every customer, shape (N_HOMES, n)."""
    n_categories = len(catalogue.category_popularity)
    steps = rng.integers(1, (n_categories - 1) // (N_HOMES - 1) + 1, (N_HOMES, n))
    steps[0] = catalogue.draw_category(rng.random(n))
    return np.cumsum(steps, axis=0) % n_categories


def _choose_categories(
    customers: Customers, catalogue: Catalogue, homes: np.ndarray, customer: np.ndarray, line: np.ndarray
) -> np.ndarray:
    """Return the category of every line that is no favourite, shape (n_lines,)."""
    position = phase(customers, "category", customer, line)
    breadth = customers.states["category_exploration"][customer]
    bounds = np.cumsum(HOME_SHARES, axis=1)[np.minimum(breadth, 1), : N_HOMES - 1]
    home = (position[:, None] >= bounds).sum(axis=1)
    return np.where(breadth == 2, catalogue.draw_category(position), homes[home, customer])


def _favourite_products(customers: Customers, catalogue: Catalogue, homes: np.ndarray) -> np.ndarray:
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


def _times_before(key: np.ndarray) -> np.ndarray:
    """Return how many equal keys stand anywhere before each element, shape (n,).

    Examples
    --------
    >>> _times_before(np.array([5, 3, 5, 5, 3])).tolist()
    [0, 0, 1, 2, 1]
    """
    by_key = np.argsort(key, kind="stable")
    times = np.empty(len(key), dtype=np.int64)
    times[by_key] = position_in_run(key[by_key])
    return times
