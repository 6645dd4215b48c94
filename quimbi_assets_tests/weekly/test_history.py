import json
from datetime import date

import numpy as np
import pandas as pd

from quimbi_assets.weekly.history import drift_texts, history_rows
from quimbi_assets.weekly.kept import kept_features, kept_table


def test_rows_say_where_everybody_stood(scores):
    own = {"a": scores({"ann": (0.75, 0.25), "bob": (0.1, 0.9)}, ["a_1", "a_2"])}
    rows = history_rows(
        date(2025, 6, 2), pd.Timestamp("2025-06-09"), own, {"a": "3"}, None, np.array([12.5, np.nan])
    ).to_dict("records")
    assert json.loads(rows[0]["segment_memberships"]) == {"a": {"a_1": 0.75, "a_2": 0.25}}
    assert [json.loads(row["dominant_segments"])["a"] for row in rows] == ["a_1", "a_2"]
    assert rows[0]["lifetime_value"] == 12.5
    assert pd.isna(rows[1]["lifetime_value"])
    assert pd.isna(rows[0]["churn_risk_score"])
    assert json.loads(rows[0]["model_versions"]) == {"a": "3"}


def test_drift_is_written_with_its_words():
    drift = {"a": np.array([0.6, 0.6, 0.6, np.nan]), "b": np.array([0.05, 0.2, 0.9, 0.35])}
    other = {axis: values / 7 for axis, values in drift.items()}
    none = {axis: np.full(4, np.nan) for axis in drift}
    cause = np.array(["acted", "silent", "silent", "corrected"])
    noise = np.array([False, True, False, False])
    found = [json.loads(text) for text in drift_texts(drift, other, none, cause, noise).to_pylist()]
    assert found[0]["a"] == {
        "drift": 0.6,
        "velocity_per_day": round(0.6 / 7, 6),
        "acceleration": None,
        "severity": "significant",
        "cause": "acted",
    }
    words = [[row[axis]["severity"] for axis in drift] for row in found]
    assert words == [
        ["significant", "stable"],
        ["stable", "stable"],
        ["significant", "major"],
        [None, "moderate"],
    ]
    assert [row["b"]["cause"] for row in found] == cause.tolist()
    assert found[3]["a"]["cause"] is None


def test_kept_features_come_back_as_models_read_them():
    index = pd.Index(["ann", "bob"], name="customer_id")
    frequency = pd.DataFrame(
        {"orders_per_month": [1.0, 2.0], "recent_orders_90d": [1.0, 0.0], "n_orders": [3, 4]}, index
    )
    value = pd.DataFrame({"lifetime_value": [10.0, None], "n_orders": [3, 4]}, index)
    digests = pd.Series([2**63 + 1, 7], index, dtype="uint64")
    kept = kept_table({"purchase_frequency": frequency, "purchase_value": value}, digests, pd.Series([0.0, 1.5], index))
    again = kept_features(kept)
    pd.testing.assert_frame_equal(again["purchase_frequency"], frequency[["orders_per_month", "n_orders"]])
    pd.testing.assert_frame_equal(again["purchase_value"], value)
    assert kept["digest"].tolist() == digests.tolist()
