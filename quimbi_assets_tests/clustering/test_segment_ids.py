"""Geometry and counts small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.promotion import compare, consider
from quimbi_assets.clustering.quality import jaccard
from quimbi_assets.clustering.segment_ids import Relation, closeness, give_ids, relate, similarity


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


CENTRES = [[0, 0], [10, 0], [0, 10]]


def customers(centres, sizes=200, seed=1):
    """A frame of two features around some centres, sizes each."""
    sizes = [sizes] * len(centres) if isinstance(sizes, int) else sizes
    points, labels = make_blobs(sizes, centers=np.array(centres, dtype=float), random_state=seed)
    index = pd.Index([f"c{i}" for i in range(len(points))], name="customer_id")
    return pd.DataFrame(points, columns=["a", "b"], index=index), labels


def ids_at(model, centres):
    """Segment id of a customer at each of some points."""
    return [model.segment_ids_[i] for i in model.predict(pd.DataFrame(centres, columns=["a", "b"], dtype=float))]


@pytest.fixture(scope="module")
def champion():
    return AxisModel(axis="toy").fit(customers(CENTRES)[0])


def test_a_first_fit_is_born(champion):
    assert champion.segments_named_ == 3
    assert champion.lineage_["relation"].tolist() == ["born"] * 3
    assert champion.lineage_["previous_segment_id"].isna().all()


def test_the_same_data_give_the_same_fit_to_the_last_bit(champion):
    again = AxisModel(axis="toy").fit(customers(CENTRES)[0], champion=champion)
    assert again.cluster_centers_.tobytes() == champion.cluster_centers_.tobytes()
    assert again.segment_ids_ == champion.segment_ids_
    assert again.segment_stability_.tolist() == champion.segment_stability_.tolist()
    third = AxisModel(axis="toy").fit(customers(CENTRES)[0].sample(frac=1, random_state=4), champion=again)
    assert third.cluster_centers_.tobytes() == champion.cluster_centers_.tobytes()


def test_data_without_gaps_too_give_the_same_fit_again():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(1500, 3)), columns=["a", "b", "c"], index=[f"c{i}" for i in range(1500)])
    first = AxisModel(axis="toy").fit(frame)
    grown = AxisModel(axis="toy").fit(frame.iloc[:1450], champion=first)
    again = AxisModel(axis="toy").fit(frame.iloc[:1450], champion=grown)
    assert again.cluster_centers_.tobytes() == grown.cluster_centers_.tobytes()


def test_ids_follow_the_people_when_the_order_of_segments_turns():
    """Positions follow the first feature; one group moves past another by it, and both keep their ids."""
    frame, labels = customers([[0, 0], [10, 0], [1, 10]])
    before = AxisModel(axis="toy").fit(frame)
    moved = frame.assign(a=frame["a"] - 2.0 * (labels == 2))
    after = AxisModel(axis="toy").fit(moved, champion=before)
    assert before.segment_ids_ == ["toy_1", "toy_2", "toy_3"]
    assert after.segment_ids_ == ["toy_2", "toy_1", "toy_3"]
    assert ids_at(after, [[0, 0], [10, 0], [-1, 10]]) == ids_at(before, [[0, 0], [10, 0], [1, 10]])
    assert set(after.lineage_["relation"]) == {"kept"}
    assert after.segments_named_ == 3


def test_a_new_segment_takes_the_next_number_and_numbers_are_never_given_again(champion):
    grown, _ = customers([*CENTRES, [10, 10]])
    second = AxisModel(axis="toy").fit(grown, champion=champion)
    assert ids_at(second, [*CENTRES, [10, 10]]) == [*ids_at(champion, CENTRES), "toy_4"]
    fate = second.lineage_.set_index("segment_id")
    assert fate.loc["toy_4", "relation"] in ("born", "split")
    third = AxisModel(axis="toy").fit(customers(CENTRES)[0], champion=second)
    assert sorted(third.segment_ids_) == ["toy_1", "toy_2", "toy_3"]
    assert third.segments_named_ == 4
    assert third.lineage_.set_index("segment_id").loc["toy_4", "relation"] == "retired"
    fourth = AxisModel(axis="toy").fit(customers([*CENTRES, [-10, -10]])[0], champion=third)
    assert ids_at(fourth, [[-10, -10]]) == ["toy_5"]


def test_numbers_that_other_versions_gave_are_passed_over(champion):
    second = AxisModel(axis="toy").fit(customers([*CENTRES, [10, 10]])[0], champion=champion, named=7)
    assert ids_at(second, [[10, 10]]) == ["toy_8"]


def test_two_segments_that_grow_together_are_merged():
    apart, _ = customers([[-6, 0], [6, 0], [0, 40]], 300)
    before = AxisModel(axis="toy").fit(apart)
    after = AxisModel(axis="toy", max_k=2).fit(apart, champion=before)
    gone = after.lineage_[after.lineage_["relation"] == "merged"]
    assert set(gone["previous_segment_id"]) == set(ids_at(before, [[-6, 0], [6, 0]]))
    assert gone["segment_id"].nunique() == 1


def test_a_champion_whose_feature_is_gone_is_matched_by_place(champion):
    frame, _ = customers(CENTRES)
    other = frame[["a"]].assign(c=frame["b"], d=frame["b"] ** 2)
    refit = AxisModel(axis="toy").fit(other, champion=champion)
    assert set(refit.lineage_["relation"]) <= {"kept", "born", "retired"}
    assert consider(champion, refit, other).promoted
    assert "b is not recorded any more" in consider(champion, refit, other).reason


def test_a_refit_of_slightly_other_customers_moves_hardly_anybody(champion):
    frame, _ = customers(CENTRES)
    refit = AxisModel(axis="toy").fit(frame.iloc[:-20], champion=champion)
    found = compare(champion, refit, frame)
    assert found.churn == 0.0
    assert abs(found.silhouette_change) < 0.01
    assert consider(champion, refit, frame).promoted


def test_a_refit_that_relabels_customers_is_held():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(2000, 2)), columns=["a", "b"], index=[f"c{i}" for i in range(2000)])
    before = AxisModel(axis="toy", max_k=4, min_k=4).fit(frame)
    turned = AxisModel(axis="toy", max_k=4, min_k=4).fit(frame)
    angle = np.pi / 4
    turned.cluster_centers_ = before.cluster_centers_ @ np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    turned.lineage_ = give_ids(turned, frame, before)[2]
    decision = consider(before, turned, frame)
    assert not decision.promoted
    assert "label_churn" in decision.failed
    assert consider(before, turned, frame, by_hand=True).promoted


def test_a_number_of_segments_that_was_ruled_out_gives_way(champion):
    frame, _ = customers(CENTRES)
    refit = AxisModel(axis="toy", max_k=2).fit(frame, champion=champion)
    decision = consider(champion, refit, frame)
    assert decision.promoted
    assert decision.reason == "the champion has 3 segments, 2 to 2 were asked for"


def test_the_first_fit_is_promoted_at_once(champion):
    assert consider(None, champion, customers(CENTRES)[0]).promoted


def test_a_segment_that_vanishes_while_its_people_are_there_is_named(champion):
    frame, _ = customers(CENTRES)
    refit = AxisModel(axis="toy").fit(frame, champion=champion)
    refit.segment_ids_ = ["toy_1", "toy_2", "toy_9"]
    refit.lineage_ = pd.DataFrame(
        [("toy_3", "toy_3", "retired", 0.1)], columns=["segment_id", "previous_segment_id", "relation", "score"]
    )
    found = compare(champion, refit, frame)
    assert found.vanished == (("toy_3", pytest.approx(1 / 3)),)
    assert "no_segment_vanished" in consider(champion, refit, frame).failed


def test_the_comparison_does_not_depend_on_the_order_of_customers(champion):
    frame, _ = customers(CENTRES)
    refit = AxisModel(axis="toy").fit(frame.iloc[:-50], champion=champion)
    assert compare(champion, refit, frame) == compare(champion, refit, frame.sample(frac=1, random_state=9))
