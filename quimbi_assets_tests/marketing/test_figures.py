"""What groups are worth, added up part by part; and how many were in them before."""

import json

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.marketing.figures import GroupFigures, past_counts
from quimbi_assets.marketing.groups import fit_marketing, group_customers
from quimbi_assets_tests.marketing.test_lifecycle import simulated  # noqa: F401  (fixture)

SEGMENTS = ["value_1", "value_2", "value_3"]


@pytest.fixture(scope="module")
def added(simulated):  # noqa: F811
    customers = pd.Index(simulated.customers.to_pandas())
    groups = group_customers(simulated, fit_marketing(simulated), customers)
    codes = np.arange(len(customers)) % 2
    expected = np.where(np.arange(len(customers)) % 3 == 0, np.nan, 2.0)
    figures = GroupFigures()
    for start in range(0, len(customers), 300):
        rows = slice(start, start + 300)
        figures.add(groups.part(rows), {"purchase_value": (SEGMENTS, codes[rows])}, expected[rows])
    return simulated, groups, codes, expected, figures


def test_rows_are_the_sums_of_their_customers(added):
    _, groups, codes, expected, figures = added
    rows = figures.rows({"4w": {("purchase_value", "value_1"): 7.4}}, {("purchase_value", "value_1"): ("x", "Do x.")})
    rows = rows.set_index(["axis_name", "group_id"])
    one = rows.loc[("purchase_value", "value_1")]
    members = codes == 0
    assert one["customers"] == members.sum()
    assert one["revenue"] == pytest.approx(groups.spent[members].sum(), abs=0.01)
    assert one["value_per_customer"] == pytest.approx(groups.spent[members].mean())
    assert one["predicted_value_90d"] == pytest.approx(np.nansum(expected[members]))
    stages = pd.Series(groups.ids()["lifecycle"][members]).value_counts().to_dict()
    assert {stage: n for stage, n in json.loads(one["lifecycle"]).items() if n} == stages
    assert (one["customers_4w_ago"], one["action_id"], one["action"]) == (7, "x", "Do x.")
    assert pd.isna(rows.loc[("purchase_value", "value_2"), "customers_4w_ago"])
    empty = rows.loc[("purchase_value", "value_3")]
    assert empty["customers"] == 0
    assert np.isnan(empty["value_per_customer"])
    for _, of_one in rows.groupby(level=0):
        assert of_one["share_of_customers"].sum() == pytest.approx(1)
        assert of_one["share_of_revenue"].sum() == pytest.approx(1)


def test_the_past_is_counted_by_the_waits_of_today_and_the_spend_of_then(added):
    history = added[0]
    counts, everybody = past_counts(history, fit_marketing(history))
    then = history.until(history.end - pd.Timedelta(days=28))
    customers = pd.Index(then.customers.to_pandas())
    measures = {
        "lifecycle": fit_marketing(history),
        "value_tier": fit_marketing(then),
        "rfm_group": fit_marketing(then),
    }
    assert everybody["4w"] == then.n_customers
    for name, reference in measures.items():
        ids = group_customers(then, reference, customers).ids()[name]
        expected = pd.Series(ids).value_counts().to_dict()
        assert {group: n for (of, group), n in counts["4w"].items() if of == name and n} == expected
