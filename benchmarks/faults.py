"""Lets every act of ours meet every fault before each of its effects, one after the other, and looks what is left.

Acts are load, run, refit, snapshot, promote, rename and erase, of a small simulated store on one axis; faults and
effects are those of ``quimbi_assets_tests/faulty.py``. After each, readers have to see one whole state, old or new,
and the same command again has to end well, as if nothing had been, leaving nothing under way and nothing twice.

``--acts``, ``--faults`` choose; ``--every 5`` takes every fifth effect, ``--seed`` says which, ``--minutes``
ends in time. What was tried is added up in ``--work``, so that it can be gone on with, and ``--out docs/faults.md``
writes its table. ``--some 3`` kills three times, of which ``make test`` makes use; ``--pairs`` lets two acts meet
instead: a second one is begun before each effect of a first (no such run has come to its end
yet). Exit 1 if something was not as it has to be.
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
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from quimbi_assets.instants import closed_week
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.faulty import DISK, FAULTS, KILL, MEETS, RUN, Actor, Home, Look

STORE = "s"
AXES = ("purchase_value",)
CUSTOMERS, SEED = 150, 2
PUT_ASIDE = 40
"""Homes put aside at most at a time, of 100 MB each."""
QUICK = {"rename": 24, "erase": 11}
"""Acts that are quick, and how many effects they have at least where nothing but a run has been before."""
LATER_DAYS = 60
"""Days whose orders come with the second load."""
REFUSED = 2
"""Exit code of what another's run is in the way of."""


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

    def __init__(self, work: Path, address: str, heard: list[str]) -> None:
        self.home = Home(work / "home", work / "aside", {"SLACK_WEBHOOK_URL": address})
        self.heard, self._work = heard, work
        if not (work / "files" / "first_orders.parquet").exists():
            self._write_files()
        self._plain: dict[str, Plain] = {}
        week = closed_week(pd.Timestamp.now("UTC")).date()
        self._weeks = [week - timedelta(weeks=n) for n in (2, 1, 0)]
        run = ("run", "--store-id", STORE, "--axes", ",".join(AXES), "--max-k", "3", "--no-ai-naming")
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

    def _write_files(self) -> None:
        files = self._work / "files"
        files.mkdir(parents=True, exist_ok=True)
        slow_from = str(date.today() - timedelta(days=LATER_DAYS))
        write_store(
            CUSTOMERS, files, seed=SEED, end_date=str(date.today()), slow_down_share=0.25, slow_down_from=slow_from
        )
        orders, items = pd.read_parquet(files / "orders.parquet"), pd.read_parquet(files / "order_items.parquet")
        until = pd.to_datetime(orders["order_date"]).max() - pd.Timedelta(days=LATER_DAYS)
        first = orders[pd.to_datetime(orders["order_date"]) < until]
        for part, rows in (("all", orders), ("first", first)):
            rows.to_parquet(files / f"{part}_orders.parquet")
            items[items["order_id"].isin(rows["order_id"])].to_parquet(files / f"{part}_items.parquet")
        (files / "support_tickets.parquet").rename(files / "all_tickets.parquet")

    def look(self) -> Look:
        """Look at the store as a reader; to be closed."""
        return Look(self.home.place, STORE)

    def undisturbed(self, name: str) -> Plain:
        """Return what an act does where nothing is in its way."""
        if name not in self._plain:
            path = self._work / f"{name}.json"
            self._plain[name] = Plain(**json.loads(path.read_text())) if path.exists() else self.walk(name, ())
        return self._plain[name]

    def walk(self, name: str, kept: Sequence[int], meet: Callable[[Actor], None] = lambda actor: None) -> Plain:
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
            meet(actor)
            actor.go()
        done = actor.end()
        with closing(self.look()) as look:
            wrong = [*look.problems(), *look.leftovers()] + ([] if done.code == 0 else [f"{done.code}: {done.last}"])
            if wrong:
                raise AssertionError(f"{name}, undisturbed: {wrong}")
            plain = Plain(seen[0], look.digests, done.effects, seen, problems)
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

    Of Dagster's that follow one another the last: they are in its record of a run alone. No disk is too full to move.
    """
    able = [
        number
        for number, (kind, name) in enumerate(effects, 1)
        if kind in MEETS[fault]
        and not (kind == RUN and effects[number : number + 1] and effects[number][0] == RUN)
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


def refused_meanwhile(stage: Stage, name: str, others: Sequence[str], every: int) -> tuple[int, list[str]]:
    """Try to begin other acts before effects of one; return how many times, and what was not refused.

    Each of the others before every n-th effect, not all before the same.

    Acts take the right to run the store before their first effect and give it back after their last: whichever is
    second is refused at once, with no effect, so that every interleaving of the two is the first one's alone, with a
    refusal somewhere in it. These are all the places of that refusal; n1 + n2 trials stand for all interleavings.
    """
    after, n, problems = stage.undisturbed(name).after, 0, []

    def meet(actor: Actor) -> None:
        nonlocal n
        for turn, other in enumerate(others, len(actor.effects)):
            if turn % every:
                continue
            done = stage.home.act(stage.acts[other].arguments)
            if done.code != REFUSED or "is being run by" not in done.last or done.effects:
                problems.append(f"{other} before {actor.effects[-1]}: exit {done.code}: {done.last} {done.effects}")
            n += 1

    left = stage.walk(name, (), meet).after
    return n, problems + [f"{group} differs" for group, digest in left.items() if digest != after.get(group)]


def loaded_meanwhile(stage: Stage, name: str, every: int) -> tuple[int, list[str]]:
    """Load before effects of an act; return how many times, and what no order of the two would have left.

    A load is one effect, so that these are all interleavings of the two.
    """
    act, load = stage.acts[name].arguments, stage.acts["load"].arguments
    orders = []
    for commands in ((act, load), (load, act)):
        stage.home.bring_back("run")
        effects = [stage.home.plain(command).effects for command in commands][commands.index(act)]
        with closing(stage.look()) as look:
            orders.append(look.digests)
    problems = []
    places = range(1, len(effects) + 1, every)
    for number in places:
        stage.home.bring_back("run")
        actor = Actor(stage.home.place, act, gated=True)
        second = None
        while actor.hear():
            if len(actor.effects) == number:
                second = Actor(stage.home.place, load)
                with closing(stage.look()) as look:
                    _until_it_ends_or_waits(second, look)
            actor.go()
        ends = [actor.end(), second and second.end()]
        with closing(stage.look()) as look:
            left, broken = look.digests, [*look.problems(), *look.leftovers()]
        wrong = [f"exit {end.code}: {end.last}" for end in ends if end is not None and end.code != 0]
        wrong += broken
        if left not in orders:
            of_none = [group for group, d in left.items() if d not in [order.get(group) for order in orders]]
            wrong += [f"{group} is of no order" for group in of_none] or ["groups are of different orders"]
        problems += [f"before {number}, {actor.effects[number - 1][1]}: {one}" for one in wrong]
    return len(places), problems


def _until_it_ends_or_waits(actor: Actor, look: Look) -> None:
    """Let an act go on until it has ended, or waits for a lock of the other's, who has to go on then."""
    is_under_way = True
    while is_under_way:
        try:
            is_under_way = actor.hear(2.0)
        except TimeoutError:
            is_under_way = not look.ask("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def try_pairs(stage: Stage, acts: Sequence[str], every: int, until: float) -> int:
    """Let two acts meet, print what came of it, and return 1 if something was not as it has to be."""
    is_wrong = False
    others = [name for name in stage.acts if name != "load"]
    refused = [("others refused", name, partial(refused_meanwhile, others=others)) for name in acts if name != "load"]
    loads = [("loads meanwhile", name, loaded_meanwhile) for name in acts if name in MEETS_LOADS]
    for what, name, meet in (*refused, *loads):
        if time.monotonic() < until:
            n, problems = meet(stage, name, every=every)
            print(f"{name:9} {what:16} {n} times: {'; '.join(problems) or 'as it has to be'}", flush=True)
            is_wrong |= bool(problems)
    return int(is_wrong)


MEETS_LOADS = ("load", "run", "rename", "erase", "snapshot")
"""Acts that can begin in the state that loads bring something new to."""


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
follow one another the last was tried: they are in its record of the run alone.

Known: the numbers of segments are never given again, so that a first run killed after it has registered a model and
before it has published leaves segments that are the same with other numbers in their ids (`published differs`). Nobody
saw the first ones.

An earlier table (400 customers, two axes, commit c50de53) had 44 of 614 such trials, of all four faults: nothing wrong.
"""


def main() -> None:
    """Try what the options say."""
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
    options = parser.parse_args()
    work = options.work.absolute()
    results = work / "trials.jsonl"
    work.mkdir(parents=True, exist_ok=True)
    trials = [Trial(**json.loads(line)) for line in results.read_text().splitlines()] if results.exists() else []
    tried = {(trial.act, trial.fault, trial.number): trial.was_done_again for trial in trials}
    acts, faults = options.acts.split(","), options.faults.split(",")

    def say(trial: Trial) -> None:
        trials.append(trial)
        tried[trial.act, trial.fault, trial.number] = trial.was_done_again
        with results.open("a") as file:
            file.write(json.dumps(trial._asdict()) + "\n")
        state = "; ".join(trial.problems) or ("whole, and again" if trial.was_done_again else "whole")
        what = f"{trial.act:9}{trial.fault:16}{trial.number:4} {trial.effect[:60]:60}"
        print(f"{what} exit {trial.code!s:4} {trial.seen:5} {trial.seconds:5.1f} s  {state}", flush=True)

    is_wrong, until = 0, time.monotonic() + 60 * options.minutes
    with channel() as (address, heard):
        stage = Stage(work, address, heard)
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
            is_wrong = try_pairs(stage, acts, options.every, until)
        else:
            enumerate_faults(stage, acts, faults, options.every, options.seed, until, say, tried)
        stage.home.stop()
    if options.out:
        options.out.write_text(page(trials, work))
    sys.exit(is_wrong or any(trial.problems for trial in trials))


if __name__ == "__main__":
    main()
