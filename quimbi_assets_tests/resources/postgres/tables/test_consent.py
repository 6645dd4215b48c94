"""Consent comes with lists of customers and outlives them."""

import csv

import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.audiences.definitions import ExportTarget
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.actions import decide_store, route_ticket
from quimbi_assets.resources.contacts import take_contacts
from quimbi_assets.resources.export_targets import export
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.consent import read_consent_counts
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

NOW = pd.Timestamp("2024-06-01", tz="UTC")
CUSTOMERS = [f"c000{i}" for i in range(5)]


@pytest.fixture
def load(database, tmp_path):
    def run(store_id, **frames):
        for name, frame in frames.items():
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        paths = {f"{name}_path": tmp_path / f"{name}.csv" for name in frames}
        return "\n".join(load_store(database, store_id, now=NOW, **paths).lines())

    return run


def orders():
    return pd.DataFrame(
        {
            "order_id": range(5),
            "customer_id": CUSTOMERS,
            "email": [f"p{i}@example.com" for i in range(5)],
            "order_date": "2024-01-01",
            "total_price": 10.0,
        }
    )


def stored(database, store_id):
    rows = database.execute(
        store_id,
        "SELECT customer_id, accepts_marketing, suppressed FROM quimbi.customer_consent WHERE store_id = %s",
        (store_id,),
    )
    return {customer: (accepts, suppressed) for customer, accepts, suppressed in rows}


def test_a_list_says_who_may_be_written_to(database, load):
    listed = pd.DataFrame(
        {
            "customer_id": [*CUSTOMERS[:4], "stranger"],
            "email": [f"p{i}@example.com" for i in range(4)] + ["x@example.com"],
            "Accepts Email Marketing": ["yes", "no", "yes", None, "yes"],
            "Suppressed": [None, None, "hard bounce", None, None],
        }
    )
    lines = load("consent", orders=orders(), customers=listed)
    assert "2 agreed to marketing, 1 did not, 1 are suppressed" in lines
    assert "ignored" not in lines
    expected = {"c0000": (True, None), "c0001": (False, None), "c0002": (True, True)}
    assert stored(database, "consent") == expected
    # A later list of bounces has one key alone and says nothing of consent, which stays.
    lines = load("consent", customers=pd.DataFrame({"email": ["P0@example.com "], "bounced": ["1"]}))
    assert "0 agreed to marketing, 0 did not, 1 are suppressed" in lines
    assert stored(database, "consent") == expected | {"c0000": (True, True)}
    publish(database, "consent", 5)
    counts = read_consent_counts(database, "consent")
    assert (counts.agreed, counts.not_agreed, counts.suppressed, counts.unknown) == (0, 1, 2, 2)
    assert counts.words() == (
        "left out: 1 who did not agree to marketing, 2 suppressed; of 2 nothing is recorded, they are in it"
    )


def test_where_nothing_is_recorded_it_is_said(database, load):
    load("consent-none", orders=orders())
    publish(database, "consent-none", 5)
    assert "none is recorded" in read_consent_counts(database, "consent-none").words()


def test_a_list_of_one_key_without_consent_is_refused(load):
    with pytest.raises(BadInputError, match="two keys"):
        load("consent-one", orders=orders(), customers=pd.DataFrame({"email": ["p0@example.com"]}))


def blocked(database, store_id, path):
    with database.transaction(store_id) as cursor:
        take_contacts(cursor, database, store_id, path)
        cursor.execute("SELECT customer_id, is_blocked FROM contacts")
        return dict(cursor.fetchall())


def test_an_address_that_was_suppressed_is_blocked_whoever_has_it(database, load, tmp_path):
    lines = load("bounced", orders=orders().drop(columns="email"))
    # The store knows no address: the list names nobody, and is kept for when somebody has one of them.
    lines = load("bounced", customers=pd.DataFrame({"email": ["gone@example.com"], "bounced": ["1"]}))
    assert "none of them has orders yet; 1 suppressed addresses are kept" in lines
    load("bounced", customers=pd.DataFrame({"customer_id": ["c0001"], "suppressed": ["1"]}))
    publish(database, "bounced", 5)
    contacts = pd.DataFrame(
        {
            "customer_id": CUSTOMERS,
            "email": [
                "Gone@example.com",
                "same@example.com",
                "SAME@example.com",
                "fine@example.com",
                "well@example.com",
            ],
        }
    )
    contacts.to_csv(tmp_path / "contacts.csv", index=False)
    is_blocked = blocked(database, "bounced", tmp_path / "contacts.csv")
    assert is_blocked == {"c0000": True, "c0001": True, "c0002": True, "c0003": False, "c0004": False}
    # Said to be reachable again, it is.
    load("bounced", customers=pd.DataFrame({"email": ["gone@example.com"], "bounced": ["0"], "customer_id": ["c0000"]}))
    assert not blocked(database, "bounced", tmp_path / "contacts.csv")["c0000"]


def test_who_unsubscribes_after_a_run_has_no_campaign_from_then_on(database, load, home, tmp_path):
    load("left", orders=orders())
    publish(database, "left", 5, n_orders=pa.array([1] * 5))
    rules = "a: {when: orders >= 0, queue: q, control: 0}, b: {when: orders >= 0, campaign: c, message: m, control: 0}"
    (home / "actions.yaml").write_text(f"rules: {{{rules}}}")
    served, target = ServedDatabase.of(database), ExportTarget("csv", "csv", rule="b", out=tmp_path / "list.csv")
    try:
        decide_store(database, "left")
        barred = {"email": ["p0@example.com", "p1@example.com", "p2@example.com"], "suppressed": ["yes", None, None]}
        load("left", customers=pd.DataFrame({**barred, "accepts_marketing": [None, "no", "yes"]}))
        rows = database.execute("left", "SELECT customer_id, rule, campaign FROM quimbi.customer_actions")
        assert sorted(rows) == sorted(
            [(one, "a", None) for one in CUSTOMERS] + [(one, "b", "c") for one in CUSTOMERS[2:]]
        )
        with served.of_store("left") as now:
            told = [route_ticket(now, "left", one, is_served=True) for one in CUSTOMERS[:3]]
        assert [(one["queue"], one["campaign"], one["message"]) for one in told] == [
            ("q", None, None),
            ("q", None, None),
            ("q", "c", "m"),
        ]
        forbid = "INSERT INTO quimbi.customer_consent VALUES ('left', 'c0004', false, NULL, now())"
        administer(database, forbid)  # by whatever way it came to be known
        export(database, "left", target, print)
        listed = {row["customer_id"] for row in csv.DictReader(target.out.read_text().splitlines())}
        assert listed == set(CUSTOMERS[2:4])
    finally:
        (home / "actions.yaml").unlink()
        served.close()
