"""Reading a store's file as it is, chunk by chunk: every CSV cell as text, every Parquet column in its type.

Belongs here: encodings, delimiters, compression, broken lines. Does not: what the columns mean (``columns``).
"""

import codecs
import csv
import gzip
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from glob import escape as glob_escape
from glob import glob
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.cells import NULL_WORDS

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation
    from duckdb.sqltypes import DuckDBPyType

CHUNK_ROWS = 250_000
"""Rows of a Parquet file that are read and judged together; a smaller file is one chunk."""

CHUNK_BYTES = 16 << 20
"""The same for a CSV file: about as many lines of 60 to 70 bytes. No line may be longer."""

BATCH_ROWS = 8_192
"""Rows of a Parquet file that are unpacked at once: of 100 kB each they take 0.8 GB."""

MOST_ROWS = 100_000_000
"""Of a Parquet file, or of the files of a pattern; the largest shop measured has 1.5 million lines."""

MOST_BYTES, LET_BE, MOST_RATIO = 16 << 30, 256 << 20, 200
"""What a file unpacks to at most; and above how much it may not be over so many times the file: 5 to 20 is usual."""

_BLOCK = 1 << 20
_ZIPPED = b"PK\x03\x04"
_WEB_PAGE = re.compile(rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b")
_MOST_CONTROLS = 0.2
"""Share of bytes that are neither text nor line ends, from which a file with NUL is no text at all."""
_WHOLE_NUMBERS = {
    pa.type_for_alias(name.lower()): pd.api.types.pandas_dtype(name)
    for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
}


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table as found, indexed from 0, under the file's own column names; of CSV all columns are text."""

    frame: pd.DataFrame
    broken: list[str] = field(default_factory=list)
    """Lines between the rows whose number of cells differs from the header's."""
    words: Mapping[str, int] = field(default_factory=dict)
    """By column the cells that say in a word, such as ``null``, that nothing is there; in the frame they are NULL."""


@dataclass(frozen=True)
class Table:
    """A table as found, whose rows can be gone through as often as needed."""

    columns: list[str]
    chunks: Callable[[Sequence[str] | None], Iterable[Chunk]]
    """Yields chunk by chunk in the file's order; of large files only the columns that are asked for, if any are."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """Canonical column → the file's, where a person has said so."""
    used: frozenset[str] = frozenset()
    """The file's columns that others were made of."""

    def changed(self, change: Callable[[pd.DataFrame], pd.DataFrame], more: Sequence[str] = ()) -> "Table":
        """Return the table with each chunk's frame changed, and with `more` columns."""

        def chunks(_: Sequence[str] | None) -> Iterator[Chunk]:
            for chunk in self.chunks(None):
                yield replace(chunk, frame=change(chunk.frame))

        return replace(self, columns=[*self.columns, *more], chunks=chunks)

    @classmethod
    def of(cls, *chunks: Chunk) -> "Table":
        """Return chunks in memory as a table."""
        return cls([str(name) for name in chunks[0].frame.columns], lambda _: chunks)


@contextmanager
def open_table(path: str | Path, called: str | None = None) -> Iterator[Table]:
    """Open a CSV or Parquet file, gzipped or not, for as long as the block runs; its content decides which it is.

    `called` is what a person knows it as, if not by its path. One that is missing, unreadable, empty or neither is a
    ``BadInputError``, also while its chunks are read.

    Encodings tried: UTF-16 by its mark, UTF-8 with or without mark, else Windows-1252 (Latin-1 with the euro
    sign). Delimiters: whichever of comma, semicolon and tab is most frequent in the header. What is compressed or
    in another encoding is unpacked into a temporary file, which only this user can read.
    """
    place = called or str(path)
    with ExitStack() as opened:
        if is_for_duckdb(path):
            yield _duckdb_table(path, place, opened)
            return
        try:
            plain = _unpacked(Path(path), place, opened)
            with plain.open("rb") as file:
                is_parquet = file.read(4) == b"PAR1"
        except FileNotFoundError:
            raise BadInputError(f"no such file: {place}") from None
        except OSError as error:
            raise BadInputError(f"cannot read {place}: {error.strerror}") from error
        table, is_large = (_parquet_table if is_parquet else _csv_table)(plain, place, opened)
        if not is_large:
            chunks = list(table.chunks(None))
            if not any(len(chunk.frame) or chunk.broken for chunk in chunks):
                raise BadInputError(f"{place} has no rows: export it again with at least one row under the header")
            table = Table.of(*chunks)
        yield table


_JSON = (".json", ".jsonl", ".ndjson")
_READERS = {".parquet": "read_parquet(?, union_by_name = true)"}
_READERS |= dict.fromkeys(_JSON, "read_json_auto(?, union_by_name = true, sample_size = -1, compression = 'none')")
_LISTED = ("tickets", "conversations", "orders", "customers", "products", "data")
"""What Zendesk, Intercom, Gorgias and shops call the list in an answer of their APIs."""
_AS_CSV = "read_csv(?, union_by_name = true, all_varchar = true, header = true, compression = 'none', delim = '{}'"
_AS_CSV += """, quote = '"', escape = '"', skip = 0)"""
"""Nothing is left to be guessed: in another dialect a file with one broken line has other columns, or no row."""


def is_for_duckdb(path: str | Path) -> bool:
    """Whether a path is a pattern of several files, or of JSON: DuckDB reads these."""
    return _is_pattern(path) or _suffix(path) in _JSON


def _is_pattern(path: str | Path) -> bool:
    """Whether a path has signs of a pattern and is not, as it stands, a file's."""
    return bool(re.search(r"[*?\[]", str(path))) and not Path(path).expanduser().exists()


def _suffix(path: str | Path) -> str:
    return Path(str(path).removesuffix(".gz")).suffix.lower()


def matching_files(path: str | Path) -> list[Path]:
    """Return the files that a path or pattern means, by name; BadInputError if there is none."""
    place = Path(path).expanduser()
    files = sorted(map(Path, glob(str(place), recursive=True))) if _is_pattern(path) else [place]
    if not files or not all(file.exists() for file in files):
        raise BadInputError(f"no such file: {path}")
    if odd := [file for file in files if not file.is_file()]:
        raise BadInputError(f"cannot read {odd[0]}: it is not a regular file")
    return files


def are_parts(files: Sequence[Path], key_of: Callable[[Sequence[str]], str | None]) -> bool:
    """Whether files are parts of one table: of one kind, no value of the column that `key_of` finds in two of them."""
    import duckdb

    suffixes = {_suffix(file) for file in files}
    if len(suffixes) > 1:
        return False
    try:
        with ExitStack() as opened, duckdb.connect() as connection:
            plain = _all_unpacked(files, str(files[0].parent), opened)
            all_rows, names = _selection(plain, suffixes.pop(), "filename = true, ")
            key = key_of(connection.sql(f"SELECT * FROM ({all_rows}) LIMIT 0", params=names).columns)
            if key is None:
                return True
            column = '"' + key.replace('"', '""') + '"'
            rows = f"SELECT {column} FROM ({all_rows}) GROUP BY 1 HAVING min(filename) < max(filename)"
            sql = f"SELECT count({column}) FROM ({rows})"
            return bool(connection.execute(sql, names).fetchall()[0][0] == 0)
    except (duckdb.Error, BadInputError):  # what it cannot read may be read one by one
        return False


def _duckdb_table(path: str | Path, place: str, opened: ExitStack) -> Table:
    """Return files of one kind, whose columns are put together by name, as a table that DuckDB reads."""
    import duckdb

    files_meant = matching_files(path)
    suffixes = {_suffix(file) for file in files_meant}
    if len(suffixes) > 1:
        raise BadInputError(
            f"{place} matches files of several kinds: {', '.join(sorted(suffixes))}; give one kind at a time"
        )
    suffix = suffixes.pop()
    files = _all_unpacked(files_meant, place, opened)
    if suffix in _JSON:
        files = [_without_mark(file, opened) for file in files]
    size = sum(file.stat().st_size for file in files)
    connection = opened.enter_context(duckdb.connect())
    all_rows, names = _selection(files, suffix)

    def unpacked() -> Iterator[pa.RecordBatch]:
        read = connection.sql(all_rows, params=names)
        n_rows = n_bytes = 0
        for batch in (_records(read) if suffix in _JSON else read).to_arrow_reader(BATCH_ROWS):
            n_rows, n_bytes = n_rows + len(batch), n_bytes + batch.nbytes
            _refuse_swollen(place, size, n_bytes)
            _refuse_long(place, n_rows)
            yield batch

    def chunks(_: Sequence[str] | None) -> Iterator[Chunk]:
        try:
            for table in _of_size(unpacked()):
                yield Chunk(as_frame(table))
        except (duckdb.Error, OSError) as error:
            raise _unread(error, place, dict(zip(map(str, files), files_meant, strict=True))) from error

    first = next(iter(chunks(None)), None)
    if first is None or first.frame.empty:
        raise BadInputError(f"{place} has no rows: export it again with at least one row")
    return Table([str(name) for name in first.frame.columns], chunks)


def _selection(files: Sequence[Path], suffix: str, more: str = "") -> tuple[str, list[list[str]]]:
    """Return the statement that reads files of one kind, put together by column, and its parameters: names of files."""
    names: dict[str, list[str]] = {}
    for file in files:
        reader = _READERS[suffix] if suffix in _READERS else _AS_CSV.format(_header(file)[1])
        names.setdefault(reader.replace("(?, ", f"(?, {more}"), []).append(glob_escape(str(file)))
    return " UNION ALL BY NAME ".join(f"SELECT * FROM {reader}" for reader in names), list(names.values())


def _all_unpacked(files: Sequence[Path], place: str, opened: ExitStack) -> list[Path]:
    """Return files as `_unpacked` does each; together, too, they may unpack to no more than one may."""
    plain, size, n_bytes = [], 0, 0
    for file in files:
        try:
            plain.append(_unpacked(file, place, opened))
        except OSError as error:
            raise BadInputError(f"cannot read {file}: {error.strerror}") from error
        if plain[-1] is not file:
            size, n_bytes = size + file.stat().st_size, n_bytes + plain[-1].stat().st_size
            _refuse_swollen(place, size, n_bytes)
    return plain


def _unread(error: Exception, place: str, found: Mapping[str, Path]) -> BadInputError:
    """Return why DuckDB cannot read files; of several, `found` by what it calls them, which of them and what helps."""
    reason = str(error).splitlines()[0]
    for name, file in found.items():
        if re.search(rf"(?m)^\s*file = {re.escape(name)}$|[\"']{re.escape(name)}[\"']", str(error)):
            reason = reason.replace(name, str(file))
            if len(found) > 1:
                reason += f" in {file}; mend it"
                reason += ", or load it by itself: a single file is read line by line" * (_suffix(file) not in _READERS)
            break
    return BadInputError(f"cannot read {place}: {reason}")


def _without_mark(file: Path, opened: ExitStack) -> Path:
    """Return a file in UTF-8 without the mark of its encoding, which DuckDB takes for JSON; it may be itself."""
    with file.open("rb") as marked:
        head = marked.read(len(codecs.BOM_UTF8))
    encoding = "utf-16" if head.startswith(_UTF16) else "utf-8-sig" if head == codecs.BOM_UTF8 else None
    if encoding is None:
        return file
    target = _temporary(opened)
    try:
        _transcoded(file, encoding, target)
    except UnicodeDecodeError:
        return file  # DuckDB says what is wrong with it
    return Path(target.name)


def _records(read: "DuckDBPyRelation") -> "DuckDBPyRelation":
    """Return the records of JSON: of a service's answer those that it lists; what they list in turn is text.

    An object without any field is nothing. A field that holds numbers in some records and texts in others is text.
    """
    listed = [name for name in _LISTED if name in read.columns and "id" not in read.columns]
    if listed and (read.types[read.columns.index(listed[0])].id, len(listed)) == ("list", 1):
        read = _with_requesters(read, f'unnest("{listed[0]}", max_depth := 2)')
    kinds = {_quoted(name): kind for name, kind in zip(read.columns, read.types, strict=True)}
    texts = {n: f"nullif(to_json({n})::VARCHAR, '{{}}')" for n, kind in kinds.items() if _LISTING.match(str(kind))}
    texts |= {name: _scalars(name, kind) for name, kind in kinds.items() if name not in texts and "JSON" in str(kind)}
    replaced = ", ".join(f"{text} AS {name}" for name, text in texts.items())
    return read.project(f"* REPLACE ({replaced})") if texts else read


_LISTING = re.compile(r"MAP|(STRUCT|JSON).*\]$")
"""Types of lists of records, and of objects with any fields."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _scalars(value: str, kind: "DuckDBPyType") -> str:
    """Return the expression of a value, and of what is within its fields, in which texts of JSON have no quotes."""
    if str(kind) == "JSON":
        return f"nullif({value} ->> '$', '{{}}')"
    if kind.id != "struct" or "JSON" not in str(kind):
        return value
    children = cast("list[tuple[str, DuckDBPyType]]", kind.children)
    fields = [f"{_quoted(name)} := {_scalars(f'{value}.{_quoted(name)}', within)}" for name, within in children]
    return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({', '.join(fields)}) END"


_REQUESTERS = """
    WITH person AS (
        SELECT to_json(who.id) ->> '$' AS id, any_value(who.email) AS email
        FROM (SELECT unnest(users) AS who FROM answer) GROUP BY ALL HAVING email IS NOT NULL
    ), record AS (SELECT *, row_number() OVER () AS "quimbi row" FROM (SELECT {records} FROM answer))
    SELECT record.* EXCLUDE ("quimbi row"), person.email AS requester_email
    FROM record LEFT JOIN person ON to_json(record.requester_id) ->> '$' = person.id ORDER BY "quimbi row"
"""
"""Records with the addresses of those who asked, in the order of the answer."""


def _with_requesters(read: "DuckDBPyRelation", records: str) -> "DuckDBPyRelation":
    """Return the records of an answer, with the addresses of those who asked where it lists its users beside them.

    So Zendesk answers what is asked with ``include=users``: tickets name their requester by number alone.
    """
    listed = read.project(records)
    users, names = str(dict(zip(read.columns, read.types, strict=True)).get("users", "")), {*listed.columns}
    if "requester_id" not in names or {"requester", "requester_email"} & names or not re.match(r"STRUCT.*\]$", users):
        return listed
    if not {"id", "email"} <= {*read.project("unnest(users, max_depth := 2)").columns}:
        return listed
    named = read.query("answer", _REQUESTERS.format(records=records))
    return listed if named is None else named  # never: it is a question


def _temporary(opened: ExitStack) -> IO[bytes]:
    return opened.enter_context(tempfile.NamedTemporaryFile(prefix="quimbi-load-"))


def _unpacked(path: Path, place: str, opened: ExitStack) -> Path:
    """Return the file itself or, where it is gzipped, a temporary one with what it holds."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInputError(f"cannot read {place}: it is not a regular file")
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path
    target = _temporary(opened)
    try:
        with gzip.open(path) as packed:
            size, unpacked = path.stat().st_size, 0
            while block := packed.read(_BLOCK):
                unpacked += target.write(block)
                _refuse_swollen(place, size, unpacked)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInputError(f"cannot read {place}: broken gzip file ({error})") from error
    target.flush()
    return Path(target.name)


def _refuse_swollen(place: str, size: int, unpacked: int) -> None:
    """BadInputError if a file of so many bytes unpacks to more than any shop's does: it would fill memory or disk."""
    if unpacked > MOST_BYTES or unpacked > max(LET_BE, MOST_RATIO * size):
        raise BadInputError(
            f"cannot read {place}: its {size:,} bytes unpack to more than {unpacked >> 20:,} MB, which is no export of "
            "a shop; export it again, or in parts"
        )


def _refuse_long(place: str, n_rows: int) -> None:
    """BadInputError if there are more rows than any shop has."""
    if n_rows > MOST_ROWS:
        raise BadInputError(f"cannot read {place}: it has more than {MOST_ROWS:,} rows; load it in parts")


def _parquet_table(plain: Path, place: str, opened: ExitStack) -> tuple[Table, bool]:
    """Return a Parquet file as a table, and whether it is too large to be kept in memory."""

    def broken(error: Exception) -> BadInputError:
        return BadInputError(f"cannot read {place} as Parquet: {str(error).splitlines()[0]}")

    try:
        # The path, not an open file: a thread of Arrow's may hold a buffer of Python's still when the process ends.
        file = opened.enter_context(pq.ParquetFile(str(plain)))
        columns = [str(name) for name in as_frame(file.schema_arrow.empty_table()).columns]
    except (pa.ArrowException, OSError, UnicodeDecodeError, BadInputError) as error:  # the third, of a column's name
        raise broken(error) from error
    _refuse_long(place, file.metadata.num_rows)

    def unpacked(wanted: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        n_bytes = 0
        for batch in file.iter_batches(BATCH_ROWS, columns=None if wanted is None else list(wanted)):
            n_bytes += batch.nbytes
            _refuse_swollen(place, plain.stat().st_size, n_bytes)
            yield batch

    def chunks(wanted: Sequence[str] | None) -> Iterator[Chunk]:
        try:
            for table in _of_size(unpacked(wanted)):
                yield Chunk(as_frame(table))
        except (pa.ArrowException, OSError) as error:
            raise broken(error) from error

    return Table(columns, chunks), file.metadata.num_rows > CHUNK_ROWS


def _of_size(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Put together batches that small row groups cut short, as Arrow does only where no column is categorical."""
    waiting: list[pa.RecordBatch] = []
    n_rows = 0
    for batch in batches:
        if waiting and n_rows + len(batch) > CHUNK_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting, n_rows = [], 0
        waiting.append(batch)
        n_rows += len(batch)
    if waiting:
        yield pa.Table.from_batches(waiting)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return rows as pandas columns: structs as one column a field, whole numbers exact also beside a NULL."""
    table = table.replace_schema_metadata(None)  # names an index that the file may lack
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    index = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    table = table.drop_columns(index)
    for place, column in enumerate(table.columns):
        _require_zone(table.field(place))
        table = table.set_column(place, table.field(place).name, _readable(column))
    exact = any(pa.types.is_integer(column.type) and column.null_count for column in table.columns)
    frame: pd.DataFrame = table.to_pandas(types_mapper=_WHOLE_NUMBERS.get if exact else None)
    return frame


def _require_zone(field: pa.Field) -> None:
    """BadInputError if instants are said to be of a time zone that nobody knows."""
    zone = field.type.tz if pa.types.is_timestamp(field.type) else None
    try:
        if zone:
            pa.lib.string_to_tzinfo(zone)
    except (LookupError, ValueError):
        raise BadInputError(f"{field.name} is in a time zone that is not known, {zone!r}; write it in UTC") from None


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with what pandas cannot hold as text: bytes that are no UTF-8, years beyond the calendar.

    Different bytes stay different. A date of the year 1,116,918 is then one that cannot be read, and its row refused.
    """
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            cells = column.cast(pa.large_binary()).to_pylist()
            texts = [None if cell is None else cell.decode(errors="backslashreplace") for cell in cells]
            return pa.chunked_array([pa.array(texts, pa.large_string())])
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        numbers = column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64())
        ticks = 1 / 86_400 if pa.types.is_date32(kind) else _TICKS["ms" if pa.types.is_date64(kind) else kind.unit]
        widest = 2**31 if pa.types.is_date32(kind) else 2**63  # of nanoseconds that is before the calendar ends
        first, last = (min(max(int(seconds * ticks), -widest), widest - 1) for seconds in _CALENDAR)
        is_odd = pc.or_(pc.less(numbers, first), pc.greater(numbers, last))
        if pc.any(is_odd).as_py():
            texts = pc.if_else(is_odd, None, column).cast(pa.string())
            return pc.if_else(is_odd, pc.binary_join_element_wise(numbers.cast(pa.string()), _BEYOND, ""), texts)
    return column


_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Of a second."""
_CALENDAR = (-62_135_596_800, 253_402_300_799)
"""Seconds from 1970 to the years that dates of Python can be of: the beginning of 1, the end of 9999."""
_BEYOND = " after 1970, beyond the calendar"


def _header(plain: Path) -> tuple[str, str]:
    """Return a CSV file's first line, and what it is delimited by."""
    with plain.open("rb") as file:
        header = file.readline(CHUNK_BYTES).decode("utf-8-sig", errors="replace").partition("\r")[0].rstrip("\n")
    return header, max(",;\t", key=header.count)


def _csv_table(plain: Path, place: str, opened: ExitStack) -> tuple[Table, bool]:
    plain, n_quotes = _as_utf8(plain, place, opened)
    header, delimiter = _header(plain)
    names = _unique([name.strip() for name in next(csv.reader([header], delimiter=delimiter))])
    if n_quotes:
        _refuse_open_quotes(plain, place, delimiter)
    parsing = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=n_quotes > 0)
    return Table(names, partial(_csv_chunks, plain, place, names, parsing)), plain.stat().st_size > CHUNK_BYTES


_SPACE_AFTER_QUOTE = r'(?<!")"[ \t]+(?={}|\r|\n|$)'
"""Space between a quote that closes a cell and the cell's end, which Arrow takes for part of the cell."""


def _refuse_open_quotes(plain: Path, place: str, delimiter: str) -> None:
    """BadInputError if lines are one cell because a quote is not closed where its cell ends: Arrow says nothing.

    Quotes that leave every row on its line are let be, which Arrow takes as they are.
    """
    csv.field_size_limit(CHUNK_BYTES)
    with plain.open(encoding="utf-8-sig", newline="") as file:
        lines: list[str] = []  # of one row

        def noted() -> Iterator[str]:
            for line in chain(file, ("\n",)):  # so that a quote that is open at the end spans two
                lines.append(line)
                yield line

        rows = csv.reader(noted(), delimiter=delimiter)
        while True:
            lines.clear()
            begins = rows.line_num + 1
            try:
                if next(rows, None) is None:
                    return
                if len(lines) > 1:
                    closed = re.sub(_SPACE_AFTER_QUOTE.format(re.escape(delimiter)), '"', "".join(lines))
                    next(csv.reader(closed.splitlines(keepends=True), delimiter=delimiter, strict=True))
            except csv.Error:
                raise BadInputError(
                    f"cannot read {place}: a quote in line {begins:,} is not closed, so that lines after it would be "
                    "one cell; close it, or write it twice within a quoted cell"
                ) from None


def _as_utf8(plain: Path, place: str, opened: ExitStack) -> tuple[Path, int]:
    """Return a file in UTF-8 with what `plain` holds, which may be itself; and how many quotes are in it."""
    with plain.open("rb") as file:
        head = file.read(4096)
    utf16 = head.startswith(_UTF16)
    text = head[: len(head) // 2 * 2].decode("utf-16", errors="replace").encode() if utf16 else head
    if head.startswith(_ZIPPED):
        raise BadInputError(f"cannot read {place}: an Excel workbook or an archive, not CSV or Parquet; save it as CSV")
    if _WEB_PAGE.match(text):
        raise BadInputError(
            f"cannot read {place}: a web page, such as one that asks for a login, neither CSV nor Parquet"
        )
    if b"\0" in text and not _looks_like_text(text):
        raise BadInputError(f"cannot read {place}: neither CSV nor Parquet; save it as CSV")
    for encoding in ["utf-16"] if utf16 else ["utf-8", "cp1252", "latin-1"]:
        target = None if encoding == "utf-8" else _temporary(opened)
        try:
            has_text, n_quotes, has_nul = _transcoded(plain, encoding, target)
        except UnicodeDecodeError:
            continue
        break
    if has_nul:
        raise BadInputError(f"cannot read {place}: it holds a NUL byte, which no text has; export it again")
    if not has_text:
        raise BadInputError(f"{place} is empty: export it again with a header and at least one row")
    return (plain if target is None else Path(target.name)), n_quotes


def _looks_like_text(head: bytes) -> bool:
    n_controls = sum(byte < 32 and byte not in b"\t\r\n" for byte in head)
    return "\ufffd" not in head[:-4].decode("utf-8", errors="replace") and n_controls <= _MOST_CONTROLS * len(head)


def _transcoded(plain: Path, encoding: str, target: IO[bytes] | None) -> tuple[bool, int, bool]:
    """Read a file in an encoding, into UTF-8 if given; tell if it has text, how many quotes, and if a NUL byte."""
    has_text, n_quotes, has_nul = False, 0, False
    with plain.open(encoding=encoding, errors="replace" if encoding == "utf-16" else "strict", newline="") as file:
        while text := file.read(_BLOCK):
            has_text = has_text or not text.isspace()
            n_quotes += text.count('"')
            has_nul = has_nul or "\0" in text
            if target is not None:
                target.write(text.encode())
    if target is not None:
        target.flush()
    return has_text, n_quotes, has_nul


def _csv_chunks(
    plain: Path, place: str, names: list[str], parsing: pacsv.ParseOptions, wanted: Sequence[str] | None
) -> Iterator[Chunk]:
    broken: list[str] = []

    def keep_aside(row: pacsv.InvalidRow) -> str:
        broken.append(row.text)
        return "skip"

    parsing.invalid_row_handler = keep_aside
    converting = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        include_columns=list(wanted or names),
    )
    reading = pacsv.ReadOptions(column_names=names, skip_rows=1, block_size=CHUNK_BYTES)
    has_rows = False
    try:
        with pacsv.open_csv(str(plain), reading, parsing, converting) as reader:
            for batch in reader:
                taken, broken[:] = broken[:], []
                has_rows = True
                yield _without_words(batch, taken)
    except (pa.ArrowInvalid, OSError) as error:
        if "Empty CSV" not in str(error) and "Could not skip initial" not in str(error):
            raise BadInputError(f"cannot read {place} as CSV: {str(error).splitlines()[0]}") from error
    if broken or not has_rows:
        yield Chunk(pd.DataFrame({name: pd.Series(dtype="str") for name in names}), broken)


def _without_words(batch: pa.RecordBatch, broken: list[str]) -> Chunk:
    """Return rows of text, cells that say that nothing is there being NULL, and counted."""
    columns: dict[str, pa.Array] = {}
    words: dict[str, int] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        says_nothing = pc.is_in(column, _SAID)
        n = pc.sum(says_nothing).as_py() or 0
        words |= {name: n} if n else {}
        columns[name] = pc.if_else(says_nothing, None, column) if n else column
    return Chunk(pa.table(columns).to_pandas(), broken, words)


_SAID = pa.array([word for word in NULL_WORDS if word])


def _unique(names: list[str]) -> list[str]:
    """Number repeated and nameless columns, so that each can be told apart."""
    filled = pd.Series([name or f"column {position}" for position, name in enumerate(names, start=1)])
    number = filled.groupby(filled).cumcount() + 1
    return filled.mask(number > 1, filled + "." + number.astype("str")).tolist()
