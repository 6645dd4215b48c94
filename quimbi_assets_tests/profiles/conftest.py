"""A store of 300 customers on two axes with real fitted models."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.assemble import ProfileContext, profile_customers

AS_OF = pd.Timestamp("2025-01-06")


@pytest.fixture(scope="session")
def features() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(3)
    n = 300
    index = pd.Index([f"c{i:03d}" for i in range(n)], name="customer_id")
    n_orders = rng.integers(1, 12, n)
    group = rng.integers(0, 3, n)
    gap = np.where(n_orders > 1, np.array([5.0, 40.0, 120.0])[group] + rng.normal(0, 2, n), np.nan)
    frequency = {
        "orders_per_month": np.array([6.0, 1.0, 0.3])[group] + rng.normal(0, 0.02, n),
        "avg_days_between_orders": gap,
        "days_since_last_order": rng.uniform(0, 90, n),
        "n_orders": n_orders,
    }
    value = {
        "lifetime_value": np.array([20.0, 2000.0, 300.0])[rng.permutation(group)] + rng.normal(0, 3, n),
        "avg_order_value": rng.lognormal(3, 0.1, n),
        "favourite": pd.Series(['tea "green"', None, "milk"] * 100, dtype="str").to_numpy(),
        "is_new": pd.array([True, False, None] * 100, dtype="boolean"),
        "n_orders": n_orders,
    }
    return {
        "purchase_value": pd.DataFrame(value, index=index).astype({"favourite": "str"}),
        "purchase_frequency": pd.DataFrame(frequency, index=index),
    }


@pytest.fixture(scope="session")
def models(features) -> dict[str, AxisModel]:
    clustering = {
        "purchase_value": {"lifetime_value": "log1p", "avg_order_value": "log1p"},
        "purchase_frequency": {"orders_per_month": "log1p", "avg_days_between_orders": "log1p"},
    }
    return {
        axis: AxisModel(axis=axis, transforms=transforms, min_orders=2, max_k=4).fit(features[axis])
        for axis, transforms in clustering.items()
    }


@pytest.fixture(scope="session")
def segments(models) -> dict[str, pd.DataFrame]:
    return {
        axis: pd.DataFrame(
            {"segment_id": model.segment_ids_, "segment_name": [f"kind_{i}_of_{axis}" for i in range(model.k_)]}
        )
        for axis, model in models.items()
    }


@pytest.fixture(scope="session")
def context(models, segments) -> ProfileContext:
    """Every combination of segments is an archetype."""
    combinations = tuple(product(*(model.segment_ids_ for model in models.values())))
    archetypes = ArchetypeSet(tuple(models), combinations)
    return ProfileContext("shop", AS_OF, segments, dict.fromkeys(models, "7"), archetypes, currency="GBP")


@pytest.fixture(scope="session")
def profiled(models, context) -> Callable[..., pd.DataFrame]:
    """Profiles customers from their features, and what is foretold of them, if anything."""
    return lambda features, *foretold: profile_customers(features, models, context, *foretold)


@pytest.fixture(scope="session")
def profiles(profiled, features) -> pd.DataFrame:
    return profiled(features)
