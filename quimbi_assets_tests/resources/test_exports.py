"""Files of customers out of real tables: every column, no formula, whole or not there."""

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quimbi_assets.audiences.filters import EVERYBODY, compile_filter
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.exports import write_rows
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary, stream_profiles
from quimbi_assets_tests.resources.published import publish

HOSTILE = ["=HYPERLINK(1)", " +1", "-5", "@x", "\tx", "a-b, \"c\"\nd", "plain"]  # fmt: skip


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
    assert set(lines) == {"'=HYPERLINK(1)", "' +1", "'-5", "'@x", "'\tx", 'a-b, "c"\nd', "plain"}
    one = lines["'=HYPERLINK(1)"]
    assert one["lifetime_value"] == "-12.5"
    assert (one["segment_a"], one["segment_id_a"], one["strength_a"]) == ("few", "a_1", "balanced")
    assert (one["archetype"], one["archetype_id"]) == ("all customers", "x")
    assert one["as_of"] == "2024-06-01T12:00:00Z"
    assert lines["' +1"]["lifetime_value"] == ""
    assert {"churn_risk_score", "predicted_value_90d", "expected_next_order_at", "interpretation"} <= one.keys()
    assert not {"feature_vectors", "fingerprint", "segment_memberships"} & one.keys()


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
