import pandas as pd
import pytest

from quimbi_assets.ingest.canonical import canonical_schema, canonical_tables
from quimbi_assets.ingest.policy import purchases
from quimbi_assets.store import OrderPolicy, Store

NAN = float("nan")


def apply_policy(orders, items=None, policy=None, time_zone="UTC", currency=None):
    store = Store(time_zone=time_zone, currency=currency, policy=policy or OrderPolicy())
    tables, report = purchases(orders, items, None, store)
    found = tables["raw_orders"].to_pandas(), tables["raw_items"].to_pandas()
    orders, items = (frame.sort_values(list(frame.filter(regex="order_id|line_no"))) for frame in found)
    return orders.reset_index(drop=True), items.reset_index(drop=True), report


def orders_of(**columns):
    n = len(next(iter(columns.values())))
    base = {
        "order_id": [f"o{i}" for i in range(n)],
        "customer_id": [f"c{i}" for i in range(n)],
        "order_date": pd.to_datetime(["2024-07-01 16:00"] * n, utc=True).as_unit("us"),
        "total_price": [10.0] * n,
        "discount_amount": [NAN] * n,
        "source": [None] * n,
        "status": [None] * n,
        "currency": [None] * n,
        "refund_amount": [NAN] * n,
    }
    text = dict.fromkeys(("order_id", "customer_id", "source", "status", "currency"), "str")
    return pd.DataFrame(base | columns).astype(text)


def items_of(**columns):
    n = len(next(iter(columns.values())))
    base = {
        "order_id": ["o0"] * n,
        "line_no": range(1, n + 1),
        "product_id": ["p"] * n,
        "category": [None] * n,
        "product_type": [None] * n,
        "quantity": [1.0] * n,
        "price": [4.0] * n,
        "refund_amount": [NAN] * n,
        "refunded_at": pd.Series([pd.NaT] * n, dtype="datetime64[us, UTC]"),
    }
    text = dict.fromkeys(("order_id", "product_id", "category", "product_type"), "str")
    return pd.DataFrame(base | columns).astype(text)


def test_output_is_canonical():
    refunded_at = pd.Series(pd.to_datetime(["2024-07-03 01:00", None], utc=True).as_unit("us"))
    sent = items_of(product_id=["p", "q"], refunded_at=refunded_at)
    orders, items, _ = apply_policy(orders_of(order_id=["o0"]), sent, time_zone="America/New_York")
    canonical_schema("raw_orders").validate(orders)
    canonical_schema("raw_items").validate(items)
    assert orders["order_date"].tolist() == [pd.Timestamp("2024-07-01 16:00")]
    assert orders["order_date_local"].tolist() == [pd.Timestamp("2024-07-01 12:00")]
    assert items["refunded_at"].tolist() == [pd.Timestamp("2024-07-03 01:00"), pd.NaT]


@pytest.mark.parametrize("status", ["test", "Cancelled", "canceled", "VOIDED", " draft "])
def test_orders_that_are_no_purchases_go_with_their_lines(status):
    orders, items, report = apply_policy(
        orders_of(status=[status, "paid", None]), items_of(order_id=["o0", "o1", "o2"])
    )
    assert orders["order_id"].tolist() == ["o1", "o2"]
    assert items["order_id"].tolist() == ["o1", "o2"]
    assert report[f"orders dropped: status {status.strip().lower()}"] == 1
    assert (report["orders read"], report["orders kept"], report["lines kept"]) == (3, 2, 2)


def test_guests_go_unless_the_policy_keeps_them():
    orders = orders_of(customer_id=["c", None])
    assert len(apply_policy(orders)[0]) == 1
    kept, lines, _ = apply_policy(orders, items_of(order_id=["o0", "o1"]), policy=OrderPolicy(drop_guests=False))
    assert (len(kept), len(lines)) == (2, 2)
    canonical_schema("raw_orders").validate(kept)
    canonical_schema("raw_items").validate(lines)


def test_foreign_currencies_go_and_unrecorded_ones_stay():
    orders = orders_of(currency=["EUR", "EUR", "USD", None])
    kept, _, report = apply_policy(orders)
    assert kept["order_id"].tolist() == ["o0", "o1", "o3"]
    assert report["orders dropped: currency other than EUR"] == 1
    assert apply_policy(orders, currency="USD")[0]["order_id"].tolist() == ["o2", "o3"]
    assert apply_policy(orders, policy=OrderPolicy(currency="USD"), currency="EUR")[0]["order_id"].tolist() == [
        "o2",
        "o3",
    ]


def test_an_order_with_two_flaws_is_counted_once():
    _, _, report = apply_policy(orders_of(status=["test", "paid"], customer_id=[None, "c"]))
    assert report["orders dropped: status test"] == 1
    assert "orders dropped: guest without customer" not in report


def test_gift_cards_leave_the_order_and_its_value():
    items = items_of(
        order_id=["o0", "o0", "o1"],
        line_no=[1, 2, 1],
        product_type=["Gift Card", "Mug", None],
        category=[None, None, "gift cards"],
        quantity=[2.0, 1.0, 1.0],
        price=[3.0, 4.0, 10.0],
        refund_amount=[1.0, 0.0, 0.0],
    )
    orders, kept, report = apply_policy(orders_of(total_price=[10.0, 10.0, 5.0], refund_amount=[3.0, 0.0, 0.0]), items)
    assert orders["order_id"].tolist() == ["o0", "o2"]  # o1 was gift cards only; o2 has no recorded lines
    assert orders["total_price"].tolist() == [4.0, 5.0]
    assert orders["refund_amount"].tolist() == [2.0, 0.0]
    assert kept["product_type"].tolist() == ["Mug"]
    assert report["gift card lines dropped"] == 2


def test_a_policy_that_drops_nothing_keeps_every_order():
    policy = OrderPolicy(dropped_statuses=(), drop_guests=False)
    orders, _, report = apply_policy(orders_of(status=["test", "paid"], customer_id=[None, "c"]), policy=policy)
    assert (len(orders), report["orders kept"]) == (2, 2)


def test_refunds_never_exceed_what_was_paid():
    orders, items, report = apply_policy(
        orders_of(total_price=[10.0, 10.0], refund_amount=[15.0, 10.0]), items_of(price=[4.0], refund_amount=[5.0])
    )
    assert orders["refund_amount"].tolist() == [10.0, 10.0]
    assert items["refund_amount"].tolist() == [4.0]
    assert report["refunds cut to what was paid"] == 1


def test_refunds_recorded_on_lines_only_reach_the_order():
    items = items_of(order_id=["o0", "o0", "o1"], refund_amount=[1.0, 2.0, NAN])
    orders, _, _ = apply_policy(orders_of(order_id=["o0", "o1", "o2"]), items)
    assert orders["refund_amount"].tolist() == [3.0, 0.0, 0.0]


ON_EACH_LINE = {
    "more than the cheapest line": ([30, 30, 12, 12], [25, 25, 10, 20], [NAN, NAN], True),
    "what the order records": ([20, 20, 5, 5], [25, 25, 10, 20], [20, 5], True),
    "a little, the same at different prices": ([3, 3, 4, 4], [25, 75, 10, 20], [NAN, NAN], True),
    "in half of the orders no line's": ([20, 20, 12, 12], [25, 25, 10, 20], [NAN, NAN], True),
    "every line refunded in full": ([25, 25, 10, 10], [25, 25, 10, 10], [NAN, NAN], False),
    "with tax, as the orders say": ([30, 30, 12, 12], [25, 25, 10, 10], [60, 24], False),
    "in one order of two on one line": ([30, 30, 12, 0], [25, 25, 10, 10], [NAN, NAN], False),
    "in one order of two not recorded on a line": ([30, 30, 12, NAN], [25, 25, 10, 10], [NAN, NAN], False),
}


@pytest.mark.parametrize("case", ON_EACH_LINE)
def test_an_orders_refund_on_each_of_its_lines_is_counted_once(case):
    refunds, prices, of_orders, is_the_orders = ON_EACH_LINE[case]
    orders = orders_of(total_price=[100.0] * 4, refund_amount=[*of_orders, NAN, NAN])
    items = items_of(
        order_id=["o0", "o0", "o1", "o1", "o2"], price=[*prices, 9.0], refund_amount=[*refunds, 7.0], line_no=range(5)
    )
    kept, lines, report = apply_policy(orders, items)
    assert ("orders whose refund stands on each of their lines: counted once" in report) == is_the_orders
    assert lines["refund_amount"].isna().all() == is_the_orders
    if is_the_orders:
        assert kept["refund_amount"].tolist() == [refunds[0], refunds[2], 7.0, 0.0]


@pytest.mark.parametrize("recorded", [NAN, 0.0])
def test_lines_refunded_with_their_tax_at_equal_prices_keep_their_refunds(recorded):
    orders = orders_of(total_price=[48.0, 72.0], refund_amount=[recorded] * 2)
    items = items_of(
        order_id=["o0", "o0", "o1", "o1", "o1"], line_no=range(5), price=[20.0] * 5, refund_amount=[24.0] * 5
    )
    kept, lines, _ = apply_policy(orders, items)
    assert kept["refund_amount"].tolist() == [48.0, 72.0]
    assert lines["refund_amount"].tolist() == [20.0] * 5


def test_orders_that_all_say_nothing_was_refunded_do_not_outweigh_their_lines():
    orders = orders_of(total_price=[50.0, 50.0], refund_amount=[0.0, 0.0])
    items = items_of(order_id=["o0", "o0", "o1"], line_no=range(3), price=[20.0, 30.0, 50.0], refund_amount=[20, 0, 5])
    assert apply_policy(orders, items)[0]["refund_amount"].tolist() == [20.0, 5.0]
    assert apply_policy(orders, items.assign(refund_amount=0.0))[0]["refund_amount"].tolist() == [0.0, 0.0]


def test_orders_of_one_line_do_not_tell_whose_a_refund_is():
    _, lines, _ = apply_policy(
        orders_of(refund_amount=[NAN] * 2), items_of(order_id=["o0", "o1"], refund_amount=[9, 9])
    )
    assert lines["refund_amount"].notna().all()


def test_what_is_not_recorded_stays_null():
    orders, items, _ = apply_policy(orders_of(order_id=["o0"]), items_of(product_id=["p"]))
    assert orders[["discount_amount", "refund_amount", "source"]].isna().all(axis=None)
    assert items[["category", "product_type", "refund_amount", "refunded_at"]].isna().all(axis=None)


def test_no_lines_and_no_orders_keep_columns_and_types():
    orders, items, _ = apply_policy(orders_of(order_id=["o0"]).iloc[:0])
    canonical_schema("raw_orders").validate(orders)
    canonical_schema("raw_items").validate(items)


def test_arguments_are_not_changed():
    orders, items = orders_of(refund_amount=[99.0]), items_of(refund_amount=[99.0], product_type=["gift card"])
    before = orders.copy(), items.copy()
    apply_policy(orders, items)
    pd.testing.assert_frame_equal(orders, before[0])
    pd.testing.assert_frame_equal(items, before[1])


def test_policy_survives_json_and_fills_in_defaults():
    policy = OrderPolicy(dropped_statuses=("x",), currency="EUR")
    assert OrderPolicy.from_json(policy.to_json()) == policy
    assert OrderPolicy.from_json({"drop_guests": False, "of_a_later_version": 1}) == OrderPolicy(drop_guests=False)


def test_tickets_in_canonical_form():
    tickets = pd.DataFrame(
        {"ticket_id": ["t"], "customer_id": ["c"], "created_at": ["2024-07-01T16:00Z"], "satisfaction_score": [4.0]}
    )
    tables = canonical_tables(orders_of(order_id=["o0"]), None, tickets, "America/New_York")
    found = tables["raw_tickets"].to_pandas()
    canonical_schema("raw_tickets").validate(found)
    assert found["created_at_local"].tolist() == [pd.Timestamp("2024-07-01 12:00")]
