"""Control groups, through what acts: nobody of one is ever sent, all are recorded, what came of it is read back."""

import csv
import hashlib
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg2
import pyarrow as pa
import pytest
from psycopg2 import sql

from quimbi_assets.audiences.definitions import Audience, ExportTarget
from quimbi_assets.errors import BadInputError
from quimbi_assets.lift.assignment import Trial, in_control
from quimbi_assets.lift.verdict import HARMED, HELPED, NO_DIFFERENCE, NOT_YET, in_words
from quimbi_assets.resources import advertisers, export_targets
from quimbi_assets.resources import audiences as files
from quimbi_assets.resources.actions import decide_store
from quimbi_assets.resources.audiences import audience_query
from quimbi_assets.resources.export_targets import export
from quimbi_assets.resources.pages import page_version
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.database import administration
from quimbi_assets.resources.postgres.tables import treatments
from quimbi_assets.resources.postgres.tables.audiences import (
    assign_members,
    refresh_audience,
    stream_membership,
    unsent_events,
)
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets.resources.postgres.tables.shops import summarise_shop
from quimbi_assets.resources.postgres.tables.stores import read_store
from quimbi_assets.resources.postgres.tables.treatments import read_trials, refresh_findings, stream_acted
from quimbi_assets.resources.webhooks import send_events
from quimbi_assets_tests.administrator import administer, administering
from quimbi_assets_tests.resources.published import publish

N = 400


@pytest.fixture(scope="module")
def shop(database):
    """A store whose customers are known by an address."""
    ids = [f"c{number:04}@example.com" for number in range(N)]
    publish(database, "tried", N, customer_id=pa.array(ids), lifetime_value=pa.array(np.arange(N, dtype=float)))
    return ids


def arms(database, subject):
    sql = (
        "SELECT customer_id, arm, acted_at IS NOT NULL FROM quimbi.treatments WHERE store_id = 'tried' AND subject = %s"
    )
    rows = administer(database, sql, (subject,))
    return {one for one, arm, _ in rows if arm == "control"}, {one for one, arm, _ in rows if arm == "acted"}, rows


def listed(path):
    return {row["customer_id"] for row in csv.DictReader(path.read_text().splitlines())}


def test_a_list_leaves_its_control_group_out(database, shop, tmp_path):
    path = tmp_path / "list.csv"
    target = ExportTarget("call", "csv", "value >= 100", out=path, trial=Trial(control=0.25))
    lines = export(database, "tried", target, print).lines
    controls, acted, rows = arms(database, "export/call")
    assert listed(path) == acted
    assert controls == {one for one in shop[100:] if in_control("tried", "export/call", one, 0.25)}
    assert controls | acted == set(shop[100:])
    assert lines[1].startswith(f"left out to compare with: {len(controls)} customers")
    assert all(is_acted == (arm == "acted") for _, arm, is_acted in rows)
    # Again: the same arms. With another share: who has entered stays where they are.
    target = ExportTarget("call", "csv", "value >= 50", out=path, trial=Trial(control=0.5))
    export(database, "tried", target, print)
    assert not listed(path) & controls
    assert listed(path) & set(shop[100:]) == acted
    newly = listed(path) - acted
    assert newly == {one for one in shop[50:100] if not in_control("tried", "export/call", one, 0.5)}


def test_with_another_share_a_trial_begins_anew(database, shop, tmp_path):
    """Half of those of little value held back, then a twentieth of all: together the control group is mostly little."""
    target = ExportTarget("share", "csv", "value < 40", out=tmp_path / "list.csv", trial=Trial(0.5))
    export(database, "tried", target, print)
    before = arms(database, "export/share")[:2]
    assert sum(map(len, before)) == 40
    lines = export(database, "tried", replace(target, where="value >= 0", trial=Trial(0.05)), print).lines
    assert "export/share had a control group of 50%: with another share the comparison begins anew" in lines[-1]
    held, acted, _ = arms(database, "export/share")
    assert (held >= before[0], acted >= before[1], len(held | acted)) == (True, True, N)
    (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/share"]
    assert state.entered == (len(acted - before[1]), len(held - before[0]))
    assert sum(state.entered) == N - 40


def test_letting_the_control_group_in_ends_the_trial(database, shop, tmp_path):
    path = tmp_path / "list.csv"
    before = page_version(database, "tried")
    for control in (0.3, 0.0):
        export(database, "tried", ExportTarget("once", "csv", out=path, trial=Trial(control)), print)
    assert page_version(database, "tried") != before  # though nothing was counted of it
    assert listed(path) == set(shop)
    (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/once"]
    assert state.ended_at is not None
    words = in_words(state.finding, "EUR", state.ended_at)  # nothing that may still turn out
    assert words == "cannot tell, for it was ended before it could be told: nobody of the control group counts"
    export(database, "tried", ExportTarget("once", "csv", out=path, trial=Trial(0.3)), print)
    assert not listed(path) & arms(database, "export/once")[0]
    (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/once"]
    assert state.ended_at is None  # who is held out again is counted again


def test_a_command_without_a_share_goes_on_with_the_control_group_that_its_filter_has(database, shop, tmp_path):
    path = tmp_path / "list.csv"

    def write(trial):
        export(database, "tried", ExportTarget("csv", "csv", "value >= 150", out=path, trial=trial), print)
        return listed(path)

    everybody = write(None)
    assert everybody == set(shop[150:])
    acted = write(Trial(0.25))
    assert write(None) == acted < everybody
    assert write(Trial(0.0)) == write(None) == everybody


def test_whoever_may_not_be_written_to_is_in_no_arm_of_a_list_without_them(database, shop, tmp_path):
    barred = "INSERT INTO quimbi.customer_consent VALUES ('tried', %s, false, NULL, now())"
    for customer in shop[300:320]:
        administer(database, barred, (customer,))
    path = tmp_path / "list.csv"
    try:
        target = ExportTarget("may", "csv", "value >= 300", out=path, trial=Trial(control=0.25))
        export(database, "tried", target, print, contactable=True)
    finally:
        administer(database, "DELETE FROM quimbi.customer_consent WHERE store_id = 'tried'")
    controls, acted, _ = arms(database, "export/may")
    assert (controls | acted, listed(path)) == (set(shop[320:]), acted)


def test_nobody_was_acted_on_before_there_is_a_file(database, shop, tmp_path):
    target = ExportTarget("late", "csv", "value >= 200", out=tmp_path / "list.csv", trial=Trial(control=0.25))
    (tmp_path / "list.csv").mkdir()
    with pytest.raises(Exception, match="cannot write"):
        export(database, "tried", target, print)
    assert not any(is_acted for *_, is_acted in arms(database, "export/late")[2])
    (tmp_path / "list.csv").rmdir()
    export(database, "tried", target, print)
    assert {who for who, arm, is_acted in arms(database, "export/late")[2] if is_acted} == listed(tmp_path / "list.csv")


def test_the_list_of_a_rule_is_those_on_whom_it_acts(database, shop, home, tmp_path):
    path = tmp_path / "list.csv"
    text = "rules: {win: {when: value >= 100, campaign: back, control: 0.3}, all: {when: value >= 0, queue: q}}"
    (home / "actions.yaml").write_text(text)
    administer(database, "INSERT INTO quimbi.customer_consent VALUES ('tried', %s, false, NULL, now())", (shop[399],))
    try:
        check = decide_store(database, "tried")
        assert check.barred == ["win: 1 customer may not be written to"]
        export(database, "tried", ExportTarget("csv", "csv", rule="win", out=path), print)
        assert listed(path) == {one for one in shop[100:399] if not in_control("tried", "rule/win", one, 0.3)}
        assert len(listed(path)) == check.evaluation.acted["win"]
        export(database, "tried", ExportTarget("csv", "csv", rule="all", out=path), print)
        assert listed(path) == set(shop)
        (home / "actions.yaml").write_text(text.replace("win:", "new: {when: value >= 0, queue: q}, win:"))
        summary = export(database, "tried", ExportTarget("csv", "csv", rule="new", out=path), print)
        assert "the last run had rule new act on nobody; written or changed since: quimbi run" in summary.lines
        (home / "actions.yaml").write_text(text)
        for words, asked in (
            ("has no rule 'wim'; there are: win, all", {"rule": "wim"}),
            ("each say who: give one of them", {"rule": "win", "where": "value > 1"}),
            ("has a control group of its own, in actions.yaml", {"rule": "win", "trial": Trial(0.2)}),
        ):
            with pytest.raises(BadInputError, match=words):
                export(database, "tried", ExportTarget("csv", "csv", out=path, **asked), print)
    finally:
        (home / "actions.yaml").unlink()
        administer(database, "DELETE FROM quimbi.customer_consent WHERE store_id = 'tried'")


def test_what_a_list_is_compared_by_is_not_asked_anew(database, shop, tmp_path):
    target = ExportTarget("csv", "csv", "value >= 200", out=tmp_path / "a.csv", trial=Trial(0.2, "spend"))
    export(database, "tried", replace(target, outcome="spend"), print)
    export(database, "tried", replace(target, trial=Trial(0.2)), print)  # nothing was said of what is compared
    written = (tmp_path / "a.csv").read_bytes()
    for control in (0.2, 0.3):
        asked = replace(target, trial=Trial(control, "orders"), outcome="orders")
        with pytest.raises(
            BadInputError, match=r"is compared by spend.*leave --outcome orders out, or .* another --name"
        ):
            export(database, "tried", asked, print)
    assert (tmp_path / "a.csv").read_bytes() == written


def test_a_list_as_if_it_had_been_acted_on_long_ago(database, shop, tmp_path):
    since = datetime(2025, 3, 1, tzinfo=UTC)
    target = ExportTarget("long_ago", "csv", out=tmp_path / "a.csv", trial=Trial(0.25, "orders"), entered_at=since)
    export(database, "tried", target, print)
    rows = pa.concat_tables(stream_acted(database, "tried", "export/long_ago"))
    assert set(rows["customer_id"].to_pylist()) == listed(tmp_path / "a.csv") == arms(database, "export/long_ago")[1]
    assert set(rows["entered_at"].to_pylist()) == {since}
    (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/long_ago"]
    assert (state.began_at, state.trial.outcome) == (since, "orders")
    with pytest.raises(
        BadInputError, match="began at another time or with another share: give the list another --name"
    ):
        export(database, "tried", replace(target, entered_at=since + timedelta(days=1)), print)
    with pytest.raises(BadInputError, match="with another share: give the list another --name"):
        export(database, "tried", replace(target, trial=Trial(0.5, "orders")), print)
    with pytest.raises(BadInputError, match="has no trial 'export/nobody'; there are: "):
        stream_acted(database, "tried", "export/nobody")


def test_advertisers_lists_and_a_list_that_was_not_finished(database, shop, tmp_path):
    path = tmp_path / "meta.csv"
    target = ExportTarget("ads", "meta", "value < 200", out=path, trial=Trial(control=0.2))
    (tmp_path / "meta.csv").mkdir()  # no file can take its place: nothing goes out
    with pytest.raises(Exception, match="cannot write"):
        export(database, "tried", target, print)
    path.rmdir()
    export(database, "tried", target, print)
    controls, acted, _ = arms(database, "export/ads")
    assert len(path.read_text().splitlines()) - 1 == len(acted) == 200 - len(controls)
    assert controls == {one for one in shop[:200] if in_control("tried", "export/ads", one, 0.2)}


@pytest.mark.parametrize(("form", "writer"), [("csv", export_targets), ("meta", advertisers)])
def test_a_list_holds_nobody_who_came_to_be_chosen_once_it_was_recorded(database, tmp_path, monkeypatch, form, writer):
    """Published in between: the first quarter leaves the list, the second half comes to it."""
    store, path, ids = f"raced_{form}", tmp_path / "list.csv", [f"r{number:03}@example.com" for number in range(200)]

    def publish_worth(*quarters):
        worth = pa.array(np.repeat(np.array(quarters, dtype=float), 50))
        publish(database, store, 200, customer_id=pa.array(ids), lifetime_value=worth)

    def racing(*asked):
        controls = treatments.enter(*asked)
        publish_worth(1, 600, 600, 600)
        return controls

    def write():
        export(database, store, ExportTarget("race", form, "value > 500", out=path, trial=Trial(0.1)), print)
        rows = list(csv.reader(path.read_text().splitlines()))[1:]
        hashed = {hashlib.sha256(one.encode()).hexdigest(): one for one in ids}
        acted = "SELECT customer_id FROM quimbi.treatments WHERE store_id = %s AND arm = 'acted'"
        recorded = [{one for (one,) in administer(database, acted + also, (store,))} for also in ("", marked)]
        return {row[1] if form == "csv" else hashed[row[0]] for row in rows}, *recorded

    marked = " AND acted_at IS NOT NULL"
    publish_worth(600, 600, 1, 1)
    monkeypatch.setattr(writer, "enter", racing)
    on_it, recorded, acted_on = write()
    assert recorded <= set(ids[:100])
    assert on_it == acted_on == recorded & set(ids[50:])
    monkeypatch.undo()
    on_it, recorded, _ = write()
    assert on_it == recorded & set(ids[50:])
    assert on_it > {one for one in ids[100:] if not in_control(store, "export/race", one, 0.1)}


def test_an_audience_has_one_control_group_wherever_it_goes(database, shop, home, tmp_path, monkeypatch):
    one = Audience("rich", "value >= 300", trial=Trial(control=0.3), webhook="http://127.0.0.1:9/none")
    monkeypatch.setattr(files.Definitions, "audience", lambda *_: one)
    refresh_audience(database, "tried", one, audience_query(one, read_vocabulary(database, "tried")))
    assert arms(database, "audience/rich")[2] == []
    monkeypatch.setenv("QUIMBI_WEBHOOK_SECRET", "secret")
    assert send_events(database, "tried", one, pause=0.01).startswith("not sent")
    controls, acted, rows = arms(database, "audience/rich")
    assert controls | acted == set(shop[300:])
    assert controls == {who for who in shop[300:] if in_control("tried", "audience/rich", who, 0.3)}
    assert not any(is_acted for *_, is_acted in rows)
    events = unsent_events(database, "tried", "rich", 500)
    assert {who for who, _ in events.entries} == acted
    export(database, "tried", ExportTarget("meta", "meta", audience="rich", out=tmp_path / "m.csv"), print)
    assert len((tmp_path / "m.csv").read_text().splitlines()) - 1 == len(acted)
    export(database, "tried", ExportTarget("audience", "audience", audience="rich", out=tmp_path / "a.csv"), print)
    assert {row["ht_row_id"] for row in csv.DictReader((tmp_path / "a.csv").read_text().splitlines())} == acted
    assert sum(len(part) for part in stream_membership(database, "tried", "rich")) == len(acted)
    view = (
        "SELECT ht_row_id FROM quimbi.audience_membership WHERE ht_audience_id = 'tried.rich' AND ht_split_group = %s"
    )
    assert {who for (who,) in administer(database, view, ("control",))} == controls
    # Whoever lets the control group in lets it in everywhere.
    assert assign_members(database, "tried", {"rich": replace(one.trial, control=0)}, is_out=False) == 0
    assert {who for who, _ in unsent_events(database, "tried", "rich", 500).entries} == controls | acted
    assert sum(len(part) for part in stream_membership(database, "tried", "rich")) == len(controls | acted)
    assert administer(database, view, ("control",)) == administer(database, view, ("acted",)) == []
    # A list to read has everybody.
    export(database, "tried", ExportTarget("csv", "csv", audience="rich", out=tmp_path / "l.csv"), print)
    assert listed(tmp_path / "l.csv") == set(shop[300:])


@pytest.mark.parametrize(
    ("outcome", "share", "verdict"), [("ordered", 0.5, HELPED), ("spend", 0.5, HELPED), ("orders", 0.0, None)]
)
def test_what_came_of_it(database, shop, tmp_path, outcome, share, verdict):
    """Orders are planted after entry: 10 % of the control group order, and the acted the share more."""
    name = f"{outcome}_tried"
    target = ExportTarget(name, "csv", out=tmp_path / "x.csv", trial=Trial(0.4, outcome, weeks=1))
    export(database, "tried", target, print)
    controls, acted, _ = arms(database, f"export/{name}")
    now = datetime.now(UTC)
    buyers = sorted(controls)[: len(controls) // 10] + sorted(acted)[: int(len(acted) * (0.1 + share))]
    planted = [
        (f"{name}-{one}", one, now + timedelta(days=9), 20 + number % 7, None) for number, one in enumerate(buyers)
    ]
    planted += [
        (f"{name}-old", sorted(controls)[-1], now - timedelta(days=9), 5.0, None)
    ]  # before entry: counts nothing
    planted += [(f"{name}-late", sorted(controls)[-1], now + timedelta(days=40), 5.0, None)]  # after the window
    planted += [(f"{name}-gone", sorted(controls)[-2], now + timedelta(days=4), 50.0, "cancelled")]  # no purchase
    for row in planted:
        administer(
            database,
            "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price, status) "
            "VALUES ('tried', %s, %s, %s, %s, %s)",
            row,
        )
    try:
        (state,) = [one for one in read_trials(database, "tried") if one.subject == f"export/{name}"]
    finally:
        administer(database, "DELETE FROM quimbi.orders WHERE store_id = 'tried'")
    finding = state.finding
    assert (finding.n_acted, finding.n_control) == state.entered == (len(acted), len(controls))
    scale = 1 if outcome != "spend" else sum(row[3] for row in planted[:-3]) / len(buyers)
    assert finding.control == pytest.approx((len(controls) // 10) / len(controls) * scale, rel=0.15)
    assert finding.low < finding.difference < finding.high
    if verdict is None:
        assert finding.verdict not in (HELPED, HARMED)
    else:
        assert finding.verdict == verdict
        assert finding.low <= share * scale <= finding.high


def test_windows_that_are_open_do_not_count(database, shop, tmp_path):
    export(database, "tried", ExportTarget("open", "csv", out=tmp_path / "x.csv", trial=Trial(0.4)), print)
    administer(
        database,
        "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
        "VALUES ('tried', 'o', %s, %s, 1)",
        (shop[0], datetime.now(UTC) + timedelta(days=20)),
    )
    (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/open"]
    assert (state.finding.verdict, state.finding.n_acted, state.finding.n_open) == (NOT_YET, 0, N)


def plant(database, orders, lines=()):
    """Store orders (id, customer, at, paid, refund), and lines with refunds of some."""
    with administering(database) as cursor:
        cursor.executemany(
            "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price, refund_amount) "
            "VALUES ('tried', %s, %s, %s, %s, %s)",
            orders,
        )
        cursor.executemany(
            "INSERT INTO quimbi.order_items (store_id, order_id, line_no, product_id, quantity, price, refund_amount) "
            "VALUES ('tried', %s, %s, 'p', 1, 50, %s)",
            lines,
        )


@pytest.fixture
def emptied(database, shop):
    """The store without orders and tickets, before and after."""

    def clear():
        for table in ("orders", "order_items", "support_tickets"):
            administer(database, f"DELETE FROM quimbi.{table} WHERE store_id = 'tried'")

    clear()
    yield
    clear()


@pytest.mark.parametrize(("of_order", "of_lines", "kept"), [(None, 40, 0.2), (0, 40, 0.2), (500, 40, 0), (30, 0, 0.7)])
def test_spend_is_net_of_refunds_wherever_they_are_recorded(database, emptied, tmp_path, of_order, of_lines, kept):
    """What came back is the sum of the lines' where no order says, and never more than was paid."""
    name = f"net_{of_order}_{of_lines}"
    trial = Trial(0.4, "spend", weeks=1)
    export(database, "tried", ExportTarget(name, "csv", out=tmp_path / "x.csv", trial=trial), print)
    _, acted, _ = arms(database, f"export/{name}")
    at = datetime.now(UTC)
    orders = [(one, one, at + timedelta(days=2), 100, of_order) for one in acted]
    plant(
        database,
        [*orders, ("newest", None, at + timedelta(days=60), 1, None)],
        [(one, line, of_lines) for one in acted for line in (1, 2)],
    )
    (state,) = [one for one in read_trials(database, "tried") if one.subject == f"export/{name}"]
    assert (state.finding.acted, state.finding.control) == (pytest.approx(100 * kept), 0)
    summary = summarise_shop(database, read_store(database, "tried"))  # the same money as the store's
    assert summary.net == pytest.approx(100 * kept * len(acted))


def test_looks_do_not_depend_on_the_servers_clock(database, emptied, tmp_path):
    """A fortnight with the end of summer time in it is 14 days of 24 hours wherever the server stands."""
    began = datetime(2025, 10, 27, tzinfo=UTC)
    trial = Trial(0.4, weeks=1, window_days=14)
    target = ExportTarget("clock", "csv", out=tmp_path / "x.csv", trial=trial, entered_at=began)
    export(database, "tried", target, print)
    plant(database, [("o", None, began + timedelta(days=15), 1, None)])

    def counted():
        (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/clock"]
        return state.finding.n_acted + state.finding.n_control, state.finding.n_open

    assert counted() == (N, 0)
    with closing(psycopg2.connect(administration(database, database.libpq_url))) as connection:
        connection.autocommit = True
        zone = sql.SQL("ALTER DATABASE {} {}").format
        name = sql.Identifier(connection.info.dbname)
        connection.cursor().execute(zone(name, sql.SQL("SET timezone = 'America/New_York'")))
        try:
            assert counted() == (N, 0)
        finally:
            connection.cursor().execute(zone(name, sql.SQL("RESET timezone")))


def test_tickets_are_known_until_the_newest_ticket(database, shop, emptied, tmp_path):
    """Orders that go on say nothing of tickets, which nobody loaded since."""
    began = datetime.now(UTC) - timedelta(days=60)
    trial = Trial(0.4, "reopened", weeks=1, window_days=7)
    target = ExportTarget("unknown", "csv", out=tmp_path / "x.csv", trial=trial, entered_at=began)
    export(database, "tried", target, print)
    plant(database, [("o", None, datetime.now(UTC), 1, None)])
    ticket = "INSERT INTO quimbi.support_tickets (store_id, ticket_id, customer_id, created_at) VALUES (%s, %s, %s, %s)"
    verdicts = []
    for number, at in enumerate((None, began + timedelta(days=8), began + timedelta(days=30))):
        if at is not None:
            administer(database, ticket, ("tried", f"t{number}", shop[0], at))
        (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/unknown"]
        assert state.known_until == at
        verdicts.append(state.finding.verdict)
    assert verdicts == [NOT_YET, NOT_YET, NO_DIFFERENCE]


def test_whose_window_is_over_is_open_no_more_rated_or_not(database, shop, emptied, tmp_path):
    began = datetime(2025, 3, 1, tzinfo=UTC)
    trial = Trial(0.4, "rating", weeks=1, window_days=7)
    target = ExportTarget("rated", "csv", out=tmp_path / "x.csv", trial=trial, entered_at=began)
    export(database, "tried", target, print)
    with administering(database) as cursor:
        cursor.executemany(
            "INSERT INTO quimbi.support_tickets (store_id, ticket_id, customer_id, created_at, satisfaction_score) "
            "VALUES ('tried', %s, %s, %s, %s)",
            [(f"t{at}", shop[at], began + timedelta(days=2), 3 + at % 3) for at in range(0, N, 4)]
            + [("newest", shop[0], began + timedelta(days=90), None)],
        )
    (state,) = [one for one in read_trials(database, "tried") if one.subject == "export/rated"]
    assert (state.finding.n_acted + state.finding.n_control, state.finding.n_open) == (N // 4, 0)


def test_what_came_of_it_by_tickets(database, shop, tmp_path):
    """Tickets of the acted are opened again less often and rated better; what is outside the window counts nothing."""
    for outcome in ("reopened", "rating"):
        trial = Trial(0.4, outcome, weeks=1)
        export(database, "tried", ExportTarget(f"{outcome}_tried", "csv", out=tmp_path / "x.csv", trial=trial), print)
    now = datetime.now(UTC)
    for outcome, good, bad in (("reopened", 0, 2), ("rating", 5.0, 3.0)):
        controls, acted, _ = arms(database, f"export/{outcome}_tried")
        column = "reopen_count" if outcome == "reopened" else "satisfaction_score"
        planted = [(one, 3, bad) for one in controls] + [(one, 3, good) for one in acted]
        planted += [(one, -3, 5) for one in controls] + [(one, 40, 5) for one in controls]  # before and after it counts
        with administering(database) as cursor:
            cursor.execute(
                "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
                "VALUES ('tried', 'newest', %s, %s, 1)",
                (shop[0], now + timedelta(days=60)),
            )
            cursor.executemany(
                f"INSERT INTO quimbi.support_tickets (store_id, ticket_id, customer_id, created_at, {column}) "
                "VALUES ('tried', %s, %s, %s, %s)",
                [
                    (f"t{number}", one, now + timedelta(days=days), value + number % 2 * 0.1)
                    for number, (one, days, value) in enumerate(planted)
                ],
            )
        try:
            states = {one.subject: one for one in read_trials(database, "tried")}
        finally:
            administer(database, "DELETE FROM quimbi.orders WHERE store_id = 'tried'")
            administer(database, "DELETE FROM quimbi.support_tickets WHERE store_id = 'tried'")
        finding = states[f"export/{outcome}_tried"].finding
        assert (finding.n_acted, finding.n_control) == (len(acted), len(controls))
        assert finding.acted - finding.control == pytest.approx(good - bad, abs=0.02)
        assert finding.low <= good - bad <= finding.high
        assert finding.verdict == HELPED  # fewer tickets opened again are a help, too


def test_what_was_counted_is_what_programs_read(database, shop, tmp_path):
    export(database, "tried", ExportTarget("stored", "csv", out=tmp_path / "x.csv", trial=Trial(0.4)), print)
    read = [one for one in read_trials(database, "tried", anew=False) if one.subject == "export/stored"]
    assert [(one.finding.verdict, one.finding.looked_at, one.entered[0] > 0) for one in read] == [(NOT_YET, None, True)]
    counted, served = refresh_findings(database, "tried"), ServedDatabase.of(database)
    try:
        with served.of_store("tried") as now:
            assert read_trials(now, "tried", anew=False) == counted
        with pytest.raises(ValueError, match="another"), served.of_store("another") as now:
            read_trials(now, "tried", anew=False)
    finally:
        served.close()
