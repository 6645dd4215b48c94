"""A local Gorgias is told who its customers are: only of those who changed, within the rate, and nothing by itself."""

import json
import os
from itertools import count

import pyarrow as pa
import pytest

from quimbi_assets.cli import _code
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.gorgias.pusher import install, push_fields, uninstall
from quimbi_assets_tests.gorgias_api import GorgiasApi
from quimbi_assets_tests.resources.published import publish

N = 12
PERIOD = 0.5
NUMBERS = count()


@pytest.fixture
def api(monkeypatch):
    server = GorgiasApi(period=PERIOD)
    with server.serving() as address:
        settings = {"DOMAIN": "acme", "EMAIL": "ann@acme.example", "API_KEY": "key", "BASE_URL": address}
        for name, value in settings.items():
            monkeypatch.setenv(f"GORGIAS_{name}", value)
        yield server


@pytest.fixture
def shop(database, api):
    """A store of twelve customers, ten of whom the helpdesk knows."""
    store_id = f"push-{next(NUMBERS)}"

    def made(lifecycle=("active",) * N, risk=(0.5,) * N):
        segments = pa.array([json.dumps({"a": "a_1"})] * N)
        publish(
            database, store_id, N, lifecycle=pa.array(lifecycle), value_tier=pa.array(["top"] * N),
            churn_risk_score=pa.array(risk), dominant_segments=segments,
        )  # fmt: skip
        return store_id

    made()
    numbers = [api.customer(f"c{n}@example.com")["id"] for n in range(10)]
    rows = [(store_id, str(number), f"c{n:04d}") for n, number in enumerate(numbers)]
    with database.transaction() as cursor:
        sql = "INSERT INTO quimbi.helpdesk_customers (store_id, helpdesk_id, customer_id) VALUES (%s, %s, %s)"
        cursor.executemany(sql, rows)
    return made


def push(database, store_id, send=True):
    return push_fields(database, store_id, [], send=send, period=PERIOD, pause=0.05)


def test_everybody_once_and_then_only_who_changed(database, api, shop):
    store_id = shop()
    shown = push(database, store_id, send=False)
    assert (shown.changed, shown.new, shown.taken, api.calls) == (10, 10, None, [])
    with pytest.raises(BadInputError, match="no Customer Field quimbi_lifecycle: quimbi gorgias install"):
        push(database, store_id)
    install(store_id, [], None, print, dry_run=False, period=PERIOD)
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
    install(store_id, [], None, print, dry_run=False, period=PERIOD)
    first, second, *_ = api.customers
    api.merged[first] = second
    del api.customers[second]
    report = push(database, store_id)
    assert (report.taken, report.refused) == (8, 2)
    assert "not known to Gorgias any more: 2" in report.lines()[0]
    assert push(database, store_id).changed == 0


def test_what_is_installed_is_made_once_and_taken_away(database, api, shop):
    store_id = shop()
    card = ("https://us.example", "quimbi_token")
    wanted = install(store_id, ["a"], card, print, dry_run=True, period=PERIOD)
    assert len(wanted) == 6
    assert not any(api.lists[kind] for kind in ("custom-fields", "integrations", "widgets"))
    assert install(store_id, ["a"], card, print, dry_run=False, period=PERIOD) == wanted
    assert install(store_id, ["a"], card, print, dry_run=False, period=PERIOD) == []
    labels = [one["label"] for one in api.lists["custom-fields"]]
    assert labels == ["quimbi_lifecycle", "quimbi_value_tier", "quimbi_risk", "quimbi_a"]
    settings = api.lists["custom-fields"][0]["definition"]["input_settings"]
    assert settings["choices"] == ["new", "active", "slowing", "at risk", "lapsed", "lost"]
    (integration,), (widget,) = api.lists["integrations"], api.lists["widgets"]
    assert integration["http"]["url"] == "https://us.example/v1/gorgias/card?email={{ticket.customer.email}}"
    assert integration["http"]["headers"] == {"Authorization": "Bearer quimbi_token"}
    assert widget["integration_id"] == integration["id"]
    assert len(uninstall(store_id, print, dry_run=True, period=PERIOD)) == 5
    assert len(uninstall(store_id, print, dry_run=False, period=PERIOD)) == 5
    assert (api.lists["integrations"], api.lists["widgets"]) == ([], [])
    assert all(one["deactivated_datetime"] for one in api.lists["custom-fields"])
    assert uninstall(store_id, print, dry_run=False, period=PERIOD) == []


def test_commands_show_first(database, api, shop, capsys, monkeypatch):
    store_id = shop()
    assert _code(["gorgias", "push", "--store-id", store_id]) == 0
    assert "dry run, nothing was sent; customers of whom something changed: 10" in capsys.readouterr().out
    assert _code(["gorgias", "push", "--store-id", store_id, "--axes", "no_such"]) == 2
    assert _code(["gorgias", "install", "--store-id", store_id, "--card-url", "https://us.example"]) == 2
    assert "GORGIAS_CARD_TOKEN" in capsys.readouterr().err
    assert _code(["gorgias", "install", "--store-id", store_id, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("would make: Customer Field quimbi_lifecycle, ")
    assert "1. Valuable and dissatisfied" in printed
    assert _code(["gorgias", "uninstall", "--store-id", store_id]) == 0
    assert "took away: nothing" in capsys.readouterr().out
    assert not [call for call in api.calls if not call.startswith("/")]
    assert "GORGIAS_CARD_TOKEN" not in os.environ
