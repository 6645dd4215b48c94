import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.axis_table import AxisTable, write_table
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.marketing import fit_marketing
from quimbi_assets.pipeline import fit_store, sample_store
from quimbi_assets.profiles.scores import AxisScores
from quimbi_assets.weekly.compare import compare_snapshots
from quimbi_assets.weekly.noise import PastComparison
from quimbi_assets.weekly.snapshot import WeekModels, snapshot_facts, snapshot_schema, take_snapshot


@pytest.fixture
def scores():
    """Makes the scores of an axis from memberships by customer."""

    def make(memberships, ids):
        values = np.array(list(memberships.values()), dtype=float).reshape(-1, len(ids))
        index = pd.Index(list(memberships), dtype="str", name="customer_id")
        return AxisScores(index, list(ids), values, 1 - values, np.zeros(len(index), dtype=bool))

    return make


def fitted(history, axes=None, seed=0):
    """Models of a store as of its history's end, as they score weeks."""
    options = FitOptions(random_state=seed, pictures=False)
    sample = sample_store(history, axes, options)
    found = fit_store(history, sample, sample.reference, sample.recorded, options, noise_test=False)
    by_axis = (dict.fromkeys(found.models, value) for value in ("1", history.end, sample.reference))
    return WeekModels(found.models, *by_axis, marketing=fit_marketing(history))


class Weeks:
    """A store watched week by week, as the assets watch it; tables rest in a folder."""

    def __init__(self, history, models, folder, weak=frozenset()):
        self.history, self.models, self.folder, self.weak = history, models, folder, weak
        self.older, self.comparisons = None, []

    def snapshot(self, instant, models=None):
        """Take the snapshot of the week that ends at an instant; return its table."""
        models, history = models or self.models, self.history.until(instant)
        week = (instant - pd.Timedelta(days=7)).date()
        facts = snapshot_facts(week, history, models)
        rows = (part.snapshot.to_table() for part in take_snapshot(history, models))
        axes = [axis for axis in models.models if axis not in facts.inactive]
        return self._written(f"snapshot {instant}", rows, facts, snapshot_schema(axes))

    def next(self, instant, models=None):
        """Take the snapshot of an instant and compare it with the one before; None for the first."""
        models = models or self.models
        newer = self.snapshot(instant, models)
        found = compare_snapshots(newer, self.older, self.comparisons, models, self.history, self.weak)
        table = self._written(f"comparison {instant}", found.tables(), found.facts)
        self.comparisons.append(PastComparison(table))
        first, self.older = self.older is None, newer
        return None if first else found

    def _written(self, name, rows, facts, schema: pa.Schema | None = None):
        place = self.folder / f"{name}.parquet"
        write_table(place, rows, facts, schema)
        return AxisTable(place)
