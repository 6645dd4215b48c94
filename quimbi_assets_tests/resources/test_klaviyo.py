"""Profiles to a local Klaviyo: all of them, once each, within the limits, whatever happens on the way."""

import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from quimbi_assets.audiences.filters import compile_filter
from quimbi_assets.errors import BadInputError, ServiceUnavailableError, StoreBusyError
from quimbi_assets.exports.klaviyo import Limits
from quimbi_assets.lift.assignment import Trial, in_control
from quimbi_assets.resources.contacts import take_contacts
from quimbi_assets.resources.klaviyo import client, sender
from quimbi_assets.resources.klaviyo.sender import Selection, send_changes, show_changes
from quimbi_assets.resources.postgres.tables import outbox
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets.resources.postgres.tables.treatments import Group
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.klaviyo_api import KlaviyoApi, name_of
from quimbi_assets_tests.resources.published import publish

N = 25
NUMBERS = count()
SMALL = Limits(profiles=10, burst=100, per_second=1000)
ALONE = """
import sys
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
from quimbi_assets.resources.klaviyo.sender import Selection, send_changes
from quimbi_assets.audiences.filters import EVERYBODY
from quimbi_assets.exports.klaviyo import Limits
limits = Limits(profiles=10, burst=100, per_second=1000)
send_changes(open_database(), sys.argv[1], Selection(EVERYBODY, {"a": {"a_1": "few"}}), limits, print, 0.005)
"""


@pytest.fixture
def api(monkeypatch):
    server = KlaviyoApi()
    with server.serving() as address:
        monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
        monkeypatch.setenv("KLAVIYO_BASE_URL", address)
        yield server


@pytest.fixture
def shop(database, api):
    """A store of its own; publishes its customers with these columns, and sends them."""
    store_id = f"klaviyo-{next(NUMBERS)}"

    class Shop:
        def publish(self, n=N, segments=None, **columns):
            lifecycle = columns.pop("lifecycle", ["active"] * n)
            dominant = [json.dumps({"a": segment}) for segment in segments or ["a_1"] * n]
            publish(
                database, store_id, n, lifecycle=pa.array(lifecycle), value_tier=pa.array(["top"] * n),
                dominant_segments=pa.array(dominant), churn_risk_score=pa.array([0.5] * n), **columns,
            )  # fmt: skip

        def selection(self, where=None, **options):
            query = compile_filter(where, read_vocabulary(database, store_id))
            return Selection(query, {"a": {"a_1": "few", "a_2": "many"}}, **options)

        def send(self, where=None, limits=SMALL, **options):
            return send_changes(database, store_id, self.selection(where, **options), limits, print, 0.005)

        def show(self, where=None, path=None, **options):
            return show_changes(database, store_id, self.selection(where, **options), SMALL, path)

    made = Shop()
    made.store_id = store_id
    made.publish()
    return made


def everybody_once(api, n=N):
    sent = api.sent
    return sorted(sent) == [f"c{i:04d}" for i in range(n)] and {len(times) for times in sent.values()} == {1}


def posts(api):
    return [path for method, path, _ in api.requests if method == "POST"]


def test_everybody_once_and_then_only_changes(shop, api):
    shown = shop.show()
    assert (shown.changes.customers, shown.changes.jobs, shown.changes.without_address) == (N, 3, N)
    assert api.requests == []
    report = shop.send()
    assert (report.outcome.customers, report.outcome.requests) == (N, 3)
    assert everybody_once(api)
    assert api.sent["c0003"][0] == {
        "quimbi_churn_risk": 0.5, "quimbi_lifecycle": "active", "quimbi_lifecycle_previous": "none",
        "quimbi_value_tier": "top", "quimbi_value_tier_previous": "none",
        "quimbi_a": "few", "quimbi_a_previous": "none",
    }  # fmt: skip
    # The same list again makes no request at all.
    api.requests.clear()
    again = shop.send()
    assert (again.changes.customers, api.requests) == (0, [])
    # One moved: one profile, with what it was before and since when.
    shop.publish(lifecycle=["at risk"] + ["active"] * (N - 1), segments=["a_2"] + ["a_1"] * (N - 1))
    assert shop.send().outcome.customers == 1
    last = api.sent["c0000"][-1]
    assert (last["quimbi_lifecycle"], last["quimbi_lifecycle_previous"]) == ("at risk", "active")
    assert (last["quimbi_a"], last["quimbi_a_previous"]) == ("many", "few")
    assert last["quimbi_a_changed_at"].startswith("2024-06-01T12:00")
    assert last["quimbi_value_tier_previous"] == "none"
    # Out of every segment, which Klaviyo can only be told in a word.
    shop.publish(lifecycle=["at risk"] + ["active"] * (N - 1), segments=["a_2", *["a_1"] * (N - 2), None])
    assert shop.send().outcome.customers == 1
    assert api.sent["c0024"][-1]["quimbi_a"] == "none"
    assert api.sent["c0024"][-1]["quimbi_a_previous"] == "few"


@pytest.mark.parametrize("fault", ["429", "500", "cut", "drop", "cancelled"])
def test_faults_lose_nobody_and_send_nothing_twice(shop, api, database, fault):
    for number in range(5):  # jobs of yesterday, whose numbers say nothing of today's
        administer(
            database,
            "INSERT INTO quimbi.export_jobs (store_id, target, state, customers, remote_id, sent_at) "
            "VALUES (%s, 'klaviyo', 'done', 10, %s, now() - interval '1 day')",
            (shop.store_id, f"job-{number}"),
        )
    api.faults = [None, fault]
    report = shop.send()
    assert report.outcome.customers == N
    assert everybody_once(api)
    assert shop.show().changes.customers == 0


@pytest.mark.parametrize("wish", ["-1", "nan", "1e9", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_no_wish_of_the_service_raises_or_hangs(shop, api, monkeypatch, wish):
    monkeypatch.setattr(client, "LONGEST_PAUSE", 0.05)
    api.faults, api.retry_after = ["429"], wish
    assert shop.send().outcome.customers == N


def test_a_service_that_does_not_say_what_arrived_is_sent_it_again(shop, api):
    api.faults, api.lists = [None, "cut"], False
    assert shop.send().outcome.customers == N
    assert sorted(map(len, api.sent.values())) == [1] * 15 + [2] * 10


def test_a_service_that_never_answers(shop, api):
    api.faults = ["500"] * 99
    with pytest.raises(ServiceUnavailableError, match="goes on from here"):
        shop.send()
    assert api.sent == {}
    api.faults = []
    assert shop.send().open_jobs == 3
    assert everybody_once(api)


def test_a_dry_run_has_everybody_once_beside_open_jobs(shop, api, tmp_path):
    api.faults = ["500"] * 99
    with pytest.raises(ServiceUnavailableError):
        shop.send()
    report = shop.show(path=tmp_path / "profiles.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "profiles.jsonl").read_text().splitlines()]
    assert sorted(name_of(line) for line in lines) == [f"c{i:04d}" for i in range(N)]
    assert (report.changes.customers, report.open_jobs) == (N, 3)


def test_a_plan_is_of_one_publication(shop, api, monkeypatch):
    """What is published between two statements of a plan is sent by the next."""

    def and_meanwhile(*arguments):
        take_contacts(*arguments)
        shop.publish(lifecycle=["lost"] * N)

    monkeypatch.setattr(sender, "take_contacts", and_meanwhile)
    shop.send()
    assert {properties[0]["quimbi_lifecycle"] for properties in api.sent.values()} == {"active"}


def test_what_the_import_refuses_is_kept_with_the_reason_and_not_sent_again(shop, api):
    api.bad = {"c0004", "c0024"}
    report = shop.send()
    assert report.refused == [("c0004", "Invalid email address"), ("c0024", "Invalid email address")]
    assert report.outcome.customers == N - 2
    api.requests.clear()
    assert len(shop.send().refused) == 2
    assert api.requests == []


def test_a_request_refused_for_one_profile_is_halved_until_it_is_that_one(shop, api):
    api.poison = {"c0013"}
    report = shop.send()
    assert report.refused == [("c0013", "Invalid email address")]
    api.poison = set()
    assert sorted(api.sent) == [f"c{i:04d}" for i in range(N) if i != 13]
    assert {len(times) for times in api.sent.values()} == {1}


def test_wrong_key_and_none(shop, api, monkeypatch, database):
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
    with pytest.raises(BadInputError, match="refuses the key") as error:
        shop.send()
    assert "pk_wrong" not in str(error.value)
    monkeypatch.delenv("KLAVIYO_API_KEY")
    with pytest.raises(BadInputError, match="KLAVIYO_API_KEY is not set"):
        shop.send()
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_test")
    with outbox.only_sender(database, shop.store_id, "klaviyo"), pytest.raises(StoreBusyError, match="another process"):
        shop.send()
    shop.send()
    assert everybody_once(api)


@pytest.mark.parametrize("page", [b"<html>Welcome to the proxy</html>", b"[]"])
def test_what_does_not_answer_as_klaviyo_does_is_one_line(shop, api, monkeypatch, page):
    api.page = page
    with pytest.raises(ServiceUnavailableError, match=r"^http://127[^\n]* does not answer as Klaviyo does[^\n]*$"):
        shop.send()
    api.page = None
    shop.send()
    assert everybody_once(api)


@pytest.mark.parametrize("address", ["klaviyo", "ftp://host", "https://", "https://ann:s3cret@host", "http://[1"])
def test_an_address_that_is_none_is_refused_at_once(shop, api, monkeypatch, address):
    monkeypatch.setenv("KLAVIYO_BASE_URL", address)
    with pytest.raises(BadInputError, match="KLAVIYO_BASE_URL is no address") as error:
        shop.send()
    assert "s3cret" not in str(error.value)


def test_nobody_suppressed_is_sent_not_even_by_a_job_of_before(shop, api, database):
    consent = "INSERT INTO quimbi.customer_consent VALUES (%s, %s, %s, %s, now())"
    administer(database, consent, (shop.store_id, "c0001", False, None))
    api.faults = ["500"] * 99
    with pytest.raises(ServiceUnavailableError):
        shop.send()
    administer(database, consent, (shop.store_id, "c0002", True, True))
    api.faults = []
    assert shop.send().outcome.customers == N - 2
    assert not {"c0001", "c0002"} & set(api.sent)


def test_who_is_suppressed_after_being_sent_becomes_nothing_once(shop, api, database):
    shop.send()
    consent = "INSERT INTO quimbi.customer_consent VALUES (%s, 'c0002', true, true, now())"
    administer(database, consent, (shop.store_id,))
    shop.publish(lifecycle=["active", "active", "lost"] + ["active"] * (N - 3))
    api.faults = ["500"] * 99
    with pytest.raises(ServiceUnavailableError):
        shop.send()
    api.faults = []
    assert shop.send().outcome.customers == 1
    (profile,) = api.jobs[-1]["profiles"]
    facts = profile["attributes"]
    assert (facts.keys(), facts["external_id"]) == ({"external_id", "properties"}, "c0002")
    now = {name: fact for name, fact in facts["properties"].items() if not name.endswith(("_previous", "_changed_at"))}
    assert now == dict.fromkeys(("quimbi_churn_risk", "quimbi_lifecycle", "quimbi_value_tier", "quimbi_a"), "none")
    api.requests.clear()
    assert (shop.send().changes.customers, api.requests) == (0, [])
    administer(database, "DELETE FROM quimbi.customer_consent WHERE store_id = %s", (shop.store_id,))
    assert shop.send().outcome.customers == 1
    assert api.sent["c0002"][-1]["quimbi_lifecycle"] == "lost"


def test_a_list_of_contacts_finds_whoever_an_address_is_the_id_of_and_no_key_is_made(shop, tmp_path, database):
    shop.publish(1, customer_id=pa.array(["ann@example.com"]))
    database.execute(
        shop.store_id,
        "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
        "VALUES (%s, 'o1', 'ann@example.com', '2024-01-01', 1)",
        (shop.store_id,),
    )
    contacts = tmp_path / "c.csv"
    contacts.write_text("email,phone\nAnn@Example.com,+442079460958\n")
    assert shop.send(contacts=contacts).outcome.customers == 1
    assert not (database.home / "keys" / f"{shop.store_id}.key").exists()
    known = "SELECT count(*) FROM quimbi.customer_identities WHERE store_id = %s"
    assert database.execute(shop.store_id, known, (shop.store_id,)) == [(0,)]


def test_who_is_suppressed_is_told_of_by_the_address_of_before_alone(shop, api, tmp_path, database):
    shop.publish(2, customer_id=pa.array(["c1", "c2"]))
    administer(
        database,
        "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
        "VALUES (%s, 'c1', 'c1', '2024-01-01', 1)",
        (shop.store_id,),
    )
    contacts = tmp_path / "c.csv"
    contacts.write_text("customer_id,email,phone\nc1,ann@example.com,+442079460958\n")
    assert shop.send(contacts=contacts).outcome.customers == 2
    contacts.write_text("customer_id,email,phone,suppressed\nc1,other@example.com,+442079460958,yes\n")
    assert shop.send(contacts=contacts).changes.customers == 0
    contacts.write_text("customer_id,email,phone,suppressed\nc1,ann@example.com,+442079460958,yes\n")
    assert shop.send(contacts=contacts).outcome.customers == 1
    (profile,) = api.jobs[-1]["profiles"]
    assert profile["attributes"].keys() == {"email", "properties"}
    assert profile["attributes"]["properties"]["quimbi_lifecycle"] == "none"
    assert shop.send(contacts=contacts).changes.customers == 0


def test_an_audience_tells_who_left_it(shop, api):
    big = {"where": "value > 20", "audience": "big"}
    assert shop.send(**big).outcome.customers == 3
    assert api.sent["c0024"][-1]["quimbi_audience_big"] == "in"
    values = [None, *range(N - 2), 0]
    shop.publish(lifetime_value=pa.array(values, pa.float64()))
    assert shop.send(**big).outcome.customers == 1
    assert api.sent["c0024"][-1]["quimbi_audience_big"] == "none"
    assert api.sent["c0024"][-1]["quimbi_audience_big_previous"] == "in"


def test_the_control_group_hears_nothing_and_is_written_down(shop, api, database):
    group = Group("audience/big", Trial(control=0.3), compile_filter(None, read_vocabulary(database, shop.store_id)))
    arms = "SELECT customer_id, arm, acted_at IS NOT NULL FROM quimbi.treatments WHERE store_id = %s"
    shown = shop.show(audience="big", group=group)
    assert administer(database, arms, (shop.store_id,)) == []
    report = shop.send(audience="big", group=group)
    rows = administer(database, arms, (shop.store_id,))
    controls = {customer for customer, arm, _ in rows if arm == "control"}
    assert len(rows) == N
    assert controls == {one for one, _, _ in rows if in_control(shop.store_id, "audience/big", one, 0.3)}
    assert report.controls == shown.controls == len(controls) > 0
    assert set(api.sent) == {one for one, _, _ in rows} - controls
    assert all(is_acted == (arm == "acted") for _, arm, is_acted in rows)
    assert shop.send(audience="big", group=group).changes.customers == 0


def test_addresses_are_used_where_they_are_known(shop, api, tmp_path, database):
    shop.publish(3, customer_id=pa.array(["c1", "c2", "Di@Example.com"]))
    for customer in ("c1", "c2"):
        administer(
            database,
            "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
            "VALUES (%s, %s, %s, '2024-01-01', 1)",
            (shop.store_id, customer, customer),
        )
    (tmp_path / "c.csv").write_text("customer_id,email,phone\nc1,Ann@Example.com,+442079460958\n")
    report = shop.send(contacts=tmp_path / "c.csv")
    assert (report.outcome.customers, report.changes.without_address) == (3, 1)
    facts = [profile["attributes"] for job in api.jobs for profile in job["profiles"]]
    known_by = [{name: fact[name] for name in fact if name != "properties"} for fact in facts]
    assert sorted(known_by, key=str) == sorted(
        [{"email": "di@example.com"}, {"email": "ann@example.com", "phone_number": "+442079460958"},
         {"external_id": "c2"}], key=str
    )  # fmt: skip


def test_killed_and_begun_again(shop, api, home):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "QUIMBI_HOME": str(home)}
    command = [sys.executable, "-c", ALONE, shop.store_id]
    # Killed when the second request has arrived, and its answer has not; then again before any answer to the third.
    for faults in ([None, "hang"], ["hang"]):
        api.faults = list(faults)
        api.arrived.clear()
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as sending:
            arrived = api.arrived.wait(30)
            sending.send_signal(signal.SIGKILL)
            assert arrived, sending.stderr.read()
    report = shop.send()
    assert report.open_jobs == 3
    assert everybody_once(api)
    assert shop.show().changes.customers == 0
