from functools import partial

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.backtest.evaluation import (
    COMPARISONS,
    SHARES,
    Finding,
    _verdict,
    backtest,
    draw_backtest,
    evaluate_cut_off,
)
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.errors import BadInputError
from quimbi_assets.history import History
from quimbi_assets.pipeline import sample_store
from quimbi_assets.simulation import simulate_store


@pytest.fixture(scope="module")
def store():
    return simulate_store(600, seed=3)


@pytest.fixture(scope="module")
def found(store):
    return backtest(History.from_frames(store.orders, store.order_items, store.support_tickets))


def of_axes(monkeypatch, *names):
    """Fit these axes only, and the two that the yardstick is made of."""
    names = [*names, "purchase_frequency", "purchase_value"]
    of_all = "quimbi_assets.backtest.evaluation.sample_store"
    monkeypatch.setattr(of_all, lambda history, _, options: sample_store(history, names, options))


def test_cut_offs_ascend_and_do_not_overlap(found):
    assert len(found.cut_offs) == 3
    assert np.diff(found.cut_offs).tolist() == [pd.Timedelta(days=90)] * 2


def test_planted_traits_go_on_and_rfm_does_not_see_them(found):
    planted = ["price_sensitivity", "purchase_cadence", "value_sophistication", "repurchase_behavior"]
    assert (found.axes.loc[planted, "verdict"] == "better").all()
    assert (found.axes.loc[planted, "segments"] > 0.3).all()
    assert (found.axes["verdict"] == "better").sum() >= 8


def test_tickets_of_the_hold_out_are_what_support_history_is_held_to(found):
    told = found.axes.loc["support_history"]
    assert told["outcomes"].startswith("tickets_per_order")
    assert told["n_customers"] >= 100
    assert told["segments"] > 0.1


def test_the_table_agrees_with_the_cuts_and_with_itself(found):
    assert found.axes.index.tolist() == list(AXES)
    measured = found.axes[found.axes["verdict"] != "not measured"]
    figures = [*SHARES]
    means = found.by_cut_off.groupby("axis")[figures].mean()
    pd.testing.assert_frame_equal(measured[figures].sort_index(), means, check_names=False)
    for prefix, (one, other, least) in COMPARISONS.items():
        verdict, low, high, difference = (measured[f"{prefix}{c}"] for c in ("verdict", "low", "high", "difference"))
        np.testing.assert_allclose(difference.astype(float), (measured[one] - measured[other]).astype(float))
        assert ((low <= difference) & (difference <= high)).all()
        np.testing.assert_array_equal(verdict == "better", low > least)
        np.testing.assert_array_equal(verdict == "worse", high < -least)
        assert found.better(prefix) == (verdict == "better").sum()
    assert measured.loc["price_sensitivity", "added_verdict"] == "better"
    assert set(found.by_cut_off["cut"]) <= set(found.cut_offs)
    assert found.axes.loc[found.axes["verdict"] == "not measured", "reason"].notna().all()


def test_traits_dealt_at_random_tell_nothing(store, monkeypatch):
    """Order values, discounts and lines dealt anew among orders: what was planted tells nothing about the future."""
    orders, items = store.orders.copy(), store.order_items
    dealt = np.random.default_rng(0).permutation(len(orders))
    values = ["total_price", "discount_amount"]
    orders[values] = orders[values].to_numpy()[dealt]
    items = items.assign(
        order_id=items["order_id"].map(dict(zip(orders["order_id"], orders["order_id"].to_numpy()[dealt], strict=True)))
    )
    dealt_anew = ("price_sensitivity", "value_sophistication", "category_exploration")
    of_axes(monkeypatch, *dealt_anew)
    findings, _ = evaluate_cut_off(History.from_frames(orders, items), pd.Timestamp("2025-07-01"), 90)
    told = {finding.axis: finding.shares["segments"][0] for finding in findings}
    for axis in dealt_anew:
        assert told[axis] < 0.1


def test_a_short_history_is_refused():
    orders = simulate_store(100, seed=1).orders
    late = orders[orders["order_date"] >= orders["order_date"].max() - pd.Timedelta(days=100)]
    with pytest.raises(BadInputError, match="180 days"):
        backtest(History.from_frames(late))


def test_no_more_customers_than_a_fit_takes_are_looked_at(store, monkeypatch):
    of_axes(monkeypatch)
    monkeypatch.setattr("quimbi_assets.backtest.evaluation.FitOptions", partial(FitOptions, max_sample=300))
    findings, _ = evaluate_cut_off(History.from_frames(store.orders, store.order_items), pd.Timestamp("2025-07-01"), 90)
    (frequency,) = [finding for finding in findings if finding.axis == "purchase_frequency"]
    assert frequency.n_customers == 300


def test_the_picture_is_a_png(found):
    assert draw_backtest(found).startswith(b"\x89PNG")


@pytest.mark.parametrize(("added", "verdict"), [(0.004, "level"), (0.02, "better"), (-0.02, "worse")])
def test_what_is_added_is_better_beyond_chance_and_by_what_is_worth_telling(added, verdict):
    """Resamples that repeat customers favour what has more columns, here by 0.05: their spread alone counts."""
    spread = np.linspace(-0.001, 0.001, 201)
    shares = dict.fromkeys(SHARES, np.full(202, 0.3))
    shares["rfm_and_memberships"] = 0.3 + added + np.concatenate([[0.0], 0.05 + spread])
    one = Finding("purchase_value", pd.Timestamp("2025-01-01"), 3, 200, ("spend",), shares)
    found = _verdict("purchase_value", [one])
    assert (found["added_verdict"], found["verdict"]) == (verdict, "level")
    assert found["added_low"] == pytest.approx(added - 0.0009)
