"""Who buys: the customers of one block, their archetype, states and personal constants.

Belongs here: what is fixed for a customer, and a change planted in some. Does not: anything that varies from order to
order.

The planted change: some of the customers who buy every few days slow down from a known date. It can be seen within two
weeks only in customers who would have bought several times in them, and the states of ``archetypes`` know none: the
frequent buy every three weeks. So twice the share that slows down is made *brisk*: the first half of them slow down,
the others go on and show what is no change.
"""

from dataclasses import dataclass, replace

import numpy as np

from quimbi_assets.simulation import archetypes
from quimbi_assets.simulation.archetypes import Flags, Floats, Ints

GUEST_RATE = 0.06  # guest buyers (one order, no customer id) per identified customer: about 1 % of all orders
SMALL_ONCE_RATE = 0.5  # share of one-time buyers whose only basket is small, whomever they resemble otherwise
ONE_TIME = next(i for i, a in enumerate(archetypes.ARCHETYPES) if not a.states)
BRISK_GAP_DAYS = 5.0  # typical days between orders of the brisk
SLOWER = 6.0  # how many times as long the gaps of those who slow down become
KNOWN_DAYS = (90.0, 300.0)  # days before the date from which the brisk have been customers
MAX_SHARE = 0.25  # of identified customers who slow down


@dataclass(frozen=True)
class Customers:
    """The customers of one block, guests last. Arrays have shape (n,), `offsets` (n_sequences, n)."""

    number: Ints  # in the store, from 1; a guest carries that of the customer it came with
    is_guest: Flags
    archetype: Ints  # position in `ARCHETYPES`
    states: dict[str, Ints]  # by axis; one-time buyers and guests have them too, though nobody can see it
    first_day: Floats  # of activity, in demand days
    last_day: Floats  # no order after it
    gap_days: Floats  # mean days between orders
    offsets: Floats  # starting points of the customer's sequences (`phase`), 0-1
    slows_on: Floats  # demand day from which the gaps of those who slow down are longer; else infinite
    is_brisk: Flags  # made to buy every few days

    def __len__(self) -> int:
        """Return the number of customers, guests included."""
        return len(self.number)


SEQUENCES = {
    "discount": 0.6180339887,
    "return": 0.4142135624,
    "weekend": 0.7320508076,
    "ticket": 0.2360679775,
    "category": 0.7548776662,
    "product": 0.5698402910,
    "favourite": 0.6457513111,
    "rotation": 0.2426406871,
    "channel": 0.3027756377,
}
"""Irrational step of each sequence; no two share one, so that no two choices of a customer move in step."""


def phase(customers: Customers, sequence: str, customer: Ints, position: Ints) -> Floats:
    """Return the `position`-th (0, 1, ...) value of customers' low-discrepancy sequences: 0-1, shape (n,).

    ``frac(offset + position * step)``. A customer's share of values under p is p within about ``1 / n`` after n
    events, against ``sqrt(p (1 - p) / n)`` for independent draws: a habit shows after few orders.
    """
    row = list(SEQUENCES).index(sequence)
    value: Floats = (customers.offsets[row, customer] + position * SEQUENCES[sequence]) % 1.0
    return value


def draw_customers(rng: np.random.Generator, first_number: int, n_customers: int, n_days: int) -> Customers:
    """Draw a block of identified customers, numbered from `first_number`, and its guests."""
    n_guests = int(n_customers * GUEST_RATE)
    n = n_customers + n_guests
    is_guest = np.arange(n) >= n_customers
    host = np.arange(n_guests) * n_customers // max(n_guests, 1)
    shares = np.array([a.share for a in archetypes.ARCHETYPES])
    archetype = rng.choice(len(archetypes.ARCHETYPES), n, p=shares / shares.sum())
    archetype[is_guest] = ONE_TIME
    states = _draw_states(rng, archetype)
    first_day, last_day, gap_days = _draw_activity(rng, states["purchase_frequency"], archetype == ONE_TIME, n_days)
    return Customers(
        number=first_number + np.concatenate([np.arange(n_customers), host]),
        is_guest=is_guest,
        archetype=archetype,
        states=states,
        first_day=first_day,
        last_day=last_day,
        gap_days=gap_days,
        offsets=rng.random((len(SEQUENCES), n)),
        slows_on=np.full(n, np.inf),
        is_brisk=np.zeros(n, dtype=bool),
    )


def _draw_states(rng: np.random.Generator, archetype: Ints) -> dict[str, Ints]:
    """Return every customer's state on every axis: the archetype's, now and then a borrowed one."""
    table = archetypes.state_codes()
    n, n_repeat = len(archetype), len(archetypes.ARCHETYPES) - 1
    base = np.where(archetype == ONE_TIME, rng.integers(0, n_repeat, n), archetype)
    states: dict[str, Ints] = {}
    for group in archetypes.GROUPS:
        borrowed = rng.random(n) < archetypes.BORROWED_RATE
        source = np.where(borrowed, rng.integers(0, n_repeat, n), base)
        states |= {axis: table[axis][source] for axis in group}
    buys_small = (archetype == ONE_TIME) & (rng.random(n) < SMALL_ONCE_RATE)
    states["purchase_value"] = np.where(buys_small, 0, states["purchase_value"])
    return {axis: states[axis] for axis in archetypes.STATES}


def _draw_activity(
    rng: np.random.Generator, frequency: Ints, is_one_time: Flags, n_days: int
) -> tuple[Floats, Floats, Floats]:
    """Return first day, last day and mean gap of every customer, in demand days.

    The frequent joined within the last year or so (a growing store), the occasional over the whole window,
    the lapsed long ago and fell silent at least a quarter of the window before its end.
    """
    n = len(frequency)
    gap = archetypes.GAP_DAYS[frequency] * rng.lognormal(0.0, 0.15, n)
    frequent_first = n_days - np.minimum(rng.uniform(30, 380, n), n_days)
    occasional_first = n_days * rng.uniform(0.0, 0.75, n) ** 1.3
    lapsed_last = n_days * rng.uniform(0.30, 0.75, n)
    lapsed_first = np.maximum(lapsed_last - gap * rng.uniform(4.5, 8.5, n), 0)
    first = np.choose(frequency, [frequent_first, occasional_first, lapsed_first])
    last = np.where(frequency == 2, lapsed_last, float(n_days))
    once = n_days * rng.random(n) ** 0.8
    first = np.where(is_one_time, once, first)
    last = np.where(is_one_time, once, last)
    return first, last, gap


@dataclass(frozen=True)
class SlowDown:
    """The share of identified customers who slow down (0 to `MAX_SHARE`), and from which demand day on."""

    share: float
    demand_day: float


def plant_slow_down(rng: np.random.Generator, customers: Customers, slow_down: SlowDown, n_days: int) -> Customers:
    """Make some customers brisk, and let half of them slow down.

    Guests and those who buy once are left alone; the brisk are frequent buyers in their states too. `rng` is one of
    its own, so that all other customers are those of the store without a slow-down.
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
    states["purchase_frequency"][chosen] = archetypes.STATES["purchase_frequency"].index("frequent")
    states["purchase_value"][chosen] = archetypes.STATES["purchase_value"].index("large_baskets")
    return replace(
        customers,
        first_day=first,
        last_day=last,
        gap_days=gap,
        slows_on=slows_on,
        is_brisk=np.isin(np.arange(len(customers)), chosen),
        states=states,
    )
