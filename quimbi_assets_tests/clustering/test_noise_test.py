"""The statistics against figures known by hand or by construction."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.clustering.noise_test import (
    against_reference,
    decide_features,
    holm,
    log_variances,
    reliabilities,
    winsorise,
)


def decided(**figures):
    """Which features are real, by some of their figures."""
    columns = ["variance_ratio", "variance_z", "reliability_gain", "reliability_z"]
    return decide_features(pd.DataFrame(figures, columns=columns, dtype=float).assign(is_tested=True))["is_real"]


def normal(shape, sd=1.0, seed=0):
    return np.random.default_rng(seed).normal(0, sd, shape)


def test_twice_the_spread_is_four_times_the_variance():
    real, reference = 2 * normal((1, 4000, 1)), normal((3, 4000, 1), seed=1)
    difference, z = against_reference(log_variances(np.concatenate([real, reference])))
    assert np.exp(difference[0]) == pytest.approx(4, rel=0.1)
    assert z[0] > 20


def test_narrower_counts_as_much_as_wider():
    wide, narrow = normal((4, 2000, 2)), normal((1, 2000, 2), seed=1)
    values = np.concatenate([narrow * [0.5, 2.0], wide])
    difference, z = against_reference(log_variances(values))
    assert z[0] < -10
    assert z[1] > 10
    assert decided(variance_ratio=np.exp(difference), variance_z=z).all()


def test_error_of_a_normal_variance_is_the_textbook_one():
    _, error = log_variances(normal((1, 20_000, 1)))
    assert error[0, 0] == pytest.approx(2 / 20_000, rel=0.1)


def test_under_chance_z_is_standard_normal():
    _, z = against_reference(log_variances(normal((4, 500, 2000))))
    assert abs(z.mean()) < 0.1
    assert 0.8 < z.std() < 1.1
    first, second = normal((4, 500, 2000), seed=1), normal((4, 500, 2000), seed=2)
    _, z = against_reference(reliabilities(first, second))
    assert abs(z.mean()) < 0.1
    assert 0.8 < z.std() < 1.1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_reliability_is_the_share_of_variance_that_halves_have_in_common(share):
    trait = np.sqrt(share) * normal((1, 20_000, 1))
    halves = [trait + np.sqrt(1 - share) * normal((1, 20_000, 1), seed=s) for s in (1, 2)]
    value, _ = reliabilities(*halves)
    assert value[0, 0] == pytest.approx(share, abs=0.02)


def test_equal_halves_agree_wholly():
    half = normal((1, 50, 1))
    value, error = reliabilities(half, half)
    assert value[0, 0] == pytest.approx(1)
    assert error[0, 0] == pytest.approx(0)


def test_undefined_values_are_left_out_and_too_few_give_nothing():
    values = normal((2, 100, 2))
    values[:, 30:, 0] = np.nan
    values[:, 10:, 1] = np.nan
    value, _ = log_variances(values)
    assert value[0, 0] == pytest.approx(np.log(values[0, :30, 0].var()))
    assert np.isnan(value[:, 1]).all()
    value, _ = reliabilities(values, values[::-1])
    assert np.isfinite(value[:, 0]).all()
    assert np.isnan(value[:, 1]).all()


def test_constant_values_give_nothing():
    constant = np.full((3, 50, 1), 7.3)
    assert np.isnan(log_variances(constant)[0]).all()
    assert np.isnan(against_reference(reliabilities(constant, constant))[1]).all()
    assert not decided(variance_z=[np.nan]).any()


def test_limits_are_common_to_all_stores():
    values = normal((2, 1000, 1))
    values[0, 0, 0] = 1e9
    cut = winsorise(values)
    assert cut[0].max() == cut[1].max() < 4


def test_holm_by_hand():
    assert holm(np.array([[0.02, 0.5], [0.001, 0.4]])) == pytest.approx(np.array([[0.06, 0.8], [0.004, 0.8]]))
