"""Ids of refits: kept through permutation, numbered on, never reused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs

from quimbi_assets.clustering.comparison import compare, consider
from quimbi_assets.clustering.identity import inherited_identity
from quimbi_assets.clustering.model import AxisModel

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
    turned.lineage_ = inherited_identity(before, turned, frame).lineage
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
