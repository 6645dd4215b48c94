"""Similar customers out of real tables; ``resources.made_up``: c0000 at (0.5, 0), c0001 at (0.5, 1), ..."""

import json
from functools import partial

import pyarrow as pa
import pytest

from quimbi_assets.errors import BadInputError, UnknownCustomerError, UnknownStoreError
from quimbi_assets.resources.postgres.tables import similar as tables_similar
from quimbi_assets.resources.postgres.tables.customers import stream
from quimbi_assets.resources.postgres.tables.similar import SimilarCustomers, read_fingerprints
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

DOMINANT = [{"a": "a_1", "b": f"b_{1 + number % 2}"} for number in range(6)]


@pytest.fixture
def alike(database):
    publish(database, "alike", 6, dominant_segments=pa.array([json.dumps(row) for row in DOMINANT]))
    publish(database, "alike-other", 9)
    similar = SimilarCustomers(database)

    def find(store_id, customer_id, limit=10):
        return similar.find(partial(database.snapshot, store_id), store_id, customer_id, limit)

    return find


def ids(answer):
    return [one.customer_id for one in answer.customers]


def test_the_nearest_and_what_they_share(database, alike):
    answer = alike("alike", "c0002", 3)
    assert answer.segments == {"a": "few", "b": "few"}
    assert [(one.customer_id, one.distance) for one in answer.customers] == [("c0001", 1), ("c0003", 1), ("c0000", 2)]
    first, _, third = answer.customers
    assert (first.shared_axes, first.other_segments) == (["a"], {"b": "many"})
    assert (third.shared_axes, third.other_segments) == (["a", "b"], {})
    assert (first.value, third.value, first.archetype) == (0, None, "all customers")
    assert ids(alike("alike", "c0002", 50)) == ["c0001", "c0003", "c0000", "c0004", "c0005"]


def test_weak_axes_are_not_told(database, alike):
    administer(database, "UPDATE quimbi.axis_models SET status = 'weak' WHERE store_id = 'alike' AND axis_name = 'b'")
    answer = alike("alike", "c0000", 1)
    assert (answer.segments, answer.customers[0].other_segments) == ({"a": "few"}, {})


def test_read_once_a_publication(database, alike, monkeypatch):
    readings = []

    def counted(database, store_id, sql, parameters):
        readings.append(parameters["store"])
        return stream(database, store_id, sql, parameters)

    monkeypatch.setattr("quimbi_assets.resources.postgres.tables.similar.stream", counted)
    for customer in ("c0000", "c0001", "c0002"):
        alike("alike", customer)
    assert readings == ["alike"]
    moved = pa.array([[9.0 * (number == 1), float(number)] for number in range(6)], pa.list_(pa.float32()))
    publish(database, "alike", 6, fingerprint=moved)
    assert ids(alike("alike", "c0000", 2)) == ["c0002", "c0003"]
    assert readings == ["alike"] * 2


def test_a_store_that_is_too_large_to_keep_is_answered_and_it_is_said(database, monkeypatch, caplog):
    publish(database, "alike", 6)
    everybody = read_fingerprints(database, "alike")
    size = everybody.nbytes
    assert size == everybody.customer_ids.nbytes + 6 * (2 + 1) * 4  # numbers, and each one's square
    for most, n_warnings in ((size, 0), (size - 1, 2)):
        monkeypatch.setattr(tables_similar, "MOST_BYTES", most)
        similar = SimilarCustomers(database)
        for customer in ("c0000", "c0001"):
            assert len(similar.find(partial(database.snapshot, "alike"), "alike", customer).customers) == 5
        assert [one.levelname for one in caplog.records] == ["WARNING"] * n_warnings
    assert "read anew for every question" in caplog.text


def test_whoever_is_erased_is_gone_at_once(database, alike):
    assert ids(alike("alike", "c0000", 2)) == ["c0001", "c0002"]
    administer(database, "DELETE FROM quimbi.customer_profiles WHERE store_id = 'alike' AND customer_id = 'c0001'")
    assert ids(alike("alike", "c0000", 2)) == ["c0002", "c0003"]
    with pytest.raises(UnknownCustomerError):
        alike("alike", "c0001")


def test_whom_it_cannot_answer_about(database, alike):
    with pytest.raises(UnknownCustomerError, match="store alike has no profile of customer c0008"):
        alike("alike", "c0008")  # of the other store
    with pytest.raises(UnknownStoreError):
        alike("nowhere", "c0000")
    administer(
        database, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES ('never-run', 'UTC') ON CONFLICT DO NOTHING"
    )
    with pytest.raises(BadInputError, match="quimbi run --store-id never-run"):
        alike("never-run", "c0000")


def test_a_stream_of_a_snapshot_is_of_its_instant(database, alike):
    sql = "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = %(store)s"
    with database.snapshot("alike") as now:
        now.execute("alike", "SELECT 1")
        administer(database, "DELETE FROM quimbi.customer_profiles WHERE store_id = 'alike'")
        assert sum(map(len, stream(now, "alike", sql, {"store": "alike"}))) == 6
    assert sum(map(len, stream(database, "alike", sql, {"store": "alike"}))) == 0
