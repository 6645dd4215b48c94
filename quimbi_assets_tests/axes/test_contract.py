"""What every axis owes: declared columns, NULL for the undefined, blindness to the future and to other customers."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES, extract_features, feature_schema
from quimbi_assets.errors import UnknownAxisError

#: What a single order cannot tell: gaps, trends, consistency, coming back.
UNDEFINED_FOR_ONE_ORDER = {
    "purchase_frequency": ("avg_days_between_orders", "purchase_consistency"),
    "purchase_value": ("value_trend", "value_consistency"),
    "purchase_cadence": ("hour_concentration", "season_concentration"),
    "repurchase_behavior": ("repeat_rate", "repeat_order_ratio", "loyalty_index", "avg_repurchase_count"),
    "communication_preference": ("channel_switching_rate",),
    "loyalty_trajectory": ("frequency_trend", "value_trend", "recency_momentum", "is_accelerating"),
    "product_knowledge": ("repeat_rate", "new_product_rate"),
    "value_sophistication": ("spend_consistency", "big_splurge_rate"),
}
#: Columns to empty for each column that an axis cannot do without.
COLUMNS_OF = {"orders.refund": ("orders.refund_amount", "items.refund_amount", "items.refunded_at")}
#: What an inactive axis says of a column, where it does not name it.
IN_WORDS = {"orders.refund": "refunds", "tickets.ticket_id": "support tickets"}
ESSENTIAL = [(axis.name, column) for axis in AXES.values() for column in axis.essential]


def assert_same(left, right, customers=None):
    assert list(left) == list(right)
    for axis in left:
        wanted = left[axis] if customers is None else left[axis].loc[customers]
        found = right[axis] if customers is None else right[axis].loc[customers]
        pd.testing.assert_frame_equal(wanted, found, rtol=1e-9, atol=1e-9, obj=axis)


def with_column(simulated, column, value):
    """Return the store's frames with a column, or those it stands for, set to ``value``."""
    frames = {"orders": simulated.orders, "items": simulated.items, "tickets": simulated.tickets}
    for name in COLUMNS_OF.get(column, (column,)):
        table, _, field = name.partition(".")
        empty = pd.NaT if field == "refunded_at" else value
        frames[table] = frames[table].assign(**{field: empty})
    return frames


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_declaration(axis):
    names = [f.name for f in axis.features]
    assert 3 <= len(axis.clustering_features) <= 6
    assert len(set(names)) == len(names)
    assert all(f.kind == "number" for f in axis.clustering_features)
    assert any(f.words for f in axis.clustering_features)
    in_range = {f.name for f in axis.clustering_features}
    assert all(name in in_range for f in axis.features for word in f.words for name, _, _ in word.where)
    assert all(f.meaning and f.unit for f in axis.features)
    assert all(state.feature in {*names, "n_orders"} for state in axis.structural)
    assert axis.order_rate in {"", *(f.name for f in axis.clustering_features)}
    assert axis.description.strip()


@pytest.mark.parametrize("name", AXES)
def test_columns_types_and_ranges_are_as_declared(name, simulated):
    axis, table = AXES[name], simulated.features[name]
    assert list(table.columns) == [*(f.name for f in axis.features), "n_orders"]
    feature_schema(axis).validate(table, lazy=True)
    for feature in axis.features:
        if feature.kind == "number":
            values = table[feature.name].dropna()
            assert np.isfinite(values).all()
            assert feature.low is None or values.min() >= feature.low
            assert feature.high is None or values.max() <= feature.high


@pytest.mark.parametrize("name", AXES)
def test_every_visible_customer_is_in_every_axis_once(name, simulated):
    visible = simulated.orders[simulated.orders["order_date"] < simulated.end]
    table = simulated.features[name]
    assert table.index.name == "customer_id"
    assert list(table.index) == sorted(visible["customer_id"].unique())
    assert table["n_orders"].to_dict() == visible.groupby("customer_id").size().to_dict()


@pytest.mark.parametrize("name", AXES)
def test_no_clustering_feature_is_another_or_its_complement(name, simulated):
    values = simulated.features[name][[f.name for f in AXES[name].clustering_features]]
    assert (values.nunique() > 1).all()
    correlation = values.corr().abs().to_numpy()
    assert correlation[~np.eye(len(correlation), dtype=bool)].max() < 0.999


def test_row_order_does_not_matter(simulated):
    frames = (simulated.orders, simulated.items, simulated.tickets)
    orders, items, tickets = (frame.sample(frac=1, random_state=1) for frame in frames)
    assert_same(simulated.features, simulated.again(orders, items, tickets=tickets))


def test_arguments_are_left_as_they_were(simulated):
    orders, items, tickets = simulated.orders.copy(), simulated.items.copy(), simulated.tickets.copy()
    simulated.again(orders, items, tickets=tickets)
    pd.testing.assert_frame_equal(orders, simulated.orders)
    pd.testing.assert_frame_equal(items, simulated.items)
    pd.testing.assert_frame_equal(tickets, simulated.tickets)


def strangers(simulated, at, customer="zoe"):
    """Return the store's frames with three orders at ``at``, lines of everything and tickets, that someone made."""
    orders = simulated.orders.iloc[:3].assign(
        order_id=["x1", "x2", "x3"], customer_id=customer, order_date=at, order_date_local=at, total_price=1e6
    )
    items = simulated.items.iloc[:3].assign(
        order_id=["x1", "x2", "x3"], price=1e6, refund_amount=5e5, refunded_at=at, category="unheard of"
    )
    tickets = simulated.tickets.iloc[:3].assign(
        ticket_id=["x1", "x2", "x3"], customer_id=customer, created_at=at, created_at_local=at, satisfaction_score=1.0
    )
    tickets = tickets.assign(first_response_at=at, resolved_at=at, channel="carrier pigeon", tags="complaint")
    added = {"orders": orders, "items": items, "tickets": tickets}
    return {name: pd.concat([getattr(simulated, name), rows]) for name, rows in added.items()}


def test_adding_a_customer_changes_nobody_else(simulated):
    crowd = simulated.again(**strangers(simulated, simulated.end - pd.Timedelta(days=40)))
    assert_same(simulated.features, crowd, customers=simulated.features["purchase_value"].index)
    assert crowd["purchase_value"].loc["zoe", "n_orders"] == 3
    assert crowd["support_history"].loc["zoe", "n_tickets"] == 3


@pytest.mark.parametrize("days_after", [0, 30])
def test_orders_at_or_after_the_end_change_nothing(simulated, days_after):
    own = simulated.features["purchase_value"].index[0]
    later = strangers(simulated, simulated.end + pd.Timedelta(days=days_after), customer=own)
    assert_same(simulated.features, simulated.again(**later, recorded=None))


def test_features_as_of_an_instant_are_those_of_what_was_there(simulated):
    orders = simulated.orders[simulated.orders["order_date"] < simulated.end]
    items = simulated.items[simulated.items["order_id"].isin(orders["order_id"])]
    tickets = simulated.tickets[simulated.tickets["created_at"] < simulated.end]
    assert len(orders) < len(simulated.orders)
    assert len(tickets) < len(simulated.tickets)
    resolved = tickets["resolved_at"] < simulated.end
    assert not resolved.all()
    tickets = tickets.assign(
        first_response_at=tickets["first_response_at"].where(tickets["first_response_at"] < simulated.end),
        **{name: tickets[name].where(resolved) for name in ("resolved_at", "satisfaction_score", "reopen_count")},
    )
    assert_same(simulated.features, simulated.again(orders, items, tickets=tickets, recorded=None))


def test_refunds_at_or_after_the_end_change_nothing(simulated):
    later = (simulated.items["refunded_at"] >= simulated.end).to_numpy()
    fresh = ~later & simulated.items["refunded_at"].isna().to_numpy()
    fresh[np.flatnonzero(fresh)[200:]] = False
    items = simulated.items.copy()
    items.loc[fresh, "refund_amount"] = items.loc[fresh, "price"]
    items.loc[fresh, "refunded_at"] = simulated.end
    added = items.loc[fresh].groupby("order_id")["refund_amount"].sum()
    refund = simulated.orders["refund_amount"] + simulated.orders["order_id"].map(added).fillna(0.0)
    assert (refund > simulated.orders["refund_amount"]).sum() > 50
    orders = simulated.orders.assign(refund_amount=refund)
    assert_same(simulated.features, simulated.again(orders, items, recorded=None))


def test_a_column_seen_only_in_the_future_is_not_recorded(store):
    store.order(0, 10.0, store.line())
    now = store.features(10)
    store.order(10, 10.0, store.line(category="toys", refund_amount=5.0, refunded=12), discount_amount=1.0)
    later = store.features(10)
    assert later.inactive == now.inactive
    assert later.recorded == now.recorded
    assert {"category_exploration", "price_sensitivity", "return_behavior"} <= set(now.inactive)
    assert "return_behavior" not in store.features(13).inactive
    assert "return_behavior" in store.features(12).inactive


def test_one_order_is_present_and_undefined_where_it_must_be(simulated):
    single = simulated.orders[simulated.orders["order_date"] < simulated.end]
    counts = single.groupby("customer_id").size()
    once = counts.index[counts == 1]
    assert len(once) > 10
    for axis, table in simulated.features.items():
        row = table.loc[once]
        assert (row["n_orders"] == 1).all()
        for name in UNDEFINED_FOR_ONE_ORDER.get(axis, ()):
            assert row[name].isna().all(), f"{axis}.{name}"
            assert table[name].notna().any(), f"{axis}.{name}"


@pytest.mark.parametrize("axes", [None, ["purchase_value"]])
def test_empty_in_empty_out(simulated, axes):
    empty = (frame.iloc[:0] for frame in (simulated.orders, simulated.items, simulated.tickets))
    orders, items, tickets = empty
    features = extract_features(orders, items, axes, tickets=tickets)
    assert list(features) == list(axes or AXES)
    for name, table in features.items():
        assert table.empty
        assert list(table.columns) == [*(f.name for f in AXES[name].features), "n_orders"]


def test_one_customer_alone_is_that_customer_in_a_crowd(simulated):
    counts = simulated.features["purchase_value"]["n_orders"].sort_values()
    for customer in (counts.index[0], counts.index[len(counts) // 2], counts.index[-1]):
        orders = simulated.orders[simulated.orders["customer_id"] == customer]
        items = simulated.items[simulated.items["order_id"].isin(orders["order_id"])]
        tickets = simulated.tickets[simulated.tickets["customer_id"] == customer]
        assert_same(simulated.again(orders, items, tickets=tickets), simulated.features, customers=[customer])


def test_alone_as_in_a_crowd_without_anything_fitted(store):
    for customer, day in (("ann", 0.4), ("bob", 5.6)):
        for index in range(5):
            lines = [
                store.line(f"{customer}{index % 3}", category="toys", refund_amount=1.0 * index, refunded=day + 35),
                store.line("shared", price=3.0 + index, category="books", refund_amount=0.0),
            ]
            amounts = {"discount_amount": 1.0, "refund_amount": 1.0 * index, "source": ("web", "pos")[index % 2]}
            store.order(day + index**2, 20.0 + index, *lines, customer=customer, **amounts)
        told = {"satisfaction_score": 4, "reopen_count": 0, "tags": "shipping", "channel": "email"}
        store.ticket(day + 3, day + 4, day + 5 + day, customer=customer, **told)
    crowd = store.features(60)
    store.orders = [order for order in store.orders if order["customer_id"] == "bob"]
    store.tickets = [ticket for ticket in store.tickets if ticket["customer_id"] == "bob"]
    assert_same(store.features(60), crowd, customers=["bob"])
    assert not crowd.inactive


@pytest.mark.parametrize(("axis", "column"), ESSENTIAL)
def test_without_its_column_an_axis_is_inactive_with_the_reason(axis, column, simulated):
    features = simulated.again(**with_column(simulated, column, None), recorded=None, axes=[axis])
    assert axis not in features
    assert "not recorded" in features.inactive[axis]
    assert IN_WORDS.get(column, column) in features.inactive[axis]


@pytest.mark.parametrize(
    ("axis", "column"), [pair for pair in ESSENTIAL if "refund" in pair[1] or "discount" in pair[1]]
)
def test_all_zero_is_recorded(axis, column, simulated):
    features = simulated.again(**with_column(simulated, column, 0.0), recorded=None, axes=[axis])
    assert axis not in features.inactive
    rates = [f.name for f in AXES[axis].clustering_features if f.name.endswith("_rate")]
    assert rates
    assert (features[axis][rates] == 0).all(axis=None)


def test_a_feature_without_its_column_leaves_its_axis_active(simulated):
    axes = ["category_exploration", "product_knowledge"]
    features = simulated.again(**with_column(simulated, "items.category", None), recorded=None, axes=axes)
    assert set(features.inactive) == {"category_exploration"}
    assert features.unrecorded["product_knowledge"] == ["categories_mastered"]
    assert features["product_knowledge"]["categories_mastered"].isna().all()


def test_without_lines_the_axes_of_orders_remain(simulated):
    features = extract_features(simulated.orders, observation_end=simulated.end)
    assert {"purchase_frequency", "purchase_value", "loyalty_trajectory", "price_sensitivity"} <= set(features)
    assert {"repurchase_behavior", "product_knowledge", "value_sophistication"} <= set(features.inactive)
    pd.testing.assert_frame_equal(features["purchase_frequency"], simulated.features["purchase_frequency"])


def test_numeric_ids_and_aware_dates_are_the_same_store(simulated):
    ids = sorted({*simulated.orders["order_id"], *simulated.items["order_id"]})
    numbers = {text: number for number, text in enumerate(ids)}
    orders = simulated.orders.assign(
        order_id=simulated.orders["order_id"].map(numbers),
        order_date=simulated.orders["order_date"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    )
    items = simulated.items.assign(
        order_id=simulated.items["order_id"].map(numbers),
        refunded_at=simulated.items["refunded_at"].dt.tz_localize("UTC"),
    )
    end = simulated.end.tz_localize("UTC").tz_convert("Asia/Tokyo")
    # Only ties in time are settled by id, and this store has none of one customer.
    assert not simulated.orders.duplicated(["customer_id", "order_date"]).any()
    assert_same(simulated.features, simulated.again(orders, items, observation_end=end))


def test_ids_that_a_gap_turned_into_floats_are_whole_numbers(store):
    orders, _ = store.order(0).order(1).frames()
    orders["customer_id"] = [17850.0, np.nan]
    assert list(extract_features(orders)["purchase_value"].index) == ["17850"]


def test_rows_without_a_customer_are_left_out(simulated):
    nobodys = strangers(simulated, simulated.end - pd.Timedelta(days=1), customer=None)
    assert_same(simulated.features, simulated.again(**nobodys))


def test_unknown_axis_names_the_axes_there_are(simulated):
    with pytest.raises(UnknownAxisError, match=r"unknown axis shoe_size; there are: .*purchase_value"):
        simulated.again(axes=["purchase_value", "shoe_size"])


@pytest.mark.parametrize("column", ["order_id", "customer_id", "order_date", "total_price"])
def test_missing_order_column(simulated, column):
    with pytest.raises(ValueError, match=f"orders lacks {column}"):
        extract_features(simulated.orders.drop(columns=column), observation_end=simulated.end)


@pytest.mark.parametrize("column", ["order_id", "product_id", "quantity", "price"])
def test_missing_item_column(simulated, column):
    with pytest.raises(ValueError, match=f"items lacks {column}"):
        simulated.again(items=simulated.items.drop(columns=column))


@pytest.mark.parametrize("column", ["ticket_id", "customer_id", "created_at"])
def test_missing_ticket_column(simulated, column):
    with pytest.raises(ValueError, match=f"tickets lacks {column}"):
        simulated.again(tickets=simulated.tickets.drop(columns=column))


def test_unknown_time_zone(simulated):
    with pytest.raises(ValueError, match="unknown time zone 'Mars/Olympus'"):
        simulated.again(time_zone="Mars/Olympus")
