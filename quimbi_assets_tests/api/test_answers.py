"""What programs are answered, beside the tables it comes from."""

import json
import math

import pytest

from quimbi_assets.api.models import CustomerRow, Segment

pytestmark = pytest.mark.xdist_group("graph")


@pytest.fixture(scope="module")
def count(two_stores, database):
    """Counts customers of the store north."""

    def counted(condition="true"):
        sql = f"SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = 'north' AND {condition}"
        return database.execute(sql)[0][0]

    return counted


@pytest.fixture(scope="module")
def pages(ask):
    """Follows cursors to the end; returns the pages."""

    def followed(path, **parameters):
        found = [ask(path, params=parameters)]
        while found[-1]["next_cursor"]:
            found.append(ask(path, params={**parameters, "cursor": found[-1]["next_cursor"]}))
        return found

    return followed


def test_the_store_and_its_axes(ask, client, token, count):
    (store,) = client.get("/v1/stores", headers={"Authorization": f"Bearer {token}"}).json()["items"]
    assert (store["store_id"], store["time_zone"], store["customers"]) == ("north", "America/New_York", count())
    axes = {axis["axis"]: axis for axis in ask("/axes")["items"]}
    assert len(axes) == 14
    assert axes["purchase_value"]["question"].endswith("?")
    assert all((axis["status"] == "active") == (axis["reason"] is None) for axis in axes.values())


def test_segments_of_an_axis_with_what_they_were(ask, database):
    (axis,) = ask("/segments", params={"axis": "purchase_value"})["items"]
    assert set(axis["segments"][0]) == set(Segment.model_fields)
    assert sum(segment["population_percentage"] for segment in axis["segments"]) == pytest.approx(100)
    assert axis["segments"][0]["share_of_revenue"] > 0
    assert axis["segments"][0]["history"] is None
    segment = axis["segments"][0]["segment_id"]
    database.execute(
        "INSERT INTO quimbi.dim_segment_master (store_id, axis_name, segment_id, segment_name, customer_count, "
        "valid_from, valid_to) VALUES ('north', 'purchase_value', %s, 'as_it_was', 7, '2020-01-01', '2020-02-01')",
        (segment,),
    )
    (axis,) = ask("/segments", params={"axis": "purchase_value", "history": True})["items"]
    assert [one["segment_name"] for one in axis["segments"][0]["history"]][-1] == "as_it_was"
    assert axis["segments"][1]["history"] is not None
    assert ask("/segments", 422, params={"axis": "shoe_size"})["detail"].startswith("store north has no axis")


def test_a_profile_is_the_table_s_by_today_s_names(ask, database):
    (customer, value, segments), *_ = database.execute(
        "SELECT customer_id, lifetime_value, dominant_segments FROM quimbi.customer_profiles "
        "WHERE store_id = 'north' ORDER BY lifetime_value DESC LIMIT 1"
    )
    profile = ask(f"/customers/{customer}")
    assert (profile["customer_id"], profile["lifetime_value"]) == (customer, value)
    assert {axis: one["id"] for axis, one in profile["segments"].items()} == segments
    assert all(one["name"] and one["axis_status"] and one["evidence"] for one in profile["segments"].values())
    assert profile["memberships"] is None is profile["features"]
    assert 0 < profile["churn_risk_score"] < 1
    assert profile["churn_drivers"]["drivers"][0]["words"]
    detailed = ask(f"/customers/{customer}", params={"details": True})
    assert sum(detailed["memberships"]["purchase_value"].values()) == pytest.approx(1)
    assert detailed["features"]["purchase_value"]["lifetime_value"] == value


def test_no_number_is_ever_nan(ask, database):
    (customer,) = database.execute("SELECT max(customer_id) FROM quimbi.customer_profiles WHERE store_id = 'north'")[0]
    sql = "UPDATE quimbi.customer_profiles SET days_since_last_order = {} WHERE store_id = 'north' AND customer_id = %s"
    database.execute(sql.format("days_since_last_order + 'NaN'"), (customer,))
    assert ask(f"/customers/{customer}")["days_since_last_order"] is None
    database.execute(sql.format("extract(epoch FROM as_of - last_order_at) / 86400"), (customer,))


def test_nobody_of_that_id(ask):
    assert "no profile of customer a/b" in ask("/customers/a%2Fb", 404)["detail"]


@pytest.mark.parametrize("sort", ["customer_id", "value", "risk", "risk asc", "expected_next_order_at", "lifecycle"])
def test_pages_hold_everybody_once(pages, count, sort):
    found = pages("/customers", sort=sort, limit=150, count=True)
    ids = [one["customer_id"] for page in found for one in page["items"]]
    assert len(ids) == len(set(ids)) == count() == found[0]["customers"]
    assert len(found) == math.ceil(count() / 150)


def test_whom_a_question_chooses(ask, count, database):
    whom = {"where": "lifecycle = 'active' -- really", "min_risk": 0.2, "count": True, "limit": 1}
    assert ask("/customers", params=whom)["customers"] == count("lifecycle = 'active' AND churn_risk_score >= 0.2") > 0
    sql = "SELECT segment_id, segment_name FROM quimbi.dim_segment_master WHERE store_id = 'north' AND axis_name = %s"
    segment, name = database.execute(f"{sql} AND valid_to IS NULL ORDER BY 1", ("purchase_value",))[0]
    expected = count(f"dominant_segments ->> 'purchase_value' = '{segment}'")
    for text in (segment, f"purchase_value.{segment}", f"purchase_value.{name}"):
        assert ask("/customers", params={"segment": text, "count": True})["customers"] == expected > 0
    further = ask("/customers", params={"segment": segment, "min_membership": 0.2, "count": True})["customers"]
    score = f"(segment_memberships -> 'purchase_value' ->> '{segment}')::float8"
    assert further == count(f"{score} >= 0.2") > expected
    assert ask("/customers", params={"audience": "cooling", "count": True})["customers"] == count(
        "lifecycle = 'slowing' AND value_tier IN ('top', 'high')"
    )
    assert set(ask("/customers", params={"limit": 1})["items"][0]) == set(CustomerRow.model_fields)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"where": "lifecycle = 'gone'"}, "is never 'gone'"),
        ({"where": ""}, "the filter is empty"),
        ({"where": "value > 1) or (value < 9"}, "character"),
        ({"where": "value > 1", "audience": "cooling"}, "give one of them"),
        ({"audience": "nobody"}, "has no audience"),
        ({"segment": "nothing_like_it"}, "there is no segment"),
        ({"min_membership": 0.5}, "give segment, too"),
        ({"min_risk": 1.5}, "less than or equal to 1"),
        ({"min_rsk": 0.5}, "min_rsk: Extra inputs"),
        ({"sort": "shoe_size"}, "no field"),
        ({"sort": ""}, "no field"),
        ({"limit": 501}, "less than or equal to 500"),
        ({"cursor": "nonsense"}, "another question"),
        ({"cursor": "W10"}, "another question"),
    ],
)
def test_what_cannot_be_understood_is_said(ask, parameters, words):
    assert words in ask("/customers", 422, params=parameters)["detail"]


def test_a_cursor_is_good_for_its_question_alone(ask):
    cursor = ask("/customers", params={"limit": 1, "sort": "risk"})["next_cursor"]
    assert ask("/customers", params={"limit": 1, "sort": "risk", "cursor": cursor})["items"]
    for other in ({"sort": "value"}, {"sort": "risk asc"}, {"sort": "risk", "min_risk": 0.1}):
        assert "another question" in ask("/customers", 422, params={"limit": 1, "cursor": cursor, **other})["detail"]


def test_whom_to_save(ask, pages):
    found = ask("/worth-saving", params={"limit": 100})["items"]
    worth = [one["value"] * (1 if one["risk"] is None else one["risk"]) for one in found]
    assert worth == sorted(worth, reverse=True)
    assert {one["value_tier"] for one in found} <= {"top", "high"}


def test_nobody_is_at_risk_before_the_first_snapshot(ask):
    assert ask("/at-risk") == {"store_id": "north", "week": None, "reason": None, "customers": 0, "items": []}


def test_the_document_says_every_status(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path.startswith("/v1"):
                assert {"200", "401", "403", "404", "422", "503"} <= set(operation["responses"])
                assert operation["security"] == [{"HTTPBearer": []}]
    assert "NaN" not in json.dumps(document)
