"""Files of customers: CSV and Parquet, written as the rows come out of the database.

Belongs here: writing files and standard output, cells that a spreadsheet and a terminal take for text. Does not: who is
in them (``tables.customers``), services.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.errors import BadInputError
from quimbi_assets.texts import FORMULA, UNSEEN, cell

Format = Literal["csv", "parquet"]
STDOUT = Path("-")
INSTANT = "%Y-%m-%dT%H:%M:%SZ"


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


def spreadsheet_cells(rows: pa.Table) -> pa.Table:
    """Return rows with texts that none computes, an apostrophe before those that one would, and instants in ISO 8601.

    What a terminal would obey is U+FFFD, since people read files there, too; Parquet keeps it. Numbers stay as they
    are: -12.5 is no formula. Names of columns are texts too. Fractions of a second are left out.

    >>> spreadsheet_cells(pa.table({"id": ["=1+1", "a-b"], "n": [-12.5, 0.0]})).to_pydict()
    {'id': ["'=1+1", 'a-b'], 'n': [-12.5, 0.0]}
    """
    return pa.table([_cell(column) for column in rows.columns], [cell(name) for name in rows.column_names])


def _cell(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(values.type):
        return pc.strftime(values.cast(pa.timestamp("s", "UTC"), safe=False), INSTANT)
    if not pa.types.is_string(values.type):
        return values
    # Calls without scalars, for which pyarrow would import pandas.
    texts = pc.replace_substring(pc.replace_substring_regex(values, FORMULA, r"'\1"), "\r\n", "\n")
    return pc.replace_substring_regex(texts, UNSEEN, "\ufffd")
