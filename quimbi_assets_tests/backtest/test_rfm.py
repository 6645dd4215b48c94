import numpy as np
import pandas as pd

from quimbi_assets.backtest.rfm import rfm_groupings, rfm_scores


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
