"""What the stages share: which features are fitted together, on which sample, and which axes a dry run foresees."""

import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from quimbi_assets.axis_table import AxisTable, TableFacts, write_table
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.pipeline import fit_store, foresee_axes, measured_together, sample_store, sampled_features
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
    sample = sample_store(history, AXES, options)
    fitted = fit_store(history, sample, sample.reference, sample.recorded, options, noise_test=False)
    assert {axis: reason for axis, reason in foreseen.items() if reason} == dict(fitted.inactive) | sample.inactive
    assert foreseen["support_history"].startswith("not recorded")
    if options.min_k == 600:
        assert "600 segments need as many" in foreseen["purchase_value"]


def test_before_the_first_order_there_is_nobody(history):
    assert set(foresee_axes(history.until("1990-01-01"), AXES, FitOptions()).values()) == {
        "no customer has ordered yet"
    }


JANUARY, MARCH = Instant("2025-01-01"), Instant("2025-03-01")
COLUMNS = frozenset({"orders.total_price"})


@pytest.fixture
def table(tmp_path):
    def write(name, at, recorded=COLUMNS, run_id="first"):
        place = UPath(tmp_path) / f"{name}.parquet"
        write_table(place, [], TableFacts(at=at, recorded=recorded, run_id=run_id))
        return AxisTable(place)

    return write


def test_features_of_one_instant_are_fitted_as_of_it_whichever_run_measured_them(table):
    tables = {"value": table("value", MARCH), "cadence": table("cadence", MARCH, run_id="second")}
    assert measured_together("s", tables) == (MARCH, COLUMNS)


@pytest.mark.parametrize(("at", "recorded"), [(JANUARY, COLUMNS), (MARCH, COLUMNS | {"items.category"})])
def test_features_measured_apart_are_refused_in_one_line(table, at, recorded):
    tables = {"value": table("value", MARCH), "cadence": table("cadence", at, recorded)}
    with pytest.raises(BadInputError, match=r"value as of 2025-03-01.*; cadence as of .*quimbi run --store-id s"):
        measured_together("s", tables)
