import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES, Features, fit_reference, measure
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.history import History
from quimbi_assets.profiles.archetype_choice import choose_archetypes, population_floor, shared_bits
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.scores import AxisScores, score_axis
from quimbi_assets.simulation import simulate_store


def scores(axis, dominant, k=2, top=0.9):
    """Customers who are ``top`` sure of one segment and unsure among the others."""
    memberships = np.full((len(dominant), k), (1 - top) / (k - 1))
    memberships[np.arange(len(dominant)), dominant] = top
    index = pd.Index([f"c{i:05d}" for i in range(len(dominant))])
    ids = [f"{axis}_{i + 1}" for i in range(k)]
    return AxisScores(index, ids, memberships, -np.log(memberships), np.zeros(len(index), dtype=bool))


def by_counts(counts, k=2, axes="ab"):
    """Scores of customers in given combinations of positions."""
    rows = np.repeat(np.array(list(counts)), list(counts.values()), axis=0)
    return {axis: scores(axis, rows[:, j], k) for j, axis in enumerate(axes)}


@pytest.fixture(scope="module")
def simulated():
    """Scores of a simulated store on every axis."""
    store = simulate_store(1500, seed=5)
    history = History.from_frames(store.orders, store.order_items)
    features = Features(measure(history, reference=fit_reference(history)))
    found = {}
    for name, table in features.items():
        axis = AXES[name]
        transforms = {f.name: f.transform for f in axis.clustering_features}
        states = tuple((s.feature, s.equals, s.name) for s in axis.structural)
        model = AxisModel(name, transforms, structural=states, min_orders=axis.min_orders, max_k=4)
        found[name] = score_axis(model.fit(table), table)
    return found


def assert_bounds(choice, all_scores):
    n = len(next(iter(all_scores.values())).customers)
    assert len(choice.kept.segments) <= 250
    assert choice.counts.sum() == len(choice.position) == n
    assert choice.counts.min() >= population_floor(n)
    own = [all_scores[axis] for axis in choice.kept.axes]
    after = np.ones(n)
    for j, score in enumerate(own):
        position = np.array([score.segment_ids.index(row[j]) for row in choice.kept.segments])[choice.position]
        after *= score.memberships[np.arange(n), position]
    before = np.prod([score.memberships.max(axis=1) for score in own], axis=0)
    assert np.median(after) >= 0.8 * np.median(before)
    assert choice.retained == pytest.approx(np.median(after) / np.median(before))


def test_a_simulated_store_keeps_every_bound(simulated):
    choice = choose_archetypes(simulated)
    assert_bounds(choice, simulated)
    assert choice.within_bounds
    assert len(choice.kept.axes) >= 3
    np.testing.assert_array_equal(choice.kept.assign(simulated), choice.position)


def test_common_combinations_are_kept_and_a_rare_one_joins():
    shop = by_counts({(0, 0): 400, (0, 1): 300, (1, 1): 280, (1, 0): 20})
    choice = choose_archetypes(shop)
    assert choice.kept == ArchetypeSet(("a", "b"), (("a_1", "b_1"), ("a_1", "b_2"), ("a_2", "b_2")))
    # The 20 are equally far from the first and the last of them; the first of equals takes them.
    assert choice.counts.tolist() == [420, 300, 280]
    assert choice.held[0] == {("a", "a_1"): pytest.approx(400 / 420), ("b", "b_1"): 1.0}
    assert_bounds(choice, shop)


def test_an_axis_that_another_implies_is_left_out():
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 2, (2, 2000))
    shop = {"a": scores("a", one), "copy": scores("copy", one), "b": scores("b", two)}
    choice = choose_archetypes(shop)
    assert len(choice.kept.axes) == 2
    assert "b" in choice.kept.axes
    assert choice.information == pytest.approx(3, abs=0.01)


def test_axes_that_would_misplace_most_customers_stay_out():
    rng = np.random.default_rng(2)
    shop = {f"x{j}": scores(f"x{j}", rng.integers(0, 4, 1000), 4, top=0.7) for j in range(8)}
    choice = choose_archetypes(shop)
    # 16 combinations of about 62 customers, but 64 of about 16.
    assert len(choice.kept.axes) == 2
    assert_bounds(choice, shop)


def test_never_more_than_250():
    rng = np.random.default_rng(3)
    shop = {f"x{j}": scores(f"x{j}", rng.integers(0, 6, 60_000), 6, top=0.95) for j in range(3)}
    choice = choose_archetypes(shop)
    assert 200 < len(choice.counts) <= 250
    assert_bounds(choice, shop)


def test_a_store_too_small_for_any_archetype_has_one():
    choice = choose_archetypes(by_counts({(0, 0): 10, (1, 1): 9}))
    assert choice.kept == ArchetypeSet((), ((),))
    assert choice.counts.tolist() == [19]
    assert choice.within_bounds


def test_only_eligible_axes_shape_archetypes_unless_there_are_too_few():
    shop = by_counts({(0, 0, 0): 200, (0, 1, 1): 200, (1, 0, 1): 200, (1, 1, 0): 200}, axes="abc")
    assert set(choose_archetypes(shop, eligible=["b", "c"]).kept.axes) == {"b", "c"}
    assert choose_archetypes(shop, eligible=["c"]).kept == choose_archetypes(shop).kept


def test_choosing_again_changes_nothing(simulated):
    first = choose_archetypes(simulated)
    again = choose_archetypes(simulated, first.kept)
    assert again.kept == first.kept
    np.testing.assert_array_equal(again.position, first.position)


def test_archetypes_near_the_floor_do_not_flicker():
    """29 of their own and 3 joiners: kept while it was kept, not taken in anew; nor is one of 33."""
    crowd = {(0, 0): 400, (0, 1): 300, (1, 1): 300, (2, 3): 3}
    week_1 = by_counts({**crowd, (2, 2): 31}, k=4)
    week_2 = by_counts({**crowd, (2, 2): 29, (2, 0): 33}, k=4)
    first = choose_archetypes(week_1)
    assert ("a_3", "b_3") in first.kept.segments
    second = choose_archetypes(week_2, first.kept)
    assert second.kept == first.kept
    assert second.counts.min() >= 30
    fresh = choose_archetypes(week_2)
    assert ("a_3", "b_3") not in fresh.kept.segments
    assert ("a_3", "b_1") in fresh.kept.segments


def test_a_segment_that_is_gone_takes_its_archetypes_with_it():
    shop = by_counts({(0, 0): 400, (1, 1): 300, (0, 1): 100})
    gone = ArchetypeSet(("a", "b"), (("a_1", "b_1"), ("a_9", "b_2"), ("a_2", "b_2")))
    kept = choose_archetypes(shop, gone).kept.segments
    assert {("a_1", "b_1"), ("a_2", "b_2")} <= set(kept)
    assert ("a_9", "b_2") not in kept


def test_information_of_groupings_worked_out_by_hand():
    same = np.array([0, 0, 1, 1] * 5000)
    assert shared_bits(same, same) == pytest.approx(1, abs=1e-3)
    assert shared_bits(same, np.array([0, 1, 0, 1] * 5000)) == pytest.approx(0, abs=1e-3)
    # Half of a coin is known: I = 1 - H(1/4) for a noisy copy.
    noisy = np.where(np.arange(20_000) // 4 % 4 == 0, 1 - same, same)
    expected = 1 + 0.25 * np.log2(0.25) + 0.75 * np.log2(0.75)
    assert shared_bits(same, noisy) == pytest.approx(expected, abs=1e-3)
