"""What programs are answered, beside the tables it comes from."""

import base64
import hashlib
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event

import httpx2
import pandas as pd
import pytest

from quimbi_assets.api import answers
from quimbi_assets.api.models import CustomerRow, Segment
from quimbi_assets.api.profiles import LOOK_SECONDS, MOST_CUSTOMERS, SentItem, SentOrder, SentTicket
from quimbi_assets.cli import cli
from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.keys import keyed_hashes
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables import similar
from quimbi_assets.resources.postgres.tables.customers import stream
from quimbi_assets.resources.postgres.tables.identities import OrderAddresses, store_secret
from quimbi_assets.resources.postgres.tables.tokens import create_token, revoke_token
from quimbi_assets.resources.postgres.tables.treatments import read_trials
from quimbi_assets.resources.profiling import StoreProfiler
from quimbi_assets_tests.administrator import administer, administering
from quimbi_assets_tests.resources.published import publish

pytestmark = pytest.mark.xdist_group("graph")


@pytest.fixture(scope="module")
def count(two_stores, database):
    """Counts customers of the store north."""

    def counted(condition="true"):
        sql = f"SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = 'north' AND {condition}"
        return administer(database, sql)[0][0]

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
    administer(
        database,
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
        EVERY_STORE,
        "SELECT customer_id, lifetime_value, dominant_segments FROM quimbi.customer_profiles "
        "WHERE store_id = 'north' ORDER BY lifetime_value DESC LIMIT 1",
    )
    profile = ask(f"/customers/{customer}")
    assert (profile["customer_id"], profile["lifetime_value"]) == (customer, round(value, 2))
    assert {axis: one["id"] for axis, one in profile["segments"].items()} == segments
    assert all(one["name"] and one["axis_status"] and one["evidence"] for one in profile["segments"].values())
    assert profile["memberships"] is None is profile["features"]
    assert 0 < profile["churn_risk_score"] < 1
    assert profile["churn_drivers"]["drivers"][0]["words"]
    detailed = ask(f"/customers/{customer}", params={"details": True})
    assert sum(detailed["memberships"]["purchase_value"].values()) == pytest.approx(1)
    assert detailed["features"]["purchase_value"]["lifetime_value"] == value


def test_no_number_is_ever_nan(ask, database):
    (customer,) = database.execute(
        EVERY_STORE, "SELECT max(customer_id) FROM quimbi.customer_profiles WHERE store_id = 'north'"
    )[0]
    sql = "UPDATE quimbi.customer_profiles SET days_since_last_order = {} WHERE store_id = 'north' AND customer_id = %s"
    administer(database, sql.format("days_since_last_order + 'NaN'"), (customer,))
    assert ask(f"/customers/{customer}")["days_since_last_order"] is None
    administer(database, sql.format("extract(epoch FROM as_of - last_order_at) / 86400"), (customer,))


def test_nobody_of_that_id(ask):
    assert "no profile of customer a/b" in ask("/customers/a%2Fb", 404)["detail"]


@pytest.mark.parametrize("sort", ["customer_id", "value", "risk", "risk asc", "expected_next_order_at", "lifecycle"])
def test_pages_hold_everybody_once(pages, count, sort):
    found = pages("/customers", sort=sort, limit=150, count=True)
    ids = [one["customer_id"] for page in found for one in page["items"]]
    assert len(ids) == len(set(ids)) == count() == found[0]["customers"]
    assert len(found) == math.ceil(count() / 150)


def test_who_may_leave_comes_in_the_order_of_the_command(ask, database):
    sql = """SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = 'north' AND churn_risk_score >= 0.2
        ORDER BY churn_risk_score * lifetime_value DESC NULLS LAST, customer_id LIMIT 20"""
    first = [customer for (customer,) in administer(database, sql)]
    for asked in ({"where": "risk >= 0.2"}, {"min_risk": 0.2}):
        assert [one["customer_id"] for one in ask("/customers", params=asked | {"limit": 20})["items"]] == first


def test_whom_a_question_chooses(ask, count, database):
    whom = {"where": "lifecycle = 'active' -- really", "min_risk": 0.2, "count": True, "limit": 1}
    assert ask("/customers", params=whom)["customers"] == count("lifecycle = 'active' AND churn_risk_score >= 0.2") > 0
    sql = "SELECT segment_id, segment_name FROM quimbi.dim_segment_master WHERE store_id = 'north' AND axis_name = %s"
    segment, name = administer(database, f"{sql} AND valid_to IS NULL ORDER BY 1", ("purchase_value",))[0]
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
        ({"min_rsk": 0.5}, "min_rsk: extra inputs"),
        ({"limit": ["1", "2"]}, "'limit' is given more than once"),
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


def test_a_cursor_of_another_store_is_no_place_in_this_one(client, ask, database):
    text, token = create_token(database, "south", ["read"], 1)
    asked = {"headers": {"Authorization": f"Bearer {text}"}, "params": {"limit": 1}}
    cursor = client.get("/v1/stores/south/customers", **asked).json()["next_cursor"]
    assert "another question" in ask("/customers", 422, params={"limit": 1, "cursor": cursor})["detail"]
    revoke_token(database, token.token_id)


def test_a_cursor_of_an_offset_that_postgresql_has_not(ask):
    cursor = ask("/customers", params={"limit": 1, "sort": "last_order_at"})["next_cursor"]
    digest, _, customer = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    odd = json.dumps([digest, "2025-01-01T00:00:00+23:59", customer])
    ask("/customers", params={"sort": "last_order_at", "cursor": base64.urlsafe_b64encode(odd.encode()).decode()})


def test_whom_to_save(ask, pages):
    found = ask("/worth-saving", params={"limit": 100})["items"]
    worth = [one["value"] * (1 if one["risk"] is None else one["risk"]) for one in found]
    assert worth == sorted(worth, reverse=True)
    assert {one["value_tier"] for one in found} <= {"top", "high", "medium"}
    first = ask("/worth-saving", params={"limit": 1})
    assert first["customers"] > 1
    later = ask("/worth-saving", params={"limit": 1, "cursor": first["next_cursor"]})
    assert (len(later["items"]), later["customers"]) == (1, None)


def test_at_risk_is_the_same_list_by_every_name(ask, capsys):
    by_route = ask("/at-risk", params={"limit": 500})
    assert by_route == ask("/worth-saving", params={"limit": 500})
    assert cli.main(["at-risk", "--store-id", "north", "--limit", "500", "--json"], standalone_mode=False) is None
    by_command = json.loads(capsys.readouterr().out)
    assert by_route["customers"] == by_command["customers"] > 0
    assert [one["customer_id"] for one in by_route["items"]] == [one["customer_id"] for one in by_command["rows"]]


@pytest.mark.parametrize("path", ["/migrations", "/trends"])
def test_an_axis_that_is_none_is_said(ask, path):
    assert "there are: category_exploration" in ask(path, 422, params={"axis": "colour"})["detail"]


def test_nobody_fell_silent_before_the_first_snapshot(ask):
    assert ask("/fallen-silent") == {"store_id": "north", "week": None, "reason": None, "customers": 0, "items": []}


def test_groups_now_and_before(ask, database, count):
    (trend,) = ask("/trends", params={"axis": "lifecycle"})["items"]
    assert {one["id"]: one["customers"] for one in trend["groups"]}["active"] == count("lifecycle = 'active'")
    assert sum(one["customers_13w_ago"] or 0 for one in trend["groups"]) > 0
    assert {one["axis"] for one in ask("/trends")["items"]} >= {
        "lifecycle",
        "value_tier",
        "rfm_group",
        "purchase_value",
    }
    assert "there are: " in ask("/trends", 422, params={"axis": "shoe_size"})["detail"]


@pytest.fixture(scope="module")
def moving(app, database):
    """Asks about a store with two weeks, in the second of which somebody moved and somebody lapsed."""
    publish(database, "moving")
    for week in ("2024-05-13", "2024-05-20"):
        administer(
            database,
            "INSERT INTO quimbi.customer_history (store_id, customer_id, week, as_of, segment_memberships, "
            "dominant_segments, lifetime_value, churn_risk_score, model_versions, drift, alert, alert_cause) VALUES "
            "('moving', 'c0001', %s, %s::date + 7, '{}', '{}', 40, 0.5, '{}', "
            """'{"a": {"cause": "silent"}}', %s, 'silent')""",
            (week, week, "newly_at_risk" if week == "2024-05-20" else None),
        )
        administer(
            database,
            "INSERT INTO quimbi.population_drift VALUES ('moving', %s, 'a', 'segment_share', 'a_1', 0.25)",
            (week,),
        )
    administer(
        database,
        "INSERT INTO quimbi.segment_migrations VALUES "
        "('moving', '2024-05-20', 'c0001', 'a', 'silent', 'a_1', 'a_2', '2024-05-13', '2024-05-27')",
    )
    administer(
        database,
        "INSERT INTO quimbi.group_figures (store_id, axis_name, group_id, customers, share_of_customers, revenue, "
        "share_of_revenue, lifecycle) VALUES ('moving', 'a', 'a_1', 2, 0.5, 10, 1, '{}')",
    )

    def asked(question, *arguments):
        with app.state.database.of_store("moving") as now:
            return question(now, "moving", *arguments)

    return asked


def test_who_moved_and_why(moving):
    found = moving(answers.migrations, answers.MigrationQuestion())
    assert (str(found.week), str(found.compared_with), len(found.weeks)) == ("2024-05-20", "2024-05-13", 2)
    assert found.customers_by_cause == {"silent": 1}
    assert [(one.from_name, one.to_name, one.cause, one.customers) for one in found.items] == [
        ("few", "many", "silent", 1)
    ]
    assert moving(answers.migrations, answers.MigrationQuestion(week="2024-05-13")).items == []
    assert moving(answers.migrations, answers.MigrationQuestion(axis="a")).items == found.items
    with pytest.raises(BadInputError, match="2024-05-13 to 2024-05-20"):
        moving(answers.migrations, answers.MigrationQuestion(week="2024-05-14"))


def test_segments_week_by_week(moving):
    (trend,) = moving(answers.trends, answers.TrendQuestion()).items
    assert [(str(one.week), one.shares) for one in trend.weeks] == [
        (w, {"a_1": 0.25}) for w in ("2024-05-13", "2024-05-20")
    ]
    (trend,) = moving(answers.trends, answers.TrendQuestion(weeks=1)).items
    assert [str(one.week) for one in trend.weeks] == ["2024-05-20"]


def test_who_fell_silent(moving, database):
    found = moving(answers.fallen_silent, answers.TopQuestion())
    assert (str(found.week), found.customers) == ("2024-05-20", 1)
    assert (found.items[0].customer_id, found.items[0].value, found.items[0].priority) == ("c0001", 40, 20)
    (more, *_), *_ = administer(
        database,
        'INSERT INTO quimbi.customer_history SELECT (jsonb_populate_record(one, \'{"customer_id": "c0002"}\')).* '
        "FROM quimbi.customer_history AS one WHERE store_id = 'moving' AND alert IS NOT NULL RETURNING customer_id",
    )
    found = moving(answers.fallen_silent, answers.TopQuestion(limit=1))
    assert (found.customers, len(found.items)) == (2, 1)
    administer(database, "DELETE FROM quimbi.customer_history WHERE store_id = 'moving' AND customer_id = %s", (more,))


def test_as_of_when_answers_are_takes_neither_orders_nor_profiles(ask, database):
    with administering(database) as cursor:  # whoever reads them waits, and is told after ten seconds
        cursor.execute("LOCK TABLE quimbi.orders, quimbi.customer_profiles")
        assert ask("/axes")["as_of"] == ask("/segments")["as_of"] == ask("/trends")["as_of"]


def test_audiences_and_who_is_in_them(ask, database, count, pages):
    found = {one["audience"]: one for one in ask("/audiences")["items"]}
    assert found["cooling"]["customers"] == count("lifecycle = 'slowing' AND value_tier IN ('top', 'high')")
    sql = (
        "SELECT audience, count(*) FROM quimbi.audience_members WHERE store_id = 'north' AND left_at IS NULL GROUP BY 1"
    )
    audience, n = max(administer(database, sql), key=lambda row: row[1])
    members = [one["customer_id"] for page in pages(f"/audiences/{audience}", limit=n - 1) for one in page["items"]]
    assert members == sorted(set(members))
    assert len(members) == n > 1
    assert "there are: " in ask("/audiences/nobody", 404)["detail"]


def test_whether_it_helped(ask, database):
    counted = {state.subject: state for state in read_trials(database, "north")}
    answer = ask("/lift")
    assert [one["subject"] for one in answer["items"]] == sorted(counted)
    assert "rule/discount_hunters" in counted
    stored = database.execute(
        EVERY_STORE, "SELECT subject FROM quimbi.trials WHERE store_id = 'north' AND finding IS NOT NULL"
    )
    assert ("rule/discount_hunters",) in stored  # by the graph: a trial that was not counted would be answered the same
    for one in answer["items"]:  # entered when the graph was run, after the simulated store's last order
        state = counted[one["subject"]]
        assert (one["verdict"], one["n_acted"], one["difference"]) == ("cannot tell yet", 0, None)
        assert (one["entered_acted"], one["entered_control"]) == state.entered
        assert one["words"].startswith("cannot tell yet: ")
        assert one["ends_at"] == state.finding.ends_at.isoformat().replace("+00:00", "Z")


def test_who_answers_a_ticket(ask, database):
    decided = """
        SELECT customer_id, queue, rule FROM quimbi.customer_actions WHERE store_id = 'north' AND queue IS NOT NULL
        ORDER BY customer_id LIMIT 5
    """
    for customer, queue, rule in administer(database, decided):
        answer = ask(f"/customers/{customer}/actions")
        assert answer == ask("/route-ticket", method="POST", json={"customer_id": customer})
        assert (answer["queue"], answer["by"]["queue"], answer["is_known"]) == (queue, rule, True)
        fired = {one["rule"]: one for one in answer["fired"]}
        assert fired[rule]["sets"]["queue"] == queue
        assert all(one["why"] and one["about"] for one in answer["fired"])
        assert all(one["wanting"] for one in answer["nearly"])
    for unknown in (
        {"email": None},
        {"email": ""},
        {"email": f"{'a' * 400}@example.com"},
        {"customer_id": "nobody"},
        {"customer_id": "a\0b"},
        {"email": "nobody@example.com"},
    ):
        answer = ask("/route-ticket", method="POST", json=unknown)
        assert (answer["queue"], answer["is_known"], answer["fired"]) == ("general", False, [])
        assert "no profile" in answer["reason"]
        assert "example.com" not in answer["reason"]
    ask("/route-ticket", 422, method="POST", json={"customer_id": "a", "email": "a@example.com"})
    ask("/route-ticket", 422, method="POST", json={"customer": "a"})
    told = ask("/route-ticket", 422, method="POST", json={})
    assert "give customer_id, email or email_sha256" in told["detail"]


def test_whose_e_mail_it_is(ask, database, home):
    (customer,) = database.execute(
        EVERY_STORE, "SELECT min(customer_id) FROM quimbi.customer_profiles WHERE store_id = 'north'"
    )[0]
    old = keyed_hashes(pd.Series(["ann@example.com"]), store_secret(home, "north"))[0]  # of before SHA-256 was kept
    with administering(database) as cursor:
        cursor.execute(
            "INSERT INTO quimbi.customer_identities (store_id, kind, key_hash, customer_id) "
            "VALUES ('north', 'email', decode(%s, 'hex'), %s)",
            (old, customer),
        )
        addresses = OrderAddresses(cursor, store_secret(home, "north"))
        cursor.execute("CREATE TEMP TABLE shared (key_hash bytea) ON COMMIT DROP")
        at = pd.Series([pd.Timestamp("2024-01-01", tz="UTC")] * 2)
        addresses.add(pd.Series(["Ann@example.com ", "eve@example.com"]), pd.Series([customer] * 2), at)
        assert addresses.learn("north") == (1, 0, 1)
    digest = hashlib.sha256(b"ann@example.com").hexdigest()
    for asked in ({"email": " Ann@Example.com"}, {"email_sha256": digest}, {"email_sha256": digest.upper()}):
        assert ask("/route-ticket", method="POST", json=asked)["customer_id"] == customer
        assert ask("/customers/by-email", method="POST", json=asked)["customer_id"] == customer
    for asked in ({}, {"email": "ann@example.com", "email_sha256": digest}, {"email_sha256": "12"}):
        ask("/customers/by-email", 422, method="POST", json=asked)
    ask("/customers/by-email", 404, method="POST", json={"email_sha256": "0" * 64})
    for other in ("bob@example.com", "a\0@example.com"):
        answer = ask("/customers/by-email", 404, method="POST", json={"email": other})
        assert "example" not in answer["detail"]


def test_orders_that_are_sent_give_the_profile_of_the_same_orders_loaded(ask, database):
    (customer,) = database.execute(
        EVERY_STORE,
        "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = 'north' ORDER BY n_orders DESC LIMIT 1",
    )[0]

    def rows(table, columns, condition):
        sql = f"SELECT {', '.join(columns)} FROM quimbi.{table} WHERE store_id = 'north' AND {condition}"
        cells = [[v.isoformat() if hasattr(v, "isoformat") else v for v in row] for row in administer(database, sql)]
        return [dict(zip(columns, row, strict=True)) for row in cells]

    of_them = f"customer_id = '{customer}'"
    orders = f"order_id IN (SELECT order_id FROM quimbi.orders WHERE store_id = 'north' AND {of_them})"
    sent = {
        "orders": rows("orders", list(SentOrder.model_fields), of_them),
        "items": rows("order_items", list(SentItem.model_fields), orders),
        "tickets": rows("support_tickets", list(SentTicket.model_fields), of_them),
    }
    (profile,) = ask("/profiles", method="POST", json={**sent, "details": True})["items"]
    assert profile == ask(f"/customers/{customer}", params={"details": True})
    again = ask("/profiles", 422, method="POST", json={"orders": sent["orders"][:1] * 2})
    assert "there twice" in again["detail"]
    others = [{**sent["orders"][0], "order_id": f"o{n}", "customer_id": f"c{n}"} for n in range(MOST_CUSTOMERS + 1)]
    many = ask("/profiles", 422, method="POST", json={"orders": others})
    assert many["detail"] == "orders of 201 customers: send those of at most 200 at a time"
    late = {**sent["orders"][0], "order_date": "2150-01-01"}
    assert "no order is from before" in ask("/profiles", 422, method="POST", json={"orders": [late]})["detail"]


def test_profiles_are_computed_for_two_at_a_time(ask, app):
    order = {"order_id": "o", "customer_id": "c", "order_date": "2024-01-01", "total_price": 9}
    with app.state.profilers.turn("north"), app.state.profilers.turn("north"):
        assert "ask again" in ask("/profiles", 503, method="POST", json={"orders": [order]})["detail"]
    assert len(ask("/profiles", method="POST", json={"orders": [order]})["items"]) == 1


def test_the_document_says_every_status(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path.startswith("/v1"):
                assert {"200", "401", "403", "404", "422", "503"} <= set(operation["responses"])
                assert operation["security"] == [{"HTTPBearer": []}]
    assert "NaN" not in json.dumps(document)


def test_other_stores_are_answered_while_one_is_read(app, client, ask, database, monkeypatch):
    (customer,) = database.execute(
        EVERY_STORE, "SELECT min(customer_id) FROM quimbi.customer_profiles WHERE store_id = 'south'"
    )[0]
    text, _ = create_token(database, "south", ["read"], 1)
    path, reading, may_go_on = f"/v1/stores/south/customers/{customer}", Event(), Event()

    def slow(*arguments):
        reading.set()
        may_go_on.wait(20)
        return stream(*arguments)

    def question(path):
        return client.get(path, headers={"Authorization": f"Bearer {text}"})

    monkeypatch.setattr(similar, "stream", slow)
    with ThreadPoolExecutor(similar.MOST_WAITING + 4) as threads:
        asked = [threads.submit(question, f"{path}/similar") for _ in range(similar.MOST_WAITING + 2)]
        try:
            assert reading.wait(5)
            others = [threads.submit(ask, "/axes"), threads.submit(question, path)]
            refused = next(as_completed(asked, timeout=5)).result()
            assert (refused.status_code, "try again" in refused.json()["detail"]) == (503, True)
            assert [one.result(timeout=5) for one in others]
        finally:
            may_go_on.set()
    statuses = sorted(one.result().status_code for one in asked)
    assert statuses == [200] * similar.MOST_WAITING + [503] * 2


def test_who_is_most_alike(ask, database):
    (customer,) = database.execute(
        EVERY_STORE, "SELECT max(customer_id) FROM quimbi.customer_profiles WHERE store_id = 'north'"
    )[0]
    found = ask(f"/customers/{customer}/similar", params={"limit": 3})
    assert len({one["customer_id"] for one in found["items"]} - {customer}) == 3
    assert [one["distance"] for one in found["items"]] == sorted(one["distance"] for one in found["items"])
    ask("/customers/nobody/similar", 404)


def test_an_explanation_is_of_the_published_segments_and_its_moves_hold(ask, database):
    """What a stored model says of stored features is what the receipt says; another customer's is not."""
    chosen = "store_id = 'north' AND n_orders > 3 LIMIT 1"
    ((customer, versions),) = database.execute(
        EVERY_STORE, f"SELECT customer_id, model_versions FROM quimbi.customer_profiles WHERE {chosen}"
    )
    explained = ask(f"/customers/{customer}/explanation")
    profile = ask(f"/customers/{customer}", params={"details": True})
    assert explained["as_of"] == profile["as_of"]
    assert {one["axis"] for one in explained["axes"]} == set(profile["segments"])
    for one in explained["axes"]:
        assert one["segment"]["id"] == profile["segments"][one["axis"]]["id"]
        assert one["segment"]["membership"] == pytest.approx(profile["segments"][one["axis"]]["membership"])
        assert sum(share["pull"] for share in one["shares"]) == pytest.approx(one["margin"])
        stored = profile["features"][one["axis"]]
        for share in (share for share in one["shares"] if share["feature"] in stored):
            value = stored[share["feature"]]
            assert (value is None) == (share["value"] is None)
            assert value is None or share["value"] == pytest.approx(
                value, rel=1e-6, abs=1e-6
            )  # six decimals are published
        assert one["attainable"] == (one["change"] is not None)
    assert explained["versions"]["models"] == {axis: versions[axis] for axis in profile["segments"]}
    assert any(one["attainable"] for one in explained["axes"])
    assert "no profile" in ask("/customers/nobody/explanation", 404)["detail"]


def test_explanations_wait_for_a_turn_and_no_store_takes_all(ask, app, monkeypatch):
    monkeypatch.setattr("quimbi_assets.api.profiles.PATIENCE_SECONDS", 0.01)
    turn = app.state.profilers.turn
    with turn("north"), turn("north"):
        assert "2 profiles or explanations of this store" in ask("/customers/c0000001/explanation", 503)["detail"]
        with turn("south"):
            pass
    with turn("south"), turn("south"), turn("west"):
        assert "3 profiles or explanations are being" in ask("/customers/c0000001/explanation", 503)["detail"]
    with turn("north"):
        pass


@pytest.mark.parametrize("way", ["/v1", "/mcp"])
def test_nothing_is_computed_for_whoever_hung_up(way, listening, headers, monkeypatch):
    """Over a real connection: who waits for a turn and hangs up gives their place back before anybody frees one."""
    monkeypatch.setattr("quimbi_assets.api.profiles.PATIENCE_SECONDS", 60)
    computed = []
    explain = StoreProfiler.explain
    monkeypatch.setattr(StoreProfiler, "explain", lambda self, *asked: computed.append(asked) or explain(self, *asked))
    app, address = listening

    def ask(timeout):
        if way == "/v1":
            path = f"{address}/v1/stores/north/customers/c0000001/explanation"
            return httpx2.get(path, headers=headers["good"], timeout=timeout)
        call = {"name": "explain_customer", "arguments": {"customer_id": "c0000001"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        sent = {"Accept": "application/json, text/event-stream", **headers["good"]}
        return httpx2.post(f"{address}/mcp", json=body, headers=sent, timeout=timeout)

    with app.state.profilers.turn("north"), app.state.profilers.turn("north"):
        with pytest.raises(httpx2.ReadTimeout):
            ask(0.5)
        time.sleep(20 * LOOK_SECONDS)
    assert ask(60).status_code in (200, 404)
    assert len(computed) == 1
