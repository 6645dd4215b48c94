"""How unusual a silence is for a customer, and whether being silent tells anything in a store.

Belongs here: the surprisal of a silence, days on which the store was closed, who has lapsed; the test, on the store's
own past, of whether the silent stay away. Does not: what follows for anybody (``compare``, ``notifications``).

Time moves everybody's recency features every day; that alone is no news. It is news when a customer who ordered
every five days has not for a fortnight, and none when one who orders twice a year has not.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc

from quimbi_assets.churn.examples import choose_horizon, rolling_cut_offs
from quimbi_assets.churn.history import History as Orders
from quimbi_assets.churn.history import measure, read_history, stayed_away
from quimbi_assets.churn.measures import Array
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History
from quimbi_assets.store import JsonRecord
from quimbi_assets.weekly.causes import ACTED, SILENT

RHYTHM_AXIS = "purchase_frequency"
"""The axis whose features say how regularly a customer orders."""
FEWEST_ORDERS = 4
"""Assumption: three gaps are the least that make a rhythm."""
PRIOR_GAPS, PRIOR_VARIATION = 1.0, 1.0
"""Before anything is known of a customer their gaps vary as if orders came at random, with the weight of one gap."""
MOST = 50.0
LEAST_SURPRISAL = 1.3
"""A silence that every twentieth gap of the customer exceeds is never news."""
LOOK_BACK_DAYS = 90
CLOSED_RUN_DAYS = 3
"""Fewest days on end without an order that may be a closure: a store that never ships on Sundays is not closed."""
UNLIKELY = 9.2
"""Orders expected in such a run from which it is no chance: ``exp(-9.2)`` is one in ten thousand."""
MOST_CUSTOMERS = 20_000
"""Customers looked at, those without a rhythm included."""
MOST_CUT_OFFS = 6
MOST_CELLS, CELL_CUSTOMERS = 10, 10
"""Quantiles of orders, and of tenure, at most; down to two where a cell would hold fewer customers on average."""
FEWEST_SILENT = 20
SMALLEST_GAP, LEVEL = 0.05, 0.01
"""What a silence must tell for anybody to be alerted by theirs, and the chance that it seems to where it tells none."""
N_PERMUTATIONS = 1_999


def surprisal(frequency: pd.DataFrame, closed: NDArray[np.bool_]) -> Array:
    """Return how unlikely each customer's present silence would be if nothing had changed, shape (n,).

    ``-log10`` of the probability that a gap of theirs lasts longer, 0 to 50; 1.3 is one in twenty. 0 for customers with
    fewer than four orders, who have no rhythm. ``frequency`` are the features of :data:`RHYTHM_AXIS`; ``closed`` says
    per day before the instant, the last first, whether the store was closed: those days are no silence.

    Gaps are gamma-distributed with the customer's mean (at least a day) and coefficient of variation; the latter is
    drawn towards 1, which is orders at random.
    """
    n_orders = frequency["n_orders"].to_numpy(dtype=np.float64)
    silent = frequency["days_since_last_order"].to_numpy(dtype=np.float64)
    mean = np.maximum(frequency["avg_days_between_orders"].to_numpy(dtype=np.float64), 1.0)
    variation = 1.0 / frequency["purchase_consistency"].to_numpy(dtype=np.float64) - 1.0
    n_gaps = n_orders - 1.0
    known = (n_orders >= FEWEST_ORDERS) & np.isfinite(variation) & np.isfinite(mean)
    squared = (n_gaps * variation**2 + PRIOR_GAPS * PRIOR_VARIATION**2) / (n_gaps + PRIOR_GAPS)
    shape = 1.0 / np.where(known, squared, 1.0)
    n_closed = np.concatenate([[0.0], np.cumsum(closed)])
    closed_since = n_closed[np.minimum(np.nan_to_num(silent), len(closed)).astype(np.int64)]
    open_days = np.maximum(silent - closed_since, 0.0)
    tail = gammaincc(shape, shape * np.where(known, open_days / mean, 0.0))
    return np.where(known, np.minimum(-np.log10(np.maximum(tail, 1e-300)), MOST), 0.0)


def lapsed(
    cause: NDArray[np.str_], only_wrote: NDArray[np.bool_], surprisals: Array, before: NDArray[np.bool_], level: float
) -> NDArray[np.bool_]:
    """Return who has lapsed by a week's end, given who had by its beginning, shape (n,).

    Once lapsed (a surprisal above the level), a customer is so until they order or are refunded, wherever the level
    moves to meanwhile. Who ``only_wrote`` ends no lapse by it, and begins none in that week.
    """
    stays = before & ((cause != ACTED) | only_wrote)
    return np.asarray(stays | ((cause == SILENT) & (surprisals > level)), dtype=np.bool_)


def closed_days(orders_a_day: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return on which of the last 90 days before an instant, the last day first, the store was closed.

    Days of a run of three or more without any order, in which ten or so would have been expected. Nobody could order
    then, or the orders are missing: it says nothing about any customer.
    """
    empty = orders_a_day == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(np.int8)))
    closed = np.zeros(len(empty), dtype=np.bool_)
    for start, stop in edges.reshape(-1, 2):
        if stop - start >= CLOSED_RUN_DAYS and (stop - start) * orders_a_day.mean() > UNLIKELY:
            closed[start:stop] = True
    return closed


@dataclass(frozen=True)
class SilenceTest(JsonRecord):
    """What being silent foretold of customers with four orders or more, at cut-offs whose outcomes are known.

    ``n_customers``, each counted once a cut-off, of whom ``n_silent`` had a silence that one in twenty of their gaps
    exceeds. ``gap``, -1 to 1: by how much larger a share of these than of others with as many orders and as long a
    tenure ordered nothing in the ``horizon_days`` that followed; ``p_value``, 0-1, of a gap as large by chance.
    ``reason`` says why nobody is alerted by their silence; None where they are.
    """

    reason: str | None = None
    horizon_days: int | None = None
    n_customers: int = 0
    n_silent: int = 0
    gap: float | None = None
    p_value: float | None = None


def judge_silence(history: History, seed: int = 0) -> SilenceTest:
    """Test on a store's past, up to its history's end, whether silence foretells that nobody comes.

    Of a large store so many customers are looked at, drawn by a hash of their ids with the seed. The last outcomes end
    with the history; the horizon is the churn model's, at most a fifth of it.
    """
    orders = read_history(history.sample(MOST_CUSTOMERS, seed))
    try:
        days = choose_horizon(orders, history.end)
        return compare_silent(_past_silences(history, orders, days), days, seed)
    except InsufficientHistoryError as why:
        return SilenceTest(f"whether silence tells anything is not known yet: {why}")


def _past_silences(history: History, orders: Orders, days: int) -> pd.DataFrame:
    """Return ``cell``, ``silent`` and ``away`` of customers with a rhythm at every cut-off, a row each.

    A cell is a cut-off, a quantile of orders and one of tenure.
    """
    cut_offs = rolling_cut_offs(
        orders.first_order, history.end, days, apart_days=days, most=MOST_CUT_OFFS, least_history_days=2 * days
    )
    a_day, frames = history.orders_a_day(days * len(cut_offs) + LOOK_BACK_DAYS), []
    for number, cut_off in enumerate(cut_offs, start=1):
        seen = measure(orders, cut_off, days).assign(away=stayed_away(orders, cut_off, days))
        seen["purchase_consistency"] = 1 / (1 + seen["gap_sd_days"] / seen["avg_days_between_orders"])
        seen = seen[seen["n_orders"] >= FEWEST_ORDERS]
        n_quantiles = int(np.clip(np.sqrt(len(seen) / CELL_CUSTOMERS), 2, MOST_CELLS))
        places = np.ceil(seen[["n_orders", "tenure_days"]].rank(pct=True).to_numpy() * n_quantiles)
        closed = closed_days(a_day[number * days :][:LOOK_BACK_DAYS])
        cell = places @ [MOST_CELLS + 1, 1] + number * (MOST_CELLS + 1) ** 2
        frames.append(seen[["away"]].assign(cell=cell, silent=surprisal(seen, closed) > LEAST_SURPRISAL))
    return pd.concat(frames)


def compare_silent(customers: pd.DataFrame, horizon_days: int, seed: int = 0) -> SilenceTest:
    """Compare who was ``silent`` with others of their ``cell`` by whether they stayed ``away``; a row a customer.

    InsufficientHistoryError where too few were silent.

    Notes
    -----
    The gap is the mean of the cells' differences, weighted as Mantel and Haenszel do, by ``n_silent n_others / n``. To
    permute who is silent within cells is to draw from a hypergeometric distribution in each.

    References
    ----------
    Mantel, Haenszel: Statistical aspects of the analysis of data from retrospective studies, JNCI 22 (1959).

    >>> one = pd.DataFrame({"cell": 1, "silent": np.arange(80) < 40, "away": np.arange(80) % 4 < np.repeat([2, 1], 40)})
    >>> compare_silent(one, 28).gap
    0.25
    """
    n, n_silent, n_away = customers.assign(n=1).groupby("cell")[["n", "silent", "away"]].sum().to_numpy(np.int64).T
    weight, total = (n_silent * (n - n_silent) / n).sum(), int(n_silent.sum())
    if total < FEWEST_SILENT or not weight:
        raise InsufficientHistoryError(
            f"{total} customers had been unusually silent {horizon_days} days ago or earlier, fewer than "
            f"{FEWEST_SILENT}"
        )
    both = int((customers["silent"] & customers["away"]).sum())
    gap = round(float((both - (n_silent * n_away / n).sum()) / weight), 6)
    drawn = np.random.default_rng(seed).hypergeometric(n_away, n - n_away, n_silent, (N_PERMUTATIONS, len(n)))
    p_value = float((1 + (drawn.sum(axis=1) >= both).sum()) / (1 + N_PERMUTATIONS))
    reason = None
    if gap < SMALLEST_GAP or p_value > LEVEL:
        reason = (
            f"silence foretells too little here: customers unusually silent then ordered nothing for {horizon_days} "
            f"days {100 * abs(gap):.1f} points {'less' if gap < 0 else 'more'} often than others with as many orders "
            f"and as long a tenure (p = {p_value:.3f}); alerts take {100 * SMALLEST_GAP:.0f} points and p <= {LEVEL}"
        )
    return SilenceTest(reason, horizon_days, len(customers), total, gap, p_value)
