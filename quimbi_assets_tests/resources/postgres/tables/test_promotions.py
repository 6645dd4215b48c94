"""Which version serves, which one refits go on from, and what scored the past."""

import pandas as pd
import pytest

from quimbi_assets.resources.postgres.tables.promotions import (
    Choice,
    Promotion,
    Promotions,
    choose_versions,
    mark_echoed,
    mark_published,
    read_promotions,
)

JUNE, JULY, MAY, APRIL = (pd.Timestamp(f"2010-{month}-01") for month in ("06", "07", "05", "04"))


def promotions(*rows):
    """Rows of one axis: version, where its data end, and marks among ``by_hand``, ``for_past`` and ``waits``."""
    return Promotions(
        tuple(
            Promotion("a", version, end, "", "by_hand" in marks, "for_past" in marks, i,
                      not {"waits", "for_past"} & set(marks), is_echoed=False)
            for i, (version, end, *marks) in enumerate(rows, 1)
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "serving", "chosen", "present"),
    [
        ([("1", JUNE), ("2", JULY)], "2", "2", "2"),
        ([("1", JUNE), ("2", JUNE)], "2", "2", "2"),
        ([("1", JULY), ("2", MAY)], "2", "2", "1"),  # a run as of the past serves, and displaces nothing
        ([("1", JULY), ("2", MAY), ("1", JULY)], "1", "1", "1"),
        ([("1", JUNE), ("2", JULY), ("1", JUNE, "by_hand")], "1", "1", "1"),  # rolled back
        ([("1", JUNE), ("2", JULY), ("1", JUNE, "by_hand", "waits")], "2", "1", "1"),
        ([("1", JUNE), ("2", JULY, "waits")], "1", "2", "1"),
        ([("1", JUNE), ("2", MAY, "for_past")], "1", "1", "1"),
        ([("1", JUNE), ("2", JULY, "by_hand"), ("3", JUNE)], "3", "3", "2"),
    ],
)
def test_what_serves_what_is_scored_with_and_what_refits_go_on_from(rows, serving, chosen, present):
    found = promotions(*rows)
    assert (found.serving(), found.chosen(), found.present()) == ({"a": serving}, {"a": chosen}, {"a": present})


@pytest.mark.parametrize(
    ("rows", "instant", "expected"),
    [
        ([("1", JUNE), ("2", JULY)], JULY, "2"),
        ([("1", JUNE), ("2", JULY)], JUNE, "1"),
        ([("1", JUNE), ("2", JULY)], MAY, None),
        ([("1", JUNE), ("2", JUNE), ("3", JULY)], JUNE, "2"),
        ([("9", JUNE), ("10", JUNE), ("11", JULY)], JUNE, "10"),  # numbers, not text
        ([("1", JULY), ("2", MAY, "for_past")], JUNE, "2"),
        ([("2", MAY, "for_past")], JUNE, None),  # what never served anybody has no successor
        ([("1", JUNE), ("2", JULY, "waits")], JULY, "1"),
        ([("1", JUNE), ("2", JULY), ("1", JUNE, "by_hand", "waits")], JULY, "1"),
        ([("1", APRIL), ("2", JULY), ("1", APRIL, "by_hand")], JUNE, "1"),
    ],
)
def test_what_comes_before_an_instant(rows, instant, expected):
    found = promotions(*rows).predecessors({"a": instant, "b": instant})
    assert found == ({} if expected is None else {"a": expected})
    assert promotions(*rows).predecessors({"b": instant}) == {}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("1", APRIL), ("2", MAY, "waits"), ("3", JULY)], {"a": "2"}),
        ([("1", APRIL), ("2", MAY, "for_past"), ("3", JULY)], {"a": "1"}),
        ([("2", MAY, "for_past"), ("3", JULY)], {}),
    ],
)
def test_what_may_serve_counts_what_waits_and_nothing_that_scores_the_past_only(rows, expected):
    assert promotions(*rows).predecessors({"a": str(JUNE)}, to_serve=True) == expected


def choices(**versions):
    return {axis: Choice(version, JUNE, f"reason of {version}") for axis, version in versions.items()}


def publish(database, store_id, number, **versions):
    with database.transaction(store_id) as cursor:
        mark_published(cursor, store_id, number, versions)


def test_a_choice_is_kept_once_until_it_is_another(database):
    choose_versions(database, "chosen", choices(a="1", b="1"))
    choose_versions(database, "chosen", choices(a="1", b="2"))
    found = read_promotions(database, "chosen")
    assert [(row.axis, row.version) for row in found.rows] == [("a", "1"), ("b", "1"), ("b", "2")]
    assert found.rows[0].data_end == JUNE
    assert found.rows[0].reason == "reason of 1"
    assert found.serving() == {}
    publish(database, "chosen", 1, a="1", b="2")
    found = read_promotions(database, "chosen")
    assert found.serving() == {"a": "1", "b": "2"}
    assert len(found.rows) == 2  # what was passed over never served
    assert read_promotions(database, "chosen-nowhere").rows == ()


def test_a_persons_choice_is_kept_again_and_is_not_passed_over(database):
    choose_versions(database, "persons", choices(a="1"))
    publish(database, "persons", 1, a="1")
    by_hand = {"a": Choice("1", JUNE, "by hand", by_hand=True)}
    choose_versions(database, "persons", by_hand)
    choose_versions(database, "persons", choices(a="2"))
    publish(database, "persons", 2, a="2")
    assert [row.by_hand for row in read_promotions(database, "persons").rows] == [False, True, False]


def test_to_publish_a_version_again_changes_nothing(database):
    choose_versions(database, "again", choices(a="1"))
    publish(database, "again", 1, a="1")
    mark_echoed(database, "again", [row.promotion_id for row in read_promotions(database, "again").rows])
    before = read_promotions(database, "again")
    assert [row.is_echoed for row in before.rows] == [True]
    publish(database, "again", 2, a="1")
    assert read_promotions(database, "again") == before


def test_what_nobody_chose_cannot_be_published(database):
    choose_versions(database, "strict", choices(a="1"))
    with pytest.raises(ValueError, match=r"versions that nobody chose cannot be published: a \(7\), b \(1\)"):
        publish(database, "strict", 1, a="7", b="1")


def test_what_scores_the_past_only_cannot_be_published(database):
    choose_versions(database, "past-only", choices(a="1"), for_past=True)
    with pytest.raises(ValueError, match=r"versions that nobody chose cannot be published: a \(1\)"):
        publish(database, "past-only", 1, a="1")


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        ([("1", JUNE), ("2", JULY)], "1"),
        ([("1", JULY), ("2", MAY)], "2"),  # a run as of the past
        ([("1", JUNE), ("2", MAY, "for_past"), ("3", MAY, "waits")], "1"),  # these never served
        ([("1", JUNE), ("2", JUNE)], "2"),
    ],
)
def test_which_model_scores_weeks_before_there_was_any(rows, first):
    assert promotions(*rows).first() == {"a": first}
