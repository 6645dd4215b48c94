import numpy as np
import pandas as pd
import pytest

from quimbi_assets.clustering.membership import distances_to, memberships_from_distances
from quimbi_assets.profiles.scores import AxisScores, score_axis, scores_from_frame, scores_to_frame


@pytest.mark.parametrize("axis", ["purchase_value", "purchase_frequency"])
def test_scores_are_what_the_model_says(axis, models, features):
    model, frame = models[axis], features[axis]
    scores = score_axis(model, frame)
    np.testing.assert_array_equal(scores.distances, model.transform(frame))
    np.testing.assert_array_equal(scores.memberships, model.predict_proba(frame))
    np.testing.assert_array_equal(scores.dominant, model.predict(frame))
    np.testing.assert_array_equal(np.where(scores.low_evidence, "low", "ok"), model.evidence(frame))
    assert 0 < scores.low_evidence.sum() < len(frame)


def test_a_three_four_five_triangle():
    """A customer on the first of two centres that are 5 apart: memberships 1 and exp(-5), normalised."""
    distances = distances_to(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0], [3.0, 4.0]]))
    memberships = memberships_from_distances(distances)
    scores = AxisScores(pd.Index(["ann"]), ["t_1", "t_2"], memberships, distances, np.array([False]))
    frame = scores_to_frame(scores)
    assert frame.columns.tolist() == ["m:t_1", "m:t_2", "d:t_1", "d:t_2", "evidence"]
    assert frame.loc["ann", ["d:t_1", "d:t_2"]].tolist() == [0, 5]
    assert frame.loc["ann", "m:t_1"] == pytest.approx(1 / (1 + np.exp(-5)))
    assert frame.loc["ann", "evidence"] == "ok"


def test_frames_bring_the_scores_back(models, features):
    scores = score_axis(models["purchase_value"], features["purchase_value"])
    back = scores_from_frame(scores_to_frame(scores))
    assert back.segment_ids == scores.segment_ids
    np.testing.assert_array_equal(back.memberships, scores.memberships)
    np.testing.assert_array_equal(back.distances, scores.distances)
    np.testing.assert_array_equal(back.low_evidence, scores.low_evidence)


@pytest.mark.parametrize("columns", [["m:a"], ["m:a", "d:b"], ["d:a"], []])
def test_malformed_frames_are_refused(columns):
    with pytest.raises(ValueError, match="m:<segment_id>"):
        scores_from_frame(pd.DataFrame(columns=[*columns, "evidence"]))
