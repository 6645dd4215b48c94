"""A customer in two or three short sentences: where they clearly belong, what they have bought, what cannot be judged.

Belongs here: the column ``interpretation``, written for all customers at once, numbers as people read them
(``£1,240``, ``12 orders``), and how clearly a customer belongs to one segment of an axis (the rule of AXES.md). Does
not: segment names or their sentences, single values (``naming``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.naming.values import CURRENCY_SIGNS

STRENGTHS = ("strong", "balanced", "weak")
STRONG, BALANCED, WEAK = range(3)
MOST_SEGMENTS = 3
MOST_SURE = 99
"""Per cent: nothing that is to come is certain."""
NOTHING_CLEAR = "No clear pattern yet."
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


def interpretations(
    placements: Placements,
    segment_names: Sequence[Sequence[str]],
    features: Mapping[str, pd.DataFrame],
    currency: str,
    weak: Sequence[bool] = (),
    horizon_days: int | None = None,
) -> pa.StringArray:
    """Describe every customer, given each axis's segment names by position, and which axes are weak.

    Up to three segments are named: strong before balanced ("partly"), then by the chance to stay; where that is weak,
    those on low evidence and those on weak axes never. The percentage is that chance, at most 99; the first says so,
    and in how many days that is, where known. Net spend, orders and days since the last order are read from the
    features where they are.
    """
    n_axes = placements.low_evidence.shape[1]
    unjudged = [None, *(f"Too few orders to judge {i} of {n_axes} axes." for i in range(1, n_axes + 1))]
    sentences = [
        _belonging(placements, segment_names, np.array(weak or [False] * n_axes, dtype=bool), horizon_days),
        _purchases(features, len(placements.stays), currency),
        pc.take(pa.array(unjudged, pa.string()), pa.array(placements.low_evidence.sum(axis=1))),
    ]
    return pc.binary_join_element_wise(*sentences, " ", null_handling="skip")


def _belonging(
    placements: Placements, segment_names: Sequence[Sequence[str]], weak: NDArray[np.bool_], horizon_days: int | None
) -> pa.StringArray:
    rank = np.where(placements.strength == STRONG, 2.0, np.where(placements.strength == BALANCED, 1.0, -np.inf))
    rank = np.where(placements.low_evidence | weak, -np.inf, rank + placements.stays)
    chosen = np.argsort(-rank, axis=1, kind="stable")[:, :MOST_SEGMENTS]
    n_chosen = np.minimum(np.isfinite(rank).sum(axis=1), MOST_SEGMENTS)
    starts = np.cumsum([0, *map(len, segment_names)])[:-1]
    names = pa.array([name.replace("_", " ") for axis in segment_names for name in axis], pa.string())
    percents = pa.array([f" ({i} %)" for i in range(MOST_SURE + 1)])
    of_what = "likely to stay" if horizon_days is None else f"likely in {horizon_days} days too"
    explained = pa.array([f" ({i} % {of_what})" for i in range(MOST_SURE + 1)])
    rows = np.arange(len(rank))
    text = pa.array(np.full(len(rank), "Belongs with "), pa.string())
    for place in range(chosen.shape[1]):
        axis = chosen[:, place]
        name = pc.take(names, pa.array(starts[axis] + placements.dominant[rows, axis]))
        chance = np.minimum(np.rint(100 * placements.stays[rows, axis]), MOST_SURE).astype(np.int64)
        percent = pc.take(percents if place else explained, pa.array(chance))
        part = pc.if_else(pa.array(placements.strength[rows, axis] == BALANCED), "partly the ", "the ")
        link = pc.if_else(pa.array(n_chosen == place + 1), " and ", ", ") if place else ""
        text = pc.if_else(pa.array(n_chosen > place), join(text, link, part, name, percent), text)
    return pc.if_else(pa.array(n_chosen > 0), join(text, "."), NOTHING_CLEAR)


def _purchases(features: Mapping[str, pd.DataFrame], n: int, currency: str) -> pa.StringArray:
    orders = counted(figure(features, "n_orders", n), "order", "orders")
    spent = join("Spent ", amounts(figure(features, "lifetime_value", n), currency), " in ")
    days = np.floor(figure(features, "days_since_last_order", n))
    ago = pc.if_else(pa.array(days < 1), "today", join(counted(days, "day", "days"), " ago"))
    last = pc.if_else(pa.array(np.rint(figure(features, "n_orders", n)) == 1), ", ", ", the last ")
    return join(pc.coalesce(spent, ""), orders, pc.coalesce(join(last, ago), ""), ".")


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
