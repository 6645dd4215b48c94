"""Churn risk in profiles: true words, JSON that parses, one alone as in a crowd, reasons where there is none."""

import json

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.churn.additive import FACTS, PACE, RECENCY, SPEND, TENURE
from quimbi_assets.churn.evaluation import train_churn
from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.churn.model import COMPARED
from quimbi_assets.profiles.rendering import render_profile
from quimbi_assets.profiles.risk import churn_risks, fact_words
from quimbi_assets_tests.churn.conftest import make_orders, past_of


@pytest.fixture(scope="module")
def crowd():
    history = past_of(make_orders())
    model = train_churn(history).model
    customers = measure(read_history(history), history.end, model.horizon_days).index
    return history, model, customers, churn_risks(model, history, customers, version="3", currency="GBP")


def test_drivers_are_first_what_raises_the_risk_beside_who_came_again(crowd):
    history, model, customers, found = crowd
    measured = measure(read_history(history), history.end, model.horizon_days)
    weights = model.contributions(measured)
    values = {fact: measured[name].to_numpy() for fact, name in COMPARED.items()}
    n_raised = 0
    for row in range(0, len(customers), 41):
        said = json.loads(found.drivers[row].as_py())
        assert said["reason"] is None
        assert said["horizon_days"] == model.horizon_days
        drivers = said["drivers"]
        worse = {fact: (values[fact][row] - model.usual_[fact]) * (1 if fact == RECENCY else -1) > 0 for fact in FACTS}
        strongest = [FACTS[i] for i in np.argsort(-np.abs(weights[row]), kind="stable") if abs(weights[row, i]) >= 0.1]
        raising = [fact for fact in strongest if weights[row, FACTS.index(fact)] > 0 and worse[fact]]
        lowering = [fact for fact in strongest if weights[row, FACTS.index(fact)] < 0 and not worse[fact]]
        assert [driver["fact"] for driver in drivers] == [*raising, *lowering][:3]
        n_raised += len(raising)
        for driver in drivers:
            weight = weights[row, FACTS.index(driver["fact"])]
            assert driver["effect"] == ("raises" if weight > 0 else "lowers")
            assert driver["log_odds"] == pytest.approx(weight, abs=0.0006)
            assert "(who came again: " in driver["words"]
    assert n_raised


def test_one_alone_is_one_in_a_crowd(crowd):
    history, model, customers, found = crowd
    for row in range(0, len(customers), 67):
        own = history.of(customers[[row]])
        alone = churn_risks(model, own, customers[[row]], version="3", currency="GBP")
        assert alone.risk[0] == found.risk[row]
        assert alone.drivers[0] == found.drivers[row]
        assert alone.sentence[0] == found.sentence[row]


def test_words_worked_out_by_hand():
    cut = pd.Timestamp("2025-03-01")
    rows = [("ann", ago, 20.0) for ago in (130, 100, 60, 40)] + [("bob", 0.5, 1500.0), ("cat", 300, np.nan)]
    orders = pd.DataFrame(rows, columns=["customer_id", "ago", "total_price"])
    orders["order_date"] = cut - pd.to_timedelta(orders["ago"], unit="D")
    features = measure(read_history(past_of(orders, cut)), cut, 70)
    words = {fact: said.to_pylist() for fact, said in fact_words(features, 70, "GBP").items()}
    assert words[RECENCY] == [
        "last order 40 days ago, 1.3 times the usual gap",
        "last order less than a day ago",
        "last order 300 days ago",
    ]
    assert words[PACE] == [
        "2 orders in the last 70 days, usually 30 days apart",
        "1 order in the last 70 days",
        "no order in the last 70 days",
    ]
    assert words[TENURE] == ["4 orders in 4 months", "bought once", "bought once"]
    usual = fact_words(features, 70, "GBP", np.array([80.0, 60.0, 60.0]))
    assert usual[RECENCY][0].as_py() == "last order 40 days ago, 0.5 times the usual gap"
    three = fact_words(features.assign(n_orders=3.0), 70, "GBP")
    assert [three[fact][0].as_py() for fact in (RECENCY, PACE)] == [
        "last order 40 days ago",
        "2 orders in the last 70 days",
    ]
    beside = fact_words(features, 70, "GBP", usual={RECENCY: 12.7, PACE: 3.0, TENURE: 6.5, SPEND: 25.0})
    assert [beside[fact][0].as_py() for fact in FACTS] == [
        "last order 40 days ago, 1.3 times the usual gap (who came again: 12 days)",
        "2 orders in the last 70 days, usually 30 days apart (who came again: 3 orders)",
        "4 orders in 4 months (who came again: 6 orders)",
        "£20.00 an order on average (who came again: £25.00)",
    ]
    assert words[SPEND] == ["£20.00 an order on average", "£1,500 an order on average", None]


def test_a_customer_without_orders_then_has_no_risk(crowd):
    history, model, _, _ = crowd
    found = churn_risks(model, history, pd.Index(["c0001", "nobody"]), version="3")
    assert np.isnan(found.risk).tolist() == [False, True]
    assert found.sentence[1].as_py() is None
    assert json.loads(found.drivers[1].as_py())["drivers"] == []
    assert np.isnan(churn_risks(model, history, pd.Index(["nobody"]), version="3").risk).all()


def test_a_weak_model_names_no_drivers(crowd):
    history, model, customers, _ = crowd
    model.weak_reason_ = "ranks customers no better than chance"
    try:
        found = churn_risks(model, history, customers[:3], version="3")
    finally:
        model.weak_reason_ = None
    said = json.loads(found.drivers[0].as_py())
    assert said["drivers"] == []
    assert said["reason"] == "ranks customers no better than chance"
    assert np.isfinite(found.risk).all()


def test_profiles_carry_risk_and_say_it(profiled, context, features, crowd):
    model, customers = crowd[1], features["purchase_value"].index
    orders = make_orders()
    renamed = past_of(orders.assign(customer_id=orders["customer_id"].map(lambda c: f"c{int(c[1:]):03d}")))
    churn = churn_risks(model, renamed, customers, version="3", currency="GBP")
    profiles = profiled(features, churn)
    np.testing.assert_array_equal(profiles["churn_risk_score"].astype(float), churn.risk)
    row = profiles.iloc[int(np.flatnonzero(np.isfinite(churn.risk))[0])]
    assert f"The risk that they order nothing in the next {model.horizon_days} days is " in row["interpretation"]
    assert json.loads(row["model_versions"])["churn_risk"] == "3"
    text = "\n".join(render_profile_of(row, context))
    assert text.count(f"in the next {model.horizon_days} days is ") == 1  # the risk is said once
    raised = any(one["effect"] == "raises" for one in json.loads(row["churn_drivers"])["drivers"])
    assert ("What speaks for leaving, beside customers who came again:\n  " in text) == raised
    assert ("Nothing about them speaks for leaving" in text) != raised


def test_profiles_without_risk_say_why(profiled, context, features):
    reason = "21 days of orders, fewer than the 70 that learning who stays away takes"
    history, customers = past_of(make_orders(300)), pd.RangeIndex(300)
    profiles = profiled(features, churn_risks(reason, history, customers, version=None))
    assert profiles["churn_risk_score"].isna().all()
    assert json.loads(profiles["churn_drivers"].iloc[0]) == {"horizon_days": None, "drivers": [], "reason": reason}
    assert "The risk" not in profiles["interpretation"].iloc[0]
    assert "churn_risk" not in json.loads(profiles["model_versions"].iloc[0])
    assert f"Churn risk not known: {reason}." in render_profile_of(profiles.iloc[0], context)


def render_profile_of(row, context):
    frames = context.segments
    names = {axis: dict(zip(own["segment_id"], own["segment_name"], strict=True)) for axis, own in frames.items()}
    return render_profile(row.to_dict(), AXES, names, "GBP").split("\n")
