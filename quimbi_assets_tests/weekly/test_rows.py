import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.weekly.drift import ScoredSnapshot
from quimbi_assets.weekly.rows import drift_texts, history_rows
from quimbi_assets.weekly.snapshot import SnapshotPart, TakenPart, WeekModels

WEEK, AT = date(2025, 6, 2), pd.Timestamp("2025-06-09")


@pytest.fixture
def taken(scores):
    own = {"a": scores({"ann": (0.75, 0.25), "bob": (0.1, 0.9)}, ["a_1", "a_2"])}
    customers = own["a"].customers
    value = pd.DataFrame({"lifetime_value": [12.5, np.nan], "n_orders": [3, 4]}, customers)
    digests = pd.Series([1, 2], customers, dtype="uint64")
    part = SnapshotPart({"purchase_value": value}, digests, np.zeros(2), {})
    return TakenPart(part, ScoredSnapshot(own), None), WeekModels({}, {"a": "3"}, {}, {})


def test_rows_say_where_everybody_stood(taken):
    rows = history_rows(WEEK, AT, *taken).to_dict("records")
    assert json.loads(rows[0]["segment_memberships"]) == {"a": {"a_1": 0.75, "a_2": 0.25}}
    assert [json.loads(row["dominant_segments"])["a"] for row in rows] == ["a_1", "a_2"]
    assert rows[0]["lifetime_value"] == 12.5
    assert pd.isna(rows[1]["lifetime_value"])
    assert pd.isna(rows[0]["churn_risk_score"])
    assert pd.isna(rows[0]["archetype_id"])
    assert json.loads(rows[0]["model_versions"]) == {"a": "3"}


def test_a_risk_stands_beside_the_version_it_comes_from(taken):
    part, models = taken
    rows = history_rows(WEEK, AT, part._replace(risk=np.array([0.25, np.nan])), replace(models, churn_version="7"))
    assert rows["churn_risk_score"].iloc[0] == 0.25
    assert pd.isna(rows["churn_risk_score"].iloc[1])
    assert json.loads(rows["model_versions"].iloc[0]) == {"a": "3", "churn_risk": "7"}


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
    assert words == [["significant", "stable"], ["stable", "stable"], ["significant", "major"], [None, "moderate"]]
    assert [row["b"]["cause"] for row in found] == cause.tolist()
    assert found[3]["a"]["cause"] is None
