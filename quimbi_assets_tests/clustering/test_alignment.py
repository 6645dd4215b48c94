"""Geometry and counts small enough to check by hand."""

import numpy as np
import pytest

from quimbi_assets.clustering.alignment import Relation, closeness, jaccard, relate, similarity


def told(relations):
    return [(r.new, r.old, r.relation) for r in relations]


def aligned(old, new, table=None):
    """Relations of two lists of centres; customers by old and new segment."""
    near = closeness(np.array(old, dtype=float), np.array(new, dtype=float))
    counts = None if table is None else np.array(table, dtype=float)
    alike = similarity(near, counts, [None] * len(old), [None] * len(new))
    return relate(alike, counts)


def test_a_triangle_gives_its_score():
    """Distance 5 on a 3-4-5 triangle, and half of the customers in common."""
    near = closeness(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]))
    assert near[0, 0] == pytest.approx(np.exp(-5))
    assert jaccard(np.array([[50.0, 25.0], [25.0, 0.0]]))[0, 0] == 0.5
    (only,) = relate(similarity(near, np.array([[10.0]]), [None], [None]), np.array([[10.0]]))
    assert only == Relation(0, 0, "kept", pytest.approx((np.exp(-5) + 1) / 2))


def test_the_same_segments_in_another_order_are_kept():
    found = aligned([[0, 0], [5, 0], [0, 5]], [[0, 5], [0, 0], [5, 0]], [[0, 40, 0], [0, 0, 30], [20, 0, 0]])
    assert told(found) == [(0, 2, "kept"), (1, 0, "kept"), (2, 1, "kept")]
    assert [r.score for r in found] == [1.0, 1.0, 1.0]


def test_matching_is_of_least_total_cost_not_greedy():
    """The best single pair (0.9) would leave 0.1 for the rest; the best total is 0.8 + 0.8."""
    alike = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert told(relate(alike)) == [(0, 1, "kept"), (1, 0, "kept")]


def test_a_segment_cut_in_two_equal_parts_far_apart_is_split():
    found = aligned([[0, 0], [9, 9]], [[-2, 0], [2, 0], [9, 9]], [[50, 50, 0], [0, 0, 80]])
    assert told(found) == [(0, 0, "split"), (1, 0, "split"), (2, 1, "kept")]
    assert found[0].score == pytest.approx((np.exp(-2) + 0.5) / 2)


def test_a_small_part_splits_off_and_the_rest_is_kept():
    found = aligned([[0, 0], [9, 9]], [[0, 0.1], [2, 0], [9, 9]], [[90, 10, 0], [0, 0, 80]])
    assert told(found) == [(0, 0, "kept"), (1, 0, "split"), (2, 1, "kept")]


def test_two_segments_in_one_place_are_merged():
    found = aligned([[-2, 0], [2, 0], [9, 9]], [[0, 0], [9, 9]], [[50, 0], [50, 0], [0, 80]])
    assert told(found) == [(0, 0, "merged"), (0, 1, "merged"), (1, 2, "kept")]


def test_a_small_segment_merges_into_a_kept_one():
    found = aligned([[0, 0], [2, 0], [9, 9]], [[0.1, 0], [9, 9]], [[90, 0], [10, 0], [0, 80]])
    assert told(found) == [(0, 0, "kept"), (0, 1, "merged"), (1, 2, "kept")]


def test_a_segment_of_everybody_s_customers_is_born():
    found = aligned(
        [[0, 0], [9, 9], [0, 9]], [[0, 0], [9, 9], [0, 9], [5, 5]], [[70, 0, 0, 9], [0, 70, 0, 9], [0, 0, 70, 9]]
    )
    assert told(found)[3] == (3, None, "born")
    assert found[3].score == pytest.approx((np.exp(-np.hypot(4, 4)) + 9 / 97) / 2)


def test_a_segment_whose_customers_scatter_is_retired():
    found = aligned(
        [[0, 0], [9, 9], [0, 9], [5, 5]], [[0, 0], [9, 9], [0, 9]], [[70, 0, 0], [0, 70, 0], [0, 0, 70], [9, 9, 9]]
    )
    assert told(found)[3] == (None, 3, "retired")
    assert len(found) == 4


def test_an_empty_segment_is_retired_not_merged():
    assert told(aligned([[0, 0], [9, 9]], [[0, 0]], [[10], [0]])) == [(0, 0, "kept"), (None, 1, "retired")]


def test_without_shared_customers_places_decide():
    found = aligned([[0, 0], [3, 4]], [[3, 4.1], [40, 40]])
    assert told(found) == [(0, 1, "kept"), (1, None, "born"), (None, 0, "retired")]
    assert found[0].score == pytest.approx(np.exp(-0.1))


def test_segments_of_a_state_match_by_their_state_alone():
    near, table = np.ones((2, 2)), np.array([[50.0, 0.0], [0.0, 50.0]])
    alike = similarity(near, table, ["once", None], [None, "once"])
    assert (1, 0, "kept") in told(relate(alike, table))
    assert alike[0].tolist() == [0.0, 1.0]
    assert similarity(near, table, ["once", None], ["never", None])[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("seed", range(20))
def test_every_segment_of_either_fit_has_a_fate(seed):
    rng = np.random.default_rng(seed)
    k, m = rng.integers(1, 7, size=2)
    table = rng.integers(0, 40, size=(k, m)) * (rng.random((k, m)) < 0.4)
    found = aligned(rng.normal(size=(k, 2)), rng.normal(size=(m, 2)), table)
    assert {r.new for r in found} - {None} == set(range(m))
    assert {r.old for r in found} - {None} == set(range(k))
    kept = [r for r in found if r.relation == "kept"]
    assert len({r.old for r in kept}) == len({r.new for r in kept}) == len(kept)
    assert all(0 <= r.score <= 1 for r in found)
    assert all((r.old is None) == (r.relation == "born") for r in found)
    assert all((r.new is None) == (r.relation == "retired") for r in found)
