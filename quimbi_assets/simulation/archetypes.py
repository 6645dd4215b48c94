"""The planted truth: behavioural archetypes, the states they combine, and what each state does.

Belongs here: names, shares and the numbers of each state. Does not: drawing anything (``customers``, ``orders``).

The states are laid out so that an axis is not blurred by another one that shares its features: the channel goes
with the time of day (``communication_preference`` measures both), repeat buying with the breadth of categories
(``category_exploration`` measures products per line), spending with frequency (``purchase_value`` measures lifetime
value). Axes of one `GROUPS` entry therefore always move together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

STATES: dict[str, tuple[str, ...]] = {
    "purchase_frequency": ("frequent", "occasional", "lapsed"),
    "purchase_value": ("small_baskets", "growing_baskets", "large_baskets"),
    "price_sensitivity": ("full_price", "mixed", "deal_seeker"),
    "purchase_cadence": ("weekday_evening", "weekend", "office_hours"),
    "communication_preference": ("web", "in_store", "assisted", "switching"),
    "category_exploration": ("focused", "selective", "broad"),
    "repurchase_behavior": ("habitual", "rotating", "novelty"),
    "return_behavior": ("never", "sometimes", "serial"),
    "support_history": ("served", "curious", "frustrated"),
}
"""Planted axes, each with its states in code order."""

GROUPS: tuple[tuple[str, ...], ...] = (
    ("purchase_frequency", "purchase_value"),
    ("price_sensitivity",),
    ("purchase_cadence", "communication_preference"),
    ("category_exploration", "repurchase_behavior"),
    ("return_behavior",),
    ("support_history",),
)
"""Axes whose states are drawn together."""

MIN_ORDERS: dict[str, int] = dict.fromkeys(STATES, 5) | {"purchase_value": 6}
"""Valid orders from which a customer shows the planted state; below it the label is null."""
MIN_TICKETS = 2  # tickets from which a customer shows the planted ``support_history``

BORROWED_RATE = 0.10  # probability that a repeat customer takes one group of states from another archetype


@dataclass(frozen=True)
class Archetype:
    """A kind of customer: its share of all identified ones (0-1), and one state an axis, in the order of `STATES`.

    No states: customers who buy once.
    """

    name: str
    share: float
    states: tuple[str, ...] = ()


ARCHETYPES: tuple[Archetype, ...] = tuple(
    Archetype(name, share, tuple(states.split()))
    for name, share, states in (
        ("loyal_regulars", 0.12,
         "frequent large_baskets full_price weekday_evening web focused habitual never served"),
        ("bargain_hunters", 0.10,
         "occasional small_baskets deal_seeker weekday_evening web broad novelty sometimes frustrated"),
        ("weekend_browsers", 0.11,
         "occasional growing_baskets mixed weekend in_store broad novelty never curious"),
        ("serial_returners", 0.12,
         "lapsed small_baskets mixed weekday_evening switching selective rotating serial frustrated"),
        ("big_spenders", 0.08,
         "frequent large_baskets full_price office_hours assisted selective rotating sometimes curious"),
        ("lapsed_enthusiasts", 0.08,
         "lapsed small_baskets deal_seeker weekend in_store focused habitual never frustrated"),
        ("routine_restockers", 0.09,
         "occasional growing_baskets full_price office_hours assisted focused habitual never served"),
        ("one_time_buyers", 0.30, ""),
    )
)  # fmt: skip


def state_codes() -> dict[str, Ints]:
    """Return the state of every repeat archetype on every axis: positions in ``STATES[axis]``.

    >>> state_codes()["return_behavior"].tolist()
    [0, 1, 0, 2, 1, 0, 0]
    """
    repeat = [a for a in ARCHETYPES if a.states]
    return {
        axis: np.array([names.index(a.states[column]) for a in repeat])
        for column, (axis, names) in enumerate(STATES.items())
    }


# What the states do. One entry a state, in the order of STATES.
GAP_DAYS = np.array([21.0, 100.0, 32.0])  # typical days between orders, by purchase_frequency
GAP_VARIATION = np.array([0.15, 0.75, 0.35])  # coefficient of variation of the gaps, by purchase_frequency
BASE_PRICE = np.array([10.0, 150.0])  # typical unit price in the catalogue's price tiers
TIER = np.array([0, 0, 1])  # price tier bought from, by purchase_value
GROWTH_ORDERS = 3  # orders after which the growing buy more units
GROWTH_UNITS = np.array([[1, 1, 1], [1, 4, 14], [1, 1, 1]])
"""Units bought in place of one in the first, second and any later run of `GROWTH_ORDERS`, by purchase_value."""
DISCOUNT_RATE = np.array([0.0, 0.5, 0.97])  # share of orders with a discount, by price_sensitivity
DISCOUNT_DEPTH = np.array([0.10, 0.15, 0.30])
"""Typical discount on a discounted order, share of its gross value, by price_sensitivity."""
WEEKEND_RATE = np.array([0.06, 0.95, 0.03])  # share of orders on a Saturday or Sunday, by purchase_cadence
HOUR_OF_DAY = np.array([20.5, 13.2, 10.5])  # typical store-local hour, by purchase_cadence
HOUR_SPREAD = np.array([1.1, 2.2, 0.8])  # standard deviation of the hour, by purchase_cadence
RETURN_RATE = np.array([0.0, 0.27, 0.75])  # share of orders with a refund, by return_behavior
RETURNED_LINES = np.array([0.0, 0.0, 0.1])  # share of further lines sent back beside the first one, by return_behavior
TICKET_RATE = np.array([0.2, 0.6, 0.45])  # tickets an order, by support_history
FIRST_RESPONSE_HOURS = np.array([4.0, 1.0, 16.0])  # typical hours to the first reply, by support_history
RESOLUTION_HOURS = np.array([24.0, 4.0, 60.0])  # typical hours from first reply to resolution, by support_history
REOPENED = np.array([0.08, 0.15, 0.9])  # mean number of times a ticket is reopened, by support_history
SATISFACTION = np.array([4.0, 4.6, 2.3])  # typical rating 1-5, by support_history
TOPIC_SHARES = np.array([[0.05, 0.75, 0.15, 0.05], [0.85, 0.10, 0.04, 0.01], [0.03, 0.12, 0.25, 0.60]])
"""Share of tickets about a product, a delivery, a return, and of complaints, by support_history."""
