import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from quimbi_assets.clustering.candidates import fit_centers
from quimbi_assets.clustering.stability import (
    adjusted_rand,
    bootstrap_stability,
    contingency,
    largest_jaccard,
    nearest,
)


def test_adjusted_rand_equals_scikit_learns():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 3, 200), rng.integers(0, 4, 200)
    assert adjusted_rand(contingency(first, second, 3, 4)) == pytest.approx(adjusted_rand_score(first, second))


def test_jaccard_by_hand():
    table = contingency(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1]), 2, 2)
    np.testing.assert_allclose(largest_jaccard(table), [2 / 3, 2 / 3])


def stability(points, k, seed=0):
    labels = nearest(points, fit_centers(points, k, 4, 0))
    refit = lambda drawn, s: fit_centers(drawn, k, 1, s)  # noqa: E731
    return bootstrap_stability(points, points, labels, refit, n_bootstraps=6, size=400, seed=seed)


def test_planted_groups_recur_and_cuts_through_noise_do_not():
    blobs, _ = make_blobs(400, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
    noise = np.random.default_rng(0).normal(size=(400, 4))
    assert stability(blobs, 3).ari > 0.99
    assert stability(blobs, 3).jaccard.min() > 0.99
    assert stability(noise, 5).ari < 0.6


def test_the_same_seed_gives_the_same_figures():
    noise = np.random.default_rng(0).normal(size=(300, 3))
    assert stability(noise, 3, 5).ari == stability(noise, 3, 5).ari
