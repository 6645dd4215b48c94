"""The view of profiles by today's names, fast for one customer among 3,000."""

import json

import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables.naming import write_rename
from quimbi_assets.resources.postgres.tables.promotions import Choice, choose_versions
from quimbi_assets.resources.postgres.tables.publications import publish_run
from quimbi_assets_tests.administrator import administering
from quimbi_assets_tests.resources.made_up import profiles, publication, segments

VERSIONS = {"a": "1", "b": "1", "churn_risk": "1"}
VIEW = "SELECT * FROM quimbi.customer_profiles_named WHERE store_id = %s AND customer_id = %s"


def publish(database, store_id, n=3, rows=None, **changes):
    choices = {axis: Choice(version, pd.Timestamp("2024-06-01"), "passed") for axis, version in VERSIONS.items()}
    choose_versions(database, store_id, choices)
    publish_run(database, publication(store_id, VERSIONS, rows or [profiles(n, VERSIONS)], **changes))


def one(database, store_id, customer_id="c0001"):
    (row,) = database.query(store_id, VIEW, (store_id, customer_id)).to_dict("records")
    return row


def test_memberships_and_dominant_segments_by_name(database):
    publish(database, "by_name")
    row = one(database, "by_name")
    assert row["segment_memberships"] == {"a": {"few": 0.75, "many": 0.25}, "b": {"few": 0.75, "many": 0.25}}
    assert row["dominant_segments"] == {"a": "few", "b": "few"}
    assert row["membership_strength"] == {"a": "strong", "b": "strong"}
    assert (row["stays"]["a"], row["stays_strength"]) == (0.75, {"a": "balanced", "b": "balanced"})
    assert (row["archetype_id"], row["archetype_name"]) == ("x", "all customers")
    assert (row["store_id"], row["customer_id"], row["lifetime_value"]) == ("by_name", "c0001", 0.0)
    assert pd.isna(row["churn_risk_score"])
    assert row["as_of"] == pd.Timestamp("2024-06-01 12:00", tz="UTC")


def test_names_are_those_of_today_and_of_the_store(database):
    publish(database, "today")
    publish(database, "today-other")
    names = {axis: segments("today", axis, "1", ("rare", "often")) for axis in ("a", "b")}
    write_rename(database, "today", "a", "a_1", "old_friends")
    publish(database, "today", segments=names)
    assert one(database, "today")["dominant_segments"] == {"a": "old_friends", "b": "rare"}
    assert one(database, "today-other")["dominant_segments"] == {"a": "few", "b": "few"}


def test_what_has_no_name_keeps_its_id_and_what_has_no_axis_is_null(database):
    rows = profiles(1, VERSIONS)
    bare = pa.table({"customer_id": ["nobody"]})
    publish(database, "nameless", rows=[rows, bare], segments={"a": segments("nameless", "a", "1", ("few",))})
    assert one(database, "nameless", "c0000")["segment_memberships"]["a"] == {"few": 0.75, "a_2": 0.25}
    row = one(database, "nameless", "nobody")
    assert (row["segment_memberships"], row["dominant_segments"], row["archetype_name"]) == (None, None, None)


@pytest.fixture(scope="module")
def large(database):
    publish(database, "large", 3_000)
    with administering(database) as cursor:
        cursor.execute("ANALYZE quimbi.customer_profiles; ANALYZE quimbi.dim_segment_master")
    return "large"


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_one_customer_of_thousands_is_found_by_the_index(database, large):
    found = database.query(EVERY_STORE, f"EXPLAIN (FORMAT JSON) {VIEW}", (large, "c1234"))
    plan = json.dumps(found.iloc[0, 0])
    (reads,) = [node for node in nodes(found.iloc[0, 0][0]["Plan"]) if node.get("Relation Name") == "customer_profiles"]
    assert reads["Index Name"] == "customer_profiles_pkey", plan
    assert reads["Plan Rows"] == 1
    names = [node for node in nodes(found.iloc[0, 0][0]["Plan"]) if node.get("Relation Name") == "dim_segment_master"]
    assert all("store_id" in json.dumps(node) for node in names)
    assert one(database, large, "c1234")["dominant_segments"] == {"a": "few", "b": "few"}
