"""The expressions agree with the plain per-customer implementation, on a simulated store and on hostile small ones."""

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quimbi_assets.axes import AXES, extract_features, fit_reference
from quimbi_assets.history import History

START = pd.Timestamp("2025-01-01")
CATEGORY = {"p1": "toys", "p2": "toys", "p3": "books", "p4": None, None: "food"}


def plain(yardstick, orders, items, tickets, end, reference):
    return yardstick.extract(
        orders,
        items,
        end,
        tickets=tickets,
        cheap_prices=dict(reference.product_prices.to_numpy().tolist()),
        luxury_prices=dict(reference.category_prices.to_numpy().tolist()),
        store_gap_days=reference.median_gap_days,
    )


def test_simulated_store(simulated, yardstick, assert_agrees):
    assert set(simulated.features) == set(AXES)
    frames = (simulated.orders, simulated.items, simulated.tickets)
    expected = plain(yardstick, *frames, simulated.end, simulated.reference)
    assert_agrees(simulated.features, expected)


@st.composite
def lines(draw):
    price, quantity = draw(st.sampled_from([0.0, 0.01, 2.5, 10.0, 99.99])), draw(st.sampled_from([0, 1, 3]))
    product = draw(st.sampled_from(list(CATEGORY)))
    share = draw(st.sampled_from([None, 0.0, 0.0, 0.5, 1.0]))
    return {
        "product_id": product,
        "category": CATEGORY[product],
        "price": price,
        "quantity": float(quantity),
        "refund_amount": None if share is None else share * price * quantity,
        "refund_delay": draw(st.sampled_from([None, 0.5, 20.0, 100.0])) if share else None,
    }


@st.composite
def orders(draw):
    bought = draw(st.lists(lines(), min_size=0, max_size=3))
    worth = sum(line["price"] * line["quantity"] for line in bought)
    refunds = [line["refund_amount"] for line in bought]
    return {
        "seconds": 86_400 * draw(st.integers(0, 400)) + draw(st.sampled_from([0, 61, 32_400, 61_199, 61_200])),
        "total_price": worth,
        "discount_amount": draw(st.sampled_from([None, 0.0, 5.0])),
        "refund_amount": draw(st.sampled_from([None, worth, sum(r or 0.0 for r in refunds)])),
        "source": draw(st.sampled_from([None, "web", "pos", "POS", "draft_order", "carrier pigeon"])),
        "lines": bought,
    }


@st.composite
def tickets(draw):
    hours = st.sampled_from([None, -1.0, 0.0, 0.5, 30.0, 24.0 * 40])
    return {
        "seconds": 86_400 * draw(st.integers(0, 400)) + draw(st.sampled_from([0, 61, 61_200])),
        "response_hours": draw(hours),
        "resolution_hours": draw(hours),
        "satisfaction_score": draw(st.sampled_from([None, 1.0, 2.0, 3.0, 5.0])),
        "reopen_count": draw(st.sampled_from([None, 0.0, 1.0, 3.0])),
        "channel": draw(st.sampled_from([None, "email", "phone"])),
        "tags": draw(st.sampled_from([None, "complaint", "shipping,delivery", "complaint,refund", "vip"])),
        "subject": draw(st.sampled_from([None, "Where is my order?", "Hello"])),
    }


#: A ticket that shows every column, as ``COMPLETE`` does.
COMPLETE_TICKET = {"seconds": 45_000, "response_hours": 1.0, "resolution_hours": 2.0, "satisfaction_score": 4.0} | {
    "reopen_count": 0.0, "channel": "email", "tags": "complaint", "subject": "Hello"
}  # fmt: skip
#: An order that shows every column: it keeps the set of recorded columns, and so the compiled expressions, the same.
COMPLETE = {
    "seconds": 45_000,
    "total_price": 20.0,
    "discount_amount": 1.0,
    "refund_amount": 5.0,
    "source": "web",
    "lines": [
        {"product_id": "p1", "category": "toys", "price": 10.0, "quantity": 2.0}
        | {"refund_amount": 5.0, "refund_delay": 3.0}
    ],
}


def frames(customers):
    """Return canonical orders and lines of lists of drawn orders, one list a customer."""
    order_rows, item_rows = [], []
    for customer, drawn in enumerate(customers):
        for order in drawn:
            at = START + pd.Timedelta(seconds=order["seconds"])
            order_id = f"o{len(order_rows)}"
            own = {name: order[name] for name in ("total_price", "discount_amount", "refund_amount", "source")}
            order_rows.append({"order_id": order_id, "customer_id": f"c{customer}", "order_date": at, **own})
            for line in order["lines"]:
                delay = line["refund_delay"]
                refunded_at = pd.NaT if delay is None else at + pd.Timedelta(days=delay)
                item_rows.append({"order_id": order_id, **line, "refunded_at": refunded_at})
    columns = ["order_id", "product_id", "category", "price", "quantity", "refund_amount", "refunded_at"]
    found, bought = pd.DataFrame(order_rows), pd.DataFrame(item_rows, columns=columns)
    for name in ("discount_amount", "refund_amount"):
        found[name] = found[name].astype(float)
    numbers = dict.fromkeys(("price", "quantity", "refund_amount"), float)
    return found, bought.astype(numbers | {"refunded_at": "datetime64[us]"})


def ticket_frame(customers):
    """Return tickets with UTC instants of lists of drawn tickets, one list a customer."""
    rows = []
    for customer, drawn in enumerate(customers):
        for ticket in drawn:
            at = START + pd.Timedelta(seconds=ticket["seconds"])
            row = {name: value for name, value in ticket.items() if name not in HOURS and name != "seconds"}
            events = {
                event: pd.NaT if ticket[hours] is None else at + pd.Timedelta(hours=ticket[hours])
                for hours, event in HOURS.items()
            }
            rows.append(
                {"ticket_id": f"t{len(rows)}", "customer_id": f"c{customer}", "created_at": at, **row, **events}
            )
    return pd.DataFrame(rows).astype(dict.fromkeys(("satisfaction_score", "reopen_count"), float))


HOURS = {"response_hours": "first_response_at", "resolution_hours": "resolved_at"}


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    customers=st.lists(st.lists(orders(), min_size=1, max_size=7), min_size=1, max_size=3),
    written=st.lists(st.lists(tickets(), max_size=4), max_size=5),
    time_zone=st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    order_refunds=st.booleans(),
)
def test_small_stores(customers, written, time_zone, order_refunds, yardstick, assert_agrees):
    end = START + pd.Timedelta(days=300)
    drawn, bought = yardstick.canonical(*frames([[COMPLETE], *customers]), time_zone)
    told = yardstick.canonical_tickets(ticket_frame([[COMPLETE_TICKET], *written]), time_zone)
    if not order_refunds:
        drawn["refund_amount"] = None
    reference = fit_reference(History.from_frames(drawn, bought).until(end))
    features = extract_features(drawn, bought, tickets=told, observation_end=end, reference=reference)
    assert set(features) == set(AXES)
    assert_agrees(features, plain(yardstick, drawn, bought, told, end, reference))


@pytest.mark.parametrize("shift_seconds", [-1, 1])
def test_the_comparison_can_fail(simulated, yardstick, assert_agrees, shift_seconds):
    early = simulated.orders["customer_id"] == simulated.features["purchase_frequency"].index[0]
    few = simulated.orders[early]
    items = simulated.items[simulated.items["order_id"].isin(few["order_id"])]
    end = simulated.end + pd.Timedelta(seconds=shift_seconds)
    expected = plain(yardstick, few, items, simulated.tickets, end, simulated.reference)
    with pytest.raises(AssertionError, match="purchase_frequency"):
        assert_agrees(simulated.again(few, items, axes=["purchase_frequency"]), expected)
