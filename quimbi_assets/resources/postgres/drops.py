"""Loading the files of a source as they came: those that are new, a later one after an earlier.

Belongs here: which files are new, which are read together, the sum of what their loads did. Does not: where files are
(``remote_files``), loading (``loading``).

Files whose orders are all different are parts of one table, and read together. Where an order is in several, it changed
between them: they are loaded one after another by name, and what the last says of an order counts, with its lines.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from quimbi_assets.ingest.columns import candidates
from quimbi_assets.ingest.files import are_parts, matching_files
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.load_report import LoadReport, TableReport
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.shops import summarise_shop
from quimbi_assets.resources.remote_files import is_remote, local_files, state_of

States = dict[str, str]
"""Of files by name, what changes when they do."""


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
    new: Mapping[str, Sequence[str]],
    called: Mapping[str, str],
    options: Mapping[str, Any],
) -> LoadReport:
    """Load files that are new of some places, by table (orders, lines); `options` are those of ``load_store``.

    `called` says what a person knows the places as.
    """
    chosen = options["columns"]
    with ExitStack() as opened:
        batches = {
            name: list(_batches(local_files(places[name], names, opened, called[name]), name, called, chosen, opened))
            for name, names in new.items()
            if names
        }
        orders, lines = (batches.get(spec.name, []) for spec in (ORDERS, ORDER_ITEMS))

        def load(orders: Batch | None, lines: Batch | None) -> LoadReport:
            both = {spec.name: batch for spec, batch in ((ORDERS, orders), (ORDER_ITEMS, lines)) if batch}
            shown_as = {name: batch.called for name, batch in both.items()}
            return load_store(
                database, store_id, orders and orders.path, lines and lines.path, shown_as=shown_as, **options
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
