"""Tickets from a local Gorgias: every one once, within the account's limit, whatever happens on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.cli import _code
from quimbi_assets.definitions import build_defs
from quimbi_assets.defs.partitions import HELPDESK_KEY, SOURCE_KEY, STORES, TICKETS_KEY
from quimbi_assets.defs.sources import pulled_orders, pulled_tickets
from quimbi_assets.errors import BadInputError, ServiceUnavailableError, StoreBusyError
from quimbi_assets.resources.dagster_resources import Progress
from quimbi_assets.resources.gorgias.client import Account, Client
from quimbi_assets.resources.gorgias.puller import Mark, pull_tickets, show_pull
from quimbi_assets.resources.pauses import Pace
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.outbox import only_sender
from quimbi_assets.resources.postgres.tables.shops import NewestOrders, shops_health
from quimbi_assets.resources.postgres.tables.sources import keep_source, read_sources
from quimbi_assets.resources.postgres.tables.stores import read_change
from quimbi_assets_tests.administrator import administer, administering
from quimbi_assets_tests.gorgias_api import BEGIN, GorgiasApi, written
from quimbi_assets_tests.resources.published import publish

NUMBERS = count()
EMAILS = [f"c{number}@example.com" for number in range(20)]
STRANGERS = [f"s{number}@example.com" for number in range(5)]
N = 1_050
PERIOD = 0.5
ALONE = """
import sys
from quimbi_assets.resources.gorgias.client import Account, Client
from quimbi_assets.resources.gorgias.puller import pull_tickets
from quimbi_assets.resources.postgres.database import open_database
pull_tickets(open_database(), sys.argv[1], period=0.5, pause=0.05)
"""


@pytest.fixture
def api(monkeypatch):
    with GorgiasApi(period=PERIOD).connected(monkeypatch) as server:
        yield server


def make_shop(database, tmp_path, with_emails=True):
    store_id = f"gorgias-{next(NUMBERS)}"
    orders = pd.DataFrame(
        {
            "order_id": [f"{store_id}-{number}" for number in range(20)],
            "customer_id": [f"shop-{number}" for number in range(20)],
            "order_date": "2024-02-01T10:00:00Z",
            "total_price": 10.0,
        }
    )
    orders = orders.assign(email=EMAILS) if with_emails else orders
    orders.to_csv(tmp_path / "orders.csv", index=False)
    load_store(database, store_id, tmp_path / "orders.csv")
    return store_id


@pytest.fixture
def shop(database, tmp_path):
    """A store of twenty customers, whose addresses its orders hold."""
    return make_shop(database, tmp_path)


def pull(database, store_id, **options):
    return pull_tickets(database, store_id, period=PERIOD, pause=0.05, **options)


def stored(database, store_id):
    rows = database.execute(
        store_id,
        "SELECT ticket_id, created_at, priority, first_response_at, reopen_count, satisfaction_score "
        "FROM quimbi.support_tickets WHERE store_id = %s",
        (store_id,),
    )
    return {row[0]: (*row[1:4], int(row[4]), row[5] and int(row[5])) for row in rows}


def test_every_ticket_once_and_then_a_handful_of_calls(database, api, shop):
    now = datetime.now(UTC)
    api.fill(N, EMAILS + STRANGERS, last=now - timedelta(days=1))
    api.faults = {5: "429", 9: "cut", 14: "502", 20: "cut", 33: "429"}
    report = pull(database, shop)
    assert stored(database, shop) == api.expected()
    assert api.over == 0
    assert report.written["tickets"].new == N - len(api.left_out)
    assert sum(report.left_out.values()) == len(api.left_out)
    assert set(report.left_out) == {"spam", "in the trash", "the store wrote first"}
    assert report.meeting.customers == 20
    assert report.meeting.share == pytest.approx(0.8, abs=0.01)
    changed_at = read_change(database, shop)

    again = pull(database, shop)
    assert again.calls <= 6
    assert not any(again.written.values())
    assert read_change(database, shop) == changed_at  # nothing new is no change


def test_many_changes_of_late_are_not_walked_again_and_again(database, api, shop):
    """More than a page of them lies within what is read again for the sake of clocks."""
    api.fill(N, EMAILS)
    pull(database, shop)
    now = datetime.now(UTC)
    for ticket_id in range(1, 300):
        api.change(ticket_id, now - timedelta(seconds=ticket_id), priority="high")
    assert pull(database, shop).calls <= 12  # three pages of tickets, then one, and a page of each other list twice
    again = pull(database, shop)
    assert (again.calls <= 7, any(again.written.values())) == (True, False)
    api.change(300, now + timedelta(seconds=1), priority="high")
    once_more = pull(database, shop)
    assert (once_more.calls <= 12, once_more.written["tickets"].changed) == (True, 1)
    assert stored(database, shop) == api.expected()


def test_what_is_written_of_a_ticket(database, api, shop):
    api.fill(40, EMAILS)
    pull(database, shop)
    rows = database.query(
        EVERY_STORE,
        "SELECT ticket_id, customer_id, status, resolved_at, subject, tags, channel FROM quimbi.support_tickets "
        "WHERE store_id = %s",
        (shop,),
    ).set_index("ticket_id")
    first = rows.loc["1"]
    assert (first["customer_id"], first["status"], first["channel"]) == ("shop-0", "closed", "chat")
    assert first["subject"] == "Where is № 1, \N{WAVING HAND SIGN}?"
    assert rows.loc["2", "tags"] == "refund  late, größe"  # a comma within a tag would make two of it
    assert first["resolved_at"] == pd.Timestamp("2024-03-01 01:31", tz="UTC")
    # An agent wrote last: it waits for the customer. Nobody has answered the eighth.
    assert (rows.loc["4", "status"], rows.loc["8", "status"]) == ("pending", "open")
    assert pd.isna(rows.loc["4", "resolved_at"])
    assert not rows["customer_id"].str.contains("@").any()


def test_updates_between_two_pages_are_not_missed(database, api, shop):
    api.fill(N, EMAILS)
    pull(database, shop)
    now = datetime.now(UTC)
    for ticket_id in range(1, 300):  # three pages have changed
        api.change(ticket_id, now - timedelta(seconds=ticket_id), priority="high")

    def during():
        for ticket_id in range(280, 290):  # not read yet, and above what was read by then
            api.change(ticket_id, now + timedelta(seconds=1), priority="critical")
        api.write_ticket(now + timedelta(seconds=2), EMAILS[0])

    api.then = {len(api.calls) + 1: during}
    pull(database, shop)
    assert stored(database, shop) == api.expected()


def test_what_is_written_late_is_read_however_much_changes_meanwhile(database, api, shop):
    """A pull goes on from what its first walk saw, not its last."""
    api.fill(N, EMAILS, last=datetime.now(UTC) - timedelta(days=1))
    pull(database, shop)
    first = datetime.now(UTC) - timedelta(minutes=30)
    for ticket_id in range(1, 300):
        api.change(ticket_id, first - timedelta(milliseconds=ticket_id), priority="high")

    def during():  # the newest moves on by far more than is read again, and one is written late
        api.change(1, first + timedelta(minutes=25), priority="critical")

    api.then = {len(api.calls) + 1: during}
    pull(database, shop)
    for ticket_id in range(400, 410):
        api.change(ticket_id, first - timedelta(minutes=5), priority="critical")
    pull(database, shop)
    assert stored(database, shop) == api.expected()


def test_a_backfill_sees_what_changes_behind_it(database, api, shop):
    api.fill(400, EMAILS)
    later = datetime(2026, 1, 1, tzinfo=UTC)
    api.then = {
        4: lambda: api.change(1, later, priority="critical"),
        5: lambda: api.write_ticket(later, STRANGERS[0]),
        6: lambda: api.change(150, later, spam=True),
    }
    pull(database, shop)
    assert stored(database, shop) == api.expected()
    api.change(150, later + timedelta(days=1), spam=False)
    api.change(151, later + timedelta(days=1), trashed_datetime="2026-01-02T00:00:00")
    report = pull(database, shop)
    assert stored(database, shop) == api.expected()
    assert (report.written["tickets"].new, report.written["tickets"].removed) == (1, 1)
    assert sum(report.left_out.values()) == len(api.left_out)


def test_a_pull_that_is_killed_goes_on_where_it_was(database, api, shop):
    api.fill(N, EMAILS)
    arrived = [6, 20, 40]
    for calls in arrived:
        process = subprocess.Popen([sys.executable, "-c", ALONE, shop], env=os.environ)
        before = len(api.calls)
        deadline = time.monotonic() + 60
        while len(api.calls) < calls and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(api.calls) > before
    assert stored(database, shop).keys() <= api.expected().keys()
    pull(database, shop)
    assert stored(database, shop) == api.expected()
    tickets = [path for path in api.calls if path.startswith("/api/tickets") and "created" in path]
    assert len(tickets) <= 11 + 2 * len(arrived)  # a page read and not stored is read again, no other
    assert api.over == 0


def test_a_cursor_that_gorgias_forgot_begins_the_list_anew(database, api, shop):
    api.fill(250, EMAILS)
    api.then = {3: lambda: setattr(api, "refuses_cursors", True)}
    with pytest.raises(BadInputError, match="refuses its own cursors"):
        pull(database, shop)
    assert 0 < len(stored(database, shop)) < 250
    api.refuses_cursors = False
    pull(database, shop)
    assert stored(database, shop) == api.expected()


def unspammed(database, api, shop, *ticket_ids):
    """Pull a store's tickets while these are spam, and take them for none, as somebody does who looks through it."""
    api.fill(600, EMAILS, last=datetime.now(UTC) - timedelta(days=1))
    for ticket_id in ticket_ids:
        api.lists["tickets"][ticket_id - 1]["spam"] = True
    pull(database, shop)
    for ticket_id in ticket_ids:
        api.change(ticket_id, datetime.now(UTC), spam=False)


@pytest.mark.parametrize("cut", ["502", "kill"])
def test_what_was_spam_is_caught_up_with_after_a_cut(database, api, shop, cut):
    unspammed(database, api, shop, 49, 63)
    at = len(api.calls) + 2
    if cut == "kill":
        process = subprocess.Popen([sys.executable, "-c", ALONE, shop], env=os.environ)
        api.then = {at + 3: lambda: os.kill(process.pid, signal.SIGKILL)}
        assert process.wait() == -signal.SIGKILL
    else:
        api.faults = dict.fromkeys(range(at + 3, at + 11), "502")  # all tries of the first one
        pull(database, shop)
        assert stored(database, shop)["63"] != api.expected()["63"]
        api.faults = {}
    assert stored(database, shop) != api.expected()
    pull(database, shop)
    assert stored(database, shop) == api.expected()
    assert pull(database, shop).calls <= 6


def test_what_was_spam_and_is_gone_keeps_nobody_waiting(database, api, shop, monkeypatch):
    unspammed(database, api, shop, 49, 51)
    answer = api._ticket
    gone = (404, {"error": {"msg": "gone"}}, {})
    monkeypatch.setattr(api, "_ticket", lambda number: gone if number == 51 else answer(number))
    pull(database, shop)
    assert stored(database, shop)["49"] == api.expected()["49"]


@pytest.mark.parametrize("status", [400, 403, 418])
def test_what_was_spam_and_is_refused_waits_and_keeps_nobody_else_waiting(database, api, shop, monkeypatch, status):
    unspammed(database, api, shop, 49, 51)
    answer, refused = api._ticket, (status, {"error": {"msg": "not now"}}, {})
    with monkeypatch.context() as patched:
        patched.setattr(api, "_ticket", lambda number: refused if number == 49 else answer(number))
        for expected in (["51", "49"], ["49"]):
            pull(database, shop)
            assert Mark.from_json(read_sources(database, shop)[0].mark).to_catch_up == expected
        assert stored(database, shop)["51"] == api.expected()["51"]
    pull(database, shop)
    assert stored(database, shop) == api.expected()


def test_who_is_erased_is_not_caught_up_with(database, api, shop):
    api.fill(30, EMAILS)
    pull(database, shop)
    (source,) = read_sources(database, shop)
    theirs = [
        ticket
        for (ticket,) in database.execute(
            shop, "SELECT ticket_id FROM quimbi.support_tickets WHERE store_id = %s AND customer_id = 'shop-3'", (shop,)
        )
    ]
    other = next(str(n) for n in range(1, 31) if str(n) not in theirs)
    mark = Mark.from_json(source.mark)
    mark.to_catch_up = [*theirs, other]
    keep_source(database, shop, source.source, None, mark.to_json())
    assert theirs
    assert _code(["erase", "--store-id", shop, "--email", EMAILS[3]]) == 0
    assert Mark.from_json(read_sources(database, shop)[0].mark).to_catch_up == [other]
    keep_source(database, shop, source.source, None, mark.to_json())  # as a pull that went on meanwhile notes it
    at = len(api.calls)
    pull(database, shop)
    assert Mark.from_json(read_sources(database, shop)[0].mark).to_catch_up == []
    assert [call for call in api.calls[at:] if "/tickets/" in call] == [f"/api/tickets/{other}"]


def test_an_account_without_tickets_is_read_when_it_has_some(database, api, shop):
    assert pull(database, shop).calls == 1
    api.fill(150, EMAILS, last=datetime.now(UTC) - timedelta(hours=1))
    pull(database, shop)
    assert stored(database, shop) == api.expected()


def test_a_cursor_that_is_forgotten_while_changes_are_read_begins_anew(database, api, shop):
    api.fill(600, EMAILS, last=datetime.now(UTC) - timedelta(days=1))
    pull(database, shop)
    now = datetime.now(UTC)
    for ticket_id in range(1, 250):
        api.change(ticket_id, now - timedelta(seconds=ticket_id), priority="high")
    n = len(api.calls)
    api.then = {
        n + 1 + refuses: lambda refuses=refuses: setattr(api, "refuses_cursors", not refuses) for refuses in (0, 1)
    }
    pull(database, shop)
    assert (stored(database, shop), api.then) == (api.expected(), {})


def test_reading_everything_again_tells_runs_what_a_call_brought(database, api, shop):
    api.fill(60, EMAILS)
    before = read_change(database, shop)
    pull(database, shop, is_due=False)
    assert read_change(database, shop) == before
    pull(database, shop, full=True)
    assert read_change(database, shop) != before


def test_other_apps_of_the_shop_are_left_their_part(database, api, shop):
    api.fill(300, EMAILS)

    def others():
        api._level = api.capacity - 2.0

    api.then = {4: others, 8: others}
    pull(database, shop)
    assert api.over == 0
    assert stored(database, shop) == api.expected()


def test_late_ratings_are_read_for_sixty_days(database, api, shop, monkeypatch):
    now = datetime.now(UTC)
    api.fill(900, EMAILS, last=now - timedelta(days=1))  # 300 surveys: three pages
    pull(database, shop)
    survey = next(one for one in api.lists["satisfaction-surveys"] if one["score"] is None)
    survey["score"] = 2  # nothing says that it was answered
    pull(database, shop)
    assert stored(database, shop)[str(survey["ticket_id"])][4] is None  # the days are read once a day
    monkeypatch.setattr("quimbi_assets.resources.gorgias.puller.SURVEYS_EVERY", pd.Timedelta(0))
    report = pull(database, shop)
    assert report.written["surveys"].changed == 1
    assert stored(database, shop) == api.expected()


def test_writers_are_met_by_the_shops_id_and_merged_ones_through_who_they_are_now(database, api, tmp_path):
    shop = make_shop(database, tmp_path, with_emails=False)
    api.fill(40, EMAILS)
    report = pull(database, shop)
    assert report.meeting.of_customers == 0
    assert any("fewer than half" in line for line in report.lines())
    ids = {one["email"]: one["id"] for one in api.customers.values()}
    api.shop_ids = {number: f"shop-{place}" for place, number in enumerate(ids.values())}
    api.merged[ids[EMAILS[3]]] = ids[EMAILS[4]]
    report = pull(database, shop, look_up=10)
    assert report.looked_up == (10, 10)
    report = pull(database, shop, look_up=100)
    assert report.looked_up == (10, 10)
    assert (report.meeting.share, report.meeting.customers) == (1.0, 19)
    whose = dict(
        database.execute(
            EVERY_STORE, "SELECT ticket_id, customer_id FROM quimbi.support_tickets WHERE store_id = %s", (shop,)
        )
    )
    assert whose["4"] == whose["5"] == "shop-4"
    assert pull(database, shop, look_up=100).looked_up == (0, 0)  # each once
    again = datetime.now(UTC)
    api.change(4, again)  # told anew with the old address, it stays whose it is
    pull(database, shop)
    assert database.execute(
        EVERY_STORE, "SELECT customer_id FROM quimbi.support_tickets WHERE store_id = %s AND ticket_id = '4'", (shop,)
    ) == [("shop-4",)]


def test_orders_that_come_later_bring_their_tickets_customers(database, api, tmp_path):
    shop = make_shop(database, tmp_path, with_emails=False)
    api.fill(40, EMAILS)
    pull(database, shop)
    orders = pd.read_csv(tmp_path / "orders.csv").assign(email=EMAILS)
    orders.to_csv(tmp_path / "orders.csv", index=False)
    load_store(database, shop, tmp_path / "orders.csv")
    assert pull(database, shop).meeting.share == 1.0
    known = database.execute(
        EVERY_STORE, "SELECT customer_id FROM quimbi.helpdesk_customers WHERE store_id = %s", (shop,)
    )
    assert {customer for (customer,) in known} == {f"shop-{number}" for number in range(20)}


def test_a_dry_run_stores_nothing(database, api, shop):
    api.fill(250, EMAILS)
    key = database.home / "keys" / f"{shop}.key"
    key.unlink()
    report = show_pull(database, shop)
    assert report.calls == 1
    assert 90 < report.written["tickets"].new <= 100
    assert report.lines()[0].startswith("gorgias:acme: dry run, nothing was stored")
    assert stored(database, shop) == {}
    assert read_sources(database, shop) == []
    assert not key.exists()


def test_what_cannot_be_is_one_line_without_the_key(database, api, shop, monkeypatch):
    monkeypatch.setenv("GORGIAS_API_KEY", "s3cret")
    with pytest.raises(BadInputError, match="Gorgias refuses GORGIAS_EMAIL and GORGIAS_API_KEY") as raised:
        pull(database, shop)
    assert "s3cret" not in str(raised.value)
    monkeypatch.delenv("GORGIAS_API_KEY")
    with pytest.raises(BadInputError, match=r"GORGIAS_API_KEY not set: .* Settings > REST API"):
        pull(database, shop)
    with pytest.raises(BadInputError, match="unknown store"):
        pull(database, "no-such-shop")


def test_a_store_may_have_an_account_of_its_own(database, api, shop, monkeypatch):
    suffix = shop.upper().replace("-", "_")
    monkeypatch.setenv(f"GORGIAS_DOMAIN_{suffix}", "other")
    with pytest.raises(BadInputError, match=f"GORGIAS_EMAIL_{suffix}, GORGIAS_API_KEY_{suffix} not set"):
        pull(database, shop)
    monkeypatch.setenv(f"GORGIAS_EMAIL_{suffix}", "ann@acme.example")
    monkeypatch.setenv(f"GORGIAS_API_KEY_{suffix}", "key")
    assert pull(database, shop).account == "gorgias:other"


def test_two_stores_do_not_share_an_account_by_their_names(database, api, shop, monkeypatch):
    suffix, alike = shop.upper().replace("-", "_"), shop.replace("-", ".")
    administer(database, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES (%s, 'UTC')", (alike,))
    pull(database, shop)  # the account without a suffix is every store's
    for name in ("DOMAIN", "EMAIL", "API_KEY"):
        monkeypatch.setenv(f"GORGIAS_{name}_{suffix}", os.environ[f"GORGIAS_{name}"])
    with pytest.raises(
        BadInputError, match=f"GORGIAS_DOMAIN_{suffix} would be that of store {shop} and of store"
    ) as no:
        pull(database, shop)
    assert f"store {alike}: load one of the two under an id that differs in letters or digits" in str(no.value)


def test_two_processes_do_not_pull_at_once(database, api, shop):
    with only_sender(database, shop, "gorgias:acme"), pytest.raises(StoreBusyError, match="being pulled by another"):
        pull(database, shop)


def test_what_does_not_answer_is_told(database, api, shop):
    api.faults = dict.fromkeys(range(1, 30), "502")
    with pytest.raises(ServiceUnavailableError, match=r"status 502, 8 times.*the same command goes on"):
        pull_tickets(database, shop, period=PERIOD, pause=0.001)


@pytest.mark.parametrize(
    ("fault", "number", "last"), [("page", 4, 6), ("deep", 4, 6), ("stuck", 4, 4), ("circle", 5, 5)]
)
def test_what_is_no_answer_of_gorgias_is_told_soon_and_made_up_for(database, api, shop, fault, number, last):
    api.fill(450, EMAILS)
    api.faults = dict.fromkeys(range(number, number + 3), fault)
    with pytest.raises(ServiceUnavailableError, match="does not answer as Gorgias does"):
        pull(database, shop)
    assert len(api.calls) == last
    api.faults = {}
    pull(database, shop)
    assert stored(database, shop) == api.expected()


def test_what_is_no_answer_for_once_is_asked_for_again(database, api, shop):
    api.fill(450, EMAILS)
    api.faults = {2: "page", 4: "zip", 6: "deep"}
    pull(database, shop)
    assert stored(database, shop) == api.expected()


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("4000/40", [60.0]), ("9" * 400 + "/40", []), ("35/40", [])],
    ids=["beyond", "no-number", "a-little"],
)
def test_others_of_the_account_are_waited_for_a_minute_at_most(api, monkeypatch, limit, seconds):
    waits, lines = [], []
    monkeypatch.setattr(Pace, "hold", lambda _, seconds: waits.append(seconds))
    api.faults = {1: limit}
    account = Account("acme", "ann@acme.example", "key", os.environ["GORGIAS_BASE_URL"])
    with closing(Client(account, lines.append)) as client:
        assert next(client.pages("/tickets", {})) == ([], "")
    assert [wait for wait in waits if wait >= 5] == seconds
    assert lines == [f"waiting {wait:.0f} s before Gorgias is asked again" for wait in seconds]


def test_what_is_misshapen_on_a_page_is_left_out_and_all_others_are_stored(database, api, shop):
    api.fill(120, EMAILS, last=datetime.now(UTC) - timedelta(days=1))
    unreadable = [{"created_datetime": "0001-01-01T00:00:00+05:00"}, {"created_datetime": "9999-12-31T23:59:59-05:00"},
                  {"created_datetime": [1]}, {"id": "x" * 501}, {"id": ""}, {"id": [1]},
                  {"id": "a\0b"}, {"id": "\ud800"}]  # fmt: skip
    readable = [{"tags": [None]}, {"tags": ["refund"]}, {"customer": "ann"}, {"customer": {"id": "x" * 501}},
                {"closed_datetime": "0001-01-01T00:00:00+05:00"}, {"updated_datetime": "0001-01-01T00:00:00+05:00"},
                {"subject": 'a\n\\.\n"b'}]  # fmt: skip
    about = [{"ticket_id": [1], "object_id": [1]}, {"id": "x" * 501}, {"sent_datetime": [1]}, {"score": [1]},
             {"created_datetime": "0001-01-01T00:00:00+05:00", "sent_datetime": "0001-01-01"}]  # fmt: skip
    usual = {name: {**api.lists[name][5], "id": "none", "type": "ticket-reopened", "from_agent": True,
                    "ticket_id": "none", "object_id": "none"} for name in api.lists if api.lists[name]}  # fmt: skip
    misshapen = {name: [None, "text", [1], *({**one, **facts} for facts in about)] for name, one in usual.items()}
    misshapen["tickets"] = [None, "text", [1]] + [
        {**api.lists["tickets"][0], "id": f"made-{number}", **facts}
        for number, facts in enumerate([*readable, *unreadable, {"id": 'a"b', "spam": True}])
    ]
    rows = api._rows

    def mixed(name, order, kind):
        well_formed = rows(name, order, kind)
        return [*well_formed[:50], *misshapen[name], *well_formed[50:]]

    api._rows = mixed
    for _ in range(2):
        report = pull(database, shop)
        tickets = stored(database, shop)
        assert {number: row for number, row in tickets.items() if not number.startswith("made")} == api.expected()
        assert len(tickets) == len(api.expected()) + len(readable)
        assert report.left_out["id or created_datetime is missing or cannot be read"] == len(unreadable)
        assert sum(report.left_out.values()) == len(api.left_out) + len(unreadable) + 1


def test_a_ticket_of_the_far_future_hides_no_change(database, api, shop):
    now = datetime.now(UTC)
    api.fill(300, EMAILS, last=now - timedelta(days=1))
    api.change(7, now + timedelta(days=30_000))
    pull(database, shop)
    for ticket_id in range(10, 290):  # more than a page
        api.change(ticket_id, now - timedelta(seconds=ticket_id), priority="critical")
    pull(database, shop)
    assert stored(database, shop) == api.expected()
    (known,) = read_sources(
        database, shop
    )  # up to a change, not up to the walk's end: what it missed has changed since
    assert abs(pd.Timestamp(Mark.from_json(known.mark).newest) - (now - timedelta(seconds=10))) < timedelta(seconds=1)


def test_a_ticket_that_is_listed_twice_is_stored_once(database, api, shop):
    api.fill(250, EMAILS)
    first = api.lists["tickets"][0]
    twice = {
        **first,
        "status": "open",
        "closed_datetime": None,
        "created_datetime": written(BEGIN + timedelta(hours=220)),
    }
    api.lists["tickets"].append(twice)  # on the third page, as it was before
    pull(database, shop)
    assert stored(database, shop).keys() == api.expected().keys()


def test_a_clock_that_was_set_back_reads_late_ratings_again(database, api, shop):
    now = datetime.now(UTC)
    api.fill(30, EMAILS, last=now - timedelta(days=1))
    pull(database, shop)
    (known,) = read_sources(database, shop)
    mark = Mark.from_json(known.mark)
    mark.surveys_at = (pd.Timestamp(now) + pd.Timedelta(days=3_000)).isoformat()
    keep_source(database, shop, known.source, None, mark.to_json())
    survey = next(one for one in api.lists["satisfaction-surveys"] if one["score"] is None)
    survey["score"] = 1
    assert pull(database, shop).written["surveys"].changed == 1


@pytest.mark.parametrize("days", [0.9, 7, 90])
def test_a_rating_that_came_late_before_a_pause_is_read_after_it(database, api, shop, days):
    """Written sixty days before the pull that was last, answered after it: where as many lie around it as on a page."""
    now = datetime.now(UTC)
    last = now - timedelta(days=days)
    api.fill(N, EMAILS, last=last - timedelta(hours=5))
    asked = last - timedelta(days=59, hours=12)
    rated = {one["ticket_id"] for one in api.lists["satisfaction-surveys"]} | {int(one) for one in api.left_out}
    late, *others = (number for number in range(1, N) if number not in rated)
    for number in others[:400]:
        api.ask(number, last - timedelta(hours=4 * number % 1_400), None)
    api.ask(late, asked, None)
    pull(database, shop)
    (source,) = read_sources(database, shop)
    mark = Mark.from_json(source.mark)
    mark.surveys_at = last.isoformat()
    keep_source(database, shop, source.source, None, mark.to_json())
    at = min(asked + timedelta(days=59, hours=20), now)
    api.lists["satisfaction-surveys"][-1] |= {"score": 2, "scored_datetime": written(at)}
    pull(database, shop)
    assert stored(database, shop) == api.expected()


def test_a_page_of_tickets_to_come_costs_a_page(database, api, shop):
    now = datetime.now(UTC)
    api.fill(N, EMAILS, last=now - timedelta(days=400))
    for ticket_id in range(1, 121):
        api.change(ticket_id, now + timedelta(days=3_000))
    pull(database, shop)
    for first in (200, 400, 600):
        for ticket_id in range(first, first + 100):
            api.change(ticket_id, datetime.now(UTC) - timedelta(seconds=1), priority="high")
        pull(database, shop)
    assert stored(database, shop) == api.expected()
    assert json.loads(read_sources(database, shop)[0].mark)["newest"] is not None


def test_the_asset_pulls_what_is_asked_for(database, api, shop, monkeypatch):
    api.fill(150, EMAILS)
    assert build_defs().resolve_asset_graph().get(TICKETS_KEY).parent_keys == {SOURCE_KEY, HELPDESK_KEY}

    def materialized():
        with dg.instance_for_test() as instance:
            instance.add_dynamic_partitions(str(STORES.name), [shop])
            resources = {"database": database, "progress": Progress()}
            result = dg.materialize(
                [pulled_orders, pulled_tickets], instance=instance, partition_key=shop, resources=resources
            )
            (event,) = (one for one in result.get_asset_materialization_events() if one.asset_key == HELPDESK_KEY)
            return {name: value.value for name, value in event.materialization.metadata.items()}

    assert materialized()["sources"] == 0
    pull(database, shop, every="hour")
    (known,) = read_sources(database, shop)
    assert (known.source.address, known.every, known.looked_at is None) == ("gorgias:acme", "hour", False)
    api.write_ticket(datetime(2026, 1, 1, tzinfo=UTC), STRANGERS[0])
    facts = materialized()
    assert (facts["new"], facts["sources"]) == (1, 1)
    assert facts["share_of_customers"] == pytest.approx(facts["tickets_of_customers"] / len(api.expected()), abs=1e-3)


def test_few_tickets_that_meet_a_customer_are_a_stores_problem(database, api, shop):
    api.fill(40, STRANGERS)
    pull(database, shop)
    (health,) = (one for one in shops_health(database, NewestOrders()) if one.store_id == shop)
    assert "only 0% of tickets meet a customer" in health.problems()


def test_the_command_says_what_it_did(database, api, shop, capsys):
    api.fill(20, EMAILS)
    assert _code(["gorgias", "pull", "--store-id", shop, "--dry-run"]) == 0
    assert "dry run, nothing was stored; of the tickets that changed last: 19 new" in capsys.readouterr().out
    assert _code(["gorgias", "pull", "--store-id", shop, "--every", "day"]) == 0
    told = capsys.readouterr().out
    assert "19 of 19 tickets (100%) belong to 19 customers with orders; 0 writers meet no order" in told
    assert f"next: quimbi run --store-id {shop}" in told
    assert _code(["gorgias", "pull", "--store-id", "nobody"]) == 2


def test_tickets_per_100_orders_and_ratings_by_segment(database, shop, capsys):
    publish(database, shop, 2, value_tier=pa.array(["top", "low"]), customer_id=pa.array(["shop-0", "shop-1"]))
    monday = "2024-01-29"  # of the orders, which were placed on a Thursday
    tickets = [("1", "shop-0", 5), ("2", "shop-0", 2), ("3", "shop-1", None), ("4", "shop-9", 1)]
    sql = (
        "INSERT INTO quimbi.support_tickets (store_id, ticket_id, customer_id, satisfaction_score, created_at) "
        "VALUES (%s, %s, %s, %s, %s)"
    )
    with administering(database) as cursor:
        cursor.executemany(sql, [(shop, *row, "2024-02-02 12:00Z") for row in tickets])
    view = "SELECT group_id, week::text, orders, tickets, ratings, mean_rating, tickets_per_100_orders::int "
    rows = administer(
        database,
        f"{view} FROM quimbi.support_by_segment WHERE store_id = %s AND axis_name = 'value_tier' ORDER BY 1",
        (shop,),
    )
    assert rows == [("low", monday, 1, 1, 0, None, 100), ("top", monday, 1, 2, 2, 3.5, 200)]
    support = ["gorgias", "support", "--store-id", shop]
    assert _code([*support, "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert known["last_day"] == "2024-01-28"  # of the week of the tickets neither Saturday nor Sunday is known
    assert not any(one["orders"] + one["tickets"] for one in known["groups"])
    an_order = (
        "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price, status) "
        "VALUES (%s, %s, 'shop-0', %s, 1, %s)"
    )
    with administering(database) as cursor:  # the next week has begun; what is no purchase counts nowhere
        cursor.execute(an_order, (shop, "monday", "2024-02-05 10:00Z", "paid"))
        cursor.execute(an_order, (shop, "off", "2024-02-01 10:00Z", "cancelled"))
        cursor.execute(an_order, (shop, "try", "2024-02-01 10:00Z", "test"))
        cursor.execute(sql, (shop, "monday", "shop-0", 1, "2024-02-05 12:00Z"))
    assert _code(support) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("the last 4 whole weeks, 8 Jan 2024 to 4 Feb 2024, by value_tier")
    assert lines[0].endswith("in brackets as long before, from 11 Dec 2023")
    assert " ".join(lines[1].split()) == "top 2 tickets: 200.0 per 100 orders, rated 3.5 of 5 by 2 ratings"
    assert " ".join(lines[2].split()) == "low 1 ticket: 100.0 per 100 orders, no rating"
    assert len(lines) == 3
    with administering(database) as cursor:  # a week later the same are what was before; that week ends on a Sunday
        cursor.executemany(an_order, [(shop, f"later-{n}", "2024-02-11 10:00Z", "paid") for n in range(3)])
        cursor.execute(sql, (shop, "sunday", "shop-9", None, "2024-02-11 23:00Z"))
    assert _code([*support, "--weeks", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    wanted = "top 1 ticket: 25.0 (200.0) per 100 orders, rated 1.0 (3.5) of 5 by 1 rating"
    assert lines[0].startswith("the last whole week, 5 Feb 2024 to 11 Feb 2024, by ")
    assert " ".join(lines[1].split()) == wanted
    assert " ".join(lines[2].split()) == "low 0 tickets: no orders, no rating"
    assert _code([*support, "--axis", "nothing"]) == 2
