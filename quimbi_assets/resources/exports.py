"""Files of customers: CSV and Parquet, written as the rows come out of the database.

Belongs here: writing files and standard output. Does not: who is in them (``tables.customers``), services.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa

from quimbi_assets.errors import BadInputError
from quimbi_assets.exports.cells import spreadsheet_cells

Format = Literal["csv", "parquet"]
STDOUT = Path("-")
MOST_BYTES = 64 << 20
"""Of a Parquet row group, as Arrow holds them."""


def write_rows(path: Path, rows: Iterable[pa.Table], form: Format) -> int:
    """Write tables of the same columns as one file, ``-`` being standard output; return the number of rows.

    The file appears when it is whole. BadInputError if it cannot be written.
    """
    write = _write_csv if form == "csv" else _write_parquet
    with _sink(path) as sink:
        return write(sink, rows)


@contextmanager
def _sink(path: Path) -> Iterator[IO[bytes]]:
    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unready = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with unready.open("wb") as file:
            yield file
        unready.replace(path)
    except OSError as error:
        raise BadInputError(f"cannot write {path}: {error.strerror}; give --out a file in a folder you own") from error
    finally:
        unready.unlink(missing_ok=True)


def _write_csv(sink: IO[bytes], rows: Iterable[pa.Table]) -> int:
    import pyarrow.csv as pacsv

    return _written(rows, lambda first: pacsv.CSVWriter(sink, first.schema), spreadsheet_cells)


def _write_parquet(sink: IO[bytes], rows: Iterable[pa.Table]) -> int:
    import pyarrow.parquet as pq

    return _written(rows, lambda first: pq.ParquetWriter(sink, first.schema), lambda part: part)


def _written(
    rows: Iterable[pa.Table], open_writer: Callable[[pa.Table], Any], prepared: Callable[[pa.Table], pa.Table]
) -> int:
    n_rows, writer = 0, None
    try:
        for part in rows:
            ready = prepared(part)
            writer = writer or open_writer(ready)
            writer.write_table(ready)
            n_rows += len(part)
    finally:
        if writer is not None:
            writer.close()
    return n_rows
