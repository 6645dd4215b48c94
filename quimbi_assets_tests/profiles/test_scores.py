import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.clustering.scoring import distances_to, memberships_from_distances
from quimbi_assets.profiles.scores import AxisScores, score_axis, scores_from_table, scores_schema, scores_to_table


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
    table = scores_to_table(scores)
    assert table.schema == scores_schema(2)
    ann = table.to_pylist()[0]
    assert (ann["customer_id"], ann["distance"], ann["low_evidence"]) == ("ann", [0, 5], False)
    assert ann["membership"][0] == pytest.approx(1 / (1 + np.exp(-5)))


def test_the_nearest_segment_is_dominant_where_memberships_cannot_tell():
    """Memberships of far customers round to the same number; whoever counts, counts the nearest."""
    memberships, distances = np.full((2, 2), 0.5), np.array([[2.0, 1.0], [1.0, 2.0]])
    scores = AxisScores(pd.Index(["ann", "bob"]), ["t_1", "t_2"], memberships, distances, np.zeros(2, dtype=bool))
    assert scores.dominant_ids.tolist() == ["t_2", "t_1"]
    assert scores.counts.tolist() == [1, 1]


def test_tables_bring_the_scores_back(models, features):
    scores = score_axis(models["purchase_value"], features["purchase_value"])
    back = scores_from_table(scores_to_table(scores), scores.segment_ids)
    pd.testing.assert_index_equal(back.customers, scores.customers)
    assert back.segment_ids == scores.segment_ids
    np.testing.assert_array_equal(back.memberships, scores.memberships)
    np.testing.assert_array_equal(back.distances, scores.distances)
    np.testing.assert_array_equal(back.low_evidence, scores.low_evidence)


def test_a_table_in_pieces_is_read_whole(models, features):
    scores = score_axis(models["purchase_value"], features["purchase_value"])
    table = scores_to_table(scores)
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])
    np.testing.assert_array_equal(scores_from_table(pieces, scores.segment_ids).distances, scores.distances)


@pytest.mark.parametrize("segment_ids", [["a"], ["a", "b", "c"], ["a", "b", "c", "d"], []])
def test_a_table_of_other_segments_is_refused(segment_ids):
    """Two customers' numbers for two segments each would pass for one customer's for four."""
    distances = np.ones((2, 2))
    table = scores_to_table(
        AxisScores(pd.Index(["ann", "bob"]), ["a", "b"], distances / 2, distances, distances[0] > 1)
    )
    with pytest.raises(ValueError, match=f"of 2 segments, not {len(segment_ids)}"):
        scores_from_table(table, segment_ids)
