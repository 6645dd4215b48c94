"""What must be known of a whole file before its first row is judged, found in a first pass over a few columns.

Belongs here: which column is which, how a column's dates and amounts are written, which ids lie in several chunks, in
which currency most orders are. Does not: judging rows (``prepare``).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import cells, columns
from quimbi_assets.ingest.cells import Signs
from quimbi_assets.ingest.dates import date_signs, offsets_seen
from quimbi_assets.ingest.files import Chunk, Table
from quimbi_assets.ingest.keys import IdSet, hashed
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS, TableSpec

SAMPLED = 5_000
"""Rows of a chunk, about, whose offsets are looked at: a zone needs a few a week."""


@dataclass(frozen=True)
class Survey:
    """A file as a whole, as one of the tables a store sends."""

    spec: TableSpec
    columns: dict[str, str]
    """Canonical column → the file's, as `columns.find_columns` finds them."""
    person: dict[str, str]
    """The file's filled columns that say whose a row is → kind of key."""
    signs: dict[str, Signs]
    """The file's columns that may be one of the table's → how their cells are written."""
    n_rows: int
    """Broken lines not counted."""
    ignored: list[str]
    """The file's columns that mean nothing here."""
    is_export: bool
    """It is a line export."""
    spread: IdSet
    """Ids (first column of the table's key) with rows in more than one chunk."""
    heads: IdSet
    """Of a line export read as orders: orders with a row that carries the order's fields."""
    currency: str | None
    """The most common one."""
    offsets: Counter[tuple[str, int]]
    """Of a sample of orders, as `dates.offsets_seen` counts them."""

    @property
    def product_names(self) -> list[str]:
        """Filled columns that name a line's product where it has no id, best first."""
        filled = [name for name, shown in self.signs.items() if Signs.FILLED in shown]
        return [name for name in columns.product_names(filled) if name != self.columns.get("product_id")]

    @property
    def address_columns(self) -> list[str]:
        """Columns of a file of orders with addresses that are not what it knows customers by."""
        return [name for name in self.person if name != self.columns["customer_id"]]


def _first_chunk(table: Table, where: str) -> Chunk:
    first = next(iter(table.chunks(None)), None)
    if first is None:
        raise BadInputError(
            f"{where} holds no line that was sold: quantities or prices are all below 0, or there is none"
        )
    return first


def survey(table: Table, spec: TableSpec, where: str) -> Survey:
    """Go through a table once.

    A required column that is missing or wholly NULL, two of one name, and rounded ids are a ``BadInputError``, in which
    the table is called `where`.
    """
    if repeated := [name for name, n in Counter(table.columns).items() if n > 1]:
        raise BadInputError(f"{where} has several columns {repeated[0]}: rename all but one")
    kinds = kinds_of(table, spec)
    signs = dict.fromkeys(kinds, Signs.NONE)
    first = _first_chunk(table, where)
    read_signs(first.frame, kinds, signs)
    is_export = columns.is_line_export(table.columns, table.chosen)
    chosen: dict[str, str] | None = None
    while chosen != (
        likely := columns.find_columns(table.columns, _filled(signs), spec, table.chosen)
    ):  # of large files rarely twice
        chosen, facts = likely, _Facts(spec, likely, is_export)
        unsettled = {
            name: kind for name, kind in kinds.items() if not _is_settled(kind, first.frame[name], signs[name])
        }
        wanted = dict.fromkeys([*unsettled, *facts.needed]) or table.columns[:1]
        for number, chunk in enumerate(table.chunks(list(wanted))):
            facts.read(chunk.frame)
            if number:
                read_signs(chunk.frame, unsettled, signs)
    filled, person = _filled(signs), columns.person_columns(table.columns, spec)
    columns.require_columns(first.frame, table.columns, likely, spec, where)
    _require_scale(where, facts)
    _require_ids(where, [*likely.items(), *((kind, name) for name, kind in person.items())], signs, first.frame)
    return Survey(
        spec,
        likely,
        {name: kind for name, kind in person.items() if name in filled},
        signs,
        facts.n_rows,
        _ignored(table, spec, filled, {*likely.values(), *person, *_words(table, spec), *table.used}),
        is_export,
        IdSet.spread(facts.ids),
        IdSet.of(facts.heads),
        most_common(facts.currencies),
        facts.offsets,
    )


def _require_ids(where: str, meant: Iterable[tuple[str, str]], signs: Mapping[str, Signs], first: pd.DataFrame) -> None:
    """Refuse ids that are not what the store's are: rounded numbers, lists; `meant` are meanings and columns."""
    for column, name in meant:
        if column.endswith("_id") and Signs.ROUNDED in signs[name]:
            raise cells.rounded_ids(where, name)
        if column.endswith("_id") and columns.holds_lists(first[name]):
            raise BadInputError(f"{where}: {name} holds a list in each cell, which is no {column}: write one id a row")


def _require_scale(where: str, facts: "_Facts") -> None:
    """Refuse ratings on another scale than 1 to 5: with a 0 or one above 5, or mostly no numbers at all.

    Row by row, a 1 of thumbs up and down (1, 0) would be taken for the worst of five.
    """
    others = facts.unscaled or (facts.unread if 2 * facts.unread.total() > facts.n_ratings else None)
    if others:
        name, shown = facts.columns["satisfaction_score"], ", ".join(value for value, _ in others.most_common(3))
        raise BadInputError(
            f"{where}: {name} holds {shown}, but satisfaction is read on the scale 1 to 5: rescale the column to 1-5 "
            "(of thumbs: up 5, down 1), or leave it out"
        )


def kinds_of(table: Table, spec: TableSpec) -> dict[str, str]:
    """Return how each of the file's columns would be read that may be one of the table's."""
    of_column = {column.name: column.kind for column in spec.declared}
    kinds: dict[str, str] = {}
    for column, those in columns.candidates(table.columns, spec, table.chosen).items():
        for name in those if column in of_column else ():
            kinds.setdefault(name, of_column[column])
    words = [*columns.person_columns(table.columns, spec), *_words(table, spec)]
    return dict.fromkeys(words, "text") | kinds


def _words(table: Table, spec: TableSpec) -> list[str]:
    return columns.product_names(table.columns) if spec is ORDER_ITEMS else []


def read_signs(frame: pd.DataFrame, kinds: Mapping[str, str], signs: dict[str, Signs]) -> None:
    """Add what a chunk shows of columns, by how each is read."""
    for name, kind in kinds.items():
        if kind in ("money", "number", "rating", "whole"):
            signs[name] |= cells.amount_signs(frame[name], signs[name])
            continue
        if kind == "date":
            signs[name] |= date_signs(frame[name])
        if not pd.api.types.is_datetime64_any_dtype(frame[name].dtype):
            signs[name] |= cells.text_signs(frame[name])


def _is_settled(kind: str, values: pd.Series, signs: Signs) -> bool:
    """Tell whether no later cell of a column can show anything new; of dates and amounts written as text each may."""
    written = pd.api.types.is_string_dtype(values.dtype) or values.dtype == object
    if kind in ("text", "labels"):
        return Signs.FILLED | Signs.NOT_WHOLE in signs
    return Signs.FILLED in signs and not written


def _filled(signs: dict[str, Signs]) -> list[str]:
    return [name for name, shown in signs.items() if Signs.FILLED in shown]


def _ignored(table: Table, spec: TableSpec, filled: list[str], used: set[str]) -> list[str]:
    names = table.columns
    if columns.export_of(names):  # a known system's further columns are no mistake
        return []
    if columns.is_line_export(names, table.chosen):
        other = ORDER_ITEMS if spec is ORDERS else ORDERS
        used = {*used, *kinds_of(table, other), *(n for n in names if columns.normalised(n) in columns.STATES)}
    meaning = columns.by_name(names)
    meant = {alias for spellings in spec.aliases.values() for alias in spellings}  # but empty: told as absent
    states = columns.STATES if spec is ORDERS else {}
    return [
        name
        for name in names
        if name not in used
        and columns.normalised(name) not in states
        and not (columns.normalised(name) in meant and name not in filled and name in meaning.values())
    ]


@dataclass
class _Facts:
    """What is counted on the way."""

    spec: TableSpec
    columns: dict[str, str]
    is_export: bool
    n_rows: int = 0
    ids: list[np.ndarray] = field(default_factory=list)
    heads: list[np.ndarray] = field(default_factory=list)
    currencies: Counter[str] = field(default_factory=Counter)
    offsets: Counter[tuple[str, int]] = field(default_factory=Counter)
    n_ratings: int = 0
    unscaled: Counter[str] = field(default_factory=Counter)
    """Ratings that are 0 or above 5."""
    unread: Counter[str] = field(default_factory=Counter)
    """Ratings that are no numbers."""

    @property
    def needed(self) -> list[str]:
        """Return the file's columns that are counted."""
        wanted = [*self.spec.key[:1], "satisfaction_score"]
        if self.spec is ORDERS:
            wanted += ["currency", "order_date", "total_price"] if self.is_export else ["currency", "order_date"]
        return [self.columns[name] for name in wanted if name in self.columns]

    def read(self, frame: pd.DataFrame) -> None:
        """Count a chunk."""
        self.n_rows += len(frame)
        if "satisfaction_score" in self.columns:
            self._read_ratings(cells.plain_ratings(frame[self.columns["satisfaction_score"]]))
        if not self.spec.key or self.spec.key[0] not in self.columns:
            return
        ids = watched_ids(frame[self.columns[self.spec.key[0]]])
        self.ids.append(hashed(pd.Series(ids.unique())))
        if self.spec is not ORDERS:
            return
        is_head = pd.Series(True, index=frame.index)
        if self.is_export and "total_price" in self.columns:
            is_head = frame[self.columns["total_price"]].notna()
            self.heads.append(hashed(pd.Series(ids[is_head].unique())))
        if "order_date" in self.columns:
            every = max(1, len(frame) // SAMPLED)
            self.offsets += offsets_seen(frame[self.columns["order_date"]].iloc[::every])
        if "currency" in self.columns:
            self.currencies += counted(cells.plain_text(frame[self.columns["currency"]])[is_head].str.upper())

    def _read_ratings(self, ratings: pd.Series) -> None:
        numbers, text = cells.parse_amounts(ratings), cells.plain_text(ratings).str.removesuffix(".0")
        self.n_ratings += int(ratings.count())
        self.unscaled += counted(text[(numbers == 0) | (numbers > 5)])
        self.unread += counted(text[numbers.isna()])


def counted(values: pd.Series) -> Counter[str]:
    """Count each value of text; NULL is none."""
    return Counter({str(value): int(count) for value, count in values.value_counts().items()})


def most_common(counts: Counter[str]) -> str | None:
    """Return what was counted most often; of several the first by name."""
    return min(counts, key=lambda name: (-counts[name], name), default=None)


def watched_ids(values: pd.Series) -> pd.Series:
    """Return ids as text, whether or not a later cell of their column shows that their ``.0`` means nothing."""
    return cells.plain_text(values, are_ids=True).str.removesuffix(".0")
