import json

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.naming.rows import segment_rows, segments_table
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.segment_statistics import describe_segments

COLUMNS = [
    "store_id", "axis_name", "segment_id", "segment_name", "interpretation", "cluster_center", "scaler_params",
    "population_percentage", "customer_count", "valid_from", "valid_to", "model_version", "stability",
    "name_source", "text_source",
]  # fmt: skip


@pytest.fixture(scope="module")
def rows(axis, model, features):
    description = describe_segments(model, features)
    names = name_segments(axis, description).iloc[::-1]
    instant = pd.Timestamp("2025-01-06", tz="UTC")
    return segment_rows("shop", axis, description, names, model, valid_from=instant, model_version="3")


def test_rows_carry_the_columns_of_the_table(rows, model, features):
    assert rows.columns.tolist() == COLUMNS
    assert rows["segment_id"].tolist() == model.segment_ids_
    assert rows["valid_to"].isna().all()
    assert (rows["valid_from"] == pd.Timestamp("2025-01-06", tz="UTC")).all()
    np.testing.assert_allclose(rows["stability"], model.segment_stability_)
    once = rows[rows["segment_name"] == "one_time_buyers"].iloc[0]
    assert once["customer_count"] == 30
    centre = json.loads(once["cluster_center"])
    assert list(centre) == model.features_
    assert centre.items() >= {"orders_per_month": 0.5, "days_since_last_order": None, "avg_order_value": None}.items()
    assert set(json.loads(once["scaler_params"])) >= set(model.features_)


def test_a_segment_without_a_name_is_refused(axis, model, features):
    description = describe_segments(model, features)
    names = name_segments(axis, description).iloc[1:]
    with pytest.raises(ValueError, match="no name for"):
        segment_rows("shop", axis, description, names, model, valid_from=pd.Timestamp(0), model_version="1")


def test_the_table_nests_segments_under_axes(rows):
    axes = {
        "rhythm": {"status": "active", "k": np.int64(3), "stability_ari": np.nan, "customers_fitted": 399},
        "large": {"status": "active", "k": 2, "halves_ari": np.float64(0.7), "customers_fitted": 400},
        "empty": {"status": "inactive", "reason": "no discounts recorded"},
    }
    table = segments_table("shop", pd.Timestamp("2025-01-06"), axes, rows)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    rhythm, large, empty = table["axes"]
    assert rhythm["provisional"].startswith("only 399 customers shape its segments")
    assert (large["halves_ari"], large["provisional"]) == (0.7, None)
    assert (rhythm["axis"], rhythm["k"], rhythm["stability_ari"]) == ("rhythm", 3, None)
    assert list(rhythm["segments"][0]) == [
        "segment_id",
        "segment_name",
        "interpretation",
        "customer_count",
        "population_percentage",
        "stability",
    ]
    counts = [segment["customer_count"] for segment in rhythm["segments"]]
    assert counts == sorted(counts, reverse=True)
    assert empty == {
        "axis": "empty",
        "status": "inactive",
        "reason": "no discounts recorded",
        "k": None,
        "silhouette": None,
        "halves_ari": None,
        "stability_ari": None,
        "customers_fitted": None,
        "mlflow_run_id": None,
        "provisional": None,
        "segments": [],
    }


def test_segments_of_an_axis_nobody_named_are_refused(rows):
    with pytest.raises(ValueError, match="rhythm"):
        segments_table("shop", None, {}, rows)
