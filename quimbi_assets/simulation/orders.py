"""When customers order, and through which channel.

Belongs here: order times, channel, status and the decisions taken once an order. Does not: what is in the basket
(``baskets``).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from quimbi_assets.simulation import archetypes
from quimbi_assets.simulation.archetypes import Flags, Floats, Ints
from quimbi_assets.simulation.clock import Clock
from quimbi_assets.simulation.customers import ONE_TIME, SLOWER, Customers, phase

SOURCES = ("web", "pos", "draft_order", "other")
STATUSES = ("paid", "cancelled", "test")
MAX_ORDERS = 150  # orders of one customer at most
STRAY_CHANNEL_RATE = 0.02  # share of orders of one-channel customers that come through another one


@dataclass(frozen=True)
class Orders:
    """Orders of one block, by customer and time. Every array has shape (n_orders,)."""

    customer: Ints  # row in the block's `Customers`
    index: Ints  # 0 for the customer's first order
    day: Ints  # store-local, of the window
    utc_us: Ints  # microseconds since 1970, UTC
    source: Ints  # position in `SOURCES`
    status: Ints  # position in `STATUSES`
    discount_rate: Floats  # share taken off the order's gross value; 0 without a discount
    is_returned: Flags  # something of it is meant to go back

    def __len__(self) -> int:
        """Return the number of orders."""
        return len(self.customer)


def draw_orders(rng: np.random.Generator, customers: Customers, clock: Clock) -> Orders:
    """Draw all orders of a block of customers: at least one a customer, the first of them always a paid one."""
    customer, demand_day = _renewals(rng, customers, clock.n_days)
    sequence = times_before(customer)
    day, local_us = place_in_week(rng, customers, clock, customer, clock.calendar_day(demand_day), sequence)
    order = np.argsort(customer * (clock.n_days + 1) * 86_400 + local_us // 1_000_000, kind="stable")
    customer, day, local_us = customer[order], day[order], local_us[order]
    index = times_before(customer)
    status = _draw_status(rng, index)
    price_state = customers.states["price_sensitivity"][customer]
    has_discount = phase(customers, "discount", customer, index) < archetypes.DISCOUNT_RATE[price_state]
    depth = archetypes.DISCOUNT_DEPTH[price_state] * rng.uniform(0.8, 1.2, len(customer))
    return_rate = archetypes.RETURN_RATE[customers.states["return_behavior"][customer]]
    return Orders(
        customer=customer,
        index=index,
        day=day,
        utc_us=clock.to_utc(local_us),
        source=_draw_source(rng, customers, customer, index),
        status=status,
        discount_rate=np.where(has_discount, depth, 0.0),
        is_returned=(phase(customers, "return", customer, index) < return_rate) & (status == 0),
    )


def times_before(key: Ints) -> Ints:
    """Return how many equal keys stand anywhere before each element, shape (n,).

    >>> times_before(np.array([5, 3, 5, 5, 3])).tolist()
    [0, 0, 1, 2, 1]
    """
    return np.asarray(pd.Series(key).groupby(key).cumcount(), dtype=np.int64)


def place_in_week(
    rng: np.random.Generator, customers: Customers, clock: Clock, customer: Ints, day: Ints, sequence: Ints
) -> tuple[Ints, Ints]:
    """Move events to the weekday and hour of the customer's ``purchase_cadence``; all arrays have shape (n,).

    `sequence` numbers the event among the customer's. Returned are a day of the same week (of the week beside it at
    the window's edges), and store-local microseconds since the window's start.
    """
    cadence = customers.states["purchase_cadence"][customer]
    is_weekend = phase(customers, "weekend", customer, sequence) < archetypes.WEEKEND_RATE[cadence]
    moved = clock.within_week(day, is_weekend, rng.random(len(day)))
    hour = archetypes.HOUR_OF_DAY[cadence] + archetypes.HOUR_SPREAD[cadence] * rng.standard_normal(len(day))
    return moved, clock.at_hour(moved, hour)


def _renewals(rng: np.random.Generator, customers: Customers, n_days: int) -> tuple[Ints, Floats]:
    """Return customer and demand day of every order: gamma-distributed gaps until the last day.

    Enough gaps are drawn to pass the last day with near certainty; what lies behind it is dropped.
    """
    span = customers.last_day - customers.first_day
    room = np.ceil(span / customers.gap_days * 1.5).astype(np.int64) + 3
    room = np.where(customers.archetype == ONE_TIME, 1, np.minimum(room, MAX_ORDERS))
    customer = np.repeat(np.arange(len(customers)), room)
    shape = archetypes.GAP_VARIATION[customers.states["purchase_frequency"][customer]] ** -2.0
    gap = rng.standard_gamma(shape) / shape * customers.gap_days[customer]
    first = np.cumsum(room) - room
    gap[first] = 0.0
    demand_day = _arrivals(customers, customer, gap, first)
    late = demand_day > customers.slows_on[customer]
    if late.any():
        # The gap under way is a long one already: it began with the last order of the old rhythm.
        demand_day = _arrivals(customers, customer, np.where(late, gap * SLOWER, gap), first)
    is_kept = demand_day <= customers.last_day[customer]
    is_kept[first] = True
    return customer[is_kept], np.minimum(demand_day[is_kept], n_days)


def _arrivals(customers: Customers, customer: Ints, gap: Floats, first: Ints) -> Floats:
    """Return the demand day of every order: the first day and the gaps since, added up."""
    passed = np.cumsum(gap)
    return customers.first_day[customer] + passed - passed[first][customer]


def _draw_status(rng: np.random.Generator, index: Ints) -> Ints:
    """Return status codes: about 1.5 % cancelled and 0.2 % test, never a customer's first order."""
    draw = rng.random(len(index))
    return np.where(index == 0, 0, np.select([draw < 0.002, draw < 0.017], [2, 1], 0))


def _draw_source(rng: np.random.Generator, customers: Customers, customer: Ints, index: Ints) -> Ints:
    """Return channel codes: the customer's own channel, or web, pos and other in turn for the switching."""
    preference = customers.states["communication_preference"][customer]
    start = (phase(customers, "channel", customer, np.zeros_like(index)) * 3).astype(np.int64)
    in_turn = np.array([0, 1, 3])[(start + index) % 3]
    stray = rng.random(len(index)) < STRAY_CHANNEL_RATE
    usual = np.where(stray, np.array([1, 0, 0, 0])[preference], preference)
    return np.where(preference == 3, in_turn, usual)
