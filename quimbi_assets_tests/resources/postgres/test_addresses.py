"""Customers whom orders know by their addresses alone: hashes for ids, by which all find them that did before."""

import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.erasure import person_of
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.identities import ADDRESSES_VARIABLE, find_by_email
from quimbi_assets.resources.postgres.tables.personal import delete_rows
from quimbi_assets.resources.postgres.tables.stores import read_change
from quimbi_assets_tests.resources.postgres.test_matching import EMAILS, NOW, N, load, orders_of, tickets_of, whose

__all__ = ["load"]
SPELT = [email.upper() if i % 2 else f" {email}" for i, email in enumerate(EMAILS)]


def ids_of(database, store_id):
    found = database.execute(
        store_id, "SELECT customer_id FROM quimbi.orders WHERE store_id = %s ORDER BY 1", (store_id,)
    )
    return [customer for (customer,) in found]


def addresses_of(database, store_id):
    sql = "SELECT customer_id, email FROM quimbi.customer_addresses WHERE store_id = %s"
    return dict(database.execute(store_id, sql, (store_id,)))


def customer_of(database, load, email):
    return find_by_email(database, quimbi_home(), load.store, email, None)


def everything(database, store_id):
    """All values of all tables of the schema that are of a store, but the one of addresses, as text."""
    tables = database.execute(
        EVERY_STORE,
        "SELECT table_name FROM information_schema.columns "
        "JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema = 'quimbi' AND column_name = 'store_id' AND table_type = 'BASE TABLE'",
    )
    rows = [
        database.execute(
            store_id, f"SELECT to_jsonb(one)::text FROM quimbi.{table} one WHERE store_id = %s", (store_id,)
        )
        for (table,) in tables
        if table != "customer_addresses"
    ]
    return "\n".join(text for table in rows for (text,) in table)


def test_one_table_holds_addresses_and_however_it_is_spelt_it_is_one_customer(database, load):
    load(orders=orders_of(SPELT), tickets=tickets_of(email=["P1@example.com", "new@example.com"]))
    ids = ids_of(database, load.store)
    assert len(ids) == N
    assert len(set(ids)) == 20
    assert all(customer.startswith("email:") and len(customer) == 38 for customer in ids)
    assert addresses_of(database, load.store) == {customer_of(database, load, one): one for one in EMAILS}
    assert "@" not in everything(database, load.store)


def test_tickets_lists_and_people_find_them_by_the_same_hash(database, load):
    load(orders=orders_of(SPELT), tickets=tickets_of(email=["p1@example.com", "late@example.com"]))
    by_ticket, p1 = (
        whose(database, load.store),
        find_by_email(database, quimbi_home(), load.store, "P1@Example.com", None),
    )
    assert by_ticket["0"] == p1
    assert p1 in ids_of(database, load.store)
    late = by_ticket["1"]
    load(orders=orders_of(["late@example.com", "p1@example.com"], ids="more"))
    assert whose(database, load.store) == by_ticket
    assert late in ids_of(database, load.store)
    people = pd.DataFrame({"customer_id": EMAILS[:20], "email": EMAILS[:20], "accepts_marketing": "yes"})
    assert "20 of 20 customers have orders" in "\n".join(load(customers=people).lines())
    assert "@" not in everything(database, load.store)


def test_loading_again_changes_nothing_with_the_setting_or_without(database, load, monkeypatch):
    files = {"orders": orders_of(SPELT), "tickets": tickets_of(email=["p1@example.com", "other@example.com"])}
    load(**files)
    before, ids = read_change(database, load.store), ids_of(database, load.store)
    for value in ("hash", "", "plain"):
        monkeypatch.setenv(ADDRESSES_VARIABLE, value)
        report = load(**files)
        assert not any(table.changed for table in report.tables)
        assert (read_change(database, load.store), ids_of(database, load.store)) == (before, ids)


def test_a_store_that_has_addresses_is_told_and_stays_as_it_was(database, load, monkeypatch):
    monkeypatch.setenv(ADDRESSES_VARIABLE, "plain")
    load(orders=orders_of(EMAILS))
    before = ids_of(database, load.store)
    monkeypatch.setenv(ADDRESSES_VARIABLE, "hash")
    with pytest.raises(BadInputError, match=r"knows customers by their e-mail addresses.* into a new store"):
        load(orders=orders_of(EMAILS))
    monkeypatch.delenv(ADDRESSES_VARIABLE)
    assert not any(table.changed for table in load(orders=orders_of(EMAILS)).tables)
    assert ids_of(database, load.store) == before == sorted(EMAILS)
    assert addresses_of(database, load.store) == {}
    monkeypatch.setenv(ADDRESSES_VARIABLE, "has")
    with pytest.raises(BadInputError, match="QUIMBI_ADDRESSES=has is neither hash nor plain"):
        load(orders=orders_of(EMAILS))


def test_who_is_to_be_erased_is_found_by_address_and_by_hash(database, load):
    load(orders=orders_of(SPELT))
    p1 = find_by_email(database, quimbi_home(), load.store, "p1@example.com", None)
    by_address = person_of(database, quimbi_home(), load.store, None, "P1@example.com")
    assert p1 in by_address.customers
    assert "p1@example.com" in person_of(database, quimbi_home(), load.store, p1, None).addresses
    assert person_of(database, quimbi_home(), load.store, p1, None).keys == by_address.keys


def test_other_ids_stay_as_they_are(database, load):
    load(orders=orders_of([f"c{i % 20}" for i in range(N)], EMAILS))
    assert set(ids_of(database, load.store)) == {f"c{i}" for i in range(20)}
    assert find_by_email(database, quimbi_home(), load.store, "p3@example.com", None) == "c3"
    assert addresses_of(database, load.store) == {}


def test_refused_rows_and_lines_hold_the_hash_too(database, load, tmp_path):
    orders = orders_of(SPELT)
    orders["order_date"] = orders["order_date"].astype("str").where(orders.index > 0, "soon")
    path = tmp_path / "orders.csv"
    orders.to_csv(path, index=False)
    with path.open("a") as file:
        file.write("broken,Ben@Example.com,too,many,cells,in,this,line,for,it\n")
    load_store(database, load.store, path, now=NOW)
    rows = database.execute(load.store, 'SELECT reason, "row"::text FROM quimbi.quarantined_rows ORDER BY 1')
    assert len(rows) == 2
    assert "@" not in str(rows)
    assert customer_of(database, load, EMAILS[0]) in str(rows)
    person = person_of(database, quimbi_home(), load.store, None, "ben@example.com")  # by that line alone
    assert person.customers[0] in str(rows)


def test_who_is_erased_goes_from_the_table_of_addresses(database, load):
    load(orders=orders_of(SPELT))
    p1 = customer_of(database, load, "p1@example.com")
    person = person_of(database, quimbi_home(), load.store, p1, None)
    with database.transaction(load.store) as cursor:
        counts = delete_rows(cursor, person)
    assert counts["customer_addresses"] == 1
    assert p1 not in addresses_of(database, load.store)
    assert len(addresses_of(database, load.store)) == 19
