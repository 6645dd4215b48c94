"""Files of customers out of real tables: every column, no formula, whole or not there."""

import csv
import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quimbi_assets.audiences.filters import EVERYBODY, compile_filter
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.advertisers import write_advertisers_list
from quimbi_assets.resources.exports import write_rows
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables.audiences import stream_membership
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary, stream_profiles
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

HOSTILE = ["=HYPERLINK(1)", " +1", "-5", "@x", "\tx", "a-b, \"c\"\r\nd", "\x1b[2J\u202ePAY\r\x9b", "plain"]  # fmt: skip


@pytest.fixture(scope="module")
def store(database):
    n = len(HOSTILE)
    publish(
        database, "exported", n, customer_id=pa.array(HOSTILE), lifetime_value=pa.array([-12.5, None, *range(n - 2)])
    )
    return "exported"


@pytest.fixture
def rows(database, store):
    def read(where=None):
        vocabulary = read_vocabulary(database, store)
        query = compile_filter(where, vocabulary) if where else EVERYBODY
        return stream_profiles(database, store, query, vocabulary)

    return read


def test_csv_has_every_column_and_no_formula(rows, tmp_path):
    assert write_rows(tmp_path / "out.csv", rows(), "csv") == len(HOSTILE)
    with (tmp_path / "out.csv").open(newline="") as file:
        lines = {line["customer_id"]: line for line in csv.DictReader(file)}
    assert set(lines) == {
        "'=HYPERLINK(1)",
        "' +1",
        "'-5",
        "'@x",
        "'\tx",
        'a-b, "c"\nd',
        "\ufffd[2J\ufffdPAY\ufffd\ufffd",
        "plain",
    }
    one = lines["'=HYPERLINK(1)"]
    assert one["lifetime_value"] == "-12.5"
    assert (one["segment_a"], one["segment_id_a"], one["strength_a"]) == ("few", "a_1", "balanced")
    assert (one["archetype"], one["archetype_id"]) == ("all customers", "x")
    assert one["as_of"] == "2024-06-01T12:00:00Z"
    assert lines["' +1"]["lifetime_value"] == ""
    assert {"churn_risk_score", "predicted_value_90d", "expected_next_order_at", "interpretation"} <= one.keys()
    assert not {"feature_vectors", "fingerprint", "segment_memberships"} & one.keys()


def test_who_bought_once_is_told_so_once(database):
    low = pa.array(['{"a": "low", "b": "ok"}', '{"a": "low", "b": "ok"}', '{"a": "ok", "b": "ok"}'])
    publish(database, "once", 3, n_orders=pa.array([1, 2, 1]), evidence=low)
    rows = pa.concat_tables(stream_profiles(database, "once", EVERYBODY, read_vocabulary(database, "once"))).to_pylist()
    judged = [(row["segment_a"], row["strength_a"], row["segment_b"]) for row in rows]
    assert [one[0] is None and one[1] is None for one in judged] == [True, False, False]
    assert all(row["segment_id_a"] and row["segment_b"] for row in rows)


def test_parquet_is_as_the_tables_are(rows, tmp_path):
    write_rows(tmp_path / "out.parquet", rows("value < 0"), "parquet")
    (one,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (one["customer_id"], one["lifetime_value"], one["segment_b"]) == ("=HYPERLINK(1)", -12.5, "few")
    assert one["as_of"].isoformat() == "2024-06-01T12:00:00+00:00"


def test_nobody_is_a_header(rows, tmp_path):
    assert write_rows(tmp_path / "out.csv", rows("value > 99"), "csv") == 0
    (header,) = (tmp_path / "out.csv").read_text().splitlines()
    assert header.startswith('"store_id","customer_id"')


def test_a_file_that_fails_is_not_there(rows, tmp_path):
    def broken():
        yield from rows()
        raise BadInputError("stop")

    (tmp_path / "out.csv").write_text("before")
    with pytest.raises(BadInputError):
        write_rows(tmp_path / "out.csv", broken(), "csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "before"
    with pytest.raises(BadInputError, match="cannot write"):
        write_rows(tmp_path / "nowhere" / "out.csv", rows(), "csv")


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def people(database, tmp_path_factory):
    """A store of five, one known by an address, one who did not agree and one suppressed; their contacts."""
    ids = ["c1", "c2", "c3", "Di@Example.com", "c5"]
    publish(database, "people", 5, customer_id=pa.array(ids), lifetime_value=pa.array([1.239, 2, 3, -4, 5.0]))
    rows = [("people", "c2", False, None), ("people", "c3", True, True)]
    for row in rows:
        administer(database, "INSERT INTO quimbi.customer_consent VALUES (%s, %s, %s, %s, now())", row)
    contacts = tmp_path_factory.mktemp("contacts") / "contacts.csv"
    contacts.write_text(
        "Customer ID,Email,Phone,Suppressed\n"
        "'c1, Ann@Example.com ,+44 20 7946 0958,\nc2,bo@example.com,,\nc3,cy@example.com,,\nc5,eve@example.com,,yes\n"
    )
    for customer in ids:
        administer(
            database,
            "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
            "VALUES ('people', %s, %s, '2024-01-01', 1)",
            (customer, customer),
        )
        administer(
            database,
            "INSERT INTO quimbi.audience_members (store_id, audience, customer_id, entered_at) "
            "VALUES ('people', 'big', %s, '2024-06-01')",
            (customer,),
        )
    return contacts


@pytest.mark.parametrize(
    ("form", "header", "phone", "values"),
    [
        ("meta", "email,phone,value", "442079460958", (",1.24", ",0.00")),
        ("google", "Email,Phone", "+442079460958", ("", "")),
        ("google", "Email,Phone,lifetime_value_micros", "+442079460958", (",1239000", ",0")),
    ],
)
def test_advertisers_get_hashes_of_those_who_may_be_written_to(database, people, tmp_path, form, header, phone, values):
    path = tmp_path / "list.csv"
    query = compile_filter("value > -9", read_vocabulary(database, "people"))
    value = "micros" in header
    written = write_advertisers_list(database, "people", query, path, form, people, value=value)
    lines = path.read_text().splitlines()
    assert lines[0] == header
    expected = [f"{sha('ann@example.com')},{sha(phone)}{values[0]}", f"{sha('di@example.com')},{values[1]}"]
    assert sorted(lines[1:]) == sorted(expected)
    assert written == (2, 0, 0)
    assert write_advertisers_list(database, "people", EVERYBODY, path, form, None) == (1, 2, 0)
    assert database.execute(EVERY_STORE, "SELECT count(*) FROM pg_class WHERE relname = 'contacts'") == [(0,)]


def test_contacts_that_are_nobodys(database, people, tmp_path):
    (tmp_path / "c.csv").write_text("customer_id,email\nx,x@example.com\n")
    with pytest.raises(BadInputError, match="none of 1 rows is a customer's"):
        write_advertisers_list(database, "people", EVERYBODY, tmp_path / "o.csv", "meta", tmp_path / "c.csv")
    assert not (tmp_path / "o.csv").exists()


def test_audience_membership_without_those_who_may_not(database, people, tmp_path):
    write_rows(tmp_path / "out.csv", stream_membership(database, "people", "big"), "csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0].replace('"', "") == "ht_row_id,ht_audience_id,ht_timestamp,ht_event_type,ht_split_group"
    assert lines[1:] == [
        f'"{customer}","people.big","2024-06-01T00:00:00Z","enter",' for customer in ("Di@Example.com", "c1", "c5")
    ]
    assert write_rows(tmp_path / "out.csv", stream_membership(database, "people", "none"), "csv") == 0
