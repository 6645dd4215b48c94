"""Kills processes under ``quimbi ui`` at random moments, with schedules on and two stores, and looks what is left.

Commands of the stores follow one another (load, run, snapshot, rename, a new plan, which makes weeks due), and often
Dagster is asked for a run of the other store; meanwhile one process after the other dies by SIGKILL: a command, a run's
worker, the daemon, one of the servers, PostgreSQL, one of its backends, ``quimbi ui`` itself, or all at once. What a
supervisor would begin anew is begun anew. After every ``AT_ONCE`` kills readers have to see one whole state of both
stores, all orders of loads that ended well and of one that did not all or none, the names last given; then a run of
each store has to end well within ``LONGEST_SECONDS``; no run may stay unfinished whose process is gone. At the end
nothing may be under way, and both stores have to hold what the same commands leave where nothing is killed.

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
    "run worker": (12, "multiprocessing.spawn"),
    "backend": (16, "postgres: quimbi"),
    "code server": (4, "code-server"),
    "grpc server": (4, "api grpc"),
    "postmaster": (4, "bin/postgres"),
    "daemon": (1, "dagster._daemon"),
    "Dagster's pages": (1, "quimbi_assets.commands.dagster_server"),
    "MLflow": (1, "mlflow"),
    "pages": (1, "quimbi_assets.cli api"),
    "quimbi ui": (1, "quimbi_assets.cli ui"),
}
"""How often a kind is chosen where there is one, and what its command line has. A command, and all at once, beside."""
COMMAND, ALL = "command", "all"
OTHERS = {COMMAND: 12, ALL: 1}
AT_ONCE = 8
"""Kills, at random moments, between two looks."""
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
        self.loaded, self.loading, self.called = 0, 0, ""
        self.calling: set[str] = set()
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
            name = f"regulars_{number}_{chance.randrange(1000)}"
            self.calling.add(name)
            return (*self.rename(name), "--wait")
        if what == "plan":
            now = pd.Timestamp.now("UTC")
            when = ("--weekday", now.day_name().lower(), "--hour", str(chance.randint(0, now.hour)))
            return ("plan", "--store-id", self.name, *when)
        return (*self.run(), "--wait")

    def ended(self, arguments: Sequence[str], done: Done) -> None:
        """Note what was acknowledged; what was not may be there or not."""
        if done.code == 0 and arguments[0] == "load":
            self.loaded, self.loading = self.loading, 0
        if done.code == 0 and arguments[0] == "rename":
            self.called, self.calling = arguments[arguments.index("--to") + 1], set()

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
        if self.called and {name for (name,) in names} - {self.called, *self.calling}:
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


def kill(home: Path, actor: Actor, chance: random.Random) -> str:
    """Kill one process of a kind of which there are some, and return the kind."""
    of_kind: dict[str, list[int]] = {}
    every = processes(home)
    for pid, line in every.items():
        kind = next((kind for kind, (_, sign) in KINDS.items() if sign in line), None)
        if kind is not None:
            of_kind.setdefault(kind, []).append(pid)
    of_kind |= {ALL: [*every, actor.pid]} | ({COMMAND: [actor.pid]} if actor.is_alive else {})
    weights = {kind: OTHERS.get(kind) or KINDS[kind][0] for kind in of_kind}
    kind = chance.choices(list(weights), list(weights.values()))[0]
    for victim in of_kind[kind] if kind == ALL else [chance.choice(sorted(of_kind[kind]))]:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    return kind


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


def kill_some(
    home: Home, ui: Ui, stores: Sequence[Store], number: int, chance: random.Random, watch: Watch
) -> tuple[list[str], str, list[str]]:
    """Kill some processes, bring back what was killed, look, do again; return the kinds, a line and the problems."""
    began, problems, kinds = time.monotonic(), [], []
    up = ui.wait()
    if up < 0:
        problems.append(f"quimbi ui was not up within {UP_SECONDS:.0f} s")
    ends: Counter[str] = Counter()
    store, arguments, actor = _begun(home, ui, stores, number, chance)
    for turn in range(AT_ONCE):
        if not actor.is_alive:
            ends[_ended(store, arguments, actor)] += 1
            store, arguments, actor = _begun(home, ui, stores, number + turn, chance)
        time.sleep(chance.uniform(0.2, 3.5))
        kinds.append(kill(home.place, actor, chance))
        ui.keep()
    ends[_ended(store, arguments, actor)] += 1
    problems += [end for end in ends if end.endswith("None")]
    problems += looked_at(home, stores, watch)
    for store in stores:
        done = Actor(home.place, (*store.run(), "--wait"), environment=home.environment).end(LONGEST_SECONDS)
        if done.code != 0:
            problems.append(f"run of {store.name} afterwards: exit {done.code}: {done.last}")
    problems += looked_at(home, stores, watch)
    what = f"{dict(Counter(kinds))}; commands {dict(ends)}"
    return kinds, f"{what}; {time.monotonic() - began:.0f} s, up after {up:.0f} s", problems


def _begun(
    home: Home, ui: Ui, stores: Sequence[Store], number: int, chance: random.Random
) -> tuple[Store, tuple[str, ...], Actor]:
    """Begin a command of a store and, most times, ask for a run of the other."""
    store, other = chance.sample(list(stores), 2)
    arguments = store.next(chance, number)
    actor = Actor(home.place, arguments, environment=home.environment)
    if chance.random() < 0.6:
        ui.launch(other, chance)
    return store, arguments, actor


def _ended(store: Store, arguments: Sequence[str], actor: Actor) -> str:
    """Wait for a command's end, note what was acknowledged, and return how it ended."""
    done = actor.end(LONGEST_SECONDS)
    store.ended(arguments, done)
    return f"{arguments[0]} {done.code}"


def final(home: Home, stores: Sequence[Store]) -> dict[str, dict[str, str]]:
    """Do what both homes end with, undisturbed, and return the digests of each store."""
    digests = {}
    for store in stores:
        home.plain(store.load_all())
        home.plain(("plan", "--store-id", store.name, "--weekday", "monday", "--hour", "5"))
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
        for number in range(AT_ONCE, options.kills + AT_ONCE, AT_ONCE):
            if time.monotonic() > until:
                break
            killed, line, problems = kill_some(home, ui, stores, number, chance, watch)
            kinds.update(killed)
            wrong.update(killed if problems else ())
            print(f"{number:4} {line}  {'; '.join(problems) or 'whole'}", flush=True)
        at_rest = _at_rest(home, ui, stores, watch)
        ui.stop()
        twice = {text[:80]: n for text, n in Counter(heard).items() if n > 1}
        n_wrong = wrong.total() // AT_ONCE
        print(f"{kinds.total()} kills, something was wrong at {n_wrong} looks; quimbi ui began {ui.n_starts} times")
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
        "`benchmarks/kills.py`: two stores, schedules on, processes killed at random moments while commands of one",
        "store and often a run of the other work; `quimbi ui` is begun anew where it has ended. After every",
        f"{AT_ONCE} kills both stores have to be whole, loads that ended well there, and a run of each to end well.",
        "",
        "| killed | times | something was wrong |",
        "|---|---|---|",
        *(f"| {kind} | {n} | {wrong[kind]} |" for kind, n in sorted(kinds.items())),
        "",
        f"{sum(kinds.values())} kills; `quimbi ui` began {n_starts} times. At the end, when all orders were loaded and",
        "both stores run once more, other than in a home where nothing was killed (and nothing else was done): "
        f"{'; '.join(left) or 'nothing'}.",
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
