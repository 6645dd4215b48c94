"""A local Gorgias is told who its customers are: only of those who changed, within the rate, and nothing by itself."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from quimbi_assets.cli import _code
from quimbi_assets.errors import BadInputError, ServiceUnavailableError
from quimbi_assets.exports.gorgias import RULES, field_of
from quimbi_assets.lift.assignment import in_control
from quimbi_assets.resources.gorgias import pusher
from quimbi_assets.resources.gorgias.pusher import install, push_fields, uninstall
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables.fields import TARGET
from quimbi_assets.resources.postgres.tables.outbox import only_sender
from quimbi_assets.resources.postgres.tables.treatments import read_trials
from quimbi_assets_tests.administrator import administer, administering
from quimbi_assets_tests.gorgias_api import GorgiasApi
from quimbi_assets_tests.resources.published import publish

N = 12
PERIOD = 0.5
NUMBERS = count()
ALONE = """
import sys
from quimbi_assets.resources.gorgias.pusher import push_fields
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
push_fields(open_database(), sys.argv[1], [], control=0.1, send=True, period=8.0, pause=0.05)
"""


@pytest.fixture
def api(monkeypatch):
    with GorgiasApi(period=PERIOD).connected(monkeypatch) as server:
        yield server


@pytest.fixture
def shop(database, api):
    """A store of twelve customers, ten of whom the helpdesk knows."""
    store_id = f"push-{next(NUMBERS)}"

    def made(lifecycle=("active",) * N, risk=(0.5,) * N, n=N):
        segments = pa.array([json.dumps({"a": "a_1"})] * n)
        publish(
            database, store_id, n, lifecycle=pa.array(lifecycle[:n]), value_tier=pa.array(["top"] * n),
            churn_risk_score=pa.array(risk[:n], pa.float64()), dominant_segments=segments,
        )  # fmt: skip
        return store_id

    made()
    numbers = [api.customer(f"c{n}@example.com")["id"] for n in range(10)]
    rows = [(store_id, str(number), f"c{n:04d}") for n, number in enumerate(numbers)]
    with administering(database) as cursor:
        sql = "INSERT INTO quimbi.helpdesk_customers (store_id, helpdesk_id, customer_id) VALUES (%s, %s, %s)"
        cursor.executemany(sql, rows)
    return made


def push(database, store_id, axes=(), **options):
    return push_fields(database, store_id, list(axes), period=PERIOD, pause=0.05, **{"send": True, **options})


def told_by(api):
    """What each customer's fields say by now, of those whom anything was ever said of."""
    known = {}
    for number, facts in api.told:
        known[number] = {
            name: value for name, value in ({**known.get(number, {}), **facts}).items() if value is not None
        }
    return known


def test_everybody_once_and_then_only_who_changed(database, api, shop):
    store_id = shop()
    shown = push(database, store_id, send=False)
    assert (shown.changed, shown.new, shown.taken, api.calls) == (10, 10, None, [])
    with pytest.raises(BadInputError, match="no Customer Field quimbi_lifecycle: quimbi gorgias install"):
        push(database, store_id)
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    api.faults = {len(api.calls) + 4: "429", len(api.calls) + 7: "cut"}
    report = push(database, store_id)
    assert (report.taken, report.refused, api.over) == (10, 0, 0)
    told = dict(api.told)
    facts = {"quimbi_lifecycle": "active", "quimbi_value_tier": "top", "quimbi_risk": "medium"}
    assert told == dict.fromkeys(told, facts)
    assert len(told) == 10
    api.told.clear()
    assert push(database, store_id).taken == 0
    assert api.told == []
    shop(lifecycle=["at risk", *["active"] * (N - 1)], risk=[0.5] * 5 + [0.9] + [0.5] * 6)
    assert push(database, store_id).taken == 2
    assert [facts["quimbi_lifecycle"] for _, facts in api.told] == ["at risk", "active"]
    assert [facts["quimbi_risk"] for _, facts in api.told] == ["medium", "high"]


def test_who_is_merged_or_gone_is_not_told_again_until_they_change(database, api, shop):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    first, second, *_ = api.customers
    api.merged[first] = second
    del api.customers[second]
    report = push(database, store_id)
    assert (report.taken, report.refused) == (8, 2)
    assert "not known to Gorgias any more: 2" in report.lines()[0]
    assert push(database, store_id).changed == 0
    third, fourth = list(api.customers)[1:3]
    api.merged[third] = fourth
    api.told.clear()
    shop(risk=[None] * N)  # of the one who is merged now something is to be taken back, too
    shown = push(database, store_id, send=False)
    assert (shown.changed, shown.calls) == (10, 20)
    report = push(database, store_id)
    assert (report.taken, report.refused) == (7, 3)
    assert len({number for number, _ in api.told}) == 7
    assert push(database, store_id).changed == 0


def answering(monkeypatch, api, which, *answer):
    """Let an account answer the requests ``(method, name)`` that are meant with a status, a value and headers."""
    change = api._change
    monkeypatch.setattr(
        api, "_change", lambda method, name, sent: answer if which(method, name) else change(method, name, sent)
    )


@pytest.mark.parametrize(
    ("status", "value", "headers"),
    [(200, "<html>Sign in</html>", {}), (302, "", {"Location": "https://sso.example/login?next=/api/customers/7"})],
)
def test_what_is_no_answer_of_gorgias_is_not_taken_for_told(database, api, shop, monkeypatch, status, value, headers):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    with monkeypatch.context() as patched:
        answering(patched, api, lambda method, _: method == "PUT", status, value, headers)
        with pytest.raises(ServiceUnavailableError, match="does not answer as Gorgias does"):
            push(database, store_id)
    assert push(database, store_id).taken == 10


@pytest.mark.parametrize("status", [200, 400, 422])
def test_one_who_is_refused_holds_up_nobody_and_is_told_again(database, api, shop, monkeypatch, status):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    push(database, store_id)
    shop(risk=[None] * 5 + [0.9] * 7)
    third = list(api.customers)[2]
    with monkeypatch.context() as patched:
        error = {"error": {"msg": "no such choice"}}
        answering(patched, api, lambda _, name: name.startswith(f"customers/{third}/"), status, error, {})
        report = push(database, store_id)
        assert (report.taken, report.rejected, report.refused) == (9, 1, 0)
        assert f"sent again by the next push: 1, first Gorgias refused /api/customers/{third}/" in report.lines()[1]
        assert f"no such choice (status {status})" in report.lines()[1]
    assert push(database, store_id).taken == 1
    assert told_by(api)[third] == {"quimbi_lifecycle": "active", "quimbi_value_tier": "top"}
    assert push(database, store_id).changed == 0


def test_a_push_of_which_gorgias_takes_nothing_ends(database, api, shop, monkeypatch):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    monkeypatch.setattr(pusher, "MOST_REJECTED", 3)
    for status in (400, 401):
        with monkeypatch.context() as patched:
            answering(patched, api, lambda method, _: method == "PUT", status, {"error": {"msg": "no"}}, {})
            with pytest.raises(BadInputError, match=f"status {status}"):
                push(database, store_id)
    assert push(database, store_id).taken == 10


def test_who_is_erased_meanwhile_is_not_told_of(database, api, shop):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    api.then = {len(api.calls) + 3: lambda: _code(["erase", "--store-id", store_id, "--customer-id", "c0004"])}
    report = push(database, store_id)
    assert (report.taken, report.refused, report.erased) == (9, 0, 1)
    assert "told 9 of 10; not customers any more, as whoever was erased meanwhile: 1" in report.lines()[0]
    assert list(api.customers)[4] not in dict(api.told)
    rows = "SELECT count(*) FROM quimbi.export_profiles WHERE store_id = %s"
    assert database.execute(store_id, rows, (store_id,)) == [(9,)]


def test_who_is_erased_while_they_are_told_of_is_not_written_down(database, api, shop):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    api.then = {len(api.calls) + 2: lambda: _code(["erase", "--store-id", store_id, "--customer-id", "c0000"])}
    push(database, store_id)
    rows = "SELECT count(*) FROM quimbi.export_profiles WHERE store_id = %s AND customer_id = 'c0000'"
    assert database.execute(store_id, rows, (store_id,)) == [(0,)]


def test_tickets_of_a_file_are_said_to_be_no_tickets_of_gorgias_s(database, api):
    store_id = "push-foreign"
    publish(database, store_id, 1)
    told = push(database, store_id, send=False).lines()
    assert "nobody who wrote to support is known" in told[1]
    with administering(database) as cursor:
        sql = (
            "INSERT INTO quimbi.support_tickets (store_id, ticket_id, customer_id, created_at) VALUES (%s, %s, %s, %s)"
        )
        cursor.execute(sql, (store_id, "1", "c0000", "2024-02-02 12:00Z"))
    told = push(database, store_id, send=False).lines()
    assert "these tickets did not come from Gorgias" in told[1]
    assert "quimbi gorgias pull" in told[1]


def test_what_is_not_known_any_more_is_taken_back(database, api, shop):
    store_id = shop()
    install(database, store_id, ["a"], None, None, print, dry_run=False, period=PERIOD)
    push(database, store_id, ["a"])
    shop(risk=[None, *[0.5] * (N - 1)], n=6)  # of the first the risk, of four whom the helpdesk knows everything
    shown = push(database, store_id, ["a"], send=False)
    assert (shown.changed, shown.new) == (5, 0)
    api.told.clear()
    assert push(database, store_id, ["a"]).taken == 5
    first, *_, last = api.customers
    assert {name: value for number, facts in api.told if number == first for name, value in facts.items()} == {
        "quimbi_risk": None, "quimbi_lifecycle": "active", "quimbi_value_tier": "top", "quimbi_a": "few",
    }  # fmt: skip
    labels = ("quimbi_a", "quimbi_lifecycle", "quimbi_risk", "quimbi_value_tier")
    assert [facts for number, facts in api.told if number == last] == [{label: None} for label in labels]
    assert push(database, store_id, ["a"]).changed == 0
    api.told.clear()
    assert push(database, store_id).taken == 6  # segments of an axis that is told no more
    assert {tuple(facts) for _, facts in api.told if None in facts.values()} == {("quimbi_a",)}
    assert api.over == 0


def test_whoever_is_left_out_is_told_nothing_of(database, api, shop):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    push(database, store_id)  # all of them, before anything is tried
    left_out = {f"c{n:04d}" for n in range(10) if in_control(store_id, TARGET, f"c{n:04d}", 0.4)}
    assert 0 < len(left_out) < 10
    shown = push(database, store_id, control=0.4, send=False)
    assert (shown.left_out, shown.changed) == (len(left_out), len(left_out))
    arms = "SELECT customer_id, arm, acted_at IS NOT NULL FROM quimbi.treatments WHERE store_id = %s ORDER BY 1"
    assert administer(database, arms, (store_id,)) == []  # shown, not begun
    report = push(database, store_id, control=0.4)
    assert f"left out to compare with: {len(left_out)} customers" in report.lines()[1]
    numbers = dict(zip((f"c{n:04d}" for n in range(10)), api.customers, strict=True))
    silent = {customer for customer, number in numbers.items() if told_by(api)[number] == {}}
    assert silent == left_out  # their fields were emptied: no rule finds them
    shop(lifecycle=["at risk"] * N)
    assert push(database, store_id).left_out == len(left_out)  # as before, though nobody says so again
    assert {customer for customer, number in numbers.items() if told_by(api)[number] == {}} == left_out
    assert {one: (arm, acted) for one, arm, acted in administer(database, arms, (store_id,))} == {
        customer: ("control", False) if customer in left_out else ("acted", True) for customer in numbers
    }
    assert push(database, store_id, control=0.0).left_out == 0
    assert all(facts["quimbi_lifecycle"] == "at risk" for facts in told_by(api).values())
    with pytest.raises(BadInputError, match=r"control 0\.9 cannot be used"):
        push(database, store_id, control=0.9)
    assert push(database, store_id, control=0.4).left_out == len(left_out)  # begun again, it goes on
    shop(lifecycle=["lapsed"] * N)
    assert push(database, store_id).left_out == len(left_out)
    assert {customer for customer, number in numbers.items() if told_by(api)[number] == {}} == left_out


def test_whoever_was_told_of_before_a_trial_is_reached(database, api, shop):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    push(database, store_id)
    push(database, store_id, control=0.4)
    (state,) = read_trials(database, store_id)
    assert state.reached == state.entered[0] > 0


def test_what_another_push_told_meanwhile_is_not_told_again(database, api, shop, monkeypatch):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)

    def after_another(*asked):
        with monkeypatch.context() as patch:
            patch.setattr(pusher, "only_sender", only_sender)
            assert push(database, store_id, control=0.4).taken > 0
        return only_sender(*asked)

    monkeypatch.setattr(pusher, "only_sender", after_another)
    report = push(database, store_id)
    assert report.changed == 0
    assert report.left_out > 0  # by the share that the other began with


def test_a_push_that_is_killed_tells_one_customer_once_more_at_most(database, api, shop):
    store_id = shop()
    install(database, store_id, [], None, None, print, dry_run=False, period=PERIOD)
    before = len(api.calls)
    process = subprocess.Popen([sys.executable, "-c", ALONE, store_id], env=os.environ)
    deadline = time.monotonic() + 60
    while len(api.told) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    n_told = len(api.told)
    assert 5 <= n_told < 10
    left_out = database.execute(EVERY_STORE, "SELECT count(*) FROM quimbi.treatments WHERE store_id = %s", (store_id,))
    assert left_out == [(10,)]  # who is acted on and who is not was written down before anything was told
    push(database, store_id)
    assert len(told_by(api)) == 10 - sum(in_control(store_id, TARGET, f"c{n:04d}", 0.1) for n in range(10))
    assert len(api.told) <= len(told_by(api)) + 1
    assert (api.over, len(api.calls) > before) == (0, True)


def test_what_is_installed_is_made_once_and_taken_away(database, api, shop):
    store_id = shop()
    card = ("https://us.example", "quimbi_token")
    wanted = install(database, store_id, ["a"], card, None, print, dry_run=True, period=PERIOD)
    assert len(wanted) == 6
    assert not any(api.lists[kind] for kind in ("custom-fields", "integrations", "widgets"))
    assert install(database, store_id, ["a"], card, None, print, dry_run=False, period=PERIOD) == wanted
    assert install(database, store_id, ["a"], card, None, print, dry_run=False, period=PERIOD) == []
    labels = [one["label"] for one in api.lists["custom-fields"]]
    assert labels == ["quimbi_lifecycle", "quimbi_value_tier", "quimbi_risk", "quimbi_a"]
    settings = api.lists["custom-fields"][0]["definition"]["input_settings"]
    assert settings["choices"] == ["new", "active", "slowing", "at risk", "lapsed", "lost"]
    (integration,), (widget,) = api.lists["integrations"], api.lists["widgets"]
    assert integration["http"]["url"] == "https://us.example/v1/gorgias/card?email={{ticket.customer.email}}"
    assert integration["http"]["headers"] == {"Authorization": "Bearer quimbi_token"}
    assert widget["integration_id"] == integration["id"]
    other = ("https://other.example", "quimbi_new")
    renewed = ["address and token of HTTP integration quimbi: who writes"]
    assert install(database, store_id, ["a"], other, None, print, dry_run=True, period=PERIOD) == renewed
    assert integration["http"]["headers"] == {"Authorization": "Bearer quimbi_token"}
    assert install(database, store_id, ["a"], other, None, print, dry_run=False, period=PERIOD) == renewed
    assert integration["http"]["headers"] == {"Authorization": "Bearer quimbi_new"}
    assert integration["http"]["url"].startswith("https://other.example/v1/gorgias/card?")
    assert (len(api.lists["integrations"]), len(api.lists["widgets"])) == (1, 1)
    api.lists["integrations"].append({**integration, "id": 9_999})  # two of one name
    assert len(uninstall(database, store_id, print, dry_run=True, period=PERIOD)) == 6
    assert len(uninstall(database, store_id, print, dry_run=False, period=PERIOD)) == 6
    assert (api.lists["integrations"], api.lists["widgets"]) == ([], [])
    assert all(one["deactivated_datetime"] for one in api.lists["custom-fields"])
    assert uninstall(database, store_id, print, dry_run=False, period=PERIOD) == []


def test_a_widget_that_was_not_made_is_made_by_the_same_command(database, api, shop):
    store_id, card = shop(), ("https://us.example", "quimbi_token")
    install(database, store_id, [], card, None, print, dry_run=False, period=PERIOD)
    theirs = {"id": 5, "integration_id": 77}
    api.lists["widgets"] = [{**api.lists["widgets"][0], **theirs}]  # killed before it, and another app's
    for dry_run in (True, False):
        assert install(database, store_id, [], card, None, print, dry_run=dry_run, period=PERIOD) == [
            "widget beside tickets"
        ]
    assert install(database, store_id, [], card, None, print, dry_run=False, period=PERIOD) == []
    (integration,), (_, widget) = api.lists["integrations"], api.lists["widgets"]
    assert widget["integration_id"] == integration["id"]
    uninstall(database, store_id, print, dry_run=False, period=PERIOD)
    assert [one["id"] for one in api.lists["widgets"]] == [5]


@pytest.mark.parametrize("number", [None, "7/../8", [7], True])
@pytest.mark.parametrize("kind", ["custom-fields", "integrations", "widgets"])
def test_what_has_no_number_is_no_answer_of_gorgias(database, api, shop, kind, number):
    store_id, card = shop(), ("https://us.example", "quimbi_token")
    install(database, store_id, [], card, None, print, dry_run=False, period=PERIOD)
    api.lists[kind][0]["id"] = number
    n = len(api.calls)
    for act in (lambda: install(database, store_id, [], card, None, print, dry_run=False, period=PERIOD),
                lambda: uninstall(database, store_id, print, dry_run=False, period=PERIOD)):  # fmt: skip
        with pytest.raises(ServiceUnavailableError, match="does not answer as Gorgias does"):
            act()
    assert not any(f"/{kind}/" in call for call in api.calls[n:])


@pytest.mark.parametrize("http", [["x"], "https://us.example"])
def test_an_integration_that_is_none_is_no_answer_of_gorgias(database, api, shop, monkeypatch, http):
    store_id, card = shop(), ("https://us.example", "quimbi_token")
    with monkeypatch.context() as patched:
        answering(patched, api, lambda _, name: name == "integrations", 201, {}, {})
        with pytest.raises(ServiceUnavailableError, match="does not answer as Gorgias does"):
            install(database, store_id, [], card, None, print, dry_run=False, period=PERIOD)
    install(database, store_id, [], card, None, print, dry_run=False, period=PERIOD)
    api.lists["integrations"][0]["http"] = http
    with pytest.raises(ServiceUnavailableError, match="does not answer as Gorgias does"):
        install(database, store_id, [], card, None, print, dry_run=False, period=PERIOD)


def test_ready_rules_ask_for_what_is_told_and_are_in_the_manual():
    """Fields and values of the rules are those that are made; what tells them is what rules ask for."""
    asked = re.findall(r"Customer Field quimbi_(\w+) is (\w+)", RULES)
    assert len(asked) == 4
    for name, value in asked:
        assert value in field_of(name)["definition"]["input_settings"]["choices"]
        assert field_of(name)["object_type"] == "Customer"
    manual = Path(__file__).parents[2] / "docs" / "howto" / "tickets.md"
    assert f"```text\n{RULES}\n```" in manual.read_text()


def test_the_queue_is_told_on_demand(database, api, shop, home, monkeypatch):
    store_id = shop()
    decided = "INSERT INTO quimbi.customer_actions (store_id, customer_id, rule, place, queue, as_of) VALUES "
    administer(database, decided + "(%s, 'c0003', 'r', 1, 'senior', now())", (store_id,))
    install(database, store_id, ["queue"], None, None, print, dry_run=False, period=PERIOD)
    push_fields(database, store_id, ["queue"], send=True, period=PERIOD)
    (number,) = (one["id"] for one in api.lists["custom-fields"] if one["label"] == "quimbi_queue")
    told = Counter(one.state["queue"] for one in told_of(database, store_id))
    assert told == {"general": 9, "senior": 1}
    assert number
    (line,) = push_fields(database, store_id, ["queue"], period=PERIOD).lines()[1:]
    assert line == "of 10 customers all is as they were last told"


def told_of(database, store_id):
    sql = "SELECT state FROM quimbi.export_profiles WHERE store_id = %s AND target = %s"
    states = [state for (state,) in database.execute(store_id, sql, (store_id, TARGET))]
    return [SimpleNamespace(state={name: one["name"] for name, one in state.items()}) for state in states]


def test_commands_show_first(database, api, shop, capsys, monkeypatch):
    store_id = shop()
    assert _code(["gorgias", "push", "--store-id", store_id]) == 0
    assert "dry run, nothing was sent; customers of whom something changed: 10" in capsys.readouterr().out
    assert _code(["gorgias", "push", "--store-id", store_id, "--axes", "no_such"]) == 2
    assert _code(["gorgias", "install", "--store-id", store_id, "--card-url", "https://us.example"]) == 2
    assert "GORGIAS_CARD_TOKEN" in capsys.readouterr().err
    assert (
        _code(["gorgias", "install", "--store-id", store_id, "--card-url", "http://us.example", "--dry-run"]) == 2
    )  # in the clear
    capsys.readouterr()
    assert _code(["gorgias", "install", "--store-id", store_id, "--card-url", "https://us.example", "--dry-run"]) == 0
    for url in (
        "https://",
        "https://a b",
        "https://u:p@us.example",
        "https://us.example:99999",
        "https://us.example/?y",
    ):
        assert _code(["gorgias", "install", "--store-id", store_id, "--card-url", url, "--dry-run"]) == 2, url
    assert "widget beside tickets" in capsys.readouterr().out  # nothing is sent, so no token is asked for
    assert _code(["gorgias", "install", "--store-id", store_id, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("would make: Customer Field quimbi_lifecycle, ")
    assert "1. Much at stake\n   WHEN Ticket Updated\n" in printed
    assert _code(["gorgias", "uninstall", "--store-id", store_id]) == 0
    assert "took away: nothing" in capsys.readouterr().out
    assert not [call for call in api.calls if not call.startswith("/")]
    assert "GORGIAS_CARD_TOKEN" not in os.environ
