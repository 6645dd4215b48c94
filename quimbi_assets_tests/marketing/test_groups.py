"""Value tiers and RFM groups by cuts of the store, and the columns that profiles carry."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.history import History
from quimbi_assets.marketing.groups import COLUMNS, GROUPINGS, MarketingReference, fit_marketing, group_customers
from quimbi_assets.marketing.lifecycle import LifecycleLimits
from quimbi_assets_tests.marketing.test_lifecycle import START


def priced(spent: list[float], days_ago: list[float], n_orders: list[int]) -> History:
    rows = [
        (f"c{i:03d}", START + pd.Timedelta(days=200 - ago - 7 * order), paid / n)
        for i, (paid, ago, n) in enumerate(zip(spent, days_ago, n_orders, strict=True))
        for order in range(n)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_date", "total_price"])
    orders = frame.assign(order_id=[f"o{i}" for i in range(len(frame))])
    return History.from_frames(orders).until(START + pd.Timedelta(days=200))


@pytest.fixture(scope="module")
def history() -> History:
    n = 200
    return priced([10.0 * (i + 1) for i in range(n)], [0.5 + 0.7 * i for i in range(n)], [1 + i % 5 for i in range(n)])


def test_tiers_are_the_tenth_the_quarter_and_the_half_that_spent_most(history):
    groups = group_customers(history, fit_marketing(history), pd.Index(history.customers.to_pandas()))
    sizes = pd.Series(groups.ids()["value_tier"]).value_counts()
    assert sizes.to_dict() == {"low": 100, "medium": 50, "high": 30, "top": 20}
    spent = pd.Series(groups.spent).groupby(groups.ids()["value_tier"])
    assert spent.min()["top"] > spent.max()["high"] > spent.max()["medium"] > spent.max()["low"]


def test_spenders_of_the_same_are_of_one_tier():
    history = priced([50.0] * 180 + [90.0] * 20, [1.0 * i for i in range(200)], [1] * 200)
    groups = group_customers(history, fit_marketing(history), pd.Index(history.customers.to_pandas()))
    tiers = pd.DataFrame({"spent": groups.spent, "tier": groups.ids()["value_tier"]}).drop_duplicates()
    assert tiers["tier"].tolist() == ["low", "top"]


def test_new_customers_are_new(history):
    groups = group_customers(history, fit_marketing(history), pd.Index(history.customers.to_pandas()))
    names = pd.Series(groups.ids()["rfm_group"])
    first = groups.columns["first_order_at"].to_pandas().dt.tz_localize(None)
    is_new = names.eq("new_customers")
    assert is_new.any()
    assert (START + pd.Timedelta(days=200) - first[is_new]).max() < pd.Timedelta(days=90)
    recent_best = (groups.columns["days_since_last_order"].to_numpy() < 20) & (
        groups.columns["n_orders"].to_numpy() == 5
    )
    assert names[recent_best].isin(["champions", "loyal", "potential_loyalists"]).all()


def test_a_reference_survives_json(history):
    limits = LifecycleLimits(7.0, np.array([[1.5, 3.0, np.inf, np.inf]] * 4))
    reference = replace(fit_marketing(history), lifecycle=limits)
    back = MarketingReference.from_json(reference.to_json())
    customers = pd.Index(history.customers.to_pandas())
    one, other = (group_customers(history, ref, customers).columns for ref in (reference, back))
    assert one.equals(other)
    assert back.lifecycle.limits.tolist() == limits.limits.tolist()


def test_who_has_no_order_has_no_group(history):
    groups = group_customers(history, fit_marketing(history), pd.Index(["c001", "nobody"]))
    assert groups.columns.schema == COLUMNS
    assert groups.columns.to_pylist()[1] == dict.fromkeys(COLUMNS.names)
    assert groups.columns.to_pylist()[0]["n_orders"] == 2
    assert all(ids[0] in GROUPINGS[name] and ids[1] is None for name, ids in groups.ids().items())
