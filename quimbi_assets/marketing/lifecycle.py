"""Where a customer is in their life with a store, by how long they have been silent beside how long waits usually are.

Belongs here: waits between orders, the limits that a store's waits teach, the stage of each customer. Does not: value,
RFM (``groups``).

A wait is the time between two orders at least a day apart. The usual wait of a customer is the mean of their waits and
one of the store's median; a silence is measured in usual waits, and held against the waits of customers of whom as many
were known before:

- *slowing*: longer than four of five waits that ended with an order;
- *at risk*: longer than nineteen of twenty, and of those who were as silent at least a third came back;
- *lapsed*: longer than four of five, and fewer than a third came back; *lost*: fewer than one in ten did (before they
  had been silent for half as long again);
- *active*: none of these; *new*, if the first order was in the last 90 days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quimbi_assets.churn.history import DAY, History
from quimbi_assets.instants import Instant
from quimbi_assets.instants import microseconds as micros

Array = NDArray[np.float64]
STAGES = ("new", "active", "slowing", "at risk", "lapsed", "lost")
NEW, ACTIVE, SLOWING, AT_RISK, LAPSED, LOST = range(6)
NEW_DAYS = 90
SAME_SHOPPING = 1.0
"""Days within which a second order belongs to the first."""
LONGER_THAN = (0.8, 0.95)
"""Shares of waits that a slowing customer, and one at risk, has been silent for longer than."""
LEAST = 1.25
"""Usual waits that nobody slows before, in a store whose customers come like clockwork."""
CAME_BACK = (1 / 3, 0.1)
"""Shares of those as silent that came back, below which a customer is lapsed, and lost."""
KNOWN_WAITS = (1, 3, 10)
"""Numbers of waits known before, at which waits are told apart: the more are known, the nearer is the usual wait."""
LOOK_AHEAD = 1.5
"""How much longer the silence may grow meanwhile."""
FEWEST = 20
"""Waits that teach a limit."""
WITHOUT_ANY = 90.0
"""Assumption: usual wait, in days, of a store to which nobody has come back yet."""


@dataclass(frozen=True)
class Waits:
    """Of n customers as of an instant, shape (n,): days silent, number of waits that ended, and their sum in days."""

    silence: Array
    n_ended: NDArray[np.intp]
    total: Array

    def usual(self, usual_days: float) -> Array:
        """Return the usual wait of each customer in days, given the store's median, shape (n,)."""
        return np.asarray((self.total + usual_days) / (self.n_ended + 1))

    def in_usual_waits(self, usual_days: float) -> Array:
        """Return the silence in usual waits, given the store's median, shape (n,)."""
        return np.asarray(self.silence / self.usual(usual_days))


@dataclass(frozen=True)
class LifecycleLimits:
    """What a store's waits teach: its median wait in days, and from how many usual waits on each stage begins.

    ``limits``, shape (4, 4): by how many waits are known (rows, see ``KNOWN_WAITS``), of slowing, at risk, lapsed and
    lost; infinite where a stage is never reached.
    """

    usual_days: float
    limits: Array

    def stages(self, waits: Waits, tenure_days: Array) -> NDArray[np.int8]:
        """Return the stage of each customer, a position in :data:`STAGES`, shape (n,)."""
        silence = waits.in_usual_waits(self.usual_days)
        reached = silence[:, None] >= self.limits[np.digitize(waits.n_ended, KNOWN_WAITS)]
        stage = np.where(tenure_days < NEW_DAYS, NEW, ACTIVE)
        for place, later in enumerate((SLOWING, AT_RISK, LAPSED, LOST)):
            stage = np.where(reached[:, place], later, stage)
        return stage.astype(np.int8)


def measure_waits(history: History, end: Instant) -> Waits:
    """Measure the customers of a history that ends at an instant, each with at least one order."""
    _, position, _, total = _ended_waits(history)
    last = np.append(position[1:] == 0, True)[: len(position)]
    times = history.times[np.append(history.starts[1:], len(history.times))[: len(history.starts)] - 1]
    return Waits((micros(end) - times) / DAY, position[last], total[last])


def learn_limits(history: History, end: Instant) -> LifecycleLimits:
    """Learn the limits from the waits of a bounded number of customers."""
    _, position, wait, total = _ended_waits(history)
    ended = position > 0
    usual = float(np.median(wait[ended])) if ended.any() else WITHOUT_ANY
    known = position[ended] - 1
    lengths = wait[ended] / ((total[ended] - wait[ended] + usual) / (known + 1))
    still = measure_waits(history, end)
    silence = still.in_usual_waits(usual)
    together = _limits(lengths, silence, (2.0, 4.0, np.inf, np.inf))  # Assumption: of next to no second orders.
    rows = []
    for row in range(len(KNOWN_WAITS) + 1):
        of_row = np.digitize(known, KNOWN_WAITS) == row, np.digitize(still.n_ended, KNOWN_WAITS) == row
        rows.append(_limits(lengths[of_row[0]], silence[of_row[1]], together))
    return LifecycleLimits(usual, np.array(rows))


def _limits(ended: Array, open_waits: Array, otherwise: tuple[float, ...]) -> tuple[float, ...]:
    """Return the four limits in usual waits, from waits that ended and those that did not; ``otherwise`` if too few."""
    taught = np.quantile(ended, LONGER_THAN).tolist() if len(ended) >= FEWEST else otherwise[:2]
    slowing, at_risk = (max(limit, LEAST) for limit in taught)
    lengths, came_back = _return_shares(ended, open_waits)
    if not len(lengths) or lengths[-1] < slowing:
        return slowing, at_risk, *(max(slowing, limit) for limit in otherwise[2:])
    return slowing, at_risk, *(max(slowing, _from(lengths, came_back < share)) for share in CAME_BACK)


def _return_shares(ended: Array, open_waits: Array) -> tuple[Array, Array]:
    """Return lengths, ascending, and of the waits as long the share that ended before they were half as long again.

    By Kaplan and Meier's survival S of all waits, those open being censored: ``1 - S(1.5 r) / S(r)``. Lengths of which
    fewer than ``FEWEST`` waits were seen for so long are left out.
    """
    lengths = np.append(ended, open_waits)
    order = np.argsort(lengths, kind="stable")
    lengths, is_end = lengths[order], (order < len(ended))
    n_left = len(lengths) - np.arange(len(lengths))
    log_survival = np.append(0.0, np.cumsum(np.where(is_end, np.log(1 - 1 / np.maximum(n_left, 2)), 0.0)))
    reached, later = (np.searchsorted(lengths, times * lengths, side="right") for times in (1, LOOK_AHEAD))
    judged = len(lengths) - later >= FEWEST
    return lengths[judged], 1 - np.exp(log_survival[later[judged]] - log_survival[reached[judged]])


def _from(lengths: Array, is_low: NDArray[np.bool_]) -> float:
    """Return the length from which on all are low; infinite if the last is not."""
    if not len(lengths) or not is_low[-1]:
        return np.inf
    high = np.flatnonzero(~is_low)
    return float(lengths[high[-1] + 1]) if len(high) else 0.0


def _ended_waits(history: History) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, Array]:
    """Return, of every order at least a day after the one before, what ended with it; shape (m,) each.

    The customer; how many waits ended by then; the wait in days, 0 at a first order; the sum of all by then.
    """
    n_orders = np.diff(np.append(history.starts, len(history.times)))
    customer = np.repeat(np.arange(len(n_orders)), n_orders)
    counted = np.isnan(history.gap_days) | (history.gap_days >= SAME_SHOPPING)
    customer, times = customer[counted], history.times[counted]
    is_first = np.append(True, customer[1:] != customer[:-1])[: len(customer)]
    start = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    total = (times - times[start]) / DAY
    wait = np.where(is_first, 0.0, np.diff(times, prepend=times[:1]) / DAY)
    return customer, np.arange(len(customer)) - start, wait, total
