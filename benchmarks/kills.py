"""Kills processes under ``quimbi ui`` at random moments, with schedules on and two stores, and looks what is left.

Before each kill a command of one store begins (load, run, snapshot, rename, a new plan, which makes weeks due), and
often Dagster is asked for a run of the other; then one process dies by SIGKILL: a command, a run's worker, the daemon,
one of the servers, PostgreSQL, one of its backends, ``quimbi ui`` itself, or all at once. What a supervisor would begin
anew is begun anew. After each, readers have to see one whole state of both stores, all orders of loads that ended well
and of the one under way all or none, the names last given; a next command of the store has to end well within
``LONGEST_SECONDS``; no run may stay unfinished whose process is gone. At the end nothing may be under way, and both
stores have to hold what the same commands leave where nothing is killed.

``--kills 200 --seed 1`` repeat the choices, not the moments. Exit 1 if something was not as it has to be.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from faults import AXES, LATER_DAYS, TITLES, channel, put

from quimbi_assets.instants import closed_week
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.faulty import Actor, Done, Home, Look

STORES = ("a", "b")
CUSTOMERS = 150
PARTS = 60
"""Loads into which a store's last orders are cut."""
LONGEST_SECONDS = 240.0
STUCK_SECONDS = 300.0
"""For which a run may be unfinished without a session at the database."""
UP_SECONDS = 180.0
PORTS = {"--dagster-port": 3411, "--mlflow-port": 5411, "--page-port": 8411}
KINDS: Mapping[str, tuple[int, str]] = {
    "run worker": (5, "multiprocessing.spawn"),
    "code server": (2, "code-server"),
    "grpc server": (2, "api grpc"),
    "daemon": (2, "dagster._daemon"),
    "Dagster's pages": (1, "quimbi_assets.commands.dagster_server"),
    "MLflow": (1, "mlflow"),
    "pages": (1, "quimbi_assets.cli api"),
    "quimbi ui": (1, "quimbi_assets.cli ui"),
    "backend": (4, "postgres: quimbi"),
    "postmaster": (2, "bin/postgres"),
}
"""How often a kind is chosen where there is one, and what its command line has. A command, and all at once, beside."""
COMMAND, ALL = "command", "all"
OTHERS = {COMMAND: 4, ALL: 1}
LAUNCH = """mutation($job: String!, $tags: [ExecutionTag!]) { launchRun(executionParams: {
    selector: {repositoryLocationName: "quimbi_assets.definitions", repositoryName: "__repository__", jobName: $job},
    runConfigData: "{}", executionMetadata: {tags: $tags}}) { __typename } }"""
UNFINISHED = """
    SELECT r.run_id, status FROM runs r WHERE status IN ('NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING', 'QUEUED')
"""
SESSIONS = "SELECT split_part(application_name, ' ', 2) FROM pg_stat_activity WHERE application_name LIKE 'quimbi %%'"


class Store:
    """A store's files in parts, what was acknowledged, and its commands."""

    def __init__(self, name: str, files: Path, seed: int) -> None:
        self.name, self._files = name, files / name
        if not self._files.exists():
            self._write(seed)
        self.n_orders = json.loads((self._files / "orders.json").read_text())
        self.loaded, self.loading, self.called, self.calling = 0, 0, "", ""
        week = closed_week(pd.Timestamp.now("UTC")).date()
        self.weeks = [week - timedelta(weeks=n) for n in (1, 0)]

    def _write(self, seed: int) -> None:
        self._files.mkdir(parents=True)
        write_store(CUSTOMERS, self._files, seed=seed, end_date=str(date.today()))
        orders, items = (pd.read_parquet(self._files / f"{name}.parquet") for name in ("orders", "order_items"))
        placed = pd.to_datetime(orders["order_date"])
        until = placed.max() - pd.Timedelta(days=LATER_DAYS)
        later = orders[placed >= until].sort_values("order_date")
        sizes = []
        for number in range(PARTS + 1):
            part = orders[placed < until] if number == 0 else later.iloc[number - 1 :: PARTS]
            part.to_parquet(self._files / f"orders_{number}.parquet")
            items[items["order_id"].isin(part["order_id"])].to_parquet(self._files / f"items_{number}.parquet")
            sizes.append(part["order_id"].nunique())
        (self._files / "orders.json").write_text(json.dumps(sizes))

    def load(self, number: int) -> tuple[str, ...]:
        """Return the command that loads a part; 0 is all but the last weeks."""
        files = [f"{self._files}/{what}_{number}.parquet" for what in ("orders", "items")]
        return ("load", "--store-id", self.name, "--orders", files[0], "--items", files[1])

    def load_all(self) -> tuple[str, ...]:
        """Return the command that loads all parts at once."""
        files = (f"{self._files}/{what}.parquet" for what in ("orders", "order_items"))
        return ("load", "--store-id", self.name, "--orders", next(files), "--items", next(files))

    def run(self, *more: str) -> tuple[str, ...]:
        """Return the command that runs the store on one axis."""
        return ("run", "--store-id", self.name, "--axes", AXES[0], "--max-k", "3", "--no-ai-naming", *more)

    def snapshot(self, week: date) -> tuple[str, ...]:
        """Return the command that records a week."""
        return ("snapshot", "--store-id", self.name, "--week", str(week))

    def rename(self, to: str) -> tuple[str, ...]:
        """Return the command that names the store's first segment."""
        return ("rename", "--store-id", self.name, "--axis", AXES[0], "--segment", f"{AXES[0]}_1", "--to", to)

    def next(self, chance: random.Random, number: int) -> tuple[str, ...]:
        """Choose a command."""
        what = chance.choice(("load", "load", "load", "run", "run", "snapshot", "rename", "rename", "plan"))
        if what == "load" and self.loaded < PARTS:
            self.loading = self.loaded + 1
            return self.load(self.loading)
        if what == "snapshot":
            return (*self.snapshot(chance.choice(self.weeks)), "--wait")
        if what == "rename":
            self.calling = f"regulars_{number}"
            return (*self.rename(self.calling), "--wait")
        if what == "plan":
            now = pd.Timestamp.now("UTC")
            when = ("--weekday", now.day_name().lower(), "--hour", str(chance.randint(0, now.hour)))
            return ("plan", "--store-id", self.name, *when)
        return (*self.run(), "--wait")

    def ended(self, well: bool) -> None:
        """Note whether what was under way was acknowledged."""
        if well and self.loading:
            self.loaded = self.loading
        if well and self.calling:
            self.called = self.calling
        self.loading = 0 if well else self.loading
        self.calling = "" if well else self.calling

    def problems(self, look: Look) -> Iterator[str]:
        """Yield what a reader sees that may not be."""
        yield from look.problems()
        every = (self.name,)
        ((n,),) = look.ask("SELECT count(*) FROM quimbi.orders WHERE store_id = %s", every)
        loaded = sum(self.n_orders[: self.loaded + 1])
        may_be = {loaded, loaded + self.n_orders[self.loading]} if self.loading else {loaded}
        if n not in may_be:
            yield f"{n} orders, not {may_be}"
        names = look.ask("SELECT segment_name FROM quimbi.segment_renames WHERE store_id = %s", every)
        if self.called and {name for (name,) in names} - {self.called, self.calling}:
            yield f"names are {names}, not {self.called}"


class Ui:
    """``quimbi ui`` with schedules on, as a supervisor keeps it running."""

    def __init__(self, home: Home, address: str) -> None:
        self._home = home
        self._environment = {**os.environ, "QUIMBI_HOME": str(home.place), "SLACK_WEBHOOK_URL": address}
        self.process: subprocess.Popen[bytes] | None = None
        self.n_starts = 0

    def keep(self) -> None:
        """Begin it anew where it has ended."""
        if self.process is None or self.process.poll() is not None:
            options = [word for port in PORTS.items() for word in map(str, port)]
            command = [sys.executable, "-W", "ignore", "-m", "quimbi_assets.cli", "ui", "--automate", *options]
            with (self._home.place.parent / "ui.log").open("ab") as log:
                self.process = subprocess.Popen(
                    command, env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
            self.n_starts += 1

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """Ask Dagster's server."""
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        address = f"http://127.0.0.1:{PORTS['--dagster-port']}/graphql"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def is_up(self) -> bool:
        """Whether Dagster's server answers and knows our jobs."""
        try:
            answer = self.ask("{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }")
            entries = answer["data"]["workspaceOrError"]["locationEntries"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return bool(entries) and entries[0]["loadStatus"] == "LOADED"

    def wait(self) -> float:
        """Wait until it is up, beginning it anew if need be; return how long, negative if too long."""
        began = time.monotonic()
        while not self.is_up():
            self.keep()
            if time.monotonic() - began > UP_SECONDS:
                return -1.0
            time.sleep(0.5)
        return time.monotonic() - began

    def launch(self, store: Store, chance: random.Random) -> str:
        """Ask for a run, and return what came of it."""
        job, tags = "rescore", {"dagster/partition": store.name}
        if chance.random() < 0.5:
            week = str(chance.choice(store.weeks))
            job = "week"
            tags = {
                "dagster/partition": f"{store.name}|{week}", "dagster/partition/store": store.name,
                "dagster/partition/week": week,
            }  # fmt: skip
        tags["quimbi/store"] = store.name
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        try:
            answer = self.ask(LAUNCH, {"job": job, "tags": listed})
            return f"{job} {answer['data']['launchRun']['__typename'].removesuffix('Success')}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{job}: {type(error).__name__}"

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(60)


def processes(home: Path) -> dict[int, str]:
    """Return command lines of the processes that work for a home, by their numbers; the server's among them."""
    every, mark = {}, f"QUIMBI_HOME={home}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            is_ours = mark in (folder / "environ").read_bytes().split(b"\0")
            if is_ours and "forkserver" not in line and "resource_tracker" not in line:
                every[int(folder.name)] = line
    return every | backends(home)


def backends(home: Path) -> dict[int, str]:
    """Return the server's processes that answer sessions, and the server."""
    with suppress(OSError, ValueError, IndexError):
        server = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
        lines = {server: "bin/postgres"}
        for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
            with suppress(OSError):
                lines[int(child)] = Path(f"/proc/{child}/cmdline").read_text().strip("\0 ")
        return lines
    return {}


def choose(home: Path, actor: Actor, chance: random.Random) -> tuple[str, list[int]]:
    """Choose a kind of process of those there are, and one of the kind."""
    of_kind: dict[str, list[int]] = {}
    every = processes(home)
    for pid, line in every.items():
        kind = next((kind for kind, (_, sign) in KINDS.items() if sign in line), None)
        if kind is not None:
            of_kind.setdefault(kind, []).append(pid)
    of_kind[COMMAND] = [actor.pid]
    weights = dict(OTHERS) | {kind: KINDS[kind][0] for kind in of_kind if kind in KINDS}
    kind = chance.choices(list(weights), list(weights.values()))[0]
    return (kind, [*every, actor.pid]) if kind == ALL else (kind, [chance.choice(sorted(of_kind[kind]))])


class Watch:
    """Runs that are unfinished, and since when without a session at the database."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def problems(self, look: Look) -> Iterator[str]:
        """Yield runs that stay unfinished although their processes are gone, or that nobody begins."""
        alive = {run for (run,) in look.ask(SESSIONS)}
        now, unfinished = time.monotonic(), dict(look.ask(UNFINISHED, database="dagster"))
        without = {run: status for run, status in unfinished.items() if run[:8] not in alive}
        self._since = {run: self._since.get(run, now) for run in without}
        for run, since in self._since.items():
            if now - since > STUCK_SECONDS:
                yield f"run {run[:8]} {without[run]} for {now - since:.0f} s without a process"


def looked_at(home: Home, stores: Sequence[Store], watch: Watch) -> list[str]:
    """Return what is wrong in both stores."""
    problems = []
    for store in stores:
        with closing(Look(home.place, store.name)) as look:
            problems += [f"{store.name}: {problem}" for problem in (*store.problems(look), *watch.problems(look))]
    return problems


def again(home: Home, store: Store, arguments: Sequence[str], done: Done, environment: Mapping[str, str]) -> Done:
    """Do again what was killed, after a run where one is asked for."""
    if (done.code == 2 and "first: quimbi run" in done.last) or arguments[0] == "snapshot":
        Actor(home.place, (*store.run(), "--wait"), environment=environment).end(LONGEST_SECONDS)
    return Actor(home.place, arguments, environment=environment).end(LONGEST_SECONDS)


def kill_one(
    home: Home, ui: Ui, stores: Sequence[Store], number: int, chance: random.Random, watch: Watch
) -> tuple[str, str, list[str]]:  # fmt: skip
    """Kill one process, bring back what was killed, look, do again; return its kind, a line and the problems."""
    began, problems = time.monotonic(), []
    up = ui.wait()
    if up < 0:
        problems.append(f"quimbi ui was not up within {UP_SECONDS:.0f} s")
    store, other = chance.sample(list(stores), 2)
    arguments = store.next(chance, number)
    actor = Actor(home.place, arguments, environment=home.environment)
    launched = ui.launch(other, chance) if chance.random() < 0.6 else "-"
    time.sleep(chance.uniform(0.2, 7.0))
    kind, victims = choose(home.place, actor, chance)
    for victim in victims:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    ui.keep()
    done = actor.end(LONGEST_SECONDS)
    problems += looked_at(home, stores, watch)
    code = done.code
    if code is None:
        problems.append(f"{arguments[0]} hung: {done.last}")
    for _ in range(2):
        if done.code != 0:
            done = again(home, store, arguments, done, home.environment)
    if done.code != 0:
        problems.append(f"{arguments[0]} again: exit {done.code}: {done.last}")
    store.ended(done.code == 0)
    problems += looked_at(home, stores, watch)
    what = f"{kind:16} {store.name} {arguments[0]:9} exit {code!s:4} beside {launched:16}"
    return kind, f"{what} {time.monotonic() - began:5.1f} s, up after {up:4.1f} s", problems


def final(home: Home, stores: Sequence[Store]) -> dict[str, dict[str, str]]:
    """Do what both homes end with, undisturbed, and return the digests of each store."""
    digests = {}
    for store in stores:
        home.plain(store.load_all())
        home.plain(store.run("--promote"))
        home.plain(store.rename("regulars"))
        with closing(Look(home.place, store.name)) as look:
            left = [*look.problems(), *look.leftovers()]
            if left:
                raise AssertionError(f"{store.name}: {left}")
            digests[store.name] = {group: d for group, d in look.digests.items() if group in COMPARED}
    return digests


COMPARED = ("data", "published", "names", "actions")
"""What both homes have to hold alike at the end; weeks are of the models that served when they were recorded."""


def begun(home: Home, stores: Sequence[Store]) -> None:
    """Make a home with both stores, run once; it is put aside, and brought back where it was."""
    if (home.aside / "begun").exists():
        return home.bring_back("begun")
    home.begin()
    for store in stores:
        for command in (store.load(0), store.run(), ("plan", "--store-id", store.name, "--refit", "never")):
            home.plain(command)
    return home.put_aside("begun")


def main() -> None:
    """Kill as the options say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("kills-work"))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    work, chance = options.work.absolute(), random.Random(options.seed)
    until, watch, kinds, wrong = time.monotonic() + 60 * options.minutes, Watch(), Counter[str](), Counter[str]()
    with channel() as (address, heard):
        home = Home(work / "home", work / "aside", {"SLACK_WEBHOOK_URL": address})
        stores = [Store(name, work / "files", seed) for seed, name in enumerate(STORES, 2)]
        begun(home, stores)
        ui = Ui(home, address)
        for number in range(1, options.kills + 1):
            if time.monotonic() > until:
                break
            kind, line, problems = kill_one(home, ui, stores, number, chance, watch)
            kinds[kind] += 1
            wrong[kind] += bool(problems)
            print(f"{number:4} {line}  {'; '.join(problems) or 'whole'}", flush=True)
        at_rest = _at_rest(home, ui, stores, watch)
        ui.stop()
        twice = {text[:80]: n for text, n in Counter(heard).items() if n > 1}
        n_wrong = wrong.total()
        print(f"{kinds.total()} kills, something was wrong after {n_wrong}; quimbi ui began {ui.n_starts} times")
        print(
            f"{len(heard)} messages, more than once: {twice}; at the end {at_rest or 'nothing under way'}", flush=True
        )
        differ = _compared(home, stores, work)
        print(f"both stores hold what they hold undisturbed, but {', '.join(differ) or 'nothing'}")
        home.stop()
    if options.out:
        put(options.out, TITLES[2], section(kinds, wrong, ui.n_starts, [*at_rest, *differ]))
    sys.exit(bool(n_wrong or differ or at_rest))


def _compared(home: Home, stores: Sequence[Store], work: Path) -> list[str]:
    """Return what the stores hold otherwise than in a home in which nothing was killed."""
    try:
        disturbed = final(home, stores)
    except AssertionError as error:
        return [str(error)]
    begun(home, stores := [Store(store.name, work / "files", 0) for store in stores])
    plain = final(home, stores)
    return [
        f"{name} {group}: {disturbed[name].get(group)}, not {plain[name].get(group)}"
        for name, group in product(STORES, COMPARED)
        if disturbed[name].get(group) != plain[name].get(group)
    ]


def section(kinds: Mapping[str, int], wrong: Mapping[str, int], n_starts: int, left: Sequence[str]) -> str:
    """Return the part of the page about faults that says what came of kills."""
    lines = [
        TITLES[2],
        "`benchmarks/kills.py`: two stores, schedules on, one process killed at a random moment while a command of",
        "one store and often a run of the other work; `quimbi ui` is begun anew where it has ended. After each kill",
        "both stores are whole, loads that ended well are there, and a next command of the store ends well.",
        "",
        "| killed | times | something was wrong |",
        "|---|---|---|",
        *(f"| {kind} | {n} | {wrong[kind]} |" for kind, n in sorted(kinds.items())),
        "",
        f"{sum(kinds.values())} kills; `quimbi ui` began {n_starts} times. At the end runs are over and both stores",
        f"hold what the same commands leave undisturbed{': **' + '; '.join(left) + '**' if left else ''}.",
    ]
    return "\n".join(lines)


def _at_rest(home: Home, ui: Ui, stores: Sequence[Store], watch: Watch) -> list[str]:
    """Wait until nothing is under way any more; return what is, if that takes too long, and what is wrong."""
    until = time.monotonic() + STUCK_SECONDS
    with closing(Look(home.place, stores[0].name)) as look:
        while unfinished := look.ask(UNFINISHED, database="dagster"):
            ui.keep()
            if time.monotonic() > until:
                return [f"still under way: {unfinished}"]
            time.sleep(2)
    return looked_at(home, stores, watch)


if __name__ == "__main__":
    main()
