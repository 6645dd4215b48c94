"""What a load is given: files by table, opened, brought into tables' form and gone through once.

Belongs here: opening files, columns that a person has named, the command that would load them. Does not: reading files
(``quimbi_assets.ingest``), loading (``loading``).
"""

import shlex
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from quimbi_assets.errors import BadInputError, MissingColumnsError
from quimbi_assets.ingest.columns import by_name, normalised
from quimbi_assets.ingest.files import Table, open_table
from quimbi_assets.ingest.helpdesks import tickets_shaped
from quimbi_assets.ingest.shapes import shaped, with_prices
from quimbi_assets.ingest.survey import Survey, survey
from quimbi_assets.ingest.tables import CUSTOMERS, ORDER_ITEMS, ORDERS, PRODUCTS, SUPPORT_TICKETS, TABLES
from quimbi_assets.resources.remote_files import local_copy, shown
from quimbi_assets.store import Store

OPTIONS = {
    "--orders": ORDERS.name,
    "--items": ORDER_ITEMS.name,
    "--products": PRODUCTS.name,
    "--customers": CUSTOMERS.name,
    "--tickets": SUPPORT_TICKETS.name,
}
"""Options of ``quimbi load``, and the tables that their files become."""


@dataclass(frozen=True)
class Sent:
    """Files by table, and what the person who gives them says of their columns."""

    paths: Mapping[str, str | Path]
    """Files, patterns, or addresses of files."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """``column``, or ``table.column`` where two files differ → the file's column."""
    shown_as: Mapping[str, str] = field(default_factory=dict)
    """By table, what a person is told where its rows are from, if not the path."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """Options of ``quimbi load`` that name the source of all of them, if not the paths."""
    is_part: bool = False
    """Whether other loads bring lines, or the orders of these lines, so that `columns` may be those files'."""

    def place(self, name: str) -> str:
        """Return, for people, where a table's rows are from; lines without a file of their own are from the orders'."""
        name = name if name in self.paths else ORDERS.name
        return self.shown_as.get(name) or shown(self.paths[name])


@dataclass(frozen=True)
class SentFile:
    """One of a store's files, gone through once."""

    place: str
    table: Table
    survey: Survey


def open_files(
    sent: Sent, wanted: Store, time_zone: str, opened: ExitStack, say: Callable[[str], None]
) -> tuple[dict[str, SentFile], list[str]]:
    """Open and survey files, by table in the order in which they are loaded; with what there is to say of them.

    `wanted` is the store as it is asked for. A file that lacks columns is a ``BadInputError`` with all of them, a guess
    for each, and the command that would then work.
    """
    tables: dict[str, Table] = {}
    for name, path in sent.paths.items():
        place = sent.place(name)
        say(f"reading {place}")
        tables[name] = opened.enter_context(open_table(local_copy(path, opened, place), place))
    tables = _as_named(sent, tables)
    if ORDER_ITEMS.name in tables:
        tables[ORDER_ITEMS.name] = with_prices(tables[ORDER_ITEMS.name])
    if SUPPORT_TICKETS.name in tables:
        tables[SUPPORT_TICKETS.name] = tickets_shaped(tables[SUPPORT_TICKETS.name], time_zone)
    notes: list[str] = []
    if ORDERS.name in tables:
        tables[ORDERS.name], lines, notes = shaped(tables[ORDERS.name], time_zone, opened)
        if lines is not None and not sent.is_part:
            tables.setdefault(ORDER_ITEMS.name, lines)
    files = {}
    for name, spec in TABLES.items():
        if name in tables:
            place = sent.place(name)
            try:
                files[name] = SentFile(place, tables[name], survey(tables[name], spec, place))
            except MissingColumnsError as error:
                raise BadInputError(f"{error}; {_advice(error, sent, wanted)}") from None
    return files, notes


def load_command(store: Store, sent: Sent, more: str = "") -> str:
    """Return the command that loads files into a store as it is."""
    options = {"--store-id": store.store_id}
    options |= sent.origin or {option: shown(sent.paths[n]) for option, n in OPTIONS.items() if n in sent.paths}
    options |= {"--time-zone": store.time_zone} if store.time_zone not in ("", "UTC") else {}
    options |= {"--currency": store.currency} if store.currency else {}
    columns = ",".join(f"{column}={name}" for column, name in sent.columns.items())
    options |= {"--columns": columns} if columns else {}
    return (
        f"quimbi load {' '.join(f'{option} {shlex.quote(value)}' for option, value in options.items())} {more}".strip()
    )


def _advice(error: MissingColumnsError, sent: Sent, wanted: Store) -> str:
    guesses = {column: name for column, name in error.guesses.items() if name}
    named = {column: guesses.get(column, "?") for column in error.guesses}
    command = load_command(wanted, replace(sent, columns={**sent.columns, **named}))
    if len(guesses) == len(named):
        return f"if these are they: {command}"
    return f"say which they are, with the file's name for each question mark: {command}"


def _as_named(sent: Sent, tables: dict[str, Table]) -> dict[str, Table]:
    """Return tables that know which columns a person has named; a name that fits none is a ``BadInputError``."""
    known = {column for spec in TABLES.values() for column in (*spec.aliases, *spec.person)}
    chosen: dict[str, dict[str, str]] = {name: {} for name in tables}
    for meaning, wanted in sent.columns.items():
        only, _, column = meaning.rpartition(".")
        if column not in known or (only and only not in TABLES):
            listed = ", ".join(sorted(known))
            raise BadInputError(f"--columns {meaning}={wanted}: no column {meaning} is read; there are: {listed}")
        holders = {
            name: by_name(table.columns).get(normalised(wanted))
            for name, table in tables.items()
            if only in ("", name) and _can_have(name, column)
        }
        for name, holder in holders.items():
            if holder is not None:
                chosen[name][column] = wanted if wanted in tables[name].columns else holder
        if not any(holders.values()) and not sent.is_part:
            listed = "; ".join(f"{sent.place(name)} has {', '.join(tables[name].columns)}" for name in holders)
            raise BadInputError(
                f"--columns {meaning}={wanted}: no file that can hold {column} has a column {wanted}: {listed}"
            )
    return {name: replace(table, chosen=chosen[name]) for name, table in tables.items()}


def _can_have(name: str, column: str) -> bool:
    """Tell whether the file that is given for a table may hold a column; one of orders may hold lines too."""
    specs = (ORDERS, ORDER_ITEMS) if name == ORDERS.name else (TABLES[name],)
    return any(column in spec.aliases or column in spec.person for spec in specs)
