"""Reading a store's file as it is: every CSV cell as text, every Parquet column in its type.

Belongs here: encodings, delimiters, compression, broken lines. Does not: what the columns mean (``aliases``).
"""

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from quimbi_assets.errors import BadInputError

NULL_WORDS: tuple[str, ...] = (
    "",
    "nan",
    "NaN",
    "NAN",
    "null",
    "NULL",
    "Null",
    "none",
    "None",
    "NONE",
    "n/a",
    "N/A",
    "#N/A",
    "<NA>",
    "NaT",
    "NA",
)
"""Cells that say "nothing here"."""

BROKEN = "broken_lines"
"""Key of ``frame.attrs``: lines of a CSV file whose number of cells differs from the header's, as text."""


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV or Parquet file, gzipped or not.

    Parameters
    ----------
    path : str or Path
        File; what it holds decides the format, not its name.

    Returns
    -------
    pandas.DataFrame
        (n_rows, n_columns) with the file's own column names. CSV: all columns text, NULL for empty cells.
        ``attrs["broken_lines"]`` lists the lines that could not be split into columns.

    Raises
    ------
    BadInputError
        If the file is missing, unreadable, empty or neither CSV nor Parquet.

    Notes
    -----
    Encodings tried: UTF-16 by its mark, UTF-8 with or without mark, else Windows-1252 (Latin-1 with the euro
    sign). Delimiters: whichever of comma, semicolon and tab is most frequent in the header.
    """
    content = _content(Path(path))
    is_parquet = content[:4] == b"PAR1"
    frame = _read_parquet(content, path) if is_parquet else _read_csv(_as_utf8(content, path), path)
    if frame.empty and not frame.attrs.get(BROKEN):
        raise BadInputError(f"{path} has no rows: export it again with at least one row under the header")
    return frame


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInputError(f"no such file: {path}") from None
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}") from error
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise BadInputError(f"cannot read {path}: broken gzip file ({error})") from error
    if not content.strip():
        raise BadInputError(f"{path} is empty: export it again with a header and at least one row")
    return content


def _read_parquet(content: bytes, path: str | Path) -> pd.DataFrame:
    try:
        # Not pq.read_table, which may leave a thread of Arrow's with a buffer of Python's when the process ends.
        return pq.ParquetFile(pa.BufferReader(content)).read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"cannot read {path} as Parquet: {str(error).splitlines()[0]}") from error


def _as_utf8(content: bytes, path: str | Path) -> bytes:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", errors="replace").encode()
    if content.startswith(codecs.BOM_UTF8):
        content = content[3:]
    if b"\0" in content[:4096]:
        raise BadInputError(f"cannot read {path}: neither CSV nor Parquet; save it as CSV")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return content.decode("cp1252").encode()
        except UnicodeDecodeError:
            return content.decode("latin-1").encode()
    return content


def _read_csv(content: bytes, path: str | Path) -> pd.DataFrame:
    header = content.split(b"\n", 1)[0].decode().rstrip("\r")
    delimiter = max(",;\t", key=header.count)
    names = _unique([name.strip() for name in next(csv.reader([header], delimiter=delimiter))])
    broken: list[str] = []

    def keep_aside(row: pacsv.InvalidRow) -> str:
        broken.append(row.text)
        return "skip"

    try:
        table = pacsv.read_csv(
            io.BytesIO(content),
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=b'"' in content, invalid_row_handler=keep_aside
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=list(NULL_WORDS),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise BadInputError(f"cannot read {path} as CSV: {str(error).splitlines()[0]}") from error
        table = pa.table({name: pa.array([], pa.string()) for name in names})
    frame = table.to_pandas()
    frame.attrs[BROKEN] = broken
    return frame


def _unique(names: list[str]) -> list[str]:
    """Number repeated and nameless columns, so that each can be told apart."""
    seen: dict[str, int] = {}
    result = []
    for position, found in enumerate(names):
        name = found or f"column {position + 1}"
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return result
