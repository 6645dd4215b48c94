import numpy as np
import pandas as pd
import pytest

from quimbi_assets.backtest.baseline import (
    continuous_rfm,
    explained_share,
    resample_weights,
    rfm_groupings,
    rfm_scores,
    sharp,
)


def by_group(outcome, groups, weights=None):
    return explained_share(outcome, sharp(groups), weights)


def test_worked_out_by_hand():
    """Groups (0, 2), (4, 6): SSB = 16, SST = 20; 1 - 0.2 x 3 / 2 = 0.7."""
    share = by_group(np.array([0.0, 2.0, 4.0, 6.0]), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(share, [0.7])


def test_groups_that_settle_everything_explain_everything():
    np.testing.assert_allclose(by_group(np.array([1.0, 1, 7, 7]), np.array([0, 0, 1, 1])), [1])


def test_random_groups_explain_nothing_on_average_however_many():
    rng = np.random.default_rng(0)
    shares = [by_group(rng.normal(size=200), rng.integers(0, 8, 200))[0] for _ in range(400)]
    assert abs(np.mean(shares)) < 0.005


def test_an_outcome_that_never_varies_is_undefined():
    assert np.isnan(by_group(np.full(6, 3.3), np.array([0, 0, 0, 1, 1, 1]))).all()


def test_a_customer_who_counts_twice_is_two_customers():
    outcome, groups = np.array([0.0, 2.0, 4.0, 9.0]), np.array([0, 0, 1, 1])
    weights = np.array([[1.0, 2.0, 0.0, 3.0]])
    again = by_group(outcome[[0, 1, 1, 3, 3, 3]], groups[[0, 1, 1, 3, 3, 3]])
    np.testing.assert_allclose(by_group(outcome, groups, weights), again)


def test_units_do_not_matter():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 3, 300)
    outcome = groups + rng.normal(size=300)
    np.testing.assert_allclose(by_group(outcome, groups), by_group(1e6 + 100 * outcome, groups))
    assert 0.3 < by_group(outcome, groups)[0] < 0.5


def test_resamples_are_seeded():
    weights = resample_weights(50, 20, 7)
    np.testing.assert_array_equal(weights, resample_weights(50, 20, 7))
    assert weights.mean() == pytest.approx(1, abs=0.1)


def test_sharp_memberships_explain_what_an_analysis_of_variance_says():
    """Epsilon squared by its formula, over resamples too, one of which leaves a group empty."""
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 4, 300)
    outcome = groups + rng.normal(size=300)
    weights = np.vstack([resample_weights(300, 5, 0), groups != 2])
    for row, found in zip(weights, by_group(outcome, groups, weights), strict=True):
        y, g = np.repeat(outcome, row.astype(int)), np.repeat(groups, row.astype(int))
        between = sum((g == i).sum() * (y[g == i].mean() - y.mean()) ** 2 for i in np.unique(g))
        rest = 1 - between / ((y - y.mean()) ** 2).sum()
        assert found == pytest.approx(1 - rest * (len(y) - 1) / (len(y) - len(np.unique(g))))


def test_memberships_worked_out_by_hand():
    """The outcome is 4 times the first membership. By the larger one alone SSB = 1.96, SST = 2.32."""
    first = np.array([0.25, 0.4, 0.6, 0.75])
    memberships = np.column_stack([first, 1 - first])
    np.testing.assert_allclose(explained_share(4 * first, memberships), [1.0])
    sharp = by_group(4 * first, np.argmax(memberships, axis=1))
    np.testing.assert_allclose(sharp, [1 - 0.36 / 2.32 * 3 / 2])


def test_memberships_that_do_not_matter_explain_nothing_on_average():
    rng = np.random.default_rng(0)
    shares = [explained_share(rng.normal(size=200), rng.dirichlet(np.ones(6), 200))[0] for _ in range(400)]
    assert abs(np.mean(shares)) < 0.005


def test_memberships_and_an_outcome_that_never_varies():
    assert np.isnan(explained_share(np.full(6, 3.3), np.full((6, 2), 0.5))).all()


def test_quintiles_by_hand():
    ten = pd.Series(np.arange(10.0))
    scores = rfm_scores(ten, ten, ten)
    assert scores[:, 0].tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert scores[:, 1].tolist() == scores[:, 2].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_equal_customers_get_equal_scores_and_groups():
    n_orders = pd.Series([1.0] * 70 + [2.0] * 30)
    scores = rfm_scores(pd.Series(range(100)), n_orders, n_orders)
    assert len(set(scores[:70, 1])) == len(set(scores[70:, 1])) == 1
    assert scores[0, 1] < scores[99, 1]
    for groups in rfm_groupings(scores, 4):
        assert len(
            {(*row, group) for row, group in zip(scores.tolist(), groups.tolist(), strict=True) for row in [tuple(row)]}
        ) == len(np.unique(scores, axis=0))


def test_as_many_groups_as_asked_for():
    rng = np.random.default_rng(0)
    scores = rfm_scores(*(pd.Series(rng.exponential(size=1000)) for _ in range(3)))
    for k in (2, 3, 6):
        by_sum, by_kmeans = rfm_groupings(scores, k)
        assert set(by_sum) == set(by_kmeans) == set(range(k))
        sums = scores.sum(axis=1)
        assert all(sums[by_sum == i].max() < sums[by_sum == i + 1].min() for i in range(k - 1))
    np.testing.assert_array_equal(by_kmeans, rfm_groupings(scores, 6)[1])


def test_fewer_groups_where_there_are_fewer_scores():
    one = pd.Series([3.0] * 20)
    assert [len(set(groups)) for groups in rfm_groupings(rfm_scores(one, one, one), 4)] == [1, 1]


def test_undefined_spend_is_the_lowest():
    values = pd.Series([np.nan, *range(1, 10)])
    assert rfm_scores(values, values, values)[0, 2] == 1


def test_what_other_columns_determine_is_no_degree_of_freedom():
    rng = np.random.default_rng(4)
    memberships, outcome = rng.dirichlet(np.ones(3), 60), rng.normal(size=60)
    twice = np.hstack([np.ones((60, 1)), memberships, memberships])
    np.testing.assert_allclose(explained_share(outcome, twice), explained_share(outcome, memberships))


def test_continuous_rfm_explains_what_its_logarithms_and_squares_settle():
    rng = np.random.default_rng(5)
    days, orders, value = (pd.Series(rng.integers(1, 400, 300).astype(float)) for _ in range(3))
    outcome = 3 * np.log1p(days) - np.log1p(orders) ** 2
    np.testing.assert_allclose(explained_share(outcome.to_numpy(), continuous_rfm(days, orders, value)), [1.0])
    days[0], value[1] = -1.0, np.nan
    assert np.isfinite(continuous_rfm(days, orders, value)).all()


def test_memberships_made_of_rfm_alone_add_next_to_nothing_to_it():
    rng = np.random.default_rng(6)
    days, orders, value = (pd.Series(np.exp(rng.normal(size=2_000)) * scale) for scale in (60, 4, 200))
    rfm = continuous_rfm(days, orders, value)
    logs = rfm[:, 1:4]
    outcome = logs[:, 0] * logs[:, 1] - logs[:, 2] + rng.normal(size=2_000)
    near = np.exp(-((logs[:, None, :] - logs[None, :6, :]) ** 2).sum(axis=2))
    memberships = near / near.sum(axis=1, keepdims=True)
    known, both = (explained_share(outcome, columns)[0] for columns in (rfm, np.hstack([rfm, memberships])))
    assert known > 0.5
    assert both - known < 0.005
