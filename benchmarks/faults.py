"""Lets every act of ours meet every fault before each of its effects, one after the other, and looks what is left.

Acts are load, run, refit, snapshot, promote, rename and erase, of a small simulated store on one axis; faults and
effects are those of ``quimbi_assets_tests/faulty.py``. After each, readers have to see one whole state, old or new,
and the same command again has to end well, as if nothing had been, leaving nothing under way and nothing twice.

``--acts``, ``--faults`` choose; ``--every 5`` takes every fifth effect, ``--seed`` says which, ``--minutes``
ends in time. What was tried is added up in ``--work``, so that it can be gone on with, and ``--out docs/faults.md``
writes its table; ``docs/faults.jsonl`` is what that holds, to be gone on with as ``trials.jsonl`` of another folder.
``--some 3`` kills three times, of which ``make test`` makes use; ``--pairs`` lets two acts meet instead: a second one
is begun before each effect of a first. Exit 1 if something was not as it has to be.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from quimbi_assets.instants import closed_week
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.faulty import CUT, DISK, FAULTS, FILE, KILL, MEETS, RUN, Actor, Home, Look

STORE = "s"
AXES = ("purchase_value",)
CUSTOMERS, SEED = 150, 2
PUT_ASIDE = 40
"""Homes put aside at most at a time, of 100 MB each."""
QUICK = {"rename": 24, "erase": 11}
"""Acts that are quick, and how many effects they have at least where nothing but a run has been before."""
SHORT_DAYS = 150
"""Of a store whose acts are killed a few times only: too few for forecasts, whose models are half of a first run."""
LATER_DAYS = 60
"""Days whose orders come with the second load."""
REFUSED = 2
"""Exit code of what another's run is in the way of."""
PAIRED = ("rename", "promote", "erase", "snapshot", "run", "past")
"""Acts that take the right to run the store, so that whoever comes second is refused."""
LATER_ORDERS = 25
"""Orders that a load brings where all of the store's were loaded before."""
LONGEST_MEETING_SECONDS = 90.0
"""Between two effects, or from an act's beginning to its end, of two that meet; longer is a hang."""


class Act(NamedTuple):
    """A command, the state of the home that it begins in, and the arguments that make it."""

    name: str
    begins: str
    arguments: tuple[str, ...]


class Trial(NamedTuple):
    """A fault that an act met before an effect; ``seen`` is old, new or part; no problems: all is as it has to be."""

    act: str
    fault: str
    number: int
    kind: str
    effect: str
    code: int | None
    seen: str
    problems: list[str]
    seconds: float
    was_done_again: bool = True


class Meeting(NamedTuple):
    """A second act begun before an effect of a first, its exit code, and what is not as it has to be."""

    first: str
    second: str
    number: int
    effect: str
    code: int | None
    problems: list[str]
    seconds: float


T = TypeVar("T", Trial, Meeting)


class Plain(NamedTuple):
    """An act that nothing was in the way of: digests before and after, effects; before each what readers saw of it."""

    before: dict[str, str]
    after: dict[str, str]
    effects: list[tuple[str, str]]
    seen: list[dict[str, str]]
    problems: list[list[str]]


@contextmanager
def channel() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a channel for messages, and what it was sent."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["text"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/services/x", heard
    server.shutdown()
    server.server_close()


class Stage:
    """A home, the states that acts begin in, and what each act does where nothing is in its way."""

    def __init__(self, work: Path, address: str, heard: list[str], days: int | None = None) -> None:
        self.home = Home(work / "home", work / "aside", {"SLACK_WEBHOOK_URL": address})
        self.heard, self._work = heard, work
        if not (work / "files" / "first_orders.parquet").exists():
            self._write_files(days)
        if not (work / "files" / "later_orders.parquet").exists():
            self._write_later()
        self._plain: dict[str, Plain] = {}
        week = closed_week(pd.Timestamp.now("UTC")).date()
        self._weeks = [week - timedelta(weeks=n) for n in (2, 1, 0)]
        run: tuple[str, ...] = ("run", "--store-id", STORE, "--axes", AXES[0], "--max-k", "3", "--no-ai-naming")
        run += () if days is None else ("--min-population", "50")
        of = ("--store-id", STORE, "--axis", AXES[0])
        self.acts = {
            act.name: act
            for act in (
                Act("load", "run", self._load("all")),
                Act("run", "loaded", run),
                Act("refit", "more", run),
                Act("snapshot", "weeks", ("snapshot", "--store-id", STORE, "--week", str(week))),
                Act("past", "weeks", (*run, "--as-of", str(week - timedelta(weeks=8)))),
                Act("promote", "weeks", ("promote", *of, "--version", "1")),
                Act("rename", "weeks", ("rename", *of, "--segment", f"{AXES[0]}_1", "--to", "weekend_regulars")),
                Act("erase", "weeks", ("erase", "--store-id", STORE, "--customer-id", self._customer)),
            )
        }

    def _load(self, part: str) -> tuple[str, ...]:
        files = ("orders", "items", "tickets") if part == "all" else ("orders", "items")
        names = [(f"--{one}", str(self._work / "files" / f"{part}_{one}.parquet")) for one in files]
        return ("load", "--store-id", STORE, *(word for pair in names for word in pair))

    def load_into(self, state: str) -> tuple[str, ...]:
        """Return the arguments of a load that brings something new to a state."""
        return self._load("all" if state in ("loaded", "run") else "later")

    @property
    def _customer(self) -> str:
        first = pd.read_parquet(self._work / "files" / "first_orders.parquet", columns=["customer_id"])
        return str(first["customer_id"].mode()[0])  # of whom there is something in every state

    def prepare(self, last: str = "weeks") -> None:
        """Make the states that acts begin in, up to the last one asked for; where it is there, they stay."""
        if (self.home.aside / last).exists():
            return
        steps: tuple[tuple[str, Sequence[Sequence[str]]], ...] = (
            ("loaded", [self._load("first")]),
            ("run", [self.acts["run"].arguments]),
            ("more", [self._load("all")]),
            ("weeks", [self.acts["refit"].arguments, *(self._snapshot(week) for week in self._weeks[:2])]),
        )
        self.home.begin()
        for name, commands in steps:
            for command in commands:
                self.home.plain(command)
            self.home.put_aside(name)
            if name == last:
                return

    def _snapshot(self, week: date) -> tuple[str, ...]:
        return ("snapshot", "--store-id", STORE, "--week", str(week))

    def _write_files(self, days: int | None) -> None:
        files = self._work / "files"
        files.mkdir(parents=True, exist_ok=True)
        slow_from = str(date.today() - timedelta(days=LATER_DAYS))
        write_store(
            CUSTOMERS, files, seed=SEED, end_date=str(date.today()), slow_down_share=0.25, slow_down_from=slow_from
        )
        orders, items = pd.read_parquet(files / "orders.parquet"), pd.read_parquet(files / "order_items.parquet")
        placed = pd.to_datetime(orders["order_date"])
        until = placed.max() - pd.Timedelta(days=LATER_DAYS)
        since = placed.min() if days is None else until - pd.Timedelta(days=days)
        first = orders[(placed < until) & (placed >= since)]
        for part, rows in (("all", orders), ("first", first)):
            rows.to_parquet(files / f"{part}_orders.parquet")
            items[items["order_id"].isin(rows["order_id"])].to_parquet(files / f"{part}_items.parquet")
        (files / "support_tickets.parquet").rename(files / "all_tickets.parquet")

    def _write_later(self) -> None:
        files = self._work / "files"
        orders, items = pd.read_parquet(files / "all_orders.parquet"), pd.read_parquet(files / "all_items.parquet")
        new = orders.sample(LATER_ORDERS, random_state=SEED)
        lines = items[items["order_id"].isin(new["order_id"])]
        for what, rows in (("items", lines), ("orders", new)):
            rows.assign(order_id="later-" + rows["order_id"]).to_parquet(files / f"later_{what}.parquet")

    def look(self) -> Look:
        """Look at the store as a reader; to be closed."""
        return Look(self.home.place, STORE)

    def undisturbed(self, name: str) -> Plain:
        """Return what an act does where nothing is in its way."""
        if name not in self._plain:
            path = self._work / f"{name}.json"
            self._plain[name] = Plain(**json.loads(path.read_text())) if path.exists() else self.walk(name, ())
        return self._plain[name]

    def walk(self, name: str, kept: Sequence[int], meet: Callable[[Actor], None] | None = None) -> Plain:
        """Let an act go from effect to effect and look before each of them, where a SIGKILL would have ended it.

        What is not committed yet nobody sees, before a kill as after it. Before the effects ``kept`` the home is put
        aside as the kill would leave it, as ``name-number``; ``meet`` may do something before each of them.
        """
        act = self.acts[name]
        self.home.bring_back(act.begins)
        self.heard.clear()
        actor, seen, problems = (
            Actor(self.home.place, act.arguments, environment=self.home.environment, gated=True),
            [],
            [],
        )
        while actor.hear():
            with closing(self.look()) as look:
                seen.append(look.digests)
                problems.append(list(look.problems()))
            if len(seen) in kept:
                self.home.put_aside_as_killed(f"{name}-{len(seen)}")
            if meet is not None:
                meet(actor)
            actor.go()
        done = actor.end()
        with closing(self.look()) as look:
            wrong = [*look.problems(), *look.leftovers()] + ([] if done.code == 0 else [f"{done.code}: {done.last}"])
            if wrong:
                raise AssertionError(f"{name}, undisturbed: {wrong}")
            plain = Plain(seen[0], look.digests, done.effects, seen, problems)
        if meet is not None:
            return plain
        (self._work / f"{name}.json").write_text(json.dumps(plain._asdict()))
        self._plain[name] = plain
        return plain

    def killed(self, name: str, number: int, *, again: bool) -> Trial:
        """Say what readers see of an act killed before an effect and, if put aside so, do it again and look again."""
        began, plain = time.monotonic(), self.undisturbed(name)
        whole, problems = _whole(plain, plain.seen[number - 1])
        problems += plain.problems[number - 1]
        if again:
            self.home.bring_back(f"{name}-{number}")
            self.heard.clear()
            problems += self._again(name)
        kind, effect = plain.effects[number - 1]
        return Trial(name, KILL, number, kind, effect, -9, whole, problems, time.monotonic() - began, again)

    def trial(self, name: str, fault: str, number: int) -> Trial:
        """Let an act meet a fault before an effect, look, do it again, look again.

        Where it ended well all the same, and left what it leaves undisturbed, that it is done again says nothing new.
        """
        began, act, plain = time.monotonic(), self.acts[name], self.undisturbed(name)
        self.home.bring_back(act.begins)
        self.heard.clear()
        done = self.home.act(act.arguments, fault, number)
        with closing(self.look()) as look:
            whole, problems = _whole(plain, look.digests)
            problems += look.problems()
            left = list(look.leftovers()) if done.code == 0 else []
        if done.code is None:
            problems.append(f"it hung: {done.last}")
        if done.code != 0 or whole != "new" or left:
            problems += self._again(name)
        kind, effect = done.effects[number - 1] if number <= len(done.effects) else ("", "none: it passed")
        return Trial(name, fault, number, kind, effect, done.code, whole, problems, time.monotonic() - began)

    def _again(self, name: str) -> list[str]:
        """Do an act again, and return what is not as if nothing had been in its way the first time."""
        again, problems = self.home.act(self.acts[name].arguments), []
        if again.code != 0:
            problems.append(f"again: exit {again.code}: {again.last}")
        with closing(self.look()) as look:
            after = self.undisturbed(name).after
            problems += [f"again: {problem}" for problem in (*look.problems(), *look.leftovers())]
            problems += [
                f"again: {group} differs: {digest}, not {after.get(group)}"
                for group, digest in look.digests.items()
                if digest != after.get(group)
            ]
        if len(self.heard) > 2 or len(set(self.heard)) > 1:
            problems.append(f"{len(self.heard)} messages")
        return problems


def _whole(plain: Plain, digests: Mapping[str, str]) -> tuple[str, list[str]]:
    """Say whether what readers see is old, new or new in part, and which groups are neither."""
    groups = dict.fromkeys([*plain.before, *plain.after, *digests])
    seen = {
        group: _seen(*(each.get(group, "none") for each in (digests, plain.before, plain.after))) for group in groups
    }
    problems = [f"{group}: neither old nor new: {digests.get(group)}" for group, s in seen.items() if s == "?"]
    changed = {s for s in seen.values() if s != "same"}
    return "old" if changed <= {"old"} else "new" if changed == {"new"} else "part", problems


def _seen(digest: str, before: str, after: str) -> str:
    if before == after == digest:
        return "same"
    return "old" if digest == before else "new" if digest == after else "?"


def numbers(effects: Sequence[tuple[str, str]], fault: str, every: int, first: int) -> list[int]:
    """Return before which effects a fault comes: those it differs before and whose numbers are ``first`` mod ``every``.

    Of Dagster's that follow one another the last: they are in its record of a run alone. So of files before a cut, as
    nobody asks a server between them. No disk is too full to move.
    """
    of_one = {RUN, FILE} if fault == CUT else {RUN}
    able = [
        number
        for number, (kind, name) in enumerate(effects, 1)
        if kind in MEETS[fault]
        and not (kind in of_one and effects[number : number + 1] and effects[number][0] == kind)
        and (fault != DISK or name.startswith("write"))
    ]
    return [number for number in able if number % every == first % every]


def enumerate_faults(
    stage: Stage, acts: Sequence[str], faults: Sequence[str], every: int, first: int, until: float,
    say: Callable[[Trial], None], tried: dict[tuple[str, str, int], bool],
) -> None:  # fmt: skip
    """Try acts with faults, those that were not tried yet, for as long as there is time."""
    for fault, name in product(faults, acts):
        chosen = [
            n for n in numbers(stage.undisturbed(name).effects, fault, every, first) if not tried.get((name, fault, n))
        ]
        if fault == KILL:
            for start in range(0, len(chosen), PUT_ASIDE):
                if time.monotonic() < until:
                    kill(stage, name, chosen[start : start + PUT_ASIDE], until, say)
            for number in numbers(stage.undisturbed(name).effects, fault, 1, 0):
                if (name, fault, number) not in tried:
                    say(stage.killed(name, number, again=False))
            continue
        for number in chosen:
            if time.monotonic() < until:
                say(stage.trial(name, fault, number))


def kill(stage: Stage, name: str, chosen: Sequence[int], until: float, say: Callable[[Trial], None]) -> None:
    """Kill an act before effects: it goes once through all of them, then is done again from where each has left it."""
    stage.walk(name, chosen)
    for number in chosen:
        if time.monotonic() < until:
            say(stage.killed(name, number, again=True))
        stage.home.forget(f"{name}-{number}")


def kill_some(stage: Stage, n: int, seed: int, say: Callable[[Trial], None]) -> None:
    """Look before all effects of renaming or erasing, as a seed chooses, and do it again after kills before some."""
    chance = random.Random(seed)
    name = chance.choice(list(QUICK))
    stage.acts = {name: stage.acts[name]._replace(begins="run")}
    chosen = chance.sample(range(1, QUICK[name] + 1), n)
    for number in range(1, len(stage.walk(name, chosen).effects) + 1):
        say(stage.killed(name, number, again=number in chosen))
        stage.home.forget(f"{name}-{number}")


class Pairs:
    """Two acts that meet: a second is begun before effects of a first, those that were not tried yet."""

    def __init__(
        self, stage: Stage, every: int, tried: set[tuple[str, str, int]], say: Callable[[Meeting], None]
    ) -> None:
        self._stage, self._every, self._tried, self._say = stage, every, tried, say

    def refuse(self, name: str, others: Sequence[str], until: float) -> None:
        """Try to begin other acts before effects of one; each of them before every n-th, not all before the same.

        Acts take the right to run the store before their first effect and give it back after their last: whichever is
        second is refused, with no effect.
        """
        home, acts, after = self._stage.home, self._stage.acts, self._stage.undisturbed(name).after
        began, n_before = time.monotonic(), len(self._tried)

        def meet(actor: Actor) -> None:
            number, (_, effect) = len(actor.effects), actor.effects[-1]
            for turn, other in enumerate(others, number):
                if turn % self._every or (name, other, number) in self._tried or time.monotonic() > until:
                    continue
                second = Actor(home.place, acts[other].arguments, environment=home.environment)
                done = second.end(LONGEST_MEETING_SECONDS)
                is_refused = done.code == REFUSED and "is being run by" in done.last and not done.effects
                problems = [] if is_refused else [f"not refused: {done.last} {done.effects}"]
                self._say(Meeting(name, other, number, effect, done.code, problems, done.seconds))

        try:
            left = self._stage.walk(name, (), meet).after
            problems = [f"{group} differs: {digest}" for group, digest in left.items() if digest != after.get(group)]
        except (AssertionError, TimeoutError) as error:
            problems = [str(error)]
        if problems:
            self._say(Meeting(name, "others", 0, "its end", None, problems, time.monotonic() - began))
        elif len(self._tried) > n_before:
            print(f"{name}: ended as undisturbed, {time.monotonic() - began:.0f} s", flush=True)

    def load(self, name: str, until: float) -> None:
        """Load before effects of an act; a load is one effect. What is left has to be of an order of the two."""
        self._stage.undisturbed(name)
        effects, orders = self._orders(name)
        for number in range(len(effects), 0, -self._every):
            if (name, "load", number) not in self._tried and time.monotonic() < until:
                self._say(self._loaded(name, number, effects[number - 1][1], orders))

    def _orders(self, name: str) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
        """Return the effects of an act and what is left where it comes before a load, and where after it."""
        stage, act = self._stage, self._stage.acts[name]
        commands = (act.arguments, stage.load_into(act.begins))
        effects, orders = [], []
        for first, second in ((0, 1), (1, 0)):
            stage.home.bring_back(act.begins)
            done = [stage.home.plain(commands[turn]) for turn in (first, second)]
            effects = done[first].effects
            with closing(stage.look()) as look:
                orders.append(look.digests)
        return effects, orders

    def _loaded(self, name: str, number: int, effect: str, orders: Sequence[Mapping[str, str]]) -> Meeting:
        began, stage, act = time.monotonic(), self._stage, self._stage.acts[name]
        stage.home.bring_back(act.begins)
        first = Actor(stage.home.place, act.arguments, environment=stage.home.environment, gated=True)
        second, waited, problems = None, False, []
        try:
            while first.hear(LONGEST_MEETING_SECONDS):
                if len(first.effects) == number:
                    second = Actor(stage.home.place, stage.load_into(act.begins), environment=stage.home.environment)
                    with closing(stage.look()) as look:
                        waited = _waits(second, look)
                first.go()
        except TimeoutError as error:
            problems.append(str(error))
        ends = [actor.end(LONGEST_MEETING_SECONDS) for actor in (first, second) if actor is not None]
        problems += [f"exit {end.code}: {end.last}" for end in ends if end.code != 0]
        with closing(stage.look()) as look:
            problems += [*look.problems(), *look.leftovers(), *_of_no_order(look.digests, orders)]
        effect += " (it waited)" if waited else ""
        return Meeting(name, "load", number, effect, ends[-1].code, problems, time.monotonic() - began)


def _of_no_order(left: Mapping[str, str], orders: Sequence[Mapping[str, str]]) -> list[str]:
    """Return what is not as one order of two acts leaves it."""
    if left in orders:
        return []
    of_none = [group for group, digest in left.items() if digest not in [order.get(group) for order in orders]]
    of = {group: [left.get(group) == order.get(group) for order in orders] for group in left}
    apart = ", ".join(f"{group} {'first' if one else 'second'}" for group, (one, two) in of.items() if one != two)
    return [f"{group} is of no order: {left[group]}" for group in of_none] or [f"of different orders: {apart}"]


def _waits(actor: Actor, look: Look) -> bool:
    """Let an act go on until it has ended, or waits for a lock of the other's, who has to go on then: True."""
    until = time.monotonic() + LONGEST_MEETING_SECONDS
    while time.monotonic() < until:
        try:
            while actor.hear(1.0):
                pass
            return False
        except TimeoutError:
            if look.ask("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                return True
    return True


def try_pairs(stage: Stage, names: Sequence[str], pairs: Pairs, until: float) -> None:
    """Let acts meet each other, then a load."""
    for name in names:
        if name in PAIRED and time.monotonic() < until:
            pairs.refuse(name, PAIRED, until)
    for name in names:
        if time.monotonic() < until:
            pairs.load(name, until)


def pairs_section(meetings: Sequence[Meeting], work: Path) -> str:
    """Return the table of pairs as a section of the page."""
    latest = {(one.first, one.second, one.number): one for one in meetings}
    firsts = list(dict.fromkeys(one.first for one in meetings))
    seconds = ["load", *PAIRED]
    lines = [PAIRS_HEAD, f"| begun first | {' | '.join(seconds)} |", "|---" * (len(seconds) + 1) + "|"]
    for first in firsts:
        n_places = len(json.loads((work / f"{first}.json").read_text())["effects"])
        cells = []
        for second in seconds:
            of = [one for one in latest.values() if (one.first, one.second) == (first, second)]
            n_wrong = sum(bool(one.problems) for one in of)
            waited = sum("(it waited)" in one.effect for one in of)
            what = f" ({waited} waited)" if waited else ""
            cells.append(f"{len(of)} of {n_places}{what}{f', **{n_wrong} wrong**' if n_wrong else ''}" if of else "")
        lines.append(f"| {first} | {' | '.join(cells)} |")
    wrong = [one for one in latest.values() if one.problems]
    lines += ["", *(f"- {w.second} in {w.first} before {w.number}, {w.effect}: {w.problems[0][:200]}" for w in wrong)]
    return "\n".join(lines)


PAIRS_HEAD = """## Two acts at once

A second act is begun before effects of a first, which is held there until the second has ended or waits for a lock of
the first's; then the first goes on. Written by `benchmarks/faults.py --pairs`: how many of the places before the
first's effects were tried. Acts are rename, promote, erase, snapshot, run, and `past`, a run as of eight weeks before.

These are all interleavings of any two. Each act but load takes the right to run the store (a lock of PostgreSQL)
before its first effect and gives it back after its last, so that whichever comes second has no effect: it is refused,
exit 2, naming the first, or waits with `--wait` until the first is over. What is left has to be what the first leaves
alone. A load takes no such right: it has one effect, the commit of its transaction, so that its interleavings with an
act are the places before the act's effects and the one after its last. What is left has to be, in all groups at once,
what one order of the two leaves. Nothing was wrong in any. First acts but run, past and refit are of 3dc63ed and
before, these of 752d2a1.
"""


TITLES = ("# Faults\n", "## Two acts at once\n", "## Kills under `quimbi ui`\n")
"""Of the parts of the page, each of which is written by itself."""


def put(path: Path, title: str, text: str) -> None:
    """Write a part of the page in place of what it has there."""
    before = path.read_text() if path.exists() else ""
    starts = [(before.find(each), each) for each in TITLES if each in before]
    ends = [start for start, _ in starts[1:]] + [len(before)]
    parts = {each: before[start:end] for (start, each), end in zip(starts, ends, strict=False)} | {title: text}
    path.write_text("\n".join(parts[each].strip("\n") + "\n" for each in TITLES if each in parts))


def page(trials: Sequence[Trial], work: Path) -> str:
    """Return the table of effects and faults as a page."""
    lines = [HEAD]
    ranked = sorted(trials, key=lambda trial: trial.was_done_again)
    tried = {(trial.act, trial.fault, trial.number): trial for trial in ranked}
    for act in dict.fromkeys(trial.act for trial in trials):
        effects = json.loads((work / f"{act}.json").read_text())["effects"]
        counts = []
        for fault in FAULTS:
            of = [trial for trial in tried.values() if (trial.act, trial.fault) == (act, fault)]
            if n := len(numbers(effects, fault, 1, 0)):
                counts.append(f"{fault} {sum(t.was_done_again for t in of)} of {n} (looked {len(of)})")
        lines += [
            f"## {act}",
            "",
            f"Done again after {', '.join(counts)}.",
            "",
            f"| | before | {' | '.join(FAULTS)} |",
            "|---|---|---|---|---|---|",
        ]
        for number, (kind, effect) in enumerate(effects, 1):
            cells = [
                _cell(tried.get((act, fault, number)), number in numbers(effects, fault, 1, 0)) for fault in FAULTS
            ]
            if set(cells) != {"·"}:
                lines.append(f"| {number} | {kind}: {effect} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(trial: Trial | None, is_able: bool) -> str:
    if trial is None:
        return "" if is_able else "·"
    seen = trial.seen if trial.was_done_again else f"({trial.seen})"
    return f"{seen}{'' if not trial.problems else ': **' + trial.problems[0].replace('|', '/')[:60] + '**'}"


HEAD = """# Faults

What is left of an act that meets a fault just before one of its effects, written by `benchmarks/faults.py` (`python
benchmarks/faults.py --out docs/faults.md`) on a simulated store of 150 customers and one axis. The fault is a
SIGKILL; a disk that is full from then on (`RLIMIT_FSIZE`); all sessions at the server cut; MLflow's database gone
until the act's end. Then readers look (versions of profiles, segments and axis status, archetypes, lineage, the
profiler, which may refuse in words while a run has measured customers anew as of another instant and not ended), the
same command is given again, which has to end well and leave the same as if nothing had been, nothing under way in
Dagster or MLflow, no lock, no half-written file, no message but the same one.

For SIGKILL an act is held before each effect in turn: readers look, and what the kill would leave is put aside, the
server's files copied while its processes stand still, so that it recovers on the copy. Elsewhere the act goes on; one
that ends well and leaves what it leaves undisturbed is not done again.

*old*: readers see what was before the act; *new*: what would be after it; *part*: of what appears at different
instants (loaded rows, the published result, actions, each audience, a week, its comparison, its notices), each is old
or new as a whole. In brackets: readers looked, the command was not given again. An empty cell was not tried; `·`: the
fault makes no difference there that it does not make before the effect that follows. Of Dagster's own commits that
follow one another the last was tried: they are in its record of the run alone; so of files before a cut, as nobody asks
a server between them.

The numbers of segments are never given again, so that a first run killed after it has registered a model and before it
has published leaves segments that are the same with other numbers in their ids. Nobody saw the first ones: segments are
compared by their rank.

Every effect was tried with every fault that it can meet, and nothing was wrong in the end. Trials are of commits
74a524b to 7570cf9, those of erase of de060d3. Those of 74a524b, most of SIGKILL, left promotions, trials, sources and
consent out of their looks: with these, load, rename, promote and snapshot were killed before each effect once more.
Where a model could not
be saved, since the connection was cut or the disk full, it stayed half saved in MLflow for ever: mended, and tried
again on the code after it. Why a version serves (`promotions.reason`) is not compared: a first run that has published
and then failed is given again as a second one, which says so.
"""


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("faults-work"))
    parser.add_argument("--acts", default="load,rename,promote,erase,snapshot,run,refit")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--effects", action="store_true", help="Print the effects of the acts, and end.")
    parser.add_argument(
        "--some", type=int, default=0, help="So many kills, which --seed chooses, of an act that is quick."
    )
    parser.add_argument("--pairs", action="store_true", help="Two acts at once instead of faults.")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    """Try what the options say."""
    options = parsed()
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    trials = _noted(work / "trials.jsonl", Trial)
    meetings = _noted(work / "pairs.jsonl", Meeting)
    tried = {(trial.act, trial.fault, trial.number): trial.was_done_again for trial in trials}
    acts, faults = options.acts.split(","), options.faults.split(",")

    def say(trial: Trial) -> None:
        trials.append(trial)
        tried[trial.act, trial.fault, trial.number] = trial.was_done_again
        _note(work / "trials.jsonl", trial)
        state = "; ".join(trial.problems) or ("whole, and again" if trial.was_done_again else "whole")
        what = f"{trial.act:9}{trial.fault:16}{trial.number:4} {trial.effect[:60]:60}"
        print(f"{what} exit {trial.code!s:4} {trial.seen:5} {trial.seconds:5.1f} s  {state}", flush=True)

    met = {(meeting.first, meeting.second, meeting.number) for meeting in meetings}

    def say_met(meeting: Meeting) -> None:
        meetings.append(meeting)
        met.add((meeting.first, meeting.second, meeting.number))
        _note(work / "pairs.jsonl", meeting)
        state = "; ".join(meeting.problems) or "as it has to be"
        what = f"{meeting.first:9}{meeting.second:9}{meeting.number:4} {meeting.effect[:60]:60}"
        print(f"{what} exit {meeting.code!s:4} {meeting.seconds:5.1f} s  {state}", flush=True)

    until = time.monotonic() + 60 * options.minutes
    with channel() as (address, heard):
        stage = Stage(work, address, heard, SHORT_DAYS if options.some else None)
        stage.prepare("run" if options.some else "weeks")
        if options.some:
            kill_some(stage, options.some, options.seed, say)
        elif options.effects:
            for name in acts:
                began = time.monotonic()
                effects = stage.undisturbed(name).effects
                print(f"{name}: {len(effects)} effects, {time.monotonic() - began:.1f} s")
                for number, (kind, effect) in enumerate(effects, 1):
                    print(f"  {number:4} {kind:10} {effect}")
        elif options.pairs:
            try_pairs(stage, acts, Pairs(stage, options.every, met, say_met), until)
        else:
            enumerate_faults(stage, acts, faults, options.every, options.seed, until, say, tried)
        stage.home.stop()
    if options.out and trials:
        put(options.out, TITLES[0], page(trials, work))
    if options.out and meetings:
        put(options.out, TITLES[1], pairs_section(meetings, work))
    sys.exit(any(one.problems for one in (*trials, *meetings)))


def _noted(path: Path, kind: Callable[..., T]) -> list[T]:
    return [kind(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _note(path: Path, one: Trial | Meeting) -> None:
    with path.open("a") as file:
        file.write(json.dumps(one._asdict()) + "\n")


if __name__ == "__main__":
    main()
