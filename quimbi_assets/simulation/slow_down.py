"""A planted change: some of the customers who buy every few days slow down from a known date.

Belongs here: who is made to buy every few days, and who of them slows down. Does not: drawing orders (``orders``).

A change can be seen within two weeks only in customers who would have bought several times in them, and the states of
``archetypes`` know none: the frequent buy every three weeks. So twice the share that slows down is made *brisk*: the
first half of them slow down, the others go on and show what is no change.
"""

from dataclasses import dataclass, replace

import numpy as np

from quimbi_assets.simulation.archetypes import STATES
from quimbi_assets.simulation.customers import ONE_TIME, Customers

BRISK_GAP_DAYS = 5.0
"""Typical days between orders of the brisk."""
SLOWER = 6.0
"""How many times as long the gaps of those who slow down become."""
KNOWN_DAYS = (90.0, 300.0)
"""Days before the date from which the brisk have been customers."""
MAX_SHARE = 0.25


@dataclass(frozen=True)
class SlowDown:
    """What is planted.

    Parameters
    ----------
    share : float
        Share of identified customers who slow down, 0 to 0.25.
    demand_day : float
        When, in demand days.
    """

    share: float
    demand_day: float


def plant_slow_down(rng: np.random.Generator, customers: Customers, slow_down: SlowDown, n_days: int) -> Customers:
    """Make some customers brisk, and let half of them slow down.

    Parameters
    ----------
    rng : numpy.random.Generator
        Of its own, so that all other customers are those of the store without a slow-down.
    customers : Customers
    slow_down : SlowDown
    n_days : int
        Length of the window in days.

    Returns
    -------
    Customers
        Guests and those who buy once are left alone; the brisk are frequent buyers in their states too.
    """
    able = np.flatnonzero(~customers.is_guest & (customers.archetype != ONE_TIME))
    n_slow = round(slow_down.share * int((~customers.is_guest).sum()))
    chosen = rng.permutation(able)[: 2 * n_slow]
    first, last, gap = customers.first_day.copy(), customers.last_day.copy(), customers.gap_days.copy()
    first[chosen] = np.maximum(slow_down.demand_day - rng.uniform(*KNOWN_DAYS, len(chosen)), 0.0)
    last[chosen] = n_days
    gap[chosen] = BRISK_GAP_DAYS * rng.lognormal(0.0, 0.15, len(chosen))
    slows_on = customers.slows_on.copy()
    slows_on[chosen[:n_slow]] = slow_down.demand_day
    states = {axis: codes.copy() for axis, codes in customers.states.items()}
    states["purchase_frequency"][chosen] = STATES["purchase_frequency"].index("frequent")
    states["purchase_value"][chosen] = STATES["purchase_value"].index("large_baskets")
    is_brisk = np.isin(np.arange(len(customers)), chosen)
    return replace(
        customers,
        first_day=first,
        last_day=last,
        gap_days=gap,
        slows_on=slows_on,
        is_brisk=is_brisk,
        states=states,
    )
