"""What the stages share: the sample that shapes fits, and which axes a dry run foresees to get a model."""

import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from quimbi_assets.axis_table import AxisTable, TableFacts, write_table
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.history import History
from quimbi_assets.pipeline import fit_store, foresee_axes, sampled_features
from quimbi_assets.sampling import sample_places
from quimbi_assets.simulation import simulate_store


def table_of(folder, name, customers, run_id):
    values = [float(customer[1:]) for customer in customers]
    rows = pa.table({"customer_id": customers, "x": values, "n_orders": pa.array([1] * len(customers), pa.int64())})
    write_table(UPath(folder) / f"{name}.parquet", [rows], TableFacts(run_id=run_id))
    return AxisTable(UPath(folder) / f"{name}.parquet")


def test_axes_of_different_runs_are_sampled_each_from_its_own_customers(tmp_path):
    customers = [f"c{i:03d}" for i in range(40)]
    tables = {
        "one": table_of(tmp_path, "one", customers, "first"),
        "two": table_of(tmp_path, "two", customers, "first"),
        "other": table_of(tmp_path, "other", customers[20:], "second"),
    }
    options = dict.fromkeys(tables, FitOptions(max_sample=10, random_state=0))
    frames = sampled_features(tables, options)
    assert frames["one"].index.equals(frames["two"].index)
    assert len(frames["other"]) == 10
    for frame in frames.values():
        assert (frame["x"] == [float(customer[1:]) for customer in frame.index]).all()
    alone = sampled_features({"other": tables["other"]}, options)
    assert frames["other"].equals(alone["other"])


def test_segments_are_described_on_each_models_own_sample(tmp_path):
    customers = pd.Index([f"c{i:03d}" for i in range(200)])
    models = {
        "all": AxisModel(),
        "few": AxisModel(max_sample=50),
        "few_others": AxisModel(max_sample=50, random_state=3),
    }
    tables = {name: table_of(tmp_path, name, list(customers), "first") for name in models}
    frames = sampled_features(tables, {name: FitOptions.of(model) for name, model in models.items()})
    drawn = {seed: list(customers[sample_places(customers, 50, seed)]) for seed in (0, 3)}
    assert list(frames["all"].index) == list(customers)
    assert list(frames["few"].index) == drawn[0]
    assert list(frames["few_others"].index) == drawn[3] != drawn[0]


AXES = ["purchase_value", "return_behavior", "support_history"]


@pytest.fixture(scope="module")
def history():
    drawn = simulate_store(200, seed=3)
    return History.from_frames(drawn.orders, drawn.order_items)


@pytest.mark.parametrize(
    "options", [FitOptions(pictures=False), FitOptions(min_k=600, max_k=700)], ids=["usual", "600"]
)
def test_a_dry_run_foresees_which_axes_get_no_model_and_why(history, options):
    foreseen = foresee_axes(history, AXES, options)
    fitted = fit_store(history, AXES, options=options, noise_test=False)
    assert {axis: reason for axis, reason in foreseen.items() if reason} == dict(fitted.inactive)
    assert foreseen["support_history"].startswith("not recorded")
    if options.min_k == 600:
        assert "600 segments need as many" in foreseen["purchase_value"]


def test_before_the_first_order_there_is_nobody(history):
    assert set(foresee_axes(history.until("1990-01-01"), AXES, FitOptions()).values()) == {
        "no customer has ordered yet"
    }
