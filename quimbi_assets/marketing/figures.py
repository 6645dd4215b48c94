"""What each group and segment is worth: customers, revenue, where they are in their lifecycle, and how it changed.

Belongs here: adding it up while customers are assembled. Does not: who is in which group (``groups``), the table
people query (``resources``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.history import History
from quimbi_assets.marketing.groups import GROUPINGS, SAMPLE, CustomerGroups, MarketingReference, group_earlier
from quimbi_assets.marketing.lifecycle import STAGES

TREND_DAYS = {"4w": 28, "13w": 91}
Counts = dict[tuple[str, str], float]
"""Customers by grouping (or axis) and group (or segment id)."""


@dataclass
class GroupFigures:
    """Adds up customers group by group; ``n_customers`` were added so far."""

    n_customers: int = 0
    _sums: dict[str, tuple[Sequence[str], NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)

    def add(
        self,
        groups: CustomerGroups,
        segments: Mapping[str, tuple[Sequence[str], NDArray[np.intp]]],
        expected: NDArray[np.float64],
    ) -> None:
        """Add n customers: their groups, by axis the segment ids and positions in them, and spend expected in 90 days.

        Positions and ``expected`` (NaN where nothing is foretold) have shape (n,).
        """
        stage = groups.codes["lifecycle"]
        weights = (groups.spent, groups.columns["n_orders"].to_numpy(), np.nan_to_num(expected), np.isfinite(expected))
        placed: dict[str, tuple[Sequence[str], NDArray[Any]]] = {n: (GROUPINGS[n], c) for n, c in groups.codes.items()}
        for name, (ids, code) in (placed | dict(segments)).items():
            k = len(ids)
            sums = np.column_stack([np.bincount(code, weight, k) for weight in weights])
            stages = np.bincount(code * len(STAGES) + stage, minlength=k * len(STAGES)).reshape(k, -1)
            _, sums_before, stages_before = self._sums.get(name, (ids, np.zeros(1), np.zeros(1)))
            self._sums[name] = (ids, sums_before + sums, stages_before + stages)
        self.n_customers += len(stage)

    def shares(self, name: str) -> NDArray[np.float64]:
        """Return the share of customers, 0-1, in each group of a grouping, or segment of an axis."""
        return np.asarray(self._sums[name][2].sum(axis=1) / max(self.n_customers, 1))

    def rows(
        self, past: Mapping[str, Counts], actions: Mapping[tuple[str, str], tuple[str, str] | None]
    ) -> pd.DataFrame:
        """Return the rows of ``group_figures`` but ``store_id``; groups that nobody is in among them.

        ``past``: customers 4 and 13 weeks ago, where known; ``actions``: id and words by grouping and group.
        """
        rows = []
        for name, (ids, sums, stages) in self._sums.items():
            total = max(float(sums[:, 0].sum()), 1e-9)
            for group, (revenue, n_orders, expected, n_foretold), by_stage in zip(ids, sums, stages, strict=True):
                n = int(by_stage.sum())
                action = actions.get((name, group)) or (None, None)
                rows.append(
                    {
                        "axis_name": name,
                        "group_id": group,
                        "customers": n,
                        "share_of_customers": n / max(self.n_customers, 1),
                        "revenue": round(float(revenue), 2),
                        "share_of_revenue": float(revenue) / total,
                        "orders_per_customer": n_orders / n if n else np.nan,
                        "value_per_customer": revenue / n if n else np.nan,
                        "predicted_value_90d": round(float(expected), 2) if n_foretold else np.nan,
                        "lifecycle": json.dumps(dict(zip(STAGES, map(int, by_stage), strict=True))),
                        **{f"customers_{when}_ago": _whole(counts.get((name, group))) for when, counts in past.items()},
                        "action_id": action[0],
                        "action": action[1],
                    }
                )
        return pd.DataFrame(rows).astype({f"customers_{when}_ago": "Int64" for when in past})


def _whole(count: float | None) -> int | None:
    return None if count is None else round(count)


def past_counts(history: History, reference: MarketingReference) -> tuple[dict[str, Counts], dict[str, int]]:
    """Count, as of 4 and 13 weeks before a history's end, who was in which group; and everybody.

    Lifecycle by the measure of its end: what changed since is the customers' doing, not the measure's.
    Of a large store a sample is counted, and scaled. Nothing of instants at which nobody had ordered yet.
    """
    counts: dict[str, Counts] = {}
    everybody: dict[str, int] = {}
    for when, days in TREND_DAYS.items():
        then = history.until(history.end - timedelta(days=days))
        everybody[when], counts[when] = then.n_customers, {}
        if not everybody[when]:
            continue
        sample = then.sample(SAMPLE, 0)
        groups = group_earlier(sample, reference)
        scale = everybody[when] / len(groups.spent)
        for name, ids in GROUPINGS.items():
            numbers = np.bincount(groups.codes[name], minlength=len(ids)) * scale
            counts[when] |= {(name, group): float(n) for group, n in zip(ids, numbers, strict=True)}
    return counts, everybody
