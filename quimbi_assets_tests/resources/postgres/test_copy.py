"""Output tables: whole-store replacement, and readers that never see a mixture."""

import threading

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.resources.postgres.copy import replacing_rows
from quimbi_assets.resources.postgres.reading import read_rows


def replace_rows(database, table, store_id, *frames):
    """Replace a store's rows by those of some frames; return how many."""
    with replacing_rows(database, table, store_id) as append:
        for frame in frames:
            append(frame)
    return sum(map(len, frames))


def profiles(n, mark):
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:03d}" for i in range(n)],
            "archetype_id": mark,
            "segment_memberships": '{"purchase_value": {"purchase_value_1": 1.0, "it\'s \\"quoted\\"": 0}}',
            "fingerprint": [np.array([0.5, float(i)], dtype="float32") for i in range(n)],
            "lifetime_value": [None, *range(n - 1)],
            "interpretation": 'comma, "quote", newline\n, ünï',
            "as_of": pd.Timestamp("2024-06-01 12:00", tz="UTC"),
        }
    )


def test_what_is_written_is_read(database):
    assert replace_rows(database, "customer_profiles", "bulk", profiles(3, "a")) == 3
    frame = read_rows(database, "customer_profiles", "bulk")
    assert frame["customer_id"].tolist() == ["c000", "c001", "c002"]
    assert frame["store_id"].unique().tolist() == ["bulk"]
    assert frame["interpretation"][0] == 'comma, "quote", newline\n, ünï'
    assert [list(row) for row in frame["fingerprint"]] == [[0.5, 0.0], [0.5, 1.0], [0.5, 2.0]]
    assert frame["lifetime_value"].isna().tolist() == [True, False, False]
    assert frame["as_of"][0] == pd.Timestamp("2024-06-01 12:00", tz="UTC")
    assert frame["churn_risk_score"].isna().all()
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT segment_memberships -> 'purchase_value' ->> 'purchase_value_1', fingerprint[2] "
            "FROM quimbi.customer_profiles WHERE store_id = 'bulk' AND customer_id = 'c002'"
        )
        assert cursor.fetchone() == ("1.0", 2.0)


def test_replacement_leaves_other_stores_alone(database):
    replace_rows(database, "customer_profiles", "bulk-other", profiles(2, "a"))
    replace_rows(database, "customer_profiles", "bulk-mine", profiles(5, "a"))
    replace_rows(database, "customer_profiles", "bulk-mine", profiles(1, "b"))
    assert len(read_rows(database, "customer_profiles", "bulk-other")) == 2
    assert read_rows(database, "customer_profiles", "bulk-mine")["archetype_id"].tolist() == ["b"]


def test_some_customers_only(database):
    replace_rows(database, "customer_profiles", "bulk-some", profiles(5, "a"))
    some = read_rows(database, "customer_profiles", "bulk-some", ["c003", "c001", "nobody", "'; DROP TABLE x"])
    assert some["customer_id"].tolist() == ["c001", "c003"]
    assert read_rows(database, "customer_profiles", "bulk-some", []).empty


def test_failed_replacement_keeps_the_old(database):
    replace_rows(database, "customer_profiles", "bulk-fails", profiles(2, "old"))
    broken = profiles(2, "new").assign(segment_memberships="not json")
    with pytest.raises(Exception, match="json"):
        replace_rows(database, "customer_profiles", "bulk-fails", broken)
    assert read_rows(database, "customer_profiles", "bulk-fails")["archetype_id"].tolist() == ["old", "old"]


def append_until(database, stop, *frames):
    with replacing_rows(database, "customer_profiles", "bulk-late") as append:
        for frame in frames:
            append(frame)
        raise stop


def test_a_failure_after_some_rows_keeps_the_old(database):
    replace_rows(database, "customer_profiles", "bulk-late", profiles(2, "old"))
    good, other = profiles(3, "new"), profiles(3, "new").assign(customer_id=["x", "y", "z"])
    with pytest.raises(Exception, match="json"):
        replace_rows(
            database, "customer_profiles", "bulk-late", good, other.assign(evidence="not json"), profiles(1, "c")
        )
    with pytest.raises(KeyError, match="enough"):
        append_until(database, KeyError("enough"), good, other)
    assert read_rows(database, "customer_profiles", "bulk-late")["archetype_id"].tolist() == ["old", "old"]
    assert replace_rows(database, "customer_profiles", "bulk-late", good) == 3


def test_rows_in_parts_are_all_there(database):
    parts = [profiles(4, "a").assign(customer_id=[f"{i}-{j}" for j in range(4)]) for i in range(6)]
    assert replace_rows(database, "customer_profiles", "bulk-parts", *parts) == 24
    found = read_rows(database, "customer_profiles", "bulk-parts")["customer_id"]
    assert sorted(found) == sorted(customer for part in parts for customer in part["customer_id"])


def test_readers_see_one_state(database):
    replace_rows(database, "customer_profiles", "bulk-states", profiles(200, "0"))
    done = threading.Event()

    def write():
        for round_ in range(1, 15):
            rows = profiles(200 + round_, str(round_))
            replace_rows(database, "customer_profiles", "bulk-states", rows.iloc[:90], rows.iloc[90:])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        frame = read_rows(database, "customer_profiles", "bulk-states")
        assert frame["archetype_id"].nunique() == 1
        assert len(frame) == 200 + int(frame["archetype_id"][0])
        seen.add(frame["archetype_id"][0])
    writer.join()
    assert seen


def test_only_output_tables(database):
    with pytest.raises(ValueError, match="cannot be replaced"):
        replace_rows(database, "orders", "s", pd.DataFrame())
    with pytest.raises(ValueError, match="cannot be read"):
        read_rows(database, "pg_user", "s")
