"""What is visible at an instant, and the ways rows leave a history."""

import numpy as np
import pandas as pd
import pytest
from upath import UPath

from quimbi_assets.axes import extract_features, measure
from quimbi_assets.axis_table import TableFacts, write_table
from quimbi_assets.errors import BadInputError
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.pipeline import require_population
from quimbi_assets.store import Store

END = pd.Timestamp("2025-02-01")


def test_how_much_customers_have_at_most_within_days():
    """Of 20 customers one ordered three times in the last ten days, the others once."""
    customers = ["1", "1", "1", *(str(n) for n in range(2, 21))]
    days = pd.to_datetime(["2025-01-30", "2025-01-29", "2025-01-25", *["2025-01-28"] * 19])
    orders = pd.DataFrame({"customer_id": customers, "order_date": days, "total_price": 10.0})
    orders = orders.assign(order_id=orders.index.astype(str), refund_amount=[5.0, *[0.0] * 21])
    history = History.from_frames(orders).until(Instant("2025-01-31"))
    most = history.most_within([1, 2, 10], 0.95)
    assert [most["orders", day] for day in (1, 2, 10)] == [1, 2, 1]
    assert [most["returned", day] for day in (1, 2, 10)] == [1, 1, 1]
    assert len(most) == 6
    assert history.most_within([10], 0.99) == {("orders", 10): 3, ("returned", 10): 1}


def test_how_many_times_the_middle_order_of_its_customer_an_order_costs():
    """Of ten orders eight cost their customer's middle one, one twice, one ten times it; who came once is none."""
    rows = [("ann", 10.0), ("ann", 10.0), ("ann", 20.0), ("bob", 3.0), ("bob", 3.0), ("bob", 30.0)]
    rows += [("cat", 5.0)] * 4 + [("dan", 5000.0), ("eve", 0.0), ("eve", 10.0)]
    orders = pd.DataFrame(rows, columns=["customer_id", "total_price"])
    orders = orders.assign(order_id=orders.index.astype(str), order_date=pd.Timestamp("2025-01-05"))
    history = History.from_frames(orders).until(END)
    assert [history.times_the_middle(share) for share in (0.8, 0.9, 1.0)] == [1.0, 2.0, 10.0]
    assert history.of(["dan"]).times_the_middle(0.95) is None


def test_an_order_on_several_rows_is_refused():
    twice = orders_of(("7", "ann", "2025-01-01", 10.0, None), ("7", "ann", "2025-01-01", 10.0, None))
    with pytest.raises(BadInputError, match="orders: order_id 7 stands on several rows; give one row an order"):
        History.from_frames(twice)


def orders_of(*rows):
    columns = ["order_id", "customer_id", "order_date", "total_price", "refund_amount"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(order_date=pd.to_datetime(frame["order_date"]))


@pytest.fixture(scope="module")
def simulated():
    from quimbi_assets.simulation import simulate_store

    drawn = simulate_store(200, seed=3)
    return History.from_frames(drawn.orders, drawn.order_items, None, Store(time_zone="America/New_York"))


@pytest.fixture(scope="module")
def at_rest(simulated, tmp_path_factory):
    """The same history in Parquet, rows of one customer together."""
    folder = UPath(tmp_path_factory.mktemp("history"))
    places = {name: folder / f"{name}.parquet" for name in simulated.tables}
    for name, table in simulated.tables.items():
        write_table(places[name], [table.sort_by("customer_id")], TableFacts())
    return History(simulated.store, places)


def test_orders_at_the_instant_are_not_visible():
    orders = orders_of(["1", "ann", "2025-01-01", 10.0, None], ["2", "bob", END, 20.0, None])
    history = History.from_frames(orders).until(END)
    assert history.customers.to_pylist() == ["ann"]
    assert History.from_frames(orders).end == pd.Timestamp("2025-02-02")


def test_a_refund_counts_from_its_own_date():
    orders = orders_of(["1", "ann", "2025-01-01", 10.0, 4.0], ["2", "ann", "2025-01-02", 10.0, 3.0])
    items = pd.DataFrame(
        {
            "order_id": ["1", "2"],
            "product_id": "p",
            "quantity": 1.0,
            "price": 10.0,
            "refund_amount": [4.0, 1.0],
            "refunded_at": pd.to_datetime(["2025-02-01", "2025-01-10"]),
        }
    )
    history = History.from_frames(orders, items)
    refunds = {
        at: history.until(at).visible("orders").sort_by("order_id")["refund"].to_pylist()
        for at in ("2025-01-05", "2025-01-20", "2025-02-03")
    }
    # Of order 2, what no line explains carries no date: it counts from the order on.
    assert refunds == {"2025-01-05": [0.0, 2.0], "2025-01-20": [0.0, 3.0], "2025-02-03": [4.0, 3.0]}
    undated = History.from_frames(orders.assign(refund_amount=None), items[:1])
    assert "orders.refund" not in undated.until("2025-01-05").recorded
    assert "orders.refund" in undated.until("2025-02-02").recorded


def test_a_ticket_s_answer_is_not_known_before_it_came():
    orders = orders_of(["1", "ann", "2025-01-01", 10.0, None])
    tickets = pd.DataFrame(
        {
            "ticket_id": ["t"],
            "customer_id": ["ann"],
            "created_at": ["2025-01-02"],
            "first_response_at": pd.to_datetime(["2025-01-03"]),
            "resolved_at": pd.to_datetime(["2025-01-05"]),
            "satisfaction_score": [5.0],
        }
    )
    history = History.from_frames(orders, None, tickets)
    known = {
        at: {column for column in history.until(at).recorded if column.startswith("tickets.")}
        for at in ("2025-01-02", "2025-01-03", "2025-01-05", "2025-01-06")
    }
    assert known["2025-01-02"] == set()
    asked = {f"tickets.{name}" for name in ("ticket_id", "customer_id", "created_at", "created_at_local")}
    assert known["2025-01-03"] == asked
    assert known["2025-01-05"] == asked | {"tickets.first_response_at"}
    assert known["2025-01-06"] == known["2025-01-05"] | {"tickets.resolved_at", "tickets.satisfaction_score"}


def test_who_wrote_but_never_ordered_is_counted():
    orders = orders_of(["1", "ann", "2025-01-01", 10.0, None], ["2", "bob", "2025-03-01", 10.0, None])
    tickets = pd.DataFrame({"ticket_id": [1, 2, 3], "customer_id": ["ann", "bob", "eve"], "created_at": "2025-01-02"})
    history = History.from_frames(orders, None, tickets)
    assert history.until(END).n_writers_without_order == 2
    assert history.n_writers_without_order == 1


def test_parquet_and_memory_are_the_same_history(simulated, at_rest):
    assert at_rest.end == simulated.end
    assert at_rest.recorded == simulated.recorded
    assert at_rest.population.equals(simulated.population)
    for name, frame in zip(("orders", "items"), at_rest.frames(), strict=False):
        pd.testing.assert_frame_equal(frame, simulated.frames()[("orders", "items").index(name)])


@pytest.mark.parametrize("part_orders", [100, 400])
def test_parts_hold_every_customer_once_and_measure_the_same(at_rest, part_orders, monkeypatch):
    parts = at_rest.parts(part_orders)
    assert len(parts) > 1
    assert [c for part in parts for c in part.customers.to_pylist()] == at_rest.customers.to_pylist()
    whole = list(measure(at_rest).parts())
    assert len(whole) == 1
    monkeypatch.setattr(History, "parts", lambda self: parts)
    cut = list(measure(at_rest).parts())
    assert len(cut) == len(parts)
    for axis, table in whole[0].items():
        found = pd.concat([part[axis].to_pandas() for part in cut], ignore_index=True)
        pd.testing.assert_frame_equal(found, table.to_pandas(), rtol=1e-12)


def test_a_sample_is_bounded_seeded_and_grows_by_adding(simulated):
    few, more = (set(simulated.sample(n, 0).customers.to_pylist()) for n in (20, 40))
    assert (len(few), len(more)) == (20, 40)
    assert few < more
    assert few != set(simulated.sample(20, 1).customers.to_pylist())
    bounded = simulated.sample(1000, 0, most_rows=300)
    assert sum(map(len, bounded.frames()[:2])) <= 300
    assert simulated.sample(10**6, 0) is simulated


def test_ids_are_data_not_sql():
    hostile = ["o'neil", 'x"; DROP TABLE raw_orders; --', "ünï", " "]
    orders = orders_of(*([str(i), who, "2025-01-01", 1.0, None] for i, who in enumerate(hostile)))
    history = History.from_frames(orders)
    assert sorted(history.of(pd.Index(hostile[:2])).customers.to_pylist()) == sorted(hostile[:2])
    assert history.between("o'neil", "o'neil").customers.to_pylist() == ["o'neil"]
    assert len(history.between(min(hostile), max(hostile)).customers) == 4


def test_some_of_some_are_fewer_in_whichever_order_they_are_asked_for():
    history = History.from_frames(orders_of(*([c, c, "2025-01-01", 1.0, None] for c in "abcde")))
    some = pd.Index(["a", "b", "d"])
    for narrowed in (
        history.of(some).between("b", "e"),
        history.between("b", "e").of(some),
        history.of(some).of(pd.Index(["b", "d", "e"])),
        history.between("a", "d").between("b", "e").of(some),
    ):
        assert narrowed.customers.to_pylist() == ["b", "d"]


def test_orders_a_day_counts_back_from_the_end():
    rows = [
        [str(i), "ann", day, 1.0, None]
        for i, day in enumerate(["2025-01-31 23:59:59", "2025-01-31 00:00:00", "2025-01-29 00:00:00"])
    ]
    history = History.from_frames(orders_of(*rows)).until(END)
    assert history.orders_a_day(4).tolist() == [2, 0, 1, 0]
    within_a_second = orders_of(["1", "ann", "2025-01-31 23:59:59.200", 1.0, None])
    at = pd.Timestamp("2025-01-31 23:59:59.700")
    assert History.from_frames(within_a_second).until(at).orders_a_day(3).tolist() == [1, 0, 0]


def test_a_store_without_orders_has_an_end_and_nobody():
    history = History.from_frames(orders_of(["1", "ann", "2025-01-01", 1.0, None])[:0])
    assert len(history.customers) == 0
    assert len(history.parts()) == 1
    assert "orders.total_price" in history.recorded


def test_the_same_data_give_the_same_bytes(at_rest):
    one, two = (pd.concat(t.to_pandas() for p in measure(at_rest).parts() for t in p.values()) for _ in range(2))
    assert np.array_equal(pd.util.hash_pandas_object(one), pd.util.hash_pandas_object(two))
    assert list(extract_features(at_rest.frames().orders, axes=["purchase_value"])) == ["purchase_value"]


def test_customers_are_counted_as_of_the_instant(simulated, at_rest):
    for history in (simulated, at_rest):
        for at in (None, "2025-01-01"):
            assert history.until(at).n_customers == len(history.until(at).customers)
    some = simulated.customers[:7]
    assert simulated.of(some).n_customers == 7


def test_too_few_customers_are_told_without_reading_who_they_are(at_rest, monkeypatch):
    monkeypatch.setattr(History, "population", property(lambda self: pytest.fail("all ids were read")))
    require_population(at_rest, 100)
    nobody = History.from_frames(at_rest.frames().orders.head(0), store=Store("s", currency="EUR"))
    with pytest.raises(
        BadInputError, match=r"s: none of its orders counts as a purchase .* EUR; load .*--currency CODE"
    ):
        require_population(nobody, 2)
    with pytest.raises(BadInputError, match=r"has no order before 2001-01-01.*: the first is of 20\d\d-\d\d-\d\d"):
        require_population(at_rest.until("2001-01-01"), 2)
    with pytest.raises(BadInputError, match=r"has 200 customers .* fewer than 201.*--min-population 200"):
        require_population(at_rest, 201)
