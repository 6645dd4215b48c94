"""The statistics against figures known by hand or by construction."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes._shuffle import count_later_orders
from quimbi_assets.clustering.noise_test import (
    against_reference,
    count_figures,
    decide_features,
    holm,
    log_variances,
    reliabilities,
    winsorise,
)


def decided(**figures):
    """Which features are real, by some of their figures."""
    columns = ["variance_ratio", "variance_z", "reliability_gain", "reliability_z", "p_value"]
    table = pd.DataFrame(figures, columns=columns, dtype=float).assign(is_tested=True, is_count=False)
    return decide_features(table)["is_real"]


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


def counted(rates, seed=0, split=0.0, within=1 / 24):
    """Figures of customers with these rates a year, a share of orders followed within days; and if they are real."""
    rng = np.random.default_rng(seed)
    first = 300 * rng.random(len(rates))
    customer = np.repeat(np.arange(len(rates)), rng.poisson(rates * (365 - first) / 365))
    day = first[customer] + rng.random(len(customer)) * (365 - first[customer])
    again = rng.random(len(customer)) < split
    orders = pd.DataFrame(
        {
            "customer_id": np.concatenate([np.arange(len(rates)), customer, customer[again]]),
            "order_date": np.concatenate([first, day, day[again] + within * rng.random(again.sum())]),
        }
    ).sort_values(["customer_id", "order_date"])
    orders["order_date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(orders["order_date"], unit="D").dt.as_unit("us")
    row = count_figures(*count_later_orders(orders, 199, seed))
    return row, bool(decide_features(pd.DataFrame([row]))["is_real"][0])


def test_rates_that_differ_are_found_by_counts_and_measured():
    row, is_real = counted(8 * np.random.default_rng(1).gamma(2, 0.5, 3000))
    assert is_real
    assert row["p_value"] < 1e-9
    assert row["rate_spread"] == pytest.approx(np.sqrt(0.5), rel=0.15)
    assert counted(8 * np.random.default_rng(1).gamma(2, 0.5, 100))[1]


def test_equal_rates_orders_in_two_parts_and_one_wholesaler_are_no_difference():
    equal = np.full(400, 8.0)
    row, is_real = counted(equal)
    assert not is_real
    assert row["variance_ratio"] == pytest.approx(1, abs=0.2)
    row, is_real = counted(equal, split=0.5)
    assert row["variance_ratio"] > 1.3
    assert row["variance_z"] > 4
    assert not is_real
    assert not counted(equal, split=0.5, within=14)[1]
    assert not counted(np.append(equal, 200.0))[1]


def test_who_orders_every_fortnight_differs_from_who_orders_at_random():
    rng = np.random.default_rng(3)
    seldom = [(who, day) for who in range(300) for day in np.sort(365 * rng.random(3))]
    fortnightly = [(who, start + 14 * i) for who in range(300, 400) for start in 60 * rng.random(1) for i in range(20)]
    orders = pd.DataFrame(seldom + fortnightly, columns=["customer_id", "day"])
    orders["order_date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(orders["day"], unit="D").dt.as_unit("us")
    row = count_figures(*count_later_orders(orders, 199, 0))
    assert row["reliability"] > 0.5
    assert decide_features(pd.DataFrame([row]))["is_real"][0]


def test_too_few_customers_or_orders_are_not_counted():
    too_few = ((19, 8, 5.0), (300, 8, 0.01), (300, 2, 5.0))  # of 2 stretches, none are apart
    few = [count_figures(np.ones((200, n, w), dtype=np.int32), np.full((n, w), each)) for n, w, each in too_few]
    assert few == [{}, {}, {}]
