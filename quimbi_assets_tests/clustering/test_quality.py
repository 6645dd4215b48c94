import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from quimbi_assets.clustering.candidates import bootstrap_stability, fit_centers
from quimbi_assets.clustering.quality import (
    SharedDistances,
    adjusted_rand,
    contingency,
    effective_segments,
    jaccard,
    nearest,
    variance_ratios,
)

NOBODY = np.empty((0, 2)), np.empty(0, dtype=np.intp)


def test_silhouettes_equal_scikit_learns():
    points, labels = make_blobs(300, centers=4, random_state=0)
    ours = SharedDistances(points, *NOBODY).silhouettes(labels)
    np.testing.assert_allclose(ours, silhouette_samples(points, labels), atol=1e-4)


def test_silhouettes_of_a_line_by_hand():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0], [9.0, 0.0]])
    ours = SharedDistances(points, *NOBODY).silhouettes(np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(ours, [3 / 4, 2 / 3, 0.0, 0.0], atol=1e-6)


def test_a_structural_segment_counts_as_a_neighbour():
    points = np.array([[0.0, 0.0], [1.0, 0.0]])
    others = np.array([[0.0, 3.0], [0.0, 5.0]])
    shared = SharedDistances(points, others, np.array([0, 0]))
    alone = shared.silhouettes(np.array([0, 0]))
    np.testing.assert_allclose(alone[0], (4 - 1) / 4, atol=1e-6)


def test_one_segment_in_all_has_no_silhouette():
    points = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert np.isnan(SharedDistances(points, *NOBODY).silhouettes(np.array([0, 0]))).all()


def test_duplicated_points_in_two_places_are_perfectly_separated():
    points = np.repeat([[0.0, 0.0], [5.0, 0.0]], 10, axis=0)
    ours = SharedDistances(points, *NOBODY).silhouettes(np.repeat([0, 1], 10))
    np.testing.assert_allclose(ours, 1.0)


@pytest.mark.parametrize(("shares", "expected"), [([1.0], 1.0), ([0.25] * 4, 4.0), ([1.0, 0.0], 1.0)])
def test_effective_segments(shares, expected):
    assert effective_segments(np.array(shares)) == pytest.approx(expected)


def test_variance_ratios_of_one_cluster_are_undefined():
    points = np.random.default_rng(0).normal(size=(20, 2))
    assert np.isnan(variance_ratios(points, np.zeros(20, dtype=np.intp))).all()
    assert np.isfinite(variance_ratios(points, np.arange(20) % 2)).all()


def test_adjusted_rand_equals_scikit_learns():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 3, 200), rng.integers(0, 4, 200)
    assert adjusted_rand(contingency(first, second, 3, 4)) == pytest.approx(adjusted_rand_score(first, second))


def test_jaccard_by_hand():
    table = contingency(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1]), 2, 2)
    np.testing.assert_allclose(jaccard(table).max(axis=1), [2 / 3, 2 / 3])


def stability(points, k, seed=0):
    labels = nearest(points, fit_centers(points, k, 4, 0))
    return bootstrap_stability(points, points, labels, k, seed)


def test_planted_groups_recur_and_cuts_through_noise_do_not():
    blobs, _ = make_blobs(400, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    noise = np.random.default_rng(0).normal(size=(400, 4))
    assert stability(blobs, 3).ari > 0.99
    assert stability(blobs, 3).jaccard.min() > 0.99
    assert stability(noise, 5).ari < 0.6


def test_the_same_seed_gives_the_same_figures():
    noise = np.random.default_rng(0).normal(size=(300, 3))
    assert stability(noise, 3, 5).ari == stability(noise, 3, 5).ari
