"""The contract of the command line: names, exit codes, JSON, one line per error."""

import json
import re
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from threading import Timer

import pandas as pd
import pytest

from quimbi_assets.commands.showing import print_segments, segments_of
from quimbi_assets.defs.partitions import axis_key
from quimbi_assets.marketing.groups import COLUMNS as MARKETING
from quimbi_assets.profiles.expected import COLUMNS
from quimbi_assets.resources.dagster_instance import open_instance
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.run_lock import RunLock

pytestmark = pytest.mark.xdist_group("graph")

NEXT = r"quimbi snapshot --store-id south --week (\S+)"
"""The commands that lead to a first comparison, as they are said."""


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "load",
        "run",
        "promote",
        "rename",
        "segments",
        "archetypes",
        "profile",
        "customers",
        "at-risk",
        "similar",
        "explain",
        "mcp",
        "audiences",
        "export",
        "lift",
        "backtest",
        "plan",
        "snapshot",
        "drift",
        "simulate",
        "sql",
        "ui",
    ],
)
def test_every_command_helps(quimbi, command):
    code, out, _ = quimbi(command, "--help")
    assert code == 0
    assert "Usage: quimbi" in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["segments", "--store-id", "nowhere"], "unknown store 'nowhere'"),
        (["customers", "--store-id", "nowhere"], "unknown store 'nowhere'"),
        (["profile", "--store-id", "nowhere", "--customer-ids", "1"], "unknown store 'nowhere'"),
        (["run", "--store-id", "nowhere"], "unknown store 'nowhere'"),
        (["run", "--store-id", "nowhere", "--axes", "shoe_size"], "unknown axis shoe_size"),
        (["run", "--store-id", "x", "--axes", " ,"], "--axes names no axis"),
        (["run", "--store-id", "x", "--min-k", "5", "--max-k", "3"], "min-k"),
        (["run", "--store-id", "x", "--max-k", "1000000"], "max-k <= 20"),
        (["run", "--store-id", "x", "--as-of", "yesteryear"], "yesteryear"),
        (["run", "--store-id", "x", "--as-of", "2999-01-01"], "lies in the future"),
        (["run", "--store-id", "x", "--engine", "abacus"], "abacus"),
        (
            ["rename", "--store-id", "nowhere", "--axis", "a", "--segment", "b", "--to", "abc"],
            "unknown store 'nowhere'",
        ),
        (["rename", "--store-id", "x", "--axis", "a", "--segment", "b"], "--to"),
        (["run"], "--store-id"),
        (["drift", "--store-id", "nowhere"], "unknown store 'nowhere'"),
        (["snapshot", "--store-id", "nowhere", "--week", "2025-06-02"], "unknown store 'nowhere'"),
        (["snapshot", "--store-id", "nowhere", "--week", "2025-06-03"], "2025-06-02"),
        (["snapshot", "--store-id", "nowhere", "--week", "monday"], "'monday' is not a date"),
        (["simulate", "--customers", "5", "--out", "x", "--slow-down-share", "0.1"], "and a date"),
        (["fly"], "fly"),
        *((["api", "--port", str(port)], "--port") for port in (-1, 65_536, 99_999_999)),
        *((["ui", f"--{name}-port", "99999999"], name) for name in ("dagster", "mlflow", "page")),
        (["simulate", "--customers", "0", "--out", "x"], "--customers"),
        (["simulate", "--customers", "5", "--out", "/dev/full"], "point --out at"),
        (["restore", "/dev/null"], "cannot read /dev/null: it is not a regular file"),
        (["restore", "/nowhere"], "there is no file /nowhere"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_2(quimbi, arguments, word):
    code, out, err = quimbi(*arguments)
    assert (code, out) == (2, "")
    assert word in err.splitlines()[-1]
    assert sum(line.startswith("quimbi:") for line in err.splitlines()) == 1


def test_a_server_that_does_not_answer_is_one_line_that_says_all(quimbi, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:planted@127.0.0.1:1/shop")
    code, out, err = quimbi("stores")
    assert (code, out) == (1, "")
    assert err.startswith("quimbi: cannot reach the database of DATABASE_URL: ")
    assert not any(word in err for word in ("planted", "QUIMBI_DEBUG"))


def test_an_instant_before_the_first_order_is_refused_before_a_run_begins(quimbi, files, database):
    orders, _ = files()
    quimbi("load", "--store-id", "young", "--orders", orders)
    code, _, err = quimbi("run", "--store-id", "young", "--as-of", "0001-01-01")
    assert code == 2
    assert "young has no order before 0001-01-01 00:00:00: the first is of 2025-01-10 10:00:00" in err
    assert not database.execute_dagster("SELECT 1 FROM run_tags WHERE value = 'young'")


def test_an_id_that_is_no_text_is_bad_input(quimbi, two_stores):
    code, out, err = quimbi("profile", "--store-id", "north", "--customer-ids", "a\udcffb")
    assert (code, out) == (2, "")
    assert err == "quimbi: 'a\\udcffb' is not text in UTF-8: give it as the store's files have it\n"


def test_segments_as_json(quimbi, two_stores):
    code, out, _ = quimbi("segments", "--store-id", "north", "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"store_id", "as_of", "axes"}
    for axis in found["axes"]:
        assert set(axis) == {
            "axis", "status", "reason", "k", "silhouette", "halves_ari", "stability_ari", "customers_fitted",
            "mlflow_run_id", "provisional", "segments",
        }  # fmt: skip
        assert -1 <= axis["halves_ari"] <= 1
        assert (axis["provisional"] is None) == (axis["customers_fitted"] >= 400)
        assert isinstance(axis["k"], int)
        assert len(axis["segments"]) == axis["k"]


def test_profiles_as_json_in_the_order_asked_for(quimbi, two_stores):
    code, out, _ = quimbi("profile", "--store-id", "north", "--customer-ids", "c0000009,c0000002", "--json")
    assert code == 0
    first, second = json.loads(out)
    assert [first["customer_id"], second["customer_id"]] == ["c0000009", "c0000002"]
    assert set(first) == {
        "store_id", "customer_id", "archetype_id", "segment_memberships", "dominant_segments", "feature_vectors",
        "membership_strength", "stays", "stays_strength", "evidence", "fingerprint", "lifetime_value",
        "churn_risk_score", "churn_drivers",
        "interpretation", "model_versions", "as_of", "segments", "archetype", *COLUMNS.names, *MARKETING.names,
    }  # fmt: skip
    assert first["archetype"]["id"] == first["archetype_id"]
    assert re.fullmatch(r"[a-z0-9 ()-]+", first["archetype"]["name"])
    for axis, own in first["segments"].items():
        assert set(own) == {"id", "name", "membership", "strength", "stays", "stays_strength"}
        assert 0 < own["stays"] < 1
        assert own["id"] == first["dominant_segments"][axis]
        assert own["membership"] == first["segment_memberships"][axis][own["id"]]


def test_unknown_customers_alone_print_nothing_on_stdout(quimbi, two_stores):
    code, out, err = quimbi("profile", "--store-id", "north", "--customer-ids", "nobody,no one")
    assert (code, out) == (2, "")
    assert err == "quimbi: store north has no profile of customer nobody, no one\n"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_unknown_customers_among_others_are_named_beside_their_profiles(quimbi, two_stores, options):
    ids = "nobody,c0000009,no one,c0000002"
    code, out, err = quimbi("profile", "--store-id", "north", "--customer-ids", ids, *options)
    assert (code, err) == (1, "quimbi: store north has no profile of customer nobody, no one\n")
    shown = [one["customer_id"] for one in json.loads(out)] if options else re.findall("Customer (c\\d+) of", out)
    assert shown == ["c0000009", "c0000002"]


def test_tables_for_people(quimbi, two_stores):
    code, out, _ = quimbi("segments", "--store-id", "north")
    assert code == 0
    assert "14 of 14 axes tell customers apart" in out
    assert "alves of the customers" not in out
    once = re.findall(r"customers \(\d+ %\) bought exactly once: a segment of their own on \d+ ax[ie]s\n", out)
    assert len(once) == 1
    assert "one_time_buyers" not in out
    assert "Halves of the customers agree: 0." in quimbi("segments", "--store-id", "north", "--why")[1]
    code, out, _ = quimbi("profile", "--store-id", "north", "--customer-ids", "c0000002")
    assert code == 0
    assert "Customer c0000002 of store north" in out
    assert len(re.search(r"Most alike: customers (.+)\.", out).group(1).split(", ")) == 3


def test_weak_axes_are_one_line_unless_they_are_asked_for(quimbi, two_stores, capsys):
    found = segments_of("north")
    (axis,) = (one for one in found["axes"] if one["axis"] == "purchase_value")
    axis.update(status="weak", reason="customers really differ in 1 of 3 features")

    def printed(**options):
        print_segments(found, **options)
        return " ".join(capsys.readouterr().out.split())

    clause = r"ith \d+ orders a customer this cannot be told from chance yet"
    assert re.search(rf"W{clause}: purchase value \(--all shows them, --why the figures\)\.", printed())
    assert "13 of 14 axes tell customers apart" in printed()
    assert axis["segments"][0]["segment_name"] not in printed()
    opened = printed(show_all=True)
    assert axis["segments"][0]["segment_name"] in opened
    assert re.search(rf"purchase_value WEAK How much do they spend\? W{clause}\.", opened)
    assert "really differ" not in opened
    assert "Customers really differ in 1 of 3 features." in printed(why=True)


def test_archetypes_are_listed_with_what_they_are_made_of(quimbi, two_stores):
    code, out, _ = quimbi("archetypes", "--store-id", "north", "--json")
    assert code == 0
    made = json.loads(out)["archetypes"]
    assert sum(one["share_of_revenue"] for one in made) == pytest.approx(1)
    assert sum(one["population_percentage"] for one in made) == pytest.approx(100)
    assert all(len(one["name"].split()) <= 5 and one["traits"] for one in made)
    assert all(one["orders"] >= 1 and one["silent_days"] >= 0 and 0 < one["share_of_lifecycle"] <= 1 for one in made)
    code, out, _ = quimbi("archetypes", "--store-id", "north")
    assert code == 0
    assert all(one["name"] in out for one in made)
    assert f"{len(made)} archetypes" in out


def test_simulate_writes_four_files_and_the_same_ones_again(quimbi, tmp_path):
    for folder in ("one", "two"):
        code, out, _ = quimbi("simulate", "--customers", "50", "--out", tmp_path / folder, "--seed", "3")
        assert code == 0
    names = {"orders.parquet", "order_items.parquet", "support_tickets.parquet", "labels.parquet"}
    assert {path.name for path in (tmp_path / "one").iterdir()} == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert "orders.parquet" in out


def test_snapshots_and_drift(quimbi, two_stores):
    code, out, err = quimbi("drift", "--store-id", "south")
    assert (code, out) == (2, "")
    assert "has no snapshot yet" in err
    assert quimbi("snapshot", "--store-id", "south", "--week", "2199-01-07")[2].endswith(err.partition("next: ")[2])
    first, second = re.findall(NEXT, err)
    for week, words, missing in (
        (second, "the first snapshot", [first, second]),
        (first, "the first snapshot", [second]),
        (second, f"since the snapshot of {first}", []),
    ):
        code, out, _ = quimbi("snapshot", "--store-id", "south", "--week", week)
        assert code == 0
        assert words in out
        assert re.findall(NEXT, out) == missing
    code, out, _ = quimbi("drift", "--store-id", "south", "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {
        "store_id", "week", "as_of", "compared_with", "customers", "causes", "migrations", "alerts", "at_risk",
        "floors",
        "feature_psi", "segment_psi", "large_psi", "later_models", "currency",
    }  # fmt: skip
    assert set(found["causes"]) <= {"acted", "silent"}
    assert {alert["customer_id"] for alert in found["alerts"] if alert["alert"] == "newly_at_risk"} <= {
        one["customer_id"] for one in found["at_risk"]
    }
    assert found["at_risk"] == sorted(found["at_risk"], key=lambda one: (one["week"], one["priority"]), reverse=True)
    code, out, _ = quimbi("drift", "--store-id", "south")
    assert code == 0
    assert f"{found['causes']['silent']:,} silent (only time passed" in out


def test_ctrl_c_is_one_line_and_leaves_everything_usable(two_stores, quimbi):
    command = [sys.executable, "-m", "quimbi_assets.cli", "run", "--store-id", "south"]
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                said.append(line)
                if "features of" in line:
                    process.send_signal(signal.SIGINT)
                    break
            _, rest = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in "".join(said) + rest
    assert rest.splitlines()[-1].startswith("quimbi: interrupted")
    code, out, _ = quimbi("segments", "--store-id", "south", "--json")
    assert code == 0
    assert json.loads(out)["store_id"] == "south"


@pytest.mark.parametrize("arguments", ["customers --json", "customers", "customers --csv -", "segments"])
@pytest.mark.parametrize("where", [">&-", "> /dev/full", "<&- >&- 2>&-"])
def test_a_standard_output_that_takes_nothing(two_stores, arguments, where):
    command = f"{sys.executable} -m quimbi_assets.cli {arguments} --store-id north {where}"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True)
    refusal = "quimbi: cannot write to standard output: No space left on device\n"
    assert done.returncode == (2 if where == "> /dev/full" else 0)
    assert done.stderr == refusal or (done.returncode == 0 and "quimbi: " not in done.stderr)


@pytest.fixture
def first_run(two_stores):
    """A run of a store that is under way in a process of its own."""
    command = [sys.executable, "-m", "quimbi_assets.cli", "run", "--store-id", "south"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if "features of" in line:
                    break
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("promote", "--axis", "purchase_value", "--version", "1"),
        ("rename", "--axis", "purchase_value", "--segment", "purchase_value_1", "--to", "abc"),
        ("snapshot", "--week", "2025-12-29"),
        ("backtest",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_store_that_is_held_is_refused_and_stays_as_it_is(quimbi, two_stores, database, arguments):
    command, *options = arguments
    before = quimbi("segments", "--store-id", "south", "--json")
    with closing(RunLock(database)) as lock:
        lock.take(["south"])
        code, out, err = quimbi(command, "--store-id", "south", *options)
    assert (code, out) == (2, "")
    assert re.fullmatch(
        r"quimbi: store south is being run by process \S+:\d+ since [\d: -]+ UTC; wait for it, or use --wait",
        err.splitlines()[-1],
    )
    assert quimbi("segments", "--store-id", "south", "--json") == before


def test_a_second_run_waits_if_asked_and_a_killed_one_is_over(quimbi, first_run):
    code, _, err = quimbi("run", "--store-id", "south")
    assert code == 2
    assert f":{first_run.pid} since" in err.splitlines()[-1]
    Timer(3, first_run.kill).start()
    code, _, err = quimbi("run", "--store-id", "south", "--wait")
    assert code == 0
    waited = [line for line in err.splitlines() if "waiting: store south is being run" in line]
    assert len(waited) == 1
    run_id = re.search(r"\(run (\w{8})\)", waited[0])[1]
    with open_instance() as instance:
        (killed,) = [run for run in instance.get_runs(limit=5) if run.run_id.startswith(run_id)]
    assert killed.status.value == "FAILURE"


@pytest.mark.parametrize("what", [{"at": pd.Timestamp("2020-01-01")}, {"model_version": "99"}])
def test_what_a_dead_run_left_is_not_published_by_a_name(quimbi, two_stores, what):
    key, tables = axis_key("memberships", "return_behavior"), parquet_tables()
    table = tables.table(key, "south")
    rows, facts = table.read(), table.facts
    _, before, _ = quimbi("segments", "--store-id", "south", "--json")
    (axis,) = [one for one in json.loads(before)["axes"] if one["axis"] == "purchase_value"]
    asked = ("--store-id", "south", "--axis", "purchase_value")
    tables.write(key, "south", [rows], replace(facts, **what))
    try:
        for command in (
            ("rename", *asked, "--segment", axis["segments"][0]["segment_id"], "--to", "other_spenders"),
            ("promote", *asked, "--version", "1"),
        ):
            code, out, err = quimbi(*command)
            assert (code, out) == (2, "")
            assert "did not end or was refused" in err.splitlines()[-1]
    finally:
        tables.write(key, "south", [rows], facts)
    assert quimbi("segments", "--store-id", "south", "--json")[1] == before


def test_a_plan_is_shown_and_set(quimbi, two_stores):
    code, out, _ = quimbi("plan", "--store-id", "north", "--json")
    assert code == 0
    before = json.loads(out)
    assert (before["weekday"], before["refit"], before["time_zone"]) == ("monday", "monthly", "America/New_York")
    code, out, _ = quimbi("plan", "--store-id", "north", "--weekday", "friday", "--hour", "23", "--refit", "never")
    assert code == 0
    assert "weekly work on friday at 23:00 (America/New_York)" in out
    assert "models are fitted anew never" in out
    code, out, err = quimbi("plan", "--store-id", "north", "--weekday", "someday")
    assert (code, out) == (2, "")
    assert "there are: monday" in err.splitlines()[-1]
    back = [f"--{name}={before[name]}" for name in ("weekday", "hour", "refit")]
    code, out, _ = quimbi("plan", "--store-id", "north", *back, "--json")
    assert json.loads(out) == before
