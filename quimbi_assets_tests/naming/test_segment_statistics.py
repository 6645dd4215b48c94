import numpy as np
import pandas as pd
import pytest

from quimbi_assets.naming.segment_statistics import describe_segments


@pytest.fixture(scope="module")
def described(model, features):
    return describe_segments(model, features).set_index("segment_id")


def at(described, name, value):
    """The segment whose centre of a feature is nearest to a value."""
    return described.loc[(described[f"centre:{name}"] - value).abs().idxmin()]


def test_every_customer_is_counted_once(described, features):
    assert described["customer_count"].sum() == len(features)
    assert described["population_percentage"].sum() == pytest.approx(100)


def test_centres_and_quantiles_are_those_of_the_planted_groups(described):
    frequent = at(described, "orders_per_month", 4)
    assert frequent["customer_count"] == 100
    assert frequent["centre:orders_per_month"] == pytest.approx(4)
    assert frequent["centre:avg_order_value"] == pytest.approx(50)
    assert frequent["q50:days_since_last_order"] == pytest.approx(10)
    assert frequent["q90:orders_per_month"] == pytest.approx(4.08)
    assert frequent["rank:orders_per_month"] == 1
    assert frequent["z:orders_per_month"] > 0 > frequent["z:days_since_last_order"]


def test_a_structural_segment_is_averaged_over_its_members_of_low_evidence(described):
    once = described[described["structural"] == "one_time_buyers"].iloc[0]
    assert once["customer_count"] == 30
    assert once["centre:orders_per_month"] == pytest.approx(0.5)
    assert np.isnan(once["centre:avg_order_value"])
    assert np.isnan(once["z:avg_order_value"])


def test_the_population_is_everybody_whose_values_are_defined(described, features):
    assert described["population:orders_per_month"].nunique() == 1
    assert described["population:orders_per_month"].iloc[0] == pytest.approx(features["orders_per_month"].mean())
    assert described["population_q50:avg_order_value"].iloc[0] == pytest.approx(features["avg_order_value"].median())


def test_low_evidence_is_counted_but_moves_no_centre(model, features, described):
    stranger = features.iloc[[150]].assign(orders_per_month=400.0, n_orders=0).set_axis(["x"])
    again = describe_segments(model, pd.concat([features, stranger])).set_index("segment_id")
    # The stranger is dominant somewhere that is not structural, or the test says nothing.
    home = again.index[model.predict(stranger)[0]]
    assert again.loc[home, "structural"] is None
    assert again.loc[home, "customer_count"] == described.loc[home, "customer_count"] + 1
    assert again.loc[home, "centre:orders_per_month"] == described.loc[home, "centre:orders_per_month"]


def test_a_segment_nobody_belongs_to_keeps_its_fitted_centre(model, features):
    group = features.iloc[:100]
    described = describe_segments(model, group)
    empty = described[described["customer_count"] == 0]
    assert len(empty) == model.k_ - 1
    fitted = np.asarray(model.centers_shop_)[empty.index, 0]
    np.testing.assert_allclose(empty["centre:orders_per_month"], fitted)


def test_nobody_at_all(model, features):
    described = describe_segments(model, features.iloc[:0])
    assert described["customer_count"].tolist() == [0] * model.k_
    assert described["population_percentage"].tolist() == [0.0] * model.k_
