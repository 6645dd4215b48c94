"""What the figures about an axis's features mean for the axis: active or weak, and why, in words.

Belongs here: the rule, its constants, the sentence that people read. Does not: how the figures come about
(``abstention``).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from quimbi_assets.clustering.differences import holm, one_sided, two_sided
from quimbi_assets.clustering.selection import chosen_faults

LEVEL = 0.01
"""Chance that an axis in which customers do not differ at all shows any real feature (adjusted by Holm's method over
the axis's features and both tests)."""

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


def with_verdicts(figures: pd.DataFrame) -> pd.DataFrame:
    """Say of every feature of an axis whether customers really differ in it.

    Parameters
    ----------
    figures : DataFrame
        As in ``Differences``, without ``is_real``.

    Returns
    -------
    DataFrame
        With ``is_real``: one of the two tests is significant at :data:`LEVEL` and shows an effect of at least
        :data:`SMALLEST_RATIO` or :data:`SMALLEST_GAIN`.

    Notes
    -----
    Variance is tested on both sides: customers who are consistent make trends and category counts narrower than
    chance. Agreement of halves is tested upwards only.
    """
    tested = figures["is_tested"].to_numpy(dtype=bool)
    columns = figures[["variance_ratio", "variance_z", "reliability_gain", "reliability_z"]].to_numpy(dtype=float)
    ratio, variance_z, gain, agreement_z = columns[tested].T
    p_values = holm(np.stack([two_sided(variance_z), one_sided(agreement_z)]))
    wider = (p_values[0] <= LEVEL) & (np.abs(np.log(ratio)) >= np.log(SMALLEST_RATIO))
    steadier = (p_values[1] <= LEVEL) & (gain >= SMALLEST_GAIN)
    is_real = np.zeros(len(figures), dtype=bool)
    is_real[tested] = wider | steadier
    return figures.assign(is_real=is_real)


@dataclass(frozen=True)
class Differences:
    """Whether customers really differ on one axis.

    Parameters
    ----------
    axis : str
        Name of the axis.
    figures : DataFrame
        One row a clustering feature that has values: ``feature``; ``n_customers`` with a value; ``variance_ratio``,
        between customers over that of the dealt store (1: chance), with ``variance_z``; ``reliability``, agreement of
        a customer's odd and even orders (ICC); ``reliability_by_chance``, the same in the dealt store;
        ``reliability_gain``, the share of the disagreement by chance that is missing; ``reliability_z``;
        ``is_tested``: False where dealing changes nothing; ``is_real``.
    n_customers : int
        Customers compared: the sample's, with enough orders for the axis.
    ordered_once : float
        Share of the sample's customers with a single order, 0-1.
    division_faults : str, optional
        Which limits of ``selection`` the segments that serve do not meet, in words: customers may differ without
        falling into segments that another sample of them would show again. None where they meet all.
    """

    axis: str
    figures: pd.DataFrame
    n_customers: int
    ordered_once: float
    division_faults: str | None = None

    def with_division(self, selection: pd.DataFrame) -> "Differences":
        """Return the same with the faults of the segments that serve.

        Parameters
        ----------
        selection : DataFrame
            Their model's ``selection_`` (``selection.selection_table``).
        """
        return replace(self, division_faults=chosen_faults(selection))

    @property
    def n_tested(self) -> int:
        """Features that could be tested."""
        return int(self.figures["is_tested"].sum())

    @property
    def real_share(self) -> float:
        """Share of tested features in which customers really differ; 0 if none could be tested."""
        return float(self.figures["is_real"].sum() / self.n_tested) if self.n_tested else 0.0

    @property
    def is_chance(self) -> bool:
        """Whether customers differ no more than orders dealt anew would make them, in most features."""
        return self.real_share < REAL_SHARE

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
        parts = [self._why()] if self.is_chance else []
        if self.division_faults is not None:
            parts.append(f"no division into segments is balanced, separate and repeatable: {self.division_faults}")
        if self.ordered_once > MOSTLY:
            parts.append(
                f"{self.ordered_once:.0%} of customers ordered once: for them this describes what happened once, "
                "more than a trait"
            )
        return ". ".join(parts) or None

    def metrics(self) -> dict[str, float]:
        """Return finite figures by metric name: ``variance_ratio.<feature>``, ``reliability.<feature>`` and others."""
        table = self.figures.set_index("feature")
        named = {
            f"{column}.{feature}": float(value)
            for column in ("variance_ratio", "reliability", "reliability_by_chance")
            for feature, value in table[column].items()
        }
        named |= {"real_features_share": self.real_share, "customers_compared": float(self.n_customers)}
        return {name: value for name, value in named.items() if np.isfinite(value)}

    def _why(self) -> str:
        tested = self.figures[self.figures["is_tested"]]
        if tested.empty:
            return (
                f"nothing here can be told from chance: of {self.n_customers:,} customers compared, none differ "
                "in anything but how many orders they placed and when the first was"
            )
        words = (
            f"customers really differ in {int(tested['is_real'].sum())} of {len(tested)} features: compared with the "
            f"same orders dealt anew among {self.n_customers:,} customers, their variance is "
            f"{_range(tested['variance_ratio'])} times as large"
        )
        if tested["reliability"].notna().any():
            words += (
                f", and two halves of a customer's orders agree at {_range(tested['reliability'])} (dealt: "
                f"{_range(tested['reliability_by_chance'])})"
            )
        return words


def _range(values: pd.Series) -> str:
    defined = values.dropna()
    if defined.empty:
        return "not known how many"
    low, high = f"{defined.min():.2f}", f"{defined.max():.2f}"
    return low if low == high else f"{low} to {high}"
