"""What an axis foretells: who orders in days to come, beyond how many orders they placed and since when.

Belongs here: the figures, on arrays, and what they say in words. Does not: looking at customers as they were
(``abstention``), what an axis that foretells nothing is called (``noise_test``).

A state, unlike a trait, is not shown twice by anybody: two halves of a customer's orders are not in the same stage of
life. What a state is good for is what it tells of the days that follow. How many orders somebody placed and how long
they have been known tells of these days too, and where recency gives it away an axis of states "foretells" even in a
store where nobody has a stage of life; so it is judged by what it adds to these two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.scaling import Array
from quimbi_assets.clustering.scoring import N_ORDERS, FittedAxis

LEVEL = 0.01
"""Chance that memberships which have nothing to do with who ordered are taken to foretell it."""
SMALLEST_SHARE = 0.005
"""Share of the variance of who ordered that memberships must add; what the backtest asks for, too."""
LITTLE = 0.01
"""Share below which it is said to be little."""
N_DRAWS = 199
"""Drawn outcomes: the smallest p-value is one in 200."""
FEWEST_CUSTOMERS = 100
"""Fewest with evidence, a horizon ago, for anything to be said."""
MIN_VARIANCE = 1e-9
"""Of memberships beside orders and tenure, relative to the largest: below it they are rounding."""


@dataclass(frozen=True)
class Past:
    """Customers of one store as they were ``horizon_days`` ago: an axis's features, and what they have done since.

    ``features`` has a row a customer, ``tenure_days``, shape (n,), at least 0, ``bought``, shape (n,), in that order.
    """

    horizon_days: int
    features: pd.DataFrame
    tenure_days: Array
    bought: NDArray[np.bool_]


@dataclass(frozen=True)
class Foresight:
    """What memberships of an axis foretold of who ordered within ``horizon_days``, of ``n_customers`` with evidence.

    Shares of the variance, less what chance explains, at most 1: ``explained`` by memberships; ``beyond``, what they
    add to number of orders and tenure; ``by_chance``, the largest that they add in dealt stores. ``p_value``, 0-1, of
    as much by chance.
    """

    horizon_days: int
    n_customers: int
    explained: float
    beyond: float
    by_chance: float
    p_value: float

    @property
    def is_real(self) -> bool:
        """Whether memberships foretell beyond number of orders and tenure, and more than in dealt stores."""
        return self.p_value <= LEVEL and self.beyond >= SMALLEST_SHARE and self.beyond > self.by_chance

    @property
    def is_much(self) -> bool:
        """Whether that is enough to need no mention where customers differ anyway."""
        return self.is_real and self.beyond >= LITTLE

    @property
    def sentence(self) -> str:
        """What is foretold, in words."""
        days = f"in the last {self.horizon_days} days"
        if self.is_much:
            return (
                f"where customers stood tells {self.beyond:.1%} of who ordered {days}, beyond how many orders they had "
                "placed and since when"
            )
        if self.explained < LITTLE and not self.is_real:
            return f"where customers stood did not foretell who ordered {days}"
        beyond = f"little ({self.beyond:.1%})" if self.is_real else "nothing that could not be chance"
        return (
            f"of who ordered {days} it tells {self.explained:.0%}, but mostly by how many orders they had placed and "
            f"since when; beyond that {beyond}"
        )


def judge_foresight(pasts: Sequence[Past], model: FittedAxis) -> Foresight | None:
    """Hold an axis's memberships against who ordered, in a store (first) and in dealt ones; None: too few customers."""
    real, *dealt = (_foretold(past, model) for past in pasts)
    if real is None:
        return None
    memberships, base, bought = real
    explained, _ = added_share(bought, np.ones((len(base), 1)), memberships, 0)
    beyond, p_value = added_share(bought, base, memberships, N_DRAWS)
    chance = [added_share(each[2], each[1], each[0], 0)[0] for each in dealt if each is not None]
    return Foresight(pasts[0].horizon_days, len(base), explained, beyond, max(chance, default=0.0), p_value)


def _foretold(past: Past, model: FittedAxis) -> tuple[Array, Array, Array] | None:
    """Return memberships, orders and tenure, and who ordered, of customers with evidence; None where too few."""
    is_evident = np.asarray(model.evidence(past.features) == "ok")
    bought = past.bought[is_evident].astype(np.float64)
    if len(bought) < FEWEST_CUSTOMERS or min(bought.sum(), (1 - bought).sum()) < 2:
        return None
    evident = past.features[is_evident]
    base = orders_and_tenure(evident[N_ORDERS].to_numpy(dtype=np.float64), past.tenure_days[is_evident])
    return model.predict_proba(evident), base, bought


def orders_and_tenure(n_orders: Array, tenure_days: Array) -> Array:
    """Return both as a regression takes them: logarithms, their squares, cubes and products; shape (n, 10)."""
    logs = np.column_stack([np.log(n_orders), np.log(np.maximum(tenure_days, 1.0))])
    logs = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), np.finfo(np.float64).tiny)
    powers = (combinations_with_replacement(range(2), degree) for degree in range(4))
    return np.column_stack([logs[:, list(columns)].prod(axis=1) for each in powers for columns in each])


def added_share(outcome: Array, base: Array, more: Array, n_draws: int) -> tuple[float, float]:
    """Return what ``more`` columns add to the share of an outcome's variance that ``base`` explains, and its p-value.

    ``outcome``, shape (n,), varies; ``base``, shape (n, p), has a constant among its columns; the share is less what
    chance adds (adjusted R^2, as ``backtest.baseline.explained_share``), at most 1. p-value, 0-1, by turning
    around what the base leaves of the outcome, customer by customer at random (wild bootstrap): who orders nearly
    surely varies less than others, and permuting what is left, as if all varied alike, found up to a third of dealt
    stores significant.

    References
    ----------
    Davidson, Flachaire: The wild bootstrap, tamed at last, Journal of Econometrics 146 (2008).
    """
    known = _directions(base, base)
    rest, new = outcome - known @ (known.T @ outcome), _directions(more - known @ (known.T @ more), more)
    n, n_known = known.shape
    scale = outcome.var() * n / (n - 1)

    def share(rests: Array) -> Array:
        squares = (rests**2).sum(axis=0)
        unexplained = squares - ((new.T @ rests) ** 2).sum(axis=0)
        added: Array = (squares / (n - n_known) - unexplained / (n - n_known - new.shape[1])) / scale
        return added

    value = share(rest[:, None])[0]
    drawn = rest[:, None] * np.random.default_rng(0).choice([-1.0, 1.0], (n, n_draws))
    # Rounding apart: where nothing is added, nothing drawn adds less.
    at_least = int((share(drawn) >= value - MIN_VARIANCE).sum())
    return round(float(value), 6), (1 + at_least) / (1 + n_draws)


def _directions(columns: Array, before: Array) -> Array:
    """Orthonormal directions of columns, shape (n, rank), but for what is rounding of what they were before."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    directions: Array = left[:, sizes**2 > MIN_VARIANCE * (before**2).sum()]
    return directions
