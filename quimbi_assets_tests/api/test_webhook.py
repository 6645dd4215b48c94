"""A helpdesk calls: with a secret of the store's alone, and nothing of what it sends is believed, read or kept."""

import uuid
from datetime import UTC, datetime, timedelta
from itertools import count

import dagster as dg
import httpx2
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from quimbi_assets.cli import _code
from quimbi_assets.definitions import build_defs
from quimbi_assets.defs import sensors
from quimbi_assets.defs.partitions import HELPDESK_KEY, STORES
from quimbi_assets.defs.sensors import helpdesks_called
from quimbi_assets.defs.sources import pulled_tickets
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.dagster_resources import Progress
from quimbi_assets.resources.gorgias.puller import pull_tickets
from quimbi_assets.resources.gorgias.pusher import install, uninstall
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.tables.sources import read_sources
from quimbi_assets.resources.postgres.tables.stores import read_change
from quimbi_assets.resources.postgres.tables.tokens import create_token, revoke_token
from quimbi_assets_tests.gorgias_api import GorgiasApi
from quimbi_assets_tests.resources.published import publish

NUMBERS = count()
PERIOD = 0.5
EMAILS = ["ann@example.com", "ben@example.com"]
PATH = "/v1/gorgias/webhook"


@pytest.fixture
def api(monkeypatch):
    with GorgiasApi(period=PERIOD).connected(monkeypatch) as server:
        yield server


@pytest.fixture
def shop(database, api):
    """A store whose tickets are pulled every day."""
    store_id = f"called-{next(NUMBERS)}"
    publish(database, store_id)
    api.fill(20, EMAILS)
    pull(database, store_id, every="day")
    return store_id


@pytest.fixture
def secret(database, shop):
    return create_token(database, shop, ["notify"], 1)[0]


def pull(database, store_id, **options):
    return pull_tickets(database, store_id, period=PERIOD, pause=0.05, **options)


def call(address, secret, **sent):
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx2.post(address + PATH, headers=headers, **sent)


def source_of(database, store_id):
    (known,) = read_sources(database, store_id)
    return known


def test_who_may_call(database, address, shop, secret):
    other = "called-other"
    publish(database, other)
    others, _ = create_token(database, other, ["notify"], 1)
    reads, _ = create_token(database, shop, ["read"], 1)
    revoked, token = create_token(database, shop, ["notify"], 1)
    revoke_token(database, token.token_id)
    for text, status in ((None, 401), ("", 401), (secret[:-1], 401), ("whsec_x", 401), (revoked, 401), (reads, 403)):
        answer = call(address, text)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert 'scope="notify"' in call(address, reads).headers["www-authenticate"]
    answer = call(address, others, json={"ticket_id": 1, "store_id": shop})
    assert (answer.status_code, "no tickets of store called-other are pulled" in answer.text) == (404, True)
    assert source_of(database, shop).called_at is None  # nobody else's call is this store's
    assert call(address, secret).status_code == 200
    assert source_of(database, shop).called_at is not None
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx2.get(f"{address}/v1/stores/{shop}/axes", headers=headers).status_code == 403  # it is told nothing


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"ticket_id": "1"}},
        {"json": {"ticket_id": "'; DROP TABLE quimbi.sources; --", "status": "closed"}},
        {"json": []},
        {"content": b"\xff\x00<!DOCTYPE html>", "headers": {}},
        {"content": b"{" * 100_000},
        {"data": {"ticket_id": "1"}},
    ],
)
def test_what_is_sent_is_neither_read_nor_kept(database, address, shop, secret, sent):
    headers = {"Authorization": f"Bearer {secret}", **sent.pop("headers", {})}
    before = database.execute(
        EVERY_STORE, "SELECT * FROM quimbi.support_tickets WHERE store_id = %s ORDER BY ticket_id", (shop,)
    )
    answer = httpx2.post(address + PATH, headers=headers, **sent)
    assert (answer.status_code, answer.json()) == (200, {"store_id": shop})
    rows = database.execute(
        EVERY_STORE, "SELECT * FROM quimbi.support_tickets WHERE store_id = %s ORDER BY ticket_id", (shop,)
    )
    assert rows == before


def test_a_huge_body_is_refused_before_it_is_read(address, secret):
    assert call(address, secret, content=b" " * (4 * 2**20 + 1)).status_code == 413
    assert call(address, secret, content=iter([b" "])).status_code == 413  # one that does not say its length


def sense(instance):
    with dg.build_sensor_context(instance=instance, repository_def=build_defs().get_repository_def()) as context:
        return helpdesks_called.evaluate_tick(context)


def test_a_call_brings_the_ticket_and_scores_nobody_anew(database, api, address, shop, secret, tmp_path):
    install(database, shop, [], None, (address, secret), print, dry_run=False, period=PERIOD)
    looked_at, changed_at = source_of(database, shop).looked_at, read_change(database, shop)
    api.write_ticket(datetime.now(UTC), EMAILS[0])
    api.change(1, datetime.now(UTC), status="open")
    assert api.call("ticket-created", 21) == [200]
    assert api.call("ticket-updated", 21) == [200]  # it calls again and again
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, partition_loading_context(None, instance):
        assert [one for one in sense(instance).run_requests or () if one.partition_key == shop] == []  # not known yet
        instance.add_dynamic_partitions(str(STORES.name), [shop])
        (request,) = sense(instance).run_requests
        (again,) = sense(instance).run_requests
        assert (request.partition_key, request.asset_selection) == (shop, [HELPDESK_KEY])
        assert request.run_key == again.run_key  # by which Dagster launches it once
        assert dg.materialize(
            [pulled_tickets],
            instance=instance,
            partition_key=shop,
            tags=request.tags,
            resources={"database": database, "progress": Progress()},
        ).success
        skipped = sense(instance)
    assert (skipped.run_requests or [], "no helpdesk called" in skipped.skip_message) == ([], True)
    rows = database.execute(EVERY_STORE, "SELECT ticket_id FROM quimbi.support_tickets WHERE store_id = %s", (shop,))
    assert {ticket for (ticket,) in rows} == set(api.expected())
    assert source_of(database, shop).looked_at == looked_at  # the daily pull is due when it was
    assert read_change(database, shop) == changed_at
    pull(database, shop)
    assert read_change(database, shop) > changed_at  # nothing is new by then, but no run was told of it


def test_a_call_in_the_middle_of_a_pull_waits_for_the_next(database, api, address, shop, secret):
    install(database, shop, [], None, (address, secret), print, dry_run=False, period=PERIOD)
    call(address, secret)
    first = source_of(database, shop).called_at
    api.then = {len(api.calls) + 2: lambda: api.call("ticket-updated", 1)}
    pull(database, shop)
    second = source_of(database, shop).called_at
    assert second > first
    pull(database, shop)
    assert source_of(database, shop).called_at is None


def test_a_pull_that_fails_leaves_the_call_waiting(database, api, address, shop, secret, monkeypatch):
    call(address, secret)
    monkeypatch.setenv("GORGIAS_API_KEY", "revoked")
    with pytest.raises(BadInputError, match="make a key in Settings > REST API"):
        pull(database, shop)
    assert source_of(database, shop).called_at is not None


def test_it_is_made_known_to_gorgias_once_and_taken_away(database, api, address, shop, secret, monkeypatch, capsys):
    command = ["gorgias", "install", "--store-id", shop, "--webhook-url", "https://us.example"]
    assert _code(command) == 2
    assert "GORGIAS_WEBHOOK_TOKEN a token of the store" in capsys.readouterr().err
    monkeypatch.setenv("GORGIAS_WEBHOOK_TOKEN", create_token(database, shop, ["read"], 1)[0])
    assert _code(command) == 2
    assert "GORGIAS_WEBHOOK_TOKEN is no valid token of store" in capsys.readouterr().err
    monkeypatch.setenv("GORGIAS_WEBHOOK_TOKEN", secret)
    assert _code([*command, "--dry-run"]) == 0
    assert "HTTP integration quimbi: what has changed" in capsys.readouterr().out
    assert api.lists["integrations"] == []
    assert _code(command) == 0
    assert _code(command) == 0
    (made,) = api.lists["integrations"]
    assert (made["http"]["method"], made["http"]["url"]) == ("POST", f"https://us.example{PATH}")
    assert made["http"]["headers"] == {"Authorization": f"Bearer {secret}"}
    assert made["http"]["form"] == {"ticket_id": "{{ticket.id}}"}  # nobody's name, address or words
    assert all(
        made["http"]["triggers"][when] for when in ("ticket-created", "ticket-updated", "ticket-message-created")
    )
    assert "HTTP integration quimbi: what has changed" in uninstall(database, shop, print, dry_run=False, period=PERIOD)
    assert api.lists["integrations"] == []


def test_a_store_that_pulls_nothing_is_told_so_before_gorgias_calls(database, api, monkeypatch, capsys):
    publish(database, "called-never")
    pull(database, "called-never")  # once, by hand: nothing would score customers anew
    monkeypatch.setenv("GORGIAS_WEBHOOK_TOKEN", create_token(database, "called-never", ["notify"], 1)[0])
    assert _code(["gorgias", "install", "--store-id", "called-never", "--webhook-url", "https://us.example"]) == 2
    assert "quimbi gorgias pull --store-id called-never" in capsys.readouterr().err


def test_a_pull_that_works_or_failed_is_waited_for(database, address, shop, secret, tmp_path, monkeypatch):
    call(address, secret)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, partition_loading_context(None, instance):
        instance.add_dynamic_partitions(str(STORES.name), [shop])
        for status, soon, later in ((dg.DagsterRunStatus.STARTED, 0, 0), (dg.DagsterRunStatus.FAILURE, 0, 1)):
            run = dg.DagsterRun(job_name="pull", run_id=str(uuid.uuid4()), status=status, tags={"quimbi/store": shop})
            instance.add_run(run)
            assert len(sense(instance).run_requests or []) == soon
            with monkeypatch.context() as patched:
                patched.setattr(sensors, "AFTER_FAILURE", -sensors.AFTER_FAILURE)  # as if the hour were over
                assert len(sense(instance).run_requests or []) == later


def test_an_account_that_was_renamed_answers_the_calls(database, address, api, shop, secret, monkeypatch):
    monkeypatch.setenv("GORGIAS_DOMAIN", "acme2")
    assert call(address, secret).status_code == 200
    pull(database, shop, is_due=False)
    known = read_sources(database, shop)
    assert [one.called_at for one in known] == [None, None]
    assert {one.source.address: one.every for one in known} == {"gorgias:acme": "day", "gorgias:acme2": None}


def test_five_hundred_calls_are_one_pull(database, address, shop, secret, tmp_path):
    began = datetime.now(UTC)
    with httpx2.Client(headers={"Authorization": f"Bearer {secret}"}) as client:
        assert {client.post(address + PATH, json={"ticket_id": n}).status_code for n in range(500)} == {200}
    assert source_of(database, shop).called_at >= began - timedelta(seconds=1)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, partition_loading_context(None, instance):
        instance.add_dynamic_partitions(str(STORES.name), [shop])
        assert [one.partition_key for one in sense(instance).run_requests] == [shop]
