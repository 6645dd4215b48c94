"""What is published of a store, as the page reads it: tables and figures, in no words yet.

Belongs here: the shape that queries fill and the page is made of. Does not: queries (``resources``), words
(``content``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class CustomerList:
    """An audience: who it is, how many, what they spent, and the first of them."""

    name: str
    about: str
    where: str
    customers: int
    value: float
    rows: Sequence[Mapping[str, Any]]
    """``customer_id``, ``lifecycle``, ``value``, ``risk``, ``last_order_at``, ``interpretation``."""
    elsewhere: int = 0
    """How many of those who come first are left out of ``rows``, as another list has them."""
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What ``profile_record`` returns of those in ``rows``, by id; none where their pages can be asked for."""
    is_known: bool = True
    """Whether the store understands its filter; ``about`` says why not."""


@dataclass(frozen=True)
class StoreFacts:
    """What is published of a store.

    ``groups`` are rows of ``group_figures``; ``axes`` of ``axis_models``; ``segments`` the current ones of
    ``dim_segment_master``; ``moves``: ``week``, ``cause``, ``customers`` who changed a segment that is not weak;
    ``flows``: ``from_segment``, ``to_segment``, ``cause``, ``customers`` between lifecycle stages in the ``last_week``.
    ``churn`` and ``value`` are figures of the forecasts that serve, or why there is none; ``backtest`` has a row an
    axis.
    """

    store_id: str
    currency: str
    time_zone: str
    as_of: datetime
    customers: int
    revenue: float
    bought_once: int
    orders_per_customer: float
    first_order_at: datetime | None
    last_order_at: datetime | None
    groups: pd.DataFrame
    axes: pd.DataFrame
    segments: pd.DataFrame
    going: CustomerList
    """Who is slowing or at risk, without those who very likely come by themselves."""
    lists: Sequence[CustomerList]
    moves: pd.DataFrame
    flows: pd.DataFrame
    last_week: date | None
    churn: Mapping[str, Any] | str
    value: Mapping[str, Any] | str
    backtest: pd.DataFrame | None = None
    likely: Mapping[str, int] = field(default_factory=dict)
    """By lifecycle stage, how many late ones have a risk under 10 %."""
    helped: Sequence[tuple[str, str]] = ()
    """What was tried (``audience/win_back``), and what it showed by now, in words."""
    untold: frozenset[str] = frozenset()
    """Lifecycle stages that the store's waits do not tell apart yet."""


@dataclass(frozen=True)
class CustomerFacts:
    """One customer: the profile as ``profile_record`` returns it, and a row a week that a snapshot was taken of."""

    store_id: str
    currency: str
    time_zone: str
    profile: Mapping[str, Any]
    weeks: Sequence[Mapping[str, Any]] = ()
    """``week``, ``lifecycle``, ``lifetime_value``, ``churn_risk_score``."""
    receipt: Mapping[str, Any] | None = None
    """``explanation.words.receipt_record``; None: nobody asked why."""
