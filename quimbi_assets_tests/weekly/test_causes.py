import numpy as np
import pandas as pd
import pytest

from quimbi_assets.history import History
from quimbi_assets.weekly.causes import causes, customer_digests

END = "2025-03-01"
PINNED = {"ann": 4940041516528706821, "bob": 15663657619115235949}
"""Digests of orders as snapshots at rest hold them: what they rest on may grow, and these must not change."""


@pytest.fixture
def store():
    orders = pd.DataFrame(
        {
            "order_id": ["1", "2", "3"],
            "customer_id": ["ann", "ann", "bob"],
            "order_date": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-02-02"]),
            "total_price": [10.0, 20.0, 30.0],
            "discount_amount": [0.0, 1.0, None],
            "refund_amount": [0.0, 5.0, 0.0],
            "source": ["web", None, "web"],
        }
    )
    items = pd.DataFrame(
        {
            "order_id": ["1", "2", "2", "3"],
            "product_id": ["p", "q", "r", "p"],
            "category": ["a", "a", None, "b"],
            "quantity": [1.0, 1.0, 2.0, 3.0],
            "price": [10.0, 10.0, 5.0, 10.0],
            "refund_amount": [0.0, 5.0, 0.0, 0.0],
            "refunded_at": pd.to_datetime([None, "2025-02-20", None, None]),
        }
    )
    return orders, items


@pytest.fixture
def tickets():
    """Ann's ticket, answered, resolved and rated; one of somebody who never ordered."""
    return pd.DataFrame(
        {
            "ticket_id": ["t", "u"],
            "customer_id": ["ann", "eve"],
            "created_at": pd.to_datetime(["2025-02-12 09:00", "2025-02-12 10:00"]),
            "first_response_at": pd.to_datetime(["2025-02-12 12:00", None]),
            "resolved_at": pd.to_datetime(["2025-02-18", None]),
            "satisfaction_score": [1.0, None],
            "reopen_count": [2, 0],
            "tags": ["late", None],
        }
    )


def digests(orders, items, until=END, tickets=None):
    return customer_digests(History.from_frames(orders, items, tickets).until(until))


def changed(one, other):
    return sorted(one.index[(one != other.reindex(one.index)).any(axis=1)])


def test_the_order_of_rows_does_not_matter(store):
    orders, items = store
    again = digests(orders.iloc[::-1], items.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(again, digests(orders, items))
    assert set(again.dtypes) == {np.dtype("uint64")}


def test_what_comes_later_does_not_count(store):
    orders, items = store
    fewer = orders.assign(refund_amount=[0.0, 0.0, 0.0]), items.assign(refund_amount=0.0, refunded_at=pd.NaT)
    later = orders.iloc[[0]].assign(order_id="9", order_date=pd.Timestamp(END))
    pd.testing.assert_frame_equal(digests(*fewer, "2025-02-10"), digests(orders, items, "2025-02-10"))
    pd.testing.assert_frame_equal(digests(pd.concat([orders, later]), items), digests(orders, items))


def test_a_refund_that_becomes_visible_changes_the_digest_of_its_customer_alone(store):
    before, after = (digests(*store, day) for day in ("2025-02-10", "2025-02-25"))
    assert changed(before, after) == ["ann"]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (0, "total_price", 11.0),
        (0, "source", "pos"),
        (0, "refund_amount", 1.0),
        (1, "price", 9.0),
        (1, "product_id", "x"),
    ],
)
def test_a_corrected_row_changes_the_digest_of_its_customer_alone(store, table, column, value):
    tables = [frame.copy() for frame in store]
    tables[table].loc[0, column] = value
    assert changed(digests(*store), digests(*tables)) == ["ann"]


def test_who_else_is_there_does_not_matter(store):
    """Also where nobody but the other records a column at all."""
    orders, items = store
    alone = orders[orders["customer_id"] == "bob"]
    pd.testing.assert_frame_equal(digests(alone, items[items["order_id"] == "3"]), digests(orders, items).loc[["bob"]])


def test_a_column_that_a_store_begins_to_record_counts_only_where_it_has_values(store):
    orders, items = store
    without = orders.assign(discount_amount=None)
    assert changed(digests(without, items), digests(orders, items)) == ["ann"]


def test_the_digest_of_orders_is_what_it_was_before_tickets_had_one(store, tickets):
    assert digests(*store, tickets=tickets)["digest"].to_dict() == PINNED
    assert digests(*store)["digest"].to_dict() == PINNED
    assert (digests(*store)[["dated_ticket_digest", "undated_ticket_digest"]] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("earlier", "later", "happened"),
    [
        ("2025-02-12 09:00", "2025-02-12 09:01", "written"),
        ("2025-02-12 12:00", "2025-02-12 12:01", "answered"),
        ("2025-02-18", "2025-02-19", "resolved and rated"),
    ],
)
def test_whatever_becomes_of_a_ticket_is_an_act_of_its_customer_alone(store, tickets, earlier, later, happened):
    before, after = (digests(*store, until, tickets) for until in (earlier, later))
    cause, only_wrote = causes(before, before, after)
    assert cause.tolist() == ["acted", "silent"], happened
    assert only_wrote.tolist() == [True, False]


def test_a_ticket_changes_nothing_where_nothing_became_of_it(store, tickets):
    before, after = (digests(*store, until, tickets) for until in ("2025-02-13", "2025-02-18"))
    assert causes(before, before, after)[0].tolist() == ["silent", "silent"]


def test_who_ordered_too_did_not_only_write(store, tickets):
    before, after = (digests(*store, until, tickets) for until in ("2025-02-10", "2025-02-25"))
    cause, only_wrote = causes(before, before, after)
    assert cause.tolist() == ["acted", "silent"]
    assert not only_wrote.any()


@pytest.mark.parametrize(
    ("column", "value"),
    [("created_at", pd.Timestamp("2025-02-11")), ("resolved_at", pd.Timestamp("2025-02-17")), ("tags", "complaint")],
)
def test_a_ticket_corrected_or_loaded_late_is_a_corrected_past(store, tickets, column, value):
    other = tickets.copy()
    other.loc[0, column] = value
    then, recomputed = (digests(*store, tickets=rows) for rows in (tickets, other))
    assert causes(then, recomputed, recomputed)[0].tolist() == ["corrected", "silent"]
    assert causes(digests(*store, tickets=tickets.iloc[1:]), then, then)[0].tolist() == ["corrected", "silent"]


@pytest.mark.parametrize("column", ["satisfaction_score", "reopen_count"])
def test_a_rating_or_reopening_that_comes_after_the_resolution_is_an_act_of_its_day(store, tickets, column):
    without = tickets.assign(**{column: np.nan})
    then = digests(*store, "2025-02-21", without)
    recomputed, newer = (digests(*store, until, tickets) for until in ("2025-02-21", "2025-02-27"))
    cause, only_wrote = causes(then, recomputed, newer)
    assert cause.tolist() == ["acted", "silent"]
    assert only_wrote.tolist() == [True, False]
    assert causes(newer, newer, newer)[0].tolist() == ["silent", "silent"]


def test_what_a_snapshot_without_digests_of_tickets_did_not_keep_was_not_corrected(store, tickets):
    earlier, later = (digests(*store, until, tickets) for until in ("2025-02-19", "2025-02-19 12:00"))
    old = earlier[["digest"]]
    assert causes(old, earlier, later)[0].tolist() == ["silent", "silent"]
    assert causes(old, digests(*store, "2025-02-12", tickets), later)[0].tolist() == ["acted", "silent"]
    assert causes(old, earlier, later[["digest"]])[0].tolist() == ["silent", "silent"]
