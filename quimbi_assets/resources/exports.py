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


def write_rows(path: Path, rows: Iterable[pa.Table], form: Format) -> int:
    """Write tables of the same columns as one file, ``-`` being standard output; return the number of rows.

    The file appears when it is whole. BadInputError if it cannot be written.
    """
    write = _write_csv if form == "csv" else _write_parquet
    with sink(path) as file:
        return write(file, rows)


@contextmanager
def sink(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears when the block ends well; BadInputError if it cannot be written."""
    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    is_special = path.exists() and not path.is_file()  # a pipe or a device, which nothing may replace
    unready = path if is_special else path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with unready.open("wb") as file:
            yield file
        if not is_special:
            unready.replace(path)
    except OSError as error:
        raise BadInputError(f"cannot write {path}: {error.strerror}; give --out a file in a folder you own") from error
    finally:
        if not is_special:
            unready.unlink(missing_ok=True)


def _write_csv(file: IO[bytes], rows: Iterable[pa.Table]) -> int:
    import pyarrow.csv as pacsv

    return _written(rows, lambda first: pacsv.CSVWriter(file, first.schema), spreadsheet_cells)


def csv_parts(rows: Iterable[pa.Table]) -> Iterator[bytes]:
    """Yield tables of the same columns as the parts of one CSV file."""
    import pyarrow.csv as pacsv

    for place, part in enumerate(rows):
        text = pa.BufferOutputStream()
        pacsv.write_csv(spreadsheet_cells(part), text, pacsv.WriteOptions(include_header=place == 0))
        yield text.getvalue().to_pybytes()


def _write_parquet(file: IO[bytes], rows: Iterable[pa.Table]) -> int:
    import pyarrow.parquet as pq

    return _written(rows, lambda first: pq.ParquetWriter(file, first.schema), lambda part: part)


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
