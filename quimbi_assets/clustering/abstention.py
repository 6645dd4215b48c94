"""Which axes tell customers apart, and which only cut chance into segments.

Belongs here: testing a store's axes against the same store with its orders dealt anew. Does not: statistics, decision
(``noise_test``), the dealing (``axes._shuffle``), what is done with a weak axis (``defs``).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, Axis, Features, StoreReference, measure
from quimbi_assets.axes._shuffle import HALF, extract_together, halve_customers, shuffle_orders
from quimbi_assets.clustering.noise_test import (
    NoiseTest,
    against_reference,
    decide_features,
    log_variances,
    reliabilities,
    winsorise,
)
from quimbi_assets.clustering.scaling import Array, apply_transforms
from quimbi_assets.clustering.scoring import N_ORDERS, numbers
from quimbi_assets.history import Frames, History

MAX_CUSTOMERS = 3_000
"""Most customers compared. More would find smaller differences than are worth acting on."""

MAX_ROWS = 700_000
"""Most orders and lines of those customers together, which is what a comparison costs."""

N_SHUFFLES = 3
"""Reference stores. Their own chance adds a third to the variance of what is compared."""


TINY = 1e-9
"""Agreement by chance this near to 1 leaves nothing to gain."""


class _Measured(NamedTuple):
    """Features of a store, and of the same store with every customer split in two."""

    whole: dict[str, pd.DataFrame]
    halves: dict[str, pd.DataFrame]


def measure_differences(
    history: History,
    axes: Iterable[str],
    recorded: frozenset[str] | None = None,
    reference: StoreReference | None = None,
    *,
    max_customers: int = MAX_CUSTOMERS,
    max_rows: int = MAX_ROWS,
    random_state: int = 0,
) -> dict[str, NoiseTest]:
    """Test the axes of a store for real differences between customers.

    Parameters
    ----------
    history : History
        Of the store; a sample of its customers is looked at.
    axes : iterable of str
        Axes to test; those that the store's columns leave inactive are left out.
    recorded, reference
        As for ``measure``.
    max_customers, max_rows : int
        Bounds of the seeded sample that is compared.
    random_state : int
        Seed of sample and shuffles.

    Returns
    -------
    dict of str to NoiseTest
        By axis. The verdict on one axis does not depend on which others are tested.
    """
    names = list(axes)
    if not names:
        return {}
    end, columns = history.end, history.recorded if recorded is None else recorded

    def features(rows: Frames) -> Features:
        dealt = History.from_frames(*rows, history.store).until(end)
        return Features(measure(dealt, names, recorded=columns, reference=reference))

    bounded = history.sample(max_customers, random_state, max_rows).frames()
    seeds = np.random.SeedSequence(random_state).generate_state(N_SHUFFLES)
    stores = [bounded, *(shuffle_orders(bounded, end, int(seed)) for seed in seeds)]
    found = extract_together([*stores, *map(halve_customers, stores)], features)
    measured = [_Measured(*pair) for pair in zip(found[: len(stores)], found[len(stores) :], strict=True)]
    return {name: _judge(AXES[name], measured) for name in measured[0].whole}


def _judge(axis: Axis, measured: list[_Measured]) -> NoiseTest:
    """Compare one axis's features, of customers who are evidence for it."""
    table = measured[0].whole[axis.name]
    evident = table.index[numbers(table, [N_ORDERS])[:, 0] >= axis.min_orders]
    whole = winsorise(np.stack([_values(axis, store.whole[axis.name], evident) for store in measured]))
    first, second = np.split(
        winsorise(
            np.stack([_values(axis, s.halves[axis.name], evident + HALF + half) for half in "01" for s in measured])
        ),
        2,
    )
    # What a shuffle leaves as it is (the time since the first order) was not put to the test.
    is_tested = ~np.asarray(np.isclose(whole[1:], whole[:1], equal_nan=True).all(axis=(0, 1)))
    figures = _figures(whole, first, second).assign(is_tested=is_tested)
    figures.insert(0, "feature", [f.name for f in axis.clustering_features])
    measurable = figures["variance_ratio"].notna() | figures["reliability"].notna()
    return NoiseTest(
        axis=axis.name,
        figures=decide_features(figures[measurable].reset_index(drop=True)),
        n_customers=len(evident),
        ordered_once=float((table[N_ORDERS] == 1).mean()),
    )


def _figures(whole: Array, first: Array, second: Array) -> pd.DataFrame:
    """Compare every feature of the real store with the dealt ones; one row a feature."""
    log_ratio, variance_z = against_reference(log_variances(whole))
    agreement = reliabilities(first, second)
    excess, agreement_z = against_reference(agreement)
    by_chance = agreement[0][0] - excess
    return pd.DataFrame(
        {
            "n_customers": (~np.isnan(whole[0])).sum(axis=0),
            "variance_ratio": np.exp(log_ratio),
            "variance_z": variance_z,
            "reliability": agreement[0][0],
            "reliability_by_chance": by_chance,
            "reliability_gain": np.divide(
                excess, 1 - by_chance, out=np.full_like(excess, np.nan), where=by_chance < 1 - TINY
            ),
            "reliability_z": agreement_z,
        }
    )


def _values(axis: Axis, table: pd.DataFrame, customers: pd.Index) -> Array:
    """Transformed values of the clustering features; shape (n, d)."""
    features = axis.clustering_features
    values = numbers(table.reindex(customers), [f.name for f in features])
    values[~np.isfinite(values)] = np.nan
    return apply_transforms(values, [f.transform for f in features])
