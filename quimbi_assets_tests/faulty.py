"""Commands of ours that meet a fault at their N-th effect, each in a process of its own; and what they leave behind.

Belongs here: counting effects, bringing about faults, what readers see of a store and whether it is whole. Does not:
which commands are tried with which faults (``benchmarks/faults.py``, ``test_faults.py``).

An effect is what others can see of a process: the commit of a transaction that wrote (to the store's database, to
MLflow's or Dagster's), a file of the home that is opened to be written, moved or removed, a message that is sent. A
fault comes just before one. Processes are forked from one that has imported everything, as a run begins with five
seconds of imports.
"""

import gc
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import connection as pipes
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_INTRANS, make_dsn

from quimbi_assets.resources.postgres.server.embedded import start_server
from quimbi_assets_tests.resources.postgres.stopping import stop_server

KILL, DISK, CUT, MLFLOW = FAULTS = ("SIGKILL", "disk full", "connections cut", "MLflow gone")
FILE, COMMIT, TRACKED, RUN, MESSAGE = "file", "commit", "MLflow", "Dagster", "message"
MEETS = {KILL: {FILE, COMMIT, TRACKED, RUN, MESSAGE}, CUT: {FILE, COMMIT, TRACKED, RUN, MESSAGE}}
MEETS |= {DISK: {FILE}, MLFLOW: {TRACKED}}
"""Kinds of effects before which a fault makes a difference that it does not make before the effect that follows."""
IMPORTED = (
    "quimbi_assets.definitions", "quimbi_assets.commands.running", "quimbi_assets.commands.decisions",
    "quimbi_assets.commands.over_time", "quimbi_assets.commands.personal", "quimbi_assets.commands.showing",
    "quimbi_assets.resources.postgres.loading", "ibis.backends.sql.compilers", "ibis.backends.duckdb",
    "pandera.backends.pandas.builtin_checks", "mlflow", "skops.io", "mlflow.sklearn", "dagster_postgres",
    "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store", "slack_sdk.webhook",
    "matplotlib.backends.backend_agg", "adbc_driver_postgresql.dbapi", "quimbi_assets_tests.faulty",
)  # fmt: skip
LONGEST_SECONDS = 300.0
_WRITES = os.O_WRONLY | os.O_RDWR
_NO_STATE = re.compile(r"postgres(\.|/|$)|logs/|dagster/|keys/$")
"""Files of a home that hold nothing of a store: the server's, which has its own ways, and logs."""
_PASSING = (
    (r"\.(\S+?)\.\d+\.[0-9a-f]{8}\.(partial|before)", r"\1 (\2)"),
    (r"m-[0-9a-f]{32}|[0-9a-f]{32}|[0-9a-f-]{36}", "*"),
    (r"(erasures/)\.?(\w+)-[0-9a-f-]+\.(json|begun)[0-9a-z.]*", r"\1\2-*.\3"),
)
"""What in a file's name is new each time."""


class Effects:
    """Counts what this process does outside, and brings about a fault before the effect of that number."""

    def __init__(self, home: Path, fault: str | None, number: int, trace: Any, gate: Any = None) -> None:
        self._home, self._fault, self._number, self._trace, self._gate = home, fault, number, trace, gate
        self._count, self._lock = 0, threading.RLock()
        self._terminate = _terminator(home) if fault in (CUT, MLFLOW) else None

    def meet(self, kind: str, name: str) -> None:
        """Hear that an effect is about to be."""
        with self._lock:
            self._count += 1
            self._trace.send((kind, name))
            if self._gate is not None:
                self._gate.recv()
            if self._count == self._number:
                self._strike()

    def _strike(self) -> None:
        if self._fault == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._fault == DISK:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        elif self._terminate is not None:
            self._terminate(self._fault == MLFLOW)

    def watch(self) -> None:
        """Hear of all effects of this process from now on."""
        sys.addaudithook(self._audited)
        connect, effects = psycopg2.connect, self

        class Connection(psycopg2.extensions.connection):
            def commit(self) -> None:
                is_open = self.info.transaction_status == TRANSACTION_STATUS_INTRANS
                if is_open and _wrote(self) and (what := _committed(self.info.dbname, sys._getframe(1))):
                    effects.meet(*what)
                super().commit()

        def connected(dsn: Any = None, connection_factory: Any = None, **others: Any) -> Any:
            return connect(dsn, connection_factory=connection_factory or Connection, **others)

        psycopg2.connect = connected

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str) and isinstance(flags, int) and flags & _WRITES:
                self._touched("write", path)
        elif event == "os.rename":
            self._touched("move", os.fspath(arguments[1]))
        elif event == "os.remove" and os.path.lexists(arguments[0]):
            self._touched("remove", os.fspath(arguments[0]))
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            self.meet(MESSAGE, "send")

    def _touched(self, what: str, path: Any) -> None:
        with suppress(ValueError, TypeError):
            name = str(Path(path).relative_to(self._home))
            if not _NO_STATE.match(name):
                for pattern, instead in _PASSING:
                    name = re.sub(pattern, instead, name)
                self.meet(FILE, f"{what} {name}")


def _wrote(connection: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        return bool(cursor.fetchone()[0])


def _committed(database: str, frame: FrameType | None) -> tuple[str, str] | None:
    """Return the kind and name of a commit by who asked for it; None for a migration's, which is no act's."""
    kind, ours = _WHOSE.get(database, (COMMIT, _OURS))
    while frame is not None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        if "/alembic/" in path:
            return None
        if ours.search(path) and name not in ("utc", "<module>", "transaction"):
            return kind, f"{Path(path).stem}.{name}" if kind == COMMIT else name.strip("_")
        frame = frame.f_back
    return kind, "?"


_OURS = re.compile(r"quimbi_assets/(?!.*/(database|run_lock)\.py)")
_WHOSE = {
    "mlflow": (TRACKED, re.compile(r"mlflow/tracking/client\.py")),
    "dagster": (RUN, re.compile(r"dagster/_core/instance/")),
}
"""Of a database: the kind of its commits, and the modules that are asked for them."""


def administrator(home: Path, database: str) -> Any:
    """Return a session at a home's server that may do anything, each statement committed by itself."""
    session = _CONNECT(make_dsn(start_server(home), dbname=database))
    session.autocommit = True
    return session


_CONNECT = psycopg2.connect


def _terminator(home: Path) -> Callable[[bool], None]:
    """Return what ends all sessions at a home's server, or MLflow's alone and for good."""
    session = administrator(home, "postgres")

    def terminate(only_mlflow: bool) -> None:
        with session.cursor() as cursor:
            if only_mlflow:
                cursor.execute("ALTER DATABASE mlflow ALLOW_CONNECTIONS false")
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND backend_type = 'client backend' AND (NOT %s OR datname = 'mlflow')",
                (only_mlflow,),
            )

    return terminate


def perform(
    arguments: Sequence[str], home: str, fault: str | None, number: int, trace: Any, output: Any, gate: Any,
    environment: Mapping[str, str],
) -> None:  # fmt: skip
    """Run a command in this process, just forked, and end with its code."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    os.environ.update(environment, QUIMBI_HOME=home)
    from quimbi_assets import cli
    from quimbi_assets.axes import _shuffle
    from quimbi_assets.defs import runs
    from quimbi_assets.resources import dagster_instance

    _shuffle.N_ITERATIONS = 2  # how sure fits are of themselves is not what is tried
    runs.FIRST_PAUSE_SECONDS = 0  # what is tried again may be so at once
    dagster_instance.ENDING_SECONDS = 0.2
    gc.set_threshold(cli.COLLECTED_AFTER)
    code = 1
    try:
        Effects(Path(home), fault, number, trace, gate).watch()
        cli.main(list(arguments))
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        trace.close()
        os._exit(code)


@dataclass
class Done:
    """What became of a command: exit code (negative: the signal), what it printed, its effects, how long it took."""

    code: int | None
    printed: str
    effects: list[tuple[str, str]]
    seconds: float

    @property
    def last(self) -> str:
        """The last line that it printed."""
        return (self.printed.strip().splitlines() or [""])[-1]


class Actor:
    """A command under way in a process of its own."""

    def __init__(
        self, home: Path, arguments: Sequence[str], fault: str | None = None, number: int = 0,
        environment: Mapping[str, str] | None = None, *, gated: bool = False,
    ) -> None:  # fmt: skip
        context = _forkserver()
        self._trace, trace = context.Pipe(duplex=False)
        self._output, output = context.Pipe(duplex=False)
        gate, self._gate = context.Pipe(duplex=False) if gated else (None, None)
        self._process = context.Process(
            target=perform, args=(arguments, str(home), fault, number, trace, output, gate, dict(environment or {}))
        )
        self._began, self._printed = time.monotonic(), b""
        self.effects: list[tuple[str, str]] = []
        self._process.start()
        for end in (trace, output, gate):
            if end is not None:
                end.close()

    def hear(self, seconds: float = LONGEST_SECONDS) -> bool:
        """Wait for its next effect, of which it has heard, or for its end: False."""
        until = time.monotonic() + seconds
        open_ends = [self._trace, self._output]
        while open_ends and time.monotonic() < until:
            for end in pipes.wait(open_ends, 1.0):
                try:
                    if end is self._trace:
                        self.effects.append(self._trace.recv())
                        return True
                    data = os.read(self._output.fileno(), 1 << 16)
                    self._printed += data
                    if not data:
                        open_ends.remove(end)
                except EOFError:
                    open_ends.remove(end)
        if open_ends:
            raise TimeoutError(f"it hangs: {self._printed.decode(errors='replace')[-2000:]}")
        return False

    @property
    def pid(self) -> int:
        """The number of its process."""
        return int(self._process.pid or 0)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def go(self) -> None:
        """Let it have the effect that it waits before."""
        self._gate.send(None)

    def end(self, seconds: float = LONGEST_SECONDS) -> Done:
        """Wait for its end; one that hangs is killed, and has no code."""
        try:
            while self.hear(seconds):
                pass
            self._process.join(30)
        except TimeoutError:
            self._process.kill()
            self._process.join()
            return Done(None, self._printed.decode(errors="replace"), self.effects, time.monotonic() - self._began)
        code = self._process.exitcode
        return Done(code, self._printed.decode(errors="replace"), self.effects, time.monotonic() - self._began)


_contexts: list[Any] = []


def _forkserver() -> Any:
    if not _contexts:
        os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
        context = get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTED))
        _contexts.append(context)
    return _contexts[0]


@dataclass
class Home:
    """A home in which commands are tried, with states of it that were put aside; none of its processes is running."""

    place: Path
    aside: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def act(self, arguments: Sequence[str], fault: str | None = None, number: int = 0) -> Done:
        """Run a command that meets a fault before the effect of that number."""
        done = Actor(self.place, arguments, fault, number, self.environment).end()
        if fault == MLFLOW:
            self._execute("ALTER DATABASE mlflow ALLOW_CONNECTIONS true")
        return done

    def plain(self, arguments: Sequence[str]) -> Done:
        """Run a command that has to go well."""
        done = self.act(arguments)
        if done.code != 0:
            raise AssertionError(f"quimbi {' '.join(arguments)}: exit {done.code}\n{done.printed[-3000:]}")
        return done

    def begin(self) -> None:
        """Make an empty home whose server waits for no disk: no power fails here."""
        self.stop()
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        for setting in ("fsync", "full_page_writes"):
            self._execute(f"ALTER SYSTEM SET {setting} = off")
        self._execute("ALTER SYSTEM SET min_wal_size = '32MB'")  # it is copied for each trial

    def put_aside(self, name: str) -> None:
        """Keep the home as it is under a name."""
        self.stop()
        self._copy(self.place, self.aside / name)

    def put_aside_as_killed(self, name: str) -> None:
        """Keep the home under a name as a SIGKILL of all its processes would leave it now; they go on.

        What has been committed is in the server's journal (``synchronous_commit`` has to be on), what has not been is
        undone when it starts on the copy.
        """
        server = int((self.place / "postgres" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        processes = [server, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            self._copy(self.place, self.aside / name)
        finally:
            for process in reversed(processes):
                os.kill(process, signal.SIGCONT)
        (self.aside / name / "postgres" / "postmaster.pid").unlink()

    def forget(self, name: str) -> None:
        """Remove what was put aside under a name."""
        shutil.rmtree(self.aside / name, ignore_errors=True)

    @staticmethod
    def _copy(place: Path, to: Path) -> None:
        shutil.rmtree(to, ignore_errors=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--sparse=always", str(place), str(to)], check=True)

    def bring_back(self, name: str) -> None:
        """Make the home what it was when it was put aside under a name."""
        self.stop()
        self._copy(self.aside / name, self.place)

    def stop(self) -> None:
        """Stop the server."""
        stop_server(self.place)

    def _execute(self, sql: str) -> None:
        with closing(administrator(self.place, "postgres")) as session:
            session.cursor().execute(sql)


VOLATILE = (
    "run_id", "mlflow_run_id", "model_version", "model_versions", "published_at", "publication_id", "valid_from",
    "changed_at", "seen_at", "first_seen", "entered_at", "left_at", "refreshed_at", "decided_at", "computed_at",
    "began_at", "erased_at", "named_at", "acted_at", "told_at", "recorded_at", "looked_up_at",
    "promotion_id", "echoed_at",
)  # fmt: skip
"""Columns that say when, in which run or by which number: never the same twice."""
_DRIFT = "drift", "alert", "alert_cause"
_LAST = "publication_id = (SELECT max(publication_id) FROM quimbi.publications p WHERE p.store_id = t.store_id)"
GROUPS: Mapping[str, Mapping[str, str]] = {
    "data": dict.fromkeys(
        ("orders", "order_items", "support_tickets", "quarantined_rows", "customer_identities", "erased_customers",
         "products", "product_names", "stores", "sources", "customer_consent", "customer_addresses", "suppressed_keys",
         "ticket_reopenings", "helpdesk_customers"), "true"
    ),
    "published": {
        "publications": _LAST, "promotions": _LAST,
        "axis_models": "true", "dim_segment_master": "valid_to IS NULL", "archetypes": "valid_to IS NULL",
        "customer_profiles": "true", "group_figures": "true",
    },
    "actions": {"customer_actions": "true"},
    "arms": {"treatments": "true", "trials": "true"},
    "names": {"segment_renames": "true"},
    "weeks": {"customer_history": "true"},
    "drift": {
        "customer_history": "drift IS NOT NULL",  # a week is there before it is compared
        **dict.fromkeys(("segment_migrations", "drift_floors", "population_drift"), "true"),
    },
    "notices": {"alert_notices": "true"},
    "told": {"alert_notices": "told_at IS NOT NULL"},
}  # fmt: skip
"""What appears at once, by name: tables, and which of their rows count."""
NOT_LOOKED_AT = {
    **dict.fromkeys(
        ("segment_lineage", "forecast_fits"), "of each model that was fitted, be it of a run that was killed"
    ),
    **dict.fromkeys(("audiences", "audience_members"), "looked at one by one"),
    **dict.fromkeys(
        ("export_jobs", "export_outbox", "export_profiles", "tokens", "segment_naming"), "no act writes it"
    ),
    "alembic_version": "of no store",
}
"""The other tables, and why."""


@dataclass(frozen=True)
class Look:
    """What a reader finds of a store in a home; to be closed, since it looks through one session a database."""

    home: Path
    store_id: str
    _sessions: dict[str, Any] = field(default_factory=dict)

    def ask(self, sql: str, parameters: Any = None, database: str = "quimbi") -> list[Any]:
        """Return the rows of a query."""
        if database not in self._sessions:
            self._sessions[database] = administrator(self.home, database)
        with self._sessions[database].cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def close(self) -> None:
        """End its sessions."""
        while self._sessions:
            self._sessions.popitem()[1].close()

    @cached_property
    def digests(self) -> dict[str, str]:
        """A digest of what each of ``GROUPS`` holds, whenever it was written; audiences appear one by one."""
        of_audiences = {f"audience {name}": digest for name, digest in self.ask(_AUDIENCES, {"s": self.store_id})}
        return {group: self._digest(group) for group in GROUPS} | of_audiences

    @cached_property
    def _ranked_ids(self) -> dict[str, str]:
        """What to read instead of the ids of segments and archetypes: the segment's rank among its axis's numbers.

        Numbers are never given again: a first run that was killed leaves some that nobody has seen.
        """
        ranks = {f'"{segment}"': f'"{axis}#{rank}"' for axis, segment, rank in self.ask(_RANKS, (self.store_id,))}
        traits = {f'"{archetype}"': text for archetype, text in self.ask(_TRAITS, (self.store_id,))}
        for segment, ranked in ranks.items():
            traits = {archetype: text.replace(segment, ranked) for archetype, text in traits.items()}
        return ranks | traits

    def _digest(self, group: str) -> str:
        texts = []
        for table, condition in GROUPS[group].items():
            left_out = [*VOLATILE]
            if table == "customer_history":
                every = [name for (name,) in self.ask(_COLUMNS, ("customer_history",))]
                left_out += _DRIFT if group == "weeks" else sorted({*every} - {*_DRIFT, "customer_id", "week"})
            if table == "promotions":
                left_out.append("reason")  # a first run given again after it has published is not the first any more
            row, pairs = "(to_jsonb(t) - %s)::text", [one for pair in self._ranked_ids.items() for one in pair]
            for _ in self._ranked_ids:
                row = f"replace({row}, %s, %s)"
            sql = (
                "SELECT count(*), md5(coalesce(string_agg(r, ',' ORDER BY r), '')) FROM (SELECT "
                f"{row} r FROM quimbi.{table} t WHERE store_id = %s AND {condition}) q"
            )
            ((n, digest),) = self.ask(sql, (left_out, *pairs, self.store_id))
            texts.append(f"{table} {n} {digest[:10]}")
        return ", ".join(texts)

    def problems(self) -> Iterator[str]:
        """Yield what is not whole: versions that differ, ids without a row, a profiler that does not open."""
        one, every = self.ask, (self.store_id,)
        published = one(_PUBLISHED, every)
        if not published:
            return
        ((versions,),) = published
        axes = {axis: v for axis, v in one(_AXES, every) if v is not None}
        segments: dict[str, set[str]] = {}
        for axis, version in one(_SEGMENTS, every):
            segments.setdefault(axis, set()).add(version)
        profiled = [json.loads(text) for (text,) in one(_PROFILED, every)]
        of_axes = {axis: v for axis, v in versions.items() if axis in axes}
        if of_axes != axes:
            yield f"axis status is of {axes}, the publication of {of_axes}"
        if segments != {axis: {v} for axis, v in axes.items()}:
            yield f"segments are of {segments}, axis status of {axes}"
        if any({axis: v for axis, v in each.items() if axis in axes} != axes for each in profiled):
            yield f"profiles are of {profiled}, axis status of {axes}"
        for what, sql in _ORPHANS.items():
            ((n,),) = one(sql, every)
            if n:
                yield f"{n} {what}"
        yield from self._profiler(versions)

    def _profiler(self, versions: Mapping[str, str]) -> Iterator[str]:
        from quimbi_assets.errors import BadInputError
        from quimbi_assets.resources.profiling import open_profiler

        os.environ["QUIMBI_HOME"] = str(self.home)
        try:
            opened = open_profiler(self.store_id).context.versions
            if any(versions[axis] != version for axis, version in opened.items()):
                yield f"the profiler opens with {opened}, published are {versions}"
        except BadInputError as refusal:
            if "did not end" not in str(refusal):  # a refusal in words, while a run that measured anew has not ended
                yield f"the profiler: {refusal}"

    def leftovers(self) -> Iterator[str]:
        """Yield what a run that ended well must not leave: runs under way, locks, half-written files."""
        for status, n in self.ask(_UNFINISHED, database="dagster"):
            yield f"{n} runs of Dagster's {status}"
        for n, what in self.ask(_UNDER_WAY, database="mlflow"):
            if n:
                yield f"{n} {what}"
        time.sleep(0.05)
        ((n,),) = self.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        if n:
            yield f"{n} locks are held"
        for path in (self.home / "storage").rglob(".*"):
            yield f"half-written {path.name}"
        weeks = {str(week) for (week,) in self.ask(_WEEKS, (self.store_id,))}
        for path in (self.home / "storage" / "drift").glob(f"*/{self.store_id}/*.parquet"):
            if path.stem not in weeks:
                yield f"a table of {path.stem}, of which there is no snapshot"


_RANKS = """
    SELECT axis_name, segment_id, rank() OVER (PARTITION BY axis_name ORDER BY length(segment_id), segment_id)
    FROM (SELECT DISTINCT axis_name, segment_id FROM quimbi.dim_segment_master WHERE store_id = %s) q ORDER BY 2 DESC
"""
_TRAITS = "SELECT DISTINCT archetype_id, traits::text FROM quimbi.archetypes WHERE store_id = %s AND valid_to IS NULL"
_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'quimbi' AND table_name = %s"
_PUBLISHED = "SELECT model_versions FROM quimbi.publications WHERE store_id = %s ORDER BY publication_id DESC LIMIT 1"
_AXES = "SELECT axis_name, model_version FROM quimbi.axis_models WHERE store_id = %s AND status <> 'inactive'"
_SEGMENTS = """
    SELECT DISTINCT axis_name, model_version FROM quimbi.dim_segment_master WHERE store_id = %s AND valid_to IS NULL
"""
_PROFILED = "SELECT DISTINCT model_versions::text FROM quimbi.customer_profiles WHERE store_id = %s"
_ORPHANS = {
    "profiles of archetypes that there are not": """
        SELECT count(*) FROM quimbi.customer_profiles p WHERE store_id = %s AND archetype_id IS NOT NULL AND NOT EXISTS
            (SELECT FROM quimbi.archetypes a WHERE a.store_id = p.store_id AND a.archetype_id = p.archetype_id
             AND a.valid_to IS NULL)
    """,
    "dominant segments that there are not": """
        SELECT count(*) FROM quimbi.customer_profiles p, jsonb_each_text(p.dominant_segments) d(axis, segment)
        WHERE p.store_id = %s AND NOT EXISTS (SELECT FROM quimbi.dim_segment_master s WHERE s.store_id = p.store_id
            AND s.axis_name = d.axis AND d.segment IN (s.segment_id, s.segment_name) AND s.valid_to IS NULL)
    """,
    "lines without an order": """
        SELECT count(*) FROM quimbi.order_items i WHERE store_id = %s AND NOT EXISTS
            (SELECT FROM quimbi.orders o WHERE o.store_id = i.store_id AND o.order_id = i.order_id)
    """,
    "published versions without a lineage": """
        SELECT count(*) FROM quimbi.axis_models m WHERE store_id = %s AND status <> 'inactive' AND NOT EXISTS
            (SELECT FROM quimbi.segment_lineage l WHERE l.store_id = m.store_id AND l.axis_name = m.axis_name
             AND l.model_version = m.model_version)
    """,
    "segments twice": """
        SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) n FROM quimbi.dim_segment_master
            WHERE store_id = %s AND valid_to IS NULL GROUP BY axis_name, segment_id) q
    """,
}
_UNFINISHED = """
    SELECT status, count(*) FROM runs WHERE status IN ('NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING', 'QUEUED')
    GROUP BY 1
"""
_UNDER_WAY = """
    SELECT count(*), 'runs under way in MLflow' FROM runs WHERE status = 'RUNNING'
    UNION ALL SELECT count(*), 'models half saved in MLflow' FROM logged_models WHERE status = 1
"""
_AUDIENCES = """
    SELECT audience, md5(string_agg(r, ',' ORDER BY r)) FROM (
        SELECT audience, concat_ws(' ', filter, customers, value, as_of) AS r
        FROM quimbi.audiences WHERE store_id = %(s)s
        UNION ALL SELECT audience, customer_id FROM quimbi.audience_members WHERE store_id = %(s)s AND left_at IS NULL
    ) q GROUP BY 1
"""
"""Not how many came and left: that is of the last renewal, and when it is done again nobody comes."""
_WEEKS = "SELECT DISTINCT week FROM quimbi.customer_history WHERE store_id = %s"
