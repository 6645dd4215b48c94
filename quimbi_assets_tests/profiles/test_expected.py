"""Value to come in profiles: a line people understand, one alone as in a crowd, reasons where nothing is foretold."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.profiles.expected import COLUMNS, _numbers, predictions
from quimbi_assets.profiles.rendering import profile_record, render_profile
from quimbi_assets.value.evaluation import train_value
from quimbi_assets.value.model import Forecast
from quimbi_assets_tests.churn.conftest import make_orders, past_of


@pytest.fixture(scope="module")
def crowd():
    history = past_of(make_orders(300))
    customers = history.spending(90).index
    model = train_value(history).model
    return history, model, customers, predictions(model, history, customers, version="3")


def test_columns_are_rounded_and_dates_come_after(crowd):
    history, model, _, found = crowd
    columns = found.columns.to_pandas()
    _, spend = model.foretell(history.spending(90), 365)
    np.testing.assert_allclose(columns["predicted_value_365d"], spend.mean, atol=0.005)
    days = model.days_until_order(history.spending(90))
    due = history.end.tz_localize("UTC") + pd.to_timedelta(days, unit="D")
    assert (columns["expected_next_order_at"].isna() == np.isnan(days)).all()
    assert (np.abs(columns["expected_next_order_at"] - due).dropna() <= pd.Timedelta(seconds=1)).all()
    assert columns["prediction_reason"].isna().all()


def test_one_alone_is_one_in_a_crowd_and_who_had_not_ordered_has_nothing(crowd):
    history, model, customers, found = crowd
    for row in range(0, len(customers), 67):
        alone = predictions(model, history.of(customers[[row]]), customers[[row]], version="3")
        assert alone.columns.equals(found.columns.slice(row, 1))
    strangers = predictions(model, history, pd.Index(["nobody", customers[0]]), version="3").columns
    assert strangers.slice(1).equals(found.columns.slice(0, 1))
    assert all(column[0].as_py() is None for column in strangers.columns)


def test_where_a_test_failed_there_is_a_reason_and_no_number(crowd, profiled, context, features):
    history, model, customers, _ = crowd
    n = len(features["purchase_value"])
    try:
        model.weak_reason_ = "so it is"
        weak = predictions(model, history, customers, version="3")
        model.weak_reason_, model.weak_parts_ = None, {"a year": "as well"}
        no_year = predictions(model, history, customers, version="3").columns
        model.weak_parts_ = {"orders": "no less", "a year": "as well"}
        no_orders = predictions(model, history, customers, version="3").columns
        del model.weak_parts_  # as in a model of an earlier version
        untested = predictions(model, history, customers, version="2").columns
    finally:
        model.weak_reason_, model.weak_parts_ = None, {}
    assert weak.columns.drop(["prediction_reason"]).to_pandas().isna().all(axis=None)
    assert set(weak.columns["prediction_reason"].to_pylist()) == {"Nothing is foretold, because so it is."}
    assert no_year["predicted_value_365d_high"].null_count == len(customers)
    assert no_year["predicted_value_90d_high"].null_count == 0
    assert no_year["predicted_orders_90d"].null_count == no_year["predicted_value_90d"].null_count == 0
    assert no_year["prediction_reason"][0].as_py() == "The year ahead is not foretold, because as well."
    assert {name for name in COLUMNS.names if no_orders[name].null_count < len(customers)} == {
        "predicted_value_90d", "predicted_value_90d_low", "predicted_value_90d_high", "prediction_reason"
    }  # fmt: skip
    assert untested.drop(["prediction_reason"]).equals(no_orders.drop(["prediction_reason"]))
    assert (
        "The year ahead is not foretold, because an earlier version learnt it"
        in untested["prediction_reason"][0].as_py()
    )
    assert no_orders["prediction_reason"][0].as_py() == (
        "Orders are not foretold, because no less. The year ahead is not foretold, because as well."
    )
    profiles = profiled(features, None, predictions("too young", history, pd.RangeIndex(n), version=None))
    assert "Nothing is foretold, because too young." in rendered(profiles.iloc[0], context)
    assert profiled(features)["prediction_reason"].isna().all()


def test_the_line_by_hand(profiled, context, features):
    row = profiled(features).iloc[0].to_dict()
    row |= dict.fromkeys(COLUMNS.names) | {
        "predicted_orders_90d": 2.1234, "predicted_value_90d": 84.2, "predicted_value_90d_low": 0.0,
        "predicted_value_90d_high": 210.4, "predicted_value_365d": 310.0, "predicted_value_365d_low": 120.0,
        "predicted_value_365d_high": 640.0, "expected_next_order_at": pd.Timestamp("2025-12-03 07:00", tz="UTC"),
    }  # fmt: skip
    line = (
        "Expected: 2.1 orders and £84.20 in 90 days (4 of 5 such customers: nothing to £210), £310 in a year "
        "(£120 to £640), next order about 3 Dec 2025."
    )
    assert line in rendered(row, context)
    assert line in rendered(profile_record(row), context)
    row |= {"predicted_value_90d_high": 0.0, "predicted_value_365d": None, "expected_next_order_at": None}
    assert "Expected: most likely nothing in 90 days (£84.20 on average)." in rendered(row, context)
    without = row | {"predicted_orders_90d": None, "prediction_reason": "Orders are not foretold, because no less."}
    without |= {"predicted_value_90d_high": 210.4}
    line = "Expected: £84.20 in 90 days (4 of 5 such customers: nothing to £210).\n  Orders are not foretold, because"
    assert line in rendered(without, context)
    row |= {"predicted_orders_365d": 0.4, "predicted_value_90d": 0.4}
    line = "Expected: most likely nothing in 90 days (£0.40 on average), rather none within a year."
    assert line in rendered(row, context)


def rendered(row, context):
    names = {
        axis: dict(zip(of["segment_id"], of["segment_name"], strict=True)) for axis, of in context.segments.items()
    }
    return render_profile(dict(row), AXES, names, "GBP", why=True)


def test_a_year_is_no_less_than_its_first_quarter():
    class Falling:
        """Foretells less of a year than of 90 days, as limits may where few customers are."""

        def foretell(self, features, days, risk):
            one = Forecast(*(np.full(2, value / days) for value in (300.0, 90.0, 900.0)))
            return one, one

    numbers = _numbers(Falling(), pd.DataFrame(index=[0, 1]), None)
    for what in ("orders", "value"):
        for limit in ("", "_low", "_high"):
            assert (numbers[f"predicted_{what}_365d{limit}"] == numbers[f"predicted_{what}_90d{limit}"]).all()
