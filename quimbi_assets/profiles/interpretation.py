"""A customer in two or three short sentences: where they clearly belong, what they have bought, what cannot
be judged.

Belongs here: the column ``interpretation``, written for all customers at once. Does not: segment names or
their sentences (``segments``), numbers as text (``phrases``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.profiles.phrases import amounts, counted, join
from quimbi_assets.profiles.strength import BALANCED, STRONG

MOST_SEGMENTS = 3
NOTHING_CLEAR = "No clear pattern yet."


@dataclass(frozen=True)
class Standing:
    """Where n customers stand on n_axes axes.

    Parameters
    ----------
    dominant : ndarray of int, shape (n, n_axes)
        Position of the dominant segment.
    top : ndarray, shape (n, n_axes)
        Its membership, 0-1.
    strength : ndarray of int, shape (n, n_axes)
        Position in ``strength.STRENGTHS``.
    low_evidence : ndarray of bool, shape (n, n_axes)
        Whether there are too few orders to judge.
    """

    dominant: NDArray[np.intp]
    top: NDArray[np.float64]
    strength: NDArray[np.int8]
    low_evidence: NDArray[np.bool_]


def interpretations(
    standing: Standing,
    segment_names: Sequence[Sequence[str]],
    features: Mapping[str, pd.DataFrame],
    currency: str,
    weak: Sequence[bool] = (),
) -> pa.StringArray:
    """Describe every customer.

    Parameters
    ----------
    standing : Standing
        Of n customers on n_axes axes.
    segment_names : sequence of n_axes sequences of str
        Names by position of the segment.
    features : mapping of axis to DataFrame of n rows
        Net spend, orders and days since the last order are read from it where they are.
    currency : str
        Of the store.
    weak : sequence of n_axes bool, optional
        Axes whose segments may be chance; none by default.

    Returns
    -------
    StringArray of length n

    Notes
    -----
    Up to three segments are named: strong before balanced ("partly"), then by membership; weak memberships, those
    on low evidence and those on weak axes never. The percentage is the membership, rounded.
    """
    sentences = [
        _belonging(standing, segment_names, np.array(weak or [False] * len(segment_names), dtype=bool)),
        _purchases(features, len(standing.top), currency),
        _unjudged(standing.low_evidence),
    ]
    return pc.binary_join_element_wise(*sentences, " ", null_handling="skip")


def _belonging(standing: Standing, segment_names: Sequence[Sequence[str]], weak: NDArray[np.bool_]) -> pa.StringArray:
    """Name the segments a customer clearly belongs to."""
    rank = np.where(standing.strength == STRONG, 2.0, np.where(standing.strength == BALANCED, 1.0, -np.inf))
    rank = np.where(standing.low_evidence | weak, -np.inf, rank + standing.top)
    chosen = np.argsort(-rank, axis=1, kind="stable")[:, :MOST_SEGMENTS]
    n_chosen = np.minimum(np.isfinite(rank).sum(axis=1), MOST_SEGMENTS)
    starts = np.cumsum([0, *map(len, segment_names)])[:-1]
    names = pa.array([name.replace("_", " ") for axis in segment_names for name in axis], pa.string())
    percents = pa.array([f" ({i} %)" for i in range(101)])
    rows = np.arange(len(rank))
    text = pa.array(np.full(len(rank), "Belongs with "), pa.string())
    for place in range(chosen.shape[1]):
        axis = chosen[:, place]
        name = pc.take(names, pa.array(starts[axis] + standing.dominant[rows, axis]))
        percent = pc.take(percents, pa.array(np.rint(100 * standing.top[rows, axis]).astype(np.int64)))
        part = pc.if_else(pa.array(standing.strength[rows, axis] == BALANCED), "partly the ", "the ")
        link = pc.if_else(pa.array(n_chosen == place + 1), " and ", ", ") if place else ""
        text = pc.if_else(pa.array(n_chosen > place), join(text, link, part, name, percent), text)
    return pc.if_else(pa.array(n_chosen > 0), join(text, "."), NOTHING_CLEAR)


def _purchases(features: Mapping[str, pd.DataFrame], n: int, currency: str) -> pa.StringArray:
    """Say what was spent, in how many orders, and when the last one was."""
    orders = counted(figure(features, "n_orders", n), "order", "orders")
    spent = join("Spent ", amounts(figure(features, "lifetime_value", n), currency), " in ")
    days = np.floor(figure(features, "days_since_last_order", n))
    ago = pc.if_else(pa.array(days < 1), "today", join(counted(days, "day", "days"), " ago"))
    last = pc.if_else(pa.array(np.rint(figure(features, "n_orders", n)) == 1), ", ", ", the last ")
    return join(pc.coalesce(spent, ""), orders, pc.coalesce(join(last, ago), ""), ".")


def figure(features: Mapping[str, pd.DataFrame], name: str, n: int) -> NDArray[np.float64]:
    """Return a feature by name from whichever axis holds it, shape (n,); NaN if none does."""
    for frame in features.values():
        if name in frame:
            return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.full(n, np.nan)


def _unjudged(low_evidence: NDArray[np.bool_]) -> pa.StringArray:
    """Say on how many axes there is too little to go by; null if on none."""
    n_axes = low_evidence.shape[1]
    texts = [None, *(f"Too few orders to judge {i} of {n_axes} axes." for i in range(1, n_axes + 1))]
    return pc.take(pa.array(texts, pa.string()), pa.array(low_evidence.sum(axis=1)))
