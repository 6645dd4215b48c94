"""Who enters an audience and who leaves it, out of real tables."""

import pyarrow as pa
import pytest

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.audiences import audience_query, project_definitions
from quimbi_assets.resources.postgres.tables.audiences import read_audiences, refresh_audience
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish

BIG = Audience("big", "value > 1")
EVENTS = (
    "SELECT ht_row_id, ht_event_type FROM quimbi.audience_membership WHERE ht_audience_id = %s ORDER BY ht_timestamp, 1"
)


@pytest.fixture
def renewed(database, request):
    """Publishes customers worth what is given, and renews the audience."""
    store_id = f"aud-{request.node.name[:30]}".replace("_", "-")

    def renew(values, audience=BIG):
        publish(database, store_id, len(values), lifetime_value=pa.array(values, pa.float64()))
        return refresh_audience(
            database, store_id, audience, audience_query(audience, read_vocabulary(database, store_id))
        )

    return store_id, renew


def test_those_who_enter_and_leave(database, renewed):
    store_id, renew = renewed
    first = renew([5, 0, 3])
    assert (first.customers, first.value, first.entered, first.left) == (2, 8.0, 2, 0)
    again = renew([5, 0, 3])
    assert (again.customers, again.entered, again.left) == (2, 0, 0)
    third = renew([0, 2, 3])
    assert (third.customers, third.entered, third.left) == (2, 1, 1)
    renew([7, 2, 3])
    assert administer(database, EVENTS, (f"{store_id}.big",)) == [
        ("c0000", "enter"), ("c0002", "enter"), ("c0000", "exit"), ("c0001", "enter"), ("c0000", "enter"),
    ]  # fmt: skip
    assert read_audiences(database, store_id)["big"].entered == 1
    groups = "SELECT DISTINCT ht_split_group FROM quimbi.audience_membership WHERE ht_audience_id = %s"
    assert administer(database, groups, (f"{store_id}.big",)) == [(None,)]


def test_two_years_after_they_left_nobody_knows(database, renewed):
    store_id, renew = renewed
    renew([5, 6, 3])
    renew([0, 0, 3])
    ago = "UPDATE quimbi.audience_members SET left_at = now() - %s::interval WHERE store_id = %s AND customer_id = %s"
    administer(database, ago, ("2 years 1 day", store_id, "c0000"))
    administer(database, ago, ("1 year 360 days", store_id, "c0001"))
    renew([0, 0, 3])
    asked = "SELECT customer_id FROM quimbi.audience_members WHERE store_id = %s ORDER BY 1"
    assert administer(database, asked, (store_id,)) == [("c0001",), ("c0002",)]


def test_whoever_may_not_be_written_to_leaves_and_is_not_handed_out(database, renewed):
    store_id, renew = renewed
    view, key = (f"{store_id}.big",), (store_id, "c0000")
    consent = "INSERT INTO quimbi.customer_consent VALUES (%s, %s, %s, %s, now())"
    administer(database, consent, (store_id, "c0001", False, None))
    assert (renew([5, 9, 3]).customers, administer(database, EVENTS, view)) == (
        2,
        [("c0000", "enter"), ("c0002", "enter")],
    )
    administer(database, consent, (*key, None, True))
    assert administer(database, EVENTS, view) == [("c0002", "enter")]
    assert renew([5, 9, 3]).left == 1
    assert administer(database, EVENTS, view) == [("c0002", "enter"), ("c0000", "exit")]
    administer(database, "DELETE FROM quimbi.customer_consent WHERE store_id = %s AND customer_id = %s", key)
    assert renew([5, 9, 3]).entered == 1
    assert [event for customer, event in administer(database, EVENTS, view) if customer == "c0000"] == [
        "enter", "exit", "enter",
    ]  # fmt: skip


def test_nobody(database, renewed):
    store_id, renew = renewed
    state = renew([0, 1])
    assert (state.customers, state.value, state.as_of) == (0, None, None)
    assert administer(database, EVENTS, (f"{store_id}.big",)) == []


def test_an_audience_that_a_store_does_not_understand(renewed):
    _, renew = renewed
    with pytest.raises(BadInputError, match=r"audience odd: there is no segment of a 'gone'"):
        renew([1], Audience("odd", "a = 'gone'"))


def test_the_projects_file(home, monkeypatch):
    assert "worth_saving" in project_definitions().audiences
    path = home / "audiences.yaml"
    try:
        path.write_text("audiences:\n  a: {where: value > 1}\n")
        assert project_definitions().audiences["a"].where == "value > 1"
        path.write_text("audiences:\n  a: {}\n")
        with pytest.raises(BadInputError, match=r"audiences.yaml, line 2, column 6: audience a has no where"):
            project_definitions()
    finally:
        path.unlink()
