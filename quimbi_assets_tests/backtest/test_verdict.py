import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.backtest.cuts import cut_instants
from quimbi_assets.backtest.picture import draw_backtest
from quimbi_assets.backtest.trial import try_cut
from quimbi_assets.backtest.verdict import backtest
from quimbi_assets.errors import BadInputError
from quimbi_assets.simulation import simulate_store


def frames(store):
    orders = store.orders.copy()
    orders["order_date"] = orders["order_date"].dt.tz_convert("UTC").dt.tz_localize(None).dt.as_unit("us")
    return orders, store.order_items


@pytest.fixture(scope="module")
def found():
    return backtest(*frames(simulate_store(600, seed=3)))


def test_cuts_leave_history_and_do_not_overlap():
    start = pd.Timestamp("2025-01-01")
    assert cut_instants(start, start + pd.Timedelta(days=179)) == []
    assert cut_instants(start, start + pd.Timedelta(days=180)) == [start + pd.Timedelta(days=90)]
    cuts = cut_instants(start, start + pd.Timedelta(days=2000))
    assert len(cuts) == 3
    assert np.diff(cuts).tolist() == [pd.Timedelta(days=90)] * 2
    assert cuts[-1] == start + pd.Timedelta(days=1910)


def test_planted_traits_go_on_and_rfm_does_not_see_them(found):
    planted = ["price_sensitivity", "purchase_cadence", "value_sophistication", "repurchase_behavior"]
    assert (found.axes.loc[planted, "verdict"] == "better").all()
    assert (found.axes.loc[planted, "segments"] > 0.3).all()
    assert (found.axes["verdict"] == "better").sum() >= 8


def test_the_table_agrees_with_the_cuts_and_with_itself(found):
    assert found.axes.index.tolist() == list(AXES)
    measured = found.axes[found.axes["verdict"] != "not measured"]
    figures = ["segments", "memberships", "rfm"]
    means = found.by_cut.groupby("axis")[figures].mean()
    pd.testing.assert_frame_equal(measured[figures].sort_index(), means, check_names=False)
    np.testing.assert_array_equal(measured["memberships_verdict"] == "better", measured["memberships_low"] > 0)
    assert (measured["low"] <= measured["high"]).all()
    np.testing.assert_array_equal(measured["verdict"] == "better", measured["low"] > 0)
    np.testing.assert_array_equal(measured["verdict"] == "worse", measured["high"] < 0)
    assert set(found.by_cut["cut"]) <= set(found.cuts)
    assert found.axes.loc[found.axes["verdict"] == "not measured", "reason"].notna().all()


def test_traits_dealt_at_random_tell_nothing():
    """Order values, discounts and lines dealt anew among orders: what was planted tells nothing about the future."""
    orders, items = frames(simulate_store(600, seed=3))
    dealt = np.random.default_rng(0).permutation(len(orders))
    values = ["total_price", "discount_amount"]
    orders[values] = orders[values].to_numpy()[dealt]
    items = items.assign(
        order_id=items["order_id"].map(dict(zip(orders["order_id"], orders["order_id"].to_numpy()[dealt], strict=True)))
    )
    findings, _ = try_cut(orders, items, pd.Timestamp("2025-07-01"), 90)
    told = {finding.axis: finding.segments for finding in findings}
    for axis in ("price_sensitivity", "value_sophistication", "category_exploration"):
        assert told[axis] < 0.1


def test_a_short_history_is_refused():
    orders, items = frames(simulate_store(100, seed=1))
    late = orders[orders["order_date"] >= orders["order_date"].max() - pd.Timedelta(days=100)]
    with pytest.raises(BadInputError, match="180 days"):
        backtest(late, items[items["order_id"].isin(late["order_id"])])


def test_the_picture_is_a_png(found):
    assert draw_backtest(found).startswith(b"\x89PNG")
