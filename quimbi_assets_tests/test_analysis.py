"""A store in a notebook: what its tutorial shows is so, and what cannot be is said."""

import doctest
import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.analysis import open_store
from quimbi_assets.axes import Features, measure
from quimbi_assets.errors import BadInputError, UnknownAxisError
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.simulation import simulate_store

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorials" / "notebook.md"


def test_the_tutorial_says_what_happens():
    found = doctest.testfile(
        str(TUTORIAL), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert found.attempted >= 9
    assert found.failed == 0


@pytest.fixture(scope="module")
def made():
    return simulate_store(300, seed=5)


@pytest.fixture(scope="module")
def discovery(made):
    store = open_store(orders=made.orders, items=made.order_items, time_zone="America/New_York")
    return store.discover(["purchase_frequency", "purchase_value"], max_k=3)


def test_files_are_as_frames(made, discovery, tmp_path):
    made.orders.to_csv(tmp_path / "orders.csv", index=False)
    made.order_items.to_parquet(tmp_path / "items.parquet")
    store = open_store(
        orders=tmp_path / "orders.csv", items=str(tmp_path / "items.parquet"), time_zone="America/New_York"
    )
    again = store.discover(["purchase_frequency", "purchase_value"], max_k=3)
    pd.testing.assert_frame_equal(again.segments, discovery.segments)
    pd.testing.assert_frame_equal(again.memberships("purchase_value"), discovery.memberships("purchase_value"))


def test_everybody_is_somewhere_and_counted(discovery):
    n = len(discovery.history.population)
    for axis in ("purchase_frequency", "purchase_value"):
        memberships = discovery.memberships(axis, by="id")
        np.testing.assert_allclose(memberships.sum(axis=1), 1)
        own = discovery.segments.set_index("axis").loc[[axis]]
        assert own["customers"].sum() == n
        dominant = discovery.dominant_segments(by="id")[axis].value_counts()
        assert dominant.to_dict() == dict(zip(own["segment_id"], own["customers"], strict=True))


def test_a_profile_alone_is_one_of_many(discovery):
    first, second = discovery.history.customers.to_pylist()[:2]
    both = discovery.profile([second, first])
    assert both.index.tolist() == [second, first]
    assert discovery.profile([first]).loc[first].equals(both.loc[first])
    names = discovery.dominant_segments()
    assert both.loc[first, "segments"]["purchase_value"]["name"] == names.loc[first, "purchase_value"]
    archetype = both.loc[first, "archetype"]
    assert archetype["id"] == both.loc[first, "archetype_id"]
    words = archetype["name"].removesuffix(" customers").replace("-", "_").split()
    named = set(discovery.segments["segment_name"])
    assert archetype["name"] == "all customers" or all(any(word in name for name in named) for word in words)


def flat(**columns):
    """20 customers' 5 orders of 100 each: 4 lines of 25 that carry the order's refund of 30."""
    rows = [(f"c{i % 20:02}", f"o{i}", f"2024-01-{1 + i // 20:02}") for i in range(100) for _ in range(4)]
    frame = pd.DataFrame(rows, columns=["customer_id", "order_id", "order_date"]).assign(total_price=100.0)
    return frame.assign(sku="p", quantity=1, price=25.0, refund=30.0, **columns)


ORDER_COLUMNS = ["order_id", "customer_id", "order_date", "total_price"]


@pytest.mark.parametrize(
    ("orders", "items"),
    [
        (flat()[ORDER_COLUMNS].drop_duplicates(), flat()),
        (flat(refund_amount=30.0)[[*ORDER_COLUMNS, "refund_amount"]].drop_duplicates(), flat()),
        (flat(), flat()),
        (flat().rename(columns={"refund": "refund_amount"}), flat().rename(columns={"refund": "refund_amount"})),
    ],
    ids=["on lines only", "on orders too", "one frame for both", "one frame, the orders' column"],
)
def test_an_orders_refund_on_each_of_its_lines_is_counted_once(orders, items):
    history = open_store(orders=orders, items=items).history
    features = Features(measure(history, ["return_behavior"]))["return_behavior"]
    np.testing.assert_allclose(features["refund_rate"], 0.3)
    assert features["total_refunds"].sum() == 3000
    assert features["items_returned_pct"].isna().all()


def test_lines_are_taken_from_orders_that_are_a_line_export():
    history = open_store(orders=flat().rename(columns={"sku": "product_id"}).drop(columns="refund")).history
    assert len(history.frames().items) == 400


def tickets_of(made, **columns):
    customers = made.orders["customer_id"].drop_duplicates().head(190).to_list()
    keys = {name: ([key(one) for one in customers] * 3)[:480] + ["nobody"] * 20 for name, key in columns.items()}
    return pd.DataFrame({"id": range(500), "created": "2025-01-05", **keys})


def test_tickets_find_their_customers_by_id_or_address(made):
    orders = made.orders.assign(email=made.orders["customer_id"] + "@Example.com")
    by_id = tickets_of(made, **{"customer.id": str})
    by_address = tickets_of(made, **{"requester id": hash, "customer.email": "{}@example.com".format})
    for tickets, column in ((by_id, "customer.id"), (by_address, "customer.email")):
        store = open_store(orders=orders, tickets=tickets)
        note = f"480 of 500 tickets belong to 190 known customers (by {column})"
        assert store.notes == [note]
        assert note in repr(store)
        assert "people who wrote but never ordered: 1" in repr(store)
        assert store.history.frames().tickets["customer_id"].isin(made.orders["customer_id"]).sum() == 480
        assert store.history.n_writers_without_order == 1
    with pytest.raises(BadInputError, match="none of 500 tickets is of a customer who has orders"):
        open_store(orders=made.orders, tickets=by_address)


@pytest.mark.parametrize("key", ["email", "zendesk_id"])
def test_tickets_find_their_customers_by_a_list_of_customers(made, key):
    ids = made.orders["customer_id"].dropna().drop_duplicates()
    known = pd.DataFrame({"customer_id": ids, "email": ids + "@x.com", "zendesk_id": range(7000, 7000 + len(ids))})
    foreign = known.set_index("customer_id")[key]
    tickets = tickets_of(made, customer_id=str).dropna()
    whose = tickets["customer_id"]
    tickets = tickets.assign(**{key: whose.map(foreign).fillna("nobody@x.com")}).drop(columns="customer_id")
    with pytest.raises(BadInputError, match="or customers=, a list that holds"):
        open_store(orders=made.orders, tickets=tickets)
    store = open_store(orders=made.orders, tickets=tickets, customers=known)
    n_known, n_writers = whose.isin(ids).sum(), whose[whose.isin(ids)].nunique()
    assert store.notes == [f"{n_known} of {len(tickets)} tickets belong to {n_writers} known customers (by {key})"]
    assigned = store.history.frames().tickets.set_index("ticket_id")["customer_id"]
    expected = whose.set_axis(tickets["id"].astype("str"))
    expected = expected[expected.isin(ids) & expected.index.isin(assigned.index)]
    assert assigned[expected.index].tolist() == expected.tolist()


def test_a_list_of_customers_that_says_nothing_is_refused(made):
    tickets = tickets_of(made, email="{}@x.com".format)
    for customers, message in [
        (pd.DataFrame({"customer_id": ["a"]}), "customers must hold two keys .* it has only customer_id"),
        (pd.DataFrame({"customer_id": ["a"], "email": ["a@x.com"]}), "none of 1 customers is a customer who has order"),
    ]:
        with pytest.raises(BadInputError, match=message):
            open_store(orders=made.orders, tickets=tickets, customers=customers)


def test_a_loaded_store_says_whose_its_tickets_are(made, database, tmp_path):
    made.orders.to_csv(tmp_path / "orders.csv", index=False)
    tickets_of(made, customer_id=str).to_csv(tmp_path / "tickets.csv", index=False)
    load_store(database, "notebook", tmp_path / "orders.csv", tickets_path=tmp_path / "tickets.csv")
    store = open_store("notebook")
    assert repr(store).splitlines()[-2:] == [
        "  480 of 500 tickets belong to 190 known customers",
        "  people who wrote but never ordered: 1",
    ]
    history, n_customers = store.history.until(None), store.history.n_customers
    del store
    gc.collect()
    assert history.n_customers == n_customers
    history.keeps.cleanup()  # in a notebook it goes with the history


def test_what_there_is_is_shown_in_short(made, discovery):
    known = made.orders.dropna(subset="customer_id")
    orders = known.assign(status=["test", "test", *["paid"] * (len(known) - 2)])
    orders = pd.concat([orders, orders.head(1).assign(order_id="x", order_date="someday")])
    assert repr(open_store("mine", orders=orders)).splitlines()[1:] == [
        "  orders dropped: status test: 2",
        "  rows refused of orders: 1",
    ]
    lines = repr(discovery).splitlines()
    assert lines[0].startswith(f"store, {len(discovery.history.population)} customers before 20")
    assert [line.split(":")[0] for line in lines[1:]] == ["  purchase_frequency", "  purchase_value"]
    assert all(f"{row.segment_name} {row.customers}" in repr(discovery) for row in discovery.segments.itertuples())


def test_a_name_alone_is_no_list_of_letters(discovery):
    customer = discovery.history.customers[7].as_py()
    assert discovery.profile(customer).index.tolist() == [customer]
    assert discovery.store.discover("purchase_value", max_k=3).axes.index.tolist() == ["purchase_value"]


def test_what_cannot_be_opened_is_said(made, tmp_path):
    made.orders.to_csv(tmp_path / "orders.csv", index=False)
    twice = pd.concat([made.orders, made.orders[["order_id"]]], axis=1)
    for sent, message in [
        ({"orders": [1, 2]}, "orders: give a DataFrame or the path of a CSV or Parquet file, not a list"),
        ({"orders": twice}, "orders has several columns order_id: rename all but one"),
        ({"orders": made.orders.head(0)}, "orders: the frame has no rows$"),
        ({"orders": made.orders, "items": made.order_items.head(0)}, "items: the frame has no rows; leave it out"),
        ({"store_id": str(tmp_path / "orders.csv")}, r"is given by name: open_store\(orders='.*orders.csv'\)"),
        ({"store_id": "nowhere.csv"}, r"is given by name: open_store\(orders='nowhere.csv'\)"),
        ({"store_id": made.orders}, r"by name: open_store\(orders=...\)"),
    ]:
        with pytest.raises(BadInputError, match=message):
            open_store(**sent)


def test_what_cannot_be_is_said(made, discovery):
    with pytest.raises(BadInputError, match=r"max_k 3\.5: need 2 <= min_k <= max_k <= 20, in whole numbers"):
        discovery.store.discover(max_k=3.5)
    with pytest.raises(BadInputError, match="max_k 1000000: need 2 <= min_k <= max_k <= 20"):
        discovery.store.discover(max_k=10**6)
    with pytest.raises(BadInputError, match="no customer nobody"):
        discovery.profile(["nobody"])
    with pytest.raises(BadInputError, match="no customer was asked for"):
        discovery.profile([])
    with pytest.raises(BadInputError, match="by name or by id"):
        discovery.dominant_segments(by="number")
    with pytest.raises(BadInputError, match="need 2 <= min_k <= max_k"):
        discovery.store.discover(min_k=5, max_k=2)
    with pytest.raises(BadInputError, match="no axis was asked for"):
        discovery.store.discover([])
    for option, message in (
        ({"axes": 5}, "axes 5: give the name of an axis, or a list of names"),
        ({"random_state": "x"}, "random_state 'x': need a whole number from 0 to"),
        ({"random_state": -1}, "random_state -1: need a whole number from 0 to"),
    ):
        with pytest.raises(BadInputError, match=message):
            discovery.store.discover(**option)
    with pytest.raises(UnknownAxisError, match="unknown axis 5"):
        discovery.store.discover([5])
    for nobody in (None, 1.5):
        with pytest.raises(BadInputError, match=f"customers are asked for by their ids, not by {nobody}"):
            discovery.profile(nobody)
    with pytest.raises(UnknownAxisError, match="there are: purchase_frequency, purchase_value"):
        discovery.memberships("return_behavior")
    with pytest.raises(BadInputError, match="no such file"):
        open_store(orders="nowhere.csv")
    with pytest.raises(BadInputError, match="orders are refused, most often: order_date"):
        open_store(orders=made.orders.assign(order_date="someday"))
    store = open_store(orders=made.orders.head(50))
    with pytest.raises(BadInputError, match=r"fewer than 100: .* use min_population="):
        store.discover()
    one = open_store(orders=pd.concat([made.orders, made.orders.head(1).assign(order_id="x", order_date="someday")]))
    assert one.refused["orders"]["reason"].str.startswith("order_date").tolist() == [True]


def test_frames_need_neither_dagster_nor_mlflow_nor_a_database_driver():
    said = subprocess.run(
        [sys.executable, "-c", "import sys, quimbi_assets.analysis; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"dagster", "mlflow", "psycopg2", "adbc_driver_postgresql", "sqlalchemy"} & set(said)
