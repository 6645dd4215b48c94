"""Kinds of segments that mean the same in every shop: those who hunt discounts, whatever their segment is called there.

Belongs here: which kinds there are, and whether a segment is of one, by its centre. Does not: what a segment is called
(``naming``), how a filter speaks of a kind (``fields``).

Names and ids are a store's own, and another store has other ones; what was measured is in the same units everywhere. A
kind is a condition on the means of a segment's customers, where it has to be beside those of all the store's customers:
three tickets an order are much where others write one. A store may have several segments of a kind, or none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bound:
    """Where the mean of a feature has to be for a segment to be of a kind; with no limit: it has to be known at all.

    A trend of order values takes three orders, so nobody who bought once is called declining.
    """

    feature: str
    low: float = -math.inf
    high: float = math.inf
    """Inclusive, in the feature's unit."""
    times: float = 0.0
    """How many times the mean of all the store's customers it has to be at least."""

    def holds(self, mean: float | None, usual: float) -> bool:
        """Whether a mean is there; one that is not known is nowhere."""
        return mean is not None and self.low <= mean <= self.high and (not self.times or mean >= self.times * usual)


@dataclass(frozen=True)
class SegmentKind:
    """What segments of an axis have in common, in every store."""

    axis: str
    name: str
    meaning: str
    """Of whom it is, after "Customers who"."""
    either: tuple[tuple[Bound, ...], ...]
    """Of a segment of the kind all bounds of at least one of these hold."""


SEGMENT_KINDS = (
    SegmentKind(
        "price_sensitivity", "discount_hunters",
        "use a discount in most orders, and more often or deeper than others",
        (
            (Bound("discount_rate", low=0.6, times=1.2),),
            (Bound("discount_rate", low=0.6), Bound("discount_depth", times=1.2)),
        ),
    ),
    SegmentKind(
        "price_sensitivity", "full_price_buyers", "hardly ever use a discount", ((Bound("discount_rate", high=0.1),),)
    ),
    SegmentKind(
        "loyalty_trajectory", "declining", "came again and again, and order less and less or are long overdue",
        (
            (Bound("frequency_trend", high=-0.05), Bound("value_trend")),
            (Bound("overdue_ratio", low=2), Bound("frequency_trend", high=0), Bound("value_trend")),
        ),
    ),
    SegmentKind(
        "loyalty_trajectory", "growing", "order more and more often",
        ((Bound("frequency_trend", low=0.05), Bound("overdue_ratio", high=1.5)),),
    ),
    SegmentKind(
        "purchase_frequency", "frequent", "order far more often than others, and of late",
        ((Bound("orders_per_month", times=1.5), Bound("days_since_last_order", high=90)),),
    ),
    SegmentKind(
        "purchase_value", "big_spenders", "spent far more than others in all", ((Bound("lifetime_value", times=1.5),),)
    ),
    SegmentKind(
        "return_behavior", "serial_returners", "have something refunded of every third order or more",
        ((Bound("return_order_ratio", low=0.33, times=1.2),),),
    ),
    SegmentKind(
        "support_history", "high_touch",
        "write to support far more often than others, or have their tickets opened again and again",
        (
            (Bound("tickets_per_order", times=1.5),),
            (Bound("reopen_rate", low=0.3, times=1.2),),
        ),
    ),
    SegmentKind(
        "support_history", "dissatisfied", "rate support badly", ((Bound("satisfaction_avg", high=2.7),),)
    ),
)  # fmt: skip
"""All kinds, by axis in the axes' order. Assumption: the figures of words (each axis's ``words``) hold for kinds, too;
beside others, a fifth more is another kind of customer, and half more is far more."""


def kinds_of(axis: str) -> list[SegmentKind]:
    """Return the kinds that segments of an axis can be of."""
    return [one for one in SEGMENT_KINDS if one.axis == axis]


def segments_by_kind(
    axis: str, centres: Mapping[str, Mapping[str, float | None]], counts: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """Return the ids of the segments that are of each kind of an axis.

    ``centres``: means in shop units by segment and feature, None where undefined; ``counts``: customers by segment,
    after which the mean of all customers is weighed.

    >>> centres = {"a": {"discount_rate": 0.9, "discount_depth": 0.3}, "b": {"discount_rate": 0.0}}
    >>> segments_by_kind("price_sensitivity", centres, {"a": 30, "b": 70})
    {'discount_hunters': ('a',), 'full_price_buyers': ('b',)}
    """
    usual = {
        bound.feature: _mean(bound.feature, centres, counts)
        for kind in kinds_of(axis)
        for bounds in kind.either
        for bound in bounds
    }
    return {
        kind.name: tuple(
            segment
            for segment, centre in centres.items()
            if any(all(one.holds(centre.get(one.feature), usual[one.feature]) for one in part) for part in kind.either)
        )
        for kind in kinds_of(axis)
    }


def _mean(feature: str, centres: Mapping[str, Mapping[str, float | None]], counts: Mapping[str, int]) -> float:
    """Return the mean of a feature over the customers of the segments that have one; 0 where none has."""
    means = [centre.get(feature) for centre in centres.values()]
    known = [(mean, counts.get(segment, 0)) for segment, mean in zip(centres, means, strict=True) if mean is not None]
    weights = np.array([count for _, count in known], dtype=float)
    return float(np.average([mean for mean, _ in known], weights=weights)) if weights.sum() > 0 else 0.0
