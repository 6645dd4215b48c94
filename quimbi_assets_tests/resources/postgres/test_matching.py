"""Tickets find the customers of orders by whichever key they carry; no address is kept as such."""

import re

import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError, UnknownStoreError
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.identities import find_by_email
from quimbi_assets.resources.postgres.tables.stores import planned_stores
from quimbi_assets_tests.administrator import administering
from quimbi_assets_tests.resources.postgres.stored import n_orders, read_quarantined, read_tickets

NOW = pd.Timestamp("2024-06-01", tz="UTC")
N = 40


def orders_of(customers, emails=None, ids="o"):
    frame = pd.DataFrame({"order_id": [f"{ids}{i}" for i in range(len(customers))], "customer_id": customers})
    frame = frame.assign(order_date=pd.date_range("2024-01-01", periods=len(frame), freq="h"), total_price=10.0)
    return frame if emails is None else frame.assign(customer_email=emails)


def tickets_of(**keys):
    n = len(next(iter(keys.values())))
    return pd.DataFrame({"id": range(n), **keys, "created_datetime": "2024-02-01T10:00:00"})


SHOP = [str(i % 20) for i in range(N)]
EMAILS = [f"p{i % 20}@example.com" for i in range(N)]


@pytest.fixture
def load(database, tmp_path, request):
    """Loads frames into a store named after the test."""
    store_id = re.sub("[^a-z0-9]", "_", request.node.name)[-60:].strip("_")

    def run(store_id=store_id, **frames):
        paths = {f"{name}_path": tmp_path / f"{name}.csv" for name in frames}
        for name, frame in frames.items():
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        return load_store(database, store_id, now=NOW, **paths)

    run.store = store_id
    return run


def whose(database, store_id):
    return read_tickets(database, store_id).set_index("ticket_id")["customer_id"].to_dict()


def test_a_helpdesk_export_meets_orders_by_address(database, load):
    written = [f" P{i % 20}@Example.com" for i in range(24)] + ["new@example.com", "new@example.com", None]
    helpdesk = [9000 + i % 20 for i in range(24)] + [9500, 9500, 9003]
    tickets = tickets_of(**{"customer.id": helpdesk, "customer.email": written})
    report = load(orders=orders_of(SHOP, EMAILS), tickets=tickets)
    lines = "\n".join(report.lines())
    assert "25 of 27 tickets belong to 20 known customers (by customer.email)" in lines
    assert "people who wrote but never ordered: 1" in lines
    assert "ignored columns" not in lines
    found = whose(database, load.store)
    assert [found[str(i)] for i in range(24)] == [str(i % 20) for i in range(24)]
    assert found["26"] == "3"  # no address, but the helpdesk's id of one who has
    assert found["24"] == found["25"]
    assert found["24"].startswith("email:")
    again = load(tickets=tickets)
    assert not any(table.changed for table in again.tables)
    assert "(by customer.email)" in "\n".join(again.lines())
    later = load(tickets=tickets_of(**{"customer.id": [9007, 9008]}).assign(id=[100, 101]))
    assert "2 of 2 tickets belong to 2 known customers (by customer.id)" in "\n".join(later.lines())
    assert whose(database, load.store)["100"] == "7"


def test_tickets_of_another_helpdesk_that_take_the_place_of_stored_ones_are_told(load):
    """Of another customer and another time, both: a ticket that was merged, or whose time was corrected, is none."""
    load(orders=orders_of(SHOP, EMAILS))
    tickets = tickets_of(email=EMAILS[:12])
    other = tickets.assign(email=EMAILS[3:15], created_datetime="2024-03-01T10:00:00").iloc[7:9]
    for corrected in (
        tickets,
        other.assign(email=tickets["email"]),
        tickets,
        other.assign(**tickets[["created_datetime"]]),
    ):
        assert "helpdesks" not in "\n".join(load(tickets=corrected).lines())
    load(tickets=tickets)
    told = "\n".join(load(tickets=other).lines())
    assert "2 stored tickets, such as 7, had another customer and another time: ids of two helpdesks" in told


def test_ids_that_agree_by_chance_are_not_believed(database, load):
    tickets = tickets_of(customer_id=[(i * 7 + 3) % 20 for i in range(20)], customer_email=EMAILS[:18] + [None] * 2)
    report = load(orders=orders_of(SHOP, EMAILS), tickets=tickets)
    assert "20 of 20 tickets" not in "\n".join(report.lines())
    found = whose(database, load.store)
    assert [found[str(i)] for i in range(18)] == SHOP[:18]


def test_the_shops_own_ids_stay_as_they_are(database, load):
    tickets = tickets_of(customer_id=["1", "2", "77"], customer_email=["p1@example.com", "other@example.com", None])
    report = load(orders=orders_of(SHOP, EMAILS), tickets=tickets)
    assert "2 of 3 tickets belong to 2 known customers (by customer_id)" in "\n".join(report.lines())
    assert whose(database, load.store) == {"0": "1", "1": "2", "2": "77"}
    load(tickets=tickets_of(requester_email=["other@example.com"]).assign(id=9))
    assert whose(database, load.store)["9"] == "2"  # learnt from a ticket that has both


def test_customers_known_by_address_only(database, load):
    load(orders=orders_of(["Ann@x.com", "ben@x.com", None]))
    load(tickets=tickets_of(email=["ann@X.com", "ben@x.com ", "zoe@x.com"]))
    found = whose(database, load.store)
    known = [find_by_email(database, quimbi_home(), load.store, one, None) for one in ("Ann@x.com", "ben@x.com")]
    assert [found["0"], found["1"]] == known
    assert found["2"].startswith("email:")


def test_no_ticket_meets_a_customer(database, load):
    tickets = tickets_of(**{"customer.id": [9001, 9002], "customer.email": ["p1@example.com", "p2@example.com"]})
    broken = orders_of(SHOP).assign(order_date=["someday"] + ["2024-01-01"] * (N - 1))
    with pytest.raises(BadInputError) as raised:
        load(orders=broken, tickets=tickets)
    for part in ("none of 2 tickets is of a customer", "customer.id, customer.email", "--customers F"):
        assert part in str(raised.value)
    assert load.store not in {planned.store_id for planned in planned_stores(database)}
    assert not n_orders(database, load.store)
    assert len(read_quarantined(database, load.store)) == 1
    load(orders=orders_of(SHOP))
    with pytest.raises(BadInputError, match="none of 2 tickets"):
        load(tickets=tickets)
    customers = pd.DataFrame({"id": SHOP[:20], "email": EMAILS[:20], "name": "x"})
    report = load(customers=customers)
    assert "20 of 20 customers have orders (by id)" in "\n".join(report.lines())
    assert not any(table.changed for table in load(customers=customers).tables)
    load(tickets=tickets)
    assert whose(database, load.store) == {"0": "1", "1": "2"}


def test_customers_of_a_shop_whose_orders_carry_addresses(database, load):
    load(orders=orders_of(EMAILS))
    load(customers=pd.DataFrame({"Customer ID": [f"shop{i}" for i in range(20)], "Email": EMAILS[:20]}))
    report = load(tickets=tickets_of(customer_id=["shop3", "shop4", "shop99"]))
    assert "2 of 3 tickets belong to 2 known customers (by customer_id)" in "\n".join(report.lines())
    p3 = find_by_email(database, quimbi_home(), load.store, "p3@example.com", None)
    assert whose(database, load.store)["0"] == p3


@pytest.mark.parametrize(
    ("customers", "said"),
    [
        (pd.DataFrame({"id": ["1"], "name": "x"}), "two keys of each customer.*it has only id"),
        (pd.DataFrame({"id": ["x1"], "email": ["y@y"]}), "none of 1 customers is a customer who has orders"),
    ],
)
def test_a_list_of_customers_that_says_nothing(load, customers, said):
    load(orders=orders_of(SHOP))
    with pytest.raises(BadInputError, match=said):
        load(customers=customers)


def test_a_list_says_whose_ids_of_a_helpdesk_are_that_orders_have_too(database, load):
    customers = pd.DataFrame({"customer_id": SHOP[:20], "helpdesk_id": [str(i + 1) for i in range(20)]})
    report = load(orders=orders_of(SHOP), customers=customers, tickets=tickets_of(requester_id=["1", "2", "20"]))
    lines = "\n".join(report.lines())
    assert "20 keys: 20 new" in lines
    assert "20 of 20 customers have orders (by customer_id)" in lines
    assert "3 of 3 tickets belong to 3 known customers (by requester_id)" in lines
    assert "more than one customer" not in lines
    assert whose(database, load.store) == {"0": "0", "1": "1", "2": "19"}
    again = load(tickets=tickets_of(requester_id=["1", "2", "20"]))
    assert not any(table.changed for table in again.tables)
    report = load(tickets=tickets_of(customer_id=["1", "2"]).assign(id=["a", "b"]))  # called the shop's own
    assert "2 of them by an id that is a helpdesk's for another customer: if customer_id" in "\n".join(report.lines())
    assert whose(database, load.store)["a"] == "1"
    mostly_alike = pd.DataFrame({"customer_id": SHOP[:20], "helpdesk_id": [*SHOP[:18], "19", "18"]})
    load(customers=mostly_alike)
    load(tickets=tickets_of(helpdesk_id=SHOP[:20]))
    assert [whose(database, load.store)[str(i)] for i in (3, 18, 19)] == ["3", "19", "18"]


def test_ids_that_nothing_confirms_teach_nothing_and_a_list_sets_them_right(database, load):
    """A helpdesk's ids that are others' in the shop, the addresses beside them known to nobody yet."""
    tickets = tickets_of(customer_id=[str(19 - i) for i in range(20)], email=EMAILS[:20])
    first = "\n".join(load(orders=orders_of(SHOP), tickets=tickets).lines())
    assert "nothing confirms that customer_id is the shop's own" in first
    customers = pd.DataFrame({"customer_id": SHOP[:20], "email": EMAILS[:20]})
    assert "20 of 20 customers have orders (by customer_id)" in "\n".join(load(customers=customers).lines())
    again = "\n".join(load(tickets=tickets).lines())
    assert "20 of 20 tickets belong to 20 known customers (by email)" in again
    assert "nothing confirms" not in again
    assert whose(database, load.store) == {str(i): str(i) for i in range(20)}


def test_who_wrote_first_and_ordered_later(database, load):
    load(orders=orders_of(SHOP, EMAILS), tickets=tickets_of(email=["p1@example.com", "late@example.com"]))
    assert whose(database, load.store)["1"].startswith("email:")
    report = load(orders=orders_of(["900"], ["Late@example.com"], ids="later"))
    assert "tickets loaded before that now have their customer: 1" in "\n".join(report.lines())
    assert whose(database, load.store)["1"] == "900"


def test_of_two_customers_with_one_address_the_last_to_order_has_it(database, load):
    load(orders=orders_of(["old", "new"], ["a@x.com", "A@x.com"]), tickets=tickets_of(email=["a@x.com"]))
    assert whose(database, load.store) == {"0": "new"}


def test_tickets_that_met_several_customers_are_counted_with_the_rule_that_chose(database, load):
    said = "2 tickets met more than one customer by a key that these share: another key decided, else whose order"
    orders = orders_of(["1", "2", "3"], ["family@example.com", "Family@example.com", "c@example.com"])
    tickets = tickets_of(**{"customer.email": ["family@example.com", "family@example.com", "c@example.com"]})
    lines = "\n".join(load(orders=orders, tickets=tickets).lines())
    assert f"  {said} is the latest" in lines
    assert whose(database, load.store) == {"0": "2", "1": "2", "2": "3"}
    listed = pd.DataFrame({"customer_id": ["1", "2", "3"], "email": orders["customer_email"]})
    assert said in "\n".join(
        load("listed", orders=orders.drop(columns="customer_email"), customers=listed, tickets=tickets).lines()
    )
    assert whose(database, "listed") == {"0": "1", "1": "1", "2": "3"}
    alone = load("alone", orders=orders.tail(1), tickets=tickets.tail(1))
    assert "more than one" not in "\n".join(alone.lines())


def test_nothing_is_loaded_for_a_store_nobody_knows(load):
    with pytest.raises(UnknownStoreError, match="load its orders"):
        load(tickets=tickets_of(email=["a@x.com"]))
    with pytest.raises(BadInputError, match="--orders"):
        load()


def test_addresses_are_kept_as_hashes_with_a_secret_of_the_store(database, load, home):
    for store_id in ("secret-a", "secret-b"):
        load(store_id, orders=orders_of(SHOP, EMAILS), tickets=tickets_of(email=["needle@x.com", *EMAILS]))
    with administering(database) as cursor:
        cursor.execute("SELECT key_hash FROM quimbi.customer_identities WHERE store_id = 'secret-a'")
        ours = {bytes(row[0]) for row in cursor.fetchall()}
        cursor.execute("SELECT key_hash FROM quimbi.customer_identities WHERE store_id = 'secret-b'")
        assert ours.isdisjoint(bytes(row[0]) for row in cursor.fetchall())
        for table in ("customer_identities", "support_tickets", "orders", "quarantined_rows"):
            cursor.execute(
                f"SELECT count(*) FROM quimbi.{table} t WHERE store_id = 'secret-a' AND t::text LIKE '%%@%%'"
            )
            assert cursor.fetchone() == (0,)
    assert len(ours) == 20
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    keys = [home / "keys" / f"{store_id}.key" for store_id in ("secret-a", "secret-b")]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert len({key.read_bytes() for key in keys}) == 2
