"""Segments are described, and archetypes chosen, on the customers that a model's own options draw."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from quimbi_assets.axis_table import AxisTable, TableFacts, write_table
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.defs.segments import fitted_features
from quimbi_assets.instants import Instant
from quimbi_assets.profiles.alignment import AlignedAxes
from quimbi_assets.profiles.scores import AxisScores, scores_to_table
from quimbi_assets.sampling import sample_places

CUSTOMERS = pd.Index([f"c{i:03}" for i in range(200)])
AT = Instant("2025-03-01")


def drawn(max_sample, seed):
    return list(CUSTOMERS[sample_places(CUSTOMERS, max_sample, seed)])


@pytest.fixture
def at_rest(tmp_path):
    def write(name, rows, segment_ids=()):
        place = UPath(tmp_path) / f"{name}.parquet"
        write_table(place, [rows], TableFacts(at=AT, segment_ids=segment_ids))
        return AxisTable(place)

    return write


def test_segments_are_described_on_each_models_own_sample(at_rest):
    values = pa.table({"customer_id": CUSTOMERS, "value": np.arange(200.0), "n_orders": np.ones(200, int)})
    models = {
        "all": AxisModel(),
        "few": AxisModel(max_sample=50),
        "few_others": AxisModel(max_sample=50, random_state=3),
    }
    frames = fitted_features({name: at_rest(name, values) for name in models}, models)
    assert list(frames["all"].index) == list(CUSTOMERS)
    assert list(frames["few"].index) == drawn(50, 0)
    assert list(frames["few_others"].index) == drawn(50, 3) != drawn(50, 0)


def test_archetypes_are_chosen_on_the_largest_of_the_models_samples(at_rest):
    distances = np.column_stack([np.linspace(0, 1, 200), np.linspace(1, 0, 200)])
    scores = AxisScores(CUSTOMERS, ["a", "b"], distances[:, ::-1], distances, np.zeros(200, bool))
    table = at_rest("one", scores_to_table(scores), ("a", "b"))
    aligned = AlignedAxes(AT, {}, {"one": table, "other": table}, {}, [])
    models = {"one": AxisModel(max_sample=40, random_state=1), "other": AxisModel(max_sample=60, random_state=2)}
    assert [list(axis.customers) for axis in aligned.sampled_scores(models.values()).values()] == [drawn(60, 2)] * 2
