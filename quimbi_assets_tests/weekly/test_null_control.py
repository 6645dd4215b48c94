"""A store generated at random, where whoever alerts is wrong."""

import pandas as pd
import pytest

from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.history import History
from quimbi_assets.store import Store
from quimbi_assets_tests.weekly.conftest import Weeks, fitted

AXES = ["purchase_frequency", "purchase_value", "loyalty_trajectory"]


@pytest.fixture(scope="module")
def by_chance(shared_data):
    """The store generated at random; its orders have no status and no guests to leave out."""
    folder = shared_data / "retail_case_study"
    orders, items = pd.read_parquet(folder / "orders.parquet"), pd.read_parquet(folder / "order_items.parquet")
    return History.from_frames(orders, items, None, Store())


def test_alerts_stay_under_one_percent_a_week(by_chance, tmp_path):
    weeks = list(pd.date_range("2013-11-25", periods=8, freq="7D"))
    then = by_chance.until(weeks[0])
    weak = {name for name, found in measure_differences(then, AXES).items() if found.is_weak}
    assert weak == set(AXES)
    models = fitted(then, AXES)
    for weak_axes in (frozenset(weak), frozenset()):  # nor would there be many if the axes were not known to be weak
        watched = Weeks(by_chance, models, tmp_path, weak=weak_axes)
        found = [watched.next(week) for week in weeks][1:]
        rates = [pd.notna(week.alert).mean() for week in found]
        assert max(rates) < 0.01
        assert sum(rates) == 0 or not weak_axes
