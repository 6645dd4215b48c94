from types import SimpleNamespace

import numpy as np
import pytest

from quimbi_assets.clustering.candidates import Candidate, measure_candidates
from quimbi_assets.clustering.fitting import ChampionSetup, search_subsets
from quimbi_assets.clustering.quality import Stability
from quimbi_assets.clustering.selection import chosen_faults, selection_table


def candidate(k, silhouette, largest=0.4, smallest=0.1, ari=0.9, jaccard=0.9, clusters=None):
    n = clusters or k
    return Candidate(
        k=k,
        centers=np.zeros((n, 2)),
        silhouette=silhouette,
        calinski_harabasz=1.0,
        davies_bouldin=1.0,
        largest_share=largest,
        smallest_share=smallest,
        effective=float(n),
        refits=lambda: Stability(ari, np.full(n, jaccard)),
    )


def settle(*candidates, preferred=None, usual_k=4):
    sample = SimpleNamespace(features=(), fixed=frozenset(), measure=lambda names: list(candidates))
    return search_subsets([sample], None if preferred is None else ChampionSetup(0, (), preferred), usual_k)


def chosen(*candidates, preferred=None, usual_k=4):
    picked = [c for c in settle(*candidates, preferred=preferred, usual_k=usual_k) if c.chosen]
    assert len(picked) == 1
    return picked[0].k


def test_the_best_silhouette_wins_where_it_is_clearly_best():
    assert chosen(candidate(2, 0.30), candidate(3, 0.60), candidate(4, 0.46)) == 3
    assert chosen(candidate(2, 0.60), candidate(3, 0.46), candidate(4, 0.46)) == 2


def test_of_those_within_the_tolerance_the_nearest_to_four_is_chosen():
    """1 less 0.6, times 1.33, is 1 less 0.468."""
    assert chosen(candidate(2, 0.600), candidate(3, 0.585), candidate(4, 0.501), candidate(6, 0.599)) == 4
    assert chosen(candidate(2, 0.600), candidate(3, 0.585), candidate(5, 0.501), candidate(6, 0.459)) == 5
    assert chosen(candidate(2, 0.600), candidate(3, 0.459), candidate(6, 0.501)) == 6


def test_plain_kinds_are_not_cut_for_the_usual_number_and_one_cloud_is():
    assert chosen(candidate(3, 0.93), candidate(4, 0.85)) == 3
    assert chosen(candidate(3, 0.40), candidate(4, 0.26)) == 4


def test_the_champion_s_number_wins_where_noise_alone_decides():
    near = (candidate(2, 0.600), candidate(3, 0.585), candidate(4, 0.46))
    assert chosen(*near, preferred=2) == 2
    assert chosen(*near, preferred=4) == 3
    assert chosen(*near, preferred=6) == 3
    assert chosen(candidate(2, 0.400, ari=0.79), candidate(3, 0.385), preferred=2) == 3
    bad = (candidate(2, 0.4, ari=0.70), candidate(3, 0.4, ari=0.75), candidate(4, 0.4, ari=0.30))
    assert chosen(*bad) == 3
    assert chosen(*bad, preferred=2) == 2
    assert chosen(*bad, preferred=4) == 3


def test_the_usual_number_wins_among_the_admissible_but_not_over_the_champion_s():
    near = (candidate(3, 0.600), candidate(4, 0.585), candidate(5, 0.58), candidate(6, 0.46))
    assert chosen(*near, usual_k=5) == 5
    assert chosen(*near, usual_k=6) == 5
    assert chosen(*near, usual_k=2) == 3
    assert chosen(*near, usual_k=5, preferred=3) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"largest": 0.95}, "largest segment holds 95%"),
        ({"smallest": 0.005}, "smallest segment holds 0.5%"),
        ({"ari": 0.3}, "bootstrap ARI 0.30"),
        ({"jaccard": 0.4}, "Jaccard 0.40"),
        ({"clusters": 1}, "undivided"),
        ({"largest": 0.66}, "largest segment holds 66%"),
    ],
)
def test_separation_alone_does_not_win(fault, words):
    first, second = settle(candidate(2, 0.9, **fault), candidate(3, 0.3))
    assert second.chosen
    assert words in first.reason


def test_none_admissible_takes_the_least_bad_and_says_so():
    giant, nearly, unstable = settle(
        candidate(2, 0.9, largest=0.95), candidate(3, 0.26, largest=0.67), candidate(4, 0.3, ari=0.4)
    )
    assert nearly.chosen
    assert nearly.reason.startswith("chosen as the least bad")
    assert not giant.chosen
    assert not unstable.chosen
    assert chosen_faults(selection_table([giant, nearly, unstable])) == "largest segment holds 67%, over 65%"


def test_an_admissible_choice_has_no_faults():
    assert chosen_faults(selection_table(settle(candidate(2, 0.4), candidate(3, 0.2)))) is None


def test_every_candidate_is_in_the_table_with_a_reason():
    table = selection_table(settle(candidate(2, 0.4), candidate(3, 0.2), candidate(4, 0.39, ari=0.1)))
    assert table["k"].tolist() == [2, 3, 4]
    assert table["chosen"].tolist() == [True, False, False]
    assert table["reason"].str.len().gt(10).all()


def test_measured_shares_count_structural_customers_where_they_should():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(12, 1, (100, 2))])
    given, labels = np.full((400, 2), -9.0), np.zeros(400, dtype=np.intp)
    everyone = np.concatenate([points, given, np.full((200, 2), 12.0)])
    one, two = measure_candidates(points, given, labels, everyone, range(1, 3), 0)
    assert (one.k, two.k) == (2, 3)
    assert two.largest_share == pytest.approx(0.3)
    assert two.smallest_share == pytest.approx(0.3)
    assert two.effective == pytest.approx(np.exp(-2 * 0.3 * np.log(0.3) - 0.4 * np.log(0.4)))
    assert np.isnan(one.davies_bouldin)
    assert two.silhouette > one.silhouette


def test_beside_an_overwhelming_state_the_rest_is_balanced_in_itself():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(12, 1, (100, 2))])
    given, labels = np.full((1600, 2), -9.0), np.zeros(1600, dtype=np.intp)
    one, two = measure_candidates(points, given, labels, np.concatenate([points, given]), range(1, 3), 0)
    assert two.largest_share == pytest.approx(0.75)
    assert two.smallest_share == pytest.approx(0.05)
    assert one.largest_share == pytest.approx(0.2)


def test_stability_is_not_measured_without_hope():
    points = np.random.default_rng(0).normal(0, 1, (300, 2))
    none, no_labels = np.zeros((0, 2)), np.zeros(0, dtype=np.intp)
    (two,) = measure_candidates(points, none, no_labels, points, range(2, 3), 0, is_hopeful=lambda c: False)
    assert np.isnan(two.stability.ari)
    assert np.isnan(two.smallest_jaccard)
