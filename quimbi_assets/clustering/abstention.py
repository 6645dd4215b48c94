"""Which axes tell customers apart, and which only cut chance into segments.

Belongs here: testing a store's axes against the same store with its orders dealt anew. Does not: statistics, decision
(``noise_test``), the dealing (``axes._shuffle``), what is done with a weak axis (``defs``).
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, Axis, Features, StoreReference, _shuffle, measure
from quimbi_assets.clustering import noise_test
from quimbi_assets.clustering.foresight import Past
from quimbi_assets.clustering.noise_test import NoiseTest
from quimbi_assets.clustering.scaling import Array, apply_transforms, clean
from quimbi_assets.clustering.scoring import N_ORDERS, numbers
from quimbi_assets.clustering.transition import orders_around
from quimbi_assets.history import Frames, History
from quimbi_assets.instants import Instant

MAX_CUSTOMERS = 3_000
"""Most customers compared. More would find smaller differences than are worth acting on."""

MAX_ROWS = 700_000
"""Most orders and lines of those customers together, which is what a comparison costs."""

N_SHUFFLES = 3
"""Reference stores. Their own chance adds a third to the variance of what is compared."""

N_DEALS = 199
"""Stores whose numbers of orders are dealt too, for counts alone: the smallest p-value is one in 200."""

TINY = 1e-9
"""Agreement by chance this near to 1 leaves nothing to gain."""


def measure_differences(
    history: History,
    axes: Iterable[str],
    recorded: frozenset[str] | None = None,
    reference: StoreReference | None = None,
    *,
    horizon_days: int | None = None,
    random_state: int = 0,
) -> dict[str, NoiseTest]:
    """Test the axes of a store for real differences between customers.

    By axis; those that the store's columns leave inactive are left out. The verdict on one axis does not depend on
    which others are tested. ``recorded`` and ``reference`` are as for ``measure``; a seeded sample is compared. With
    ``horizon_days``, axes of states remember how customers were so long ago (``NoiseTest.with_model``).
    """
    names = list(axes)
    if not names:
        return {}
    end, columns = history.end, history.recorded if recorded is None else recorded

    def features(rows: Frames, at: Instant = end, of: list[str] = names) -> Features:
        dealt = History.from_frames(*rows, history.store).until(at)
        return Features(measure(dealt, of, recorded=columns, reference=reference))

    bounded = history.sample(MAX_CUSTOMERS, random_state, MAX_ROWS).frames()
    seeds = np.random.SeedSequence(random_state).generate_state(N_SHUFFLES)
    stores = [bounded, *(_shuffle.shuffle_orders(bounded, end, int(seed)) for seed in seeds)]
    tables = _shuffle.extract_together([*stores, *map(_shuffle.halve_customers, stores)], features)
    whole, halves = tables[: len(stores)], tables[len(stores) :]
    counts = _shuffle.count_later_orders(bounded.orders, N_DEALS, random_state)
    tested = {n: _judge(AXES[n], [t[n] for t in whole], [t[n] for t in halves], counts) for n in whole[0]}
    states = [name for name in tested if AXES[name].is_state]
    if horizon_days is None or not states:
        return tested
    cut_off = end - pd.Timedelta(days=horizon_days)
    then = _shuffle.extract_together(stores, lambda rows: features(rows, cut_off, states))
    since = [orders_around(History.from_frames(*rows, history.store).until(end), cut_off) for rows in stores]
    pasts = {n: [_past(horizon_days, t[n], *s) for t, s in zip(then, since, strict=True)] for n in states}
    return tested | {name: replace(tested[name], pasts=tuple(pasts[name])) for name in states}


def _past(
    days: int, features: pd.DataFrame, n_orders: NDArray[np.int64], tenure_days: Array, bought: NDArray[np.bool_]
) -> Past:
    """Pair features with what was counted of everybody, of whom some came only since."""
    known = n_orders > 0
    return Past(days, features.sort_index(), tenure_days[known], bought[known])


def _judge(axis: Axis, stores: list[pd.DataFrame], halves: list[pd.DataFrame], counts: _shuffle.Counts) -> NoiseTest:
    """Compare one axis's features of the real store and the dealt ones, of customers who are evidence for it.

    ``halves`` are the same stores with every customer split in two; ``counts`` of later orders are everybody's.
    """
    table = stores[0]
    evident = table.index[numbers(table, [N_ORDERS])[:, 0] >= axis.min_orders]
    whole = noise_test.winsorise(np.stack([_values(axis, store, evident) for store in stores]))
    split = np.stack([_values(axis, store, evident + _shuffle.HALF + half) for half in "01" for store in halves])
    first, second = np.split(noise_test.winsorise(split), 2)
    # What a shuffle leaves as it is (the time since the first order) was not put to the test.
    is_tested = ~np.asarray(np.isclose(whole[1:], whole[:1], equal_nan=True).all(axis=(0, 1)))
    figures = _figures(whole, first, second)
    figures = figures.assign(is_tested=is_tested, is_count=False, rate_spread=np.nan, p_value=np.nan)
    figures.insert(0, "feature", [f.name for f in axis.clustering_features])
    if axis.order_rate and (counted := noise_test.count_figures(*counts)):
        figures.loc[figures["feature"] == axis.order_rate, list(counted)] = list(counted.values())
    measurable = figures["variance_ratio"].notna() | figures["reliability"].notna()
    return NoiseTest(
        figures=noise_test.decide_features(figures[measurable].reset_index(drop=True)),
        n_customers=len(evident),
        ordered_once=float((table[N_ORDERS] == 1).mean()),
    )


def _figures(whole: Array, first: Array, second: Array) -> pd.DataFrame:
    """Compare every feature of the real store with the dealt ones; one row a feature."""
    log_ratio, variance_z = noise_test.against_reference(noise_test.log_variances(whole))
    agreement = noise_test.reliabilities(first, second)
    excess, agreement_z = noise_test.against_reference(agreement)
    by_chance = agreement[0][0] - excess
    return pd.DataFrame(
        {
            "n_customers": (~np.isnan(whole[0])).sum(axis=0),
            "variance_ratio": np.exp(log_ratio),
            "variance_z": variance_z,
            "reliability": agreement[0][0],
            "reliability_by_chance": by_chance,
            "reliability_gain": excess / np.where(by_chance < 1 - TINY, 1 - by_chance, np.nan),
            "reliability_z": agreement_z,
        }
    )


def _values(axis: Axis, table: pd.DataFrame, customers: pd.Index) -> Array:
    """Transformed values of the clustering features; shape (n, d)."""
    features = axis.clustering_features
    values = clean(numbers(table.reindex(customers), [f.name for f in features]))
    return apply_transforms(values, [f.transform for f in features])
