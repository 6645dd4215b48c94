"""What support hears: tickets after orders.

Belongs here: tickets, their topics, times and ratings. Does not: the orders they are about.
"""

from dataclasses import dataclass

import numpy as np

from quimbi_assets.simulation import archetypes
from quimbi_assets.simulation.archetypes import Flags, Floats, Ints
from quimbi_assets.simulation.clock import Clock
from quimbi_assets.simulation.customers import Customers, phase
from quimbi_assets.simulation.orders import Orders, place_in_week, times_before

HOUR_US = 3_600_000_000
CHANNELS = ("email", "phone", "chat")
TICKET_STATUSES = ("open", "pending", "closed")
PRIORITIES = ("low", "normal", "high", "urgent")
TOPICS: dict[str, tuple[str, str]] = {
    "product_question": ("Question about a product", "product_question"),
    "shipping": ("Where is my order?", "shipping,delivery"),
    "return_request": ("I would like to return an item", "return_request,refund"),
    "complaint": ("Not happy with my order", "complaint"),
}
"""Topic: subject and tags."""

CHANNEL_SHARES = np.array([[0.1, 0.0, 0.9], [0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.34, 0.33, 0.33]])
"""Share of ticket channels, by communication_preference."""
PRIORITY_SHARES = np.array([[0.3, 0.6, 0.1, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.4, 0.4, 0.2]])
"""Share of priorities, by support_history."""
TAGGED_RATE = 0.8  # share of tickets that somebody tagged; of the others only the subject tells the topic
RATED_RATE = 0.7  # share of resolved tickets that are rated
TOPIC_STEP, CHANNEL_STEP = 0.6180339887, 0.4142135624
"""Irrational steps of the sequences that topics and channels of a customer's tickets follow (``customers.phase``)."""


@dataclass(frozen=True)
class Tickets:
    """Tickets of one block. Every array has shape (n_tickets,); times are microseconds since 1970, UTC.

    A time at or after the window's end has not come yet.
    """

    customer: Ints  # row in the block's `Customers`
    created_us: Ints
    first_response_us: Ints
    resolved_us: Ints
    channel: Ints  # position in `CHANNELS`
    status: Ints  # position in `TICKET_STATUSES`
    priority: Ints  # position in `PRIORITIES`
    topic: Ints  # position in `TOPICS`
    is_tagged: Flags
    satisfaction: Ints  # 1-5, 0 where not rated
    reopen_count: Ints

    def __len__(self) -> int:
        """Return the number of tickets."""
        return len(self.customer)


def draw_tickets(rng: np.random.Generator, customers: Customers, orders: Orders, clock: Clock) -> Tickets:
    """Draw the tickets that follow a block's paid orders; guests write none."""
    history = customers.states["support_history"]
    asks = phase(customers, "ticket", orders.customer, orders.index) < archetypes.TICKET_RATE[history[orders.customer]]
    asks &= (orders.status == 0) & ~customers.is_guest[orders.customer]
    customer, order_day = orders.customer[asks], orders.day[asks]
    wanted_day = order_day + 7 + (rng.exponential(3.0, len(customer))).astype(np.int64)
    day, local_us = place_in_week(
        rng, customers, clock, customer, np.minimum(wanted_day, clock.n_days - 1), times_before(customer)
    )
    created_us = clock.to_utc(local_us)
    known = (wanted_day < clock.n_days) & (day > order_day)
    return _follow_up(rng, customers, customer[known], created_us[known], clock.end_us)


def _follow_up(
    rng: np.random.Generator, customers: Customers, customer: Ints, created_us: Ints, end_us: int
) -> Tickets:
    n = len(customer)
    history = customers.states["support_history"][customer]
    response = archetypes.FIRST_RESPONSE_HOURS[history] * rng.lognormal(0.0, 0.6, n)
    resolution = archetypes.RESOLUTION_HOURS[history] * rng.lognormal(0.0, 0.6, n)
    first_response_us = created_us + _whole_seconds(response)
    resolved_us = first_response_us + _whole_seconds(resolution)
    is_resolved = resolved_us < end_us
    channel_shares = CHANNEL_SHARES[customers.states["communication_preference"][customer]]
    rating = np.clip(np.rint(archetypes.SATISFACTION[history] + rng.normal(0.0, 0.8, n)), 1, 5).astype(np.int64)
    return Tickets(
        customer=customer,
        created_us=created_us,
        first_response_us=first_response_us,
        resolved_us=resolved_us,
        channel=_pick(_habit(rng, customer, CHANNEL_STEP), channel_shares),
        status=np.where(is_resolved, 2, np.where(first_response_us < end_us, 1, 0)),
        priority=_pick(rng.random(n), PRIORITY_SHARES[history]),
        topic=_pick(_habit(rng, customer, TOPIC_STEP), archetypes.TOPIC_SHARES[history]),
        is_tagged=rng.random(n) < TAGGED_RATE,
        satisfaction=np.where(is_resolved & (rng.random(n) < RATED_RATE), rating, 0),
        reopen_count=np.where(is_resolved, rng.poisson(archetypes.REOPENED[history]), 0),
    )


def _whole_seconds(hours: Floats) -> Ints:
    """Return hours as microseconds, cut to whole seconds."""
    return (hours * HOUR_US).astype(np.int64) // 1_000_000 * 1_000_000


def _habit(rng: np.random.Generator, customer: Ints, step: float) -> Floats:
    """Return a low-discrepancy sequence over the tickets of each customer, from a random start; shape (n,)."""
    start = rng.random(customer.max(initial=0) + 1)
    position: Floats = (start[customer] + times_before(customer) * step) % 1.0
    return position


def _pick(position: Floats, shares: Floats) -> Ints:
    """Return one column a row of `shares` (shape (n, k), rows sum to 1) by positions in 0-1, shape (n,)."""
    n_passed = (position[:, None] >= np.cumsum(shares, axis=1)).sum(axis=1)
    column: Ints = np.minimum(n_passed, shares.shape[1] - 1)
    return column
