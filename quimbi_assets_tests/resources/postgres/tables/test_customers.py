"""Customers chosen by a filter, out of real tables."""

import json

import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.audiences.filters import EVERYBODY, compile_filter, order_by
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.customers import (
    Place,
    count_chosen,
    read_chosen,
    read_page,
    read_vocabulary,
    stream_profiles,
)
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

FACTS = [
    {"a": {"rate": 0.1, "is_new": True, "last_on": "2024-01-05", "sort": "tea", "nothing": None}},
    {"a": {"rate": None, "is_new": False, "last_on": None, "sort": "2024-01-05 was a Friday", "nothing": None}},
    {"a": {"rate": 0.5, "is_new": None, "last_on": "2024-03-01", "sort": None, "nothing": None}},
]


@pytest.fixture(scope="module")
def chosen(database, tmp_path_factory):
    """Asks a store of three customers, worth nothing known, 0 and 1."""
    administer(
        database, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES ('filtered', 'UTC'), ('chosen-other', 'UTC')"
    )
    features = pa.array([json.dumps(row) for row in FACTS])
    publish(database, "filtered", 3, feature_vectors=features, churn_risk_score=pa.array([0.5, None, 0.9]))
    publish(database, "filtered-other", 3)
    at = pd.Timestamp("2024-05-20", tz="UTC").to_pydatetime()
    for customer, cause in (("c0001", "acted"), ("c0002", "model")):
        administer(
            database,
            "INSERT INTO quimbi.segment_migrations (store_id, week, customer_id, axis_name, cause, from_segment, "
            "to_segment, from_week, at) VALUES ('filtered', '2024-05-13', %s, 'a', %s, 'a_2', 'a_1', '2024-05-06', %s)",
            (customer, cause, at),
        )

    def ask(where, **options):
        vocabulary = read_vocabulary(database, "filtered")
        return read_chosen(database, "filtered", compile_filter(where, vocabulary), vocabulary, **options)

    return ask


@pytest.mark.parametrize(
    ("where", "customers"),
    [
        (None, "210"),
        ("value >= 0", "21"),
        ("not value >= 1", "1"),
        ("value is null", "0"),
        ("a = 'few'", "210"),
        ("a in ('many')", ""),
        ("a.few > 0.7 and b.b_2 < 0.3", "210"),
        ("a.rate > 0.2", "2"),
        ("not a.rate > 0.2", "0"),
        ("a.is_new", "0"),
        ("a.last_on = '2024-03-01'", "2"),
        ("a.sort = 'tea'", "0"),
        ("a.strength = 'balanced'", "210"),
        ("a.stays < 0.8 and risk > 0.6", "2"),
        ("archetype = 'all customers'", "210"),
        ("customer_id in ('c0000', '''; DROP TABLE quimbi.orders --')", "0"),
        ("entered(a, 'few', 2)", "1"),
        ("entered(a, 'few', 1)", ""),
        ("left(a, 'few', 2)", ""),
    ],
)
def test_who_is_chosen(chosen, where, customers):
    answer = chosen(where)
    assert "".join(row["customer_id"][-1] for row in answer.rows) == customers
    assert answer.customers == len(customers)


def test_the_first_by_any_field_with_the_sum_of_all(chosen):
    answer = chosen(None, sort="risk", limit=1)
    assert (answer.customers, answer.value, [row["customer_id"] for row in answer.rows]) == (3, 1.0, ["c0002"])
    assert answer.rows[0]["archetype"] == "all customers"
    assert [row["customer_id"] for row in chosen(None, sort="a.rate asc").rows] == ["c0000", "c0002", "c0001"]
    assert chosen("value > 99").value is None


@pytest.mark.parametrize(("sort", "customers"), [("value_at_risk", "210"), ("a.rate asc", "021"), (None, "012")])
def test_a_list_streams_in_its_own_order(chosen, database, sort, customers):
    vocabulary = read_vocabulary(database, "filtered")
    query = compile_filter("a = 'few'", vocabulary)
    order = order_by(sort, vocabulary) if sort else None
    rows = pa.concat_tables(stream_profiles(database, "filtered", query, vocabulary, order)).to_pylist()
    assert "".join(row["customer_id"][-1] for row in rows) == customers


def test_a_store_without_a_run_or_at_all(database, tmp_path):
    pd.DataFrame({"order_id": ["1"], "customer_id": ["a"], "order_date": ["2024-01-01"], "total_price": [1.0]}).to_csv(
        tmp_path / "orders.csv", index=False
    )
    load_store(database, "filtered-unrun", tmp_path / "orders.csv", time_zone="UTC")
    with pytest.raises(BadInputError, match="quimbi run --store-id filtered-unrun"):
        read_vocabulary(database, "filtered-unrun")
    with pytest.raises(BadInputError, match="unknown store"):
        read_vocabulary(database, "filtered-nowhere")


@pytest.mark.parametrize(("sort", "begins"), [("value", "lifetime_value <="), ("customer_id", "customer_id >=")])
def test_a_page_begins_in_an_index_where_the_one_before_ended(chosen, database, sort, begins):
    order = order_by(sort, read_vocabulary(database, "filtered"))
    place = Place("c0000" if order.kind == "text" else 1e9, "c0000")
    with database.snapshot(EVERY_STORE) as now, now.transaction(EVERY_STORE) as cursor:
        read_page(now, "filtered", EVERYBODY, order, place, 1)
        asked = cursor.query
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(b"EXPLAIN " + asked)
        plan = [line for (line,) in cursor.fetchall()]
    assert any("Index Cond" in line and begins in line for line in plan), plan


def test_several_filters_are_counted_at_once(chosen, database):
    vocabulary = read_vocabulary(database, "filtered")
    filters = ["a.sort = 'tea'", "value >= 1", "value is null", "risk > 0.6 and a.sort <> '%'"]
    queries = [compile_filter(where, vocabulary) for where in filters]
    counted = count_chosen(database, "filtered", queries)
    assert counted == [(one.customers, one.value) for one in map(chosen, filters)]
    assert [n for n, _ in counted] == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("sort", "customers"),
    [
        ("risk", ["c0002", "c0000", "c0001"]),
        ("risk asc", ["c0000", "c0002", "c0001"]),
        ("a.is_new", ["c0000", "c0001", "c0002"]),
        ("a.last_on asc", ["c0000", "c0002", "c0001"]),
        ("a.rate", ["c0002", "c0000", "c0001"]),
        ("a", ["c0000", "c0001", "c0002"]),
    ],
)
def test_pages_of_one_follow_each_other_what_is_unknown_last(chosen, database, sort, customers):
    vocabulary, found, place = read_vocabulary(database, "filtered"), [], None
    while place is not None or not found:
        order = order_by(sort, vocabulary)
        rows, place = read_page(database, "filtered", EVERYBODY, order, place, 1)
        found += [row["customer_id"] for row in rows]
    assert found == customers
