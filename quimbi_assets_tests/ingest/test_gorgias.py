"""Answers of Gorgias's that are not as documented: what cannot be read is left out, and takes nothing else with it."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quimbi_assets.ingest import gorgias
from quimbi_assets.ingest.tables import LONGEST_ID

DATES = ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "0000-01-01", "-2026-01-01", "now", "infinity"]
AT = "2026-01-02T03:04:05+00:00"
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    | st.sampled_from([*DATES, AT, "x" * (LONGEST_ID + 1), 'a"b', "\0", "\ud800", "ticket-reopened", "email"])
)  # fmt: skip
KEYS = st.sampled_from(["id", "name", "email", "customer", "type", "address", "9"])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
TICKET = {
    "id": "t", "created_datetime": AT, "tags": [{"name": "late"}], "customer": {"id": 5, "email": "ann@example.com"},
    "status": "open", "priority": "low", "channel": "email", "subject": "?", "closed_datetime": None, "spam": False,
    "trashed_datetime": None, "from_agent": False, "last_message_datetime": AT, "last_received_message_datetime": AT,
}  # fmt: skip
CUSTOMER = {"id": 5, "email": "ann@example.com", "integrations": {"9": {"customer": {"id": 77}}}, "external_id": "e",
            "channels": [{"type": "email", "address": "bo@example.com"}]}  # fmt: skip
MESSAGE = {"id": 1, "ticket_id": "t", "from_agent": True, "public": True, "channel": "email", "via": "email",
           "rule_id": None, "sent_datetime": AT, "created_datetime": AT}  # fmt: skip
EVENT = {"id": "e", "type": gorgias.REOPENED, "object_id": "t", "created_datetime": AT}
SURVEY = {"ticket_id": "t", "score": 4}


def misshapen(usual):
    """Objects of which some fields are anything, and what is no object at all."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(usual, JSON)).map(lambda some: {**usual, **some}) | JSON


def is_in_range(at):
    return at.isna() | at.between(pd.Timestamp("1980-01-01", tz="UTC"), gorgias.LATEST)


@pytest.mark.parametrize(
    ("shaped", "usual", "key"),
    [
        (gorgias.ticket_rows, TICKET, "id"),
        (gorgias.first_responses, MESSAGE, "ticket_id"),
        (gorgias.reopenings, EVENT, "id"),
        (gorgias.ratings, SURVEY, "ticket_id"),
    ],
    ids=["tickets", "messages", "events", "surveys"],
)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_whatever_is_listed_leaves_its_neighbours_as_they_are(shaped, usual, key, data):
    before, after = (data.draw(st.lists(misshapen(usual), max_size=2)) for _ in range(2))
    neighbour = {**usual, key: "neighbour"}
    rows = shaped([*before, neighbour, *after])
    name = rows.columns[0]
    pd.testing.assert_frame_equal(rows[rows[name] == "neighbour"].reset_index(drop=True), shaped([neighbour]))
    ids = rows.filter(like="_id")
    assert rows[name].notna().all()
    assert (ids.isna() | (ids.apply(lambda column: column.str.len()) <= LONGEST_ID)).all(axis=None)
    assert rows.select_dtypes("datetimetz").apply(is_in_range).all(axis=None)
    for text in rows.select_dtypes("str").stack().dropna():
        assert "\0" not in text
        text.encode()  # PostgreSQL's is UTF-8, which has no half of a pair


@given(JSON | misshapen(CUSTOMER))
@settings(max_examples=50, deadline=None)
def test_whoever_wrote_has_texts_as_keys(customer):
    (row,) = gorgias.ticket_rows([{**TICKET, "customer": customer}]).to_dict("records")
    assert (row["ticket_id"], pd.isna(row["left_out"])) == ("t", True)
    if isinstance(customer, dict):
        assert all(one is None or 0 < len(one) <= 2_000 for one in gorgias.writer(customer).values())
        assert all(isinstance(one, str) for one in gorgias.other_addresses(customer))


@given(JSON)
def test_one_instant_is_read_or_none(value):
    at = gorgias.instant(value)
    assert at is None or is_in_range(pd.Series([at])).all()


def test_what_is_needed_of_a_ticket_leaves_it_out_where_it_cannot_be_read():
    ids = [None, "", "x" * (LONGEST_ID + 1), [1], {"id": 1}]
    rows = gorgias.ticket_rows(
        [{**TICKET, "id": one} for one in ids]
        + [{**TICKET, "id": number, "created_datetime": at} for number, at in enumerate([*DATES, None, 5, [AT]])]
    )
    assert len(rows) == len(ids) + len(DATES) + 3
    assert rows["left_out"].eq(gorgias.UNREADABLE).all()


@pytest.mark.parametrize(
    ("tags", "read"),
    [
        (["refund", None, {"name": "big, late"}, {"name": None}, ["x"], {}], "refund, big  late"),
        ([None], None),
        (None, None),
        ("refund", None),
        ({"name": "refund"}, None),
    ],
)
def test_tags_are_texts_or_objects_with_a_name(tags, read):
    (row,) = gorgias.ticket_rows([{**TICKET, "tags": tags}]).to_dict("records")
    assert (row["tags"] if read else pd.isna(row["tags"])) == (read or True)


def test_a_score_is_a_number():
    scores = [True, "4", [4], None, 6, 5]
    rows = gorgias.ratings([{"ticket_id": number, "score": score} for number, score in enumerate(scores)])
    assert rows["ticket_id"].tolist() == ["5"]
