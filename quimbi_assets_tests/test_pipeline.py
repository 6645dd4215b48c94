"""What the stages share: the sample that shapes fits."""

import pyarrow as pa
from upath import UPath

from quimbi_assets.axis_table import AxisTable, TableFacts, write_table
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.pipeline import sampled_features


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
    frames = sampled_features(tables, FitOptions(max_sample=10, random_state=0))
    assert frames["one"].index.equals(frames["two"].index)
    assert len(frames["other"]) == 10
    for frame in frames.values():
        assert (frame["x"] == [float(customer[1:]) for customer in frame.index]).all()
    alone = sampled_features({"other": tables["other"]}, FitOptions(max_sample=10, random_state=0))
    assert frames["other"].equals(alone["other"])
