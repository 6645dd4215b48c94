"""Keeps an installation well: looks it over, copies all of it into a file, brings it back.

Belongs here: ``quimbi doctor``, ``backup``, ``restore``. Does not: what a store's own checks found (``shops``).
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quimbi_assets.commands.console import out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.home import quimbi_home, refuse_half_restored
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database

GIB = 2**30
FREE_DISK, FREE_MEMORY = 5 * GIB, 2 * GIB
"""Bytes below which a run of a store of a few hundred thousand customers may not come to its end."""
QUIET = timedelta(minutes=5)
"""After which Dagster's daemon, which speaks up every half a minute, is taken for gone."""
BY_OTHERS, ENTERED_BY_OTHERS = 0o066, 0o011


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do where it is not well."""

    what: str
    line: str
    mend: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to do."""
        return self.mend is None


def looked_over() -> Iterator[Finding]:
    """Yield how everything is, one after the other; what cannot be looked at is not well, too."""
    try:
        refuse_half_restored()
    except BadInputError as error:
        yield from (*_disk(), Finding("home", "half restored: nothing more can be looked at", str(error)))
        return
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("disk", _disk),
        ("memory", _memory),
        ("database", _database),
        ("storage", _storage),
        ("MLflow", _mlflow),
        ("runs", _runs),
        ("daemon", _daemon),
        ("stores", _stores),
        ("rules", _rules),
        ("key", _key),
        ("files", _files),
    ]
    for what, check in checks:
        try:
            yield from check()
        except Exception as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            yield Finding(what, f"cannot be looked at: {reason}", "mend that first; QUIMBI_DEBUG=1 shows more")


def doctor(*, as_json: bool) -> int:
    """Print how everything is, line by line as it is known; return 1 if something is to be done."""
    findings = []
    for one in looked_over():
        findings.append(one)
        if not as_json:
            word = "ok  " if one.is_well else "MEND"
            mend = "" if one.is_well else f"\n                {one.mend}"
            out.print(f"{word}  {one.what:<9} {one.line}{mend}", markup=False)
    if as_json:
        rows = [{**asdict(one), "is_well": one.is_well} for one in findings]
        print(json.dumps({"is_well": all(one.is_well for one in findings), "findings": rows}, indent=2))  # noqa: T201
    return int(not all(one.is_well for one in findings))


def backup(path: Path, *, wait: bool) -> None:
    """Write everything into a file, while no store is run."""
    from quimbi_assets.resources.backup import write_backup
    from quimbi_assets.resources.postgres.run_lock import RunLock

    if path.exists():
        raise BadInputError(f"{path} is there already: write to another file")
    if not path.absolute().parent.is_dir():
        raise BadInputError(f"there is no folder {path.absolute().parent}: make it first")
    database = open_database()
    stores = [store for (store,) in database.execute(EVERY_STORE, "SELECT store_id FROM quimbi.stores")]
    with steps("backup") as progress, closing(RunLock(database)) as lock:
        lock.take(stores, progress.step if wait else None)
        progress.step("copying databases and files")
        try:
            manifest = write_backup(database, path.absolute())
        except OSError as error:
            raise BadInputError(
                f"cannot write {path}: {error.strerror}; choose a folder with room, of yours"
            ) from error
    n_stores = plural(len(manifest["stores"]), "store")
    size = f"{path.stat().st_size / 2**20:,.0f} MB"
    out.print(f"{path}  {n_stores}, {plural(len(manifest['files']), 'file')}, {size}", markup=False)
    out.print("It holds every customer and the stores' keys: keep it where nobody else reads.", markup=False)
    elsewhere = os.environ.get("QUIMBI_STORAGE_URL")
    if elsewhere:
        out.print(f"Not in it: the tables at {elsewhere} (QUIMBI_STORAGE_URL)", markup=False)


def restore(path: Path) -> None:
    """Put a backup into the home, which has to be empty."""
    from quimbi_assets.resources.backup import restore_backup

    if not path.exists():
        raise BadInputError(f"there is no file {path}")
    if not path.is_file():
        raise BadInputError(f"cannot read {path}: it is not a regular file")
    with steps("restore") as progress:
        progress.step("unpacking, then the databases")
        manifest = restore_backup(path)
    made = manifest["made_at"]
    n_stores = plural(len(manifest["stores"]), "store")
    out.print(f"{n_stores} as of {made}, in {quimbi_home()}; next: quimbi stores", markup=False)


def _disk() -> Iterator[Finding]:
    home = quimbi_home()
    usage = shutil.disk_usage(home)
    line = f"{usage.free / GIB:,.1f} GiB free of {usage.total / GIB:,.0f} at {home}"
    yield Finding("disk", line, f"make room: {FREE_DISK // GIB} GiB are wise" if usage.free < FREE_DISK else None)


def _memory() -> Iterator[Finding]:
    facts = Path("/proc/meminfo")
    if not facts.exists():
        yield Finding("memory", "not known on this system")
        return
    kib = {name: int(value.split()[0]) for name, value in (row.split(":") for row in facts.read_text().splitlines())}
    free = kib["MemAvailable"] * 1024
    line = f"{free / GIB:,.1f} GiB can be had of {kib['MemTotal'] * 1024 / GIB:,.1f}"
    yield Finding(
        "memory", line, f"end other programs: {FREE_MEMORY // GIB} GiB are wise" if free < FREE_MEMORY else None
    )


def _database() -> Iterator[Finding]:
    database = open_database()
    ((version, schema, size),) = database.execute(
        EVERY_STORE,
        "SELECT current_setting('server_version'), (SELECT version_num FROM quimbi.alembic_version), "
        "pg_database_size(current_database())",
    )
    where = "DATABASE_URL" if database.home is None else "its own, in the home"
    line = (
        f"PostgreSQL {version.split()[0]} ({where}) answers; schema {schema} is this version's; {size / 2**20:,.0f} MB"
    )
    yield Finding("database", line)


def _storage() -> Iterator[Finding]:
    from quimbi_assets.resources.parquet_io import parquet_tables

    base = parquet_tables().base
    place = base / f".doctor-{os.getpid()}"
    try:
        place.write_bytes(b"quimbi")
        is_whole = place.read_bytes() == b"quimbi"
    finally:
        place.unlink(missing_ok=True)
    line = f"{base} takes and gives back files"
    yield Finding("storage", line, None if is_whole else "it gave back something else than it took: use another place")


def _mlflow() -> Iterator[Finding]:
    from quimbi_assets.resources.dagster_resources import open_tracking

    tracking = open_tracking()
    tracking.client.search_experiments(max_results=1)
    counts = "SELECT (SELECT count(*) FROM experiments), (SELECT count(*) FROM runs WHERE status = 'RUNNING')"
    ((experiments, running),) = open_database().execute_mlflow(counts)
    line = f"answers; {experiments:,} experiments, {running:,} runs under way"
    yield Finding("MLflow", line)


def _runs() -> Iterator[Finding]:
    from quimbi_assets.resources.dagster_instance import UNFINISHED, end_dead_runs, open_instance

    with open_instance() as instance:
        ended = end_dead_runs(instance)
        from dagster import RunsFilter

        waiting = len(instance.get_runs(RunsFilter(statuses=UNFINISHED)))
    line = f"{waiting} under way"
    if ended:
        line += f"; {len(ended)} whose process was gone or never began are ended: {', '.join(one[:8] for one in ended)}"
    yield Finding("runs", line, "run their stores again: quimbi stores says which" if ended else None)


def _daemon() -> Iterator[Finding]:
    database = open_database()
    heard = database.execute_dagster("SELECT max(timestamp) FROM daemon_heartbeats")
    last = heard[0][0] if heard else None
    planned = database.execute(
        EVERY_STORE, "SELECT count(*) FROM quimbi.stores WHERE plan IS NOT NULL AND plan::text <> '{}'"
    )[0][0]
    is_there = last is not None and datetime.now(UTC).replace(tzinfo=None) - last < QUIET
    heard_at = "never" if last is None else f"{last:%Y-%m-%d %H:%M} UTC"
    line = (
        f"{'runs' if is_there else 'does not run'}; last heard of {heard_at}; {planned} stores have a plan of their own"
    )
    yield Finding("daemon", line + ("" if is_there else "; schedules wait for: quimbi ui --automate"))


_BY_ADDRESS = """
    SELECT store_id, count(*) FROM quimbi.customer_profiles WHERE customer_id LIKE '%_@_%'
    GROUP BY store_id ORDER BY store_id
"""


def _stores() -> Iterator[Finding]:
    from quimbi_assets.resources.postgres.tables.shops import list_shops

    shops = list_shops(open_database())
    ill = [shop for shop in shops if shop.problems()]
    line = f"{len(ill):,} of {len(shops):,} need a look" if ill else f"{len(shops):,}, none needs a look"
    yield Finding("stores", line, "what each needs is said below" if ill else None)
    for shop in ill:
        yield Finding("store", f"{shop.store_id}: {shop.problems()}", shop.mend())
    for store_id, n in open_database().execute(EVERY_STORE, _BY_ADDRESS):
        line = f"{store_id} knows {n:,} customers by their e-mail addresses, which then stand wherever they are named"
        yield Finding(
            "addresses", f"{line}; all files loaded into a new store make them hashes, with a past of its own"
        )


def _rules() -> Iterator[Finding]:
    from quimbi_assets.resources.actions import project_rules

    try:
        book = project_rules()
    except BadInputError as error:
        mend = "mend the file: until then tickets go where no rule says otherwise, and nothing else is decided anew"
        yield Finding("rules", str(error), mend)
        return
    yield Finding("rules", f"{plural(len(book.rules), 'rule')} of {book.where}")


def _key() -> Iterator[Finding]:
    there = bool(os.environ.get("ANTHROPIC_API_KEY"))
    yield Finding("key", "ANTHROPIC_API_KEY is set" if there else "no ANTHROPIC_API_KEY: segments are named by rule")


def _files() -> Iterator[Finding]:
    home = quimbi_home()
    open_ = [path for path in _below(home) if path.stat().st_mode & BY_OTHERS]
    line = "only you can read what is in the home"
    if open_:
        line = f"{len(open_):,} files of the home can be read or written by others, such as {open_[0]}"
    yield Finding("files", line, f"chmod -R go-rw {home}" if open_ else None)


def _below(home: Path) -> Iterator[Path]:
    """Yield the files of a home but those in folders that only their owner may enter, as the server's is."""
    for folder, folders, files in os.walk(home):
        folders[:] = [name for name in folders if (Path(folder) / name).stat().st_mode & ENTERED_BY_OTHERS]
        yield from (path for name in files if (path := Path(folder) / name).is_file() and not path.is_symlink())
