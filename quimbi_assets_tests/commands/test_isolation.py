"""Every command of one store reads nothing of another, changes nothing of it, and of an unknown one lists nothing.

The commands are the program's, so that a new one without a row here fails. Tables are in
``resources/postgres/test_isolation``, routes and tools in ``api/test_guard`` and ``api/test_mcp_server``.
"""

import re

import click
import pytest

from quimbi_assets.cli import cli
from quimbi_assets_tests.administrator import digest_of

pytestmark = pytest.mark.xdist_group("graph")
NEEDLE = "c0000450"
"""A customer of north; south has fewer."""
READING = {
    "refused": (),
    "policy": ("--json",),
    "segments": ("--all", "--why"),
    "archetypes": (),
    "profile": ("--customer-ids", f"{NEEDLE},c0000002"),
    "customers": ("--csv", "-"),
    "at-risk": ("--json",),
    "export-customer": ("--customer-id", NEEDLE, "--out", "-"),
    "similar": ("--customer-id", "c0000002", "--limit", "100", "--json"),
    "explain": ("--customer-id", NEEDLE),
    "audiences": ("--json",),
    "actions": ("--customer-id", "c0000002"),
    "export": ("--format", "csv", "--out", "-"),
    "lift": ("--json",),
    "drift": ("--json",),
    "sql": ("--command", "SELECT * FROM quimbi.customer_profiles", "--write"),
    "report": ("--out", "{folder}/page.html"),
    "gorgias support": ("--axis", "purchase_value"),
    "run": ("--dry-run",),
}
"""What each is asked of the store south, whatever else it may be asked."""
WRITING = {
    "load": ("--orders", "{orders}", "--items", "{items}"),
    "plan": ("--weekday", "monday", "--hour", "3"),
    "promote": ("--axis", "purchase_value", "--version", "1"),
    "rename": ("--axis", "purchase_value", "--segment", "purchase_value_0", "--to", "other people"),
    "snapshot": ("--week", "1997-01-06"),
    "backtest": (),
    "erase": ("--customer-id", "c1"),
    "token create": ("--scopes", "read"),
    "gorgias pull": (),
    "gorgias push": (),
    "gorgias install": ("--dry-run",),
    "gorgias uninstall": ("--dry-run",),
}
"""What each is asked of a store that has orders alone; that it was not run yet refuses some of them."""
SERVING = {"mcp": ()}
"""Answers until it is ended: tried of an unknown store here, of others with its tools."""
ROWS = {**READING, **WRITING, **SERVING}


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif any("--store-id" in parameter.opts for parameter in command.params):
            yield " ".join((*path, name))


@pytest.fixture
def asked(quimbi, files, tmp_path):
    """Asks a command of its row about a store; returns its code and what it printed."""
    orders, items = files()

    def ask(command, store_id):
        options = [one.format(folder=tmp_path, orders=orders, items=items) for one in ROWS[command]]
        return quimbi(*command.split(), "--store-id", store_id, *options)

    return ask


def test_no_command_is_without_a_row():
    assert set(commands()) == set(ROWS)


@pytest.mark.parametrize("command", [name for name in ROWS if name != "load"])
def test_an_unknown_store_is_said_in_one_line_that_lists_no_other(asked, two_stores, command, monkeypatch):
    for name in ("DOMAIN", "EMAIL", "API_KEY"):
        monkeypatch.setenv(f"GORGIAS_{name}", "x")
    code, out, err = asked(command, "nowhere")
    assert (code, out) == (2, "")
    *steps, line = err.splitlines()
    assert all(re.fullmatch(r" +\d+\.\d s  (backtest of )?nowhere: [a-z ]+", step) for step in steps)
    assert "nowhere" in line
    assert not [store for store in two_stores if store in line]


@pytest.mark.parametrize("command", READING)
def test_what_reads_shows_nothing_of_another_store(asked, two_stores, tmp_path, command):
    code, out, err = asked(command, "south")
    page = tmp_path / "page.html"
    text = out + (page.read_text() if page.exists() else "")
    assert code in (0, 1) or f"of customer {NEEDLE}" in err or f"nothing of {NEEDLE}" in err or "no snapshot yet" in err
    assert "north" not in text + err
    assert NEEDLE not in text


def test_what_writes_changes_nothing_of_another_store(asked, two_stores, database):
    """Both stores that were run, and one of the same ids."""
    assert asked("load", "twin")[0] == 0
    before = digest_of(database, *two_stores, "twin")
    assert before["orders"][0] > 1_000
    codes = {command: asked(command, "alone")[0] for command in WRITING}
    assert {name for name, code in codes.items() if code == 0} >= {"load", "plan", "erase", "token create", "backtest"}
    assert set(codes.values()) <= {0, 2}
    assert digest_of(database, *two_stores, "twin") == before


def test_the_run_of_one_store_changed_nothing_of_another(north_beside_south):
    before, after = north_beside_south
    assert before["customer_profiles"][0] > 500
    assert after == before
