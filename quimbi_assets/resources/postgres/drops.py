"""Loading the files of a source as they came: those that are new or have changed, a later one after an earlier.

Belongs here: which files are new, which are read together, the sum of what their loads did. Does not: where files are
(``remote_files``), loading (``loading``).

Files whose orders are all different are parts of one table, and read together. Where an order is in several, it changed
between them: they are loaded one after another by name, and what the last says of an order counts, with its lines.
So that this holds from one load to the next, files after one that changed are loaded again, whose orders it may have.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

from quimbi_assets.ingest.columns import candidates
from quimbi_assets.ingest.files import are_parts, matching_files
from quimbi_assets.ingest.prepare import NO_ORDER
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.load_report import LoadReport, TableReport
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.shops import summarise_shop
from quimbi_assets.resources.remote_files import is_remote, local_files, state_of

States = dict[str, str]
"""Of files by name, what changes when they do."""


class Mark(NamedTuple):
    """What is known of a source's files, by table."""

    states: dict[str, States]
    digests: dict[str, States]
    """Of what files held when they were last looked into: a new time of change alone is no change."""
    has_orphans: bool = True
    """Whether lines may have come before their order: they are read again when there are new orders."""

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Return what ``to_json`` wrote, or a version before it, which had no digests."""
        known = json.loads(text) if text else {}
        return cls(known.get("states", {}), known.get("digests", {}), known.get("has_orphans", True))

    def to_json(self) -> str:
        """Return the mark as text."""
        return json.dumps(self._asdict())


class Batch(NamedTuple):
    """A path, or a pattern of several that are read together, and what a person knows it as."""

    path: Path
    called: str


def states_of(place: str, called: str | None) -> States:
    """Return the states of the files that a path, pattern or address means, by name; BadInputError if there is none."""
    if is_remote(place):
        return state_of(place, called)
    paths = matching_files(place)
    return {str(path): f"{path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths}


def load_drops(
    database: Database,
    store_id: str,
    places: Mapping[str, str],
    before: Mark,
    called: Mapping[str, str],
    options: Mapping[str, Any],
) -> tuple[Mark, LoadReport | None]:
    """Load what is new in the files of some places, by table (orders, lines); return the mark now, and what was done.

    Nothing is done where nothing but times of change is new. With new orders all files of lines are read if some of
    them had come before their order. `called` says what a person knows the places as; `options` are those of
    ``load_store``.
    """
    states = {name: states_of(place, called[name]) for name, place in places.items()}
    files: dict[str, list[Path]] = {}
    digests: dict[str, States] = {}
    with ExitStack() as opened:
        for name, place in places.items():
            is_all_read = name != ORDERS.name and files[ORDERS.name] and before.has_orphans
            known = Mark({}, {}) if is_all_read else before
            local = partial(local_files, place, opened=opened, called=called[name])
            old = known.states.get(name, {}), known.digests.get(name, {})
            files[name], digests[name] = _new_files(states[name], *old, local)
        loaded = _loaded(database, store_id, files, called, options, opened) if any(files.values()) else None
    tables = loaded.tables if loaded else []
    has_orphans = any(NO_ORDER in table.reasons for table in tables if table.table == ORDER_ITEMS.name)
    has_unread = len(files.get(ORDER_ITEMS.name, ())) < len(states.get(ORDER_ITEMS.name, ()))
    return Mark(states, digests, has_orphans or (before.has_orphans and has_unread)), loaded


def _new_files(
    states: States, known_states: States, known_digests: States, local: Callable[[Sequence[str]], dict[str, Path]]
) -> tuple[list[Path], States]:
    """Return files by name from the first on that is new or holds something else, and digests of all.

    `local` brings files here by name.
    """
    names = list(states)
    touched = [name for name in names if states[name] != known_states.get(name)]
    copies = local(touched)
    digests = {name: known_digests[name] for name in names if name in known_digests}
    digests |= {name: _digest(path) for name, path in copies.items()}
    is_new = [name in copies and digests[name] != known_digests.get(name) for name in names]
    later = names[is_new.index(True) :] if any(is_new) else []
    others = local([name for name in later if name not in copies])
    digests |= {name: _digest(path) for name, path in others.items()}
    copies |= others
    return [copies[name] for name in later if name in copies], digests


def _digest(path: Path) -> str:
    """Return a digest of what a file holds; of one that cannot be read, which loading says, nothing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _loaded(
    database: Database,
    store_id: str,
    files: Mapping[str, Sequence[Path]],
    called: Mapping[str, str],
    options: Mapping[str, Any],
    opened: ExitStack,
) -> LoadReport:
    """Load files by table, those of a table in the order of their names."""
    chosen = options["columns"]
    batches = {name: list(_batches(paths, name, called, chosen, opened)) for name, paths in files.items() if paths}
    orders, lines = (batches.get(spec.name, []) for spec in (ORDERS, ORDER_ITEMS))
    has_both = len(files) > 1

    def load(orders: Batch | None, lines: Batch | None) -> LoadReport:
        both = {spec.name: batch for spec, batch in ((ORDERS, orders), (ORDER_ITEMS, lines)) if batch}
        shown_as = {name: batch.called for name, batch in both.items()}
        return load_store(
            database,
            store_id,
            orders and orders.path,
            lines and lines.path,
            shown_as=shown_as,
            is_part=has_both and len(both) < 2,
            **options,
        )

    if len(orders) <= 1 and len(lines) <= 1:
        return load(next(iter(orders), None), next(iter(lines), None))
    return _summed(database, [load(batch, None) for batch in orders] + [load(None, batch) for batch in lines])


def _batches(
    files: Sequence[Path], name: str, called: Mapping[str, str], chosen: Mapping[str, str], opened: ExitStack
) -> Iterator[Batch]:
    """Yield what is read together of some files, in the order of their names."""
    spec = ORDERS if name == ORDERS.name else ORDER_ITEMS
    named = {meaning.rpartition(".")[2]: column for meaning, column in chosen.items()}

    def key(columns: Sequence[str]) -> str | None:
        return next(iter(candidates(columns, spec, named)["order_id"]), None)

    if len(files) < 2 or not are_parts(files, key):
        for file in files:
            yield Batch(file, called[name] if len(files) < 2 else f"{called[name]} ({file.name})")
        return
    folder = Path(opened.enter_context(TemporaryDirectory(prefix="quimbi-load-")))
    for number, file in enumerate(files):
        (folder / f"{number:06}{''.join(file.suffixes[-2:])}").symlink_to(file.absolute())
    yield Batch(folder / "*", called[name])


def _summed(database: Database, reports: Sequence[LoadReport]) -> LoadReport:
    """Return what several loads did as one."""
    tables: dict[str, TableReport] = {}
    for table in (table for report in reports for table in report.tables):
        before = tables.get(table.table)
        tables[table.table] = table if before is None else _added(before, table)
    last = reports[-1]
    return replace(
        last,
        is_new=reports[0].is_new,
        tables=list(tables.values()),
        seconds=sum(report.seconds for report in reports),
        notes=list(dict.fromkeys(note for report in reports for note in report.notes)),
        summary=summarise_shop(database, last.store),
        likely_zone=next((report.likely_zone for report in reports if report.likely_zone), None),
    )


def _added(one: TableReport, other: TableReport) -> TableReport:
    counts = ("read", "inserted", "updated", "unchanged", "deleted", "refused")
    return replace(
        other,
        **{name: getattr(one, name) + getattr(other, name) for name in counts},
        reasons=dict((Counter(one.reasons) + Counter(other.reasons)).most_common()),
        notes=list(dict.fromkeys([*one.notes, *other.notes])),
    )
