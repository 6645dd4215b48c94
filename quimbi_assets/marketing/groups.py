"""Every customer's lifecycle stage, value tier and RFM group, by rules that a store's own customers set.

Belongs here: the three groupings, what they are measured against, and the columns of a profile that they fill. Does
not: what a group is worth (``figures``), what to do with it (``catalogue``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from quimbi_assets.churn.history import read_history
from quimbi_assets.history import History
from quimbi_assets.marketing.affinity import Affinities, Affinity, affinity_texts
from quimbi_assets.marketing.lifecycle import NEW_DAYS, STAGES, LifecycleLimits, Waits, learn_limits, measure_waits

Array = NDArray[np.float64]
TIERS = ("low", "medium", "high", "top")
TIER_SHARES = (0.5, 0.75, 0.9)
"""Shares of customers with less net spend: the upper half, the top quarter and the top tenth."""
RFM_GROUPS = (
    "champions", "loyal", "potential_loyalists", "new_customers", "promising", "need_attention", "about_to_sleep",
    "at_risk", "cannot_lose_them", "hibernating",
)  # fmt: skip
GROUPINGS: Mapping[str, tuple[str, ...]] = {"lifecycle": STAGES, "value_tier": TIERS[::-1], "rfm_group": RFM_GROUPS}
"""The groupings with their groups, in the order in which people read them."""
_BY_SCORES = np.array(
    [  # columns: how often and how much, 1-5
        [9, 9, 7, 7, 8],  # rows: how recently, 1-5
        [9, 9, 7, 7, 8],
        [6, 6, 5, 1, 1],
        [4, 2, 2, 1, 1],
        [4, 2, 2, 0, 0],
    ]
)
"""Positions in :data:`RFM_GROUPS`: the map of recency by frequency that shop software has in common, with frequency and
spend as one score; what it calls new customers in its last row is so only within their first 90 days."""
SAMPLE = 50_000
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in GROUPINGS),
        ("n_orders", pa.int64()),
        ("first_order_at", pa.timestamp("us", "UTC")),
        ("last_order_at", pa.timestamp("us", "UTC")),
        ("days_since_last_order", pa.float64()),
        ("usual_days", pa.float64()),
        ("affinities", pa.string()),
    ]
)


@dataclass(frozen=True)
class CustomerGroups:
    """Groups of n customers. ``codes``, by grouping, shape (n,): positions in its groups, -1 where nobody knows.

    ``columns``: those of :data:`COLUMNS`, n rows. ``spent``: net of refunds, at least 0, shape (n,).
    """

    columns: pa.Table
    codes: Mapping[str, NDArray[np.int8]]
    spent: Array

    @property
    def usual_days(self) -> Array:
        """The wait that their silence is measured in, in days, shape (n,)."""
        return np.asarray(self.columns["usual_days"].to_numpy(), dtype=np.float64)

    def part(self, rows: slice) -> "CustomerGroups":
        """Return those of some of the customers."""
        columns = self.columns.slice(rows.start, rows.stop - rows.start)
        codes = {name: code[rows] for name, code in self.codes.items()}
        return CustomerGroups(columns, codes, self.spent[rows])

    def ids(self) -> dict[str, NDArray[np.object_]]:
        """Return by grouping the group of each customer, shape (n,)."""
        return {name: np.array([*GROUPINGS[name], None], dtype=object)[code] for name, code in self.codes.items()}


@dataclass(frozen=True)
class MarketingReference:
    """What the customers of a store are held against as of an instant.

    ``value``: net spend above which the tiers but the lowest begin, shape (3,); ``quintiles`` of days since the last
    order, number of orders and net spend, shape (3, 4); ``affinities``: None where nobody asked for them.
    """

    lifecycle: LifecycleLimits
    value: Array
    quintiles: Array
    affinities: Affinities | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON; a limit that is never reached is null."""
        limits = [[None if np.isinf(limit) else limit for limit in row] for row in self.lifecycle.limits.tolist()]
        return {
            "usual_days": self.lifecycle.usual_days,
            "limits": limits,
            "value": self.value.tolist(),
            "rfm": self.quintiles.tolist(),
            "affinities": self.affinities and {level: vars(affinity) for level, affinity in self.affinities.items()},
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "MarketingReference":
        """Rebuild it from ``to_json``."""
        limits = np.array([[np.inf if limit is None else limit for limit in row] for row in record["limits"]])
        lifecycle = LifecycleLimits(record["usual_days"], limits)
        levels = record.get("affinities")
        affinities = levels and {level: Affinity(**affinity) for level, affinity in levels.items()}
        return cls(lifecycle, np.array(record["value"]), np.array(record["rfm"]), affinities)


@dataclass(frozen=True)
class _Measured:
    """Customers by id: ``spending`` as ``History.spending``, waits, and instants of first and last orders."""

    spending: pd.DataFrame
    waits: Waits
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def _measure(history: History) -> _Measured:
    orders = read_history(history)
    spending = history.spending(NEW_DAYS)
    assert orders.customers.equals(spending.index)
    ends = np.append(orders.starts[1:], len(orders.times)) - 1
    waits = measure_waits(orders, history.end)
    return _Measured(spending, waits, orders.times[orders.starts], orders.times[ends])


def fit_marketing(history: History, affinities: Affinities | None = None) -> MarketingReference:
    """Learn from a store's customers, or of a large store from a sample, what each of them is held against.

    With ``affinities`` (``fit_affinities``) customers will also have lists of what they buy most.
    """
    sample = history.sample(SAMPLE, 0)
    limits = learn_limits(read_history(sample), history.end)
    return MarketingReference(limits, *_ranks(sample), affinities=affinities)


def _ranks(history: History) -> tuple[Array, Array]:
    """Return ``value`` and ``quintiles`` of :class:`MarketingReference`."""
    figures = history.spending(NEW_DAYS)[["days_since_last_order", "n_orders", "spent"]].to_numpy()
    if not len(figures):
        figures = np.zeros((1, 3))
    quintiles = np.quantile(figures, (0.2, 0.4, 0.6, 0.8), axis=0).T
    return np.quantile(figures[:, 2], TIER_SHARES), quintiles


def group_earlier(history: History, reference: MarketingReference) -> CustomerGroups:
    """Place the customers of an earlier instant, to be held against those of ``reference``.

    By today's lifecycle, whose limits are the store's waits; by spend and orders, which only grow, among the customers
    of then: by today's measure everybody had been of a lower tier.
    """
    value, quintiles = _ranks(history)
    measure = replace(reference, value=value, quintiles=quintiles)
    return group_customers(history, measure, pd.Index(history.customers.to_pandas()))


def group_customers(history: History, reference: MarketingReference, customers: pd.Index) -> CustomerGroups:
    """Place customers; who has no order by the history's end has no group. Others of the history do not matter."""
    measured = _measure(history)
    spending, spent = measured.spending, measured.spending["spent"].to_numpy()
    tier = (spent[:, None] > reference.value).sum(axis=1)
    codes = {
        "lifecycle": reference.lifecycle.stages(measured.waits, spending["tenure_days"].to_numpy()),
        "value_tier": (len(TIERS) - 1 - tier).astype(np.int8),
        "rfm_group": _rfm(spending, reference.quintiles),
    }
    place = spending.index.get_indexer(customers.astype("str"))
    taken = pa.array(place, mask=place < 0)
    columns = [
        *(pa.array(GROUPINGS[name]).take(pa.array(code)) for name, code in codes.items()),
        pa.array(spending["n_orders"].to_numpy().astype(np.int64)),
        *(pa.array(times, pa.timestamp("us", "UTC")) for times in (measured.first, measured.last)),
        pa.array(spending["days_since_last_order"].to_numpy()),
        pa.array(measured.waits.usual(reference.lifecycle.usual_days)),
        pa.nulls(len(spending), pa.string())
        if reference.affinities is None
        else affinity_texts(history, reference.affinities, spending.index),
    ]
    return CustomerGroups(
        columns=pa.table(columns, schema=COLUMNS).take(taken),
        codes={name: np.append(code, np.int8(-1))[place] for name, code in codes.items()},
        spent=np.append(spent, np.nan)[place],
    )


def _rfm(spending: pd.DataFrame, quintiles: Array) -> NDArray[np.int8]:
    """Return positions in ``RFM_GROUPS``."""
    days, n_orders, spent = quintiles
    recency = (spending["days_since_last_order"].to_numpy()[:, None] <= days).sum(axis=1)
    frequency = (spending["n_orders"].to_numpy()[:, None] > n_orders).sum(axis=1)
    value = (spending["spent"].to_numpy()[:, None] > spent).sum(axis=1)
    group = _BY_SCORES[recency, (frequency + value + 1) // 2]
    is_new = (group == RFM_GROUPS.index("promising")) & (recency == 4) & (spending["tenure_days"] < NEW_DAYS)
    return np.where(is_new, RFM_GROUPS.index("new_customers"), group).astype(np.int8)
