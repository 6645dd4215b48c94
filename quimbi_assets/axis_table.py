"""What rests between stages: a Parquet table with its columns, and facts about it that are typed.

Belongs here: the table, its facts, reading it in batches and writing it whole. Does not: where tables of which asset
rest (``resources.parquet_io``).
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from upath import UPath

from quimbi_assets.engines import BATCH_ROWS
from quimbi_assets.instants import Instant
from quimbi_assets.parquet_files import RememberedFile, is_local, opened
from quimbi_assets.store import JsonRecord, Store

FACTS = b"quimbi_facts"
"""Key of a table's facts in its Parquet file."""
FACTS_FILE = "facts.json"
ACTIVE, WEAK, INACTIVE = "active", "weak", "inactive"
T = TypeVar("T", bound="Facts")


class Facts(JsonRecord):
    """What is known of a table as a whole; kept in the file."""

    READERS: ClassVar = {"at": Instant, "changed_at": pd.Timestamp, "recorded": frozenset, "store": Store.from_json}


@dataclass(frozen=True)
class TableFacts(Facts):
    """Facts about a table of a store, or of one axis of it.

    All in it is as of ``at``, exclusive. ``status`` is ``active``, ``weak`` or, without rows, ``inactive``. ``run_id``
    is the run that measured its customers: tables of one run hold the same. ``model_version`` scored it, or serves;
    ``segment_ids`` are what list columns are about, in their order; ``changed_at`` the store's last change in its rows.
    """

    at: Instant | None = None
    status: str = ACTIVE
    reason: str | None = None
    recorded: frozenset[str] = frozenset()
    run_id: str | None = None
    model_version: str | None = None
    segment_ids: tuple[str, ...] = ()
    store: Store | None = None
    changed_at: pd.Timestamp | None = None

    @classmethod
    def inactive(cls, reason: str, **facts: Any) -> "TableFacts":
        """Return the facts of an axis that a store's columns or customers do not give."""
        return cls(status=INACTIVE, reason=reason, **facts)

    @property
    def inactive_reason(self) -> str | None:
        """Why there is nothing in it; None if there is."""
        return (self.reason or INACTIVE) if self.status == INACTIVE else None


@dataclass(frozen=True)
class AxisTable:
    """A table at rest: one Parquet file, or a folder of files that follow one another.

    Rows of customers are in ascending order of ``customer_id``, so that tables of several axes can be read side by
    side.
    """

    place: UPath | Path

    @cached_property
    def _files(self) -> Sequence[UPath | Path]:
        return sorted(self.place.glob("*.parquet")) if self.place.is_dir() else [self.place]

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns, without the facts."""
        return self._head[0]

    @property
    def n_rows(self) -> int:
        """Rows in all files."""
        return self._head[1]

    @cached_property
    def _head(self) -> tuple[pa.Schema, int, bytes]:
        schema, n, facts = pa.schema([]), 0, b"{}"
        for path in self._files:
            with opened(path) as file:
                schema, n = file.schema_arrow, n + file.metadata.num_rows
                facts = (schema.metadata or {}).get(FACTS, facts)
        if self.place.is_dir():  # written by an engine that spreads the work: the facts lie beside the rows
            facts = (self.place / FACTS_FILE).read_bytes()
        return _nullable(schema), n, facts

    @cached_property
    def facts(self) -> TableFacts:
        """Facts about the table."""
        return self.facts_as(TableFacts)

    def facts_as(self, kind: type[T]) -> T:
        """Return the facts of a table of another kind."""
        return kind.from_json(self._head[2])

    def batches(self, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
        """Yield the rows in tables of exactly so many, the last of fewer; one empty table if there are none."""
        waiting: list[pa.RecordBatch] = []
        held = 0
        for path in self._files:
            with opened(path) as file:
                for batch in file.iter_batches(min(rows, BATCH_ROWS), columns=columns, use_threads=is_local(path)):
                    waiting.append(batch.cast(_nullable(batch.schema)))
                    held += len(batch)
                    while held >= rows:
                        table = pa.Table.from_batches(waiting)
                        yield table.slice(0, rows)
                        waiting = table.slice(rows).to_batches()
                        held -= rows
        if held:
            yield pa.Table.from_batches(waiting)
        elif not self.n_rows:
            names = self.schema.names if columns is None else columns
            yield pa.schema([self.schema.field(name) for name in names]).empty_table()

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows; meant for tables that are small by nature, and for columns that are."""
        return pa.concat_tables(self.batches(columns))

    @property
    def customers(self) -> pd.Index:
        """Ids of the customers whose rows these are, ascending; read each time."""
        ids = self.read(["customer_id"])["customer_id"].to_pandas()
        customers: pd.Index = pd.Index(ids, dtype="str", name="customer_id")
        return customers

    def take(self, places: NDArray[np.intp], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows at some places, ascending, with no more than a batch of the others in memory."""
        taken, start = [], 0
        for table in self.batches(columns):
            places_here = places[(places >= start) & (places < start + len(table))] - start
            taken.append(table.take(pa.array(places_here)))
            start += len(table)
        return pa.concat_tables(taken)


@contextmanager
def table_writer(
    place: UPath, schema: pa.Schema, facts: Facts
) -> Iterator[Callable[[pa.Table | pa.RecordBatch], None]]:
    """Yield what appends rows to a table, one row group each; whole or not at all.

    A file is written beside its place and moved there when the block ends well, so that readers never see half of one.
    """
    with _file_writer(place, schema.with_metadata({FACTS: facts.to_json().encode()})) as write:
        yield write


@contextmanager
def _file_writer(place: UPath, schema: pa.Schema) -> Iterator[Callable[[pa.Table | pa.RecordBatch], None]]:
    partial = _beside(place, "partial")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with RememberedFile(partial.open("wb")) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:

            def write(rows: pa.Table | pa.RecordBatch) -> None:
                table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
                writer.write_table(table.cast(schema))

            yield write
        _move(partial, place)
        file.remember(place)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def written_in_parts(place: UPath, facts: Facts) -> Iterator[UPath]:
    """Yield a folder to write a table's files into: with the facts it takes the table's place if the block ends well.

    For engines that spread the work; whole or not at all, as with ``table_writer``.
    """
    partial = _beside(place, "partial")
    try:
        yield partial
        (partial / FACTS_FILE).write_text(facts.to_json())
        _move(partial, place)
    finally:
        remove(partial)


def _beside(place: UPath, what: str) -> UPath:
    """Return a hidden path beside a table's place that nobody else uses, on whichever machine."""
    return place.with_name(f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}.{what}")


def _move(partial: UPath, place: UPath) -> None:
    """Move a table to its place; the one before, where a folder is in it or comes, waits beside and goes last."""
    before = _beside(place, "before")
    if place.is_dir() or (partial.is_dir() and place.exists()):
        place.rename(str(before))
    partial.rename(str(place))
    remove(before)


def remove(place: UPath) -> None:
    """Remove a table, be it a file or a folder; no error if there is none."""
    if place.is_dir():
        for path in place.iterdir():
            remove(path)
        place.rmdir()
    else:
        place.unlink(missing_ok=True)


def write_table(
    place: UPath, rows: Iterable[pa.Table | pa.RecordBatch], facts: Facts, schema: pa.Schema | None = None
) -> None:
    """Write rows as they come, with facts about them; whole or not at all.

    ``schema`` is needed where there may be no rows; by default it is that of the first.
    """
    pieces = iter(rows)
    first = next(pieces, None)
    known = schema or (pa.schema([]) if first is None else first.schema)
    with table_writer(place, known, facts) as write:
        for piece in chain([] if first is None else [first], pieces):
            write(piece)


CUSTOMER = "customer_id"


def rows_of_customers(place: UPath, customers: Sequence[str]) -> pa.Table | None:
    """Return the rows of some customers; None where a table is not about customers."""
    parts = []
    for path in AxisTable(place)._files:
        with opened(path) as file:
            if CUSTOMER not in file.schema_arrow.names:
                return None
            parts += [_of(batch, customers) for batch in file.iter_batches(use_threads=is_local(path))]
    return pa.Table.from_batches(parts) if parts else None


def drop_customers(place: UPath, customers: Sequence[str]) -> int:
    """Take the rows of some customers out of a table and return how many; each file of it whole or not at all."""
    dropped = 0
    for path in AxisTable(place)._files:
        with opened(path) as file:
            schema = file.schema_arrow
            if CUSTOMER not in schema.names:
                continue
            n = sum(len(_of(b, customers)) for b in file.iter_batches(columns=[CUSTOMER], use_threads=is_local(path)))
            if n:
                with _file_writer(UPath(path), schema) as write:
                    for batch in file.iter_batches(BATCH_ROWS, use_threads=is_local(path)):
                        write(_of(batch, customers, others=True))
            dropped += n
    return dropped


def _of(batch: pa.RecordBatch, customers: Sequence[str], *, others: bool = False) -> pa.RecordBatch:
    """Return a batch's rows of these customers, or of all others; a row of nobody is others'."""
    theirs = pc.is_in(batch[CUSTOMER].cast(pa.string()), pa.array(customers, pa.string()))
    return batch.filter(pc.invert(theirs) if others else theirs)


def _nullable(schema: pa.Schema) -> pa.Schema:
    """Return a schema without metadata, in which any column may hold NULL: Spark writes what it knows never does."""
    return pa.schema([column.with_nullable(True) for column in schema])


def side_by_side(tables: Mapping[str, AxisTable], rows: int) -> Iterator[dict[str, pa.Table]]:
    """Yield the same customers' rows of several tables, so many at a time; ValueError if they are not the same."""
    for parts in zip(*(table.batches(rows=rows) for table in tables.values()), strict=True):
        of_tables = dict(zip(tables, parts, strict=True))
        first = next(iter(of_tables.values()))["customer_id"]
        for name, part in of_tables.items():
            if not part["customer_id"].equals(first):
                raise ValueError(f"{name}: its table is not of the same customers in the same order")
        yield of_tables
