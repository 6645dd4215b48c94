"""A store generated at random, where whoever alerts is wrong."""

import pandas as pd
import pytest
from quimbi_assets_tests.weekly.conftest import Weeks, fitted

from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.ingest.policy import apply_policy
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.reading import read_items, read_orders

AXES = ["purchase_frequency", "purchase_value", "loyalty_trajectory"]


@pytest.fixture(scope="module")
def by_chance(database, shared_data):
    """Canonical orders and lines of the store generated at random."""
    folder = shared_data / "retail_case_study"
    load_store(database, "by_chance", folder / "orders.parquet", folder / "order_items.parquet")
    stored = read_orders(database, "by_chance"), read_items(database, "by_chance")
    return apply_policy(*stored)[:2]


def test_alerts_stay_under_one_percent_a_week(by_chance):
    orders, items = by_chance
    weeks = list(pd.date_range("2013-11-25", periods=8, freq="7D"))
    weak = {name for name, found in measure_differences(orders, items, AXES, weeks[0]).items() if found.is_weak}
    assert weak == set(AXES)
    for weak_axes in (frozenset(weak), frozenset()):  # nor would there be many if the axes were not known to be weak
        watched = Weeks(orders, items, *fitted(orders, items, weeks[0], AXES), weak=weak_axes)
        found = [watched.next(week) for week in weeks][1:]
        rates = [week.week["alert"].notna().mean() for week in found]
        assert max(rates) < 0.01
        assert sum(rates) == 0 or not weak_axes
