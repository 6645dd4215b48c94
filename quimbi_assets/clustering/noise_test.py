"""Whether customers differ on an axis more, or less, than the same customers would if they were all alike.

Belongs here: the statistics, on arrays (variance against that of a reference, agreement of two halves), and the
decision, in words. Does not: where the reference comes from (``abstention``).

Statistics take values of the real store and of R reference stores at once, shape (1 + R, n, d), the real one first, NaN
where undefined.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from quimbi_assets.clustering.foresight import Foresight, Past, judge_foresight
from quimbi_assets.clustering.scaling import WINSOR, Array
from quimbi_assets.clustering.selection import chosen_faults

if TYPE_CHECKING:
    from quimbi_assets.clustering.model import AxisModel

FEWEST = 20
"""Fewest customers with a value (a pair of values) for a statistic to be tried at all."""

LEVEL = 0.01
"""Chance that an axis in which customers do not differ at all shows any real feature (adjusted by Holm's method over
the axis's features and both tests, numbers of orders apart)."""

COUNT_LEVEL = 3e-5
"""The same chance for numbers of orders, in each of two statistics; ADR 5 has what is lost by it, and what is not."""

SMALLEST_RATIO = 1.1
"""Variance between customers, over (or under) chance, from which a difference is worth acting on. Assumption; real
stores dealt anew stay within it on nearly every feature where a thousand customers or more are compared."""

SMALLEST_GAIN = 0.1
"""Share of the disagreement between a customer's two halves, as chance leaves it, that must be missing in the real
store: ``(reliability - by chance) / (1 - by chance)``, as in Cohen's kappa. Assumption: below a tenth, what is seen
of a customer is the moment's. A plain difference would hide what many orders bring: halves of 60 orders agree at 0.90
in lifetime value by chance alone, at 0.95 in a real grocery store."""

REAL_SHARE = 0.5
"""Share of the axis's tested features that must be real: distances weigh all features alike, so below it segments
follow chance more than customers."""

MOSTLY = 0.5
"""Share of customers with a single order from which the page warns."""

Statistic = tuple[Array, Array]
"""Value and squared standard error, each of shape (1 + R, d); NaN where there is none."""


def winsorise(values: Array) -> Array:
    """Cut extreme values at quantiles of all stores together, so that real and reference are treated alike."""
    columns = (column[~np.isnan(column)] for column in values.reshape(-1, values.shape[-1]).T)
    limits = np.array([np.quantile(column, WINSOR) if len(column) else (0.0, 0.0) for column in columns])
    return np.clip(values, limits[:, 0], limits[:, 1])


def log_variances(values: Array) -> Statistic:
    """Logarithm of the variance between customers; NaN where fewer than :data:`FEWEST` have a value or all the same.

    Squared standard error ``(kurtosis - 1) / n``: skewed money needs a larger difference than a clock angle.

    >>> value, error = log_variances(np.tile([1.0, -1.0], 50).reshape(1, 100, 1))
    >>> float(value[0, 0].round(3)), float(error[0, 0])
    (0.0, 0.0)
    """
    defined = ~np.isnan(values)
    n = defined.sum(axis=1)
    filled = np.where(defined, values, 0.0)
    mean = filled.sum(axis=1) / np.maximum(n, 1)
    squares = np.where(defined, filled - mean[:, None, :], 0.0) ** 2
    variance = squares.sum(axis=1) / np.maximum(n, 1)
    varies = (n >= FEWEST) & (variance > 1e-12 * np.maximum(mean**2, 1e-12))
    safe = np.where(varies, variance, 1.0)
    kurtosis = (squares**2).sum(axis=1) / np.maximum(n, 1) / safe**2
    value = np.where(varies, np.log(safe), np.nan)
    return value, np.where(varies, np.maximum(kurtosis - 1, 0.0) / np.maximum(n, 1), np.nan)


def reliabilities(first: Array, second: Array) -> Statistic:
    """Intraclass correlation, ICC(1), of values from one half of each customer's orders and from the other.

    -1 to 1; NaN where fewer than :data:`FEWEST` customers have both or nobody differs. ``(between - within) / (between
    + within)`` of the mean squares. Standard error by the influence of each customer, so that a few extreme customers
    who agree do not pass for many (Shrout, Fleiss: Intraclass correlations, Psychological Bulletin 86, 1979).
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    n = np.maximum(both.sum(axis=1), 1)
    a, b = (np.where(both, half, 0.0) for half in (first, second))
    centre = (a + b).sum(axis=1) / (2 * n)
    a, b = (np.where(both, half - centre[:, None, :], 0.0) for half in (a, b))
    product, square = 2 * a * b, a**2 + b**2
    total = square.sum(axis=1)
    varies = (both.sum(axis=1) >= FEWEST) & (total > 1e-12 * n * np.maximum(centre**2, 1e-12))
    safe = np.where(varies, total, 1.0)
    value = product.sum(axis=1) / safe
    influence = np.where(both, product - value[:, None, :] * square, 0.0) * (n / safe)[:, None, :]
    error = (influence**2).sum(axis=1) / n**2
    return np.where(varies, value, np.nan), np.where(varies, error, np.nan)


def count_figures(counts: NDArray[np.int32], expected: Array) -> dict[str, float]:
    """Compare numbers of orders with those in stores where everybody who has begun orders at the same rate.

    ``counts``, shape (1 + R, n, w), are of w stretches of time, the real store first; ``expected`` of each one, shape
    (n, w). Returns a row of ``NoiseTest.figures``, empty where fewer than :data:`FEWEST` customers, or twice as many
    orders, or no stretches apart are there. What a customer has beyond the expected, over its root, is cut at their
    own store's :data:`WINSOR`: one wholesaler is no difference between customers.

    Notes
    -----
    With ``B`` a customer's orders beyond the expected, ``b_s`` those of one stretch: dispersion ``sum(B^2) / sum(E)``
    is the score statistic against rates that vary between customers (Dean, Lawless: Tests for detecting overdispersion
    in Poisson regression models, JASA 84, 1989). Agreement is the share of ``sum(B^2)`` that is in ``b_s b_t`` of
    stretches that are neither the same nor neighbours: orders split in two, and bursts, do not raise it. That part over
    ``sum(E_s E_t)`` is the squared variation of rates. ``p_value`` is the larger of those of both sums, by a normal
    distribution with the deals' mean and variance.
    """
    pairs_expected = _apart(expected).sum()
    if len(expected) < FEWEST or expected.sum() < 2 * FEWEST or pairs_expected <= 0:
        return {}
    sums = np.array([_beyond(store - expected, np.sqrt(expected.sum(axis=1))) for store in counts])
    _, z = against_reference((sums, np.broadcast_to(sums[1:].var(axis=0, ddof=1), sums.shape)))
    agreement = sums[:, 1] / np.maximum(sums[:, 0], np.finfo(np.float64).tiny)
    by_chance = agreement[1:].mean()
    return {
        "n_customers": len(expected),
        "variance_ratio": sums[0, 0] / sums[1:, 0].mean(),
        "variance_z": z[0],
        "reliability": agreement[0],
        "reliability_by_chance": by_chance,
        "reliability_gain": (agreement[0] - by_chance) / (1 - by_chance),
        "reliability_z": z[1],
        "is_tested": True,
        "is_count": True,
        "rate_spread": np.sqrt(max(sums[0, 1], 0) / pairs_expected),
        "p_value": ndtr(-z).max(),
    }


def _beyond(beyond: Array, scale: Array) -> tuple[float, float]:
    """Sum the squares of what customers have beyond the expected, and the part of it in stretches apart."""
    total = beyond.sum(axis=1)
    scores = np.divide(total, scale, out=np.zeros_like(total), where=scale > 0)
    cut = np.clip(scores, *np.quantile(scores, WINSOR)) * scale
    kept_share = np.divide(cut, total, out=np.ones_like(total), where=total != 0)
    return float(cut @ cut), float((kept_share**2) @ _apart(beyond))


def _apart(values: Array) -> Array:
    """Sum, by row, the products of values at all two places that are neither the same nor neighbours; shape (n,).

    >>> _apart(np.array([[1.0, 2.0, 3.0, 4.0]])).tolist()
    [30.0]
    """
    near = values.copy()
    near[:, 1:] += values[:, :-1]
    near[:, :-1] += values[:, 1:]
    apart: Array = values.sum(axis=1) ** 2 - (values * near).sum(axis=1)
    return apart


def against_reference(statistic: Statistic) -> tuple[Array, Array]:
    """Compare the real store with the reference ones: difference from their mean, and in standard errors; shape (d,).

    The error of one reference store is the larger of what its customers show and what the reference stores show
    among themselves.
    """
    value, error = statistic
    n_reference = len(value) - 1
    difference = value[0] - value[1:].mean(axis=0)
    spread = value[1:].var(axis=0, ddof=1) if n_reference > 1 else np.zeros(value.shape[1])
    total = error[0] + np.maximum(error[1:].mean(axis=0), spread) / n_reference
    z = np.divide(difference, np.sqrt(total), out=np.full_like(difference, np.nan), where=total > 0)
    return difference, z


def holm(p_values: Array) -> Array:
    """Adjust p-values for being several (Holm's step-down procedure): those at most a are significant at level a.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    flat = p_values.ravel()
    order = np.argsort(flat, kind="stable")
    adjusted = np.minimum(np.maximum.accumulate(flat[order] * np.arange(len(flat), 0, -1)), 1.0)
    out = np.empty_like(flat)
    out[order] = adjusted
    return out.reshape(p_values.shape)


def decide_features(figures: pd.DataFrame) -> pd.DataFrame:
    """Say of every feature of an axis whether customers really differ in it: ``is_real`` of ``NoiseTest.figures``.

    One of the two tests is significant at :data:`LEVEL` and shows an effect of at least :data:`SMALLEST_RATIO` or
    :data:`SMALLEST_GAIN`. Variance is tested on both sides: customers who are consistent make trends and category
    counts narrower than chance. Agreement of halves is tested upwards only. In numbers of orders (``is_count``) both
    have to show, the effects of the same size.
    """
    is_count = figures["is_count"].to_numpy(dtype=bool)
    tested = figures["is_tested"].to_numpy(dtype=bool) & ~is_count
    columns = ["variance_ratio", "variance_z", "reliability_gain", "reliability_z", "p_value"]
    ratio, variance_z, gain, agreement_z, p_value = figures[columns].to_numpy(dtype=float).T
    chances = np.stack([2 * ndtr(-np.abs(variance_z)), ndtr(-agreement_z)])[:, tested]
    p_values = holm(np.nan_to_num(chances, nan=1.0))
    wider = (p_values[0] <= LEVEL) & (np.abs(np.log(ratio[tested])) >= np.log(SMALLEST_RATIO))
    steadier = (p_values[1] <= LEVEL) & (gain[tested] >= SMALLEST_GAIN)
    is_real = is_count & (p_value <= COUNT_LEVEL) & (ratio >= SMALLEST_RATIO) & (gain >= SMALLEST_GAIN)
    is_real[tested] = wider | steadier
    return figures.assign(is_real=is_real)


@dataclass(frozen=True)
class NoiseTest:
    """Whether customers really differ on one axis.

    ``figures`` has a row a clustering feature that has values: ``feature``; ``n_customers`` with a value;
    ``variance_ratio``, between customers over that of the dealt store (1: chance), with ``variance_z``;
    ``reliability``, agreement of a customer's odd and even orders (ICC); ``reliability_by_chance``, the same in the
    dealt store; ``reliability_gain``, the share of the disagreement by chance that is missing; ``reliability_z``;
    ``is_tested``: False where dealing changes nothing; ``is_real``. Numbers of orders (``is_count``) are compared with
    those dealt to anybody, and between stretches of time (``count_figures``); they alone have ``rate_spread``, the
    standard deviation of customers' rates over their mean, and ``p_value``. Where they are real, the axis is.

    ``n_customers`` of the sample have enough orders for the axis and are compared; ``ordered_once`` is the share of the
    sample with a single order, 0-1. ``division_faults`` says which limits of ``selection`` the segments that serve do
    not meet, if any: customers may differ without falling into segments that another sample would show again.
    ``pasts``, of axes of states, are customers as they were, of the store and of the dealt ones, for ``foresight``.
    """

    figures: pd.DataFrame
    n_customers: int
    ordered_once: float
    division_faults: str | None = None
    pasts: tuple[Past, ...] = field(default=(), repr=False)
    foresight: Foresight | None = None

    def with_model(self, model: "AxisModel") -> "NoiseTest":
        """Add what the model that serves decides: faults of its segments, and what those of a state foretell."""
        foresight = judge_foresight(self.pasts, model) if self.pasts else None
        return replace(self, division_faults=chosen_faults(model.selection_), foresight=foresight)

    @property
    def real_share(self) -> float:
        """Share of tested features in which customers really differ; 0 if none could be tested."""
        n_tested = int(self.figures["is_tested"].sum())
        return float(self.figures["is_real"].sum() / n_tested) if n_tested else 0.0

    @property
    def is_chance(self) -> bool:
        """Whether customers differ no more than orders dealt anew would make them, in most features and in rates.

        A state that foretells who orders is no chance.
        """
        has_rates = bool((self.figures["is_count"] & self.figures["is_real"]).any())
        foretells = self.foresight is not None and self.foresight.is_real
        return self.real_share < REAL_SHARE and not has_rates and not foretells

    @property
    def is_weak(self) -> bool:
        """Whether the axis's segments are shown as weak: they follow chance, or no division of customers holds."""
        return self.is_chance or self.division_faults is not None

    @property
    def status(self) -> str:
        """``weak`` or ``active``."""
        return "weak" if self.is_weak else "active"

    @property
    def reason(self) -> str | None:
        """Why the axis is weak, or what to keep in mind about it, in one sentence or two; None: nothing."""
        parts = [self._why()] if self.real_share < REAL_SHARE else []
        if self.foresight is not None and (parts or not self.foresight.is_much):
            parts.insert(0 if self.foresight.is_real else len(parts), self.foresight.sentence)
        if self.division_faults is not None:
            parts.append(f"no division into segments is balanced, separate and repeatable: {self.division_faults}")
        if self.ordered_once > MOSTLY:
            parts.append(
                f"{self.ordered_once:.0%} of customers ordered once: for them this describes what happened once, "
                "more than a trait"
            )
        return ". ".join([*parts[:1], *(part[0].upper() + part[1:] for part in parts[1:])]) or None

    def metrics(self) -> dict[str, float]:
        """Return finite figures by metric name: ``variance_ratio.<feature>``, ``reliability.<feature>`` and others."""
        table = self.figures.set_index("feature")
        named = {
            f"{column}.{feature}": float(value)
            for column in ("variance_ratio", "reliability", "reliability_by_chance", "rate_spread", "p_value")
            for feature, value in table[column].items()
        }
        if self.foresight is not None:
            named |= {f"foresight_{name}": float(value) for name, value in asdict(self.foresight).items()}
        named |= {"real_features_share": self.real_share, "customers_compared": float(self.n_customers)}
        return {name: value for name, value in named.items() if np.isfinite(value)}

    def _why(self) -> str:
        tested = self.figures[self.figures["is_tested"]]
        if tested.empty:
            return (
                f"nothing here can be told from chance: of {self.n_customers:,} customers compared, none differ "
                "in anything but how many orders they placed and when the first was"
            )
        counts = tested[tested["is_count"]]
        dealt = tested.drop(counts.index)
        words = (
            f"customers really differ in {int(tested['is_real'].sum())} of {len(tested)} features: compared with the "
            f"same orders dealt anew among {self.n_customers:,} customers, their variance is "
            f"{_range(dealt['variance_ratio'])} times as large"
        )
        if dealt["reliability"].notna().any():
            words += (
                f", and two halves of a customer's orders agree at {_range(dealt['reliability'])} (dealt: "
                f"{_range(dealt['reliability_by_chance'])})"
            )
        if len(counts):
            words += (
                f"; how often they order {'really differs' if counts['is_real'].any() else 'could be chance'}: numbers "
                f"of later orders vary {_range(counts['variance_ratio'])} times as much as if anybody had placed them, "
                f"rates by {counts['rate_spread'].max():.0%} of their mean"
            )
        return words


def _range(values: pd.Series) -> str:
    defined = values.dropna()
    if defined.empty:
        return "not known how many"
    low, high = f"{defined.min():.2f}", f"{defined.max():.2f}"
    return low if low == high else f"{low} to {high}"
