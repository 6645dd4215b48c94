"""A run's result appears at once or not at all, and readers never see a mixture."""

import json
import threading
from contextlib import closing
from functools import partial

import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.errors import BadInputError, StoreBusyError, UnknownCustomerError
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.run_lock import RunLock
from quimbi_assets.resources.postgres.tables.naming import write_rename
from quimbi_assets.resources.postgres.tables.promotions import Choice, choose_versions, read_promotions
from quimbi_assets.resources.postgres.tables.publications import (
    AxisState,
    publish_reasons,
    publish_run,
    read_archetypes,
    read_held_reasons,
    read_lineages,
    read_profiles,
    read_publication,
    read_segments,
)
from quimbi_assets_tests.resources import published
from quimbi_assets_tests.resources.made_up import AS_OF, archetypes, axis_state, profiles, publication, segments

FIRST = {"a": "1", "b": "1", "churn_risk": "1"}
END = pd.Timestamp("2024-06-01")


def publish(database, store_id, versions=FIRST, batches=None, **changes):
    choose_versions(database, store_id, {axis: Choice(v, END, "passed") for axis, v in versions.items()})
    publish_run(database, publication(store_id, versions, batches, **changes))


def customers(database, store_id):
    return list(
        database.query(
            store_id, "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY 1", (store_id,)
        )["customer_id"]
    )


def everything(database, store_id):
    """All rows of a store in the tables that a publication writes, as text."""
    names = ("publications", "promotions", "segment_lineage", "axis_models", "dim_segment_master", "archetypes",
             "customer_profiles")  # fmt: skip
    return {
        name: database.query(
            store_id,
            f"SELECT to_jsonb(t)::text AS row FROM quimbi.{name} t WHERE store_id = %s ORDER BY 1",
            (store_id,),
        )["row"].tolist()
        for name in names
    }


def test_numbers_of_profiles_are_stored_as_they_are(database):
    """To pack them is a fifth of what publishing takes, to unpack them a seventh of what rules take."""
    long = pa.array([json.dumps({"a": {f"feature_{n}": 0.5 for n in range(300)}})] * 3)
    published.publish(database, "unpacked", 3, feature_vectors=long, segment_memberships=long)
    ((n, packed, n_bytes),) = database.execute(
        "unpacked",
        "SELECT count(*), count(pg_column_compression(feature_vectors)) "
        "+ count(pg_column_compression(segment_memberships)), min(pg_column_size(feature_vectors)) "
        "FROM quimbi.customer_profiles WHERE store_id = %s",
        ("unpacked",),
    )
    assert (n, packed) == (3, 0)
    assert n_bytes > 2_000  # PostgreSQL packs nothing smaller


def test_what_is_published_is_read(database):
    publish(database, "read")
    published = read_publication(database, "read")
    assert published.as_of == pd.Timestamp("2024-06-01 12:00")
    assert published.model_versions == FIRST
    axes, current = read_segments(database, "read")
    assert axes[["axis_name", "status", "k", "model_version"]].values.tolist() == [
        ["a", "active", 2, "1"],
        ["b", "active", 2, "1"],
    ]
    assert current["segment_id"].tolist() == ["a_1", "a_2", "b_1", "b_2"]
    assert current["cluster_center"][0] == {"n": 1.5}
    assert current["stability"].isna().tolist() == [False, True, False, True]
    assert read_archetypes(database, "read")["archetype_id"].tolist() == ["x", "y"]
    assert read_lineages(database, "read") == {("a", "1"), ("b", "1")}
    rows = read_profiles(database, "read", ["c0002", "c0000"])
    assert rows["customer_id"].tolist() == ["c0002", "c0000"]
    row = rows.loc["c0002"]
    assert row["interpretation"] == 'said: comma, "quote", newline\n, ünï'
    assert row["fingerprint"] == [0.5, 2.0]
    assert (row["lifetime_value"], row["store_id"]) == (1.0, "read")
    assert pd.isna(rows.loc["c0000", "lifetime_value"])
    assert pd.Timestamp(row["as_of"]) == pd.Timestamp(AS_OF)
    assert row["segment_memberships"]["a"] == {"a_1": 0.75, "a_2": 0.25}
    assert read_promotions(database, "read").serving() == FIRST


def test_archetypes_of_an_instant_know_nothing_of_later(database):
    months = {name: pd.Timestamp(f"2024-{number}-01", tz="UTC") for name, number in (("june", "06"), ("april", "04"))}
    for name, as_of in months.items():  # the run as of the past comes after that of the present
        made = archetypes("until", name).assign(as_of=as_of)
        publish(database, "until", archetypes=partial(made.copy))

    def names(until=None):
        return read_archetypes(database, "until", until)["name"].tolist()

    april, june = (["april", "others of april"], ["june", "others of june"])
    assert (names(), names(months["june"]), names(months["april"])) == (april, june, april)
    assert names(pd.Timestamp("2024-05-31", tz="UTC")) == april
    assert names(pd.Timestamp("2024-03-31", tz="UTC")) == []


def test_before_its_first_run_a_store_has_nothing(database):
    assert read_publication(database, "never") is None
    with pytest.raises(BadInputError, match="has no segments yet"):
        read_segments(database, "never")
    publish(database, "known")
    with pytest.raises(UnknownCustomerError, match="no profile of customer nobody, '; DROP TABLE x"):
        read_profiles(database, "known", ["nobody", "'; DROP TABLE x"])
    assert read_profiles(database, "known", ["nobody", "c0001"])["customer_id"].tolist() == ["c0001"]


def test_why_no_axis_is_active_is_published_unless_an_earlier_run_was(database):
    reasons = {"a": AxisState("inactive", "too few orders")}
    publish_reasons(database, "reasons", reasons)
    axes, found = read_segments(database, "reasons")
    assert axes[["axis_name", "status", "reason"]].values.tolist() == [["a", "inactive", "too few orders"]]
    assert found.empty
    assert read_publication(database, "reasons") is None
    publish(database, "reasons-later")
    before = everything(database, "reasons-later")
    publish_reasons(database, "reasons-later", reasons)
    assert everything(database, "reasons-later") == before
    with pytest.raises(StoreBusyError):
        publish_reasons(lost(database, "reasons-lost"), "reasons-lost", reasons)


def test_the_next_publication_ends_what_was_current_where_it_begins(database):
    publish(database, "ends")
    second = FIRST | {"a": "2", "b": "2"}
    at = pd.Timestamp.now("UTC")
    own = {axis: segments("ends", axis, "2", ("rare", "often"), at) for axis in ("a", "b")}
    publish(database, "ends", second, [profiles(2, second)], segments=own)
    numbers = database.query(
        EVERY_STORE, "SELECT publication_id FROM quimbi.publications WHERE store_id = 'ends' ORDER BY 1"
    )
    assert numbers["publication_id"].tolist() == [1, 2]
    assert customers(database, "ends") == ["c0000", "c0001"]
    history = database.query(
        EVERY_STORE, "SELECT model_version, valid_from, valid_to FROM quimbi.dim_segment_master WHERE store_id = 'ends'"
    )
    ended, current = (history[history["model_version"] == version] for version in ("1", "2"))
    assert set(ended["valid_to"]) == set(current["valid_from"]) == {at}
    assert current["valid_to"].isna().all()
    assert len(read_archetypes(database, "ends")) == 2


def test_other_stores_are_left_alone(database):
    publish(database, "mine")
    publish(database, "yours")
    before = everything(database, "yours")
    publish(database, "mine", FIRST | {"a": "2"}, [])
    assert everything(database, "yours") == before
    assert customers(database, "mine") == []


def test_axes_that_are_not_named_stay_as_they_are(database):
    publish(database, "partial")
    _, before = read_segments(database, "partial")
    versions = FIRST | {"a": "2"}
    changes = {"axes": {"a": axis_state("2", held_reason=None)}, "segments": {"a": segments("partial", "a", "2")}}
    publish(database, "partial", versions, **changes)
    axes, now = read_segments(database, "partial")
    assert axes["model_version"].tolist() == ["2", "1"]
    assert now["model_version"].tolist() == ["2", "2", "1", "1"]
    pd.testing.assert_frame_equal(now[now["axis_name"] == "b"], before[before["axis_name"] == "b"])


def test_an_axis_that_became_inactive_has_its_reason_and_no_segments(database):
    publish(database, "retires")
    versions = {"a": "2", "churn_risk": "1"}
    changes = {"axes": {"a": axis_state("2"), "b": AxisState("inactive", "no discounts recorded")}}
    publish(database, "retires", versions, **changes)
    axes, now = read_segments(database, "retires")
    (inactive,) = axes[axes["axis_name"] == "b"].to_dict("records")
    assert (inactive["status"], inactive["reason"], inactive["k"]) == ("inactive", "no discounts recorded", None)
    assert set(now["axis_name"]) == {"a"}


def test_profiles_of_other_versions_than_the_segments_are_refused(database):
    publish(database, "mixed")
    before = everything(database, "mixed")
    versions = {"a": "2", "b": "2", "churn_risk": "1"}
    choose_versions(database, "mixed", {axis: Choice("2", END, "passed") for axis in ("a", "b")})
    chosen = everything(database, "mixed")
    only_a = {"axes": {"a": axis_state("2")}, "segments": {"a": segments("mixed", "a", "2")}}
    with pytest.raises(ValueError, match=r"other model versions than what is published of b; publish these axes"):
        publish_run(database, publication("mixed", versions, **only_a))
    without_names = {"segments": {"a": segments("mixed", "a", "2")}}
    with pytest.raises(ValueError, match="published of b"):
        publish_run(database, publication("mixed", versions, **without_names))
    assert everything(database, "mixed") == chosen
    assert chosen | {"promotions": before["promotions"]} == before


def test_the_same_rows_again_make_no_history(database):
    at = pd.Timestamp.now("UTC")
    own = {axis: segments("same", axis, "1", at=at) for axis in ("a", "b")}
    for _ in range(2):
        publish(database, "same", segments=own, archetypes=lambda: archetypes("same", at=at))
    rows = everything(database, "same")
    counts = {"dim_segment_master": 4, "archetypes": 2, "segment_lineage": 2, "customer_profiles": 4, "promotions": 3}
    assert {name: len(rows[name]) for name in counts} == counts


def test_a_persons_name_set_meanwhile_stands(database):
    write_rename(database, "renamed", "a", "a_2", "old_friends")
    publish(database, "renamed")
    _, now = read_segments(database, "renamed")
    assert now[["segment_name", "name_source"]].values.tolist()[:2] == [["few", "rules"], ["old_friends", "person"]]


def test_why_a_fit_is_held_back(database):
    axes = {"a": axis_state("1", held_reason="3 % would move"), "b": axis_state("1")}
    publish(database, "held", axes=axes)
    assert read_held_reasons(database, "held") == {"a": "3 % would move"}


def lost(database, store_id):
    """The database as a run uses it that has lost its right to the store."""
    with closing(RunLock(database)) as lock:
        lock.take([store_id])
    return lock.guarded(database)


def failing(*batches):
    yield from batches
    raise KeyError("enough")


@pytest.mark.parametrize("case", ["not JSON", "late", "maker fails", "lost the lock"])
def test_a_failure_leaves_everything_as_it_was(database, case):
    store_id = f"fails {case}"
    publish(database, store_id)
    second = FIRST | {"a": "2", "b": "2"}
    choose_versions(database, store_id, {axis: Choice("2", END, "passed") for axis in ("a", "b")})
    before = everything(database, store_id)
    good = profiles(3, second)
    broken = good.append_column("evidence", [["{not json"] * 3])
    made = {"not JSON": [broken], "late": [good, broken, good], "maker fails": failing(good, good)}
    batches = made.get(case, [good])
    within = lost(database, store_id) if case == "lost the lock" else database
    with pytest.raises(Exception, match=r"json|enough|duplicate key|nothing was published, run it again"):
        publish_run(within, publication(store_id, second, batches))
    assert everything(database, store_id) == before


def test_rows_in_parts_are_all_there(database):
    whole = profiles(24, FIRST)
    publish(database, "parts", batches=(whole.slice(i, 7) for i in range(0, 24, 7)))
    assert customers(database, "parts") == [f"c{i:04d}" for i in range(24)]


def test_readers_see_one_state(database):
    """Versions, segments, archetypes and profiles belong together at every moment of 14 publications."""
    publish(database, "states", {"a": "100", "b": "100"}, [profiles(100, {"a": "100", "b": "100"})])
    done = threading.Event()

    def write():
        try:
            for number in range(101, 115):
                versions = {"a": str(number), "b": str(number)}
                rows = profiles(number, versions)
                publish(database, "states", versions, [rows.slice(0, 90), rows.slice(90)],
                        archetypes=partial(archetypes, "states", str(number)))  # fmt: skip
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        with database.snapshot(EVERY_STORE) as now:
            version = read_publication(now, "states").model_versions["a"]
            axes, current = read_segments(now, "states")
            found = now.query(
                EVERY_STORE, "SELECT model_versions FROM quimbi.customer_profiles WHERE store_id = 'states'"
            )
            name = read_archetypes(now, "states")["name"][0]
        assert set(axes["model_version"]) | set(current["model_version"]) == {version}
        assert {row["a"] for row in found["model_versions"]} == {version}
        assert len(found) == int(version)
        assert name in (version, "all customers")
        seen.add(version)
    writer.join()
    assert read_publication(database, "states").model_versions["a"] == "114"
    assert seen


def test_models_of_the_past_never_become_current(database):
    publish(database, "past")
    before = everything(database, "past")
    past = {"a": Choice("7", pd.Timestamp("2023-01-01"), "for snapshots of the past")}
    choose_versions(database, "past", past, for_past=True)
    assert read_promotions(database, "past").predecessors({"a": "2023-06-01"}) == {"a": "7"}
    assert read_promotions(database, "past").serving() == FIRST
    now = everything(database, "past")
    assert {name for name in now if now[name] != before[name]} == {"promotions"}
