"""Writes lists of customers as files, and says what is in them.

Belongs here: ``quimbi export``, and the files that other commands write of a list. Does not: what a row looks like
(``exports``), writing and sending (``resources``).
"""

from dataclasses import dataclass
from pathlib import Path

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.audiences.filters import Query, compile_filter
from quimbi_assets.commands.console import err
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.audiences import audience_query, project_definitions
from quimbi_assets.resources.exports import STDOUT, Format, write_rows
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary, stream_profiles

FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class ExportOptions:
    """Whom to export, in which form, where to."""

    form: str
    out: Path | None = None
    where: str | None = None
    audience: str | None = None


def choice_of(
    store_id: str, vocabulary: Vocabulary, where: str | None, audience: str | None
) -> tuple[Query, Audience | None]:
    """Return whom a filter or an audience chooses; everybody without either, a BadInputError with both."""
    if audience is None:
        return compile_filter(where, vocabulary), None
    if where is not None:
        raise BadInputError("--audience and --where both say who: give one of them")
    one = project_definitions().audience(audience, store_id)
    return audience_query(one, vocabulary), one


def export_customers(store_id: str, options: ExportOptions) -> None:
    """Write the customers whom a filter chooses."""
    if options.out is None:
        raise BadInputError(f"--out is missing: name a file, or - for standard output (--format {options.form})")
    database = open_database()
    with database.snapshot() as now:
        vocabulary = read_vocabulary(now, store_id)
        query, _ = choice_of(store_id, vocabulary, options.where, options.audience)
    form: Format = "parquet" if options.form == "parquet" else "csv"
    write_profiles(database, store_id, query, vocabulary, options.out, form)


def write_profiles(
    database: Database, store_id: str, query: Query, vocabulary: Vocabulary, path: Path, form: Format
) -> None:
    """Write every scalar column and every segment of the chosen customers; say how many, beside the file."""
    n_rows = write_rows(path, stream_profiles(database, store_id, query, vocabulary), form)
    noun = "customer" if n_rows == 1 else "customers"
    where = "standard output" if path == STDOUT else str(path)
    err.print(f"{n_rows:,} {noun} written to {where}", markup=False)
