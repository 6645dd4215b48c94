"""A customer in a few short sentences: where they are in their life with the store, what they are worth, what changes.

Belongs here: the column ``interpretation``, written for all customers at once, numbers as people read them
(``£1,240``, ``12 orders``), and how clearly a customer belongs to one segment of an axis (the rule of AXES.md). Does
not: stages and tiers (``marketing``), segment names or their sentences, single values (``naming``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axes.loyalty_trajectory import BIN_DAYS, NOTABLE_TREND
from quimbi_assets.naming.values import CURRENCY_SIGNS, format_percent

STRENGTHS = ("strong", "balanced", "weak")
STRONG, BALANCED, WEAK = range(3)
FEWEST_FOR_A_GAP = 4
"""Orders from which a customer's usual gap is told."""
LIKELY_TO_COME, LIKELY_TO_STAY_AWAY = 0.1, 0.6
"""Risks below and above which a sentence says so of those who are late by their rhythm, and of those who are not."""
RARE = 1 / 3
"""Share of customers from which a segment says little of one of them."""
BEYOND_CHANCE = 1.96
"""Standard deviations beyond which a trend is none that chance makes in more than one of twenty steady customers."""
USUAL_GAP = "avg_days_between_orders"
MICROSECONDS_PER_DAY = 86_400e6
THREE_DIGITS = pa.array([f"{i:03d}" for i in range(1000)])
LARGEST = 9e15


def strengths(memberships: NDArray[np.float64]) -> NDArray[np.int8]:
    """Classify rows of memberships, shape (n, k), as positions in :data:`STRENGTHS`, shape (n,).

    Strong if the highest is above 0.7; balanced if the highest is above 0.4 and the second above 0.3; else weak.

    >>> rows = np.array([[0.786, 0.175, 0.039], [0.55, 0.4, 0.05], [0.5, 0.25, 0.25]])
    >>> [STRENGTHS[code] for code in strengths(rows)]
    ['strong', 'balanced', 'weak']
    """
    ordered = np.sort(memberships, axis=1)
    top = ordered[:, -1]
    second = ordered[:, -2] if ordered.shape[1] > 1 else np.zeros_like(top)
    balanced = np.where((top > 0.4) & (second > 0.3), BALANCED, WEAK)
    return np.where(top > 0.7, STRONG, balanced).astype(np.int8)


@dataclass(frozen=True)
class Placements:
    """Where n customers belong on n_axes axes; all of shape (n, n_axes).

    ``dominant``: position of the dominant segment; ``stays``: the chance, 0-1, to be in it one horizon on;
    ``strength``: that in words, a position in :data:`STRENGTHS`; ``low_evidence``: whether there are too few orders to
    judge.
    """

    dominant: NDArray[np.intp]
    stays: NDArray[np.float64]
    strength: NDArray[np.int8]
    low_evidence: NDArray[np.bool_]


@dataclass(frozen=True)
class Traits:
    """What sentences may say of a customer beside lifecycle and value, by axis.

    ``names`` and ``shares`` (0-1 of all customers, NaN where not known) of segments by position; ``may_tell``, shape
    (n, n_axes): whether a customer's segment may be named at all.
    """

    names: Sequence[Sequence[str]]
    shares: Sequence[NDArray[np.float64]]
    may_tell: NDArray[np.bool_]


def interpretations(
    placements: Placements,
    traits: Traits,
    groups: pa.Table,
    features: Mapping[str, pd.DataFrame],
    currency: str,
    risk: pa.StringArray | None = None,
    scores: NDArray[np.float64] | None = None,
    usual_days: NDArray[np.float64] | None = None,
) -> pa.StringArray:
    """Describe every customer, what matters first, for example:

    "Lapsed: they last ordered 478 days ago, usually every 27 days. They are a low-value customer: $145 in 6 orders
    since May 2024. The risk that they order nothing in the next 140 days is 97 %. They are among the premium buyers,
    12 % of customers."

    ``groups`` are the columns of ``marketing.groups.COLUMNS``, null where nobody knows; ``risk`` the sentence on it,
    ``scores`` the risks, 0-1, shape (n,). Of their segments the rarest is named that they are strongly in (``_trait``).
    ``usual_days``, shape (n,), is the wait that their lifecycle is told by; None: the mean of their own gaps.
    """
    n = len(placements.stays)
    known = {name: groups.column(name).combine_chunks() for name in groups.column_names}
    spent, gap, trend = (figure(features, name, n) for name in ("lifetime_value", USUAL_GAP, "frequency_trend"))
    n_orders, days = (_or_measured(known[name], features, name) for name in ("n_orders", "days_since_last_order"))
    usual = gap if usual_days is None else usual_days
    sentences = [
        _lifecycle(known["lifecycle"], n_orders, np.floor(days), told_gap(n_orders, usual)),
        _value(known["value_tier"], n_orders, pc.strftime(known["first_order_at"], format="%b %Y"), spent, currency),
        _change(known["lifecycle"], trend, _trend_in_deviations(trend, n_orders, _tenure_days(known)), days > usual),
        pa.nulls(n, pa.string()) if risk is None else _beside_rhythm(known["lifecycle"], risk, scores),
        _trait(placements, traits, n_orders),
    ]
    return pc.binary_join_element_wise(*sentences, " ", null_handling="skip")


def _lifecycle(
    stage: pa.StringArray, n_orders: NDArray[np.float64], days: NDArray[np.float64], gap: NDArray[np.float64]
) -> pa.StringArray:
    """Say the stage, how long they have been silent, and how long they usually are."""
    ago = pc.if_else(pa.array(days < 1), "today", join(counted(days, "day", "days"), " ago"))
    every = pc.if_else(pa.array(np.rint(gap) <= 1), "day", counted(np.rint(gap), "day", "days"))
    usual = pc.if_else(pa.array(np.isfinite(gap)), join(", usually every ", every), "")
    clause = pc.if_else(pa.array(n_orders == 1), join("ordered once, ", ago), join("last ordered ", ago, usual))
    head = pc.coalesce(join(pc.utf8_capitalize(stage), ": they "), "They ")
    return join(head, clause, ".")


def _beside_rhythm(stage: pa.StringArray, risk: pa.StringArray, scores: NDArray[np.float64] | None) -> pa.StringArray:
    """Say how a risk goes with the stage where they seem to say the opposite."""
    if scores is None:
        return risk
    late = pc.is_in(stage, pa.array(["slowing", "at risk", "lapsed", "lost"]))
    comes, stays_away = pa.array(scores < LIKELY_TO_COME), pa.array(scores > LIKELY_TO_STAY_AWAY)
    is_late, is_in_time = pc.and_(late, comes), pc.fill_null(pc.and_(pc.equal(stage, "active"), stays_away), False)
    clause = pc.utf8_replace_slice(risk, 0, 1, "t")
    by_rhythm = join("They are late by their own rhythm, but likely to come: ", clause)
    in_time = join("They are not late by their own rhythm, yet many like them stay away: ", clause)
    return pc.if_else(is_late, by_rhythm, pc.if_else(is_in_time, in_time, risk))


def told_gap(n_orders: NDArray[np.float64], gap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the usual gaps in days, shape (n,), NaN of those with too few orders to have one.

    >>> told_gap(np.array([3.0, 4.0]), np.array([1.0, 9.5])).tolist()
    [nan, 9.5]
    """
    return np.where(n_orders >= FEWEST_FOR_A_GAP, gap, np.nan)


def _value(
    tier: pa.StringArray,
    n_orders: NDArray[np.float64],
    since: pa.StringArray,
    spent: NDArray[np.float64],
    currency: str,
) -> pa.StringArray:
    """Say what they are worth: their tier, what they spent in how many orders, since when."""
    begun = pc.if_else(pa.array(n_orders > 1), pc.coalesce(join(" since ", since), ""), "")
    orders = join(counted(n_orders, "order", "orders"), begun)
    called = pc.if_else(pc.equal(tier, "top"), "top", join(tier, "-value"))
    head = pc.coalesce(join("They are a ", called, " customer: "), "They spent ")
    return pc.coalesce(join(head, amounts(spent, currency), " in ", orders, "."), join("They placed ", orders, "."))


def _change(
    stage: pa.StringArray, trend: NDArray[np.float64], deviations: NDArray[np.float64], is_late: NDArray[np.bool_]
) -> pa.StringArray:
    """Say whether those who have not gone order more or less often than before; nothing that chance may have made.

    Who has not been silent for longer than usual (``is_late``) does not order less often.
    """
    active, slowing = (pc.fill_null(pc.equal(stage, one), False) for one in ("active", "slowing"))
    notable = (np.abs(np.nan_to_num(trend)) >= NOTABLE_TREND) & (np.abs(np.nan_to_num(deviations)) >= BEYOND_CHANCE)
    less = notable & (trend < 0) & (deviations < 0) & is_late
    more = notable & (trend > 0) & (deviations > 0)
    words = pc.if_else(pa.array(more), "They order more often than before.", "They order less often than before.")
    is_told = pc.or_(pc.and_(pc.or_(active, slowing), pa.array(less)), pc.and_(active, pa.array(more)))
    return pc.if_else(is_told, words, pa.scalar(None, pa.string()))


def _trend_in_deviations(
    trend: NDArray[np.float64], n_orders: NDArray[np.float64], tenure_days: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far trends of orders (``loyalty_trajectory``) lie from those of a steady customer, shape (n,).

    In standard deviations; NaN with fewer than two orders or three bins.

    Notes
    -----
    Laplace's test for trend: the first order opens the first bin, and the places of the others are uniform over b bins,
    of mean ``(b - 1) / 2`` and variance ``(b² - 1) / 12``, if the rate does not change.

    References
    ----------
    Cox and Lewis (1966), The statistical analysis of series of events.
    """
    b = np.maximum(np.rint(tenure_days / BIN_DAYS), 1.0)
    is_defined = (b >= 3) & (n_orders >= 2)
    variance, others = np.where(is_defined, (b * b - 1) / 12, np.nan), np.where(is_defined, n_orders - 1, np.nan)
    return np.asarray((trend * n_orders * variance + (b - 1) / 2) / np.sqrt(others * variance))


def _tenure_days(known: Mapping[str, pa.Array]) -> NDArray[np.float64]:
    """Return days since the first order, shape (n,); NaN where not known."""
    first, last = (
        known[name].cast(pa.timestamp("us", "UTC")).cast(pa.int64()) for name in ("first_order_at", "last_order_at")
    )
    span = pc.cast(pc.subtract(last, first), pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    silence = known["days_since_last_order"].cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(span / MICROSECONDS_PER_DAY + silence, dtype=np.float64)


def _trait(placements: Placements, traits: Traits, n_orders: NDArray[np.float64]) -> pa.StringArray:
    """Name the rarest segment that a customer is likely to stay in and fewer than one in three are in, if any.

    Nothing of those who ordered once: what they are like is not known before they come again.
    """
    starts = np.cumsum([0, *map(len, traits.names)])[:-1]
    segment = starts + placements.dominant
    shares = np.concatenate([np.asarray(one, dtype=np.float64) for one in traits.shares])
    is_told = (
        traits.may_tell
        & (n_orders > 1)[:, None]
        & (placements.strength == STRONG)
        & ~placements.low_evidence
        & (shares[segment] < RARE)
    )
    rarity = np.where(is_told, shares[segment], np.inf)
    axis, rows = np.argmin(rarity, axis=1), np.arange(len(segment))
    named = zip((name for axis_names in traits.names for name in axis_names), shares, strict=True)
    texts = [
        f"They are among the {name.replace('_', ' ')}, {format_percent(share)} of customers."
        for name, share in ((name, 0.0 if np.isnan(share) else float(share)) for name, share in named)
    ]
    text = pc.take(pa.array(texts, pa.string()), pa.array(segment[rows, axis]))
    return pc.if_else(pa.array(is_told.any(axis=1)), text, pa.scalar(None, pa.string()))


def _or_measured(column: pa.Array, features: Mapping[str, pd.DataFrame], name: str) -> NDArray[np.float64]:
    known = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.where(np.isnan(known), figure(features, name, len(known)), known)


def figure(features: Mapping[str, pd.DataFrame], name: str, n: int) -> NDArray[np.float64]:
    """Return a feature by name from whichever axis holds it, shape (n,); NaN if none does."""
    columns = (frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for frame in features.values() if name in frame)
    return next(columns, np.full(n, np.nan))


def join(*parts: Any) -> pa.StringArray:
    """Put texts side by side, row by row; null where any part is null."""
    return pc.binary_join_element_wise(*parts, "")


def whole_numbers(values: NDArray[np.float64]) -> pa.StringArray:
    """Write whole numbers with thousands separated; null where undefined or beyond 9e15.

    >>> whole_numbers(np.array([0, 999, 1240, 1002003, -1240, float("nan")])).to_pylist()
    ['0', '999', '1,240', '1,002,003', '-1,240', None]
    """
    known = np.abs(values) <= LARGEST
    rest = np.where(known, np.abs(np.rint(np.where(known, values, 0.0))), 0.0).astype(np.int64)
    text = pc.cast(pa.array(rest % 1000), pa.string())
    padded = pc.take(THREE_DIGITS, pa.array(rest % 1000))
    while (rest := rest // 1000).any():
        more = pa.array(rest > 0)
        head = pa.array(rest % 1000)
        text = pc.if_else(more, join(pc.cast(head, pa.string()), ",", padded), text)
        padded = pc.if_else(more, join(pc.take(THREE_DIGITS, head), ",", padded), padded)
    signed = pc.if_else(pa.array(np.rint(np.where(known, values, 0.0)) < 0), join("-", text), text)
    return pc.if_else(pa.array(known), signed, pa.scalar(None, pa.string()))


def amounts(values: NDArray[np.float64], currency: str) -> pa.StringArray:
    """Write amounts of at least 0 as ``naming.values.format_money`` does; null where undefined.

    >>> amounts(np.array([1240.4, 12.5, float("nan")]), "GBP").to_pylist()
    ['£1,240', '£12.50', None]
    """
    sign = CURRENCY_SIGNS.get(currency.upper(), currency)
    gap = " " if sign and sign[-1].isalpha() else ""
    small = np.where(np.abs(values) < 99.995, values, 0.0)
    cents = np.rint(small * 100).astype(np.int64)
    hundredths = pc.utf8_slice_codeunits(pc.take(THREE_DIGITS, pa.array(cents % 100)), 1, 3)
    with_cents = join(pc.cast(pa.array(cents // 100), pa.string()), ".", hundredths)
    number = pc.if_else(pa.array(np.abs(values) < 99.995), with_cents, whole_numbers(values))
    return join(sign + gap, number)


def counted(values: NDArray[np.float64], singular: str, plural: str) -> pa.StringArray:
    """Write whole numbers with their noun; null where undefined.

    >>> counted(np.array([1.0, 12.0]), "order", "orders").to_pylist()
    ['1 order', '12 orders']
    """
    noun = pc.if_else(pa.array(np.rint(values) == 1), f" {singular}", f" {plural}")
    return join(whole_numbers(values), noun)
